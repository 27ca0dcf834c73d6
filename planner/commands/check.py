"""``plan check``."""

from __future__ import annotations

import click

from planner.commands.options import ModelArgument, Output, model_argument, output_options
from planner.commands.progress import plan_line, settings_of
from planner.errors import EXIT_DONE


@click.command("check")
@model_argument
@output_options
def command(model: ModelArgument, output: Output) -> int:
    """Validate MODEL and say what it holds, or list everything that is wrong with it.

    Also asks the graph: which single nodes take a tier down, and whether emergency cooling is
    independent of the primary.
    """
    from planner.reporting import checking

    checking.show_check(model.load(), output.as_json)
    settings = settings_of(model.overrides)
    output.suggest(
        plan_line("simulate", model.model, *settings),
        plan_line("optimize", model.model, *settings, "-o", "out"),
    )
    return EXIT_DONE
