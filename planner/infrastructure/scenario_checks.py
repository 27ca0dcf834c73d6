"""Checks of scenarios: what they lose is there, and when they happen is a time."""

from __future__ import annotations

from planner.infrastructure.entities import Model
from planner.infrastructure.failures import Event, NodeLoss, Scenario, UnitLoss
from planner.infrastructure.source import Document, Path_, nearest
from planner.laws.calendar import DATES, DAYS_PER_YEAR


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
