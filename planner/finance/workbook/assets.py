"""Purchases by year: bought, written off, bought again, sold; and the tax tables for it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from planner.finance.assumptions import Assumptions
from planner.finance.builds import Purchase
from planner.finance.cashflow import Position, asset_flows
from planner.finance.workbook.book import Book, Floats, Sheet
from planner.finance.workbook.grid import FIRST, WIDTHS, Grid, Year
from planner.finance.workbook.plans import AssetCells, AssetRows, RunningRows
from planner.laws.depreciation import BUILDING_YEARS, MOST_YEARS, PERCENTAGES, TAX_CLASSES, macrs

TABLE, FLOWS = "Tax tables", "Asset flows"
#: Column by which rows are added up.
KIND = 1
CAPITAL, PROCEEDS, DEPRECIATION, BOOK = "purchases", "proceeds", "depreciation", "book value"
INHERITED = "inherited"
#: Fewest times that something can be bought again without a row missing in the book.
FEWEST_TIMES = 64
#: Fractions of a year below this are rounding.
ROUNDING = "0.000000001"


@dataclass(frozen=True)
class AssetSheet:
    """Where the purchases of a build stand by year."""

    sheet: Sheet
    first_row: int
    last_row: int

    def total(self, kind: str, year: Year) -> str:
        """Formula of all rows of a kind in a year."""
        column = FIRST + year.number
        amounts = self.sheet.absolute((self.first_row, column), (self.last_row, column))
        kinds = self.sheet.absolute((self.first_row, KIND), (self.last_row, KIND))
        return f'SUMIFS({amounts},{kinds},"{kind}")'


@dataclass(frozen=True)
class BuildCells:
    """A build with where its plan stands."""

    position: Position
    assets: AssetRows
    running: RunningRows
    by_year: AssetSheet

    def over(self, base: BuildCells, kind: str, year: Year) -> str:
        """Formula of all rows of a kind in a year beyond those of another build."""
        total = self.by_year.total(kind, year)
        return f"{total}-{base.by_year.total(kind, year)}" if base.position.held else total


def times_needed(purchases: Sequence[Purchase], years: int) -> int:
    """How often something may be bought within some years, with room for half its life."""
    shortest = min((purchase.life_years for purchase in purchases), default=1.0)
    return max(FEWEST_TIMES, 2 * math.ceil(years / shortest))


def write_tax_tables(book: Book, years: int, times: int) -> None:
    """Write the tables of accelerated depreciation, and the numbers 0, 1, 2, … of purchases.

    ``macrs_shares`` has a row for each year of ``macrs_years``, year 0 first, and a column for each
    tax life of ``macrs_classes``; ``times_bought`` counts along a row.
    """
    sheet = book.sheet(TABLE, (18, *[10] * len(TAX_CLASSES)))
    sheet.title(
        TABLE,
        "MACRS: share of the cost written off in each year of ownership, by tax life in years; "
        "half-year convention.",
    )
    sheet.text(2, 0, "IRS Publication 946, appendix A, tables A-1 and, for 39 years, A-7a.", "note")
    last = max(years, BUILDING_YEARS + 1)
    shares = np.zeros((last + 1, len(TAX_CLASSES)))
    for index, tax_life in enumerate(TAX_CLASSES):
        printed = PERCENTAGES.get(tax_life)
        shares[1 : tax_life + 2, index] = (
            macrs(1, tax_life) if printed is None else np.array(printed) / 100
        )
    columns = [("Year", "year"), *[(str(tax_life), "share") for tax_life in TAX_CLASSES]]
    sheet.table(3, columns, [[year, *row] for year, row in enumerate(shares.tolist())])
    for index, tax_life in enumerate(TAX_CLASSES, start=1):
        sheet.number(3, index, tax_life, "year", "figures")
    count = len(TAX_CLASSES)
    book.define("macrs_years", sheet, (4, 0), (4 + last, 0))
    book.define("macrs_classes", sheet, (3, 1), (3, count))
    book.define("macrs_shares", sheet, (4, 1), (4 + last, count))
    row = 4 + last + 2
    sheet.text(row, 0, "Pieces, numbered", "head")
    for number in range(times + 1):
        sheet.number(row, 1 + number, number, "year")
    book.define("times_bought", sheet, (row, 1), (row, 1 + times))
    sheet.freeze(4, 1)
    sheet.worksheet.print_area(0, 0, 4 + last, count)
    sheet.worksheet.fit_to_pages(1, 1)


def asset_grid(book: Book, years: int) -> Grid:
    """Add the sheet of purchases by year."""
    grid = Grid(book.sheet(FLOWS, WIDTHS), years)
    grid.sheet.title(
        FLOWS,
        "USD of the year. Everything is replaced at the end of its life; its value at the horizon "
        "counts as sold there. What falls within a year is shared by its two ends.",
    )
    grid.head(("Purchase", "Kind", "All years"))
    return grid


def write_assets(
    grid: Grid, build: Position, cells: Sequence[AssetCells], assumptions: Assumptions
) -> AssetSheet:
    """Write the purchases of a build by year, and what it keeps and buys again."""
    first = grid.row
    grid.part(f"Build: {build.name}")
    lines = (*build.purchases, *build.held)
    if not lines:
        grid.sheet.text(grid.row, 0, "nothing", "note")
        grid.row += 1
    for line, at in zip(lines, cells, strict=True):
        _asset(grid, line, at, assumptions)
    return AssetSheet(grid.sheet, first, grid.row)


def _asset(grid: Grid, purchase: Purchase, cells: AssetCells, assumptions: Assumptions) -> None:
    """Rows of one purchase, or of what exists."""
    existing = "in place, " if purchase.exists else ""
    label = f"{purchase.asset}: {existing}{purchase.quantity:,} × {purchase.item}"
    flows = asset_flows(purchase, assumptions)
    law = Formulas(cells, purchase)
    rows: list[tuple[str, Callable[[Year], str], Floats]]
    if purchase.quantity < 0:
        rows = [(PROCEEDS, law.earned_today, flows.proceeds)]
        if purchase.age_years is not None:
            rows.append((BOOK, law.left_in_books_today, flows.book_value))
    else:
        rows = [
            (CAPITAL, law.capital, flows.capital),
            (DEPRECIATION, law.depreciation, flows.depreciation),
            (PROCEEDS, law.proceeds, flows.proceeds),
            (BOOK, law.book_value, flows.book_value),
        ]
        if purchase.exists:
            rows.append((INHERITED, law.inherited, flows.inherited))
    for index, (kind, formula, values) in enumerate(rows):
        grid.add("" if index else label, kind, "money", formula, values, total=True)


@dataclass(frozen=True)
class Formulas:
    """The law of `planner.finance.cashflow.asset_flows` as formulas.

    Everything that is bought again stands for ``times_bought``: piece k is bought at
    ``first + k·life`` and sold a life later, or at the horizon. What exists is a piece of its own.

    Parameters
    ----------
    cells
        Where the terms of a purchase stand.
    """

    cells: AssetCells
    purchase: Purchase

    @property
    def times(self) -> str:
        """Times at which pieces are bought."""
        return f"({self.cells.first}+times_bought*{self.cells.life})"

    @property
    def there(self) -> str:
        """1 for pieces that are bought before the horizon."""
        return f"({self.times}<horizon_years-{ROUNDING})"

    @property
    def ends(self) -> str:
        """Times at which they are sold."""
        end = f"({self.times}+{self.cells.life})"
        return f"(({end}<horizon_years)*{end}+({end}>=horizon_years)*horizon_years)"

    @property
    def costs(self) -> str:
        """What they cost at the prices of their day."""
        return f"{self.there}*{self.cells.capital}*(1+inflation_per_year)^{self.times}"

    def capital(self, year: Year) -> str:
        """Paid in a year."""
        return f"SUMPRODUCT({_share(self.times, year)}*{self.costs})"

    def proceeds(self, year: Year) -> str:
        """Earned in a year by what is sold."""
        left = f"{self.there}*{self.cells.left}*(1+inflation_per_year)^{self.ends}"
        worn = f"({self.ends}-{self.times})/{self.cells.life}"
        sold = f"({self.costs}-({self.costs}-{left})*{worn})"
        found = f"SUMPRODUCT({_share(self.ends, year)}*{sold})"
        return f"{found}+{_share(self.end, year)}*{self.sold}" if self.purchase.exists else found

    def depreciation(self, year: Year) -> str:
        """Written off in a year."""
        if year.number == 0:
            return "0"
        now, before = year.itself, f"({year.itself}-1)"
        straight = f"({self._straight(now)}-{self._straight(before)})"
        found = self._written(f"({now}<={_ceiling(self.ends)})", "=", now, straight)
        if self.purchase.exists:
            gone = f"({self._original(now)}-{self._original(before)})"
            found += f"+({now}<={_ceiling(self.end)})*{self.cells.paid}*{gone}"
        return f"IF({now}<=horizon_years,{found},0)"

    def book_value(self, year: Year) -> str:
        """Not yet written off of what is sold in a year."""
        now = year.itself
        sold = f"({_ceiling(self.ends)}={now})"
        written = self._written(sold, "<=", now, self._straight(now))
        found = f"SUMPRODUCT({self.costs}*{sold})-{written}"
        if self.purchase.exists:
            left = f"(1-{self._original(now)})"
            found += f"+({_ceiling(self.end)}={now})*{self.cells.paid}*{left}"
        return found

    def inherited(self, year: Year) -> str:
        """Value at the horizon of what has existed from the start."""
        outlives = f"AND({year.itself}=horizon_years,{self.cells.first}>=horizon_years)"
        return f"IF({outlives},{self.sold},0)"

    def earned_today(self, year: Year) -> str:
        """What retired pieces earn."""
        return f"-{self.cells.capital}" if year.number == 0 else "0"

    def left_in_books_today(self, year: Year) -> str:
        """Not yet written off of retired pieces."""
        return f"{self.cells.paid}*(1-{self._original('0')})" if year.number == 0 else "0"

    @property
    def end(self) -> str:
        """When what exists goes."""
        return f"MIN({self.cells.first},horizon_years)"

    @property
    def sold(self) -> str:
        """What that earns then."""
        left = f"{self.cells.left}*(1+inflation_per_year)^{self.end}"
        worn = f"MIN(1,({self.end}+{self.cells.age})/{self.cells.life})"
        return f"({self.cells.paid}-({self.cells.paid}-{left})*{worn})"

    @property
    def _shares(self) -> str:
        return f"INDEX(macrs_shares,0,MATCH({self.cells.tax_life},macrs_classes,0))"

    def _written(self, pieces: str, years: str, now: str, straight: str) -> str:
        """Written off of some pieces in a year (``=``) or up to it (``<=``), by either method."""
        aged = f"(macrs_years{years}{now}-INT({self.times}+{ROUNDING}))*{self._shares}"
        return (
            f'IF(depreciation="macrs",SUMPRODUCT({self.costs}*{pieces}*{aged}),'
            f"SUMPRODUCT({self.costs}*{pieces}*{straight}))"
        )

    def _straight(self, year: str) -> str:
        """Share written off in equal parts by a year, of every piece."""
        passed = f"(({year}-{self.times})/MIN({MOST_YEARS},{self.cells.life}))"
        return f"(({passed}>0)*({passed}<1)*{passed}+({passed}>=1))"

    def _original(self, year: str) -> str:
        """Share written off by a year of what exists."""
        age = self.cells.age
        written = f"SUMPRODUCT((macrs_years<={year}-INT(-{age}))*{self._shares})"
        straight = f"MIN(1,({year}+{age})/MIN({MOST_YEARS},{self.cells.life}))"
        return f'IF(depreciation="macrs",MIN(1,{written}),{straight})'


def _share(times: str, year: Year) -> str:
    """Share of what moves at some times that a year has: `planner.laws.assets.by_year`."""
    if year.number == 0:
        return f"(ABS({times})<{ROUNDING})"
    if year.number == 1:
        return f"({times}>={ROUNDING})*({times}<2)*(({times}<1)+({times}>=1)*(2-{times}))"
    return f"(ABS({times}-{year.itself})<1)*(1-ABS({times}-{year.itself}))"


def _ceiling(times: str) -> str:
    """The year in which something happens."""
    return f"(-INT({ROUNDING}-{times}))"
