"""Minimal models whose cascades can be worked out by hand, and readable access to a run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from planner.infrastructure.entities import Model
from planner.infrastructure.failures import Event, NodeLoss, Scenario, Surge, UnitLoss
from planner.infrastructure.fleet import Fleet
from planner.scenarios.generators import all_scenarios
from planner.simulation.cascade import History, simulate
from planner.simulation.verdict import Verdict, judge
from planner.simulation.world import World

Floats = NDArray[np.float64]

#: One site: 1,000 GPUs of 10 kW, half of it static, serve 1,000 requests/s on 10 MW of cooling.
#: 60 MJ/K: a megawatt too little cooling warms it by one degree a minute.
ONE = """
regions: {here: {power_limit_mw: 100}}
gpus: {gpu: {power_mw: 0.01, static_share: 0.5, rps: 1.0}}
clusters:
  site: {region: here, gpu: gpu, existing_gpus: 1000, max_gpus: 1000, max_utilisation: 1.0,
         capacitance_mj_per_k_per_mw: 6.0}
cooling_units:
  chiller: {capacity_mw: 1.0, derating_per_c: 0.01}
  fan: {capacity_mw: 1.0, mode: standby, start_minutes: 7}
plants:
  chillers: {region: here, cools: [site], existing: {chiller: 10}}
tiers:
  high: {priority: 1, share: 0.4}
  low: {priority: 2, share: 0.6}
zones: {users: {demand_rps: 1000.0, latency_ms: {here: 1.0}}}
operations: {detection_minutes: 5, response_minutes: 10, failover_minutes: 4,
             restart_check_minutes: 15}
simulation: {horizon_minutes: 120}
"""

#: Two sites of 600 GPUs each; all users are nearer to the first. Cloud for 400 more.
TWO = """
regions: {near: {power_limit_mw: 100}, far: {power_limit_mw: 100}}
gpus: {gpu: {power_mw: 0.01, static_share: 0.5, rps: 1.0}}
clusters:
  first: {region: near, gpu: gpu, existing_gpus: 600, max_gpus: 600, max_utilisation: 1.0}
  second: {region: far, gpu: gpu, existing_gpus: 600, max_gpus: 600, max_utilisation: 1.0}
cooling_units: {chiller: {capacity_mw: 6.0}}
plants:
  first-plant: {region: near, cools: [first], existing: {chiller: 1}}
  second-plant: {region: far, cools: [second], existing: {chiller: 1}}
tiers:
  high: {priority: 1, share: 0.4}
  low: {priority: 2, share: 0.6}
zones: {users: {demand_rps: 500.0, latency_ms: {near: 1.0, far: 50.0}}}
offers:
  cloud: {provider: cloudy, gpus_per_instance: 10, available_gpus: 400, existing_instances: 40,
          lead_time_minutes: 20, usd_per_instance_hour: 60.0, surge_multiplier: 2.0,
          rps_per_gpu: 1.0}
operations: {detection_minutes: 5, response_minutes: 10, approval_minutes: 5, failover_minutes: 4,
             restart_check_minutes: 15}
