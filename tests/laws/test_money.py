"""Annuities against published tables; energy, emergency spend, requests lost, transport."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.laws.money import annuity, emergency_usd, energy_usd, lost_usd, transport_usd


class TestAnnuity:
    @pytest.mark.parametrize(
        ("rate", "years", "published"),
        [
            # NCEES, FE Reference Handbook, Engineering Economics, interest rate tables: column A/P.
            (0.04, 25, 0.0640),
            (0.06, 30, 0.0726),
            (0.08, 20, 0.1019),
            (0.10, 5, 0.2638),
            (0.12, 15, 0.1468),
            (0.18, 10, 0.2225),
        ],
    )
    def test_agrees_with_published_tables(
        self, rate: float, years: float, published: float
    ) -> None:
        assert annuity(rate, years) == pytest.approx(published, abs=5e-5)

    @given(st.floats(0.001, 0.5), st.integers(1, 60))
    def test_payments_are_worth_the_capital(self, rate: float, years: int) -> None:
        payment = annuity(rate, years)
        worth = sum(payment / (1 + rate) ** year for year in range(1, years + 1))
        assert worth == pytest.approx(1.0)

    def test_without_interest_is_spread_evenly(self) -> None:
        assert annuity(0.0, 8) == 0.125

    @given(st.floats(1.0, 60.0))
    def test_tends_to_even_spread_as_interest_vanishes(self, years: float) -> None:
        assert annuity(1e-7, years) == pytest.approx(annuity(0.0, years), rel=1e-4)

    @pytest.mark.parametrize(("rate", "years"), [(-0.01, 10), (0.05, 0), (0.05, -1)])
    def test_wrong_rates_and_years_are_refused(self, rate: float, years: float) -> None:
        with pytest.raises(ValueError, match="Expected rate ≥ 0 and years > 0"):
            annuity(rate, years)


class TestAmounts:
    def test_energy_cost_is_power_times_hours_times_price(self) -> None:
        # 50 MW for a day at 80 USD/MWh.
        assert energy_usd(50.0, 24.0, 80.0) == pytest.approx(96_000.0)

    def test_emergency_cost_counts_instance_hours(self) -> None:
        # 800 GPUs are 100 instances; ten hours at 24 USD, tripled by the surge.
        assert emergency_usd(800, 10.0, 24.0, 8, 3.0) == pytest.approx(72_000.0)

    def test_lost_requests_cost_their_value(self) -> None:
        # 216 million requests of six hours at 10,000/s; 300 M USD at 1,388.89 USD per thousand.
        assert lost_usd(10_000.0, 6.0, 300e6 / 216e3) == pytest.approx(300e6)

    def test_transport_cost_counts_millions_of_requests(self) -> None:
        assert transport_usd(1000.0, 1.0, 5.0) == pytest.approx(3.6 * 5.0)

    @given(st.floats(0, 1e6), st.floats(0, 1e4), st.floats(0, 1e3), st.floats(0, 100))
    def test_costs_are_linear_in_quantity_and_time(
        self, amount: float, hours: float, price: float, factor: float
    ) -> None:
        for law in (energy_usd, lost_usd, transport_usd):
            once = law(amount, hours, price)
            assert law(factor * amount, hours, price) == pytest.approx(factor * once, rel=1e-9)
            assert law(amount, factor * hours, price) == pytest.approx(factor * once, rel=1e-9)
