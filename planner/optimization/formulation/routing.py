"""Nearest first: valid rows on where the simulator routes requests in normal operation.

A region that is not full serves everybody who prefers it. Suppose some regions are full in an hour.
Their requests all come from customers who prefer one of them, as the other regions serve their own;
so together their capacity is at most the demand that prefers them. Hence the capacity of a full
region is at most the demand that prefers it plus what other regions are short of, and if no region
is short none is full.

That holds for every routing by preference, so these rows never exclude what the simulator does, and
they determine it where no region is full in normal operation. Regions that are equally near, and
clusters of one region, share requests as it costs least.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from planner.laws.traffic import serving_rps
from planner.optimization.formulation.algebra import Expression, Variable, sum_of
from planner.optimization.formulation.crowds import Group
from planner.optimization.formulation.families import Family
from planner.optimization.formulation.programme import Programme
from planner.optimization.formulation.purchases import blocks_held, least_gpus, most_gpus
from planner.optimization.formulation.recourse import NORMAL, room_rps
from planner.scenarios.demand import SAME, Floats
from planner.scenarios.routing import nearness

#: Shares of the hours of a week, the busiest ones, that rows of `served_beside` sum over.
BUSY_SHARES = (0.1, 0.25, 0.5, 0.75)


def nearest_first(programme: Programme) -> None:
    """Customers are served in the region that they prefer in the mean, unless it may be full.

    ``Σ_{c in r} f[g,c] ≥ mean[g]·(u[c] − full[r] − Σ_{c' nearer} u[c'])`` for every group g
    to which no other region may be as near as r; u[c] is whether a cluster has GPUs.

    With the routing ``cheapest`` there are no such rows: minimal cost is what it comes to.
    """
    if programme.data.model.operations.routing != "nearest":
        return
    places, normal = _Places(programme), programme.by_stage[NORMAL]
    if not any(place.alone for place in places.all.values()):
        return  # everybody has regions that are equally near
    short, full = (
        {name: programme.variable(what, name, high=1, integer=True) for name in names}
        for what, names in (("short", places.may_be_short), ("full", places.may_be_full))
    )
    for name, binary in short.items():
        place = places.all[name]
        _no_more_room(places, place, binary)
        if not place.least_rps:
            # Nobody is sent to a region without GPUs.
            there = sum_of(places.stands(cluster) for cluster in place.witnesses)
            programme.define(binary <= there, Family.RUNS_FULL, binary.name, "stands")
    for name, place in places.all.items():
        _load_at_least(places, place, short.get(name, 0.0))
        _load_beside(places, place)
        if name in full:
            beside = [region for region in places.may_be_short if region != name]
            others = sum_of(places.all[region].excess_rps * short[region] for region in beside)
            _no_more_room(places, place, full[name], others)
        for group in place.alone:
            flows = sum_of(normal.flow[group.label, cluster] for cluster in place.clusters)
            mean = programme.data.mean_rps[group.label]
            before = sum_of(places.stands(cluster) for cluster in places.nearer(group, place.name))
            for witness in place.witnesses:
                sure = places.stands(witness) - before - full.get(name, 0.0)
                programme.define(
                    flows >= mean * sure, Family.NEAREST_FIRST, name, group.label, witness
                )


def _no_more_room(
    places: _Places,
    place: CandidateRegion,
    binary: Variable,
    others: Expression | float = 0.0,
) -> None:
    """A region is short, or full, only if its capacity is at most the demand that may come to it.

    ``room[r] ≤ first[r] + most·(1 − short[r])`` with the peak of those who may prefer it,
    ``room[r] ≤ first[r] + Σ_{r' ≠ r} excess[r']·short[r'] + most·(1 − full[r])``
    """
    more = place.most_rps - place.first_rps
    if more > 0:
        room = sum_of(room_rps(places.programme, cluster) for cluster in place.clusters)
        row = room <= place.first_rps + others + more * (1 - binary)
        places.programme.define(row, Family.RUNS_FULL, binary.name)


def _load_at_least(places: _Places, place: CandidateRegion, short: Variable | float) -> None:
    """A region serves those who surely prefer it, in every hour up to its capacity.

    With ``φ(room) = mean over h of min(demand[h], room)``, which is concave, and its chord from the
    least capacity to the largest demand that may prefer it:
    ``load[r] ≥ φ(∞)·u[c] − (φ(∞) − φ(least))·short[r]``,
    ``load[r] ≥ φ(least) + slope·(room[r] − least) − slope·(most − first)·(1 − short[r])``
    """
    week = places.sure_rps(place)
    mean, low = float(week.mean()), float(np.minimum(week, place.least_rps).mean())
    if not mean:
        return
    programme = places.programme
    load = sum_of(programme.cluster_load(NORMAL, cluster) for cluster in place.clusters)
    for witness in place.witnesses:
        row = load >= mean * places.stands(witness) - (mean - low) * short
        programme.define(row, Family.FIRST_SERVED, place.name, witness)
    if isinstance(short, Variable) and low < mean:
        slope = (mean - low) / place.excess_rps
        room = sum_of(room_rps(programme, cluster) for cluster in place.clusters)
        beyond = slope * max(0.0, place.most_rps - place.first_rps) * (1 - short)
        row = load >= low + slope * (room - place.least_rps) - beyond
        programme.define(row, Family.FIRST_SERVED, place.name, "short")


def _load_beside(places: _Places, place: CandidateRegion) -> None:
    """What exceeds the capacity of a cluster in busy hours is served by others of its region.

    ``168·Σ_{c' ≠ c in r} load[c'] ≥ Σ_{h in H} (min(demand[h], least[r]) − room[c])``
    for some sets H of busiest hours of the week
    """
    week = np.minimum(places.sure_rps(place), place.least_rps)
    if len(place.clusters) < 2 or week.min() == week.max():
        return
    programme, busiest = places.programme, np.sort(week)[::-1]
    for cluster in place.clusters:
        room = room_rps(programme, cluster)
        rest = [sibling for sibling in place.clusters if sibling != cluster]
        load = sum_of(programme.cluster_load(NORMAL, sibling) for sibling in rest)
        counts = {int(share * len(week)) for share in BUSY_SHARES}
        least = places.rps(cluster, places.least[cluster])
        counts.add(int((week > least).sum()))
        for count in sorted(counts - {0}):
            served, share = float(busiest[:count].sum()) / len(week), count / len(week)
            if served <= share * least * (1 + SAME):
                continue
            row = load >= served - share * room
            programme.define(row, Family.SERVED_BESIDE, place.name, cluster, str(count))


@dataclass(frozen=True)
class CandidateRegion:
    """A region that holds GPUs or may hold some.

    Parameters
    ----------
    witnesses
        Clusters any of which, if it has GPUs, puts the region in use; only one if that surely has.
    first_rps
        Largest demand in an hour of those who may prefer it.
    alone
        Those of them to whom no other region may be as near.
    least_rps, most_rps
        Least and largest capacity, whatever is bought.
    """

    name: str
    clusters: tuple[str, ...]
    witnesses: tuple[str, ...]
    first_rps: float
    alone: tuple[Group, ...]
    least_rps: float
    most_rps: float

    @property
    def excess_rps(self) -> float:
        """Most by which the demand that prefers it may exceed its capacity."""
        return self.first_rps - self.least_rps


class _Places:
    """Regions of a programme, and the customers who prefer them."""

    def __init__(self, programme: Programme) -> None:
        self.programme = programme
        self.data = programme.data
        self.column = {group.label: g for g, group in enumerate(self.data.groups)}
        self._reach = {group.label: frozenset(group.clusters) for group in self.data.groups}
        self._nearness: dict[tuple[str, str], tuple[int, float]] = {}
        self._nearest_sure: dict[str, tuple[float, float]] = {}
        self._regions_by_nearness: dict[str, dict[tuple[int, float], set[str]]] = {}
        self.least, self.most = (
            {name: count(programme, name) for name in self.data.model.clusters}
            for count in (least_gpus, most_gpus)
        )
        places = (self._place(region) for region in self.data.model.regions)
        self.all: Mapping[str, CandidateRegion] = {
            place.name: place for place in places if place.most_rps
        }

    def _place(self, region: str) -> CandidateRegion:
        clusters = self.data.clusters_in(region)
        within = [
            group
            for group in self.data.groups
            if not self._reach[group.label].isdisjoint(clusters) and self.data.mean_rps[group.label]
        ]
        first = [group for group in within if self._may_prefer(group, region)]
        sure = [cluster for cluster in clusters if self.least[cluster]]
        return CandidateRegion(
            name=region,
            clusters=clusters,
            witnesses=tuple(sure[:1] or [cluster for cluster in clusters if self.most[cluster]]),
            first_rps=float(self._week(first).max()),
            alone=tuple(group for group in first if not self._has_rival(group, region)),
            least_rps=sum(self.rps(cluster, self.least[cluster]) for cluster in clusters),
            most_rps=sum(self.rps(cluster, self.most[cluster]) for cluster in clusters),
        )

    def rps(self, cluster: str, gpus: float) -> float:
        """Requests per second that so many GPUs of a cluster serve."""
        utilisation = self.data.model.clusters[cluster].max_utilisation
        return float(serving_rps(gpus, self.data.gpu(cluster).rps, utilisation))

    def _near(self, zone: str, region: str) -> tuple[int, float]:
        if (zone, region) not in self._nearness:
            self._nearness[zone, region] = nearness(self.data.model, zone, region)
        return self._nearness[zone, region]

    def _homes(self, group: Group) -> Iterable[tuple[str, str]]:
        """Clusters that may hold GPUs and serve a group, with their regions."""
        for cluster in group.clusters:
            if self.most[cluster]:
                yield cluster, self.data.model.clusters[cluster].region

    def nearer(self, group: Group, region: str) -> tuple[str, ...]:
        """Clusters that a group prefers to those of a region."""
        near = self._near(group.zone, region)
        homes = self._homes(group)
        return tuple(cluster for cluster, home in homes if self._near(group.zone, home) < near)

    def _may_prefer(self, group: Group, region: str) -> bool:
        """Whether a group has no cluster that surely holds GPUs nearer than a region."""
        if group.label not in self._nearest_sure:
            homes = (home for cluster, home in self._homes(group) if self.least[cluster])
            near = (self._near(group.zone, home) for home in homes)
            self._nearest_sure[group.label] = min(near, default=(math.inf, math.inf))
        return self._nearest_sure[group.label] >= self._near(group.zone, region)

    def _has_rival(self, group: Group, region: str) -> bool:
        """Whether another region may be as near to a group."""
        if group.label not in self._regions_by_nearness:
            found = self._regions_by_nearness.setdefault(group.label, {})
            for _, home in self._homes(group):
                found.setdefault(self._near(group.zone, home), set()).add(home)
        as_near = self._regions_by_nearness[group.label].get(self._near(group.zone, region), set())
        return not as_near <= {region}

    def stands(self, cluster: str) -> Expression:
        """Whether a cluster has GPUs: ``held[c] ≤ most·u[c]``, ``u[c] ≤ held[c]``."""
        programme = self.programme
        if self.least[cluster]:
            return Expression(constant=1.0)
        region = self.data.model.clusters[cluster].region
        if region in programme.purchases.opened and self.data.clusters_in(region) == (cluster,):
            return 1 * programme.purchases.opened[region]
        if cluster not in programme.normal.stands:
            held = blocks_held(programme, cluster)
            most = self.most[cluster] / self.data.model.clusters[cluster].block_gpus
            binary = programme.variable("stands", cluster, high=1, integer=True)
            programme.normal.stands[cluster] = binary
            programme.define(held <= most * binary, Family.STANDS, cluster)
            programme.define(binary <= held, Family.STANDS, cluster, "least")
        return 1 * programme.normal.stands[cluster]

    def _week(self, groups: Iterable[Group]) -> Floats:
        columns = [self.column[group.label] for group in groups]
        week: Floats = self.data.week_rps[:, columns].sum(axis=1)
        return week

    def sure_rps(self, place: CandidateRegion) -> Floats:
        """Demand by hour of those who prefer a region whatever is bought."""
        return self._week(group for group in place.alone if not self.nearer(group, place.name))

    @cached_property
    def may_be_short(self) -> tuple[str, ...]:
        """Regions that may be preferred by more demand than they have capacity for."""
        return tuple(name for name, place in self.all.items() if place.excess_rps > 0)

    @cached_property
    def may_be_full(self) -> tuple[str, ...]:
        """Regions that may be full for some purchases."""
        most = sum(self.all[region].excess_rps for region in self.may_be_short)
        return tuple(
            name
            for name, place in self.all.items()
            if place.excess_rps > 0 or (most and place.excess_rps + most >= 0)
        )
