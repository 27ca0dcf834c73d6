"""Inputs that change the plan."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import pytest

from planner.errors import SolverError
from planner.finance import replanning
from planner.finance.replanning import (
    DEMAND,
    PLAN_INPUTS,
    UNCHANGED,
    Replanned,
    changes_for,
    replan,
)
from planner.finance.sensitivity import Input
from planner.infrastructure.changes import changed, setting
from planner.infrastructure.entities import Model
from planner.infrastructure.failures import FamilyTerms, Scenario
from planner.infrastructure.loading import LoadedModel, load_model
from planner.optimization.formulation.build import build
from planner.optimization.formulation.problem import ProblemData
from planner.optimization.formulation.simulated import Gain, SimulatedCut
from planner.optimization.solution.costs import cost_items
from planner.optimization.solution.settings import SolverSettings
from planner.optimization.solution.solving import solve
from planner.plan.records import Plan, SelectionRecord
from planner.rounds import LoopResult, Round
from planner.scenarios.generators import all_scenarios
from planner.selection import select
from planner.simulation.verdict import Breach, Verdict, judge
from planner.verification import optimize_and_verify

EXACT = SolverSettings(gap=0.0)
BY_NAME = {one.attribute: one for one in PLAN_INPUTS}
#: Long enough for every rule of the standard.
SHORT = "simulation.horizon_minutes=130"
#: Nothing is required and regions fail often, so that money alone decides what is bought.
BY_MONEY = (
    SHORT,
    "standard.single=[]",
    "standard.double=[]",
    "standard.common=[]",
    "standard.region=[]",
    "generators.region.frequency_per_year=5",
)


def optimised(loaded: LoadedModel) -> tuple[LoopResult, Plan]:
    outcome = optimize_and_verify(loaded.model, select(loaded.model).scenarios, EXACT)
    return outcome, outcome.plan(loaded, EXACT)


@pytest.fixture(scope="module")
def by_money() -> LoadedModel:
    return load_model("tiny", BY_MONEY)


@pytest.fixture(scope="module")
def money_plan(by_money: LoadedModel) -> Plan:
    return optimised(by_money)[1]


@pytest.fixture(scope="module")
def tiny() -> LoadedModel:
    return load_model("tiny", (SHORT,))


@pytest.fixture(scope="module")
def tiny_plan(tiny: LoadedModel) -> Plan:
    return optimised(tiny)[1]


@pytest.fixture(scope="module")
def prices(by_money: LoadedModel, money_plan: Plan) -> dict[tuple[str, str], Replanned]:
    inputs = [BY_NAME["gpu_price"], BY_NAME["surge"]]
    return {
        (one.input.attribute, one.side): one for one in replan(by_money, money_plan, inputs, EXACT)
    }


def only(one: Input, value: float) -> Input:
    """An input with one value beside today's."""
    return replace(one, low=1.0, high=value)


# ------------------------------------------------------------------------------------------ plans


def test_cheap_gpus_replace_cloud(prices: dict[tuple[str, str], Replanned]) -> None:
    cheap = prices["gpu_price", "low"]

    assert cheap.changed == (
        "east-gpus: 600 → 700 GPUs",
        "east-chillers/chiller-1: 5 → 6 units",
        "cloud: 54 → 42 instances",
    )
    assert cheap.survives
    assert cheap.regret_usd_per_year is not None
    assert cheap.regret_usd_per_year > 0


def test_dear_cloud_is_replaced_by_gpus(prices: dict[tuple[str, str], Replanned]) -> None:
    assert "cloud: 54 → 42 instances" in prices["surge", "high"].changed
    assert prices["surge", "low"].changed == ()


def test_dear_gpus_cost_more_and_change_nothing(
    prices: dict[tuple[str, str], Replanned], money_plan: Plan
) -> None:
    dear = prices["gpu_price", "high"]
    (cluster,) = [line for line in money_plan.gpus if line.added]

    assert dear.changed == ()
    assert dear.survives
    assert dear.regret_usd_per_year == 0
    assert dear.usd_per_year == dear.kept_usd_per_year
    assert dear.usd_per_year is not None
    assert dear.usd_per_year > money_plan.cost.usd_per_year
    # A fifth of 20,000 USD for each GPU bought.
    assert dear.capital_usd == pytest.approx(money_plan.cost.capital_usd + 4000 * cluster.added)


