"""Trade-offs: plans that cost little more and differ most, and what survivability costs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from planner.amounts import money
from planner.analysis.alternatives import Alternative, CheapestPlan
from planner.analysis.alternatives import alternatives as find_alternatives
from planner.analysis.axes import Axis, settings_of
from planner.analysis.frontier import Frontier, trace
from planner.api.models import ModelReference, PlannerModel, Text, as_planner_model, selection
from planner.api.notebook import Shown, table
from planner.api.plans import Optimum, optimize
from planner.api.references import check_least
from planner.errors import InputError
from planner.optimization.solution.settings import SolverSettings
from planner.optimization.solution.solving import make_solver
from planner.reporting.alternatives import alternatives_data
from planner.reporting.frontier import frontier_data


@dataclass(frozen=True, repr=False)
class Alternatives(Shown):
    """Plans near the cheapest one.

    Attributes
    ----------
    optimum
        The cheapest plan.
    plans
        The others: fleet, cost, what they buy more or less, verdicts.
    """

    optimum: Optimum
    plans: tuple[Alternative, ...]

    @cached_property
    def data(self) -> dict[str, Any]:
        """Everything as plain data, as ``plan alternatives --json`` prints it."""
        return alternatives_data(_cheapest(self.optimum), self.plans, self.optimum.model)

    def to_frame(self) -> pd.DataFrame:
        """Cost, capital and difference of each plan."""
        return table(self.data["alternatives"], "name")

    def _title(self) -> str:
        return f"alternatives for {self.optimum.model.name}"

    def _facts(self) -> list[str]:
        cheapest = money(self.optimum.usd_per_year)
        return [f"{len(self.plans)} plans beside the cheapest, {cheapest} a year"]

    def _tables(self) -> Mapping[str, pd.DataFrame]:
        return {"Plans": self.to_frame()}


def _cheapest(optimum: Optimum) -> CheapestPlan:
    outcome, best = optimum.outcome, optimum.outcome.best
    assert best is not None, "an Optimum has a plan"
    return CheapestPlan.of(best.programme, best.solution, outcome.selection, outcome.learned)


def alternatives(
    model: Optimum | ModelReference,
    *,
    within: Sequence[float] = (0.01, 0.05),
    most: int = 3,
    scenarios: Text = (),
    only: Text = (),
    settings: SolverSettings = SolverSettings(),
    progress: Callable[[str], None] = lambda _: None,
) -> Alternatives:
    """Find plans that cost little more than the cheapest and differ most from it.

    Parameters
    ----------
    model
        What `optimize` returned, or a model, which is optimised first.
    within
        Shares by which they may cost more.
    most
        Alternatives for each share.
    scenarios, only, settings, progress
        As for `optimize`; time is for one solve.

    Raises
    ------
    InfeasibleError
        If no plan meets every requirement.
    InputError
        If the model, a name or a share is wrong.
    """
    check_least(most=most)
    if not all(0 < share <= 10 for share in within):
        raise InputError.single("within", "expected shares above 0 and up to 10")
    optimum = model
    if not isinstance(optimum, Optimum):
        optimum = optimize(
            optimum, scenarios=scenarios, only=only, settings=settings, progress=progress
        )
    shares = sorted(set(within))
    found = find_alternatives(_cheapest(optimum), shares, most, settings, progress)
    return Alternatives(optimum, found)


@dataclass(frozen=True, repr=False)
class CostFrontier(Shown):
    """The cheapest surviving plan at every point of an axis.

    Attributes
    ----------
    model, frontier
        The model, and everything that was found.
    """

    model: PlannerModel
    frontier: Frontier

    @cached_property
    def data(self) -> dict[str, Any]:
        """Everything as plain data, as ``plan frontier --json`` prints it."""
        return frontier_data(self.frontier, self.model)

    def to_frame(self) -> pd.DataFrame:
        """Cost, capital and verdict at every point."""
        return table(self.data["points"], "label")

    def _title(self) -> str:
        return f"frontier of {self.model.name} by {self.frontier.axis}"

    def _facts(self) -> list[str]:
        return [f"{len(self.frontier.points)} points"]

    def _tables(self) -> Mapping[str, pd.DataFrame]:
        shown = ["status", "usd_per_year", "capital_usd", "survived_by_full_standard"]
        return {"Points": self.to_frame()[shown]}


def frontier(
    model: ModelReference,
    by: Axis = "standard",
    *,
    points: int = 4,
    at: Sequence[float] = (),
    scenarios: Text = (),
    only: Text = (),
    settings: SolverSettings = SolverSettings(),
    progress: Callable[[str], None] = lambda _: None,
) -> CostFrontier:
    """Find what survivability costs: the cheapest surviving plan at every point of an axis.

    Parameters
    ----------
    by
        ``standard`` (share of the survival standard), ``failures`` (components lost together),
        ``classes`` (severity classes) or ``recovery`` (minutes to full service).
    points
        Number of points on the axes ``standard`` and ``recovery``.
    at
        These points instead.
    scenarios, only, settings, progress
        As for `optimize`; time is for one point.

    Raises
    ------
    InputError
        If the model, a name or a point is wrong.
    """
    check_least(points=points)
    make_solver(settings)
    loaded = as_planner_model(model)
    chosen = selection(loaded, scenarios, only)
    asked = settings_of(by, loaded.model, chosen.scenarios, points, tuple(at))
    found = trace(
        by,
        asked,
        loaded.model,
        chosen.scenarios,
        settings,
        lambda point: progress(f"{point.label}: {point.status}"),
        chosen,
    )
    return CostFrontier(loaded, found)
