"""What an importer finds: values of a model with what they rest on, and what stays open."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from planner.amounts import listed
from planner.infrastructure.entities import Model
from planner.infrastructure.source import printable

#: Characters of a name or a reason that are shown; names of inventories have any length.
LONGEST = 80
Confidence = Literal["stated", "medium", "low"]
Kind = Literal["missing", "left out", "suspect"]


def shown(text: object) -> str:
    """A text of an inventory in one short line, without characters that steer a terminal.

    >>> shown(f"A01{chr(0x202E)}evil") == "A01" + chr(92) + "u202eevil"
    True
    """
    line = printable(str(text))
    return line if len(line) <= LONGEST else line[: LONGEST - 1] + "…"


def gathered[K, V](pairs: Iterable[tuple[K, V]]) -> dict[K, list[V]]:
    """Values by their key.

    >>> gathered([("a", 1), ("b", 2), ("a", 3)])
    {'a': [1, 3], 'b': [2]}
    """
    found: dict[K, list[V]] = {}
    for key, value in pairs:
        found.setdefault(key, []).append(value)
    return found


@dataclass(frozen=True)
class Stated:
    """A value of the model with what it rests on.

    Parameters
    ----------
    why
        Where it comes from, or why it is assumed.
    confidence
        ``stated`` if the inventory says so; otherwise it is assumed.
    source
        What an assumption rests on.
    alike
        What the values of all entries with the same reason are, where they differ.
    """

    value: Any
    why: str = ""
    confidence: Confidence = "stated"
    source: str = "no source"
    alike: str = ""


@dataclass(frozen=True)
class Finding:
    """What the inventory does not have, what it has that the model has not, what contradicts."""

    kind: Kind
    subject: str
    text: str


def grouped(findings: Iterable[Finding], kind: Kind) -> list[tuple[str, str]]:
    """Subjects and text of the findings of a kind, those with the same text together.

    >>> grouped([Finding("suspect", name, "is odd") for name in "abcde"], "suspect")
    [('a, b, c and 2 more', 'is odd')]
    """
    subjects = gathered((found.text, found.subject) for found in findings if found.kind == kind)
    return [(listed(names), text) for text, names in subjects.items()]


#: Fields by name.
type Fields = Mapping[str, Stated]
#: Fields by section and entry; an entry may be a value itself, as shapes are.
type Sections = Mapping[str, Mapping[str, Fields | Stated]]


@dataclass(frozen=True)
class Total:
    """A sum over the inventory, whatever the model takes of it."""

    site: str
    what: str
    status: str
    value: float


@dataclass(frozen=True)
class Inventory:
    """All that an importer found.

    Parameters
    ----------
    source
        Name of the importer.
    sections
        The model.
    titles
        What people call the entries, by section and entry.
    texts
        Texts of the model itself: its name, description and source.
    """

    source: str
    sections: Sections
    titles: Mapping[tuple[str, str], str]
    findings: tuple[Finding, ...]
    totals: tuple[Total, ...] = ()
    texts: Mapping[str, str] = field(default_factory=dict)

    def values(self, section: str = "") -> Iterator[tuple[tuple[str, ...], Stated]]:
        """Every value, of one section or all, by section, entry and field."""
        for name, entries in self.sections.items():
            for entry, fields in entries.items() if section in ("", name) else ():
                if isinstance(fields, Stated):
                    yield (name, entry), fields
                    continue
                for key, stated in fields.items():
                    yield (name, entry, key), stated

    def is_stated(self, section: str) -> bool:
        """Whether a section has a value, or the place of one, that is not only assumed."""
        found = (stated.confidence for _, stated in self.values(section))
        return section == "regions" or "stated" in found

    @property
    def gpus(self) -> int:
        """GPUs in place."""
        found = (s.value for path, s in self.values("clusters") if path[2:] == ("existing_gpus",))
        return sum(count for count in found if isinstance(count, int))


@dataclass(frozen=True)
class Asked:
    """What is to be read.

    Parameters
    ----------
    path
        Export on disk; None if it is read from `url`.
    planned
        Whether what is planned or out of service for now counts as in place.
    names
        What the source calls something, by what the importer calls it (`Importer.names`).
    days
        How far back measurements are read.
    model
        The model that it is merged into, if any.
    """

    path: Path | None = None
    url: str = ""
    planned: bool = False
    names: Mapping[str, str] = field(default_factory=dict)
    days: int = 7
    model: Model | None = None

    @property
    def place(self) -> str:
        """Where it is read from, as problems call it."""
        return self.url or str(self.path)


@dataclass(frozen=True)
class Importer:
    """A source of inventories: reads an export and says what it found; it writes nothing.

    Parameters
    ----------
    names
        What a site may call otherwise, with the usual name.
    token
        Environment variable with the token of live access; empty if there is none.
    shipped
        Whether something is shipped that is read where nothing else is named.
    """

    read: Callable[[Asked], Inventory]
    names: Mapping[str, str]
    token: str = ""
    shipped: bool = False
