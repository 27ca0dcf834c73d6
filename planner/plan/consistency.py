"""Whether a plan agrees with itself: sums of its lines, counts, verdicts."""

from __future__ import annotations

from collections import Counter

from planner.errors import Problem, refuse
from planner.infrastructure.source import printable
from planner.plan.records import CoolingLine, GpuLine, Plan

#: Rounding of each line that is added: half a cent, USD.
HALF_A_CENT = 0.005
#: Relative rounding of a sum.
SAME = 1e-12


def refuse_contradictions(plan: Plan, shown: str) -> None:
    """Refuse a plan that contradicts itself.

    Parameters
    ----------
    shown
        What the plan is called in problems: its file.

    Raises
    ------
    InputError
        With every contradiction.
    """
    refuse(
        Problem(shown, 0, 0, "", f"contradicts itself: {printable(text)}")
        for text in contradictions(plan)
    )


def contradictions(plan: Plan) -> list[str]:
    """Where a plan contradicts itself: totals that are no sums of lines, lines listed twice."""
    found = []
    for field in ("capital_usd", "usd_per_year"):
        total = getattr(plan.cost, field)
        lines = [getattr(line, field) for line in plan.cost.items]
        # Lines are rounded to the cent, the total from the lines.
        if abs(total - sum(lines)) > HALF_A_CENT * (len(lines) + 2) + SAME * abs(total):
            found.append(f"cost.{field} is {total:,.2f}, its lines add up to {sum(lines):,.2f}")
    counted: list[tuple[str, GpuLine | CoolingLine]] = [
        *((f"gpus: {line.cluster}", line) for line in plan.gpus),
        *((f"cooling: {line.plant}/{line.unit}", line) for line in plan.cooling),
    ]
    for name, line in counted:
        if line.total != line.existing + line.added - line.retired:
            found.append(f"{name} has {line.total:,}, which is not what exists and is added")
    names = {
        "gpus": [line.cluster for line in plan.gpus],
        "cooling": [f"{line.plant}/{line.unit}" for line in plan.cooling],
        "emergency": [line.offer for line in plan.emergency],
        "measures": [line.measure for line in plan.measures],
        "scenarios": [line.name for line in plan.scenarios],
    }
    for part, listed in names.items():
        twice = [name for name, times in Counter(listed).items() if times > 1]
        found += [f"{part}: {name} is listed twice" for name in twice]
    if plan.verification.survives == any(line.fails for line in plan.scenarios):
        found.append("verification.survives contradicts the scenarios")
    for scenario in plan.scenarios:
        if not scenario.fails and scenario.first_breach is not None:
            found.append(f"scenarios: {scenario.name} {scenario.status} with a breach")
    return found
