"""Requests: capacity of clusters, routing, shedding, the queue.

Arrays have scenarios along their first axis.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
#: Requests per second below this are rounding, not traffic.
NEGLIGIBLE_RPS = 1e-9


def serving_rps(gpus: Any, rps_per_gpu: Any, utilisation: Any) -> Any:
    """Requests per second that GPUs serve when loaded to a utilisation: ``μ·ρ·gpus``.

    >>> serving_rps(1000, 0.97, 0.95)
    921.5
    """
    return (rps_per_gpu * utilisation) * gpus


@dataclass(frozen=True)
class Routes:
    """Preference of each zone and tier among targets (clusters, then offers).

    Parameters
    ----------
    order
        Target of each rank, −1 where there is none, shape (tiers, ranks, zones); tiers by priority.
    incidence
        1 where a zone's rank leads to a target, shape (tiers, ranks, zones, targets).
    """

    order: Ints
    incidence: Floats

    @classmethod
    def from_order(cls, order: Ints, targets: int) -> Routes:
        """Routes with their incidence worked out."""
        incidence = np.zeros((*order.shape, targets))
        np.put_along_axis(incidence, np.maximum(order, 0)[..., None], 1.0, axis=3)
        incidence *= (order >= 0)[..., None]
        return cls(order, incidence)


@dataclass(frozen=True)
class Routing:
    """Outcome of routing one step.

    Parameters
    ----------
    flows
        Requests per second by zone for each tier and rank, shape (tiers, ranks, scenarios, zones).
    load
        Requests per second by target, shape (scenarios, targets).
    """

    flows: Floats
    load: Floats

    def served_at(self, fits: Floats, routes: Routes) -> Floats:
        """Requests served when only a share of what each target was sent fits.

        Parameters
        ----------
        fits
            Share by target, shape (scenarios, targets).

        Returns
        -------
        numpy.ndarray
            Requests per second, shape (scenarios, zones, tiers).
        """
        shares = np.einsum("sn,krzn->krsz", fits, routes.incidence)
        served: Floats = (self.flows * shares).sum(axis=1).transpose(1, 2, 0)
        return served


def route(demand: Floats, capacity: Floats, routes: Routes) -> Routing:
    """Send demand to the nearest targets with room, tiers in order of priority.

    Where several zones want the last room of a target they share it in proportion.

    Parameters
    ----------
    demand
        Requests per second, shape (scenarios, zones, tiers).
    capacity
        Requests per second that each target takes, shape (scenarios, targets).
    routes
        Preferences.
    """
    room = capacity.copy()
    tiers, ranks, zones = routes.order.shape
    flows = np.zeros((tiers, ranks, len(demand), zones))
    for tier in range(tiers):
        rest = demand[:, :, tier].copy()
        for rank in range(ranks):
            leads = routes.incidence[tier, rank]
            wanted = rest @ leads
            share = np.minimum(1.0, room / np.maximum(wanted, NEGLIGIBLE_RPS))
            flow = rest * (share @ leads.T)
            flows[tier, rank] = flow
            rest -= flow
            room = np.maximum(0.0, room - wanted * share)
            if not (rest > NEGLIGIBLE_RPS).any():
                break
    return Routing(flows, capacity - room)


def rationed(demand: Floats, capacity_rps: Floats, by_priority: NDArray[np.bool_]) -> Floats:
    """Demand that may be admitted: all of it by priority, else an equal share of every tier.

    Parameters
    ----------
    demand
        Requests per second, shape (scenarios, zones, tiers).
    capacity_rps
        Capacity of all targets together, shape (scenarios,).
    by_priority
        Whether priorities are in force, shape (scenarios,).
    """
    total = demand.sum(axis=(1, 2))
    equal = np.minimum(1.0, capacity_rps / np.maximum(total, NEGLIGIBLE_RPS))
    admitted: Floats = demand * np.where(by_priority, 1.0, equal)[:, None, None]
    return admitted


@dataclass(frozen=True)
class QueueStep:
    """Requests that moved in one step, each of shape (scenarios,)."""

    waiting: Floats
    served: Floats
    dropped: Floats
    abandoned: Floats


def queue_step(
    waiting: Floats, arriving: Floats, drain: Floats, limit: Floats, patience_steps: Floats
) -> QueueStep:
    """One step of the queue of requests that found no room.

    Room left by fresh requests drains the queue; of those still waiting one in ``patience_steps``
    gives up; new ones join up to the limit; the rest is dropped. Arrived plus waiting equals served
    plus dropped plus abandoned plus waiting after.
    """
    served = np.minimum(waiting, drain)
    left = waiting - served
    abandoned = left * np.minimum(1.0, 1.0 / patience_steps)
    left = left - abandoned
    joined = np.minimum(arriving, np.maximum(0.0, limit - left))
    return QueueStep(left + joined, served, arriving - joined, abandoned)


def served_fraction(served: Floats, demand: Floats) -> Floats:
    """Served over demand, 1 where there is no demand."""
    fraction: Floats = np.divide(
        served, demand, out=np.ones_like(demand), where=demand > NEGLIGIBLE_RPS
    )
    return fraction


def restored_share(minutes_up: Floats, ends: Floats, shares: Floats) -> Floats:
    """Share of a cluster that takes requests, by minutes since it came back.

    Parameters
    ----------
    minutes_up
        Minutes since the checks were passed; infinite for a cluster that was never off.
    ends
        End of each phase, shape (phases,), ascending.
    shares
        Share of the cluster in each phase and after the last, shape (phases + 1,).
    """
    result: Floats = shares[np.searchsorted(ends, minutes_up, side="right")]
    return result
