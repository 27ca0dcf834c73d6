"""The terminal: a console that fits it, sentences folded to it; JSON for machines."""

from __future__ import annotations

import re
import shutil
import sys
import textwrap
from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.text import Text

from planner.infrastructure.source import printable
from planner.json_text import json_text
from planner.reporting.characters import Trimmed, fit_streams, shows_all

#: A number and its unit, which stay on one line.
UNIT = re.compile(r"(\d) (%|°C|MW\b|M USD\b|USD\b|GPUs?\b|min\b)")


def new_console() -> Console:
    """A console as wide as the terminal, or 80 columns where there is none.

    Where the encoding lacks a character it shows the nearest one; spaces at the ends of lines are
    left out.
    """
    fit_streams()
    width = None if sys.stdout.isatty() else shutil.get_terminal_size((80, 24)).columns
    stream: Any = Trimmed(sys.stdout)
    return Console(file=stream, width=width, highlight=False, soft_wrap=False, emoji=False)


def print_json(data: Any) -> None:
    """Print data as JSON on standard output, in ASCII where it takes no other characters."""
    print(json_text(data, ascii_only=not shows_all(sys.stdout)))  # noqa: T201


def heading(console: Console, text: str, style: str = "bold") -> None:
    """Print an empty line and a heading."""
    console.print()
    console.print(Text(printable(text), style=style))


def say(
    console: Console, text: str, indent: int = 0, lead: str = "", style: str = "", tone: str = ""
) -> None:
    """Print a text, folded to the width and aligned right of what leads it.

    Parameters
    ----------
    indent
        Columns before all lines.
    lead
        What stands before the first line alone: a mark, a time.
    style, tone
        Style of the text, and of its lead.
    """
    start = indent + len(lead)
    room = max(20, console.width - start)
    tied = UNIT.sub("\\1\u00a0\\2", printable(text))
    lines = textwrap.wrap(tied, room, break_long_words=False, break_on_hyphens=False) or [""]
    for number, line in enumerate(lines):
        before = " " * indent + lead if number == 0 else " " * start
        shown = Text.assemble((before, tone), (line.replace("\u00a0", " "), style))
        console.print(shown, soft_wrap=True)


def bullets(console: Console, texts: Iterable[str], most: int, more: str = "") -> None:
    """Print texts as a list, those beyond some counted.

    Parameters
    ----------
    more
        Where the rest stands.
    """
    shown = list(texts)
    for text in shown[:most]:
        say(console, text, lead="  ")
    if len(shown) > most:
        console.print(f"  and {len(shown) - most:,} more{more}")


def new_table(title: str, *columns: str, left: int = 1) -> Any:
    """A table whose first columns are text, the others numbers."""
    from rich.table import Table

    from planner.reporting.tables import RULED

    table = Table(
        title=title,
        box=RULED,
        title_justify="left",
        title_style="bold",
        pad_edge=False,
        padding=(0, 1, 0, 0),
        show_edge=False,
    )
    for index, column in enumerate(columns):
        justify: Any = "left" if index < left else "right"
        table.add_column(column, justify=justify, no_wrap=True)
    return table


def show_table(console: Console, title: str, table: Any, note: str = "") -> None:
    """Print a table with its title and a note, which may be wider than it; nothing if empty."""
    if not table.row_count:
        return
    table.title = None
    heading(console, title)
    console.print(table)
    if note:
        console.print(Text(note, style="dim italic"))
