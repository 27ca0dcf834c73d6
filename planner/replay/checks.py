"""Checks of an incident against the model it happens on: names, times, fitted values."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from pydantic import BaseModel, ValidationError

from planner.errors import Problem
from planner.infrastructure.checks import check_plausibility, check_references
from planner.infrastructure.entities import Model, Service
from planner.infrastructure.failures import Generators, Scenario
from planner.infrastructure.field_types import SECTIONS
from planner.infrastructure.source import Document, Path_, SourcePosition, nearest
from planner.replay.incident import (
    EVENTS,
    QUANTITIES,
    START_PATTERN,
    Calibrated,
    Milestone,
    minutes_between,
)

#: Where the paths of values of the scenario begin.
SCENARIO = "scenario"
#: Name of the inline scenario while it is checked as one of the model.
SHADOW = "replayed"
#: A model's own value and the one an incident states are the same number written twice.
SAME = 1e-9


def check_incident(document: Document, model: Model, calibration: bool = True) -> None:
    """Complain about what does not fit the model, entry by entry, whatever else is wrong."""
    _check_scenario(document, model)
    clock = document.data.get("clock")
    start = clock if isinstance(clock, str) and re.match(START_PATTERN, clock) else None
    for path, milestone in _valid(document, "milestones", Milestone):
        _check_milestone(document, path, milestone, model, start)
    if calibration:
        _check_calibrated(document, model)


def _valid[E: BaseModel](
    document: Document, section: str, kind: type[E]
) -> Iterator[tuple[Path_, E]]:
    """Entries of a list that are valid by themselves; the others were complained about."""
    for path, entry in _entries(document, section):
        try:
            yield path, kind.model_validate(entry)
        except ValidationError:
            continue


def _entries(document: Document, section: str) -> Iterator[tuple[Path_, Any]]:
    entries = document.data.get(section)
    for index, entry in enumerate(entries if isinstance(entries, list) else []):
        yield (section, index), entry


def _check_scenario(document: Document, model: Model) -> None:
    """Check an inline scenario as if it stood in the model."""
    raw = document.data.get("scenario")
    if not isinstance(raw, dict):
        return
    shadow = Document(
        {section: dict.fromkeys(getattr(model, section)) for section in SECTIONS}
        | {"scenarios": {SHADOW: raw}},
        {("scenarios", SHADOW, *path[1:]): place for path, place in _below(document, "scenario")},
    )
    shadow.places[()] = document.place(("scenario",))
    check_references(shadow)
    if not shadow.problems:
        try:
            scenario = Scenario.model_validate(raw)
        except ValidationError:
            return
        # Nothing but the scenario is new; no standard is needed to replay it.
        check_plausibility(
            model.replace(
                scenarios={SHADOW: scenario},
                generators=Generators(),
                standard={scenario.severity: ()},
            ),
            shadow,
        )
    for problem in shadow.problems:
        where = problem.where.replace(f"scenarios.{SHADOW}", "scenario", 1)
        document.problems.append(
            Problem(problem.file, problem.line, problem.column, where, problem.message)
        )


def _below(document: Document, head: str) -> Iterator[tuple[Path_, SourcePosition]]:
    return ((path, place) for path, place in document.places.items() if path[:1] == (head,))


def _check_milestone(
    document: Document, path: Path_, milestone: Milestone, model: Model, start: str | None
) -> None:
    _check_event(document, path, milestone)
    terms = QUANTITIES[milestone.quantity]
    kind = EVENTS[milestone.event].subject if milestone.event else terms.subject
    if milestone.event is None or milestone.quantity == "minute":
        _check_subject(document, path, milestone, kind, model)
    if milestone.forced and milestone.calibrated:
        document.complain((*path, "calibrated"), "nothing can be fitted to what was given")
    if milestone.observed is None and milestone.quantity != "minute":
        document.complain((*path, "observed"), "is missing")
    elif milestone.observed is not None and not terms.least <= milestone.observed <= terms.most:
        message = f"expected {terms.least:g} to {terms.most:g}, not {milestone.observed:g}"
        document.complain((*path, "observed"), message)
    if start is not None:
        _check_time(document, path, milestone, start, model.simulation.horizon_minutes)


def _check_event(document: Document, path: Path_, milestone: Milestone) -> None:
    """`minute` needs an event, and only events have thresholds."""
    event, timed = milestone.event, milestone.quantity == "minute"
    if timed and event is None and not milestone.forced:
        document.complain((*path, "event"), f"is missing; expected one of {', '.join(EVENTS)}")
    if event is not None and not timed:
        message = f"belongs to `minute`, not to {milestone.quantity}"
        document.complain((*path, "event"), message)
    wants = timed and event is not None and EVENTS[event].threshold
    if wants and milestone.threshold is None:
        document.complain((*path, "threshold"), f"is missing; {event} happens at one")
    if not wants and milestone.threshold is not None:
        document.complain((*path, "threshold"), f"{event or milestone.quantity} has none")
    for field in ("after", "last"):
        if event is None and getattr(milestone, field):
            document.complain((*path, field), "belongs to an event")


def _check_subject(
    document: Document, path: Path_, milestone: Milestone, kind: str, model: Model
) -> None:
    what, where = milestone.event or milestone.quantity, (*path, "subject")
    if kind == "nothing":
        if milestone.subject:
            document.complain(where, f"{what} has none")
        return
    if kind != "tiers" and len(milestone.subject) != 1:
        document.complain(where, f"expected one {kind} that {what} is of")
        return
    names = getattr(model, kind if kind == "tiers" else f"{kind}s")
    for name in milestone.subject:
        if name not in names:
            known = ", ".join(names) or "none"
            message = f"`{name}` is not among the model's {kind.removesuffix('s')}s ({known})"
            document.complain(where, message + nearest(name, names))
        elif kind == "service":
            _check_limit(document, where, what, names[name])


def _check_limit(document: Document, where: Path_, event: str, service: Service) -> None:
    """What has no limit never reaches it."""
    field = "connections" if event == "pool_exhausted" else "capacity_rps"
    if getattr(service, field) is None:
        message = f"`{service.name}` has no {field} in the model, so {event} never happens"
        document.complain(where, message)


def _check_time(
    document: Document, path: Path_, milestone: Milestone, start: str, horizon: float
) -> None:
    minute = minutes_between(start, milestone.time)
    if minute >= horizon:
        message = f"is minute {minute} of a simulation of {horizon:g} from {start} "
        document.complain((*path, "time"), message + "(simulation.horizon_minutes of the model)")
    if milestone.after and minutes_between(start, milestone.after) >= horizon:
        document.complain((*path, "after"), f"is after the simulation of {horizon:g} minutes")
    observed = milestone.observed
    if milestone.quantity == "minute" and observed is not None and observed != minute:
        message = f"{observed:g} is not the {minute} minutes from {start} to {milestone.time}"
        document.complain((*path, "observed"), message)


def _check_calibrated(document: Document, model: Model) -> None:
    """Fitted values are those of the model, possible, and belong to milestones marked so."""
    data = model.model_dump(mode="json")
    with suppress(ValidationError):  # complained about elsewhere
        scenario = Scenario.model_validate(document.data.get(SCENARIO))
        data[SCENARIO] = scenario.model_dump(mode="json")
    fitted = {
        str(entry.get("time")): path
        for path, entry in _entries(document, "milestones")
        if isinstance(entry, dict) and entry.get("calibrated") is True
    }
    named: set[str] = set()
    for path, entry in _valid(document, "calibrated", Calibrated):
        named |= set(entry.against)
        _check_value(document, path, entry, data)
        for index, time in enumerate(entry.against):
            if time not in fitted:
                known = ", ".join(sorted(fitted)) or "none is"
                message = f"no milestone at {time} is marked `calibrated` ({known})"
                document.complain((*path, "against", index), message)
    for time, path in fitted.items():
        if time not in named:
            message = "no entry of `calibrated` was fitted against it"
            document.complain((*path, "calibrated"), message)


def _check_value(document: Document, path: Path_, entry: Calibrated, data: Any) -> None:
    if entry.low >= entry.high:
        document.complain((*path, "low"), "expected low < high")
    elif entry.value is not None and not entry.low <= entry.value <= entry.high:
        message = f"{entry.value:g} is outside {entry.low:g} to {entry.high:g} {entry.unit}"
        document.complain((*path, "value"), message)
    values = model_values(data, entry.parameter)
    if not values:
        where = "scenario" if entry.parameter.startswith(f"{SCENARIO}.") else "model"
        document.complain((*path, "parameter"), f"the {where} has no number at {entry.parameter}")
    stated = sorted(set(values))
    if entry.value is None:
        if stated and not entry.low <= stated[0] <= stated[-1] <= entry.high:
            message = f"{stated[0]:g} is in use, outside {entry.low:g} to {entry.high:g}"
            document.complain((*path, "low"), message)
        return
    for value in stated:
        if abs(value - entry.value) > SAME * max(1.0, abs(value)):
            document.complain((*path, "value"), f"the model has {value:g}, not {entry.value:g}")


def model_values(data: Any, path: str) -> list[float]:
    """Numbers of a model's plain data at a dotted path, `*` being every entry.

    >>> model_values({"gpus": {"a.b": {"rps": 1.0}, "c": {"rps": 2.0}}}, "gpus.*.rps")
    [1.0, 2.0]
    >>> model_values({"gpus": {"a.b": {"rps": 1.0}}}, "gpus.a.b.rps")
    [1.0]
    """
    found = []
    for keys in value_paths(data, path):
        value = data
        for key in keys:
            value = value[key]
        found.append(float(value))
    return found


def value_paths(data: Any, path: str) -> list[tuple[Any, ...]]:
    """Keys of the numbers of plain data at a dotted path, `*` being every entry.

    >>> value_paths({"events": [{"at_minute": 0.0}]}, "events.0.at_minute")
    [('events', 0, 'at_minute')]
    """
    if not path:
        return [()] if isinstance(data, int | float) and not isinstance(data, bool) else []
    entries = list(enumerate(data)) if isinstance(data, list) else data
    entries = list(entries.items()) if isinstance(entries, dict) else entries
    if not isinstance(entries, list):
        return []
    return [
        (name, *keys)
        for name, entry in entries
        for start in dict.fromkeys([str(name), "*"])
        if path == start or path.startswith(f"{start}.")
        for keys in value_paths(entry, path[len(start) + 1 :])
    ]
