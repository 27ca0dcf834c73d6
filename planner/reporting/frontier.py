"""A frontier on the terminal, as a table, as a picture and as JSON."""

from __future__ import annotations

import math
import warnings
from pathlib import Path
from typing import Any

from planner.amounts import millions
from planner.analysis.frontier import Frontier, FrontierPoint
from planner.files import check_file, write_file
from planner.infrastructure.loading import LoadedModel
from planner.other_hours import NOT_SIMULATED
from planner.plan.files import csv_text
from planner.reporting.alternatives import fleet_data
from planner.reporting.pictures import check_picture, picture_bytes, plain
from planner.reporting.tables import Row, Table, Tone, Toned, figures, texts
from planner.reporting.terminal import new_console, print_json, say

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


def check_output(path: Path) -> None:
    """Check before a long run that a frontier can be written to a file."""
    if path.suffix.lower() == ".csv":
        check_file(path)
    else:
        check_picture(path)


def write_output(frontier: Frontier, name: str, path: Path) -> None:
    """Write the table of a frontier, or its picture."""
    if path.suffix.lower() == ".csv":
        write_file(_csv(frontier).encode(), path)
    else:
        write_file(_picture(frontier, name, path.suffix[1:].lower()), path)


def show_frontier(frontier: Frontier, loaded: LoadedModel, as_json: bool) -> None:
    """Print the table of a frontier."""
    if as_json:
        print_json(frontier_data(frontier, loaded))
        return
    console = new_console()
    title = f"What survivability costs: {loaded.name}, by {TITLES[frontier.axis]}"
    say(console, title, style="bold")
    _table(frontier).print(console)
    remarks = (f"{point.label}: {text}" for point in frontier.points for text in _remarks(point))
    for text in dict.fromkeys(remarks):
        say(console, text, lead="  ")


def _table(frontier: Frontier) -> Table:
    asked = frontier.axis == "recovery"
    rows: list[Row] = []
    before: FrontierPoint | None = None
    for point in frontier.points:
        by = (f"{point.value:g} min",) if asked else ()
        rows.append((point.label, _status(point), *by, *_cells(point, before)))
        before = point if point.planned else before
    note = "within: full service again in the simulation; asked: by the SLO; " if asked else ""
    note += (
        "more: than the point above; capital in M USD; cloud: instances reserved; of all: "
        "scenarios survived, of those judged by the full standard."
    )
    columns = texts(HEADS[frontier.axis]) + texts("result", folds=False)
    columns += figures(*(["asked"] if asked else []), "M USD/yr", "more", "capital", show=millions)
    columns += figures("GPUs", "cloud", "of all")
    return Table("", columns, rows, note)


def _status(point: FrontierPoint) -> Toned:
    tones: dict[str, Tone] = {"survives": "good", "unproven": "warn"}
    return Toned(point.status, tones.get(point.status, "bad"))


def _cells(point: FrontierPoint, before: FrontierPoint | None) -> Row:
    if point.fleet is None:
        return [None] * 6
    more = None if before is None else millions(point.cost_usd - before.cost_usd, sign="+")
    return (
        point.cost_usd,
        more,
        point.capital_usd,
        sum(point.fleet.gpus.values()),
        sum(point.fleet.instances.values()),
        f"{point.survived}/{point.judged}",
    )


def _remarks(point: FrontierPoint) -> list[str]:
    found = [point.reason] if point.reason else []
    if point.left_out is None:
        found.append(NOT_SIMULATED)
    if point.plan_of:
        found.append(f"the plan of {point.plan_of}: it costs less than any found for this alone")
    return found


def frontier_data(frontier: Frontier, loaded: LoadedModel) -> dict[str, Any]:
    """The frontier for machines; money in USD."""
    return {
        "model": {"name": loaded.name, "sha256": loaded.sha256},
        "by": frontier.axis,
        "scenarios": frontier.scenarios,
        "points": [_point_data(point) for point in frontier.points],
    }


def _point_data(point: FrontierPoint) -> dict[str, Any]:
    fleet = point.fleet
    return {
        "label": point.label,
        "value": point.value,
        "recovery_minutes": point.recovery_minutes,
        "status": point.status,
        "simulated_at_other_hours": point.left_out,
        "usd_per_year": _known(point.cost_usd),
        "bound_usd_per_year": _known(point.bound_usd),
        "capital_usd": _known(point.capital_usd),
        "scenarios": point.scenarios,
        "judged_by_full_standard": point.judged if fleet is not None else None,
        "survived_by_full_standard": point.survived if fleet is not None else None,
        "rounds": point.rounds,
        "reason": point.reason,
        "plan_of": point.plan_of or None,
        "fleet": None if fleet is None else fleet_data(fleet),
    }


def _known(usd: float) -> float | None:
    return round(usd, 2) if math.isfinite(usd) else None


def _csv(frontier: Frontier) -> str:
    rows = [
        {key: value for key, value in _point_data(point).items() if key != "fleet"}
        for point in frontier.points
    ]
    # Labels such as "+ single" are ours.
    return csv_text(rows, quoted=False)


def _picture(frontier: Frontier, name: str, kind: str) -> bytes:
    import matplotlib
    from matplotlib.figure import Figure

    colours = {"survives": "tab:green", "unproven": "tab:orange", "fails": "tab:red"}
    with matplotlib.rc_context({"svg.hashsalt": "plan"}), warnings.catch_warnings():
        # Characters that the font lacks are drawn as boxes.
        warnings.simplefilter("ignore", UserWarning)
        figure = Figure(figsize=(8, 5), layout="constrained")
        ax = figure.subplots()
        places = range(len(frontier.points))
        costs = [point.cost_usd / 1e6 if point.planned else math.nan for point in frontier.points]
        ax.plot(places, costs, color="0.6", linewidth=1, zorder=1)
        for status, colour in colours.items():
            chosen = [place for place in places if frontier.points[place].status == status]
            if chosen:
                ax.scatter(
                    chosen, [costs[place] for place in chosen], c=colour, label=status, zorder=2
                )
        for place, point in enumerate(frontier.points):
            if not point.planned:
                ax.axvline(place, color="tab:red", linestyle=":", linewidth=1)
                ax.text(place, 0.5, point.status, transform=ax.get_xaxis_transform(), rotation=90)
        ax.set_xticks(list(places), [plain(point.label) for point in frontier.points])
        ax.set_xlabel(TITLES[frontier.axis])
        ax.set_ylabel("M USD a year")
        ax.set_title(plain(f"What survivability costs: {name}"))
        ax.grid(alpha=0.3)
        if ax.get_legend_handles_labels()[0]:
            ax.legend()
        return picture_bytes(figure, kind)
