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


class ReactionTimes(Entity):
    """Times of reaction, and temperatures that trigger it earlier, of a measure or scenario."""

    detection_minutes: Minutes | None = None
    """From the failure to the alert (thermal monitoring, earlier detection)."""
    escalation_minutes: Minutes | None = None
    """From the alert to the operators who are allowed to act."""
    response_minutes: Minutes | None = None
    """From then to the first action (automated start-up and shedding)."""
    approval_minutes: Minutes | None = None
    """From the first action to the order of emergency capacity (pre-approved procurement)."""
    standby_start_minutes: Minutes | None = None
    """From the first action to the start of standby cooling that operators start."""
    switch_off_minutes: Minutes | None = None
    """From the first action to switching off GPUs that cannot be cooled."""
    shedding_minutes: Minutes | None = None
    """From the first action to shedding by priority and moving work off hot clusters, where
    operators do that."""
    ventilation_minutes: Minutes | None = None
    """From the first action to opened doors and emergency fans."""
    restart_minutes: Minutes | None = None
    """From the first action to the restart of clusters that are off and have cooled down."""
    failover_minutes: Minutes | None = None
    """From a change of a cluster's capacity to the load balancers acting on it."""
    detection_c: Celsius | None = None
    """Temperature of any cluster that raises the alert, if it has not come by then."""
    standby_start_c: Celsius | None = None
    """Temperature of any cluster that starts standby cooling which operators start otherwise."""
    switch_off_c: Celsius | None = None
    """Temperature of any cluster from which GPUs that cannot be cooled are switched off."""
    shedding_c: Celsius | None = None
    """Temperature of any cluster from which is done what operators do after `shedding_minutes`."""


class Reaction(ReactionTimes):
    """Reaction with a measure, where its times and temperatures are less than without."""


class RestorationPhase(Entity):
    """A phase of restoring a cluster."""

    capacity: Annotated[Share, Field(gt=0)]
    """Share of the cluster that takes requests."""
    minutes: Minutes
    """Length of the phase."""
    tiers: tuple[Name, ...] = ()
    """Tiers that the whole platform admits in this phase (`restoration_scope: platform`); none
    named means all."""


class RestorationGates(Entity):
    """Conditions at the end of a restoration phase; if one fails, the phase is rolled back."""

    p99_seconds: PositiveAmount = 10.0
    """Longest response time of 99 % of requests."""
    error_share: Share = 0.05
    """Largest share of admitted requests that fail."""
    temperature_c: Celsius = 85.0
    """Hottest GPU temperature of the cluster."""
    queue_requests: Amount = 100_000.0
    """Limit on waiting requests."""


class OperationalChange(Entity):
    """A kind of operational change, and how often it fails."""

    times_per_year: PerYear
    """Changes in a year (deployments, settings, work in a hall), all places together."""
    failure_probability: Share = 1.0
    """Change failure rate: share of them that fail."""
    rollback_minutes: Annotated[Minutes, Field(gt=0)]
    """Mean minutes from the failure until the change is rolled back."""
    reach: Literal["cluster", "region", "platform"] = "region"
    """Blast radius of a failed change: one cluster or the clusters of one region, chosen at random,
    or all clusters."""
    services: tuple[Name, ...] = ()
    """Services that a failed change takes down instead of clusters."""

    @property
    def failures_per_year(self) -> float:
        """Failed changes a year."""
        return self.times_per_year * self.failure_probability


