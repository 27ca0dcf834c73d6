"""The decision, what to buy, and how what was simulated agrees with the plan."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from planner.amounts import counted, listed, millions, money, percent
from planner.infrastructure.entities import Model
from planner.infrastructure.prices import PARTS
from planner.plan.assembly import scenario_line
from planner.plan.records import CoolingLine, CostLine, EmergencyLine, GpuLine, Plan
from planner.reporting.html.timelines import Simulated
from planner.reporting.plans import survivor_note
from planner.reporting.tables import Row, Table, figures, texts
from planner.scenarios.hours import hours_folded

#: Optimality gap that is none.
NO_GAP = 5e-6


def decision(plan: Plan, model: Model, simulated: Simulated) -> list[str]:
    """The decision in sentences, to be read as one paragraph."""
    changes = purchased(plan, model)
    fails = [played.verdict for played in simulated.played if played.verdict.fails]
    fails.sort(key=lambda verdict: min(verdict.served.values(), default=1.0))
    failing = hours_folded(verdict.name for verdict in fails)
    scenarios = counted(simulated.judged, "failure scenario")
    if failing:
        end = f"It survives {simulated.survived:,} of {scenarios}; it fails {listed(failing)}."
    elif not simulated.judged:
        end = "No scenario is judged: no SLO applies to any."
    else:
        every = "all " if simulated.judged > 1 else ""
        before = f"{simulated.survived_today:,}" if simulated.survived_today else "none of them"
        end = (
            f"With it the service survives {every}{scenarios} planned for; what exists today "
            f"survives {before}."
        )
    return [
        f"Buy {listed(changes, 9)}." if changes else "Buy nothing: what exists meets all SLOs.",
        f"This takes {money(plan.cost.capital_usd)} of capex. A year then costs "
        f"{money(plan.objective_usd_per_year)}: annualised capex, opex, and the expected cost of "
        "failures.",
        end,
        _proven(plan),
    ]


def purchased(plan: Plan, model: Model) -> list[str]:
    """Everything bought or retired, as parts of a sentence."""
    gpus, units = sum(line.added for line in plan.gpus), sum(line.added for line in plan.cooling)
    more = {
        line.offer: max(0, line.instances_reserved - model.offers[line.offer].existing_instances)
        for line in plan.emergency
    }
    instances = sum(more.values())
    cloud = sum(count * model.offers[offer].gpus_per_instance for offer, count in more.items())
    opened = sorted(plan.fleet(model).opened)
    measures = [line.measure for line in plan.measures if line.bought]
    parts = {
        counted(gpus, "GPU"): gpus,
        counted(units, "cooling unit"): units,
        f"the right to {counted(instances, 'emergency cloud instance')} "
        f"({counted(cloud, 'GPU')})": instances,
        f"the opening of {listed(opened)}": len(opened),
        f"the {'measure' if len(measures) == 1 else 'measures'} {listed(measures)}": len(measures),
    }
    for lines, noun in ((plan.gpus, "GPU"), (plan.cooling, "cooling unit")):
        retired = sum(line.retired for line in lines)
        parts[f"retire {counted(retired, noun)}"] = retired
    return [text for text, count in parts.items() if count]


def _proven(plan: Plan) -> str:
    if plan.method == "rule-of-thumb":
        return "It was made by rule of thumb; nothing proves that it is the cheapest."
    gap, survivors = percent(plan.gap, 3), survivor_note(plan)
    if plan.searched:
        return survivors or "A search found it; nothing proves that no other is cheaper."
    if plan.status == "feasible":
        return f"It is the best plan found so far: none is more than {gap} cheaper."
    if plan.gap < NO_GAP:
        proof = "No plan of the programme is cheaper, which is proven."
    else:
        proof = f"No plan of the programme is more than {gap} cheaper, which is proven "
        proof += "(the optimality gap)."
    return f"{proof} {survivors}".rstrip()


def tiles(plan: Plan, simulated: Simulated) -> list[dict[str, str]]:
    """Key figures."""
    gpus, before = (sum(line.total for line in plan.gpus), sum(line.existing for line in plan.gpus))
    return [
        {
            "label": "scenarios survived",
            "value": f"{simulated.survived:,} of {simulated.judged:,}",
            "note": f"what exists: {simulated.survived_today:,}",
        },
        {"label": "capex", "value": money(plan.cost.capital_usd), "note": "paid once"},
        {
            "label": "annual cost",
            "value": money(plan.objective_usd_per_year),
            "note": "annualised capex, opex, expected cost of failures",
        },
        {"label": "GPUs", "value": f"{gpus:,}", "note": f"today {before:,}"},
    ]


def purchase_table(plan: Plan, model: Model) -> Table:
    """Everything that changes, line by line."""
    costs = {(item.category, item.asset): item for item in plan.cost.items}
    rows: list[Row] = []
    for gpu in plan.gpus:
        if gpu.added or gpu.retired:
            named = f"{gpu.gpu} GPUs in {_placed(gpu.cluster, gpu.region)}"
            rows.append((named, *_counts(gpu), *_usd(_together(costs, gpu.cluster))))
    for unit in plan.cooling:
        if unit.added or unit.retired:
            item = costs.get(("cooling", f"{unit.plant}/{unit.unit}"))
            named = f"{unit.unit} cooling ({unit.derated_mw_each:.2f} MW each) in "
            named += _placed(unit.plant, unit.region)
            rows.append((named, *_counts(unit), *_usd(item)))
    for region in sorted(plan.fleet(model).opened):
        item = costs.get(("regions", region))
        rows.append((f"opening of {region}", *[None] * 3, *_usd(item)))
    for offer in plan.emergency:
        before = model.offers[offer.offer].existing_instances
        if offer.instances_reserved != before:
            numbers = (before, f"{offer.instances_reserved - before:+,}", offer.instances_reserved)
            item = costs.get(("emergency", offer.offer))
            rows.append((_offer_text(offer), *numbers, *_usd(item)))
    for measure in plan.measures:
        if measure.bought:
            text = model.measures[measure.measure].description
            named = f"{measure.measure}: {text}" if text else measure.measure
            item = costs.get(("measures", measure.measure))
            rows.append((named, None, "yes", None, *_usd(item)))
    columns = texts("what") + figures("has", "buy", "total")
    columns += figures("capex", "annual cost", show=millions)
    note = "M USD. Annual cost: annualised capex of what is bought, and opex of all that is there."
    return Table("Purchases", columns, rows, note)


def _placed(asset: str, region: str) -> str:
    return asset if region in asset else f"{asset}, {region}"


def _counts(line: GpuLine | CoolingLine) -> tuple[int, str, int]:
    return line.existing, f"{line.added - line.retired:+,}", line.total


def _offer_text(offer: EmergencyLine) -> str:
    named = " ".join(filter(None, (offer.provider, offer.instance)))
    return f"{named} emergency instances, serving after {offer.lead_time_minutes:.0f} min"


def _usd(item: CostLine | None) -> tuple[float | None, float | None]:
    return (item.capital_usd or None, item.usd_per_year or None) if item else (None, None)


def _together(costs: Mapping[tuple[str, str], CostLine], cluster: str) -> CostLine | None:
    """Cost of the GPUs of a cluster with building and power."""
    items = [costs[key] for part in (*PARTS, "gpus") if (key := (part, cluster)) in costs]
    if not items:
        return None
    capital, yearly = (
        sum(getattr(item, name) for item in items) for name in ("capital_usd", "usd_per_year")
    )
    return items[0].model_copy(update={"capital_usd": capital, "usd_per_year": yearly})


def recheck(plan: Plan, simulated: Simulated) -> dict[str, Any]:
    """How the simulation for the report agrees with what the plan states."""
    stated = {line.name: line for line in plan.scenarios}
    found = {played.verdict.name: scenario_line(played.verdict) for played in simulated.played}
    both = stated.keys() & found.keys()
    differing = sorted(name for name in both if stated[name].status != found[name].status)
    moved = sorted(
        name
        for name in both - set(differing)
        if any(
            abs(fraction - found[name].served.get(tier, fraction)) > 1e-4
            for tier, fraction in stated[name].served.items()
        )
    )
    return {
        "same": len(both) - len(differing) - len(moved),
        "count": len(both),
        "other": listed(differing, 6),
        "moved": listed(moved, 6),
        "missing": listed(sorted(stated.keys() ^ found.keys()), 6),
    }


def model_counts(model: Model) -> str:
    """What the model holds, in a phrase."""
    nouns = {
        "regions": "region",
        "clusters": "cluster",
        "plants": "cooling plant",
        "feeds": "feed",
        "services": "service",
        "tiers": "tier",
        "zones": "zone",
        "offers": "cloud offer",
        "measures": "measure",
    }
    return ", ".join(
        counted(len(getattr(model, section)), noun)
        for section, noun in nouns.items()
        if getattr(model, section)
    )
