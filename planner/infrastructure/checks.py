"""Checks that need more than one value: references, sums, impossible combinations."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

import networkx as nx

from planner.files import package_table
from planner.infrastructure.catalogue import demand_shape_names, hot_week_names, shipped_incidents
from planner.infrastructure.entities import Model
from planner.infrastructure.entity_checks import (
    check_measures,
    check_plant,
    check_scenarios,
    check_triggers,
)
from planner.infrastructure.fleet import retirable_blocks, retirable_units
from planner.infrastructure.horizon_checks import check_horizon
from planner.infrastructure.source import Document, Path_, nearest
from planner.infrastructure.supply import PowerSupply
from planner.laws.power import MOST_SETS

#: Path pattern (`*` any key, `#` any index, `@` the key itself is the reference) and the
#: section that the value must name.
REFERENCES: tuple[tuple[tuple[str, ...], str], ...] = tuple(
    (tuple(row["path"].split(".")), row["names"])
    for row in package_table("planner.infrastructure", "references.csv")
)
EVENT_SECTIONS = {
    "plant": "plants",
    "feed": "feeds",
    "region": "regions",
    "cluster": "clusters",
    "service": "services",
}
#: Numbers of values of a climate: the hours of a year, and the mean days of its months.
CLIMATE_VALUES = (8760, 288)
LEAP_YEAR_HOURS = 8784
#: Sections that every model has: where one is missing, references to it are not the problem.
REQUIRED = frozenset({"regions", "gpus", "clusters", "tiers", "zones"})
#: Names accepted beside those of the section.
EXTRA: dict[tuple[str, ...], tuple[str, ...]] = {
    ("standard", "*", "#", "tier"): ("all", "each"),
    ("standard", "*", "#", "zone"): ("each",),
}


def _matches(data: Any, pattern: tuple[str, ...], path: Path_) -> Iterator[tuple[Path_, Any]]:
    """Values of raw data that match a path pattern; none where the data has another structure."""
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


def _names(data: Mapping[str, Any], sections: str) -> list[str] | None:
    """Names in some sections; None where a section is malformed, which is another problem."""
    names: list[str] = []
    for section in sections.split():
        if section == "hot_weeks":  # a catalogue, not a section of the model
            names += hot_week_names()
            continue
        if section == "incidents":
            names += shipped_incidents()
            continue
        entries: Any = data
        for part in section.split("."):
            inside = isinstance(entries, dict)
            entries = entries.get(part, None if part in REQUIRED else {}) if inside else None
        if not isinstance(entries, dict) or (section in REQUIRED and not entries):
            return None
        names += list(entries)
        if section == "shapes":
            names += ["flat", *demand_shape_names()]
    return names


def check_references(document: Document) -> None:
    """Check all references to names, on raw data that may be invalid otherwise."""
    for pattern, sections in REFERENCES:
        found = list(_matches(document.data, pattern, ()))
        names = _names(document.data, sections) if found else None
        if names is None:
            continue
        accepted = [*names, *EXTRA.get(pattern, ())]
        for path, value in found:
            _check_name(document, path, value, accepted, sections)
    for pattern, _ in REFERENCES:
        if pattern[-1] == "#":
            for path, entries in _matches(document.data, pattern[:-1], ()):
                _check_repeats(document, path, entries)
    for path, event in _matches(document.data, ("scenarios", "*", "events", "#"), ()):
        section = EVENT_SECTIONS.get(str(event.get("kind"))) if isinstance(event, dict) else None
        if section is None or "name" not in event:
            continue
        accepted = _names(document.data, section) or []
        if accepted or section not in REQUIRED:
            _check_name(document, (*path, "name"), event["name"], accepted, section)


def _check_name(
    document: Document, path: Path_, value: Any, accepted: list[str], sections: str
) -> None:
    if not isinstance(value, str) or value in accepted:
        return
    hint = nearest(value, accepted)
    known = ", ".join(accepted[:12]) + (", …" if len(accepted) > 12 else "")
    what = sections.replace(" ", " or ")
    document.complain(path, f"`{value}` is not among {what} ({known or 'none'}){hint}")


def _check_repeats(document: Document, path: Path_, entries: Any) -> None:
    if not isinstance(entries, list):
        return
    for index, entry in enumerate(entries):
        if isinstance(entry, str) and entry in entries[:index]:
            document.complain((*path, index), f"`{entry}` is listed twice")


def check_plausibility(model: Model, document: Document) -> None:
    """Check for impossible combinations of values."""
    _check_demand(model, document)
    _check_clusters(model, document)
    _check_plants(model, document)
    _check_units(model, document)
    check_scenarios(model, document)
    _check_services(model, document)
    _check_limits_of_services(model, document)
    _check_recovery(model, document)
    _check_operations(model, document)
    check_triggers(model, document)
    _check_rationing(model, document)
    _check_preemptible(model, document)
    _check_credits(model, document)
    _check_purchases(model, document)
    _check_salvage(model, document)
    check_measures(model, document)
    check_horizon(model, document)
    _check_names(model, document)


def implausibilities(model: Model) -> frozenset[str]:
    """Problems that `check_plausibility` finds in a model that was changed in memory."""
    document = Document({}, {})
    check_plausibility(model, document)
    return frozenset(str(problem) for problem in document.problems)


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
    for name, climate in model.climates.items():
        if len(climate) not in CLIMATE_VALUES:
            leap = "; leave out 29 February" if len(climate) == LEAP_YEAR_HOURS else ""
            message = f"{len(climate):,} values; expected 8,760 or 288 (24 hours of 12 months)"
            document.complain(("climates", name), message + leap)
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
            found = f"{cluster.setpoint_c:g}, {cluster.throttle_c:g} and {cluster.shutdown_c:g} °C"
            document.complain(path, f"expected setpoint_c < throttle_c < shutdown_c, got {found}")
        first_c = cluster.shutdown_c - cluster.shutdown_spread_c
        if cluster.shutdown_spread_c and first_c <= max(cluster.throttle_c, cluster.restart_c):
            message = (
                f"racks shut down from {first_c:g} °C on, expected above throttle_c, restart_c"
            )
            document.complain((*path, "shutdown_spread_c"), message)
        if not cluster.setpoint_c <= cluster.restart_c < cluster.shutdown_c:
            found = f"{cluster.setpoint_c:g}, {cluster.restart_c:g} and {cluster.shutdown_c:g} °C"
            document.complain(path, f"expected setpoint_c ≤ restart_c < shutdown_c, got {found}")
        if model.regions[cluster.region].candidate and cluster.existing_gpus:
            document.complain(path, "has GPUs in a region that is only a candidate")
        if (
            model.gpus[cluster.gpu].power_mw > 0
            and cluster.max_gpus > 0
            and not any(
                plant.role == "primary" and name in plant.cools for plant in model.plants.values()
            )
        ):
            document.complain(path, "no primary plant cools it")


def _check_plants(model: Model, document: Document) -> None:
    for name in model.plants:
        check_plant(model, name, document)
    for name, feed in model.feeds.items():
        for index, load in enumerate(feed.powers):
            loads = [entry.get(load) for entry in (model.clusters, model.plants)]
            if all(load_entry is None or load_entry.region != feed.region for load_entry in loads):
                message = f"`{load}` is not in region {feed.region}"
                document.complain(("feeds", name, "powers", index), message)
    supply = PowerSupply(model)
    for region in sorted({feed.region for feed in model.feeds.values()}):
        try:
            supply.every_limit(region, frozenset())
        except ValueError:
            message = (
                f"those of region {region} are shared in more than {MOST_SETS:,} ways; put clusters"
                " and plants with the same feeds together, or state fewer feeds"
            )
            document.complain(("feeds",), message)


def _check_units(model: Model, document: Document) -> None:
    for name, kind in model.cooling_units.items():
        cooled = {
            cluster
            for plant in model.plants.values()
            if name in (*plant.existing, *plant.options)
            for cluster in plant.cools
        }
        usual = max((model.clusters[cluster].setpoint_c for cluster in cooled), default=-math.inf)
        if kind.start_below_c is not None and kind.start_below_c < usual:
            message = f"never starts: clusters that it cools have set points of {usual:g} °C"
            document.complain(("cooling_units", name, "start_below_c"), message)


def _check_services(model: Model, document: Document) -> None:
    edges = {
        name: (*service.depends_on, *service.any_of, *service.degrades_without)
        for name, service in model.services.items()
    }
    graph: nx.DiGraph[str] = nx.DiGraph(
        (name, dependency) for name, others in edges.items() for dependency in others
    )
    for knot in nx.strongly_connected_components(graph):
        first = next(name for name in model.services if name in knot)
        if len(knot) > 1 or graph.has_edge(first, first):
            cycle = [edge[0] for edge in nx.find_cycle(graph.subgraph(knot), first)]
            message = f"depends on itself: {' → '.join((*cycle, cycle[0]))}"
            document.complain(("services", cycle[0]), message)
    for name, service in model.services.items():
        for dependency, times in Counter(edges[name]).items():
            if times > 1:
                message = (
                    f"names `{dependency}` in more than one of depends_on, any_of, degrades_without"
                )
                document.complain(("services", name), message)
        if service.replicas and service.needs_replicas > sum(service.replicas.values()):
            have = sum(service.replicas.values())
            message = f"{service.needs_replicas} replicas are needed, {have} exist"
            document.complain(("services", name, "needs_replicas"), message)


def _check_recovery(model: Model, document: Document) -> None:
    for name, service in model.services.items():
        rate = service.recovery_tb_per_hour
        if (rate is None) != (service.recovery_tb == 0):
            message = "`recovery_tb` and `recovery_tb_per_hour` go together"
            document.complain(("services", name, "recovery_tb"), message)
        if service.state_recovery_minutes and not (service.runs_on or service.replicas):
            field = "recovery_minutes" if service.recovery_minutes else "recovery_tb"
            message = "has no effect on a service that neither runs on clusters nor has replicas"
            document.complain(("services", name, field), message)


def _check_limits_of_services(model: Model, document: Document) -> None:
    """Capacity and connections only have an effect where requests pass through."""
    passed = _services_of_requests(model)
    for name, service in model.services.items():
        limits = [field for field in ("capacity_rps", "connections") if getattr(service, field)]
        for limit in limits if name not in passed else ():
            message = "has no effect: no tier's requests pass through this service"
            document.complain(("services", name, limit), message)
        path = ("services", name, "degraded_share")
        if service.degraded_share < 1 and not service.degrades_without:
            document.complain(path, "has no effect without degrades_without")
        elif service.degraded_share < 1 and not limits:
            document.complain(path, "has no effect without capacity_rps or connections")


def _services_of_requests(model: Model) -> set[str]:
    """Services from which the entry of a tier needs an answer, the entries included."""
    waiting = [tier.entry for tier in model.tiers.values() if tier.entry is not None]
    found: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += [*model.services[name].depends_on, *model.services[name].any_of]
    return found


def _check_operations(model: Model, document: Document) -> None:
    operations, path = model.operations, ("operations",)
    alerts = operations.alert_temperatures_c
    if any(celsius >= following for celsius, following in pairwise(alerts)):
        shown = ", ".join(f"{celsius:g}" for celsius in alerts)
        document.complain((*path, "alert_temperatures_c"), f"expected to rise, not {shown}")
    for index, (before, phase) in enumerate(pairwise(operations.restoration), start=1):
        if phase.capacity < before.capacity:
            message = f"falls from {before.capacity:g} of the phase before to {phase.capacity:g}"
            document.complain((*path, "restoration", index, "capacity"), message)
    if operations.gates is not None and not operations.restoration:
        document.complain((*path, "gates"), "has no effect without phases of restoration")
    scopes: list[tuple[Path_, str | None]] = [(path, operations.restoration_scope)]
    for name, scenario in model.scenarios.items():
        override = scenario.operations.restoration_scope
        scopes.append((("scenarios", name, "operations"), override))
    for place, scope in scopes:
        if scope == "platform" and not any(phase.tiers for phase in operations.restoration):
            message = "`platform` has no effect where no phase of restoration names tiers"
            document.complain((*place, "restoration_scope"), message)


def _check_rationing(model: Model, document: Document) -> None:
    """Allocations of scarce capacity add up to 1 where rationing uses them."""
    kinds = {scenario.operations.rationing for scenario in model.scenarios.values()}
    total = sum(tier.scarcity_allocation for tier in model.tiers.values())
    if "allocation" in kinds | {model.operations.rationing} and abs(total - 1) > 1e-6:
        message = f"scarcity_allocation adds up to {total:g}; expected 1 to ration by allocation"
        document.complain(("tiers",), message)


def _check_preemptible(model: Model, document: Document) -> None:
    """Preemptible tiers come after all others."""
    kept = [tier.priority for tier in model.tiers.values() if tier.checkpoint_minutes is None]
    for name, tier in model.tiers.items():
        if tier.checkpoint_minutes is not None and tier.priority <= max(kept, default=0):
            message = f"preemptible work yields to all other tiers; expected over {max(kept)}"
            document.complain(("tiers", name, "priority"), message)


def _check_credits(model: Model, document: Document) -> None:
    """Service credits grow as availability falls, and need a bill."""
    for name, tier in model.tiers.items():
        path = ("tiers", name, "sla_credits")
        if tier.sla_credits and not tier.revenue_usd_per_month:
            document.complain(path, "has no effect without revenue_usd_per_month")
        steps = sorted(enumerate(tier.sla_credits), key=lambda numbered: -numbered[1].below)
        for (_, before), (index, step) in pairwise(steps):
            if step.below == before.below:
                message = f"two steps below {step.below:g}"
                document.complain((*path, index, "below"), message)
            elif step.credit < before.credit:
                message = (
                    f"{step.credit:g} below {step.below:g} is less than the"
                    f" {before.credit:g} below {before.below:g}"
                )
                document.complain((*path, index, "credit"), message)


def _check_purchases(model: Model, document: Document) -> None:
    """Existing and fixed instances stay within what offers supply."""
    fixed, forbidden = model.policies.fixed, model.policies.forbidden
    path = ("policies", "fixed")
    for name, offer in model.offers.items():
        supply = offer.available_gpus // offer.gpus_per_instance
        if offer.existing_instances > supply:
            message = f"{offer.existing_instances} instances exceed the {supply} available"
            document.complain(("offers", name, "existing_instances"), message)
        elif offer.existing_instances + fixed.emergency.get(name, 0) > supply:
            message = f"{fixed.emergency[name]} instances more exceed the {supply} available"
            document.complain((*path, "emergency", name), message)
        if fixed.emergency.get(name) and name in forbidden.emergency:
            document.complain((*path, "emergency", name), "is also forbidden")
    for name, added in fixed.gpus.items():
        cluster = model.clusters[name]
        if added % cluster.block_gpus:
            message = f"{added} GPUs are not whole blocks of {cluster.block_gpus}"
            document.complain((*path, "gpus", name), message)
        if cluster.existing_gpus + added > cluster.max_gpus:
            message = f"{added} GPUs more exceed max_gpus {cluster.max_gpus}"
            document.complain((*path, "gpus", name), message)
        if -added > retirable_blocks(model, name) * cluster.block_gpus:
            document.complain((*path, "gpus", name), f"{-added} GPUs may not be retired")
        if added > 0 and name in forbidden.gpus:
            document.complain((*path, "gpus", name), "is also forbidden")
    for name, units in fixed.cooling.items():
        plant = model.plants[name]
        for unit, added in units.items():
            if added and unit not in (*plant.existing, *plant.options):
                message = f"the plant has no `{unit}` among its units and options"
                document.complain((*path, "cooling", name, unit), message)
            if -added > retirable_units(model, name, unit):
                message = f"{-added} `{unit}` may not be retired"
                document.complain((*path, "cooling", name, unit), message)
            if added > 0 and {name, unit} & set(forbidden.cooling):
                document.complain((*path, "cooling", name, unit), "is also forbidden")


def _check_salvage(model: Model, document: Document) -> None:
    """Salvage values do not exceed prices."""
    for section in ("gpus", "cooling_units"):
        for name, kind in getattr(model, section).items():
            if kind.salvage_usd > kind.capital_usd:
                message = f"{kind.salvage_usd:g} exceeds capital_usd {kind.capital_usd:g}"
                document.complain((section, name, "salvage_usd"), message)
    for name in model.policies.fixed.regions:
        if not model.regions[name].candidate:
            message = "is not a candidate region"
            document.complain(("policies", "fixed", "regions", name), message)


def _check_names(model: Model, document: Document) -> None:
    """Names that are reserved words of the standard."""
    reserved = {"each", "all"} & set(model.tiers)
    for name in reserved:
        document.complain(("tiers", name), "is a reserved word of the standard")
