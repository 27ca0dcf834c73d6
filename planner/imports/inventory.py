"""What an importer finds: values of a model with what they rest on, and what stays open."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from planner.amounts import listed
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
    """

    value: Any
    why: str = ""
    confidence: Confidence = "stated"
    source: str = "no source"


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
    subjects: dict[str, list[str]] = {}
    for finding in findings:
        if finding.kind == kind:
            subjects.setdefault(finding.text, []).append(finding.subject)
    return [(listed(names), text) for text, names in subjects.items()]


#: Fields by name.
type Fields = Mapping[str, Stated]
#: Fields by section and entry.
type Sections = Mapping[str, Mapping[str, Fields]]


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
    """

    source: str
    sections: Sections
    titles: Mapping[tuple[str, str], str]
    findings: tuple[Finding, ...]
    totals: tuple[Total, ...]

    def values(self) -> Iterator[tuple[tuple[str, str, str], Stated]]:
        """Every value by section, entry and field."""
        for section, entries in self.sections.items():
            for entry, fields in entries.items():
                for field, stated in fields.items():
                    yield (section, entry, field), stated


class Importer(Protocol):
    """A source of inventories.

    Reads an export and says what it found; it writes nothing.
    """

    def __call__(self, folder: Path, planned: bool) -> Inventory:
        """Read an export; `planned` counts planned and staged equipment as in place."""
