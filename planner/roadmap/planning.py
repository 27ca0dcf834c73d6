"""The loop over a roadmap: optimise all nodes together, simulate each, tighten, repeat."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from planner.errors import AuditError, SolverError
from planner.infrastructure.entities import Model
from planner.infrastructure.failures import Scenario
from planner.infrastructure.fleet import Fleet
from planner.margins import services_left, tighten
from planner.memory import available_bytes
from planner.optimization.decomposition.size import GIB, TooLarge, estimated
from planner.optimization.formulation.labels import joined
from planner.optimization.formulation.stages import Margin
from planner.optimization.infeasibility.shortfalls import Shortfall
from planner.optimization.solution.costs import CostItem, cost_items
from planner.optimization.solution.deadline import Deadline
from planner.optimization.solution.operation import billed
from planner.optimization.solution.settings import SolverSettings
from planner.optimization.solution.solving import Solution, fleet_of
from planner.plan.records import Stopped
from planner.roadmap.bridge import bridging, normal_shortfalls, waivers
from planner.roadmap.cash import cash_flows, present_value
from planner.roadmap.parts import RoadmapParts, solve_roadmap
from planner.roadmap.programme import (
    OrderKey,
    RoadmapProgramme,
    build_roadmap,
    fix_orders,
    orders_in,
)
from planner.selection import Selection, Wanted, select
from planner.simulation.verdict import Verdict, judge

#: Distance of the recomputed cost from the objective that counts as rounding.
ROUNDING = 1e-6


@dataclass(frozen=True)
class NodeOutcome:
    """A node of a solved roadmap.

    Parameters
    ----------
    fleet
        What is in service.
    solution, items
        Its part of the solution with the cost of a year at the prices of the node.
    verdicts
        Simulated outcome of every scenario.
    shortfalls
        Requirements of normal operation and design that nothing could meet in time.
    not_planned
        Failures that nothing could meet in time; the simulation judges them all the same.
    """

    fleet: Fleet
    solution: Solution
    items: tuple[CostItem, ...]
    verdicts: tuple[Verdict, ...]
    shortfalls: tuple[Shortfall, ...] = ()
    not_planned: frozenset[str] = frozenset()

    @property
    def failed(self) -> tuple[str, ...]:
        """Scenarios that are not survived."""
        return tuple(verdict.name for verdict in self.verdicts if verdict.fails)

    @property
    def missed(self) -> tuple[str, ...]:
        """Those of them that were planned for."""
        return tuple(name for name in self.failed if name not in self.not_planned)


@dataclass(frozen=True)
class RoadmapResult:
    """A solved roadmap, or the proof that there is none.

    Parameters
    ----------
    solution
        Orders and what follows from them; its objective and bound are net present values, USD.
    outcomes
        By node; empty where there is no roadmap.
    rounds
        Rounds of the loop.
    timed_out, interrupted
        What ended it early.
    decided, decided_periods
        Orders that were fixed, and of how many periods.
    """

    roadmap: RoadmapProgramme
    parts: RoadmapParts
    selection: Selection
    solution: Solution
    outcomes: Mapping[str, NodeOutcome]
    rounds: int
    timed_out: bool = False
    interrupted: bool = False
    decided: Mapping[OrderKey, int] = field(default_factory=dict)
    decided_periods: int = 0

    @property
    def feasible(self) -> bool:
        """Whether there is a roadmap."""
        return bool(self.outcomes)

    @property
    def stopped(self) -> Stopped | None:
        """What ended it early; None if nothing did."""
        if self.interrupted:
            return "interrupted"
        return "time limit" if self.timed_out else None

    @property
    def survives(self) -> bool:
        """Whether everything that was planned for survives in every node."""
        return self.feasible and not any(one.missed for one in self.outcomes.values())

    @property
    def programme_usd(self) -> float:
        """Its cost in the programme: without what the simulator's routing costs more."""
        routing = sum(
            each.node.weight * self.outcomes[name].solution.routing_usd_per_year
            for name, each in self.roadmap.nodes.items()
        )
        return self.solution.objective - routing

    @property
    def orders(self) -> dict[OrderKey, int]:
        """What is ordered when."""
        return dict(orders_in(self.roadmap, self.solution.values))


