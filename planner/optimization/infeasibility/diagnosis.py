"""Why there is no plan and what would make one feasible, in terms of the values of the model.

The conflict names requirements and limits that cannot all hold. Each set of relaxations names
values of the model that would have to change, by how much and at what price: limits only,
requirements only, the cheapest mixture, and single values that change the course of a scenario. A
set is reported once the programme of the changed model has a plan.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property

from planner.amounts import listed
from planner.errors import SolverError
from planner.optimization.decomposition.loop import decomposes
from planner.optimization.decomposition.parts import Decomposition
from planner.optimization.formulation.families import STRICTER
from planner.optimization.formulation.problem import ProblemData
from planner.optimization.infeasibility.conflict import Conflict, can_hold, find_conflict
from planner.optimization.infeasibility.elastic import (
    ELASTIC_GAP,
    ConstraintGroup,
    ElasticProgramme,
    Kind,
)
from planner.optimization.infeasibility.relaxable_values import elastic_programme
from planner.optimization.infeasibility.relaxation import Relaxation, RelaxationSet
from planner.optimization.infeasibility.shortfalls import Shortfall
from planner.optimization.infeasibility.single_changes import find_alternatives, find_single
from planner.optimization.infeasibility.trials import Trials, Verify, find_set
from planner.optimization.infeasibility.wording import amount_text, change, noun, price, sentence
from planner.optimization.solution.deadline import Deadline, OutOfTime
from planner.optimization.solution.settings import SolverSettings

#: Most names in a sentence.
MOST_NAMES = 5
#: Most scenarios of which is worked out what each of them alone leaves undone.
MOST_ALONE = 20
#: Sets by name: what may change in them.
SETS: dict[str, tuple[Kind, ...]] = {
    "mixture": ("limit", "requirement"),
    "limits": ("limit",),
    "requirements": ("requirement",),
}


@dataclass(frozen=True)
class MissedRequirement(Shortfall):
    """A requirement that is missed, with its size and the same as a sentence."""

    limit: float
    text: str


@dataclass(frozen=True)
class Demand:
    """A requirement or limit of the conflict.

    Parameters
    ----------
    kind
        ``requirement`` or ``limit``.
    """

    kind: Kind
    family: str
    subject: str
    scenario: str
    text: str


@dataclass(frozen=True)
class Diagnosis:
    """Why there is no plan.

    Parameters
    ----------
    conflict
        Requirements and limits that cannot all hold.
    irreducible
        Whether the others can hold without any one of them.
    sets
        Complete sets of relaxations, the cheapest first.
    alone
        Requirements that are missed, by as little as possible, in scenarios that leave no plan even
        without all others; empty where there are not several.
    shortfalls
        Requirements that are missed if nothing changes, by as little as possible.
    hopeless
        Requirements that are missed even with all limits raised.
    round
        Round of the loop that has no plan.
    complete
        Whether the diagnosis ended before the time limit.
    tried
        Scenarios that plans did not survive without the rows stricter than the standard; empty if
        there is no plan without these rows.
    excluded
        Whether no plan survives, which the programme proves where it is loosened to what standard
        and simulation ask; None where it was not solved.
    """

    conflict: tuple[Demand, ...] = ()
    irreducible: bool = False
    sets: tuple[RelaxationSet, ...] = ()
    alone: tuple[MissedRequirement, ...] = ()
    shortfalls: tuple[MissedRequirement, ...] = ()
    hopeless: tuple[MissedRequirement, ...] = ()
    round: int = 1
    complete: bool = True
    tried: tuple[str, ...] = ()
    excluded: bool | None = None

    @property
    def limits(self) -> tuple[Relaxation, ...]:
        """Limits to raise, where that suffices."""
        return next((found.relaxations for found in self.sets if _limits_only(found)), ())

    def lines(self) -> list[str]:
        """The diagnosis in sentences."""
        text = [demand.text for demand in self.conflict]
        if self.conflict:
            text.insert(0, conflict_title(self))
        if self.tried:
            text.append(tried_line(self))
        text += excluded_lines(self)
        if self.alone:
            text += [alone_title(self), *(missed.text for missed in self.alone)]
        for number, found in enumerate(self.sets):
            text.append("this would make it feasible:" if not number else "or this:")
            text += [relaxation_line(relaxation) for relaxation in found.relaxations]
            if found.failed:
                text.append(
                    f"(its plan still fails {listed(found.failed, MOST_NAMES)} in simulation)"
                )
        return text


def _limits_only(found: RelaxationSet) -> bool:
    return found.name in SETS and all(change.kind == "limit" for change in found.relaxations)


def conflict_title(diagnosis: Diagnosis) -> str:
    """Title of the conflict."""
    count = len(diagnosis.conflict)
    if count == 1:
        return "This cannot hold, whatever is bought:"
    if not diagnosis.irreducible:
        return f"These {count} cannot all hold (some may not be part of the conflict):"
    without = "either of them" if count == 2 else "any one of them"
    return f"These {count} cannot all hold; without {without} the others can:"


def alone_title(diagnosis: Diagnosis) -> str:
    """Title of what scenarios that leave no plan even alone miss."""
    count = len({missed.scenario for missed in diagnosis.alone})
    more = " or more" if count == MOST_ALONE else ""
    return f"{count}{more} scenarios leave no plan even alone, whatever is bought; each misses:"


def excluded_lines(diagnosis: Diagnosis) -> list[str]:
    """What is known of plans that break the programme and survive all the same; none if nothing."""
    if diagnosis.excluded is None:
        return []
    loosened = "Loosened to what standard and simulation ask, the programme has "
    if diagnosis.excluded:
        return [f"{loosened}no plan either: none survives."]
    return [
        f"{loosened}plans; none was found that survives and keeps all that is not left to the "
        "simulation, nor is that proven impossible."
    ]


def tried_line(diagnosis: Diagnosis) -> str:
    """Result of waiving the rows that are stricter than the standard."""
    families = {demand.family: None for demand in diagnosis.conflict if demand.family in STRICTER}
    rules = " and ".join(f"that {STRICTER[family]}" for family in families)
    rules = rules or "all that the optimisation requires"
    fail = "fails" if len(diagnosis.tried) == 1 else "fail"
    return (
        f"The standard does not require {rules}; without it "
        f"{listed(diagnosis.tried, MOST_NAMES)} still {fail} in simulation."
    )


def relaxation_line(relaxation: Relaxation) -> str:
    """A relaxation and its price in one line."""
    cost = price(relaxation)
    return change(relaxation) + (f" ({cost})" if cost else "")


def diagnose(
    data: ProblemData,
    settings: SolverSettings,
    round_number: int = 1,
    verify: Verify | None = None,
    conflict_only: bool = False,
    suspects: Collection[str] = (),
) -> Diagnosis:
    """Explain an infeasible programme, as far as the time limit allows.

    Parameters
    ----------
    data
        The problem without a plan.
    settings
        How to solve; the time limit holds for everything together.
    round_number
        Round of the loop.
    verify
        How to simulate the plans of changed models; None for not at all.
    conflict_only
        Whether what cannot all hold is enough, without what would help.
    suspects
        Scenarios that leave no plan, as far as that is known (`solving.Solution.conflict`).
    """
    every = {scenario.name for scenario in data.scenarios}
    first = every & set(suspects) if decomposes(data, settings) else every
    trials = Trials(data, Deadline(settings), verify, first)
    return _Diagnosing(trials, round_number, conflict_only, tuple(suspects)).run()


@dataclass
class _Diagnosing:
    """A diagnosis in progress."""

    trials: Trials
    round_number: int
    conflict_only: bool = False
    suspects: tuple[str, ...] = ()
    found: Diagnosis = field(default_factory=Diagnosis)

    @property
    def data(self) -> ProblemData:
        """The problem without a plan."""
        return self.trials.data

    @property
    def deadline(self) -> Deadline:
        """Time left."""
        return self.trials.deadline

    def run(self) -> Diagnosis:
        """Conflict, sets of relaxations and shortfalls, in this order, until time runs out."""
        self.found = replace(self.found, round=self.round_number)
        try:
            self._explain()
        except OutOfTime:
            self.found = replace(self.found, complete=False)
        except SolverError:
            if not self.deadline.over:
                raise
            self.found = replace(self.found, complete=False)
        return self.found

    def _explain(self) -> None:
        trials, elastic = self.trials, self._contradictory()
        conflict = find_conflict(elastic, self.deadline)
        self._take_conflict(conflict)
        self._take_alone()
        if self.conflict_only:
            return
        sets: list[RelaxationSet] = []
        for name, kinds in SETS.items():
            found = find_set(name, kinds, elastic, trials)
            if found is not None:
                sets.append(replace(found, cheapest=name == "mixture"))
                self.found = replace(self.found, sets=_distinct(sets))
            elif name == "limits":
                hopeless = self._missed(("limit",))
                self.found = replace(self.found, hopeless=hopeless)
        for found in self._alternatives(conflict, elastic, sets):
            sets.append(found)
            self.found = replace(self.found, sets=_distinct(sets))
        self.found = replace(self.found, shortfalls=self._least_missed())

    def _take_alone(self) -> None:
        """What is missed in each of several scenarios that leave no plan even alone."""
        if len(self.suspects) < 2:
            return
        found: list[MissedRequirement] = []
        for name in self.suspects[:MOST_ALONE]:
            elastic = elastic_programme(self.data.part((name,)))
            found += (missed for missed in self._missed((), elastic) if missed.scenario == name)
        if len({missed.scenario for missed in found}) > 1:
            self.found = replace(self.found, alone=tuple(found))

    def _contradictory(self) -> ElasticProgramme:
        """The elastic programme of the suspects; of all scenarios, if these alone have a plan."""
        elastic = self.trials.elastic()
        every = {scenario.name for scenario in self.data.scenarios}
        if self.trials.asked != every and can_hold(elastic, self.deadline):
            self.trials.asked.update(every)
            return self.trials.elastic()
        return elastic

    def _alternatives(
        self, conflict: Conflict, elastic: ElasticProgramme, sets: Iterable[RelaxationSet]
    ) -> Iterator[RelaxationSet]:
        """Sets with single changes, besides those found already."""
        known = frozenset(change.path for found in sets for change in found.relaxations)
        yield from find_single(conflict.groups, elastic, self.trials, known)
        stuck = not self.found.limits
        yield from find_alternatives(conflict.groups, self.trials, with_limits=stuck)

    def _take_conflict(self, conflict: Conflict) -> None:
        data = self.data
        demands = tuple(
            Demand(group.kind, *group.key, sentence(data, group))
            for group in sorted(conflict.groups, key=lambda group: group.kind != "requirement")
        )
        self.found = replace(self.found, conflict=demands, irreducible=conflict.irreducible)

    @cached_property
    def _elastic(self) -> ElasticProgramme:
        """The elastic programme of all scenarios."""
        return elastic_programme(self.data)

    def _least_missed(self) -> tuple[MissedRequirement, ...]:
        """Requirements missed if nothing changes, by as little as possible.

        In parts, scenarios are asked until purchases that miss least in them meet all others.
        """
        if not decomposes(self.data, self.deadline.endless):
            return self._missed(())
        parts, asked = Decomposition(self.data, self.deadline.endless), set(self.trials.asked)
        parts.lay_out(self.deadline)
        while True:
            names = tuple(name for name in self.data.stages_by_scenario if name in asked)
            elastic = elastic_programme(self.data.part(names))
            missed = self._missed((), elastic)
            values = {x.name: x.value or 0.0 for x in elastic.programme.problem.variables}
            joining = set(parts.may_miss(values)) - asked
            if not joining:
                return missed
            asked |= joining

    def _missed(
        self, kinds: tuple[Kind, ...], elastic: ElasticProgramme | None = None
    ) -> tuple[MissedRequirement, ...]:
        """Requirements missed, by as little as possible, with values of some kinds relaxed."""
        elastic = elastic or self._elastic
        groups = [group for group in elastic.groups.values() if group.kind == "requirement"]
        settings = self.deadline.settings(ELASTIC_GAP)
        if elastic.minimize((), groups, settings, unpriced=elastic.of_kind(*kinds)) is None:
            return ()
        return tuple(_shortfall(group) for group in groups if group.used)


def _shortfall(group: ConstraintGroup) -> MissedRequirement:
    row, amount = group.worst()
    text = f"{amount_text(amount, row.unit)}: {noun(row)}"
    return MissedRequirement(**vars(Shortfall.of(row, amount)), limit=row.amount, text=text)


def _distinct(sets: Iterable[RelaxationSet]) -> tuple[RelaxationSet, ...]:
    """The sets without repetitions; those whose plan fails its simulation come last."""
    distinct: dict[frozenset[tuple[str, str, str, str]], RelaxationSet] = {}
    for found in sets:
        key = frozenset(
            (change.path, change.family, change.subject, str(change.value))
            for change in found.relaxations
        )
        distinct.setdefault(key, found)
    return tuple(sorted(distinct.values(), key=lambda found: found.survives is False))
