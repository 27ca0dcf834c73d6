"""Explanations: why a plan buys what it buys, and what the next of each would be worth."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import pandas as pd

from planner.analysis.explanation import Explanation
from planner.analysis.explanation import explain as explain_plan
from planner.analysis.marginal import Questions
from planner.api.models import ModelReference
from planner.api.notebook import Shown, frame, table
from planner.api.references import PlanReference, reopened
from planner.optimization.solution.settings import SolverSettings
from planner.optimization.solution.solving import make_solver
from planner.plan.records import Plan
from planner.plan.reopening import planned_scenarios
from planner.reporting.explanation import explanation_data


@dataclass(frozen=True, repr=False)
class PlanExplanation(Shown):
    """Why a plan is what it is.

    Attributes
    ----------
    plan, explanation
        The plan, and everything that was found about it.
    notes
        What is to be known about the plan and its model.
    """

    plan: Plan
    explanation: Explanation
    notes: tuple[str, ...] = ()

    @cached_property
    def data(self) -> dict[str, Any]:
        """Everything as plain data, as ``plan explain --json`` prints it."""
        return explanation_data(self.explanation, self.plan)

    purchases = frame(
        "Every decision: what fails with one less, and what the last and next are worth a year.",
        lambda self: table(self.data["decisions"]),
    )
    scenarios = frame(
        "What the plan would save without each scenario, USD per year.",
        lambda self: table(self.data["scenarios"]),
    )
    requirements = frame(
        "What the plan would save without each policy or budget, USD per year.",
        lambda self: table(self.data["requirements"]),
    )
    binding = frame(
        "Limits and requirements with little room, and what one unit more would save a year.",
        lambda self: table(self.data["binding"]),
    )

    def _title(self) -> str:
        return f"explanation of the plan for {self.plan.model.name}"

    def _facts(self) -> list[str]:
        found = self.explanation
        return [f"{found.solves} of {found.solves_wanted} programmes solved"]

    def _tables(self) -> Mapping[str, pd.DataFrame]:
        return {"Scenarios": self.scenarios, "Binding": self.binding}


def explain(
    plan: PlanReference,
    model: ModelReference | None = None,
    *,
    solves: int = 45,
    settings: SolverSettings = SolverSettings(),
    progress: Callable[[str], None] = lambda _: None,
) -> PlanExplanation:
    """Explain a plan by solving its programme again, without one thing at a time.

    Parameters
    ----------
    plan, model
        As for `simulate`.
    solves
        Most programmes to solve.
    settings
        Solver, relative gap of every solve, and the time after which no more are solved.
    progress
        As for `optimize`.

    Raises
    ------
    InputError
        If the plan or its model is wrong.
    UnmetPlanError
        If the purchases do not meet the programme.
    """
    make_solver(settings)
    opened = reopened(plan, model)
    scenarios, notes = planned_scenarios(opened.plan, opened.loaded.model)
    questions = Questions(
        replace(settings, time_limit_seconds=None), solves, settings.time_limit_seconds, progress
    )
    found = explain_plan(opened.plan, opened.loaded, scenarios, questions)
    return PlanExplanation(opened.plan, found, (*opened.notes, *notes))
