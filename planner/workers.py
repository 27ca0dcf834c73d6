"""Who shares the work of a long run: threads of this process, or workers on other machines.

A run works through batches of scenarios or of recourse programmes. Results come back in the order
of the batches and no result depends on the batch that it is in, so any number of workers makes the
same plan.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from dataclasses import dataclass, field
from typing import Protocol

#: Batches that wait for each worker, so that none of them is idle while results are looked at.
AHEAD = 2


class Workers(Protocol):
    """Workers that share batches."""

    @property
    def count(self) -> int:
        """How many batches are worked on at the same time."""
        ...

    @property
    def fewest(self) -> int:
        """Scenarios, or recourse programmes, below which a batch is not worth sending."""
        ...

    def map[Shared, Batch, Result](
        self,
        task: Callable[[Shared, Batch], Result],
        shared: Shared,
        batches: Iterable[Batch],
    ) -> Iterator[Result]:
        """Results of a task for batches, in their order; only few batches are taken ahead.

        Parameters
        ----------
        task
            A function of a module.
        shared
            What all batches need; the same object is sent to a worker once.
        """
        ...


class Pending[Result](Protocol):
    """A result that a worker is still at."""

    def result(self) -> Result:
        """Wait for it."""
        ...

    def cancel(self) -> object:
        """Give it up."""
        ...


def in_order[Batch, Result](
    submit: Callable[[Batch], Pending[Result]], batches: Iterable[Batch], ahead: int
) -> Iterator[Result]:
    """Results in the order of the batches, with at most `ahead` of these under way."""
    pending: deque[Pending[Result]] = deque()
    try:
        for batch in batches:
            pending.append(submit(batch))
            if len(pending) >= ahead:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        for left in pending:
            left.cancel()


def usable_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@dataclass(frozen=True)
class Threads:
    """Threads of this process: compiled minutes and HiGHS run at the same time.

    Parameters
    ----------
    count
        How many; all usable cores if not given.

    Raises
    ------
    ValueError
        If there is none.
    """

    count: int = field(default_factory=usable_cores)
    fewest: int = 4

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ValueError(f"Expected count ≥ 1, got {self.count}.")

    def map[Shared, Batch, Result](
        self,
        task: Callable[[Shared, Batch], Result],
        shared: Shared,
        batches: Iterable[Batch],
    ) -> Iterator[Result]:
        """Results of a task for batches, in their order."""
        if self.count == 1:
            for batch in batches:
                yield task(shared, batch)
            return
        with ThreadPoolExecutor(self.count) as pool:
            yield from in_order(
                lambda batch: pool.submit(task, shared, batch), batches, AHEAD * self.count
            )


_at_work: ContextVar[Workers | None] = ContextVar("workers", default=None)


def workers(items: int) -> Workers:
    """Those at work now, or this thread alone where there is too little for two of them."""
    found = _at_work.get() or Threads()
    return found if items >= 2 * found.fewest else Threads(1)


@contextmanager
def shared_by(those: Workers) -> Iterator[Workers]:
    """Share the work of what is called inside among some workers.

    Examples
    --------
    >>> with shared_by(Threads(3)):
    ...     workers(1000).count
    3
    """
    before = _at_work.set(those)
    try:
        yield those
    finally:
        _at_work.reset(before)


def side_by_side[Item, Result](
    task: Callable[[Item], Result], items: Sequence[Item]
) -> list[Result]:
    """Results of a task for items that share no state, by threads of this process.

    What the task itself has to share out stays in its thread.

    Examples
    --------
    >>> side_by_side(abs, (-1, 2, -3))
    [1, 2, 3]
    """
    found = _at_work.get()
    count = min(found.count if isinstance(found, Threads) else usable_cores(), len(items))
    if count < 2:
        return [task(item) for item in items]

    def alone(item: Item) -> Result:
        with shared_by(Threads(1)):
            return task(item)

    with ThreadPoolExecutor(count) as pool:
        begun = [pool.submit(copy_context().run, alone, item) for item in items]
        return [one.result() for one in begun]
