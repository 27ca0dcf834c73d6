"""What clients do when a request fails, and what a shared service does to their attempts.

The last axis of arrays of requests counts attempts: index 0 the first, index a the a-th repeat.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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


def repeat(failed: Floats, terms: RetryTerms) -> tuple[Floats, Floats]:
    """Split failed requests into those sent again later and those given up.

    Parameters
    ----------
    failed
        Requests by attempt, shape (..., tiers, attempts).

    Returns
    -------
    numpy.ndarray
        Clients that back off, by the attempt they will make, shape (..., tiers, attempts − 1).
    numpy.ndarray
        Requests given up for good, shape (..., tiers).
    """
    again = failed * terms.repeats
    return again[..., :-1], (failed - again).sum(axis=-1)


def amplification(success: float, attempts: int, gives_up: float) -> float:
    """Attempts per request when each attempt succeeds with the same probability.

    ``Σ_{a=0..n} ((1 − success)·(1 − gives_up))^a``: load multiplies by up to ``n + 1`` when nothing
    succeeds, which is what keeps a retry storm alive.

    >>> amplification(1.0, 3, 0.0), amplification(0.0, 3, 0.0)
    (1.0, 4.0)
    """
    ratio = (1 - success) * (1 - gives_up)
    return float(sum(ratio**a for a in range(attempts + 1)))


def connections_in_use(
    served_rps: Floats, seconds: Floats, waiting: Floats, holds_while_waiting: NDArray[np.bool_]
) -> Floats:
    """Connections in use by Little's law: requests in work plus, where they hold on, those waiting.

    Little, J. D. C. (1961), "A proof for the queuing formula L = λW", Operations Research 9(3).
    """
    used: Floats = served_rps * seconds + waiting * holds_while_waiting
    return used


def pool_rate(
    admitted_rps: Floats,
    in_use: Floats,
    connections: Floats,
    seconds: Floats,
    patience_seconds: Floats,
) -> Floats:
    """Requests per second that a pool lets through in the next step.

    Free connections go to new requests. One that waits in vain holds its connection for the time of
    patience, so ``(connections − in_use)/patience`` more fit than did; where holding times do not
    change with the rate, ``connections/mean holding time`` fit. The larger of the two is exact in
    either case and settles within some steps in between. No more ever fit than the work on each
    allows, ``connections/seconds``.
    """
    busy = admitted_rps > 1e-9
    free = np.maximum(connections - in_use, 0.0)
    holding = np.divide(in_use, admitted_rps, out=np.array(seconds + 0.0 * in_use), where=busy)
    by_holding = np.where(busy, connections / np.maximum(holding, 1e-12), free / seconds)
    by_patience = admitted_rps + (connections - in_use) / patience_seconds
    most = np.minimum(np.maximum(by_holding, by_patience), connections / seconds)
    rate: Floats = np.maximum(most, 0.0)
    return rate


def admitted_share(use: Floats, weights: Floats) -> Floats:
    """Share of a tier's requests that gets past the services on its way.

    Parameters
    ----------
    use
        Requests over what each service lets through, shape (..., services).
    weights
        Share of a tier's requests that pass a service, shape (..., tiers, services).

    Returns
    -------
    numpy.ndarray
        Share by tier, shape (..., tiers): services lie one after the other, so the tightest counts.
    """
    passed = np.minimum(1.0, 1.0 / np.maximum(use, 1e-12))
    share: Floats = (1.0 - weights * (1.0 - passed[..., None, :])).min(axis=-1, initial=1.0)
    return share
