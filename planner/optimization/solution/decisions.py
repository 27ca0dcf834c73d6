"""Purchases of a programme under one kind of key, so that code can treat all of them alike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Literal, NamedTuple

from planner.infrastructure.entities import Model
from planner.infrastructure.fleet import Fleet
from planner.optimization.formulation.algebra import Variable
from planner.optimization.formulation.labels import joined
from planner.optimization.formulation.problem import ProblemData
from planner.optimization.formulation.programme import Programme

Kind = Literal["cooling", "gpus", "emergency", "region", "measure", "retired"]

#: What one of each kind is called.
NOUNS: dict[Kind, str] = {
    "cooling": "unit",
    "gpus": "block",
    "emergency": "instance",
    "region": "region",
    "measure": "measure",
    "retired": "retirement",
}


class Decision(NamedTuple):
    """Key of a decision on purchases.

    Parameters
    ----------
    kind
        What is bought; ``retired`` for what is retired.
    asset
        ``plant/unit``, cluster, offer, region or measure; ``plant/unit`` or cluster if retired.
    """

    kind: Kind
    asset: str

    @property
    def noun(self) -> str:
        """What one of it is called."""
        return NOUNS[self.kind]

    def __str__(self) -> str:
        words: dict[Kind, str] = {"region": "region ", "retired": "retired "}
        return words.get(self.kind, "") + self.asset


def variables(programme: Programme) -> dict[Decision, Variable]:
    """Integer variable of every decision."""
    purchases = programme.purchases
    found = {Decision("cooling", joined(*key)): units for key, units in purchases.units.items()}
    found |= {Decision("gpus", name): blocks for name, blocks in purchases.blocks.items()}
    found |= {Decision("emergency", name): number for name, number in purchases.instances.items()}
    found |= {Decision("region", name): opened for name, opened in purchases.opened.items()}
    found |= {Decision("measure", name): bought for name, bought in purchases.measures.items()}
    found |= {Decision("retired", joined(*key)): units for key, units in purchases.retired.items()}
    found |= {
        Decision("retired", name): blocks for name, blocks in purchases.retired_blocks.items()
    }
    return found


def prices(programme: Programme) -> dict[Decision, float]:
    """Fixed yearly cost of one of each, USD: annualised capital, upkeep, retainer."""
    costs = programme.problem.objective.terms
    return {key: float(costs.get(variable, 0.0)) for key, variable in variables(programme).items()}


def counts(programme: Programme, values: Mapping[str, float]) -> dict[Decision, int]:
    """How many of each a solution buys."""
    return {key: round(values[variable.name]) for key, variable in variables(programme).items()}


def counts_of(programme: Programme, fleet: Fleet) -> dict[Decision, int]:
    """How many of each lead to a fleet.

    Raises
    ------
    ValueError
        If a cluster has grown by other than whole blocks, or shrunk what the model does not let.
    """
    model = programme.data.model
    found: dict[Decision, int] = {}
    for plant, unit in programme.purchases.units:
        added = fleet.units[plant][unit] - model.plants[plant].existing.get(unit, 0)
        found |= _bought_or_retired(Decision("cooling", f"{plant}/{unit}"), added)
    for cluster in programme.purchases.blocks:
        entry = model.clusters[cluster]
        blocks, rest = divmod(fleet.gpus[cluster] - entry.existing_gpus, entry.block_gpus)
        if rest:
            message = f"{cluster} grows by {blocks * entry.block_gpus + rest} GPUs, "
            raise ValueError(f"{message}not whole blocks of {entry.block_gpus}")
        found |= _bought_or_retired(Decision("gpus", cluster), blocks)
    for offer in programme.purchases.instances:
        reserved = fleet.instances[offer] - model.offers[offer].existing_instances
        found[Decision("emergency", offer)] = reserved
    for region in programme.purchases.opened:
        found[Decision("region", region)] = int(region in fleet.opened)
    for measure in programme.purchases.measures:
        found[Decision("measure", measure)] = int(measure in fleet.measures)
    known = variables(programme)
    lost = [key for key, count in found.items() if count and key not in known]
    if lost:
        raise ValueError(f"{lost[0].asset} shrinks, which the model does not allow")
    return {key: found.get(key, 0) for key in known}


def _bought_or_retired(key: Decision, change: int) -> dict[Decision, int]:
    return {key: max(0, change), Decision("retired", key.asset): max(0, -change)}


def region_of(model: Model, key: Decision) -> str | None:
    """Region of a decision; None for offers and measures."""
    place = key.asset.split("/")[0]
    if key.kind == "region":
        return place
    if key.kind in ("cooling", "gpus", "retired"):
        return (model.plants.get(place) or model.clusters[place]).region
    return None


def one_less(
    data: ProblemData, bought: Mapping[Decision, int], key: Decision
) -> dict[Decision, int]:
    """Purchases with one less of a decision; a candidate region without GPUs is closed."""
    less = dict(bought)
    less[key] -= 1
    region = region_of(data.model, key)
    if region is None or Decision("region", region) not in less:
        return less
    inside = [
        decision
        for decision in less
        if decision.kind != "retired" and region_of(data.model, decision) == region
    ]
    if key.kind == "region" or not any(
        less[decision] for decision in inside if decision.kind == "gpus"
    ):
        less |= dict.fromkeys(inside, 0)
    return less


@contextmanager
def limited(limits: Mapping[Variable, tuple[float, float]]) -> Iterator[None]:
    """Temporarily set other bounds on some variables."""
    before = {variable: (variable.low, variable.high) for variable in limits}
    try:
        for variable, (low, high) in limits.items():
            variable.low, variable.high = low, high
        yield
    finally:
        for variable, (low, high) in before.items():
            variable.low, variable.high = low, high


def bounded(
    programme: Programme, limits: Mapping[Decision, tuple[float, float]]
) -> AbstractContextManager[None]:
    """Temporarily set other bounds on some decisions."""
    chosen = variables(programme)
    return limited({chosen[key]: bounds for key, bounds in limits.items()})


def settled(bought: Mapping[Decision, int]) -> dict[Decision, tuple[float, float]]:
    """Bounds that fix given purchases."""
    return {key: (float(count), float(count)) for key, count in bought.items()}


def purchases_for(programme: Programme, fleet: Fleet) -> list[tuple[Variable, float]]:
    """Variables of the purchases with the values that lead to a fleet."""
    model = programme.data.model
    found: list[tuple[Variable, float]] = []

    def changed(bought: Variable, gone: Variable | None, change: float) -> None:
        found.append((bought, change if gone is None else max(0.0, change)))
        if gone is not None:
            found.append((gone, max(0.0, -change)))

    for (plant, unit), variable in programme.purchases.units.items():
        change = fleet.units[plant][unit] - model.plants[plant].existing.get(unit, 0)
        changed(variable, programme.purchases.retired.get((plant, unit)), float(change))
    for cluster, variable in programme.purchases.blocks.items():
        entry = model.clusters[cluster]
        change = fleet.gpus[cluster] - entry.existing_gpus
        gone = programme.purchases.retired_blocks.get(cluster)
        changed(variable, gone, change / entry.block_gpus)
    for offer, variable in programme.purchases.instances.items():
        change = fleet.instances[offer] - model.offers[offer].existing_instances
        found.append((variable, float(change)))
    for region, variable in programme.purchases.opened.items():
        found.append((variable, float(region in fleet.opened)))
    for name, variable in programme.purchases.measures.items():
        found.append((variable, float(name in fleet.measures)))
    return found
