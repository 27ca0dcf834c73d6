"""The page itself: everything put into one self-contained file."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from planner.amounts import counted, money, number, percent
from planner.errors import InputError
from planner.files import now
from planner.infrastructure.loading import CatalogueUse, LoadedModel
from planner.plan.assembly import versions
from planner.plan.records import Plan
from planner.reporting.explanation import learned_text
from planner.reporting.html import binding, facts, places, scenarios, sources
from planner.reporting.html.money import Finance, steps_table
from planner.reporting.html.reasons import Reasons
from planner.reporting.html.templates import asset, script_json, template
from planner.reporting.html.timelines import Simulated
from planner.reporting.plans import cost_table, routing_note

#: Most bytes of a page.
PAGE_BYTES = 5_900_000
#: Scenarios in the table; of more those that end worst.
MOST_ROWS = 600
#: Scenarios with their charts and stories, whatever room there is.
MOST_TOLD = 400
MISSING_EXTRA = "needs {0}, which is not installed: pip install 'resilience-planner[{1}]'"


@dataclass(frozen=True, eq=False)
class Material:
    """Everything that goes into a report.

    Parameters
    ----------
    simulated
        Every scenario on the plan and on what exists.
    uses
        What the model takes from the catalogues.
    steps
        The way from today's annual cost to that of the plan; empty where it is not known.
    finance, no_finance
        Returns and risk, or why they are left out.
    explanation
        Why each purchase is needed, if that was asked.
    fresh
        Whether the model is still the one that the plan was made for.
    notes
        Remarks on plan and model.
    """

    plan: Plan
    loaded: LoadedModel
    simulated: Simulated
    uses: tuple[CatalogueUse, ...]
    steps: list[dict[str, Any]]
    finance: Finance | None
    no_finance: str
    explanation: Reasons | None
    fresh: bool
    notes: tuple[str, ...] = ()


def check_extra(
    path: Path, modules: Sequence[str] = ("plotly", "jinja2"), extra: str = "report"
) -> None:
    """Check before long work that a page can be made."""
    for module in modules:
        try:
            __import__(module)
        except ImportError as error:
            message = MISSING_EXTRA.format(module.capitalize(), extra)
            raise InputError.single(str(path), message) from error


def page(material: Material) -> bytes:
    """The report as HTML in UTF-8, at most `PAGE_BYTES` long."""
    order = scenarios.worst_first(material.simulated.played)
    context = _context(material, order[:MOST_ROWS])
    opening = order[:MOST_TOLD]
    curves = {index: script_json(_curves(material, index)) for index in opening}
    while True:
        content = _rendered(context, scenarios_told(material, opening), curves)
        excess = len(content) - PAGE_BYTES
        if excess <= 0 or not opening:
            return content
        # Each takes its curves and as much again or more, so that few are left out needlessly.
        per_curve = 2 * sum(len(curves[index]) for index in opening) / len(opening) + 4_000
        opening = opening[: -max(1, int(excess / per_curve))]


def scenarios_told(material: Material, opening: Sequence[int]) -> list[dict[str, Any]]:
    """Details of the scenarios that can be opened."""
    return scenarios.told(material.loaded.model, material.simulated, opening)


def _rendered(
    context: dict[str, Any], opening: Sequence[Mapping[str, Any]], curves: Mapping[int, str]
) -> bytes:
    indices = sorted(scenario["index"] for scenario in opening)
    drawn = "{" + ",".join(f'"{index}":{curves[index]}' for index in indices) + "}"
    data = script_json(context["data"])[:-1] + f',"scenarios":{drawn}}}'
    scripts = [_plotly(), asset("report.js")]
    policy = "; ".join(
        [
            "default-src 'none'",
            "script-src " + " ".join(_digest(script) for script in scripts),
            "style-src 'unsafe-inline'",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )
    html: str = template("report.html").render(
        **{name: value for name, value in context.items() if name != "data"},
        opening=opening,
        opens=set(indices),
        policy=policy,
        style=asset("report.css"),
        scripts=scripts,
        data=data,
    )
    return html.encode()


def _context(material: Material, listed: Sequence[int]) -> dict[str, Any]:
    """What the template shows, and the data of the charts."""
    plan, model, simulated = material.plan, material.loaded.model, material.simulated
    cards = places.regions(plan, model)
    catalogue = sources.taken(material.uses)
    severities = list(dict.fromkeys(played.verdict.severity for played in simulated.played))
    groups = scenarios.grouped(simulated, listed)
    return {
        "plan": plan,
        "model": model,
        "name": plan.model.name,
        "created": now(),
        "fresh": material.fresh,
        "remarks": material.notes,
        "counts": facts.model_counts(model),
        "decision": facts.decision(plan, model, simulated),
        "survives": not any(played.verdict.fails for played in simulated.played),
        "tiles": facts.tiles(plan, simulated),
        "purchases": facts.purchase_table(plan, model),
        "regions": cards,
        "map": places.world_map(cards),
        "tiers": list(model.tiers),
        "severities": severities,
        "groups": groups,
        "spends": any(group["spend"] for group in groups),
        "most_names": scenarios.MOST_NAMES,
        "listed": len(listed),
        "unlisted": scenarios.unlisted_names(simulated, listed),
        "standard": scenarios.standard_table(model, severities),
        "costs": cost_table(plan, model),
        "routing": routing_note(plan),
        "steps": steps_table(material.steps),
        "finance": material.finance,
        "no_finance": material.no_finance,
        "limits": binding.limit_tables(plan, model, simulated),
        "nearest": binding.nearest_table(simulated),
        "rounds": binding.rounds_table(plan),
        "explanation": material.explanation,
        "figures": sources.figure_table(catalogue),
        "confidence": sources.confidence_table(catalogue),
        "references": sources.references(catalogue),
        "notes": sources.notes(model),
        "weeks": sources.weeks(model),
        "recheck": facts.recheck(plan, simulated),
        "versions": versions(),
        "counted": counted,
        "money": money,
        "number": number,
        "percent": percent,
        "learned_text": learned_text,
        "data": _data(material),
    }


def _data(material: Material) -> dict[str, Any]:
    """Numbers of the charts that every report has."""
    finance, clusters = material.finance, material.loaded.model.clusters.values()
    return {
        "steps": [step | {"usd": round(step["usd"] / 1e6, 4)} for step in material.steps],
        "limits": {
            "throttle": min(cluster.throttle_c for cluster in clusters),
            "shutdown": min(cluster.shutdown_c for cluster in clusters),
        },
        "cash": finance.cash if finance else [],
        "exceedance": finance.exceedance if finance else [],
        "swings": finance.swings if finance else [],
        "years": finance.years if finance else [],
    }


def _curves(material: Material, index: int) -> dict[str, Any]:
    """Numbers of the charts of one scenario."""
    played = material.simulated.played[index]
    return {
        "until": played.until_minute,
        "minutes": played.minutes - 1,
        "events": played.events,
        "required": played.required,
        **{kind: curves for kind, curves in played.charts.items() if curves},
    }


def _digest(script: str) -> str:
    """A script by its hash, for the content security policy."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


@cache
def _plotly() -> str:
    """Plotly's own script, as its package ships it."""
    content = files("plotly").joinpath("package_data", "plotly.min.js").read_text(encoding="utf-8")
    # A browser ends a script element at its end tag and reads line ends as it likes.
    content = re.sub(r"</(script)", r"<\\/\1", content, flags=re.IGNORECASE)
    return content.replace("<!--", "<\\!--").replace("\r\n", "\n").replace("\r", "\n")
