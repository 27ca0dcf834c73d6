"""Text of a model file to plain data, with the position of every value."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, ReusedAnchorWarning, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError
from ruamel.yaml.scanner import Scanner, ScannerError

from planner.errors import InputError, Problem, refuse
from planner.errors import printable as printable
from planner.infrastructure import quick_yaml

#: Limits far above any real model, against alias bombs.
MOST_VALUES = 1_000_000
MOST_REPEATED = 100_000
MOST_DEPTH = 40
#: Parsed texts that are cached: models that extend the same one read it again and again.
MOST_KEPT = 16

Path_ = tuple[str | int, ...]


@dataclass(frozen=True)
class SourcePosition:
    """Position of a value: file and, where there are lines, line and column from 1."""

    file: str
    line: int = 0
    column: int = 0


@dataclass
class Document:
    """Plain data of a model with the position of every value.

    Parameters
    ----------
    data
        Mappings, lists and scalars.
    places
        Position of each value, by its path.
    problems
        Problems found so far.
    texts
        Everything that was read, for the hash of the model.
    names
        Name of the model, and of those that it extends, the nearest first.
    replaced
        Inherited lists that were replaced, as sentences.
    """

    data: dict[str, Any]
    places: dict[Path_, SourcePosition]
    problems: list[Problem] = field(default_factory=list)
    texts: list[bytes] = field(default_factory=list)
    names: tuple[str, ...] = ()
    replaced: tuple[str, ...] = ()

    def place(self, path: Path_) -> SourcePosition:
        """Position of a path, or of the nearest entry above it that has one."""
        for length in range(len(path), -1, -1):
            if path[:length] in self.places:
                return self.places[path[:length]]
        return SourcePosition("model")

    def complain(self, path: Path_, message: str) -> None:
        """Add a problem at a path."""
        place = self.place(path)
        where = printable(".".join(str(part) for part in path))
        problem = Problem(place.file, place.line, place.column, where, printable(message))
        self.problems.append(problem)


def nearest(wrong: str, names: Iterable[object], most: int = 1) -> str:
    """Hint at the accepted names nearest to a wrong one, or nothing.

    >>> nearest("wset", ["west", "east", "north"]), nearest("h100", ["H100-SXM5-80GB", "B200"])
    ('; did you mean `west`?', '; did you mean `H100-SXM5-80GB`?')
    """
    known = [str(name) for name in names]
    found = get_close_matches(wrong, known, n=most)
    if len(wrong) > 1 and len(found) < most:
        found += [name for name in known if wrong.lower() in name.lower() and name not in found]
    close = [f"`{name}`" for name in found[:most]]
    first, last = ", ".join(close[:-1]), close[-1:]
    return f"; did you mean {' or '.join(filter(None, (first, *last)))}?" if close else ""


def is_file(path: Path) -> bool:
    """Whether a path is a file; False for names that no file system accepts."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


class _BoundedScanner(Scanner):
    """Scanner that refuses deep brackets, whose time grows with the square of their depth."""

    def fetch_flow_collection_start(self, TokenClass: Any, to_push: str) -> None:  # noqa: N803
        if self.flow_level >= MOST_DEPTH:
            mark = self.reader.get_mark()
            raise ScannerError(None, None, f"more than {MOST_DEPTH} levels", mark)
        super().fetch_flow_collection_start(TokenClass, to_push)


def parse_yaml(content: bytes, file: str, expected: str = "`regions:` and so on") -> Document:
    """Parse YAML 1.2 into plain data with places.

    Parameters
    ----------
    content
        Text of the file, UTF-8.
    file
        Name of the file in problems.
    expected
        What the top of the file should hold, for the problem of a file without a mapping there.

    Raises
    ------
    InputError
        If the text is not UTF-8 or not YAML, or its top is not a mapping.
    """
    kept = _parsed(content, file, expected)
    # Callers may change what they get.
    return Document(_copied(kept.data), dict(kept.places), [], list(kept.texts))


def _copied(data: Any) -> Any:
    """A copy of plain data, down to its scalars."""
    if isinstance(data, dict):
        return {key: _copied(value) for key, value in data.items()}
    return [_copied(value) for value in data] if isinstance(data, list) else data


