"""Capacity of targets, where load balancers send requests, and what they find there."""

from __future__ import annotations

import numpy as np

from planner.laws.compiling import compilable
from planner.laws.heat import heat_at_utilisation_mw
from planner.laws.queues import busy_seconds, response_seconds
from planner.laws.traffic import NEGLIGIBLE_RPS, Network, deliver, ration, serving_rps
from planner.simulation.arrays import Aside, Records
from planner.simulation.state import freeze
from planner.simulation.system_states import Bools, Floats
from planner.simulation.world import SECONDS


@compilable
def provide_capacity(
    clusters: Records, offers: Records, targets: Records, platform: Records, minute: int
) -> None:
    """Requests per second that each target takes."""
    for c in range(len(clusters)):
        cluster = clusters[c]
        most = serving_rps(cluster.powered_gpus, cluster.rps, cluster.utilisation)
        there = most * cluster.clock * cluster.restored
        targets[c].capacity_rps = 0.0 if cluster.off else there
    _order(platform, minute)
    for v in range(len(offers)):
        arrived = minute - platform[0].order_minute >= offers[v].lead_minutes
        there = offers[v].rps * offers[v].share if arrived else 0.0
        targets[len(clusters) + v].capacity_rps = there


@compilable
def _order(platform: Records, minute: int) -> None:
    """Operators order emergency capacity when they react to the failure that left too little."""
    now = platform[0]
    alerted = now.alert + now.act_after + (now.order - now.reaction)
    due = min(now.order_due, now.failure_before + now.order, alerted)
    now.order_due = due if now.short else np.inf
    if np.isinf(now.order_minute) and minute >= now.order_due:
        now.order_minute = minute


@compilable
def learn_capacity(
    clusters: Records, targets: Records, platform: Records, recent_rps: Floats, minute: int
) -> None:
    """Capacity of targets that load balancers act on: that of some minutes ago.

    GPUs that operators switch off for want of cooling are drained first, so those are known.
    """
    now = platform[0]
    early = now.failure <= minute and minute < now.failure + now.reroute
    if early and now.failure == minute and minute > 0:
        freeze(targets, platform)
    behind = now.failover + 1
    last, then = minute % behind, (minute + 1) % behind
    for n in range(len(targets)):
        target = targets[n]
        recent_rps[last, n] = target.capacity_rps
        target.known_rps = target.frozen_rps if early else recent_rps[then, n]
    for c in range(0 if early else len(clusters)):
        cluster = clusters[c]
        left_on = heat_at_utilisation_mw(
            cluster.power_mw, cluster.static_share, cluster.powered_gpus, cluster.utilisation
        )
        if left_on < cluster.full_mw * (1 - 1e-9):
            most = serving_rps(cluster.powered_gpus, cluster.rps, cluster.utilisation)
            targets[c].known_rps = min(targets[c].known_rps, most)
    for c in range(len(clusters)):
        if minute < clusters[c].failback_from:
            targets[c].known_rps = 0.0


@compilable
def look_for_heat(
    clusters: Records, tiers: Records, platform: Records, left: Bools, allowed: Bools
) -> bool:
    """Find out which targets are cool enough for a tier; whether all are."""
    now, everywhere = platform[0], True
    acts = now.migrates or (now.operators_migrate and now.holds_back)
    for k in range(len(tiers)):
        for c in range(len(clusters)):
            cool = clusters[c].temperature_c <= tiers[k].thermal_limit_c
            # Work that operators have moved stays away from what is still too hot.
            cool = cool or not (acts or left[k, c])
            left[k, c] = not cool
            allowed[k, c] = cool
            everywhere = everywhere and cool
    return everywhere


@compilable
def dispatch(
    tiers: Records,
    targets: Records,
    requests: Records,
    platform: Records,
    network: Network,
    aside: Aside,
) -> None:
    """Send requests to targets and, under shedding, the queue to the room left.

    Sets what was sent, granted and drained, and the load of targets.
    """
    now = platform[0]
    for z in range(requests.shape[0]):
        for k in range(requests.shape[1]):
            offered = requests[z, k].entering
            if not now.shedding and tiers[k].admitted:
                offered += requests[z, k].backlog
            network.demand[z, k] = offered / SECONDS
    capacity_rps, known_rps = aside.capacity_rps, aside.known_rps
    for n in range(len(targets)):
        capacity_rps[n], known_rps[n] = targets[n].capacity_rps, targets[n].known_rps
    _send(tiers, platform, network, aside)
    for z in range(requests.shape[0]):
        for k in range(requests.shape[1]):
            request = requests[z, k]
            request.sent = network.sent[z, k] * SECONDS
            request.granted, request.drained = network.granted[z, k] * SECONDS, 0.0
    room, load = 0.0, 0.0
    for n in range(len(targets)):
        target = targets[n]
        target.load_rps = network.load_rps[n]
        fits = min(target.capacity_rps, target.known_rps)
        room += fits
        known_rps[n] = max(fits - target.load_rps, 0.0)
    if now.shedding and now.busy:
        _drain(tiers, requests, network, known_rps)
        for n in range(len(targets)):
            targets[n].load_rps += network.load_rps[n]
    for n in range(len(targets)):
        load += targets[n].load_rps
    now.spare = max(1.0, room / max(load, NEGLIGIBLE_RPS))


