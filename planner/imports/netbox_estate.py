"""What an export of NetBox says of an estate: what is in place, what feeds and cools what."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from planner.imports.inventory import Finding, Total, gathered, shown
from planner.imports.netbox_records import (
    CoolingFeed,
    CoolingSource,
    Device,
    Export,
    PowerFeed,
    PowerOutlet,
    PowerPort,
    Rack,
)
from planner.laws.power import usable_circuit_va

IN_PLACE = frozenset({"active"})
PLANNED = frozenset({"active", "planned", "staged", "staging"})
#: Sources that cool the air of a room, to which no loop runs.
ROOM_UNITS = frozenset({"crac", "crah"})


def usable_va(feed: PowerFeed) -> int:
    """Usable apparent power of a feed, in VA."""
    three_phase = feed.phase == "three-phase"
    return usable_circuit_va(feed.voltage, feed.amperage, feed.max_utilization / 100, three_phase)


@dataclass(frozen=True)
class Estate:
    """An export, and whether planned and staged equipment counts as in place."""

    export: Export
    planned: bool

    def counts(self, status: str | None) -> bool:
        """Whether equipment of a status is in place."""
        return status in (PLANNED if self.planned else IN_PLACE)

    @cached_property
    def sites(self) -> frozenset[int]:
        """Sites in place."""
        return frozenset(i for i, site in self.export["sites"].items() if self.counts(site.status))

    def gpus(self, device: Device) -> int:
        """GPUs of a device: its own figure, else that of its type."""
        own = device.custom_fields.gpu_count
        by_type = self.export["device-types"][device.device_type].custom_fields.gpu_count
        return (own if own is not None else by_type) or 0

    def gpu_type(self, device: Device) -> str:
        """Type of its GPUs."""
        kind = self.export["device-types"][device.device_type]
        return device.custom_fields.gpu_type or kind.custom_fields.gpu_type or kind.slug

    def place(self, device: Device) -> str:
        """Site and name of a device, for people; the name may be missing."""
        name = device.name or device.asset_tag or f"device {device.id}"
        return shown(f"{self.export['sites'][device.site].name} {name}")

    @cached_property
    def devices(self) -> tuple[Device, ...]:
        """Devices in place."""
        every = sorted(self.export["devices"].items())
        return tuple(d for _, d in every if d.site in self.sites and self.counts(d.status))

    @cached_property
    def ports(self) -> Mapping[int, Sequence[PowerPort]]:
        """Inlets of each device."""
        return gathered((port.device, port) for port in self.export["power-ports"].values())

    @cached_property
    def outlets(self) -> Mapping[int | None, Sequence[PowerOutlet]]:
        """Outlets behind each inlet."""
        outlets = self.export["power-outlets"].values()
        return gathered((outlet.power_port, outlet) for outlet in outlets)

    def traced(self, feed: PowerFeed, whatever: bool) -> tuple[PowerPort, ...]:
        """Inlets that a feed supplies in the end, behind distribution units.

        Parameters
        ----------
        whatever
            Whether paths over cables that are not in place count.
        """
        waiting, seen, ends = list(feed.ports(whatever)), set[int](), []
        while waiting:
            port = waiting.pop()
            if port in seen or port not in self.export["power-ports"]:
                continue
            seen.add(port)
            outlets = self.outlets.get(port, ())
            for outlet in outlets:
                waiting += outlet.ports(whatever)
            if not outlets:
                ends.append(self.export["power-ports"][port])
        return tuple(ends)

    @cached_property
    def feeds(self) -> Mapping[int, frozenset[int]]:
        """Devices in place at its site that each feed in place supplies."""
        sites = {device.id: device.site for device in self.devices}
        found = {}
        for number, feed in sorted(self.export["power-feeds"].items()):
            site = self.site_of(feed)
            if self.counts(feed.status) and site in self.sites:
                ends = {port.device for port in self.traced(feed, self.planned)}
                found[number] = frozenset(end for end in ends if sites.get(end) == site)
        return found

    def site_of(self, feed: PowerFeed) -> int:
        """Site of a feed's panel."""
        site: int = self.export["power-panels"][feed.power_panel].site
        return site

    def fed_by(self, device: Device) -> frozenset[int]:
        """Feeds that supply a device."""
        return frozenset(self._suppliers.get(device.id, ()))

    @cached_property
    def _suppliers(self) -> Mapping[int, Sequence[int]]:
        feeds = self.feeds.items()
        return gathered((device, feed) for feed, devices in feeds for device in devices)

    def draw_w(self, device: Device) -> float | None:
        """Power budget of a device, nameplate where it has none; None if unknown."""
        ports = self.ports.get(device.id, ())
        draws = [
            p.allocated_draw if p.allocated_draw is not None else p.maximum_draw for p in ports
        ]
        known = [draw for draw in draws if draw is not None]
        return sum(known) if known else None

    @cached_property
    def loops(self) -> Mapping[int, CoolingFeed]:
        """Loops in place to a rack of the site of their source, which is in place too."""
        site = {number: rack.site for number, rack in self.export["racks"].items()}
        return {
            number: loop
            for number, loop in sorted(self.export["cooling-feeds"].items())
            if self.counts(loop.status)
            and (source := self.sources.get(loop.cooling_source))
            and site.get(loop.rack) == source.site
        }

    @cached_property
    def sources(self) -> Mapping[int, CoolingSource]:
        """Cooling sources in place."""
        every = sorted(self.export["cooling-sources"].items())
        return {i: s for i, s in every if self.counts(s.status) and s.site in self.sites}

    def loops_of(self, device: Device) -> frozenset[int]:
        """Loops that cool a device; none for what air cools."""
        if not self.is_liquid(device) or device.rack is None:
            return frozenset()
        same_site = self.export["racks"][device.rack].site == device.site
        return frozenset(self._loops_to.get(device.rack, ())) if same_site else frozenset()

    @cached_property
    def _loops_to(self) -> Mapping[int | None, Sequence[int]]:
        """Loops to each rack."""
        return gathered((loop.rack, number) for number, loop in self.loops.items())

    def is_liquid(self, device: Device) -> bool:
        """Whether liquid cools a device, alone or with air."""
        kind = self.export["device-types"][device.device_type]
        return (device.cooling_method or kind.cooling_method) in ("liquid", "hybrid")

    @cached_property
    def cdus(self) -> Mapping[int | None, Mapping[int, float]]:
        """Coolant distribution units in place by rack: device and kW."""
        types = self.export["device-types"]
        kw = ((d, types[d.device_type].custom_fields.cooling_capacity_kw) for d in self.devices)
        found = gathered(
            (device.rack, (device.id, capacity)) for device, capacity in kw if capacity
        )
        return {rack: dict(units) for rack, units in found.items()}

    def racks_with(self, devices: Iterable[Device]) -> tuple[Rack, ...]:
        """Racks of some devices."""
        numbers = sorted({device.rack for device in devices if device.rack is not None})
        return tuple(self.export["racks"][number] for number in numbers)


