"""Pictures on disk: checked before a long run, written whole or not at all."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from planner.errors import InputError
from planner.files import check_file

MISSING_EXTRA = "needs matplotlib, which is not installed: pip install 'resilience-planner[plots]'"


def check_picture(path: Path) -> None:
    """Check before a long run that a picture can be written."""
    try:
        from matplotlib.backend_bases import FigureCanvasBase
    except ImportError as error:
        raise InputError.single(str(path), MISSING_EXTRA) from error
    # PGF needs TeX, which nobody promised.
    kinds = sorted(set(FigureCanvasBase.get_supported_filetypes()) - {"pgf"})
    kind = path.suffix[1:].lower()
    if kind not in kinds:
        wanted = f"`.{kind}`" if kind else "a name without an ending"
        message = f"expected one of .{', .'.join(kinds)}, not {wanted}"
        raise InputError.single(str(path), message)
    check_file(path)


def picture_bytes(figure: Any, kind: str) -> bytes:
    """A figure as a file of some kind; without a salt and dates the same figure, the same bytes."""
    dates = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind, dpi=150, metadata=dates.get(kind))
    return buffer.getvalue()


def plain(text: str) -> str:
    """A text in which nothing is taken for a formula."""
    return text.replace("$", r"\$")
