"""Incident file to `Incident`, checked against the model it replays."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from planner.errors import InputError, Problem
from planner.infrastructure.catalogue import INCIDENT, shipped_incidents, shipped_models
from planner.infrastructure.complaints import EVENTS as FAILURES
from planner.infrastructure.complaints import EXPECTED, NAME_RULE
from planner.infrastructure.fields import NAME_LENGTH, NAME_PATTERN
from planner.infrastructure.loading import LoadedModel, find_file, load_model, nearest
from planner.infrastructure.source import (
    Document,
    Path_,
    is_file,
    parse_yaml,
    printable,
    read_bytes,
)
from planner.replay.checks import check_incident
from planner.replay.incident import CLOCK_PATTERN, START_PATTERN, Incident

SHOWN_LENGTH = 40


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


def load_incident(reference: str | Path, overrides: tuple[str, ...] = ()) -> LoadedIncident:
    """Load an incident and its model, and validate them together.

    Parameters
    ----------
    reference
        Path of an incident file or of its folder, or the name of a shipped incident.
    overrides
        Settings of the model, ``dotted.path=value``, after those of the incident.

    Raises
    ------
    InputError
        With every problem found, each with file, line and column.
    """
    path = find_incident(reference)
    name = path.resolve().parent.name if path.name == INCIDENT else path.stem
    document = parse_yaml(read_bytes(path, str(path)), str(path), expected="`title:` and so on")
    _name_scenario(document, name)
    incident = _structure(document)
    loaded = _model(document, path)
    if loaded is not None:
        check_incident(document, loaded.model)
    if document.problems or incident is None or loaded is None:
        raise InputError(document.problems)
    if overrides:
        loaded = load_model(_model_file(path, incident.model), (*incident.set, *overrides))
        check_incident(document, loaded.model, calibration=False)
        if document.problems:
            raise InputError(document.problems)
    return LoadedIncident(incident, name, loaded)


def find_incident(reference: str | Path) -> Path:
    """Path of an incident given by its file, the folder of its file, or a shipped name.

    Raises
    ------
    InputError
        If there is neither such a file nor such a shipped incident.
    """
    beside = Path(reference) / INCIDENT
    if is_file(beside):
        return beside
    return find_file(reference, shipped_incidents(), "incident")


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
        document.complain(("model",), message)
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
