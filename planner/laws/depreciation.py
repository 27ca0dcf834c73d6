"""Depreciation for tax: how the cost of a purchase is written off over years.

What is bought at the end of year 0 is written off from year 1 on. Straight line takes equal parts
(`planner.finance.cashflow.written_off`). Accelerated depreciation is that of United States tax law
(MACRS, general system, half-year convention): the first and the last year count half, so that a
class of n years takes n + 1 of them, and no salvage value is left.
"""

from __future__ import annotations

import math

import numpy as np

from planner.laws.roots import Array

#: Percentages as printed, which are what is applied: classes up to 10 years by 200 % declining
#: balance, 15 and 20 years by 150 %, each with a switch to straight line, rounded by the authority.
#: Source: IRS Publication 946, appendix A, table A-1.
PERCENTAGES: dict[int, tuple[float, ...]] = {
    3: (33.33, 44.45, 14.81, 7.41),
    5: (20.00, 32.00, 19.20, 11.52, 11.52, 5.76),
    7: (14.29, 24.49, 17.49, 12.49, 8.93, 8.92, 8.93, 4.46),
    10: (10.00, 18.00, 14.40, 11.52, 9.22, 7.37, 6.55, 6.55, 6.56, 6.55, 3.28),
    15: (5.00, 9.50, 8.55, 7.70, 6.93, 6.23, *(5.90, 5.90, 5.91), *(5.90, 5.91) * 3, 2.95),
    20: (3.750, 7.219, 6.677, 6.177, 5.713, 5.285, 4.888, 4.522, *(4.462, 4.461) * 6, 2.231),
}
#: Class of buildings, written off in equal parts.
BUILDING_YEARS = 39
TAX_CLASSES = (*PERCENTAGES, BUILDING_YEARS)
#: Longest life that is written off in equal parts.
MOST_YEARS = 1_000


def macrs(cost: float, years: int) -> Array:
    """Charge of each year 1..n + 1 of a tax class of n years, half-year convention.

    Buildings (39 years) are written off in equal parts, half a part in the first and the last of
    40 years. The law counts their months from the middle of the first; half a year is the mean
    over the months in which they may be bought.

    Parameters
    ----------
    cost
        Price, USD.
    years
        Tax class: 3, 5, 7, 10, 15, 20 or 39.

    Raises
    ------
    ValueError
        If the cost is negative or there is no such class.

    References
    ----------
    IRS Publication 946, "How to Depreciate Property", appendix A, tables A-1 and A-7a.

    >>> macrs(1_000.0, 5).round(1).tolist()
    [200.0, 320.0, 192.0, 115.2, 115.2, 57.6]
    """
    if years not in TAX_CLASSES:
        known = ", ".join(str(known) for known in TAX_CLASSES)
        raise ValueError(f"Expected a tax class of {known} years, got {years}.")
    if not 0 <= cost < math.inf:
        raise ValueError(f"Expected a cost of 0 or more, got {cost}.")
    if years == BUILDING_YEARS:
        shares = np.full(years + 1, 1 / years)
        shares[[0, -1]] /= 2
    else:
        shares = np.array(PERCENTAGES[years]) / 100
    # As differences of what is written off in all, so that it never exceeds the cost.
    value: Array = np.diff(cost * np.minimum(np.cumsum(shares), 1.0), prepend=0.0)
    return value
