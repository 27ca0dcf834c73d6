"""Options that name a plan, with the model that it was made for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from planner.commands.options import DEFAULT_MODEL, Output, bundle, optional_model, setting_option

if TYPE_CHECKING:
    from planner.infrastructure.failures import Scenario
    from planner.plan.reopening import Reopened, Subject


@dataclass(frozen=True)
class PlanArgument:
    """PLAN, its model where that has moved, and settings beyond those it was made with."""

    plan_file: Path
    model: str | None
    overrides: tuple[str, ...]

    def open_with_scenarios(
        self, output: Output, judged: bool = False
    ) -> tuple[Reopened, tuple[Scenario, ...]]:
        """Read the plan and its model, and select its scenarios as its model has them today.

        Parameters
        ----------
        judged
            Whether the plan is judged, by the standard of the model alone (`reopen`).
        """
        from planner.plan.reopening import planned_scenarios, reopen

        opened = reopen(self.plan_file, self.model, self.overrides, judged=judged)
        say_notes(opened.notes, output)
        scenarios, notes = planned_scenarios(opened.plan, opened.loaded.model)
        say_notes(notes, output)
        output.say(f"{opened.loaded.name}: {len(scenarios):,} scenarios")
        return replace(opened, notes=(*opened.notes, *notes)), scenarios


def say_notes(notes: tuple[str, ...], output: Output) -> None:
    """Say what whoever reads the results has to know about a plan and its model."""
    for note in notes:
        output.say(f"note: {note}")


#: PLAN, MODEL and --set as `plan`.
plan_argument = bundle(
    "plan",
    PlanArgument,
    click.argument("plan_file", metavar="PLAN", type=click.Path(path_type=Path)),
    optional_model,
    setting_option,
)


@dataclass(frozen=True)
class SubjectOptions:
    """What to simulate or draw: what exists in a model, or what a plan leads to."""

    model: str | None
    overrides: tuple[str, ...]
    plan_file: Path | None

    @property
    def name(self) -> str:
        """The model as it was named."""
        return self.model or DEFAULT_MODEL

    def open(self, output: Output) -> Subject:
        """Read the model and the plan, and say the notes on both."""
        from planner.plan.reopening import subject

        model = self.name if self.plan_file is None else self.model
        found = subject(model, self.plan_file, self.overrides)
        say_notes(found.notes, output)
        return found


#: MODEL, --set and --plan as `subject`.
subject_options = bundle(
    "subject",
    SubjectOptions,
    optional_model,
    setting_option,
    click.option("--plan", "plan_file", type=click.Path(path_type=Path), metavar="PLAN"),
)
