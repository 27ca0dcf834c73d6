"""A plan or a roadmap checked by anyone: its figures, and the plan of each of its nodes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from planner.errors import InputError
from planner.files import strange_files
from planner.infrastructure.changes import setting
from planner.infrastructure.loading import load_model
from planner.plan.consistency import without_recourse
from planner.plan.files import stated_plan
from planner.plan.records import FIRM_ONLY, LATE, Plan
from planner.plan.reopening import Reopened, reopen
from planner.proof import Check, prove, unchanged
from planner.roadmap.bridge import last_bridging_period
from planner.roadmap.consistency import roadmap_contradictions, unfounded_reasons
from planner.roadmap.files import FILE, is_roadmap, stated_roadmap
from planner.roadmap.records import Roadmap
from planner.roadmap.tree import power_at, tree

#: Name of the check of reasons.
REASONS = "reasons to claim no recourse"


def prove_any(
    path: Path,
    model: str | Path | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> tuple[Check, ...]:
    """Check what a plan states, or a roadmap: its figures, and the plan of each node.

    Raises
    ------
    InputError
        If there is neither, or no model to be read.
    """
    if not is_roadmap(path):
        opened = reopen(path, model, lenient=True)
        of_roadmap = () if opened.plan.of_roadmap is None else _beside(opened.plan, path)
        return (*prove(path, model, progress), *_reasons(opened), *of_roadmap)
    roadmap, file = stated_roadmap(path), path / FILE if path.is_dir() else path
    found = [
        Check("figures add up", tuple(roadmap_contradictions(roadmap))),
        unchanged(file),
        Check("folders of periods hold its plans", tuple(_strange_plans(roadmap, file.parent))),
    ]
    for name, plan in roadmap.plans.items():
        progress(f"checking the plan of {name}")
        checks = (*prove(plan, model), *_reasons(reopen(plan, model, lenient=True)))
        differs = tuple(f"{check.name}: {text}" for check in checks for text in check.differs)
        left = "; ".join(f"{check.name} {check.note}" for check in checks if not check.done)
        found.append(Check(f"plan of {name}", differs, left))
    return tuple(found)


def _reasons(opened: Reopened) -> Iterator[Check]:
    """Why a period of a roadmap claims no recourse, held against the horizon of its model."""
    plan, loaded, found = opened.plan, opened.loaded, list[str]()
    reasons = without_recourse(plan)
    if plan.of_roadmap is None or loaded.file is None or not reasons:
        return
    kept = tuple(text for text in loaded.overrides if text != setting("horizon", None))
    horizon = load_model(loaded.file, kept).model.horizon
    node = None if horizon is None else tree(horizon, 0.0).get(plan.of_roadmap)
    if horizon is None or node is None:
        yield Check(REASONS, (f"the model has no period {plan.of_roadmap}",))
        return
    late = node.period <= last_bridging_period(loaded.model, horizon)
    flexible = any(mw for _, mw in power_at(horizon, node.period).values())
    for text in reasons:
        if (text == FIRM_ONLY and not flexible) or (text.startswith(LATE) and not late):
            found.append(f"breaks: {text}, which the horizon of the model does not bear out")
    yield Check(REASONS, tuple(found), "by lead times and power of the horizon")


def _beside(plan: Plan, path: Path) -> Iterator[Check]:
    """The same, held against the roadmap whose folder the plan stands in."""
    file = (path if path.is_dir() else path.parent).absolute().parent / FILE
    if not without_recourse(plan):
        return
    name = f"{REASONS}, by the roadmap"
    if not file.exists():
        yield Check(name, note=f"not checked: there is no {FILE} in the folder above", done=False)
        return
    try:
        roadmap = stated_roadmap(file)
    except InputError as error:
        yield Check(name, (str(error.problems[0]),))
        return
    node = next((one for one in roadmap.nodes if one.name == plan.of_roadmap), None)
    differs = () if node is None else tuple(unfounded_reasons(plan, node, roadmap))
    yield Check(name, differs if node else (f"{file} has no period {plan.of_roadmap}",))


def _strange_plans(roadmap: Roadmap, folder: Path) -> Iterator[str]:
    """Folders of nodes whose plan is not the one that the roadmap states, or was changed since."""
    for name, plan in roadmap.plans.items():
        file = folder / name / "plan.json"
        if not file.exists():
            continue  # a roadmap is whole without them
        try:
            if stated_plan(file) != plan:
                yield f"{file} is not the plan of {name}"
        except InputError as error:
            yield str(error.problems[0])
        yield from strange_files(file).values()
