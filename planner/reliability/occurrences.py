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

    def up_probability(self) -> float:
        """Probability that no copy is down: ``(1 + λr/n)^−n`` (alternating renewal)."""
        load = self.times_per_year * self.mean_minutes / MINUTES_PER_YEAR
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
    stratum: Ints
    number: Ints
    strata: tuple[str, ...]
    rates: tuple[SourceRate, ...]
    demand_rps: Floats
    truncated_minutes_per_year: float
    samples: int
    simulated: int
    seed: int

    def __len__(self) -> int:
        return len(self.times_per_year)

    def up_probability(self) -> float:
        """Probability that nothing is down."""
        return float(np.prod([rate.up_probability() for rate in self.rates]))

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
