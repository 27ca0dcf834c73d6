"""What cash flows come to, by hand and as identities that hold for every build."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from finance.positions import RATES, assumptions, bases, positions
from hypothesis import assume, given
from hypothesis import strategies as st

from planner.finance.appraisal import (
    Returns,
    appraise,
    capital_usd,
    costs_after_tax,
    ownership,
    owning_usd_per_year,
    returns,
)
from planner.finance.assumptions import Assumptions
from planner.finance.builds import Purchase, Running
from planner.finance.cashflow import Floats, Losses, Position, cash_flow
from planner.laws.returns import net_present_value

PLAIN = Assumptions(discount_rate=0.1, horizon_years=5, tax_rate=0.0)
BASE = Position("base", (), (), Losses(value_usd=400.0), 0, 0.0)
UNIT = Purchase("cooling", "chillers", "chiller", "west", 1, 1000.0, 5.0)
#: Pays 1,000 and ends losses of 400 a year.
BUILD = Position("build", (UNIT,), (), Losses(), 0, 0.0)


def returns_of(
    build: Position,
    assumed: Assumptions = PLAIN,
    base: Position = BASE,
    other_usd: Floats | None = None,
) -> Returns:
    """Returns of a build against another."""
    found = appraise(base, build, assumed, other_usd).returns
    assert found is not None
    return found


class TestWorkedOutByHand:
    """1,000 now for 400 a year over five years, at 10 %."""

    def test_returns_agree_with_those_by_hand(self) -> None:
        found = returns_of(BUILD)

        # 400·(1/1.1 + … + 1/1.1^5) = 400·3.7907868
        assert found.present_benefits_usd == pytest.approx(1516.3147, abs=1e-4)
        assert found.present_costs_usd == 1000
        assert found.npv_usd == pytest.approx(516.3147, abs=1e-4)
        assert found.benefit_cost_ratio == pytest.approx(1.5163147, abs=1e-7)
        assert found.roi == pytest.approx(0.5163147, abs=1e-7)
        assert found.undiscounted_roi == 1.0
        # 1,000 after two years and a half.
        assert found.payback_years == pytest.approx(2.5)
        # 363.636 + 330.579 + 300.526 = 994.741; 5.259 of 273.205 in the fourth year.
        assert found.discounted_payback_years == pytest.approx(3.01925, abs=1e-5)
        # The annuity factor of five years at 28.649 % is 2.5: (1 − 1.28649^−5)/0.28649.
        assert found.irr.rate == pytest.approx(0.28649, abs=1e-5)
        # 400·(1.1^5 − 1)/0.1 = 2,442.04 in the end: 2.44204^(1/5) − 1.
        assert found.mirr == pytest.approx(0.195503, abs=1e-6)

    def test_tax_is_on_profit(self) -> None:
        found = returns_of(BUILD, replace(PLAIN, tax_rate=0.25))

        # Benefits 300 a year; 200 a year written off save 50: 1,000 − 50·3.7907868.
        assert found.present_benefits_usd == pytest.approx(1137.2360, abs=1e-4)
        assert found.present_costs_usd == pytest.approx(810.4607, abs=1e-4)
        assert found.npv_usd == pytest.approx(326.7754, abs=1e-4)

    def test_cost_of_ownership_agrees_with_that_by_hand(self) -> None:
        build = Position(
            "build",
            (replace(UNIT, life_years=2.0),),
            (Running("upkeep", "chillers", "west", 100.0, "cooling"),),
            Losses(value_usd=1e6),
            10,
            5e6,
        )

        found = ownership(build, replace(PLAIN, horizon_years=2))

        # 1,000 + 100/1.1 + 100/1.21, without what failures cost.
        assert found.present_usd == pytest.approx(1173.5537, abs=1e-4)
        # An annuity of two years at 10 % pays 1.21·0.1/0.21 = 0.57619: 576.19 and 100.
        assert found.usd_per_year == pytest.approx(676.1905, abs=1e-4)
        assert found.usd_per_gpu == pytest.approx(117.35537, abs=1e-5)
        # Five million requests a year: 676.19/5.
        assert found.usd_per_million_requests == pytest.approx(135.2381, abs=1e-4)

    def test_cost_of_ownership_is_less_the_residual_value(self) -> None:
        build = replace(BUILD, purchases=(replace(UNIT, life_years=4.0),))

        found = ownership(build, replace(PLAIN, horizon_years=1))

        # 1,000 − 750/1.1
        assert found.present_usd == pytest.approx(318.1818, abs=1e-4)
        assert found.usd_per_year == pytest.approx(350.0)

    def test_requests_grow_with_demand(self) -> None:
        build = replace(BUILD, requests_per_year=1e6)

        found = ownership(
            build, replace(PLAIN, discount_rate=0.0, horizon_years=2, demand_growth_per_year=0.5)
        )

        # 600 of 1,000 are left; 1.5 and 2.25 million requests.
        assert found.usd_per_million_requests == pytest.approx(400 / 3.75)

    def test_capital_is_less_what_retirements_earn(self) -> None:
        retired = Purchase("servers", "west", "accelerator", "west", -10, 30.0, 5.0)
        build = replace(BUILD, purchases=(UNIT, retired))

        assert capital_usd(build, PLAIN) == 700
        assert capital_usd(build, replace(PLAIN, gpu_price=2.0, cooling_price=0.5)) == -100

    def test_owning_a_year_at_today_s_prices(self) -> None:
        build = replace(BUILD, running=(Running("energy", "west", "west", 7.0, "electricity"),))

        # An annuity of five years at 10 % pays 0.2637975.
        found = owning_usd_per_year(build, replace(PLAIN, inflation_per_year=0.1))
        assert found == pytest.approx(270.7975, abs=1e-4)
        assert owning_usd_per_year(build, replace(PLAIN, discount_rate=0.0)) == 207


class TestWithoutMeaning:
    def test_what_exists_has_no_returns(self) -> None:
        found = appraise(BASE, BASE, PLAIN)

        assert found.cash_flow is None
        assert found.returns is None
        assert found.ownership.present_usd == 0
        assert found.ownership.usd_per_gpu is None
        assert found.ownership.usd_per_million_requests is None

    def test_a_build_that_changes_nothing_has_no_returns(self) -> None:
        found = returns_of(replace(BASE, name="same"))

        assert found.npv_usd == found.present_benefits_usd == found.present_costs_usd == 0
        assert found.irr.rate is None
        assert found.irr.reason == "all cash flows are zero"
        for ratio in (found.mirr, found.benefit_cost_ratio, found.roi, found.undiscounted_roi):
            assert ratio is None
        assert found.payback_years is None
        assert found.discounted_payback_years is None

    @given(bases(), assumptions(discount_rate=0.1), st.integers(1, 9))
    def test_gains_that_cost_nothing_have_no_rate_of_return(
        self, base: Position, assumed: Assumptions, tenth: int
    ) -> None:
        """Rounding does not pass for a cost."""
        base = replace(base, losses=Losses(0.1 * tenth, 1.7 * tenth, 0.3))
        assume(assumed.outage_value * assumed.failure_rate > 0)

        found = returns_of(replace(base, name="build", losses=Losses()), assumed, base)

        assert found.npv_usd > 0
        assert found.present_costs_usd == 0
        assert found.benefit_cost_ratio is None
        assert found.roi is None
        assert found.undiscounted_roi is None
        assert found.payback_years == 0
        assert found.irr.rate is None
        assert found.irr.reason.startswith("all cash flows are positive")

    def test_costs_that_are_savings(self) -> None:
        cheaper = replace(BASE, losses=Losses(value_usd=300.0))
        base = replace(BASE, running=(Running("energy", "west", "west", 5.0, "electricity"),))

        found = returns_of(cheaper, base=base)

        assert found.present_costs_usd < 0
        assert found.benefit_cost_ratio is None
        assert found.roi is None
        assert found.undiscounted_roi is None

    def test_retirement_only(self) -> None:
        retired = Purchase("servers", "west", "accelerator", "west", -10, 30.0, 5.0)
        build = replace(BASE, purchases=(retired,))

        found = returns_of(build)

        assert found.npv_usd == 300
        assert found.irr.rate is None
        assert found.benefit_cost_ratio is None
        assert found.payback_years == 0

    def test_an_investment_without_gains_never_pays_back(self) -> None:
        found = returns_of(replace(BUILD, losses=Losses(value_usd=500.0)))

        assert found.npv_usd == pytest.approx(-1000 - 379.0787, abs=1e-4)
        # Losses that grow are a loss of benefits: −379.08 of 1,000.
        assert found.benefit_cost_ratio == pytest.approx(-0.3790787, abs=1e-7)
        assert found.payback_years is None
        assert found.irr.rate is None
        assert found.irr.reason.startswith("all cash flows are negative")

    def test_several_rates_of_return_count_as_none(self) -> None:
        """−1,600, +10,000, −10,000: 25 % and 400 % (Lorie & Savage 1955)."""
        other_usd = np.array([-1600.0, 10_000.0, -10_000.0])

        found = returns_of(
            replace(BASE, name="same"), replace(PLAIN, horizon_years=2), other_usd=other_usd
        )

        assert found.irr.rate is None
        assert found.irr.rates == pytest.approx((0.25, 4.0))
        # 10,000/1.1 over 1,600 + 10,000/1.21
        assert found.benefit_cost_ratio == pytest.approx(9090.909 / 9864.463, abs=1e-6)

    @pytest.mark.parametrize(
        ("changed", "message"),
        [
            ({"discount_rate": -1.0}, "not above −1"),
            ({"discount_rate": float("nan")}, "not a finite number"),
            ({"horizon_years": 0}, "less than one year"),
            ({"horizon_years": 0, "discount_rate": -2.0}, "discount_rate .*; horizon_years"),
            ({"surge": float("inf")}, "surge inf is not a finite number"),
        ],
    )
    def test_bad_assumptions_are_refused(self, changed: dict[str, float], message: str) -> None:
        with pytest.raises(ValueError, match=message):
            replace(PLAIN, **changed)

    def test_a_negative_rate_has_a_meaning(self) -> None:
        assumed = replace(PLAIN, discount_rate=-0.5)

        # 1,000·(−0.5)/(1 − 0.5^−5)
        assert owning_usd_per_year(BUILD, assumed) == pytest.approx(500 / 31)
        assert returns_of(BUILD, assumed).npv_usd == pytest.approx(400 * 62 - 1000)


class TestWhateverIsBought:
    @given(bases(), positions(), assumptions(), st.booleans())
    def test_net_present_value_is_benefits_less_costs(
        self, base: Position, build: Position, assumed: Assumptions, more: bool
    ) -> None:
        years = np.arange(assumed.horizon_years + 1)
        other_usd = np.where(years % 3, 1e5, -2e5) if more else None
        flows = cash_flow(base, build, assumed, other_usd)
        found = returns(flows, assumed.discount_rate, assumed.tax_rate)

        size = abs(found.present_benefits_usd) + abs(found.present_costs_usd)
        worth = found.present_benefits_usd - found.present_costs_usd
        assert found.npv_usd == pytest.approx(worth, abs=1e-9 * size + 1e-6)
        kept = 1 - assumed.tax_rate
        gains = sum(flows.avoided.values()) + np.maximum(flows.other_usd, 0.0)
        costs = costs_after_tax(flows, assumed.tax_rate)
        assert kept * gains - costs == pytest.approx(flows.net, rel=1e-9, abs=1e-3)
        if found.benefit_cost_ratio is None:
            assert found.present_costs_usd <= 0
            assert found.roi is None
        else:
            assert found.roi == found.benefit_cost_ratio - 1
            assert (found.benefit_cost_ratio > 1) == (worth > 0)

    @given(bases(), positions(), assumptions())
    def test_net_present_value_at_the_rate_of_return_is_zero(
        self, base: Position, build: Position, assumed: Assumptions
    ) -> None:
        flows = cash_flow(base, build, assumed)
        found = returns(flows, assumed.discount_rate, assumed.tax_rate)

        for rate in found.irr.rates:
            terms = np.abs(flows.net) / (1 + rate) ** np.arange(len(flows.net))
            assert abs(net_present_value(rate, flows.net)) <= 1e-7 * terms.sum()

    @given(
        positions(
            lives=st.sampled_from([1.0, 2.0, 3.0, 4.0, 6.0, 12.0]), salvage=False, retirements=False
        ),
        assumptions(
            tax_rate=0.0,
            inflation_per_year=0.0,
            electricity_inflation_per_year=0.0,
            demand_growth_per_year=0.0,
        ),
        st.sampled_from([12, 24]),
        st.one_of(RATES, st.just(-0.05)),
    )
    def test_an_equal_cost_a_year_is_what_the_programme_counts(
        self, build: Position, assumed: Assumptions, years: int, rate: float
    ) -> None:
        """At a horizon that all lives end at, prices as today's, no tax and nothing left."""
        assumed = replace(assumed, horizon_years=years, discount_rate=rate)

        found = ownership(build, assumed).usd_per_year

        assert found == pytest.approx(owning_usd_per_year(build, assumed), rel=1e-9, abs=1e-6)

    @given(bases(), positions(), assumptions(tax_rate=0.0))
    def test_net_present_value_is_the_saving_in_ownership_and_losses(
        self, base: Position, build: Position, assumed: Assumptions
    ) -> None:
        """Without tax: worth = losses avoided + cost of owning the base − cost of owning it."""
        found = appraise(base, build, assumed)

        assert found.returns is not None
        owned = ownership(base, assumed).present_usd - found.ownership.present_usd
        expected = found.returns.present_benefits_usd + owned
        assert found.returns.npv_usd == pytest.approx(expected, rel=1e-9, abs=1e-2)

    @given(bases(), positions(), assumptions())
    def test_interest_delays_payback(
        self, base: Position, build: Position, assumed: Assumptions
    ) -> None:
        assume(_conventional(base, build, assumed))
        found = returns_of(build, assumed, base)

        if found.discounted_payback_years is not None:
            assert found.payback_years is not None
            assert found.discounted_payback_years >= found.payback_years - 1e-9


def _conventional(base: Position, build: Position, assumed: Assumptions) -> bool:
    """Spending first, then income alone."""
    net = cash_flow(base, build, assumed).net
    signs = np.sign(net[net != 0])
    return bool(signs.size and signs[0] < 0 and (np.diff(signs) >= 0).all())
