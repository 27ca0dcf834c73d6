"""``plan new``."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import click

from planner.commands.options import Output, bundle, file_option, output_options
from planner.commands.progress import plan_line
from planner.errors import EXIT_DONE, InputError, Problem
from planner.files import replace_files
from planner.json_text import json_text

#: Files of a starter that are shipped, by the name that they get, and the schema made anew.
STARTER = {
    "platform.yaml": "platform.yaml",
    "test_platform.py": "test_platform.py.txt",
    "README.md": "README.md",
}
SCHEMA = "model.schema.json"
#: Files of a starter incident, in the same way.
INCIDENT_STARTER = {"incident.yaml": "incident.yaml"}
INCIDENT_SCHEMA = "incident.schema.json"


@dataclass(frozen=True)
class SyntheticOptions:
    """The synthetic model to make, and its file; None for standard output."""

    regions: int | None = None
    seed: int | None = None
    file: Path | None = None


@click.command("new")
@click.argument("folder", metavar="[DIR]", required=False, type=click.Path(path_type=Path))
@bundle(
    "synthetic",
    SyntheticOptions,
    click.option("--regions", type=int, metavar="N"),
    click.option("--seed", type=int, metavar="S"),
    file_option("FILE", dir_okay=False),
)
@click.option("--incident", is_flag=True)
@click.option("--force", is_flag=True)
@output_options
def command(
    folder: Path | None, synthetic: SyntheticOptions, incident: bool, force: bool, output: Output
) -> int:
    """Start a model or an incident of your own in DIR, or make a synthetic model of any size.

    With DIR: writes a small commented model (platform.yaml), its schema for editors, a test file
    for pytest and a README, all of them or none; with --incident a commented incident
    (incident.yaml) and its schema.

    With --regions: makes a sound model for tests and benchmarks. Regions, latencies, prices and
    machines are real; sizes are drawn from the seed so that a plan exists that survives the loss
    of any one region.
    """
    if folder is None:
        if incident:
            raise InputError.single("DIR", "is missing; name a folder for the incident")
        return _synthetic(synthetic, force, output)
    if synthetic != SyntheticOptions():
        raise click.UsageError("DIR takes a starter model; --regions, --seed and -o make another.")
    names = _start(folder, incident_texts() if incident else starter_texts(), force)
    if output.as_json:
        click.echo(json_text({"folder": folder, "files": names}, "line"))
    output.say(f"wrote {', '.join(names)} to {folder}")
    if incident:
        output.suggest(plan_line("replay", folder), plan_line("calibrate", folder))
        return EXIT_DONE
    model = folder / "platform.yaml"
    output.suggest(
        plan_line("simulate", model),
        plan_line("optimize", model, "-o", folder / "out"),
        shlex.join(["pytest", str(folder)]),
    )
    return EXIT_DONE


def starter_texts() -> dict[str, str]:
    """Files of a starter: name and content."""
    from planner.infrastructure.schema import model_schema

    return _shipped(STARTER) | {SCHEMA: json_text(model_schema(), ascii_only=True) + "\n"}


def incident_texts() -> dict[str, str]:
    """Files of a starter incident: name and content."""
    from planner.replay.schema import incident_schema

    schema = json_text(incident_schema(), ascii_only=True) + "\n"
    return _shipped(INCIDENT_STARTER) | {INCIDENT_SCHEMA: schema}


def _shipped(files: Mapping[str, str]) -> dict[str, str]:
    import planner

    source = Path(planner.__file__).parent / "starter"
    return {name: (source / file).read_text("utf-8") for name, file in files.items()}


def _start(folder: Path, files: Mapping[str, str], force: bool) -> list[str]:
    """Write a starter, all of it or nothing; names of its files."""
    texts = {folder / name: text for name, text in files.items()}
    if folder.exists() and not folder.is_dir():
        raise InputError.single(str(folder), "is a file; name a folder for the starter")
    there = [path for path in texts if os.path.lexists(path)]
    if there and not force:
        raise InputError(
            Problem(str(path), 0, 0, "", "exists; say --force to overwrite it") for path in there
        )
    _write(texts)
    return [path.name for path in texts]


def _synthetic(options: SyntheticOptions, force: bool, output: Output) -> int:
    from planner.infrastructure.loading import load_model
    from planner.infrastructure.source import parse_yaml
    from planner.infrastructure.synthesis import model_text

    regions, seed, file = options.regions, options.seed or 0, options.file
    if regions is None:
        message = "is missing; name a folder for a starter model (plan new DIR), "
        message += "or say --regions N, from 2 to 200, for a synthetic one"
        raise InputError.single("DIR", message)
    if file is not None and file.exists() and not force:
        raise InputError.single(str(file), "exists; say --force to overwrite it")
    try:
        text = model_text(regions, seed)
    except ValueError as error:
        raise InputError.single("plan new", str(error)) from error
    model = load_model(file or "new.yaml", text=text).model
    if file is None:
        shown = json_text(parse_yaml(text.encode(), "new").data) if output.as_json else text
        click.echo(shown.rstrip("\n"))
        return EXIT_DONE
    _write({file: text})
    if output.as_json:
        click.echo(json_text({"file": file, "regions": regions, "seed": seed}, "line"))
    output.say(
        f"wrote {file}: {len(model.regions)} regions, {len(model.clusters)} clusters, "
        f"{len(model.plants)} plants"
    )
    output.suggest(plan_line("check", file), plan_line("optimize", file, "-o", "out"))
    return EXIT_DONE


def _write(texts: Mapping[Path, str]) -> None:
    """Write files of one folder, all of them or none; the starter's folder is made if missing."""
    folder = next(iter(texts)).parent
    made = not folder.exists() and len(texts) > 1
    try:
        if made:
            folder.mkdir(parents=True)
        replace_files({path: text.encode() for path, text in texts.items()})
    except OSError as error:
        if made and folder.is_dir():
            folder.rmdir()
        message = f"cannot be written: {error.strerror or error}"
        raise InputError.single(str(folder) if made else str(error.filename), message) from error
