"""What a plan claims against the model that it was made for, as far as neither is solved."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from typing import Any, cast

from pydantic import BaseModel

from planner.errors import InputError
from planner.infrastructure.entities import Model
from planner.infrastructure.prices import PARTS
from planner.optimization.formulation.problem import ProblemData
from planner.optimization.solution.audit_purchases import broken_rules
from planner.optimization.solution.costs import purchase_items
from planner.plan.assembly import cost_lines, purchase_lines
from planner.plan.consistency import HALF_A_CENT, SUMMED, without_recourse
from planner.plan.records import CostLine, Plan, Record
from planner.scenarios.hours import failure_and_hour
from planner.selection import Wanted, select

#: Categories of cost that follow from the purchases alone.
OWNED = frozenset({"cooling", *PARTS, "regions", "emergency", "measures"})


def exactly[T](value: T) -> T:
    """A model, or a part of it, with fractions in place of its decimal numbers.

    >>> exactly((0.1, 3))
    (Fraction(1, 10), 3)
    """
    made: Any = value
    if isinstance(value, float) and math.isfinite(value):
        made = Fraction(repr(value))
    elif isinstance(value, BaseModel):
        made = value.model_copy(update={name: exactly(inner) for name, inner in value})
    elif isinstance(value, dict):
        made = {name: exactly(inner) for name, inner in value.items()}
    elif isinstance(value, tuple):
        made = tuple(map(exactly, value))
    return cast("T", made)


def unstated(plan: Plan, broken: Iterable[str]) -> list[str]:
    """Rules that a plan breaks and does not say so."""
    stated = {*plan.breaks, *(text.removeprefix("breaks a rule: ") for text in plan.repairs)}
    return [text for text in broken if text not in stated]


def unfounded(plan: Plan, broken: Iterable[str]) -> list[str]:
    """Rules that a plan says it breaks, and does not.

    Why a period of a roadmap claims no recourse is for its roadmap to show.
    """
    reasons = () if plan.of_roadmap is None else without_recourse(plan)
    found = {*broken, *reasons}
    return [f"breaks: {text}, which is not so" for text in plan.breaks if text not in found]


def false_claims(plan: Plan, model: Model, wanted: Wanted | None) -> list[str]:
    """Where a plan states other than the model that it was made for gives.

    Purchases and what they break, figures of lines, cost of owning item by item, scenarios.
    """
    broken = broken_rules(model, plan.fleet(model))
    if plan.breaks:  # where fractions show more, the plan may state it
        broken = [*broken, *broken_rules(exactly(model), plan.fleet(model))]
    broken = [*unstated(plan, dict.fromkeys(broken)), *unfounded(plan, broken)]
    lines, owned = different_purchases(plan, model), different_owned(plan, model)
    return [*broken, *lines, *owned, *_left_out(plan, model, wanted)]


def different_purchases(plan: Plan, model: Model) -> Iterator[str]:
    """Purchases whose lines are missing, or whose figures are not those of the model."""
    for part, lines in purchase_lines(model, plan.fleet(model)).items():
        stated = {_key(line): line for line in getattr(plan, part)}
        for line in lines:
            found = stated.get(_key(line))
            if found is None:
                yield f"{part}: {_key(line)} has no line"
                continue
            for field, value in line:
                there = getattr(found, field)
                if not _same(there, value) and field in found.model_fields_set:
                    yield f"{part}: {field} of {_key(line)} is {there}, in the model {value}"


def _key(line: Record) -> str:
    names = ("plant", "unit", "cluster", "offer", "measure")
    return "/".join(str(getattr(line, name)) for name in names if hasattr(line, name))


def _same(one: object, other: object) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=SUMMED, abs_tol=SUMMED)
    return one == other


def different_owned(plan: Plan, model: Model) -> Iterator[str]:
    """Cost of owning the purchases, item by item, at the prices of the model."""
    items = purchase_items(ProblemData(model, ()), plan.fleet(model))
    owned = (line for line in plan.cost.items if line.category in OWNED)
    yield from different_costs(owned, cost_lines(items))


def different_costs(stated: Iterable[CostLine], due: Iterable[CostLine]) -> Iterator[str]:
    """Cost lines that differ by more than rounding to cents."""
    before, after = (
        {(line.category, line.asset): (line.capital_usd, line.usd_per_year) for line in lines}
        for lines in (stated, due)
    )
    for key in dict.fromkeys([*before, *after]):
        pairs = zip(before.get(key, (0.0, 0.0)), after.get(key, (0.0, 0.0)), strict=True)
        for what, (there, here) in zip(("capital", "a year"), pairs, strict=True):
            if abs(there - here) > 8 * HALF_A_CENT + SUMMED * abs(here):
                yield f"cost: {' of '.join(key)} is {there:,.2f} USD {what}, and not {here:,.2f}"


def _left_out(plan: Plan, model: Model, wanted: Wanted | None) -> Iterator[str]:
    """Failures that a plan is for and of which it has no verdict, at whatever hour."""
    there = {failure_and_hour(line.name)[0] for line in plan.scenarios}
    with suppress(InputError):  # patterns of hours match nothing at the peak alone
        asked = select(model, replace(wanted or Wanted(), hours="peak")).scenarios
        missing = dict.fromkeys(failure_and_hour(scenario.name)[0] for scenario in asked)
        yield from (f"scenarios: {name} has no verdict" for name in missing if name not in there)
