"""What exists, priced like a plan that buys nothing: what a plan's cost is to be held against."""

from __future__ import annotations

from dataclasses import dataclass

from planner.infrastructure.entities import Model
from planner.infrastructure.fleet import Fleet
from planner.optimization.case import Case
from planner.optimization.costs import CostItem, purchase_items
from planner.optimization.operation import operation_of
from planner.scenarios.demand import weekly_demand
from planner.scenarios.routing import normal_week


@dataclass(frozen=True)
class Standing:
    """Today's build.

    Parameters
    ----------
    items
        What it costs a year: upkeep, retainers, energy and transport. What failures cost it is not
        in it: that is worked out by the programme, whose requirements it need not meet.
    unserved_share
        Share of the demand of a week without failures for which it has no room.
    """

    items: tuple[CostItem, ...]
    unserved_share: float


def standing(model: Model) -> Standing:
    """Price what exists in a model as it stands."""
    fleet = Fleet.existing(model)
    items = (*purchase_items(Case(model, (), {}), fleet), *operation_of(model, fleet))
    asked = float(weekly_demand(model).sum())
    left = float(normal_week(model, fleet).unserved_rps.sum())
    return Standing(
        tuple(one for one in items if one.capital_usd or one.usd_per_year),
        left / asked if left < asked else float(asked > 0),
    )


__all__ = ["Standing", "standing"]
