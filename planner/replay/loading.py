"""Incident file to `Incident`, checked against the model it replays."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from planner.errors import InputError, Problem
from planner.infrastructure.catalogue import data_directory, shipped_models
from planner.infrastructure.checks import check_references, check_sense
from planner.infrastructure.entities import Model, Service
from planner.infrastructure.failures import Generators, Scenario
from planner.infrastructure.fields import NAME_LENGTH, NAME_PATTERN
from planner.infrastructure.loading import (
    EVENTS as FAILURES,
)
from planner.infrastructure.loading import (
    EXPECTED,
    NAME_RULE,
    SECTIONS,
    LoadedModel,
    load_model,
    nearest,
)
from planner.infrastructure.source import (
    Document,
    Path_,
    Place,
    is_file,
    parse_yaml,
    printable,
    read_bytes,
)
from planner.replay.incident import (
    CLOCK_PATTERN,
    EVENTS,
    QUANTITIES,
    START_PATTERN,
    Calibrated,
    Incident,
    Milestone,
    SubjectKind,
    minutes_between,
)

FILE = "incident.yaml"
SHOWN_LENGTH = 40
#: Name of the inline scenario while it is checked as one of the model.
SHADOW = "replayed"
#: A model's own value and the one an incident states are the same number written twice.
SAME = 1e-9


@dataclass(frozen=True)
class LoadedIncident:
    """An incident with the model it happens on.

    Parameters
    ----------
    incident
        The validated record.
    name
        Name of the shipped incident, of the folder of an ``incident.yaml``, or of the file.
    loaded
        The model with the incident's own settings, and those of the user after them.
    """

    incident: Incident
    name: str
    loaded: LoadedModel


def shipped_incidents() -> dict[str, Path]:
    """Path of each shipped incident by its name."""
    folder = data_directory("datasets") / "incidents"
    return {path.parent.name: path for path in sorted(folder.glob(f"*/{FILE}"))}


def load_incident(reference: str | Path, overrides: tuple[str, ...] = ()) -> LoadedIncident:
    """Load an incident and its model, and validate them together.

    Parameters
    ----------
    reference
        Path of an incident file, or the name of a shipped incident.
    overrides
        Settings of the model, ``dotted.path=value``, after those of the incident.

    Raises
    ------
    InputError
        With every problem found, each with file, line and column.
    """
    path = find_incident(reference)
    name = path.resolve().parent.name if path.name == FILE else path.stem
    document = _read(path)
    _name_scenario(document, name)
    incident = _structure(document)
    loaded = _model(document, path)
    if loaded is not None:
        _check(document, loaded.model)
    if document.problems or incident is None or loaded is None:
        raise InputError(document.problems)
    if overrides:
        loaded = load_model(_model_file(path, incident.model), (*incident.set, *overrides))
        _check(document, loaded.model, calibration=False)
        if document.problems:
            raise InputError(document.problems)
    return LoadedIncident(incident, name, loaded)


def find_incident(reference: str | Path) -> Path:
    """Path of an incident given by path or shipped name.

    Raises
    ------
    InputError
        If there is neither such a file nor such a shipped incident.
    """
    path, shipped, wanted = Path(reference), shipped_incidents(), str(reference)
    if is_file(path):
        return path
    if wanted in shipped:
        return shipped[wanted]
    known = f"shipped are {', '.join(sorted(shipped))}{nearest(wanted, shipped)}"
    message = f"no such file or shipped incident; {known}"
    raise InputError.single(printable(wanted), message)


def _read(path: Path) -> Document:
    try:
        return parse_yaml(read_bytes(path, str(path)), str(path))
    except InputError as error:
        # The reader names what a model starts with.
        raise InputError(
            Problem(p.file, p.line, p.column, p.where, p.message.replace("`regions:`", "`title:`"))
            for p in error.problems
        ) from error


def _name_scenario(document: Document, name: str) -> None:
    """A scenario has the name of its incident unless it says otherwise."""
    scenario = document.data.get("scenario")
    if isinstance(scenario, dict):
        fitting = re.sub(r"[^A-Za-z0-9_.@-]", "-", name).lstrip("_.@-")[:NAME_LENGTH]
        scenario.setdefault("name", fitting or "incident")


# --------------------------------------------------------------------------------------- structure


def _structure(document: Document) -> Incident | None:
    """The incident if its structure is right; complaints otherwise."""
    try:
        return Incident.model_validate(document.data)
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            path, message = _worded(document, detail)
            document.complain(path, message)
        return None


def _worded(document: Document, detail: ErrorDetails) -> tuple[Path_, str]:
    """A pydantic error as the place of a value and what would be accepted there."""
    path = _existing_path(document.data, detail["loc"])
    kind, context, shown = detail["type"], detail.get("ctx", {}), _shown(detail["input"])
    if kind == "missing":
        return (*path, str(detail["loc"][-1])), "is missing"
    if kind == "extra_forbidden":
        return path, _unknown_field(str(detail["loc"][-1]), detail["loc"][:-1])
    if kind in {"union_tag_invalid", "union_tag_not_found"}:
        tag = str(context.get("tag", ""))
        given = f", not {_shown(tag)}{nearest(tag, FAILURES)}" if tag else ""
        return (*path, "kind"), f"expected one of {', '.join(FAILURES)}{given}"
    if kind == "literal_error":
        expected = str(context.get("expected", ""))
        hint = nearest(str(detail["input"]), re.findall(r"'([^']*)'", expected))
        return path, f"expected {expected}, not {shown}{hint}"
    if kind == "string_pattern_mismatch":
        return path, _wrong_text(str(context.get("pattern")), shown)
    if kind == "too_long" and not isinstance(detail["input"], str):
        have, most = context.get("actual_length"), context.get("max_length")
        return path, f"has {have} entries; at most {most} are accepted"
    if kind in {"too_short", "string_too_short"}:
        return path, "is empty; expected at least one entry"
    if kind in EXPECTED:
        return path, f"expected {EXPECTED[kind]}, not {shown}"
    message = detail["msg"]
    return path, f"{message[:1].lower()}{message[1:]}, not {shown}"


def _wrong_text(pattern: str, shown: str) -> str:
    if pattern == START_PATTERN:
        return f'expected a time of day such as "16:05", not {shown}'
    if pattern == CLOCK_PATTERN:
        return f'expected a time of day such as "16:05" ("01:05 +1" a day later), not {shown}'
    if pattern == NAME_PATTERN:
        return f"is not a name: {NAME_RULE}, not {shown}"
    return f"must not have signs that steer a terminal, as {shown} has"


def _unknown_field(wrong: str, location: tuple[int | str, ...]) -> str:
    accepted = sorted(_fields_at(location))
    hint = nearest(wrong, accepted)
    return f"is not a field here{hint} (accepted: {', '.join(accepted)})"


def _fields_at(location: tuple[int | str, ...]) -> set[str]:
    """Field names accepted at a location, found by walking the types of `Incident`."""
    kinds: list[type[BaseModel]] = [Incident]
    for part in location:
        if part in FAILURES:
            kinds = [FAILURES[str(part)]]
        elif isinstance(part, str):
            fields = [kind.model_fields[part] for kind in kinds if part in kind.model_fields]
            kinds = [kind for field in fields for kind in _entities(field.annotation)] or kinds
    return set().union(*(kind.model_fields for kind in kinds)) - {"name"}


def _entities(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [kind for inner in get_args(annotation) for kind in _entities(inner)]


def _existing_path(data: Any, location: tuple[int | str, ...]) -> Path_:
    """Path in the file for a location of pydantic, which also names union members."""
    path: Path_ = ()
    for part in location:
        if isinstance(data, dict) and part in data:
            path, data = (*path, part), data[str(part)]
        elif isinstance(data, list) and isinstance(part, int) and part < len(data):
            path, data = (*path, part), data[part]
    return path


def _shown(value: Any) -> str:
    if isinstance(value, dict | list):
        return f"a {'mapping' if isinstance(value, dict) else 'list'}"
    text = repr(value)
    return text if len(text) <= SHOWN_LENGTH else text[: SHOWN_LENGTH - 3] + "..."


# ------------------------------------------------------------------------------------------- model


def _model_file(incident_path: Path, wanted: str) -> Path | str:
    """A model beside the incident, or the name of a shipped one."""
    beside = incident_path.resolve().parent / wanted
    return beside if is_file(beside) else wanted


def _model(document: Document, path: Path) -> LoadedModel | None:
    """The model with the settings of the incident; complaints otherwise."""
    wanted, settings = document.data.get("model"), document.data.get("set", [])
    if not isinstance(wanted, str):
        return None  # complained about as a wrong type
    settings = settings if isinstance(settings, list) else []
    file = _model_file(path, wanted)
    if isinstance(file, str) and file not in shipped_models():
        known = (
            f"shipped are {', '.join(sorted(shipped_models()))}{nearest(file, shipped_models())}"
        )
        message = f"no file {_shown(wanted)} beside this one and no such shipped model; {known}"
        document.complain(("model",), message + known)
        return None
    try:
        return load_model(file, tuple(one for one in settings if isinstance(one, str)))
    except InputError as error:
        for problem in error.problems:
            _blame(document, settings, problem)
        return None


def _blame(document: Document, settings: list[Any], problem: Problem) -> None:
    """Add a problem of the model; one of a setting gets the place of the setting."""
    for index, setting in enumerate(settings):
        start = f"--set {printable(str(setting))}"
        if problem.file == start or (
            problem.file.endswith("...") and start.startswith(problem.file[:-3])
        ):
            where = f"{problem.where}: " if problem.where else ""
            document.complain(("set", index), f"{where}{problem.message}")
            return
    document.problems.append(problem)


# ------------------------------------------------------------------------------------------ checks


def _check(document: Document, model: Model, calibration: bool = True) -> None:
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
        check_sense(
            model.replace(
                scenarios={SHADOW: scenario},
                generators=Generators(),
                standard={scenario.severity: ()},
            ),
            shadow,
        )
    for one in shadow.problems:
        where = one.where.replace(f"scenarios.{SHADOW}", "scenario", 1)
        document.problems.append(Problem(one.file, one.line, one.column, where, one.message))


def _below(document: Document, head: str) -> Iterator[tuple[Path_, Place]]:
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
    document: Document, path: Path_, milestone: Milestone, kind: SubjectKind, model: Model
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
    elif not entry.low <= entry.value <= entry.high:
        message = f"{entry.value:g} is outside {entry.low:g} to {entry.high:g} {entry.unit}"
        document.complain((*path, "value"), message)
    values = model_values(data, entry.parameter)
    if not values:
        document.complain((*path, "parameter"), f"the model has no number at {entry.parameter}")
    for value in sorted(set(values)):
        if abs(value - entry.value) > SAME * max(1.0, abs(value)):
            document.complain((*path, "value"), f"the model has {value:g}, not {entry.value:g}")


def model_values(data: Any, path: str) -> list[float]:
    """Numbers of a model's plain data at a dotted path, `*` being every entry.

    >>> model_values({"gpus": {"a.b": {"rps": 1.0}, "c": {"rps": 2.0}}}, "gpus.*.rps")
    [1.0, 2.0]
    >>> model_values({"gpus": {"a.b": {"rps": 1.0}}}, "gpus.a.b.rps")
    [1.0]
    """
    if not path:
        return [float(data)] if isinstance(data, int | float) and data is not True else []
    entries: Mapping[str, Any] = (
        dict(zip(map(str, range(len(data))), data, strict=True)) if isinstance(data, list) else data
    )
    if not isinstance(entries, dict):
        return []
    found: list[float] = []
    for name, entry in entries.items():
        for start in {name, "*"}:
            if path == start or path.startswith(f"{start}."):
                found += model_values(entry, path[len(start) + 1 :])
    return found
