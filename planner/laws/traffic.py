"""Requests: capacity of clusters, routing, shedding, the queue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from planner.laws.compiling import compilable, compilable_apart, compiled
from planner.laws.ratios import ratio

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
#: Requests per second below this are rounding, not traffic.
NEGLIGIBLE_RPS = 1e-9


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


class Network(NamedTuple):
    """Routes of one scenario's requests, and what sending them works on.

    Parameters
    ----------
    order, level
        Those of `Routes`.
    allowed
        Whether a tier may run on a target, shape (tiers, targets).
    demand
        Requests per second, shape (zones, tiers).
    rest, room_rps
        Those left that find no target, shape (zones, tiers), and the room left, shape (targets,).
    flows, ranks
        Requests per second, shape (tiers, ranks, zones), and the ranks of each tier up to which
        they are those of the last demand, shape (tiers,).
    sent, granted
        Requests sent to a target, and those of them that fit it, shape (zones, tiers).
    load_rps
        What each target was sent, shape (targets,).
    wanted_rps, share, there, rank
        Room for what zones want of a target and the share of it that fits, whether it is there at
        all, shape (targets,), and the rank that a zone and tier has come to, (zones, tiers).
    """

    order: Ints
    level: Ints
    allowed: Bools
    demand: Floats
    rest: Floats
    room_rps: Floats
    flows: Floats
    ranks: Ints
    sent: Floats
    granted: Floats
    load_rps: Floats
    wanted_rps: Floats
    share: Floats
    there: Bools
    rank: Ints

    @classmethod
    def of(cls, routes: Routes) -> Network:
        """A network without requests in which every tier may run everywhere it reaches."""
        tiers, _, zones = routes.order.shape
        targets = routes.targets
        return cls(
            np.ascontiguousarray(routes.order),
            np.ascontiguousarray(routes.level),
            np.ones((tiers, targets), dtype=np.bool_),
            np.zeros((zones, tiers)),
            np.zeros((zones, tiers)),
            np.zeros(targets),
            np.zeros(routes.order.shape),
            np.zeros(tiers, dtype=np.int64),
            np.zeros((zones, tiers)),
            np.zeros((zones, tiers)),
            np.zeros(targets),
            np.zeros(targets),
            np.zeros(targets),
            np.zeros(targets, dtype=np.bool_),
            np.zeros((zones, tiers), dtype=np.int64),
        )


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
    network, flows = Network.of(routes), []
    for s in range(len(demand)):
        network.demand[:], network.room_rps[:] = demand[s], capacity[s]
        if allowed is not None:
            network.allowed[:] = allowed[:, s]
        compiled(send)(network, bool(by_priority[s]))
        for tier, ranks in enumerate(network.ranks):
            network.flows[tier, ranks:] = 0.0
        flows.append(network.flows.copy())
    shape = (len(flows), *routes.order.shape)
    return Routing(routes.by_target(np.array(flows).reshape(shape)))


@compilable
def send(network: Network, by_priority: bool) -> None:
    """Send the demand of a network to the nearest targets with room.

    Tiers come in order of priority, those of equal priority alike, or where priorities are not in
    force, all alike. Zones (and tiers that come alike) that want the last room of a target share it
    in proportion. Where all come alike they pass over targets known to be gone, so that nobody is
    first in line at the next one.

    Parameters
    ----------
    network
        With its demand and the room of targets, of which the room left stays.
    by_priority
        Whether priorities are in force.
    """
    tiers, ranks, zones = network.flows.shape
    for zone in range(zones):
        for tier in range(tiers):
            network.rest[zone, tier] = network.demand[zone, tier]
            network.ranks[tier] = 0 if by_priority else ranks
            for rank in range(0 if by_priority else ranks):
                network.flows[tier, rank, zone] = 0.0
    if not by_priority:
        _send_alike(network)
        return
    first = 0
    for last in range(1, tiers + 1):
        if last == tiers or network.level[last] != network.level[first]:
            _send_level(network, first, last)
            first = last


@compilable
def _share_room(network: Network) -> None:
    """Share of what is wanted of each target that fits, and the room left."""
    for n in range(len(network.room_rps)):
        wanted, room = network.wanted_rps[n], network.room_rps[n]
        if wanted > 0:
            network.share[n] = min(1.0, room / max(wanted, NEGLIGIBLE_RPS))
            network.room_rps[n] = max(0.0, room - wanted * network.share[n])
        network.wanted_rps[n] = 0.0


@compilable
def _send_level(network: Network, first: int, last: int) -> None:
    """Tiers of equal priority, from the first until before the last, rank by rank."""
    rest, order, allowed = network.rest, network.order, network.allowed
    for n in range(len(network.wanted_rps)):
        network.wanted_rps[n] = 0.0
    for rank in range(order.shape[1]):
        any_left = False
        for zone in range(len(rest)):
            for tier in range(first, last):
                n = order[tier, rank, zone]
                if rest[zone, tier] > 0:
                    any_left = True
                    if n >= 0 and allowed[tier, n] and network.room_rps[n] > NEGLIGIBLE_RPS:
                        network.wanted_rps[n] += rest[zone, tier]
        if not any_left:
            break
        for n in range(len(network.share)):
            network.share[n] = 0.0
        _share_room(network)
        for zone in range(len(rest)):
            for tier in range(first, last):
                n = order[tier, rank, zone]
                network.ranks[tier] = rank + 1
                network.flows[tier, rank, zone] = 0.0
                if n >= 0 and rest[zone, tier] > 0 and allowed[tier, n]:
                    flow = rest[zone, tier] * network.share[n]
                    network.flows[tier, rank, zone] = flow
                    rest[zone, tier] -= flow


@compilable
def _send_alike(network: Network) -> None:
    """All tiers at once, each zone at the nearest of the targets that are not gone."""
    rest, order = network.rest, network.order
    tiers, ranks, zones = order.shape
    for n in range(len(network.there)):
        network.there[n] = network.room_rps[n] > NEGLIGIBLE_RPS
        network.wanted_rps[n] = 0.0
    for turn in range(ranks):
        any_wanted = False
        for zone in range(zones):
            for tier in range(tiers):
                rank = network.rank[zone, tier] + 1 if turn else 0
                while rank < ranks:
                    n = order[tier, rank, zone]
                    if n >= 0 and network.there[n] and network.allowed[tier, n]:
                        break
                    rank += 1
                network.rank[zone, tier] = rank
                if rank < ranks and rest[zone, tier] > 0:
                    network.wanted_rps[order[tier, rank, zone]] += rest[zone, tier]
                    any_wanted = True
        if not any_wanted:
            break
        _share_room(network)
        for zone in range(zones):
            for tier in range(tiers):
                rank = network.rank[zone, tier]
                if rank < ranks and rest[zone, tier] > 0:
                    flow = rest[zone, tier] * network.share[order[tier, rank, zone]]
                    network.flows[tier, rank, zone] = flow
                    rest[zone, tier] -= flow


@compilable_apart
def deliver(network: Network, known_rps: Floats, capacity_rps: Floats, by_priority: bool) -> None:
    """Route by what load balancers believe, and see what fits what is there.

    Parameters
    ----------
    network
        With its demand; gets what is sent and granted, and the load of targets.
    known_rps, capacity_rps
        Requests per second that each target is thought to take, and takes, shape (targets,).
    by_priority
        Whether priorities are in force.
    """
    for n in range(len(known_rps)):
        network.room_rps[n] = known_rps[n]
    send(network, by_priority)
    fits = True
    for n in range(len(known_rps)):
        load = known_rps[n] - network.room_rps[n]
        network.load_rps[n] = load
        network.share[n] = min(1.0, capacity_rps[n] / max(load, NEGLIGIBLE_RPS))
        fits = fits and network.share[n] >= 1.0
    tiers, _, zones = network.order.shape
    for zone in range(zones):
        for tier in range(tiers):
            # What is not left was sent.
            sent = network.demand[zone, tier] - network.rest[zone, tier]
            network.sent[zone, tier] = sent
            network.granted[zone, tier] = sent if fits else 0.0
            for rank in range(0 if fits else network.ranks[tier]):
                flow = network.flows[tier, rank, zone]
                if flow > 0:
                    part = flow * network.share[network.order[tier, rank, zone]]
                    network.granted[zone, tier] += part


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
def ration(available: float, allocation: Floats, level: Ints, shares: Floats) -> None:
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
    shares
        Written to: share by tier, shape (tiers,).

    >>> shares = np.zeros(3)
    >>> ration(0.6, np.array([0.4, 0.3, 0.1]), np.array([0, 1, 1]), shares)
    >>> shares.round(12).tolist()
    [0.4, 0.15, 0.05]
    """
    left, first = available, 0
    for last in range(1, len(level) + 1):
        if last == len(level) or level[last] != level[first]:
            together = 0.0
            for tier in range(first, last):
                together += allocation[tier]
            granted = ratio(min(max(left, 0.0), together), together, most=1.0)
            for tier in range(first, last):
                shares[tier] = allocation[tier] * granted
            left -= together
            first = last


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
