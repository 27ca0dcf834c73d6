"""Purchases judged and priced by a model as it is today: what exists, or those of a plan."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

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
from planner.plan.consistency import ContradictionError
from planner.plan.files import parse_plan
from planner.plan.records import Cost, Plan, Verification
from planner.plan.reopening import REMEDY, Reference, made_with, reopen
from planner.selection import Selection, Wanted, select
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
    items = purchase_items(ProblemData(model, ()), plan.fleet(model))
    bought = cost_lines(item for item in items if item.capital_usd or item.usd_per_year)
    lines = (*bought, *(line for line in plan.cost.items if line.category not in OWNED))
    sums = {
        "capital_usd": round(sum(line.capital_usd for line in lines), 2),
        "usd_per_year": round(sum(line.usd_per_year for line in lines), 2),
    }
    return plan.cost.model_copy(update={"items": lines, **sums})


def plan_to_judge(
    source: str | Path | Plan,
    model: Reference | None = None,
    overrides: tuple[str, ...] = (),
    simulate: bool = False,
    remedy: str = REMEDY,
    on_simulate: Callable[[LoadedModel, Selection], None] = lambda *_: None,
) -> tuple[Plan, tuple[str, ...]]:
    """A plan as rules judge it, and the notes on it.

    It is held against its model where that is given or found. It is simulated anew where that is
    asked for, or where it was made with a survival standard of its own.

    Parameters
    ----------
    model, overrides, remedy
        As for `reopen`.
    on_simulate
        Told what will be simulated.

    Raises
    ------
    InputError
        If the plan or the model is wrong, or they do not fit.
    """
    try:
        opened = reopen(source, model, overrides, remedy=remedy, judged=True)
    except InputError as error:
        if model is not None or simulate or isinstance(error, ContradictionError):
            raise
        # Without its model, or with one that has moved on, the plan stands for itself.
        plan = source if isinstance(source, Plan) else parse_plan(Path(source))
        why = f"judged as its file states it, without its model: {error.problems[0].message}"
        return plan, (*made_with(plan), why)
    plan, loaded = opened.plan, opened.loaded
    if not (simulate or opened.other_standard):
        return plan, opened.notes
    selection = select(loaded.model, opened.wanted)
    on_simulate(loaded, selection)
    judged = reassessed(plan, loaded, selection.scenarios)
    before = {line.name: line.status for line in plan.scenarios}
    lines = judged.scenarios
    turned = [line.name for line in lines if before.get(line.name, line.status) != line.status]
    if not turned:
        return judged, opened.notes
    note = f"{len(turned)} verdicts differ from those of the file: {turned[0]}"
    return judged, (*opened.notes, note)


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
