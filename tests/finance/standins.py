"""Cheap stand-ins for the cascade, with exact answers to compare with."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from planner.reliability.evaluation import PeriodLosses
from planner.reliability.monte_carlo import Sampler
from planner.reliability.occurrences import Occurrences, SourceRate
from planner.reliability.sampling import Down, Period, Process


@dataclass
class Rule:
    """Service is down in exactly those minutes in which a rule says so.

    Parameters
    ----------
    down
        Whether service is down while some copies of some sources are, by place of the source.
    biased
        Whether the sampler may ask which states are harmless.
    """

    down: Callable[[dict[int, int]], bool]
    biased: bool = True

    def may_lose(self, state: Down) -> bool:
        """Whether service is down."""
        return not self.biased or self.down(dict(state))

    def evaluate(self, periods: Sequence[Period]) -> PeriodLosses:
        """Minutes without service; a request a minute is lost."""
        minutes = np.array([self.minutes(one) for one in periods])
        outcome = PeriodLosses.nothing(len(periods), 1)
        outcome.lost_requests[:, 0] = outcome.unserved_minutes[:, 0] = minutes
        outcome.minutes[:] = [one.end_minute for one in periods]
        return outcome

    def minutes(self, period: Period) -> float:
        """Minutes of a period in which service is down."""
        changes = sorted(
            change
            for one in period.failures
            for change in (
                (one.at_minute, 1, one.source),
                (one.at_minute + one.minutes, -1, one.source),
            )
        )
        state: dict[int, int] = {}
        total, before = 0.0, 0.0
        for minute, change, source in changes:
            total += (minute - before) * self.down(state)
            before, state[source] = minute, state.get(source, 0) + change
        return total


def sampled(
    rates: Sequence[SourceRate], rule: Rule, samples: int = 600, seed: int = 0
) -> Occurrences:
    """Occurrences of a stand-in with one tier."""
    sampler = Sampler(Process.of(rates), rule, seed, ("users",), np.array([1.0]))
    return sampler.sample(samples, np.array([1.0]))


def unavailability(rates: Sequence[SourceRate], rule: Rule) -> float:
    """Probability that service is down, by enumerating all states of independent copies."""
    ordered = Process.of(rates).sources
    laws = []
    for one in ordered:
        load = one.times_per_year * one.mean_minutes / one.copies / 525_600
        out = load / (1 + load)
        laws.append(
            [
                math.comb(one.copies, n) * out**n * (1 - out) ** (one.copies - n)
                for n in range(one.copies + 1)
            ]
        )
    total = 0.0
    for state in itertools.product(*(range(len(law)) for law in laws)):
        if rule.down(dict(enumerate(state))):
            total += math.prod(law[n] for law, n in zip(laws, state, strict=True))
    return total
