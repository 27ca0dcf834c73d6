"""Tornado and break-even of the net present value."""

from __future__ import annotations

import csv
import re
from dataclasses import replace

import numpy as np
import pytest
from finance.positions import assumptions, bases, positions
from hypothesis import given
from hypothesis import strategies as st
from support import CHECKOUT

from planner.finance.appraisal import appraise
from planner.finance.assumptions import Assumptions
from planner.finance.builds import Purchase, Running
from planner.finance.cashflow import Losses, Position, cash_flow
from planner.finance.sensitivity import (
    INPUTS,
    Input,
    break_even,
    break_evens,
    inputs_for,
    npv_usd,
    tornado,
)
from planner.infrastructure.loading import LoadedModel, load_model

BY_NAME = {one.attribute: one for one in INPUTS}
PLAIN = Assumptions(discount_rate=0.05, horizon_years=1, tax_rate=0.0)
NOTHING = Position("base", (), (), Losses(value_usd=110.0), 1, 1.0)
#: Costs 100 now and avoids losses of 110 a year.
BUILD = Position(
    "build", (Purchase("cooling", "plant", "unit", "here", 1, 100.0, 1.0),), (), Losses(), 1, 1.0
)
#: No factor is at 0.
WHOLE: dict[str, float] = {
    "gpu_price": 1.0,
    "cooling_price": 1.0,
    "failure_rate": 1.0,
    "outage_value": 1.0,
    "surge": 1.0,
}


def dataset(file: str) -> dict[tuple[str, str], dict[str, str]]:
    with (CHECKOUT / "datasets" / file).open(encoding="utf-8", newline="") as stream:
        return {(row["name"], row["attribute"]): row for row in csv.DictReader(stream)}


# ---------------------------------------------------------------------------------------- ranges


@pytest.mark.parametrize(
    ("attribute", "figure"),
    [
        ("discount_rate", "discount_rate"),
        ("tax_rate", "tax_rate"),
        ("electricity_inflation_per_year", "electricity_inflation_per_year"),
    ],
)
def test_ranges_of_rates_are_those_of_the_data(attribute: str, figure: str) -> None:
    rows = dataset("finance.csv")
    low, base, high = (
        float(rows["default", f"{figure}{end}"]["value"]) for end in ("_low", "", "_high")
    )

    assert BY_NAME[attribute].values(base) == pytest.approx((low, high))


def test_ranges_of_factors_are_those_of_the_data(reference: LoadedModel) -> None:
    chiller = dataset("failure_rates.csv")
    rates = [
        float(chiller["chiller", f"failures_per_year{end}"]["value"])
        for end in ("_low", "", "_high")
    ]
    gpu = dataset("gpus.csv")["A100-SXM4-80GB", "capital_usd"]
    ends = re.findall(r"(?:low|high) (\d+)", gpu["note"])
    shares = [float(one) / float(gpu["value"]) for one in ends]
    plant = dataset("capital.csv")
    prices = [
        float(plant["cooling-plant", f"cooling_plant_usd_per_kw_it{end}"]["value"])
        for end in ("_low", "", "_high")
    ]
    twelve = load_model("hyperscaler-12").model

    assert BY_NAME["failure_rate"].values(rates[1]) == (rates[0], rates[2])
    assert BY_NAME["gpu_price"].values(1.0) == pytest.approx(shares)
    assert BY_NAME["cooling_price"].values(prices[1]) == pytest.approx(prices[::2], rel=0.03)
    for model in (twelve, reference.model):
        lowest = min(offer.surge_multiplier for offer in model.offers.values())
        assert BY_NAME["surge"].low * lowest >= 1
        assert inputs_for(model) == INPUTS


def test_a_range_stops_where_values_have_no_meaning(tiny: LoadedModel) -> None:
    offer = tiny.model.offers["cloud"].replace(surge_multiplier=1.25)
    surge = {one.attribute: one for one in inputs_for(tiny.model.replace(offers={"cloud": offer}))}

    assert BY_NAME["discount_rate"].values(0.005) == (0.0, 0.015)
    assert BY_NAME["discount_rate"].values(-0.2) == (-0.2, -0.19)
    assert BY_NAME["demand_growth_per_year"].values(0.0) == (0.0, 0.1)
    assert BY_NAME["demand_growth_per_year"].values(0.15) == (0.05, 0.25)
    assert BY_NAME["gpu_price"].values(2.0) == (1.6, 2.4)
    assert surge["surge"].low == 0.8


