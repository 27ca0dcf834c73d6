"""The plan checked again without the solver: every row, every rule, every dollar.

Two independent looks. `_check_rows` evaluates the rows of the programme at the rounded solution,
so a solver that claims too much is found out. The others start from the plan and the laws, not from
the rows, so a wrongly built row is found out too.
"""

from __future__ import annotations

from collections.abc import Iterator

from pulp import const

from planner.errors import AuditError
from planner.laws.heat import capacitance_mj_per_k, heat_at_utilisation_mw
from planner.laws.traffic import serving_rps
from planner.optimization.beliefs import Belief, believe, firm_mw, stage_capacity_mw
from planner.optimization.case import Case
from planner.optimization.costs import CostItem, cost_items, emergency_spend_usd
from planner.optimization.programme import Programme
from planner.optimization.solving import Solution
from planner.optimization.stages import ALL, Stage

#: Feasibility tolerance of solvers (1e-6 on rows) with room for sums of a few terms.
RELATIVE = 1e-5
ABSOLUTE = 1e-4
MONEY = 1e-6


def audit(programme: Programme, solution: Solution) -> tuple[CostItem, ...]:
    """Check a solution against its constraints and its objective.

    Returns
    -------
    tuple of CostItem
        The cost of the plan, which adds up to its objective.

    Raises
    ------
    AuditError
        With everything that does not hold.
    """
    found = [
        *_check_rows(programme, solution),
        *_check_purchases(programme.case, solution),
        *_check_normal(programme, solution),
        *_check_stages(programme, solution),
    ]
    items = cost_items(programme, solution)
    recomputed = sum(item.usd_per_year for item in items)
    if abs(recomputed - solution.objective) > MONEY * max(1.0, abs(solution.objective)):
        found.append(f"objective {solution.objective:,.2f}, recomputed {recomputed:,.2f} USD/year")
    if found:
        shown = "\n  ".join(found[:20])
        raise AuditError(f"the plan contradicts itself in {len(found)} places:\n  {shown}")
    return items


def _exceeds(left: float, right: float) -> bool:
    return left - right > ABSOLUTE + RELATIVE * max(abs(left), abs(right))


def _check_rows(programme: Programme, solution: Solution) -> Iterator[str]:
    values = solution.values
    for constraint in programme.problem.constraints():
        terms = [c * values[v.name] for v, c in constraint.items()]
        total, right = sum(terms), -constraint.constant
        scale = max([abs(term) for term in terms] + [abs(right), 1.0])
        excess = {
            const.LpConstraintLE: total - right,
            const.LpConstraintGE: right - total,
            const.LpConstraintEQ: abs(total - right),
        }[constraint.sense]
        if excess > ABSOLUTE + RELATIVE * scale:
            yield f"row {constraint.name} is off by {excess:g}"


def _full_heat(case: Case, solution: Solution, cluster: str) -> float:
    gpu = case.gpu(cluster)
    gpus = solution.fleet.gpus[cluster]
    return float(heat_at_utilisation_mw(gpu.power_mw, gpu.static_share, gpus, 1.0))


def _check_purchases(case: Case, solution: Solution) -> Iterator[str]:
    """N+k by taking units away, limits on counts, policies, money."""
    model, fleet = case.model, solution.fleet
    for cluster, entry in model.clusters.items():
        if fleet.gpus[cluster] > entry.max_gpus:
            yield f"{cluster}: {fleet.gpus[cluster]} GPUs exceed {entry.max_gpus}"
        closed = model.regions[entry.region].candidate and entry.region not in fleet.opened
        if closed and fleet.gpus[cluster]:
            yield f"{cluster}: GPUs in a region that is not opened"
    for role, share in (("primary", 1.0), ("emergency", model.policies.emergency_cooling_share)):
        yield from _check_cover(case, solution, role, share)
    total = sum(fleet.gpus.values())
    for region in model.regions:
        left = total - sum(fleet.gpus[c] for c in case.clusters_in(region))
        if _exceeds(model.policies.surviving_capacity_share * total, left):
            yield f"{region}: only {left} of {total} GPUs left without it"
    used = {model.clusters[c].region for c, n in fleet.gpus.items() if n}
    if len(used) < model.policies.least_regions:
        yield f"{len(used)} regions in use, policy asks for {model.policies.least_regions}"


def _check_cover(case: Case, solution: Solution, role: str, share: float) -> Iterator[str]:
    """Plants carry the design heat of every set of clusters that share no plant with the rest."""
    if not share:
        return
    for clusters, plants in _components(case, role):
        heat = share * sum(_full_heat(case, solution, cluster) for cluster in clusters)
        firm = sum(firm_mw(case, solution.fleet, plant) for plant in plants)
        if _exceeds(heat, firm):
            names = ", ".join(sorted(clusters))
            yield f"{role} cooling of {names}: {firm:.3f} MW firm for {heat:.3f} MW of heat"


def _components(case: Case, role: str) -> list[tuple[set[str], set[str]]]:
    components: list[tuple[set[str], set[str]]] = []
    for cluster in case.model.clusters:
        if not case.gpu(cluster).power_mw:
            continue
        clusters, plants = {cluster}, set(case.plants_of(cluster, role))
        for other in [one for one in components if one[1] & plants]:
            components.remove(other)
            clusters |= other[0]
            plants |= other[1]
        components.append((clusters, plants))
    return components


