"""Many scenarios: the whole programme against the decomposition, by their number.

Run ``python tests/benchmarks/scale.py [--gap G] [--extensive K] [--limit S] [--hours H]
[--regions N] COUNT...``.

The scenarios of hyperscaler-12 come first, then pairs of failures spread over all there are; those
that leave no plan even alone are taken out. With ``--regions N`` the model is a synthetic one of N
regions whose demand is the same in every hour, so that a failure has five stages and not 27: small
enough for the whole programme. Each number is solved in a process of its own, so that its memory is
its own; the whole programme (PuLP and HiGHS) up to K scenarios, or handed to linopy from ready
coefficients (``--method linopy``), or scenario by scenario to mpi-sppy (``--method mpi-sppy``);
neither is installed with the planner. Seconds are of the processor and count everything from
scenarios to a proven plan, without simulation; the audit, which works the recourse of every
scenario out again, is stated apart. With ``--hours`` scenarios are only laid out, each at H hours
of the week.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

# Run as a script: the checkout is not on the path.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np

from planner.infrastructure.entities import Model
from planner.infrastructure.loading import load_model
from planner.infrastructure.synthesis import model_text
from planner.laws.calendar import HOURS_PER_WEEK
from planner.optimization.decomposition.loop import solve_in_parts
from planner.optimization.decomposition.parts import Decomposition
from planner.optimization.formulation.algebra import AT_LEAST, AT_MOST, Expression
from planner.optimization.formulation.build import build, build_part
from planner.optimization.formulation.problem import ProblemData
from planner.optimization.formulation.programme import Programme
from planner.optimization.solution.audit import audit
from planner.optimization.solution.deadline import Deadline
from planner.optimization.solution.scaling import Scaled
from planner.optimization.solution.settings import SolverSettings
from planner.optimization.solution.solving import Solution, solve
from planner.scenarios.combinations import pairs
from planner.scenarios.generators import all_scenarios
from planner.scenarios.hours import at_hour


def even(regions: int) -> Model:
    """A synthetic model of so many regions whose demand is the same in every hour."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.yaml"
        path.write_text(model_text(regions, seed=1), encoding="utf-8")
        model = load_model(str(path)).model
    zones = {name: zone.replace(shape="flat") for name, zone in model.zones.items()}
    return model.replace(zones=zones)


