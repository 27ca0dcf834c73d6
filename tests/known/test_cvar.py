"""Conditional value at risk against published figures and closed forms.

Continuous losses are cut into cells of equal probability, each with its conditional mean, so that
the mean of a tail of whole cells is exact.
"""

from __future__ import annotations

import math

import highspy
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from planner.laws.risk import (
    conditional_value_at_risk,
    times_if_any,
    value_at_risk,
    yearly_probability,
)

CELLS = 10_000


def normal_cells(mean: float, deviation: float) -> list[float]:
    """Conditional means of a normal loss in cells of equal probability."""
    edges = norm.ppf(np.linspace(0, 1, CELLS + 1))
    return list(mean + deviation * CELLS * -np.diff(norm.pdf(edges)))


@pytest.mark.parametrize(
    ("alpha", "quantile", "tail"),
    [(0.90, 0.067847, 0.096975), (0.95, 0.090200, 0.115908), (0.99, 0.132128, 0.152977)],
)
def test_minimum_variance_portfolio_of_rockafellar_and_uryasev(
    alpha: float, quantile: float, tail: float
) -> None:
    """Rockafellar & Uryasev, "Optimization of conditional value-at-risk", J. Risk 2 (2000), the
    portfolio of section 4: return 0.011 and variance 0.00378529, normal; VaR and CVaR as printed.
    """
    losses = normal_cells(-0.011, math.sqrt(0.00378529))
    chances = [1 / CELLS] * CELLS

    assert conditional_value_at_risk(losses, chances, alpha) == pytest.approx(tail, abs=1e-6)
    assert value_at_risk(losses, chances, alpha) == pytest.approx(quantile, abs=3e-4)


@pytest.mark.parametrize("alpha", [0.0, 0.5, 0.9, 0.99])
def test_cvar_of_exponential_losses_agrees_with_theory(alpha: float) -> None:
    """Mean 1: the tail beyond the quantile −ln(1 − α) has mean 1 − ln(1 − α), since it has no
    memory.
    """
    edges = np.append(-np.log1p(-np.arange(CELLS) / CELLS), np.inf)
    whole = np.append((edges[:-1] + 1) * np.exp(-edges[:-1]), 0.0)
    losses = list(CELLS * (whole[:-1] - whole[1:]))

    got = conditional_value_at_risk(losses, [1 / CELLS] * CELLS, alpha)

    assert got == pytest.approx(1 - math.log(1 - alpha), rel=1e-9)


def test_the_outcome_at_the_quantile_is_split() -> None:
    """Rockafellar & Uryasev, J. Banking & Finance 26 (2002), on general distributions: with a lump
    of probability at the quantile CVaR lies between the means of what is beyond and from it on.
    """
    costs, chances = [100.0, 20.0, 0.0], [0.1, 0.3, 0.6]

    got = conditional_value_at_risk(costs, chances, 0.8)

    assert got == pytest.approx((0.1 * 100 + 0.1 * 20) / 0.2)
    assert (0.1 * 100 + 0.3 * 20) / 0.4 < got < 100
    assert value_at_risk(costs, chances, 0.8) == 20


def by_programme(costs: list[float], chances: list[float], alpha: float) -> float:
    """``min η + 1/(1 − α)·Σ p·z``, ``z ≥ cost − η``, η ≥ 0, as a solver finds it."""
    solver = highspy.Highs()
    solver.setOptionValue("output_flag", False)
    level = solver.addVariable(lb=0.0, obj=1.0)
    for cost, chance in zip(costs, chances, strict=True):
        beyond = solver.addVariable(lb=0.0, obj=chance / (1 - alpha))
        solver.addConstr(beyond + level >= cost)
    solver.run()
    return float(solver.getInfo().objective_function_value)


@given(
    outcomes=st.lists(st.tuples(st.floats(0, 1000), st.floats(0, 0.4)), min_size=1, max_size=6),
    alpha=st.floats(0, 0.99),
)
def test_sorting_and_minimising_agree(outcomes: list[tuple[float, float]], alpha: float) -> None:
    """Also where probabilities do not add up to one, or to more."""
    costs, chances = map(list, zip(*outcomes, strict=True))

    sorted_out = conditional_value_at_risk(costs, chances, alpha)

    assert sorted_out == pytest.approx(by_programme(costs, chances, alpha), rel=1e-6, abs=1e-3)
    assert value_at_risk(costs, chances, alpha) <= sorted_out + 1e-6
    assert sorted_out <= max(costs) + 1e-9


@given(
    frequencies=st.lists(st.floats(0, 0.15), min_size=1, max_size=5),
    costs=st.lists(st.floats(0, 1e6), min_size=5, max_size=5),
)
def test_the_mean_is_the_expected_yearly_cost(frequencies: list[float], costs: list[float]) -> None:
    costs = costs[: len(frequencies)]
    yearly = [times_if_any(f) * cost for f, cost in zip(frequencies, costs, strict=True)]
    chances = [yearly_probability(f) for f in frequencies]

    mean = conditional_value_at_risk(yearly, chances, 0.0)

    expected = sum(f * cost for f, cost in zip(frequencies, costs, strict=True))
    assert mean == pytest.approx(expected, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("alpha", [1.0, -0.1, math.nan])
def test_a_wrong_alpha_is_refused(alpha: float) -> None:
    with pytest.raises(ValueError, match="alpha"):
        conditional_value_at_risk([1.0], [1.0], alpha)
    with pytest.raises(ValueError, match="alpha"):
        value_at_risk([1.0], [1.0], alpha)
