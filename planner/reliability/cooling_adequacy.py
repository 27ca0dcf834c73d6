"""Loss-of-cooling expectation: hours a year in which cooling units carry less than the heat.

Units fail and are repaired independently of each other (`planner.laws.adequacy`), against the heat
of normal operation by hour of the week. Plants that share clusters belong together: what a plant of
one cluster lacks, a plant of several may carry. Where the clusters of any two plants are apart, or
those of one among those of the other, that is worked out exactly, from small to large.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, combinations, pairwise

import networkx as nx
import numpy as np

from planner.infrastructure.entities import CoolingUnit, Model
from planner.infrastructure.fleet import Fleet, heat_of
from planner.infrastructure.measures import with_measures
from planner.laws.adequacy import (
    OutageTable,
    States,
    equal_units,
    forced_outage_rate,
    in_series,
    mean_shortage,
    mixture,
    outage_share,
    shortage_probability,
    shortages,
    state_table,
    together,
)
from planner.laws.calendar import HOURS_PER_WEEK
from planner.laws.heat import capacity_after_losses_mw, derated_share
from planner.reliability.normal_week import WEEKS_PER_YEAR, NormalHours, normal_hours
from planner.simulation.system_states import Floats

#: Rows beyond which a table is put on a grid of as many.
MOST_ROWS = 1_000
#: Clusters of which all sets are looked at for the outages that are covered.
MOST_CLUSTERS = 8
#: Heat below this is none, and shortages below it are rounding, MW.
NEGLIGIBLE_MW = 1e-9

#: What is not exact where loops of several clusters reject their heat to the same chillers.
SHARED = "lower ends: failures of chillers that loops of several clusters share do not count"

type Clusters = frozenset[str]


@dataclass(frozen=True)
class CoolingUnits:
    """Equal cooling units of a plant.

    Parameters
    ----------
    plant, unit
        Plant and unit type.
    count
        Units in the fleet.
    standby
        Whether they start only when they are needed.
    forced_outage_rate
        Probability that one is under repair.
    start_failure_probability
        Probability that they do not start, all of them at once.
    planned_outage_share
        Share of the year in which one of them is out for maintenance.
    """

    plant: str
    unit: str
    count: int
    standby: bool
    forced_outage_rate: float
    start_failure_probability: float
    planned_outage_share: float


@dataclass(frozen=True)
class CoolingAdequacy:
    """Expected shortage of cooling of some clusters.

    Parameters
    ----------
    plants, clusters
        Plants that share clusters, and those clusters.
    region
        Region of the clusters.
    hours_per_year
        Expected hours in which running and started standby units carry less than the heat.
    unserved_mwh_per_year
        Heat that they do not carry.
    running_hours_per_year
        Expected hours in which running units alone carry less than the heat: standby units count
        above from the first minute, here never.
    largest_outage_covered
        Most of the largest units that may be out at once in every hour with all heat carried; −1 if
        all of them together fall short in some hour.
    least_reserve_mw
        Capacity over heat in the hour in which that is least, nothing out, all plants as one.
    units
        Units and their rates.
    dependent
        What else takes several units at once and is not in these figures.
    bound
        What makes the figures a bound rather than exact; empty where they are exact.
    """

    plants: tuple[str, ...]
    clusters: tuple[str, ...]
    region: str
    hours_per_year: float
    unserved_mwh_per_year: float
    running_hours_per_year: float
    largest_outage_covered: int
    least_reserve_mw: float
    units: tuple[CoolingUnits, ...]
    dependent: str
    bound: str


@dataclass(frozen=True, eq=False)
class _Batch:
    """Equal units with their capacity by hour, shape (168,), and the plant behind theirs."""

    about: CoolingUnits
    each_mw: Floats
    rejects_to: str | None

    @property
    def all_mw(self) -> Floats:
        """Capacity of all of them, shape (168,)."""
        total: Floats = self.about.count * self.each_mw
        return total


@dataclass(frozen=True, eq=False)
class _Group:
    """Plants that cool the same clusters, behind smaller groups inside; outage tables by hour."""

    clusters: Clusters
    tables: tuple[OutageTable, ...]
    inside: tuple[_Group, ...]

    @property
    def own_clusters(self) -> Clusters:
        """Clusters that no smaller group cools."""
        return self.clusters.difference(*(group.clusters for group in self.inside))


def cooling_adequacy(
    model: Model, fleet: Fleet, hours: NormalHours | None = None
) -> tuple[CoolingAdequacy, ...]:
    """Loss-of-cooling expectation of each plant, or of each group of plants that share clusters.

    Every unit is out with the forced outage rate of its type. The standby units of a plant all fail
    to start by one cause; where types differ, whatever stops the better one stops the worse one
    too. Capacity follows the ambient of each hour. A year is 8,760/168 weeks.

    Parameters
    ----------
    hours
        Normal operation of the fleet where it is known already.

    Returns
    -------
    tuple
        In the order of the plants; groups without heat and units are left out. Clusters with heat
        that no plant cools are short of it in every hour.

    Notes
    -----
    Standby units count from the first minute of a shortage, tanks of chilled water not at all. With
    hot weeks as climate every week of the year is such a week: the figures are then upper ends.
    """
    hours = normal_hours(model, fleet) if hours is None else hours
    model = with_measures(model, fleet.measures)
    found = [_adequacy(model, fleet, hours, *part) for part in _components(model)]
    return tuple(adequacy for adequacy in found if adequacy is not None)


def _components(model: Model) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Plants and clusters that hang together, those with plants in their order first."""
    graph: nx.Graph[tuple[str, str]] = nx.Graph()
    for name in model.plants:
        graph.add_edges_from(
            (("plant", name), ("cluster", cluster)) for cluster, _ in heat_of(model, name)
        )
    graph.add_nodes_from(("cluster", name) for name in model.clusters)
    parts = []
    for nodes in nx.connected_components(graph):
        plants = tuple(name for name in model.plants if ("plant", name) in nodes)
        clusters = tuple(name for name in model.clusters if ("cluster", name) in nodes)
        parts.append((plants, clusters))
    return parts


