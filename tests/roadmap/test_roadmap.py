"""Roadmaps: the tree, the programme, bridges, money, what is recorded."""

from __future__ import annotations

import difflib
import json
import math
import os
import signal
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from optimization.test_golden import SENSES
from support import EXACT, SHED_LATE, model_of
from test_every_hour import DAY, fails_somewhere

from planner.commands.options import Output
from planner.errors import InputError, SolverError
from planner.infrastructure.entities import Model
from planner.infrastructure.horizon import Horizon, PowerStep
from planner.infrastructure.loading import LoadedModel, load_model
from planner.optimization.decomposition.size import TooLarge
from planner.optimization.formulation.algebra import Expression
from planner.optimization.formulation.build import build
from planner.optimization.formulation.labels import label
from planner.optimization.formulation.problem import ProblemData
from planner.optimization.formulation.simulated import Gain, SimulatedCut
from planner.optimization.solution import solving
from planner.optimization.solution.deadline import Deadline, OutOfTime
from planner.optimization.solution.decisions import limited
from planner.optimization.solution.settings import SolverSettings
from planner.optimization.solution.solving import Solution, solve
from planner.plan.files import parse_plan
from planner.roadmap.assembly import node_model
from planner.roadmap.bridge import last_bridging_period
from planner.roadmap.build import ScenariosAt, build_roadmap
from planner.roadmap.cash import present_value
from planner.roadmap.comparison import compare_roadmaps
from planner.roadmap.delays import cost_of, delay_of
from planner.roadmap.files import parse_roadmap, read_roadmap, write_roadmap
from planner.roadmap.infeasible import why_none
from planner.roadmap.making import make, orders_of
from planner.roadmap.parts import RoadmapParts
from planner.roadmap.planning import _Planning, plan_roadmap, planned
from planner.roadmap.pricing import NodeOutcome, Selections
from planner.roadmap.programme import OrderKey, RoadmapProgramme
from planner.roadmap.records import CashFlowRecord, Roadmap
from planner.roadmap.result import RoadmapResult
from planner.roadmap.solving import RoadmapLoop, relaxed_cost, solve_roadmap
from planner.roadmap.tree import changes_at, demand_factor, line_of, tree
from planner.scenarios.generators import all_scenarios
from planner.selection import Wanted
from planner.verification import optimize_and_verify
from tests.roadmap.conftest import Told

Made = tuple[RoadmapResult, Roadmap]
GOLDEN = Path(__file__).parent / "golden" / "orders.txt"


def least_cost(
    model: Model, method: str = "decomposed", scenarios: ScenariosAt = all_scenarios
) -> float:
    """Cost of the cheapest roadmap of some scenarios, USD; infinite without one."""
    made = build_roadmap(model, scenarios)
    settings = replace(EXACT, method=method)
    return solve_roadmap(RoadmapParts(made.base.data, settings, roadmap=made), settings).objective


def with_horizon(model: Model, **fields: object) -> Model:
    return model.replace(horizon=Horizon(start="2026-01", **fields))


# The tree


def test_paths_share_nodes_as_long_as_they_are_the_same():
    horizon = Horizon(
        start="2026-01",
        periods=4,
        paths={
            "low": {"probability": 0.5, "from_period": 2},
            "high": {"probability": 0.2, "from_period": 3},
            "crash": {"probability": 0.3, "from_period": 4, "follows": "high"},
        },
    )
    nodes = tree(horizon, 0.0)
    assert {name: node.paths for name, node in nodes.items()} == {
        "p1": ("low", "high", "crash"),
        "p2-low": ("low",),
        "p2": ("high", "crash"),
        "p3-low": ("low",),
        "p3-high": ("high", "crash"),
        "p4-low": ("low",),
        "p4-high": ("high",),
        "p4-crash": ("crash",),
    }
    assert [one.name for one in line_of(nodes, nodes["p4-crash"])] == [
        "p1", "p2", "p3-high", "p4-crash",
    ]  # fmt: skip
    for period in range(1, 5):
        chances = [one.probability for one in nodes.values() if one.period == period]
        assert sum(chances) == pytest.approx(1)


