"""Parts of a whole that may be nothing, or so little that a quotient has no number."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: The largest number there is.
LARGEST = float(np.finfo(np.float64).max)


def ratio(part: Any, whole: Any, none: float = 0.0, most: float = LARGEST) -> Floats:
    """A part over its whole, not negative; a fixed value where there is no whole.

    What lies above zero may be too little to divide by: four over 2e-308 is no number any more.
    Such a quotient is the most that it can be.

    Parameters
    ----------
    part, whole
        Numbers that broadcast together, not negative.
    none
        Value where the whole is 0.
    most
        Largest value otherwise.

    >>> ratio(np.array([1.0, 4.0, 3.0]), np.array([2.0, 2.0e-308, 0.0]), most=1.0).tolist()
    [0.5, 1.0, 0.0]
    """
    parts, wholes = np.broadcast_arrays(part, whole)
    found: Floats = np.full(parts.shape, none, dtype=np.float64)
    with np.errstate(over="ignore"):
        np.divide(parts, wholes, out=found, where=wholes > 0)
    return np.where(wholes > 0, np.minimum(found, most), found)
