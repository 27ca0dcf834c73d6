"""Waiting below capacity, and the backlog whose clients time out."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from laws.exact import erlang_c
from numpy.typing import NDArray

from planner.laws.queues import QueueOutcome, competing_queue, p99_wait_seconds, waiting_probability

Floats = NDArray[np.float64]
LOADS = np.concatenate([np.linspace(0.1, 0.99, 90), [0.995, 0.999, 0.9999]])
requests = st.one_of(st.just(0.0), st.floats(0.0, 1e8))
patience = st.one_of(st.floats(0.01, 1e4), st.just(math.inf))


def step(*amounts: float | Floats) -> QueueOutcome:
    """One step of the queue from plain numbers or arrays."""
    return competing_queue(
        *np.broadcast_arrays(*(np.asarray(amount, dtype=float) for amount in amounts))
    )


def several(
    steps: int, live: Floats, stale: Floats, arriving: Floats, capacity: Floats, patience: float
) -> QueueOutcome:
    """One step cut into several."""
    good, gone, wasted = np.zeros_like(live), np.zeros_like(live), np.zeros_like(live)
    for _ in range(steps):
        part = step(live, stale, arriving / steps, capacity / steps, patience * steps)
        live, stale = part.live, part.stale
        good, gone, wasted = good + part.good, gone + part.timed_out, wasted + part.wasted
    return QueueOutcome(live, stale, good, gone, wasted)


def random_queues(count: int = 4000) -> tuple[Floats, Floats, Floats, Floats]:
    """Live, stale, arriving and capacity of queues with and without each of them."""
    rng = np.random.default_rng(7)
    before = rng.choice([0.0, 1.0], count, p=[0.3, 0.7]) * rng.uniform(0, 300, count)
    share = rng.choice([1.0, 0.5, 0.1, 0.0], count)
    arriving = rng.choice([0.0, 1.0], count, p=[0.2, 0.8]) * rng.uniform(0, 200, count)
    capacity = rng.choice([0.0, 1.0], count, p=[0.1, 0.9]) * rng.uniform(0, 400, count)
    return before * share, before * (1 - share), arriving, capacity


class TestErlang:
    def test_erlang_c_of_one_and_two_servers_has_a_closed_form(self) -> None:
        for load in (0.0, 0.1, 0.5, 0.9, 0.999):
            assert erlang_c(1, load) == pytest.approx(load, rel=1e-12)
            assert erlang_c(2, load) == pytest.approx(2 * load**2 / (1 + load), rel=1e-12)

    @pytest.mark.parametrize("servers", [3, 10, 40])
    @pytest.mark.parametrize("load", [0.3, 0.8, 0.97])
    def test_erlang_c_agrees_with_the_sum_over_states(self, servers: int, load: float) -> None:
        offered = servers * load
        busy = offered**servers / math.factorial(servers) / (1 - load)
        free = sum(offered**n / math.factorial(n) for n in range(servers))
        assert erlang_c(servers, load) == pytest.approx(busy / (busy + free), rel=1e-12)


class TestWaitingProbability:
    @pytest.mark.parametrize(
        ("servers", "bound"),
        [
            (1, 7e-4),
            (2, 1.5e-4),
            (3, 1.5e-4),
            (5, 1.5e-4),
            (10, 3e-5),
            (100, 3e-5),
            (1000, 3e-5),
            (10_000, 3e-5),
        ],
    )
    def test_waiting_probability_errs_within_its_stated_bound(
        self, servers: int, bound: float
    ) -> None:
        loads = LOADS if servers < 10_000 else LOADS[-30::4]
        exact = np.array([erlang_c(servers, float(load)) for load in loads])
        law = waiting_probability(np.full_like(loads, servers), loads)
        assert np.abs(law - exact).max() < bound

    @given(st.floats(1.0, 1e6), st.floats(0.0, 0.9999), st.floats(0.0, 1.0), st.floats(1.0, 10.0))
    def test_waiting_probability_rises_with_load_and_falls_with_servers(
        self, servers: float, load: float, towards: float, factor: float
    ) -> None:
        busier = load + towards * (1.0 - load)
        counts = np.array([servers, servers, servers * factor])
        same, more_load, more_servers = waiting_probability(counts, np.array([load, busier, load]))
        # The error of the closed form may show in the last places.
        assert 0.0 <= more_servers <= same + 1e-6
        assert same <= more_load + 1e-6 <= 1.0 + 1e-6

    def test_waiting_probability_is_0_without_load_and_1_at_capacity(self) -> None:
        law = waiting_probability(np.array([1.0, 9.0, 1e5]), np.array([[0.0], [1.0], [7.0]]))
        assert law[0] == pytest.approx(0.0, abs=1e-100)
        assert law[1:].tolist() == [[1.0] * 3] * 2

    def test_fewer_than_one_server_count_as_one(self) -> None:
        few = waiting_probability(np.array([0.0, 0.3, 1.0]), np.array(0.6))
        assert few[0] == few[1] == few[2]


class TestWaits:
    def test_wait_is_0_without_load_and_infinite_at_capacity(self) -> None:
        servers = np.array([5.0, 5.0, 5.0, 0.0, 0.0])
        load = np.array([0.0, 1.0, 1.7, 0.5, 0.0])
        waits = p99_wait_seconds(servers, load, np.array(3.0))
        assert waits.tolist() == [0.0, math.inf, math.inf, math.inf, 0.0]

    @given(st.floats(1.0, 1e5), st.floats(0.0, 0.999), st.floats(0.01, 100.0))
    def test_waits_scale_with_the_service_time(
        self, servers: float, load: float, seconds: float
    ) -> None:
        arrays = np.array([servers]), np.array([load])
        unit, scaled = (p99_wait_seconds(*arrays, np.array(each)) for each in (1.0, seconds))
        assert scaled == pytest.approx(seconds * unit, rel=1e-12)

    @given(st.floats(1.0, 1e5), st.floats(0.0, 0.999))
    def test_one_percent_of_requests_wait_longer_than_the_99th_percentile(
        self, servers: float, load: float
    ) -> None:
        arrays = np.array([servers]), np.array([load])
        wait = p99_wait_seconds(*arrays, np.array(2.0))[0]
        waits = waiting_probability(*arrays)[0]
        longer = waits * math.exp(-servers * (1 - load) * wait / 2.0)
        assert longer == pytest.approx(min(waits, 0.01), rel=1e-9)


class TestCompetingQueue:
    @given(requests, requests, requests, requests, patience)
    def test_competing_queue_conserves_requests(
        self, live: float, stale: float, arriving: float, capacity: float, patience: float
    ) -> None:
        after = step(live, stale, arriving, capacity, patience)
        there = live + stale + arriving
        close = {"rel": 1e-12, "abs": 1e-12 * there}
        for part in (after.live, after.stale, after.good, after.timed_out, after.wasted):
            assert part >= 0.0
        assert after.live + after.good + after.timed_out == pytest.approx(live + arriving, **close)
        assert after.stale + after.wasted == pytest.approx(stale + after.timed_out, **close)
        assert after.good + after.wasted == pytest.approx(min(capacity, there), **close)

    @given(requests, requests, requests)
    def test_patient_clients_all_get_useful_answers(
        self, live: float, arriving: float, capacity: float
    ) -> None:
        after = step(live, 0.0, arriving, capacity, math.inf)
        served = min(capacity, live + arriving)
        close = {"rel": 1e-9, "abs": 1e-8 * (live + arriving)}
        assert after.good == pytest.approx(served, **close)
        assert after.live == pytest.approx(live + arriving - served, **close)
        assert after.timed_out == pytest.approx(0.0, abs=1e-8 * (live + arriving))

    @given(requests, requests, st.floats(0.05, 100.0))
    def test_without_service_clients_leave_exponentially(
        self, live: float, stale: float, patience: float
    ) -> None:
        after = step(live, stale, 0.0, 0.0, patience)
        assert after.live == pytest.approx(live * math.exp(-1 / patience), rel=1e-9, abs=1e-9)
        assert after.live + after.stale == pytest.approx(live + stale)
        assert after.good == after.wasted == 0.0

    @given(st.floats(1.0, 1e6), st.floats(0.0, 1.0), st.floats(0.0, 1.0), st.floats(0.05, 100.0))
    def test_competing_queue_is_exact_at_a_constant_backlog(
        self, backlog: float, share: float, turnover: float, patience: float
    ) -> None:
        """Constant hazards: ``dQ/dt = a − (a/B + θ)·Q``."""
        flow = 3.0 * turnover * backlog
        after = step(share * backlog, (1 - share) * backlog, flow, flow, patience)
        hazard = flow / backlog + 1 / patience
        settled = flow / hazard
        live = settled + (share * backlog - settled) * math.exp(-hazard)
        assert after.live == pytest.approx(live, rel=1e-9, abs=1e-9 * backlog)
        good = flow / backlog / hazard * (share * backlog + flow - live)
        assert after.good == pytest.approx(good, rel=1e-9, abs=1e-9 * backlog)

    def test_requests_within_capacity_do_not_wait(self) -> None:
        after = step(0.0, 0.0, 80.0, 100.0, 0.1)
        assert (after.good, after.timed_out, after.wasted) == (80.0, 0.0, 0.0)

    def test_a_backlog_that_drains_sooner_loses_fewer(self) -> None:
        after = step(100.0, 0.0, 0.0, np.array([100.0, 200.0, 1000.0, 1e12]), 1.0)
        assert (after.live + after.stale).tolist() == [0.0] * 4
        assert (np.diff(after.timed_out) < 0).all()
        # Drained at a constant rate in the time t a backlog loses 1 − (1 − exp(−t))/t of it.
        exact = [100 * (1 - (1 - math.exp(-t)) / t) for t in (1.0, 0.5, 0.1)]
        assert after.timed_out[:3] == pytest.approx(exact, abs=3.6)
        assert after.timed_out[3] == pytest.approx(0.0, abs=1e-6)

    @pytest.mark.parametrize(
        ("patience", "most", "mean"),
        [(0.5, 0.07, 0.012), (1.0, 0.04, 0.007), (2.0, 0.025, 0.0035), (5.0, 0.01, 0.0015)],
    )
    def test_competing_queue_errs_within_its_stated_bound(
        self, patience: float, most: float, mean: float
    ) -> None:
        queues = random_queues()
        there = np.maximum(sum(queues[:3]), 1e-9)
        fine = several(256, *queues, patience)
        errors = []
        for steps in (1, 2):
            law = several(steps, *queues, patience)
            differences = np.abs(np.stack([law.live - fine.live, law.good - fine.good])) / there
            errors.append((differences.max(), differences.mean()))
        assert errors[0][0] < most
        assert errors[0][1] < mean
        assert errors[1][0] < 0.6 * errors[0][0]
        assert errors[1][1] < 0.5 * errors[0][1]

    @pytest.mark.parametrize("patience", [0.5, 2.0, 10.0])
    @pytest.mark.parametrize("limit", [50.0, 400.0, 5000.0])
    def test_a_full_queue_settles_at_the_share_of_live_requests(
        self, patience: float, limit: float
    ) -> None:
        """Of a pool of L, held full by drops, Q = C·patience·(L − Q)/L are live."""
        capacity = 100.0
        live, stale = np.array(0.0), np.array(limit)
        for _ in range(600):
            after = step(live, stale, capacity, capacity, patience)
            live, stale = after.live, after.stale
        settled = capacity * patience * limit / (limit + capacity * patience)
        assert settled == pytest.approx(capacity * patience * (limit - settled) / limit)
        assert live == pytest.approx(settled, rel=1e-6)
        assert live + stale == pytest.approx(limit)
        assert after.good == pytest.approx(capacity * settled / limit, rel=1e-6)
