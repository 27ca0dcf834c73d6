"""What failures cost in a year, on small models with the cascade itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from finance.standins import Rule, sampled
from simulation.worlds import ONE, TWO, hasty
from support import model_of

from planner.finance.losses import LossProfile, difference, loss_profile
from planner.infrastructure.entities import Model
from planner.infrastructure.failures import Heat, Scenario
from planner.infrastructure.fleet import Fleet
from planner.infrastructure.graph import build_graph
from planner.infrastructure.loading import LoadedModel
from planner.laws.credits import MINUTES_PER_MONTH
from planner.reliability import periods
from planner.reliability.evaluation import simulate_all
from planner.reliability.failure_sources import sources_of
from planner.reliability.monte_carlo import Cascade, sample_occurrences
from planner.reliability.occurrences import MINUTES_PER_YEAR, NORMAL, Occurrences, SourceRate
from planner.reliability.periods import case_of, scenario_of, without_repeated_heat
from planner.reliability.sampling import Failure, Period, Process
from planner.scenarios.combinations import pairs, singles
from planner.scenarios.components import Component
from planner.scenarios.generators import all_scenarios
from planner.scenarios.sampling import _history, monte_carlo

#: The site with two services in parallel that both tiers need one of, and one that `low` needs.
SERVICES = (
    ONE.replace(
        "high: {priority: 1, share: 0.4}",
        "high: {priority: 1, share: 0.4, entry: door, value_usd_per_1000_requests: 10.0}",
    ).replace(
        "low: {priority: 2, share: 0.6}",
        "low: {priority: 2, share: 0.6, entry: gate, value_usd_per_1000_requests: 5.0}",
    )
    + """
services:
  left: {plane: service}
  right: {plane: service}
  door: {plane: edge, any_of: [left, right]}
  lone: {plane: service}
  gate: {plane: edge, depends_on: [lone, door]}
standard: {single: [{tier: all, from_minute: 5, least_served: 0.1}]}
scenarios:
  lose-left: {severity: single, frequency_per_year: 90.0,
              events: [{kind: service, name: left, repair_minutes: 50}]}
  lose-right: {severity: single, frequency_per_year: 60.0,
               events: [{kind: service, name: right, repair_minutes: 30}]}
  lose-lone: {severity: single, frequency_per_year: 40.0,
              events: [{kind: service, name: lone, repair_minutes: 20}]}
