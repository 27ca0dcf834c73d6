"""What loses its power, what trips in a voltage sag, and what has to restart afterwards."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from planner.infrastructure.entities import Model
from planner.infrastructure.failures import NodeLoss, Sag
from planner.infrastructure.fleet import running_units
from planner.infrastructure.graph import node
from planner.scenarios.event_grid import Timed, minute_after
from planner.scenarios.system_state import DependencyIndex


@dataclass(frozen=True)
class Restart:
    """Minutes during which units of a type carry no heat because they restart.

    Parameters
    ----------
    from_minute, to_minute
        From the trip, or the return of power, until it carries heat again.
    plant, unit
        Unit type of a plant.
    dark
        Sources of power that failed or sagged: a plant that has another one did not notice.
    """

    from_minute: float
    to_minute: float
    plant: str
    unit: str
    dark: frozenset[str]


def node_losses(model: Model, events: tuple[Timed, ...], minute: float) -> frozenset[str]:
    """Nodes lost at a minute, without what depends on them."""
    failed: set[str] = set()
    for timed in events:
        if isinstance(timed.event, NodeLoss) and timed.active(minute):
            failed |= _lost_by(model, timed, timed.event, minute)
    return frozenset(failed)


def _lost_by(model: Model, timed: Timed, event: NodeLoss, minute: float) -> set[str]:
    """Nodes lost at a minute by one event: batteries run out, generators start and stop."""
    failed = {node(event.kind, event.name)}
    if event.kind != "feed":
        return failed
    empty, runs, runs_out = timed.dark(model)
    if minute >= empty:
        failed.add(node("ups", event.name))
    if not (event.generators_start and runs <= minute < runs_out):
        failed.add(node("generator", event.name))
    return failed


def feed_steps(model: Model, timed: Timed) -> set[float]:
    """Minutes at which batteries or generators change what the loss of a feed takes out."""
    return {step for step in timed.dark(model) if step < timed.ends}


def sag_hits(
    index: DependencyIndex, feeds: Iterable[str], failed: frozenset[str]
) -> frozenset[str]:
    """Clusters and plants that nothing but sagging feeds supplies, with some nodes failed.

    A generator behind a sagging feed is no help: it stands still or takes minutes to start.
    Batteries are, so clusters behind them are not hit.
    """
    return index.depends.without_power(failed | sagging_sources(feeds))


def sagging_sources(feeds: Iterable[str]) -> frozenset[str]:
    """Nodes that supply nothing during a sag on some feeds."""
    return frozenset(node(kind, feed) for feed in feeds for kind in ("feed", "generator"))


def _dark(index: DependencyIndex, events: tuple[Timed, ...], sag: Timed) -> frozenset[str]:
    """Sources that supply nothing at the minute of a sag."""
    together = (
        timed.event.feed
        for timed in events
        if isinstance(timed.event, Sag) and timed.begins == sag.begins
    )
    return sagging_sources(together) | node_losses(index.model, events, sag.begins)


def sags_at(
    index: DependencyIndex, events: tuple[Timed, ...], minute: float
) -> frozenset[frozenset[str]]:
    """For each sag not repaired at a minute the sources that supplied nothing when it came."""
    sags = [timed for timed in events if isinstance(timed.event, Sag) and timed.active(minute)]
    return frozenset(_dark(index, events, sag) for sag in sags)


def sagging_clusters(
    index: DependencyIndex, events: tuple[Timed, ...], minute: float
) -> frozenset[str]:
    """Nodes of clusters that a sag has switched off: they have neither batteries nor other feeds.

    They are back with the repair of the sag, when people have restarted what tripped.
    """
    return frozenset(
        hit
        for dark in sags_at(index, events, minute)
        for hit in index.depends.without_power(dark)
        if index.places[hit][0] == "cluster"
    )


def hit_units(index: DependencyIndex, hits: frozenset[str]) -> list[tuple[str, str]]:
    """Unit types by (plant, unit type) that stop when nodes lose power: those that run."""
    plants = sorted(name for kind, name in (index.places[hit] for hit in hits) if kind == "plant")
    return [(plant, unit) for plant in plants for unit in running_units(index.model, plant)]


def restarts(index: DependencyIndex, events: tuple[Timed, ...]) -> tuple[Restart, ...]:
    """All restarts of a scenario, those of length 0 left out.

    After a sag units restart when it is repaired, after want of power when that returns;
    ``restart_minutes`` of the unit come on top.
    """
    found: list[Restart] = []
    for sag in events:
        if isinstance(sag.event, Sag):
            dark = _dark(index, events, sag)
            for plant, unit in hit_units(index, index.depends.without_power(dark)):
                back = minute_after(sag.ends + index.model.cooling_units[unit].restart_minutes)
                found.append(Restart(sag.begins, back, plant, unit, dark))
    for minute, nodes, dark in _power_returns(index, events):
        for plant, unit in hit_units(index, nodes):
            wait = index.model.cooling_units[unit].restart_minutes
            if wait:
                found.append(Restart(minute, minute_after(minute + wait), plant, unit, dark))
    return tuple(found)


def _power_returns(
    index: DependencyIndex, events: tuple[Timed, ...]
) -> Iterable[tuple[float, frozenset[str], frozenset[str]]]:
    """Minutes at which nodes may have power again that had none before, and what failed before.

    Power that returns only with measures counts: without them what is on it stays without.
    """
    losses = tuple(timed for timed in events if timed.event.kind == "feed")
    minutes = {loss.ends for loss in losses}
    minutes = minutes.union(*({loss.begins} | feed_steps(index.model, loss) for loss in losses))
    failed = {minute: node_losses(index.model, losses, minute) for minute in sorted(minutes)}
    for before, minute in pairwise(failed):
        was_dark = index.depends.without_power(failed[before])
        returned = was_dark - index.depends_at_best.without_power(failed[minute])
        if returned:
            yield minute, returned, failed[before]
