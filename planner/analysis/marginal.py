"""Marginal values: cost of a plan without a scenario or requirement, or with one more or less."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import cached_property

from planner.analysis.what_if import (
    Answer,
    add_power,
    ask,
    expected_usd,
    free_family,
    settle,
    with_less_redundancy,
    with_room,
    without_scenarios,
)
from planner.errors import SolverError
from planner.infrastructure.fleet import Fleet
from planner.optimization.decomposition.loop import decomposes, solve_in_parts
from planner.optimization.decomposition.parts import Decomposition
from planner.optimization.formulation.build import build
from planner.optimization.formulation.families import Family
from planner.optimization.formulation.problem import ProblemData
from planner.optimization.formulation.programme import Programme, Row
from planner.optimization.infeasibility.shortfalls import ShortfallProgramme
from planner.optimization.solution.costs import recourse_usd
from planner.optimization.solution.deadline import Deadline
from planner.optimization.solution.decisions import Decision, bounded, prices, variables
from planner.optimization.solution.settings import SolverSettings
from planner.optimization.solution.solving import Solution
from planner.scenarios.hours import failure_and_hour

#: Families that define the problem; without them there is no sensible plan to compare with.
ESSENTIAL = frozenset(
    {
        Family.DESIGN_HEAT,
        Family.NORMAL_DEMAND,
        Family.POWER_LIMIT,
        Family.FEED_LIMIT,
        Family.SERVED_FLOOR,
    }
)


@dataclass(frozen=True)
class Difference:
    """A difference of two optimal costs, each known to within a gap, USD per year.

    Parameters
    ----------
    usd
        Difference of the plans found.
    least, most
        Proven bounds on it.
    """

    usd: float
    least: float
    most: float

    @property
    def certain(self) -> bool:
        """Whether it exceeds the optimality gaps."""
        return self.least > 0

    def less(self, usd: float) -> Difference:
        """The difference less a known amount."""
        return Difference(self.usd - usd, self.least - usd, self.most - usd)


@dataclass(frozen=True)
class Removal:
    """Saving without some scenarios, or without a requirement.

    Parameters
    ----------
    names
        Scenarios removed, or the requirement.
    saves
        Cost of the plan less that of the cheapest plan without them.
    recourse_usd
        Part of it that is expected emergency spend and value of lost requests in them.
    changes
        What the plan without them buys more (less, where negative).
    """

    names: tuple[str, ...]
    saves: Difference
    recourse_usd: float
    changes: Mapping[Decision, int]

    @property
    def forces(self) -> Difference:
        """Saving beyond the expected cost of recourse: what requirements of the scenarios cost."""
        return self.saves.less(self.recourse_usd)


@dataclass(frozen=True)
class Worth:
    """Marginal value of a purchase, USD per year: what one of it saves elsewhere.

    Parameters
    ----------
    value
        None where there is no plan to compare with.
    reason
        Why there is none: ``indispensable``, ``impossible``, ``settled`` by a policy, or
        ``all`` where there is but one.
    """

    value: Difference | None
    reason: str = ""


@dataclass
class Questions:
    """Budget of solves and time for an analysis.

    Attributes
    ----------
    most
        Solves in all.
    time_limit_seconds
        Time for all solves together; each gets what is left. None for no limit.
    progress
        Called before every solve.
    made, wanted
        Solves made, and asked for.
    """

    settings: SolverSettings
    most: int
    time_limit_seconds: float | None = None
    progress: Callable[[str], None] = lambda _: None
    made: int = 0
    wanted: int = 0

    def __post_init__(self) -> None:
        timed = replace(self.settings, time_limit_seconds=self.time_limit_seconds)
        self._deadline = Deadline(timed)

    @property
    def spent(self) -> bool:
        """Whether no solve is left, or no time."""
        return self.made >= self.most or self._deadline.over

    def ask(
        self,
        text: str,
        make: Callable[[], Programme | Decomposition],
        start: Fleet | None = None,
    ) -> Answer | None:
        """Solve a programme; None if no solve is left, or no time."""
        self.wanted += 1
        if self.spent:
            return None
        self.made += 1
        self.progress(f"solve {self.made} of at most {self.most}: {text}")
        try:
            return ask(make(), self._deadline.settings(late=True), start)
        except SolverError:
            if self._deadline.over:
                return None
            raise


@dataclass
class Study:
    """A plan with the programme that it came from, while it is analysed.

    Attributes
    ----------
    parts
        The programme in parts, with what questions have learned, where it is solved so.
    """

    data: ProblemData
    programme: Programme
    bought: dict[Decision, int]
    solution: Solution
    low: float
    questions: Questions
    prices: dict[Decision, float] = field(init=False)
    once_usd: dict[str, float] = field(init=False)
    parts: Decomposition | None = None

    def __post_init__(self) -> None:
        self.prices = prices(self.programme)
        settings = self.questions.settings
        if self.parts is None and decomposes(self.data, settings):
            self.parts = Decomposition(self.data, settings)
            solve_in_parts(self.parts, settings, self.solution.fleet)  # for its cuts
        self.once_usd = recourse_usd(self.programme, self.solution)

    @property
    def cost(self) -> float:
        """Cost of the plan, USD per year."""
        return self.solution.objective

    def ask(self, text: str, make: Callable[[], Programme | Decomposition]) -> Answer | None:
        """Solve a changed programme, from the plan where it is in parts."""
        return self.questions.ask(text, make, self.solution.fleet)

    @cached_property
    def elastic(self) -> ShortfallProgramme:
        """The programme in which all may be missed; in parts, that of normal operation."""
        whole = build(self.data) if self.parts is None else self.parts.base.copied()
        return ShortfallProgramme(whole, self.questions.settings)

    def question(self, data: ProblemData | None = None) -> Programme | Decomposition:
        """What to solve for other data, or for bounds on purchases of this programme."""
        if data is None:
            return self.programme if self.parts is None else self.parts.branch(self.data)
        if self.parts is None:
            return build(data)
        if data.model is self.data.model:
            return self.parts.branch(data)
        return Decomposition(data, self.questions.settings)

    def relaxed(
        self, relax: Callable[[Programme], None], data: ProblemData | None = None
    ) -> Programme | Decomposition:
        """What to solve with rows of normal operation relaxed."""
        data = self.data if data is None else data
        if self.parts is None:
            programme = build(data)
            relax(programme)
            return programme
        parts = self.parts.branch(data)
        if not parts.relax(relax):
            parts = Decomposition(data, self.questions.settings)
            relax(parts.base)
        return parts

    def bounded(self, key: Decision, low: float, high: float) -> AbstractContextManager[None]:
        """Bounds on a purchase for the questions asked meanwhile."""
        programme = self.programme if self.parts is None else self.parts.base
        return bounded(programme, {key: (low, high)})

    def settled(self, bought: Mapping[Decision, int]) -> tuple[Programme, Solution]:
        """The programme solved with given purchases."""
        return settle(self.parts or self.programme, bought, self.questions.settings)

    @property
    def closed(self) -> set[str]:
        """Candidate regions that the plan does not open."""
        return {key.asset for key, n in self.bought.items() if key.kind == "region" and not n}

    def expected(self, names: Collection[str]) -> float:
        """Expected cost of some scenarios in the objective, USD per year."""
        every = expected_usd(self.data, self.once_usd)
        return every - expected_usd(self.data, self.once_usd, names)

    def saving(self, other: Answer, least: float = -math.inf) -> Difference:
        """Cost of the plan less that of another, not below a known amount."""
        usd, low = self.cost - other.cost, self.low - other.cost
        return Difference(max(usd, least), max(low, least), max(self.cost - other.bound, least))

    def changes(self, other: Answer) -> dict[Decision, int]:
        """What another plan buys more than this one."""
        found = {key: other.bought[key] - count for key, count in self.bought.items()}
        return {key: more for key, more in found.items() if more}

    def removal(self, names: tuple[str, ...], other: Answer) -> Removal:
        """Saving without scenarios: at least their expected cost."""
        expected = self.expected(names)
        saves = self.saving(other, expected)
        changes = self.changes(other) if saves.less(expected).certain else {}
        return Removal(names, saves, expected, changes)


def one_by_one(
    study: Study, suspects: list[str]
) -> tuple[list[Removal], tuple[str, ...], tuple[str, ...]]:
    """Removals of suspect scenarios, scenarios that were not solved without, and those not binding.

    A failure is removed at all its hours. Suspects come first, in their order: if solves run out,
    the costliest have been examined.
    """
    by_failure: dict[str, list[str]] = {}
    for name in study.data.stages_by_scenario:
        by_failure.setdefault(failure_and_hour(name)[0], []).append(name)
    hours = {failure: tuple(names) for failure, names in by_failure.items()}
    asked = dict.fromkeys(failure_and_hour(name)[0] for name in suspects)
    removals: list[Removal] = []
    unasked: list[str] = []
    for failure in asked:
        answer = _without(study, hours[failure])
        if answer is None:
            unasked += hours[failure]
        else:
            removals.append(study.removal(hours[failure], answer))
    rest = [names for failure, names in hours.items() if failure not in asked]
    silent = _bisected(study, rest, removals, unasked)
    return removals, tuple(unasked), tuple(silent)


def _bisected(
    study: Study, failures: list[tuple[str, ...]], removals: list[Removal], unasked: list[str]
) -> list[str]:
    """Scenarios of failures that are not binding, found by removing many at once and halving."""
    if not failures:
        return []
    names = [name for hours in failures for name in hours]
    answer = _without(study, tuple(names))
    if answer is None:
        unasked += names
        return []
    removal = study.removal(tuple(names), answer)
    if not removal.forces.certain:
        removals += [
            _not_binding(study, hours, removal) for hours in failures if study.expected(hours)
        ]
        return names
    if len(failures) == 1:
        removals.append(removal)
        return []
    half = len(failures) // 2
    found = _bisected(study, failures[:half], removals, unasked)
    return found + _bisected(study, failures[half:], removals, unasked)


def _not_binding(study: Study, hours: tuple[str, ...], group: Removal) -> Removal:
    """Saving without one failure of a group that is not binding: its expected cost."""
    usd = study.expected(hours)
    return Removal(hours, Difference(usd, usd, usd + group.forces.most), usd, {})


def _without(study: Study, names: tuple[str, ...]) -> Answer | None:
    failures = {failure_and_hour(name)[0] for name in names}
    text = f"without {min(failures)}" if len(failures) == 1 else f"without {len(names)} scenarios"
    return study.ask(text, lambda: study.question(without_scenarios(study.data, names)))


def together(
    study: Study, removals: Iterable[Removal], silent: Collection[str]
) -> tuple[Removal | None, Removal | None]:
    """Saving without all scenarios, and without all individually redundant ones together.

    The latter is not zero if they substitute for each other.
    """

    def leave_out(names: tuple[str, ...]) -> Removal | None:
        answer = _without(study, names) if len(names) > 1 else None
        return None if answer is None else study.removal(names, answer)

    every = tuple(study.data.stages_by_scenario)
    spare = (removal.names for removal in removals if not removal.forces.certain)
    idle = {name for names in spare for name in names}
    if not idle - set(silent):
        return leave_out(every), None
    rest = tuple(name for name in every if name in idle | set(silent))
    first = leave_out(every)
    return first, first if rest == every else leave_out(rest)


def last_worth(study: Study, key: Decision) -> Worth | None:
    """Marginal value of the last one bought: its price plus what one less costs elsewhere."""
    chosen, count = variables(study.programme)[key], study.bought[key]
    low = chosen.low or 0.0
    if count - 1 < low:
        return Worth(None, "settled")
    with study.bounded(key, low, float(count - 1)):
        answer = study.ask(f"one {key.noun} less of {key}", study.question)
    if answer is None:
        return None
    if not answer.found:
        return Worth(None, "indispensable")
    price = study.prices[key]
    extra = answer.cost - study.cost
    least = max(answer.bound, study.low) - study.cost
    return Worth(Difference(price + extra, price + least, price + answer.cost - study.low))


def next_worth(study: Study, key: Decision) -> Worth | None:
    """Marginal value of one more: its price less what it costs to be forced to buy it.

    At the limit of what can be bought, the limit is raised by one.
    """
    chosen, more = variables(study.programme)[key], float(study.bought[key] + 1)
    text = f"one {key.noun} more of {key}"
    if chosen.high is None or more <= chosen.high:
        with study.bounded(key, more, chosen.high):
            answer = study.ask(text, study.question)
    elif chosen.high == chosen.low:
        return Worth(None, "settled")
    else:
        roomier = with_room(study.data, key)
        if roomier is None:
            return Worth(None, "all")
        question = study.question(roomier)
        programme = question if isinstance(question, Programme) else question.base
        with bounded(programme, {key: (more, variables(programme)[key].high)}):
            answer = study.ask(text, lambda: question)
    if answer is None:
        return None
    if not answer.found:
        return Worth(None, "impossible")
    price = study.prices[key]
    extra = answer.cost - study.cost
    least = price - (answer.cost - study.low)
    return Worth(Difference(price - extra, least, price - (answer.bound - study.cost)))


def power_gains(study: Study) -> dict[str, Difference | None]:
    """Saving with a megawatt more in each region; first in all together, which bounds each."""
    limits, rows = study.programme.limits, study.programme.rows
    limited = (limit.region for name, limit in limits.items() if not rows[name].scenario)
    regions = list(dict.fromkeys(limited))

    def gain(regions: Collection[str]) -> Difference | None:
        where = next(iter(regions)) if len(regions) == 1 else "every region"
        answer = study.ask(
            f"a megawatt more in {where}",
            lambda: study.relaxed(lambda programme: add_power(programme, regions)),
        )
        return None if answer is None else study.saving(answer, 0.0)

    if not regions:
        return {}
    together = gain(regions)
    if together is None or not together.certain or len(regions) == 1:
        return dict.fromkeys(regions, together)
    return {region: gain([region]) for region in regions}


def _without_family(study: Study, family: Family, rows: Iterable[Row]) -> Programme | Decomposition:
    """What to solve for the cost without a family of rows."""
    of_scenarios = {row.key for row in rows if row.family == family and row.scenario}
    if of_scenarios and family != Family.EMERGENCY_BUDGET:
        programme = build(study.data)
        free_family(programme, family)
        return programme
    waived = {**study.data.waived, **dict.fromkeys(of_scenarios, math.inf)}
    data = study.data.changed(study.data.scenarios, waived)
    return study.relaxed(lambda programme: free_family(programme, family), data)


def requirement_removals(study: Study, rows: Collection[Row]) -> tuple[Removal, ...]:
    """Savings without each policy and budget, and with one redundant unit less in every plant.

    Parameters
    ----------
    rows
        Requirements and limits of the programme.
    """
    families = {
        row.family: None
        for row in rows
        if row.family not in ESSENTIAL
        and (not row.scenario or row.family == Family.EMERGENCY_BUDGET)
    }
    found = []
    for family in families:
        answer = study.ask(
            f"without {family.replace('_', ' ')}",
            lambda family=family: _without_family(study, family, rows),  # type: ignore[misc]
        )
        if answer is not None:
            found.append(study.removal((family,), answer))
    plants = [name for name, plant in study.data.model.plants.items() if plant.redundancy]
    if plants:
        answer = study.ask(
            "one unit less of redundancy in every plant",
            lambda: study.question(with_less_redundancy(study.data, plants)),
        )
        if answer is not None:
            found.append(study.removal(("redundancy",), answer))
    return tuple(found)
