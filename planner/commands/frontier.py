"""``plan frontier``."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from planner.amounts import money
from planner.commands.options import (
    ModelArgument,
    Output,
    bundle,
    file_option,
    model_argument,
    output_options,
    solver_options,
    workers_options,
)
from planner.commands.parameter_types import NumberList
from planner.commands.scenario_options import choose, selection_options
from planner.errors import EXIT_DONE, EXIT_INFEASIBLE, EXIT_NOT_SURVIVED

if TYPE_CHECKING:
    from planner.analysis.axes import Axis
    from planner.analysis.frontier import FrontierPoint
    from planner.optimization.solution.settings import SolverSettings
    from planner.selection import Wanted

#: Points of an axis that has none of its own.
POINTS = 4


@dataclass(frozen=True)
class AxisOptions:
    """How many points the frontier has, or which."""

    by: Axis
    points: int | None
    values: tuple[float, ...] | None

    def __post_init__(self) -> None:
        if self.points is not None and (self.values or self.by in ("failures", "classes")):
            given = "--at" if self.values else f"--by {self.by}"
            raise click.UsageError(f"--points has no effect with {given}, which sets the points.")


@click.command("frontier")
@model_argument
@bundle(
    "axis",
    AxisOptions,
    click.option(
        "--by",
        type=click.Choice(["standard", "failures", "classes", "recovery"]),
        default="standard",
    ),
    click.option("--points", type=click.IntRange(2, 100)),
    click.option("--at", "values", type=NumberList(), metavar="N,N,..."),
)
@file_option("FILE")
@solver_options()
@output_options
@workers_options
@selection_options
def command(
    model: ModelArgument,
    axis: AxisOptions,
    file: Path | None,
    settings: SolverSettings,
    output: Output,
    wanted: Wanted | None,
) -> int:
    """Show what survivability costs: the cheapest surviving plan of MODEL at every point.

    Every point is optimised and simulated as `plan optimize` does. Exits with 3 if no point has a
    plan, with 4 if none has one that survives.
    """
    from planner.analysis.axes import settings_of
    from planner.analysis.frontier import trace
    from planner.commands.interruption import interruptible
    from planner.reporting.frontier import check_output, show_frontier, write_output

    loaded = model.load()
    if file is not None:
        check_output(file)
    selection = choose(loaded, wanted, output, settings)
    scenarios = selection.scenarios
    points = settings_of(axis.by, loaded.model, scenarios, axis.points or POINTS, axis.values or ())
    progress = output.progress
    progress.part(0, len(points))
    progress.say(f"{len(points)} points: {', '.join(point.label for point in points)}")

    def traced(point: FrontierPoint) -> None:
        progress.say(_line(point))
        progress.part(progress.done + 1, len(points))

    with progress.working(), interruptible(output.quiet) as stop:
        limits = replace(settings, stop=stop)
        frontier = trace(axis.by, points, loaded.model, scenarios, limits, traced, selection)
    if file is not None:
        write_output(frontier, loaded.name, file)
        progress.say(f"wrote {file}")
    show_frontier(frontier, loaded, output.as_json)
    if not any(point.planned for point in frontier.points):
        return EXIT_INFEASIBLE
    survives = any(point.status in ("survives", "unproven") for point in frontier.points)
    return EXIT_DONE if survives else EXIT_NOT_SURVIVED


def _line(point: FrontierPoint) -> str:
    if not point.planned:
        return f"{point.label}: {point.status}"
    rounds = f"{point.rounds} round{'s' if point.rounds > 1 else ''}"
    return f"{point.label}: {money(point.cost_usd, 3)} a year, {point.status}, {rounds}"
