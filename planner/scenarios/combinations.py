"""Single failures, pairs of them, and failures of several components by one cause."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from planner.infrastructure.entities import Model, Plant
from planner.infrastructure.failures import NodeLoss, Scenario, UnitLoss
from planner.infrastructure.fleet import plant_units
from planner.scenarios.components import (
    SEVERITY_ORDER,
    Component,
    Reach,
    components,
    node_components,
    together,
)
from planner.scenarios.generators import (
    HOURS_PER_YEAR,
    family,
    largest_units,
    primary_plants,
    terms_of,
)

#: Share of the failures of a unit that hit all equal units of its plant (the beta factor). An
#: estimate: the usual generic value, at the upper end of the 0.01 to 0.1 that IEC 61508-6, annex D,
#: gives for redundant equipment (recalled, not looked up).
BETA = 0.1
#: What several components may hang on, by family.
ANCESTORS = ("feed", "feed_no_generator", "service", "region")
#: Families of failures by one cause.
CAUSES = ("heat_wave", "sag", "restart_failure")


def singles(model: Model) -> tuple[Scenario, ...]:
    """N-1: the failure of every component."""
    return tuple(component.scenario for component in components(model))


def pairs(model: Model) -> tuple[Scenario, ...]:
    """N-2: every two components failing at the same time, two units of one plant included.

    Pairs in which one failure contains the other (a plant and its region) are left out. Frequency
    of two components of failure rates λ and repair times r: `pair_frequency_per_year`; of two units
    of a plant that of the family ``units``.
    """
    return tuple(_pairs(model))


def _pairs(model: Model) -> Iterator[Scenario]:
    parts, reach = components(model), Reach.of(model)
    for first, second in combinations(parts, 2):
        if reach.contains(first, second) or reach.contains(second, first):
            continue
        yield together((first.scenario, second.scenario), pair_frequency_per_year(first, second))
    for plant in primary_plants(model):
        if most_units(model.plants[plant]) > 1:
            yield largest_units(model, terms_of(model, "units"), plant, 2)


def most_units(plant: Plant) -> int:
    """Most cooling units that a plant may have."""
    return sum(plant.existing.values()) + plant.max_added * len(plant.options)


def pair_frequency_per_year(first: Component, second: Component) -> float:
    """How often two independent components come to be down together, times a year.

    ``λ1·λ2·(r1 + r2)/8760``: one of them fails while the other is under repair. The minimal cut set
    of order two of R. Billinton and R. N. Allan, Reliability Evaluation of Power Systems; exact for
    λr much smaller than 1.
    """
    rates = first.failures_per_year * second.failures_per_year
    return rates * (first.repair_hours + second.repair_hours) / HOURS_PER_YEAR


def common_causes(model: Model) -> tuple[Scenario, ...]:
    """Failures of several components by one cause.

    Loss of a feed, service or region that at least two components hang on; heat waves, voltage sags
    and restarts that fail; loss of all equal units of a plant. Classes stricter than `common`
    become `common`, and the name says so.
    """
    return tuple(_common_causes(model))


def _common_causes(model: Model) -> Iterator[Scenario]:
    parts, reach = components(model), Reach.of(model)
    nodes = {component.node for component in parts}
    for name in ANCESTORS:
        for ancestor in node_components(model, name):
            if len(nodes & reach.in_the_end(ancestor) - {ancestor.node}) > 1:
                yield _as_common(ancestor.scenario)
    for name in CAUSES:
        yield from family(model, name)
    for plant in primary_plants(model):
        yield from _equal_units(model, plant)


def _as_common(scenario: Scenario) -> Scenario:
    if SEVERITY_ORDER.index(scenario.severity) >= SEVERITY_ORDER.index("common"):
        return scenario
    return scenario.replace(name=f"common-{scenario.name}", severity="common")


def _equal_units(model: Model, plant: str) -> Iterator[Scenario]:
    """Loss of all equal units of a plant at ``β·λ`` of one unit (the beta-factor model).

    In a plant of one type that is the whole plant, whatever is bought. In a mixed one units of the
    type that are yet to be bought are spared: a scenario names a number.
    """
    entry, kinds = model.plants[plant], plant_units(model, plant)
    for unit in kinds:
        kind, count = model.cooling_units[unit], entry.existing.get(unit, 0)
        if kind.repair_hours <= 0 or kind.mode != "running":
            continue
        minutes = kind.repair_hours * 60
        if len(kinds) == 1 and most_units(entry) > 1:
            event: NodeLoss | UnitLoss = NodeLoss(kind="plant", name=plant, repair_minutes=minutes)
        elif count > 1:
            event = UnitLoss(
                kind="units", plant=plant, unit=unit, count=count, repair_minutes=minutes
            )
        else:
            continue
        yield Scenario(
            name=f"common-{unit}-{plant}",
            severity="common",
            frequency_per_year=BETA * kind.failures_per_year,
            hours=model.generators.hours,
            events=(event,),
        )
