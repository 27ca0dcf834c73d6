"""Model text to plain data, remembering where every value stands."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from planner.errors import InputError, Problem

#: Bounds that no honest model reaches; alias bombs and mistaken files do.
MOST_BYTES = 5_000_000
MOST_NODES = 400_000
MOST_DEPTH = 40

Path_ = tuple[str | int, ...]


@dataclass(frozen=True)
class Place:
    """Position of a value: file and, where there are lines, line and column from 1."""

    file: str
    line: int = 0
    column: int = 0


@dataclass
class Document:
    """Plain data of a model with the place of every value.

    Parameters
    ----------
    data
        Mappings, lists and scalars.
    places
        Place of each value by its path.
    problems
        What is wrong so far.
    texts
        Everything that was read, for the hash of the model.
    """

    data: dict[str, Any]
    places: dict[Path_, Place]
    problems: list[Problem] = field(default_factory=list)
    texts: list[bytes] = field(default_factory=list)

    def place(self, path: Path_) -> Place:
        """Place of a path, or of the nearest entry above it that has one."""
        for length in range(len(path), -1, -1):
            if path[:length] in self.places:
                return self.places[path[:length]]
        return Place("model")

    def complain(self, path: Path_, message: str) -> None:
        """Add a problem at a path."""
        place = self.place(path)
        where = ".".join(str(part) for part in path)
        self.problems.append(Problem(place.file, place.line, place.column, where, message))


def read_bytes(path: Path, shown: str) -> bytes:
    """Read a file of bounded size.

    Raises
    ------
    InputError
        If the file is missing, unreadable or too large.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            raise InputError.single(shown, f"larger than {MOST_BYTES:,} bytes")
        return path.read_bytes()
    except OSError as error:
        raise InputError.single(shown, f"cannot be read: {error.strerror}") from error


def parse_yaml(content: bytes, file: str) -> Document:
    """Parse YAML 1.2 into plain data with places.

    Raises
    ------
    InputError
        If the text is not UTF-8 or not YAML, or its top is not a mapping.
    """
    yaml = YAML(typ="safe", pure=True)
    try:
        node = yaml.compose(io.StringIO(content.decode("utf-8-sig")))
    except UnicodeDecodeError as error:
        raise InputError.single(file, f"is not UTF-8 text: {error.reason}") from error
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        message = f"is not valid YAML: {error.problem or error.context}"
        raise InputError.single(file, message, line, column) from error
    except (YAMLError, RecursionError, ValueError) as error:
        raise InputError.single(file, f"is not valid YAML: {error}") from error
    if not isinstance(node, MappingNode):
        raise InputError.single(file, "has no mapping at its top; expected `regions:` and so on", 1)
    document = Document({}, {(): Place(file, 1, 1)}, texts=[content])
    document.data = _Builder(file, document, yaml).build(node, (), 0)
    if document.problems:
        raise InputError(document.problems)
    return document


