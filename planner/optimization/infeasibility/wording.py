"""Requirements, limits and their changes as sentences."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from planner.amounts import money
from planner.optimization.formulation.crowds import Crowd
from planner.optimization.formulation.families import STRICTER, Family
from planner.optimization.formulation.problem import Key, ProblemData
from planner.optimization.formulation.programme import Row
from planner.optimization.formulation.stages import Stage
from planner.optimization.infeasibility.elastic import ConstraintGroup
from planner.optimization.infeasibility.relaxation import Relaxation
from planner.scenarios.standard import ALL, in_words, tier_and_zone

#: What a row is about, as a noun.
PHRASES = {
    Family.DESIGN_HEAT: "primary cooling of {subject} with its largest units lost (N+k)",
    Family.EMERGENCY_COVER: "emergency cooling of {subject}",
    Family.NORMAL_DEMAND: "capacity for {subject} in the busiest hour",
    Family.SERVED_FLOOR: "service to {subject} from minute {minute:g}",
    Family.RIDE_THROUGH: "thermal ride-through of {subject} before operators react",
    Family.SURVIVING_CAPACITY_SHARE: "share of GPUs outside {subject}",
    Family.LEAST_REGIONS: "least number of {subject} in use",
    Family.SPARE_BLOCK: "spare GPU block of every region for {subject}",
    Family.POWER_LIMIT: "power limit of {subject}",
    Family.FEED_LIMIT: "capacity of feed {subject}",
    Family.STAGE_POWER: "power limit of {subject} from minute {minute:g}",
    Family.STAGE_FEEDS: "surviving power of feed {subject} from minute {minute:g}",
    Family.EMERGENCY_BUDGET: "emergency {subject}",
    Family.CAPITAL_BUDGET: "{subject} budget",
    Family.MOST_UNITS: "units of {subject} that may be added",
    Family.MOST_GPUS: "GPUs that {subject} can hold",
    Family.MOST_INSTANCES: "instances that {subject} can supply",
    Family.FIXED: "fixed purchase of {subject}",
    Family.FORBIDDEN: "ban on buying {subject}",
    Family.NO_OPTION: "units of {subject} that are not on offer",
    Family.FIXED_CHOICE: "fixed decision on {subject}",
    Family.INDEPENDENT_COOLING: "independence of {subject}",
    Family.SERVICE_CAPACITY: "capacity of service {subject} from minute {minute:g}",
    Family.SIMULATED_CUT: "what {subject} is short of in simulation",
}

#: What a requirement or limit demands, as a sentence.
SENTENCES = {
    Family.DESIGN_HEAT: (
        "the primary plants of {subject} carry its full heat{margin} with {spare} lost"
    ),
    Family.EMERGENCY_COVER: "emergency plants carry {share} of the design heat of {subject}",
    Family.NORMAL_DEMAND: "all demand of {subject} is served in its busiest hour ({amount})",
    Family.SERVED_FLOOR: "{tier} {verb} at least {share} of {its} requests from minute {minute:g}",
    Family.RIDE_THROUGH: "{subject} stays below throttling until operators react",
    Family.SURVIVING_CAPACITY_SHARE: "{share} of all GPUs remain without {subject}",
    Family.LEAST_REGIONS: "at least {number} regions hold GPUs",
    Family.SPARE_BLOCK: "{subject} are served with one GPU block fewer in every region",
    Family.POWER_LIMIT: "{subject} draws at most {amount}",
    Family.FEED_LIMIT: "the loads on feed {subject} draw at most {amount}",
    Family.STAGE_POWER: "{subject} draws at most {amount} from minute {minute:g}",
    Family.STAGE_FEEDS: (
        "the loads on feed {subject} draw at most {amount} from minute {minute:g}"
    ),
    Family.EMERGENCY_BUDGET: "emergency spend stays within {amount}",
    Family.CAPITAL_BUDGET: "capital stays within {amount}",
    Family.MOST_UNITS: "at most {number} units of {subject} are added",
    Family.MOST_GPUS: "{subject} holds at most {number} GPUs",
    Family.MOST_INSTANCES: "{subject} supplies at most {number} more instances",
    Family.FIXED: "exactly {amount} are bought for {subject}",
    Family.FORBIDDEN: "{subject} may not be bought",
    Family.NO_OPTION: "no units of {subject} are on offer",
    Family.FIXED_CHOICE: "the decision on {subject} is fixed",
    Family.INDEPENDENT_COOLING: "{plant} does not count where it shares {shared} with {other}",
    Family.SERVICE_CAPACITY: ("service {subject} handles at most {amount} from minute {minute:g}"),
    Family.SIMULATED_CUT: "purchases make up for what {tier} {was} short of in simulation",
}

#: How a value changes: verb and what it is.
CHANGES = {
    "power_limit_mw": ("raise", "the power limit of {subject}"),
    "capacity_mw": ("raise", "the capacity of feed {subject}"),
    "generator_mw": ("raise", "the generators of feed {subject}"),
    "ups_minutes": ("extend", "the batteries of feed {subject}"),
    "max_added": ("raise", "the units of each type that may be added in {subject}"),
    "max_gpus": ("raise", "the GPUs that {subject} can hold"),
    "available_gpus": ("raise", "the GPUs that {subject} can supply"),
    "emergency_budget": ("raise", "the emergency budget"),
    "capital_budget": ("raise", "the capital budget"),
    "buffer_mwh": ("raise", "the chilled-water tank of {subject}"),
    "fixed": ("change", "the fixed purchase of {subject}"),
    "fixed_choice": ("reverse", "the fixed decision on {subject}"),
    "capacity_rps": ("raise", "the capacity of each replica of {subject}"),
    "connections": ("raise", "the connections of each replica of {subject}"),
    "critical_tiers": ("drop", "the emergency cooling of critical tiers"),
    "independent_cooling": ("drop", "the rule that emergency cooling is independent"),
    "forbidden": ("allow", "purchases of {subject}"),
    "options": ("offer", "more units of {subject}"),
    "lead_time_minutes": ("shorten", "the lead time of {subject}"),
    "start_minutes": ("shorten", "the start-up time of {subject}"),
    "response_minutes": ("shorten", "the response time of operators"),
    "least_served": ("lower", "the minimum service level of {subject}"),
    "demand_rps": ("turn away", "demand of {subject}"),
    "latency_limit_ms": ("lengthen", "the latency limit of {subject}"),
    "latency_ms": ("connect", "zone {subject} within {value:g} ms"),
    "derating_per_c": ("lower", "the derating of {subject} per °C"),
    "cutout_ambient_c": ("raise", "the cut-out temperature of {subject}"),
    "redundancy": ("lower", "the redundancy of {subject}"),
    "surviving_capacity_share": ("lower", "the share of GPUs outside any one region"),
    "emergency_cover": ("lower", "the share of design heat that emergency plants carry"),
    "least_regions": ("lower", "the least number of regions"),
    "spare_block": ("give up", "the spare GPU block of every region"),
    "scenario": ("remove", "scenario {subject}"),
}

#: Families whose values are not numbers.
NOT_NUMBERS = frozenset(
    {
        "critical_tiers",
        "fixed_choice",
        "forbidden",
        "independent_cooling",
        "latency_ms",
        "options",
        "scenario",
        "spare_block",
    }
)


def amount_text(amount: float, unit: str) -> str:
    """A number with its unit."""
    if unit == "USD":
        return money(amount)
    if unit == "share":
        return f"{100 * amount:.4g} %"
    text = f"{amount:,.1f}" if abs(amount) >= 1000 else f"{amount:.4g}"
    text = text.removesuffix(".0")
    singular = unit.removesuffix("s") if unit != "requests/s" and text == "1" else unit
    return f"{text} {singular}".strip()


def noun(row: Row, scenario: bool = True) -> str:
    """What a row is about, as a noun."""
    phrase = PHRASES.get(row.family, f"{row.family.replace('_', ' ')} of {{subject}}")
    zone = tier_and_zone(row.subject)[1] if row.family == Family.SERVED_FLOOR else None
    subject = in_words(row.subject) if zone else row.subject
    text = phrase.format(subject=subject, minute=row.from_minute)
    return f"{text} in scenario {row.scenario}" if row.scenario and scenario else text


def waived_text(key: Key) -> str:
    """A waived row: what the plan does not have to satisfy, but its simulation shows."""
    family, subject, scenario = key
    stated = STRICTER.get(family)
    what = f"that {stated}: {subject}" if stated else f"{family.replace('_', ' ')} of {subject}"
    return f"{what} in scenario {scenario}"


def sentence(data: ProblemData, group: ConstraintGroup) -> str:
    """What a requirement or limit demands, with the reason where no purchase can satisfy it."""
    row = min(group.rows, key=lambda row: row.from_minute)
    stage = _stage_of(data, row)
    if row.family == Family.SERVED_FLOOR:
        row = max(  # the strictest
            group.rows, key=lambda row: (_floor(_stage_of(data, row), row), -row.from_minute)
        )
        stage = _stage_of(data, row)
    form = SENTENCES.get(row.family)
    if form is None:
        text = f"{noun(row, scenario=False)} holds ({amount_text(row.amount, row.unit)})"
    else:
        text = form.format(**_words(data, row, stage))
    if row.scenario:
        text += f" in scenario {row.scenario}"
    why = _reason(data, row, stage)
    return f"{text} ({why})" if why else text


def _stage_of(data: ProblemData, row: Row) -> Stage | None:
    stages = data.stages_by_scenario.get(row.scenario, ())
    return next((stage for stage in stages if stage.start_minute == row.from_minute), None)


def _floor(stage: Stage | None, row: Row) -> float:
    return 0.0 if stage is None else stage.floors.get(row.subject, 0.0)


def _words(data: ProblemData, row: Row, stage: Stage | None) -> dict[str, Any]:
    model, together = data.model, tier_and_zone(row.subject)[0] == ALL
    plants = data.chain_of(row.subject, "primary") if row.subject in model.clusters else ()
    spare = max((model.plants[plant].redundancy for plant in plants), default=0)
    units = {0: "no unit", 1: "the largest unit"}.get(spare, f"the {spare} largest units")
    share = {
        "surviving_capacity_share": model.policies.surviving_capacity_share,
        "emergency_cover": model.emergency_share,
        Family.SERVED_FLOOR: _floor(stage, row),
    }.get(row.family, 0.0)
    margin = model.policies.cooling_margin
    pair, _, shared = row.subject.partition(": ")
    plant, _, primary = pair.partition(" / ")
    return {
        "subject": row.subject,
        "plant": plant,
        "other": primary,
        "shared": shared.replace(":", " "),
        "tier": in_words(row.subject),
        "verb": "get" if together else "gets",
        "its": "their" if together else "its",
        "was": "were" if together else "was",
        "minute": row.from_minute,
        "amount": amount_text(row.amount, row.unit),
        "number": f"{row.amount:,.0f}",
        "share": f"{100 * share:.4g} %",
        "spare": units,
        "margin": f" and {100 * margin:.4g} % more" if margin else "",
    }


def _reason(data: ProblemData, row: Row, stage: Stage | None) -> str:
    """Why no purchase can satisfy a requirement, where that follows from the model alone."""
    if row.family in (Family.DESIGN_HEAT, Family.EMERGENCY_COVER):
        role = "primary" if row.family == Family.DESIGN_HEAT else "emergency"
        return _no_capacity(data, data.chain_of(row.subject, role), 0.0)
    if row.family == Family.NORMAL_DEMAND:
        crowd = data.crowd(row.subject)
        if crowd is not None:
            plants = {plant for name in crowd.clusters for plant in data.chain_of(name, "primary")}
            return _out_of_reach(data, crowd) or _no_capacity(data, sorted(plants), 0.0)
    if row.family == Family.SERVED_FLOOR and stage is not None:
        tier, zone = tier_and_zone(row.subject)
        if any(
            tier in group.tiers and zone in (None, group.zone) and not group.clusters
            for group in data.groups
        ):
            return f"no region lies within {data.model.tiers[tier].latency_limit_ms:g} ms"
        down = stage.state.tiers_down
        tiers = set(data.model.tiers) if tier == ALL else {tier}
        if tiers & down:
            return f"{', '.join(sorted(tiers & down))} is down with {_events(stage)}"
        for region, rise in stage.state.ambient_rise_c.items():
            here = [name for name, plant in data.model.plants.items() if plant.region == region]
            why = _no_capacity(data, here, rise)
            if why:
                return why
        dark = stage.state.clusters_down
        if dark and any(event.kind == "feed" for event in stage.timeline.scenario.events):
            return f"{', '.join(sorted(dark))} without power"
    return ""


def _out_of_reach(data: ProblemData, crowd: Crowd) -> str:
    """Regions with clusters beyond the latency limit of a crowd."""
    tiers = {tier for group in crowd.groups for tier in group.tiers}
    limit = max(data.model.tiers[tier].latency_limit_ms for tier in tiers)
    if not crowd.clusters:
        return f"no region lies within {limit:g} ms"
    reached = {data.model.clusters[cluster].region for cluster in crowd.clusters}
    far = sorted({cluster.region for cluster in data.model.clusters.values()} - reached)
    return f"{', '.join(far)} not within {limit:g} ms" if far else ""


def _no_capacity(data: ProblemData, plants: Iterable[str], rise_c: float) -> str:
    """Units of plants that have no capacity at an ambient temperature, and why."""
    found = {}
    for plant in plants:
        if any(data.unit_mw(plant, unit, rise_c) for unit in data.units(plant)):
            continue
        ambient = data.model.regions[data.model.plants[plant].region].design_ambient_c + rise_c
        for unit in data.units(plant):
            kind = data.model.cooling_units[unit]
            why = f"derating_per_c is {kind.derating_per_c:g}"
            if ambient > kind.cutout_ambient_c:
                why = f"cutout_ambient_c is {kind.cutout_ambient_c:g}"
            found[unit] = f"{unit} has no capacity at {ambient:g} °C: {why}"
    return "; ".join(found.values())


def _events(stage: Stage) -> str:
    events = stage.timeline.scenario.events
    return " and ".join(f"{event.kind} {getattr(event, 'name', '')}".strip() for event in events)


def change(relaxation: Relaxation) -> str:
    """A change with its amount, the values before and after, and the scenario that needs it."""
    verb, what = CHANGES.get(
        relaxation.family, ("loosen", f"{relaxation.family.replace('_', ' ')} of {{subject}}")
    )
    text = f"{verb} {what.format(subject=relaxation.subject, value=relaxation.value)}"
    if relaxation.family == "least_served":
        text = f"lower the minimum service level of {in_words(relaxation.subject)}"
    if not relaxation.path and relaxation.family not in NOT_NUMBERS:
        text += f" by {amount_text(relaxation.amount, relaxation.unit)}"
    elif relaxation.path and relaxation.family not in NOT_NUMBERS:
        amounts = (relaxation.amount, relaxation.before or 0, relaxation.value)
        by, now, value = (amount_text(amount, relaxation.unit) for amount in amounts)
        if relaxation.unit != "USD":
            by, now = _bare(by, relaxation.unit), _bare(now, relaxation.unit)
        text += f" by {by}, from {now} to {value}"
    if relaxation.scenario and relaxation.family != "scenario":
        text += f", for scenario {relaxation.scenario}"
    return text


def _bare(text: str, unit: str) -> str:
    """A number without its unit."""
    words = {"share": "%"}.get(unit, unit)
    return text.removesuffix(words).removesuffix(words.removesuffix("s")).strip()


def price(relaxation: Relaxation) -> str:
    """What a relaxation costs, empty where the model has no price."""
    if relaxation.family == "emergency_budget":
        return f"up to {amount_text(relaxation.amount, 'USD')} more spent in one incident"
    if relaxation.family == "capital_budget":
        return f"{amount_text(relaxation.amount, 'USD')} more capex"
    if relaxation.kind == "requirement":
        if relaxation.usd_per_year is None:
            return ""
        return f"requests worth {money(relaxation.usd_per_year)} a year lost"
    parts = []
    if relaxation.usd:
        parts.append(f"{money(relaxation.usd)} capex")
    if relaxation.usd_per_year:
        parts.append(f"{money(relaxation.usd_per_year)} a year annualised")
    return ", ".join(parts)
