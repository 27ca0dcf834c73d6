"""What values of options may look like: finite numbers, amounts of money, lists of numbers."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, ClassVar

import click

if TYPE_CHECKING:
    AmountType = click.ParamType[float]
    HourType = click.ParamType[int]
    NumbersType = click.ParamType[tuple[float, ...]]
else:
    # Generic from click 8.4 on only.
    AmountType = HourType = NumbersType = click.ParamType


class FiniteRange(click.FloatRange):
    """A range of numbers without NaN, which compares as inside every range, and infinity."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Convert a text."""
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a finite number.", param, ctx)
        return number


class Money(AmountType):
    """An amount in USD: 400M, 1.2B, 250k, 400e6."""

    name = "usd"
    FACTORS: ClassVar = {"": 1.0, "k": 1e3, "m": 1e6, "b": 1e9}

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Convert a text."""
        found = re.fullmatch(r"(\d+\.?\d*|\.\d+)(e[+-]?\d{1,2})?([kmb]?)", str(value).lower())
        if not found:
            self.fail(f"{value!r} is not an amount in USD such as 400M, 1.2B or 400e6.", param, ctx)
        number, power, unit = found.groups()
        return float(number + (power or "")) * self.FACTORS[unit]


class NumberList(NumbersType):
    """Numbers of at least 0, separated by commas."""

    name = "numbers"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float, ...]:
        """Convert a text."""
        if isinstance(value, tuple):
            return value
        number = FiniteRange(0)
        return tuple(number.convert(part.strip(), param, ctx) for part in str(value).split(","))


class HourOfWeek(HourType):
    """An hour of the week: 0 to 167, or Mon-18."""

    name = "hour"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Convert a text."""
        from planner.laws.calendar import HOURS_PER_WEEK, hour_named

        text = str(value)
        hour = int(text) if re.fullmatch(r"[0-9]{1,3}", text) else hour_named(text)
        if hour is None or not 0 <= hour < HOURS_PER_WEEK:
            self.fail(f"{value!r} is not an hour of the week such as 18 or Mon-18.", param, ctx)
        return hour


#: A share from 0 to below 1.
SHARE = FiniteRange(0, 1, max_open=True)
