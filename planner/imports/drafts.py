"""A model as an importer makes it: entries with titles, and what importers say alike."""

from __future__ import annotations

import hashlib
import math
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from planner.errors import printable
from planner.imports.inventory import (
    Fields,
    Finding,
    Inventory,
    Kind,
    Stated,
    Total,
    gathered,
    shown,
)
from planner.infrastructure.catalogue import catalogue
from planner.infrastructure.fields import NAME_LENGTH


def plain(text: str) -> str:
    """A text as a name: ASCII letters, digits and hyphens, no longer than a name may be.

    >>> plain("Cage 7 / Rack 03"), plain("Prototyp Nº 1"), plain("试验机")
    ('cage-7-rack-03', 'prototyp-no-1', 'x-d53af613')
    """
    ascii_only = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    name = re.sub(r"[^a-z0-9]+", "-", ascii_only.lower()).strip("-")
    digest = hashlib.sha256(text.encode(errors="replace")).hexdigest()[:8]
    if len(name) > NAME_LENGTH - len("-loop"):
        name = f"{name[: NAME_LENGTH - len('-loop') - 9]}-{digest}"
    return name or f"x-{digest}"


@dataclass(frozen=True)
class Names:
    """Names given so far: no two entries of a model have the same."""

    given: set[str] = field(default_factory=set)

    def new(self, *parts: str | None, apart: str = "") -> str:
        """A name made of parts; where it is taken with what tells it apart, or with a number."""
        wanted = plain(" ".join(part for part in parts if part))
        if wanted in self.given and apart:
            wanted = plain(f"{wanted} {apart}")
        name, number = wanted, 1
        while name in self.given:
            number += 1
            name = f"{wanted[: NAME_LENGTH - len('-loop') - 8]}-{number}"
        self.given.add(name)
        return name


#: Power of a GPU with its share of the server where nothing says it, MW.
TYPICAL_MW = 0.001
#: What no inventory of machines knows: asked for, not invented.
UNKNOWN = (
    ("clusters", "thermal inertia and temperature limits: the default of each field"),
    ("standard", "what has to survive: failures are simulated, not judged"),
    ("generators", "what fails, how often, for how long"),
)
#: What whoever rents machines does not know either.
UNKNOWN_OF_CLOUDS = (
    ("regions", "power, cooling, climate, price of electricity: the provider's"),
    ("gpus", "requests per second: demand counts in GPUs at full load"),
    *UNKNOWN,
)


@dataclass(frozen=True)
class Draft:
    """A model as it grows."""

    source: str
    names: Names = field(default_factory=Names)
    sections: dict[str, dict[str, Fields | Stated]] = field(default_factory=dict)
    titles: dict[tuple[str, str], str] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def add(self, section: str, name: str, title: str, fields: Fields | Stated) -> None:
        """Add an entry."""
        self.sections.setdefault(section, {})[name] = fields
        self.titles[section, name] = shown(title)

    def plant(
        self,
        name: str,
        title: str,
        region: str,
        units: Mapping[str, tuple[Stated, str]],
        cools: Iterable[str],
        rejects_to: str = "",
    ) -> None:
        """Add a plant with its units: capacity and title of each."""
        for unit, (capacity, what) in units.items():
            self.add("cooling_units", unit, what, {"capacity_mw": capacity})
        fields = {"region": Stated(region)}
        if cooled := sorted(cools):
            fields["cools"] = Stated(cooled)
        if rejects_to:
            fields["rejects_to"] = Stated(rejects_to)
        fields["existing"] = Stated(dict.fromkeys(units, 1))
        self.add("plants", name, title, fields)

    def find(self, kind: Kind, subject: str, text: str) -> None:
        """Note something that people should know."""
        self.findings.append(Finding(kind, shown(subject), printable(text)))

    def inventory(
        self, unknown: Iterable[tuple[str, str]], totals: tuple[Total, ...] = ()
    ) -> Inventory:
        """All that was found, and what cannot be."""
        more = (Finding("missing", part, text) for part, text in unknown)
        found = tuple(dict.fromkeys((*self.findings, *more)))
        sums = tuple(Total(shown(t.site), t.what, shown(t.status), t.value) for t in totals)
        return Inventory(self.source, self.sections, self.titles, found, sums)


def gpu_fields(gpu: str, power: Stated | None = None) -> Fields:
    """Fields of a GPU type, by its name in an inventory.

    Parameters
    ----------
    power
        MW of a GPU with its share of the server; None if unknown.
    """
    table, entry = "datasets/gpus.csv", catalogue_entry(gpu)
    fields: dict[str, Stated] = {}
    if entry is not None:
        fields["from"] = Stated(entry, "the entry with this name", "medium", table)
    else:
        why = "half of the power is drawn at no load, as by others"
        fields["static_share"] = Stated(0.5, why, "low", table)
        power = power or Stated(TYPICAL_MW, "a GPU with its share of a server", "low")
    if power is not None:
        fields["power_mw"] = power
    fields["rps"] = Stated(1.0, "demand counts in GPUs at full load", "low")
    return fields


