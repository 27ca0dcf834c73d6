"""Normal operation of a fleet as it is: the part of the programme that dispatches it at least cost.

A plan gets its energy and transport from the programme that made it. What exists, or what somebody
else recommends, need not be a plan: it may lack redundancy or capacity. This is the same dispatch
without the requirements, with a price on what stays unserved or uncooled.
"""

from __future__ import annotations

from pulp import LpVariable, lpSum

from planner.infrastructure.entities import Model
from planner.infrastructure.fields import LARGEST
from planner.infrastructure.fleet import Fleet, as_existing
from planner.infrastructure.measures import with_measures
from planner.infrastructure.policies import Policies
from planner.optimization import objective, purchases, recourse
from planner.optimization.case import Case
from planner.optimization.costs import CostItem, operation_items
from planner.optimization.programme import Programme
from planner.optimization.recourse import NORMAL
from planner.optimization.solving import SolverSettings, solve

#: Prices of a request/s and of a megawatt left over, times the dearest that else is possible.
UNSERVED, UNCOOLED = 10.0, 10.0
NEGLIGIBLE_RPS = 1e-6


def operation_of(model: Model, fleet: Fleet) -> tuple[CostItem, ...]:
    """Energy and transport of a fleet in a year without failures, dispatched at least cost.

    Demand beyond its capacity stays unserved, heat beyond its cooling uncooled, at no cost; what
    lacks cooling is served all the same. Capacity is kept free for a spare block where a policy
    asks for it and the fleet can serve all demand without it.

    Parameters
    ----------
    model
        The infrastructure; measures of the fleet take effect, what else it could buy does not.

    Raises
    ------
    SolverError
        If the solver fails.
    """
    place = as_existing(with_measures(model, fleet.measures), fleet)
    # The one policy that speaks of normal operation is kept by fleets that can keep it.
    for spare in sorted({model.policies.spare_block_per_region, False}, reverse=True):
        programme = Programme(
            Case(place.replace(policies=Policies(spare_block_per_region=spare)), (), {})
        )
        unserved = _state(programme)
        solution = solve(programme, SolverSettings(gap=0.0))
        if solution.status != "infeasible" and not any(
            solution.values[one.name] > NEGLIGIBLE_RPS for one in unserved
        ):
            break
    return operation_items(programme, solution)


def _state(programme: Programme) -> list[LpVariable]:
    """State the programme of normal operation; returns what stays unserved by group."""
    purchases.add_variables(programme)
    purchases.regions_in_use(programme)
    recourse.add_variables(programme)
    unserved = _serve_what_fits(programme)
    recourse.cluster_capacity(programme)
    recourse.spare_block(programme)
    clusters = programme.case.model.clusters
    uncooled = {cluster: programme.variable("uncooled", cluster) for cluster in clusters}
    objective.normal_cooling(programme, uncooled)
    cost = objective.normal_operation(programme)
    price = UNCOOLED * max([1.0, *(abs(factor) for _, factor in cost.items())])
    left = lpSum([price * one for one in uncooled.values()])
    # No request is turned away to save the heat that it causes.
    dearest = price * (1.0 + _most_mw_per_rps(programme.case))
    left += lpSum([UNSERVED * dearest * one for one in unserved])
    programme.problem.setObjective(cost + left)
    return unserved


def _most_mw_per_rps(case: Case) -> float:
    """Most heat that serving one request per second adds."""
    kinds = [case.gpu(cluster) for cluster in case.model.clusters]
    return max(kind.power_mw * (1 - kind.static_share) / kind.rps for kind in kinds)


def _serve_what_fits(programme: Programme) -> list[LpVariable]:
    """All demand at its peak is served or left: ``Σ_c f[g,c] + unserved[g] = Σ_k peak[z,k]``."""
    case = programme.case
    found = []
    for group in case.groups:
        left = programme.variable("unserved", group.label, high=LARGEST)
        flows = lpSum(programme.flows_from[NORMAL, group.label]) + left
        peak = sum(case.peak_rps[group.zone, tier] for tier in group.tiers)
        programme.define(flows == peak, "normal_demand", group.label)
        found.append(left)
    return found


__all__ = ["operation_of"]
