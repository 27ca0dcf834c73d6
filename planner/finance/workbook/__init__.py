"""A workbook in which finance reviewers re-compute every figure.

One sheet holds all inputs as named ranges; purchases, running costs, cash flows by year and every
measure down to net present value and internal rate follow by live formulas.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from planner.errors import InputError
from planner.files import check_file, write_file
from planner.finance.builds import Purchase
from planner.finance.workbook.appendices import write_ledger, write_sensitivity, write_sources
from planner.finance.workbook.assets import times_needed, write_assets, write_macrs
from planner.finance.workbook.book import Book
from planner.finance.workbook.comparison import NAME as COMPARISON
from planner.finance.workbook.comparison import Column, write_comparison
from planner.finance.workbook.flows import BuildSheet, flow_sheet, write_flows
from planner.finance.workbook.inputs import Inputs, write_inputs
from planner.finance.workbook.plans import write_plan_sheet
from planner.finance.workbook.readme import NAME as README
from planner.finance.workbook.readme import write_readme
from planner.finance.workbook.risk import write_risk, write_scenarios
from planner.finance.workbook.terms import Terms, all_terms, categories

if TYPE_CHECKING:
    from planner.finance.study import FinanceStudy

ENDING = ".xlsx"


def write_workbook(study: FinanceStudy, path: Path) -> None:
    """Write the workbook of a study, whole or not at all.

    Raises
    ------
    InputError
        If it is no name of a workbook, or cannot be written.
    """
    check_workbook(path)
    write_file(workbook_bytes(study), path)


def check_workbook(path: Path) -> None:
    """Check before a long run that a workbook can be written.

    Raises
    ------
    InputError
        If its name has another ending, it is a folder, or it stands in none that can be written.
    """
    if path.suffix.lower() != ENDING:
        raise InputError.single(str(path), f"expected a name that ends in {ENDING}")
    check_file(path)


def workbook_bytes(study: FinanceStudy) -> bytes:
    """The workbook of a study; the same study gives the same bytes."""
    largest = max(
        max(
            abs(one.appraisal.capital_usd),
            abs(one.appraisal.owning_usd_per_year),
            abs(one.appraisal.ownership.present_usd),
            one.position.losses.usd,
        )
        for one in study.valued
    )
    book = Book(f"Finance of {study.model}", study.created, largest)
    front = book.sheet(README, (30, 120))
    terms = all_terms(study.valued)
    inputs = write_inputs(book, terms, study.assumptions, study.other)
    known = categories(terms)
    overview = book.sheet(COMPARISON, (44, 16, *[18] * len(terms)))
    columns = _columns(book, study, terms, inputs, known)
    checked = write_comparison(book, overview, columns, study.assumptions, known)
    write_readme(book, front, study, checked)
    write_macrs(book, inputs.years, times_needed(_lines(terms), inputs.years))
    write_risk(book, study.valued, inputs)
    write_scenarios(book, study.valued)
    npv = {
        one.terms.position.name: (one.flows.measures["npv"], one.appraisal.returns.npv_usd)
        for one in columns
        if one.appraisal.returns is not None
    }
    write_sensitivity(book, study, npv)
    if study.ledger:
        write_ledger(book, study.ledger, study.assumptions)
    write_sources(book, study)
    return book.content()


def _lines(terms: Sequence[Terms]) -> list[Purchase]:
    """All that is bought or bought again."""
    return [one.purchase for build in terms for one in (*build.bought, *build.kept)]


def _columns(
    book: Book,
    study: FinanceStudy,
    terms: Sequence[Terms],
    inputs: Inputs,
    known: Sequence[str],
) -> list[Column]:
    """Sheets of every build: plan, cash flow, purchases by year."""
    base: BuildSheet | None = None
    found = []
    for one, parts in zip(study.valued, terms, strict=True):
        plan = write_plan_sheet(book, parts, study.assumptions, inputs, known)
        sheet = flow_sheet(book, one.position.name, inputs.years)
        assets = write_assets(book, parts, plan, study.assumptions, inputs.years)
        side = BuildSheet(one.position, plan, assets)
        base = base or side
        flows = write_flows(book, sheet, base, side, one.appraisal, study.assumptions, inputs)
        found.append(Column(parts, one.appraisal, plan, flows))
    return found


__all__ = ["check_workbook", "workbook_bytes", "write_workbook"]
