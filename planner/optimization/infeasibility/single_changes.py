"""Alternative ways to resolve a conflict, each with one change.

Relaxing one member of an irreducible conflict resolves it, so the values behind each member are
tried alone; that suffices unless there is another conflict. Lead times, start-up times, reaction
times, generators and batteries change the structure of the programme, so no slack represents them.
Each is first set to its most favourable value; if there is a plan then, the smallest change with a
plan is searched.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping

from planner.infrastructure.changes import value_at
from planner.infrastructure.failures import NodeLoss, Scenario
from planner.optimization.formulation.families import Family
from planner.optimization.formulation.time_slices import arrival_minute
from planner.optimization.infeasibility.elastic import (
    ConstraintGroup,
    ElasticProgramme,
    RelaxableValue,
)
from planner.optimization.infeasibility.relaxation import ChangedModel, RelaxationSet, Step
from planner.optimization.infeasibility.trials import Trials, find_set, finish
from planner.scenarios.hours import failure_and_hour

#: Most alternatives of each sort that are reported.
MOST_ALTERNATIVES = 4
#: Steps in which the derating of units is searched.
HEAT_STEPS = 20
#: Steps in which power is searched.
POWER_STEPS = 20


def find_single(
    groups: Iterable[ConstraintGroup],
    elastic: ElasticProgramme,
    trials: Trials,
    known: frozenset[str],
) -> Iterator[RelaxationSet]:
    """Sets that change only values behind one member of the conflict.

    Parameters
    ----------
    known
        Paths that are in other sets already.
    """
    count = 0
    for group in sorted(groups, key=lambda group: group.kind != "limit"):
        names = {constraint.name for constraint, _ in group.constraints}
        paths = {
            column.value.path
            for column in elastic.columns.values()
            if column.value.family != "demand_rps" and names & set(column.uses)
        }
        free = frozenset(paths - known - {""})
        if count == MOST_ALTERNATIVES or not free:
            continue
        found = find_set("alternative", ("limit", "requirement"), elastic, trials, paths=free)
        if found is not None:
            count += 1
            yield found


def find_alternatives(
    groups: Iterable[ConstraintGroup], trials: Trials, with_limits: bool
) -> Iterator[RelaxationSet]:
    """Sets with one value that changes the course of a scenario.

    Parameters
    ----------
    groups
        Members of the conflict.
    with_limits
        Whether limits may be raised too, where the value alone does not suffice.
    """
    values: dict[str, tuple[RelaxableValue, str]] = {}
    for group in groups:
        for value in _values_of(group, trials):
            values.setdefault(value.path, (value, group.key[2]))
    count = 0
    for value, scenario in values.values():
        if count == MOST_ALTERNATIVES:
            return
        step = Step(value, 1.0, scenario, choice=len(value.choices) - 1)
        draft = ChangedModel(trials.data.model, [step])
        found = None
        if trials.plan(draft) is not None:
            found = finish("alternative", draft, trials)
        elif with_limits:
            found = find_set("alternative", ("limit",), trials.elastic(draft), trials, draft)
        if found is not None:
            count += 1
            yield found


def _values_of(group: ConstraintGroup, trials: Trials) -> Iterator[RelaxableValue]:
    """Values that could resolve a member of the conflict, by its family."""
    family, subject, name = group.key
    scenario = next(
        (candidate for candidate in trials.data.scenarios if candidate.name == name), None
    )
    rises = dict.fromkeys(trials.data.model.regions, 0.0)
    for stage in trials.data.stages_by_scenario.get(name, ()):
        rises |= stage.state.ambient_rise_c
    if family in (
        Family.DESIGN_HEAT,
        Family.EMERGENCY_COVER,
        Family.SERVED_FLOOR,
        Family.NORMAL_DEMAND,
    ):
        yield from _unit_in_heat(trials, rises)
    if scenario is None:
        return
    minute = min(row.from_minute for row in group.rows)
    if family == Family.SERVED_FLOOR:
        yield from _supply(trials, scenario, minute)
        yield from _standby_power(trials, scenario)
    if family in (Family.RIDE_THROUGH, Family.SERVED_FLOOR):
        yield from _standby_cooling(trials, scenario, subject)
        yield from _reaction(trials, scenario)


def _value(
    family: str, subject: str, unit: str, path: str, choices: Iterable[float]
) -> Iterator[RelaxableValue]:
    """A limit with its choices, smallest change first; nothing where there are none."""
    value = RelaxableValue.searched(path, "limit", family, subject, unit, choices)
    if value.choices:
        yield value


def _shorter(minutes: float) -> list[float]:
    """Whole minutes below a time, longest first."""
    return [float(minute) for minute in range(math.ceil(minutes) - 1, -1, -1)]


def _supply(trials: Trials, scenario: Scenario, minute: float) -> Iterator[RelaxableValue]:
    """Lead times of cloud offers that arrive after the minute of a requirement."""
    data = trials.data
    model = data.model
    stage = data.stages_by_scenario[scenario.name][0]
    for offer, terms in model.offers.items():
        if arrival_minute(model, stage.timeline, offer) > minute:
            path = f"offers.{offer}.lead_time_minutes"
            shorter = _shorter(terms.lead_time_minutes)
            yield from _value("lead_time_minutes", offer, "min", path, shorter)


def _standby_power(trials: Trials, scenario: Scenario) -> Iterator[RelaxableValue]:
    """Generators for lost feeds without any; otherwise batteries until the generators run."""
    model = trials.data.model
    for event in scenario.events:
        if not isinstance(event, NodeLoss) or event.kind != "feed":
            continue
        feed = model.feeds[event.name]
        if not feed.generator_mw:
            path = f"feeds.{event.name}.generator_mw"
            step = feed.capacity_mw / POWER_STEPS
            values = (round(step * number, 6) for number in range(1, POWER_STEPS + 1))
            yield from _value("generator_mw", event.name, "MW", path, values)
        else:
            path = f"feeds.{event.name}.ups_minutes"
            waits = {feed.generator_start_minutes, event.repair_minutes}
            longer = (minutes for minutes in sorted(waits) if minutes > feed.ups_minutes)
            yield from _value("ups_minutes", event.name, "min", path, longer)


def _unit_in_heat(trials: Trials, rises: Mapping[str, float]) -> Iterator[RelaxableValue]:
    """Cut-out temperatures and derating of units that have no capacity in a heat wave."""
    data, model = trials.data, trials.data.model
    for plant, entry in model.plants.items():
        rise = rises[entry.region]
        ambient = model.regions[entry.region].design_ambient_c + rise
        for unit in data.units(plant):
            kind, path = model.cooling_units[unit], f"cooling_units.{unit}"
            if data.unit_mw(plant, unit, rise):
                continue
            if ambient > kind.cutout_ambient_c:
                field, field_unit, choices = "cutout_ambient_c", "°C", [ambient]
            else:
                field, field_unit = "derating_per_c", ""
                most, steps = 1 / (ambient - kind.reference_ambient_c), range(HEAT_STEPS)
                choices = [round(most * step / HEAT_STEPS, 6) for step in reversed(steps)]
            yield from _value(field, unit, field_unit, f"{path}.{field}", choices)


def _standby_cooling(trials: Trials, scenario: Scenario, cluster: str) -> Iterator[RelaxableValue]:
    """Start-up times of standby units that cool a cluster, or of all where none is named."""
    data, model = trials.data, trials.data.model
    clusters = [cluster] if cluster in model.clusters else list(model.clusters)
    cooling = {"units", "largest-units", "plant", "sag", "heat", "feed"}
    if not any(event.kind in cooling for event in scenario.events):
        return
    plants = {plant for name in clusters for plant in data.chain_of(name)}
    for unit in sorted({unit for plant in plants for unit in data.units(plant)}):
        minutes = model.cooling_units[unit].start_minutes
        if model.cooling_units[unit].mode == "standby" and minutes:
            path = f"cooling_units.{unit}.start_minutes"
            yield from _value("start_minutes", unit, "min", path, _shorter(minutes))


def _reaction(trials: Trials, scenario: Scenario) -> Iterator[RelaxableValue]:
    """Response time of operators: that of the scenario where it has its own."""
    path, (failure, _) = "operations.response_minutes", failure_and_hour(scenario.name)
    if scenario.operations.response_minutes is not None:
        path = f"scenarios.{failure}.{path}"
    model = trials.data.model
    if failure not in model.scenarios and path.startswith("scenarios."):
        return
    shorter = _shorter(value_at(model, path))
    yield from _value("response_minutes", "", "min", path, shorter)
