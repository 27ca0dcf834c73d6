"""Plans of earlier versions, brought to what plans state today: their round and its margins."""

from __future__ import annotations

from planner.plan.best import failure_count
from planner.plan.records import MarginRecord, Plan, RoundRecord

#: Half of the last digit of the margins in plans that do not state their round.
ROUNDING = 5e-7
SHARES = ("demand", "heat", "services", "spend")


def stating_its_round(plan: Plan) -> Plan:
    """A plan that states which round made it, with margins no larger than they were.

    Plans without a round are of the last round that no other exceeds in scenarios survived, and
    their margins were rounded to six digits. Each is taken at the least that it may have been, so
    that the purchases still meet the programme with these margins.
    """
    rounds = plan.verification.rounds
    best = min(reversed(rounds), key=failure_count, default=None)
    if best is None or plan.made_in is not None:
        return plan
    if plan.round is None:
        rounds = tuple(_before_rounding(record) for record in rounds)
    proof = plan.verification.model_copy(update={"rounds": rounds})
    return plan.model_copy(update={"verification": proof, "round": best.round})


def _before_rounding(record: RoundRecord) -> RoundRecord:
    margins = tuple(_least(margin) for margin in record.margins)
    return record.model_copy(update={"margins": margins})


def _least(margin: MarginRecord) -> MarginRecord:
    shares = {name: max(0.0, getattr(margin, name) - ROUNDING) for name in SHARES}
    return margin.model_copy(update=shares)
