"""Sensitivity of the net present value of a build to each input, and its break-evens.

One input changes at a time; the plan and the sampled failures stay. Failure losses are proportional
to the failure rate, the outage value and the price of emergency capacity: twice the rate counts as
twice the losses, although simultaneous failures of two components would be four times as frequent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from scipy.optimize import brentq

from planner.finance.assumptions import Assumptions
from planner.finance.cashflow import Floats, Position, cash_flow
from planner.infrastructure.entities import Model
from planner.laws.returns import net_present_value, rates_of_return

#: Largest factor that a break-even is looked for at.
MOST_FACTOR = 1000.0
#: Growth rates per year between which a break-even is looked for: what a model accepts.
GROWTH = (-0.5, 1.0)
#: Values at which growth rates are tried before zeros between them are narrowed down.
TRIALS = 61
#: Relative distance down to which they are.
LEAST_STEP = 4 * float(np.finfo(float).eps)
Kind = Literal["rate", "factor"]
RATE: Kind = "rate"
FACTOR: Kind = "factor"
#: A change of the net present value by less, as a share of all that flows, is rounding.
ROUNDING = 1e-12


@dataclass(frozen=True)
class Input:
    """An uncertain input with its range.

    Parameters
    ----------
    attribute
        Its name in `Assumptions`; ``demand`` is used by the optimisation alone.
    kind
        A rate varies by a difference, a factor in proportion.
    low, high
        Difference to the rate, as a share per year, or multiple of the factor.
    reason
        Source of the range.
    least
        Lower bound of the range, unless the value itself is lower.
    straight
        Whether the net present value is linear in it.
    """

    name: str
    attribute: str
    kind: Kind
    low: float
    high: float
    reason: str
    least: float = 0.0
    straight: bool = True

    def values(self, base: float) -> tuple[float, float]:
        """Low and high value around one."""
        low, high = (
            (base + self.low, base + self.high)
            if self.kind == "rate"
            else (base * self.low, base * self.high)
        )
        # Sums like 0.08 − 0.01 are to be read.
        return min(base, max(self.least, round(low, 12))), round(high, 12)


#: Inputs in which the net present value is no straight line, and those that may be negative.
CURVED = ("discount_rate", "demand_growth_per_year")
INFLATION = ("inflation_per_year", "electricity_inflation_per_year")
#: Inputs of a valuation. Ranges of prices and rates come from the spread in the data sets about the
#: value that models take from them.
INPUTS: tuple[Input, ...] = tuple(
    Input(name, attribute, kind, low, high, reason,
          least=-0.5 if attribute in INFLATION else 0.0,
          straight=attribute not in (*CURVED, *INFLATION))
    for name, attribute, kind, low, high, reason in (
        ("discount rate", CURVED[0], RATE, -0.01, 0.01, "finance.csv: 8 to 10 % about 9 %"),
        ("GPU price", "gpu_price", FACTOR, 0.8, 1.2, "gpus.csv: A100 10,000 to 15,000 USD"),
        ("cooling price", "cooling_price", FACTOR, 0.7, 1.3,
         "capital.csv: cooling plant 1,400 to 2,600 USD per kW about 2,050, rounded"),
        ("failure rates", "failure_rate", FACTOR, 0.4, 2.0,
         "failure_rates.csv: chillers 0.2 to 1 a year about 0.5"),
        ("outage value", "outage_value", FACTOR, 0.5, 2.0, "estimate"),
        ("surge multiplier", "surge", FACTOR, 0.5, 2.0,
         "estimate; half of the lowest multiplier of the shipped models (2) is the list price"),
        ("demand growth", CURVED[1], RATE, -0.1, 0.1, "estimate; none to 10 % a year"),
        ("tax rate", "tax_rate", RATE, -0.01, 0.02, "finance.csv: 24 to 27 % about 25 %"),
        ("inflation", INFLATION[0], RATE, -0.01, 0.01, "estimate"),
        ("electricity inflation", INFLATION[1], RATE, -0.01, 0.02,
         "finance.csv: 2 to 5 % about 3 %"),
    )
)  # fmt: skip


def inputs_for(model: Model) -> tuple[Input, ...]:
    """The inputs with surge multipliers that do not fall below the list price of any offer."""
    lowest = min((offer.surge_multiplier for offer in model.offers.values()), default=1.0)
    return tuple(
        replace(varied, low=max(varied.low, 1 / lowest)) if varied.attribute == "surge" else varied
        for varied in INPUTS
    )


@dataclass(frozen=True)
class Swing:
    """Net present value at both ends of the range of an input."""

    input: Input
    low: float
    high: float
    npv_low_usd: float
    npv_high_usd: float
    npv_usd: float

    @property
    def usd(self) -> float:
        """Rise of the net present value from the low value to the high one."""
        return self.npv_high_usd - self.npv_low_usd


def npv_usd(
    base: Position, build: Position, assumptions: Assumptions, other_usd: Floats | None = None
) -> float:
    """Net present value of a build against the base, USD."""
    net = cash_flow(base, build, assumptions, other_usd).net
    return net_present_value(assumptions.discount_rate, net)


def tornado(
    base: Position,
    build: Position,
    assumptions: Assumptions,
    other_usd: Floats | None = None,
    inputs: Sequence[Input] = INPUTS,
) -> tuple[Swing, ...]:
    """Net present value over the range of each input, the largest swing first.

    Parameters
    ----------
    other_usd
        Other flows by year, shape (N + 1,), which no input changes.
    """
    now = npv_usd(base, build, assumptions, other_usd)

    def at(varied: Input, value: float) -> float:
        return npv_usd(base, build, _with(assumptions, varied, value), other_usd)

    swings = []
    for varied in inputs:
        low, high = varied.values(getattr(assumptions, varied.attribute))
        swings.append(Swing(varied, low, high, at(varied, low), at(varied, high), now))
    return tuple(sorted(swings, key=lambda swing: -abs(swing.usd)))


def _with(assumptions: Assumptions, varied: Input, value: float) -> Assumptions:
    changes: dict[str, Any] = {varied.attribute: value}
    return replace(assumptions, **changes)


@dataclass(frozen=True)
class BreakEven:
    """Value of an input at which the net present value is zero.

    Parameters
    ----------
    value
        The nearest such value; None without one.
    reason
        Why there is none, or which others there are; empty where there is exactly one.
    values
        All that were found, ascending.
    """

    input: Input
    base: float
    value: float | None
    reason: str = ""
    values: tuple[float, ...] = ()

    @property
    def times(self) -> float | None:
        """How many times today's value it is; None without one, or where that is 0."""
        return None if self.value is None or not self.base else self.value / self.base


