"""Whether a plan agrees with itself: sums of its lines, counts, verdicts, rounds, bounds.

Every command that takes a plan asks this first, and `planner.plan.claims` where the model is as it
was; `planner.proof` asks for the rest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from planner.errors import InputError, Problem
from planner.files import SUMS, strange_files
from planner.infrastructure.source import printable
from planner.plan.records import (
    FIRM_ONLY,
    LATE,
    NO_TIME,
    NOTHING_LEFT,
    CoolingLine,
    GpuLine,
    Plan,
    counts,
)

#: Rounding of each line that is added: half a cent, USD.
HALF_A_CENT = 0.005
#: Relative rounding of a sum.
SAME = 1e-12
#: Relative difference up to which an objective is the sum of its items (`audit.MONEY`).
SUMMED = 1e-6


class ContradictionError(InputError):
    """A plan states what is not so."""


def refuse_contradictions(
    found: Iterable[str], shown: str, what: str = "contradicts itself"
) -> None:
    """Refuse a plan, or a roadmap, for what is not so.

    Parameters
    ----------
    found
        What is not so.
    shown
        What the plan is called in problems: its file.

    Raises
    ------
    ContradictionError
        With all of it.
    """
    problems = [Problem(shown, 0, 0, "", f"{what}: {printable(text)}") for text in found]
    if problems:
        raise ContradictionError(problems)


def refuse_changed(path: Path) -> tuple[str, ...]:
    """Refuse a file that is not the one written with its folder's hashes; notes on others of them.

    Raises
    ------
    ContradictionError
        If it is another: what it states was never worked out.
    """
    strange = strange_files(path)
    if path.name in strange:
        message = f"is not the file that was written: {SUMS} has another hash. If the change was "
        message += f"meant, remove {SUMS}; `plan verify` says what is not so"
        raise ContradictionError.single(str(path), message)
    return tuple(strange.values())


def contradictions(plan: Plan) -> list[str]:
    """Where a plan contradicts itself: sums, counts, bounds, lines listed twice, verdicts."""
    return [*_sums(plan), *_counts(plan), *_verdicts(plan), *_rounds(plan)]


def _sums(plan: Plan) -> Iterator[str]:
    """Totals that are no sums of lines, and money that nobody can have received."""
    cost = plan.cost
    for field in ("capital_usd", "usd_per_year"):
        total = getattr(cost, field)
        lines = [getattr(line, field) for line in cost.items]
        # Lines are rounded to the cent, the total from the lines.
        if abs(total - sum(lines)) > HALF_A_CENT * (len(lines) + 2) + SAME * abs(total):
            yield f"cost.{field} is {total:,.2f}, its lines add up to {sum(lines):,.2f}"
    room = HALF_A_CENT * (len(cost.items) + 2)
    room += SUMMED * sum(abs(line.usd_per_year) for line in cost.items)
    if abs(plan.objective_usd_per_year - cost.usd_per_year) > room:
        yield (
            f"objective_usd_per_year is {plan.objective_usd_per_year:,.2f}, "
            f"the cost of a year {cost.usd_per_year:,.2f}"
        )
    sold = {f"{line.plant}/{line.unit}" for line in plan.cooling if line.retired}
    sold |= {line.cluster for line in plan.gpus if line.retired}
    for line in cost.items:
        if line.capital_usd < 0 and line.asset not in sold:
            yield f"cost: {line.category} of {line.asset} has negative capital, with nothing sold"
        # Solvers leave a little less than nothing where failures cost nothing.
        if line.usd_per_year < -room and line.category != "risk" and line.asset not in sold:
            yield f"cost: {line.category} of {line.asset} costs less than nothing a year"
    bridges = plan.of_roadmap is not None and without_recourse(plan)
    if plan.risk is None and plan.method == "optimum" and not bridges:
        period = "; nor is it a period of a roadmap that has to bridge" if plan.of_roadmap else ""
        yield f"risk: an optimum states what failures cost, and this plan does not{period}"
    if plan.risk is not None:
        spent = [line.usd_per_year for line in cost.items if line.category == "recourse"]
        expected = plan.risk.expected_usd_per_year
        if abs(expected - sum(spent)) > HALF_A_CENT * (len(spent) + 2) + SUMMED * abs(expected):
            yield f"risk: failures cost {expected:,.2f} a year, their lines {sum(spent):,.2f}"


def without_recourse(plan: Plan) -> list[str]:
    """Reasons of a period of a roadmap to claim no recourse, among what a plan breaks."""
    whole, beginnings = {FIRM_ONLY, NO_TIME}, (LATE, NOTHING_LEFT)
    return [text for text in plan.breaks if text in whole or text.startswith(beginnings)]


def _counts(plan: Plan) -> Iterator[str]:
    counted: list[tuple[str, GpuLine | CoolingLine]] = [
        *((f"gpus: {line.cluster}", line) for line in plan.gpus),
        *((f"cooling: {line.plant}/{line.unit}", line) for line in plan.cooling),
    ]
    for name, line in counted:
        if line.total != line.existing + line.added - line.retired:
            yield f"{name} has {line.total:,}, which is not what exists and is added"
    names = {
        "gpus": [line.cluster for line in plan.gpus],
        "cooling": [f"{line.plant}/{line.unit}" for line in plan.cooling],
        "emergency": [line.offer for line in plan.emergency],
        "measures": [line.measure for line in plan.measures],
        "scenarios": [line.name for line in plan.scenarios],
    }
    for part, listed in names.items():
        twice = [name for name, times in Counter(listed).items() if times > 1]
        yield from (f"{part}: {name} is listed twice" for name in twice)


def _verdicts(plan: Plan) -> Iterator[str]:
    """Outcomes of scenarios against each other, and against what the plan says of all."""
    proof, lines = plan.verification, plan.scenarios
    if proof.survives == any(line.fails for line in lines):
        yield "verification.survives contradicts the scenarios"
    for field, count in counts(lines).items():
        if getattr(proof, field) != count:
            stated = getattr(proof, field)
            yield f"verification.{field} is {stated}, of the scenarios listed it is {count}"
    for line in lines:
        if line.survives != (line.status == "survives"):
            yield f"scenarios: {line.name} {line.status}, and `survives` says otherwise"
        if not line.fails and line.first_breach is not None:
            yield f"scenarios: {line.name} {line.status} with a breach"
        amounts = (line.frequency_per_year, line.lost_requests, line.emergency_usd)
        if min(amounts) < 0 or not all(0 <= share <= 1 + SUMMED for share in line.served.values()):
            yield f"scenarios: {line.name} has amounts below zero or shares above one"
    if plan.risk is not None and lines:
        for name in plan.risk.once_usd.keys() - {line.name for line in lines}:
            yield f"scenarios: {name} has a cost and no verdict"


def _rounds(plan: Plan) -> Iterator[str]:
    """What rounds state of the plan that came of them; bounds above the cost."""
    made, cost = plan.made_in, plan.objective_usd_per_year
    if made is not None:
        if abs(made.objective_usd_per_year - cost) > 2 * HALF_A_CENT + SUMMED * abs(cost):
            yield f"round {made.round} made it at {made.objective_usd_per_year:,.2f} a year"
        failing = {line.name for line in plan.scenarios if line.fails}
        if set(made.failed) != failing:
            yield f"round {made.round} states other scenarios as failed than the verdicts"
    proof = plan.verification
    # A plan that does not survive may cost less than any that does.
    bound = proof.survivor_bound_usd_per_year if proof.survives else None
    if plan.gap < 0 or (bound is not None and bound - cost > 2 * HALF_A_CENT + SUMMED * abs(cost)):
        yield "a lower bound on the cost is above the cost"
