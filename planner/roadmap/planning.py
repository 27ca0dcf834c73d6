"""The loop over a roadmap: optimise all nodes together, simulate each, learn, repeat.

As from below for one plan (`planner.below`): the programmes of the nodes are loosened until every
roadmap that survives meets them, which bounds what these cost. Where a node fails its simulation,
its purchases get cuts for what was short (`planner.learning`), and where it survives, it is
simulated at the hours that are not planned for. Orders that survive are priced by the programme as
it stands.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from planner.errors import SolverError
from planner.infrastructure.entities import Model
from planner.optimization.decomposition.loop import UNFINISHED
from planner.optimization.formulation.labels import joined
from planner.optimization.formulation.loosening import loosened
from planner.optimization.formulation.purchases import simulated_cuts
from planner.optimization.formulation.simulated import SimulatedCut
from planner.optimization.solution.deadline import Deadline, OutOfTime
from planner.optimization.solution.settings import SolverSettings, relative_gap
from planner.optimization.solution.solving import Solution, fleet_of
from planner.other_hours import at_other_hours
from planner.other_hours import joined as with_hours
from planner.roadmap.bridge import bridging, normal_shortfalls, waivers
from planner.roadmap.build import build_roadmap, check_fits
from planner.roadmap.judges import Judges
from planner.roadmap.parts import RoadmapParts, node_of
from planner.roadmap.pricing import NodeOutcome, Selections, priced
from planner.roadmap.programme import OrderKey, RoadmapProgramme, fix_orders
from planner.roadmap.result import RoadmapResult
from planner.roadmap.solving import relaxed_cost, solve_roadmap
from planner.rounds import Round
from planner.scenarios.hours import failure_and_hour
from planner.selection import Wanted
from planner.simulation.verdict import Verdict, judge
from planner.verification import CLOSE_ENOUGH, MOST_TURNS

#: What the gap of a solve is multiplied by after a round that did no better, and its finest: within
#: a wide gap orders change from round to round beside what was learned.
FINER, FINEST_GAP = 0.25, 1e-4


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
    each node and learns from those that fail there.

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
    planning = None
    try:
        planning = _Planning(
            model, settings, Selections(wanted), progress, decided or {}, decided_periods
        )
        return planning.run(planning.values_of(start or {}), rounds)
    except (OutOfTime, SolverError) as error:
        if planning is not None and planning.best is not None and planning.deadline.over:
            return planning.result(cut_short=True)
        if settings.stopped:
            raise KeyboardInterrupt from None
        raise SolverError(UNFINISHED if isinstance(error, OutOfTime) else error) from None


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
    parts
        The loosened programme with what the simulation has taught.
    selected
        Scenarios of each node with the hours that have joined.
    not_planned
        Failures by node that nothing meets in time.
    steady
        Failures, as ``node/scenario``, whose cuts leave no roadmap: they get no more.
    bound_usd
        What every roadmap that survives costs at least; None where something else is asked since.
    simulated
        What came of the nodes last.
    at_all_hours
        What came last of those that were simulated at other hours too.
    best
        Solution with the fewest failures so far, the cheapest of several, what came of it, and what
        every roadmap that survives costs at least.
    priced
        The best at what it costs, once that is worked out.
    gap
        Gap of the next solve: finer where a round did no better than one before.
    is_learning
        Whether orders found period by period do, as something else may be asked next.
    is_rough
        Whether the bound is that of orders in part.
    rounds, turns
        Rounds so far, and how often cheaper fleets were looked for.
    """

    model: Model
    settings: SolverSettings
    selections: Selections
    progress: Callable[[str], None]
    decided: Mapping[OrderKey, int]
    decided_periods: int
    not_planned: dict[str, frozenset[str]] = field(default_factory=dict)
    steady: set[str] = field(default_factory=set)
    bound_usd: float | None = None
    simulated: dict[str, NodeOutcome] = field(default_factory=dict)
    at_all_hours: dict[str, NodeOutcome] = field(default_factory=dict)
    best: tuple[Solution, dict[str, NodeOutcome], float] | None = None
    priced: tuple[Solution, dict[str, NodeOutcome]] | None = None
    is_learning: bool = True
    is_rough: bool = False
    rounds: int = 0
    turns: int = 0

    def __post_init__(self) -> None:
        self.deadline, self.gap = Deadline(self.settings), self.settings.gap
        self.short = normal_shortfalls(self.model, self.deadline.settings(late=True))
        waived = waivers(self.short)
        self.roadmap = build_roadmap(self.model, self.selections.scenarios, waived)
        check_fits(self.roadmap)
        fix_orders(self.roadmap, self.decided, self.decided_periods)
        self.bridging = bridging(self.roadmap)
        self.judges = Judges(self.roadmap, self.settings, self.deadline)
        nodes, data = self.roadmap.nodes, self.roadmap.base.data
        self.selected = {name: self.selections.of(each.data.model) for name, each in nodes.items()}
        watched = self.deadline.watched
        loose = {name: loosened(each.data, watched=watched) for name, each in nodes.items()}
        self.parts = RoadmapParts(
            data, self.settings, self.progress, roadmap=self.roadmap, asked=loose
        )

    def values_of(self, orders: Mapping[OrderKey, int]) -> Mapping[str, float] | None:
        """Orders as values of variables, as far as these still exist."""
        if not orders:
            return None
        return {v.name: float(orders.get(key, 0)) for key, v in self.roadmap.orders.items()}

    def run(self, first: Mapping[str, float] | None, rounds: int) -> RoadmapResult:
        """Solve, simulate and learn until nothing else is asked.

        Raises
        ------
        OutOfTime, SolverError
            If time ends before, or the solver fails.
        """
        while self.rounds < rounds:
            self.rounds += 1
            self.progress(f"round {self.rounds}: solving {len(self.roadmap.nodes)} nodes")
            solution = self.solved(first)
            if solution.status == "infeasible":
                return self.none(solution) if self.best is None else self.result()
            self.simulate(solution)
            first = solution.values
            failed = _failures(self.simulated)
            self.progress(f"round {self.rounds}: {f'{failed} fail' if failed else 'all survive'}")
            if not self.learn():
                break
        return self.result(cut_short=self.deadline.over)

    def solved(self, first: Mapping[str, float] | None) -> Solution:
        """Solve; nothing is asked any more of failures that no order meets in time.

        Raises
        ------
        OutOfTime, SolverError
            If the solver fails, or time ends before there is a roadmap.
        """
        if self.bridging and self.best is None:
            self._give_up(name for node in self.bridging for name in self._hopeless(node))
            self.parts.lay_out(self.deadline)
            early = [one for one in self.parts.failures if node_of(one.name) in self.bridging]
            self._give_up(self.parts.unmet(early, self.deadline))
        while True:
            if self.best is not None and self.bound_usd is None:
                # Something else is asked: the best so far is judged by that.
                (before, _, _), self.bound_usd, self.best = self.best, self._bound(), None
                self.is_rough = True
                self.simulate(before)
            settings, needed = self.deadline.settings(self.gap), self.best is None
            solution = solve_roadmap(
                self.parts, settings, first, needed=needed, rough=self.is_learning
            )
            if solution.status != "infeasible" or not self._conceded(solution.conflict):
                break
        if self.best is None:
            self.bound_usd = solution.bound
        return solution

    def _conceded(self, conflict: Iterable[str]) -> bool:
        """Ask less of failures that leave no roadmap; whether there is less to ask.

        Nothing of those in bridging nodes, which then count as not met in time; of others, only
        what the simulation taught of them.
        """
        leaving = set(conflict)
        late = {name for name in leaving if node_of(name) in self.bridging}
        late -= self.parts.left_out
        taught = leaving & {name for name, _ in self.roadmap.learned()}
        if late:
            self._give_up(late)
            self.bound_usd = None
        self.steady |= late or taught
        for name, each in self.roadmap.nodes.items():
            cuts = each.data.learned
            kept = tuple(cut for cut in cuts if joined(name, cut.scenario) not in self.steady)
            each.data = each.data.with_learned(kept)
        self.roadmap.learn_anew()
        return bool(late or taught)

    def _bound(self, whole: bool = False) -> float:
        """What every roadmap costs at least without what was learned; infinite if none is left.

        Parameters
        ----------
        whole
            Whether for whole orders, which takes longer than for orders in part.
        """
        parts, settings = self.parts.beside(), self.deadline.settings()
        parts.bound = -math.inf
        with self.roadmap.as_built():
            if whole:
                return solve_roadmap(parts, settings, explain=False, needed=False).bound
            cost = relaxed_cost(parts, settings)
        return math.inf if cost is None else cost

    def _give_up(self, names: Iterable[str]) -> None:
        given_up = set(names)
        if given_up:
            self.parts.waive(given_up)
            text = f"nothing is asked of {len(given_up)} failures that no order meets in time"
            self.progress(text)
        for name in given_up:
            node, _, scenario = name.partition("/")
            self.not_planned[node] = self.not_planned.get(node, frozenset()) | {scenario}

    def _hopeless(self, name: str) -> Iterator[str]:
        return self.judges.hopeless(name, self.not_planned.get(name, ()))

    def simulate(self, solution: Solution) -> None:
        """Simulate the fleet of every node.

        Raises
        ------
        OutOfTime
            If time ends and there is another roadmap.
        """
        simulated = {}
        for name in self.roadmap.nodes:
            if self.best is not None and self.deadline.over:
                raise OutOfTime
            simulated[name] = self._simulated(name, solution)
        if not _failures(simulated):
            simulated = {name: self._at_other_hours(name, one) for name, one in simulated.items()}
        self.simulated = simulated
        rank = _failures(simulated), solution.objective
        if self.best is None or rank < (_failures(self.best[1]), self.best[0].objective):
            bound = -math.inf if self.bound_usd is None else self.bound_usd
            self.best, self.priced = (solution, simulated, bound), None
            self.parts.failing = frozenset(
                joined(name, scenario)
                for name, found in simulated.items()
                for scenario in found.missed
            )
        elif rank[0]:
            if not self.parts.by_period:
                self.gap = min(self.gap, max(FINEST_GAP, FINER * self.gap))
        elif self.settings.proves(relative_gap(self.best[0].objective, solution.bound)):
            self.best = replace(self.best[0], status="optimal"), *self.best[1:]

    def _simulated(self, name: str, solution: Solution) -> NodeOutcome:
        each, before = self.roadmap.nodes[name], self.simulated.get(name)
        fleet = fleet_of(each.programme, solution.values)
        late = self.not_planned.get(name, frozenset())
        same = before is not None and before.fleet == fleet and before.not_planned == late
        if before is not None and same and not before.made.beyond:
            return before
        model, selection = each.data.model, self.selected[name]
        verdicts = judge(model, fleet, each.data.scenarios, stories=False)
        made = Round(1, each.programme, replace(solution, fleet=fleet), tuple, verdicts)
        return NodeOutcome(made, selection, late, self.short.get(name, ()))

    def _at_other_hours(self, name: str, found: NodeOutcome) -> NodeOutcome:
        """A node that survives what is planned for, simulated at the hours that are not."""
        if self.deadline.over or self.at_all_hours.get(name) is found:
            return found
        left_out, beyond = at_other_hours(
            found.selection,
            self.roadmap.nodes[name].data.model,
            found.fleet,
            lambda text: self.progress(f"{name}: {text}"),
            lambda: self.deadline.over,
        )
        given_up = {failure_and_hour(scenario)[0] for scenario in found.not_planned}
        asked = tuple(one for one in beyond if failure_and_hour(one.name)[0] not in given_up)
        made = replace(found.made, left_out=left_out, beyond=asked)
        self.at_all_hours[name] = found = replace(found, made=made)
        return found

    def learn(self) -> bool:
        """Ask for what was short in the simulation of each node, or, where nothing was, for less.

        Returns
        -------
        bool
            Whether anything else is asked.
        """
        changed = False
        for name, found in self.simulated.items():
            if found.made.beyond:
                self._join(name, found.made.beyond)
                changed = True
        for name, cuts in self.judges.cuts(self.simulated, self.steady).items():
            changed |= self._cut(name, cuts)
        failed, self.is_learning = _failures(self.simulated), self.is_learning or changed
        return changed if failed else self._less() or self._to_be_proven()

    def _to_be_proven(self) -> bool:
        """Whether orders that were found period by period are still to be proven to the gap."""
        if not self.is_learning or self.best is None or self.best[0].status != "feasible":
            return False
        self.is_learning = self.deadline.over
        return not self.is_learning

    def _less(self) -> bool:
        """Weaken cuts that fleets forbid which survive and cost less; whether there are any."""
        if self.best is None or self.turns >= MOST_TURNS:
            return False
        solution, simulated, bound = self.best
        self.price()
        if self.is_rough and not self.parts.by_period and self._is_far(bound):
            self.progress("bounding what roadmaps that survive cost")
            self.bound_usd = bound = max(bound, self._bound(whole=True))
            self.best, self.is_rough = (solution, simulated, bound), False
        if not self._is_far(bound):
            return False
        self.turns += 1
        self.progress("looking for cheaper fleets that survive")
        changed = False
        for name, learned in self.judges.weakened(self.simulated).items():
            data = self.roadmap.nodes[name].data
            changed |= learned != data.learned
            self.roadmap.nodes[name].data = data.with_learned(learned)
        if not changed:
            return False
        self.roadmap.learn_anew()
        self.parts.bound = bound
        return True

    def _is_far(self, bound: float) -> bool:
        """Whether the best costs so much more than a bound that a cheaper one is looked for."""
        cost = math.nan if self.priced is None else self.priced[0].objective
        return cost - bound > max(CLOSE_ENOUGH, self.settings.gap) * abs(cost)

    def _join(self, name: str, beyond: tuple[Verdict, ...]) -> None:
        """Plan for failures at the hours at which most requests are lost."""
        each = self.roadmap.nodes[name]
        self.selected[name] = with_hours(self.selected[name], each.data.model, beyond)
        each.data = each.data.changed(
            self.selected[name].scenarios, each.data.waived, each.data.learned
        )
        asked = self.parts.asked[name]
        # What nothing is asked of stays so: its rows are waived in what is asked only.
        data = each.data.changed(each.data.scenarios, {**each.data.waived, **asked.waived})
        self.parts.ask({**self.parts.asked, name: loosened(data, asked)})
        self.bound_usd = None
        if name in self.bridging:
            self._give_up(self._hopeless(name))

    def _cut(self, name: str, new: Sequence[SimulatedCut]) -> bool:
        """Cut what is in service in a node; whether there is anything new."""
        each = self.roadmap.nodes[name]
        known = len(each.data.learned)
        each.data = each.data.with_learned((*each.data.learned, *new))
        simulated_cuts(replace(each.programme, data=each.data), known)
        return bool(new)

    def price(self) -> tuple[Solution, dict[str, NodeOutcome]]:
        """The best roadmap so far at what it costs."""
        if self.best is None:
            raise ValueError("There is no roadmap.")
        if self.priced is None:
            found, simulated, bound = self.best
            self.priced = priced(self.parts, found, bound, simulated, self.deadline)
        return self.priced

    def result(self, cut_short: bool = False) -> RoadmapResult:
        """The best roadmap so far."""
        solution, outcomes = self.price()
        if self.best is None:
            raise ValueError("There is no roadmap.")
        found, _, bound = self.best
        stopped = self.settings.stopped
        return replace(
            self.none(replace(solution, status=found.status, bound=min(bound, solution.objective))),
            programme_usd=found.objective,
            outcomes=outcomes,
            timed_out=cut_short and not stopped,
            interrupted=stopped,
        )

    def none(self, solution: Solution) -> RoadmapResult:
        """The proof that there is no roadmap."""
        return RoadmapResult(
            self.roadmap, self.parts, next(iter(self.selected.values())), solution, {}, self.rounds,
            solution.objective, decided=self.decided, decided_periods=self.decided_periods,
        )  # fmt: skip


def _failures(simulated: Mapping[str, NodeOutcome]) -> int:
    return sum(len(found.missed) for found in simulated.values())
