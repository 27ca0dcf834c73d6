"""Outage tables by convolution, and what they say of a load."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import product
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import ArrayLike
from scipy.stats import binom

from planner.laws import adequacy
from planner.laws.adequacy import (
    OutageTable,
    equal_units,
    forced_outage_rate,
    mean_shortage,
    mixture,
    shortage_probability,
    shortages,
    state_table,
    together,
)

Unit = tuple[float, float]
# Sizes of which sums coincide, and sizes of which they hardly do.
sizes = st.one_of(st.integers(0, 6).map(float), st.floats(0.001, 500.0))
rates = st.one_of(st.sampled_from([0.0, 1.0]), st.floats(0.0, 1.0))
units = st.lists(st.tuples(sizes, rates), max_size=8)
some_units = st.lists(st.tuples(sizes, rates), min_size=1, max_size=8)
shares = st.lists(st.floats(0.0, 1.5), min_size=1, max_size=5)


def table_of(parts: Sequence[Unit], step: float | None = None) -> OutageTable:
    return state_table([equal_units(size, rate, 1) for size, rate in parts], step)


def alike(capacities: Iterable[float], rate: float, step: float | None = None) -> OutageTable:
    """Table of units of one forced outage rate."""
    return table_of([(capacity, rate) for capacity in capacities], step)


def loss_of_load_hours(table: OutageTable, loads: ArrayLike) -> float:
    return float(shortage_probability(table, loads).sum())


def expected_unserved(table: OutageTable, loads: ArrayLike) -> float:
    return float(mean_shortage(table, loads).sum())


def mean_out(table: OutageTable) -> float:
    return float(table.out @ table.probability)


def enumerated(parts: Sequence[Unit]) -> list[tuple[float, float]]:
    """What is available in each of the 2ⁿ states, and its probability."""
    found = []
    for up in product((False, True), repeat=len(parts)):
        states = list(zip(parts, up, strict=True))
        available = math.fsum(size for (size, _), works in states if works)
        found.append(
            (available, math.prod(1 - rate if works else rate for (_, rate), works in states))
        )
    return found


def loads_of(parts: Sequence[Unit], of_installed: Sequence[float]) -> list[float]:
    installed = sum(size for size, _ in parts)
    return [share * installed + 0.0007 for share in of_installed]


class TestTable:
    @given(units, shares)
    def test_table_agrees_with_enumeration_of_all_states(
        self, parts: list[Unit], of_installed: list[float]
    ) -> None:
        table, loads = table_of(parts), loads_of(parts, of_installed)
        states = enumerated(parts)
        hours = sum(p for load in loads for have, p in states if load > have + 1e-6)
        unserved = sum(p * max(0.0, load - have) for load in loads for have, p in states)
        close = min((abs(load - have) for load in loads for have, _ in states), default=1.0) > 1e-6
        if close:
            assert loss_of_load_hours(table, loads) == pytest.approx(hours, abs=1e-12)
        assert expected_unserved(table, loads) == pytest.approx(unserved, rel=1e-9, abs=1e-9)
        assert table.probability.sum() == pytest.approx(1.0)
        assert mean_out(table) == pytest.approx(math.fsum(s * r for s, r in parts), abs=1e-9)

    @given(units, st.randoms(use_true_random=False))
    def test_order_of_units_is_irrelevant(self, parts: list[Unit], random: Random) -> None:
        table, other = table_of(parts), table_of(random.sample(parts, len(parts)))
        assert table.out == pytest.approx(other.out)
        assert table.probability == pytest.approx(other.probability)

    @given(units, st.floats(0.1, 50.0), shares)
    def test_perfect_unit_takes_its_capacity_off_the_load(
        self, parts: list[Unit], size: float, of_installed: list[float]
    ) -> None:
        loads = np.array(loads_of(parts, of_installed))
        more = table_of([*parts, (size, 0.0)])
        assert mean_shortage(more, loads + size) == pytest.approx(
            mean_shortage(table_of(parts), loads), rel=1e-9, abs=1e-9
        )

    @given(some_units, st.integers(0, 7), rates, shares)
    def test_worse_unit_never_helps(
        self, parts: list[Unit], which: int, rate: float, of_installed: list[float]
    ) -> None:
        which %= len(parts)
        size, before = parts[which]
        worse = [*parts[:which], (size, max(rate, before)), *parts[which + 1 :]]
        loads = loads_of(parts, of_installed)
        for measure in (loss_of_load_hours, expected_unserved):
            assert measure(table_of(worse), loads) >= measure(table_of(parts), loads) - 1e-9

    @given(units, shares)
    def test_unserved_load_lies_within_its_bounds(
        self, parts: list[Unit], of_installed: list[float]
    ) -> None:
        table, loads = table_of(parts), np.array(loads_of(parts, of_installed))
        short = mean_shortage(table, loads)
        assert (short <= loads * shortage_probability(table, loads) + 1e-6).all()
        # Jensen: no less than with the mean available all the time.
        assert (short >= loads - (table.installed - mean_out(table)) - 1e-6).all()

    def test_equal_outages_share_one_row(self) -> None:
        table = alike([0.1, 0.2, 0.3], 0.5)
        assert table.out == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6])

    def test_load_equal_to_the_remaining_capacity_is_served(self) -> None:
        table = alike([0.1] * 10, 0.1)
        assert loss_of_load_hours(table, [0.1 * 9]) == pytest.approx(1 - 0.9**10 - 0.9**9)

    def test_no_units_serve_nothing(self) -> None:
        table = alike([], 0.1)
        assert loss_of_load_hours(table, [0.0, 5.0]) == 1.0
        assert expected_unserved(table, [0.0, 5.0]) == 5.0

    def test_rare_outages_keep_their_digits(self) -> None:
        table = alike([1.0] * 12, 1e-4)
        assert expected_unserved(table, [4.0]) == pytest.approx(
            sum(
                math.comb(12, k) * 1e-4**k * (1 - 1e-4) ** (12 - k) * (k - 8) for k in range(9, 13)
            ),
            rel=1e-9,
        )

    def test_many_equal_units_agree_with_the_binomial_law(self) -> None:
        table = state_table([equal_units(1.0, 0.01, 5000)])
        assert mean_out(table) == pytest.approx(50.0)
        at_least_50 = binom.sf(49, 5000, 0.01)
        assert loss_of_load_hours(table, [4951.0]) == pytest.approx(at_least_50, rel=1e-9)

    def test_table_agrees_with_a_sample(self) -> None:
        """200,000 states of ten units: within four standard errors."""
        rng = np.random.default_rng(7)
        capacity = np.array([50.0, 40.0, 40.0, 30.0, 25.0, 20.0, 12.5, 12.5, 10.0, 5.0])
        outage = np.linspace(0.02, 0.2, 10)
        have = (rng.random((200_000, 10)) >= outage) @ capacity
        short = np.maximum(190.0 - have, 0.0)
        table = table_of(list(zip(capacity, outage, strict=True)))
        for exact, sample in (
            (loss_of_load_hours(table, [190.0]), short > 0),
            (expected_unserved(table, [190.0]), short),
        ):
            assert abs(sample.mean() - exact) < 4 * sample.std() / math.sqrt(len(sample))


class TestGrid:
    @given(some_units, st.floats(0.01, 1.0), shares)
    def test_grid_keeps_the_mean_and_never_understates_the_shortage(
        self, parts: list[Unit], share: float, of_installed: list[float]
    ) -> None:
        exact = table_of(parts)
        step = max(share * exact.installed, 0.01)
        table, loads = table_of(parts, step), loads_of(parts, of_installed)
        assert len(table.out) <= exact.installed / step + 2
        assert table.out.max() <= exact.installed * (1 + 1e-9)
        assert mean_out(table) == pytest.approx(mean_out(exact), rel=1e-9, abs=1e-9)
        assert expected_unserved(table, loads) >= expected_unserved(exact, loads) - 1e-6

    def test_grid_that_holds_every_capacity_is_exact(self) -> None:
        exact, table = alike([3, 3, 5], 0.02), alike([3, 3, 5], 0.02, 1.0)
        assert table.out.tolist() == exact.out.tolist()
        assert table.probability == pytest.approx(exact.probability)

    def test_grid_keeps_the_table_of_hundreds_of_units_small(self) -> None:
        capacity = np.random.default_rng(3).uniform(5, 50, 300)
        table = alike(capacity, 0.05, 5.0)
        spread = math.sqrt((capacity**2 * 0.05 * 0.95).sum())
        moment = table.probability @ (table.out - mean_out(table)) ** 2
        assert len(table.out) <= capacity.sum() / 5 + 2
        assert math.sqrt(moment) == pytest.approx(spread, rel=0.02)


class TestStates:
    def test_three_states_agree_with_enumeration(self) -> None:
        out, share = np.array([0.0, 20.0, 50.0]), np.array([0.960, 0.033, 0.007])
        table = state_table([(out, share), equal_units(25.0, 0.02, 2)])
        short = 0.0
        for one, p in zip(out, share, strict=True):
            for down, q in ((0, 0.9604), (1, 0.0392), (2, 0.0004)):
                short += p * q * max(0.0, 70.0 - (100.0 - one - 25.0 * down))
        assert expected_unserved(table, [70.0]) == pytest.approx(short)

    @given(units, units, shares)
    def test_tables_convolved_are_the_table_of_all_units(
        self, some: list[Unit], others: list[Unit], of_installed: list[float]
    ) -> None:
        loads = loads_of([*some, *others], of_installed)
        joint = together([table_of(some), table_of(others)])
        assert expected_unserved(joint, loads) == pytest.approx(
            expected_unserved(table_of([*some, *others]), loads), rel=1e-9, abs=1e-9
        )

    @given(units, st.floats(0.0, 1.0), shares)
    def test_mixture_is_the_weighted_mean_of_its_tables(
        self, parts: list[Unit], weight: float, of_installed: list[float]
    ) -> None:
        loads = loads_of(parts, of_installed)
        two = [table_of(parts), table_of([(size, 1.0) for size, _ in parts])]
        mixed = expected_unserved(mixture(two, [weight, 1 - weight]), loads)
        apart = [expected_unserved(table, loads) for table in two]
        assert mixed == pytest.approx(weight * apart[0] + (1 - weight) * apart[1], abs=1e-6)

    @given(units, units, shares)
    def test_shortage_becomes_the_load_of_the_units_behind(
        self, first: list[Unit], behind: list[Unit], of_installed: list[float]
    ) -> None:
        loads = loads_of([*first, *behind], of_installed)
        for load in loads:
            left, share = shortages(table_of(first), [load], [1.0])
            both = float(share @ mean_shortage(table_of(behind), left))
            assert both == pytest.approx(
                expected_unserved(table_of([*first, *behind]), [load]), rel=1e-8, abs=1e-8
            )

    def test_shortage_on_a_grid_keeps_the_mean(self) -> None:
        table = alike([7.0, 5.0, 3.0], 0.2)
        exact, coarse = (shortages(table, [14.5, 9.0], [0.3, 0.7], step) for step in (None, 2.0))
        assert coarse[0] @ coarse[1] == pytest.approx(exact[0] @ exact[1])
        assert set(coarse[0]) <= {0.0, 2.0, 4.0, 6.0, 8.0, 10.0, 12.0, 14.0, 14.5}


class TestForcedOutageRate:
    @given(st.floats(0.0, 1e5), st.floats(0.0, 8784.0))
    def test_forced_outage_rate_is_a_probability(self, failures: float, hours: float) -> None:
        rate = forced_outage_rate(failures, hours)
        assert 0 <= rate < 1
        # Hours down a year, of those in which the unit is in operation or down.
        assert rate * 8760 == pytest.approx((1 - rate) * failures * hours, rel=1e-9)

    def test_every_problem_of_a_rate_is_reported(self) -> None:
        with pytest.raises(ValueError, match=r"failures a year ≥ 0.*-1.*hours ≥ 0.*nan"):
            forced_outage_rate(-1.0, math.nan)


class TestBadInput:
    def test_every_problem_of_units_is_reported(self) -> None:
        with pytest.raises(ValueError, match=r"capacity.*-1.*rate in \[0, 1\].*1\.5"):
            equal_units(-1.0, 1.5, 2)

    def test_every_problem_of_equal_units_is_reported(self) -> None:
        with pytest.raises(ValueError, match=r"capacity.*inf.*rate.*nan.*units ≥ 0, got -3"):
            equal_units(math.inf, math.nan, -3)

    @pytest.mark.parametrize("rate", [math.nan, -0.1, math.inf])
    def test_rates_out_of_range_are_refused(self, rate: float) -> None:
        with pytest.raises(ValueError, match=r"rate in \[0, 1\]"):
            alike([1.0], rate)

    @pytest.mark.parametrize("step", [0.0, -1.0, math.nan, math.inf])
    def test_wrong_steps_are_refused(self, step: float) -> None:
        with pytest.raises(ValueError, match="step > 0"):
            alike([1.0], 0.1, step)

    def test_wrong_states_are_refused(self) -> None:
        wrong = (np.array([0.0, -1.0]), np.array([0.5, 0.6]))
        with pytest.raises(ValueError, match=r"finite in unit 1.*unit 1 to add up.*unit 2"):
            state_table([equal_units(1.0, 0.1, 1), wrong, (np.zeros(0), np.zeros(0))])

    @pytest.mark.parametrize(
        ("load", "words"), [([], "at least one hour"), ([1, -2, math.nan], "got -2, nan")]
    )
    def test_wrong_loads_are_refused(self, load: list[float], words: str) -> None:
        table = alike([1.0], 0.1)
        for measure in (shortage_probability, mean_shortage):
            with pytest.raises(ValueError, match=words):
                measure(table, load)

    def test_wrong_mixtures_are_refused(self) -> None:
        tables = [alike([1.0], 0.1), alike([2.0], 0.1)]
        with pytest.raises(ValueError, match=r"one installed capacity.*adding up to 1"):
            mixture(tables, [0.5, 0.6])
        with pytest.raises(ValueError, match="adding up to 1"):
            shortages(tables[0], [1.0], [0.5])

    def test_too_many_states_are_refused_with_advice_to_set_a_step(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(adequacy, "MOST_STATES", 10_000)
        capacity = np.sqrt(np.arange(2.0, 42.0))
        with pytest.raises(ValueError, match=r"at most 10,000 .*step"):
            alike(capacity, 0.1)
        with pytest.raises(ValueError, match=r"at most 10,000 .*step"):
            alike(capacity, 0.1, 1e-3)
        assert mean_out(alike(capacity, 0.1, 0.5)) == pytest.approx(capacity.sum() * 0.1)
