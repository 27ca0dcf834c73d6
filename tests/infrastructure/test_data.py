"""The shipped figures: the models agree with the postmortem, and every figure has its source."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from planner.infrastructure.catalogue import CATALOGUES, catalogue, demand_shape, demand_shape_names
from planner.infrastructure.entities import Model
from planner.infrastructure.loading import load_model
from planner.scenarios.demand import peak_hour, weekly_demand

DATASETS = Path(__file__).resolve().parents[2] / "datasets"
WEST, EAST = "us-west-primary", "us-east-backup"


def rows_of(file: str) -> list[dict[str, str]]:
    with (DATASETS / file).open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


FIGURES = {row["name"]: row for row in rows_of("incidents/chatgpt-2023/figures.csv")}


@pytest.fixture(scope="module")
def recommended() -> Model:
    return load_model("chatgpt-2023-v2").model


def power_mw(model: Model, cluster: str) -> float:
    entry = model.clusters[cluster]
    return entry.existing_gpus * model.gpus[entry.gpu].power_mw


def cooling_mw(model: Model, plant: str) -> float:
    return sum(
        model.cooling_units[u].capacity_mw * n for u, n in model.plants[plant].existing.items()
    )


def load_share(model: Model, cluster: str) -> float:
    """Load at the peak of the world when every zone is served by the region it prefers."""
    entry = model.clusters[cluster]
    at_peak = dict(zip(model.zones, weekly_demand(model)[:, peak_hour(model)], strict=True))
    here = [name for name, zone in model.zones.items() if zone.prefers[0] == entry.region]
    return sum(at_peak[name] for name in here) / (entry.existing_gpus * model.gpus[entry.gpu].rps)


def rank(model: Model, *tiers: str) -> float:
    """Rank of a traffic tier among the four: the order of its first workload tier."""
    four = ["enterprise_critical", "consumer_plus", "consumer_free", "research_priority"]
    order = sorted(four, key=lambda name: model.tiers[name].priority)
    return order.index(tiers[0]) + 1


#: Figure of the postmortem and where the model `chatgpt-2023` has it.
AS_IT_WAS: dict[str, Callable[[Model], float]] = {
    "us_west_gpus_count": lambda m: m.clusters[WEST].existing_gpus,
    "us_west_power_mw": lambda m: power_mw(m, WEST),
    "us_west_cooling_mw": lambda m: cooling_mw(m, "us-west-loops"),
    "us_west_load_share": lambda m: load_share(m, WEST),
    "us_east_gpus_count": lambda m: m.clusters[EAST].existing_gpus,
    "us_east_power_mw": lambda m: power_mw(m, EAST),
    "us_east_cooling_mw": lambda m: cooling_mw(m, "us-east-loops"),
    "us_east_load_share": lambda m: load_share(m, EAST),
    "shutdown_temperature_c": lambda m: m.clusters[WEST].shutdown_c,
    "ambient_temperature_c": lambda m: m.regions["us-west"].design_ambient_c,
    "cooling_loss_percent": lambda m: 100 * lost_share(m),
    "remaining_cooling_share": lambda m: 1 - lost_share(m),
    "inference_base_temperature_c": lambda m: m.clusters[WEST].setpoint_c,
    "inference_shutdown_temperature_c": lambda m: m.clusters[EAST].shutdown_c,
    "normal_processing_requests_per_second": lambda m: weekly_demand(m).sum(axis=0).max(),
    "queue_limit_requests": lambda m: m.operations.queue_limit_requests,
    "primary_loop_mw": lambda m: m.cooling_units["loop-36"].capacity_mw,
    "secondary_loop_mw": lambda m: m.cooling_units["loop-24"].capacity_mw,
    "emergency_air_mw": lambda m: m.cooling_units["air-15"].capacity_mw,
    "external_chillers_mw": lambda m: m.cooling_units["external-chiller-20"].capacity_mw,
    "emergency_cooling_recovery_minutes": lambda m: (
        m.cooling_units["external-chiller-20"].start_minutes
    ),
    "enterprise_api_priority_rank": lambda m: rank(m, "enterprise_critical"),
    "enterprise_api_allocation_share": lambda m: allocation(
        m, "enterprise_critical", "enterprise_standard"
    ),
    "chatgpt_plus_allocation_share": lambda m: allocation(m, "consumer_plus"),
    "free_users_allocation_share": lambda m: allocation(m, "consumer_free"),
    "research_api_allocation_share": lambda m: allocation(m, "research_priority"),
    "aws_available_gpus": lambda m: m.offers["aws-p4d"].available_gpus,
    "aws_lead_time_minutes": lambda m: m.offers["aws-p4d"].lead_time_minutes,
    "aws_surge_multiplier": lambda m: m.offers["aws-p4d"].surge_multiplier,
    "gcp_available_gpus": lambda m: m.offers["gcp-a2-ultra"].available_gpus,
    "gcp_lead_time_minutes": lambda m: m.offers["gcp-a2-ultra"].lead_time_minutes,
    "gcp_surge_multiplier": lambda m: m.offers["gcp-a2-ultra"].surge_multiplier,
    "azure_available_gpus": lambda m: m.offers["azure-nd-a100"].available_gpus,
    "azure_lead_time_minutes": lambda m: m.offers["azure-nd-a100"].lead_time_minutes,
    "azure_surge_multiplier": lambda m: m.offers["azure-nd-a100"].surge_multiplier,
    "emergency_budget_usd": lambda m: m.finance.emergency_budget_usd,
    "restoration_phase_1_capacity_percent": lambda m: 100 * m.operations.restoration[0].capacity,
    "restoration_phase_1_duration_minutes": lambda m: m.operations.restoration[0].minutes,
    "restoration_phase_2_capacity_percent": lambda m: 100 * m.operations.restoration[1].capacity,
    "restoration_phase_2_duration_minutes": lambda m: m.operations.restoration[1].minutes,
    "restoration_phase_3_capacity_percent": lambda m: 100 * m.operations.restoration[2].capacity,
    "restoration_phase_3_duration_minutes": lambda m: m.operations.restoration[2].minutes,
    "v2_throttle_start_c": lambda m: m.clusters[WEST].throttle_c,
    "alert_temperature_warning_c": lambda m: m.clusters[WEST].throttle_c,
    "v2_primary_spare_systems_count": lambda m: m.plants["us-west-loops"].redundancy,
    "redundancy_cooling_spare_count": lambda m: m.plants["us-east-loops"].redundancy,
    "redundancy_region_spare_count": lambda m: float(m.policies.spare_block_per_region),
    "redundancy_ups_minutes": lambda m: m.feeds["us-west-feed"].ups_minutes,
    "redundancy_generator_hours": lambda m: m.feeds["us-west-feed"].generator_hours,
    "redundancy_regions_min_count": lambda m: len(m.regions),
    "target_recovery_hours": lambda m: m.standard["region"][-1].from_minute / 60,
    "v2_service_maintainable_share": lambda m: next(
        rule.least_served for rule in m.standard["region"] if rule.tier == "all"
    ),
    **{
        f"{tier}_{figure}": read
        for tier in (
            "enterprise_critical",
            "enterprise_standard",
            "research_priority",
            "consumer_plus",
            "consumer_free",
        )
        for figure, read in {
            "priority_rank": lambda m, t=tier: m.tiers[t].priority,
            "sla_percent": lambda m, t=tier: 100 * m.tiers[t].sla,
            "temperature_limit_c": lambda m, t=tier: m.tiers[t].thermal_limit_c,
        }.items()
    },
}
#: Figure of the postmortem's recommendation and where `chatgpt-2023-v2` has it.
AS_RECOMMENDED: dict[str, Callable[[Model], float]] = {
    "v2_us_west_gpus_count": lambda m: m.clusters[WEST].existing_gpus,
    "v2_us_east_gpus_count": lambda m: m.clusters[EAST].existing_gpus,
    "v2_eu_west_gpus_count": lambda m: m.clusters["eu-west"].existing_gpus,
    "v2_asia_pacific_gpus_count": lambda m: m.clusters["asia-pacific"].existing_gpus,
    "v2_liquid_cooling_mw": lambda m: cooling_mw(m, "us-west-loops"),
    "v2_emergency_air_mw": lambda m: cooling_mw(m, "us-west-emergency"),
    "v2_service_maintainable_share": lambda m: m.policies.surviving_capacity_share,
    "v2_primary_spare_systems_count": lambda m: m.plants["asia-pacific-loops"].redundancy,
    "redundancy_power_feeds_count": lambda m: feeds_of(m, "us-west"),
    "redundancy_ups_minutes": lambda m: m.feeds["us-west-feed-b"].ups_minutes,
    "redundancy_generator_hours": lambda m: m.feeds["us-west-feed-b"].generator_hours,
    "redundancy_regions_min_count": lambda m: len({c.region for c in m.clusters.values()}),
}
#: Figures of the tables that no field states, and why.
WITHOUT_FIELD = {
    "us_west_max_temperature_c": "a limit the incident passed; thermal limits are those of tiers",
    "us_east_max_temperature_c": "the same",
    "throttle_temperature_c": "85 °C is where the timeline notes it; the curve starts at 75 °C",
    "peak_cluster_utilization_percent": "us_west_load_share in per cent",
    "gpu_memory_utilization_percent": "an observation, no capacity",
    "inference_degradation_percent": "an outcome",
    "backup_traffic_increase_percent": "an outcome",
    "emergency_procedures_count": "a number of documents",
    "chatgpt_plus_priority_rank": "the tables disagree on research; the later one is followed",
    "free_users_priority_rank": "the same",
    "research_api_priority_rank": "the same",
    "severe_degradation_below_share": "a word for an outcome",
    "moderate_degradation_below_share": "a word for an outcome",
    "v2_liquid_share_of_peak_percent": "tested as a ratio below",
    "v2_air_coverage_percent": "contradicts its own 40 MW (README of the incident)",
    "v2_pump_and_chiller_sets_count": "parts within a unit",
    "restoration_phase_4_capacity_percent": "the end of the restoration",
    "restoration_phase_4_duration_minutes": "the end of the restoration",
    "restoration_max_response_p99_seconds": "gates of a later version",
    "restoration_max_error_share": "gates of a later version",
    "restoration_max_gpu_temperature_c": "gates of a later version",
    "restoration_max_queue_requests": "gates of a later version",
}
#: The tables whose figures must all be accounted for.
TABLES = {
    "clusters",
    "thermal_limits",
    "emergency_cooling",
    "tiers_emergency",
    "tiers_prevention",
    "cloud_offers",
    "budget",
    "restoration",
    "continuity",
    "v2_cooling",
}


def lost_share(model: Model) -> float:
    (event,) = model.scenarios["incident-2023"].events
    assert event.kind == "units"
    lost = model.cooling_units[event.unit].capacity_mw * event.count
    return lost / cooling_mw(model, event.plant)


def allocation(model: Model, *tiers: str) -> float:
    return sum(model.tiers[name].scarcity_allocation for name in tiers)


def feeds_of(model: Model, region: str) -> int:
    return sum(feed.region == region for feed in model.feeds.values())


class TestPostmortem:
    @pytest.mark.parametrize("figure", AS_IT_WAS)
    def test_as_it_was(self, reference, figure):
        # Demand of zones and requests of a GPU have few digits, which limits what they give.
        close = {"_share": 1e-3, "_second": 1e-6}.get(figure[figure.rfind("_") :], 1e-9)
        printed = float(FIGURES[figure]["printed"])
        assert AS_IT_WAS[figure](reference.model) == pytest.approx(printed, rel=close)

    @pytest.mark.parametrize("figure", AS_RECOMMENDED)
    def test_as_recommended(self, recommended, figure):
        assert AS_RECOMMENDED[figure](recommended) == float(FIGURES[figure]["printed"])

    def test_every_figure_of_the_tables_is_accounted_for(self):
        named = {name for name, row in FIGURES.items() if row["section"] in TABLES}
        accounted = {*AS_IT_WAS, *AS_RECOMMENDED, *WITHOUT_FIELD}
        assert named - accounted == set()
        assert accounted - set(FIGURES) == set()
        assert not set(WITHOUT_FIELD) & ({*AS_IT_WAS} | {*AS_RECOMMENDED})

    def test_the_70_percent_rule_fails_by_arithmetic(self, recommended):
        """13,000 of 21,000 GPUs are left without us-west: 61.9 %, below the build's own 70 %."""
        gpus = {name: c.existing_gpus for name, c in recommended.clusters.items()}
        left = (sum(gpus.values()) - gpus[WEST]) / sum(gpus.values())
        assert left == pytest.approx(0.619, abs=5e-4)
        assert left < recommended.policies.surviving_capacity_share

    def test_recommended_cooling_is_the_stated_share_of_the_peak(self, recommended):
        """160 % of 50 MW is printed; the other sites get 160 % of their own peak."""
        share = float(FIGURES["v2_liquid_share_of_peak_percent"]["printed"]) / 100
        assert cooling_mw(recommended, "us-west-loops") == share * 50.0
        for cluster, plant in ((EAST, "us-east"), ("eu-west", "eu-west")):
            design = power_mw(recommended, cluster)
            assert cooling_mw(recommended, f"{plant}-loops") == pytest.approx(share * design)

    def test_recommended_leaves_nothing_to_buy(self, recommended):
        assert all(not plant.options for plant in recommended.plants.values())
        for cluster in recommended.clusters.values():
            assert cluster.max_gpus == cluster.existing_gpus
        for offer in recommended.offers.values():
            fit = offer.available_gpus // offer.gpus_per_instance
            assert offer.existing_instances == fit

    def test_incident(self, reference):
        """Peak hour, 16:05 on a Wednesday, 85 % load, 35 °C, the 36 MW loop of 60 MW."""
        model = reference.model
        incident = model.scenarios["incident-2023"]
        assert incident.start_hour == pytest.approx(2 * 24 + 16 + 5 / 60, abs=1e-4)
        assert peak_hour(model) % 24 == 16
        weekly = weekly_demand(model).sum(axis=0)
        assert weekly[64] == weekly.max() == pytest.approx(10_000)

    def test_tiers_share_all_demand_and_all_capacity(self, reference):
        tiers = reference.model.tiers.values()
        assert sum(tier.share for tier in tiers) == pytest.approx(1)
        assert sum(tier.scarcity_allocation for tier in tiers) == pytest.approx(1)


