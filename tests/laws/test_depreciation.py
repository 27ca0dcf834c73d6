"""Depreciation: all of the cost and never more is written off, in every tax class."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.laws.depreciation import TAX_CLASSES, macrs

costs = st.floats(0.0, 1e12)


class TestAccelerated:
    @given(costs, st.sampled_from(TAX_CLASSES))
    def test_accelerated_depreciation_sums_to_the_cost(self, cost: float, years: int) -> None:
        charges = macrs(cost, years)
        assert len(charges) == years + 1
        assert charges.sum() == pytest.approx(cost, rel=1e-12, abs=1e-9)

    def test_buildings_depreciate_by_half_a_year_at_both_ends(self) -> None:
        charges = macrs(3_900.0, 39)
        assert charges == pytest.approx([50.0] + [100.0] * 38 + [50.0])

    @pytest.mark.parametrize("years", [0, 4, 27.5, -5])
    def test_an_unknown_recovery_class_is_refused(self, years: int) -> None:
        with pytest.raises(ValueError, match="Expected a tax class of 3, 5, 7, 10, 15, 20, 39"):
            macrs(1.0, years)

    @pytest.mark.parametrize("cost", [-1.0, math.nan, math.inf])
    def test_a_wrong_cost_is_refused(self, cost: float) -> None:
        with pytest.raises(ValueError, match="a cost of 0 or more"):
            macrs(cost, 5)
