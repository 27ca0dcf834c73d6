"""The sheet that holds every input, each a named range."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from planner.finance.assumptions import Assumptions
from planner.finance.builds import CATEGORIES
from planner.finance.cashflow import Losses
from planner.finance.workbook.book import Book, Floats, Sheet
from planner.finance.workbook.terms import PricedItem, Rate, Terms, items_of, rates_of
from planner.laws.depreciation import TAX_CLASSES

NAME = "Assumptions"
#: Columns: input, value and up to three more, name in formulas, meaning.
WIDTHS = (44, 18, 22, 16, 16, 46, 90)
VALUE, UNIT, NAMED, MEANING = 1, 2, 5, 6

#: Least horizon for which there are columns, years.
COLUMNS = 30

#: Attribute of `Assumptions`, what it is, unit, kind of number, meaning.
RATES = (
    (
        "discount_rate",
        "Discount rate",
        "share per year",
        "share",
        "Cost of capital, nominal; finance.discount_rate of the model. "
        "datasets/finance.csv: 9 %, from 8 to 10 %.",
    ),
    (
        "tax_rate",
        "Tax rate",
        "share of profit",
        "share",
        "Losses are set off against other profit; finance.tax_rate of the model. "
        "datasets/finance.csv: 25 %, from 24 to 27 %.",
    ),
    (
        "inflation_per_year",
        "Inflation",
        "share per year",
        "share",
        "Growth of all prices but that of electricity; finance.inflation_per_year of the model.",
    ),
    (
        "electricity_inflation_per_year",
        "Inflation of electricity",
        "share per year",
        "share",
        "Growth of the price of electricity; finance.electricity_inflation_per_year of the model. "
        "datasets/finance.csv: 3 %, from 2 to 5 %.",
    ),
    (
        "demand_growth_per_year",
        "Growth of demand",
        "share per year",
        "share",
        "Growth of what failures cost and of the requests served; the plan does not grow. "
        "finance.demand_growth_per_year of the model.",
    ),
)
FACTORS = (
    ("gpu_price", "Price of GPUs", "Factor on the prices of GPUs and on their upkeep."),
    ("cooling_price", "Price of cooling", "Factor on the prices of cooling units and upkeep."),
    ("failure_rate", "Failure rates", "Factor on how often everything fails."),
    ("outage_value", "Worth of lost requests", "Factor on the worth of the requests lost."),
    ("surge", "Surge multipliers", "Factor on the surge prices of emergency capacity."),
)


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
    """Names of what is stated for a priced item."""

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
    book: Book, terms: Sequence[Terms], assumptions: Assumptions, other: Floats | None
) -> Inputs:
    """Write the sheet of inputs."""
    sheet = book.sheet(NAME, WIDTHS)
    sheet.title(
        "Assumptions",
        "Every input of the book. Change a cell on yellow and all sheets follow; quantities of a "
        "plan stand on its own sheet, on green.",
    )
    sheet.texts(2, 0, ("Input", "Value", "Unit", "", "", "Name in formulas", "Meaning"), "head")
    sheet.freeze(3, 1)
    writer = _Writer(book, sheet, 3)
    years = max(assumptions.horizon_years, COLUMNS)
    _terms_of_money(writer, assumptions, years)
    items = _items(writer, items_of(terms))
    rates = _rates(writer, rates_of(terms))
    builds = {one.position.name: _build(writer, one) for one in terms}
    _other(writer, other, years)
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

    def add(
        self,
        label: str,
        value: float,
        unit: str,
        name: str,
        meaning: str,
        kind: str,
        rule: Mapping[str, Any] | None = None,
    ) -> str:
        """One input with its name; returns that."""
        self.sheet.text(self.row, 0, label)
        self.sheet.number(self.row, VALUE, value, kind, "input")
        return self._finish(unit, name, meaning, rule)

    def choose(self, label: str, value: str, name: str, meaning: str, known: list[str]) -> str:
        """One input that is one of some words."""
        self.sheet.text(self.row, 0, label)
        self.sheet.text(self.row, VALUE, value, "input")
        return self._finish("", name, meaning, {"validate": "list", "source": known})

    def _finish(self, unit: str, name: str, meaning: str, rule: Mapping[str, Any] | None) -> str:
        self.sheet.text(self.row, UNIT, unit)
        found = self.name(name, VALUE)
        self.sheet.text(self.row, NAMED, found)
        self.sheet.text(self.row, MEANING, meaning, "aside")
        if rule is not None:
            self.sheet.worksheet.data_validation(self.row, VALUE, self.row, VALUE, dict(rule))
        self.row += 1
        return found

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
    rate = _between(-0.99, 10, "a share above -1, such as 0.09 or 9 %")
    for attribute, label, unit, kind, meaning in RATES:
        value = getattr(assumptions, attribute)
        writer.add(label, value, unit, attribute, meaning, kind, rate)
    writer.add(
        "Horizon",
        assumptions.horizon_years,
        "years",
        "horizon_years",
        f"Years over which returns are judged, up to {years}: there are columns for as many.",
        "year",
        _between(1, years, f"whole years from 1 to {years}", whole=True),
    )
    writer.part("Depreciation")
    writer.choose(
        "Method",
        assumptions.depreciation,
        "depreciation",
        "straight-line: equal parts over each life; macrs: the tables of the sheet MACRS.",
        ["straight-line", "macrs"],
    )
    for category in CATEGORIES:
        writer.add(
            f"Tax life of {category}",
            assumptions.tax_life(category),
            "years",
            f"tax_life_{category}",
            "Class of accelerated depreciation; used by macrs alone.",
            "year",
            {"validate": "list", "source": list(TAX_CLASSES)},
        )
    writer.part("Factors, 1 as delivered")
    for attribute, label, meaning in FACTORS:
        value, rule = getattr(assumptions, attribute), _between(0, 1e6, "a factor of 0 or more")
        writer.add(label, value, "factor", attribute, meaning, "factor", rule)


def _items(writer: _Writer, items: Sequence[PricedItem]) -> dict[PricedItem, ItemNames]:
    writer.part(
        "Prices of today",
        ("Price, USD each", "Life, years", "Salvage, USD each", "Upkeep a year", "Name of price"),
    )
    found = {}
    for item in items:
        sheet, row = writer.sheet, writer.row
        sheet.text(row, 0, f"{item.category}: {item.name}")
        stem = f"{item.category}_{item.name}"
        names = []
        cells = (
            ("price", item.usd_each, "usd"),
            ("life", item.life_years, "number"),
            ("salvage", item.salvage_usd_each, "usd"),
            ("upkeep", item.upkeep_share, "share"),
        )
        for column, (what, value, kind) in enumerate(cells, start=VALUE):
            if value is not None:
                sheet.number(row, column, value, kind, "input")
            names.append("" if value is None else writer.name(f"{what}_{stem}", column))
        sheet.text(row, NAMED, names[0])
        others = ", ".join(name for name in names[1:] if name)
        sheet.text(row, MEANING, f"Bought anew after its life; also {others}.", "aside")
        found[item] = ItemNames(*names)
        writer.row += 1
    return found


def _rates(writer: _Writer, rates: Sequence[Rate]) -> dict[Rate, str]:
    writer.part("Running cost, prices of today", ("USD", "per"))
    return {
        rate: writer.add(
            f"{rate.category}: {rate.name}",
            rate.usd,
            rate.unit,
            f"rate_{rate.category}_{rate.name}",
            "",
            "usd",
        )
        for rate in rates
    }


def _build(writer: _Writer, terms: Terms) -> BuildNames:
    position = terms.position
    losses: Losses = position.losses
    writer.part(f"Build: {position.name}")
    figures = (
        (
            "Worth of requests lost",
            losses.value_usd,
            "USD per year",
            "loss_value",
            "Mean of the sampled years at today's prices and demand; intervals on the sheet Risk.",
            "usd",
        ),
        ("Service credits", losses.credits_usd, "USD per year", "loss_credits", "Likewise.", "usd"),
        (
            "Emergency capacity",
            losses.emergency_usd,
            "USD per year",
            "loss_emergency",
            "Likewise.",
            "usd",
        ),
        (
            "GPUs in the end",
            position.gpus,
            "GPUs",
            "gpus",
            "Emergency capacity not among them.",
            "whole",
        ),
        (
            "Requests served",
            position.requests_per_year,
            "requests per year",
            "requests",
            "In a year without failures, at today's demand.",
            "whole",
        ),
    )
    names = [
        writer.add(label, value, unit, f"{name}_{position.name}", meaning, kind)
        for label, value, unit, name, meaning, kind in figures
    ]
    return BuildNames(*names)


def _other(writer: _Writer, other: Floats | None, years: int) -> None:
    writer.part("Other cash flows that each build but the first brings")
    first = writer.row
    for year in range(years + 1):
        usd = 0.0 if other is None or year >= len(other) else float(other[year])
        writer.sheet.text(writer.row, 0, f"Year {year}")
        writer.sheet.number(writer.row, VALUE, usd, "usd", "input")
        writer.sheet.text(writer.row, UNIT, "USD of that year")
        writer.row += 1
    last = writer.row - 1
    name = writer.book.define("other_flows", writer.sheet, (first, VALUE), (last, VALUE))
    writer.sheet.text(first, NAMED, name)
    writer.sheet.text(
        first, MEANING, "Income above 0, spending below 0, before tax; one cell a year.", "note"
    )
