"""The sheet of a build's purchases by year: bought, written off, replaced, sold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from planner.finance.assumptions import Assumptions
from planner.finance.builds import Purchase
from planner.finance.cashflow import AssetFlows, asset_flows, replaced_after
from planner.finance.workbook.book import Book, Floats, Sheet, letter
from planner.finance.workbook.grid import FIRST, WIDTHS, Grid, Year
from planner.finance.workbook.plans import AssetCells, PlanCells
from planner.finance.workbook.terms import Terms
from planner.laws.depreciation import BUILDING_YEARS, MOST_YEARS, PERCENTAGES, TAX_CLASSES, macrs

TABLE = "MACRS"
#: Column of the sheet of purchases by which rows are added up.
KIND = 2
CAPITAL, PROCEEDS, DEPRECIATION, BOOK = "capital", "proceeds", "depreciation", "book value"


@dataclass(frozen=True)
class AssetSheet:
    """Where purchases stand by year."""

    sheet: Sheet
    last_row: int

    def total(self, kind: str, year: Year) -> str:
        """Formula of all rows of a kind in a year."""
        amounts = self.sheet.absolute(
            (0, FIRST + year.number), (self.last_row, FIRST + year.number)
        )
        kinds = self.sheet.absolute((0, KIND), (self.last_row, KIND))
        return f'SUMIFS({amounts},{kinds},"{kind}")'


def write_macrs(book: Book, years: int) -> None:
    """Write the tables of accelerated depreciation: shares of each year, and what is written off.

    ``macrs_written_off`` starts with year 0, ``macrs_classes`` are its rows.
    """
    sheet = book.sheet(TABLE, (18,))
    sheet.title(
        "MACRS",
        "Share of the cost written off each year by tax life; half-year convention. IRS "
        "Publication 946, appendix A, tables A-1 and, with half a year at either end, A-7a "
        "(39 years).",
    )
    columns = max(years, BUILDING_YEARS + 1)
    for head, title in ((3, "Share of the year"), (14, "Written off by the end of the year")):
        sheet.text(head, 0, title, "head")
        for year in range(columns + 1):
            sheet.number(head, 1 + year, year, "year", "head")
    for index, tax_life in enumerate(TAX_CLASSES):
        shares = np.zeros(columns + 1)
        shares[1 : tax_life + 2] = (
            np.array(PERCENTAGES[tax_life]) / 100 if tax_life in PERCENTAGES else macrs(1, tax_life)
        )
        row, below = 4 + index, 15 + index
        sheet.number(row, 0, tax_life, "year")
        sheet.formula(below, 0, f"A{row + 1}", tax_life, "year")
        off = np.minimum(np.cumsum(shares), 1.0)
        for year in range(columns + 1):
            name = letter(1 + year)
            sheet.number(row, 1 + year, float(shares[year]), "share")
            formula = f"MIN(1,SUM($B{row + 1}:{name}{row + 1}))"
            sheet.formula(below, 1 + year, formula, float(off[year]), "share")
    last = 15 + len(TAX_CLASSES) - 1
    book.define("macrs_classes", sheet, (15, 0), (last, 0))
    book.define("macrs_written_off", sheet, (15, 1), (last, 1 + columns))
    sheet.freeze(4, 1)


def write_assets(
    book: Book, terms: Terms, plan: PlanCells, assumptions: Assumptions, years: int
) -> AssetSheet:
    """Write the purchases of a build by year."""
    name = terms.position.name
    grid = Grid(book.sheet(f"Assets {name}", WIDTHS), years)
    grid.sheet.title(
        f"Purchases by year: {name}",
        "What is bought is bought anew at the end of its life and written off meanwhile; what is "
        f"left at the horizon counts as sold there. Amounts in {book.money_unit} of the year.",
    )
    grid.head(("Purchase", "Unit", "Kind"))
    if not terms.bought:
        grid.sheet.text(grid.row, 0, "nothing", "note")
    for bought, cells in zip(terms.bought, plan.assets, strict=True):
        _asset(grid, bought.purchase, cells, assumptions, book.money_unit)
    grid.finish(assumptions.horizon_years)
    return AssetSheet(grid.sheet, grid.row)


def _asset(
    grid: Grid, one: Purchase, cells: AssetCells, assumptions: Assumptions, unit: str
) -> None:
    """Rows of one purchase."""
    grid.part(f"{one.asset}: {one.quantity:,} × {one.item}")
    flows = asset_flows(one, assumptions)
    if one.quantity < 0:
        _kind(
            grid,
            PROCEEDS,
            lambda y: f"-{cells.capital}" if y.number == 0 else "0",
            flows.proceeds,
        )
        return
    _kind(
        grid,
        CAPITAL,
        lambda y: (
            f"IF(AND({y.itself}<horizon_years,MOD({y.itself},{cells.replaced})=0),"
            f"{cells.capital}*(1+inflation_per_year)^{y.itself},0)"
        ),
        flows.capital,
    )
    rows = _in_use(grid, one, cells, assumptions, unit)
    _kind(
        grid,
        DEPRECIATION,
        lambda y: (
            "0"
            if y.number == 0
            else f"{y.at(rows.paid)}*({y.at(rows.written)}"
            f"-IF({y.at(rows.age)}>1,{y.before(rows.written)},0))"
        ),
        flows.depreciation,
    )
    _sold(grid, cells, rows, flows)


@dataclass(frozen=True)
class InUse:
    """Rows of what is in use: its age, its price and what of that is written off."""

    age: int
    paid: int
    written: int


def _in_use(
    grid: Grid, one: Purchase, cells: AssetCells, assumptions: Assumptions, unit: str
) -> InUse:
    life = replaced_after(one)
    passed = np.arange(assumptions.horizon_years + 1)
    ages = np.where(passed > 0, (passed - 1) % life + 1, 0)
    growth = 1 + assumptions.price_growth(one.category)
    price = one.usd * assumptions.price_factor(one.category) * growth ** (passed - ages)
    age = grid.add(
        "age at the end of the year",
        "years",
        "year",
        lambda y: (
            f"IF(AND({y.itself}>0,{y.itself}<=horizon_years),"
            f"MOD({y.itself}-1,{cells.replaced})+1,0)"
        ),
        ages.astype(float),
    )
    paid = grid.add(
        "price paid for what is in use",
        unit,
        "money",
        lambda y: (
            f"IF({y.itself}<=horizon_years,"
            f"{cells.capital}*(1+inflation_per_year)^({y.itself}-{y.at(age)}),0)"
        ),
        price,
    )
    written = grid.add(
        "written off so far",
        "share",
        "share",
        lambda y: (
            f'IF(depreciation="macrs",INDEX(macrs_written_off,'
            f"MATCH({cells.tax_life},macrs_classes,0),{y.at(age)}+1),"
            f"MIN(1,{y.at(age)}/MIN({MOST_YEARS},{cells.life})))"
        ),
        _written_off(one, ages, assumptions),
    )
    return InUse(age, paid, written)


def _sold(grid: Grid, cells: AssetCells, rows: InUse, flows: AssetFlows) -> None:
    """What is sold at the end of its life or at the horizon."""

    def where_sold(year: Year, amount: str) -> str:
        now, end = year.itself, f"MOD({year.itself},{cells.replaced})=0"
        return f"IF(AND({year.at(rows.age)}>0,OR({end},{now}=horizon_years)),{amount},0)"

    _kind(
        grid,
        PROCEEDS,
        lambda y: where_sold(
            y,
            f"{y.at(rows.paid)}"
            f"-({y.at(rows.paid)}-{cells.left}*(1+inflation_per_year)^{y.itself})"
            f"*MIN(1,{y.at(rows.age)}/{cells.life})",
        ),
        flows.proceeds,
    )
    _kind(
        grid,
        BOOK,
        lambda y: where_sold(y, f"{y.at(rows.paid)}*(1-{y.at(rows.written)})"),
        flows.book_value,
    )


def _kind(grid: Grid, kind: str, formula: Callable[[Year], str], values: Floats) -> None:
    """A row that counts under its kind."""
    number = grid.add(kind, grid.sheet.book.money_unit, "money", formula, values)
    grid.sheet.text(number, KIND, kind, "note")


def _written_off(one: Purchase, ages: Floats, assumptions: Assumptions) -> Floats:
    """Share written off at some ages."""
    if assumptions.depreciation == "straight-line":
        shares: Floats = np.minimum(1.0, ages / min(one.life_years, MOST_YEARS))
        return shares
    table = np.cumsum(macrs(1.0, getattr(assumptions.tax_lives, one.category)))
    known: Floats = np.concatenate([[0.0], table])[np.minimum(ages, len(table)).astype(int)]
    return known
