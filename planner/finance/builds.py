"""Purchases and running costs of a build, line by line.

A build is a fleet in a model: what exists, a plan, or a build that somebody else states as a model
of its own. Its purchases are counted from what exists in the model that the others are compared
with.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from planner.infrastructure.entities import Model, Region
from planner.infrastructure.failures import Scenario
from planner.infrastructure.fleet import Fleet
from planner.infrastructure.prices import PARTS, Part, priced_gpu, priced_unit
from planner.laws.assets import Asset
from planner.optimization.solution.operation import operation_of
from planner.plan.records import Plan

Category = Literal["servers", "building", "power", "cooling", "regions", "measures"]
#: What the price of a running cost follows.
Driver = Literal["servers", "building", "power", "cooling", "failures", "electricity", "other"]

CATEGORIES: tuple[Category, ...] = (*PARTS, "cooling", "regions", "measures")
#: Categories of running cost in the order shown; others follow.
RUNNING = ("upkeep", "repairs", "retainers", "energy", "transport", "regions", "measures")


@dataclass(frozen=True)
class Build:
    """Something to value.

    Parameters
    ----------
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
class PricedItem:
    """Something with a price.

    Parameters
    ----------
    usd_each, life_years, salvage_usd_each
        Price today, life, and what it earns at the end of that.
    upkeep_share
        Yearly upkeep as a share of the price; None where that means nothing.
    """

    category: Category
    name: str
    usd_each: float
    life_years: float
    salvage_usd_each: float
    upkeep_share: float | None = None


@dataclass(frozen=True)
class Rate:
    """An amount at today's prices per unit of a running cost, such as USD per MWh."""

    category: str
    name: str
    unit: str
    usd: float


