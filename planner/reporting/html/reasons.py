"""Why each purchase is needed and what each scenario costs, as tables."""

from __future__ import annotations

from dataclasses import dataclass

from planner.amounts import counted
from planner.analysis.explanation import Explanation
from planner.reporting.explanation import (
    binding_table,
    requirement_table,
    scenario_table,
    stands_on,
    worth_table,
)
from planner.reporting.tables import Table, figures, texts


@dataclass(frozen=True)
class Reasons:
    """Tables of an explanation, and how they were worked out."""

    effort: str
    tables: tuple[Table, ...]
    binding: Table


def reasons(explanation: Explanation) -> Reasons:
    """Tables of an explanation."""
    left = explanation.solves_wanted - explanation.solves
    more = f"; {counted(left, 'more question')} not asked" if left > 0 else ""
    needed = [
        (str(note.decision), f"+{note.bought:,}", stands_on(note))
        for note in explanation.decisions
        if note.bought
    ]
    columns = texts("purchase") + figures("bought (GPUs in blocks)") + texts("what fails")
    return Reasons(
        f"Worked out by {counted(explanation.solves, 'programme')} solved again, each with one "
        f"thing left out{more}.",
        (
            Table("What fails with one less", columns, needed),
            worth_table(explanation),
            scenario_table(explanation),
            requirement_table(explanation),
        ),
        binding_table(explanation.binding),
    )
