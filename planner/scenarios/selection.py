"""Which scenarios to plan for: named sets, filters, and their number."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from types import MappingProxyType

from planner.errors import InputError, Problem, refuse
from planner.infrastructure.entities import Model
from planner.infrastructure.failures import Scenario, Severity
from planner.infrastructure.source import nearest
from planner.scenarios.combinations import common_causes, pairs, singles
from planner.scenarios.components import SEVERITY_ORDER
from planner.scenarios.generators import FAMILIES, all_scenarios, check_names, family
from planner.scenarios.sampling import monte_carlo

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
        Patterns of names with ``*`` and ``?``: keep only what matches one, leave out what does.
    severities
        Classes to keep; none means all.
    least_per_year
        Leave out what is rarer.
    """

    sets: tuple[str, ...] = (MODEL,)
    only: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    severities: tuple[Severity, ...] = ()
    least_per_year: float = 0.0

    @property
    def usual(self) -> bool:
        """Whether exactly the scenarios of the model are asked for."""
        return self == Wanted()


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
    """

    wanted: Wanted
    scenarios: tuple[Scenario, ...]
    found: Mapping[str, int]
    repeated: int
    filtered: int
    unbound: frozenset[Severity]

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
    _check_patterns(wanted, merged)
    kept = tuple(scenario for scenario in merged if _passes(wanted, scenario))
    if not kept and not wanted.usual:
        raise InputError.single(OPTION, f"no scenario is left of {len(merged):,}")
    check_names(model, kept)
    return Selection(
        wanted=wanted,
        scenarios=kept,
        found={name: len(scenarios) for name, scenarios in found.items()},
        repeated=repeated,
        filtered=len(merged) - len(kept),
        unbound=_unbound(model, wanted),
    )


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
    return scenario.start_hour, scenario.operations.model_dump_json(), tuple(sorted(events))


def _rank(scenario: Scenario) -> int:
    return SEVERITY_ORDER.index(scenario.severity)


def _check_patterns(wanted: Wanted, scenarios: Iterable[Scenario]) -> None:
    names = [scenario.name for scenario in scenarios]
    problems = []
    for option, patterns in (("--only", wanted.only), ("--except", wanted.excluded)):
        for pattern in patterns:
            if not any(fnmatchcase(name, pattern) for name in names):
                hint = nearest(pattern, names)
                message = f"`{pattern}` matches none of {len(names):,} scenarios{hint}"
                problems.append(Problem(option, 0, 0, "", message))
    refuse(problems)


def _passes(wanted: Wanted, scenario: Scenario) -> bool:
    def matches(patterns: Iterable[str]) -> bool:
        return any(fnmatchcase(scenario.name, pattern) for pattern in patterns)

    return (
        (not wanted.only or matches(wanted.only))
        and not matches(wanted.excluded)
        and (not wanted.severities or scenario.severity in wanted.severities)
        and scenario.frequency_per_year >= wanted.least_per_year
    )


def _unbound(model: Model, wanted: Wanted) -> frozenset[Severity]:
    """Classes that nothing is required of; a model that says so itself for its own is believed."""
    return frozenset(
        severity
        for severity in SEVERITY_ORDER
        if not any(rule.least_served for rule in model.standard.get(severity, ()))
        and not (wanted.usual and severity in model.standard)
    )
