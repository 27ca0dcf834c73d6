"""Small random models whose purchases can all be listed.

A draw is plain data in the form of a model file, so that it passes the loader and all its checks.
"""

from __future__ import annotations

import math
from random import Random
from typing import Any

from planner.infrastructure.entities import Model
from planner.infrastructure.field_types import SECTIONS

#: Most combinations of purchases in one model.
MOST_COMBINATIONS = 150

Data = dict[str, Any]


def drawn_model(seed: int) -> Model:
    """Model of a seed, without the detour over a file."""
    return model_from(draw(seed))


def model_from(data: Data) -> Model:
    """Model of plain data in the form of a model file."""
    named = {
        section: {key: entry | {"name": key} for key, entry in data[section].items()}
        for section in SECTIONS
        if section in data
    }
    return Model.model_validate(data | named)


def draw(seed: int) -> Data:
    """Model data of a seed."""
    rng = Random(seed)
    data: Data = {"gpus": _gpus(rng), "tiers": _tiers(rng)}
    regions = [f"r{i}" for i in range(rng.choice([1, 2, 2, 2, 3]))]
    data["regions"] = {region: _region(rng) for region in regions}
    if len(regions) > 1 and rng.random() < 0.5:
        data["regions"][regions[-1]] |= {
            "candidate": True,
            "fixed_usd": rng.choice([0.0, 4e5, 2e6]),
            "fixed_usd_per_year": rng.choice([0.0, 5e4]),
        }
    _add_clusters(rng, data)
    data["policies"] = {"emergency_cooling_share": 0.2 if rng.random() < 0.1 else 0.0}
    _add_cooling(rng, data, data["policies"]["emergency_cooling_share"])
    _add_demand(rng, data)
    if rng.random() < 0.75:
        data["offers"] = {"cloud": _offer(rng, regions)}
    if rng.random() < 0.35:
        _add_feed(rng, data)
    data["operations"] = {
        "detection_minutes": rng.choice([0.0, 5.0]),
        "response_minutes": rng.choice([0.0, 10.0]),
        "approval_minutes": rng.choice([0.0, 15.0]),
        "failover_minutes": rng.choice([0.0, 4.0]),
        "routing": "cheapest",
    }
    data["finance"] = {
        "discount_rate": rng.choice([0.0, 0.08]),
        "emergency_budget_usd": rng.choice([100.0, 1e3, 1e7]),
    }
    _add_services(rng, data)
    _add_scenarios(rng, data)
    _shrink(rng, data)
    _add_policies(rng, data)
    if "feeds" in data:
        _add_sag(Random(f"sag {seed}"), data)
        _spread_loads(Random(f"loads {seed}"), data)
    _make_hungry(Random(f"hungry {seed}"), data)
    return data


def _gpus(rng: Random) -> Data:
    def gpu() -> Data:
        return {
            "power_mw": rng.choice([0.0, 0.003, 0.005, 0.005, 0.008]),
            "static_share": rng.choice([0.0, 0.3, 0.58, 1.0]),
            "rps": rng.choice([0.5, 1.0, 2.0]),
            "capital_usd": rng.choice([0.0, 1e4, 3e4]),
            "facility_usd": rng.choice([0.0, 2e4]),
            "life_years": rng.choice([4.0, 5.0]),
            "maintenance_share_per_year": rng.choice([0.0, 0.03]),
        }

    return {f"g{i}": gpu() for i in range(rng.choice([1, 1, 2]))}


def _tiers(rng: Random) -> Data:
    def tier(priority: int, share: float) -> Data:
        return {
            "priority": priority,
            "share": share,
            "latency_limit_ms": rng.choice([40.0, 100.0, 100.0, 300.0]),
            "value_usd_per_1000_requests": rng.choice([0.0, 200.0, 2000.0]),
            "sla_credit_usd_per_1000_requests": rng.choice([0.0, 50.0]),
        }

    if rng.random() < 0.3:
        return {"only": tier(1, 1.0)}
    share = rng.choice([0.3, 0.6])
    return {"first": tier(1, share), "second": tier(2, 1.0 - share)}


