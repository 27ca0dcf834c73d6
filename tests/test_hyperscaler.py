"""The shipped model of twelve regions: its figures are those of the datasets, and it is sound.

That it has a plan which survives takes minutes: `tests/benchmarks/hyperscaler.py`.
"""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import pytest

from planner.infrastructure.catalogue import catalogue, hot_week, hot_week_names
from planner.infrastructure.entities import Model
from planner.infrastructure.fleet import unit_mw
from planner.infrastructure.graph import (
    blast_radius,
    build_graph,
    down_nodes,
    reachable_regions,
    shared_supports,
    single_points_of_failure,
)
from planner.infrastructure.loading import load_model
from planner.infrastructure.supply import plant_power_mw_per_mw
from planner.scenarios.demand import peak_hour, weekly_demand, zone_shape
from planner.scenarios.generators import all_scenarios
from planner.scenarios.system_state import normal_state
from planner.scenarios.timeline import timeline_of

DATASETS = Path(__file__).resolve().parents[1] / "datasets"
MODEL = load_model("hyperscaler-12").model
GRAPH = build_graph(MODEL)


def halls(region: str) -> list[str]:
    return [name for name, one in MODEL.clusters.items() if one.region == region]


def plants(region: str, role: str) -> list[str]:
    return [n for n, one in MODEL.plants.items() if (one.region, one.role) == (region, role)]


def feeds(region: str) -> list[str]:
    return [name for name, one in MODEL.feeds.items() if one.region == region]


def rps(model: Model, cluster: str, gpus: int) -> float:
    one = model.clusters[cluster]
    return gpus * model.gpus[one.gpu].rps * one.max_utilisation


class TestFigures:
    def test_climate_is_that_of_the_catalogue(self):
        climate = catalogue("climate.csv")
        assert set(MODEL.regions) == set(climate)
        for name, region in MODEL.regions.items():
            assert region.design_ambient_c == climate[name]["extreme_ambient_c"]
            assert region.electricity_usd_per_mwh == climate[name]["electricity_usd_per_mwh"]

    def test_hot_weeks_are_simulated_where_there_are_any(self):
        """None is hotter than what cooling is designed for."""
        with_week = {name for name, region in MODEL.regions.items() if region.climate == name}
        assert with_week == set(hot_week_names())
        for name in with_week:
            assert max(hot_week(name)) <= MODEL.regions[name].design_ambient_c

    def test_latencies_are_measured_ones(self):
        path = DATASETS / "latency_ms.csv"
        with path.open(encoding="utf-8", newline="") as stream:
            rows = {row.pop("region"): row for row in csv.DictReader(stream)}
        for name in MODEL.regions:
            measured = {end: float(ms) for end, ms in rows[name].items()}
            assert MODEL.zones[f"users-{name}"].latency_ms == measured

    def test_speed_of_gpus_follows_from_the_benchmark_and_the_trace(self):
        tokens = 10 * (211 + 1155 / 10)
        names = {
            "h100": "H100-SXM5-80GB",
            "h200": "H200-SXM-141GB",
            "b200": "B200-SXM",
            "gb200": "GB200-NVL72",
        }
        assert set(MODEL.gpus) == set(names)
        for gpu, name in names.items():
            offline = catalogue("gpus.csv")[name]["tokens_per_second"]
            assert MODEL.gpus[gpu].rps == pytest.approx(0.5 * offline / tokens, abs=6e-4)
            building = (11.7e6 * 1.085 - 1.5 * 550e3) * MODEL.gpus[gpu].power_mw
            assert MODEL.gpus[gpu].facility_usd == pytest.approx(building, rel=0.005)

    def test_prices_of_offers_are_those_of_the_catalogue(self):
        assert Counter(offer.provider for offer in MODEL.offers.values()) == {
            "aws": 2,
            "azure": 2,
            "coreweave": 2,
            "gcp": 2,
            "lambda": 1,
        }
        speeds = {gpu.rps for gpu in MODEL.gpus.values()}
        for name, offer in MODEL.offers.items():
            entry = catalogue("cloud_offers.csv")[name]
            assert offer.usd_per_instance_hour == entry["usd_per_instance_hour"]
            assert offer.retainer_usd_per_instance_year == entry["retainer_usd_per_instance_year"]
            assert offer.rps_per_gpu in speeds

    def test_failure_rates_of_feeds(self):
        rates = catalogue("failure_rates.csv")
        for feed in MODEL.feeds.values():
            assert feed.failures_per_year == rates["utility-feed-single"]["failures_per_year"]
            starts = 1 - rates["diesel-generator"]["failure_probability_per_demand"]
            assert feed.generator_start_probability == starts

    def test_users_are_busiest_at_their_own_two_in_the_afternoon(self):
        for name, zone in MODEL.zones.items():
            assert (zone_shape(MODEL, name).argmax() + zone.utc_offset_hours) % 24 == 14
        assert len({zone.utc_offset_hours for zone in MODEL.zones.values()}) >= 9
        weekly = weekly_demand(MODEL)
        assert weekly.sum(axis=0).max() < 0.9 * weekly.max(axis=1).sum()
        assert 0 <= peak_hour(MODEL) < 168


