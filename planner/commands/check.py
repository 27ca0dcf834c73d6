"""``plan check``."""

from __future__ import annotations

import click

from planner.commands.options import Progress, examples, model_argument
from planner.commands.progress import plan_line, settings_of
from planner.errors import EXIT_DONE


@click.command(
    "check",
    epilog=examples(
        "plan check tiny",
        "plan check my-model.yaml",
        "plan check my-model.yaml --set regions.west.power_limit_mw=20 --json",
    ),
)
@model_argument
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for machines.")
@click.option("-q", "--quiet", is_flag=True, help="Suggest nothing on standard error.")
def command(model: str, overrides: tuple[str, ...], as_json: bool, quiet: bool) -> int:
    """Validate MODEL and say what it holds, or list everything that is wrong with it.

    Also asks the graph: which single nodes take a tier down, and whether emergency cooling is
    independent of the primary.
    """
    from planner.infrastructure.loading import load_model
    from planner.reporting import checking

    checking.show_check(load_model(model, overrides), as_json)
    Progress(quiet).next(
        plan_line("simulate", model, *settings_of(overrides)),
        plan_line("optimize", model, *settings_of(overrides), "-o", "out"),
        silent=as_json,
    )
    return EXIT_DONE
