"""Checks of cooling plants in series: coolant loops, and the chillers that carry on their heat."""

from __future__ import annotations

from planner.infrastructure.entities import Model
from planner.infrastructure.fleet import rejecting_to
from planner.infrastructure.source import Document, Path_


def check_series(model: Model, name: str, document: Document) -> None:
    """Complain about a plant that carries no heat, or about a series that makes no sense."""
    plant, path = model.plants[name], ("plants", name)
    if not plant.cools and not rejecting_to(model, name):
        message = "names no cluster, and no plant `rejects_to` this one"
        document.complain((*path, "cools"), message)
    if plant.rejects_to is not None:
        _check_chillers(model, name, plant.rejects_to, document, (*path, "rejects_to"))


def _check_chillers(model: Model, name: str, behind: str, document: Document, path: Path_) -> None:
    plant, chillers = model.plants[name], model.plants[behind]
    if chillers.cools or chillers.rejects_to is not None:
        message = f"`{behind}` cools clusters or rejects its heat to another plant itself"
        document.complain(path, f"{message}; expected one that only carries on the heat of others")
    if (chillers.region, chillers.role) != (plant.region, plant.role):
        message = f"`{behind}` is {chillers.role} in {chillers.region}"
        document.complain(path, f"{message}; expected {plant.role} in {plant.region}")
    for tank in (name, behind):
        added = any(tank in measure.buffer_mwh for measure in model.measures.values())
        if model.plants[tank].buffer_mwh or added:
            message = "a tank counts only for a plant that rejects its heat by itself"
            document.complain(("plants", tank, "buffer_mwh"), message)
