"""Checks of measures: each changes something, and what it changes is there to be changed."""

from __future__ import annotations

from collections.abc import Iterator

from planner.infrastructure.entities import Measure, Model
from planner.infrastructure.measures import TIMES
from planner.infrastructure.operations import Operations, ReactionTimes
from planner.infrastructure.source import Document, Path_

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
