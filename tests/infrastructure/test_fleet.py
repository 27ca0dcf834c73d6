"""Capacities of what exists and of what a plan adds."""

from __future__ import annotations

import pytest

from planner.infrastructure.fleet import Fleet, plant_units, pue_by_part, unit_mw
from planner.infrastructure.loading import load_model
from planner.infrastructure.supply import cluster_power_mw_per_mw, plant_power_mw_per_mw


def test_existing(reference):
    fleet = Fleet.existing(reference.model)
    assert fleet.gpus == {
        "us-west-primary": 10_000,
        "us-east-backup": 3_000,
        "eu-west": 0,
        "asia-pacific": 0,
    }
    assert fleet.units["us-west-loops"]["loop-36"] == 1
    assert fleet.units["us-west-chillers"]["chiller-9.7"] == 0
    assert set(fleet.instances.values()) == {0}
    assert fleet.opened == frozenset()


def test_additions_come_on_top():
    model = load_model("tiny", ("offers.cloud.existing_instances=2",)).model
    fleet = Fleet.after(
        model,
        {("west-chillers", "chiller-3"): 2, ("west-air", "air-1"): 3},
        {"east-gpus": 200},
        {"cloud": 5},
        frozenset({"west"}),
    )
    assert dict(fleet.units["west-chillers"]) == {"chiller-3": 4, "chiller-1": 0}
    assert dict(fleet.units["west-air"]) == {"air-1": 3}
    assert dict(fleet.units["east-chillers"]) == {"chiller-3": 0, "chiller-1": 3}
    assert dict(fleet.gpus) == {"west-gpus": 1000, "east-gpus": 600}
    assert dict(fleet.instances) == {"cloud": 7}
    assert fleet.opened == {"west"}
    with pytest.raises(TypeError):
        fleet.gpus["west-gpus"] = 1  # type: ignore[index]


def test_units_of_a_plant_in_the_order_of_the_model():
    model = load_model(
        "tiny", ("plants.west-chillers.options=[chiller-1]", "plants.west-chillers.redundancy=0")
    ).model
    assert plant_units(model, "west-chillers") == ("chiller-3", "chiller-1")
    assert plant_units(model, "west-air") == ("air-1",)


def test_capacity_of_a_unit_falls_with_the_heat_of_its_own_region():
    """1 % per degree above 35 °C; west is designed for 40 °C, east for 30 °C."""
    model = load_model(
        "tiny", ("regions.west.design_ambient_c=40", "regions.east.design_ambient_c=30")
    ).model
    assert unit_mw(model, "west-chillers", "chiller-3") == pytest.approx(3 * 0.95)
    assert unit_mw(model, "west-chillers", "chiller-3", 6.0) == pytest.approx(3 * 0.89)
    assert unit_mw(model, "east-chillers", "chiller-3") == 3.0
    assert unit_mw(model, "east-chillers", "chiller-3", 7.0) == pytest.approx(3 * 0.98)


def test_a_unit_stops_above_its_cutout():
    model = load_model("tiny", ("cooling_units.air-1.cutout_ambient_c=38",)).model
    assert unit_mw(model, "west-air", "air-1", 3.0) == 1.0
    assert unit_mw(model, "west-air", "air-1", 3.1) == 0.0


def test_the_power_of_a_plant_is_that_of_its_least_efficient_unit_type():
    model = load_model("tiny", ("plants.west-chillers.options=[chiller-3]",)).model
    assert plant_power_mw_per_mw(model, "west-chillers") == 0.15
    assert plant_power_mw_per_mw(model, "east-chillers") == 0.16
    assert plant_power_mw_per_mw(model, "west-air") == 0.35


def test_power_beside_the_gpus_by_part():
    settings = (
        "regions.west.power_loss_share=0.06",
        "regions.west.hall_mw_per_mw=0.03",
        "cooling_units.chiller-3.auxiliary_mw_per_mw=0.04",
    )
    model = load_model("tiny", settings).model
    assert pue_by_part(model, "west") == pytest.approx(
        {"losses": 0.06, "halls": 0.03, "machines": 0.15, "pumps and towers": 0.04, "pue": 1.28}
    )
    assert pue_by_part(model, "east")["pue"] == pytest.approx(1.19)
    assert cluster_power_mw_per_mw(model, "west-gpus") == pytest.approx(1.09)
    assert cluster_power_mw_per_mw(model, "east-gpus") == 1.0
    assert plant_power_mw_per_mw(model, "west-chillers") == pytest.approx(0.19)
