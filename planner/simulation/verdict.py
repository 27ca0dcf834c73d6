"""Verdicts: whether a scenario meets the survival standard, and what was breached first."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydantic import TypeAdapter

from planner.amounts import served_apart
from planner.checkpoint import checkpoint
from planner.infrastructure.entities import Model
from planner.infrastructure.failures import Scenario
from planner.infrastructure.fleet import Fleet
from planner.laws.ratios import ratio
from planner.laws.traffic import impact
from planner.scenarios.event_grid import minute_before
from planner.scenarios.onset import happens_to
from planner.scenarios.standard import (
    TOLERANCE,
    Floor,
    emergency_budget_usd,
    floors,
    in_words,
    required,
)
from planner.scenarios.system_state import dependency_index
from planner.simulation.alerts import Alert, alerts
from planner.simulation.build import Layout
from planner.simulation.cascade import run
from planner.simulation.causes import Cause, explain, shut_down_in_part
from planner.simulation.history import JUDGED, History, by_part, bytes_per_scenario
from planner.simulation.served import (
    least_by_zone,
    least_served,
    lost_work_of,
    served_fractions,
    short_of_full,
    wanted_rps,
)
from planner.simulation.story import StoryLine, tell
from planner.simulation.system_states import Floats
from planner.simulation.world import World
from planner.workers import workers

#: Memory for the records of the scenarios simulated at once; with more, caches are of less use.
BATCH_BYTES = 50e6

BreachKind = Literal["served", "shutdown", "budget", "capacity"]
#: Kind and subject.
BreachKey = tuple[str, str]
#: What came of a scenario. Nothing is asked where the standard has no rule for its class, and
#: nothing applies where what fails is not part of the fleet: neither counts as survived.
Status = Literal["survives", "fails", "not judged", "not applicable"]


@dataclass(frozen=True)
class Breach:
    """One way in which a scenario falls short of its standard.

    Parameters
    ----------
    kind
        Requests not served, thermal shutdown of a cluster, emergency budget, or surviving capacity
        (policy).
    subject
        What is concerned: a tier or `all`, also of a zone (``all in europe``), a cluster, the
        budget, a region.
    minute
        First minute of the breach.
    until_minute
        Last minute of it.
    value, required
        Value in the first minute and requirement: fractions, degrees Celsius or USD.
    shortfall
        Largest distance from what was required.
    cause
        Cause of most unserved requests in the worst minute; None where no requests are concerned.
    late_minutes
        Minutes by which emergency capacity was overdue, where that is the cause.
    """

    kind: BreachKind
    subject: str
    minute: float
    until_minute: float
    value: float
    required: float
    shortfall: float
    cause: Cause | None = None
    late_minutes: float = 0.0

    def __str__(self) -> str:
        at = f"at minute {self.minute:.0f}"
        if self.kind == "served":
            who = in_words(self.subject)
            value, required = served_apart(self.value, self.required)
            return f"{who} {value} served {at}, {required} required"
        if self.kind == "shutdown":
            return f"{self.subject} shut itself down {at} ({self.value:.0f} °C)"
        if self.kind == "budget":
            return f"emergency spend {self.value:,.0f} USD, {self.required:,.0f} USD approved"
        left, least = served_apart(self.value, self.required)
        return f"{left} of all GPUs left without {self.subject}, {least} required by policy"


@dataclass(frozen=True)
class Verdict:
    """Outcome of one scenario.

    Parameters
    ----------
    name, severity, frequency_per_year
        The scenario.
    status
        Whether it survives.
    breaches
        All breaches of the standard, in order of time.
    recovery_minutes
        Minute from which all tiers stay served in full; None if not within the simulation.
    lost_requests
        Requests whose clients gave up, and those still waiting or backing off at the end.
    peak_temperature_c
        Hottest cluster.
    shutdowns
        Clusters with a thermal shutdown.
    throttled_minutes
        Minutes in which any cluster is above its throttle temperature.
    peak_queue_requests
        Most requests waiting.
    emergency_usd
        Emergency spend until everything is repaired; beyond the simulation at its last rate.
    served
        Minimum service level by tier while the standard applies to it.
    served_by_zone
        The same by zone and tier (or `all`), where the standard has rules for zones.
    impact
        Worst class of impact on each tier in that time (`planner.laws.traffic.impact`).
    retry_ratio
        Largest number of requests with retries over new requests.
    alerts
        Alerts in order of time.
    story
        What happened, with minutes and time of day.
    """

    name: str
    severity: str
    frequency_per_year: float
    status: Status
    breaches: tuple[Breach, ...]
    recovery_minutes: float | None
    lost_requests: float
    peak_temperature_c: float
    shutdowns: tuple[str, ...]
    throttled_minutes: int
    peak_queue_requests: float
    emergency_usd: float
    served: dict[str, float]
    served_by_zone: dict[str, dict[str, float]]
    impact: dict[str, str]
    retry_ratio: float
    alerts: tuple[Alert, ...]
    story: tuple[StoryLine, ...]

    @property
    def survives(self) -> bool:
        """Whether it is judged and nothing falls short."""
        return self.status == "survives"

    @property
    def fails(self) -> bool:
        """Whether anything falls short."""
        return self.status == "fails"

    @property
    def first_breach(self) -> Breach | None:
        """Earliest breach."""
        return self.breaches[0] if self.breaches else None


_VERDICTS = TypeAdapter(tuple[Verdict, ...])


def short_by(verdict: Verdict) -> dict[BreachKey, float]:
    """How far each requirement is missed, as a share; 1 for a cluster that shut itself down."""
    found: dict[BreachKey, float] = {}
    for breach in verdict.breaches:
        amount = breach.shortfall
        if breach.kind == "shutdown":
            amount = 1.0
        elif breach.kind == "budget":
            amount /= max(breach.required, 1.0)
        key = breach.kind, breach.subject
        found[key] = max(found.get(key, 0.0), amount)
    return found


def worst_of(verdicts: Iterable[Verdict]) -> Verdict:
    """Outcome that fails, or else that loses most requests: of the hours of a failure the worst.

    Raises
    ------
    ValueError
        If there is none.
    """
    return max(verdicts, key=lambda verdict: (verdict.fails, verdict.lost_requests))


def judge(
    model: Model,
    fleet: Fleet,
    scenarios: tuple[Scenario, ...],
    stories: bool = True,
    on_part: Callable[[int, int], None] | None = None,
) -> tuple[Verdict, ...]:
    """Simulate scenarios on a fleet and compare each with its standard.

    Scenarios are simulated in batches, so memory does not grow with their number; workers share
    them (`planner.workers`).

    Parameters
    ----------
    stories
        Whether to tell the story of each scenario.
    on_part
        Called after every batch with the number of scenarios done and that of all.
    """
    run = checkpoint()
    if run is None or not scenarios:
        return _simulated(model, fleet, scenarios, stories, on_part)
    return run.recall(
        (b"verdicts", *map(run.digest, (model, scenarios, fleet)), b"stories" * stories),
        _VERDICTS,
        lambda: _simulated(model, fleet, scenarios, stories, on_part),
    )


def _simulated(
    model: Model,
    fleet: Fleet,
    scenarios: tuple[Scenario, ...],
    stories: bool,
    on_part: Callable[[int, int], None] | None,
) -> tuple[Verdict, ...]:
    team = workers(len(scenarios))
    size = batch_size(model, len(scenarios), team.count, stories)
    # Who wants to know how far it is gets smaller parts, which start their records anew.
    even = max(team.fewest, math.ceil(len(scenarios) / team.count))
    part = size if on_part is not None else even
    parts = (
        (fleet, stories, size, scenarios[first : first + part])
        for first in range(0, len(scenarios), max(1, part))
    )
    return _gathered(team.map(_judged, model, parts), len(scenarios), on_part)


def _gathered(
    parts: Iterable[tuple[Verdict, ...]],
    total: int,
    on_part: Callable[[int, int], None] | None,
) -> tuple[Verdict, ...]:
    verdicts: list[Verdict] = []
    if on_part is not None:
        on_part(0, total)
    for part in parts:
        verdicts += part
        if on_part is not None:
            on_part(len(verdicts), total)
    return tuple(verdicts)


def batch_size(model: Model, count: int, jobs: int, stories: bool) -> int:
    """Scenarios to simulate at once: as many as memory allows, in equal parts for the threads."""
    most = max(1, int(BATCH_BYTES / bytes_per_scenario(model, None if stories else JUDGED)))
    rounds = max(1, math.ceil(count / (most * jobs)))
    return max(1, math.ceil(count / (rounds * jobs)))


def _judged(
    model: Model, part: tuple[Fleet, bool, int, tuple[Scenario, ...]]
) -> tuple[Verdict, ...]:
    """Verdicts of scenarios, simulated in batches that write their records to the same memory."""
    fleet, stories, size, scenarios = part
    layout = Layout.of(model, fleet.measures)
    verdicts: list[Verdict] = []
    history: History | None = None
    for first in range(0, len(scenarios), size):
        batch = scenarios[first : first + size]
        world = layout.world(fleet, batch)
        history = run(world, None if stories else JUDGED, history)
        verdicts += [judge_one(world, history, fleet, i, stories) for i in range(len(batch))]
    return tuple(verdicts)


def judge_one(
    world: World, history: History, fleet: Fleet, index: int, stories: bool = True
) -> Verdict:
    """Verdict of one simulated scenario."""
    timeline = world.timelines[index]
    scenario, model = timeline.scenario, world.model
    rules = floors(model, scenario.severity)
    since = timeline.clock.minutes(world.minutes)
    fractions = served_fractions(world, history, index)
    spend = _emergency_usd(world, history, index)
    breaches = [
        *_served_breaches(world, history, index, rules, since, fractions),
        *_shutdown_breaches(world, history, index),
        *_budget_breach(model, scenario, spend),
        *_capacity_breaches(model, fleet, scenario),
    ]
    shutdowns = tuple(b.subject for b in breaches if b.kind == "shutdown")
    ordered = tuple(sorted(breaches, key=lambda breach: breach.minute))
    dependencies = dependency_index(model, world.graph)
    applies = any(
        happens_to(dependencies, fleet, world.bearing, event) for event in scenario.events
    )
    served = least_served(world, rules, since, fractions)
    return Verdict(
        name=scenario.name,
        severity=scenario.severity,
        frequency_per_year=scenario.frequency_per_year,
        status=_status(applies, bool(ordered), _asked(model, scenario, rules, since)),
        breaches=ordered if applies else (),
        recovery_minutes=_recovery(world, fractions),
        lost_requests=_lost_requests(world, history, index),
        peak_temperature_c=_peak_temperature(world, history, index),
        shutdowns=shutdowns,
        throttled_minutes=_throttled_minutes(world, history, index),
        peak_queue_requests=float(history.waiting[:, index].max()),
        emergency_usd=spend,
        served=served,
        served_by_zone=least_by_zone(rules, since, fractions),
        impact={tier: impact(fraction) for tier, fraction in served.items()},
        retry_ratio=_retry_ratio(history, index),
        alerts=alerts(world, history, index),
        story=tell(world, history, index) if stories else (),
    )


def _asked(model: Model, scenario: Scenario, rules: tuple[Floor, ...], since: Floats) -> bool:
    """Whether the standard or a policy requires anything in a scenario within the simulation."""
    last = since.max(initial=-np.inf)
    policy = bool(model.policies.surviving_capacity_share)
    return any(rule.least_served > 0 and rule.from_minute <= last for rule in rules) or (
        policy and any(event.kind == "region" for event in scenario.events)
    )


def _status(applies: bool, falls_short: bool, asked: bool) -> Status:
    if not applies:
        return "not applicable"
    if falls_short:
        return "fails"
    return "survives" if asked else "not judged"


def _served_breaches(
    world: World,
    history: History,
    index: int,
    rules: tuple[Floor, ...],
    since: Floats,
    fractions: dict[str, Floats],
) -> list[Breach]:
    breaches: list[Breach] = []
    for subject, fraction in fractions.items():
        least = required(rules, since, subject)
        gap = least - fraction
        short = np.flatnonzero(gap > TOLERANCE)
        if not len(short):
            continue
        first, last, worst = int(short[0]), int(short[-1]), int(np.argmax(gap))
        wanted = wanted_rps(world, index, worst, subject)
        cause, late = explain(world, history, index, worst, float(gap[worst] * wanted))
        breaches.append(
            Breach(
                kind="served",
                subject=subject,
                minute=float(first),
                until_minute=float(last),
                value=float(fraction[first]),
                required=float(least[first]),
                shortfall=float(gap[worst]),
                cause=cause,
                late_minutes=late,
            )
        )
    return breaches


def _shutdown_breaches(world: World, history: History, index: int) -> list[Breach]:
    """Thermal shutdowns: of clusters whose region and power were up, or of some of their racks."""
    breaches = []
    off, stopped = history.off[:, index], shut_down_in_part(world, history, index)
    for c in np.flatnonzero((off | stopped).any(axis=0)).tolist():
        up = world.system_states.cluster_up[world.interval[:, index], c]
        before = np.append(False, off[:-1, c])
        minutes = np.flatnonzero((off[:, c] & ~before & up) | stopped[:, c])
        if len(minutes):
            name = world.clusters.names[c]
            limit = float(world.clusters.shutdown_c[c] - world.clusters.shutdown_spread_c[c])
            last = float(np.flatnonzero(off[:, c] | stopped[:, c])[-1])
            first = float(minutes[0])
            breaches.append(Breach("shutdown", name, first, last, limit, limit, 0.0, "heat"))
    return breaches


def _budget_breach(model: Model, scenario: Scenario, spend: float) -> list[Breach]:
    budget = emergency_budget_usd(model, scenario)
    if spend <= budget * (1 + TOLERANCE):
        return []
    return [Breach("budget", "budget", np.inf, np.inf, spend, budget, spend - budget)]


def _capacity_breaches(model: Model, fleet: Fleet, scenario: Scenario) -> list[Breach]:
    """Breaches of the policy on the share of GPUs that survives the loss of a region."""
    least = model.policies.surviving_capacity_share
    total = sum(fleet.gpus.values())
    breaches = []
    for event in scenario.events:
        if event.kind == "region" and least and total:
            left = surviving_share(model, fleet, event.name)
            if left < least - TOLERANCE:
                minute = minute_before(event.at_minute)
                breaches.append(
                    Breach("capacity", event.name, minute, minute, left, least, least - left)
                )
    return breaches


def surviving_share(model: Model, fleet: Fleet, region: str) -> float:
    """Share of all GPUs outside a region."""
    total = sum(fleet.gpus.values())
    lost = sum(n for c, n in fleet.gpus.items() if model.clusters[c].region == region)
    return (total - lost) / total if total else 0.0


def _recovery(world: World, fractions: Mapping[str, Floats]) -> float | None:
    missing = short_of_full(world, fractions)
    short = np.flatnonzero(missing)
    if not len(short):
        return 0.0
    return None if missing[-1] else float(short[-1] + 1)


def _throttled_minutes(world: World, history: History, index: int) -> int:
    slow = by_part(history.clock, index)[world.clusters.gpus > 0] < 1.0
    return int(slow.any(axis=0).sum())


def _peak_temperature(world: World, history: History, index: int) -> float:
    hottest = by_part(history.temperature_c, index).max(axis=1)
    return float(hottest[world.clusters.gpus > 0].max(initial=0.0))


def _lost_requests(world: World, history: History, index: int) -> float:
    """Requests whose clients gave up or wait at the end, and work lost since its checkpoint."""
    left = history.waiting[-1:, index] - history.stale[-1:, index] + history.retrying[-1:, index]
    work = lost_work_of(world, history, index)
    return float(history.gave_up[:, index].sum() + left.sum() + work.sum())


def _retry_ratio(history: History, index: int) -> float:
    wanted = by_part(history.demand_rps, index).sum(axis=0)
    attempts = by_part(history.attempts_rps, index).sum(axis=0)
    return float(ratio(attempts, wanted, none=1.0).max(initial=1.0))


def _emergency_usd(world: World, history: History, index: int) -> float:
    spend = history.emergency_usd[:, index]
    beyond = max(0.0, world.timelines[index].end_minute - world.minutes)
    return float(spend.sum() + spend[-1] * beyond)
