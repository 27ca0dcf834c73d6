"""Rare states of repairable systems against published closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
from finance.standins import Rule, sampled

from planner.reliability.occurrences import MINUTES_PER_YEAR, SourceRate
from planner.reliability.sampling import Period


class Entries(Rule):
    """Counts how often a state is entered instead of the minutes spent in it."""

    def minutes(self, period: Period) -> float:
        """Entries of the state in a period."""
        down = [self.down(dict(state)) for state in period.downs()]
        return float(
            sum(now and not before for before, now in zip([False, *down], down, strict=False))
        )


def both(down: dict[int, int]) -> bool:
    """Whether both components are down."""
    return bool(down.get(0) and down.get(1))


def test_two_components_in_parallel_agree_with_theory() -> None:
    """Unavailability λ1·λ2/((λ1 + μ1)(λ2 + μ2)), frequency that times (μ1 + μ2).

    R. Billinton and R. N. Allan, Reliability Evaluation of Engineering Systems, 2nd edition, the
    chapters on continuous Markov processes and on frequency and duration: two-component repairable
    systems. Hourly rates of 10⁻³ and 2·10⁻⁴, repairs of 10 and 25 hours.
    """
    (fail1, mend1), (fail2, mend2) = (1e-3, 1 / 10), (2e-4, 1 / 25)
    unavailable = fail1 * fail2 / ((fail1 + mend1) * (fail2 + mend2))
    frequency = 8760 * unavailable * (mend1 + mend2)
    rates = [
        SourceRate("one", 1, 8760 * fail1, 60 / mend1),
        SourceRate("two", 1, 8760 * fail2, 60 / mend2),
    ]
    for rule, exact in ((Rule(both), unavailable * MINUTES_PER_YEAR), (Entries(both), frequency)):
        found = sampled(rates, rule, 400)
        estimate = found.per_year(found.unserved_minutes[:, 0])
        assert estimate.low <= exact <= estimate.high
        assert estimate.value == pytest.approx(exact, rel=0.1)


@pytest.mark.parametrize(("needed", "printed"), [(3, 0.0144), (4, 0.0018), (5, 0.0002)])
def test_many_machines_under_repair_are_poisson(needed: int, printed: float) -> None:
    """Number down of very many machines, each repaired at once: Poisson with mean load 0.5.

    The infinite-server queue; L. Kleinrock, Queueing Systems, volume I, section 3.4 (M/M/∞). Tails
    of the Poisson law with mean 0.5 as in the usual tables, to four decimals.
    """
    tail = 1 - sum(math.exp(-0.5) * 0.5**n / math.factorial(n) for n in range(needed))
    assert round(tail, 4) == printed
    machines = 5000
    mean = 300.0
    rates = [SourceRate("machine", machines, 0.5 * MINUTES_PER_YEAR / mean, mean)]
    rule = Rule(lambda down: down.get(0, 0) >= needed)
    shares = []
    for seed in range(10):
        found = sampled(rates, rule, 600, seed)
        shares.append(found.per_year(found.unserved_minutes[:, 0]).value / MINUTES_PER_YEAR)
    error = np.std(shares, ddof=1) / math.sqrt(len(shares))
    assert abs(np.mean(shares) - tail) < 3.5 * error
    assert error < 0.2 * tail


def test_two_out_of_three_with_a_common_cause_agree_with_theory() -> None:
    """2-out-of-3 system with a common cause: unavailability near 3·q² + q_c for small q.

    The beta-factor model of K. N. Fleming (1975), IEC 61508-6, annex D: independent failures of
    each channel and one cause of all.
    """
    rates = [SourceRate("all", 1, 0.02, 480.0), SourceRate("channel", 3, 3.0, 480.0)]
    found = sampled(rates, Rule(lambda down: bool(down.get(0)) or down.get(1, 0) >= 2), 500)
    q, common = (
        load / (1 + load) for load in (480 / MINUTES_PER_YEAR, 0.02 * 480 / MINUTES_PER_YEAR)
    )
    exact = 1 - (1 - common) * (1 - 3 * q**2 * (1 - q) - q**3)
    assert exact == pytest.approx(3 * q**2 + common, rel=0.01)
    estimate = found.per_year(found.unserved_minutes[:, 0])
    assert estimate.low <= exact * MINUTES_PER_YEAR <= estimate.high
    assert estimate.value == pytest.approx(exact * MINUTES_PER_YEAR, rel=0.15)
