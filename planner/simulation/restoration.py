"""Restoration of clusters: checks, phases with gates and roll-back, tiers admitted meanwhile."""

from __future__ import annotations

import numpy as np

from planner.laws.compiling import compilable
from planner.simulation.arrays import Phases, Records
from planner.simulation.dispatch import last_response_seconds


@compilable
def fail_and_return(clusters: Records, platform: Records, minute: int) -> None:
    """Clusters go off with their region or feeds; once cooled down they return through checks.

    Their GPUs come back as fast as people bring them back, as long as it stays cool.
    """
    now = platform[0]
    for c in range(len(clusters)):
        cluster = clusters[c]
        if not cluster.up:
            if cluster.was_up:
                # It stays off until operators have reacted to the latest failure.
                cluster.back_from = now.restart_due
            stop(cluster, now)
        cluster.was_up = cluster.up
        cool = cluster.temperature_c <= cluster.restart_c
        cluster.cool_minutes = cluster.cool_minutes + 1.0 if cool else -1.0
        waits = cluster.off or cluster.stopped_gpus > 0
        may_return = waits and cluster.up and minute >= cluster.back_from and cluster.units_back
        held = cluster.cool_minutes >= now.restart_hold
        if may_return and cool and held and np.isnan(cluster.checking):
            cluster.checking = 0.0
        if cluster.checking >= now.restart_check:
            if cluster.off:
                cluster.off, cluster.phase, cluster.phase_minutes = False, 0, 0.0
                cluster.recovered_from = minute + cluster.recovery_minutes
                cluster.failback_from = minute + now.failback
            if may_return and cool:
                cluster.stopped_gpus = max(cluster.stopped_gpus - now.restart_per_minute, 0.0)
            if cluster.stopped_gpus <= 0:
                cluster.checking = np.nan
        cluster.checking += 1.0


@compilable
def stop(cluster: Records, now: Records) -> None:
    """Switch off a whole cluster, whose GPUs people may have to bring back one after the other."""
    cluster.off, cluster.checking = True, np.nan
    cluster.stopped_gpus = 0.0 if np.isinf(now.restart_per_minute) else cluster.gpus


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
    now.restoring = now.by_platform and tripped and (now.holds_back or now.restoring)
    for k in range(len(tiers)):
        admits = phases.admits[earliest if now.restoring else everyone, k]
        tiers[k].admitted = tiers[k].up and admits
