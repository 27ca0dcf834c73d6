"""Keys, and labels of variables and rows: readable, and never the same for two things.

Names in a model hold letters, digits, dots, dashes and underscores, so that two of them joined by
any of these can look like two others. Keys that are made of names join them by a slash, which no
name holds. Labels join by dots what solvers and file formats accept; a name with other
characters gets a digest of its own, so that two labels of a family are equal only if their names
are.
"""

from __future__ import annotations

import re
from functools import lru_cache
from hashlib import blake2s

#: What joins names in keys, and kinds with names in the graph.
JOINTS = re.compile("[/:]")
#: Names that are kept as they are but for dashes, which become underscores.
PLAIN = re.compile(r"[A-Za-z0-9-]+")
#: Characters that not every solver and file format accepts in names.
UNSAFE = re.compile("[^A-Za-z0-9_]")
MARK_BYTES = 8


def joined(*names: str) -> str:
    """Key made of several names.

    >>> joined("heat-wave", "0")
    'heat-wave/0'
    """
    return "/".join(names)


def label(family: str, *names: str) -> str:
    """Name of a variable or row of a family, of names and of keys made of names.

    >>> label("units", "west-chillers", "chiller-3")
    'units.west_chillers.chiller_3'
    >>> label("units", "a.b", "c") == label("units", "a", "b.c")
    False
    """
    return ".".join([family, *map(part, names)])


@lru_cache(maxsize=100_000)
def part(key: str) -> str:
    """Part of a label; a programme has few of them in very many labels."""
    return ".".join(map(_name, JOINTS.split(key)))


def _name(name: str) -> str:
    text = UNSAFE.sub("_", name)
    if PLAIN.fullmatch(name):
        return text
    return f"{text}~{blake2s(name.encode(), digest_size=MARK_BYTES).hexdigest()}"
