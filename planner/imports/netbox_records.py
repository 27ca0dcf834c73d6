"""An export of NetBox as records: the fields that matter, checked, of every file at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo

from planner.errors import InputError, Problem, collected, refuse
from planner.files import read_bytes
from planner.imports.inventory import Asked
from planner.imports.live import Pages, live_lists
from planner.imports.reading import Amount, Whole, pages, read_records
from planner.infrastructure.source import MOST_VALUES

#: Custom fields, which every site names itself.
NAMES = {
    name: name for name in ("gpu_type", "gpu_count", "cooling_capacity_kw", "grid_connection_mw")
}


def _renamed(fields: Any, info: ValidationInfo) -> Any:
    """Custom fields by our names."""
    names: Mapping[str, str] = {**NAMES, **(info.context or {})}
    if not isinstance(fields, dict):
        return fields
    return {ours: fields[theirs] for ours, theirs in names.items() if theirs in fields}


def _inner(key: str) -> BeforeValidator:
    return BeforeValidator(lambda value: value.get(key) if isinstance(value, dict) else value)


Id = Annotated[int, _inner("id"), Field(ge=1)]
#: A choice is an object with a translated label, in older versions its bare value.
Choice = Annotated[str | None, _inner("value")]
Degrees = Annotated[float, Field(ge=-180, le=180, allow_inf_nan=False)]


class Record(BaseModel):
    """An object of NetBox."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    id: Id
    name: str | None = None


class Page[T](BaseModel):
    """One answer of the API."""

    count: int | None
    results: Annotated[tuple[T, ...], Field(max_length=MOST_VALUES)]


class SiteFields(BaseModel):
    """Custom fields of a site."""

    grid_connection_mw: Amount | None = None


class GpuFields(BaseModel):
    """Custom fields of devices and their types."""

    gpu_type: Choice = None
    gpu_count: Whole | None = None
    cooling_capacity_kw: Amount | None = None


class Site(Record):
    """A site; `region` is the name of its region."""

    status: Choice
    region: Annotated[str | None, _inner("name")] = None
    latitude: Degrees | None = None
    longitude: Degrees | None = None
    custom_fields: Annotated[SiteFields, BeforeValidator(_renamed)] = SiteFields()


class Rack(Record):
    """A rack; kW."""

    site: Id
    cooling_capacity: Amount | None = None


class DeviceType(Record):
    """A type of device."""

    slug: str
    cooling_method: Choice = None
    custom_fields: Annotated[GpuFields, BeforeValidator(_renamed)] = GpuFields()


class Device(Record):
    """A device."""

    site: Id
    rack: Id | None = None
    status: Choice
    device_type: Id
    role: Annotated[str | None, _inner("slug")] = None
    cooling_method: Choice = None
    asset_tag: str | None = None
    custom_fields: Annotated[GpuFields, BeforeValidator(_renamed)] = GpuFields()


class Panel(Record):
    """A power panel."""

    site: Id


class Connected(Record):
    """Something with a cable, and what is at the other end of the path."""

    connected_endpoints: tuple[Id, ...] | None = None
    connected_endpoints_type: str | None = None
    connected_endpoints_reachable: bool | None = None

    def ports(self, whatever: bool) -> tuple[int, ...]:
        """Power ports at the other end; of paths with cables not in place only if `whatever`."""
        if self.connected_endpoints_type != "dcim.powerport":
            return ()
        there = whatever or self.connected_endpoints_reachable
        return self.connected_endpoints or () if there else ()


class PowerFeed(Connected):
    """A circuit; V (negative for some direct current), A, % of the breaker."""

    power_panel: Id
    rack: Id | None = None
    status: Choice
    phase: Choice = None
    voltage: Annotated[float, Field(ge=-1e6, le=1e6, allow_inf_nan=False)]
    amperage: Amount
    max_utilization: Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)] = 80.0


class PowerPort(Record):
    """An inlet; W."""

    device: Id
    maximum_draw: Amount | None = None
    allocated_draw: Amount | None = None


class PowerOutlet(Connected):
    """An outlet, and the inlet behind it."""

    power_port: Id | None = None


