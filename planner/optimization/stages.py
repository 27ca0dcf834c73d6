"""Stages: slices of a scenario within which the programme's recourse does not change."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

import numpy as np

from planner.infrastructure.entities import Model
from planner.infrastructure.fleet import plant_units
from planner.infrastructure.measures import feed_hit
from planner.scenarios.course import Condition, Course, Interval, Outage
from planner.scenarios.demand import Floats, largest_demand
from planner.scenarios.services import limited_services
from planner.scenarios.standard import ALL, Floor, floors, floors_at

#: Events that change cooling or power, after which standby units start.
COOLING_EVENTS = frozenset(
    {"units", "largest-units", "plant", "feed", "sag", "service", "heat", "cluster"}
)


@dataclass(frozen=True)
class Margin:
    """Extra requirement on a scenario whose simulation fell short of the programme's belief.

    Parameters
    ----------
    demand
        Demand to carry beyond the real one, as a share of it.
    heat
        Heat to remove beyond the real one, as a share of it.
    late_minutes
        Minutes by which emergency capacity and standby units count as arriving later.
    services
        Requests that services with limits have to let through beyond those served, as a share.
    spend
        Emergency spend to reckon with beyond that of the programme, as a share of it.
    """

    demand: float = 0.0
    heat: float = 0.0
    late_minutes: float = 0.0
    services: float = 0.0
    spend: float = 0.0


NO_MARGIN = Margin()

#: Ways of reacting (numbers of combinations of measures) with which something is so; True: with
#: all, False: with none.
When = bool | frozenset[int]


@dataclass(frozen=True)
class Reacting:
    """How a scenario is reacted to with some measures bought.

    Parameters
    ----------
    number
        Position among the combinations of measures that change the reaction.
    model
        Model in which the standby units that these measures start do so by themselves.
    course
        The scenario with the times of reaction that these measures bring down.
    """

    number: int
    model: Model
    course: Course

    @cached_property
    def units(self) -> dict[str, tuple[str, ...]]:
        """Unit types that a plant has or may get, by plant."""
        return {plant: plant_units(self.model, plant) for plant in self.model.plants}


@dataclass(frozen=True)
class Stage:
    """One slice of a scenario.

    Parameters
    ----------
    course
        Scenario it belongs to.
    index
        Position within the scenario.
    start_minute, end_minute
        Slice of time since the failure.
    condition
        What is up.
    demand_rps
        Largest demand within the slice by (zone, tier), margin included; 0 for tiers that are down.
    down_rps
        Demand of tiers that are down, by (zone, tier): lost whatever is bought.
    floors
        Least served fraction by tier or `all`.
    offers
        Offers whose capacity has arrived.
    started
        Unit types that carry load by plant: running or started, and not restarting.
    reacted
        Whether operators have acted: GPUs may be switched off to fit the cooling.
    at_best
        What is up with all measures bought; ``condition`` is with none.
    outage
        What has failed.
    floors_if_up
        Floors that hold only if no cluster is down, before load balancers have acted.
    standing
        Unit types that carry load by plant but for those restarting.
    variants
        The stage under other ways of reacting than the first, and the numbers of these.

    Notes
    -----
    The other fields describe the stage with no measure bought, but tiers that a measure keeps up
    have their demand.
    """

    course: Course
    index: int
    start_minute: float
    end_minute: float
    condition: Condition
    demand_rps: Mapping[tuple[str, str], float]
    down_rps: Mapping[tuple[str, str], float]
    floors: Mapping[str, float]
    offers: tuple[str, ...]
    started: Mapping[str, frozenset[str]]
    reacted: bool
    at_best: Condition
    outage: Outage
    floors_if_up: Mapping[str, float]
    standing: Mapping[str, frozenset[str]]
    variants: tuple[tuple[frozenset[int], Stage], ...] = ()

    def when(self, test: Callable[[Stage], bool]) -> When:
        """Ways of reacting with which the stage passes a test."""
        if not self.variants:
            return test(self)
        passed = [numbers for numbers, stage in self.variants if test(stage)]
        if len(passed) in (0, len(self.variants)):
            return bool(passed)
        return frozenset().union(*passed)

    @property
    def scenario(self) -> str:
        """Name of the scenario."""
        return self.course.scenario.name

    @cached_property
    def label(self) -> str:
        """Name of the stage within the programme."""
        return f"{self.scenario}.{self.index}"

    @cached_property
    def offers_at_best(self) -> tuple[str, ...]:
        """Offers whose capacity may have arrived, in some way of reacting."""
        stages = [self, *(one for _, one in self.variants)]
        return tuple(dict.fromkeys(offer for one in stages for offer in one.offers))

    @cached_property
    def plants_touched(self) -> frozenset[str]:
        """Plants that are down, have lost units or units that restart, with no measure bought."""
        one = self.condition
        largest = (plant for plant, count in one.lost_largest.items() if count)
        units = (plant for plant, _ in (*one.lost_units, *one.restarting))
        return one.plants_down.union(largest, units)

    @cached_property
    def asked_rps(self) -> Floats:
        """Demand by zone and tier, that of tiers that are down included, in the model's order."""
        lost = self.down_rps
        return np.array([rps + lost.get(key, 0.0) for key, rps in self.demand_rps.items()])

    @property
    def hours(self) -> float:
        """Length."""
        return (self.end_minute - self.start_minute) / 60

    def named_losses(self, plant: str, units: frozenset[str] | None = None) -> dict[str, int]:
        """Units of a plant that are lost by name, by unit type, among those that carry load."""
        carrying = self.started[plant] if units is None else units
        return {
            unit: count
            for (hit, unit), count in self.condition.lost_units.items()
            if hit == plant and unit in carrying
        }


