"""The horizon of a model: times, courses, and what is refused, all at once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.errors import InputError
from planner.infrastructure.horizon import MONTH_PATTERN, Course, Horizon, month_number, month_text
from planner.infrastructure.horizon_checks import least_capital_usd
from planner.infrastructure.loading import load_model
from planner.infrastructure.schema import model_schema
from planner.laws.traffic import serving_rps
from planner.roadmap.tree import demand_factor
from planner.scenarios.demand import weekly_demand

WRONG = """
extends: tiny
horizon:
  start: 2026-01
  period: half-year
  periods: 4
  growth: {demand: {per_year: -1.2}}
  paths:
    low: {probability: 0.5, growth: {demand: {per_year: 0.1, by_period: [1.0, 1.1]}}}
    high: {probability: 0.6, from_period: 2, follows: low}
    loop: {probability: 0.6, from_period: 7, follows: loop}
  first_order: {accelerator: 2027-01, air-1: 2029-01}
  order_months: {cooling: 36, entities: {cloud: 36}}
  power: [{region: west, firm_mw: 10}, {region: west, firm_mw: 12}]
  capital_budgets_usd: {2031: 3M}
"""


def problems(tmp_path, text: str) -> str:
    file = tmp_path / "model.yaml"
    file.write_text(text)
    with pytest.raises(InputError) as caught:
        load_model(file)
    return "\n".join(map(str, caught.value.problems))


def test_all_that_cannot_be_is_said_at_once(tmp_path):
    said = problems(tmp_path, WRONG)
    for text in (
        "probabilities add up to 1.7; expected 1",
        "has both a rate and a table",
        "growth.demand.per_year: -1.2 is less than nothing left; expected at least -1",
        "period 2 is not after period 2, from which `low` itself differs",
        "period 7 is beyond the 4 of the horizon",
        "is circular: loop → loop",
        "2027-01 is after the start 2026-01, and there are 1,000 in west-gpus, 400 in east-gpus",
        "2029-01 is after the last period, which starts in 2027-07",
        "order_months.cooling: 36 months",
        "order_months.entities.cloud: 36 months",
        "west has another limit from period 1 on",
        "expected a year from 2026 to 2027",
    ):
        assert text in said


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("start: 2026-13, periods: 2", "expected a month like 2026-01, not '2026-13'"),
        ("start: 2026-01, periods: 0", "greater than or equal to 1"),
        ("start: 2026-01, periods: 2, growth: {demand: {per_year: -1.1}}", "at least -1"),
        ("start: 2026-01, periods: 2, growth: {zones: {moon: {}}}", "`moon` is not among zones"),
    ],
)
def test_a_wrong_value_says_what_is_accepted(tmp_path, field, text):
    assert text in problems(tmp_path, f"extends: tiny\nhorizon: {{{field}}}")


def test_budgets_pay_for_what_todays_service_needs(tmp_path):
    aged = """
