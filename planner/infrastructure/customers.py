"""Who uses the platform: tiers of customers, where they are, and what they do on failure."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from planner.infrastructure.fields import (
    Amount,
    Celsius,
    Count,
    Entity,
    Minutes,
    Name,
    NamedEntity,
    PositiveAmount,
    PositiveCount,
    Share,
    Table,
    ZoneOffset,
)


class Retry(Entity):
    """What clients do when a request fails."""

    attempts: Annotated[Count, Field(le=10)] = 0
    """Largest number of retries of a request."""
    backoff_minutes: Annotated[Minutes, Field(gt=0)] = 1.0
    """Mean time before a retry (backoff)."""
    gives_up: Share = 0.0
    """Share of failed requests that are not retried."""


class CreditStep(Entity):
    """One step of a schedule of service credits."""

    below: Annotated[Share, Field(gt=0)]
    """Availability of the month below which it applies."""
    credit: Share
    """Share of the monthly bill credited; of several steps that apply the largest counts."""


class Tier(NamedEntity):
    """A customer tier."""

    priority: PositiveCount
    """1 is served first."""
    share: Share
    """Share of the demand of every zone."""
    sla: Share = 0.0
    """Availability promised."""
    latency_limit_ms: PositiveAmount = 10_000.0
    """Longest network round trip between zone and region."""
    thermal_limit_c: Celsius = 95.0
    """GPU temperature up to which its requests may run on a cluster."""
    scarcity_allocation: Share = 0.0
    """Share of the capacity reserved for it when operators ration."""
    value_usd_per_1000_requests: Amount = 0.0
    """Value of lost requests: revenue, market share, brand."""
    sla_credit_usd_per_1000_requests: Amount = 0.0
    """Credits owed for requests lost."""
    revenue_usd_per_month: Amount = 0.0
    """Monthly bill of all its customers, to which the shares of `sla_credits` apply."""
    sla_credits: tuple[CreditStep, ...] = ()
    """Service credits by the availability of a month. The financial appraisal uses them; the
    optimisation approximates them by the credits for requests lost."""
    entry: Name | None = None
    """Service through which its requests enter."""
    retry: Retry = Retry()
    """What its clients do when a request fails."""
    cold_cache_factor: Annotated[Amount, Field(ge=1, le=100)] | None = None
    """Work of a request of the tier whose caches are cold, over that with warm ones; none means
    that of the operations."""
    checkpoint_minutes: Minutes | None = None
    """Preemptible work (training, batch): minutes between its checkpoints. It yields its GPUs to
    all other tiers that are short and loses what it did since the last one; none means requests of
    users."""


class Zone(NamedEntity):
    """An origin of demand."""

    demand_rps: Amount
    """Requests per second at the peak of the week."""
    shape: Name = "flat"
    """Hourly shape of the week."""
    utc_offset_hours: ZoneOffset = 0
    """Hours by which local time is ahead of UTC: the shape is in local time and is shifted by
    them."""
    latency_ms: Table[Amount]
    """Round trip to each region; regions not named are out of reach."""
    transport_usd_per_million_requests: Table[Amount] = Field(default_factory=dict)
    """Network cost of requests to a region; 0 where not named."""
    prefers: tuple[Name, ...] = ()
    """Preferred regions, in order, before the others by latency."""
