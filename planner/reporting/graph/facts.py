"""What a graph shows: the infrastructure, what a plan changes, what goes down with what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from planner.amounts import millions, number, percent
from planner.errors import InputError, Problem
from planner.infrastructure.entities import Model
from planner.infrastructure.fleet import Fleet, cooling_mw, plant_mw
from planner.infrastructure.graph import (
    Graph,
    build_graph,
    dependencies,
    independent_plants,
    node,
    nodes_called,
    single_points_of_failure,
    without_equipment,
)
from planner.infrastructure.measures import with_measures
from planner.infrastructure.source import nearest, printable
from planner.scenarios.loss import KINDS as LOSSES

#: Kinds of nodes in the order in which they are listed, with their plural.
KINDS = {
    "region": "regions",
    "feed": "feeds",
    "ups": "batteries",
    "generator": "generators",
    "plant": "plants",
    "cluster": "clusters",
    "service": "services",
    "replica": "replicas",
    "tier": "tiers",
    "zone": "zones",
    "provider": "providers",
    "offer": "offers",
    "measure": "measures",
}


@dataclass(frozen=True)
class Blast:
    """What goes down when some nodes are lost.

    Parameters
    ----------
    failed
        Nodes that are lost, as asked.
    fallen
        Nodes that go down with them, by kind and name.
    gpus, rps
        GPUs in what is down, and the requests per second that they serve.
    cooling_mw, feed_mw
        Cooling at design ambient and power of the feeds in what is down.
    reserved_gpus
        Reserved emergency GPUs in what is down.
    """

    failed: tuple[str, ...]
    fallen: tuple[str, ...]
    gpus: int
    rps: float
    cooling_mw: float
    feed_mw: float
    reserved_gpus: int

    @cached_property
    def down(self) -> frozenset[str]:
        """All that is down for it."""
        return frozenset(self.failed + self.fallen)


@dataclass(frozen=True)
class Scene:
    """An infrastructure as it is drawn, exported and summed up.

    Parameters
    ----------
    model, graph
        The model, with the measures of the plan in place, and its graph.
    before, fleet
        What exists, and what exists with the plan.
    planned
        Whether there is a plan.
    measures
        Measures that the plan buys.
    absent
        Nodes that are not there: measures not bought, and what exists only with them.
    points
        Tiers that the loss of a node alone takes down, by node.
    blast
        What goes down, if that is asked.
    """

    name: str
    model: Model
    graph: Graph
    before: Fleet
    fleet: Fleet
    planned: bool
    measures: tuple[str, ...]
    absent: frozenset[str]
    points: Mapping[str, tuple[str, ...]]
    blast: Blast | None
    regions: tuple[str, ...]

    @cached_property
    def shown(self) -> tuple[str, ...]:
        """Nodes that are shown: those in the regions asked for, those in none, and all offers.

        Emergency offers serve users of other regions too, above all when those regions are lost.
        """
        wanted = {None, *self.regions}
        offers = {node("offer", name) for name in self.model.offers}
        return tuple(name for name in self.graph if name in offers or self.place(name) in wanted)

    def place(self, name: str) -> str | None:
        """Region that hosts a node, or that it is; None for what is in none."""
        data = self.graph.nodes[name]
        if data["kind"] == "region":
            return str(data["name"])
        for source in self.graph.predecessors(name):
            if self.graph.edges[source, name]["relation"] == "hosts":
                return str(self.graph.nodes[source]["name"])
        return self.homes.get(str(data["name"])) if data["kind"] == "service" else None

    @cached_property
    def homes(self) -> Mapping[str, str]:
        """Region of services that are hosted in one region and needed only by its plants."""
        return {
            name: next(iter(service.replicas))
            for name, service in self.model.services.items()
            if len(service.replicas) == 1 and _serves_plants(self.model, name)
        }


def _serves_plants(model: Model, service: str) -> bool:
    """Whether only plants depend on a service."""
    services = model.services.values()
    used = any(
        service in (*user.depends_on, *user.any_of, *user.degrades_without) for user in services
    ) or any(tier.entry == service for tier in model.tiers.values())
    return not used and any(service in plant.depends_on for plant in model.plants.values())


def make_scene(
    name: str,
    model: Model,
    fleet: Fleet | None = None,
    blast: Iterable[str] = (),
    regions: Iterable[str] = (),
) -> Scene:
    """Work out what is shown of a model, with the fleet of a plan if there is one.

    Parameters
    ----------
    blast
        Nodes to lose together (`nodes_called`).
    regions
        Regions to show; all if none is named.
    """
    before = Fleet.existing(model)
    after = before if fleet is None else fleet
    seen = model if fleet is None else with_measures(model, fleet.measures)
    graph = build_graph(seen)
    failed, problems = nodes_called(graph, blast, "--blast")
    wanted = tuple(dict.fromkeys(regions))
    problems += [
        f"--region: no region `{printable(region)}`{nearest(region, seen.regions)}"
        for region in wanted
        if region not in seen.regions
    ]
    if problems:
        raise InputError(Problem(name, 0, 0, "", text) for text in problems)
    return Scene(
        name,
        seen,
        graph,
        before,
        after,
        fleet is not None,
        tuple(sorted(after.measures)),
        dependencies(graph).down,
        _points_by_node(graph, without_equipment(seen, after)),
        blast_of(seen, graph, after, failed) if failed else None,
        tuple(region for region in seen.regions if not wanted or region in wanted),
    )


def _points_by_node(graph: Graph, absent: frozenset[str]) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for tier, nodes in single_points_of_failure(graph, absent).items():
        for name in nodes:
            found.setdefault(name, []).append(tier)
    return {name: tuple(found[name]) for name in graph if name in found}


def largest_losses(model: Model, graph: Graph, most: int) -> tuple[Blast, ...]:
    """Single losses that take most of what exists down: the largest of each kind that can be lost.

    Most is that of the requests per second that GPUs can serve, then of cooling, then of feeds.
    What takes none of them down is left out, whatever tiers it takes down as a single point of
    failure.
    """
    fleet = Fleet.existing(model)
    found: dict[str, list[Blast]] = {}
    for name in graph:
        if (kind := _kind(graph, name)) in LOSSES:
            loss = blast_of(model, graph, fleet, (name,))
            found.setdefault(kind, []).extend([loss] if any(_size(loss)) else [])
    largest = [sorted(losses, key=_size, reverse=True)[:most] for losses in found.values()]
    return tuple(sorted((loss for losses in largest for loss in losses), key=_size, reverse=True))


def _size(loss: Blast) -> tuple[float, ...]:
    return loss.rps, loss.cooling_mw, loss.feed_mw


def blast_of(model: Model, graph: Graph, fleet: Fleet, failed: tuple[str, ...]) -> Blast:
    """What goes down with some nodes; equipment that is not there takes the place of none."""
    ready = dependencies(graph).without(without_equipment(model, fleet))
    fallen = ready.down_with(failed) - ready.down - set(failed)
    order = list(KINDS)
    down = sorted((fallen | set(failed)) - ready.down)

    def lost(kind: str) -> list[str]:
        return [graph.nodes[name]["name"] for name in down if _kind(graph, name) == kind]

    plants_down = set(lost("plant"))
    left = [name for name in model.plants if name not in plants_down]
    return Blast(
        failed,
        tuple(sorted(fallen, key=lambda name: (order.index(_kind(graph, name)), name))),
        sum(fleet.gpus[name] for name in lost("cluster")),
        sum(cluster_rps(model, fleet, name) for name in lost("cluster")),
        cooling_mw(model, fleet, model.plants) - cooling_mw(model, fleet, left),
        sum(model.feeds[name].capacity_mw for name in lost("feed")),
        sum(fleet.instances[name] * model.offers[name].gpus_per_instance for name in lost("offer")),
    )


def _kind(graph: Graph, name: str) -> str:
    return str(graph.nodes[name]["kind"])


def by_kind(graph: Graph, names: Iterable[str]) -> dict[str, list[str]]:
    """Names of nodes by kind, in the usual order of the kinds."""
    found: dict[str, list[str]] = {}
    for name in names:
        found.setdefault(_kind(graph, name), []).append(str(graph.nodes[name]["name"]))
    return {kind: found[kind] for kind in KINDS if kind in found}


def cluster_rps(model: Model, fleet: Fleet, cluster: str) -> float:
    """Requests per second that the GPUs of a cluster serve at full load."""
    return fleet.gpus[cluster] * model.gpus[model.clusters[cluster].gpu].rps


def cluster_mw(model: Model, fleet: Fleet, cluster: str) -> float:
    """Electric power of the GPUs of a cluster at full load, MW."""
    return fleet.gpus[cluster] * model.gpus[model.clusters[cluster].gpu].power_mw


def software_only(scene: Scene, name: str) -> bool:
    """Whether a service has spare replicas, so that only a common-cause failure takes it down."""
    data = scene.graph.nodes[name]
    if data["kind"] != "service":
        return False
    service = scene.model.services[data["name"]]
    return sum(service.replicas.values()) > service.needs_replicas


def emergency_plants(scene: Scene) -> dict[str, bool]:
    """Emergency plants of the regions shown; whether each is independent of the primary ones."""
    model = scene.model
    independent = {
        plant
        for cluster in model.clusters
        for plant in independent_plants(model, scene.graph, cluster)
    }
    return {
        name: name in independent
        for name, plant in model.plants.items()
        if plant.role == "emergency" and plant.region in scene.regions
    }


def states_of(scene: Scene, name: str) -> frozenset[str]:
    """How a node is marked."""
    states = set()
    if name in scene.points:
        states.add("software" if software_only(scene, name) else "single")
    if name in scene.absent or is_empty(scene, name):
        states.add("absent")
    if scene.blast is not None:
        down = "fallen" if name in scene.blast.down else "spared"
        states.add("failed" if name in scene.blast.failed else down)
    changes = {role for _, role in change_lines(scene, name)}
    if changes:
        states.add("bought" if "bought" in changes else "retired")
    return frozenset(states)


def is_empty(scene: Scene, name: str) -> bool:
    """Whether a node stands for equipment that is not there (yet)."""
    data, model = scene.graph.nodes[name], scene.model
    kind, entity = data["kind"], data["name"]
    if kind == "region":
        return model.regions[entity].candidate and entity not in scene.fleet.opened
    if kind == "cluster":
        return scene.fleet.gpus[entity] == 0
    return kind == "plant" and plant_mw(model, scene.fleet, entity) == 0


def change_lines(scene: Scene, name: str) -> tuple[tuple[str, str], ...]:
    """What a plan changes about a node: texts, each with its role, ``bought`` or ``retired``."""
    if not scene.planned:
        return ()
    data = scene.graph.nodes[name]
    kind, entity = data["kind"], data["name"]
    before, after = scene.before, scene.fleet
    if kind == "region":
        return (("opened by the plan", "bought"),) if entity in after.opened else ()
    changes = {}
    if kind == "cluster":
        changes = {"GPUs": after.gpus[entity] - before.gpus[entity]}
    elif kind == "plant":
        old = before.units[entity]
        changes = {unit: count - old[unit] for unit, count in after.units[entity].items()}
    elif kind == "offer":
        changes = {"instances": after.instances[entity] - before.instances[entity]}
    return tuple(
        (f"{change:+,} {what}", "bought" if change > 0 else "retired")
        for what, change in changes.items()
        if change
    )


def fact_lines(scene: Scene, name: str) -> tuple[str, ...]:
    """What a node is, in one or two short lines."""
    data, model = scene.graph.nodes[name], scene.model
    kind, entity = data["kind"], data["name"]
    if kind == "region":
        region = model.regions[entity]
        limit = f" · {number(region.power_limit_mw)} MW" if region.power_limit_mw else ""
        open_ = " · candidate, not open" if is_empty(scene, name) else ""
        return (f"{region.design_ambient_c:g} °C{limit}{open_}",)
    if kind == "cluster":
        mw = cluster_mw(model, scene.fleet, entity)
        return (f"{scene.fleet.gpus[entity]:,} GPUs · {number(mw)} MW",)
    if kind == "plant":
        return _plant_lines(scene, entity)
    if kind == "feed":
        return (f"{number(model.feeds[entity].capacity_mw)} MW",)
    if kind == "ups":
        return (f"UPS {model.feeds[entity].ups_minutes:g} min",)
    if kind == "generator":
        return (f"generator {number(model.feeds[entity].generator_mw)} MW",)
    if kind == "service":
        return _service_lines(model, entity)
    return _customer_lines(scene, kind, entity)


def _plant_lines(scene: Scene, entity: str) -> tuple[str, ...]:
    plant, mw = scene.model.plants[entity], plant_mw(scene.model, scene.fleet, entity)
    redundancy = f" · N+{plant.redundancy}" if plant.redundancy else ""
    by_hand = "" if plant.automatic or plant.role == "primary" else ", by hand"
    held = f"{number(mw)} MW" if mw else "no units"
    needs = ", ".join(plant.depends_on)
    first = f"{plant.role}{by_hand}{redundancy} · {held}"
    return (first, f"needs {needs}") if needs else (first,)


def _service_lines(model: Model, entity: str) -> tuple[str, ...]:
    service = model.services[entity]
    count = sum(service.replicas.values())
    if count:
        return (f"needs {service.needs_replicas} of {count} replicas",)
    if service.runs_on:
        where = (
            "a cluster" if len(service.runs_on) == 1 else f"1 of {len(service.runs_on)} clusters"
        )
        return (f"runs on {where}",)
    return ("not tied to a region",)


def _customer_lines(scene: Scene, kind: str, entity: str) -> tuple[str, ...]:
    model = scene.model
    if kind == "tier":
        tier = model.tiers[entity]
        return (f"priority {tier.priority} · {percent(tier.share, 0)} of demand",)
    if kind == "zone":
        zone = model.zones[entity]
        close = min(zone.latency_ms, key=lambda region: zone.latency_ms[region], default=None)
        near = f"nearest {close}, {zone.latency_ms[close]:g} ms" if close else "reaches no region"
        return (f"{number(zone.demand_rps)} requests/s", near)
    if kind == "offer":
        offer, held = model.offers[entity], scene.fleet.instances[entity]
        reserved = f"{held * offer.gpus_per_instance:,} reserved of " if held else ""
        return (f"{reserved}{offer.available_gpus:,} GPUs · {offer.lead_time_minutes:g} min",)
    if kind == "measure":
        measure = model.measures[entity]
        yearly = f" · {millions(measure.usd_per_year)} M a year" if measure.usd_per_year else ""
        return (f"{millions(measure.capital_usd)} M USD{yearly}",)
    return ()
