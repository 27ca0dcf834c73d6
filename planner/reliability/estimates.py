"""Means of stratified samples, with their confidence intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
#: Samples of a stratum that are spread over it together.
BLOCK = 8
#: Fewest blocks whose means give the sampling variance.
FEWEST_BLOCKS = 5
#: The 97.5 % quantile of the normal distribution.
NORMAL_975 = 1.959963984540054
#: Most decimals of a percentage, and most significant digits of what it lacks to 100 %.
MOST_PLACES, MOST_DIGITS = 9, 5


@dataclass(frozen=True)
class Estimate:
    """A value worked out from samples, with the interval that holds the true one.

    Parameters
    ----------
    value
        Best estimate.
    low, high
        Ends of the 95 % confidence interval; both are the value where it is exact.
    """

    value: float
    low: float
    high: float

    @classmethod
    def exact(cls, value: float) -> Estimate:
        """A value without sampling error."""
        return cls(value, value, value)

    def within(self, least: float, most: float) -> Estimate:
        """The same with value and interval clipped to a range."""
        return Estimate(*(min(most, max(least, x)) for x in (self.value, self.low, self.high)))

    def raised(self, amount: float) -> Estimate:
        """The same with a higher upper end."""
        return Estimate(self.value, self.low, self.high + amount)

    def availability(self, period: float) -> Estimate:
        """Availability: one minus this downtime as a share of a period."""
        up = (1 - self.value / period, 1 - self.high / period, 1 - self.low / period)
        return Estimate(*up).within(0.0, 1.0)


def percent(share: Estimate) -> tuple[str, str]:
    """An availability in percent and its interval, with the digits that the interval supports.

    Value and lower end are rounded down. A value never shows more nines than the lower end has:
    where it would, that is told instead.

    >>> percent(Estimate(0.99991, 0.9998, 0.99997))
    ('≥ 99.98', '99.98 - 100.00')
    >>> percent(Estimate(0.99912, 0.99908, 0.99916))
    ('99.912', '99.908 - 99.916')
    >>> percent(Estimate(0.9921, 0.9921 - 1e-9, 0.9921 + 1e-9))
    ('99.21000', '99.20999 - 99.21001')
    """
    if share.low >= 1:
        return "no loss sampled", ""
    width = 100 * (share.high - share.low)
    # As many digits as the interval is wide; where nothing is left to chance, of what is missing.
    scale = width if width > 0 else (1 - share.low)
    missing = 100 * (1 - (share.value if share.value < 1 else share.low))
    most = min(MOST_PLACES, MOST_DIGITS - 1 - math.floor(math.log10(missing)))
    places = min(most, max(0, -math.floor(math.log10(max(scale, 1e-12)))))
    low, value = (_floor(100 * share, places) for share in (share.low, share.value))
    if width <= 0:
        return value, ""
    high = f"{-float(_floor(-100 * share.high, places)):.{places}f}"
    shown = f"≥ {low}" if _nines(value) > _nines(low) else value
    return shown, f"{low} - {high}"


def _floor(value: float, places: int) -> str:
    """A number rounded down, but for rounding of the number itself."""
    scaled = 10.0**places
    return f"{math.floor(value * scaled + 1e-6) / scaled:.{places}f}"


def _nines(text: str) -> int:
    """Leading nines of a percentage; 100 has more than any."""
    digits = text.replace(".", "")
    return MOST_PLACES + 3 if float(text) >= 100 else len(digits) - len(digits.lstrip("9"))


@dataclass(frozen=True)
class Spread:
    """Mean of each stratum with its sampling variance.

    Parameters
    ----------
    mean, variance
        Mean contribution of each stratum and the variance of that mean, shape (strata,).
    freedom
        Degrees of freedom of that variance, shape (strata,).
    """

    mean: Floats
    variance: Floats
    freedom: Floats

    @classmethod
    def of(cls, strata: Sequence[Floats]) -> Spread:
        """Spread of the values of each stratum, in order of their numbers.

        ``Σ_s mean_s`` with variance ``Σ_s s_s²/n_s``: W. G. Cochran, *Sampling Techniques*,
        chapter 5.
        """
        found = [variance_of_mean(values, in_blocks(values)) for values in strata]
        return cls(
            np.array([values.mean() if len(values) else 0.0 for values in strata]),
            np.array([variance for variance, _ in found]),
            np.array([freedom for _, freedom in found]),
        )

    def estimate(self) -> Estimate:
        """Sum over the strata with its interval."""
        value = float(self.mean.sum())
        half = half_width(self.variance, self.freedom)
        return Estimate(value, value - half, value + half)


def in_blocks(values: Floats) -> bool:
    """Whether there are enough whole blocks to judge by how their means differ."""
    return len(values) >= FEWEST_BLOCKS * BLOCK and len(values) % BLOCK == 0


def variance_of_mean(values: Floats, blocks: bool) -> tuple[float, float]:
    """Variance of the mean of some values, and its degrees of freedom.

    By how the means of blocks differ, which are independent; where there are too few, by how single
    values do. Those of a block are spread over the stratum, so that is too wide rather than too
    narrow.
    """
    repeats = repeats_of(values, blocks)
    if len(repeats) < 2:
        return 0.0, 1.0
    return float(repeats.var(ddof=1)) / len(repeats), len(repeats) - 1.0


def repeats_of(values: Floats, blocks: bool) -> Floats:
    """Independent repeats of the mean: of blocks, or the values themselves."""
    return values.reshape(-1, BLOCK).mean(axis=1) if blocks else values


def half_width(variance: Floats, freedom: Floats) -> float:
    """Half the 95 % interval of a sum of independent means.

    Student's t with the degrees of freedom of Welch and Satterthwaite,
    ``(Σ v_s)² / Σ v_s²/ν_s``.
    """
    total = float(variance.sum())
    if total <= 0:
        return 0.0
    # As shares of the total, so that no square underflows.
    shares = variance / total
    return student_975(1 / float((shares**2 / freedom).sum())) * math.sqrt(total)


def student_975(freedom: float) -> float:
    """97.5 % quantile of Student's t distribution.

    Exact for 1 and 2 degrees of freedom, beyond by the expansion of Abramowitz & Stegun, Handbook
    of Mathematical Functions, 26.7.5, which is within 0.5 % from 3 on; between 1, 2 and 3 the
    smaller degree counts.

    >>> [round(student_975(n), 2) for n in (1, 2, 5, 30, 1e9)]
    [12.71, 4.3, 2.57, 2.04, 1.96]
    """
    if freedom < 2:
        return 12.706204736432095
    if freedom < 3:
        return 4.302652729911275
    z, n = NORMAL_975, freedom
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + sum(term / n**power for power, term in enumerate(terms, start=1))
