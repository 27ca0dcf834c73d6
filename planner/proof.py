"""A plan checked by anyone: everything that it states, worked out again from it and its model.

Flows of recourse are not stored. A solver proposes them anew with the purchases fixed, and is not
believed: the audit holds them against every row and every law of the programme
(`planner.optimization.solution.audit`). Flows are what a solver's tolerance makes of them, so a row
may be off by `RELATIVE` of its largest term; all that floating-point sums may have rounded counts
against the plan, so none is off by more. What is not checked is what only a search can show:
the lower bounds, and that the programme of another round had no plan.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from planner.errors import SolverError
from planner.files import strange_files
from planner.infrastructure.failures import Scenario
from planner.optimization.decomposition.fixed import at_purchases
from planner.optimization.formulation.build import build
from planner.optimization.solution.audit import audited
from planner.optimization.solution.audit_purchases import RELATIVE, broken_rules
from planner.optimization.solution.costs import OPERATION, CostItem
from planner.optimization.solution.decisions import counts_of
from planner.optimization.solution.operation import billed, operation_of
from planner.optimization.solution.settings import NOISE, SolverSettings
from planner.optimization.solution.solving import Solution
from planner.other_hours import at_other_hours
from planner.plan.assembly import cost_lines, scenario_line
from planner.plan.claims import (
    different_costs,
    different_owned,
    different_purchases,
    exactly,
    unfounded,
    unstated,
)
from planner.plan.consistency import HALF_A_CENT, contradictions
from planner.plan.files import file_of, misfits
from planner.plan.records import Plan, ScenarioLine
from planner.plan.reopening import Reopened, problem_data_of, reopen, wanted_by
from planner.selection import Selection, select
from planner.simulation.verdict import judge

#: Relative difference up to which figures of simulations are the same.
SAME = 1e-6
#: Least relative gap to which the recourse of a plan was worked out.
LEAST_GAP = 1e-4
#: Fields of verdicts that are compared; texts and shares of frequency follow from others.
COMPARED = (
    "severity", "status", "recovery_minutes", "lost_requests", "peak_temperature_c",
    "emergency_usd", "served", "served_by_zone",
)  # fmt: skip


@dataclass(frozen=True)
class Check:
    """One thing that was checked.

    Parameters
    ----------
    name
        What.
    differs
        Where the plan states other than what is so.
    note
        How it was checked, or why it was not.
    done
        Whether it was checked.
    """

    name: str
    differs: tuple[str, ...] = ()
    note: str = ""
    done: bool = True

    @property
    def holds(self) -> bool:
        """Whether it was checked and nothing differs."""
        return self.done and not self.differs


def prove(
    source: str | Path | Plan,
    model: str | Path | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> tuple[Check, ...]:
    """Check everything that a plan states.

    Parameters
    ----------
    source
        The plan, its file or its folder.
    model
        As for `reopen`.

    Raises
    ------
    InputError
        If there is no plan or no model to be read.
    """
    opened = reopen(source, model, lenient=True)
    plan, loaded = opened.plan, opened.loaded
    found = [
        Check("figures add up", tuple(contradictions(plan))),
        Check("model, catalogues and settings are the same", _changed(opened)),
    ]
    unfit = tuple(": ".join(pair) for pair in misfits(plan, loaded))
    if unfit:
        return (*found, Check("purchases fit the model", unfit))
    broken, exact = (
        broken_rules(model, opened.fleet) for model in (loaded.model, exactly(loaded.model))
    )
    # Where fractions show no more, the same texts may be rounded otherwise.
    more = exact if len(exact) > len(broken) else ()
    hidden = (
        *unstated(plan, dict.fromkeys([*broken, *more])),
        *unfounded(plan, [*broken, *exact]),
        *different_purchases(plan, loaded.model),
    )
    known = f"; breaks {len(broken)}, as it states" if len(broken) and not hidden else ""
    selection = select(loaded.model, wanted_by(plan))
    found += [
        Check(
            "purchases keep every rule",
            hidden,
            f"in fractions: N+k unit by unit, blocks, limits, budget{known}",
        ),
        Check("cost of purchases and operation", tuple(_costs(opened)), "item by item"),
        Check("every scenario has a verdict", tuple(_scenarios(plan, selection))),
    ]
    progress("working out recourse and auditing it")
    found.append(_recourse(opened, selection.scenarios, broken))
    progress(f"simulating {len(selection.scenarios):,} scenarios")
    found.append(_simulated(opened, selection, progress))
    return (*found, *([] if isinstance(source, Plan) else [unchanged(file_of(Path(source)))]))


def unchanged(path: Path) -> Check:
    """Whether the files beside a plan, or a roadmap, are those that were written with it."""
    return Check("files are those that were written", tuple(strange_files(path).values()))


def _changed(opened: Reopened) -> tuple[str, ...]:
    stated, found = opened.plan.model.sha256, opened.loaded.sha256
    if stated == found:
        return ()
    return (f"the plan is for SHA-256 {stated[:16]}…, {opened.loaded.name} has {found[:16]}…",)


def _costs(opened: Reopened) -> Iterator[str]:
    plan, model = opened.plan, opened.loaded.model
    yield from different_owned(plan, model)
    stated = (line for line in plan.cost.items if line.category in OPERATION)
    yield from different_costs(stated, cost_lines(operation_of(model, opened.fleet)))


def _scenarios(plan: Plan, selection: Selection) -> Iterator[str]:
    stated = {line.name: line.frequency_per_year for line in plan.scenarios}
    there = {one.name: one.frequency_per_year for one in selection.scenarios}
    yield from (f"{name} has no verdict" for name in there if name not in stated)
    for name, often in stated.items():
        if name not in there:
            yield f"{name} is not among the scenarios of the model"
        elif not math.isclose(often, there[name], rel_tol=SAME):
            yield f"{name} happens {there[name]:g} times a year, and not {often:g}"


def _recourse(opened: Reopened, scenarios: tuple[Scenario, ...], broken: list[str]) -> Check:
    """Recourse in every scenario and stage, its cost, and the objective."""
    plan, name = opened.plan, "recourse in every scenario and stage"
    if plan.risk is None or plan.method != "optimum" or broken:
        none = ": ".join(["the plan claims none", *(plan.breaks[-1:] if plan.of_roadmap else ())])
        why = "it breaks rules on purchases" if broken else none
        return Check(name, note=f"not checked: {why}", done=False)
    data = problem_data_of(plan, opened.loaded.model, scenarios)
    try:
        counts = counts_of(build(data.part(())), opened.fleet)
        programme, solution = at_purchases(data, counts, SolverSettings())
    except (ValueError, SolverError) as error:
        return Check(name, note=f"not checked: {error}", done=False)
    if solution.status == "infeasible":
        blamed = ", ".join(solution.conflict[:3])
        return Check(name, (f"there is none{f' in {blamed}' if blamed else ''}",))
    items, violated = audited(programme, solution)
    solution, items = billed(opened.loaded.model, solution, items)
    waived = f", {len(data.waived)} stricter rows left to the simulation" if data.waived else ""
    held = f"each row to {RELATIVE:g} of its largest term, rounding counted against the plan"
    note = f"flows worked out anew, {held}{waived}; lower bounds are the solver's word"
    return Check(name, (*violated, *_dearer(plan, solution, items)), note)


def _dearer(plan: Plan, solution: Solution, items: Iterable[CostItem]) -> Iterator[str]:
    """Where recourse costs more than stated; whether all of it costs as much, to the gap."""
    lines = plan.cost.items
    stated = {line.asset: line.usd_per_year for line in lines if line.category == "recourse"}
    for item in items:
        least, claimed = item.usd_per_year, stated.get(item.asset, 0.0)
        if item.category == "recourse" and least - claimed > HALF_A_CENT + NOISE * abs(least):
            yield f"{item.asset} costs at least {least:,.2f} a year, stated is {claimed:,.2f}"
    cost, found = plan.objective_usd_per_year, solution.objective
    room = 2 * HALF_A_CENT + (max(plan.gap, LEAST_GAP) + NOISE) * abs(found)
    if abs(cost - found) > room:
        yield f"objective is {cost:,.2f} a year, worked out {found:,.2f}"


def _simulated(opened: Reopened, selection: Selection, progress: Callable[[str], None]) -> Check:
    """Verdicts of every scenario, and of the hours that none stands for."""
    plan, model, fleet = opened.plan, opened.loaded.model, opened.fleet
    verdicts = judge(model, fleet, selection.scenarios, stories=False)
    stated = {line.name: line for line in plan.scenarios}
    found = list(
        chain.from_iterable(
            _verdict(stated[verdict.name], scenario_line(verdict))
            for verdict in verdicts
            if verdict.name in stated
        )
    )
    note = f"{len(verdicts):,} scenarios simulated"
    if plan.verification.survives and plan.verification.left_out:
        count, beyond = at_other_hours(selection, model, fleet, progress)
        found += [f"{verdict.name} is not survived, at an hour left out" for verdict in beyond]
        if count != plan.verification.left_out:
            found.append(f"{plan.verification.left_out} failures at other hours, {count} there are")
        note += f", {count or 0:,} failures at other hours"
    return Check("verdicts of the simulation", tuple(found), note)


def _verdict(stated: ScenarioLine, found: ScenarioLine) -> Iterator[str]:
    for field in COMPARED:
        there, here = getattr(stated, field), getattr(found, field)
        if not _close(there, here):
            yield f"{stated.name}: {field.replace('_', ' ')} is {here}, stated is {there}"


def _close(one: object, other: object) -> bool:
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_close(one[key], other[key]) for key in one)
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=SAME, abs_tol=2 * SAME)
    return one == other
