"""What measures change: the model and the scenarios as they are with some measures bought.

This is the meaning of a measure. The simulator, the audit and finance work on the changed model;
the programme states the same by availability variables and by a choice among reaction times, and
tests hold the two together.
"""

from __future__ import annotations

from collections.abc import Mapping

from planner.infrastructure.entities import Feed, Measure, Model, Plant, Service
from planner.infrastructure.failures import Event, OperationsOverride, Scenario, Surge
from planner.infrastructure.graph import feed_loads
from planner.infrastructure.operations import Operations, Reaction

#: Minutes and temperatures of reaction that measures bring down.
TIMES = tuple(Reaction.model_fields)


def with_measures(model: Model, bought: frozenset[str]) -> Model:
    """The model with some measures bought and no others on offer.

    Feeds of measures that are not bought do not exist in it; where something hangs on nothing else,
    they stay without power.

    Raises
    ------
    KeyError
        If the model has no such measure.
    """
    if not model.measures:
        return model
    measures = [model.measures[name] for name in sorted(bought)]
    absent = absent_feeds(model, bought)
    return model.replace(
        feeds=_feeds(model, absent),
        services={
            name: _service(service, name, measures) for name, service in model.services.items()
        },
        plants={name: _plant(plant, name, measures) for name, plant in model.plants.items()},
        operations=capped(model.operations, measures),
        scenarios={
            name: scenario_with(model, scenario, bought)
            for name, scenario in model.scenarios.items()
        },
        measures={},
    )


def _feeds(model: Model, absent: frozenset[str]) -> dict[str, Feed]:
    """Feeds without those that are absent; what has no others hangs on one without power."""
    fed = {load for name in model.feeds if name not in absent for load in feed_loads(model, name)}
    found: dict[str, Feed] = {}
    for name, feed in model.feeds.items():
        left = sorted({load for load in feed_loads(model, name) if load not in fed})
        if name not in absent:
            found[name] = feed
        elif left:
            powers = tuple(dict.fromkeys(load for _, load in left))
            found[name] = Feed(name=name, region=feed.region, capacity_mw=0.0, powers=powers)
    return found


def with_automatic(model: Model, measures: list[Measure]) -> Model:
    """The model with only the automatic start of standby units of some measures."""
    started = {name for measure in measures for name in measure.automatic}
    if not started:
        return model
    plants = {
        name: plant.replace(automatic=True) if name in started else plant
        for name, plant in model.plants.items()
    }
    return model.replace(plants=plants)


def absent_feeds(model: Model, bought: frozenset[str]) -> frozenset[str]:
    """Feeds that do not exist because their measure is not bought."""
    return frozenset(
        feed
        for name, measure in model.measures.items()
        if name not in bought
        for feed in measure.feeds
    )


def _service(service: Service, name: str, measures: list[Measure]) -> Service:
    replicas = dict(service.replicas)
    connections = service.connections
    for measure in measures:
        for region, count in measure.replicas.get(name, {}).items():
            replicas[region] = replicas.get(region, 0) + count
        if connections is not None:
            connections += measure.connections.get(name, 0.0)
    if replicas == service.replicas and connections == service.connections:
        return service
    return service.replace(replicas=replicas, connections=connections)


def _plant(plant: Plant, name: str, measures: list[Measure]) -> Plant:
    dropped = {service for measure in measures for service in measure.independent.get(name, ())}
    buffer = sum(measure.buffer_mwh.get(name, 0.0) for measure in measures)
    automatic = plant.automatic or any(name in measure.automatic for measure in measures)
    if not dropped and not buffer and automatic == plant.automatic:
        return plant
    return plant.replace(
        depends_on=tuple(service for service in plant.depends_on if service not in dropped),
        buffer_mwh=plant.buffer_mwh + buffer,
        automatic=automatic,
    )


def caps(measures: list[Measure]) -> dict[str, float]:
    """Upper bounds on reaction times with some measures bought."""
    found: dict[str, float] = {}
    for measure in measures:
        for name in TIMES:
            limit = getattr(measure.operations, name)
            if limit is not None:
                found[name] = min(limit, found.get(name, limit))
    return found


def capped(operations: Operations, measures: list[Measure]) -> Operations:
    """Operations with the reaction times that measures shorten."""
    return operations.replace(**_lower(operations, caps(measures)))


def _lower(times: Operations | OperationsOverride, limits: Mapping[str, float]) -> dict[str, float]:
    """Reaction times above their bound, at the bound; an override may leave times open."""
    found = {}
    for name, limit in limits.items():
        now = getattr(times, name)
        # Operations without a temperature never react to one.
        if now > limit if now is not None else isinstance(times, Operations):
            found[name] = limit
    return found


def scenario_with(model: Model, scenario: Scenario, bought: frozenset[str]) -> Scenario:
    """A scenario with some measures bought.

    The reaction that it prescribes is brought down like any other, and what happens to feeds that
    do not exist does not happen.
    """
    limits = caps([model.measures[name] for name in bought])
    override = scenario.operations.replace(**_lower(scenario.operations, limits))
    absent = absent_feeds(model, bought)
    events = tuple(event for event in scenario.events if feed_hit(event) not in absent)
    if override == scenario.operations and len(events) == len(scenario.events):
        return scenario
    first = scenario.events[0]
    calm = Surge(
        kind="surge", factor=1.0, at_minute=first.at_minute, repair_minutes=first.repair_minutes
    )
    return scenario.replace(operations=override, events=events or (calm,))


def scenarios_with(
    model: Model, scenarios: tuple[Scenario, ...], bought: frozenset[str]
) -> tuple[Scenario, ...]:
    """Scenarios with some measures bought; unchanged where the model has no measures."""
    if not model.measures:
        return scenarios
    return tuple(scenario_with(model, scenario, bought) for scenario in scenarios)


def feed_hit(event: Event) -> str | None:
    """Feed that an event affects."""
    if event.kind == "sag":
        return event.feed
    return event.name if event.kind == "feed" else None
