"""The cascade: one-minute steps made of laws, all scenarios at once.

A step reads like the chain of the postmortem: what is up, what cools, what is powered, what the
load balancers believe, where requests go, what queues, what heats, what switches itself off, what
comes back.
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
from planner.simulation.conditions import Floats, Ints
from planner.simulation.restoration import await_reaction, fail_and_return, restored_share
from planner.simulation.state import History, State, frozen_room, initial_state
from planner.simulation.traffic import serve
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


def step(world: World, state: State, history: History, minute: int) -> None:
    """Advance all scenarios by one minute and record it."""
    row = _conditions(world, state, minute)
    fail_and_return(world, state, state.conditions.cluster_up[row], minute)
    each_unit = _unit_mw(world, state, row, minute)
    cooling_capacity = _cooling_capacity(world, state, each_unit, minute)
    on = world.clusters.gpus * (~state.off | (state.checking > 0))
    supplied, cooling_capacity = _supplied(world, state, row, on, cooling_capacity, minute)
    full, powered = _powered(world, state, supplied, cooling_capacity, minute)
    clock = clock_share(state.temperature_c, world.clusters.throttle_c, world.clusters.shutdown_c)
    capacity = _capacity(world, state, row, powered, clock, minute)
    known_capacity = _known_capacity(world, state, capacity, full, powered, minute)
    load = serve(world, state, history, row, capacity, known_capacity, minute)
    heat = _heat(world, state, history, row, powered, load, cooling_capacity, minute)
    _signal_standby(world, state, each_unit, heat, full, minute)
    _protect(world, state, history, minute)
    state.load_rps, state.powered_gpus, state.clock = load, powered, clock
    rented = load[:, len(world.clusters.names) :] / world.offers.rps_per_gpu
    for name, values in {
        "clock": clock,
        "emergency_usd": rented @ world.offers.usd_per_gpu_minute,
        "load_rps": load,
        "capacity_rps": capacity,
        "known_capacity_rps": known_capacity,
        "powered_gpus": powered,
        "cooling_capacity_mw": cooling_capacity,
        "cold_mj": state.cold_mj,
        "phase": state.phase,
    }.items():
        history.record(name, minute, values)


def _conditions(world: World, state: State, minute: int) -> Ints:
    """Condition of each scenario, worked out anew on the graph where clusters shut down, (S,)."""
    row: Ints = world.interval[minute]
    if not state.tripped.any() or not any(s.runs_on for s in world.model.services.values()):
        return row
    lost = state.tripped & state.off
    row = row.copy()
    for scenario in np.flatnonzero(lost.any(axis=1)).tolist():
        names = frozenset(world.clusters.names[c] for c in np.flatnonzero(lost[scenario]))
        key = (int(row[scenario]), names)
        if key not in state.extra:
            timeline = world.timelines[scenario]
            condition = state_with(world.model, world.graph, timeline, float(minute), names)
            state.extra[key] = len(state.conditions.tier_up)
            added = world.stacker.stack([condition])
            # Only what hangs on them is lost: the clusters themselves may come back.
            added.cluster_up[0] = state.conditions.cluster_up[row[scenario]]
            state.conditions = state.conditions.and_also(added)
        row[scenario] = state.extra[key]
    return row


def _unit_mw(world: World, state: State, row: Ints, minute: int) -> Floats:
    """Capacity of surviving units by type at the moment's ambient, started or not, (S, U)."""
    units = world.units
    ambient = world.ambient_c[minute % len(world.ambient_c)] + state.conditions.rise_c[row]
    share = derated_share(
        ambient[:, units.region], units.reference_c, units.derating_per_c, units.cutout_c
    )
    capacity: Floats = state.conditions.units[row] * (units.capacity_mw * share)
    return capacity


def _cooling_capacity(world: World, state: State, each_unit: Floats, minute: int) -> Floats:
    """Capacity of each plant: running units, and standby units that have started, (S, P)."""
    units = world.units
    started = minute - state.standby_since >= units.start_minutes
    capacity: Floats = (each_unit * (~units.standby | started)) @ world.plants.holds
    return capacity


