"""All real roots of a sum of discounted payments.

With the discount factor ``x = 1 / (1 + r)`` the present value of payments ``c_t`` is the polynomial
``Σ c_t·x^t``. Eigenvalues of its companion matrix (`numpy.polynomial`) tell where its positive
roots lie; each is then narrowed down by bisection wherever the present value changes sign.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numpy.polynomial.polynomial import polyroots

Array = npt.NDArray[np.float64]

#: A sum that comes this close to zero, relative to its terms, touches it: rounding hides the rest.
TOUCHES = 1e-12
#: Eigenvalues are real if their angle is below this; those of a double root are off by its root.
NEARLY_REAL = 1e-5
#: Halvings of an interval after which neighbouring numbers are left.
HALVINGS = 100


def sign_changes(payments: Array) -> int:
    """How often the payments change sign, zeros left out.

    >>> sign_changes(np.array([-3.0, 0.0, 1.0, 2.0, -6.5]))
    2
    """
    signs = np.sign(payments[payments != 0])
    return int(np.count_nonzero(signs[1:] != signs[:-1]))


def forces_of_interest(payments: Array) -> Array:
    """All real ρ = ln(1 + r) with ``Σ c_t·exp(−ρ·t) = 0``, ascending, each once.

    Parameters
    ----------
    payments
        Finite payments ``c_t`` of the years 0..N.

    >>> np.expm1(forces_of_interest(np.array([-100, 230, -132]))).round(9).tolist()
    [0.1, 0.2]
    """
    if sign_changes(payments) == 0:
        return np.empty(0)
    years = np.flatnonzero(payments)
    terms = payments[years[0] : years[-1] + 1]
    # Payments of like size at both ends: x is a multiple of their ratio's root.
    sizes = np.log(np.abs(terms[[0, -1]]))
    shift = float(sizes[1] - sizes[0]) / (len(terms) - 1)
    scaled = np.sign(terms) * np.exp(_logs(terms) - sizes[0] - shift * np.arange(len(terms)))
    roots = polyroots(scaled)
    forces = np.sort(shift - np.log(np.abs(roots[np.abs(np.angle(roots)) < NEARLY_REAL])))
    return _narrowed(terms, forces[np.diff(forces, prepend=-np.inf) > NEARLY_REAL])


def _narrowed(terms: Array, forces: Array) -> Array:
    """The zero about each force where the sum changes sign there or touches zero."""
    if not forces.size:
        return forces
    edges = np.concatenate([[forces[0] - 1], (forces[1:] + forces[:-1]) / 2, [forces[-1] + 1]])
    signs = np.sign(_relative(terms, edges))
    crossed = signs[:-1] * signs[1:] < 0
    low, high, sign_low = edges[:-1], edges[1:], signs[:-1]
    for _ in range(HALVINGS):
        middle = low + (high - low) / 2
        left = np.sign(_relative(terms, middle)) == sign_low
        low, high = np.where(left, middle, low), np.where(left, high, middle)
    touches = np.abs(_relative(terms, forces)) <= TOUCHES
    found: Array = np.where(crossed, low + (high - low) / 2, forces)[crossed | touches]
    return found


def _logs(terms: Array) -> Array:
    """Logarithms of the sizes of payments; −∞ where there is none."""
    with np.errstate(divide="ignore"):
        logs: Array = np.log(np.abs(terms))
    return logs


def _relative(terms: Array, forces: Array) -> Array:
    """Sum over the sum of its absolute terms, in [−1, 1], one per ρ; no exponential overflows."""
    sizes = _logs(terms) - forces[:, None] * np.arange(len(terms))
    weights = np.exp(sizes - sizes.max(axis=1, keepdims=True))
    value: Array = (weights @ np.sign(terms)) / weights.sum(axis=1)
    return value