class Selections:
    """Scenarios of nodes: hours that matter depend on the spread of demand, not on its amount."""

    def __init__(self, wanted: Wanted | None) -> None:
        self.wanted = wanted
        self.known: dict[tuple[float, ...], Selection] = {}

    def of(self, model: Model) -> Selection:
        """The selection for the model of a node."""
        zones, tiers = model.zones.values(), model.tiers.values()
        total = sum(zone.demand_rps for zone in zones) or 1.0
        spread = (round(zone.demand_rps / total, 9) for zone in zones)
        key = (*spread, *(round(tier.share, 9) for tier in tiers))
        if key not in self.known:
            self.known[key] = select(model, self.wanted)
        return self.known[key]

    def scenarios(self, model: Model) -> tuple[Scenario, ...]:
        """The scenarios for the model of a node."""
        return self.of(model).scenarios


def plan_roadmap(
    model: Model,
    settings: SolverSettings,
    wanted: Wanted | None = None,
    rounds: int = 12,
    progress: Callable[[str], None] = lambda _: None,
    decided: Mapping[OrderKey, int] | None = None,
    start: Mapping[OrderKey, int] | None = None,
    decided_periods: int = 0,
) -> RoadmapResult:
    """Find the cheapest orders with which every period survives, as far as orders can help.

    Each round solves the programme of all nodes together, simulates every scenario on the fleet of
    each node and tightens the requirements of those that fail there, as `optimize_and_verify` does
    for one moment.

    Parameters
    ----------
    model
        Model with a horizon.
    wanted
        Which scenarios; None for those of the model.
    decided
        Orders of the first periods that are fixed: these and no others.
    start
        Orders to start the search from.
    decided_periods
        How many periods these are.

    Raises
    ------
    SolverError
        If the solver fails, or time ends before there is a roadmap.
    """
    planning = _Planning(
        model, settings, Selections(wanted), progress, decided or {}, decided_periods
    )
    first = planning.values_of(start or {})
    for number in range(1, rounds + 1):
        progress(f"round {number}: solving {len(planning.roadmap.nodes)} nodes")
        try:
            solution = planning.solved(first)
        except SolverError:
            if planning.best is not None and planning.deadline.over:
                return planning.result(number, cut_short=True)
            if settings.stopped:
                raise KeyboardInterrupt from None
            raise
        if solution.status == "infeasible" and planning.best is not None:
            return planning.result(number)
        if solution.status == "infeasible":
            return planning.none(solution, number)
        planning.keep(solution)
        first = solution.values
        failed = sum(len(one.missed) for one in planning.outcomes.values())
        progress(f"round {number}: {f'{failed} fail' if failed else 'all survive'}")
        if not planning.tighten():
            return planning.result(number)
        if planning.deadline.over:
            return planning.result(number, cut_short=True)
    return planning.result(rounds)


def planned(
    model: Model,
    selections: Selections,
    settings: SolverSettings,
    decided: Mapping[OrderKey, int],
    decided_periods: int,
) -> tuple[RoadmapProgramme, Solution]:
    """The programme of a model with its solution, before any simulation.

    Raises
    ------
    SolverError
        If time ends before.
    """
    planning = _Planning(model, settings, selections, lambda _: None, decided, decided_periods)
    return planning.roadmap, planning.solved(None)


