"""Synthetic models of any size for tests and benchmarks: real regions, sizes from a seed.

Regions, latencies, GPUs, cooling units and offers are those of the catalogues; beyond the twelve
regions of `datasets/climate.csv` they come again with a number. Everything drawn is an estimate.

A plan exists by construction: each region has room for `ROOM` times its own peak together with that
of the largest region that would flee to it, its cooling can be bought for all of that heat with the
spare units asked for, and the power limit carries both.
"""

from __future__ import annotations

import csv
import math
import random
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import planner
from planner.infrastructure.catalogue import catalogue, data_directory, hot_week_names
from planner.json_text import json_text
from planner.laws.heat import derated_mw

LEAST_REGIONS, MOST_REGIONS = 2, 200
#: Order in which regions are taken: each reaches one before it within the strictest latency limit.
ORDER = (
    "us-east",
    "us-west",
    "eu-west",
    "us-central",
    "eu-central",
    "ca-central",
    "ap-northeast",
    "ap-southeast",
    "ap-south",
    "eu-north",
    "me-central",
    "sa-east",
)
#: Capacity a region can grow to, over its own peak and that of the largest region it shelters.
ROOM = 1.5
WIDEST_MS = 200.0
#: Requests per second of a GPU: half its offline tokens/s (datasets/gpus.csv) over 3,265 tokens of
#: work a request, ten times the 211 tokens out and 1,155 in, at a tenth each, of the Azure trace
#: (datasets/SOURCES.md), for a model of ten times the work.
TOKENS_A_REQUEST = 3265.0
OFFLINE_SHARE = 0.5
HEAT_WAVE_RISE_C = 3.0
OLD, NEW = ("H100-SXM5-80GB", "H200-SXM-141GB"), "B200-SXM"
SHORT = {"H100-SXM5-80GB": "h100", "H200-SXM-141GB": "h200", "B200-SXM": "b200"}
#: Offer, the region it is placed next to (the nearest there is), the GPU whose speed it has.
OFFERS = (
    ("coreweave-b200", "us-east", "B200-SXM"),
    ("lambda-b200", "us-west", "B200-SXM"),
    ("gcp-a3-ultra", "eu-west", "H200-SXM-141GB"),
    ("aws-p5en", "ap-northeast", "H200-SXM-141GB"),
    ("azure-nd-h200", "ap-southeast", "H200-SXM-141GB"),
    ("aws-p5", "eu-central", "H100-SXM5-80GB"),
)
CHILLERS = ("chiller-1.75", "chiller-3.5", "chiller-9.7")


@dataclass(frozen=True)
class RegionSite:
    """A region to be: its name and the entry of the catalogue behind it."""

    name: str
    base: str
    design_ambient_c: float
    utc_offset_hours: int


@dataclass(frozen=True)
class Hall:
    """Existing and maximum GPUs of a cluster."""

    name: str
    gpu: str
    existing: int
    block: int
    most: int

    def heat_mw(self, gpus: int) -> float:
        """Heat of some GPUs at full load, MW."""
        return gpus * float(catalogue("gpus.csv")[self.gpu]["power_mw"])


def model_text(regions: int, seed: int) -> str:
    """YAML of a valid model; the same arguments give the same text.

    Parameters
    ----------
    regions
        Number of regions, from 2 to 200.
    seed
        Seed of the sizes, not negative.

    Raises
    ------
    ValueError
        If a number is outside its accepted range.
    """
    if not LEAST_REGIONS <= regions <= MOST_REGIONS:
        why = ": nothing would take over when it is lost" if regions == 1 else ""
        raise ValueError(
            f"Expected regions in [{LEAST_REGIONS}, {MOST_REGIONS}], got {regions}{why}."
        )
    if seed < 0:
        raise ValueError(f"Expected seed ≥ 0, got {seed}.")
    lines = [
        f"# Synthetic: plan new --regions {regions} --seed {seed}. Climate, latency, prices, GPUs",
        "# and units are those of datasets/; demand, fleets and limits are drawn (estimates).",
        f"description: Synthetic model of {regions} regions, seed {seed}.",
    ]
    # Not NumPy's generator, whose numbers may change from version to version.
    rng = random.Random(seed)  # noqa: S311
    for section, entries in _sections(regions, rng):
        lines.append(f"{section}:")
        for name, entry in entries.items():
            text = f"{name}: {_flow(entry)}"
            lines += textwrap.wrap(
                text,
                100,
                initial_indent="  ",
                subsequent_indent="    ",
                break_long_words=False,
                break_on_hyphens=False,
            )
    common = Path(planner.__file__).parent / "starter" / "synthetic.yaml"
    return "\n".join([*lines, common.read_text("utf-8").partition("\n")[2]])


Entries = dict[str, dict[str, Any]]


