"""Where the figures come from: catalogue rows that the model takes, and their sources."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from planner.infrastructure.catalogue import data_directory
from planner.infrastructure.catalogue import figures as figures_of
from planner.infrastructure.entities import Model
from planner.infrastructure.loading import CatalogueUse
from planner.reporting.tables import Table, figures, texts

Row = dict[str, Any]
#: Columns of the table of figures.
COLUMNS = ("name", "attribute", "value", "unit", "year", "confidence", "source", "note", "users")

#: Degrees of confidence in a figure, the least last.
CONFIDENCE = {
    "quoted": "printed in the source",
    "derived": "calculated from printed figures",
    "engineering_estimate": "an engineer's judgement",
    "memory_unverified": "from memory, not verified",
}
SECTIONS = (
    "regions", "gpus", "clusters", "cooling_units", "plants", "feeds", "services", "tiers",
    "zones", "offers", "measures",
)  # fmt: skip


def taken(uses: Sequence[CatalogueUse]) -> list[Row]:
    """Catalogue rows that a model takes, each once, with who uses it."""
    users: dict[tuple[str, str, str], list[str]] = {}
    for use in uses:
        for attribute in use.attributes:
            users.setdefault((use.file, use.entry, attribute), []).append(use.name)
    rows = []
    for file in sorted({use.file for use in uses}):
        for entry, known in figures_of(file).items():
            for figure in known:
                if (by := users.get((file, entry, figure.attribute))) is not None:
                    others = ", ".join(name for name in by if name != entry)
                    rows.append({"name": entry, **vars(figure), "users": others})
    return rows


def figure_table(rows: Sequence[Row]) -> Table:
    """Every catalogue figure with its source and its users."""
    cells = [
        [
            str(row[name]).replace("_", " ") if name == "confidence" else row[name]
            for name in COLUMNS
        ]
        for row in rows
    ]
    columns = texts("entry", "figure") + figures("value")
    columns += texts("unit", "year", "confidence", "source", "note", "used as")
    return Table("Catalogue figures of the model", columns, cells)


def confidence_table(rows: Sequence[Row]) -> Table:
    """How many figures there are of each degree of confidence."""
    counts = Counter(row["confidence"] for row in rows)
    order = [*CONFIDENCE, *sorted(counts.keys() - CONFIDENCE.keys())]
    cells = [
        (name.replace("_", " "), counts[name], CONFIDENCE.get(name, ""))
        for name in order
        if counts[name]
    ]
    columns = texts("confidence") + figures("figures") + texts("means")
    return Table("Catalogue figures by confidence", columns, cells)


def references(rows: Sequence[Row]) -> list[tuple[str, str]]:
    """The sources that rows name, by id, as the datasets list them."""
    wanted = {part for row in rows for part in row["source"].split(";")}
    text = (data_directory("datasets") / "SOURCES.md").read_text(encoding="utf-8")
    found = re.findall(r"^- (S\d+[a-z]?) (.+)$", text, flags=re.MULTILINE)
    return [(name, what) for name, what in found if name in wanted]


def notes(model: Model) -> list[tuple[str, str]]:
    """What entries of the model say about where their own figures come from."""
    return [
        (f"{section}.{name}", entry.source)
        for section in SECTIONS
        for name, entry in getattr(model, section).items()
        if entry.source
    ]


def weeks(model: Model) -> list[str]:
    """Recorded weeks of demand and weather that are simulated."""
    shapes = sorted({zone.shape for zone in model.zones.values()} - {"flat"} - set(model.shapes))
    climates = sorted({region.climate for region in model.regions.values() if region.climate})
    found = []
    if shapes:
        found.append(f"demand by hour of the week: {', '.join(shapes)} (demand_shapes.csv)")
    if climates:
        found.append(f"hottest week of 2020-24: {', '.join(climates)} (hot_weeks.csv)")
    return found
