"""A workbook in which finance reviewers re-compute every figure that they can change.

One sheet holds all inputs as named ranges; assets, running costs, cash flows by year and every
measure follow by live formulas. Risk, scenarios and sensitivity are values.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from planner.files import check_file, write_file
from planner.finance.workbook.assets import (
    BuildCells,
    asset_grid,
    times_needed,
    write_assets,
    write_tax_tables,
)
from planner.finance.workbook.book import Book
from planner.finance.workbook.flows import CashFlowSheet, Side
from planner.finance.workbook.inputs import Inputs, write_inputs
from planner.finance.workbook.plans import PlanSheets
from planner.finance.workbook.sources import write_sources
from planner.finance.workbook.summary import summary_sheet, write_summary
from planner.finance.workbook.terms import categories
from planner.finance.workbook.values import (
    write_incident,
    write_risk,
    write_scenarios,
    write_sensitivity,
)

if TYPE_CHECKING:
    from planner.finance.study import FinanceStudy

ENDING = ".xlsx"


def write_workbook(study: FinanceStudy, path: Path) -> None:
    """Write the workbook of a study, whole or not at all."""
    check_workbook(path)
    write_file(workbook_bytes(study), path)


def check_workbook(path: Path) -> None:
    """Check before a long run that a workbook can be written."""
    check_file(path, ENDING)


def workbook_bytes(study: FinanceStudy) -> bytes:
    """The workbook of a study; the same study gives the same bytes."""
    positions = [valued.position for valued in study.valued]
    book = Book(f"Finance of {study.model}", study.created, _widest_usd(study))
    front = summary_sheet(book, len(positions))
    inputs = write_inputs(book, positions, study.assumptions, study.other_usd)
    known = categories(positions)
    sides = _builds(book, study, inputs, known)
    write_summary(book, front, study, sides, known)
    lines = [line for build in positions for line in (*build.purchases, *build.held)]
    write_tax_tables(book, inputs.years, times_needed(lines, inputs.years))
    write_risk(book, study.valued)
    write_scenarios(book, study.valued)
    if study.swings or study.replanned:
        write_sensitivity(book, study)
    if study.ledger:
        write_incident(book, study)
    write_sources(book, study)
    return book.content()


def _builds(
    book: Book,
    study: FinanceStudy,
    inputs: Inputs,
    known: Sequence[str],
) -> list[Side]:
    """Write assets, running costs and cash flows of every build."""
    flows = CashFlowSheet.of(book, study.assumptions, inputs)
    plans = PlanSheets.of(book, study.assumptions, inputs)
    by_year = asset_grid(book, inputs.years)
    sides: list[Side] = []
    for valued in study.valued:
        build = valued.position
        assets, running = plans.purchases(build), plans.costs(build, known)
        yearly = write_assets(by_year, build, assets.cells, study.assumptions)
        cells = BuildCells(build, assets, running, yearly)
        base = sides[0].cells if sides else cells
        sides.append(flows.write(base, cells, valued.appraisal))
    flows.finish()
    by_year.finish(study.assumptions.horizon_years)
    return sides


def _widest_usd(study: FinanceStudy) -> float:
    """An amount that no year of a cash flow is likely to exceed."""
    return max(
        max(
            abs(valued.appraisal.capital_usd),
            abs(valued.appraisal.ownership.present_usd),
            valued.position.losses.usd * study.assumptions.horizon_years,
        )
        for valued in study.valued
    )


__all__ = ["check_workbook", "workbook_bytes", "write_workbook"]
