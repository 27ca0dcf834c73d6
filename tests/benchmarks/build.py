"""Time to build the same programme in PuLP, linopy and Pyomo.

Needs ``pip install linopy pyomo`` beside the planner and what its tests need, in an environment of
its own if you like; the planner itself uses neither. Run ``python tests/benchmarks/build.py
[MODEL …]``, the name ``large`` being the generated platform of twelve regions with a dozen random
scenarios. Times are those of the processor, which other work on the machine disturbs least; even so
read the ratios, not the seconds.

A programme is built once by the planner and taken apart into families of columns and rows with
their coefficients as plain lists, the neutral description. From it the three build what they build
best:

* PuLP: a variable a column, an expression from a list of pairs a row, names included.
* linopy: an array of variables a family of columns, an array of constraints a family of rows, whose
  terms are two arrays of labels and coefficients, padded to the longest row of the family. No
  expression is added to another, which is more than a model in linopy's own style can hope for.
  Once more with as few families as possible, since on small programmes most of its time is a cost
  per call: a bound on what linopy can do rather than a model that anyone would write.
* Pyomo: indexed variables and constraints with rules, a family each; a row's sum by `quicksum`.
  Once more with `LinearExpression` instead of sums, its form for those in a hurry.

The planner builds from a model, not from lists: stages, laws and what each row means come on top,
as its own two lines show. Arrays made beforehand cost linopy nothing here; in a planner that used
it they would have to be made. The last step hands the programme to HiGHS in memory. Then the
relaxations are compared: rows, columns, coefficients and optimum have to be the same.
"""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf, isclose
from pathlib import Path

import highspy
import numpy as np
import pulp
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from planner.infrastructure.catalogue import shipped_models
from planner.infrastructure.loading import load_model
from planner.optimization.formulation.build import build
from planner.optimization.formulation.problem import ProblemData
from planner.optimization.formulation.programme import Programme
from planner.scenarios.generators import all_scenarios

try:
    import linopy
    import pyomo.environ as pyo
    import xarray as xr
    from pyomo.contrib.appsi.solvers import Highs as AppsiHighs
    from pyomo.core.expr.numeric_expr import LinearExpression
except ImportError as missing:
    sys.exit(f"{missing}. This benchmark needs what the planner does not: pip install linopy pyomo")

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(CHECKOUT / "tests"))
ROUNDS = 5
LARGE = "large"
SCENARIOS = 12
SENSE = {-1: "<=", 0: "=", 1: ">="}


@dataclass(frozen=True)
class Columns:
    """A family of columns.

    Parameters
    ----------
    start
        Number of its first column in the programme.
    names, low, high
        By column; bounds may be infinite.
    whole
        By column, whether it is an integer.
    """

    start: int
    names: list[str]
    low: list[float]
    high: list[float]
    whole: list[bool]


@dataclass(frozen=True)
class Rows:
    """A family of rows.

    Parameters
    ----------
    names, right
        By row.
    sense
        By row: -1 at most, 0 equal, 1 at least.
    columns, coefficients
        By row, the columns in it and their coefficients.
    """

    names: list[str]
    sense: list[int]
    right: list[float]
    columns: list[list[int]]
    coefficients: list[list[float]]


@dataclass(frozen=True)
class Description:
    """A programme as plain lists; the objective is one row."""

    columns: dict[str, Columns]
    rows: dict[str, Rows]
    objective: tuple[list[int], list[float]]

    @property
    def count(self) -> int:
        """Number of columns."""
        return sum(len(family.names) for family in self.columns.values())


def described(programme: Programme) -> Description:
    """Neutral description of a built programme; empty rows and columns are left out.

    PuLP gives solvers neither, the others do.
    """
    families: dict[str, list[pulp.LpVariable]] = {}
    for variable in programme.problem.exported_variables():
        families.setdefault(variable.name.split(".")[0], []).append(variable)
    columns: dict[str, Columns] = {}
    place: dict[str, int] = {}
    for family, members in families.items():
        start = len(place)
        place |= {one.name: start + i for i, one in enumerate(members)}
        low = [-inf if one.lowBound is None else one.lowBound for one in members]
        high = [inf if one.upBound is None else one.upBound for one in members]
        whole = [one.cat == pulp.LpInteger for one in members]
        columns[family] = Columns(start, [one.name for one in members], low, high, whole)
    rows: dict[str, Rows] = {}
    for name, row in programme.constraints.items():
        terms = [(place[v.name], float(c)) for v, c in row.items() if c]
        if terms:
            of = rows.setdefault(programme.rows[name].family, Rows([], [], [], [], []))
            of.names.append(name)
            of.sense.append(row.sense)
            of.right.append(-float(row.constant))
            of.columns.append([column for column, _ in terms])
            of.coefficients.append([coefficient for _, coefficient in terms])
    objective = programme.problem.objective
    assert objective is not None
    costs = [(place[v.name], float(c)) for v, c in objective.items() if c]
    return Description(columns, rows, ([c for c, _ in costs], [c for _, c in costs]))


