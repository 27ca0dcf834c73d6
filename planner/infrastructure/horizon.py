"""The horizon of a roadmap, as a model file states it: periods, growth, prices, lead times, limits.

A model without a horizon speaks of one moment. With one, the rest of the model describes the first
period, and everything here says how later periods differ from it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field, Strict, StringConstraints

from planner.infrastructure.fields import Amount, Count, Entity, Name, PositiveCount, Share, Table

MONTH_PATTERN = r"^[12]\d{3}-(0[1-9]|1[0-2])$"
#: A month of a calendar, ``2026-01``.
Month = Annotated[str, Strict(), StringConstraints(pattern=MONTH_PATTERN)]
Months = Annotated[float, Strict(), Field(ge=0, le=1200, allow_inf_nan=False)]
#: Growth of a year as a share. Nothing shrinks by more than all of it, which is said together with
#: all else that is wrong with a horizon (`horizon_checks`).
Rate = Annotated[
    float, Strict(), Field(le=100, allow_inf_nan=False, json_schema_extra={"minimum": -1})
]
MONTHS = {"quarter": 3, "half-year": 6, "year": 12}
#: Periods of a horizon; the tree of nodes grows with them times the paths.
MOST_PERIODS = 60


class Course(Entity):
    """How a value changes over the periods: at a rate, or as a table says."""

    per_year: Rate = 0.0
    """Growth of a year as a share, compounded; below 0 it shrinks."""
    by_period: tuple[Amount, ...] = Field(default=(), max_length=MOST_PERIODS)
    """Factors over the value of the first period (for a path: of the period before it branches),
    one for each period from the first (of the path) on; the last one holds to the end."""

    def factor(self, elapsed: int, years: float) -> float:
        """Factor over the value at the beginning.

        Parameters
        ----------
        elapsed
            Periods since then.
        years
            The same in years.

        >>> Course(per_year=0.21).factor(1, 0.5)
        1.1
        >>> Course(by_period=(1.0, 1.5)).factor(7, 7.0)
        1.5
        """
        if self.by_period:
            return self.by_period[min(elapsed, len(self.by_period) - 1)]
        return float((1 + self.per_year) ** years)


class DemandGrowth(Entity):
    """Growth of demand."""

    demand: Course = Course()
    """All demand."""
    zones: Table[Course] = Field(default_factory=dict)
    """Zones with a growth of their own in its place."""
    tiers: Table[Course] = Field(default_factory=dict)
    """Tiers that grow faster or slower than the demand of their zones: factors on top of it."""


class DemandPath(Entity):
    """A course that demand may take, with its probability."""

    probability: Annotated[Share, Field(gt=0)]
    """Probability of the path; those of all paths add up to 1."""
    from_period: Annotated[PositiveCount, Field(ge=2, le=MOST_PERIODS)] = 2
    """First period, counted from 1, in which it is known and differs."""
    follows: Name | None = None
    """Path that it is the same as until then; none means the growth of the horizon."""
    growth: DemandGrowth = DemandGrowth()
    """Growth from the period before on."""


class PriceCourses(Entity):
    """How prices change."""

    gpus: Table[Course] = Field(default_factory=dict)
    """Prices of servers, by GPU type."""
    cooling_units: Table[Course] = Field(default_factory=dict)
    """Prices of cooling units, by type."""
    electricity: Course = Course()
    """Price of electricity in all regions."""
    regions: Table[Course] = Field(default_factory=dict)
    """Price of electricity in regions with a course of their own in its place."""
    offers: Table[Course] = Field(default_factory=dict)
    """Retainers and hourly prices of cloud offers."""


class OrderMonths(Entity):
    """Months from the order until equipment is in service."""

    gpus: Months = 0.0
    """Servers."""
    halls: Months = 0.0
    """Building and power train of GPUs: halls, feeds, generators, substations."""
    cooling: Months = 0.0
    """Cooling units."""
    regions: Months = 0.0
    """Opening a candidate region."""
    measures: Months = 0.0
    """Measures."""
    emergency: Months = 0.0
    """Reserving cloud instances."""
    types: Table[Months] = Field(default_factory=dict)
    """GPU types and cooling unit types with lead times of their own."""
    entities: Table[Months] = Field(default_factory=dict)
    """Clusters (their servers), plants, regions, measures and offers with lead times of their
    own, before those of types."""


class PowerStep(Entity):
    """Power of a region from a period on."""

    region: Name
    """Region."""
    from_period: Annotated[PositiveCount, Field(le=MOST_PERIODS)] = 1
    """First period, counted from 1."""
    firm_mw: Amount
    """Power limit, or grid connection, that holds at any time; in place of `power_limit_mw`."""
    flexible_mw: Amount = 0.0
    """Power beyond it that the grid may withhold: it counts while nothing has failed."""


class Construction(Entity):
    """Most that can be put in service in one period."""

    clusters: Table[Count] = Field(default_factory=dict)
    """GPUs by cluster."""
    plants: Table[Count] = Field(default_factory=dict)
    """Cooling units by plant."""
    regions: Table[Count] = Field(default_factory=dict)
    """GPUs by region."""


class Horizon(Entity):
    """Periods that a roadmap plans for, and how they differ from the first."""

    start: Month
    """First month of the first period, like `2026-01`."""
    period: Literal["quarter", "half-year", "year"] = "year"
    """Length of a period."""
    periods: Annotated[PositiveCount, Field(le=MOST_PERIODS)]
    """Number of periods."""
    growth: DemandGrowth = DemandGrowth()
    """Growth of demand, until a path branches off."""
    paths: Table[DemandPath] = Field(default_factory=dict)
    """Courses that demand may take; none means that of `growth`."""
    prices: PriceCourses = PriceCourses()
    """How prices change."""
    first_order: Table[Month] = Field(default_factory=dict)
    """First month in which GPU types, cooling unit types and offers can be ordered."""
    order_months: OrderMonths = OrderMonths()
    """Lead times: months from the order until equipment is in service."""
    reserved_months: Table[Months] = Field(default_factory=dict)
    """Shortest term of a reservation, by offer; others are renewed or ended every period."""
    power: tuple[PowerStep, ...] = ()
    """Power limits or grid connections that change."""
    construction: Construction = Construction()
    """Construction capacity."""
    capital_budgets_usd: Table[Amount] = Field(default_factory=dict)
    """Capital budgets by calendar year; a year without one has no limit."""

    @property
    def months(self) -> int:
        """Months of a period."""
        return MONTHS[self.period]

    @property
    def years(self) -> float:
        """Years of a period."""
        return self.months / 12

    @property
    def first_month(self) -> int:
        """Start as a number of months since year 0."""
        return month_number(self.start)

    def month_of(self, period: int) -> int:
        """First month of a period, counted from 1, as a number of months since year 0."""
        return self.first_month + (period - 1) * self.months

    def periods_of(self, months: float) -> int:
        """Whole periods within which a number of months is over."""
        return math.ceil(months / self.months - 1e-9)

    def first_period(self, name: str, lead_months: float = 0.0) -> int:
        """First period in which a type or an offer can be ordered, counted from 1.

        What is in service at the start of a period was ordered a lead time before: late in a period
        that may begin before the first month in which it can be ordered.
        """
        if name not in self.first_order:
            return 1
        wait = month_number(self.first_order[name]) - self.first_month
        service = 1 + self.periods_of(wait + lead_months)
        return max(1, service - self.periods_of(lead_months))

    def lead_months(self, kind: str, entity: str, type_name: str = "") -> float:
        """Lead time of an entity: its own, else that of its type, else that of its kind."""
        terms = self.order_months
        default: float = getattr(terms, kind)
        return terms.entities.get(entity, terms.types.get(type_name, default))


def month_number(month: str) -> int:
    """A month as a number of months since year 0.

    >>> month_number("2026-03")
    24314
    """
    return 12 * int(month[:4]) + int(month[5:]) - 1


def month_text(number: float) -> str:
    """A number of months since year 0 as the month it lies in.

    >>> month_text(24314), month_text(24313.5)
    ('2026-03', '2026-02')
    """
    year, month = divmod(math.floor(number), 12)
    return f"{year:04d}-{month + 1:02d}"


def courses(horizon: Horizon) -> Iterator[tuple[tuple[str, ...], Course]]:
    """Every course of a horizon with its path."""
    for growth, start in [
        (horizon.growth, ("growth",)),
        *((path.growth, ("paths", name, "growth")) for name, path in horizon.paths.items()),
    ]:
        yield (*start, "demand"), growth.demand
        yield from (((*start, "zones", name), course) for name, course in growth.zones.items())
        yield from (((*start, "tiers", name), course) for name, course in growth.tiers.items())
    yield ("prices", "electricity"), horizon.prices.electricity
    for section in ("gpus", "cooling_units", "regions", "offers"):
        for name, course in getattr(horizon.prices, section).items():
            yield ("prices", section, name), course
