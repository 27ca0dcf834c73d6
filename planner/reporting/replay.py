"""A replay as people see it: table, chart in the terminal, picture; and as machines do: JSON."""

from __future__ import annotations

import io
import os
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from planner.errors import InputError
from planner.replay.comparison import Reading, Replay
from planner.replay.incident import QUANTITIES, clock_at
from planner.replay.milestones import SERIES
from planner.reporting.charts import Axis, Floats, Point, draw, nice_step
from planner.reporting.terminal import _console, _table, print_json

MISSING_EXTRA = "needs matplotlib, which is not installed: pip install 'resilience-planner[plots]'"
CONFIDENCE = {
    "quoted": "quoted",
    "derived": "worked out",
    "engineering_estimate": "judged",
    "memory_unverified": "recalled, not verified",
}
#: Minutes between labels of the time axis.
TIME_STEPS = (5, 10, 15, 30, 60, 120, 240, 480, 1440)
PANEL_ROWS = 8


# ------------------------------------------------------------------------------------------- words


def _percent(value: float) -> str:
    return f"{value:.0%}"


def _requests(value: float) -> str:
    for unit, size in ((" M", 1e6), (" k", 1e3)):
        if abs(value) >= 0.99995 * size:  # 999,990 is 1.0 M, not 1000.0 k
            return f"{value / size:.1f}{unit}"
    return f"{value:.0f}"


#: How values, and differences of values, are written.
WORDS: dict[str, Callable[[float], str]] = {
    "temperature_c": lambda x: f"{x:.1f} °C",
    "success_rate": _percent,
    "traffic_ratio": lambda x: f"{x:.1f} ×",
    "waiting_requests": _requests,
    "response_seconds": lambda x: f"{x:,.0f} s",
    "heat_mw": lambda x: f"{x:.2f} MW",
    "cooling_mw": lambda x: f"{x:.2f} MW",
    "cooling_capacity_mw": lambda x: f"{x:.2f} MW",
}


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
    console, incident = _console(), replay.incident
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
    _show_chart(console, replay)
    console.print()
    _show_summary(console, replay)


