"""Services with limits on the way of requests: who passes them, and how much they let through."""

from __future__ import annotations

import math
from collections.abc import Mapping

from planner.infrastructure.entities import Model
from planner.scenarios.system_state import SystemState


def limited_services(model: Model) -> tuple[str, ...]:
    """Services with a capacity or a pool."""
    return tuple(
        name
        for name, service in model.services.items()
        if service.capacity_rps is not None or service.connections is not None
    )


def passing_share(
    model: Model, tier: str, services_down: frozenset[str] = frozenset()
) -> Mapping[str, float]:
    """Share of a tier's requests that pass each service: alternatives that are up share them."""
    entry, known = model.tiers[tier].entry, dict[str, dict[str, float]]()
    return {} if entry is None else _passed_from(model, entry, services_down, known)


def passing_shares(
    model: Model, services_down: frozenset[str] = frozenset()
) -> dict[str, Mapping[str, float]]:
    """The same for every tier."""
    return {tier: passing_share(model, tier, services_down) for tier in model.tiers}


def _passed_from(
    model: Model, name: str, services_down: frozenset[str], known: dict[str, dict[str, float]]
) -> dict[str, float]:
    """Share of the requests of a service that pass each service, itself included."""
    if name not in known:
        service, shares = model.services[name], {name: 1.0}
        up = [choice for choice in service.any_of if choice not in services_down]
        for needed in service.depends_on:
            for tier, share in _passed_from(model, needed, services_down, known).items():
                shares[tier] = max(shares.get(tier, 0.0), share)
        split: dict[str, float] = {}
        for choice in up:
            for tier, share in _passed_from(model, choice, services_down, known).items():
                split[tier] = split.get(tier, 0.0) + share / len(up)
        for tier, share in split.items():
            shares[tier] = max(shares.get(tier, 0.0), share)
        known[name] = shares
    return known[name]


def replicas_up(model: Model, name: str, state: SystemState) -> float:
    """Replicas of a service that are up, 1 for a service without any."""
    service = model.services[name]
    if not service.replicas:
        return 1.0
    return float(sum(service.replicas.values()) - state.replicas_down.get(name, 0))


def service_rps(model: Model, name: str, more_connections: float = 0.0) -> float:
    """Requests per second that one replica lets through, infinite without a limit.

    A request holds a connection for the time of its work, so a pool lets through its connections
    over that time (Little's law, as in `planner.laws.retries.pool_rate`).
    """
    service = model.services[name]
    capacity = math.inf if service.capacity_rps is None else service.capacity_rps
    if service.connections is None:
        return capacity
    return min(capacity, (service.connections + more_connections) / service.connection_seconds)


def degradation(model: Model, name: str, state: SystemState, itself_up: bool = False) -> float:
    """Share of its capacity and connections that a replica has left.

    0 for a service that is down, unless ``itself_up`` says to take it as up.
    """
    service = model.services[name]
    lost = state.services_down & set(service.degrades_without)
    up = itself_up or name not in state.services_down
    return float(service.degraded_share ** len(lost) * up)
