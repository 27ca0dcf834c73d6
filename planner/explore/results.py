"""What the page shows of an answer: fragments of HTML, most of them tables of the other outputs."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from planner.amounts import counted, millions, minutes, money, served
from planner.explore.planning import Answer
from planner.plan.records import Plan, ScenarioLine, survived
from planner.reporting.comparison import cost_table, headline
from planner.reporting.comparison import purchase_table as purchases_compared
from planner.reporting.comparison import scenario_table as scenarios_compared
from planner.reporting.html.facts import purchase_table
from planner.reporting.html.templates import template
from planner.reporting.html.timelines import Played
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
#: Charts of a story, and the lowest top of their axis.
CHARTS = (("served", "Served, % of the demand of each tier", 100.0), ("temperature", "°C", 0.0))


def command_line(model: str, settings: Iterable[str]) -> str:
    """The command that makes the same plan.

    >>> command_line("tiny", ["zones.*.demand_rps=*1.2"])
    "plan optimize tiny --set 'zones.*.demand_rps=*1.2'"
    """
    chosen = [part for setting in settings for part in ("--set", setting)]
    return shlex.join(["plan", "optimize", model, *chosen])


def status(answer: Answer | None, progress: str) -> str:
    """What is worked on, or how long it took."""
    done = "" if answer is None or not answer.final else f"Done in {answer.seconds:.1f} s."
    return _rendered("status", {"progress": progress.strip(), "done": done})


def said(lines: Iterable[str], good: bool = True) -> str:
    """What came of a button."""
    return _rendered("said", {"lines": lines, "good": good})


def summary(answer: Answer, baseline: Answer | None, model: str) -> str:
    """Key figures, purchases and the command; or why there is no plan."""
    plan, loaded = answer.plan, answer.loaded
    context: dict[str, Any] = {
        "command": command_line(model, answer.settings),
        "problems": answer.problems,
        "plan": plan,
        "tiles": [],
        "notes": [],
    }
    if plan is not None and loaded is not None:
        context |= {
            "tiles": _tiles(plan, None if baseline is None else baseline.plan),
            "purchases": purchase_table(plan, loaded.model),
            "notes": [survivor_note(plan) if answer.final else NOT_LAST],
        }
    return _rendered("summary", context)


def _tiles(plan: Plan, baseline: Plan | None) -> list[tuple[str, str, str]]:
    """Label, value, and how far from the baseline."""
    judged = sum(line.judged for line in plan.scenarios)
    safe = sum(line.survives for line in plan.scenarios)
    return [
        ("a year", money(_usd(plan)), _step(plan, baseline, _usd)),
        ("capex", money(_capital(plan)), _step(plan, baseline, _capital)),
        ("scenarios survived", f"{safe:,} of {judged:,}", ""),
        ("GPUs", f"{sum(line.total for line in plan.gpus):,}", ""),
    ]


def _step(plan: Plan, baseline: Plan | None, usd: Callable[[Plan], float]) -> str:
    if baseline is None:
        return ""
    step = usd(plan) - usd(baseline)
    if abs(step) < 1:
        return "as the baseline"
    return f"{money(abs(step))} {'more' if step > 0 else 'less'} than the baseline"


def _usd(plan: Plan) -> float:
    return plan.objective_usd_per_year


def _capital(plan: Plan) -> float:
    return plan.cost.capital_usd


def matrix(plan: Plan) -> Table:
    """Every scenario against every tier, at the worst hour of each failure; failures first."""
    tiers = list(dict.fromkeys(tier for line in plan.scenarios for tier in line.served))
    lines = worst_lines(plan)
    rows: list[Row] = [
        (
            name,
            line.severity,
            MARKS[line.status],
            *(_cell(line, tier) for tier in tiers),
            minutes(line.recovery_minutes),
            f"{line.peak_temperature_c:.0f}",
            millions(line.emergency_usd) if line.emergency_usd else "",
        )
        for name, line in lines.items()
    ]
    columns = (
        *texts("scenario", "class", "ok"),
        *figures(*tiers, "full after", "°C", "emergency, M USD"),
    )
    note = f"Lowest service level of each tier while its SLO applies. {survived(plan.scenarios)}."
    title = f"{counted(len(plan.scenarios), 'scenario')} by tier"
    return Table(title.capitalize(), columns, rows, note).first(MOST_ROWS)


def worst_lines(plan: Plan) -> dict[str, ScenarioLine]:
    """Scenarios by name, the worst first: of each failure its worst hour."""
    found: dict[str, ScenarioLine] = {}
    for line in sorted(plan.scenarios, key=urgency):
        found.setdefault(failure_and_hour(line.name)[0], line)
    return {line.name: line for line in found.values()}


def _cell(line: ScenarioLine, tier: str) -> Cell:
    if tier not in line.served or line.status == "not applicable":
        return ""
    text, breach = served(line.served[tier]), line.first_breach
    if breach is not None and breach.subject.startswith(tier):
        return Toned(f"{text} ✗", "bad")
    return Toned(f"{text} ✓", "good") if line.survives else text


def compared(answer: Answer, baseline: Answer) -> str:
    """What sets an answer apart from the baseline: purchases, cost by category, scenarios."""
    comparison = answer.against(baseline)
    if comparison is None:
        return _rendered("compared", {"lines": ["One of the two has no plan."], "tables": []})
    tables = [
        purchases_compared(comparison.purchases.changes),
        cost_table(comparison.categories if comparison.purchases.cost else ()),
        scenarios_compared(comparison),
    ]
    lines = headline(comparison) if answer is not baseline else ["This is the baseline."]
    note = "A is the baseline, B what is seen."
    return _rendered("compared", {"lines": [*lines, note], "tables": tables})


def story(played: Played | None) -> str:
    """What happens in a scenario, minute by minute, with its curves."""
    if played is None:
        return ""
    verdict = played.verdict
    rows = [(line.clock, f"+{line.minute:.0f}", line.text) for line in verdict.story]
    columns = (*texts("time"), *figures("minute"), *texts("what happens"))
    context = {
        "name": verdict.name,
        "breaches": [str(breach) for breach in verdict.breaches],
        "charts": [_chart(played, *chart) for chart in CHARTS if played.charts[chart[0]]],
        "story": Table(f"Story of {verdict.name}", columns, rows),
    }
    return _rendered("story", context)


def _chart(played: Played, kind: str, title: str, top: float) -> dict[str, Any]:
    """Curves as lines of SVG, up to the last minute worth looking at."""
    curves, until = played.charts[kind], max(played.until_minute, 1.0)
    values = [value for curve in curves for value in curve["y"]]
    low, high = (0.0 if top else min(values) - 2), max(top, *values) + 2
    lines = [
        (
            curve["name"],
            " ".join(
                f"{WIDTH * x / until:.1f},{HEIGHT * (high - y) / (high - low):.1f}"
                for x, y in zip(curve["x"], curve["y"], strict=True)
            ),
        )
        for curve in curves
    ]
    ends = {"low": f"{low:.0f}", "high": f"{high:.0f}", "until": f"{until:.0f}"}
    return {"title": title, "lines": lines, "width": WIDTH, "height": HEIGHT, **ends}


def variant_table(variants: Mapping[str, Answer], baseline: Answer | None) -> Table:
    """Variants that are kept, with what each costs and survives."""
    rows: list[Row] = []
    for name, answer in variants.items():
        if answer.plan is None:
            continue
        plan, before = answer.plan, None if baseline is None else baseline.plan
        step = (
            0.0 if before is None else plan.objective_usd_per_year - before.objective_usd_per_year
        )
        rows.append(
            (
                name,
                "; ".join(answer.settings) or "as the model is",
                plan.objective_usd_per_year,
                millions(step, sign="+") if step else "",
                plan.cost.capital_usd,
                survived(plan.scenarios),
            )
        )
    columns = (
        *texts("variant", "changes"),
        *figures("a year", "against baseline", "capital", show=millions),
        *texts("survives"),
    )
    return Table("Variants, M USD", columns, rows)


def _rendered(part: str, context: Mapping[str, Any]) -> str:
    html: str = template("explore_parts.html").render(part=part, **context)
    return html
