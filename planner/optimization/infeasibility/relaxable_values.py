"""Which values of the model relax which rows of the programme.

One function for each constraint family returns the rows of its group. Families without such a value
get a plain slack.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from planner.infrastructure.changes import value_at
from planner.infrastructure.entities import Model
from planner.infrastructure.failures import ServedRule
from planner.laws.money import HOURS_PER_YEAR, annuity, lost_usd
from planner.optimization.formulation.algebra import Constraint
from planner.optimization.formulation.families import Family
from planner.optimization.formulation.problem import ProblemData
from planner.optimization.formulation.programme import Row
from planner.optimization.formulation.recourse import may_turn_away
from planner.optimization.formulation.stages import Stage
from planner.optimization.infeasibility.elastic import (
    ElasticProgramme,
    RelaxableValue,
    ValueColumn,
    changed_number,
    kind_of,
    size,
)
from planner.optimization.infeasibility.relaxable_bounds import add_bounds
from planner.scenarios.demand import zone_shape
from planner.scenarios.event_grid import events_on_grid
from planner.scenarios.hours import failure_and_hour
from planner.scenarios.power import node_losses, sagging_clusters
from planner.scenarios.services import service_rps
from planner.scenarios.standard import ALL, counts_for, subject_of, tier_and_zone

#: Years over which a capital budget is annualised.
BUDGET_YEARS = 20.0
#: Weight of a last resort, such as removing a scenario.
LAST_RESORT = 10.0
#: Step in which a share is searched.
SHARE_STEP = 0.001

Rows = list[Constraint]


def elastic_programme(data: ProblemData) -> ElasticProgramme:
    """The programme in which the values of the model relax requirements, limits and bounds."""
    elastic = ElasticProgramme(data)
    programme = elastic.programme
    may_turn_away(programme)
    for name, row in list(programme.rows.items()):
        if row.kind == "definition":
            continue
        constraint = programme.constraints[name]
        rows = FAMILIES.get(row.family, _plain_slack)(elastic, row, constraint)
        elastic.group(row, rows or _plain_slack(elastic, row, constraint))
    add_bounds(elastic)
    elastic.set_weights()
    return elastic


def _plain_slack(elastic: ElasticProgramme, row: Row, constraint: Constraint) -> Rows:
    """Relax a row by an amount, where no value of the model does."""
    value = RelaxableValue(
        "", kind_of(row), row.family, row.subject, row.unit, lambda _, amount: amount
    )
    column = elastic.column(value, size(row), side=f"{row.subject} {row.scenario}".strip())
    elastic.relax(column, row, constraint, 1.0)
    return [constraint]


def _power(elastic: ElasticProgramme, row: Row, constraint: Constraint) -> Rows:
    """Power limit of a region or capacity of feeds.

    Where the same loads have a wider limit too, that one binds next: it is added as a row of its
    own. Feeds that a measure would bring have no relaxable capacity.
    """
    data, limit = elastic.data, elastic.programme.limits[constraint.name]
    failed = frozenset[str]()
    if row.scenario:
        events = events_on_grid(elastic.scenarios[row.scenario].events)
        failed = node_losses(elastic.model, events, row.from_minute)
        failed |= sagging_clusters(data.dependency_index, events, row.from_minute)
    down = data.dependency_index.depends_at_best.down_with(failed)
    rows = [constraint]
    for candidate in data.supply.every_limit(limit.region, down, unsettled=True):
        if candidate.loads != limit.loads or (
            candidate != limit and (candidate.brought or limit.brought)
        ):
            continue
        if candidate.sources != limit.sources:
            rows.append(elastic.copy_of(constraint, candidate.mw - limit.mw))
        target = constraint if candidate.sources == limit.sources else rows[-1]
        for path in candidate.sources:
            subject = ".".join(path.split(".")[1:-1])
            if subject not in data.supply.owners:
                elastic.relax(_megawatts(elastic, path, subject), row, target, 1.0)
    return rows


def _megawatts(elastic: ElasticProgramme, path: str, subject: str) -> ValueColumn:
    field = path.rsplit(".", 1)[-1]
    value = RelaxableValue(path, "limit", field, subject, "MW", changed_number(path, 1.0))
    return elastic.column(value, max(value_at(elastic.model, path), 1.0))


def _served_floor(elastic: ElasticProgramme, row: Row, constraint: Constraint) -> Rows:
    """Every entry of the standard that is in force for a tier, each as a row of its own."""
    model = elastic.model
    stage = elastic.stages.get((row.scenario, row.from_minute))
    severity = elastic.scenarios[row.scenario].severity
    if stage is None:
        return []
    tier, zone = tier_and_zone(row.subject)
    tiers, zones = ({tier} if tier == ALL else {tier, "each"}), ({zone, "each"} if zone else {None})
    since = stage.timeline.clock.since(row.from_minute)
    rules = [
        (rule.least_served, index)
        for index, rule in enumerate(model.standard.get(severity, ()))
        if rule.tier in tiers
        and rule.zone in zones
        and rule.from_minute <= since
        and rule.least_served > 0
    ]
    if not rules:
        return []
    rules.sort(reverse=True)
    rows = [constraint]
    for least, _ in rules[1:]:
        rows.append(elastic.copy_of(constraint, (least - rules[0][0]) * row.amount))
    usd = _lost_usd_per_share(elastic, stage, row.subject)
    for (least, index), target in zip(rules, rows, strict=True):
        value = _less_served(severity, index, model.standard[severity][index])
        column = elastic.column(value, most=least)
        column.at_price(None, max(column.value.usd_per_year or 0.0, usd) or None)
        elastic.relax(column, row, target, row.amount)
        _less_demand(elastic, row, target, stage, least)
        _shorter_latency(elastic, row, target, stage)
    return rows


def _less_served(severity: str, index: int, rule: ServedRule) -> RelaxableValue:
    path, subject = f"standard.{severity}[{index}].least_served", subject_of(rule.tier, rule.zone)
    less = changed_number(path, -1.0)
    return RelaxableValue(path, "requirement", "least_served", subject, "share", less)


def _lost_usd_per_share(elastic: ElasticProgramme, stage: Stage, subject: str) -> float:
    """Expected value of all requests of a tier in the scenario of a stage, USD a year."""
    model, frequency = elastic.model, stage.timeline.scenario.frequency_per_year
    if stage.scenario not in elastic.lost_usd:
        by_crowd: dict[tuple[str, str], float] = {}
        for one in elastic.data.stages_by_scenario[stage.scenario]:
            for (zone, tier), rps in one.demand_rps.items():
                usd = frequency * lost_usd(rps, one.hours, request_value(model, tier))
                by_crowd[zone, tier] = by_crowd.get((zone, tier), 0.0) + usd
        elastic.lost_usd[stage.scenario] = by_crowd
    known = elastic.lost_usd[stage.scenario].items()
    return sum(usd for (zone, tier), usd in known if counts_for(subject, zone, tier))


def request_value(model: Model, tier: str) -> float:
    """Revenue and service credits lost with a thousand requests of a tier, USD."""
    entry = model.tiers[tier]
    return entry.value_usd_per_1000_requests + entry.sla_credit_usd_per_1000_requests


def _demand(elastic: ElasticProgramme, zone: str) -> ValueColumn:
    model = elastic.model
    path, peak = f"zones.{zone}.demand_rps", model.zones[zone].demand_rps
    per_1000 = sum(tier.share * request_value(model, name) for name, tier in model.tiers.items())
    usd = lost_usd(float(zone_shape(model, zone).mean()), HOURS_PER_YEAR, per_1000)
    value = RelaxableValue(
        path, "requirement", "demand_rps", zone, "requests/s", changed_number(path, -1.0),
        usd_per_year=usd or None,
    )  # fmt: skip
    return elastic.column(value, max(peak, 1e-6), most=1.0, weight=1.0 if usd else LAST_RESORT)


def _less_demand(
    elastic: ElasticProgramme, row: Row, target: Constraint, stage: Stage, least: float
) -> None:
    for zone, entry in elastic.model.zones.items():
        rps = sum(
            demand
            for (origin, tier), demand in stage.demand_rps.items()
            if origin == zone and counts_for(row.subject, zone, tier)
        )
        if rps and entry.demand_rps:
            per_rps = least * rps / entry.demand_rps
            elastic.relax(_demand(elastic, zone), row, target, per_rps)


def _normal_demand(elastic: ElasticProgramme, row: Row, constraint: Constraint) -> Rows:
    """Demand in each hour that can be the busiest, and latency limits that exclude regions."""
    crowd = elastic.data.crowd(row.subject)
    if crowd is None:
        return []
    rows: Rows = []
    for demand in crowd.hours:
        less = sum(demand.values()) - crowd.peak_rps
        rows.append(elastic.copy_of(constraint, less) if rows else constraint)
        for group in crowd.groups:
            rps, peak = demand[group.label], elastic.model.zones[group.zone].demand_rps
            if not rps:
                continue
            elastic.relax(_demand(elastic, group.zone), row, rows[-1], rps / peak)
            total = sum(elastic.model.tiers[tier].share for tier in group.tiers)
            for tier in group.tiers:
                share = elastic.model.tiers[tier].share / total
                for column in _latencies(elastic, group.zone, tier):
                    elastic.relax(column, row, rows[-1], rps * share)
    return rows


def _shorter_latency(elastic: ElasticProgramme, row: Row, target: Constraint, stage: Stage) -> None:
    """Latencies that keep the demand of a tier from regions that could serve it."""
    for (zone, tier), rps in stage.demand_rps.items():
        if rps and counts_for(row.subject, zone, tier):
            for column in _latencies(elastic, zone, tier):
                elastic.relax(column, row, target, rps)


def _latencies(elastic: ElasticProgramme, zone: str, tier: str) -> Iterator[ValueColumn]:
    """Values that would let more regions serve a tier in a zone, each all or nothing.

    A longer latency limit where a region is too far away, and a latency where none is stated.
    """
    model = elastic.model
    stated, limit = model.zones[zone].latency_ms, model.tiers[tier].latency_limit_ms
    everywhere = {ms for zone in model.zones.values() for ms in zone.latency_ms.values()}
    longer = sorted(ms for ms in everywhere if ms > limit)
    if any(ms > limit for ms in stated.values()):
        path = f"tiers.{tier}.latency_limit_ms"
        value = RelaxableValue.searched(path, "requirement", "latency_limit_ms", tier, "ms", longer)
        yield elastic.column(value, most=1.0, whole=True)
    limits = sorted({entry.latency_limit_ms for entry in model.tiers.values()}, reverse=True)
    for region in sorted({cluster.region for cluster in model.clusters.values()} - set(stated)):
        path, subject = f"zones.{zone}.latency_ms.{region}", f"{zone} to region {region}"
        value = RelaxableValue.searched(path, "limit", "latency_ms", subject, "ms", limits)
        yield elastic.column(value, most=1.0, whole=True)


def _searched(
    elastic: ElasticProgramme, row: Row, constraint: Constraint, value: RelaxableValue
) -> None:
    """Relax a row by a value that is searched."""
    elastic.relax(elastic.column(value, size(row)), row, constraint, 1.0)


def _design_heat(elastic: ElasticProgramme, row: Row, constraint: Constraint) -> Rows:
    """The cooling margin, and the redundancy (k of N+k) of the plants of a cluster."""
    if elastic.model.policies.cooling_margin:
        _share("policies.cooling_margin", elastic, row, constraint)
    for plant in elastic.data.chain_of(row.subject, "primary"):
        spare = elastic.model.plants[plant].redundancy
        if spare:
            path, fewer = f"plants.{plant}.redundancy", range(spare - 1, -1, -1)
            value = RelaxableValue.searched(
                path, "requirement", "redundancy", plant, "units", fewer
            )
            _searched(elastic, row, constraint, value)
    return [constraint]


def _share(path: str, elastic: ElasticProgramme, row: Row, constraint: Constraint) -> Rows:
    """A share that multiplies a variable."""
    now = value_at(elastic.model, path)
    shares = [round(SHARE_STEP * step, 6) for step in range(int(now / SHARE_STEP), -1, -1)]
    lower = [share for share in shares if share < now]
    value = RelaxableValue.searched(path, "requirement", row.family, "", "share", lower)
    _searched(elastic, row, constraint, value)
    return [constraint]


def _emergency_cover(elastic: ElasticProgramme, row: Row, constraint: Constraint) -> Rows:
    """The share of the design heat, and the critical tiers, which may require more."""
    policies = elastic.model.policies
    if policies.emergency_cooling_share:
        _share("policies.emergency_cooling_share", elastic, row, constraint)
    if policies.critical_tiers:
        path, family = "policies.critical_tiers", "critical_tiers"
        value = RelaxableValue.searched(path, "requirement", family, "", "", [()])
        _searched(elastic, row, constraint, value)
    return [constraint]


def _independent_cooling(elastic: ElasticProgramme, row: Row, constraint: Constraint) -> Rows:
    """The policy that emergency plants share no dependencies with the primary plants."""
    path, family = "policies.independent_emergency_cooling", "independent_cooling"
    value = RelaxableValue.searched(path, "requirement", family, "", "", [False])
    _searched(elastic, row, constraint, value)
    return [constraint]


def _service_capacity(elastic: ElasticProgramme, row: Row, constraint: Constraint) -> Rows:
    """Capacity or connections of a replica, whichever is the bottleneck."""
    name = row.subject
    service = elastic.model.services[name]
    rate = service_rps(elastic.model, name)
    field = "capacity_rps" if service.capacity_rps == rate else "connections"
    path = f"services.{name}.{field}"
    now = value_at(elastic.model, path)
    unit = "requests/s" if field == "capacity_rps" else "connections"
    value = RelaxableValue(path, "limit", field, name, unit, changed_number(path, 1.0))
    elastic.relax(elastic.column(value, now), row, constraint, (row.amount or rate) / now)
    return [constraint]


def _ride_through(elastic: ElasticProgramme, row: Row, constraint: Constraint) -> Rows:
    """Tanks of plants that still run; as a last resort the failure itself, at all its hours."""
    data, model = elastic.data, elastic.model
    stages = data.stages_by_scenario.get(row.scenario, ())
    lost = {plant for stage in stages if not stage.reacted for plant in stage.state.plants_lost}
    for plant in data.tanks_of(row.scenario, row.subject):
        if plant in lost:
            continue
        path, entry = f"plants.{plant}.buffer_mwh", model.plants[plant]
        value = RelaxableValue(path, "limit", "buffer_mwh", plant, "MWh", changed_number(path, 1.0))
        column = elastic.column(value, max(entry.buffer_mwh, size(row) / 3600))
        elastic.relax(column, row, constraint, 3600 * data.tank_share(plant, row.subject))
    _last_resort(elastic, row, constraint, size(row))
    return [constraint]


def _last_resort(elastic: ElasticProgramme, row: Row, constraint: Constraint, scale: float) -> None:
    """Let a row be broken without the failure itself, at all its hours."""
    failure, _ = failure_and_hour(row.scenario)
    path = elastic.scenario_paths.get(failure, "")
    value = RelaxableValue(
        path, "requirement", "scenario", failure, "", partial(_removed, path, failure)
    )
    column = elastic.column(value, scale, weight=LAST_RESORT)
    elastic.relax(column, row, constraint, 1.0)


def _removed(path: str, failure: str, model: Model, _: float) -> tuple[str, ...] | None:
    """What removes a failure: its name in the list of those left out, or no entry."""
    return (*value_at(model, path), failure) if path.startswith("generators.") else None


def _least_regions(elastic: ElasticProgramme, row: Row, constraint: Constraint) -> Rows:
    path = "policies.least_regions"
    value = RelaxableValue(
        path, "requirement", "least_regions", "", "regions", changed_number(path, -1.0)
    )
    weight = 1 / max(row.amount, 1.0)
    column = elastic.column(value, most=row.amount, whole=True, weight=weight)
    elastic.relax(column, row, constraint, 1.0)
    return [constraint]


def _spare_block(elastic: ElasticProgramme, row: Row, constraint: Constraint) -> Rows:
    path = "policies.spare_block_per_region"
    value = RelaxableValue(path, "requirement", "spare_block", "", "", lambda *_: False)
    column = elastic.column(value, most=1.0, whole=True)
    rows = _normal_demand(elastic, row, constraint) or [constraint]
    for target in rows:
        elastic.relax(column, row, target, row.amount)
    return rows


def _emergency_budget(elastic: ElasticProgramme, row: Row, constraint: Constraint) -> Rows:
    """The emergency budget of the scenario, of its class, or of all scenarios."""
    model = elastic.model
    scenario = elastic.scenarios[row.scenario]
    path, frequency = "finance.emergency_budget_usd", scenario.frequency_per_year
    if scenario.emergency_budget_usd is not None:
        failure, _ = failure_and_hour(row.scenario)
        path = f"scenarios.{failure}.emergency_budget_usd"
        if failure not in model.scenarios:
            return []
    elif scenario.severity in model.finance.emergency_budget_by_class_usd:
        path = f"finance.emergency_budget_by_class_usd.{scenario.severity}"
    subject = "" if path.startswith("finance.emergency_budget_usd") else row.scenario
    value = RelaxableValue(
        path, "limit", "emergency_budget", subject, "USD", changed_number(path, 1.0), usd=1.0
    )
    column = elastic.column(value, max(row.amount, 1e6))
    column.at_price(1.0, max(column.value.usd_per_year or 0.0, frequency))
    elastic.relax(column, row, constraint, 1.0)
    return [constraint]


def _simulated_cut(elastic: ElasticProgramme, row: Row, constraint: Constraint) -> Rows:
    """What the standard asks for, or the emergency budget; else the failure itself.

    As much less makes up for what was short of it.
    """
    model, scenario = elastic.model, elastic.scenarios[row.scenario]
    tier, zone = tier_and_zone(row.subject)
    if tier == ALL or tier in model.tiers:
        for index, rule in enumerate(model.standard.get(scenario.severity, ())):
            if rule.tier in (tier, "each") and rule.zone in (zone, "each") and rule.least_served:
                value = _less_served(scenario.severity, index, rule)
                column = elastic.column(value, most=rule.least_served)
                elastic.relax(column, row, constraint, 1 / row.amount)
    else:
        _last_resort(elastic, row, constraint, 1.0)
    return [constraint]


def _capital_budget(elastic: ElasticProgramme, row: Row, constraint: Constraint) -> Rows:
    path = "policies.capital_budget_usd"
    rate = elastic.model.finance.discount_rate
    value = RelaxableValue(
        path, "limit", "capital_budget", "", "USD", changed_number(path, 1.0),
        usd=1.0, usd_per_year=annuity(rate, BUDGET_YEARS),
    )  # fmt: skip
    elastic.relax(elastic.column(value, size(row)), row, constraint, 1.0)
    return [constraint]


#: Relaxes a row of each family; returns the rows of its group, none where no value is found.
FAMILIES: dict[str, Callable[[ElasticProgramme, Row, Constraint], Rows]] = {
    Family.POWER_LIMIT: _power,
    Family.FEED_LIMIT: _power,
    Family.STAGE_POWER: _power,
    Family.STAGE_FEEDS: _power,
    Family.SERVED_FLOOR: _served_floor,
    Family.SIMULATED_CUT: _simulated_cut,
    Family.NORMAL_DEMAND: _normal_demand,
    Family.DESIGN_HEAT: _design_heat,
    Family.RIDE_THROUGH: _ride_through,
    Family.SURVIVING_CAPACITY_SHARE: partial(_share, "policies.surviving_capacity_share"),
    Family.EMERGENCY_COVER: _emergency_cover,
    Family.INDEPENDENT_COOLING: _independent_cooling,
    Family.SERVICE_CAPACITY: _service_capacity,
    Family.LEAST_REGIONS: _least_regions,
    Family.SPARE_BLOCK: _spare_block,
    Family.EMERGENCY_BUDGET: _emergency_budget,
    Family.CAPITAL_BUDGET: _capital_budget,
}
