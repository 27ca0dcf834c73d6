"""``plan replay``."""

from __future__ import annotations

from pathlib import Path

import click

from planner.commands.options import Output, file_option, output_options, setting_option
from planner.errors import EXIT_DONE

DEFAULT_INCIDENT = "chatgpt-2023"


@click.command("replay")
@click.argument("incident", default=DEFAULT_INCIDENT)
@file_option("FILE")
@setting_option
@output_options
def command(incident: str, file: Path | None, overrides: tuple[str, ...], output: Output) -> int:
    """Simulate a recorded INCIDENT and compare it with what was observed.

    INCIDENT is the name of a shipped one (aws-frankfurt-2021, aws-tokyo-2019,
    azure-australia-east-2023, chatgpt-2023), an incident file, or a folder that holds an
    incident.yaml. The recorded actions of people are given to the simulation; everything else it
    works out by itself. A replay is a comparison, not a check: it exits with 0 whatever the
    differences.
    """
    from planner.replay.comparison import replay
    from planner.replay.loading import load_incident
    from planner.reporting.pictures import check_picture
    from planner.reporting.replay import show_replay
    from planner.reporting.replay_chart import write_picture

    if file is not None:
        check_picture(file)
    loaded = load_incident(incident, overrides)
    count = len(loaded.incident.milestones)
    output.say(f"{loaded.name}: {count} milestones on {loaded.loaded.name}")
    with output.progress.working():
        outcome = replay(loaded)
    if file is not None:
        write_picture(outcome, file)
        output.say(f"wrote {file}")
    show_replay(outcome, output.as_json)
    return EXIT_DONE
