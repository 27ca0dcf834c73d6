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
from planner.infrastructure.operations import ReactionTimes

Severity = Literal["single", "double", "common", "region", "extreme"]
#: Hours of the week at which a failure is planned for: those that matter, that of peak demand, all.
HourChoice = Literal["worst", "peak", "all"]


class ServedRule(Entity):
    """A service level objective (SLO) of the survival standard."""

    tier: Name
    """A tier, `each` (every tier separately) or `all` (all tiers together)."""
    zone: Name | None = None
    """A zone, or `each` (every zone separately); none means the demand of all zones together."""
    from_minute: Minutes
    """Minute from which the objective applies, counted from the latest loss, or from the first
    other event where nothing is lost."""
    least_served: Share
    """Minimum service level: share of demand served in every minute."""


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
    """Kind of the event."""
    plant: Name
    """Plant affected."""
    unit: Name
    """Unit type lost."""
    count: PositiveCount = 1
    """Units lost."""
    at_minute: Minutes = 0.0
    """Minute of the failure."""
    repair_minutes: Annotated[Minutes, Field(gt=0)]
    """Minutes until repaired."""


class LargestUnitsLoss(Entity):
    """Loss of the largest units of a plant, whichever types the plan buys."""

    kind: Literal["largest-units"]
    """Kind of the event."""
    plant: Name
    """Plant affected."""
    count: PositiveCount = 1
    """Units lost."""
    planned: Flag = False
    """Whether they are out for maintenance: no failure that anybody has to react to."""
    at_minute: Minutes = 0.0
    """Minute of the failure."""
    repair_minutes: Annotated[Minutes, Field(gt=0)]
    """Minutes until repaired."""


class NodeLoss(Entity):
    """Loss of a whole node of the graph."""

    kind: Literal["plant", "feed", "region", "provider", "cluster", "service"]
    """Kind of the node."""
    name: Name
    """Node affected."""
    at_minute: Minutes = 0.0
    """Minute of the failure."""
    repair_minutes: Annotated[Minutes, Field(gt=0)]
    """Minutes until repaired."""
    generators_start: Flag = True
    """Whether the generators behind a feed that is lost start."""


class Sag(Entity):
    """Voltage sag on a feed: running cooling units on it trip, batteries carry the clusters."""

    kind: Literal["sag"]
    """Kind of the event."""
    feed: Name
    """Feed affected; plants with another feed keep running."""
    at_minute: Minutes = 0.0
    """Minute of the sag."""
    repair_minutes: Annotated[Minutes, Field(gt=0)] = 1.0
    """Minutes until the units restart (plus the `restart_minutes` of the unit); where they do not
    restart automatically, until operators have restarted them."""


class Heat(Entity):
    """Ambient temperature above the design value."""

    kind: Literal["heat"]
    """Kind of the event."""
    region: Name
    """Region affected."""
    rise_c: Kelvin
    """Degrees above the design ambient."""
    at_minute: Minutes = 0.0
    """Minute of its start."""
    repair_minutes: Annotated[Minutes, Field(gt=0)]
    """Minutes until it is over."""


class Surge(Entity):
    """Demand above its normal shape."""

    kind: Literal["surge"]
    """Kind of the event."""
    zones: tuple[Name, ...] = ()
    """Zones affected; none named means all."""
    factor: Annotated[PositiveAmount, Field(le=100)]
    """Demand as a multiple of normal demand."""
    at_minute: Minutes = 0.0
    """Minute of its start."""
    repair_minutes: Annotated[Minutes, Field(gt=0)]
    """Minutes until it is over."""


class Supply(Entity):
    """Emergency capacity of which providers deliver only a share, or nothing yet.

    Of several at the same time the one that delivers least counts.
    """

    kind: Literal["supply"]
    """Kind of the event."""
    providers: tuple[Name, ...] = ()
    """Providers affected; none named means all."""
    delivers: Share = 0.0
    """Share of the reserved capacity that they deliver meanwhile."""
    at_minute: Minutes = 0.0
    """Minute of its start."""
    repair_minutes: Annotated[Minutes, Field(gt=0)]
    """Minutes until they deliver all that is reserved."""


Event = Annotated[
    UnitLoss | LargestUnitsLoss | NodeLoss | Sag | Heat | Surge | Supply,
    Field(discriminator="kind"),
]


