"""Plans named on the command line, each with the model that it was made for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from planner.commands.options import Progress
    from planner.infrastructure.failures import Scenario
    from planner.plan.reopening import Reopened


def planned(
    plan_file: Path, model: str | None, overrides: tuple[str, ...], progress: Progress
) -> Reopened:
    """A plan with its model; what is to be known about the two is said.

    Parameters
    ----------
    model
        Model file or shipped name; None where the plan is to say it.
    overrides
        Changes of the model beyond those that the plan was made with.

    Raises
    ------
    InputError
        If the plan or the model is wrong, or they do not fit.
    """
    from planner.plan.reopening import reopen

    opened = reopen(plan_file, model, overrides)
    say_notes(opened, progress)
    return opened


def with_scenarios(opened: Reopened, progress: Progress) -> tuple[Reopened, tuple[Scenario, ...]]:
    """Scenarios of a plan, as the model has them today; what has changed is said and noted."""
    from planner.plan.reopening import planned_scenarios

    scenarios, notes = planned_scenarios(opened.plan, opened.loaded.model)
    for note in notes:
        progress.say(f"note: {note}")
    return replace(opened, notes=(*opened.notes, *notes)), scenarios


def say_notes(opened: Reopened, progress: Progress) -> None:
    """Say what is to be known about a plan and its model."""
    for note in opened.notes:
        progress.say(f"note: {note}")