class Operations(Entity):
    """Reaction of operators and automation."""

    detection_minutes: Minutes = 5.0
    """From the failure to the alert."""
    escalation_minutes: Minutes = 0.0
    """From the alert to the operators who are allowed to act."""
    response_minutes: Minutes = 10.0
    """From then to the first action."""
    approval_minutes: Minutes = 0.0
    """From the first action to the order of emergency capacity."""
    standby_start_minutes: Minutes = 0.0
    """From the first action to the start of standby cooling that operators start."""
    switch_off_minutes: Minutes = 0.0
    """From the first action to switching off GPUs that cannot be cooled."""
    shedding_minutes: Minutes = 0.0
    """From the first action to shedding by priority and moving work off hot clusters, where
    operators do that."""
    ventilation_minutes: Minutes = 0.0
    """From the first action to opened doors and emergency fans."""
    restart_minutes: Minutes = 0.0
    """From the first action to the restart of clusters that are off and have cooled down."""
    failover_minutes: Minutes = 4.0
    """From a change of a cluster's capacity to the load balancers acting on it."""
    detection_c: Celsius | None = None
    """Temperature of any cluster that raises the alert, if it has not come by then; none means by
    time alone."""
    standby_start_c: Celsius | None = None
    """Temperature of any cluster that starts standby cooling which operators start otherwise."""
    switch_off_c: Celsius | None = None
    """Temperature of any cluster from which GPUs that cannot be cooled are switched off."""
    shedding_c: Celsius | None = None
    """Temperature of any cluster from which is done what operators do after `shedding_minutes`."""
    routing: Literal["nearest", "cheapest"] = "nearest"
    """Which clusters within the latency limit load balancers prefer: the nearest (`prefers`, then
    latency), or the cheapest per request (energy with cooling, and transport)."""
    earliest_reroute_minutes: Minutes = 0.0
    """From the failure to the first rerouting by load balancers; until then they route as
    before."""
    priority_shedding: Literal["automatic", "operator", "none"] = "automatic"
    """Whether scarce capacity goes to tiers by priority at once, after the response, or never."""
    rationing: Literal["priority", "allocation"] = "priority"
    """Whether scarce capacity goes to tiers strictly by priority, or first by the share reserved
    for each (`scarcity_allocation`)."""
    thermal_migration: Literal["automatic", "operator", "none"] = "automatic"
    """Whether requests leave clusters hotter than the limit of their tier at once, after the
    response, or never."""
    restart_check_minutes: Minutes = 15.0
    """Checks before a cluster that was off takes requests again."""
    restart_hold_minutes: Minutes = 0.0
    """Minutes for which a cluster has to be below `restart_c` before its checks begin."""
    restart_gpus_per_hour: PositiveAmount | None = None
    """GPUs of each cluster that people bring back in an hour after a shutdown or after switching
    them off; none means all at once."""
    failback_minutes: Minutes = 0.0
    """From the restart of a cluster to the first requests: automation that has moved them away
    keeps them away until people correct it."""
    cooldown_share: Annotated[Share, Field(lt=1)] = 0.0
    """Share of the cooling that operators keep free to cool clusters above `restart_c` when they
    switch off GPUs; 0 means that what stays on takes all of it and the heat stays."""
    restoration: tuple[RestorationPhase, ...] = ()
    """Phases of restoring a cluster; none means at once."""
    restoration_scope: Literal["cluster", "platform"] = "cluster"
    """Whether phases limit only the restored cluster, or also the tiers that the whole platform
    admits after a thermal shutdown."""
    gates: RestorationGates | None = None
    """Conditions at the end of each phase; none means that phases end by time alone."""
    queue_limit_requests: Amount = 1_000_000.0
    """Limit on waiting requests; more are dropped."""
    patience_minutes: Annotated[Minutes, Field(gt=0)] = 2.0
    """Mean minutes after which a waiting request times out. Without shedding by priority it keeps
    its place in the queue, and the work on it is wasted."""
    cold_cache_factor: Annotated[Amount, Field(ge=1, le=100)] = 1.0
    """Work per request whose caches are cold, over that with warm ones, where failover brings
    requests to targets that did not serve them."""
    cold_cache_half_life_minutes: Annotated[Minutes, Field(gt=0)] = 10.0
    """Minutes in which half of the requests that a target has gained find warm caches."""
    alert_temperatures_c: tuple[Celsius, ...] = (75.0, 85.0, 90.0)
    """GPU temperatures that raise an alert: warning, critical, emergency."""
    alert_utilisation: Share = 0.95
    """Utilisation of a cluster that raises an alert."""
    changes: Table[OperationalChange] = Field(default_factory=dict)
    """Operational changes that can fail, by name. They count towards availability and loss, and are
    planned for where the family `change` is generated."""
