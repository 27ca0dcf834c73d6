"""The loss of a year: what holds for all losses and rates."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.laws.annual import AnnualLoss, annual_loss

#: Losses over twelve orders of magnitude, rates up to ten thousand a year, and nothing.
LOSSES = st.one_of(st.just(0.0), st.floats(-3, 9).map(lambda power: 10**power))
RATES = st.one_of(st.just(0.0), st.floats(-9, 4).map(lambda power: 10**power))
KINDS = st.lists(st.tuples(LOSSES, RATES), max_size=8)


def law_of(kinds: list[tuple[float, float]], years: float = 1.0) -> AnnualLoss:
    return annual_loss([usd for usd, _ in kinds], [rate for _, rate in kinds], years, 2048)


class TestLaw:
    @given(KINDS, st.sampled_from([1 / 12, 1.0, 10.0]))
    def test_mean_and_total_probability_are_exact(self, kinds, years) -> None:
        law = law_of(kinds, years)

        assert law.mean() == pytest.approx(years * sum(x * f for x, f in kinds), rel=1e-9)
        assert law.probability.sum() == pytest.approx(1.0, abs=1e-12)
        assert law.probability.min() >= 0
        assert np.all(np.diff(law.usd) > 0)
        assert law.usd[0] >= 0
        assert law.mass_beyond < 1e-9

    @given(KINDS)
    def test_a_year_without_loss_has_its_poisson_probability(self, kinds) -> None:
        """P(L = 0) = exp(−Σλ), wherever a loss is not much smaller than another."""
        wide = [(x, f) for x, f in kinds if x >= 1e6]
        rate = sum(f for _, f in wide)

        assert law_of(wide).exceedance(0.0) == pytest.approx(-math.expm1(-rate), rel=1e-9)

    @given(KINDS, st.floats(0, 0.999), st.floats(0, 0.999))
    def test_value_at_risk_rises_with_confidence(self, kinds, one, other) -> None:
        law = law_of(kinds)
        low, high = sorted((one, other))

        slack = 1e-9 * law.usd[-1]
        assert law.value_at_risk(low) <= law.value_at_risk(high)
        assert law.conditional_value_at_risk(low) <= law.conditional_value_at_risk(high) + slack
        assert law.value_at_risk(high) <= law.conditional_value_at_risk(high) + slack
        assert law.conditional_value_at_risk(0.0) == pytest.approx(law.mean())
        assert law.exceedance(law.value_at_risk(high)) <= (1 - high) * (1 + 1e-9)

    @given(KINDS, st.tuples(LOSSES, RATES))
    def test_one_more_kind_of_loss_never_lowers_the_risk(self, kinds, more) -> None:
        """Stochastic order, to the width of a step: stop-loss premiums are exact to rounding."""
        less, law = law_of(kinds), law_of([*kinds, more])

        for alpha in (0.0, 0.9, 0.99):
            without = less.conditional_value_at_risk(alpha)
            assert law.conditional_value_at_risk(alpha) >= without * (1 - 5e-3)

    @given(KINDS, st.sampled_from([1e-3, 0.25, 7.0, 1e4]))
    def test_risk_scales_with_the_currency(self, kinds, factor) -> None:
        law, other = law_of(kinds), law_of([(x * factor, f) for x, f in kinds])

        assert other.mean() == pytest.approx(factor * law.mean(), rel=1e-9)
        assert other.conditional_value_at_risk(0.9) == pytest.approx(
            factor * law.conditional_value_at_risk(0.9), rel=5e-3
        )

    def test_kinds_can_be_split_and_put_in_any_order(self) -> None:
        law = annual_loss([5.0, 100.0, 1000.0], [2.0, 0.5, 0.1])
        other = annual_loss([1000.0, 5.0, 100.0, 5.0], [0.1, 1.5, 0.5, 0.5])

        usd = np.linspace(0, 4000, 50) + 2.5
        assert other.exceedance(usd) == pytest.approx(law.exceedance(usd), abs=1e-12)

    def test_a_month_has_a_twelfth_of_the_occurrences(self) -> None:
        month, year = annual_loss([7.0], [2.4], 1 / 12), annual_loss([7.0], [0.2])

        assert month.usd == pytest.approx(year.usd)
        assert month.probability == pytest.approx(year.probability)

    @pytest.mark.parametrize("kinds", [[], [(0.0, 5.0)], [(5.0, 0.0)]])
    def test_no_losses_cost_nothing(self, kinds) -> None:
        law = law_of(kinds)

        assert (law.usd.tolist(), law.probability.tolist()) == ([0.0], [1.0])
        assert law.mean() == law.value_at_risk(0.99) == law.conditional_value_at_risk(0.99) == 0
        assert law.exceedance([0.0, 1.0]).tolist() == [0.0, 0.0]
        assert law.curve(3)[1].tolist() == [0.0, 0.0, 0.0]

    @pytest.mark.parametrize(
        ("loss", "rate"), [(1e-300, 1.0), (1e300, 1.0), (5e-324, 1.0), (1.0, 1e-300), (1.0, 5e-324)]
    )
    def test_extreme_losses_and_rates_keep_the_mean(self, loss, rate) -> None:
        law = annual_loss([loss, 1.0], [rate, 0.5], points=256)

        assert law.mean() == pytest.approx(loss * rate + 0.5, rel=1e-9)


class TestReading:
    def test_exceedance_is_strict(self) -> None:
        law = annual_loss([0.1], [1.0])

        none, one = math.exp(-1), math.exp(-1)
        got = law.exceedance([-1.0, 0.0, 0.05, 0.1, 0.3, 1e9])
        expected = [1, 1 - none, 1 - none, 1 - none - one, 0.018988, 0]
        assert got == pytest.approx(expected, abs=1e-6)
        assert law.exceedance(np.ones((2, 3))).shape == (2, 3)
        assert law.exceedance(0.0).shape == ()

    def test_exceedance_curve_falls(self) -> None:
        law = annual_loss([1e5, 1e7, 3e8], [2.0, 0.2, 0.01])
        probability, usd = law.curve(50, 1e-4)

        assert probability[[0, -1]] == pytest.approx([-math.expm1(-2.21), 1e-4])
        assert np.ptp(np.diff(np.log(probability))) < 1e-9
        assert usd[0] == 0
        assert np.all(np.diff(usd) >= 0)
        assert np.all(law.exceedance(usd) <= probability * (1 + 1e-9))

    def test_return_period_gives_the_loss_exceeded_that_rarely(self) -> None:
        law = annual_loss([1e5, 1e8], [2.0, 0.02])

        assert law.return_period_usd(20.0) == law.value_at_risk(0.95)
        assert law.return_period_usd([1.0, 100.0]) == pytest.approx([0.0, 1.002e8], rel=3e-3)

    @pytest.mark.parametrize("alpha", [1.0, -0.1, math.nan])
    def test_a_confidence_level_out_of_range_is_refused(self, alpha) -> None:
        law = annual_loss([1.0], [1.0])
        with pytest.raises(ValueError, match="alpha"):
            law.value_at_risk(alpha)
        with pytest.raises(ValueError, match="alpha"):
            law.conditional_value_at_risk(alpha)

    def test_a_wrong_curve_or_return_period_is_refused(self) -> None:
        law = annual_loss([1.0], [1.0])
        with pytest.raises(ValueError, match="points ≥ 2"):
            law.curve(1)
        with pytest.raises(ValueError, match="least in"):
            law.curve(least=0.0)
        with pytest.raises(ValueError, match="at least the period"):
            law.return_period_usd([0.5, 10.0])


def test_every_problem_is_reported_at_once() -> None:
    with pytest.raises(ValueError, match="Expected") as caught:
        annual_loss([1.0, -2.0, math.nan], [math.inf, -1.0], years=0.0, points=7)

    text = str(caught.value)
    for part in ("as many losses as rates", "losses ≥ 0", "times_per_year ≥ 0", "years > 0"):
        assert part in text
    assert "points from 256" in text


@pytest.mark.parametrize(
    ("rates", "years", "message"),
    [
        ([[1.0]], 1.0, "in a row"),
        ([1e7], 1.0, "at most 1e\\+06 occurrences"),
        ([1.0], math.nan, "years > 0"),
    ],
)
def test_wrong_input_is_refused(rates, years, message) -> None:
    with pytest.raises(ValueError, match=message):
        annual_loss([1.0], rates, years)
