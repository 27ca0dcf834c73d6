"""Checks that need more than one value: references, sums, impossible combinations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from planner.infrastructure.catalogue import demand_shape_names
from planner.infrastructure.entities import Cluster, Model
from planner.infrastructure.source import Document, Path_

#: Path pattern (`*` any key, `#` any index, `@` the key itself is the reference) and the
#: section that the value must name.
REFERENCES: tuple[tuple[tuple[str, ...], str], ...] = (
    (("clusters", "*", "region"), "regions"),
    (("clusters", "*", "gpu"), "gpus"),
    (("plants", "*", "region"), "regions"),
    (("plants", "*", "cools", "#"), "clusters"),
    (("plants", "*", "existing", "@"), "cooling_units"),
    (("plants", "*", "options", "#"), "cooling_units"),
    (("plants", "*", "depends_on", "#"), "services"),
    (("feeds", "*", "region"), "regions"),
    (("feeds", "*", "powers", "#"), "clusters plants"),
    (("services", "*", "replicas", "@"), "regions"),
    (("services", "*", "runs_on", "#"), "clusters"),
    (("services", "*", "depends_on", "#"), "services"),
    (("services", "*", "any_of", "#"), "services"),
    (("services", "*", "degrades_without", "#"), "services"),
    (("tiers", "*", "entry"), "services"),
    (("zones", "*", "latency_ms", "@"), "regions"),
    (("zones", "*", "transport_usd_per_million_requests", "@"), "regions"),
    (("zones", "*", "prefers", "#"), "regions"),
    (("zones", "*", "shape"), "shapes"),
    (("offers", "*", "region"), "regions"),
    (("standard", "*", "#", "tier"), "tiers"),
    (("policies", "fixed", "cooling", "@"), "plants"),
    (("policies", "fixed", "cooling", "*", "@"), "cooling_units"),
    (("policies", "fixed", "gpus", "@"), "clusters"),
    (("policies", "fixed", "emergency", "@"), "offers"),
    (("policies", "forbidden", "cooling", "#"), "plants cooling_units"),
    (("policies", "forbidden", "gpus", "#"), "clusters"),
    (("policies", "forbidden", "emergency", "#"), "offers"),
    (("scenarios", "*", "events", "#", "plant"), "plants"),
    (("scenarios", "*", "events", "#", "unit"), "cooling_units"),
    (("scenarios", "*", "events", "#", "region"), "regions"),
    (("scenarios", "*", "events", "#", "zones", "#"), "zones"),
)
EVENT_SECTIONS = {
    "plant": "plants",
    "feed": "feeds",
    "region": "regions",
    "cluster": "clusters",
    "service": "services",
}
#: Names accepted beside those of the section.
EXTRA: dict[tuple[str, ...], tuple[str, ...]] = {("standard", "*", "#", "tier"): ("all", "each")}


def _matches(data: Any, pattern: tuple[str, ...], path: Path_) -> Iterator[tuple[Path_, Any]]:
    """Values of raw data under a pattern; silent where the data has another form."""
    if not pattern:
        yield path, data
        return
    head, rest = pattern[0], pattern[1:]
    if head == "@" and isinstance(data, dict):
        yield from (((*path, key), key) for key in data)
    elif head == "*" and isinstance(data, dict):
        for key, value in data.items():
            yield from _matches(value, rest, (*path, key))
    elif head == "#" and isinstance(data, list):
        for index, value in enumerate(data):
            yield from _matches(value, rest, (*path, index))
    elif isinstance(data, dict) and head in data:
        yield from _matches(data[head], rest, (*path, head))


def _names(data: Mapping[str, Any], sections: str) -> list[str]:
    names: list[str] = []
    for section in sections.split():
        entries = data.get(section)
        names += list(entries) if isinstance(entries, dict) else []
        if section == "shapes":
            names += ["flat", *demand_shape_names()]
    return names


def check_references(document: Document) -> None:
    """Complain about every name that nothing has, on raw data, valid otherwise or not."""
    for pattern, sections in REFERENCES:
        accepted = [*_names(document.data, sections), *EXTRA.get(pattern, ())]
        for path, value in _matches(document.data, pattern, ()):
            _check_name(document, path, value, accepted, sections)
    for path, event in _matches(document.data, ("scenarios", "*", "events", "#"), ()):
        if isinstance(event, dict) and event.get("kind") in EVENT_SECTIONS and "name" in event:
            section = EVENT_SECTIONS[event["kind"]]
            accepted = _names(document.data, section)
            _check_name(document, (*path, "name"), event["name"], accepted, section)


def _check_name(
    document: Document, path: Path_, value: Any, accepted: list[str], sections: str
) -> None:
    if not isinstance(value, str) or value in accepted:
        return
    close = get_close_matches(value, accepted, n=1)
    hint = f"; did you mean `{close[0]}`?" if close else ""
    known = ", ".join(accepted[:12]) + (", …" if len(accepted) > 12 else "")
    what = sections.replace(" ", " or ")
    document.complain(path, f"`{value}` is not among {what} ({known or 'none'}){hint}")


def check_sense(model: Model, document: Document) -> None:
    """Complain about combinations that no infrastructure has."""
    _check_demand(model, document)
    _check_clusters(model, document)
    _check_plants(model, document)
    _check_scenarios(model, document)
    _check_services(model, document)
    _check_names(model, document)


def _check_demand(model: Model, document: Document) -> None:
    if sum(zone.demand_rps for zone in model.zones.values()) <= 0:
        document.complain(("zones",), "the demand of all zones is zero; there is nothing to serve")
    total = sum(tier.share for tier in model.tiers.values())
    if abs(total - 1) > 1e-6:
        document.complain(("tiers",), f"the shares add up to {total:g}; expected 1")
    for name, shape in model.shapes.items():
        if len(shape) not in (24, 168):
            document.complain(("shapes", name), f"{len(shape)} values; expected 24 or 168")
        elif max(shape) <= 0:
            document.complain(("shapes", name), "has no hour with demand")
    for name, zone in model.zones.items():
        if zone.demand_rps and not zone.latency_ms:
            document.complain(("zones", name, "latency_ms"), "no region can be reached")


def _check_clusters(model: Model, document: Document) -> None:
    for name, cluster in model.clusters.items():
        path = ("clusters", name)
        if cluster.existing_gpus > cluster.max_gpus:
            message = f"{cluster.existing_gpus} existing GPUs exceed max_gpus {cluster.max_gpus}"
            document.complain((*path, "existing_gpus"), message)
        if not cluster.setpoint_c < cluster.throttle_c < cluster.shutdown_c:
            document.complain(path, "expected setpoint_c < throttle_c < shutdown_c")
        if not cluster.setpoint_c <= cluster.restart_c < cluster.shutdown_c:
            document.complain(path, "expected setpoint_c ≤ restart_c < shutdown_c")
        if model.regions[cluster.region].candidate and cluster.existing_gpus:
            document.complain(path, "has GPUs in a region that is only a candidate")
        if _needs_cooling(model, cluster) and not any(
            plant.role == "primary" and name in plant.cools for plant in model.plants.values()
        ):
            document.complain(path, "no primary plant cools it")


def _needs_cooling(model: Model, cluster: Cluster) -> bool:
    return model.gpus[cluster.gpu].power_mw > 0 and cluster.max_gpus > 0


def _check_plants(model: Model, document: Document) -> None:
    for name, plant in model.plants.items():
        for index, cluster in enumerate(plant.cools):
            if model.clusters[cluster].region != plant.region:
                path = ("plants", name, "cools", index)
                document.complain(path, f"`{cluster}` is not in region {plant.region}")
        if len(set(plant.options)) != len(plant.options):
            document.complain(("plants", name, "options"), "names a unit type twice")
        if model.regions[plant.region].candidate and any(plant.existing.values()):
            document.complain(("plants", name), "has units in a region that is only a candidate")
        if plant.role == "primary" and all(
            model.cooling_units[unit].mode == "standby"
            for unit in (*plant.existing, *plant.options)
        ):
            document.complain(("plants", name), "a primary plant needs units that run")


def _check_scenarios(model: Model, document: Document) -> None:
    for name, scenario in model.scenarios.items():
        for index, event in enumerate(scenario.events):
            path = ("scenarios", name, "events", index)
            if event.kind == "units":
                have = model.plants[event.plant].existing.get(event.unit, 0)
                if event.count > have:
                    document.complain(
                        path, f"loses {event.count} {event.unit}, the plant has {have}"
                    )
            providers = sorted({offer.provider for offer in model.offers.values()})
            if event.kind == "provider" and event.name not in providers:
                document.complain(path, f"`{event.name}` is no provider ({', '.join(providers)})")
    used = [scenario.severity for scenario in model.scenarios.values()]
    for family in type(model.generators).model_fields:
        terms = getattr(model.generators, family)
        used += [terms.severity] if hasattr(terms, "severity") else []
    for severity in sorted(set(used) - set(model.standard)):
        document.complain(("standard",), f"has no rules for severity `{severity}`")


def _check_services(model: Model, document: Document) -> None:
    edges = {
        name: (*service.depends_on, *service.any_of, *service.degrades_without)
        for name, service in model.services.items()
    }
    state: dict[str, int] = {}

    def visit(name: str, trail: tuple[str, ...]) -> None:
        if state.get(name) == 1:
            cycle = " → ".join((*trail[trail.index(name) :], name))
            document.complain(("services", name), f"depends on itself: {cycle}")
        if name in state:
            return
        state[name] = 1
        for other in edges[name]:
            visit(other, (*trail, name))
        state[name] = 2

    for name, service in model.services.items():
        visit(name, ())
        if service.replicas and service.needs_replicas > sum(service.replicas.values()):
            have = sum(service.replicas.values())
            message = f"{service.needs_replicas} replicas are needed, {have} exist"
            document.complain(("services", name, "needs_replicas"), message)


def _check_names(model: Model, document: Document) -> None:
    """Names that differ only in signs would be one name to a solver."""
    for section in ("regions", "clusters", "cooling_units", "plants", "tiers", "zones", "offers"):
        seen: dict[str, str] = {}
        for name in getattr(model, section):
            folded = "".join(sign if sign.isalnum() else "_" for sign in name)
            if folded in seen:
                document.complain((section, name), f"differs from `{seen[folded]}` only in signs")
            seen[folded] = name
    reserved = {"each", "all"} & set(model.tiers)
    for name in reserved:
        document.complain(("tiers", name), "is a reserved word of the standard")
