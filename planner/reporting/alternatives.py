"""Alternatives on the terminal, as a table and as JSON."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.padding import Padding
from rich.text import Text

from planner.amounts import millions, money
from planner.analysis.alternatives import Alternative, CheapestPlan
from planner.files import write_file
from planner.infrastructure.loading import LoadedModel
from planner.reporting.explanation import changes_data
from planner.reporting.terminal import new_console, new_table, print_json


def show_alternatives(
    optimum: CheapestPlan, found: tuple[Alternative, ...], loaded: LoadedModel, as_json: bool
) -> None:
    """Print alternatives: cost, difference, what each buys instead."""
    if as_json:
        print_json(alternatives_data(optimum, found, loaded))
        return
    console = new_console()
    console.print(f"[bold]Plans near the cheapest one for {escape(loaded.name)}[/bold]")
    console.print(f"The cheapest costs {money(optimum.cost_usd, 3)} a year.")
    if not found:
        console.print("No other plan within these costs differs from it.")
        return
    table = new_table("", "", "within", "plan", "costs", "M USD/yr", "capital", "differs", "ok")
    table.columns[1].justify = table.columns[2].justify = "left"
    for number, one in enumerate(found, start=1):
        table.add_row(
            str(number),
            f"+{100 * one.slack:.3g} %",
            escape(one.name),
            f"{one.cost_usd / optimum.cost_usd - 1:+.2%}",
            millions(one.cost_usd),
            millions(one.capital_usd, 1),
            f"{one.difference:.0%}",
            "[bold red]NO[/]" if one.failed else "[green]yes[/]",
        )
    console.print()
    console.print(table)
    note = (
        "differs: share of the cheapest plan's yearly purchases that goes elsewhere; "
        "capital in M USD; ok: survives every scenario in simulation."
    )
    console.print(Text(note, style="dim italic"))
    console.print()
    console.print("[bold]What each buys instead[/bold]")
    for number, one in enumerate(found, start=1):
        changes = ", ".join(f"{more:+,} {key}" for key, more in one.changes.items())
        console.print(Padding(Text(f"{number}: {changes}"), (0, 0, 0, 2), expand=False))
        if one.failed:
            failing = f"does not survive {', '.join(one.failed)}"
            console.print(Padding(Text(failing, style="red"), (0, 0, 0, 5), expand=False))


def alternatives_data(
    optimum: CheapestPlan, found: Iterable[Alternative], loaded: LoadedModel
) -> dict[str, Any]:
    """Alternatives for machines; money in USD."""
    return {
        "model": {"name": loaded.name, "sha256": loaded.sha256},
        "cheapest_usd_per_year": round(optimum.cost_usd, 2),
        "alternatives": [
            _numbers(one)
            | {
                "changes": changes_data(one.changes),
                "failed": list(one.failed),
                "fleet": {
                    "cooling": {plant: dict(units) for plant, units in one.fleet.units.items()},
                    "gpus": dict(one.fleet.gpus),
                    "instances": dict(one.fleet.instances),
                    "opened": sorted(one.fleet.opened),
                    "measures": sorted(one.fleet.measures),
                },
            }
            for one in found
        ],
    }


def _numbers(one: Alternative) -> dict[str, Any]:
    return {
        "name": one.name,
        "within": one.slack,
        "usd_per_year": round(one.cost_usd, 2),
        "capital_usd": round(one.capital_usd, 2),
        "difference": round(one.difference, 6),
        "survives": not one.failed,
        "repairs": one.repairs,
    }


def write_table(found: Iterable[Alternative], path: Path) -> None:
    """Write the table of alternatives as CSV.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    rows = [
        _numbers(one)
        | {"changes": ", ".join(f"{key} {more:+d}" for key, more in one.changes.items())}
        for one in found
    ]
    stream = io.StringIO()
    columns = list(rows[0]) if rows else ["name"]
    writer = csv.DictWriter(stream, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_file(stream.getvalue().encode(), path)