@dataclass(frozen=True)
class Purchase:
    """One line of capital: what is bought or retired, or what exists and will be bought again.

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
        Price of a new one; of retired pieces what each earns.
    life_years
        Life, after which it is bought again.
    salvage_usd_each
        What each earns at the end of its life.
    age_years
        Age of what exists already, kept or retired; None for what is bought, and where a model does
        not state it: such pieces count as written off and are not bought again.
    paid_usd_each
        What each of those cost, which is what is written off of it.
    priced
        Whose price it has; None for what the line itself says.
    """

    category: Category
    asset: str
    item: str
    region: str
    quantity: int
    usd_each: float
    life_years: float
    salvage_usd_each: float = 0.0
    age_years: float | None = None
    paid_usd_each: float = 0.0
    priced: PricedItem | None = field(default=None, compare=False)

    @property
    def exists(self) -> bool:
        """Whether it is there already and kept."""
        return self.age_years is not None and self.quantity > 0

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
    region
        Where; empty where that means nothing.
    quantity, unit
        How much of what there is of it.
    price
        What each costs a year: a rate, or an item whose price times upkeep share it is. None where
        there is no more to it than an amount.
    """

    category: str
    asset: str
    region: str
    usd_per_year: float
    driver: Driver
    quantity: float = field(default=1.0, compare=False)
    unit: str = field(default="", compare=False)
    price: PricedItem | Rate | None = field(default=None, compare=False)


def purchases(base: Build, build: Build) -> tuple[Purchase, ...]:
    """Purchases of a build in addition to the base, and retirements from it."""
    return tuple(line for line in _purchases(base, build) if line.quantity)


def _purchases(base: Build, build: Build) -> Iterator[Purchase]:
    for change in _changes(base, build):
        line = change.purchase()
        # A building earns nothing when what stood in it goes, but what is left in the books goes.
        if (
            line.quantity > 0
            or line.category not in ("building", "power")
            or line.age_years is not None
        ):
            yield line
    for region in sorted(_opened(base, build)):
        place = _site(base, build, region)
        yield Purchase("regions", region, "opening", region, 1, place.fixed_usd, place.life_years)
    for name in sorted(build.fleet.measures - base.fleet.measures):
        entry = build.model.measures[name]
        yield Purchase("measures", name, "measure", "", 1, entry.capital_usd, entry.life_years)


def held(base: Build, build: Build) -> tuple[Purchase, ...]:
    """Equipment of the base that a build keeps, where its age is known."""
    return tuple(
        change.kept()
        for change in _changes(base, build)
        if change.asset.age_years is not None and min(change.before, change.after)
    )


Piece = Literal["servers", "building", "power", "cooling"]


@dataclass(frozen=True)
class _Change:
    """Pieces of a kind in two builds: those that both have are kept.

    `priced_as` is what has the price, `failures_per_year` are those of a piece.
    """

    category: Piece
    name: str
    item: str
    region: str
    asset: Asset
    before: int
    after: int
    priced_as: str
    failures_per_year: float = 0.0

    @property
    def priced(self) -> PricedItem:
        """What each costs today."""
        asset = self.asset
        terms = (asset.price_usd, asset.life_years, asset.salvage_usd, asset.upkeep_share)
        return PricedItem(self.category, self.priced_as, *terms)

    def purchase(self) -> Purchase:
        """Purchase of additional pieces, or their retirement for salvage."""
        if self.after >= self.before:
            bought = replace(self.asset, age_years=None)
            return replace(self, asset=bought)._of(
                self.after - self.before, bought.price_usd, bought.salvage_usd
            )
        return self._of(self.after - self.before, self.asset.salvage_usd, 0.0)

    def kept(self) -> Purchase:
        """Pieces in both builds, which are replaced at the end of their life."""
        asset = self.asset
        return self._of(min(self.before, self.after), asset.price_usd, asset.salvage_usd)

    def upkeep(self) -> Iterator[Running]:
        """Repairs, and upkeep by the price of today, or of what exists by its own if stated."""
        asset, cooling = self.asset, self.category == "cooling"
        new = self.after if asset.own_price_usd is None else max(0, self.after - self.before)
        name = f"{self.name}/{self.item}" if cooling else self.name
        usd = asset.upkeep_share * asset.price_usd * new
        counted = (new, "units" if cooling else "GPUs", self.priced)
        yield Running("upkeep", name, self.region, usd, self.category, *counted)
        usd = asset.upkeep_share * asset.paid_usd * (self.after - new)
        yield Running("upkeep", name, self.region, usd, "other")
        repairs = self.failures_per_year * self.after
        usd = asset.repairs_usd_per_year * self.after
        each = Rate("repairs", self.item, "USD per repair", usd / repairs if repairs else 0.0)
        yield Running("repairs", name, self.region, usd, "failures", repairs, "repairs", each)

    def _of(self, quantity: int, usd_each: float, left: float) -> Purchase:
        asset, aged = self.asset, self.asset.age_years is not None
        return Purchase(
            self.category,
            self.name,
            self.item,
            self.region,
            quantity,
            usd_each,
            asset.life_years,
            left,
            asset.age_years,
            asset.paid_usd if aged else 0.0,
            self.priced if quantity > 0 else None,
        )


def _changes(base: Build, build: Build) -> Iterator[_Change]:
    """GPUs by what they consist of, and cooling units, in two builds."""
    yield from _gpu_changes(base, build)
    for name, plant in {**base.model.plants, **build.model.plants}.items():
        before = base.fleet.units.get(name, {})
        after = build.fleet.units.get(name, {})
        age = base.model.plants[name].existing_age_years if name in base.model.plants else None
        for unit in dict.fromkeys((*before, *after)):
            owner = build.model if unit in build.model.cooling_units else base.model
            kind = owner.cooling_units[unit]
            counts = before.get(unit, 0), after.get(unit, 0)
            terms = (priced_unit(kind, age), *counts, unit, kind.failures_per_year)
            yield _Change("cooling", name, unit, plant.region, *terms)


def _gpu_changes(base: Build, build: Build) -> Iterator[_Change]:
    for name, cluster in {**base.model.clusters, **build.model.clusters}.items():
        counts = base.fleet.gpus.get(name, 0), build.fleet.gpus.get(name, 0)
        # A cluster that is given up is priced by the model that has it.
        owner = build.model if name in build.model.clusters else base.model
        former = base.model.clusters.get(name, cluster)
        ages = former.existing_age_years, former.existing_facility_age_years
        parts = priced_gpu(owner.gpus[cluster.gpu], *ages)
        for part, asset in parts.items():
            gpu, item = cluster.gpu, _part_item(part, parts, cluster.gpu)
            if part != "servers":
                if asset.price_usd or asset.paid_usd:
                    named = (*counts, f"{item} for {gpu}")
                    yield _Change(part, name, item, cluster.region, asset, *named)
            elif former.gpu == gpu:
                yield _Change(part, name, item, cluster.region, asset, *counts, gpu)
            else:
                # Other GPUs take the place of those that were there.
                old = priced_gpu(base.model.gpus[former.gpu], *ages)[part]
                was = (counts[0], 0, former.gpu)
                yield _Change(part, name, former.gpu, former.region, old, *was)
                yield _Change(part, name, item, cluster.region, asset, 0, counts[1], gpu)


def _part_item(part: Part, parts: Mapping[Part, Asset], gpu: str) -> str:
    """What is bought for a part of a GPU."""
    if part == "power":
        return "power provisioning"
    building = "building" if "power" in parts else "building and power"
    return gpu if part == "servers" else building


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
    """Running costs of a build in a year without failures, at today's prices.

    Raises
    ------
    SolverError
        If normal operation cannot be worked out.
    """
    return tuple(line for line in _running(base, build) if line.usd_per_year)


def _running(base: Build, build: Build) -> Iterator[Running]:
    model, fleet = build.model, build.fleet
    for change in _changes(base, build):
        yield from change.upkeep()
    for offer, count in fleet.instances.items():
        usd = model.offers[offer].retainer_usd_per_instance_year
        each = Rate("retainers", offer, "USD per instance and year", usd)
        yield Running("retainers", offer, "", usd * count, "other", count, "instances", each)
    for region in sorted(_opened(base, build)):
        usd = _site(base, build, region).fixed_usd_per_year
        each = Rate("regions", region, "USD per year", usd)
        yield Running("regions", region, region, usd, "other", price=each)
    for name in sorted(fleet.measures):
        usd = model.measures[name].usd_per_year
        each = Rate("measures", name, "USD per year", usd)
        yield Running("measures", name, "", usd, "other", price=each)
    yield from _operation(build)


def _operation(build: Build) -> Iterator[Running]:
    """Energy and transport: as the plan states them, else dispatched at least cost."""
    items = build.plan.cost.items if build.plan else operation_of(build.model, build.fleet)
    model = build.model
    for item in items:
        if item.category == "energy":
            place = model.clusters.get(item.asset) or model.plants[item.asset.partition("/")[0]]
            yield _energy(item.asset, place.region, item.usd_per_year, model)
        elif item.category == "transport":
            yield Running("transport", item.asset, "", item.usd_per_year, "other")


def _energy(asset: str, region: str, usd: float, model: Model) -> Running:
    """Energy as MWh at the price of electricity, where it has one."""
    each = model.regions[region].electricity_usd_per_mwh
    rate = Rate("energy", f"electricity in {region}", "USD per MWh", each)
    counted: Any = (usd / each, "MWh", rate) if each > 0 else ()
    return Running("energy", asset, region, usd, "electricity", *counted)


def unpriced(base: Build, build: Build) -> tuple[str, ...]:
    """Prices that a build needs and its model does not state, as paths into the model.

    A price that is stated as 0 is a price. Retired assets that state none earn nothing, and GPUs
    that state none for building and power need none.
    """
    return tuple(dict.fromkeys(_unpriced(base, build)))


def _unpriced(base: Build, build: Build) -> Iterator[str]:
    model = build.model
    for line in purchases(base, build):
        if line.quantity < 0:
            continue
        if line.category == "servers":
            yield from _missing(model.gpus, "gpus", line.item, "capital_usd")
        elif line.category == "cooling":
            yield from _missing(model.cooling_units, "cooling_units", line.item, "capital_usd")
        elif line.category == "measures":
            entry = model.measures[line.asset]
            if not {"capital_usd", "usd_per_year"} & entry.model_fields_set:
                yield f"measures.{line.asset}.capital_usd"
        elif line.category == "regions":
            place = _site(base, build, line.asset)
            if not {"fixed_usd", "fixed_usd_per_year"} & place.model_fields_set:
                yield f"regions.{line.asset}.fixed_usd"
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
