"""``plan catalogue``."""

from __future__ import annotations

import click

from planner.commands.options import accepts, examples, json_option
from planner.errors import EXIT_DONE

SECTIONS = ("gpus", "cooling", "offers", "climate", "shapes")


@click.command(
    "catalogue",
    epilog=examples(
        "plan catalogue",
        "plan catalogue gpus",
        "plan catalogue cooling chiller-3.5",
        "plan catalogue offers --json",
    ),
)
@click.argument("section", type=click.Choice(SECTIONS), required=False)
@click.argument("name", required=False)
@json_option
@accepts("--quiet")
def command(section: str | None, name: str | None, as_json: bool) -> int:
    """List what a model may take with `from:` or name as a shape or climate.

    Without SECTION the names of all; with NAME every figure of one entry with its unit, year,
    confidence, source and note.
    """
    from planner.reporting.catalogue import show_entry, show_names, show_section

    if section is None:
        show_names(as_json)
    elif name is None:
        show_section(section, as_json)
    else:
        show_entry(section, name, as_json)
    return EXIT_DONE
