"""``plan compare``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click

from planner.commands.options import (
    Output,
    bundle,
    gap_option,
    output_options,
    refuse_others,
    setting_option,
    solves_option,
    workers_options,
)
from planner.errors import EXIT_DONE, EXIT_NOT_SURVIVED


@dataclass(frozen=True)
class SideOptions:
    """A, B, models of plans that have moved, and settings of the model B."""

    a: str
    b: str
    models: tuple[str, ...]
    overrides: tuple[str, ...]


@dataclass(frozen=True)
class EffectOptions:
    """Whether to find what each differing value costs, with how many solves at which gap."""

    explain: bool
    solves: int
    gap: float


@click.command("compare")
@bundle(
    "sides",
    SideOptions,
    click.argument("a", metavar="A"),
    click.argument("b", metavar="B"),
    click.option("--model", "models", multiple=True, metavar="FILE"),
    setting_option,
)
@click.option("--markdown", is_flag=True)
@bundle(
    "effort",
    EffectOptions,
    click.option("--explain", is_flag=True),
    solves_option(20, 1),
    gap_option,
)
@click.option("--fail-if-worse", is_flag=True)
@output_options
@workers_options
def command(
    sides: SideOptions,
    markdown: bool,
    effort: EffectOptions,
    fail_if_worse: bool,
    output: Output,
) -> int:
    """Compare A and B: what B buys, costs and survives more or less than A.

    A and B are plans (a plan.json or its folder) or models (a file or the name of a shipped one),
    in any mixture, or two roadmaps. A model stands for what exists in it, simulated on the
    scenarios of the other side if that is a plan. A scenario is lost if A survives it and B does
    not, or if B was not judged on it any more.
    """
    from planner.analysis.compared_sides import named_sides
    from planner.analysis.comparison import compare
    from planner.analysis.effects import Effects, effects
    from planner.optimization.solution.settings import SolverSettings
    from planner.reporting.comparison import show_comparison
    from planner.reporting.comparison_exports import comparison_data, comparison_markdown
    from planner.reporting.terminal import print_json
    from planner.roadmap.files import is_roadmap

    if markdown and output.as_json:
        raise click.UsageError("Give --markdown or --json, not both.")
    if is_roadmap(Path(sides.a)) and is_roadmap(Path(sides.b)):
        return _of_roadmaps(sides, fail_if_worse, output)
    a, b = named_sides(sides.a, sides.b, sides.models, sides.overrides, output.say)
    comparison = compare(a, b)
    causes: Effects | None = None
    if effort.explain:
        settings = SolverSettings(gap=effort.gap)
        causes = effects(comparison, settings, effort.solves, output.say)
    if output.as_json:
        print_json(comparison_data(comparison, causes))
    elif markdown:
        click.echo(comparison_markdown(comparison, causes))
    else:
        show_comparison(comparison, causes)
    return EXIT_NOT_SURVIVED if fail_if_worse and comparison.lost else EXIT_DONE


def _of_roadmaps(sides: SideOptions, fail_if_worse: bool, output: Output) -> int:
    """Compare two roadmaps."""
    from planner.reporting.roadmap import show_roadmap_comparison
    from planner.roadmap.comparison import compare_roadmaps

    taken = {"a", "b", "fail_if_worse", "as_json", "quiet", "jobs", "scheduler"}
    refuse_others(taken, "two roadmaps")
    found = compare_roadmaps(Path(sides.a), Path(sides.b))
    show_roadmap_comparison(found, output.as_json)
    return EXIT_NOT_SURVIVED if fail_if_worse and found.lost else EXIT_DONE