def scenarios(count: int, regions: int | None = None) -> ProblemData:
    """So many scenarios of the model, singles before pairs."""
    model = even(regions) if regions else load_model("hyperscaler-12").model
    chosen = list(all_scenarios(model))[:count]
    names = {scenario.name for scenario in chosen}
    others = [scenario for scenario in pairs(model) if scenario.name not in names]
    wanted = min(count - len(chosen), len(others))
    chosen += [others[i * len(others) // wanted] for i in range(wanted)]
    return ProblemData(model, tuple(chosen), {})


def decomposed(data: ProblemData, settings: SolverSettings) -> tuple[Programme, Solution]:
    """The plan by decomposition, without scenarios that leave none."""
    parts = Decomposition(data, settings)
    while True:
        programme, solution = solve_in_parts(parts, settings)
        if solution.status != "infeasible":
            return programme, solution
        gone = set(solution.conflict)
        kept = tuple(one for one in parts.data.scenarios if one.name not in gone)
        parts.change(parts.data.changed(kept, {}))


def possible(data: ProblemData) -> ProblemData:
    """The same without scenarios that leave no plan, which decomposition finds."""
    return ProblemData(data.model, decomposed(data, SolverSettings(gap=0.05))[0].data.scenarios, {})


def extensive(data: ProblemData, settings: SolverSettings) -> tuple[Programme, Solution]:
    """The plan of the whole programme, without scenarios that leave none."""
    whole = possible(data)
    started = time.process_time()
    programme = build(whole)
    solution = solve(programme, settings)
    print(f"{time.process_time() - started:.1f}", end=" ")
    return programme, solution


def with_linopy(data: ProblemData, settings: SolverSettings) -> None:
    """Hand the whole programme to linopy, from ready coefficients, and solve it there."""
    import linopy
    import xarray

    programme = build(possible(data))
    numbers, model = Scaled(programme.problem).numbers, linopy.Model()
    started = time.process_time()
    labels = np.zeros(len(numbers.cost), dtype=int)
    for whole in (False, True):
        mine = np.flatnonzero(numbers.whole == whole)
        low, high = (
            xarray.DataArray(bound[mine], dims="column") for bound in (numbers.low, numbers.high)
        )
        made = model.add_variables(low, high, name=f"x{whole:d}", integer=whole)
        labels[mine] = made.labels.values
    count = np.bincount(numbers.row, minlength=len(numbers.side))
    place = np.arange(len(numbers.row)) - np.repeat(np.cumsum(count) - count, count)
    width = np.ceil(np.log2(np.maximum(count, 1))).astype(int)
    for power in np.unique(width).tolist():  # rows of similar length together
        rows = np.flatnonzero(width == power)
        inside = width[numbers.row] == power
        row, column = np.searchsorted(rows, numbers.row[inside]), place[inside]
        terms = np.full((len(rows), 2**power), -1)
        factors = np.zeros(terms.shape)
        terms[row, column] = labels[numbers.column[inside]]
        factors[row, column] = numbers.entry[inside]
        axes = ("row", "_term")
        expression = linopy.LinearExpression(
            xarray.Dataset({"coeffs": (axes, factors), "vars": (axes, terms)}), model
        )
        sign = np.array(["=", ">=", "<="])[numbers.sense[rows]]
        side = xarray.DataArray(numbers.side[rows], dims="row")
        model.add_constraints(expression, xarray.DataArray(sign, dims="row"), side)
    cost = xarray.Dataset({"coeffs": ("_term", numbers.cost), "vars": ("_term", labels)})
    model.add_objective(linopy.LinearExpression(cost, model))
    built = time.process_time() - started
    status = model.solve("highs", mip_rel_gap=settings.gap, threads=1, random_seed=1)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    seconds = time.process_time() - started
    print(
        f"{seconds:.1f} s from ready coefficients, {built:.1f} s built, {status}, {peak:,.0f} MiB"
    )


def with_mpi_sppy(data: ProblemData, settings: SolverSettings) -> None:
    """Solve the whole programme in mpi-sppy, from a Pyomo model of each scenario."""
    import pyomo.environ as pyo
    from mpisppy.opt.ef import ExtensiveForm
    from mpisppy.utils.sputils import attach_root_node
    from pyomo.core.expr.numeric_expr import LinearExpression

    data = possible(data)
    base = build(data.part(()))
    names = tuple(data.stages_by_scenario)
    # Recourse may add columns to purchases: it is built before any of it is handed over.
    parts = {name: build_part(base, data.part((name,))) for name in names}
    started = time.process_time()

    def scenario(name: str) -> pyo.ConcreteModel:
        made, here = pyo.ConcreteModel(name), (base.problem, parts[name].problem)
        columns: dict[int, pyo.Var] = {}
        for whose, problem in zip(("first", "own"), here, strict=True):
            block = pyo.Var(range(len(problem.variables)))
            made.add_component(whose, block)
            for place, variable in enumerate(problem.variables):
                bounds = (b if np.isfinite(b) else None for b in (variable.low, variable.high))
                block[place].setlb(next(bounds))
                block[place].setub(next(bounds))
                block[place].domain = pyo.Integers if variable.integer else pyo.Reals
                columns[variable.id] = block[place]

        def amount(expression: Expression) -> Any:
            return LinearExpression(
                constant=expression.constant,
                linear_coefs=list(expression.terms.values()),
                linear_vars=[columns[variable.id] for variable in expression.terms],
            )

        made.rows = pyo.ConstraintList()
        for row in (row for problem in here for row in problem.constraints if row.items()):
            low, high = (None if row.sense == side else 0.0 for side in (AT_MOST, AT_LEAST))
            made.rows.add((low, amount(row.expression), high))
        first, once = (amount(problem.objective) for problem in here)
        often = data.by_name[name].frequency_per_year * len(names)
        made.cost = pyo.Objective(expr=first + often * once)
        made._mpisppy_probability = 1 / len(names)
        attach_root_node(made, first, [made.first])
        return made

    options = {"solver": "appsi_highs"}
    solver = {"mip_rel_gap": settings.gap, "threads": 1, "time_limit": settings.time_limit_seconds}
    whole = ExtensiveForm(options, list(names), scenario)
    built = time.process_time() - started
    found = whole.solve_extensive_form(solver_options={k: v for k, v in solver.items() if v})
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    usd, seconds = whole.get_objective_value(), time.process_time() - started
    print(
        f"{seconds:.1f} s from built rows, {built:.1f} s of these handing over, "
        f"{found.solver.termination_condition}, {usd / 1e6:,.2f} M USD a year, {peak:,.0f} MiB"
    )


def lay_out(count: int, hours: int) -> None:
    """Lay out scenarios at some hours of the week each, and print a line."""
    started = time.process_time()
    data = scenarios(count)
    chosen = tuple(
        at_hour(scenario, hour * HOURS_PER_WEEK // hours, 1, hours)
        for scenario in data.scenarios
        for hour in range(hours)
    )
    data = ProblemData(data.model, chosen, {})
    stages = len(data.stages)
    cut = time.process_time() - started
    parts = Decomposition(data, SolverSettings())
    parts.lay_out(Deadline(parts.settings))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{len(chosen):,} scenarios, {len(parts.failures):,} can bind: {stages:,} stages in "
        f"{cut:.1f} s, {len(parts.library.blocks):,} blocks of {len(parts.library.forms):,} forms "
        f"in {time.process_time() - started - cut:.1f} s, {peak:,.0f} MiB"
    )


def measure(data: ProblemData, method: str, settings: SolverSettings) -> None:
    """Solve some scenarios one way, and print a line."""
    started = time.process_time()
    if method in ("linopy", "mpi-sppy"):
        (with_linopy if method == "linopy" else with_mpi_sppy)(data, settings)
        return
    programme, solution = (decomposed if method == "decomposed" else extensive)(data, settings)
    if method == "decomposed":
        print(f"{time.process_time() - started:.1f}", end=" ")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"s solved, gap {solution.gap:.3%}, {solution.objective / 1e6:,.2f} M USD a year, "
        f"{peak:,.0f} MiB, {len(programme.data.scenarios):,} scenarios possible",
        end=", ",
        flush=True,
    )
    before = time.process_time()
    audit(programme, solution)
    print(f"{time.process_time() - before:.1f} s audited")


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("counts", type=int, nargs="+", metavar="COUNT")
    parser.add_argument("--gap", type=float, default=0.0025)
    parser.add_argument("--extensive", type=int, default=0, metavar="K")
    parser.add_argument("--limit", type=float, metavar="S", help="Seconds for each solve.")
    parser.add_argument("--hours", type=int, metavar="H", help="Lay out only, at H hours each.")
    parser.add_argument("--regions", type=int, metavar="N", help="A synthetic model, even demand.")
    parser.add_argument("--method", choices=["decomposed", "extensive", "linopy", "mpi-sppy"])
    asked = parser.parse_args()
    if asked.hours:
        lay_out(asked.counts[0], asked.hours)
        return
    if asked.method:
        settings = SolverSettings(gap=asked.gap, time_limit_seconds=asked.limit)
        measure(scenarios(asked.counts[0], asked.regions), asked.method, settings)
        return
    for count in asked.counts:
        for method in ["decomposed"] + ["extensive"] * (count <= asked.extensive):
            print(f"{count:6,} {method:11}", end=" ", flush=True)
            command = [sys.executable, __file__, str(count), "--method", method]
            command += ["--gap", str(asked.gap)]
            command += ["--limit", str(asked.limit)] if asked.limit else []
            command += ["--regions", str(asked.regions)] if asked.regions else []
            subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