def _adequacy(
    model: Model,
    fleet: Fleet,
    hours: NormalHours,
    plants: tuple[str, ...],
    clusters: tuple[str, ...],
) -> CoolingAdequacy | None:
    heat = {cluster: hours.heat_mw[:, hours.clusters.index(cluster)] for cluster in clusters}
    every = [batch for name in plants for batch in _batches(model, fleet, hours, name)]
    shared = {name for name in plants if len(_taken(model, name)) > 1}
    series = [batch for batch in every if batch.about.plant not in shared]
    if not every and max(heat_mw.max() for heat_mw in heat.values()) <= NEGLIGIBLE_MW:
        return None
    group, bound = _arranged(_by_clusters(model, plants, series), frozenset(clusters))
    running = [batch for batch in series if not batch.about.standby]
    alone, _ = _arranged(_by_clusters(model, plants, running), frozenset(clusters))
    hours_short, mwh = _yearly(group, heat)
    margins = _margins(model, every, heat)
    return CoolingAdequacy(
        plants=plants,
        clusters=clusters,
        region=model.clusters[clusters[0]].region,
        hours_per_year=hours_short,
        unserved_mwh_per_year=mwh,
        running_hours_per_year=_yearly(alone, heat)[0],
        largest_outage_covered=_covered(margins),
        least_reserve_mw=min(margin.left(0) for margin in margins),
        units=tuple(batch.about for batch in every),
        dependent=_dependent(model, plants),
        bound=SHARED if shared else bound,
    )


def _taken(model: Model, plant: str) -> set[Clusters]:
    """Clusters whose heat a plant carries, by the plant that takes it from there."""
    found: dict[str, set[str]] = {}
    for cluster, taker in heat_of(model, plant):
        found.setdefault(taker, set()).add(cluster)
    return {frozenset(clusters) for clusters in found.values()}


def _batches(model: Model, fleet: Fleet, hours: NormalHours, plant: str) -> list[_Batch]:
    """Units of a plant by type, in the order of the model."""
    owner = model.plants[plant]
    ambient = hours.ambient_c[:, hours.regions.index(owner.region)]
    found = []
    for unit, count in fleet.units[plant].items():
        if count <= 0:
            continue
        kind = model.cooling_units[unit]
        each_mw = kind.capacity_mw * np.asarray(_share(kind, ambient), dtype=float)
        standby = owner.role == "emergency" or kind.mode == "standby"
        about = CoolingUnits(
            plant=plant,
            unit=unit,
            count=count,
            standby=standby,
            forced_outage_rate=forced_outage_rate(kind.failures_per_year, kind.repair_hours),
            start_failure_probability=kind.start_failure_probability if standby else 0.0,
            planned_outage_share=outage_share(count * kind.planned_outage_hours_per_year),
        )
        found.append(_Batch(about, each_mw, owner.rejects_to))
    return found


def _share(kind: CoolingUnit, ambient_c: Floats) -> Floats:
    share: Floats = derated_share(
        ambient_c, kind.reference_ambient_c, kind.derating_per_c, kind.cutout_ambient_c
    )
    return share