def cut_stages(
    model: Model, course: Course, margin: Margin, ways: tuple[Reacting, ...] = ()
) -> tuple[Stage, ...]:
    """Cut a scenario into stages at lead times, start-up times, deadlines and repairs.

    Neighbouring slices in which nothing differs are one stage. Minutes before load balancers have
    acted on the failure carry no floors: no purchase changes them.

    Parameters
    ----------
    ways
        Ways of reacting; none means the one of the model.
    """
    ways = ways or (Reacting(0, model, course),)
    rules = floors(model, course.scenario.severity)
    slices: list[_Slice] = []
    for interval in course.intervals:
        found = [_cuts(way, interval, rules, margin) for way in ways]
        for start, end in pairwise(sorted(set().union(*found))):
            pieces = tuple(_piece(way, interval, (start, end), rules, margin) for way in ways)
            one = _Slice(start, end, interval, _state(model, interval.condition), pieces)
            if slices and slices[-1].same_as(one):
                one = replace(one, start=slices.pop().start)
            slices.append(one)
    return tuple(_stage(ways, i, one, margin) for i, one in enumerate(slices))


def cut_like(
    model: Model, course: Course, margin: Margin, stages: tuple[Stage, ...], normal: Condition
) -> tuple[Stage, ...]:
    """Stages of a scenario at the cuts of given ones, whatever else would be cut or merged.

    Where the scenario is over before the given stages are, the rest is normal operation.

    Raises
    ------
    ValueError
        If something changes within one of them.
    """
    rules = floors(model, course.scenario.severity)
    way = Reacting(0, model, course)
    result = []
    for stage in stages:
        inside = [
            one
            for one in course.intervals
            if one.start_minute < stage.end_minute and stage.start_minute < one.end_minute
        ]
        if stage.end_minute > course.end_minute:
            rest = Interval(course.end_minute, stage.end_minute, normal, normal, Outage())
            inside.append(rest)
        states = [_state(model, one.condition) for one in inside]
        if any(state != states[0] for state in states):
            raise ValueError(f"{stage.label} is cut too coarsely.")
        span = (stage.start_minute, stage.end_minute)
        piece = _piece(way, inside[0], span, rules, margin)
        one = _Slice(*span, inside[0], states[0], (piece,))
        result.append(_stage((way,), stage.index, one, margin))
    return tuple(result)


