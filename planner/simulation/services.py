"""Services and connection pools on the way of requests."""

from __future__ import annotations

import numpy as np

from planner.laws.retries import admitted_share, pool_rate
from planner.laws.traffic import NEGLIGIBLE_RPS
from planner.simulation.minute import Minute
from planner.simulation.state import State
from planner.simulation.system_states import Floats
from planner.simulation.world import SECONDS, World


def past_services(world: World, state: State, now: Minute) -> Floats:
    """Share of each tier's requests that services and connection pools let through, (S, K)."""
    if not world.services.names:
        return np.ones(now.admitted_rps.shape)
    weights, capacity = now.system.weights, now.system.service_rps
    passing: Floats = np.matmul(now.admitted_rps[:, None, :], weights)[:, 0]
    now.service_use = passing / np.maximum(capacity, NEGLIGIBLE_RPS)
    lets = np.minimum(capacity, state.pool_rps)
    passed: Floats = admitted_share(passing / np.maximum(lets, NEGLIGIBLE_RPS), weights)
    return passed


def run_pools(world: World, state: State, now: Minute) -> None:
    """Connections in use, and what the pools let through in the next minute."""
    services = world.services
    if not services.names:
        return
    connections = now.system.connections
    # Work for clients that are gone holds a connection as well.
    worked_rps = now.served_rps + now.wasted_by_tier / SECONDS
    by_tier = np.stack(
        [now.entering_rps, now.admitted_rps, worked_rps, now.waiting_by_tier], axis=1
    )
    entered, wanted, worked, waiting = np.matmul(by_tier, now.system.weights).transpose(1, 0, 2)
    working = np.where(services.holds_while_waiting, worked, entered)
    held = waiting * services.holds_while_waiting
    state.pool_rps = pool_rate(entered, held, state.held, connections, services.seconds, SECONDS)
    state.held = held
    # Those turned away would hold connections too.
    asked = (working + np.maximum(0.0, wanted - entered)) * services.seconds + held
    now.pool_use = asked / np.maximum(connections, NEGLIGIBLE_RPS)
