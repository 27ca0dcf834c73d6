"""Every set of failures up to a size against a plan: which it does not survive, and the worst.

A set is settled in one of two ways.

By proof
    The cascade is given the same numbers as for a set that was simulated, of the same class
    (`planner.simulation.courses`): its outcome is the same.
By simulation
    All others. Neither the survival of a larger set nor that of its parts proves anything: the
    simulation is not monotone, since what is down draws no power, sends no retries and is owed
    less. And the recourse programme is stricter than the standard in places, so what it misses
    proves no failure. It says where to look first (`FailureSets.missing_rps`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import batched, combinations

import numpy as np

from planner.analysis.stress.failure_sets import FailureSets, Members
from planner.infrastructure.failures import HourChoice, Scenario, Severity
from planner.infrastructure.fleet import Fleet
from planner.laws.calendar import HOURS_PER_WEEK
from planner.selection import Wanted, hours_of
from planner.simulation.build import Layout
from planner.simulation.courses import courses, depends_on_graph
from planner.simulation.verdict import Status, Verdict, judge

#: Scenarios that are laid out and judged at once.
BATCH = 256


def sets_at_once(hours: HourChoice) -> int:
    """Sets that are settled at once."""
    return max(1, BATCH // HOURS_PER_WEEK) if hours == "all" else BATCH


@dataclass(frozen=True, slots=True)
class SetOutcome:
    """What comes of a set of failures, at the hour at which it is worst.

    Parameters
    ----------
    failures
        Names of the elementary failures.
    severity
        Class that it is judged by.
    scenario
        Name of the scenario, with its hour where it has one.
    lost_requests
        Requests that never had an answer.
    least_served
        Lowest service level of any tier while the standard applies to it.
    recovery_minutes
        Minute from which all demand is served; None if not within the simulation.
    breach
        What is breached first, in words.
    simulated
        Whether it was simulated, at some hour at least; else it was settled by proof.
    """

    failures: tuple[str, ...]
    severity: Severity
    status: Status
    scenario: str
    lost_requests: float
    least_served: float
    recovery_minutes: float | None
    breach: str
    simulated: bool = True

    @property
    def fails(self) -> bool:
        """Whether the plan does not survive it."""
        return self.status == "fails"

    @property
    def label(self) -> str:
        """Its failures in one line; what fails more than once is counted."""
        counts = Counter(self.failures).items()
        return " + ".join(name if count == 1 else f"{count} × {name}" for name, count in counts)

    @property
    def badness(self) -> tuple[bool, float]:
        """What is worse is greater: failing, then losing more requests."""
        return self.fails, self.lost_requests

    @classmethod
    def of(cls, failures: tuple[str, ...], verdict: Verdict) -> SetOutcome:
        """The outcome that a verdict states."""
        return cls(
            failures,
            verdict.severity,  # type: ignore[arg-type]
            verdict.status,
            verdict.name,
            verdict.lost_requests,
            min(verdict.served.values(), default=1.0),
            verdict.recovery_minutes,
            "" if verdict.first_breach is None else str(verdict.first_breach),
        )


@dataclass(frozen=True)
class SizeSummary:
    """How the sets of a size were settled.

    Parameters
    ----------
    sets
        How many there are.
    by_proof, simulated
        How many were settled in which way; the rest was not, for want of time.
    failing, not_judged, not_applicable
        Outcomes of those that were settled.
    classes
        Number of settled sets by the class that judged them.
    """

    size: int
    sets: int
    by_proof: int
    simulated: int
    failing: int
    not_judged: int
    not_applicable: int
    classes: Mapping[Severity, int]

    @property
    def unsettled(self) -> int:
        """Sets that nothing is known of."""
        return self.sets - self.by_proof - self.simulated


@dataclass(frozen=True)
class Stress:
    """What is known of sets of failures.

    Parameters
    ----------
    size
        Largest size asked for.
    hours
        Hours of the week that failures begin at.
    failures
        Names of the elementary failures.
    outcomes
        Settled sets, by size, in the order of the failures.
    """

    size: int
    hours: HourChoice
    failures: tuple[str, ...]
    outcomes: tuple[SetOutcome, ...]
    sizes: tuple[SizeSummary, ...]

    @property
    def complete(self) -> bool:
        """Whether every set is settled."""
        return not any(summary.unsettled for summary in self.sizes)

    @cached_property
    def failing(self) -> tuple[SetOutcome, ...]:
        """Sets that the plan does not survive, the smallest and then the worst first."""
        failing = (outcome for outcome in self.outcomes if outcome.fails)
        return tuple(
            sorted(failing, key=lambda one: (len(one.failures), -one.lost_requests, one.failures))
        )

    @cached_property
    def minimal(self) -> tuple[SetOutcome, ...]:
        """Sets that fail though none of their parts does, as far as these are settled."""
        found: dict[tuple[str, ...], SetOutcome] = {}
        for one in self.failing:
            parts = (
                part
                for size in range(1, len(one.failures))
                for part in combinations(one.failures, size)
            )
            if not any(part in found for part in parts):
                found[one.failures] = one
        return tuple(found.values())

    @property
    def smallest(self) -> tuple[SetOutcome, ...]:
        """Failing sets of the smallest size known, the worst first."""
        failing = self.failing
        return tuple(one for one in failing if len(one.failures) == len(failing[0].failures))

    @property
    def smallest_is_proven(self) -> bool:
        """Whether every smaller set is settled, and survived."""
        least = len(self.smallest[0].failures) if self.failing else self.size + 1
        return not any(summary.unsettled for summary in self.sizes if summary.size < least)

    def worst(self, size: int) -> SetOutcome | None:
        """The worst of a size: failing, then losing most requests; None if none is settled."""
        found = (outcome for outcome in self.outcomes if len(outcome.failures) == size)
        return max(found, key=lambda outcome: outcome.badness, default=None)

    @property
    def survives(self) -> bool:
        """Whether no set that is settled fails."""
        return not self.failing


def stress(
    fleet: Fleet,
    sets: FailureSets,
    size: int,
    hours: HourChoice = "peak",
    over: Callable[[], bool] = lambda: False,
    on_part: Callable[[int, int], None] | None = None,
    on_size: Callable[[SizeSummary], None] = lambda _: None,
) -> Stress:
    """Settle every set of failures up to a size.

    Parameters
    ----------
    fleet
        What a plan leads to, with its measures.
    hours
        ``peak``: each set at the hour of peak demand; ``worst``: at the hours that matter to the
        programme (`planner.optimization.solution.hours`); ``all``: at all 168.
    over
        Whether to stop; asked before each batch.
    on_part
        Called with the number of sets done and that of all.
    on_size
        Called after every size.

    Raises
    ------
    InputError
        If there are too many sets.
    """
    by_size = [sets.of_size(k) for k in range(1, size + 1)]
    total, done = sum(map(len, by_size)), 0
    search = _Search(fleet, sets, hours)
    outcomes: list[SetOutcome] = []
    summaries: list[SizeSummary] = []
    for k, members in enumerate(by_size, start=1):
        order = np.argsort(-sets.missing_rps(fleet, members), kind="stable").tolist()
        found: dict[int, SetOutcome] = {}
        for batch in batched(order, sets_at_once(hours)):
            if over():
                break
            made = search.settled([members[place] for place in batch])
            found.update(zip(batch, made, strict=True))
            if on_part is not None:
                on_part(done + len(found), total)
        done += len(members)
        settled = [found[place] for place in sorted(found)]
        outcomes += settled
        summaries.append(_summary(k, len(members), settled))
        on_size(summaries[-1])
    return Stress(size, hours, sets.names, tuple(outcomes), tuple(summaries))


def judged_alone(
    fleet: Fleet, sets: FailureSets, members: Sequence[Members], hours: HourChoice
) -> list[SetOutcome]:
    """Simulate some sets, each by itself: nothing is settled by proof."""
    return _Search(fleet, sets, hours, proves=False).settled(members)


def _summary(size: int, sets: int, settled: Sequence[SetOutcome]) -> SizeSummary:
    status = Counter(outcome.status for outcome in settled)
    simulated = sum(outcome.simulated for outcome in settled)
    return SizeSummary(
        size=size,
        sets=sets,
        by_proof=len(settled) - simulated,
        simulated=simulated,
        failing=status["fails"],
        not_judged=status["not judged"],
        not_applicable=status["not applicable"],
        classes=dict(Counter(outcome.severity for outcome in settled)),
    )


@dataclass
class _Search:
    """Courses that were simulated, with what came of them.

    Attributes
    ----------
    known
        Verdicts by course.
    proves
        Whether sets are settled by proof; else all are simulated.
    """

    fleet: Fleet
    sets: FailureSets
    hours: HourChoice
    known: dict[bytes, Verdict] = field(default_factory=dict)
    proves: bool = True

    def settled(self, batch: Sequence[Members]) -> list[SetOutcome]:
        """Outcomes of sets, at the hour at which each is worst."""
        joint = [self.sets.scenario(members) for members in batch]
        scenarios: list[Scenario] = []
        owners: list[int] = []
        wanted = Wanted(hours=self.hours)
        for owner, (_, at_hours) in enumerate(hours_of(self.sets.model, joint, wanted)):
            scenarios += at_hours
            owners += [owner] * len(at_hours)
        verdicts, simulated = self._verdicts(scenarios)
        names = self.sets.names
        found: list[SetOutcome | None] = [None] * len(batch)
        ran = [False] * len(batch)
        for owner, verdict, new in zip(owners, verdicts, simulated, strict=True):
            outcome = SetOutcome.of(tuple(names[member] for member in batch[owner]), verdict)
            before = found[owner]
            if before is None or outcome.badness > before.badness:
                found[owner] = outcome
            ran[owner] = ran[owner] or new
        return [
            replace(outcome, simulated=new)
            for outcome, new in zip(found, ran, strict=True)
            if outcome is not None
        ]

    def _verdicts(self, scenarios: Sequence[Scenario]) -> tuple[list[Verdict], list[bool]]:
        """Verdicts, and whether each scenario was simulated."""
        if not self.proves:
            return list(self._judged(scenarios, range(len(scenarios)))), [True] * len(scenarios)
        model = self.sets.model
        world = Layout.of(model, self.fleet.measures).world(self.fleet, scenarios)
        keys = courses(world)
        first: dict[bytes, int] = {}
        for place, key in enumerate(keys):
            if key not in self.known:
                first.setdefault(key, place)
        verdicts = dict(zip(first.values(), self._judged(scenarios, first.values()), strict=True))
        self.known.update((keys[place], verdict) for place, verdict in verdicts.items())
        # Where clusters shut themselves down that others need, what is up depends on what failed.
        graph = depends_on_graph(world)
        again = [
            place
            for place, key in enumerate(keys)
            if place not in verdicts and graph and self.known[key].shutdowns
        ]
        verdicts.update(zip(again, self._judged(scenarios, again), strict=True))
        found = [
            verdicts.get(place) or _as(self.known[key], scenarios[place])
            for place, key in enumerate(keys)
        ]
        return found, [place in verdicts for place in range(len(scenarios))]

    def _judged(self, scenarios: Sequence[Scenario], places: Iterable[int]) -> Sequence[Verdict]:
        wanted = tuple(scenarios[place] for place in places)
        if not wanted:
            return ()
        made = judge(self.sets.model, self.fleet, wanted, stories=False)
        return [replace(verdict, alerts=()) for verdict in made]


def _as(verdict: Verdict, scenario: Scenario) -> Verdict:
    """A verdict on a scenario that runs the same course."""
    return replace(verdict, name=scenario.name, frequency_per_year=scenario.frequency_per_year)
