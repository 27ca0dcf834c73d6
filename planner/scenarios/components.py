"""Components that fail independently: their rates, and what goes down with them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256

from planner.infrastructure.entities import Model
from planner.infrastructure.failures import HourChoice, NodeLoss, Scenario, Severity
from planner.infrastructure.fields import NAME_LENGTH
from planner.infrastructure.graph import build_graph, node
from planner.scenarios.event_grid import events_on_grid
from planner.scenarios.generators import family, plant_loss, primary_plants, terms_of, unit_counts
from planner.scenarios.power import feed_steps, node_losses
from planner.scenarios.system_state import DependencyIndex, dependency_index

#: Families of single failures beside units and plants, in their order.
NODE_FAMILIES = ("feed", "feed_no_generator", "provider", "region", "cluster")
#: Severity classes from the strictest to the most lenient.
SEVERITY_ORDER: tuple[Severity, ...] = ("single", "double", "common", "region", "extreme")
#: Choices of hours from the fewest to all of them.
HOUR_CHOICES: tuple[HourChoice, ...] = ("peak", "worst", "all")


@dataclass(frozen=True)
class Component:
    """A component that fails independently of the others.

    Parameters
    ----------
    scenario
        Its failure alone: severity, failures per year, events with their repair time.
    node
        Node of the graph that is lost; for the largest unit of a plant the plant.
    copies
        Equal parts that fail one by one: units of a plant, whose failures the scenario counts
        together.
    """

    scenario: Scenario
    family: str
    node: str
    copies: int = 1

    @property
    def name(self) -> str:
        """Name of its failure."""
        return self.scenario.name

    @property
    def failures_per_year(self) -> float:
        """Failures of all copies together in a year."""
        return self.scenario.frequency_per_year

    @property
    def repair_hours(self) -> float:
        """Mean time to repair."""
        return max(event.repair_minutes for event in self.scenario.events) / 60


def components(model: Model) -> tuple[Component, ...]:
    """Every component whose failure alone a model can state, with the rates of `generators`.

    The largest unit of each primary plant, each plant (emergency plants too), each feed with and
    without its generators starting, each provider, region and cluster. Whole services are left out:
    they fail by software and with all their replicas at once, which no purchase answers; the family
    ``service`` has them.
    """
    return tuple(_components(model))


def _components(model: Model) -> Iterator[Component]:
    for scenario, plant in zip(family(model, "unit"), primary_plants(model), strict=True):
        copies = max(1, sum(unit_counts(model, plant).values()))
        yield Component(scenario, "unit", node("plant", plant), copies)
    for plant in model.plants:
        loss = plant_loss(terms_of(model, "plant"), plant)
        yield Component(loss, "plant", node("plant", plant))
    for name in NODE_FAMILIES:
        yield from node_components(model, name)


def node_components(model: Model, name: str) -> Iterator[Component]:
    """Members of a family that loses one node each."""
    for scenario in family(model, name):
        (event,) = scenario.events
        if isinstance(event, NodeLoss):
            yield Component(scenario, name, node(event.kind, event.name))


@dataclass(frozen=True)
class Reach:
    """Blast radius of component failures.

    Parameters
    ----------
    index
        The prepared model.
    """

    index: DependencyIndex

    @classmethod
    def of(cls, model: Model) -> Reach:
        """Prepare a model."""
        return cls(dependency_index(model, build_graph(model)))

    def throughout(self, component: Component) -> frozenset[str]:
        """Nodes down from the failure of a component until its repair, itself included."""
        return frozenset.intersection(*self._by_step(component))

    def in_the_end(self, component: Component) -> frozenset[str]:
        """Nodes down when batteries are empty and generators run, itself included."""
        return self._by_step(component)[-1]

    def _by_step(self, component: Component) -> list[frozenset[str]]:
        (event,) = component.scenario.events
        if not isinstance(event, NodeLoss):
            return [frozenset()]
        model, always = self.index.model, self.index.depends.down
        (timed,) = events_on_grid((event,))
        steps = {timed.begins}
        if event.kind == "feed":
            steps |= feed_steps(model, timed)
        return [
            self.index.depends.down_with(node_losses(model, (timed,), step)) - always
            for step in sorted(steps)
        ]

    def contains(self, component: Component, other: Component) -> bool:
        """Whether another failure changes nothing once a component has failed.

        What it loses is down anyway, or it is cooling for nothing but clusters that are down.
        """
        down = self.throughout(component)
        if other.node in down:
            return True
        kind, name = self.index.places[other.node]
        cooled = self.index.model.plants[name].cools if kind == "plant" else ()
        return bool(cooled) and all(node("cluster", cluster) in down for cluster in cooled)


def joint_severity(severities: Sequence[Severity]) -> Severity:
    """Severity of failures at the same time.

    One alone keeps its own. Several are `double`, or of the more lenient class of the one among
    them that has a more lenient class by itself: what fails besides cannot raise what is owed. Two
    failures that each are more than `double` by themselves are `extreme`.
    """
    if len(severities) == 1:
        return severities[0]
    worse = [severity for severity in severities if severity not in ("single", "double")]
    if len(worse) > 1:
        return "extreme"
    return worse[0] if worse else "double"


def together(scenarios: Sequence[Scenario], frequency_per_year: float) -> Scenario:
    """Some failures at the same time, all from minute 0, each repaired after its own time.

    They are planned for at the hours of the one that is planned for at most of them.
    That is the worst overlap: with exponential repairs two components are down together for
    r1·r2/(r1+r2) on average, here for the smaller of the two.
    """
    if len(scenarios) == 1:
        return scenarios[0].replace(frequency_per_year=frequency_per_year)
    return Scenario(
        name=_joint_name([scenario.name for scenario in scenarios]),
        severity=joint_severity([scenario.severity for scenario in scenarios]),
        frequency_per_year=frequency_per_year,
        hours=max((scenario.hours for scenario in scenarios), key=HOUR_CHOICES.index),
        events=tuple(event for scenario in scenarios for event in scenario.events),
    )


def _joint_name(names: Sequence[str]) -> str:
    """Name of a combination of failures; a long one is cut and ends in a digest."""
    full = "-and-".join(names)
    if len(full) <= 2 * NAME_LENGTH:
        return full
    digest = sha256(full.encode()).hexdigest()[:8]
    return f"{full[: 2 * NAME_LENGTH - 9]}-{digest}"
