"""``plan roadmap``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from planner.commands.options import (
    ModelArgument,
    Output,
    file_option,
    model_argument,
    output_options,
    policy_options,
    solver_options,
    workers_options,
)
from planner.commands.scenario_options import selection_options
from planner.errors import EXIT_DONE, EXIT_INFEASIBLE, EXIT_NOT_SURVIVED, EXIT_TIME_LIMIT

if TYPE_CHECKING:
    from planner.infrastructure.loading import LoadedModel
    from planner.optimization.solution.settings import SolverSettings
    from planner.roadmap.records import Roadmap
    from planner.roadmap.result import RoadmapResult
    from planner.selection import Wanted


@click.command("roadmap")
@model_argument
@file_option("DIR", "folder", file_okay=False)
@solver_options()
@click.option("--rounds", default=12, type=click.IntRange(1, 100))
@click.option("--from", "earlier", type=click.Path(path_type=Path), metavar="ROADMAP")
@click.option("--now", "decided", type=click.IntRange(1), metavar="N")
@click.option("--delays", default=10, type=click.IntRange(0, 1000), metavar="N")
@output_options
@selection_options
@policy_options
@workers_options
def command(
    model: ModelArgument,
    folder: Path | None,
    settings: SolverSettings,
    rounds: int,
    earlier: Path | None,
    decided: int | None,
    delays: int,
    output: Output,
    wanted: Wanted | None,
    policies: tuple[str, ...],
) -> int:
    """Find what to order when over the horizon of MODEL, at least cost.

    Every period survives its failures with the demand, prices, limits and equipment of that period;
    equipment comes into service its lead time after the order. Prints the calendar of orders.
    """
    from planner.files import check_folder
    from planner.reporting import roadmap as shown
    from planner.roadmap.making import check_horizon

    loaded = replace(model, overrides=(*policies, *model.overrides)).load()
    check_horizon(loaded)
    before = _earlier(earlier, loaded, decided)
    if folder is not None:
        check_folder(folder)
    result, roadmap = _searched(loaded, settings, wanted, rounds, before, decided, delays, output)
    if roadmap is None:
        from planner.roadmap.infeasible import why_none

        output.say("looking for what would help")
        shown.show_infeasible(why_none(loaded.model, result, settings), output.as_json)
        return EXIT_INFEASIBLE
    with output.shown_whether_written(lambda: shown.show_roadmap(roadmap, output.as_json)):
        if folder is not None:
            from planner.roadmap.files import write_roadmap

            written = write_roadmap(roadmap, folder)
            output.say(f"wrote {written[0]} and {len(written) - 1} more")
    return _exit_code(roadmap)


def _earlier(path: Path | None, loaded: LoadedModel, decided: int | None) -> Roadmap | None:
    """The earlier roadmap, whose orders still have to exist in the model."""
    from planner.roadmap.files import read_roadmap

    if path is None:
        if decided is not None and decided > 1:
            raise click.UsageError("--now needs --from: which orders are decided?")
        return None
    return read_roadmap(path, loaded)


def _searched(
    loaded: LoadedModel,
    settings: SolverSettings,
    wanted: Wanted | None,
    rounds: int,
    before: Roadmap | None,
    decided: int | None,
    delays: int,
    output: Output,
) -> tuple[RoadmapResult, Roadmap | None]:
    """Plan, price delays and paths, with progress and Ctrl-C."""
    from planner.commands.interruption import interruptible
    from planner.roadmap.making import make

    limit = settings.time_limit_seconds
    with output.progress.working(limit), interruptible(output.quiet) as stop:
        return make(
            loaded,
            replace(settings, stop=stop),
            wanted,
            rounds,
            lambda text: output.say(f"  {text}"),
            before,
            (decided or 1) - 1,
            delays,
        )


def _exit_code(roadmap: Roadmap) -> int:
    if roadmap.stopped is not None or roadmap.status == "feasible":
        return EXIT_TIME_LIMIT
    return EXIT_DONE if roadmap.survives else EXIT_NOT_SURVIVED
