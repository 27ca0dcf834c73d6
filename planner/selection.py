"""Which scenarios to plan for: named sets, filters, hours of the week, and their number.

Sets hold failures. Each is planned for at hours of the week: the one that it states, that of peak
demand, all of them, or those that matter (`planner.optimization.solution.hours`). At an hour its
name ends in it, ``region-us-west@Mon-06``, and it has a share of its frequency. Where the programme
asks for the same whenever it begins, one scenario at the hour of peak demand stands for all hours
under the name of the failure alone.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import TYPE_CHECKING

from planner.amounts import counted
from planner.errors import InputError, Problem, refuse
from planner.infrastructure.entities import Model
from planner.infrastructure.failures import HourChoice, Scenario, Severity
from planner.infrastructure.source import nearest
from planner.laws.calendar import DAYS_PER_YEAR, HOTTEST, HOURS_PER_WEEK, on_day
from planner.scenarios.climate import seasonal_regions
from planner.scenarios.combinations import common_causes, pairs, singles
from planner.scenarios.components import SEVERITY_ORDER
from planner.scenarios.demand import peak_hour
from planner.scenarios.generators import FAMILIES, all_scenarios, check_names, family
from planner.scenarios.hours import (
    at_hour,
    failure_and_hour,
    first_alike,
    hottest_days,
    hours_counted,
    hours_on_days,
    matches,
    pattern_parts,
)
from planner.scenarios.sampling import monte_carlo

if TYPE_CHECKING:
    from planner.optimization.solution.hours import PlannedHours

#: The scenarios of the model: families that it asks for and those written by hand.
MODEL = "model"
#: Option that names sets.
OPTION = "--scenarios"
MOST_YEARS = 10_000_000
_SAMPLE = re.compile(r"mc:(?P<years>\d+)(:(?P<seed>\d+))?", re.ASCII)


def _families(*names: str) -> Callable[[Model], tuple[Scenario, ...]]:
    return lambda model: tuple(scenario for name in names for scenario in family(model, name))


#: Sets of scenarios by name; `mc:YEARS[:SEED]` comes on top.
SETS: Mapping[str, Callable[[Model], tuple[Scenario, ...]]] = MappingProxyType(
    {
        MODEL: all_scenarios,
        "written": lambda model: tuple(model.scenarios.values()),
        "n-1": singles,
        "n-2": pairs,
        "common": common_causes,
        "regions": _families("region"),
        "heat": _families("heat_wave", "heat_wave_unit"),
        **{name.replace("_", "-"): _families(name) for name in FAMILIES},
    }
)


@dataclass(frozen=True)
class Wanted:
    """A request for scenarios.

    Parameters
    ----------
    sets
        Names of sets (`SETS`) and samples ``mc:YEARS[:SEED]``.
    only, excluded
        Patterns of names with ``*`` and ``?``: keep only what matches one, leave out what does. A
        pattern without an hour means all hours of a failure; one hour by name is planned for
        whether or not it matters.
    severities
        Classes to keep; none means all.
    least_per_year
        Leave out failures that are rarer.
    hours
        Hours of all failures that do not state theirs; None for what families and scenarios say.
    also
        Failures at hours, by name, that are planned for besides, whether or not these matter.
    """

    sets: tuple[str, ...] = (MODEL,)
    only: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    severities: tuple[Severity, ...] = ()
    least_per_year: float = 0.0
    hours: HourChoice | None = None
    also: tuple[str, ...] = ()

    @property
    def usual(self) -> bool:
        """Whether exactly the failures of the model are asked for, at whatever hours."""
        return replace(self, hours=None, also=()) == Wanted()


@dataclass(frozen=True)
class FailureHours:
    """A failure and the hours of the week at which it is planned for.

    Parameters
    ----------
    planned
        Hours of scenarios named after them, and that of peak demand where one scenario without an
        hour in its name stands for all others.
    matter
        Whether other hours are left out because they do not matter.
    """

    failure: Scenario
    planned: tuple[int, ...]
    matter: bool


@dataclass(frozen=True)
class Selection:
    """Scenarios found.

    Parameters
    ----------
    wanted
        What was asked for.
    scenarios
        What that is.
    found
        Number of scenarios by set, before anything is left out.
    repeated
        Scenarios left out because another one has the same events.
    filtered
        Scenarios left out by filters.
    unbound
        Classes for which the standard has no rules.
    failures
        Failures behind the scenarios, with their hours.
    days
        Days of the year that differ: more than one where a climate has a year.
    narrowed
        Failures that alone are left of those asked for (`of`); None for all.
    """

    wanted: Wanted
    scenarios: tuple[Scenario, ...]
    found: Mapping[str, int]
    repeated: int
    filtered: int
    unbound: frozenset[Severity]
    failures: tuple[FailureHours, ...] = ()
    days: int = 1
    narrowed: frozenset[str] | None = None

    def of(self, model: Model, scenarios: Sequence[Scenario]) -> Selection:
        """The same hours for some scenarios of it alone, with failures as they are in a model."""
        names = frozenset(failure_and_hour(scenario.name)[0] for scenario in scenarios)
        now = {failure.name: failure for failure in all_scenarios(model)}
        failures = tuple(
            replace(hours, failure=now.get(hours.failure.name, hours.failure))
            for hours in self.failures
            if hours.failure.name in names
        )
        return replace(self, scenarios=tuple(scenarios), failures=failures, narrowed=names)

    def left_out(self, model: Model) -> Iterator[Scenario]:
        """Failures at the hours that are not planned for, in the order of the failures.

        The first of hours from which demand and ambient run alike stands for the others. Where a
        climate has a year, they come on the hottest of all days (`on_days`).
        """
        alike = first_alike(model, model.simulation.horizon_minutes)
        seasons = bool(seasonal_regions(model))
        for hours in self.failures:
            if seasons and hours.matter:
                for hour in sorted(set(alike.tolist())):
                    yield at_hour(hours.failure, on_day(hour, HOTTEST))
                continue
            planned = {alike[hour] for hour in hours.planned}
            for hour in sorted(set(alike.tolist()) - planned) if hours.matter else ():
                yield at_hour(hours.failure, hour)

    def on_days(self, model: Model, name: str) -> Iterator[Scenario]:
        """A failure of `left_out` on the days that no other day is hotter than.

        That at the hour of no day comes first: it stands for days no hotter than design ambient.
        """
        failure, hour = failure_and_hour(name)
        assert hour is not None
        found = next(hours.failure for hours in self.failures if hours.failure.name == failure)
        of_week = hour % HOURS_PER_WEEK
        yield at_hour(found, of_week)
        for day in hottest_days(model, of_week, model.simulation.horizon_minutes):
            yield at_hour(found, on_day(of_week, day))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the scenarios."""
        return tuple(scenario.name for scenario in self.scenarios)

    def named(self, model: Model, patterns: Sequence[str], option: str) -> Selection:
        """The scenarios of some names; a failure means all its hours, an hour itself.

        Raises
        ------
        InputError
            If nothing has one of the names; it speaks of the option.
        """
        asked = [failure_and_hour(pattern) for pattern in patterns]
        known = {hours.failure.name for hours in self.failures}
        hours = [
            name
            for name, (failure, hour) in zip(patterns, asked, strict=True)
            if hour is not None and failure in known
        ]
        whole = self.besides(model, hours) if set(hours) - set(self.names) else self
        unknown = [
            pattern
            for pattern in patterns
            if not any(matches(pattern, name) for name in whole.names)
        ]
        if unknown:
            hints = ", ".join(f"`{name}`{nearest(name, whole.names)}" for name in unknown)
            raise InputError.single(option, f"{model.name} has no {hints}")
        kept = tuple(
            scenario
            for scenario in whole.scenarios
            if any(matches(pattern, scenario.name) for pattern in patterns)
        )
        behind = {failure_and_hour(scenario.name)[0] for scenario in kept}
        failures = tuple(hours for hours in whole.failures if hours.failure.name in behind)
        return replace(whole, scenarios=kept, failures=failures)

    def besides(self, model: Model, names: Iterable[str]) -> Selection:
        """The same failures, planned for at some more hours whether or not these matter."""
        also = tuple(sorted({*self.wanted.also, *names}))
        if also == self.wanted.also:
            return self
        found = select(model, replace(self.wanted, also=also))
        if self.narrowed is None:
            return found
        of_these = (
            one for one in found.scenarios if failure_and_hour(one.name)[0] in self.narrowed
        )
        return found.of(model, tuple(of_these))

    @property
    def at_all_hours(self) -> str:
        """Failures times all hours that they may begin at; nothing where no hour is left out."""
        if not any(hours.matter for hours in self.failures):
            return ""
        each = HOURS_PER_WEEK * self.days
        possible = sum(each if hours.matter else 1 for hours in self.failures)
        on_days = f" on {self.days} days" if self.days > 1 else ""
        failures, scenarios = counted(len(self.failures), "failure"), counted(possible, "scenario")
        return f"{failures} at {HOURS_PER_WEEK} hours{on_days} = {scenarios}"

    def lines(self) -> list[str]:
        """How many scenarios there are, by severity, by set, and what was left out."""
        total = len(self.scenarios)
        counts = Counter(scenario.severity for scenario in self.scenarios)
        classes = ", ".join(
            f"{counts[severity]} {severity}" for severity in SEVERITY_ORDER if counts[severity]
        )
        lines = [f"{total:,} scenario{'' if total == 1 else 's'}" + (classes and f": {classes}")]
        if not self.wanted.usual:
            sets = ", ".join(f"{name} {count:,}" for name, count in self.found.items())
            gone = [(self.repeated, "the same as another"), (self.filtered, "filtered out")]
            left_out = [f"{count:,} {why}" for count, why in gone if count]
            lines.append("; ".join([f"from {sets}", *left_out]))
        if self.at_all_hours:
            lines.append(f"{self.at_all_hours}; {total:,} kept")
        return lines

    def warnings(self) -> list[str]:
        """Warnings: no scenarios at all, and classes without a rule of the standard."""
        lines = []
        if not self.scenarios:
            lines.append(
                "no scenario: nothing that can fail is planned for; `generators` or `scenarios` of "
                "the model say what may"
            )
        for severity in SEVERITY_ORDER:
            names = [scenario.name for scenario in self.scenarios if scenario.severity == severity]
            if severity in self.unbound and names:
                things = f"{len(names):,} scenario{'' if len(names) == 1 else 's'}"
                named = names[0] + (", …" if len(names) > 1 else "")
                text = f"the standard has no rules for `{severity}`: nothing is required of"
                lines.append(f"{text} {things} ({named})")
        return lines


