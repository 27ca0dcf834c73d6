"""``plan graph``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from planner.commands.options import (
    DEFAULT_MODEL,
    Progress,
    complete_models,
    output_options,
    setting_option,
)
from planner.errors import EXIT_DONE, InputError

if TYPE_CHECKING:
    from planner.infrastructure.fleet import Fleet
    from planner.infrastructure.loading import LoadedModel
    from planner.reporting.graph.facts import Scene

KINDS = (".svg", ".html", ".png", ".graphml", ".dot", ".json")

EXAMPLES = """
Examples:

\b
  plan graph -o graph.svg                   the shipped 2023 platform
  plan graph hyperscaler-12 -o graph.html   with search, for a browser
  plan graph --blast us-west                what falls with a region
  plan graph --plan out -o plan.svg         with what a plan buys
  plan graph hyperscaler-12 --region us-west --region us-east -o west.png
"""


@click.command("graph", epilog=EXAMPLES)
@click.argument("model", required=False, shell_complete=complete_models)
@setting_option
@click.option(
    "--plan",
    "plan_file",
    type=click.Path(path_type=Path),
    metavar="PLAN",
    help="Show what a plan (its plan.json or folder) buys.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write a picture (.svg, .png), a page (.html) or the graph (.graphml, .dot, .json).",
)
@click.option(
    "--blast",
    multiple=True,
    metavar="NODE",
    help="Show what falls with a node: region:us-west, or us-west where one node alone is called "
    "so (several are lost together).",
)
@click.option(
    "--region", "regions", multiple=True, metavar="NAME", help="Show this region (repeatable)."
)
@output_options
def command(
    model: str | None,
    overrides: tuple[str, ...],
    plan_file: Path | None,
    output: Path | None,
    blast: tuple[str, ...],
    regions: tuple[str, ...],
    as_json: bool,
    quiet: bool,
) -> int:
    """Draw the infrastructure of MODEL: what hangs on what, and what falls with what.

    Regions are boxes, planes colours; single points of failure are marked. Without -o it prints a
    summary.
    """
    from planner.files import write_file
    from planner.reporting.graph.facts import make_scene
    from planner.reporting.graph.terminal import show_scene

    progress = Progress(quiet)
    if output is not None:
        _check(output)
    loaded, fleet, notes = _loaded(model, overrides, plan_file, progress)
    scene = make_scene(loaded.name, loaded.model, fleet, blast, regions)
    if output is not None:
        write_file(_content(scene, output.suffix.lower()), output)
        progress.say(f"wrote {output}")
    if output is None or as_json or blast:
        show_scene(scene, as_json, notes)
    return EXIT_DONE


def _check(output: Path) -> None:
    """Whether a file of this kind can be written, before anything else is done."""
    from planner.files import check_file
    from planner.reporting.pictures import check_picture

    kind = output.suffix.lower()
    if kind not in KINDS:
        wanted = f"`{kind}`" if kind else "a name without an ending"
        raise InputError.single(str(output), f"expected one of {', '.join(KINDS)}, not {wanted}")
    if kind == ".png":
        check_picture(output)
    check_file(output)


def _loaded(
    model: str | None, overrides: tuple[str, ...], plan_file: Path | None, progress: Progress
) -> tuple[LoadedModel, Fleet | None, tuple[str, ...]]:
    """The model, and the fleet of the plan where one is given, with what to know about it."""
    from planner.infrastructure.loading import load_model

    if plan_file is None:
        return load_model(model or DEFAULT_MODEL, overrides), None, ()
    from planner.commands.plan_arguments import planned

    opened = planned(plan_file, model, overrides, progress)
    return opened.loaded, opened.fleet, opened.notes


def _content(scene: Scene, kind: str) -> bytes:
    """The file as bytes."""
    from planner.reporting.graph import export as graph_export
    from planner.reporting.graph import svg as graph_svg
    from planner.reporting.graph.layout import draw
    from planner.reporting.graph.page import page_text

    exports = {
        ".graphml": graph_export.graphml_text,
        ".dot": graph_export.dot_text,
        ".json": graph_export.json_text,
    }
    if kind in exports:
        return exports[kind](scene).encode()
    drawing = draw(scene)
    if kind == ".png":
        return graph_svg.png_bytes(drawing)
    text = page_text if kind == ".html" else graph_svg.svg_text
    return text(scene, drawing).encode()
