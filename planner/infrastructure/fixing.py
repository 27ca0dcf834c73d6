"""Parts of a plan fixed at the numbers of an earlier one, as changes of the model."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from planner.errors import InputError
from planner.infrastructure.entities import Model
from planner.infrastructure.fleet import Fleet
from planner.infrastructure.source import nearest
from planner.json_text import json_text

#: Parts that can be held as a whole: the tables of settled purchases.
PARTS = ("cooling", "gpus", "emergency", "regions", "measures")


def fixing_settings(model: Model, fleet: Fleet, wanted: Iterable[str]) -> tuple[str, ...]:
    """Changes of a model (``path=value``) that fix some purchases at those of a fleet.

    Parameters
    ----------
    model
        Infrastructure.
    fleet
        What is settled; the existing fleet settles that nothing is bought.
    wanted
        Parts by name, or plants, clusters, offers, measures and regions; a region stands for
        everything in it.

    Raises
    ------
    InputError
        With every name that the model does not have.
    """
    names = set(wanted)
    unknown = sorted(names - {*PARTS, *_names(model)})
    if unknown:
        raise InputError(problem for name in unknown for problem in _unknown(model, name).problems)
    settled: dict[str, Any] = {part: {} for part in PARTS}
    for plant, entry in model.plants.items():
        if names & {"cooling", plant, entry.region}:
            settled["cooling"][plant] = {
                unit: total - entry.existing.get(unit, 0)
                for unit, total in fleet.units[plant].items()
            }
    for cluster, site in model.clusters.items():
        if names & {"gpus", cluster, site.region}:
            settled["gpus"][cluster] = fleet.gpus[cluster] - site.existing_gpus
    for offer, terms in model.offers.items():
        if names & {"emergency", offer, terms.region}:
            settled["emergency"][offer] = fleet.instances[offer] - terms.existing_instances
    for region, place in model.regions.items():
        if place.candidate and names & {"regions", region}:
            settled["regions"][region] = region in fleet.opened
    for measure in model.measures:
        if names & {"measures", measure}:
            settled["measures"][measure] = measure in fleet.measures
    before = model.policies.fixed.model_dump(mode="json")
    return tuple(
        f"policies.fixed.{part}={json_text({**before[part], **table}, 'line', ascii_only=True)}"
        for part, table in settled.items()
        if table
    )


def _names(model: Model) -> set[str]:
    tables = (model.plants, model.clusters, model.offers, model.regions, model.measures)
    return {name for table in tables for name in table}


def _unknown(model: Model, name: str) -> InputError:
    hint = nearest(name, [*PARTS, *sorted(_names(model))])
    parts = ", ".join(PARTS)
    message = (
        f"`{name}` is not one of {parts}, nor a plant, cluster, offer, region or measure{hint}"
    )
    return InputError.single("--fix", message)


def keeping_settings(model: Model) -> tuple[str, ...]:
    """Changes of a model that forbid retirements."""
    return tuple(
        f"{section}.{name}.may_retire=false"
        for section in ("plants", "clusters")
        for name, entry in getattr(model, section).items()
        if entry.may_retire
    )
