"""Failures of a year and their losses, as weighted samples."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from planner.reliability.estimates import Estimate, Floats, Ints, Spread

MINUTES_PER_YEAR = 525_600.0
#: Stratum and source of losses in normal operation: enumerated, not sampled.
NORMAL = "normal operation"


@dataclass(frozen=True)
class SourceRate:
    """Failure and repair rate of a source of failures.

    Parameters
    ----------
    name
        Name of its scenario.
    copies
        Equal components that fail one by one.
    times_per_year
        Failures of all copies together in a year in which they are up.
    mean_minutes
        Mean time to repair.
    """

    name: str
    copies: int
    times_per_year: float
    mean_minutes: float

    def up_probability(self, rate_factor: float = 1.0) -> float:
        """Probability that no copy is down: ``(1 + λr/n)^−n`` (alternating renewal)."""
        load = rate_factor * self.times_per_year * self.mean_minutes / MINUTES_PER_YEAR
        return float((1 + load / self.copies) ** -self.copies)


@dataclass(frozen=True, eq=False)
class Occurrences:
    """Periods in which something is down, each from the first failure until all is repaired.

    The yearly mean of anything is ``Σ times_per_year·value``. Axes: N samples, K tiers.

    Parameters
    ----------
    tiers
        Names of the tiers by priority (K,).
    times_per_year
        How many periods of a year each sample stands for (N,).
    sources
        Scenario that began each (N,); `normal operation` for what is lost with nothing down.
    members
        All scenarios that occurred in each, in order of time (N,).
    lost_requests
        Requests without answer, by tier (N, K).
    unserved_minutes
        ``Σ minutes·(1 − served fraction)`` by tier (N, K).
    emergency_usd
        Spend on emergency capacity, USD (N,).
    failures, hazard
        Failures in each sample, and expected further failures while it lasted (N,): what its
        weight depends on where failure rates change.
    stratum, number
        Part of the failures that each was drawn from, and its number there (N,): samples of two
        fleets with the same stratum and number are the same failures.
    strata
        Names of these parts.
    rates
        Sources of failures.
    demand_rps
        Mean demand by tier (K,).
    truncated_minutes_per_year
        Minutes a year of periods cut off after too many failures.
    unsettled_per_year
        Periods in a year that were still short of serving all a day after their last repair; not
        told where normal operation is short as well.
    unseen_times_per_year
        What happens less often than this may never have come up where no sample lost anything.
    samples, simulated
        Samples drawn, and those of them that had to be simulated.
    seed
        Seed of the streams.
    """

    tiers: tuple[str, ...]
    times_per_year: Floats
    sources: tuple[str, ...]
    members: tuple[tuple[str, ...], ...]
    lost_requests: Floats
    unserved_minutes: Floats
    emergency_usd: Floats
    failures: Ints
    hazard: Floats
    stratum: Ints
    number: Ints
    strata: tuple[str, ...]
    rates: tuple[SourceRate, ...]
    demand_rps: Floats
    truncated_minutes_per_year: float
    unsettled_per_year: float
    unseen_times_per_year: float
    samples: int
    simulated: int
    seed: int

    def __len__(self) -> int:
        return len(self.times_per_year)

    def up_probability(self, rate_factor: float = 1.0) -> float:
        """Probability that nothing is down."""
        return float(np.prod([rate.up_probability(rate_factor) for rate in self.rates]))

    def with_rates(self, factor: float) -> Occurrences:
        """The same samples where everything fails more or less often, by exact new weights.

        A period of m failures during which H more were to be expected has a density proportional to
        ``λ^m·exp(−H)``, and its first failure needs everything to be up: its weight changes by
        ``c^m·exp(−(c − 1)·H)·P_c(up)/P_1(up)``. Far from 1 the interval widens.

        Raises
        ------
        ValueError
            If the factor is negative or not finite.
        """
        if not (np.isfinite(factor) and factor >= 0):
            raise ValueError(f"Expected a finite rate factor ≥ 0, got {factor}.")
        if factor == 1:
            return self
        ratio = factor ** self.failures.astype(float) * np.exp(-(factor - 1) * self.hazard)
        ratio *= self.up_probability(factor) / self.up_probability()
        return replace(
            self,
            times_per_year=self.times_per_year * ratio,
            rates=tuple(
                replace(rate, times_per_year=rate.times_per_year * factor) for rate in self.rates
            ),
            truncated_minutes_per_year=self.truncated_minutes_per_year * max(1.0, factor) ** 2,
        )

    def by_stratum(self, values: Floats) -> list[Floats]:
        """Yearly contributions of a value (N,) by stratum, each scaled to its stratum."""
        contributions = self.times_per_year * values
        order = np.lexsort((self.number, self.stratum))
        edges = np.searchsorted(self.stratum[order], np.arange(len(self.strata) + 1))
        parts = np.split(contributions[order], edges[1:-1]) if len(self.strata) else []
        return [part * len(part) for part in parts]

    def spread(self, values: Floats) -> Spread:
        """Mean and variance of the yearly sum of a value (N,) by stratum."""
        spread = Spread.of(self.by_stratum(values))
        known = np.array([name == NORMAL for name in self.strata], dtype=bool)
        return replace(spread, variance=np.where(known, 0.0, spread.variance))

    def per_year(self, values: Floats) -> Estimate:
        """Yearly sum of a value (N,), with its interval."""
        return self.spread(values).estimate()
