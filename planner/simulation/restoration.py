"""Restoration of clusters: checks, phases with gates and roll-back, tiers admitted meanwhile."""

from __future__ import annotations

import numpy as np

from planner.simulation.dispatch import response_seconds
from planner.simulation.minute import Minute
from planner.simulation.state import State
from planner.simulation.system_states import Bools, Floats, Ints
from planner.simulation.world import World


def fail_and_return(world: World, state: State, now: Minute) -> None:
    """Clusters go off with their region or feeds; once cooled down they return through checks."""
    up = now.system.cluster_up
    await_reaction(state, now, state.up & ~up)
    state.up = up
    state.off |= ~up
    state.checking[~up] = np.nan
    reacted = now.number >= state.back_from
    returning = state.off & up & reacted & (state.temperature_c <= world.clusters.restart_c)
    returning &= np.isnan(state.checking)
    state.checking[returning] = 0.0
    passed = state.checking >= world.reaction.restart_check[:, None]
    state.off[passed] = False
    state.phase[passed] = 0
    state.phase_minutes[passed] = 0.0
    state.checking[passed] = np.nan
    state.checking += 1.0


def await_reaction(state: State, now: Minute, lost: Bools) -> None:
    """Clusters that go off stay off until operators have reacted to the latest failure."""
    state.back_from = np.where(lost, now.reaction_due[:, None], state.back_from)


def restored_share(world: World, state: State) -> Floats:
    """Share of each cluster that takes requests in this minute, shape (S, C).

    A phase that has lasted its time ends: in the next one where all gates hold, in the one before
    otherwise.
    """
    phases = world.restoration
    last = len(phases.minutes)
    if (state.phase >= last).all():
        return np.ones(state.phase.shape)
    lengths = np.append(phases.minutes, np.inf)
    step: Ints | None = None
    for _ in range(last):
        over = state.phase_minutes >= lengths[state.phase]
        if not over.any():
            break
        if step is None:
            step = np.where(_gates_hold(world, state), 1, -1)
        state.phase = np.where(over, np.maximum(state.phase + step, 0), state.phase)
        state.phase_minutes[over] = 0.0
    state.phase_minutes += 1.0
    state.tripped &= (state.phase < last) | state.off
    share: Floats = phases.shares[state.phase]
    return share


def _gates_hold(world: World, state: State) -> Bools:
    """Whether response time, errors, temperature and queue allow the next phase, shape (S, C)."""
    gates = world.model.operations.gates
    if gates is None:
        return np.ones(state.phase.shape, dtype=bool)
    waiting = state.waiting()
    response = response_seconds(world, state.load_rps, state.powered_gpus, state.clock, waiting)
    platform = response <= gates.p99_seconds
    platform &= state.error_share <= gates.error_share
    platform &= waiting <= gates.queue_requests
    hold: Bools = platform[:, None] & (state.temperature_c <= gates.temperature_c)
    return hold


def admitted_tiers(world: World, state: State, now: Minute) -> Bools:
    """Tiers that operators admit to the platform, shape (S, K).

    All, unless the platform restores as a whole: then, from their reaction until every cluster that
    switched itself off is back in full, those of the earliest phase under way.
    """
    restoring = world.reaction.by_platform & (now.reacted | state.restoring)
    restoring &= state.tripped.any(axis=1)
    state.restoring = restoring
    everyone = len(world.restoration.minutes)
    if not restoring.any():
        return np.ones((len(restoring), len(world.tiers.names)), dtype=bool)
    phase = np.where(state.off, 0, state.phase)
    earliest = np.where(state.tripped, phase, everyone).min(axis=1, initial=everyone)
    admits: Bools = world.restoration.admits[np.where(restoring, earliest, everyone)]
    return admits
