"""Other ways out of a conflict: each of its requirements and limits by itself, other values.

Whatever gives way in an irreducible conflict resolves it, so what stands behind each of its members
is tried alone: there may be no other conflict. Lead times, start-up times, reaction times,
generators and batteries change what the programme looks like, so no slack stands for them. Each is
first set to the most that it could be; if that leaves a plan, the mildest value that does is
searched.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from planner.infrastructure.changes import value_at
from planner.infrastructure.failures import NodeLoss, Scenario
from planner.optimization.formulation.families import Family
from planner.optimization.formulation.time_slices import arrival_minute
from planner.optimization.infeasibility.elastic import (
    ConstraintGroup,
    ElasticProgramme,
    Kind,
    Value,
)
from planner.optimization.infeasibility.relaxable_values import elastic_programme
from planner.optimization.infeasibility.relaxation import (
    ChangedModel,
    RelaxationSet,
    Step,
    Trials,
    find_set,
    finish,
    with_verified,
)

#: Most alternatives of each sort that are reported.
MOST_ALTERNATIVES = 4
#: Steps in which the loss of units by heat is searched.
HEAT_STEPS = 20
#: Steps in which power is searched.
POWER_STEPS = 20


def find_single(
    items: Iterable[ConstraintGroup],
    elastic: ElasticProgramme,
    trials: Trials,
    known: frozenset[str],
) -> Iterator[RelaxationSet]:
    """Sets in which only what stands behind one member of the conflict changes.

    Parameters
    ----------
    known
        Paths that are in a set already.
    """
    found = 0
    for item in sorted(items, key=lambda one: one.kind != "limit"):
        names = {constraint.name for constraint, _ in item.constraints}
        paths = frozenset(
            lever.path
            for lever in elastic.levers.values()
            if lever.path and lever.family != "demand_rps" and names & set(lever.uses)
        )
        if found == MOST_ALTERNATIVES or not paths - known:
            continue
        one = find_set(
            "alternative", ("limit", "requirement"), elastic, trials, paths=paths - known
        )
        if one is not None:
            found += 1
            yield one


def find_alternatives(
    items: Iterable[ConstraintGroup], trials: Trials, stuck: bool
) -> Iterator[RelaxationSet]:
    """Sets with one value that changes a scenario; where nothing else helps also with limits."""
    values: dict[str, tuple[Value, str]] = {}
    for item in items:
        for value in _values_of(item, trials):
            values.setdefault(value.path, (value, item.key[2]))
    found = 0
    for value, scenario in values.values():
        if found == MOST_ALTERNATIVES:
            return
        step = Step(value, 1.0, scenario, choice=len(value.choices) - 1)
        draft = ChangedModel(trials.data.model, [step])
        one = None
        if trials.plan(draft) is not None:
            one = finish("alternative", draft, trials)
        elif stuck:
            elastic = elastic_programme(trials.changed_case(draft))
            one = find_set("alternative", ("limit",), elastic, trials, draft)
        if one is not None:
            found += 1
            yield one


def find_judged(items: Iterable[ConstraintGroup], trials: Trials) -> RelaxationSet | None:
    """The policy that leaves throttling to the simulation, where a plan survives that."""
    path = "policies.throttling_simulated"
    scenario = next((one.key[2] for one in items if one.key[0] == Family.RIDE_THROUGH), None)
    if scenario is None or value_at(trials.data.model, path):
        return None
    (value,) = _value("throttling_simulated", "", "", path, (True,), "requirement")
    draft = ChangedModel(trials.data.model, [Step(value, 1.0, scenario, choice=0)])
    found = trials.verified(draft)
    if found is None or found.failed:
        return None
    one = RelaxationSet("alternative", draft.relaxations(), verified=True, minimal=True)
    return with_verified(one, found)


def _values_of(item: ConstraintGroup, trials: Trials) -> Iterator[Value]:
    family, subject, name = item.key
    scenario = next((one for one in trials.data.scenarios if one.name == name), None)
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
    minute = min(row.from_minute for row in item.rows)
    if family == Family.SERVED_FLOOR:
        yield from _supply(trials, scenario, minute)
        yield from _standby_power(trials, scenario)
    if family in (Family.RIDE_THROUGH, Family.SERVED_FLOOR):
        yield from _standby_cooling(trials, scenario, subject)
        yield from _reaction(trials, scenario)


def _value(
    family: str,
    subject: str,
    unit: str,
    path: str,
    choices: Iterable[Any],
    kind: Kind = "limit",
) -> list[Value]:
    """The value at a path with its choices, mildest first; nothing where it has none."""
    values = tuple(choices)
    one = Value(
        path=path,
        kind=kind,
        family=family,
        subject=subject,
        unit=unit,
        new=lambda *_: values[-1],
        choices=values,
    )
    return [one] if values else []


def _shorter(minutes: float) -> list[float]:
    """Whole minutes below a time, longest first."""
    return [float(one) for one in range(math.ceil(minutes) - 1, -1, -1)]


def _supply(trials: Trials, scenario: Scenario, minute: float) -> Iterator[Value]:
    """Lead times of offers that arrive after what is asked for."""
    data = trials.data
    model = data.model
    stage = data.stages_by_scenario[scenario.name][0]
    for offer, terms in model.offers.items():
        if arrival_minute(model, stage.timeline, offer, data.margin(scenario.name)) > minute:
            path = f"offers.{offer}.lead_time_minutes"
            shorter = _shorter(terms.lead_time_minutes)
            yield from _value("lead_time_minutes", offer, "min", path, shorter)


def _standby_power(trials: Trials, scenario: Scenario) -> Iterator[Value]:
    """Generators behind lost feeds that have none, batteries where those do not start in time."""
    model = trials.data.model
    for event in scenario.events:
        if not isinstance(event, NodeLoss) or event.kind != "feed":
            continue
        feed = model.feeds[event.name]
        if not feed.generator_mw:
            path = f"feeds.{event.name}.generator_mw"
            step = feed.capacity_mw / POWER_STEPS
            values = (round(step * one, 6) for one in range(1, POWER_STEPS + 1))
            yield from _value("generator_mw", event.name, "MW", path, values)
        else:
            path = f"feeds.{event.name}.ups_minutes"
            waits = {feed.generator_start_minutes, event.repair_minutes}
            longer = (one for one in sorted(waits) if one > feed.ups_minutes)
            yield from _value("ups_minutes", event.name, "min", path, longer)


def _unit_in_heat(trials: Trials, rises: Mapping[str, float]) -> Iterator[Value]:
    """What makes units carry nothing in the heat: where they stop, and their loss per degree."""
    data, model = trials.data, trials.data.model
    for plant, entry in model.plants.items():
        rise = rises[entry.region]
        ambient = model.regions[entry.region].design_ambient_c + rise
        for unit in data.units(plant):
            kind, path = model.cooling_units[unit], f"cooling_units.{unit}"
            if data.unit_mw(plant, unit, rise):
                continue
            if ambient > kind.cutout_ambient_c:
                field, measure, choices = "cutout_ambient_c", "°C", [ambient]
            else:
                field, measure = "derating_per_c", ""
                most, steps = 1 / (ambient - kind.reference_ambient_c), range(HEAT_STEPS)
                choices = [round(most * step / HEAT_STEPS, 6) for step in reversed(steps)]
            yield from _value(field, unit, measure, f"{path}.{field}", choices)


def _standby_cooling(trials: Trials, scenario: Scenario, cluster: str) -> Iterator[Value]:
    """Start-up times of standby units that cool a cluster, or any where it is about a tier."""
    data, model = trials.data, trials.data.model
    clusters = [cluster] if cluster in model.clusters else list(model.clusters)
    cooling = {"units", "largest-units", "plant", "sag", "heat", "feed"}
    if not any(event.kind in cooling for event in scenario.events):
        return
    plants = {plant for one in clusters for plant in data.plants_of(one)}
    for unit in sorted({unit for plant in plants for unit in data.units(plant)}):
        minutes = model.cooling_units[unit].start_minutes
        if model.cooling_units[unit].mode == "standby" and minutes:
            path = f"cooling_units.{unit}.start_minutes"
            yield from _value("start_minutes", unit, "min", path, _shorter(minutes))


def _reaction(trials: Trials, scenario: Scenario) -> Iterator[Value]:
    """Time from the alert to the first action, that of the scenario where it has its own."""
    path = "operations.response_minutes"
    if scenario.operations.response_minutes is not None:
        path = f"scenarios.{scenario.name}.{path}"
    model = trials.data.model
    if scenario.name not in model.scenarios and path.startswith("scenarios."):
        return
    shorter = _shorter(value_at(model, path))
    yield from _value("response_minutes", "", "min", path, shorter)
