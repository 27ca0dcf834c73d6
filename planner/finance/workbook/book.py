"""A workbook that is safe to fill: names become texts, never formulas; formulas carry values.

Everything goes through `Sheet`, which has no way to write a text as a formula or a link, and none
to write a number that is not finite. Every formula takes the value that Python worked out for it,
so that viewers which do not recalculate show the right figures.
"""

from __future__ import annotations

import io
import math
import re
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xlsxwriter import Workbook
from xlsxwriter.utility import xl_col_to_name, xl_rowcol_to_cell

from planner.files import package_table

Floats = NDArray[np.float64]
type Value = float | str | None

#: Longest name of a sheet, characters it may not have, and one that spreadsheets keep.
LONGEST_SHEET, FORBIDDEN, RESERVED = 31, re.compile(r"[\[\]:*?/\\\x00-\x1f\x7f]"), "history"
#: Longest text of a cell.
LONGEST_TEXT = 32_000
#: What stands where a figure has no meaning.
NONE = "none"

INPUT_COLOUR, INPUT_FILL, PLAN_FILL = "#0000C0", "#FFF6D5", "#E4F0E4"
HEAD_FILL, HEAD_COLOUR = "#1F3864", "#FFFFFF"

#: Number formats by kind; none of them scales, so a cell holds what its label says.
NUMBERS = {
    "text": "@",
    "label": "@",
    "money": '#,##0;[Red]-#,##0;"-"',
    "usd": '#,##0.00;[Red]-#,##0.00;"-"',
    "share": "0.00%",
    "availability": "0.00000%",
    "factor": "0.00##",
    "index": "0.0000",
    "number": "#,##0.00",
    "small": "#,##0.0000##",
    "whole": "#,##0",
    "year": "0",
}
#: Looks in which a long text takes several lines, the height of one, and the characters that go
#: into a unit of the width of a column.
WRAPPED, LINE_HEIGHT, PER_WIDTH = ("head", "figures", "wrap", "aside"), 13.5, 1.25
LOOKS: dict[str, dict[str, Any]] = {
    "plain": {},
    "input": {"font_color": INPUT_COLOUR, "bg_color": INPUT_FILL, "locked": False, "border": 4},
    "plan": {"bg_color": PLAN_FILL},
    "total": {"bold": True, "top": 1},
    "measure": {"bold": True},
    "right": {"align": "right"},
    "note": {"italic": True, "font_color": "#606060"},
    "aside": {"italic": True, "font_color": "#606060", "text_wrap": True, "valign": "top"},
    "title": {"bold": True, "font_size": 14},
    "part": {"bold": True, "font_color": HEAD_FILL, "bottom": 1},
    "head": {
        "bold": True,
        "font_color": HEAD_COLOUR,
        "bg_color": HEAD_FILL,
        "text_wrap": True,
        "valign": "top",
    },
    "wrap": {"text_wrap": True, "valign": "top"},
}
LOOKS["figures"] = LOOKS["head"] | {"align": "right"}


def columns_of(sheet: str) -> list[tuple[str, str, float]]:
    """Title, kind and width of the columns of a sheet, as its table has them."""
    return [
        (row["title"], row["kind"], float(row["width"] or 0))
        for row in package_table("planner.finance.workbook", "columns.csv")
        if row["sheet"] == sheet
    ]


