"""Checks of cooling plants, and of those in series: coolant loops and chillers."""

from __future__ import annotations

from planner.infrastructure.entities import Model
from planner.infrastructure.fleet import rejecting_to
from planner.infrastructure.source import Document, Path_
from planner.laws.money import HOURS_PER_YEAR


def check_plant(model: Model, name: str, document: Document) -> None:
    """Complain about a plant that cannot be as it is stated."""
    plant = model.plants[name]
    for index, cluster in enumerate(plant.cools):
        if model.clusters[cluster].region != plant.region:
            path = ("plants", name, "cools", index)
            document.complain(path, f"`{cluster}` is not in region {plant.region}")
    if model.regions[plant.region].candidate and any(plant.existing.values()):
        document.complain(("plants", name), "has units in a region that is only a candidate")
    if plant.role == "primary" and all(
        model.cooling_units[unit].mode == "standby" for unit in (*plant.existing, *plant.options)
    ):
        document.complain(("plants", name), "a primary plant needs units that are not on standby")
    most = sum(plant.existing.values()) + plant.max_added * len(plant.options)
    if plant.restart_units > most:
        message = f"{plant.restart_units} units are more than the {most} that it can have"
        document.complain(("plants", name, "restart_units"), message)
    planned = sum(
        count * model.cooling_units[unit].planned_outage_hours_per_year
        for unit, count in plant.existing.items()
    )
    if planned > HOURS_PER_YEAR:
        message = f"planned outages take {planned:,.0f} h of the 8,760 of a year, one at a time"
        document.complain(("plants", name), message)
    _check_series(model, name, document)


def _check_series(model: Model, name: str, document: Document) -> None:
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
    if plant.buffer_mwh or any(name in measure.buffer_mwh for measure in model.measures.values()):
        message = f"a loop has no tank; expected one of the chillers behind it, `{behind}`"
        document.complain(("plants", name, "buffer_mwh"), message)
