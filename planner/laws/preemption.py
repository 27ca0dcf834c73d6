"""Preemptible work (training, batch): what is lost when its GPUs are taken away."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def lost_work_hours(checkpoint_minutes: float) -> float:
    """Hours of work that are lost on average with each interruption: half of the interval.

    An interruption comes at any moment between two checkpoints alike.

    References
    ----------
    J. W. Young, "A first order approximation to the optimum checkpoint interval", *Communications
    of the ACM* 17 (1974) 530-531.

    >>> lost_work_hours(30.0)
    0.25
    """
    return checkpoint_minutes / 120


def interrupted_rps(running_rps: Any, wanted_rps: Any, served_rps: Any) -> Any:
    """Work that ran and still wants to run, and does not, requests/s.

    >>> float(interrupted_rps(100.0, 80.0, 30.0)), float(interrupted_rps(20.0, 80.0, 30.0))
    (50.0, 0.0)
    """
    return np.maximum(0.0, np.minimum(running_rps, wanted_rps) - served_rps)


def lost_work(demand_rps: Floats, served_rps: Floats, checkpoint_minutes: Floats) -> Floats:
    """Work done before and lost in each minute, in requests, shape (minutes, ..., tiers).

    Parameters
    ----------
    demand_rps, served_rps
        By minute, scenario if any, and tier; all that is wanted in the first minute ran before it.
    checkpoint_minutes
        Minutes between checkpoints by tier, 0 for tiers that lose nothing.
    """
    before = np.concatenate([demand_rps[:1], served_rps[:-1]])
    hours = np.array([lost_work_hours(minutes) for minutes in checkpoint_minutes])
    lost: Floats = interrupted_rps(before, demand_rps, served_rps) * (3600 * hours)
    return lost
