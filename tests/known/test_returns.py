"""Returns and depreciation against published figures.

Citations marked *recalled* were written down from memory; that the figures agree to the printed
digits is what speaks for them.
"""

from __future__ import annotations

import math

import numpy as np
import numpy_financial as npf
import pytest

from planner.finance.assumptions import Assumptions
from planner.finance.builds import Purchase
from planner.finance.cashflow import asset_flows
from planner.laws.depreciation import macrs
from planner.laws.returns import (
    benefit_cost_ratio,
    equivalent_annual_cost,
    internal_rate_of_return,
    modified_internal_rate,
    net_present_value,
    payback_years,
    rates_of_return,
)

BMA = "Brealey, Myers & Allen, Principles of Corporate Finance, recalled"
RWJ = "Ross, Westerfield & Jaffe, Corporate Finance, recalled"
LIBRARY = "numpy-financial 1.1, documentation of the function"
EXCEL = "Microsoft support, page of the Excel function, recalled"
CFA = "practice questions for the CFA examination, level 1, answers printed with them"


@pytest.mark.parametrize(
    ("rate", "flows", "published", "digits", "source"),
    [
        (0.08, [-40_000, 5_000, 8_000, 12_000, 30_000], 3_065.22267, 5, LIBRARY),
        # Excel's NPV discounts the first amount by a year, so that year 0 is empty.
        (0.10, [0, -10_000, 3_000, 4_200, 6_800], 1_188.44, 2, EXCEL),
        (0.08, [-40_000, 8_000, 9_200, 10_000, 12_000, 14_500], 1_922.06, 2, EXCEL),
        (0.08, [-40_000, 8_000, 9_200, 10_000, 12_000, 14_500, -9_000], -3_749.47, 2, EXCEL),
        (0.12, [-50_000, 25_000, 20_000, 10_000, 3_000], -2_710, 0, CFA),
        (0.10, [-750_000, 200_000, 300_000, 400_000], -19_722, 0, CFA),
        (0.10, [-2_000, 500, 500, 5_000], 2_624, 0, BMA),
        (0.10, [-2_000, 500, 1_800, 0], -58, 0, BMA),
        (0.10, [-2_000, 1_800, 500, 0], 50, 0, BMA),
        (0.10, [1_000, -3_000, 2_500], 339, 0, BMA),
    ],
)
def test_net_present_value_agrees_with_published_examples(
    rate, flows, published: float, digits: int, source: str
) -> None:
    assert round(net_present_value(rate, flows), digits) == published, source


@pytest.mark.parametrize(
    ("flows", "published", "digits", "source"),
    [
        ([-100, 39, 59, 55, 20], 0.28095, 5, LIBRARY),
        ([-100, 0, 0, 74], -0.0955, 5, LIBRARY),
        ([-100, 100, 0, 7], 0.06206, 5, LIBRARY),
        ([-70_000, 12_000, 15_000, 18_000, 21_000], -0.021, 3, EXCEL),
        ([-70_000, 12_000, 15_000, 18_000, 21_000, 26_000], 0.087, 3, EXCEL),
        ([-4_000, 2_000, 4_000], 0.2808, 4, BMA),
    ],
)
def test_internal_rate_of_return_agrees_with_published_examples(
    flows, published: float, digits: int, source: str
) -> None:
    result = internal_rate_of_return(flows)
    assert result.rate is not None, source
    assert round(result.rate, digits) == published, source
    assert result.reason == ""
    assert result.rate == pytest.approx(npf.irr(flows), abs=1e-9)


@pytest.mark.parametrize(
    ("flows", "published", "digits", "source"),
    [
        (
            [-1_600, 10_000, -10_000],
            (0.25, 4.0),
            9,
            "Lorie & Savage, Three problems in rationing capital, J. Business 28 (1955): oil pump",
        ),
        ([-100, 230, -132], (0.10, 0.20), 9, RWJ),
        ([-3.0, *[1.0] * 9, -6.5], (0.0350, 0.1954), 4, BMA),
        ([1_000, -3_000, 2_500], (), 9, BMA),
    ],
)
def test_several_rates_of_return_count_as_none(flows, published, digits: int, source: str) -> None:
    assert tuple(round(rate, digits) for rate in rates_of_return(flows)) == published, source
    assert internal_rate_of_return(flows).rate is None


