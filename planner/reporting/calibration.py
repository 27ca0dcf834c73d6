"""What was fitted to an incident, as people read it and as machines do."""

from __future__ import annotations

from typing import Any

from planner.replay.calibration import Calibration, tolerance
from planner.reporting.replay import shown_difference, shown_value
from planner.reporting.tables import Table, figures, texts
from planner.reporting.terminal import heading, new_console, print_json, say


def show_calibration(calibration: Calibration, as_json: bool) -> None:
    """Print values, residuals, and what is not determined."""
    if as_json:
        print_json(calibration_data(calibration))
        return
    console, incident = new_console(), calibration.after.incident
    say(console, incident.title, style="bold")
    _values(calibration).print(console)
    _residuals(calibration).print(console)
    before, after = calibration.root_mean_square
    times = f"{calibration.replays} replays"
    say(console, f"Root mean square {before:.2f} tolerances before, {after:.2f} after; {times}.")
    if calibration.warnings:
        heading(console, "Not determined")
    for warning in calibration.warnings:
        say(console, f"{warning}.", lead="  ")
    heading(console, "As settings")
    for fitted in calibration.fitted:
        say(console, f"{fitted.entry.parameter}={fitted.value:g}", lead="  - ")


def _values(calibration: Calibration) -> Table:
    rows = [
        (
            fitted.entry.parameter,
            f"{fitted.before:g}",
            f"{fitted.value:g}" + (" (at its bound)" if fitted.at_bound else ""),
            "" if fitted.standard_error is None else f"{fitted.standard_error:.2g}",
            f"{fitted.entry.low:g} to {fitted.entry.high:g}",
            fitted.entry.unit,
        )
        for fitted in calibration.fitted
    ]
    columns = texts("value") + figures("stated", "fitted", "± (one σ)", "possible") + texts("unit")
    note = "No ±: as few milestones as values, or values that are not determined."
    return Table("Fitted values", columns, rows, note)


def _residuals(calibration: Calibration) -> Table:
    rows = []
    for place, (_, residual) in zip(calibration.readings, calibration.residuals, strict=True):
        before, after = calibration.before.readings[place], calibration.after.readings[place]
        rows.append(
            (
                after.milestone.time[:5],
                after.milestone.what,
                shown_value(calibration.after, after, after.observed),
                shown_difference(before),
                shown_difference(after),
                f"{residual:+.2f}",
            )
        )
    columns = texts("time", folds=False) + texts("what")
    columns += figures("observed", "before", "after", "in tolerances")
    return Table("Simulated less observed", columns, rows)


def calibration_data(calibration: Calibration) -> dict[str, Any]:
    """A calibration as plain data."""
    before, after = calibration.root_mean_square
    places = zip(calibration.readings, calibration.residuals, strict=True)
    return {
        "incident": calibration.after.name,
        "values": [
            fitted.entry.model_dump(mode="json")
            | {
                "stated": fitted.before,
                "value": fitted.value,
                "standard_error": fitted.standard_error,
                "at_bound": fitted.at_bound,
            }
            for fitted in calibration.fitted
        ],
        "milestones": [
            {
                "time": (reading := calibration.after.readings[place]).milestone.time,
                "what": reading.milestone.what,
                "observed": reading.observed,
                "before": calibration.before.readings[place].simulated,
                "after": reading.simulated,
                "tolerance": tolerance(reading),
                "residual": residual,
            }
            for place, (_, residual) in places
        ],
        "root_mean_square": {"before": before, "after": after},
        "not_determined": list(calibration.warnings),
        "replays": calibration.replays,
    }
