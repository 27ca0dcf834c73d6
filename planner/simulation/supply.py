"""Power in the simulation: load shed where power limits are below full load.

Axes: L limits, C clusters, P plants, B scenarios of a minute in which power may be short.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from planner.infrastructure.entities import Model
from planner.infrastructure.graph import node
from planner.infrastructure.supply import PowerLimit, cluster_power_mw_per_mw, plant_power_mw_per_mw
from planner.laws.heat import carried_by_plant
from planner.laws.power import ROUNDING, fair_shares

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
    serves
        Whether a plant cools a cluster, shape (P, C).
    emergency
        Plants that run in an emergency alone, shape (P,).
    usual
        Whether a limit holds in normal operation too, shape (L,).
    """

    limits_mw: Floats
    clusters: Floats
    plants: Floats
    serves: NDArray[np.bool_]
    emergency: NDArray[np.bool_]
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
        emergency = np.array(
            [plant.role == "emergency" for plant in model.plants.values()], dtype=bool
        )
        kept = (mw[may_exceed], clusters[may_exceed], plants[may_exceed])
        return cls(*kept, serves, emergency, usual[may_exceed])

    @property
    def ample(self) -> bool:
        """Whether there is power for everything at full load, however it is cooled."""
        return not len(self.limits_mw)

    def cooling_mw(self, full_mw: Floats, capacity_mw: Floats) -> Floats:
        """Capacity of plants until operators react, shape (B, P).

        Emergency plants that start while power is as usual get what clusters and other plants leave
        of it. Parameters are those of `shares`.
        """
        if not self.emergency.any():
            return capacity_mw
        limits, plants = self.limits_mw[self.usual], self.plants[self.usual]
        left = limits - full_mw @ self.clusters[self.usual].T

        def draws(shares: Floats) -> Floats:
            cooled = carried_by_plant(full_mw, capacity_mw * shares, self.serves)
            return plants * cooled.sum(axis=2)[:, None, :]

        may_shed = np.broadcast_to(self.emergency, capacity_mw.shape)
        return capacity_mw * fair_shares(draws, left, may_shed)

    def shares(self, full_mw: Floats, capacity_mw: Floats) -> Floats:
        """Share of the full heat of every cluster that there is power for, shape (B, C).

        Parameters
        ----------
        full_mw
            Heat of clusters at their utilisation limit, shape (B, C).
        capacity_mw
            Cooling capacity of plants, shape (B, P).
        """

        def draws(shares: Floats) -> Floats:
            heat = full_mw * shares
            cooled = carried_by_plant(heat, capacity_mw, self.serves)
            cooling: Floats = np.einsum("lp,bpc->blc", self.plants, cooled)
            return self.clusters * heat[:, None, :] + cooling

        limits = np.broadcast_to(self.limits_mw, (len(full_mw), len(self.limits_mw)))
        return fair_shares(draws, limits, np.ones(full_mw.shape, dtype=bool))
