"""The first sheet: what the book is and how to read it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from planner.finance.workbook.book import Book, Sheet
from planner.finance.workbook.comparison import NAME as COMPARISON
from planner.finance.workbook.inputs import NAME as ASSUMPTIONS
from planner.laws.returns import MEASURES

if TYPE_CHECKING:
    from planner.finance.study import FinanceStudy

NAME = "Read me"
ABOUT = (
    "This book values the builds named below against the first of them, which is what exists. All "
    "figures of money follow from the sheet Assumptions by formulas that stand in the cells; "
    "nothing is hidden, locked or done by macros.",
    "Year 0 is today. What happens in a year is paid at its end, at the prices of that year. An "
    "asset is bought in year 0 and anew at the end of its life; between, its value falls in equal "
    "parts to what it earns then, and what is left at the horizon is income there.",
    "Running costs, failures and tax count as the difference to what exists. Losses are set off "
    "against other profit, so tax may be income.",
    "What failures cost comes from simulated failures (sheets Risk, Scenarios) and enters the cash "
    "flow as a mean year. The sheets Risk, Scenarios and Sensitivity hold figures of the planner; "
    "they do not follow a change of inputs unless their head says so.",
)
SHEETS = (
    (ASSUMPTIONS, "Every input, each with its name in formulas, unit and meaning."),
    (COMPARISON, "All builds side by side, charts, and a check against the planner's own figures."),
    ("Plan …", "What a build buys and costs to run: quantities times prices."),
    ("Cash flow …", "Cash flows by year, and under them every measure."),
    ("Assets …", "Each purchase by year: price, depreciation, book value, sale."),
    ("MACRS", "Tables of accelerated depreciation."),
    ("Risk", "Losses of a year with intervals, exceedance curve, availability, credits."),
    ("Scenarios", "Outcome of every scenario on every build."),
    ("Sensitivity", "Tornado, break-evens, and which inputs change the plan."),
    ("Ledger", "The recorded incident: as printed, by formula, difference."),
    ("Sources", "Where the figures of the model come from."),
)


def write_readme(book: Book, sheet: Sheet, study: FinanceStudy, checked: str) -> None:
    """Write the first sheet."""
    sheet.title(f"{book.title}", "")
    row = _facts(sheet, 2, study)
    row = _check(sheet, row, checked)
    row = _paragraphs(sheet, row + 1, "What this is", ABOUT)
    row = _colours(sheet, row + 1)
    row = _pairs(sheet, row + 1, "Sheets", SHEETS)
    measures = [(key.replace("_", " "), text) for key, text in MEASURES.items()]
    _pairs(sheet, row + 1, "What each measure is", measures)


def _facts(sheet: Sheet, row: int, study: FinanceStudy) -> int:
    facts = [
        ("Model", study.model),
        ("SHA-256 of the model", study.sha256),
        ("Created", study.created),
        ("Builds", "; ".join(one.build.name for one in study.valued)),
        ("Failures", study.sampled),
        ("Versions", ", ".join(f"{name} {number}" for name, number in study.versions.items())),
    ]
    for label, text in facts:
        sheet.text(row, 0, label)
        sheet.text(row, 1, text, "wrap")
        row += 1
    return row


def _check(sheet: Sheet, row: int, checked: str) -> int:
    """Whether the figures are those that the planner delivered."""
    sheet.text(row, 0, "Inputs")
    same, other = "as delivered", "changed: figures differ from those delivered"
    sheet.formula(row, 1, f'IF({checked}<0.01,"{same}","{other}")', same, "text", "total")
    return row + 1


def _paragraphs(sheet: Sheet, row: int, title: str, texts: Sequence[str]) -> int:
    sheet.texts(row, 0, (title, ""), "part")
    for row_of, text in enumerate(texts, start=row + 1):
        sheet.text(row_of, 1, text, "wrap")
    return row + 1 + len(texts)


def _colours(sheet: Sheet, row: int) -> int:
    sheet.texts(row, 0, ("Colours", ""), "part")
    for offset, (look, text) in enumerate(
        (
            (
                "input",
                "An input: change it. All are on the sheet Assumptions, but for the printed inputs "
                "of the Ledger.",
            ),
            ("plan", "A quantity of a plan, or a printed figure."),
            ("plain", "A formula, or a figure of the planner where the head of the sheet says so."),
            ("total", "A sum or a measure."),
        ),
        start=1,
    ):
        sheet.text(row + offset, 0, "like this", look)
        sheet.text(row + offset, 1, text, "wrap")
    return row + 5


def _pairs(sheet: Sheet, row: int, title: str, pairs: Sequence[tuple[str, str]]) -> int:
    sheet.texts(row, 0, (title, ""), "part")
    for row_of, (first, second) in enumerate(pairs, start=row + 1):
        sheet.text(row_of, 0, first)
        sheet.text(row_of, 1, second, "wrap")
    return row + 1 + len(pairs)