class TestSourcedFigures:
    @pytest.mark.parametrize(
        ("zone", "region"),
        [
            ("na-west", "us-west"),
            ("na-east", "us-east"),
            ("europe", "eu-west"),
            ("asia", "ap-northeast"),
        ],
    )
    def test_latencies(self, reference, zone, region):
        (row,) = (row for row in rows_of("latency_ms.csv") if row["region"] == region)
        names = {"asia-pacific": "ap-northeast"}
        for other, latency in reference.model.zones[zone].latency_ms.items():
            assert latency == float(row[names.get(other, other)]), other

    def test_shape_is_the_mean_weekday_an_hour_earlier_in_local_time(self, reference):
        weekdays = np.array(demand_shape("conversation")).reshape(7, 24)[:5].mean(axis=0)
        assert np.roll(weekdays, -1) == pytest.approx(reference.model.shapes["day-2023"], abs=1e-4)

    def test_zones_peak_in_their_own_afternoon(self, reference):
        model = reference.model
        for name, week in zip(model.zones, weekly_demand(model), strict=True):
            assert (week.argmax() + model.zones[name].utc_offset_hours) % 24 == 13, name

    def test_bought_cooling_and_facility_are_the_whole_price(self):
        """11.7 M USD/MW: chillers with half as many again to spare, and all else per GPU."""
        capital = catalogue("capital.csv")
        whole = capital["data-centre"]["construction_usd_per_mw"]
        chillers = capital["water-cooled-chiller-plant"]["installed_usd_per_kw_thermal"]
        hall = capital["hall-side"]["installed_usd_per_kw_it"]
        cooling = capital["cooling-plant"]["cooling_plant_usd_per_kw_it"]
        assert 1.5 * chillers + hall == cooling
        liquid = 1 + capital["data-centre"]["liquid_cooled_premium_share"]
        for name, gpu in catalogue("gpus.csv").items():
            factor = 1.0 if name.startswith("A100") else liquid
            bought = 1500 * chillers * gpu["power_mw"]
            assert gpu["facility_usd"] + bought == pytest.approx(
                factor * whole * gpu["power_mw"], abs=51
            ), name
            assert gpu["capital_usd"] >= gpu.get("gpu_usd", 0.0)
        fleet = load_model("chatgpt-2023").model.gpus["fleet-2023"]
        loops = 1000 * capital["cdu-liquid-to-liquid"]["installed_usd_per_kw_thermal"]
        rest = whole - 1500 * chillers - loops
        assert fleet.facility_usd == pytest.approx(rest * fleet.power_mw)

    def test_chillers_follow_the_law_of_size(self):
        """550 USD/kW at 1.75 MW, to the power of the size; repairs are 1 % of the price a year."""
        power = catalogue("capital.csv")["chiller-plant"]["size_exponent"]
        kinds = catalogue("cooling_units.csv")
        for name in ("chiller-1.75", "chiller-3.5", "chiller-9.7"):
            kind = kinds[name]
            price = 550_000 * 1.75 * (kind["capacity_mw"] / 1.75) ** power
            assert kind["capital_usd"] == pytest.approx(price, abs=51)
        for name, kind in kinds.items():
            share = 0.0 if name.startswith("rental") else 0.01
            repairs = kind["failures_per_year"] * kind["repair_usd"]
            assert repairs == pytest.approx(share * kind["capital_usd"], rel=0.01), name

    def test_retainers_are_what_can_be_bought(self):
        """The price of holding an instance all year, and nothing more for its use."""
        for name, offer in catalogue("cloud_offers.csv").items():
            assert offer["prepaid"] is True, name
            held = offer["retainer_usd_per_instance_year"] / 8760
            assert 0.4 * offer["usd_per_instance_hour"] < held, name
            assert held <= 1.0001 * offer["usd_per_instance_hour"], name
            if "reserved_1y_usd_per_instance_hour" in offer:
                assert held == pytest.approx(offer["reserved_1y_usd_per_instance_hour"], rel=1e-4)

    def test_fields_of_catalogue_entries_are_taken_over(self, reference):
        """What the model does not say itself is the catalogue's figure."""
        model, offers = reference.model, catalogue("cloud_offers.csv")
        for name, offer in model.offers.items():
            for attribute, value in offers[name].items():
                if attribute in type(offer).model_fields:
                    assert getattr(offer, attribute) == value
        units = catalogue("cooling_units.csv")
        for name in ("chiller-1.75", "chiller-3.5", "chiller-9.7", "crah-air-5"):
            for attribute, value in units[name].items():
                assert getattr(model.cooling_units[name], attribute) == value

    def test_traces(self):
        assert demand_shape_names() == ("conversation", "coding")
        for name in demand_shape_names():
            shape = demand_shape(name)
            assert len(shape) == 168
            assert min(shape) > 0
            assert np.mean(shape) == pytest.approx(1, abs=1e-3)


