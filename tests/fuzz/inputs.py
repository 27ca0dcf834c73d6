"""Inputs that no person would write: changed seeds, and values that a JSON Schema describes.

All of them follow from a `random.Random`, so that a seed is enough to make one again.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from random import Random
from typing import Any

from planner.infrastructure.source import walk

Data = dict[str, Any]
#: Texts and numbers that have broken programs before.
TEXTS = (
    "", " ", "\x00", "\ud800", "\x1b[2J", "\u202e", "../a.csv", "a.csv", "/dev/zero", "x" * 5000,
    "null", "=1+1", "1e400", "-0", "nan", "5 MW", "5M", "2026-13", "24:00", "*", "[", "all", "é",
    "__class__", "<script>", "%s{0}", "¹", "١", "1_000", "\n", "- -", "{a: b}", "&a *a", "!!int x",
)  # fmt: skip
NUMBERS = (
    0, -1, 1, 2, 0.5, -0.0, 1e-9, 5e-324, 1e9, 1e300, 10**9, 10**20, 10**400, 2**31, 2**63,
    -(2**63), math.nan, math.inf, -math.inf,
)  # fmt: skip
TOKENS = (
    b"{", b"}", b"[", b"]", b":", b",", b"-", b"&a ", b"*a", b"!!binary ", b"<<: ", b"|\n", b">\n",
    b"'", b'"', b"#", b"?", b"\t", b"\n", b"\r", b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b";", b"...",
    b"---", b"%YAML 9\n", b"1e999", b"NaN", b"-Infinity", b"null", b"extends: tiny\n", b"\xc2\x85",
)  # fmt: skip
#: Deepest value that is made from a schema.
DEEPEST = 6


@dataclass(frozen=True)
class Seed:
    """A valid input.

    Parameters
    ----------
    content
        What a file of this kind holds.
    data
        The same as plain data; None where it is a text only.
    schema
        JSON Schema of it; empty where there is none.
    words
        Names that mean something in it, for wrong places.
    """

    content: bytes
    data: Any = None
    schema: Data = field(default_factory=dict)

    @cached_property
    def paths(self) -> list[tuple[str | int, ...]]:
        """Where its values are."""
        return [path for path, _ in walk(self.data) if path]

    @cached_property
    def words(self) -> list[str]:
        """Names that mean something in it."""
        found = {str(part) for path in self.paths for part in path}
        found |= {value for _, value in walk(self.data) if isinstance(value, str)}
        return sorted(found) or ["x"]

    def changed(self, rng: Random) -> bytes:
        """An input of the kind that is probably wrong somewhere."""
        if self.data is None or rng.random() < 0.3:
            return changed_bytes(rng, self.content)
        data = self.changed_data(rng, rng.choice((1, 1, 1, 2, 4)))
        text = json.dumps(data, ensure_ascii=rng.random() < 0.9)
        content = text.encode("utf-8", "surrogatepass")
        return changed_bytes(rng, content) if rng.random() < 0.1 else content

    def changed_data(self, rng: Random, times: int, valid: float = 0.4) -> Any:
        """Its data with some values changed.

        Parameters
        ----------
        valid
            How often a change is one that the schema allows.
        """
        data = json.loads(json.dumps(self.data))
        for _ in range(times):
            if self.schema and rng.random() < valid:
                _grow(rng, data, self.schema, self.words)
            else:
                _spoil(rng, data, rng.choice(self.paths), self.words)
        return data


def changed_bytes(rng: Random, content: bytes) -> bytes:
    """A text with parts deleted, doubled, moved, replaced."""
    for _ in range(rng.choice((1, 1, 2, 3, 8))):
        at = rng.randrange(len(content) + 1)
        end = min(len(content), at + rng.choice((1, 1, 2, 8, 64, 1024)))
        match rng.randrange(6):
            case 0:
                content = content[:at] + content[end:]
            case 1:
                content = content[:at] + rng.choice(TOKENS) + content[at:]
            case 2:
                content = content[:at] + rng.choice(TOKENS) + content[end:]
            case 3:
                to = rng.randrange(len(content) + 1)
                content = content[:to] + content[at:end] + content[to:]
            case 4:
                content = content[:at] + rng.randbytes(min(end - at, 8)) + content[end:]
            case _:
                content = content[:at]
    return content


def _spoil(rng: Random, data: Any, path: tuple[str | int, ...], words: list[str]) -> None:
    """Replace, delete, rename or add a value."""
    parent: Any = data
    try:
        for part in path[:-1]:
            parent = parent[part]
        match rng.randrange(6):
            case 0:
                del parent[path[-1]]
            case 1 if isinstance(parent, dict):
                parent[rng.choice(words)] = parent.pop(path[-1])
            case 2 if isinstance(parent, dict):
                parent[rng.choice((*words, *TEXTS))] = junk(rng, words)
            case 2:
                parent.append(junk(rng, words))
            case _:
                parent[path[-1]] = junk(rng, words)
    except (KeyError, IndexError, TypeError, AttributeError):
        return  # an earlier change took the place away


def junk(rng: Random, words: list[str], depth: int = 0) -> Any:
    """Any value."""
    kind = rng.randrange(8 if depth < 3 else 6)
    if kind < 2:
        return rng.choice(NUMBERS)
    if kind < 4:
        return rng.choice(words)
    if kind < 6:
        return rng.choice((*TEXTS, None, True, False))
    inner = [junk(rng, words, depth + 1) for _ in range(rng.randrange(3))]
    return inner if kind == 6 else {rng.choice(words): value for value in inner}


# ------------------------------------------------------------------------------------------ grammar


def _grow(rng: Random, data: Any, schema: Data, words: list[str]) -> None:
    """Give a field of some object a value that the schema allows."""
    objects = list(_objects(data, schema, schema))
    if not objects:
        return
    target, kind = rng.choice(objects)
    fields = list(kind.get("properties", {}).items())
    rest = kind.get("additionalProperties")
    if isinstance(rest, dict):
        fields.append((rng.choice(words), rest))
    if fields:
        name, inner = rng.choice(fields)
        target[name] = value_of(rng, inner, schema, words)


def _objects(data: Any, schema: Data, root: Data) -> Iterator[tuple[Data, Data]]:
    """Objects in some data with their schema, where it is known."""
    for kind in _kinds(schema, root):
        if isinstance(data, dict) and ("properties" in kind or "additionalProperties" in kind):
            yield data, kind
            rest = kind.get("additionalProperties")
            for name, value in data.items():
                inner = kind.get("properties", {}).get(name, rest)
                if isinstance(inner, dict):
                    yield from _objects(value, inner, root)
        elif isinstance(data, list) and isinstance(kind.get("items"), dict):
            for value in data:
                yield from _objects(value, kind["items"], root)


def _kinds(schema: Data, root: Data) -> list[Data]:
    """What a schema allows, without references and choices."""
    if "$ref" in schema:
        return _kinds(root["$defs"][schema["$ref"].rpartition("/")[2]], root)
    choices = schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf")
    return [kind for one in choices for kind in _kinds(one, root)] if choices else [schema]


def value_of(rng: Random, schema: Data, root: Data, words: list[str], depth: int = 0) -> Any:
    """A value that a schema allows, but for patterns and what fields say of each other."""
    kind = rng.choice(_kinds(schema, root))
    if "const" in kind:
        return kind["const"]
    if "enum" in kind:
        return rng.choice(kind["enum"])
    match kind.get("type"):
        case "boolean":
            return rng.random() < 0.5
        case "integer" | "number" as name:
            return _number(rng, kind, name == "integer")
        case "string":
            return rng.choice((*kind.get("examples", ()), *words))
        case "array":
            inner, size = kind.get("items", {}), kind.get("minItems", 0) + rng.randrange(3)
            size = 0 if depth > DEEPEST else min(size, kind.get("maxItems", size))
            return [value_of(rng, inner, root, words, depth + 1) for _ in range(size)]
        case "object":
            return _object(rng, kind, root, words, depth)
    return None


def _object(rng: Random, kind: Data, root: Data, words: list[str], depth: int) -> Data:
    needed, made = kind.get("required", ()), {}
    for name, inner in kind.get("properties", {}).items():
        if name in needed or (depth <= DEEPEST and rng.random() < 0.3):
            made[name] = value_of(rng, inner, root, words, depth + 1)
    rest = kind.get("additionalProperties")
    if isinstance(rest, dict) and depth <= DEEPEST:
        for _ in range(rng.randrange(3)):
            made[rng.choice(words)] = value_of(rng, rest, root, words, depth + 1)
    return made


def _number(rng: Random, kind: Data, whole: bool) -> float:
    low = kind.get("minimum", kind.get("exclusiveMinimum", -10))
    high = kind.get("maximum", kind.get("exclusiveMaximum", max(low, 1) * 1000))
    value = rng.choice((low, high, rng.uniform(low, high), rng.uniform(low, min(high, low + 3))))
    return int(value) if whole else value
