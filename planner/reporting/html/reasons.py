"""What each purchase stands on and each scenario costs, as rows of tables."""

from __future__ import annotations

from typing import Any

from planner.analysis.explanation import Explanation
from planner.analysis.marginal import Difference, Worth
from planner.plan.records import Plan
from planner.reporting.explanation import explanation_data
from planner.reporting.html.words import listed, millions


def reasons(explanation: Explanation, plan: Plan) -> dict[str, Any]:
    """Tables of an explanation."""
    data = explanation_data(explanation, plan)
    decisions = [
        [str(note.decision), f"+{note.bought:,}", _stands_on(row), _worth(note.last)]
        for note, row in zip(explanation.decisions, data["decisions"], strict=True)
        if note.bought
    ]
    scenarios = [
        [listed(list(one.names)), _told(one.saves), millions(one.recourse_usd), _told(one.forces)]
        for one in explanation.scenarios
        if one.saves.usd
    ]
    return {
        "solves": explanation.solves,
        "left": max(0, explanation.solves_wanted - explanation.solves),
        "decisions": decisions,
        "scenarios": scenarios,
        "requirements": [
            [listed([name.replace("_", " ") for name in one.names]), _told(one.saves)]
            for one in explanation.requirements
        ],
        "binding": [
            [row["text"], f"{row['room']:,.4g} {row['unit']}", f"{row['usd_per_unit']:,.4g}"]
            for row in data["binding"]
        ],
    }


def _stands_on(row: dict[str, Any]) -> str:
    if row["fails"] is None:
        return "everything that stands in it fails"
    if row["fails"]:
        return listed([one["text"] for one in row["fails"]])
    if row["earns_usd"]:
        return f"nothing fails; it costs {millions(row['earns_usd'])} M USD a year more"
    return "nothing fails"


def _worth(worth: Worth | None) -> str:
    if worth is None:
        return "not asked"
    return worth.reason if worth.value is None else _told(worth.value)


def _told(one: Difference | None) -> str:
    """A difference, or what it is less than where the gap hides it."""
    if one is None:
        return "not asked"
    if one.certain:
        return millions(one.usd)
    return f"less than {millions(one.most)}" if one.most != float("inf") else "unknown"


__all__ = ["reasons"]
