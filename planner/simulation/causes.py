"""Main cause of unserved requests: heat, late offers, stale routing, services or scarcity.

The loop tightens what was short: more cooling, later arrivals, more capacity. So the requests per
second lost to each cause are measured, and the largest counts.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from planner.laws.traffic import serving_rps
from planner.simulation.history import History
from planner.simulation.system_states import Bools
from planner.simulation.world import SECONDS, World

#: Relative difference of capacities that is none.
ROUNDING = 1e-12
#: ``heat``: throttling and thermal shutdown; ``late``: emergency capacity that is overdue;
#: ``routing``: sent to targets that were gone (no purchase changes it); ``services``: rejected by
#: services and their connection pools; ``scarcity``: all else.
Cause = Literal["heat", "late", "routing", "services", "scarcity"]


def explain(
    world: World, history: History, index: int, minute: int, missing_rps: float
) -> tuple[Cause, float]:
    """Cause of the requests that were not served in a minute of a scenario.

    Returns
    -------
    Cause
        What cost most of them.
    float
        For ``late``: minutes from the end of the lead time until all that was reserved is in use.
    """
    pending = _pending(world, history, index, minute)
    costs: dict[Cause, float] = {
        "heat": _lost_to_heat(world, history, index, minute),
        "late": sum(rps for rps, _ in pending),
        "routing": _stale(history, index, minute),
        "services": _turned_away(history, index, minute),
    }
    costs = {cause: min(cost, missing_rps) for cause, cost in costs.items()}
    costs["scarcity"] = missing_rps - sum(costs.values())
    cause = max(costs, key=lambda name: costs[name])
    return cause, max((late for _, late in pending), default=0.0) if cause == "late" else 0.0


def _turned_away(history: History, index: int, minute: int) -> float:
    """New requests rejected by services: their share of all that were rejected, requests/s."""
    attempts = history.attempts_rps[minute, index].sum()
    rejected = history.rejected[minute, index] / SECONDS
    return float(history.demand_rps[minute, index].sum() * rejected / max(attempts, rejected, 1e-9))


def _lost_to_heat(world: World, history: History, index: int, minute: int) -> float:
    """Capacity lost to throttling and thermal shutdown, requests/s.

    Load balancers act on loss and return with a delay, so the worst of these minutes counts.
    """
    clusters = world.clusters
    first = max(0, minute - int(world.reaction.failover[index]))
    span = slice(first, minute + 1)
    powered = serving_rps(history.powered_gpus[span, index], clusters.rps, clusters.utilisation)
    throttled = powered * (1 - history.clock[span, index])
    full = serving_rps(clusters.gpus, clusters.rps, clusters.utilisation)
    stopped = history.stopped_gpus[span, index] * (clusters.shutdown_spread_c > 0)
    throttled += serving_rps(stopped, clusters.rps, clusters.utilisation)
    lost = np.where(_self_protected(world, history, index)[span], full, throttled)
    return float(lost.sum(axis=1).max())


def shut_down_in_part(world: World, history: History, index: int) -> Bools:
    """Minutes at whose end more racks of a cluster that is on have shut themselves down, (T, C)."""
    stopped = history.stopped_gpus[:, index]
    more: Bools = np.diff(stopped, axis=0, prepend=0.0) > 0
    return more & ~history.off[:, index] & (world.clusters.shutdown_spread_c > 0)


def _self_protected(world: World, history: History, index: int) -> Bools:
    """Whether clusters were off in a minute because they had switched themselves off, (T, C)."""
    off = history.off[:, index]
    before = np.vstack([np.zeros_like(off[:1]), off[:-1]])
    up = world.system_states.cluster_up[world.interval[:, index]]
    minutes = np.arange(len(off))[:, None]
    switched = np.maximum.accumulate(np.where(off & ~before, minutes, 0), axis=0)
    by_itself = np.take_along_axis(up, switched, axis=0)
    result: Bools = off & before & up & by_itself
    return result


def _pending(world: World, history: History, index: int, minute: int) -> list[tuple[float, float]]:
    """Emergency capacity past its lead time but not in use, and by how many minutes it was late."""
    timeline, offers = world.timelines[index], world.offers
    known_capacity = history.known_capacity_rps[minute:, index, len(world.clusters.names) :]
    share = world.system_states.offer_share[world.interval[minute, index]]
    found = []
    for v, reserved in enumerate((offers.rps * share).tolist()):
        due = timeline.order_minute + offers.lead_minutes[v]
        cold = reserved / world.reaction.cold_most[index]
        in_use = known_capacity[:, v] >= cold * (1 - ROUNDING)
        if due > minute or not share[v] or in_use[0]:
            continue
        first = minute + int(np.argmax(in_use)) if in_use.any() else world.minutes
        found.append((float(reserved - known_capacity[0, v]), float(first - due)))
    return found


def _stale(history: History, index: int, minute: int) -> float:
    """Capacity that load balancers still send to although it is gone, requests/s."""
    gone = history.known_capacity_rps[minute, index] - history.capacity_rps[minute, index]
    return float(np.maximum(gone, 0.0).sum())
