"""Roadmaps: what to order when, with its tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd

from planner.amounts import money, percent
from planner.api.models import ModelReference, Text, as_planner_model, selection
from planner.api.notebook import Shown, frame, table
from planner.api.references import check_least
from planner.errors import EXIT_INFEASIBLE, InputError, PlannerError
from planner.finance.roadmaps import RoadmapFinance
from planner.optimization.solution.settings import SolverSettings
from planner.optimization.solution.solving import make_solver
from planner.plan.records import Plan
from planner.roadmap import files
from planner.roadmap.infeasible import NoRoadmap, why_none
from planner.roadmap.making import check_horizon, make
from planner.roadmap.records import Roadmap


class NoRoadmapError(PlannerError):
    """No orders meet every period.

    Attributes
    ----------
    reason
        The first period that cannot be met, by what, and what would help.
    """

    exit_code = EXIT_INFEASIBLE

    def __init__(self, reason: NoRoadmap) -> None:
        self.reason = reason
        super().__init__("\n".join(["no orders meet every period", *reason.lines()]))


@dataclass(frozen=True, repr=False)
class OrderPlan(Shown):
    """What to order when.

    Attributes
    ----------
    roadmap
        The roadmap, as ``roadmap.json`` holds it.
    """

    roadmap: Roadmap

    @property
    def survives(self) -> bool:
        """Whether every scenario that something is asked of survives in every period."""
        return self.roadmap.survives

    @property
    def npv_usd(self) -> float:
        """Expected net present value of all costs."""
        return self.roadmap.npv_usd

    @property
    def plans(self) -> Mapping[str, Plan]:
        """Plan of each period by its name; `simulate`, `explain` and others take them."""
        return self.roadmap.plans

    orders = frame(
        "The calendar of orders.",
        lambda self: table(line.model_dump() for line in self.roadmap.orders),
    )
    periods = frame(
        "Demand, survival and yearly cost of each period, by its name.",
        lambda self: table((line.model_dump() for line in self.roadmap.nodes), "name"),
    )
    capacity = frame(
        "GPUs and what they serve, by period and region.",
        lambda self: table(line.model_dump() for line in self.roadmap.capacity),
    )
    budgets = frame(
        "Capital by year and path, with its budget.",
        lambda self: table(line.model_dump() for line in self.roadmap.budgets),
    )
    cash_flows = frame(
        "Every payment with its period and month.",
        lambda self: table(line.model_dump() for line in self.roadmap.cash_flows),
    )

    @cached_property
    def years(self) -> pd.DataFrame:
        """Expected payments in USD: a row for each calendar year, a column for each category."""
        found = RoadmapFinance(self.roadmap.model.name, self.roadmap)
        return pd.DataFrame(found.by_year, index=pd.Index(found.years, name="year"))

    def save(self, folder: str | Path) -> Path:
        """Write ``roadmap.json``, its tables and the plan of each period; returns its path.

        Raises
        ------
        InputError
            If the folder cannot be written.
        """
        return files.write_roadmap(self.roadmap, Path(folder))[0]

    def _title(self) -> str:
        return f"roadmap for {self.roadmap.model.name}"

    def _facts(self) -> list[str]:
        judged = sum(node.judged for node in self.roadmap.nodes)
        survived = sum(node.survived for node in self.roadmap.nodes)
        return [
            f"{len(self.roadmap.orders)} orders from {self.roadmap.horizon.start}",
            f"net present value of all costs {money(self.npv_usd)}",
            f"optimality gap {percent(self.roadmap.gap, 3)}",
            f"{survived} of {judged} scenarios survived",
        ]

    def _tables(self) -> Mapping[str, pd.DataFrame]:
        shown = ["order_by", "count", "unit", "asset", "type", "in_service", "capital_usd"]
        orders = self.orders if self.orders.empty else self.orders[shown]
        return {"Orders": orders, "Payments by year": self.years}


def plan_roadmap(
    model: ModelReference,
    *,
    scenarios: Text = (),
    only: Text = (),
    settings: SolverSettings = SolverSettings(),
    rounds: int = 12,
    start: OrderPlan | Roadmap | str | Path | None = None,
    decided_periods: int = 0,
    delays: int = 10,
    progress: Callable[[str], None] = lambda _: None,
) -> OrderPlan:
    """Find what to order when over the horizon of a model, at least cost.

    Parameters
    ----------
    model
        Model with a horizon, its file, or the name of a shipped one.
    scenarios, only, settings, rounds, progress
        As for `optimize`.
    start
        Earlier roadmap, from whose orders the search starts.
    decided_periods
        First periods whose orders are those of the earlier roadmap.
    delays
        Dearest orders whose delay is priced and whose latest date is found.

    Raises
    ------
    NoRoadmapError
        If no orders meet every period; says why.
    InputError
        If the model has no horizon, or the model, a name or a setting is wrong.
    SolverError
        If time ends before there is a roadmap.

    Examples
    --------
    >>> found = plan_roadmap("tiny-roadmap", delays=3)  # doctest: +SKIP
    >>> found.orders[["order_by", "count", "asset"]]  # doctest: +SKIP
    """
    loaded = as_planner_model(model)
    check_horizon(loaded)
    check_least(rounds=rounds)
    make_solver(settings)
    if start is None and decided_periods:
        raise InputError.single("decided_periods", "needs `start`: which orders are decided?")
    earlier = start.roadmap if isinstance(start, OrderPlan) else start
    if isinstance(earlier, str | Path):
        earlier = files.read_roadmap(Path(earlier), loaded)
    wanted = selection(loaded, scenarios, only).wanted
    result, roadmap = make(
        loaded, settings, wanted, rounds, progress, earlier, decided_periods, delays
    )
    if roadmap is None:
        raise NoRoadmapError(why_none(loaded.model, result, settings))
    return OrderPlan(roadmap)


def read_roadmap(roadmap: str | Path) -> OrderPlan:
    """Read a ``roadmap.json`` or the folder that holds one.

    Raises
    ------
    InputError
        With every problem: unreadable, or not a roadmap.
    """
    return OrderPlan(files.parse_roadmap(Path(roadmap)))
