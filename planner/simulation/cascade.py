"""The cascade: one-minute steps made of laws, all scenarios at once.

A step reads like the chain of the postmortem: what is up, what cools, what is powered, what the
load balancers believe, where requests go, what queues, what heats, what switches itself off, what
comes back.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from planner.infrastructure.entities import Model
from planner.infrastructure.failures import Scenario
from planner.infrastructure.fleet import Fleet
from planner.infrastructure.graph import build_graph
from planner.laws.heat import (
    clock_share,
    coolable_gpus,
    heat_at_utilisation_mw,
    heat_mw,
    share_cooling,
    temperature_after,
)
from planner.laws.traffic import (
    NEGLIGIBLE_RPS,
    queue_step,
    restored_share,
    route,
    serving_rps,
)
from planner.scenarios.course import lay_out
from planner.simulation.world import Bools, Floats, World, build_world

SECONDS = 60.0
#: Heat short of cooling by less than this is rounding.
NEGLIGIBLE_MW = 1e-9


@dataclass
class State:
    """What changes from minute to minute; arrays have scenarios along their first axis.

    Attributes
    ----------
    temperature_c
        GPU temperature, shape (S, C).
    off
        Clusters without power by failure or by their own protection, shape (S, C).
    minutes_up
        Minutes since a cluster came back from checks, infinite if it was never off, shape (S, C).
    checking
        Minutes of checks passed by clusters being brought back, NaN otherwise, shape (S, C).
    cooling_short
        Whether running units have ever fallen short of the heat a plant serves, shape (S, P).
    standby_since
        Minute at which the start signal was given, infinite before it, shape (S, J).
    order_minute
        Minute at which emergency capacity was ordered, infinite before it, shape (S,).
    waiting
        Requests in the queue, shape (S,).
    short
        Whether requests found no room in the minute before, shape (S,).
    believed
        Capacity of targets in recent minutes, newest first, shape (delay + 1, S, N).
    """

    temperature_c: Floats
    off: Bools
    minutes_up: Floats
    checking: Floats
    cooling_short: Bools
    standby_since: Floats
    order_minute: Floats
    waiting: Floats
    short: Bools
    believed: Floats


@dataclass
class History:
    """Records of every minute; first axis minutes, second scenarios.

    Attributes
    ----------
    demand_rps, served_rps
        By tier, shape (T, S, K).
    temperature_c, clock, off, heat_mw, cooling_mw, powered_gpus
        By cluster, shape (T, S, C).
    load_rps, capacity_rps, believed_rps
        By target, shape (T, S, N); load balancers act on the believed capacity.
    cooling_capacity_mw
        By plant, standby units included once started, shape (T, S, P).
    waiting, queue_served, shed, dropped, abandoned
        Requests, shape (T, S).
    emergency_usd
        Spend, shape (T, S).
    order_minute, standby_since
        Final values of the state.
    """

    demand_rps: Floats
    served_rps: Floats
    temperature_c: Floats
    clock: Floats
    off: Bools
    heat_mw: Floats
    cooling_mw: Floats
    powered_gpus: Floats
    load_rps: Floats
    capacity_rps: Floats
    believed_rps: Floats
    cooling_capacity_mw: Floats
    waiting: Floats
    queue_served: Floats
    shed: Floats
    dropped: Floats
    abandoned: Floats
    emergency_usd: Floats
    order_minute: Floats = field(default_factory=lambda: np.empty(0))
    standby_since: Floats = field(default_factory=lambda: np.empty(0))


def simulate(model: Model, fleet: Fleet, scenarios: tuple[Scenario, ...]) -> tuple[World, History]:
    """Simulate the cascade of every scenario on a fleet.

    Returns
    -------
    World, History
        Static data with the meaning of the axes, and the record of every minute.
    """
    graph = build_graph(model)
    courses = tuple(lay_out(model, graph, scenario) for scenario in scenarios)
    world = build_world(model, graph, fleet, courses)
    state = initial_state(world)
    history = _empty_history(world)
    for minute in range(world.minutes):
        step(world, state, history, minute)
    history.order_minute = state.order_minute
    history.standby_since = state.standby_since
    return world, history


def initial_state(world: World) -> State:
    """State before the failure: everything up at its set point."""
    scenarios, clusters = len(world.courses), len(world.clusters.names)
    shape = (scenarios, clusters)
    delay = int(world.reaction.failover.max(initial=0))
    state = State(
        temperature_c=np.broadcast_to(world.clusters.setpoint_c, shape).copy(),
        off=np.zeros(shape, dtype=bool),
        minutes_up=np.full(shape, np.inf),
        checking=np.full(shape, np.nan),
        cooling_short=np.zeros((scenarios, len(world.serves)), dtype=bool),
        standby_since=np.full((scenarios, len(world.standby)), np.inf),
        order_minute=np.full(scenarios, np.inf),
        waiting=np.zeros(scenarios),
        short=np.zeros(scenarios, dtype=bool),
        believed=np.empty(0),
    )
    normal = serving_rps(world.clusters.gpus, world.clusters.rps, world.clusters.utilisation)
    everything = np.concatenate([normal, np.zeros(len(world.offers.names))])
    state.believed = np.broadcast_to(everything, (delay + 1, scenarios, len(everything))).copy()
    return state


def step(world: World, state: State, history: History, minute: int) -> None:
    """Advance all scenarios by one minute and record it."""
    interval = world.interval[minute]
    _fail_and_return(world, state, interval, minute)
    cooling_capacity = _cooling_capacity(world, state, interval, minute)
    full, powered = _powered(world, state, interval, cooling_capacity, minute)
    capacity = _capacity(world, state, interval, powered, minute)
    believed = _believed(world, state, capacity, full, powered)
    load, served = _serve(world, state, history, capacity, believed, minute)
    heat = _heat(world, state, history, powered, load, cooling_capacity, minute)
    _signal_standby(world, state, interval, heat, full, minute)
    _protect(world, state, history, minute)
    history.load_rps[minute] = load
    history.served_rps[minute] = served
    history.capacity_rps[minute] = capacity
    history.believed_rps[minute] = believed
    history.powered_gpus[minute] = powered
    history.cooling_capacity_mw[minute] = cooling_capacity


def _fail_and_return(world: World, state: State, interval: Floats, minute: int) -> None:
    """Clusters lose power with their region or feeds; cooled ones return through checks."""
    up = world.conditions.cluster_up[interval]
    state.off |= ~up
    state.checking[~up] = np.nan
    reacted = (minute >= world.reaction.reaction)[:, None]
    returning = state.off & up & reacted & (state.temperature_c <= world.clusters.restart_c)
    returning &= np.isnan(state.checking)
    state.checking[returning] = 0.0
    passed = state.checking >= world.reaction.restart_check[:, None]
    state.off[passed] = False
    state.minutes_up[passed] = 0.0
    state.checking[passed] = np.nan
    state.checking += 1.0


def _cooling_capacity(world: World, state: State, interval: Floats, minute: int) -> Floats:
    """Capacity of each plant: running units, and standby units that have started, (S, P)."""
    capacity: Floats = world.conditions.running_mw[interval].copy()
    standby = world.conditions.standby_mw[interval]
    for index, one in enumerate(world.standby):
        started = minute - state.standby_since[:, index] >= one.start_minutes
        capacity[:, one.plant] += np.where(started, standby[:, index], 0.0)
    return capacity


def _powered(
    world: World, state: State, interval: Floats, cooling_capacity: Floats, minute: int
) -> tuple[Floats, Floats]:
    """Full heat of what is not off, and the GPUs powered of it, both of shape (S, C).

    Power limits them at once, cooling once operators have reacted. Clusters under checks are
    powered but take no requests.
    """
    clusters = world.clusters
    on = ~state.off | (state.checking > 0)
    gpus = clusters.gpus * on * world.conditions.power_share[interval]
    full = heat_at_utilisation_mw(
        clusters.power_mw, clusters.static_share, gpus, clusters.utilisation
    )
    cooling = share_cooling(full, cooling_capacity, world.serves)
    coolable = coolable_gpus(
        gpus,
        clusters.power_mw,
        clusters.static_share,
        clusters.utilisation,
        # Cooling equal to the heat within rounding must not switch anything off.
        np.where(cooling >= full * (1 - 1e-12), np.inf, cooling),
    )
    reacted = (minute >= world.reaction.reaction)[:, None]
    return full, np.where(reacted, coolable, gpus)


def _capacity(world: World, state: State, interval: Floats, powered: Floats, minute: int) -> Floats:
    """Requests per second that each target takes, (S, N)."""
    clusters, offers = world.clusters, world.offers
    clock = clock_share(state.temperature_c, clusters.throttle_c, clusters.shutdown_c)
    restored = restored_share(state.minutes_up, world.phase_ends, world.phase_shares)
    own = serving_rps(powered, clusters.rps, clusters.utilisation) * clock * restored * ~state.off
    state.minutes_up += 1.0
    ordering = np.isinf(state.order_minute) & state.short & (minute >= world.reaction.order)
    state.order_minute[ordering] = minute
    arrived = minute - state.order_minute[:, None] >= offers.lead_minutes
    rented = offers.rps * arrived * world.conditions.offer_up[interval]
    return np.concatenate([own, rented], axis=1)


def _believed(
    world: World, state: State, capacity: Floats, full: Floats, powered: Floats
) -> Floats:
    """Capacity of targets that load balancers act on: that of some minutes ago, (S, N).

    GPUs that operators switch off for want of cooling are drained first, so those are known.
    """
    state.believed = np.roll(state.believed, 1, axis=0)
    state.believed[0] = capacity
    believed: Floats = state.believed[world.reaction.failover, np.arange(len(capacity))]
    clusters = world.clusters
    left_on = heat_at_utilisation_mw(
        clusters.power_mw, clusters.static_share, powered, clusters.utilisation
    )
    most = serving_rps(powered, clusters.rps, clusters.utilisation)
    known = np.where(left_on < full * (1 - 1e-9), most, np.inf)
    own = believed[:, : len(clusters.names)]
    return np.concatenate([np.minimum(own, known), believed[:, len(clusters.names) :]], axis=1)


def _serve(
    world: World,
    state: State,
    history: History,
    capacity: Floats,
    believed: Floats,
    minute: int,
) -> tuple[Floats, Floats]:
    """Route, admit, queue; return the load of targets (S, N) and requests served by tier (S, K).

    The load includes requests from the queue, which spread over the room that load balancers know
    of. They are too late to count as served.
    """
    demand = world.demand[minute]
    alive = demand * world.conditions.tier_up[world.interval[minute]][:, None, :]
    by_priority = minute >= world.reaction.shedding
    routing = route(alive, believed, world.routes, by_priority)
    fits = np.minimum(1.0, capacity / np.maximum(routing.load, NEGLIGIBLE_RPS))
    served = routing.served_at(fits, world.routes)
    load = np.minimum(routing.load, capacity)

    arrived = alive.sum(axis=(1, 2))
    refused = arrived - routing.load.sum(axis=1)
    misrouted = routing.load.sum(axis=1) - load.sum(axis=1)
    shed = np.where(by_priority, refused, 0.0) + (demand.sum(axis=(1, 2)) - arrived)
    joining = np.where(by_priority, 0.0, refused) + misrouted
    free = np.maximum(np.minimum(capacity, believed) - load, 0.0)
    room = free.sum(axis=1)
    queue = queue_step(
        state.waiting,
        np.maximum(joining, 0.0) * SECONDS,
        room * SECONDS,
        world.reaction.queue_limit,
        world.reaction.patience,
    )
    state.waiting = queue.waiting
    drained = queue.served / SECONDS / np.maximum(room, NEGLIGIBLE_RPS)
    load += free * drained[:, None]
    state.short = refused + misrouted > 1e-6 * np.maximum(arrived, 1.0)
    history.demand_rps[minute] = demand.sum(axis=1)
    history.waiting[minute] = queue.waiting
    history.queue_served[minute] = queue.served
    history.dropped[minute] = queue.dropped
    history.abandoned[minute] = queue.abandoned
    history.shed[minute] = np.maximum(shed, 0.0) * SECONDS
    rented = load[:, len(world.clusters.names) :] / world.offers.rps_per_gpu
    history.emergency_usd[minute] = rented @ world.offers.usd_per_gpu_minute
    return load, served.sum(axis=1)


def _heat(
    world: World,
    state: State,
    history: History,
    powered: Floats,
    load: Floats,
    cooling_capacity: Floats,
    minute: int,
) -> Floats:
    """Heat of the work done (returned), cooling, temperature one minute later."""
    clusters = world.clusters
    busy = load[:, : len(clusters.names)] / clusters.rps
    heat: Floats = heat_mw(clusters.power_mw, clusters.static_share, powered, busy)
    stored = (state.temperature_c - clusters.setpoint_c) * clusters.capacitance / SECONDS
    cooling = share_cooling(heat + stored, cooling_capacity, world.serves)
    history.temperature_c[minute] = state.temperature_c
    history.heat_mw[minute] = heat
    history.cooling_mw[minute] = cooling
    state.temperature_c = temperature_after(
        state.temperature_c, heat, cooling, clusters.capacitance, clusters.setpoint_c, SECONDS
    )
    return heat


def _signal_standby(
    world: World, state: State, interval: Floats, heat: Floats, full: Floats, minute: int
) -> None:
    """Standby units get their start signal once running units have fallen short of the heat.

    They start by themselves or, where they need operators, when those react. Operators look at the
    full heat: they do not leave GPUs off that standby units could cool.
    """
    if not world.standby:
        return
    reacted = minute >= world.reaction.reaction
    wanted = np.where(reacted[:, None], np.maximum(heat, full), heat)
    running = world.conditions.running_mw[interval] * world.primary
    short = wanted - share_cooling(wanted, running, world.serves) > NEGLIGIBLE_MW
    state.cooling_short |= short @ world.serves.T
    for index, one in enumerate(world.standby):
        signal = state.cooling_short[:, one.plant] & (reacted | one.automatic)
        since = state.standby_since[:, index]
        since[signal & np.isinf(since)] = minute


def _protect(world: World, state: State, history: History, minute: int) -> None:
    """Clusters at their shutdown temperature switch themselves off."""
    clusters = world.clusters
    history.clock[minute] = clock_share(
        history.temperature_c[minute], clusters.throttle_c, clusters.shutdown_c
    )
    # The clock reaches 0 only in the limit; within a thousandth of a degree counts as there.
    hot = (state.temperature_c >= clusters.shutdown_c - 1e-3) & (clusters.gpus > 0)
    state.checking[hot] = np.nan
    state.off |= hot
    history.off[minute] = state.off


def _empty_history(world: World) -> History:
    minutes, scenarios = world.minutes, len(world.courses)
    clusters, targets = len(world.clusters.names), world.routes.incidence.shape[3]

    def zeros(width: int | None = None) -> Floats:
        shape = (minutes, scenarios) if width is None else (minutes, scenarios, width)
        return np.zeros(shape)

    return History(
        demand_rps=zeros(len(world.tiers)),
        served_rps=zeros(len(world.tiers)),
        temperature_c=zeros(clusters),
        clock=zeros(clusters),
        off=np.zeros((minutes, scenarios, clusters), dtype=bool),
        heat_mw=zeros(clusters),
        cooling_mw=zeros(clusters),
        powered_gpus=zeros(clusters),
        load_rps=zeros(targets),
        capacity_rps=zeros(targets),
        believed_rps=zeros(targets),
        cooling_capacity_mw=zeros(len(world.serves)),
        waiting=zeros(),
        queue_served=zeros(),
        shed=zeros(),
        dropped=zeros(),
        abandoned=zeros(),
        emergency_usd=zeros(),
    )
