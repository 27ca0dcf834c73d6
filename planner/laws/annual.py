"""The distribution of the loss of a year: a compound Poisson law.

Kinds of occurrences arrive independently of each other, kind j λ_j times a year on average as a
Poisson process, and each occurrence of kind j costs x_j. The loss of the year is then compound
Poisson, with the characteristic function

    ``exp(Σ λ_j·(exp(i·t·x_j) − 1))``

which is evaluated on a grid and turned into probabilities by a fast Fourier transform. A loss
between two points of the grid is split between them so that its mean stays the same.

One grid cannot show losses of a thousand and of a thousand million USD. The law of the year is
therefore cut by its largest occurrence: years with one within a factor of 16 of the largest of all,
else years with one within a factor of 16 of the largest of the rest, and so on. The parts exclude
each other, their probabilities are known exactly, and each has a grid of its own.

Grids cover all but 10⁻¹² of the probability on either side, by Chernoff's bound.

Sources: Klugman, Panjer & Willmot, *Loss Models*, Wiley, the chapter on aggregate losses (compound
laws, inversion by FFT, local moment matching); Embrechts & Frei, "Panjer recursion versus FFT for
compound distributions", *Mathematical Methods of Operations Research* 69 (2009) 497-508.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from planner.laws.risk import tail_probability

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
#: Losses within this factor of the largest share its grid without losing their own size.
BAND = 16.0
#: Probability that a grid may miss on either side.
BEYOND = 1e-12
#: Probability of a part of the law below which what is left of it is dropped.
NEGLIGIBLE = 1e-17
#: Rate of occurrences of which two in one period are out of the question.
RARE = 1e-30
#: Most occurrences in the period: beyond, rounding shows.
MOST_TIMES = 1e6
#: Fewest points of a grid, most points.
POINTS = (256, 2**22)
#: Losses this close together, as a share, are equal.
EQUAL = 1e-12
#: Exponents tried in Chernoff's bound, per largest loss.
EXPONENTS: Floats = np.geomspace(1e-5, 100.0, 48)
#: Steps to the largest loss: numbers with many divisors, so that plain fractions of it fall on
#: points of the grid.
DIVISIONS = np.array(
    [1, 2, 4, 6, 12, 24, 60, 120, 180, 360, 720, 1260, *(2520 * 2**power for power in range(11))]
)


@dataclass(frozen=True, eq=False)
class AnnualLoss:
    """Distribution of the loss of a year, or of another period.

    A loss between two points of the grid is split between both, so quantiles are accurate to one
    step of the grid, some thousandths of the largest occurrence of the year at most. The mean is
    exact.
    """

    usd: Floats
    """Losses that can come about, rising, USD (G,)."""
    probability: Floats
    """Probability of each (G,); adds up to one."""
    years: float = 1.0
    """Length of the period."""
    mass_beyond: float = 0.0
    """Upper bound of the probability beyond the grids, which wraps around."""

    @cached_property
    def _beyond(self) -> Floats:
        """Probability of more than each loss (G,), summed from the rare end."""
        return np.append(np.cumsum(self.probability[:0:-1])[::-1], 0.0)

    @cached_property
    def _usd_beyond(self) -> Floats:
        """Expected loss from what is above each loss, USD (G,)."""
        return np.append(np.cumsum((self.probability * self.usd)[:0:-1])[::-1], 0.0)

    def mean(self) -> float:
        """Expected loss of the period, USD: ``Σ λ_j·x_j``."""
        return float(self.usd @ self.probability)

    def exceedance(self, usd: ArrayLike) -> Floats:
        """Probability that the period costs more than an amount; array in, array out.

        Parameters
        ----------
        usd
            Amounts, USD; a loss within 10⁻¹² of an amount does not exceed it.
        """
        amounts = np.asarray(usd, dtype=np.float64)
        after = np.searchsorted(self.usd, amounts + EQUAL * np.abs(amounts), side="right")
        return np.append(min(1.0, float(self.probability.sum())), self._beyond)[after]

    def value_at_risk(self, alpha: float) -> float:
        """Smallest loss, USD, exceeded with probability 1 − α at most.

        Raises
        ------
        ValueError
            If α is not in [0, 1).

        >>> annual_loss([5.0], [0.03]).value_at_risk(0.95)
        0.0
        >>> annual_loss([5.0], [0.03]).value_at_risk(0.98)
        5.0
        """
        return float(self._exceeded_by(np.array(tail_probability(alpha))))

    def conditional_value_at_risk(self, alpha: float) -> float:
        """Mean loss, USD, of the costliest share 1 − α of all periods.

        The loss at the quantile counts with the part of its probability that lies in the tail,
        as in `planner.laws.risk.conditional_value_at_risk`.

        Raises
        ------
        ValueError
            If α is not in [0, 1).

        References
        ----------
        Rockafellar & Uryasev, "Conditional value-at-risk for general loss distributions", *Journal
        of Banking & Finance* 26 (2002), proposition 8.
        """
        tail = tail_probability(alpha)
        at = self._index(np.array(tail))
        atom = max(0.0, tail - float(self._beyond[at]))
        return float(self._usd_beyond[at] + atom * self.usd[at]) / tail

    def curve(self, points: int = 100, least: float = 1e-4) -> tuple[Floats, Floats]:
        """Loss-exceedance curve, from the probability of any loss at all to a small one.

        Parameters
        ----------
        points
            Points of the curve, at least 2.
        least
            Smallest probability, in (0, 0.1].

        Returns
        -------
        probability
            Log-spaced, falling (points,).
        usd
            Smallest loss that is exceeded with that probability at most, rising, USD (points,).

        Raises
        ------
        ValueError
            If there are too few points or the probability lies outside its range.
        """
        if points < 2 or not 0 < least <= 0.1:
            raise ValueError(
                f"Expected points ≥ 2 and least in (0, 0.1], got {points} and {least}."
            )
        most = max(float(self.exceedance(0.0)), 10 * least)
        probability = np.geomspace(most, least, points)
        return probability, self._exceeded_by(probability)

    def return_period_usd(self, years: ArrayLike) -> Floats:
        """Smallest loss, USD, that a period exceeds with probability ``period / years`` at most.

        For a year and 100 years that is the loss with one chance in a hundred; array in, array out.

        Raises
        ------
        ValueError
            If the years are fewer than the period.
        """
        wanted = np.asarray(years, dtype=np.float64)
        if not np.all(wanted >= self.years):
            raise ValueError(f"Expected years of at least the period {self.years:g}, got {wanted}.")
        return self._exceeded_by(self.years / wanted)

    def _index(self, probability: Floats) -> Integers:
        """First loss that is exceeded with at most a probability, by its place on the grid."""
        return np.searchsorted(-self._beyond, -probability * (1 + EQUAL))

    def _exceeded_by(self, probability: Floats) -> Floats:
        return np.asarray(self.usd[self._index(probability)])


def annual_loss(
    losses: Sequence[float] | Floats,
    times_per_year: Sequence[float] | Floats,
    years: float = 1.0,
    points: int = 16384,
) -> AnnualLoss:
    """Distribution of the loss of a year in which kinds of occurrences are Poisson processes.

    Parameters
    ----------
    losses
        Cost of one occurrence of each kind, USD, not negative (J,).
    times_per_year
        Mean number of occurrences of each kind in a year, not negative (J,).
    years
        Length of the period, positive: 1/12 for a month.
    points
        Points of one grid, from 256 to 2²². The largest losses share the first; those smaller by a
        factor of 16 and more need another each.

    Raises
    ------
    ValueError
        If lengths differ, a value is negative or not finite, the period is not positive, the points
        are out of range, or more than 10⁶ occurrences are expected; all that applies at once.

    >>> law = annual_loss([1.0], [2.0])  # the Poisson law itself
    >>> round(law.mean(), 9), float(law.exceedance(3.0).round(4))
    (2.0, 0.1429)
    """
    loss, times = _checked(losses, times_per_year, years, points)
    kept = (loss > 0) & (times > 0)
    order = np.argsort(-loss[kept], kind="stable")
    loss, times = loss[kept][order], times[kept][order]
    parts: list[tuple[Floats, Floats]] = []
    left, missed = 1.0, 0.0
    while loss.size and left > NEGLIGIBLE:
        large = loss > loss[0] / BAND
        frequent = float(times[large].sum())
        share = -left * math.expm1(-frequent)
        # Below a rate of 10⁻³⁰ the law given a large loss no longer depends on it; zero is near.
        given = np.where(large, times * max(1.0, RARE / frequent), times)
        units, probability = _part(loss / loss[0], given, large, points)
        parts.append((units * loss[0], share * probability))
        missed += share * 2 * BEYOND
        left *= math.exp(-frequent)
        loss, times = loss[~large], times[~large]
    parts.append((np.zeros(1), np.array([left])))
    usd, place = np.unique(np.concatenate([values for values, _ in parts]), return_inverse=True)
    weights = np.concatenate([shares for _, shares in parts])
    return AnnualLoss(usd, np.bincount(place, weights=weights), years, missed)


def _checked(
    losses: Sequence[float] | Floats, times_per_year: Sequence[float] | Floats, years: float, n: int
) -> tuple[Floats, Floats]:
    """Losses and their times in the period; a `ValueError` of all that is wrong."""
    loss = np.asarray(losses, dtype=np.float64)
    rate = np.asarray(times_per_year, dtype=np.float64)
    wrong = []
    if loss.ndim != 1 or rate.ndim != 1 or loss.shape != rate.shape:
        wrong.append(f"as many losses as rates, in a row, got {loss.shape} and {rate.shape}")
    for name, values in (("losses", loss), ("times_per_year", rate)):
        if not np.all(np.isfinite(values) & (values >= 0)):
            wrong.append(f"finite {name} ≥ 0, got {values[~(values >= 0) | ~np.isfinite(values)]}")
    if not 0 < years < math.inf:
        wrong.append(f"years > 0, got {years}")
    if not POINTS[0] <= n <= POINTS[1]:
        wrong.append(f"points from {POINTS[0]} to {POINTS[1]}, got {n}")
    if not wrong and rate.sum() * years > MOST_TIMES:
        wrong.append(f"at most {MOST_TIMES:g} occurrences, got {rate.sum() * years:g}")
    if wrong:
        raise ValueError(f"Expected {'; '.join(wrong)}.")
    return loss, rate * years


def _part(
    sizes: Floats, times: Floats, large: NDArray[np.bool_], points: int
) -> tuple[Floats, Floats]:
    """Law of the total, given at least one large occurrence; sizes as shares of the largest.

    The grid holds the totals modulo its width, so it need not begin at zero: its width covers where
    the total can be, and it is unrolled from there.
    """
    low, high = _range(sizes, times, sizes[large], times[large])
    step = (high - low) / (points - 4)
    while True:
        count, divisions = _round_step(step)
        few, many = (
            _split(sizes[mask] * divisions / count, times[mask]) for mask in (large, ~large)
        )
        values = np.concatenate([few[0], many[0]]) * count / divisions
        weights = np.concatenate([few[1], many[1]])
        low, high = _range(values, weights, few[0] * count / divisions, few[1])
        first, last = (math.floor(low * divisions / count), math.ceil(high * divisions / count))
        if last - first < points:
            break
        step *= 1.2  # splitting spread the losses: a little wider
    probability = np.roll(_invert(few, many, points), -(first % points))
    index = first + np.flatnonzero(probability)
    return index * count / divisions, probability[probability > 0]


def _round_step(step: float) -> tuple[int, int]:
    """A step of the grid no smaller than that wanted, as a fraction."""
    if step >= 1:
        return math.ceil(step), 1
    return 1, int(DIVISIONS[np.searchsorted(DIVISIONS, 1 / step, side="right") - 1])


def _split(positions: Floats, times: Floats) -> tuple[Integers, Floats]:
    """Points of the grid and the times of each: what lies between two goes to both, same mean."""
    below = np.floor(positions).astype(np.int64)
    share = positions - below
    size = int(below.max(initial=0)) + 2
    total = np.bincount(below, times * (1 - share), size)
    total += np.bincount(below + 1, times * share, size)
    index = np.flatnonzero(total)
    return index, total[index]


def _range(
    sizes: Floats, times: Floats, large_sizes: Floats, large_times: Floats
) -> tuple[float, float]:
    """Bounds that the total, given a large occurrence, misses with probability `BEYOND` each.

    Chernoff: ``P(L ≥ a) ≤ exp(K(θ) − θ·a)`` for all θ > 0, with K the logarithm of the mean of
    exp(θ·L); likewise below with −θ.
    """
    need = -math.log(BEYOND)
    both = []
    with np.errstate(over="ignore"):  # a bound without end loses against the others
        for theta in (EXPONENTS, -EXPONENTS):
            grown = np.exp(np.multiply.outer(theta, large_sizes)) @ large_times
            given = np.log(-np.expm1(-grown))
            given -= math.log(-math.expm1(-float(large_times.sum())))
            exponent = np.expm1(np.multiply.outer(theta, sizes)) @ times + given
            both.append((exponent + need) / theta)
    return max(0.0, float(both[1].max())), float(both[0].min())


def _invert(few: tuple[Integers, Floats], many: tuple[Integers, Floats], points: int) -> Floats:
    """Probabilities on the grid, wrapped around, given at least one of the few large occurrences.

    ``exp(λ_S·(φ_S − 1))·(exp(λ_B·φ_B) − 1)/(exp(λ_B) − 1)``, S being small and B large occurrences.
    """
    large, small = (
        np.fft.rfft(np.bincount(index % points, times, points)) for index, times in (few, many)
    )
    rate = float(large[0].real)
    if rate < 30:
        given = np.expm1(large) / math.expm1(rate)
    else:
        given = (np.exp(large - rate) - math.exp(-rate)) / -math.expm1(-rate)
    probability = np.fft.irfft(np.exp(small - small[0].real) * given, points)
    # What is not above the largest negative value is rounding.
    probability[probability <= max(0.0, -float(probability.min()))] = 0.0
    return np.asarray(probability / probability.sum())
