"""Amounts for people: one place that decides how many digits of them are shown.

Nothing is shown as 0.00 that is not nothing: where the usual decimals leave fewer than two digits,
there are more.
"""

from __future__ import annotations

import math

#: Amounts below this are told in units, not in millions.
FEW = 1e5
#: What is less is rounding.
NOTHING = 0.005


def millions(amount: float, places: int = 2, sign: str = "-") -> str:
    """An amount in millions, for columns that say so.

    Parameters
    ----------
    sign
        ``+`` to show it of more than nothing too.

    Examples
    --------
    >>> millions(12_345_678.0), millions(12_345_678.0, 1), millions(450_000.0, 1)
    ('12.35', '12.3', '0.45')
    >>> millions(4_500.0), millions(-96.0), millions(-1e-4), millions(0.0, 1)
    ('0.0045', '-0.000096', '0.00', '0.0')
    """
    value = amount / 1e6
    if abs(amount) < NOTHING:
        return f"{0.0:{sign}.{places}f}"
    if round(abs(value), places) < 10.0 ** (1 - places):
        places = 1 - math.floor(math.log10(abs(value)))
    return f"{value:{sign},.{places}f}"


def money(usd: float, places: int = 2) -> str:
    """An amount in USD, in millions where there are many.

    Examples
    --------
    >>> money(12_345_678.0), money(450_000.0), money(4_500.4), money(-0.25), money(0.0)
    ('12.35 M USD', '0.45 M USD', '4,500 USD', '-0.25 USD', '0 USD')
    """
    return f"{_some(usd, places)} USD"


def requests(count: float) -> str:
    """A number of requests.

    Examples
    --------
    >>> requests(2_345_000.0), requests(4_500.0), requests(0.0)
    ('2.3 M requests', '4,500 requests', '0 requests')
    """
    return f"{_some(round(count), 1)} requests"


def _some(amount: float, places: int) -> str:
    if abs(amount) >= FEW:
        return f"{millions(amount, places)} M"
    if abs(amount) < NOTHING:
        return "0"
    return f"{amount:,.0f}" if abs(amount) >= 10 or amount == round(amount) else f"{amount:.2f}"


__all__ = ["millions", "money", "requests"]
