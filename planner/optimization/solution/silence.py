"""Suppresses what solvers print on standard output.

Solvers print what no option switches off: HiGHS a banner as soon as it is created, others the terms
of their licence. They print on the file descriptor, through the buffers of C or of Python, or in a
process of their own; all of these are redirected for as long as a solver works.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

STANDARD_OUTPUT = 1

_lock = threading.Lock()
_depth = 0
_restore = contextlib.ExitStack()


@contextlib.contextmanager
def silent() -> Iterator[None]:
    """Discard what Python, C and child processes print on standard output meanwhile.

    Reentrant, also from other threads: the first to enter redirects standard output, the last to
    leave restores it, also after an error.
    """
    global _depth, _restore
    with _lock:
        if _depth == 0:
            with contextlib.ExitStack() as stack:
                _turn_away(stack)
                _restore = stack.pop_all()
        _depth += 1
    try:
        yield
    finally:
        with _lock:
            _depth -= 1
            if _depth == 0:
                _restore.close()


def _turn_away(stack: contextlib.ExitStack) -> None:
    """Redirect standard output to the null device; the stack restores it."""
    with contextlib.suppress(AttributeError, ValueError):  # there is none, or it is closed
        sys.stdout.flush()
    _flush_c()
    try:
        before = os.dup(STANDARD_OUTPUT)
    except OSError:  # it is closed; solvers must not find one of our files in its place
        before = None
    nowhere = Path(os.devnull).open("w", encoding="utf-8", errors="replace")  # noqa: SIM115
    stack.callback(nowhere.close)
    if before is not None:
        stack.callback(os.close, before)
        stack.callback(os.dup2, before, STANDARD_OUTPUT)
    elif nowhere.fileno() != STANDARD_OUTPUT:
        stack.callback(os.close, STANDARD_OUTPUT)
    os.dup2(nowhere.fileno(), STANDARD_OUTPUT)
    stack.callback(_flush_c)
    stack.callback(_bring_back, sys.stdout, nowhere)
    sys.stdout = nowhere


def _bring_back(before: TextIO, ours: TextIO) -> None:
    if sys.stdout is ours:
        sys.stdout = before


def _flush_c() -> None:
    """Flush the output buffers of C."""
    library = _c_library()
    if library is not None:
        library.fflush(None)


@functools.cache
def _c_library() -> Any:
    """Library of C of this process; None where it is not found."""
    try:
        return ctypes.CDLL("ucrtbase" if os.name == "nt" else None)
    except OSError:
        return None