@pytest.mark.parametrize(
    ("flows", "published"), [([-100, 100, 0, -7], -0.0833), ([-5, 10.5, 1, -8, 1], 0.0886)]
)
def test_the_rate_that_the_library_picks_is_one_of_several(flows, published: float) -> None:
    """numpy-financial documents one rate for flows that have more: here all are found."""
    found = rates_of_return(flows)
    assert published in [round(rate, 4) for rate in found]
    assert len(found) > 1
    assert internal_rate_of_return(flows).rate is None


@pytest.mark.parametrize(
    ("flows", "finance", "reinvest", "published", "digits", "source"),
    [
        ([-100, 50, -60, 70], 0.10, 0.12, -0.03909366594356467, 15, LIBRARY),
        ([-4_500, -800, 800, 800, 600], 0.05, 0.08, -0.1784449, 7, LIBRARY),
        ([-120_000, 39_000, 30_000, 21_000, 37_000], 0.08, 0.10, 0.05437856, 8, LIBRARY),
        ([100, 200, -50, 300, -200], 0.10, 0.12, 0.44435295, 8, LIBRARY),
        ([-120_000, 39_000, 30_000, 21_000, 37_000, 46_000], 0.10, 0.12, 0.1261, 4, EXCEL),
        ([-120_000, 39_000, 30_000, 21_000], 0.10, 0.12, -0.0480, 4, EXCEL),
        ([-120_000, 39_000, 30_000, 21_000, 37_000, 46_000], 0.10, 0.14, 0.1348, 4, EXCEL),
    ],
)
def test_modified_internal_rate_agrees_with_published_examples(
    flows, finance: float, reinvest: float, published: float, digits: int, source: str
) -> None:
    rate = modified_internal_rate(flows, finance, reinvest)
    assert rate is not None, source
    assert round(rate, digits) == round(published, digits), source


@pytest.mark.parametrize(
    ("flows", "simple", "discounted"),
    [
        ([-2_000, 500, 500, 5_000], 3, 3),
        ([-2_000, 500, 1_800, 0], 2, None),
        ([-2_000, 1_800, 500, 0], 2, 2),
    ],
)
def test_payback_agrees_with_published_examples(flows, simple: int, discounted: int | None) -> None:
    """BMA, chapter 5: three projects at 10 %, in whole years."""
    years = payback_years(flows)
    assert years is not None, BMA
    assert math.ceil(years) == simple, BMA
    years = payback_years(flows, 0.10)
    assert (None if years is None else math.ceil(years)) == discounted, BMA


@pytest.mark.parametrize(
    ("flows", "rate", "published", "digits", "source"),
    [
        ([-20, 70, 10], 0.12, 70.5 / 20, 2, RWJ),
        ([-10, 15, 40], 0.12, 45.3 / 10, 2, RWJ),
        # BMA prints the net present value over the investment, one less: 2.1, 3.2, 2.4.
        ([-10, 30, 5], 0.10, 3.1, 1, BMA),
        ([-5, 5, 20], 0.10, 4.2, 1, BMA),
        ([-5, 5, 15], 0.10, 3.4, 1, BMA),
    ],
)
def test_later_flows_over_the_investment(
    flows, rate: float, published: float, digits, source
) -> None:
    """The profitability index of the textbooks: a benefit-cost ratio with all cost in year 0."""
    costs = [-flows[0]] + [0.0] * (len(flows) - 1)
    index = benefit_cost_ratio([0.0, *flows[1:]], costs, rate)
    assert index == pytest.approx(published, abs=0.51 * 10**-digits), source


def test_benefit_cost_ratio_agrees_with_published_examples() -> None:
    """Sullivan, Wicks & Koelling, *Engineering Economy*, chapter on the benefit-cost ratio,
    extension of an airport, recalled: 1.448, and 2.075 with the running cost set against the
    benefits.
    """
    benefits = [0.0] + [325e3 + 65e3 + 50e3 + 50e3] * 20
    yearly = 22.5e3 + 75e3 + 100e3
    capital = 350e3 + 600e3 + 250e3

    conventional = benefit_cost_ratio(benefits, [capital] + [yearly] * 20, 0.10)
    modified = benefit_cost_ratio([0.0] + [benefits[1] - yearly] * 20, [capital] + [0.0] * 20, 0.10)
    assert conventional == pytest.approx(1.448, abs=5e-4)
    assert modified == pytest.approx(2.075, abs=5e-4)


