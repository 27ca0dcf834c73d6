"""Solvers: they agree, and what is reported about a solution is true."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache
from pathlib import Path
from random import Random

import pulp
import pytest
from facility_location import read, stated
from pulp.constants import LpSolveStatus
from support import EXACT, model_of, solved

from planner.errors import InputError, SolverError
from planner.infrastructure.entities import Model
from planner.infrastructure.loading import LoadedModel
from planner.optimization.decomposition.loop import solve_in_parts
from planner.optimization.decomposition.parts import Decomposition
from planner.optimization.formulation.algebra import Problem
from planner.optimization.formulation.build import build
from planner.optimization.formulation.problem import ProblemData
from planner.optimization.formulation.programme import Programme
from planner.optimization.infeasibility.second_look import confirm_no_plan, least_missed
from planner.optimization.solution import solvers, solving
from planner.optimization.solution.audit import audit
from planner.optimization.solution.decisions import bounded, settled, variables
from planner.optimization.solution.scaling import Scaled
from planner.optimization.solution.settings import SolverSettings
from planner.optimization.solution.solvers import Relaxation, logged_bound
from planner.optimization.solution.solving import Solution, make_solver, run_solver, solve
from planner.scenarios.generators import all_scenarios

#: A solver's own tolerances on rows move the objective this much.
RELATIVE = 1e-6
#: CBC prints its bound with this relative accuracy.
PRINTED = 2e-5
SOLVERS = ("highs", "cbc")
#: A model in which nothing costs anything.
FREE = """
regions: {west: {design_ambient_c: 35.0, electricity_usd_per_mwh: 0.0, power_limit_mw: 12.0}}
gpus: {gpu: {power_mw: 0.005, static_share: 0.5, rps: 1.0, capital_usd: 0.0}}
clusters: {hall: {region: west, gpu: gpu, existing_gpus: 1000, block_gpus: 100, max_gpus: 2000}}
cooling_units: {chiller: {capacity_mw: 3.0, capital_usd: 0.0}}
plants: {chillers: {region: west, cools: [hall], redundancy: 1, existing: {chiller: 2},
                    options: [chiller], max_added: 4}}
