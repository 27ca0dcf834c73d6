"""Sheets of the recorded incident, of sensitivity, and of sources."""

from __future__ import annotations

import ast
import csv
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from planner.finance.ledger import LedgerLine, break_even
from planner.finance.workbook.book import Book, Sheet, cell
from planner.infrastructure.catalogue import CATALOGUES, catalogue, data_directory
from planner.infrastructure.entities import Model

if TYPE_CHECKING:
    from planner.finance.assumptions import Assumptions
    from planner.finance.study import FinanceStudy

LEDGER, SENSITIVITY, SOURCES = "Ledger", "Sensitivity", "Sources"
FINANCE = "finance.csv"
#: An entity is an entry of the catalogue if at least this share of its figures is the same.
ALIKE = 0.7
SIGNS: dict[type[ast.operator], str] = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}


def write_ledger(book: Book, lines: Sequence[LedgerLine], assumptions: Assumptions) -> None:
    """Write what is printed about the incident beside what its own inputs give."""
    sheet = book.sheet(LEDGER, (40, 16, 20, 20, 20, 12, 14, 60, 60))
    sheet.title(
        "Ledger of the recorded incident",
        "Figures as printed, and worked out live from the printed inputs at the foot of the sheet. "
        "Nothing is corrected.",
    )
    heads = (
        "Item",
        "Group",
        "Printed",
        "By formula",
        "Difference",
        "Ratio",
        "Unit",
        "Formula",
        "Note",
    )
    sheet.texts(3, 0, heads, "head")
    sheet.freeze(4, 1)
    figures = {name: value for line in lines for name, value in line.inputs}
    foot = 4 + len(lines) + 8
    at = {name: cell(foot + 1 + index, 1) for index, name in enumerate(figures)}
    rows: dict[str, int] = {}
    for row, line in enumerate(lines, start=4):
        sheet.texts(row, 0, (line.item, line.group))
        if line.printed is not None:
            sheet.number(row, 2, line.printed, "number", "plan")
        if line.by_formula is not None:
            formula = spreadsheet_formula(line.formula, at)
            sheet.formula(row, 3, formula, line.by_formula, "number")
        if line.difference is not None:
            sheet.formula(row, 4, f"D{row + 1}-C{row + 1}", line.difference, "number")
            ratio = line.ratio if line.printed else None
            formula = f'IF(C{row + 1}=0,"none",D{row + 1}/C{row + 1})'
            sheet.formula(row, 5, formula, ratio, "index")
        sheet.texts(row, 6, (line.unit, line.formula, line.note), "aside")
        if line.role:
            rows[line.role] = row
    _break_even(sheet, 4 + len(lines) + 1, lines, rows, assumptions)
    sheet.texts(foot, 0, ("Printed inputs", "Value"), "head")
    for index, (name, value) in enumerate(figures.items()):
        sheet.text(foot + 1 + index, 0, name)
        kind = "whole" if value == int(value) else "small"
        sheet.number(foot + 1 + index, 1, value, kind, "input")


def _break_even(
    sheet: Sheet,
    row: int,
    lines: Sequence[LedgerLine],
    rows: Mapping[str, int],
    assumptions: Assumptions,
) -> None:
    """Incidents in ten years that justify the prevention, with and without interest."""
    found = break_even(lines, assumptions.discount_rate)
    if not found:
        return
    heads = (
        "Incidents in ten years that justify the prevention",
        "Basis",
        "without interest",
        "with interest",
    )
    sheet.texts(row, 0, heads, "head")
    for index, one in enumerate(found):
        line = row + 1 + index
        # As printed, else by formula; and the other way round.
        first, second = ("C", "D") if one.basis == "printed" else ("D", "C")
        part = {
            role: f"IF(ISNUMBER({first}{at + 1}),{first}{at + 1},{second}{at + 1})"
            for role, at in rows.items()
        }
        sheet.texts(line, 0, ("", one.basis))
        for column, rate, value in (
            (2, "0", one.incidents),
            (3, "discount_rate", one.incidents_discounted),
        ):
            yearly = f"(-PMT({rate},{one.years},{part['capital']})+{part['yearly']})"
            formula = f"{one.years}*{yearly}/{part['incident']}"
            sheet.formula(line, column, formula, value, "index")


def spreadsheet_formula(text: str, at: Mapping[str, str]) -> str:
    """A formula over names as one over cells.

    >>> spreadsheet_formula("(gpus - 200) * 2 / hours", {"gpus": "$B$1", "hours": "$B$2"})
    '((($B$1-200)*2)/$B$2)'
    """
    return _written(ast.parse(text.strip(), mode="eval").body, at)


def _written(node: ast.expr, at: Mapping[str, str]) -> str:
    match node:
        case ast.BinOp(left, operation, right):
            return f"({_written(left, at)}{SIGNS[type(operation)]}{_written(right, at)})"
        case ast.UnaryOp(ast.USub(), operand):
            return f"(-{_written(operand, at)})"
        case ast.UnaryOp(ast.UAdd(), operand):
            return _written(operand, at)
        case ast.Constant(int() | float() as value):
            return f"{value!r}"
        case ast.Name(name):
            return at[name]
    raise ValueError(f"expected names, numbers, + - * / and brackets, got {ast.dump(node)}")


