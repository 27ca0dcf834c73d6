"""Why each purchase is needed and what each scenario costs, as tables."""

from __future__ import annotations

from dataclasses import dataclass

from planner.amounts import counted, listed, millions, number
from planner.analysis.explanation import DecisionNote, Explanation, describe
from planner.analysis.marginal import Difference, Worth
from planner.reporting.explanation import REQUIREMENTS, describe_row
from planner.reporting.tables import Row, Table, figures, texts

#: Least annual cost that is shown: less is within what the solver leaves open.
SHOWN_USD = 500.0


@dataclass(frozen=True)
class Reasons:
    """Tables of an explanation, and how they were worked out."""

    effort: str
    decisions: Table
    scenarios: Table
    requirements: Table
    binding: Table


def reasons(explanation: Explanation) -> Reasons:
    """Tables of an explanation."""
    left = explanation.solves_wanted - explanation.solves
    more = f"; {counted(left, 'more question')} not asked" if left > 0 else ""
    return Reasons(
        f"Worked out by {counted(explanation.solves, 'programme')} solved again, each with one "
        f"thing left out{more}.",
        _decisions(explanation),
        _scenarios(explanation),
        _requirements(explanation),
        _binding(explanation),
    )


def _decisions(explanation: Explanation) -> Table:
    rows = [
        (str(note.decision), f"+{note.bought:,}", _needed_for(note), _worth(note.last))
        for note in explanation.decisions
        if note.bought
    ]
    columns = (
        texts("purchase") + figures("bought (GPUs in blocks)") + texts("what fails with one less")
    )
    columns += figures("worth of the last one, M USD a year")
    return Table("Purchases: what the last one is needed for, and its worth", columns, rows)


def _scenarios(explanation: Explanation) -> Table:
    rows: list[Row] = [
        (
            listed(list(removal.names)),
            _told(removal.saves),
            millions(removal.recourse_usd) if removal.recourse_usd else None,
            _told(removal.forces),
        )
        for removal in explanation.scenarios
        if removal.saves.usd >= SHOWN_USD
    ]
    columns = texts("without the scenario") + figures(
        "the plan saves", "of it expected cost", "of it purchases"
    )
    return Table("What each scenario costs, M USD a year", columns, rows)


def _requirements(explanation: Explanation) -> Table:
    rows = [
        (listed([REQUIREMENTS.get(name, name.replace("_", " ")) for name in removal.names]),
         _told(removal.saves))
        for removal in explanation.requirements
        if removal.saves.most >= SHOWN_USD
    ]  # fmt: skip
    columns = texts("without") + figures("the plan saves")
    return Table("What policies and budgets cost, M USD a year", columns, rows)


def _binding(explanation: Explanation) -> Table:
    """Binding constraints, those with the highest shadow price first; no column of zeros."""
    ordered = sorted(explanation.binding, key=lambda row: (-abs(row.price), row.room))
    priced = any(row.price for row in ordered)
    rows = [
        (
            describe_row(row),
            "none" if row.tight else f"{number(row.room, 4)} {row.row.unit}",
            *([f"{number(row.price, 4)} USD/{row.row.unit}" if row.price else None] * priced),
        )
        for row in ordered
    ]
    note = (
        "Shadow price: annual saving by one unit of relaxation, with whole numbers fixed at those "
        "of the plan."
    )
    columns = texts("constraint") + figures("headroom", *["shadow price"] * priced)
    return Table("Binding constraints", columns, rows, note if priced else "")


def _needed_for(note: DecisionNote) -> str:
    if note.fails is None:
        return "everything in it fails"
    if note.fails:
        return listed([describe(shortfall) for shortfall in note.fails])
    if note.earns_usd:
        return f"nothing fails; the plan then costs {millions(note.earns_usd)} M USD a year more"
    return "nothing fails"


def _worth(worth: Worth | None) -> str:
    if worth is None:
        return "not asked"
    return worth.reason if worth.value is None else _told(worth.value)


def _told(difference: Difference | None) -> str:
    """A difference, or what it is less than where the optimality gap hides it."""
    if difference is None:
        return "not asked"
    if difference.certain:
        return millions(difference.usd)
    if difference.most == float("inf"):
        return "unknown"
    return f"less than {millions(max(difference.most, SHOWN_USD))}"
