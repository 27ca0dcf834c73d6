"""What can go wrong, as a model file states it: events, scenarios, families, the standard."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, PlainSerializer
from pydantic.json_schema import SkipJsonSchema

from planner.infrastructure.fields import (
    Amount,
    Entity,
    Flag,
    Hours,
    Kelvin,
    LongName,
    Minutes,
    Name,
    NamedEntity,
    PerYear,
    PositiveAmount,
    PositiveCount,
    ReadOnlyDict,
    Share,
)

Severity = Literal["single", "double", "common", "region", "extreme"]


class ServedRule(Entity):
    """One line of the survival standard."""

    tier: Name
    """A tier, `each` (every tier by itself) or `all` (all tiers together)."""
    zone: Name | None = None
    """A zone, or `each` (every zone by itself); none means the demand of all zones together."""
    from_minute: Minutes
    """Minutes from the latest event that takes something down, or else from the first that makes
    anything worse, from which the rule holds."""
    least_served: Share
    """Least fraction of demand served in every minute."""


Standard = Annotated[
    Mapping[Severity, tuple[ServedRule, ...]],
    AfterValidator(ReadOnlyDict),
    PlainSerializer(dict, when_used="always"),
]


AmountByClass = Annotated[
    Mapping[Severity, Amount],
    AfterValidator(ReadOnlyDict),
    PlainSerializer(dict, when_used="always"),
]


class UnitLoss(Entity):
    """Loss of named units of a plant."""

    kind: Literal["units"]
    """Discriminator."""
    plant: Name
    """Plant hit."""
    unit: Name
    """Unit type lost."""
    count: PositiveCount = 1
    """Units lost."""
    at_minute: Minutes = 0.0
    """Minute of the failure."""
    repair_minutes: Annotated[Minutes, Field(gt=0)]
    """Minutes until repaired."""


class LargestUnitsLoss(Entity):
    """Loss of the largest units of a plant, whatever they are in the plan."""

    kind: Literal["largest-units"]
    """Discriminator."""
    plant: Name
    """Plant hit."""
    count: PositiveCount = 1
    """Units lost."""
    at_minute: Minutes = 0.0
    """Minute of the failure."""
    repair_minutes: Annotated[Minutes, Field(gt=0)]
    """Minutes until repaired."""


class NodeLoss(Entity):
    """Loss of a whole node of the graph."""

    kind: Literal["plant", "feed", "region", "provider", "cluster", "service"]
    """Kind of the node."""
    name: Name
    """Node hit."""
    at_minute: Minutes = 0.0
    """Minute of the failure."""
    repair_minutes: Annotated[Minutes, Field(gt=0)]
    """Minutes until repaired."""
    generators_start: Flag = True
    """Whether the generators behind a feed that is lost start."""


class Sag(Entity):
    """Voltage sag on a feed: running cooling units on it trip, batteries carry the clusters."""

    kind: Literal["sag"]
    """Discriminator."""
    feed: Name
    """Feed hit; plants that another feed supplies too do not notice."""
    at_minute: Minutes = 0.0
    """Minute of the sag."""
    repair_minutes: Annotated[Minutes, Field(gt=0)] = 1.0
    """Minutes until the units restart (`restart_minutes` of the unit come on top); where they do
    not restart by themselves, until people have restarted them."""


class Heat(Entity):
    """Ambient temperature above the design value."""

    kind: Literal["heat"]
    """Discriminator."""
    region: Name
    """Region hit."""
    rise_c: Kelvin
    """Degrees above the design ambient."""
    at_minute: Minutes = 0.0
    """Minute of its start."""
    repair_minutes: Annotated[Minutes, Field(gt=0)]
    """Minutes until it is over."""


class Surge(Entity):
    """Demand above its normal shape."""

    kind: Literal["surge"]
    """Discriminator."""
    zones: tuple[Name, ...] = ()
    """Zones hit; none named means all."""
    factor: Annotated[PositiveAmount, Field(le=100)]
    """Demand over normal demand."""
    at_minute: Minutes = 0.0
    """Minute of its start."""
    repair_minutes: Annotated[Minutes, Field(gt=0)]
    """Minutes until it is over."""


Event = Annotated[
    UnitLoss | LargestUnitsLoss | NodeLoss | Sag | Heat | Surge, Field(discriminator="kind")
]


class OperationsOverride(Entity):
    """What a scenario changes about operations."""

    detection_minutes: Minutes | None = None
    """From the failure to the alert."""
    escalation_minutes: Minutes | None = None
    """From the alert to the people who may act."""
    response_minutes: Minutes | None = None
    """From then to the first action."""
    approval_minutes: Minutes | None = None
    """From the first action to the order of emergency capacity."""
    failover_minutes: Minutes | None = None
    """From a change of capacity to the load balancers acting on it."""
    priority_shedding: Literal["automatic", "operator", "none"] | None = None
    """Whether scarce capacity goes to tiers by priority."""
    earliest_reroute_minutes: Minutes | None = None
    """From the failure to the first rerouting by load balancers."""
    rationing: Literal["priority", "allocation"] | None = None
    """How scarce capacity is shared among tiers."""
    thermal_migration: Literal["automatic", "operator", "none"] | None = None
    """Whether work leaves clusters hotter than the limit of its tier."""
    restart_check_minutes: Minutes | None = None
    """Checks before a cluster that was off takes requests again."""
    restoration_scope: Literal["cluster", "platform"] | None = None
    """Whether phases hold back the cluster or the platform."""
    queue_limit_requests: Amount | None = None
    """Most requests waiting."""
    patience_minutes: Annotated[Minutes, Field(gt=0)] | None = None
    """Mean minutes after which a waiting request times out."""


class Scenario(NamedEntity):
    """Initial failure events with their severity class and frequency."""

    name: SkipJsonSchema[LongName] = Field(default="unnamed", repr=True)
    """The key the scenario stands under, or the name its family gives it."""
    severity: Severity
    """Row of the survival standard that applies."""
    frequency_per_year: PerYear
    """Expected occurrences in a year."""
    start_hour: Annotated[Hours, Field(lt=168)] | None = None
    """Hour of the week at minute 0; none means the hour of peak demand."""
    operations: OperationsOverride = OperationsOverride()
    """What is different about the reaction."""
    emergency_budget_usd: Amount | None = None
    """Approved emergency spend; none means that of its class or of the finance section."""
    events: tuple[Event, ...] = Field(min_length=1)
    """What happens."""


class FamilyTerms(Entity):
    """Severity, frequency and repair time of a generated family."""

    severity: Severity
    """Severity class."""
    frequency_per_year: PerYear | None = None
    """Frequency of each member; none means worked out from failure rates."""
    repair_hours: Annotated[Hours, Field(gt=0)] | None = None
    """Repair time; none means that of the component."""
    emergency_budget_usd: Amount | None = None
    """Approved emergency spend of each member; none means that of its class."""
    without: tuple[LongName, ...] = ()
    """Members that are left out, by the name of their scenario; none means that all are there."""


class Generators(Entity):
    """Scenario families generated from the graph; a family left out is not generated."""

    unit: FamilyTerms | None = None
    """Loss of the largest unit of each primary plant."""
    units: FamilyTerms | None = None
    """Loss of the k largest units of each plant, k being its redundancy (if over 1)."""
    plant: FamilyTerms | None = None
    """Loss of each primary plant."""
    feed: FamilyTerms | None = None
    """Loss of each feed, its generators starting."""
    feed_no_generator: FamilyTerms | None = None
    """Loss of each feed whose generators may fail to start (`generator_start_probability`)."""
    sag: FamilyTerms | None = None
    """Voltage sag on each feed: cooling stops and restarts, batteries carry the clusters."""
    restart_failure: FamilyTerms | None = None
    """Voltage sag after which, by one cause, the running units of the plants do not restart."""
    region: FamilyTerms | None = None
    """Loss of each region."""
    provider: FamilyTerms | None = None
    """Loss of each provider of emergency capacity."""
    heat_wave: FamilyTerms | None = None
    """Heat wave in each region."""
    heat_wave_unit: FamilyTerms | None = None
    """Heat wave together with the loss of the largest unit of each primary plant."""
    surge: FamilyTerms | None = None
    """Demand surge in all zones."""
    cluster: FamilyTerms | None = None
    """Loss of each cluster that may hold GPUs."""
    service: FamilyTerms | None = None
    """Loss of each service with all its replicas, as often as it states, or once in ten years."""
    change: FamilyTerms | None = None
    """What goes wrong when people change something (`operations.changes`)."""
    heat_wave_rise_c: Kelvin = 5.0
    """Degrees above the design ambient in a heat wave."""
    surge_factor: Annotated[PositiveAmount, Field(le=100)] = 1.2
    """Demand in a surge over normal demand."""
