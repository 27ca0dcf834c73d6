"""What the orders of a roadmap cost, at the least cost of operation and of failures.

Orders come from the loosened programme; they are priced by the programme as it stands, and by the
laws of money anew.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from planner.errors import AuditError
from planner.infrastructure.entities import Model
from planner.infrastructure.failures import Scenario
from planner.infrastructure.fleet import Fleet
from planner.optimization.formulation.families import STRICTER
from planner.optimization.formulation.labels import joined
from planner.optimization.infeasibility.shortfalls import Shortfall
from planner.optimization.solution.costs import cost_items
from planner.optimization.solution.deadline import Deadline
from planner.optimization.solution.decisions import limited
from planner.optimization.solution.operation import billed
from planner.optimization.solution.settings import SolverSettings
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
    """

    made: Round
    selection: Selection
    not_planned: frozenset[str]
    shortfalls: tuple[Shortfall, ...] = ()

    @property
    def fleet(self) -> Fleet:
        """What is in service."""
        return self.made.solution.fleet

    @property
    def missed(self) -> tuple[str, ...]:
        """Failures that were planned for and are not survived."""
        return tuple(name for name in self.made.failed if name not in self.not_planned)


def priced(
    roadmap: RoadmapProgramme,
    found: Solution,
    bound: float,
    outcomes: Mapping[str, NodeOutcome],
    settings: SolverSettings,
) -> tuple[Solution, dict[str, NodeOutcome]]:
    """The orders of a solution, and its nodes, at what they cost.

    Rows that are stricter than the standard are waived in failures that do not meet them.

    Parameters
    ----------
    bound
        What every roadmap costs at least, USD.

    Raises
    ------
    AuditError
        If orders and payments cost something else than the programme says.
    """
    endless = Deadline(settings).endless
    whole = [x for x in roadmap.base.problem.variables if x.integer]
    with roadmap.as_built(), limited({x: (found.values[x.name],) * 2 for x in whole}):
        values = solve(roadmap.base, endless).values
    known = {}
    for name, outcome in outcomes.items():
        each, model = roadmap.nodes[name], roadmap.nodes[name].data.model
        also = {verdict.name for verdict in outcome.made.beyond}
        selection = outcome.selection.besides(model, also)
        each.data = each.data.changed(selection.scenarios, each.data.waived, each.data.learned)
        once = _recourse(roadmap, name, outcome.not_planned, values, endless)
        programme = replace(each.programme, data=each.data)
        part = replace(found, values=values, fleet=outcome.fleet, once_usd=once, recourse=None)
        items = cost_items(programme, part, once)
        cost = sum(item.usd_per_year for item in items)
        part, items = billed(model, replace(part, objective=cost, bound=cost), items)
        made = replace(outcome.made, programme=programme, solution=part, items=items)
        known[name] = replace(outcome, made=made, selection=selection)
    cost = _cost(roadmap, values, known)
    return replace(found, values=values, objective=cost, bound=min(bound, cost)), known


def _recourse(
    roadmap: RoadmapProgramme,
    name: str,
    late: Collection[str],
    values: Mapping[str, float],
    settings: SolverSettings,
) -> dict[str, float]:
    """Cost of one occurrence of each scenario of a node, USD.

    Parameters
    ----------
    late
        Scenarios of which nothing is asked.
    """
    each = roadmap.nodes[name]
    parts = RoadmapParts(roadmap.base.data, settings, roadmap=roadmap, asked={name: each.data})
    parts.waive({joined(name, scenario) for scenario in late} & set(parts.names()))
    while True:
        parts.lay_out(Deadline(settings))
        once, missed = parts.recourse_of(values)
        if not missed:
            each.data = parts.asked[name]
            return {full.removeprefix(f"{name}/"): usd for full, usd in once.items()}
        parts.waive(parts.waive(missed, STRICTER))


def gap_of(solution: Solution) -> float:
    """Share of its cost by which a roadmap may be dearer than the cheapest."""
    return max(0.0, solution.objective - solution.bound) / (abs(solution.objective) or 1.0)


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
