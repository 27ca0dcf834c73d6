"""A roadmap on the terminal and as JSON."""

from __future__ import annotations

from typing import Any

from planner.amounts import listed, millions, money, percent, rate
from planner.json_text import plain
from planner.reporting.tables import Cell, Row, Table, Tone, Toned, figures, texts
from planner.reporting.terminal import bullets, new_console, print_json, say
from planner.roadmap.comparison import RoadmapComparison
from planner.roadmap.infeasible import NoRoadmap
from planner.roadmap.records import NodeRecord, OrderRecord, Roadmap

#: Rows of a table that are shown; the rest stands in the files.
MOST_ROWS = 40
MOST_SHORTFALLS = 8


def show_roadmap(roadmap: Roadmap, as_json: bool) -> None:
    """Print a roadmap."""
    if as_json:
        print_json(roadmap)
        return
    console = new_console()
    say(console, f"Roadmap for {roadmap.model.name}, from {roadmap.horizon.start}", style="bold")
    for table in (
        calendar_table(roadmap),
        capacity_table(roadmap),
        budget_table(roadmap),
        period_table(roadmap),
        region_table(roadmap),
    ):
        table.first(MOST_ROWS).print(console)
    console.print()
    for line in summary(roadmap):
        say(console, line)
    bridged = bridges(roadmap)
    if bridged:
        say(console, "Before the first deliveries, what exists and cloud have to bridge:")
        bullets(console, bridged, MOST_SHORTFALLS, " in roadmap.json")


def calendar_table(roadmap: Roadmap) -> Table:
    """What to order by when."""
    rows: list[Row] = []
    for order in roadmap.orders:
        delay: Cell = order.delay_usd_per_month
        latest = order.latest_order_by or ("any" if order.delay in ("priced", "estimated") else "")
        if order.delay == "impossible":
            delay = Toned("never", "bad")
        rows.append(
            (
                order.order_by,
                order.count,
                what(order),
                path_label(roadmap, order.node),
                order.in_service,
                order.capital_usd or None,
                latest,
                delay,
            )
        )
    heads = (
        *texts("order by", folds=False),
        *figures("number"),
        *texts("what", "path"),
        *texts("in service", folds=False),
        *figures("M USD", show=millions),
        *texts("latest", folds=False),
        *figures("late, M", show=millions),
    )
    estimated = any(order.delay == "estimated" for order in roadmap.orders)
    note = (
        "latest: last month of order with which a roadmap exists (any: it exists without); late: "
        "M USD that a month of delay costs, solved anew with the order a period later (never: then "
        "there is no roadmap)" + (" (estimated: with orders in part)" if estimated else "")
    )
    return Table("Calendar of orders", heads, rows, note)


def what(order: OrderRecord) -> str:
    """What is ordered, in words."""
    if order.kind == "cooling":
        return f"{order.type} for {order.asset.partition('/')[0]}"
    words = {
        "gpus": f"{order.type} for {order.asset}",
        "halls": f"GPU places of {order.asset}",
        "emergency": f"{order.asset} instances",
        "region": f"region {order.asset} opened",
    }
    return words.get(order.kind, order.asset)


def path_label(roadmap: Roadmap, node: str) -> str:
    """Paths through a node; nothing where all go through it."""
    paths = next(one.paths for one in roadmap.nodes if one.name == node)
    return "" if len(paths) == len(roadmap.horizon.paths) else ", ".join(paths)


def capacity_table(roadmap: Roadmap) -> Table:
    """Capacity against demand, by region, at the start and at the end of each path."""
    first, *_ = roadmap.nodes
    last = [node for node in roadmap.nodes if node.period == roadmap.horizon.periods]
    known = {(line.node, line.region): line for line in roadmap.capacity}
    rows: list[Row] = []
    for region in dict.fromkeys(line.region for line in roadmap.capacity):
        for node in (first, *last):
            line = known[node.name, region]
            label = f"{node.start} {path_label(roadmap, node.name)}".strip()
            rows.append((region, label, line.gpus, line.serving_rps, line.nearest_rps))
    heads = (*texts("region", "when"), *figures("GPUs"), *figures("serve", "nearest", show=rate))
    note = "serve: what all its GPUs serve; nearest: peak demand of the zones nearest to it"
    return Table("Capacity and demand by region", heads, rows, note)


def budget_table(roadmap: Roadmap) -> Table:
    """Capital by year and path."""
    rows: list[Row] = [
        (
            str(line.year),
            line.path,
            line.capital_usd,
            line.budget_usd,
            None if not line.budget_usd else percent(line.capital_usd / line.budget_usd, 0),
        )
        for line in roadmap.budgets
    ]
    heads = (*texts("year", "path"), *figures("capital", "budget", show=millions), *figures("used"))
    return Table("Capital by year, M USD", heads, rows)