# --------------------------------------------------------------------------------------- tornado


def test_a_tornado_by_hand() -> None:
    (by_value,) = tornado(NOTHING, BUILD, PLAIN, inputs=[BY_NAME["outage_value"]])
    (by_rate,) = tornado(NOTHING, BUILD, PLAIN, inputs=[BY_NAME["discount_rate"]])

    # 110 (halved, doubled) within a year at 5 %, less 100 today.
    assert by_value.npv_usd == pytest.approx(110 / 1.05 - 100)
    assert by_value.npv_low_usd == pytest.approx(55 / 1.05 - 100)
    assert by_value.npv_high_usd == pytest.approx(220 / 1.05 - 100)
    assert by_value.usd == pytest.approx(165 / 1.05)
    assert (by_rate.low, by_rate.high) == (0.04, 0.06)
    assert by_rate.npv_high_usd == pytest.approx(110 / 1.06 - 100)


@given(bases(), positions(), assumptions())
def test_a_tornado_has_every_input_by_its_swing(
    base: Position, build: Position, assumed: Assumptions
) -> None:
    swings = tornado(base, build, assumed)
    returns = appraise(base, build, assumed).returns

    assert {swing.input for swing in swings} == set(INPUTS)
    sizes = [abs(swing.npv_high_usd - swing.npv_low_usd) for swing in swings]
    assert sizes == sorted(sizes, reverse=True)
    assert returns is not None
    assert {swing.npv_usd for swing in swings} == {returns.npv_usd}


@given(positions(retirements=False), assumptions(**WHOLE, inflation_per_year=0.0))
def test_dearer_assets_are_worth_less(build: Position, assumed: Assumptions) -> None:
    # Not so where prices rise faster than interest: then what is left of them earns more.
    base = replace(build, purchases=(), running=(), losses=Losses(value_usd=1e6))

    for swing in tornado(base, build, assumed):
        if swing.input.attribute in ("gpu_price", "cooling_price"):
            scale = 1e-9 * float(np.abs(cash_flow(base, build, assumed).net).sum())
            assert swing.usd <= scale


@given(bases(), positions(), assumptions(**WHOLE))
def test_losses_avoided_are_worth_more_where_they_are_larger(
    base: Position, build: Position, assumed: Assumptions
) -> None:
    was, now = base.losses, build.losses
    avoided = {
        "outage_value": was.value_usd - now.value_usd,
        "surge": was.emergency_usd - now.emergency_usd,
        "failure_rate": was.usd - now.usd,
        "demand_growth_per_year": was.usd - now.usd,
    }

    for swing in tornado(base, build, assumed):
        if swing.input.attribute in avoided:
            assert np.sign(swing.usd) == np.sign(avoided[swing.input.attribute])


@given(positions(), assumptions(electricity_inflation_per_year=0.03, tax_rate=0.25))
def test_an_input_without_influence_has_no_swing(build: Position, assumed: Assumptions) -> None:
    none = {"servers", "electricity"}
    idle = replace(
        build,
        purchases=tuple(one for one in build.purchases if one.category not in none),
        running=tuple(one for one in build.running if one.driver not in none),
        losses=Losses(credits_usd=build.losses.credits_usd),
    )
    base = replace(idle, purchases=(), running=(), losses=Losses(credits_usd=1e6))
    found = {one.input.attribute: one for one in tornado(base, idle, assumed)}

    for attribute in ("gpu_price", "electricity_inflation_per_year", "outage_value", "surge"):
        assert found[attribute].npv_low_usd == found[attribute].npv_high_usd
        assert break_even(base, idle, assumed, BY_NAME[attribute]).value is None


# ------------------------------------------------------------------------------------ break-even


