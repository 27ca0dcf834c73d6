"""NetBox: sites become regions; GPUs with the same feeds and loops clusters; loops plants."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from planner.amounts import counted
from planner.errors import InputError
from planner.imports import drafts
from planner.imports.drafts import Draft, catalogue_entry, gpu_fields
from planner.imports.inventory import Asked, Importer, Inventory, Stated, gathered, shown
from planner.imports.netbox_estate import ROOM_UNITS, Estate, suspects, totals, usable_va
from planner.imports.netbox_records import NAMES, Device, read_export

#: What NetBox has no place for: asked for, not invented.
UNKNOWN = (
    ("feeds", "utility, transformers, batteries and generators behind the panels: none here"),
    ("feeds", "failures per year and repair hours: the default of each field"),
    ("plants", "which feeds the chillers and room units hang on, and their power: none here"),
    ("plants", "redundancy, start-up times, ambient ratings of units: the default of each field"),
    ("services", "what the GPUs serve, and what that depends on: none here"),
    *drafts.UNKNOWN,
)


@dataclass(frozen=True)
class _Cluster:
    """GPUs of one type with the same feeds and loops."""

    name: str
    region: str
    gpu: str
    feeds: frozenset[int]
    loops: frozenset[int]
    devices: tuple[Device, ...]


@dataclass(frozen=True)
class _Draft(Draft):
    """A model as it grows, of what is in place."""

    estate: Estate = field(kw_only=True)
    gpus: tuple[Device, ...] = field(kw_only=True)
    regions: dict[int, str] = field(default_factory=dict)


def read_netbox(asked: Asked) -> Inventory:
    """Read lists that the API of NetBox returns, or a folder of them.

    Raises
    ------
    InputError
        With all problems of all files, or if no GPU is in place.
    """
    estate = Estate(read_export(asked), asked.planned)
    gpus = tuple(device for device in estate.devices if estate.gpus(device))
    if not gpus:
        message = (
            "no device in place has GPUs; custom fields `{gpu_count}` and `{gpu_type}` of devices"
        )
        hint = "" if asked.planned else "; --planned counts planned and staged ones"
        text = f"{message.format(**{**NAMES, **asked.names})} or their types say how many{hint}"
        raise InputError.single(asked.place, text)
    draft = _Draft("netbox", estate=estate, gpus=gpus)
    for number in sorted({device.site for device in gpus}):
        draft.regions[number] = draft.names.new(estate.export["sites"][number].name)
    types = _gpu_types(draft)
    _regions(draft)
    clusters = _clusters(draft, types)
    _feeds(draft, clusters, _plants(draft, clusters))
    _left_out(draft)
    draft.findings.extend(suspects(estate))
    if estate.export.absent:
        draft.find("missing", "cooling", f"no {', '.join(estate.export.absent)} in the export")
    return draft.inventory(UNKNOWN, totals(estate))


def _gpu_types(draft: _Draft) -> Mapping[int, str]:
    """Add a GPU type for each type of GPU, or of server where several hold it; names by device."""
    estate = draft.estate
    servers = gathered((estate.gpu_type(device), device.device_type) for device in draft.gpus)
    slugs = {number: kind.slug for number, kind in estate.export["device-types"].items()}
    grouped = gathered(
        ((gpu, slugs[device.device_type] if len(set(servers[gpu])) > 1 else ""), device)
        for device in draft.gpus
        for gpu in (estate.gpu_type(device),)
    )
    known = {key: _gpu_mw(estate, devices) for key, devices in grouped.items()}
    stated = [mw for mw in known.values() if mw is not None]
    by_device = dict[int, str]()
    for (gpu, server), devices in sorted(grouped.items()):
        name = draft.names.new(gpu, server)
        mw, power = known[gpu, server], None
        if mw is not None:
            power = Stated(mw, "power ports' budgets by GPU, with its server")
        elif stated and catalogue_entry(gpu) is None:
            mean = round(sum(stated) / len(stated), 9)
            power = Stated(mean, "power ports have no draw; as the others", "low")
        fields = gpu_fields(gpu, power)
        draft.add("gpus", name, f"{gpu} {server}".strip(), fields)
        by_device |= {device.id: name for device in devices}
    return by_device


def _gpu_mw(estate: Estate, devices: Sequence[Device]) -> float | None:
    """Mean power by GPU of the devices whose draw is known."""
    draws = [(estate.draw_w(device), estate.gpus(device)) for device in devices]
    known = [(draw, gpus) for draw, gpus in draws if draw]
    count = sum(gpus for _, gpus in known)
    return round(sum(draw for draw, _ in known) / count / 1e6, 9) if count else None


def _clusters(draft: _Draft, types: Mapping[int, str]) -> tuple[_Cluster, ...]:
    """Add a cluster for all GPUs of one type at one site with the same feeds and loops."""
    estate = draft.estate
    grouped = gathered(
        ((device.site, types[device.id], estate.fed_by(device), estate.loops_of(device)), device)
        for device in draft.gpus
    )
    found = []
    # Of several in one rack that on most feeds has the plain name: it lasts when devices come.
    for key in sorted(grouped, key=lambda key: (-len(key[2]), *map(sorted, key[2:]))):
        (site, gpu, feeds, loops), devices = key, tuple(grouped[key])
        racks = estate.racks_with(devices)
        where = (racks[0].name or f"rack-{racks[0].id}") if racks else "no-rack"
        circuits = (estate.export["power-feeds"][number].name or "" for number in sorted(feeds))
        name = draft.names.new(draft.regions[site], where, gpu, apart=" ".join(circuits))
        found.append(_Cluster(name, draft.regions[site], gpu, feeds, loops, devices))
    found.sort(key=lambda cluster: cluster.name)
    for cluster in found:
        count = sum(estate.gpus(device) for device in cluster.devices)
        fields = {
            "region": Stated(cluster.region),
            "gpu": Stated(cluster.gpu),
            "existing_gpus": Stated(count, counted(len(cluster.devices), "device")),
            "max_gpus": Stated(count, "no room for more", "low", alike="as existing"),
        }
        racks_text = ", ".join(rack.name or "?" for rack in estate.racks_with(cluster.devices))
        devices_text = ", ".join(device.name or "?" for device in cluster.devices)
        draft.add("clusters", cluster.name, f"{racks_text or 'no rack'}: {devices_text}", fields)
    return tuple(found)


def _draw_mw(estate: Estate, devices: Iterable[Device]) -> float:
    return sum(estate.draw_w(device) or 0.0 for device in devices) / 1e6


def _regions(draft: _Draft) -> None:
    estate = draft.estate
    for number, name in draft.regions.items():
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
        gpus = _draw_mw(estate, (device for device in here if estate.gpus(device)))
        rest = _draw_mw(estate, (device for device in here if not estate.gpus(device)))
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
    twice = round(2 * _draw_mw(estate, here), 6)
    return Stated(twice, "twice the budgets of its devices", "low", "power ports")


def _plants(draft: _Draft, clusters: Sequence[_Cluster]) -> Mapping[int, str]:
    """Add loops, their sources and what cools air, with their units; names by loop."""
    estate, loops = draft.estate, dict[int, str]()
    behind: dict[int, float] = {}
    sources = dict.fromkeys(estate.sources, "")
    for number, loop in estate.loops.items():
        cooled = tuple(cluster for cluster in clusters if number in cluster.loops)
        if not cooled:
            continue
        source = estate.sources[loop.cooling_source]
        region = draft.regions[source.site]
        sources[source.id] = sources[source.id] or draft.names.new(region, source.name)
        name = loops[number] = draft.names.new(region, loop.name)
        capacity = _loop_mw(estate, number, cooled)
        behind[source.id] = behind.get(source.id, 0.0) + capacity.value
        units = {f"{name}-loop": (capacity, loop.name or "")}
        draft.plant(
            name,
            f"loop {loop.name}",
            region,
            units,
            [cluster.name for cluster in cooled],
            sources[source.id],
        )
    for number, name in sources.items():
        source = estate.sources[number]
        title = f"{source.type or 'source'} {source.name}"
        if name:
            total = round(behind[number], 6)
            capacity = Stated(total, "no capacity; as its loops", "low", "cooling feeds")
            if source.cooling_capacity:
                capacity = Stated(source.cooling_capacity / 1e3)
            region = draft.regions[source.site]
            draft.plant(name, title, region, {f"{name}-unit": (capacity, title)}, ())
        elif source.type not in ROOM_UNITS:
            draft.find("left out", f"cooling source {source.name}", "no loop in place cools GPUs")
    for site, region in draft.regions.items():
        aired = tuple(c for c in clusters if c.region == region and not c.loops)
        if aired:
            _add_room(draft, site, region, aired)
    return loops


def _loop_mw(estate: Estate, number: int, cooled: Sequence[_Cluster]) -> Stated:
    """Capacity of a loop: its own or that of the distribution units on it, the smaller."""
    loop = estate.loops[number]
    parts = {"loop": loop.cooling_capacity, "CDUs": sum(estate.cdus.get(loop.rack, {}).values())}
    known = {part: kw for part, kw in parts.items() if kw}
    if known:
        why = " and ".join(f"{part} {kw:g} kW" for part, kw in known.items())
        return Stated(round(min(known.values()) / 1e3, 9), f"least of {why}")
    return _as_heat(estate, cooled)


def _as_heat(estate: Estate, cooled: Sequence[_Cluster]) -> Stated:
    heat = _draw_mw(estate, (device for cluster in cooled for device in cluster.devices))
    return Stated(round(heat, 9) or 0.001, "as the heat of what it cools", "low", "power ports")


def _add_room(draft: _Draft, site: int, region: str, aired: tuple[_Cluster, ...]) -> None:
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
    draft.plant(name, f"air of {region}", region, units, [cluster.name for cluster in aired])


def _rack_mw(estate: Estate, aired: Sequence[_Cluster]) -> Stated:
    racks = estate.racks_with(device for cluster in aired for device in cluster.devices)
    kw = [rack.cooling_capacity for rack in racks]
    if not kw or not all(kw):
        return _as_heat(estate, aired)
    total = sum(capacity or 0.0 for capacity in kw)
    return Stated(round(total / 1e3, 9), "what its racks are made for", "medium", "racks")


def _feeds(draft: _Draft, clusters: Sequence[_Cluster], loops: Mapping[int, str]) -> None:
    estate = draft.estate
    for number, devices in estate.feeds.items():
        feed = estate.export["power-feeds"][number]
        panel = estate.export["power-panels"][feed.power_panel]
        powers = [cluster.name for cluster in clusters if number in cluster.feeds]
        powers += [
            plant
            for loop, plant in loops.items()
            if devices & estate.cdus.get(estate.loops[loop].rack, {}).keys()
        ]
        title = f"feed {feed.name} of panel {panel.name}"
        if not powers:
            draft.find("left out", title, "nothing in place that is known hangs on it")
            continue
        fields = {
            "region": Stated(draft.regions[panel.site]),
            "capacity_mw": Stated(usable_va(feed) / 1e6, f"{feed.max_utilization:g} % of breaker"),
            "powers": Stated(sorted(powers)),
        }
        draft.add("feeds", draft.names.new(draft.regions[panel.site], feed.name), title, fields)


def _left_out(draft: _Draft) -> None:
    """What is in the inventory and not in the model, and why."""
    estate, export = draft.estate, draft.estate.export
    there = {device.id for device in estate.devices}
    for device in export["devices"].values():
        count, place = estate.gpus(device), estate.place(device)
        if count and device.id not in there:
            off, status = "device", device.status
            if device.site not in estate.sites:
                off, status = "site", export["sites"][device.site].status
            draft.find("left out", place, f"{off} {shown(status)}, {count} GPUs each")
        elif not count and device.id in there and "gpu" in (device.role or "").lower():
            draft.find("missing", place, "number of GPUs")
    for feed in export["power-feeds"].values():
        if estate.site_of(feed) in estate.sites and not estate.counts(feed.status):
            draft.find("left out", f"feed {feed.name}", f"is {shown(feed.status)}")
    for number, loop in export["cooling-feeds"].items():
        source = export["cooling-sources"].get(loop.cooling_source)
        if source is not None and source.site in estate.sites and number not in estate.loops:
            text = "it or its source is not in place, or has no rack"
            draft.find("left out", f"loop {loop.name}", text)


IMPORTER = Importer(read_netbox, NAMES, "NETBOX_TOKEN")
