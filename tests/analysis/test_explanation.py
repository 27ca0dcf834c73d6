"""Explanations say what independent solves and enumeration say."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
from optimization.drawing import drawn_model
from optimization.enumeration import World, cheapest, fleets
from support import EXACT, SHED_LATE, model_of

from planner.analysis.explanation import Explanation, UnmetPlanError, explain
from planner.analysis.marginal import (
    Difference,
    Questions,
    Removal,
    Study,
    last_worth,
    next_worth,
    one_by_one,
)
from planner.analysis.what_if import ask, settle, tightness, tightness_in_parts
from planner.errors import InputError
from planner.infrastructure.loading import LoadedModel, load_model
from planner.optimization.decomposition.parts import Decomposition
from planner.optimization.formulation.build import build
from planner.optimization.formulation.families import Family
from planner.optimization.formulation.problem import ProblemData
from planner.optimization.infeasibility.shortfalls import ShortfallProgramme
from planner.optimization.solution.decisions import Decision, counts, counts_of, variables
from planner.optimization.solution.solving import solve
from planner.plan.records import Plan
from planner.scenarios.generators import all_scenarios
from planner.verification import optimize_and_verify

#: Random models with a plan and few enough fleets to try them all.
SEEDS = (2, 7, 14, 22, 25, 42, 67)
USD = 2.0

#: A region of 100 GPUs at capacity; only the loss of region `a` asks for more than that.
TWO = """
regions: {a: {power_limit_mw: 9.0}, b: {power_limit_mw: 9.0}}
gpus: {g: {power_mw: 0.005, static_share: 0.5, rps: 1.0, capital_usd: 20000.0}}
clusters:
  ca: {region: a, gpu: g, existing_gpus: 100, block_gpus: 10, max_gpus: 200, max_utilisation: 1.0}
  cb: {region: b, gpu: g, existing_gpus: 0, block_gpus: 10, max_gpus: 200, max_utilisation: 1.0}
cooling_units: {u: {capacity_mw: 0.1, capital_usd: 1000.0}}
plants:
  pa: {region: a, cools: [ca], options: [u]}
  pb: {region: b, cools: [cb], options: [u]}
tiers: {t: {priority: 1, share: 1.0}}
zones: {z: {demand_rps: 100.0, latency_ms: {a: 1.0, b: 1.0}}}
standard: {region: [{tier: t, from_minute: 5, least_served: 1.0}]}
scenarios:
  lose-a: {severity: region, frequency_per_year: 0.1,
           events: [{kind: region, name: a, repair_minutes: 600}]}
  lose-a-again: {severity: region, frequency_per_year: 0.1, start_hour: 5,
                 events: [{kind: region, name: a, repair_minutes: 600}]}
