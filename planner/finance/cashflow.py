"""Cash flows by year of a build, compared with the base that would be kept without it.

Year 0 is today; everything in a year is paid at its end, at the prices of that year. An asset is
bought in year 0 and replaced at the end of its life (`planner.laws.assets`). Its value declines
linearly from its price to its salvage, at the prices of the year of sale; the value left at the
horizon is income there. For tax all of the price is depreciated, and proceeds beyond the book value
are profit. Existing equipment is replaced and depreciated likewise where its age is known;
otherwise it counts as written off and is never replaced, in either build. Costs, losses and their
tax are differences to the base.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from planner.finance.assumptions import Assumptions
from planner.finance.builds import Purchase, Running
from planner.laws.assets import by_year, purchase_times
from planner.laws.depreciation import MOST_YEARS, macrs

Floats = NDArray[np.float64]
Amounts = float | Floats


@dataclass(frozen=True)
class Losses:
    """Expected failure losses of a build per year at today's prices, USD.

    Parameters
    ----------
    value_usd
        Lost-request value.
    credits_usd
        Service credits.
    emergency_usd
        Emergency spend.
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
    purchases
        What it buys in addition to what exists.
    running
        All running costs of a year without failures.
    losses
        Expected failure losses.
    gpus
        GPUs installed, without emergency capacity.
    requests_per_year
        Requests served in a year.
    held
        Existing equipment that it keeps and replaces at the end of its life.
    """

    name: str
    purchases: tuple[Purchase, ...]
    running: tuple[Running, ...]
    losses: Losses
    gpus: int
    requests_per_year: float
    held: tuple[Purchase, ...] = ()


@dataclass(frozen=True)
class AssetFlows:
    """Cash flows and depreciation of one purchase by year, each of shape (N + 1,), year 0 first.

    Parameters
    ----------
    capital
        Purchase and replacements.
    proceeds
        Salvage when it is sold or replaced, and its value at the horizon.
    depreciation
        Depreciation for tax.
    book_value
        Book value of what is sold.
    inherited
        Part of the proceeds that is the value at the horizon of equipment that exists today.
    """

    capital: Floats
    proceeds: Floats
    depreciation: Floats
    book_value: Floats
    inherited: Floats


def asset_flows(purchase: Purchase, assumptions: Assumptions) -> AssetFlows:
    """Flows over the horizon of what is bought, of what exists, or of what is retired today.

    Each piece is there from a purchase to the next, or to the horizon; the first of what exists is
    paid for. For tax it is written off from the year after its purchase on.
    """
    years = assumptions.horizon_years
    none = np.zeros(years + 1)
    factor = assumptions.price_factor(purchase.category)
    if purchase.quantity < 0:
        return _retired(purchase, assumptions)
    times = times_of(purchase, years)
    growth = 1 + assumptions.price_growth(purchase.category)
    cost = purchase.usd * factor * growth**times
    if purchase.exists:
        cost[0] = purchase.quantity * purchase.paid_usd_each
    ends = np.append(times[1:], float(years))
    # Salvage is stated at today's prices, too, and earned at those of the year of the sale.
    left = purchase.quantity * purchase.salvage_usd_each * factor * growth**ends
    sold = value_after(cost, left, ends - times, purchase.life_years)
    written = written_off(purchase, times, assumptions)
    last = np.ceil(ends).astype(int)
    charged = np.diff(written, axis=1) * (np.arange(1, years + 1) <= last[:, None])
    book = none.copy()
    np.add.at(book, last, cost * (1 - written[np.arange(len(times)), last]))
    bought = int(purchase.exists)
    inherited = none.copy()
    if purchase.exists and len(times) == 1:
        inherited[-1] = sold[-1]
    return AssetFlows(
        capital=by_year(times[bought:], cost[bought:], years),
        proceeds=by_year(ends, sold, years),
        depreciation=np.concatenate([[0.0], cost @ charged]),
        book_value=book,
        inherited=inherited,
    )


def _retired(purchase: Purchase, assumptions: Assumptions) -> AssetFlows:
    """What goes today earns its salvage, and what is not written off of it counts against that."""
    earned, book, none = (np.zeros(assumptions.horizon_years + 1) for _ in range(3))
    earned[0] = -purchase.usd * assumptions.price_factor(purchase.category)
    if purchase.age_years is not None:
        since = np.array([-purchase.age_years])
        share = 1 - written_off(purchase, since, assumptions)[0, 0]
        book[0] = -purchase.quantity * purchase.paid_usd_each * share
    return AssetFlows(none, earned, none, book, none)


def times_of(purchase: Purchase, years: int) -> Floats:
    """Times at which a piece is bought before a horizon; the first of what exists is past.

    What is older than its life is bought again today.
    """
    life = purchase.life_years
    if not purchase.exists or purchase.age_years is None:
        return purchase_times(0.0, life, years)
    next_one = max(0.0, life - purchase.age_years)
    if next_one >= years:
        return np.array([-purchase.age_years])
    again = purchase_times(next_one, life, years)
    return np.concatenate([[-purchase.age_years], again])


def written_off(purchase: Purchase, times: Floats, assumptions: Assumptions) -> Floats:
    """Share written off by the end of each year, (pieces, N + 1), of pieces bought at some times.

    Straight line follows the time to the day. Accelerated depreciation counts years of tax: what is
    bought within a year has its first share in it, what is bought at its end in the next.
    """
    passed = np.arange(assumptions.horizon_years + 1)
    if assumptions.depreciation == "straight-line":
        life = min(purchase.life_years, MOST_YEARS)
        shares: Floats = np.clip((passed - times[:, None]) / life, 0.0, 1.0)
        return shares
    table = np.cumsum(macrs(1.0, assumptions.tax_life(purchase.category)))
    table = np.concatenate([[0.0], np.minimum(table, 1.0)])
    ages = passed - np.floor(times)[:, None]
    known: Floats = table[np.clip(ages, 0, len(table) - 1).astype(int)]
    return known


def value_after(cost: Amounts, salvage: Amounts, age: Amounts, life_years: float) -> Any:
    """Value of an asset: falls in equal parts from its price to what it earns in the end.

    >>> float(value_after(100.0, 10.0, 2, 4.0)), float(value_after(100.0, 10.0, 5, 4.5))
    (55.0, 10.0)
    """
    return cost - (cost - salvage) * np.minimum(1.0, age / life_years)


@dataclass(frozen=True)
class CashFlow:
    """Cash flows of a build compared with the base by year, USD, each of shape (N + 1,).

    Income is positive, spending negative.

    Parameters
    ----------
    capital
        Purchases and replacements.
    salvage
        Proceeds of retired and replaced assets, and the value left at the horizon.
    running
        Change of the running cost, by category.
    avoided
        Losses avoided: ``value``, ``credits``, ``emergency``.
    other_usd
        Other flows that the user states.
    depreciation
        Depreciation for tax; not a cash flow.
    book_value
        Book value of what is sold; not a cash flow.
    tax
        Tax, positive where it is saved.
    """

    capital: Floats
    salvage: Floats
    running: Mapping[str, Floats]
    avoided: Mapping[str, Floats]
    other_usd: Floats
    depreciation: Floats
    book_value: Floats
    tax: Floats

    @property
    def before_tax(self) -> Floats:
        """Net flow before tax."""
        parts = (*self.running.values(), *self.avoided.values())
        return np.sum([self.capital, self.salvage, self.other_usd, *parts], axis=0)

    @property
    def net(self) -> Floats:
        """Net flow after tax."""
        return self.before_tax + self.tax


def cash_flow(
    base: Position,
    build: Position,
    assumptions: Assumptions,
    other_usd: Floats | None = None,
) -> CashFlow:
    """Cash flows of a build compared with the base.

    Parameters
    ----------
    base
        What would be kept without the build; buys nothing.
    other_usd
        Other flows by year, shape (N + 1,), taxed like the rest.
    """
    years = assumptions.horizon_years
    none = np.zeros(years + 1)
    gained = [line for line in build.held if line not in base.held]
    given_up = [line for line in base.held if line not in build.held]
    assets = [asset_flows(line, assumptions) for line in (*build.purchases, *gained)]
    without = [asset_flows(line, assumptions) for line in given_up]
    total = {
        field.name: np.sum([none, *(getattr(flows, field.name) for flows in assets)], axis=0)
        - np.sum([none, *(getattr(flows, field.name) for flows in without)], axis=0)
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
    extra = none if other_usd is None else other_usd
    taxable = np.sum([*change.values(), *avoided.values(), extra], axis=0)
    gain = total["proceeds"] - total["book_value"]
    return CashFlow(
        capital=0.0 - total["capital"],
        salvage=total["proceeds"],
        running=change,
        avoided=avoided,
        other_usd=extra,
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