def test_break_even_by_hand() -> None:
    found = {one.input.attribute: one for one in break_evens(NOTHING, BUILD, PLAIN)}

    assert found["discount_rate"].value == pytest.approx(0.10)
    assert found["outage_value"].value == pytest.approx(105 / 110)
    assert found["failure_rate"].times == pytest.approx(105 / 110)
    assert found["cooling_price"].value == pytest.approx(110 / 105)
    assert found["demand_growth_per_year"].value == pytest.approx(105 / 110 - 1)
    assert found["demand_growth_per_year"].times is None
    assert found["gpu_price"].value is None
    assert found["gpu_price"].reason == "it has no influence"
    assert all(one.reason == "" for one in found.values() if one.value is not None)


@given(bases(), positions(), assumptions(), st.sampled_from(INPUTS))
def test_at_break_even_the_net_present_value_is_zero(
    base: Position, build: Position, assumed: Assumptions, one: Input
) -> None:
    found = break_even(base, build, assumed, one)

    for value in found.values:
        there = replace(assumed, **{one.attribute: value})
        flows = cash_flow(base, build, there).net
        years = np.arange(len(flows))
        moved = float(np.abs(flows / (1 + there.discount_rate) ** years).sum())
        assert abs(npv_usd(base, build, there)) <= 1e-7 * moved + 1e-3
    if found.values:
        today = found.base
        assert found.value == min(found.values, key=lambda value: abs(value - today))


@given(
    bases(), positions(), assumptions(), st.sampled_from([one for one in INPUTS if one.straight])
)
def test_straight_inputs_are_straight(
    base: Position, build: Position, assumed: Assumptions, one: Input
) -> None:
    step = 0.1 if one.kind == "rate" else 1.0
    at = [
        npv_usd(base, build, replace(assumed, **{one.attribute: step * n}))  # type: ignore[arg-type]
        for n in range(4)
    ]

    largest = max(map(abs, at)) + float(np.abs(cash_flow(base, build, assumed).net).sum())
    assert np.abs(np.diff(at, 2)).max() <= 1e-9 * largest + 1e-6


def test_several_break_evens_and_none() -> None:
    # The oil pump of Lorie & Savage: 25 % and 400 %.
    pump = np.array([-1600.0, 10_000.0, -10_000.0])
    assumed = replace(PLAIN, horizon_years=2)
    idle = replace(BUILD, purchases=())
    level = replace(NOTHING, losses=Losses())
    rate, price = BY_NAME["discount_rate"], BY_NAME["cooling_price"]

    both = break_even(level, idle, assumed, rate, pump)
    never = break_even(level, idle, assumed, rate, np.array([1000.0, -3000.0, 2500.0]))
    nothing = break_even(level, idle, assumed, rate)
    far = break_even(replace(NOTHING, losses=Losses(1e9)), BUILD, PLAIN, price)
    running = (Running("upkeep", "plant", "here", 120.0, "other"),)
    loss = break_even(NOTHING, replace(BUILD, running=running), PLAIN, price)

    assert both.values == pytest.approx((0.25, 4.0))
    assert both.value == pytest.approx(0.25)
    assert both.reason == "also zero at 4"
    assert (never.value, never.reason) == (None, "above zero at every rate")
    assert (nothing.value, nothing.reason) == (None, "it has no influence")
    assert (far.value, far.reason) == (None, "above zero from 0 to 1,000")
    assert (loss.value, loss.reason) == (None, "below zero from 0 to 1,000")


def test_growth_below_which_a_plan_does_not_pay() -> None:
    # 100 today against a·(1 + g) + a·(1 + g)² at 5 %: the root of a quadratic equation.
    assumed = replace(PLAIN, horizon_years=2)
    bought = replace(BUILD.purchases[0], life_years=2.0)
    base = replace(NOTHING, losses=Losses(value_usd=50.0))
    found = break_even(
        base, replace(BUILD, purchases=(bought,)), assumed, BY_NAME["demand_growth_per_year"]
    )
    ratio = (-1 + (1 + 4 * 100 / 50) ** 0.5) / 2

    assert found.value == pytest.approx(ratio * 1.05 - 1)


def test_growth_above_which_a_plan_does_not_pay() -> None:
    # 110 less 4·(1 + g) within a year at 5 % against 100 today.
    power = (Running("energy", "plant", "here", 4.0, "electricity"),)
    found = break_even(
        NOTHING,
        replace(BUILD, running=power),
        PLAIN,
        BY_NAME["electricity_inflation_per_year"],
    )

    assert found.value == pytest.approx(0.25)
