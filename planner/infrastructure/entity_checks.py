"""Checks of single kinds of entries: plants, measures, scenarios."""

from __future__ import annotations

from collections.abc import Iterator

from planner.infrastructure.entities import Measure, Model
from planner.infrastructure.failures import Event, NodeLoss, Scenario, UnitLoss
from planner.infrastructure.fleet import rejecting_to
from planner.infrastructure.measures import TIMES
from planner.infrastructure.operations import Operations, ReactionTimes
from planner.infrastructure.source import Document, Path_, nearest
from planner.laws.calendar import DATES, DAYS_PER_YEAR
from planner.laws.money import HOURS_PER_YEAR


def check_plant(model: Model, name: str, document: Document) -> None:
    """Complain about a plant that cannot be as it is stated."""
    plant = model.plants[name]
    for index, cluster in enumerate(plant.cools):
        if model.clusters[cluster].region != plant.region:
            path = ("plants", name, "cools", index)
            document.complain(path, f"`{cluster}` is not in region {plant.region}")
    if model.regions[plant.region].candidate and any(plant.existing.values()):
        document.complain(("plants", name), "has units in a region that is only a candidate")
    if plant.role == "primary" and all(
        model.cooling_units[unit].mode == "standby" for unit in (*plant.existing, *plant.options)
    ):
        document.complain(("plants", name), "a primary plant needs units that are not on standby")
    most = sum(plant.existing.values()) + plant.max_added * len(plant.options)
    if plant.restart_units > most:
        message = f"{plant.restart_units} units are more than the {most} that it can have"
        document.complain(("plants", name, "restart_units"), message)
    planned = sum(
        count * model.cooling_units[unit].planned_outage_hours_per_year
        for unit, count in plant.existing.items()
    )
    if planned > HOURS_PER_YEAR:
        message = f"planned outages take {planned:,.0f} h of the 8,760 of a year, one at a time"
        document.complain(("plants", name), message)
    _check_series(model, name, document)


def _check_series(model: Model, name: str, document: Document) -> None:
    """Complain about a plant that carries no heat, or about a series that makes no sense."""
    plant, path = model.plants[name], ("plants", name)
    if not plant.cools and not rejecting_to(model, name):
        message = "names no cluster, and no plant `rejects_to` this one"
        document.complain((*path, "cools"), message)
    if plant.rejects_to is not None:
        _check_chillers(model, name, plant.rejects_to, document, (*path, "rejects_to"))


def _check_chillers(model: Model, name: str, behind: str, document: Document, path: Path_) -> None:
    plant, chillers = model.plants[name], model.plants[behind]
    if chillers.cools or chillers.rejects_to is not None:
        message = f"`{behind}` cools clusters or rejects its heat to another plant itself"
        document.complain(path, f"{message}; expected one that only carries on the heat of others")
    if (chillers.region, chillers.role) != (plant.region, plant.role):
        message = f"`{behind}` is {chillers.role} in {chillers.region}"
        document.complain(path, f"{message}; expected {plant.role} in {plant.region}")
    if plant.buffer_mwh or any(name in measure.buffer_mwh for measure in model.measures.values()):
        message = f"a loop has no tank; expected one of the chillers behind it, `{behind}`"
        document.complain(("plants", name, "buffer_mwh"), message)


#: Measures that change reaction times or automatic starts; the programme weighs every combination.
MOST_REACTIONS = 8


def check_measures(model: Model, document: Document) -> None:
    """Complain about measures that do nothing or contradict each other."""
    owners: dict[str, str] = {}
    for name, measure in model.measures.items():
        for index, feed in enumerate(measure.feeds):
            if feed in owners:
                message = f"feed `{feed}` belongs to measure `{owners[feed]}` already"
                document.complain(("measures", name, "feeds", index), message)
            owners[feed] = name
        for path, message in _idle(model, measure):
            document.complain(("measures", name, *path), message)
    count = sum(measure.changes_reaction for measure in model.measures.values())
    if count > MOST_REACTIONS:
        message = f"{count} change response times or automatic starts; at most {MOST_REACTIONS} can"
        document.complain(("measures",), message)
    for name, bought in model.policies.fixed.measures.items():
        if bought and name in model.policies.forbidden.measures:
            document.complain(("policies", "fixed", "measures", name), "is also forbidden")


def _idle(model: Model, measure: Measure) -> Iterator[tuple[Path_, str]]:
    """Parts of a measure that change nothing."""
    effects = (
        measure.feeds,
        measure.replicas,
        measure.connections,
        measure.independent,
        measure.buffer_mwh,
    )
    if not any(effects) and not measure.changes_reaction:
        yield (), "changes nothing"
    for service in measure.connections:
        if model.services[service].connections is None:
            yield ("connections", service), "the service has no pool of connections"
    for service in measure.replicas:
        if not model.services[service].replicas:
            yield ("replicas", service), "the service is not tied to regions; it has no replicas"
    for plant, services in measure.independent.items():
        for index, service in enumerate(services):
            if service not in model.plants[plant].depends_on:
                message = f"`{plant}` does not depend on `{service}`"
                yield ("independent", plant, index), message
    for index, plant in enumerate(measure.automatic):
        if model.plants[plant].automatic:
            yield ("automatic", index), f"standby units of `{plant}` already start automatically"
    for name in TIMES:
        value, now = getattr(measure.operations, name), getattr(model.operations, name)
        slower = [
            getattr(scenario.operations, name) or 0.0 for scenario in model.scenarios.values()
        ]
        if value is not None and now is not None and value >= max([now, *slower]):
            unit = "minutes are" if name.endswith("_minutes") else "°C is"
            yield ("operations", name), f"{value:g} {unit} not less than {now:g} without it"