@pytest.mark.parametrize(
    ("costs", "worth", "published"),
    [([15, 5, 5, 5], 28.37, 10.61), ([10, 6, 6], 21.00, 11.45)],
)
def test_equivalent_annual_cost_agrees_with_published_examples(
    costs, worth: float, published: float
) -> None:
    """BMA, chapter 6: machines A and B at 6 %."""
    assert round(net_present_value(0.06, costs), 2) == worth, BMA
    assert round(equivalent_annual_cost(costs, 0.06), 2) == published, BMA


# ------------------------------------------------------------------------------------ depreciation

#: IRS Publication 946, appendix A, table A-1, half-year convention, per cent; as reprinted in
#: Whittenburg, Gill & Altus-Buller, *Income Tax Fundamentals*, table 7.2.
TABLE_A_1 = {
    3: "33.33 44.45 14.81 7.41",
    5: "20.00 32.00 19.20 11.52 11.52 5.76",
    7: "14.29 24.49 17.49 12.49 8.93 8.92 8.93 4.46",
    10: "10.00 18.00 14.40 11.52 9.22 7.37 6.55 6.55 6.56 6.55 3.28",
    15: "5.00 9.50 8.55 7.70 6.93 6.23 5.90 5.90 5.91 5.90 5.91 5.90 5.91 5.90 5.91 2.95",
    20: "3.750 7.219 6.677 6.177 5.713 5.285 4.888 4.522 4.462 4.461 4.462 4.461 4.462 4.461 "
    "4.462 4.461 4.462 4.461 4.462 4.461 2.231",
}


@pytest.mark.parametrize("years", sorted(TABLE_A_1))
def test_tax_tables_are_those_published(years: int) -> None:
    printed = [float(share) for share in TABLE_A_1[years].split()]
    assert macrs(100.0, years) == pytest.approx(printed, abs=1e-9)


@pytest.mark.parametrize("years", sorted(TABLE_A_1))
def test_tax_tables_follow_their_own_rule(years: int) -> None:
    """Declining balance at 200 % (150 % from 15 years on) with a switch to straight line."""
    factor, left, shares = (2.0 if years <= 10 else 1.5) / years, 1.0, []
    for year in range(years + 1):
        # The first year counts half, so that n − year + ½ years remain after it.
        even = left / (years - year + 0.5) if year else 0.0
        charge = left * factor / (2 if year == 0 else 1)
        shares.append(min(left, max(charge, even)))
        left -= shares[-1]
    rounding = 0.0051 if years < 20 else 0.00051
    # The table rounds so that each class comes to 100, which moves a figure by up to one unit more.
    assert macrs(100.0, years) == pytest.approx(100 * np.array(shares), abs=2 * rounding)


def test_straight_line_depreciation_agrees_with_the_table() -> None:
    """Excel's SLN: 22,500 over ten years."""
    bought = Purchase("cooling", "plant", "unit", "", 1, 22_500.0, 10.0)
    terms = Assumptions(discount_rate=0.1, horizon_years=12, tax_rate=0.25)

    written = asset_flows(bought, terms).depreciation

    assert written[1:11] == pytest.approx([2_250.0] * 10), EXCEL


@pytest.mark.parametrize(("month", "first"), [(1, 2.461), (7, 1.177), (12, 0.107)])
def test_buildings_take_the_mean_of_the_months(month: int, first: float) -> None:
    """IRS Publication 946, table A-7a, recalled: 39 years from the middle of a month, per cent.

    Half a year is the mean over the twelve months; whole years are 2.564 %.
    """
    shares = [(12.5 - month) / 12 / 39 * 100 for month in range(1, 13)]
    assert shares[month - 1] == pytest.approx(first, abs=0.005)
    charges = macrs(100.0, 39)
    assert charges[0] == pytest.approx(np.mean(shares))
    assert charges[1:-1] == pytest.approx(np.full(38, 2.564), abs=5e-4)
