"""Errors of pydantic as problems of a document, in the words of a model file."""

from __future__ import annotations

import re
from typing import Any, get_args

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from planner.infrastructure.entities import Model
from planner.infrastructure.failures import Heat, LargestUnitsLoss, NodeLoss, Sag, Surge, UnitLoss
from planner.infrastructure.field_types import field_of
from planner.infrastructure.fields import NAME_PATTERN
from planner.infrastructure.quantities import QUANTITY_STARTS, accepted_units, factor
from planner.infrastructure.source import Document, Path_, nearest

NAME_RULE = "expected letters, digits, . _ @ -, starting with a letter or digit"
#: Event of each kind.
EVENTS: dict[str, type[BaseModel]] = {
    kind: event
    for event in (UnitLoss, LargestUnitsLoss, NodeLoss, Sag, Heat, Surge)
    for kind in get_args(event.model_fields["kind"].annotation)
}


#: What was expected, by type of pydantic error, where its own words are those of Python.
EXPECTED = {
    "bool_type": "true or false",
    "dict_type": "a mapping",
    "finite_number": "a finite number",
    "float_type": "a number",
    "int_type": "a whole number",
    "mapping_type": "a mapping",
    "model_attributes_type": "a mapping",
    "model_type": "a mapping",
    "string_type": "text",
    "string_unicode": "text",
    "tuple_type": "a list",
}


def complain(document: Document, detail: ErrorDetails) -> None:
    """Turn a pydantic error into a problem with its place."""
    path = _existing_path(document, detail["loc"])
    kind, message = detail["type"], detail["msg"]
    context = detail.get("ctx", {})
    if kind == "extra_forbidden":
        accepted = sorted(_accepted_fields(detail["loc"][:-1]))
        hint = nearest(str(detail["loc"][-1]), accepted)
        message = f"is not a field here{hint}" if hint else "is not a field here"
        message += f" (accepted: {', '.join(accepted)})" if accepted and not hint else ""
    elif kind == "missing":
        if any(
            problem.where == ".".join((*map(str, path), "from")) for problem in document.problems
        ):
            return  # the catalogue entry that would supply it is not there
        path = (*_existing_path(document, detail["loc"][:-1]), str(detail["loc"][-1]))
        message = "is missing"
    elif path[2:] == ("name",) and path[1] == detail["input"]:
        return  # complained about as a key
    elif kind == "string_pattern_mismatch" and context.get("pattern") == NAME_PATTERN:
        message = f"is not a name: {NAME_RULE}, not {shown_value(detail['input'])}"
    elif kind == "string_pattern_mismatch":
        message = (
            f"must not have signs that steer a terminal, as {shown_value(detail['input'])} has"
        )
    elif kind == "union_tag_not_found":
        path, message = (*path, "kind"), f"is missing; expected one of {', '.join(EVENTS)}"
    elif kind == "union_tag_invalid":
        tag = str(context.get("tag", ""))
        message = f"expected one of {', '.join(EVENTS)}, not {shown_value(tag)}"
        path, message = (*path, "kind"), message + nearest(tag, EVENTS)
    elif kind == "too_short":
        if isinstance(detail["input"], list | dict) and detail["input"]:
            return  # its entries are wrong, and said to be
        message = "is empty; expected at least one entry"
    elif kind == "literal_error":
        expected = str(context.get("expected", ""))
        hint = nearest(str(detail["input"]), re.findall(r"'([^']*)'", expected))
        message = f"expected {expected}, not {shown_value(detail['input'])}{hint}"
    elif kind in EXPECTED:
        message = f"expected {EXPECTED[kind]}, not {shown_value(detail['input'])}"
        message += _units_hint(kind, path, detail["input"])
    else:
        message = f"{message[:1].lower()}{message[1:]}, not {shown_value(detail['input'])}"
    document.complain(path, message)


def _units_hint(kind: str, path: Path_, value: object) -> str:
    """Units that a text which is no number could have had."""
    if kind not in ("float_type", "int_type") or not isinstance(value, str):
        return ""
    if factor(value) is not None:
        return "; there is no inherited number to multiply"
    if value[:1] not in QUANTITY_STARTS:
        return ""
    return f"; after a number may stand {', '.join(accepted_units(field_of(path)))}"


def _existing_path(document: Document, location: tuple[int | str, ...]) -> Path_:
    """Path in the file for a location of pydantic, which also names union members and keys."""
    path: Path_ = ()
    data: Any = document.data
    for part in location:
        if isinstance(data, dict) and part in data:
            path, data = (*path, part), data[str(part)]
        elif isinstance(data, list) and isinstance(part, int) and part < len(data):
            path, data = (*path, part), data[part]
    return path


def _accepted_fields(location: tuple[int | str, ...]) -> set[str]:
    """Field names accepted at a location, found by walking the types of `Model`."""
    types: list[Any] = [Model]
    if location[:1] == ("scenarios",) and location[2:3] == ("events",) and len(location) > 4:
        # The part after the index is the kind of the event, by which pydantic tells them apart.
        types, location = [EVENTS[str(location[4])]], location[5:]
    for part in location:
        deeper: list[Any] = []
        for one in types:
            deeper += _step(one, part)
        types = deeper or types
    return set().union(*(_field_names(one) for one in types), set()) - {"name"}


def _step(one: Any, part: int | str) -> list[Any]:
    if isinstance(one, type) and issubclass(one, BaseModel):
        return [one.model_fields[part].annotation] if part in one.model_fields else []
    return _models_in(one)


def _models_in(annotation: Any) -> list[Any]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    alias = annotation if get_args(annotation) else getattr(annotation, "__value__", annotation)
    return [model for inner in get_args(alias) for model in _models_in(inner)]


def shown_value(value: Any) -> str:
    """Text of a value for a message, cut where it is long."""
    if isinstance(value, dict | list):
        return f"a {'mapping' if isinstance(value, dict) else 'list'}"
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."


def _field_names(entity: Any) -> set[str]:
    if isinstance(entity, type) and issubclass(entity, BaseModel):
        return set(entity.model_fields)
    return set().union(*(_field_names(part) for part in get_args(entity)), set())
