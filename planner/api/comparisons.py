"""Comparisons: what one plan or model buys, costs and survives more or less than another."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from planner.analysis.compared_sides import named_sides
from planner.analysis.comparison import Comparison
from planner.analysis.comparison import compare as compare_sides
from planner.analysis.effects import Effects, effects
from planner.api.models import ModelReference, Text, texts
from planner.api.notebook import Shown, frame, table
from planner.api.references import Planned, PlanReference
from planner.optimization.solution.settings import SolverSettings
from planner.reporting.comparison_exports import comparison_data


@dataclass(frozen=True, repr=False)
class PlanComparison(Shown):
    """Two sides and all that sets them apart.

    Attributes
    ----------
    comparison
        Everything that was found.
    caused
        What each group of differing values costs; None where it was not asked.
    """

    comparison: Comparison
    caused: Effects | None = None

    @cached_property
    def data(self) -> dict[str, Any]:
        """Everything as plain data, as ``plan compare --json`` prints it."""
        return comparison_data(self.comparison, self.caused)

    @property
    def same(self) -> bool:
        """Whether both buy, cost and survive the same."""
        return self.comparison.same

    @property
    def lost(self) -> tuple[str, ...]:
        """Scenarios that A survives and B does not, or is no longer judged on."""
        return tuple(change.name for change in self.comparison.lost)

    purchases = frame(
        "Decisions on which the two differ.",
        lambda self: table(change for kind in self.data["bought"].values() for change in kind),
    )
    costs = frame(
        "Cost by category.", lambda self: table(self.data["cost"]["categories"], "category")
    )
    figures = frame("Sums and extremes of both.", lambda self: table(self.data["figures"], "name"))
    scenarios = frame(
        "Scenarios on which the two differ, with what became of each.",
        lambda self: table(self.data["scenarios"]["differing"], "name"),
    )
    values = frame(
        "Values on which the models differ; empty if a model is not known.",
        lambda self: table(self.data["values"] or (), "path"),
    )

    @cached_property
    def effects(self) -> pd.DataFrame:
        """Groups of differing values and what each costs a year; empty where it was not asked."""
        found = self.data["effects"]
        return table(found["groups"] if found else (), "title")

    def _title(self) -> str:
        return f"comparison of {self.comparison.a.label} and {self.comparison.b.label}"

    def _facts(self) -> list[str]:
        return [sentence.rstrip(".") for sentence in self.data["summary"]]

    def _tables(self) -> Mapping[str, pd.DataFrame]:
        return {"Figures": self.figures, "Purchases": self.purchases, "Cost": self.costs}


def compare(
    a: PlanReference | ModelReference,
    b: PlanReference | ModelReference,
    *,
    models: Text = (),
    solves: int = 0,
    settings: SolverSettings = SolverSettings(),
    progress: Callable[[str], None] = lambda _: None,
) -> PlanComparison:
    """Compare two plans or models.

    A model stands for what exists in it, simulated on the scenarios of the other side if that is a
    plan.

    Parameters
    ----------
    a, b
        Plans or models, their files, or names of shipped models; changes lead from A to B.
    models
        Model files of plans that have moved.
    solves, settings
        How often at most to solve B again with one group of differing values at a time reset to
        those of A, and how; 0 for not at all.
    progress
        As for `optimize`.

    Raises
    ------
    InputError
        With everything that is wrong with any of them.

    Examples
    --------
    >>> compare("tiny", load_model("tiny", {"zones.west-users.demand_rps": 900})).lost
    ('surge',)
    """
    sides = [side.plan if isinstance(side, Planned) else side for side in (a, b)]
    first, second = named_sides(sides[0], sides[1], texts(models), progress=progress)
    comparison = compare_sides(first, second)
    caused = effects(comparison, settings, solves, progress) if solves else None
    return PlanComparison(comparison, caused)