@dataclass
class _Planning:
    """State of the loop.

    Attributes
    ----------
    margins
        Margins of the next round by node.
    steady
        Failures by node whose margins leave no roadmap: they grow no more.
    best
        Solution with the fewest failures so far, the last of several, and its outcomes.
    """

    model: Model
    settings: SolverSettings
    selections: Selections
    progress: Callable[[str], None]
    decided: Mapping[OrderKey, int]
    decided_periods: int
    margins: dict[str, dict[str, Margin]] = field(default_factory=dict)
    steady: set[tuple[str, str]] = field(default_factory=set)
    outcomes: dict[str, NodeOutcome] = field(default_factory=dict)
    best: tuple[Solution, dict[str, NodeOutcome]] | None = None

    def __post_init__(self) -> None:
        self.deadline = Deadline(self.settings)
        self.short = normal_shortfalls(self.model, self.deadline.settings())
        waived = waivers(self.short)
        self.roadmap = build_roadmap(self.model, self.selections.scenarios, waived)
        _check_fits(self.roadmap)
        fix_orders(self.roadmap, self.decided, self.decided_periods)
        base = self.roadmap.base
        self.parts = RoadmapParts(base.data, self.settings, self.progress, roadmap=self.roadmap)
        self.selection = self.selections.of(next(iter(self.roadmap.nodes.values())).data.model)

    def values_of(self, orders: Mapping[OrderKey, int]) -> Mapping[str, float] | None:
        """Orders as values of variables, as far as these still exist."""
        if not orders:
            return None
        return {v.name: float(orders.get(key, 0)) for key, v in self.roadmap.orders.items()}

    def solved(self, first: Mapping[str, float] | None) -> Solution:
        """Solve; nothing is asked any more of failures that no order meets in time."""
        nodes = bridging(self.roadmap)
        if nodes and not self.parts.waived:
            self.parts.lay_out(self.deadline)
            failures = [one for one in self.parts.failures if one.name.partition("/")[0] in nodes]
            self._give_up(frozenset(self.parts.unmet(failures, self.deadline.settings())))
        while True:
            solution = solve_roadmap(self.parts, self.deadline.settings(late=True), first)
            if solution.status != "infeasible":
                return solution
            conflict = frozenset(solution.conflict)
            late = frozenset(name for name in conflict if name.partition("/")[0] in nodes)
            late -= self.parts.left_out
            every = {(n, scenario) for n, known in self.margins.items() for scenario in known}
            grown = {pair for pair in every if joined(*pair) in conflict} or every
            if grown:
                self.steady |= grown
                for node, scenario in grown:
                    del self.margins[node][scenario]
                self.parts.tighten(self.margins)
            elif late:
                self._give_up(late)
            else:
                return solution

    def _give_up(self, names: frozenset[str]) -> None:
        if names:
            self.progress(f"nothing is asked of {len(names)} failures that no order meets in time")
            self.parts.waive(names)

    def keep(self, solution: Solution) -> None:
        """Price and simulate every node of a solution."""
        self.outcomes = {name: self._outcome(name, solution) for name in self.roadmap.nodes}
        cost = _check_cost(self.roadmap, solution, self.outcomes)
        solution = replace(solution, objective=cost, bound=min(solution.bound, cost))
        if self.best is None or _failures(self.outcomes) <= _failures(self.best[1]):
            self.best = solution, self.outcomes

    def _outcome(self, name: str, solution: Solution) -> NodeOutcome:
        each = self.roadmap.nodes[name]
        fleet = fleet_of(each.programme, solution.values)
        begin = f"{name}/"
        once = {
            full.removeprefix(begin): usd
            for full, usd in (solution.once_usd or {}).items()
            if full.startswith(begin)
        }
        programme = replace(each.programme, data=each.data)
        part = replace(solution, fleet=fleet, once_usd=once, recourse=None)
        items = cost_items(programme, part, once)
        cost = sum(item.usd_per_year for item in items)
        part = replace(part, objective=cost, bound=cost)
        part, items = billed(each.data.model, part, items)
        part = replace(part, bound=part.objective * (1 - gap_of(solution)))
        before = self.outcomes.get(name)
        if before is not None and before.fleet == fleet:
            verdicts = before.verdicts
        else:
            verdicts = judge(each.data.model, fleet, each.data.scenarios, stories=False)
        waived = self.parts.waived.get(name, frozenset())
        return NodeOutcome(fleet, part, items, verdicts, self.short.get(name, ()), waived)

    def tighten(self) -> bool:
        """Grow margins by what fell short in each node; whether any grew."""
        grown: dict[str, dict[str, Margin]] = {}
        for name, outcome in self.outcomes.items():
            before = self.margins.get(name, {})
            failing = tuple(
                verdict
                for verdict in outcome.verdicts
                if verdict.name in outcome.missed and (name, verdict.name) not in self.steady
            )
            model = self.roadmap.nodes[name].data.model
            grown[name] = tighten(before, failing, services_left(model, outcome.fleet))
        changed = any(grown[name] != self.margins.get(name, {}) for name in grown)
        self.margins = grown
        if changed:
            self.parts.tighten(grown)
        return changed

    def result(self, rounds: int, cut_short: bool = False) -> RoadmapResult:
        """The best roadmap so far."""
        if self.best is None:
            raise ValueError("There is no roadmap.")
        solution, outcomes = self.best
        stopped = self.settings.stopped
        return replace(
            self.none(solution, rounds),
            outcomes=outcomes,
            timed_out=cut_short and not stopped,
            interrupted=stopped,
        )

    def none(self, solution: Solution, rounds: int) -> RoadmapResult:
        """The proof that there is no roadmap."""
        return RoadmapResult(
            self.roadmap, self.parts, self.selection, solution, {}, rounds,
            decided=self.decided, decided_periods=self.decided_periods,
        )  # fmt: skip