@dataclass
class Book:
    """A workbook under construction, kept in memory.

    Parameters
    ----------
    created
        Moment of creation, ISO 8601: the same moment and figures, the same bytes.
    widest_usd
        Largest amount in cells of years; their columns are as wide as it needs.
    """

    title: str
    created: str
    widest_usd: float = 0.0
    _stream: io.BytesIO = field(default_factory=io.BytesIO)
    _formats: dict[tuple[str, str], Any] = field(default_factory=dict)
    _sheets: dict[str, Sheet] = field(default_factory=dict)
    _names: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        options = {
            "in_memory": True,
            "strings_to_formulas": False,
            "strings_to_urls": False,
            "strings_to_numbers": False,
        }
        self.workbook = Workbook(self._stream, options)
        moment = datetime.fromisoformat(self.created).astimezone(UTC).replace(tzinfo=None)
        self.workbook.set_properties({"title": self.title[:255], "created": moment})
        # Values are there already; all is worked out anew all the same when the book is opened.
        self.workbook.set_calc_mode("auto")

    @property
    def amount_width(self) -> float:
        """Width of a column that holds any amount in whole USD, with its sign."""
        return max(9.0, 0.93 * len(f"-{self.widest_usd:,.0f}") + 1)

    def format(self, kind: str, look: str = "plain") -> Any:
        """Format of a kind of value in a look."""
        if (kind, look) not in self._formats:
            shown = {
                "label": {},
                "text": {} if look in ("figures", "right") else {"align": "left", "indent": 1},
            }.get(kind, {"num_format": NUMBERS[kind], "align": "right"})
            every = {"valign": "top", "font_size": 10}
            self._formats[kind, look] = self.workbook.add_format(every | shown | LOOKS[look])
        return self._formats[kind, look]

    def sheet(self, name: str, widths: Sequence[float] = ()) -> Sheet:
        """Add a sheet under a name made safe and unique, with widths of its first columns."""
        safe = sheet_name(name, self._sheets)
        sheet = Sheet(self, safe, self.workbook.add_worksheet(safe), tuple(widths))
        self._sheets[safe.lower()] = sheet
        for column, width in enumerate(widths):
            sheet.worksheet.set_column(column, column, width)
        sheet.worksheet.set_landscape()
        sheet.worksheet.set_paper(9)
        sheet.worksheet.set_margins(0.4, 0.4, 0.5, 0.6)
        sheet.worksheet.fit_to_pages(1, 0)
        sheet.worksheet.hide_gridlines(2)
        sheet.worksheet.set_footer("&L&A&RPage &P of &N")
        return sheet

    def define(self, name: str, sheet: Sheet, first: Cell, last: Cell | None = None) -> str:
        """Define a named range under a name made safe and unique, and return that name."""
        safe = range_name(name, self._names)
        self._names[safe] = sheet.absolute(first, last)
        self.workbook.define_name(safe, "=" + self._names[safe])
        return safe

    @property
    def names(self) -> dict[str, str]:
        """Named ranges with what they stand for."""
        return dict(self._names)

    def content(self) -> bytes:
        """The finished workbook; nothing can be added afterwards."""
        self.workbook.close()
        return self._stream.getvalue()


#: Row and column, from 0.
type Cell = tuple[int, int]
#: Title of a column and the kind of what is in it.
type Column = tuple[str, str]


