"""Alternatives on the terminal, as a table and as JSON."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from planner.amounts import millions, money, number, percent
from planner.analysis.alternatives import Alternative, CheapestPlan
from planner.files import write_file
from planner.infrastructure.fleet import Fleet
from planner.infrastructure.loading import LoadedModel
from planner.other_hours import NOT_SIMULATED
from planner.plan.files import csv_text
from planner.reporting.explanation import changes_data
from planner.reporting.scenarios import MARKS
from planner.reporting.tables import Row, Table, figures, texts
from planner.reporting.terminal import heading, new_console, print_json, say


def show_alternatives(
    optimum: CheapestPlan, found: tuple[Alternative, ...], loaded: LoadedModel, as_json: bool
) -> None:
    """Print alternatives: cost, difference, what each buys instead."""
    if as_json:
        print_json(alternatives_data(optimum, found, loaded))
        return
    console = new_console()
    say(console, f"Plans near the cheapest one for {loaded.name}", style="bold")
    say(console, f"The cheapest costs {money(optimum.cost_usd, 3)} a year.")
    if not found:
        say(console, "No other plan within these costs differs from it.")
        return
    _table(optimum, found).print(console)
    heading(console, "What each buys instead")
    for rank, plan in enumerate(found, start=1):
        changes = ", ".join(f"{more:+,} {key}" for key, more in plan.changes.items())
        say(console, changes, lead=f"  {rank}: ")
        if plan.failed:
            failing = f"does not survive {', '.join(plan.failed)}"
            say(console, failing, indent=len(f"  {rank}: "), style="red")
        elif plan.left_out is None:
            say(console, NOT_SIMULATED, indent=len(f"  {rank}: "))


def _table(optimum: CheapestPlan, found: tuple[Alternative, ...]) -> Table:
    rows: list[Row] = [
        (
            str(rank),
            f"+{number(100 * plan.slack)} %",
            plan.name,
            percent(plan.cost_usd / optimum.cost_usd - 1, 2, sign="+"),
            plan.cost_usd,
            plan.capital_usd,
            percent(plan.difference, 0),
            MARKS["fails" if plan.failed else "survives"],
        )
        for rank, plan in enumerate(found, start=1)
    ]
    note = (
        "differs: share of the cheapest plan's yearly purchases that goes elsewhere; "
        "capital in M USD; ok: survives every scenario in simulation."
    )
    columns = texts("", "within", folds=False) + texts("plan") + figures("costs")
    columns += figures("M USD/yr", "capital", show=millions) + figures("differs", "ok")
    return Table("", columns, rows, note)


def fleet_data(fleet: Fleet) -> dict[str, Any]:
    """Capacities for machines."""
    return {
        "cooling": {plant: dict(units) for plant, units in fleet.units.items()},
        "gpus": dict(fleet.gpus),
        "instances": dict(fleet.instances),
        "opened": sorted(fleet.opened),
        "measures": sorted(fleet.measures),
    }


def alternatives_data(
    optimum: CheapestPlan, found: Iterable[Alternative], loaded: LoadedModel
) -> dict[str, Any]:
    """Alternatives for machines; money in USD."""
    return {
        "model": {"name": loaded.name, "sha256": loaded.sha256},
        "cheapest_usd_per_year": round(optimum.cost_usd, 2),
        "alternatives": [
            _numbers(plan)
            | {
                "changes": changes_data(plan.changes),
                "failed": list(plan.failed),
                "fleet": fleet_data(plan.fleet),
            }
            for plan in found
        ],
    }


def _numbers(plan: Alternative) -> dict[str, Any]:
    return {
        "name": plan.name,
        "within": plan.slack,
        "usd_per_year": round(plan.cost_usd, 2),
        "capital_usd": round(plan.capital_usd, 2),
        "difference": round(plan.difference, 6),
        "survives": not plan.failed,
        "simulated_at_other_hours": plan.left_out,
        "repairs": plan.repairs,
    }


def write_table(found: Iterable[Alternative], path: Path) -> None:
    """Write the table of alternatives as CSV."""
    rows = [
        _numbers(plan)
        | {"changes": ", ".join(f"{key} {more:+d}" for key, more in plan.changes.items())}
        for plan in found
    ]
    write_file((csv_text(rows, quoted=False) if rows else "name\n").encode(), path)