def period_table(roadmap: Roadmap) -> Table:
    """What each period is asked for, costs and survives."""
    rows: list[Row] = []
    for node in roadmap.nodes:
        survived = f"{node.survived} of {node.judged}"
        tone: Tone = "good" if not node.failed else "warn" if not missed(node) else "bad"
        rows.append(
            (
                node.start,
                path_label(roadmap, node.name),
                node.demand_rps,
                Toned(survived, tone) if node.judged else "nothing judged",
                node.usd_per_year,
                listed(node.failed),
            )
        )
    heads = (
        *texts("from", folds=False),
        *texts("path"),
        *figures("peak", show=rate),
        *texts("survives", folds=False),
        *figures("M USD/yr", show=millions),
        *texts("not survived"),
    )
    return Table("Periods", heads, rows)


def missed(node: NodeRecord) -> list[str]:
    """Scenarios not survived although orders could have come in time."""
    return [name for name in node.failed if name not in node.bridged]


def region_table(roadmap: Roadmap) -> Table:
    """Which region grows first, and why."""
    rows: list[Row] = [
        (one.region, one.in_service, one.gpus, one.usd_per_gpu, one.reason)
        for one in roadmap.regions
    ]
    heads = (
        *texts("region", "from"),
        *figures("GPUs", show="{:,.0f}".format),
        *figures("USD/yr each", show="{:,.0f}".format),
        *texts("why"),
    )
    note = "GPUs: added until the end, in the mean of all paths"
    return Table("Regions in the order in which they grow", heads, rows, note)


def summary(roadmap: Roadmap) -> list[str]:
    """What it costs, how near to the least that is, and what its paths are worth."""
    gap = percent(roadmap.gap, 3)
    lines = [
        f"Net present value of all costs {money(roadmap.npv_usd)}; none that survives costs less "
        f"than {money(roadmap.bound_usd)} (gap {gap})"
    ]
    values = roadmap.value_of_paths
    about = " about" if values is not None and values.estimated else ""
    if values is not None and values.stochastic_solution_usd is not None:
        lines.append(
            f"Planning for all paths rather than their mean is worth{about} "
            f"{money(values.stochastic_solution_usd)}"
        )
    elif values is not None:
        lines.append("The orders for mean demand leave no roadmap on some path")
    if values is not None and values.perfect_information_usd is not None:
        usd = money(values.perfect_information_usd)
        lines.append(f"Knowing the path in advance would be worth{about} {usd}")
    if roadmap.stopped is not None:
        rough = "" if roadmap.exact else "; failures may cost more than is counted"
        lines.append(f"Ended early: {roadmap.stopped}{rough}")
    return lines


def bridges(roadmap: Roadmap) -> list[str]:
    """What has to be bridged before the first deliveries."""
    found = []
    for node in roadmap.nodes:
        found += [f"{node.start}: {one.text}" for one in node.shortfalls]
        unmet = [name for name in node.failed if name in node.bridged]
        if unmet:
            found.append(f"{node.start}: not survived: {listed(unmet, 6)}")
    return found


def show_infeasible(found: NoRoadmap, as_json: bool) -> None:
    """Print why there is no roadmap."""
    if as_json:
        print_json({"kind": "roadmap", "status": "infeasible", **plain(found)})
        return
    console = new_console()
    say(console, "No orders meet every period.", style="bold red")
    bullets(console, found.lines(), MOST_ROWS)


def show_roadmap_comparison(found: RoadmapComparison, as_json: bool) -> None:
    """Print how two roadmaps differ."""
    if as_json:
        print_json(comparison_data(found))
        return
    console = new_console()
    names = f"{found.a.model.name} ({found.a.created}) and {found.b.model.name} ({found.b.created})"
    say(console, f"Roadmaps for {names}", style="bold")
    rows: list[Row] = [(one.asset, one.unit, ", ".join(one.paths), one.text) for one in found.moved]
    Table("Orders that moved", texts("what", "unit", "paths", "orders"), rows).print(console)
    spent: list[Row] = [(str(y), usd) for y, usd in found.capital_usd.items() if usd]
    heads = (*texts("year"), *figures("more, M USD", show=millions))
    Table("Capital by year, in the mean of all paths", heads, spent).print(console)
    console.print()
    more = "more" if found.npv_usd >= 0 else "less"
    say(console, f"B costs {money(abs(found.npv_usd))} {more} (net present value)")
    for label, names_of in (("lost", found.lost), ("gained", found.gained)):
        if names_of:
            say(console, f"{label}: {listed(names_of, MOST_SHORTFALLS)}")
    if found.values:
        say(console, "Why: their models differ in")
        lines = [f"{one.path}: {one.before} → {one.after}" for one in found.values]
        bullets(console, lines, MOST_ROWS)
    elif found.values is not None:
        say(console, "Their models are the same: only what was decided, or the gap, differs.")
    bullets(console, found.notes, MOST_ROWS)


def comparison_data(found: RoadmapComparison) -> dict[str, Any]:
    """How two roadmaps differ, as JSON."""
    return {
        "kind": "roadmaps",
        **{key: plain(value) for key, value in vars(found).items() if key not in "ab"},
        "a": found.a.model.name,
        "b": found.b.model.name,
        "npv_usd": round(found.npv_usd, 2),
        "moved": [{**plain(one), "text": one.text} for one in found.moved],
    }
