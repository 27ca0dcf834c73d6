"""``plan new``."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from planner.commands.options import Progress, output_options
from planner.errors import EXIT_DONE, InputError

if TYPE_CHECKING:
    from planner.infrastructure.entities import Model


@click.command("new")
@click.option(
    "--regions",
    type=int,
    metavar="N",
    help="Make a synthetic model of N regions, from 2 to 200.",
)
@click.option(
    "--seed",
    type=int,
    default=0,
    show_default=True,
    metavar="S",
    help="Seed of its sizes: the same N and S give the same file.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write FILE instead of standard output.",
)
@click.option("--force", is_flag=True, help="Overwrite FILE if it exists.")
@output_options
def command(
    regions: int | None,
    seed: int,
    output: Path | None,
    force: bool,
    as_json: bool,
    quiet: bool,
) -> int:
    """Make a sound model of any size, for tests and benchmarks.

    Regions, latencies, prices and machines are real; sizes are drawn from the seed so that a plan
    exists that survives the loss of any one region.
    """
    from planner.infrastructure.source import parse_yaml
    from planner.infrastructure.synthesis import model_text

    if regions is None:
        message = "is missing; expected --regions N, from 2 to 200, and --seed S if you like"
        raise InputError.single("--regions", message)
    if output is not None and output.exists() and not force:
        raise InputError.single(str(output), "exists; say --force to overwrite it")
    try:
        text = model_text(regions, seed)
    except ValueError as error:
        raise InputError.single("plan new", str(error)) from error
    model = _loaded(text)
    progress = Progress(quiet)
    if output is None:
        shown = json.dumps(parse_yaml(text.encode(), "new").data, indent=2) if as_json else text
        click.echo(shown.rstrip("\n"))
        return EXIT_DONE
    _write(output, text)
    if as_json:
        click.echo(json.dumps({"file": str(output), "regions": regions, "seed": seed}))
    progress.say(
        f"wrote {output}: {len(model.regions)} regions, {len(model.clusters)} clusters, "
        f"{len(model.plants)} plants"
    )
    return EXIT_DONE


def _loaded(text: str) -> Model:
    """The model of a text: what does not load is never handed out."""
    from planner.infrastructure.loading import load_model

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "new.yaml"
        path.write_text(text, encoding="utf-8")
        return load_model(path).model


def _write(path: Path, text: str) -> None:
    """Write a file whole or not at all.

    Raises
    ------
    InputError
        If it cannot be written.
    """
    name = None
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as stream:
            stream.write(text)
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except OSError as error:
        if name is not None:
            Path(name).unlink(missing_ok=True)
        message = f"cannot be written: {error.strerror or error}"
        raise InputError.single(str(path), message) from error
