"""The programme loosened until every plan that survives its simulation meets it.

Rows of the programme are stricter than simulation and standard in places. Loosened, it bounds the
cost of every plan that survives from below. Purchases, normal operation and prices stay as they
are. In stages,

- rows that are stricter than the standard (`families.STRICTER`) are left out;
- floors are asked for in one minute of the stage that is simulated, that of the largest demand in
  all, at the demand and the ambient of that minute, and up to the tolerance of the verdict; not
  after the loss of a feed that only a measure brings, which may start the standard anew;
- standby units carry load, and emergency capacity has arrived, as early as they could after the
  first event of the scenario: at once detected where a temperature may raise the alert.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

import numpy as np

from planner.infrastructure.entities import Model
from planner.infrastructure.fleet import plant_units
from planner.infrastructure.measures import capped, feed_hit
from planner.optimization.formulation.families import Family
from planner.optimization.formulation.problem import Key, ProblemData
from planner.optimization.formulation.relevance import cooling_matters
from planner.optimization.formulation.stages import Stage
from planner.optimization.formulation.time_slices import arrival_minute
from planner.scenarios.climate import ambient_at, excess_c
from planner.scenarios.demand import Floats, demand_at
from planner.scenarios.standard import ALL, TOLERANCE
from planner.scenarios.timeline import Timeline

#: Degrees to which the air is rounded down: fewer stages are programmes of their own.
STEP_C = 0.5


def loosened(
    data: ProblemData,
    known: ProblemData | None = None,
    watched: Callable[[Iterable[Stage]], Iterable[Stage]] = iter,
) -> ProblemData:
    """A problem that no plan violates that survives, and in which none costs more.

    Parameters
    ----------
    known
        An earlier one, loosened, whose stages are kept where the scenario is the same.
    watched
        Hands stages on one by one, and may end it.
    """
    before = known or replace(data, scenarios=(), cuts=None)
    loose = before.changed(data.scenarios, {**data.waived, **stricter_rows(data)})
    kept = {id(stage) for stage in before.stages}
    return loose.with_stages(
        tuple(one if id(one) in kept else _loosened(loose, one) for one in watched(loose.stages))
    )


def stricter_rows(data: ProblemData) -> dict[Key, float]:
    """All rows that are stricter than the standard, waived."""
    clusters = [(Family.RIDE_THROUGH, name) for name in data.model.clusters]
    return {
        (family, subject, scenario.name): math.inf
        for scenario in data.scenarios
        for family, subject in (*clusters, (Family.EMERGENCY_BUDGET, "budget"))
    }


def left_to_simulation(data: ProblemData, key: Key) -> bool:
    """Whether a row that has to go for there to be a plan at all is left to the simulation.

    Not that nothing throttles where the standard asks for full service before operators react: a
    hall that nothing cools is no plan then, even if others serve everything.
    """
    family, _, scenario = key
    if family != Family.RIDE_THROUGH:
        return True
    stages = data.stages_by_scenario.get(scenario, ())
    variants = (one for stage in stages for one in (stage, *(other for _, other in stage.variants)))
    return not any(_full_service(data.model, one) for one in variants if not one.reacted)


def _full_service(model: Model, stage: Stage) -> bool:
    floors = stage.floors or stage.floors_if_up
    tiers = [name for name, tier in model.tiers.items() if tier.share]
    return floors.get(ALL, 0.0) >= 1 or all(floors.get(tier, 0.0) >= 1 for tier in tiers)


def _loosened(data: ProblemData, stage: Stage, numbers: frozenset[int] = frozenset()) -> Stage:
    """A stage with what is asked in its minute of the largest demand.

    Parameters
    ----------
    numbers
        Reaction variants that the stage is of; none means all.
    """
    model, timeline = data.model, stage.timeline
    variants = tuple((numbers, _loosened(data, one, numbers)) for numbers, one in stage.variants)
    minutes = _simulated(model, stage)
    if not len(minutes) or _counts_anew(data, stage):
        return replace(stage, variants=variants, floors={}, floors_if_up={})
    factors = np.array([stage.state.demand_factor.get(zone, 1.0) for zone in model.zones])
    demand = demand_at(model, timeline.start_hour, minutes) * factors[:, None]
    busiest = int(demand.sum(axis=0).argmax())
    automatic, earliest = _earliest(data, timeline, numbers)
    started, either = _started(model, automatic, earliest, stage, float(minutes[busiest]))
    rps = {
        (zone, tier): float(amount) * entry.share
        for zone, amount in zip(model.zones, demand[:, busiest], strict=True)
        for tier, entry in model.tiers.items()
    }
    rises = _rises_c(data, stage, float(minutes[busiest]))
    return replace(
        stage,
        variants=variants,
        state=replace(stage.state, ambient_rise_c=rises),
        at_best=replace(stage.at_best, ambient_rise_c=rises),
        demand_rps={key: min(now, rps[key]) for key, now in stage.demand_rps.items()},
        down_rps={key: min(now, rps[key]) for key, now in stage.down_rps.items()},
        floors=_less(stage.floors),
        floors_if_up=_less(stage.floors_if_up),
        offers=_arrived(model, earliest, stage, float(minutes[busiest])),
        started=started,
        started_or_restarting=either,
    )


def _counts_anew(data: ProblemData, stage: Stage) -> bool:
    """Whether an optional feed was lost by a stage, after the standard has begun to count."""
    timeline, optional = stage.timeline, data.dependency_index.optional_feeds
    losses = [one.begins for one in timeline.events if feed_hit(one.event) in optional]
    return any(timeline.clock.start(minute) < minute <= stage.start_minute for minute in losses)


def _simulated(model: Model, stage: Stage) -> Floats:
    """Minutes of the simulation in a stage whose demand it speaks of, as near as can be."""
    end = min(math.ceil(stage.end_minute), round(model.simulation.horizon_minutes))
    inside = np.arange(math.ceil(stage.start_minute), end, dtype=float)
    if not len(inside):
        return inside
    wanted = np.array(stage.demand_minutes)
    return np.unique(inside[np.abs(inside[:, None] - wanted).argmin(axis=0)])


def _less(floors: Mapping[str, float]) -> dict[str, float]:
    return {name: max(0.0, least - TOLERANCE) for name, least in floors.items()}


def _rises_c(data: ProblemData, stage: Stage, minute: float) -> dict[str, float]:
    """Degrees from the design ambient to that of a minute, where heat is followed.

    No lower than where all units carry what they are rated at: so most minutes are alike.
    """
    model, timeline, found = data.model, stage.timeline, {}
    for region, entry in model.regions.items():
        if not any(cooling_matters(data, stage, name) for name in data.clusters_in(region)):
            continue
        planned, design = stage.state.ambient_rise_c.get(region, 0.0), entry.design_ambient_c
        kinds = (
            model.cooling_units[unit]
            for name, plant in model.plants.items()
            if plant.region == region
            for unit in plant_units(model, name)
        )
        rated = min((min(k.reference_ambient_c, k.cutout_ambient_c) for k in kinds), default=design)
        rise = planned + _less_hot_c(model, region, timeline, minute)
        rise = math.floor(max(rise, min(planned, rated - design)) / STEP_C) * STEP_C
        if rise:
            found[region] = rise
    return found


def _less_hot_c(model: Model, region: str, timeline: Timeline, minute: float) -> float:
    """Degrees, at most 0, from what a stage is planned for to the ambient of a minute of it."""
    ambient = ambient_at(model, region, timeline.start_hour, np.array([minute]))
    above = float(ambient[0]) - model.regions[region].design_ambient_c
    planned = next(
        excess_c(model, region, timeline.start_hour, one.start_minute, one.end_minute)
        for one in timeline.intervals
        if minute < one.end_minute or one is timeline.intervals[-1]
    )
    return min(0.0, above - planned)


def _earliest(
    data: ProblemData, timeline: Timeline, numbers: frozenset[int]
) -> tuple[frozenset[str], Timeline]:
    """The fastest reaction of some variants, and plants that some of them start automatically.

    At once detected where a temperature may raise the alarm.
    """
    reactions = data.reactions
    names = frozenset[str]().union(*(reactions[n] for n in numbers or range(len(reactions))))
    measures = [data.model.measures[name] for name in sorted(names)]
    operations = capped(timeline.operations, measures) if measures else timeline.operations
    if operations.detection_c is not None:
        operations = operations.replace(detection_minutes=0.0)
    automatic = frozenset(name for measure in measures for name in measure.automatic)
    return automatic, replace(timeline, operations=operations)


def _arrived(model: Model, timeline: Timeline, stage: Stage, minute: float) -> tuple[str, ...]:
    """Offers that may have arrived by a minute."""
    down, delivered = stage.state.offers_down, stage.state.offer_share
    early = (
        offer
        for offer in model.offers
        if arrival_minute(model, timeline, offer) <= minute
        and offer not in down
        and delivered.get(offer, 1.0)
    )
    return tuple(dict.fromkeys((*stage.offers, *early)))


def _started(
    model: Model, automatic: frozenset[str], timeline: Timeline, stage: Stage, minute: float
) -> tuple[dict[str, frozenset[str]], dict[str, frozenset[str]]]:
    """Units that may carry load by a minute after the first event; with those restarting."""
    first = min((timed.begins for timed in timeline.events), default=0.0)
    by_heat = timeline.operations.standby_start_c is not None
    reaction = 0.0 if by_heat else timeline.failure_at(first) + timeline.standby_minutes
    either: dict[str, frozenset[str]] = {}
    for name, known in stage.started_or_restarting.items():
        plant = model.plants[name]
        by_itself = plant.automatic or name in automatic
        begins = first if by_itself else max(first, reaction)
        early = [
            unit
            for unit in plant_units(model, name)
            if begins + max(1.0, model.cooling_units[unit].start_minutes) <= minute
            and (name, unit) not in stage.at_best.restarting
        ]
        either[name] = known.union(early)
    started = {
        name: frozenset(unit for unit in units if (name, unit) not in stage.state.restarting)
        for name, units in either.items()
    }
    return started, either
