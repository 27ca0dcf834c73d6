"""The irreducible conflict: requirements and limits that cannot all hold, none of which is spare.

First the relaxation with broken numbers, made elastic in every item: the dual values of its optimum
are a certificate of Farkas, so items whose rows have none are not needed for the contradiction. Of
what is left, each item is taken out in turn and stays out while the rest has no solution. Where
only whole numbers contradict each other, items that a plan needs to break are gathered until they
have no plan together (the elastic filter), and are then taken out in turn in the same way.

References
----------
Chinneck, *Feasibility and Infeasibility in Optimization*, 2008, chapter 6: deletion filter, elastic
filter.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from planner.optimization.infeasibility.elastic import ConstraintGroup, ElasticProgramme
from planner.optimization.solution.deadline import Deadline, OutOfTime

#: Price above which what gave way is no rounding error, in sizes of rows.
BROKEN = 1e-6
#: Dual values below this are zero.
NO_DUAL = 1e-9


@dataclass(frozen=True)
class Conflict:
    """Items that cannot all hold.

    Parameters
    ----------
    items
        The items.
    irreducible
        Whether every one of them was shown to be needed.
    """

    items: tuple[ConstraintGroup, ...] = ()
    irreducible: bool = False


def find_conflict(elastic: ElasticProgramme, clock: Deadline) -> Conflict:
    """Find an irreducible conflict; what is known of one when time runs out."""
    kept: list[ConstraintGroup] = []
    try:
        broken = elastic.minimise((), elastic.items.values(), clock.settings(), relaxed=True)
        if broken is None:
            return Conflict()
        if broken > BROKEN:
            kept = _certificate(elastic)
            if _holds(elastic, kept, clock, relaxed=True):
                kept = list(elastic.items.values())
            kept = _deleted(kept, lambda rest: _holds(elastic, rest, clock, relaxed=True))
        else:
            kept = _gathered(elastic, clock)
        kept = _deleted(kept, lambda rest: _holds(elastic, rest, clock, relaxed=False))
    except OutOfTime:
        return Conflict(tuple(kept))
    return Conflict(tuple(kept), irreducible=bool(kept))


def _certificate(elastic: ElasticProgramme) -> list[ConstraintGroup]:
    """Items with a row that the certificate of the last solve needs."""
    return [
        item
        for item in elastic.items.values()
        if any(abs(row.pi or 0.0) * abs(by) > NO_DUAL for row, by in item.constraints)
    ]


def _gathered(elastic: ElasticProgramme, clock: Deadline) -> list[ConstraintGroup]:
    """Items that together have no plan, in the order in which plans need to break them."""
    kept: list[ConstraintGroup] = []
    while True:
        free = [item for item in elastic.items.values() if item not in kept]
        if elastic.minimise((), free, clock.settings()) is None:
            return kept
        broken = [item for item in free if item.used]
        if not broken:
            return list(elastic.items.values())
        kept += broken


def _holds(
    elastic: ElasticProgramme, kept: list[ConstraintGroup], clock: Deadline, relaxed: bool
) -> bool:
    """Whether some items can hold together, all others left out."""
    free = [item for item in elastic.items.values() if item not in kept]
    settings = clock.settings(gap=0.5)
    if not relaxed:
        proof = elastic.minimise((), free, settings, relaxed=True, counted=False)
        if proof is None:
            return False
    found = elastic.minimise((), free, clock.settings(gap=0.5), relaxed, counted=False)
    return found is not None


def _deleted(
    kept: list[ConstraintGroup], holds: Callable[[list[ConstraintGroup]], bool]
) -> list[ConstraintGroup]:
    """What is left when each item in turn is left out if the rest contradicts itself without it."""
    for item in sorted(kept, key=_order):
        rest = [one for one in kept if one is not item]
        if rest and not holds(rest):
            kept[:] = rest
    return kept


def _order(item: ConstraintGroup) -> tuple[bool, bool, float, tuple[str, str, str]]:
    """What is taken out first: scenarios before normal operation, the latest first, limits last."""
    minute = min(row.from_minute for row in item.rows)
    return (item.kind == "limit", not item.key[2], -minute, item.key)
