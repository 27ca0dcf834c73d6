"""Merging of a document into the one that it extends, and settings of single values (``--set``)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from planner.errors import Problem
from planner.infrastructure.catalogue import CATALOGUES, catalogue
from planner.infrastructure.field_types import SECTIONS, default_at, field_of
from planner.infrastructure.quantities import factor, quantity
from planner.infrastructure.source import (
    Document,
    Path_,
    SourcePosition,
    nearest,
    parse_value,
    printable,
)

#: Stands for all names of a section where a value is set or laid over another.
EACH = "*"
#: After the name of a list: what follows is added to what is inherited.
ADDED = "+"


def merged(base: Document, over: Document) -> Document:
    """Merge a document into the one it extends: mappings merge, null removes, all else replaces.

    ``*`` in place of a name stands for all that are inherited, ``name+`` adds to an inherited list,
    and a text like ``*1.3`` multiplies an inherited number.
    """
    places, texts = base.places | over.places, base.texts + over.texts
    replaced = (*base.replaced, *_replaced_lists(base.data, over.data))
    data = _merge(base.data, over.data)
    return Document(data, places, base.problems, texts, base.names, replaced)


def _merge(low: Any, high: Any) -> Any:
    if isinstance(low, dict) and isinstance(high, dict):
        if EACH in high:
            low = {key: _merge(value, high[EACH]) for key, value in low.items()}
        merged = {key: _merge(low[key], high[key]) if key in high else low[key] for key in low}
        for key, value in high.items():
            name = key.removesuffix(ADDED)
            if key != name and isinstance(value, list) and isinstance(low.get(name), list):
                merged[name] = [*low[name], *value]
            elif key not in low and key != EACH:
                merged[key] = value
        return {key: value for key, value in merged.items() if value is not None}
    times = factor(high)
    if times is not None and isinstance(low, int | float) and not isinstance(low, bool):
        return multiplied(low, times)
    return high


def changes_of(low: dict[str, Any], high: dict[str, Any]) -> dict[str, Any]:
    """What is merged into a document to make another of it; null for what that has not.

    >>> changes_of({"a": {"b": 1, "c": 2}, "d": 3}, {"a": {"b": 1, "c": 4}})
    {'a': {'c': 4}, 'd': None}
    """
    found: dict[str, Any] = {}
    for key in dict.fromkeys((*low, *high)):
        was, now = low.get(key), high.get(key)
        if isinstance(was, dict) and isinstance(now, dict):
            found |= {key: inner} if (inner := changes_of(was, now)) else {}
        elif was != now or type(was) is not type(now):
            found[key] = now
    return found


def multiplied(number: float, times: float) -> float:
    """A number times a factor; whole numbers stay whole."""
    return round(number * times) if isinstance(number, int) else number * times


def _replaced_lists(low: Any, high: Any, path: Path_ = ()) -> Iterator[str]:
    """Inherited lists that a document replaces without all of their entries."""
    if isinstance(low, dict) and isinstance(high, dict):
        for key in high.keys() & low.keys():
            yield from _replaced_lists(low[key], high[key], (*path, key))
    elif isinstance(low, list) and isinstance(high, list):
        dropped = sum(entry not in high for entry in low)
        if dropped:
            where = ".".join(map(str, path))
            yield (
                f"{where}: replaces {len(low)} inherited entries, {dropped} of which are dropped; "
                f"`{path[-1]}{ADDED}` adds to them"
            )


def apply_overrides(document: Document, overrides: tuple[str, ...]) -> None:
    """Set values ``dotted.path=value``; errors become problems of the document."""
    for override in overrides:
        shown = printable(override)
        option = f"--set {shown if len(shown) <= 100 else shown[:97] + '...'}"
        try:
            _apply_override(document, override, SourcePosition(option))
        except ValueError as error:
            document.problems.append(Problem(option, 0, 0, "", str(error)))


def _apply_override(document: Document, override: str, place: SourcePosition) -> None:
    """Set one value, or that of every entry; raise `ValueError` for a wrong setting."""
    path_text, equals, text = override.partition("=")
    # An entry of a list may stand in brackets.
    split = re.sub(r"\[(\d+)\]", r".\1", path_text.strip()).split(".")
    if not equals or "" in split:
        raise ValueError("expected dotted.path=value")
    paths = _override_paths(document.data, split)
    if not paths:
        raise ValueError(f"`{EACH}` matches nothing here")
    times = factor(text.strip())
    value = None if times is not None else parse_value(text)
    for parts in paths:
        _check_entry(document, parts)
        if times is not None:
            value = multiplied(_number_at(document, parts), times)
        _set(document, parts, value, place)


def _check_entry(document: Document, parts: Path_) -> None:
    """Raise `ValueError` for a name that is not in its section: it would become a new entity."""
    entries = document.data.get(str(parts[0]))
    if len(parts) < 3 or parts[0] not in SECTIONS or not isinstance(entries, dict):
        return
    if parts[1] not in entries:
        known = ", ".join(list(entries)[:12]) + (", …" if len(entries) > 12 else "")
        hint = nearest(str(parts[1]), entries, 3)
        name = printable(str(parts[1]))
        raise ValueError(f"`{name}` is not among {parts[0]} ({known or 'none'}){hint}")


def _set(document: Document, parts: Path_, new: Any, place: SourcePosition) -> None:
    target: Any = document.data
    for depth, part in enumerate(parts[:-1]):
        if isinstance(target, list):
            target = target[_index(target, part)]
            continue
        if not isinstance(target, dict):
            break
        if part not in target:
            target[part] = {}
            document.places[parts[: depth + 1]] = place
        target = target[part]
    if not isinstance(target, dict | list):
        raise ValueError("leads into a value without fields")
    for path in [path for path in document.places if path[: len(parts)] == parts]:
        del document.places[path]
    document.places[parts] = place
    if isinstance(target, list):
        target[_index(target, parts[-1])] = new
    elif new is None and parts[-1] in target:
        del target[parts[-1]]  # as in a file that extends another, null removes
    else:
        target[parts[-1]] = new


def _number_at(document: Document, parts: Path_) -> float:
    """Number that a factor multiplies: of the file, of the catalogue, or the field's default."""
    found: Any = document.data
    for part in parts[:-1]:
        inside = isinstance(found, list) or (isinstance(found, dict) and part in found)
        found = found[part] if inside else None
    name = str(parts[-1])
    if isinstance(found, dict) and name not in found and "from" in found:
        entries = catalogue(CATALOGUES[str(parts[0])]) if parts[0] in CATALOGUES else {}
        found = entries.get(str(found["from"]), {}) | found
    value = found.get(name) if isinstance(found, dict) else None
    if value is None:
        value = default_at(parts)
    if isinstance(value, str):
        value = quantity(value, field_of(parts))
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise ValueError(f"`{printable('.'.join(map(str, parts)))}` has no number to multiply")
    return value


