"""What each group of differing values costs: B solved again with one of them taken back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import groupby

from planner.analysis.comparison import ComparedPlan, Comparison
from planner.analysis.what_if import Answer, ask
from planner.errors import PlannerError
from planner.infrastructure.entities import Model
from planner.infrastructure.model_difference import ValueChange
from planner.optimization.formulation.build import build
from planner.optimization.solution.settings import SolverSettings
from planner.plan.reopening import new_scenarios, problem_data_of, wanted_by
from planner.selection import select


@dataclass(frozen=True)
class Effect:
    """What one group of differing values costs.

    Parameters
    ----------
    paths
        Values of b taken back to those of a.
    title
        What they have in common: the path down to the entry.
    usd_per_year
        Cost of the cheapest plan for b less that for b with these values taken back, USD per year;
        None without such a plan.
    least, most
        Between what is proven.
    problem
        Why there is no figure; empty if there is one.
    """

    title: str
    paths: tuple[str, ...]
    usd_per_year: float | None
    least: float | None = None
    most: float | None = None
    problem: str = ""


@dataclass(frozen=True)
class Effects:
    """Effects of the groups, one at a time.

    Parameters
    ----------
    groups
        Dearest first.
    together_usd_per_year
        Cheapest plan for b less that for a; the groups need not add up to it, since each is taken
        back alone; None without such plans.
    unasked
        Groups left out, because there were more than the number of solves allowed.
    problem
        Why there are none; empty if nothing stood in the way.
    """

    groups: tuple[Effect, ...] = ()
    together_usd_per_year: float | None = None
    unasked: tuple[str, ...] = ()
    problem: str = ""


def effects(
    comparison: Comparison,
    settings: SolverSettings,
    most: int = 20,
    progress: Callable[[str], None] = lambda _: None,
) -> Effects:
    """Solve b again with one group of differing values at a time taken back to those of a.

    A group is what differs in one entry (``zones.west-users``) or rule. The programme alone is
    asked of the plan of b.

    Parameters
    ----------
    most
        Most groups to ask about.
    progress
        Told before every solve.

    Raises
    ------
    SolverError
        If the solver fails.
    """
    a, b = comparison.a, comparison.b
    if a.loaded is None or b.loaded is None or comparison.values is None:
        return Effects(problem="the models of both sides have to be known")

    def solved(model: Model, side: ComparedPlan) -> Answer | None:
        known = side.loaded.model if side.loaded is not None else model
        new = new_scenarios(side.plan, known)
        scenarios = select(model, wanted_by(side.plan)).scenarios
        asked = [scenario for scenario in scenarios if scenario.name not in new]
        answer = ask(build(problem_data_of(side.plan, model, asked)), settings)
        return answer if answer.found else None

    if not comparison.values:
        return Effects(problem="the models have the same values")
    progress("solving b")
    whole = solved(b.loaded.model, b)
    if whole is None:
        return Effects(problem="no plan meets the requirements of B, so none can be priced")
    progress("solving a")
    baseline = solved(a.loaded.model, a)
    asked, unasked, found = list(_groups(comparison.values)), [], []
    asked, unasked = asked[:most], [".".join(parts) for parts, _ in asked[most:]]
    for number, (parts, changes) in enumerate(asked, 1):
        progress(f"group {number} of {len(asked)}: without what differs in {'.'.join(parts)}")
        undone = partial(_taken_back, b.loaded.model, a.loaded.model, parts)
        paths = tuple(change.path for change in changes)
        found.append(
            _effect(".".join(parts), paths, whole, partial(_solved_without, undone, solved, b))
        )
    found.sort(key=lambda effect: -abs(effect.usd_per_year or 0.0))
    return Effects(
        groups=tuple(found),
        together_usd_per_year=None if baseline is None else whole.cost - baseline.cost,
        unasked=tuple(unasked),
    )


def _groups(values: Iterable[ValueChange]) -> Iterable[tuple[tuple[str, ...], list[ValueChange]]]:
    """Differing values by the entry that they stand in."""
    # Shares of tiers add up to one: no tier is taken back alone.
    for parts, changes in groupby(
        values, key=lambda change: change.parts[:1] if change.section == "tiers" else change.parts
    ):
        yield parts, list(changes)


def _effect(
    title: str, paths: tuple[str, ...], whole: Answer, without: Callable[[], Answer | None]
) -> Effect:
    try:
        answer = without()
    except (LookupError, PlannerError, ValueError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        return Effect(title, paths, None, problem=f"cannot be taken back alone: {first}")
    if answer is None:
        return Effect(title, paths, None, problem="no plan with the values of A here")
    usd, least, most = (
        whole.cost - answer.cost,
        whole.bound - answer.cost,
        whole.cost - answer.bound,
    )
    return Effect(title, paths, usd, least, most)


def _solved_without(
    make: Callable[[], Model],
    solved: Callable[[Model, ComparedPlan], Answer | None],
    side: ComparedPlan,
) -> Answer | None:
    return solved(make(), side)


def _taken_back(now: Model, was: Model, parts: tuple[str, ...]) -> Model:
    """A model with one entry or field of a section as in another model."""
    section, *entries = parts
    old, new = getattr(was, section), getattr(now, section)
    if not entries:
        return now.replace(**{section: old})
    entry = entries[0]
    if isinstance(new, Mapping):
        kept = {key: value for key, value in new.items() if key != entry}
        if entry in old:
            kept[entry] = old[entry]
        return now.replace(**{section: kept})
    return now.replace(**{section: new.replace(**{entry: getattr(old, entry)})})
