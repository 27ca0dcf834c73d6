"""What can be ordered: lead time, life, price by period, and the numbers that it adds to."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

from planner.infrastructure.entities import Model
from planner.infrastructure.horizon import Horizon
from planner.infrastructure.horizon_checks import lasts
from planner.infrastructure.prices import gpu_assets, unit_asset
from planner.laws.assets import Asset
from planner.optimization.formulation.labels import joined
from planner.roadmap.tree import price_factor

Kind = Literal["gpus", "halls", "cooling", "emergency", "region", "measure"]
#: What one of each kind is called, and the field of `OrderMonths` that has its lead time.
UNITS: dict[Kind, str] = {
    "gpus": "GPUs",
    "halls": "GPU places",
    "cooling": "units",
    "emergency": "instances",
    "region": "region",
    "measure": "measure",
}
LEADS: dict[Kind, str] = {kind: kind for kind in UNITS} | {
    "region": "regions",
    "measure": "measures",
}
#: Lives that end this many years after a period has begun still last through it.
ROUNDING = 1e-9


@dataclass(frozen=True)
class Item:
    """Something that can be ordered.

    Parameters
    ----------
    asset
        As in `decisions.Decision`: ``plant/unit``, cluster, offer, region, measure; cluster for
        halls, which are building and power train apart from servers.
    type_name
        GPU or cooling unit type; empty for others.
    region
        Where; empty for what has no place.
    count_each
        Pieces of equipment in one of it.
    assets
        Prices and upkeep of one piece.
    price_of
        Section and name of the course of its price, which holds for the first of its assets.
    lead_months
        Months from the order until it is in service.
    first_period, lead_periods, life_periods
        First period in which it can be ordered, periods from the one of its order to the first in
        service, and periods in service.
    """

    kind: Kind
    asset: str
    type_name: str
    region: str
    count_each: int
    assets: tuple[Asset, ...]
    price_of: tuple[str, str]
    lead_months: float
    first_period: int
    lead_periods: int
    life_periods: int

    @property
    def key(self) -> tuple[Kind, str]:
        """What tells it from others."""
        return self.kind, self.asset

    def priced(self, horizon: Horizon, period: int) -> list[Asset]:
        """Its assets at the prices of a period."""
        factor = price_factor(horizon, *self.price_of, period) if self.price_of[0] else 1.0
        first, *others = self.assets
        dearer = replace(first, price_usd=factor * first.price_usd)
        if self.kind == "emergency":
            dearer = replace(first, repairs_usd_per_year=factor * first.repairs_usd_per_year)
        return [dearer, *others]

    def capital_usd(self, horizon: Horizon, period: int) -> float:
        """Price of one that is ordered in a period."""
        return self.count_each * sum(a.price_usd for a in self.priced(horizon, period))

    def usd_per_year(self, horizon: Horizon, period: int, rate: float) -> float:
        """Annualised price, upkeep and retainer of one that is ordered in a period."""
        priced = self.priced(horizon, period)
        return self.count_each * sum(asset.bought_usd_per_year(rate) for asset in priced)

    def upkeep_usd_per_year(self, horizon: Horizon, period: int) -> float:
        """The part of it that is paid as it goes."""
        return self.count_each * sum(
            asset.price_usd * asset.upkeep_share + asset.repairs_usd_per_year
            for asset in self.priced(horizon, period)
        )


def items_of(model: Model, horizon: Horizon) -> dict[tuple[Kind, str], Item]:
    """Everything that can be ordered."""
    found = [*_gpus(model, horizon), *_cooling(model, horizon), *_others(model, horizon)]
    return {item.key: item for item in found}


def _item(
    horizon: Horizon,
    kind: Kind,
    asset: str,
    assets: tuple[Asset, ...],
    *,
    entity: str,
    type_name: str = "",
    region: str = "",
    count_each: int = 1,
    price_of: tuple[str, str] = ("", ""),
) -> Item:
    months = horizon.lead_months(LEADS[kind], "" if kind == "halls" else entity, type_name)
    life = math.floor(assets[0].life_years / horizon.years + ROUNDING)
    if kind == "emergency":
        life = horizon.periods_of(horizon.reserved_months.get(entity, 0.0))
    name = entity if kind == "emergency" else type_name
    return Item(
        kind, asset, type_name, region, count_each, assets, price_of, months,
        horizon.first_period(name, months), horizon.periods_of(months), max(1, life),
    )  # fmt: skip


def _gpus(model: Model, horizon: Horizon) -> Iterator[Item]:
    for name, cluster in model.clusters.items():
        parts = gpu_assets(model, name)
        servers, facility = parts["servers"], tuple(a for p, a in parts.items() if p != "servers")
        apart, size = halls_apart(model, horizon, name), cluster.block_gpus
        made = partial(_item, horizon, entity=name, region=cluster.region, count_each=size)
        bought = (servers,) if apart else (servers, *facility)
        price = ("gpus", cluster.gpu)
        yield made("gpus", name, bought, type_name=cluster.gpu, price_of=price)
        if apart:
            yield made("halls", name, facility)


def halls_apart(model: Model, horizon: Horizon, cluster: str) -> bool:
    """Whether halls are ordered apart from servers: at other times, or for more than one of them.

    Halls outlive servers: where servers reach the end of their life within the horizon, others
    move in.
    """
    entry = model.clusters[cluster]
    gpu, last = model.gpus[entry.gpu], horizon.periods
    if not gpu.facility_usd and not horizon.order_months.halls:
        return False
    months = horizon.lead_months("gpus", cluster, entry.gpu)
    replaced = not lasts(horizon, entry.existing_age_years, gpu.life_years, last)
    return (
        months != horizon.order_months.halls
        or replaced
        or not lasts(horizon, 0.0, gpu.life_years, last)
    )


def _cooling(model: Model, horizon: Horizon) -> Iterator[Item]:
    for name, plant in model.plants.items():
        made = partial(_item, horizon, "cooling", entity=name, region=plant.region)
        for unit in plant.options:
            bought, price = (unit_asset(model, name, unit),), ("cooling_units", unit)
            yield made(joined(name, unit), bought, type_name=unit, price_of=price)


def _others(model: Model, horizon: Horizon) -> Iterator[Item]:
    for name, place in model.regions.items():
        if place.candidate:
            fixed = Asset(
                place.fixed_usd, place.life_years, repairs_usd_per_year=place.fixed_usd_per_year
            )
            yield _item(horizon, "region", name, (fixed,), entity=name, region=name)
    for name, measure in model.measures.items():
        bought = Asset(
            measure.capital_usd, measure.life_years, repairs_usd_per_year=measure.usd_per_year
        )
        yield _item(horizon, "measure", name, (bought,), entity=name)
    for name, offer in model.offers.items():
        kept = Asset(0.0, 1.0, repairs_usd_per_year=offer.retainer_usd_per_instance_year)
        made = partial(_item, horizon, entity=name, region=offer.region or "")
        yield made("emergency", name, (kept,), price_of=("offers", name))


def fixed_path(item: Item) -> str:
    """Path in the model of the setting that fixes how many of an item are bought."""
    sections: Mapping[str, str] = {"region": "regions", "measure": "measures"}
    name = item.asset.replace("/", ".")
    return f"policies.fixed.{sections.get(item.kind, item.kind)}.{name}"
