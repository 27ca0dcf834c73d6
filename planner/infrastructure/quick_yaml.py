"""YAML read by libyaml: twenty times as fast as in Python, for texts without anything unusual.

What is unusual (aliases, tags, directives, keys that are no names or come twice, what libyaml does
not accept or might read in another way) is left to the reader in Python (`source.parse_yaml`),
which also words what is wrong. Both take plain values from the same rules of YAML 1.2.
"""

from __future__ import annotations

import gc
import re
from collections.abc import Callable
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.nodes import ScalarNode

try:
    from yaml.cyaml import CParser
    from yaml.events import (
        DocumentStartEvent,
        MappingEndEvent,
        MappingStartEvent,
        ScalarEvent,
        SequenceEndEvent,
        SequenceStartEvent,
        StreamEndEvent,
    )
except ImportError:  # PyYAML is not there, or was built without libyaml
    CParser = None

#: Characters that libyaml takes for breaks or spaces where YAML 1.2 does not.
UNUSUAL = re.compile("[\t\x85\u2028\u2029\ufeff]")
#: Numbers of the usual form; all other texts are asked of the rules of YAML 1.2.
WHOLE = re.compile(r"-?(?:0|[1-9][0-9]{0,17})").fullmatch
DECIMAL = re.compile(r"-?(?:0|[1-9][0-9]*)\.[0-9]+").fullmatch
#: Part of a tag before the name of its kind.
STANDARD = "tag:yaml.org,2002:"

Place = Callable[[int, int], Any]
Path_ = tuple[str | int, ...]


class _Unusual(Exception):  # noqa: N818
    """Something that is left to the reader in Python."""


def read(
    text: str, place: Place, most_values: int, most_depth: int
) -> tuple[dict[str, Any], dict[Path_, Any]] | None:
    """Plain data of a text with the place of every value; None if there is anything unusual.

    Parameters
    ----------
    place
        Makes the place of a line and a column, from 1.
    most_values, most_depth
        Beyond these a text is unusual.
    """
    if CParser is None or UNUSUAL.search(text):
        return None
    collecting = gc.isenabled()
    gc.disable()  # a million small objects, none of which is garbage
    try:
        return _Reader(text, place, most_values, most_depth).document()
    except Exception:
        # Whatever libyaml raises, the other reader says it in its words, with its place.
        return None
    finally:
        if collecting:
            gc.enable()


class _Reader:
    """Data and places of the events of one text."""

    def __init__(self, text: str, place: Place, most_values: int, most_depth: int) -> None:
        self._next = CParser(text).get_event
        self._place, self._most_depth, self._left = place, most_depth, most_values
        self._places: dict[Path_, Any] = {(): place(1, 1)}
        yaml = YAML(typ="safe", pure=True)
        self._resolve, self._construct = yaml.resolver.resolve, yaml.constructor.construct_object
        self._known: dict[str, Any] = {}

    def document(self) -> tuple[dict[str, Any], dict[Path_, Any]]:
        """The one document, a mapping without tags and directives."""
        self._next()
        start = self._next()
        if not isinstance(start, DocumentStartEvent) or start.version or start.tags:
            raise _Unusual
        first = self._next()
        if not isinstance(first, MappingStartEvent):
            raise _Unusual
        data: dict[str, Any] = self._value(first, (), 0)
        self._next()
        if not isinstance(self._next(), StreamEndEvent):
            raise _Unusual
        return data, self._places

    def _value(self, event: Any, path: Path_, depth: int) -> Any:
        self._left -= 1
        kind = type(event)
        if self._left < 0 or depth > self._most_depth:
            raise _Unusual
        if kind is ScalarEvent:
            return self._scalar(event)
        if event.anchor is not None or event.tag is not None:
            raise _Unusual
        if kind is MappingStartEvent:
            return self._mapping(path, depth)
        if kind is SequenceStartEvent:
            return self._list(path, depth)
        raise _Unusual

    def _mapping(self, path: Path_, depth: int) -> dict[str, Any]:
        built: dict[str, Any] = {}
        while type(event := self._next()) is ScalarEvent:
            key, mark = event.value, event.start_mark
            plain = not event.style
            if key in built or event.anchor or event.tag or (plain and key == "<<"):
                raise _Unusual
            here = (*path, key)
            self._places[here] = self._place(mark.line + 1, mark.column + 1)
            built[key] = self._value(self._next(), here, depth + 1)
        if type(event) is not MappingEndEvent:
            raise _Unusual
        return built

    def _list(self, path: Path_, depth: int) -> list[Any]:
        built: list[Any] = []
        while type(event := self._next()) is not SequenceEndEvent:
            here, mark = (*path, len(built)), event.start_mark
            self._places[here] = self._place(mark.line + 1, mark.column + 1)
            built.append(self._value(event, here, depth + 1))
        return built

    def _scalar(self, event: Any) -> Any:
        text: str = event.value
        if event.anchor is not None or event.tag is not None:
            raise _Unusual
        if event.style:
            return text
        if DECIMAL(text):
            return float(text) + 0.0  # -0.0 is 0
        if WHOLE(text):
            return int(text)
        if text not in self._known:
            self._known[text] = self._plain(text)
        return self._known[text]

    def _plain(self, text: str) -> Any:
        """A plain text that is no number of the usual form."""
        tag = str(self._resolve(ScalarNode, text, (True, False)))
        kind = tag.removeprefix(STANDARD)
        if kind in {"str", "timestamp"}:
            return text
        if kind not in {"int", "float", "bool", "null"}:
            raise _Unusual
        value = self._construct(ScalarNode(tag, text))
        return value + 0.0 if isinstance(value, float) else value
