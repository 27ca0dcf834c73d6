"""Power that reaches loads over feeds: what can be drawn together, and what is shed when short.

A load may draw on any of its sources, so who draws how much from which is a transport problem. It
has a solution exactly where, for every set of sources, the loads that have no others draw no more
than these carry together (Gale 1957, Hoffman 1960): a few sums in place of flows.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from planner.laws.compiling import compilable
from planner.laws.heat import carry_heat
from planner.laws.ratios import total

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

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


class Supply(NamedTuple):
    """Loads under limits of power: clusters with the cooling of their heat, or plants alone.

    Parameters
    ----------
    of_plants
        Whether the loads are plants, whose capacity is what is shared.
    full_mw, capacity_mw
        Heat of clusters at full load, shape (C,), and capacity of plants, shape (P,).
    clusters, plants
        Power per heat of GPUs of clusters, shape (limits, C), and per heat that plants carry, shape
        (limits, P); 0 where they are not under a limit.
    first, cooled
        Clusters that plants cool (`planner.laws.heat.carry_heat`).
    """

    of_plants: bool
    full_mw: Floats
    capacity_mw: Floats
    clusters: Floats
    plants: Floats
    first: Ints
    cooled: Ints


@compilable
def draw(shares: Floats, supply: Supply, drawn_mw: Floats) -> None:
    """Work out what loads draw at some shares of their full load.

    Parameters
    ----------
    shares
        Shares of the loads, shape (loads,).
    drawn_mw
        Written to: what each load draws under each limit, shape (limits, loads).
    """
    heat, capacity = np.empty(len(supply.full_mw)), np.empty(len(supply.capacity_mw))
    for c in range(len(heat)):
        heat[c] = supply.full_mw[c] * (1.0 if supply.of_plants else shares[c])
    for p in range(len(capacity)):
        capacity[p] = supply.capacity_mw[p] * (shares[p] if supply.of_plants else 1.0)
    for limit in range(len(drawn_mw)):
        for load in range(len(shares)):
            drawn_mw[limit, load] = (
                0.0 if supply.of_plants else supply.clusters[limit, load] * heat[load]
            )
    carried = np.empty(len(supply.cooled))
    carry_heat(heat, capacity, supply.first, supply.cooled, carried)
    for limit in range(len(drawn_mw)):
        for plant in range(len(capacity)):
            each = supply.plants[limit, plant]
            if each > 0:
                for place in range(supply.first[plant], supply.first[plant + 1]):
                    load = plant if supply.of_plants else supply.cooled[place]
                    drawn_mw[limit, load] += each * carried[place]


@compilable
def fair_shares(limits_mw: Floats, may_shed: Bools, supply: Supply) -> Floats:
    """Share of its full load that supply allows every load, shape (loads,).

    All shares rise alike until something is full; loads that draw on that stay where they are, the
    others go on. So those under one limit shed in proportion, and the same every time.

    Parameters
    ----------
    limits_mw
        What may be drawn, shape (limits,).
    may_shed
        Loads that may be shed; the others stay at all of it. Shape (loads,).
    """
    drawn = np.empty((len(limits_mw), len(may_shed)))
    shares, rising = np.empty(len(may_shed)), np.empty(len(may_shed), dtype=np.bool_)
    most, left = np.empty(len(limits_mw)), 0
    for load in range(len(shares)):
        shares[load], rising[load] = 0.0 if may_shed[load] else 1.0, may_shed[load]
        left += may_shed[load]
    draw(shares, supply, drawn)
    for limit in range(len(most)):
        most[limit] = limits_mw[limit] + ROUNDING * abs(limits_mw[limit])
        # What the others draw beyond a limit is not for those to shed that draw nothing under it.
        most[limit] = max(most[limit], total(drawn[limit]) if left < len(shares) else 0.0)
    for load in range(len(shares)):
        shares[load] = 1.0
    draw(shares, supply, drawn)
    while left and _exceeds(drawn, most):
        low = _level(most, shares, rising, supply, drawn)
        any_full = False
        for load in range(len(shares)):
            any_full = any_full or (rising[load] and _full(drawn, most, load))
        for load in range(len(shares)):
            if rising[load] and (_full(drawn, most, load) or not any_full):
                shares[load], rising[load] = low, False
                left -= 1
        draw(shares, supply, drawn)
    return shares


@compilable
def _exceeds(drawn: Floats, most: Floats) -> bool:
    """Whether loads together draw more than any limit allows."""
    exceeds = False
    for limit in range(len(most)):
        exceeds = exceeds or total(drawn[limit]) > most[limit]
    return exceeds


@compilable
def _full(drawn: Floats, most: Floats, load: int) -> bool:
    """Whether a load draws on anything of which more is drawn than there is."""
    full = False
    for limit in range(len(most)):
        full = full or (drawn[limit, load] > 0 and total(drawn[limit]) > most[limit])
    return full


@compilable
def _level(most: Floats, shares: Floats, rising: Bools, supply: Supply, drawn: Floats) -> float:
    """Largest share of all that still rise with which everything fits.

    By halving: cooling goes to plants in order, so draws bend. Writes to ``drawn`` what is drawn at
    the next share, at which something is full.
    """
    low, high, tried = 0.0, 1.0, np.empty(len(shares))
    for halving in range(HALVINGS + 1):
        middle = (low + high) / 2 if halving < HALVINGS else high
        for load in range(len(shares)):
            tried[load] = middle if rising[load] else shares[load]
        draw(tried, supply, drawn)
        if _exceeds(drawn, most):
            high = middle
        else:
            low = middle
    return low