tiers: {users: {priority: 1, share: 1.0, latency_limit_ms: 200.0}}
zones: {home: {demand_rps: 300.0, latency_ms: {west: 10.0}}}
finance: {discount_rate: 0.08, emergency_budget_usd: 0.0}
standard: {single: [{tier: each, from_minute: 5, least_served: 1.0}]}
generators: {unit: {severity: single}}
"""


def programme_of(model: Model) -> Programme:
    """Programme of a model with all its scenarios."""
    return build(ProblemData(model, all_scenarios(model), {}))


def reference_model() -> Model:
    """A model that is solved in about a second, with enough of branching to stop on the way."""
    return stated(read("cap44"))


@cache
def reference_programme() -> Programme:
    """Programme of the reference model, built once for all tests that solve it."""
    return programme_of(reference_model())


@cache
def solved_reference(name: str, gap: float) -> Solution:
    """The reference model as a solver solves it to a gap, once for all tests that ask for it."""
    return solve(reference_programme(), SolverSettings(name, gap=gap))


@pytest.fixture(scope="module")
def optimum() -> Solution:
    """The reference model solved to a gap of 0."""
    solution = solved_reference("highs", 0.0)
    assert solution.status == "optimal"
    assert solution.gap <= RELATIVE
    return solution


class TestAgreement:
    def test_solvers_agree_exactly_on_tiny(self, tiny) -> None:
        first, second = (solved(tiny.model, SolverSettings(name, gap=0.0))[1] for name in SOLVERS)

        assert (first.status, second.status) == ("optimal", "optimal")
        assert first.objective == pytest.approx(second.objective, rel=RELATIVE)
        assert first.bound == pytest.approx(first.objective, rel=RELATIVE)
        assert second.bound == pytest.approx(second.objective, rel=2 * RELATIVE + 5e-6)

    @pytest.mark.parametrize("gap", [0.0, 0.01])
    def test_each_objective_is_within_the_bound_of_the_other_on_the_reference_model(
        self, optimum, gap
    ) -> None:
        first, second = (solved_reference(name, gap) for name in SOLVERS)

        for one, other in ((first, second), (second, first)):
            assert one.status == "optimal"
            assert one.gap <= gap + PRINTED
            assert one.objective >= other.bound * (1 - RELATIVE)
            assert one.objective <= other.bound * (1 + 2 * gap + PRINTED)
            assert one.bound <= optimum.objective * (1 + RELATIVE)
            assert one.objective >= optimum.bound * (1 - RELATIVE)

    def test_solvers_agree_exactly_on_the_reference_model(self, optimum) -> None:
        other = solved_reference("cbc", 0.0)

        assert other.objective == pytest.approx(optimum.objective, rel=RELATIVE)

    @pytest.mark.parametrize("name", SOLVERS)
    def test_plans_of_every_solver_pass_the_audit(self, tiny, name) -> None:
        programme, solution = solved(tiny.model, SolverSettings(name, gap=0.0))

        cost = sum(item.usd_per_year for item in audit(programme, solution))

        assert cost == pytest.approx(solution.objective, rel=RELATIVE)

    @pytest.mark.parametrize("name", SOLVERS)
    def test_the_same_settings_give_the_same_plan(self, name) -> None:
        first = solved_reference(name, 0.05)
        _, second = solved(reference_model(), SolverSettings(name, gap=0.05))

        assert dict(first.values) == dict(second.values)
        assert first.bound == second.bound

    @pytest.mark.parametrize("name", SOLVERS)
    def test_a_model_with_nothing_left_to_decide_is_solved(self, tiny, name) -> None:
        """Nothing is branched on; CBC prints its bound with six digits."""
        model = tiny.model.replace(standard={}, generators={}, offers={})
        clusters = {n: c.replace(max_gpus=c.existing_gpus) for n, c in model.clusters.items()}
        plants = {n: p.replace(max_added=0, redundancy=0) for n, p in model.plants.items()}

        _, solution = solved(
            model.replace(clusters=clusters, plants=plants), SolverSettings(name, gap=0.0)
        )

        assert solution.status == "optimal"
        assert solution.bound == pytest.approx(solution.objective, rel=1e-5)
        assert solution.objective > 0

    @pytest.mark.parametrize("name", SOLVERS)
    def test_impossible_demand_is_infeasible(self, tiny, name) -> None:
        zone = tiny.model.zones["west-users"].replace(demand_rps=100_000.0)
        model = tiny.model.replace(zones=tiny.model.zones | {"west-users": zone})

        _, solution = solved(model, SolverSettings(name))

        assert solution.status == "infeasible"
        assert math.isinf(solution.objective) and math.isinf(solution.bound)
        assert not solution.values


class TestBounds:
    @pytest.mark.parametrize(
        ("name", "gap"), [("highs", 0.05), ("highs", 0.01), ("cbc", 0.05), ("cbc", 0.01)]
    )
    def test_bound_and_objective_enclose_the_optimum(self, optimum, name, gap) -> None:
        solution = solved_reference(name, gap)

        assert solution.status == "optimal"
        assert solution.bound <= optimum.objective * (1 + RELATIVE)
        assert solution.objective >= optimum.bound * (1 - RELATIVE)
        assert solution.bound <= solution.objective
        assert solution.gap <= gap

    def test_a_loose_gap_stops_before_the_optimum(self, optimum) -> None:
        solution = solved_reference("highs", 0.05)

        assert solution.gap > 1e-4
        assert solution.bound < optimum.objective

    @pytest.mark.parametrize("bound", ["2.06967e+08", "-4.59265e+12"])
    def test_a_bound_of_cbc_without_a_node_is_that_of_the_first_relaxation(
        self, tmp_path, bound
    ) -> None:
        """Both were printed for an optimum of 206,832,634 when time ended among the first cuts."""
        log = tmp_path / "solver.log"
        lines = ["Continuous objective value is 1.99818e+08 - 0.09 seconds"]
        lines += ["Result - Stopped on time limit", f"Lower bound:                    {bound}"]
        log.write_text("\n".join([*lines, "Enumerated nodes:               0", ""]))
        assert logged_bound(log) == pytest.approx(1.99818e8, rel=1e-5)
        log.write_text("\n".join([*lines, "Enumerated nodes:               3", ""]))
        assert logged_bound(log) == pytest.approx(float(bound), rel=1e-5)

    @pytest.mark.parametrize("name", SOLVERS)
    @pytest.mark.parametrize("seconds", [0.01, 0.25, 0.4, 0.8, 1.6])
    def test_a_short_time_limit_never_claims_more_than_was_proven(
        self, optimum, name, seconds
    ) -> None:
        settings = SolverSettings(name, gap=0.0, time_limit_seconds=seconds)
        try:
            programme = reference_programme()
            solution = solve(programme, settings)
        except SolverError as error:
            assert "--time-limit" in str(error)
            return

        assert solution.bound <= optimum.objective * (1 + RELATIVE)
        assert solution.objective >= optimum.bound * (1 - RELATIVE)
        audit(programme, solution)
        if solution.status == "optimal":
            assert solution.objective == pytest.approx(optimum.objective, rel=RELATIVE)
        else:
            assert solution.status == "feasible"
            expected = 1 - (solution.bound - solution.hidden) / solution.objective
            assert solution.gap == pytest.approx(expected, rel=1e-9, abs=1e-12)

    @pytest.mark.parametrize("name", SOLVERS)
    def test_no_time_at_all_is_an_error_that_says_what_to_do(self, name) -> None:
        with pytest.raises(SolverError, match="--time-limit"):
            solve(reference_programme(), SolverSettings(name, gap=0.0, time_limit_seconds=1e-3))


@pytest.mark.parametrize("name", SOLVERS)
def test_a_plan_that_costs_nothing_is_no_share_above_its_bound(name: str, tmp_path: Path) -> None:
    _, solution = solved(model_of(tmp_path, FREE), SolverSettings(name))
    assert (solution.status, solution.objective, solution.gap) == ("optimal", 0.0, 0.0)


def test_the_parts_of_a_plan_that_costs_nothing_come_to_an_end(tmp_path: Path) -> None:
    model = model_of(tmp_path, FREE)
    parts = Decomposition(ProblemData(model, all_scenarios(model)), SolverSettings())
    _, solution = solve_in_parts(parts, parts.settings)
    assert (solution.status, solution.objective, solution.gap) == ("optimal", 0.0, 0.0)


def test_the_relaxation_excludes_only_fleets_that_have_no_plan(tiny: LoadedModel) -> None:
    """Whatever fleet was asked about before."""
    base = build(ProblemData(tiny.model, all_scenarios(tiny.model)).part(()))
    chosen, problem, rng = variables(base), base.problem, Random(7)
    columns = [one.id - problem.first_id for one in chosen.values()]
    relaxation = Relaxation(Scaled(problem).numbers)
    seen = set()
    for most in (0, 1, 2, 4, 8) * 4:
        counts = {key: min(rng.randint(0, most), round(one.high)) for key, one in chosen.items()}
        excluded = relaxation.excludes(columns, list(counts.values()))
        with bounded(base, settled(counts)):
            possible = run_solver(problem, EXACT).stats.has_solution
        assert not (excluded and possible), counts
        seen.add((excluded, possible))
    assert {(True, False), (False, True)} <= seen


class Faker:
    """Solves for real, then reports something else."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, programme: Programme) -> None:
        self.programme = programme
        self.shift: dict[str, float] = {}
        self.status = LpSolveStatus.Optimal
        self.has_solution = True
        self.bound: float | None = None
        self.gap_of: float | None = None
        monkeypatch.setattr(solving, "run_solver", self._run)

    def _run(self, problem: Problem, settings: SolverSettings, *_: object) -> solving.SolverOutcome:
        outcome = run_solver(problem, replace(settings, time_limit_seconds=None))
        for variable in problem.variables:
            if variable.name in self.shift:
                variable.value = (variable.value or 0.0) + self.shift[variable.name]
        outcome.stats.status, outcome.stats.has_solution = self.status, self.has_solution
        return outcome if self.bound is None else replace(outcome, bound=self.bound)

    def solve(self, settings: SolverSettings = EXACT) -> Solution:
        """Solve the programme with the fake."""
        return solve(self.programme, settings)


