"""Writing roadmaps down: a result as the records of ``roadmap.json``."""

from __future__ import annotations

from collections.abc import Iterator

from planner.amounts import listed
from planner.files import now
from planner.infrastructure.changes import setting
from planner.infrastructure.entities import Model
from planner.infrastructure.horizon import month_text
from planner.infrastructure.loading import LoadedModel
from planner.laws.money import HOURS_PER_YEAR
from planner.laws.traffic import serving_rps
from planner.optimization.infeasibility.wording import amount_text
from planner.optimization.solution.settings import SolverSettings, relative_gap
from planner.plan.assembly import to_cents, versions
from planner.plan.records import (
    FIRM_ONLY,
    LATE,
    NO_TIME,
    NOTHING_LEFT,
    ModelReference,
    Plan,
    SolverRecord,
)
from planner.plan.reopening import recorded
from planner.roadmap.build import capital_by_year
from planner.roadmap.cash import cash_flows
from planner.roadmap.items import UNITS
from planner.roadmap.pricing import NodeOutcome
from planner.roadmap.programme import NodeProgramme, OrderKey
from planner.roadmap.records import (
    BudgetRecord,
    CapacityRecord,
    CashFlowRecord,
    HorizonRecord,
    NodeRecord,
    OrderRecord,
    PathRecord,
    RegionGrowth,
    Roadmap,
    ShortfallRecord,
)
from planner.roadmap.result import RoadmapResult
from planner.roadmap.tree import leaves, line_of
from planner.rounds import LoopResult
from planner.scenarios.demand import weekly_demand


def make_roadmap(
    loaded: LoadedModel, result: RoadmapResult, settings: SolverSettings, decided_periods: int = 0
) -> Roadmap:
    """Write a result down.

    Parameters
    ----------
    decided_periods
        Periods whose orders were fixed.

    Raises
    ------
    ValueError
        If there is no roadmap.
    """
    if not result.feasible:
        raise ValueError("There is no roadmap.")
    solution, made = result.solution, result.roadmap
    plans = {name: _plan(loaded, result, name, settings) for name in made.nodes}
    gap = max(0.0, relative_gap(solution.objective, solution.bound))
    return Roadmap(
        model=ModelReference(
            name=loaded.name,
            sha256=loaded.sha256,
            path=next(iter(plans.values())).model.path,
            overrides=loaded.overrides,
        ),
        created=now(),
        versions=versions(),
        status="optimal" if solution.status == "optimal" and not result.stopped else "feasible",
        npv_usd=to_cents(solution.objective),
        bound_usd=to_cents(solution.bound),
        gap=round(gap, 9),
        survives=result.survives,
        rounds=result.rounds,
        stopped=result.stopped,
        exact=all(outcome.exact for outcome in result.outcomes.values()),
        solver=SolverRecord(
            name=settings.name,
            seconds=round(solution.seconds, 3),
            rows=solution.rows,
            columns=solution.columns,
        ),
        horizon=_horizon(result),
        nodes=tuple(_node(result, name) for name in made.nodes),
        orders=tuple(_orders(result)),
        capacity=tuple(_capacity(result)),
        budgets=tuple(_budgets(result)),
        cash_flows=tuple(_cash(result)),
        regions=tuple(_growth(result)),
        decided_periods=decided_periods,
        plans=plans,
    )


def _horizon(result: RoadmapResult) -> HorizonRecord:
    made = result.roadmap
    return HorizonRecord(
        start=made.horizon.start,
        months=made.horizon.months,
        periods=made.horizon.periods,
        discount_rate=made.rate,
        paths=tuple(
            PathRecord(name=name, probability=path.probability)
            for name, path in made.horizon.paths.items()
        ),
    )


def node_model(loaded: LoadedModel, result: RoadmapResult, name: str) -> LoadedModel:
    """The model of a node as if it had been loaded with the settings that make it."""
    each = result.roadmap.nodes[name]
    settings = tuple(setting(path, value) for path, value in each.settings.items())
    return loaded.set_to(each.data.model, settings)


