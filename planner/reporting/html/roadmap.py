"""The page of a roadmap: calendar, capacity, budgets, paths, survival; one file without scripts.

Charts are bars of HTML, which fit any width; texts stay as large on a telephone as on a wall.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from statistics import fmean
from typing import Any

from planner.amounts import counted, listed, millions, money, percent, rate
from planner.files import now
from planner.finance.roadmaps import RoadmapFinance
from planner.infrastructure.horizon import month_number
from planner.reporting.html.templates import asset, template
from planner.reporting.roadmap import (
    bridges,
    budget_table,
    calendar_table,
    capacity_table,
    missed,
    path_label,
    period_table,
    region_table,
    summary,
    what,
)
from planner.reporting.roadmap_finance import by_year_table
from planner.reporting.tables import Cell, Table, Toned, texts
from planner.roadmap.records import NodeRecord, OrderRecord, Roadmap

#: Orders drawn; of more the dearest.
MOST_ORDERS = 80
#: Regions with a colour of their own; all others share the last.
MOST_COLOURS = 8
#: Rows of tables on the page.
MOST_ROWS = 400
#: Orders named in the decision.
MOST_NAMED = 4
OTHERS = "other regions"
PER_SECOND = " requests/s"
#: Size of a node of the tree and its distance from the next.
NODE, STEP = (132, 46), (168, 62)


@dataclass(frozen=True)
class Segment:
    """A part of a bar: from where, how wide (percent of the track), how it looks, what it is."""

    left: float
    width: float
    look: str
    title: str


@dataclass(frozen=True)
class Track:
    """A line of a chart.

    Parameters
    ----------
    label, note, value
        What it is, more about it, and its figures.
    segments
        Parts of its bar.
    mark
        Where a line crosses it, in percent; None for none.
    """

    label: str
    note: str
    value: str
    segments: tuple[Segment, ...]
    mark: float | None = None


@dataclass(frozen=True)
class Chart:
    """Lines of a chart under a heading."""

    title: str
    tracks: tuple[Track, ...]


def roadmap_page(roadmap: Roadmap) -> bytes:
    """The page as HTML in UTF-8."""
    html: str = template("roadmap.html").render(
        roadmap=roadmap,
        name=roadmap.model.name,
        created=now(),
        style=asset("report.css") + asset("roadmap.css"),
        decision=_decision(roadmap),
        tiles=_tiles(roadmap),
        bridges=bridges(roadmap),
        ticks=_ticks(roadmap),
        orders=_orders(roadmap),
        hidden=max(0, len(roadmap.orders) - MOST_ORDERS),
        legend=_legend(roadmap),
        capacity=_capacity(roadmap),
        budgets=_budgets(roadmap),
        tree=_tree(roadmap),
        tables={
            "calendar": calendar_table(roadmap).first(MOST_ROWS),
            "capacity": capacity_table(roadmap).first(MOST_ROWS),
            "budgets": budget_table(roadmap),
            "regions": region_table(roadmap),
            "periods": period_table(roadmap),
            "survival": survival_table(roadmap),
            "years": by_year_table(RoadmapFinance(roadmap.model.name, roadmap)),
        },
        percent=percent,
        counted=counted,
    )
    return html.encode()


def _decision(roadmap: Roadmap) -> list[str]:
    """What to do next, what it costs and what it is worth, in sentences."""
    first = [order for order in roadmap.orders if order.node == roadmap.nodes[0].name]
    named = [f"{_counted(order)} by {order.order_by}" for order in _dearest(first)]
    later = len(roadmap.orders) - len(first)
    end = f"{counted(later, 'order')} of later periods can still be decided anew." if later else ""
    rest = len(first) - len(named)
    if rest > 0:
        named.append(counted(rest, "smaller order"))
    start = f"Order {listed(named, MOST_NAMED + 1)}." if named else "Order nothing yet."
    return [text for text in (start, end, *(f"{line}." for line in summary(roadmap))) if text]


def _counted(order: OrderRecord) -> str:
    alone = order.kind in ("region", "measure")
    return what(order) if alone else f"{order.count:,} {what(order)}"


def _dearest(orders: Sequence[OrderRecord]) -> list[OrderRecord]:
    kept = sorted(orders, key=lambda order: -order.capital_usd)[:MOST_NAMED]
    return [order for order in orders if order in kept]


def _tiles(roadmap: Roadmap) -> list[dict[str, str]]:
    judged = sum(node.judged for node in roadmap.nodes)
    survived = sum(node.survived for node in roadmap.nodes)
    first, *_ = roadmap.nodes
    last = [node.demand_rps for node in roadmap.nodes if node.period == roadmap.horizon.periods]
    low, high = rate(min(last)), rate(max(last))
    peak = high if low == high else f"{low.removesuffix(PER_SECOND)} to {high}"
    finance = RoadmapFinance("", roadmap)
    return [
        {"label": "Net present value of all costs", "value": money(roadmap.npv_usd),
         "note": "expected, with the value of what is left at the end"},
        {"label": "Capital", "value": money(finance.capital_usd),
         "note": f"expected, {finance.years[0]} to {finance.years[-1]}"},
        {"label": "Scenarios survived", "value": f"{survived:,} of {judged:,}",
         "note": f"in {counted(len(roadmap.nodes), 'period')} on all paths"},
        {"label": "Peak demand", "value": peak,
         "note": f"in the last period; {rate(first.demand_rps)} at the start"},
    ]  # fmt: skip


def _ticks(roadmap: Roadmap) -> list[tuple[float, str]]:
    """Starts of calendar years, in percent of the horizon."""
    start, months = month_number(roadmap.horizon.start), _months(roadmap)
    found = [(month, str(month // 12)) for month in range(start, start + months) if not month % 12]
    if not found or found[0][0] > start:
        found.insert(0, (start, roadmap.horizon.start))
    return [(100 * (month - start) / months, text) for month, text in found]


def _months(roadmap: Roadmap) -> int:
    return roadmap.horizon.months * roadmap.horizon.periods


def _orders(roadmap: Roadmap) -> list[Chart]:
    """The calendar of orders, path by path."""
    kept = sorted(roadmap.orders, key=lambda order: -order.capital_usd)[:MOST_ORDERS]
    labels = {node.name: path_label(roadmap, node.name) for node in roadmap.nodes}
    charts: dict[str, list[Track]] = {label: [] for label in labels.values()}
    for order in roadmap.orders:
        if order in kept:
            charts[labels[order.node]].append(_bar(roadmap, order))
    everywhere = "On all paths" if roadmap.horizon.paths else ""
    return [
        Chart(f"Only on {label}" if label else everywhere, tuple(tracks))
        for label, tracks in charts.items()
        if tracks
    ]


def _bar(roadmap: Roadmap, order: OrderRecord) -> Track:
    start, months = month_number(roadmap.horizon.start), _months(roadmap)

    def place(month: str | None) -> float:
        at = months if month is None else month_number(month) - start
        return 100 * min(max(at, 0), months) / months

    ordered, served, over = map(place, (order.order_by, order.in_service, order.until))
    segments = (
        Segment(ordered, served - ordered, "lead", f"ordered by {order.order_by}"),
        Segment(served, over - served, "used", f"in service from {order.in_service}"),
    )
    capital = f", {money(order.capital_usd)}" if order.capital_usd else ""
    latest = f"; latest {order.latest_order_by}" if order.latest_order_by else ""
    note = f"order by {order.order_by}{latest}; in service {order.in_service}{capital}"
    return Track(_counted(order), note, "", tuple(part for part in segments if part.width > 0))


def _coloured(roadmap: Roadmap) -> dict[str, int]:
    """Colour of each region, the largest first."""
    most: dict[str, float] = {}
    for line in roadmap.capacity:
        most[line.region] = max(most.get(line.region, 0.0), line.serving_rps)
    used = sorted((region for region, rps in most.items() if rps), key=lambda r: -most[r])
    shared = len(used) > MOST_COLOURS
    return {
        region: min(index, MOST_COLOURS - 1) if shared else index
        for index, region in enumerate(used)
    }


def _legend(roadmap: Roadmap) -> list[tuple[int, str]]:
    coloured = _coloured(roadmap)
    named = {}
    for region, index in coloured.items():
        named[index] = OTHERS if index in named else region
    return sorted(named.items())


def _capacity(roadmap: Roadmap) -> list[Chart]:
    """Capacity by region, stacked, against peak demand, in every node."""
    coloured, serving = _coloured(roadmap), dict[str, dict[int, float]]()
    for line in roadmap.capacity:
        if line.serving_rps:
            row = serving.setdefault(line.node, {})
            index = coloured[line.region]
            row[index] = row.get(index, 0.0) + line.serving_rps
    names = dict(_legend(roadmap))
    most = max(
        max(node.demand_rps, sum(serving.get(node.name, {}).values())) for node in roadmap.nodes
    )
    return [
        Chart(
            label, tuple(_stacked(node, serving.get(node.name, {}), names, most) for node in nodes)
        )
        for label, nodes in _by_path(roadmap)
    ]


def _by_path(roadmap: Roadmap) -> Iterator[tuple[str, list[NodeRecord]]]:
    """Nodes by the paths that go through them, those of all paths first."""
    labels = {node.name: path_label(roadmap, node.name) for node in roadmap.nodes}
    everywhere = "On all paths" if roadmap.horizon.paths else ""
    for label in dict.fromkeys(labels.values()):
        nodes = [node for node in roadmap.nodes if labels[node.name] == label]
        yield f"On {label}" if label else everywhere, nodes


def _stacked(
    node: NodeRecord, serving: dict[int, float], names: dict[int, str], most: float
) -> Track:
    left, segments = 0.0, []
    for index, rps in sorted(serving.items()):
        width = 100 * rps / most
        segments.append(Segment(left, width, f"c{index}", f"{names[index]}: {rate(rps)}"))
        left += width
    value = f"{rate(sum(serving.values()))} for {rate(node.demand_rps)}"
    return Track(node.start, "", value, tuple(segments), 100 * node.demand_rps / most)


def _budgets(roadmap: Roadmap) -> Chart:
    """Capital by year, once for all paths that spend alike, against the budget."""
    most = max((max(one.capital_usd, one.budget_usd or 0.0) for one in roadmap.budgets), default=0)
    tracks = []
    for (year, usd), alike in groupby(
        sorted(roadmap.budgets, key=lambda one: (one.year, one.capital_usd)),
        key=lambda one: (one.year, one.capital_usd),
    ):
        lines = list(alike)
        paths = [name for line in lines for name in line.path.split(", ") if name]
        note = "" if len(paths) == len(roadmap.horizon.paths) else listed(paths)
        budget = lines[0].budget_usd
        of = " M USD, no budget stated" if budget is None else f" of {millions(budget)} M USD"
        segment = Segment(0.0, 100 * usd / most if most else 0.0, "c0", money(usd))
        mark = None if budget is None or not most else 100 * budget / most
        tracks.append(Track(str(year), note, f"{millions(usd)}{of}", (segment,), mark))
    return Chart("", tuple(tracks))


def _tree(roadmap: Roadmap) -> dict[str, Any] | None:
    """Places of nodes and edges; None where there are no paths."""
    if len(roadmap.horizon.paths) < 2:
        return None
    parents = {node.name: node.parent for node in roadmap.nodes}
    leaves = [node for node in roadmap.nodes if node.name not in parents.values()]
    rows = {leaf.name: float(index) for index, leaf in enumerate(leaves)}
    for node in reversed(roadmap.nodes):
        below = [rows[name] for name, parent in parents.items() if parent == node.name]
        rows.setdefault(node.name, fmean(below) if below else 0.0)
    places = {n.name: ((n.period - 1) * STEP[0], rows[n.name] * STEP[1]) for n in roadmap.nodes}
    boxes = [
        {
            "x": places[node.name][0],
            "y": places[node.name][1],
            "state": "bad" if missed(node) else "warn" if node.failed else "good",
            "first": f"{node.start} {path_label(roadmap, node.name)}".strip(),
            "second": f"{node.survived} of {node.judged}, {percent(node.probability, 0)}",
            "title": f"{node.name}: peak {rate(node.demand_rps)}, "
            f"{money(node.usd_per_year)} a year, survives {node.survived} of {node.judged}",
        }
        for node in roadmap.nodes
    ]
    edges = [(*places[parent], *places[name]) for name, parent in parents.items() if parent]
    width = STEP[0] * (roadmap.horizon.periods - 1) + NODE[0]
    height = STEP[1] * (len(leaves) - 1) + NODE[1]
    return {"boxes": boxes, "edges": edges, "width": width, "height": height, "size": NODE}


def survival_table(roadmap: Roadmap) -> Table:
    """Scenarios that are not survived somewhere, node by node."""
    columns = [f"{node.start} {path_label(roadmap, node.name)}".strip() for node in roadmap.nodes]
    names = dict.fromkeys(name for node in roadmap.nodes for name in node.failed)
    judged = {
        node.name: {line.name for line in roadmap.plans[node.name].scenarios if line.judged}
        for node in roadmap.nodes
    }

    def cell(node: NodeRecord, name: str) -> Cell:
        if name in node.failed:
            late = name in node.bridged
            return Toned("✗ too late" if late else "✗", "warn" if late else "bad")
        return Toned("✓", "good") if name in judged[node.name] else None

    return Table(
        "Scenarios not survived in some period",
        texts("scenario", *columns),
        [[name, *(cell(node, name) for node in roadmap.nodes)] for name in names],
        note="too late: no order of this horizon arrives in time; all other scenarios are survived",
    ).first(MOST_ROWS)