def _by_clusters(
    model: Model, plants: Sequence[str], batches: Sequence[_Batch]
) -> dict[Clusters, list[_Batch]]:
    """Units by the clusters that their plants cool, also where there are none."""
    found: dict[Clusters, list[_Batch]] = {
        clusters: [] for plant in plants for clusters in _taken(model, plant)
    }
    for batch in batches:
        (clusters,) = _taken(model, batch.about.plant)
        found[clusters].append(batch)
    return found


def _arranged(by_clusters: Mapping[Clusters, list[_Batch]], every: Clusters) -> tuple[_Group, str]:
    """Groups inside larger ones, the largest returned; all as one where they cut across."""
    sets = sorted(by_clusters, key=lambda clusters: (len(clusters), sorted(clusters)))
    if any(
        clusters & others and not clusters <= others
        for i, clusters in enumerate(sets)
        for others in sets[i:]
    ):
        batches = [batch for clusters in sets for batch in by_clusters[clusters]]
        text = "lower ends: plants whose clusters overlap only in part are taken as one"
        return _Group(every, _tables(batches), ()), text
    groups: dict[Clusters, _Group] = {}
    for clusters in sets:
        inside = tuple(group for held, group in groups.items() if held < clusters)
        groups = {held: group for held, group in groups.items() if not held < clusters}
        groups[clusters] = _Group(clusters, _tables(by_clusters[clusters]), inside)
    # Clusters that hang together have a group of them all; without plants none cools them.
    return groups.get(every, _Group(every, _tables([]), ())), ""


def _yearly(group: _Group, heat: Mapping[str, Floats]) -> tuple[float, float]:
    """Expected hours of shortage and heat not carried in a year."""
    short = np.sum([_short(group, heat, hour) for hour in range(HOURS_PER_WEEK)], axis=0)
    return float(short[0]) * WEEKS_PER_YEAR, float(short[1]) * WEEKS_PER_YEAR


def _short(group: _Group, heat: Mapping[str, Floats], hour: int) -> tuple[float, float]:
    """Probability of a shortage in an hour, and the heat not carried on average, MW."""
    table = group.tables[hour]
    load, likely = _load(group, heat, hour)
    short = shortage_probability(table, load) * (load > NEGLIGIBLE_MW)
    return float(likely @ short), float(likely @ mean_shortage(table, load))


def _load(group: _Group, heat: Mapping[str, Floats], hour: int) -> States:
    """Heat that comes to a group and its probabilities: own clusters, what those inside lack."""
    load = np.array([sum(float(heat[cluster][hour]) for cluster in group.own_clusters)])
    likely = np.ones(1)
    for inner_group in group.inside:
        table, (inner, chance) = inner_group.tables[hour], _load(inner_group, heat, hour)
        step = _step(float(inner[-1]), len(inner) * len(table.out))
        left, share = shortages(table, inner, chance, step)
        # A sum of two independent quantities: what is out of a table with the two of them.
        both = together(
            [
                OutageTable(float(load[-1]), load, likely),
                OutageTable(float(left[-1]), left, share),
            ],
            _step(float(load[-1] + left[-1]), len(load) * len(left)),
        )
        load, likely = both.out, both.probability
    return load, likely


def _tables(batches: Sequence[_Batch]) -> tuple[OutageTable, ...]:
    """Outage tables of the units of some plants by hour, worked out once for each ambient."""
    known: dict[tuple[float, ...], OutageTable] = {}
    tables = []
    for hour in range(HOURS_PER_WEEK):
        key = tuple(float(batch.each_mw[hour]) for batch in batches)
        if key not in known:
            known[key] = _table(batches, hour)
        tables.append(known[key])
    return tuple(tables)


def _table(batches: Sequence[_Batch], hour: int) -> OutageTable:
    """Outage table of the units of some plants in an hour."""
    by_plant: dict[str, list[_Batch]] = {}
    for batch in batches:
        by_plant.setdefault(batch.about.plant, []).append(batch)
    by_name = {plant: _plant_table(own, hour) for plant, own in by_plant.items()}
    for chillers in dict.fromkeys(batch.rejects_to for batch in batches):
        if chillers in by_name:
            loops = dict.fromkeys(b.about.plant for b in batches if b.rejects_to == chillers)
            front = together([by_name.pop(loop) for loop in loops])
            by_name[chillers] = in_series(front, by_name[chillers])
    tables = list(by_name.values())
    installed = sum(table.installed for table in tables)
    rows = float(np.prod([float(len(table.out)) for table in tables]))
    return together(tables, _step(installed, rows))


