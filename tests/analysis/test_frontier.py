"""Stricter costs more; alternatives keep to their cost, survive and differ."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from itertools import pairwise
from pathlib import Path

import pytest
from support import EXACT, model_of

from planner.analysis.alternatives import (
    Alternative,
    CheapestPlan,
    _expression,
    _furthest,
    alternatives,
    directions,
)
from planner.analysis.axes import Axis, failures_of, recovery_minutes, settings_of
from planner.analysis.frontier import (
    Frontier,
    FrontierPoint,
    _survivor,
    _with_stricter_plans,
    trace,
)
from planner.analysis.what_if import settle
from planner.errors import InputError
from planner.infrastructure.entities import Model
from planner.infrastructure.fleet import Fleet
from planner.optimization.decomposition.loop import solve_in_parts
from planner.optimization.decomposition.parts import Decomposition
from planner.optimization.formulation.build import build
from planner.optimization.formulation.programme import Programme
from planner.optimization.solution.decisions import Decision, counts_of, variables
from planner.reporting.alternatives import write_table
from planner.rounds import LoopResult
from planner.scenarios.generators import all_scenarios
from planner.simulation.verdict import judge
from planner.verification import optimize_and_verify

#: Two regions that can lose each other, chillers of two sizes, cloud after half an hour.
SMALL = """
regions: {a: {power_limit_mw: 9.0}, b: {power_limit_mw: 9.0}}
gpus: {g: {power_mw: 0.005, static_share: 0.5, rps: 1.0, capital_usd: 20000.0}}
clusters:
  ca: {region: a, gpu: g, existing_gpus: 100, block_gpus: 10, max_gpus: 200, max_utilisation: 1.0}
  cb: {region: b, gpu: g, existing_gpus: 0, block_gpus: 10, max_gpus: 200, max_utilisation: 1.0}
cooling_units:
  large: {capacity_mw: 0.2, capital_usd: 150000.0}
  small: {capacity_mw: 0.1, capital_usd: 90000.0}
plants:
  pa: {region: a, cools: [ca], redundancy: 2, options: [large, small], max_added: 20}
  pb: {region: b, cools: [cb], redundancy: 1, options: [large, small], max_added: 20}
tiers: {t: {priority: 1, share: 1.0, value_usd_per_1000_requests: 1.0}}
zones: {z: {demand_rps: 100.0, latency_ms: {a: 1.0, b: 1.0}}}
offers:
  cloud: {provider: x, gpus_per_instance: 5, available_gpus: 60, lead_time_minutes: 20,
          usd_per_instance_hour: 10.0, retainer_usd_per_instance_year: 9000.0, rps_per_gpu: 1.0}
finance: {emergency_budget_usd: 1.0e+6}
standard:
  single: [{tier: t, from_minute: 5, least_served: 1.0}]
  double: [{tier: t, from_minute: 5, least_served: 1.0}]
  region: [{tier: t, from_minute: 5, least_served: 0.5}, {tier: t, from_minute: 90,
           least_served: 1.0}]
generators: {unit: {severity: single}, units: {severity: double}}
scenarios:
  lose-a: {severity: region, frequency_per_year: 0.1,
           events: [{kind: region, name: a, repair_minutes: 600}]}
