"""Files that a user asks for: checked before a long run, written whole or not at all."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from planner.errors import InputError


def check_file(path: Path, *endings: str) -> None:
    """Check that a file can be written.

    Parameters
    ----------
    endings
        How its name may end; none given means in any way.

    Raises
    ------
    InputError
        If its name has another ending, it is a folder, or it stands in none that can be written.
    """
    if endings and path.suffix.lower() not in endings:
        raise InputError.single(str(path), f"expected a name that ends in {' or '.join(endings)}")
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
        replace_files({path: content})
    except OSError as error:
        message = f"cannot be written: {error.strerror or error}"
        raise InputError.single(str(path), message) from error


def replace_files(contents: Mapping[Path, bytes]) -> None:
    """Write files beside their places, then put them there: each is whole, or as it was.

    Raises
    ------
    OSError
        If one cannot be written; its `filename` says which.
    """
    written: dict[Path, Path] = {}
    try:
        for path, content in contents.items():
            if path.is_dir():
                raise IsADirectoryError(errno.EISDIR, "is a directory")
            handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
            written[path] = Path(name)
            with os.fdopen(handle, "wb") as stream:
                stream.write(content)
            written[path].chmod(0o644)
        for path, temporary in written.items():
            temporary.replace(path)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        for temporary in written.values():
            temporary.unlink(missing_ok=True)
