"""Why there is no plan, and what would make one: in the words and the values of the model.

The conflict names requirements and limits that cannot all hold. Each set of relaxations names
values of the model that would have to change, by how much and at what price: limits only,
requirements only, the cheapest mixture, and single values that change the course of a scenario. A
set is reported once the programme of the changed model has a plan.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace

from planner.errors import SolverError
from planner.optimization.formulation.families import STRICTER
from planner.optimization.formulation.problem import ProblemData
from planner.optimization.formulation.programme import Programme
from planner.optimization.formulation.stages import NO_MARGIN, Margin
from planner.optimization.infeasibility.conflict import Conflict, find_conflict
from planner.optimization.infeasibility.elastic import (
    ELASTIC_GAP,
    ConstraintGroup,
    ElasticProgramme,
    Kind,
)
from planner.optimization.infeasibility.relaxable_values import elastic_programme
from planner.optimization.infeasibility.relaxation import (
    Relaxation,
    RelaxationSet,
    Trials,
    Verify,
    find_set,
)
from planner.optimization.infeasibility.single_changes import (
    find_alternatives,
    find_judged,
    find_single,
)
from planner.optimization.infeasibility.wording import amount_text, change, noun, price, sentence
from planner.optimization.solution.deadline import Deadline, OutOfTime
from planner.optimization.solution.solving import SolverSettings

#: Most names in a sentence.
MOST_NAMES = 5
#: Sets by name: what may change in them.
SETS: dict[str, tuple[Kind, ...]] = {
    "mixture": ("limit", "requirement"),
    "limits": ("limit",),
    "requirements": ("requirement",),
}


@dataclass(frozen=True)
class MissedRequirement:
    """A requirement that is missed.

    Parameters
    ----------
    family, subject, scenario
        What it is about; no scenario for normal operation and purchases.
    amount, unit
        By how much it is missed.
    limit
        Size of the requirement.
    from_minute
        Start of the stage in which it is missed most.
    text
        The same in words.
    """

    family: str
    subject: str
    scenario: str
    amount: float
    unit: str
    limit: float
    from_minute: float
    text: str


@dataclass(frozen=True)
class Demand:
    """A requirement or limit of the conflict, in words.

    Parameters
    ----------
    kind
        ``requirement`` or ``limit``.
    family, subject, scenario
        What it is about.
    text
        What it demands.
    """

    kind: Kind
    family: str
    subject: str
    scenario: str
    text: str


@dataclass(frozen=True)
class TightenedScenario:
    """A scenario of the conflict that carries margins of the loop.

    Parameters
    ----------
    scenario
        Its name.
    demand, heat, late_minutes, services, spend
        What the simulation asked for beyond the scenario itself.
    """

    scenario: str
    demand: float
    heat: float
    late_minutes: float
    services: float = 0.0
    spend: float = 0.0

    def __str__(self) -> str:
        parts = []
        if self.demand:
            parts.append(f"{self.demand:.1%} more demand")
        if self.heat:
            parts.append(f"{self.heat:.1%} more heat")
        if self.late_minutes:
            parts.append(f"supply {self.late_minutes:g} min later")
        if self.services:
            parts.append(f"{self.services:.1%} more through services")
        if self.spend:
            parts.append(f"{self.spend:.1%} more emergency spend")
        return f"{self.scenario}: {', '.join(parts)}"


@dataclass(frozen=True)
class Diagnosis:
    """Why there is no plan.

    Parameters
    ----------
    conflict
        Requirements and limits that cannot all hold.
    irreducible
        Whether any of them could be left out (then the others can hold together).
    sets
        Complete sets of relaxations, the cheapest first.
    shortfalls
        Requirements that are missed if no limit is raised and as little as possible is missed.
    hopeless
        Requirements that no raise of any limit meets, with what is missing even then.
    margins
        Margins of the loop that the conflict needs.
    round
        Round of the loop that has no plan.
    complete
        Whether everything was worked out before time ran out.
    tried
        Scenarios that no plan was found to survive without rows stricter than the standard either;
        empty if there is no plan without them.
    """

    conflict: tuple[Demand, ...] = ()
    irreducible: bool = False
    sets: tuple[RelaxationSet, ...] = ()
    shortfalls: tuple[MissedRequirement, ...] = ()
    hopeless: tuple[MissedRequirement, ...] = ()
    margins: tuple[TightenedScenario, ...] = ()
    round: int = 1
    complete: bool = True
    tried: tuple[str, ...] = ()

    @property
    def limits(self) -> tuple[Relaxation, ...]:
        """Limits to raise where that alone helps."""
        return next((one.relaxations for one in self.sets if _limits_only(one)), ())

    def lines(self) -> list[str]:
        """The diagnosis in sentences."""
        text = [f"{one.text}" for one in self.conflict]
        if self.conflict:
            text.insert(0, conflict_title(self))
        if self.tried:
            text.append(tried_line(self))
        text += margin_lines(self)
        for number, one in enumerate(self.sets):
            text.append("this would make it feasible:" if not number else "or this:")
            for relaxation in one.relaxations:
                text.append(relaxation_line(relaxation))
            if one.failed:
                text.append(f"(its plan still fails {named(one.failed)} in simulation)")
        return text


def _limits_only(one: RelaxationSet) -> bool:
    return one.name in SETS and all(relaxation.kind == "limit" for relaxation in one.relaxations)


def conflict_title(diagnosis: Diagnosis) -> str:
    """What introduces the conflict."""
    count = len(diagnosis.conflict)
    if count == 1:
        return "This cannot hold, whatever is bought:"
    if not diagnosis.irreducible:
        return f"These {count} cannot all hold (some of them may be spare):"
    without = "either of them" if count == 2 else "any one of them"
    return f"These {count} cannot all hold; without {without} the others can:"


def margin_lines(diagnosis: Diagnosis) -> list[str]:
    """Which margins of the loop are in the way."""
    if not diagnosis.margins:
        return []
    before = diagnosis.round - 1
    rounds = "the first round" if before == 1 else f"the first {before} rounds"
    title = f"margins after {rounds}, from the simulation, are part of it:"
    return [title, *(f"{one}" for one in diagnosis.margins)]


def tried_line(diagnosis: Diagnosis) -> str:
    """What came of leaving out what is stricter than the standard."""
    families = dict.fromkeys(one.family for one in diagnosis.conflict if one.family in STRICTER)
    rules = " and ".join(f"that {STRICTER[one]}" for one in families) or "what is stricter"
    fail = "fails" if len(diagnosis.tried) == 1 else "fail"
    return (
        f"The standard does not ask {rules}; without it too "
        f"{named(diagnosis.tried)} {fail} in simulation."
    )


def named(names: Sequence[str]) -> str:
    """Names in a sentence; of many the first, and how many more."""
    if len(names) > MOST_NAMES:
        return f"{', '.join(names[:MOST_NAMES])} and {len(names) - MOST_NAMES} more"
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def relaxation_line(one: Relaxation) -> str:
    """A relaxation in one line."""
    cost = price(one)
    return change(one) + (f" ({cost})" if cost else "")


def diagnose(
    programme: Programme,
    settings: SolverSettings,
    round_number: int = 1,
    verify: Verify | None = None,
) -> Diagnosis:
    """Explain an infeasible programme; what is known when the time limit comes has to do.

    Parameters
    ----------
    settings
        How to solve; the time limit holds for everything together.
    round_number
        Round of the loop.
    verify
        How to simulate what sets of changes lead to; None for not at all.
    """
    clock = Deadline(settings)
    return _Diagnosing(Trials(programme.data, clock, verify), round_number).run()


@dataclass
class _Diagnosing:
    """The diagnosis as far as it has come."""

    trials: Trials
    round_number: int
    found: Diagnosis = field(default_factory=Diagnosis)

    @property
    def data(self) -> ProblemData:
        """What has no plan."""
        return self.trials.data

    @property
    def clock(self) -> Deadline:
        """Time left."""
        return self.trials.clock

    def run(self) -> Diagnosis:
        """Work everything out, what says most first."""
        self.found = replace(self.found, round=self.round_number)
        try:
            self._explain()
        except OutOfTime:
            self.found = replace(self.found, complete=False)
        except SolverError:
            if not self.clock.over:
                raise
            self.found = replace(self.found, complete=False)
        return self.found

    def _explain(self) -> None:
        elastic, trials = elastic_programme(self.data), self.trials
        conflict = find_conflict(elastic, self.clock)
        self._take_conflict(conflict)
        sets: list[RelaxationSet] = []
        for name, kinds in SETS.items():
            one = find_set(name, kinds, elastic, trials)
            if one is not None:
                sets.append(replace(one, cheapest=name == "mixture"))
                self.found = replace(self.found, sets=_distinct(sets))
            elif name == "limits":
                hopeless = self._missed(elastic, ("limit",))
                self.found = replace(self.found, hopeless=hopeless)
        known = {relaxation.path for one in sets for relaxation in one.relaxations}
        for one in find_single(conflict.items, elastic, trials, frozenset(known)):
            sets.append(one)
            self.found = replace(self.found, sets=_distinct(sets))
        for one in find_alternatives(conflict.items, trials, stuck=not self.found.limits):
            sets.append(one)
            self.found = replace(self.found, sets=_distinct(sets))
        judged = find_judged(conflict.items, trials)
        if judged is not None:
            self.found = replace(self.found, sets=_distinct([*sets, judged]))
        self.found = replace(self.found, shortfalls=self._missed(elastic, ()))

    def _take_conflict(self, conflict: Conflict) -> None:
        data = self.data
        demands = tuple(
            Demand(item.kind, *item.key, sentence(data, item))
            for item in sorted(conflict.items, key=lambda item: item.kind != "requirement")
        )
        named = {item.key[2] for item in conflict.items} or set(data.margins)
        margins = tuple(
            TightenedScenario(name, **asdict(margin))
            for name, margin in _margins(data)
            if name in named
        )
        self.found = replace(
            self.found, conflict=demands, irreducible=conflict.irreducible, margins=margins
        )

    def _missed(
        self, elastic: ElasticProgramme, kinds: tuple[Kind, ...]
    ) -> tuple[MissedRequirement, ...]:
        """Requirements missed with limits of some kinds free, as little as possible."""
        items = [item for item in elastic.items.values() if item.kind == "requirement"]
        settings = self.clock.settings(ELASTIC_GAP)
        if elastic.minimise((), items, settings, unpriced=elastic.of_kind(*kinds)) is None:
            return ()
        return tuple(_shortfall(item) for item in items if item.used)


def _margins(data: ProblemData) -> Iterator[tuple[str, Margin]]:
    return ((name, one) for name, one in data.margins.items() if one != NO_MARGIN)


def _shortfall(item: ConstraintGroup) -> MissedRequirement:
    row, amount = item.worst()
    return MissedRequirement(
        family=row.family,
        subject=row.subject,
        scenario=row.scenario,
        amount=amount,
        unit=row.unit,
        limit=row.amount,
        from_minute=row.from_minute,
        text=f"{amount_text(amount, row.unit)}: {noun(row)}",
    )


def _distinct(sets: Iterable[RelaxationSet]) -> tuple[RelaxationSet, ...]:
    """The sets, each change of values once; those that survive their simulation come first."""
    found: dict[frozenset[tuple[str, str, str, str]], RelaxationSet] = {}
    for one in sets:
        key = frozenset(
            (relaxation.path, relaxation.family, relaxation.subject, str(relaxation.value))
            for relaxation in one.relaxations
        )
        found.setdefault(key, one)
    return tuple(sorted(found.values(), key=lambda one: one.survives is False))
