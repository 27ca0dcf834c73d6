"""Independent sources of failures, worked out from the selected scenarios."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from planner.infrastructure.entities import Model
from planner.infrastructure.failures import Event, Scenario
from planner.reliability.occurrences import SourceRate
from planner.scenarios.combinations import common_causes
from planner.scenarios.generators import FAMILIES, family, planned_outages, unit_counts
from planner.scenarios.hours import failures_behind


@dataclass(frozen=True)
class Source:
    """A scenario that occurs independently of the others.

    Parameters
    ----------
    rate
        Frequency, mean duration and number of equal copies.
    """

    scenario: Scenario
    rate: SourceRate


def sources_of(model: Model, scenarios: Sequence[Scenario]) -> tuple[Source, ...]:
    """Sources of failures behind a selection of scenarios, by name.

    Every scenario is a source with the frequency it states and, as mean time to repair, the minute
    at which the last of its events is over. Not so those of several failures whose frequency is
    merely worked out from that of their parts: ``units`` and ``maintenance`` without frequencies,
    the pairs of ``n-2`` and the sets of ``mc:``. Where all their parts are selected too they are
    left out, since the parts come to overlap by themselves; else they stand for themselves.
    Services, changes and maintenance with rates of their own (`beside`) are sources also where no
    scenario has them: nobody may plan for them, and yet they happen.
    Frequencies that a model or a family states (``heat_wave_unit``, common causes) belong to causes
    of their own and come on top of chance. A failure at several hours of the week is one source:
    when it happens is sampled.

    The loss of the largest unit of a plant has as many copies as units whose rates it counts.
    """
    scenarios = failures_behind(scenarios)
    scenarios = (*scenarios, *beside(model, scenarios))
    stated = _stated(model)
    parts = {
        _what(scenario.events[0]): _copies(model, scenario)
        for scenario in scenarios
        if len(scenario.events) == 1 and _size(scenario) == 1
    }
    found = [
        _source(model, scenario)
        for scenario in scenarios
        if _size(scenario) == 1 or scenario.name in stated or not _made_of(scenario, parts)
    ]
    return tuple(sorted(found, key=lambda source: source.scenario.name))


def beside(model: Model, scenarios: Sequence[Scenario]) -> tuple[Scenario, ...]:
    """What a model states rates of and is not selected: services, changes, maintenance."""
    known = {scenario.name for scenario in scenarios}
    services = {
        f"service-{n}" for n, s in model.services.items() if s.failures_per_year is not None
    }
    found = [scenario for scenario in family(model, "service") if scenario.name in services]
    found += planned_outages(model)
    return tuple(
        scenario for scenario in (*found, *family(model, "change")) if scenario.name not in known
    )


def _source(model: Model, scenario: Scenario) -> Source:
    minutes = end_minute(scenario)
    rate = SourceRate(scenario.name, _copies(model, scenario), scenario.frequency_per_year, minutes)
    return Source(scenario, rate)


def end_minute(scenario: Scenario) -> float:
    """Minute at which the last event is over."""
    return max(event.at_minute + event.repair_minutes for event in scenario.events)


def _stated(model: Model) -> frozenset[str]:
    """Names of scenarios whose frequency is stated, not worked out from parts."""
    names = set(model.scenarios)
    for name in FAMILIES:
        terms = getattr(model.generators, name)
        of_parts = name in ("units", "maintenance")
        if not of_parts or (terms and terms.frequency_per_year is not None):
            names |= {scenario.name for scenario in family(model, name)}
    names |= {scenario.name for scenario in common_causes(model)}
    return frozenset(names)


def _size(scenario: Scenario) -> int:
    """Failures in a scenario: each of the largest units counts."""
    return sum(event.count if event.kind == "largest-units" else 1 for event in scenario.events)


def _copies(model: Model, scenario: Scenario) -> int:
    """Equal parts behind a scenario, which fail one by one."""
    (first, *more) = scenario.events
    if more or first.kind != "largest-units" or first.count != 1:
        return 1
    return max(1, sum(unit_counts(model, first.plant).values()))


def _made_of(scenario: Scenario, parts: dict[str, int]) -> bool:
    """Whether a scenario is an overlap of parts that there are, in as many copies."""
    needed = Counter[str]()
    for event in scenario.events:
        count = event.count if event.kind == "largest-units" else 1
        needed[_what(event)] += count
    return all(parts.get(what, 0) >= count for what, count in needed.items())


def _what(event: Event) -> str:
    """What an event hits, whenever and for how long; of largest units one."""
    if event.kind == "largest-units":
        event = event.replace(count=1)
    return event.model_dump_json(exclude={"at_minute", "repair_minutes"})