def select(model: Model, wanted: Wanted | None = None) -> Selection:
    """Find the scenarios that are asked for.

    A scenario of the model comes first and stays as it is; of two others with the same events the
    one of the stricter class stays, or else the first.

    Raises
    ------
    InputError
        With every set that does not exist, every pattern that matches nothing, or if no scenario is
        left.
    """
    wanted = wanted or Wanted()
    _check_sets(wanted.sets)
    found = {name: _set_of(model, name) for name in dict.fromkeys(wanted.sets)}
    merged, repeated = _merged(model, found)
    _check_patterns(wanted, [scenario.name for scenario in merged])
    passing = tuple(scenario for scenario in merged if _passes(wanted, scenario))
    at_hours = tuple(hours_of(model, passing, wanted))
    kept = tuple(
        scenario
        for _, scenarios in at_hours
        for scenario in scenarios
        if _matches(wanted.only, scenario.name, True)
        and not _matches(wanted.excluded, scenario.name)
    )
    if not kept and not wanted.usual:
        raise InputError.single(OPTION, f"no scenario is left of {len(merged):,}")
    check_names(model, kept)
    return Selection(
        wanted=wanted,
        scenarios=kept,
        found={name: len(scenarios) for name, scenarios in found.items()},
        repeated=repeated,
        filtered=len(merged) - len(passing),
        unbound=_unbound(model, wanted),
        failures=tuple(hours for hours, _ in at_hours),
        days=DAYS_PER_YEAR if seasonal_regions(model) else 1,
    )


