"""A replay as people read it, table and notes, and as machines do, JSON."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from planner.replay.comparison import Reading, Replay
from planner.replay.incident import QUANTITIES, clock_at
from planner.reporting.replay_chart import WORDS, show_chart
from planner.reporting.terminal import new_console, new_table, print_json

CONFIDENCE = {
    "quoted": "quoted",
    "derived": "worked out",
    "engineering_estimate": "judged",
    "memory_unverified": "recalled, not verified",
}


# ------------------------------------------------------------------------------------------- words


def _value(replay: Replay, reading: Reading, value: float | None) -> str:
    quantity = reading.milestone.quantity
    if quantity == "minute":
        return "never" if value is None else clock_at(replay.incident.clock, value)
    return "none" if value is None else WORDS[quantity](value)


def _difference(reading: Reading) -> str:
    difference, quantity = reading.difference, reading.milestone.quantity
    if difference is None:
        return ""
    size = abs(difference)
    plain = {"minute": f"{size:.0f} min", "success_rate": f"{size * 100:.0f} points"}
    text = plain[quantity] if quantity in plain else WORDS[quantity](size)
    if not any(digit in text for digit in "123456789"):
        return text
    return f"{'−' if difference < 0 else '+'}{text}"


def _simulated(replay: Replay, reading: Reading) -> str:
    milestone = reading.milestone
    if milestone.quantity == "minute" and milestone.event is None:
        return ""
    return _value(replay, reading, reading.simulated)


def _mark(reading: Reading) -> str:
    if reading.milestone.forced:
        return "given"
    return {True: "[green]yes[/]", False: "[bold red]NO[/]", None: ""}[reading.within]


# ------------------------------------------------------------------------------------------- table


def show_replay(replay: Replay, as_json: bool) -> None:
    """Print a replay: table, notes, what was fitted, chart, summary."""
    if as_json:
        print_json(replay_data(replay))
        return
    console, incident = new_console(), replay.incident
    sure = CONFIDENCE[incident.confidence]
    console.print(f"[bold]{escape(incident.title)}[/bold]")
    console.print(escape(f"{replay.name} on model {replay.model}; record: {sure}."))
    if len(replay.overrides) > len(incident.set):
        console.print(f"With {escape(', '.join(replay.overrides[len(incident.set) :]))}")
    console.print()
    console.print(_comparison(replay))
    _show_notes(console, replay)
    _show_fits(console, replay)
    console.print()
    show_chart(console, replay)
    console.print()
    _show_summary(console, replay)


def _comparison(replay: Replay) -> Any:
    table = new_table(
        f"Observed and simulated (minute 0 is {replay.incident.clock})",
        "time",
        "what",
        "observed",
        "simulated",
        "difference",
        "agrees",
        left=2,
    )
    table.columns[1].no_wrap = False
    table.columns[1].ratio = 1
    table.expand = True
    for reading in replay.readings:
        milestone = reading.milestone
        table.add_row(
            milestone.time[:5] + ("*" if milestone.calibrated else ""),
            escape(milestone.what),
            _value(replay, reading, reading.observed),
            _simulated(replay, reading),
            _difference(reading),
            _mark(reading),
        )
    table.caption = "* fitted to; given: a recorded action that the replay was told of, not scored."
    table.caption_justify = "left"
    return table


def _show_notes(console: Console, replay: Replay) -> None:
    noted = [one.milestone for one in replay.readings if one.milestone.note]
    if not noted:
        return
    console.print()
    console.print("[bold]On the record[/bold]")
    _show_pairs(console, [(one.time[:5], one.note) for one in noted])


def _show_fits(console: Console, replay: Replay) -> None:
    if not replay.fits:
        return
    console.print()
    console.print("[bold]Fitted to the milestones marked *[/bold]")
    for fit in replay.fits:
        entry = fit.entry
        console.print(f"  {escape(entry.parameter)} = {fit.value:g} {escape(entry.unit)}")
        changed = "" if fit.value == entry.value else f"; fitted value {entry.value:g}"
        times = ", ".join(entry.against)
        text = f"possible {entry.low:g} to {entry.high:g}, fitted against {times}{changed}"
        _show_pairs(console, [("", f"{text}. {entry.why}")])


def _show_pairs(console: Console, pairs: list[tuple[str, str]]) -> None:
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 1))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for head, text in pairs:
        table.add_row(f"  {head}", escape(text))
    console.print(table)


def _show_summary(console: Console, replay: Replay) -> None:
    counts = replay.counts()
    predicted = [
        one for one in replay.readings if one.within is not None and not one.milestone.calibrated
    ]
    fitted = counts["scored"] - len(predicted)
    met = counts["within"] - counts["calibrated_within"]
    console.print(
        f"[bold]{counts['within']} of {counts['scored']} scored milestones agree[/bold]: "
        f"{counts['calibrated_within']} of {fitted} fitted, {met} of {len(predicted)} predicted."
    )
    terms = QUANTITIES
    console.print(
        f"They agree within {terms['minute'].tolerance:g} minutes, "
        f"{terms['temperature_c'].tolerance:g} °C, "
        f"{(terms['success_rate'].tolerance or 0) * 100:g} points of success, "
        "unless the incident says otherwise."
    )


# ------------------------------------------------------------------------------------------- JSON


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
        "milestones": [_reading_data(replay, one) for one in replay.readings],
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
