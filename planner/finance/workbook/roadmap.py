"""The workbook of roadmaps: every cash flow with its date, and calendar years by live formulas."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from planner.files import write_file
from planner.finance.roadmaps import OTHER, RoadmapFinance
from planner.finance.workbook.book import Book, Sheet, cell, columns_of

FLOWS = [(title, kind) for title, kind, _ in columns_of("Cash flows")]
HEAD = 2
EXPLAINED = (
    "Before tax. Paid is positive. Capital is paid when equipment comes into service, all else at "
    "the end of its period, in the mean of all paths. Change the discount rate here and the cash "
    "flows on their sheets; everything else follows."
)


def write_roadmap_workbook(studies: Sequence[RoadmapFinance], path: Path) -> None:
    """Write the workbook of roadmaps, whole or not at all.

    Raises
    ------
    InputError
        If it cannot be written.
    """
    write_file(roadmap_workbook(studies), path)


def roadmap_workbook(studies: Sequence[RoadmapFinance]) -> bytes:
    """The workbook; the same roadmaps give the same bytes."""
    first = studies[0].roadmap
    widest = max(abs(usd) for study in studies for usd in (study.npv_usd, study.capital_usd))
    book = Book(f"Roadmap of {first.model.name}", first.created, widest)
    front = book.sheet("Roadmaps", (34.0, *[18.0] * len(studies)))
    front.title(f"Roadmap of {first.model.name}")
    front.wrapped(1, 0, max(3, len(studies)), EXPLAINED)
    front.text(3, 0, "discount rate, a year")
    front.number(3, 1, first.horizon.discount_rate, "share", "input")
    book.define("discount_rate", front, (3, 1))
    labels = ("expected capital, USD", "net present value, USD", "internal rate of return")
    front.texts(5, 0, ("", *(study.name for study in studies)), "head")
    for row, label in enumerate(labels, 6):
        front.text(row, 0, label, "measure")
    for column, study in enumerate(studies, 1):
        _write_study(book, front, column, study)
    return book.content()


def _write_study(book: Book, front: Sheet, column: int, study: RoadmapFinance) -> None:
    """The sheets of a roadmap, and its measures on the front sheet."""
    flows = book.sheet(f"Cash flows {study.name}", (14, 8, 8, 13, 30, 16, 12, 16, 18))
    last = _write_flows(flows, study)
    years = book.sheet(f"Years {study.name}", (26.0, *[book.amount_width] * len(study.by_month)))
    years.title(f"{study.name}: expected cash flows by calendar year, USD")
    capital = _write_years(years, flows, study, last)
    net = _write_dates(years, flows, study, len(study.by_year) + HEAD + 3, last)
    front.formula(6, column, capital, study.capital_usd, "money", "measure")
    worth = f"-SUM({flows.absolute((HEAD + 1, 8), (last, 8))})"
    front.formula(7, column, worth, study.npv_usd, "money", "measure")
    shown, rate = _rate_formula(net, study), study.irr.rate
    if study.other_usd:
        front.formula(8, column, shown, rate, "share", "measure")
    else:
        front.number(8, column, None, "share", "measure")


def _write_flows(sheet: Sheet, study: RoadmapFinance) -> int:
    """Every cash flow in a row of its own; returns the last row."""
    sheet.title(f"{study.name}: cash flows", "expected USD and present value are formulas")
    sheet.freeze(HEAD + 1)
    lines: list[tuple[str, int, int, str, str, float, float]] = [
        (
            *(flow.record.node, flow.record.month, flow.year, flow.record.category),
            *(flow.record.asset, flow.record.usd, flow.probability),
        )
        for flow in study.flows
    ]
    for (month, usd), year in zip(study.other_flows(), study.other_usd, strict=True):
        lines.append(("", month, year, OTHER, "stated beside the roadmap", -usd, 1.0))
    rate = study.roadmap.horizon.discount_rate
    row = sheet.table(HEAD, FLOWS, [(*line, None, None) for line in lines])
    for at, line in enumerate(lines, HEAD + 1):
        sheet.number(at, 5, line[5], "usd", "input")
        expected = line[5] * line[6]
        sheet.formula(at, 7, f"{cell(at, 5)}*{cell(at, 6)}", expected, "usd")
        factor = f"(1+discount_rate)^({cell(at, 1)}/12)"
        worth = expected / (1 + rate) ** (line[1] / 12)
        sheet.formula(at, 8, f"{cell(at, 7)}/{factor}", worth, "usd")
    return row - 1


def _ranges(flows: Sheet, last: int, *columns: int) -> list[str]:
    return [flows.absolute((HEAD + 1, column), (last, column)) for column in columns]


def _write_years(years: Sheet, flows: Sheet, study: RoadmapFinance, last: int) -> str:
    """Sums by category and year; returns a formula of all capital."""
    usd, of_year, of_category = _ranges(flows, last, 7, 2, 3)
    years.text(HEAD, 0, "paid, by category", "head")
    end = HEAD + len(study.by_year)
    for column, year in enumerate(study.years, 1):
        years.number(HEAD, column, year, "year", "figures")
        for row, (category, values) in enumerate(study.by_year.items(), HEAD + 1):
            years.text(row, 0, category)
            sums = f"SUMIFS({usd},{of_category},$A{row + 1},{of_year},{cell(HEAD, column)})"
            years.formula(row, column, sums, values[year], "money")
        total = sum(values[year] for values in study.by_year.values())
        above = f"SUM({cell(HEAD + 1, column)}:{cell(end, column)})"
        years.formula(end + 1, column, above, total, "money", "total")
    years.text(end + 1, 0, "all", "total")
    return f'SUMIFS({usd},{of_category},"capital")'


def _write_dates(years: Sheet, flows: Sheet, study: RoadmapFinance, row: int, last: int) -> str:
    """Net cash flow at every date, equally far apart; returns the range of them."""
    usd, of_month = _ranges(flows, last, 7, 1)
    step = study.step_months
    dates = range(0, study.last_month + 1, step)
    years.text(row, 0, "month after the start", "head")
    years.text(row + 1, 0, "received less paid")
    for column, month in enumerate(dates, 1):
        years.number(row, column, month, "whole", "figures")
        sums = f"-SUMIFS({usd},{of_month},{cell(row, column)})"
        years.formula(row + 1, column, sums, study.by_month.get(month, 0.0), "money")
    return years.absolute((row + 1, 1), (row + 1, len(dates)))


def _rate_formula(net: str, study: RoadmapFinance) -> str:
    power = 12 / study.step_months
    return f'IFERROR((1+IRR({net}))^{power:g}-1,"none")'
