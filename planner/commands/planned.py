"""Plans named on the command line, each with the model that it was made for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from planner.errors import InputError

if TYPE_CHECKING:
    from planner.commands.options import Progress
    from planner.infrastructure.failures import Scenario
    from planner.infrastructure.loading import LoadedModel
    from planner.plan import Plan


def planned(
    plan_file: Path, model: str | None, overrides: tuple[str, ...]
) -> tuple[Plan, LoadedModel]:
    """A plan with its model, as changed by the settings that the plan was made with.

    Parameters
    ----------
    model
        Model file; None where the plan's model is a shipped one.
    overrides
        Further changes of the model.

    Raises
    ------
    InputError
        If the plan or the model is wrong, or they do not fit.
    """
    from planner.infrastructure.catalogue import shipped_models
    from planner.infrastructure.loading import load_model
    from planner.infrastructure.source import printable
    from planner.planfile import file_of, parse_plan, read_plan

    path = file_of(plan_file)
    reference = parse_plan(path).model
    if model is None and reference.name not in shipped_models():
        message = f"the plan is for `{printable(reference.name)}`, which is no shipped model; "
        raise InputError.single(str(path), f"{message}give its file as MODEL")
    loaded = load_model(model or reference.name, (*reference.overrides, *overrides))
    return read_plan(path, loaded), loaded


def scenarios_planned(plan: Plan, loaded: LoadedModel, progress: Progress) -> tuple[Scenario, ...]:
    """Scenarios of a plan, as the model has them today; what has changed is said."""
    from planner.commands.selecting import wanted_by
    from planner.infrastructure.source import printable
    from planner.scenarios.selection import select

    planned_for = {line.name for line in plan.scenarios}
    found = select(loaded.model, wanted_by(plan)).scenarios
    names = {one.name for one in found}
    changes = (("no longer there", planned_for - names), ("new and left out", names - planned_for))
    for text, some in changes:
        if some:
            shown = printable(", ".join(sorted(some)[:3])) + (", …" if len(some) > 3 else "")
            are = "scenario is" if len(some) == 1 else "scenarios are"
            progress.say(f"note: {len(some)} {are} {text}: {shown}")
    return tuple(one for one in found if one.name in planned_for)