def test_growth_of_a_path_goes_on_from_the_period_before():
    horizon = Horizon(
        start="2026-01",
        periods=4,
        growth={"demand": {"per_year": 0.1}, "tiers": {"t": {"by_period": [1.0, 2.0]}}},
        paths={"only": {"probability": 1.0, "from_period": 3,
                        "growth": {"zones": {"z": {"by_period": [1.5, 1.6]}}}}},
    )  # fmt: skip
    factors = [demand_factor(horizon, b, p, "zones", "z") for b, p in [("", 2), ("only", 3)]]
    assert factors == pytest.approx([1.1, 1.1 * 1.5])
    assert demand_factor(horizon, "only", 4, "zones", "z") == pytest.approx(1.1 * 1.6)
    assert demand_factor(horizon, "only", 4, "tiers", "t") == 2.0


def test_the_model_of_a_node_has_its_demand_prices_power_and_ages(tmp_path: Path) -> None:
    model = model_of(
        tmp_path,
        """
extends: tiny
clusters: {west-gpus: {existing_age_years: 4.0}}
horizon:
  start: 2026-01
  periods: 3
  growth: {demand: {per_year: 0.5}, tiers: {free: {by_period: [1.0, 3.5]}}}
  prices: {gpus: {accelerator: {per_year: -0.5}}, electricity: {per_year: 0.1}}
  power: [{region: west, from_period: 2, firm_mw: 9.0, flexible_mw: 4.0}]
""",
    )
    nodes = tree(model.horizon, 0.08)
    later = changes_at(model, nodes["p2"])
    assert later["tiers.free.share"] == pytest.approx(0.7)
    assert later["zones.west-users.demand_rps"] == pytest.approx(700 * 1.5 * 2.0)
    assert later["gpus.accelerator.capital_usd"] == 10_000.0
    assert later["gpus.accelerator.existing_capital_usd"] == 20_000.0
    assert later["regions.west.electricity_usd_per_mwh"] == pytest.approx(88)
    assert later["regions.west.power_limit_mw"] == 9.0
    assert later["clusters.west-gpus.existing_gpus"] == 0
    assert "clusters.west-gpus.existing_gpus" not in changes_at(model, nodes["p1"])


# The programme


@pytest.mark.parametrize("method", ["decomposed", "extensive"])
def test_one_period_is_the_plan_of_today(tiny: LoadedModel, method: str) -> None:
    plan = solve(build(ProblemData(tiny.model, all_scenarios(tiny.model), {})), EXACT)
    roadmap = least_cost(with_horizon(tiny.model, periods=1), method)
    assert roadmap * 1.08 == pytest.approx(plan.objective, rel=1e-9)


def test_in_one_piece_it_costs_the_same(growing: LoadedModel) -> None:
    horizon = growing.model.horizon.replace(order_months={}, periods=3)
    model = growing.model.replace(horizon=horizon)
    assert least_cost(model, "extensive") == pytest.approx(least_cost(model), rel=1e-6)


def test_orders_cost_what_the_whole_programme_says_with_them() -> None:
    """Also where recourse needs what plants of several sizes carry after losses of their own."""
    hot = "generators.heat_wave_unit={severity: common, frequency_per_year: 0.1, repair_hours: 24}"
    model = load_model("tiny", (hot,)).model
    model = with_horizon(model, periods=2, growth={"demand": {"per_year": 0.1}})
    result = plan_roadmap(model, EXACT)
    nodes = result.roadmap.nodes
    assert any("heat-wave-unit" in name for each in nodes.values() for name in each.data.by_name)
    settings, made = replace(EXACT, method="extensive"), build_roadmap(model, all_scenarios)
    parts = RoadmapParts(made.base.data, settings, roadmap=made)
    parts.lay_out(Deadline(settings))
    with limited({x: (float(result.orders.get(k, 0)),) * 2 for k, x in made.orders.items()}):
        whole = solve_roadmap(parts, settings)
    outcomes = {nodes[name].node.weight: found for name, found in result.outcomes.items()}
    routing = sum(w * one.made.solution.routing_usd_per_year for w, one in outcomes.items())
    assert result.solution.objective == pytest.approx(whole.objective + routing, rel=1e-9)
    assert not any(one.made.programme.data.waived for one in outcomes.values())