def _check_fits(roadmap: RoadmapProgramme) -> None:
    """Check that the failures of all nodes fit into the memory there is.

    Raises
    ------
    TooLarge
        If they do not.
    """
    sizes = [estimated(each.data, in_parts=True) for each in roadmap.nodes.values()]
    needed, available = sum(s.memory_bytes for s in sizes if s), available_bytes()
    if needed > available:
        raise TooLarge(
            f"{len(sizes)} nodes need some {needed / GIB:,.1f} GiB of memory, of which "
            f"{available / GIB:,.1f} GiB are left: fewer periods, paths or scenarios need less"
        )


def gap_of(solution: Solution) -> float:
    """Share of its cost by which a roadmap may be dearer than the cheapest."""
    return max(0.0, solution.objective - solution.bound) / (abs(solution.objective) or 1.0)


def _failures(outcomes: Mapping[str, NodeOutcome]) -> int:
    return sum(len(outcome.missed) for outcome in outcomes.values())


def _check_cost(
    roadmap: RoadmapProgramme, solution: Solution, outcomes: Mapping[str, NodeOutcome]
) -> float:
    """Work the cost out again from orders, fleets and the laws of money.

    Returns
    -------
    float
        Net present value with operation as the simulator routes requests, USD.

    Raises
    ------
    AuditError
        If it is not the objective.
    """
    orders = dict(orders_in(roadmap, solution.values))
    fleets = {name: outcome.fleet for name, outcome in outcomes.items()}
    items = {name: outcome.items for name, outcome in outcomes.items()}
    flows = cash_flows(roadmap, orders, fleets, items, solution.values)
    likely = {name: each.node.probability for name, each in roadmap.nodes.items()}
    found = present_value(flows, likely, roadmap.rate)
    routing = sum(
        each.node.weight * outcomes[name].solution.routing_usd_per_year
        for name, each in roadmap.nodes.items()
    )
    stated = solution.objective + routing
    if abs(found - stated) > ROUNDING * max(abs(found), abs(stated), 1.0):
        raise AuditError(f"the roadmap costs {found:,.2f} USD, its programme says {stated:,.2f}")
    return found