@compilable
def _send(tiers: Records, platform: Records, network: Network, aside: Aside) -> None:
    """Send requests; where operators ration, first what is set aside for each tier.

    Preemptible work comes last, whether or not operators shed.
    """
    wanted, room, shedding, last = 0.0, 0.0, platform[0].shedding, False
    for k in range(len(tiers)):
        last = last or tiers[k].yields
    for z in range(network.demand.shape[0]):
        for k in range(network.demand.shape[1]):
            wanted += network.demand[z, k]
    for n in range(len(aside.known_rps)):
        room += aside.known_rps[n]
    if shedding and platform[0].rationing and wanted > room:
        _ration(network, aside, room, wanted)
    elif last and not shedding:
        for k in range(len(tiers)):
            for z in range(len(network.demand)):
                aside.rest[z, k] = network.demand[z, k] if tiers[k].yields else 0.0
                network.demand[z, k] -= aside.rest[z, k]
        _send_rest_after(network, aside, shedding)
    else:
        deliver(network, aside.known_rps, aside.capacity_rps, shedding)
    for n in range(len(aside.capacity_rps)):
        network.load_rps[n] = min(network.load_rps[n], aside.capacity_rps[n])


@compilable
def _ration(network: Network, aside: Aside, room: float, wanted: float) -> None:
    """Send first what is set aside for each tier, then the rest."""
    demand = network.demand
    available = room / max(wanted, NEGLIGIBLE_RPS)
    ration(available, aside.allocation, network.level, aside.shares)
    for k in range(demand.shape[1]):
        by_tier = 0.0
        for z in range(len(demand)):
            by_tier += demand[z, k]
        share = min(1.0, aside.shares[k] * wanted / max(by_tier, NEGLIGIBLE_RPS))
        for z in range(len(demand)):
            aside.rest[z, k] = demand[z, k] * (1.0 - share)
            demand[z, k] *= share
    _send_rest_after(network, aside, True)


@compilable
def _send_rest_after(network: Network, aside: Aside, shedding: bool) -> None:
    """Send what is demanded, and with the room left what is to be sent later."""
    demand, known_rps, capacity_rps = network.demand, aside.known_rps, aside.capacity_rps
    deliver(network, known_rps, capacity_rps, shedding)
    for z in range(demand.shape[0]):
        for k in range(demand.shape[1]):
            aside.sent[z, k], aside.granted[z, k] = network.sent[z, k], network.granted[z, k]
            demand[z, k] = aside.rest[z, k]
    for n in range(len(known_rps)):
        aside.load_rps[n] = network.load_rps[n]
        known_rps[n] = max(known_rps[n] - aside.load_rps[n], 0.0)
        aside.left_rps[n] = max(capacity_rps[n] - aside.load_rps[n], 0.0)
    deliver(network, known_rps, aside.left_rps, shedding)
    for z in range(demand.shape[0]):
        for k in range(demand.shape[1]):
            network.sent[z, k] += aside.sent[z, k]
            network.granted[z, k] += aside.granted[z, k]
    for n in range(len(known_rps)):
        network.load_rps[n] += aside.load_rps[n]


@compilable
def _drain(tiers: Records, requests: Records, network: Network, free_rps: Floats) -> None:
    """Serve the queue with the room that is left."""
    for z in range(requests.shape[0]):
        for k in range(requests.shape[1]):
            late = requests[z, k].backlog / SECONDS if tiers[k].admitted else 0.0
            network.demand[z, k] = late
    deliver(network, free_rps, free_rps, True)
    for z in range(requests.shape[0]):
        for k in range(requests.shape[1]):
            requests[z, k].drained = network.granted[z, k] * SECONDS


@compilable
def last_response_seconds(clusters: Records, targets: Records, waiting: float) -> float:
    """Response time (`planner.laws.queues.response_seconds`) in the minute before."""
    busiest, load = 0.0, 0.0
    for n in range(len(targets)):
        load += targets[n].load_rps
    for c in range(len(clusters)):
        cluster = clusters[c]
        seconds = busy_seconds(
            targets[c].work_rps,
            cluster.powered_gpus,
            cluster.clock,
            cluster.rps,
            cluster.service_seconds,
        )
        busiest = max(busiest, seconds)
    return float(response_seconds(busiest, waiting, load))
