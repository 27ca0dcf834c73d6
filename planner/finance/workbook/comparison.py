"""The sheet with all builds side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from planner.finance.appraisal import BuildAppraisal
from planner.finance.assumptions import Assumptions
from planner.finance.builds import CATEGORIES
from planner.finance.workbook.book import Book, Sheet, letter
from planner.finance.workbook.flows import FlowCells
from planner.finance.workbook.plans import PlanCells
from planner.finance.workbook.terms import Terms

NAME = "Comparison"
#: Measure, label, unit (empty for money), kind of number.
MEASURES = (
    ("capital", "Capital today", "", "money"),
    ("owning", "All cost of a year at today's prices", "", "money"),
    ("npv", "Net present value", "", "money"),
    ("present_benefits", "Present value of benefits", "", "money"),
    ("present_costs", "Present value of costs", "", "money"),
    ("irr", "Internal rate of return", "per year", "share"),
    ("mirr", "Modified internal rate of return", "per year", "share"),
    ("payback", "Payback", "years", "number"),
    ("discounted_payback", "Discounted payback", "years", "number"),
    ("benefit_cost_ratio", "Benefit-cost ratio", "ratio", "factor"),
    ("roi", "Return on investment", "share", "share"),
    ("undiscounted_roi", "Return on investment without interest", "share", "share"),
    ("total_cost_of_ownership", "Total cost of ownership", "", "money"),
    ("equivalent_annual_cost", "Equivalent annual cost", "", "money"),
    ("usd_per_gpu", "Total cost of ownership per GPU", "USD", "usd"),
    (
        "usd_per_million_requests",
        "Total cost of ownership per million requests",
        "USD",
        "usd",
    ),
)


@dataclass(frozen=True)
class Column:
    """A build with where its figures stand."""

    terms: Terms
    appraisal: BuildAppraisal
    plan: PlanCells
    flows: FlowCells


def write_comparison(
    book: Book,
    sheet: Sheet,
    columns: Sequence[Column],
    assumptions: Assumptions,
    categories: Sequence[str],
) -> str:
    """Write the sheet, and return a formula: how far figures are from those delivered, USD."""
    sheet.title(
        "Comparison",
        f"Live references to the sheets of each build. Large amounts in {book.money_unit}.",
    )
    names = [one.terms.position.name for one in columns]
    sheet.texts(3, 0, ("Measure", "Unit"), "head")
    sheet.texts(3, 2, names, "figures")
    sheet.freeze(4, 2)
    row = _measures(book, sheet, columns)
    checked = _check(sheet, columns, row)
    row = _table(
        book,
        sheet,
        row + 4,
        "Capital by category",
        columns,
        CATEGORIES,
        _capital(columns, assumptions),
    )
    capital = (row - len(CATEGORIES), row - 1)
    row = _regions(book, sheet, row + 1, columns, assumptions)
    row = _table(
        book,
        sheet,
        row + 1,
        "Running cost by category, a year",
        columns,
        categories,
        _running(columns, assumptions, categories),
    )
    _charts(book, sheet, columns, row + 1, capital)
    return checked


def _measures(book: Book, sheet: Sheet, columns: Sequence[Column]) -> int:
    row = 4
    for key, label, unit, kind in MEASURES:
        sheet.text(row, 0, label)
        sheet.text(row, 1, unit or book.money_unit, "note")
        for column, one in enumerate(columns, start=2):
            if key in one.flows.measures:
                value = one.flows.values[key]
                sheet.formula(row, column, one.flows.measures[key], value, kind)
            else:
                sheet.text(row, column, "", "note")
        row += 1
    return row


def _check(sheet: Sheet, columns: Sequence[Column], row: int) -> str:
    """What the planner worked out against what the book works out."""
    sheet.text(row, 0, "Net present value as delivered, a figure", "note")
    sheet.text(row + 1, 0, "Live less delivered; nothing until an input changes", "note")
    for line in (row, row + 1):
        sheet.text(line, 1, "USD", "note")
    cells = []
    for column, one in enumerate(columns, start=2):
        returns = one.appraisal.returns
        if returns is None:
            continue
        sheet.number(row, column, returns.npv_usd, "usd", "note")
        live, fixed = one.flows.measures["npv"], sheet.at(row, column)
        sheet.formula(row + 1, column, f"ROUND({live}-{fixed},2)", 0.0, "usd", "note")
        cells.append(sheet.at(row + 1, column))
    return "+".join(f"ABS({cell})" for cell in cells) or "0"


type Cells = list[list[tuple[str, float]]]


def _table(
    book: Book,
    sheet: Sheet,
    row: int,
    title: str,
    columns: Sequence[Column],
    labels: Sequence[str],
    cells: Cells,
) -> int:
    """A table of amounts, one line a label."""
    names = [one.terms.position.name for one in columns]
    sheet.texts(row, 0, (title, book.money_unit), "head")
    sheet.texts(row, 2, names, "figures")
    for line, (label, values) in enumerate(zip(labels, cells, strict=True), start=row + 1):
        sheet.text(line, 0, label)
        sheet.text(line, 1, book.money_unit, "note")
        for column, (formula, value) in enumerate(values, start=2):
            sheet.formula(line, column, formula, value, "money")
    return row + 1 + len(labels)


def _capital(columns: Sequence[Column], assumptions: Assumptions) -> Cells:
    return [
        [
            (
                one.plan.capital[category],
                sum(
                    bought.purchase.usd * assumptions.price_factor(category)
                    for bought in one.terms.bought
                    if bought.purchase.category == category
                ),
            )
            for one in columns
        ]
        for category in CATEGORIES
    ]


def _running(
    columns: Sequence[Column], assumptions: Assumptions, categories: Sequence[str]
) -> Cells:
    return [
        [
            (
                f"{one.plan.running_plain[category]}+{one.plan.running_electric[category]}",
                sum(
                    line.running.usd_per_year * assumptions.price_factor(line.running.driver)
                    for line in one.terms.lines
                    if line.running.category == category
                ),
            )
            for one in columns
        ]
        for category in categories
    ]


def _regions(
    book: Book, sheet: Sheet, row: int, columns: Sequence[Column], assumptions: Assumptions
) -> int:
    """Capital by region; what belongs to none stands last."""
    regions = sorted({bought.purchase.region for one in columns for bought in one.terms.bought})
    named = [region for region in regions if region]
    cells: Cells = []
    for line, region in enumerate(named, start=row + 2):
        cells.append(
            [
                (
                    f"SUMIFS({one.plan.regions[1]},{one.plan.regions[0]},$A{line})",
                    _capital_in(one, region, assumptions),
                )
                for one in columns
            ]
        )
    last = []
    for column, one in enumerate(columns, start=2):
        name = letter(column)
        inner = f"SUM({name}{row + 2}:{name}{row + 1 + len(named)})" if named else "0"
        last.append((f"{one.plan.capital_total}-{inner}", _capital_in(one, "", assumptions)))
    labels = [*named, "without a region"]
    return _table(book, sheet, row, "Capital by region", columns, labels, [*cells, last])


def _capital_in(one: Column, region: str, assumptions: Assumptions) -> float:
    return sum(
        bought.purchase.usd * assumptions.price_factor(bought.purchase.category)
        for bought in one.terms.bought
        if bought.purchase.region == region
    )


def _charts(
    book: Book, sheet: Sheet, columns: Sequence[Column], row: int, capital: tuple[int, int]
) -> None:
    line = book.workbook.add_chart({"type": "line"})
    for column, one in enumerate(columns, start=2):
        if one.flows.cumulative is None:
            continue
        (top, left), (bottom, right) = one.flows.cumulative
        (head, first), (_, last) = one.flows.years
        name = one.flows.sheet.name
        line.add_series(
            {
                "name": [NAME, 3, column],
                "categories": [name, head, first, head, last],
                "values": [name, top, left, bottom, right],
                "line": {"width": 2.25},
            }
        )
    _finish(book, line, "Cumulative net cash flow after tax", "Year", book.money_unit)
    stacked = book.workbook.add_chart({"type": "column", "subtype": "stacked"})
    for at in range(capital[0], capital[1] + 1):
        stacked.add_series(
            {
                "name": [NAME, at, 0],
                "categories": [NAME, 3, 2, 3, 1 + len(columns)],
                "values": [NAME, at, 2, at, 1 + len(columns)],
                "gap": 80,
            }
        )
    _finish(book, stacked, "Capital by category", "", book.money_unit)
    if any(one.flows.cumulative for one in columns):
        sheet.worksheet.set_h_pagebreaks([row])
        sheet.worksheet.insert_chart(row, 0, line, {"y_offset": 6})
        sheet.worksheet.insert_chart(row, 0, stacked, {"x_offset": 640, "y_offset": 6})


def _finish(book: Book, chart: Any, title: str, across: str, up: str) -> None:
    number = "#,##0.0,," if book.in_millions else "#,##0"
    chart.set_title({"name": title, "name_font": {"size": 12}})
    chart.set_x_axis({"name": across, "label_position": "low"})
    chart.set_y_axis(
        {
            "name": up,
            "num_format": number,
            "major_gridlines": {"visible": True, "line": {"color": "#D9D9D9"}},
        }
    )
    chart.set_legend({"position": "bottom"})
    chart.set_size({"width": 620, "height": 360})
