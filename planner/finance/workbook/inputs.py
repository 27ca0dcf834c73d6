"""The sheet that holds every input, each a named range."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from planner.files import package_table
from planner.finance.assumptions import Assumptions
from planner.finance.builds import CATEGORIES, PricedItem, Rate
from planner.finance.cashflow import Position
from planner.finance.workbook.book import Book, Floats, Sheet
from planner.finance.workbook.terms import items_of, rates_of
from planner.laws.depreciation import TAX_CLASSES

NAME = "Assumptions"
WIDTHS = (44, 17, 24, 16, 16, 60)
VALUE, UNIT, MEANING = 1, 2, 5

#: Years for which there are columns at least, so that a longer horizon can be tried.
COLUMNS = 15

#: Rates and factors of `Assumptions` and what is stated for a build: label, unit, meaning.
TABLE = package_table("planner.finance.workbook", "inputs.csv")


@dataclass(frozen=True)
class BuildNames:
    """Names of what is stated for a build."""

    value: str
    credits: str
    emergency: str
    gpus: str
    requests: str


@dataclass(frozen=True)
class ItemNames:
    """Names of what is stated for a priced item; empty for what is not stated."""

    price: str
    life: str
    salvage: str
    upkeep: str


@dataclass(frozen=True)
class Inputs:
    """Names of all inputs.

    Parameters
    ----------
    items, rates
        By priced item and yearly rate.
    builds
        By name of the build.
    years
        Last year for which there is a column.
    """

    items: Mapping[PricedItem, ItemNames]
    rates: Mapping[Rate, str]
    builds: Mapping[str, BuildNames]
    years: int


def write_inputs(
    book: Book, positions: Sequence[Position], assumptions: Assumptions, other_usd: Floats | None
) -> Inputs:
    """Write the sheet of inputs."""
    sheet = book.sheet(NAME, WIDTHS)
    sheet.title(
        "Assumptions",
        "Every input of the book. Change a yellow cell and all cash flows follow; select it to "
        "see its name in formulas.",
    )
    sheet.texts(2, 0, ("Input", "Value", "Unit", "", "", "Meaning"), "head")
    sheet.freeze(3, 1)
    writer = _Writer(book, sheet, 3)
    years = max(assumptions.horizon_years, COLUMNS)
    _terms_of_money(writer, assumptions, years)
    _depreciation(writer, assumptions)
    items = _items(writer, items_of(positions))
    rates = _rates(writer, rates_of(positions))
    builds = {position.name: _build(writer, position) for position in positions}
    _other(writer, other_usd, years)
    sheet.worksheet.print_area(0, 0, writer.row, MEANING)
    return Inputs(items, rates, builds, years)


@dataclass
class _Writer:
    """Where the next input goes."""

    book: Book
    sheet: Sheet
    row: int

    def part(self, title: str, columns: Sequence[str] = ()) -> None:
        """Begin a part."""
        self.row += 1
        self.sheet.text(self.row, 0, title, "part")
        self.sheet.texts(self.row, 1, [*columns, *[""] * (MEANING - len(columns))], "part")
        self.row += 1

    def add(self, label: str, value: float | str, kind: str, name: str) -> str:
        """One input with its name, as the formulas have it; `describe` ends its row."""
        self.sheet.text(self.row, 0, label)
        if isinstance(value, str):
            self.sheet.text(self.row, VALUE, value, "input")
        else:
            self.sheet.number(self.row, VALUE, value, kind, "input")
        return self.name(name, VALUE)

    def describe(self, unit: str, meaning: str, rule: Mapping[str, Any] | None = None) -> None:
        """Unit, meaning and rule of the input of this row."""
        self.sheet.text(self.row, UNIT, unit)
        self.sheet.text(self.row, MEANING, meaning, "aside")
        if rule is not None:
            self.sheet.worksheet.data_validation(self.row, VALUE, self.row, VALUE, dict(rule))
        self.row += 1

    def name(self, name: str, column: int) -> str:
        """Name a cell of this row."""
        return self.book.define(name, self.sheet, (self.row, column))


def _between(least: float, most: float, what: str, whole: bool = False) -> dict[str, Any]:
    return {
        "validate": "integer" if whole else "decimal",
        "criteria": "between",
        "minimum": least,
        "maximum": most,
        "error_title": "Out of range",
        "error_message": f"Expected {what}.",
    }


def _terms_of_money(writer: _Writer, assumptions: Assumptions, years: int) -> None:
    writer.part("Rates")
    rule = _between(-0.99, 10, "a share above -1, such as 0.09 or 9 %")
    _stated(writer, assumptions, "rate", "share", rule)
    writer.add("Horizon", assumptions.horizon_years, "year", "horizon_years")
    rule = _between(1, years, f"whole years from 1 to {years}", whole=True)
    writer.describe("years", f"Years that count, up to {years}: finance.horizon_years.", rule)
    writer.part("Sensitivity factors")
    rule = _between(0, 1e6, "a factor of 0 or more")
    _stated(writer, assumptions, "factor", "factor", rule)


def _stated(
    writer: _Writer, assumptions: Assumptions, kind: str, number: str, rule: dict[str, Any]
) -> None:
    for row in TABLE:
        if row["kind"] == kind:
            attribute = row["attribute"]
            writer.add(row["label"], getattr(assumptions, attribute), number, attribute)
            writer.describe(row["unit"], row["meaning"], rule)


def _depreciation(writer: _Writer, assumptions: Assumptions) -> None:
    writer.part("Depreciation for tax")
    writer.add("Method", assumptions.depreciation, "text", "depreciation")
    writer.describe(
        "",
        "straight-line: equal parts over each life; macrs: the sheet Tax tables.",
        {"validate": "list", "source": ["straight-line", "macrs"]},
    )
    for category in CATEGORIES:
        name = f"tax_life_{category}"
        writer.add(f"Tax life of {category}", assumptions.tax_life(category), "year", name)
        rule = {"validate": "list", "source": list(TAX_CLASSES)}
        writer.describe("years", "Class of accelerated depreciation (macrs).", rule)


def _items(writer: _Writer, items: Sequence[PricedItem]) -> dict[PricedItem, ItemNames]:
    columns = ("Price, USD each", "Life, years", "Salvage, USD each", "Upkeep of price per year")
    writer.part("Prices of today; all is replaced at the end of its life", columns)
    found = {}
    for item in items:
        writer.sheet.text(writer.row, 0, f"{item.category}: {item.name}")
        names = []
        cells = (
            ("price", item.usd_each, "usd"),
            ("life", item.life_years, "number"),
            ("salvage", item.salvage_usd_each, "usd"),
            ("upkeep", item.upkeep_share, "share"),
        )
        for column, (what, value, kind) in enumerate(cells, start=VALUE):
            if value is not None:
                writer.sheet.number(writer.row, column, value, kind, "input")
            stem = f"{what}_{item.category}_{item.name}"
            names.append("" if value is None else writer.name(stem, column))
        found[item] = ItemNames(*names)
        writer.row += 1
    return found


def _rates(writer: _Writer, rates: Sequence[Rate]) -> dict[Rate, str]:
    writer.part("Running costs, prices of today")
    found = {}
    for rate in rates:
        name = f"rate_{rate.category}_{rate.name}"
        found[rate] = writer.add(f"{rate.category}: {rate.name}", rate.usd, "usd", name)
        writer.describe(rate.unit, "")
    return found


def _build(writer: _Writer, position: Position) -> BuildNames:
    losses = position.losses
    writer.part(f"Build: {position.name}")
    values = (
        losses.value_usd,
        losses.credits_usd,
        losses.emergency_usd,
        position.gpus,
        position.requests_per_year,
    )
    names = []
    rows = (row for row in TABLE if row["kind"] == "build")
    for row, value in zip(rows, values, strict=True):
        money = row["unit"].startswith("USD")
        stem = f"loss_{row['attribute']}" if money else row["attribute"]
        kind = "usd" if money else "whole"
        names.append(writer.add(row["label"], value, kind, f"{stem}_{position.name}"))
        writer.describe(row["unit"], row["meaning"])
    return BuildNames(*names)


def _other(writer: _Writer, other_usd: Floats | None, years: int) -> None:
    writer.part("Other cash flows that each build but the first brings, before tax")
    first = writer.row
    for year in range(years + 1):
        usd = 0.0 if other_usd is None or year >= len(other_usd) else float(other_usd[year])
        writer.sheet.text(writer.row, 0, f"Year {year}")
        writer.sheet.number(writer.row, VALUE, usd, "usd", "input")
        writer.sheet.text(writer.row, UNIT, "USD of that year")
        writer.row += 1
    writer.book.define("other_flows", writer.sheet, (first, VALUE), (writer.row - 1, VALUE))
    writer.sheet.text(first, MEANING, "Income positive, spending negative.", "aside")
