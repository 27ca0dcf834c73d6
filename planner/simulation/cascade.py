"""The cascade: one-minute steps made of laws, all scenarios at once.

A step follows the causal chain of a postmortem: what is up, what cools, what is powered, which
capacity load balancers know of, where requests go, what queues, what heats up, what shuts itself
down, what comes back. `World` never changes, `State` carries over from minute to minute, `Minute`
holds what one minute computes, `History` records it.
"""

from __future__ import annotations

import numpy as np

from planner.infrastructure.entities import Model
from planner.infrastructure.failures import Scenario
from planner.infrastructure.fleet import Fleet
from planner.laws.heat import (
    buffer_step,
    carried_by_plant,
    clock_share,
    coolable_gpus,
    derated_share,
    heat_at_utilisation_mw,
    heat_mw,
    share_cooling,
    temperature_after,
)
from planner.laws.ratios import ratio
from planner.laws.traffic import serving_rps
from planner.scenarios.timeline import state_with
from planner.simulation.build import prepare
from planner.simulation.history import History
from planner.simulation.minute import Minute
from planner.simulation.restoration import await_reaction, fail_and_return, restored_share
from planner.simulation.state import State, frozen_room, initial_state
from planner.simulation.system_states import Floats, Ints, SystemStates
from planner.simulation.traffic import offered_load, serve
from planner.simulation.world import SECONDS, World

#: Heat short of cooling by less than this is rounding.
NEGLIGIBLE_MW = 1e-9


def simulate(
    model: Model,
    fleet: Fleet,
    scenarios: tuple[Scenario, ...],
    only: frozenset[str] | None = None,
) -> tuple[World, History]:
    """Simulate the cascade of every scenario on a fleet.

    Parameters
    ----------
    only
        Names of the records to keep; None keeps all.

    Returns
    -------
    World, History
        Static data with the meaning of the axes, and the record of every minute.
    """
    world = prepare(model, fleet, scenarios)
    return world, run(world, only)


def run(world: World, only: frozenset[str] | None = None, reuse: History | None = None) -> History:
    """Step a world through all its minutes, recording everything or only some records.

    Parameters
    ----------
    reuse
        Records that are not needed any more: their memory is written to again where it fits.
    """
    state = initial_state(world)
    history = History.empty(world, only, reuse)
    for minute in range(world.minutes):
        step(world, state, history, minute)
    history.order_minute = state.order_minute
    history.standby_since = state.standby_since
    return history


def step(world: World, state: State, history: History, number: int) -> None:
    """Advance all scenarios by one minute and record it."""
    now = Minute(world, number, _system(world, state, number), state.temperature_c)
    fail_and_return(world, state, now)
    now.unit_mw = _unit_mw(world, now)
    now.cooling_capacity_mw = _cooling_capacity(world, state, now)
    now.supplied_gpus, now.cooling_capacity_mw = _supplied(world, state, now)
    now.full_mw, now.powered_gpus = _powered(world, state, now)
    now.clock = clock_share(
        state.temperature_c, world.clusters.throttle_c, world.clusters.shutdown_c
    )
    now.capacity_rps = _capacity(world, state, now)
    now.known_capacity_rps = _known_capacity(world, state, now)
    serve(world, state, now)
    if history.keeps("wanted_rps"):
        now.wanted_rps = offered_load(world, now)
    _heat(world, state, now)
    _signal_standby(world, state, now)
    _protect(world, state, now)
    rented = now.load_rps[:, len(world.clusters.names) :] / world.offers.rps_per_gpu
    now.emergency_usd = rented @ world.offers.usd_per_gpu_minute
    now.off, now.phase, now.cold_mj = state.off, state.phase, state.cold_mj
    state.load_rps, state.powered_gpus, state.clock = now.load_rps, now.powered_gpus, now.clock
    history.record(now)


def _system(world: World, state: State, minute: int) -> SystemStates:
    """System state of each scenario, worked out anew on the graph where clusters shut down."""
    row: Ints = world.interval[minute]
    if not state.tripped.any() or not any(s.runs_on for s in world.model.services.values()):
        return state.system_states.at(row)
    lost = state.tripped & state.off
    row = row.copy()
    for scenario in np.flatnonzero(lost.any(axis=1)).tolist():
        names = frozenset(world.clusters.names[c] for c in np.flatnonzero(lost[scenario]))
        key = (int(row[scenario]), names)
        if key not in state.extra:
            timeline = world.timelines[scenario]
            without = state_with(world.model, world.graph, timeline, float(minute), names)
            state.extra[key] = len(state.system_states.tier_up)
            added = world.stacker.stack([without])
            # Only what hangs on them is lost: the clusters themselves may come back.
            added.cluster_up[0] = state.system_states.cluster_up[row[scenario]]
            state.system_states = state.system_states.and_also(added)
        row[scenario] = state.extra[key]
    return state.system_states.at(row)


