"""NetBox: sites become regions; GPUs with the same feeds and loops clusters; loops plants."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from planner.amounts import counted
from planner.errors import InputError
from planner.imports.inventory import Fields, Finding, Inventory, Stated, shown
from planner.imports.names import Names
from planner.imports.netbox_estate import ROOM_UNITS, Estate, suspects, totals, usable_va
from planner.imports.netbox_records import Device, read_export
from planner.infrastructure.catalogue import catalogue

#: What NetBox has no place for: asked for, not invented.
UNKNOWN = (
    ("feeds", "utility, transformers, batteries and generators behind the panels: none here"),
    ("feeds", "failures per year and repair hours: the default of each field"),
    ("plants", "which feeds the chillers and room units hang on, and their power: none here"),
    ("plants", "redundancy, start-up times, ambient ratings of units: the default of each field"),
    ("clusters", "thermal inertia and temperature limits: the default of each field"),
    ("services", "what the GPUs serve, and what that depends on: none here"),
    ("standard", "what has to survive: failures are simulated, not judged"),
    ("generators", "what fails, how often, for how long"),
)


@dataclass(frozen=True)
class _Cluster:
    """GPUs of one type with the same feeds and loops."""

    name: str
    site: int
    gpu: str
    feeds: frozenset[int]
    loops: frozenset[int]
    devices: tuple[Device, ...]


@dataclass(frozen=True)
class _Draft:
    """A model as it grows."""

    estate: Estate
    names: Names = field(default_factory=Names)
    sections: dict[str, dict[str, Fields]] = field(default_factory=dict)
    titles: dict[tuple[str, str], str] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def add(self, section: str, name: str, title: str, fields: Fields) -> None:
        self.sections.setdefault(section, {})[name] = fields
        self.titles[section, name] = shown(title)

    def find(self, kind: Any, subject: str, text: str) -> None:
        self.findings.append(Finding(kind, shown(subject), text))


def read_netbox(folder: Path, planned: bool) -> Inventory:
    """Read a folder of lists that the API of NetBox returned.

    Raises
    ------
    InputError
        With all problems of all files, or if no GPU is in place.
    """
    estate = Estate(read_export(folder), planned)
    gpus = [device for device in estate.devices if estate.gpus(device)]
    if not gpus:
        message = "no device in place has GPUs; custom fields `gpu_count` and `gpu_type` of devices"
        hint = "" if planned else "; --planned counts planned and staged ones"
        raise InputError.single(str(folder), f"{message} or their types say how many{hint}")
    draft = _Draft(estate)
    regions = {site: draft.names.new(estate.export["sites"][site].name) for site in _sites(gpus)}
    types = _gpu_types(draft, gpus)
    clusters = _clusters(draft, regions, types, gpus)
    _regions(draft, regions, clusters)
    _add_clusters(draft, regions, clusters)
    plants = _plants(draft, regions, clusters)
    _feeds(draft, regions, clusters, plants)
    _left_out(draft, gpus)
    draft.findings.extend(suspects(estate))
    draft.findings.extend(Finding("missing", part, text) for part, text in UNKNOWN)
    if estate.export.absent:
        draft.find("missing", "cooling", f"no {', '.join(estate.export.absent)} in the export")
    found = tuple(dict.fromkeys(draft.findings))
    return Inventory("netbox", draft.sections, draft.titles, found, totals(estate))


def _sites(devices: Iterable[Device]) -> list[int]:
    return sorted({device.site for device in devices})


def _gpu_types(draft: _Draft, gpus: Sequence[Device]) -> Mapping[int, str]:
    """Add a GPU type for each type of GPU, or of server where several hold it; names by device."""
    estate = draft.estate
    servers: dict[str, set[int]] = {}
    for device in gpus:
        servers.setdefault(estate.gpu_type(device), set()).add(device.device_type)
    grouped: dict[tuple[str, str], list[Device]] = {}
    for device in gpus:
        gpu, kind = estate.gpu_type(device), estate.export["device-types"][device.device_type]
        server = kind.slug if len(servers[gpu]) > 1 else ""
        grouped.setdefault((gpu, server), []).append(device)
    known = {key: _gpu_mw(estate, devices) for key, devices in grouped.items()}
    stated = [mw for mw in known.values() if mw is not None]
    by_device = dict[int, str]()
    for (gpu, server), devices in sorted(grouped.items()):
        name = draft.names.new(gpu, server)
        mw, entry = known[gpu, server], _catalogue_entry(gpu)
        fields = {}
        if entry is not None:
            fields["from"] = Stated(
                entry, "the entry with this name", "medium", "datasets/gpus.csv"
            )
        else:
            why = "half of the power is drawn at no load, as by others"
            fields["static_share"] = Stated(0.5, why, "low", "datasets/gpus.csv")
        if mw is not None:
            fields["power_mw"] = Stated(mw, "power ports' budgets by GPU, with its server")
        elif entry is None or not stated:
            mean = round(sum(stated) / len(stated), 9) if stated else 0.001
            fields["power_mw"] = Stated(mean, "power ports have no draw; as the others", "low")
        fields["rps"] = Stated(1.0, "demand counts in GPUs at full load", "low")
        draft.add("gpus", name, f"{gpu} {server}".strip(), fields)
        by_device |= {device.id: name for device in devices}
    return by_device


def _gpu_mw(estate: Estate, devices: Sequence[Device]) -> float | None:
    """Mean power by GPU of the devices whose draw is known."""
    draws = [(estate.draw_w(device), estate.gpus(device)) for device in devices]
    known = [(draw, gpus) for draw, gpus in draws if draw]
    count = sum(gpus for _, gpus in known)
    return round(sum(draw for draw, _ in known) / count / 1e6, 9) if count else None


def _catalogue_entry(gpu: str) -> str | None:
    """The one entry of the catalogue whose name begins with that of a GPU."""
    names = [name for name in catalogue("gpus.csv") if name.lower().startswith(gpu.lower())]
    return names[0] if len(names) == 1 else None


def _clusters(
    draft: _Draft, regions: Mapping[int, str], types: Mapping[int, str], gpus: Sequence[Device]
) -> tuple[_Cluster, ...]:
    estate = draft.estate
    grouped: dict[tuple[int, str, frozenset[int], frozenset[int]], list[Device]] = {}
    for device in gpus:
        key = (device.site, types[device.id], estate.fed_by(device), estate.loops_of(device))
        grouped.setdefault(key, []).append(device)
    found = []
    # Of several in one rack that on most feeds has the plain name: it lasts when devices come.
    for key in sorted(grouped, key=lambda key: (-len(key[2]), *map(sorted, key[2:]))):
        (site, gpu, feeds, loops), devices = key, grouped[key]
        racks = estate.racks_with(devices)
        where = (racks[0].name or f"rack-{racks[0].id}") if racks else "no-rack"
        circuits = (estate.export["power-feeds"][number].name or "" for number in sorted(feeds))
        name = draft.names.new(regions[site], where, gpu, apart=" ".join(circuits))
        found.append(_Cluster(name, site, gpu, feeds, loops, tuple(devices)))
    return tuple(sorted(found, key=lambda cluster: cluster.name))


def _draw_mw(estate: Estate, devices: Iterable[Device]) -> float:
    return sum(estate.draw_w(device) or 0.0 for device in devices) / 1e6


def _regions(draft: _Draft, regions: Mapping[int, str], clusters: Sequence[_Cluster]) -> None:
    estate, servers = draft.estate, {d.id for c in clusters for d in c.devices}
    for number, name in regions.items():
        site = estate.export["sites"][number]
        fields = {}
        if site.region:
            fields["city"] = Stated(shown(site.region), "region")
        if site.latitude is not None and abs(site.latitude) <= 90:
            fields["latitude"] = Stated(site.latitude)
        if site.longitude is not None:
            fields["longitude"] = Stated(site.longitude)
        fields["power_limit_mw"] = _power_limit(draft, number, name)
        here = [device for device in estate.devices if device.site == number]
        gpus = _draw_mw(estate, (d for d in here if d.id in servers))
        rest = _draw_mw(estate, (d for d in here if d.id not in servers))
        if gpus and rest:
            why = "budgets of switches, pumps and other devices over those of GPU servers"
            fields["hall_mw_per_mw"] = Stated(round(rest / gpus, 6), why)
        draft.add("regions", name, f"{site.name}, {site.status}", fields)
        draft.find("missing", name, "design ambient, price of electricity: default of each field")


def _power_limit(draft: _Draft, site: int, region: str) -> Stated:
    estate = draft.estate
    grid = estate.export["sites"][site].custom_fields.grid_connection_mw
    if grid is not None:
        return Stated(grid, "custom field grid_connection_mw")
    usable = sum(
        usable_va(estate.export["power-feeds"][number])
        for number in estate.feeds
        if estate.site_of(estate.export["power-feeds"][number]) == site
    )
    draft.find("missing", region, "power of the grid connection")
    if usable:
        return Stated(usable / 1e6, "as its feeds together", "low", "power feeds")
    here = [device for device in estate.devices if device.site == site]
    return Stated(
        round(2 * _draw_mw(estate, here), 6),
        "twice the budgets of its devices",
        "low",
        "power ports",
    )


def _add_clusters(draft: _Draft, regions: Mapping[int, str], clusters: Sequence[_Cluster]) -> None:
    for cluster in clusters:
        count = sum(draft.estate.gpus(device) for device in cluster.devices)
        racks = ", ".join(rack.name or "?" for rack in draft.estate.racks_with(cluster.devices))
        devices = ", ".join(device.name or "?" for device in cluster.devices)
        draft.add(
            "clusters",
            cluster.name,
            f"{racks or 'no rack'}: {devices}",
            {
                "region": Stated(regions[cluster.site]),
                "gpu": Stated(cluster.gpu),
                "existing_gpus": Stated(count, counted(len(cluster.devices), "device")),
                "max_gpus": Stated(count, "no room for more", "low"),
            },
        )


@dataclass(frozen=True)
class _Cooling:
    """A plant to add: loop, source or room units."""

    name: str
    title: str
    site: int
    units: Mapping[str, tuple[Stated, str]]
    cools: tuple[_Cluster, ...]
    rejects_to: str = ""


def _plants(
    draft: _Draft, regions: Mapping[int, str], clusters: Sequence[_Cluster]
) -> Mapping[int, str]:
    """Add plants with their units; names by loop."""
    estate, loops, sources = draft.estate, dict[int, str](), dict[int, str]()
    for number, loop in estate.loops.items():
        cooled = tuple(cluster for cluster in clusters if number in cluster.loops)
        if not cooled:
            continue
        source = estate.sources[loop.cooling_source]
        if source.id not in sources:
            sources[source.id] = draft.names.new(regions[source.site], source.name)
        loops[number] = draft.names.new(regions[source.site], loop.name)
        units = {f"{loops[number]}-loop": (_loop_mw(estate, number, cooled), loop.name or "")}
        behind = sources[source.id]
        _add_plant(draft, regions, _Cooling(
            loops[number], f"loop {loop.name}", source.site, units, cooled, behind))  # fmt: skip
    for number, name in sources.items():
        source = estate.sources[number]
        carried = [
            estate.loops[loop] for loop in loops if estate.loops[loop].cooling_source == number
        ]
        known = source.cooling_capacity
        if known:
            capacity = Stated(known / 1e3)
        else:
            units_kw = [_fields(draft, loops[loop.id]) for loop in carried]
            capacity = Stated(
                round(sum(units_kw), 6), "no capacity; as its loops", "low", "cooling feeds"
            )
        title = f"{source.type or 'source'} {source.name}"
        units = {f"{name}-unit": (capacity, title)}
        _add_plant(draft, regions, _Cooling(name, title, source.site, units, ()))
    for site, name in regions.items():
        aired = tuple(c for c in clusters if c.site == site and not c.loops)
        if aired:
            _add_room(draft, regions, site, name, aired)
    used = set(sources) | {i for i, s in estate.sources.items() if s.type in ROOM_UNITS}
    for number, source in estate.sources.items():
        if number not in used:
            draft.find("left out", f"cooling source {source.name}", "no loop in place cools GPUs")
    return loops


def _fields(draft: _Draft, plant: str) -> float:
    """Cooling capacity of the loop of a plant, in MW."""
    return float(draft.sections["cooling_units"][f"{plant}-loop"]["capacity_mw"].value)


def _loop_mw(estate: Estate, number: int, cooled: Sequence[_Cluster]) -> Stated:
    """Capacity of a loop: its own or that of the distribution units on it, the smaller."""
    loop = estate.loops[number]
    parts = {"loop": loop.cooling_capacity, "CDUs": sum(kw for _, kw in estate.cdus(loop.rack))}
    known = {part: kw for part, kw in parts.items() if kw}
    if known:
        why = " and ".join(f"{part} {kw:g} kW" for part, kw in known.items())
        return Stated(round(min(known.values()) / 1e3, 9), f"least of {why}")
    return _as_heat(estate, cooled)


def _as_heat(estate: Estate, cooled: Sequence[_Cluster]) -> Stated:
    heat = _draw_mw(estate, (device for cluster in cooled for device in cluster.devices))
    return Stated(round(heat, 9) or 0.001, "as the heat of what it cools", "low", "power ports")


def _add_plant(draft: _Draft, regions: Mapping[int, str], plant: _Cooling) -> None:
    for unit, (capacity, title) in plant.units.items():
        draft.add("cooling_units", unit, title, {"capacity_mw": capacity})
    fields = {"region": Stated(regions[plant.site])}
    if plant.cools:
        fields["cools"] = Stated(sorted(cluster.name for cluster in plant.cools))
    if plant.rejects_to:
        fields["rejects_to"] = Stated(plant.rejects_to)
    fields["existing"] = Stated(dict.fromkeys(plant.units, 1))
    draft.add("plants", plant.name, plant.title, fields)


def _add_room(
    draft: _Draft, regions: Mapping[int, str], site: int, region: str, aired: tuple[_Cluster, ...]
) -> None:
    """Add what cools the air of a site: its room units, or what its racks are made for."""
    estate, name = draft.estate, draft.names.new(region, "air")
    units = {}
    for source in estate.sources.values():
        if source.site == site and source.type in ROOM_UNITS and source.cooling_capacity:
            capacity = Stated(source.cooling_capacity / 1e3)
            unit = draft.names.new(region, source.name)
            units[unit] = (capacity, f"{source.type} {source.name}")
    racks = ", ".join(
        shown(rack.name) for rack in estate.racks_with(d for c in aired for d in c.devices)
    )
    if units:
        text = f"which racks its room units cool: all without a loop ({racks})"
    else:
        text = f"what cools the air of {racks}: one unit of the size that the racks are made for"
        units[f"{name}-unit"] = (_rack_mw(estate, aired), "not in the inventory")
    draft.find("missing", name, text)
    _add_plant(draft, regions, _Cooling(name, f"air of {region}", site, units, aired))


def _rack_mw(estate: Estate, aired: Sequence[_Cluster]) -> Stated:
    racks = estate.racks_with(device for cluster in aired for device in cluster.devices)
    kw = [rack.cooling_capacity for rack in racks]
    if not kw or not all(kw):
        return _as_heat(estate, aired)
    total = sum(capacity or 0.0 for capacity in kw)
    return Stated(round(total / 1e3, 9), "what its racks are made for", "medium", "racks")


def _feeds(
    draft: _Draft,
    regions: Mapping[int, str],
    clusters: Sequence[_Cluster],
    loops: Mapping[int, str],
) -> None:
    estate = draft.estate
    for number, devices in estate.feeds.items():
        feed = estate.export["power-feeds"][number]
        panel = estate.export["power-panels"][feed.power_panel]
        powers = [cluster.name for cluster in clusters if number in cluster.feeds]
        powers += [
            plant
            for loop, plant in loops.items()
            if any(cdu.id in devices for cdu, _ in estate.cdus(estate.loops[loop].rack))
        ]
        title = f"feed {feed.name} of panel {panel.name}"
        if not powers:
            draft.find("left out", title, "nothing in place that is known hangs on it")
            continue
        fields = {
            "region": Stated(regions[panel.site]),
            "capacity_mw": Stated(usable_va(feed) / 1e6, f"{feed.max_utilization:g} % of breaker"),
            "powers": Stated(sorted(powers)),
        }
        draft.add("feeds", draft.names.new(regions[panel.site], feed.name), title, fields)


def _left_out(draft: _Draft, gpus: Sequence[Device]) -> None:
    """What is in the inventory and not in the model, and why."""
    estate, taken = draft.estate, {device.id for device in gpus}
    for device in estate.export["devices"].values():
        count = estate.gpus(device)
        if count and device.id not in taken:
            site = estate.export["sites"][device.site]
            off = (
                f"device {device.status}" if device.site in estate.sites else f"site {site.status}"
            )
            draft.find("left out", estate.place(device), f"{shown(off)}, {count} GPUs each")
        elif not count and device.id in {d.id for d in estate.devices} and _may_hold_gpus(device):
            draft.find("missing", estate.place(device), "number of GPUs")
    for feed in estate.export["power-feeds"].values():
        if estate.site_of(feed) in estate.sites and not estate.counts(feed.status):
            draft.find("left out", f"feed {feed.name}", f"is {shown(feed.status)}")
    for loop in _not_in_place(estate):
        draft.find("left out", f"loop {loop}", "it or its source is not in place, or has no rack")


def _may_hold_gpus(device: Device) -> bool:
    return "gpu" in (device.role or "").lower()


def _not_in_place(estate: Estate) -> Iterator[str]:
    for number, loop in estate.export["cooling-feeds"].items():
        source = estate.export["cooling-sources"].get(loop.cooling_source)
        if source is not None and source.site in estate.sites and number not in estate.loops:
            yield loop.name
