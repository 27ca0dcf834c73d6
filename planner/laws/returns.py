"""Returns: what a sequence of yearly cash flows is worth.

Cash flows belong to the years 0..N: that of year 0 is paid now and not discounted, every other at
the end of its year. Money spent is negative, money received positive, unless a function takes
benefits and costs apart; both are then given as positive amounts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
import numpy_financial as npf

from planner.amounts import percent
from planner.laws.money import annuity
from planner.laws.roots import Array, forces_of_interest

Flows = Sequence[float] | npt.NDArray[np.float64]

#: Cumulative cash flow this close to zero, relative to all that flows, is zero but for rounding.
SETTLED = 1e-12

#: What each measure is, in one plain sentence.
MEASURES: Mapping[str, str] = MappingProxyType(
    {
        "npv": "Net present value: all cash flows, each discounted to today at the discount rate, "
        "added up; above zero the plan earns more than the cost of capital.",
        "irr": "Internal rate of return: the discount rate at which the net present value is zero; "
        "given only where exactly one such rate exists.",
        "mirr": "Modified internal rate of return: the yearly growth from money spent, discounted "
        "at the finance rate, to money received, compounded at the reinvestment rate to the end.",
        "payback": "Payback: the years until the cumulative cash flow reaches zero for good, "
        "without interest; nothing after that counts.",
        "discounted_payback": "Discounted payback: the years until the cumulative discounted cash "
        "flow reaches zero for good.",
        "benefit_cost_ratio": "Benefit-cost ratio: present value of the benefits over present "
        "value of the costs; above 1 the benefits outweigh the costs.",
        "roi": "Return on investment: present value of the benefits less that of the costs, over "
        "that of the costs; the benefit-cost ratio less 1.",
        "equivalent_annual_cost": "Equivalent annual cost: the equal yearly payment over the "
        "horizon that is worth as much as all the costs.",
        "total_cost_of_ownership": "Total cost of ownership: present value of everything that "
        "buying, running and disposing of it costs over the horizon, benefits left out.",
    }
)


@dataclass(frozen=True)
class ReturnRate:
    """Internal rate of return, or why there is none.

    Parameters
    ----------
    rate
        The internal rate per year where exactly one exists, otherwise None.
    rates
        All rates above −1 at which the net present value is zero, ascending.
    reason
        Why there is no single rate, or what to keep in mind with it; empty in the plain case.
    """

    rate: float | None
    rates: tuple[float, ...]
    reason: str


def net_present_value(rate: float, flows: Flows) -> float:
    """Worth today of cash flows: ``Σ c_t / (1 + r)^t``.

    Raises
    ------
    ValueError
        With everything that is wrong: no cash flow, horizon zero, not a number, rate ≤ −1.

    References
    ----------
    Brealey, Myers & Allen, *Principles of Corporate Finance*, chapter 2.

    >>> round(net_present_value(0.08, [-40_000, 5_000, 8_000, 12_000, 30_000]), 5)
    3065.22267
    """
    (values,) = _checked({"cash flow": flows}, {"discount rate": rate})
    return _worth(rate, values)


def rates_of_return(flows: Flows) -> tuple[float, ...]:
    """All rates above −1 per year at which the net present value is zero, ascending.

    There are at most as many as the cash flows change sign. A rate at which the net present value
    touches zero without crossing it counts once. Rates that a float cannot tell from −1 are left
    out.

    Raises
    ------
    ValueError
        If there is no cash flow, only that of year 0, or one that is not a number.

    References
    ----------
    Lorie & Savage, "Three problems in rationing capital", *Journal of Business* 28 (1955).

    >>> [round(rate, 9) for rate in rates_of_return([-1_600, 10_000, -10_000])]
    [0.25, 4.0]
    """
    (values,) = _checked({"cash flow": flows}, {})
    forces = forces_of_interest(values)
    with np.errstate(over="ignore"):
        rates = np.expm1(forces)
    return tuple(float(rate) for rate in rates if -1 < rate < math.inf)


def internal_rate_of_return(flows: Flows) -> ReturnRate:
    """Internal rate of return where exactly one exists; otherwise the rates found and the reason.

    Raises
    ------
    ValueError
        As `rates_of_return`.

    >>> internal_rate_of_return([1_000, -3_000, 2_500]).reason
    'no real rate makes the net present value zero'
    """
    (values,) = _checked({"cash flow": flows}, {})
    rates = rates_of_return(values)
    if len(rates) == 1:
        return ReturnRate(rates[0], rates, _reservation(values))
    if rates:
        found = ", ".join(percent(rate, 2) for rate in rates)
        reason = f"{len(rates)} rates make the net present value zero ({found}); none is the rate"
        return ReturnRate(None, rates, reason)
    return ReturnRate(
        None, (), _one_sign(values) or "no real rate makes the net present value zero"
    )


def modified_internal_rate(flows: Flows, finance_rate: float, reinvest_rate: float) -> float | None:
    """Modified internal rate of return; None unless money is both spent and received.

    ``(FV(received, reinvest rate) / PV(spent, finance rate))^(1/N) − 1`` with the future value at
    the end of year N. There is always exactly one, also where there are several internal rates.

    Parameters
    ----------
    flows
        Cash flows of the years 0..N.
    finance_rate, reinvest_rate
        Rates per year at which money spent is financed and money received is put to use.

    Raises
    ------
    ValueError
        With everything that is wrong, as `net_present_value`.

    >>> round(modified_internal_rate([-100, 50, -60, 70], 0.10, 0.12), 6)
    -0.039094
    """
    rates = {"finance rate": finance_rate, "reinvestment rate": reinvest_rate}
    (values,) = _checked({"cash flow": flows}, rates)
    if not (np.any(values > 0) and np.any(values < 0)):
        return None
    with np.errstate(all="ignore"):
        rate = float(npf.mirr(values, finance_rate, reinvest_rate))
    return _finite(rate, "modified internal rate")


def payback_years(flows: Flows, rate: float = 0.0) -> float | None:
    """Years until the cumulative cash flow reaches zero and stays there to the end of the horizon.

    Within a year money comes in evenly: the year is interpolated. 0 where nothing is ever
    outstanding; None where the flows do not pay back, or do so only to fall below zero again by
    the end (a dismantling that costs more than was gained).

    Parameters
    ----------
    flows
        Cash flows of the years 0..N.
    rate
        Discount rate per year: 0 gives the simple, any other the discounted payback.

    Raises
    ------
    ValueError
        As `net_present_value`.

    References
    ----------
    Brealey, Myers & Allen, *Principles of Corporate Finance*, chapter 5.

    >>> payback_years([-2_000, 500, 500, 5_000])
    2.2
    >>> payback_years([-2_000, 500, 1_800, 0], 0.10) is None
    True
    """
    (values,) = _checked({"cash flow": flows}, {"discount rate": rate})
    discounted = _discounted(rate, values)
    _finite(float(np.abs(discounted).sum()), "cumulative cash flow")
    cumulative = np.cumsum(discounted)
    cumulative[np.abs(cumulative) <= SETTLED * np.cumsum(np.abs(discounted))] = 0.0
    short = np.flatnonzero(cumulative < 0)
    if not short.size:
        return 0.0
    last = int(short[-1])
    if last == len(cumulative) - 1:
        return None
    before, after = float(cumulative[last]), float(cumulative[last + 1])
    return last + before / (before - after)


def benefit_cost_ratio(benefits: Flows, costs: Flows, rate: float) -> float | None:
    """Present value of the benefits over that of the costs; None where the costs come to nothing.

    Parameters
    ----------
    benefits, costs
        Positive amounts of the years 0..N, equally long.
    rate
        Discount rate per year.

    Raises
    ------
    ValueError
        With everything that is wrong, as `net_present_value`, or if the lengths differ.

    >>> benefit_cost_ratio([0.0, 3.0, 3.0], [4.0, 0.0, 0.0], 0.0)
    1.5
    """
    gains, spent = _checked({"benefit": benefits, "cost": costs}, {"discount rate": rate})
    worth = _worth(rate, spent)
    return _finite(_worth(rate, gains) / worth, "benefit-cost ratio") if worth > 0 else None


def return_on_investment(benefits: Flows, costs: Flows, rate: float = 0.0) -> float | None:
    """Present value of benefits less costs over that of the costs; None without costs.

    ``(PV(benefits) − PV(costs)) / PV(costs)``, the benefit-cost ratio less 1. At rate 0 it is the
    undiscounted return.

    Raises
    ------
    ValueError
        As `benefit_cost_ratio`.

    >>> return_on_investment([0.0, 3.0, 3.0], [4.0, 0.0, 0.0])
    0.5
    """
    ratio = benefit_cost_ratio(benefits, costs, rate)
    return None if ratio is None else ratio - 1


def capital_recovery(rate: float, years: float) -> float:
    """Equal payment at the end of each year for one unit paid now: ``r / (1 − (1 + r)^−n)``.

    `planner.laws.money.annuity`, also for rates between −1 and 0.

    Raises
    ------
    ValueError
        If the rate is not above −1 or the number of years is not positive.

    >>> round(capital_recovery(0.12, 15), 5), capital_recovery(0.0, 20)
    (0.14682, 0.05)
    """
    if not (-1 < rate < math.inf and 0 < years < math.inf):
        raise ValueError(f"Expected a rate above −1 and years above 0, got {rate} and {years}.")
    if rate >= 0:
        return annuity(rate, years)
    growth = years * math.log1p(rate)
    return 1 / years if growth == 0 else rate * math.exp(growth) / math.expm1(growth)


def equivalent_annual_cost(costs: Flows, rate: float) -> float:
    """Equal payment at the end of each of the years 1..N that is worth as much as the costs.

    Parameters
    ----------
    costs
        Positive amounts of the years 0..N.
    rate
        Discount rate per year, above −1.

    Raises
    ------
    ValueError
        As `net_present_value`.

    References
    ----------
    Brealey, Myers & Allen, *Principles of Corporate Finance*, chapter 6.

    >>> round(equivalent_annual_cost([15, 5, 5, 5], 0.06), 2)
    10.61
    """
    (values,) = _checked({"cost": costs}, {"discount rate": rate})
    payment = _worth(rate, values) * capital_recovery(rate, len(values) - 1)
    return _finite(payment, "equivalent annual cost")


def incidents_to_justify(
    capital_usd: float,
    usd_per_year: float,
    usd_per_incident: float,
    rate: float,
    years: int = 10,
) -> float:
    """How many incidents within some years, evenly spread, an investment must prevent to pay.

    ``n = years·(capital·a + usd per year) / usd per incident`` with the capital recovery factor a,
    1/years at rate 0. Yearly amounts fall at the end of each year; nothing is left of the capital
    after the last.

    Parameters
    ----------
    capital_usd
        Spent now, USD.
    usd_per_year
        Spent in each of the years, USD per year.
    usd_per_incident
        What one incident costs that the investment prevents, USD.
    rate
        Discount rate per year, above −1: 0 gives the undiscounted number.
    years
        Years that are looked at: 10 for incidents per decade.

    Returns
    -------
    float
        Incidents within these years; below 1 where a part of one pays.

    Raises
    ------
    ValueError
        With everything that is wrong: amounts that are negative or not numbers, incidents that
        cost nothing, a rate ≤ −1, a horizon of zero.

    >>> round(incidents_to_justify(1_150e6, 25e6, 1_580e6, 0.0), 3)
    0.886
    """
    problems = [
        f"{name} {amount:g} is not an amount of 0 or more"
        for name, amount in (("capital_usd", capital_usd), ("usd_per_year", usd_per_year))
        if not 0 <= amount < math.inf
    ]
    if not 0 < usd_per_incident < math.inf:
        problems.append(f"usd_per_incident {usd_per_incident:g} is not an amount above 0")
    problems += _rate_problems({"discount rate": rate})
    if not 0 < years < math.inf:
        problems.append(f"horizon of {years:g} years is not above 0")
    _raise(problems)
    yearly = capital_usd * capital_recovery(rate, years) + usd_per_year
    return _finite(years * (yearly / usd_per_incident), "number of incidents")


def _checked(series: Mapping[str, Flows], rates: Mapping[str, float]) -> list[Array]:
    values, problems = _problems(series, rates)
    _raise(problems)
    return values


def _problems(
    series: Mapping[str, Flows], rates: Mapping[str, float]
) -> tuple[list[Array], list[str]]:
    """Series as arrays, and what leaves nothing to work out."""
    values = [np.asarray(flows, dtype=float) for flows in series.values()]
    problems = _rate_problems(rates)
    for name, array in zip(series, values, strict=True):
        problems += _series_problems(name, array)
    lengths = {array.shape for array in values}
    if len(lengths) > 1:
        given = " and ".join(f"{array.size} {n}s" for n, array in zip(series, values, strict=True))
        problems.append(f"expected as many years of each, got {given}")
    return values, problems


def _series_problems(name: str, array: Array) -> list[str]:
    if array.ndim != 1:
        return [f"expected one {name} a year, got an array of {array.ndim} dimensions"]
    if array.size == 0:
        return [f"there is no {name}"]
    problems = [f"horizon is zero: there is only the {name} of year 0"] if array.size == 1 else []
    odd = np.flatnonzero(~np.isfinite(array))
    if odd.size:
        given = ", ".join(f"{array[year]:g} in year {year}" for year in odd[:5])
        more = f" and {odd.size - 5} more" if odd.size > 5 else ""
        problems.append(f"{name} is not a finite number: {given}{more}")
    return problems


def _rate_problems(rates: Mapping[str, float]) -> list[str]:
    problems = []
    for name, rate in rates.items():
        if not math.isfinite(rate):
            problems.append(f"{name} {rate:g} is not a finite number")
        elif rate <= -1:
            problems.append(f"{name} {rate:g} is not above −1")
    return problems


def _raise(problems: list[str]) -> None:
    if problems:
        raise ValueError("; ".join(problems))


def _finite(value: float, name: str) -> float:
    if not math.isfinite(value):
        raise ValueError(f"{name} is too large for a number: amounts or rates are out of range")
    return value


def _worth(rate: float, values: Array) -> float:
    with np.errstate(all="ignore"):
        worth = float(npf.npv(rate, values))
    return _finite(worth, "present value")


def _discounted(rate: float, values: Array) -> Array:
    """Each cash flow at its present value."""
    with np.errstate(over="ignore", invalid="ignore"):
        present: Array = values * np.exp(-math.log1p(rate) * np.arange(len(values)))
    return present


def _one_sign(values: Array) -> str:
    if values.size == 0:
        return ""
    if not np.any(values):
        return "all cash flows are zero"
    if np.all(values <= 0):
        return "all cash flows are negative: nothing comes back"
    return "all cash flows are positive: nothing is invested" if np.all(values >= 0) else ""


def _reservation(values: Array) -> str:
    """What to keep in mind with the only rate there is."""
    first, last = np.sign(values[np.flatnonzero(values)[[0, -1]]])
    if first == last:
        return "the net present value touches zero at this rate and does not change its sign"
    if first > 0:
        return "money comes first: this is the rate at which it is borrowed, good if low"
    return ""
