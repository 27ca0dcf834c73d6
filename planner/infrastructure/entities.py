"""What exists and what can be bought: the entities of a model file."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from planner.infrastructure.customers import Tier, Zone
from planner.infrastructure.failures import Generators, Scenario, Standard
from planner.infrastructure.fields import (
    Amount,
    Celsius,
    Count,
    Degrees,
    Entity,
    FilledTable,
    Flag,
    Hours,
    Kelvin,
    LifeYears,
    Minutes,
    Name,
    NamedEntity,
    PerYear,
    PositiveAmount,
    PositiveCount,
    Share,
    Table,
    Text,
    ZoneOffset,
)
from planner.infrastructure.horizon import Horizon
from planner.infrastructure.operations import Operations, Reaction
from planner.infrastructure.policies import Finance, Policies
from planner.laws.overhead import hall_power_mw, plant_power_mw

Plane = Literal["edge", "service", "state", "control"]


class Region(NamedEntity):
    """A place with climate, electricity price and power limit."""

    city: Text = ""
    """Place."""
    latitude: Degrees | None = None
    """Degrees north."""
    longitude: Degrees | None = None
    """Degrees east; none means where the climate that it names was measured."""
    design_ambient_c: Celsius = 35.0
    """Ambient temperature that cooling is sized for."""
    electricity_usd_per_mwh: Amount = 0.0
    """Price of electricity."""
    power_limit_mw: Amount
    """Limit on the electric power of IT and cooling together."""
    power_loss_share: Share = 0.0
    """Losses of transformers, batteries and distribution, as a share of the power of the GPUs."""
    hall_mw_per_mw: Amount = 0.0
    """Electric power of the halls' fans and coolant pumps per power of the GPUs."""
    climate: Name | None = None
    """Hourly temperatures: a year of `climates`, or a hot week to simulate (a column of
    datasets/hot_weeks.csv); none means the design ambient throughout."""
    climate_utc_offset_hours: ZoneOffset | None = None
    """Hours that the times of its climate are ahead of UTC, 0 for times in UTC; none means a whole
    hour for each 15 degrees east."""
    candidate: Flag = False
    """True if the region is not in use yet and has to be opened first."""
    fixed_usd: Amount = 0.0
    """Cost of opening a candidate."""
    fixed_usd_per_year: Amount = 0.0
    """Yearly cost of an opened candidate."""
    life_years: LifeYears = 20.0
    """Years over which the cost of opening is annualised."""

    @property
    def drawn_mw_per_mw(self) -> float:
        """Electric power of GPUs with losses and fans per power of the GPUs."""
        drawn: float = hall_power_mw(1, self.power_loss_share, self.hall_mw_per_mw)
        return drawn


class GpuType(NamedEntity):
    """Power, throughput, temperatures and prices of a GPU, with its share of the server."""

    power_mw: Amount
    """Electric power of one GPU at full load with its share of the server; all becomes heat."""
    static_share: Share
    """Share of that power drawn whenever the GPU is powered, whatever its load and clock."""
    rps: PositiveAmount
    """Requests per second that one GPU serves at full load."""
    capital_usd: Amount = 0.0
    """Price of one GPU with its share of the server."""
    existing_capital_usd: Amount | None = None
    """Historical price of an existing GPU with its share of the server, from which its upkeep and
    book value follow; none means today's price."""
    salvage_usd: Amount = 0.0
    """Salvage value of an existing one when it is retired."""
    life_years: LifeYears = 5.0
    """Economic life of the GPU, after which it is replaced."""
    service_seconds: PositiveAmount = 2.0
    """Time that one request takes at full clock; with `rps` it gives the requests in service."""
    facility_usd: Amount = 0.0
    """Building, power train, network and the halls' part of cooling (air handlers, pipes) for one
    GPU; the units of cooling plants are priced separately."""
    facility_power_share: Share = 0.0
    """Share of it for the power train (feeds, switchgear, batteries, generators), reported
    separately; 0 reports building and power together."""
    existing_facility_usd: Amount | None = None
    """Historical price of building and power train of an existing GPU; none means today's price."""
    facility_life_years: LifeYears = 20.0
    """Life of building and power train."""
    maintenance_share_per_year: Share = 0.0
    """Yearly maintenance as a share of both prices."""
    throttle_c: Celsius | None = None
    """GPU temperature from which GPUs throttle, for clusters that state none."""
    shutdown_c: Celsius | None = None
    """GPU temperature at which GPUs shut down, for clusters that state none."""


