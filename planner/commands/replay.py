"""``plan replay``."""

from __future__ import annotations

from pathlib import Path

import click

from planner.commands.options import Progress, examples, output_options
from planner.errors import EXIT_DONE

DEFAULT_INCIDENT = "chatgpt-2023"


@click.command(
    "replay",
    epilog=examples(
        "plan replay",
        "plan replay chatgpt-2023 --json",
        "plan replay azure-australia-east-2023 -o chart.svg",
        "plan replay my-incident          a folder with incident.yaml",
    ),
)
@click.argument("incident", default=DEFAULT_INCIDENT)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write the chart as a picture: .png, .svg, .pdf (needs the extra `plots`).",
)
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="PATH=VALUE",
    help="Change a value of the incident's model (repeatable).",
)
@output_options
def command(
    incident: str,
    output: Path | None,
    overrides: tuple[str, ...],
    as_json: bool,
    quiet: bool,
) -> int:
    """Simulate a recorded INCIDENT and compare it with what was observed.

    INCIDENT is the name of a shipped one (azure-australia-east-2023, chatgpt-2023), an incident
    file, or a folder that holds an incident.yaml. The recorded actions of people are given to the
    simulation; everything else it works out by itself. A replay is a comparison, not a gate: it
    exits with 0 however near it comes.
    """
    from planner.replay.comparison import replay
    from planner.replay.loading import load_incident
    from planner.reporting.replay import show_replay
    from planner.reporting.replay_chart import check_picture, write_picture

    progress = Progress(quiet)
    if output is not None:
        check_picture(output)
    loaded = load_incident(incident, overrides)
    count = len(loaded.incident.milestones)
    progress.say(f"{loaded.name}: {count} milestones on {loaded.loaded.name}")
    with progress.working():
        outcome = replay(loaded)
    if output is not None:
        write_picture(outcome, output)
        progress.say(f"wrote {output}")
    show_replay(outcome, as_json)
    return EXIT_DONE