def _comparison(replay: Replay) -> Table:
    table = _table(
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


# ------------------------------------------------------------------------------------------- chart


@dataclass(frozen=True)
class Curve:
    """A simulated course, one value a minute."""

    label: str
    values: Floats


@dataclass(frozen=True)
class Panel:
    """One part of the chart: simulated curves, the first for the terminal, and what was observed.

    Parameters
    ----------
    readings
        Observations as (minute, value, reading).
    """

    title: str
    word: Callable[[float], str]
    axis: tuple[float, float]
    curves: tuple[Curve, ...]
    readings: tuple[tuple[float, float, Reading], ...]


def _panels(replay: Replay) -> tuple[Panel, ...]:
    cluster = _hot_cluster(replay)
    names = ("temperature_above", "temperature_below")
    warm = _panel(replay, f"{cluster}, °C", "temperature_c", ((cluster,),), names)
    tiers = {
        one.milestone.subject for one in replay.readings if one.milestone.quantity == "success_rate"
    }
    subjects = ((), *sorted(tiers - {()}))
    names = ("success_above", "success_below")
    success = _panel(replay, "requests that succeed", "success_rate", subjects, names)
    waiting = _panel(replay, "requests waiting", "waiting_requests", ((),), ("queue_below",))
    return warm, success, waiting


def _hot_cluster(replay: Replay) -> str:
    """The cluster whose temperature was observed, or else the hottest."""
    for one in replay.readings:
        if one.milestone.quantity == "temperature_c":
            return one.milestone.subject[0]
    peaks = replay.history.temperature_c[:, 0].max(axis=0)
    peaks = np.where(replay.world.clusters.gpus > 0, peaks, -np.inf)
    return replay.world.clusters.names[int(peaks.argmax())]


def _panel(
    replay: Replay,
    title: str,
    quantity: str,
    subjects: tuple[tuple[str, ...], ...],
    events: tuple[str, ...],
) -> Panel:
    """Curves of a quantity with what was observed of it, values and thresholds alike."""
    end = _end(replay)
    curves = tuple(
        Curve(
            ", ".join(subject) or "all",
            SERIES[quantity](replay.world, replay.history, subject)[: end + 1],
        )
        for subject in subjects
    )
    seen = []
    for one in replay.readings:
        milestone = one.milestone
        if quantity == "temperature_c" and milestone.subject != subjects[0]:
            continue
        if milestone.quantity == quantity:
            seen.append((float(one.minute), one.observed, one))
        elif milestone.event in events and milestone.threshold is not None:
            seen.append((one.observed, milestone.threshold, one))
    values = np.concatenate([curves[0].values, [value for _, value, _ in seen]])
    low, high = (0.0, 1.0) if quantity == "success_rate" else (values.min(), values.max())
    low = 0.0 if quantity == "waiting_requests" else float(low)
    high = float(high) if high > low else low + 1.0
    return Panel(title, _axis_word(quantity), (low, high), curves, tuple(seen))


def _axis_word(quantity: str) -> Callable[[float], str]:
    """Shorter than in the table."""
    if quantity == "temperature_c":
        return lambda x: f"{x:.0f}"
    return lambda x: WORDS[quantity](x).replace(".0 ", " ")


def _end(replay: Replay) -> int:
    """Minute at which the chart ends: a little after the last milestone."""
    last = max(reading.minute for reading in replay.readings)
    return min(replay.world.minutes - 1, last + max(10, last // 12))


def _sign(reading: Reading) -> tuple[str, str]:
    signs = {True: ("●", "bold green"), False: ("×", "bold red"), None: ("○", "bold")}
    return signs[reading.within]


def _show_chart(console: Console, replay: Replay) -> None:
    width, end, start = console.width, _end(replay), replay.incident.clock
    step = nice_step(end, (width - 10) // 9, TIME_STEPS)
    time = Axis(0.0, float(max(end, 1)), lambda minute: clock_at(start, minute))
    for panel in _panels(replay):
        points = [Point(x, y, *_sign(reading)) for x, y, reading in panel.readings]
        console.print(f"[bold]{escape(panel.title)}[/bold]")
        axis = Axis(*panel.axis, panel.word)
        for line in draw(panel.curves[0].values, points, time, axis, width, PANEL_ROWS, step):
            console.print(line, no_wrap=True, crop=True)
    console.print("curve: simulated; observed: ● agrees, × does not, ○ not scored")


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


# ----------------------------------------------------------------------------------------- picture


def check_picture(path: Path) -> None:
    """Check before the simulation that a picture can be written.

    Raises
    ------
    InputError
        If matplotlib is not installed or does not write such files, or the folder does not exist.
    """
    try:
        from matplotlib.backend_bases import FigureCanvasBase
    except ImportError as error:
        raise InputError.single(str(path), MISSING_EXTRA) from error
    # PGF needs TeX, which nobody promised.
    kinds = sorted(set(FigureCanvasBase.get_supported_filetypes()) - {"pgf"})
    kind = path.suffix[1:].lower()
    if kind not in kinds:
        wanted = f"`.{kind}`" if kind else "a name without an ending"
        message = f"expected one of .{', .'.join(kinds)}, not {wanted}"
        raise InputError.single(str(path), message)
    if path.is_dir():
        raise InputError.single(str(path), "is a folder; expected a file to write")
    if not (path.parent.is_dir() and os.access(path.parent, os.W_OK | os.X_OK)):
        raise InputError.single(str(path), f"{path.parent} is no folder to write")


def write_picture(replay: Replay, path: Path) -> None:
    """Write the chart as a picture, whole or not at all.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    content = _picture(replay, path.suffix[1:].lower())
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(content)
            Path(temporary).chmod(0o644)
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        message = f"cannot be written: {error.strerror or error}"
        raise InputError.single(str(path), message) from error


def _picture(replay: Replay, kind: str) -> bytes:
    import matplotlib
    from matplotlib.figure import Figure

    panels, end = _panels(replay), _end(replay)
    # Without a salt and dates the same replay makes the same bytes.
    dates = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
    with matplotlib.rc_context({"svg.hashsalt": "plan"}), warnings.catch_warnings():
        # Signs that the font lacks are drawn as boxes.
        warnings.simplefilter("ignore", UserWarning)
        figure = Figure(figsize=(9, 8), layout="constrained")
        axes = figure.subplots(len(panels), 1, sharex=True)
        for panel, ax in zip(panels, axes, strict=True):
            _draw_panel(replay, panel, ax)
        step = nice_step(end, 9, TIME_STEPS)
        ticks = list(range(0, end + 1, int(step)))
        axes[-1].set_xticks(ticks, [clock_at(replay.incident.clock, tick) for tick in ticks])
        axes[-1].set_xlim(-end * 0.01, end)
        figure.suptitle(_plain(replay.incident.title))
        buffer = io.BytesIO()
        figure.savefig(buffer, format=kind, dpi=150, metadata=dates.get(kind))
    return buffer.getvalue()


def _draw_panel(replay: Replay, panel: Panel, ax: Any) -> None:
    """Curves, observations by whether they agree, and the actions that were given."""
    for curve in panel.curves:
        label = "simulated" + (f", {curve.label}" if len(panel.curves) > 1 else "")
        ax.plot(np.arange(len(curve.values)), curve.values, label=_plain(label), linewidth=1.5)
    kinds = {
        True: ("o", "tab:green", "observed, agrees"),
        False: ("X", "tab:red", "observed, does not agree"),
        None: ("o", "none", "observed, not scored"),
    }
    for within, (marker, colour, label) in kinds.items():
        seen = [(x, y) for x, y, reading in panel.readings if reading.within is within]
        if seen:
            ax.scatter(*zip(*seen, strict=True), marker=marker, c=colour, label=label,
                       edgecolors="black", zorder=3)  # fmt: skip
    given = sorted({one.minute for one in replay.readings if one.milestone.forced})
    for index, minute in enumerate(given):
        label = "_" if index else "recorded action"
        ax.axvline(minute, color="0.6", linestyle=":", linewidth=1, label=label)
    ax.set_ylabel(_plain(panel.title))
    ax.yaxis.set_major_formatter(lambda value, _: panel.word(value))
    ax.grid(alpha=0.3)
    ax.legend(fontsize="x-small")


def _plain(text: str) -> str:
    """A text in which nothing is taken for a formula."""
    return text.replace("$", r"\$")
