"""How fast people and automation react, and how a platform comes back."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from planner.infrastructure.fields import (
    Amount,
    Celsius,
    Entity,
    Minutes,
    Name,
    PerYear,
    PositiveAmount,
    Share,
    Table,
)


class Reaction(Entity):
    """Times of reaction that a measure brings down to, where they are longer."""

    detection_minutes: Minutes | None = None
    """From the failure to the alert (thermal monitoring, earlier detection)."""
    escalation_minutes: Minutes | None = None
    """From the alert to the people who may act."""
    response_minutes: Minutes | None = None
    """From then to the first action (automated start-up and shedding)."""
    approval_minutes: Minutes | None = None
    """From the first action to the order of emergency capacity (pre-approved procurement)."""
    failover_minutes: Minutes | None = None
    """From a change of a cluster's capacity to the load balancers acting on it."""


class RestorationPhase(Entity):
    """One step of bringing a cluster back."""

    capacity: Annotated[Share, Field(gt=0)]
    """Share of the cluster that takes requests."""
    minutes: Minutes
    """Length of the phase."""
    tiers: tuple[Name, ...] = ()
    """Tiers that the platform admits in this phase where it restores as a whole; none named means
    all."""


class RestorationGates(Entity):
    """What has to hold at the end of a restoration phase; otherwise it is rolled back."""

    p99_seconds: PositiveAmount = 10.0
    """Longest response time of 99 % of requests."""
    error_share: Share = 0.05
    """Largest share of admitted requests that fail."""
    temperature_c: Celsius = 85.0
    """Hottest GPU temperature of the cluster."""
    queue_requests: Amount = 100_000.0
    """Most requests waiting."""


class OperationalChange(Entity):
    """Something that people change, and how often that goes wrong."""

    times_per_year: PerYear
    """Changes in a year (deployments, settings, work in a hall), all places together."""
    failure_probability: Share = 1.0
    """Share of them that go wrong."""
    rollback_minutes: Annotated[Minutes, Field(gt=0)]
    """Mean minutes from the failure until it is undone."""
    reach: Literal["cluster", "region", "platform"] = "region"
    """What one that goes wrong takes down: one cluster, the clusters of one region, or all; which
    one is left to chance."""
    services: tuple[Name, ...] = ()
    """Services that it takes down instead of clusters, whatever its reach."""

    @property
    def failures_per_year(self) -> float:
        """Changes that go wrong in a year."""
        return self.times_per_year * self.failure_probability


class Operations(Entity):
    """How fast people and automation react."""

    detection_minutes: Minutes = 5.0
    """From the failure to the alert."""
    escalation_minutes: Minutes = 0.0
    """From the alert to the people who may act."""
    response_minutes: Minutes = 10.0
    """From then to the first action."""
    approval_minutes: Minutes = 0.0
    """From the first action to the order of emergency capacity."""
    failover_minutes: Minutes = 4.0
    """From a change of a cluster's capacity to the load balancers acting on it."""
    routing: Literal["nearest", "cheapest"] = "nearest"
    """Which clusters within reach load balancers ask first: the nearest (`prefers`, then latency),
    or those where a request costs least (energy with cooling, and transport)."""
    earliest_reroute_minutes: Minutes = 0.0
    """From the failure to the first rerouting by load balancers; until then they go by what they
    knew before."""
    priority_shedding: Literal["automatic", "operator", "none"] = "automatic"
    """Whether scarce capacity goes to tiers by priority at once, after the response, or never."""
    rationing: Literal["priority", "allocation"] = "priority"
    """Whether scarce capacity goes to tiers in full by priority, or first by the share set aside
    for each (`scarcity_allocation`)."""
    thermal_migration: Literal["automatic", "operator", "none"] = "automatic"
    """Whether work leaves clusters hotter than the limit of its tier at once, after the response,
    or never."""
    restart_check_minutes: Minutes = 15.0
    """Checks before a cluster that was off takes requests again."""
    restoration: tuple[RestorationPhase, ...] = ()
    """Phases of bringing a cluster back; none means at once."""
    restoration_scope: Literal["cluster", "platform"] = "cluster"
    """Whether phases hold back only the cluster that returns, or operators also admit only the
    tiers of the phase to the whole platform once a cluster has switched itself off."""
    gates: RestorationGates | None = None
    """What has to hold at the end of each phase; none means that phases end by time alone."""
    queue_limit_requests: Amount = 1_000_000.0
    """Most requests waiting; more are dropped."""
    patience_minutes: Annotated[Minutes, Field(gt=0)] = 2.0
    """Mean minutes after which a waiting request times out. Without shedding by priority its place
    in the queue stays taken and the work is done in vain."""
    alert_temperatures_c: tuple[Celsius, ...] = (75.0, 85.0, 90.0)
    """GPU temperatures that raise an alert: warning, critical, emergency."""
    alert_utilisation: Share = 0.95
    """Utilisation of a cluster that raises an alert."""
    changes: Table[OperationalChange] = Field(default_factory=dict)
    """What deployments and operators do wrong, by name. It counts towards availability and loss; it
    is planned for where the family `change` is generated."""
