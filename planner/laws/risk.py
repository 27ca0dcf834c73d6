"""Risk: value at risk and conditional value at risk of the costliest scenario of a year.

A scenario arrives ``f`` times a year on average, independently of all else (Poisson). A year brings
it at least once with probability 1 − exp(−f), and then f / (1 − exp(−f)) times on average; the two
together are its expected yearly cost. The loss of a year is that of the costliest scenario that it
brings; where probabilities do not add up to one, the rest is a year without failures.
"""

from __future__ import annotations

import math
from collections.abc import Sequence


def yearly_probability(frequency_per_year: float) -> float:
    """Probability that a year brings a scenario at least once: ``1 − exp(−f)``.

    >>> round(yearly_probability(0.03), 5)
    0.02955
    """
    return -math.expm1(-frequency_per_year)


def times_if_any(frequency_per_year: float) -> float:
    """Mean number of occurrences in a year that brings at least one: ``f / (1 − exp(−f))``.

    >>> times_if_any(0.0), round(times_if_any(1.0), 4), round(times_if_any(20.0), 4)
    (1.0, 1.582, 20.0)
    """
    if frequency_per_year == 0:
        return 1.0
    return frequency_per_year / yearly_probability(frequency_per_year)


def value_at_risk(costs: Sequence[float], probabilities: Sequence[float], alpha: float) -> float:
    """Smallest cost that is exceeded with probability 1 − α at most.

    The probability missing to one is that of no cost.

    >>> value_at_risk([5.0, 1.0], [0.03, 0.5], 0.95), value_at_risk([5.0], [0.03], 0.95)
    (1.0, 0.0)
    """
    left = tail_probability(alpha)
    for cost, probability in sorted(zip(costs, probabilities, strict=True), reverse=True):
        left -= probability
        if left < 0:
            return cost
    return 0.0


def conditional_value_at_risk(
    costs: Sequence[float], probabilities: Sequence[float], alpha: float
) -> float:
    """Mean of the costliest share 1 − α of all outcomes.

    ``1/(1 − α)·∫ costs, costliest first, over a probability of 1 − α``: the outcome at the quantile
    counts with the part of its probability that lies in the tail. The probability missing to one is
    that of no cost. Probabilities of scenarios that can meet in a year may add up to more
    than one; then only the costliest count.

    Parameters
    ----------
    costs
        Cost of every outcome, USD.
    probabilities
        Probability of every outcome.
    alpha
        Confidence, 0 ≤ α < 1: 0 is the mean, close to 1 the worst.

    Raises
    ------
    ValueError
        If α is not in [0, 1).

    References
    ----------
    Rockafellar & Uryasev, "Conditional value-at-risk for general loss distributions", *Journal of
    Banking & Finance* 26 (2002), proposition 8.

    >>> conditional_value_at_risk([100.0, 20.0, 0.0], [0.25, 0.25, 0.5], 0.5)
    60.0
    """
    left = tail = tail_probability(alpha)
    total = 0.0
    for cost, probability in sorted(zip(costs, probabilities, strict=True), reverse=True):
        taken = min(probability, left)
        total += taken * cost
        left -= taken
    return total / tail


def tail_probability(alpha: float) -> float:
    """Probability 1 − α beyond the value at risk.

    Raises
    ------
    ValueError
        If α is not in [0, 1).
    """
    if not 0 <= alpha < 1:
        raise ValueError(f"Expected alpha in [0, 1), got {alpha}.")
    return 1 - alpha