def _plant_table(batches: Sequence[_Batch], hour: int) -> OutageTable:
    """Outage table of a plant, given each thing its one cause may do to its standby units.

    And given of which type a unit is out for maintenance, if any.
    """
    installed = sum(float(batch.all_mw[hour]) for batch in batches)
    rows = float(np.prod([batch.about.count + 1.0 for batch in batches]))
    step = _step(installed, rows)
    levels = sorted({batch.about.start_failure_probability for batch in batches} | {0.0, 1.0})
    tables, weights = [], []
    for less, more in pairwise(levels):
        for maintained, share in _maintenance(batches):
            states = [_states(batch, hour, more, batch is maintained) for batch in batches]
            tables.append(state_table(states, step))
            weights.append((more - less) * share)
    return mixture(tables, weights)


def _maintenance(batches: Sequence[_Batch]) -> Iterator[tuple[_Batch | None, float]]:
    """Types of which a unit is out for maintenance, or none, with the share of the year."""
    total = sum(batch.about.planned_outage_share for batch in batches)
    yield None, max(0.0, 1 - total)
    for batch in batches:
        if batch.about.planned_outage_share:
            yield batch, batch.about.planned_outage_share / max(1.0, total)


def _states(batch: _Batch, hour: int, level: float, maintained: bool) -> States:
    """States of equal units where the cause stops all that fail to start that often."""
    about, each_mw = batch.about, float(batch.each_mw[hour])
    if about.start_failure_probability >= level:
        return np.array([about.count * each_mw]), np.ones(1)
    out, share = equal_units(each_mw, about.forced_outage_rate, about.count - maintained)
    return out + maintained * each_mw, share


def _step(installed_mw: float, rows: float) -> float | None:
    """Grid for tables that would have too many rows; None for the rest, which stay exact."""
    return installed_mw / MOST_ROWS if rows > MOST_ROWS and installed_mw > 0 else None


@dataclass(frozen=True, eq=False)
class _Margin:
    """Heat of some clusters, shape (168,), and all units of the plants that cool one of them."""

    batches: tuple[_Batch, ...]
    heat_mw: Floats

    @property
    def count(self) -> int:
        """Units in all."""
        return sum(batch.about.count for batch in self.batches)

    def left(self, lost: int) -> float:
        """Least capacity over heat of all hours with the largest units lost, MW."""
        counts = [batch.about.count for batch in self.batches]
        hours = {
            (*(float(batch.each_mw[hour]) for batch in self.batches), float(self.heat_mw[hour]))
            for hour in range(HOURS_PER_WEEK)
        }
        return min(capacity_after_losses_mw(each, counts, lost) - heat for *each, heat in hours)


def _margins(
    model: Model, every: Sequence[_Batch], heat: Mapping[str, Floats]
) -> tuple[_Margin, ...]:
    """Margins that have to be positive for all heat to be carried, however it is shared.

    That of each set of clusters against all plants that touch it is enough (Gale 1957, Hall 1935);
    of many clusters only each by itself and all together are looked at.
    """
    names = tuple(heat)
    sizes = range(1, len(names) + 1) if len(names) <= MOST_CLUSTERS else (1, len(names))
    found = []
    for chosen in chain.from_iterable(combinations(names, size) for size in sizes):
        total: Floats = np.sum([heat[cluster] for cluster in chosen], axis=0)
        front = {name for name, plant in model.plants.items() if {*plant.cools} & {*chosen}}
        for plants in (front, {model.plants[name].rejects_to or name for name in front}):
            touching = tuple(batch for batch in every if batch.about.plant in plants)
            found.append(_Margin(touching, total))
    return tuple(found)


def _covered(margins: Sequence[_Margin]) -> int:
    """Most of the largest units that may be out, wherever they are; −1 if even none may."""
    most = max(margin.count for margin in margins)
    for lost in range(most + 1):
        if min(margin.left(lost) for margin in margins) < -NEGLIGIBLE_MW:
            return lost - 1
    return most


def _dependent(model: Model, plants: Sequence[str]) -> str:
    """What takes several units of some plants at once."""
    entries = [model.plants[name] for name in plants]
    regions = {entry.region for entry in entries}
    feeds = [
        name
        for name, feed in model.feeds.items()
        if feed.region in regions and (not feed.powers or {*feed.powers} & {*plants})
    ]
    services = sorted({service for entry in entries for service in entry.depends_on})
    causes = [("region", sorted(regions)), ("feed", feeds), ("service", services)]
    causes += [("plant", list(plants))]
    named = [f"{kind} {', '.join(names)}" for kind, names in causes if names]
    return f"not counted: loss of {'; '.join(named)}; heat above the usual ambient"
