"""Changes of a random model with a known effect on its cheapest plan.

Each takes plain data in the form of a model file, as `drawing.draw` makes it, and a source of
chance for what is left open. It changes the data in place and says whether it found what to change.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from typing import Any

from optimization.drawing import Data

Change = Callable[[Random, Data], bool]


def _pick(rng: Random, items: list[Any]) -> Any:
    return rng.choice(items) if items else None


def _severities(data: Data) -> list[str]:
    """Those of the scenarios; all, if there are none."""
    used = {scenario["severity"] for scenario in data["scenarios"].values()}
    return sorted(used or data["standard"])


def _rules(data: Data) -> list[Data]:
    return [rule for severity in _severities(data) for rule in data["standard"][severity]]


def _higher_floor(rng: Random, data: Data) -> bool:
    rule = _pick(rng, [one for one in _rules(data) if one["least_served"] < 1.0])
    if rule:
        rule["least_served"] = min(1.0, rule["least_served"] + rng.choice([0.05, 0.2, 0.5]))
    return bool(rule)


def _lower_floor(rng: Random, data: Data) -> bool:
    rule = _pick(rng, [one for one in _rules(data) if one["least_served"] > 0.0])
    if rule:
        rule["least_served"] *= rng.choice([0.0, 0.5, 0.9])
    return bool(rule)


def _earlier_floor(rng: Random, data: Data) -> bool:
    rule = _pick(rng, [one for one in _rules(data) if one["from_minute"] > 0])
    if rule:
        rule["from_minute"] = rng.choice([0.0, rule["from_minute"] // 2])
    return bool(rule)


def _later_floor(rng: Random, data: Data) -> bool:
    rule = _pick(rng, _rules(data))
    if rule:
        rule["from_minute"] += rng.choice([10.0, 60.0])
    return bool(rule)


def _one_more_floor(rng: Random, data: Data) -> bool:
    rule = {
        "tier": rng.choice(["all", "each", *data["tiers"]]),
        "from_minute": rng.choice([0.0, 10.0, 60.0]),
        "least_served": rng.choice([0.5, 0.8, 1.0]),
    }
    data["standard"][rng.choice(_severities(data))].append(rule)
    return True


def _one_floor_less(rng: Random, data: Data) -> bool:
    rules = _pick(rng, [rules for one in _severities(data) if (rules := data["standard"][one])])
    return bool(rules) and bool(rules.pop(rng.randrange(len(rules))))


def _one_more_scenario(rng: Random, data: Data) -> bool:
    events: list[Data] = [
        {"kind": "region", "name": rng.choice(sorted(data["regions"]))},
        {"kind": "plant", "name": rng.choice(sorted(data["plants"]))},
        {"kind": "cluster", "name": rng.choice(sorted(data["clusters"]))},
        {"kind": "largest-units", "plant": rng.choice(sorted(data["plants"])), "count": 2},
        {"kind": "heat", "region": rng.choice(sorted(data["regions"])), "rise_c": 10.0},
        {"kind": "surge", "factor": rng.choice([1.1, 1.4])},
    ]
    data["scenarios"]["one-more"] = {
        "severity": rng.choice(["single", "common", "region", "extreme"]),
        "frequency_per_year": rng.choice([0.0, 0.01, 1.0]),
        "events": [
            event | {"repair_minutes": rng.choice([90.0, 600.0])}
            for event in rng.sample(events, rng.choice([1, 1, 2]))
        ],
    }
    return True


def _one_scenario_less(rng: Random, data: Data) -> bool:
    name = _pick(rng, sorted(data["scenarios"]))
    return bool(name) and data["scenarios"].pop(name) is not None


def _one_option_less(rng: Random, data: Data) -> bool:
    settled = data["policies"].get("fixed", {}).get("cooling", {})
    plants = [n for n, p in data["plants"].items() if p["options"] and n not in settled]
    plant = _pick(rng, plants)
    if plant:
        options = data["plants"][plant]["options"]
        data["plants"][plant]["options"] = [one for one in options if one != rng.choice(options)]
    return bool(plant)


def _forbidden(rng: Random, data: Data) -> bool:
    sections = {"cooling": "plants", "gpus": "clusters", "emergency": "offers"}
    if "fixed" in data["policies"]:
        return False
    kind = rng.choice([kind for kind, section in sections.items() if data.get(section)])
    barred = data["policies"].setdefault("forbidden", {}).setdefault(kind, [])
    barred.append(rng.choice(sorted(data[sections[kind]])))
    barred[:] = sorted(set(barred))
    return True


def _allowed(_: Random, data: Data) -> bool:
    return data["policies"].pop("forbidden", None) is not None


def _no_offer(_: Random, data: Data) -> bool:
    """Not where instances are under contract: their retainers would be saved."""
    events = [event for one in data["scenarios"].values() for event in one["events"]]
    settled = any(event["kind"] == "provider" for event in events)
    settled |= any(one["existing_instances"] for one in data.get("offers", {}).values())
    return not settled and data.pop("offers", None) is not None


def _number(section: str, field: str, *factors: float, floor: str = "") -> Change:
    """A number of an entity times a factor, not below another number of it."""

    def change(rng: Random, data: Data) -> bool:
        entries = [one for one in data.get(section, {}).values() if one.get(field)]
        entry = _pick(rng, entries)
        if entry:
            new = entry[field] * rng.choice(factors)
            new = max(new, entry.get(floor, 0))
            entry[field] = int(new) if isinstance(entry[field], int) else new
        return bool(entry)

    return change


def _less_demand(rng: Random, data: Data) -> bool:
    factor = rng.choice([0.5, 0.9])
    for zone in data["zones"].values():
        zone["demand_rps"] *= factor
    return True


def _without_settled(change: Change) -> Change:
    """Only where no purchase is settled, which a lower bound could contradict."""
    return lambda rng, data: "fixed" not in data["policies"] and change(rng, data)


def _part(section: str, field: str, *factors: float) -> Change:
    """A number of a part of the model times a factor."""

    def change(rng: Random, data: Data) -> bool:
        if data[section].get(field):
            data[section][field] *= rng.choice(factors)
        return bool(data[section].get(field))

    return change


def _policy(name: str, *values: object) -> Change:
    """A policy that is not there yet."""

    def change(rng: Random, data: Data) -> bool:
        if data["policies"].get(name):
            return False
        data["policies"][name] = rng.choice(values)
        return True

    return change


def _no_policy(name: str) -> Change:
    return lambda _, data: bool(data["policies"].pop(name, None))


LESS, MORE = (0.0, 0.5, 0.9), (1.1, 2.0)

#: Changes after which a plan costs at least as much. No smaller generators: before operators react
#: all GPUs are powered, so the programme finds no plan with a generator too small for them, but may
#: find one with none at all, when those GPUs are just off. No shorter batteries, for this reason.
HARDER: Mapping[str, Change] = {
    "higher floor": _higher_floor,
    "earlier floor": _earlier_floor,
    "one more floor": _one_more_floor,
    "one more scenario": _one_more_scenario,
    "one option less": _one_option_less,
    "a purchase forbidden": _forbidden,
    "no offer": _without_settled(_no_offer),
    "fewer GPUs": _without_settled(_number("clusters", "max_gpus", *LESS, floor="existing_gpus")),
    "fewer units": _without_settled(_number("plants", "max_added", *LESS)),
    "less power": _number("regions", "power_limit_mw", *LESS),
    "smaller feeds": _number("feeds", "capacity_mw", *LESS),
    "smaller tanks": _number("plants", "buffer_mwh", *LESS),
    "smaller emergency budget": _part("finance", "emergency_budget_usd", 0.0, 0.01, 0.5),
    "smaller capital budget": _part("policies", "capital_budget_usd", *LESS),
    "a capital budget": _policy("capital_budget_usd", 0.0, 1e5, 1e6, 3e6),
    "a spare block": _policy("spare_block_per_region", True),
    "capacity that survives": _policy("surviving_capacity_share", 0.3, 0.5),
    "more regions": _policy("least_regions", 2, 3),
    "more emergency cooling": _part("policies", "emergency_cooling_share", 1.5, 3.0),
}

#: Changes after which a plan costs at most as much.
EASIER: Mapping[str, Change] = {
    "lower floor": _lower_floor,
    "later floor": _later_floor,
    "one floor less": _one_floor_less,
    "one scenario less": _one_scenario_less,
    "all purchases allowed": _allowed,
    "more GPUs": _number("clusters", "max_gpus", *MORE),
    "more units": _number("plants", "max_added", *MORE),
    "more on offer": _number("offers", "available_gpus", *MORE),
    "more power": _number("regions", "power_limit_mw", *MORE),
    "larger feeds": _number("feeds", "capacity_mw", *MORE),
    "larger tanks": _number("plants", "buffer_mwh", *MORE),
    "larger emergency budget": _part("finance", "emergency_budget_usd", *MORE),
    "larger capital budget": _part("policies", "capital_budget_usd", *MORE),
    "no capital budget": _no_policy("capital_budget_usd"),
    "no spare block": _no_policy("spare_block_per_region"),
    "no share that survives": _no_policy("surviving_capacity_share"),
    "regions as few as wanted": _no_policy("least_regions"),
    "cheaper GPUs": _number("gpus", "capital_usd", *LESS),
    "cheaper units": _number("cooling_units", "capital_usd", *LESS),
    "cheaper power": _number("regions", "electricity_usd_per_mwh", *LESS),
    "less demand": _less_demand,
}


def without_upkeep(data: Data) -> None:
    """What stands costs nothing: no maintenance of units, no retainers."""
    for unit in data["cooling_units"].values():
        unit["maintenance_share_per_year"] = 0.0
    for offer in data.get("offers", {}).values():
        offer["retainer_usd_per_instance_year"] = 0.0


def more_in_place(rng: Random, data: Data) -> bool:
    """More units of known types in every plant, instances under contract, or larger tanks."""
    kind = rng.choice(["units", "units", "instances", "tanks"])
    for plant in data["plants"].values():
        if kind == "units":
            existing = dict(plant.get("existing", {}))
            for unit in plant["options"]:
                existing[unit] = existing.get(unit, 0) + rng.choice([0, 1, 2])
            plant["existing"] = existing
        elif kind == "tanks":
            plant["buffer_mwh"] = plant.get("buffer_mwh", 0.0) + rng.choice([0.05, 1.0])
    for offer in data.get("offers", {}).values():
        if kind == "instances":
            offer["existing_instances"] += 1
            offer["available_gpus"] += offer["gpus_per_instance"]
    return kind != "instances" or "offers" in data


def in_other_requests(data: Data, factor: float) -> None:
    """Requests counted in another unit: rates times a factor, prices per request divided by it."""
    for zone in data["zones"].values():
        zone["demand_rps"] *= factor
        prices = zone.get("transport_usd_per_million_requests", {})
        zone |= {"transport_usd_per_million_requests": {r: p / factor for r, p in prices.items()}}
    for gpu in data["gpus"].values():
        gpu["rps"] *= factor
    for offer in data.get("offers", {}).values():
        offer["rps_per_gpu"] *= factor
    for tier in data["tiers"].values():
        for price in ("value_usd_per_1000_requests", "sla_credit_usd_per_1000_requests"):
            tier[price] /= factor


def in_other_watts(data: Data, factor: float) -> None:
    """Power counted in another unit: megawatts times a factor, prices per megawatt-hour divided."""
    for region in data["regions"].values():
        region["power_limit_mw"] *= factor
        region["electricity_usd_per_mwh"] /= factor
    for gpu in data["gpus"].values():
        gpu["power_mw"] *= factor
    for unit in data["cooling_units"].values():
        unit["capacity_mw"] *= factor
    for plant in data["plants"].values():
        plant["buffer_mwh"] = plant.get("buffer_mwh", 0.0) * factor
    for feed in data.get("feeds", {}).values():
        feed["capacity_mw"] *= factor
        feed["generator_mw"] *= factor


def at_hours(rng: Random, data: Data) -> None:
    """Demand that differs from hour to hour."""
    data["shapes"]["day"] = [rng.choice([1.0, 0.9, 0.7, 0.4]) for _ in range(24)]
    for zone in data["zones"].values():
        zone["shape"] = "day"
