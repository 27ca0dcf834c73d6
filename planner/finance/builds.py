"""What a build buys and what it costs to run, line by line.

A build is a fleet in a model: what exists, a plan, or a build that somebody else states as a model
of its own. Its purchases are counted from what exists in the model that the others are compared
with.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from planner.infrastructure.entities import Cluster, Model, Region
from planner.infrastructure.failures import Scenario
from planner.infrastructure.fleet import Fleet
from planner.laws.money import upkeep_usd_per_year
from planner.optimization.operation import operation_of
from planner.plan import Plan

Category = Literal["gpus", "facility", "cooling", "regions", "measures"]
#: What the price of a running cost follows.
Driver = Literal["gpus", "facility", "cooling", "failures", "electricity", "other"]

CATEGORIES: tuple[Category, ...] = ("gpus", "facility", "cooling", "regions", "measures")
#: Categories of running cost in the order shown; others follow.
RUNNING = ("upkeep", "repairs", "retainers", "energy", "transport", "regions", "measures")


@dataclass(frozen=True)
class Build:
    """Something to value.

    Parameters
    ----------
    name
        Name in tables.
    model, fleet
        The infrastructure and what of it there is in the end.
    scenarios
        What can go wrong with it.
    plan
        The plan that it is, if it is one and its model has not changed since.
    """

    name: str
    model: Model
    fleet: Fleet
    scenarios: tuple[Scenario, ...]
    plan: Plan | None = None


@dataclass(frozen=True)
class Purchase:
    """One line of capital.

    Parameters
    ----------
    category
        Kind of asset; it decides the tax life and what its price follows.
    asset
        Cluster, plant, region or measure.
    item
        What is bought for it: GPU or unit type.
    region
        Where; empty for measures.
    quantity
        Pieces; below 0 retired.
    usd_each
        Price; of retired pieces what each earns.
    life_years
        Life, after which it is bought again.
    salvage_usd_each
        What each earns at the end of its life.
    """

    category: Category
    asset: str
    item: str
    region: str
    quantity: int
    usd_each: float
    life_years: float
    salvage_usd_each: float = 0.0

    @property
    def usd(self) -> float:
        """Capital, below 0 for retirements that earn something."""
        return self.quantity * self.usd_each + 0.0  # no −0


@dataclass(frozen=True)
class Running:
    """One line of yearly cost at today's prices.

    Parameters
    ----------
    category
        ``upkeep``, ``repairs``, ``retainers``, ``energy``, ``transport``, ``regions``,
        ``measures``.
    asset
        What it is for.
    region
        Where; empty where that means nothing.
    usd_per_year
        Cost of a year.
    driver
        What its price follows.
    """

    category: str
    asset: str
    region: str
    usd_per_year: float
    driver: Driver


def purchases(base: Build, build: Build) -> tuple[Purchase, ...]:
    """What a build buys beyond what exists in another, and what of that it retires."""
    return tuple(one for one in _purchases(base, build) if one.quantity)


def _purchases(base: Build, build: Build) -> Iterator[Purchase]:
    yield from _gpu_purchases(base, build)
    yield from _unit_purchases(base, build)
    for region in sorted(_opened(base, build)):
        place = _site(base, build, region)
        yield Purchase("regions", region, "opening", region, 1, place.fixed_usd, place.life_years)
    for name in sorted(build.fleet.measures - base.fleet.measures):
        one = build.model.measures[name]
        yield Purchase("measures", name, "measure", "", 1, one.capital_usd, one.life_years)


def _gpu_purchases(base: Build, build: Build) -> Iterator[Purchase]:
    for name, cluster in {**base.model.clusters, **build.model.clusters}.items():
        change = build.fleet.gpus.get(name, 0) - base.fleet.gpus.get(name, 0)
        # A cluster that is given up is priced by the model that has it.
        owner = build.model if name in build.model.clusters else base.model
        former = base.model.clusters.get(name, cluster).gpu
        if former == cluster.gpu:
            yield _gpus(owner, name, cluster, change)
        else:
            # Other GPUs take the place of those that were there.
            yield _gpus(base.model, name, base.model.clusters[name], -base.fleet.gpus.get(name, 0))
            yield _gpus(owner, name, cluster, build.fleet.gpus.get(name, 0))
        gpu = owner.gpus[cluster.gpu]
        if gpu.facility_usd and change > 0:
            price = (change, gpu.facility_usd, gpu.facility_life_years)
            yield Purchase("facility", name, "building and power", cluster.region, *price)


def _gpus(model: Model, name: str, cluster: Cluster, change: int) -> Purchase:
    """GPUs of a cluster bought, or retired for their salvage."""
    gpu = model.gpus[cluster.gpu]
    bought = change > 0
    return Purchase(
        "gpus",
        name,
        cluster.gpu,
        cluster.region,
        change,
        gpu.capital_usd if bought else gpu.salvage_usd,
        gpu.life_years,
        gpu.salvage_usd if bought else 0.0,
    )


def _unit_purchases(base: Build, build: Build) -> Iterator[Purchase]:
    for name, plant in {**base.model.plants, **build.model.plants}.items():
        before = base.fleet.units.get(name, {})
        after = build.fleet.units.get(name, {})
        for unit in dict.fromkeys((*before, *after)):
            change = after.get(unit, 0) - before.get(unit, 0)
            owner = build.model if unit in build.model.cooling_units else base.model
            kind = owner.cooling_units[unit]
            each = kind.salvage_usd if change < 0 else kind.capital_usd
            left = 0.0 if change < 0 else kind.salvage_usd
            yield Purchase("cooling", name, unit, plant.region, change, each, kind.life_years, left)


def _opened(base: Build, build: Build) -> frozenset[str]:
    """Regions in use in a build that are candidates in the base, or that it does not have."""
    used = {build.model.clusters[name].region for name, count in build.fleet.gpus.items() if count}
    in_place = {name for name, region in base.model.regions.items() if not region.candidate}
    return frozenset((build.fleet.opened | (used - in_place)) - base.fleet.opened)


def _site(base: Build, build: Build, region: str) -> Region:
    """An opened region as its price is stated: where it is a candidate, the build first."""
    place = build.model.regions[region]
    return place if place.candidate else base.model.regions.get(region, place)


def running(base: Build, build: Build) -> tuple[Running, ...]:
    """What a build costs in a year without failures, at today's prices.

    Raises
    ------
    SolverError
        If normal operation cannot be worked out.
    """
    return tuple(one for one in _running(base, build) if one.usd_per_year)


def _running(base: Build, build: Build) -> Iterator[Running]:
    model, fleet = build.model, build.fleet
    for cluster, count in fleet.gpus.items():
        entry = model.clusters[cluster]
        gpu = model.gpus[entry.gpu]
        share = gpu.maintenance_share_per_year * count
        yield Running("upkeep", cluster, entry.region, share * gpu.capital_usd, "gpus")
        yield Running("upkeep", cluster, entry.region, share * gpu.facility_usd, "facility")
    for plant, counts in fleet.units.items():
        for unit, count in counts.items():
            kind, region = model.cooling_units[unit], model.plants[plant].region
            asset, share = f"{plant}/{unit}", kind.maintenance_share_per_year
            usd = upkeep_usd_per_year(kind.capital_usd, share) * count
            yield Running("upkeep", asset, region, usd, "cooling")
            usd = upkeep_usd_per_year(0.0, 0.0, kind.failures_per_year, kind.repair_usd) * count
            yield Running("repairs", asset, region, usd, "failures")
    for offer, count in fleet.instances.items():
        usd = model.offers[offer].retainer_usd_per_instance_year * count
        yield Running("retainers", offer, "", usd, "other")
    for region in sorted(_opened(base, build)):
        usd = _site(base, build, region).fixed_usd_per_year
        yield Running("regions", region, region, usd, "other")
    for name in sorted(fleet.measures):
        yield Running("measures", name, "", model.measures[name].usd_per_year, "other")
    yield from _operation(build)


def _operation(build: Build) -> Iterator[Running]:
    """Energy and transport: as the plan states them, else dispatched at least cost."""
    items = build.plan.cost.items if build.plan else operation_of(build.model, build.fleet)
    model = build.model
    for item in items:
        if item.category == "energy":
            place = model.clusters.get(item.asset) or model.plants[item.asset.partition("/")[0]]
            yield Running("energy", item.asset, place.region, item.usd_per_year, "electricity")
        elif item.category == "transport":
            yield Running("transport", item.asset, "", item.usd_per_year, "other")


def unpriced(base: Build, build: Build) -> tuple[str, ...]:
    """Prices that a build needs and its model does not state, as paths into the model.

    A price that is stated as 0 is a price. Retired assets that state none earn nothing, and GPUs
    that state none for building and power need none.
    """
    return tuple(dict.fromkeys(_unpriced(base, build)))


def _unpriced(base: Build, build: Build) -> Iterator[str]:
    model = build.model
    for one in purchases(base, build):
        if one.quantity < 0:
            continue
        if one.category == "gpus":
            yield from _missing(model.gpus, "gpus", one.item, "capital_usd")
        elif one.category == "cooling":
            yield from _missing(model.cooling_units, "cooling_units", one.item, "capital_usd")
        elif one.category == "measures":
            entry = model.measures[one.asset]
            if not {"capital_usd", "usd_per_year"} & entry.model_fields_set:
                yield f"measures.{one.asset}.capital_usd"
        elif one.category == "regions":
            place = _site(base, build, one.asset)
            if not {"fixed_usd", "fixed_usd_per_year"} & place.model_fields_set:
                yield f"regions.{one.asset}.fixed_usd"
    yield from _unpriced_in_place(model, build.fleet)


def _unpriced_in_place(model: Model, fleet: Fleet) -> Iterator[str]:
    """Prices that upkeep is a share of, and those of electricity."""
    for cluster, count in fleet.gpus.items():
        entry = model.clusters[cluster]
        gpu = model.gpus[entry.gpu]
        if count and gpu.maintenance_share_per_year:
            yield from _missing(model.gpus, "gpus", entry.gpu, "capital_usd")
        if count and gpu.power_mw:
            yield from _missing(model.regions, "regions", entry.region, "electricity_usd_per_mwh")
    for counts in fleet.units.values():
        for unit, count in counts.items():
            if count and model.cooling_units[unit].maintenance_share_per_year:
                yield from _missing(model.cooling_units, "cooling_units", unit, "capital_usd")


def _missing(table: Mapping[str, object], section: str, name: str, field: str) -> Iterator[str]:
    fields: frozenset[str] = getattr(table[name], "model_fields_set")  # noqa: B009
    if field not in fields:
        yield f"{section}.{name}.{field}"


__all__ = [
    "CATEGORIES",
    "RUNNING",
    "Build",
    "Category",
    "Driver",
    "Purchase",
    "Running",
    "purchases",
    "running",
    "unpriced",
]