def _check_normal(programme: Programme, solution: Solution) -> Iterator[str]:
    """All demand is served at the peak of the week within the capacity of every cluster."""
    case = programme.case
    belief = believe(programme, solution, None)
    demand, served = sum(case.peak_rps.values()), sum(belief.load_rps.values())
    if _exceeds(demand, served):
        yield f"normal operation serves {served:.2f} of {demand:.2f} requests/s"
    yield from _check_capacity(case, "normal operation", belief)


def _check_capacity(case: Case, where: str, belief: Belief) -> Iterator[str]:
    for target, load in belief.load_rps.items():
        if target in case.model.offers:
            gpus, rps = belief.used_gpus[target], case.model.offers[target].rps_per_gpu
            utilisation = 1.0
        else:
            gpus, rps = belief.powered_gpus[target], case.gpu(target).rps
            utilisation = case.model.clusters[target].max_utilisation
        room = serving_rps(gpus, rps, utilisation)
        if _exceeds(load, room):
            yield f"{where}: {target} serves {load:.3f} of at most {room:.3f} requests/s"


def _check_stages(programme: Programme, solution: Solution) -> Iterator[str]:
    case = programme.case
    for scenario, stages in case.stages_by_scenario.items():
        spend = 0.0
        stored: dict[str, float] = {}
        for stage in stages:
            belief = believe(programme, solution, stage)
            spend += emergency_spend_usd(case, stage, belief)
            yield from _check_capacity(case, stage.label, belief)
            yield from _check_served(stage, belief)
            yield from _check_reserved(case, solution, stage, belief)
            yield from _check_cooling(case, solution, stage, belief, stored)
        budget = case.model.finance.emergency_budget_usd
        if _exceeds(spend, budget):
            yield f"{scenario}: emergency spend {spend:,.0f} USD exceeds {budget:,.0f}"
        yield from _check_ride_through(case, solution, scenario, stored)


def _check_served(stage: Stage, belief: Belief) -> Iterator[str]:
    if _exceeds(sum(belief.served_rps.values()), sum(belief.load_rps.values())):
        yield f"{stage.label}: more is served than reaches any target"
    for name, least in stage.floors.items():
        keys = [key for key in stage.demand_rps if name in (ALL, key[1])]
        served = sum(belief.served_rps[key] for key in keys)
        demand = sum(stage.demand_rps[key] + stage.down_rps.get(key, 0.0) for key in keys)
        if _exceeds(least * demand, served):
            yield f"{stage.label}: {name} gets {served:.3f} of {least * demand:.3f} requests/s"


def _check_reserved(case: Case, solution: Solution, stage: Stage, belief: Belief) -> Iterator[str]:
    for offer, gpus in belief.used_gpus.items():
        reserved = solution.fleet.instances[offer] * case.model.offers[offer].gpus_per_instance
        if _exceeds(gpus, reserved):
            yield f"{stage.label}: {offer} uses {gpus:.3f} of {reserved} GPUs reserved"


def _check_cooling(
    case: Case, solution: Solution, stage: Stage, belief: Belief, stored: dict[str, float]
) -> Iterator[str]:
    """Plants carry what they can; heat is carried, or stored before operators react."""
    for plant in case.model.plants:
        carried = sum(mw for (_, other), mw in belief.carried_mw.items() if other == plant)
        capacity = stage_capacity_mw(case, solution.fleet, stage, plant)
        if _exceeds(carried, max(0.0, capacity)):
            yield f"{stage.label}: {plant} carries {carried:.3f} of {capacity:.3f} MW"
    margin = 1 + case.margin(stage.scenario).heat
    for cluster in sorted({cluster for cluster, _ in belief.carried_mw}):
        carried = sum(mw for (one, _), mw in belief.carried_mw.items() if one == cluster)
        if stage.reacted:
            if _exceeds(margin * belief.heat_mw[cluster], carried):
                yield f"{stage.label}: {cluster} is short of cooling"
            continue
        gpu, entry = case.gpu(cluster), case.model.clusters[cluster]
        gpus = solution.fleet.gpus[cluster]
        full = heat_at_utilisation_mw(gpu.power_mw, gpu.static_share, gpus, entry.max_utilisation)
        short = max(0.0, margin * full - carried)
        stored[cluster] = stored.get(cluster, 0.0) + stage.hours * 3600 * short


def _check_ride_through(
    case: Case, solution: Solution, scenario: str, stored: dict[str, float]
) -> Iterator[str]:
    for cluster, megajoules in stored.items():
        entry, gpu = case.model.clusters[cluster], case.gpu(cluster)
        allowed = (entry.throttle_c - entry.setpoint_c) * capacitance_mj_per_k(
            entry.capacitance_mj_per_k_per_mw, gpu.power_mw, solution.fleet.gpus[cluster]
        )
        if _exceeds(megajoules, allowed):
            yield f"{scenario}: {cluster} stores {megajoules:.1f} MJ, {allowed:.1f} allowed"
