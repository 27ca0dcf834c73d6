"""Terraform: machines with GPUs become clusters by zone, idle reservations offers."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from planner.amounts import counted
from planner.errors import InputError
from planner.imports.drafts import UNKNOWN_OF_CLOUDS, Draft, Pool, add_pools
from planner.imports.inventory import Asked, Importer, Inventory, Stated, shown
from planner.imports.terraform_state import Estate, Resource, inner, read_estates
from planner.infrastructure.catalogue import CATALOGUES, catalogue, data_directory
from planner.infrastructure.source import walk

#: Minutes until work has moved to capacity that is reserved and idle, a judgement.
RESERVED_LEAD_MINUTES = 10.0
#: Machines of one resource.
MOST_MACHINES = 100_000
#: Zones of a regional pool of GKE that does not name them.
GKE_ZONES = 3
#: Values by which machines say that the provider may take them back.
SPOT = {"market_type": "spot", "provisioning_model": "SPOT", "priority": "Spot"} | {
    "capacity_type": "SPOT",
    "preemptible": True,
    "spot": True,
}
UNKNOWN = (
    *UNKNOWN_OF_CLOUDS,
    ("services", "what the machines serve, and what that depends on: none here"),
    ("zones", "where users are, how many, shape of the week"),
)


@dataclass(frozen=True)
class _Kind:
    """Where a type of resource says what its machines are and how many: paths, and spaces between.

    Parameters
    ----------
    machine
        Paths of the machine type in the resource itself.
    templates
        Types of resources that say it instead, by the same paths.
    count, most
        Paths of numbers of machines; none means one.
    per_zone
        Whether the numbers are of each zone.
    reserved
        Whether the machines are only reserved.
    """

    machine: str
    templates: str = ""
    count: str = ""
    most: str = ""
    per_zone: bool = False
    reserved: bool = False


_LAUNCH = "aws_launch_template aws_launch_configuration"
_TEMPLATE = "google_compute_instance_template google_compute_region_instance_template"
_OVERRIDE = "mixed_instances_policy.launch_template.override.instance_type instance_type"
_EKS = "scaling_config.desired_size", "scaling_config.max_size"
_GKE = "node_count initial_node_count autoscaling.min_node_count", "autoscaling.max_node_count"
_AKS = "default_node_pool.node_count default_node_pool.min_count", "default_node_pool.max_count"
_HELD = "specific_reservation.instance_properties.machine_type"
_VM, _SET = _Kind("size vm_size"), _Kind("sku sku_name", "", "instances")
_GROUP = _Kind("machine_type", _TEMPLATE, "target_size")
KINDS = {
    "aws_instance": _Kind("instance_type", _LAUNCH),
    "aws_autoscaling_group": _Kind(_OVERRIDE, _LAUNCH, "desired_capacity min_size", "max_size"),
    "aws_eks_node_group": _Kind("instance_types instance_type", _LAUNCH, *_EKS),
    "aws_ec2_capacity_reservation": _Kind("instance_type", "", "instance_count", reserved=True),
    "google_compute_instance": _Kind("machine_type"),
    "google_compute_instance_group_manager": _GROUP,
    "google_compute_region_instance_group_manager": _GROUP,
    "google_container_node_pool": _Kind("node_config.machine_type", "", *_GKE, per_zone=True),
    "google_compute_reservation": _Kind(_HELD, "", "specific_reservation.count", reserved=True),
    "azurerm_linux_virtual_machine": _VM,
    "azurerm_windows_virtual_machine": _VM,
    "azurerm_virtual_machine": _VM,
    "azurerm_linux_virtual_machine_scale_set": _SET,
    "azurerm_windows_virtual_machine_scale_set": _SET,
    "azurerm_orchestrated_virtual_machine_scale_set": _SET,
    "azurerm_kubernetes_cluster": _Kind("default_node_pool.vm_size", "", *_AKS),
    "azurerm_kubernetes_cluster_node_pool": _Kind(
        "vm_size", "", "node_count min_count", "max_count"
    ),
    "azurerm_capacity_reservation": _Kind("sku.name", "", "sku.capacity", reserved=True),
}
#: Resources that give others their zones or region, and that change their number.
HOMES = (
    *("aws_subnet", "google_container_cluster"),
    *("azurerm_kubernetes_cluster", "azurerm_capacity_reservation_group"),
)
SCALERS = ("google_compute_autoscaler", "google_compute_region_autoscaler")
ZONES = (
    "availability_zone availability_zones zone zones node_locations distribution_policy_zones"
    " default_node_pool.zones"
)
PROVIDERS = {"aws": "aws", "google": "gcp", "azurerm": "azure"}
#: A zone of AWS or Google Cloud, with its region.
ZONE = re.compile(r"(.*\d)-?[a-z]")
#: Machine types whose names say that they have GPUs.
WITH_GPUS = re.compile(r"(p\d|gr?\d)[a-z0-9-]*\..*|(a[2-9]|g[2-9])x?-.*|Standard_N[CDGV].*")


@dataclass(frozen=True)
class _Machines:
    """Machines of one resource."""

    resource: Resource
    machine: str
    gpu: str
    gpus: int
    count: int
    most: int
    region: str
    zones: tuple[str, ...]

    @property
    def spread(self) -> bool:
        """Whether nothing says how many of them are in each zone."""
        return len(self.zones) > 1 and not KINDS[self.resource.type].per_zone

    def by_zone(self) -> Iterator[tuple[str, int, int]]:
        """Zones with numbers of machines now and at most, spread as evenly as they go."""
        zones = self.zones or ("",)
        for index, zone in enumerate(zones):
            more = len(zones) - 1 - index
            yield zone, (self.count + more) // len(zones), (self.most + more) // len(zones)


def read_terraform(asked: Asked) -> Inventory:
    """Read what ``terraform show -json`` printed of a plan or a state.

    Raises
    ------
    InputError
        If it is neither, or no machine with GPUs is in place.
    """
    draft = Draft("terraform")
    found = [
        machines
        for estate in read_estates(asked)
        for resource in estate.resources
        if resource.type in KINDS
        for machines in _machines(draft, estate, resource)
    ]
    pools = tuple(
        Pool(m.region, zone, m.gpu, now * m.gpus, most * m.gpus, m.resource.address, m.spread)
        for m in found
        if not KINDS[m.resource.type].reserved
        for zone, now, most in m.by_zone()
        if most
    )
    if not pools:
        hint = "" if asked.planned else "; --planned counts what a plan would make"
        raise InputError.single(asked.place, f"no machine with GPUs is in place{hint}")
    regions = {key[0]: names[0] for key, names in add_pools(draft, pools, "its machines").items()}
    _add_reservations(draft, found, regions)
    return draft.inventory(UNKNOWN)


def _machines(draft: Draft, estate: Estate, resource: Resource) -> Iterator[_Machines]:
    """The machines of a resource, if they have GPUs."""
    kind = KINDS[resource.type]
    values = [r.values for r in (resource, *estate.related(resource, *kind.templates.split()))]
    machine = _last(_first(values, kind.machine, str))
    gpu, gpus = _gpus(draft, resource, machine, values)
    if not machine:
        text = "type of its machines: it is in a template that is not here"
        draft.find("missing", resource.address, text)
    if not gpus:
        return
    region, zones = _place(draft, estate, resource)
    either = inner(resource.values, "mixed_instances_policy", "launch_template", "override")
    either = either or resource.values.get("instance_types")
    if isinstance(either, list) and len(either) > 1:
        draft.find("suspect", resource.address, "may be of several types: the first is counted")
    count = _first(values, kind.count, int) if kind.count else 1
    if count is None:
        draft.find("missing", resource.address, "number of machines: none counted")
    scalers = (r for r in estate.resources if r.type in SCALERS)
    scaled = [r.values for r in scalers if resource in estate.related(r, resource.type)]
    most = _first(values, kind.most, int)
    most = most or _first(scaled, "autoscaling_policy.max_replicas", int)
    each = (len(zones) or GKE_ZONES) if kind.per_zone else 1
    if kind.per_zone and not zones:
        draft.find("missing", resource.address, f"its zones: {GKE_ZONES} counted, the default")
    said = [(path[-1], value) for part in values for path, value in walk(part) if path]
    if any((key, value) in said for key, value in SPOT.items()):
        text = "is spot capacity, which the provider may take back at any time"
        draft.find("suspect", resource.address, text)
    now = (count or 0) * each
    yield _Machines(resource, machine, gpu, gpus, now, max(now, (most or 0) * each), region, zones)


def _gpus(
    draft: Draft, resource: Resource, machine: str, values: list[dict[str, Any]]
) -> tuple[str, int]:
    """Type and number of GPUs of a machine; none where it has none or they are unknown."""
    if machine in instances():
        return instances()[machine]
    for path in KINDS[resource.type].machine.split():
        parent = path.rpartition(".")[0]
        for name in ("guest_accelerator", "guest_accelerators"):
            where = f"{parent}.{name}".strip(".")
            gpu = _last(_first(values, f"{where}.type {where}.accelerator_type", str))
            count = _first(values, f"{where}.count {where}.accelerator_count", int)
            if gpu and count:
                return re.sub("^nvidia-(tesla-)?", "", gpu), count
    if WITH_GPUS.fullmatch(machine):
        text = f"GPUs of {machine!a}: it is not in datasets/gpu_instances.csv"
        draft.find("missing", resource.address, text)
    return "", 0


def _place(draft: Draft, estate: Estate, resource: Resource) -> tuple[str, tuple[str, ...]]:
    """Region and zones of a resource: its own, else those of what it is in, else its provider's."""
    own = [resource.values]
    homes = [home.values for home in estate.related(resource, *HOMES)]
    where = [_last(_first(part, "region location", str)) for part in (own, homes)]
    zones = _zones(own) or tuple(w for w in where[:1] if ZONE.fullmatch(w)) or _zones(homes)
    arn = (_first(own, "arn", str) or "").split(":")
    regions = [
        *(ZONE.sub(r"\1", text) if ZONE.fullmatch(text) else text for text in where),
        *(found[1] for zone in zones if (found := ZONE.fullmatch(zone))),
        *arn[3:4],
        estate.provider_region(resource),
    ]
    region = next(filter(None, regions), "")
    if resource.type.startswith("azurerm_"):
        region = region.replace(" ", "").lower()
    if not region:
        draft.find("missing", resource.address, "region: neither it nor its provider says it")
    return region or "one-region", zones