def _region(rng: Random) -> Data:
    return {
        "design_ambient_c": rng.choice([30.0, 35.0, 38.0]),
        "electricity_usd_per_mwh": rng.choice([0.0, 60.0, 150.0]),
        "power_limit_mw": rng.choice([2.0, 50.0, 50.0, 50.0]),
    }


def _add_clusters(rng: Random, data: Data) -> None:
    data["clusters"] = {}
    for region, place in data["regions"].items():
        for index in range(rng.choice([1, 1, 1, 2]) if len(data["regions"]) < 3 else 1):
            block = rng.choice([50, 100])
            existing = 0 if place.get("candidate") else block * rng.choice([0, 1, 2])
            data["clusters"][f"c{index}-{region}"] = {
                "region": region,
                "gpu": rng.choice(list(data["gpus"])),
                "existing_gpus": existing,
                "block_gpus": block,
                "max_gpus": existing + block * rng.choice([0, 1, 1, 2]),
                "max_utilisation": rng.choice([0.9, 0.95, 1.0]),
                "capacitance_mj_per_k_per_mw": rng.choice([2.0, 30.0, 100.0, 100.0]),
            }


def _add_cooling(rng: Random, data: Data, share: float) -> None:
    heat = max(0.2, *(_heat_mw(data, name, "block_gpus") for name in data["clusters"]))
    data["cooling_units"] = {
        name: {
            "capacity_mw": round(capacity * rng.choice([1.0, 1.05, 1.3]), 3),
            "derating_per_c": rng.choice([0.0, 0.01, 0.02]),
            "cutout_ambient_c": 37.0 if rng.random() < 0.1 else 200.0,
            "power_mw_per_mw": rng.choice([0.1, 0.3]),
            "capital_usd": capacity * rng.choice([3e5, 6e5]),
            "maintenance_share_per_year": rng.choice([0.0, 0.03]),
        }
        for name, capacity in (("large", heat * rng.choice([1, 2])), ("small", heat / 2))
    }
    data["cooling_units"]["air"] = {
        "capacity_mw": round(heat * rng.choice([0.5, 1.0]), 3),
        "mode": "standby",
        "start_minutes": rng.choice([0.0, 3.0, 10.0]),
        "power_mw_per_mw": 0.35,
        "capital_usd": rng.choice([2e4, 1e5]),
    }
    data["plants"] = {}
    for region, place in data["regions"].items():
        clusters = [name for name, one in data["clusters"].items() if one["region"] == region]
        kinds = rng.choice([["large"], ["small"], ["large", "small"]])
        spare = rng.choice([0, 0, 1, 1, 2])
        data["plants"][f"p-{region}"] = {
            "region": region,
            "cools": clusters,
            "redundancy": spare,
            "existing": {}
            if place.get("candidate")
            else _existing(rng, data, clusters, kinds, spare),
            "options": rng.choice([kinds, kinds[:1], ["large", "small"]]),
            "max_added": rng.choice([2, 2, 3]),
        }
        if share or rng.random() < 0.35:
            data["plants"][f"e-{region}"] = {
                "region": region,
                "cools": clusters if share else clusters[: rng.choice([1, 2])],
                "role": "emergency",
                "automatic": rng.random() < 0.7,
                "redundancy": rng.choice([0, 0, 0, 1]),
                "options": ["air"],
                "max_added": rng.choice([1, 2, 2]),
            }
    if rng.random() < 0.3:
        region = next(iter(data["regions"]))
        clusters = data["plants"][f"p-{region}"]["cools"]
        data["plants"][f"q-{region}"] = {
            "region": region,
            "cools": clusters[-1:],
            "redundancy": rng.choice([0, 1]),
            "existing": {} if data["regions"][region].get("candidate") else {"small": 2},
            "options": ["small"],
            "max_added": 1,
        }


def _existing(
    rng: Random, data: Data, clusters: list[str], kinds: list[str], spare: int
) -> dict[str, int]:
    """Units in place: about enough for the GPUs in place, of mixed sizes."""
    heat = sum(_heat_mw(data, name, "existing_gpus") for name in clusters)
    units = {kind: rng.choice([0, 0, 1]) for kind in kinds}
    size = data["cooling_units"][kinds[0]]["capacity_mw"]
    units[kinds[0]] = max(0, math.ceil(heat / size) + rng.choice([-1, 0, 1, 1]) + spare)
    return units


