"""The fleet of an infrastructure: what exists, or what exists with the purchases of a plan."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from planner.infrastructure.entities import Model
from planner.infrastructure.fields import ReadOnlyDict
from planner.laws.heat import derated_mw
from planner.laws.overhead import usage_effectiveness


@dataclass(frozen=True)
class Fleet:
    """Numbers of everything that a plan can change.

    Parameters
    ----------
    units
        Cooling units in all by plant and unit type.
    gpus
        GPUs in all by cluster.
    instances
        Reserved emergency instances in all by offer.
    opened
        Candidate regions that are opened.
    measures
        Measures that are bought.
    """

    units: Mapping[str, Mapping[str, int]]
    gpus: Mapping[str, int]
    instances: Mapping[str, int]
    opened: frozenset[str] = frozenset()
    measures: frozenset[str] = frozenset()

    @classmethod
    def existing(cls, model: Model) -> Fleet:
        """The fleet before anything is bought."""
        return cls.after(model, {}, {}, {}, frozenset())

    @classmethod
    def after(
        cls,
        model: Model,
        units_added: Mapping[tuple[str, str], int],
        gpus_added: Mapping[str, int],
        instances_added: Mapping[str, int],
        opened: frozenset[str],
        measures: frozenset[str] = frozenset(),
    ) -> Fleet:
        """The fleet after purchases, given as additions to what exists."""
        units = {
            name: ReadOnlyDict(
                {
                    unit: plant.existing.get(unit, 0) + units_added.get((name, unit), 0)
                    for unit in plant_units(model, name)
                }
            )
            for name, plant in model.plants.items()
        }
        gpus = {
            name: cluster.existing_gpus + gpus_added.get(name, 0)
            for name, cluster in model.clusters.items()
        }
        instances = {
            name: offer.existing_instances + instances_added.get(name, 0)
            for name, offer in model.offers.items()
        }
        tables = (ReadOnlyDict(units), ReadOnlyDict(gpus), ReadOnlyDict(instances))
        return cls(*tables, opened, measures)


def plant_units(model: Model, plant: str) -> tuple[str, ...]:
    """Unit types that a plant has or may get, in the order of the model."""
    entry = model.plants[plant]
    wanted = {*entry.existing, *entry.options}
    return tuple(unit for unit in model.cooling_units if unit in wanted)


def rejecting_to(model: Model, plant: str) -> tuple[str, ...]:
    """Plants whose heat a plant carries on."""
    return tuple(name for name, entry in model.plants.items() if entry.rejects_to == plant)


def heat_of(model: Model, plant: str) -> tuple[tuple[str, str], ...]:
    """Whose heat a plant carries: cluster and the plant that takes it from there."""
    takers = rejecting_to(model, plant) or (plant,)
    return tuple((cluster, taker) for taker in takers for cluster in model.plants[taker].cools)


def with_chillers(model: Model, plants: Iterable[str]) -> tuple[str, ...]:
    """Plants and those that carry on their heat."""
    found = [(name, model.plants[name].rejects_to) for name in plants]
    return tuple(dict.fromkeys(name for pair in found for name in pair if name is not None))


def possible_units(model: Model, plant: str) -> tuple[str, ...]:
    """Unit types of which a plant has or may get at least one."""
    entry = model.plants[plant]
    return tuple(
        unit
        for unit in plant_units(model, plant)
        if entry.existing.get(unit) or (unit in entry.options and entry.max_added)
    )


def retirable_units(model: Model, plant: str, unit: str) -> int:
    """Existing units of a type that a plan may retire.

    Those that a scenario of the model loses by type stay, so that there is something to lose.
    """
    entry = model.plants[plant]
    if not entry.may_retire:
        return 0
    lost = [
        sum(
            event.count
            for event in scenario.events
            if event.kind == "units" and (event.plant, event.unit) == (plant, unit)
        )
        for scenario in model.scenarios.values()
    ]
    return max(0, entry.existing.get(unit, 0) - max(lost, default=0))


def retirable_blocks(model: Model, cluster: str) -> int:
    """Blocks of existing GPUs that a plan may retire."""
    entry = model.clusters[cluster]
    return entry.existing_gpus // entry.block_gpus if entry.may_retire else 0


def running_units(model: Model, plant: str) -> tuple[str, ...]:
    """Unit types of a plant that run all the time; none for an emergency plant."""
    if model.plants[plant].role == "emergency":
        return ()
    kinds = model.cooling_units
    return tuple(unit for unit in plant_units(model, plant) if kinds[unit].mode == "running")


def unit_mw(model: Model, plant: str, unit: str, rise_c: float = 0) -> float:
    """Capacity of a unit at the design ambient of its plant's region and some degrees above, MW."""
    kind = model.cooling_units[unit]
    ambient = model.regions[model.plants[plant].region].design_ambient_c + rise_c
    return derated_mw(
        kind.capacity_mw,
        ambient,
        kind.reference_ambient_c,
        kind.derating_per_c,
        kind.cutout_ambient_c,
    )


def plant_mw(model: Model, fleet: Fleet, plant: str) -> float:
    """Heat that all units of a plant carry at design ambient, MW."""
    return sum(count * unit_mw(model, plant, unit) for unit, count in fleet.units[plant].items())


def cooling_mw(model: Model, fleet: Fleet, plants: Iterable[str]) -> float:
    """Heat that plants carry away at design ambient, MW; of a series what its tighter part does."""
    each = {name: plant_mw(model, fleet, name) for name in plants}
    behind = {plant.rejects_to for plant in model.plants.values()}
    through: dict[str | None, float] = {}
    for name, mw in each.items():
        if name not in behind:
            chillers = model.plants[name].rejects_to
            through[chillers] = through.get(chillers, 0.0) + mw
    return sum(
        mw if chillers is None else min(mw, each.get(chillers, 0.0))
        for chillers, mw in through.items()
    )


def pue_by_part(model: Model, region: str) -> dict[str, float]:
    """Power of a region per power of its GPUs at full load, by part and in total (PUE).

    Cooling is that of the hungriest running unit of its primary plants, at the design point.
    """
    place = model.regions[region]
    chains = [
        [
            max((model.cooling_units[unit] for unit in units), key=lambda u: u.drawn_mw_per_mw)
            for part in with_chillers(model, [name])
            if (units := running_units(model, part))
        ]
        for name, plant in model.plants.items()
        if plant.region == region and plant.cools
    ]
    hungriest = max(chains, key=lambda chain: sum(u.drawn_mw_per_mw for u in chain), default=[])
    parts = {"losses": place.power_loss_share, "halls": place.hall_mw_per_mw}
    parts["machines"] = sum(unit.power_mw_per_mw for unit in hungriest)
    parts["pumps and towers"] = sum(unit.auxiliary_mw_per_mw for unit in hungriest)
    plant_mw = sum(unit.drawn_mw_per_mw for unit in hungriest)
    return parts | {"pue": usage_effectiveness(1.0, place.drawn_mw_per_mw, plant_mw)}