def catalogue_entry(gpu: str) -> str | None:
    """The one entry of the catalogue that a name can mean: no other model, form or memory.

    >>> catalogue_entry("NVIDIA-H100-80GB-HBM3"), catalogue_entry("h100-nvl")
    ('H100-SXM5-80GB', None)
    """
    model, form, memory = _parts(gpu)
    found = [
        name
        for name in catalogue("gpus.csv")
        for known, of_form, of_memory in (_parts(name),)
        if model == known
        and of_form.startswith(form)
        and (not memory or not of_memory or memory == of_memory)
    ]
    return found[0] if len(found) == 1 else None


def _parts(gpu: str) -> tuple[str, str, str]:
    """Model, form and memory of a GPU's name; empty where it does not say."""
    words = re.split(r"[^A-Z0-9]+", gpu.upper().removesuffix("-SHARED"))
    memory = next((word for word in words if re.fullmatch(r"\d+GB", word)), "")
    form = next((word for word in words if re.fullmatch(r"(SXM|PCIE|NVL)\d*", word)), "")
    others = (word for word in words if word != memory and any(map(str.isdigit, word)))
    return next((word for word in others if word != form), ""), form, memory


@dataclass(frozen=True)
class Pool:
    """GPUs of one type in one place, with what is said of them.

    Parameters
    ----------
    region, zone
        Where they are, by the names of the source; the zone may be unknown (empty).
    most
        How many they may grow to.
    spread
        Whether they are this zone's even share of those of several.
    """

    region: str
    zone: str
    gpu: str
    gpus: int
    most: int
    title: str
    spread: bool = False


def add_pools(
    draft: Draft, pools: Sequence[Pool], source: str
) -> dict[tuple[str, str, str], tuple[str, str]]:
    """Add regions, GPU types, clusters and what stands for the power and cooling of zones.

    Parameters
    ----------
    source
        What the numbers of GPUs rest on.

    Returns
    -------
    dict
        Names of region and cluster, by region, zone and GPU type of the pools.
    """
    draft.sections["regions"] = {}
    gpus = {gpu: draft.names.new(gpu) for gpu in sorted({pool.gpu for pool in pools})}
    power: dict[str, float] = {}
    for gpu, name in gpus.items():
        fields = gpu_fields(gpu)
        draft.add("gpus", name, gpu, fields)
        entry = catalogue("gpus.csv").get(catalogue_entry(gpu) or "", {})
        power[gpu] = float(entry.get("power_mw", TYPICAL_MW))
    ordered = sorted(pools, key=lambda pool: (pool.region, pool.zone, pool.gpu, pool.title))
    regions = gathered((pool.region, pool) for pool in ordered)
    clusters = gathered(((pool.region, pool.zone, pool.gpu), pool) for pool in ordered)
    places = {region: draft.names.new(region) for region in regions}
    for region, here in regions.items():
        mw = Stated(_draw_mw(here, power), "the provider's", "low", alike="as its GPUs draw")
        draft.add("regions", places[region], region, {"power_limit_mw": mw})
    found = {}
    for key, here in clusters.items():
        region, zone, gpu = key
        name = draft.names.new(_place(region, zone), gpu)
        found[key] = places[region], name
        count, most = sum(p.gpus for p in here), sum(p.most for p in here)
        limit = Stated(most, "as the pool may grow") if most > count else None
        fields = {
            "region": Stated(places[region]),
            "gpu": Stated(gpus[gpu]),
            "existing_gpus": Stated(count, source),
            "max_gpus": limit or Stated(count, "no room for more", "low", alike="as existing"),
        }
        if any(p.spread for p in here):
            text = "spread evenly over its zones"
            fields["existing_gpus"] = Stated(count, text, "medium", source, "an even share")
        draft.add("clusters", name, ", ".join(dict.fromkeys(p.title for p in here)), fields)
    domains = gathered((key[:2], name) for key, (_, name) in found.items())
    for (region, zone), names in domains.items():
        here = [pool for pool in regions[region] if pool.zone == zone]
        _add_domain(draft, places[region], _place(region, zone), names, _draw_mw(here, power), zone)
    return found


def _add_domain(
    draft: Draft, region: str, place: str, clusters: list[str], mw: float, zone: str
) -> None:
    """Add what a zone has of its own: the power and the cooling that are lost with it."""
    plant = draft.names.new(place, "cooling")
    capacity = Stated(mw, "the provider's cooling", "low", alike="as the heat of its GPUs")
    draft.plant(plant, f"cooling of {place}", region, {f"{plant}-unit": (capacity, "")}, clusters)
    if zone:
        fields = {
            "region": Stated(region),
            "capacity_mw": Stated(mw, "the provider's", "low", alike="as its GPUs draw"),
            "powers": Stated([*sorted(clusters), plant]),
        }
        draft.add("feeds", draft.names.new(place), f"zone {zone}: lost with all in it", fields)


def _place(region: str, zone: str) -> str:
    return zone if zone.startswith(region) else f"{region} {zone}".strip()


def _draw_mw(pools: Iterable[Pool], power: Mapping[str, float]) -> float:
    """Power of pools at their largest, MW, rounded up to the watt."""
    watts = sum(pool.most * power[pool.gpu] * 1e6 for pool in pools)
    return math.ceil(round(watts, 6)) / 1e6