def _plan(loaded: LoadedModel, result: RoadmapResult, name: str, settings: SolverSettings) -> Plan:
    outcome, each = result.outcomes[name], result.roadmap.nodes[name]
    made = LoopResult((outcome.made,), selection=outcome.selection, learned=each.data.learned)
    plan = made.plan(node_model(loaded, result, name), settings)
    changes: dict[str, object] = {"of_roadmap": name}
    if reasons := tuple(_not_alone(each, outcome)):
        changes |= {"risk": None, "breaks": (*plan.breaks, *reasons)}
    return recorded(plan.model_copy(update=changes), outcome.selection.wanted)


def _not_alone(each: NodeProgramme, outcome: NodeOutcome) -> Iterator[str]:
    """Why the programme of its plan asks for other than that of the roadmap asks of a node."""
    data, once = outcome.made.programme.data, outcome.made.solution.once_usd or {}
    yield from (f"{LATE}{one.text}" for one in _shortfalls(outcome))
    if each.programme.data.model != data.model:
        yield FIRM_ONLY
    if not outcome.exact:
        yield NO_TIME
    elif unmet := sorted(data.stages_by_scenario.keys() - once.keys()):
        yield f"{NOTHING_LEFT}{listed(unmet)}"


def _node(result: RoadmapResult, name: str) -> NodeRecord:
    made, outcome = result.roadmap, result.outcomes[name]
    each, judged = made.nodes[name], (*outcome.made.verdicts, *outcome.made.beyond)
    survived = sum(verdict.survives for verdict in judged)
    return NodeRecord(
        name=name,
        period=each.node.period,
        start=month_text(made.horizon.month_of(each.node.period)),
        parent=each.node.parent,
        paths=each.node.paths,
        probability=each.node.probability,
        weight_years=each.node.weight,
        demand_rps=each.data.peak_rps,
        judged=survived + len(outcome.made.failed),
        survived=survived,
        failed=outcome.made.failed,
        bridged=tuple(sorted(outcome.not_planned)),
        shortfalls=tuple(_shortfalls(outcome)),
        usd_per_year=to_cents(outcome.made.solution.objective),
    )


def _shortfalls(outcome: NodeOutcome) -> Iterator[ShortfallRecord]:
    for one in outcome.shortfalls:
        what = f"{one.family.replace('_', ' ')} of {one.subject}"
        yield ShortfallRecord(
            family=one.family,
            subject=one.subject,
            amount=one.amount,
            unit=one.unit,
            text=f"{what}: short of {amount_text(one.amount, one.unit)}",
        )


def _orders(result: RoadmapResult) -> Iterator[OrderRecord]:
    """Orders by the month in which they have to be placed."""
    made = result.roadmap
    found = [order_record(result, key, count) for key, count in result.orders.items()]
    order = list(made.nodes)
    yield from sorted(found, key=lambda one: (one.order_by, order.index(one.node), one.in_service))


def order_record(result: RoadmapResult, key: OrderKey, count: int) -> OrderRecord:
    """An order, before its delay is priced."""
    made = result.roadmap
    item, node = made.items[key.kind, key.asset], made.nodes[key.node].node
    horizon, arrival = made.horizon, node.period + item.lead_periods
    service = horizon.month_of(arrival)
    after = arrival + item.life_periods
    return OrderRecord(
        node=key.node,
        kind=key.kind,
        asset=key.asset,
        type=item.type_name,
        region=item.region,
        count=count * item.count_each,
        unit=UNITS[key.kind],
        blocks=count,
        order_by=month_text(service - item.lead_months),
        in_service=month_text(service),
        service_period=arrival,
        until=month_text(horizon.month_of(after)) if after <= horizon.periods else None,
        capital_usd=to_cents(count * item.capital_usd(horizon, node.period)),
        usd_per_year=to_cents(count * item.upkeep_usd_per_year(horizon, node.period)),
    )


def _capacity(result: RoadmapResult) -> Iterator[CapacityRecord]:
    for name, each in result.roadmap.nodes.items():
        model, fleet = each.data.model, result.outcomes[name].fleet
        nearest = _nearest_rps(model)
        for region, place in model.regions.items():
            inside = {c: entry for c, entry in model.clusters.items() if entry.region == region}
            serving = sum(
                float(serving_rps(fleet.gpus[c], model.gpus[e.gpu].rps, e.max_utilisation))
                for c, e in inside.items()
            )
            yield CapacityRecord(
                node=name,
                region=region,
                gpus=sum(fleet.gpus[cluster] for cluster in inside),
                serving_rps=serving,
                nearest_rps=nearest.get(region, 0.0),
                power_limit_mw=place.power_limit_mw,
            )