class TestShape:
    def test_two_halls_two_feeds_and_two_or_three_plants_in_every_region(self):
        assert len(MODEL.regions) == 12
        assert len(MODEL.clusters) == len(MODEL.feeds) == 24
        numbers = Counter(
            len(plants(r, "primary")) + len(plants(r, "emergency")) for r in MODEL.regions
        )
        assert numbers == {2: 6, 3: 6}
        for region in MODEL.regions:
            assert len(halls(region)) == len(feeds(region)) == 2
            assert len(plants(region, "emergency")) == 1

    def test_services_on_four_planes(self):
        planes = Counter(service.plane for service in MODEL.services.values())
        assert set(planes) == {"edge", "service", "state", "control"}
        assert min(planes.values()) >= 3

    def test_scenarios(self):
        """One for each primary plant, feed, region and provider, and what is written by hand."""
        names = [scenario.name for scenario in all_scenarios(MODEL)]
        assert len(names) == len(set(names)) == 128
        primary = [plant for region in MODEL.regions for plant in plants(region, "primary")]
        assert len(primary) == 18
        for plant in primary:
            expected = {f"unit-{plant}", f"2-units-{plant}", f"plant-{plant}"}
            assert expected | {f"heat-wave-unit-{plant}"} <= set(names)
        assert {f"feed-{feed}" for feed in MODEL.feeds} <= set(names)
        assert {f"region-{region}" for region in MODEL.regions} <= set(names)
        assert {f"heat-wave-{region}" for region in MODEL.regions} <= set(names)
        assert {"surge", "heat-dome-europe", "blackout-us-east"} <= set(names)

    def test_every_zone_reaches_enough_regions(self):
        for zone in MODEL.zones:
            reach = {tier: reachable_regions(MODEL, zone, tier) for tier in MODEL.tiers}
            assert len(reach["critical"]) >= 2
            assert len(reach["plus"]) >= 4
            assert len(reach["free"]) >= 7
            assert reach["critical"] <= reach["plus"] <= reach["free"]


