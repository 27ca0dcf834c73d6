"""The loss of a year against published figures, closed forms, Panjer's recursion and chance."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import gamma, norm, poisson

from planner.laws.annual import annual_loss
from planner.laws.risk import conditional_value_at_risk, times_if_any, yearly_probability


@pytest.mark.parametrize(
    ("mean", "count", "cumulative"),
    [
        # Cumulative Poisson probabilities as tabulated in Montgomery & Runger, Applied Statistics
        # and Probability for Engineers, and Abramowitz & Stegun, table 26.7.
        (2.0, 0, 0.1353),
        (2.0, 3, 0.8571),
        (2.0, 6, 0.9955),
        (5.0, 5, 0.6160),
        (5.0, 8, 0.9319),
        (10.0, 10, 0.5830),
        (10.0, 15, 0.9513),
    ],
)
def test_losses_of_one_are_the_tabulated_poisson_law(mean, count, cumulative) -> None:
    law = annual_loss([1.0], [mean])

    assert law.exceedance(float(count)) == pytest.approx(1 - cumulative, abs=5.1e-5)


#: Bowers, Gerber, Hickman, Jones & Nesbitt, Actuarial Mathematics, 2nd ed., Society of Actuaries
#: 1997, chapter 12, the example of a compound Poisson law with λ = 0.8 and claims of 1, 2 and 3
#: with probabilities 0.25, 0.375 and 0.375: probabilities of a total of 0 to 6.
BOWERS = (0.449329, 0.089866, 0.143785, 0.162358, 0.049905, 0.047360, 0.030923)


def test_annual_loss_agrees_with_the_example_of_actuarial_mathematics() -> None:
    law = annual_loss([1.0, 2.0, 3.0], [0.2, 0.3, 0.3])

    got = [law.exceedance(one - 0.5) - law.exceedance(one + 0.5) for one in range(7)]

    assert got == pytest.approx(BOWERS, abs=6e-7)


def panjer(weights: list[float], totals: int) -> np.ndarray:
    """Panjer (1981): ``g(s) = 1/s·Σ_x x·λ_x·g(s − x)``, ``g(0) = exp(−λ)``; λ_x times of loss x."""
    got = [math.exp(-sum(weights))]
    for total in range(1, totals):
        most = min(total, len(weights))
        got.append(sum(x * weights[x - 1] * got[total - x] for x in range(1, most + 1)) / total)
    return np.array(got)


@pytest.mark.parametrize(
    "weights",
    [
        [0.2, 0.3, 0.3],
        [5.0, 0.0, 1.5, 0.25],
        [1e-6, 0.0, 0.0, 2e-3],
        [40.0] + [0.0] * 28 + [0.01],  # two parts: no large loss, or at least one
    ],
)
def test_annual_loss_agrees_with_the_panjer_recursion(weights: list[float]) -> None:
    """To a relative error, down to totals of one year in a thousand million."""
    totals = 120
    law = annual_loss(np.arange(1.0, len(weights) + 1), weights)

    got = law.exceedance(np.arange(totals) + 0.5)
    expected = 1 - np.cumsum(panjer(weights, totals))

    assert got == pytest.approx(expected, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("rate", [0.05, 1.0, 30.0])
def test_exponential_losses_agree_with_theory(rate: float) -> None:
    """n exponential losses add up to a gamma law: ``P(L > u) = Σ_n Poisson(n)·Q(n, u)``. The losses
    are cut into cells of equal probability, each with its mean.
    """
    cells = 400
    edges = np.append(-np.log1p(-np.arange(cells) / cells), np.inf)
    whole = np.append((edges[:-1] + 1) * np.exp(-edges[:-1]), 0.0)
    law = annual_loss(cells * (whole[:-1] - whole[1:]), np.full(cells, rate / cells))

    usd = np.array([0.3, 1.0, 3.0, 20.0, 40.0])
    counts = np.arange(1, 200)
    closed = [poisson.pmf(counts, rate) @ gamma.sf(one, counts) for one in usd]

    assert law.exceedance(usd) == pytest.approx(closed, rel=0.01, abs=1e-6)
    assert law.exceedance(0.0) == pytest.approx(-math.expm1(-rate), rel=1e-12)


@pytest.mark.parametrize("rate", [0.02, 0.8, 4.0, 300.0])
@pytest.mark.parametrize("alpha", [0.0, 0.5, 0.95, 0.999])
def test_value_at_risk_of_poisson(rate: float, alpha: float) -> None:
    """``E[N; N > k] = λ·P(N ≥ k)``, and the atom at the quantile with what is left of the tail."""
    law = annual_loss([1000.0], [rate])
    at = max(0.0, poisson.ppf(alpha, rate))
    beyond = poisson.sf(at, rate)
    tail = (rate * poisson.sf(at - 1, rate) + (1 - alpha - beyond) * at) / (1 - alpha)

    if alpha > 0:
        assert law.value_at_risk(alpha) == pytest.approx(1000 * at, rel=1e-9)
    assert law.conditional_value_at_risk(alpha) == pytest.approx(1000 * tail, rel=1e-8)


def test_many_occurrences_are_normal() -> None:
    """A million of one: mean and variance 10⁶, as the central limit theorem has it, and its next
    term (Cornish & Fisher): ``(z² − 1)/6`` times skewness and deviation.
    """
    law = annual_loss([1.0], [1e6])

    for alpha in (0.05, 0.5, 0.95, 0.999):
        z = norm.ppf(alpha)
        expected = 1e6 + 1e3 * z + (z**2 - 1) / 6
        assert law.value_at_risk(alpha) == pytest.approx(expected, abs=1.0)


def test_small_losses_keep_their_shape_beside_rare_large_ones() -> None:
    """A hundred losses of 1000 a year, and 100 M USD once in a thousand years: the year in twenty
    is that of the small ones, though one grid for both would have steps as wide as many of them.
    """
    both = annual_loss([1e3, 1e8], [100.0, 1e-3])
    small = 1 - math.exp(-1e-3)

    at = poisson.ppf(1 - (0.05 - small) / (1 - small), 100.0)
    assert both.value_at_risk(0.95) == pytest.approx(1e3 * at)
    assert both.exceedance(9e7) == pytest.approx(small, rel=1e-9)
    assert both.exceedance(130.5e3) == pytest.approx(
        small + (1 - small) * poisson.sf(130, 100.0), rel=1e-9
    )


@pytest.mark.parametrize("alpha", [0.9, 0.95, 0.99])
def test_rare_scenarios_agree_with_the_costliest_of_a_year(alpha: float) -> None:
    """Two in one year are of the order of the square of the frequencies."""
    costs, frequencies = [5e6, 2e7, 1.2e8], [3e-3, 1e-3, 5e-4]
    law = annual_loss(costs, frequencies)

    yearly = [times_if_any(f) * cost for f, cost in zip(frequencies, costs, strict=True)]
    chances = [yearly_probability(f) for f in frequencies]
    costliest = conditional_value_at_risk(yearly, chances, alpha)

    assert law.conditional_value_at_risk(alpha) == pytest.approx(costliest, rel=5e-3)


def test_annual_loss_agrees_with_years_drawn_at_random() -> None:
    """A hundred thousand years drawn with a seed, against four standard errors."""
    losses, rates, years = np.array([3.7e4, 1.1e6, 2.9e7]), np.array([6.0, 0.7, 0.05]), 100_000
    draws = np.random.default_rng(7).poisson(rates, (years, 3)) @ losses
    law = annual_loss(losses, rates)

    assert law.mean() == pytest.approx(draws.mean(), abs=4 * draws.std() / math.sqrt(years))
    for usd in (1e5, 1.5e6, 3e6, 3.1e7, 6e7):
        chance = float(law.exceedance(usd))
        error = 4 * math.sqrt(chance * (1 - chance) / years)
        assert np.mean(draws > usd) == pytest.approx(chance, abs=error)


@given(
    weights=st.lists(st.floats(0, 3), min_size=1, max_size=5),
    alpha=st.floats(0, 0.99),
)
def test_conditional_value_at_risk_is_that_of_the_outcomes(weights, alpha) -> None:
    """The law of sorted outcomes in planner/laws/risk.py, with Panjer's probabilities."""
    law = annual_loss(np.arange(1.0, len(weights) + 1), weights)
    totals = 150
    outcomes = panjer(weights, totals)

    expected = conditional_value_at_risk(list(range(totals)), list(outcomes), alpha)

    assert law.conditional_value_at_risk(alpha) == pytest.approx(expected, rel=1e-7, abs=1e-7)
