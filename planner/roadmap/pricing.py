"""What the orders of a roadmap cost, at the least cost of operation and of failures.

Orders come from the loosened programme; they are priced by the programme as it stands, and by the
laws of money anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass, replace
from functools import partial

from planner.errors import AuditError, SolverError
from planner.infrastructure.entities import Model
from planner.infrastructure.failures import Scenario
from planner.infrastructure.fleet import Fleet
from planner.optimization.formulation.algebra import Expression, sum_of
from planner.optimization.formulation.families import STRICTER
from planner.optimization.formulation.labels import joined
from planner.optimization.formulation.problem import ProblemData
from planner.optimization.infeasibility.shortfalls import Shortfall
from planner.optimization.solution.costs import cost_items
from planner.optimization.solution.deadline import Deadline, OutOfTime
from planner.optimization.solution.decisions import limited, variables
from planner.optimization.solution.operation import billed
from planner.optimization.solution.solving import Solution, solve
from planner.roadmap.cash import cash_flows, present_value
from planner.roadmap.parts import RoadmapParts
from planner.roadmap.programme import RoadmapProgramme, orders_in
from planner.rounds import Round
from planner.selection import Selection, Wanted, select

#: Distance of the recomputed cost from the objective that counts as rounding.
ROUNDING = 1e-6


class Selections:
    """Scenarios of nodes: hours that matter depend on the spread of demand, not on its amount."""

    def __init__(self, wanted: Wanted | None) -> None:
        self.wanted = wanted
        self.known: dict[tuple[float, ...], Selection] = {}

    def of(self, model: Model) -> Selection:
        """The selection for the model of a node."""
        zones, tiers = model.zones.values(), model.tiers.values()
        total = sum(zone.demand_rps for zone in zones) or 1.0
        spread = (round(zone.demand_rps / total, 9) for zone in zones)
        key = (*spread, *(round(tier.share, 9) for tier in tiers))
        if key not in self.known:
            self.known[key] = select(model, self.wanted)
        return self.known[key]

    def scenarios(self, model: Model) -> tuple[Scenario, ...]:
        """The scenarios for the model of a node."""
        return self.of(model).scenarios


@dataclass(frozen=True)
class NodeOutcome:
    """A node of a solved roadmap.

    Parameters
    ----------
    made
        Its part of the solution with the cost of a year at the prices of the node, and what comes
        of its fleet in simulation.
    selection
        Where its scenarios come from.
    not_planned
        Failures that nothing could meet in time; the simulation judges them all the same.
    shortfalls
        Requirements of normal operation and design that nothing could meet in time.
    exact
        Whether failures cost what they do in the programme as it stands, not as it was loosened.
    """

    made: Round
    selection: Selection
    not_planned: frozenset[str]
    shortfalls: tuple[Shortfall, ...] = ()
    exact: bool = True

    @property
    def fleet(self) -> Fleet:
        """What is in service."""
        return self.made.solution.fleet

    @property
    def missed(self) -> tuple[str, ...]:
        """Failures that were planned for and are not survived."""
        return tuple(name for name in self.made.failed if name not in self.not_planned)


def priced(
    parts: RoadmapParts,
    found: Solution,
    bound: float,
    outcomes: Mapping[str, NodeOutcome],
    deadline: Deadline,
) -> tuple[Solution, dict[str, NodeOutcome]]:
    """The orders of a solution, and its nodes, at what they cost.

    Rows that are stricter than the standard are waived in failures that do not meet them. Where
    time is over, failures cost what they cost in the loosened programme that was solved.

    Parameters
    ----------
    parts
        The programme that was solved, whose templates are used again.
    bound
        What every roadmap costs at least, USD.

    Raises
    ------
    AuditError
        If orders and payments cost something else than the programme says.
    """
    roadmap, selections = parts.roadmap, {}
    for name, outcome in outcomes.items():
        also = {verdict.name for verdict in outcome.made.beyond}
        selections[name] = outcome.selection.besides(roadmap.nodes[name].data.model, also)
    data = {name: _strict(parts, name, outcomes[name], s) for name, s in selections.items()}
    values, once, exact = found.values, found.once_usd or {}, True
    try:
        values, once, data = _at_least_cost(parts, found, data, deadline)
    except (OutOfTime, SolverError):
        if not deadline.over:
            raise
        exact = False
    known = {}
    for name, outcome in outcomes.items():
        each, model = roadmap.nodes[name], data[name].model
        usd = {one: once[full] for one in data[name].by_name if (full := joined(name, one)) in once}
        programme = replace(each.programme, data=data[name])
        part = replace(found, values=values, fleet=outcome.fleet, once_usd=usd, recourse=None)
        items = cost_items(programme, part, usd)
        cost = sum(item.usd_per_year for item in items)
        part, items = billed(model, replace(part, objective=cost, bound=cost), items)
        made = replace(
            outcome.made, programme=programme, solution=part, costs=partial(tuple, items)
        )
        known[name] = replace(outcome, made=made, selection=selections[name], exact=exact)
    cost = _cost(roadmap, values, known)
    return replace(found, values=values, objective=cost, bound=min(bound, cost)), known


def _strict(
    parts: RoadmapParts, name: str, outcome: NodeOutcome, selection: Selection
) -> ProblemData:
    """What is asked of a node in the programme as it stands: nothing of what nothing could meet."""
    each, late = parts.roadmap.nodes[name], outcome.not_planned
    known = {
        (family, subject, scenario): most
        for (family, subject, scenario), most in parts.asked[name].waived.items()
        if scenario in late and family not in STRICTER
    }
    waived = {**each.data.waived, **known}
    return each.data.changed(selection.scenarios, waived, each.data.learned)


def _at_least_cost(
    parts: RoadmapParts, found: Solution, data: dict[str, ProblemData], deadline: Deadline
) -> tuple[Mapping[str, float], Mapping[str, float], dict[str, ProblemData]]:
    """Values of the base, cost of one occurrence of each failure in USD, and what was asked for.

    Raises
    ------
    OutOfTime, SolverError
        If time ends before.
    """
    strict = parts.asking(data)
    while True:
        strict.lay_out(deadline)
        values = _with_orders(parts.roadmap, found.values, deadline)
        once, missed = strict.recourse_of(values, deadline)
        if not missed:
            return values, once, strict.asked
        strict.waive(strict.waive(missed, STRICTER))


def _with_orders(
    roadmap: RoadmapProgramme, known: Mapping[str, float], deadline: Deadline
) -> Mapping[str, float]:
    """Values of the base at least cost with the orders of a solution.

    Nothing but recourse, which is not part of it, gains from what plants carry without their
    largest units and from what is up: these are as large as orders let them be.

    Raises
    ------
    OutOfTime, SolverError
        If time ends before.
    """
    base, nodes = roadmap.base, [each.programme for each in roadmap.nodes.values()]
    bought = [*roadmap.orders.values(), *(x for each in nodes for x in variables(each).values())]
    there = sum_of(left for each in nodes for left in each.surviving.values())
    for each in nodes:
        there.add(sum_of(up.expression for up in each.availability.nodes.values() if up))
    with roadmap.as_built(), limited({x: (known[x.name],) * 2 for x in bought}):
        values = solve(base, deadline.settings()).values
        if there.terms:
            most = copy(base.problem)
            most.objective = -Expression(there.terms)
            at_most = solve(replace(base, problem=most), deadline.settings(0.0)).values
            values = {**values, **{x.name: at_most[x.name] for x in there.terms}}
    return values


def _cost(
    roadmap: RoadmapProgramme, values: Mapping[str, float], outcomes: Mapping[str, NodeOutcome]
) -> float:
    """Cost of a roadmap, worked out twice: by the programme, and by the laws of money.

    Returns
    -------
    float
        Net present value with operation as the simulator routes requests, USD.

    Raises
    ------
    AuditError
        If it is not the objective.
    """
    orders = dict(orders_in(roadmap, values))
    fleets = {name: outcome.fleet for name, outcome in outcomes.items()}
    items = {name: outcome.made.items for name, outcome in outcomes.items()}
    flows = cash_flows(roadmap, orders, fleets, items, values)
    likely = {name: each.node.probability for name, each in roadmap.nodes.items()}
    found = present_value(flows, likely, roadmap.rate)
    stated = roadmap.base.problem.objective.at(values) + sum(
        each.node.weight * _failures_and_routing(outcomes[name])
        for name, each in roadmap.nodes.items()
    )
    if abs(found - stated) > ROUNDING * max(abs(found), abs(stated), 1.0):
        raise AuditError(f"the roadmap costs {found:,.2f} USD, its programme says {stated:,.2f}")
    return found


def _failures_and_routing(outcome: NodeOutcome) -> float:
    """What failures and the simulator's routing cost a year beside normal operation, USD."""
    failures = sum(item.usd_per_year for item in outcome.made.items if item.category == "recourse")
    return failures + outcome.made.solution.routing_usd_per_year
