"""Routing, thermal limits of tiers, rationing, full queues, classes of impact."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from laws.written import dropped_of, rationed
from numpy.typing import NDArray

from planner.laws.traffic import (
    IMPACTS,
    Routes,
    Routing,
    impact,
    route,
    served_fraction,
    serving_rps,
)

Floats = NDArray[np.float64]
TOLERANCE = 1e-6
#: Both scenarios of a network with priorities in force.
ORDERED = np.array([True, True])


def routes_of(order: list[list[list[int]]], targets: int) -> Routes:
    """Routes from target lists by tier and zone, padded with −1."""
    longest = max((len(one) for tier in order for one in tier), default=0) or 1
    padded = [[[*one, *([-1] * (longest - len(one)))] for one in tier] for tier in order]
    return Routes.from_order(np.array(padded, dtype=np.int64).transpose(0, 2, 1), targets)


@st.composite
def networks(draw: st.DrawFn, single_reach: bool = False) -> tuple[Floats, Floats, Routes]:
    """Whole demand (2 scenarios, zones, tiers), whole capacity (2, targets), and routes."""
    zones, tiers, targets = (draw(st.integers(1, most)) for most in (3, 3, 4))
    amounts = st.integers(0, 100)
    demand = draw(st.lists(amounts, min_size=2 * zones * tiers, max_size=2 * zones * tiers))
    capacity = draw(st.lists(amounts, min_size=2 * targets, max_size=2 * targets))
    reach = st.lists(
        st.integers(0, targets - 1), unique=True, max_size=1 if single_reach else targets
    )
    order = [[draw(reach) for _ in range(zones)] for _ in range(tiers)]
    return (
        np.reshape(np.array(demand, dtype=float), (2, zones, tiers)),
        np.reshape(np.array(capacity, dtype=float), (2, targets)),
        routes_of(order, targets),
    )


def served(routing: Routing) -> Floats:
    """Requests per second that found a target, shape (scenarios, zones, tiers)."""
    return routing.sent


def assert_flows_lead_to_targets(
    routing: Routing, routes: Routes, allowed: NDArray[np.bool_] | None = None
) -> None:
    """Whether every flow leads to a target within reach that may be used."""
    for s, tier, zone, target in np.argwhere(routing.flows > 0):
        assert target in routes.order[tier, :, zone]
        assert allowed is None or allowed[tier, s, target]


def most_served(demand: Floats, capacity: Floats, routes: Routes) -> float:
    """Transport optimum of one scenario, as a largest flow."""
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(["source", "sink"])
    zones, tiers = demand.shape
    for z in range(zones):
        for k in range(tiers):
            graph.add_edge("source", f"demand {z} {k}", capacity=int(demand[z, k]))
            for target in routes.order[k, :, z]:
                if target >= 0:
                    graph.add_edge(f"demand {z} {k}", f"target {target}")
    for target, room in enumerate(capacity):
        graph.add_edge(f"target {target}", "sink", capacity=int(room))
    return float(nx.maximum_flow_value(graph, "source", "sink"))


class TestRoute:
    @given(networks())
    def test_routing_keeps_demand_and_capacity_and_conserves_requests(
        self, network: tuple[Floats, Floats, Routes]
    ) -> None:
        demand, capacity, routes = network
        routing = route(demand, capacity, routes, ORDERED)
        assert (routing.flows >= 0).all()
        assert (routing.load <= capacity + TOLERANCE).all()
        assert (served(routing) <= demand + TOLERANCE).all()
        assert_flows_lead_to_targets(routing, routes)

    @given(networks())
    def test_no_request_is_turned_away_from_a_target_with_room(
        self, network: tuple[Floats, Floats, Routes]
    ) -> None:
        demand, capacity, routes = network
        routing = route(demand, capacity, routes, ORDERED)
        left, room = demand - served(routing), capacity - routing.load
        for scenario, zone, tier in np.argwhere(left > TOLERANCE):
            reach = routes.order[tier, :, zone]
            assert (room[scenario, reach[reach >= 0]] <= TOLERANCE).all()

    @given(networks())
    def test_lower_priorities_take_nothing_from_higher_ones(
        self, network: tuple[Floats, Floats, Routes]
    ) -> None:
        demand, capacity, routes = network
        alone = demand.copy()
        alone[:, :, 1:] = 0.0
        together = served(route(demand, capacity, routes, ORDERED))[:, :, 0]
        assert together == pytest.approx(
            served(route(alone, capacity, routes, ORDERED))[:, :, 0], abs=1e-6
        )

    @given(networks(), st.integers(0, 3), st.integers(0, 100))
    def test_more_capacity_never_serves_a_tier_less(
        self, network: tuple[Floats, Floats, Routes], target: int, more: int
    ) -> None:
        demand, capacity, routes = network
        larger = capacity.copy()
        larger[:, target % capacity.shape[1]] += more
        before = served(route(demand, capacity, routes, ORDERED))
        assert (served(route(demand, larger, routes, ORDERED)) >= before - TOLERANCE).all()

    @given(networks(single_reach=True))
    def test_routing_is_optimal_where_each_zone_reaches_one_target(
        self, network: tuple[Floats, Floats, Routes]
    ) -> None:
        """For all tiers together and, since they come first, for the upper tiers alone."""
        demand, capacity, routes = network
        flows = served(route(demand, capacity, routes, ORDERED))
        for scenario in range(len(demand)):
            for tiers in range(1, demand.shape[2] + 1):
                upper = demand[scenario].copy()
                upper[:, tiers:] = 0.0
                best = most_served(upper, capacity[scenario], routes)
                assert flows[scenario, :, :tiers].sum() == pytest.approx(best, abs=TOLERANCE)

    @given(networks())
    def test_routing_never_exceeds_the_transport_optimum(
        self, network: tuple[Floats, Floats, Routes]
    ) -> None:
        demand, capacity, routes = network
        flows = served(route(demand, capacity, routes, ORDERED))
        for scenario in range(len(demand)):
            best = most_served(demand[scenario], capacity[scenario], routes)
            assert flows[scenario].sum() <= best + TOLERANCE

    def test_routing_can_fall_short_of_the_optimum_where_reach_overlaps(self) -> None:
        """Load balancers send to the nearest; the first zone takes what only the second can use.

        The optimum serves all 200 requests: the first zone from target 1, the second from 0.
        """
        demand = np.array([[[100.0], [100.0]]])
        routing = route(
            demand, np.array([[100.0, 100.0]]), routes_of([[[0, 1], [0]]], 2), ORDERED[:1]
        )
        assert served(routing)[0, :, 0].tolist() == [100.0, 50.0]
        assert routing.load.tolist() == [[100.0, 50.0]]

    def test_zones_share_the_last_capacity_in_proportion_to_demand(self) -> None:
        demand = np.array([[[30.0], [90.0]]])
        routing = route(demand, np.array([[60.0]]), routes_of([[[0], [0]]], 1), ORDERED[:1])
        assert served(routing)[0, :, 0].tolist() == [15.0, 45.0]

    def test_zones_prefer_their_first_target_and_spill_to_the_next(self) -> None:
        demand = np.array([[[100.0]]])
        routing = route(demand, np.array([[70.0, 50.0]]), routes_of([[[1, 0]]], 2), ORDERED[:1])
        assert routing.load.tolist() == [[50.0, 50.0]]

    @given(networks(), st.floats(0.0, 1.0))
    def test_requests_served_are_the_fitting_share_of_those_sent(
        self, network: tuple[Floats, Floats, Routes], share: float
    ) -> None:
        demand, capacity, routes = network
        routing = route(demand, capacity, routes, ORDERED)
        fits = np.full_like(capacity, share)
        assert routing.served_at(fits) == pytest.approx(share * served(routing))


class TestWithoutPriorities:
    ALIKE = np.array([False, False])

    @given(networks())
    def test_equal_priorities_keep_demand_and_capacity_and_leave_no_usable_room(
        self, network: tuple[Floats, Floats, Routes]
    ) -> None:
        demand, capacity, routes = network
        routing = route(demand, capacity, routes, self.ALIKE)
        assert (routing.load <= capacity + TOLERANCE).all()
        assert_flows_lead_to_targets(routing, routes)
        assert (served(routing) <= demand + TOLERANCE).all()
        left, room = demand - served(routing), capacity - routing.load
        for scenario, zone, tier in np.argwhere(left > TOLERANCE):
            reach = routes.order[tier, :, zone]
            assert (room[scenario, reach[reach >= 0]] <= TOLERANCE).all()

    @given(networks(), st.permutations([0, 1, 2]))
    def test_the_order_of_tiers_does_not_matter(
        self, network: tuple[Floats, Floats, Routes], order: list[int]
    ) -> None:
        demand, capacity, routes = network
        mixed = [tier for tier in order if tier < demand.shape[2]]
        other = Routes(routes.order[mixed], routes.targets, routes.level[mixed])
        flows = served(route(demand, capacity, routes, self.ALIKE))
        swapped = served(route(demand[:, :, mixed], capacity, other, self.ALIKE))
        assert swapped == pytest.approx(flows[:, :, mixed], abs=TOLERANCE)

    @given(networks())
    def test_tiers_that_reach_the_same_get_equal_shares(
        self, network: tuple[Floats, Floats, Routes]
    ) -> None:
        demand, capacity, routes = network
        one = np.repeat(routes.order[:1], demand.shape[2], axis=0)
        same = Routes.from_order(one, capacity.shape[1])
        flows = served(route(demand, capacity, same, self.ALIKE))
        totals = demand.sum(axis=2, keepdims=True)
        share = np.divide(
            flows.sum(axis=2, keepdims=True), totals, out=np.zeros_like(totals), where=totals > 0
        )
        assert flows == pytest.approx(demand * share, abs=TOLERANCE)

    @given(networks())
    def test_scenarios_with_and_without_priorities_are_routed_together(
        self, network: tuple[Floats, Floats, Routes]
    ) -> None:
        demand, capacity, routes = network
        mixed = served(route(demand, capacity, routes, np.array([True, False])))
        ordered, alike = (
            served(route(demand, capacity, routes, np.full(2, flag))) for flag in (True, False)
        )
        assert mixed[0] == pytest.approx(ordered[0], abs=1e-9)
        assert mixed[1] == pytest.approx(alike[1], abs=1e-9)

    def test_capacity_beyond_reach_does_not_hide_a_shortage(self) -> None:
        """Half of the capacity is out of reach; both tiers get half of what they want."""
        demand = np.array([[[40.0, 60.0]]])
        routes = routes_of([[[0]], [[0]]], 2)
        routing = route(demand, np.array([[50.0, 50.0]]), routes, np.array([False]))
        assert served(routing)[0, 0].tolist() == [20.0, 30.0]


@st.composite
def limited(draw: st.DrawFn) -> tuple[Floats, Floats, Routes, NDArray[np.bool_]]:
    """A network and the targets that each tier may run on, shape (tiers, 2, targets)."""
    demand, capacity, routes = draw(networks())
    size = (demand.shape[2], 2, capacity.shape[1])
    flags = draw(st.lists(st.booleans(), min_size=int(np.prod(size)), max_size=int(np.prod(size))))
    return demand, capacity, routes, np.reshape(np.array(flags), size)


class TestTargetsTooHotForATier:
    @given(limited(), st.booleans())
    def test_too_hot_targets_get_no_requests_and_all_others_are_used(
        self, data: tuple[Floats, Floats, Routes, NDArray[np.bool_]], ordered: bool
    ) -> None:
        demand, capacity, routes, allowed = data
        routing = route(demand, capacity, routes, np.full(2, ordered), allowed)
        assert_flows_lead_to_targets(routing, routes, allowed)
        assert (routing.load <= capacity + TOLERANCE).all()
        left, room = demand - served(routing), capacity - routing.load
        for scenario, zone, tier in np.argwhere(left > TOLERANCE):
            reach = routes.order[tier, :, zone]
            cool = [n for n in reach[reach >= 0] if allowed[tier, scenario, n]]
            assert (room[scenario, cool] <= TOLERANCE).all()

    @given(networks(), st.booleans())
    def test_temperature_limits_change_nothing_where_all_targets_are_cool(
        self, network: tuple[Floats, Floats, Routes], ordered: bool
    ) -> None:
        demand, capacity, routes = network
        flags = np.full(2, ordered)
        everywhere = np.ones((demand.shape[2], *capacity.shape), dtype=bool)
        free, cool = (
            route(demand, capacity, routes, flags, allowed) for allowed in (None, everywhere)
        )
        assert cool.load == pytest.approx(free.load, abs=TOLERANCE)
        assert served(cool) == pytest.approx(served(free), abs=TOLERANCE)

    def test_a_tier_leaves_a_target_too_hot_for_it_and_the_other_stays(self) -> None:
        demand = np.array([[[40.0, 60.0]]])
        routes = routes_of([[[0, 1]], [[0, 1]]], 2)
        allowed = np.array([[[False, True]], [[True, True]]])
        routing = route(demand, np.array([[100.0, 30.0]]), routes, np.array([True]), allowed)
        # Of the first tier 30 fit on the second target; the second tier is served by the first.
        assert served(routing)[0, 0].tolist() == [30.0, 60.0]
        assert routing.load.tolist() == [[60.0, 30.0]]


class TestFullQueue:
    @given(
        st.lists(st.tuples(st.floats(0, 1e6), st.floats(0, 1e6)), min_size=4, max_size=4),
        st.floats(0, 2e6),
    )
    def test_a_full_queue_drops_only_arrivals_and_no_more_than_it_must(
        self, amounts: list[tuple[float, float]], limit: float
    ) -> None:
        unserved, arriving = (np.reshape([pair[i] for pair in amounts], (2, 2)) for i in (0, 1))
        dropped = dropped_of(unserved, arriving, limit)
        assert (dropped >= 0).all()
        assert (dropped <= np.minimum(unserved, arriving) * (1 + 1e-12)).all()
        excess = max(0.0, unserved.sum() - limit)
        most = np.minimum(unserved, arriving).sum()
        assert dropped.sum() == pytest.approx(min(excess, most), abs=1e-6)

    def test_a_full_queue_drops_arrivals_as_calculated_by_hand(self) -> None:
        # 140 left of 100 that waited and 80 that arrived: 40 over the limit, one in two arrivals.
        dropped = dropped_of(np.array([[60.0, 80.0]]), np.array([[60.0, 20.0]]), 100.0)
        assert dropped.tolist() == [[30.0, 10.0]]


class TestRationing:
    @given(st.floats(0, 2), st.lists(st.floats(0, 1), min_size=1, max_size=5))
    def test_rationing_grants_all_there_is_and_no_tier_more_than_its_share(
        self, available: float, allocation: list[float]
    ) -> None:
        granted = rationed(available, np.array(allocation))
        assert (granted >= 0).all()
        assert (granted <= np.array(allocation) + 1e-15).all()
        assert granted.sum() == pytest.approx(min(available, sum(allocation)), abs=1e-9)
        # Nobody gets anything before all those ahead have theirs.
        first = np.flatnonzero(granted < np.array(allocation) - 1e-9)
        if len(first):
            assert granted[first[0] + 1 :] == pytest.approx(0.0, abs=1e-9)

    @pytest.mark.parametrize(
        ("available", "expected"),
        [(0.5, [0.4, 0.1, 0, 0]), (0.9, [0.4, 0.3, 0.2, 0]), (1.5, [0.4, 0.3, 0.2, 0.1])],
    )
    def test_rationing_grants_allocations_in_turn(
        self, available: float, expected: list[float]
    ) -> None:
        assert rationed(available, np.array([0.4, 0.3, 0.2, 0.1])) == pytest.approx(expected)

    @pytest.mark.parametrize(
        ("served", "expected"),
        [(0, 0), (1e-9, 1), (0.499, 1), (0.5, 2), (0.799, 2), (0.8, 3), (1.0, 3)],
    )
    def test_impact_classes_change_at_0_50_and_80_percent_served(
        self, served: float, expected: int
    ) -> None:
        assert impact(served) == IMPACTS[expected]


def test_serving_rate_is_linear_in_gpus_and_utilisation() -> None:
    assert serving_rps(1000, 0.97, 0.95) == pytest.approx(921.5)
    assert serving_rps(2000, 0.97, 0.475) == pytest.approx(921.5)


def test_served_fraction_is_1_without_demand() -> None:
    fraction = served_fraction(np.array([0.0, 5.0, 0.0]), np.array([0.0, 10.0, 10.0]))
    assert fraction.tolist() == [1.0, 0.5, 0.0]
