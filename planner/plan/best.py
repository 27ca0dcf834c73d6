"""Which round's plan is the best."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from planner.scenarios.hours import failure_and_hour


class _Judged(Protocol):
    """A round whose plan was simulated."""

    @property
    def failed(self) -> tuple[str, ...]: ...

    @property
    def objective_usd_per_year(self) -> float: ...


def best_round[R: _Judged](rounds: Sequence[R]) -> R | None:
    """The round whose plan fails in the fewest failures, the cheapest of several; None of none."""
    return min(
        rounds, key=lambda made: (failure_count(made), made.objective_usd_per_year), default=None
    )


def failure_count(judged: _Judged) -> int:
    """Failures that are not survived, at whatever hours."""
    return len({failure_and_hour(name)[0] for name in judged.failed})
