"""Writing down what a minute has computed."""

from __future__ import annotations

from planner.laws.compiling import compilable
from planner.laws.traffic import NEGLIGIBLE_RPS
from planner.simulation.arrays import Records
from planner.simulation.history import Places
from planner.simulation.system_states import Bools, Floats, Ints


@compilable
def record_machines(
    clusters: Records, plants: Records, capacity_mw: Floats, row: Floats, places: Places
) -> None:
    """Write the records of clusters and plants to the row of a minute."""
    for c in range(len(clusters)):
        cluster = clusters[c]
        if places.temperature_c >= 0:
            row[places.temperature_c + c] = cluster.start_c
        if places.clock >= 0:
            row[places.clock + c] = cluster.clock
        if places.heat_mw >= 0:
            row[places.heat_mw + c] = cluster.heat_mw
        if places.cooling_mw >= 0:
            row[places.cooling_mw + c] = cluster.cooling_mw
        if places.envelope_mw >= 0:
            row[places.envelope_mw + c] = cluster.envelope_mw
        if places.stopped_gpus >= 0:
            row[places.stopped_gpus + c] = cluster.stopped_gpus
        if places.powered_gpus >= 0:
            row[places.powered_gpus + c] = cluster.powered_gpus
        if places.supplied_gpus >= 0:
            row[places.supplied_gpus + c] = cluster.supplied_gpus
    for p in range(len(plants)):
        if places.cooling_capacity_mw >= 0:
            row[places.cooling_capacity_mw + p] = capacity_mw[p]
        if places.cold_mj >= 0:
            row[places.cold_mj + p] = plants[p].cold_mj


@compilable
def record_requests(
    tiers: Records,
    services: Records,
    targets: Records,
    requests: Records,
    row: Floats,
    places: Places,
) -> None:
    """Write the records of tiers, zones, services and targets to the row of a minute."""
    for k in range(len(tiers)):
        tier = tiers[k]
        if places.demand_rps >= 0:
            row[places.demand_rps + k] = tier.demand_rps
        if places.attempts_rps >= 0:
            row[places.attempts_rps + k] = tier.attempts_rps
        if places.served_rps >= 0:
            row[places.served_rps + k] = tier.served_rps
        if places.zone_served_rps >= 0:
            for z in range(len(requests)):
                row[places.zone_served_rps + z * len(tiers) + k] = requests[z, k].served
    for x in range(len(services)):
        if places.service_use >= 0:
            most = max(services[x].service_rps, NEGLIGIBLE_RPS)
            row[places.service_use + x] = services[x].passing_rps / most
        if places.pool_use >= 0:
            most = max(services[x].connections, NEGLIGIBLE_RPS)
            row[places.pool_use + x] = services[x].asked / most
    for n in range(len(targets)):
        target = targets[n]
        if places.load_rps >= 0:
            row[places.load_rps + n] = target.load_rps
        if places.capacity_rps >= 0:
            row[places.capacity_rps + n] = target.capacity_rps
        if places.known_capacity_rps >= 0:
            row[places.known_capacity_rps + n] = target.known_rps
        if places.wanted_rps >= 0:
            row[places.wanted_rps + n] = target.wanted_rps


@compilable
def record_platform(
    platform: Records, offers: Records, targets: Records, row: Floats, places: Places
) -> None:
    """Write the sums of a minute to its row, with the spend on emergency capacity."""
    now, own = platform[0], len(targets) - len(offers)
    now.emergency_usd = 0.0
    for v in range(len(offers)):
        rented = targets[own + v].load_rps / offers[v].rps_per_gpu
        now.emergency_usd += rented * offers[v].usd_per_gpu_minute
    if places.waiting >= 0:
        row[places.waiting] = now.waiting
    if places.stale >= 0:
        row[places.stale] = now.stale
    if places.retrying >= 0:
        row[places.retrying] = now.retrying
    if places.shed >= 0:
        row[places.shed] = now.shed
    if places.rejected >= 0:
        row[places.rejected] = now.rejected
    if places.dropped >= 0:
        row[places.dropped] = now.dropped
    if places.timed_out >= 0:
        row[places.timed_out] = now.timed_out
    if places.wasted >= 0:
        row[places.wasted] = now.wasted
    if places.purged >= 0:
        row[places.purged] = now.purged
    if places.gave_up >= 0:
        row[places.gave_up] = now.gave_up
    if places.emergency_usd >= 0:
        row[places.emergency_usd] = now.emergency_usd


@compilable
def record_apart(clusters: Records, off: Bools, phase: Ints, s: int, minute: int) -> None:
    """Write which clusters are off, and their phase of restoration, where that is kept."""
    for c in range(len(clusters)):
        if off.shape[1]:
            off[s, minute, c] = clusters[c].off
        if phase.shape[1]:
            phase[s, minute, c] = clusters[c].phase
