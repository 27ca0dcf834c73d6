"""What the amounts of a build are made of: priced items, yearly rates, quantities of the plan.

A running cost is split into a quantity and a rate where the model says what it is made of (upkeep:
pieces, price, share; energy: MWh, price of electricity; retainers: instances, price of each). A
line that does not split exactly stays an amount.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, cast

from planner.finance.builds import (
    CATEGORIES,
    RUNNING,
    Build,
    Category,
    Purchase,
    Running,
    part_item,
)
from planner.finance.cashflow import Position
from planner.infrastructure.prices import PARTS, priced_gpu, priced_unit

#: A product is the line it was split from if it is this close, relative to it.
SAME = 1e-12
DRIVEN_UPKEEP = (*PARTS, "cooling")


class Priced(Protocol):
    """A build in money, with the build where it is known."""

    @property
    def position(self) -> Position:
        """The build in money."""

    @property
    def build(self) -> Build:
        """The build."""


@dataclass(frozen=True)
class PricedItem:
    """Something with a price.

    Parameters
    ----------
    category
        Kind of asset.
    name
        What it is.
    usd_each, life_years, salvage_usd_each
        Price today, life, and what it earns at the end of that.
    upkeep_share
        Yearly upkeep as a share of the price; None where the model says nothing of it.
    """

    category: Category
    name: str
    usd_each: float
    life_years: float
    salvage_usd_each: float
    upkeep_share: float | None = None


@dataclass(frozen=True)
class Rate:
    """An amount per year and piece.

    Parameters
    ----------
    category
        Category of the running cost.
    name
        What it is for.
    unit
        Unit of the amount.
    usd
        The amount at today's prices.
    """

    category: str
    name: str
    unit: str
    usd: float


@dataclass(frozen=True)
class Bought:
    """A purchase with its price."""

    purchase: Purchase
    item: PricedItem


@dataclass(frozen=True)
class RunningCost:
    """A running cost: quantity times a rate, or times price and upkeep share of an item."""

    running: Running
    quantity: float
    unit: str
    rate: Rate | None = None
    item: PricedItem | None = None


@dataclass(frozen=True)
class Terms:
    """A build in quantities and prices."""

    position: Position
    bought: tuple[Bought, ...]
    lines: tuple[RunningCost, ...]
    kept: tuple[Bought, ...] = ()


def terms_of(position: Position, build: Build | None) -> Terms:
    """Quantities and prices of a build."""
    return Terms(
        position,
        tuple(Bought(line, _item(line, build)) for line in position.purchases),
        tuple(_line(line, position.name, build) for line in position.running),
        tuple(Bought(line, _item(line, build)) for line in position.held),
    )


def items_of(terms: Iterable[Terms]) -> tuple[PricedItem, ...]:
    """All priced items, each once, by category."""
    found: dict[PricedItem, None] = {}
    for build in terms:
        found |= dict.fromkeys(bought.item for bought in (*build.bought, *build.kept))
        found |= dict.fromkeys(line.item for line in build.lines if line.item is not None)
    order = CATEGORIES
    return tuple(sorted(found, key=lambda item: order.index(item.category)))


def rates_of(terms: Iterable[Terms]) -> tuple[Rate, ...]:
    """All yearly rates, each once, by category."""
    found = dict.fromkeys(
        line.rate for build in terms for line in build.lines if line.rate is not None
    )
    order = categories(terms)
    return tuple(sorted(found, key=lambda rate: order.index(rate.category)))


def categories(terms: Iterable[Terms]) -> tuple[str, ...]:
    """Categories of running cost that any build has, the usual ones first."""
    found = {line.running.category for build in terms for line in build.lines}
    return (*(name for name in RUNNING if name in found), *sorted(found - set(RUNNING)))


def _item(purchase: Purchase, build: Build | None) -> PricedItem:
    if purchase.quantity < 0:
        # A piece that is sold has a price but no life ahead.
        return PricedItem(
            purchase.category, f"{purchase.item}, sold", purchase.usd_each, purchase.life_years, 0.0
        )
    known = (
        None
        if build is None
        else _model_item(purchase.category, purchase.asset, purchase.item, build)
    )
    plain = PricedItem(
        purchase.category,
        purchase.item,
        purchase.usd_each,
        purchase.life_years,
        purchase.salvage_usd_each,
    )
    if known is None or _terms(known) != _terms(plain):
        named = (
            purchase.item
            if purchase.category in DRIVEN_UPKEEP
            else f"{purchase.item} {purchase.asset}"
        )
        return PricedItem(purchase.category, named, *_terms(plain))
    return known


def _terms(item: PricedItem) -> tuple[float, float, float]:
    return (item.usd_each, item.life_years, item.salvage_usd_each)


def _model_item(category: Category, asset: str, unit: str, build: Build) -> PricedItem | None:
    """Price of GPUs of a cluster, of their building, or of a unit, as the model states it."""
    model = build.model
    if category in PARTS and asset in model.clusters:
        name = model.clusters[asset].gpu
        parts = priced_gpu(model.gpus[name])
        priced, item = parts.get(category), part_item(category, parts, name)
        named = name if category == "servers" else f"{item} for {name}"
    elif category == "cooling" and unit in model.cooling_units:
        priced, named = priced_unit(model.cooling_units[unit]), unit
    else:
        return None
    if priced is None:
        return None
    return PricedItem(
        category,
        named,
        priced.price_usd,
        priced.life_years,
        priced.salvage_usd,
        priced.upkeep_share,
    )


def _line(running: Running, name: str, build: Build | None) -> RunningCost:
    """A running cost split into quantity and rate, if the parts give it again."""
    split = None if build is None else _split(running, build)
    if split is not None and _amount(split) is not None:
        amount = _amount(split)
        if amount is not None and math.isclose(amount, running.usd_per_year, rel_tol=SAME):
            return split
    rate = Rate(running.category, f"{running.asset} ({name})", "USD per year", running.usd_per_year)
    return RunningCost(running, 1.0, "", rate)


def _amount(line: RunningCost) -> float | None:
    if line.item is not None and line.item.upkeep_share is not None:
        return line.quantity * line.item.usd_each * line.item.upkeep_share
    return None if line.rate is None else line.quantity * line.rate.usd


def _split(running: Running, build: Build) -> RunningCost | None:
    model, fleet = build.model, build.fleet
    if running.category == "upkeep" and running.driver in DRIVEN_UPKEEP:
        plant, _, unit = running.asset.partition("/")
        count = (
            fleet.units.get(plant, {}).get(unit, 0)
            if running.driver == "cooling"
            else fleet.gpus.get(running.asset, 0)
        )
        item = _model_item(cast("Category", running.driver), running.asset, unit, build)
        pieces = "units" if running.driver == "cooling" else "GPUs"
        return None if item is None else RunningCost(running, count, pieces, item=item)
    if running.category == "repairs":
        plant, _, unit = running.asset.partition("/")
        kind = model.cooling_units[unit]
        repairs = kind.failures_per_year * fleet.units.get(plant, {}).get(unit, 0)
        rate = Rate(running.category, unit, "USD per repair", kind.repair_usd)
        return RunningCost(running, repairs, "repairs", rate)
    if running.category == "retainers" and running.asset in model.offers:
        usd = model.offers[running.asset].retainer_usd_per_instance_year
        rate = Rate(running.category, running.asset, "USD per instance and year", usd)
        return RunningCost(running, fleet.instances.get(running.asset, 0), "instances", rate)
    if running.category == "energy" and running.region in model.regions:
        usd = model.regions[running.region].electricity_usd_per_mwh
        rate = Rate(running.category, f"electricity in {running.region}", "USD per MWh", usd)
        return RunningCost(running, running.usd_per_year / usd, "MWh", rate) if usd > 0 else None
    if running.category in ("regions", "measures"):
        return RunningCost(
            running,
            1.0,
            "",
            Rate(running.category, running.asset, "USD per year", running.usd_per_year),
        )
    return None


def all_terms(valued: Sequence[Priced]) -> tuple[Terms, ...]:
    """Quantities and prices of builds."""
    return tuple(terms_of(build.position, build.build) for build in valued)