extends: tiny
clusters: {west-gpus: {existing_age_years: 4.0}}
horizon: {start: 2026-01, periods: 3, capital_budgets_usd: {2026: 0, 2027: 1M, 2028: 50M}}
"""
    said = problems(tmp_path, aged)
    # 400 GPUs at 95 % serve 380 of 1,000 requests per second; 620 / 0.95 more at 20,000 USD.
    assert "budgets up to 2027 are 1,000,000 USD, but 620 requests per second" in said
    assert f"at least {620 / 0.95 * 20000:,.0f} USD" in said


def test_nothing_is_needed_while_everything_lives():
    model = load_model("tiny").model
    horizon = Horizon(start="2026-01", periods=30)
    assert least_capital_usd(model, horizon, 30) == (0.0, 0.0)


@given(st.integers(12 * 1000, 12 * 2999))
def test_months_are_told_and_read(number):
    assert month_number(month_text(number)) == number


@given(st.floats(-1, 3), st.integers(0, 20), st.integers(0, 20))
def test_growth_compounds(rate, first, second):
    course = Course(per_year=rate)
    whole = course.factor(first + second, float(first + second))
    parts = course.factor(first, float(first)) * course.factor(second, float(second))
    assert whole == pytest.approx(parts)


def test_lead_times_of_entities_come_before_those_of_types_and_kinds():
    horizon = Horizon(
        start="2026-01", period="quarter", periods=4, first_order={"new": "2026-05"},
        order_months={"gpus": 3.0, "types": {"new": 4.0}, "entities": {"hall": 5.0}},
    )  # fmt: skip
    assert horizon.lead_months("gpus", "hall", "new") == 5
    assert horizon.lead_months("gpus", "other", "new") == 4
    assert horizon.lead_months("gpus", "other", "old") == 3
    assert [horizon.periods_of(months) for months in (0, 3, 3.5)] == [0, 1, 2]
    assert horizon.first_period("new") == 3


@given(
    st.sampled_from(["quarter", "half-year", "year"]),
    st.integers(0, 40),
    st.integers(0, 30),
)
def test_what_can_be_ordered_late_in_a_period_is_in_service_in_the_next(period, first, lead):
    """Month by month: the first period that an order of the first month or later is in time for."""
    start = month_number("2026-01")
    horizon = Horizon(
        start="2026-01", period=period, periods=3, first_order={"new": month_text(start + first)}
    )
    leads = horizon.periods_of(lead)
    in_time = next(
        p
        for p in range(1 + leads, 100)
        if horizon.month_of(p) - lead >= start + first or first == 0
    )
    assert horizon.first_period("new", lead) + leads == in_time


def test_what_comes_too_late_to_be_of_use_is_refused(tmp_path):
    text = """
extends: tiny
horizon:
  {start: 2026-01, period: half-year, periods: 3, order_months: {cooling: 5},
   first_order: {air-1: MONTH}}
"""
    said = problems(tmp_path, text.replace("MONTH", "2026-09"))
    assert "ordered in 2026-09, it is not in service by the last period, from 2027-01" in said
    file = tmp_path / "model.yaml"
    file.write_text(text.replace("MONTH", "2026-08"))
    load_model(file)


def test_a_model_without_a_horizon_means_what_it_meant():
    assert load_model("tiny").model.horizon is None


def test_the_schema_states_the_form_of_a_month():
    start = model_schema()["$defs"]["Horizon"]["properties"]["start"]
    assert start["pattern"] == MONTH_PATTERN


@pytest.mark.parametrize(
    ("name", "parent", "years"),
    [
        ("tiny-roadmap", "tiny", 2),
        ("chatgpt-2023-roadmap", "chatgpt-2023", 5),
        ("hyperscaler-12-roadmap", "hyperscaler-12", 6),
    ],
)
def test_shipped_roadmaps_state_their_years_and_keep_what_exists(name, parent, years):
    model, before = load_model(name).model, load_model(parent).model
    horizon = model.horizon
    assert horizon is not None
    assert horizon.periods * horizon.years == years
    assert horizon.growth.demand.per_year > 0
    assert horizon.order_months.cooling >= 8  # delivery of chillers, datasets/capital.csv
    for cluster, entry in before.clusters.items():
        assert model.clusters[cluster].existing_gpus == entry.existing_gpus
    assert {plant: entry.existing for plant, entry in model.plants.items()} == {
        plant: entry.existing for plant, entry in before.plants.items()
    }


def test_demand_never_outgrows_the_room_of_the_roadmap_of_twelve_regions():
    model = load_model("hyperscaler-12-roadmap").model
    room = sum(
        serving_rps(entry.max_gpus, model.gpus[entry.gpu].rps, entry.max_utilisation)
        for entry in model.clusters.values()
    )
    peak = weekly_demand(model).sum(axis=0).max()
    horizon, high = model.horizon, model.horizon.paths["high"]
    grown = demand_factor(horizon, "high", horizon.periods, "zones", next(iter(model.zones)))
    assert grown == pytest.approx(1.22 * (1 + high.growth.demand.per_year) ** 4)
    assert peak * grown < room
