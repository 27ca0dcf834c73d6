"""Names of a model from names of an inventory, which may be any text."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from dataclasses import dataclass, field

from planner.infrastructure.fields import NAME_LENGTH


def plain(text: str) -> str:
    """A text as a name: ASCII letters, digits and hyphens, no longer than a name may be.

    >>> plain("Cage 7 / Rack 03"), plain("Prototyp Nº 1"), plain("试验机")
    ('cage-7-rack-03', 'prototyp-no-1', 'x-d53af613')
    """
    ascii_only = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    name = re.sub(r"[^a-z0-9]+", "-", ascii_only.lower()).strip("-")
    digest = hashlib.sha256(text.encode(errors="replace")).hexdigest()[:8]
    if len(name) > NAME_LENGTH - len("-loop"):
        name = f"{name[: NAME_LENGTH - len('-loop') - 9]}-{digest}"
    return name or f"x-{digest}"


@dataclass(frozen=True)
class Names:
    """Names given so far: no two entries of a model have the same."""

    given: set[str] = field(default_factory=set)

    def new(self, *parts: str | None, apart: str = "") -> str:
        """A name made of parts; where it is taken with what tells it apart, or with a number."""
        wanted = plain(" ".join(part for part in parts if part))
        if wanted in self.given and apart:
            wanted = plain(f"{wanted} {apart}")
        name, number = wanted, 1
        while name in self.given:
            number += 1
            name = f"{wanted[: NAME_LENGTH - len('-loop') - 8]}-{number}"
        self.given.add(name)
        return name