@pytest.fixture
def faker(monkeypatch, tiny) -> Faker:
    """A solver of the small model whose report can be falsified."""
    return Faker(monkeypatch, programme_of(tiny.model))


class TestWhatASolverReturns:
    @pytest.mark.parametrize("shift", [0.3, -0.3, 0.5, 1e-3])
    def test_purchases_that_are_not_whole_are_refused(self, faker, shift) -> None:
        bought = faker.programme.purchases.blocks["east-gpus"].name
        faker.shift = {bought: shift}

        with pytest.raises(SolverError, match=rf"{bought} = .*not whole"):
            faker.solve()

    def test_a_relaxation_left_at_the_time_limit_is_no_plan(self, faker) -> None:
        """CBC leaves its last relaxation where it was stopped before a plan was found."""
        faker.shift = {faker.programme.purchases.blocks["east-gpus"].name: 0.3}

        with pytest.raises(SolverError, match="not whole"):
            faker.solve(SolverSettings(time_limit_seconds=600.0))
        with pytest.raises(SolverError, match="--time-limit"):
            faker.solve(SolverSettings(time_limit_seconds=1e-4))

    def test_noise_within_the_tolerance_is_rounded(self, faker) -> None:
        bought = faker.programme.purchases.blocks["east-gpus"].name
        faker.shift = {bought: 1e-7}

        solution = faker.solve()

        assert solution.values[bought].is_integer()
        assert all(
            solution.values[variable.name].is_integer()
            for variable in faker.programme.problem.variables
            if variable.integer
        )

    def test_the_objective_is_that_of_the_rounded_plan(self, faker) -> None:
        honest = faker.solve().objective
        faker.shift = {faker.programme.purchases.instances["cloud"].name: 5e-6}

        assert faker.solve().objective == pytest.approx(honest, rel=1e-12)

    @pytest.mark.parametrize(
        "status", [LpSolveStatus.TimeLimit, LpSolveStatus.NodeLimit, LpSolveStatus.Interrupted]
    )
    def test_a_plan_found_before_a_limit_is_feasible_with_its_gap(self, faker, status) -> None:
        honest = faker.solve()
        faker.status, faker.bound = status, 0.9 * honest.objective

        solution = faker.solve()

        assert solution.status == "feasible"
        assert solution.bound == pytest.approx(0.9 * honest.objective)
        assert solution.gap == pytest.approx(0.1)

    @pytest.mark.parametrize("status", [LpSolveStatus.TimeLimit, LpSolveStatus.NodeLimit])
    def test_neither_plan_nor_proof_is_an_error(self, faker, status) -> None:
        faker.status, faker.has_solution = status, False

        with pytest.raises(SolverError, match="without a plan or a proof"):
            faker.solve()

    def test_infeasible_at_the_time_limit_is_no_proof(self, faker) -> None:
        """CBC says so when its time ends in preprocessing."""
        faker.status, faker.has_solution = LpSolveStatus.Infeasible, False

        assert faker.solve(SolverSettings(time_limit_seconds=600.0)).status == "infeasible"
        with pytest.raises(SolverError, match="--time-limit"):
            faker.solve(SolverSettings(time_limit_seconds=1e-4))

    def test_a_claim_of_optimality_without_a_plan_is_an_error(self, faker) -> None:
        faker.has_solution = False

        with pytest.raises(SolverError):
            faker.solve()

    @pytest.mark.parametrize("factor", [1e5, 2.0, 1.001, 1 + 1e-4, math.nan, math.inf])
    def test_a_bound_above_the_cost_is_an_error(self, faker, factor) -> None:
        faker.bound = factor * faker.solve().objective

        with pytest.raises(SolverError, match="cannot be trusted"):
            faker.solve()

    def test_a_bound_above_the_cost_by_the_digits_printed_is_the_cost(self, faker) -> None:
        honest = faker.solve()
        faker.bound = honest.objective * (1 + 1e-6)

        assert faker.solve().bound == honest.objective

    @pytest.mark.parametrize("bound", [-math.inf, -1e30, -1.0, 0.0])
    def test_a_bound_far_below_proves_nothing(self, faker, bound) -> None:
        honest = faker.solve()
        faker.bound = bound

        solution = faker.solve()

        assert solution.status == "feasible"
        assert bound <= solution.bound < 0.9 * honest.objective
        assert math.isfinite(solution.bound)
        assert solution.gap > 0.1

    def test_what_tolerances_can_hide_is_part_of_the_gap(self, faker) -> None:
        solution = faker.solve()

        assert solution.bound == pytest.approx(solution.objective, rel=1e-9)
        assert 0 < solution.hidden < 1e-6 * solution.objective
        assert solution.gap >= solution.hidden / solution.objective

    def test_a_failing_solver_is_an_error_of_the_planner(self, monkeypatch, tiny) -> None:
        class Broken(pulp.HiGHS):
            def actualSolve(self, lp, *arguments, **options):  # noqa: ARG002, N802
                raise pulp.PulpSolverError("no licence")

        monkeypatch.setattr(solving, "make_solver", lambda *_: Broken(msg=False))

        with pytest.raises(SolverError, match="no licence"):
            solve(programme_of(tiny.model), EXACT)

    @pytest.mark.parametrize("value", [math.nan, math.inf])
    def test_values_that_are_no_numbers_are_refused(self, faker, value) -> None:
        faker.shift = {faker.programme.purchases.blocks["east-gpus"].name: value}
        with pytest.raises(SolverError, match="the solver returned"):
            faker.solve()

    @pytest.mark.parametrize(
        ("script", "message"),
        [
            ("exit 0", "wrote no solution file"),
            ("exit 3", "ended with code 3"),
            ("kill -9 $$", "ended with code -9"),
            ('printf "Optimal - objective value 1\\n 0 X0000000 1 0\\n" > $out', "ends after 1 of"),
            ('printf "Optimal - objective value 1\\n 0 X0000000\\n" > $out', "cannot be read"),
            ('printf "" > $out', "does not say whether there is a plan"),
            ('printf "Who knows\\n" > $out', "cannot be read"),
        ],
    )
    def test_an_answer_cut_short_is_an_error(self, tiny, tmp_path, script, message) -> None:
        """A CBC that ends, or whose file ends, before it has said everything."""
        broken = tmp_path / "cbc"
        broken.write_text(f'#!/bin/sh\nfor out in "$@"; do :; done\n{script}\n')
        broken.chmod(0o755)

        class Broken(solving.Cbc):
            def __init__(self) -> None:
                super().__init__(msg=False)
                self.path = str(broken)

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(solving, "make_solver", lambda *_: Broken())
            with pytest.raises(SolverError, match=message):
                solve(programme_of(tiny.model), EXACT)

    def test_a_cbc_that_does_nothing_is_given_up(self, tiny, tmp_path, monkeypatch) -> None:
        """Without any time limit; one that works has all the time that it needs."""
        monkeypatch.setattr(solvers, "IDLE_SECONDS", 0.5)
        idle, busy = tmp_path / "idle", tmp_path / "busy"
        idle.write_text("#!/bin/sh\nexec sleep 60\n")
        busy.write_text(
            "#!/bin/sh\nend=$(($(date +%s) + 2))\nwhile [ $(date +%s) -lt $end ]; do :; done\n"
        )
        for script, message in ((idle, "has done nothing"), (busy, "wrote no solution file")):
            script.chmod(0o755)
            cbc = solving.Cbc(msg=False)
            cbc.path = str(script)
            monkeypatch.setattr(solving, "make_solver", lambda *_, cbc=cbc: cbc)
            with pytest.raises(SolverError, match=message):
                solve(programme_of(tiny.model), EXACT)

    def test_a_solver_is_not_believed_that_there_is_no_plan(self, tiny) -> None:
        data = ProblemData(tiny.model, all_scenarios(tiny.model), {})
        with pytest.raises(SolverError, match="cannot be trusted"):
            confirm_no_plan(data, (), EXACT)
        with pytest.raises(SolverError, match="cannot be trusted"):
            confirm_no_plan(data, ("surge",), EXACT)
        poor = tiny.model.policies.replace(capital_budget_usd=1.0)
        model = tiny.model.replace(policies=poor)
        in_parts = SolverSettings(gap=0.0, method="decomposed")
        for settings in (EXACT, in_parts):
            confirm_no_plan(ProblemData(model, all_scenarios(model), {}), (), settings)
        with pytest.raises(SolverError, match="cannot be trusted"):
            confirm_no_plan(data, (), in_parts)

    def test_what_has_to_be_missed_is_known_for_whole_numbers_too(self) -> None:
        problem = Problem()
        count = problem.add_variable("count", 0, 9, integer=True)
        problem.objective = 1 * count
        problem.add(2 * count >= 3, "least")
        problem.add(2 * count <= 3, "most")
        assert least_missed(problem, EXACT, whole=False) == pytest.approx(0.0, abs=1e-9)
        assert least_missed(problem, EXACT, whole=True) > 0.1

    @pytest.mark.parametrize(("off", "status"), [(3e-8, "Optimal"), (1e-3, "Infeasible")])
    def test_what_only_rounding_contradicts_is_solved(self, off: float, status: str) -> None:
        problem = Problem()
        one, other = problem.add_variable("one", 0), problem.add_variable("other", 0)
        problem.objective = 2 * one + other
        problem.add(one + other >= 1 + off, "least")
        problem.add(one + other <= 1, "most")
        problem.add(other <= 2 * one, "share")
        stats = run_solver(problem, EXACT).stats
        assert stats.status == getattr(LpSolveStatus, status)

    def test_a_logged_bound_of_zero_counts(self, monkeypatch) -> None:
        problem = Problem()
        count = problem.add_variable("count", 1, 3, integer=True)
        problem.objective = 5 * count
        monkeypatch.setattr(solving, "logged_bound", lambda _: 0.0)

        assert run_solver(problem, SolverSettings("cbc")).bound == 0.0

    def test_a_logged_bound_is_rounded_down_as_far_as_its_digits_go(self, tmp_path) -> None:
        log = tmp_path / "solver.log"
        log.write_text("Objective value:                206967000.00\nLower bound:   205857000.0\n")

        bound = logged_bound(log)

        assert bound is not None
        assert bound == pytest.approx(205857000.0, rel=1e-5)
        assert bound <= 205857000.0 - 500.0


