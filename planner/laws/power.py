"""Power that reaches loads over feeds: what can be drawn together, and what is shed when short.

A load may draw on any of its sources, so who draws how much from which is a transport problem. It
has a solution exactly where, for every set of sources, the loads that have no others draw no more
than these carry together (Gale 1957, Hoffman 1960): a few sums in place of flows.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: Halvings in the search for a share: what is left of its interval is rounding.
HALVINGS = 45
#: Relative excess of a draw that is rounding.
ROUNDING = 1e-9


#: Sets of sources that are worked with; more are refused.
MOST_SETS = 1000


def source_sets[Source: Hashable](
    sources: Iterable[frozenset[Source]],
) -> tuple[frozenset[Source], ...]:
    """Sets of sources whose sums decide whether loads can be supplied.

    Unions of the sources of loads, as far as they hang together: for two that share no source, the
    sum of both follows from that of each.

    Raises
    ------
    ValueError
        If there are more than `MOST_SETS`.

    >>> [sorted(one) for one in source_sets([frozenset("ab"), frozenset("b"), frozenset("c")])]
    [['b'], ['c'], ['a', 'b']]
    """
    distinct = dict.fromkeys(source for source in sources if source)
    found, waiting = dict(distinct), list(distinct)
    while waiting:
        current = waiting.pop()
        for source_set in distinct:
            union = current | source_set
            if len(found) > MOST_SETS:
                raise ValueError(f"more than {MOST_SETS:,} sets of sources")
            if current & source_set and union not in found:
                found[union] = None
                waiting.append(union)
    return tuple(sorted(found, key=lambda union: (len(union), sorted(map(str, union)))))


def fair_shares(
    draws_mw: Callable[[Floats], Floats], limits_mw: Floats, may_shed: NDArray[np.bool_]
) -> Floats:
    """Share of its full load that supply allows every load, shape (scenarios, loads).

    All shares rise alike until something is full; loads that draw on that stay where they are, the
    others go on. So those under one limit shed in proportion, and the same every time.

    Parameters
    ----------
    draws_mw
        What loads at given shares draw under each limit: shape (scenarios, limits, loads), in sum
        rising with the shares.
    limits_mw
        What may be drawn, shape (scenarios, limits).
    may_shed
        Loads that may be shed; the others stay at all of it. Shape (scenarios, loads).
    """
    most = limits_mw + ROUNDING * np.abs(limits_mw)
    if not may_shed.all():
        # What the others draw beyond a limit is not for those to shed that draw nothing under it.
        most = np.maximum(most, draws_mw(np.where(may_shed, 0.0, 1.0)).sum(axis=2))
    shares, rising = np.ones(may_shed.shape), may_shed.copy()
    while rising.any():
        over = (draws_mw(shares).sum(axis=2) > most).any(axis=1)
        if not over.any():
            break
        low, high = _level(draws_mw, most, shares, rising)
        draws = draws_mw(np.where(rising, high[:, None], shares))
        full = draws.sum(axis=2) > most
        held = ((draws > 0) & full[:, :, None]).any(axis=1) & rising
        held = np.where(held.any(axis=1)[:, None], held, rising) & over[:, None]
        shares = np.where(held, low[:, None], shares)
        rising &= ~held
    return shares


def _level(
    draws_mw: Callable[[Floats], Floats], most: Floats, shares: Floats, rising: NDArray[np.bool_]
) -> tuple[Floats, Floats]:
    """Largest share of all that still rise with which everything fits, and the next that does not.

    By halving: cooling goes to plants in order, so draws bend.
    """
    low, high = np.zeros(len(shares)), np.ones(len(shares))
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        tried = np.where(rising, middle[:, None], shares)
        fits = (draws_mw(tried).sum(axis=2) <= most).all(axis=1)
        low, high = np.where(fits, middle, low), np.where(fits, high, middle)
    return low, high
