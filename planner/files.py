"""Files that a user asks for: checked before a long run, written whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from planner.errors import InputError


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
        raise InputError.single(str(path), f"{path.parent} is not a writable folder")


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
