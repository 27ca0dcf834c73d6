"""Rows of figures by year: one formula, written for every year, with the values it has now."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from planner.finance.workbook.book import Floats, Sheet, letter

#: Row of the years, first column of them.
HEAD, FIRST = 3, 3
WIDTHS = (41, 12, 14)


@dataclass(frozen=True)
class Year:
    """A year in a formula.

    Parameters
    ----------
    number
        The year, 0 is today.
    """

    number: int

    @property
    def column(self) -> str:
        """Column of the year."""
        return letter(FIRST + self.number)

    @property
    def itself(self) -> str:
        """The year as a figure."""
        return f"{self.column}${HEAD + 1}"

    def at(self, row: int) -> str:
        """Figure of a row in this year."""
        return f"{self.column}{row + 1}"

    def before(self, row: int) -> str:
        """Figure of a row in the year before."""
        return f"{letter(FIRST + self.number - 1)}{row + 1}"

    def so_far(self, row: int) -> str:
        """Figures of a row up to this year."""
        return f"${letter(FIRST)}{row + 1}:{self.column}{row + 1}"


@dataclass
class Grid:
    """A sheet with years in columns.

    Parameters
    ----------
    years
        Last year for which there is a column.
    row
        Next row.
    """

    sheet: Sheet
    years: int
    row: int = HEAD + 1

    def head(self, columns: tuple[str, str, str]) -> None:
        """Write the years and keep them in sight."""
        self.sheet.texts(HEAD, 0, columns, "head")
        for year in range(self.years + 1):
            self.sheet.number(HEAD, FIRST + year, year, "year", "head")
        width = self.sheet.book.amount_width
        self.sheet.worksheet.set_column(FIRST - 1, FIRST + self.years, width)
        self.sheet.freeze(HEAD + 1, FIRST)

    def finish(self, horizon_years: int, breaks: Sequence[int] = ()) -> None:
        """Print the years up to a horizon, and show those beyond the present one in grey.

        Parameters
        ----------
        breaks
            Rows that begin a page.
        """
        worksheet = self.sheet.worksheet
        worksheet.print_area(0, 0, self.row, FIRST + horizon_years)
        worksheet.set_h_pagebreaks(list(breaks))
        rule = {
            "type": "formula",
            "criteria": f"={letter(FIRST)}${HEAD + 1}>horizon_years",
            "format": self.sheet.book.workbook.add_format({"font_color": "#BFBFBF"}),
        }
        last = FIRST + self.years
        worksheet.conditional_format(HEAD + 1, FIRST, max(self.row, HEAD + 1), last, rule)

    def part(self, title: str) -> None:
        """Begin a part."""
        self.row += 1
        self.sheet.text(self.row, 0, title, "part")
        self.row += 1

    def add(
        self,
        label: str,
        unit: str,
        kind: str,
        formula: Callable[[Year], str],
        values: NDArray[Any],
        look: str = "plain",
        total: bool = False,
    ) -> int:
        """Write a row and return its number.

        Parameters
        ----------
        label, unit
            What it is and in what it counts.
        kind, look
            Kind of number, and how it looks.
        formula
            Formula of a year.
        values
            Values of the years; 0 beyond.
        total
            Whether the years are added up.
        """
        row = self.row
        shown = self.padded(values)
        self.sheet.text(row, 0, label, look)
        self.sheet.text(row, 1, unit, "note")
        if total:
            whole = f"SUM({Year(0).at(row)}:{Year(self.years).at(row)})"
            self.sheet.formula(row, 2, whole, float(np.sum(values)), kind, look)
        for year in range(self.years + 1):
            text = formula(Year(year))
            if text == "0":
                self.sheet.number(row, FIRST + year, 0.0, kind, look)
            else:
                self.sheet.formula(row, FIRST + year, text, float(shown[year]), kind, look)
        self.row += 1
        return row

    def padded(self, values: NDArray[Any]) -> Floats:
        """Values with zeros up to the last column."""
        shown = np.zeros(self.years + 1)
        shown[: len(values)] = values[: self.years + 1]
        return shown

    def span(self, row: int) -> str:
        """All years of a row, within the sheet."""
        return f"${letter(FIRST)}${row + 1}:${letter(FIRST + self.years)}${row + 1}"
