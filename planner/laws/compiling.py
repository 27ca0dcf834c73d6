"""Laws as machine code: functions of plain Python that Numba compiles where speed counts.

A law is written once, for single numbers or for the loops of one scenario. What is elementwise
takes arrays (and variables of a programme) as well; `compiled` makes machine code of the rest, kept
on disk, so that a fresh environment compiles once. Numba is imported when something is compiled.
"""

from __future__ import annotations

import hashlib
import inspect
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache, wraps
from pathlib import Path
from typing import Any

import numpy as np

#: Functions that compiled code may call.
_compilable: list[Callable[..., Any]] = []
#: Of these, those of which compiled code has one copy, not one wherever they are called.
_apart: set[Callable[..., Any]] = set()
#: How many Numba has been told of.
_told = 0
#: Settings of Numba are those of the whole process.
_one_thread_at_a_time = threading.RLock()
#: Folders of compiled code that nobody has used for so long are removed.
UNUSED_SECONDS = 7 * 86_400.0


def compilable[F: Callable[..., Any]](function: F) -> F:
    """Mark a function that compiled code calls; it stays what it is in Python."""
    _compilable.append(function)
    return function


def compilable_apart[F: Callable[..., Any]](function: F) -> F:
    """The same for what is long and called in several places: a copy in each takes time to make."""
    _apart.add(function)
    return compilable(function)


def chosen(condition: Any, one: Any, other: Any) -> Any:
    """One where a condition holds, the other elsewhere: numbers or arrays.

    >>> chosen(np.array([True, False]), 1.0, 2.0).tolist()
    [1.0, 2.0]
    """
    return np.where(condition, one, other)


def _either(condition: Any, one: Any, other: Any) -> Any:
    return one if condition else other


def compiled[F: Callable[..., Any]](function: F) -> F:
    """Machine code of a function whose arguments are arrays, numbers and what it calls compilable.

    Compiled at the first call with arguments of new types and kept on disk: beside the package,
    below ``NUMBA_CACHE_DIR`` where that is set, or in the user's cache folder where the package's
    cannot be written. Processes that want the same at once wait for the one that compiles it, at a
    low level of optimisation: a higher one takes half as long again to compile, and its code is
    about 5 % faster. What other versions of the source have left there goes after a week unused.
    Compiled code releases the interpreter's lock, counts no references (so it allocates nothing),
    divides by zero as NumPy does and keeps the order of sums, so that results do not depend on the
    machine or the number of threads.
    """
    with _one_thread_at_a_time:
        return _compiled(function)  # type: ignore[no-any-return]


@cache
def _compiled[F: Callable[..., Any]](function: F) -> F:
    from numba import njit, typeof

    folder = _cache_folder(function)
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy", "_nrt": False}
    with _settings(CACHE_DIR="" if folder is None else str(folder)):
        _tell_numba()
        try:
            dispatcher = njit(function, cache=folder is not None, **options)
        except RuntimeError:
            # Numba finds no folder to keep it in: compiled for this process alone.
            dispatcher = njit(function, **options)

    @wraps(function)
    def call(*arguments: Any) -> Any:
        if not dispatcher.overloads:
            with _one_process_at_a_time(folder), _settings(OPT=1):
                dispatcher.compile(tuple(map(typeof, arguments)))
        return dispatcher(*arguments)

    return call  # type: ignore[return-value]


def _tell_numba() -> None:
    """Let compiled code call what is compilable, and choose between numbers."""
    global _told
    from numba.extending import overload, register_jitable

    if not _told:

        @overload(chosen)
        def _chosen(condition: Any, one: Any, other: Any) -> Any:  # noqa: ARG001
            return _either

    new = _compilable[_told:]
    _told = len(_compilable)
    for function in new:
        register_jitable(
            no_cfunc_wrapper=True,
            no_cpython_wrapper=True,
            _nrt=False,
            forceinline=function not in _apart,
        )(function)


def _cache_folder(function: Callable[..., Any]) -> Path | None:
    """Folder of compiled code, named after all source that it may depend on; None for none.

    Numba looks at the file of the compiled function alone, not at those of the laws it calls or of
    tables that name what it reads and writes.
    """
    from numba import config
    from numba.misc.appdirs import AppDirs

    set_by_user = vars(config)["CACHE_DIR"]
    source = Path(inspect.getfile(function)).resolve()
    folders = {Path(__file__).parent, source.parent}
    files = sorted(path for folder in folders for path in folder.iterdir())
    parts = [path for path in files if path.suffix in {".py", ".csv"}]
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.read_bytes())
    name = f"planner-{digest.hexdigest()[:16]}"
    beside = source.parents[1] / "__pycache__"
    users = Path(AppDirs("resilience-planner", appauthor=False).user_cache_dir)  # type: ignore[no-untyped-call]
    for base in [Path(set_by_user)] if set_by_user else [beside, users]:
        folder = base / name
        try:
            new = not folder.exists()
            folder.mkdir(parents=True, exist_ok=True)
            # Its age says when it was last used.
            folder.touch()
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError:
            continue
        if new:
            _remove_unused(base)
        return folder
    return None


def _remove_unused(base: Path) -> None:
    """Remove compiled code that has not been used for long; others may do so at the same time."""
    for folder in base.glob(f"planner-{'[0-9a-f]' * 16}"):
        with suppress(OSError):
            if time.time() - folder.stat().st_mtime > UNUSED_SECONDS:
                shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _settings(**values: Any) -> Iterator[None]:
    """Settings of Numba meanwhile, one thread at a time."""
    from numba import config

    with _one_thread_at_a_time:
        before = {name: vars(config)[name] for name in values}
        # Of the same type: some levels of optimisation know more than their number.
        vars(config).update({name: type(before[name])(value) for name, value in values.items()})
        try:
            yield
        finally:
            vars(config).update(before)


@contextmanager
def _one_process_at_a_time(folder: Path | None) -> Iterator[None]:
    """Hold a lock that other processes wait for, where the system has such locks."""
    if folder is None or os.name != "posix":
        yield
        return
    import fcntl

    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
