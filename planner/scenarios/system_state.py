"""The state of the infrastructure when some nodes have failed, worked out on the graph."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from weakref import WeakKeyDictionary

import networkx as nx

from planner.infrastructure.entities import Model
from planner.infrastructure.fleet import Fleet, possible_units
from planner.infrastructure.graph import NOT_AT_ONCE, Dependencies, Graph, dependencies, node
from planner.infrastructure.measures import absent_feeds
from planner.infrastructure.supply import PowerLimit, PowerSupply
from planner.scenarios.demand import peak_hour

#: System states kept for one graph.
MOST_STATES = 2_000
#: Kinds of nodes whose equipment a fleet may or may not have.
EQUIPMENT = frozenset({"cluster", "plant", "offer"})


@dataclass(frozen=True)
class SystemState:
    """State of the infrastructure during one interval of a scenario.

    Parameters
    ----------
    clusters_down, plants_down, offers_down, tiers_down, services_down
        Names that are down: lost, or without something they depend on.
    plants_lost
        Plants that are down for another reason than loss of power.
    replicas_down
        Replicas that are down, those of a lost region included, by service, where not 0.
    restarting
        Unit types by (plant, unit type) that carry no heat because they tripped or were without
        power and do not run again yet; none where their plant is an emergency plant.
    lost_units
        Units lost by (plant, unit type).
    lost_largest
        Number of largest units lost by plant.
    ambient_rise_c
        Degrees above the design ambient by region, where not 0.
    demand_factor
        Demand over normal demand by zone, where not 1.
    power
        What loads may draw together, by region.
    offer_share
        Share of its reserved capacity that an offer delivers, where not 1.
    """

    clusters_down: frozenset[str]
    plants_down: frozenset[str]
    offers_down: frozenset[str]
    tiers_down: frozenset[str]
    lost_units: Mapping[tuple[str, str], int]
    lost_largest: Mapping[str, int]
    ambient_rise_c: Mapping[str, float]
    demand_factor: Mapping[str, float]
    power: Mapping[str, tuple[PowerLimit, ...]]
    restarting: frozenset[tuple[str, str]] = frozenset()
    plants_lost: frozenset[str] = frozenset()
    services_down: frozenset[str] = frozenset()
    replicas_down: Mapping[str, int] = field(default_factory=dict)
    offer_share: Mapping[str, float] = field(default_factory=dict)

    def reduces(self, plant: str) -> bool:
        """Whether a plant is down or has lost units, or some of them do not run again yet."""
        named = any(name == plant for name, _ in (*self.lost_units, *self.restarting))
        return named or plant in self.plants_down or plant in self.lost_largest


@dataclass(frozen=True)
class DependencyIndex:
    """The dependencies of a model, prepared once for the system states of all its scenarios.

    Parameters
    ----------
    depends
        What takes what down. Cooling is left out: a cluster that loses its cooling is not down, it
        heats up until it shuts itself down.
    depends_without_power
        The same without power.
    depends_at_best, depends_at_best_without_power
        The same two with every measure bought.
    places
        Kind and name by node, for a replica the name of its service.
    """

    model: Model
    depends: Dependencies
    depends_without_power: Dependencies
    depends_at_best: Dependencies
    depends_at_best_without_power: Dependencies
    places: Mapping[str, tuple[str, str]]
    _known: dict[tuple[frozenset[str], bool], SystemState] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @cached_property
    def peak_hour(self) -> float:
        """Hour of the week with the largest demand."""
        return float(peak_hour(self.model))

    @cached_property
    def bearing(self) -> frozenset[str]:
        """Nodes that support anything a plan can contain, themselves included.

        A region in which nothing can stand, or a plant without units, supports nothing.
        """
        model = self.model
        plants = [name for name in model.plants if possible_units(model, name)]
        clusters = [
            name
            for name, cluster in model.clusters.items()
            if cluster.existing_gpus or cluster.max_gpus >= cluster.block_gpus
        ]
        offers = [
            name
            for name, offer in model.offers.items()
            if offer.existing_instances or offer.available_gpus >= offer.gpus_per_instance
        ]
        return self._bearing(frozenset(_nodes(plants, clusters, offers)))

    def bearing_of(self, fleet: Fleet) -> frozenset[str]:
        """Nodes that support anything in a fleet, themselves included.

        Services count even where nothing needs them any more.
        """
        plants = [name for name, units in fleet.units.items() if any(units.values())]
        clusters = [name for name, gpus in fleet.gpus.items() if gpus]
        offers = [name for name, instances in fleet.instances.items() if instances]
        services = (node("service", name) for name in self.model.services)
        return self._bearing(frozenset([*_nodes(plants, clusters, offers), *services]))

    def _bearing(self, equipment: frozenset[str]) -> frozenset[str]:
        """Nodes that support some equipment or a tier, themselves included.

        Nodes of other equipment are empty places: they support nothing.
        """
        if equipment not in self._borne:
            waiting = [*equipment, *(node("tier", name) for name in self.model.tiers)]
            found = set(waiting)
            empty = {
                place for place, (kind, _) in self.places.items() if kind in EQUIPMENT
            } - equipment
            while waiting:
                below = self._supporters.get(waiting.pop(), ())
                new = [name for name in below if name not in found and name not in empty]
                found.update(new)
                waiting += new
            self._borne[equipment] = frozenset(found)
        return self._borne[equipment]

    @cached_property
    def _borne(self) -> dict[frozenset[str], frozenset[str]]:
        return {}

    @cached_property
    def _supporters(self) -> dict[str, list[str]]:
        supporters: dict[str, list[str]] = {}
        for source, targets in self.depends_at_best.supports.items():
            for target, _ in targets:
                supporters.setdefault(target, []).append(source)
        return supporters

    @cached_property
    def optional_feeds(self) -> frozenset[str]:
        """Feeds that exist only if a measure is bought."""
        return absent_feeds(self.model, frozenset())

    @cached_property
    def supply(self) -> PowerSupply:
        """The power of the model."""
        return PowerSupply(self.model)

    def state(self, failed: frozenset[str], all_measures: bool = False) -> SystemState:
        """System state with some nodes failed and nothing else out of the ordinary.

        With no measure bought, or with all of them.
        """
        key = failed, all_measures and bool(self.model.measures)
        if key not in self._known:
            if len(self._known) >= MOST_STATES:
                self._known.clear()
            self._known[key] = self._work_out(*key)
        return self._known[key]

    def _work_out(self, failed: frozenset[str], all_measures: bool) -> SystemState:
        depends, powerless = self.depends, self.depends_without_power
        if all_measures:
            depends, powerless = self.depends_at_best, self.depends_at_best_without_power
        down = depends.down_with(failed)
        lost = powerless.down_with(failed)
        by_kind: dict[str, list[str]] = {}
        for place in down:
            kind, name = self.places[place]
            by_kind.setdefault(kind, []).append(name)
        return SystemState(
            clusters_down=frozenset(by_kind.get("cluster", ())),
            plants_down=frozenset(by_kind.get("plant", ())),
            offers_down=frozenset(by_kind.get("offer", ())),
            tiers_down=frozenset(by_kind.get("tier", ())),
            services_down=frozenset(by_kind.get("service", ())),
            replicas_down=dict(Counter(sorted(by_kind.get("replica", ())))),
            plants_lost=frozenset(
                name for kind, name in (self.places[place] for place in lost) if kind == "plant"
            ),
            lost_units={},
            lost_largest={},
            ambient_rise_c={},
            demand_factor={},
            power=self.supply.limits(down),
        )


def _nodes(plants: list[str], clusters: list[str], offers: list[str]) -> list[str]:
    kinds = (("plant", plants), ("cluster", clusters), ("offer", offers))
    return [node(kind, name) for kind, names in kinds for name in names]


_INDICES: WeakKeyDictionary[Graph, DependencyIndex] = WeakKeyDictionary()


def dependency_index(model: Model, graph: Graph) -> DependencyIndex:
    """Index of the dependencies of a model; made once for the same frozen graph and model."""
    known = _INDICES.get(graph)
    if known is not None and known.model is model:
        return known
    power = NOT_AT_ONCE | {"powers"}
    places = {
        place: (str(data["kind"]), str(data.get("service", data["name"])))
        for place, data in graph.nodes(data=True)
    }
    index = DependencyIndex(
        model,
        dependencies(graph, NOT_AT_ONCE),
        dependencies(graph, power),
        dependencies(graph, NOT_AT_ONCE, all_measures=True),
        dependencies(graph, power, all_measures=True),
        places,
    )
    if nx.is_frozen(graph):
        _INDICES[graph] = index
    return index


def normal_state(model: Model, graph: Graph) -> SystemState:
    """System state with nothing failed."""
    return dependency_index(model, graph).state(frozenset())
