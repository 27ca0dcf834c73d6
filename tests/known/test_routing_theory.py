"""Routing to the nearest against the transport problem.

The most that any routing can serve is a linear programme (F. L. Hitchcock, "The distribution of a
product from several sources to numerous localities", Journal of Mathematics and Physics 20 (1941)
224-230, here with the amount carried as the objective)::

    maximise Σ flow[z, k, n]
    Σ_n flow[z, k, n] ≤ demand[z, k],   Σ_{z,k} flow[z, k, n] ≤ capacity[n],   flow ≥ 0 within reach

`route` is not that programme: each zone takes the nearest target with room, as load balancers do.
These tests say where it serves as much, and how much less it can serve elsewhere.
"""

from __future__ import annotations

import numpy as np
import pulp
import pytest

from planner.laws.traffic import Routes, route

TOLERANCE = 1e-6
#: Targets that each zone reaches, nearest first.
Reach = list[list[int]]


def most_served(demand: np.ndarray, capacity: np.ndarray, reach: Reach) -> float:
    """Optimum of the transport programme for the tiers of ``demand``, shape (zones, tiers)."""
    problem = pulp.LpProblem("transport", pulp.LpMaximize)
    flows = {
        (z, k, n): problem.add_variable(f"flow_{z}_{k}_{n}", 0)
        for z, k in np.ndindex(*demand.shape)
        for n in reach[z]
    }
    problem.setObjective(pulp.lpSum(flows.values()))
    for z, k in np.ndindex(*demand.shape):
        leaving = [flow for place, flow in flows.items() if place[:2] == (z, k)]
        problem.addConstraint(pulp.lpSum(leaving) <= float(demand[z, k]), f"demand_{z}_{k}")
    for n, room in enumerate(capacity):
        coming = [flow for place, flow in flows.items() if place[2] == n]
        problem.addConstraint(pulp.lpSum(coming) <= float(room), f"capacity_{n}")
    problem.solve(pulp.getSolver("HiGHS", msg=False))
    return float(sum(flow.value() for flow in flows.values()))


def served(demand: np.ndarray, capacity: np.ndarray, reach: Reach, by_priority: bool) -> np.ndarray:
    """Requests per second that `route` serves, shape (zones, tiers)."""
    ranks = max(map(len, reach))
    order = np.array([[*targets, *([-1] * (ranks - len(targets)))] for targets in reach]).T
    routes = Routes.from_order(np.repeat(order[None], demand.shape[1], axis=0), len(capacity))
    routing = route(demand[None], capacity[None], routes, np.array([by_priority]))
    return routing.sent[0]


def instance(seed: int, zones: int = 4, tiers: int = 3, targets: int = 4):
    """Random demand and capacity of about the same size, and a random reach."""
    rng = np.random.default_rng(seed)
    demand = rng.uniform(0, 100, (zones, tiers)) * rng.integers(0, 2, (zones, tiers))
    capacity = rng.uniform(0, 1, targets)
    capacity *= demand.sum() * rng.uniform(0.5, 1.3) / capacity.sum()
    reach = [
        rng.permutation(targets)[: rng.integers(1, targets + 1)].tolist() for _ in range(zones)
    ]
    return demand, capacity, reach


def nested(seed: int) -> Reach:
    """Reach in which each zone adds targets to those of the zone before, the added ones nearest."""
    rng = np.random.default_rng(seed)
    added = [rng.permutation(group).tolist() for group in ([0, 1], [2], [3, 4, 5], [])]
    return [[n for group in added[zone::-1] for n in group] for zone in range(len(added))]


