"""What sources can send to the targets that they reach."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import networkx as nx


def largest_flow(
    supply: Mapping[str, float], reach: Mapping[str, Sequence[str]], room: Mapping[str, float]
) -> float:
    """Most that sources can send to targets with some room: a maximum flow.

    Parameters
    ----------
    supply
        What each source has.
    reach
        Targets of each source.
    room
        What each target takes.

    >>> largest_flow({"a": 3.0, "b": 2.0}, {"a": ["x"], "b": ["x", "y"]}, {"x": 2.0, "y": 1.5})
    3.5
    """
    network: Any = nx.DiGraph()
    network.add_nodes_from(("from", "to"))
    for target, most in room.items():
        network.add_edge(("target", target), "to", capacity=most)
    for source, amount in supply.items():
        network.add_edge("from", ("source", source), capacity=amount)
        network.add_edges_from(
            (("source", source), ("target", target)) for target in reach[source] if target in room
        )
    return float(nx.maximum_flow_value(network, "from", "to"))


def merit_order(
    supply: Mapping[str, float],
    reach: Mapping[str, Sequence[str]],
    machines: Sequence[tuple[str, float]],
) -> list[float]:
    """Load of machines when as much as possible is carried, the first of them first.

    What the first machines can carry together is a polymatroid, so loading them one after the other
    as far as they go is cheapest where they come in the order of their cost (Edmonds, 1970).

    Parameters
    ----------
    supply, reach
        What each source sends, and the places that carry it.
    machines
        Place and capacity of each machine, the cheapest first.

    >>> merit_order({"a": 3.0, "b": 1.0}, {"a": ["x"], "b": ["x", "y"]}, [("x", 3.5), ("y", 2.0)])
    [3.5, 0.5]
    """
    room: dict[str, float] = {}
    loads, carried = [], 0.0
    for place, capacity in machines:
        room[place] = room.get(place, 0.0) + capacity
        more = largest_flow(supply, reach, room) if capacity else carried
        loads.append(max(0.0, more - carried))
        carried = max(carried, more)
    return loads
