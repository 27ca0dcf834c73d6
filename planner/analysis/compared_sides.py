"""The two sides of a comparison as they are named: plans, files of plans, models."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path

from planner.analysis.comparison import ComparedPlan
from planner.analysis.reassessment import existing
from planner.errors import InputError, Problem, refuse
from planner.infrastructure.catalogue import shipped_models
from planner.infrastructure.loading import LoadedModel, load_model
from planner.infrastructure.source import is_file, printable
from planner.plan.files import is_for, parse_plan
from planner.plan.records import Plan
from planner.plan.reopening import UnknownModelError, reopen, wanted_by

#: A plan or a model, its file or folder, or the name of a shipped model.
Side = str | Path | Plan | LoadedModel
ModelFile = str | Path


def named_sides(
    a: Side,
    b: Side,
    models: Collection[str] = (),
    overrides: tuple[str, ...] = (),
    progress: Callable[[str], None] = lambda _: None,
) -> tuple[ComparedPlan, ComparedPlan]:
    """Read both sides of a comparison.

    A model stands for what exists in it, simulated on the scenarios of the other side if that is a
    plan. The model of a plan is found where the plan says, among the sides, and among `models`.

    Parameters
    ----------
    models
        Model files of plans that have moved, or that extend those of the plans.
    overrides
        Settings of B, which then has to be a model.
    progress
        Told what is worked on, and what is odd about a side.

    Raises
    ------
    InputError
        With everything that is wrong with any of them.
    """
    sides = _read(a, b, models, overrides)
    files = [*models, *(file for named in (a, b) if (file := _model_file(named)) is not None)]
    compared = []
    for named, side, other in zip((a, b), sides, reversed(sides), strict=True):
        label = str(named) if isinstance(named, str | Path) else _name(side)
        if isinstance(side, Plan):
            compared.append(_plan_side(label, side, files))
            continue
        progress(f"simulating what exists in {side.name}")
        wanted = wanted_by(other) if isinstance(other, Plan) else None
        compared.append(ComparedPlan(label, "model", existing(side, wanted), side))
    for found in compared:
        if found.note:
            progress(f"note: {found.label}: {found.note}")
    return compared[0], compared[1]


def _model_file(named: Side) -> ModelFile | None:
    """Where a side's model is, if it is a model; None for plans and models without a file."""
    if isinstance(named, LoadedModel):
        return named.file
    return None if isinstance(named, Plan) or is_plan(named) else named


def _name(side: Plan | LoadedModel) -> str:
    return f"plan for {side.model.name}" if isinstance(side, Plan) else side.name


def _read(
    a: Side, b: Side, models: Collection[str], overrides: tuple[str, ...]
) -> tuple[Plan | LoadedModel, Plan | LoadedModel]:
    """Both sides, or everything that is wrong with any of them at once."""
    sides: list[Plan | LoadedModel] = []
    problems: list[Problem] = []
    for named, settings in ((a, ()), (b, overrides)):
        try:
            side = _side(named, settings)
            if settings and isinstance(side, Plan):
                message = f"changes a model, and B ({b}) is a plan"
                problems.append(Problem("--set", 0, 0, "", message))
            sides.append(side)
        except InputError as error:
            problems += [_in_words_of_either(problem) for problem in error.problems]
    plans = [side for side in sides if isinstance(side, Plan)]
    for file in models:
        wrong = _reason_against(file, plans)
        if wrong:
            problems.append(Problem(f"--model {printable(file)}", 0, 0, "", wrong))
    refuse(problems)
    return sides[0], sides[1]


def _side(named: Side, overrides: tuple[str, ...]) -> Plan | LoadedModel:
    if isinstance(named, Plan | LoadedModel):
        return named
    return parse_plan(Path(named)) if is_plan(named) else load_model(named, overrides)


def _in_words_of_either(problem: Problem) -> Problem:
    """A problem of a model in the words of somebody who may have meant a plan."""
    message = problem.message.replace("no such file or shipped", "no such plan, file or shipped")
    return Problem(problem.file, problem.line, problem.column, problem.where, message)


def is_plan(named: str | Path) -> bool:
    """Whether a reference is a plan: a folder, a file of JSON; all else is taken for a model."""
    path = Path(named)
    try:
        if path.is_dir():
            return (path / "plan.json").exists() or str(named) not in shipped_models()
        if not path.is_file() or path.suffix.lower() in (".yaml", ".yml"):
            return path.suffix.lower() == ".json"
        with path.open("rb") as stream:
            return path.suffix.lower() == ".json" or stream.read(64).lstrip()[:1] == b"{"
    except (OSError, ValueError):
        return False


def _reason_against(file: str, plans: Collection[Plan]) -> str:
    """Why a file is the model of no plan; empty if it is."""
    if any(_is_model_of(file, plan) for plan in plans):
        return "" if is_file(Path(file)) else "is not a file"
    shown = " and ".join(sorted({f"`{printable(plan.model.name)}`" for plan in plans}))
    return f"is not the model of a plan: these are for {shown or 'none, both are models'}"


def _is_model_of(file: ModelFile, plan: Plan) -> bool:
    """Whether a file has the name of a plan's model, or extends that."""
    if Path(file).stem == plan.model.name:
        return True
    try:
        return is_for(plan, load_model(file))
    except InputError:
        return False


def _plan_side(label: str, plan: Plan, files: Collection[ModelFile]) -> ComparedPlan:
    """A plan with its model, if that can be found and still loads.

    Of several files of the same name, such as that of two branches, the one that it was made with.
    """
    at_hand = [file for file in files if _is_model_of(file, plan)]
    try:
        opened = reopen(plan, among=at_hand)
    except UnknownModelError:
        note = "its model is not known; --model FILE names it"
        return ComparedPlan(label, "plan", plan, None, note)
    except InputError as error:
        note = f"its model cannot be used any more: {error.problems[0]}"
        return ComparedPlan(label, "plan", plan, None, note)
    return ComparedPlan(label, "plan", plan, opened.loaded, "; ".join(opened.notes))
