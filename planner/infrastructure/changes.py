"""Changes of a model in memory by path, as ``--set`` changes that of a file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from planner.infrastructure.entities import Model
from planner.infrastructure.fields import Entity
from planner.json_text import json_text

#: An index in brackets, ``standard.region[2]``, which is the same as ``standard.region.2``.
INDEX = re.compile(r"\[(\d+)\]")


def value_at(model: Model, path: str) -> Any:
    """Value at a path; None where a table has no such entry.

    Raises
    ------
    KeyError
        If the path leads through something that is not there.
    """
    value: Any = model
    for part in _parts(model, path):
        if isinstance(value, Mapping):
            value = value.get(part)
        elif isinstance(value, tuple):
            value = value[int(part)]
        elif isinstance(value, Entity) and part in type(value).model_fields:
            value = getattr(value, part)
        else:
            raise KeyError(path)
    return value


def changed(model: Model, changes: Mapping[str, Any]) -> Model:
    """The model with the values at some paths replaced; None removes an entry of a table.

    Raises
    ------
    KeyError
        If a path leads through something that is not there.
    pydantic.ValidationError
        If a value is outside the accepted set of its field.
    """
    for path, value in changes.items():
        model = _changed(model, _parts(model, path), value, path)
    return model


def setting(path: str, value: Any) -> str:
    """A change as the command line takes it."""
    if value is None:
        return f"{path}=null"
    if isinstance(value, tuple | list):
        return f"{path}=[{', '.join(map(str, value))}]"
    return f"{path}={json_text(value, 'line', ascii_only=True)}"


def _parts(model: Model, path: str) -> list[str]:
    """Split a path at its dots; names with dots are taken whole where the model has them."""
    words, parts = INDEX.sub(r".\1", path).split("."), []
    value: Any = model
    while words:
        taken = 1
        if isinstance(value, Mapping):
            lengths = range(len(words), 0, -1)
            taken = next((n for n in lengths if ".".join(words[:n]) in value), 1)
        part, words = ".".join(words[:taken]), words[taken:]
        parts.append(part)
        if isinstance(value, Mapping):
            value = value.get(part)
        elif isinstance(value, tuple):
            value = value[int(part)] if part.isdigit() and int(part) < len(value) else None
        else:
            value = getattr(value, part, None)
    return parts


def _changed(value: Any, parts: list[str], new: Any, path: str) -> Any:
    if not parts:
        return new
    head, rest = parts[0], parts[1:]
    if isinstance(value, Mapping):
        entries = dict(value)
        if rest and head not in entries:
            if len(rest) > 1:
                raise KeyError(path)
            entries[head] = {}
        if not rest and new is None:
            entries.pop(head, None)
        else:
            entries[head] = _changed(entries.get(head), rest, new, path)
        return entries
    if isinstance(value, tuple):
        index = int(head)
        return (*value[:index], _changed(value[index], rest, new, path), *value[index + 1 :])
    if isinstance(value, Entity) and head in type(value).model_fields:
        return value.replace(**{head: _changed(getattr(value, head), rest, new, path)})
    raise KeyError(path)