@dataclass(frozen=True)
class _Piece:
    """What one way of reacting makes of a slice."""

    floors: dict[str, float]
    floors_if_up: dict[str, float]
    offers: tuple[str, ...]
    started: dict[str, frozenset[str]]
    standing: dict[str, frozenset[str]]
    reacted: bool


@dataclass(frozen=True)
class _Slice:
    """A slice of time with what each way of reacting makes of it."""

    start: float
    end: float
    interval: Interval
    state: Condition
    pieces: tuple[_Piece, ...]

    def same_as(self, other: _Slice) -> bool:
        return self._content() == other._content()

    def _content(self) -> tuple[object, ...]:
        interval = self.interval
        certain = interval.condition == interval.at_best
        best = None if certain else (interval.at_best, interval.outage)
        return self.state, best, self.pieces


def _state(model: Model, condition: Condition) -> Condition:
    """A condition without what matters to the programme only through tiers and plants."""
    if limited_services(model):
        return condition
    return replace(condition, services_down=frozenset(), replicas_down={})


def _cuts(
    way: Reacting, interval: Interval, rules: tuple[Floor, ...], margin: Margin
) -> set[float]:
    model, course = way.model, way.course
    cuts = {interval.start_minute, interval.end_minute, course.reaction_minute}
    cuts.add(reroute_minute(course))
    cuts |= {rule.from_minute for rule in rules}
    cuts |= {arrival_minute(model, course, offer, margin) for offer in model.offers}
    for plant, units in way.units.items():
        for unit in units:
            cuts.add(start_minute(model, course, plant, unit, interval.start_minute, margin))
    return {cut for cut in cuts if interval.start_minute <= cut <= interval.end_minute}


def reroute_minute(course: Course) -> float:
    """Minute from which load balancers act on the first failure."""
    operations = course.operations
    return course.first_minute + max(
        operations.failover_minutes, operations.earliest_reroute_minutes
    )


def arrival_minute(model: Model, course: Course, offer: str, margin: Margin) -> float:
    """Minute from which an offer's instances serve."""
    return course.order_minute + model.offers[offer].lead_time_minutes + margin.late_minutes


def start_minute(
    model: Model, course: Course, plant: str, unit: str, minute: float, margin: Margin
) -> float:
    """Minute from which a unit type carries load, as seen at a minute; 0 for units that run."""
    entry, kind = model.plants[plant], model.cooling_units[unit]
    if entry.role == "primary" and kind.mode == "running":
        return 0.0
    hits = [e.at_minute for e in course.scenario.events if e.kind in COOLING_EVENTS]
    trigger = max((hit for hit in hits if hit <= minute), default=0.0)
    if not entry.automatic:
        trigger = max(trigger, course.reaction_minute)
    return trigger + kind.start_minutes + margin.late_minutes


def _piece(
    way: Reacting,
    interval: Interval,
    span: tuple[float, float],
    rules: tuple[Floor, ...],
    margin: Margin,
) -> _Piece:
    model, course = way.model, way.course
    start, condition = span[0], interval.condition
    settled = start >= reroute_minute(course) or not condition.clusters_down
    if_up = not settled and not interval.at_best.clusters_down
    arrived = tuple(
        offer
        for offer in model.offers
        if arrival_minute(model, course, offer, margin) <= start
        and offer not in condition.offers_down
    )
    standing = {
        plant: frozenset(
            unit
            for unit in units
            if start_minute(model, course, plant, unit, start, margin) <= start
            and (plant, unit) not in interval.at_best.restarting
        )
        for plant, units in way.units.items()
    }
    started = {
        plant: frozenset(one for one in units if (plant, one) not in condition.restarting)
        for plant, units in standing.items()
    }
    now = floors_at(rules, start)
    return _Piece(
        floors=now if settled else {},
        floors_if_up=now if if_up else {},
        offers=arrived,
        started=started,
        standing=standing,
        reacted=start >= course.reaction_minute,
    )


