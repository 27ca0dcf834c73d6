"""Requests: capacity of clusters, routing, shedding, the queue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from planner.laws.compiling import compilable, compiled
from planner.laws.queues import NEGLIGIBLE_RPS
from planner.laws.ratios import ratio, total

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@compilable
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
    targets
        Number of targets.
    level
        Priority of each tier as a count from 0, shape (tiers,): equal ones share alike.
    """

    order: Ints
    targets: int
    level: Ints

    @classmethod
    def from_order(cls, order: Ints, targets: int, level: Ints | None = None) -> Routes:
        """Routes in which every tier has its own level by default."""
        return cls(order, targets, np.arange(len(order)) if level is None else level)

    @property
    def reach(self) -> Bools:
        """Whether a tier of a zone may use a target at all, shape (tiers, zones, targets)."""
        reach = np.zeros((len(self.order), self.order.shape[2], self.targets), dtype=np.bool_)
        tiers, ranks, zones = np.nonzero(self.order >= 0)
        reach[tiers, zones, self.order[tiers, ranks, zones]] = True
        return reach

    def by_target(self, by_rank: Floats) -> Floats:
        """What belongs to ranks by target instead, shape (..., tiers, zones, targets).

        Parameters
        ----------
        by_rank
            Shape (..., tiers, ranks, zones).
        """
        tiers, ranks, zones = self.order.shape
        total = np.zeros((*by_rank.shape[:-3], tiers, zones, self.targets))
        for tier, rank, zone in np.ndindex(tiers, ranks, zones):
            target = self.order[tier, rank, zone]
            if target >= 0:
                total[..., tier, zone, target] += by_rank[..., tier, rank, zone]
        return total


@dataclass(frozen=True)
class Routing:
    """Outcome of routing one step.

    Parameters
    ----------
    flows
        Requests per second by tier, zone and target, shape (scenarios, tiers, zones, targets).
    """

    flows: Floats

    @property
    def sent(self) -> Floats:
        """Requests per second that found a target, shape (scenarios, zones, tiers)."""
        return self.served_at(np.ones((len(self.flows), self.flows.shape[3])))

    @property
    def load(self) -> Floats:
        """Requests per second by target, shape (scenarios, targets)."""
        load: Floats = self.flows.sum(axis=(1, 2))
        return load

    @property
    def by_zone(self) -> Floats:
        """Requests per second from zones to targets, shape (scenarios, zones, targets)."""
        total: Floats = self.flows.sum(axis=1)
        return total

    def served_at(self, fits: Floats) -> Floats:
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
        served: Floats = np.einsum("skzn,sn->szk", self.flows, fits)
        return served


def route(
    demand: Floats,
    capacity: Floats,
    routes: Routes,
    by_priority: Bools,
    allowed: Bools | None = None,
) -> Routing:
    """Send demand to the nearest targets with room (`send`), in several scenarios.

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
    allowed
        Whether a tier may run on a target, shape (tiers, scenarios, targets); None means that all
        may.
    """
    if allowed is None:
        allowed = np.ones((len(routes.order), *capacity.shape), dtype=np.bool_)
    rest, room = (np.array(amount, dtype=np.float64) for amount in (demand, capacity))
    flows = np.zeros((len(rest), *routes.order.shape))
    compiled(_send_each)(
        rest,
        room,
        np.ascontiguousarray(routes.order),
        np.ascontiguousarray(routes.level),
        np.ascontiguousarray(by_priority),
        np.ascontiguousarray(allowed.transpose(1, 0, 2)),
        flows,
    )
    return Routing(routes.by_target(flows))


def _send_each(
    rest: Floats,
    room: Floats,
    order: Ints,
    level: Ints,
    by_priority: Bools,
    allowed: Bools,
    flows: Floats,
) -> None:
    for s in range(len(rest)):
        send(rest[s], room[s], order, level, by_priority[s], allowed[s], flows[s])


