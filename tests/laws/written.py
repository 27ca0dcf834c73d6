"""Laws that write to arrays, as functions that return them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from planner.laws.traffic import drop_beyond_limit, ration

Floats = NDArray[np.float64]


def dropped_of(unserved: Floats, arriving: Floats, limit: float) -> Floats:
    """Requests that a full queue drops, shape (zones, tiers)."""
    dropped = np.zeros_like(arriving)
    drop_beyond_limit(unserved, arriving, limit, dropped)
    return dropped


def rationed(
    available: float, allocation: Floats, level: NDArray[np.int64] | None = None
) -> Floats:
    """Shares of capacity granted to tiers, each of its own priority by default."""
    shares = np.zeros(len(allocation))
    ration(available, allocation, np.arange(len(shares)) if level is None else level, shares)
    return shares
