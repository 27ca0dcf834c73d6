"""The plan is checked again without the solver: rows, requirements and costs.

There are two independent checks. `_check_rows` evaluates the rows of the programme at the rounded
solution, which detects a solver that claims too much. The others start from the plan and the laws,
not from the rows, which detects a row that is built wrongly.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from planner.errors import AuditError
from planner.infrastructure.fleet import heat_of
from planner.laws.flows import largest_flow
from planner.laws.heat import capacitance_mj_per_k, heat_at_utilisation_mw
from planner.laws.traffic import serving_rps
from planner.optimization.formulation.algebra import AT_MOST, EQUAL
from planner.optimization.formulation.build import without_collection
from planner.optimization.formulation.families import Family
from planner.optimization.formulation.problem import ProblemData, offer_target
from planner.optimization.formulation.programme import Programme
from planner.optimization.formulation.relevance import power_as_usual
from planner.optimization.formulation.stages import Stage, unanswered
from planner.optimization.solution.audit_purchases import (
    RELATIVE,
    ROUNDED,
    check_money,
    check_purchases,
    exceeds,
    worst,
)
from planner.optimization.solution.costs import (
    CostItem,
    cost_items,
    emergency_spend_usd,
    occurrence_usd,
)
from planner.optimization.solution.scaling import Coefficients, Floats, Whole, numbers_of, sizes
from planner.optimization.solution.solving import Cases, Solution, fleet_of
from planner.optimization.solution.stage_values import StageValues, stage_capacity_mw, stage_values
from planner.scenarios.demand import undominated
from planner.scenarios.services import degradation, limited_services, replicas_up, service_rps
from planner.scenarios.standard import counts_for, emergency_budget_usd

MONEY = 1e-6
#: Largest relative error of one floating-point operation.
UNIT_ROUNDOFF = 2.0**-53


def audit(programme: Programme, solution: Solution) -> tuple[CostItem, ...]:
    """Check a solution against its constraints and its objective.

    Returns
    -------
    tuple of CostItem
        The cost of the plan, which adds up to its objective.

    Raises
    ------
    AuditError
        With all violations.
    """
    items, found = audited(programme, solution)
    if found:
        shown = "\n  ".join(found[:20])
        raise AuditError(f"the plan contradicts itself in {len(found)} places:\n  {shown}")
    return items


@without_collection()
def audited(
    programme: Programme, solution: Solution
) -> tuple[tuple[CostItem, ...], tuple[str, ...]]:
    """The cost of a solution item by item, and everything that it violates.

    Raises
    ------
    AuditError
        If it is none.
    """
    if solution.status == "infeasible":
        raise AuditError("there is no plan to audit")
    data = programme.data.with_bought(solution.fleet.measures)
    once, spend = dict[str, float](), dict[str, float]()
    found: list[str] = []
    of_stages: list[str] = []
    for cases in _cases(programme, solution):
        part, here = cases.programme, cases.solution
        found += _check_numbers(cases)
        if here.by_state is not None:
            continue
        after = data
        if part.data is not programme.data:
            # Stages of several cases are those with the measures in place.
            after = part.data if cases.uses else data.part(tuple(part.data.stages_by_scenario))
        spent: dict[str, float] = {}
        of_stages += _check_stages(part, here, after, spent)
        _add_up(cases, occurrence_usd(part, here, after), once)
        _add_up(cases, spent, spend)
    of_stages += _check_budgets(data, spend)
    items = cost_items(programme, solution, once)
    found += [
        *check_purchases(data, solution.fleet),
        *check_money(data, items),
        *_check_normal(programme, solution),
        *of_stages,
    ]
    if fleet_of(programme, solution.values) != solution.fleet:
        found.append("the fleet is not what the purchases lead to")
    recomputed = sum(item.usd_per_year for item in items)
    _, _, power = sizes(numbers_of(programme.problem))
    natural = max(2.0**power, abs(solution.objective))
    if not abs(recomputed - solution.objective) <= MONEY * natural:
        found.append(f"objective {solution.objective:,.2f}, recomputed {recomputed:,.2f} USD/year")
    return items, tuple(found)


def _cases(programme: Programme, solution: Solution) -> Iterator[Cases]:
    """The programme, and recourse where it is not in it."""
    yield Cases(programme, solution)
    if solution.by_state is not None:
        yield from solution.by_state()


def _add_up(cases: Cases, amounts: Mapping[str, Any], total: dict[str, float]) -> None:
    """Add amounts of one occurrence to those of the scenarios that they are part of."""
    uses = cases.uses or [(name, None, 1.0) for name in amounts]
    for scenario, case, times in uses:
        amount = amounts[scenario] if case is None else next(iter(amounts.values()))
        if case is not None and np.ndim(amount):
            amount = amount[case]
        total[scenario] = total.get(scenario, 0.0) + times * float(amount)


def _check_numbers(cases: Cases) -> Iterator[str]:
    """Rows and bounds hold to `RELATIVE` of their largest term, or of their size to solvers."""
    programme = cases.programme
    problem, values = programme.problem, cases.solution.values
    numbers = numbers_of(problem)
    rows, columns, _ = sizes(numbers)
    shared = programme.first.problem.variables
    variables = [*problem.variables, *(shared[number] for number in numbers.linked.tolist())]
    found = np.array(np.broadcast_arrays(*(np.atleast_1d(values[v.name]) for v in variables)))
    yield from _check_rows(cases, numbers, found, rows)
    own = len(problem.variables)
    yield from _check_bounds(cases, numbers, found[:own], columns[:own])


def _check_rows(cases: Cases, numbers: Coefficients, found: Floats, rows: Whole) -> Iterator[str]:
    """Rows at values of columns, shape (columns, cases).

    A row holds if it does whichever way its floating-point sum was rounded: with n products, each
    is rounded n + 1 times at most until the side is taken off (Higham, *Accuracy and Stability*,
    3.1), and twice more in Σ|terms|. What rounds the comparison itself is within `ROUNDED`.
    """
    right = np.repeat(numbers.side[:, None], found.shape[1], axis=1)
    for position, side in cases.sides.items():
        right[position] = side
    terms = numbers.entry[:, None] * found[numbers.column]
    present, starts = np.unique(numbers.row, return_index=True)
    total, scale = np.zeros_like(right), np.maximum(np.exp2(rows)[:, None], np.abs(right))
    rounded = UNIT_ROUNDOFF * np.abs(right)
    if len(present):
        total[present] = np.add.reduceat(terms, starts)
        count = np.bincount(numbers.row, minlength=len(right))[present, None] + 3.0
        rounded[present] += UNIT_ROUNDOFF * count * np.add.reduceat(np.abs(terms), starts)
        largest = np.maximum.reduceat(np.abs(terms), starts)
        scale[present] = np.maximum(scale[present], largest)
    off, sense = total - right, numbers.sense[:, None]
    excess = np.where(sense == EQUAL, np.abs(off), np.where(sense == AT_MOST, off, -off))
    kept = excess + rounded <= (RELATIVE - ROUNDED) * scale
    for position in np.flatnonzero(~kept.all(axis=1)).tolist():
        name = cases.programme.problem.constraints[position].name
        yield f"row {name} is off by {excess[position].max():g}"


def _check_bounds(
    cases: Cases, numbers: Coefficients, found: Floats, columns: Whole
) -> Iterator[str]:
    """Variables are within their bounds, purchases whole."""
    variables, own = cases.programme.problem.variables, len(found)
    room = (RELATIVE - ROUNDED) * np.maximum(np.exp2(columns)[:, None], np.abs(found))
    high = np.repeat(numbers.high[:own, None], found.shape[1], axis=1)
    for position, bound in cases.highs.items():
        high[position] = bound
    low = numbers.low[:own, None]
    wrong = {
        "no number": ~np.isfinite(found),
        "below its lower bound": low - found > room,
        "above its upper bound": found - high > room,
        "not whole": numbers.whole[:own, None] & (found != np.round(found)),
    }
    for what, where in wrong.items():
        for position in np.flatnonzero(where.any(axis=1)).tolist():
            value = found[position][where[position]][0]
            yield f"{variables[position].name} is {value:g}, {what}"


def _check_normal(programme: Programme, solution: Solution) -> Iterator[str]:
    """Clusters can serve the demand of every hour of the week, and serve the mean demand."""
    data = programme.data
    at_stage = stage_values(programme, solution, None)
    demand, served = sum(data.mean_rps.values()), sum(at_stage.load_rps.values())
    if exceeds(demand, served, data.size_rps):
        yield f"normal operation serves {served:.2f} of {demand:.2f} requests/s in the mean"
    yield from _check_capacity(data, "normal operation", at_stage)
    rooms = {name: _room(data, name, solution.fleet.gpus[name]) for name in data.model.clusters}
    held = {
        region: sum(rooms[cluster] for cluster in data.clusters_in(region))
        for region in data.model.regions
    }
    yield from _check_hours(data, "normal operation", held)
    if data.model.policies.spare_block_per_region:
        for region in data.model.regions:
            clusters = data.clusters_in(region)
            if any(solution.fleet.gpus[cluster] for cluster in clusters):
                held[region] -= max(data.block_rps(cluster) for cluster in clusters)
            if exceeds(0.0, held[region]):
                yield f"{region} holds less than a block to spare"
        yield from _check_hours(data, "with a block less in every region", held)


def _check_hours(data: ProblemData, where: str, rooms: Mapping[str, float]) -> Iterator[str]:
    """Demand beyond the capacity within reach, hour by hour, by a maximum flow."""
    regions = {name: cluster.region for name, cluster in data.model.clusters.items()}
    reach = {
        group.label: tuple(dict.fromkeys(regions[cluster] for cluster in group.clusters))
        for group in data.groups
    }
    for hour in undominated(data.week_rps).tolist():
        demand = dict(zip(reach, data.week_rps[hour].tolist(), strict=True))
        served, wanted = largest_flow(demand, reach, rooms), sum(demand.values())
        if exceeds(wanted, served, data.size_rps):
            yield f"{where}: {served:.2f} of {wanted:.2f} requests/s in hour {hour} of the week"


def _room(data: ProblemData, cluster: str, gpus: float) -> float:
    utilisation = data.model.clusters[cluster].max_utilisation
    return float(serving_rps(gpus, data.gpu(cluster).rps, utilisation))


def _check_capacity(data: ProblemData, where: str, at_stage: StageValues) -> Iterator[str]:
    offers = {offer_target(offer): offer for offer in data.model.offers}
    for target, load in at_stage.load_rps.items():
        if target in offers:
            offer = offers[target]
            gpus, rps = at_stage.used_gpus[offer], data.model.offers[offer].rps_per_gpu
            utilisation = 1.0
        else:
            gpus, rps = at_stage.powered_gpus.get(target, 0.0), data.gpu(target).rps
            utilisation = data.model.clusters[target].max_utilisation
        room = serving_rps(gpus, rps, utilisation)
        if off := worst(load, room, data.size_rps):
            yield f"{where}: {target} serves {off[0]:.3f} of at most {off[1]:.3f} requests/s"


def _check_stages(
    programme: Programme, solution: Solution, data: ProblemData, spent: dict[str, float]
) -> Iterator[str]:
    """Every stage with the measures bought, its system state worked out anew on the graph.

    Parameters
    ----------
    spent
        Gets the emergency spend of each scenario, USD.
    """
    for scenario, stages in data.stages_by_scenario.items():
        spend = 0.0
        windows = {stage.label: i for i, run in enumerate(unanswered(stages)) for stage in run}
        stored: dict[int, dict[str, float]] = {}
        for stage in stages:
            at_stage = stage_values(programme, solution, stage)
            spend += emergency_spend_usd(data, stage, at_stage)
            yield from _check_capacity(data, stage.label, at_stage)
            yield from _check_served(data, stage, at_stage)
            yield from _check_services(data, stage, at_stage)
            yield from _check_reserved(data, solution, stage, at_stage)
            here = stored.setdefault(windows.get(stage.label, 0), {})
            yield from _check_cooling(data, solution, stage, at_stage, here)
            yield from _check_power(data, stage, at_stage)
        spent[scenario] = spend
        for heat in stored.values():
            yield from _check_ride_through(data, solution, scenario, heat)


def _check_budgets(data: ProblemData, spend: Mapping[str, float]) -> Iterator[str]:
    for scenario, usd in spend.items():
        budget = emergency_budget_usd(data.model, data.by_name[scenario])
        budget += data.waived.get((Family.EMERGENCY_BUDGET, "budget", scenario), 0.0)
        if exceeds(usd, budget):
            yield f"{scenario}: emergency spend {usd:,.0f} USD exceeds {budget:,.0f}"


def _check_served(data: ProblemData, stage: Stage, at_stage: StageValues) -> Iterator[str]:
    size = data.size_rps
    if worst(sum(at_stage.served_rps.values()), sum(at_stage.load_rps.values()), size):
        yield f"{stage.label}: more is served than reaches any target"
    for key, served in at_stage.served_rps.items():
        if off := worst(served, stage.demand_rps[key], size):
            yield f"{stage.label}: {'/'.join(key)} gets {off[0]:.3f} requests/s, more than it asks"
    for name, least in stage.floors.items():
        keys = [key for key in stage.demand_rps if counts_for(name, *key)]
        served = sum(at_stage.served_rps[key] for key in keys)
        demand = sum(stage.demand_rps[key] + stage.down_rps.get(key, 0.0) for key in keys)
        if off := worst(least * demand, served, size):
            yield f"{stage.label}: {name} gets {off[1]:.3f} of {off[0]:.3f} requests/s"


def _check_services(data: ProblemData, stage: Stage, at_stage: StageValues) -> Iterator[str]:
    """Served requests stay within the capacity of the services on their way."""
    model, state = data.model, stage.state
    shares = data.passing_shares(state.services_down)
    for name in limited_services(model):
        passed = sum(
            rps * shares[tier].get(name, 0.0) for (_, tier), rps in at_stage.served_rps.items()
        )
        room = service_rps(model, name) * replicas_up(model, name, state)
        room *= degradation(model, name, state)
        if off := worst(passed, room, data.size_rps):
            yield f"{stage.label}: {off[0]:.3f} requests/s pass {name}, which takes {off[1]:.3f}"


def _check_reserved(
    data: ProblemData, solution: Solution, stage: Stage, at_stage: StageValues
) -> Iterator[str]:
    for offer, gpus in at_stage.used_gpus.items():
        reserved = solution.fleet.instances[offer] * data.model.offers[offer].gpus_per_instance
        there = stage.delivered.get(offer, 1.0) * reserved
        if off := worst(gpus, there):
            yield f"{stage.label}: {offer} uses {off[0]:.3f} of {there:g} GPUs reserved"


def _check_cooling(
    data: ProblemData,
    solution: Solution,
    stage: Stage,
    at_stage: StageValues,
    stored: dict[str, float],
) -> Iterator[str]:
    """Plants stay within capacity; heat is carried, or stored before operators react."""
    for plant in data.model.plants:
        carried = sum(at_stage.carried_mw.get(pair, 0.0) for pair in heat_of(data.model, plant))
        capacity = stage_capacity_mw(data, solution.fleet, stage, plant)
        if off := worst(carried, max(0.0, capacity), data.size_mw):
            yield f"{stage.label}: {plant} carries {off[0]:.3f} of {capacity:.3f} MW"
    for cluster in sorted({cluster for cluster, _ in at_stage.carried_mw}):
        carried = sum(mw for (name, _), mw in at_stage.carried_mw.items() if name == cluster)
        if cluster not in at_stage.heat_mw:
            continue
        if stage.reacted:
            if worst(at_stage.heat_mw[cluster], carried, data.size_mw):
                yield f"{stage.label}: {cluster} is short of cooling"
            continue
        gpu, entry = data.gpu(cluster), data.model.clusters[cluster]
        gpus: float = solution.fleet.gpus[cluster]
        if not power_as_usual(data, stage, cluster) or stage.label in data.resumed:
            # Loads without power go off by themselves; GPUs that operators switched off stay off.
            gpus = at_stage.powered_gpus[cluster]
        full = heat_at_utilisation_mw(gpu.power_mw, gpu.static_share, gpus, entry.max_utilisation)
        short = np.maximum(0.0, full - carried)
        stored[cluster] = stored.get(cluster, 0.0) + stage.hours * 3600 * short


def _check_power(data: ProblemData, stage: Stage, at_stage: StageValues) -> Iterator[str]:
    """Powered GPUs and their cooling stay within every power limit.

    Where cooling is as in normal operation, heat goes to the plants that draw least under a limit.
    Spare cooling capacity draws no power.
    """
    carrying: dict[str, float] = {}
    for (cluster, _), heat in at_stage.carried_mw.items():
        carrying[cluster] = carrying.get(cluster, 0.0) + heat
    for region, limits in stage.state.power.items():
        for limit in limits:
            drawn = 0.0
            for (cluster, plant), heat in at_stage.carried_mw.items():
                draw = data.draw_per_heat(limit, plant)
                if draw:
                    drawn += draw * heat * _needed_part(at_stage, cluster, carrying[cluster])
            for cluster in data.clusters_in(region):
                plants = data.plants_of(cluster, "primary") if cluster not in carrying else ()
                mw_per_mw = data.draw_per_power(limit, cluster)
                mw_per_mw += min(
                    (data.draw_per_heat(limit, plant) for plant in plants), default=0.0
                )
                drawn += mw_per_mw * at_stage.heat_mw.get(cluster, 0.0)
            if off := worst(drawn, limit.mw, data.size_mw):
                what = ", ".join(limit.feeds) or region
                yield f"{stage.label}: {what} carries {off[0]:.3f} of {limit.mw:.3f} MW"


def _needed_part(at_stage: StageValues, cluster: str, carried: Any) -> Any:
    """Part of the heat carried for a cluster that it has: spare capacity draws no power."""
    needed = np.maximum(0.0, at_stage.heat_mw.get(cluster, 0.0))
    return np.where(carried <= needed, 1.0, needed / np.where(carried > 0, carried, 1.0))


def _check_ride_through(
    data: ProblemData, solution: Solution, scenario: str, stored: dict[str, float]
) -> Iterator[str]:
    for cluster, megajoules in stored.items():
        entry, gpu = data.model.clusters[cluster], data.gpu(cluster)
        allowed = (entry.throttle_c - entry.setpoint_c) * capacitance_mj_per_k(
            entry.capacitance_mj_per_k_per_mw, gpu.power_mw, solution.fleet.gpus[cluster]
        )
        allowed += data.buffer_mj(scenario, cluster)
        allowed += data.waived.get((Family.RIDE_THROUGH, cluster, scenario), 0.0)
        if off := worst(megajoules, allowed, data.size_mw):
            yield f"{scenario}: {cluster} stores {off[0]:.1f} MJ, {allowed:.1f} allowed"
