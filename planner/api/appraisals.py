"""Appraisals: capital, returns, losses and risk of plans against what exists."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from planner.api.models import ModelReference, as_planner_model, selection
from planner.api.notebook import Shown, frame, table
from planner.api.references import PlanReference, reopened
from planner.errors import refuse
from planner.finance.assumptions import Assumptions
from planner.finance.builds import Build
from planner.finance.study import FinanceStudy, Sampling, missing_prices, study_of
from planner.finance.tables import finance_data
from planner.infrastructure.fleet import Fleet
from planner.selection import select


@dataclass(frozen=True, repr=False)
class Appraisal(Shown):
    """Plans valued against what exists.

    Attributes
    ----------
    study
        Everything that was worked out.
    notes
        What is to be known about the plans and their models.
    """

    study: FinanceStudy
    notes: tuple[str, ...] = ()

    @cached_property
    def data(self) -> dict[str, Any]:
        """Everything as plain data, as ``plan finance --json`` prints it."""
        return finance_data(self.study)

    def to_frame(self) -> pd.DataFrame:
        """Returns and costs, one row for each build, what exists first."""
        rows = [
            {key: value for key, value in row.items() if not isinstance(value, dict | list)}
            for row in self.data["plans"]
        ]
        return table(rows, "name")

    capital = frame("Capital line by line.", lambda self: self._rows("capital"))
    running = frame("Running cost line by line.", lambda self: self._rows("running"))
    cash_flow = frame("Cash flow after tax, year by year.", lambda self: self._rows("cash_flow"))
    losses = frame(
        "Expected losses by kind, with confidence intervals.", lambda self: self._rows("losses")
    )
    exceedance = frame("Loss-exceedance curve.", lambda self: self._rows("exceedance"))
    credits = frame("Service credits by tier.", lambda self: self._rows("credits"))
    cooling = frame("Adequacy of cooling by plant.", lambda self: self._rows("cooling"))

    def _rows(self, part: str) -> pd.DataFrame:
        return table(
            {"plan": plan["name"], **row} for plan in self.data["plans"] for row in plan[part]
        )

    def _title(self) -> str:
        return f"appraisal of {self.study.model}"

    def _facts(self) -> list[str]:
        return [", ".join(valued.build.name for valued in self.study.valued)]

    def _tables(self) -> Mapping[str, pd.DataFrame]:
        return {"Builds": self.to_frame().transpose()}


def appraise(
    model: ModelReference,
    plans: Mapping[str, PlanReference] | PlanReference,
    *,
    sampling: Sampling = Sampling(),
    progress: Callable[[str], None] = lambda _: None,
) -> Appraisal:
    """Value plans for a model against what exists: capital, returns, losses, risk.

    Parameters
    ----------
    plans
        A plan, or several by name.
    sampling
        Cascades simulated for each build, seed, confidence of value at risk, processes.
    progress
        As for `optimize`.

    Raises
    ------
    InputError
        If a plan does not fit the model, or a price is missing.

    Examples
    --------
    >>> appraisal = appraise("tiny", optimize("tiny"), sampling=Sampling(10))  # doctest: +SKIP
    >>> appraisal.to_frame().loc["plan", "capital_usd"] > 0  # doctest: +SKIP
    np.True_
    """
    loaded = as_planner_model(model)
    named = plans if isinstance(plans, Mapping) else {"plan": plans}
    chosen = selection(loaded).scenarios
    builds = [Build("as it was", loaded.model, Fleet.existing(loaded.model), chosen)]
    notes: list[str] = []
    for name, plan in named.items():
        opened = reopened(plan, loaded, str(name))
        scenarios = select(opened.loaded.model, opened.wanted).scenarios
        made = opened.plan if opened.fresh else None
        builds.append(Build(name, opened.loaded.model, opened.fleet, scenarios, made))
        notes += [f"{name}: {note}" for note in opened.notes]
    problems = missing_prices(builds)
    refuse(problems)
    assumptions = Assumptions.of(loaded.model.finance)
    return Appraisal(study_of(loaded, builds, assumptions, sampling, None, progress), tuple(notes))
