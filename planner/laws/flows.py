"""What sources can send to the targets that they reach."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from itertools import pairwise


class _Network:
    """Sources with what is left to send, targets with the room left, and what is sent so far."""

    def __init__(self, supply: Mapping[str, float], reach: Mapping[str, Sequence[str]]) -> None:
        self.room: dict[str, float] = {}
        self.left: dict[frozenset[str], float] = {}
        self.sent: dict[str, dict[frozenset[str], float]] = {}
        for source, amount in supply.items():
            targets = frozenset(reach[source])  # sources that reach the same are one
            self.left[targets] = self.left.get(targets, 0.0) + amount

    def add_room(self, target: str, amount: float) -> None:
        self.room[target] = self.room.get(target, 0.0) + amount
        self.sent.setdefault(target, {})

    def send(self) -> float:
        """Send all that fits, along shortest augmenting paths (Edmonds and Karp, 1972)."""
        total = 0.0
        for source in self.left:
            while self.left[source] > 0 and (path := self._path(source)):
                total += self._send_along(path)
        return total

    def _path(self, source: frozenset[str]) -> list[tuple[frozenset[str], str]]:
        """Sources that each send more to a target, all but the last in place of the next one."""
        before: dict[str, tuple[frozenset[str], str]] = {}
        waiting = deque([(source, "")])
        while waiting:
            sender, given_up = waiting.popleft()
            for target in sorted(sender & self.room.keys() - before.keys()):
                before[target] = sender, given_up
                if self.room[target] > 0:
                    return self._traced(before, target)
                waiting += [(other, target) for other, sent in self.sent[target].items() if sent]
        return []

    def _traced(
        self, before: Mapping[str, tuple[frozenset[str], str]], target: str
    ) -> list[tuple[frozenset[str], str]]:
        path = []
        while target:
            sender, earlier = before[target]
            path.append((sender, target))
            target = earlier
        return path[::-1]

    def _send_along(self, path: Sequence[tuple[frozenset[str], str]]) -> float:
        first, last = path[0][0], path[-1][1]
        moved = [(sender, given_up) for (_, given_up), (sender, _) in pairwise(path)]
        amount = min(self.left[first], self.room[last], *(self.sent[t][s] for s, t in moved))
        for sender, target in moved:
            self.sent[target][sender] -= amount
        for sender, target in path:
            self.sent[target][sender] = self.sent[target].get(sender, 0.0) + amount
        self.left[first] -= amount
        self.room[last] -= amount
        return amount


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
    network = _Network(supply, reach)
    for target, most in room.items():
        network.add_room(target, most)
    return network.send()


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
    network, loads = _Network(supply, reach), []
    for place, capacity in machines:
        network.add_room(place, capacity)
        loads.append(network.send())
    return loads
