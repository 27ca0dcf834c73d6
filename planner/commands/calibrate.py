"""``plan calibrate``."""

from __future__ import annotations

import click

from planner.commands.options import Output, output_options, setting_option
from planner.errors import EXIT_DONE


@click.command("calibrate")
@click.argument("incident")
@setting_option
@output_options
def command(incident: str, overrides: tuple[str, ...], output: Output) -> int:
    """Fit what an INCIDENT declares as `calibrated` to the milestones marked so.

    Nothing else is fitted, and no value leaves its range. The values are printed with what they
    explain, and with what the milestones do not determine; the files stay as they are.
    """
    from planner.replay.calibration import calibrate
    from planner.replay.loading import load_incident
    from planner.reporting.calibration import show_calibration

    loaded = load_incident(incident, overrides)
    count = len(loaded.incident.calibrated)
    output.say(f"{loaded.name}: {count} values to fit on {loaded.loaded.name}")
    with output.progress.working():
        outcome = calibrate(loaded)
    show_calibration(outcome, output.as_json)
    return EXIT_DONE
