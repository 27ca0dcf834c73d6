"""An inventory into a model that people have written on: what is new is added, theirs stays."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

from pydantic import BaseModel
from ruamel.yaml import YAML
from ruamel.yaml.nodes import CollectionNode, MappingNode, Node, ScalarNode

from planner.errors import InputError
from planner.imports.inventory import Fields, Inventory, Stated
from planner.imports.model_text import entry_lines, remark, value_text
from planner.infrastructure.entities import Model
from planner.infrastructure.loading import LoadedModel

OF_PEOPLE = ("tiers", "zones")
#: Sections whose entries an importer names as long as they are there.
NAMED_BY_IMPORTERS = (
    "regions",
    "clusters",
    "cooling_units",
    "plants",
    "feeds",
    "services",
    "offers",
)
#: Relative difference of two figures that is rounding.
ROUNDING = 1e-6


@dataclass(frozen=True)
class Difference:
    """A value on which a model and the inventory differ.

    Parameters
    ----------
    taken
        Whether the merged model has that of the inventory.
    """

    path: str
    model: Any
    inventory: Any
    taken: bool


@dataclass(frozen=True)
class Merged:
    """A merged model file.

    Parameters
    ----------
    added
        Entries and fields that are new, by path.
    unknown
        Entries of the model that the inventory does not have.
    """

    before: str
    text: str
    added: tuple[str, ...]
    differences: tuple[Difference, ...]
    unknown: tuple[str, ...]

    def diff(self, file: str) -> str:
        """Difference of both texts, as `diff -u` shows it."""
        before, after = (text.splitlines(keepends=True) for text in (self.before, self.text))
        return "".join(difflib.unified_diff(before, after, file, f"{file} (merged)"))


def merge(loaded: LoadedModel, text: str, inventory: Inventory, take: Sequence[str]) -> Merged:
    """Merge an inventory into the text of a model file.

    Parameters
    ----------
    take
        Patterns of paths whose values the inventory has the last word on.

    Raises
    ------
    InputError
        If something is new in a section that the file does not hold as a mapping.
    """
    editor = _Editor(text if text.endswith("\n") else f"{text}\n", str(loaded.file))
    added: list[str] = []
    differences: list[Difference] = []
    # Fields first: one of the last entry of a section stands before entries that are new.
    for path, stated in inventory.values():
        if path[1] not in _entries(loaded.model, path[0]):
            continue
        found = _compare(loaded.model, path, stated, take)
        if found == "absent" and editor.add_field(path, stated):
            added.append(".".join(path))
        elif isinstance(found, Difference):
            done = found.taken and editor.set_value(path, found.inventory)
            differences.append(replace(found, taken=bool(done)))
    for section, entries in inventory.sections.items():
        there = _entries(loaded.model, section)
        # Who uses the platform people state; what is only assumed of it is not added to theirs.
        if section in OF_PEOPLE and there and not inventory.is_stated(section):
            continue
        new = {name: fields for name, fields in entries.items() if name not in there}
        editor.add_entries(section, new, inventory.titles)
        added += [f"{section}.{name}" for name in new]
    unknown = [
        f"{section}.{name}"
        for section, entries in inventory.sections.items()
        if section in NAMED_BY_IMPORTERS
        for name in getattr(loaded.model, section)
        if name not in entries
    ]
    differences.sort(key=lambda difference: difference.path)
    return Merged(text, editor.text(), tuple(sorted(added)), tuple(differences), tuple(unknown))


def _entries(model: Model, section: str) -> Mapping[str, Any]:
    """Entries of a section; of one that has none its settings, as far as they are stated."""
    found = getattr(model, section)
    if isinstance(found, BaseModel):
        return {name: getattr(found, name) for name in found.model_fields_set}
    return found or {}


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(exclude_unset=True)
    if isinstance(value, Mapping):
        return {key: _plain(part) for key, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, tuple) else value


def _compare(
    model: Model, path: tuple[str, ...], stated: Stated, take: Sequence[str]
) -> Difference | str:
    """Difference of a value, ``absent`` if the model leaves it open, ``same`` otherwise.

    What is assumed with an inventory is nothing that it knows better, unless it is asked for.
    """
    shown, (section, name, *rest) = ".".join(path), path
    taken = any(fnmatchcase(shown, pattern) for pattern in take)
    have, value = _entries(model, section)[name], stated.value
    if not (taken or stated.confidence == "stated"):
        return "same"
    for field in rest:
        if field not in type(have).model_fields:
            return "same"
        if field not in have.model_fields_set and getattr(have, field) != value:
            return "absent"
        have = getattr(have, field)
    if isinstance(have, BaseModel):
        # What the inventory says of a part leaves the rest of it.
        value = {**_plain(have), **value}
    have = _plain(have)
    return "same" if _same(have, value) else Difference(shown, have, value, taken)


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        if all(isinstance(value, str) for value in (*one, *other)):
            return sorted(one) == sorted(other)
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, int | float) and isinstance(other, int | float):
        return abs(one - other) <= ROUNDING * max(abs(one), abs(other))
    return bool(one == other)


class _Editor:
    """Changes of a YAML text that leave all else of it as it stands."""

    def __init__(self, text: str, file: str) -> None:
        self._text, self._file = text, file
        self._changes: list[tuple[int, int, str]] = []
        root = YAML(typ="safe", pure=True).compose(text)
        self._root = dict(_children(root))

    def text(self) -> str:
        """The changed text."""
        text = self._text
        # From the end, so that places before a change stay; the later of two at one place first.
        for _, (start, end, new) in sorted(
            enumerate(self._changes), key=lambda item: (item[1][0], item[0]), reverse=True
        ):
            text = text[:start] + new + text[end:]
        return text

    def add_entries(
        self,
        section: str,
        entries: Mapping[str, Fields | Stated],
        titles: Mapping[tuple[str, str], str],
    ) -> None:
        """Add entries to a section, or the section."""
        if not entries:
            return
        key, node = self._root.get(section, (None, None))
        if key is not None and not isinstance(node, MappingNode):
            message = f"{section} is no mapping in this file; it would get {', '.join(entries)}"
            raise InputError.single(self._file, message, key.start_mark.line + 1, 1)
        if isinstance(node, MappingNode) and node.flow_style:
            self._insert_in_flow(node, [(n, _flow(fields)) for n, fields in entries.items()])
            return
        indent = 2 if node is None else node.value[0][0].start_mark.column
        lines = [] if node is not None else [f"{section}:"]
        for name, fields in entries.items():
            lines += entry_lines(name, titles.get((section, name), ""), fields, indent)
        where = len(self._text) if node is None else self._line_end(_end(node))
        self._changes.append((where, where, "".join(f"{line}\n" for line in lines)))

    def add_field(self, path: tuple[str, ...], stated: Stated) -> bool:
        """Add a field to an entry that stands in this file as a mapping; whether it does."""
        section, name, field = path
        node = self._entry(section, name)
        if node is None:
            return False
        if node.flow_style:
            self._insert_in_flow(node, [(field, value_text(stated.value))])
            return True
        where = self._line_end(_end(node))
        line = f"{' ' * node.value[0][0].start_mark.column}{field}: {value_text(stated.value)}"
        self._changes.append((where, where, f"{line}{remark(stated)}\n"))
        return True

    def set_value(self, path: tuple[str, ...], wanted: Any) -> bool:
        """Set a value that stands in this file; whether it does."""
        children, place = self._root, None
        for part in path:
            key, node = children.get(part, (None, None))
            if key is None or node is None or _is_elsewhere(key, node):
                return False
            children, place = dict(_children(node)), node
        assert place is not None
        self._changes.append((place.start_mark.index, _end(place), value_text(wanted)))
        return True

    def _entry(self, section: str, name: str) -> MappingNode | None:
        _, section_node = self._root.get(section, (None, None))
        key, node = dict(_children(section_node)).get(name, (None, None))
        if key is None or not isinstance(node, MappingNode) or _is_elsewhere(key, node):
            return None
        return node if node.value else None

    def _insert_in_flow(self, node: MappingNode, items: list[tuple[str, str]]) -> None:
        where = node.start_mark.index + 1
        text = ", ".join(f"{key}: {value}" for key, value in items)
        self._changes.append((where, where, text + (", " if node.value else "")))

    def _line_end(self, index: int) -> int:
        """Place behind the line of an index."""
        return index if self._text[index - 1] == "\n" else self._text.index("\n", index) + 1


def _children(node: Node | None) -> Iterator[tuple[str, tuple[Node, Node]]]:
    for key, value in node.value if isinstance(node, MappingNode) else ():
        if isinstance(key, ScalarNode):
            yield key.value, (key, value)


def _is_elsewhere(key: Node, value: Node) -> bool:
    """Whether a value is an alias: what stands elsewhere, and perhaps for others too."""
    return bool(value.start_mark.index < key.start_mark.index)


def _end(node: Node) -> int:
    """Place behind the last character of a value, without what follows a block."""
    while isinstance(node, CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        key, value = last if isinstance(last, tuple) else (last, last)
        if _is_elsewhere(key, value):
            return int(key.end_mark.index)
        node = value
    return int(node.end_mark.index)


def _flow(fields: Fields | Stated) -> str:
    if isinstance(fields, Stated):
        return value_text(fields.value)
    return value_text({field: stated.value for field, stated in fields.items()})
