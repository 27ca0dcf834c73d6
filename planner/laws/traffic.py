"""Requests: capacity of clusters, routing, shedding, the queue.

Arrays have scenarios along their first axis.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from planner.laws.ratios import ratio

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
    level
        Priority of each tier as a count from 0, shape (tiers,): equal ones share alike.
    """

    order: Ints
    incidence: Floats
    level: Ints

    @classmethod
    def from_order(cls, order: Ints, targets: int, level: Ints | None = None) -> Routes:
        """Routes with their incidence worked out; every tier has its own level by default."""
        incidence = np.zeros((*order.shape, targets))
        np.put_along_axis(incidence, np.maximum(order, 0)[..., None], 1.0, axis=3)
        incidence *= (order >= 0)[..., None]
        return cls(order, incidence, np.arange(len(order)) if level is None else level)

    def levels(self) -> list[slice]:
        """Tiers of each level."""
        cuts = [0, *(np.flatnonzero(np.diff(self.level)) + 1).tolist(), len(self.level)]
        return [slice(first, last) for first, last in pairwise(cuts)]


@dataclass(frozen=True)
class Piece:
    """Flows of some tiers in some scenarios, one target for each zone and tier.

    Parameters
    ----------
    scenarios, tiers
        Those of the piece.
    rank
        Rank of the targets, or the targets themselves (−1 for none), shape as `flow`.
    flow
        Requests per second, shape (tiers of the piece, scenarios of the piece, zones).
    """

    scenarios: Ints
    tiers: slice
    rank: int | Ints
    flow: Floats

    def of(self, mask: NDArray[np.bool_]) -> Piece:
        """The flows of some of its scenarios."""
        rank = self.rank if isinstance(self.rank, int) else self.rank[:, mask]
        return Piece(self.scenarios[mask], self.tiers, rank, self.flow[:, mask])

    def at_targets(self, values: Floats, routes: Routes) -> Floats:
        """Values of targets, shape (scenarios, targets), at the target of each flow."""
        own = values[self.scenarios]
        if isinstance(self.rank, int):
            leads = routes.incidence[self.tiers, self.rank]
            picked: Floats = own @ leads.transpose(0, 2, 1)
            return picked
        rows = np.arange(len(own))[None, :, None]
        return np.where(self.rank >= 0, own[rows, np.maximum(self.rank, 0)], 0.0)


@dataclass(frozen=True)
class Routing:
    """Outcome of routing one step.

    Parameters
    ----------
    pieces
        Flows; each request is in one piece.
    sent
        Requests per second that found a target, shape (scenarios, zones, tiers).
    load
        Requests per second by target, shape (scenarios, targets).
    """

    pieces: tuple[Piece, ...]
    sent: Floats
    load: Floats

    def by_target(self, routes: Routes) -> Floats:
        """Requests per second from zones to targets, shape (scenarios, zones, targets)."""
        total = np.zeros((*self.sent.shape[:2], routes.incidence.shape[3]))
        zones = np.arange(total.shape[1])[None, :]
        for piece in self.pieces:
            if isinstance(piece.rank, int):
                leads = routes.incidence[piece.tiers, piece.rank]
                total[piece.scenarios] += np.einsum("ksz,kzn->szn", piece.flow, leads)
                continue
            for target, flow in zip(piece.rank, piece.flow, strict=True):
                sent = np.where(target >= 0, flow, 0.0)
                total[piece.scenarios[:, None], zones, np.maximum(target, 0)] += sent
        return total

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
        short = (fits < 1).any(axis=1)
        if not short.any():
            return self.sent
        served = self.sent.copy()
        served[short] = 0.0
        for piece in self.pieces:
            affected = short[piece.scenarios]
            if affected.any():
                cut = piece.of(affected)
                part = cut.flow * cut.at_targets(fits, routes)
                served[cut.scenarios, :, cut.tiers] += part.transpose(1, 2, 0)
        return served


