"""Requirements, limits and their changes in the words of those who know the platform."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from planner.amounts import money
from planner.optimization.formulation.crowds import Crowd
from planner.optimization.formulation.families import STRICTER, Family
from planner.optimization.formulation.problem import Key, ProblemData
from planner.optimization.formulation.programme import Row
from planner.optimization.formulation.stages import ALL, Stage
from planner.optimization.infeasibility.elastic import ConstraintGroup
from planner.optimization.infeasibility.relaxation import Relaxation
from planner.optimization.infeasibility.strictness import may_give_way
from planner.scenarios.standard import in_words, tier_and_zone

#: What a row is about, as a noun.
PHRASES = {
    Family.DESIGN_HEAT: "primary cooling of {subject} with its largest units lost (N+k)",
    Family.EMERGENCY_COVER: "emergency cooling of {subject}",
    Family.NORMAL_DEMAND: "room for {subject} at the busiest hour",
    Family.SERVED_FLOOR: "service to {subject} from minute {minute:g}",
    Family.RIDE_THROUGH: "thermal ride-through of {subject} before operators react",
    Family.SURVIVING_CAPACITY_SHARE: "share of GPUs left without {subject}",
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
    Family.FIXED: "purchase of {subject} that is settled",
    Family.FORBIDDEN: "ban on buying {subject}",
    Family.NO_OPTION: "units of {subject} that are not on offer",
    Family.FIXED_CHOICE: "decision on {subject} that is settled",
    Family.INDEPENDENT_COOLING: "independence of {subject}",
    Family.SERVICE_CAPACITY: "capacity of service {subject} from minute {minute:g}",
}

#: What an item demands, as a sentence.
SENTENCES = {
    Family.DESIGN_HEAT: (
        "the primary plants of {subject} carry its full heat{margin} with {spare} lost"
    ),
    Family.EMERGENCY_COVER: "emergency plants carry {share} of the design heat of {subject}",
    Family.NORMAL_DEMAND: "all demand of {subject} is served at its busiest hour ({amount})",
    Family.SERVED_FLOOR: "{tier} {verb} at least {share} of {its} requests from minute {minute:g}",
    Family.RIDE_THROUGH: "{subject} stays below throttling until operators react",
    Family.SURVIVING_CAPACITY_SHARE: "{share} of all GPUs remain without {subject}",
    Family.LEAST_REGIONS: "at least {number} regions hold GPUs",
    Family.SPARE_BLOCK: "{subject} can do with one GPU block less in every region",
    Family.POWER_LIMIT: "{subject} draws at most {amount}",
    Family.FEED_LIMIT: "what hangs on feed {subject} draws at most {amount}",
    Family.STAGE_POWER: "{subject} draws at most {amount} from minute {minute:g}",
    Family.STAGE_FEEDS: (
        "what hangs on feed {subject} draws at most {amount} from minute {minute:g}"
    ),
    Family.EMERGENCY_BUDGET: "emergency spend stays within {amount}",
    Family.CAPITAL_BUDGET: "capital stays within {amount}",
    Family.MOST_UNITS: "at most {number} units of {subject} are added",
    Family.MOST_GPUS: "{subject} holds at most {number} GPUs",
    Family.MOST_INSTANCES: "{subject} supplies at most {number} instances more",
    Family.FIXED: "exactly {amount} are bought for {subject}",
    Family.FORBIDDEN: "nothing is bought of {subject}",
    Family.NO_OPTION: "no units of {subject} are on offer",
    Family.FIXED_CHOICE: "it is settled whether {subject} is bought or opened",
    Family.INDEPENDENT_COOLING: "{plant} does not count where it shares {shared} with {other}",
    Family.SERVICE_CAPACITY: (
        "service {subject} lets through at most {amount} from minute {minute:g}"
    ),
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
    "fixed": ("change", "the settled purchase of {subject}"),
    "fixed_choice": ("reverse", "the settled decision on {subject}"),
    "capacity_rps": ("raise", "the capacity of each replica of {subject}"),
    "connections": ("raise", "the connections of each replica of {subject}"),
    "critical_tiers": ("drop", "the emergency cooling of critical tiers"),
    "independent_cooling": ("drop", "the rule that emergency cooling is independent"),
    "forbidden": ("allow", "purchases of {subject}"),
    "options": ("offer", "more units of {subject}"),
    "lead_time_minutes": ("shorten", "the lead time of {subject}"),
    "start_minutes": ("shorten", "the start-up time of {subject}"),
    "response_minutes": ("shorten", "the time until operators act"),
    "least_served": ("lower", "what the standard asks for {subject}"),
    "demand_rps": ("turn away", "demand of {subject}"),
    "latency_limit_ms": ("lengthen", "the latency limit of {subject}"),
    "latency_ms": ("connect", "zone {subject} within {value:g} ms"),
    "derating_per_c": ("lower", "the loss of {subject} by heat"),
    "cutout_ambient_c": ("raise", "the ambient at which {subject} stops"),
    "redundancy": ("lower", "the redundancy of {subject}"),
    "surviving_capacity_share": ("lower", "the share of GPUs that remains without any one region"),
    "emergency_cover": ("lower", "the share of design heat that emergency plants carry"),
    "least_regions": ("lower", "the least number of regions"),
    "spare_block": ("give up", "the spare GPU block of every region"),
    "scenario": ("leave out", "scenario {subject}"),
    "throttling_simulated": ("let", "the simulation judge throttling before operators react"),
}

#: Families whose values are no numbers.
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
        "throttling_simulated",
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
    one = unit.removesuffix("s") if unit != "requests/s" and text == "1" else unit
    return f"{text} {one}".strip()


def noun(row: Row, scenario: bool = True) -> str:
    """What a row is about."""
    phrase = PHRASES.get(row.family, f"{row.family.replace('_', ' ')} of {{subject}}")
    zone = tier_and_zone(row.subject)[1] if row.family == Family.SERVED_FLOOR else None
    subject = in_words(row.subject) if zone else row.subject
    text = phrase.format(subject=subject, minute=row.from_minute)
    return f"{text} in scenario {row.scenario}" if row.scenario and scenario else text


def waived_text(key: Key) -> str:
    """What is left to the simulation."""
    family, subject, scenario = key
    return f"that {STRICTER[family]}: {subject} in scenario {scenario}"


def sentence(data: ProblemData, item: ConstraintGroup) -> str:
    """What an item demands, with the reason where nothing that can be bought meets it."""
    row = min(item.rows, key=lambda one: one.from_minute)
    stage = _stage_of(data, row)
    if row.family == Family.SERVED_FLOOR:
        # The strictest of its rows says most.
        row = max(item.rows, key=lambda one: (_floor(_stage_of(data, one), one), -one.from_minute))
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
    return next((one for one in stages if one.start_minute == row.from_minute), None)


def _floor(stage: Stage | None, row: Row) -> float:
    return 0.0 if stage is None else stage.floors.get(row.subject, 0.0)


def _words(data: ProblemData, row: Row, stage: Stage | None) -> dict[str, Any]:
    model, together = data.model, tier_and_zone(row.subject)[0] == ALL
    plants = data.plants_of(row.subject, "primary") if row.subject in model.clusters else ()
    spare = max((model.plants[plant].redundancy for plant in plants), default=0)
    units = {0: "no unit", 1: "the largest unit"}.get(spare, f"the {spare} largest units")
    share = {
        "surviving_capacity_share": model.policies.surviving_capacity_share,
        "emergency_cover": model.emergency_share,
        Family.SERVED_FLOOR: _floor(stage, row),
    }.get(row.family, 0.0)
    margin = model.policies.cooling_margin
    pair, _, shared = row.subject.partition(": ")
    plant, _, other = pair.partition(" / ")
    return {
        "subject": row.subject,
        "plant": plant,
        "other": other,
        "shared": shared.replace(":", " "),
        "tier": in_words(row.subject),
        "verb": "get" if together else "gets",
        "its": "their" if together else "its",
        "minute": row.from_minute,
        "amount": amount_text(row.amount, row.unit),
        "number": f"{row.amount:,.0f}",
        "share": f"{100 * share:.4g} %",
        "spare": units,
        "margin": f" and {100 * margin:.4g} % more" if margin else "",
    }


def _reason(data: ProblemData, row: Row, stage: Stage | None) -> str:
    """Why nothing that can be bought meets a requirement, where the model alone says so."""
    if row.family in (Family.DESIGN_HEAT, Family.EMERGENCY_COVER):
        role = "primary" if row.family == Family.DESIGN_HEAT else "emergency"
        return _no_capacity(data, data.plants_of(row.subject, role), 0.0)
    if row.family == Family.RIDE_THROUGH and not may_give_way(data, row.key):
        return "the standard asks for all service before they do"
    if row.family == Family.NORMAL_DEMAND:
        crowd = data.crowd(row.subject)
        if crowd is not None:
            plants = {one for name in crowd.clusters for one in data.plants_of(name, "primary")}
            return _out_of_reach(data, crowd) or _no_capacity(data, sorted(plants), 0.0)
    if row.family == Family.SERVED_FLOOR and stage is not None:
        tier, zone = tier_and_zone(row.subject)
        groups = [
            one
            for one in data.groups
            if tier in one.tiers and zone in (None, one.zone) and not one.clusters
        ]
        if groups:
            return f"no region lies within {data.model.tiers[tier].latency_limit_ms:g} ms"
        down = stage.state.tiers_down
        tiers = set(data.model.tiers) if tier == ALL else {tier}
        if tiers & down:
            return f"{', '.join(sorted(tiers & down))} is down with {_events(stage)}"
        for region, rise in stage.state.ambient_rise_c.items():
            here = [name for name, one in data.model.plants.items() if one.region == region]
            why = _no_capacity(data, here, rise)
            if why:
                return why
        dark = stage.state.clusters_down
        if dark and any(event.kind == "feed" for event in stage.timeline.scenario.events):
            return f"{', '.join(sorted(dark))} without power"
    return ""


def _out_of_reach(data: ProblemData, crowd: Crowd) -> str:
    """Regions with clusters that customers do not reach, and why."""
    tiers = {tier for group in crowd.groups for tier in group.tiers}
    limit = max(data.model.tiers[tier].latency_limit_ms for tier in tiers)
    if not crowd.clusters:
        return f"no region lies within {limit:g} ms"
    reached = {data.model.clusters[cluster].region for cluster in crowd.clusters}
    far = sorted({one.region for one in data.model.clusters.values()} - reached)
    return f"{', '.join(far)} not within {limit:g} ms" if far else ""


def _no_capacity(data: ProblemData, plants: Iterable[str], rise_c: float) -> str:
    """Units of plants that carry nothing in the heat, and why."""
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
            found[unit] = f"{unit} carries nothing at {ambient:g} °C: {why}"
    return "; ".join(found.values())


def _events(stage: Stage) -> str:
    events = stage.timeline.scenario.events
    return " and ".join(f"{event.kind} {getattr(event, 'name', '')}".strip() for event in events)


# -------------------------------------------------------------------------------------- relaxations


def change(one: Relaxation) -> str:
    """What changes, from what to what, and why."""
    verb, what = CHANGES.get(
        one.family, ("loosen", f"{one.family.replace('_', ' ')} of {{subject}}")
    )
    text = f"{verb} {what.format(subject=one.subject, value=one.value)}"
    if one.family == "least_served":
        text = f"lower what the standard asks for {in_words(one.subject)}"
    if not one.path and one.family not in NOT_NUMBERS:
        text += f" by {amount_text(one.amount, one.unit)}"
    elif one.path and one.family not in NOT_NUMBERS:
        amounts = (one.amount, one.before or 0, one.value)
        by, now, value = (amount_text(each, one.unit) for each in amounts)
        if one.unit != "USD":
            by, now = _bare(by, one.unit), _bare(now, one.unit)
        text += f" by {by}, from {now} to {value}"
    if one.scenario and one.family != "scenario":
        text += f", for scenario {one.scenario}"
    return text


def _bare(text: str, unit: str) -> str:
    """A number without its unit, for which one follows."""
    words = {"share": "%"}.get(unit, unit)
    return text.removesuffix(words).removesuffix(words.removesuffix("s")).strip()


def price(one: Relaxation) -> str:
    """What a relaxation costs, empty where the model has no price."""
    if one.family == "emergency_budget":
        return f"up to {amount_text(one.amount, 'USD')} more spent in one incident"
    if one.family == "capital_budget":
        return f"{amount_text(one.amount, 'USD')} more capital"
    if one.kind == "requirement":
        if one.usd_per_year is None:
            return ""
        return f"requests worth {money(one.usd_per_year)} a year lost"
    parts = []
    if one.usd:
        parts.append(f"{money(one.usd)} to buy")
    if one.usd_per_year:
        parts.append(f"{money(one.usd_per_year)} a year")
    return ", ".join(parts)
