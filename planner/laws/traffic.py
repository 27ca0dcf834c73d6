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


def route(
    demand: Floats, capacity: Floats, routes: Routes, by_priority: NDArray[np.bool_]
) -> Routing:
    """Send demand to the nearest targets with room.

    Tiers come in order of priority or, where priorities are not in force, all alike. Zones (and
    tiers that come alike) that want the last room of a target share it in proportion.

    Parameters
    ----------
    demand
        Requests per second, shape (scenarios, zones, tiers).
    capacity
        Requests per second that each target takes, shape (scenarios, targets).
    routes
        Preferences.
    by_priority
        Whether priorities are in force, shape (scenarios,).
    """
    room = capacity.copy()
    flows = np.zeros((*routes.order.shape[:2], len(demand), routes.order.shape[2]))
    by_tier = demand.transpose(2, 0, 1)
    ordered = np.where(by_priority[:, None], by_tier, 0.0)
    for tier in range(len(by_tier)):
        room = _fill(flows, ordered, room, routes, slice(tier, tier + 1))
    if not by_priority.all():
        room = _fill(flows, by_tier - ordered, room, routes, slice(None))
    return Routing(flows, capacity - room)


def _fill(flows: Floats, demand: Floats, room: Floats, routes: Routes, tiers: slice) -> Floats:
    """Add the flows of tiers that come alike, rank by rank, and return the room left."""
    rest = demand[tiers].copy()
    for rank in range(routes.order.shape[1]):
        leads = routes.incidence[tiers, rank]
        wanted = (rest @ leads).sum(axis=0)
        share = np.minimum(1.0, room / np.maximum(wanted, NEGLIGIBLE_RPS))
        flow = rest * (share @ leads.transpose(0, 2, 1))
        flows[tiers, rank] += flow
        rest -= flow
        room = np.maximum(0.0, room - wanted * share)
        if not (rest > NEGLIGIBLE_RPS).any():
            break
    return room


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