def _heat_mw(data: Data, cluster: str, count: str) -> float:
    """Heat of a cluster's GPUs at full load; ``count`` is the field with their number."""
    entry = data["clusters"][cluster]
    heat: float = data["gpus"][entry["gpu"]]["power_mw"] * entry[count]
    return heat


def _capacity_rps(data: Data) -> tuple[float, float]:
    """Requests per second that what exists and what may exist serve."""
    existing = most = 0.0
    for cluster in data["clusters"].values():
        rps = data["gpus"][cluster["gpu"]]["rps"] * cluster["max_utilisation"]
        existing += rps * cluster["existing_gpus"]
        most += rps * cluster["max_gpus"]
    return existing, most


def _add_demand(rng: Random, data: Data) -> None:
    existing, most = _capacity_rps(data)
    total = max(10.0, rng.uniform(0.3, 0.7) * rng.choice([existing, (existing + most) / 2, most]))
    regions = list(data["regions"])
    names = ["z0"] if rng.random() < 0.5 else ["z0", "z1"]
    data["zones"] = {}
    for name in names:
        latency = {region: rng.choice([10.0, 10.0, 30.0, 80.0]) for region in regions}
        if len(regions) > 1 and rng.random() < 0.1:
            del latency[regions[0]]
        data["zones"][name] = {
            "demand_rps": round(total / len(names), 1),
            "latency_ms": latency,
            "shape": rng.choice(["flat", "day"]),
        }
    data["shapes"] = {"day": [1.0] * 12 + [0.5] * 12}
    if rng.random() < 0.3:
        for zone in data["zones"].values():
            zone["transport_usd_per_million_requests"] = {
                region: rng.choice([0.0, 5.0, 40.0]) for region in regions
            }


def _offer(rng: Random, regions: list[str]) -> Data:
    return {
        "provider": "cloudy",
        "gpus_per_instance": 50,
        "available_gpus": rng.choice([50, 100]),
        "existing_instances": rng.choice([0, 0, 1]),
        "lead_time_minutes": rng.choice([0.0, 30.0, 60.0]),
        "usd_per_instance_hour": rng.choice([50.0, 200.0]),
        "surge_multiplier": rng.choice([1.0, 3.0]),
        "retainer_usd_per_instance_year": rng.choice([0.0, 0.0, 5e3, 5e4, 3e5]),
        "rps_per_gpu": rng.choice([0.5, 1.0]),
    } | rng.choice([{}, {"region": rng.choice(regions)}])


def _add_feed(rng: Random, data: Data) -> None:
    """One or two feeds of the first region, about enough for all it may hold."""
    region = next(iter(data["regions"]))
    clusters = [name for name, one in data["clusters"].items() if one["region"] == region]
    full = 0.1 + 1.2 * sum(_heat_mw(data, name, "max_gpus") for name in clusters)
    names = rng.choice([["feed-a"], ["feed-a", "feed-b"]])
    data["feeds"] = {
        name: {
            "region": region,
            "capacity_mw": round(full * rng.choice([0.9, 1.1]) / len(names), 3),
            "ups_minutes": rng.choice([0.0, 10.0]),
            "generator_mw": round(full * rng.choice([0.0, 0.3, 0.6]) / len(names), 3),
        }
        for name in names
    }


def _add_sag(rng: Random, data: Data) -> None:
    """A voltage sag, units that take their time to restart, and tanks in some plants."""
    for unit in data["cooling_units"].values():
        unit["restart_minutes"] = rng.choice([0.0, 2.0, 8.0])
    for plant in data["plants"].values():
        plant["buffer_mwh"] = rng.choice([0.0, 0.0, 0.05, 0.2])
    data["scenarios"]["sag"] = {
        "severity": rng.choice(["single", "common"]),
        "frequency_per_year": 2.0,
        "events": [
            {"kind": "sag", "feed": feed, "repair_minutes": rng.choice([1.0, 4.0, 60.0])}
            for feed in data["feeds"]
        ],
    }


