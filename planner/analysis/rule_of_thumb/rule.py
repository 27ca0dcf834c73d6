"""The plan that an architect makes with a spreadsheet: what the optimum is compared with.

The rule, in the order in which it is applied:

1. GPUs of every region in use are raised in proportion, in whole blocks, until the others serve
   the peak of the week without the largest region, every request within its latency limit, and
   within the limits of clusters and of power. Proportions are those of the existing GPUs or, where
   none exist, of what clusters can hold.
2. Where limits stop that, candidate regions are opened, first the one that leaves least demand
   unserved and of equal ones the cheapest, and filled as far as needed. What even they cannot hold
   is reserved in the cloud, the cheapest retainer per request first. A policy on the number of
   regions opens candidates too; one on the surviving capacity share adds blocks where there are
   fewest.
3. Cooling is N+k with the k of each plant: units of one type, the one that provides the missing
   megawatts at the lowest price. Emergency plants get the same for the share that policies ask.
4. The plan is simulated. While a scenario fails, the cause of its failure decides what is added
   step by step: the next GPU block in proportion, cloud for a hundredth of the peak, a cooling unit
   of the plant's type or, where that does not help, of another, a block in a candidate region where
   nothing else helps; where services refuse requests, a measure on offer that gives some of them
   replicas or connections. Of several steps the one is taken that improves most for its money.
   Steps for a scenario that fails all the same are taken back.

No other measures are bought but fixed ones, nothing is retired, and nothing is trimmed afterwards.
The plan is costed by the programme with all purchases fixed, hence by the same functions as the
optimum.

"In proportion" taken literally also raises the region that may be lost, whose GPUs do not help
then. With ``hold_largest`` the largest region stays as it is; where others are at their limits,
candidates open or the cloud is used.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from planner.analysis.rule_of_thumb.repair import repair
from planner.analysis.rule_of_thumb.sizer import Sizer
from planner.analysis.rule_of_thumb.sizing import NOTHING
from planner.infrastructure.entities import Model
from planner.infrastructure.failures import Scenario
from planner.infrastructure.fleet import Fleet
from planner.infrastructure.loading import LoadedModel
from planner.optimization.formulation.build import build
from planner.optimization.formulation.families import Family
from planner.optimization.formulation.problem import ProblemData
from planner.optimization.formulation.programme import Programme, Row
from planner.optimization.infeasibility.shortfalls import add_slack
from planner.optimization.solution.audit import audit
from planner.optimization.solution.audit_purchases import check_money, check_purchases
from planner.optimization.solution.costs import cost_items
from planner.optimization.solution.decisions import bounded, counts_of, settled
from planner.optimization.solution.operation import billed
from planner.optimization.solution.settings import SolverSettings
from planner.optimization.solution.solving import Solution, solve
from planner.plan.records import Plan
from planner.rounds import LoopResult, Round

#: Penalty on violated requirements of purchases, USD per unit; not part of the stated cost.
PENALTY_USD = 1e6


def costed(
    data: ProblemData, fleet: Fleet, settings: SolverSettings
) -> tuple[Programme, Solution, tuple[str, ...]]:
    """Cost of a fleet by the programme with all its purchases fixed.

    The programme is infeasible for a plan that fails, and may be for one that survives, as it is
    stricter than the simulation (no throttling before operators react). Then requirements and
    limits get slacks: those of scenarios nearly free, so that recourse stays the cheapest and lost
    requests cost their value; those of purchases and normal operation at a penalty that is not part
    of the cost.
    """
    settings = replace(settings, time_limit_seconds=None, stop=None)
    programme = build(data)
    with bounded(programme, settled(counts_of(programme, fleet))):
        solution = solve(programme, settings)
        if solution.status != "infeasible":
            audit(programme, solution)
            return programme, _unproven(solution, solution.objective), ()
    programme = build(data)
    given = _add_slacks(programme)
    with bounded(programme, settled(counts_of(programme, fleet))):
        solution = solve(programme, settings)
    if solution.status == "infeasible":
        return programme, solution, ("normal operation is not possible",)
    cost = sum(item.usd_per_year for item in cost_items(programme, solution))
    loose = {
        (row.family, row.scenario)
        for name, row in given.items()
        if solution.values[name] > 1e-6 * max(1.0, row.amount)
    }
    by_family: dict[str, list[str]] = {}
    for family, scenario in sorted(loose):
        by_family.setdefault(family, []).append(scenario or "purchases")
    notes = [
        f"costed without rows `{family}` that the programme has in {', '.join(where)}"
        for family, where in by_family.items()
    ]
    return programme, _unproven(solution, cost), tuple(notes)


def _add_slacks(programme: Programme) -> dict[str, Row]:
    """Add slacks to requirements and limits; their rows by the name of the slack."""
    rows = {}
    for name, row in programme.rows.items():
        if row.kind == "definition" and row.family != Family.MEAN_DEMAND:
            continue
        price = NOTHING if row.scenario else PENALTY_USD
        add_slack(programme, name, f"lacks.{name}", usd=price)
        rows[f"lacks.{name}"] = row
    return rows


def _unproven(solution: Solution, cost: float) -> Solution:
    """The solution with its cost and no bound: nothing is proven of a rule of thumb."""
    return replace(solution, status="feasible", objective=cost, bound=0.0, hidden=0.0)


@dataclass(frozen=True)
class RuleOfThumbPlan:
    """The plan by rule of thumb, costed and simulated.

    Parameters
    ----------
    outcome
        Its single round, in the form of the loop's result; none where limits leave so little that
        not even normal operation is possible.
    repairs
        What the simulation made the rule add, and what the plan still lacks, in words.
    lacks
        Rules on purchases that it breaks because limits left no room.
    """

    outcome: LoopResult
    repairs: tuple[str, ...]
    lacks: tuple[str, ...]

    @property
    def survives(self) -> bool:
        """Whether it survives everything and breaks no rule."""
        return self.outcome.survives and not self.lacks

    def plan(self, loaded: LoadedModel, settings: SolverSettings) -> Plan:
        """The plan as a document; no proof is claimed."""
        return self.outcome.plan(loaded, settings, "rule-of-thumb", self.repairs)


def plan_by_rule_of_thumb(
    model: Model,
    scenarios: tuple[Scenario, ...],
    settings: SolverSettings,
    progress: Callable[[str], None] = lambda _: None,
    hold_largest: bool = False,
) -> RuleOfThumbPlan:
    """Size a platform by rule of thumb and repair it until it survives.

    Parameters
    ----------
    progress
        Called with a line after every repair.
    hold_largest
        Whether GPUs go first to the regions that are not the largest.
    """
    sizer = Sizer(model, scenarios, settings, hold_largest)
    sizing, verdicts, repairs = repair(sizer, sizer.first_sizing(), progress)
    fleet = sizer.fleet(sizing)
    programme, solution, note = costed(sizer.data, fleet, settings)
    if solution.status == "infeasible":
        lacks = tuple(check_purchases(sizer.data, fleet)) or note
        return RuleOfThumbPlan(LoopResult(()), repairs, lacks)
    solution, items = billed(model, solution, cost_items(programme, solution))
    lacks = (*check_purchases(sizer.data, fleet), *check_money(sizer.data, items))
    notes = (*repairs, *note, *(f"breaks a rule: {lack}" for lack in lacks))
    rounds = (Round(1, programme, solution, lambda: items, verdicts),)
    cut = sizer.over() and any(verdict.fails for verdict in verdicts)
    outcome = LoopResult(rounds, timed_out=cut, interrupted=cut and settings.stopped)
    return RuleOfThumbPlan(outcome, notes, lacks)
