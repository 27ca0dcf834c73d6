"""Queueing laws against theory, published examples and discrete events.

Sources: M/M/1 and M/M/c, R. B. Cooper, "Introduction to Queueing Theory", 2nd ed., North Holland
1981; fluid limits, G. F. Newell, "Applications of Queueing Theory", 2nd ed., Chapman and Hall 1982,
chapter 2; abandonment, W. Whitt, "Fluid models for multiserver queues with abandonments",
Operations Research 54 (2006) 37-54.
"""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from laws.exact import erlang_c
from laws.written import dropped_of

from planner.laws.queues import QueueOutcome, competing_queue, p99_wait_seconds, waiting_probability


def one(value: float) -> np.ndarray:
    """Array of one scenario."""
    return np.array([value])


def mean_wait_seconds(servers: float, load: float, service: float) -> float:
    """Mean wait before service in M/M/c: ``P(wait)·s/(c·(1 − ρ))``."""
    waits = waiting_probability(one(servers), one(load))[0]
    return float(waits * service / (servers * (1 - load)))


class TestOneServer:
    @pytest.mark.parametrize("load", [0.1, 0.5, 0.8, 0.95, 0.999])
    def test_one_server_agrees_with_closed_forms(self, load: float) -> None:
        """M/M/1: P(wait) = ρ, Wq = ρ/(μ − λ), P(W > t) = ρ·exp(−(μ − λ)·t)."""
        service = 0.25
        rate = 1 / service
        arrivals = load * rate
        assert waiting_probability(one(1.0), one(load))[0] == pytest.approx(load, abs=7e-4)
        wait = mean_wait_seconds(1.0, load, service)
        assert wait == pytest.approx(load / (rate - arrivals), rel=0.007)
        slowest = p99_wait_seconds(one(1.0), one(load), one(service))[0]
        exact = math.log(load / 0.01) / (rate - arrivals)
        assert slowest == pytest.approx(exact, rel=0.003)


class TestPublished:
    """Worked examples of Erlang C from call centres.

    Tanner: 360 calls in half an hour of 4 minutes each and 55 agents: 23.9 % wait, 8.2 s in the
    mean (M. Tanner, "The Erlang-C formula", mitan.co.uk). Call Centre Helper: 100 calls in half an
    hour of 3 minutes each and 14 agents: 17.4 % wait, 7.8 s in the mean, 88.8 % are answered within
    20 s ("Erlang C formula, made simple with an easy worked example", callcentrehelper.com).
    """

    EXAMPLES = (
        (55, 360, 240.0, 0.239, 8.2),
        (14, 100, 180.0, 0.174, 7.8),
    )

    @pytest.mark.parametrize(("agents", "calls", "seconds", "waits", "mean"), EXAMPLES)
    def test_law_and_recursion_give_the_printed_values(
        self, agents: int, calls: int, seconds: float, waits: float, mean: float
    ) -> None:
        load = calls * seconds / 1800 / agents
        assert erlang_c(agents, load) == pytest.approx(waits, abs=0.0005)
        assert waiting_probability(one(agents), one(load))[0] == pytest.approx(waits, abs=0.0005)
        wait = mean_wait_seconds(agents, load, seconds)
        assert wait == pytest.approx(mean, abs=0.05)

    def test_service_level_agrees_with_the_printed_one(self) -> None:
        agents, load, seconds = 14, 10 / 14, 180.0
        late = erlang_c(agents, load) * math.exp(-agents * (1 - load) * 20 / seconds)
        assert 1 - late == pytest.approx(0.888, abs=0.0005)


