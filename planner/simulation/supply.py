"""Limits of power in the simulation: those that full load may exceed.

Axes: L limits, C clusters, P plants.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from planner.infrastructure.entities import Model
from planner.infrastructure.graph import node
from planner.infrastructure.supply import PowerLimit, cluster_power_mw_per_mw, plant_power_mw_per_mw
from planner.laws.power import ROUNDING

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class SharedPower:
    """Power limits that full load may exceed.

    Parameters
    ----------
    limits_mw
        What may be drawn, shape (L,).
    clusters
        Power per power of GPUs of clusters under a limit, 0 for others, shape (L, C).
    plants
        Power per heat of plants under a limit, 0 for others, shape (L, P).
    usual
        Whether a limit holds in normal operation too, shape (L,).
    """

    limits_mw: Floats
    clusters: Floats
    plants: Floats
    usual: NDArray[np.bool_]

    @classmethod
    def of(
        cls,
        model: Model,
        limits: Iterable[PowerLimit],
        normal: Collection[PowerLimit],
        full_mw: Floats,
    ) -> SharedPower:
        """The limits among some that full load, cooled by the plants that draw most, may exceed."""
        every = list(limits)
        clusters = np.array(
            [
                [
                    cluster_power_mw_per_mw(model, cluster)
                    * (node("cluster", cluster) in limit.loads)
                    for cluster in model.clusters
                ]
                for limit in every
            ]
        ).reshape(len(every), len(model.clusters))
        plants = np.array(
            [
                [
                    plant_power_mw_per_mw(model, plant) * (node("plant", plant) in limit.loads)
                    for plant in model.plants
                ]
                for limit in every
            ]
        ).reshape(len(every), len(model.plants))
        serves = np.array(
            [
                [cluster in plant.cools for cluster in model.clusters]
                for plant in model.plants.values()
            ],
            dtype=bool,
        ).reshape(len(model.plants), len(model.clusters))
        hungriest = (plants[:, :, None] * serves).max(axis=1, initial=0.0)
        mw = np.array([limit.mw for limit in every], dtype=float)
        may_exceed = (clusters + hungriest) @ full_mw > mw * (1 + ROUNDING)
        usual = np.array(
            [any(usual_limit.implies(limit) for usual_limit in normal) for limit in every],
            dtype=bool,
        )
        return cls(mw[may_exceed], clusters[may_exceed], plants[may_exceed], usual[may_exceed])

    @property
    def ample(self) -> bool:
        """Whether there is power for everything at full load, however it is cooled."""
        return not len(self.limits_mw)