def test_the_change_is_one_that_the_command_line_takes(
    prices: dict[tuple[str, str], Replanned], money_plan: Plan
) -> None:
    """The same plan comes out of the model with the settings, the same regret out of --fix."""
    cheap = prices["gpu_price", "low"]
    free = load_model("tiny", (*BY_MONEY, *cheap.settings))
    added = {line.cluster: line.added for line in money_plan.gpus}
    units = {(line.plant, line.unit): line.added for line in money_plan.cooling}
    offers = {line.offer: line.instances_reserved for line in money_plan.emergency}
    held = [
        *(f"policies.fixed.gpus.{name}={count}" for name, count in added.items()),
        *(f"policies.fixed.cooling.{p}.{u}={count}" for (p, u), count in units.items()),
        *(f"policies.fixed.emergency.{name}={count}" for name, count in offers.items()),
    ]
    fixed = load_model("tiny", (*BY_MONEY, *cheap.settings, *held))

    cost, kept = (
        one.best.solution.objective
        for one in (optimised(free)[0], optimised(fixed)[0])
        if one.best is not None
    )
    assert cheap.settings == ("gpus.accelerator.capital_usd=16000.0",)
    assert cheap.usd_per_year == pytest.approx(cost)
    assert cheap.kept_usd_per_year == pytest.approx(kept)
    assert cheap.regret_usd_per_year == pytest.approx(kept - cost)


def test_a_plan_that_is_too_small_has_no_regret(tiny: LoadedModel, tiny_plan: Plan) -> None:
    less, more = replan(tiny, tiny_plan, [DEMAND], EXACT)

    assert less.changed == ("east-gpus: 800 → 700 GPUs",)
    assert less.kept_survives
    assert less.regret_usd_per_year is not None
    assert less.regret_usd_per_year > 0
    assert "east-gpus: 800 → 900 GPUs" in more.changed
    assert more.survives
    assert not more.kept_survives
    assert more.kept_usd_per_year is None
    assert more.regret_usd_per_year is None


def test_a_gap_within_which_plans_are_the_same(by_money: LoadedModel, money_plan: Plan) -> None:
    loose = SolverSettings(gap=0.05)
    (one,) = replan(by_money, money_plan, [only(BY_NAME["gpu_price"], 0.8)], loose)

    assert one.changed == ()
    assert one.regret_usd_per_year == 0


def test_a_plan_not_proven_is_searched_anew_first(by_money: LoadedModel, money_plan: Plan) -> None:
    thumb = money_plan.model_copy(
        update={
            "method": "rule-of-thumb",
            "emergency": tuple(
                line.model_copy(update={"instances_reserved": 60, "gpus_reserved": 480})
                for line in money_plan.emergency
            ),
        }
    )

    (one,) = replan(by_money, thumb, (), EXACT)

    assert (one.input, one.side, one.settings) == (UNCHANGED, "as planned", ())
    assert one.changed == ("cloud: 60 → 54 instances",)
    assert one.regret_usd_per_year == pytest.approx(6 * 24_000, rel=0.01)
    assert replan(by_money, money_plan, (), EXACT) == ()