def in_pulp(given: Description) -> pulp.LpProblem:
    """The programme in PuLP."""
    problem = pulp.LpProblem("programme", pulp.LpMinimize)
    variables: list[pulp.LpVariable] = []
    for family in given.columns.values():
        for name, low, high, whole in zip(
            family.names, family.low, family.high, family.whole, strict=True
        ):
            category = pulp.LpInteger if whole else pulp.LpContinuous
            bounds = (None if low == -inf else low, None if high == inf else high)
            variables.append(problem.add_variable(name, *bounds, category))
    for rows in given.rows.values():
        for name, sense, right, columns, coefficients in zip(
            rows.names, rows.sense, rows.right, rows.columns, rows.coefficients, strict=True
        ):
            terms = [(variables[i], c) for i, c in zip(columns, coefficients, strict=True)]
            total = pulp.LpAffineExpression.from_list(terms)
            row = total <= right if sense < 0 else total >= right if sense else total == right
            problem.addConstraint(row, name)
    costs = [(variables[i], c) for i, c in zip(*given.objective, strict=True)]
    problem.setObjective(pulp.LpAffineExpression.from_list(costs))
    return problem


def _padded(rows: list[list[float]] | list[list[int]], fill: float) -> np.ndarray:
    lengths = np.array([len(row) for row in rows])
    filled = np.full((len(rows), int(lengths.max())), fill)
    filled[np.arange(filled.shape[1]) < lengths[:, None]] = [one for row in rows for one in row]
    return filled


def in_linopy(given: Description) -> linopy.Model:
    """The programme in linopy, family by family."""
    model = linopy.Model()
    labels = np.empty(given.count, dtype=np.int64)
    for name, family in given.columns.items():
        whole = np.array(family.whole)
        # A family is whole or not: the planner has no mixed ones.
        assert whole.all() or not whole.any()
        made = model.add_variables(
            lower=xr.DataArray(family.low, dims=[name]),
            upper=xr.DataArray(family.high, dims=[name]),
            name=name,
            integer=bool(whole.all()),
        )
        labels[family.start : family.start + len(family.names)] = made.labels.values
    for name, rows in given.rows.items():
        columns = _padded(rows.columns, -1).astype(np.int64)
        variables = np.where(columns < 0, -1, labels[columns])
        model.add_constraints(
            _expression(model, f"{name}-row", variables, _padded(rows.coefficients, np.nan)),
            xr.DataArray([SENSE[one] for one in rows.sense], dims=[f"{name}-row"]),
            xr.DataArray(rows.right, dims=[f"{name}-row"]),
            name=f"{name}-row",
        )
    columns, costs = given.objective
    total = _expression(model, "cost", labels[columns][None], np.array(costs)[None])
    model.add_objective(total.sum())
    return model


def regrouped(given: Description) -> Description:
    """The same programme in as few families as linopy needs.

    Columns by whether they are whole, rows by the power of two that their length is below.
    """
    columns: dict[str, Columns] = {}
    place: dict[int, int] = {}
    for whole in (True, False):
        chosen = [
            (family.start + i, name, low, high)
            for family in given.columns.values()
            for i, (name, low, high, one) in enumerate(
                zip(family.names, family.low, family.high, family.whole, strict=True)
            )
            if one is whole
        ]
        numbers, names, low, high = map(list, zip(*chosen, strict=True))
        start = len(place)
        place |= {number: start + i for i, number in enumerate(numbers)}
        kind = "whole" if whole else "continuous"
        columns[kind] = Columns(start, names, low, high, [whole] * len(names))
    rows: dict[str, Rows] = {}
    for family in given.rows.values():
        for i, members in enumerate(family.columns):
            of = rows.setdefault(f"below-{len(members).bit_length()}", Rows([], [], [], [], []))
            of.names.append(family.names[i])
            of.sense.append(family.sense[i])
            of.right.append(family.right[i])
            of.columns.append([place[column] for column in members])
            of.coefficients.append(family.coefficients[i])
    objective = ([place[column] for column in given.objective[0]], given.objective[1])
    return Description(columns, rows, objective)