def break_evens(
    base: Position,
    build: Position,
    assumptions: Assumptions,
    other_usd: Floats | None = None,
    inputs: Sequence[Input] = INPUTS,
) -> tuple[BreakEven, ...]:
    """Break-even of each input by itself."""
    return tuple(break_even(base, build, assumptions, varied, other_usd) for varied in inputs)


def break_even(
    base: Position,
    build: Position,
    assumptions: Assumptions,
    input: Input,  # noqa: A002
    other_usd: Floats | None = None,
) -> BreakEven:
    """Value of an input at which the net present value is zero, all else as assumed.

    Discount rates: all that exist above −1 (`rates_of_return`). The net present value is linear in
    prices, failure rates, outage value, surge multipliers and tax, so two points give the zero;
    factors are accepted from 0 to 1,000, tax rates from 0 to 1. Growth rates are evaluated at 61
    values from −50 to 100 % a year and changes of sign narrowed down (Brent); two zeros between
    neighbouring values would be missed.

    Parameters
    ----------
    other_usd
        Other flows by year, shape (N + 1,), which no input changes.
    """
    today = getattr(assumptions, input.attribute)

    def at(value: float) -> float:
        return npv_usd(base, build, _with(assumptions, input, value), other_usd)

    net = cash_flow(base, build, assumptions, other_usd).net
    rounding = ROUNDING * float(np.abs(net).sum())
    if input.attribute == "discount_rate":
        lowest, most = -1.0, float("inf")
        zeros = rates_of_return(net) if net.any() else ()
        idle = not net.any()
    elif input.straight:
        lowest, most = (0.0, MOST_FACTOR) if input.kind == "factor" else (0.0, 1.0)
        zeros, idle = _on_a_line(at, today, rounding)
        zeros = tuple(zero for zero in zeros if lowest <= zero <= most)
    else:
        lowest, most = GROWTH
        zeros, idle = _between(at, today, rounding)
    if idle:
        return BreakEven(input, today, None, "it has no influence")
    if not zeros:
        sign = "above" if at(today) > 0 else "below"
        return BreakEven(input, today, None, f"{sign} zero {_range(lowest, most)}")
    nearest = min(zeros, key=lambda zero: abs(zero - today))
    rest = ", ".join(f"{zero:.4g}" for zero in zeros if zero != nearest)
    return BreakEven(input, today, nearest, f"also zero at {rest}" if rest else "", zeros)


def _range(lowest: float, most: float) -> str:
    return "at every rate" if most == float("inf") else f"from {lowest:g} to {most:,g}"


def _on_a_line(
    at: Callable[[float], float], today: float, rounding: float
) -> tuple[tuple[float, ...], bool]:
    """Zero of a straight line, and whether it is level."""
    here = at(today)
    # As far away as today is from zero, so that the digits of both points count.
    away = today / 2 if today else 0.5
    slope = (at(away) - here) / (away - today)
    if abs(slope * (away - today)) <= rounding:
        return (), True
    return (today - here / slope,), False


def _between(
    at: Callable[[float], float], today: float, rounding: float
) -> tuple[tuple[float, ...], bool]:
    """Zeros among the growth rates, ascending, and whether all give the same."""
    trials = np.union1d(np.linspace(*GROWTH, TRIALS), [today]).tolist()
    worth = [at(trial) for trial in trials]
    if max(worth) - min(worth) <= rounding:
        return (), True
    zeros = [trial for trial, usd in zip(trials, worth, strict=True) if usd == 0]
    for (low, high), (first, last) in zip(pairwise(trials), pairwise(worth), strict=True):
        if first * last < 0:
            zeros.append(brentq(at, low, high, xtol=1e-300, rtol=LEAST_STEP))
    return tuple(sorted(zeros)), False
