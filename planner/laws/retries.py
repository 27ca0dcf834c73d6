"""What clients do when a request fails, and what a shared service does to their attempts.

The last axis of arrays of requests counts attempts: index 0 the first, index a the a-th repeat.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from planner.laws.compiling import chosen, compilable

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class RetryTerms:
    """Retry policies of tiers.

    Parameters
    ----------
    returning
        Share of the clients that back off who come back within a step, shape (tiers,):
        ``1/backoff``. Clients fail throughout a step and count from the next one on, so that their
        mean delay is the backoff; one step is the least there can be.
    repeats
        Share of requests that failed in an attempt which are sent again, shape (tiers, attempts):
        ``1 − gives_up`` for all but the last attempt allowed.
    """

    returning: Floats
    repeats: Floats

    @classmethod
    def of(
        cls, attempts: list[int], backoff_steps: list[float], gives_up: list[float]
    ) -> RetryTerms:
        """Terms of policies given by tier; backoff in steps of the simulation.

        >>> RetryTerms.of([2], [1.0], [0.25]).repeats.tolist()
        [[0.75, 0.75, 0.0]]
        """
        most = max(attempts, default=0)
        numbers = np.arange(most + 1)
        allowed = numbers[None, :] < np.array(attempts, dtype=float)[:, None]
        again = 1.0 - np.array(gives_up, dtype=float)
        backoff = np.array(backoff_steps, dtype=float)
        return cls(np.minimum(1.0, 1.0 / backoff), allowed * again[:, None])

    @property
    def attempts(self) -> int:
        """Largest number of attempts of any tier, the first included."""
        return int(self.repeats.shape[1])


@compilable
def repeat(failed: Any, repeats: Any) -> tuple[Any, Any]:
    """Split failed requests into those sent again later and those given up for good.

    Parameters
    ----------
    failed
        Requests that failed in an attempt.
    repeats
        Share of them that is sent again (`RetryTerms`).
    """
    again = failed * repeats
    return again, failed - again


@compilable
def pool_rate(
    entered_rps: Any,
    held: Any,
    held_before: Any,
    connections: Any,
    seconds: Any,
    step_seconds: float,
) -> Any:
    """Requests per second that a connection pool lets through in the next step.

    A request holds a connection for the time of its work, by Little's law ``rate·seconds`` in all,
    and some keep it while they wait (``held``). What entered less what ``held`` grew by has let go
    of its connection; as many more may enter as leaves the pool just full at the end of the step.
    No more ever fit than the work on each allows, ``connections/seconds``.

    Little, J. D. C. (1961), "A proof for the queuing formula L = λW", Operations Research 9(3).

    Parameters
    ----------
    entered_rps
        Requests per second that entered in the last step.
    held, held_before
        Connections held by waiting requests after it and before it.
    """
    released = np.maximum(entered_rps - (held - held_before) / step_seconds, 0.0)
    free = connections - held - released * seconds
    room = chosen(held > 0, released + free / step_seconds, np.inf)
    return np.maximum(np.minimum(room, connections / seconds), 0.0)


@compilable
def admitted_share(use: Any, weight: Any) -> Any:
    """Share of a tier's requests that gets past a service on its way.

    Services lie one after the other, so that of all on the way the tightest counts.

    Parameters
    ----------
    use
        Requests over what the service lets through.
    weight
        Share of the tier's requests that pass it.
    """
    return 1.0 - weight * (1.0 - np.minimum(1.0, 1.0 / np.maximum(use, 1e-12)))
