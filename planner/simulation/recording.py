"""Writing down what a minute has computed."""

from __future__ import annotations

from typing import Any

from planner.laws.compiling import compilable
from planner.laws.traffic import NEGLIGIBLE_RPS
from planner.simulation.arrays import Records
from planner.simulation.system_states import Bools, Floats, Ints


@compilable
def _put(row: Floats, place: int, number: int, value: float) -> None:
    """Write a value to a record that is kept."""
    if place >= 0:
        row[place + number] = value


@compilable
def record_machines(
    clusters: Records, plants: Records, capacity_mw: Floats, row: Floats, places: Any
) -> None:
    """Write the records of clusters and plants to the row of a minute."""
    for c in range(len(clusters)):
        cluster = clusters[c]
        _put(row, places.temperature_c, c, cluster.start_c)
        _put(row, places.clock, c, cluster.clock)
        _put(row, places.heat_mw, c, cluster.heat_mw)
        _put(row, places.cooling_mw, c, cluster.cooling_mw)
        _put(row, places.envelope_mw, c, cluster.envelope_mw)
        _put(row, places.stopped_gpus, c, cluster.stopped_gpus)
        _put(row, places.powered_gpus, c, cluster.powered_gpus)
        _put(row, places.supplied_gpus, c, cluster.supplied_gpus)
    for p in range(len(plants)):
        _put(row, places.cooling_capacity_mw, p, capacity_mw[p])
        _put(row, places.cold_mj, p, plants[p].cold_mj)


@compilable
def record_requests(
    tiers: Records,
    services: Records,
    targets: Records,
    requests: Records,
    row: Floats,
    places: Any,
) -> None:
    """Write the records of tiers, zones, services and targets to the row of a minute."""
    for k in range(len(tiers)):
        tier = tiers[k]
        _put(row, places.demand_rps, k, tier.demand_rps)
        _put(row, places.attempts_rps, k, tier.attempts_rps)
        _put(row, places.served_rps, k, tier.served_rps)
        if places.zone_served_rps >= 0:
            for z in range(len(requests)):
                row[places.zone_served_rps + z * len(tiers) + k] = requests[z, k].served
    for x in range(len(services)):
        most = max(services[x].service_rps, NEGLIGIBLE_RPS)
        _put(row, places.service_use, x, services[x].passing_rps / most)
        most = max(services[x].connections, NEGLIGIBLE_RPS)
        _put(row, places.pool_use, x, services[x].asked / most)
    for n in range(len(targets)):
        target = targets[n]
        _put(row, places.load_rps, n, target.load_rps)
        _put(row, places.capacity_rps, n, target.capacity_rps)
        _put(row, places.known_capacity_rps, n, target.known_rps)
        _put(row, places.wanted_rps, n, target.wanted_rps)


@compilable
def record_platform(
    platform: Records, offers: Records, targets: Records, row: Floats, places: Any
) -> None:
    """Write the sums of a minute to its row, with the spend on emergency capacity."""
    now, own = platform[0], len(targets) - len(offers)
    now.emergency_usd = 0.0
    for v in range(len(offers)):
        rented = targets[own + v].load_rps / offers[v].rps_per_gpu
        now.emergency_usd += rented * offers[v].usd_per_gpu_minute
    _put(row, places.waiting, 0, now.waiting)
    _put(row, places.stale, 0, now.stale)
    _put(row, places.retrying, 0, now.retrying)
    _put(row, places.shed, 0, now.shed)
    _put(row, places.rejected, 0, now.rejected)
    _put(row, places.dropped, 0, now.dropped)
    _put(row, places.timed_out, 0, now.timed_out)
    _put(row, places.wasted, 0, now.wasted)
    _put(row, places.purged, 0, now.purged)
    _put(row, places.gave_up, 0, now.gave_up)
    _put(row, places.emergency_usd, 0, now.emergency_usd)


@compilable
def record_apart(clusters: Records, off: Bools, phase: Ints, s: int, minute: int) -> None:
    """Write which clusters are off, and their phase of restoration, where that is kept."""
    for c in range(len(clusters)):
        if off.shape[1]:
            off[s, minute, c] = clusters[c].off
        if phase.shape[1]:
            phase[s, minute, c] = clusters[c].phase
