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

#: A number and its unit, or a count of names, which stay on one line.
UNIT = re.compile(r"(\d) (%|°C|MW\b|M\b|USD\b|GPUs?\b|min\b|h\b|s\b)|\bM USD\b|… \(\d+\)")
NO_BREAK = "\u00a0"


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


def folded(text: str, width: int, breaking: bool = False) -> list[str]:
    """A text in lines of some width; numbers keep their units.

    Parameters
    ----------
    breaking
        Whether it breaks at hyphens, and within words that are longer than a line.
    """
    tied = UNIT.sub(lambda found: found.group().replace(" ", NO_BREAK), text)
    lines = textwrap.wrap(tied, width, break_long_words=breaking, break_on_hyphens=breaking)
    return [line.replace(NO_BREAK, " ") for line in lines] or [""]


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
    for number, line in enumerate(folded(printable(text), room)):
        before = " " * indent + lead if number == 0 else " " * start
        console.print(Text.assemble((before, tone), (line, style)), soft_wrap=True)


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
