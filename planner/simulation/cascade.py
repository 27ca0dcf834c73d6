"""The cascade: one-minute steps made of laws, compiled, one scenario after the other.

A step follows the causal chain of a postmortem: what is up, what cools, what is powered, which
capacity load balancers know of, where requests go, what queues, what heats up, what shuts itself
down, what comes back. `World` never changes, `State` is that of one scenario, `History` records
every minute.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from planner.infrastructure.entities import Model
from planner.infrastructure.failures import Scenario
from planner.infrastructure.fleet import Fleet
from planner.laws.compiling import compilable, compiled
from planner.scenarios.timeline import state_with
from planner.simulation.arrays import (
    Course,
    Limits,
    Records,
    State,
    course_of,
    limits_of,
    state_of,
    with_lost_clusters,
)
from planner.simulation.build import prepare
from planner.simulation.dispatch import learn_capacity, provide_capacity
from planner.simulation.history import History, Places
from planner.simulation.machines import cool, heat_up, power, protect, signal_standby, supply
from planner.simulation.recording import record_machines, record_platform, record_requests
from planner.simulation.restoration import admit, fail_and_return, restore
from planner.simulation.state import enter, last_failure, row_of, set_demand, start
from planner.simulation.system_states import Bools, Floats, Ints, SystemStates
from planner.simulation.traffic import offer_load, serve
from planner.simulation.world import World


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

    A scenario in which clusters shut themselves down that others depend on stops there: what then
    is up is worked out on the graph, and it starts again.

    Parameters
    ----------
    reuse
        Records that are not needed any more: their memory is written to again where it fits.
    """
    history = History.empty(world, only, reuse)
    state, course, states = state_of(world), course_of(world), world.system_states
    left = np.arange(len(world.timelines))
    outcome = Outcome(
        history.rows,
        history.off.transpose(1, 0, 2),
        history.phase.transpose(1, 0, 2),
        history.order_minute,
        history.standby_since,
        np.full(len(left), -1),
        np.zeros((len(left), len(world.clusters.names)), dtype=np.bool_),
    )
    while len(left):
        limits = limits_of(world)
        compiled(simulate_scenarios)(state, course, states, limits, left, outcome, history.places)
        left = left[outcome.stopped[left] >= 0]
        if len(left):
            rows = course.interval[left, outcome.stopped[left]]
            course = with_lost_clusters(course, states, rows, outcome.lost[left])
            added = _without_lost_clusters(world, left, outcome)
            # Only what hangs on them is lost: the clusters themselves may come back.
            states = states.and_also(added._replace(cluster_up=states.cluster_up[rows]))
    return history


class Outcome(NamedTuple):
    """What a simulation writes to, scenarios first.

    Parameters
    ----------
    rows, off, phase, order_minute, standby_since
        Those of `planner.simulation.history.History`.
    stopped, lost
        Minute at which a scenario needs a system state that is not there, −1 where none is missing,
        shape (S,), and the clusters that have shut themselves down, shape (S, C).
    """

    rows: Floats
    off: Bools
    phase: Ints
    order_minute: Floats
    standby_since: Floats
    stopped: Ints
    lost: Bools


def _without_lost_clusters(world: World, scenarios: Ints, outcome: Outcome) -> SystemStates:
    """The system states that scenarios have stopped for."""
    states = []
    for s in scenarios.tolist():
        names = frozenset(world.clusters.names[c] for c in np.flatnonzero(outcome.lost[s]))
        timeline, minute = world.timelines[s], float(outcome.stopped[s])
        states.append(state_with(world.model, world.graph, timeline, minute, names))
    return world.stacker.stack(states)


def simulate_scenarios(
    state: State,
    course: Course,
    states: SystemStates,
    limits: Limits,
    scenarios: Ints,
    outcome: Outcome,
    places: Places,
) -> None:
    """Simulate scenarios one after the other (compiled)."""
    for s in scenarios:
        start(state, course, states, s)
        outcome.stopped[s], entered = -1, -1
        for minute in range(course.interval.shape[1]):
            row = row_of(course, state.clusters, s, minute, outcome.lost[s])
            if row < 0:
                outcome.stopped[s] = minute
                break
            if row != entered:
                enter(state, states, row)
                entered = row
            hour = course.hour[s]
            set_demand(state.zones, course.usual_rps[hour, minute], states.demand_factor[row])
            _react(state.platform, course.failures[s], minute)
            step(state, limits, course.usual_c[hour, minute], states.power[row], minute)
            _record(state, outcome, places, s, minute)
        outcome.order_minute[s] = state.platform[0].order_minute
        for u in range(len(state.units)):
            outcome.standby_since[s, u] = state.units[u].standby_since


@compilable
def _react(platform: Records, failures: Floats, minute: int) -> None:
    """Which failure there is to react to, and whether operators have."""
    now = platform[0]
    now.failure = last_failure(failures, minute)
    now.failure_before = last_failure(failures, max(minute - 1, 0))
    now.reaction_due = now.failure + now.reaction
    now.reacted = minute >= now.reaction_due


@compilable
def step(state: State, limits: Limits, usual_c: Floats, place: int, minute: int) -> None:
    """Advance a scenario by one minute."""
    clusters, plants, units, platform = state.clusters, state.plants, state.units, state.platform
    targets, cooling, phases = state.targets, state.cooling, state.phases
    fail_and_return(clusters, platform, minute)
    restore(clusters, targets, state.requests, state.attempts, platform, phases)
    admit(clusters, state.tiers, platform, phases)
    cool(units, cooling.capacity_mw, state.rise_c, usual_c, minute)
    supply(clusters, platform, cooling, limits, place)
    power(clusters, platform, cooling)
    provide_capacity(clusters, state.offers, targets, platform, minute)
    learn_capacity(clusters, targets, platform, state.recent_rps, minute)
    serve(state)
    heat_up(clusters, plants, targets, cooling)
    signal_standby(clusters, plants, units, platform, cooling, minute)
    protect(clusters, platform)


@compilable
def _record(state: State, outcome: Outcome, places: Places, s: int, minute: int) -> None:
    """Record a minute that is over."""
    row, clusters, offers = outcome.rows[s, minute], state.clusters, state.offers
    spend = 0.0
    for v in range(len(offers)):
        rented = state.targets[len(clusters) + v].load_rps / offers[v].rps_per_gpu
        spend += rented * offers[v].usd_per_gpu_minute
    state.platform[0].emergency_usd = spend
    if places.wanted_rps >= 0:
        offer_load(state.targets, state.requests, state.platform, state.network.order)
    record_machines(clusters, state.plants, state.cooling.capacity_mw, row, places)
    record_requests(state.tiers, state.services, state.targets, state.requests, row, places)
    record_platform(state.platform, row, places)
    for c in range(len(clusters)):
        if outcome.off.shape[1]:
            outcome.off[s, minute, c] = clusters[c].off
        if outcome.phase.shape[1]:
            outcome.phase[s, minute, c] = clusters[c].phase
