"""Which stages have the same rows, and may share a template: what rows follow from, as keys.

Rows follow from the state of the infrastructure. With measures they follow from what has failed and
from all reaction variants too, and before it is settled whether the standard is in force, or tiers
are up, from what is asked for: such stages keep their demand. Where rows couple stages beyond that,
by an emergency budget that may bind, an earlier reaction or preemptible work, a scenario shares
nothing.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from planner.optimization.formulation.build import build_part
from planner.optimization.formulation.families import STRICTER, Family
from planner.optimization.formulation.preemption import priced_tiers
from planner.optimization.formulation.problem import ProblemData
from planner.optimization.formulation.programme import Programme
from planner.optimization.formulation.recourse import may_exceed_budget
from planner.optimization.formulation.stages import Stage
from planner.scenarios.services import degradation, replicas_up, service_rps
from planner.scenarios.standard import floors
from planner.scenarios.system_state import SystemState


@dataclass(frozen=True)
class Place:
    """Where a scenario happens.

    Parameters
    ----------
    base
        Programme of purchases and normal operation there.
    data, scenario
        What it is built from, and the name of the scenario in it.
    weight
        Cost of a year there for each USD.
    where
        Name of the place, where there are several.
    """

    base: Programme
    data: ProblemData
    scenario: str
    weight: float = 1.0
    where: str = ""

    @property
    def stages(self) -> Sequence[Stage]:
        """Its stages."""
        return self.data.stages_by_scenario.get(self.scenario, ())

    @property
    def frequency_per_year(self) -> float:
        """How often it happens in a year, times the weight."""
        return self.weight * self.data.by_name[self.scenario].frequency_per_year

    def programme(self, stages: Sequence[Stage] | None = None) -> Programme:
        """Recourse of the scenario, or of some stages in their place, as a programme."""
        part = self.data.part((self.scenario,))
        if stages is not None:
            part = part.with_stages(tuple(stages))
        return build_part(self.base, part)


def share_templates(data: ProblemData) -> bool:
    """Whether scenarios may share templates: their rows follow from states, stage by stage.

    Not where preemptible work couples stages.
    """
    return not priced_tiers(data) and data.cuts is None


def are_alike(place: Place) -> bool:
    """Whether the rows of a scenario follow from its states alone (see the module)."""
    data = place.data
    if not share_templates(data):
        return False
    if not data.resumed.isdisjoint(stage.label for stage in place.stages):
        return False
    waived = {
        (family, math.isinf(amount))
        for (family, _, scenario), amount in data.waived.items()
        if scenario == place.scenario
    }
    if (Family.SERVED_FLOOR, False) in waived:
        return False
    any_budget = waived & {(Family.EMERGENCY_BUDGET, True), (Family.EMERGENCY_BUDGET, False)}
    return bool(any_budget) or not may_exceed_budget(place.base, data, place.stages)


def distinct(place: Place) -> Sequence[Stage]:
    """Stages of a scenario with all rows that it has, once where only numbers in them differ."""
    if not are_alike(place):
        return place.stages
    keys, found = Keys(place), dict[Hashable, Sequence[Stage]]()
    for group in together(place.stages):
        asked = [bool(n) for s in group for n in (*s.floors.values(), *s.demand_rps.values())]
        found.setdefault((keys.of(group), *asked), group)
    return tuple(chain.from_iterable(found.values()))


def together(stages: Sequence[Stage]) -> Iterator[Sequence[Stage]]:
    """Stages before operators react, then each later one by itself."""
    early = [stage for stage in stages if not stage.when_reacted.certain]
    if early:
        yield early
    yield from ([stage] for stage in stages if stage.when_reacted.certain)


class Keys:
    """What the rows of stages of a scenario follow from, each as a key."""

    def __init__(self, place: Place) -> None:
        self._data, self._states = place.data, dict[int, tuple[SystemState, Hashable]]()
        waived = frozenset(
            (family, subject, amount)
            for (family, subject, scenario), amount in place.data.waived.items()
            if scenario == place.scenario
        )
        self._shared, self._waived = place.where, waived

    def of(self, group: Sequence[Stage]) -> Hashable:
        """Key of some stages that are built together."""
        waived = self._waived
        if group[0].when_reacted.certain:  # rooms store nothing then
            waived = frozenset(one for one in waived if one[0] not in STRICTER)
        return self._shared, waived, tuple(self._of_stage(stage) for stage in group)

    def _of_stage(self, stage: Stage) -> Hashable:
        reacted = stage.when_reacted.certain
        here = (
            self._of_state(stage.state),
            frozenset(stage.outage.restarts),
            _of_reaction(stage),
            None if reacted else (stage.hours, bool(stage.offers)),
            floor_names(self._data, stage) if stage.floors else (),
        )
        return (*here, *self._of_measures(stage)) if self._data.model.measures else here

    def _of_measures(self, stage: Stage) -> Iterator[Hashable]:
        """What rows of a stage follow from besides, where measures decide on them."""
        yield from (self._of_state(stage.at_best), stage.outage)
        for numbers, variant in stage.variants:
            offers = variant.offers, bool(variant.floors), variant.reacted
            yield numbers, offers, _of_reaction(variant)
        if keeps_demand(self._data, stage):
            yield stage.state.tiers_down, stage.offers
            for one in (stage, *(variant for _, variant in stage.variants)):
                asked = one.demand_rps, one.down_rps, one.floors, one.floors_if_up
                yield tuple(tuple(amounts.items()) for amounts in asked)

    def _of_state(self, state: SystemState) -> Hashable:
        if id(state) not in self._states:
            self._states[id(state)] = state, _of_state(state)
        return self._states[id(state)][1]


def _of_reaction(stage: Stage) -> Hashable:
    started, either = stage.started, stage.started_or_restarting
    shares = frozenset(stage.delivered.items())
    return tuple(started.values()), tuple(either.values()), shares


def _of_state(state: SystemState) -> Hashable:
    mappings = (
        state.lost_units, state.lost_largest, state.ambient_rise_c, state.demand_factor,
        state.power, state.replicas_down,
    )  # fmt: skip
    return (
        *(state.clusters_down, state.plants_down, state.plants_lost, state.offers_down),
        *(state.restarting, state.services_down),
        *(frozenset(mapping.items()) for mapping in mappings),
    )


def offers_of(data: ProblemData, stage: Stage) -> tuple[str, ...]:
    """All offers that may have arrived in a stage of its kind."""
    if stage.variants or keeps_demand(data, stage):
        return stage.offers_at_best
    if not stage.reacted and not stage.offers:
        return ()
    return tuple(offer for offer in data.model.offers if offer not in stage.state.offers_down)


def floor_names(data: ProblemData, stage: Stage) -> tuple[str, ...]:
    """Whose demand any floor of the scenario speaks of."""
    rules = floors(data.model, stage.timeline.scenario.severity)
    return tuple(dict.fromkeys(rule.subject for rule in rules))


def keeps_demand(data: ProblemData, stage: Stage) -> bool:
    """Whether coefficients of a stage, and not only right-hand sides, follow from what it asks for.

    So where measures decide on whether the standard is in force, whether tiers are up, or how much
    a service takes that may be too small.
    """
    model, state = data.model, stage.state
    if not model.measures:
        return False
    settled = stage.when(lambda variant: bool(variant.floors))
    if not settled.certain and (settled.numbers or stage.floors_if_up):
        return True
    return not state.tiers_down <= stage.at_best.tiers_down or _may_overload(data, stage)


def _may_overload(data: ProblemData, stage: Stage) -> bool:
    """Whether a service that measures enlarge may not take all of its requests without them."""
    model, state = data.model, stage.state
    enlarged = {name for measure in model.measures.values() for name in measure.connections}
    if not enlarged:
        return False
    shares = data.passing_shares(state.services_down)
    asked = {
        name: sum(rps * shares[tier].get(name, 0.0) for (_, tier), rps in stage.demand_rps.items())
        for name in enlarged
    }
    return any(
        rps
        > degradation(model, name, state, itself_up=True)
        * service_rps(model, name)
        * replicas_up(model, name, state)
        for name, rps in asked.items()
    )