class _Builder:
    """Plain data from YAML nodes; counts nodes so that aliases cannot explode."""

    def __init__(self, file: str, document: Document, yaml: YAML) -> None:
        self.file = file
        self.document = document
        self.constructor = yaml.constructor
        self.nodes = 0

    def build(self, node: Node, path: Path_, depth: int) -> Any:
        mark = node.start_mark
        self.document.places.setdefault(path, Place(self.file, mark.line + 1, mark.column + 1))
        self.nodes += 1
        if self.nodes > MOST_NODES or depth > MOST_DEPTH:
            message = f"more than {MOST_NODES:,} values or {MOST_DEPTH} levels"
            raise InputError.single(self.file, message, mark.line + 1, mark.column + 1)
        if isinstance(node, MappingNode):
            return self._mapping(node, path, depth)
        if isinstance(node, SequenceNode):
            return [self.build(item, (*path, i), depth + 1) for i, item in enumerate(node.value)]
        return self._scalar(node, path)

    def _mapping(self, node: MappingNode, path: Path_, depth: int) -> dict[str, Any]:
        built: dict[str, Any] = {}
        for key_node, value_node in node.value:
            mark = key_node.start_mark
            key = str(key_node.value) if isinstance(key_node, ScalarNode) else "?"
            here = (*path, key)
            self.document.places[here] = Place(self.file, mark.line + 1, mark.column + 1)
            if not isinstance(key_node, ScalarNode):
                self.document.complain(here, "a key must be a name")
            elif key in built:
                self.document.complain(here, "stands twice")
            else:
                built[key] = self.build(value_node, here, depth + 1)
        return built

    def _scalar(self, node: Node, path: Path_) -> Any:
        kind = str(node.tag).rsplit(":", 1)[-1]
        if kind in {"timestamp", "str"}:
            return node.value
        if kind not in {"int", "float", "bool", "null"}:
            self.document.complain(path, f"tag {node.tag} is not accepted")
            return None
        try:
            return self.constructor.construct_object(node)
        except (YAMLError, ValueError, OverflowError) as error:
            self.document.complain(path, f"cannot be read as {kind}: {error}")
            return None


def parse_scalar(text: str) -> Any:
    """One YAML value, as in ``--set path=value``.

    Raises
    ------
    InputError
        If the text is not a YAML value.
    """
    return parse_yaml(f"value: {text}\n".encode(), "--set").data["value"]


def parse_table(content: bytes, file: str, path: Path_) -> Document:
    """Parse a CSV table with a ``name`` column into the entries of a section.

    A dotted column, ``latency_ms.us-west``, fills a nested field; empty cells are left out;
    several values in one cell are separated by ``;``.

    Raises
    ------
    InputError
        If the table has no ``name`` column, a name twice, or rows of the wrong width.
    """
    try:
        rows = list(csv.reader(io.StringIO(content.decode("utf-8-sig")), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError.single(file, f"is not a CSV table: {error}") from error
    document = Document({}, {path: Place(file, 1, 1)}, texts=[content])
    header = rows[0] if rows else []
    if "name" not in header:
        raise InputError.single(file, "needs a `name` column", 1)
    for line, row in enumerate(rows[1:], start=2):
        _table_row(document, header, row, (file, line), path)
    if document.problems:
        raise InputError(document.problems)
    return document


def _table_row(
    document: Document, header: list[str], row: list[str], at: tuple[str, int], path: Path_
) -> None:
    place = Place(at[0], at[1], 1)
    if not any(cell.strip() for cell in row):
        return
    if len(row) != len(header):
        problem = f"{len(row)} cells where the header has {len(header)}"
        document.problems.append(Problem(place.file, place.line, 1, "", problem))
        return
    cells = dict(zip(header, row, strict=True))
    name = cells.pop("name").strip()
    document.places[(*path, name)] = place
    if name in document.data:
        document.complain((*path, name), "stands twice")
    entry = document.data.setdefault(name, {})
    for column, cell in cells.items():
        if not cell.strip():
            continue
        target, parts = entry, column.strip().split(".")
        for part in parts[:-1]:
            target = target.setdefault(part, {})
        target[parts[-1]] = _cell(cell)
        document.places[(*path, name, *parts)] = place


def _cell(cell: str) -> Any:
    if ";" in cell:
        return [_cell(part) for part in cell.split(";")]
    text = cell.strip()
    for convert in (int, float):
        try:
            return convert(text)
        except ValueError:
            continue
    return {"true": True, "false": False}.get(text.lower(), text)


def walk(data: Any, path: Path_ = ()) -> Iterator[tuple[Path_, Any]]:
    """All values below a value, with their paths."""
    yield path, data
    if isinstance(data, dict):
        for key, value in data.items():
            yield from walk(value, (*path, key))
    elif isinstance(data, list):
        for index, value in enumerate(data):
            yield from walk(value, (*path, index))