class TestGraph:
    def test_no_place_and_no_machine_takes_a_tier_down(self):
        for nodes in single_points_of_failure(GRAPH).values():
            assert {node.partition(":")[0] for node in nodes} == {"service"}

    @pytest.mark.parametrize("feed", MODEL.feeds)
    def test_one_feed_is_enough(self, feed):
        """Its loss takes nothing down, and the other carries the whole region."""
        assert blast_radius(GRAPH, f"feed:{feed}") == frozenset()
        scenario = next(one for one in all_scenarios(MODEL) if one.name == f"feed-{feed}")
        usual = normal_state(MODEL, GRAPH)
        for interval in timeline_of(MODEL, GRAPH, scenario).intervals:
            assert interval.state.power == usual.power
            assert interval.state.clusters_down == frozenset()
            assert interval.state.plants_down == frozenset()

    def test_without_both_feeds_and_what_is_behind_them_a_region_is_dark(self):
        sources = [f"{kind}:{f}" for f in feeds("eu-west") for kind in ("feed", "ups", "generator")]
        down = down_nodes(GRAPH, sources, frozenset({"cools"}))
        loads = {f"cluster:{name}" for name in halls("eu-west")}
        loads |= {
            f"plant:{p}" for role in ("primary", "emergency") for p in plants("eu-west", role)
        }
        assert loads <= down
        for one in sources:
            rest = [source for source in sources if source != one]
            left = loads - down_nodes(GRAPH, rest, frozenset({"cools"}))
            assert left == (loads if "ups" not in one else {n for n in loads if "cluster" in n})

    def test_emergency_cooling_shares_nothing_with_the_primary(self):
        for region in MODEL.regions:
            (emergency,) = plants(region, "emergency")
            for primary in plants(region, "primary"):
                assert shared_supports(GRAPH, emergency, primary) == ()
                assert f"plant:{primary}" in blast_radius(
                    GRAPH, f"service:{region}-cooling-control"
                )


class TestPhysics:
    @pytest.mark.parametrize("region", MODEL.regions)
    def test_all_that_there_is_room_for_can_be_powered_and_cooled(self, region):
        heat = {n: c.max_gpus * MODEL.gpus[c.gpu].power_mw for n, c in MODEL.clusters.items()}
        most = sum(heat[name] for name in halls(region))
        every = [*plants(region, "primary"), *plants(region, "emergency")]
        factor = MODEL.regions[region].drawn_mw_per_mw
        factor += max(plant_power_mw_per_mw(MODEL, one) for one in every)
        assert most * factor <= MODEL.regions[region].power_limit_mw
        assert all(
            MODEL.feeds[f].capacity_mw >= MODEL.regions[region].power_limit_mw
            for f in feeds(region)
        )
        for role in ("primary", "emergency"):
            for name in plants(region, role):
                plant = MODEL.plants[name]
                sizes = {u: unit_mw(MODEL, name, u) for u in (*plant.existing, *plant.options)}
                bought = sum(sizes[u] * plant.max_added for u in plant.options)
                there = sum(sizes[u] * n for u, n in plant.existing.items())
                firm = bought + there - plant.redundancy * max(sizes.values())
                assert firm >= sum(heat[one] for one in plant.cools)

    @pytest.mark.parametrize("region", MODEL.regions)
    def test_what_stands_there_is_one_unit_short_of_the_rule_or_just_meets_it(self, region):
        for name in plants(region, "primary"):
            plant = MODEL.plants[name]
            assert plant.redundancy == 2
            ((unit, count),) = plant.existing.items()
            size = unit_mw(MODEL, name, unit)
            heat = sum(
                MODEL.clusters[c].existing_gpus * MODEL.gpus[MODEL.clusters[c].gpu].power_mw
                for c in plant.cools
            )
            assert heat <= (count - 1) * size
            assert (count - 2) * size < heat

    def test_no_unit_is_on_offer_where_it_would_stop(self):
        for name, plant in MODEL.plants.items():
            rise = MODEL.generators.heat_wave_rise_c
            assert all(unit_mw(MODEL, name, unit, rise) > 0 for unit in plant.options)

    def test_buying_is_necessary_and_there_is_room_for_it(self):
        peaks = sum(zone.demand_rps for zone in MODEL.zones.values())
        have = sum(rps(MODEL, n, c.existing_gpus) for n, c in MODEL.clusters.items())
        room = sum(rps(MODEL, n, c.max_gpus) for n, c in MODEL.clusters.items())
        largest = max(
            sum(rps(MODEL, n, MODEL.clusters[n].max_gpus) for n in halls(r)) for r in MODEL.regions
        )
        assert have < peaks < room - largest
