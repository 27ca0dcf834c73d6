"""Whether capacity suffices at every hour of the week, without a variable for each hour.

The demand of an hour can be served exactly if no set of customers asks for more than the clusters
that any of them reaches can serve (max-flow min-cut: Gale, 1957; Hoffman, 1960). A *crowd* is such
a set: all customers who reach nothing beyond some clusters. Only unions of the sets of clusters
that customers reach matter, and of each crowd only its busiest hour: peaks of customers who share
no cluster are never added up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from planner.laws.flows import largest_flow
from planner.optimization.formulation.labels import joined
from planner.scenarios.demand import Floats, undominated

#: Number of crowds beyond which each group has its own row instead (`recourse.crowds_apart`).
MOST_CROWDS = 2000
#: Most groups of a crowd that are named one by one.
FEW = 4


@dataclass(frozen=True)
class Group:
    """Tiers of a zone that reach the same targets.

    Parameters
    ----------
    zone
        Origin.
    clusters, offers
        Targets within their latency limit.
    alone
        Whether the zone has no other tiers.
    """

    zone: str
    tiers: tuple[str, ...]
    clusters: tuple[str, ...]
    offers: tuple[str, ...]
    alone: bool

    @cached_property
    def customers(self) -> str:
        """Who they are: their zone where these are all its tiers."""
        return self.zone if self.alone else f"{self.zone}.{'+'.join(self.tiers)}"

    @cached_property
    def label(self) -> str:
        """Name of the group: its zone and its first tier."""
        return joined(self.zone, self.tiers[0])


@dataclass(frozen=True, eq=False)
class Crowd:
    """Customers who reach only certain clusters.

    Parameters
    ----------
    week_rps
        Requests per second of each group by hour, shape (hours, groups).
    """

    groups: tuple[Group, ...]
    clusters: tuple[str, ...]
    week_rps: Floats
    name: str

    @cached_property
    def peak_rps(self) -> float:
        """Requests per second at their busiest hour."""
        return float(self.week_rps.sum(axis=1).max())

    @cached_property
    def hours(self) -> tuple[Mapping[str, float], ...]:
        """Requests per second by group at the hours no other dominates, the busiest first."""
        labels = [group.label for group in self.groups]
        rows = self.week_rps[undominated(self.week_rps)].tolist()
        return tuple(dict(zip(labels, row, strict=True)) for row in rows)


def find_crowds(groups: Sequence[Group], week_rps: Floats) -> tuple[tuple[Crowd, ...], bool]:
    """Crowds of a week, and whether these are all of them.

    Where there are too many, only groups that reach the same clusters form a crowd, and each has to
    be served at its own busiest hour (`recourse.crowds_apart`), which asks for more than is needed.

    Parameters
    ----------
    week_rps
        Requests per second of each group by hour, shape (hours, groups).
    """
    asking = [g for g in range(len(groups)) if week_rps[:, g].any()]
    reaches: dict[frozenset[str], list[int]] = {}
    for g in asking:
        reaches.setdefault(frozenset(groups[g].clusters), []).append(g)
    # Whoever reaches nothing lacks everything alone.
    members = [[g] for g in reaches.pop(frozenset(), ())]
    unions = unions_of(tuple(reaches))
    if unions is None:
        members += list(reaches.values())
    else:
        members += [
            [g for reach, reaching in reaches.items() if reach <= union for g in reaching]
            for union in unions
        ]
    found = (_crowd(groups, week_rps, sorted(mine), len(mine) == len(asking)) for mine in members)
    return tuple(found), unions is not None


def unions_of(reaches: Sequence[frozenset[str]]) -> tuple[frozenset[str], ...] | None:
    """All unions of sets of targets; None where there are too many."""
    found: dict[frozenset[str], None] = {}
    for reach in reaches:
        found |= dict.fromkeys([reach, *(reach | union for union in found)])
        if len(found) > MOST_CROWDS:
            return None
    return tuple(found)


def _crowd(groups: Sequence[Group], week_rps: Floats, mine: list[int], everybody: bool) -> Crowd:
    members = tuple(groups[g] for g in mine)
    clusters = tuple(dict.fromkeys(cluster for group in members for cluster in group.clusters))
    if everybody and len(members) > 1:
        name = "all customers"
    elif len(members) <= FEW:
        name = ", ".join(group.customers for group in members)
    else:
        name = f"all customers who reach only {', '.join(clusters)}"
    return Crowd(members, clusters, week_rps[:, mine], name)


def missing_rps(crowds: Sequence[Crowd], exact: bool, rooms: Mapping[str, float]) -> float:
    """Most demand that finds no room at an hour of the week, requests per second.

    Parameters
    ----------
    crowds, exact
        Crowds of the week, and whether these are all of them (`find_crowds`). A crowd that reaches
        nothing is looked at alone.
    rooms
        Requests per second that each cluster takes.
    """
    if exact:
        short = (crowd.peak_rps - sum(rooms[c] for c in crowd.clusters) for crowd in crowds)
        return max(0.0, *short, 0.0)
    demand = {str(number): crowd.peak_rps for number, crowd in enumerate(crowds)}
    reach = {str(number): crowd.clusters for number, crowd in enumerate(crowds)}
    return sum(demand.values()) - largest_flow(demand, reach, rooms)