class Cluster(NamedEntity):
    """GPUs of one type in one region, bought in blocks."""

    region: Name
    """Region that hosts the cluster."""
    gpu: Name
    """GPU type."""
    existing_gpus: Count = 0
    """GPUs in place."""
    existing_age_years: Amount | None = None
    """Age of the GPUs in place: they are replaced at the end of their life, and their book value is
    written off when they are retired; none means neither."""
    existing_facility_age_years: Amount | None = None
    """The same for their building and power train."""
    block_gpus: PositiveCount = 1
    """GPUs in one block that can be bought (rack or pod)."""
    max_gpus: Count
    """Largest number of GPUs that the cluster can hold."""
    may_retire: Flag = False
    """Whether existing GPUs may be retired, in whole blocks."""
    max_utilisation: Annotated[Share, Field(gt=0)] = 0.95
    """Utilisation beyond which no more requests are routed here."""
    capacitance_mj_per_k_per_mw: PositiveAmount = 29.2
    """Thermal capacitance of room, coolant and racks per MW of installed GPUs."""
    setpoint_c: Celsius = 65.0
    """GPU temperature with sufficient cooling (set point)."""
    throttle_c: Celsius = 75.0
    """GPU temperature from which GPUs throttle; if not given, that of the GPU type where it states
    one."""
    shutdown_c: Celsius = 95.0
    """GPU temperature at which the cluster shuts down; if not given, that of the GPU type where it
    states one."""
    restart_c: Celsius = 70.0
    """GPU temperature below which a cluster may restart after a shutdown."""
    shutdown_spread_c: Kelvin = 0.0
    """Degrees below and above `shutdown_c` over which racks shut down one after the other, as halls
    heat unevenly; 0 means all at once."""
    envelope_mw_per_k: Amount = 0.0
    """Heat that the hall loses through walls and openings per degree above the ambient, and gains
    below it."""
    ventilation_mw_per_k: Amount = 0.0
    """Heat that opened doors and emergency fans let out per degree above the ambient, once
    operators have opened them."""
    pull_down_c_per_minute: PositiveAmount | None = None
    """Fastest cooling of a hot hall; none means as fast as the plant carries heat away."""


class CoolingUnit(NamedEntity):
    """A type of cooling unit."""

    capacity_mw: PositiveAmount
    """Cooling capacity at the reference ambient."""
    reference_ambient_c: Celsius = 35.0
    """Ambient temperature of the rated capacity."""
    derating_per_c: Share = 0.0
    """Derating: share of the rated capacity lost per degree above the reference ambient."""
    cutout_ambient_c: Celsius = 200.0
    """Ambient temperature above which the unit cuts out."""
    start_minutes: Minutes = 0.0
    """Minutes from the start signal to full capacity."""
    restart_minutes: Minutes = 0.0
    """Minutes from the return of power until a running unit cools again."""
    start_below_c: Celsius | None = None
    """Temperature of the hottest cluster of its plant up to which a unit starts: with warmer water
    its protection keeps it off; none means at any."""
    mode: Literal["running", "standby"] = "running"
    """Whether the unit runs all the time or is on standby."""
    power_mw_per_mw: Amount = 0.0
    """Electric power of the machine per heat removed."""
    auxiliary_mw_per_mw: Amount = 0.0
    """Electric power of its pumps and its cooling tower per heat removed."""
    capital_usd: Amount = 0.0
    """Price of one unit, installed."""
    existing_capital_usd: Amount | None = None
    """Historical price of an existing unit, from which its upkeep and book value follow; none means
    today's price."""
    salvage_usd: Amount = 0.0
    """Salvage value of an existing one when it is retired."""
    life_years: LifeYears = 20.0
    """Life of the unit."""
    maintenance_share_per_year: Share = 0.0
    """Yearly maintenance as a share of the price, repairs included unless `repair_usd` prices
    them."""
    failures_per_year: PerYear = 0.0
    """Failures of one unit in a year of operation."""
    repair_hours: Hours = 24.0
    """Mean time to repair."""
    repair_usd: Amount = 0.0
    """Cost of one repair, on top of maintenance."""
    planned_outage_hours_per_year: Hours = 0.0
    """Hours of a year in which a unit is out for planned maintenance; of a plant one at a time."""
    start_failure_probability: Share = 0.0
    """Probability of failure to start on demand, by a common cause for all units of a plant."""

    @property
    def drawn_mw_per_mw(self) -> float:
        """Electric power of machine, pumps and tower per heat carried away."""
        drawn: float = plant_power_mw(1, self.power_mw_per_mw, self.auxiliary_mw_per_mw)
        return drawn