@lru_cache(maxsize=MOST_KEPT)
def _parsed(content: bytes, file: str, expected: str) -> Document:
    """A document as it was parsed, shared by all who read the same text."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InputError.single(file, f"is not UTF-8 text: {error.reason}", line, 1) from error
    found = quick_yaml.read(text, partial(SourcePosition, file), MOST_VALUES, MOST_DEPTH)
    if found is not None:
        return Document(*found, texts=[content])
    yaml, node = YAML(typ="safe", pure=True), _composed(text, file)
    if not isinstance(node, MappingNode):
        what = "is empty" if node is None else "has no mapping at its top"
        raise InputError.single(file, f"{what}; expected {expected}", 1, 1)
    document = Document({}, {(): SourcePosition(file, 1, 1)}, texts=[content])
    document.data = _Builder(file, document, yaml).build(node, (), 0)
    refuse(document.problems)
    return document


def _composed(text: str, file: str) -> Node | None:
    """The tree of a text, read in Python."""
    yaml = YAML(typ="safe", pure=True)
    yaml.Scanner = _BoundedScanner
    try:
        with warnings.catch_warnings():
            # YAML lets an anchor be used again; the later one holds.
            warnings.simplefilter("ignore", ReusedAnchorWarning)
            node: Node | None = yaml.compose(io.StringIO(text))
            return node
    except ReaderError as error:
        before = text[: error.position]
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        message = f"is not valid YAML: the character {chr(error.character)!r} is not allowed here"
        raise InputError.single(file, message, line, column) from error
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        message = f"is not valid YAML: {error.problem or error.context}"
        raise InputError.single(file, message, line, column) from error
    except RecursionError as error:
        message = f"is nested deeper than {MOST_DEPTH} levels"
        raise InputError.single(file, message) from error
    except (YAMLError, ValueError) as error:
        raise InputError.single(file, f"is not valid YAML: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    lines = str(error).splitlines()
    return lines[0] if lines else type(error).__name__


class _Builder:
    """Plain data from YAML nodes; counts them as a limit on the expansion of aliases."""

    def __init__(self, file: str, document: Document, yaml: YAML) -> None:
        self.file = file
        self.document = document
        self.constructor = yaml.constructor
        self.values = self.repeated = 0
        self.seen: set[int] = set()

    def build(self, node: Node, path: Path_, depth: int) -> Any:
        mark = node.start_mark
        self.document.places.setdefault(
            path, SourcePosition(self.file, mark.line + 1, mark.column + 1)
        )
        self._count(node)
        if self.values > MOST_VALUES or self.repeated > MOST_REPEATED or depth > MOST_DEPTH:
            limits = f"{MOST_VALUES:,} values, {MOST_REPEATED:,} by aliases, or {MOST_DEPTH} levels"
            message = f"more than {limits}"
            raise InputError.single(self.file, message, mark.line + 1, mark.column + 1)
        kind = str(node.tag).rsplit(":", 1)[-1]
        if not isinstance(node, ScalarNode) and kind not in {"map", "seq"}:
            self.document.complain(path, f"tag {node.tag} is not accepted")
            return None
        if isinstance(node, MappingNode):
            return self._mapping(node, path, depth)
        if isinstance(node, SequenceNode):
            return [self.build(item, (*path, i), depth + 1) for i, item in enumerate(node.value)]
        return self._scalar(node, path)

    def _count(self, node: Node) -> None:
        self.values += 1
        self.repeated += id(node) in self.seen
        self.seen.add(id(node))

    def _mapping(self, node: MappingNode, path: Path_, depth: int) -> dict[str, Any]:
        built: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key_node, value_node in node.value:
            mark = key_node.start_mark
            plain_key = isinstance(key_node, ScalarNode) and key_node.style is None
            if plain_key and key_node.value == "<<":
                merged = self._merged(value_node, path, depth) | merged
                continue
            key = str(key_node.value) if isinstance(key_node, ScalarNode) else "?"
            here = (*path, key)
            self.document.places[here] = SourcePosition(self.file, mark.line + 1, mark.column + 1)
            if not isinstance(key_node, ScalarNode):
                self.document.complain(here, "a key must be a name")
            elif key in built:
                self.document.complain(here, "is listed twice")
            else:
                built[key] = self.build(value_node, here, depth + 1)
        return merged | built

    def _merged(self, node: Node, path: Path_, depth: int) -> dict[str, Any]:
        """Entries that a merge key ``<<`` brings: of one mapping, or of a list of them."""
        nodes = node.value if isinstance(node, SequenceNode) else [node]
        merged: dict[str, Any] = {}
        for inner in nodes:
            if not isinstance(inner, MappingNode):
                self.document.complain((*path, "<<"), "expected a mapping, or a list of mappings")
                continue
            merged = self._mapping(inner, path, depth + 1) | merged  # the first of a list holds
        return merged

    def _scalar(self, node: Node, path: Path_) -> Any:
        kind = str(node.tag).rsplit(":", 1)[-1]
        if kind in {"timestamp", "str"}:
            return node.value
        if kind not in {"int", "float", "bool", "null"}:
            self.document.complain(path, f"tag {node.tag} is not accepted")
            return None
        try:
            value = self.constructor.construct_object(node)
            return value + 0.0 if isinstance(value, float) else value  # -0.0 is 0
        except (YAMLError, ValueError, LookupError, ArithmeticError, TypeError) as error:
            # The constructors of explicit tags (`!!int ""`, `!!bool maybe`) fail in many ways.
            self.document.complain(path, f"cannot be read as {kind}: {_first_line(error)}")
            return None


def parse_value(text: str) -> Any:
    """One YAML value, as in ``--set path=value``.

    Raises
    ------
    ValueError
        If the text is not a YAML value; the message says why.
    """
    if len(text.splitlines()) > 1:
        raise ValueError("more than one line")
    try:
        content = f"value: {text}\n".encode()
        return parse_yaml(content, "--set").data["value"]
    except UnicodeEncodeError as error:
        raise ValueError(error.reason) from error
    except InputError as error:
        raise ValueError(error.problems[0].message) from error


def walk(data: Any, path: Path_ = ()) -> Iterator[tuple[Path_, Any]]:
    """All values below a value, with their paths."""
    yield path, data
    if isinstance(data, dict):
        for key, value in data.items():
            yield from walk(value, (*path, key))
    elif isinstance(data, list):
        for index, value in enumerate(data):
            yield from walk(value, (*path, index))
