"""Service credits: what a provider owes for a month that fell short of its promise.

Availability of a month is one less the mean, over its minutes, of the share of requests not served:
one minute without service and two with half of it count alike. A schedule says below which
availability which share of the monthly bill is credited; strictly below, and of several steps that
apply the one with the largest share counts, never more than the bill.

A month has 8760/12 hours. Occurrences are taken to begin and end within a month; one with more
unserved minutes than a month has is spread over as many full months as it fills and one more.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from planner.laws.annual import annual_loss
from planner.laws.money import HOURS_PER_YEAR

Floats = NDArray[np.float64]
#: One step: availability below which it applies, share of the bill credited.
Step = tuple[float, float]
MINUTES_PER_MONTH = HOURS_PER_YEAR * 60 / 12
#: Availabilities this close are equal, so that rounding does not put one below a step.
EQUAL = 1e-12


@dataclass(frozen=True)
class MonthlyCredit:
    """Credits of a month on average."""

    expected_usd_per_month: float
    """Credits owed, the mean over all months."""
    probability: tuple[float, ...]
    """Probability that a month is credited by each step, in the order of the schedule."""
    expected_availability: float
    """Mean availability of the months."""


def credit_share(availability: ArrayLike, steps: Sequence[Step]) -> Floats:
    """Share of the monthly bill credited at an availability; array in, array out.

    Parameters
    ----------
    availability
        Availability of months, in [0, 1].
    steps
        Pairs of availability below which a step applies, in (0, 1], and share credited, in [0, 1],
        in any order.

    Raises
    ------
    ValueError
        If a step or an availability is out of range.

    >>> credit_share([1.0, 0.999, 0.998, 0.9], [(0.999, 0.10), (0.99, 0.25)]).tolist()
    [0.0, 0.0, 0.1, 0.25]
    """
    _check_steps(steps)
    months = np.asarray(availability, dtype=np.float64)
    fair = (months >= 0) & (months <= 1)
    if not fair.all():
        raise ValueError(f"Expected availability in [0, 1], got {months[~fair]}.")
    share = np.zeros_like(months)
    for below, credit in steps:
        share = np.where(months < below - EQUAL, np.maximum(share, credit), share)
    return share


def credit_usd(unserved_minutes: ArrayLike, steps: Sequence[Step], usd_per_month: float) -> Floats:
    """Credits owed for an occurrence that is alone in its month; array in, array out.

    Parameters
    ----------
    unserved_minutes
        Minutes without service of each occurrence, a minute with half of it as half a minute. More
        than a month has are spread over several months, each with its credit.
    steps
        Schedule, as in `credit_share`.
    usd_per_month
        Monthly bill.

    Raises
    ------
    ValueError
        If a step is out of range, or minutes or bill are negative or not finite.

    >>> credit_usd([40.0, 60.0, 500.0], [(0.999, 0.10), (0.99, 0.25)], 1000.0).tolist()
    [0.0, 100.0, 250.0]
    """
    minutes = _checked(unserved_minutes, usd_per_month)
    full, rest = np.divmod(minutes, MINUTES_PER_MONTH)
    share = full * credit_share(0.0, steps) + credit_share(1 - rest / MINUTES_PER_MONTH, steps)
    return np.asarray(share * usd_per_month)


def monthly_credit(
    unserved_minutes: Sequence[float] | Floats,
    times_per_year: Sequence[float] | Floats,
    steps: Sequence[Step],
    usd_per_month: float,
) -> MonthlyCredit:
    """Credits of a month in which independent kinds of occurrences arrive as Poisson processes.

    The unserved minutes of a month are compound Poisson (`planner.laws.annual`); the probability of
    a step is that of more minutes than it allows, less that of a larger credit. Minutes of two
    occurrences at once both count, but no month has more than all of its minutes.

    Parameters
    ----------
    unserved_minutes
        Unserved minutes of one occurrence of each kind (J,).
    times_per_year
        Mean number of occurrences of each kind in a year (J,).
    steps
        Schedule, as in `credit_share`.
    usd_per_month
        Monthly bill.

    Raises
    ------
    ValueError
        If a step is out of range, minutes, rates or bill are negative or not finite, or lengths
        differ.

    >>> month = monthly_credit([60.0], [1.2], [(0.999, 0.10)], 1000.0)
    >>> round(month.expected_usd_per_month, 6), round(100 * (1 - math.exp(-0.1)), 6)
    (9.516258, 9.516258)
    """
    _check_steps(steps)
    minutes, rates = _months(_checked(unserved_minutes, usd_per_month), times_per_year)
    month = annual_loss(minutes, rates, years=1 / 12)
    shares = [0.0] * len(steps)
    # From the worst months on: the largest credit counts, and what it takes is gone for the rest.
    order = sorted(range(len(steps)), key=lambda index: (-steps[index][1], -steps[index][0]))
    taken = 0.0
    for index in order:
        allowed = (1 - steps[index][0] + EQUAL) * MINUTES_PER_MONTH
        reached = float(month.exceedance(allowed))
        shares[index] = max(0.0, reached - taken)
        taken = max(taken, reached)
    expected = sum(share * credit for share, (_, credit) in zip(shares, steps, strict=True))
    lost = float(np.minimum(month.usd, MINUTES_PER_MONTH) @ month.probability) / MINUTES_PER_MONTH
    return MonthlyCredit(expected * usd_per_month, tuple(shares), max(0.0, 1 - lost))


def _months(minutes: Floats, times_per_year: ArrayLike) -> tuple[Floats, Floats]:
    """Occurrences cut into months: what begins long before still lies in a month as often."""
    rates = np.asarray(times_per_year, dtype=np.float64)
    if minutes.ndim != 1 or minutes.shape != rates.shape:
        raise ValueError(
            f"Expected as many minutes as rates, in a row, got {minutes.shape} and {rates.shape}."
        )
    full, rest = np.divmod(minutes, MINUTES_PER_MONTH)
    return (
        np.append(rest, np.full_like(full, MINUTES_PER_MONTH)),
        np.append(rates, rates * full),
    )


def _checked(unserved_minutes: ArrayLike, usd_per_month: float) -> Floats:
    minutes = np.asarray(unserved_minutes, dtype=np.float64)
    wrong = []
    fair = np.isfinite(minutes) & (minutes >= 0)
    if not fair.all():
        wrong.append(f"finite unserved_minutes ≥ 0, got {minutes[~fair]}")
    if not 0 <= usd_per_month < math.inf:
        wrong.append(f"a finite bill ≥ 0, got {usd_per_month}")
    if wrong:
        raise ValueError(f"Expected {'; '.join(wrong)}.")
    return minutes


def _check_steps(steps: Sequence[Step]) -> None:
    wrong = [step for step in steps if not (0 < step[0] <= 1 and 0 <= step[1] <= 1)]
    if wrong:
        raise ValueError(f"Expected steps (below in (0, 1], credit in [0, 1]), got {wrong}.")
