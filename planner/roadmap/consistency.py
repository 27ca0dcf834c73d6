"""Whether a roadmap agrees with itself: its plans, its nodes, its cash flows and its cost."""

from __future__ import annotations

from collections.abc import Iterator

from planner.plan.consistency import HALF_A_CENT, SUMMED, without_recourse
from planner.plan.records import FIRM_ONLY, LATE, NO_TIME, NOTHING_LEFT, Plan
from planner.roadmap.cash import present_value
from planner.roadmap.records import NodeRecord, Roadmap


def roadmap_contradictions(roadmap: Roadmap) -> Iterator[str]:
    """Where a roadmap contradicts itself, beside what each of its plans does."""
    nodes = {node.name: node for node in roadmap.nodes}
    if len(nodes) < len(roadmap.nodes) or nodes.keys() != roadmap.plans.keys():
        yield "its nodes are not those that it has plans of"
        return
    for node in roadmap.nodes:
        yield from (f"{node.name}: {text}" for text in _of_node(node, roadmap))
    unbridged = [node.name for node in roadmap.nodes if set(node.failed) - set(node.bridged)]
    if roadmap.survives == bool(unbridged):
        yield "survives contradicts what its nodes state"
    unknown = {flow.node for flow in roadmap.cash_flows} - nodes.keys()
    if unknown:
        yield f"cash_flows: there is no node {sorted(unknown)[0]}"
        return
    likely = {name: node.probability for name, node in nodes.items()}
    try:
        value = present_value(roadmap.cash_flows, likely, roadmap.horizon.discount_rate)
    except ArithmeticError:
        yield "cash_flows: amounts or months are beyond all reckoning"
        return
    moved = sum(abs(flow.usd) for flow in roadmap.cash_flows)
    room = HALF_A_CENT * (len(roadmap.cash_flows) + 2) + SUMMED * moved
    if abs(value - roadmap.npv_usd) > room:
        yield f"npv_usd is {roadmap.npv_usd:,.2f}, its cash flows are worth {value:,.2f}"
    if roadmap.gap < 0 or roadmap.bound_usd > roadmap.npv_usd + room:
        yield "bound_usd is above npv_usd"
    for line in roadmap.budgets:
        most = line.budget_usd
        if line.capital_usd < 0 or (most is not None and line.capital_usd > most * (1 + SUMMED)):
            yield f"budgets: {line.capital_usd:,.2f} USD of capital in {line.year} exceed it"


def _of_node(node: NodeRecord, roadmap: Roadmap) -> Iterator[str]:
    plan = roadmap.plans[node.name]
    made, own = plan.model.overrides, roadmap.model.overrides
    names = plan.model.name, plan.of_roadmap, made[: len(own)]
    if names != (roadmap.model.name, node.name, own):
        yield "its plan is of another model or period"
    failing = {line.name for line in plan.scenarios if line.fails}
    survived = sum(line.survives for line in plan.scenarios)
    if (node.survived, node.judged) != (survived, survived + len(failing)):
        yield "counts other scenarios as survived or judged than its plan"
    if set(node.failed) != failing:
        yield "states other scenarios as failed than its plan"
    reasons, late = without_recourse(plan), [f"{LATE}{one.text}" for one in node.shortfalls]
    if plan.risk is None:
        yield from (
            f"breaks: {text}, which it does not state" for text in late if text not in reasons
        )
    yield from unfounded_reasons(plan, node, roadmap)
    if abs(node.usd_per_year - plan.objective_usd_per_year) > 2 * HALF_A_CENT:
        yield "usd_per_year is not that of its plan"


def unfounded_reasons(plan: Plan, node: NodeRecord, roadmap: Roadmap) -> Iterator[str]:
    """Reasons of the plan of a node to claim no recourse that its roadmap does not bear out."""
    late = [f"{LATE}{one.text}" for one in node.shortfalls]
    for text in without_recourse(plan):
        if text == NO_TIME:
            there = not roadmap.exact
        elif text.removeprefix(LATE).startswith(NOTHING_LEFT):
            there = bool(node.bridged or node.failed)
        else:
            there = text == FIRM_ONLY or text in late
        if not there:
            yield f"breaks: {text}, of which the roadmap says nothing"