def hours_of(
    model: Model, failures: Sequence[Scenario], wanted: Wanted
) -> Iterator[tuple[FailureHours, tuple[Scenario, ...]]]:
    """Failures at the hours asked for."""
    days = DAYS_PER_YEAR if seasonal_regions(model) else 1
    choices = {
        failure.name: "peak" if failure.start_hour is not None else wanted.hours or failure.hours
        for failure in failures
    }
    by_proof = ("worst", "all") if days > 1 else ("worst",)
    matter = [failure for failure in failures if choices[failure.name] in by_proof]
    found = {hours.failure.name: hours for hours in _planned_hours(model, matter)}
    asked: dict[str, set[int]] = {}
    for name in (*wanted.only, *wanted.also):
        failure_name, hour = failure_and_hour(name)
        if hour is not None:
            asked.setdefault(failure_name, set()).add(hour)
    for failure in failures:
        choice, also = choices[failure.name], asked.get(failure.name, set())
        hours = found.get(failure.name)
        if choice == "all":
            also = also | set(range(HOURS_PER_WEEK)) | _on_days(wanted, failure.name)
        usual, on_days = (hours.stand_in, hours.on_days) if hours else ((), {})
        counts = hours_counted(usual, on_days, also, days)
        planned = sorted(hour for hour in counts if hour is not None)
        of_hours = HOURS_PER_WEEK * days
        scenarios = [at_hour(failure, hour, counts[hour], of_hours) for hour in planned]
        if None in counts:
            often = failure.frequency_per_year * counts[None] / of_hours
            whole = counts[None] == of_hours
            scenarios.insert(0, failure if whole else failure.replace(frequency_per_year=often))
            planned.append(peak_hour(model))
        yield FailureHours(failure, tuple(planned), choice in by_proof), tuple(scenarios)


