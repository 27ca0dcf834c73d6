"""Numbers with units (``5M``, ``99.9 %``, ``16 MW``), and factors on inherited numbers."""

from __future__ import annotations

import math
import re
from fractions import Fraction

#: Sizes of the units that a field takes, by the unit at the end of its name.
UNITS: dict[str, dict[str, Fraction]] = {
    "mw": {
        "W": Fraction(1, 10**6),
        "kW": Fraction(1, 1000),
        "MW": Fraction(1),
        "GW": Fraction(1000),
    },
    "mwh": {"kWh": Fraction(1, 1000), "MWh": Fraction(1), "GWh": Fraction(1000)},
    "tb": {"GB": Fraction(1, 1000), "TB": Fraction(1), "PB": Fraction(1000)},
    "ms": {"ms": Fraction(1), "s": Fraction(1000)},
    "seconds": {"ms": Fraction(1, 1000), "s": Fraction(1), "min": Fraction(60)},
    "minutes": {"s": Fraction(1, 60), "min": Fraction(1), "h": Fraction(60), "d": Fraction(1440)},
    "hours": {"min": Fraction(1, 60), "h": Fraction(1), "d": Fraction(24)},
    "years": {"months": Fraction(1, 12), "years": Fraction(1), "a": Fraction(1)},
    "c": {"°C": Fraction(1), "C": Fraction(1), "K": Fraction(1)},
    "usd": {"USD": Fraction(1), "$": Fraction(1)},
    "rps": {"rps": Fraction(1)},
}
UNITS["minute"], UNITS["hour"] = UNITS["minutes"], UNITS["hours"]
#: Multiples before money, requests and plain numbers, but not before watts and seconds.
MULTIPLES = {"k": 10**3, "M": 10**6, "B": 10**9, "bn": 10**9}
MULTIPLIED = frozenset({"usd", "rps", ""})
#: What the text of a quantity begins with.
QUANTITY_STARTS = frozenset("+-.0123456789")
#: The longest text that is looked at.
LONGEST = 40

_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?"
#: Texts that may stand where a number is expected, for the JSON Schema.
PATTERN = rf"^(\*\s*{_NUMBER}\s*%?|{_NUMBER}\s*[A-Za-z$°%/-]+(\s[A-Za-z$°%/-]+)?)$"


def quantity(text: str, field: str) -> float | None:
    """Value of a text in the unit of a field; None if it is not such a quantity.

    A number alone is none: where a file has it in quotes it is a text.

    Parameters
    ----------
    field
        Name of the field, whose end says its unit.

    >>> quantity("16 MW", "power_limit_mw"), quantity("500kW", "power_limit_mw")
    (16.0, 0.5)
    >>> quantity("5M", "demand_rps"), quantity("1.2 bn USD", "emergency_budget_usd")
    (5000000.0, 1200000000.0)
    >>> quantity("99.9%", "sla"), quantity("90 min", "repair_hours")
    (0.999, 1.5)
    >>> quantity("80 USD/MWh", "electricity_usd_per_mwh")
    80.0
    >>> quantity("16 M", "power_limit_mw"), quantity("5 MW", "demand_rps"), quantity("5", "sla")
    (None, None, None)
    """
    found = re.fullmatch(rf"({_NUMBER})\s*(.*)", text.strip()[:LONGEST])
    if not found or not found[2]:
        return None
    size = _size(found[2], field)
    return None if size is None else _float(Fraction(found[1]) * size)


def _float(value: Fraction) -> float:
    """The nearest float; infinite where there is none, which no field takes."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def factor(text: object) -> float | None:
    """Factor on an inherited value that a text like ``*1.3`` or ``* 90 %`` states; else None.

    >>> factor("*1.3"), factor("* 90%"), factor("1.3"), factor("*near")
    (1.3, 0.9, None, None)
    """
    found = re.fullmatch(rf"\*\s*({_NUMBER})\s*(%?)", text) if isinstance(text, str) else None
    return _float(Fraction(found[1]) / (100 if found[2] else 1)) if found else None


def accepted_units(field: str) -> tuple[str, ...]:
    """Units that may follow a number in a field; `%` and multiples where it has none.

    >>> accepted_units("power_limit_mw"), accepted_units("share")
    (('W', 'kW', 'MW', 'GW'), ('%', 'k', 'M', 'B'))
    """
    return tuple(UNITS.get(_unit_of(field)[0], {})) or ("%", "k", "M", "B")


def unit_text(field: str) -> str:
    """Unit of a field as people write it; empty if its name ends in none.

    >>> unit_text("power_limit_mw"), unit_text("usd_per_instance_hour"), unit_text("share")
    ('MW', 'USD/instance hour', '')
    >>> unit_text("power_mw_per_mw"), unit_text("failures_per_year")
    ('MW/MW', '1/year')
    """
    unit, per = _unit_of(field)
    plain, below = (
        next((word for word, size in UNITS.get(part, {}).items() if size == 1), "")
        for part in (unit, per)
    )
    if not plain:  # a rate of numbers; what else is per something has no unit that is known
        return f"1/{below or per}" if below or per == "year" else ""
    return f"{plain}/{below or per.replace('_', ' ')}" if per else plain


def _unit_of(field: str) -> tuple[str, str]:
    """Unit at the end of a field's name, and its denominator."""
    head, _, per = field.partition("_per_")
    unit = head.rpartition("_")[2]
    return (unit if unit in UNITS else ""), per


def _size(words: str, field: str) -> Fraction | None:
    """Size of a unit with its prefix, in the unit of a field."""
    unit, per = _unit_of(field)
    words, slash, below = words.partition("/")
    if slash and not (per and _same_divisor(below, per)):
        return None
    known = UNITS.get(unit, {"%": Fraction(1, 100)})
    if words in known:
        return known[words]
    if unit not in MULTIPLIED:
        return None
    multiples = "|".join(sorted(MULTIPLES, key=len, reverse=True))
    found = re.fullmatch(rf"({multiples})?\s*(.*)", words)
    if not found or (found[2] and found[2] not in known) or found[2] == "%":
        return None
    return Fraction(MULTIPLES.get(found[1], 1))


def _same_divisor(text: str, per: str) -> bool:
    """Whether a text after a slash is what a field is per.

    >>> _same_divisor("MWh", "mwh"), _same_divisor("h", "instance_hour"), _same_divisor("GPU", "mw")
    (True, False, False)
    """
    short = {"h": "hour", "a": "year", "yr": "year"}
    plain = text.strip().lower().replace("-", "_").replace(" ", "_")
    return short.get(plain, plain) == per
