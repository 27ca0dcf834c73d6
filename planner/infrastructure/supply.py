"""What supplies clusters and plants with power: the limits within which they draw together.

A load draws on the feeds that are up and that name it; a feed that is lost leaves its generators,
or until they run its batteries, which carry clusters alone. Everything in a region, on a feed or
not, draws within the power limit of the region. What is on no feed in a region that has some has
nothing but that limit, and loses its power with the region alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from planner.infrastructure.entities import Feed, Model
from planner.infrastructure.fleet import with_chillers
from planner.infrastructure.graph import POWER_SOURCES, feed_loads, node
from planner.laws.power import source_sets


@dataclass(frozen=True)
class PowerLimit:
    """Loads that together draw no more than a number of megawatts.

    Parameters
    ----------
    loads
        Nodes of clusters and plants.
    brought
        What they may draw beyond that, by measure that brings it.
    sources
        Values of the model that carry it: of feeds, or the power limit of the region.
    """

    loads: frozenset[str]
    mw: float
    brought: tuple[tuple[str, float], ...] = ()
    sources: tuple[str, ...] = field(default=(), compare=False)
    region: str = field(default="", compare=False)

    @property
    def feeds(self) -> tuple[str, ...]:
        """Feeds that carry it; none where it is the power limit of the region."""
        parts = [source.split(".") for source in self.sources]
        return tuple(".".join(part[1:-1]) for part in parts if part[0] == "feeds")

    @property
    def most_mw(self) -> float:
        """What they may draw with every measure bought."""
        return self.mw + sum(mw for _, mw in self.brought)

    def at(self, bought: frozenset[str]) -> PowerLimit:
        """The limit with some measures bought."""
        more = sum(mw for name, mw in self.brought if name in bought)
        return PowerLimit(self.loads, self.mw + more, (), self.sources, self.region)

    def implies(self, other: PowerLimit) -> bool:
        """Whether what keeps this limit keeps the other, whatever measures are bought."""
        more = dict(other.brought)
        return (
            other.loads <= self.loads
            and self.mw <= other.mw
            and all(mw <= more.get(name, 0.0) for name, mw in self.brought)
        )


#: Loads that a source carries: all, or those on batteries alone.
EVERY, ON_BATTERIES = frozenset({True, False}), frozenset({True})


def draw_per_heat(model: Model, loads: frozenset[str], plant: str) -> float:
    """Power that some loads draw for each heat that a plant takes from clusters, MW per MW.

    Its own, and that of the plant that carries the heat on.
    """
    drawing = (name for name in with_chillers(model, [plant]) if node("plant", name) in loads)
    return sum(plant_power_mw_per_mw(model, name) for name in drawing)


def plant_power_mw_per_mw(model: Model, plant: str) -> float:
    """Electric power per heat of the hungriest unit type that a plant has or may get.

    Power is reckoned with it, whatever mixture of units a plan ends with.
    """
    entry = model.plants[plant]
    kinds = {*entry.existing, *entry.options}
    return max((model.cooling_units[unit].drawn_mw_per_mw for unit in kinds), default=0)


def cluster_power_mw_per_mw(model: Model, cluster: str) -> float:
    """Electric power of a cluster per power of its GPUs: with losses and the fans of its hall."""
    return model.regions[model.clusters[cluster].region].drawn_mw_per_mw


def binding(limits: Iterable[PowerLimit]) -> tuple[PowerLimit, ...]:
    """Limits that no other limit implies, those on most loads first."""
    kept: list[PowerLimit] = []
    for limit in sorted(
        limits, key=lambda limit: (-len(limit.loads), limit.most_mw, bool(limit.feeds))
    ):
        if not any(tighter.implies(limit) for tighter in kept):
            kept.append(limit)
    return tuple(kept)


@dataclass(frozen=True)
class PowerSupply:
    """The power of a model, prepared once for all states of its feeds."""

    model: Model
    _known: dict[tuple[str, frozenset[str]], tuple[PowerLimit, ...]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @cached_property
    def owners(self) -> dict[str, str]:
        """Measure by feed that exists only with it."""
        measures = self.model.measures.items()
        return {feed: name for name, measure in measures for feed in measure.feeds}

    @cached_property
    def feeds(self) -> dict[str, dict[str, tuple[tuple[str, str], ...]]]:
        """Kind and name of the loads of each feed, by region."""
        found: dict[str, dict[str, tuple[tuple[str, str], ...]]] = {
            region: {} for region in self.model.regions
        }
        for name, feed in self.model.feeds.items():
            found[feed.region][name] = tuple(feed_loads(self.model, name))
        return found

    @cached_property
    def _nodes(self) -> dict[str, frozenset[str]]:
        return {
            region: frozenset(node(kind, name) for name in feeds for kind in POWER_SOURCES)
            for region, feeds in self.feeds.items()
        }

    def limits(self, down: frozenset[str]) -> dict[str, tuple[PowerLimit, ...]]:
        """Limits by region that decide whether its loads can be supplied.

        Parameters
        ----------
        down
            Nodes that are down, those of feeds, generators and batteries among them.
        """
        found = {}
        for region in self.feeds:
            key = (region, down & self._nodes[region])
            if key not in self._known:
                self._known[key] = binding(self.every_limit(*key))
            found[region] = self._known[key]
        return found

    def every_limit(
        self, region: str, down: frozenset[str], unsettled: bool = False
    ) -> list[PowerLimit]:
        """Limits of a region, those that others imply included.

        Parameters
        ----------
        unsettled
            Whether feeds that measures bring count as far as these are bought, not in any case.
        """
        limits, of_feeds = [self._of_region(region)], self.feeds[region]
        carried = {name: _source(self.model.feeds[name], down) for name in of_feeds}
        on: dict[str, set[str]] = {}
        for name, loads in of_feeds.items():
            for kind, load in loads:
                feeds = on.setdefault(node(kind, load), set())
                on_batteries = kind == "cluster" or self.model.plants[load].on_ups
                if on_batteries in carried[name][1]:
                    feeds.add(name)
        sources = {load: frozenset(feeds) for load, feeds in on.items()}
        for sources_used in (frozenset[str](), *source_sets(sources.values())):
            on_them = frozenset(load for load, feeds in sources.items() if feeds <= sources_used)
            if on_them:
                used = {name: carried[name][0] for name in of_feeds if name in sources_used}
                limits.append(self._of_feeds(region, on_them, used, unsettled))
        return limits

    def _of_region(self, region: str) -> PowerLimit:
        path = f"regions.{region}.power_limit_mw"
        limit = self.model.regions[region].power_limit_mw
        return PowerLimit(region_loads(self.model, region), limit, (), (path,), region)

    def _of_feeds(
        self, region: str, loads: frozenset[str], used: Mapping[str, str], unsettled: bool
    ) -> PowerLimit:
        total: float = 0
        brought = dict[str, float]()
        for name, attribute in used.items():
            mw = getattr(self.model.feeds[name], attribute)
            if unsettled and name in self.owners:
                owner = self.owners[name]
                brought[owner] = brought.get(owner, 0.0) + mw
            else:
                total += mw
        paths = tuple(f"feeds.{name}.{attribute}" for name, attribute in used.items())
        return PowerLimit(loads, total, tuple(brought.items()), paths, region)


def region_loads(model: Model, region: str) -> frozenset[str]:
    """Clusters and plants of a region."""
    sections = (("cluster", model.clusters), ("plant", model.plants))
    return frozenset(
        node(kind, name)
        for kind, entries in sections
        for name, entry in entries.items()
        if entry.region == region
    )


def _source(feed: Feed, down: frozenset[str]) -> tuple[str, frozenset[bool]]:
    """What carries the loads of a feed with some nodes down: which value, and which loads.

    Loads are told apart by whether batteries carry them.
    """
    if node("feed", feed.name) not in down:
        return "capacity_mw", EVERY
    if feed.generator_mw and node("generator", feed.name) not in down:
        return "generator_mw", EVERY
    if feed.ups_minutes and node("ups", feed.name) not in down:
        return "capacity_mw", ON_BATTERIES
    return "capacity_mw", frozenset()


def without_feed(model: Model) -> dict[str, tuple[str, ...]]:
    """Clusters and plants on no feed in regions that have some, by region."""
    fed = {node(*load) for feed in model.feeds for load in feed_loads(model, feed)}
    with_feeds = dict.fromkeys(feed.region for feed in model.feeds.values())
    found = {region: region_loads(model, region) - fed for region in with_feeds}
    return {region: tuple(sorted(loads)) for region, loads in found.items() if loads}
