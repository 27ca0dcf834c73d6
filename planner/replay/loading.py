"""Incident file to `Incident`, checked against the model it replays."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from planner.errors import InputError, Problem, refuse
from planner.files import read_bytes
from planner.infrastructure.catalogue import INCIDENT, shipped_incidents, shipped_models
from planner.infrastructure.complaints import complain, shown_value
from planner.infrastructure.fields import NAME_LENGTH
from planner.infrastructure.loading import LoadedModel, find_file, load_model
from planner.infrastructure.source import Document, is_file, nearest, parse_yaml, printable
from planner.replay.checks import check_incident
from planner.replay.incident import CLOCK_PATTERN, START_PATTERN, Incident

#: Expected texts by their pattern.
TIMES = {
    START_PATTERN: 'a time of day such as "16:05"',
    CLOCK_PATTERN: 'a time of day such as "16:05" ("01:05 +1" a day later)',
}


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
        refuse(document.problems)
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


def _structure(document: Document) -> Incident | None:
    """The incident if its structure is right; complaints otherwise."""
    try:
        return Incident.model_validate(document.data)
    except ValidationError as error:
        complain(document, error, Incident, TIMES)
        return None


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
        message = (
            f"no file {shown_value(wanted)} beside this one and no such shipped model; {known}"
        )
        document.complain(("model",), message)
        return None
    try:
        return load_model(file, tuple(setting for setting in settings if isinstance(setting, str)))
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
