"""``plan schema``."""

from __future__ import annotations

import click

from planner.commands.options import accepts, examples
from planner.errors import EXIT_DONE


@click.command("schema", epilog=examples("plan schema", "plan schema > model.schema.json"))
@accepts("--json", "--quiet")
def command() -> int:
    """Print the JSON Schema of model files, for editors and validators."""
    from planner.infrastructure.schema import model_schema
    from planner.reporting.terminal import print_json

    print_json(model_schema())
    return EXIT_DONE
