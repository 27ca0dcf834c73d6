"""``plan frontier``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from planner.amounts import money
from planner.commands.options import (
    FiniteRange,
    Progress,
    examples,
    model_argument,
    output_options,
    solver_options,
)
from planner.commands.scenario_options import choose, selection_options
from planner.errors import EXIT_DONE, EXIT_INFEASIBLE, EXIT_NOT_SURVIVED

if TYPE_CHECKING:
    from planner.analysis.frontier import FrontierPoint
    from planner.scenarios.selection import Wanted

    NumbersType = click.ParamType[tuple[float, ...]]
else:
    # Generic from click 8.4 on only.
    NumbersType = click.ParamType

#: Points of an axis that has none of its own.
POINTS = 4


class NumberList(NumbersType):
    """Numbers separated by commas."""

    name = "numbers"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float, ...]:
        """Convert a text."""
        if isinstance(value, tuple):
            return value
        number = FiniteRange(0)
        return tuple(number.convert(part.strip(), param, ctx) for part in str(value).split(","))


@click.command(
    "frontier",
    epilog=examples(
        "plan frontier tiny --points 2",
        "plan frontier tiny --by recovery --at 60,240 -o costs.csv",
        "plan frontier chatgpt-2023 --by classes --json",
    ),
)
@model_argument
@click.option(
    "--by",
    type=click.Choice(["standard", "failures", "classes", "recovery"]),
    default="standard",
    show_default=True,
    help="Share of the standard; components lost together; severity classes; minutes to full "
    "service.",
)
@click.option(
    "--points",
    type=click.IntRange(2, 100),
    help=f"Points on the axes `standard` and `recovery`; {POINTS} if not given.",
)
@click.option(
    "--at", "values", type=NumberList(), metavar="N,N,...", help="These points instead: 0.8,0.9,1."
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write the table (.csv) or a picture: .png, .svg, .pdf (extra `plots`).",
)
@solver_options(
    gap="Relative gap of every point.",
    time_limit="Time for one point.",
)
@output_options
@selection_options
def command(
    model: str,
    overrides: tuple[str, ...],
    by: Any,
    points: int | None,
    values: tuple[float, ...] | None,
    output: Path | None,
    solver: str,
    gap: float,
    time_limit: float | None,
    threads: int | None,
    as_json: bool,
    quiet: bool,
    wanted: Wanted | None,
) -> int:
    """Show what survivability costs: the cheapest surviving plan of MODEL at every point.

    Every point is optimised and simulated as `plan optimize` does. Exits with 3 if no point has a
    plan, with 4 if none has one that survives.
    """
    from planner.analysis.frontier import settings_of, trace
    from planner.commands.interruption import interruptible
    from planner.infrastructure.loading import load_model
    from planner.optimization.solution.solving import SolverSettings, make_solver
    from planner.reporting.frontier import check_output, show_frontier, write_output

    if points is not None and (values or by in ("failures", "classes")):
        other = "--at" if values else f"--by {by}"
        raise click.UsageError(f"--points does nothing beside {other}, which has its own.")
    progress = Progress(quiet)
    make_solver(SolverSettings(solver, gap, time_limit, threads))
    loaded = load_model(model, overrides)
    if output is not None:
        check_output(output)
    scenarios = choose(loaded, wanted, progress).scenarios
    settings = settings_of(
        by, loaded.model, scenarios, POINTS if points is None else points, values or ()
    )
    total = len(settings)
    progress.part(0, total)
    progress.say(f"{total} points: {', '.join(one.label for one in settings)}")
    with progress.working(), interruptible(quiet) as stop:
        limits = SolverSettings(solver, gap, time_limit, threads, stop)
        frontier = trace(
            by, settings, loaded.model, scenarios, limits, lambda one: _told(one, progress, total)
        )
    if output is not None:
        write_output(frontier, loaded.name, output)
        progress.say(f"wrote {output}")
    show_frontier(frontier, loaded, as_json)
    if not any(one.planned for one in frontier.points):
        return EXIT_INFEASIBLE
    survives = any(one.status in ("survives", "unproven") for one in frontier.points)
    return EXIT_DONE if survives else EXIT_NOT_SURVIVED


def _told(point: FrontierPoint, progress: Progress, total: int) -> None:
    progress.say(_line(point))
    progress.part(progress.done + 1, total)


def _line(point: FrontierPoint) -> str:
    if not point.planned:
        return f"{point.label}: {point.status}"
    rounds = f"{point.rounds} round{'s' if point.rounds > 1 else ''}"
    return f"{point.label}: {money(point.cost_usd, 3)} a year, {point.status}, {rounds}"
