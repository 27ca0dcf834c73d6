"""Services and connection pools on the way of requests."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from planner.laws.retries import admitted_share, pool_rate
from planner.laws.traffic import NEGLIGIBLE_RPS
from planner.simulation.conditions import Floats, Ints
from planner.simulation.state import History, State
from planner.simulation.world import SECONDS, World


@dataclass(frozen=True)
class Tally:
    """Rates of all scenarios by tier in a minute, each of shape (S, K).

    Parameters
    ----------
    attempts
        All requests, with those that came back.
    admitted
        Those of tiers that are up and admitted.
    entering
        Those past services and pools.
    served
        Those that succeed.
    waiting
        Requests (not a rate) in the queue after the minute.
    by_zone
        What is served by zone too, shape (S, Z, K); None where nobody asks.
    """

    attempts: Floats
    admitted: Floats
    entering: Floats
    served: Floats
    waiting: Floats
    by_zone: Floats | None = None


def past_services(
    world: World, state: State, history: History, row: Ints, rps: Floats, minute: int
) -> Floats:
    """Share of each tier's requests that services and connection pools let through, (S, K)."""
    if not world.services.names:
        return np.ones(rps.shape)
    weights = state.conditions.weights[row]
    passing: Floats = np.matmul(rps[:, None, :], weights)[:, 0]
    capacity = state.conditions.service_rps[row]
    history.record("service_use", minute, passing / np.maximum(capacity, NEGLIGIBLE_RPS))
    lets = np.minimum(capacity, state.pool_rps)
    passed: Floats = admitted_share(passing / np.maximum(lets, NEGLIGIBLE_RPS), weights)
    return passed


def run_pools(
    world: World, state: State, history: History, row: Ints, tally: Tally, minute: int
) -> None:
    """Connections in use, and what the pools let through in the next minute."""
    services = world.services
    if not services.names:
        return
    weights = state.conditions.weights[row]
    connections = state.conditions.connections[row]
    by_tier = np.stack([tally.entering, tally.admitted, tally.served, tally.waiting], axis=1)
    entered, wanted, served, waiting = np.matmul(by_tier, weights).transpose(1, 0, 2)
    working = np.where(services.holds_while_waiting, served, entered)
    held = waiting * services.holds_while_waiting
    state.pool_rps = pool_rate(entered, held, state.held, connections, services.seconds, SECONDS)
    state.held = held
    # Those turned away would hold connections too.
    asked = (working + np.maximum(0.0, wanted - entered)) * services.seconds + held
    history.record("pool_use", minute, asked / np.maximum(connections, NEGLIGIBLE_RPS))