simulation: {horizon_minutes: 120}
"""


#: Before and after the cloud arrives at minute 35.
VALUES: dict[Axis, tuple[float, ...]] = {"recovery": (90, 45, 22.5)}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return model_of(tmp_path_factory.mktemp("frontier"), SMALL)


def traced(model: Model, axis: Axis, *values: float) -> Frontier:
    scenarios = all_scenarios(model)
    settings = settings_of(axis, model, scenarios, 3, values)
    return trace(axis, settings, model, scenarios, EXACT)


@pytest.fixture(scope="module")
def frontiers(small: Model) -> Callable[[Axis], Frontier]:
    """The frontier of an axis, traced once."""
    return cache(lambda axis: traced(small, axis, *VALUES.get(axis, ())))


@pytest.fixture(scope="module")
def verified(small: Model) -> LoopResult:
    return optimize_and_verify(small, all_scenarios(small), EXACT)


class TestAxes:
    @pytest.mark.parametrize("axis", ["standard", "failures", "classes", "recovery"])
    def test_a_stricter_point_never_costs_less(
        self, frontiers: Callable[[Axis], Frontier], axis: Axis
    ) -> None:
        points = frontiers(axis).points
        assert len(points) >= 3
        assert all(point.status == "survives" for point in points)
        for weaker, stricter in pairwise(points):
            assert weaker.cost_usd <= stricter.cost_usd + 1e-6 * stricter.cost_usd
        assert points[0].cost_usd < points[-1].cost_usd

    @pytest.mark.parametrize("axis", ["standard", "classes", "failures"])
    def test_the_strictest_point_is_the_plan(
        self,
        small: Model,
        verified: LoopResult,
        frontiers: Callable[[Axis], Frontier],
        axis: Axis,
    ) -> None:
        last, whole = frontiers(axis).points[-1], verified.best
        assert whole is not None
        assert last.cost_usd == pytest.approx(whole.solution.objective)
        assert last.survived == last.scenarios == len(all_scenarios(small))

    def test_every_plan_survives_what_its_point_asks(
        self, small: Model, frontiers: Callable[[Axis], Frontier]
    ) -> None:
        scenarios = all_scenarios(small)
        settings = settings_of("standard", small, scenarios, 3)
        points = frontiers("standard").points
        for setting, point in zip(settings, points, strict=True):
            assert point.fleet is not None
            verdicts = judge(setting.model, point.fleet, setting.scenarios, stories=False)
            assert all(verdict.survives for verdict in verdicts)
            full = judge(small, point.fleet, scenarios, stories=False)
            assert point.survived == sum(line.survives for line in full)
        assert points[0].survived < points[-1].survived

    def test_the_share_axis_scales_every_floor(self, small: Model) -> None:
        (half,) = settings_of("standard", small, (), 1, (0.5,))
        rules = half.model.standard["region"]
        assert [rule.least_served for rule in rules] == [0.25, 0.5]

    def test_the_recovery_axis_moves_the_start_of_full_service(self, small: Model) -> None:
        assert recovery_minutes(small) == 90
        found = settings_of("recovery", small, (), 4)
        assert [setting.value for setting in found] == [180, 90, 45, 22.5]
        assert [rule.from_minute for rule in found[0].model.standard["region"]] == [5, 180]
        assert [rule.from_minute for rule in found[0].model.standard["single"]] == [5]
        (at_once,) = settings_of("recovery", small, (), 1, (2.0,))
        assert [rule.from_minute for rule in at_once.model.standard["single"]] == [2]
        assert [rule.least_served for rule in at_once.model.standard["region"]] == [0.5, 1.0]

    def test_the_failure_axis_counts_units_and_caps_redundancy(self, small: Model) -> None:
        found = settings_of("failures", small, all_scenarios(small), 0)
        assert [setting.label for setting in found] == ["0", "1", "2"]
        worst = [max(map(failures_of, setting.scenarios), default=0) for setting in found]
        assert worst == [0, 1, 2]
        reserve = [{p: e.redundancy for p, e in setting.model.plants.items()} for setting in found]
        assert reserve == [{"pa": 0, "pb": 0}, {"pa": 1, "pb": 1}, {"pa": 2, "pb": 1}]

    def test_values_off_the_axis_are_refused(self, small: Model) -> None:
        with pytest.raises(InputError, match="no 7 on this axis, only 0, 1, 2"):
            settings_of("failures", small, all_scenarios(small), 0, (7,))
        with pytest.raises(InputError, match=r"above 0 and up to 1, not 1\.5"):
            settings_of("standard", small, (), 0, (1.5,))
        with pytest.raises(InputError, match="full service in no class"):
            settings_of("recovery", small.replace(standard={}), (), 3)

    def test_an_infeasible_point_says_why(self, small: Model) -> None:
        offers = {"cloud": small.offers["cloud"].replace(available_gpus=0)}
        cluster = small.clusters["cb"].replace(max_gpus=60)
        tight = small.replace(offers=offers, clusters={**small.clusters, "cb": cluster})
        weak, strict = traced(tight, "standard", 0.5, 1.0).points
        assert (weak.status, strict.status) == ("survives", "infeasible")
        assert strict.reason
        assert not strict.planned and strict.fleet is None


def point(label: str, cost: float, bound: float) -> FrontierPoint:
    return FrontierPoint(label, 0.0, "survives", cost, bound, 0.0, None, 1, 1, 1)


def test_a_point_takes_the_plan_of_a_stricter_one_that_costs_less(verified: LoopResult) -> None:
    best = verified.best
    assert best is not None
    fleet = best.solution.fleet
    points = (
        point("a", 10.0, 8.0),
        replace(point("b", 7.0, 6.0), status="fails"),
        replace(point("c", 9.0, 9.0), fleet=fleet),
    )
    asked: list[int] = []

    def survivor(index: int, _: Fleet) -> FrontierPoint:
        asked.append(index)
        return replace(point("abc"[index], 9.5, 0.0), fleet=fleet)

    first, second, third = _with_stricter_plans(points, survivor)
    assert asked == [1, 0]
    assert (second.status, second.cost_usd, second.bound_usd, second.plan_of) == (
        "survives", 9.5, 6.0, "c",
    )  # fmt: skip
    assert (first.cost_usd, first.bound_usd, first.plan_of) == (9.5, 8.0, "c")
    assert third == points[2]
    assert _with_stricter_plans(points, lambda *_: None) == list(points)


def test_only_a_plan_that_survives_is_taken(small: Model, verified: LoopResult) -> None:
    best = verified.best
    assert best is not None
    scenarios = all_scenarios(small)
    (setting,) = settings_of("standard", small, scenarios, 1, (1.0,))
    made = _survivor(setting, best.solution.fleet, EXACT, None)
    assert made is not None
    assert made.solution.objective == pytest.approx(best.solution.objective, rel=1e-6)
    assert _survivor(setting, Fleet.existing(small), EXACT, None) is None


# ------------------------------------------------------------------------------------ alternatives


@pytest.fixture(scope="module")
def optimum(verified: LoopResult) -> CheapestPlan:
    best = verified.best
    assert best is not None
    return CheapestPlan.of(best.programme, best.solution)


@pytest.fixture(scope="module", params=["extensive", "decomposed"])
def found(optimum: CheapestPlan, request: pytest.FixtureRequest) -> tuple[Alternative, ...]:
    return alternatives(optimum, (0.05, 0.3), 3, replace(EXACT, method=request.param))


def test_directions_go_as_far_in_parts(optimum: CheapestPlan) -> None:
    settings = replace(EXACT, method="decomposed")
    parts = Decomposition(optimum.data, settings)
    solve_in_parts(parts, settings)
    for direction in directions(optimum):
        far = partial(_furthest, direction, 1.1 * optimum.cost_usd, EXACT)
        whole, in_parts = build(optimum.data), far(parts, settings, None)
        found = far(whole, EXACT, None)
        at = _expression(whole, direction).at(found.values)
        as_far = _expression(whole, direction).at(
            found.values | counts_as_values(whole, in_parts.fleet)
        )
        assert as_far == pytest.approx(at, rel=0.02, abs=1e-3)
        if as_far == pytest.approx(at, rel=1e-9, abs=1e-9):
            assert in_parts.objective == pytest.approx(found.objective, rel=1e-5)


def counts_as_values(programme: Programme, fleet: Fleet) -> dict[str, float]:
    bought = counts_of(programme, fleet)
    return {x.name: float(bought[key]) for key, x in variables(programme).items()}


class TestAlternatives:
    def test_alternatives_cost_between_the_optimum_and_their_slack(
        self, optimum: CheapestPlan, found: tuple[Alternative, ...]
    ) -> None:
        assert {plan.slack for plan in found} == {0.05, 0.3}
        for plan in found:
            assert plan.cost_usd <= optimum.cost_usd * (1 + plan.slack) * (1 + 1e-6)
            assert plan.cost_usd >= optimum.cost_usd * (1 - 1e-9)

    def test_alternatives_differ_from_the_optimum_and_each_other(
        self, optimum: CheapestPlan, found: tuple[Alternative, ...]
    ) -> None:
        for slack in (0.05, 0.3):
            some = [plan.changes for plan in found if plan.slack == slack]
            assert all(some)
            for index, changes in enumerate(some):
                assert all(optimum.distance(changes, other) > 1e-3 for other in some[:index])
        wide = max(plan.difference for plan in found if plan.slack == 0.3)
        assert wide > max(plan.difference for plan in found if plan.slack == 0.05)

    def test_alternatives_survive(self, small: Model, found: tuple[Alternative, ...]) -> None:
        for plan in found:
            verdicts = judge(small, plan.fleet, all_scenarios(small), stories=False)
            assert all(verdict.survives for verdict in verdicts)
            assert plan.failed == ()

    def test_the_cost_of_an_alternative_is_that_of_its_fleet(
        self, optimum: CheapestPlan, found: tuple[Alternative, ...]
    ) -> None:
        """No cheaper use of the same purchases: nothing is wasted on the way."""
        for plan in found:
            programme = build(optimum.data)
            _, solution = settle(programme, counts_of(programme, plan.fleet), EXACT)
            assert solution.objective == pytest.approx(plan.cost_usd, rel=1e-6)

    def test_an_alternative_has_less_in_its_direction(
        self, optimum: CheapestPlan, found: tuple[Alternative, ...]
    ) -> None:
        ways = {direction.name: direction for direction in directions(optimum)}
        for one in found:
            weights = ways[one.name].weights
            if weights:
                assert sum(weights.get(key, 0.0) * more for key, more in one.changes.items()) < 0

    def test_distance_is_a_share_of_what_is_spent(self, optimum: CheapestPlan) -> None:
        nothing = {key: -count for key, count in optimum.bought.items() if count}
        assert optimum.distance(nothing, {}) == pytest.approx(1.0)
        assert optimum.distance(nothing, nothing) == 0.0
        one = Decision("gpus", "cb")
        share = optimum.prices[one] / sum(
            count * optimum.prices[key] for key, count in optimum.bought.items()
        )
        assert optimum.distance({one: 1}, {}) == pytest.approx(share)


def test_no_slack_leaves_no_alternative(optimum: CheapestPlan) -> None:
    assert alternatives(optimum, (1e-9,), 3, EXACT) == ()


def test_a_table_without_alternatives_is_empty(tmp_path: Path) -> None:
    write_table((), tmp_path / "none.csv")
    assert (tmp_path / "none.csv").read_text() == "name\n"


def test_an_interrupt_keeps_the_points_so_far(small: Model) -> None:
    stop = threading.Event()
    scenarios = all_scenarios(small)
    settings = settings_of("classes", small, scenarios, 0)
    solver = replace(EXACT, stop=stop)
    found = trace("classes", settings, small, scenarios, solver, lambda _: stop.set())
    assert [point.label for point in found.points] == ["none"]
    with pytest.raises(KeyboardInterrupt):
        trace("classes", settings, small, scenarios, solver)


def test_recovery_points_are_labelled_by_the_simulated_time(small: Model) -> None:
    scenarios = all_scenarios(small)
    asked = settings_of("recovery", small, scenarios, 1, (90.0,))
    (point,) = trace("recovery", asked, small, scenarios, EXACT).points
    assert point.value == 90.0
    verdicts = judge(small, point.fleet, scenarios, stories=False)
    longest = max(verdict.recovery_minutes for verdict in verdicts if verdict.survives)
    assert point.recovery_minutes == longest < 90
    assert point.label == f"{longest:.0f} min"
    assert point.survived == point.judged <= len(scenarios)