def _zones(values: list[dict[str, Any]]) -> tuple[str, ...]:
    """All zones that values name."""
    found = set[str]()
    for part in values:
        for path in ZONES.split():
            said = inner(part, *path.split("."))
            texts = said if isinstance(said, list) else [said]
            found |= {_last(text) for text in texts if isinstance(text, str) and text}
    return tuple(sorted(found))


def _add_reservations(draft: Draft, found: list[_Machines], regions: Mapping[str, str]) -> None:
    """Add what reservations hold beyond the machines of their type and zone as offers."""
    running = Counter[tuple[str, str, str]]()
    for machines in found:
        if not KINDS[machines.resource.type].reserved:
            for zone, now, _ in machines.by_zone():
                running[machines.region, zone, machines.machine] += now
    for machines in found:
        if not KINDS[machines.resource.type].reserved:
            continue
        for zone, held, _ in machines.by_zone():
            key = machines.region, zone, machines.machine
            used = min(held, running[key])
            running[key] -= used
            if used:
                text = f"{counted(used, 'machine')} of its type in its zone take it up"
                draft.find("left out", machines.resource.address, text)
            if held > used:
                _add_offer(draft, machines, zone, held - used, regions)


def _add_offer(
    draft: Draft, machines: _Machines, zone: str, spare: int, regions: Mapping[str, str]
) -> None:
    name = machines.machine.removeprefix("Standard_")
    entries = catalogue(CATALOGUES["offers"]).items()
    entry = next((key for key, offer in entries if offer.get("instance") == name), None)
    if entry is not None:
        table = "datasets/cloud_offers.csv"
        fields = {"from": Stated(entry, "the entry of this type of instance", "medium", table)}
    else:
        fields = {
            "provider": Stated(PROVIDERS[machines.resource.type.split("_")[0]]),
            "instance": Stated(shown(name)),
            "gpus_per_instance": Stated(machines.gpus),
            "usd_per_instance_hour": Stated(0.0, "no price in the catalogue", "low"),
        }
    fields |= {
        "available_gpus": Stated(spare * machines.gpus, "reserved and idle"),
        "existing_instances": Stated(spare, "reserved and idle"),
        "prepaid": Stated(True, "a reservation is paid for whether it is used or not", "medium"),
        "lead_time_minutes": Stated(RESERVED_LEAD_MINUTES, "time to start on idle machines", "low"),
        "rps_per_gpu": Stated(1.0, "demand counts in GPUs at full load", "low"),
    }
    if machines.region in regions:
        fields["region"] = Stated(regions[machines.region])
    title = machines.resource.address
    draft.add("offers", draft.names.new("reserved", zone or machines.region, name), title, fields)


@cache
def instances() -> dict[str, tuple[str, int]]:
    """Type and number of GPUs by type of instance."""
    path = data_directory("datasets") / "gpu_instances.csv"
    with path.open(encoding="utf-8", newline="") as stream:
        rows = csv.DictReader(stream)
        return {row["instance"]: (row["gpu"], int(row["gpus_per_instance"])) for row in rows}


def _first[T: (str, int)](values: list[dict[str, Any]], paths: str, kind: type[T]) -> T | None:
    """The first value at one of some paths that is of a kind, and a number that can be one."""
    for part in values:
        for path in paths.split():
            found = inner(part, *path.split("."))
            found = found[0] if isinstance(found, list) and found else found
            is_kind = isinstance(found, kind) and not isinstance(found, bool) and found != ""
            if is_kind and (isinstance(found, str) or 0 <= found <= MOST_MACHINES):
                number_or_text: T = found
                return number_or_text
    return None


def _last(text: str | None) -> str:
    """Last part of a URL of Google Cloud; other texts as they are."""
    return (text or "").rsplit("/", 1)[-1]


IMPORTER = Importer(read_terraform, {})
