"""Characters that a terminal or a pipe cannot show, replaced by the nearest that it can."""

from __future__ import annotations

import codecs
import os
import re
import sys
import unicodedata
from typing import Any, TextIO

#: Name of the handler of characters that an encoding lacks, for `codecs`.
HANDLER = "planner.characters"
#: What stands in ASCII for characters that Unicode does not take apart.
ASCII = str.maketrans(
    {
        **dict.fromkeys("─–—−", "-"),
        **dict.fromkeys("▁▂", "_"),
        **dict.fromkeys("▃▄", "-"),
        **dict.fromkeys("▅▆", "="),
        **dict.fromkeys("▇█", "#"),
        **dict.fromkeys("‘’", "'"),
        **dict.fromkeys("“”", '"'),
        **dict.fromkeys("●○", "o"),
        **dict.fromkeys("×✗", "x"),
        "✓": "y",
        "·": ".",
        "≤": "<=",
        "≥": ">=",
        "≈": "~",
        "±": "+-",
        "→": "->",
        "…": "~",
        "°": " ",
    }
)
PADDING = re.compile(r"[ \t]+(?=\n)")


def plainly(text: str) -> str:
    """A text in ASCII.

    >>> plainly("≤ 65 °C × 2, São Paulo, 東京")
    '<= 65  C x 2, Sao Paulo, ??'
    """
    parts = unicodedata.normalize("NFKD", text.translate(ASCII))
    return "".join(
        char if char.isascii() else "?" for char in parts if not unicodedata.combining(char)
    )


def _replace(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return plainly(error.object[error.start : error.end]), error.end


codecs.register_error(HANDLER, _replace)


def shows_all(stream: TextIO) -> bool:
    """Whether a stream takes every character."""
    # Streams of notebooks and tests may have no encoding: they take what they are given.
    return (stream.encoding or "utf-8").lower().replace("-", "").startswith("utf")


def fit_streams() -> None:
    """Let standard output and error replace what their encoding lacks instead of failing.

    Where standard output was closed before (`>&-`), writing to it fails as it does to a full disk;
    what is written to a closed standard error is lost.
    """
    for name, mode in (("stdout", os.O_RDONLY), ("stderr", os.O_WRONLY)):
        stream = getattr(sys, name)
        if stream is None:
            stream = os.fdopen(os.open(os.devnull, mode), "w", encoding="utf-8")
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
