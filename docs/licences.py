"""Write `licences.md`: what the planner needs to run, and under which licences.

The dependencies are those of the package and of its extras for users, with all that these need, as
they are installed here.
"""

from __future__ import annotations

import re
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PAGE = Path(__file__).with_name("licences.md")
#: Extras that are for developing and releasing.
NOT_FOR_USERS = {"dev", "audit"}
#: Licences by what their classifiers and older texts call them.
NAMES = {
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD-3-Clause",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache License, Version 2.0": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "Apache 2.0": "Apache-2.0",
    "BSD": "BSD-3-Clause",
    "Eclipse Public License 2.0 (EPL-2.0)": "EPL-2.0",
}
HEAD = """# Licences

The planner is under the Apache License 2.0 ([LICENSE](../LICENSE)). What it needs, with the extras
in brackets, is under these. All that state one allow use, change and distribution; files under
MPL-2.0 or EPL-2.0 stay under it when you change them. orloge, a reader of solver logs that PuLP
brings and the planner does not call, states none. Made by `python docs/licences.py` from what is
installed; a test compares it.

| package | licence | needed by |
|---|---|---|
"""


def licence_of(found: Distribution) -> str:
    """Licence of a distribution: its expression, or what its classifiers or its text say."""
    metadata = found.metadata
    if stated := metadata.get("License-Expression"):
        return str(stated)
    prefix = "License :: OSI Approved :: "
    classes = [text for text in metadata.get_all("Classifier") or () if text.startswith(prefix)]
    names = [text.removeprefix(prefix) for text in classes]
    short = (metadata.get("License") or "").split("\n")[0].strip()
    names = names or ([short] if short else [])
    return " OR ".join(dict.fromkeys(NAMES.get(name, name) for name in names)) or "not stated"


def needed() -> dict[str, tuple[str, str]]:
    """Licence of each package that users install, and which extras need it; empty for all."""
    found: dict[str, tuple[str, set[str]]] = {}
    extras = set(distribution("resilience-planner").metadata.get_all("Provides-Extra") or ())
    for extra in ("", *sorted(extras - NOT_FOR_USERS)):
        todo, seen = [("resilience-planner", extra)], set[tuple[str, str]]()
        while todo:
            name, wanted = todo.pop()
            if (name, wanted) in seen:
                continue
            seen.add((name, wanted))
            here = distribution(name)
            found.setdefault(name, (licence_of(here), set()))[1].add(extra)
            for requirement in map(Requirement, here.requires or ()):
                if requirement.marker is None or requirement.marker.evaluate({"extra": wanted}):
                    inner = canonicalize_name(requirement.name)
                    todo += [(inner, one) for one in ("", *requirement.extras)]
    del found["resilience-planner"]
    return {
        name: (licence, "" if "" in extras else ", ".join(sorted(extras)))
        for name, (licence, extras) in sorted(found.items())
    }


def page() -> str:
    """The page."""
    rows = (
        f"| {name} | {licence} | {f'[{extras}]' if extras else 'the planner'} |"
        for name, (licence, extras) in needed().items()
    )
    return HEAD + "\n".join(rows) + "\n"


def listed(text: str) -> dict[str, str]:
    """Licence of each package on the page."""
    return dict(re.findall(r"^\| ([a-z0-9-]+) \| ([^|]+) \| (?:\[|the)", text, re.MULTILINE))


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
