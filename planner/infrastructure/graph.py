"""The NetworkX graph of an infrastructure and queries on it.

Edges point from what supports to what is supported, so that failures travel along them. The
attribute ``relation`` is one of ``hosts, cools, powers, depends_on, routes_to, supplies``. Edges
into a node are gathered in groups (attribute ``group``); a node is up while, in each of its
groups, at least ``needs[group]`` supporters are up. That one rule states hard dependencies (a group
of one), any-of (needs 1) and k-of-n (needs k); a soft dependency needs 0.

Measures that can be bought are nodes too: what exists only with them hangs on them, and what they
make dispensable has them as another supporter. With nothing said they are not bought: down.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from weakref import WeakKeyDictionary

import networkx as nx

from planner.infrastructure.customers import Tier
from planner.infrastructure.entities import Model
from planner.infrastructure.fleet import Fleet, plant_mw
from planner.infrastructure.source import nearest, printable

type Graph = nx.DiGraph[str]

_NOTHING = frozenset[str]()
#: What supplies a load with power: the feed, and the batteries and generators behind it.
POWER_SOURCES = ("feed", "ups", "generator")
#: Relations without which nothing is down at once: clusters heat up first, and emergency capacity
#: may serve whom clusters do not.
NOT_AT_ONCE = frozenset({"cools", "routes_to"})


def node(kind: str, name: str) -> str:
    """Identifier of a node: ``region:us-west``."""
    return f"{kind}:{name}"


def nodes_called(
    graph: Graph, wanted: Iterable[str], option: str
) -> tuple[tuple[str, ...], list[str]]:
    """Nodes by their identifier or, where one kind alone has it, their name; what is wrong.

    Parameters
    ----------
    wanted
        Names, several in a text apart by commas.
    option
        Option that names them, for what is wrong.
    """
    by_name: dict[str, list[str]] = {}
    for name in graph:
        by_name.setdefault(graph.nodes[name]["name"], []).append(name)
    found: list[str] = []
    problems = []
    for text in dict.fromkeys(part.strip() for texts in wanted for part in texts.split(",")):
        named = by_name.get(text, [])
        # A feed comes before the batteries and generators of its name.
        first = [name for name in named if graph.nodes[name]["kind"] not in POWER_SOURCES[1:]]
        candidates = [text] if text in graph else first or named
        if len(candidates) == 1:
            found += [name for name in candidates if name not in found]
        elif candidates:
            kinds = " or ".join(f"`{name}`" for name in candidates)
            problems.append(f"{option}: `{text}` is several; give {kinds}")
        else:
            hint = nearest(text, [*by_name, *graph]) or "; name one as kind:name, e.g. region:…"
            problems.append(f"{option}: no node `{printable(text)}`{hint}")
    return tuple(found), problems


def build_graph(model: Model) -> Graph:
    """Build the graph of a model.

    Returns
    -------
    networkx.DiGraph
        Nodes ``kind:name`` with attributes ``kind``, ``name`` and ``needs``, replicas also with
        ``service``; edges with ``relation`` and ``group``. It is frozen, because what it implies
        is worked out once: a copy may be changed, its attributes may not.
    """
    graph: Graph = nx.DiGraph()
    kinds = ("region", "service", "cluster", "plant", "feed", "tier", "zone", "offer", "measure")
    for kind in kinds:
        for name, entity in getattr(model, f"{kind}s").items():
            plane = getattr(entity, "plane", None)
            graph.add_node(node(kind, name), kind=kind, name=name, plane=plane, needs={})
    _add_power(graph, model)
    _add_cooling(graph, model)
    _add_services(graph, model)
    _add_demand(graph, model)
    _add_measures(graph, model)
    nx.freeze(graph)
    return graph


def _link(
    graph: Graph, source: str, target: str, relation: str, group: str, needs: int = 1
) -> None:
    graph.add_edge(source, target, relation=relation, group=group)
    graph.nodes[target]["needs"][group] = needs


def _add_power(graph: Graph, model: Model) -> None:
    """Feeds, and the batteries and generators behind them, power clusters and plants."""
    for name, feed in model.feeds.items():
        _link(graph, node("region", feed.region), node("feed", name), "hosts", "region")
        sources = [("feed", True), ("ups", feed.ups_minutes > 0)]
        sources.append(("generator", feed.generator_mw > 0))
        for kind, present in sources:
            if not present:
                continue
            if kind != "feed":
                graph.add_node(node(kind, name), kind=kind, name=name, plane=None, needs={})
                place = node("region", feed.region)
                _link(graph, place, node(kind, name), "hosts", "region")
            for load_kind, load in feed_loads(model, name):
                if kind == "ups" and load_kind == "plant" and not model.plants[load].on_ups:
                    continue
                _link(graph, node(kind, name), node(load_kind, load), "powers", "power")


def feed_loads(model: Model, feed: str) -> list[tuple[str, str]]:
    """Kind and name of the clusters and plants on a feed."""
    entry = model.feeds[feed]
    loads = [
        ("cluster", name)
        for name, cluster in model.clusters.items()
        if cluster.region == entry.region
    ]
    loads += [
        ("plant", name) for name, plant in model.plants.items() if plant.region == entry.region
    ]
    return [load for load in loads if not entry.powers or load[1] in entry.powers]


def _add_cooling(graph: Graph, model: Model) -> None:
    for name, cluster in model.clusters.items():
        _link(graph, node("region", cluster.region), node("cluster", name), "hosts", "region")
    for name, plant in model.plants.items():
        _link(graph, node("region", plant.region), node("plant", name), "hosts", "region")
        for cluster_name in plant.cools:
            _link(graph, node("plant", name), node("cluster", cluster_name), "cools", "cooling")
        if plant.rejects_to is not None:
            _link(graph, node("plant", plant.rejects_to), node("plant", name), "cools", "cooling")
        for service in plant.depends_on:
            _link(graph, node("service", service), node("plant", name), "depends_on", service)


def _add_services(graph: Graph, model: Model) -> None:
    for name, service in model.services.items():
        target = node("service", name)
        for region, count in service.replicas.items():
            for index in range(count):
                _add_replica(graph, model, name, region, f"{name}@{region}#{index + 1}")
        for cluster in service.runs_on:
            _link(graph, node("cluster", cluster), target, "supplies", "gpus")
        for dependency in service.depends_on:
            _link(graph, node("service", dependency), target, "depends_on", dependency)
        for dependency in service.any_of:
            _link(graph, node("service", dependency), target, "depends_on", "any_of")
        for dependency in service.degrades_without:
            _link(graph, node("service", dependency), target, "depends_on", f"soft {dependency}", 0)
    for name, tier in model.tiers.items():
        if tier.entry is not None:
            _link(graph, node("service", tier.entry), node("tier", name), "depends_on", "entry")


def _add_replica(graph: Graph, model: Model, service: str, region: str, label: str) -> str:
    replica, entry = node("replica", label), model.services[service]
    graph.add_node(
        replica, kind="replica", name=label, plane=entry.plane, needs={}, service=service
    )
    _link(graph, node("region", region), replica, "hosts", "region")
    target = node("service", service)
    _link(graph, replica, target, "supplies", "replicas", entry.needs_replicas)
    return replica


def _add_measures(graph: Graph, model: Model) -> None:
    for name, measure in model.measures.items():
        source = node("measure", name)
        for feed in measure.feeds:
            for kind in POWER_SOURCES:
                if node(kind, feed) in graph:
                    _link(graph, source, node(kind, feed), "supplies", "measure")
        for service, replicas in measure.replicas.items():
            for region, count in replicas.items():
                for index in range(count):
                    label = f"{service}@{region}#{name}-{index + 1}"
                    replica = _add_replica(graph, model, service, region, label)
                    _link(graph, source, replica, "supplies", "measure")
        for plant, services in measure.independent.items():
            for service in services:
                _link(graph, source, node("plant", plant), "supplies", service)


def _add_demand(graph: Graph, model: Model) -> None:
    for name in model.zones:
        for cluster, entry in model.clusters.items():
            if any(entry.region in reachable_regions(model, name, t) for t in model.tiers):
                source, target = node("cluster", cluster), node("zone", name)
                _link(graph, source, target, "routes_to", "routes")
                graph.edges[source, target]["latency_ms"] = model.zones[name].latency_ms[
                    entry.region
                ]
    for name in model.tiers:
        reached = {
            region
            for zone, entry in model.zones.items()
            if entry.demand_rps
            for region in reachable_regions(model, zone, name)
        }
        for cluster, entry in model.clusters.items():
            if entry.region in reached:
                _link(graph, node("cluster", cluster), node("tier", name), "routes_to", "routes")
    for name, offer in model.offers.items():
        provider = node("provider", offer.provider)
        graph.add_node(provider, kind="provider", name=offer.provider, plane=None, needs={})
        _link(graph, provider, node("offer", name), "supplies", "provider")
        if offer.region is not None and not offer.survives_region:
            _link(graph, node("region", offer.region), node("offer", name), "hosts", "region")
        for zone in model.zones:
            if offer_in_reach(model, zone, name, None):
                _link(graph, node("offer", name), node("zone", zone), "supplies", "routes")


def reachable_regions(model: Model, zone: str, tier: str) -> frozenset[str]:
    """Regions that a zone reaches within the latency limit of a tier."""
    limit = model.tiers[tier].latency_limit_ms
    return frozenset(
        region for region, latency in model.zones[zone].latency_ms.items() if latency <= limit
    )


def offer_in_reach(model: Model, zone: str, offer: str, tier: Tier | None) -> bool:
    """Whether an offer is within the latency limit of a tier of a zone (of any, without a tier)."""
    region = model.offers[offer].region
    if region is None:
        return True
    latency = model.zones[zone].latency_ms.get(region)
    return latency is not None and (tier is None or latency <= tier.latency_limit_ms)


@dataclass(frozen=True)
class Dependencies:
    """A graph prepared to compute which nodes are down after failures.

    Parameters
    ----------
    down
        Nodes that are down with nothing failed: measures not bought and what hangs on them.
    supports
        What each node supports: (node, number of the group it is in there).
    spare
        By group, how many of the supporters that are up with nothing failed it can lose.
    """

    down: frozenset[str]
    supports: Mapping[str, tuple[tuple[str, int], ...]]
    spare: tuple[int, ...]
    sources: Mapping[str, frozenset[str]]

    def down_with(self, failed: Iterable[str]) -> frozenset[str]:
        """Nodes that are down after failures, the failed ones included.

        Only what depends on the failed nodes is visited. Loops are allowed (a plant needs a service
        on the cluster that it cools): what is down is the least set that the failures force down.
        """
        down = set(self.down)
        waiting = [name for name in set(failed) if name in self.supports and name not in down]
        down.update(waiting)
        _spread(down, waiting, self.supports, self.spare)
        return frozenset(down)

    def without_power(self, failed: frozenset[str]) -> frozenset[str]:
        """Nodes whose power sources have all failed or are down."""
        gone = failed | self.down
        return frozenset(name for name, sources in self.sources.items() if sources <= gone)

    def without(self, absent: frozenset[str]) -> Dependencies:
        """The same where some nodes support nothing, unless a node has no others to support it."""
        links = Counter(group for name in absent - self.down for _, group in self.supports[name])
        left = {group for group, count in links.items() if count <= self.spare[group]}
        supports = {
            name: tuple(link for link in found if name not in absent or link[1] not in left)
            for name, found in self.supports.items()
        }
        spare = [n - links[group] if group in left else n for group, n in enumerate(self.spare)]
        return replace(self, supports=supports, spare=tuple(spare))


def _spread(
    down: set[str],
    waiting: list[str],
    supports: Mapping[str, tuple[tuple[str, int], ...]],
    spare: Sequence[int],
) -> dict[int, int]:
    """Add to ``down`` the nodes that waiting ones take down; count lost supporters by group."""
    lost: dict[int, int] = {}
    while waiting:
        for name, group in supports[waiting.pop()]:
            lost[group] = lost.get(group, 0) + 1
            if lost[group] > spare[group] and name not in down:
                down.add(name)
                waiting.append(name)
    return lost


_PREPARED: WeakKeyDictionary[Graph, dict[tuple[frozenset[str], bool], Dependencies]] = (
    WeakKeyDictionary()
)


def dependencies(
    graph: Graph, ignoring: frozenset[str] = _NOTHING, all_measures: bool = False
) -> Dependencies:
    """Prepare a graph, without the relations in ``ignoring``, with no measure bought or with all.

    A frozen graph, as `build_graph` gives, is prepared once; any other each time, since it may have
    changed.
    """
    if not nx.is_frozen(graph):
        return _prepare(graph, ignoring, all_measures)
    prepared, key = _PREPARED.setdefault(graph, {}), (ignoring, all_measures)
    if key not in prepared:
        prepared[key] = _prepare(graph, ignoring, all_measures)
    return prepared[key]


def _prepare(graph: Graph, ignoring: frozenset[str], all_measures: bool) -> Dependencies:
    groups: dict[tuple[str, str], int] = {}
    supports: dict[str, list[tuple[str, int]]] = {name: [] for name in graph}
    sources: dict[str, set[str]] = {}
    spare: list[int] = []
    for source, target, data in graph.edges(data=True):
        if data["relation"] in ignoring:
            continue
        key = (target, data["group"])
        if key not in groups:
            groups[key] = len(spare)
            spare.append(-graph.nodes[target]["needs"][data["group"]])
        spare[groups[key]] += 1
        supports[source].append((target, groups[key]))
        if data["relation"] == "powers":
            sources.setdefault(target, set()).add(source)
    links = {name: tuple(found) for name, found in supports.items()}
    down = {name for (name, _), group in groups.items() if spare[group] < 0}
    if not all_measures:
        down |= {name for name in graph if graph.nodes[name].get("kind") == "measure"}
    lost = _spread(down, list(down), links, spare)
    return Dependencies(
        frozenset(down),
        links,
        tuple(count - lost.get(group, 0) for group, count in enumerate(spare)),
        {name: frozenset(found) for name, found in sources.items()},
    )


def down_nodes(
    graph: Graph, failed: Iterable[str], ignoring: frozenset[str] = _NOTHING
) -> frozenset[str]:
    """Nodes that are down after failures, the failed ones included.

    Relations in ``ignoring`` are left out: a cluster without cooling is lost in the end
    (``cools``), but the simulator lets it heat up first.
    """
    return dependencies(graph, ignoring).down_with(failed)


def without_equipment(model: Model, fleet: Fleet) -> frozenset[str]:
    """Plants without cooling and clusters without GPUs, which support nothing."""
    plants = (node("plant", name) for name in model.plants if not plant_mw(model, fleet, name))
    clusters = (node("cluster", name) for name in model.clusters if not fleet.gpus[name])
    return frozenset((*plants, *clusters))


def blast_radius(graph: Graph, failed: str, absent: frozenset[str] = _NOTHING) -> frozenset[str]:
    """Nodes that the loss of one node takes down, except itself.

    Parameters
    ----------
    absent
        Nodes that support nothing (`without_equipment`).

    Raises
    ------
    KeyError
        If the graph has no such node.
    """
    if failed not in graph:
        raise KeyError(failed)
    ready = dependencies(graph).without(absent)
    return ready.down_with([failed]) - ready.down - {failed}


def single_points_of_failure(
    graph: Graph, absent: frozenset[str] = _NOTHING
) -> dict[str, tuple[str, ...]]:
    """Single points of failure: nodes whose loss alone takes a tier down, by tier."""
    tiers = [name for name in graph if graph.nodes[name]["kind"] == "tier"]
    found: dict[str, list[str]] = {tier: [] for tier in tiers}
    for name in sorted(graph):
        radius = blast_radius(graph, name, absent)
        for tier in tiers:
            if tier in radius:
                found[tier].append(name)
    return {graph.nodes[tier]["name"]: tuple(nodes) for tier, nodes in found.items()}


def single_points_by_zone(model: Model, graph: Graph) -> dict[str, dict[str, tuple[str, ...]]]:
    """Nodes whose loss alone leaves a tier without service in a zone, by zone and tier.

    Service that clusters within the latency limit give: emergency capacity takes its time. Nodes
    that take the tier down everywhere are not named again.
    """
    everywhere = single_points_of_failure(graph)
    always = down_nodes(graph, [])
    lost = {name: blast_radius(graph, name) | {name} for name in sorted(graph)}
    found: dict[str, dict[str, tuple[str, ...]]] = {}
    for zone, entry in model.zones.items():
        for tier in model.tiers if entry.demand_rps else ():
            regions = reachable_regions(model, zone, tier)
            serving = {
                node("cluster", name)
                for name, cluster in model.clusters.items()
                if cluster.region in regions and max(cluster.max_gpus, cluster.existing_gpus)
            } - always
            nodes = tuple(
                name
                for name, down in lost.items()
                if serving and serving <= down and name not in everywhere[tier]
            )
            found.setdefault(zone, {})[tier] = nodes
    return found


def shared_supports(graph: Graph, plant: str, second: str) -> tuple[str, ...]:
    """Nodes other than the region whose loss alone takes down two plants.

    None means that the plants are independent of each other.
    """
    pair = {node("plant", plant), node("plant", second)}
    return tuple(
        name
        for name in sorted(graph)
        if graph.nodes[name]["kind"] != "region" and pair <= blast_radius(graph, name)
    )


def independent_plants(model: Model, graph: Graph, cluster: str) -> tuple[str, ...]:
    """Emergency plants of a cluster that share only the region with its primary plants."""
    plants = [name for name, plant in model.plants.items() if cluster in plant.cools]
    primary = [name for name in plants if model.plants[name].role == "primary"]
    return tuple(
        name
        for name in plants
        if name not in primary
        and not any(shared_supports(graph, name, primary_plant) for primary_plant in primary)
    )