finance: {emergency_budget_usd: 1.0e+9}
simulation: {horizon_minutes: 120}
"""


@dataclass(frozen=True)
class Run:
    """One simulated scenario; every method gives a value for each minute."""

    world: World
    history: History
    index: int = 0

    def cluster(self, quantity: str, name: str) -> Floats:
        """A record by cluster, such as ``temperature_c``."""
        position = self.world.clusters.names.index(name)
        return getattr(self.history, quantity)[:, self.index, position]

    def target(self, quantity: str, name: str) -> Floats:
        """A record by target, such as ``load_rps``."""
        names = [*self.world.clusters.names, *self.world.offers.names]
        return getattr(self.history, quantity)[:, self.index, names.index(name)]

    def plant(self, name: str) -> Floats:
        """Cooling capacity of a plant."""
        position = list(self.world.model.plants).index(name)
        return self.history.cooling_capacity_mw[:, self.index, position]

    def served(self, tier: str | None = None) -> Floats:
        """Requests per second served, of a tier or of all."""
        served = self.history.served_rps[:, self.index]
        return served.sum(axis=1) if tier is None else served[:, self.world.tiers.names.index(tier)]

    def demand(self) -> Floats:
        """Requests per second wanted."""
        return self.history.demand_rps[:, self.index].sum(axis=1)

    def attempts(self) -> Floats:
        """Requests per second with retries."""
        return self.history.attempts_rps[:, self.index].sum(axis=1)

    def service(self, quantity: str, name: str) -> Floats:
        """A record by service with a limit, such as ``pool_use``."""
        names = self.world.services.names
        return getattr(self.history, quantity)[:, self.index, names.index(name)]

    def lost(self) -> float:
        """Requests whose clients gave up, and those that have no answer at the end."""
        left = self.total("waiting")[-1] - self.total("stale")[-1] + self.total("retrying")[-1]
        return float(self.total("gave_up").sum() + left)

    def total(self, quantity: str) -> Floats:
        """A record of requests or money of the whole platform, such as ``shed``."""
        return getattr(self.history, quantity)[:, self.index]


def scenario(*events: Event, **changes: object) -> Scenario:
    """A scenario of some events."""
    fields = {"name": "case", "severity": "common", "frequency_per_year": 0.1, "events": events}
    return Scenario.model_validate(fields | changes)


def run(model: Model, *events: Event, fleet: Fleet | None = None, **changes: object) -> Run:
    """Simulate what exists in a model through some events."""
    world, history = simulate(
        model, fleet or Fleet.existing(model), (scenario(*events, **changes),)
    )
    return Run(world, history)


def judged(model: Model, *events: Event, fleet: Fleet | None = None, **changes: object) -> Verdict:
    """Verdict on what exists in a model after some events."""
    return judge(model, fleet or Fleet.existing(model), (scenario(*events, **changes),))[0]


def verdicts_of(model: Model, fleet: Fleet | None = None) -> Mapping[str, Verdict]:
    """Verdicts of all scenarios of a model, by name."""
    verdicts = judge(model, fleet or Fleet.existing(model), all_scenarios(model))
    return {verdict.name: verdict for verdict in verdicts}


def changed(model: Model, section: str, name: str, **changes: object) -> Model:
    """The model with some fields of one entry changed."""
    entries = getattr(model, section)
    return model.replace(**{section: {**entries, name: entries[name].replace(**changes)}})


def operating(model: Model, **changes: object) -> Model:
    """The model with other operations."""
    return model.replace(operations=model.operations.replace(**changes))


def hasty(model: Model) -> Model:
    """The model without a queue: what is not served at once has failed."""
    return operating(model, queue_limit_requests=0)


def unattended(model: Model) -> Model:
    """The model with operators who never come and load balancers that act at once."""
    return operating(model, detection_minutes=10_000, failover_minutes=0)


def lasting(model: Model, minutes: float) -> Model:
    """The model with another length of the simulation."""
    return model.replace(simulation=model.simulation.replace(horizon_minutes=float(minutes)))


def lose(kind: str, name: str, at: float = 10, minutes: float = 1000) -> NodeLoss:
    """Loss of a node."""
    fields = {"kind": kind, "name": name, "at_minute": at, "repair_minutes": minutes}
    return NodeLoss.model_validate(fields)


def lose_chillers(count: int, at: float = 0, minutes: float = 1000) -> UnitLoss:
    """Loss of chillers of `one`."""
    return UnitLoss(
        kind="units",
        plant="chillers",
        unit="chiller",
        count=count,
        at_minute=at,
        repair_minutes=minutes,
    )


def surge(factor: float, at: float, minutes: float, *zones: str) -> Surge:
    """Demand above its normal shape."""
    return Surge(kind="surge", factor=factor, zones=zones, at_minute=at, repair_minutes=minutes)


def fluid_queue(
    live: float, stale: float, arriving: float, capacity: float, patience: float
) -> tuple[float, float, float]:
    """Live, stale and good after a minute of `planner.laws.queues.competing_queue`, step by step.

    The fluid limit in a thousand small steps, with service in random order of all that wait.
    """
    steps, good = 1000, 0.0
    for _ in range(steps):
        live += arriving / steps
        share = min(1.0, capacity / steps / max(live + stale, 1e-12))
        good += share * live
        live, stale = live * (1 - share), stale * (1 - share)
        gone = live * (1 - math.exp(-1 / (patience * steps)))
        live, stale = live - gone, stale + gone
    return live, stale, good
