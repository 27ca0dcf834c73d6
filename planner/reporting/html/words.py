"""Numbers as people read them."""

from __future__ import annotations

import math

from planner import amounts

#: Fractions are compared up to this by the simulator.
FULL = 1 - 1e-6


def money(usd: float) -> str:
    """An amount in USD with three digits.

    >>> money(245_300_000.0), money(-1_234.0), money(0.0), money(999.6)
    ('245 M USD', '-1.23 k USD', '0 USD', '1.00 k USD')
    """
    for factor, unit in ((1e9, " B"), (1e6, " M"), (1e3, " k"), (1.0, "")):
        if abs(usd) >= 0.9995 * factor:
            return f"{_three(usd / factor)}{unit} USD"
    return "0 USD" if abs(usd) < 0.005 else f"{usd:.2f} USD"


def millions(usd: float) -> str:
    """An amount in millions of USD with two decimals where it is small, none as −0.

    >>> millions(12_345_678.0), millions(450_000_000.0), millions(4_500.0), millions(-0.001)
    ('12.35', '450.0', '0.0045', '0.00')
    """
    return amounts.millions(usd, 1 if abs(usd) >= 1e8 else 2)


def _three(value: float) -> str:
    """Three digits.

    >>> _three(245.3), _three(24.53), _three(2.4), _three(999.9)
    ('245', '24.5', '2.40', '1,000')
    """
    digits = max(0, 2 - math.floor(math.log10(abs(value) * (1 + 1e-3)))) if value else 0
    return f"{value:,.{digits}f}"


def share(fraction: float, digits: int = 1) -> str:
    """Percent, never rounded up to a full hundred but for what simulations take for it.

    >>> share(1.0), share(0.99999), share(0.619), share(1 - 1e-9)
    ('100 %', '99.9 %', '61.9 %', '100 %')
    """
    if fraction >= FULL:
        return "100 %"
    scale = 10**digits
    return f"{math.floor(round(fraction * 100 * scale, 6)) / scale:.{digits}f} %"


def minutes(value: float | None) -> str:
    """Minutes, or hours where there are many.

    >>> minutes(None), minutes(0.0), minutes(45.0), minutes(1440.0)
    ('not within the simulation', 'at once', '45 min', '24.0 h')
    """
    if value is None:
        return "not within the simulation"
    if value <= 0:
        return "at once"
    return f"{value:.0f} min" if value < 600 else f"{value / 60:.1f} h"


def per_year(times: float) -> str:
    """How often something happens.

    >>> per_year(0.0), per_year(2.5), per_year(0.05), per_year(1e-5)
    ('not stated', '2.5 a year', 'once in 20 years', 'once in 100,000 years')
    """
    if times <= 0:
        return "not stated"
    if times >= 0.5:
        return f"{times:.3g} a year"
    years = float(f"{1 / times:.3g}")
    return f"once in {years:,.0f} years" if years >= 100 else f"once in {years:g} years"


def counted(count: int, one: str, many: str = "") -> str:
    """A number with its noun.

    >>> counted(1, "scenario"), counted(1200, "scenario"), counted(2, "pass", "passes")
    ('1 scenario', '1,200 scenarios', '2 passes')
    """
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def listed(names: list[str], most: int = 3) -> str:
    """Names in a row, those beyond some counted.

    >>> listed(["a"]), listed(["a", "b"]), listed(list("abcde"))
    ('a', 'a and b', 'a, b, c and 2 more')
    """
    if len(names) <= 1:
        return "".join(names)
    if len(names) <= most:
        return f"{', '.join(names[:-1])} and {names[-1]}"
    return f"{', '.join(names[:most])} and {len(names) - most:,} more"
