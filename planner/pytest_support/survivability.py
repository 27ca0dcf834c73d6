"""What a run of pytest puts to the test, and what tests may ask of it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from planner.errors import InputError, Problem, refuse
from planner.infrastructure.failures import Scenario
from planner.infrastructure.fleet import Fleet
from planner.infrastructure.loading import LoadedModel, load_model
from planner.infrastructure.source import nearest, printable
from planner.pytest_support.failure_text import fractions, happening, headline, tell
from planner.pytest_support.options import MODEL_OPTION, PLAN_OPTION, ROOT, SETS_OPTION, TestOptions
from planner.pytest_support.verdicts import Floats, Judge
from planner.scenarios.hours import failure_and_hour, matches
from planner.scenarios.standard import ALL, TOLERANCE, in_words
from planner.selection import OPTION, Selection, Wanted, _check_sets, parse_sets, select
from planner.simulation.verdict import Verdict, worst_of

if TYPE_CHECKING:
    from planner.plan.records import Plan
    from planner.plan.reopening import Reopened

#: Failures that an assertion spells out.
MOST_TOLD = 10


@dataclass(frozen=True)
class _Subject:
    """A model, with a plan if one is asked for, and the node of a roadmap that it is of."""

    loaded: LoadedModel
    opened: Reopened | None = None
    node: str = ""
    bridged: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        return f"{self.loaded.model.name}@{self.node}" if self.node else self.loaded.model.name


class Survivability:
    """Verdicts on the scenarios of a model or plan, simulated when they are asked for.

    Attributes
    ----------
    name
        Name of the model, with the node where a roadmap is tested: ``tiny-roadmap@p3-high``.
    bridged
        Scenarios of which a roadmap asks nothing in its node, since no order arrives in time.
    model
        The infrastructure, with the changes that the plan was made with.
    plan
        The plan; None where what exists is tested.
    file
        The model file.
    scenarios
        Names of all scenarios.
    collected
        Scenarios that are tests of this run.
    """

    def __init__(
        self,
        subject: _Subject,
        selection: Selection,
        asked: TestOptions,
        beside: Collection[str] = (),
    ) -> None:
        opened, self.model, self.name = subject.opened, subject.loaded.model, subject.name
        self.bridged = subject.bridged
        self.plan: Plan | None = None if opened is None else opened.plan
        self.file = subject.loaded.file or Path(subject.loaded.name)
        self._subject, self._selection, self._asked = subject, selection, asked
        fleet = Fleet.existing(self.model) if opened is None else opened.fleet
        found = selection.scenarios
        self._scenarios = {scenario.name: scenario for scenario in found}
        self.scenarios = tuple(self._scenarios)
        self.collected = _named(self.name, found, asked.named, beside)
        self._judge = Judge(self.model, fleet, found, asked.workers)

    def __repr__(self) -> str:
        count = len(self.scenarios)
        return f"<Survivability of {self._what()}: {count} scenario{'' if count == 1 else 's'}>"

    @property
    def survives(self) -> bool:
        """Whether no scenario that is judged falls short."""
        return not any(verdict.fails for verdict in self.verdicts.values())

    @property
    def verdicts(self) -> Mapping[str, Verdict]:
        """Verdicts of all scenarios by name."""
        outcomes = self._judge.outcomes()
        return MappingProxyType(
            _Verdicts({name: result.verdict for name, result in outcomes.items()})
        )

    @property
    def failing(self) -> tuple[str, ...]:
        """Names of the scenarios that fall short."""
        return tuple(name for name, verdict in self.verdicts.items() if verdict.fails)

    def verdict(self, scenario: str) -> Verdict:
        """Verdict of one scenario; of a failure at several hours that at the worst.

        Raises
        ------
        InputError
            If there is no such scenario.
        """
        __tracebackhide__ = True
        return self._judge.outcome(self._known(scenario)).verdict

    def served(self, tier: str, scenario: str, at_minute: int | None = None) -> float:
        """Fraction of the demand of a tier that is served.

        Parameters
        ----------
        tier
            A tier, or ``all`` for all together.
        at_minute
            Minute after the failure; None means the least from the first minute on that the
            standard speaks of the tier (for ``all``: of the whole simulation).

        Raises
        ------
        InputError
            If there is no such tier, scenario or minute.
        """
        __tracebackhide__ = True
        timeline = self.timeline(tier, scenario)
        if at_minute is None:
            least = self.verdict(scenario).served
            return float(least[tier]) if tier in least else float(timeline.min())
        if not 0 <= at_minute < len(timeline):
            message = f"minute {at_minute} is not simulated, 0 to {len(timeline) - 1} are"
            raise InputError.single("survivability", message)
        return float(timeline[at_minute])

    def timeline(self, tier: str, scenario: str) -> Floats:
        """Fraction served in every minute after the failure, shape (T,)."""
        __tracebackhide__ = True
        served = self._judge.outcome(self._known(scenario)).served
        if tier not in served:
            tiers = [*self.model.tiers, ALL]
            message = f"no tier is `{printable(tier)}`{nearest(tier, tiers)}; there are "
            raise InputError.single(self.model.name, message + ", ".join(tiers))
        timeline: Floats = served[tier].copy()
        return timeline

    def explain(self, scenario: str) -> str:
        """What happens in a scenario: curves, what falls short, and the story."""
        __tracebackhide__ = True
        name = self._known(scenario)
        return tell(self._scenarios[name], self._judge.outcome(name), self._what())

    def headline(self, scenario: str) -> str:
        """What falls short first in a scenario, as one line."""
        name = self._known(scenario)
        return headline(self._scenarios[name], self.verdict(name))

    def assert_survives(self, *patterns: str) -> None:
        """Fail unless the scenarios that match a pattern are survived; none given means all.

        Raises
        ------
        AssertionError
            With the first breach of every scenario that is not survived.
        """
        __tracebackhide__ = True
        names = self._matching(patterns)
        outcomes = self._judge.outcomes(names)
        failing = [name for name in names if outcomes[name].verdict.fails]
        if not failing:
            return
        if len(names) == 1:
            raise AssertionError(self.explain(names[0]))
        told = [self._named_headline(name) for name in failing[:MOST_TOLD]]
        more = len(failing) - len(told)
        told += [f"and {more} more"] if more else []
        count = f"{len(failing)} of {len(names)} scenarios are not survived:"
        raise AssertionError("\n  ".join([count, *told]))

    def assert_served(
        self,
        tier: str,
        scenario: str,
        at_least: float,
        from_minute: int = 0,
        until_minute: int | None = None,
    ) -> None:
        """Fail unless a tier is served enough in every minute from one to another.

        A failure means all its hours, here and in `assert_recovers`.

        Raises
        ------
        AssertionError
            With the first minute in which less is served.
        """
        __tracebackhide__ = True
        for name in self._matching((scenario,)):
            self._assert_served(tier, name, at_least, from_minute, until_minute)

    def _assert_served(
        self, tier: str, scenario: str, at_least: float, from_minute: int, until_minute: int | None
    ) -> None:
        __tracebackhide__ = True
        timeline = self.timeline(tier, scenario)
        last = len(timeline) - 1 if until_minute is None else until_minute
        if not 0 <= from_minute <= last < len(timeline):
            message = f"minutes {from_minute} to {last} are not all among those simulated"
            raise InputError.single("survivability", f"{message}, 0 to {len(timeline) - 1}")
        for minute in range(from_minute, last + 1):
            value = float(timeline[minute])
            if value < at_least - TOLERANCE:
                shown, needed = fractions(value, at_least)
                text = f"{in_words(tier)} served {shown} at minute {minute}, needs {needed}"
                raise AssertionError(f"{happening(self._scenarios[scenario])}: {text}")

    def assert_recovers(self, scenario: str, within_minutes: float) -> None:
        """Fail unless all demand is served again, for good, within some minutes.

        Raises
        ------
        AssertionError
            With the minute in which that is.
        """
        __tracebackhide__ = True
        for name in self._matching((scenario,)):
            recovery = self.verdict(name).recovery_minutes
            if recovery is not None and recovery <= within_minutes:
                continue
            when = "is never" if recovery is None else f"is only from minute {recovery:.0f} on"
            served = f"all demand {when} served again, needed by minute {within_minutes:g}"
            raise AssertionError(f"{happening(self._scenarios[name])}: {served}")

    def expect(self, names: Iterable[str]) -> None:
        """Say which verdicts will be wanted, in which order."""
        self._judge.expect(names)

    def header(self) -> list[str]:
        """What is tested, for the head of the report."""
        first, *more = self._selection.lines()
        lines = [f"plan: {self._what()}: {first}", *(f"  {line}" for line in more)]
        lines += [f"  warning: {line}" for line in self._selection.warnings()]
        opened = self._subject.opened
        return lines + ([] if opened is None else [f"  note: {note}" for note in opened.notes])

    def properties(self, scenario: str) -> list[tuple[str, object]]:
        """Figures of a verdict, for JUnit XML."""
        verdict = self.verdict(scenario)
        recovery = verdict.recovery_minutes
        return [
            ("survives", str(verdict.survives).lower()),
            ("status", verdict.status),
            ("recovery_minutes", "never" if recovery is None else round(recovery, 3)),
            ("lost_requests", round(verdict.lost_requests, 1)),
            ("peak_temperature_c", round(verdict.peak_temperature_c, 2)),
            ("emergency_usd", round(verdict.emergency_usd, 2)),
            *((f"served_{tier}", round(share, 6)) for tier, share in verdict.served.items()),
        ]

    def _what(self) -> str:
        name = self.name
        return f"{name} as it is" if self.plan is None else f"{name} with {self._plan_file()}"

    def _plan_file(self) -> str:
        path, here = Path(self._asked.plan or ""), Path.cwd()
        return str(path.relative_to(here) if path.is_relative_to(here) else path)

    def _named_headline(self, scenario: str) -> str:
        line = self.headline(scenario)
        return line if line.startswith(f"{scenario}:") else f"{scenario}: {line}"

    def _known(self, scenario: str) -> str:
        """The scenario of a name; of a failure that at its worst hour."""
        __tracebackhide__ = True
        if scenario in self._scenarios:
            return scenario
        names = self._matching((scenario,))
        return worst_of(outcome.verdict for outcome in self._judge.outcomes(names).values()).name

    def _matching(self, patterns: tuple[str, ...]) -> tuple[str, ...]:
        __tracebackhide__ = True
        if not patterns:
            return self.scenarios
        for pattern in patterns:
            if not any(matches(pattern, name) for name in self.scenarios):
                raise InputError.single(self.model.name, _unknown(pattern, self.scenarios))
        return tuple(
            name for name in self.scenarios if any(matches(pattern, name) for pattern in patterns)
        )


class _Verdicts(dict[str, Verdict]):
    """Verdicts that help with misspelt names."""

    def __missing__(self, scenario: str) -> Verdict:
        __tracebackhide__ = True
        raise KeyError(_unknown(scenario, tuple(self)))


def _unknown(scenario: str, scenarios: tuple[str, ...]) -> str:
    what = f"no scenario is `{printable(scenario)}`"
    return f"{what}, of {len(scenarios)}{nearest(scenario, scenarios)}"


def _named(
    subject: str, scenarios: tuple[Scenario, ...], named: tuple[str, ...], beside: Collection[str]
) -> tuple[Scenario, ...]:
    """Scenarios whose node ids were given as arguments, in the order of all; without any, all.

    Parameters
    ----------
    beside
        Names of what else is tested, whose node ids are not looked at.
    """
    if not named:
        return scenarios
    wanted: set[str] = set()
    problems = []
    names = tuple(scenario.name for scenario in scenarios)
    for wanted_id in named:
        stem, _, scenario = wanted_id.partition("::")
        if stem != subject and stem in beside:
            continue
        at_hours = [name for name in names if failure_and_hour(name)[0] == scenario]
        if stem == subject and (not scenario or scenario in names or at_hours):
            wanted.update(([scenario] if scenario in names else at_hours) if scenario else names)
            continue
        close = nearest(wanted_id, [f"{subject}::{name}" for name in names])
        hint = close.replace(f"`{subject}::", f"`{ROOT}::{subject}::")
        message = f"no scenario has this node id{hint}"
        problems.append(Problem(f"{ROOT}::{printable(wanted_id)}", 0, 0, "", message))
    refuse(problems)
    return tuple(scenario for scenario in scenarios if scenario.name in wanted)


def survivability_of(asked: TestOptions) -> tuple[Survivability, ...]:
    """Load what is asked for: a model, a plan, or every node of a roadmap.

    Raises
    ------
    InputError
        With all problems of the model, the plan and the sets of scenarios.
    """
    problems: list[Problem] = []
    wanted = _wanted(asked, problems)
    found = _opened(asked, problems)
    refuse(problems)
    names = [subject.name for subject in found]
    return tuple(
        Survivability(subject, _selection(subject, wanted), asked, names) for subject in found
    )


def _opened(asked: TestOptions, problems: list[Problem]) -> list[_Subject]:
    """What is to be tested; problems say where something is wrong with it."""
    if asked.model is None and asked.plan is None:
        problems.append(Problem(SETS_OPTION, 0, 0, "", f"needs {MODEL_OPTION} or {PLAN_OPTION}"))
        return []
    try:
        if asked.plan is None:
            return [_Subject(load_model(asked.model or ""))]
        return list(_plans(asked.plan, asked.model))
    except InputError as error:
        problems += [_with_option(problem, asked) for problem in error.problems]
        return []


def _plans(plan: str, model: str | None) -> Iterator[_Subject]:
    """A plan with its model, or those of all nodes of a roadmap."""
    # What plans need takes a while to import.
    from planner.plan.reopening import reopen
    from planner.roadmap.files import is_roadmap, parse_roadmap

    remedy = f"name its file: {MODEL_OPTION}"
    if not is_roadmap(Path(plan)):
        opened = reopen(plan, model, remedy=remedy, judged=True)
        yield _Subject(opened.loaded, opened)
        return
    roadmap = parse_roadmap(Path(plan))
    for node in roadmap.nodes:
        opened = reopen(roadmap.plans[node.name], model, remedy=remedy, judged=True)
        yield _Subject(opened.loaded, opened, node.name, frozenset(node.bridged))


def _with_option(problem: Problem, asked: TestOptions) -> Problem:
    """A problem of the model as a whole, with the option that named it."""
    whole = asked.model is not None and problem.file == printable(asked.model)
    return replace(problem, file=f"{MODEL_OPTION} {problem.file}") if whole else problem


def _wanted(asked: TestOptions, problems: list[Problem]) -> Wanted | None:
    """Sets that are asked for by name; None where none are."""
    if not asked.sets:
        return None
    sets = parse_sets(asked.sets)
    try:
        _check_sets(sets)
    except InputError as error:
        problems += _ours(error).problems
        return None
    return Wanted(sets)


def _selection(subject: _Subject, wanted: Wanted | None) -> Selection:
    loaded, opened = subject.loaded, subject.opened
    try:
        selection = select(loaded.model, wanted or (opened.wanted if opened else None))
    except InputError as error:
        raise _ours(error) from error
    if not selection.scenarios:
        raise InputError.single(loaded.name, "the model has no scenarios to simulate")
    return selection


def _ours(error: InputError) -> InputError:
    """An error that speaks of the option of pytest."""
    return InputError(
        replace(problem, file=SETS_OPTION) if problem.file == OPTION else problem
        for problem in error.problems
    )