class Plant(NamedEntity):
    """Cooling units that together cool some clusters."""

    region: Name
    """Region of the plant."""
    cools: tuple[Name, ...] = ()
    """Clusters that it cools; none for a plant that only carries on the heat of others."""
    rejects_to: Name | None = None
    """Plant that carries on its heat, as chillers do for a coolant loop; none means that it rejects
    the heat by itself."""
    on_ups: Flag = False
    """Whether batteries of its feeds carry it too, as they do clusters (pumps of a loop)."""
    role: Literal["primary", "emergency"] = "primary"
    """Whether it runs all the time or starts when primary cooling falls short."""
    automatic: Flag = True
    """Whether standby units start automatically; otherwise operators start them."""
    redundancy: Annotated[Count, Field(le=20)] = 0
    """Redundancy, the k of N+k: the plant carries the design heat with its k largest units lost."""
    existing: Table[Count] = Field(default_factory=dict)
    """Units in place by type."""
    existing_age_years: Amount | None = None
    """Age of the units in place: they are replaced at the end of their life, and their book value
    is written off when they are retired; none means neither."""
    options: tuple[Name, ...] = ()
    """Unit types that may be bought."""
    max_added: Count = 100
    """Largest number of units of each type that may be added."""
    may_retire: Flag = False
    """Whether existing units may be retired; those that a scenario loses by type stay."""
    start_interval_minutes: Minutes = 0.0
    """Minutes between the starts of two units, also of those that stopped together."""
    restart_units: Count = 0
    """Units that carry heat before clusters that it cools restart after a shutdown."""
    depends_on: tuple[Name, ...] = ()
    """Services without which the plant does not run (controls, make-up water)."""
    buffer_mwh: Amount = 0.0
    """Heat that a chilled-water tank can absorb when cooling falls short, also without power."""


class Feed(NamedEntity):
    """A utility feed with its batteries and generators."""

    region: Name
    """Region it supplies."""
    capacity_mw: Amount
    """Capacity: limit on the power of all loads that only this feed supplies."""
    powers: tuple[Name, ...] = ()
    """Clusters and plants that it supplies; none named means all of the region. Loads on several
    feeds draw on those that are up, loads on no feed on the power limit of the region alone."""
    ups_minutes: Minutes = 0.0
    """Minutes for which batteries supply the clusters, and of plants those `on_ups`."""
    generator_mw: Amount = 0.0
    """Power of the generators behind it."""
    generator_start_minutes: Minutes = 1.0
    """Minutes until the generators carry their load."""
    generator_start_probability: Share = 1.0
    """Probability that the generators start when the feed is lost."""
    generator_hours: Hours = 48.0
    """Hours for which the fuel lasts."""
    failures_per_year: PerYear = 0.0
    """Failures in a year."""
    repair_hours: Hours = 4.0
    """Mean time to repair."""


