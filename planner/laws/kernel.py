"""The routing law as compiled loops, several times as fast as with whole arrays.

The law itself is `planner.laws.traffic.deliver`; this is the same law written for Numba, which is
optional. Compiled once and cached on disk; tests hold the two together.
"""

from __future__ import annotations

import numpy as np
from numba import njit

NEGLIGIBLE_RPS = 1e-9


@njit("void(f8[::1], f8[::1], f8[::1], i8)", cache=True)
def _share_room(room, wanted, share, targets):
    """Share of what is wanted of each target that fits, and the room left."""
    for n in range(targets):
        share[n] = min(1.0, room[n] / max(wanted[n], NEGLIGIBLE_RPS))
        room[n] = max(0.0, room[n] - wanted[n] * share[n])


@njit(
    "void(f8[:,::1], f8[:,:,::1], f8[::1], f8[::1], f8[::1], i8[:,:,::1], b1[:,:,::1], i8, i8, i8)",
    cache=True,
)
def _by_priority(rest, flows, room, wanted, share, order, allowed, scenario, first, last):
    """Tiers of equal priority, from the first until before the last, rank by rank."""
    ranks, zones = order.shape[1], order.shape[2]
    for rank in range(ranks):
        wanted[:] = 0.0
        any_room = False
        for tier in range(first, last):
            for zone in range(zones):
                n = order[tier, rank, zone]
                if n >= 0 and rest[tier, zone] > 0.0 and allowed[tier, scenario, n]:
                    wanted[n] += rest[tier, zone]
                    any_room = any_room or room[n] > NEGLIGIBLE_RPS
        if not any_room:
            continue
        _share_room(room, wanted, share, len(room))
        for tier in range(first, last):
            for zone in range(zones):
                n = order[tier, rank, zone]
                if n >= 0 and rest[tier, zone] > 0.0 and allowed[tier, scenario, n]:
                    flows[tier, rank, zone] = rest[tier, zone] * share[n]
                    rest[tier, zone] -= flows[tier, rank, zone]


@njit(
    "void(f8[:,::1], f8[:,:,::1], f8[::1], f8[::1], f8[::1], f8[::1], i8[:,:,::1], b1[:,:,::1], i8,"
    " i8[:,::1])",
    cache=True,
)
def _alike(rest, flows, room, there, wanted, share, order, allowed, scenario, rank_of):
    """All tiers at once, each zone at the nearest of the targets that are not gone."""
    tiers, ranks, zones = order.shape
    rank_of[:] = -1
    for _ in range(ranks):
        wanted[:] = 0.0
        any_wanted = False
        for tier in range(tiers):
            for zone in range(zones):
                rank = rank_of[tier, zone] + 1
                while rank < ranks:
                    n = order[tier, rank, zone]
                    if n >= 0 and there[n] > NEGLIGIBLE_RPS and allowed[tier, scenario, n]:
                        break
                    rank += 1
                rank_of[tier, zone] = rank
                if rank < ranks:
                    wanted[order[tier, rank, zone]] += rest[tier, zone]
                    any_wanted = True
        if not any_wanted:
            break
        _share_room(room, wanted, share, len(room))
        for tier in range(tiers):
            for zone in range(zones):
                rank = rank_of[tier, zone]
                if rank < ranks:
                    flow = rest[tier, zone] * share[order[tier, rank, zone]]
                    flows[tier, rank, zone] = flow
                    rest[tier, zone] -= flow


@njit("void(f8[:,:,::1], f8[:,:,::1], f8[::1], i8[:,:,::1], i8)", cache=True)
def _cut(granted, flows, share, order, scenario):
    """What is granted where only a share of what a target was sent fits."""
    tiers, ranks, zones = order.shape
    for tier in range(tiers):
        for zone in range(zones):
            total = 0.0
            for rank in range(ranks):
                if flows[tier, rank, zone] > 0.0:
                    total += flows[tier, rank, zone] * share[order[tier, rank, zone]]
            granted[scenario, zone, tier] = total


@njit(
    "void(f8[:,:,::1], f8[:,::1], f8[:,::1], i8[:,:,::1], i8[::1], b1[::1], b1[:,:,::1],"
    " f8[:,:,::1], f8[:,:,::1], f8[:,::1])",
    cache=True,
)
def _deliver(
    demand, known_capacity, capacity, order, level, by_priority, allowed, sent, granted, load
):
    tiers, ranks, zones = order.shape
    targets = known_capacity.shape[1]
    wanted, share = np.empty(targets), np.empty(targets)
    rest, flows = np.empty((tiers, zones)), np.empty((tiers, ranks, zones))
    rank_of = np.empty((tiers, zones), dtype=np.int64)
    for scenario in range(len(demand)):
        room = known_capacity[scenario].copy()
        flows[:] = 0.0
        for tier in range(tiers):
            for zone in range(zones):
                rest[tier, zone] = demand[scenario, zone, tier]
        if by_priority[scenario]:
            first = 0
            for last in range(1, tiers + 1):
                if last == tiers or level[last] != level[first]:
                    _by_priority(
                        rest, flows, room, wanted, share, order, allowed, scenario, first, last
                    )
                    first = last
        else:
            there = known_capacity[scenario]
            _alike(rest, flows, room, there, wanted, share, order, allowed, scenario, rank_of)
        fits = True
        for n in range(targets):
            load[scenario, n] = known_capacity[scenario, n] - room[n]
            share[n] = min(1.0, capacity[scenario, n] / max(load[scenario, n], NEGLIGIBLE_RPS))
            fits = fits and share[n] >= 1.0
        for tier in range(tiers):
            for zone in range(zones):
                # What is not left was sent.
                all_sent = demand[scenario, zone, tier] - rest[tier, zone]
                sent[scenario, zone, tier] = all_sent
                granted[scenario, zone, tier] = all_sent
        if not fits:
            _cut(granted, flows, share, order, scenario)


def deliver(demand, known_capacity, capacity, order, level, by_priority, allowed):
    """`planner.laws.traffic.deliver` in compiled loops: sent, granted and load.

    >>> order = np.zeros((1, 1, 1), dtype=np.int64)
    >>> arguments = (np.full((1, 1, 1), 9.0), np.full((1, 1), 6.0), np.full((1, 1), 4.0))
    >>> level = np.zeros(1, dtype=np.int64)
    >>> [part.item() for part in deliver(*arguments, order, level, np.array([True]), None)]
    [6.0, 4.0, 6.0]
    """
    demand, known_capacity, capacity = (
        np.ascontiguousarray(array, dtype=np.float64)
        for array in (demand, known_capacity, capacity)
    )
    sent, granted, load = (
        np.empty_like(demand),
        np.empty_like(demand),
        np.empty_like(known_capacity),
    )
    if allowed is None:
        allowed = np.ones((order.shape[0], *known_capacity.shape), dtype=np.bool_)
    _deliver(
        demand,
        known_capacity,
        capacity,
        np.ascontiguousarray(order),
        np.ascontiguousarray(level),
        np.ascontiguousarray(by_priority),
        np.ascontiguousarray(allowed),
        sent,
        granted,
        load,
    )
    return sent, granted, load