def write_sensitivity(
    book: Book, study: FinanceStudy, npv: Mapping[str, tuple[str, float]]
) -> None:
    """Write tornado, break-evens and what would change the plan.

    Parameters
    ----------
    npv
        Cell and value of the net present value by build.
    """
    sheet = book.sheet(SENSITIVITY, (30, 14, 14, 18, 18, 18, 18, 18, 18, 70))
    sheet.title(
        "Sensitivity",
        "One input at a time, worked out by the planner with the inputs as delivered: figures. Put "
        "a value into Assumptions to see the same net present value live.",
    )
    sheet.freeze(3, printed=False)
    row = 3
    for name, swings in study.swings.items():
        row = _tornado(book, sheet, row, name, swings, npv.get(name)) + 1
        row = _break_evens(sheet, row, study.break_evens.get(name, ())) + 2
    if study.replanned:
        _replanned(sheet, row, study)


def _tornado(
    book: Book, sheet: Sheet, row: int, name: str, swings: Sequence[object], npv: object
) -> int:
    from planner.finance.sensitivity import Swing

    heads = (
        f"Tornado: {name}",
        "Low",
        "High",
        f"NPV low, {book.money_unit}",
        f"NPV high, {book.money_unit}",
        f"NPV as assumed, {book.money_unit}",
        "Change, low",
        "Change, high",
        "Swing",
        "Why this range",
    )
    sheet.texts(row, 0, heads[:1], "head")
    sheet.texts(row, 1, heads[1:-1], "figures")
    sheet.text(row, len(heads) - 1, heads[-1], "head")
    first = row + 1
    for line, swing in enumerate(swings, start=first):
        assert isinstance(swing, Swing)
        kind = "share" if swing.input.kind == "rate" else "factor"
        sheet.text(line, 0, swing.input.name)
        sheet.number(line, 1, swing.low, kind)
        sheet.number(line, 2, swing.high, kind)
        sheet.number(line, 3, swing.npv_low_usd, "money")
        sheet.number(line, 4, swing.npv_high_usd, "money")
        sheet.number(line, 5, swing.npv_usd, "money")
        for column, source, value in (
            (6, 3, swing.npv_low_usd - swing.npv_usd),
            (7, 4, swing.npv_high_usd - swing.npv_usd),
        ):
            formula = f"{cell(line, source)}-{cell(line, 5)}"
            sheet.formula(line, column, formula, value, "money")
        sheet.formula(line, 8, f"ABS({cell(line, 4)}-{cell(line, 3)})", abs(swing.usd), "money")
        sheet.text(line, 9, swing.input.reason, "note")
    last = first + len(swings) - 1
    if npv is not None and swings:
        assert isinstance(npv, tuple)
        sheet.text(last + 1, 0, "Net present value now, live", "total")
        sheet.formula(last + 1, 5, npv[0], npv[1], "money", "total")
    if not swings:
        return row + 2
    chart = book.workbook.add_chart({"type": "bar", "subtype": "stacked"})
    for column, colour, title in ((6, "#C55A11", "low value"), (7, "#2E75B6", "high value")):
        chart.add_series(
            {
                "name": title,
                "categories": [SENSITIVITY, first, 0, last, 0],
                "values": [SENSITIVITY, first, column, last, column],
                "fill": {"color": colour},
                "gap": 40,
                "overlap": 100,
            }
        )
    number = "#,##0.0,," if book.in_millions else "#,##0"
    title = f"Change of the net present value, {book.money_unit}"
    chart.set_title({"name": title, "name_font": {"size": 12}})
    chart.set_y_axis({"reverse": True, "label_position": "low"})
    chart.set_x_axis(
        {
            "num_format": number,
            "major_gridlines": {"visible": True, "line": {"color": "#D9D9D9"}},
        }
    )
    chart.set_legend({"position": "bottom"})
    chart.set_size({"width": 760, "height": 130 + 26 * len(swings)})
    sheet.worksheet.insert_chart(last + 3, 0, chart)
    return last + 3 + (130 + 26 * len(swings)) // 20 + 1


def _break_evens(sheet: Sheet, row: int, found: Sequence[object]) -> int:
    from planner.finance.sensitivity import BreakEven

    if not found:
        return row
    sheet.text(row, 0, "Net present value of zero at", "head")
    sheet.texts(row, 1, ("Today", "Break-even", "Times today's"), "figures")
    sheet.text(row, 4, "Note", "head")
    for line, one in enumerate(found, start=row + 1):
        assert isinstance(one, BreakEven)
        kind = "share" if one.input.kind == "rate" else "factor"
        sheet.text(line, 0, one.input.name)
        sheet.number(line, 1, one.base, kind)
        sheet.number(line, 2, one.value, kind)
        sheet.number(line, 3, one.times, "index")
        sheet.text(line, 4, one.reason, "note")
    return row + 1 + len(found)