class Service(NamedEntity):
    """A software dependency on one of the four planes."""

    plane: Plane
    """Edge, service, state or control plane."""
    replicas: Table[Annotated[Count, Field(le=1000)]] = Field(default_factory=dict)
    """Replicas by region; none means that it is not tied to a region."""
    needs_replicas: Count = 1
    """Replicas that must be up."""
    runs_on: tuple[Name, ...] = ()
    """Clusters it runs on: one of them must be up."""
    depends_on: tuple[Name, ...] = ()
    """Services that must all be up."""
    any_of: tuple[Name, ...] = ()
    """Services of which at least one must be up."""
    degrades_without: tuple[Name, ...] = ()
    """Soft dependencies: services whose loss degrades it without taking it down."""
    degraded_share: Share = 1.0
    """Share of its capacity and connections that remains for each soft dependency lost."""
    capacity_rps: PositiveAmount | None = None
    """Requests per second that one replica handles (all of it, without replicas)."""
    connections: PositiveAmount | None = None
    """Connections in the pool of one replica (of all of it, without replicas)."""
    connection_seconds: PositiveAmount = 2.0
    """Time that one request holds a connection."""
    holds_while_waiting: Flag = True
    """Whether requests that wait for GPUs hold their connection."""
    recovery_minutes: Minutes = 0.0
    """Minutes of recovery (replay of logs, checks of data) after its clusters or the region of a
    replica have been down, before it serves again."""
    recovery_tb: Amount = 0.0
    """Data of a replica to read, check or copy back before it serves again, besides the minutes."""
    recovery_tb_per_hour: PositiveAmount | None = None
    """Rate at which that is done; needed where there is `recovery_tb`."""
    failures_per_year: PerYear | None = None
    """Failures a year of the service as a whole, with all its replicas (software, configuration,
    data). They count towards availability and loss; none means unknown."""
    repair_hours: Annotated[Hours, Field(gt=0)] = 2.0
    """Mean time until it is restored."""

    @property
    def state_recovery_minutes(self) -> float:
        """Minutes of recovery in all, from fixed ones and data."""
        if self.recovery_tb_per_hour is None:
            return self.recovery_minutes
        return self.recovery_minutes + 60 * self.recovery_tb / self.recovery_tb_per_hour


class Offer(NamedEntity):
    """Emergency GPU capacity of a cloud provider, reserved now and used after a failure."""

    provider: Name
    """Cloud provider."""
    instance: Text = ""
    """Instance type."""
    gpu: Text = ""
    """GPU in the instance."""
    gpus_per_instance: PositiveCount
    """GPUs of one instance."""
    available_gpus: Count
    """GPUs that the provider can supply."""
    existing_instances: Count = 0
    """Instances already under contract."""
    lead_time_minutes: Minutes
    """Minutes from the order to serving."""
    usd_per_instance_hour: Amount
    """List price."""
    surge_multiplier: Annotated[Amount, Field(ge=1)] = 1.0
    """Price in an emergency as a multiple of the list price."""
    retainer_usd_per_instance_year: Amount = 0.0
    """Yearly retainer for the right to order one instance, or price of holding it all year."""
    prepaid: Flag = False
    """Whether the retainer also covers hours in use, as with reserved capacity; list price and
    surge multiplier then do not apply."""
    rps_per_gpu: PositiveAmount
    """Requests per second that one GPU serves at full load."""
    region: Name | None = None
    """Region next to which it runs, for latency and transport, and with which it is lost; none
    means anywhere."""
    survives_region: Flag = False
    """Whether it survives the loss of that region, which then determines its latency only."""

    @property
    def price_factor(self) -> float:
        """Price of an hour in use over the list price: 0 where the retainer has paid for it."""
        return 0.0 if self.prepaid else self.surge_multiplier


