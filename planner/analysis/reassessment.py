"""Purchases judged and priced by a model as it is today: what exists, or those of a plan."""

from __future__ import annotations

from planner.errors import InputError
from planner.infrastructure.entities import Model
from planner.infrastructure.failures import Scenario
from planner.infrastructure.fleet import Fleet
from planner.infrastructure.loading import LoadedModel
from planner.optimization.formulation.problem import ProblemData
from planner.optimization.solution.costs import purchase_items
from planner.optimization.solution.solving import Solution
from planner.plan.assembly import Origin, cost_lines, make_plan, scenario_line
from planner.plan.baseline import baseline_of
from planner.plan.claims import OWNED
from planner.plan.records import Cost, Plan, Verification
from planner.selection import Wanted, select
from planner.simulation.verdict import judge


def existing(loaded: LoadedModel, wanted: Wanted | None = None) -> Plan:
    """What exists in a model, written as a plan that buys nothing: simulated and priced.

    Its yearly cost is upkeep, retainers, energy and transport. What failures are expected to cost
    is not in it: that is worked out by the programme, whose requirements it need not meet.

    Parameters
    ----------
    wanted
        Scenarios to judge it on; None for those of the model.

    Raises
    ------
    InputError
        If the scenarios asked for do not exist.
    """
    model, fleet = loaded.model, Fleet.existing(loaded.model)
    items = baseline_of(model).items
    scenarios = select(model, wanted).scenarios
    verdicts = judge(model, fleet, scenarios, stories=False)
    cost = sum(item.usd_per_year for item in items)
    nothing = Solution("feasible", cost, cost, {}, fleet, 0.0, 0, 0)
    return make_plan(loaded, nothing, items, verdicts, Origin())


def repriced(plan: Plan, model: Model) -> Cost:
    """Cost of a plan with its purchases priced by a model; running and expected cost stay."""
    items = purchase_items(ProblemData(model, (), {}), plan.fleet(model))
    bought = cost_lines(item for item in items if item.capital_usd or item.usd_per_year)
    lines = (*bought, *(line for line in plan.cost.items if line.category not in OWNED))
    sums = {
        "capital_usd": round(sum(line.capital_usd for line in lines), 2),
        "usd_per_year": round(sum(line.usd_per_year for line in lines), 2),
    }
    return plan.cost.model_copy(update={"items": lines, **sums})


def reassessed(plan: Plan, loaded: LoadedModel, scenarios: tuple[Scenario, ...]) -> Plan:
    """A plan with its scenarios simulated anew and its purchases priced by a model.

    Running cost and optimality gap stay those of the plan.

    Raises
    ------
    InputError
        If there are no scenarios.
    """
    if not scenarios:
        raise InputError.single(loaded.name, "the model has no scenarios to simulate")
    verdicts = judge(loaded.model, plan.fleet(loaded.model), scenarios, stories=False)
    lines = tuple(scenario_line(verdict) for verdict in verdicts)
    proof = Verification.of(lines, plan.verification.rounds, plan.verification.stopped)
    cost = repriced(plan, loaded.model)
    return plan.model_copy(update={"scenarios": lines, "verification": proof, "cost": cost})
