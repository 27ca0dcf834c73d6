"""``plan import``."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import click

from planner.commands.options import Output, complete_models, file_option, output_options
from planner.commands.progress import plan_line
from planner.errors import EXIT_DONE, InputError
from planner.files import check_file, write_file

if TYPE_CHECKING:
    from planner.imports.inventory import Importer, Inventory
    from planner.imports.merging import Merged
    from planner.infrastructure.loading import LoadedModel

SOURCES = ("netbox", "kubernetes", "terraform", "prometheus", "xlsx", "csv", "prices")
#: Modules of sources that are not named as these.
MODULES = {"xlsx": "tables", "csv": "tables"}


@click.command("import")
@click.argument("source", type=click.Choice(SOURCES))
@click.argument("path", required=False, type=click.Path(path_type=Path))
@click.option("--url", default="", show_default=False)
@file_option("MODEL", dir_okay=False)
@click.option("--into", metavar="MODEL", shell_complete=complete_models)
@click.option("--take", multiple=True, metavar="PATTERN")
@click.option("--planned", is_flag=True)
@click.option("--name", "names", multiple=True, metavar="OURS=THEIRS")
@click.option("--days", type=click.IntRange(1, 35), default=7)
@output_options
def command(
    source: str,
    path: Path | None,
    url: str,
    file: Path | None,
    into: str | None,
    take: tuple[str, ...],
    planned: bool,
    names: tuple[str, ...],
    days: int,
    output: Output,
) -> int:
    """Make a model from an inventory, and list what is missing, assumed or suspect.

    PATH of netbox is a folder of the lists of its API: sites.json is what GET /api/dcim/sites/
    returned, and so on; more pages are sites.2.json, ...

    PATH of kubernetes is what `kubectl get nodes,pods -A -o json` printed, of terraform what
    `terraform show -json` printed of a plan or a state, or a folder of such files.

    PATH of prometheus is a folder of what /api/v1/query_range returned: requests.json, ...

    PATH of xlsx and csv is a workbook or a folder of tables, as `plan export` writes; of prices a
    price list of AWS, Azure or Google Cloud for the offers of --into (without PATH those shipped).

    Nothing is invented: what a model needs and the inventory lacks is assumed, marked in the file
    and listed. Without -o nothing is written.
    """
    from planner.imports.inventory import Asked
    from planner.imports.model_text import completed, model_text
    from planner.infrastructure.loading import load_model
    from planner.reporting.importing import show_import

    if take and into is None:
        raise click.UsageError("--take needs --into.")
    if file is not None:
        _check(file)
    importer = _importer(source)
    if (path is not None and url) or (path is None and not url and not importer.shipped):
        raise click.UsageError("Name PATH or --url, and not both.")
    if url and not importer.token:
        raise click.UsageError(f"{source} has no --url; name the PATH of an export.")
    loaded = None if into is None else load_model(into)
    model = None if loaded is None else loaded.model
    asked = Asked(path, url, planned, _renamed(names, importer.names), days, model)
    found = importer.read(asked)
    if loaded is None and "regions" not in found.sections:
        message = "says nothing of regions and GPUs; name the model that has them with --into"
        raise InputError.single(asked.place, message)
    inventory = completed(found, model)
    merged = None if loaded is None else _merged(loaded, inventory, take)
    text = model_text(inventory) if merged is None else merged.text
    load_model(file or (loaded and loaded.file) or "model.yaml", text=text)
    if file is not None:
        write_file(text.encode(), file)
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
    importer: Importer = import_module(f"planner.imports.{MODULES.get(source, source)}").IMPORTER
    return importer


def _renamed(given: Iterable[str], known: Mapping[str, str]) -> dict[str, str]:
    """What the source calls something, by what the importer calls it."""
    names = dict(known)
    for text in given:
        ours, _, theirs = text.partition("=")
        if ours not in known or not theirs.strip():
            said = f"expected OURS=THEIRS with one of {', '.join(known)}"
            raise click.BadParameter(f"{text!a}: {said}.", param_hint="--name")
        names[ours] = theirs.strip()
    return names


def _check(file: Path) -> None:
    check_file(file, ".yaml", ".yml")
    if os.path.lexists(file):
        message = "exists and is not overwritten; name another file, or merge with --into"
        raise InputError.single(str(file), message)


def _merged(loaded: LoadedModel, inventory: Inventory, take: tuple[str, ...]) -> Merged:
    from planner.imports.merging import merge

    assert loaded.file is not None
    with loaded.file.open(encoding="utf-8-sig", newline="") as stream:
        return merge(loaded, stream.read(), inventory, take)
