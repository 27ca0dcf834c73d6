"""Parts of a whole that may be nothing, or so little that a quotient has no number."""

from __future__ import annotations

from typing import Any

import numpy as np

from planner.laws.compiling import chosen, compilable

#: The largest number there is.
LARGEST = float(np.finfo(np.float64).max)


@compilable
def ratio(part: Any, whole: Any, none: float = 0.0, most: float = LARGEST) -> Any:
    """A part over its whole, not negative; a fixed value where there is no whole.

    What lies above zero may be too little to divide by: four over 2e-308 is no number any more.
    Such a quotient is the most that it can be.

    Parameters
    ----------
    part, whole
        Numbers or arrays that broadcast together, not negative.
    none
        Value where the whole is 0.
    most
        Largest value otherwise.

    >>> ratio(np.array([1.0, 4.0, 3.0]), np.array([2.0, 2.0e-308, 0.0]), most=1.0).tolist()
    [0.5, 1.0, 0.0]
    """
    enough = whole > part / most
    return chosen(enough, part / chosen(enough, whole, 1.0), chosen(whole > 0, most, none))
