"""Near-optimal alternatives: plans that cost little more and differ most from the cheapest.

Modelling to generate alternatives: E. D. Brill, S.-Y. Chang and L. D. Hopkins, "Modeling to
Generate Alternatives: The HSJ Approach and an Illustration Using a Problem in Land Use Planning",
*Management Science* 28 (1982), pp. 221-235; J. F. DeCarolis, "Using modeling to generate
alternatives (MGA) to expand our thinking on energy futures", *Energy Economics* 33 (2011),
pp. 145-152. Instead of one weight on all purchases of the optimum there are several directions:
least of one kind of purchase, least in one region, least capital. Of all plans that go furthest in
a direction the cheapest is taken, so that an alternative does not buy what it does not need.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from planner.amounts import percent
from planner.below import Below, priced
from planner.errors import SolverError
from planner.infrastructure.entities import Model
from planner.infrastructure.failures import Scenario
from planner.infrastructure.fleet import Fleet
from planner.judging import Judged
from planner.optimization.decomposition.furthest import furthest_in_parts
from planner.optimization.decomposition.loop import decomposes
from planner.optimization.decomposition.parts import Decomposition
from planner.optimization.formulation.algebra import Expression, sum_of
from planner.optimization.formulation.build import build
from planner.optimization.formulation.loosening import stricter_rows
from planner.optimization.formulation.problem import ProblemData
from planner.optimization.formulation.programme import Programme
from planner.optimization.formulation.purchases import capital_usd
from planner.optimization.formulation.simulated import SimulatedCut
from planner.optimization.solution.audit import audit
from planner.optimization.solution.deadline import Deadline
from planner.optimization.solution.decisions import Decision, counts, prices, region_of, variables
from planner.optimization.solution.operation import billed
from planner.optimization.solution.settings import SolverSettings
from planner.optimization.solution.solving import Solution, solve
from planner.other_hours import at_other_hours, joined
from planner.selection import Selection
from planner.simulation.verdict import Verdict, judge
from planner.survivors import Search

#: Costs in added rows are in millions: solvers keep rows to 1e-6 of whatever unit they are in.
MILLION = 1e6
#: Relative gap of the search in a direction.
DIRECTION_GAP = 0.01
#: Share by which the cheapest plan may fall short of the furthest.
SLACK = 1e-3
#: Most times that a plan dearer than allowed, or failing at other hours, is looked for again.
AGAIN = 3
#: Share of the cost limit that is rounding.
ROUNDING = 1e-6
#: Smallest difference of two plans that are both shown.
LEAST_DIFFERENCE = 1e-3


@dataclass(frozen=True)
class Direction:
    """What an alternative minimises.

    Parameters
    ----------
    weights
        Weight of each decision; empty for capital.
    """

    name: str
    weights: Mapping[Decision, float]


@dataclass(frozen=True)
class Alternative:
    """One near-optimal plan.

    Parameters
    ----------
    name
        Direction in words.
    slack
        Share by which it may cost more than the cheapest plan.
    cost_usd, capital_usd
        Cost per year and capital.
    difference
        Share of the yearly cost of purchases that is spent on something else: the L1 distance of
        the purchases, priced, over what the cheapest plan spends.
    changes
        What it buys more than the cheapest plan (less, where negative).
    verdicts
        Simulated outcome of every scenario.
    left_out
        Failures simulated at hours that are not planned for, where it survives all scenarios; None
        where there are too many.
    beyond
        Outcomes of those among them that it does not survive.
    repairs
        Plans that failed before it.
    """

    name: str
    slack: float
    cost_usd: float
    capital_usd: float
    difference: float
    changes: Mapping[Decision, int]
    fleet: Fleet
    verdicts: tuple[Verdict, ...]
    repairs: int
    left_out: int | None = 0
    beyond: tuple[Verdict, ...] = ()

    @property
    def failed(self) -> tuple[str, ...]:
        """Scenarios that it does not survive."""
        outcomes = (*self.verdicts, *self.beyond)
        return tuple(verdict.name for verdict in outcomes if verdict.fails)


@dataclass(frozen=True)
class CheapestPlan:
    """The cheapest plan, with which alternatives are compared.

    Parameters
    ----------
    data
        Model and scenarios of its last round.
    cost_usd
        Cost per year.
    prices
        Yearly price of one of each.
    selection
        Where the scenarios come from; None to simulate nothing at the hours that it leaves out.
    learned
        What was learned from plans that failed.
    """

    data: ProblemData
    cost_usd: float
    bought: Mapping[Decision, int]
    prices: Mapping[Decision, float]
    selection: Selection | None = None
    learned: tuple[SimulatedCut, ...] = ()

    @classmethod
    def of(
        cls,
        programme: Programme,
        solution: Solution,
        selection: Selection | None = None,
        learned: tuple[SimulatedCut, ...] = (),
    ) -> CheapestPlan:
        """The cheapest plan of a solved programme."""
        bought, usd = counts(programme, solution.values), prices(programme)
        return cls(programme.data, solution.objective, bought, usd, selection, learned)

    def changes(self, bought: Mapping[Decision, int]) -> dict[Decision, int]:
        """Differences of other purchases from these; positive where there are more."""
        more = {key: bought[key] - count for key, count in self.bought.items()}
        return {key: count for key, count in more.items() if count}

    def distance(self, changes: Mapping[Decision, int], others: Mapping[Decision, int]) -> float:
        """Priced L1 distance of two sets of changes over what the optimum spends on purchases."""
        spent = sum(abs(count * self.prices[key]) for key, count in self.bought.items())
        apart = sum(
            abs((changes.get(key, 0) - others.get(key, 0)) * price)
            for key, price in self.prices.items()
        )
        return apart / spent if spent else float(apart > 0)


def alternatives(
    optimum: CheapestPlan,
    slacks: Sequence[float],
    most: int,
    settings: SolverSettings,
    progress: Callable[[str], None] = lambda _: None,
) -> tuple[Alternative, ...]:
    """Plans within each slack that differ most from the optimum and from each other.

    Parameters
    ----------
    slacks
        Shares by which they may cost more, for example 0.01 and 0.05.
    most
        Alternatives kept for each slack.
    """
    found: list[Alternative] = []
    search = _Search(optimum, settings)
    for slack in slacks:
        candidates = []
        for direction in directions(optimum):
            progress(f"within {percent(slack)}: {direction.name}")
            candidate = search.alternative(direction, slack)
            if candidate is not None:
                candidates.append(candidate)
            if settings.stopped:
                break
        found += _most_different(optimum, candidates, most)
    return tuple(found)


def directions(optimum: CheapestPlan) -> tuple[Direction, ...]:
    """Directions of change: less of each kind of purchase, in each region, less capital."""
    model, bought = optimum.data.model, optimum.bought
    groups: dict[str, list[Decision]] = {}
    for key, count in bought.items():
        if not count or key.kind == "retired":
            continue
        groups.setdefault(f"least {_kind(model, key)}", []).append(key)
        region = region_of(model, key)
        if region is not None:
            groups.setdefault(f"least in {region}", []).append(key)
    found: dict[frozenset[Decision], Direction] = {}
    for name, keys in groups.items():
        members = _all_of(optimum, keys, name)
        weights = {key: optimum.prices[key] / MILLION for key in members}
        found.setdefault(frozenset(members), Direction(name, weights))
    spent = {key for key, count in bought.items() if count and key.kind != "retired"}
    # Hop, skip and jump: all that the optimum buys, weighted by the inverse of its number.
    jump = Direction("least of the cheapest plan", {key: 1 / bought[key] for key in spent})
    return (*found.values(), jump, Direction("least capital", {}))


def _kind(model: Model, key: Decision) -> str:
    if key.kind == "cooling":
        return f"{model.plants[key.asset.split('/')[0]].role} cooling"
    names = {"gpus": "GPUs", "emergency": "cloud", "region": "regions", "measure": "measures"}
    return names.get(key.kind, key.kind)


def _all_of(optimum: CheapestPlan, keys: Sequence[Decision], name: str) -> list[Decision]:
    """All decisions of a group, also those of which the optimum buys none."""
    model, region = optimum.data.model, region_of(optimum.data.model, keys[0])
    if name.startswith("least in "):
        bought = (key for key in optimum.prices if key.kind != "retired")
        return [key for key in bought if region_of(model, key) == region]
    kind = _kind(model, keys[0])
    return [key for key in optimum.prices if _kind(model, key) == kind]


@dataclass
class _Search:
    """Alternatives that survive, looked for from below as the cheapest plan is.

    All directions have the blocks of one programme, and learn from what others were short of.
    """

    optimum: CheapestPlan
    settings: SolverSettings
    data: ProblemData = field(init=False)
    below: Below = field(init=False)
    parts: Decomposition | None = field(init=False)
    selection: Selection | None = field(init=False)

    def __post_init__(self) -> None:
        self.selection = self.optimum.selection
        self._begin(self.optimum.data.scenarios, self.optimum.learned)

    def _begin(self, scenarios: tuple[Scenario, ...], learned: tuple[SimulatedCut, ...]) -> None:
        self.data = data = self.optimum.data.changed(scenarios, {})
        plans = data.changed(scenarios, stricter_rows(data))
        base = build(data.part(()))
        judged = Judged(data.model, scenarios, base, self.settings, lambda: self.settings.stopped)
        # A time limit is that of one solve.
        deadline = Deadline(replace(self.settings, time_limit_seconds=None))
        self.below = Below(plans, judged, deadline, lambda _: None, learned)
        self.parts = Decomposition(data, self.settings) if decomposes(data, self.settings) else None
        if self.parts is not None:
            self.parts.lay_out(deadline)

    def alternative(self, direction: Direction, slack: float) -> Alternative | None:
        """The plan of a direction; None if it is the cheapest again, or there is none in time.

        Rows that are stricter than the standard are left to the simulation.
        """
        most = self.optimum.cost_usd * (1 + slack)
        limit, candidate, failed = most, None, 0
        for _ in range(AGAIN):
            below = self.below
            below.solve = partial(_furthest, direction, limit, self.settings)
            try:
                bought = below.fleet_that_survives()
            except SolverError:
                return candidate
            if bought is None:
                return candidate
            failed += below.plans - 1
            fleets = (
                [bought] if below.failing else [Search.of(below.judged).least_of(bought), bought]
            )
            named = [dict(zip(below.judged.keys, counts, strict=True)) for counts in fleets]
            solved = next(filter(None, priced(self.data, named, self.settings, self.parts)), None)
            if solved is not None:
                candidate = self._simulated(direction.name, slack, failed, solved)
            if candidate is None or candidate.difference < LEAST_DIFFERENCE:
                return None
            over = candidate.cost_usd - most
            if over > ROUNDING * most:
                limit, candidate = limit - over, None
            elif candidate.beyond and self.selection is not None:
                self.selection = joined(self.selection, self.data.model, candidate.beyond)
                self._begin(self.selection.scenarios, below.learned)
            else:
                break
        return candidate

    def _simulated(
        self, name: str, slack: float, repairs: int, solved: tuple[Programme, Solution]
    ) -> Alternative:
        """A plan, audited, priced, and simulated at its scenarios, then at the hours left out."""
        programme, data, optimum = solved[0], solved[0].data, self.optimum
        solution, items = billed(data.model, solved[1], audit(*solved))
        changes = optimum.changes(counts(programme, solution.values))
        verdicts = judge(data.model, solution.fleet, data.scenarios, stories=False)
        fails = any(verdict.fails for verdict in verdicts)
        hours = None if fails else self.selection
        left_out, beyond = at_other_hours(hours, data.model, solution.fleet)
        return Alternative(
            name=name,
            slack=slack,
            cost_usd=solution.objective,
            capital_usd=sum(item.capital_usd for item in items),
            difference=optimum.distance(changes, {}),
            changes=changes,
            fleet=solution.fleet,
            verdicts=verdicts,
            repairs=repairs,
            left_out=left_out,
            beyond=beyond,
        )


def _furthest(
    direction: Direction,
    most_usd: float,
    given: SolverSettings,
    question: Programme | Decomposition,
    settings: SolverSettings,
    _: Fleet | None,
) -> Solution:
    """Of the plans within a cost limit that go furthest in a direction the cheapest."""
    settings = replace(settings, time_limit_seconds=given.time_limit_seconds)
    gap = max(settings.gap, DIRECTION_GAP)
    if isinstance(question, Decomposition):
        way = partial(_expression, direction=direction)
        return furthest_in_parts(question, way, most_usd, settings, _allowed, gap)
    programme = question
    cost = programme.problem.objective
    objective = _expression(programme, direction)
    programme.problem.add((1 / MILLION) * cost <= most_usd / MILLION, "most_cost")
    programme.problem.objective = objective
    first = solve(programme, replace(settings, gap=gap))
    if first.status == "infeasible":
        return first
    programme.problem.add(objective <= _allowed(first.objective), "direction")
    programme.problem.objective = cost
    return solve(programme, settings)


def _allowed(least: float) -> float:
    """How far the cheapest plan may go, where the furthest goes so far."""
    return least + SLACK * max(abs(least), SLACK)


def _expression(programme: Programme, direction: Direction) -> Expression:
    if not direction.weights:
        return (1 / MILLION) * capital_usd(programme)
    chosen = variables(programme)
    return sum_of(weight * chosen[key] for key, weight in direction.weights.items())


def _most_different(
    optimum: CheapestPlan, candidates: Sequence[Alternative], most: int
) -> list[Alternative]:
    """The most different candidates, surviving ones first: each farthest from those taken."""
    taken: list[Alternative] = []
    left = list(candidates)
    while left and len(taken) < most:
        known: list[Mapping[Decision, int]] = [{}, *(alternative.changes for alternative in taken)]

        def apart(candidate: Alternative, known: Sequence[Mapping[Decision, int]] = known) -> float:
            return min(optimum.distance(candidate.changes, changes) for changes in known)

        best = max(left, key=lambda candidate: (not candidate.failed, apart(candidate)))
        left.remove(best)
        if apart(best) >= LEAST_DIFFERENCE:
            taken.append(best)
    return taken
