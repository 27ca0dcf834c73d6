"""What a given fleet lacks: requirements it misses and limits it exceeds, as little as possible."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from pulp.constants import LpSolveStatus

from planner.optimization.formulation.algebra import Variable, sum_of
from planner.optimization.formulation.families import Family
from planner.optimization.formulation.programme import Programme, Row
from planner.optimization.formulation.recourse import may_turn_away
from planner.optimization.infeasibility.elastic import relaxing_sign, size
from planner.optimization.solution.decisions import Decision, bounded, settled
from planner.optimization.solution.settings import SolverSettings
from planner.optimization.solution.solving import run_solver

#: Share of a row below which a slack or a difference is rounding.
NEGLIGIBLE = 1e-6


@dataclass(frozen=True)
class Shortfall:
    """A requirement that fails, or a limit that is exceeded, with a given fleet.

    Parameters
    ----------
    family, subject, scenario
        What it is about; no scenario for normal operation and purchases.
    amount, unit
        By how much.
    from_minute
        Start of the stage.
    """

    family: Family
    subject: str
    scenario: str
    amount: float
    unit: str
    from_minute: float

    @classmethod
    def of(cls, row: Row, amount: float) -> Shortfall:
        """What a row is missed by."""
        return Shortfall(row.family, row.subject, row.scenario, amount, row.unit, row.from_minute)


def add_slack(
    programme: Programme, row: str, name: str, most: float = math.inf, usd: float = 0.0
) -> Variable:
    """Add a variable by which a row may be missed.

    Parameters
    ----------
    row, name
        Names of the row and of the new variable.
    most
        Largest slack, in the unit of the row.
    usd
        Price of one unit of slack in the objective.
    """
    slack = programme.problem.add_variable(name, 0.0, most)
    constraint = programme.constraints[row]
    constraint.set_coefficient(slack, relaxing_sign(constraint))
    if usd:
        programme.problem.objective.add(slack, usd)
    return slack


class ShortfallProgramme:
    """The programme in which requirements and limits may be missed, as little as possible.

    Parameters
    ----------
    programme
        The programme; it is changed.
    settings
        How to solve.
    """

    def __init__(self, programme: Programme, settings: SolverSettings) -> None:
        self.programme = programme
        may_turn_away(self.programme)
        self.settings = replace(settings, gap=0.01)
        self.slacks: list[tuple[Variable, Row]] = []
        for name, row in list(self.programme.rows.items()):
            if row.kind != "definition":
                slack = add_slack(self.programme, name, f"slack.{name}")
                self.slacks.append((slack, row))
        self.programme.problem.objective = sum_of(slack / size(row) for slack, row in self.slacks)

    def missed(self, bought: Mapping[Decision, int]) -> tuple[Shortfall, ...] | None:
        """What given purchases miss, the largest of each requirement in each scenario.

        None if they contradict what defines the programme, such as GPUs in a closed region.
        """
        with bounded(self.programme, settled(bought)):
            stats = run_solver(self.programme.problem, self.settings).stats
        if not stats.has_solution or stats.status == LpSolveStatus.Infeasible:
            return None
        found: dict[tuple[str, str, str], Shortfall] = {}
        for slack, row in self.slacks:
            amount = float(slack.value or 0.0)
            key = (row.scenario, row.family, row.subject)
            if amount <= NEGLIGIBLE * size(row):
                continue
            if key not in found or amount > found[key].amount:
                found[key] = Shortfall.of(row, amount)
        return tuple(found[key] for key in sorted(found))
