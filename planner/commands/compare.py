"""``plan compare``."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

import click

from planner.commands.options import FiniteRange, Progress, output_options
from planner.errors import EXIT_DONE, EXIT_NOT_SURVIVED, InputError, Problem

if TYPE_CHECKING:
    from planner.analysis.comparison import ComparedPlan, Comparison, Effects
    from planner.infrastructure.loading import LoadedModel
    from planner.plan.records import Plan

EXAMPLES = """
\b
Examples:
  plan compare before after                  two plans (folders of -o)
  plan compare tiny out                      what exists against a plan
  plan compare before after --markdown       for a pull-request comment
  plan compare before after --explain        what each change costs
  plan compare tiny tiny --set zones.west-users.demand_rps=900
  plan compare before after --fail-if-worse  exit 4 if a scenario is lost

A plan's model is found where the plan says, among A and B, and among the files
given with --model; without it the plans are still compared, but not the values
of their models.
"""


@click.command("compare", epilog=EXAMPLES)
@click.argument("a", metavar="A")
@click.argument("b", metavar="B")
@click.option(
    "--model",
    "models",
    multiple=True,
    metavar="FILE",
    help="Model of a plan, where that has moved, or one that extends it (repeatable).",
)
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="PATH=VALUE",
    help="Change a value of the model B (repeatable).",
)
@click.option("--markdown", is_flag=True, help="Print Markdown, for a pull-request comment.")
@click.option(
    "--explain",
    is_flag=True,
    help="Solve B again with one group of differing values at a time taken back: what each costs.",
)
@click.option(
    "--solves",
    default=20,
    show_default=True,
    type=click.IntRange(1, 10_000),
    metavar="N",
    help="Most groups that --explain asks about.",
)
@click.option(
    "--gap",
    default=1e-4,
    show_default=True,
    type=FiniteRange(0, 1, max_open=True),
    help="Relative gap of every solve of --explain.",
)
@click.option("--fail-if-worse", is_flag=True, help="Exit with 4 if B loses a scenario.")
@click.option(
    "-j",
    "--jobs",
    type=click.IntRange(1, 256),
    default=1,
    show_default=True,
    metavar="N",
    help="Processes that share the simulation of a model.",
)
@output_options
def command(
    a: str,
    b: str,
    models: tuple[str, ...],
    overrides: tuple[str, ...],
    markdown: bool,
    explain: bool,
    solves: int,
    gap: float,
    fail_if_worse: bool,
    jobs: int,
    as_json: bool,
    quiet: bool,
) -> int:
    """Say what B buys, costs and survives more or less than A.

    A and B are plans (a plan.json or its folder) or models (a file or the name of a shipped one),
    in any mixture. A model stands for what exists in it, simulated on the scenarios of the other
    side if that is a plan. A scenario is lost if A survives it and B does not, or if B was not
    judged on it any more.
    """
    from planner.analysis.comparison import compare, effects
    from planner.optimization.solution.solving import SolverSettings
    from planner.reporting.comparison import show_comparison
    from planner.reporting.comparison_exports import comparison_data, comparison_markdown
    from planner.reporting.terminal import print_json

    if markdown and as_json:
        raise click.UsageError("Give --markdown or --json, not both.")
    progress = Progress(quiet)
    comparison = compare(*_sides(a, b, models, overrides, jobs, progress))
    causes: Effects | None = None
    if explain:
        causes = effects(comparison, SolverSettings(gap=gap), solves, progress.say)
    if as_json:
        print_json(comparison_data(comparison, causes))
    elif markdown:
        click.echo(comparison_markdown(comparison, causes))
    else:
        show_comparison(comparison, causes)
    return _code(comparison, fail_if_worse)


def _code(comparison: Comparison, fail_if_worse: bool) -> int:
    return EXIT_NOT_SURVIVED if fail_if_worse and comparison.lost else EXIT_DONE


def _sides(
    a: str,
    b: str,
    models: tuple[str, ...],
    overrides: tuple[str, ...],
    jobs: int,
    progress: Progress,
) -> tuple[ComparedPlan, ComparedPlan]:
    """Both sides, with all that is wrong with any of them at once."""
    from planner.analysis.comparison import ComparedPlan, existing
    from planner.infrastructure.loading import load_model
    from planner.infrastructure.source import printable
    from planner.plan.files import parse_plan
    from planner.plan.reopening import wanted_by

    plans: dict[int, Plan] = {}
    loaded: dict[int, LoadedModel] = {}
    problems: list[Problem] = []
    for number, text in enumerate((a, b)):
        settings = overrides if number else ()
        try:
            if _is_plan(text):
                plans[number] = parse_plan(Path(text))
            else:
                loaded[number] = load_model(text, settings)
        except InputError as error:
            problems += [_told(problem) for problem in error.problems]
    if overrides and 1 in plans:
        problems.append(Problem("--set", 0, 0, "", f"changes a model, and B ({b}) is a plan"))
    for file in models:
        wrong = _unfit(file, plans.values())
        if wrong:
            problems.append(Problem(f"--model {printable(file)}", 0, 0, "", wrong))
    if problems:
        raise InputError(problems)
    files = [*models, *(text for n, text in enumerate((a, b)) if n in loaded)]
    sides = []
    for number, text in enumerate((a, b)):
        if number in plans:
            sides.append(_plan_side(text, plans[number], files))
            continue
        other = plans.get(1 - number)
        wanted = None if other is None else wanted_by(other)
        progress.say(f"simulating what exists in {loaded[number].name}")
        plan = existing(loaded[number], wanted, jobs)
        sides.append(ComparedPlan(text, "model", plan, loaded[number]))
    for side in sides:
        if side.note:
            progress.say(f"note: {side.label}: {side.note}")
    return sides[0], sides[1]


def _told(problem: Problem) -> Problem:
    """A problem of a model in the words of somebody who may have meant a plan."""
    message = problem.message.replace("no such file or shipped", "no such plan, file or shipped")
    return Problem(problem.file, problem.line, problem.column, problem.where, message)


def _is_plan(text: str) -> bool:
    """Whether an argument is a plan: a folder, a file of JSON; all else is taken for a model."""
    from planner.infrastructure.catalogue import shipped_models

    path = Path(text)
    try:
        if path.is_dir():
            return (path / "plan.json").exists() or text not in shipped_models()
        if not path.is_file() or path.suffix.lower() in (".yaml", ".yml"):
            return path.suffix.lower() == ".json"
        with path.open("rb") as stream:
            return path.suffix.lower() == ".json" or stream.read(64).lstrip()[:1] == b"{"
    except (OSError, ValueError):
        return False


def _unfit(file: str, plans: Collection[Plan]) -> str:
    """Why a file given with --model is the model of no plan; empty if it is."""
    from planner.infrastructure.source import is_file, printable

    if any(_is_model_of(file, plan) for plan in plans):
        return "" if is_file(Path(file)) else "is no file"
    shown = " and ".join(sorted({f"`{printable(plan.model.name)}`" for plan in plans}))
    return f"is not the model of a plan: these are for {shown or 'none, both are models'}"


def _is_model_of(file: str, plan: Plan) -> bool:
    """Whether a file has the name of a plan's model, or extends that."""
    from planner.infrastructure.loading import load_model
    from planner.plan.files import is_for

    if Path(file).stem == plan.model.name:
        return True
    try:
        return is_for(plan, load_model(file))
    except InputError:
        return False


def _plan_side(text: str, plan: Plan, files: list[str]) -> ComparedPlan:
    """A plan with its model, if that can be found and still loads.

    Of several files of the same name, such as that of two branches, the one that it was made with.
    """
    from planner.analysis.comparison import ComparedPlan
    from planner.plan.reopening import UnknownModelError, reopen

    at_hand = [file for file in files if _is_model_of(file, plan)]
    try:
        opened = reopen(plan, among=at_hand)
    except UnknownModelError:
        note = "its model is not known; --model FILE names it"
        return ComparedPlan(text, "plan", plan, None, note)
    except InputError as error:
        note = f"its model cannot be used any more: {error.problems[0]}"
        return ComparedPlan(text, "plan", plan, None, note)
    return ComparedPlan(text, "plan", plan, opened.loaded, "; ".join(opened.notes))
