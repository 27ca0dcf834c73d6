"""Plans of earlier versions, brought to what plans state today: their round."""

from __future__ import annotations

from planner.plan.best import failure_count
from planner.plan.records import Plan


def stating_its_round(plan: Plan) -> Plan:
    """A plan that states which round made it.

    Plans without a round are of the last round that no other exceeds in scenarios survived.
    """
    best = min(reversed(plan.verification.rounds), key=failure_count, default=None)
    if best is None or plan.made_in is not None:
        return plan
    return plan.model_copy(update={"round": best.round})