def _spread_loads(rng: Random, data: Data) -> None:
    """In half the models with feeds these power some clusters and plants only, maybe both some."""
    region = next(iter(data["regions"]))
    names = [
        name
        for section in ("clusters", "plants")
        for name, one in data[section].items()
        if one["region"] == region
    ]
    if rng.random() < 0.5:
        for feed in data["feeds"].values():
            feed["powers"] = [name for name in names if rng.random() < 0.6] or names[:1]
            feed["capacity_mw"] = round(feed["capacity_mw"] * rng.choice([0.5, 1.0, 1.0, 2.0]), 3)


def _make_hungry(rng: Random, data: Data) -> None:
    """In some models emergency cooling takes much power, of which there is little to spare."""
    if rng.random() < 0.4:
        kinds = {
            unit
            for plant in data["plants"].values()
            if plant.get("role") == "emergency"
            for unit in (*plant.get("existing", ()), *plant.get("options", ()))
        }
        for unit in sorted(kinds):
            data["cooling_units"][unit]["power_mw_per_mw"] = rng.choice([0.8, 2.0])
        for name, region in data["regions"].items():
            here = [c for c, one in data["clusters"].items() if one["region"] == name]
            full = sum(_heat_mw(data, cluster, "max_gpus") for cluster in here)
            region["power_limit_mw"] = round(0.01 + full * rng.choice([1.15, 1.35, 2.0, 4.0]), 3)


def _add_services(rng: Random, data: Data) -> None:
    """A tier that enters through a service tied to one region, in some models."""
    if rng.random() < 0.15:
        region = next(iter(data["regions"]))
        data["services"] = {"login": {"plane": "service", "replicas": {region: 1}}}
        data["services"]["login"]["needs_replicas"] = 1
        data["tiers"][list(data["tiers"])[-1]]["entry"] = "login"


def _add_scenarios(rng: Random, data: Data) -> None:
    tiers = list(data["tiers"])
    data["standard"] = {
        severity: [
            {"tier": tiers[0], "from_minute": rng.choice([0, 5]), "least_served": first},
            {"tier": "all", "from_minute": 15, "least_served": together},
            {"tier": "each", "from_minute": 120, "least_served": late},
        ]
        for severity, first, together, late in (
            ("single", 1.0, 1.0, 1.0),
            ("common", rng.choice([0.5, 0.95]), rng.choice([0.5, 0.8]), rng.choice([0.8, 1.0])),
            ("region", rng.choice([0.0, 0.6]), rng.choice([0.2, 0.5]), rng.choice([0.3, 0.6])),
            ("extreme", 0.0, 0.0, 0.0),
        )
    }
    makers = [_units, _named_units, _region_loss, _heat, _heat_and_units, _surge, _plant]
    makers += [_provider] if "offers" in data else []
    makers += [_plant] if any(name[0] == "e" for name in data["plants"]) else []
    chosen = rng.sample(makers, rng.choice([1, 2, 3]))
    chosen += [_feed] if "feeds" in data else []
    chosen += [_region_loss] if "services" in data else []
    data["scenarios"] = {}
    for index, maker in enumerate(chosen):
        severity, events = maker(rng, data)
        if rng.random() < 0.15:
            severity = "extreme"
        if events:
            for event in events:
                event.setdefault("repair_minutes", rng.choice([90.0, 600.0]))
            data["scenarios"][f"s{index}"] = {
                "severity": severity,
                "frequency_per_year": rng.choice([0.01, 0.5, 5.0]),
                "events": events,
            }


def _units(rng: Random, data: Data) -> tuple[str, list[Data]]:
    plant = rng.choice([name for name in data["plants"] if name[0] != "e"])
    count = rng.choice([1, 1, 2])
    return "single", [{"kind": "largest-units", "plant": plant, "count": count}]


def _named_units(rng: Random, data: Data) -> tuple[str, list[Data]]:
    there = [
        (plant, unit, count)
        for plant, entry in data["plants"].items()
        for unit, count in entry.get("existing", {}).items()
        if count
    ]
    if not there:
        return "common", []
    plant, unit, count = rng.choice(there)
    events = [{"kind": "units", "plant": plant, "unit": unit, "count": rng.randint(1, count)}]
    if rng.random() < 0.4:
        events.append({"kind": "largest-units", "plant": plant, "count": 1})
    return "common", events


def _region_loss(rng: Random, data: Data) -> tuple[str, list[Data]]:
    return "region", [{"kind": "region", "name": rng.choice(list(data["regions"]))}]