def test_flexible_power_serves_as_long_as_nothing_has_failed(tiny: LoadedModel) -> None:
    def cost(flexible_mw: float, scenarios: ScenariosAt) -> float:
        power = [{"region": "west", "from_period": 1, "firm_mw": 3, "flexible_mw": flexible_mw}]
        return least_cost(with_horizon(tiny.model, periods=1, power=power), scenarios=scenarios)

    assert math.isinf(cost(0, lambda _: ()))
    assert math.isfinite(cost(3, lambda _: ()))
    assert math.isinf(cost(3, all_scenarios))


@pytest.mark.parametrize(("months", "periods"), [(0.0, 1), (12.0, 2)])
def test_a_reservation_is_in_service_for_its_term(
    growing: LoadedModel, months: float, periods: int
) -> None:
    terms = {"cloud": months} if months else {}
    horizon = growing.model.horizon.replace(periods=3, paths={}, reserved_months=terms)
    model = growing.model.replace(horizon=horizon)
    made, solution = planned(model, Selections(None), EXACT, {}, 0)
    ordered = [
        solution.values[made.orders[OrderKey(name, "emergency", "cloud")].name]
        for name in made.nodes
    ]
    assert ordered[0] > 0
    for index, each in enumerate(made.nodes.values()):
        there = solution.values[each.programme.purchases.instances["cloud"].name]
        assert there == sum(ordered[max(0, index + 1 - periods) : index + 1])


def test_nothing_gets_cheaper_by_longer_leads_or_smaller_budgets(tiny: LoadedModel) -> None:
    ready = tiny.model.replace(
        plants={
            name: plant.replace(existing={"air-1": 9} if plant.role == "emergency" else
                                {"chiller-3": 4, "chiller-1": 6})
            for name, plant in tiny.model.plants.items()
        },
        clusters={n: c.replace(existing_gpus=1200) for n, c in tiny.model.clusters.items()},
    )  # fmt: skip
    growth = {"demand": {"per_year": 0.15}}
    costs = [
        least_cost(
            with_horizon(ready, periods=3, growth=growth, order_months={"gpus": m, "cooling": m})
        )
        for m in (0, 12)
    ]
    assert costs[0] <= costs[1] * (1 + 1e-9)
    budgets = [
        least_cost(with_horizon(ready, periods=3, growth=growth, capital_budgets_usd={"2027": usd}))
        for usd in (1e9, 1e7, 0.0)
    ]
    assert budgets[0] <= budgets[1] * (1 + 1e-9) <= budgets[2] * (1 + 2e-9)


def test_no_two_columns_or_rows_of_the_nodes_have_a_name(growing: LoadedModel) -> None:
    problem = build_roadmap(growing.model, all_scenarios).base.problem
    for named in (problem.variables, problem.constraints):
        assert len({one.name for one in named}) == len(named)


def test_rows_that_couple_nodes_are_golden(growing: LoadedModel) -> None:
    horizon = growing.model.horizon.replace(
        periods=3,
        capital_budgets_usd={"2027": 2e7},
        reserved_months={"cloud": 12.0},
        construction={"clusters": {"west-gpus": 300}, "regions": {"east": 500}},
    )
    west = growing.model.clusters["west-gpus"].replace(existing_age_years=4.0, may_retire=True)
    clusters = {**growing.model.clusters, "west-gpus": west}
    made = build_roadmap(growing.model.replace(horizon=horizon, clusters=clusters), lambda _: ())
    now = _text(made)
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.write_text(now)
    before = GOLDEN.read_text()
    changes = difflib.unified_diff(before.splitlines(), now.splitlines(), lineterm="")
    assert not (found := "\n".join(changes)), found


