"""The chart of a replay, simulated and observed, in the terminal or as a picture."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.markup import escape

from planner.files import write_file
from planner.replay.comparison import Reading, Replay
from planner.replay.incident import clock_at
from planner.replay.milestones import SERIES
from planner.reporting.charts import Axis, Floats, Point, draw, nice_step
from planner.reporting.pictures import check_picture, picture_bytes, plain

#: Minutes between labels of the time axis.
TIME_STEPS = (5, 10, 15, 30, 60, 120, 240, 480, 1440)
PANEL_ROWS = 8


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
    "pending_requests": _requests,
    "response_seconds": lambda x: f"{x:,.0f} s",
    "heat_mw": lambda x: f"{x:.2f} MW",
    "cooling_mw": lambda x: f"{x:.2f} MW",
    "cooling_capacity_mw": lambda x: f"{x:.2f} MW",
}


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
    waiting = _panel(replay, "requests pending", "pending_requests", ((),), ("pending_below",))
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
    low = 0.0 if quantity == "pending_requests" else float(low)
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


def show_chart(console: Console, replay: Replay) -> None:
    """Print the chart as wide as the terminal, a panel below the other."""
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


# ----------------------------------------------------------------------------------------- picture


def write_picture(replay: Replay, path: Path) -> None:
    """Write the chart as a picture, whole or not at all.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    content = _picture(replay, path.suffix[1:].lower())
    write_file(content, path)


def _picture(replay: Replay, kind: str) -> bytes:
    import matplotlib
    from matplotlib.figure import Figure

    panels, end = _panels(replay), _end(replay)
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
        figure.suptitle(plain(replay.incident.title))
        return picture_bytes(figure, kind)


def _draw_panel(replay: Replay, panel: Panel, ax: Any) -> None:
    """Curves, observations by whether they agree, and the actions that were given."""
    for curve in panel.curves:
        label = "simulated" + (f", {curve.label}" if len(panel.curves) > 1 else "")
        ax.plot(np.arange(len(curve.values)), curve.values, label=plain(label), linewidth=1.5)
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
    ax.set_ylabel(plain(panel.title))
    ax.yaxis.set_major_formatter(lambda value, _: panel.word(value))
    ax.grid(alpha=0.3)
    ax.legend(fontsize="x-small")


__all__ = ["WORDS", "check_picture", "show_chart", "write_picture"]