def test_a_search_that_ends_dearer_is_no_reason_to_replan(
    tiny: LoadedModel, tiny_plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A search that asks for too much finds a dearer plan; the old one still does."""

    def cautious(
        model: Model, scenarios: tuple[Scenario, ...], *_: object, **__: object
    ) -> LoopResult:
        cut = SimulatedCut("surge", "served", "all", 0.1, (Gain("gpus", "east-gpus", 8, 1.0),))
        programme = build(ProblemData(model, scenarios, {}, learned=(cut,)))
        solution = solve(programme, EXACT)
        verdicts = judge(model, solution.fleet, scenarios, stories=False)
        items = cost_items(programme, solution)
        plain = replace(programme, data=programme.data.with_learned(()))
        return LoopResult((Round(1, plain, solution, lambda: items, verdicts),))

    monkeypatch.setattr(replanning, "optimize_and_verify", cautious)
    value = Input("outage value", "outage_value", "factor", 1.0, 1.001, "")

    (one,) = replan(tiny, tiny_plan, [value], EXACT)

    assert one.changed == ()
    assert one.kept_survives
    assert one.usd_per_year == pytest.approx(tiny_plan.objective_usd_per_year, rel=1e-4)
    assert one.regret_usd_per_year == 0


def test_scenarios_are_those_of_the_plan(by_money: LoadedModel, money_plan: Plan) -> None:
    calm = SelectionRecord(sets=("model",), excluded=("region-*",))
    plan = money_plan.model_copy(
        update={"model": money_plan.model.model_copy(update={"scenarios": calm})}
    )

    (one,) = replan(by_money, plan, [only(BY_NAME["gpu_price"], 1.001)], EXACT)

    assert "east-gpus: 600 → 400 GPUs" in one.changed


# ------------------------------------------------------------------------------------------- ends


def test_an_infeasible_change_has_no_plan(tiny: LoadedModel, tiny_plan: Plan) -> None:
    (one,) = replan(tiny, tiny_plan, [only(DEMAND, 10.0)], EXACT)

    assert one.note == "no plan meets every requirement"
    assert (one.changed, one.usd_per_year, one.capital_usd) == ((), None, None)
    assert not one.survives
    assert one.regret_usd_per_year is None


def test_replanning_returns_what_it_has_when_stopped(
    by_money: LoadedModel, money_plan: Plan
) -> None:
    stop, said = threading.Event(), []

    def report(text: str) -> None:
        said.append(text)
        if len(said) == 2:
            stop.set()

    found = replan(
        by_money, money_plan, [BY_NAME["gpu_price"]], SolverSettings(gap=0.0, stop=stop), report
    )

    assert [one.side for one in found] == ["low"]
    assert said[0] == "replanning 1 of 2: GPU price × 0.8"
    assert said[1].startswith("replanning 2 of 2: GPU price × 1.2, about ")


def test_a_search_that_was_stopped_does_not_count(
    by_money: LoadedModel, money_plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop = threading.Event()

    def cut(*arguments: Any, **_: Any) -> LoopResult:
        stop.set()
        return optimize_and_verify(*arguments[:2], EXACT)

    monkeypatch.setattr(replanning, "optimize_and_verify", cut)
    settings = SolverSettings(gap=0.0, stop=stop)

    assert replan(by_money, money_plan, [only(BY_NAME["gpu_price"], 1.2)], settings) == ()


def test_a_plan_that_the_simulation_refuses_is_not_kept(
    by_money: LoadedModel, money_plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: Any, **options: Any) -> tuple[Verdict, ...]:
        breach = Breach("served", "free", 5.0, 9.0, 0.9, 1.0, 0.1)
        found = judge(*arguments, **options)
        return tuple(replace(one, status="fails", breaches=(breach,)) for one in found)

    monkeypatch.setattr(replanning, "judge", refuse)
    (one,) = replan(by_money, money_plan, [only(BY_NAME["gpu_price"], 0.8)], EXACT)

    assert one.changed
    assert one.kept_usd_per_year is not None
    assert not one.kept_survives
    assert one.regret_usd_per_year is None


def test_a_time_limit_before_the_first_plan_gives_none(
    by_money: LoadedModel, money_plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    def late(*_: object, **__: object) -> LoopResult:
        raise SolverError("stopped without a plan")

    monkeypatch.setattr(replanning, "optimize_and_verify", late)
    one = [only(BY_NAME["gpu_price"], 0.8)]

    (found,) = replan(by_money, money_plan, one, replace(EXACT, time_limit_seconds=1.0))
    with pytest.raises(SolverError):
        replan(by_money, money_plan, one, EXACT)

    assert found.note == "no plan in time: stopped without a plan"
    assert found.usd_per_year is None


# ---------------------------------------------------------------------------------------- changes


@pytest.mark.parametrize("name", ["tiny", "chatgpt-2023", "hyperscaler-12"])
def test_changes_are_those_of_a_model_loaded_with_them(name: str) -> None:
    model = load_model(name).model
    for one in PLAN_INPUTS:
        base = model.finance.discount_rate if one.attribute == "discount_rate" else 1.0
        for value in one.values(base):
            changes = changes_for(model, one, value)
            assert changes
            settings = tuple(setting(path, new) for path, new in changes.items())
            assert changed(model, changes) == load_model(name, settings).model


def test_todays_values_change_nothing(tiny: LoadedModel) -> None:
    without = tiny.model.replace(offers={})

    for one in PLAN_INPUTS:
        today = tiny.model.finance.discount_rate if one.attribute == "discount_rate" else 1.0
        assert changes_for(tiny.model, one, today) == {}
    assert changes_for(without, BY_NAME["surge"], 2.0) == {}


def test_surge_prices_do_not_fall_below_the_list_price(tiny: LoadedModel) -> None:
    changes = changes_for(tiny.model, BY_NAME["surge"], 0.2)

    assert changes == {"offers.cloud.surge_multiplier": 1.0}


def frequencies(model: Model) -> dict[str, float]:
    return {one.name: one.frequency_per_year for one in all_scenarios(model)}


def test_a_failure_factor_raises_every_rate(tiny: LoadedModel) -> None:
    """Also families that keep to their own frequency; two units at once the more."""
    region = FamilyTerms(severity="region")
    model = tiny.model.replace(generators=tiny.model.generators.replace(region=region))
    before = frequencies(model)

    after = frequencies(changed(model, changes_for(model, BY_NAME["failure_rate"], 2.0)))

    times = {name: after[name] / before[name] for name in before}
    assert before["region-west"] == 0.03
    assert times == pytest.approx({name: 4.0 if "2-units" in name else 2.0 for name in before})
