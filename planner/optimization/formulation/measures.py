"""Measures in the programme: what is up, and when people react, as far as purchases decide it.

========================  =====================================  ==============================
symbol                    attribute of the programme             meaning
========================  =====================================  ==============================
y[m]                      ``measures``                           measure bought
k[κ]                      ``reacting``                           combination κ of those measures
                                                                 that change the reaction
up[o,x]                   ``available``                          node x up in outage o
========================  =====================================  ==============================

Where nothing that can be bought changes whether a node is up, that is a constant, worked out on
the graph.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations

from pulp import lpSum

from planner.infrastructure.graph import Dependencies, node
from planner.optimization.formulation.families import Family
from planner.optimization.formulation.programme import Availability, Programme
from planner.scenarios.timeline import Outage


def add_variables(programme: Programme) -> None:
    """Create y and k; settled and forbidden measures are bounds."""
    model = programme.data.model
    fixed, forbidden = model.policies.fixed.measures, model.policies.forbidden.measures
    for name in model.measures:
        low = float(fixed.get(name, False))
        high = 0.0 if name in forbidden else float(fixed.get(name, True))
        programme.measures[name] = programme.variable(
            "measure", name, low=low, high=high, integer=True
        )
    if len(programme.data.reactions) > 1:
        for number in range(len(programme.data.reactions)):
            programme.reacting[number] = programme.variable("reacting", str(number), high=1)


def one_way_of_reacting(programme: Programme) -> None:
    """The combination of measures that are bought is the one that counts.

    ``Σ_κ k[κ] = 1``, ``Σ_{κ with m} k[κ] = y[m]``: with whole y one k is 1, so k need not be whole.
    """
    if not programme.reacting:
        return
    programme.define(lpSum(programme.reacting.values()) == 1, Family.ONE_WAY_OF_REACTING)
    for name, bought in programme.measures.items():
        ways = [n for n, some in enumerate(programme.data.reactions) if name in some]
        if ways:
            chosen = lpSum(programme.reacting[n] for n in ways)
            programme.define(chosen == bought, Family.ONE_WAY_OF_REACTING, name)


def up(programme: Programme, outage: Outage, name: str, powered: bool = True) -> Availability:
    """Whether a node is up in an outage, by the rule of the graph.

    A node is up while, in each of its groups g, at least needs[g] supporters are up:

    ``needs[g]·up[x] ≤ Σ_{s in g} up[s]``

    and a cluster, which is hit by a sag where all its sources of power are:
    ``up[x] ≤ Σ_{sources not hit} y[m]``. Being down only costs, so nothing has to push other nodes
    up; a cluster that is down needs no cooling, so its availability is bounded from below too.

    Parameters
    ----------
    powered
        False to leave want of power out.
    """
    key = (outage.failed, outage.sags, name, powered)
    known = programme.available.get(key)
    if known is not None:
        return known
    best, worst = (
        is_up(programme, outage, name, powered, all_measures=flag) for flag in (True, False)
    )
    if best == worst:
        programme.available[key] = float(best)
        return float(best)
    if key in programme.available:  # a loop in the graph: the node waits for itself
        return _variable(programme, key, name)
    programme.available[key] = None
    groups = _groups(programme, outage, name, powered)
    waiting = programme.available[key]
    if waiting is None and len(groups) == 1 and len(groups[0][1]) == 1:
        programme.available[key] = groups[0][1][0]
        return groups[0][1][0]
    result = _variable(programme, key, name)
    _propagate(programme, name, result, groups)
    return result


def is_up(
    programme: Programme, outage: Outage, name: str, powered: bool, all_measures: bool
) -> bool:
    """Whether a node is up in an outage with all measures bought, or with none."""
    depends = _depends(programme, powered, all_measures)
    if name in _down(programme, depends, outage.failed):
        return False
    cluster = name.startswith("cluster:") and powered
    return not cluster or not any(name in depends.without_power(dark) for dark in outage.sags)


def _depends(programme: Programme, powered: bool, all_measures: bool) -> Dependencies:
    index = programme.data.dependency_index
    if powered:
        return index.depends_at_best if all_measures else index.depends
    return index.depends_at_best_without_power if all_measures else index.depends_without_power


def _down(programme: Programme, depends: Dependencies, failed: frozenset[str]) -> frozenset[str]:
    key = ("down", id(depends), failed)
    if key not in programme.known:
        programme.known[key] = depends.down_with(failed)
    return programme.known[key]


def _variable(programme: Programme, key: object, name: str) -> Availability:
    known = programme.available.get(key)
    if known is not None:
        return known
    number = str(len(programme.available))
    variable = 1 * programme.variable("up", number, name, high=1, integer=True)
    programme.available[key] = variable
    return variable


def _number(availability: Availability) -> str:
    """Number of a variable that `_variable` has made."""
    return str(availability).split(".")[1]


#: How many of some chances have to come true.
Group = tuple[int, list[Availability]]


def _groups(programme: Programme, outage: Outage, name: str, powered: bool) -> list[Group]:
    """Groups of supporters of a node that measures decide, without those that are down anyway."""
    graph = programme.data.graph
    if name.startswith("measure:"):
        return [(1, [1 * programme.measures[name.removeprefix("measure:")]])]
    ignored = {"cools"} if powered else {"cools", "powers"}
    supporters: dict[str, list[Availability]] = {}
    for source, _, edge in graph.in_edges(name, data=True):
        if edge["relation"] not in ignored:
            chance = up(programme, outage, source, powered)
            supporters.setdefault(edge["group"], []).append(chance)
    groups = [(graph.nodes[name]["needs"][group], some) for group, some in supporters.items()]
    if name.startswith("cluster:") and powered:
        groups += [(1, [_noticed_nothing(programme, name, dark)]) for dark in outage.sags]
    found: list[Group] = []
    for needs, some in groups:
        certain = sum(one for one in some if isinstance(one, float))
        open_ones: list[Availability] = [one for one in some if not isinstance(one, float)]
        if needs > certain:
            found.append((needs - int(certain), open_ones))
    return found


def _noticed_nothing(programme: Programme, name: str, dark: frozenset[str]) -> Availability:
    """Whether a cluster or plant has a source of power that a sag did not touch."""
    edges = programme.data.graph.in_edges(name, data=True)
    powers = [source for source, _, edge in edges if edge["relation"] == "powers"]
    sources = [source for source in powers if source not in dark]
    chances = [up(programme, Outage(), source) for source in sources]
    if any(isinstance(one, float) and one for one in chances):
        return 1.0
    return _any_of(programme, chances)


def _any_of(programme: Programme, chances: Iterable[Availability]) -> Availability:
    """Whether one of some chances comes true, exactly."""
    some = {str(one): one for one in chances if not isinstance(one, float)}
    if len(some) <= 1:
        return next(iter(some.values()), 0.0)
    key = ("any", *sorted(some))
    if key not in programme.available:
        result = _variable(programme, key, "any")
        name = _number(result)
        programme.define(result <= lpSum(some.values()), Family.AVAILABILITY, name)
        for index, one in enumerate(some.values()):
            programme.define(result >= one, Family.AVAILABILITY, name, "least", str(index))
    known = programme.available[key]
    assert known is not None
    return known


def _propagate(programme: Programme, name: str, result: Availability, groups: list[Group]) -> None:
    tag = _number(result)
    for index, (needs, some) in enumerate(groups):
        row = needs * result <= lpSum(some)
        programme.define(row, Family.AVAILABILITY, tag, str(index))
    if not name.startswith("cluster:"):
        return
    enough = [_any_of(programme, some) for _, some in groups]
    row = result >= lpSum(enough) - (len(enough) - 1)
    programme.define(row, Family.AVAILABILITY, tag, "least")


def bought_exactly(
    programme: Programme, names: Iterable[str]
) -> list[tuple[frozenset[str], Availability]]:
    """All subsets of some measures, each with an expression that is 0 if exactly it is bought."""
    measures = sorted(set(names))
    found: list[tuple[frozenset[str], Availability]] = []
    for size in range(len(measures) + 1):
        for some in combinations(measures, size):
            missing = lpSum(1 - programme.measures[name] for name in some)
            extra = lpSum(programme.measures[name] for name in measures if name not in some)
            found.append((frozenset(some), missing + extra))
    return found


def ran_on(programme: Programme, plant: str, dark: frozenset[str]) -> Availability:
    """Whether a plant had another source of power when some supplied nothing."""
    return _noticed_nothing(programme, node("plant", plant), dark)
