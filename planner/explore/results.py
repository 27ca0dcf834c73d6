"""What the page shows of an answer: fragments of HTML, most of them tables of the other outputs."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from planner.amounts import counted, millions, minutes, money, served
from planner.analysis.comparison import ComparedPlan, compare
from planner.explore.planning import Answer
from planner.imports.inventory import Stated
from planner.imports.model_text import entry_lines
from planner.infrastructure.catalogue import shipped_models
from planner.infrastructure.loading import extension, find_model, load_model
from planner.plan.records import Plan, ScenarioLine, survived
from planner.reporting.comparison import cost_table, headline, purchase_table, scenario_table
from planner.reporting.html import facts
from planner.reporting.html.templates import template
from planner.reporting.html.timelines import play
from planner.reporting.plans import survivor_note
from planner.reporting.scenarios import MARKS, urgency
from planner.reporting.tables import Cell, Row, Table, Toned, figures, texts
from planner.scenarios.hours import failure_and_hour

#: What is said of a plan while the search goes on.
NOT_LAST = "The first plan found. One that costs less or survives more is still being looked for."
#: Most rows of scenarios.
MOST_ROWS = 200
#: Width and height of a chart, in its own units.
WIDTH, HEIGHT = 640.0, 180.0
#: Charts of a story, and the least top of their axis.
CHARTS = {"served": ("Served, % of the demand of each tier", 100.0), "temperature": ("°C", 0.0)}


def rendered(part: str, **context: Any) -> str:
    """A part of the page, with what it shows escaped."""
    html: str = template("explore_parts.html").render(part=part, **context)
    return html


def command_line(model: str, settings: Iterable[str]) -> str:
    """The command that makes the same plan.

    >>> command_line("tiny", ["zones.*.demand_rps=*1.2"])
    "plan optimize tiny --set 'zones.*.demand_rps=*1.2'"
    """
    chosen = [part for setting in settings for part in ("--set", setting)]
    return shlex.join(["plan", "optimize", model, *chosen])


def extending_file(model: str, settings: tuple[str, ...], file: Path) -> str:
    """A model file that extends the model and changes it as settings do.

    Raises
    ------
    InputError
        If a setting is wrong, or a model there may not extend the model (`load_model`).
    """
    base = find_model(model)
    named = shipped_models().get(model) == base
    place = model if named else Path(os.path.relpath(base, file.parent.resolve())).as_posix()
    lines = [*entry_lines("extends", "", Stated(place), 0)]
    for section, value in extension(model, settings).items():
        lines += entry_lines(section, "", Stated(value), 0)
    text = "\n".join([*lines, ""])
    load_model(file, text=text)
    return text


def summary(answer: Answer, baseline: Answer | None, model: str) -> str:
    """Key figures, purchases and the command; or why there is no plan."""
    plan, loaded = answer.plan, answer.loaded
    before = None if baseline is None else baseline.plan
    return rendered(
        "summary",
        command=command_line(model, answer.settings),
        problems=answer.problems,
        tiles=_tiles(plan, before) if plan else [],
        purchases=facts.purchase_table(plan, loaded.model) if plan and loaded else None,
        note=plan and (survivor_note(plan) if answer.final else NOT_LAST),
    )


def _tiles(plan: Plan, before: Plan | None) -> list[tuple[str, str, str]]:
    """Label, value, and how far from the baseline."""
    judged, safe = (
        sum(getattr(line, name) for line in plan.scenarios) for name in ("judged", "survives")
    )
    return [
        ("a year", money(_usd(plan)), _step(plan, before, _usd)),
        (
            "capex",
            money(plan.cost.capital_usd),
            _step(plan, before, lambda of: of.cost.capital_usd),
        ),
        ("scenarios survived", f"{safe:,} of {judged:,}", ""),
        ("GPUs", f"{sum(line.total for line in plan.gpus):,}", ""),
    ]


def _usd(plan: Plan) -> float:
    return plan.objective_usd_per_year


def _step(plan: Plan, before: Plan | None, usd: Callable[[Plan], float]) -> str:
    step = 0.0 if before is None else usd(plan) - usd(before)
    if abs(step) < 1:
        return "" if before is None else "as the baseline"
    return f"{money(abs(step))} {'more' if step > 0 else 'less'} than the baseline"


def matrix(plan: Plan) -> Table:
    """Every scenario against every tier, at the worst hour of each failure; failures first."""
    tiers = list(dict.fromkeys(tier for line in plan.scenarios for tier in line.served))
    rows: list[Row] = [
        (
            line.name,
            line.severity,
            MARKS[line.status],
            *(_cell(line, tier) for tier in tiers),
            minutes(line.recovery_minutes),
            f"{line.peak_temperature_c:.0f}",
            millions(line.emergency_usd) if line.emergency_usd else "",
        )
        for line in worst_lines(plan)
    ]
    columns = texts("scenario", "class", "ok")
    columns += figures(*tiers, "full after", "°C", "emergency, M USD")
    note = f"Lowest service level of each tier while its SLO applies. {survived(plan.scenarios)}."
    title = f"{counted(len(plan.scenarios), 'scenario')} by tier"
    return Table(title, columns, rows, note).first(MOST_ROWS)


def worst_lines(plan: Plan) -> Iterable[ScenarioLine]:
    """Scenarios, the worst first: of each failure its worst hour."""
    found: dict[str, ScenarioLine] = {}
    for line in sorted(plan.scenarios, key=urgency):
        found.setdefault(failure_and_hour(line.name)[0], line)
    return found.values()


def _cell(line: ScenarioLine, tier: str) -> Cell:
    if tier not in line.served or line.status == "not applicable":
        return ""
    text, breach = served(line.served[tier]), line.first_breach
    if breach is not None and breach.subject.startswith(tier):
        return Toned(f"{text} ✗", "bad")
    return Toned(f"{text} ✓", "good") if line.survives else text


def compared(answer: Answer, baseline: Answer | None) -> str:
    """What sets an answer apart from the baseline: purchases, cost by category, scenarios."""
    if baseline is None or answer.plan is None or baseline.plan is None:
        return ""
    found = compare(
        ComparedPlan("baseline", "plan", baseline.plan, baseline.loaded),
        ComparedPlan("this plan", "plan", answer.plan, answer.loaded),
    )
    tables = [
        purchase_table(found.purchases.changes),
        cost_table(found.categories if found.purchases.cost else ()),
        scenario_table(found),
    ]
    lines = ["This is the baseline."] if answer is baseline else headline(found)
    return rendered("compared", lines=[*lines, "A is the baseline, B what is seen."], tables=tables)


def story(answer: Answer, name: str) -> str:
    """What happens in a scenario, minute by minute, with its curves; nothing without a plan."""
    chosen = tuple(scenario for scenario in answer.scenarios if scenario.name == name)
    if answer.plan is None or answer.loaded is None or not chosen:
        return ""
    model = answer.loaded.model
    played = next(play(model, answer.plan.fleet(model), chosen))
    rows = [(line.clock, f"+{line.minute:.0f}", line.text) for line in played.verdict.story]
    columns = (*texts("time"), *figures("minute"), *texts("what happens"))
    until = max(played.until_minute, 1.0)
    return rendered(
        "story",
        name=name,
        breaches=played.verdict.breaches,
        charts=[_chart(kind, curves, until) for kind in CHARTS if (curves := played.charts[kind])],
        story=Table(f"Story of {name}", columns, rows),
    )


def _chart(kind: str, curves: list[dict[str, Any]], until: float) -> dict[str, Any]:
    """Curves as lines of SVG, up to the last minute worth looking at."""
    title, top = CHARTS[kind]
    values = [value for curve in curves for value in curve["y"]]
    low, high = (0.0 if top else min(values) - 2), max(top, *values) + 2
    across, up = WIDTH / until, HEIGHT / (high - low)
    lines = {
        curve["name"]: " ".join(
            f"{across * x:.1f},{up * (high - y):.1f}"
            for x, y in zip(curve["x"], curve["y"], strict=True)
        )
        for curve in curves
    }
    ends = {"low": f"{low:.0f}", "high": f"{high:.0f}", "until": f"{until:.0f}"}
    return {"title": title, "lines": lines, "width": WIDTH, "height": HEIGHT, **ends}


def variant_table(variants: Mapping[str, Answer]) -> Table:
    """Variants that are kept, with what each costs and survives."""
    rows: list[Row] = [
        (
            name,
            "; ".join(answer.settings),
            _usd(plan),
            plan.cost.capital_usd,
            survived(plan.scenarios),
        )
        for name, answer in variants.items()
        if (plan := answer.plan) is not None
    ]
    columns = texts("variant", "changes") + figures("a year", "capital", show=millions)
    return Table("Variants, M USD", columns + texts("survives"), rows)
