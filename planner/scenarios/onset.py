"""What events do: which start the clock of the standard, which may leave too little capacity."""

from __future__ import annotations

import math

from planner.infrastructure.entities import Model
from planner.infrastructure.failures import (
    Event,
    Heat,
    LargestUnitsLoss,
    Sag,
    Supply,
    Surge,
    UnitLoss,
)
from planner.infrastructure.fleet import Fleet, plant_units, possible_units
from planner.infrastructure.graph import node
from planner.infrastructure.measures import feed_hit
from planner.scenarios.event_grid import Timed
from planner.scenarios.power import hit_units, node_losses, sag_hits
from planner.scenarios.services import limited_services
from planner.scenarios.standard import StandardClock
from planner.scenarios.system_state import DependencyIndex, SystemState


def clock_of(index: DependencyIndex, events: tuple[Timed, ...]) -> StandardClock:
    """The clock of the standard in a scenario.

    It is the same for every plan, so what is taken down is what a plan may have. The loss of a feed
    that only a measure brings counts where it comes first: later, the clock goes on where there is
    no such feed, and asks for more.
    """
    hits = [timed for timed in events if takes_down(index, events, timed)]
    down = {one.begins for one in hits if feed_hit(one.event) not in index.optional_feeds}
    others = [one for one in events if one in hits or worsens(index, one.event)]
    worse = min((one.begins for one in others), default=math.inf)
    first = {worse} if worse < min(down, default=math.inf) else set()
    return StandardClock(tuple(sorted(down | first or _harmless(events))))


def _harmless(events: tuple[Timed, ...]) -> set[float]:
    """First loss of a service that nothing needs, at least with some measures bought."""
    return set(sorted(timed.begins for timed in events if timed.event.kind == "service")[:1])


def takes_down(index: DependencyIndex, events: tuple[Timed, ...], timed: Timed) -> bool:
    """Whether an event takes down anything that earlier events have not taken down already."""
    event = timed.event
    if isinstance(event, Heat | Surge | Supply):
        return False
    if isinstance(event, LargestUnitsLoss) and event.planned:
        return False
    earlier = tuple(before for before in events if before.begins < timed.begins)
    failed = node_losses(index.model, earlier, timed.begins)
    if isinstance(event, Sag):
        hits = index.bearing & sag_hits(index, [event.feed], failed)
        hits -= index.depends_at_best.down_with(failed)
        return bool(hit_units(index, hits)) or any(
            index.places[hit][0] == "cluster" for hit in hits
        )
    if isinstance(event, UnitLoss):
        return event.unit in possible_units(index.model, event.plant) and _stands(
            index, node("plant", event.plant), failed
        )
    if isinstance(event, LargestUnitsLoss):
        return _stands(index, node("plant", event.plant), failed)
    return _stands(index, node(event.kind, event.name), failed)


def _stands(index: DependencyIndex, hit: str, failed: frozenset[str]) -> bool:
    """Whether a node supports anything and is not down already."""
    if hit not in index.bearing:
        return False
    return not failed or hit not in index.depends_at_best.down_with(failed)


def happens_to(index: DependencyIndex, fleet: Fleet, there: frozenset[str], event: Event) -> bool:
    """Whether an event hits anything that a fleet has; a surge always does.

    Parameters
    ----------
    there
        Nodes that support anything in the fleet (`DependencyIndex.bearing_of`).
    """
    if isinstance(event, Surge):
        return True
    if isinstance(event, Heat):
        plants = index.model.plants.items()
        here = (name for name, plant in plants if plant.region == event.region)
        return any(node("plant", name) in there for name in here)
    if isinstance(event, Supply):
        return any(node("offer", name) in there for name in offers_short(index.model, event))
    if isinstance(event, UnitLoss):
        return bool(fleet.units[event.plant].get(event.unit))
    if isinstance(event, LargestUnitsLoss):
        return node("plant", event.plant) in there
    hit = node("feed", event.feed) if isinstance(event, Sag) else node(event.kind, event.name)
    return hit in there


def worsens(index: DependencyIndex, event: Event) -> bool:
    """Whether a surge raises demand, the ambient at a plant is hotter, or capacity is short."""
    model = index.model
    if isinstance(event, Supply):
        short = (node("offer", name) for name in offers_short(model, event))
        return event.delivers < 1 and not index.bearing.isdisjoint(short)
    if isinstance(event, Surge):
        zones = event.zones or tuple(model.zones)
        return event.factor > 1 and any(model.zones[zone].demand_rps for zone in zones)
    if isinstance(event, Heat):
        hot = (name for name, plant in model.plants.items() if plant.region == event.region)
        return event.rise_c > 0 and any(node("plant", name) in index.bearing for name in hot)
    return False


def offers_short(model: Model, event: Supply) -> tuple[str, ...]:
    """Offers of which less is delivered during an event."""
    offers = model.offers.items()
    return tuple(n for n, o in offers if not event.providers or o.provider in event.providers)


def leaves_enough(model: Model, state: SystemState, normal: SystemState) -> bool:
    """Whether a system state leaves all that normal operation needs, whatever the plan.

    True where nothing differs from it but offers, and where the only thing lost is at most
    ``redundancy`` largest running units of primary plants at design ambient, which N+k covers.
    """
    harmless = all(
        lost <= model.plants[plant].redundancy and model.plants[plant].role == "primary"
        for plant, lost in state.lost_largest.items()
    )
    runs = all(
        model.cooling_units[unit].mode == "running"
        for plant in state.lost_largest
        for unit in plant_units(model, plant)
    )
    rest = (
        state.clusters_down,
        state.plants_down,
        state.tiers_down,
        state.lost_units,
        state.ambient_rise_c,
        state.demand_factor,
        state.power,
        state.restarting,
    )
    if limited_services(model) and (
        state.services_down != normal.services_down or state.replicas_down != normal.replicas_down
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
            normal.power,
            frozenset(),
        )
    )
