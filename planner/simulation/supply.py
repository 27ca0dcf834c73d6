"""Limits of power in the simulation: those that full load or full cooling may exceed.

Axes: L limits, C clusters, P plants.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from planner.infrastructure.entities import Model
from planner.infrastructure.graph import node
from planner.infrastructure.supply import PowerLimit, cluster_power_mw_per_mw, draw_per_heat
from planner.laws.power import ROUNDING

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class SharedPower:
    """Power limits that full load, or plants at full capacity beside it, may exceed.

    Parameters
    ----------
    limits_mw
        What may be drawn, shape (L,).
    clusters
        Power per power of GPUs of clusters under a limit, 0 for others, shape (L, C).
    plants
        Power per heat that plants take from clusters, with that of plants behind them, 0 where
        none of them is under a limit, shape (L, P).
    usual
        Whether a limit holds in normal operation too, shape (L,).
    sheds
        Whether full load, cooled as it needs, may exceed it, shape (L,).
    """

    limits_mw: Floats
    clusters: Floats
    plants: Floats
    usual: NDArray[np.bool_]
    sheds: NDArray[np.bool_]

    @classmethod
    def of(
        cls, model: Model, limits: Iterable[PowerLimit], normal: Collection[PowerLimit]
    ) -> SharedPower:
        """Some limits, whether or not a fleet may exceed them."""
        every = list(limits)
        plants = list(model.plants.items())
        names = [(cluster, cluster_power_mw_per_mw(model, cluster)) for cluster in model.clusters]
        return cls(
            np.array([limit.mw for limit in every], dtype=float),
            _under(every, "cluster", names),
            np.array(
                [
                    [bool(p.cools) * draw_per_heat(model, one.loads, n) for n, p in plants]
                    for one in every
                ],
                dtype=float,
            ).reshape(len(every), len(plants)),
            np.array(
                [any(usual_limit.implies(limit) for usual_limit in normal) for limit in every],
                dtype=bool,
            ),
            np.ones(len(every), dtype=bool),
        )

    def that_may_bind(
        self, serves: NDArray[np.bool_], full_mw: Floats, capacity_mw: Floats
    ) -> SharedPower:
        """The limits that may be exceeded.

        Full load may be cooled by the plants that draw most, and plants carry more than its heat
        while they cool hot rooms and tanks.

        Parameters
        ----------
        serves
            Whether a plant cools a cluster, shape (P, C).
        full_mw
            Heat of clusters at full load, shape (C,).
        capacity_mw
            Rated capacity of all units of plants, shape (P,).
        """
        hungriest = (self.plants[:, :, None] * serves).max(axis=1, initial=0.0)
        most = self.limits_mw * (1 + ROUNDING)
        sheds = (self.clusters + hungriest) @ full_mw > most
        kept = sheds | (self.clusters @ full_mw + self.plants @ capacity_mw > most)
        return SharedPower(
            self.limits_mw[kept],
            self.clusters[kept],
            self.plants[kept],
            self.usual[kept],
            sheds[kept],
        )

    @property
    def ample(self) -> bool:
        """Whether there is power for everything at full load, however it is cooled."""
        return not self.sheds.any()


def _under(limits: list[PowerLimit], kind: str, loads: list[tuple[str, float]]) -> Floats:
    """Power of loads of a kind under each limit, shape (limits, loads)."""
    power = [[each * (node(kind, name) in limit.loads) for name, each in loads] for limit in limits]
    return np.array(power).reshape(len(limits), len(loads))