SOURCED = sorted(
    str(path.relative_to(DATASETS))
    for path in DATASETS.rglob("*.csv")
    if "source" in path.read_text(encoding="utf-8").split("\n", 1)[0].split(",")
)
LONG = [file for file in SOURCED if "attribute" in rows_of(file)[0]]


class TestDatasets:
    def test_what_is_tested(self):
        assert {*CATALOGUES.values()} < {*LONG}
        assert len(SOURCED) >= 12

    @pytest.mark.parametrize("file", SOURCED)
    def test_every_source_is_listed(self, file):
        text = (DATASETS / "SOURCES.md").read_text(encoding="utf-8")
        listed = {"estimate"} | set(re.findall(r"^(?:-|##) (S[0-9A-Z]+[a-z]?|PM)\b", text, re.M))
        assert len(listed) > 60
        for number, row in enumerate(rows_of(file), start=2):
            named = row["source"].split(";")
            assert set(named) <= listed, f"{file}:{number}"

    @pytest.mark.parametrize("file", SOURCED)
    def test_every_row_says_how_sure_it_is(self, file):
        words = {"quoted", "derived", "engineering_estimate", "memory_unverified"}
        for number, row in enumerate(rows_of(file), start=2):
            assert row["confidence"] in words, f"{file}:{number}"
            # A judgement without a source must not pass for a quotation.
            assert row["source"] != "estimate" or row["confidence"] != "quoted"

    @pytest.mark.parametrize("file", LONG)
    def test_every_figure_has_unit_and_year(self, file):
        seen: set[tuple[str, str]] = set()
        for number, row in enumerate(rows_of(file), start=2):
            assert row["unit"].strip(), f"{file}:{number}"
            assert row["year"] == "undated" or 1990 <= int(row["year"]) <= 2026, f"{file}:{number}"
            if row["unit"] not in {"text", "code", "date"}:
                assert np.isfinite(float(row["value"])), f"{file}:{number}"
            key = (row["name"], row["attribute"])
            assert key not in seen, f"{file}:{number} is listed twice"
            seen.add(key)

    def test_every_printed_figure_has_unit_and_confidence(self):
        rows = rows_of("incidents/chatgpt-2023/figures.csv")
        assert len(rows) == len(FIGURES) > 150
        for row in rows:
            assert np.isfinite(float(row["printed"]))
            assert row["unit"]
            assert row["confidence"] == "quoted"

    @pytest.mark.parametrize(
        ("section", "name"),
        [(section, name) for section, file in CATALOGUES.items() for name in catalogue(file)],
    )
    def test_every_entry_can_be_used(self, section, name, load, tiny_text):
        """With what the catalogue leaves to the model, each entry makes a valid entity."""
        rest = {
            "regions": "power_limit_mw: 5.0",
            "gpus": "rps: 1.0",
            "cooling_units": "",
            "offers": "rps_per_gpu: 1.0, available_gpus: 800, lead_time_minutes: 60.0",
        }[section]
        loaded = load(tiny_text, f"{section}.new={{from: {name}{', ' + rest if rest else ''}}}")
        entity = getattr(loaded.model, section)["new"]
        taken = set(catalogue(CATALOGUES[section])[name]) & set(type(entity).model_fields)
        assert len(taken) >= 4