def _text(made: RoadmapProgramme) -> str:
    families = ("in_service", "halls", "retired_stay", "construction", "capital_budget")
    rows = [
        f"{row.name}: {_sum(row.expression)} {SENSES[row.sense]} {-row.constant:.12g}"
        for row in made.base.problem.constraints
        if row.name.startswith(families)
    ]
    return "\n".join(rows) + "\n"


def _sum(expression: Expression) -> str:
    return " ".join(f"{factor:+.12g} {variable.name}" for variable, factor in expression.items())


def test_orders_of_one_node_are_fixed_and_taken_up(growing: LoadedModel, made: Made) -> None:
    result, roadmap = made
    decided = {key: n for key, n in orders_of(roadmap).items() if key.node == "p1"}
    more = {**decided, OrderKey("p1", "cooling", "east-chillers/chiller-1"): 9}
    again = plan_roadmap(growing.model, EXACT, decided=more, start=result.orders, decided_periods=1)
    kept = {key: count for key, count in again.orders.items() if key.node == "p1"}
    assert kept == more
    assert again.solution.objective >= result.solution.objective
    assert (again.decided, again.decided_periods) == (more, 1)
    nothing = plan_roadmap(growing.model, EXACT, decided={}, decided_periods=2)
    assert not nothing.feasible
    assert why_none(growing.model, nothing, EXACT).period == 3


# Bridges and simulation


def test_what_no_order_meets_in_time_is_bridged_and_shown(made: Made) -> None:
    result, roadmap = made
    first, last = roadmap.nodes[0], roadmap.nodes[-1]
    assert [one.subject for one in first.shortfalls] == ["west-gpus", "east-gpus"]
    assert set(first.failed) <= set(first.bridged)
    assert "region-west" in first.failed
    assert result.outcomes["p1"].fleet.instances["cloud"] > 0
    assert not last.bridged
    assert not last.failed
    assert last.judged == last.survived > 0
    assert roadmap.survives


def test_what_fails_its_simulation_is_learned_from(tmp_path: Path) -> None:
    model = model_of(tmp_path, SHED_LATE)
    survivor = optimize_and_verify(model, all_scenarios(model), EXACT).best
    assert survivor is not None
    one = plan_roadmap(with_horizon(model, periods=1), EXACT)
    assert (one.rounds, one.survives) == (2, True)
    assert one.roadmap.nodes["p1"].data.learned
    yearly = one.solution.objective * (1 + model.finance.discount_rate)
    assert yearly == pytest.approx(survivor.objective_usd_per_year)
    growing = with_horizon(model, periods=2, growth={"demand": {"per_year": 0.1}})
    two = plan_roadmap(growing, EXACT)
    assert two.survives
    assert two.solution.bound < one.solution.objective < two.solution.objective
    _, roadmap = make(replace(load_model("tiny"), model=growing), EXACT)
    assert roadmap is not None
    assert all(plan.verification.learned for plan in roadmap.plans.values())


def test_hours_at_which_a_node_fails_are_planned_for() -> None:
    wanted = Wanted(only=("region-west", "surge"))
    loaded = load_model("tiny", DAY)
    model = with_horizon(loaded.model, periods=1)
    result, roadmap = make(replace(loaded, model=model), SolverSettings(gap=0.01), wanted)
    assert roadmap is not None
    plan = roadmap.plans["p1"]
    assert roadmap.survives
    assert roadmap.rounds > 1
    assert plan.verification.left_out
    assert plan.model.scenarios is not None and plan.model.scenarios.also
    assert not fails_somewhere(loaded.model, result.outcomes["p1"].fleet)
    assert 0 <= roadmap.bound_usd < roadmap.npv_usd < 10e6  # a plan of one year: 10.0 M USD


