"""Measures: which nodes are up, and when people react, as far as purchases decide it.

=======  ==================================  ===============================
symbol   attribute                           meaning
=======  ==================================  ===============================
y[m]     ``Purchases.measures``              measure bought
k[κ]     ``AvailabilityVariables.reacting``  combination κ of those measures
                                             that change the reaction
up[o,x]  ``AvailabilityVariables.nodes``     node x up in outage o
=======  ==================================  ===============================

Where no purchase changes whether a node is up, its availability is a constant, worked out on the
graph.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations

from planner.infrastructure.graph import NOT_AT_ONCE, Dependencies, node
from planner.optimization.formulation.algebra import Expression, sum_of
from planner.optimization.formulation.availability import Availability
from planner.optimization.formulation.families import Family
from planner.optimization.formulation.programme import Programme
from planner.optimization.formulation.variables import NodeKey
from planner.scenarios.timeline import Outage


def add_variables(programme: Programme) -> None:
    """Create y and k; fixed and forbidden measures become bounds."""
    model = programme.data.model
    fixed, forbidden = model.policies.fixed.measures, model.policies.forbidden.measures
    for name in model.measures:
        low = float(fixed.get(name, False))
        high = 0.0 if name in forbidden else float(fixed.get(name, True))
        programme.purchases.measures[name] = programme.variable(
            "measure", name, low=low, high=high, integer=True
        )
    if len(programme.data.reactions) > 1:
        for number in range(len(programme.data.reactions)):
            variable = programme.variable("reacting", str(number), high=1)
            programme.availability.reacting[number] = variable


def one_way_of_reacting(programme: Programme) -> None:
    """The reaction variant in force is that of the measures bought.

    ``Σ_κ k[κ] = 1``, ``Σ_{κ with m} k[κ] = y[m]``: with whole y one k is 1, so k need not be whole.
    """
    reacting = programme.availability.reacting
    if not reacting:
        return
    programme.define(sum_of(reacting.values()) == 1, Family.ONE_WAY_OF_REACTING)
    for name, bought in programme.purchases.measures.items():
        combinations_with_it = [
            n for n, combination in enumerate(programme.data.reactions) if name in combination
        ]
        if combinations_with_it:
            chosen = sum_of(reacting[n] for n in combinations_with_it)
            programme.define(chosen == bought, Family.ONE_WAY_OF_REACTING, name)


def up(programme: Programme, outage: Outage, name: str, powered: bool = True) -> Availability:
    """Whether a node is up in an outage, by the dependencies of the graph.

    A node is up while, in each of its groups g, at least needs[g] supporters are up:

    ``needs[g]·up[x] ≤ Σ_{s in g} up[s]``

    A cluster goes down with a voltage sag that hits all its sources of power, hence
    ``up[x] ≤ Σ_{sources not hit} y[m]``. Only upper bounds are needed: the objective never gains
    from marking a node down. The exception are clusters: one that is down needs no cooling, so its
    availability is bounded from below too.

    Parameters
    ----------
    powered
        Whether a node without power is down.
    """
    key = (outage.failed, outage.sags, name, powered)
    nodes = programme.availability.nodes
    known = nodes.get(key)
    if known is not None:
        return known
    best, worst = (
        is_up(programme, outage, name, powered, all_measures=flag) for flag in (True, False)
    )
    if best == worst:
        nodes[key] = Availability.known(best)
        return Availability.known(best)
    if key in nodes:  # a loop in the graph: the node waits for itself
        return _node_variable(programme, key)
    nodes[key] = None
    groups = _groups(programme, outage, name, powered)
    waiting = nodes[key]
    if waiting is None and len(groups) == 1 and len(groups[0][1]) == 1:
        nodes[key] = groups[0][1][0]
        return groups[0][1][0]
    result = _node_variable(programme, key)
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
    key, down = (id(depends), failed), programme.availability.down
    if key not in down:
        down[key] = depends.down_with(failed)
    return down[key]


def _node_variable(programme: Programme, key: NodeKey) -> Availability:
    nodes, (_, _, name, _) = programme.availability.nodes, key
    known = nodes.get(key)
    if known is None:
        known = nodes[key] = _variable(programme, name)
    return known


def _variable(programme: Programme, name: str) -> Availability:
    number = len(programme.availability.nodes) + len(programme.availability.any_of)
    return Availability(1 * programme.first.variable("up", str(number), name, high=1, integer=True))


def _number(availability: Availability) -> str:
    """Number of a variable that `_variable` has made."""
    return str(availability.expression).split(".")[1]


#: How many of some supporters have to be up.
Group = tuple[int, list[Availability]]


def _groups(programme: Programme, outage: Outage, name: str, powered: bool) -> list[Group]:
    """Groups of supporters of a node that are up only with some measures bought."""
    graph = programme.data.graph
    if name.startswith("measure:"):
        bought = 1 * programme.purchases.measures[name.removeprefix("measure:")]
        return [(1, [Availability(bought)])]
    ignored = NOT_AT_ONCE if powered else NOT_AT_ONCE | {"powers"}
    supporters: dict[str, list[Availability]] = {}
    for source, _, edge in graph.in_edges(name, data=True):
        if edge["relation"] not in ignored:
            supporter = up(programme, outage, source, powered)
            supporters.setdefault(edge["group"], []).append(supporter)
    groups = [(graph.nodes[name]["needs"][group], members) for group, members in supporters.items()]
    if name.startswith("cluster:") and powered:
        groups += [(1, [_has_unaffected_source(programme, name, dark)]) for dark in outage.sags]
    found: list[Group] = []
    for needs, members in groups:
        certain = sum(supporter.certain for supporter in members)
        if needs > certain:
            undecided = [
                supporter
                for supporter in members
                if not (supporter.certain or supporter.impossible)
            ]
            found.append((needs - certain, undecided))
    return found


def _has_unaffected_source(programme: Programme, name: str, dark: frozenset[str]) -> Availability:
    """Whether a cluster or plant has a source of power that a sag did not hit."""
    edges = programme.data.graph.in_edges(name, data=True)
    powers = [source for source, _, edge in edges if edge["relation"] == "powers"]
    sources = [source for source in powers if source not in dark]
    supplied = [up(programme, Outage(), source) for source in sources]
    if any(supporter.certain for supporter in supplied):
        return Availability.known(True)
    return _any_of(programme, supplied)


def _any_of(programme: Programme, supporters: Iterable[Availability]) -> Availability:
    """Whether at least one of some supporters is up, none of which is certain."""
    undecided = {
        str(supporter.expression): supporter for supporter in supporters if not supporter.impossible
    }
    if len(undecided) <= 1:
        return next(iter(undecided.values()), Availability.known(False))
    key, known = tuple(sorted(undecided)), programme.availability.any_of
    if key not in known:
        known[key] = _variable(programme, "any")
        programme, result, name = programme.first, known[key].expression, _number(known[key])
        supported = sum_of(supporter.expression for supporter in undecided.values())
        programme.define(result <= supported, Family.AVAILABILITY, name)
        for index, supporter in enumerate(undecided.values()):
            row = result >= supporter.expression
            programme.define(row, Family.AVAILABILITY, name, "least", str(index))
    return known[key]


def _propagate(programme: Programme, name: str, result: Availability, groups: list[Group]) -> None:
    programme, tag, is_up = programme.first, _number(result), result.expression
    for index, (needs, members) in enumerate(groups):
        row = needs * is_up <= sum_of(supporter.expression for supporter in members)
        programme.define(row, Family.AVAILABILITY, tag, str(index))
    if not name.startswith("cluster:"):
        return
    enough = [_any_of(programme, members).expression for _, members in groups]
    row = is_up >= sum_of(enough) - (len(enough) - 1)
    programme.define(row, Family.AVAILABILITY, tag, "least")


def bought_exactly(
    programme: Programme, names: Iterable[str]
) -> list[tuple[frozenset[str], Expression]]:
    """All subsets of measures, each with an expression: 0 if just these are bought, else ≥ 1."""
    bought = {name: programme.purchases.measures[name] for name in sorted(set(names))}
    found: list[tuple[frozenset[str], Expression]] = []
    for size in range(len(bought) + 1):
        for combination in combinations(bought, size):
            missing = sum_of(1 - bought[name] for name in combination)
            extra = sum_of(binary for name, binary in bought.items() if name not in combination)
            found.append((frozenset(combination), missing + extra))
    return found


def ran_on(programme: Programme, plant: str, dark: frozenset[str]) -> Availability:
    """Whether a plant kept a source of power in a sag that hit some."""
    return _has_unaffected_source(programme, node("plant", plant), dark)
