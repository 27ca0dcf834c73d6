"""Depreciation: all of the cost and never more is written off, by every method."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.laws.depreciation import (
    TAX_CLASSES,
    macrs,
    schedule,
    straight_line,
)

PROPERTY = settings(derandomize=True, deadline=None, max_examples=20)
costs = st.floats(0.0, 1e12)
methods = st.sampled_from(["straight-line", "macrs"])


class TestStraightLine:
    @PROPERTY
    @given(costs, st.floats(0.0, 1.0), st.floats(0.1, 100.0))
    def test_sums_to_cost_less_salvage(self, cost: float, share: float, years: float) -> None:
        charges = straight_line(cost, share * cost, years)
        assert len(charges) == math.ceil(years)
        assert charges.sum() == pytest.approx(cost - share * cost, rel=1e-12, abs=1e-9)
        assert np.all(charges >= 0)

    @PROPERTY
    @given(st.floats(1.0, 1e12), st.floats(1.0, 100.0))
    def test_whole_years_are_equal(self, cost: float, years: float) -> None:
        whole = straight_line(cost, 0.0, years)[: math.floor(years)]
        assert whole == pytest.approx(np.full(math.floor(years), cost / years), rel=1e-9)

    def test_last_year_in_part(self) -> None:
        charges = straight_line(125.0, 0.0, 12.5)
        assert charges == pytest.approx([10.0] * 12 + [5.0])

    def test_life_within_a_year(self) -> None:
        assert straight_line(100.0, 20.0, 0.4).tolist() == [80.0]

    @pytest.mark.parametrize(
        ("cost", "salvage", "years", "message"),
        [
            (-1.0, 0.0, 5, "a cost of 0 or more, got -1"),
            (math.nan, 0.0, 5, "a cost of 0 or more"),
            (math.inf, 0.0, 5, "a cost of 0 or more"),
            (1.0, 2.0, 5, "a salvage between 0 and the cost"),
            (1.0, -1.0, 5, "a salvage between 0 and the cost"),
            (1.0, 2.0, 0, "a salvage .* a life above 0"),
            (1.0, 0.0, math.nan, "a life above 0"),
            (1.0, 0.0, 1e9, "up to 1,000 years"),
        ],
    )
    def test_rejects(self, cost: float, salvage: float, years: float, message: str) -> None:
        with pytest.raises(ValueError, match=message):
            straight_line(cost, salvage, years)


class TestAccelerated:
    @PROPERTY
    @given(costs, st.sampled_from(TAX_CLASSES))
    def test_sums_to_the_cost(self, cost: float, years: int) -> None:
        charges = macrs(cost, years)
        assert len(charges) == years + 1
        assert charges.sum() == pytest.approx(cost, rel=1e-12, abs=1e-9)

    def test_buildings_are_halved_at_both_ends(self) -> None:
        charges = macrs(3_900.0, 39)
        assert charges == pytest.approx([50.0] + [100.0] * 38 + [50.0])

    @pytest.mark.parametrize("years", [0, 4, 27.5, -5])
    def test_no_other_class(self, years: int) -> None:
        with pytest.raises(ValueError, match="Expected a tax class of 3, 5, 7, 10, 15, 20, 39"):
            macrs(1.0, years)


class TestSchedule:
    @PROPERTY
    @given(
        methods,
        costs,
        st.floats(0.1, 80.0),
        st.sampled_from(TAX_CLASSES),
        st.integers(1, 60),
        st.floats(0.0, 1.0),
    )
    def test_never_writes_off_more_than_the_cost(
        self, method, cost: float, life: float, tax_class: int, horizon: int, share: float
    ) -> None:
        charges = schedule(method, cost, life, tax_class, horizon, share * cost)
        assert charges.shape == (horizon,)
        assert np.all(charges >= 0)
        assert charges.sum() <= cost * (1 + 1e-12)
        books = np.maximum(cost - np.concatenate([[0.0], np.cumsum(charges)]), 0.0)
        assert books.shape == (horizon + 1,)
        assert books[0] == cost
        assert np.all(books >= 0)
        assert np.all(np.diff(books) <= 0)
        ends = max(math.ceil(life), tax_class + 1)
        left = share * cost if method == "straight-line" else 0.0
        if horizon >= ends:
            assert books[-1] == pytest.approx(left, rel=1e-9, abs=1e-9 * (1 + cost))

    @pytest.mark.parametrize(("method", "first"), [("straight-line", 25.0), ("macrs", 20.0)])
    def test_picks_the_method(self, method, first: float) -> None:
        charges = schedule(method, 100.0, 4.0, 5, 8)
        assert charges[0] == pytest.approx(first)
        assert charges[7] == 0.0
        assert schedule(method, 100.0, 4.0, 5, 2).tolist() == charges[:2].tolist()

    @pytest.mark.parametrize(
        ("method", "horizon", "message"),
        [
            ("straight-line", 0, "horizon of 1 to 1,000"),
            ("sum-of-digits", 5, "Expected the method"),
        ],
    )
    def test_rejects(self, method, horizon: int, message: str) -> None:
        with pytest.raises(ValueError, match=message):
            schedule(method, 100.0, 4.0, 5, horizon)
