"""Pictures on disk: checked before a long run, written whole or not at all."""

from __future__ import annotations

import io
import os
import tempfile
from pathlib import Path
from typing import Any

from planner.errors import InputError

MISSING_EXTRA = "needs matplotlib, which is not installed: pip install 'resilience-planner[plots]'"


def check_picture(path: Path) -> None:
    """Check before a long run that a picture can be written.

    Raises
    ------
    InputError
        If matplotlib is not installed or does not write such files, or the folder does not exist.
    """
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


def check_file(path: Path) -> None:
    """Check that a file can be written.

    Raises
    ------
    InputError
        If it is a folder, or stands in none that can be written.
    """
    try:
        is_folder, is_in_folder = path.is_dir(), path.parent.is_dir()
    except OSError as error:
        # A name that is too long, for one.
        raise InputError.single(str(path), f"cannot be written: {error.strerror}") from error
    if is_folder:
        raise InputError.single(str(path), "is a folder; expected a file to write")
    if not (is_in_folder and os.access(path.parent, os.W_OK | os.X_OK)):
        raise InputError.single(str(path), f"{path.parent} is no folder to write")


def write_file(content: bytes, path: Path) -> None:
    """Write a file, whole or not at all.

    Raises
    ------
    InputError
        If it cannot be written.
    """
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(content)
            Path(temporary).chmod(0o644)
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        message = f"cannot be written: {error.strerror or error}"
        raise InputError.single(str(path), message) from error


def picture_bytes(figure: Any, kind: str) -> bytes:
    """A figure as a file of some kind; without a salt and dates the same figure, the same bytes."""
    dates = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind, dpi=150, metadata=dates.get(kind))
    return buffer.getvalue()


def plain(text: str) -> str:
    """A text in which nothing is taken for a formula."""
    return text.replace("$", r"\$")
