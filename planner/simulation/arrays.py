"""A world as the compiled cascade reads it, and room for the state of one scenario.

What belongs to an entity stands beside each other in a record: ``clusters[c].gpus``,
``clusters[c].temperature_c``. Axes as in `planner.simulation.world`; L power limits of all system
states, D minutes that load balancers are behind, A attempts of a request, the first included.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, NamedTuple

import numpy as np

from planner.files import package_table
from planner.laws.heat import cooled_clusters, with_loops
from planner.laws.traffic import Network, serving_rps
from planner.simulation.system_states import Bools, Floats, Ints, SystemStates
from planner.simulation.world import World

#: An array of records, one for each entity.
Records = Any

#: Fields of the state of a scenario beside those of `planner.simulation.world`, with their meaning.
#: Those that are carried over from minute to minute say so; all others are of the minute.
STATE = package_table("planner.simulation", "state.csv")
KINDS: Mapping[str, type] = {"float": float, "bool": bool, "int": int}


class Cooling(NamedTuple):
    """Plants and the heat that they carry.

    Parameters
    ----------
    heat_mw, capacity_mw
        Heat of clusters that is left to carry, shape (C,), and capacity of plants, shape (P,).
    first, cooled, carried_mw, rejects_to
        Those of `planner.laws.heat.carry_heat`.
    first_of, heat_of
        Clusters whose heat plants carry, those of loops for the chillers behind them, as ``first``
        and ``cooled``.
    part_mw, more_mw, cold_mw
        Room for parts of the capacity of plants, and for that of their tanks, shape (P,).
    """

    heat_mw: Floats
    capacity_mw: Floats
    first: Ints
    cooled: Ints
    carried_mw: Floats
    rejects_to: Ints
    first_of: Ints
    heat_of: Ints
    part_mw: Floats
    more_mw: Floats
    cold_mw: Floats


class Aside(NamedTuple):
    """Capacity that is set aside for tiers, and room for requests meanwhile.

    Parameters
    ----------
    allocation, shares
        Share of scarce capacity reserved for tiers, and granted to them, shape (K,).
    rest, sent, granted
        Requests to send later, and what became of the others, shape (Z, K).
    known_rps, capacity_rps, left_rps, load_rps
        Capacity of targets as known, as it is, what is left of it, and load, shape (N,).
    """

    allocation: Floats
    shares: Floats
    rest: Floats
    sent: Floats
    granted: Floats
    known_rps: Floats
    capacity_rps: Floats
    left_rps: Floats
    load_rps: Floats


class Phases(NamedTuple):
    """Phases of restoration (`planner.simulation.world.Restoration`) and what must hold between.

    Parameters
    ----------
    gates
        A record of `planner.infrastructure.operations.RestorationGates`, or none.
    """

    minutes: Floats
    shares: Floats
    admits: Bools
    gates: Records


class State(NamedTuple):
    """State of one scenario, with what never changes of each entity beside it.

    Parameters
    ----------
    clusters, plants, units, offers, tiers, services, zones, targets, requests, attempts, platform
        Records, shapes (C,), (P,), (U,), (V,), (K,), (X,), (Z,), (N,), (Z, K), (Z, K, A), (1,).
    left
        Whether work has left a cluster too hot for its tier, shape (K, C).
    recent_rps
        Capacity of targets in recent minutes, a minute at its remainder, shape (D + 1, N).
    weights
        Share of the requests of a tier that pass a service, shape (K, X).
    repeats
        Share of failed requests that is sent again, shape (K, A).
    rise_c, ambient_c
        Degrees above the usual ambient, and the ambient of the minute, shape (R,).
    """

    clusters: Records
    plants: Records
    units: Records
    offers: Records
    tiers: Records
    services: Records
    zones: Records
    targets: Records
    requests: Records
    attempts: Records
    platform: Records
    cooling: Cooling
    network: Network
    phases: Phases
    aside: Aside
    left: Bools
    recent_rps: Floats
    weights: Floats
    repeats: Floats
    rise_c: Floats
    ambient_c: Floats


class Course(NamedTuple):
    """What happens in all scenarios.

    Parameters
    ----------
    scenarios
        The platform as each begins, shape (S,).
    failures
        Minutes of the failures of each scenario, infinite where there are no more, (S, failures).
    interval, hour
        Row of the system states, shape (S, T), and of the next two, shape (S,).
    usual_rps, usual_c
        Those of the world.
    lost_row, lost_clusters, lost_state
        What is known of clusters that have shut themselves down: for a row of the system states,
        shape (E,), and the clusters lost, shape (E, C), the row to go by instead, shape (E,).
    depended_on
        Whether anything depends on clusters, so that such rows differ.
    """

    scenarios: Records
    failures: Floats
    interval: Ints
    hour: Ints
    usual_rps: Floats
    usual_c: Floats
    lost_row: Ints
    lost_clusters: Bools
    lost_state: Ints
    depended_on: bool


def records(shape: int | tuple[int, ...], of: Any = None, **kinds: type) -> Records:
    """Records of an entity: its one-dimensional arrays, by name or of a dataclass, and room."""
    columns: Mapping[str, Any] = {}
    if of is not None:
        columns = of if isinstance(of, dict) else {f.name: getattr(of, f.name) for f in fields(of)}
        columns = {k: v for k, v in columns.items() if isinstance(v, np.ndarray) and v.ndim == 1}
    types = [(name, values.dtype) for name, values in columns.items()]
    made = np.zeros(shape, np.dtype([*types, *((n, np.dtype(k)) for n, k in kinds.items())], True))
    for name, values in columns.items():
        made[name] = values
    return made.view(np.recarray)


def _fields(entity: str) -> dict[str, type]:
    return {row["field"]: KINDS[row["kind"]] for row in STATE if row["entity"] == entity}


def _with(made: Records, **values: Any) -> Records:
    """Records with some values."""
    for name, value in values.items():
        made[name] = value
    return made


def state_of(world: World) -> State:
    """The state in which scenarios begin, but for the platform: all is up at its set point."""
    tiers, _, zones = world.routes.order.shape
    clusters, services = len(world.clusters.names), world.services
    offers, targets, repeats = world.offers, world.routes.targets, world.tiers.retries.repeats
    behind = int(world.reaction.failover.max(initial=0))
    return State(
        clusters=_clusters(world),
        plants=_with(
            records(len(world.plants.names), world.plants, **_fields("plant")),
            cold_mj=world.plants.buffer_mj, start_due=np.inf,
        ),
        units=_with(
            records(len(world.units.names), world.units, **_fields("unit")),
            standby_since=np.inf, started=np.where(world.units.standby, 0.0, np.inf),
        ),
        offers=records(len(offers.names), offers, share=float),
        tiers=_tiers(world, tiers),
        services=_with(
            records(len(services.names), services, **_fields("service")), pool_rps=np.inf,
        ),
        zones=records(zones, **_fields("zone")),
        targets=_targets(world),
        requests=records((zones, tiers), **_fields("request")),
        attempts=records((zones, tiers, repeats.shape[1]), **_fields("attempt")),
        platform=_platforms(world)[:1].copy(),
        cooling=_cooling(world),
        network=Network.of(world.routes),
        phases=_phases(world),
        aside=Aside(
            world.tiers.allocation,
            np.zeros(tiers),
            *(np.zeros((zones, tiers)) for _ in range(3)),
            *(np.zeros(targets) for _ in range(4)),
        ),
        left=np.zeros((tiers, clusters), dtype=np.bool_),
        recent_rps=np.zeros((behind + 1, targets)),
        weights=np.zeros((tiers, len(services.names))),
        repeats=repeats,
        rise_c=np.zeros(len(world.model.regions)),
        ambient_c=np.zeros(len(world.model.regions)),
    )  # fmt: skip


def _clusters(world: World) -> Records:
    sites = world.clusters
    return _with(
        records(len(sites.names), sites, **_fields("cluster")),
        temperature_c=sites.setpoint_c, powered_gpus=sites.gpus, clock=1.0, restored=1.0,
        was_up=True, units_back=True, phase=len(world.restoration.minutes), checking=np.nan,
        left_on=np.inf, cool_minutes=-1.0,
    )  # fmt: skip


def _tiers(world: World, count: int) -> Records:
    tiers = world.tiers
    known = {
        name: getattr(tiers, name) for name in ("share", "thermal_limit_c", "yields", "cold_factor")
    }
    known["returning"] = tiers.retries.returning
    return records(count, known, **_fields("tier"))


def _targets(world: World) -> Records:
    """Where requests go, each with its usual capacity."""
    usual_rps, sites = np.zeros(world.routes.targets), world.clusters
    usual_rps[: len(sites.names)] = serving_rps(sites.gpus, sites.rps, sites.utilisation)
    return _with(
        records(len(usual_rps), **_fields("target")),
        capacity_rps=usual_rps, known_rps=usual_rps, frozen_rps=usual_rps,
    )  # fmt: skip


def _cooling(world: World) -> Cooling:
    plants = world.plants
    first, cooled = cooled_clusters(plants.serves)
    return Cooling(
        np.zeros(len(world.clusters.names)),
        np.zeros(len(plants.names)),
        first,
        cooled,
        np.zeros(len(cooled)),
        plants.rejects_to,
        *cooled_clusters(with_loops(plants.serves, plants.rejects_to)),
        *(np.zeros(len(plants.names)) for _ in range(3)),
    )


def _platforms(world: World) -> Records:
    """The platform as each scenario begins, shape (S,)."""
    return _with(
        records(len(world.timelines), world.reaction, **_fields("platform")),
        shedding=world.reaction.sheds, cold_now=1.0, most_rps=1.0, order_due=np.inf,
        order_minute=np.inf, failure=np.inf, hottest_c=-np.inf, alert=np.inf,
    )  # fmt: skip


def _phases(world: World) -> Phases:
    gates, phases = world.model.operations.gates, world.restoration
    names = ("p99_seconds", "error_share", "temperature_c", "queue_requests")
    kept = [] if gates is None else [gates]
    values = {name: np.array([float(getattr(gate, name)) for gate in kept]) for name in names}
    return Phases(phases.minutes, phases.shares, phases.admits, records(len(kept), values))


def course_of(world: World) -> Course:
    """What happens in a world in which no cluster has shut itself down."""
    none = np.zeros(0, dtype=np.int64)
    return Course(
        scenarios=_platforms(world),
        failures=world.reaction.failures,
        interval=np.ascontiguousarray(world.interval.T),
        hour=world.hour,
        usual_rps=world.usual_rps,
        usual_c=world.usual_c,
        lost_row=none,
        lost_clusters=np.zeros((0, len(world.clusters.names)), dtype=np.bool_),
        lost_state=none,
        depended_on=any(service.runs_on for service in world.model.services.values()),
    )


def with_lost_clusters(
    course: Course, states: SystemStates, lost_row: Ints, lost_clusters: Bools
) -> Course:
    """The course with system states to come of clusters that have shut themselves down.

    Parameters
    ----------
    states
        States so far; those to come stand after them.
    lost_row, lost_clusters
        Row that each comes in place of, shape (states,), and the clusters lost, (states, C).
    """
    rows = len(states.tier_up) + np.arange(len(lost_row), dtype=np.int64)
    return course._replace(
        lost_row=np.concatenate([course.lost_row, lost_row]),
        lost_clusters=np.concatenate([course.lost_clusters, lost_clusters]),
        lost_state=np.concatenate([course.lost_state, rows]),
    )
