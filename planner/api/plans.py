"""Plans: the cheapest one that survives, with its tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from planner.amounts import counted, money, percent
from planner.api.models import ModelReference, PlannerModel, Text, as_planner_model, selection
from planner.api.notebook import Shown, frame, table
from planner.api.references import PlanReference, check_least, plan_source
from planner.api.simulations import Simulation, readable, simulate
from planner.errors import EXIT_INFEASIBLE, PlannerError
from planner.infrastructure.fleet import Fleet
from planner.infrastructure.loading import LoadedModel
from planner.optimization.infeasibility.diagnosis import Diagnosis
from planner.optimization.solution.settings import SolverSettings
from planner.optimization.solution.solving import make_solver
from planner.plan import files as plan_files
from planner.plan.records import Plan, Record, survived
from planner.plan.reopening import recorded
from planner.reporting import frames
from planner.rounds import LoopResult, Round
from planner.verification import optimize_and_verify


class InfeasibleError(PlannerError):
    """No plan meets every requirement.

    Attributes
    ----------
    diagnosis
        Which requirements and limits cannot all hold, and the cheapest ways out.
    """

    exit_code = EXIT_INFEASIBLE

    def __init__(self, diagnosis: Diagnosis) -> None:
        self.diagnosis = diagnosis
        super().__init__("\n".join(["no plan meets every requirement", *diagnosis.lines()]))


@dataclass(frozen=True, repr=False)
class Optimum(Shown):
    """A plan with the model that it is for and the rounds that led to it.

    Attributes
    ----------
    model
        The model, as it was planned for.
    plan
        The plan, as ``plan.json`` holds it.
    outcome
        Rounds of optimising and simulating.
    """

    model: PlannerModel
    plan: Plan
    outcome: LoopResult = field(compare=False)

    @property
    def survives(self) -> bool:
        """Whether every scenario survived on the plan."""
        return self.plan.verification.survives

    @property
    def usd_per_year(self) -> float:
        """Cost of a year: annualised capex, opex and the expected cost of failures."""
        return self.plan.cost.usd_per_year

    @property
    def capital_usd(self) -> float:
        """Capital to spend."""
        return self.plan.cost.capital_usd

    purchases = frame(
        "What exists, is bought and is retired, of every kind.",
        lambda self: frames.purchases(self.plan, self.model.model),
    )
    cooling = frame("Cooling units by plant and type.", lambda self: _records(self.plan.cooling))
    gpus = frame("GPUs by cluster.", lambda self: _records(self.plan.gpus))
    emergency = frame(
        "Reserved cloud instances by offer.", lambda self: _records(self.plan.emergency)
    )
    measures = frame("Measures, bought or not.", lambda self: _records(self.plan.measures))
    costs = frame("Cost items.", lambda self: frames.costs(self.plan))
    scenarios = frame(
        "Verdicts of all scenarios.", lambda self: frames.scenarios(self.plan.scenarios)
    )

    def simulate(self, *, scenarios: Text = (), only: Text = ()) -> Simulation:
        """Simulate scenarios on the plan, its own if none are named."""
        return simulate(self.model, self, scenarios=scenarios, only=only)

    def save(self, folder: str | Path) -> Path:
        """Write ``plan.json`` and its tables into a folder; returns the path of ``plan.json``.

        Raises
        ------
        InputError
            If the folder cannot be written.
        """
        return plan_files.write_plan(self.plan, Path(folder))[-1]

    def _title(self) -> str:
        return f"plan for {self.model.name}"

    def _facts(self) -> list[str]:
        return [
            f"{money(self.usd_per_year)} a year",
            f"capital {money(self.capital_usd, 1)}",
            f"optimality gap {percent(self.plan.gap, 3)}",
            survived(self.plan.scenarios),
        ]

    def _tables(self) -> Mapping[str, pd.DataFrame]:
        bought = self.purchases.query(
            "bought > 0 or retired > 0 or kind == 'emergency' and total > 0"
        )
        by_category = self.costs.groupby("category", sort=False)[["capital_usd", "usd_per_year"]]
        return {
            "Purchases": bought.reset_index(drop=True).fillna({"region": ""}),
            "Cost": by_category.sum(),
            "Scenarios": readable(self.scenarios),
        }


def _records(lines: tuple[Record, ...]) -> pd.DataFrame:
    return table(line.model_dump() for line in lines)


def optimize(
    model: ModelReference,
    *,
    scenarios: Text = (),
    only: Text = (),
    settings: SolverSettings = SolverSettings(),
    rounds: int = 12,
    start: PlanReference | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> Optimum:
    """Find the cheapest plan that survives every scenario of a model.

    Parameters
    ----------
    model
        Model, its file, or the name of a shipped one.
    scenarios, only
        As for `simulate`.
    settings
        Solver, optimality gap at which a plan counts as proven, time for all rounds together.
    rounds
        Most plans that are simulated to learn from; with 1 the first plan is all.
    start
        Earlier plan, from which the search starts.
    progress
        Told what is worked on; `print` will do.

    Returns
    -------
    Optimum
        The best plan. Look at ``survives``: where nothing makes up for what the simulation finds
        short, or time ends, it is the best plan found.

    Raises
    ------
    InfeasibleError
        If no plan meets every requirement; says why.
    InputError
        If the model, a name or a setting is wrong.
    SolverError
        If time ends before there is a plan.

    Examples
    --------
    >>> result = optimize("tiny", settings=SolverSettings(gap=0.001, time_limit_seconds=60))
    >>> result.survives
    True
    >>> result.gpus.set_index("cluster")["added"].sum()
    np.int64(400)
    """
    loaded = as_planner_model(model)
    check_least(rounds=rounds)
    make_solver(settings)
    fleet = _start_of(start, loaded)
    chosen = selection(loaded, scenarios, only)

    def on_round(made: Round) -> None:
        progress(f"round {made.number}: {counted(len(made.failed), 'failing scenario')}")

    outcome = optimize_and_verify(
        loaded.model, chosen.scenarios, settings, rounds, on_round, fleet, progress,
        selection=chosen,
    )  # fmt: skip
    if outcome.best is None:
        raise InfeasibleError(outcome.diagnosis or Diagnosis())
    planned = outcome.selection or chosen
    return Optimum(loaded, recorded(outcome.plan(loaded, settings), planned.wanted), outcome)


def _start_of(plan: PlanReference | None, loaded: LoadedModel) -> Fleet | None:
    """Fleet of a plan that fits a model, from which a search starts."""
    if plan is None:
        return None
    source = plan_source(plan)
    if isinstance(source, Plan):
        plan_files.check_fit(source, loaded, "plan")
        return source.fleet(loaded.model)
    return plan_files.read_plan(Path(source), loaded).fleet(loaded.model)
