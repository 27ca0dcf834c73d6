"""What never changes during a simulation, as arrays.

Axes: S scenarios, I system states of all scenarios one after another, C clusters, P plants, U unit
types of plants, Z zones, K tiers by priority, V offers, N targets (clusters, then offers), X
services with a limit, R regions, T minutes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from planner.infrastructure.entities import Model
from planner.infrastructure.graph import Graph
from planner.laws.retries import RetryTerms
from planner.laws.traffic import Routes
from planner.scenarios.standard import asks_by_zone
from planner.scenarios.system_state import dependency_index
from planner.scenarios.timeline import Timeline
from planner.simulation.system_states import Bools, Floats, Ints, Stacker, SystemStates

#: Length of a step.
SECONDS = 60.0


@dataclass(frozen=True)
class Clusters:
    """Clusters, each array of shape (C,).

    Parameters
    ----------
    pull_down_c
        Fastest cooling in a minute.
    recovery_minutes
        Longest recovery of a service that runs on it.
    """

    names: tuple[str, ...]
    gpus: Floats
    power_mw: Floats
    static_share: Floats
    rps: Floats
    service_seconds: Floats
    utilisation: Floats
    capacitance: Floats
    setpoint_c: Floats
    throttle_c: Floats
    shutdown_c: Floats
    restart_c: Floats
    shutdown_spread_c: Floats
    envelope_mw_per_k: Floats
    ventilation_mw_per_k: Floats
    pull_down_c: Floats
    recovery_minutes: Floats
    region: Ints


@dataclass(frozen=True)
class Units:
    """Unit types of plants, each array of shape (U,).

    Parameters
    ----------
    standby
        Whether units start only when they are needed.
    automatic
        Whether they then start by themselves.
    """

    names: tuple[tuple[str, str], ...]
    plant: Ints
    region: Ints
    standby: Bools
    automatic: Bools
    start_minutes: Floats
    capacity_mw: Floats
    reference_c: Floats
    derating_per_c: Floats
    cutout_c: Floats
    start_below_c: Floats


@dataclass(frozen=True)
class Plants:
    """Cooling plants.

    Parameters
    ----------
    serves
        Whether a plant cools a cluster, shape (P, C).
    emergency
        Plants that run in an emergency alone, shape (P,).
    buffer_mj
        Heat that the chilled-water tank takes up, shape (P,).
    start_interval
        Minutes between the starts of two units, shape (P,).
    restart_units
        Units that carry heat before clusters restart, shape (P,).
    rejects_to
        Plant that carries on the heat of each, −1 where there is none, shape (P,).
    """

    names: tuple[str, ...]
    serves: Bools
    emergency: Bools
    buffer_mj: Floats
    start_interval: Floats
    restart_units: Floats
    rejects_to: Ints


@dataclass(frozen=True)
class Offers:
    """Emergency offers, each array of shape (V,)."""

    names: tuple[str, ...]
    rps: Floats
    rps_per_gpu: Floats
    lead_minutes: Floats
    usd_per_gpu_minute: Floats


@dataclass(frozen=True)
class Services:
    """Services with a capacity or a pool, each array of shape (X,)."""

    names: tuple[str, ...]
    seconds: Floats
    holds_while_waiting: Bools


@dataclass(frozen=True)
class Tiers:
    """Tiers by priority.

    Parameters
    ----------
    share
        Share of the demand of every zone, shape (K,).
    allocation
        Share of scarce capacity reserved for it, shape (K,).
    thermal_limit_c
        Highest temperature of a cluster that may run its work, shape (K,).
    yields
        Whether it is preemptible work, which yields its GPUs to all other tiers, shape (K,).
    checkpoint_minutes
        Minutes between its checkpoints, 0 where it loses nothing, shape (K,).
    cold_factor
        Work of a request with cold caches over that with warm ones, NaN for that of the operations.
    retries
        What clients do when a request fails.
    """

    names: tuple[str, ...]
    share: Floats
    allocation: Floats
    thermal_limit_c: Floats
    yields: Bools
    checkpoint_minutes: Floats
    cold_factor: Floats
    retries: RetryTerms


@dataclass(frozen=True)
class Restoration:
    """Phases of restoration, shape (phases,), or (phases + 1,) with normal operation after them.

    Parameters
    ----------
    shares
        Share of the cluster that takes requests, 1 after the last phase.
    admits
        Tiers admitted in each phase where the platform restores as a whole, shape (phases + 1, K).
    """

    minutes: Floats
    shares: Floats
    admits: Bools


@dataclass(frozen=True)
class ScenarioReaction:
    """How operators and load balancers react in each scenario; shape (S,), minutes unless said so.

    Parameters
    ----------
    failures
        Minutes of the failures to react to, infinite where there are no more, (S, failures).
    reaction, order
        From a failure to the first action of operators, and to the order of emergency capacity.
    reroute
        From a failure to the first rerouting by load balancers.
    sheds, migrates
        Whether load is shed by priority, and moved off hot clusters, automatically.
    operators_shed, operators_migrate
        Whether operators do so once they react.
    failover
        Delay after which load balancers know of a change of capacity.
    restart_check
        Checks before a cluster takes requests again.
    queue_limit, patience
        Most requests in the queue, and mean time until a client times out.
    rationing
        Whether scarce capacity is divided by the tiers' allocations.
    by_platform
        Whether the platform restores as a whole, not each cluster on its own.
    standby_after, switch_off_after, shed_after, ventilate_after, restart_after
        From the first action of operators to others of them.
    act_after
        From the alert to the first action.
    detection_c, standby_start_c, switch_off_c, shedding_c
        Temperatures that trigger the alert and these actions, °C, infinite for none.
    restart_hold, failback
        Minutes below the restart temperature before checks, and from a restart to its requests.
    restart_per_minute
        GPUs of each cluster that come back in a minute.
    cooldown_share
        Share of the cooling that operators keep free to cool down hot clusters.
    cold_factor, cold_most, cold_half_life
        Work per request with cold caches over that with warm ones, of tiers that state none and the
        largest of all tiers, and how fast they warm up.
    """

    failures: Floats
    reaction: Floats
    order: Floats
    reroute: Floats
    sheds: Bools
    operators_shed: Bools
    migrates: Bools
    operators_migrate: Bools
    failover: Ints
    restart_check: Floats
    queue_limit: Floats
    patience: Floats
    rationing: Bools
    by_platform: Bools
    standby_after: Floats
    switch_off_after: Floats
    shed_after: Floats
    ventilate_after: Floats
    restart_after: Floats
    act_after: Floats
    detection_c: Floats
    standby_start_c: Floats
    switch_off_c: Floats
    shedding_c: Floats
    restart_hold: Floats
    restart_per_minute: Floats
    failback: Floats
    cooldown_share: Floats
    cold_factor: Floats
    cold_most: Floats
    cold_half_life: Floats


@dataclass(frozen=True)
class World:
    """What never changes during a simulation.

    Parameters
    ----------
    routes
        Targets of each zone and tier, nearest first.
    interval
        Row of `system_states` in force in each scenario and minute, shape (T, S).
    hour
        Place of the start hour of each scenario among the hours of the next two, shape (S,).
    usual_rps
        Requests per second of zones without surges, by start hour, shape (hours, T, Z).
    usual_c
        Usual ambient temperature, shape (hours, T, R).
    """

    model: Model
    graph: Graph
    timelines: tuple[Timeline, ...]
    stacker: Stacker
    tiers: Tiers
    clusters: Clusters
    plants: Plants
    units: Units
    offers: Offers
    services: Services
    routes: Routes
    restoration: Restoration
    reaction: ScenarioReaction
    system_states: SystemStates
    interval: Ints
    hour: Ints
    usual_rps: Floats
    usual_c: Floats

    @cached_property
    def by_zone(self) -> bool:
        """Whether what is served is recorded by zone: where the standard speaks of zones."""
        return asks_by_zone(self.model)

    @cached_property
    def bearing(self) -> frozenset[str]:
        """Nodes that support anything in the fleet."""
        return dependency_index(self.model, self.graph).bearing_of(self.stacker.fleet)

    @property
    def minutes(self) -> int:
        """Length of the simulation."""
        return len(self.interval)

    def zone_rps(self, index: int) -> Floats:
        """Requests per second of zones in a scenario, shape (T, Z)."""
        factor = self.system_states.demand_factor[self.interval[:, index]]
        rps: Floats = self.usual_rps[self.hour[index]] * factor
        return rps
