"""One table for every output: terminal, Markdown, CSV and HTML.

Cells hold values; their column says how they are written. Texts fold where a terminal is narrow,
figures never.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import compress
from typing import Any, Literal, NamedTuple

from rich.box import SIMPLE_HEAD, Box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from planner.infrastructure.source import printable
from planner.plan.files import csv_text
from planner.reporting.terminal import folded

#: What a cell says beyond its text: as a colour on a terminal, as a class in HTML.
Tone = Literal["good", "bad", "warn", "strong", "quiet"]
STYLES: dict[Tone, str] = {
    "good": "green",
    "bad": "bold red",
    "warn": "yellow",
    "strong": "bold",
    "quiet": "italic",
}
#: Lines below headings alone, in ASCII too, where Rich would take a box with a full grid.
RULED = Box(str(SIMPLE_HEAD), ascii=True)
#: Characters between two columns of a terminal.
GAP = 2
#: Least width of a text that folds.
LEAST_WIDTH = 12
#: Most characters of a name in Markdown.
LONGEST_CODE = 60


class Toned(NamedTuple):
    """A text with a tone."""

    text: str
    tone: Tone


#: A number is written as its column says, a text stands for itself, None for nothing.
Cell = str | float | Toned | None
Row = Sequence[Cell]


@dataclass(frozen=True)
class Column:
    """A column.

    Parameters
    ----------
    show
        How numbers are written.
    folds
        Whether texts go on in the next line where there is no room.
    code
        Whether texts are names, written as code in Markdown.
    """

    title: str
    align: Literal["left", "right"] = "right"
    show: Callable[[Any], str] = "{:,}".format
    folds: bool = False
    code: bool = False

    def text(self, cell: Cell) -> str:
        """What a cell says."""
        if cell is None:
            return ""
        if isinstance(cell, Toned):
            return cell.text
        return cell if isinstance(cell, str) else self.show(cell)


def texts(*titles: str, folds: bool = True, code: bool = False) -> tuple[Column, ...]:
    """Columns of texts."""
    return tuple(Column(title, "left", folds=folds, code=code) for title in titles)


def figures(*titles: str, show: Callable[[Any], str] = "{:,}".format) -> tuple[Column, ...]:
    """Columns of figures."""
    return tuple(Column(title, show=show) for title in titles)


@dataclass(frozen=True)
class Table:
    """A table.

    Parameters
    ----------
    rows
        Cells in the order of the columns.
    note
        What its words mean, below it.
    foot
        Rows below a line: sums.
    """

    title: str
    columns: tuple[Column, ...]
    rows: Sequence[Row]
    note: str = ""
    foot: Sequence[Row] = ()

    def first(self, most: int) -> Table:
        """The first rows, and a line that says how many more there are."""
        more = len(self.rows) - most
        if more <= 0:
            return self
        last = (Toned(f"and {more:,} more", "quiet"), *[None] * (len(self.columns) - 1))
        return replace(self, rows=[*self.rows[:most], last])

    def texts(self) -> list[list[str]]:
        """All cells as texts, those of the foot last."""
        return [
            [column.text(cell) for column, cell in zip(self.columns, row, strict=True)]
            for row in (*self.rows, *self.foot)
        ]

    def print(self, console: Console) -> None:
        """Print with a line before; nothing where there are no rows."""
        if not self.rows:
            return
        console.print()
        if self.title:
            console.print(Text(printable(self.title), style="bold"))
        console.print(self.rich(console.width))
        if self.note:
            console.print(Text(printable(self.note), style="dim italic"))

    def rich(self, width: int) -> RichTable:
        """For a terminal of so many columns; columns that say nothing are left out."""
        if (saying := self._saying()) is not self:
            return saying.rich(width)
        shown = [[printable(text) for text in row] for row in self.texts()]
        widths = self._widths(shown, width)
        table = RichTable(box=RULED, pad_edge=False, padding=(0, 1, 0, 0), show_edge=False)
        for column, most in zip(self.columns, widths, strict=True):
            table.add_column(Text(_folded(column.title, most)), justify=column.align)
        for number, (row, cells) in enumerate(
            zip((*self.rows, *self.foot), shown, strict=True), start=1
        ):
            styles = [STYLES[cell.tone] if isinstance(cell, Toned) else "" for cell in row]
            table.add_row(
                *(
                    Text(_folded(text, most), style)
                    for text, style, most in zip(cells, styles, widths, strict=True)
                ),
                end_section=number == len(self.rows) and bool(self.foot),
            )
        return table

    def _saying(self) -> Table:
        """The same without columns that say nothing."""
        wanted = [any(column) for column in zip(*self.texts(), strict=True)]
        if all(wanted):
            return self
        rows, foot = (
            [tuple(compress(row, wanted)) for row in part] for part in (self.rows, self.foot)
        )
        return replace(self, columns=tuple(compress(self.columns, wanted)), rows=rows, foot=foot)

    def _widths(self, shown: Sequence[Sequence[str]], width: int) -> list[int]:
        """Widths of columns; those that fold share what the others leave, the narrow ones first."""
        heads = [column.title for column in self.columns]
        widths = [max(map(cell_len, column)) for column in zip(heads, *shown, strict=True)]
        folding = [at for at, column in enumerate(self.columns) if column.folds]
        room = width - GAP * (len(widths) - 1) - sum(widths) + sum(widths[at] for at in folding)
        for left, at in zip(
            range(len(folding), 0, -1), sorted(folding, key=widths.__getitem__), strict=True
        ):
            widths[at] = min(widths[at], max(LEAST_WIDTH, room // left))
            room -= widths[at]
        return widths

    def markdown(self) -> str:
        """As a table of Markdown, without title and note."""
        marks = ["--:" if column.align == "right" else ":--" for column in self.columns]
        heads = [column.title for column in self.columns]
        lines = [f"| {' | '.join(heads)} |", f"| {' | '.join(marks)} |"]
        for row in (*self.rows, *self.foot):
            # A bar ends a cell even within code.
            cells = [
                as_code(cell).replace("|", "\\|")
                if column.code and isinstance(cell, str)
                else as_markdown(column.text(cell))
                for column, cell in zip(self.columns, row, strict=True)
            ]
            lines.append(f"| {' | '.join(cells)} |")
        return "\n".join(lines)

    def html(self) -> str:
        """As HTML: a figure with its title, the table in a box that scrolls, and its note.

        First cells are headings of their rows. Nothing where there are no rows.
        """
        if not self.rows:
            return ""
        if (saying := self._saying()) is not self:
            return saying.html()
        title = html.escape(self.title)
        heads = "".join(
            f'<th scope="col"{_class(column)}>{html.escape(column.title)}</th>'
            for column in self.columns
        )
        note = f'<p class="note">{html.escape(self.note)}</p>' if self.note else ""
        foot = f"<tfoot>{self._html_rows(self.foot)}</tfoot>" if self.foot else ""
        return (
            f'<figure class="table"><figcaption>{title}</figcaption>'
            f'<div class="scroll" tabindex="0" role="region" aria-label="{title}">'
            f'<table aria-label="{title}"><thead><tr>{heads}</tr></thead>'
            f"<tbody>{self._html_rows(self.rows)}</tbody>{foot}</table></div>{note}</figure>"
        )

    #: Templates take it as HTML.
    __html__ = html

    def _html_rows(self, rows: Iterable[Row]) -> str:
        found = []
        for row in rows:
            first, *rest = zip(self.columns, row, strict=True)
            cells = [f'<th scope="row"{_class(*first)}>{html.escape(first[0].text(first[1]))}</th>']
            cells += [
                f"<td{_class(column, cell)}>{html.escape(column.text(cell))}</td>"
                for column, cell in rest
            ]
            found.append(f"<tr>{''.join(cells)}</tr>")
        return "".join(found)

    def csv(self) -> str:
        """As CSV, numbers in full."""
        heads = [column.title for column in self.columns]
        return csv_text(
            dict(zip(heads, (c.text if isinstance(c, Toned) else c for c in row), strict=True))
            for row in (*self.rows, *self.foot)
        )


def _class(column: Column, cell: Cell = None) -> str:
    names = [*(["n"] if column.align == "right" else [])]
    names += [cell.tone] if isinstance(cell, Toned) else []
    return f' class="{" ".join(names)}"' if names else ""


def _folded(text: str, width: int) -> str:
    """A text in lines of some width, indented as the first."""
    if len(text) <= width:
        return text
    indent = text[: len(text) - len(text.lstrip())]
    return "\n".join(indent + line for line in folded(text, width - len(indent), breaking=True))


def as_code(name: str) -> str:
    """A name as code of Markdown, in which GitHub finds no people, issues, links or HTML."""
    text = printable(name).replace("`", "'")
    text = text if len(text) <= LONGEST_CODE else text[: LONGEST_CODE - 3] + "..."
    return f"`{text}`" if text.strip() else ""


def as_markdown(text: str) -> str:
    """A text with everything escaped that Markdown or HTML would take for its own."""
    shown = html.escape(printable(text), quote=False)
    shown = re.sub(r"([\\`*_\[\]|~])", r"\\\1", shown)
    # No mention, no reference to an issue, no link: a word joiner is not seen.
    return re.sub(r"([@#]|://|www\.)", "\\1\u2060", shown)