"""
)


def share_down(times_per_year: float, minutes: float) -> float:
    """Unavailability of one component: ``λr/(1 + λr)``."""
    load = times_per_year * minutes / MINUTES_PER_YEAR
    return load / (1 + load)


def losses(model: Model, samples: int, **changes: float) -> LossProfile:
    """Losses of what exists in a model with all its scenarios."""
    found = sample_occurrences(model, Fleet.existing(model), all_scenarios(model), samples)
    return loss_profile(model, found, **changes)


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> tuple[Model, Occurrences]:
    """The model of services and its occurrences."""
    model = hasty(model_of(tmp_path_factory.mktemp("services"), SERVICES))
    scenarios = all_scenarios(model)
    return model, sample_occurrences(model, Fleet.existing(model), scenarios, 500)


def test_availability_of_one_and_of_two_in_parallel(services: tuple[Model, Occurrences]) -> None:
    found = loss_profile(*services).availability
    both = share_down(90, 50) * share_down(60, 30)
    exact = {"high": 1 - both, "low": (1 - both) * (1 - share_down(40, 20))}
    for tier, availability in exact.items():
        assert found[tier].low <= availability <= found[tier].high
        assert found[tier].high - found[tier].low < 0.7 * (1 - availability)
    # One in parallel alone does nobody harm, which is known without simulating it.
    occurrences = services[1]
    assert {"lose-left", "lose-right"}.isdisjoint(occurrences.strata)
    assert "lose-lone" in occurrences.strata


def test_lost_money_follows_from_downtime(services: tuple[Model, Occurrences]) -> None:
    model, occurrences = services
    profile = loss_profile(model, occurrences)
    # Flat demand of 400 and 600 requests a second.
    for tier, rps in (("high", 400), ("low", 600)):
        minutes = profile.downtime_minutes_per_year[tier].value
        assert profile.lost_requests_per_year[tier].value == pytest.approx(60 * rps * minutes)
    lost = {k: one.value for k, one in profile.lost_requests_per_year.items()}
    usd = lost["high"] * 0.010 + lost["low"] * 0.005
    assert profile.expected_annual_loss_usd.value == pytest.approx(usd)
    assert profile.annual.mean() == pytest.approx(usd)
    assert sum(one.usd_per_year.value for one in profile.by_source) == pytest.approx(usd)
    assert profile.credits_usd.value == profile.emergency_usd.value == 0
    assert profile.var_usd.low <= profile.var_usd.value <= profile.cvar_usd.value


def test_sla_credits_follow_a_schedule_or_requests(services: tuple[Model, Occurrences]) -> None:
    model, occurrences = services
    steps = [{"below": 0.9999, "credit": 0.1}, {"below": 0.99, "credit": 0.25}]
    low = model.tiers["low"].replace(sla_credits=steps, revenue_usd_per_month=1e6)
    high = model.tiers["high"].replace(sla_credit_usd_per_1000_requests=3.0)
    priced = model.replace(tiers={"high": high, "low": low})
    profile = loss_profile(priced, occurrences)
    minutes = occurrences.unserved_minutes[:, 1]
    month = [minutes > (1 - step["below"]) * MINUTES_PER_MONTH for step in steps]
    each = np.select(month[::-1], [2.5e5, 1e5])
    by_request = 3e-3 * profile.lost_requests_per_year["high"].value
    expected = float(occurrences.times_per_year @ each) + by_request
    assert profile.credits_usd.value == pytest.approx(expected)
    assert set(profile.credits_by_month) == {"low"}
    # At three occurrences a month some share theirs, and one credit does for both.
    assert 0 < 12 * profile.credits_by_month["low"].expected_usd_per_month < expected


def test_losses_agree_with_a_long_history_drawn_naively(tmp_path: Path) -> None:
    text = (
        TWO
        + """
standard: {single: [{tier: all, from_minute: 5, least_served: 0.1}]}
scenarios:
  lose-first: {severity: single, frequency_per_year: 200.0,
               events: [{kind: cluster, name: first, repair_minutes: 90}]}
  lose-second: {severity: single, frequency_per_year: 300.0,
                events: [{kind: cluster, name: second, repair_minutes: 60}]}