def _stage(ways: tuple[Reacting, ...], index: int, one: _Slice, margin: Margin) -> Stage:
    """The stage under the first way of reacting, with the others as variants where they differ."""
    by_piece: list[tuple[_Piece, list[int]]] = []
    for way, piece in zip(ways, one.pieces, strict=True):
        known = [numbers for other, numbers in by_piece if other == piece]
        if known:
            known[0].append(way.number)
        else:
            by_piece.append((piece, [way.number]))
    first = ways[0]
    demand, down = _demand(first, one, margin)
    stages = [
        Stage(
            course=first.course,
            index=index,
            start_minute=one.start,
            end_minute=one.end,
            condition=one.interval.condition,
            at_best=one.interval.at_best,
            outage=one.interval.outage,
            demand_rps=demand,
            down_rps=down,
            floors=piece.floors,
            floors_if_up=piece.floors_if_up,
            offers=piece.offers,
            started=piece.started,
            standing=piece.standing,
            reacted=piece.reacted,
        )
        for piece, _ in by_piece
    ]
    if len(stages) == 1:
        return stages[0]
    numbered = [frozenset(numbers) for _, numbers in by_piece]
    return replace(stages[0], variants=tuple(zip(numbered, stages, strict=True)))


def _demand(
    way: Reacting, one: _Slice, margin: Margin
) -> tuple[dict[tuple[str, str], float], dict[tuple[str, str], float]]:
    """Demand by (zone, tier): that can be served, and that of tiers that are down in any case."""
    model, interval = way.model, one.interval
    largest = largest_demand(model, way.course.start_hour, one.start, one.end)
    demand: dict[tuple[str, str], float] = {}
    down: dict[tuple[str, str], float] = {}
    for zone, peak in zip(model.zones, largest.tolist(), strict=True):
        factor = interval.condition.demand_factor.get(zone, 1.0)
        for tier, entry in model.tiers.items():
            rps = peak * factor * entry.share
            lost = tier in interval.at_best.tiers_down
            demand[zone, tier] = 0.0 if lost else rps * (1 + margin.demand)
            if lost and rps:
                down[zone, tier] = rps
    return demand, down


def cannot_bind(
    model: Model, course: Course, normal: Condition, margin: Margin, best: Condition | None = None
) -> bool:
    """Whether the rest of the programme already implies every requirement of a scenario.

    True where nothing differs from normal operation but offers, and where the only thing lost is at
    most ``redundancy`` largest units of primary plants at design ambient: normal operation serves
    all demand at the peak of the week, and the N+k constraint carries the full design heat. Both
    have to hold with no measure bought and with all of them.

    Parameters
    ----------
    normal, best
        Normal operation with no measure bought, and with all.
    """
    optional = {feed for measure in model.measures.values() for feed in measure.feeds}
    hit = {feed_hit(event) for event in course.scenario.events}
    if margin != NO_MARGIN or hit & optional:
        return False
    return all(
        _implied(model, one.condition, normal) and _implied(model, one.at_best, best or normal)
        for one in course.intervals
    )


def _implied(model: Model, condition: Condition, normal: Condition) -> bool:
    harmless = all(
        lost <= model.plants[plant].redundancy and model.plants[plant].role == "primary"
        for plant, lost in condition.lost_largest.items()
    )
    runs = all(
        model.cooling_units[unit].mode == "running"
        for plant in condition.lost_largest
        for unit in plant_units(model, plant)
    )
    rest = (
        condition.clusters_down,
        condition.plants_down,
        condition.tiers_down,
        condition.lost_units,
        condition.ambient_rise_c,
        condition.demand_factor,
        condition.power_mw,
        condition.restarting,
    )
    if limited_services(model) and (
        condition.services_down != normal.services_down
        or condition.replicas_down != normal.replicas_down
    ):
        return False
    return (
        harmless
        and runs
        and rest
        == (
            normal.clusters_down,
            normal.plants_down,
            normal.tiers_down,
            {},
            {},
            {},
            normal.power_mw,
            frozenset(),
        )
    )


__all__ = [
    "ALL",
    "NO_MARGIN",
    "Margin",
    "Reacting",
    "Stage",
    "When",
    "arrival_minute",
    "cannot_bind",
    "cut_like",
    "cut_stages",
]
