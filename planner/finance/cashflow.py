"""Cash flows by year: a build against another that would be kept without it.

Year 0 is today; what happens in a year is paid at its end, at the prices of that year. An asset is
bought in year 0 and again at the end of its life, in whole years. Between, its value falls in equal
parts from what was paid to what it earns at the end of its life, at the prices of the year it is
sold; what is left of it at the horizon is income there. For tax all of its price is written off,
and what it earns beyond the rest of that is profit. What exists already counts as written off, and
is not replaced in either build. Costs and losses count as the difference to the build it is
compared with, and so does their tax.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from planner.finance.assumptions import Assumptions
from planner.finance.builds import Purchase, Running
from planner.laws.depreciation import MOST_YEARS, schedule

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Losses:
    """What failures cost a build in a mean year at today's prices, USD.

    Parameters
    ----------
    value_usd
        Worth of the requests lost.
    credits_usd
        Service credits.
    emergency_usd
        Emergency capacity.
    """

    value_usd: float = 0.0
    credits_usd: float = 0.0
    emergency_usd: float = 0.0

    def under(self, assumptions: Assumptions) -> Losses:
        """The same with the factors of a valuation."""
        rate = assumptions.failure_rate
        return Losses(
            self.value_usd * rate * assumptions.outage_value,
            self.credits_usd * rate,
            self.emergency_usd * rate * assumptions.surge,
        )

    @property
    def usd(self) -> float:
        """All together."""
        return self.value_usd + self.credits_usd + self.emergency_usd


@dataclass(frozen=True)
class Position:
    """A build in money.

    Parameters
    ----------
    name
        The build.
    purchases
        What it buys beyond what exists.
    running
        What a year without failures costs, all of it.
    losses
        What failures cost.
    gpus
        GPUs in the end, emergency capacity not among them.
    requests_per_year
        Requests served in a year.
    """

    name: str
    purchases: tuple[Purchase, ...]
    running: tuple[Running, ...]
    losses: Losses
    gpus: int
    requests_per_year: float


@dataclass(frozen=True)
class AssetFlows:
    """What one purchase pays, earns and writes off, shape (N + 1,), year 0 first.

    Parameters
    ----------
    capital
        Paid for it, every time it is bought.
    proceeds
        Earned when it is sold, replaced or valued at the horizon.
    depreciation
        Written off for tax.
    book_value
        Not yet written off when it is sold.
    """

    capital: Floats
    proceeds: Floats
    depreciation: Floats
    book_value: Floats


def asset_flows(purchase: Purchase, assumptions: Assumptions) -> AssetFlows:
    """Flows of a purchase over the horizon; of a retirement what it earns, all of it today."""
    years = assumptions.horizon_years
    flows = AssetFlows(*(np.zeros(years + 1) for _ in range(4)))
    factor = assumptions.price_factor(purchase.category)
    if purchase.quantity < 0:
        flows.proceeds[0] = -purchase.usd * factor
        return flows
    life = replaced_after(purchase)
    growth = 1 + assumptions.price_growth(purchase.category)
    for start in range(0, years, life):
        end = min(start + life, years)
        cost = purchase.usd * factor * growth**start
        # Salvage is stated at today's prices, too, and earned at those of the year of the sale.
        left = purchase.quantity * purchase.salvage_usd_each * factor * growth**end
        written = schedule(
            assumptions.depreciation,
            cost,
            min(purchase.life_years, MOST_YEARS),
            getattr(assumptions.tax_lives, purchase.category),
            end - start,
        )
        flows.capital[start] += cost
        flows.depreciation[start + 1 : end + 1] += written
        flows.proceeds[end] += value_after(cost, left, end - start, purchase.life_years)
        flows.book_value[end] += cost - written.sum()
    return flows


def replaced_after(purchase: Purchase) -> int:
    """Years after which an asset is bought again: its life in whole years, rounded up.

    Money moves at the end of years. A life of less than a year therefore counts as one.
    """
    return max(1, math.ceil(purchase.life_years - 1e-9))


def value_after(cost: float, salvage: float, age: float, life_years: float) -> float:
    """Value of an asset: falls in equal parts from its price to what it earns in the end.

    >>> value_after(100.0, 10.0, 2, 4.0), value_after(100.0, 10.0, 5, 4.5)
    (55.0, 10.0)
    """
    return cost - (cost - salvage) * min(1.0, age / life_years)


@dataclass(frozen=True)
class CashFlow:
    """Cash flows of a build against another by year, USD, each of shape (N + 1,).

    Income is above 0, spending below it.

    Parameters
    ----------
    capital
        Purchases and replacements.
    salvage
        What retired and replaced assets earn, and the value left at the horizon.
    running
        Change of the running cost, by category.
    avoided
        Losses avoided: ``value``, ``credits``, ``emergency``.
    other
        Other flows that the user states.
    depreciation
        Written off for tax; no flow of cash.
    book_value
        Not yet written off of what is sold; no flow of cash.
    tax
        Tax on all of this, above 0 where it is saved.
    """

    capital: Floats
    salvage: Floats
    running: Mapping[str, Floats]
    avoided: Mapping[str, Floats]
    other: Floats
    depreciation: Floats
    book_value: Floats
    tax: Floats

    @property
    def before_tax(self) -> Floats:
        """Net flow before tax."""
        parts = (*self.running.values(), *self.avoided.values())
        return np.sum([self.capital, self.salvage, self.other, *parts], axis=0)

    @property
    def net(self) -> Floats:
        """Net flow after tax."""
        return self.before_tax + self.tax


def cash_flow(
    base: Position,
    build: Position,
    assumptions: Assumptions,
    other: Floats | None = None,
) -> CashFlow:
    """Cash flows of a build against one that would be kept without it.

    Parameters
    ----------
    base
        What would be there without it; buys nothing.
    other
        Other flows by year, shape (N + 1,), taxed like the rest.
    """
    years = assumptions.horizon_years
    none = np.zeros(years + 1)
    assets = [asset_flows(one, assumptions) for one in build.purchases]
    total = {
        field.name: np.sum([none, *(getattr(one, field.name) for one in assets)], axis=0)
        for field in fields(AssetFlows)
    }
    before = running_by_year(base.running, assumptions)
    after = running_by_year(build.running, assumptions)
    change = {
        category: before.get(category, none) - after.get(category, none)
        for category in sorted({*before, *after})
    }
    index = loss_index(assumptions)
    was, now = base.losses.under(assumptions), build.losses.under(assumptions)
    avoided = {
        "value": (was.value_usd - now.value_usd) * index,
        "credits": (was.credits_usd - now.credits_usd) * index,
        "emergency": (was.emergency_usd - now.emergency_usd) * index,
    }
    extra = none if other is None else other
    taxable = np.sum([*change.values(), *avoided.values(), extra], axis=0)
    gain = total["proceeds"] - total["book_value"]
    return CashFlow(
        capital=0.0 - total["capital"],
        salvage=total["proceeds"],
        running=change,
        avoided=avoided,
        other=extra,
        depreciation=total["depreciation"],
        book_value=total["book_value"],
        tax=0.0 - assumptions.tax_rate * (taxable + gain - total["depreciation"]),
    )


def running_by_year(lines: Iterable[Running], assumptions: Assumptions) -> dict[str, Floats]:
    """Running cost by category and year, each of shape (N + 1,), nothing in year 0."""
    years = np.arange(assumptions.horizon_years + 1, dtype=np.float64)
    found: dict[str, Floats] = {}
    for line in lines:
        index: Floats = (1 + assumptions.price_growth(line.driver)) ** years * (years > 0)
        usd: Floats = line.usd_per_year * assumptions.price_factor(line.driver) * index
        found[line.category] = usd + found.get(line.category, 0.0)
    return found


def loss_index(assumptions: Assumptions) -> Floats:
    """Growth of losses by year with prices and demand, shape (N + 1,), nothing in year 0."""
    years = np.arange(assumptions.horizon_years + 1, dtype=np.float64)
    growth = (1 + assumptions.inflation_per_year) * (1 + assumptions.demand_growth_per_year)
    index: Floats = growth**years * (years > 0)
    return index


__all__ = [
    "AssetFlows",
    "CashFlow",
    "Losses",
    "Position",
    "asset_flows",
    "cash_flow",
    "loss_index",
    "replaced_after",
    "running_by_year",
    "value_after",
]