def route(
    demand: Floats,
    capacity: Floats,
    routes: Routes,
    by_priority: NDArray[np.bool_],
    allowed: NDArray[np.bool_] | None = None,
) -> Routing:
    """Send demand to the nearest targets with room.

    Tiers come in order of priority, those of equal priority alike, or where priorities are not in
    force, all alike. Zones (and tiers that come alike) that want the last room of a target share it
    in proportion. Where all come alike they pass over targets known to be gone, so that nobody is
    first in line at the next one.

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
    by_tier = np.ascontiguousarray(demand.transpose(2, 0, 1))
    everyone = np.arange(len(demand))
    room, pieces, contended = _fill(
        by_tier, capacity, routes, slice(None), everyone, allowed, until_short=True
    )
    # The order matters only where something ran short; all other scenarios are done.
    for short, fill in (
        (contended & by_priority, _fill_by_priority),
        (contended & ~by_priority, _fill_alike),
    ):
        if short.any():
            for piece in pieces:
                piece.flow[:, short[piece.scenarios]] = 0.0
            rows = np.flatnonzero(short)
            may = None if allowed is None else allowed[:, rows]
            room[rows], more = fill(by_tier[:, rows], capacity[rows], routes, rows, may)
            pieces = pieces + more
            contended &= ~short
    sent = np.zeros_like(demand)
    for piece in pieces:
        sent[piece.scenarios, :, piece.tiers] += piece.flow.transpose(1, 2, 0)
    return Routing(tuple(pieces), sent, capacity - room)


def deliver(
    demand: Floats,
    known_capacity: Floats,
    capacity: Floats,
    routes: Routes,
    by_priority: NDArray[np.bool_],
    allowed: NDArray[np.bool_] | None = None,
    compiled: bool = False,
) -> tuple[Floats, Floats, Floats]:
    """Route by what load balancers believe, and see what fits what is there.

    Parameters
    ----------
    known_capacity, capacity
        Requests per second that each target is thought to take, and takes, (scenarios, targets).
    compiled
        Whether to use the compiled form of this law (`planner.laws.kernel`, needs Numba).

    Returns
    -------
    numpy.ndarray
        Requests sent to a target, shape (scenarios, zones, tiers).
    numpy.ndarray
        Those of them that fit it, same shape.
    numpy.ndarray
        What each target was sent, shape (scenarios, targets).
    """
    if compiled:
        from planner.laws import kernel

        sent, granted, load = kernel.deliver(
            demand, known_capacity, capacity, routes.order, routes.level, by_priority, allowed
        )
        return sent, granted, load
    routing = route(demand, known_capacity, routes, by_priority, allowed)
    fits = np.minimum(1.0, capacity / np.maximum(routing.load, NEGLIGIBLE_RPS))
    return routing.sent, routing.served_at(fits, routes), routing.load


@lru_cache(maxsize=1)
def can_compile() -> bool:
    """Whether the compiled form of `deliver` can be used: Numba installed, fit, able to cache."""
    try:
        import_module("planner.laws.kernel")
    except (ImportError, RuntimeError, OSError):
        # Missing, made for another NumPy, or without a folder to keep what it compiled.
        return False
    return True


def _fill(
    demand: Floats,
    capacity: Floats,
    routes: Routes,
    tiers: slice,
    scenarios: Ints,
    allowed: NDArray[np.bool_] | None,
    until_short: bool = False,
) -> tuple[Floats, list[Piece], NDArray[np.bool_]]:
    """Flows of tiers that come alike, rank by rank; room left, flows, whether a target ran full.

    With ``until_short`` scenarios are left as they are as soon as a target runs full.
    """
    room, pieces = capacity.copy(), []
    contended = np.zeros(len(room), dtype=bool)
    rest = demand.copy()
    # A scenario takes part in a rank where a zone with requests left finds room at that rank.
    open_to, wants = room > NEGLIGIBLE_RPS, rest > NEGLIGIBLE_RPS
    for rank in range(routes.order.shape[1]):
        targets = routes.order[tiers, rank]
        here = (open_to[:, targets] & (targets >= 0)).transpose(1, 0, 2) & wants
        rows = np.flatnonzero(here.any(axis=(0, 2)))
        if not len(rows):
            continue
        leads = routes.incidence[tiers, rank]
        left, asking = room[rows], rest[:, rows]
        wanting = asking @ leads
        if allowed is not None:
            wanting = wanting * allowed[:, rows]
        wanted = wanting.sum(axis=0) if len(wanting) > 1 else wanting[0]
        share = np.minimum(1.0, left / np.maximum(wanted, NEGLIGIBLE_RPS))
        granted = share if allowed is None else share * allowed[:, rows]
        flow = asking * (granted @ leads.transpose(0, 2, 1))
        pieces.append(Piece(scenarios[rows], tiers, rank, flow))
        left = np.maximum(0.0, left - wanted * share)
        still_open = left > NEGLIGIBLE_RPS
        short = (open_to[rows] & ~still_open).any(axis=1)
        room[rows], open_to[rows] = left, still_open
        asking = asking - flow
        rest[:, rows], wants[:, rows] = asking, asking > NEGLIGIBLE_RPS
        contended[rows] |= short
        if until_short:
            wants[:, rows[short]] = False
    return room, pieces, contended


def _fill_by_priority(
    demand: Floats,
    capacity: Floats,
    routes: Routes,
    scenarios: Ints,
    allowed: NDArray[np.bool_] | None,
) -> tuple[Floats, list[Piece]]:
    """One level of priority after the other, tiers of the same level alike."""
    room, pieces = capacity, []
    for level in routes.levels():
        may = None if allowed is None else allowed[level]
        room, more, _ = _fill(demand[level], room, routes, level, scenarios, may)
        pieces += more
    return room, pieces


def _fill_alike(
    demand: Floats,
    capacity: Floats,
    routes: Routes,
    scenarios: Ints,
    allowed: NDArray[np.bool_] | None,
) -> tuple[Floats, list[Piece]]:
    """All tiers at once, each zone at the nearest of the targets that are not gone."""
    order = routes.order
    # Shape (tiers, ranks, scenarios, zones): whether the target of a rank is there at all.
    here = (capacity > NEGLIGIBLE_RPS).T[np.maximum(order, 0)].transpose(0, 1, 3, 2)
    here = here & (order >= 0)[:, :, None, :]
    if allowed is not None:
        tiers = np.arange(len(order))[:, None, None]
        may = allowed.transpose(0, 2, 1)[tiers, np.maximum(order, 0)].transpose(0, 1, 3, 2)
        here &= may
    position = np.cumsum(here, axis=1) * here
    rest, room = demand.copy(), capacity.copy()
    pieces: list[Piece] = []
    width = capacity.shape[1]
    start = np.arange(len(capacity))[None, :, None] * width
    for place in range(1, int(position.max(initial=0)) + 1):
        chosen = position == place
        found = chosen.any(axis=1)
        ranks = chosen.argmax(axis=1)
        picked = np.take_along_axis(
            np.broadcast_to(order[:, :, None, :], position.shape), ranks[:, None], axis=1
        )[:, 0]
        target = np.where(found, picked, -1)
        cells = start + np.maximum(target, 0)
        asked = np.where(found, rest, 0.0)
        sums = np.bincount(cells.ravel(), asked.ravel(), minlength=capacity.size)
        wanted: Floats = sums.reshape(capacity.shape)
        share = np.minimum(1.0, room / np.maximum(wanted, NEGLIGIBLE_RPS))
        flow = asked * share.reshape(-1)[cells]
        pieces.append(Piece(scenarios, slice(None), target, flow))
        rest -= flow
        room = np.maximum(0.0, room - wanted * share)
    return room, pieces


def beyond_limit(unserved: Floats, arriving: Floats, limit: Floats) -> Floats:
    """Arrivals that a full queue drops, taken from zones and tiers alike.

    Parameters
    ----------
    unserved
        Requests left over after a step, shape (scenarios, zones, tiers).
    arriving
        Those that joined in this step, same shape.
    limit
        Most requests waiting, shape (scenarios,).

    Returns
    -------
    numpy.ndarray
        Requests dropped, at most those arriving and left over, same shape as these.
    """
    excess = np.maximum(0.0, unserved.sum(axis=(1, 2)) - limit)
    droppable = np.minimum(unserved, arriving)
    total = droppable.sum(axis=(1, 2))
    dropped: Floats = droppable * ratio(excess, total, most=1.0)[:, None, None]
    return dropped


def ration(available: Any, allocation: Floats, level: Ints | None = None) -> Floats:
    """Shares of capacity granted to tiers, in order, each at most what is set aside for it.

    The emergency rule of the postmortem: tiers take their allocation in turn until the capacity
    that is left, as a share of what all want, is used up. Tiers of equal priority take theirs
    together, in proportion.

    Parameters
    ----------
    available
        Capacity over demand, shape (...).
    allocation
        Share set aside by tier in order of priority, shape (tiers,).
    level
        Priority of each tier as a count from 0, shape (tiers,); each its own by default.

    >>> ration(np.array(0.5), np.array([0.4, 0.3, 0.2, 0.1])).round(12).tolist()
    [0.4, 0.1, 0.0, 0.0]
    >>> ration(np.array(0.6), np.array([0.4, 0.3, 0.1]), np.array([0, 1, 1])).round(12).tolist()
    [0.4, 0.15, 0.05]
    """
    level = np.arange(len(allocation)) if level is None else level
    together = np.bincount(level, allocation)
    before = np.cumsum(together) - together
    granted = np.clip(np.asarray(available)[..., None] - before, 0.0, together)
    shares: Floats = ratio(granted, together, most=1.0)[..., level] * allocation
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
