"""Requirements that a frontier varies: its axes, and the points on them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from planner.errors import InputError
from planner.infrastructure.entities import Model
from planner.infrastructure.failures import Scenario, ServedRule, Severity

Axis = Literal["standard", "failures", "classes", "recovery"]
#: Severity classes in the order in which they are added.
CLASSES: tuple[Severity, ...] = ("single", "double", "common", "region", "extreme")
LEAST_SHARE = 0.7
LEAST_MINUTES = 5.0


@dataclass(frozen=True)
class Setting:
    """Requirements of one point.

    Parameters
    ----------
    label
        Name on the axis.
    value
        Position on the axis: share, number or minutes.
    model, scenarios
        Model and scenarios that the plan has to survive.
    """

    label: str
    value: float
    model: Model
    scenarios: tuple[Scenario, ...]


def settings_of(
    axis: Axis,
    model: Model,
    scenarios: tuple[Scenario, ...],
    count: int,
    values: Sequence[float] = (),
) -> tuple[Setting, ...]:
    """Settings of an axis, from the least strict to the strictest.

    Parameters
    ----------
    count
        Points, where the axis does not have points of its own.
    values
        Points to take instead.

    Raises
    ------
    InputError
        If a value is not on the axis, or the standard has nothing to vary.
    """
    if axis == "standard":
        return _shares(model, scenarios, values or np.linspace(LEAST_SHARE, 1.0, count).tolist())
    if axis == "recovery":
        return _recoveries(model, scenarios, count, values)
    levels = _failure_levels(model, scenarios) if axis == "failures" else _classes(model, scenarios)
    if values:
        wrong = [value for value in values if value not in [level.value for level in levels]]
        if wrong:
            known = ", ".join(f"{level.value:g}" for level in levels)
            raise InputError.single("--at", f"there is no {wrong[0]:g} on this axis, only {known}")
        return tuple(level for level in levels if level.value in values)
    return tuple(levels)


def _shares(
    model: Model, scenarios: tuple[Scenario, ...], shares: Iterable[float]
) -> tuple[Setting, ...]:
    """The standard with every floor multiplied by a share."""
    found = []
    for share in sorted(set(shares)):
        if not 0 < share <= 1:
            raise InputError.single("--at", f"expected shares above 0 and up to 1, not {share:g}")
        standard = {
            severity: tuple(rule.replace(least_served=rule.least_served * share) for rule in rules)
            for severity, rules in model.standard.items()
        }
        scaled = model.replace(standard=standard)
        found.append(Setting(f"{share:.4g}", share, scaled, scenarios))
    return tuple(found)


def failures_of(scenario: Scenario) -> int:
    """Number of components that fail together in a scenario; a region or plant counts as one."""
    return sum(
        event.count if event.kind in ("units", "largest-units") else 1 for event in scenario.events
    )


def _with_redundancy(model: Model, most: float) -> Model:
    """The model with a redundancy of at most so many units in every plant."""
    plants = {
        name: plant.replace(redundancy=int(min(plant.redundancy, most)))
        for name, plant in model.plants.items()
    }
    return model.replace(plants=plants)


def _failure_levels(model: Model, scenarios: tuple[Scenario, ...]) -> list[Setting]:
    """0, 1, 2, … components lost together, with a redundancy of at most as many cooling units."""
    redundancy = max((plant.redundancy for plant in model.plants.values()), default=0)
    most = max([redundancy, *(failures_of(scenario) for scenario in scenarios)])
    found: list[Setting] = []
    for count in range(most + 1):
        selected = tuple(scenario for scenario in scenarios if failures_of(scenario) <= count)
        new = not found or len(selected) > len(found[-1].scenarios) or count <= redundancy
        if new:
            smaller = _with_redundancy(model, count)
            found.append(Setting(str(count), float(count), smaller, selected))
    return found


def _classes(model: Model, scenarios: tuple[Scenario, ...]) -> list[Setting]:
    """Severity classes added one by one; N+1 with single failures, the full N+k from then on."""
    found = [Setting("none", 0.0, _with_redundancy(model, 0), ())]
    for place, severity in enumerate(CLASSES, start=1):
        if not any(scenario.severity == severity for scenario in scenarios):
            continue
        selected = tuple(
            scenario for scenario in scenarios if CLASSES.index(scenario.severity) < place
        )
        changed = _with_redundancy(model, 1) if severity == "single" else model
        found.append(Setting(f"+ {severity}", float(place), changed, selected))
    return found


def recovery_minutes(model: Model) -> float | None:
    """Minute from which the standard asks for full service at the latest; None if it never does."""
    full = [
        rule.from_minute
        for rules in model.standard.values()
        for rule in rules
        if rule.least_served >= 1
    ]
    return max(full, default=None)


def _recoveries(
    model: Model, scenarios: tuple[Scenario, ...], count: int, values: Sequence[float]
) -> tuple[Setting, ...]:
    """Recovery targets from longest to shortest; by default twice today's, halved each time."""
    today = recovery_minutes(model)
    if today is None:
        raise InputError.single("--by recovery", "the standard asks for full service in no class")
    if not values:
        halved = [2 * max(today, LEAST_MINUTES) / 2**step for step in range(count)]
        values = [minutes for minutes in halved if minutes >= LEAST_MINUTES]
    found = []
    for minutes in sorted(set(values), reverse=True):
        if minutes < 0:
            raise InputError.single("--at", f"expected minutes of at least 0, not {minutes:g}")
        standard = {
            severity: tuple(_recovering(rule, today, minutes) for rule in rules)
            for severity, rules in model.standard.items()
        }
        changed = model.replace(standard=standard)
        found.append(Setting(f"{minutes:g} min", minutes, changed, scenarios))
    return tuple(found)


def _recovering(rule: ServedRule, today: float, minutes: float) -> ServedRule:
    """The standard with full service required at the target; rules due earlier stay if earlier."""
    if rule.least_served < 1:
        return rule
    moved = minutes if rule.from_minute == today else min(rule.from_minute, minutes)
    return rule.replace(from_minute=moved)
