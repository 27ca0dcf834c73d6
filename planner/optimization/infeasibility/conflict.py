"""The irreducible conflict: requirements and limits that cannot all hold, none of them redundant.

First the linear relaxation with a slack for every group of constraints: the dual values of its
optimum are a Farkas certificate, so groups without dual values are not part of the conflict. Each
remaining group is removed in turn, and stays out if the rest is still infeasible (the deletion
filter). Where only the integer programme is infeasible, groups that a solution has to violate are
gathered until they are infeasible together (the elastic filter), and then filtered in the same way.
Groups are removed in the programme of the scenarios that they belong to, if it has no plan.

References
----------
Chinneck, *Feasibility and Infeasibility in Optimization*, 2008, chapter 6: deletion filter, elastic
filter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from planner.optimization.infeasibility.elastic import ConstraintGroup, ElasticProgramme
from planner.optimization.infeasibility.relaxable_values import elastic_programme
from planner.optimization.solution.deadline import Deadline, OutOfTime

#: Total slack, in sizes of rows, above which a programme is infeasible.
INFEASIBLE = 1e-6
#: Dual values below this count as zero.
NO_DUAL = 1e-9


@dataclass(frozen=True)
class Conflict:
    """Constraint groups that cannot all hold.

    Parameters
    ----------
    irreducible
        Whether the others can hold without any one of them.
    """

    groups: tuple[ConstraintGroup, ...] = ()
    irreducible: bool = False


def find_conflict(elastic: ElasticProgramme, deadline: Deadline) -> Conflict:
    """Find an irreducible conflict; when time runs out, the smallest conflict known by then."""
    kept: list[ConstraintGroup] = []
    whole = elastic
    try:
        slack = elastic.minimize((), elastic.groups.values(), deadline.settings(), linear=True)
        if slack is None:
            return Conflict()
        if slack > INFEASIBLE:
            kept = _certificate(elastic)
            if _feasible(elastic, kept, deadline, linear=True):
                kept = list(elastic.groups.values())
            elastic, kept = _of_their_scenarios(elastic, kept, deadline)
            kept = _filtered(kept, lambda rest: _feasible(elastic, rest, deadline, linear=True))
        else:
            kept = _gathered(elastic, deadline)
            elastic, kept = _of_their_scenarios(elastic, kept, deadline)
        kept = _filtered(kept, lambda rest: _feasible(elastic, rest, deadline, linear=False))
    except OutOfTime:
        return Conflict(_groups_of(whole, kept))
    return Conflict(_groups_of(whole, kept), irreducible=bool(kept))


def can_hold(elastic: ElasticProgramme, deadline: Deadline) -> bool:
    """Whether all requirements and limits can hold."""
    return _feasible(elastic, list(elastic.groups.values()), deadline, linear=False)


def _groups_of(
    elastic: ElasticProgramme, groups: Iterable[ConstraintGroup]
) -> tuple[ConstraintGroup, ...]:
    """The same groups in another programme, which has them all."""
    return tuple(elastic.groups[group.key] for group in groups)


def _of_their_scenarios(
    elastic: ElasticProgramme, kept: list[ConstraintGroup], deadline: Deadline
) -> tuple[ElasticProgramme, list[ConstraintGroup]]:
    """The programme of the scenarios of some groups alone, if these are infeasible in it too."""
    names = {group.key[2] for group in kept}
    every = elastic.data.stages_by_scenario
    if names.issuperset(every):
        return elastic, kept
    alone = elastic_programme(elastic.data.part(tuple(name for name in every if name in names)))
    groups = list(_groups_of(alone, kept))
    if _feasible(alone, groups, deadline, linear=False):
        return elastic, kept
    return alone, groups


def _certificate(elastic: ElasticProgramme) -> list[ConstraintGroup]:
    """Groups with a row that has a dual value in the last solve."""
    return [
        group
        for group in elastic.groups.values()
        if any(abs(row.dual or 0.0) * abs(slack) > NO_DUAL for row, slack in group.constraints)
    ]


def _gathered(elastic: ElasticProgramme, deadline: Deadline) -> list[ConstraintGroup]:
    """Groups that are infeasible together, in the order in which solutions violate them."""
    kept: list[ConstraintGroup] = []
    while True:
        free = [group for group in elastic.groups.values() if group not in kept]
        if elastic.minimize((), free, deadline.settings()) is None:
            return kept
        violated = [group for group in free if group.used]
        if not violated:
            return list(elastic.groups.values())
        kept += violated


def _feasible(
    elastic: ElasticProgramme, kept: list[ConstraintGroup], deadline: Deadline, linear: bool
) -> bool:
    """Whether some groups can hold together without all others."""
    free = [group for group in elastic.groups.values() if group not in kept]
    settings = deadline.settings(gap=0.5)
    if not linear and elastic.minimize((), free, settings, linear=True, priced=False) is None:
        return False
    settings = deadline.settings(gap=0.5)
    return elastic.minimize((), free, settings, linear=linear, priced=False) is not None


def _filtered(
    kept: list[ConstraintGroup], feasible: Callable[[list[ConstraintGroup]], bool]
) -> list[ConstraintGroup]:
    """Remove each group in turn if the rest is infeasible without it; changes the list."""
    for group in sorted(kept, key=_order):
        rest = [member for member in kept if member is not group]
        if rest and not feasible(rest):
            kept[:] = rest
    return kept


def _order(group: ConstraintGroup) -> tuple[bool, bool, float, tuple[str, str, str]]:
    """Order of removal: scenarios before normal operation, the latest first, limits last."""
    minute = min(row.from_minute for row in group.rows)
    return (group.kind == "limit", not group.key[2], -minute, group.key)
