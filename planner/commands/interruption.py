"""Ctrl-C: the first asks for the best plan so far, the second quits.

Whoever ends the process in another way (`kill`, a terminal that closes) is understood in the same
way.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

NOTE = "Interrupted: ending with the best plan so far, once simulated; again quits at once.\n"


@contextmanager
def all_interrupts() -> Iterator[None]:
    """Let every signal that asks to end raise `KeyboardInterrupt`, unless it is ignored."""
    with _handling(signal.default_int_handler):
        yield


@contextmanager
def _handling(handler: Callable[[int, Any], Any], *always: signal.Signals) -> Iterator[None]:
    names = ("SIGINT", "SIGTERM", "SIGHUP")
    signals = [getattr(signal, name) for name in names if hasattr(signal, name)]
    ignored = {one for one in signals if signal.getsignal(one) is signal.SIG_IGN}
    heeded = [one for one in signals if one in always or one not in ignored]
    before = {}
    try:
        for one in heeded:
            before[one] = signal.signal(one, handler)
        yield
    finally:
        for one, earlier in before.items():
            signal.signal(one, earlier)


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

    # A search in the background, for which shells ignore Ctrl-C, can be told to stop all the same.
    with _handling(handle, signal.SIGINT):
        yield stop
