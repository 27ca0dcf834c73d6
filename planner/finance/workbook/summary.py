"""The first sheet: all builds side by side, and how to read the book."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from planner.files import package_text
from planner.finance.assumptions import Assumptions
from planner.finance.builds import CATEGORIES
from planner.finance.workbook.book import Book, Sheet
from planner.finance.workbook.flows import Side
from planner.finance.workbook.grid import FIRST, HEAD
from planner.finance.workbook.measures import LINES
from planner.laws.returns import MEASURES

if TYPE_CHECKING:
    from planner.finance.study import FinanceStudy

NAME = "Summary"
#: Rows that the charts take.
CHART_ROWS = 17
ABOUT = package_text("planner.finance.workbook", "about.txt").splitlines()


def summary_sheet(book: Book, builds: int) -> Sheet:
    """Add the first sheet, which is filled last."""
    return book.sheet(NAME, (46, 15, *[max(18.0, 54 / builds)] * builds))


def write_summary(
    book: Book, sheet: Sheet, study: FinanceStudy, sides: Sequence[Side], categories: Sequence[str]
) -> None:
    """Write measures, capital and running cost by category, charts and how to read the book."""
    sheet.title(book.title, "Amounts in USD. Every figure here follows the sheet Assumptions.")
    last = max(3, 1 + len(sides))
    sheet.text(2, 0, study.sampled)
    status, row = 3, 5
    _head(sheet, row, "Measure", sides)
    row = _measures(sheet, row + 1, sides)
    row = _check(sheet, status, row, sides)
    capital = row + 2
    row = _categories(sheet, capital - 1, "Capital by category", "USD", CATEGORIES, sides, study)
    row = _categories(
        sheet, row + 1, "Running cost by category", "USD per year", categories, sides, study
    )
    sheet.worksheet.set_h_pagebreaks([row + 1])
    if any(side.cumulative is not None for side in sides):
        _charts(book, sheet, sides, row + 1, capital, FIRST + study.assumptions.horizon_years)
        row += CHART_ROWS
    row = _notes(sheet, row + 1, last)
    _facts(sheet, row + 1, study, last)


def _facts(sheet: Sheet, row: int, study: FinanceStudy, last: int) -> int:
    """What the book was made of."""
    facts = (
        ("Created", study.created),
        ("SHA-256 of the model", study.sha256),
        ("Versions", ", ".join(f"{name} {number}" for name, number in study.versions.items())),
    )
    for label, text in facts:
        sheet.text(row, 0, label)
        sheet.wrapped(row, 1, last, text)
        row += 1
    return row


def _head(sheet: Sheet, row: int, title: str, sides: Sequence[Side]) -> None:
    sheet.texts(row, 0, (title, "Unit"), "head")
    sheet.texts(row, 2, [side.name for side in sides], "figures")


def _measures(sheet: Sheet, row: int, sides: Sequence[Side]) -> int:
    for key, (label, unit, kind) in LINES.items():
        sheet.texts(row, 0, (label, unit))
        for column, side in enumerate(sides, start=2):
            if key in side.measures.cells:
                value = side.measures.values[key]
                sheet.formula(row, column, side.measures.cells[key], value, kind)
        row += 1
    return row


def _check(sheet: Sheet, status: int, row: int, sides: Sequence[Side]) -> int:
    """Net present value as delivered beside the live one, and whether any differs."""
    sheet.texts(row, 0, ("Net present value as delivered", "USD"), "note")
    differences = []
    for column, side in enumerate(sides, start=2):
        if side.appraisal.returns is not None:
            sheet.number(row, column, side.appraisal.returns.npv_usd, "money", "note")
            live = side.measures.cells["npv"]
            differences.append(f"ABS({live}-{sheet.at(row, column)})")
    same, other = "as delivered", "changed: figures differ from those delivered"
    sheet.text(status, 0, "Inputs")
    formula = f'IF({"+".join(differences) or "0"}<0.01,"{same}","{other}")'
    sheet.formula(status, 1, formula, same, "text", "measure")
    return row + 1


def _categories(
    sheet: Sheet,
    row: int,
    title: str,
    unit: str,
    categories: Sequence[str],
    sides: Sequence[Side],
    study: FinanceStudy,
) -> int:
    """Amounts by category: capital in USD, running cost in USD per year."""
    _head(sheet, row, title, sides)
    for line, category in enumerate(categories, start=row + 1):
        sheet.texts(line, 0, (category, unit))
        for column, side in enumerate(sides, start=2):
            if unit == "USD":
                formula = side.cells.assets.capital_of(category)
                usd = _capital(side, category, study.assumptions)
            else:
                running = side.cells.running
                formula = f"{running.plain[category]}+{running.electric[category]}"
                usd = _running(side, category, study.assumptions)
            sheet.formula(line, column, formula, usd, "money")
    return row + 1 + len(categories)


def _capital(side: Side, category: str, assumptions: Assumptions) -> float:
    return sum(
        line.usd * assumptions.price_factor(line.category)
        for line in side.cells.position.purchases
        if line.category == category
    )


def _running(side: Side, category: str, assumptions: Assumptions) -> float:
    return sum(
        line.usd_per_year * assumptions.price_factor(line.driver)
        for line in side.cells.position.running
        if line.category == category
    )


def _charts(
    book: Book, sheet: Sheet, sides: Sequence[Side], row: int, capital: int, last: int
) -> None:
    """Cumulative cash flow by year, up to a last column, and capital by category from a row on."""
    line = book.workbook.add_chart({"type": "line"})
    for column, side in enumerate(sides, start=2):
        if side.cumulative is None:
            continue
        name = side.measures.grid.sheet.name
        line.add_series(
            {
                "name": [NAME, capital - 1, column],
                "categories": [name, HEAD, FIRST, HEAD, last],
                "values": [name, side.cumulative, FIRST, side.cumulative, last],
                "line": {"width": 2.25},
            }
        )
    _finish(line, "Cumulative net cash flow after tax", "Year")
    stacked = book.workbook.add_chart({"type": "column", "subtype": "stacked"})
    for at in range(capital, capital + len(CATEGORIES)):
        stacked.add_series(
            {
                "name": [NAME, at, 0],
                "categories": [NAME, capital - 1, 2, capital - 1, 1 + len(sides)],
                "values": [NAME, at, 2, at, 1 + len(sides)],
                "gap": 80,
            }
        )
    _finish(stacked, "Capital by category", "")
    sheet.worksheet.insert_chart(row, 0, line, {"y_offset": 6})
    sheet.worksheet.insert_chart(row, 2, stacked, {"x_offset": 20, "y_offset": 6})


def _finish(chart: Any, title: str, across: str) -> None:
    chart.set_title({"name": title, "name_font": {"size": 12}})
    chart.set_x_axis({"name": across, "label_position": "low"})
    chart.set_y_axis(
        {
            "name": "USD million",
            "num_format": "#,##0.0,,",
            "major_gridlines": {"visible": True, "line": {"color": "#D9D9D9"}},
        }
    )
    chart.set_legend({"position": "bottom"})
    chart.set_size({"width": 440, "height": 300})


def _notes(sheet: Sheet, row: int, last: int) -> int:
    """How to read the book."""
    sheet.text(row, 0, "How to read this book", "part")
    for text in ABOUT:
        row += 1
        sheet.wrapped(row, 0, last, text)
    row += 2
    sheet.text(row, 0, "Measures", "part")
    for text in MEASURES.values():
        row += 1
        sheet.wrapped(row, 0, last, text)
    return row + 1
