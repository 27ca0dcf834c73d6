"""Stages: slices of a scenario within which the programme's recourse does not change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise

from planner.infrastructure.entities import Model
from planner.infrastructure.fleet import plant_units
from planner.scenarios.course import Condition, Course, Interval
from planner.scenarios.demand import largest_demand
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
    """

    demand: float = 0.0
    heat: float = 0.0
    late_minutes: float = 0.0


NO_MARGIN = Margin()


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

    @property
    def scenario(self) -> str:
        """Name of the scenario."""
        return self.course.scenario.name

    @property
    def label(self) -> str:
        """Name of the stage within the programme."""
        return f"{self.scenario}.{self.index}"

    @property
    def hours(self) -> float:
        """Length."""
        return (self.end_minute - self.start_minute) / 60

    def named_losses(self, plant: str) -> dict[str, int]:
        """Units of a plant that are lost by name, by unit type, among those that carry load."""
        return {
            unit: count
            for (hit, unit), count in self.condition.lost_units.items()
            if hit == plant and unit in self.started[plant]
        }


def cut_stages(model: Model, course: Course, margin: Margin) -> tuple[Stage, ...]:
    """Cut a scenario into stages at lead times, start-up times, deadlines and repairs.

    Neighbouring slices in which nothing differs are one stage. Minutes before load balancers have
    acted on the failure carry no floors: no purchase changes them.
    """
    rules = floors(model, course.scenario.severity)
    pieces: list[_Piece] = []
    for interval in course.intervals:
        cuts = sorted(_cuts(model, course, interval, rules, margin))
        for start, end in pairwise(cuts):
            piece = _piece(model, course, interval.condition, (start, end), rules, margin)
            if pieces and pieces[-1].same_as(piece):
                piece = pieces.pop().until(end)
            pieces.append(piece)
    return tuple(_stage(model, course, i, piece, margin) for i, piece in enumerate(pieces))


@dataclass(frozen=True)
class _Piece:
    start: float
    end: float
    condition: Condition
    floors: dict[str, float]
    offers: tuple[str, ...]
    started: dict[str, frozenset[str]]
    reacted: bool

    def same_as(self, other: _Piece) -> bool:
        return self._content() == other._content()

    def _content(self) -> tuple[object, ...]:
        # Services matter to the programme only through the tiers and plants that need them.
        condition = replace(self.condition, services_down=frozenset(), replicas_down={})
        return condition, self.floors, self.offers, self.started, self.reacted

    def until(self, end: float) -> _Piece:
        return _Piece(
            self.start, end, self.condition, self.floors, self.offers, self.started, self.reacted
        )


def _cuts(
    model: Model, course: Course, interval: Interval, rules: tuple[Floor, ...], margin: Margin
) -> set[float]:
    cuts = {interval.start_minute, interval.end_minute, course.reaction_minute}
    cuts.add(reroute_minute(course))
    cuts |= {rule.from_minute for rule in rules}
    cuts |= {arrival_minute(model, course, offer, margin) for offer in model.offers}
    for plant in model.plants:
        for unit in plant_units(model, plant):
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
    model: Model,
    course: Course,
    condition: Condition,
    span: tuple[float, float],
    rules: tuple[Floor, ...],
    margin: Margin,
) -> _Piece:
    start, end = span
    settled = start >= reroute_minute(course) or not condition.clusters_down
    arrived = tuple(
        offer
        for offer in model.offers
        if arrival_minute(model, course, offer, margin) <= start
        and offer not in condition.offers_down
    )
    started = {
        plant: frozenset(
            unit
            for unit in plant_units(model, plant)
            if start_minute(model, course, plant, unit, start, margin) <= start
            and (plant, unit) not in condition.restarting
        )
        for plant in model.plants
    }
    floors_now = floors_at(rules, start) if settled else {}
    reacted = start >= course.reaction_minute
    return _Piece(start, end, condition, floors_now, arrived, started, reacted)


def _stage(model: Model, course: Course, index: int, piece: _Piece, margin: Margin) -> Stage:
    largest = largest_demand(model, course.start_hour, piece.start, piece.end)
    demand: dict[tuple[str, str], float] = {}
    down: dict[tuple[str, str], float] = {}
    for zone, peak in zip(model.zones, largest.tolist(), strict=True):
        factor = piece.condition.demand_factor.get(zone, 1.0)
        for tier, entry in model.tiers.items():
            rps = peak * factor * entry.share
            lost = tier in piece.condition.tiers_down
            demand[zone, tier] = 0.0 if lost else rps * (1 + margin.demand)
            if lost and rps:
                down[zone, tier] = rps
    return Stage(
        course=course,
        index=index,
        start_minute=piece.start,
        end_minute=piece.end,
        condition=piece.condition,
        demand_rps=demand,
        down_rps=down,
        floors=piece.floors,
        offers=piece.offers,
        started=piece.started,
        reacted=piece.reacted,
    )


def cannot_bind(model: Model, course: Course, normal: Condition, margin: Margin) -> bool:
    """Whether the rest of the programme already implies every requirement of a scenario.

    True where nothing differs from normal operation but offers, and where the only thing lost is at
    most ``redundancy`` largest units of primary plants at design ambient: normal operation serves
    all demand at the peak of the week, and the N+k constraint carries the full design heat.
    """
    if margin != NO_MARGIN:
        return False
    return all(_implied(model, one.condition, normal) for one in course.intervals)


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


__all__ = ["ALL", "NO_MARGIN", "Margin", "Stage", "arrival_minute", "cannot_bind", "cut_stages"]
