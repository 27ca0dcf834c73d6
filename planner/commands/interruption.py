"""Ctrl-C: the first asks for the best plan so far, the second quits."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

NOTE = "Interrupted: ending with the best plan so far, once simulated; again quits at once.\n"


@contextmanager
def interruptible(quiet: bool, note: str = NOTE) -> Iterator[threading.Event]:
    """Turn the first Ctrl-C into an event that solvers and the loop look at.

    Parameters
    ----------
    quiet
        Whether to say nothing about it on standard error.
    note
        What is said.

    Yields
    ------
    threading.Event
        Set once somebody interrupts.
    """
    stop = threading.Event()

    def handle(_signal: int, _frame: Any) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        if not quiet:
            # A signal may come in the middle of another line; streams refuse to be entered twice.
            os.write(2, note.encode())

    before = signal.signal(signal.SIGINT, handle)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)
