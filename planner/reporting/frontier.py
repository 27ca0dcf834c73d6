"""A frontier on the terminal, as a table, as a picture and as JSON."""

from __future__ import annotations

import csv
import io
import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.text import Text

from planner.amounts import millions
from planner.analysis.frontier import Frontier, FrontierPoint
from planner.files import check_file, write_file
from planner.infrastructure.loading import LoadedModel
from planner.reporting.charts import Axis, Point, draw
from planner.reporting.pictures import (
    check_picture,
    picture_bytes,
    plain,
)
from planner.reporting.terminal import new_console, new_table, print_json

ROWS = 12
HEADS = {
    "standard": "standard",
    "failures": "lost",
    "classes": "classes",
    "recovery": "within",
}
TITLES = {
    "standard": "share of the standard",
    "failures": "components lost together",
    "classes": "severity classes survived",
    "recovery": "full service within",
}
SIGNS = {
    "survives": ("●", "bold green"),
    "unproven": ("○", "bold yellow"),
    "fails": ("×", "bold red"),
}


def check_output(path: Path) -> None:
    """Check before a long run that a frontier can be written to a file.

    Raises
    ------
    InputError
        If it cannot.
    """
    if path.suffix.lower() == ".csv":
        check_file(path)
    else:
        check_picture(path)


