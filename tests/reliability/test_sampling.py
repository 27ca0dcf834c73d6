"""Sampling of failures on stand-ins for the cascade whose answers are known exactly."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from finance.standins import Rule, sampled, unavailability
from hypothesis import given
from hypothesis import strategies as st

from planner.errors import InputError
from planner.reliability.estimates import BLOCK, Estimate, Spread, half_width, student_975
from planner.reliability.monte_carlo import SAMPLES, _shared_out
from planner.reliability.occurrences import MINUTES_PER_YEAR, Occurrences, SourceRate
from planner.reliability.sampling import Process

ONE = [SourceRate("a", 1, 4.0, 600.0)]
PAIR = [SourceRate("a", 1, 4.0, 600.0), SourceRate("b", 1, 2.0, 1440.0)]
FIVE = [SourceRate("unit", 5, 10.0, 1440.0)]
#: A pair that matters among many things that do not.
CROWD = [
    *(SourceRate(name, 1, 1.0, 600.0) for name in "ab"),
    *(SourceRate(f"other-{i}", 1, 2.0, 1000.0) for i in range(12)),
]


def both(down: dict[int, int]) -> bool:
    """Whether the first two sources are down."""
    return bool(down.get(0) and down.get(1))


CASES = {
    "one": (ONE, Rule(lambda down: bool(down.get(0)))),
    "pair": (PAIR, Rule(both)),
    "pair without failure biasing": (PAIR, Rule(both, biased=False)),
    "3 of 5": (FIVE, Rule(lambda down: down.get(0, 0) >= 3)),
    "pair in a crowd": (CROWD, Rule(both)),
    "busy": (
        [SourceRate(f"n{i}", 1, 12.0, 2000.0) for i in range(8)],
        Rule(lambda down: sum(down.values()) >= 3),
    ),
}


def minutes_a_year(found: Occurrences) -> Estimate:
    """Unserved minutes of the only tier."""
    return found.per_year(found.unserved_minutes[:, 0])


@pytest.mark.parametrize("name", CASES)
def test_mean_over_seeds_is_that_of_all_states(name: str) -> None:
    rates, rule = CASES[name]
    exact = MINUTES_PER_YEAR * unavailability(rates, rule)
    values = [minutes_a_year(sampled(rates, rule, 160, seed)).value for seed in range(16)]
    error = np.std(values, ddof=1) / np.sqrt(len(values))
    assert abs(np.mean(values) - exact) < 3.5 * error
    assert error < 0.08 * exact


@pytest.mark.parametrize("name", ["one", "pair", "3 of 5"])
def test_intervals_hold_the_true_value_as_often_as_they_say(name: str) -> None:
    rates, rule = CASES[name]
    exact = MINUTES_PER_YEAR * unavailability(rates, rule)
    found = [minutes_a_year(sampled(rates, rule, 160, seed)) for seed in range(40)]
    held = sum(one.low <= exact <= one.high for one in found)
    # 38 of 40 are to be expected; fewer than 33 have a probability of 0.3 % at 95 %.
    assert held >= 33


@pytest.mark.parametrize("name", ["pair", "busy"])
def test_samples_drawn_in_one_step_equal_those_of_two(name: str) -> None:
    rates, rule = CASES[name]
    at_once = sampled(rates, rule, 10, 3)
    # One more than the fewest leaves nothing to allot, but has to wait for the pilot.
    in_steps = sampled(rates, rule, at_once.samples + 1, 3)
    assert in_steps.samples == at_once.samples
    assert minutes_a_year(at_once) == minutes_a_year(in_steps)
    assert np.array_equal(at_once.times_per_year, in_steps.times_per_year)
    assert np.array_equal(at_once.unserved_minutes, in_steps.unserved_minutes)


def test_sampling_tells_four_nines_from_five() -> None:
    found = {}
    for unavailable in (1e-4, 1e-5):
        # Both of two equal parts are down for the square of what one is.
        load = unavailable**0.5 / (1 - unavailable**0.5)
        rates = [SourceRate(name, 1, load * MINUTES_PER_YEAR / 300, 300.0) for name in "ab"]
        assert unavailability(rates, Rule(both)) == pytest.approx(unavailable)
        minutes = minutes_a_year(sampled(rates, Rule(both), SAMPLES))
        found[unavailable] = minutes.availability(MINUTES_PER_YEAR)
        assert found[unavailable].low <= 1 - unavailable <= found[unavailable].high
    assert found[1e-4].high < found[1e-5].low


def test_rare_losses_take_far_fewer_samples_than_naive_ones() -> None:
    rates, rule = CASES["pair in a crowd"]
    found = [sampled(rates, rule, 160, seed) for seed in range(16)]
    own = len(found[0]) * np.var([minutes_a_year(one).value for one in found], ddof=1)
    # Naive: periods drawn as they come, nearly all of which lose nothing. A year has some number of
    # them, and one varies by E[minutes²] less the square of the mean, which is next to nothing.
    periods = found[0].up_probability() * sum(one.times_per_year for one in rates)
    squares = [one.per_year(one.unserved_minutes[:, 0] ** 2).value for one in found]
    naive = periods**2 * np.mean(squares) / periods
    assert naive > 1000 * own


def test_minutes_with_anything_down_add_up() -> None:
    found = sampled(CROWD, Rule(lambda down: sum(down.values()) > 0), 600)
    up = found.up_probability()
    estimate = minutes_a_year(found)
    assert estimate.low <= MINUTES_PER_YEAR * (1 - up) <= estimate.high
    # The periods of a year: as many as first failures that find everything up.
    begins = up * sum(one.times_per_year for one in CROWD)
    periods = found.per_year(np.ones(len(found)))
    assert periods.low <= begins <= periods.high


def test_same_seed_same_bytes_whatever_the_order() -> None:
    rule = Rule(both)
    one, other = sampled(CROWD, rule, 200, 5), sampled(CROWD[::-1], rule, 200, 5)
    for name in ("times_per_year", "unserved_minutes", "number", "stratum"):
        assert getattr(one, name).tobytes() == getattr(other, name).tobytes()
    assert one.sources == other.sources and one.strata == other.strata
    third = sampled(CROWD, rule, 200, 6)
    assert one.unserved_minutes.tobytes() != third.unserved_minutes.tobytes()


def test_harmless_failures_are_not_evaluated() -> None:
    found = sampled(CROWD, Rule(both), 250)
    assert found.simulated < len(found)
    lost = found.unserved_minutes[:, 0] > 0
    assert lost.sum() <= found.simulated
    assert all({"a", "b"} <= set(one) for one, hit in zip(found.members, lost, strict=True) if hit)
    blind = sampled(CROWD, Rule(both, biased=False), 400)
    assert blind.simulated == len(blind)


def test_a_process_without_failures_loses_nothing() -> None:
    found = sampled([SourceRate("never", 1, 0.0, 60.0)], Rule(lambda _: True), 100)
    assert len(found) == 0
    assert found.up_probability() == 1.0
    assert minutes_a_year(found) == Estimate(0.0, 0.0, 0.0)


def test_bad_input_is_refused() -> None:
    with pytest.raises(InputError, match=r"leave everything up only .* of the time"):
        Process.of([SourceRate(f"n{i}", 1, 300.0, 4000.0) for i in range(9)])
    with pytest.raises(ValueError, match="samples ≥ 1"):
        sampled(ONE, Rule(both), 0)


def test_failures_beyond_the_list_widen_the_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("planner.reliability.sampling.MOST_FAILURES", 2)
    rates, rule = CASES["busy"]
    found = sampled(rates, rule, 250)
    exact = MINUTES_PER_YEAR * unavailability(rates, rule)
    estimate = minutes_a_year(found)
    assert estimate.high < exact
    assert exact <= estimate.raised(found.truncated_minutes_per_year).high


rates_drawn = st.lists(
    st.tuples(st.integers(1, 4), st.floats(0.01, 30.0), st.floats(1.0, 3000.0)),
    min_size=1,
    max_size=5,
)


@given(rates_drawn, st.integers(0, 1000))
def test_sampled_periods_begin_and_end_with_all_up(
    drawn: list[tuple[int, float, float]], number: int
) -> None:
    rates = [SourceRate(f"s{i}", *one) for i, one in enumerate(drawn)]
    process = Process.of(rates)
    strata = process.strata()
    for stratum in strata:
        period = process.draw(stratum, number, 3)
        again = process.draw(stratum, number, 3)
        assert period == again
        assert 0 <= period.start_hour < 168 and 0 <= period.phase_minutes < 1
        assert period.weight > 0 and period.failures[0].at_minute == 0.0
        assert (len(period.failures) == 1) == (stratum.source is not None)
        # Something is down until the end, and never more copies than there are.
        states = list(period.downs())
        assert len(states) == 2 * len(period.failures) - 1
        for state in states:
            assert all(n <= process.sources[s].copies for s, n in state)
    # Every failure that finds everything up begins one period.
    begins = process.up_probability * sum(one.times_per_year for one in rates)
    assert sum(one.times_per_year for one in strata) == pytest.approx(begins)


def test_weights_average_to_one() -> None:
    process = Process.of(CROWD)
    stratum = process.strata()[-1]
    favoured = np.array([1.0, 1.0, *[0.0] * 12])
    weights = [process.draw(stratum, n, 0, lambda _: favoured).weight for n in range(1600)]
    blocks = np.reshape(weights, (-1, BLOCK)).mean(axis=1)
    assert abs(np.mean(blocks) - 1) < 3.5 * np.std(blocks) / np.sqrt(len(blocks))
    second = Counter(
        process.draw(stratum, n, 0, lambda _: favoured).failures[0].source < 2 for n in range(200)
    )
    assert second[True] > 100


@given(st.lists(st.floats(0.0, 10.0), min_size=1, max_size=6), st.integers(0, 2000))
def test_samples_are_allocated_in_whole_blocks(importance: list[float], samples: int) -> None:
    least = np.full(len(importance), BLOCK)
    counts = _shared_out(np.array(importance), least, samples)
    assert (counts >= least).all() and (counts % BLOCK == 0).all()
    assert counts.sum() <= max(samples, least.sum())


def test_student_quantiles_agree_with_tables() -> None:
    # Fisher & Yates, Statistical Tables, table III, two-sided 5 %.
    for freedom, printed in (
        (1, 12.706),
        (2, 4.303),
        (3, 3.182),
        (5, 2.571),
        (10, 2.228),
        (30, 2.042),
    ):
        assert student_975(freedom) == pytest.approx(printed, rel=5e-3)


def test_spread_has_mean_and_variance_of_each_stratum() -> None:
    spread = Spread.of([np.array([1.0, 3.0]), np.array([5.0]), np.zeros(0)])
    assert spread.mean.tolist() == [2.0, 5.0, 0.0]
    assert spread.variance.tolist() == [1.0, 0.0, 0.0]
    assert half_width(np.zeros(2), np.ones(2)) == 0.0
    # Values that repeat in every block: the mean is known for certain.
    even = Spread.of([np.tile(np.arange(BLOCK, dtype=float), 6)])
    assert even.estimate() == Estimate(3.5, 3.5, 3.5)