class CoolingSource(Record):
    """A plant; kW."""

    site: Id
    status: Choice
    type: Choice = None
    cooling_capacity: Amount | None = None


class CoolingFeed(Record):
    """A loop; kW."""

    cooling_source: Id
    rack: Id | None = None
    status: Choice
    cooling_capacity: Amount | None = None


class Outflow(BaseModel):
    """The outflow of another device."""

    device: Id


class CoolingIntake(Record):
    """An inlet of coolant, and the outflow that feeds it."""

    device: Id
    cooling_outflow: Outflow | None = None


REQUIRED: Mapping[str, type[Record]] = {
    "sites": Site,
    "racks": Rack,
    "device-types": DeviceType,
    "devices": Device,
    "power-panels": Panel,
    "power-feeds": PowerFeed,
    "power-ports": PowerPort,
    "power-outlets": PowerOutlet,
}
#: NetBox has cooling from 4.7 on.
OPTIONAL: Mapping[str, type[Record]] = {
    "cooling-sources": CoolingSource,
    "cooling-feeds": CoolingFeed,
    "cooling-intakes": CoolingIntake,
}
#: Fields that name records of another file.
REFERENCES = {
    "site": "sites",
    "rack": "racks",
    "device_type": "device-types",
    "device": "devices",
    "power_panel": "power-panels",
    "power_port": "power-ports",
    "cooling_source": "cooling-sources",
}


@dataclass(frozen=True)
class Export:
    """Records by file and id."""

    records: Mapping[str, Mapping[int, Any]]
    absent: tuple[str, ...]

    def __getitem__(self, name: str) -> Mapping[int, Any]:
        return self.records[name]


def read_export(asked: Asked) -> Export:
    """Read the lists of NetBox's API, or files of them: ``NAME.json``, its pages ``NAME.*.json``.

    Raises
    ------
    InputError
        With all problems of all lists.
    """
    problems: list[Problem] = []
    records: dict[str, Mapping[int, Any]] = {}
    absent = []
    lists = _from_folder(asked.path) if asked.path is not None else live_lists(asked)
    for name, kind in {**REQUIRED, **OPTIONAL}.items():
        records[name] = {}
        with collected(problems):
            pages = lists(name)
            if pages:
                records[name] = _records(pages, kind, asked.names)
            elif name in REQUIRED:
                message = f"is missing; save what GET /api/dcim/{name}/ returns, with all its pages"
                raise InputError.single(f"{asked.place}/{name}.json", message)
            else:
                absent.append(name)
    refuse(problems)
    refuse(_dangling(asked.place, records, frozenset(absent)))
    return Export(records, tuple(absent))


def _from_folder(folder: Path) -> Callable[[str], Pages]:
    """Reads the files of a list in a folder."""
    if not folder.is_dir():
        raise InputError.single(str(folder), "is not a folder; expected one with sites.json, …")

    def read(name: str) -> Pages:
        return tuple((str(f), partial(read_bytes, f, str(f))) for f in pages(folder, name))

    return read


def _records(pages: Pages, kind: type[Record], names: Mapping[str, str]) -> Mapping[int, Record]:
    """Records of the pages of one list by id."""
    found: dict[int, Record] = {}
    problems: list[Problem] = []
    expected = 0
    for place, content in pages:
        with collected(problems):
            page: Page[Any] = read_records(content(), place, Page[kind], names)  # type: ignore[valid-type]
            expected = max(expected, page.count or 0)
            found |= {record.id: record for record in page.results}
    refuse(problems)
    if len(found) < expected:
        message = f"count: has {len(found):,} of {expected:,} objects; save the pages of `next` too"
        raise InputError.single(pages[-1][0], message)
    return found


def _dangling(
    place: str, records: Mapping[str, Mapping[int, Any]], absent: frozenset[str]
) -> Iterator[Problem]:
    """References to objects that the export does not have."""
    for name, found in records.items():
        for record in found.values():
            for field, target in REFERENCES.items():
                wanted = getattr(record, field, None)
                if wanted is None or target in absent or wanted in records[target]:
                    continue
                where = f"id {record.id}.{field}"
                message = f"{target}.json has no object with id {wanted}"
                yield Problem(f"{place}/{name}.json", 0, 0, where, message)