def write_output(frontier: Frontier, name: str, path: Path) -> None:
    """Write the table of a frontier, or its picture.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    if path.suffix.lower() == ".csv":
        write_file(_csv(frontier).encode(), path)
    else:
        write_file(_picture(frontier, name, path.suffix[1:].lower()), path)


def show_frontier(frontier: Frontier, loaded: LoadedModel, as_json: bool) -> None:
    """Print the table and the chart of a frontier."""
    if as_json:
        print_json(frontier_data(frontier, loaded))
        return
    console = new_console()
    console.print(
        f"[bold]What survivability costs: {escape(loaded.name)}, by {TITLES[frontier.axis]}[/bold]"
    )
    _show_points(console, frontier)
    for point in frontier.points:
        for text in _remarks(point):
            console.print(Text(f"  {point.label}: {text}"))
    _show_chart(console, frontier)


def _show_points(console: Console, frontier: Frontier) -> None:
    asked = ("asked",) if frontier.axis == "recovery" else ()
    columns = (*asked, "M USD/yr", "more", "capital", "GPUs", "cloud", "of all")
    table = new_table("", HEADS[frontier.axis], "result", *columns, left=2)
    table.title = None
    before: FrontierPoint | None = None
    for point in frontier.points:
        by = (f"{point.value:g} min",) if asked else ()
        table.add_row(escape(point.label), point.status, *by, *_cells(point, before))
        before = point if point.planned else before
    console.print(table)
    note = "within: full service again in the simulation; asked: by the standard; " if asked else ""
    note += (
        "more: than the point above; capital in M USD; cloud: instances reserved; of all: "
        "scenarios survived, of those judged by the full standard."
    )
    console.print(Text(note, style="dim italic"))


def _cells(point: FrontierPoint, before: FrontierPoint | None) -> list[str]:
    if point.fleet is None:
        return [""] * 6
    more = "" if before is None else millions(point.cost_usd - before.cost_usd, sign="+")
    return [
        millions(point.cost_usd),
        more,
        millions(point.capital_usd, 1),
        f"{sum(point.fleet.gpus.values()):,}",
        f"{sum(point.fleet.instances.values()):,}",
        f"{point.survived}/{point.judged}",
    ]


def _remarks(point: FrontierPoint) -> list[str]:
    found = [point.reason] if point.reason else []
    if point.cheaper_at:
        why = "within the gap" if point.within_gap else "its margins asked for less"
        found.append(f"the plan of {point.cheaper_at} is stricter and costs less ({why})")
    return found


def _show_chart(console: Console, frontier: Frontier) -> None:
    planned = [one.cost_usd / 1e6 for one in frontier.points if one.planned]
    if len(planned) < 2:
        return
    low, high = min(planned), max(planned)
    if high - low < 1e-6 * abs(high):
        low, high = low - 0.5, high + 0.5
    labels = [one.label for one in frontier.points]
    costs = np.array([one.cost_usd / 1e6 if one.planned else math.nan for one in frontier.points])
    points = [
        Point(float(place), costs[place], *SIGNS.get(one.status, SIGNS["fails"]))
        for place, one in enumerate(frontier.points)
        if one.planned
    ]
    x_axis = Axis(0.0, float(len(labels) - 1), lambda place: labels[round(place)])
    y_axis = Axis(low, high, lambda millions: f"{millions:,.1f}")
    console.print()
    console.print(f"M USD a year by {TITLES[frontier.axis]}")
    for line in draw(costs, points, x_axis, y_axis, min(console.width, 100), ROWS, 1.0):
        console.print(line, no_wrap=True, crop=True)
    console.print("● survives, ○ not proven cheapest, × fails in simulation")


# ---------------------------------------------------------------------------------- files and JSON


def frontier_data(frontier: Frontier, loaded: LoadedModel) -> dict[str, Any]:
    """The frontier for machines; money in USD."""
    return {
        "model": {"name": loaded.name, "sha256": loaded.sha256},
        "by": frontier.axis,
        "scenarios": frontier.scenarios,
        "points": [_point_data(one) for one in frontier.points],
    }


def _point_data(point: FrontierPoint) -> dict[str, Any]:
    fleet = point.fleet
    return {
        "label": point.label,
        "value": point.value,
        "recovery_minutes": point.recovery_minutes,
        "status": point.status,
        "usd_per_year": _known(point.cost_usd),
        "bound_usd_per_year": _known(point.bound_usd),
        "capital_usd": _known(point.capital_usd),
        "scenarios": point.scenarios,
        "judged_by_full_standard": point.judged if fleet is not None else None,
        "survived_by_full_standard": point.survived if fleet is not None else None,
        "rounds": point.rounds,
        "reason": point.reason,
        "cheaper_at": point.cheaper_at or None,
        "within_gap": point.within_gap,
        "fleet": None
        if fleet is None
        else {
            "cooling": {plant: dict(units) for plant, units in fleet.units.items()},
            "gpus": dict(fleet.gpus),
            "instances": dict(fleet.instances),
            "opened": sorted(fleet.opened),
            "measures": sorted(fleet.measures),
        },
    }


def _known(usd: float) -> float | None:
    return round(usd, 2) if math.isfinite(usd) else None


def _csv(frontier: Frontier) -> str:
    rows = [
        {key: value for key, value in _point_data(one).items() if key != "fleet"}
        for one in frontier.points
    ]
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


def _picture(frontier: Frontier, name: str, kind: str) -> bytes:
    import matplotlib
    from matplotlib.figure import Figure

    colours = {"survives": "tab:green", "unproven": "tab:orange", "fails": "tab:red"}
    with matplotlib.rc_context({"svg.hashsalt": "plan"}), warnings.catch_warnings():
        # Signs that the font lacks are drawn as boxes.
        warnings.simplefilter("ignore", UserWarning)
        figure = Figure(figsize=(8, 5), layout="constrained")
        ax = figure.subplots()
        places = range(len(frontier.points))
        costs = [one.cost_usd / 1e6 if one.planned else math.nan for one in frontier.points]
        ax.plot(places, costs, color="0.6", linewidth=1, zorder=1)
        for status, colour in colours.items():
            some = [place for place in places if frontier.points[place].status == status]
            if some:
                ax.scatter(some, [costs[one] for one in some], c=colour, label=status, zorder=2)
        for place, one in enumerate(frontier.points):
            if not one.planned:
                ax.axvline(place, color="tab:red", linestyle=":", linewidth=1)
                ax.text(place, 0.5, one.status, transform=ax.get_xaxis_transform(), rotation=90)
        ax.set_xticks(list(places), [plain(one.label) for one in frontier.points])
        ax.set_xlabel(TITLES[frontier.axis])
        ax.set_ylabel("M USD a year")
        ax.set_title(plain(f"What survivability costs: {name}"))
        ax.grid(alpha=0.3)
        if ax.get_legend_handles_labels()[0]:
            ax.legend()
        return picture_bytes(figure, kind)
