"""Assets: what owning a piece of equipment costs a year, and when money moves for it.

One law for all tables. A piece is bought for its price and bought again whenever its life is over,
at the prices of that day. What exists already is paid for; where its age is known it is bought
again at the end of its life like everything else. The equal yearly payments of the programme
(`bought_usd_per_year`, `kept_usd_per_year`) are those of such a chain without end; cash flows
(`purchase_times`, `by_year`) follow it up to a horizon.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from planner.laws.returns import capital_recovery
from planner.laws.roots import Array

Floats = Sequence[float] | Array

#: Fractions of a year below this are rounding.
ROUNDING = 1e-9


@dataclass(frozen=True)
class Asset:
    """Terms of one piece of equipment.

    Parameters
    ----------
    price_usd
        Price of a new one today.
    life_years
        Life, after which it is bought again; may end within a year.
    upkeep_share
        Upkeep of a year as a share of its price.
    repairs_usd_per_year
        Repairs of a year, whatever it cost.
    salvage_usd
        What one that exists earns where it is retired.
    own_price_usd
        What one that exists cost, which its upkeep is a share of; None for the price of today.
    age_years
        Age of those that exist; None where it is not known: they are not bought again then.
    """

    price_usd: float
    life_years: float
    upkeep_share: float = 0.0
    repairs_usd_per_year: float = 0.0
    salvage_usd: float = 0
    own_price_usd: float | None = None
    age_years: float | None = None

    @property
    def paid_usd(self) -> float:
        """Price that upkeep and book value of what exists go by."""
        return self.price_usd if self.own_price_usd is None else self.own_price_usd

    @property
    def years_left(self) -> float:
        """Years until what exists is bought again; infinite where its age is not known."""
        if self.age_years is None:
            return math.inf
        return max(0.0, self.life_years - self.age_years)

    def bought_usd_per_year(self, rate: float) -> float:
        """A new one: its price over its life, upkeep and repairs."""
        owned = self.price_usd * capital_recovery(rate, self.life_years)
        return owned + self.price_usd * self.upkeep_share + self.repairs_usd_per_year

    def kept_usd_per_year(self, rate: float) -> float:
        """One that exists: upkeep by its own price, repairs, what replaces it after its life.

        >>> old = Asset(100.0, 4.0, upkeep_share=0.1, own_price_usd=80.0, age_years=3.0)
        >>> old.kept_usd_per_year(0.0)
        33.0
        """
        run = self.paid_usd * self.upkeep_share + self.repairs_usd_per_year
        return run + self.replaced_usd_per_year(rate)

    def replaced_usd_per_year(self, rate: float) -> float:
        """Equal payments for its replacements: those of a new one, put off by the years left.

        ``(price − salvage)·a(r, n)·(1 + r)^−left``: the one that goes earns its salvage, spread
        over the life of the next as its price is.
        """
        if self.age_years is None:
            return 0.0
        once = (self.price_usd - self.salvage_usd) * capital_recovery(rate, self.life_years)
        return once * math.exp(-math.log1p(rate) * self.years_left)

    def retired_usd_per_year(self, rate: float) -> float:
        """One that is retired: what it earns, spread over the life of the like; below 0."""
        return 0.0 - self.salvage_usd * capital_recovery(rate, self.life_years)

    def swapped_usd_per_year(self, rate: float) -> float:
        """One that exists retired for a new one like it; below 0 where that saves money."""
        new = self.bought_usd_per_year(rate) + self.retired_usd_per_year(rate)
        return new - self.kept_usd_per_year(rate)


def purchase_times(first: float, life_years: float, horizon: int) -> Array:
    """Times at which a piece is bought before a horizon, in years from today.

    Parameters
    ----------
    first
        The first of them; below 0 for what exists already.
    life_years
        Years between them.
    horizon
        Years that are looked at; nothing is bought at their end.

    >>> purchase_times(0.0, 1.5, 6).tolist()
    [0.0, 1.5, 3.0, 4.5]
    """
    count = math.ceil((horizon - first) / life_years - ROUNDING)
    times = first + life_years * np.arange(max(1, count))
    # Sums of fractions like 0.1 are to meet the ends of years.
    whole = np.round(times)
    near = np.abs(times - whole) < ROUNDING * np.maximum(1.0, np.abs(times))
    found: Array = np.where(near, whole, times)
    return found


def by_year(times: Floats, amounts: Floats, horizon: int) -> Array:
    """Amounts by year, (horizon + 1,): what moves within a year is shared by its two ends.

    Money moves today and at the ends of years. What falls between them goes to both in proportion,
    so that its mean time, and hence its present value but for curvature, stay right. What moves
    before the end of the first year goes there in full: year 0 holds what is paid today.

    >>> by_year([0.0, 1.5], [10.0, 4.0], 3).tolist()
    [10.0, 2.0, 2.0, 0.0]
    """
    moments, paid = np.asarray(times, dtype=float), np.asarray(amounts, dtype=float)
    low = np.floor(moments).astype(int)
    share = np.where((low == 0) & (moments > 0), 1.0, moments - low)
    found = np.zeros(horizon + 2)
    np.add.at(found, low, (1 - share) * paid)
    np.add.at(found, low + 1, share * paid)
    return found[: horizon + 1]
