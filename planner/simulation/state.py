"""A scenario before its failure, and what its system state says in a minute."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from planner.laws.compiling import compilable
from planner.laws.traffic import Network, send
from planner.simulation.arrays import Course, Records, State
from planner.simulation.caches import fill_caches
from planner.simulation.system_states import Bools, Floats, Ints, SystemStates

#: Capacity over all demand that no retry storm fills, yet small enough to keep the digits of loads.
BOUNDLESS = 1e3


class Fresh(NamedTuple):
    """Records of `State` and what scenarios begin with in them, word by word: quick to compile.

    Parameters
    ----------
    to, begin
        Words of clusters, plants, units, services and targets, and those to begin with.
    platform, platforms
        Words of the platform, and those that each scenario begins with, shape (S, words).
    """

    to: tuple[Ints, ...]
    begin: tuple[Ints, ...]
    platform: Ints
    platforms: Ints

    @classmethod
    def of(cls, state: State, course: Course) -> Fresh:
        """Those of a state in which no scenario has begun."""
        parts = (state.clusters, state.plants, state.units, state.services, state.targets)
        to, rows = tuple(map(_words, parts)), _words(course.scenarios)
        rows = rows.reshape(len(course.scenarios), -1)
        return cls(to, tuple(words.copy() for words in to), _words(state.platform), rows)


def _words(made: Records) -> Ints:
    """The memory of records."""
    words: Ints = made.view(np.ndarray).view(np.int64)
    return words


@compilable
def start(state: State, fresh: Fresh, course: Course, states: SystemStates, s: int) -> None:
    """State before the failure: everything up at its set point, no request waits."""
    _copy(fresh.platform, fresh.platforms[s])
    for part in range(len(fresh.to)):
        _copy(fresh.to[part], fresh.begin[part])
    for n in range(len(state.targets)):
        for minute in range(len(state.recent_rps)):
            state.recent_rps[minute, n] = state.targets[n].capacity_rps
    for z in range(state.attempts.shape[0]):
        for k in range(state.attempts.shape[1]):
            state.requests[z, k].stale = 0.0
            for a in range(state.attempts.shape[2]):
                state.attempts[z, k, a].live = 0.0
                state.attempts[z, k, a].retrying = 0.0
    for k in range(len(state.tiers)):
        for c in range(len(state.clusters)):
            state.left[k, c] = False
    waits, cold = course.scenarios[s].reroute > 0, course.scenarios[s].cold_most > 1
    if (waits or cold) and course.interval.shape[1]:
        usual, row = course.usual_rps[course.hour[s], 0], course.interval[s, 0]
        set_demand(state.zones, usual, states.demand_factor[row])
        _serve_as_usual(state.zones, state.tiers, state.targets, state.network)
        if cold:
            fill_caches(state.zones, state.targets)
        if waits:
            # What load balancers assume at a failure in the first minute: that of a usual one.
            state.platform[0].most_rps = _most_rps(course, states.demand_factor, s)
            freeze(state.targets, state.platform)
        for n in range(len(state.targets)):
            state.targets[n].load_rps = 0.0


@compilable
def _copy(to: Ints, begin: Ints) -> None:
    for n in range(len(begin)):
        to[n] = begin[n]


@compilable
def _most_rps(course: Course, demand_factor: Floats, s: int) -> float:
    """Most requests per second of all zones together in any minute of a scenario, at least 1."""
    most = 1.0
    for minute in range(course.interval.shape[1]):
        row, wanted = course.interval[s, minute], 0.0
        for z in range(course.usual_rps.shape[2]):
            wanted += course.usual_rps[course.hour[s], minute, z] * demand_factor[row, z]
        most = max(most, wanted)
    return most


@compilable
def set_demand(zones: Records, usual_rps: Floats, factor: Floats) -> None:
    """New requests of zones."""
    for z in range(len(zones)):
        zones[z].rps = usual_rps[z] * factor[z]


@compilable
def _serve_as_usual(zones: Records, tiers: Records, targets: Records, network: Network) -> None:
    """Loads of targets in a usual minute."""
    for n in range(len(targets)):
        network.room_rps[n] = targets[n].capacity_rps
    for z in range(len(zones)):
        for k in range(len(tiers)):
            network.demand[z, k] = zones[z].rps * tiers[k].share
    for k in range(len(tiers)):
        for n in range(len(targets)):
            network.allowed[k, n] = True
    send(network, False)
    for n in range(len(targets)):
        targets[n].load_rps = targets[n].capacity_rps - network.room_rps[n]


@compilable
def freeze(targets: Records, platform: Records) -> None:
    """Capacity that load balancers assume from a failure until they first reroute.

    Until then the traffic of a target stays with it, whatever becomes of the target: one that is
    not full before the failure counts as boundless, one that gets nothing keeps its capacity.
    """
    for n in range(len(targets)):
        target = targets[n]
        target.frozen_rps = target.known_rps
        if target.load_rps < target.known_rps * (1 - 1e-9) and target.load_rps > 0:
            target.frozen_rps = BOUNDLESS * platform[0].most_rps


@compilable
def enter(state: State, states: SystemStates, row: int) -> None:
    """What a system state says of every entity."""
    for c in range(len(state.clusters)):
        state.clusters[c].up = states.cluster_up[row, c]
    for u in range(len(state.units)):
        state.units[u].count = states.units[row, u]
    for p in range(len(state.plants)):
        state.plants[p].buffer_up = states.buffer_up[row, p]
    for v in range(len(state.offers)):
        state.offers[v].share = states.offer_share[row, v]
    for z in range(len(state.zones)):
        state.zones[z].factor = states.demand_factor[row, z]
    for k in range(len(state.tiers)):
        state.tiers[k].up = states.tier_up[row, k]
        for x in range(len(state.services)):
            state.weights[k, x] = states.weights[row, k, x]
    for x in range(len(state.services)):
        state.services[x].service_rps = states.service_rps[row, x]
        state.services[x].connections = states.connections[row, x]
    for r in range(len(state.rise_c)):
        state.rise_c[r] = states.rise_c[row, r]


@compilable
def row_of(course: Course, clusters: Records, s: int, minute: int, lost: Bools) -> int:
    """Row of the system states in a minute, −1 where none is known for the clusters lost."""
    row, any_lost = int(course.interval[s, minute]), False
    if not course.depended_on:
        return row
    for c in range(len(clusters)):
        cluster = clusters[c]
        lost[c] = cluster.off and (cluster.tripped or cluster.recovery_minutes > 0)
        # What runs on a cluster that is back recovers first.
        lost[c] = lost[c] or minute < cluster.recovered_from
        any_lost = any_lost or lost[c]
    if not any_lost:
        return row
    for known in range(len(course.lost_row)):
        alike = course.lost_row[known] == row
        for c in range(len(clusters)):
            alike = alike and course.lost_clusters[known, c] == lost[c]
        if alike:
            return int(course.lost_state[known])
    return -1


@compilable
def react(clusters: Records, platform: Records, failures: Floats, minute: int) -> None:
    """Which failure there is to react to, and whether operators and priorities are at work.

    An action comes at its time after the failure or once a cluster has been so hot since, if that
    is earlier. Where operators see to priorities, those are in force from their reaction to what
    failed last, and for as long as requests find no room where they did already.
    """
    now = platform[0]
    before = now.failure
    now.failure_before, now.failure = np.inf, np.inf
    for n in range(len(failures)):
        if failures[n] <= minute:
            now.failure = failures[n]
        if failures[n] <= max(minute - 1, 0):
            now.failure_before = failures[n]
    if now.failure != before:
        now.hottest_c, now.alert = -np.inf, np.inf
    for c in range(len(clusters)):
        if clusters[c].gpus > 0 and now.failure <= minute:
            now.hottest_c = max(now.hottest_c, clusters[c].temperature_c)
    if now.hottest_c >= now.detection_c:
        now.alert = min(now.alert, minute)
    now.reaction_due = min(now.failure + now.reaction, now.alert + now.act_after)
    now.standby_due = now.reaction_due + now.standby_after
    if now.hottest_c >= now.standby_start_c:
        now.standby_due = min(now.standby_due, minute)
    now.restart_due = now.reaction_due + now.restart_after
    now.switches_off = minute >= now.reaction_due + now.switch_off_after
    now.switches_off = now.switches_off or now.hottest_c >= now.switch_off_c
    now.holds_back = minute >= now.reaction_due + now.shed_after
    now.holds_back = now.holds_back or now.hottest_c >= now.shedding_c
    now.ventilates = minute >= now.reaction_due + now.ventilate_after
    goes_on = now.holds_back or (now.shedding and now.short)
    now.shedding = now.sheds or (now.operators_shed and goes_on)
