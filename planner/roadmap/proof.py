"""A roadmap checked by anyone: its figures, and the plan of each of its nodes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from planner.proof import Check, prove, unchanged
from planner.roadmap.consistency import roadmap_contradictions
from planner.roadmap.files import FILE, stated_roadmap


def prove_roadmap(
    path: Path,
    model: str | Path | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> tuple[Check, ...]:
    """Check what a roadmap states: its figures, and the plan of each node (`planner.proof.prove`).

    Raises
    ------
    InputError
        If there is no roadmap or no model to be read.
    """
    roadmap = stated_roadmap(path)
    found = [
        Check("figures add up", tuple(roadmap_contradictions(roadmap))),
        unchanged(path / FILE if path.is_dir() else path),
    ]
    for name, plan in roadmap.plans.items():
        progress(f"checking the plan of {name}")
        checks = prove(plan, model)
        differs = tuple(f"{check.name}: {text}" for check in checks for text in check.differs)
        left = "; ".join(f"{check.name} {check.note}" for check in checks if not check.done)
        found.append(Check(f"plan of {name}", differs, left))
    return tuple(found)