def test_cuts_that_leave_no_roadmap_are_conceded(growing: LoadedModel) -> None:
    said: list[str] = []
    planning = _Planning(growing.model, EXACT, Selections(None), said.append, {}, 0)
    planning.simulate(planning.solved(None))
    nodes, bound = planning.roadmap.nodes, planning.bound_usd
    waived = planning.parts.asked["p1"].waived
    planning._join("p1", ())
    assert waived.items() <= planning.parts.asked["p1"].waived.items()
    scenarios = [each.name for each in nodes["p1"].data.scenarios]
    late, kept, other = [name for name in scenarios if name not in planning.not_planned["p1"]][:3]
    for node, scenario, share in (("p1", late, 1e-9), ("p1", kept, 1.0), ("p3-low", other, 1e-9)):
        cut = SimulatedCut(scenario, "tier", "all", 1.0, (Gain("emergency", "cloud", 0, share),))
        each = nodes[node]
        each.data = each.data.with_learned((*each.data.learned, cut))
    planning.roadmap.learn_anew()
    assert planning.solved(None).status == "optimal"
    assert planning.not_planned["p1"] >= {late}
    assert "p3-low" not in planning.not_planned
    assert [name for name, _ in planning.roadmap.learned()] == [f"p1/{kept}"]
    assert planning.best is not None
    assert all(
        o.not_planned == planning.not_planned.get(n, frozenset())
        for n, o in planning.best[1].items()
    )
    assert planning.best[2] == planning.bound_usd <= bound


def test_a_round_that_does_no_better_makes_the_next_gap_finer() -> None:
    failing = SimpleNamespace(missed=("loss",))
    state: Any = SimpleNamespace(
        roadmap=SimpleNamespace(nodes={"p1": None}), deadline=SimpleNamespace(over=False),
        parts=SimpleNamespace(failing=frozenset(), by_period=False), best=None, bound_usd=0.0,
        gap=0.01,
        _simulated=lambda *_: failing,
    )  # fmt: skip
    gaps = []
    for cost in (3.0, 2.0, 4.0, 2.0, 5.0, 6.0, 7.0):
        solved: Any = SimpleNamespace(objective=cost)
        _Planning.simulate(state, solved)
        gaps.append(state.gap)
    assert gaps == pytest.approx([0.01, 0.01, 0.0025, 0.000625, 0.00015625, 1e-4, 1e-4])
    assert state.best[0].objective == 2.0