@compilable
def send(
    rest: Floats,
    room: Floats,
    order: Ints,
    level: Ints,
    by_priority: bool,
    allowed: Bools,
    flows: Floats,
) -> None:
    """Send demand to the nearest targets with room.

    Tiers come in order of priority, those of equal priority alike, or where priorities are not in
    force, all alike. Zones (and tiers that come alike) that want the last room of a target share it
    in proportion. Where all come alike they pass over targets known to be gone, so that nobody is
    first in line at the next one.

    Parameters
    ----------
    rest
        Requests per second, of which those are left that find no target, shape (zones, tiers).
    room
        Requests per second that each target takes, of which the room left stays, shape (targets,).
    order, level
        Those of `Routes`.
    by_priority
        Whether priorities are in force.
    allowed
        Whether a tier may run on a target, shape (tiers, targets).
    flows
        Written to: requests per second, shape (tiers, ranks, zones).
    """
    tiers, ranks, zones = flows.shape
    for tier in range(tiers):
        for rank in range(ranks):
            for zone in range(zones):
                flows[tier, rank, zone] = 0.0
    wanted, share = np.empty(len(room)), np.empty(len(room))
    if not by_priority:
        _send_alike(rest, room, wanted, share, order, allowed, flows)
        return
    first = 0
    for last in range(1, len(level) + 1):
        if last == len(level) or level[last] != level[first]:
            _send_level(rest, room, wanted, share, order, allowed, flows, first, last)
            first = last


@compilable
def _share_room(room: Floats, wanted: Floats, share: Floats) -> None:
    """Share of what is wanted of each target that fits, and the room left."""
    for n in range(len(room)):
        if wanted[n] > 0:
            share[n] = min(1.0, room[n] / max(wanted[n], NEGLIGIBLE_RPS))
            room[n] = max(0.0, room[n] - wanted[n] * share[n])


@compilable
def _send_level(
    rest: Floats,
    room: Floats,
    wanted: Floats,
    share: Floats,
    order: Ints,
    allowed: Bools,
    flows: Floats,
    first: int,
    last: int,
) -> None:
    """Tiers of equal priority, from the first until before the last, rank by rank."""
    zones = len(rest)
    for rank in range(order.shape[1]):
        for n in range(len(room)):
            wanted[n] = 0.0
        any_left, any_room = False, False
        for zone in range(zones):
            for tier in range(first, last):
                n = order[tier, rank, zone]
                if rest[zone, tier] > 0:
                    any_left = True
                    if n >= 0 and allowed[tier, n]:
                        wanted[n] += rest[zone, tier]
                        any_room = any_room or room[n] > NEGLIGIBLE_RPS
        if not any_left:
            break
        if not any_room:
            continue
        _share_room(room, wanted, share)
        for zone in range(zones):
            for tier in range(first, last):
                n = order[tier, rank, zone]
                if n >= 0 and rest[zone, tier] > 0 and allowed[tier, n]:
                    flows[tier, rank, zone] = rest[zone, tier] * share[n]
                    rest[zone, tier] -= flows[tier, rank, zone]


@compilable
def _send_alike(
    rest: Floats,
    room: Floats,
    wanted: Floats,
    share: Floats,
    order: Ints,
    allowed: Bools,
    flows: Floats,
) -> None:
    """All tiers at once, each zone at the nearest of the targets that are not gone."""
    tiers, ranks, zones = order.shape
    there, rank_of = np.empty(len(room), dtype=np.bool_), np.empty((zones, tiers), dtype=np.int64)
    for n in range(len(room)):
        there[n] = room[n] > NEGLIGIBLE_RPS
    for turn in range(ranks):
        any_wanted = False
        for n in range(len(room)):
            wanted[n] = 0.0
        for zone in range(zones):
            for tier in range(tiers):
                rank = rank_of[zone, tier] + 1 if turn else 0
                while rank < ranks:
                    n = order[tier, rank, zone]
                    if n >= 0 and there[n] and allowed[tier, n]:
                        break
                    rank += 1
                rank_of[zone, tier] = rank
                if rank < ranks and rest[zone, tier] > 0:
                    wanted[order[tier, rank, zone]] += rest[zone, tier]
                    any_wanted = True
        if not any_wanted:
            break
        _share_room(room, wanted, share)
        for zone in range(zones):
            for tier in range(tiers):
                rank = rank_of[zone, tier]
                if rank < ranks and rest[zone, tier] > 0:
                    flow = rest[zone, tier] * share[order[tier, rank, zone]]
                    flows[tier, rank, zone] = flow
                    rest[zone, tier] -= flow


