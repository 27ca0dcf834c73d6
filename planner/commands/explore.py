"""``plan explore``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from planner.commands.options import (
    DEFAULT_MODEL,
    Output,
    complete_models,
    output_options,
    setting_option,
    workers_options,
)
from planner.commands.plan_options import say_notes
from planner.commands.scenario_options import selection_options
from planner.errors import EXIT_DONE

if TYPE_CHECKING:
    from planner.selection import Wanted


@click.command("explore")
@click.argument("subject", metavar="[MODEL|PLAN]", default=DEFAULT_MODEL,
                shell_complete=complete_models)  # fmt: skip
@setting_option
@click.option(
    "-o",
    "--output",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=".",
    show_default=False,
    metavar="DIR",
)
@click.option("--port", type=click.IntRange(0, 65535), default=0)
@click.option("--no-browser", is_flag=True)
@selection_options
@output_options
@workers_options
def command(
    subject: str,
    overrides: tuple[str, ...],
    folder: Path,
    port: int,
    no_browser: bool,
    wanted: Wanted | None,
    output: Output,
) -> int:
    """Ask what if on a local page: move a slider, see the plan change.

    Sliders and switches for demand, prices, survival standard, lead times and failures are settings
    (--set) of MODEL, or of the model of PLAN (a plan.json or its folder). A plan is worked out in
    the background for each, and shown with what it survives and costs against the baseline, which
    is what it began with. Variants are kept as plans; all else is gone at Ctrl-C.

    The page is served on this machine alone, to whoever has the token of its address.
    """
    import webbrowser

    from planner.analysis.compared_sides import is_plan
    from planner.explore.page import free_port, serve
    from planner.explore.planning import Planning, reopened
    from planner.files import check_folder
    from planner.infrastructure.catalogue import shipped_models
    from planner.infrastructure.loading import load_model
    from planner.optimization.solution.settings import SolverSettings
    from planner.plan.reopening import wanted_by
    from planner.reporting.html.page import check_extra
    from planner.reporting.terminal import print_json

    check_extra(Path("plan explore"), ("panel", "jinja2"), "explore")
    port = free_port(port)
    check_folder(folder)
    begun = None
    if is_plan(subject):
        begun, notes = reopened(Path(subject))
        say_notes(notes, output)
        assert begun.plan is not None and begun.loaded is not None
        name, file = begun.loaded.name, begun.loaded.file
        subject = name if file is None or shipped_models().get(name) == file else str(file)
        wanted = wanted or wanted_by(begun.plan)
        overrides = (*begun.settings, *overrides)
    load_model(subject, overrides)
    planning = Planning(subject, wanted, SolverSettings(), folder, begun)
    planning.ask(overrides)

    def say(address: str) -> None:
        if output.as_json:
            print_json({"model": subject, "address": address, "folder": str(folder)})
        else:
            click.echo(f"Exploring {subject} at {address} until Ctrl-C")
        if not no_browser:
            webbrowser.open(address)

    serve(planning, port, say)
    return EXIT_DONE
