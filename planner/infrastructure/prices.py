"""GPUs and cooling units of a model as priced assets."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from planner.infrastructure.entities import CoolingUnit, GpuType, Model
from planner.laws.assets import Asset
from planner.laws.money import upkeep_usd_per_year

#: What one GPU in a cluster consists of.
Part = Literal["servers", "building", "power"]
PARTS: tuple[Part, ...] = ("servers", "building", "power")


def gpu_assets(model: Model, cluster: str) -> Mapping[Part, Asset]:
    """The assets of one GPU of a cluster: its share of server, building and power train."""
    entry = model.clusters[cluster]
    ages = entry.existing_age_years, entry.existing_facility_age_years
    return priced_gpu(model.gpus[entry.gpu], *ages)


def priced_gpu(
    gpu: GpuType, age_years: float | None = None, facility_age_years: float | None = None
) -> Mapping[Part, Asset]:
    """The assets of one GPU of a type, given the age of existing ones.

    Building and power train are one, under ``building``, where no share of power is stated.
    """
    upkeep, own, power = (
        gpu.maintenance_share_per_year,
        gpu.existing_facility_usd,
        gpu.facility_power_share,
    )
    found: dict[Part, Asset] = {
        "servers": Asset(
            gpu.capital_usd,
            gpu.life_years,
            upkeep,
            salvage_usd=gpu.salvage_usd,
            own_price_usd=gpu.existing_capital_usd,
            age_years=age_years,
        )
    }
    shares: dict[Part, float] = {"building": 1 - power, "power": power}
    for part, share in shares.items():
        if share:
            found[part] = Asset(
                share * gpu.facility_usd,
                gpu.facility_life_years,
                upkeep,
                own_price_usd=None if own is None else share * own,
                age_years=facility_age_years,
            )
    return MappingProxyType(found)


def unit_asset(model: Model, plant: str, unit: str) -> Asset:
    """A cooling unit of a plant."""
    return priced_unit(model.cooling_units[unit], model.plants[plant].existing_age_years)


def priced_unit(kind: CoolingUnit, age_years: float | None = None) -> Asset:
    """A cooling unit of a type, given the age of existing ones."""
    return Asset(
        kind.capital_usd,
        kind.life_years,
        kind.maintenance_share_per_year,
        upkeep_usd_per_year(0.0, 0.0, kind.failures_per_year, kind.repair_usd),
        kind.salvage_usd,
        kind.existing_capital_usd,
        age_years,
    )
