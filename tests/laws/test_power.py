"""Sums over sets of sources against flows, and what is shed against a search by hand."""

from __future__ import annotations

from itertools import combinations

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.laws.power import MOST_SETS, Sharing, Supply, fair_shares, source_sets

NAMES = "abcd"
#: Every set of sources that a load may have.
SOURCES = [frozenset(some) for size in range(1, 5) for some in combinations(NAMES, size)]
LOADS = st.lists(
    st.tuples(
        st.sampled_from(SOURCES),
        st.integers(min_value=0, max_value=9),
    ),
    min_size=1,
    max_size=6,
)
CAPACITY = st.fixed_dictionaries({name: st.integers(min_value=0, max_value=12) for name in NAMES})


def flow(loads: list[tuple[frozenset[str], int]], capacity: dict[str, int]) -> float:
    """Most that loads can draw, as a flow through a network."""
    network = nx.DiGraph()
    network.add_nodes_from(("from", "to"))
    for index, (sources, most) in enumerate(loads):
        network.add_edge("from", index, capacity=most)
        network.add_edges_from((index, name) for name in sources)
    for name, most in capacity.items():
        network.add_edge(name, "to", capacity=most)
    return nx.maximum_flow_value(network, "from", "to")


@given(LOADS, CAPACITY)
def test_source_sets_decide_supply_like_a_maximum_flow(
    loads: list[tuple[frozenset[str], int]], capacity: dict[str, int]
) -> None:
    everything = sum(most for _, most in loads)
    fits = all(
        sum(most for sources, most in loads if sources <= some)
        <= sum(capacity[name] for name in some)
        for some in source_sets(sources for sources, _ in loads)
    )
    assert fits == (flow(loads, capacity) == everything)


def test_source_sets_without_a_common_source_are_not_united() -> None:
    rows = [frozenset({name}) for name in "abcdefghijkl"]
    assert len(source_sets(rows)) == len(rows)


def test_too_many_source_sets_are_refused() -> None:
    """Halls that each have a feed of their own and share one."""
    halls = [frozenset({number, "shared"}) for number in range(10)]
    assert len(source_sets(halls[:9])) == 2**9 - 1
    with pytest.raises(ValueError, match=f"{MOST_SETS:,} sets"):
        source_sets(halls)


def shares(
    draws: list[list[float]], limits: list[float], may_shed: list[bool] | None = None
) -> list[float]:
    """Shares of clusters whose draws under limits are in proportion to their shares."""
    each, nothing = np.array(draws, dtype=float), np.zeros((len(draws), 0))
    loads, none = each.shape[1], np.zeros(0, dtype=np.int64)
    supply = Supply(False, np.ones(loads), np.zeros(0), each, nothing, np.zeros(1, int), none, none)
    room = Sharing.room(len(limits), loads, 0, 0)
    may = np.array([True] * loads if may_shed is None else may_shed)
    fair_shares(np.array(limits, dtype=float), may, supply, room)
    return room.shares.tolist()


def test_loads_under_one_limit_shed_in_equal_shares() -> None:
    assert shares([[6.0, 2.0]], [4.0]) == pytest.approx([0.5, 0.5], rel=1e-8)


def test_loads_under_another_limit_run_on() -> None:
    """The first is held by its own feed; the second then has what the first leaves of both."""
    assert shares([[6.0, 0.0], [6.0, 6.0]], [1.5, 6.0]) == pytest.approx([0.25, 0.75], rel=1e-8)


def test_loads_within_their_limit_are_not_shed() -> None:
    assert shares([[6.0, 2.0]], [8.0]) == [1.0, 1.0]


def test_loads_without_power_are_shed_entirely() -> None:
    assert shares([[6.0, 0.0]], [0.0]) == pytest.approx([0.0, 1.0], abs=1e-9)


@given(
    st.lists(st.lists(st.integers(0, 9), min_size=3, max_size=3), min_size=1, max_size=4),
    st.lists(st.integers(0, 20), min_size=4, max_size=4),
    st.integers(0, 3),
)
def test_limits_are_kept_and_a_higher_limit_never_lowers_the_least_share(
    draws: list[list[int]], limits: list[int], which: int
) -> None:
    most = limits[: len(draws)]
    found = shares(draws, most)
    for row, limit in zip(draws, most, strict=True):
        drawn = sum(one * share for one, share in zip(row, found, strict=True))
        assert drawn <= limit * (1 + 1e-8) + 1e-8
    more = [limit + (index == which) for index, limit in enumerate(most)]
    assert min(shares(draws, more)) >= min(found) - 1e-9


@given(
    st.lists(st.lists(st.integers(0, 9), min_size=3, max_size=3), min_size=1, max_size=4),
    st.lists(st.integers(0, 20), min_size=4, max_size=4),
)
def test_shares_of_loads_are_max_min_fair(draws: list[list[int]], limits: list[int]) -> None:
    """What is shed draws on something that is full, on which nobody is better off than it."""
    most = limits[: len(draws)]
    found = shares(draws, most)
    for index, share in enumerate(found):
        if share >= 1 - 1e-9:
            continue
        assert any(
            row[index]
            and sum(one * other for one, other in zip(row, found, strict=True)) >= limit - 1e-6
            and share >= max(s for s, one in zip(found, row, strict=True) if one) - 1e-6
            for row, limit in zip(draws, most, strict=True)
        )


def test_an_exceeded_limit_sheds_no_load_outside_it() -> None:
    """The first load draws 2 MW of 1 MW and may not be shed; the last two are asked for theirs."""
    loads = [[2.0, 0.0, 1.0], [0.0, 4.0, 0.0]]
    assert shares(loads, [1.0, 3.0], [False, True, True]) == pytest.approx(
        [1.0, 0.75, 0.0], abs=1e-9
    )