@dataclass
class Sheet:
    """A sheet of a book."""

    book: Book
    name: str
    worksheet: Any
    widths: tuple[float, ...] = ()
    _lines: dict[int, int] = field(default_factory=dict)

    def text(self, row: int, column: int, text: str, look: str = "plain") -> None:
        """Write a text, whatever it begins with."""
        kind = "text" if column else "label"
        shown = text[:LONGEST_TEXT]
        self.worksheet.write_string(row, column, shown, self.book.format(kind, look))
        if look in WRAPPED and column < len(self.widths):
            self._heighten(row, shown, self.widths[column])

    def _heighten(self, row: int, text: str, width: float) -> None:
        """Make room for a text that wraps; not every viewer does so by itself."""
        lines = len(textwrap.wrap(text, max(1, int(PER_WIDTH * width))))
        if lines > self._lines.get(row, 1):
            self._lines[row] = lines
            self.worksheet.set_row(row, LINE_HEIGHT * lines)

    def texts(self, row: int, column: int, texts: Sequence[str], look: str = "plain") -> None:
        """Write texts side by side."""
        for offset, text in enumerate(texts):
            self.text(row, column + offset, text, look)

    def wrapped(self, row: int, column: int, last: int, text: str) -> None:
        """Write a text over several columns, in as many lines as it takes."""
        self.worksheet.merge_range(row, column, row, last, "", self.book.format("text", "wrap"))
        self.worksheet.write_string(
            row, column, text[:LONGEST_TEXT], self.book.format("text", "wrap")
        )
        self._heighten(row, text, sum(self.widths[column : last + 1]))

    def table(
        self, row: int, columns: Sequence[Column], rows: Iterable[Sequence[float | str | None]]
    ) -> int:
        """Write a head with plain values below it; returns the row after the last.

        Parameters
        ----------
        columns
            Title and kind of each column: a kind of number, ``text`` or ``aside`` for long texts.
        rows
            Values; None leaves a cell empty.
        """
        for column, (title, kind) in enumerate(columns):
            self.text(row, column, title, "head" if kind in ("text", "aside") else "figures")
        for values in rows:
            row += 1
            for column, (value, (_, kind)) in enumerate(zip(values, columns, strict=True)):
                look = "aside" if kind == "aside" else "plain"
                if isinstance(value, str):
                    self.text(row, column, value, look if kind in ("text", "aside") else "right")
                elif value is not None:
                    self.number(row, column, value, "small" if kind == "aside" else kind)
        return row + 1

    def number(
        self, row: int, column: int, value: float | None, kind: str, look: str = "plain"
    ) -> None:
        """Write a number, or ``none`` where there is none."""
        if value is None or not math.isfinite(value):
            self.worksheet.write_string(row, column, NONE, self.book.format(kind, look))
        else:
            self.worksheet.write_number(row, column, value, self.book.format(kind, look))

    def formula(
        self, row: int, column: int, formula: str, value: Value, kind: str, look: str = "plain"
    ) -> None:
        """Write a formula, without its equals sign, with the value that it has now."""
        shown = NONE if value is None else value
        if isinstance(shown, float | int):
            # Numpy's numbers and negative zeros would show as such in the file.
            shown = float(shown) + 0.0 if math.isfinite(shown) else NONE
        self.worksheet.write_formula(
            row, column, "=" + formula, self.book.format(kind, look), shown
        )

    def at(self, row: int, column: int) -> str:
        """Reference to a cell from any sheet, ``'Plan b'!$B$4``."""
        return self.absolute((row, column))

    def absolute(self, first: Cell, last: Cell | None = None) -> str:
        """Reference to a cell or a range from any sheet."""
        quoted = "'" + self.name.replace("'", "''") + "'!"
        end = "" if last is None else ":" + cell(*last)
        return quoted + cell(*first) + end

    def title(self, text: str, note: str = "") -> None:
        """Head of the sheet."""
        self.text(0, 0, text, "title")
        self.text(1, 0, note, "note")

    def freeze(self, row: int, column: int = 0) -> None:
        """Keep rows and columns in sight, on screen and as wanted on every printed page."""
        self.worksheet.freeze_panes(row, column)
        if row:
            self.worksheet.repeat_rows(row - 1)
        if column:
            self.worksheet.repeat_columns(0, column - 1)


def cell(row: int, column: int) -> str:
    """Absolute reference within a sheet, ``$B$4``.

    >>> cell(3, 1)
    '$B$4'
    """
    return str(xl_rowcol_to_cell(row, column, row_abs=True, col_abs=True))


def letter(column: int) -> str:
    """Name of a column.

    >>> letter(27)
    'AB'
    """
    return str(xl_col_to_name(column))


def sheet_name(text: str, taken: Any = ()) -> str:
    """A name that a sheet may have and none has yet.

    >>> sheet_name("Plan [a/b]", {"plan ab"})
    'Plan ab 2'
    """
    kept = " ".join(FORBIDDEN.sub("", text).split()).strip("' ") or "Sheet"
    if kept.lower() == RESERVED:
        kept += " of"
    name, number = kept[:LONGEST_SHEET].strip("' "), 1
    while name.lower() in taken or not name:
        number += 1
        name = f"{kept[: LONGEST_SHEET - len(str(number)) - 1].strip()} {number}"
    return name


def range_name(text: str, taken: Any = ()) -> str:
    """A name that a range may have and none has yet; letters, digits and underscores.

    The underscore in it keeps it from looking like a cell (``TAX39``).

    >>> range_name("price GPUs: H100-SXM"), range_name("7 a", {"x_7_a"})
    ('price_gpus_h100_sxm', 'x_7_a_2')
    """
    plain = re.sub(r"[^a-z0-9]+", "_", text.lower().encode("ascii", "ignore").decode()).strip("_")
    plain = plain[:80]
    name = plain if re.match(r"[a-z]+_|[a-z]{4,}$", plain) else f"x_{plain}"
    number, found = 1, name
    while found in taken:
        number += 1
        found = f"{name}_{number}"
    return found
