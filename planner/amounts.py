"""Numbers for people: the one place that decides how many digits are shown, and in what unit.

Nothing that is something is shown as 0.00: where the usual decimals leave fewer than two digits,
there are more. Rounding never shows a negative zero, and never all of something that is less.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

#: Amounts of money and requests from this on are told in millions.
MILLION = 1e6
#: Half a cent: less is rounding.
NOTHING = 0.005
#: Millions from this on have one decimal.
LARGE = 100.0
#: Amounts below this, a hundred USD, are next to nothing in millions.
LEAST = 1e-4
#: Shares this close to 1 are all: what simulations leave over by rounding.
ALL_BUT_ROUNDING = 1e-9
#: Most decimals of a percentage.
MOST_PLACES = 5


def number(value: float, digits: int = 3, sign: str = "-") -> str:
    """A number with so many significant digits, all of those before the point, no exponent.

    Examples
    --------
    >>> number(0.01234), number(12.345), number(12345.6), number(-0.0), number(2.5, sign="+")
    ('0.0123', '12.3', '12,346', '0', '+2.5')
    """
    if not math.isfinite(value):
        return f"{value:{sign}}"
    if not value:
        return "0"
    places = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    text = f"{value:{sign},.{places}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def millions(amount: float, places: int | None = None, sign: str = "-") -> str:
    """An amount in millions, for columns that say so.

    Parameters
    ----------
    places
        Decimals; None for two, one from 100 millions on.
    sign
        ``+`` to show it of more than nothing too.

    Examples
    --------
    >>> millions(12_345_678.0), millions(450_000_000.0), millions(450_000.0, 1)
    ('12.35', '450.0', '0.45')
    >>> millions(4_500.0), millions(-96.0), millions(-1e-4), millions(0.0, 1)
    ('0.0045', '≈0', '0.00', '0.0')
    """
    value = amount / MILLION
    if places is None:
        places = 1 if abs(value) >= LARGE else 2
    if abs(amount) < NOTHING:
        return f"{0.0:.{places}f}"
    if abs(value) < LEAST:
        return "≈0"
    if round(abs(value), places) < 10.0 ** (1 - places):
        places = 1 - math.floor(math.log10(abs(value)))
    return f"{value:{sign},.{places}f}"


def money(usd: float, places: int | None = None) -> str:
    """An amount in USD, in millions from one million on, else with four digits.

    Examples
    --------
    >>> money(12_345_678.0), money(453_217.0), money(4_500.4), money(-0.25), money(0.0)
    ('12.35 M USD', '453,200 USD', '4,500 USD', '-0.25 USD', '0 USD')
    """
    return f"{_some(usd, places)} USD"


def money_range(low_usd: float, high_usd: float) -> str:
    """Two amounts in one unit, that of the larger.

    Examples
    --------
    >>> money_range(558.0, 1_410.0), money_range(980_000.0, 1_410_000.0), money_range(5.0, 5.0)
    ('558 to 1,410 USD', '0.98 to 1.41 M USD', '5 USD')
    """
    if max(abs(low_usd), abs(high_usd)) >= MILLION:
        low, high, unit = millions(low_usd), millions(high_usd), "M USD"
    else:
        low, high, unit = _some(low_usd), _some(high_usd), "USD"
    return f"{low} {unit}" if low == high else f"{low} to {high} {unit}"


def _some(amount: float, places: int | None = None) -> str:
    """An amount below a million in whole units with four digits at most, or in millions."""
    size = abs(amount)
    if size < NOTHING:
        return "0"
    if size < 10 and amount != round(amount):
        return f"{amount:.2f}"
    rounded = round(amount, min(0, 3 - math.floor(math.log10(size))))
    if abs(rounded) >= MILLION:
        return f"{millions(amount, places)} M"
    return f"{rounded:,.0f}"


def percent(share: float, places: int = 1, sign: str = "-") -> str:
    """A share in percent, for what may be more or less than all of it.

    Examples
    --------
    >>> percent(0.1234), percent(0.0), percent(-0.00001), percent(0.0004), percent(1.0, 0)
    ('12.3 %', '0.0 %', '-0.001 %', '0.04 %', '100 %')
    """
    value = 100 * share
    if abs(value) < 10.0**-MOST_PLACES:
        return f"{0.0:.{places}f} %"
    while places < MOST_PLACES and float(f"{abs(value):.{places}f}") == 0:
        places += 1
    return f"{value:{sign},.{places}f} %"


def served(share: float, places: int = 1) -> str:
    """A share of what should be, rounded down: 100 % is all of it.

    Examples
    --------
    >>> served(0.99999), served(0.619), served(1.0), served(1 - 1e-10), served(0.29, 0)
    ('99.9 %', '61.9 %', '100 %', '100 %', '29 %')
    """
    if share >= 1 - ALL_BUT_ROUNDING:
        return "100 %"
    scale = 10**places
    # Rounded before cut off: 0.29 · 100 is a hair less than 29.
    return f"{math.floor(round(share * 100 * scale, 6)) / scale:.{places}f} %"


def served_apart(share: float, required: float) -> tuple[str, str]:
    """A share and what it should be, with as many digits as tell them apart.

    Examples
    --------
    >>> served_apart(0.5, 0.6), served_apart(0.989, 0.9891)
    (('50.0 %', '60.0 %'), ('98.90 %', '98.91 %'))
    """
    texts = served(share), served(required)
    for places in range(1, MOST_PLACES + 1):
        texts = served(share, places), served(required, places)
        if texts[0] != texts[1]:
            break
    return texts


def minutes(value: float | None, never: str = "never") -> str:
    """A time in minutes, in hours from ten hours on, in days from three days on.

    Examples
    --------
    >>> minutes(None), minutes(0.0), minutes(45.0), minutes(1440.0), minutes(7200.0)
    ('never', '0 min', '45 min', '24 h', '5 days')
    """
    if value is None or math.isinf(value):
        return never
    if value < 600:
        return f"{value:.0f} min"
    return f"{number(value / 60)} h" if value < 4320 else f"{number(value / 1440)} days"


def per_year(times: float) -> str:
    """How often something happens.

    Examples
    --------
    >>> per_year(0.0), per_year(2.5), per_year(0.05), per_year(1e-5)
    ('not stated', '2.5 a year', 'once in 20 years', 'once in 100,000 years')
    """
    if times <= 0:
        return "not stated"
    if times >= 0.5:
        return f"{number(times)} a year"
    return f"once in {number(float(f'{1 / times:.3g}'))} years"


def megawatts(mw: float) -> str:
    """Power.

    Examples
    --------
    >>> megawatts(12.345), megawatts(0.5), megawatts(1234.5)
    ('12.3 MW', '0.5 MW', '1,234 MW')
    """
    return f"{number(mw)} MW"


def rate(per_second: float) -> str:
    """Requests in a second.

    Examples
    --------
    >>> rate(12_345.6), rate(0.25)
    ('12,346 requests/s', '0.25 requests/s')
    """
    return f"{number(per_second)} requests/s"


def requests(count: float) -> str:
    """A number of requests.

    Examples
    --------
    >>> requests(2_345_000.0), requests(4_500.0), requests(0.0)
    ('2.3 M requests', '4,500 requests', '0 requests')
    """
    return f"{_some(round(count), 1)} requests"


def counted(count: int, one: str, many: str = "") -> str:
    """A number with its noun.

    Examples
    --------
    >>> counted(1, "scenario"), counted(1200, "GPU"), counted(2, "pass", "passes")
    ('1 scenario', '1,200 GPUs', '2 passes')
    """
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def listed(names: Sequence[str], most: int = 3) -> str:
    """Names in a row, those beyond some counted.

    Examples
    --------
    >>> listed(["a"]), listed(["a", "b"]), listed(list("abcde"))
    ('a', 'a and b', 'a, b, c and 2 more')
    """
    if len(names) <= 1:
        return "".join(names)
    if len(names) <= most:
        return f"{', '.join(names[:-1])} and {names[-1]}"
    return f"{', '.join(names[:most])} and {len(names) - most:,} more"
