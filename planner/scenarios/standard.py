"""The survival standard: what must be served from which minute on, at what emergency spend."""

from __future__ import annotations

from dataclasses import dataclass

from planner.infrastructure.entities import Model
from planner.infrastructure.failures import Scenario, Severity

#: Name of the rule that binds all tiers together.
ALL = "all"


@dataclass(frozen=True)
class Floor:
    """Least fraction of the demand of a tier, or of `all` tiers together, from a minute on."""

    tier: str
    from_minute: float
    least_served: float


def floors(model: Model, severity: Severity) -> tuple[Floor, ...]:
    """All floors of a severity class, with `each` spelled out by tier, in order of time."""
    result: list[Floor] = []
    for rule in model.standard.get(severity, ()):
        tiers = list(model.tiers) if rule.tier == "each" else [rule.tier]
        result += [Floor(tier, rule.from_minute, rule.least_served) for tier in tiers]
    return tuple(sorted(result, key=lambda floor: floor.from_minute))


def floors_at(all_floors: tuple[Floor, ...], minute: float) -> dict[str, float]:
    """Largest floor of each tier (and of `all`) in force at a minute."""
    active: dict[str, float] = {}
    for floor in all_floors:
        if floor.from_minute <= minute:
            active[floor.tier] = max(active.get(floor.tier, 0.0), floor.least_served)
    return active


def emergency_budget_usd(model: Model, scenario: Scenario) -> float:
    """Emergency spend approved for a scenario: its own, that of its class, or that for all, USD."""
    if scenario.emergency_budget_usd is not None:
        return scenario.emergency_budget_usd
    finance = model.finance
    by_class = finance.emergency_budget_by_class_usd
    return by_class.get(scenario.severity, finance.emergency_budget_usd)
