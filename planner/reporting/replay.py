"""A replay as people read it, table and notes, and as machines do, JSON."""

from __future__ import annotations

from typing import Any

from rich.console import Console

from planner.replay.comparison import Reading, Replay
from planner.replay.incident import QUANTITIES, clock_at
from planner.reporting.replay_chart import WORDS, show_chart
from planner.reporting.tables import Cell, Table, Toned, figures, texts
from planner.reporting.terminal import heading, new_console, print_json, say

CONFIDENCE = {
    "quoted": "quoted",
    "derived": "worked out",
    "engineering_estimate": "judged",
    "memory_unverified": "recalled, not verified",
}


def shown_value(replay: Replay, reading: Reading, value: float | None) -> str:
    """Value of a milestone in words."""
    quantity = reading.milestone.quantity
    if quantity == "minute":
        return "never" if value is None else clock_at(replay.incident.clock, value)
    return "none" if value is None else WORDS[quantity](value)


def shown_difference(reading: Reading) -> str:
    """Simulated less observed, in words."""
    difference, quantity = reading.difference, reading.milestone.quantity
    if difference is None:
        return ""
    size = abs(difference)
    plain = {"minute": f"{size:.0f} min", "success_rate": f"{size * 100:.0f} points"}
    text = plain[quantity] if quantity in plain else WORDS[quantity](size)
    if not any(digit in text for digit in "123456789"):
        return text
    return f"{'-' if difference < 0 else '+'}{text}"


def _simulated(replay: Replay, reading: Reading) -> str:
    milestone = reading.milestone
    if milestone.quantity == "minute" and milestone.event is None:
        return ""
    return shown_value(replay, reading, reading.simulated)


def _mark(reading: Reading) -> Cell:
    if reading.milestone.forced:
        return "given"
    marks: dict[bool | None, Cell] = {True: Toned("yes", "good"), False: Toned("NO", "bad")}
    return marks.get(reading.within)


def show_replay(replay: Replay, as_json: bool) -> None:
    """Print a replay: table, notes, what was fitted, chart, summary."""
    if as_json:
        print_json(replay_data(replay))
        return
    console, incident = new_console(), replay.incident
    sure = CONFIDENCE[incident.confidence]
    say(console, incident.title, style="bold")
    say(console, f"{replay.name} on model {replay.model}; record: {sure}.")
    if len(replay.overrides) > len(incident.set):
        say(console, f"With {', '.join(replay.overrides[len(incident.set) :])}")
    _comparison(replay).print(console)
    noted = [reading.milestone for reading in replay.readings if reading.milestone.note]
    if noted:
        heading(console, "On the record")
    for milestone in noted:
        say(console, milestone.note, lead=f"  {milestone.time[:5]}  ")
    _show_fits(console, replay)
    show_chart(console, replay)
    console.print()
    _show_summary(console, replay)


def _comparison(replay: Replay) -> Table:
    rows = [
        (
            reading.milestone.time[:5] + ("*" if reading.milestone.calibrated else ""),
            reading.milestone.what,
            shown_value(replay, reading, reading.observed),
            _simulated(replay, reading),
            shown_difference(reading),
            _mark(reading),
        )
        for reading in replay.readings
    ]
    title = f"Observed and simulated (minute 0 is {replay.incident.clock})"
    note = "* fitted to; given: a recorded action that the replay was told of, not scored."
    columns = texts("time", folds=False) + texts("what")
    columns += figures("observed", "simulated", "difference", "agrees")
    return Table(title, columns, rows, note)


def _show_fits(console: Console, replay: Replay) -> None:
    if replay.fits:
        heading(console, "Fitted to the milestones marked *")
    for fit in replay.fits:
        entry = fit.entry
        say(console, f"{entry.parameter} = {fit.value:g} {entry.unit}", lead="  ")
        changed = "" if entry.value in (None, fit.value) else f"; fitted value {entry.value:g}"
        times = ", ".join(entry.against)
        text = f"possible {entry.low:g} to {entry.high:g}, fitted against {times}{changed}"
        say(console, f"{text}. {entry.why}", lead="    ")


def _show_summary(console: Console, replay: Replay) -> None:
    counts = replay.counts()
    predicted = sum(
        reading.within is not None and not reading.milestone.calibrated
        for reading in replay.readings
    )
    fitted = counts["scored"] - predicted
    met = counts["within"] - counts["calibrated_within"]
    console.print(
        f"[bold]{counts['within']} of {counts['scored']} scored milestones agree[/bold]: "
        f"{counts['calibrated_within']} of {fitted} fitted, {met} of {predicted} predicted."
    )
    terms = QUANTITIES
    say(
        console,
        f"They agree within {terms['minute'].tolerance:g} minutes, "
        f"{terms['temperature_c'].tolerance:g} °C, "
        f"{(terms['success_rate'].tolerance or 0) * 100:g} points of success, "
        "unless the incident says otherwise.",
    )


def replay_data(replay: Replay) -> dict[str, Any]:
    """A replay as plain data."""
    incident = replay.incident
    return {
        "incident": replay.name,
        "title": incident.title,
        "source": incident.source,
        "confidence": incident.confidence,
        "clock": incident.clock,
        "model": {
            "name": replay.model,
            "sha256": replay.sha256,
            "overrides": list(replay.overrides),
        },
        "milestones": [_reading_data(replay, reading) for reading in replay.readings],
        "calibrated": [
            fit.entry.model_dump(mode="json") | {"value": fit.value} for fit in replay.fits
        ],
        "summary": replay.counts(),
    }


def _reading_data(replay: Replay, reading: Reading) -> dict[str, Any]:
    milestone = reading.milestone
    return {
        "time": milestone.time,
        "minute": reading.minute,
        "what": milestone.what,
        "quantity": milestone.quantity,
        "subject": ", ".join(milestone.subject) or None,
        "event": milestone.event,
        "threshold": milestone.threshold,
        "observed": _number(reading.observed),
        "simulated": _number(reading.simulated),
        "difference": _number(reading.difference),
        "tolerance": milestone.agreement,
        "within": reading.within,
        "calibrated": milestone.calibrated,
        "forced": milestone.forced,
        "confidence": milestone.confidence or replay.incident.confidence,
        "note": milestone.note,
    }


def _number(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