"""


THREE = (
    TWO.replace("b: {power_limit_mw: 9.0}", "b: {power_limit_mw: LIMIT}, c: {power_limit_mw: 9.0, "
                "electricity_usd_per_mwh: 200.0}")
    .replace("cooling_units:", "  cc: {region: c, gpu: g, block_gpus: 10, max_gpus: 200, "
             "max_utilisation: 1.0}\ncooling_units:")
    .replace("tiers:", "  pc: {region: c, cools: [cc], options: [u]}\ntiers:")
    .replace("latency_ms: {a: 1.0, b: 1.0}", "latency_ms: {a: 1.0, b: 1.0, c: 1.0}")
)  # fmt: skip


def planned(loaded: LoadedModel) -> Plan:
    outcome = optimize_and_verify(loaded.model, all_scenarios(loaded.model), EXACT)
    return outcome.plan(loaded, EXACT)


@pytest.fixture(scope="module")
def tiny_planned(tiny: LoadedModel) -> Plan:
    return planned(tiny)


@pytest.fixture(scope="module")
def explained(tiny: LoadedModel, tiny_planned: Plan) -> Explanation:
    return explain(tiny_planned, tiny, all_scenarios(tiny.model), Questions(EXACT, 1000))


def optimum(loaded: LoadedModel, without: tuple[str, ...] = (), *overrides: str) -> float:
    model = load_model(loaded.name, overrides).model
    kept = tuple(scenario for scenario in all_scenarios(model) if scenario.name not in without)
    return solve(build(ProblemData(model, kept, {})), EXACT).objective


def test_bounds_leave_room_for_tolerances_and_digits(tiny: LoadedModel, tiny_planned: Plan) -> None:
    data = ProblemData(tiny.model, all_scenarios(tiny.model), {})
    solution = solve(build(data), EXACT)
    answer = ask(build(data), EXACT)
    assert solution.hidden > 0
    assert answer.bound == pytest.approx(solution.bound - solution.hidden, abs=1e-6)
    # The plan states cents and nine digits of its gap.
    assert 0 < answer.bound - tiny_planned.bound_usd_per_year < 0.02


def test_the_base_case_is_the_plan(explained: Explanation, tiny_planned: Plan) -> None:
    assert explained.agrees
    assert explained.cost_usd == pytest.approx(tiny_planned.objective_usd_per_year, abs=USD)
    assert explained.bound_usd == pytest.approx(explained.cost_usd, abs=USD)


def test_every_scenario_is_accounted_for_once(explained: Explanation, tiny: LoadedModel) -> None:
    names = {scenario.names[0] for scenario in explained.scenarios}
    assert names | set(explained.silent) | set(explained.covered) == {
        scenario.name for scenario in all_scenarios(tiny.model)
    }
    assert not set(explained.covered) & (names | set(explained.silent))
    assert explained.unasked == ()


def test_what_a_scenario_costs_is_the_difference_of_two_optima(
    explained: Explanation, tiny: LoadedModel
) -> None:
    whole = optimum(tiny)
    for scenario in explained.scenarios:
        assert scenario.saves.usd == pytest.approx(whole - optimum(tiny, scenario.names), abs=USD)
    found = {scenario.names[0]: scenario.saves.usd for scenario in explained.scenarios}
    for name in explained.silent:
        assert found.get(name, 0.0) == pytest.approx(whole - optimum(tiny, (name,)), abs=USD)
    for name in explained.covered:
        assert whole == pytest.approx(optimum(tiny, (name,)), abs=USD)
    every = explained.all_together
    assert every is not None
    assert every.saves.usd == pytest.approx(whole - optimum(tiny, every.names), abs=USD)
    assert max(scenario.forces.usd for scenario in explained.scenarios) > 1e6


def test_a_free_unit_saves_what_the_next_one_is_worth(
    explained: Explanation, tiny: LoadedModel
) -> None:
    worth = {note.decision: note.next for note in explained.decisions}
    for plant, unit in (("east-chillers", "chiller-3"), ("west-air", "air-1")):
        next_one = worth[Decision("cooling", f"{plant}/{unit}")]
        assert next_one is not None and next_one.value is not None
        free = optimum(tiny, (), f"plants.{plant}.existing.{unit}=1")
        assert next_one.value.usd == pytest.approx(explained.cost_usd - free, abs=USD)


def test_a_megawatt_more_saves_what_a_higher_limit_saves(
    explained: Explanation, tiny: LoadedModel
) -> None:
    for region, gain in explained.power.items():
        more = optimum(tiny, (), f"regions.{region}.power_limit_mw=13")
        assert gain is not None
        assert gain.usd == pytest.approx(optimum(tiny) - more, abs=USD)


def test_a_binding_power_limit_has_a_price(tmp_path: Path) -> None:
    """What region b has no power for stands in region c, whose electricity is dear."""
    costs = {}
    for limit in (0.3, 1.3):
        model = model_of(tmp_path, THREE.replace("LIMIT", str(limit)), name=f"three{limit}")
        costs[limit] = solve(build(ProblemData(model, all_scenarios(model), {})), EXACT).objective
    loaded = load_model(tmp_path / "three0.3.yaml")
    scenarios = all_scenarios(loaded.model)
    found = explain(planned(loaded), loaded, scenarios, Questions(EXACT, 1000))
    gains = {region: gain.usd for region, gain in found.power.items() if gain is not None}
    assert gains["b"] == pytest.approx(costs[0.3] - costs[1.3], abs=USD)
    assert gains["b"] > 1e4
    assert gains["a"] == gains["c"] == pytest.approx(0.0, abs=USD)
    assert ("power_limit", "b") in {(row.row.family, row.row.subject) for row in found.binding}


def test_last_is_worth_its_price_and_next_no_more(explained: Explanation) -> None:
    for note in explained.decisions:
        if note.last is not None and note.last.value is not None:
            assert note.last.value.usd >= note.price_usd - USD
        if note.next is not None and note.next.value is not None:
            assert note.next.value.usd <= note.price_usd + USD


@pytest.mark.parametrize("method", ["extensive", "decomposed"])
@pytest.mark.parametrize("seed", SEEDS)
def test_marginal_values_are_those_of_trying_every_fleet(
    seed: int, method: Literal["extensive", "decomposed"]
) -> None:
    model = drawn_model(seed)
    data = ProblemData(model, all_scenarios(model), {})
    programme = build(data)
    solution = solve(programme, EXACT)
    assert solution.status == "optimal"
    bought = counts(programme, solution.values)
    study = Study(
        data,
        programme,
        bought,
        solution,
        solution.bound,
        Questions(replace(EXACT, method=method), 1000),
    )
    world = World(model, data.scenarios)
    tried = [
        (counts_of(programme, fleet), world.fixed_cost(fleet) + world.running_cost(fleet))
        for fleet in fleets(model)
        if world.allows(fleet)
    ]

    def least(key: Decision, low: float, high: float) -> float:
        return min((usd for some, usd in tried if low <= some[key] <= high), default=math.inf)

    compared = 0
    for key, count in bought.items():
        if key.kind not in ("cooling", "gpus", "emergency"):
            continue
        high = programme_most(study, key)
        for worth, found, sign in (
            (last_worth(study, key) if count else None, least(key, 0, count - 1), 1),
            (next_worth(study, key) if count < high else None, least(key, count + 1, high), -1),
        ):
            if worth is None or worth.reason == "settled":
                continue
            assert (worth.value is not None) == math.isfinite(found), (key, worth)
            if worth.value is not None:
                wanted = study.prices[key] + sign * (found - study.cost)
                assert worth.value.usd == pytest.approx(wanted, rel=1e-5, abs=USD)
            compared += 1
    assert compared


def programme_most(study: Study, key: Decision) -> float:
    return variables(study.programme)[key].high or 0.0


@pytest.mark.parametrize("method", ["extensive", "decomposed"])
@pytest.mark.parametrize("seed", SEEDS)
def test_scenario_costs_are_those_of_enumeration(
    seed: int, method: Literal["extensive", "decomposed"]
) -> None:
    model = drawn_model(seed)
    scenarios = all_scenarios(model)
    data = ProblemData(model, scenarios, {})
    programme = build(data)
    solution = solve(programme, EXACT)
    bought = counts(programme, solution.values)
    study = Study(
        data,
        programme,
        bought,
        solution,
        solution.bound,
        Questions(replace(EXACT, method=method), 1000),
    )
    removals, unasked, silent = one_by_one(study, list(data.stages_by_scenario)[:1])
    assert not unasked
    saved = {removal.names[0]: removal.saves.usd for removal in removals}
    for scenario in scenarios:
        rest = tuple(kept for kept in scenarios if kept is not scenario)
        cost, _ = cheapest(model, rest)
        found = saved.get(scenario.name, 0.0)
        assert found == pytest.approx(study.cost - cost, rel=1e-5, abs=USD), scenario.name
    assert set(silent) <= {scenario.name for scenario in scenarios}


def test_scenarios_that_substitute_for_each_other_are_found_together(tmp_path: Path) -> None:
    (tmp_path / "two.yaml").write_text(TWO, encoding="utf-8")
    loaded = load_model(tmp_path / "two.yaml")
    scenarios = all_scenarios(loaded.model)
    found = explain(planned(loaded), loaded, scenarios, Questions(EXACT, 1000))
    assert all(not scenario.forces.certain for scenario in found.scenarios)
    assert found.all_together is not None
    assert found.all_together.forces.usd > 1e5
    note = next(note for note in found.decisions if note.decision == Decision("gpus", "cb"))
    assert note.fails is not None
    assert {failure.scenario for failure in note.fails} == {"lose-a", "lose-a-again"}


@pytest.mark.parametrize("seed", SEEDS)
def test_prices_in_parts_bound_what_other_purchases_cost(seed: int) -> None:
    """Reduced costs are slopes of a convex cost, and only rows without slack have a price."""
    model = drawn_model(seed)
    data = ProblemData(model, all_scenarios(model), {})
    programme = build(data)
    bought = counts(programme, solve(programme, EXACT).values)
    parts = Decomposition(data, EXACT)
    _, solution = settle(parts, bought, EXACT)
    assert parts.apart
    rows, reduced = tightness_in_parts(parts, solution, EXACT)
    whole, _ = tightness(programme, solution.values, EXACT)
    here, there = ({one.row for one in some} for some in (rows, whole))
    assert here <= there  # budgets that nothing can exceed are not asked for in parts
    assert {row.family for row in there - here} <= {Family.EMERGENCY_BUDGET}
    assert all(one.tight for one in rows if one.price * max(1.0, abs(one.row.amount)) > USD)
    compared = 0
    for key, count in bought.items():
        for more in (-1, 1):
            chosen = variables(parts.base)[key]
            if not chosen.low <= count + more <= chosen.high:
                continue
            _, other = settle(parts, bought | {key: count + more}, EXACT)
            if other.status != "infeasible":
                compared += 1
                assert other.objective >= solution.objective + more * reduced[key] - USD
    assert compared


@pytest.mark.parametrize("text", [TWO, THREE.replace("LIMIT", "0.3")])
def test_explanation_in_parts_is_that_in_one_piece(tmp_path: Path, text: str) -> None:
    (tmp_path / "model.yaml").write_text(text, encoding="utf-8")
    loaded = load_model(tmp_path / "model.yaml")
    scenarios, plan = all_scenarios(loaded.model), planned(loaded)
    whole, parts = (
        explain(plan, loaded, scenarios, Questions(replace(EXACT, method=method), 1000))
        for method in ("extensive", "decomposed")
    )
    assert any(note.fails for note in whole.decisions)
    for one, other in zip(whole.decisions, parts.decisions, strict=True):
        assert one.decision == other.decision
        assert str(one.fails) == str(other.fails)
        assert other.earns_usd == pytest.approx(one.earns_usd, abs=USD)
    assert parts.solves == whole.solves
    assert parts.power.keys() == whole.power.keys()
    gains = [
        *((one, parts.power[region]) for region, one in whole.power.items()),
        *(
            (one.saves, other.saves)
            for one, other in zip(whole.requirements, parts.requirements, strict=True)
        ),
    ]
    assert gains
    for one_gain, other_gain in gains:
        assert one_gain is not None
        assert other_gain is not None
        assert other_gain.usd == pytest.approx(one_gain.usd, abs=USD)


def test_one_less_names_the_requirement_that_fails(tmp_path: Path) -> None:
    model = model_of(tmp_path, TWO)
    data = ProblemData(model, all_scenarios(model), {})
    programme = build(data)
    bought = counts(programme, solve(programme, EXACT).values)
    elastic = ShortfallProgramme(build(data), EXACT)
    assert elastic.missed(bought) == ()
    short = elastic.missed({**bought, Decision("gpus", "cb"): 8})
    assert short is not None
    assert {(failure.family, failure.subject) for failure in short} == {("served_floor", "t")}
    assert all(failure.amount == pytest.approx(20.0) for failure in short)
    cool = elastic.missed({**bought, Decision("cooling", "pb/u"): 4})
    assert cool is not None
    assert [(failure.family, failure.amount) for failure in cool] == [
        ("design_heat", pytest.approx(0.1))
    ]


def test_solves_and_what_was_not_asked_are_counted(tiny: LoadedModel, tiny_planned: Plan) -> None:
    said: list[str] = []
    questions = Questions(EXACT, 2, progress=said.append)
    found = explain(tiny_planned, tiny, all_scenarios(tiny.model), questions)
    solves = [text for text in said if text.startswith("solve ")]
    assert (found.solves, len(solves)) == (2, 2)
    assert found.solves_wanted > 2
    none = explain(tiny_planned, tiny, all_scenarios(tiny.model), Questions(EXACT, 0))
    assert none.scenarios == ()
    assert set(none.unasked) == {
        scenario.name for scenario in all_scenarios(tiny.model) if scenario.name not in none.covered
    }
    assert [note.fails for note in none.decisions] == [
        replace(note, last=None, next=None).fails for note in found.decisions
    ]


def test_a_difference_is_certain_where_its_bounds_have_one_sign() -> None:
    assert not Difference(10.0, -5.0, 20.0).certain
    assert Difference(10.0, 5.0, 20.0).certain
    removal = Removal(("s",), Difference(10.0, 5.0, 20.0), 8.0, {})
    assert removal.forces == Difference(2.0, -3.0, 12.0)


def test_what_was_learned_and_what_it_buys_is_listed(tmp_path: Path) -> None:
    """The first plan relies on operators who shed late: GPUs are bought instead."""
    (tmp_path / "shed.yaml").write_text(SHED_LATE, encoding="utf-8")
    loaded = load_model(tmp_path / "shed.yaml")
    scenarios = all_scenarios(loaded.model)
    outcome = optimize_and_verify(loaded.model, scenarios, EXACT)
    plan = outcome.plan(loaded, EXACT)
    found = explain(plan, loaded, scenarios, Questions(EXACT, 1000))
    first, rounds, best = found.first_round, outcome.rounds, outcome.best
    assert found.agrees
    assert first is not None and first.bought_usd is not None and best is not None
    assert first.failed == rounds[0].failed == ("loss",)
    assert "minute" in first.breaches["loss"]
    assert first.learned == plan.verification.learned
    assert {line.scenario for line in first.learned} == {"loss"}
    assert all(line.short > 0 and line.makes_up["second"] > 0 for line in first.learned)
    extra = best.solution.objective - rounds[0].solution.objective
    assert first.bought_usd.usd == pytest.approx(extra, abs=USD)
    more = best.solution.fleet.gpus["second"] - rounds[0].solution.fleet.gpus["second"]
    assert first.changes[Decision("gpus", "second")] * 50 == more > 0


def test_a_plan_that_does_not_meet_its_model_is_refused(
    tiny_planned: Plan,
) -> None:
    harder = load_model("tiny", ("zones.west-users.demand_rps=1500",))
    with pytest.raises(UnmetPlanError, match="does not meet") as caught:
        explain(tiny_planned, harder, all_scenarios(harder.model), Questions(EXACT, 1000))
    assert caught.value.exit_code == 3


def test_a_changed_model_is_reported(tiny_planned: Plan) -> None:
    dearer = load_model("tiny", ("offers.cloud.retainer_usd_per_instance_year=30000",))
    questions = Questions(EXACT, 1000)
    found = explain(tiny_planned, dearer, all_scenarios(dearer.model), questions)
    assert not found.agrees
    assert found.bound_usd <= found.cost_usd


def test_parts_of_blocks_are_refused(tiny: LoadedModel, tiny_planned: Plan) -> None:
    lines = [
        line.model_copy(update={"added": line.added + 50, "total": line.total + 50})
        if line.cluster == "east-gpus"
        else line
        for line in tiny_planned.gpus
    ]
    edited = tiny_planned.model_copy(update={"gpus": tuple(lines)})
    with pytest.raises(InputError, match="not whole blocks of 100"):
        explain(edited, tiny, all_scenarios(tiny.model), Questions(EXACT, 0))
