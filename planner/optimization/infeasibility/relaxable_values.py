"""Which values of the model loosen which rows of the programme.

One function for each constraint family; families that have none give way by an amount that no value
of the model stands for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from pulp import LpAffineExpression, LpConstraint

from planner.infrastructure.changes import value_at
from planner.infrastructure.entities import Model
from planner.infrastructure.prices import gpu_assets, unit_asset
from planner.laws.money import HOURS_PER_YEAR, annuity, lost_usd
from planner.optimization.formulation.families import Family
from planner.optimization.formulation.problem import ProblemData
from planner.optimization.formulation.programme import Row
from planner.optimization.formulation.recourse import may_turn_away
from planner.optimization.formulation.stages import ALL, Stage
from planner.optimization.infeasibility.elastic import ElasticProgramme, Kind, Lever, round_up, size
from planner.scenarios.demand import zone_shape
from planner.scenarios.event_grid import events_on_grid
from planner.scenarios.power import node_losses, sagging_clusters
from planner.scenarios.services import service_rps
from planner.scenarios.standard import counts_for, subject_of, tier_and_zone

#: Years over which money without a life of its own is spread.
BUDGET_YEARS = 20.0
#: What leaving a scenario out counts as: a last resort.
LAST_RESORT = 10.0
#: Steps of a share that is searched.
SHARE_STEP = 0.001


def elastic_programme(data: ProblemData) -> ElasticProgramme:
    """The programme in which every requirement, limit and bound may give way by its values."""
    elastic = ElasticProgramme(data)
    programme = elastic.programme
    may_turn_away(programme)
    for name, row in list(programme.rows.items()):
        if row.kind == "definition":
            continue
        constraint = programme.constraints[name]
        rows = FAMILIES.get(row.family, _unknown)(elastic, row, constraint)
        kind: Kind = "requirement" if row.kind == "requirement" else "limit"
        elastic.item(row, kind, rows or _unknown(elastic, row, constraint))
    _units(elastic)
    _blocks(elastic)
    _instances(elastic)
    _measures(elastic)
    elastic.weigh()
    return elastic


def _number(path: str, sign: float) -> Callable[[Model, float], Any]:
    """A new number: what stands and an amount more or less, that amount rounded up."""

    def new(model: Model, amount: float) -> Any:
        now = value_at(model, path)
        if isinstance(now, int):
            return int(now + sign * round(amount))
        value = now + sign * round_up(amount)
        return max(0.0, float(f"{value:.12g}"))

    return new


def _unknown(elastic: ElasticProgramme, row: Row, constraint: LpConstraint) -> list[LpConstraint]:
    """Let a row give way by an amount: no value of the model stands for it."""
    subject = f"{row.subject} {row.scenario}".strip()
    kind: Kind = "requirement" if row.kind == "requirement" else "limit"
    lever = elastic.lever(
        "", kind, row.family, row.subject, row.unit, size(row), lambda _, more: more, side=subject
    )
    elastic.use(lever, row, constraint, 1.0)
    return [constraint]


# -------------------------------------------------------------------------------------------- power


def _power(elastic: ElasticProgramme, row: Row, constraint: LpConstraint) -> list[LpConstraint]:
    """What carries the loads; where the same loads have a wider limit too, that one next.

    What feeds to buy carry is no number: no lever stands for them.
    """
    data, limit = elastic.data, elastic.programme.limits[constraint.name]
    failed = frozenset[str]()
    if row.scenario:
        events = events_on_grid(elastic.scenarios[row.scenario].events)
        failed = node_losses(elastic.model, events, row.from_minute)
        failed |= sagging_clusters(data.dependency_index, events, row.from_minute)
    down = data.dependency_index.depends_at_best.down_with(failed)
    rows = [constraint]
    for other in data.supply.every_limit(limit.region, down, unsettled=True):
        if other.loads != limit.loads or (other != limit and (other.brought or limit.brought)):
            continue
        if other.sources != limit.sources:
            rows.append(elastic.twin(constraint, other.mw - limit.mw))
        target = constraint if other.sources == limit.sources else rows[-1]
        for path in other.sources:
            subject = ".".join(path.split(".")[1:-1])
            if subject not in data.supply.owners:
                elastic.use(_megawatts(elastic, path, subject), row, target, 1.0)
    return rows


def _megawatts(elastic: ElasticProgramme, path: str, subject: str) -> Lever:
    family = path.rsplit(".", 1)[-1]
    scale = max(value_at(elastic.model, path), 1.0)
    return elastic.lever(path, "limit", family, subject, "MW", scale, _number(path, 1.0))


# ------------------------------------------------------------------------------------------ service


def _served_floor(
    elastic: ElasticProgramme, row: Row, constraint: LpConstraint
) -> list[LpConstraint]:
    """The rules of the standard in force, each a row of its own."""
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
        rows.append(elastic.twin(constraint, (least - rules[0][0]) * row.amount))
    usd = _lost_usd_per_share(elastic, stage, row.subject)
    for (least, index), target in zip(rules, rows, strict=True):
        path, rule = f"standard.{severity}[{index}].least_served", model.standard[severity][index]
        subject = subject_of(rule.tier, rule.zone)
        lever = elastic.lever(
            path, "requirement", "least_served", subject, "share", 1.0,
            _number(path, -1.0), most=least, usd_per_year=usd or None,
        )  # fmt: skip
        lever.usd_per_year = max(lever.usd_per_year or 0.0, usd) or None
        elastic.use(lever, row, target, row.amount)
        _less_demand(elastic, row, target, stage, least)
        _within_reach(elastic, row, target, stage)
    return rows


def _lost_usd_per_share(elastic: ElasticProgramme, stage: Stage, subject: str) -> float:
    """Expected yearly value of all requests of a tier in the scenario of a stage."""
    data, total = elastic.data, 0.0
    frequency = stage.timeline.scenario.frequency_per_year
    for one in data.stages_by_scenario[stage.scenario]:
        for (zone, tier), rps in one.demand_rps.items():
            if counts_for(subject, zone, tier):
                total += frequency * lost_usd(rps, one.hours, request_value(elastic.model, tier))
    return total


def request_value(model: Model, tier: str) -> float:
    """What a thousand lost requests of a tier cost, USD."""
    entry = model.tiers[tier]
    return entry.value_usd_per_1000_requests + entry.sla_credit_usd_per_1000_requests


def _demand_lever(elastic: ElasticProgramme, zone: str) -> Lever:
    model = elastic.model
    path, peak = f"zones.{zone}.demand_rps", model.zones[zone].demand_rps
    value = sum(one.share * request_value(model, tier) for tier, one in model.tiers.items())
    share = float(zone_shape(model, zone).mean())
    usd = lost_usd(share, HOURS_PER_YEAR, value)
    return elastic.lever(
        path, "requirement", "demand_rps", zone, "requests/s", max(peak, 1e-6),
        _number(path, -1.0), most=1.0, usd_per_year=usd or None,
        weight=1.0 if usd else LAST_RESORT,
    )  # fmt: skip


def _less_demand(
    elastic: ElasticProgramme, row: Row, target: LpConstraint, stage: Stage, least: float
) -> None:
    for zone, entry in elastic.model.zones.items():
        rps = sum(
            demand
            for (origin, tier), demand in stage.demand_rps.items()
            if origin == zone and counts_for(row.subject, zone, tier)
        )
        if rps and entry.demand_rps:
            per_rps = least * rps / entry.demand_rps
            elastic.use(_demand_lever(elastic, zone), row, target, per_rps)


def _normal_demand(
    elastic: ElasticProgramme, row: Row, constraint: LpConstraint
) -> list[LpConstraint]:
    """Demand at each hour that may be the busiest; latency limits where no region is in reach."""
    crowd = elastic.data.crowd(row.subject)
    if crowd is None:
        return []
    rows: list[LpConstraint] = []
    for demand in crowd.hours:
        less = sum(demand.values()) - crowd.peak_rps
        rows.append(elastic.twin(constraint, less) if rows else constraint)
        for group in crowd.groups:
            rps, peak = demand[group.label], elastic.model.zones[group.zone].demand_rps
            if not rps:
                continue
            elastic.use(_demand_lever(elastic, group.zone), row, rows[-1], rps / peak)
            total = sum(elastic.model.tiers[one].share for one in group.tiers)
            for tier in group.tiers:
                share = elastic.model.tiers[tier].share / total
                for lever in _reach(elastic, group.zone, tier):
                    elastic.use(lever, row, rows[-1], rps * share)
    return rows


def _within_reach(elastic: ElasticProgramme, row: Row, target: LpConstraint, stage: Stage) -> None:
    """What is out of reach is also why too little is served in scenarios."""
    for (zone, tier), rps in stage.demand_rps.items():
        meant = rps and counts_for(row.subject, zone, tier)
        for lever in _reach(elastic, zone, tier) if meant else ():
            elastic.use(lever, row, target, rps)


def _reach(elastic: ElasticProgramme, zone: str, tier: str) -> Iterator[Lever]:
    """What would bring more regions into the reach of a tier in a zone, all of it or nothing.

    A longer latency limit where a region is too far, and a latency where none is stated.
    """
    model = elastic.model
    stated, limit = model.zones[zone].latency_ms, model.tiers[tier].latency_limit_ms
    everywhere = {one for other in model.zones.values() for one in other.latency_ms.values()}
    choices = tuple(sorted(one for one in everywhere if one > limit))
    if any(one > limit for one in stated.values()):
        yield elastic.lever(
            f"tiers.{tier}.latency_limit_ms", "requirement", "latency_limit_ms", tier, "ms", 1.0,
            lambda *_: choices[-1], most=1.0, whole=True, choices=choices,
        )  # fmt: skip
    limits = tuple(sorted({one.latency_limit_ms for one in model.tiers.values()}, reverse=True))
    for region in sorted({one.region for one in model.clusters.values()} - set(stated)):
        yield elastic.lever(
            f"zones.{zone}.latency_ms.{region}", "limit", "latency_ms",
            f"{zone} to region {region}", "ms", 1.0, lambda *_: limits[-1],
            most=1.0, whole=True, choices=limits,
        )  # fmt: skip


# ------------------------------------------------------------------------------------------ cooling


def _design_heat(
    elastic: ElasticProgramme, row: Row, constraint: LpConstraint
) -> list[LpConstraint]:
    """The k of N+k of the plants that cool the cluster, and the margin above its heat."""
    if elastic.model.policies.cooling_margin:
        _share("policies.cooling_margin", elastic, row, constraint)
    for plant in elastic.data.plants_of(row.subject, "primary"):
        spare = elastic.model.plants[plant].redundancy
        if not spare:
            continue
        path = f"plants.{plant}.redundancy"
        lever = elastic.lever(
            path, "requirement", "redundancy", plant, "units", size(row), lambda *_: 0,
            choices=tuple(range(spare - 1, -1, -1)),
        )  # fmt: skip
        elastic.use(lever, row, constraint, 1.0)
    return [constraint]


def _share(
    path: str, elastic: ElasticProgramme, row: Row, constraint: LpConstraint
) -> list[LpConstraint]:
    """A share that stands before a variable: it is searched."""
    now = value_at(elastic.model, path)
    steps = int(now / SHARE_STEP)
    values = [round(SHARE_STEP * step, 6) for step in range(steps, -1, -1)]
    lever = elastic.lever(
        path, "requirement", row.family, "", "share", size(row), lambda *_: 0.0,
        choices=tuple(one for one in values if one < now),
    )  # fmt: skip
    elastic.use(lever, row, constraint, 1.0)
    return [constraint]


def _emergency_cover(
    elastic: ElasticProgramme, row: Row, constraint: LpConstraint
) -> list[LpConstraint]:
    """The share for all, or where that is more the tiers that count as critical."""
    policies = elastic.model.policies
    if policies.emergency_cooling_share:
        _share("policies.emergency_cooling_share", elastic, row, constraint)
    if policies.critical_tiers:
        path = "policies.critical_tiers"
        lever = elastic.lever(
            path, "requirement", "critical_tiers", "", "", size(row), lambda *_: (),
            choices=((),), weight=float(bool(policies.critical_tiers)),
        )  # fmt: skip
        elastic.use(lever, row, constraint, 1.0)
    return [constraint]


def _independent(
    elastic: ElasticProgramme, row: Row, constraint: LpConstraint
) -> list[LpConstraint]:
    """The rule that emergency plants share nothing with the primary."""
    path = "policies.independent_emergency_cooling"
    lever = elastic.lever(
        path, "requirement", "independent_cooling", "", "", size(row), lambda *_: False,
        choices=(False,),
    )  # fmt: skip
    elastic.use(lever, row, constraint, 1.0)
    return [constraint]


def _service_capacity(
    elastic: ElasticProgramme, row: Row, constraint: LpConstraint
) -> list[LpConstraint]:
    """Capacity or connections of a replica, whichever is less."""
    name = row.subject
    service = elastic.model.services[name]
    rate = service_rps(elastic.model, name)
    field = "capacity_rps" if service.capacity_rps == rate else "connections"
    path = f"services.{name}.{field}"
    now = value_at(elastic.model, path)
    unit = "requests/s" if field == "capacity_rps" else "connections"
    lever = elastic.lever(path, "limit", field, name, unit, now, _number(path, 1.0))
    elastic.use(lever, row, constraint, (row.amount or rate) / now)
    return [constraint]


def _ride_through(
    elastic: ElasticProgramme, row: Row, constraint: LpConstraint
) -> list[LpConstraint]:
    """Tanks of the plants that still run; failing that the scenario itself."""
    data, model = elastic.data, elastic.model
    stages = data.stages_by_scenario.get(row.scenario, ())
    lost = {plant for one in stages if not one.reacted for plant in one.state.plants_lost}
    for plant in data.plants_of(row.subject):
        if plant in lost:
            continue
        path, entry = f"plants.{plant}.buffer_mwh", model.plants[plant]
        part = data.tank_share(plant, row.subject)
        scale = max(entry.buffer_mwh, size(row) / 3600)
        lever = elastic.lever(path, "limit", "buffer_mwh", plant, "MWh", scale, _number(path, 1.0))
        elastic.use(lever, row, constraint, 3600 * part)
    path = elastic.scenario_paths.get(row.scenario, "")
    lever = elastic.lever(
        path, "requirement", "scenario", row.scenario, "", size(row),
        partial(_left_out, path, row.scenario), weight=LAST_RESORT,
    )  # fmt: skip
    elastic.use(lever, row, constraint, 1.0)
    return [constraint]


def _left_out(path: str, scenario: str, model: Model, _: float) -> tuple[str, ...] | None:
    """What takes one scenario out: its name among those left out, or no entry."""
    return (*value_at(model, path), scenario) if path.startswith("generators.") else None


# ----------------------------------------------------------------------------------------- policies


def _least_regions(
    elastic: ElasticProgramme, row: Row, constraint: LpConstraint
) -> list[LpConstraint]:
    path = "policies.least_regions"
    lever = elastic.lever(
        path, "requirement", "least_regions", "", "regions", 1.0, _number(path, -1.0),
        most=row.amount, whole=True, weight=1 / max(row.amount, 1.0),
    )  # fmt: skip
    elastic.use(lever, row, constraint, 1.0)
    return [constraint]


def _spare_block(
    elastic: ElasticProgramme, row: Row, constraint: LpConstraint
) -> list[LpConstraint]:
    path = "policies.spare_block_per_region"
    lever = elastic.lever(
        path, "requirement", "spare_block", "", "", 1.0, lambda *_: False, most=1.0, whole=True
    )
    rows = _normal_demand(elastic, row, constraint) or [constraint]
    for one in rows:
        elastic.use(lever, row, one, row.amount)
    return rows


def _emergency_budget(
    elastic: ElasticProgramme, row: Row, constraint: LpConstraint
) -> list[LpConstraint]:
    """The budget of the scenario, of its class, or that for all."""
    model = elastic.model
    scenario = elastic.scenarios[row.scenario]
    path, frequency = "finance.emergency_budget_usd", scenario.frequency_per_year
    if scenario.emergency_budget_usd is not None:
        path = f"scenarios.{row.scenario}.emergency_budget_usd"
        if row.scenario not in model.scenarios:
            return []
    elif scenario.severity in model.finance.emergency_budget_by_class_usd:
        path = f"finance.emergency_budget_by_class_usd.{scenario.severity}"
    subject = "" if path.startswith("finance.emergency_budget_usd") else row.scenario
    lever = elastic.lever(
        path, "limit", "emergency_budget", subject, "USD", max(row.amount, 1e6),
        _number(path, 1.0), usd=1.0, usd_per_year=frequency,
    )  # fmt: skip
    lever.usd_per_year = max(lever.usd_per_year or 0.0, frequency)
    elastic.use(lever, row, constraint, 1.0)
    return [constraint]


def _capital_budget(
    elastic: ElasticProgramme, row: Row, constraint: LpConstraint
) -> list[LpConstraint]:
    path = "policies.capital_budget_usd"
    rate = elastic.model.finance.discount_rate
    lever = elastic.lever(
        path, "limit", "capital_budget", "", "USD", size(row), _number(path, 1.0),
        usd=1.0, usd_per_year=annuity(rate, BUDGET_YEARS),
    )  # fmt: skip
    elastic.use(lever, row, constraint, 1.0)
    return [constraint]


# ---------------------------------------------------------------------------------------- purchases


def _units(elastic: ElasticProgramme) -> None:
    """Units that a plant may get, those that are settled and those that are forbidden."""
    model, programme = elastic.model, elastic.programme
    fixed, rate = model.policies.fixed.cooling, model.finance.discount_rate
    for (plant, unit), count in programme.purchases.units.items():
        entry, kind = model.plants[plant], model.cooling_units[unit]
        subject = f"{plant}/{unit}"
        yearly = unit_asset(model, plant, unit).bought_usd_per_year(rate)
        settled = fixed.get(plant, {}).get(unit)
        if settled is not None:
            path = f"policies.fixed.cooling.{plant}.{unit}"
            net = 1 * count
            if (plant, unit) in programme.purchases.retired:
                net = net - programme.purchases.retired[plant, unit]
            _settled(elastic, net, settled, path, subject, "units", 1)
        else:
            path = f"plants.{plant}.max_added"
            row = Row(Family.MOST_UNITS, subject, "", float(entry.max_added))
            bound = elastic.bound(count <= entry.max_added, "units", plant, unit)
            lever = elastic.lever(
                path, "limit", "max_added", plant, "units", 1.0, _number(path, 1.0), whole=True,
                usd=kind.capital_usd, usd_per_year=yearly, weight=1 / max(entry.max_added, 1),
            )  # fmt: skip
            if kind.capital_usd < (lever.usd or 0.0):
                lever.usd, lever.usd_per_year = kind.capital_usd, yearly
            elastic.use(lever, row, bound, 1.0)
            elastic.item(row, "limit", [bound])
            if unit not in entry.options:
                _no_option(elastic, count, plant, unit)
        for name in sorted({plant, unit} & set(model.policies.forbidden.cooling)):
            _forbidden(elastic, count, "cooling", name, (plant, unit))


def _no_option(elastic: ElasticProgramme, count: Any, plant: str, unit: str) -> None:
    """A unit type that stands in a plant but is not among those that may be bought."""
    path, most = f"plants.{plant}.options", count.upBound or 0.0
    row = Row(Family.NO_OPTION, f"{plant}/{unit}", "", most)
    bound = elastic.bound(1 * count <= 0, "option", plant, unit)
    lever = elastic.lever(
        path, "limit", "options", f"{plant}/{unit}", "", 1.0, partial(_with_option, path, unit),
        most=1.0, whole=True,
    )  # fmt: skip
    elastic.use(lever, row, bound, most)
    elastic.item(row, "limit", [bound])


def _with_option(path: str, unit: str, model: Model, _: float) -> tuple[str, ...]:
    return (*value_at(model, path), unit)


def _blocks(elastic: ElasticProgramme) -> None:
    """GPUs that a cluster can hold, those that are settled and those that are forbidden."""
    model, rate = elastic.model, elastic.model.finance.discount_rate
    for cluster, blocks in elastic.programme.purchases.blocks.items():
        entry, assets = model.clusters[cluster], gpu_assets(model, cluster).values()
        most = (entry.max_gpus - entry.existing_gpus) // entry.block_gpus
        usd = sum(one.price_usd for one in assets)
        yearly = sum(one.bought_usd_per_year(rate) for one in assets)
        path = f"clusters.{cluster}.max_gpus"
        row = Row(Family.MOST_GPUS, cluster, "", float(entry.max_gpus))
        bound = elastic.bound(blocks <= most, "blocks", cluster)
        lever = elastic.lever(
            path, "limit", "max_gpus", cluster, "GPUs", float(entry.block_gpus),
            partial(_more_gpus, cluster), whole=True, usd=usd, usd_per_year=yearly,
            weight=entry.block_gpus / max(entry.max_gpus, 1),
        )  # fmt: skip
        elastic.use(lever, row, bound, 1 / entry.block_gpus)
        elastic.item(row, "limit", [bound])
        settled = model.policies.fixed.gpus.get(cluster)
        if settled is not None:
            path = f"policies.fixed.gpus.{cluster}"
            net = 1 * blocks
            if cluster in elastic.programme.purchases.retired_blocks:
                net = net - elastic.programme.purchases.retired_blocks[cluster]
            _settled(elastic, net, settled, path, cluster, "GPUs", entry.block_gpus)
        if cluster in model.policies.forbidden.gpus:
            _forbidden(elastic, blocks, "gpus", cluster, (cluster,))


def _more_gpus(cluster: str, model: Model, amount: float) -> int:
    entry = model.clusters[cluster]
    blocks = (entry.max_gpus - entry.existing_gpus) // entry.block_gpus
    blocks += round(amount / entry.block_gpus)
    return entry.existing_gpus + blocks * entry.block_gpus


def _instances(elastic: ElasticProgramme) -> None:
    """Instances that an offer can supply, those that are settled and those that are forbidden."""
    model = elastic.model
    for offer, count in elastic.programme.purchases.instances.items():
        terms = model.offers[offer]
        most = max(0, terms.available_gpus // terms.gpus_per_instance - terms.existing_instances)
        path = f"offers.{offer}.available_gpus"
        row = Row(Family.MOST_INSTANCES, offer, "", float(most))
        bound = elastic.bound(count <= most, "instances", offer)
        lever = elastic.lever(
            path, "limit", "available_gpus", offer, "GPUs", float(terms.gpus_per_instance),
            partial(_more_instances, offer), whole=True, usd_per_year=(
                terms.retainer_usd_per_instance_year / terms.gpus_per_instance
            ), weight=terms.gpus_per_instance / max(terms.available_gpus, 1),
        )  # fmt: skip
        elastic.use(lever, row, bound, 1 / terms.gpus_per_instance)
        elastic.item(row, "limit", [bound])
        settled = model.policies.fixed.emergency.get(offer)
        if settled is not None:
            path = f"policies.fixed.emergency.{offer}"
            _settled(elastic, 1 * count, settled, path, offer, "instances", 1)
        if offer in model.policies.forbidden.emergency:
            _forbidden(elastic, count, "emergency", offer, (offer,))


def _more_instances(offer: str, model: Model, amount: float) -> int:
    terms = model.offers[offer]
    supply = max(terms.available_gpus // terms.gpus_per_instance, terms.existing_instances)
    return (supply + round(amount / terms.gpus_per_instance)) * terms.gpus_per_instance


def _measures(elastic: ElasticProgramme) -> None:
    """Measures and openings of regions that are settled, and measures that are forbidden."""
    fixed = elastic.model.policies.fixed
    binaries = [
        ("measures", elastic.programme.purchases.measures, fixed.measures),
        ("regions", elastic.programme.purchases.opened, fixed.regions),
    ]
    for section, variables, settled in binaries:
        for name, wanted in settled.items():
            path = f"policies.fixed.{section}.{name}"
            row = Row(Family.FIXED_CHOICE, name, "", 1.0)
            binary = 1 * variables[name]
            expression = binary >= 1 if wanted else binary <= 0
            bound = elastic.bound(expression, "fixed", section, name)
            lever = elastic.lever(
                path, "limit", "fixed_choice", name, "", 1.0, partial(_opposite, path), most=1.0,
                whole=True,
            )  # fmt: skip
            elastic.use(lever, row, bound, 1.0)
            elastic.item(row, "limit", [bound])
    for name in elastic.model.policies.forbidden.measures:
        _forbidden(elastic, elastic.programme.purchases.measures[name], "measures", name, (name,))


def _opposite(path: str, model: Model, _: float) -> bool:
    return not value_at(model, path)


def _settled(
    elastic: ElasticProgramme,
    count: LpAffineExpression,
    settled: int,
    path: str,
    subject: str,
    unit: str,
    block: int,
) -> None:
    """A purchase that is settled may turn out larger or smaller."""
    number = -(-settled // block)
    row = Row(Family.FIXED, subject, "", float(settled), counted_in=unit)
    for side, sign in (("more", 1.0), ("less", -1.0)):
        expression = count <= number if sign > 0 else count >= number
        bound = elastic.bound(expression, "fixed", subject, side)
        lever = elastic.lever(
            path, "limit", "fixed", subject, unit, float(block), _number(path, sign), side=side,
            whole=True, weight=1 / max(abs(number), 1),
        )  # fmt: skip
        elastic.use(lever, row, bound, 1 / block)
        elastic.item(row, "limit", [bound])


def _forbidden(
    elastic: ElasticProgramme, count: Any, section: str, name: str, bought: tuple[str, ...]
) -> None:
    """A purchase that is forbidden may be allowed."""
    path = f"policies.forbidden.{section}"
    most = count.upBound or 0.0
    row = Row(Family.FORBIDDEN, name, "", most)
    bound = elastic.bound(1 * count <= 0, "forbidden", *bought, name)
    lever = elastic.lever(
        path, "limit", "forbidden", name, "", 1.0, partial(_allowed, path, name), most=1.0,
        whole=True,
    )  # fmt: skip
    elastic.use(lever, row, bound, most)
    elastic.item(row, "limit", [bound])


def _allowed(path: str, name: str, model: Model, _: float) -> tuple[str, ...]:
    return tuple(one for one in value_at(model, path) if one != name)


#: What gives way in each family: rows of the item, or none where no value is found.
FAMILIES: dict[str, Callable[[ElasticProgramme, Row, LpConstraint], list[LpConstraint]]] = {
    Family.POWER_LIMIT: _power,
    Family.FEED_LIMIT: _power,
    Family.STAGE_POWER: _power,
    Family.STAGE_FEEDS: _power,
    Family.SERVED_FLOOR: _served_floor,
    Family.NORMAL_DEMAND: _normal_demand,
    Family.DESIGN_HEAT: _design_heat,
    Family.RIDE_THROUGH: _ride_through,
    Family.SURVIVING_CAPACITY_SHARE: partial(_share, "policies.surviving_capacity_share"),
    Family.EMERGENCY_COVER: _emergency_cover,
    Family.INDEPENDENT_COOLING: _independent,
    Family.SERVICE_CAPACITY: _service_capacity,
    Family.LEAST_REGIONS: _least_regions,
    Family.SPARE_BLOCK: _spare_block,
    Family.EMERGENCY_BUDGET: _emergency_budget,
    Family.CAPITAL_BUDGET: _capital_budget,
}