def check_triggers(model: Model, document: Document) -> None:
    """Temperatures that trigger a reaction are ones that a cluster can pass and still run."""
    coolest = max(cluster.setpoint_c for cluster in model.clusters.values())
    hottest = max(c.shutdown_c + c.shutdown_spread_c for c in model.clusters.values())
    reactions: list[tuple[Path_, Operations | ReactionTimes]] = [
        (("operations",), model.operations)
    ]
    for section, entries in (("scenarios", model.scenarios), ("measures", model.measures)):
        reactions += [((section, name, "operations"), e.operations) for name, e in entries.items()]
    for path, reaction in reactions:
        for name in (name for name in TIMES if name.endswith("_c")):
            celsius = getattr(reaction, name)
            if celsius is not None and not coolest < celsius < hottest:
                between = f"above {coolest:g}, the highest set point, and below {hottest:g}"
                message = f"expected {between}, where the last cluster is off, not {celsius:g}"
                document.complain((*path, name), message)


def check_scenarios(model: Model, document: Document) -> None:
    """Complain about scenarios that cannot happen as they are stated."""
    for name, scenario in model.scenarios.items():
        if scenario.start_hour is not None and scenario.hours != "peak":
            message = "`start_hour` says the hour already; leave one of them out"
            document.complain(("scenarios", name, "hours"), message)
        _check_date(model, scenario, document)
        for index, event in enumerate(scenario.events):
            path = ("scenarios", name, "events", index)
            if event.kind == "units":
                have = model.plants[event.plant].existing.get(event.unit, 0)
                lost = _lost_at_once(scenario, event)
                if lost > have:
                    document.complain(path, f"loses {lost} {event.unit}, the plant has {have}")
            _check_providers(model, event, document, path)
            _check_time_and_power(model, event, document, path)
    used = [scenario.severity for scenario in model.scenarios.values()]
    for family in type(model.generators).model_fields:
        terms = getattr(model.generators, family)
        used += [terms.severity] if hasattr(terms, "severity") else []
    for severity in sorted(set(used) - set(model.standard)):
        document.complain(("standard",), f"has no rules for severity `{severity}`")


def _check_providers(model: Model, event: Event, document: Document, path: Path_) -> None:
    named: list[tuple[Path_, str]] = []
    if event.kind == "provider":
        named = [((*path, "name"), event.name)]
    elif event.kind == "supply":
        named = [((*path, "providers", i), name) for i, name in enumerate(event.providers)]
    known = sorted({offer.provider for offer in model.offers.values()})
    for where, name in named:
        if name not in known:
            message = f"`{name}` is not a provider ({', '.join(known) or 'none'})"
            document.complain(where, message + nearest(name, known))


def _check_date(model: Model, scenario: Scenario, document: Document) -> None:
    path = ("scenarios", scenario.name, "start_date")
    if scenario.start_date is None:
        return
    if scenario.start_date not in DATES[:DAYS_PER_YEAR]:
        message = f"`{scenario.start_date}` is no day of a year from Jan-01 to Dec-31"
        document.complain(path, message + nearest(scenario.start_date, DATES))
    if scenario.start_hour is None:
        document.complain(path, "needs a `start_hour` too")
    if not any(region.climate in model.climates for region in model.regions.values()):
        document.complain(path, "no region has a climate of `climates`: nothing depends on the day")


def _check_time_and_power(model: Model, event: Event, document: Document, path: Path_) -> None:
    horizon = model.simulation.horizon_minutes
    if event.at_minute >= horizon:
        message = f"is after the end of the simulation at minute {horizon:g}"
        document.complain((*path, "at_minute"), message)
    if not isinstance(event, NodeLoss) or event.generators_start:
        return
    if event.kind != "feed":
        message = f"a {event.kind} has no generators; only the loss of a feed can say that"
        document.complain((*path, "generators_start"), message)
    elif not model.feeds[event.name].generator_mw:
        message = f"feed `{event.name}` has no generators that could fail to start"
        document.complain((*path, "generators_start"), message)


def _lost_at_once(scenario: Scenario, event: UnitLoss) -> int:
    """Units of the type of an event that all events together have lost when it happens."""
    return sum(
        earlier.count
        for earlier in scenario.events
        if earlier.kind == "units"
        and (earlier.plant, earlier.unit) == (event.plant, event.unit)
        and earlier.at_minute <= event.at_minute < earlier.at_minute + earlier.repair_minutes
    )
