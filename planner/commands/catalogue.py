"""``plan catalogue``."""

from __future__ import annotations

from pathlib import Path

import click

from planner.commands.options import accepts, json_option
from planner.errors import EXIT_DONE

SECTIONS = ("gpus", "cooling", "offers", "prices", "climate", "shapes")


@click.command("catalogue")
@click.argument("section", type=click.Choice(SECTIONS), required=False)
@click.argument("name", required=False)
@click.option("--file", type=click.Path(path_type=Path))
@json_option
@accepts("--quiet")
def command(section: str | None, name: str | None, file: Path | None, as_json: bool) -> int:
    """List what a model may take with `from:` or name as a shape or climate.

    Without SECTION the names of all; with NAME every figure of one entry with its unit, year,
    confidence, source and note.
    """
    from planner.reporting.catalogue import show_entry, show_names, show_prices, show_section

    if file is not None and (section != "prices" or name is not None):
        raise click.UsageError("--file goes with `plan catalogue prices`, without NAME.")
    if section == "prices" and name is None:
        show_prices(file, as_json)
    elif section is None:
        show_names(as_json)
    elif name is None:
        show_section(section, as_json)
    else:
        show_entry(section, name, as_json)
    return EXIT_DONE
