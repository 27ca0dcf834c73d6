"""Layers of services: from the tiers through edge, service, state and control plane.

The usual way to draw a layered graph (Sugiyama, Tagawa, Toda 1981): columns, dummy nodes where a
line passes a column, an order within columns that has few crossings, then heights with few bends.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import networkx as nx

from planner.infrastructure.graph import Graph, node
from planner.reporting.graph.facts import Scene, states_of
from planner.reporting.graph.regions import PLANES, Part, box_size, node_box
from planner.reporting.graph.shapes import Box, Polyline, Rect, stacked

ROW_GAP = 12.0
#: Room for a line that passes a column.
PASS = 6.0
LEAST_GAP, MOST_GAP = 44.0, 180.0
MOST_IN_COLUMN = 10
SWEEPS = 6
HEADING = 24.0


@dataclass(frozen=True)
class Link:
    """A dependency between two nodes in columns."""

    source: str
    target: str
    kind: str


def service_layers(scene: Scene, width: float) -> Part:
    """Tiers and services in columns, over at least some width if the gaps allow."""
    columns = _columns(scene)
    links = _links(scene, {name for column in columns for name in column})
    rows, chains = _with_passes(columns, links)
    rows = _untangled(rows, chains)
    sizes = {name: box_size(scene, name) for column in columns for name in column}
    heights = {name: sizes[name][1] if name in sizes else PASS for row in rows for name in row}
    middles = _heights(rows, chains, heights)
    widths = [max((sizes[name][0] for name in column), default=0.0) for column in columns]
    free = (width - sum(widths)) / max(len(columns) - 1, 1)
    gap = min(max(free, LEAST_GAP), MOST_GAP)
    lefts = [sum(widths[:index]) + gap * index for index in range(len(columns))]
    top = HEADING - min(middles[name] - heights[name] / 2 for name in middles)
    rects = {
        name: Rect(lefts[i], middles[name] + top - sizes[name][1] / 2, widths[i], sizes[name][1])
        for i, column in enumerate(columns)
        for name in column
    }
    boxes = [node_box(scene, name, rect) for name, rect in rects.items()]
    spans = [(left, left + wide) for left, wide in zip(lefts, widths, strict=True)]
    where = {name: index for index, row in enumerate(rows) for name in row}
    lines = [
        _drawn(
            scene, link, chain, rects, spans, where, {name: middles[name] + top for name in middles}
        )
        for link, chain in chains.items()
    ]
    bottom = max(rect.bottom for rect in rects.values())
    bands = _bands(scene, columns, spans, bottom)
    whole = max((box.rect.right for box in bands), default=lefts[-1] + widths[-1])
    return Part(whole, bottom + 8, (*bands, *boxes), tuple(lines))


def _columns(scene: Scene) -> list[list[str]]:
    """Tiers, then the services of each plane by how far below others they lie."""
    columns = [[node("tier", name) for name in scene.model.tiers]]
    for plane in PLANES:
        names = [
            node("service", name)
            for name, service in scene.model.services.items()
            if service.plane == plane and name not in scene.homes
        ]
        depths = _depths(scene.graph.subgraph(names))
        for depth in range(max(depths.values(), default=-1) + 1):
            level = [name for name in names if depths[name] == depth]
            columns += [
                level[start : start + MOST_IN_COLUMN]
                for start in range(0, len(level), MOST_IN_COLUMN)
            ]
    return columns


def _depths(graph: Graph) -> dict[str, int]:
    """Longest chain of dependants of each node, a loop counted as a single node; 0 without any."""
    condensed = nx.condensation(graph)
    depths: dict[int, int] = {}
    for group in reversed(list(nx.topological_sort(condensed))):
        depths[group] = max((depths[below] + 1 for below in condensed.successors(group)), default=0)
    return {name: depths[group] for name, group in condensed.graph["mapping"].items()}


def _links(scene: Scene, names: set[str]) -> list[Link]:
    """Dependencies among tiers and services, the softest last."""
    found = []
    for source, target, data in scene.graph.edges(data=True):
        if data["relation"] == "depends_on" and source in names and target in names:
            needs = scene.graph.nodes[target]["needs"][data["group"]]
            kind = "soft" if needs == 0 else "any_of" if data["group"] == "any_of" else "needs"
            found.append(Link(source, target, kind))
    return found


def _with_passes(
    columns: Sequence[Sequence[str]], links: Iterable[Link]
) -> tuple[list[list[str]], dict[Link, list[str]]]:
    """Rows of each column with dummy nodes for the lines that pass, and the way of each line."""
    where = {name: index for index, column in enumerate(columns) for name in column}
    rows = [list(column) for column in columns]
    chains = {}
    for link in links:
        ends = sorted((link.source, link.target), key=lambda name: where[name])
        chain = [ends[0]]
        for index in range(where[ends[0]] + 1, where[ends[1]]):
            # A space is in no identifier, so that a dummy is never taken for a node.
            dummy = f"{link.source} {link.target} {index}"
            rows[index].append(dummy)
            chain.append(dummy)
        chains[link] = [*chain, ends[1]]
    return rows, chains


def _untangled(
    rows: Sequence[Sequence[str]], chains: Mapping[Link, Sequence[str]]
) -> list[list[str]]:
    """Columns ordered by the mean place of their neighbours, to and fro; the best order seen."""
    neighbours = _neighbours(chains)
    ordered = [list(row) for row in rows]
    best, fewest = ordered, _crossings(ordered, chains)
    for sweep in range(2 * SWEEPS):
        ordered = [list(row) for row in ordered]
        forward = sweep % 2 == 0
        indices = range(1, len(ordered)) if forward else range(len(ordered) - 2, -1, -1)
        for index in indices:
            beside = ordered[index - 1 if forward else index + 1]
            places = {name: (place + 0.5) / len(beside) for place, name in enumerate(beside)}
            own = {name: (i + 0.5) / len(ordered[index]) for i, name in enumerate(ordered[index])}
            means = {name: _mean(name, neighbours, places, own) for name in ordered[index]}
            ordered[index].sort(key=means.__getitem__)
        crossings = _crossings(ordered, chains)
        if crossings < fewest:
            best, fewest = ordered, crossings
    return best


def _mean(
    name: str,
    neighbours: Mapping[str, Sequence[str]],
    places: Mapping[str, float],
    own: Mapping[str, float],
) -> float:
    found = [places[beside] for beside in neighbours.get(name, ()) if beside in places]
    return sum(found) / len(found) if found else own[name]


def _neighbours(chains: Mapping[Link, Sequence[str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for chain in chains.values():
        for left, right in pairwise(chain):
            found.setdefault(left, []).append(right)
            found.setdefault(right, []).append(left)
    return found


def _crossings(rows: Sequence[Sequence[str]], chains: Mapping[Link, Sequence[str]]) -> int:
    """Pairs of lines that cross between neighbouring columns."""
    place = {
        name: (column, row) for column, names in enumerate(rows) for row, name in enumerate(names)
    }
    steps: dict[int, list[tuple[int, int]]] = {}
    for chain in chains.values():
        for left, right in pairwise(chain):
            if place[left][0] != place[right][0]:
                steps.setdefault(place[left][0], []).append((place[left][1], place[right][1]))
    return sum(
        (a[0] - b[0]) * (a[1] - b[1]) < 0
        for pairs in steps.values()
        for index, a in enumerate(pairs)
        for b in pairs[:index]
    )


def _heights(
    rows: Sequence[Sequence[str]], chains: Mapping[Link, Sequence[str]], sizes: Mapping[str, float]
) -> dict[str, float]:
    """Middle of every row: near the mean of its neighbours, never closer than the gap allows."""
    neighbours = _neighbours(chains)
    middles: dict[str, float] = {}
    for row in rows:
        offsets = _offsets(row, sizes)
        total = offsets[-1] if offsets else 0.0
        middles |= {name: y - total / 2 for name, y in zip(row, offsets, strict=True)}
    for sweep in range(2 * SWEEPS):
        for row in rows if sweep % 2 == 0 else reversed(rows):
            wanted = []
            for name in row:
                beside = [
                    middles[neighbour]
                    for neighbour in neighbours.get(name, ())
                    if neighbour not in row
                ]
                wanted.append(sum(beside) / len(beside) if beside else middles[name])
            offsets = _offsets(row, sizes)
            free = _rising([y - offset for y, offset in zip(wanted, offsets, strict=True)])
            middles |= {n: y + o for n, y, o in zip(row, free, offsets, strict=True)}
    return middles


def _offsets(row: Sequence[str], sizes: Mapping[str, float]) -> list[float]:
    """Least middles of rows below each other, the first at 0."""
    offsets = [0.0] * min(len(row), 1)
    for above, below in pairwise(row):
        offsets.append(offsets[-1] + (sizes[above] + sizes[below]) / 2 + ROW_GAP)
    return offsets


def _rising(wanted: Sequence[float]) -> list[float]:
    """Values that never fall, least squares from those wanted (pool adjacent violators).

    >>> _rising([3.0, 1.0, 5.0])
    [2.0, 2.0, 5.0]
    """
    pools: list[tuple[float, int]] = []
    for value in wanted:
        pools.append((value, 1))
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            (low, many), (high, more) = pools.pop(), pools.pop()
            pools.append(((low * many + high * more) / (many + more), many + more))
    return [value for value, count in pools for _ in range(count)]


def _drawn(
    scene: Scene,
    link: Link,
    chain: Sequence[str],
    rects: Mapping[str, Rect],
    spans: Sequence[tuple[float, float]],
    where: Mapping[str, int],
    middles: Mapping[str, float],
) -> Polyline:
    """A dependency from what supports to what is supported, level where it passes a column."""
    states = states_of(scene, link.source) & {"fallen", "failed", "spared"}
    if len(chain) == 2 and where[chain[0]] == where[chain[1]]:
        return _beside(link, rects, states)
    points: list[tuple[float, float]] = []
    for place, name in enumerate(chain):
        left, right = spans[where[name]]
        if place:
            points.append((left, middles[name]))
        if place < len(chain) - 1:
            points.append((right, middles[name]))
    if chain[0] == link.target:
        points.reverse()
    return Polyline(tuple(points), link.kind, link.source, link.target, curved=True, states=states)


def _beside(link: Link, rects: Mapping[str, Rect], states: frozenset[str]) -> Polyline:
    """A dependency within a column, round its right-hand side."""
    start, end = rects[link.source], rects[link.target]
    x = start.right + LEAST_GAP / 4
    points = (
        (start.right, start.middle),
        (x, start.middle),
        (x, end.middle),
        (end.right, end.middle),
    )
    return Polyline(points, link.kind, link.source, link.target, states=states)


def _bands(
    scene: Scene,
    columns: Sequence[Sequence[str]],
    spans: Sequence[tuple[float, float]],
    bottom: float,
) -> list[Box]:
    """A strip behind the columns of each plane, with its name."""
    held: dict[str, list[tuple[float, float]]] = {}
    for column, span in zip(columns, spans, strict=True):
        plane = scene.graph.nodes[column[0]]["plane"] if column else None
        held.setdefault(plane or "tiers", []).append(span)
    boxes = []
    for plane, found in held.items():
        left, right = found[0][0] - 10, found[-1][1] + 10
        rect = Rect(left, 0, right - left, bottom + 8)
        text = plane if plane == "tiers" else f"{plane} plane"
        labels = stacked(left + 10, 2, [(text, 11.0, "heading")], right - left - 12)
        known = plane if plane in PLANES else None
        boxes.append(Box(rect, "band", labels, None, known))
    return boxes
