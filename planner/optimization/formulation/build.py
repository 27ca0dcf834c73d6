"""The programme composed: purchases, normal operation, every stage, the objective."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

from planner.optimization.formulation import (
    candidates,
    cooling,
    measures,
    objective,
    power,
    preemption,
    purchases,
    recourse,
    routing,
    services,
)
from planner.optimization.formulation.algebra import Problem, sum_of
from planner.optimization.formulation.problem import ProblemData
from planner.optimization.formulation.programme import Programme

#: Ids of columns of recourse begin here, where they are apart from purchases (`build_part`).
RECOURSE_ID = 1 << 40


@contextmanager
def without_collection() -> Iterator[None]:
    """Suspend garbage collection: millions of objects are created, none of which is garbage."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


@without_collection()
def build(data: ProblemData, problem: Problem | None = None) -> Programme:
    """Build the programme: purchases, normal operation, every stage, the objective.

    Parameters
    ----------
    problem
        Where its columns and rows go; None for a problem of its own.
    """
    programme = Programme(data, Problem() if problem is None else problem)
    purchases.add_variables(programme)
    measures.add_variables(programme)
    measures.one_way_of_reacting(programme)
    purchases.bought_or_retired(programme)
    purchases.open_regions(programme)
    purchases.regions_in_use(programme)
    purchases.design_heat(programme)
    purchases.emergency_cover(programme)
    purchases.power_limit(programme)
    purchases.surviving_capacity_share(programme)
    purchases.least_regions(programme)
    purchases.capital_budget(programme)
    purchases.simulated_cuts(programme)

    recourse.add_variables(programme)
    recourse.tiers_up(programme)
    services.service_capacity(programme)
    recourse.normal_demand(programme)
    recourse.demand_balance(programme)
    candidates.served_if_open(programme)
    routing.nearest_first(programme)
    recourse.cluster_capacity(programme)
    recourse.spare_block(programme)
    _add_failures(programme)

    objective.normal_cooling(programme)
    objective.set_objective(programme)
    return programme


def build_part(whole: Programme, data: ProblemData) -> Programme:
    """The recourse of scenarios: columns and rows of their own, without normal operation.

    Its objective is the cost of one occurrence of each.

    Rows that define something by purchases alone are added to the programme of these.

    Parameters
    ----------
    whole
        Programme of purchases and normal operation.
    data
        The scenarios (`ProblemData.part`).
    """
    programme = Programme(
        data,
        Problem(first_id=RECOURSE_ID),
        purchases=whole.purchases,
        normal=whole.normal,
        availability=whole.availability,
        surviving=whole.surviving,
        here_and_now=whole,
    )
    recourse.add_variables(programme)
    recourse.tiers_up(programme)
    services.service_capacity(programme)
    recourse.demand_balance(programme)
    recourse.cluster_capacity(programme)
    _add_failures(programme)
    programme.problem.objective = sum_of(
        [
            *(objective.recourse_cost(programme, stage) for stage in data.stages),
            *(preemption.preemption_usd(programme, name) for name in data.stages_by_scenario),
        ]
    )
    return programme


def _add_failures(programme: Programme) -> None:
    """Rows that only stages have."""
    recourse.offer_capacity(programme)
    cooling.cooling_balance(programme)
    cooling.ride_through(programme)
    cooling.plant_capacity(programme)
    power.stage_power(programme)
    recourse.served_floors(programme)
    recourse.emergency_budget(programme)
    preemption.preempted(programme)