@compilable
def deliver(
    demand: Floats,
    known_rps: Floats,
    capacity_rps: Floats,
    order: Ints,
    level: Ints,
    by_priority: bool,
    allowed: Bools,
    flows: Floats,
    sent: Floats,
    granted: Floats,
    load_rps: Floats,
) -> None:
    """Route by what load balancers believe, and see what fits what is there.

    Parameters
    ----------
    demand
        Requests per second, shape (zones, tiers).
    known_rps, capacity_rps
        Requests per second that each target is thought to take, and takes, shape (targets,).
    order, level, by_priority, allowed, flows
        Those of `send`.
    sent, granted
        Written to: requests sent to a target, and those of them that fit it, shape (zones, tiers).
    load_rps
        Written to: what each target was sent, shape (targets,).
    """
    tiers, ranks, zones = order.shape
    rest, room, share = np.empty((zones, tiers)), np.empty(len(known_rps)), np.empty(len(known_rps))
    for n in range(len(room)):
        room[n] = known_rps[n]
    for zone in range(zones):
        for tier in range(tiers):
            rest[zone, tier] = demand[zone, tier]
    send(rest, room, order, level, by_priority, allowed, flows)
    fits = True
    for n in range(len(room)):
        load_rps[n] = known_rps[n] - room[n]
        share[n] = min(1.0, capacity_rps[n] / max(load_rps[n], NEGLIGIBLE_RPS))
        fits = fits and share[n] >= 1.0
    for zone in range(zones):
        for tier in range(tiers):
            # What is not left was sent.
            sent[zone, tier] = demand[zone, tier] - rest[zone, tier]
            granted[zone, tier] = sent[zone, tier]
            if not fits:
                granted[zone, tier] = 0.0
                for rank in range(ranks):
                    if flows[tier, rank, zone] > 0:
                        part = flows[tier, rank, zone] * share[order[tier, rank, zone]]
                        granted[zone, tier] += part


@compilable
def drop_beyond_limit(unserved: Floats, arriving: Floats, limit: float, dropped: Floats) -> None:
    """Arrivals that a full queue drops, taken from zones and tiers alike.

    Parameters
    ----------
    unserved
        Requests left over after a step, shape (zones, tiers).
    arriving
        Those that joined in this step, same shape.
    limit
        Most requests waiting.
    dropped
        Written to: requests dropped, at most those arriving and left over, same shape.
    """
    left, droppable = 0.0, 0.0
    for zone in range(len(unserved)):
        for tier in range(unserved.shape[1]):
            dropped[zone, tier] = min(unserved[zone, tier], arriving[zone, tier])
            left += unserved[zone, tier]
            droppable += dropped[zone, tier]
    share = ratio(max(0.0, left - limit), droppable, most=1.0)
    for zone in range(len(unserved)):
        for tier in range(unserved.shape[1]):
            dropped[zone, tier] *= share


@compilable
def ration(available: float, allocation: Floats, level: Ints) -> Floats:
    """Shares of capacity granted to tiers, in order, each at most what is set aside for it.

    The emergency rule of the postmortem: tiers take their allocation in turn until the capacity
    that is left, as a share of what all want, is used up. Tiers of equal priority take theirs
    together, in proportion.

    Parameters
    ----------
    available
        Capacity over demand.
    allocation
        Share set aside by tier in order of priority, shape (tiers,).
    level
        Priority of each tier as a count from 0, shape (tiers,).

    Returns
    -------
    numpy.ndarray
        Share by tier, shape (tiers,).

    >>> ration(0.6, np.array([0.4, 0.3, 0.1]), np.array([0, 1, 1])).round(12).tolist()
    [0.4, 0.15, 0.05]
    """
    shares = np.zeros(len(level))
    left, first = available, 0
    for last in range(1, len(level) + 1):
        if last == len(level) or level[last] != level[first]:
            together = total(allocation[first:last])
            granted = ratio(min(max(left, 0.0), together), together, most=1.0)
            for tier in range(first, last):
                shares[tier] = allocation[tier] * granted
            left -= together
            first = last
    return shares


#: Impact on the customers of a tier, by the share of their requests that is served.
IMPACTS = ("complete outage", "severe degradation", "moderate degradation", "minimal impact")


def impact(served: float) -> str:
    """Class of impact: nothing served, less than half, less than four fifths, or more.

    The four classes of the postmortem's emergency allocation.

    >>> [impact(served) for served in (0.0, 0.3, 0.5, 0.8)]
    ['complete outage', 'severe degradation', 'moderate degradation', 'minimal impact']
    """
    if served <= 0:
        return IMPACTS[0]
    return IMPACTS[1] if served < 0.5 else IMPACTS[2] if served < 0.8 else IMPACTS[3]


def served_fraction(served: Floats, demand: Floats) -> Floats:
    """Served over demand, 1 where there is no demand."""
    fraction: Floats = np.divide(
        served, demand, out=np.ones_like(demand), where=demand > NEGLIGIBLE_RPS
    )
    return fraction
