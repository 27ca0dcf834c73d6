"""Candidate regions serve only if they are opened, stated for each group of customers.

That follows from capacity for whole openings. For openings in part it does not: a tenth of a
hundred regions would serve everybody, each those who are near. The rows for single groups forbid
it, and with them the relaxation of capacitated facility location is strong (Krarup and Pruzan,
1983). There are as many as groups times candidates. Where that is many, only those are stated that
the relaxation violates (`solution.strengthening`).

Stages of scenarios have no such rows: on the shipped models they cost time and proved nothing more.
"""

from __future__ import annotations

from dataclasses import dataclass

from planner.optimization.formulation.algebra import Variable, sum_of
from planner.optimization.formulation.families import Family
from planner.optimization.formulation.labels import label
from planner.optimization.formulation.programme import Programme

NORMAL = "normal"
#: Most pairs of a group and a candidate region for which all rows are stated.
FEW_PAIRS = 2000


@dataclass(frozen=True)
class Pair:
    """A group of customers and a candidate region that may serve it in normal operation.

    Parameters
    ----------
    flows
        Requests per second that the clusters of the region serve.
    mean_rps
        All requests per second of the group in the mean of a week.
    opened
        Whether the region is opened.
    """

    group: str
    region: str
    flows: tuple[Variable, ...]
    mean_rps: float
    opened: Variable

    @property
    def row_name(self) -> str:
        """Name of the row of the pair."""
        return label(Family.SERVED_IF_OPEN, self.region, self.group)


def pairs(programme: Programme) -> list[Pair]:
    """Pairs of a group with demand and a candidate region within its reach."""
    data, flow, found = programme.data, programme.by_stage[NORMAL].flow, []
    for region, opened in programme.purchases.opened.items():
        clusters = data.clusters_in(region)
        for group in data.groups:
            mean, known = data.mean_rps[group.label], set(group.clusters)
            flows = tuple(flow[group.label, name] for name in clusters if name in known)
            if flows and mean:
                found.append(Pair(group.label, region, flows, mean, opened))
    return found


def served_if_open(programme: Programme) -> None:
    """A candidate region serves customers only if it is opened.

    ``Σ_{c in r} f[g,c] ≤ mean[g]·o[r]`` for every group g
    """
    found = pairs(programme)
    if len(found) <= FEW_PAIRS:
        for pair in found:
            state(programme, pair)


def state(programme: Programme, pair: Pair) -> None:
    """State the row of a pair."""
    row = sum_of(pair.flows) <= pair.mean_rps * pair.opened
    programme.define(row, Family.SERVED_IF_OPEN, pair.region, pair.group)
