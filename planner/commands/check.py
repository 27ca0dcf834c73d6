"""``plan check``."""

from __future__ import annotations

import click

from planner.commands.options import accepts, model_argument
from planner.errors import EXIT_DONE


@click.command("check")
@model_argument
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for machines.")
@accepts("--quiet")
def command(model: str, overrides: tuple[str, ...], as_json: bool) -> int:
    """Validate MODEL and say what it holds, or list everything that is wrong with it.

    Also asks the graph: which single nodes take a tier down, and whether emergency cooling is
    independent of the primary.
    """
    from planner.infrastructure.loading import load_model
    from planner.reporting import terminal

    terminal.show_check(load_model(model, overrides), as_json)
    return EXIT_DONE
