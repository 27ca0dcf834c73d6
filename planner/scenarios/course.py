"""The course of a scenario: what is up, and how hot and busy it is, interval by interval.

Everything here follows from the model and the scenario alone, not from the plan, and is worked out
on the graph. The programme cuts its stages along these intervals, the simulator steps through them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

from planner.infrastructure.entities import Model, Operations
from planner.infrastructure.failures import Event, NodeLoss, Scenario
from planner.infrastructure.graph import Graph, down_nodes, node
from planner.scenarios.demand import peak_hour


@dataclass(frozen=True)
class Condition:
    """State of the infrastructure during one interval of a scenario.

    Parameters
    ----------
    clusters_down, plants_down, offers_down, tiers_down
        Names that are down: lost, or without something they depend on.
    lost_units
        Units lost by (plant, unit type).
    lost_largest
        Number of largest units lost by plant.
    ambient_rise_c
        Degrees above the design ambient by region, where not 0.
    demand_factor
        Demand over normal demand by zone, where not 1.
    power_mw
        Power that the surviving feeds and generators carry, by region with feeds.
    """

    clusters_down: frozenset[str]
    plants_down: frozenset[str]
    offers_down: frozenset[str]
    tiers_down: frozenset[str]
    lost_units: Mapping[tuple[str, str], int]
    lost_largest: Mapping[str, int]
    ambient_rise_c: Mapping[str, float]
    demand_factor: Mapping[str, float]
    power_mw: Mapping[str, float]


@dataclass(frozen=True)
class Interval:
    """A condition from one minute to another."""

    start_minute: float
    end_minute: float
    condition: Condition


@dataclass(frozen=True)
class Course:
    """A scenario laid out in time.

    Parameters
    ----------
    scenario
        The scenario.
    operations
        Reaction of the platform, with what the scenario changes about it.
    start_hour
        Hour of the week at minute 0.
    intervals
        Conditions from minute 0 until everything is repaired.
    """

    scenario: Scenario
    operations: Operations
    start_hour: float
    intervals: tuple[Interval, ...]

    @property
    def end_minute(self) -> float:
        """Minute at which everything is repaired."""
        return self.intervals[-1].end_minute

    @property
    def reaction_minute(self) -> float:
        """Minute at which operators act for the first time."""
        first = min(event.at_minute for event in self.scenario.events)
        return first + self.operations.detection_minutes + self.operations.response_minutes

    @property
    def order_minute(self) -> float:
        """Minute at which emergency capacity is ordered."""
        return self.reaction_minute + self.operations.approval_minutes

    @property
    def shedding_minute(self) -> float | None:
        """Minute from which scarce capacity goes to tiers by priority; None if never."""
        kind = self.operations.priority_shedding
        return {"automatic": 0.0, "operator": self.reaction_minute, "none": None}[kind]


def normal_condition(model: Model, graph: Graph) -> Condition:
    """Condition with nothing failed."""
    return _condition(model, graph, (), 0.0)


def lay_out(model: Model, graph: Graph, scenario: Scenario) -> Course:
    """Lay a scenario out in time."""
    changes = {name: value for name, value in scenario.operations if value is not None}
    operations = model.operations.replace(**changes)
    cuts = sorted(_cuts(model, scenario))
    intervals = [
        Interval(start, end, _condition(model, graph, scenario.events, start))
        for start, end in pairwise(cuts)
    ]
    merged: list[Interval] = []
    for interval in intervals:
        if merged and merged[-1].condition == interval.condition:
            interval = Interval(merged.pop().start_minute, interval.end_minute, interval.condition)
        merged.append(interval)
    hour = float(peak_hour(model)) if scenario.start_hour is None else scenario.start_hour
    return Course(scenario, operations, hour, tuple(merged))


def _cuts(model: Model, scenario: Scenario) -> set[float]:
    cuts = {0.0}
    for event in scenario.events:
        end = event.at_minute + event.repair_minutes
        cuts |= {event.at_minute, end}
        if event.kind == "feed":
            feed = model.feeds[event.name]
            steps = (
                feed.generator_start_minutes,
                feed.ups_minutes,
                feed.generator_start_minutes + feed.generator_hours * 60,
            )
            cuts |= {event.at_minute + step for step in steps if event.at_minute + step < end}
    return cuts


def _condition(model: Model, graph: Graph, events: tuple[Event, ...], minute: float) -> Condition:
    failed: set[str] = set()
    lost_units: dict[tuple[str, str], int] = {}
    lost_largest: dict[str, int] = {}
    rise: dict[str, float] = {}
    factor: dict[str, float] = {}
    for event in _active(events, minute):
        if event.kind == "units":
            key = (event.plant, event.unit)
            lost_units[key] = lost_units.get(key, 0) + event.count
        elif event.kind == "largest-units":
            lost_largest[event.plant] = lost_largest.get(event.plant, 0) + event.count
        elif event.kind == "heat":
            rise[event.region] = rise.get(event.region, 0.0) + event.rise_c
        elif event.kind == "surge":
            for zone in event.zones or model.zones:
                factor[zone] = factor.get(zone, 1.0) * event.factor
        else:
            failed |= _failed_nodes(model, event, minute)
    # A cluster that loses its cooling is not down: it heats up, and only then protects itself.
    down = down_nodes(graph, failed, ignoring=frozenset({"cools"}))
    return Condition(
        clusters_down=_named(graph, down, "cluster"),
        plants_down=_named(graph, down, "plant"),
        offers_down=_named(graph, down, "offer"),
        tiers_down=_named(graph, down, "tier"),
        lost_units=lost_units,
        lost_largest=lost_largest,
        ambient_rise_c={region: value for region, value in rise.items() if value},
        demand_factor={zone: value for zone, value in factor.items() if value != 1},
        power_mw=_power(model, down),
    )


def _active(events: tuple[Event, ...], minute: float) -> list[Event]:
    return [
        event
        for event in events
        if event.at_minute <= minute < event.at_minute + event.repair_minutes
    ]


def _failed_nodes(model: Model, event: NodeLoss, minute: float) -> set[str]:
    """Nodes that an event takes out at a minute; batteries run out, generators start and stop."""
    failed = {node(event.kind, event.name)}
    if event.kind != "feed":
        return failed
    feed, since = model.feeds[event.name], minute - event.at_minute
    if since >= feed.ups_minutes:
        failed.add(node("ups", event.name))
    fuel_end = feed.generator_start_minutes + feed.generator_hours * 60
    if not feed.generator_start_minutes <= since < fuel_end:
        failed.add(node("generator", event.name))
    return failed


def _named(graph: Graph, down: frozenset[str], kind: str) -> frozenset[str]:
    return frozenset(graph.nodes[one]["name"] for one in down if graph.nodes[one]["kind"] == kind)


def _power(model: Model, down: frozenset[str]) -> dict[str, float]:
    """Power of each region with feeds: surviving feeds, and generators in place of lost ones."""
    power: dict[str, float] = {}
    for name, feed in model.feeds.items():
        if node("feed", name) not in down:
            carried = feed.capacity_mw
        elif feed.generator_mw and node("generator", name) not in down:
            carried = feed.generator_mw
        elif feed.ups_minutes and node("ups", name) not in down:
            carried = feed.capacity_mw
        else:
            carried = 0.0
        power[feed.region] = power.get(feed.region, 0.0) + carried
    return {
        region: min(carried, model.regions[region].power_limit_mw)
        for region, carried in power.items()
    }
