"""Limits of power of all places, as arrays for compiled code."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from planner.laws.power import Sharing
from planner.simulation.system_states import Bools, Floats, Ints
from planner.simulation.world import World


class Limits(NamedTuple):
    """Limits of power of all system states (`planner.simulation.supply.SharedPower`).

    Parameters
    ----------
    first
        Where those of each place of `SystemStates.power` begin, shape (places + 1,).
    limits_mw, usual, sheds, clusters, plants
        Shapes (L,), (L,), (L,), (L, C), (L, P).
    left_mw
        Room for what is left of the limits, shape (L,).
    every, emergency
        True for every cluster, shape (C,); whether plants run in an emergency alone, shape (P,).
    sharing
        What working out shares needs room for.
    """

    first: Ints
    limits_mw: Floats
    usual: Bools
    sheds: Bools
    clusters: Floats
    plants: Floats
    left_mw: Floats
    every: Bools
    emergency: Bools
    sharing: Sharing


def limits_of(world: World) -> Limits:
    """Limits of power of all places, one after the other."""
    clusters, plants = len(world.clusters.names), len(world.plants.names)
    supplies = world.stacker.supplies
    limits = np.concatenate([np.zeros(0), *(supply.limits_mw for supply in supplies)])
    most = max((len(supply.limits_mw) for supply in supplies), default=0)
    return Limits(
        np.cumsum([0, *(len(supply.limits_mw) for supply in supplies)]).astype(np.int64),
        limits,
        np.concatenate([np.zeros(0, dtype=np.bool_), *(supply.usual for supply in supplies)]),
        np.concatenate([np.zeros(0, dtype=np.bool_), *(supply.sheds for supply in supplies)]),
        np.concatenate([np.zeros((0, clusters)), *(supply.clusters for supply in supplies)]),
        np.concatenate([np.zeros((0, plants)), *(supply.plants for supply in supplies)]),
        np.zeros(len(limits)),
        np.ones(clusters, dtype=np.bool_),
        world.plants.emergency,
        Sharing.room(most, clusters, plants, int(world.plants.serves.sum())),
    )
