"""All real roots of a sum of discounted payments, found without guessing where they lie.

With the force of interest ρ = ln(1 + r) the present value of payments ``c_t`` is the exponential
sum ``f(ρ) = Σ c_t·exp(−ρ·t)``, which has at most as many real zeros as the payments change sign
(Descartes). Between two neighbouring zeros of its derivative it is monotone (Rolle), so that it has
one zero there if it changes sign and none otherwise. Deriving removes the first payment each time;
after some steps one change of sign is left, and the way back finds every zero.

References
----------
Jameson, "Counting zeros of generalised polynomials: Descartes' rule of signs and Laguerre's
extensions", *The Mathematical Gazette* 90 (2006).
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

#: A sum that comes this close to zero, relative to its terms, touches it: rounding hides the rest.
TOUCHES = 1e-12
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
    """All real ρ with ``Σ c_t·exp(−ρ·t) = 0``, ascending, each once.

    Parameters
    ----------
    payments
        Finite payments ``c_t`` of the years 0..N.

    >>> [round(math.expm1(force), 9) for force in forces_of_interest(np.array([-100, 230, -132]))]
    [0.1, 0.2]
    """
    years = np.flatnonzero(payments)
    if sign_changes(payments) == 0:
        return np.empty(0)
    chain = [(payments[years], (years - years[0]).astype(float))]
    while sign_changes(chain[-1][0]) > 1:
        chain.append(_derived(*chain[-1]))
    zeros = np.empty(0)
    for terms, times in reversed(chain):
        zeros = _zeros(terms, times, zeros)
    return zeros


def _derived(terms: Array, times: Array) -> tuple[Array, Array]:
    """Derivative of the sum by ρ but for its sign, scaled, its first exponent moved to 0."""
    terms, times = terms[1:] / np.abs(terms[1:]).max() * (times[1:] / times[-1]), times[1:]
    left = terms != 0
    return terms[left], times[left] - times[left][0]


def _zeros(terms: Array, times: Array, turning: Array) -> Array:
    """Zeros of the sum, given those of its derivative."""
    low, high = _bounds(terms)
    inside = turning[(turning > low) & (turning < high)]
    values = _relative(terms, times, inside)
    touching = np.abs(values) <= TOUCHES
    edges = np.concatenate([[low], inside, [high]])
    # Beyond the bounds the last or the first payment outweighs all others.
    ends = np.sign(terms[[-1, 0]])
    signs = np.concatenate([ends[:1], np.where(touching, 0, np.sign(values)), ends[1:]])
    crossed = np.flatnonzero(signs[:-1] * signs[1:] < 0)
    found = _halved(terms, times, edges[crossed], edges[crossed + 1], signs[crossed])
    return np.unique(np.concatenate([found, inside[touching]]))


def _bounds(terms: Array) -> tuple[float, float]:
    """Interval outside of which there is no zero: Cauchy's bound, ``|x| < 1 + max|c_t / c_N|``."""
    sizes = np.log(np.abs(terms))
    largest = float(sizes.max())
    return -math.log(2) - (largest - float(sizes[-1])), math.log(2) + largest - float(sizes[0])


def _relative(terms: Array, times: Array, forces: Array) -> Array:
    """Sum over the sum of its absolute terms, in [−1, 1], one per ρ; no exponential overflows."""
    sizes = np.log(np.abs(terms)) - forces[:, None] * times
    weights = np.exp(sizes - sizes.max(axis=1, initial=-np.inf, keepdims=True))
    value: Array = (weights @ np.sign(terms)) / weights.sum(axis=1)
    return value


def _halved(terms: Array, times: Array, low: Array, high: Array, sign_low: Array) -> Array:
    """The zero in each of some intervals with a change of sign, by bisection of all at once."""
    for _ in range(HALVINGS):
        middle = low + (high - low) / 2
        if not np.any((middle > low) & (middle < high)):
            break
        left = np.sign(_relative(terms, times, middle)) == sign_low
        low, high = np.where(left, middle, low), np.where(left, high, middle)
    return low + (high - low) / 2