def simulated_waits(servers: int, load: float, requests: int, seed: int) -> np.ndarray:
    """Waits of M/M/c, first come first served, service time 1, by discrete events."""
    rng = np.random.default_rng(seed)
    arrivals = np.cumsum(rng.exponential(1 / (servers * load), requests)).tolist()
    services = rng.exponential(1.0, requests).tolist()
    free = [0.0] * servers
    waits = []
    for arrival, service in zip(arrivals, services, strict=True):
        start = max(arrival, free[0])
        heapq.heapreplace(free, start + service)
        waits.append(start - arrival)
    return np.array(waits[requests // 20 :])


class TestManyServers:
    @pytest.mark.parametrize(("servers", "load"), [(1, 0.7), (4, 0.8), (30, 0.9)])
    def test_waits_agree_with_a_simulation_of_many_servers(self, servers: int, load: float) -> None:
        waits = simulated_waits(servers, load, 400_000, seed=11)
        arrays = one(servers), one(load)
        share = (waits > 0).mean()
        assert waiting_probability(*arrays)[0] == pytest.approx(share, abs=0.015)
        mean = mean_wait_seconds(servers, load, 1.0)
        assert waits.mean() == pytest.approx(mean, rel=0.05)
        slowest = p99_wait_seconds(*arrays, one(1.0))[0]
        assert np.quantile(waits, 0.99) == pytest.approx(slowest, rel=0.05)


def full_pool_step(
    live: np.ndarray,
    stale: np.ndarray,
    arriving: float,
    capacity: float,
    limit: float,
    patience: float,
) -> tuple[QueueOutcome, float]:
    """One step of a pool that turns away what finds it full, and what it turned away."""
    unserved = np.maximum(live + stale + arriving - capacity, 0.0)
    dropped = dropped_of(unserved[:, None], np.array([[arriving]]), limit).sum()
    joined = one(arriving - dropped)
    return competing_queue(live, stale, joined, one(capacity), one(patience)), dropped


class TestFluidLimits:
    """λ requests arrive and μ can be served in each step."""

    @pytest.mark.parametrize(("arrivals", "capacity"), [(170.0, 50.0), (120.0, 0.0)])
    def test_overload_fills_the_queue_linearly_and_then_drops_the_excess(
        self, arrivals: float, capacity: float
    ) -> None:
        """B = (λ − μ)·t up to the limit, then λ − μ is turned away."""
        excess, limit = arrivals - capacity, 1000.0
        live, stale = one(0.0), one(0.0)
        for minute in range(1, 15):
            after, dropped = full_pool_step(live, stale, arrivals, capacity, limit, math.inf)
            live, stale = after.live, after.stale
            assert live[0] == pytest.approx(min(limit, excess * minute))
            over = min(excess, max(0.0, excess * minute - limit))
            assert dropped == pytest.approx(over, abs=1e-9)
            assert after.good[0] == pytest.approx(capacity)
            assert after.timed_out[0] == pytest.approx(0.0, abs=1e-9)

    @pytest.mark.parametrize("spare", [7.0, 50.0, 333.0])
    def test_a_backlog_drains_in_its_size_over_the_spare_capacity(self, spare: float) -> None:
        live, stale, steps, arrivals = one(1000.0), one(0.0), 0, 80.0
        while live[0] > 0:
            after = competing_queue(
                live, stale, one(arrivals), one(arrivals + spare), one(math.inf)
            )
            live, stale = after.live, after.stale
            steps += 1
        assert steps == math.ceil(1000.0 / spare)

    @pytest.mark.parametrize("patience", [1.0, 5.0, 60.0])
    @pytest.mark.parametrize("start", [0.0, 1e5])
    def test_time_outs_settle_where_they_equal_the_arrivals_of_a_dead_pool(
        self, patience: float, start: float
    ) -> None:
        """Without service λ = Q/patience, from below and from above, whatever lies there stale."""
        arrivals, live = 120.0, one(start)
        stale = one(0.0)
        for _ in range(40 * int(patience) + 4000):
            after = competing_queue(live, stale, one(arrivals), one(0.0), one(patience))
            live, stale = after.live, after.stale
        assert live[0] == pytest.approx(arrivals * patience, rel=2e-3)
        assert after.timed_out[0] == pytest.approx(arrivals, rel=2e-3)

    def test_a_full_pool_wastes_the_share_of_its_work_that_is_stale(self) -> None:
        """Overloaded for long, Q = μ·patience·Z/L live and Z stale share the limit L."""
        capacity, limit, patience = 100.0, 600.0, 2.0
        live, stale = one(0.0), one(0.0)
        for _ in range(200):
            after, _ = full_pool_step(live, stale, 150.0, capacity, limit, patience)
            live, stale = after.live, after.stale
        assert live[0] + stale[0] == pytest.approx(limit)
        assert live[0] == pytest.approx(capacity * patience * stale[0] / limit, rel=1e-6)
        assert after.wasted[0] == pytest.approx(capacity * stale[0] / limit, rel=1e-6)


@dataclass(frozen=True)
class Pool:
    """A server pool: capacity and arrivals by step, mean patience in steps, most that may wait."""

    capacity: Sequence[float]
    arriving: Sequence[float]
    patience: float
    limit: float


def by_events(pool: Pool, seed: int) -> np.ndarray:
    """Good, wasted and dropped by step; random service, clients who go leave their request."""
    rng = random.Random(seed)
    done = np.zeros((len(pool.capacity), 3))
    gone_at: list[float] = []
    for number, (capacity, arriving) in enumerate(zip(pool.capacity, pool.arriving, strict=True)):
        now = float(number)
        while True:
            # Exponential times have no memory, so both may be drawn anew after each event.
            rate = arriving + (capacity if gone_at else 0.0)
            now += rng.expovariate(rate) if rate > 0 else math.inf
            if now >= number + 1:
                break
            if rng.random() * rate < arriving:
                if len(gone_at) < pool.limit:
                    gone_at.append(now + rng.expovariate(1 / pool.patience))
                else:
                    done[number, 2] += 1
                continue
            chosen = rng.randrange(len(gone_at))
            gone_at[chosen], gone_at[-1] = gone_at[-1], gone_at[chosen]
            done[number, 0 if gone_at.pop() > now else 1] += 1
    return done


def by_law(pool: Pool) -> np.ndarray:
    """The same from the law."""
    live, stale, rows = one(0.0), one(0.0), []
    for capacity, arriving in zip(pool.capacity, pool.arriving, strict=True):
        after, dropped = full_pool_step(live, stale, arriving, capacity, pool.limit, pool.patience)
        rows.append([after.good[0], after.wasted[0], dropped])
        live, stale = after.live, after.stale
    return np.array(rows)


OVERLOAD = [12e3] * 6 + [4e3] * 10
POOLS = {
    "overload and recovery": Pool([8e3] * 16, OVERLOAD, 1.5, 1e9),
    "impatient": Pool([8e3] * 16, OVERLOAD, 0.5, 1e9),
    "patient": Pool([8e3] * 16, OVERLOAD, 8.0, 1e9),
    "short of room": Pool([8e3] * 16, OVERLOAD, 1.5, 10e3),
    "outage": Pool([8e3] * 2 + [0.0] * 3 + [10e3] * 11, [6e3] * 16, 2.0, 1e9),
}


class TestWastedWork:
    """The law against a discrete-event pool of one fast server."""

    @pytest.mark.parametrize("name", POOLS)
    def test_good_and_wasted_work_agree_with_simulated_clients(self, name: str) -> None:
        pool = POOLS[name]
        events, law = by_events(pool, seed=3), by_law(pool)
        total = events.sum(axis=0)
        assert total[1] > 0.05 * total[0]
        assert law.sum(axis=0)[:2] == pytest.approx(total[:2], rel=0.04)
        # Step by step, as a share of what the pool can do.
        assert np.abs(law - events).max() < 0.08 * max(pool.capacity)
