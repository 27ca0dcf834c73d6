"""Decomposition: the same optimum as of the whole programme, and cuts that hold everywhere."""

from __future__ import annotations

import gc
import math
import threading
import weakref
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optimization.drawing import drawn_model
from optimization.test_measures import measured_model
from support import often

from planner.errors import AuditError, SolverError
from planner.infrastructure.entities import Model
from planner.infrastructure.failures import NodeLoss, Scenario
from planner.infrastructure.fleet import Fleet
from planner.infrastructure.loading import LoadedModel, load_model
from planner.optimization.decomposition import evaluation
from planner.optimization.decomposition.blocks import Floats
from planner.optimization.decomposition.evaluation import _IDLE, BESIDE, Evaluator, _Idle
from planner.optimization.decomposition.fixed import least_cost
from planner.optimization.decomposition.loop import Loop, decomposes, solve_in_parts
from planner.optimization.decomposition.master import Master
from planner.optimization.decomposition.parts import Decomposition
from planner.optimization.formulation.build import build
from planner.optimization.formulation.problem import ProblemData
from planner.optimization.formulation.programme import Programme
from planner.optimization.infeasibility.diagnosis import diagnose
from planner.optimization.solution.audit import audit
from planner.optimization.solution.deadline import Deadline
from planner.optimization.solution.settings import SolverSettings
from planner.optimization.solution.solving import Solution, run_solver, solve
from planner.scenarios.generators import all_scenarios

EXACT = SolverSettings(gap=1e-6, method="decomposed")
SEEDS = range(often(16, 400))


def data_of(model: Model) -> ProblemData:
    return ProblemData(model, all_scenarios(model))


def random_data(seed: int) -> ProblemData:
    """A small random model: every other one with measures, some with a risk policy."""
    model = measured_model(seed) if seed % 2 else drawn_model(seed)
    if seed % 3 == 0:
        kind = "cvar" if seed % 6 else "worst"
        risk = model.policies.risk.replace(kind=kind, alpha=0.9, beta=0.5)
        model = model.replace(policies=model.policies.replace(risk=risk))
    return data_of(model)


def in_parts(data: ProblemData, settings: SolverSettings = EXACT) -> Solution:
    """The audited optimum."""
    programme, solution = solve_in_parts(Decomposition(data, settings), settings)
    if solution.status != "infeasible":
        audit(programme, solution)
    return solution


def agree(whole: Solution, parts: Solution) -> None:
    assert (whole.status == "infeasible") == (parts.status == "infeasible")
    if whole.status != "infeasible":
        assert parts.objective == pytest.approx(whole.objective, rel=3e-6, abs=1.0)
        assert parts.bound <= whole.objective * (1 + 1e-6) + 1.0