def _expression(
    model: linopy.Model, dimension: str, variables: np.ndarray, coefficients: np.ndarray
) -> linopy.LinearExpression:
    dims = (dimension, "_term")
    terms = {"vars": (dims, variables), "coeffs": (dims, coefficients)}
    data = xr.Dataset(terms | {"const": ((dimension,), np.zeros(len(variables)))})
    return linopy.LinearExpression(data, model)


def in_pyomo(given: Description, in_a_hurry: bool = False) -> pyo.ConcreteModel:
    """The programme in Pyomo, by rules."""
    model = pyo.ConcreteModel()
    variables: list[pyo.Var] = []
    for name, family in given.columns.items():
        made = pyo.Var(
            range(len(family.names)),
            domain=lambda _, i, family=family: pyo.Integers if family.whole[i] else pyo.Reals,
            bounds=lambda _, i, family=family: (
                None if family.low[i] == -inf else family.low[i],
                None if family.high[i] == inf else family.high[i],
            ),
        )
        model.add_component(f"{name}-column", made)
        variables += made.values()

    def total(columns: list[int], coefficients: list[float]) -> object:
        if in_a_hurry:
            return LinearExpression(
                linear_coefs=coefficients, linear_vars=[variables[i] for i in columns]
            )
        return pyo.quicksum(c * variables[i] for i, c in zip(columns, coefficients, strict=True))

    def rule_of(rows: Rows) -> Callable[[pyo.ConcreteModel, int], object]:
        def rule(_: pyo.ConcreteModel, i: int) -> object:
            body, right = total(rows.columns[i], rows.coefficients[i]), rows.right[i]
            if rows.sense[i] == 0:
                return body == right
            return body <= right if rows.sense[i] < 0 else body >= right

        return rule

    for name, rows in given.rows.items():
        made = pyo.Constraint(range(len(rows.names)), rule=rule_of(rows))
        model.add_component(f"{name}-row", made)
    model.objective = pyo.Objective(expr=total(*given.objective))
    return model


def pulp_to_highs(problem: pulp.LpProblem) -> highspy.Highs:
    """HiGHS with a programme of PuLP."""
    solver = pulp.HiGHS(msg=False)
    solver.createAndConfigureSolver(problem)
    solver.buildSolverModel(problem)
    return problem.solverModel


def linopy_to_highs(model: linopy.Model) -> highspy.Highs:
    """HiGHS with a programme of linopy."""
    return linopy.io.to_highspy(model, set_names=False)


def pyomo_to_highs(model: pyo.ConcreteModel) -> highspy.Highs:
    """HiGHS with a programme of Pyomo."""
    solver = AppsiHighs()
    solver.set_instance(model)
    return solver._solver_model


@dataclass(frozen=True)
class Way:
    """A way to a programme in HiGHS."""

    name: str
    build: Callable[[], object]
    to_highs: Callable[[object], highspy.Highs]


@dataclass(frozen=True)
class Timing:
    """Least seconds of several rounds, and what HiGHS was given."""

    build: float
    to_highs: float
    rows: int
    columns: int
    coefficients: int
    relaxed: float


def seconds(step: Callable[[], object]) -> tuple[float, object]:
    """Processor time of a step, the collector of garbage at rest, and its result."""
    gc.collect()
    gc.disable()
    started = time.process_time()
    result = step()
    taken = time.process_time() - started
    gc.enable()
    return taken, result


def measured(ways: list[Way], rounds: int) -> dict[str, Timing]:
    """Timings of all ways, which take turns so that a busy moment hits all of them."""
    build_seconds: dict[str, list[float]] = {way.name: [] for way in ways}
    hand_over: dict[str, list[float]] = {way.name: [] for way in ways}
    solvers: dict[str, highspy.Highs] = {}
    for _ in range(rounds):
        for way in ways:
            taken, model = seconds(way.build)
            build_seconds[way.name].append(taken)
            taken, _ = seconds(
                lambda way=way, model=model: solvers.update({way.name: way.to_highs(model)})
            )
            hand_over[way.name].append(taken)
    return {
        name: Timing(min(build_seconds[name]), min(hand_over[name]), *relaxation(solver))
        for name, solver in solvers.items()
    }


