"""What of a problem is still as it was in an earlier one."""

from __future__ import annotations

from planner.optimization.formulation.problem import ProblemData


def unchanged(before: ProblemData, after: ProblemData) -> frozenset[str]:
    """Scenarios whose rows are the same in both."""
    known = before.stages_by_scenario
    waived = before.waived.items() ^ after.waived.items()
    touched = {scenario for (_, _, scenario), _ in waived}
    return frozenset(
        name
        for name, stages in after.stages_by_scenario.items()
        if name not in touched
        and len(stages) == len(known.get(name, ()))
        and all(now is then for now, then in zip(stages, known[name], strict=True))
    )


def stricter(before: ProblemData, after: ProblemData) -> bool:
    """Whether every plan of a later problem is one of an earlier one that costs no more."""
    if any(after.by_name.get(name) != scenario for name, scenario in before.by_name.items()):
        return False
    if not after.waived.items() <= before.waived.items():
        return False
    return set(before.learned) <= set(after.learned)
