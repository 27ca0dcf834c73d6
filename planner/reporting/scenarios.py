"""How scenarios end: the table of `plan optimize` and `plan simulate`, and their stories."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from rich.console import Console
from rich.markup import escape

from planner.amounts import counted, millions, minutes, requests, served
from planner.infrastructure.fleet import Fleet
from planner.infrastructure.loading import LoadedModel
from planner.laws.traffic import IMPACTS
from planner.plan.assembly import scenario_line
from planner.plan.records import ScenarioLine, counts, not_counted, survived
from planner.reporting.tables import Cell, Table, Toned, figures, texts
from planner.reporting.terminal import bullets, heading, new_console, print_json, say
from planner.scenarios.hours import failure_and_hour
from planner.simulation.verdict import Verdict

#: Most rows, most reasons for failures, and most names in a row of scenarios that survive.
MOST_ROWS, MOST_REASONS, MOST_NAMES = 40, 40, 3
#: Columns of a terminal from which on there is room for more figures.
WIDE = 110
#: Marks of what came of a scenario, in the order of the table.
MARKS: dict[str, Cell] = {
    "fails": Toned("NO", "bad"),
    "not judged": Toned("not judged", "warn"),
    "survives": Toned("yes", "good"),
    "not applicable": "n/a",
}
#: Retries of each new request from which on they are told.
SHOWN_RETRIES = 1.05


def show_scenarios(console: Console, lines: Sequence[ScenarioLine]) -> None:
    """Print the table of scenarios, and what breaks first in those that fail."""
    ordered = sorted(lines, key=urgency)
    by_failure: dict[str, list[ScenarioLine]] = {}
    for line in ordered:
        by_failure.setdefault(failure_and_hour(line.name)[0], []).append(line)
    worst = {_at_worst(hours): hours[0] for hours in by_failure.values()}
    _table(worst, console.width >= WIDE).first(MOST_ROWS).print(console)
    reasons = [
        f"{hours[0].name}: {hours[0].first_breach.text}{_more(hours)}"
        for hours in by_failure.values()
        if hours[0].first_breach is not None
    ]
    if reasons:
        heading(console, "What breaks first")
        bullets(console, reasons, MOST_REASONS)


def _at_worst(hours: Sequence[ScenarioLine]) -> str:
    """Name of a failure at its worst hour, which is the first, and how many there are."""
    return hours[0].name + (f" (worst of {len(hours)} hours)" if len(hours) > 1 else "")


def _more(hours: Sequence[ScenarioLine]) -> str:
    """How many other hours of a failure fall short."""
    others = sum(line.first_breach is not None for line in hours) - 1
    return f" (and at {counted(others, 'more hour')})" if others else ""


def _table(lines: Mapping[str, ScenarioLine], wide: bool) -> Table:
    """Scenarios, by what they are called, with the same figures in one row."""
    groups: dict[tuple[Cell, ...], list[str]] = {}
    for name, line in lines.items():
        cells: tuple[Cell, ...] = ("", MARKS[line.status])
        if line.status != "not applicable":
            cells = _cells(line) if wide else _cells(line)[:5]
        groups.setdefault(cells, []).append(name)
    columns = texts("scenario") + texts("class", "ok", folds=False)
    columns += figures("full after", "°C", "M USD")
    note = "full after: all demand served again; °C: hottest cluster"
    if any(line.emergency_usd for line in lines.values()):
        note += "; M USD: emergency spend"
    if wide:
        columns += figures("least served", "requests lost")
        note += "; least served: lowest service level of any tier while the SLO applies"
    rows = [
        [_named(names, cells[1]), *cells, *[None] * len(columns)][: len(columns)]
        for cells, names in groups.items()
    ]
    return Table("Scenarios", columns, rows, f"{note}.")


def _cells(line: ScenarioLine) -> tuple[Cell, ...]:
    """What a row says of a scenario, the last two for wide terminals alone."""
    lost = requests(line.lost_requests).removesuffix(" requests") if line.lost_requests else ""
    return (
        line.severity,
        MARKS[line.status],
        minutes(line.recovery_minutes),
        f"{line.peak_temperature_c:.0f}",
        millions(line.emergency_usd) if line.emergency_usd else "",
        served(min(line.served.values())) if line.served else "",
        lost,
    )


def urgency(line: ScenarioLine) -> tuple[int, float, float]:
    """Failures first, then what takes longest, then what costs most."""
    recovery = math.inf if line.recovery_minutes is None else line.recovery_minutes
    return (list(MARKS).index(line.status), -recovery, -line.emergency_usd)


def _named(names: Sequence[str], mark: object) -> str:
    """Names of scenarios with the same figures, all of them where they fail."""
    if len(names) <= MOST_NAMES or mark is MARKS["fails"]:
        return ", ".join(names)
    return f"{', '.join(names[: MOST_NAMES - 1])}, … ({len(names)})"


def show_simulation(
    loaded: LoadedModel,
    fleet: Fleet,
    verdicts: tuple[Verdict, ...],
    told: tuple[str, ...],
    as_json: bool,
    notes: tuple[str, ...] = (),
    more: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    """Print verdicts, and the stories of some scenarios.

    Parameters
    ----------
    notes
        What is to be known about the plan and its model, for machines; people were told.
    more
        What else machines get.
    """
    lines = [scenario_line(verdict) for verdict in verdicts]
    survives = not any(line.fails for line in lines)
    if as_json:
        print_json(
            {
                "model": {"name": loaded.name, "sha256": loaded.sha256},
                "notes": notes,
                "gpus": fleet.gpus,
                "survives": survives,
                **counts(lines),
                "scenarios": [
                    line.model_dump(mode="json") | _verdict_data(verdict)
                    for line, verdict in zip(lines, verdicts, strict=True)
                ],
                **more,
            }
        )
        return
    console = new_console()
    show_scenarios(console, lines)
    for verdict in verdicts:
        if verdict.name in told:
            _show_story(console, verdict)
    colour = "green" if survives else "red"
    console.print()
    console.print(f"[bold {colour}]{survived(lines)}.[/]")
    for line in not_counted(lines):
        console.print(f"{line}.")


def _verdict_data(verdict: Verdict) -> dict[str, Any]:
    """What a verdict says beyond the line of a plan."""
    return {
        "impact": verdict.impact,
        "retry_ratio": round(verdict.retry_ratio, 4),
        "peak_queue_requests": round(verdict.peak_queue_requests, 1),
        "alerts": verdict.alerts,
        "story": verdict.story,
    }


def _show_story(console: Console, verdict: Verdict) -> None:
    heading(console, f"The story of {verdict.name}")
    times = [f"+{line.minute:.0f} min" for line in verdict.story]
    width = max(map(len, times), default=0)
    for line, time in zip(verdict.story, times, strict=True):
        say(console, line.text, lead=f"  {line.clock}  {time:>{width}}  ")
    retries = f"{verdict.retry_ratio:.1f} requests for each new one at most, "
    say(
        console,
        f"{requests(verdict.lost_requests)} lost, "
        f"at most {verdict.peak_queue_requests:,.0f} waiting, "
        f"{retries if verdict.retry_ratio > SHOWN_RETRIES else ''}"
        f"peak {verdict.peak_temperature_c:.0f} °C.",
        lead="  ",
    )
    worst: dict[str, list[str]] = {}
    for tier, impact in verdict.impact.items():
        worst.setdefault(impact, []).append(tier)
    for impact in (impact for impact in IMPACTS if impact in worst):
        console.print(f"  {impact}: {escape(', '.join(worst[impact]))}")
