"""Progress on standard error: lines, and on a terminal what is going on just now."""

from __future__ import annotations

import os
import shlex
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

#: Seconds of silence after which a terminal is told that work goes on, and between two such notes.
PATIENCE = 2.0
BEAT = 0.5
#: Sequence that clears the line of a terminal.
CLEAR = "\r\x1b[K"
#: Columns of a status line where the terminal does not say how many it has.
COLUMNS = 80


class Progress:
    """Lines of progress with elapsed time on standard error.

    Parameters
    ----------
    quiet
        Whether to say nothing at all.
    """

    def __init__(self, quiet: bool) -> None:
        self.quiet = quiet
        self.started = time.monotonic()
        self._lock = threading.Lock()
        self._said, self._since = "", self.started
        # Parts done, parts in all, parts done when the clock of the pace started, and that moment.
        self._parts: tuple[int, int, int, float] | None = None
        self._status = False

    def say(self, text: str) -> None:
        """Print one line unless quiet."""
        with self._lock:
            self._said, self._since = text.strip(), time.monotonic()
            if not self.quiet:
                self._write(f"[{self._since - self.started:6.1f} s] {text}\n")

    def part(self, done: int, total: int) -> None:
        """Note how much is done, for the estimate of what is left; prints nothing."""
        with self._lock:
            # The first call tells nothing of the pace, which counts from there.
            begun = (done, time.monotonic()) if self._parts is None else self._parts[2:]
            self._parts = (done, total, *begun)

    @property
    def done(self) -> int:
        """Parts noted as done."""
        return 0 if self._parts is None else self._parts[0]

    def reporter(self) -> Callable[[int, int], None] | None:
        """`part` where somebody sees the estimate; None saves the trouble."""
        return None if self.quiet or not is_terminal() else self.part

    def next(self, *commands: str, silent: bool = False) -> None:
        """Suggest what to do next, to somebody at a terminal.

        Parameters
        ----------
        commands
            Commands with what they are for: ``plan explain out: why it buys that``.
        silent
            Say nothing, as where the output is for machines.
        """
        if not (self.quiet or silent) and commands and is_terminal():
            sys.stdout.flush()
            lines = "\n".join(f"  {command}" for command in commands)
            with self._lock:
                self._write(f"\nNext:\n{lines}\n")

    @contextmanager
    def working(self, limit: float | None = None) -> Iterator[None]:
        """Show on a terminal that work goes on, for how long, and how much longer if known.

        Parameters
        ----------
        limit
            Seconds after which the work ends itself; None without such a limit.
        """
        if self.quiet or not is_terminal() or os.environ.get("TERM") in ("dumb", "unknown"):
            yield
            return
        done = threading.Event()
        deadline = None if limit is None else time.monotonic() + limit
        beat = threading.Thread(target=self._beat, args=(done, deadline), daemon=True)
        beat.start()
        try:
            yield
        finally:
            done.set()
            beat.join()
            with self._lock:
                self._write("")

    def _beat(self, done: threading.Event, deadline: float | None) -> None:
        while not done.wait(BEAT):
            with self._lock:
                now = time.monotonic()
                if now - self._since >= PATIENCE:
                    self._write("")
                    sys.stderr.write(self.status(now, deadline)[: _columns() - 1])
                    sys.stderr.flush()
                    self._status = True

    def status(self, now: float, deadline: float | None = None) -> str:
        """What goes on, since when, and for how long still where that is known.

        Parameters
        ----------
        now, deadline
            Moments of the monotonic clock.
        """
        notes = [f"for {now - self._since:.0f} s"]
        left = self._left(now)
        if left is not None:
            notes.append(f"about {left:,.0f} s left")
        elif deadline is not None:
            notes.append(f"at most {max(0.0, deadline - now):,.0f} s left")
        said = self._said.partition(":")[0] if len(self._said) > COLUMNS // 2 else self._said
        return f"[{now - self.started:6.1f} s] {', '.join(notes)}: {said or 'working'}"

    def _left(self, now: float) -> float | None:
        """Seconds that the parts still to do will take at the pace so far."""
        if self._parts is None:
            return None
        done, total, begun, moment = self._parts
        made = done - begun
        return (now - moment) / made * (total - done) if made > 0 else None

    def _write(self, text: str) -> None:
        """Write on standard error, over the status line if there is one."""
        sys.stderr.write((CLEAR if self._status else "") + text)
        sys.stderr.flush()
        self._status = False


def plan_line(*words: object) -> str:
    """A command to suggest, quoted for a shell.

    >>> plan_line("check", "my model.yaml")
    "plan check 'my model.yaml'"
    """
    return shlex.join(["plan", *(str(word) for word in words)])


def settings_of(overrides: Iterable[str]) -> tuple[str, ...]:
    """Changes of a model as words of a command."""
    return tuple(word for override in overrides for word in ("--set", override))


def is_terminal() -> bool:
    """Whether somebody reads standard error on a terminal."""
    return sys.stderr.isatty()


def _columns() -> int:
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or COLUMNS
    except (OSError, ValueError):
        return COLUMNS
