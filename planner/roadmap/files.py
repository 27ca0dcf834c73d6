"""Roadmaps on disk: ``roadmap.json``, its tables, and the plan of each node in its folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from planner.errors import InputError, Problem, refuse
from planner.infrastructure.loading import LoadedModel
from planner.plan.consistency import contradictions, refuse_changed, refuse_contradictions
from planner.plan.files import (
    csv_text,
    json_of,
    located,
    placed,
    record_of,
    write_plan,
    write_texts,
)
from planner.roadmap.consistency import roadmap_contradictions
from planner.roadmap.items import items_of
from planner.roadmap.records import Roadmap
from planner.roadmap.tree import tree

FILE = "roadmap.json"
#: Tables written beside it, by the part of the roadmap that they hold.
TABLES = {
    "calendar": "orders",
    "capacity": "capacity",
    "budgets": "budgets",
    "cash_flows": "cash_flows",
}


def write_roadmap(roadmap: Roadmap, folder: Path) -> tuple[Path, ...]:
    """Write a roadmap, its tables, and ``NODE/plan.json`` for every node.

    Raises
    ------
    OutputError
        If the folder cannot be written.
    """
    plans = {name: placed(plan, folder) for name, plan in roadmap.plans.items()}
    first = next(iter(plans.values())).model.path
    model = roadmap.model.model_copy(update={"path": first})
    stated = roadmap.model_copy(update={"plans": plans, "model": model})
    texts = {FILE: stated.to_json()}
    for table, part in TABLES.items():
        rows: Any = getattr(roadmap, part)
        texts[f"{table}.csv"] = csv_text(row.model_dump(mode="json") for row in rows)
    written = [*write_texts(folder, texts, roadmap.solver.seconds)]
    for name, plan in roadmap.plans.items():
        written.append(write_plan(plan, folder / name)[-1])
    return tuple(written)


def is_roadmap(path: Path) -> bool:
    """Whether a path is a roadmap or a folder with one."""
    try:
        return (path / FILE).is_file() or (path.is_file() and path.name == FILE)
    except (OSError, ValueError):
        return False


def parse_roadmap(path: Path) -> Roadmap:
    """Read a roadmap, given its file or its folder; its plans say where their model is.

    Raises
    ------
    InputError
        With every problem: unreadable, not a roadmap, or one that contradicts itself.
    """
    roadmap = stated_roadmap(path)
    for name, plan in roadmap.plans.items():
        refuse_contradictions(contradictions(plan), f"{path}, plan of {name}")
    refuse_contradictions(roadmap_contradictions(roadmap), str(path))
    refuse_changed(path / FILE if path.is_dir() else path)
    return roadmap


def stated_roadmap(path: Path) -> Roadmap:
    """What the file of a roadmap states, whether or not it agrees with itself.

    Raises
    ------
    InputError
        With every problem: unreadable, or not a roadmap.
    """
    path = path / FILE if path.is_dir() else path
    data = json_of(path, "a roadmap")
    if not isinstance(data, dict) or data.get("kind") != "roadmap":
        raise InputError.single(str(path), "is not a roadmap: `kind` is not `roadmap`")
    roadmap = record_of(data, Roadmap, path)
    plans = {name: located(plan, path.parent) for name, plan in roadmap.plans.items()}
    return roadmap.model_copy(update={"plans": plans})


def read_roadmap(path: Path, loaded: LoadedModel) -> Roadmap:
    """Read a roadmap whose orders a model still has.

    Raises
    ------
    InputError
        With every problem: unreadable, not a roadmap, or with orders of what the model has not.
    """
    roadmap, model = parse_roadmap(path), loaded.model
    horizon = model.horizon
    if horizon is None:
        raise ValueError("The model has no horizon.")
    problems = []
    nodes, items = tree(horizon, model.finance.discount_rate), items_of(model, horizon)
    for index, order in enumerate(roadmap.orders):
        if order.node not in nodes:
            message = f"the model has no node `{order.node}` ({', '.join(list(nodes)[:12])})"
            problems.append(Problem(str(path), 0, 0, f"orders.{index}.node", message))
        elif (order.kind, order.asset) not in items:
            message = f"the model has no {order.kind} `{order.asset}` to order"
            problems.append(Problem(str(path), 0, 0, f"orders.{index}.asset", message))
    refuse(problems)
    return roadmap