def _sections(count: int, rng: random.Random) -> Iterator[tuple[str, Entries]]:
    places = _places(count)
    latency = _latency(places, rng)
    demand = {place.name: round(8000 + 24000 * rng.random() ** 2, -2) for place in places}
    halls = {
        place.name: _halls(place.name, demand, _guest_rps(place.name, demand, latency), rng)
        for place in places
    }
    limits = {name: math.ceil(1.45 * _heat_mw(pair, "most")) for name, pair in halls.items()}
    yield "regions", {place.name: _region(place, limits[place.name]) for place in places}
    yield "gpus", _gpus(sorted({hall.gpu for pair in halls.values() for hall in pair}))
    yield "clusters", _clusters(halls)
    plants: Entries = {}
    for place in places:
        plants |= _plants(place, halls[place.name], rng)
    used = {u for plant in plants.values() for u in (*plant.get("existing", ()), *plant["options"])}
    yield "cooling_units", {unit: {"from": unit} for unit in sorted(used)}
    yield "plants", plants
    yield "feeds", _feeds(limits)
    yield "zones", _zones(places, demand, latency)
    yield "offers", _offers(places, rng)


def _places(count: int) -> tuple[RegionSite, ...]:
    """The first regions of the order; from the thirteenth on they come again with a number."""
    climate = catalogue("climate.csv")
    found = []
    for index in range(count):
        base = ORDER[index % len(ORDER)]
        again = index // len(ORDER)
        entry = climate[base]
        # A whole hour for each 15 degrees, as for hot weeks.
        ahead = round(float(entry["longitude"]) / 15)
        name = f"{base}-{again + 1}" if again else base
        found.append(RegionSite(name, base, float(entry["extreme_ambient_c"]), ahead))
    return tuple(found)


@cache
def round_trips_ms() -> dict[str, dict[str, float]]:
    """Round trip from each region to each in ms (datasets/latency_ms.csv)."""
    path = data_directory("datasets") / "latency_ms.csv"
    with path.open(encoding="utf-8", newline="") as stream:
        rows = {row.pop("region"): row for row in csv.DictReader(stream)}
    return {start: {end: float(ms) for end, ms in row.items()} for start, row in rows.items()}


def _latency(places: Sequence[RegionSite], rng: random.Random) -> dict[str, dict[str, float]]:
    """Round trips within the largest latency limit; regions of one place are some ms apart."""
    table = round_trips_ms()
    found: dict[str, dict[str, float]] = {}
    for start in places:
        row = found[start.name] = {}
        for end in places:
            same = start.base == end.base and start != end
            trip = table[start.base][end.base] + (2 + int(6 * rng.random()) if same else 0)
            if trip <= WIDEST_MS:
                row[end.name] = trip
    return found


def shelter(name: str, latency: Mapping[str, Mapping[str, float]]) -> str:
    """Nearest other region, which serves the users of a region when it is lost."""
    return min((ms, region) for region, ms in latency[name].items() if region != name)[1]


def _guest_rps(
    name: str, demand: Mapping[str, float], latency: Mapping[str, Mapping[str, float]]
) -> float:
    """Largest demand that would fail over to a region."""
    return max((demand[o] for o in demand if o != name and shelter(o, latency) == name), default=0)


def _rps(gpu: str) -> float:
    offline = float(catalogue("gpus.csv")[gpu]["tokens_per_second"])
    return round(OFFLINE_SHARE * offline / TOKENS_A_REQUEST, 4)


def _halls(
    name: str, demand: Mapping[str, float], guest_rps: float, rng: random.Random
) -> tuple[Hall, Hall]:
    """A hall of older GPUs that is full and one of newer that can grow."""
    own, old = demand[name], OLD[int(len(OLD) * rng.random())]
    share, there = 0.2 + 0.2 * rng.random(), 0.95 + 0.15 * rng.random()
    older = 256 * max(1, round(share * there * own / _rps(old) / 256))
    newer = 256 * max(1, round((1 - share) * there * own / _rps(NEW) / 256))
    room = ROOM * (own + guest_rps) - older * _rps(old)
    most = newer + 256 * max(1, math.ceil((room / _rps(NEW) - newer) / 256))
    return Hall(f"{name}-a", old, older, 256, older), Hall(f"{name}-b", NEW, newer, 256, most)


def _heat_mw(halls: Sequence[Hall], which: str) -> float:
    return sum(hall.heat_mw(getattr(hall, which)) for hall in halls)


def _region(place: RegionSite, limit_mw: float) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "from": place.base,
        "design_ambient_c": place.design_ambient_c,
        "power_limit_mw": float(limit_mw),
    }
    if place.base in hot_week_names():
        entry["climate"] = place.base
    return entry


