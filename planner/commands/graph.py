"""``plan graph``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from planner.commands.options import Output, file_option, output_options
from planner.commands.plan_options import SubjectOptions, subject_options
from planner.errors import EXIT_DONE, InputError

if TYPE_CHECKING:
    from planner.reporting.graph.facts import Scene

KINDS = (".svg", ".html", ".png", ".graphml", ".dot", ".json")


@click.command("graph")
@subject_options
@file_option("FILE")
@click.option("--blast", multiple=True, metavar="NODE[,NODE]")
@click.option("--region", "regions", multiple=True, metavar="NAME")
@output_options
def command(
    subject: SubjectOptions,
    file: Path | None,
    blast: tuple[str, ...],
    regions: tuple[str, ...],
    output: Output,
) -> int:
    """Draw the infrastructure of MODEL: what depends on what, and what goes down with what.

    Regions are boxes, planes colours; single points of failure are marked. Without -o it prints a
    summary.
    """
    from planner.files import write_file
    from planner.reporting.graph.facts import make_scene
    from planner.reporting.graph.terminal import show_scene

    if file is not None:
        _check(file)
    found = subject.open(output)
    planned = None if found.opened is None else found.fleet
    scene = make_scene(found.loaded.name, found.loaded.model, planned, blast, regions)
    if file is not None:
        write_file(_content(scene, file.suffix.lower()), file)
        output.say(f"wrote {file}")
    if file is None or output.as_json or blast:
        show_scene(scene, output.as_json, found.notes)
    return EXIT_DONE


def _check(file: Path) -> None:
    """Check before long work that a file of this kind can be written."""
    from planner.files import check_file
    from planner.reporting.pictures import check_picture

    kind = file.suffix.lower()
    if kind not in KINDS:
        wanted = f"`{kind}`" if kind else "a name without an ending"
        raise InputError.single(str(file), f"expected one of {', '.join(KINDS)}, not {wanted}")
    if kind == ".png":
        check_picture(file)
    check_file(file)


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
