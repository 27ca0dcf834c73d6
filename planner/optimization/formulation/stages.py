"""Stages: slices of a scenario within which the programme's recourse does not change."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby

import numpy as np

from planner.infrastructure.entities import Model
from planner.infrastructure.fleet import plant_units
from planner.infrastructure.measures import feed_hit
from planner.optimization.formulation.availability import When
from planner.optimization.formulation.labels import joined
from planner.scenarios.demand import Floats
from planner.scenarios.onset import leaves_enough
from planner.scenarios.system_state import SystemState
from planner.scenarios.timeline import Outage, Timeline


@dataclass(frozen=True)
class ReactionVariant:
    """Reaction variant: how a scenario runs with one combination of the measures that change it.

    Parameters
    ----------
    number
        Position among the combinations of measures that change the reaction.
    model
        Model in which the standby units that these measures automate start by themselves.
    timeline
        The scenario with the reaction times that these measures shorten.
    """

    number: int
    model: Model
    timeline: Timeline

    @cached_property
    def units(self) -> dict[str, tuple[str, ...]]:
        """Unit types that a plant has or may get, by plant."""
        return {plant: plant_units(self.model, plant) for plant in self.model.plants}

    @cached_property
    def running(self) -> dict[str, frozenset[str]]:
        """Unit types that run at any time, by plant."""
        kinds = self.model.cooling_units
        return {
            plant: frozenset(
                unit
                for unit in units
                if self.model.plants[plant].role == "primary" and kinds[unit].mode == "running"
            )
            for plant, units in self.units.items()
        }

    @cached_property
    def starting(self) -> tuple[tuple[str, str], ...]:
        """Plants and unit types that start only when they are needed."""
        return tuple(
            (plant, unit)
            for plant, units in self.units.items()
            for unit in units
            if unit not in self.running[plant]
        )


@dataclass(frozen=True)
class Stage:
    """One time slice of a scenario, in which the recourse does not change.

    Parameters
    ----------
    index
        Position within the scenario.
    start_minute, end_minute
        Slice of time since the failure.
    demand_rps
        Largest demand of some minutes by (zone, tier); 0 for tiers that are down.
    down_rps
        Demand of tiers that are down, by (zone, tier): lost whatever is bought.
    demand_minutes
        Minutes that ``demand_rps`` is the largest demand of. That of all others is a mix of theirs
        and of those of the stages before and after.
    floors
        Least served fraction by tier or `all`.
    offers
        Offers whose capacity has arrived.
    delivered
        Share of what is reserved that has, by offer, where not 1.
    started
        Unit types that carry load by plant: running or started, and not restarting.
    reacted
        Whether operators have acted: GPUs may be switched off to fit the cooling.
    at_best
        What is up with all measures bought; ``state`` is with none.
    outage
        What has failed.
    floors_if_up
        Floors that hold only if no cluster is down, before load balancers have acted.
    started_or_restarting
        Unit types by plant that are running or started, whether or not they are restarting.
    variants
        The stage in each group of reaction variants that agree on it, with their numbers; empty
        where all agree.

    Notes
    -----
    The other fields describe the stage with no measure bought, except that tiers which a measure
    can keep up have their demand.
    """

    timeline: Timeline
    index: int
    start_minute: float
    end_minute: float
    state: SystemState
    demand_rps: Mapping[tuple[str, str], float]
    down_rps: Mapping[tuple[str, str], float]
    demand_minutes: tuple[float, ...]
    floors: Mapping[str, float]
    offers: tuple[str, ...]
    delivered: Mapping[str, float]
    started: Mapping[str, frozenset[str]]
    reacted: bool
    at_best: SystemState
    outage: Outage
    floors_if_up: Mapping[str, float]
    started_or_restarting: Mapping[str, frozenset[str]]
    variants: tuple[tuple[frozenset[int], Stage], ...] = ()

    def when(self, test: Callable[[Stage], bool]) -> When:
        """Reaction variants in which the stage passes a test."""
        if not self.variants:
            return When(test(self))
        passed = [numbers for numbers, stage in self.variants if test(stage)]
        if len(passed) == len(self.variants):
            return When(certain=True)
        return When(certain=False, numbers=frozenset().union(*passed))

    @cached_property
    def when_reacted(self) -> When:
        """Reaction variants in which operators have acted."""
        return self.when(lambda variant: variant.reacted)

    @property
    def scenario(self) -> str:
        """Name of the scenario."""
        return self.timeline.scenario.name

    @cached_property
    def label(self) -> str:
        """Name of the stage within the programme."""
        return joined(self.scenario, str(self.index))

    @cached_property
    def offers_at_best(self) -> tuple[str, ...]:
        """Offers whose capacity has arrived in some reaction variant."""
        stages = [self, *(variant for _, variant in self.variants)]
        return tuple(dict.fromkeys(offer for stage in stages for offer in stage.offers))

    @cached_property
    def plants_touched(self) -> frozenset[str]:
        """Plants that are down, or have units lost or restarting, with no measure bought."""
        state = self.state
        largest = (plant for plant, count in state.lost_largest.items() if count)
        units = (plant for plant, _ in (*state.lost_units, *state.restarting))
        return state.plants_down.union(largest, units)

    @cached_property
    def asked_rps(self) -> Floats:
        """Offered load by zone and tier in the model's order, rps; tiers that are down included."""
        lost = self.down_rps
        return np.array([rps + lost.get(key, 0.0) for key, rps in self.demand_rps.items()])

    @property
    def hours(self) -> float:
        """Length in hours."""
        return (self.end_minute - self.start_minute) / 60

    def named_losses(self, plant: str, units: frozenset[str] | None = None) -> dict[str, int]:
        """Numbers of units of a plant lost by name, by unit type, among those that carry load."""
        carrying = self.started[plant] if units is None else units
        return {
            unit: count
            for (hit, unit), count in self.state.lost_units.items()
            if hit == plant and unit in carrying
        }


def unanswered(stages: Sequence[Stage]) -> list[list[Stage]]:
    """Runs of stages before operators react, one for each failure that they react to."""
    runs = groupby(stages, lambda stage: stage.when_reacted.certain)
    return [list(run) for reacted, run in runs if not reacted]


def cannot_bind(
    model: Model,
    timeline: Timeline,
    normal: SystemState,
    best: SystemState | None = None,
) -> bool:
    """Whether the rest of the programme already implies every requirement of a scenario.

    True where nothing differs from normal operation but offers, or where nothing is lost but at
    most ``redundancy`` largest units of primary plants at design ambient: normal operation serves
    the demand of every hour of the week, hence any demand between two hours, and the N+k constraint
    covers the full design heat. This has to hold with no measure bought and with all of them.

    Parameters
    ----------
    normal, best
        Normal operation with no measure bought, and with all.
    """
    optional = {feed for measure in model.measures.values() for feed in measure.feeds}
    hit = {feed_hit(event) for event in timeline.scenario.events}
    if hit & optional:
        return False
    return all(
        leaves_enough(model, interval.state, normal)
        and leaves_enough(model, interval.at_best, best or normal)
        for interval in timeline.intervals
    )