class Measure(NamedEntity):
    """Another purchase that improves resilience, and what it changes."""

    description: Text = ""
    """Description for readers."""
    capital_usd: Amount = 0.0
    """Capital cost."""
    life_years: LifeYears = 20.0
    """Years over which the capital cost is annualised."""
    usd_per_year: Amount = 0.0
    """Operating cost a year."""
    feeds: tuple[Name, ...] = ()
    """Feeds that exist only with this measure; a cluster or plant on several feeds needs one of
    them."""
    replicas: Table[Table[Annotated[Count, Field(le=1000)]]] = Field(default_factory=dict)
    """Replicas added, by service and region."""
    connections: Table[PositiveAmount] = Field(default_factory=dict)
    """Connections added to the pool of each replica, by service."""
    independent: Table[tuple[Name, ...]] = Field(default_factory=dict)
    """Dependencies that it removes (a plant with controls of its own), by plant."""
    buffer_mwh: Table[PositiveAmount] = Field(default_factory=dict)
    """Chilled water added to the tank of a plant."""
    automatic: tuple[Name, ...] = ()
    """Plants whose standby units then start automatically."""
    operations: Reaction = Reaction()
    """Reaction times that it shortens."""

    @property
    def changes_reaction(self) -> bool:
        """Whether it changes when people or standby units act."""
        return bool(self.automatic) or self.operations != Reaction()


class SimulationSettings(Entity):
    """Settings of the simulated cascade."""

    horizon_minutes: Annotated[Minutes, Field(ge=1, le=7 * 24 * 60)] = 720.0
    """Simulated minutes after the failure."""


class Model(NamedEntity):
    """An infrastructure: what exists, what can be bought, what can fail and what must survive."""

    description: Text = ""
    """Description for readers."""
    regions: FilledTable[Region]
    """Regions."""
    gpus: FilledTable[GpuType]
    """GPU types."""
    clusters: FilledTable[Cluster]
    """GPU clusters."""
    cooling_units: Table[CoolingUnit] = Field(default_factory=dict)
    """Cooling unit types."""
    plants: Table[Plant] = Field(default_factory=dict)
    """Cooling plants."""
    feeds: Table[Feed] = Field(default_factory=dict)
    """Power feeds; a region without any is limited by its power limit alone."""
    services: Table[Service] = Field(default_factory=dict)
    """Software dependencies."""
    tiers: FilledTable[Tier]
    """Customer tiers."""
    zones: FilledTable[Zone]
    """Origins of demand."""
    shapes: Table[tuple[Amount, ...]] = Field(default_factory=dict)
    """Demand by hour of the week (24 or 168 values), any scale."""
    climates: Table[tuple[Celsius, ...]] = Field(default_factory=dict)
    """Temperatures of a year from 1 January, 0 h on, without 29 February: 8,760 hourly values, or
    288, the hours of the mean day of each month."""
    offers: Table[Offer] = Field(default_factory=dict)
    """Offers of emergency capacity in the cloud."""
    measures: Table[Measure] = Field(default_factory=dict)
    """Other purchases: feeds, replicas, tanks, faster reaction."""
    operations: Operations = Operations()
    """Reaction of operators and automation."""
    finance: Finance = Finance()
    """Financial assumptions."""
    policies: Policies = Policies()
    """Rules that every plan satisfies."""
    standard: Standard = Field(default_factory=dict)
    """Survival standard: service level objectives (SLOs) by severity class."""
    generators: Generators = Generators()
    """Scenario families generated from the graph."""
    scenarios: Table[Scenario] = Field(default_factory=dict)
    """Scenarios written by hand."""
    simulation: SimulationSettings = SimulationSettings()
    """Settings of the simulated cascade."""
    horizon: Horizon | None = None
    """Periods of a roadmap; none means that the model speaks of one moment."""

    @property
    def emergency_share(self) -> float:
        """Share of the design heat that emergency plants carry by themselves."""
        critical = sum(self.tiers[name].share for name in self.policies.critical_tiers)
        return max(self.policies.emergency_cooling_share, min(1.0, critical))

    def cooled_share(self, role: str) -> float:
        """Share of the design heat that plants of a role carry with their largest units lost."""
        return 1 + self.policies.cooling_margin if role == "primary" else self.emergency_share
