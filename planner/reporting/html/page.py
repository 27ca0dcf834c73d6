"""The page itself: what was gathered, put into one file that needs nothing else."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from planner.errors import InputError
from planner.infrastructure.loading import CatalogueUse, LoadedModel
from planner.json_text import json_text
from planner.plan.assembly import now, versions
from planner.plan.records import Plan
from planner.reporting.html import facts, places, sources
from planner.reporting.html.facts import Simulated
from planner.reporting.html.words import counted, millions, money

#: Size that a page keeps to.
PAGE_BYTES = 5_900_000
#: Rows of the matrix; of more scenarios those that go worst.
MOST_ROWS = 600
#: Scenarios with their charts and stories, whatever room there is.
MOST_TOLD = 400
MISSING_EXTRA = "needs {0}, which is not installed: pip install 'resilience-planner[report]'"


@dataclass(frozen=True, eq=False)
class Material:
    """Everything that a report tells.

    Parameters
    ----------
    plan, loaded
        The plan and its model.
    simulated
        Every scenario on the plan and on what exists.
    uses
        What the model takes from the catalogues.
    steps
        The way from today's yearly cost to that of the plan; empty where it cannot be worked out.
    finance
        Returns and risk; None where they are left out.
    no_finance
        Why they are.
    explanation
        What each purchase stands on, if that was asked.
    fresh
        Whether the model is still what the plan was made for.
    notes
        What is to be known about the two.
    """

    plan: Plan
    loaded: LoadedModel
    simulated: Simulated
    uses: tuple[CatalogueUse, ...]
    steps: list[dict[str, Any]]
    finance: dict[str, Any] | None
    no_finance: str
    explanation: dict[str, Any] | None
    fresh: bool
    notes: tuple[str, ...] = ()


def check_extra(path: Path) -> None:
    """Check before long work that a report can be made.

    Raises
    ------
    InputError
        If Plotly or Jinja is not installed.
    """
    for module in ("plotly", "jinja2"):
        try:
            __import__(module)
        except ImportError as error:
            name = {"jinja2": "Jinja2", "plotly": "Plotly"}[module]
            raise InputError.single(str(path), MISSING_EXTRA.format(name)) from error


def page(material: Material) -> bytes:
    """The report as HTML in UTF-8, at most `PAGE_BYTES` long."""
    simulated = material.simulated
    order = facts.worst_first(simulated.played)
    context = _context(material)
    rows = facts.matrix(material.loaded.model, simulated)
    listed = sorted(order[:MOST_ROWS])
    curves = {i: _json(_curves(material, i)) for i in order[:MOST_TOLD]}
    told = order[:MOST_TOLD]
    while True:
        content = _rendered(context, rows, listed, told, curves)
        excess = len(content) - PAGE_BYTES
        if excess <= 0 or not told:
            return content
        # Each takes its curves and as much again or more, so that few are left out needlessly.
        each = 2 * sum(len(curves[i]) for i in told) / len(told) + 4_000
        told = told[: -max(1, int(excess / each))]


def _rendered(
    context: dict[str, Any],
    rows: list[dict[str, Any]],
    listed: list[int],
    told: list[int],
    curves: dict[int, str],
) -> bytes:
    scenarios = "{" + ",".join(f'"{i}":{curves[i]}' for i in sorted(told)) + "}"
    data = _json(context["data"])[:-1] + f',"scenarios":{scenarios}}}'
    scripts = [_plotly(), _asset("report.js")]
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
    chosen = set(told)
    unlisted = [row["name"] for row in rows if row["index"] not in set(listed)]
    html: str = _template().render(
        **{name: value for name, value in context.items() if name != "data"},
        rows=[rows[i] | {"opens": i in chosen} for i in listed],
        unlisted=unlisted,
        policy=policy,
        style=_asset("report.css"),
        scripts=scripts,
        data=data,
    )
    return html.encode()


def _context(material: Material) -> dict[str, Any]:
    """What the template shows, and the data of the charts."""
    plan, model, simulated = material.plan, material.loaded.model, material.simulated
    regions = places.regions(plan, model)
    taken = sources.figures(material.uses)
    severities = list(dict.fromkeys(one.verdict.severity for one in simulated.played))
    return {
        "plan": plan,
        "model": model,
        "name": plan.model.name,
        "created": now(),
        "fresh": material.fresh,
        "remarks": material.notes,
        "counts": facts.model_counts(model),
        "decision": facts.decision(plan, material.loaded, simulated),
        "survives": not any(one.verdict.fails for one in simulated.played),
        "tiles": facts.tiles(plan, simulated),
        "purchases": facts.purchases(plan, model),
        "costs": facts.cost_rows(plan),
        "total": millions(plan.cost.capital_usd),
        "total_yearly": millions(plan.cost.usd_per_year),
        "regions": regions,
        "map": places.world_map(regions),
        "tiers": list(model.tiers),
        "severities": severities,
        "standard": facts.standard_rows(model, severities),
        "steps": material.steps,
        "finance": material.finance,
        "no_finance": material.no_finance,
        "limits": facts.limits(plan, model),
        "nearest": facts.nearest(simulated),
        "rounds": facts.rounds(plan),
        "margin_cost": _margin_cost(plan),
        "explanation": material.explanation,
        "figures": taken,
        "confidence": sources.by_confidence(taken),
        "references": sources.references(taken),
        "notes": sources.notes(model),
        "weeks": sources.weeks(model),
        "recheck": facts.recheck(plan, simulated),
        "versions": versions(),
        "words": counted,
        "data": _data(material),
    }


def _margin_cost(plan: Plan) -> str:
    rounds = plan.verification.rounds
    if len(rounds) < 2:
        return ""
    first, last = rounds[0], rounds[-1]
    return money(last.objective_usd_per_year - first.objective_usd_per_year)


def _data(material: Material) -> dict[str, Any]:
    """Numbers of the charts that every report has."""
    model, finance = material.loaded.model, material.finance or {}
    clusters = model.clusters.values()
    return {
        "steps": [
            {"label": one["label"], "usd": round(one["usd"] / 1e6, 4), "total": one["total"]}
            for one in material.steps
        ],
        "limits": {
            "throttle": min(one.throttle_c for one in clusters),
            "shutdown": min(one.shutdown_c for one in clusters),
        },
        **{name: finance.get(name, []) for name in ("cash", "exceedance", "swings", "years")},
    }


def _curves(material: Material, index: int) -> dict[str, Any]:
    """Numbers of the charts of one scenario."""
    one = material.simulated.played[index]
    return {
        "until": one.until_minute,
        "minutes": one.minutes - 1,
        "events": one.events,
        "required": one.required,
        **{kind: curves for kind, curves in one.charts.items() if curves},
    }


def _json(data: Any) -> str:
    """JSON that ends no script element and starts no comment."""
    text = json_text(data, "compact", ascii_only=True)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _digest(script: str) -> str:
    """A script by its hash, for the content security policy."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


@cache
def _asset(name: str) -> str:
    content = files("planner.reporting.html").joinpath("assets", name).read_text(encoding="utf-8")
    return content.replace("\r\n", "\n")


@cache
def _plotly() -> str:
    """Plotly's own script, as its package ships it."""
    content = files("plotly").joinpath("package_data", "plotly.min.js").read_text(encoding="utf-8")
    # A browser ends a script element at its end tag and reads line ends as it likes.
    content = re.sub(r"</(script)", r"<\\/\1", content, flags=re.IGNORECASE)
    return content.replace("<!--", "<\\!--").replace("\r\n", "\n").replace("\r", "\n")


@cache
def _template() -> Any:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["pick"] = _picked
    environment.filters["breakable"] = lambda text: str(text).replace("_", "_\u200b")
    return environment.from_string(_asset("report.html"))


def _picked(rows: Iterable[Mapping[str, Any]], *keys: str) -> list[list[Any]]:
    """Some entries of each row."""
    return [[row[key] for key in keys] for row in rows]


__all__ = ["PAGE_BYTES", "Material", "check_extra", "page"]