def _unit_mw(world: World, now: Minute) -> Floats:
    """Capacity of surviving units by type at the moment's ambient, started or not, (S, U)."""
    units = world.units
    ambient = world.ambient_c[now.number % len(world.ambient_c)] + now.system.rise_c
    share = derated_share(
        ambient[:, units.region], units.reference_c, units.derating_per_c, units.cutout_c
    )
    capacity: Floats = now.system.units * (units.capacity_mw * share)
    return capacity


def _cooling_capacity(world: World, state: State, now: Minute) -> Floats:
    """Capacity of each plant: running units, and standby units that have started, (S, P)."""
    units = world.units
    started = now.number - state.standby_since >= units.start_minutes
    capacity: Floats = (now.unit_mw * (~units.standby | started)) @ world.plants.holds
    return capacity


def _supplied(world: World, state: State, now: Minute) -> tuple[Floats, Floats]:
    """GPUs that there is power for, (S, C), and what plants then carry at most, (S, P).

    Clusters under checks draw power. Where power is less than usual, loads that it does not carry
    go off at once. Where it is as usual, emergency cooling gets what is left of it until operators
    switch off GPUs in its favour.
    """
    clusters = world.clusters
    gpus = clusters.gpus * (~state.off | (state.checking > 0))
    supplied, capacity = gpus, now.cooling_capacity_mw
    places, reacted = now.system.power, now.reacted[:, None]
    for place in np.unique(places).tolist():
        supply = world.stacker.supplies[place]
        if supply.ample:
            continue
        if supplied is gpus:
            supplied, capacity = gpus.copy(), capacity.copy()
        here = places == place
        drawing = np.where(reacted, gpus, np.minimum(gpus, state.left_on))[here]
        full = heat_at_utilisation_mw(
            clusters.power_mw, clusters.static_share, drawing, clusters.utilisation
        )
        early, carried = ~reacted[here, 0], capacity[here]
        if early.any():
            carried[early] = supply.cooling_mw(full[early], carried[early])
        supplied[here] = drawing * supply.shares(full, carried)
        capacity[here] = carried
    return supplied, capacity


def _powered(world: World, state: State, now: Minute) -> tuple[Floats, Floats]:
    """Full heat of GPUs that are supplied, and those powered of them, both of shape (S, C).

    Cooling limits them once operators have reacted. Clusters under checks are powered but take no
    requests.
    """
    clusters, gpus = world.clusters, now.supplied_gpus
    full = heat_at_utilisation_mw(
        clusters.power_mw, clusters.static_share, gpus, clusters.utilisation
    )
    cooling = share_cooling(full, now.cooling_capacity_mw, world.plants.serves)
    coolable = coolable_gpus(
        gpus,
        clusters.power_mw,
        clusters.static_share,
        clusters.utilisation,
        # Cooling equal to the heat within rounding must not switch anything off.
        np.where(cooling >= full * (1 - 1e-12), np.inf, cooling),
    )
    reacted = now.reacted[:, None]
    # What operators have switched off stays off until they react to what fails next.
    powered = np.where(reacted, coolable, np.minimum(gpus, np.maximum(coolable, state.left_on)))
    state.left_on = np.where(reacted, powered, np.maximum(powered, state.left_on))
    return full, powered


def _capacity(world: World, state: State, now: Minute) -> Floats:
    """Requests per second that each target takes, (S, N)."""
    clusters, offers = world.clusters, world.offers
    restored = restored_share(world, state)
    most = serving_rps(now.powered_gpus, clusters.rps, clusters.utilisation)
    own = most * now.clock * restored * ~state.off
    _order(world, state, now.number)
    arrived = now.number - state.order_minute[:, None] >= offers.lead_minutes
    rented = offers.rps * arrived * now.system.offer_up
    return np.concatenate([own, rented], axis=1)


def _order(world: World, state: State, minute: int) -> None:
    """Operators order emergency capacity when they react to the failure that left too little."""
    failure = world.reaction.failure[max(minute - 1, 0)]
    due = np.minimum(state.order_due, failure + world.reaction.order)
    state.order_due = np.where(state.short, due, np.inf)
    ordering = np.isinf(state.order_minute) & (minute >= state.order_due)
    state.order_minute[ordering] = minute