def _supplied(
    world: World, state: State, row: Ints, gpus: Floats, cooling_capacity: Floats, minute: int
) -> tuple[Floats, Floats]:
    """GPUs that there is power for, (S, C), and what plants then carry at most, (S, P).

    Where power is less than usual, loads that it does not carry go off at once. Where it is as
    usual, emergency cooling gets what is left of it until operators switch off GPUs in its favour.
    """
    clusters, supplied, capacity = world.clusters, gpus, cooling_capacity
    places, reacted = state.conditions.power[row], world.reaction.reacted(minute)[:, None]
    for place in np.unique(places).tolist():
        supply = world.stacker.supplies[place]
        if supply.ample:
            continue
        if supplied is gpus:
            supplied, capacity = gpus.copy(), cooling_capacity.copy()
        some = places == place
        now = np.where(reacted, gpus, np.minimum(gpus, state.left_on))[some]
        full = heat_at_utilisation_mw(
            clusters.power_mw, clusters.static_share, now, clusters.utilisation
        )
        early, carried = ~reacted[some, 0], capacity[some]
        if early.any():
            carried[early] = supply.cooling_mw(full[early], carried[early])
        supplied[some] = now * supply.shares(full, carried)
        capacity[some] = carried
    return supplied, capacity


def _powered(
    world: World, state: State, gpus: Floats, cooling_capacity: Floats, minute: int
) -> tuple[Floats, Floats]:
    """Full heat of GPUs that are supplied, and those powered of them, both of shape (S, C).

    Cooling limits them once operators have reacted. Clusters under checks are powered but take no
    requests.
    """
    clusters = world.clusters
    full = heat_at_utilisation_mw(
        clusters.power_mw, clusters.static_share, gpus, clusters.utilisation
    )
    cooling = share_cooling(full, cooling_capacity, world.plants.serves)
    coolable = coolable_gpus(
        gpus,
        clusters.power_mw,
        clusters.static_share,
        clusters.utilisation,
        # Cooling equal to the heat within rounding must not switch anything off.
        np.where(cooling >= full * (1 - 1e-12), np.inf, cooling),
    )
    reacted = world.reaction.reacted(minute)[:, None]
    # What operators have switched off stays off until they react to what fails next.
    powered = np.where(reacted, coolable, np.minimum(gpus, np.maximum(coolable, state.left_on)))
    state.left_on = np.where(reacted, powered, np.maximum(powered, state.left_on))
    return full, powered


def _capacity(
    world: World, state: State, row: Ints, powered: Floats, clock: Floats, minute: int
) -> Floats:
    """Requests per second that each target takes, (S, N)."""
    clusters, offers = world.clusters, world.offers
    restored = restored_share(world, state)
    own = serving_rps(powered, clusters.rps, clusters.utilisation) * clock * restored * ~state.off
    _order(world, state, minute)
    arrived = minute - state.order_minute[:, None] >= offers.lead_minutes
    rented = offers.rps * arrived * state.conditions.offer_up[row]
    return np.concatenate([own, rented], axis=1)


def _order(world: World, state: State, minute: int) -> None:
    """Operators order emergency capacity when they react to the failure that left too little."""
    failure = world.reaction.failure[max(minute - 1, 0)]
    due = np.minimum(state.order_due, failure + world.reaction.order)
    state.order_due = np.where(state.short, due, np.inf)
    ordering = np.isinf(state.order_minute) & (minute >= state.order_due)
    state.order_minute[ordering] = minute


def _known_capacity(
    world: World, state: State, capacity: Floats, full: Floats, powered: Floats, minute: int
) -> Floats:
    """Capacity of targets that load balancers act on: that of some minutes ago, (S, N).

    GPUs that operators switch off for want of cooling are drained first, so those are known.
    """
    kept = len(state.known_capacity)
    state.known_capacity[minute % kept] = capacity
    then = (minute - world.reaction.failover) % kept
    known_capacity: Floats = state.known_capacity[then, np.arange(len(capacity))]
    clusters = world.clusters
    left_on = heat_at_utilisation_mw(
        clusters.power_mw, clusters.static_share, powered, clusters.utilisation
    )
    most = serving_rps(powered, clusters.rps, clusters.utilisation)
    known = np.where(left_on < full * (1 - 1e-9), most, np.inf)
    own = known_capacity[:, : len(clusters.names)]
    acted_on = np.concatenate(
        [np.minimum(own, known), known_capacity[:, len(clusters.names) :]], axis=1
    )
    failure = world.reaction.failure[minute]
    early = (failure <= minute) & (minute < failure + world.reaction.reroute)
    if early.any():
        fails = early & (failure == minute) & (minute > 0)
        state.frozen[fails] = frozen_room(world, state.load_rps, state.known)[fails]
        acted_on = np.where(early[:, None], state.frozen, acted_on)
    state.known = acted_on
    return acted_on