def _heat(rng: Random, data: Data) -> tuple[str, list[Data]]:
    region = rng.choice(list(data["regions"]))
    return "common", [{"kind": "heat", "region": region, "rise_c": rng.choice([5.0, 12.0])}]


def _heat_and_units(rng: Random, data: Data) -> tuple[str, list[Data]]:
    severity, events = _heat(rng, data)
    plant = f"p-{events[0]['region']}"
    loss = {"kind": "largest-units", "plant": plant, "at_minute": rng.choice([0.0, 30.0])}
    return severity, [*events, loss]


def _surge(rng: Random, _: Data) -> tuple[str, list[Data]]:
    zones = rng.choice([[], ["z0"]])
    return "common", [{"kind": "surge", "factor": rng.choice([0.8, 1.1, 1.3]), "zones": zones}]


def _plant(rng: Random, data: Data) -> tuple[str, list[Data]]:
    primary = [name for name in data["plants"] if name[0] == "p"]
    backed = [name for name in primary if f"e{name[1:]}" in data["plants"]]
    return "common", [{"kind": "plant", "name": rng.choice(backed or primary)}]


def _provider(_: Random, data: Data) -> tuple[str, list[Data]]:
    return "single", [{"kind": "provider", "name": data["offers"]["cloud"]["provider"]}]


def _feed(rng: Random, data: Data) -> tuple[str, list[Data]]:
    return "common", [{"kind": "feed", "name": rng.choice(list(data["feeds"]))}]


def _add_policies(rng: Random, data: Data) -> None:
    policies = data["policies"]
    if rng.random() < 0.15 and len(data["regions"]) > 1:
        policies["surviving_capacity_share"] = rng.choice([0.2, 0.4])
    if rng.random() < 0.2:
        policies["spare_block_per_region"] = True
    if rng.random() < 0.15:
        policies["least_regions"] = rng.randint(1, len(data["regions"]))
    if rng.random() < 0.15:
        policies["capital_budget_usd"] = rng.choice([5e5, 3e6, 1e7])
    cluster, plant = rng.choice(list(data["clusters"])), rng.choice(list(data["plants"]))
    entry = data["clusters"][cluster]
    if rng.random() < 0.1 and entry["max_gpus"] > entry["existing_gpus"]:
        policies["fixed"] = {"gpus": {cluster: entry["block_gpus"]}}
    if rng.random() < 0.1:
        unit = data["plants"][plant]["options"][0]
        policies.setdefault("fixed", {})["cooling"] = {plant: {unit: 1}}
    elif rng.random() < 0.1:
        policies["forbidden"] = {"cooling": [rng.choice(["large", plant])]}


def purchases_of(data: Data) -> int:
    """Combinations of purchases, fixed and forbidden ones not considered."""
    blocks = [
        1 + (one["max_gpus"] - one["existing_gpus"]) // one["block_gpus"]
        for one in data["clusters"].values()
    ]
    units = [(1 + one["max_added"]) ** len(one["options"]) for one in data["plants"].values()]
    instances = [
        1 + one["available_gpus"] // one["gpus_per_instance"] - one["existing_instances"]
        for one in data.get("offers", {}).values()
    ]
    return math.prod([*blocks, *units, *instances])


def _shrink(rng: Random, data: Data) -> None:
    """Take away what can be bought until few enough combinations are left."""
    while purchases_of(data) > MOST_COMBINATIONS:
        kind = rng.choice(["blocks", "units", "options", "nothing"])
        cluster = rng.choice(list(data["clusters"].values()))
        plant = rng.choice(list(data["plants"].values()))
        room = cluster["max_gpus"] - cluster["existing_gpus"]
        if kind == "blocks" and room > cluster["block_gpus"]:
            cluster["max_gpus"] -= cluster["block_gpus"]
        elif kind == "units" and plant["max_added"] > 1:
            plant["max_added"] -= 1
        elif kind == "options" and rng.random() < 0.5:
            plant["options"] = plant["options"][:1]
        elif kind == "nothing" and rng.random() < 0.1:
            plant["max_added"] = 0
        elif kind == "nothing" and rng.random() < 0.1 and cluster["existing_gpus"]:
            cluster["max_gpus"] = cluster["existing_gpus"]
