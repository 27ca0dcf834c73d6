"""What a roadmap states: the frozen records that ``roadmap.json`` holds."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from planner.json_text import json_text
from planner.plan.records import ModelReference, Plan, Record, SolverRecord, Stopped
from planner.roadmap.items import Kind

Category = Literal[
    "capital", "resale", "upkeep", "retainers", "energy", "transport", "recourse", "turned away"
]


class PathRecord(Record):
    """A course that demand may take."""

    name: str
    probability: float


class HorizonRecord(Record):
    """The periods of a roadmap.

    Parameters
    ----------
    start
        First month, like ``2026-01``.
    months
        Months of a period.
    """

    start: str
    months: int
    periods: int
    discount_rate: Annotated[float, Field(ge=0, lt=1)]
    paths: tuple[PathRecord, ...] = ()


class ShortfallRecord(Record):
    """A requirement of normal operation or design that nothing ordered could meet in time."""

    family: str
    subject: str
    amount: float
    unit: str
    text: str


class NodeRecord(Record):
    """A period on the paths that are still the same in it.

    Parameters
    ----------
    name
        ``p2``, or ``p2-high`` from where a path is known on.
    start
        First month.
    weight_years
        Probability times present value of one USD a year during it.
    demand_rps
        Peak demand of all zones together.
    survived, judged
        Scenarios survived, of those judged.
    failed
        Scenarios not survived.
    bridged
        Scenarios of which the programme asks nothing, since no order arrives in time.
    shortfalls
        What normal operation and design miss, since no order arrives in time.
    usd_per_year
        Cost of a year at the prices of the node (its plan says more).
    """

    name: str
    period: int
    start: str
    parent: str | None
    paths: tuple[str, ...]
    probability: float
    weight_years: float
    demand_rps: float
    judged: int
    survived: int
    failed: tuple[str, ...]
    bridged: tuple[str, ...]
    shortfalls: tuple[ShortfallRecord, ...]
    usd_per_year: float


class OrderRecord(Record):
    """One order.

    Parameters
    ----------
    node
        Node in which it is decided.
    kind
        ``gpus`` (servers, with building and power train where these are not ordered apart),
        ``halls`` (building and power train), ``cooling``, ``emergency``, ``region``, ``measure``.
    asset, type, region
        As in a plan: cluster, ``plant/unit``, offer, region, measure; GPU or unit type.
    count, unit
        How many of what.
    blocks
        The same in whole blocks, units, instances.
    order_by
        Month by whose start it has to be ordered to be in service in time.
    in_service
        First month in service.
    service_period
        The same as a period.
    until
        First month in which it is in service no more; None if that is beyond the horizon.
    capital_usd, usd_per_year
        Price, due when it comes into service, and its upkeep or retainer.
    latest_order_by
        Latest month of ordering it with which a roadmap exists; None where there is one without it,
        or that was not worked out.
    delay_usd_per_month
        What the roadmap costs more for each month by which it is ordered a period later, everything
        else decided anew; None where no roadmap is left then, or that was not worked out.
    delay
        Whether that was worked out, with whole orders or estimated with orders in part, and whether
        there is a roadmap then.
    """

    node: str
    kind: Kind
    asset: str
    type: str
    region: str
    count: int
    unit: str
    blocks: int
    order_by: str
    in_service: str
    service_period: int
    until: str | None
    capital_usd: float
    usd_per_year: float
    latest_order_by: str | None = None
    delay_usd_per_month: float | None = None
    delay: Literal["priced", "estimated", "impossible", "not examined"] = "not examined"


class CapacityRecord(Record):
    """Capacity against demand of a region in a node.

    Parameters
    ----------
    serving_rps
        What its GPUs serve.
    nearest_rps
        Peak demand of the zones to which it is the nearest region.
    """

    node: str
    region: str
    gpus: int
    serving_rps: float
    nearest_rps: float
    power_limit_mw: float


class BudgetRecord(Record):
    """Capital of a year on a path; without a limit where the budget is None."""

    year: int
    path: str
    budget_usd: float | None
    capital_usd: float


class CashFlowRecord(Record):
    """Money paid in a node; below 0 received.

    Parameters
    ----------
    month
        Month of the horizon at whose start it is paid, from 0. Running costs of a period are paid
        at its end, as much as yearly payments at the ends of years are worth then.
    """

    node: str
    month: int
    category: Category
    asset: str
    usd: float


class RegionGrowth(Record):
    """A region in the order in which regions grow.

    Parameters
    ----------
    in_service
        First month in which GPUs are added.
    gpus
        GPUs added until the end, in the mean of all paths.
    usd_per_gpu
        What GPUs added there first cost a year with operation, each.
    worth_usd_per_gpu
        What a GPU more in service is worth a year, by node (dual of the relaxation).
    reason
        Why, in words.
    """

    region: str
    in_service: str
    gpus: float
    usd_per_gpu: float
    worth_usd_per_gpu: dict[str, float] = Field(default_factory=dict)
    reason: str


class ValueOfPaths(Record):
    """What it is worth to plan for several paths, and would be to know the one to come.

    Parameters
    ----------
    stochastic_solution_usd
        Cost of the roadmap of mean demand, its orders kept until paths branch and decided anew
        after, beyond this roadmap; None where these orders leave no roadmap.
    perfect_information_usd
        Cost of this roadmap beyond the mean of the roadmaps of single paths.
    estimated
        Whether both were worked out with orders in part.
    """

    stochastic_solution_usd: float | None
    perfect_information_usd: float | None
    estimated: bool = False


class Roadmap(Record):
    """What to order when, what it costs, and how we know.

    Parameters
    ----------
    npv_usd, bound_usd
        Expected net present value of all costs at the start, and what every roadmap that survives
        costs at least.
    gap
        Relative distance of the two.
    exact
        Whether failures cost what they do in the programme as it stands: where time was over, they
        cost what they do in the loosened one, which is less.
    plans
        Plan of each node: what is in service, in the terms of ``plan.json``.
    """

    schema_version: Literal[1] = 1
    kind: Literal["roadmap"] = "roadmap"
    model: ModelReference
    created: str
    versions: dict[str, str]
    status: Literal["optimal", "feasible"]
    npv_usd: float
    bound_usd: float
    gap: float
    survives: bool
    rounds: int
    stopped: Stopped | None = None
    exact: bool = True
    solver: SolverRecord
    horizon: HorizonRecord
    nodes: tuple[NodeRecord, ...]
    orders: tuple[OrderRecord, ...]
    capacity: tuple[CapacityRecord, ...]
    budgets: tuple[BudgetRecord, ...]
    cash_flows: tuple[CashFlowRecord, ...]
    regions: tuple[RegionGrowth, ...] = ()
    value_of_paths: ValueOfPaths | None = None
    decided_periods: int = 0
    plans: dict[str, Plan]

    def to_json(self) -> str:
        """The roadmap as text, the same bytes for the same roadmap."""
        return json_text(self) + "\n"