def totals(estate: Estate) -> tuple[Total, ...]:
    """GPUs, usable power of feeds and cooling by site and status, in place or not."""
    export, sources = estate.export, estate.export["cooling-sources"]
    amounts: list[tuple[int, str, str | None, float | None]] = [
        *((d.site, "GPUs", d.status, estate.gpus(d) or None) for d in export["devices"].values()),
        *(
            (estate.site_of(feed), "usable feed VA", feed.status, usable_va(feed))
            for feed in export["power-feeds"].values()
        ),
        *((s.site, "cooling source kW", s.status, s.cooling_capacity) for s in sources.values()),
        *(
            (source.site, "loop kW", loop.status, loop.cooling_capacity or 0.0)
            for loop in export["cooling-feeds"].values()
            if (source := sources.get(loop.cooling_source))
        ),
    ]
    found = gathered(
        ((str(export["sites"][site].name), what, str(status)), value)
        for site, what, status, value in amounts
        if value is not None
    )
    return tuple(Total(*key, round(sum(values), 6)) for key, values in sorted(found.items()))


def suspects(estate: Estate) -> Iterator[Finding]:
    """What contradicts itself or will not survive the loss of one feed."""
    yield from _overloads(estate)
    intakes: dict[int, bool] = {}
    for intake in estate.export["cooling-intakes"].values():
        fed = intake.cooling_outflow is not None
        intakes[intake.device] = intakes.get(intake.device, False) or fed
    cdus = {number for units in estate.cdus.values() for number in units}
    for device in estate.devices:
        place = estate.place(device)
        if estate.gpus(device) and len(estate.fed_by(device)) == 1:
            yield Finding("suspect", place, "is supplied by one feed alone")
        if estate.gpus(device) and not estate.fed_by(device):
            yield Finding("suspect", place, "is on no feed; only its region's limit holds for it")
        if device.id in cdus and not estate.fed_by(device):
            yield Finding("suspect", place, "pumps coolant and is on no feed; none can stop it")
        if device.id not in cdus and intakes.get(device.id) is False:
            yield Finding("suspect", place, "takes coolant, and no outflow feeds it")
        if estate.gpus(device) and estate.is_liquid(device) and not estate.loops_of(device):
            yield Finding("suspect", place, "is liquid-cooled, and no loop in place runs to it")


def _overloads(estate: Estate) -> Iterator[Finding]:
    """Racks that one of their feeds does not carry alone, by budget."""
    by_rack = gathered(
        (feed.rack, feed)
        for feed in estate.export["power-feeds"].values()
        if feed.rack is not None and estate.site_of(feed) in estate.sites
    )
    for number, feeds in sorted(by_rack.items()):
        live = [feed for feed in feeds if estate.feeds.get(feed.id)]
        # Whatever the status of device and cable: what is plugged in may be switched on.
        load = sum(
            port.allocated_draw or 0.0 for feed in feeds for port in estate.traced(feed, True)
        )
        least = min(map(usable_va, live), default=0)
        if live and load > least:
            rack = estate.export["racks"][number]
            name = shown(f"{estate.export['sites'][rack.site].name} {rack.name}")
            have = "its one feed" if len(live) == 1 else "one of its feeds"
            text = f"{load:,.0f} W of budgets hang on it, {have} carries {least:,} VA"
            yield Finding("suspect", name, text)
