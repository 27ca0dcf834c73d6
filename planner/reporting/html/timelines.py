"""Timelines of scenarios: simulated curves, thinned out to what can be seen."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from planner.infrastructure.entities import Model
from planner.infrastructure.failures import Event, Scenario
from planner.infrastructure.fleet import Fleet
from planner.laws.traffic import served_fraction
from planner.scenarios.standard import floors, required
from planner.simulation.cascade import simulate
from planner.simulation.history import History
from planner.simulation.served import served_fractions
from planner.simulation.story import describe
from planner.simulation.system_states import Floats
from planner.simulation.verdict import Verdict, batch_size, judge_one
from planner.simulation.world import World

#: Share of demand from which on the simulation takes it for all.
FULL = 1 - 1e-6
#: Curves drawn of one kind; of more, those that change most.
MOST_CURVES = 8
#: Difference from a straight line that cannot be seen, as a share of the range of a curve.
UNSEEN = 0.004
#: Kinds of charts.
KINDS = ("served", "temperature", "cooling", "queue", "cloud")
#: Least height that differences are measured against: percent, °C, MW, requests, GPUs.
LEAST_RANGE = {"served": 25.0, "temperature": 10.0, "cooling": 1.0, "queue": 100.0, "cloud": 10.0}
#: How the texts of events end when a failure is over.
OVER = (": over", ": repaired")
#: Minutes shown at least.
LEAST_MINUTES = 60.0


@dataclass(frozen=True, eq=False)
class Played:
    """One scenario simulated on the plan.

    Parameters
    ----------
    charts
        Curves by kind (`served` in percent, `temperature` in °C, `cooling` in MW, `queue` in
        requests, `cloud` in GPUs), each with its name, minutes and values.
    left_out
        Curves of a kind that are not drawn.
    events
        Failures and repairs as minute and text.
    until_minute
        Last minute to look at first.
    required
        Service level required by tier: minutes with the percentage required from then on.
    slack
        Least headroom above the SLO, as a share of demand, over the minutes in which less than all
        demand was served; infinite where all was.
    """

    scenario: Scenario
    verdict: Verdict
    charts: dict[str, list[dict[str, Any]]]
    left_out: dict[str, int]
    events: list[tuple[float, str]]
    until_minute: float
    minutes: int
    required: dict[str, list[list[float]]]
    slack: float


@dataclass(frozen=True, eq=False)
class Simulated:
    """What simulations of the plan and of what exists found.

    Parameters
    ----------
    played
        Every scenario on the plan, in the order of the plan.
    """

    played: tuple[Played, ...]
    today: tuple[Verdict, ...]

    @property
    def judged(self) -> int:
        """Scenarios that the plan survives or fails."""
        return sum(played.verdict.survives or played.verdict.fails for played in self.played)

    @property
    def survived(self) -> int:
        """Scenarios that the plan survives."""
        return sum(played.verdict.survives for played in self.played)

    @property
    def survived_today(self) -> int:
        """Scenarios that what exists survives."""
        return sum(verdict.survives for verdict in self.today)


def play(
    model: Model,
    fleet: Fleet,
    scenarios: Sequence[Scenario],
    progress: Callable[[str], None] = lambda _: None,
) -> Iterator[Played]:
    """Simulate scenarios on a fleet, in batches that fit into memory."""
    size = batch_size(model, len(scenarios), 1, True)
    for first in range(0, len(scenarios), size):
        batch = tuple(scenarios[first : first + size])
        world, history = simulate(model, fleet, batch)
        for index in range(len(batch)):
            yield _played(world, history, fleet, index)
        progress(f"simulated {min(first + size, len(scenarios)):,} of {len(scenarios):,} scenarios")


def _played(world: World, history: History, fleet: Fleet, index: int) -> Played:
    scenario = world.timelines[index].scenario
    served = _served(world, history, index)
    curves = {
        "served": served,
        "temperature": _temperatures(world, history, index),
        "cooling": _cooling(history, index),
        "queue": _queue(history, index),
        "cloud": _cloud(world, history, index),
    }
    charts, left_out = {}, {}
    for kind, named in curves.items():
        moving = _most_moving(named) if kind != "cooling" else named
        charts[kind] = [_curve(name, values, kind) for name, values in moving]
        left_out[kind] = len(named) - len(moving)
    verdict = judge_one(world, history, fleet, index)
    least, fractions = _required(world, index), served_fractions(world, history, index)
    events = list(_events(scenario, world.minutes))
    return Played(
        scenario,
        verdict,
        charts,
        left_out,
        events,
        _until(curves, events, world.minutes),
        world.minutes,
        {subject: _steps(floor) for subject, floor in least.items() if floor.any()},
        _slack(least, fractions),
    )


def _required(world: World, index: int) -> dict[str, Floats]:
    """Service level required in every minute, by tier and `all`, also of zones."""
    timeline = world.timelines[index]
    rules = floors(world.model, timeline.scenario.severity)
    since = timeline.clock.minutes(world.minutes)
    return {rule.subject: required(rules, since, rule.subject) for rule in rules}


def _steps(least: Floats) -> list[list[float]]:
    """Minutes at which the required service level changes, and its new value in percent."""
    changes = np.flatnonzero(np.diff(least, prepend=0.0))
    return [[float(minute), 100 * float(least[minute])] for minute in changes]


Named = list[tuple[str, Floats]]


def _served(world: World, history: History, index: int) -> Named:
    """Percent of each tier's demand served in every minute, at most all of it."""
    demand = history.demand_rps[:, index]
    served = np.minimum(history.served_rps[:, index], demand)
    return [
        (tier, 100.0 * served_fraction(served[:, k], demand[:, k]))
        for k, tier in enumerate(world.tiers.names)
    ]


