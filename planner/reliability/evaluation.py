"""Simulating periods of failure in batches, and what each of them loses."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from planner.amounts import percent
from planner.infrastructure.entities import Model
from planner.infrastructure.failures import Scenario
from planner.infrastructure.fleet import Fleet
from planner.laws.preemption import lost_work
from planner.laws.traffic import served_fraction
from planner.reliability.estimates import Floats, Ints
from planner.reliability.periods import DAY, PreparedPeriod, case_of
from planner.simulation.build import Layout, build_world
from planner.simulation.cascade import run
from planner.simulation.history import History, bytes_per_scenario
from planner.simulation.system_states import Bools
from planner.simulation.world import World
from planner.workers import workers

#: Records needed.
KEPT = frozenset({"demand_rps", "served_rps", "emergency_usd"})
#: Memory for the records of a batch, and most scenarios in one: beyond, nothing is faster.
BATCH_BYTES, BATCH = 150e6, 512
#: Fixed cost of a batch, as the minutes of a scenario that take as long (twelve regions: 1,670).
BATCH_MINUTES = 1_700
#: Fraction of every tier that counts as recovered.
RECOVERED = 0.999
#: Additional minutes to recover, tried in turn where the prescribed time is too short.
LONGER = (180.0, DAY)


#: Seconds after which to say how much is done.
SILENCE_SECONDS = 10.0

Progress = Callable[[str], object]


@dataclass(frozen=True, eq=False)
class PeriodLosses:
    """What periods lose; axes N periods, K tiers.

    Parameters
    ----------
    lost_requests
        Requests that never had an answer (N, K).
    unserved_minutes
        ``Σ minutes·(1 − served fraction)`` (N, K).
    emergency_usd
        Emergency spend, USD (N,).
    settled
        Whether everything was served again at the end (N,).
    minutes
        Minutes simulated (N,); 0 where there was no need.
    """

    lost_requests: Floats
    unserved_minutes: Floats
    emergency_usd: Floats
    settled: Bools
    minutes: Floats

    @classmethod
    def nothing(cls, periods: int, tiers: int) -> PeriodLosses:
        """Periods that lose nothing."""
        tables = np.zeros((periods, tiers)), np.zeros((periods, tiers))
        settled = np.ones(periods, dtype=bool)
        return cls(*tables, np.zeros(periods), settled, np.zeros(periods))

    def and_also(self, other: PeriodLosses) -> PeriodLosses:
        """These periods and others after them."""
        return PeriodLosses(
            *(
                np.concatenate([getattr(self, field.name), getattr(other, field.name)])
                for field in fields(self)
            )
        )

    def part(self, first: int, last: int) -> PeriodLosses:
        """Periods from one place to another."""
        return PeriodLosses(*(getattr(self, field.name)[first:last] for field in fields(self)))

    def put(self, places: Ints, other: PeriodLosses) -> None:
        """Set the outcomes of some periods."""
        self.lost_requests[places] = other.lost_requests
        self.unserved_minutes[places] = other.unserved_minutes
        self.emergency_usd[places] = other.emergency_usd
        self.settled[places] = other.settled
        self.minutes[places] += other.minutes


def simulate_all(
    model: Model,
    fleet: Fleet,
    scenarios: Sequence[Scenario],
    recovers: bool = True,
    longer: Sequence[float] = LONGER,
    progress: Progress | None = None,
) -> PeriodLosses:
    """What scenarios lose on a fleet.

    Parameters
    ----------
    model
        Model with the fleet's measures in place; so are the scenarios.
    recovers
        Whether to simulate until everything is served again, not only until the last event is over.
    longer
        Minutes to add, one after the other, where not everything is served then.
    progress
        Called now and then with the share of the work that is done.
    """
    graph = Layout.of(model, frozenset()).graph
    cases = [case_of(model, graph, scenario) for scenario in scenarios]
    if not recovers:
        ended = (replace(case, minutes=case.timeline.end_minute) for case in cases)
        return _simulate(model, fleet, list(ended))
    outcome = PeriodLosses.nothing(len(cases), len(model.tiers))
    left = np.arange(len(cases))
    for more in (0.0, *longer):
        extended = [replace(cases[i], minutes=cases[i].minutes + more) for i in left]
        outcome.put(left, _simulate(model, fleet, extended, progress))
        left = left[~outcome.settled[left]]
        if not len(left):
            break
    return outcome


def _simulate(
    model: Model,
    fleet: Fleet,
    cases: Sequence[PreparedPeriod],
    progress: Progress | None = None,
) -> PeriodLosses:
    """Losses of periods, simulated in batches of similar length."""
    minutes = np.array([case.minutes for case in cases])
    order = np.argsort(minutes, kind="stable")
    team = workers(len(cases))
    batches = _batches(model, minutes[order], team.count)
    parts = [(fleet, [cases[i] for i in order[first:last]]) for first, last in batches]
    found = list(_told(team.map(_batch, model, parts), minutes[order], batches, progress))
    outcome = PeriodLosses.nothing(len(cases), len(model.tiers))
    for (first, last), losses in zip(batches, found, strict=True):
        outcome.put(order[first:last], losses)
    return outcome


def _told(
    outcomes: Iterable[PeriodLosses],
    minutes: Floats,
    batches: Sequence[tuple[int, int]],
    progress: Progress | None,
) -> Iterator[PeriodLosses]:
    """Outcomes of batches; says now and then how much of the work is done."""
    work = np.cumsum([minutes[last - 1] * (last - first) for first, last in batches])
    said = time.monotonic()
    for done, outcome in zip(work, outcomes, strict=True):
        if progress is not None and done < work[-1] and time.monotonic() - said >= SILENCE_SECONDS:
            said = time.monotonic()
            progress(f"{percent(done / work[-1], 0)} of the samples simulated")
        yield outcome


def _batches(model: Model, minutes: Floats, workers: int) -> list[tuple[int, int]]:
    """First and last of each batch of periods in order of length, with the least total time.

    A batch costs ``BATCH_MINUTES + longest·scenarios``. The best last batch of the first j cases is
    found for every j in turn.
    """
    per_minute = bytes_per_scenario(model, KEPT) / model.simulation.horizon_minutes
    most = max(1, min(BATCH, math.ceil(len(minutes) / workers)))
    best, first = np.zeros(len(minutes) + 1), np.zeros(len(minutes) + 1, dtype=np.int64)
    for j in range(1, len(minutes) + 1):
        longest = minutes[j - 1]
        size = max(1, min(most, j, int(BATCH_BYTES / (per_minute * longest))))
        starts = np.arange(j - size, j)
        costs = best[starts] + BATCH_MINUTES + longest * (j - starts)
        first[j] = starts[int(costs.argmin())]
        best[j] = costs.min()
    batches = []
    last = len(minutes)
    while last > 0:
        batches.append((int(first[last]), last))
        last = int(first[last])
    return batches[::-1]


def _batch(model: Model, batch: tuple[Fleet, Sequence[PreparedPeriod]]) -> PeriodLosses:
    """What the cases of one batch lose."""
    fleet, cases = batch
    horizon = max(1.0, float(math.ceil(max(case.minutes for case in cases))))
    layout = Layout.of(model, frozenset())
    settings = model.simulation.model_copy(update={"horizon_minutes": horizon})
    lasting = replace(layout, model=model.model_copy(update={"simulation": settings}))
    world = build_world(lasting, fleet, tuple(case.timeline for case in cases))
    return _measured(world, run(world, KEPT), cases)


def _measured(world: World, history: History, cases: Sequence[PreparedPeriod]) -> PeriodLosses:
    demand = history.demand_rps
    counts = _counts(cases, len(demand))
    fraction = served_fraction(np.minimum(history.served_rps, demand), demand)
    # What is served late counts as served here, so the balance is that of requests.
    lost = 60 * np.einsum("tsk,ts->sk", demand - history.served_rps, counts)
    if world.tiers.checkpoint_minutes.any():
        again = lost_work(demand, history.served_rps, world.tiers.checkpoint_minutes)
        lost = np.maximum(lost, 0.0) + np.einsum("tsk,ts->sk", again, counts)
    ends = np.array([min(len(demand), math.ceil(case.minutes)) for case in cases]) - 1
    at_end = fraction[ends, np.arange(len(cases))]
    return PeriodLosses(
        lost_requests=np.maximum(lost, 0.0),
        unserved_minutes=np.einsum("tsk,ts->sk", 1 - fraction, counts),
        emergency_usd=(history.emergency_usd * counts).sum(axis=0),
        settled=(at_end >= RECOVERED).all(axis=1) | np.array([case.cut for case in cases]),
        minutes=ends + 1.0,
    )


def _counts(cases: Sequence[PreparedPeriod], minutes: int) -> Floats:
    """How often each minute of each case counts, shape (T, S)."""
    counts = np.zeros((minutes, len(cases)))
    for s, case in enumerate(cases):
        counts[: math.ceil(case.minutes), s] = 1.0
        for repeat in case.repeats:
            counts[math.ceil(repeat.from_minute) : math.ceil(repeat.to_minute), s] += repeat.times
    return counts
