"""``plan explain``."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import click

from planner.commands.options import (
    Output,
    output_options,
    solver_options,
    solves_option,
    workers_options,
)
from planner.commands.plan_options import PlanArgument, plan_argument
from planner.errors import EXIT_DONE

if TYPE_CHECKING:
    from planner.optimization.solution.settings import SolverSettings

QUICK_SOLVES = 16


@click.command("explain")
@plan_argument
@solves_option(45, 0)
@click.option("--quick", is_flag=True)
@solver_options()
@output_options
@workers_options
def command(
    plan: PlanArgument, solves: int, quick: bool, settings: SolverSettings, output: Output
) -> int:
    """Say why PLAN (a plan.json or its folder) buys what it buys.

    Solves the programme of the plan repeatedly, each time without one scenario or requirement, or
    with one unit, block, instance or megawatt less or more: which scenario binds which decision,
    what each costs, the marginal value of the next one, and what was learned from the simulation.
    MODEL is only needed where the plan's model has moved, or to take one that extends it.
    """
    from planner.analysis.explanation import explain
    from planner.analysis.marginal import Questions
    from planner.reporting.explanation import show_explanation

    opened, scenarios = plan.open_with_scenarios(output)
    most, limit = min(solves, QUICK_SOLVES) if quick else solves, settings.time_limit_seconds
    questions = Questions(replace(settings, time_limit_seconds=None), most, limit)

    def progress(text: str) -> None:
        output.say(text)
        if questions.made:
            output.progress.part(questions.made - 1, most)

    questions.progress = progress
    with output.progress.working(limit):
        explanation = explain(opened.plan, opened.loaded, scenarios, questions)
    show_explanation(explanation, opened.plan, output.as_json, opened.notes)
    return EXIT_DONE
