"""A generated platform of many regions, random failures of it, and its minute model."""

from __future__ import annotations

import json
import random
import tempfile
from pathlib import Path

import numpy as np
from reference.minute_model import Class, Platform, Rented, Site

from planner.infrastructure.entities import Model
from planner.infrastructure.failures import Scenario
from planner.infrastructure.fleet import Fleet
from planner.infrastructure.loading import load_model
from planner.scenarios.demand import demand_at, peak_hour

REGIONS = 12
HORIZON_MINUTES = 720
#: What the regions have, one after the other.
GPUS = (3000, 2000, 1500, 2500)
#: Services with a capacity or a pool, each replica.
LIMITS = {
    "api": {"capacity_rps": 6000.0},
    "web": {"capacity_rps": 5000.0},
    "user-database": {"connections": 30000.0, "connection_seconds": 0.5},
    "session-store": {"connections": 30000.0, "connection_seconds": 2.0},
}
SEVERITIES = {1: "single", 2: "double", 3: "extreme"}


def large_model(regions: int = REGIONS) -> Model:
    """A cluster, two plants, a feed and a zone in each region; tiers and services of 2023."""
    names = [f"region-{number:02d}" for number in range(regions)]
    shipped = load_model("chatgpt-2023").model
    tiers = {
        name: tier.model_dump(mode="json", exclude={"name"})
        | {"latency_limit_ms": 120.0 + 40.0 * tier.priority, "retry": _retry(tier.priority)}
        for name, tier in shipped.tiers.items()
    }
    sections = {
        "regions": {name: {"power_limit_mw": 40.0} for name in names},
        "gpus": {
            "large": {"power_mw": 0.005, "static_share": 0.58, "rps": 1.0},
            "small": {"power_mw": 0.003, "static_share": 0.5, "rps": 0.6},
        },
        "clusters": {f"{name}-gpus": _cluster(number, name) for number, name in enumerate(names)},
        "cooling_units": {
            "loop-6": {"capacity_mw": 6.0, "derating_per_c": 0.0072, "power_mw_per_mw": 0.16},
            "loop-2": {"capacity_mw": 2.0, "derating_per_c": 0.0072, "power_mw_per_mw": 0.16},
            "spare-2": {"capacity_mw": 2.0, "derating_per_c": 0.0072, "mode": "standby",
                        "start_minutes": 5.0},
            "air-3": {"capacity_mw": 3.0, "derating_per_c": 0.01, "mode": "standby",
                      "start_minutes": 3.0},
        },
        "plants": _plants(names),
        "feeds": {
            f"{name}-feed": {"region": name, "capacity_mw": 40.0, "ups_minutes": 10.0,
                             "generator_mw": 12.0, "generator_hours": 4.0}
            for name in names
        },
        "services": _services(shipped, names),
        "tiers": tiers,
        "zones": {f"{name}-users": _zone(number, names) for number, name in enumerate(names)},
        "shapes": {
            f"day-{shift}": [1.2 + abs((hour + 8 * shift) % 24 - 12) / 12 for hour in range(24)]
            for shift in range(3)
        },
        "offers": {
            f"cloud-{number}": {
                "provider": f"provider-{number}", "gpus_per_instance": 8, "available_gpus": 4000,
                "existing_instances": 100, "lead_time_minutes": 20.0 + 20.0 * number,
                "usd_per_instance_hour": 30.0 + number, "surge_multiplier": 2.0,
                "rps_per_gpu": 1.0, "region": names[number],
            }
            for number in range(3)
        },
        "operations": {
            "detection_minutes": 5.0, "response_minutes": 10.0, "failover_minutes": 4.0,
            "restart_check_minutes": 15.0, "patience_minutes": 2.0,
            "restoration": [{"capacity": 0.25, "minutes": 30}, {"capacity": 0.5, "minutes": 45},
                            {"capacity": 0.75, "minutes": 60}],
        },
        "finance": {"emergency_budget_usd": 5.0e7},
        "standard": shipped.model_dump(mode="json")["standard"],
        "simulation": {"horizon_minutes": HORIZON_MINUTES},
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "large.yaml"
        path.write_text(json.dumps(sections, indent=1), encoding="utf-8")
        return load_model(path).model


def _retry(priority: int) -> dict[str, float]:
    return {"attempts": 1 + priority // 2, "backoff_minutes": 1.0 + priority, "gives_up": 0.4}


def _cluster(number: int, region: str) -> dict[str, object]:
    gpus = GPUS[number % len(GPUS)]
    kind = "small" if number % 3 == 2 else "large"
    return {
        "region": region,
        "gpu": kind,
        "existing_gpus": gpus,
        "max_gpus": gpus,
        "capacitance_mj_per_k_per_mw": 31.6,
    }


def _plants(names: list[str]) -> dict[str, dict[str, object]]:
    plants: dict[str, dict[str, object]] = {}
    for number, name in enumerate(names):
        units = {"loop-6": 2, "loop-2": 2 + number % 3, "spare-2": 1}
        control = {0: ["us-west-cooling-control"], 1: ["us-east-cooling-control"]}.get(number, [])
        common = {"region": name, "cools": [f"{name}-gpus"]}
        plants[f"{name}-loops"] = common | {"existing": units, "depends_on": control}
        plants[f"{name}-air"] = common | {"role": "emergency", "existing": {"air-3": 2}}
    return plants


def _services(shipped: Model, names: list[str]) -> dict[str, dict[str, object]]:
    """The services of the shipped model, replicas of each in every third region."""
    found = {}
    for place, (name, service) in enumerate(shipped.services.items()):
        fields = service.model_dump(mode="json", exclude={"name"}, exclude_defaults=True)
        if service.runs_on:
            fields["runs_on"] = [f"{region}-gpus" for region in names]
        if "us-west" in name or "us-east" in name:
            fields["replicas"] = {names[0 if "us-west" in name else 1]: 1}
        elif service.replicas:
            fields["replicas"] = dict.fromkeys(names[place % 3 :: 3], 2)
        found[name] = fields | LIMITS.get(name, {})
    return found


def _zone(number: int, names: list[str]) -> dict[str, object]:
    def distance(other: int) -> int:
        apart = abs(number - other)
        return min(apart, len(names) - apart)

    return {
        "demand_rps": 1500.0 + 150.0 * (number % 5),
        "shape": f"day-{number % 3}",
        "latency_ms": {name: 5.0 + 45.0 * distance(other) for other, name in enumerate(names)},
    }


def random_scenarios(model: Model, count: int, seed: int = 2023) -> tuple[Scenario, ...]:
    """Scenarios of one to three failures of mixed kinds at random minutes."""
    dice = random.Random(seed)
    found = []
    for number in range(count):
        failures = dice.randint(1, 3)
        found.append(
            Scenario.model_validate(
                {
                    "name": f"random-{number:05d}",
                    "severity": SEVERITIES[failures],
                    "frequency_per_year": 0.01,
                    "start_hour": float(dice.randrange(24)),
                    "events": [_event(model, dice) for _ in range(failures)],
                }
            )
        )
    return tuple(found)


def _event(model: Model, dice: random.Random) -> dict[str, object]:
    """One failure; `model_validate` makes it an event."""
    nodes = {
        "plant": list(model.plants),
        "feed": list(model.feeds),
        "region": list(model.regions),
        "cluster": list(model.clusters),
        "service": list(model.services),
        "provider": [offer.provider for offer in model.offers.values()],
    }
    kind = dice.choice(["units", "largest-units", "heat", "surge", "sag", *nodes])
    event: dict[str, object] = {
        "kind": kind,
        "at_minute": float(dice.randrange(0, 360)),
        "repair_minutes": float(dice.choice([30, 120, 360, 1440])),
    }
    if kind in nodes:
        return event | {"name": dice.choice(nodes[kind])}
    if kind in ("units", "largest-units"):
        plant = dice.choice(list(model.plants))
        event |= {"plant": plant, "count": dice.randint(1, 3)}
        return event | (
            {"unit": dice.choice(list(model.plants[plant].existing))} if kind == "units" else {}
        )
    if kind == "heat":
        return event | {"region": dice.choice(nodes["region"]), "rise_c": dice.choice([3.0, 8.0])}
    if kind == "surge":
        return event | {"factor": dice.choice([1.1, 1.3])}
    return event | {"feed": dice.choice(nodes["feed"])}


def two_failures(model: Model) -> Scenario:
    """Loss of a primary plant and of a cluster for good, which the minute model knows too."""
    events: tuple[dict[str, object], ...] = (
        {"kind": "plant", "name": next(iter(model.plants)), "at_minute": 10},
        {"kind": "cluster", "name": list(model.clusters)[3], "at_minute": 40},
    )
    lasting = [event | {"repair_minutes": 2 * HORIZON_MINUTES} for event in events]
    fields = {"name": "two", "severity": "double", "frequency_per_year": 0.01, "events": lasting}
    return Scenario.model_validate(fields)


def platform_of(model: Model, reaction_minute: float) -> Platform:
    """The minute model of what exists in a model."""
    fleet, hour = Fleet.existing(model), float(peak_hour(model))
    clusters, offers = list(model.clusters.values()), list(model.offers.values())
    tiers = sorted(model.tiers.values(), key=lambda tier: tier.priority)
    minutes = range(round(model.simulation.horizon_minutes))
    preferences = [
        [
            [
                *sorted(
                    (
                        c
                        for c, cluster in enumerate(clusters)
                        if zone.latency_ms[cluster.region] <= tier.latency_limit_ms
                    ),
                    key=lambda c: zone.latency_ms[clusters[c].region],
                ),
                *(
                    len(clusters) + v
                    for v, offer in enumerate(offers)
                    if zone.latency_ms[str(offer.region)] <= tier.latency_limit_ms
                ),
            ]
            for tier in tiers
        ]
        for zone in model.zones.values()
    ]
    demand = demand_at(model, hour, np.array(minutes, dtype=float))
    return Platform(
        sites=tuple(_site(model, name) for name in model.clusters),
        rented=tuple(
            Rented(
                fleet.instances[offer.name] * offer.gpus_per_instance * offer.rps_per_gpu,
                offer.lead_time_minutes,
            )
            for offer in offers
        ),
        tiers=tuple(
            Class(t.share, t.retry.attempts, t.retry.backoff_minutes, t.retry.gives_up)
            for t in tiers
        ),
        preferences=preferences,
        demand_rps=[[float(zone[m]) for zone in demand] for m in minutes],
        reaction_minute=reaction_minute,
        failover_minutes=round(model.operations.failover_minutes),
        patience_minutes=model.operations.patience_minutes,
    )


def _site(model: Model, name: str) -> Site:
    cluster = model.clusters[name]
    kind = model.gpus[cluster.gpu]
    mw = {"running": 0.0, "standby": 0.0, "emergency": 0.0}
    start_minutes = 0.0
    for plant in model.plants.values():
        for unit, count in plant.existing.items() if name in plant.cools else ():
            entry = model.cooling_units[unit]
            mw["emergency" if plant.role == "emergency" else entry.mode] += (
                entry.capacity_mw * count
            )
            start_minutes = max(start_minutes, entry.start_minutes * (plant.role == "emergency"))
    return Site(
        gpus=float(cluster.existing_gpus),
        power_mw=kind.power_mw,
        static_share=kind.static_share,
        rps=kind.rps,
        utilisation=cluster.max_utilisation,
        capacitance=cluster.capacitance_mj_per_k_per_mw * kind.power_mw * cluster.existing_gpus,
        setpoint_c=cluster.setpoint_c,
        throttle_c=cluster.throttle_c,
        shutdown_c=cluster.shutdown_c,
        running_mw=mw["running"],
        spare_mw=mw["standby"],
        emergency_mw=mw["emergency"],
        start_minutes=start_minutes,
    )
