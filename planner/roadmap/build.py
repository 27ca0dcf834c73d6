"""Composition of the programme of a roadmap: its nodes, the rows that couple them, and its cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType

from planner.infrastructure.changes import changed
from planner.infrastructure.entities import Model
from planner.infrastructure.failures import Scenario
from planner.infrastructure.horizon_checks import lasts
from planner.infrastructure.prices import gpu_assets
from planner.laws.money import HOURS_PER_YEAR, lost_usd
from planner.memory import available_bytes
from planner.optimization.decomposition.size import GIB, TooLarge, estimated
from planner.optimization.formulation import objective
from planner.optimization.formulation.algebra import Expression, Problem, Variable, sum_of
from planner.optimization.formulation.build import build
from planner.optimization.formulation.families import Family
from planner.optimization.formulation.labels import label
from planner.optimization.formulation.problem import Key, ProblemData
from planner.optimization.formulation.programme import Programme
from planner.optimization.formulation.recourse import NORMAL, may_turn_away
from planner.optimization.formulation.variables import StageVariables
from planner.optimization.solution.decisions import Decision, variables
from planner.roadmap.items import Item, Kind, fixed_path, items_of
from planner.roadmap.programme import NodeProgramme, OrderKey, RoadmapProgramme, Section
from planner.roadmap.tree import Node, changes_at, leaves, line_of, power_at, tree, with_flexible

#: Scenarios to survive in a node, given its model.
ScenariosAt = Callable[[Model], tuple[Scenario, ...]]
NOTHING: Mapping[str, Mapping[Key, float]] = MappingProxyType({})


def build_roadmap(
    model: Model, scenarios: ScenariosAt, waived: Mapping[str, Mapping[Key, float]] = NOTHING
) -> RoadmapProgramme:
    """Build the programme of a model with a horizon.

    Parameters
    ----------
    scenarios
        Scenarios to survive in a node, given its model.
    waived
        Rows of nodes that are not asked for, since nothing arrives in time to keep them, and by
        how much each may be broken (`ProblemData.waived`).

    Raises
    ------
    ValueError
        If the model has no horizon.
    """
    horizon = model.horizon
    if horizon is None:
        raise ValueError("The model has no horizon.")
    problem, items = Problem(), items_of(model, horizon)
    nodes = {
        node.name: _node(model, node, items, scenarios, waived.get(node.name, {}), problem)
        for node in tree(horizon, model.finance.discount_rate).values()
    }
    first = next(iter(nodes.values()))
    nothing = {NORMAL: StageVariables()}
    base = Programme(first.data.part(()), problem, by_stage=nothing)
    made = RoadmapProgramme(model, horizon, nodes, items, base)
    _add_orders(made)
    for each in nodes.values():
        _in_service(made, each)
        _halls(made, each)
        _retired_stay_away(made, each)
        _construction(made, each)
    _capital_budgets(made)
    problem.objective = _cost(made)
    return made


def _node(
    model: Model,
    node: Node,
    items: Mapping[tuple[Kind, str], Item],
    scenarios: ScenariosAt,
    waived: Mapping[Key, float],
    problem: Problem,
) -> NodeProgramme:
    settings = changes_at(model, node)
    for item in items.values():
        late = node.period < item.first_period + item.lead_periods
        if late and _is_fixed(model, item):
            settings[fixed_path(item)] = None
    there = changed(model, settings)
    data = ProblemData(there, scenarios(there), waived=waived)
    normal, horizon = data, model.horizon
    if horizon and any(flexible for _, flexible in power_at(horizon, node.period).values()):
        normal = replace(data, model=with_flexible(there, horizon, node.period), scenarios=())
    programme = build(normal.part(()), Section(problem, node.name))
    if any(family == Family.NORMAL_DEMAND for family, _, _ in waived):
        may_turn_away(programme)
    return NodeProgramme(node, settings, data, programme)


def _is_fixed(model: Model, item: Item) -> bool:
    fixed = model.policies.fixed
    plant, _, unit = item.asset.partition("/")
    tables = {
        "gpus": fixed.gpus, "emergency": fixed.emergency, "region": fixed.regions,
        "measure": fixed.measures, "cooling": fixed.cooling.get(plant, {}),
    }  # fmt: skip
    return (unit or plant) in tables.get(item.kind, {})


def _add_orders(made: RoadmapProgramme) -> None:
    """Create x: whatever can be ordered in a node and is in service within the horizon."""
    for name, each in made.nodes.items():
        known = variables(each.programme)
        for item in made.items.values():
            arrival = each.node.period + item.lead_periods
            if each.node.period < item.first_period or arrival > made.horizon.periods:
                continue
            place = Decision("gpus" if item.kind == "halls" else item.kind, item.asset)
            high = known[place].high
            if item.kind == "halls":
                cluster = made.model.clusters[item.asset]
                high = float(cluster.max_gpus // cluster.block_gpus)
            if high:
                key = OrderKey(name, *item.key)
                made.orders[key] = made.base.problem.add_variable(
                    label("order", name, item.kind, item.asset), 0.0, high, integer=True
                )


def _in_service(made: RoadmapProgramme, each: NodeProgramme) -> None:
    """What is in service is what was ordered in time and whose life is not over.

    ``b[n,i] = Σ_m x[m,i]`` over the nodes m on the way to n with ``L ≤ t(n) − t(m) < L + T``
    """
    for decision, variable in variables(each.programme).items():
        if decision.kind == "retired":
            continue
        item = made.items.get((decision.kind, decision.asset))
        orders = [] if item is None else [x for x, _ in made.arrivals(each.node, item)]
        if not orders:
            variable.low = variable.high = 0.0
            continue
        row = label("in_service", each.node.name, decision.kind, decision.asset)
        made.base.problem.add(1 * variable == sum_of(orders), row)


def _halls(made: RoadmapProgramme, each: NodeProgramme) -> None:
    """Every GPU has a place: ``G[n,c] ≤ h[n,c] + block·Σ_m x[m,halls]``.

    Where no halls arrive that bounds what can be bought, which the simulation of as much as may be
    in service goes by.
    """
    bought, gone = each.programme.purchases.blocks, each.programme.purchases.retired_blocks
    for (kind, cluster), item in made.items.items():
        if kind != "halls":
            continue
        orders = [item.count_each * x for x, _ in made.arrivals(each.node, item)]
        room = sum_of([*orders, float(existing_halls(made, cluster, each.node.period))])
        row = label("halls", each.node.name, cluster)
        made.base.problem.add(each.programme.gpus(cluster) <= room, row)
        if not orders:
            entry = each.data.model.clusters[cluster]
            away = gone[cluster].high if cluster in gone else 0.0
            places = max(0.0, room.constant - entry.existing_gpus) // entry.block_gpus + away
            bought[cluster].high = min(bought[cluster].high, places)


def existing_halls(made: RoadmapProgramme, cluster: str, period: int) -> int:
    """GPU places that exist and whose life is not over."""
    entry = made.model.clusters[cluster]
    life = made.model.gpus[entry.gpu].facility_life_years
    kept = lasts(made.horizon, entry.existing_facility_age_years, life, period)
    return entry.existing_gpus if kept else 0


def _retired_stay_away(made: RoadmapProgramme, each: NodeProgramme) -> None:
    """What is retired stays away: ``y[n] ≥ y[before n] − (what reaches the end of its life)``."""
    if each.node.parent is None:
        return
    before = made.nodes[each.node.parent]
    earlier = variables(before.programme)
    for decision, variable in variables(each.programme).items():
        if decision.kind == "retired" and decision in earlier:
            ended = _existing(before.data.model, decision) - _existing(each.data.model, decision)
            row = label("retired_stay", each.node.name, decision.asset)
            made.base.problem.add(variable >= earlier[decision] - float(ended), row)


def _existing(model: Model, decision: Decision) -> int:
    plant, _, unit = decision.asset.partition("/")
    if unit:
        return model.plants[plant].existing.get(unit, 0)
    cluster = model.clusters[plant]
    return cluster.existing_gpus // cluster.block_gpus


def _construction(made: RoadmapProgramme, each: NodeProgramme) -> None:
    """What comes into service in a period stays within construction capacity."""
    limits = made.horizon.construction
    groups = [
        *(("clusters", name, most) for name, most in limits.clusters.items()),
        *(("plants", name, most) for name, most in limits.plants.items()),
        *(("regions", name, most) for name, most in limits.regions.items()),
    ]
    for section, name, most in groups:
        counts = []
        for item in made.items.values():
            concerned = {
                "clusters": item.kind == "gpus" and item.asset == name,
                "plants": item.kind == "cooling" and item.asset.startswith(f"{name}/"),
                "regions": item.kind == "gpus" and item.region == name,
            }[section]
            found = made.starting(each.node, item) if concerned else None
            if found is not None:
                counts.append(item.count_each * found[0])
        if counts:
            row = label("construction", each.node.name, section, name)
            made.base.problem.add(sum_of(counts) <= float(most), row)


def capital_by_year(made: RoadmapProgramme, leaf: Node) -> dict[int, Expression]:
    """Capital on the way to a leaf by calendar year, due when equipment comes into service."""
    found: dict[int, Expression] = {}
    for node in line_of(made.tree, leaf):
        year = made.horizon.month_of(node.period) // 12
        spent = found.setdefault(year, Expression())
        for item in made.items.values():
            order = made.starting(node, item)
            if order is not None:
                period = made.nodes[order[1].node].node.period
                usd = item.capital_usd(made.horizon, period)
                if usd:
                    spent.add(order[0], usd)
    return found


def _capital_budgets(made: RoadmapProgramme) -> None:
    """Capital of a year stays within its budget on every path, and all of it within the policy's.

    Salvage value of what is retired counts against the latter, as in a plan.
    """
    budgets, most = made.horizon.capital_budgets_usd, made.model.policies.capital_budget_usd
    for leaf in leaves(made.tree):
        by_year = capital_by_year(made, leaf)
        for year, spent in by_year.items():
            if str(year) in budgets and spent.terms:
                row = label("capital_budget", leaf.name, str(year))
                made.base.problem.add(spent <= budgets[str(year)], row)
        if most is not None:
            gone = _salvage(made.nodes[leaf.name].programme)
            row = label("capital_budget", leaf.name)
            made.base.problem.add(sum_of([*by_year.values(), -gone]) <= most, row)


def _salvage(programme: Programme) -> Expression:
    model = programme.data.model
    terms = [
        asset.salvage_usd * programme.retired_gpus(cluster)
        for cluster in programme.purchases.retired_blocks
        for asset in gpu_assets(model, cluster).values()
    ]
    terms += [
        model.cooling_units[unit].salvage_usd * programme.retired_units(plant, unit)
        for plant, unit in programme.purchases.retired
    ]
    return sum_of(terms)


def _cost(made: RoadmapProgramme) -> Expression:
    """Net present value of all costs but those of failures, USD.

    ``Σ_n w[n]·(kept + retainers + operation) + Σ_m Σ_i x[m,i]·(price·a + upkeep)·Σ_n w[n]`` over
    the nodes n in which the order is in service. Bought for its price and sold at the end for what
    its annuity has not paid off (`money.resale_usd`), a piece costs exactly its annuity while it is
    held, so that the end of the horizon changes nothing.
    """
    terms: list[Expression] = []
    held: dict[OrderKey, float] = {}
    for each in made.nodes.values():
        terms.append(each.node.weight * running_usd(made, each))
        for item in made.items.values():
            for _, key in made.arrivals(each.node, item):
                held[key] = held.get(key, 0.0) + each.node.weight
    prices: dict[Variable, float] = {}
    for key, weight in held.items():
        period = made.nodes[key.node].node.period
        yearly = made.items[key.kind, key.asset].usd_per_year(made.horizon, period, made.rate)
        prices[made.orders[key]] = weight * yearly
    return settled(made.base, sum_of([*terms, Expression(prices)]))


def settled(programme: Programme, cost: Expression) -> Expression:
    """A cost whose constant is carried by a variable fixed at 1, as `objective.set_objective`."""
    if not cost.constant:
        return cost
    unity = programme.variable("one", low=1.0, high=1.0)
    return cost - cost.constant + cost.constant * unity


def running_usd(made: RoadmapProgramme, each: NodeProgramme) -> Expression:
    """What a year in a node costs beside orders and failures, USD: owners, retainers, operation."""
    model = each.data.model
    retainers = sum(
        o.retainer_usd_per_instance_year * o.existing_instances for o in model.offers.values()
    )
    return sum_of(
        [
            objective.kept(each.programme),
            objective.normal_operation(each.programme),
            turned_away_usd(each.programme),
            retainers + empty_halls_usd(made, each),
        ]
    )


def turned_away_usd(programme: Programme) -> Expression:
    """Value of requests that normal operation turns away where that is waived, USD per year."""
    data, terms = programme.data, []
    waived = any(family == Family.NORMAL_DEMAND for family, _, _ in data.waived)
    for group in data.groups if waived else ():
        tiers = [data.model.tiers[tier] for tier in group.tiers]
        value = sum(t.share * t.value_usd_per_1000_requests for t in tiers)
        price = value / (sum(tier.share for tier in tiers) or 1.0)
        served = sum_of(programme.by_stage[NORMAL].flows_from[group.label])
        terms.append(lost_usd(1.0, HOURS_PER_YEAR, price) * (data.mean_rps[group.label] - served))
    return sum_of(terms)


def empty_halls_usd(made: RoadmapProgramme, each: NodeProgramme) -> float:
    """Upkeep of halls that outlive the servers that were in them at the start, USD per year."""
    total = 0.0
    for name, cluster in each.data.model.clusters.items():
        empty = existing_halls(made, name, each.node.period) - cluster.existing_gpus
        parts = gpu_assets(made.model, name)
        total += max(0, empty) * sum(
            asset.paid_usd * asset.upkeep_share
            for part, asset in parts.items()
            if part != "servers"
        )
    return total


def check_fits(roadmap: RoadmapProgramme) -> None:
    """Check that the failures of all nodes fit into the memory there is.

    Raises
    ------
    TooLarge
        If they do not.
    """
    sizes = [estimated(each.data, in_parts=True) for each in roadmap.nodes.values()]
    needed, available = sum(s.memory_bytes for s in sizes if s), available_bytes()
    if needed > available:
        raise TooLarge(
            f"{len(sizes)} nodes need some {needed / GIB:,.1f} GiB of memory, of which "
            f"{available / GIB:,.1f} GiB are left: fewer periods, paths or scenarios need less"
        )