class TestSameOptimum:
    def test_of_random_models(self) -> None:
        found = 0
        for seed in SEEDS:
            data = random_data(seed)
            whole = solve(build(data), EXACT)
            agree(whole, in_parts(data))
            found += whole.status == "optimal"
        assert found > len(SEEDS) / 4

    @pytest.mark.parametrize("name", ["tiny", "azure-australia-east-2023"])
    def test_of_shipped_models(self, name: str) -> None:
        data = data_of(load_model(name).model)
        agree(solve(build(data), EXACT), in_parts(data))

    def test_of_the_relaxation(self) -> None:
        compared = 0
        for seed in SEEDS:
            data = random_data(seed)
            programme = build(data)
            if not run_solver(programme.problem, EXACT, linear=True).stats.has_solution:
                continue
            loop = Loop(Decomposition(data, EXACT), EXACT)
            loop._prepare()
            if loop._relaxed() is None:
                least = programme.problem.objective.evaluated()
                assert loop.lower == pytest.approx(least, rel=2e-6, abs=1.0), seed
                compared += 1
        assert compared > len(SEEDS) / 4

    def test_with_a_fleet(self, tiny) -> None:
        data, plan = data_of(tiny.model), in_parts(data_of(tiny.model))
        whole = replace(EXACT, method="extensive")
        for fleet in (plan.fleet, Fleet.existing(tiny.model)):
            cost = least_cost(data, fleet, whole)
            assert least_cost(data, fleet, EXACT) == (cost and pytest.approx(cost, rel=1e-6))

    def test_capacity_follows_from_purchases_of_several_sizes(
        self, reference: LoadedModel, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        model = reference.model
        lost = [one for one in all_scenarios(model) if one.severity == "double"][::40]
        data = ProblemData(model, tuple(lost))
        plan = in_parts(data)
        monkeypatch.setattr(Loop, "run", lambda _: pytest.fail("cuts are learned"))
        assert least_cost(data, plan.fleet, EXACT) == pytest.approx(plan.objective, rel=1e-6)


class TestCuts:
    @settings(deadline=None, max_examples=often(20, 1000))
    @given(seed=st.integers(0, 400), first=st.randoms(), second=st.randoms())
    def test_are_never_above_the_cost_of_recourse(
        self, seed: int, first: Random, second: Random
    ) -> None:
        parts = Decomposition(random_data(seed), EXACT)
        parts.lay_out(Deadline(EXACT))
        blocks = {piece.block: None for one in parts.failures for piece in one.pieces}
        one, other = purchases(parts, first), purchases(parts, second)
        anew = Evaluator()
        for block in blocks:
            here, there = (
                parts.evaluator.evaluate_all([block], place)[block] for place in (one, other)
            )
            assert here.cut.at(other) <= there.value + 1e-6 * max(1.0, abs(there.value))
            # What is known of the first purchases may answer for the second: the same value.
            assert there.value == pytest.approx(
                anew.evaluate_all([block], other)[block].value, abs=1e-6
            )
            if here.impossible is None:
                assert here.cut.at(one) == pytest.approx(here.value, rel=1e-5, abs=1e-5)
            else:
                assert here.impossible.at(one) > 0
                assert here.impossible.at(other) <= 1e-6 or math.isinf(there.value)

    def test_bounds_close_in_on_the_optimum(self, tiny) -> None:
        data = data_of(tiny.model)
        loop, lower, upper = Loop(Decomposition(data, EXACT), EXACT), [], []
        say = loop._say

        def listen(what: str, cost: float) -> None:
            lower.append(loop.lower)
            upper.append(loop.upper)
            say(what, cost)

        loop._say = listen  # type: ignore[method-assign]
        best = loop.run().objective
        assert all(one <= other + 1e-6 for one, other in pairwise(lower))
        assert all(one >= other for one, other in pairwise(upper))
        assert lower[-1] <= best * (1 + 1e-9) == upper[-1] * (1 + 1e-9)


def purchases(parts: Decomposition, rng: Random) -> Floats:
    """Random values within the bounds of the variables of the master."""
    low, high = parts.bounds()
    ends = zip(low.tolist(), np.where(np.isfinite(high), high, low + 100.0).tolist(), strict=True)
    return np.array([rng.uniform(low, max(low, high)) for low, high in ends])


def unserved(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values with nobody served in any case."""
    return {
        name: 0.0 * value if name.startswith("served.") else value for name, value in values.items()
    }


class TestAudit:
    def test_finds_what_a_scenario_is_short_of(self, tiny) -> None:
        programme, solution = solve_in_parts(Decomposition(data_of(tiny.model), EXACT), EXACT)
        assert solution.by_state is not None
        spoilt = [
            replace(cases, solution=replace(cases.solution, values=values))
            for cases in solution.by_state()
            for values in [unserved(cases.solution.values)]
        ]
        with pytest.raises(AuditError, match="row demand_balance"):
            audit(programme, replace(solution, by_state=lambda: iter(spoilt)))

    def test_finds_a_bound_that_is_broken(self, tiny) -> None:
        programme, solution = solve_in_parts(Decomposition(data_of(tiny.model), EXACT), EXACT)
        assert solution.by_state is not None
        spoilt = [
            replace(cases, highs={at: 0.5 * bound for at, bound in cases.highs.items()})
            for cases in solution.by_state()
        ]
        with pytest.raises(AuditError, match="above its upper bound"):
            audit(programme, replace(solution, by_state=lambda: iter(spoilt)))

    def test_finds_a_cost_that_is_too_low(self, tiny) -> None:
        programme, solution = solve_in_parts(Decomposition(data_of(tiny.model), EXACT), EXACT)
        with pytest.raises(AuditError, match="recomputed"):
            audit(programme, replace(solution, objective=solution.objective - 1e5))


class TestLaterRounds:
    def test_find_the_optimum_with_rows_waived(self, tiny) -> None:
        data = data_of(tiny.model)
        parts = Decomposition(data, EXACT)
        solve_in_parts(parts, EXACT)
        for some in ("west-gpus", "east-gpus"):
            waived = {("ride_through", some, "region-west"): math.inf}
            before = {failure.name: failure for failure in parts.failures}
            changed = parts.data.changed(data.scenarios, waived)
            parts.change(changed)
            programme, solution = solve_in_parts(parts, EXACT)
            audit(programme, solution)
            agree(solve(build(changed), EXACT), solution)
            kept = {one.name for one in parts.failures if before.get(one.name) is one}
            assert kept == before.keys() - {"region-west"}

    def test_stages_are_those_of_new_data(self, tiny) -> None:
        fresh, data = data_of(tiny.model), data_of(tiny.model)
        later = data.changed(data.scenarios[1:], {})
        assert later.stages == fresh.part(tuple(s.name for s in data.scenarios[1:])).stages


class TestMemory:
    def test_of_solvers_that_wait_is_bounded(self, tiny, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(evaluation, "MOST_IDLE", 3 * BESIDE)
        waiting = _Idle()
        monkeypatch.setattr(evaluation, "_IDLE", waiting)
        parts = Decomposition(data_of(tiny.model), EXACT)
        bounded = solve_in_parts(parts, EXACT)[1]
        assert len(parts.library.structures) > len(waiting._waiting)
        assert sum(len(idle) for idle in waiting._waiting.values()) in (1, 2)
        monkeypatch.undo()
        agree(in_parts(data_of(tiny.model)), bounded)

    def test_of_a_programme_in_parts_is_free_once_nothing_refers_to_it(self, tiny) -> None:
        gc.disable()  # it is not left to the collector, which programmes suspend
        try:
            parts = Decomposition(data_of(tiny.model), EXACT)
            audit(*solve_in_parts(parts, EXACT))
            held, used = weakref.ref(parts), set(parts.library.structures.values())
            assert used & set(_IDLE._waiting)
            few = weakref.WeakSet(used)
            del parts, used
            assert held() is None
            assert not few  # nor do instances of the solver wait for its blocks
        finally:
            gc.enable()


def impossible_besides(model: Model) -> ProblemData:
    """All scenarios, and two that nothing meets: both regions are lost, or their GPUs."""
    kinds = {"all-gone": ("region", model.regions), "halls-gone": ("cluster", model.clusters)}
    gone = (
        Scenario(
            name=name,
            severity="region",
            frequency_per_year=0.01,
            events=tuple(NodeLoss(kind=kind, name=one, repair_minutes=600.0) for one in nodes),
        )
        for name, (kind, nodes) in kinds.items()
    )
    return ProblemData(model, (*all_scenarios(model), *gone), {})


class TestWithoutAPlan:
    def test_scenarios_that_leave_none_are_named_before_the_search(
        self, tiny, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Only purchases and normal operation are solved before that, and their relaxation."""
        data = impossible_besides(tiny.model)
        blocks: list[int] = []
        programme = Master.programme

        def counted(master: Master) -> Programme:
            if len(master.failures) > 1:
                blocks.append(len(master.learned.whole) + len(master.learned.cuts))
            return programme(master)

        monkeypatch.setattr(Master, "programme", counted)
        monkeypatch.setattr("planner.optimization.decomposition.loop.solve", None)
        said: list[str] = []
        _, solution = solve_in_parts(Decomposition(data, EXACT, said.append), EXACT)
        assert solution.status == "infeasible"
        assert solution.conflict == ("all-gone", "halls-gone")
        assert blocks == [0]
        assert any("all-gone, halls-gone" in line for line in said)

    def test_what_each_of_them_lacks_is_said(self, tiny) -> None:
        found = diagnose(
            impossible_besides(tiny.model),
            EXACT,
            conflict_only=True,
            suspects=("all-gone", "halls-gone"),
        )
        assert {(one.scenario, one.from_minute): one.amount for one in found.alone} == {
            (name, minute): pytest.approx(rps)
            for name in ("all-gone", "halls-gone")
            for minute, rps in ((5.0, 570.0), (15.0, 700.0))
        }
        assert "2 scenarios leave no plan even alone" in "\n".join(found.lines())

    def test_time_that_ends_first_is_an_error(self, tiny) -> None:
        hurry = replace(EXACT, time_limit_seconds=1e-6)
        with pytest.raises(SolverError, match="--time-limit"):
            solve_in_parts(Decomposition(data_of(tiny.model), hurry), hurry)

    def test_who_asks_to_stop_is_heard(self, tiny) -> None:
        stop = threading.Event()
        stop.set()
        told = replace(EXACT, stop=stop)
        with pytest.raises(SolverError):
            solve_in_parts(Decomposition(data_of(tiny.model), told), told)


class TestStoppedAfterTheRelaxation:
    @pytest.mark.parametrize("seed", [0, 2, 3])
    def test_the_relaxation_rounded_up_is_a_plan(self, seed: int) -> None:
        data, stop = data_of(drawn_model(seed)), threading.Event()

        def listen(what: str) -> None:
            if what.startswith("relaxation: ") and "gap" in what:
                stop.set()

        told = replace(EXACT, stop=stop)
        programme, solution = solve_in_parts(Decomposition(data, told, listen), told)
        best = in_parts(data)

        assert stop.is_set()
        assert solution.status == "feasible"
        assert solution.bound <= best.objective * (1 + 1e-6)
        assert best.objective * (1 - 1e-6) <= solution.objective
        audit(programme, solution)


class TestChoice:
    def test_is_by_size_unless_asked_for(self, tiny) -> None:
        small, large = data_of(tiny.model), data_of(load_model("chatgpt-2023").model)
        auto = SolverSettings()
        assert [decomposes(data, auto) for data in (small, large)] == [False, True]
        assert decomposes(small, EXACT)
        assert not decomposes(large, replace(auto, method="extensive"))

    def test_of_something_else_is_refused(self) -> None:
        with pytest.raises(ValueError, match="Expected method in extensive, decomposed, auto"):
            SolverSettings(method="magic")  # type: ignore[arg-type]