def _index(entries: list[Any], part: int | str) -> int:
    if isinstance(part, int) and part < len(entries):
        return part
    index, count = printable(str(part)), len(entries)
    raise ValueError(f"`{index}` is not an index of a list of {count} entries, counted from 0")


def _override_paths(data: Any, parts: list[str]) -> list[Path_]:
    """Paths for a split dotted one; a name with dots is taken whole where the model has it.

    ``*`` stands for all names of a mapping, or all entries of a list.
    """
    if not parts:
        return [()]
    if parts[0] == EACH:
        listed = enumerate(data) if isinstance(data, list) else ()
        entries = data.items() if isinstance(data, dict) else listed
        return [
            (key, *rest) for key, below in entries for rest in _override_paths(below, parts[1:])
        ]
    taken, key, below = 1, parts[0], None
    head: int | str = key
    if isinstance(data, dict):
        lengths = range(len(parts), 0, -1)
        taken = next((n for n in lengths if ".".join(parts[:n]) in data), 1)
        head = ".".join(parts[:taken])
        below = data.get(head)
    elif isinstance(data, list) and key.isascii() and key.isdigit():
        head = int(key[:9])
        below = data[head] if head < len(data) else None
    return [(head, *rest) for rest in _override_paths(below, parts[taken:])]