def _known_capacity(world: World, state: State, now: Minute) -> Floats:
    """Capacity of targets that load balancers act on: that of some minutes ago, (S, N).

    GPUs that operators switch off for want of cooling are drained first, so those are known.
    """
    kept = len(state.known_capacity)
    state.known_capacity[now.number % kept] = now.capacity_rps
    then = (now.number - world.reaction.failover) % kept
    known: Floats = state.known_capacity[then, np.arange(len(then))]
    clusters = world.clusters
    left_on = heat_at_utilisation_mw(
        clusters.power_mw, clusters.static_share, now.powered_gpus, clusters.utilisation
    )
    most = serving_rps(now.powered_gpus, clusters.rps, clusters.utilisation)
    drained = np.where(left_on < now.full_mw * (1 - 1e-9), most, np.inf)
    own = np.minimum(known[:, : len(clusters.names)], drained)
    known = np.concatenate([own, known[:, len(clusters.names) :]], axis=1)
    failure = world.reaction.failure[now.number]
    early = (failure <= now.number) & (now.number < failure + world.reaction.reroute)
    if early.any():
        fails = early & (failure == now.number) & (now.number > 0)
        state.frozen[fails] = frozen_room(world, state.load_rps, state.known)[fails]
        known = np.where(early[:, None], state.frozen, known)
    state.known = known
    return known


def _heat(world: World, state: State, now: Minute) -> None:
    """Heat of the work done, what is carried of it, and the temperature one minute later."""
    clusters = world.clusters
    busy = now.load_rps[:, : len(clusters.names)] / clusters.rps
    now.heat_mw = heat_mw(clusters.power_mw, clusters.static_share, now.powered_gpus, busy)
    stored = (state.temperature_c - clusters.setpoint_c) * clusters.capacitance / SECONDS
    now.cooling_mw = share_cooling(
        now.heat_mw + stored, now.cooling_capacity_mw, world.plants.serves
    )
    if world.plants.buffer_mj.any():
        now.cooling_mw = now.cooling_mw + _from_tanks(world, state, now)
    state.temperature_c = temperature_after(
        state.temperature_c,
        now.heat_mw,
        now.cooling_mw,
        clusters.capacitance,
        clusters.setpoint_c,
        SECONDS,
    )


def _from_tanks(world: World, state: State, now: Minute) -> Floats:
    """Heat that tanks take up beyond what units carry; spare units cool them again, (S, C)."""
    serves, there = world.plants.serves, now.system.buffer_up
    usable = np.where(there, state.cold_mj, 0.0)
    short = np.maximum(now.heat_mw - now.cooling_mw, 0.0)
    wanted = carried_by_plant(short, usable / SECONDS, serves)
    used = carried_by_plant(now.cooling_mw, now.cooling_capacity_mw, serves).sum(axis=2)
    spare = np.maximum(now.cooling_capacity_mw - used, 0.0)
    covered, left = buffer_step(usable, wanted.sum(axis=2), spare, world.plants.buffer_mj, SECONDS)
    state.cold_mj = np.where(there, left, state.cold_mj)
    total = wanted.sum(axis=2, keepdims=True)
    part = ratio(covered[..., None], total, most=1.0)
    taken: Floats = (wanted * part).sum(axis=1)
    return taken


def _signal_standby(world: World, state: State, now: Minute) -> None:
    """Standby units get their start signal once running units have fallen short of the heat.

    They start by themselves or, where they need operators, when those react to the failure after
    which cooling fell short. Operators look at the full heat: they do not leave GPUs off that
    standby units could cool.
    """
    units, serves = world.units, world.plants.serves
    if not units.standby.any():
        return
    heat = now.heat_mw
    wanted = np.where(now.reacted[:, None], np.maximum(heat, now.full_mw), heat)
    running = (now.unit_mw * ~units.standby) @ world.plants.holds
    short = wanted - share_cooling(wanted, running, serves) > NEGLIGIBLE_MW
    state.cooling_short |= short @ serves.T
    due = np.minimum(state.start_due, now.reaction_due[:, None])
    state.start_due = np.where(state.cooling_short, due, np.inf)
    told = units.automatic | (now.number >= state.start_due[:, units.plant])
    signal = state.cooling_short[:, units.plant] & told & units.standby
    state.standby_since[signal & np.isinf(state.standby_since)] = now.number


def _protect(world: World, state: State, now: Minute) -> None:
    """Clusters at their shutdown temperature shut themselves down."""
    clusters = world.clusters
    # The clock reaches 0 only in the limit; within a thousandth of a degree counts as there.
    hot = (state.temperature_c >= clusters.shutdown_c - 1e-3) & (clusters.gpus > 0)
    state.checking[hot] = np.nan
    await_reaction(state, now, hot & ~state.off)
    state.off |= hot
    state.tripped |= hot
