"""Restoration of clusters: checks, phases with gates and roll-back, tiers admitted meanwhile."""

from __future__ import annotations

import numpy as np

from planner.laws.compiling import compilable
from planner.simulation.arrays import Phases, Records
from planner.simulation.dispatch import last_response_seconds


@compilable
def fail_and_return(clusters: Records, platform: Records, minute: int) -> None:
    """Clusters go off with their region or feeds; once cooled down they return through checks."""
    for c in range(len(clusters)):
        cluster = clusters[c]
        if not cluster.up:
            if cluster.was_up:
                # It stays off until operators have reacted to the latest failure.
                cluster.back_from = platform[0].reaction_due
            cluster.off = True
            cluster.checking = np.nan
        cluster.was_up = cluster.up
        cool = cluster.temperature_c <= cluster.restart_c
        may_return = cluster.off and cluster.up and minute >= cluster.back_from and cool
        if may_return and np.isnan(cluster.checking):
            cluster.checking = 0.0
        if cluster.checking >= platform[0].restart_check:
            cluster.off, cluster.checking = False, np.nan
            cluster.phase, cluster.phase_minutes = 0, 0.0
        cluster.checking += 1.0


@compilable
def restore(
    clusters: Records,
    targets: Records,
    requests: Records,
    attempts: Records,
    platform: Records,
    phases: Phases,
) -> None:
    """Share of each cluster that takes requests in this minute.

    A phase that has lasted its time ends: in the next one where all gates hold, in the one before
    otherwise.
    """
    last = len(phases.minutes)
    normal = True
    for c in range(len(clusters)):
        normal = normal and clusters[c].phase >= last
        clusters[c].restored = 1.0
    if normal:
        return
    holds = _platform_holds(clusters, targets, requests, attempts, platform, phases.gates)
    for c in range(len(clusters)):
        cluster = clusters[c]
        step = 1 if holds and _cool_enough(cluster.temperature_c, phases.gates) else -1
        for _ in range(last):
            if cluster.phase >= last or cluster.phase_minutes < phases.minutes[cluster.phase]:
                break
            cluster.phase = max(cluster.phase + step, 0)
            cluster.phase_minutes = 0.0
        cluster.phase_minutes += 1.0
        cluster.tripped = cluster.tripped and (cluster.phase < last or cluster.off)
        cluster.restored = phases.shares[cluster.phase]


@compilable
def _platform_holds(
    clusters: Records,
    targets: Records,
    requests: Records,
    attempts: Records,
    platform: Records,
    gates: Records,
) -> bool:
    """Whether response time, errors and queue allow the next phase."""
    if not len(gates):
        return True
    waiting = 0.0
    for z in range(attempts.shape[0]):
        for k in range(attempts.shape[1]):
            waiting += requests[z, k].stale
            for a in range(attempts.shape[2]):
                waiting += attempts[z, k, a].live
    response = last_response_seconds(clusters, targets, waiting)
    return bool(
        response <= gates[0].p99_seconds
        and platform[0].error_share <= gates[0].error_share
        and waiting <= gates[0].queue_requests
    )


@compilable
def _cool_enough(temperature_c: float, gates: Records) -> bool:
    """Whether the temperature of a cluster allows the next phase."""
    return not len(gates) or temperature_c <= gates[0].temperature_c


@compilable
def admit(clusters: Records, tiers: Records, platform: Records, phases: Phases) -> None:
    """Tiers that are up and that operators admit to the platform.

    All, unless the platform restores as a whole: then, from their reaction until every cluster that
    switched itself off is back in full, those of the earliest phase under way.
    """
    now, everyone = platform[0], len(phases.minutes)
    tripped, earliest = False, everyone
    for c in range(len(clusters)):
        cluster = clusters[c]
        if cluster.tripped:
            tripped = True
            earliest = min(earliest, 0 if cluster.off else cluster.phase)
    now.restoring = now.by_platform and tripped and (now.reacted or now.restoring)
    for k in range(len(tiers)):
        admits = phases.admits[earliest if now.restoring else everyone, k]
        tiers[k].admitted = tiers[k].up and admits
