"""Validation errors of pydantic as problems of a file, in words that speak of the file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from planner.infrastructure.entities import Model
from planner.infrastructure.failures import (
    Heat,
    LargestUnitsLoss,
    NodeLoss,
    Sag,
    Supply,
    Surge,
    UnitLoss,
)
from planner.infrastructure.field_types import field_of, members, types_below
from planner.infrastructure.fields import NAME_PATTERN
from planner.infrastructure.quantities import QUANTITY_STARTS, accepted_units, factor
from planner.infrastructure.source import Document, Path_, nearest

#: Class of a failure event by its `kind`.
EVENTS: dict[str, type[BaseModel]] = {
    kind: event
    for event in (UnitLoss, LargestUnitsLoss, NodeLoss, Sag, Heat, Surge, Supply)
    for kind in get_args(event.model_fields["kind"].annotation)
}
KINDS = f"expected one of {', '.join(EVENTS)}"
NAME_RULE = "expected letters, digits, . _ @ -, starting with a letter or digit"

#: What was expected, by type of pydantic error, where pydantic speaks of Python types.
EXPECTED = {
    "bool_type": "true or false",
    "dict_type": "a mapping",
    "finite_number": "a finite number",
    "float_type": "a number",
    "int_type": "a whole number",
    "mapping_type": "a mapping",
    "model_attributes_type": "a mapping",
    "model_type": "a mapping",
    "string_too_short": "text",
    "string_type": "text",
    "string_unicode": "text",
    "tuple_type": "a list",
}


def complain(
    document: Document,
    error: ValidationError,
    root: type[BaseModel] = Model,
    patterns: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Add every error of a validation to the problems of the document that was validated.

    Parameters
    ----------
    document
        What was validated, with its places; it receives the problems.
    patterns
        What was expected, by regular expression of a text field.
    """
    for all_of_them in (False, True):
        for detail in error.errors(include_url=False):
            path = _existing_path(document, detail["loc"])
            if all_of_them or not _already_said(document, path, detail):
                suffix, message = _sentence(path, detail, root, patterns)
                document.complain((*path, *suffix), message)
        if document.problems:
            return


def _already_said(document: Document, path: Path_, detail: ErrorDetails) -> bool:
    """Whether another problem of the document explains an error."""
    kind, value = detail["type"], detail["input"]
    if kind == "missing":  # the catalogue entry that would supply it does not exist
        source = ".".join((*map(str, path), "from"))
        return any(problem.where == source for problem in document.problems)
    if kind == "too_short":  # its entries are wrong
        return isinstance(value, list | dict) and bool(value)
    # The name of an entity is its key, and a problem of that.
    is_key = path[2:] == ("name",) and isinstance(value, str) and path[1] == value
    return is_key and kind != "extra_forbidden"


def _sentence(
    path: Path_, detail: ErrorDetails, root: type[BaseModel], patterns: Mapping[str, str]
) -> tuple[Path_, str]:
    """What is wrong, and the field below `path` that it is wrong with, if not `path` itself."""
    kind, value, context = detail["type"], detail["input"], detail.get("ctx", {})
    match kind:
        case "extra_forbidden":
            return (), _unknown_field(detail["loc"], root)
        case "missing":
            return (str(detail["loc"][-1]),), "is missing"
        case "string_pattern_mismatch":
            return (), _wrong_text(str(context.get("pattern")), value, patterns)
        case "union_tag_not_found":
            return ("kind",), f"is missing; {KINDS}"
        case "union_tag_invalid":
            tag = str(context.get("tag", ""))
            return ("kind",), f"{KINDS}, not {shown_value(tag)}{nearest(tag, EVENTS)}"
        case "literal_error":
            return (), _unknown_value(str(context.get("expected", "")), value)
        case "too_short":
            return (), "is empty; expected at least one entry"
        case "too_long":
            have, most = context.get("actual_length"), context.get("max_length")
            return (), f"has {have} entries; at most {most} are accepted"
    if kind in EXPECTED:
        hint = _units_hint(kind, path, value)
        return (), f"expected {EXPECTED[kind]}, not {shown_value(value)}{hint}"
    message = detail["msg"]
    return (), f"{message[:1].lower()}{message[1:]}, not {shown_value(value)}"


def _unknown_field(location: tuple[int | str, ...], root: type[BaseModel]) -> str:
    accepted = sorted(_accepted_fields(location[:-1], root))
    hint = nearest(str(location[-1]), accepted)
    return "is not a field here" + (
        hint or (f" (accepted: {', '.join(accepted)})" if accepted else "")
    )


def _unknown_value(expected: str, value: Any) -> str:
    hint = nearest(str(value), re.findall(r"'([^']*)'", expected))
    return f"expected {expected}, not {shown_value(value)}{hint}"


def _wrong_text(pattern: str, value: Any, patterns: Mapping[str, str]) -> str:
    if pattern in patterns:
        return f"expected {patterns[pattern]}, not {shown_value(value)}"
    if pattern == NAME_PATTERN:
        return f"is not a name: {NAME_RULE}, not {shown_value(value)}"
    return f"must not contain control characters, as {shown_value(value)} does"


def _units_hint(kind: str, path: Path_, value: object) -> str:
    """Units that could have followed the number in a text that is not a number."""
    if kind not in ("float_type", "int_type") or not isinstance(value, str):
        return ""
    if factor(value) is not None:
        return "; there is no inherited number to multiply"
    if value[:1] not in QUANTITY_STARTS:
        return ""
    return f"; a number may be followed by {', '.join(accepted_units(field_of(path)))}"


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


def _accepted_fields(location: tuple[int | str, ...], root: type[BaseModel]) -> set[str]:
    """Names of the fields accepted at a location of pydantic."""
    types: list[Any] = [root]
    for part in location:
        event = EVENTS.get(str(part))
        if event in types:  # pydantic names the member of the union after the index of the event
            types = [event]
        else:
            types = [inner for outer in types for inner in types_below(outer, part)] or types
    inner = [member for outer in types for member in members(outer)]
    entities = [entity for entity in inner if isinstance(entity, type)]
    fields = (entity.model_fields for entity in entities if issubclass(entity, BaseModel))
    return set().union(*fields) - {"name"}


def shown_value(value: Any) -> str:
    """Text of a value for a message, at most 40 characters long."""
    if isinstance(value, dict | list):
        return f"a {'mapping' if isinstance(value, dict) else 'list'}"
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."
