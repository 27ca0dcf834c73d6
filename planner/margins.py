"""Margins of the next round: how much each scenario's requirements are tightened, and in what.

They are what is left where plans are not looked for from below (`planner.below`), or none is found.

What the programme leaves out (heat that builds up, queues, retries, late operators) makes plans
fail in simulation that meet the programme. Each breach says by how much its requirement was
missed; the margin of its scenario grows by that share and a little more, up to a limit for one
round, so that a plan does not pay for more than it needs.
"""

from __future__ import annotations

from collections.abc import Mapping

from planner.infrastructure.entities import Model
from planner.infrastructure.fleet import Fleet
from planner.optimization.formulation.stages import NO_MARGIN, Margin
from planner.simulation.verdict import Breach, Verdict

#: Least and most growth of a margin in one round, as shares of what is required.
DEMAND_STEP, DEMAND_STRIDE = 0.005, 0.25
HEAT_STEP, HEAT_STRIDE = 0.02, 0.05
SPEND_STEP, SPEND_STRIDE = 0.01, 0.5
#: Replicas are few and cheap beside GPUs, and retries swamp what only just suffices.
SERVICES_STEP, SERVICES_STRIDE = 0.25, 1.0

Margins = Mapping[str, Margin]


def services_left(model: Model, fleet: Fleet) -> bool:
    """Whether a measure with replicas or connections of services is left to buy."""
    policies = model.policies
    return any(
        (measure.replicas or measure.connections)
        and name not in fleet.measures
        and name not in policies.forbidden.measures
        and policies.fixed.measures.get(name, True)
        for name, measure in model.measures.items()
    )


def tighten(
    margins: Margins, verdicts: tuple[Verdict, ...], services_grow: bool = False
) -> dict[str, Margin]:
    """Margins for the next round: grown by what fell short, never shrunk.

    The breaches of a scenario have causes of their own; each cause grows its margin once, by the
    largest of its breaches. Breaches that no purchase changes grow nothing.

    Parameters
    ----------
    services_grow
        Whether replicas or connections can be bought; otherwise only more GPUs help where services
        turn requests away.
    """
    grown = dict(margins)
    for verdict in verdicts:
        before = grown.get(verdict.name, NO_MARGIN)
        steps = [_step(breach, before, services_grow) for breach in verdict.breaches]
        margin = Margin(
            demand=before.demand + max((step.demand for step in steps), default=0.0),
            heat=before.heat + max((step.heat for step in steps), default=0.0),
            late_minutes=max([before.late_minutes, *(step.late_minutes for step in steps)]),
            services=before.services + max((step.services for step in steps), default=0.0),
            spend=before.spend + max((step.spend for step in steps), default=0.0),
        )
        if margin != NO_MARGIN:
            grown[verdict.name] = margin
    return grown


def _step(breach: Breach, margin: Margin, services_grow: bool) -> Margin:
    """Growth of each margin by one breach, and the lateness that it measured."""
    if breach.kind == "shutdown":
        return Margin(heat=HEAT_STRIDE)
    if breach.kind == "budget" and breach.required:
        over = breach.shortfall / breach.required
        return Margin(spend=min(over + SPEND_STEP, SPEND_STRIDE))
    if breach.cause in (None, "routing"):
        return NO_MARGIN
    share = breach.shortfall / max(breach.required, DEMAND_STEP)
    if breach.cause == "heat":
        return Margin(heat=min(HEAT_STEP + 0.1 * share, HEAT_STRIDE))
    if breach.cause == "services" and services_grow:
        return Margin(services=min(share + SERVICES_STEP, SERVICES_STRIDE))
    if breach.cause == "late" and breach.late_minutes > margin.late_minutes:
        return Margin(late_minutes=breach.late_minutes)
    return Margin(demand=min(share + DEMAND_STEP, DEMAND_STRIDE))