class OperationsOverride(ReactionTimes):
    """Changes of a scenario to the reaction of operators and automation."""

    priority_shedding: Literal["automatic", "operator", "none"] | None = None
    """Whether scarce capacity goes to tiers by priority."""
    earliest_reroute_minutes: Minutes | None = None
    """From the failure to the first rerouting by load balancers."""
    rationing: Literal["priority", "allocation"] | None = None
    """How scarce capacity is shared among tiers."""
    thermal_migration: Literal["automatic", "operator", "none"] | None = None
    """Whether requests leave clusters hotter than the limit of their tier."""
    restart_check_minutes: Minutes | None = None
    """Checks before a cluster that was off takes requests again."""
    restart_hold_minutes: Minutes | None = None
    """Minutes for which a cluster has to be below `restart_c` before its checks begin."""
    restart_gpus_per_hour: PositiveAmount | None = None
    """GPUs of each cluster that people bring back in an hour after a shutdown or after switching
    them off; none means all at once."""
    failback_minutes: Minutes | None = None
    """From the restart of a cluster to the first requests: automation that has moved them away
    keeps them away until people correct it."""
    cooldown_share: Annotated[Share, Field(lt=1)] | None = None
    """Share of the cooling that operators keep free to cool clusters above `restart_c` when they
    switch off GPUs; 0 means that what stays on takes all of it and the heat stays."""
    cold_cache_factor: Annotated[Amount, Field(ge=1, le=100)] | None = None
    """Work per request whose caches are cold, over that with warm ones, where failover brings
    requests to targets that did not serve them."""
    cold_cache_half_life_minutes: Annotated[Minutes, Field(gt=0)] | None = None
    """Minutes in which half of the requests that a target has gained find warm caches."""
    restoration_scope: Literal["cluster", "platform"] | None = None
    """Whether phases hold back the cluster or the platform."""
    queue_limit_requests: Amount | None = None
    """Limit on waiting requests."""
    patience_minutes: Annotated[Minutes, Field(gt=0)] | None = None
    """Mean minutes after which a waiting request times out."""


class Scenario(NamedEntity):
    """Initial failure events with their severity class and frequency."""

    name: SkipJsonSchema[LongName] = Field(default="unnamed", repr=True)
    """The key of the scenario, or the name that its family gives it."""
    severity: Severity
    """Severity class, whose objectives of the survival standard apply."""
    frequency_per_year: PerYear
    """Expected occurrences in a year."""
    start_hour: Annotated[Hours, Field(lt=168)] | None = None
    """Hour of the week at minute 0; none means the hours that `hours` says."""
    start_date: Name | None = None
    """Day of the year at minute 0, `Jul-15`, whose air regions with a year of climate have; none
    means any day that is no hotter than the design ambient."""
    hours: HourChoice = "peak"
    """Hours of the week at which it is planned for: `worst` (those that matter), `peak` (that of
    peak demand) or `all`."""
    operations: OperationsOverride = OperationsOverride()
    """Changes to the reaction of operators and automation."""
    emergency_budget_usd: Amount | None = None
    """Emergency budget; none means that of its class or of the finance section."""
    events: tuple[Event, ...] = Field(min_length=1)
    """Initial events."""


class FamilyTerms(Entity):
    """Severity, frequency and repair time of a generated family."""

    severity: Severity
    """Severity class."""
    frequency_per_year: PerYear | None = None
    """Frequency of each scenario; none means derived from failure rates."""
    repair_hours: Annotated[Hours, Field(gt=0)] | None = None
    """Repair time; none means that of the component."""
    emergency_budget_usd: Amount | None = None
    """Emergency budget of each scenario; none means that of its class."""
    hours: HourChoice | None = None
    """Hours of the week at which each failure is planned for; none means those of all families."""
    without: tuple[LongName, ...] = ()
    """Scenarios of the family that are excluded, by name."""


class Generators(Entity):
    """Scenario families generated from the graph; a family left out is not generated."""

    hours: HourChoice = "worst"
    """Hours of the week at which generated failures are planned for: `worst` (those that matter,
    by proof), `peak` (that of peak demand) or `all`."""
    unit: FamilyTerms | None = None
    """Loss of the largest unit of each primary plant."""
    units: FamilyTerms | None = None
    """Loss of the k largest units of each plant, k being its redundancy (if over 1)."""
    maintenance: FamilyTerms | None = None
    """Loss of the largest unit of each primary plant while another is out for maintenance."""
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
    provider_short: FamilyTerms | None = None
    """Loss of each region while everybody wants capacity: providers deliver only a share."""
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
    """Failed changes (`operations.changes`)."""
    heat_wave_rise_c: Kelvin = 5.0
    """Degrees above the design ambient in a heat wave."""
    provider_short_delivers: Share = 0.0
    """Share of reserved emergency capacity that providers deliver in `provider_short`."""
    surge_factor: Annotated[PositiveAmount, Field(le=100)] = 1.2
    """Demand in a surge as a multiple of normal demand."""
