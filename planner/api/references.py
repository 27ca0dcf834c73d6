"""Plans as they are named from Python: what `optimize` returned, a plan, its file or folder."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, runtime_checkable

from planner.api.models import ModelReference, PlannerModel, as_planner_model
from planner.errors import InputError, Problem, refuse
from planner.plan import files as plan_files
from planner.plan.records import Plan
from planner.plan.reopening import Reopened, reopen

#: What to do where the model of a plan is not found.
REMEDY = "give it as `model`"


@runtime_checkable
class Planned(Protocol):
    """A plan with the model that it is for, such as an `Optimum`."""

    @property
    def plan(self) -> Plan:
        """The plan."""

    @property
    def model(self) -> PlannerModel:
        """Its model."""


PlanReference = Plan | Planned | str | Path


def plan_source(plan: PlanReference, name: str = "plan") -> Plan | str | Path:
    """A plan or its file.

    Raises
    ------
    InputError
        If it is neither; `name` is what it was called.
    """
    source = plan if isinstance(plan, Plan | str | Path) else getattr(plan, "plan", None)
    if not isinstance(source, Plan | str | Path):
        raise InputError.single(name, f"expected a plan or its file, not {plan!r}")
    return source


def model_of(plan: PlanReference, model: ModelReference | None) -> ModelReference | None:
    """The model given, or else that of the plan where it has one."""
    if model is None and isinstance(plan, Planned):
        return plan.model
    return model


def reopened(
    plan: PlanReference, model: ModelReference | None = None, name: str = "plan"
) -> Reopened:
    """A plan with its model.

    Raises
    ------
    InputError
        If the plan or the model is wrong, or they do not fit.
    """
    return reopen(plan_source(plan, name), model_of(plan, model), remedy=REMEDY)


def read_plan(plan: str | Path, model: ModelReference | None = None) -> Plan:
    """Read a ``plan.json`` or the folder that holds one.

    Parameters
    ----------
    model
        Model that it must fit; None to read it whatever it is for.

    Raises
    ------
    InputError
        With every problem: unreadable, not a plan, or for another model.
    """
    path = Path(plan)
    if model is None:
        return plan_files.parse_plan(path)
    return plan_files.read_plan(path, as_planner_model(model))


def check_least(**values: int) -> None:
    """Check numbers of things of which there is at least one.

    Raises
    ------
    InputError
        With each that is too small.
    """
    problems = [
        Problem(name, 0, 0, "", f"expected at least 1, not {value}")
        for name, value in values.items()
        if value < 1
    ]
    refuse(problems)
