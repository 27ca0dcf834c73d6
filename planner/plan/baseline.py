"""Cost and unserved demand of what exists, as the baseline that plans are compared with."""

from __future__ import annotations

from dataclasses import dataclass

from planner.infrastructure.entities import Model
from planner.infrastructure.failures import Scenario, Surge
from planner.infrastructure.fleet import Fleet
from planner.laws.calendar import HOURS_PER_WEEK
from planner.optimization.formulation.problem import ProblemData
from planner.optimization.solution.costs import CostItem, purchase_items
from planner.optimization.solution.operation import operation_of
from planner.simulation.cascade import simulate

#: Part of the demand that is rounding.
NONE = 1e-9


@dataclass(frozen=True)
class Baseline:
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


def baseline_of(model: Model) -> Baseline:
    """Price what exists in a model as it stands."""
    fleet = Fleet.existing(model)
    items = (*purchase_items(ProblemData(model, ()), fleet), *operation_of(model, fleet))
    return Baseline(
        tuple(item for item in items if item.capital_usd or item.usd_per_year),
        unserved_share(model, fleet),
    )


def unserved_share(model: Model, fleet: Fleet) -> float:
    """Share of a week's demand that the simulator does not serve in a minute of each hour.

    Nothing fails in them, and in so short a time nothing heats up.
    """
    calm = Surge(kind="surge", factor=1.0, repair_minutes=1.0)
    hours = tuple(
        Scenario(
            name=f"hour-{hour}",
            severity="single",
            frequency_per_year=0.0,
            start_hour=float(hour),
            events=(calm,),
        )
        for hour in range(HOURS_PER_WEEK)
    )
    minute = model.simulation.replace(horizon_minutes=1.0)
    _, history = simulate(model.replace(simulation=minute), fleet, hours)
    demand = float(history.demand_rps.sum())
    left = demand - float(history.served_rps.sum())
    return min(1.0, left / demand) if left > NONE * demand else 0.0
