"""Rounds of the loop, and what comes of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from planner.infrastructure.loading import LoadedModel
from planner.optimization.formulation.programme import Programme
from planner.optimization.formulation.simulated import SimulatedCut
from planner.optimization.infeasibility.diagnosis import Diagnosis
from planner.optimization.solution.costs import CostItem, risk_of
from planner.optimization.solution.settings import SolverSettings
from planner.optimization.solution.solving import Solution
from planner.plan.assembly import Origin, make_plan, waived_records
from planner.plan.best import best_round
from planner.plan.records import Method, Plan, RoundRecord, Stopped, stopped_by
from planner.selection import Selection
from planner.simulation.verdict import Verdict


@dataclass(frozen=True)
class Round:
    """One round of the loop.

    Parameters
    ----------
    number
        From 1.
    programme, solution
        What was solved, and the result.
    costs
        Its cost item by item; of a plan of the loop only what is asked for is audited, once.
    verdicts
        Simulated outcome of every scenario on it.
    left_out
        Number of failures simulated at hours that are not planned for, after everything else was
        survived; None where there are too many.
    beyond
        Outcomes of those among them that are not survived.
    searched
        Fleets simulated to find this one below the plans of the programme; 0 for one of these.
    """

    number: int
    programme: Programme
    solution: Solution
    costs: Callable[[], tuple[CostItem, ...]]
    verdicts: tuple[Verdict, ...]
    left_out: int | None = 0
    beyond: tuple[Verdict, ...] = ()
    searched: int = 0

    @property
    def items(self) -> tuple[CostItem, ...]:
        """Cost of its plan item by item."""
        return self.costs()

    @property
    def limited(self) -> bool:
        """Whether time ended before the solver proved its gap."""
        return self.solution.status == "feasible"

    @property
    def objective_usd_per_year(self) -> float:
        """Cost of its plan."""
        return self.solution.objective

    @property
    def failed(self) -> tuple[str, ...]:
        """Scenarios that do not survive."""
        outcomes = (*self.verdicts, *self.beyond)
        return tuple(verdict.name for verdict in outcomes if verdict.fails)

    def record(self) -> RoundRecord:
        """The round as a line of a plan."""
        return RoundRecord(
            round=self.number,
            objective_usd_per_year=round(self.objective_usd_per_year, 2),
            failed=self.failed,
            waived=waived_records(self.programme.data),
            searched=self.searched,
        )


@dataclass(frozen=True)
class LoopResult:
    """Result of the loop.

    Parameters
    ----------
    rounds
        All rounds that led to a plan.
    diagnosis
        Why the last programme had no plan, if that is how the loop ended.
    timed_out
        Whether the time limit ended it.
    interrupted
        Whether somebody interrupted it.
    selection
        Where the scenarios come from, where hours left out were simulated too.
    survivor_bound_usd
        What a plan that survives costs a year at least; None where that is not worked out.
    learned
        Cuts of the search for a plan that survives.
    """

    rounds: tuple[Round, ...]
    diagnosis: Diagnosis | None = None
    timed_out: bool = False
    interrupted: bool = False
    selection: Selection | None = None
    survivor_bound_usd: float | None = None
    learned: tuple[SimulatedCut, ...] = ()

    @property
    def stopped(self) -> Stopped | None:
        """What ended the loop early; None if nothing did."""
        return stopped_by(self.timed_out, self.interrupted)

    @property
    def best(self) -> Round | None:
        """The round whose plan fails in the fewest scenarios, the cheapest of several."""
        return best_round(self.rounds)

    @property
    def survives(self) -> bool:
        """Whether the best plan survives everything."""
        return self.best is not None and not self.best.failed

    def plan(
        self,
        loaded: LoadedModel,
        settings: SolverSettings,
        method: Method = "optimum",
        repairs: tuple[str, ...] = (),
    ) -> Plan:
        """The best plan with the record of all rounds.

        Raises
        ------
        ValueError
            If there is no plan.
        """
        best = self.best
        if best is None:
            raise ValueError("There is no plan.")
        origin = Origin(
            solver=settings.name,
            seconds=sum(made.solution.seconds for made in self.rounds),
            rounds=tuple(made.record() for made in self.rounds),
            made_in=best.number,
            method=method,
            repairs=repairs,
            stopped=self.stopped,
            left_out=best.left_out,
            survivor_bound_usd=self.survivor_bound_usd,
            learned=self.learned,
        )
        risk = risk_of(best.programme, best.solution)
        verdicts = self._with_shares((*best.verdicts, *best.beyond))
        return make_plan(loaded, best.solution, best.items, verdicts, origin, risk)

    def _with_shares(self, verdicts: tuple[Verdict, ...]) -> list[Verdict]:
        """Verdicts with the frequencies of the selection, in which hours share a failure."""
        chosen = () if self.selection is None else self.selection.scenarios
        often = {scenario.name: scenario.frequency_per_year for scenario in chosen}
        return [
            replace(verdict, frequency_per_year=often.get(verdict.name, verdict.frequency_per_year))
            for verdict in verdicts
        ]
