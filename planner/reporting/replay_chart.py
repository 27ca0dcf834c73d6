"""The chart of a replay, simulated and observed, in the terminal or as a picture."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.text import Text

from planner.amounts import percent, requests
from planner.files import write_file
from planner.replay.comparison import Reading, Replay
from planner.replay.incident import clock_at
from planner.replay.milestones import Readout
from planner.reporting.pictures import picture_bytes, plain
from planner.reporting.terminal import heading

#: Minutes between labels of the time axis, and most of these.
TIME_STEPS = (5, 10, 15, 30, 60, 120, 240, 480, 1440)
MOST_TICKS = 9
BLOCKS = "▁▂▃▄▅▆▇█"

Floats = NDArray[np.float64]


def _requests(value: float) -> str:
    return requests(value).removesuffix(" requests")


#: How values, and differences of values, are written.
WORDS: dict[str, Callable[[float], str]] = {
    "temperature_c": lambda value: f"{value:.1f} °C",
    "success_rate": lambda value: percent(value, 0),
    "traffic_ratio": lambda value: f"{value:.1f} ×",
    "waiting_requests": _requests,
    "pending_requests": _requests,
    "response_seconds": lambda value: f"{value:,.0f} s",
    "heat_mw": lambda value: f"{value:.2f} MW",
    "cooling_mw": lambda value: f"{value:.2f} MW",
    "cooling_capacity_mw": lambda value: f"{value:.2f} MW",
}


@dataclass(frozen=True)
class Curve:
    """A simulated timeline, one value a minute."""

    label: str
    values: Floats


@dataclass(frozen=True)
class Panel:
    """One part of the chart: simulated curves, the first for the terminal, and what was observed.

    Parameters
    ----------
    word
        How its values are written.
    axis
        Least and largest value of the first curve and of what was observed.
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
        reading.milestone.subject
        for reading in replay.readings
        if reading.milestone.quantity == "success_rate"
    }
    subjects = ((), *sorted(tiers - {()}))
    names = ("success_above", "success_below")
    success = _panel(replay, "requests that succeed", "success_rate", subjects, names)
    waiting = _panel(replay, "requests pending", "pending_requests", ((),), ("pending_below",))
    return warm, success, waiting


def _hot_cluster(replay: Replay) -> str:
    """The cluster whose temperature was observed, or else the hottest."""
    for reading in replay.readings:
        if reading.milestone.quantity == "temperature_c":
            return reading.milestone.subject[0]
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
            Readout(replay.world, replay.history, subject).values(quantity)[: end + 1],
        )
        for subject in subjects
    )
    seen = []
    for reading in replay.readings:
        milestone = reading.milestone
        if quantity == "temperature_c" and milestone.subject != subjects[0]:
            continue
        if milestone.quantity == quantity:
            seen.append((float(reading.minute), reading.observed, reading))
        elif milestone.event in events and milestone.threshold is not None:
            seen.append((reading.observed, milestone.threshold, reading))
    values = np.concatenate([curves[0].values, [value for _, value, _ in seen]])
    low, high = (0.0, 1.0) if quantity == "success_rate" else (values.min(), values.max())
    low = 0.0 if quantity == "pending_requests" else float(low)
    high = float(high) if high > low else low + 1.0
    return Panel(title, WORDS[quantity], (low, high), curves, tuple(seen))


def _end(replay: Replay) -> int:
    """Minute at which the chart ends: a little after the last milestone."""
    last = max(reading.minute for reading in replay.readings)
    return min(replay.world.minutes - 1, last + max(10, last // 12))


def show_chart(console: Console, replay: Replay) -> None:
    """Print a sparkline as wide as the terminal for each panel, and below it what was observed."""
    width, end = console.width, _end(replay)
    marks = {True: ("●", "bold green"), False: ("×", "bold red"), None: ("○", "bold")}
    for panel in _panels(replay):
        low, high = (panel.word(value) for value in panel.axis)
        heading(console, f"{panel.title}: {low} to {high}")
        console.print(Text(sparkline(panel.curves[0].values, width, *panel.axis), "cyan"))
        seen = Text(" " * width)
        for minute, _, reading in sorted(panel.readings, key=lambda found: found[2].within is None):
            place = round(minute / max(end, 1) * (width - 1))
            if seen.plain[place] == " ":
                mark, style = marks[reading.within]
                seen = Text.assemble(seen[:place], (mark, style), seen[place + 1 :])
        console.print(seen)
    first, last = (clock_at(replay.incident.clock, minute) for minute in (0, end))
    console.print(f"{first}{last:>{width - len(first)}}")
    console.print("line: simulated; below: observed, ● agrees, × does not, ○ not scored")


def sparkline(values: Floats, width: int, low: float, high: float) -> str:
    """A curve as a line of blocks, each the value at its place.

    >>> sparkline(np.array([0.0, 1.0, 2.0, 3.0]), 4, 0.0, 3.0)
    '▁▃▆█'
    """
    places = np.linspace(0, len(values) - 1, width)
    shares = (np.interp(places, np.arange(len(values)), values) - low) / ((high - low) or 1.0)
    return "".join(BLOCKS[round(share * (len(BLOCKS) - 1))] for share in shares.clip(0.0, 1.0))


def write_picture(replay: Replay, path: Path) -> None:
    """Write the chart as a picture, whole or not at all."""
    content = _picture(replay, path.suffix[1:].lower())
    write_file(content, path)


def _picture(replay: Replay, kind: str) -> bytes:
    import matplotlib
    from matplotlib.figure import Figure

    panels, end = _panels(replay), _end(replay)
    with matplotlib.rc_context({"svg.hashsalt": "plan"}), warnings.catch_warnings():
        # Characters that the font lacks are drawn as boxes.
        warnings.simplefilter("ignore", UserWarning)
        figure = Figure(figsize=(9, 8), layout="constrained")
        axes = figure.subplots(len(panels), 1, sharex=True)
        for panel, ax in zip(panels, axes, strict=True):
            _draw_panel(replay, panel, ax)
        step = next((step for step in TIME_STEPS if end / step <= MOST_TICKS), TIME_STEPS[-1])
        ticks = list(range(0, end + 1, step))
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
    given = sorted({reading.minute for reading in replay.readings if reading.milestone.forced})
    for index, minute in enumerate(given):
        label = "_" if index else "recorded action"
        ax.axvline(minute, color="0.6", linestyle=":", linewidth=1, label=label)
    ax.set_ylabel(plain(panel.title))
    ax.yaxis.set_major_formatter(lambda value, _: panel.word(value))
    ax.grid(alpha=0.3)
    ax.legend(fontsize="x-small")
