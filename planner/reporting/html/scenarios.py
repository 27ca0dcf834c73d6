"""How each scenario ends on the plan and today: the rows of the table, and one page for each."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

from planner.amounts import counted, millions, minutes, money, number, per_year, requests, served
from planner.infrastructure.entities import Model
from planner.reporting.html.timelines import FULL, KINDS, Played, Simulated
from planner.reporting.tables import Table, figures, texts
from planner.scenarios.hours import AT, failure_and_hour
from planner.scenarios.standard import (
    ALL,
    emergency_budget_usd,
    floors,
    in_words,
    subject_of,
    tier_and_zone,
)
from planner.simulation.verdict import Verdict

Row = dict[str, Any]

#: Names shown in a row of scenarios that end alike; more of them unfold.
MOST_NAMES = 8
#: Classes of cells, what they say, and their place in the table, by what came of a scenario.
OUTCOMES = {"fails": "no", "survives": "yes", "not judged": "none", "not applicable": "none"}
TOLD = {
    "fails": "✗ fails",
    "survives": "✓ survives",
    "not judged": "– no SLO in this class",
    "not applicable": "– not applicable: it affects nothing that exists",
}
RANKS = {"fails": 0, "survives": 1, "not judged": 1, "not applicable": 2}


def share(fraction: float) -> str:
    """A share of demand in percent; all of it as soon as the simulation takes it for all."""
    return served(1.0 if fraction >= FULL else fraction)


def worst_first(played: Sequence[Played]) -> list[int]:
    """Positions of scenarios, failures first, then what serves least, then the slowest recovery.

    Hours of a failure that are not its worst come after those of all failures, unless they fail.
    """
    order = sorted(range(len(played)), key=lambda index: (_badness(played[index].verdict), index))
    worst = {hours[0] for hours in _by_failure(played, order)}
    return sorted(order, key=lambda index: index not in worst and not played[index].verdict.fails)


def worst_hours(verdicts: Iterable[Verdict]) -> Iterator[tuple[Verdict, int]]:
    """The first of the hours of each failure, and how many of them there are."""
    hours: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        hours.setdefault(failure_and_hour(verdict.name)[0], []).append(verdict)
    for of_one in hours.values():
        yield of_one[0], len(of_one)


def _by_failure(played: Sequence[Played], order: Iterable[int]) -> list[list[int]]:
    """Positions in an order, those of one failure together."""
    hours: dict[str, list[int]] = {}
    for index in order:
        hours.setdefault(failure_and_hour(played[index].verdict.name)[0], []).append(index)
    return list(hours.values())


def _badness(verdict: Verdict) -> tuple[int, float, float]:
    return RANKS[verdict.status], _least(verdict), -_recovery(verdict)


def _least(verdict: Verdict) -> float:
    return min(verdict.served.values(), default=1.0)


def _recovery(verdict: Verdict) -> float:
    return math.inf if verdict.recovery_minutes is None else verdict.recovery_minutes


def grouped(simulated: Simulated, listed: Collection[int]) -> list[Row]:
    """Rows of the table, failures first: a failure at its worst hour, which the others unfold from.

    Failures of a class that end alike share a row.
    """
    order = sorted(listed, key=lambda index: (_badness(simulated.played[index].verdict), index))
    groups: dict[tuple[Any, ...], list[list[int]]] = {}
    for hours in sorted(_by_failure(simulated.played, order), key=min):
        verdict, today = simulated.played[hours[0]].verdict, _worst_today(simulated, hours)
        key = verdict.severity, *_end(verdict), *_end(today)[:2]
        groups.setdefault(key, []).append(hours)
    rows = [_group(simulated, failures) for failures in groups.values()]
    rows.sort(key=lambda row: row.pop("badness"))
    return [row | {"order": order} for order, row in enumerate(rows)]


def _worst_today(simulated: Simulated, hours: Sequence[int]) -> Verdict:
    return min((simulated.today[index] for index in hours), key=_badness)


def _end(verdict: Verdict) -> tuple[Any, ...]:
    """What the table says of a scenario, but for its temperature and frequency."""
    if verdict.status == "not applicable":
        return verdict.status, "", ()
    cells = tuple((cell["text"], cell["state"]) for cell in _cells(verdict))
    spend = millions(verdict.emergency_usd)
    return verdict.status, share(_least(verdict)), cells, _after(verdict), spend


def _group(simulated: Simulated, failures: Sequence[Sequence[int]]) -> Row:
    verdicts = [simulated.played[index].verdict for hours in failures for index in hours]
    first, today = verdicts[0], _worst_today(simulated, failures[0])
    absent = first.status == "not applicable"
    often = sum(verdict.frequency_per_year for verdict in verdicts)
    heat = sorted({f"{verdict.peak_temperature_c:.0f}" for verdict in verdicts}, key=float)
    return {
        "badness": (_badness(first), RANKS[today.status], failures[0][0]),
        "members": [_member(simulated, hours) for hours in failures],
        "severity": first.severity,
        "outcome": OUTCOMES[first.status],
        "told": TOLD[first.status],
        "today": OUTCOMES[today.status],
        "told_today": f"{TOLD[today.status][0]} {_end(today)[1]}".strip(),
        "cells": [] if absent else _cells(first),
        "after": "" if absent else _after(first),
        "heat": "" if absent else " to ".join(dict.fromkeys((heat[0], heat[-1]))),
        "spend": millions(first.emergency_usd) if first.emergency_usd else "",
        "often": "" if absent else per_year(often) + (" together" if len(failures) > 1 else ""),
        "least": _least(first),
        "recovery": _recovery(first),
        "frequency": often,
    }


def _member(simulated: Simulated, hours: Sequence[int]) -> Row:
    """A failure at its worst hour, with what comes of it at the others."""
    worst, *others = (simulated.played[index].verdict for index in hours)
    return {
        "index": hours[0],
        "name": worst.name,
        "label": worst.name,
        "hours": [
            {
                "index": index,
                "name": verdict.name,
                "label": verdict.name.rpartition(AT)[2],
                "end": TOLD[verdict.status][0],
            }
            for index, verdict in zip(hours[1:], others, strict=True)
        ],
    }


def _cells(verdict: Verdict) -> list[Row]:
    """Minimum service level by tier, and whether it meets its SLO."""
    missed = {
        tier_and_zone(breach.subject)[0] for breach in verdict.breaches if breach.kind == "served"
    }
    judged = verdict.survives or verdict.fails
    found = []
    for tier, fraction in verdict.served.items():
        fails = tier in missed or (ALL in missed and fraction < FULL)
        state = "missed" if fails else "met" if judged else "none"
        mark = {"missed": " ✗", "met": " ✓", "none": ""}[state]
        found.append({"tier": tier, "text": share(fraction) + mark, "state": state})
    return found


def _after(verdict: Verdict) -> str:
    if verdict.recovery_minutes is not None and verdict.recovery_minutes <= 0:
        return "at once"
    return minutes(verdict.recovery_minutes, "not within the simulation")


def told(model: Model, simulated: Simulated, indices: Sequence[int]) -> list[Row]:
    """What the page tells of each of some scenarios when it is opened."""
    return [
        _scenario(model, index, simulated.played[index], simulated.today[index])
        for index in indices
    ]


def _scenario(model: Model, index: int, played: Played, today: Verdict) -> Row:
    verdict = played.verdict
    return {
        "index": index,
        "name": verdict.name,
        "severity": verdict.severity,
        "outcome": OUTCOMES[verdict.status],
        "told": TOLD[verdict.status],
        "today": OUTCOMES[today.status],
        "breaches": [str(breach) for breach in verdict.breaches],
        "before": [str(breach) for breach in today.breaches],
        "minutes": f"{played.minutes:,}" if played.until_minute < played.minutes - 1 else "",
        "facts": _facts(verdict),
        "rules": _rules(model, played),
        "story": _story(verdict),
        "charts": {kind: bool(played.charts.get(kind)) for kind in KINDS},
        "left_out": {kind: played.left_out.get(kind, 0) for kind in KINDS},
    }


def _story(verdict: Verdict) -> list[Row]:
    """Lines of the story; alerts of one kind in one minute share a line."""
    lines: dict[tuple[float, str, str], list[str]] = {}
    for line in verdict.story:
        alert = re.fullmatch(r"alert: (\S+) (.+)", line.text)
        key = (line.minute, line.clock, alert[2] if alert else line.text)
        lines.setdefault(key, []).extend([alert[1]] if alert else [])
    return [
        {
            "clock": clock,
            "minute": f"{minute:.0f}",
            "text": f"alert: {', '.join(names)} {text}" if names else text,
        }
        for (minute, clock, text), names in lines.items()
    ]


def _facts(verdict: Verdict) -> list[tuple[str, str]]:
    return [
        ("full service after", _after(verdict)),
        ("requests lost", requests(verdict.lost_requests).removesuffix(" requests")),
        ("hottest cluster", f"{verdict.peak_temperature_c:.1f} °C"),
        ("longest queue", requests(verdict.peak_queue_requests)),
        ("emergency spend", money(verdict.emergency_usd)),
        ("offered requests with retries", f"{number(verdict.retry_ratio)} times the new ones"),
        ("how often", per_year(verdict.frequency_per_year)),
    ]


def _rules(model: Model, played: Played) -> list[str]:
    """The SLOs that apply to a scenario, in words."""
    found: dict[tuple[float, float], list[str]] = {}
    for rule in floors(model, played.scenario.severity):
        found.setdefault((rule.from_minute, rule.least_served), []).append(in_words(rule.subject))
    rules = [
        f"from minute {minute:.0f} at least {share(least)} of "
        + ("every tier" if set(subjects) == set(model.tiers) else ", ".join(subjects))
        for (minute, least), subjects in found.items()
    ]
    budget = emergency_budget_usd(model, played.scenario)
    return [*rules, f"emergency spend of at most {money(budget)}"]


def standard_table(model: Model, severities: Collection[str]) -> Table:
    """The survival standard: SLOs by class of scenario."""
    rows = [
        (
            severity,
            in_words(subject_of(rule.tier, rule.zone)),
            f"{rule.from_minute:.0f}",
            share(rule.least_served),
        )
        for severity, rules in model.standard.items()
        if severity in severities
        for rule in rules
    ]
    columns = texts("class", "who") + figures("from minute", "at least")
    return Table("Service level objectives by class of scenario", columns, rows)


def unlisted_names(simulated: Simulated, listed: Collection[int]) -> tuple[str, list[str]]:
    """How many scenarios the table leaves out, and their names."""
    shown = set(listed)
    names = [
        played.verdict.name for index, played in enumerate(simulated.played) if index not in shown
    ]
    return counted(len(names), "more scenario"), names
