"""Signs that a terminal or a pipe cannot show, replaced by the nearest that it can."""

from __future__ import annotations

import codecs
import os
import re
import sys
import unicodedata
from pathlib import Path
from typing import Any, TextIO

#: Name of the handler of signs that an encoding lacks, for `codecs`.
HANDLER = "planner.signs"
#: What stands for a sign in ASCII; one for one where tables would lose their columns.
ASCII = {
    **dict.fromkeys("─━┄┈╌═–—‒−‐‑", "-"),
    **dict.fromkeys("│┃┆┊║", "|"),
    **dict.fromkeys("┌┐└┘├┤┬┴┼╭╮╯╰╒╕╘╛╞╡╤╧╪╔╗╚╝╠╣╦╩╬╟╢", "+"),
    **dict.fromkeys("▁▂", "_"),
    **dict.fromkeys("▃▄", "-"),
    **dict.fromkeys("▅▆", "="),
    **dict.fromkeys("▇█▉▊▋▌▍▓▒■", "#"),
    **dict.fromkeys("‘’′", "'"),
    **dict.fromkeys("“”″", '"'),
    **dict.fromkeys("●○•◆◇", "o"),
    **dict.fromkeys("✓✔", "y"),
    **dict.fromkeys("✗✘×", "x"),
    **dict.fromkeys("·⋅", "."),
    "≤": "<=",
    "≥": ">=",
    "≈": "~",
    "±": "+-",
    "→": "->",
    "←": "<-",
    "⇒": "=>",
    "▲": "^",
    "▼": "v",
    "…": "~",
    "°": " ",
    "÷": "/",
    "µ": "u",
    "μ": "u",
    "Σ": "S",
    "€": "E",
    "£": "L",
    "§": "S",
}
BRAILLE, UPPER, LOWER = 0x2800, 0x1B, 0xE4
PADDING = re.compile(r"[ \t]+(?=\n)")


def plainly(text: str) -> str:
    """A text in ASCII.

    >>> plainly("≤ 65 °C × 2, São Paulo")
    '<= 65  C x 2, Sao Paulo'
    """
    return "".join(sign if sign.isascii() else _plain(sign) for sign in text)


def _plain(sign: str) -> str:
    if sign in ASCII:
        return ASCII[sign]
    if BRAILLE <= ord(sign) < BRAILLE + 256:
        dots = ord(sign) - BRAILLE
        return " '.:"[bool(dots & UPPER) + 2 * bool(dots & LOWER)]
    base = unicodedata.normalize("NFKD", sign).encode("ascii", "ignore").decode()
    return base or ("" if unicodedata.combining(sign) else "?")


def _replace(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return plainly(error.object[error.start : error.end]), error.end


codecs.register_error(HANDLER, _replace)


def shows_all(stream: TextIO) -> bool:
    """Whether a stream takes every sign."""
    # Streams of notebooks and tests may have no encoding: they take what they are given.
    return (stream.encoding or "utf-8").lower().replace("-", "").startswith("utf")


def fit_streams() -> None:
    """Let standard output and error replace what their encoding lacks instead of failing.

    Where one of them was closed before (`>&-`), what is written to it is lost.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            stream = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
            setattr(sys, name, stream)
        reconfigure: Any = getattr(stream, "reconfigure", None)
        if reconfigure is not None and not shows_all(stream):
            reconfigure(errors=HANDLER)


class Trimmed:
    """A stream that leaves out spaces at the ends of lines, of which tables have many."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def __getattr__(self, name: str) -> Any:
        """Whatever else the stream can do."""
        return getattr(self.stream, name)

    def write(self, text: str) -> int:
        """Write a text."""
        return self.stream.write(PADDING.sub("", text))