def _replanned(sheet: Sheet, row: int, study: FinanceStudy) -> None:
    heads = (
        "Plan for another value of",
        "Side",
        "Value",
        "USD per year",
        "Capital",
        "Survives",
        "Kept plan, per year",
        "Kept survives",
        "",
        "What changes",
    )
    sheet.texts(row, 0, heads, "head")
    for line, one in enumerate(study.replanned, start=row + 1):
        kind = "share" if one.input.kind == "rate" else "factor"
        sheet.texts(line, 0, (one.input.name, one.side))
        sheet.number(line, 2, one.value, kind)
        sheet.number(line, 3, one.usd_per_year, "money")
        sheet.number(line, 4, one.capital_usd, "money")
        sheet.text(line, 5, _yes(one.survives))
        sheet.number(line, 6, one.kept_usd_per_year, "money")
        sheet.text(line, 7, _yes(one.kept_survives))
        sheet.text(line, 9, "; ".join((*one.changed, one.note)) or "nothing", "note")


def _yes(value: bool | None) -> str:
    return "" if value is None else "yes" if value else "no"


# ----------------------------------------------------------------------------------------- sources


def write_sources(book: Book, study: FinanceStudy) -> None:
    """Write the figures of the data sets that the model uses, with what stands behind them."""
    sheet = book.sheet(SOURCES, (22, 26, 26, 34, 18, 18, 24, 12, 22, 14, 80))
    sheet.title(
        "Sources",
        "Figures of the shipped data sets that the model uses, matched by name or by value; where "
        "the model states another, both stand here. Source ids: datasets/SOURCES.md.",
    )
    heads = (
        "File",
        "Used for",
        "Entry",
        "Figure",
        "In the model",
        "In the data set",
        "Unit",
        "Year",
        "Confidence",
        "Source",
        "Note",
    )
    sheet.texts(3, 0, heads, "head")
    sheet.freeze(4, 1)
    row = 4
    seen: set[tuple[str, ...]] = set()
    for record in _finance(study.assumptions):
        _source(sheet, row, *record)
        row += 1
    for one in study.valued:
        for file, used, entry, attribute, value, source in _used(one.build.model):
            key = (file, used, entry, attribute, str(value))
            if key not in seen:
                seen.add(key)
                _source(sheet, row, file, used, entry, attribute, value, source)
                row += 1
    sheet.worksheet.autofilter(3, 0, max(4, row - 1), len(heads) - 1)


type Row = Mapping[str, str]
type Record = tuple[str, str, str, str, object, Row]


def _source(
    sheet: Sheet,
    row: int,
    file: str,
    used: str,
    entry: str,
    figure: str,
    value: object,
    source: Row,
) -> None:
    sheet.texts(row, 0, (file, used, entry, figure))
    for column, one in ((4, value), (5, _number(source["value"]))):
        if isinstance(one, int | float):
            sheet.number(row, column, float(one), "small")
        else:
            sheet.text(row, column, str(one))
    texts = [source.get(name, "") for name in ("unit", "year", "confidence", "source", "note")]
    sheet.texts(row, 6, texts, "aside")


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _rows(file: str) -> list[Row]:
    with (data_directory("datasets") / file).open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def _finance(assumptions: Assumptions) -> Iterator[Record]:
    """Figures of the finance table behind the terms of money."""
    for source in _rows(FINANCE):
        stem = source["attribute"].removesuffix("_low").removesuffix("_high")
        if source["name"] == "default" and hasattr(assumptions, stem):
            value = getattr(assumptions, stem)
            yield (FINANCE, "terms of money", "default", source["attribute"], value, source)


def _used(model: Model) -> Iterator[Record]:
    """Figures of catalogues behind the entities of a model."""
    for section, file in CATALOGUES.items():
        sources = _rows(file)
        for name, entity in getattr(model, section).items():
            entry = _entry(name, entity, file)
            for source in sources if entry else ():
                stem = source["attribute"].removesuffix("_low").removesuffix("_high")
                if source["name"] == entry and stem in type(entity).model_fields:
                    value = getattr(entity, stem)
                    yield (file, f"{section}.{name}", entry, source["attribute"], value, source)


def _entry(name: str, entity: object, file: str) -> str:
    """Entry of a catalogue that an entity is: that of its name, else the one it is most alike."""
    entries = catalogue(file)
    if name in entries:
        return name
    alike = {entry: _alike(entity, figures) for entry, figures in entries.items()}
    # Entries may be alike in all but their names.
    best = max(alike, key=lambda entry: (alike[entry], name.lower() in entry.lower()), default="")
    return best if best and alike[best] >= ALIKE else ""


def _alike(entity: object, figures: Mapping[str, object]) -> float:
    """Share of the figures of an entry that an entity has too."""
    fields = type(entity).model_fields  # type: ignore[attr-defined]
    known = {one: value for one, value in figures.items() if one in fields}
    same = sum(getattr(entity, one) == value for one, value in known.items())
    return same / len(known) if known else 0.0
