"""Constraint families: the text of each is the first part of the names of its rows."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Literal

#: What an elastic solve may do to a row: nothing, fall short of it, or exceed it at a price.
RowKind = Literal["definition", "requirement", "limit"]


class Family(StrEnum):
    """A constraint family, with the kind of its rows and the unit of both of their sides.

    Definitions give variables their meaning and are never relaxed. The families of bounds are rows
    only where the reasons for having no plan are sought; elsewhere they are bounds of variables.
    """

    kind: RowKind
    unit: str

    def __new__(cls, text: str, kind: RowKind = "definition", unit: str = "") -> Family:
        """A member that is its text."""
        member = str.__new__(cls, text)
        member._value_ = text
        member.kind, member.unit = kind, unit
        return member

    # Purchases
    BOUGHT_OR_RETIRED = "bought_or_retired"
    OPEN_REGION = "open_region"
    HOLDS_GPUS = "holds_gpus"
    ONE_THRESHOLD = "one_threshold"
    THRESHOLD = "threshold"
    DESIGN_HEAT = "design_heat", "requirement", "MW"
    DESIGN_HEAT_FIRM = "design_heat_firm"
    EMERGENCY_COVER = "emergency_cover", "requirement", "MW"
    EMERGENCY_COVER_FIRM = "emergency_cover_firm"
    INDEPENDENT_COOLING = "independent_cooling", "limit", "MW"
    POWER_LIMIT = "power_limit", "limit", "MW"
    FEED_LIMIT = "feed_limit", "limit", "MW"
    SURVIVING_CAPACITY_SHARE = "surviving_capacity_share", "requirement", "GPUs"
    LEAST_REGIONS = "least_regions", "requirement", "regions"
    CAPITAL_BUDGET = "capital_budget", "limit", "USD"

    # Measures
    ONE_WAY_OF_REACTING = "one_way_of_reacting"
    AVAILABILITY = "availability"

    # Normal operation
    NORMAL_DEMAND = "normal_demand", "requirement", "requests/s"
    SPARE_BLOCK = "spare_block", "requirement", "requests/s"
    MEAN_DEMAND = "mean_demand"
    SERVED_IF_OPEN = "served_if_open"
    NEAREST_FIRST = "nearest_first"
    FIRST_SERVED = "first_served"
    SERVED_BESIDE = "served_beside"
    RUNS_FULL = "runs_full"
    STANDS = "stands"
    UNIT_LOAD = "unit_load"
    MEAN_HEAT = "mean_heat"
    MEAN_LOAD = "mean_load"

    # Stages
    TIER_UP = "tier_up"
    IN_FORCE = "in_force"
    SERVED_FLOOR = "served_floor", "requirement", "requests/s"
    DEMAND_BALANCE = "demand_balance"
    PREEMPTED = "preempted"
    SERVICE_CAPACITY = "service_capacity", "limit", "requests/s"
    CLUSTER_CAPACITY = "cluster_capacity"
    POWERED_GPUS = "powered_gpus"
    POWERED_IF_UP = "powered_if_up"
    POWERED_BEFORE = "powered_before"
    OFFER_CAPACITY = "offer_capacity"
    OFFER_RESERVED = "offer_reserved"
    OFFER_ARRIVED = "offer_arrived"
    COOLING_BALANCE = "cooling_balance"
    RIDE_THROUGH = "ride_through", "requirement", "MJ"
    UNCOOLED = "uncooled"
    TANK = "tank"
    PLANT_CAPACITY = "plant_capacity"
    STAGE_POWER = "stage_power", "limit", "MW"
    STAGE_FEEDS = "stage_feeds", "limit", "MW"
    EMERGENCY_BUDGET = "emergency_budget", "limit", "USD"

    # Simulation of earlier plans
    SIMULATED_CUT = "simulated_cut", "requirement", "share"

    # Risk measure
    SCENARIO_COST = "scenario_cost"
    TAIL_COST = "tail_cost"
    WORST_COST = "worst_cost"

    # Bounds
    MOST_UNITS = "most_units", "limit", "units"
    MOST_GPUS = "most_gpus", "limit", "GPUs"
    MOST_INSTANCES = "most_instances", "limit", "instances"
    NO_OPTION = "no_option", "limit"
    FIXED = "fixed", "limit"
    FIXED_CHOICE = "fixed_choice", "limit"
    FORBIDDEN = "forbidden", "limit"


#: Families of rows that are stricter than the standard and the simulation, and in what. Where only
#: such rows leave no plan, they give way and the simulation judges.
STRICTER: Mapping[str, str] = MappingProxyType(
    {
        Family.RIDE_THROUGH: "nothing throttles before operators react",
        Family.EMERGENCY_BUDGET: "emergency capacity is paid for at the largest demand of a stage",
    }
)