def _temperatures(world: World, history: History, index: int) -> Named:
    return [
        (name, history.temperature_c[:, index, c])
        for c, name in enumerate(world.clusters.names)
        if world.clusters.gpus[c]
    ]


def _cooling(history: History, index: int) -> Named:
    """Heat, heat removed, and cooling capacity of surviving units, over all regions, MW."""
    return [
        ("heat of the GPUs", history.heat_mw[:, index].sum(axis=1)),
        ("heat removed", history.cooling_mw[:, index].sum(axis=1)),
        ("cooling capacity", history.cooling_capacity_mw[:, index].sum(axis=1)),
    ]


def _queue(history: History, index: int) -> Named:
    found = [
        ("waiting", history.waiting[:, index]),
        ("backing off before a retry", history.retrying[:, index]),
    ]
    return [(name, values) for name, values in found if values.max(initial=0.0) >= 1]


def _cloud(world: World, history: History, index: int) -> Named:
    """Emergency GPUs in use by offer."""
    first = len(world.clusters.names)
    found = [
        (name, history.load_rps[:, index, first + v] / world.offers.rps_per_gpu[v])
        for v, name in enumerate(world.offers.names)
    ]
    return [(name, gpus) for name, gpus in found if gpus.max(initial=0.0) >= 1]


def _most_moving(named: Named) -> Named:
    """The curves that change most, in their order."""
    if len(named) <= MOST_CURVES:
        return named
    order = sorted(range(len(named)), key=lambda i: -float(np.ptp(named[i][1])))
    return [named[i] for i in sorted(order[:MOST_CURVES])]


def _events(scenario: Scenario, minutes: int) -> Iterator[tuple[float, str]]:
    for event in scenario.events:
        yield event.at_minute, describe(event)
        over = event.at_minute + event.repair_minutes
        if over < minutes:
            passes = event.kind in ("heat", "surge", "sag", "supply")
            yield over, f"{_subject(event)}: {'over' if passes else 'repaired'}"


def _subject(event: Event) -> str:
    """What an event hits, without what happens to it."""
    text = describe(event)
    for verb in (" is ", " loses ", " rises ", " sags ", " delivers "):
        text = text.partition(verb)[0]
    return text


def _until(curves: dict[str, Named], events: list[tuple[float, str]], minutes: int) -> float:
    """A little after the last change that users notice before the first repair.

    Cooling and cloud do not count: they follow the time of day.
    """
    first = min((at for at, text in events if text.endswith(OVER)), default=float(minutes))
    last = max((at for at, text in events if not text.endswith(OVER)), default=0.0)
    for kind in ("served", "temperature", "queue"):
        for _, values in curves[kind]:
            moved = np.abs(np.diff(values)) > UNSEEN * max(LEAST_RANGE[kind], np.ptp(values))
            changes = np.flatnonzero(moved)
            early = changes[changes < first - 1]
            if len(early):
                last = max(last, float(early[-1]))
    return float(min(minutes - 1, max(LEAST_MINUTES, np.ceil(1.2 * last / 10) * 10)))


def _slack(least: dict[str, Floats], fractions: dict[str, Floats]) -> float:
    """Least headroom above what is required, where not all demand was served, as a share."""
    slack = np.inf
    for subject, asked in least.items():
        part = (asked > 0) & (fractions[subject] < FULL)
        slack = min(slack, float((fractions[subject] - asked)[part].min(initial=np.inf)))
    return slack


def _curve(name: str, values: Floats, kind: str) -> dict[str, Any]:
    """A curve at the minutes between which it is practically straight."""
    # The axes of the others start at 0.
    height = np.ptp(values) if kind in ("served", "temperature") else values.max(initial=0.0)
    kept = thinned(values, UNSEEN * max(LEAST_RANGE[kind], float(height)))
    digits = 0 if kind in ("queue", "cloud") else 2
    return {"name": name, "x": kept.tolist(), "y": _rounded(values[kept], digits)}


def _rounded(values: Floats, digits: int) -> list[float]:
    rounded = np.round(values, digits) + 0.0
    return [int(value) if value == int(value) else value for value in rounded.tolist()]


def thinned(values: Floats, tolerance: float) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Positions to keep so that straight lines between them miss no value by more than this.

    The method of Ramer, Douglas and Peucker with vertical distances: D. H. Douglas, T. K. Peucker,
    *Cartographica* 10 (1973) 112-122.

    >>> thinned(np.array([1.0, 1.0, 1.0, 0.0, 0.0, 0.0]), 0.01).tolist()
    [0, 2, 3, 5]
    """
    last = len(values) - 1
    kept = {0, last}
    spans = [(0, last)]
    while spans:
        first, end = spans.pop()
        if end - first < 2:
            continue
        inner = np.arange(first + 1, end)
        line = values[first] + (values[end] - values[first]) * (inner - first) / (end - first)
        off = np.abs(values[inner] - line)
        worst = int(np.argmax(off))
        if off[worst] > tolerance:
            middle = int(inner[worst])
            kept.add(middle)
            spans += [(first, middle), (middle, end)]
    return np.array(sorted(kept), dtype=np.int64)
