"""Synthetic models: the same from the same seed, sound at any size, and with a plan."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.infrastructure.catalogue import catalogue
from planner.infrastructure.entities import Model
from planner.infrastructure.fleet import unit_mw
from planner.infrastructure.graph import build_graph, reachable_regions, single_points_of_failure
from planner.infrastructure.loading import load_model
from planner.infrastructure.source import parse_yaml
from planner.infrastructure.supply import plant_power_mw_per_mw
from planner.infrastructure.synthesis import model_text, round_trips_ms, shelter
from planner.optimization.solution.settings import SolverSettings
from planner.scenarios.generators import all_scenarios
from planner.verification import optimize_and_verify

CHECKOUT = Path(__file__).resolve().parents[2]


def made(folder: Path, regions: int, seed: int) -> Model:
    path = folder / f"made-{regions}-{seed}.yaml"
    path.write_text(model_text(regions, seed), encoding="utf-8")
    return load_model(path).model


def most_rps(model: Model, region: str) -> float:
    """Requests per second of a region with all GPUs that it has room for."""
    return sum(
        one.max_gpus * model.gpus[one.gpu].rps * one.max_utilisation
        for one in model.clusters.values()
        if one.region == region
    )


@pytest.mark.parametrize("regions", [2, 3, 12, 40])
@pytest.mark.parametrize("seed", [0, 7])
def test_synthetic_models_of_any_size_are_valid(tmp_path, regions, seed):
    model = made(tmp_path, regions, seed)
    assert len(model.regions) == len(model.zones) == regions
    assert len(model.clusters) == len(model.feeds) == 2 * regions
    assert 2 * regions <= len(model.plants) <= 3 * regions
    assert len(model.offers) >= 2
    kinds = {scenario.name.split("-")[0] for scenario in all_scenarios(model)}
    assert kinds == {"unit", "2", "plant", "feed", "region", "provider", "heat", "surge"}


def test_regions_beyond_the_catalogue_are_numbered(tmp_path):
    model = made(tmp_path, 26, 0)
    assert model.regions["us-east-2"].city == model.regions["us-east"].city
    assert model.regions["us-west-3"].climate == "us-west"
    assert 0 < model.zones["users-us-east-2"].latency_ms["us-east"] < 10


def test_synthetic_models_take_real_figures_from_the_catalogues(tmp_path):
    model = made(tmp_path, 12, 3)
    assert set(model.regions) == set(catalogue("climate.csv"))
    for name, region in model.regions.items():
        assert region.design_ambient_c == catalogue("climate.csv")[name]["extreme_ambient_c"]
        zone = model.zones[f"users-{name}"]
        assert zone.latency_ms == {k: round_trips_ms()[name][k] for k in zone.latency_ms}


def test_a_seed_determines_the_model():
    assert model_text(5, 1) == model_text(5, 1)
    assert len({model_text(5, seed) for seed in range(6)}) == 6


def test_another_process_generates_the_same_bytes():
    """Nothing hangs on the order of a set, which differs from process to process."""
    code = (
        "from planner.infrastructure.synthesis import model_text; print(model_text(14, 3), end='')"
    )
    for salt in ("1", "2"):
        environment = os.environ | {"PYTHONHASHSEED": salt, "PYTHONUTF8": "1"}
        ran = subprocess.run(
            [sys.executable, "-c", code],
            cwd=CHECKOUT,
            env=environment,
            capture_output=True,
            check=True,
        )
        assert ran.stdout.decode() == model_text(14, 3)


@pytest.mark.parametrize(
    ("regions", "seed", "message"),
    [
        (1, 0, r"regions in \[2, 200\], got 1: nothing would take over"),
        (0, 0, r"regions in \[2, 200\], got 0\.$"),
        (201, 0, "got 201"),
        (2, -1, "seed ≥ 0, got -1"),
    ],
)
def test_wrong_numbers_are_reported(regions, seed, message):
    with pytest.raises(ValueError, match=message):
        model_text(regions, seed)


SIZES = st.tuples(st.integers(2, 16), st.integers(0, 10**9))


@given(SIZES)
def test_regions_have_a_shelter_with_room_that_can_be_powered_and_cooled(tmp_path_factory, size):
    model = made(tmp_path_factory.mktemp("made"), *size)
    check_shelters(model)
    check_power_and_cooling(model)


def check_shelters(model):
    """The users of a lost region fit beside those of the nearest, within every latency limit."""
    latency = {name: model.zones[f"users-{name}"].latency_ms for name in model.regions}
    for name in model.regions:
        other = shelter(name, latency)
        both = [model.zones[f"users-{one}"].demand_rps for one in (name, other)]
        assert most_rps(model, other) >= 1.2 * sum(both)
        for tier in model.tiers:
            assert {name, other} <= reachable_regions(model, f"users-{name}", tier)


def check_power_and_cooling(model):
    """All that there is room for can be powered and cooled."""
    heat = {n: c.max_gpus * model.gpus[c.gpu].power_mw for n, c in model.clusters.items()}
    for name, region in model.regions.items():
        most = sum(mw for one, mw in heat.items() if model.clusters[one].region == name)
        plants = [one for one, plant in model.plants.items() if plant.region == name]
        factor = region.drawn_mw_per_mw + max(plant_power_mw_per_mw(model, one) for one in plants)
        assert most * factor <= region.power_limit_mw
        feeds = [feed for feed in model.feeds.values() if feed.region == name]
        assert len(feeds) == 2
        assert all(min(f.capacity_mw, f.generator_mw) >= region.power_limit_mw for f in feeds)
    for name, plant in model.plants.items():
        rise = model.generators.heat_wave_rise_c
        sizes = [unit_mw(model, name, unit, rise) for unit in plant.options]
        bought = plant.max_added - plant.redundancy
        assert all(size * bought >= sum(heat[one] for one in plant.cools) for size in sizes)


def test_no_place_or_machine_takes_a_tier_down(tmp_path):
    model = made(tmp_path, 6, 5)
    for nodes in single_points_of_failure(build_graph(model)).values():
        assert {node.partition(":")[0] for node in nodes} == {"service"}


def test_the_text_is_plain_yaml():
    data = parse_yaml(model_text(4, 2).encode(), "made").data
    assert len(data["regions"]) == 4
    assert max(map(len, model_text(4, 2).splitlines())) <= 110


@pytest.mark.parametrize("regions", [2, 3])
def test_small_synthetic_models_have_a_plan_that_survives(tmp_path, regions):
    model = made(tmp_path, regions, 1)
    settings = SolverSettings(gap=0.005)
    outcome = optimize_and_verify(model, all_scenarios(model), settings, explain="nothing")
    assert outcome.survives
    bought = outcome.best.solution.fleet.gpus
    assert any(bought[name] > one.existing_gpus for name, one in model.clusters.items())
