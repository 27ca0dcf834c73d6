"""What the loop over a roadmap comes to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from planner.optimization.solution.solving import Solution
from planner.plan.records import Stopped, stopped_by
from planner.roadmap.parts import RoadmapParts
from planner.roadmap.pricing import NodeOutcome
from planner.roadmap.programme import OrderKey, RoadmapProgramme, orders_in
from planner.selection import Selection


@dataclass(frozen=True)
class RoadmapResult:
    """A solved roadmap, or the proof that there is none.

    Parameters
    ----------
    solution
        Orders and what follows from them; its objective and bound are net present values, USD. No
        roadmap that survives costs less than the bound.
    programme_usd
        Cost in the loosened programme with what was learned.
    outcomes
        By node; empty where there is no roadmap.
    rounds
        Rounds of the loop.
    timed_out, interrupted
        What ended it early.
    decided, decided_periods
        Orders that were fixed, and of how many periods.
    """

    roadmap: RoadmapProgramme
    parts: RoadmapParts
    selection: Selection
    solution: Solution
    outcomes: Mapping[str, NodeOutcome]
    rounds: int
    programme_usd: float
    timed_out: bool = False
    interrupted: bool = False
    decided: Mapping[OrderKey, int] = field(default_factory=dict)
    decided_periods: int = 0

    @property
    def feasible(self) -> bool:
        """Whether there is a roadmap."""
        return bool(self.outcomes)

    @property
    def stopped(self) -> Stopped | None:
        """What ended it early; None if nothing did."""
        return stopped_by(self.timed_out, self.interrupted)

    @property
    def survives(self) -> bool:
        """Whether everything that was planned for survives in every node."""
        return self.feasible and not any(o.missed for o in self.outcomes.values())

    @property
    def orders(self) -> dict[OrderKey, int]:
        """What is ordered when."""
        return dict(orders_in(self.roadmap, self.solution.values))
