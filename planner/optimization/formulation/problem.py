"""The data of the programme: everything that is known before the first variable is created."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from functools import cache, cached_property, partial
from itertools import chain, combinations

import numpy as np

from planner.infrastructure.entities import GpuType, Measure, Model
from planner.infrastructure.failures import Scenario
from planner.infrastructure.fleet import heat_of, plant_units, running_units, unit_mw, with_chillers
from planner.infrastructure.graph import Graph, build_graph, node, offer_in_reach, reachable_regions
from planner.infrastructure.measures import capped, scenarios_with, with_automatic, with_measures
from planner.infrastructure.supply import (
    PowerLimit,
    PowerSupply,
    cluster_power_mw_per_mw,
    draw_per_heat,
)
from planner.laws.traffic import serving_rps
from planner.optimization.formulation.crowds import Crowd, Group, find_crowds
from planner.optimization.formulation.labels import joined
from planner.optimization.formulation.simulated import SimulatedCut
from planner.optimization.formulation.stages import ReactionVariant, Stage, cannot_bind
from planner.optimization.formulation.time_slices import cut_like, cut_stages
from planner.scenarios.climate import in_season
from planner.scenarios.demand import Floats, peak_hour, weekly_demand
from planner.scenarios.services import passing_shares
from planner.scenarios.system_state import (
    DependencyIndex,
    SystemState,
    dependency_index,
    normal_state,
)
from planner.scenarios.timeline import Timeline, timeline_of

#: Family, subject and scenario of rows that people speak of as one requirement or limit.
Key = tuple[str, str, str]


def offer_target(offer: str) -> str:
    """An offer as a target of requests, marked as one: a cluster may have the same name.

    >>> offer_target("cloud")
    'offer/cloud'
    """
    return joined("offer", offer)


def region_target(region: str) -> str:
    """A region as a target of requests, where its clusters are not told apart.

    >>> region_target("us-west")
    'region/us-west'
    """
    return joined("region", region)


@dataclass(frozen=True)
class ProblemData:
    """A model with its scenarios.

    Parameters
    ----------
    model
        Infrastructure.
    scenarios
        Scenarios to survive.
    waived
        Rows stricter than the standard (`families.STRICTER`) that are left to the simulation, and
        by how much each may be broken, in its unit; infinite where it is not asked for at all.
    cuts
        Stages to cut scenarios like, and no others; None to cut where something changes.
    learned
        What the simulation of earlier plans was short of.
    """

    model: Model
    scenarios: tuple[Scenario, ...]
    waived: Mapping[Key, float] = field(default_factory=dict)
    cuts: Mapping[str, tuple[Stage, ...]] | None = None
    learned: tuple[SimulatedCut, ...] = ()

    @cached_property
    def graph(self) -> Graph:
        """Graph of the model."""
        return build_graph(self.model)

    @cached_property
    def dependency_index(self) -> DependencyIndex:
        """The prepared graph of the model."""
        return dependency_index(self.model, self.graph)

    @property
    def supply(self) -> PowerSupply:
        """The power of the model."""
        return self.dependency_index.supply

    def draw_per_heat(self, limit: PowerLimit, plant: str) -> float:
        """Power drawn under a limit for each heat that a plant takes from clusters, MW per MW."""
        return draw_per_heat(self.model, limit.loads, plant)

    def draw_per_power(self, limit: PowerLimit, cluster: str) -> float:
        """Power that a cluster draws under a limit for each megawatt of its GPUs."""
        if node("cluster", cluster) not in limit.loads:
            return 0
        return cluster_power_mw_per_mw(self.model, cluster)

    @cached_property
    def power_rows(self) -> dict[tuple[int, str], tuple[Stage, tuple[PowerLimit, ...]]]:
        """Power limits that need rows, by stage and region: what `relevance` has found so far."""
        return {}

    @cached_property
    def followed(self) -> dict[Hashable, tuple[Stage, bool]]:
        """Whether heat is followed, by stage and cluster: what `relevance` has found so far."""
        return {}

    @cached_property
    def normal(self) -> SystemState:
        """System state with nothing failed and no measure bought."""
        return normal_state(self.model, self.graph)

    @cached_property
    def normal_at_best(self) -> SystemState:
        """System state with nothing failed and all measures bought."""
        return self.dependency_index.state(frozenset(), all_measures=True)

    @cached_property
    def reactions(self) -> tuple[frozenset[str], ...]:
        """Combinations of the measures that change the reaction, the first with none of them."""
        names = [name for name, measure in self.model.measures.items() if measure.changes_reaction]
        return tuple(
            frozenset(combination)
            for size in range(len(names) + 1)
            for combination in combinations(names, size)
        )

    def _reaction_variants(self, timeline: Timeline) -> tuple[ReactionVariant, ...]:
        """A scenario under each combination of measures that change the reaction."""
        return tuple(
            ReactionVariant(
                number,
                self._models_by_reaction[number],
                replace(
                    timeline, operations=capped(timeline.operations, self._measures(combination))
                ),
            )
            for number, combination in enumerate(self.reactions)
        )

    @cached_property
    def _models_by_reaction(self) -> tuple[Model, ...]:
        return tuple(
            with_automatic(self.model, self._measures(combination))
            for combination in self.reactions
        )

    def _measures(self, names: frozenset[str]) -> list[Measure]:
        return [self.model.measures[name] for name in names]

    @cached_property
    def stages(self) -> tuple[Stage, ...]:
        """Stages of all scenarios that can bind."""
        return self._cut(self.scenarios)

    def _cut(self, scenarios: Iterable[Scenario]) -> tuple[Stage, ...]:
        return tuple(chain.from_iterable(map(self.stages_of, scenarios)))

    def cut(self, watched: Callable[[Iterable[Scenario]], Iterable[Scenario]]) -> None:
        """Cut all scenarios into stages now, watched while it lasts."""
        vars(self)["stages"] = self._cut(watched(self.scenarios))

    def stages_of(self, scenario: Scenario) -> Sequence[Stage]:
        """Stages of a scenario; none if it cannot bind."""
        timeline = in_season(self.model, timeline_of(self.model, self.graph, scenario))
        if self.cuts is not None:
            cuts = self.cuts.get(scenario.name, ())
            return cut_like(self.model, timeline, cuts, self.normal)
        best = self.normal_at_best if self.model.measures else self.normal
        if cannot_bind(self.model, timeline, self.normal, best):
            return ()
        return cut_stages(self.model, timeline, self._reaction_variants(timeline))

    def with_bought(self, bought: frozenset[str]) -> ProblemData:
        """The data with some measures in place, its scenarios cut into the same stages.

        Raises
        ------
        ValueError
            If something changes within a stage of this data.
        """
        if not self.model.measures:
            return self
        if bought not in self._after:
            self._after[bought] = self._with_bought(bought)
        return self._after[bought]

    @cached_property
    def _after(self) -> dict[frozenset[str], ProblemData]:
        return {}

    def _with_bought(self, bought: frozenset[str]) -> ProblemData:
        return replace(
            self,
            model=with_measures(self.model, bought),
            scenarios=scenarios_with(self.model, self.scenarios, bought),
            cuts={name: tuple(stages) for name, stages in self.stages_by_scenario.items()},
        )

    def part(self, names: tuple[str, ...]) -> ProblemData:
        """The data with some of its scenarios only; what is known of the model is shared."""
        stages = [self.stages_by_scenario.get(name, []) for name in names]
        return self._sharing(
            scenarios=tuple(self.by_name[name] for name in names),
            stages=tuple(chain.from_iterable(stages)),
            learned=tuple(cut for cut in self.learned if cut.scenario in names),
        )

    def changed(
        self,
        scenarios: tuple[Scenario, ...],
        waived: Mapping[Key, float],
        learned: tuple[SimulatedCut, ...] = (),
    ) -> ProblemData:
        """The data of a later round; what is known of the model, and stages that stay, are kept."""
        later = self._sharing(scenarios=scenarios, waived=waived, learned=learned)
        known, before = self.stages_by_scenario, self.by_name
        stages = [
            known.get(one.name, ()) if one == before.get(one.name) else later.stages_of(one)
            for one in scenarios
        ]
        vars(later)["stages"] = tuple(chain.from_iterable(stages))
        return later

    def with_learned(self, learned: tuple[SimulatedCut, ...]) -> ProblemData:
        """The data with other cuts of the simulation; all else that is known is kept."""
        made = copy(self)
        vars(made)["learned"] = learned
        return made

    def with_stages(self, stages: tuple[Stage, ...]) -> ProblemData:
        """The data with other stages of its scenarios; what is known of the model is shared."""
        return self._sharing(stages=stages)

    def _sharing(self, **other: object) -> ProblemData:
        """The data with other scenarios or waived rows, and all else that is known."""
        _ = self.transport_usd, self._chains_of, self.normal, self.normal_at_best, self.size_rps
        made = copy(self)
        of_scenarios = ("stages", "stages_by_scenario", "resumed", "by_name", "_after")
        for name in (*of_scenarios, "power_rows", "followed"):
            vars(made).pop(name, None)
        vars(made).update(other)
        return made

    @cached_property
    def by_name(self) -> dict[str, Scenario]:
        """Scenarios by name."""
        return {scenario.name: scenario for scenario in self.scenarios}

    @cached_property
    def stages_by_scenario(self) -> dict[str, list[Stage]]:
        """Stages of each scenario in the programme."""
        grouped: dict[str, list[Stage]] = {}
        for stage in self.stages:
            grouped.setdefault(stage.scenario, []).append(stage)
        return grouped

    @cached_property
    def resumed(self) -> frozenset[str]:
        """Labels of stages before a reaction to a failure and after the one to an earlier failure.

        GPUs that operators have switched off by then stay off.
        """
        found: list[str] = []
        everyone = frozenset(range(len(self.reactions)))
        for stages in self.stages_by_scenario.values():
            acted = frozenset[int]()
            for stage in stages:
                reacted = stage.when_reacted
                now = everyone if reacted.certain else reacted.numbers
                if acted - now:
                    found.append(stage.label)
                acted |= now
        return frozenset(found)

    @cached_property
    def groups(self) -> tuple[Group, ...]:
        """Groups of tiers with the same reach, zone by zone."""
        found: list[Group] = []
        for zone in self.model.zones:
            reach: dict[tuple[tuple[str, ...], tuple[str, ...]], list[str]] = {}
            for tier in self.model.tiers:
                reach.setdefault(self._targets(zone, tier), []).append(tier)
            found += [
                Group(zone, tuple(tiers), *targets, alone=len(reach) == 1)
                for targets, tiers in reach.items()
            ]
        return tuple(found)

    @cached_property
    def transport_usd(self) -> dict[tuple[str, str], float]:
        """Price of carrying a million requests by (group label, target), USD."""
        found: dict[tuple[str, str], float] = {}
        for group in self.groups:
            prices = self.model.zones[group.zone].transport_usd_per_million_requests
            places = {name: self.model.clusters[name].region for name in group.clusters}
            places |= {region_target(region): region for region in places.values()}
            places |= {offer_target(n): self.model.offers[n].region or "" for n in group.offers}
            for target, region in places.items():
                found[group.label, target] = prices.get(region, 0.0)
        return found

    def _targets(self, zone: str, tier: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        regions = reachable_regions(self.model, zone, tier)
        clusters = tuple(n for n, c in self.model.clusters.items() if c.region in regions)
        entry = self.model.tiers[tier]
        offers = tuple(
            offer for offer in self.model.offers if offer_in_reach(self.model, zone, offer, entry)
        )
        return clusters, offers

    @cached_property
    def week_rps(self) -> Floats:
        """Demand of each group by hour of the week, requests per second, shape (168, groups)."""
        by_zone = dict(zip(self.model.zones, weekly_demand(self.model), strict=True))
        tiers = self.model.tiers
        columns = [
            by_zone[group.zone] * sum(tiers[tier].share for tier in group.tiers)
            for group in self.groups
        ]
        return np.stack(columns, axis=1)

    @cached_property
    def mean_rps(self) -> dict[str, float]:
        """Mean demand of the week by group label, rps: the basis of energy and transport costs."""
        labels = (group.label for group in self.groups)
        return dict(zip(labels, self.week_rps.mean(axis=0).tolist(), strict=True))

    @cached_property
    def peak_rps(self) -> float:
        """Largest demand of an hour of the week, all customers together."""
        return float(self.week_rps.sum(axis=1).max())

    @cached_property
    def crowds(self) -> tuple[Crowd, ...]:
        """Sets of customers that have to be served by the clusters they reach."""
        return self._crowds[0]

    @cached_property
    def exact_crowds(self) -> bool:
        """Whether serving each crowd suffices; otherwise there are too many to have a row each."""
        return self._crowds[1]

    @cached_property
    def _crowds(self) -> tuple[tuple[Crowd, ...], bool]:
        return find_crowds(self.groups, self.week_rps)

    def crowd(self, name: str) -> Crowd | None:
        """Crowd of a name."""
        return next((crowd for crowd in self.crowds if crowd.name == name), None)

    @cached_property
    def peak_hour(self) -> int:
        """Hour of the week with the largest demand."""
        return peak_hour(self.model)

    @cached_property
    def passing_shares(self) -> Callable[[frozenset[str]], dict[str, Mapping[str, float]]]:
        """Share of a tier's requests that pass each service, by the services that are down."""
        return cache(partial(passing_shares, self.model))

    @cached_property
    def size_rps(self) -> float:
        """Scale of requests per second: peak demand of all customers together."""
        return self.peak_rps or 1.0

    @cached_property
    def size_mw(self) -> float:
        """Scale of power, MW: that of all GPUs that the model can hold."""
        model = self.model
        return (
            sum(self.gpu(name).power_mw * c.max_gpus for name, c in model.clusters.items()) or 1.0
        )

    def block_rps(self, cluster: str) -> float:
        """Requests per second that a block of a cluster serves."""
        entry = self.model.clusters[cluster]
        rps = serving_rps(entry.block_gpus, self.gpu(cluster).rps, entry.max_utilisation)
        return float(rps)

    def gpu(self, cluster: str) -> GpuType:
        """GPU type of a cluster."""
        return self.model.gpus[self.model.clusters[cluster].gpu]

    def units(self, plant: str) -> tuple[str, ...]:
        """Unit types that a plant has or may get."""
        return plant_units(self.model, plant)

    def running_units(self, plant: str) -> tuple[str, ...]:
        """Unit types of a plant that run all the time; none for an emergency plant."""
        return running_units(self.model, plant)

    def plants_of(self, cluster: str, role: str | None = None) -> tuple[str, ...]:
        """Plants that cool a cluster, of a role or of both."""
        return self._plants_of[cluster, role]

    def chain_of(self, cluster: str, role: str | None = None) -> tuple[str, ...]:
        """Plants that cool a cluster, and those that carry on their heat."""
        return self._chains_of[cluster, role]

    @cached_property
    def _chains_of(self) -> dict[tuple[str, str | None], tuple[str, ...]]:
        return {key: with_chillers(self.model, plants) for key, plants in self._plants_of.items()}

    @cached_property
    def _plants_of(self) -> dict[tuple[str, str | None], tuple[str, ...]]:
        plants = self.model.plants
        return {
            (cluster, role): tuple(
                name
                for name, plant in plants.items()
                if cluster in plant.cools and role in (None, plant.role)
            )
            for cluster in self.model.clusters
            for role in (None, "primary", "emergency")
        }

    def clusters_in(self, region: str) -> tuple[str, ...]:
        """Clusters of a region."""
        return tuple(n for n, c in self.model.clusters.items() if c.region == region)

    def buffer_mj(self, scenario: str, cluster: str) -> float:
        """Heat that the tanks of a cluster's plants take up before operators react, MJ.

        Tanks of plants that are lost by then do not count; a plant without power still has its
        tank. Clusters on one tank share it in proportion to their heat with all GPUs that they can
        hold. A megawatt-hour is 3,600 MJ.
        """
        stages = self.stages_by_scenario.get(scenario, ())
        lost = {plant for stage in stages if not stage.reacted for plant in stage.state.plants_lost}
        return sum(
            3600 * self.model.plants[name].buffer_mwh * self.tank_share(name, cluster)
            for name in self.tanks_of(scenario, cluster)
            if name not in lost
        )

    def tanks_of(self, scenario: str, cluster: str) -> tuple[str, ...]:
        """Plants whose tanks take up heat of a cluster before operators react.

        Those of chillers only while all of the loop before them runs, which brings them the heat.
        """
        stages = [s for s in self.stages_by_scenario.get(scenario, ()) if not s.reacted]
        plants = self.model.plants
        return tuple(
            dict.fromkeys(
                plants[name].rejects_to or name
                for name in self.plants_of(cluster)
                if plants[name].rejects_to is None
                or not any(stage.state.reduces(name) for stage in stages)
            )
        )

    def tank_share(self, plant: str, cluster: str) -> float:
        """Share of the tank of a plant that is set aside for a cluster."""
        heats = {name: self.largest_heat_mw(name) for name, _ in heat_of(self.model, plant)}
        return heats[cluster] / sum(heats.values()) if heats[cluster] else 0.0

    def largest_heat_mw(self, cluster: str) -> float:
        """Heat of a cluster with all GPUs that it can hold at full load, MW."""
        return self.gpu(cluster).power_mw * self.model.clusters[cluster].max_gpus

    def unit_mw(self, plant: str, unit: str, rise_c: float = 0) -> float:
        """Capacity of a unit at the design ambient of its region and some degrees above."""
        return unit_mw(self.model, plant, unit, rise_c)
