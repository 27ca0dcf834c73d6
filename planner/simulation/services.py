"""Services and connection pools on the way of requests."""

from __future__ import annotations

import numpy as np

from planner.laws.compiling import compilable
from planner.laws.retries import admitted_share, pool_rate
from planner.laws.traffic import NEGLIGIBLE_RPS
from planner.simulation.arrays import Records
from planner.simulation.system_states import Floats
from planner.simulation.world import SECONDS


@compilable
def pass_services(tiers: Records, services: Records, weights: Floats) -> None:
    """Share of each tier's requests that is admitted, and that services and pools let through."""
    for k in range(len(tiers)):
        tiers[k].entering_share = 1.0
    for x in range(len(services)):
        service = services[x]
        service.passing_rps = 0.0
        for k in range(len(tiers)):
            service.passing_rps += tiers[k].admitted_rps * weights[k, x]
        lets_through = max(min(service.service_rps, service.pool_rps), NEGLIGIBLE_RPS)
        if service.passing_rps > lets_through:
            use = service.passing_rps / lets_through
            for k in range(len(tiers)):
                share = admitted_share(use, weights[k, x])
                tiers[k].entering_share = min(tiers[k].entering_share, share)
    for k in range(len(tiers)):
        if not tiers[k].admitted:
            tiers[k].entering_share = 0.0
        tiers[k].entering_rps = tiers[k].attempts_rps * tiers[k].entering_share


@compilable
def run_pools(tiers: Records, services: Records, weights: Floats) -> None:
    """Connections in use, and what the pools let through in the next minute."""
    for x in range(len(services)):
        service = services[x]
        if np.isinf(service.connections):
            continue
        entered, wanted, worked, waiting = 0.0, 0.0, 0.0, 0.0
        for k in range(len(tiers)):
            tier, weight = tiers[k], weights[k, x]
            entered += tier.entering_rps * weight
            wanted += tier.admitted_rps * weight
            # Work for clients that are gone holds a connection as well.
            worked += (tier.served_rps + tier.wasted / SECONDS) * weight
            waiting += tier.waiting * weight
        held = waiting if service.holds_while_waiting else 0.0
        working = worked if service.holds_while_waiting else entered
        connections, seconds = service.connections, service.seconds
        service.pool_rps = pool_rate(entered, held, service.held, connections, seconds, SECONDS)
        service.held = held
        # Those turned away would hold connections too.
        service.asked = (working + max(0.0, wanted - entered)) * seconds + held
