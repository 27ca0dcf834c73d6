"""Owning a piece of equipment: equal payments against chains of purchases added up."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.laws.assets import Asset, by_year, purchase_times
from planner.laws.money import annuity
from planner.laws.returns import capital_recovery

rates = st.floats(0.001, 0.5)
lives = st.floats(0.05, 60.0)


class TestEqualPayments:
    @given(rates, lives)
    def test_equal_payments_are_worth_an_endless_chain_of_replacements(
        self, rate: float, life: float
    ) -> None:
        new = Asset(100.0, life)

        # Bought at 0, n, 2n, …: 100/(1 − (1 + r)^−n), of which a year pays the interest.
        chain = 100.0 / -math.expm1(-life * math.log1p(rate))
        assert new.bought_usd_per_year(rate) == pytest.approx(rate * chain)

    @given(rates, lives, st.floats(0.0, 80.0))
    def test_an_existing_asset_is_paid_from_the_end_of_its_life(
        self, rate: float, life: float, age: float
    ) -> None:
        old = Asset(100.0, life, own_price_usd=60.0, age_years=age)

        later = (1 + rate) ** -max(0.0, life - age)
        assert old.kept_usd_per_year(rate) == pytest.approx(
            Asset(100.0, life).bought_usd_per_year(rate) * later
        )

    @given(rates, lives, st.floats(0.0, 1.0), st.floats(0.0, 80.0))
    def test_replacing_like_for_like_early_never_pays(
        self, rate: float, life: float, left: float, age: float
    ) -> None:
        asset = Asset(100.0, life, 0.05, salvage_usd=100.0 * left, age_years=age)

        assert asset.swapped_usd_per_year(rate) >= -1e-9

    def test_an_asset_of_unknown_age_costs_its_upkeep_alone(self) -> None:
        assert Asset(100.0, 5.0, 0.1).kept_usd_per_year(0.08) == pytest.approx(10.0)
        assert Asset(100.0, 5.0, 0.1, own_price_usd=70.0).kept_usd_per_year(0.08) == pytest.approx(
            7
        )

    @pytest.mark.parametrize("rate", [0.0, 5e-324, 1e-300, 1e-17, 1e-12])
    @pytest.mark.parametrize("years", [0.01, 1.5, 20.0, 1e6])
    def test_vanishing_interest_equals_no_interest(self, rate: float, years: float) -> None:
        assert annuity(rate, years) == pytest.approx(1 / years, rel=1e-5)
        assert capital_recovery(rate, years) == annuity(rate, years)


class TestTimes:
    @given(st.floats(0.05, 70.0), st.integers(1, 60))
    def test_an_asset_is_bought_as_often_as_a_life_begins_before_the_horizon(
        self, life: float, horizon: int
    ) -> None:
        times = purchase_times(0.0, life, horizon)

        assert times[0] == 0 and times[-1] < horizon
        assert times[-1] + life >= horizon - 1e-6
        assert len(times) == pytest.approx(horizon / life, abs=1 + 1e-6)

    def test_a_payment_within_a_year_is_split_between_the_ends_of_years(self) -> None:
        assert len(purchase_times(0.0, 0.1, 3)) == 30
        assert purchase_times(0.0, 0.3, 6)[10] == 3.0
        # A life that ends at the horizon but for rounding is not begun anew there.
        assert len(purchase_times(0.0, (0.1 + 0.2) * 10, 3)) == 1

    @given(st.lists(st.tuples(st.floats(0.0, 12.0), st.floats(-1e6, 1e6)), max_size=20))
    def test_payments_by_year_add_up_to_all_payments(
        self, flows: list[tuple[float, float]]
    ) -> None:
        found = by_year([time for time, _ in flows], [usd for _, usd in flows], 12)

        assert found.sum() == pytest.approx(sum(usd for _, usd in flows), abs=1e-6)

    @given(st.floats(1.0, 12.0))
    def test_splitting_a_payment_keeps_its_mean_time(self, time: float) -> None:
        found = by_year([time], [1.0], 12)

        assert sum(year * share for year, share in enumerate(found)) == pytest.approx(time)

    def test_year_0_holds_the_payments_of_today(self) -> None:
        assert by_year([0.0, 0.001, 0.999], [1.0, 10.0, 100.0], 1).tolist() == [1.0, 110.0]
