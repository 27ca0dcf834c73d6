"""Routing, rationing, the queue, restoration."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from planner.laws.traffic import (
    Routes,
    Routing,
    queue_step,
    restored_share,
    route,
    served_fraction,
    serving_rps,
)

PROPERTY = settings(derandomize=True, deadline=None, max_examples=150)
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
    """Requests per second served, shape (scenarios, zones, tiers)."""
    return routing.flows.sum(axis=1).transpose(1, 2, 0)


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
    @PROPERTY
    @given(networks())
    def test_keeps_within_demand_and_capacity_and_loses_nothing(
        self, network: tuple[Floats, Floats, Routes]
    ) -> None:
        demand, capacity, routes = network
        routing = route(demand, capacity, routes, ORDERED)
        assert (routing.flows >= 0).all()
        assert (routing.load <= capacity).all()
        assert (served(routing) <= demand + TOLERANCE).all()
        arrived = np.einsum("krsz,krzn->sn", routing.flows, routes.incidence)
        assert arrived == pytest.approx(routing.load, abs=TOLERANCE)

    @PROPERTY
    @given(networks())
    def test_turns_nobody_away_from_a_target_with_room(
        self, network: tuple[Floats, Floats, Routes]
    ) -> None:
        demand, capacity, routes = network
        routing = route(demand, capacity, routes, ORDERED)
        left, room = demand - served(routing), capacity - routing.load
        for scenario, zone, tier in np.argwhere(left > TOLERANCE):
            reach = routes.order[tier, :, zone]
            assert (room[scenario, reach[reach >= 0]] <= TOLERANCE).all()

    @PROPERTY
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

    @PROPERTY
    @given(networks(), st.integers(0, 3), st.integers(0, 100))
    def test_more_room_anywhere_never_serves_anyone_less(
        self, network: tuple[Floats, Floats, Routes], target: int, more: int
    ) -> None:
        demand, capacity, routes = network
        larger = capacity.copy()
        larger[:, target % capacity.shape[1]] += more
        before = served(route(demand, capacity, routes, ORDERED))
        assert (served(route(demand, larger, routes, ORDERED)) >= before - TOLERANCE).all()

    @PROPERTY
    @given(networks(single_reach=True))
    def test_is_the_transport_optimum_where_each_zone_reaches_one_target(
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

    @PROPERTY
    @given(networks())
    def test_never_exceeds_the_transport_optimum(
        self, network: tuple[Floats, Floats, Routes]
    ) -> None:
        demand, capacity, routes = network
        flows = served(route(demand, capacity, routes, ORDERED))
        for scenario in range(len(demand)):
            best = most_served(demand[scenario], capacity[scenario], routes)
            assert flows[scenario].sum() <= best + TOLERANCE

    def test_can_fall_short_of_the_optimum_where_reach_overlaps(self) -> None:
        """Load balancers send to the nearest; the first zone takes what only the second can use.

        The optimum serves all 200 requests: the first zone from target 1, the second from 0.
        """
        demand = np.array([[[100.0], [100.0]]])
        routing = route(
            demand, np.array([[100.0, 100.0]]), routes_of([[[0, 1], [0]]], 2), ORDERED[:1]
        )
        assert served(routing)[0, :, 0].tolist() == [100.0, 50.0]
        assert routing.load.tolist() == [[100.0, 50.0]]

    def test_zones_share_the_last_room_in_proportion(self) -> None:
        demand = np.array([[[30.0], [90.0]]])
        routing = route(demand, np.array([[60.0]]), routes_of([[[0], [0]]], 1), ORDERED[:1])
        assert served(routing)[0, :, 0].tolist() == [15.0, 45.0]

    def test_prefers_the_first_target_and_spills_to_the_next(self) -> None:
        demand = np.array([[[100.0]]])
        routing = route(demand, np.array([[70.0, 50.0]]), routes_of([[[1, 0]]], 2), ORDERED[:1])
        assert routing.load.tolist() == [[50.0, 50.0]]

    @PROPERTY
    @given(networks(), st.floats(0.0, 1.0))
    def test_what_fits_is_a_share_of_what_was_sent(
        self, network: tuple[Floats, Floats, Routes], share: float
    ) -> None:
        demand, capacity, routes = network
        routing = route(demand, capacity, routes, ORDERED)
        fits = np.full_like(capacity, share)
        assert routing.served_at(fits, routes) == pytest.approx(share * served(routing))


class TestWithoutPriorities:
    ALIKE = np.array([False, False])

    @PROPERTY
    @given(networks())
    def test_keeps_within_demand_and_capacity_and_turns_nobody_away_from_room(
        self, network: tuple[Floats, Floats, Routes]
    ) -> None:
        demand, capacity, routes = network
        routing = route(demand, capacity, routes, self.ALIKE)
        assert (routing.load <= capacity).all()
        assert (served(routing) <= demand + TOLERANCE).all()
        left, room = demand - served(routing), capacity - routing.load
        for scenario, zone, tier in np.argwhere(left > TOLERANCE):
            reach = routes.order[tier, :, zone]
            assert (room[scenario, reach[reach >= 0]] <= TOLERANCE).all()

    @PROPERTY
    @given(networks(), st.permutations([0, 1, 2]))
    def test_the_order_of_tiers_does_not_matter(
        self, network: tuple[Floats, Floats, Routes], order: list[int]
    ) -> None:
        demand, capacity, routes = network
        mixed = [tier for tier in order if tier < demand.shape[2]]
        other = Routes(routes.order[mixed], routes.incidence[mixed])
        flows = served(route(demand, capacity, routes, self.ALIKE))
        swapped = served(route(demand[:, :, mixed], capacity, other, self.ALIKE))
        assert swapped == pytest.approx(flows[:, :, mixed], abs=TOLERANCE)

    @PROPERTY
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

    @PROPERTY
    @given(networks())
    def test_scenarios_with_and_without_priorities_go_together(
        self, network: tuple[Floats, Floats, Routes]
    ) -> None:
        demand, capacity, routes = network
        mixed = served(route(demand, capacity, routes, np.array([True, False])))
        ordered, alike = (
            served(route(demand, capacity, routes, np.full(2, flag))) for flag in (True, False)
        )
        assert mixed[0] == pytest.approx(ordered[0], abs=1e-9)
        assert mixed[1] == pytest.approx(alike[1], abs=1e-9)

    def test_room_beyond_reach_does_not_hide_a_shortage(self) -> None:
        """Half of the capacity is out of reach; both tiers get half of what they want."""
        demand = np.array([[[40.0, 60.0]]])
        routes = routes_of([[[0]], [[0]]], 2)
        routing = route(demand, np.array([[50.0, 50.0]]), routes, np.array([False]))
        assert served(routing)[0, 0].tolist() == [20.0, 30.0]


class TestQueue:
    @PROPERTY
    @given(
        st.floats(0, 1e6),
        st.floats(0, 1e6),
        st.floats(0, 1e6),
        st.floats(0, 1e6),
        st.floats(0.1, 100.0),
    )
    def test_loses_and_invents_nothing_and_keeps_its_limit(
        self, waiting: float, arriving: float, drain: float, limit: float, patience: float
    ) -> None:
        arrays = [np.array([one]) for one in (waiting, arriving, drain, limit)]
        after = queue_step(*arrays, np.array([patience]))
        out = after.served + after.dropped + after.abandoned + after.waiting
        assert out[0] == pytest.approx(waiting + arriving, rel=1e-12, abs=1e-9)
        for part in (after.served, after.dropped, after.abandoned, after.waiting):
            assert part[0] >= 0
        assert after.served[0] <= min(drain, waiting)
        # A queue that starts above its limit (a limit that fell) takes nobody in.
        assert after.waiting[0] <= max(limit, waiting) * (1 + 1e-12)

    def test_by_hand(self) -> None:
        # 100 wait, 20 are served, half of the other 80 give up, 40 stay; 25 of 60 fit below 65.
        after = queue_step(*(np.array([x]) for x in (100.0, 60.0, 20.0, 65.0, 2.0)))
        moved = (after.served, after.abandoned, after.waiting, after.dropped)
        assert [float(one[0]) for one in moved] == [20.0, 40.0, 65.0, 35.0]

    def test_impatience_never_takes_more_than_wait(self) -> None:
        after = queue_step(*(np.array([x]) for x in (100.0, 0.0, 0.0, 100.0, 0.5)))
        assert after.abandoned.tolist() == [100.0]


class TestRestoration:
    ENDS = np.array([30.0, 75.0, 135.0])
    SHARES = np.array([0.25, 0.5, 0.75, 1.0])

    @pytest.mark.parametrize(
        ("minute", "share"),
        [
            (0.0, 0.25),
            (29.0, 0.25),
            (30.0, 0.5),
            (74.0, 0.5),
            (75.0, 0.75),
            (134.0, 0.75),
            (135.0, 1.0),
            (np.inf, 1.0),
        ],
    )
    def test_share_changes_at_the_end_of_each_phase(self, minute: float, share: float) -> None:
        assert restored_share(np.array([minute]), self.ENDS, self.SHARES).tolist() == [share]

    def test_without_phases_all_comes_back_at_once(self) -> None:
        assert restored_share(np.array([0.0]), np.array([]), np.array([1.0])).tolist() == [1.0]


def test_serving_rate_is_linear_in_gpus_and_utilisation() -> None:
    assert serving_rps(1000, 0.97, 0.95) == pytest.approx(921.5)
    assert serving_rps(2000, 0.97, 0.475) == pytest.approx(921.5)


def test_served_fraction_is_whole_without_demand() -> None:
    fraction = served_fraction(np.array([0.0, 5.0, 0.0]), np.array([0.0, 10.0, 10.0]))
    assert fraction.tolist() == [1.0, 0.5, 0.0]
