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
from dataclasses import dataclass, replace
from functools import partial

from planner.amounts import percent
from planner.errors import SolverError
from planner.infrastructure.entities import Model
from planner.infrastructure.fleet import Fleet
from planner.margins import tighten
from planner.optimization.decomposition.furthest import furthest_in_parts
from planner.optimization.decomposition.loop import decomposes, solve_in_parts
from planner.optimization.decomposition.parts import Decomposition
from planner.optimization.formulation.algebra import Expression, sum_of
from planner.optimization.formulation.build import build
from planner.optimization.formulation.problem import ProblemData
from planner.optimization.formulation.programme import Programme
from planner.optimization.formulation.purchases import capital_usd
from planner.optimization.solution.audit import audit
from planner.optimization.solution.decisions import Decision, counts, prices, region_of, variables
from planner.optimization.solution.operation import billed
from planner.optimization.solution.settings import SolverSettings
from planner.optimization.solution.solving import Solution, solve
from planner.other_hours import at_other_hours, joined
from planner.selection import Selection
from planner.simulation.verdict import Verdict, judge

#: Costs in added rows are in millions: solvers keep rows to 1e-6 of whatever unit they are in.
MILLION = 1e6
#: Relative gap of the search in a direction.
DIRECTION_GAP = 0.01
#: Share by which the cheapest plan may fall short of the furthest.
SLACK = 1e-3
#: Rounds in which an alternative that fails in simulation is repaired.
REPAIRS = 3
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
        Rounds of tightening that it took to survive.
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
        Model, scenarios and margins of its last round.
    cost_usd
        Cost per year.
    prices
        Yearly price of one of each.
    selection
        Where the scenarios come from; None to simulate nothing at the hours that it leaves out.
    """

    data: ProblemData
    cost_usd: float
    bought: Mapping[Decision, int]
    prices: Mapping[Decision, float]
    selection: Selection | None = None

    @classmethod
    def of(
        cls, programme: Programme, solution: Solution, selection: Selection | None = None
    ) -> CheapestPlan:
        """The cheapest plan of a solved programme."""
        bought = counts(programme, solution.values)
        return cls(programme.data, solution.objective, bought, prices(programme), selection)

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
    question = _question(optimum.data, settings)
    for slack in slacks:
        candidates = []
        for direction in directions(optimum):
            progress(f"within {percent(slack)}: {direction.name}")
            candidate = _alternative(optimum, question, direction, slack, settings)
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


Question = Programme | Decomposition


def _question(data: ProblemData, settings: SolverSettings) -> Question:
    """The whole programme, or the same in parts with its first cuts; directions change copies."""
    if not decomposes(data, settings):
        return build(data)
    parts = Decomposition(data, settings)
    solve_in_parts(parts, settings)
    return parts


def _tightened(question: Question, data: ProblemData) -> Question:
    return build(data) if isinstance(question, Programme) else question.branch(data)


def _alternative(
    optimum: CheapestPlan,
    question: Question,
    direction: Direction,
    slack: float,
    settings: SolverSettings,
) -> Alternative | None:
    """The plan of a direction, simulated, and tightened a few times where it fails.

    None if it is the cheapest plan again, or time ends before there is one.
    """
    selection, fewest = optimum.selection, None
    for repairs in range(REPAIRS + 1):
        try:
            solved = _furthest(question, optimum.cost_usd * (1 + slack), direction, settings)
        except SolverError:
            return fewest
        if solved is None:
            return fewest
        candidate = _simulated(optimum, direction.name, slack, repairs, solved, selection)
        if candidate.difference < LEAST_DIFFERENCE:
            return fewest
        if fewest is None or len(candidate.failed) < len(fewest.failed):
            fewest = candidate
        data, joining = question.data, tuple[Verdict, ...]()
        if selection is not None and candidate.beyond:
            selection, joining = joined(selection, data.model, candidate.beyond)
        tighter = tighten(data.margins, (*candidate.verdicts, *joining))
        if not candidate.failed or (tighter == data.margins and not joining):
            return fewest
        scenarios = data.scenarios if selection is None else selection.scenarios
        question = _tightened(question, data.changed(scenarios, tighter, data.waived))
    return fewest


def _simulated(
    optimum: CheapestPlan,
    name: str,
    slack: float,
    repairs: int,
    solved: tuple[Programme, Solution],
    selection: Selection | None,
) -> Alternative:
    """A plan, audited, priced, and simulated at its scenarios, then at the hours left out."""
    programme, data = solved[0], solved[0].data
    solution, items = billed(data.model, solved[1], audit(*solved))
    changes = optimum.changes(counts(programme, solution.values))
    verdicts = judge(data.model, solution.fleet, data.scenarios, stories=False)
    fails = any(verdict.fails for verdict in verdicts)
    left_out, beyond = at_other_hours(None if fails else selection, data.model, solution.fleet)
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
    question: Question, most_usd: float, direction: Direction, settings: SolverSettings
) -> tuple[Programme, Solution] | None:
    """Of the plans within a cost limit that go furthest in a direction the cheapest."""
    gap = max(settings.gap, DIRECTION_GAP)
    if isinstance(question, Decomposition):
        way = partial(_expression, direction=direction)
        return furthest_in_parts(question, way, most_usd, settings, _allowed, gap)
    programme = question.copied()
    cost = programme.problem.objective
    objective = _expression(programme, direction)
    programme.problem.add((1 / MILLION) * cost <= most_usd / MILLION, "most_cost")
    programme.problem.objective = objective
    first = solve(programme, replace(settings, gap=gap))
    if first.status == "infeasible":
        return None
    programme.problem.add(objective <= _allowed(first.objective), "direction")
    programme.problem.objective = cost
    second = solve(programme, settings)
    return None if second.status == "infeasible" else (programme, second)


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