def relaxation(solver: highspy.Highs) -> tuple[int, int, int, float]:
    """Rows, columns, coefficients and optimum of what HiGHS was given, without whole numbers."""
    lp = solver.getLp()
    size = (lp.num_row_, lp.num_col_, solver.getNumNz())
    fresh = highspy.Highs()
    fresh.setOptionValue("output_flag", False)
    lp.integrality_ = []
    fresh.passModel(lp)
    fresh.run()
    if fresh.getModelStatus() != highspy.HighsModelStatus.kOptimal:
        return *size, inf
    return *size, fresh.getInfo().objective_function_value


def case_of(name: str) -> ProblemData:
    """Case of a shipped model, or of the generated one."""
    if name != LARGE:
        model = load_model(name).model
        return ProblemData(model, all_scenarios(model), {})
    from reference.large_model import large_model, random_scenarios

    # Without a standard, which its random failures would break whatever was bought.
    model = large_model().replace(standard={})
    return ProblemData(model, random_scenarios(model, SCENARIOS), {})


def fresh(case: ProblemData) -> ProblemData:
    """The same case with nothing worked out yet."""
    return ProblemData(case.model, case.scenarios, case.margins)


def staged(case: ProblemData) -> ProblemData:
    """The same case with its stages, its groups and its demand worked out."""
    again = fresh(case)
    _ = again.stages, again.groups, again.crowds, again.mean_rps
    return again


def ways_of(case: ProblemData) -> list[Way]:
    """All ways to the programme of a case."""
    given = described(build(case))
    compact = regrouped(given)
    ready = [staged(case) for _ in range(ROUNDS)]
    return [
        Way("PuLP", lambda: in_pulp(given), pulp_to_highs),
        Way("linopy", lambda: in_linopy(given), linopy_to_highs),
        Way("linopy, few families", lambda: in_linopy(compact), linopy_to_highs),
        Way("Pyomo, sums", lambda: in_pyomo(given), pyomo_to_highs),
        Way("Pyomo, in a hurry", lambda: in_pyomo(given, in_a_hurry=True), pyomo_to_highs),
        Way("planner, stages ready", lambda: build(ready.pop()).problem, pulp_to_highs),
        Way("planner, all of it", lambda: build(fresh(case)).problem, pulp_to_highs),
    ]


def check_same(timings: Mapping[str, Timing]) -> None:
    """End with an error unless all ways gave HiGHS the same programme."""
    first, *others = timings.items()
    for name, one in others:
        same = (one.rows, one.columns, one.coefficients) == (
            first[1].rows,
            first[1].columns,
            first[1].coefficients,
        )
        if not same or not (
            one.relaxed == first[1].relaxed or isclose(one.relaxed, first[1].relaxed, rel_tol=1e-7)
        ):
            sys.exit(f"{name} and {first[0]} differ: {one} and {first[1]}")


def table_of(timings: Mapping[str, Timing]) -> Table:
    """Times, and as multiples of those of PuLP and of the planner."""
    table = Table(box=SIMPLE_HEAD)
    table.add_column("", no_wrap=True)
    for header in ("build s", "to HiGHS s", "build / PuLP", "both / PuLP", "both / planner"):
        table.add_column(header, justify="right")
    base, own = timings["PuLP"], timings["planner, all of it"]
    for name, one in timings.items():
        both = one.build + one.to_highs
        ratios = (
            one.build / base.build,
            both / (base.build + base.to_highs),
            both / (own.build + own.to_highs),
        )
        cells = [f"{one.build:.3f}", f"{one.to_highs:.3f}", *(f"{ratio:.2f}" for ratio in ratios)]
        table.add_row(name, *cells)
    return table


def main() -> None:
    """Measure the named models, or the largest ones."""
    largest = [name for name in ("chatgpt-2023", "hyperscaler-12") if name in shipped_models()]
    console = Console()
    for name in sys.argv[1:] or [*largest, LARGE]:
        timings = measured(ways_of(case_of(name)), ROUNDS)
        check_same(timings)
        one = timings["PuLP"]
        console.print(
            f"{name}: {one.rows:,} rows, {one.columns:,} columns, {one.coefficients:,} "
            f"coefficients, relaxation {one.relaxed:,.2f}"
        )
        console.print(table_of(timings))


if __name__ == "__main__":
    main()