def test_time_over_in_the_relaxation_leaves_orders_rounded_up(
    growing: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def over(loop: RoadmapLoop) -> None:
        loop.deadline = Deadline(replace(EXACT, time_limit_seconds=1e-9))
        raise OutOfTime

    monkeypatch.setattr(RoadmapLoop, "_whole", over)
    model = with_horizon(growing.model, periods=2, growth={"demand": {"per_year": 0.2}})
    made = build_roadmap(model, all_scenarios)
    found = solve_roadmap(RoadmapParts(made.base.data, EXACT, roadmap=made), EXACT)
    assert found.status == "feasible"
    assert found.objective > found.bound
    assert all(found.values[x.name].is_integer() for x in made.orders.values())
    monkeypatch.setattr(RoadmapLoop, "late", Deadline(replace(EXACT, time_limit_seconds=1e-9)))
    with pytest.raises(SolverError, match="time ended without a plan"):
        solve_roadmap(RoadmapParts(made.base.data, EXACT, roadmap=made), EXACT)


def test_a_fifth_of_the_time_is_kept_for_the_first_roadmap(growing: LoadedModel) -> None:
    made = build_roadmap(growing.model, all_scenarios)
    limited_to = replace(EXACT, time_limit_seconds=100.0)
    parts = RoadmapParts(made.base.data, limited_to, roadmap=made)
    left = [
        RoadmapLoop(parts, limited_to, None, False, needed).deadline.left_seconds
        for needed in (True, False)
    ]
    assert left == pytest.approx([80.0, 100.0], abs=1.0)


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.parametrize(
    ("moment", "code"), [("looking for cheaper", 5), ("round 1: 2 fail", 5), ("what it is", 0)]
)
def test_a_signal_ends_it_at_once_with_what_is_known(
    told: Told, growing_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    moment: str, code: int,
) -> None:  # fmt: skip
    """No solver runs after it, and nothing is priced by anything but what was solved."""
    path, solves, say, real = tmp_path / "shed.yaml", [], Output.say, solving._run_solver
    path.write_text(f"{SHED_LATE}\nhorizon: {{start: 2026-01, period: year, periods: 2}}\n")

    def interrupt(output: Output, text: str) -> None:
        say(output, text)
        if text.strip().startswith(moment) and not solves:
            solves.append("signal")
            signal.raise_signal(signal.SIGTERM)

    def counted(*arguments: Any) -> Any:
        solves.extend(["solve"] if solves else [])
        return real(*arguments)

    monkeypatch.setattr(Output, "say", interrupt)
    monkeypatch.setattr(solving, "_run_solver", counted)
    model = growing_file if code == 0 else path
    ended, out, err = told("roadmap", model, "-o", tmp_path / "out", "--json")
    assert (ended, solves) == (code, ["signal"]), err
    found = json.loads(out)
    assert found["stopped"] == (None if code == 0 else "interrupted")
    assert found["exact"] == (moment != "round 1: 2 fail")
    assert parse_roadmap(tmp_path / "out").npv_usd == found["npv_usd"]


def test_only_what_nothing_can_replace_has_to_be_bridged(growing: LoadedModel) -> None:
    def last(**terms: object) -> int:
        horizon = growing.model.horizon.replace(order_months=terms)
        return last_bridging_period(growing.model, horizon)

    assert last(gpus=3.0, halls=12.0, cooling=12.0) == 2
    assert last(cooling=18.0) == 3
    # Another type of unit is there at once, and so are the GPUs of the other cluster.
    assert last(types={"chiller-3": 18.0}, entities={"west-gpus": 18.0}) == 0
    assert last(emergency=18.0) == 0


def test_gpus_are_bounded_where_no_halls_arrive(made: Made) -> None:
    """What may be in service at most decides what nothing meets in time."""
    nodes = made[0].roadmap.nodes
    most = {name: each.programme.purchases.blocks["west-gpus"].high for name, each in nodes.items()}
    assert most["p1"] == most["p2"] == 0 < most["p3-low"]


def test_nothing_is_in_service_before_its_lead_time(made: Made) -> None:
    result, roadmap = made
    for order in roadmap.orders:
        node = next(one for one in roadmap.nodes if one.name == order.node)
        assert node.start <= order.order_by
        months = {"gpus": 3, "halls": 12, "cooling": 12}.get(order.kind, 0)
        year, month = map(int, order.order_by.split("-"))
        there = 12 * year + month + months
        assert order.in_service == f"{(there - 1) // 12}-{(there - 1) % 12 + 1:02d}"
    assert result.outcomes["p1"].fleet.gpus == {"west-gpus": 1000, "east-gpus": 400}


# Money


def test_cash_flows_add_up_to_the_cost(made: Made) -> None:
    result, roadmap = made
    chances = {node.name: node.probability for node in roadmap.nodes}
    worth = present_value(roadmap.cash_flows, chances, result.roadmap.rate)
    assert worth == pytest.approx(roadmap.npv_usd, rel=1e-6)
    capital = sum(
        chances[one.node] * one.usd for one in roadmap.cash_flows if one.category == "capital"
    )
    orders = sum(chances[order.node] * order.capital_usd for order in roadmap.orders)
    assert capital == pytest.approx(orders)
    assert roadmap.bound_usd <= roadmap.npv_usd <= roadmap.bound_usd * (1 + 2e-4)


def test_an_order_that_cannot_wait_says_so_and_others_have_a_price(made: Made) -> None:
    result, roadmap = made
    examined = {order.delay: order for order in roadmap.orders if order.delay != "not examined"}
    first = examined["impossible"]
    assert first.latest_order_by == first.order_by
    assert "a GPU more is worth" in roadmap.regions[0].reason
    later = OrderKey("p2", "halls", "west-gpus")
    assert later in result.orders
    endless = Deadline(EXACT)
    assert delay_of(result, later, cost_of(result, endless), endless)[0] > 0


def test_a_gpu_more_saves_at_most_its_worth_and_one_less_costs_at_least_it(
    growing: LoadedModel,
) -> None:
    """The worth is a subgradient of the cost of the relaxation, which is convex."""
    horizon = growing.model.horizon.replace(order_months={}, periods=3)
    made = build_roadmap(growing.model.replace(horizon=horizon), all_scenarios)
    parts = RoadmapParts(made.base.data, EXACT, roadmap=made)
    before = relaxed_cost(parts.beside(), EXACT)
    parts.note_worth()
    (node, cluster), usd = max(parts.worth_usd.items(), key=lambda one: one[1])
    name = label("in_service", node, "gpus", cluster)
    row = next(row for row in made.base.problem.constraints if row.name == name)
    for blocks in (1.0, -1.0):
        row.expression.constant -= blocks
        gpus = blocks * growing.model.clusters[cluster].block_gpus
        least = before - made.nodes[node].node.weight * usd * gpus
        after = relaxed_cost(parts.beside(), EXACT)
        row.expression.constant += blocks
        assert after >= least - 2e-6 * before
        assert blocks > 0 or after > before * 1.0001


def test_perfect_information_is_worth_something(made: Made) -> None:
    values = made[1].value_of_paths
    assert values is not None
    assert values.perfect_information_usd > 0


# Files


def test_a_roadmap_is_read_as_it_was_written(
    growing: LoadedModel, made: Made, tmp_path: Path
) -> None:
    result, roadmap = made
    files = write_roadmap(roadmap, tmp_path / "out")
    assert {"roadmap.json", "calendar.csv", "capacity.csv"} <= {file.name for file in files}
    assert parse_roadmap(tmp_path / "out").orders == roadmap.orders
    node = parse_plan(tmp_path / "out" / "p4-high")
    again = load_model(growing.file, node.model.overrides).model
    assert again == node_model(growing, result, "p4-high").model
    assert node.fleet(again) == result.outcomes["p4-high"].fleet


def test_a_roadmap_of_another_model_is_refused(growing: LoadedModel, made: Made, tmp_path: Path):
    write_roadmap(made[1], tmp_path)
    file = tmp_path / "roadmap.json"
    data = json.loads(file.read_text())
    data["orders"][0]["node"], data["orders"][1]["asset"] = "p9", "moon"
    file.write_text(json.dumps(data))
    with pytest.raises(InputError, match="is not the file that was written"):
        read_roadmap(tmp_path, growing)
    (tmp_path / "SHA256SUMS").unlink()
    with pytest.raises(InputError) as caught:
        read_roadmap(tmp_path, growing)
    said = str(caught.value)
    assert "the model has no node `p9`" in said
    assert "`moon` to order" in said
    file.write_text("{}")
    with pytest.raises(InputError, match="is not a roadmap"):
        parse_roadmap(file)


def test_two_roadmaps_are_compared(growing_file: Path, made: Made, tmp_path: Path) -> None:
    roadmap = made[1]
    first = next(order for order in roadmap.orders if order.kind == "halls")
    later = first.model_copy(update={"order_by": "2026-04"})
    orders = tuple(later if order is first else order for order in roadmap.orders)
    path = f"{growing_file}"
    overrides = ("zones.west-users.demand_rps=710",)
    model = roadmap.model.model_copy(update={"path": path, "overrides": overrides})
    plans = {
        name: plan.model_copy(
            update={
                "model": plan.model.model_copy(
                    update={"path": path, "overrides": (*overrides, *plan.model.overrides)}
                )
            }
        )
        for name, plan in roadmap.plans.items()
    }
    paid = CashFlowRecord(node="p1", month=0, category="capital", asset="more", usd=1e6)
    flows = (*roadmap.cash_flows, paid)
    changed = {"orders": orders, "npv_usd": roadmap.npv_usd + 1e6, "model": model}
    changed |= {"cash_flows": flows, "plans": plans}
    write_roadmap(roadmap, tmp_path / "a")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "roadmap.json").write_text(roadmap.model_copy(update=changed).to_json())
    found = compare_roadmaps(tmp_path / "a", tmp_path / "b")
    assert [one.text for one in found.moved] == [
        "600 in 2026-01 and 300 in 2026-07 moved to 600 in 2026-04 and 300 in 2026-07"
    ]
    assert found.npv_usd == pytest.approx(1e6)
    assert not found.lost
    assert [(v.path, v.before, v.after) for v in found.values] == [
        ("zones.west-users.demand_rps", 700.0, 710.0)
    ]


