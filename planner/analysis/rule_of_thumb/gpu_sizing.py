"""GPUs of regions: raised in proportion until the others can do without the largest region."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from planner.analysis.rule_of_thumb.sizing import NOTHING, Sizing
from planner.infrastructure.supply import PowerLimit
from planner.laws.heat import heat_at_utilisation_mw
from planner.laws.traffic import serving_rps
from planner.optimization.formulation.crowds import missing_rps
from planner.optimization.formulation.problem import ProblemData


def full_heat_mw(data: ProblemData, gpus: Mapping[str, int], cluster: str) -> float:
    """Heat of a cluster with all its GPUs at full load, MW."""
    gpu = data.gpu(cluster)
    return float(heat_at_utilisation_mw(gpu.power_mw, gpu.static_share, gpus[cluster], 1.0))


class GpuSizing:
    """Decides which clusters get the next GPU blocks.

    Parameters
    ----------
    data
        Model and scenarios.
    hold_largest
        Whether the largest region stays as it is: its own GPUs do not help when it is lost. False
        for the letter of "in proportion".
    """

    def __init__(self, data: ProblemData, hold_largest: bool = False) -> None:
        self.data = data
        self.model = data.model
        self.hold_largest = hold_largest

    def in_use(self, gpus: Mapping[str, int]) -> tuple[str, ...]:
        """Clusters that are raised in proportion: those with GPUs, or all but candidates."""
        used = tuple(name for name, count in gpus.items() if count)
        regions, clusters = self.model.regions, self.model.clusters
        return used or tuple(n for n, c in clusters.items() if not regions[c.region].candidate)

    def next_block(self, sizing: Sizing) -> Sizing | None:
        """One block more, in the cluster furthest below its proportion; None at the limits."""
        roomy = self._extensible(sizing.gpus, self.in_use(sizing.gpus))
        clusters = self._helpful(sizing.gpus, roomy) or roomy
        if not clusters:
            return None
        return self._with_block(sizing, min(clusters, key=partial(self._proportion, sizing.gpus)))

    def block_in_smallest_region(self, sizing: Sizing) -> Sizing | None:
        """One block more in the region with fewest GPUs, against too large a share in another."""
        clusters = [n for n in self.in_use(sizing.gpus) if self._room(sizing.gpus, n)]
        if not clusters:
            return None
        region = self.model.clusters
        held = {name: self._gpus_in(sizing.gpus, region[name].region) for name in clusters}
        return self._with_block(sizing, min(clusters, key=lambda name: held[name]))

    def block_in(self, sizing: Sizing, region: str) -> Sizing | None:
        """One block more in a region; None where no cluster has room."""
        for cluster in self.data.clusters_in(region):
            if self._room(sizing.gpus, cluster):
                return self._with_block(sizing, cluster)
        return None

    def _with_block(self, sizing: Sizing, cluster: str) -> Sizing:
        more = sizing.gpus[cluster] + self.model.clusters[cluster].block_gpus
        return replace(sizing, gpus={**sizing.gpus, cluster: more})

    def _proportion(self, gpus: Mapping[str, int], cluster: str) -> float:
        """Factor to which a cluster would have grown with another block.

        A cluster that was empty counts what it can hold instead of what it held.
        """
        entry = self.model.clusters[cluster]
        base = entry.existing_gpus or entry.max_gpus
        return (gpus[cluster] + entry.block_gpus) / base

    def grown(self, gpus: Mapping[str, int], clusters: tuple[str, ...]) -> dict[str, int]:
        """GPUs with clusters raised in proportion until nothing is missing, or to their limits."""
        now = dict(gpus)
        while self.missing_rps(now) > NOTHING:
            open_ones = self._helpful(now, self._extensible(now, clusters))
            if not open_ones:
                break
            least = min(self._proportion(now, name) for name in open_ones)
            for name in open_ones:
                # All clusters at the same proportion get their block together.
                if self._proportion(now, name) <= least and self._room(now, name):
                    now[name] += self.model.clusters[name].block_gpus
        return now

    def _extensible(self, gpus: Mapping[str, int], clusters: tuple[str, ...]) -> list[str]:
        return [name for name in clusters if self._room(gpus, name)]

    def _helpful(self, gpus: Mapping[str, int], clusters: list[str]) -> list[str]:
        """Clusters but those of the largest region if that is held.

        A region that is alone is not held, nor one of several that are equally large: one of them
        has to grow first.
        """
        held = self._held_rps({name: self._serving_rps(gpus, name) for name in gpus})
        most = max(held.values())
        largest = [region for region, rps in held.items() if rps >= most - NOTHING]
        alone = sum(1 for rps in held.values() if rps) < 2
        if not self.hold_largest or len(largest) > 1 or alone:
            return clusters
        return [name for name in clusters if self.model.clusters[name].region not in largest]

    def opened(self, gpus: Mapping[str, int], region: str) -> dict[str, int]:
        """GPUs with a candidate region filled as far as needed, but with at least one block."""
        clusters = self.data.clusters_in(region)
        fuller = self.grown(gpus, clusters)
        if fuller == gpus and clusters and self._room(gpus, clusters[0]):
            fuller[clusters[0]] += self.model.clusters[clusters[0]].block_gpus
        return fuller

    def candidates(self) -> list[str]:
        """Candidate regions, the one with the least fixed cost first."""

        def yearly(region: str) -> float:
            place = self.model.regions[region]
            return place.fixed_usd / place.life_years + place.fixed_usd_per_year

        names = [name for name, place in self.model.regions.items() if place.candidate]
        return sorted(names, key=yearly)

    def shared(self, gpus: Mapping[str, int]) -> dict[str, int]:
        """GPUs with blocks added where there are fewest, up to the surviving capacity share."""
        now, least = dict(gpus), self.model.policies.surviving_capacity_share
        while True:
            held = {region: self._gpus_in(now, region) for region in self.model.regions}
            total, most = sum(held.values()), max(held.values())
            rest = [n for n in self.in_use(now) if held[self.model.clusters[n].region] < most]
            rest = [name for name in rest if self._room(now, name)]
            if total - most >= least * total or not rest:
                return now
            poorest = min(rest, key=lambda name: held[self.model.clusters[name].region])
            now[poorest] += self.model.clusters[poorest].block_gpus

    def _gpus_in(self, gpus: Mapping[str, int], region: str) -> int:
        return sum(gpus[name] for name in self.data.clusters_in(region))

    def _room(self, gpus: Mapping[str, int], cluster: str) -> bool:
        """Whether a cluster can get another block: space, power, and no policy against it."""
        entry, policies = self.model.clusters[cluster], self.model.policies
        if cluster in policies.forbidden.gpus or cluster in policies.fixed.gpus:
            return False
        if gpus[cluster] + entry.block_gpus > entry.max_gpus:
            return False
        more = {**gpus, cluster: gpus[cluster] + entry.block_gpus}
        limits = self.data.normal.power[entry.region]
        return not any(self._overdrawn(more, limit) for limit in limits)

    def _overdrawn(self, gpus: Mapping[str, int], limit: PowerLimit) -> bool:
        """Whether full load with the cooling that draws most exceeds a power limit."""
        power = 0.0
        for name in self.data.clusters_in(limit.region):
            plants = self.data.plants_of(name, "primary")
            mw_per_mw = self.data.draw_per_power(limit, name)
            mw_per_mw += max(
                (self.data.draw_per_heat(limit, plant) for plant in plants), default=0.0
            )
            power += mw_per_mw * full_heat_mw(self.data, gpus, name)
        return power > limit.mw

    def missing_rps(self, gpus: Mapping[str, int]) -> float:
        """Peak demand not served within its latency without the largest region, requests/s.

        Where all GPUs are in one region, no raise of it makes up for it; then it counts as there.
        """
        rooms = {name: self._serving_rps(gpus, name) for name in gpus}
        held = self._held_rps(rooms)
        if sum(1 for rps in held.values() if rps) > 1:
            largest = max(held, key=lambda region: held[region])
            rooms |= dict.fromkeys(self.data.clusters_in(largest), 0.0)
        return missing_rps(self.data.crowds, self.data.exact_crowds, rooms)

    def _serving_rps(self, gpus: Mapping[str, int], cluster: str) -> float:
        utilisation = self.model.clusters[cluster].max_utilisation
        return float(serving_rps(gpus[cluster], self.data.gpu(cluster).rps, utilisation))

    def _held_rps(self, rooms: Mapping[str, float]) -> dict[str, float]:
        """Requests per second that each region can serve."""
        return {
            region: sum(rooms[name] for name in self.data.clusters_in(region))
            for region in self.model.regions
        }