@pytest.mark.parametrize("by_priority", [True, False])
class TestAgainstTheOptimum:
    @pytest.mark.parametrize("seed", range(20))
    def test_routing_serves_at_most_the_optimum_and_at_least_half(
        self, seed: int, by_priority: bool
    ) -> None:
        """Half: a request turned away finds all its targets full, of what the optimum also has."""
        demand, capacity, reach = instance(seed)
        best = most_served(demand, capacity, reach)
        greedy = served(demand, capacity, reach, by_priority).sum()
        assert best / 2 - TOLERANCE <= greedy <= best + TOLERANCE

    @pytest.mark.parametrize("seed", range(10))
    def test_routing_is_optimal_where_every_zone_reaches_every_target(
        self, seed: int, by_priority: bool
    ) -> None:
        demand, capacity, _ = instance(seed)
        rng = np.random.default_rng(seed)
        reach = [rng.permutation(len(capacity)).tolist() for _ in demand]
        best = most_served(demand, capacity, reach)
        assert best == pytest.approx(min(demand.sum(), capacity.sum()))
        greedy = served(demand, capacity, reach, by_priority).sum()
        assert greedy == pytest.approx(best, abs=TOLERANCE)

    @pytest.mark.parametrize("seed", range(10))
    def test_routing_is_optimal_where_zones_first_fill_what_fewer_can_reach(
        self, seed: int, by_priority: bool
    ) -> None:
        """Nested reach, nearest being what the zones before do not reach.

        Take the zones up to the last one left short, and those beyond that use their targets: a
        zone goes there only when all its others are full. So what they reach is full and all other
        zones are served, which is the least cut of the network.
        """
        demand, capacity, _ = instance(seed, targets=6)
        reach = nested(seed)
        best = most_served(demand, capacity, reach)
        greedy = served(demand, capacity, reach, by_priority).sum()
        assert greedy == pytest.approx(best, abs=TOLERANCE)


class TestPriority:
    @pytest.mark.parametrize("seed", range(10))
    def test_the_first_tiers_get_their_optimum_where_every_zone_reaches_every_target(
        self, seed: int
    ) -> None:
        """The first tier alone, the first two together, and so on: each as if none came after."""
        demand, capacity, _ = instance(seed)
        rng = np.random.default_rng(seed)
        reach = [rng.permutation(len(capacity)).tolist() for _ in demand]
        by_tier = served(demand, capacity, reach, by_priority=True)
        for tiers in range(1, demand.shape[1] + 1):
            best = most_served(demand[:, :tiers], capacity, reach)
            assert by_tier[:, :tiers].sum() == pytest.approx(best, abs=TOLERANCE)


class TestWhereItServesLess:
    """The nearest target of one zone is the only one of another."""

    REACH: Reach = [[0, 1], [0]]  # noqa: RUF012
    CAPACITY = np.array([100.0, 100.0])

    def test_a_quarter_is_lost_where_both_come_alike(self) -> None:
        """They share target 0; what the first zone has left moves on, the second cannot."""
        demand = np.array([[100.0], [100.0]])
        greedy = served(demand, self.CAPACITY, self.REACH, by_priority=True)
        assert greedy[:, 0].tolist() == [100.0, 50.0]
        assert most_served(demand, self.CAPACITY, self.REACH) == pytest.approx(200.0)

    def test_half_is_lost_where_the_zone_with_the_choice_comes_first(self) -> None:
        """The least possible share of the optimum: priorities make it real."""
        demand = np.array([[100.0, 0.0], [0.0, 100.0]])
        greedy = served(demand, self.CAPACITY, self.REACH, by_priority=True)
        assert greedy.sum() == pytest.approx(100.0)
        assert most_served(demand, self.CAPACITY, self.REACH) == pytest.approx(200.0)

    def test_some_random_networks_lose_more_than_a_twentieth(self) -> None:
        """The difference is not confined to examples made for it."""
        shares = []
        for seed in range(20):
            demand, capacity, reach = instance(seed)
            best = most_served(demand, capacity, reach)
            shares.append(served(demand, capacity, reach, by_priority=True).sum() / best)
        assert min(shares) < 0.95
        assert np.mean(np.array(shares) > 1 - TOLERANCE) > 0.3