# No roadmap


def test_the_first_period_that_cannot_be_met_and_what_would_help(growing: LoadedModel) -> None:
    horizon = growing.model.horizon.replace(capital_budgets_usd={"2027": 2e7})
    model = growing.model.replace(horizon=horizon)
    loaded = replace(growing, model=model)
    result, roadmap = make(loaded, EXACT)
    assert roadmap is None
    found = why_none(model, result, EXACT)
    assert (found.period, found.month) == (3, "2027-01")
    assert any("region-west" in name for name in found.failures)
    assert {"budget"} <= {one.kind for one in found.helps}
    more = next(one for one in found.helps if one.kind == "budget")
    assert "in 2027" in more.text


def test_power_that_is_short_in_a_later_period_is_named(growing: LoadedModel) -> None:
    step = PowerStep(region="west", from_period=2, firm_mw=0.1)
    model = growing.model.replace(horizon=growing.model.horizon.replace(power=(step,)))
    result, roadmap = make(replace(growing, model=model), EXACT)
    assert roadmap is None
    assert "power" in {one.kind for one in why_none(model, result, EXACT).helps}


def test_period_by_period_it_costs_the_same(
    growing: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    horizon = growing.model.horizon.replace(order_months={}, periods=3)
    model = growing.model.replace(horizon=horizon)
    at_once = least_cost(model)
    monkeypatch.setattr("planner.roadmap.parts.MANY_WHOLE", 0)
    said: list[str] = []
    made = build_roadmap(model, all_scenarios)
    parts = RoadmapParts(made.base.data, EXACT, said.append, roadmap=made)
    found = solve_roadmap(parts, EXACT)
    assert found.objective == pytest.approx(at_once, rel=1e-6)
    assert [line for line in said if "in whole numbers" in line] == [
        f"period {period} in whole numbers" for period in (1, 2, 3)
    ]


def test_orders_found_period_by_period_are_proven_once_nothing_is_learned(
    growing: LoadedModel, made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []

    def solved(*of: Any, rough: bool = False, **how: Any) -> Solution:
        asked.append(rough)
        found = solve_roadmap(*of, rough=rough, **how)
        return replace(found, status="feasible") if rough else found

    monkeypatch.setattr("planner.roadmap.parts.MANY_WHOLE", 0)
    monkeypatch.setattr("planner.roadmap.planning.solve_roadmap", solved)
    result = plan_roadmap(growing.model, EXACT)
    assert asked[0]
    assert asked.count(False) == 1
    assert result.survives
    assert result.solution.status == "optimal"
    assert result.solution.objective == pytest.approx(made[0].solution.objective, rel=1e-3)


def test_other_hours_wait_until_everything_planned_for_is_survived(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[int, str]] = []

    def elsewhere(self: _Planning, name: str, found: NodeOutcome) -> NodeOutcome:
        asked.append((self.rounds, name))
        return at_other_hours(self, name, found)

    at_other_hours = _Planning._at_other_hours
    monkeypatch.setattr(_Planning, "_at_other_hours", elsewhere)
    path = tmp_path / "shed.yaml"
    path.write_text(f"{SHED_LATE}\nhorizon: {{start: 2026-01, period: year, periods: 2}}\n")
    result = plan_roadmap(load_model(path).model, EXACT)
    assert result.survives
    assert min(asked)[0] > 1  # in the first round two fail
    assert {name for _, name in asked} == {*result.outcomes}


def test_what_does_not_fit_is_refused_before_it_is_laid_out(
    growing: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("planner.optimization.decomposition.size.SMALL", 0)
    monkeypatch.setattr("planner.roadmap.build.available_bytes", lambda: 1e5)
    with pytest.raises(TooLarge, match="fewer periods, paths or scenarios"):
        plan_roadmap(growing.model, EXACT)
