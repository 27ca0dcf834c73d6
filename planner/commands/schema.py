"""``plan schema``."""

from __future__ import annotations

import click

from planner.commands.options import accepts
from planner.errors import EXIT_DONE


@click.command("schema")
@click.argument("kind", type=click.Choice(["model", "incident"]), default="model")
@accepts("--json", "--quiet")
def command(kind: str) -> int:
    """Print the JSON Schema of model or incident files, for editors and validators."""
    from planner.infrastructure.schema import model_schema
    from planner.replay.schema import incident_schema
    from planner.reporting.terminal import print_json

    print_json(model_schema() if kind == "model" else incident_schema())
    return EXIT_DONE