@pytest.mark.parametrize("name", SOLVERS)
def test_a_column_whose_bounds_cross_leaves_no_plan(name: str) -> None:
    """CBC takes such a column for a file that is none."""
    problem = Problem()
    count = problem.add_variable("count", 1.0, 0.0, True)
    problem.objective.add(count)
    problem.add(count + problem.add_variable("rest") >= 1.0, "enough")
    assert run_solver(problem, SolverSettings(name)).stats.status == LpSolveStatus.Infeasible


class TestSettings:
    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("gap", -1e-9),
            ("gap", 1.0),
            ("gap", math.nan),
            ("gap", math.inf),
            ("time_limit_seconds", 0.0),
            ("time_limit_seconds", -1.0),
            ("time_limit_seconds", math.nan),
            ("threads", 0),
            ("threads", -2),
        ],
    )
    def test_values_outside_the_accepted_set_are_refused(self, field, value) -> None:
        with pytest.raises(ValueError, match="Expected"):
            SolverSettings(**{field: value})

    def test_the_default_is_highs_with_a_gap_of_a_ten_thousandth(self) -> None:
        assert SolverSettings() == SolverSettings("highs", 1e-4, None, None)

    @pytest.mark.parametrize("name", ["gurobbi", "", "no such solver", "GUROBI_CMD", "SCIP_CMD"])
    def test_a_solver_that_is_not_there_is_reported_with_those_that_are(
        self, monkeypatch, name
    ) -> None:
        monkeypatch.setattr(pulp, "listSolvers", _listed)

        with pytest.raises(InputError) as caught:
            make_solver(SolverSettings(name))

        message = str(caught.value)
        assert f"`{name}`" in message
        assert "found: highs, cbc" in message
        assert caught.value.exit_code == 2

    @pytest.mark.parametrize(
        ("name", "kind"),
        [("highs", "HiGHS"), ("HiGHS", "HiGHS"), ("cbc", "COIN_CMD"), ("COIN_CMD", "COIN_CMD")],
    )
    def test_short_names_and_those_of_pulp_are_known(self, name, kind) -> None:
        solver = make_solver(SolverSettings(name, gap=0.02, time_limit_seconds=7.0, threads=1))

        assert solver.name == kind
        assert solver.timeLimit == 7.0
        assert 0.02 in (solver.optionsDict.get("gapRel"), getattr(solver, "gapRel", None))
        assert 1 in (solver.optionsDict.get("threads"), getattr(solver, "threads", None))


def _listed(onlyAvailable: bool = False) -> list[str]:  # noqa: N803
    return ["HiGHS", "COIN_CMD"] + ([] if onlyAvailable else ["GUROBI_CMD", "SCIP_CMD"])
