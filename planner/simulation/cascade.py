"""The cascade: one-minute steps made of laws, compiled, one scenario after the other.

A step follows the causal chain of a postmortem: what is up, what cools, what is powered, which
capacity load balancers know of, where requests go, what queues, what heats up, what shuts itself
down, what comes back. `World` never changes, `State` is that of one scenario, `History` records
every minute.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from planner.infrastructure.entities import Model
from planner.infrastructure.failures import Scenario
from planner.infrastructure.fleet import Fleet
from planner.laws.compiling import compiled
from planner.scenarios.timeline import state_with
from planner.simulation.arrays import Course, State, course_of, state_of, with_lost_clusters
from planner.simulation.build import prepare
from planner.simulation.caches import look_into_caches, warm_caches
from planner.simulation.dispatch import dispatch, learn_capacity, look_for_heat, provide_capacity
from planner.simulation.history import History
from planner.simulation.limits import Limits, limits_of
from planner.simulation.machines import cool, heat_up, power, protect, shed, signal_standby, supply
from planner.simulation.recording import (
    record_apart,
    record_machines,
    record_platform,
    record_requests,
)
from planner.simulation.restoration import admit, fail_and_return, restore
from planner.simulation.services import pass_services, run_pools
from planner.simulation.state import Fresh, enter, react, row_of, set_demand, start
from planner.simulation.system_states import Bools, Floats, Ints, SystemStates
from planner.simulation.traffic import arrive, fits, gather, go_to_nearest, offer_load, settle
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
    fresh = Fresh.of(state, course)
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
        static = (states, limits, left, outcome, history.places)
        compiled(simulate_scenarios)(state, fresh, course, *static)
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
    fresh: Fresh,
    course: Course,
    states: SystemStates,
    limits: Limits,
    scenarios: Ints,
    outcome: Outcome,
    places: Any,
) -> None:
    """Simulate scenarios one after the other (compiled)."""
    clusters, plants, units, offers = state.clusters, state.plants, state.units, state.offers
    tiers, services, zones, targets = state.tiers, state.services, state.zones, state.targets
    requests, attempts, platform = state.requests, state.attempts, state.platform
    cooling, network, phases = state.cooling, state.network, state.phases
    for s in scenarios:
        start(state, fresh, course, states, s)
        outcome.stopped[s], entered, hour = -1, -1, course.hour[s]
        for minute in range(course.interval.shape[1]):
            row = row_of(course, clusters, s, minute, outcome.lost[s])
            if row < 0:
                outcome.stopped[s] = minute
                break
            if row != entered:
                enter(state, states, row)
                entered = row
            set_demand(zones, course.usual_rps[hour, minute], states.demand_factor[row])
            react(clusters, platform, course.failures[s], minute)
            fail_and_return(clusters, platform, minute)
            restore(clusters, targets, requests, attempts, platform, phases)
            admit(clusters, tiers, platform, phases)
            for r in range(len(state.rise_c)):
                state.ambient_c[r] = course.usual_c[hour, minute, r] + state.rise_c[r]
            cool(clusters, plants, units, cooling, state.ambient_c, minute)
            if supply(clusters, platform, cooling.heat_mw, limits, states.power[row]):
                shed(clusters, platform, cooling, limits, states.power[row])
            power(clusters, platform, cooling)
            provide_capacity(clusters, offers, targets, platform, minute)
            learn_capacity(clusters, targets, platform, state.recent_rps, minute)
            look_into_caches(zones, tiers, targets, platform)
            arrive(tiers, zones, attempts, platform)
            pass_services(tiers, services, state.weights)
            cool_enough = look_for_heat(clusters, tiers, platform, state.left, network.allowed)
            go_to_nearest(tiers, zones, targets, requests, platform, network.order)
            if not (cool_enough and fits(tiers, targets, platform)):
                gather(tiers, zones, requests, attempts, platform)
                dispatch(tiers, targets, requests, platform, network, state.aside)
                settle(tiers, requests, attempts, platform, network, state.repeats)
            run_pools(tiers, services, state.weights)
            warm_caches(targets, platform)
            heat_up(clusters, plants, targets, platform, cooling, limits, states.power[row])
            signal_standby(clusters, plants, units, platform, cooling, minute)
            protect(clusters, platform)
            if places.wanted_rps >= 0:
                offer_load(targets, requests, platform, network.order)
            line = outcome.rows[s, minute]
            record_machines(clusters, plants, cooling.capacity_mw, line, places)
            record_requests(tiers, services, targets, requests, line, places)
            record_platform(platform, offers, targets, line, places)
            record_apart(clusters, outcome.off, outcome.phase, s, minute)
        outcome.order_minute[s] = platform[0].order_minute
        for u in range(len(units)):
            outcome.standby_since[s, u] = units[u].standby_since
