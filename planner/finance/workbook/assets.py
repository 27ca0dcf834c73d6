"""The sheet of a build's purchases by year: bought, written off, bought again, sold."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from planner.finance.assumptions import Assumptions
from planner.finance.builds import Purchase
from planner.finance.cashflow import asset_flows
from planner.finance.workbook.book import Book, Floats, Sheet, letter
from planner.finance.workbook.grid import FIRST, WIDTHS, Grid, Year
from planner.finance.workbook.plans import AssetCells, PlanCells
from planner.finance.workbook.terms import Terms
from planner.laws.depreciation import BUILDING_YEARS, MOST_YEARS, PERCENTAGES, TAX_CLASSES, macrs

TABLE = "MACRS"
#: Column of the sheet of purchases by which rows are added up.
KIND = 2
CAPITAL, PROCEEDS, DEPRECIATION, BOOK = "capital", "proceeds", "depreciation", "book value"
INHERITED = "inherited"
#: Fewest times that something can be bought again without a row missing in the book.
FEWEST_TIMES = 64
#: Fractions of a year below this are rounding.
ROUNDING = "0.000000001"


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


def times_needed(purchases: Sequence[Purchase], years: int) -> int:
    """How often something may be bought within some years, with room for half its life."""
    shortest = min((one.life_years for one in purchases), default=1.0)
    return max(FEWEST_TIMES, 2 * math.ceil(years / shortest))


def write_macrs(book: Book, years: int, times: int) -> None:
    """Write what depreciation and replacement are counted with.

    ``macrs_shares`` and ``macrs_written_off`` start with year 0, ``macrs_years`` numbers these and
    ``macrs_classes`` names their rows; ``times_bought`` counts 0, 1, 2, … down a column.
    """
    sheet = book.sheet(TABLE, (18,))
    sheet.title(
        "MACRS",
        "Share of the cost written off each year by tax life; half-year convention. IRS "
        "Publication 946, appendix A, tables A-1 and, with half a year at either end, A-7a "
        "(39 years). Below, how often something is bought again is counted.",
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
    count = len(TAX_CLASSES)
    book.define("macrs_years", sheet, (3, 1), (3, 1 + columns))
    book.define("macrs_shares", sheet, (4, 1), (3 + count, 1 + columns))
    book.define("macrs_classes", sheet, (15, 0), (14 + count, 0))
    book.define("macrs_written_off", sheet, (15, 1), (14 + count, 1 + columns))
    first = 16 + count
    sheet.text(first, 0, "Times bought again", "head")
    for number in range(times + 1):
        sheet.number(first + 1 + number, 0, number, "year")
    book.define("times_bought", sheet, (first + 1, 0), (first + 1 + times, 0))
    sheet.freeze(4, 1)


def write_assets(
    book: Book, terms: Terms, plan: PlanCells, assumptions: Assumptions, years: int
) -> AssetSheet:
    """Write the purchases of a build by year, and what it keeps and buys again."""
    name = terms.position.name
    grid = Grid(book.sheet(f"Assets {name}", WIDTHS), years)
    grid.sheet.title(
        f"Purchases by year: {name}",
        "What is bought is bought anew at the end of its life and written off meanwhile; what is "
        "left at the horizon counts as sold there. What moves within a year is shared by its two "
        f"ends. Amounts in {book.money_unit} of the year.",
    )
    grid.head(("Purchase", "Unit", "Kind"))
    lines = (*terms.bought, *terms.kept)
    if not lines:
        grid.sheet.text(grid.row, 0, "nothing", "note")
    for bought, cells in zip(lines, (*plan.assets, *plan.kept), strict=True):
        _asset(grid, bought.purchase, cells, assumptions)
    grid.finish(assumptions.horizon_years)
    return AssetSheet(grid.sheet, grid.row)


def _asset(grid: Grid, one: Purchase, cells: AssetCells, assumptions: Assumptions) -> None:
    """Rows of one purchase, or of what exists."""
    existing = "in place, " if one.exists else ""
    grid.part(f"{one.asset}: {existing}{one.quantity:,} × {one.item}")
    flows = asset_flows(one, assumptions)
    law = Formulas(cells, one)
    rows: list[tuple[str, Callable[[Year], str], Floats]]
    if one.quantity < 0:
        rows = [(PROCEEDS, law.earned_today, flows.proceeds)]
        if one.age_years is not None:
            rows.append((BOOK, law.left_in_books_today, flows.book_value))
    else:
        rows = [
            (CAPITAL, law.capital, flows.capital),
            (DEPRECIATION, law.depreciation, flows.depreciation),
            (PROCEEDS, law.proceeds, flows.proceeds),
            (BOOK, law.book_value, flows.book_value),
        ]
        if one.exists:
            rows.append((INHERITED, law.inherited, flows.inherited))
    for kind, formula, values in rows:
        number = grid.add(kind, grid.sheet.book.money_unit, "money", formula, values)
        grid.sheet.text(number, KIND, kind, "note")


@dataclass(frozen=True)
class Formulas:
    """The law of `planner.finance.cashflow.asset_flows` as formulas.

    Everything that is bought again stands for ``times_bought``: piece k is bought at
    ``first + k·life`` and sold a life later, or at the horizon. What exists is a piece of its own.

    Parameters
    ----------
    cells
        Where the terms of a purchase stand.
    one
        The purchase.
    """

    cells: AssetCells
    one: Purchase

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
        return f"{found}+{_share(self.end, year)}*{self.sold}" if self.one.exists else found

    def depreciation(self, year: Year) -> str:
        """Written off in a year."""
        if year.number == 0:
            return "0"
        now, before = year.itself, f"({year.itself}-1)"
        straight = f"({self._straight(now)}-{self._straight(before)})"
        aged = f"(macrs_years={now}-INT({self.times}+{ROUNDING}))*{self._shares}"
        counted = f"({now}<={_ceiling(self.ends)})"
        found = (
            f'IF(depreciation="macrs",SUMPRODUCT({self.costs}*{counted}*{aged}),'
            f"SUMPRODUCT({self.costs}*{straight}))"
        )
        if self.one.exists:
            gone = f"({self._original(now)}-{self._original(before)})"
            found += f"+({now}<={_ceiling(self.end)})*{self.cells.paid}*{gone}"
        return f"IF({now}<=horizon_years,{found},0)"

    def book_value(self, year: Year) -> str:
        """Not yet written off of what is sold in a year."""
        now = year.itself
        sold = f"({_ceiling(self.ends)}={now})"
        aged = f"(macrs_years<={now}-INT({self.times}+{ROUNDING}))*{self._shares}"
        written = (
            f'IF(depreciation="macrs",SUMPRODUCT({self.costs}*{sold}*{aged}),'
            f"SUMPRODUCT({self.costs}*{sold}*{self._straight(now)}))"
        )
        found = f"SUMPRODUCT({self.costs}*{sold})-{written}"
        if self.one.exists:
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
        return f"INDEX(macrs_shares,MATCH({self.cells.tax_life},macrs_classes,0),0)"

    def _straight(self, year: str) -> str:
        """Share written off in equal parts by a year, of every piece."""
        passed = f"(({year}-{self.times})/MIN({MOST_YEARS},{self.cells.life}))"
        return f"(({passed}>0)*({passed}<1)*{passed}+({passed}>=1))"

    def _original(self, year: str) -> str:
        """Share written off by a year of what exists."""
        age = self.cells.age
        counted = f"MIN(COLUMNS(macrs_written_off)-1,{year}-INT(-{age}))"
        of_class = f"MATCH({self.cells.tax_life},macrs_classes,0)"
        return (
            f'IF(depreciation="macrs",INDEX(macrs_written_off,{of_class},{counted}+1),'
            f"MIN(1,({year}+{age})/MIN({MOST_YEARS},{self.cells.life})))"
        )


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
