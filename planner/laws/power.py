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

from planner.laws.compiling import compilable, compilable_apart
from planner.laws.heat import carry_heat

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

#: Halvings in the search for a share: what is left of its interval is rounding.
HALVINGS = 45
#: Relative excess of a draw that is rounding.
ROUNDING = 1e-9


#: Line voltages to the power of three phases, as NetBox and breaker tables round sqrt(3).
THREE_PHASE = 1.732


#: Sets of sources that are worked with; more are refused.
MOST_SETS = 1000


def usable_circuit_va(volts: float, amperes: float, utilisation: float, three_phase: bool) -> int:
    """Apparent power in VA that may be drawn from a circuit without overloading its breaker.

    Parameters
    ----------
    volts
        Voltage between lines; negative for some direct current.
    amperes
        Rating of the breaker.
    utilisation
        Share of it that may be used continuously.

    References
    ----------
    NetBox 4.7, `PowerFeed.save`: the same product, rounded to whole VA.

    >>> usable_circuit_va(415, 60, 0.8, three_phase=True), usable_circuit_va(-48, 100, 0.8, False)
    (34501, 3840)
    """
    return round(abs(volts) * amperes * utilisation * (THREE_PHASE if three_phase else 1.0))


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
    first, cooled, rejects_to
        Clusters that plants cool, and plants in series (`planner.laws.heat.carry_heat`).
    """

    of_plants: bool
    full_mw: Floats
    capacity_mw: Floats
    clusters: Floats
    plants: Floats
    first: Ints
    cooled: Ints
    rejects_to: Ints


class Sharing(NamedTuple):
    """The shares of loads, and what working them out needs room for.

    Parameters
    ----------
    shares, tried, rising
        Shares found and tried, and whether they rise yet, shape (loads,) or more.
    most
        What may be drawn, shape (limits,) or more.
    drawn_mw
        What each load draws under each limit, shape (limits, loads) or more.
    heat_mw, capacity_mw, carried_mw
        Heat, capacity and what is carried of it at the shares tried, as in `Supply`.
    """

    shares: Floats
    tried: Floats
    rising: Bools
    most: Floats
    drawn_mw: Floats
    heat_mw: Floats
    capacity_mw: Floats
    carried_mw: Floats

    @classmethod
    def room(cls, limits: int, clusters: int, plants: int, cooled: int) -> Sharing:
        """Room for as many limits and loads."""
        loads = max(clusters, plants)
        return cls(
            np.zeros(loads),
            np.zeros(loads),
            np.zeros(loads, dtype=np.bool_),
            np.zeros(limits),
            np.zeros((limits, loads)),
            np.zeros(clusters),
            np.zeros(plants),
            np.zeros(cooled),
        )


@compilable
def _draw(shares: Floats, loads: int, supply: Supply, room: Sharing) -> None:
    """Work out what loads draw under each limit at some shares of their full load."""
    for c in range(len(supply.full_mw)):
        room.heat_mw[c] = supply.full_mw[c] * (1.0 if supply.of_plants else shares[c])
    for p in range(len(supply.capacity_mw)):
        room.capacity_mw[p] = supply.capacity_mw[p] * (shares[p] if supply.of_plants else 1.0)
    for limit in range(len(supply.clusters)):
        for load in range(loads):
            room.drawn_mw[limit, load] = 0.0
            if not supply.of_plants:
                room.drawn_mw[limit, load] = supply.clusters[limit, load] * room.heat_mw[load]
    carry_heat(
        room.heat_mw,
        room.capacity_mw,
        supply.first,
        supply.cooled,
        room.carried_mw,
        supply.rejects_to,
    )
    for limit in range(len(supply.plants)):
        for plant in range(len(supply.capacity_mw)):
            each = supply.plants[limit, plant]
            if each > 0:
                for place in range(supply.first[plant], supply.first[plant + 1]):
                    load = plant if supply.of_plants else supply.cooled[place]
                    room.drawn_mw[limit, load] += each * room.carried_mw[place]


@compilable
def _full(limit: int, loads: int, room: Sharing) -> bool:
    """Whether more is drawn under a limit than it allows."""
    return bool(_drawn(limit, loads, room) > room.most[limit])


@compilable
def _drawn(limit: int, loads: int, room: Sharing) -> float:
    """What all loads together draw under a limit."""
    drawn = 0.0
    for load in range(loads):
        drawn += room.drawn_mw[limit, load]
    return drawn


@compilable
def _any_full(limits: int, loads: int, room: Sharing) -> bool:
    """Whether more is drawn under any limit than it allows."""
    full = False
    for limit in range(limits):
        full = full or _full(limit, loads, room)
    return full


@compilable_apart
def fair_shares(limits_mw: Floats, may_shed: Bools, supply: Supply, room: Sharing) -> None:
    """Share of its full load that supply allows every load: ``room.shares``.

    All shares rise alike until something is full; loads that draw on that stay where they are, the
    others go on. So those under one limit shed in proportion, and the same every time.

    Parameters
    ----------
    limits_mw
        What may be drawn, shape (limits,).
    may_shed
        Loads that may be shed; the others stay at all of it. Shape (loads,).
    """
    limits, loads, left = len(limits_mw), len(may_shed), 0
    for load in range(loads):
        room.shares[load] = 0.0 if may_shed[load] else 1.0
        room.rising[load] = may_shed[load]
        left += may_shed[load]
    if left < loads:
        _draw(room.shares, loads, supply, room)
    for limit in range(limits):
        room.most[limit] = limits_mw[limit] + ROUNDING * abs(limits_mw[limit])
        if left < loads and _full(limit, loads, room):
            # What others draw beyond a limit is not for those to shed that draw nothing under it.
            room.most[limit] = _drawn(limit, loads, room)
    for load in range(loads):
        room.shares[load] = 1.0
    _draw(room.shares, loads, supply, room)
    while left and _any_full(limits, loads, room):
        low = _level(limits, loads, supply, room)
        left -= _hold(limits, loads, low, room)
        _draw(room.shares, loads, supply, room)


@compilable
def _level(limits: int, loads: int, supply: Supply, room: Sharing) -> float:
    """Largest share of all that still rise with which everything fits.

    By halving: cooling goes to plants in order, so draws bend. Works out what is drawn at the next
    share, at which something is full.
    """
    low, high = 0.0, 1.0
    for halving in range(HALVINGS + 1):
        middle = (low + high) / 2 if halving < HALVINGS else high
        for load in range(loads):
            room.tried[load] = middle if room.rising[load] else room.shares[load]
        _draw(room.tried, loads, supply, room)
        if _any_full(limits, loads, room):
            high = middle
        else:
            low = middle
    return low


@compilable
def _hold(limits: int, loads: int, low: float, room: Sharing) -> int:
    """Hold the loads that draw on what is full, all if none does; how many."""
    held = 0
    for load in range(loads):
        for limit in range(limits):
            draws = room.rising[load] and room.drawn_mw[limit, load] > 0
            if draws and _full(limit, loads, room):
                room.shares[load], room.rising[load] = low, False
                held += 1
    if held:
        return held
    for load in range(loads):
        if room.rising[load]:
            room.shares[load], room.rising[load] = low, False
            held += 1
    return held
