"""``plan import``."""

from __future__ import annotations

import os
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from planner.commands.options import (
    Output,
    complete_models,
    examples,
    file_option,
    output_options,
)
from planner.commands.progress import plan_line
from planner.errors import EXIT_DONE, InputError
from planner.files import check_file, write_file

if TYPE_CHECKING:
    from planner.imports.inventory import Importer, Inventory
    from planner.imports.merging import Merged

SOURCES = ("netbox",)


@click.command(
    "import",
    epilog=examples(
        "plan import netbox export -o platform.yaml",
        "plan import netbox export --planned -o built.yaml",
        "plan import netbox export --into platform.yaml",
        "plan import netbox export --into platform.yaml -o merged.yaml",
    ),
)
@click.argument("source", type=click.Choice(SOURCES))
@click.argument("folder", metavar="FOLDER", type=click.Path(path_type=Path))
@file_option("MODEL", "Write the model to MODEL (.yaml), which must not exist.", dir_okay=False)
@click.option(
    "--into",
    metavar="MODEL",
    shell_complete=complete_models,
    help="Show what would be added to MODEL; what it says stays. With -o write the merged model.",
)
@click.option(
    "--take",
    multiple=True,
    metavar="PATTERN",
    help="With --into: values that the inventory has the last word on, e.g. "
    "'clusters.*_gpus' (repeatable).",
)
@click.option("--planned", is_flag=True, help="Count planned and staged equipment as in place.")
@output_options
def command(
    source: str,
    folder: Path,
    file: Path | None,
    into: str | None,
    take: tuple[str, ...],
    planned: bool,
    output: Output,
) -> int:
    """Make a model from an inventory, and list what is missing, assumed or suspect.

    netbox: FOLDER has the lists of NetBox's API as files: sites.json is what GET
    /api/dcim/sites/ returned, and so on; more pages are sites.2.json, ... Nothing is invented: what
    a model needs and the inventory lacks is assumed, marked in the file and listed. Without -o
    nothing is written.
    """
    from planner.imports.model_text import completed, model_text
    from planner.reporting.importing import show_import

    if take and into is None:
        raise click.UsageError("--take needs --into.")
    if file is not None:
        _check(file)
    inventory = completed(_importer(source)(folder, planned))
    merged = None if into is None else _merged(into, inventory, take)
    text = model_text(inventory) if merged is None else merged.text
    if file is not None:
        _checked(text, file.parent)
        write_file(text.encode(), file)
    elif merged is None:
        with tempfile.TemporaryDirectory() as place:
            _checked(text, Path(place))
    show_import(inventory, file, merged, into or "", output.as_json)
    if file is None:
        output.say("nothing was written; say -o MODEL.yaml to write it")
    else:
        output.say(f"wrote {file}")
        output.suggest(
            plan_line("check", file), plan_line("graph", file, "-o", file.with_suffix(".html"))
        )
    return EXIT_DONE


def _importer(source: str) -> Importer:
    """The importer of a source."""
    from planner.imports.netbox import read_netbox

    return {"netbox": read_netbox}[source]


def _check(file: Path) -> None:
    check_file(file, ".yaml", ".yml")
    if os.path.lexists(file):
        message = "exists and is not overwritten; name another file, or merge with --into"
        raise InputError.single(str(file), message)


def _merged(into: str, inventory: Inventory, take: tuple[str, ...]) -> Merged:
    from planner.imports.merging import merge
    from planner.infrastructure.loading import load_model

    loaded = load_model(into)
    assert loaded.file is not None
    with loaded.file.open(encoding="utf-8-sig", newline="") as stream:
        return merge(loaded, stream.read(), inventory, take)


def _checked(text: str, folder: Path) -> None:
    """Refuse a model that does not load: it is tried beside its place, for what it refers to."""
    from planner.infrastructure.loading import load_model

    try:
        with tempfile.NamedTemporaryFile(
            "wb", dir=folder, prefix=".import.", suffix=".yaml"
        ) as made:
            made.write(text.encode())
            made.flush()
            load_model(made.name)
    except InputError as error:
        # The file that was tried is gone; its lines are those of the model.
        raise InputError(replace(problem, file="model") for problem in error.problems) from error
    except OSError as error:
        message = f"cannot be written: {error.strerror or error}"
        raise InputError.single(str(folder), message) from error