def _nearest_rps(model: Model) -> dict[str, float]:
    """Peak of the demand of the zones nearest to each region with clusters, requests per second."""
    places = {cluster.region for cluster in model.clusters.values()}
    weeks: dict[str, list[int]] = {}
    for index, zone in enumerate(model.zones.values()):
        reached = {region: ms for region, ms in zone.latency_ms.items() if region in places}
        if reached:
            weeks.setdefault(min(reached, key=lambda region: reached[region]), []).append(index)
    demand = weekly_demand(model)
    return {region: float(demand[zones].sum(axis=0).max()) for region, zones in weeks.items()}


def _budgets(result: RoadmapResult) -> Iterator[BudgetRecord]:
    made = result.roadmap
    for leaf in leaves(made.tree):
        for year, spent in capital_by_year(made, leaf).items():
            yield BudgetRecord(
                year=year,
                path=", ".join(leaf.paths),
                budget_usd=made.horizon.capital_budgets_usd.get(str(year)),
                capital_usd=to_cents(spent.at(result.solution.values)),
            )


def _cash(result: RoadmapResult) -> Iterator[CashFlowRecord]:
    outcomes = result.outcomes
    flows = cash_flows(
        result.roadmap,
        result.orders,
        {name: outcome.fleet for name, outcome in outcomes.items()},
        {name: outcome.made.items for name, outcome in outcomes.items()},
        result.solution.values,
    )
    for flow in flows:
        yield flow.model_copy(update={"usd": to_cents(flow.usd)})


def _growth(result: RoadmapResult) -> Iterator[RegionGrowth]:
    """Regions in the order in which GPUs are added to them."""
    made, horizon, worth = result.roadmap, result.roadmap.horizon, _worth(result)
    by_region: dict[str, list[tuple[int, OrderKey, int]]] = {}
    for key, count in result.orders.items():
        item, node = made.items[key.kind, key.asset], made.nodes[key.node].node
        if key.kind == "gpus":
            arrival = node.period + item.lead_periods
            by_region.setdefault(item.region, []).append((arrival, key, count))
    ranked = sorted(by_region.items(), key=lambda pair: (min(pair[1])[0], pair[0]))
    for region, found in ranked:
        first, key, _ = min(found)
        item, node = made.items[key.kind, key.asset], made.nodes[key.node].node
        gpus = sum(
            made.nodes[key.node].node.probability * count * item.count_each
            for _, key, count in found
        )
        place = made.nodes[node.name].data.model.regions[region]
        yearly = item.usd_per_year(horizon, node.period, made.rate)
        gpu = made.model.gpus[item.type_name]
        energy = (
            HOURS_PER_YEAR * gpu.power_mw * place.drawn_mw_per_mw * place.electricity_usd_per_mwh
        )
        usd = yearly / item.count_each + energy
        month, tree = month_text(horizon.month_of(first)), made.tree
        served = [n for n in tree.values() if n.period >= first and node in line_of(tree, n)]
        means = {
            place: sum(n.weight * worth[n.name].get(place, 0.0) for n in served)
            / sum(n.weight for n in served)
            for place in made.model.regions
        }
        yield RegionGrowth(
            region=region,
            in_service=month,
            gpus=gpus,
            usd_per_gpu=to_cents(usd),
            worth_usd_per_gpu={
                name: to_cents(known[region]) for name, known in worth.items() if region in known
            },
            reason=(
                f"from {month} on a GPU more is worth {means[region]:,.0f} USD a year there, and "
                f"{sum(means.values()) / len(means):,.0f} in the mean of all regions"
            ),
        )


def _worth(result: RoadmapResult) -> dict[str, dict[str, float]]:
    """What a GPU more is worth a year in each node and region, where it is worth most, USD."""
    found: dict[str, dict[str, float]] = {name: {} for name in result.roadmap.nodes}
    for (name, cluster), usd in result.parts.worth_usd.items():
        region = result.roadmap.model.clusters[cluster].region
        found[name][region] = max(found[name].get(region, 0.0), usd)
    return found
