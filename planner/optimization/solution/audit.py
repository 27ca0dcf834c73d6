"""The plan is checked again without the solver: rows, requirements and costs.

There are two independent checks. `_check_rows` evaluates the rows of the programme at the rounded
solution, which detects a solver that claims too much. The others start from the plan and the laws,
not from the rows, which detects a row that is built wrongly.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from planner.errors import AuditError
from planner.laws.flows import largest_flow
from planner.laws.heat import capacitance_mj_per_k, heat_at_utilisation_mw
from planner.laws.traffic import serving_rps
from planner.optimization.formulation.algebra import AT_LEAST, AT_MOST, EQUAL
from planner.optimization.formulation.build import without_collection
from planner.optimization.formulation.families import Family
from planner.optimization.formulation.problem import ProblemData, offer_target
from planner.optimization.formulation.programme import Programme
from planner.optimization.formulation.relevance import power_as_usual
from planner.optimization.formulation.stages import Stage, unanswered
from planner.optimization.solution.audit_purchases import (
    RELATIVE,
    check_money,
    check_purchases,
    exceeds,
)
from planner.optimization.solution.costs import (
    CostItem,
    cost_items,
    emergency_spend_usd,
    occurrence_usd,
)
from planner.optimization.solution.scaling import Whole, numbers_of, sizes
from planner.optimization.solution.solving import Solution, fleet_of, parts_of
from planner.optimization.solution.stage_values import StageValues, stage_capacity_mw, stage_values
from planner.scenarios.demand import undominated
from planner.scenarios.services import (
    degradation,
    limited_services,
    replicas_up,
    service_rps,
)
from planner.scenarios.standard import counts_for, emergency_budget_usd

MONEY = 1e-6


@without_collection()
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
    if solution.status == "infeasible":
        raise AuditError("there is no plan to audit")
    data = programme.data.with_bought(solution.fleet.measures)
    once: dict[str, float] = {}
    found: list[str] = []
    of_stages: list[str] = []
    for part, here in parts_of(programme, solution):
        stages = part.data.stages_by_scenario
        after = data if part.data is programme.data else data.part(tuple(stages))
        if here.recourse is None:
            once |= occurrence_usd(part, here, after)
            of_stages += _check_stages(part, here, after)
        rows, columns, _ = sizes(numbers_of(part.problem))
        found += [*_check_rows(part, here, rows), *_check_bounds(part, here, columns)]
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
    if abs(recomputed - solution.objective) > MONEY * natural:
        found.append(f"objective {solution.objective:,.2f}, recomputed {recomputed:,.2f} USD/year")
    if found:
        shown = "\n  ".join(found[:20])
        raise AuditError(f"the plan contradicts itself in {len(found)} places:\n  {shown}")
    return items


def _check_rows(programme: Programme, solution: Solution, rows: Whole) -> Iterator[str]:
    """Rows hold to a tolerance relative to their largest term or to their scale."""
    values = solution.values
    for constraint, power in zip(programme.problem.constraints, rows.tolist(), strict=True):
        terms = [c * values[v.name] for v, c in constraint.items()]
        total, right = sum(terms), -constraint.constant
        scale = max(2.0**power, abs(right), *map(abs, terms))
        excess = {
            AT_MOST: total - right,
            AT_LEAST: right - total,
            EQUAL: abs(total - right),
        }[constraint.sense]
        if excess > RELATIVE * scale:
            yield f"row {constraint.name} is off by {excess:g}"


def _check_bounds(programme: Programme, solution: Solution, columns: Whole) -> Iterator[str]:
    """Variables are within their bounds, purchases whole."""
    for variable, power in zip(programme.problem.variables, columns.tolist(), strict=False):
        name, low, high = variable.name, variable.low, variable.high
        value = solution.values[name]
        room = RELATIVE * max(2.0**power, abs(value))
        if low is not None and low - value > room:
            yield f"{name} is {value:g}, at least {low:g} is allowed"
        if high is not None and value - high > room:
            yield f"{name} is {value:g}, at most {high:g} is allowed"
        if variable.integer and value != round(value):
            yield f"{name} is {value:g}, not whole"


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
        if exceeds(load, room, data.size_rps):
            yield f"{where}: {target} serves {load:.3f} of at most {room:.3f} requests/s"


def _check_stages(programme: Programme, solution: Solution, data: ProblemData) -> Iterator[str]:
    """Every stage with the measures bought, its system state worked out anew on the graph."""
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
        budget = emergency_budget_usd(data.model, stages[0].timeline.scenario)
        budget += data.waived.get((Family.EMERGENCY_BUDGET, "budget", scenario), 0.0)
        if exceeds(spend, budget):
            yield f"{scenario}: emergency spend {spend:,.0f} USD exceeds {budget:,.0f}"
        for heat in stored.values():
            yield from _check_ride_through(data, solution, scenario, heat)


def _check_served(data: ProblemData, stage: Stage, at_stage: StageValues) -> Iterator[str]:
    size = data.size_rps
    if exceeds(sum(at_stage.served_rps.values()), sum(at_stage.load_rps.values()), size):
        yield f"{stage.label}: more is served than reaches any target"
    for key, served in at_stage.served_rps.items():
        if exceeds(served, stage.demand_rps[key], size):
            yield f"{stage.label}: {'/'.join(key)} gets {served:.3f} requests/s, more than it asks"
    for name, least in stage.floors.items():
        keys = [key for key in stage.demand_rps if counts_for(name, *key)]
        served = sum(at_stage.served_rps[key] for key in keys)
        demand = sum(stage.demand_rps[key] + stage.down_rps.get(key, 0.0) for key in keys)
        if exceeds(least * demand, served, size):
            yield f"{stage.label}: {name} gets {served:.3f} of {least * demand:.3f} requests/s"


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
        passed /= 1 + data.margin(stage.scenario).demand
        if exceeds(passed, room, data.size_rps):
            yield f"{stage.label}: {passed:.3f} requests/s pass {name}, which takes {room:.3f}"


def _check_reserved(
    data: ProblemData, solution: Solution, stage: Stage, at_stage: StageValues
) -> Iterator[str]:
    for offer, gpus in at_stage.used_gpus.items():
        reserved = solution.fleet.instances[offer] * data.model.offers[offer].gpus_per_instance
        if exceeds(gpus, reserved):
            yield f"{stage.label}: {offer} uses {gpus:.3f} of {reserved} GPUs reserved"


def _check_cooling(
    data: ProblemData,
    solution: Solution,
    stage: Stage,
    at_stage: StageValues,
    stored: dict[str, float],
) -> Iterator[str]:
    """Plants stay within capacity; heat is carried, or stored before operators react."""
    for plant in data.model.plants:
        carried = sum(mw for (_, name), mw in at_stage.carried_mw.items() if name == plant)
        capacity = stage_capacity_mw(data, solution.fleet, stage, plant)
        if exceeds(carried, max(0.0, capacity), data.size_mw):
            yield f"{stage.label}: {plant} carries {carried:.3f} of {capacity:.3f} MW"
    margin = 1 + data.margin(stage.scenario).heat
    for cluster in sorted({cluster for cluster, _ in at_stage.carried_mw}):
        carried = sum(mw for (name, _), mw in at_stage.carried_mw.items() if name == cluster)
        if cluster not in at_stage.heat_mw:
            continue
        if stage.reacted:
            if exceeds(margin * at_stage.heat_mw[cluster], carried, data.size_mw):
                yield f"{stage.label}: {cluster} is short of cooling"
            continue
        gpu, entry = data.gpu(cluster), data.model.clusters[cluster]
        gpus: float = solution.fleet.gpus[cluster]
        if not power_as_usual(data, stage, cluster) or stage.label in data.resumed:
            # Loads without power go off by themselves; GPUs that operators switched off stay off.
            gpus = at_stage.powered_gpus[cluster]
        full = heat_at_utilisation_mw(gpu.power_mw, gpu.static_share, gpus, entry.max_utilisation)
        short = max(0.0, margin * full - carried)
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
                needed, all_of_it = at_stage.heat_mw.get(cluster, 0.0), carrying[cluster]
                part = 1.0 if all_of_it <= max(0.0, needed) else max(0.0, needed) / all_of_it
                drawn += part * data.draw_per_heat(limit, plant) * heat
            for cluster in data.clusters_in(region):
                plants = data.plants_of(cluster, "primary") if cluster not in carrying else ()
                mw_per_mw = data.draw_per_power(limit, cluster)
                mw_per_mw += min(
                    (data.draw_per_heat(limit, plant) for plant in plants), default=0.0
                )
                drawn += mw_per_mw * at_stage.heat_mw.get(cluster, 0.0)
            if exceeds(drawn, limit.mw, data.size_mw):
                what = ", ".join(limit.feeds) or region
                yield f"{stage.label}: {what} carries {drawn:.3f} of {limit.mw:.3f} MW"


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
        if exceeds(megajoules, allowed, data.size_mw):
            yield f"{scenario}: {cluster} stores {megajoules:.1f} MJ, {allowed:.1f} allowed"