def _gpus(kinds: Sequence[str]) -> Entries:
    return {
        SHORT[kind]: {"from": kind, "rps": _rps(kind), "service_seconds": 6.0} for kind in kinds
    }


def _clusters(halls: Mapping[str, Sequence[Hall]]) -> Entries:
    return {
        hall.name: {
            "region": region,
            "gpu": SHORT[hall.gpu],
            "existing_gpus": hall.existing,
            "block_gpus": hall.block,
            "max_gpus": hall.most,
            "capacitance_mj_per_k_per_mw": 20.0,
        }
        for region, pair in halls.items()
        for hall in pair
    }


def _unit_mw(unit: str, ambient_c: float) -> float:
    kind = catalogue("cooling_units.csv")[unit]
    return derated_mw(
        float(kind["capacity_mw"]),
        ambient_c,
        float(kind["reference_ambient_c"]),
        float(kind["derating_per_c"]),
        float(kind.get("cutout_ambient_c", 200.0)),
    )


def _plants(place: RegionSite, halls: Sequence[Hall], rng: random.Random) -> Entries:
    """One primary plant for each hall or one for both, and an emergency plant for both."""
    name = place.name
    together = rng.random() < 0.5
    groups = (
        {f"{name}-chillers": halls} if together else {f"{h.name}-chillers": (h,) for h in halls}
    )
    found = {plant: _primary(place, group, rng) for plant, group in groups.items()}
    hottest = place.design_ambient_c + HEAT_WAVE_RISE_C
    options = ["chiller-3.5"]
    if _unit_mw("air-chiller-1.55", hottest + 1):
        options.append("air-chiller-1.55")
    most = _heat_mw(halls, "most")
    found[f"{name}-emergency"] = {
        "region": name,
        "cools": [hall.name for hall in halls],
        "role": "emergency",
        "options": options,
        "max_added": math.ceil(1.5 * most / min(_unit_mw(unit, hottest) for unit in options)),
    }
    return found


def _primary(place: RegionSite, halls: Sequence[Hall], rng: random.Random) -> dict[str, Any]:
    heat, most = _heat_mw(halls, "existing"), _heat_mw(halls, "most")
    size = CHILLERS[0 if heat < 6 else 1 if heat < 25 else 2]
    smaller = CHILLERS[max(0, CHILLERS.index(size) - 1)]
    hottest = place.design_ambient_c + HEAT_WAVE_RISE_C
    units = math.ceil(heat / _unit_mw(size, place.design_ambient_c))
    options = list(dict.fromkeys([size, smaller]))
    return {
        "region": place.name,
        "cools": [hall.name for hall in halls],
        "redundancy": 2,
        "existing": {size: units + int(3 * rng.random())},
        "options": options,
        "max_added": 6 + math.ceil(1.2 * most / min(_unit_mw(unit, hottest) for unit in options)),
    }


def _feeds(limits: Mapping[str, float]) -> Entries:
    rates = catalogue("failure_rates.csv")
    single, generator = rates["utility-feed-single"], rates["diesel-generator"]
    starts = 1 - float(generator["failure_probability_per_demand"])
    return {
        f"{region}-feed-{letter}": {
            "region": region,
            "capacity_mw": float(limit),
            "ups_minutes": 10.0,
            "generator_mw": float(limit),
            "generator_start_probability": round(starts, 6),
            "generator_hours": 48.0,
            "failures_per_year": float(single["failures_per_year"]),
            "repair_hours": float(single["repair_hours"]),
        }
        for region, limit in limits.items()
        for letter in "ab"
    }


def _zones(
    places: Sequence[RegionSite],
    demand: Mapping[str, float],
    latency: Mapping[str, Mapping[str, float]],
) -> Entries:
    return {
        f"users-{place.name}": {
            "demand_rps": float(demand[place.name]),
            "shape": "conversation",
            "utc_offset_hours": place.utc_offset_hours,
            "latency_ms": dict(latency[place.name]),
        }
        for place in places
    }


def _offers(places: Sequence[RegionSite], rng: random.Random) -> Entries:
    """At least two offers next to generated regions."""
    names = {place.name for place in places}
    found: Entries = {}
    for offer, region, gpu in OFFERS:
        if region in names:
            found[offer] = {
                "from": offer,
                "region": region,
                "available_gpus": 400 * (2 + int(4 * rng.random())),
                "lead_time_minutes": 50.0 if rng.random() < 0.5 else 110.0,
                "surge_multiplier": 2.0,
                "rps_per_gpu": _rps(gpu),
            }
    return found


def _flow(value: Any) -> str:
    """A value in the flow style of YAML."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_flow(entry)}" for key, entry in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_flow(entry) for entry in value) + "]"
    return value if isinstance(value, str) else json_text(value, "line", ascii_only=True)
