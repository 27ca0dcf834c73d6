"""System states of all intervals of the scenarios as arrays.

Axes: I system states, C clusters, P plants, U unit types of plants, X services with a limit,
K tiers, V offers, R regions, Z zones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from planner.infrastructure.entities import Model
from planner.infrastructure.fleet import Fleet, plant_units, unit_mw
from planner.infrastructure.supply import PowerLimit
from planner.laws.heat import heat_at_utilisation_mw
from planner.scenarios.services import degradation, limited_services, passing_share, replicas_up
from planner.scenarios.system_state import SystemState
from planner.simulation.supply import SharedPower

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]


class SystemStates(NamedTuple):
    """System states as arrays, a row each.

    Parameters
    ----------
    cluster_up
        Shape (I, C).
    units
        Units that could carry heat if started, shape (I, U).
    rise_c
        Degrees above the usual ambient, shape (I, R).
    buffer_up
        Whether the chilled-water tank of a plant can be used, shape (I, P).
    offer_share
        Share of its reserved capacity that an offer delivers, 0 while it is down, shape (I, V).
    tier_up
        Shape (I, K).
    power
        Place of the power limits in `Stacker.supplies`, shape (I,).
    service_rps, connections
        Limits of services, infinite where there is none, shape (I, X).
    weights
        Share of the requests of a tier that pass a service, shape (I, K, X).
    demand_factor
        Demand over the usual one, shape (I, Z).
    """

    cluster_up: Bools
    units: Floats
    rise_c: Floats
    buffer_up: Bools
    offer_share: Floats
    tier_up: Bools
    power: Ints
    service_rps: Floats
    connections: Floats
    weights: Floats
    demand_factor: Floats

    def and_also(self, other: SystemStates) -> SystemStates:
        """These states and others after them."""
        joined: list[Any] = [np.concatenate(pair) for pair in zip(self, other, strict=True)]
        return SystemStates(*joined)


@dataclass(frozen=True)
class Stacker:
    """Turns system states into arrays for one model and fleet.

    Parameters
    ----------
    known
        Power limits of system states met with any fleet.
    """

    model: Model
    fleet: Fleet
    tiers: tuple[str, ...]
    normal: SystemState
    known: dict[tuple[PowerLimit, ...], SharedPower] = field(default_factory=dict)

    @cached_property
    def units(self) -> tuple[tuple[str, str], ...]:
        """(plant, unit type) along axis U."""
        return tuple((p, u) for p in self.model.plants for u in plant_units(self.model, p))

    @cached_property
    def services(self) -> tuple[str, ...]:
        """Services with a capacity or a pool, along axis X."""
        return limited_services(self.model)

    def stack(self, states: Sequence[SystemState]) -> SystemStates:
        """Arrays of system states, one row each."""
        model = self.model
        known: dict[object, tuple[list[float], list[float], list[Floats]]] = {}
        limits = []
        for state in states:
            key = (state.services_down, tuple(sorted(state.replicas_down.items())))
            if key not in known:
                known[key] = self._limits(state)
            limits.append(known[key])
        rows, width = len(states), len(self.services)
        return SystemStates(
            cluster_up=_up(list(model.clusters), [state.clusters_down for state in states]),
            units=np.array([self._units(state) for state in states]).reshape(rows, len(self.units)),
            rise_c=np.array(
                [[state.ambient_rise_c.get(r, 0.0) for r in model.regions] for state in states]
            ),
            buffer_up=_up(list(model.plants), [state.plants_lost for state in states]),
            offer_share=_up(list(model.offers), [state.offers_down for state in states])
            * np.array([[s.offer_share.get(o, 1.0) for o in model.offers] for s in states]),
            tier_up=_up(list(self.tiers), [state.tiers_down for state in states]),
            power=np.array([self._supply(state) for state in states], dtype=np.int64),
            service_rps=np.array([capacity for capacity, _, _ in limits]).reshape(
                len(states), width
            ),
            connections=np.array([connections for _, connections, _ in limits]).reshape(
                len(states), width
            ),
            weights=np.array([weights for _, _, weights in limits]).reshape(
                rows, len(self.tiers), width
            ),
            demand_factor=np.array(
                [[state.demand_factor.get(zone, 1.0) for zone in model.zones] for state in states]
            ).reshape(rows, len(model.zones)),
        )

    @cached_property
    def _places(self) -> dict[tuple[str, str], int]:
        return {key: index for index, key in enumerate(self.units)}

    @cached_property
    def _every_unit(self) -> Floats:
        return np.array([self.fleet.units[p][u] for p, u in self.units], dtype=float)

    def _units(self, state: SystemState) -> Floats:
        counts = self._every_unit.copy()
        for plant, unit in state.restarting:
            counts[self._places[plant, unit]] = 0.0
        hit = {plant for plant, _ in state.lost_units} | set(state.lost_largest)
        for plant in hit | state.plants_down:
            left = surviving_units(self.model, self.fleet, state, plant)
            for unit in plant_units(self.model, plant):
                counts[self._places[plant, unit]] = left.get(unit, 0)
        return counts

    @cached_property
    def _heat(self) -> Floats:
        """Heat of each cluster at its utilisation limit, MW."""
        return np.array(
            [
                heat_at_utilisation_mw(
                    self.model.gpus[entry.gpu].power_mw,
                    self.model.gpus[entry.gpu].static_share,
                    self.fleet.gpus[name],
                    entry.max_utilisation,
                )
                for name, entry in self.model.clusters.items()
            ]
        )

    @cached_property
    def _rated(self) -> Floats:
        """Rated capacity of all units of each plant, MW."""
        units = self.model.cooling_units
        each = self.fleet.units
        return np.array(
            [sum(n * units[u].capacity_mw for u, n in each[p].items()) for p in self.model.plants],
            dtype=float,
        )

    @cached_property
    def _serves(self) -> Bools:
        return cooled_by(self.model)

    @cached_property
    def supplies(self) -> list[SharedPower]:
        """Power limits of all system states stacked so far."""
        return []

    @cached_property
    def _supplies(self) -> dict[tuple[PowerLimit, ...], int]:
        return {}

    def _supply(self, state: SystemState) -> int:
        """Place of the power limits of a system state."""
        key = tuple(limit for limits in state.power.values() for limit in limits)
        if key not in self._supplies:
            self._supplies[key] = len(self.supplies)
            if key not in self.known:
                usual = [limit for limits in self.normal.power.values() for limit in limits]
                self.known[key] = SharedPower.of(self.model, key, usual)
            found = self.known[key]
            self.supplies.append(found.that_may_bind(self._serves, self._heat, self._rated))
        return self._supplies[key]

    def _limits(self, state: SystemState) -> tuple[list[float], list[float], list[Floats]]:
        """Capacity and connections of services, and who passes them."""
        if not self.services:
            return [], [], [np.zeros(0) for _ in self.tiers]
        capacity, connections = [], []
        for name in self.services:
            service = self.model.services[name]
            scale = degradation(self.model, name, state)
            scale *= replicas_up(self.model, name, state)
            capacity.append(
                np.inf if service.capacity_rps is None else service.capacity_rps * scale
            )
            connections.append(
                np.inf if service.connections is None else service.connections * scale
            )
        weights = [self._weights(tier, state) for tier in self.tiers]
        return capacity, connections, weights

    def _weights(self, tier: str, state: SystemState) -> Floats:
        shares = passing_share(self.model, tier, state.services_down)
        return np.array([shares.get(name, 0.0) for name in self.services])


def cooled_by(model: Model) -> Bools:
    """Whether each plant cools each cluster, shape (P, C)."""
    serves = [[name in plant.cools for name in model.clusters] for plant in model.plants.values()]
    return np.array(serves, dtype=bool).reshape(len(model.plants), len(model.clusters))


def _up(names: list[str], down: list[frozenset[str]]) -> Bools:
    """Whether each name is up in each state, shape (states, names)."""
    up = np.ones((len(down), len(names)), dtype=bool)
    places = {name: index for index, name in enumerate(names)}
    for row, names_down in enumerate(down):
        up[row, [places[name] for name in names_down]] = False
    return up


def surviving_units(model: Model, fleet: Fleet, state: SystemState, plant: str) -> dict[str, int]:
    """Units of each type of a plant that survive in a system state.

    Named units go first, then the largest of those left; among equals running units go first. Units
    that restart are away as well, but do not take the place of lost ones.
    """
    if plant in state.plants_down:
        return {}
    counts = dict(fleet.units[plant])
    for (hit, unit), lost in state.lost_units.items():
        if hit == plant:
            counts[unit] = max(0, counts[unit] - lost)
    rise = state.ambient_rise_c.get(model.plants[plant].region, 0.0)
    sizes = {unit: unit_mw(model, plant, unit, rise) for unit in counts}
    remaining = state.lost_largest.get(plant, 0)

    def rank(unit: str) -> tuple[float, bool]:
        return -sizes[unit], model.cooling_units[unit].mode == "standby"

    for unit in sorted(counts, key=rank):
        gone = min(remaining, counts[unit])
        counts[unit] -= gone
        remaining -= gone
    return {unit: n * ((plant, unit) not in state.restarting) for unit, n in counts.items()}