"""
    )
    model = model_of(tmp_path, text)
    fleet = Fleet.existing(model)
    profile = losses(model, 240)
    sources = sources_of(model, all_scenarios(model))
    years = 1.0
    naive = naive_periods([one.rate for one in sources], years, 4)
    outcome = simulate_all(model, fleet, [scenario_of(one, sources) for one in naive])
    pairs = [
        (profile.downtime_minutes_per_year[tier], outcome.unserved_minutes[:, k])
        for k, tier in enumerate(profile.tiers)
    ]
    for found, naive_values in (*pairs, (profile.emergency_usd, outcome.emergency_usd)):
        # Periods come at random: the variance of a compound Poisson sum.
        half = 1.96 * np.sqrt((naive_values**2).sum()) / years
        own = (found.high - found.low) / 2
        assert abs(found.value - naive_values.sum() / years) < 1.7 * np.hypot(half, own)
        assert own < half


def naive_periods(rates: list[SourceRate], years: float, seed: int) -> list[Period]:
    """Periods of a history of failures and repairs (that of `planner.scenarios.sampling`)."""
    rng = np.random.default_rng(seed)
    down: dict[int, float] = {}
    failures: list[Failure] = []
    found: list[Period] = []
    changes = []
    for index, rate in enumerate(rates):
        event = {"kind": "provider", "name": "x", "repair_minutes": rate.mean_minutes}
        part = Scenario.model_validate(
            {
                "name": "part",
                "severity": "single",
                "frequency_per_year": rate.times_per_year,
                "events": [event],
            }
        )
        changes += _history(index, Component(part, "", ""), years, rng)
    start = 0.0
    for at, index, change in sorted(changes):
        minute = at * MINUTES_PER_YEAR
        if change > 0:
            start = start if down else minute
            down[index] = minute
            continue
        began = down.pop(index)
        failures.append(Failure(index, began - start, minute - began))
        if not down:
            ordered = tuple(sorted(failures, key=lambda one: one.at_minute))
            hour, phase = rng.random(2)
            found.append(Period("", 0, 168 * hour, phase, ordered, 1.0, 0.0))
            failures = []
    return found


def test_failures_screened_out_lose_nothing(tiny: LoadedModel) -> None:
    model = tiny.model
    units = {("west-chillers", "chiller-3"): 2, ("east-chillers", "chiller-1"): 2}
    fleet = Fleet.after(model, units, {}, {}, frozenset())
    sources = sources_of(model, all_scenarios(model))
    process = Process.of([one.rate for one in sources])
    cascade = Cascade(model, fleet, sources, 1)
    drawn = [process.draw(one, n, 0) for one in process.strata() for n in range(6)]
    harmless = [one for one in drawn if not any(map(cascade.may_lose, one.downs()))]
    assert {one.stratum for one in harmless} >= {
        "unit-west-chillers",
        "unit-east-chillers",
        "heat-wave-east",
        "provider-cloudy",
    }
    shortened = [
        replace(
            one, failures=tuple(replace(f, minutes=min(f.minutes, 500.0)) for f in one.failures)
        )
        for one in harmless
        if len(one.failures) == 1
    ]
    outcome = cascade.evaluate(shortened)
    assert not outcome.unserved_minutes.any() and not outcome.emergency_usd.any()
    # A surge, a region or two of the units may lose something.
    places = {one.rate.name: index for index, one in enumerate(sources)}
    assert cascade.may_lose(((places["surge"], 1),))
    assert cascade.may_lose(((places["region-west"], 1),))


def test_long_constant_periods_are_shortened_without_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = model_of(tmp_path, ONE)
    graph, fleet = build_graph(model), Fleet.existing(model)
    event = {"kind": "units", "plant": "chillers", "unit": "chiller", "repair_minutes": 800.0}
    scenario = Scenario.model_validate(
        {
            "name": "long",
            "severity": "single",
            "frequency_per_year": 1.0,
            "events": [{**event, "count": 3}, {**event, "count": 3, "at_minute": 400.0}],
        }
    )
    full = simulate_all(model, fleet, [scenario])
    for name, minutes in (("DAY", 100.0), ("SETTLED", 100.0), ("CUT", 1500.0)):
        monkeypatch.setattr(periods, name, minutes)
    data = case_of(model, graph, scenario)
    assert data.minutes < 900 and sum(one.times for one in data.repeats) > 0
    short = simulate_all(model, fleet, [scenario])
    for name in ("lost_requests", "unserved_minutes"):
        np.testing.assert_allclose(getattr(short, name), getattr(full, name), rtol=0.01, atol=1.0)
    monkeypatch.setattr(periods, "CUT", 400.0)
    cut = case_of(model, graph, scenario)
    assert cut.cut and cut.minutes == 400
    counted = 400 + sum(one.times * (one.to_minute - one.from_minute) for one in cut.repeats)
    assert counted == pytest.approx(1200)


def test_normal_operation_that_falls_short_is_a_loss_of_its_own(tmp_path: Path) -> None:
    text = ONE.replace("demand_rps: 1000.0", "demand_rps: 1250.0")
    model = hasty(model_of(tmp_path, text))
    profile = losses(model, 50)
    assert {one.source for one in profile.by_source} == {NORMAL}
    # 250 of 1,250 requests a second find no room, all of them of the lower tier.
    assert profile.availability["low"].value == pytest.approx(1 - 250 / 750, abs=0.01)
    total = sum(one.value for one in profile.lost_requests_per_year.values())
    assert total == pytest.approx(250 * 60 * MINUTES_PER_YEAR, rel=0.03)


def test_a_platform_without_failures_loses_nothing(tmp_path: Path) -> None:
    profile = losses(model_of(tmp_path, ONE), 50)
    assert [one.value for one in profile.availability.values()] == [1.0, 1.0]
    assert profile.expected_annual_loss_usd.value == profile.cvar_usd.value == 0
    assert profile.by_source == ()


@pytest.fixture(scope="module")
def users(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """A model with the tier of the stand-ins, which lose one request for each minute."""
    text = ONE.replace(
        "high: {priority: 1, share: 0.4}",
        "users: {priority: 1, share: 1.0, value_usd_per_1000_requests: 1000.0}",
    )
    text = text.replace("  low: {priority: 2, share: 0.6}\n", "")
    return model_of(tmp_path_factory.mktemp("users"), text)


def test_paired_differences_have_narrower_intervals(users: Model) -> None:
    rates = [SourceRate(name, 1, 4.0, 600.0) for name in "abc"]
    worse = sampled(rates, Rule(lambda down: sum(down.values()) >= 1), 400)
    better = replace(worse, lost_requests=0.9 * worse.lost_requests)
    a, b = (loss_profile(users, one, resamples=0) for one in (worse, better))
    paired, alone = difference(a, b), a.expected_annual_loss_usd
    assert paired.value == pytest.approx(0.1 * alone.value)
    assert paired.high - paired.low == pytest.approx(0.1 * (alone.high - alone.low), rel=1e-6)
    same = difference(a, a)
    assert (same.low, same.value, same.high) == pytest.approx((0, 0, 0), abs=1e-6 * alone.value)
    # Other samples: no pairs, both intervals count.
    other = loss_profile(users, sampled(rates, Rule(lambda down: bool(down.get(0))), 400, 9))
    apart = difference(a, other)
    assert apart.low < a.expected_annual_loss_usd.value - other.expected_annual_loss_usd.value
    assert apart.high - apart.low > 0.5 * (alone.high - alone.low)


def test_a_bad_alpha_and_other_tiers_are_named(users: Model, tiny: LoadedModel) -> None:
    found = sampled([SourceRate("a", 1, 4.0, 600.0)], Rule(lambda down: bool(down)), 20)
    with pytest.raises(ValueError, match=r"alpha in \[0, 1\)"):
        loss_profile(users, found, alpha=1.0)
    with pytest.raises(ValueError, match="the tiers users, got business, free"):
        loss_profile(tiny.model, found)


def test_failure_sources_are_single_failures_whatever_the_scenarios(tiny: LoadedModel) -> None:
    model = tiny.model
    usual = {one.rate.name: one.rate for one in sources_of(model, all_scenarios(model))}
    assert not any(name.startswith("2-units") for name in usual)
    assert usual["unit-west-chillers"].copies == 2 and usual["unit-east-chillers"].copies == 3
    every = {one.rate.name for one in sources_of(model, (*singles(model), *pairs(model)))}
    assert every == {one.name for one in singles(model)}
    sampled_sets = monte_carlo(model, 300, 1)
    assert any(len(one.events) > 1 for one in sampled_sets)
    assert all(len(one.scenario.events) == 1 for one in sources_of(model, sampled_sets))
    # Pairs without their parts stand for themselves, and so do those with a frequency of their own.
    alone = sources_of(model, pairs(model))
    assert len(alone) == len(pairs(model))
    terms = model.generators.units.replace(frequency_per_year=0.01)
    stated = model.replace(generators=model.generators.replace(units=terms))
    names = {one.rate.name for one in sources_of(stated, all_scenarios(stated))}
    assert {"2-units-west-chillers", "2-units-east-chillers"} < names


def test_two_units_with_a_stated_frequency_are_one_source_and_not_one_for_each_unit(
    tiny: LoadedModel,
) -> None:
    terms = tiny.model.generators.units.replace(frequency_per_year=0.01)
    generators = tiny.model.generators.replace(units=terms)
    model = tiny.model.replace(generators=generators)
    sources = {source.rate.name: source.rate for source in sources_of(model, all_scenarios(model))}
    assert sources["2-units-east-chillers"].copies == 1
    assert sources["unit-east-chillers"].copies == 3


def test_two_heat_waves_are_no_hotter_than_one() -> None:
    def wave(at: float, minutes: float, rise: float) -> Heat:
        return Heat(kind="heat", region="west", rise_c=rise, at_minute=at, repair_minutes=minutes)

    found = without_repeated_heat([wave(0, 100, 5), wave(20, 30, 8), wave(90, 60, 5)])
    pieces = sorted(
        (one.at_minute, one.at_minute + one.repair_minutes, one.rise_c) for one in found
    )
    assert pieces == [(0, 20, 5), (20, 50, 8), (50, 100, 5), (100, 150, 5)]
