"""Finance of roadmaps on the terminal, as JSON and as tables: cash flows by calendar year."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from planner.amounts import millions, percent
from planner.finance.roadmaps import RoadmapFinance
from planner.laws.returns import ReturnRate
from planner.plan.files import write_tables
from planner.reporting.roadmap import budget_table
from planner.reporting.tables import Cell, Table, figures, texts
from planner.reporting.terminal import new_console, print_json, say


def show_roadmap_finance(studies: Sequence[RoadmapFinance], as_json: bool) -> None:
    """Print what roadmaps cost and return by year."""
    if as_json:
        print_json(roadmap_finance_data(studies))
        return
    console = new_console()
    first = studies[0].roadmap
    say(console, f"What the roadmap costs by year: {first.model.name}", style="bold")
    rate = percent(first.horizon.discount_rate)
    say(console, f"Before tax, in the mean of all paths, discounted at {rate} a year.")
    _side_by_side(studies).print(console)
    for study in studies:
        by_year_table(study).print(console)
        budget_table(study.roadmap).print(console)


def _rate(found: ReturnRate) -> str:
    return "none" if found.rate is None else percent(found.rate, 2)


def _side_by_side(studies: Sequence[RoadmapFinance]) -> Table:
    first, *others = studies
    rows: list[list[Cell]] = [
        ["expected capital, M USD", *(millions(study.capital_usd) for study in studies)],
        ["net present value, M USD", *(millions(study.npv_usd) for study in studies)],
        ["IRR", *(_rate(study.irr) for study in studies)],
    ]
    if others:
        title = f"IRR of choosing it over {first.name}"
        rows.append([title, "", *(_rate(study.beyond(first)) for study in others)])
    reasons = [f"{s.name}: {s.irr.reason}" for s in studies if s.irr.reason]
    note = f"IRR: {'; '.join(reasons)}." if reasons else ""
    return Table("Measures", (*texts(""), *figures(*(s.name for s in studies))), rows, note)


def by_year_table(study: RoadmapFinance) -> Table:
    """Expected payments by category and calendar year, M USD."""
    total = [sum(values[year] for values in study.by_year.values()) for year in study.years]
    return Table(
        f"Paid by year, M USD: {study.name}",
        (*texts("category"), *figures(*map(str, study.years), "all", show=millions)),
        [
            [category, *(values[year] for year in study.years), sum(values.values())]
            for category, values in study.by_year.items()
        ],
        note="Received is negative; the value of what is left at the end is resale.",
        foot=[["all", *total, sum(total)]],
    )


def roadmap_finance_data(studies: Sequence[RoadmapFinance]) -> dict[str, Any]:
    """The same for machines."""
    first = studies[0]
    return {
        "kind": "roadmap-finance",
        "model": first.roadmap.model.name,
        "discount_rate": first.roadmap.horizon.discount_rate,
        "roadmaps": [
            {
                "name": study.name,
                "npv_usd": study.npv_usd,
                "capital_usd": study.capital_usd,
                "irr": study.irr.rate,
                "irr_reason": study.irr.reason,
                "irr_over_first": study.beyond(first).rate if study is not first else None,
                "by_year": list(_year_rows(study)),
                "capital_by_path": [line.model_dump() for line in study.roadmap.budgets],
            }
            for study in studies
        ],
    }


def _year_rows(study: RoadmapFinance) -> Iterator[dict[str, Any]]:
    for year in study.years:
        values = {category: usd[year] for category, usd in study.by_year.items()}
        yield {"year": year, **values, "all": sum(values.values())}


def write_roadmap_tables(studies: Sequence[RoadmapFinance], folder: Path) -> tuple[Path, ...]:
    """Write the tables as CSV into a folder.

    Raises
    ------
    InputError
        If the folder cannot be written.
    """
    measures = [
        {k: v for k, v in row.items() if not isinstance(v, list)}
        for row in roadmap_finance_data(studies)["roadmaps"]
    ]
    years = [{"roadmap": study.name, **row} for study in studies for row in _year_rows(study)]
    budgets = [
        {"roadmap": study.name, **line.model_dump()}
        for study in studies
        for line in study.roadmap.budgets
    ]
    return write_tables(folder, {"measures": measures, "years": years, "capital": budgets})
