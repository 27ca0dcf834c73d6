"""Money: annual cost of capital, energy, emergency spend, requests lost."""

from __future__ import annotations

import math
from typing import Any

HOURS_PER_YEAR = 8760.0
#: Growth over a whole life below this is rounding.
NO_INTEREST = 1e-16


def annuity(rate: float, years: float) -> float:
    """Yearly payment for one unit of capital: ``r / (1 − (1 + r)^−n)``, 1/n without interest.

    Raises
    ------
    ValueError
        If the rate is negative or the life is not positive.

    References
    ----------
    Brealey, Myers & Allen, *Principles of Corporate Finance*, chapter on annuities: 15-year
    annuity at 12 % pays 0.14682 a year.

    >>> round(annuity(0.12, 15), 5)
    0.14682
    >>> annuity(0.0, 20)
    0.05
    """
    if rate < 0 or years <= 0:
        raise ValueError(f"Expected rate ≥ 0 and years > 0, got {rate} and {years}.")
    growth = years * math.log1p(rate)
    # The formula as it is written cancels for rates and lives close to 0.
    return 1 / years if growth < NO_INTEREST else rate / -math.expm1(-growth)


def annuity_years(rate: float, years: float) -> float:
    """Present value of one unit a year for n years: ``(1 − (1 + r)^−n) / r``, or n.

    Payments fall on the ends of years; a part of a year is what the formula says of it.

    >>> round(annuity_years(0.1, 2), 6)
    1.735537
    >>> annuity_years(0.0, 2.5), annuity_years(0.1, 0.0)
    (2.5, 0.0)
    """
    return 1 / annuity(rate, years) if years else 0.0


def resale_usd(capital_usd: float, rate: float, life_years: float, held_years: float) -> float:
    """Value of the remaining life: what the payments of its annuity have not paid off yet.

    ``K·((1 + r)^n − (1 + r)^h) / ((1 + r)^n − 1)``: bought for K and sold for this after h years,
    it has cost exactly its annuity over these years.

    >>> resale_usd(100.0, 0.0, 4.0, 1.0)
    75.0
    >>> round(100 - resale_usd(100.0, 0.1, 5.0, 2.0) / 1.1**2, 9) == round(
    ...     100 * annuity(0.1, 5.0) * annuity_years(0.1, 2.0), 9)
    True
    """
    left = max(0.0, life_years - held_years)
    return capital_usd * annuity(rate, life_years) * annuity_years(rate, left)


def upkeep_usd_per_year(
    price_usd: float,
    maintenance_share: float,
    failures_per_year: float = 0.0,
    repair_usd: float = 0.0,
) -> float:
    """Upkeep of one piece: scheduled work as a share of its price, and repairs of what fails.

    >>> round(upkeep_usd_per_year(962_500.0, 0.02, 0.5, 19_300.0), 2)
    28900.0
    """
    return price_usd * maintenance_share + failures_per_year * repair_usd


def energy_usd(power_mw: Any, hours: float, usd_per_mwh: float) -> Any:
    """Cost of electric power drawn for some hours."""
    return (hours * usd_per_mwh) * power_mw


def emergency_usd(
    gpus: Any, hours: Any, usd_per_instance_hour: float, gpus_per_instance: int, surge: float
) -> Any:
    """Cost of emergency GPUs in use: list price times surge multiplier.

    >>> emergency_usd(800, 10.0, 21.957642, 8, 3.0)
    65872.926
    """
    return (hours * (usd_per_instance_hour * surge / gpus_per_instance)) * gpus


def lost_usd(rps: Any, hours: float, usd_per_1000_requests: float) -> Any:
    """Value of requests lost at a rate for some hours.

    >>> lost_usd(1000.0, 1.0, 2.0)
    7200.0
    """
    return (hours * 3.6 * usd_per_1000_requests) * rps


def transport_usd(rps: Any, hours: float, usd_per_million_requests: float) -> Any:
    """Cost of carrying requests at a rate for some hours.

    >>> transport_usd(1000.0, 1.0, 5.0)
    18.0
    """
    return (hours * 3600 * usd_per_million_requests / 1e6) * rps
