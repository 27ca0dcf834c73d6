"""Scenarios cut into stages: at lead times, start-up times, floors, reactions and repairs."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from math import ceil, inf, isinf

import numpy as np

from planner.infrastructure.entities import Model
from planner.optimization.formulation.stages import ReactionVariant, Stage
from planner.scenarios.demand import ModelKey, demand_at, demand_windows
from planner.scenarios.services import limited_services
from planner.scenarios.standard import Floor, floors, floors_at
from planner.scenarios.system_state import SystemState
from planner.scenarios.timeline import Interval, Outage, Timeline

#: Events that change cooling or power, after which standby units start.
COOLING_EVENTS = frozenset(
    {"units", "largest-units", "plant", "feed", "sag", "service", "heat", "cluster"}
)

#: Requests per second by (zone, tier).
Asked = Mapping[tuple[str, str], float]

#: Demand by which what a stage asks for may exceed what is asked for in any hour of it, as a share.
SAME_PEAK = 0.005


def cut_stages(
    model: Model, timeline: Timeline, variants: tuple[ReactionVariant, ...] = ()
) -> tuple[Stage, ...]:
    """Cut a scenario into stages at lead times, start-up times, floors, reactions and repairs.

    Equal neighbours are merged into one stage, and cut again where the peaks of zones lie hours
    apart: nobody asks for all of them at once. Minutes before load balancers act on the failure
    have no floors: no purchase changes what is served in them.

    Parameters
    ----------
    variants
        Reaction variants; none for the reaction that the model states.
    """
    variants = variants or (ReactionVariant(0, model, timeline),)
    rules = floors(model, timeline.scenario.severity)
    slices: list[_Slice] = []
    for interval in timeline.intervals:
        found = [_cuts(variant, interval, rules) for variant in variants]
        for start, end in pairwise(sorted(set().union(*found))):
            pieces = tuple(_piece(variant, interval, (start, end), rules) for variant in variants)
            time_slice = _Slice(start, end, interval, _state(model, interval.state), pieces)
            if slices and slices[-1].same_as(time_slice):
                time_slice = replace(time_slice, start=slices.pop().start)
            slices.append(time_slice)
    windows = (window for piece in slices for window in _windows(model, timeline, piece))
    return tuple(_stage(variants, i, piece) for i, piece in enumerate(windows))


def _windows(model: Model, timeline: Timeline, piece: _Slice) -> Iterator[_Slice]:
    """A slice in parts in which no two zones have their peaks at hours apart."""
    groups = demand_windows(ModelKey(model), timeline.start_hour, piece.start, piece.end, SAME_PEAK)
    between = [(one[-1] + other[0]) / 2 for one, other in pairwise(groups)]
    ends = pairwise([piece.start, *between, piece.end])
    for minutes, (start, end) in zip(groups, ends, strict=True):
        yield replace(piece, start=start, end=end, minutes=minutes)


def cut_like(
    model: Model, timeline: Timeline, stages: tuple[Stage, ...], normal: SystemState
) -> tuple[Stage, ...]:
    """Stages of a scenario with the cuts of given ones, and no others.

    Where the scenario ends before the given stages do, the rest is normal operation.

    Raises
    ------
    ValueError
        If something changes within one of the given stages.
    """
    rules = floors(model, timeline.scenario.severity)
    variant = ReactionVariant(0, model, timeline)
    result = []
    for stage in stages:
        inside = [
            interval
            for interval in timeline.intervals
            if interval.start_minute < stage.end_minute and stage.start_minute < interval.end_minute
        ]
        if stage.end_minute > timeline.end_minute:
            rest = Interval(timeline.end_minute, stage.end_minute, normal, normal, Outage())
            inside.append(rest)
        states = [_state(model, interval.state) for interval in inside]
        if any(state != states[0] for state in states):
            raise ValueError(f"{stage.label} is cut too coarsely.")
        span = (stage.start_minute, stage.end_minute)
        piece = _piece(variant, inside[0], span, rules)
        time_slice = _Slice(*span, inside[0], states[0], (piece,), stage.demand_minutes)
        result.append(_stage((variant,), stage.index, time_slice))
    return tuple(result)


@dataclass(frozen=True)
class _Piece:
    """A slice in one reaction variant."""

    floors: dict[str, float]
    floors_if_up: dict[str, float]
    offers: tuple[str, ...]
    delivered: dict[str, float]
    started: dict[str, frozenset[str]]
    started_or_restarting: dict[str, frozenset[str]]
    reacted: bool


@dataclass(frozen=True)
class _Slice:
    """A slice of time in all reaction variants."""

    start: float
    end: float
    interval: Interval
    state: SystemState
    pieces: tuple[_Piece, ...]
    minutes: tuple[float, ...] = ()

    def same_as(self, other: _Slice) -> bool:
        return self._content() == other._content()

    def _content(self) -> tuple[object, ...]:
        interval = self.interval
        certain = interval.state == interval.at_best
        best = None if certain else (interval.at_best, interval.outage)
        return self.state, best, self.pieces


def _state(model: Model, state: SystemState) -> SystemState:
    """A system state without services, which show in tiers and plants unless they have limits."""
    if limited_services(model):
        return state
    return replace(state, services_down=frozenset(), replicas_down={})


def _cuts(variant: ReactionVariant, interval: Interval, rules: tuple[Floor, ...]) -> set[float]:
    model, timeline = variant.model, variant.timeline
    cuts = {interval.start_minute, interval.end_minute, *timeline.failures}
    acts = (timeline.standby_minutes, timeline.switch_off_minutes)
    cuts |= {start + after for start in timeline.failures for after in acts}
    cuts |= {reroute_minute(timeline, lost) for lost in _losses_of_clusters(timeline)}
    cuts |= {start + rule.from_minute for start in timeline.clock.starts for rule in rules}
    cuts |= {arrival_minute(model, timeline, offer) for offer in model.offers}
    if any(other.state.offer_share for other in timeline.intervals):
        known = ceil(timeline.operations.failover_minutes)
        cuts |= {other.start_minute + known for other in timeline.intervals}
    events = (interval.start_minute, *_cooling_events(timeline))
    for plant, unit in variant.starting:
        cuts |= {start_minute(model, timeline, plant, unit, hit) for hit in events}
    return {cut for cut in cuts if interval.start_minute <= cut <= interval.end_minute}


def reroute_minute(timeline: Timeline, minute: float) -> float:
    """Minute from which load balancers have acted on all losses of clusters up to a minute.

    They notice a loss after the failover minutes, and act no earlier than the least wait after the
    failure that led to it.
    """
    failover, wait = (
        timeline.operations.failover_minutes,
        timeline.operations.earliest_reroute_minutes,
    )
    lost = [loss for loss in _losses_of_clusters(timeline) if loss <= minute]
    return max((max(at + failover, timeline.failure_at(at) + wait) for at in lost), default=0.0)


def _losses_of_clusters(timeline: Timeline) -> list[float]:
    """Minutes at which clusters go down."""
    found, before = [], frozenset[str]()
    for interval in timeline.intervals:
        if not interval.state.clusters_down <= before:
            found.append(interval.start_minute)
        before = interval.state.clusters_down
    return found


def _cooling_events(timeline: Timeline) -> list[float]:
    """Minutes of events that change cooling or power."""
    return [timed.begins for timed in timeline.events if timed.event.kind in COOLING_EVENTS]


def arrival_minute(model: Model, timeline: Timeline, offer: str) -> float:
    """Minute from which an offer's instances serve.

    That is the failover minutes after they arrive, and not before load balancers act on a failure.
    """
    if isinf(timeline.order_minute):
        return inf
    operations, lead = timeline.operations, model.offers[offer].lead_time_minutes
    known = ceil(ceil(timeline.order_minute) + lead) + ceil(operations.failover_minutes)
    acting = timeline.short_from + operations.earliest_reroute_minutes
    return max(known, acting)


def start_minute(model: Model, timeline: Timeline, plant: str, unit: str, minute: float) -> float:
    """Minute from which a unit type that is started carries load, by the events up to a minute.

    Not in the minute in which it gets its signal: what is short of cooling shows at its end.
    """
    entry, kind = model.plants[plant], model.cooling_units[unit]
    trigger = max((hit for hit in _cooling_events(timeline) if hit <= minute), default=0.0)
    if not entry.automatic:
        trigger = max(trigger, timeline.failure_at(minute) + timeline.standby_minutes)
    return trigger + max(1.0, kind.start_minutes)


def _piece(
    variant: ReactionVariant,
    interval: Interval,
    span: tuple[float, float],
    rules: tuple[Floor, ...],
) -> _Piece:
    model, timeline = variant.model, variant.timeline
    start, state = span[0], interval.state
    settled = start >= reroute_minute(timeline, start) or not state.clusters_down
    if_up = not settled and not interval.at_best.clusters_down
    delivered = _delivered(timeline, start)
    arrived = tuple(
        offer
        for offer in model.offers
        if arrival_minute(model, timeline, offer) <= start
        and offer not in state.offers_down
        and delivered.get(offer, 1.0)
    )
    carrying = dict(variant.running)
    for plant, unit in variant.starting:
        if start_minute(model, timeline, plant, unit, start) <= start:
            carrying[plant] |= {unit}
    started_or_restarting = _kept_once(_without(carrying, interval.at_best.restarting))
    started = _kept_once(_without(started_or_restarting, state.restarting))
    now = floors_at(rules, timeline.clock.since(start))
    return _Piece(
        floors=now if settled else {},
        floors_if_up=now if if_up else {},
        offers=arrived,
        delivered={offer: share for offer, share in delivered.items() if offer in arrived},
        started=started,
        started_or_restarting=started_or_restarting,
        reacted=start >= timeline.failure_at(start) + timeline.switch_off_minutes,
    )


def _delivered(timeline: Timeline, minute: float) -> dict[str, float]:
    """Share of each offer that is delivered, where not 1, as far as load balancers know of it."""
    since = minute - ceil(timeline.operations.failover_minutes)
    found: dict[str, float] = {}
    for interval in timeline.intervals:
        if interval.start_minute <= minute and since < interval.end_minute:
            for offer, share in interval.state.offer_share.items():
                found[offer] = min(found.get(offer, 1.0), share)
    return found


def _without(
    units: dict[str, frozenset[str]], restarting: Collection[tuple[str, str]]
) -> dict[str, frozenset[str]]:
    """Unit types by plant that are not restarting."""
    left = dict(units)
    for plant, unit in restarting:
        left[plant] -= {unit}
    return left


def _kept_once(units: dict[str, frozenset[str]]) -> dict[str, frozenset[str]]:
    """The same units as an object that stages share."""
    return _shared(tuple(units.items()))


@lru_cache(maxsize=10_000)
def _shared(units: tuple[tuple[str, frozenset[str]], ...]) -> dict[str, frozenset[str]]:
    return dict(units)


def _stage(variants: tuple[ReactionVariant, ...], index: int, time_slice: _Slice) -> Stage:
    """The stage in the first reaction variant, with groups of variants where they differ."""
    by_piece: list[tuple[_Piece, list[int]]] = []
    for variant, piece in zip(variants, time_slice.pieces, strict=True):
        known = [numbers for seen, numbers in by_piece if seen == piece]
        if known:
            known[0].append(variant.number)
        else:
            by_piece.append((piece, [variant.number]))
    first = variants[0]
    demand, down = _demand(first, time_slice)
    stages = [
        Stage(
            timeline=first.timeline,
            index=index,
            start_minute=time_slice.start,
            end_minute=time_slice.end,
            state=time_slice.interval.state,
            at_best=time_slice.interval.at_best,
            outage=time_slice.interval.outage,
            demand_rps=demand,
            down_rps=down,
            demand_minutes=time_slice.minutes,
            floors=piece.floors,
            floors_if_up=piece.floors_if_up,
            offers=piece.offers,
            delivered=piece.delivered,
            started=piece.started,
            started_or_restarting=piece.started_or_restarting,
            reacted=piece.reacted,
        )
        for piece, _ in by_piece
    ]
    if len(stages) == 1:
        return stages[0]
    numbered = [frozenset(numbers) for _, numbers in by_piece]
    return replace(stages[0], variants=tuple(zip(numbered, stages, strict=True)))


def _demand(variant: ReactionVariant, time_slice: _Slice) -> tuple[Asked, Asked]:
    """Demand by (zone, tier): of tiers that can be up, and of those down whatever is bought."""
    interval = time_slice.interval
    return _largest_demand(
        ModelKey(variant.model),
        variant.timeline.start_hour,
        time_slice.minutes,
        frozenset(interval.state.demand_factor.items()),
        interval.at_best.tiers_down,
    )


@lru_cache(maxsize=10_000)
def _largest_demand(
    key: ModelKey,
    start_hour: float,
    minutes: tuple[float, ...],
    factors: frozenset[tuple[str, float]],
    tiers_down: frozenset[str],
) -> tuple[Asked, Asked]:
    """Largest demand of some minutes: scenarios that begin at the same hour share it."""
    model, factor_of = key.model, dict(factors)
    largest = demand_at(model, start_hour, np.array(minutes)).max(axis=1)
    demand: dict[tuple[str, str], float] = {}
    down: dict[tuple[str, str], float] = {}
    for zone, peak in zip(model.zones, largest.tolist(), strict=True):
        for tier, entry in model.tiers.items():
            rps = peak * factor_of.get(zone, 1.0) * entry.share
            lost = tier in tiers_down
            demand[zone, tier] = 0.0 if lost else rps
            if lost and rps:
                down[zone, tier] = rps
    return demand, down
