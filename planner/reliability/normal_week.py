"""Normal operation by hour of the week: what is wanted, served and heated when nothing fails.

The simulator's own first minute is taken, at each of the 168 hours, so there is no second law of
routing. A year is 8,760/168 such weeks: demand and ambient of the model are those of one week.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from planner.infrastructure.entities import Model
from planner.infrastructure.failures import OperationsOverride, Scenario, Surge
from planner.infrastructure.fleet import Fleet
from planner.laws.calendar import HOURS_PER_WEEK
from planner.laws.money import HOURS_PER_YEAR
from planner.simulation.cascade import simulate
from planner.simulation.system_states import Floats
from planner.simulation.world import World

#: Weeks of a year.
WEEKS_PER_YEAR = HOURS_PER_YEAR / HOURS_PER_WEEK
#: Records of the simulator that are kept.
KEPT = frozenset({"demand_rps", "served_rps", "load_rps", "heat_mw"})


@dataclass(frozen=True, eq=False)
class NormalHours:
    """A fleet in normal operation at each hour of the week (UTC, hour 0 is Monday midnight).

    Parameters
    ----------
    clusters, tiers, regions
        Names along the axes C, K (by priority) and R.
    demand_rps, served_rps
        Requests per second by tier, shape (168, K).
    load_rps
        Requests per second that clusters serve, shape (168, C).
    heat_mw
        Heat of clusters with all GPUs powered, shape (168, C).
    ambient_c
        Ambient temperature, shape (168, R).
    """

    clusters: tuple[str, ...]
    tiers: tuple[str, ...]
    regions: tuple[str, ...]
    demand_rps: Floats
    served_rps: Floats
    load_rps: Floats
    heat_mw: Floats
    ambient_c: Floats


def normal_hours(model: Model, fleet: Fleet) -> NormalHours:
    """Simulate a fleet, nothing failed, at each hour of the week.

    Requests go where load balancers usually send them. A fleet that cannot serve all serves what it
    can by priority; what is turned away neither waits nor comes back here. Cooling is taken to
    suffice (`cooling_adequacy` asks whether it does) and no emergency capacity is ordered.

    Returns
    -------
    NormalHours
        The hours of a week, measures of the fleet in place.
    """
    once = model.replace(simulation=model.simulation.replace(horizon_minutes=1.0))
    world, history = simulate(once, fleet, _calm_hours(), KEPT)
    names = world.clusters.names
    regions = tuple(model.regions)
    ambient = np.broadcast_to(world.usual_c[world.hour, 0], (HOURS_PER_WEEK, len(regions)))
    return NormalHours(
        clusters=names,
        tiers=world.tiers.names,
        regions=regions,
        demand_rps=history.demand_rps[0],
        served_rps=np.minimum(history.served_rps[0], _within_reach(world)),
        load_rps=history.load_rps[0, :, : len(names)],
        heat_mw=history.heat_mw[0],
        ambient_c=ambient.copy(),
    )


def requests_per_year(hours: NormalHours) -> float:
    """Requests served in a year of normal operation, all tiers together."""
    return float(hours.served_rps.sum()) * 3600.0 * WEEKS_PER_YEAR


def _within_reach(world: World) -> Floats:
    """Demand of zones that reach a target within the limit of the tier, shape (168, K)."""
    reached = world.routes.reach.any(axis=2) * world.tiers.share[:, None]
    within: Floats = world.usual_rps[world.hour, 0] @ reached.T
    return within


def _calm_hours() -> tuple[Scenario, ...]:
    """A surge of factor one at each hour of the week, to which nobody has to react."""
    calm = Scenario(
        name="normal",
        severity="single",
        frequency_per_year=0.0,
        events=(Surge(kind="surge", factor=1.0, repair_minutes=1.0),),
        operations=OperationsOverride(
            # Whoever sheds: nothing queues, and no operator switches GPUs off for want of cooling.
            priority_shedding="automatic",
            detection_minutes=60.0,
        ),
    )
    return tuple(calm.replace(start_hour=float(hour)) for hour in range(HOURS_PER_WEEK))
