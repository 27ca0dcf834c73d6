"""Two plans or models side by side for a pull-request comment, and as JSON."""

from __future__ import annotations

import html
from dataclasses import asdict
from typing import Any

from planner.analysis.comparison import ComparedPlan, Comparison, ScenarioChange
from planner.analysis.effects import Effects
from planner.infrastructure.model_difference import ValueChange
from planner.plan.difference import COUNTS, CostChange
from planner.plan.records import ScenarioLine, counts
from planner.reporting.comparison import (
    cost_table,
    effect_table,
    figure_table,
    headline,
    notes,
    purchase_table,
    scenario_table,
    tier_table,
    value_tables,
)
from planner.reporting.tables import Table, as_code, as_markdown

#: Most scenarios that are listed, and most rows of a table; JSON has them all.
MOST_LISTED, MOST_ROWS = 20, 50
#: GitHub takes 65,536 characters; something may stand before and after.
MOST_CHARACTERS = 60_000


def comparison_markdown(comparison: Comparison, effects: Effects | None = None) -> str:
    """A comparison for a pull-request comment: short, with the rest in parts that open."""
    mark = ":x:" if comparison.lost else ":white_check_mark:"
    sides = (("A", comparison.a), ("B", comparison.b))
    blocks = [
        f"### {mark} Resilience plan",
        f"**{' '.join(map(as_markdown, headline(comparison)))}**",
        "\n".join(f"- {letter}: {_side(side)}" for letter, side in sides),
        *_lost_and_gained(comparison),
    ]
    if not comparison.same:
        blocks.append(figure_table(comparison.figures).markdown())
    ends = [f"*{as_markdown(note)}*" for note in notes(comparison)]
    length = sum(map(len, (*blocks, *ends)))
    for block in _details(comparison, effects):
        length += len(block) + 2
        if length > MOST_CHARACTERS:
            blocks.append("*More differs than fits here; `plan compare --json` has it all.*")
            break
        blocks.append(block)
    return "\n\n".join([*blocks, *ends])


def _lost_and_gained(comparison: Comparison) -> list[str]:
    blocks = []
    for title, changes in (("Lost", comparison.lost), ("Gained", comparison.outcome("gained"))):
        lines = [f"- {as_code(change.name)}{_why(change)}" for change in changes[:MOST_LISTED]]
        if len(changes) > MOST_LISTED:
            lines.append(f"- and {len(changes) - MOST_LISTED:,} more")
        if lines:
            blocks.append(f"{title}:\n\n" + "\n".join(lines))
    return blocks


def _side(side: ComparedPlan) -> str:
    if side.kind == "model":
        return f"{as_code(side.label)}, what exists"
    return f"{as_code(side.label)}, plan for {as_code(side.plan.model.name)}"


def _why(change: ScenarioChange) -> str:
    if change.after is None:
        return ": not judged any more"
    breach = change.after.first_breach
    return "" if breach is None else f": {as_markdown(breach.text)}"


def _details(comparison: Comparison, effects: Effects | None) -> list[str]:
    """Tables that open, and what is the same on both sides."""
    changed = [tier for tier in comparison.tiers if tier.before != tier.after]
    tables = {
        "bought": purchase_table(comparison.purchases.changes),
        "cost": cost_table(comparison.categories if comparison.purchases.cost else ()),
        "verdicts and recovery": scenario_table(comparison),
        "service levels": tier_table(changed),
    }
    blocks = []
    if effects is not None:
        problem = f"What each difference costs B: not known, {as_markdown(effects.problem)}."
        blocks.append(problem if effects.problem else _folded(effect_table(effects)))
    blocks += [
        _folded(table) for table in (*tables.values(), *value_tables(comparison)) if table.rows
    ]
    same = [name for name, table in tables.items() if not table.rows]
    same += ["models"] if comparison.values == () else []
    return [*blocks, f"The same: {', '.join(same)}."] if same else blocks


def _folded(table: Table) -> str:
    title = html.escape(f"{table.title} ({len(table.rows):,})")
    note = f"\n\n{as_markdown(table.note)}" if table.note else ""
    body = table.first(MOST_ROWS).markdown() + note
    # The empty line lets GitHub read what follows as Markdown.
    return f"<details><summary>{title}</summary>\n\n{body}\n\n</details>"


def comparison_data(comparison: Comparison, effects: Effects | None = None) -> dict[str, Any]:
    """A comparison as JSON data; recovery None means never."""
    purchases = comparison.purchases
    return {
        "a": _side_data(comparison.a),
        "b": _side_data(comparison.b),
        "same": comparison.same,
        "summary": headline(comparison),
        "bought": {
            {"region": "regions", "measure": "measures"}.get(kind, kind): [
                asdict(change) | {"more": change.more}
                for change in purchases.changes
                if change.kind == kind
            ]
            for kind in COUNTS
        },
        "cost": {
            "capital_usd": round(purchases.capital_usd, 2),
            "usd_per_year": round(purchases.usd_per_year, 2),
            "categories": [_cost_data(change) for change in comparison.categories],
            "items": [_cost_data(change) for change in purchases.cost],
        },
        "figures": [asdict(change) | {"same": change.same} for change in comparison.figures],
        "scenarios": {
            "lost": [change.name for change in comparison.lost],
            **{
                outcome: [change.name for change in comparison.outcome(outcome)]
                for outcome in ("gained", "dropped", "new")
            },
            "later": [change.name for change in comparison.scenarios if change.later > 0],
            "earlier": [change.name for change in comparison.scenarios if change.later < 0],
            "differing": [
                _scenario_data(change) for change in comparison.scenarios if change.differs
            ],
        },
        "least_served": [asdict(change) for change in comparison.tiers],
        "values": None if comparison.values is None else list(map(_value_data, comparison.values)),
        "settings": list(map(_value_data, comparison.settings)),
        "effects": None if effects is None else asdict(effects),
        "notes": notes(comparison),
    }


def _side_data(side: ComparedPlan) -> dict[str, Any]:
    model = side.plan.model
    return {
        "label": side.label,
        "kind": side.kind,
        "model": {"name": model.name, "sha256": model.sha256, "overrides": list(model.overrides)},
        "capital_usd": side.plan.cost.capital_usd,
        "usd_per_year": side.plan.cost.usd_per_year,
        "scenarios": len(side.plan.scenarios),
        "survived": sum(line.survives for line in side.plan.scenarios),
        **counts(side.plan.scenarios),
        "note": side.note,
    }


def _cost_data(change: CostChange) -> dict[str, Any]:
    data = {
        key: round(value, 2) if isinstance(value, float) else value
        for key, value in asdict(change).items()
    }
    data |= {
        "capital_usd": round(change.capital_usd, 2),
        "usd_per_year": round(change.usd_per_year, 2),
    }
    return data if change.asset else {key: value for key, value in data.items() if key != "asset"}


def _scenario_data(change: ScenarioChange) -> dict[str, Any]:
    def line(side: ScenarioLine | None) -> dict[str, Any] | None:
        return None if side is None else side.model_dump(mode="json")

    return {
        "name": change.name,
        "severity": change.severity,
        "outcome": change.outcome,
        "a": line(change.before),
        "b": line(change.after),
    }


def _value_data(change: ValueChange) -> dict[str, Any]:
    return {
        "path": change.path,
        "a": change.before,
        "b": change.after,
        "only_in": change.only_in or None,
    }
