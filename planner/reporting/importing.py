"""What `plan import` prints: what was found, assumed, is missing, suspect or left out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console

from planner.amounts import counted, listed
from planner.imports.inventory import Inventory, Kind, grouped
from planner.imports.merging import Merged
from planner.imports.model_text import value_text
from planner.infrastructure.source import printable
from planner.reporting.tables import Table, figures, texts
from planner.reporting.terminal import heading, new_console, print_json, say

TITLES: dict[Kind, str] = {
    "missing": "Missing: what the inventory does not say",
    "suspect": "Suspect: what the inventory says and hardly means, or will not survive",
    "left out": "Left out: in the inventory, not in the model",
}
#: Sections that are counted, and entries named of one reason.
COUNTED, MOST_NAMES = ("regions", "clusters", "feeds", "plants", "services", "offers", "zones"), 3


def show_import(
    inventory: Inventory, file: Path | None, merged: Merged | None, into: str, as_json: bool
) -> None:
    """Print an inventory, and what merging it into a model changes.

    Parameters
    ----------
    file
        What was written; None for nothing.
    into
        The model that it is merged into.
    """
    if as_json:
        print_json(_data(inventory, file, merged, into))
        return
    console = new_console()
    counts = [
        counted(len(inventory.sections[section]), section.removesuffix("s"))
        for section in COUNTED
        if section in inventory.sections and inventory.is_stated(section)
    ]
    gpus = [counted(inventory.gpus, "GPU")] if inventory.gpus else []
    say(console, f"Model from {inventory.source}: {', '.join(counts + gpus)}.")
    if inventory.totals:
        _totals(inventory).print(console)
    if merged is not None:
        _show_merge(console, merged, into)
    for kind, title in TITLES.items():
        if rows := grouped(inventory.findings, kind):
            Table(title, texts("what", "finding"), rows).print(console)
    Table(
        "Assumed: values that the model needs, marked in the file",
        texts("value", "assumed because", "source", "confidence"),
        [
            (f"{field}: {value}", f"{why} ({listed(names, MOST_NAMES)})", source, confidence)
            for (field, value, why, source, confidence), names in _assumed(inventory).items()
        ],
    ).print(console)


def _totals(inventory: Inventory) -> Table:
    """Sums by site and status; a site's missing ones are empty."""
    whats = sorted({total.what for total in inventory.totals}, key=str.lower)
    by_place: dict[tuple[str, str], dict[str, float]] = {}
    for total in inventory.totals:
        by_place.setdefault((total.site, total.status), {})[total.what] = total.value
    rows = [
        (site, status, *(sums.get(what) for what in whats))
        for (site, status), sums in by_place.items()
    ]
    columns = (*texts("site", "status"), *figures(*whats, show="{:,.10g}".format))
    return Table("Inventory, in place or not", columns, rows)


def _assumed(inventory: Inventory) -> dict[tuple[str, str, str, str, str], list[str]]:
    """Entries by field, value and reason of what is assumed."""
    found: dict[tuple[str, str, str, str, str], list[str]] = {}
    for (_, entry, *rest), stated in inventory.values():
        if stated.confidence != "stated":
            field = rest[0] if rest else "values"
            value = stated.alike or value_text(stated.value)
            key = (field, value, stated.why, stated.source, stated.confidence)
            found.setdefault(key, []).append(entry)
    return found


def _show_merge(console: Console, merged: Merged, into: str) -> None:
    heading(console, f"Changes of {into}")
    diff = merged.diff(into)
    for line in diff.splitlines() or ["none"]:
        console.print(printable(line), markup=False, soft_wrap=True)
    if merged.differences:
        rows = [
            (d.path, str(d.model), str(d.inventory), "inventory" if d.taken else "model")
            for d in merged.differences
        ]
        Table(
            "Differences; --take PATTERN takes the inventory's",
            texts("value", "model", "inventory", "kept"),
            rows,
        ).print(console)
    if any(path.startswith("regions.") and path.count(".") == 1 for path in merged.added):
        say(console, "Nobody reaches a new region until `latency_ms` of zones names it.")
    if merged.unknown:
        say(console, f"Not in the inventory, kept: {', '.join(merged.unknown)}.")


def _data(
    inventory: Inventory, file: Path | None, merged: Merged | None, into: str
) -> dict[str, Any]:
    data: dict[str, Any] = {
        "source": inventory.source,
        "file": file,
        "counts": {section: len(entries) for section, entries in inventory.sections.items()},
        "totals": [vars(total) for total in inventory.totals],
        "findings": [vars(finding) for finding in inventory.findings],
        "assumed": [
            {
                "path": ".".join(path),
                "value": stated.value,
                "because": stated.why,
                "source": stated.source,
                "confidence": stated.confidence,
            }
            for path, stated in inventory.values()
            if stated.confidence != "stated"
        ],
    }
    if merged is not None:
        data["merge"] = {
            "into": into,
            "diff": merged.diff(into),
            "added": merged.added,
            "differences": [vars(difference) for difference in merged.differences],
            "not_in_inventory": merged.unknown,
        }
    return data