def _on_days(wanted: Wanted, failure: str) -> set[int]:
    """Hours of a failure on days of the year that patterns ask for."""
    patterns = (pattern_parts(pattern) for pattern in wanted.only)
    hours = [hours for name, hours in patterns if hours and fnmatchcase(failure, name)]
    return {hour for pattern in hours for hour in hours_on_days(pattern)}


def _planned_hours(model: Model, failures: Sequence[Scenario]) -> Iterable[PlannedHours]:
    if not failures:
        return ()
    # It takes the programme, which whoever states the hours himself need not import.
    from planner.optimization.solution.hours import planned_hours

    return planned_hours(model, failures)


def parse_sets(texts: Iterable[str]) -> tuple[str, ...]:
    """Sets of an option that may be repeated and separates by commas; none means the model's."""
    names = [part.strip().lower().replace("_", "-") for text in texts for part in text.split(",")]
    return tuple(dict.fromkeys(names)) or (MODEL,)


def _check_sets(names: Iterable[str]) -> None:
    problems = []
    for name in names:
        if name in SETS:
            continue
        sample = _SAMPLE.fullmatch(name)
        if sample and 1 <= int(sample["years"]) <= MOST_YEARS:
            continue
        problems.append(Problem(OPTION, 0, 0, "", _refusal(name)))
    refuse(problems)


def _refusal(name: str) -> str:
    if name.startswith(("mc", "monte")):
        return f"`{name}`: a sample is mc:YEARS or mc:YEARS:SEED, of 1 to {MOST_YEARS:,} years"
    hint = nearest(name, SETS) or "."
    return f"no set of scenarios is `{name}`{hint} There are {', '.join(SETS)}, mc:YEARS[:SEED]"


def _set_of(model: Model, name: str) -> tuple[Scenario, ...]:
    if name in SETS:
        return SETS[name](model)
    _, years, *seed = name.split(":")
    return monte_carlo(model, int(years), int(seed[0]) if seed else 0)


def _merged(
    model: Model, found: Mapping[str, tuple[Scenario, ...]]
) -> tuple[tuple[Scenario, ...], int]:
    """Scenarios of all sets, those of the model first, each sequence of events once."""
    own = found.get(MODEL, ())
    names = {scenario.name for scenario in own}
    others = [
        model.scenarios.get(scenario.name, scenario)
        for name, scenarios in found.items()
        if name != MODEL
        for scenario in scenarios
    ]
    timelines = {_course(scenario) for scenario in own}
    kept: dict[object, Scenario] = {}
    for scenario in others:
        timeline = _course(scenario)
        if timeline in timelines or scenario.name in names:
            continue
        before = kept.get(timeline)
        if before is None or _rank(scenario) < _rank(before):
            kept[timeline] = scenario
    return (*own, *kept.values()), len(others) - len(kept)


def _course(scenario: Scenario) -> object:
    """What happens in a scenario, without its name and frequency."""
    events = tuple(event.model_dump_json() for event in scenario.events)
    when = scenario.start_hour, scenario.start_date, scenario.hours
    return when, scenario.operations.model_dump_json(), tuple(sorted(events))


def _rank(scenario: Scenario) -> int:
    return SEVERITY_ORDER.index(scenario.severity)


def _check_patterns(wanted: Wanted, names: Sequence[str]) -> None:
    problems = []
    for option, patterns in (("--only", wanted.only), ("--except", wanted.excluded)):
        for pattern in patterns:
            failure, _ = pattern_parts(pattern)
            if not any(fnmatchcase(name, failure) for name in names):
                hint = nearest(failure, names)
                message = f"`{pattern}` matches none of {len(names):,} scenarios{hint}"
                problems.append(Problem(option, 0, 0, "", message))
    refuse(problems)


def _matches(patterns: Iterable[str], name: str, empty: bool = False) -> bool:
    """Whether a scenario matches any of some patterns, or what is said of none."""
    found = [matches(pattern, name) for pattern in patterns]
    return any(found) if found else empty


def _passes(wanted: Wanted, failure: Scenario) -> bool:
    """Whether a failure is asked for, at some hour at least."""
    only = [pattern_parts(pattern)[0] for pattern in wanted.only]
    parts = map(pattern_parts, wanted.excluded)
    excluded = [pattern for pattern, hours in parts if hours is None]
    return (
        _matches(only, failure.name, empty=True)
        and not _matches(excluded, failure.name)
        and (not wanted.severities or failure.severity in wanted.severities)
        and failure.frequency_per_year >= wanted.least_per_year
    )


def _unbound(model: Model, wanted: Wanted) -> frozenset[Severity]:
    """Classes that nothing is required of; a model that says so itself for its own is believed."""
    return frozenset(
        severity
        for severity in SEVERITY_ORDER
        if not any(rule.least_served for rule in model.standard.get(severity, ()))
        and not (wanted.usual and severity in model.standard)
    )