def _heat(
    world: World,
    state: State,
    history: History,
    row: Ints,
    powered: Floats,
    load: Floats,
    cooling_capacity: Floats,
    minute: int,
) -> Floats:
    """Heat of the work done (returned), cooling, temperature one minute later."""
    clusters, serves = world.clusters, world.plants.serves
    busy = load[:, : len(clusters.names)] / clusters.rps
    heat: Floats = heat_mw(clusters.power_mw, clusters.static_share, powered, busy)
    stored = (state.temperature_c - clusters.setpoint_c) * clusters.capacitance / SECONDS
    cooling = share_cooling(heat + stored, cooling_capacity, serves)
    if world.plants.buffer_mj.any():
        cooling = cooling + _from_tanks(world, state, row, heat, cooling, cooling_capacity)
    history.record("temperature_c", minute, state.temperature_c)
    history.record("heat_mw", minute, heat)
    history.record("cooling_mw", minute, cooling)
    state.temperature_c = temperature_after(
        state.temperature_c, heat, cooling, clusters.capacitance, clusters.setpoint_c, SECONDS
    )
    return heat


def _from_tanks(
    world: World,
    state: State,
    row: Ints,
    heat: Floats,
    cooling: Floats,
    cooling_capacity: Floats,
) -> Floats:
    """Heat that tanks take up beyond what units carry; spare units cool them again, (S, C)."""
    serves, size = world.plants.serves, world.plants.buffer_mj
    usable = np.where(state.conditions.buffer_up[row], state.cold_mj, 0.0)
    short = np.maximum(heat - cooling, 0.0)
    wanted = carried_by_plant(short, usable / SECONDS, serves)
    used = carried_by_plant(cooling, cooling_capacity, serves).sum(axis=2)
    spare = np.maximum(cooling_capacity - used, 0.0)
    covered, left = buffer_step(usable, wanted.sum(axis=2), spare, size, SECONDS)
    state.cold_mj = np.where(state.conditions.buffer_up[row], left, state.cold_mj)
    total = wanted.sum(axis=2, keepdims=True)
    part = ratio(covered[..., None], total, most=1.0)
    taken: Floats = (wanted * part).sum(axis=1)
    return taken


def _signal_standby(
    world: World, state: State, each_unit: Floats, heat: Floats, full: Floats, minute: int
) -> None:
    """Standby units get their start signal once running units have fallen short of the heat.

    They start by themselves or, where they need operators, when those react to the failure after
    which cooling fell short. Operators look at the
    full heat: they do not leave GPUs off that standby units could cool.
    """
    units, serves = world.units, world.plants.serves
    if not units.standby.any():
        return
    wanted = np.where(world.reaction.reacted(minute)[:, None], np.maximum(heat, full), heat)
    running = (each_unit * ~units.standby) @ world.plants.holds
    short = wanted - share_cooling(wanted, running, serves) > NEGLIGIBLE_MW
    state.cooling_short |= short @ serves.T
    due = world.reaction.failure[minute] + world.reaction.reaction
    due = np.minimum(state.start_due, due[:, None])
    state.start_due = np.where(state.cooling_short, due, np.inf)
    told = units.automatic | (minute >= state.start_due[:, units.plant])
    signal = state.cooling_short[:, units.plant] & told & units.standby
    state.standby_since[signal & np.isinf(state.standby_since)] = minute


def _protect(world: World, state: State, history: History, minute: int) -> None:
    """Clusters at their shutdown temperature switch themselves off."""
    clusters = world.clusters
    # The clock reaches 0 only in the limit; within a thousandth of a degree counts as there.
    hot = (state.temperature_c >= clusters.shutdown_c - 1e-3) & (clusters.gpus > 0)
    state.checking[hot] = np.nan
    await_reaction(world, state, hot & ~state.off, minute)
    state.off |= hot
    state.tripped |= hot
    history.record("off", minute, state.off)
