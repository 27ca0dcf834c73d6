"""Fleets of a programme, judged by the simulation: which of them survive.

A fleet is judged by the scenarios that ever failed, the last first, and by all others only where
these are survived. Nothing is simulated twice, and nothing that a look rules out.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from planner.infrastructure.entities import Model
from planner.infrastructure.failures import Scenario
from planner.optimization.formulation.algebra import sum_of
from planner.optimization.formulation.programme import Programme
from planner.optimization.solution.deadline import OutOfTime
from planner.optimization.solution.decisions import Decision, bounded, settled, variables
from planner.optimization.solution.scaling import Scaled
from planner.optimization.solution.settings import SolverSettings
from planner.optimization.solution.solvers import Relaxation
from planner.optimization.solution.solving import fleet_of, run_solver
from planner.screening import Screen
from planner.simulation.verdict import BreachKey, Verdict, judge, short_by

#: Simulated scenarios after which the search from one fleet ends.
MOST_SIMULATED = 1000
#: Simulated scenarios that take as long as what completes a fleet.
SOLVED_AS = 5
#: Fleets that are only looked at (`planner.screening`) for each that counts as simulated.
LOOKS = 100

Counts = tuple[int, ...]


class OutOfTurns(OutOfTime):
    """As many scenarios are simulated as a search may: the best so far has to do."""


@dataclass
class Judged:
    """Fleets of a programme, and whether they survive.

    Attributes
    ----------
    base
        Programme of purchases and normal operation, which every fleet has to meet.
    over
        Whether to stop.
    left
        Scenarios that may still be simulated.
    ever_failed
        Scenarios that any fleet has failed, the last first.
    """

    model: Model
    scenarios: tuple[Scenario, ...]
    base: Programme
    settings: SolverSettings
    over: Callable[[], bool]
    left: int = MOST_SIMULATED
    ever_failed: tuple[Scenario, ...] = ()
    _survives: dict[Counts, bool] = field(default_factory=dict)
    _may_be_met: dict[Counts, bool] = field(default_factory=dict)
    _possible: dict[Counts, bool] = field(default_factory=dict)
    _verdicts: dict[Counts, dict[str, Verdict]] = field(default_factory=dict)
    _helpful: dict[tuple[str, Hashable], set[int]] = field(default_factory=dict)
    _looked: int = 0

    def __post_init__(self) -> None:
        found = variables(self.base)
        self.keys = list(found)
        #: Least and most of each purchase.
        self.least = tuple(round(one.low) for one in found.values())
        self.most = tuple(round(min(one.high, 1e9)) for one in found.values())
        self.screen = Screen(self.base.data, self.keys)

    def named(self, counts: Counts) -> dict[Decision, int]:
        """Number of each purchase."""
        return dict(zip(self.keys, counts, strict=True))

    def net(self, counts: Counts) -> dict[tuple[str, str], int]:
        """Number of each purchase bought less retired, by kind and asset."""
        bought = self.named(counts)
        gone = {key.asset: count for key, count in bought.items() if key.kind == "retired"}
        shrink = ("cooling", "gpus")
        return {
            (key.kind, key.asset): count - (gone.get(key.asset, 0) if key.kind in shrink else 0)
            for key, count in bought.items()
            if key.kind != "retired"
        }

    def verdicts(self, counts: Counts, among: Sequence[Scenario]) -> tuple[Verdict, ...]:
        """What comes of some scenarios on a fleet; none is simulated twice.

        Raises
        ------
        OutOfTurns
            If enough is simulated.
        """
        known = self._verdicts.setdefault(counts, {})
        new = tuple(one for one in among if one.name not in known)
        if new:
            self._take_turns(len(new))
            names = (variable.name for variable in variables(self.base).values())
            fleet = fleet_of(self.base, dict(zip(names, counts, strict=True)))
            made = judge(self.model, fleet, new, stories=False)
            known |= {one.name: one for one in made}
            for scenario, verdict in zip(new, made, strict=True):
                self.screen.learn(counts, scenario, verdict)
        self._have_failed([one for one in among if known[one.name].fails])
        return tuple(known[one.name] for one in among)

    def _have_failed(self, failed: Sequence[Scenario]) -> None:
        self.ever_failed = (*failed, *(one for one in self.ever_failed if one not in failed))

    def _take_turns(self, turns: int) -> None:
        if self.left <= 0 or self.over():
            raise OutOfTurns
        self.left -= turns

    def note(self, counts: Counts, verdicts: Iterable[Verdict]) -> None:
        """Take over what came of scenarios on a fleet elsewhere."""
        known = self._verdicts.setdefault(counts, {})
        known |= {verdict.name: verdict for verdict in verdicts}

    def failing(self, counts: Counts, among: Sequence[Scenario]) -> list[Scenario]:
        """Scenarios among some that a fleet does not survive."""
        verdicts = self.verdicts(counts, among)
        return [one for one, verdict in zip(among, verdicts, strict=True) if verdict.fails]

    def fails(self, counts: Counts, among: Sequence[Scenario]) -> bool:
        """Whether a fleet does not survive some scenarios; the first of them decides."""
        return any(self._is_short(counts, one) or self.failing(counts, (one,)) for one in among)

    def _is_short(self, counts: Counts, scenario: Scenario) -> bool:
        """Whether a fleet is short of capacity in a scenario, which needs no simulation."""
        if scenario.name in self._verdicts.get(counts, ()):
            return False
        self._looked += 1
        if self._looked % LOOKS == 0:
            self._take_turns(1)
        if not self.screen.rules_out(counts, scenario):
            return False
        self._have_failed((scenario,))
        return True

    def survives(self, counts: Counts) -> bool:
        """Whether a fleet meets purchases and normal operation, and survives every scenario."""
        if counts not in self._survives:
            survives = self.may_survive(counts) and not self.failing(counts, self.scenarios)
            self._survives[counts] = survives
        return self._survives[counts]

    def may_survive(self, counts: Counts) -> bool:
        """Whether it does so in the scenarios that ever failed.

        The last that failed comes first: most fleets fail what failed the one before. Before that
        comes whether the relaxation of purchases and normal operation excludes it.
        """
        if counts in self._survives:
            return self._survives[counts]
        if not self._may_meet_purchases(counts) or self.fails(counts, self.ever_failed):
            return False
        if counts not in self._possible:
            self._possible[counts] = self._meets_purchases(counts)
        return self._possible[counts]

    def helpful(self, counts: Counts, scenario: Scenario) -> set[int]:
        """Purchases that may change what a scenario is short of.

        Without cooling of which as much as may be had changes nothing, which is tried for half of
        it at a time. What holds for one fleet is taken for all that are short of the same.
        """
        if self._is_short(counts, scenario):
            alike = [known for known in self._helpful if known[0] == scenario.name]
            if alike:
                return set().union(*(self._helpful[known] for known in alike))
        short = short_by(self.verdicts(counts, (scenario,))[0])
        known = scenario.name, frozenset(short)
        if known not in self._helpful:
            cooling = [place for place, key in enumerate(self.keys) if key.kind == "cooling"]
            others = set(range(len(self.keys))).difference(cooling)
            self._helpful[known] = others.union(self._changing(counts, scenario, short, cooling))
        return self._helpful[known]

    def _changing(
        self, counts: Counts, scenario: Scenario, short: Mapping[BreachKey, float], some: list[int]
    ) -> list[int]:
        """Those of some purchases of which as much as may be had changes what is short."""
        more = tuple(
            max(count, self.most[i]) if i in some else count for i, count in enumerate(counts)
        )
        if not some or short_by(self.verdicts(more, (scenario,))[0]) == short:
            return []
        if len(some) == 1:
            return some
        half = len(some) // 2
        halves = (
            self._changing(counts, scenario, short, part) for part in (some[:half], some[half:])
        )
        return [place for part in halves for place in part]

    @property
    def fleets(self) -> int:
        """How many fleets are simulated."""
        return len(self._verdicts)

    def admit(self, counts: Counts) -> None:
        """Note that a fleet of a programme that holds that of purchases survives every scenario."""
        self._survives[counts] = True

    @property
    def survivors(self) -> list[Counts]:
        """All fleets found that survive."""
        return [counts for counts, survives in self._survives.items() if survives]

    @cached_property
    def _relaxation(self) -> Relaxation:
        return Relaxation(Scaled(self.base.problem).numbers)

    def _may_meet_purchases(self, counts: Counts) -> bool:
        if counts not in self._may_be_met:
            first = self.base.problem.first_id
            columns = [one.id - first for one in variables(self.base).values()]
            self._may_be_met[counts] = not self._relaxation.excludes(columns, counts)
        return self._may_be_met[counts]

    def _meets_purchases(self, counts: Counts) -> bool:
        with bounded(self.base, settled(self.named(counts))):
            return bool(run_solver(self.base.problem, self.settings).stats.has_solution)

    def fullest(self) -> Counts | None:
        """As much of everything as purchases and normal operation allow; None if nothing does."""
        chosen, problem = variables(self.base), self.base.problem
        cost, wanted = problem.objective, zip(self.keys, chosen.values(), self.most, strict=True)
        problem.objective = sum_of(
            -1.0 / most * variable
            for key, variable, most in wanted
            if most and key.kind != "retired"
        )
        try:
            if not run_solver(problem, self.settings).stats.has_solution:
                return None
            return tuple(round(variable.value or 0.0) for variable in chosen.values())
        finally:
            problem.objective = cost

    def completed(self, counts: Counts) -> Counts | None:
        """A fleet with what purchases and normal operation ask for beside it; None if nothing does.

        More GPUs need more cooling, for example.

        Raises
        ------
        OutOfTurns
            If enough is simulated and solved.
        """
        self._take_turns(SOLVED_AS)
        chosen = variables(self.base)
        limits = {
            key: (float(count), chosen[key].high)
            for key, count in zip(self.keys, counts, strict=True)
        }
        with bounded(self.base, limits):
            if not run_solver(self.base.problem, self.settings).stats.has_solution:
                return None
            return tuple(round(variable.value or 0.0) for variable in chosen.values())
