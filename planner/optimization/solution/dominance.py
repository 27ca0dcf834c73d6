"""Scenarios that cannot bind because another one is at least as severe in every respect.

A scenario s is dominated by d if any plan, with any measures, that has recourse for d has recourse
for s. A sufficient condition is checked: for each stage of s there is a stage of d in which the
same or more is down, no more units are left, it is as hot or hotter, demand is the same or higher
by one factor everywhere, there is no more power and no more emergency capacity, floors are as high,
and operators have acted in both or in neither. The recourse of d there, scaled to the demand of s,
is recourse for s. Three things couple stages. Before operators act, heat is stored: there d must be
as severe in every minute, and clusters that are up in s must be up in d, since a cluster that is
off stores nothing. GPUs that operators have switched off stay off when something else fails:
scenarios in which that happens are kept. And emergency spend adds up: unless it cannot reach the
budget, a stage of s must lie within that of d in time.

Dominance is about feasibility, not about cost. A dominated scenario has an expected cost of
recourse too, which `planner.optimization.solution.reduction` takes into account.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from planner.laws.calendar import HOURS_PER_WEEK
from planner.optimization.formulation.problem import ProblemData
from planner.optimization.formulation.relevance import cooling_matters, normal_limits, stage_limits
from planner.optimization.formulation.stages import Stage, cannot_bind
from planner.scenarios.standard import ALL, emergency_budget_usd, subject_of, tier_and_zone
from planner.scenarios.system_state import SystemState

#: Name that dominates scenarios in which all demand can be served as in normal operation.
NORMAL = "normal operation"
#: Relative difference up to which two demands are in the same proportion.
SAME = 1e-12


def dominated(data: ProblemData) -> dict[str, str]:
    """Scenarios of a programme that others dominate, each with one that is kept and dominates it.

    The first of all is normal operation (`NORMAL`), with the units that N+k can lose.
    Scenarios are compared only with those that lose at least the same things, found by the rarest
    thing that is lost, and the first that dominates ends the search. Of two that dominate each
    other the one stays that takes more hours of a year.
    """
    witness = {
        name: NORMAL for name, stages in data.stages_by_scenario.items() if is_normal(data, stages)
    }
    candidates = [
        _candidate(data, stages)
        for name, stages in data.stages_by_scenario.items()
        if name not in witness
    ]
    with_loss: dict[tuple[object, str], list[_Candidate]] = defaultdict(list)
    alike: dict[object, list[_Candidate]] = defaultdict(list)
    for candidate in candidates:
        alike[candidate.key].append(candidate)
        for loss in candidate.gone:
            with_loss[candidate.key, loss].append(candidate)
    for candidate in sorted(
        candidates, key=lambda scenario: (len(scenario.losses), scenario.hours_per_year)
    ):
        pools = [with_loss[candidate.key, loss] for loss in candidate.losses]
        pool = min(pools, key=len, default=alike[candidate.key])
        found = next(_dominating(data, candidate, pool, witness), None)
        if found is not None:
            witness[candidate.name] = found.name
    return {name: _last(witness, name) for name in witness}


def is_normal(data: ProblemData, stages: Sequence[Stage]) -> bool:
    """Whether nothing is lost but redundant units, offers and idle emergency plants.

    Emergency plants carry nothing as long as primary ones carry the design heat.
    """
    idle = frozenset(name for name, plant in data.model.plants.items() if plant.role == "emergency")

    def without(state: SystemState) -> SystemState:
        return replace(state, plants_down=state.plants_down - idle)

    timeline = stages[0].timeline
    intervals = tuple(
        replace(interval, state=without(interval.state), at_best=without(interval.at_best))
        for interval in timeline.intervals
    )
    normal, best = without(data.normal), without(data.normal_at_best)
    calm, margin = replace(timeline, intervals=intervals), data.margin(timeline.scenario.name)
    return cannot_bind(data.model, calm, normal, margin, best)


def _last(witness: Mapping[str, str], name: str) -> str:
    while name in witness:
        name = witness[name]
    return name


@dataclass(frozen=True)
class _Candidate:
    """A scenario with its stages, and digests that avoid most comparisons.

    Parameters
    ----------
    key
        Equal for any two scenarios of which one dominates the other.
    losses
        Losses that matter: any scenario that dominates this one has them too.
    """

    name: str
    stages: tuple[Stage, ...]
    key: object
    losses: frozenset[str]
    gone: frozenset[str]

    @property
    def hours_per_year(self) -> float:
        """Hours of a year that the scenario takes, and its recourse costs money."""
        hours = sum(stage.hours for stage in self.stages)
        return self.stages[0].timeline.scenario.frequency_per_year * hours


def _candidate(data: ProblemData, stages: list[Stage]) -> _Candidate:
    timeline = stages[0].timeline
    times = (
        timeline.failures,
        timeline.reaction_minutes,
        timeline.order_minute,
        timeline.start_hour % HOURS_PER_WEEK,
    )
    key = (data.margin(timeline.scenario.name), times)
    losses = frozenset(loss for stage in stages for loss in _losses(data, stage))
    gone = losses.union(*(_plants_touched(data, stage) for stage in stages))
    return _Candidate(timeline.scenario.name, tuple(stages), key, losses, gone)


def _losses(data: ProblemData, stage: Stage) -> Iterator[str]:
    """Losses that a scenario needs to be as severe as a stage."""
    state = stage.at_best
    yield from (f"cluster {name}" for name in state.clusters_down)
    yield from (f"zone {name}" for name, factor in state.demand_factor.items() if factor > 1)
    yield from (
        f"offer {name}" for name in stage.state.offers_down if _could_help(data, stage, name)
    )
    needing = {c for c in data.model.clusters if cooling_matters(data, stage, c)}
    for plant in _plants_touched(data, stage):
        if needing & set(data.model.plants[plant.removeprefix("plant ")].cools):
            yield plant


def _plants_touched(data: ProblemData, stage: Stage) -> frozenset[str]:
    return frozenset(
        f"plant {plant}" for plant in data.model.plants if _touched(stage.at_best, plant)
    )


def _could_help(data: ProblemData, stage: Stage, offer: str) -> bool:
    """Whether an offer, if it is up, has arrived by a stage in some reaction variant."""
    lead = data.model.offers[offer].lead_time_minutes
    late = data.margin(stage.scenario).late_minutes
    return stage.timeline.order_minute + lead + late <= stage.start_minute


def _touched(state: SystemState, plant: str) -> bool:
    hit = (*state.lost_units, *state.restarting)
    lost = state.lost_largest.get(plant, 0)
    return plant in state.plants_down or bool(lost) or any(plant == name for name, _ in hit)


def _dominating(
    data: ProblemData, candidate: _Candidate, pool: Iterable[_Candidate], witness: Mapping[str, str]
) -> Iterator[_Candidate]:
    for other in pool:
        if other is candidate or other.name in witness or not candidate.losses <= other.gone:
            continue
        if dominates(data, other.stages, candidate.stages):
            yield other


def dominates(data: ProblemData, worse: tuple[Stage, ...], stages: tuple[Stage, ...]) -> bool:
    """Whether recourse for one scenario is recourse for another, whatever is bought.

    Parameters
    ----------
    worse
        Stages of the scenario that has recourse.
    stages
        Stages of the other; both have the same margin.
    """
    model = data.model
    if any(stage.label in data.resumed for stage in stages):
        return False
    budget, worse_budget = (
        emergency_budget_usd(model, compared[0].timeline.scenario) for compared in (stages, worse)
    )
    slack = most_spend_usd(data, stages) <= budget
    if not slack and budget < worse_budget:
        return False
    return all(_has_recourse(data, worse, stage, slack) for stage in stages)


def _has_recourse(data: ProblemData, worse: tuple[Stage, ...], stage: Stage, slack: bool) -> bool:
    """Whether recourse of one of the stages suffices for a stage, and no more heat is stored."""
    meanwhile = [
        severe
        for severe in worse
        if severe.start_minute < stage.end_minute and stage.start_minute < severe.end_minute
    ]
    if not any(
        _covers(data, severe, stage)
        for severe in (worse if slack else meanwhile)
        if slack or not severe.offers_at_best or _within(stage, severe)
    ):
        return False
    if all(after.reacted for _, after in _variants(stage)):
        return True
    covered = bool(meanwhile) and meanwhile[-1].end_minute >= stage.end_minute
    return covered and all(_stores_as_much(data, severe, stage) for severe in meanwhile)


def _within(stage: Stage, other: Stage) -> bool:
    return other.start_minute <= stage.start_minute and stage.end_minute <= other.end_minute


def most_spend_usd(data: ProblemData, stages: tuple[Stage, ...]) -> float:
    """Emergency spend with all that could be reserved in use from its arrival on, USD."""
    total = 0.0
    for stage in stages:
        for offer in stage.offers_at_best:
            terms = data.model.offers[offer]
            supply = terms.available_gpus // terms.gpus_per_instance
            most = max(supply, terms.existing_instances)
            total += stage.hours * most * terms.usd_per_instance_hour * terms.price_factor
    return total


#: Numbers of reaction variants; None means all.
_Numbers = frozenset[int] | None


def _variants(stage: Stage) -> tuple[tuple[_Numbers, Stage], ...]:
    return stage.variants or ((None, stage),)


def variant_pairs(worse: Stage, stage: Stage) -> Iterator[tuple[Stage, Stage]]:
    """Both stages in each reaction variant."""
    for numbers, severe in _variants(worse):
        for others, mild in _variants(stage):
            if numbers is None or others is None or numbers & others:
                yield severe, mild


def _covers(data: ProblemData, worse: Stage, stage: Stage) -> bool:
    """Whether the recourse of one stage, scaled to the demand, is recourse for another.

    Heat before operators act is left to `_stores_as_much`.
    """
    return (
        _down_too(data, worse, stage)
        and _demand_in_proportion(worse, stage)
        and all(
            severe.reacted == mild.reacted
            and set(severe.offers) <= set(mild.offers)
            and _floors_as_high(data, severe, mild)
            and (not mild.reacted or _cools_no_better(data, severe, mild))
            and _no_more_power(data, severe, mild)
            for severe, mild in variant_pairs(worse, stage)
        )
    )


def _down_too(data: ProblemData, worse: Stage, stage: Stage) -> bool:
    """Whether all that is down is down in the worse stage too, whatever measures are bought."""
    if data.model.measures and not (
        stage.outage.failed <= worse.outage.failed
        and stage.outage.sags <= worse.outage.sags
        and set(stage.outage.restarts) <= set(worse.outage.restarts)
    ):
        return False
    both = ((worse.state, stage.state), (worse.at_best, stage.at_best))
    equal = data.margin(stage.scenario).demand > 0
    return all(
        mild.clusters_down <= severe.clusters_down
        and mild.tiers_down <= severe.tiers_down
        and not (equal and mild.tiers_down != severe.tiers_down)
        for severe, mild in both
    )


def _floors_as_high(data: ProblemData, worse: Stage, stage: Stage) -> bool:
    """Whether the floors of the worse stage imply those of a stage.

    What every tier gets all together get at least in the same share, and if all together get
    everything then so does every tier. The same goes for zones.
    """
    return all(
        least <= _implied_floor(data, worse.floors, *tier_and_zone(name))
        for floors in (stage.floors, stage.floors_if_up)
        for name, least in floors.items()
    )


def _implied_floor(
    data: ProblemData, floors: Mapping[str, float], tier: str, zone: str | None
) -> float:
    """Share that a tier, or all together, gets in a zone, or in all, where some floors are kept."""

    def stated(tier: str, zone: str | None) -> float:
        return floors.get(subject_of(tier, zone), 0.0)

    def everywhere(tier: str) -> float:
        return max(stated(tier, None), min(stated(tier, zone) for zone in data.model.zones))

    least_tier = min(everywhere(name) for name in data.model.tiers)
    if max(everywhere(ALL), least_tier) >= 1:
        return 1.0
    if zone is None:
        return max(everywhere(ALL), least_tier) if tier == ALL else everywhere(tier)
    if tier != ALL:
        whole = everywhere(tier) >= 1 or stated(ALL, zone) >= 1
        return 1.0 if whole else stated(tier, zone)
    return max(stated(ALL, zone), min(stated(name, zone) for name in data.model.tiers))


def _demand_in_proportion(worse: Stage, stage: Stage) -> bool:
    """Whether all demand is that of the worse stage times one factor of at most 1."""
    here, there = stage.asked_rps, worse.asked_rps
    if (here > there * (1 + SAME)).any():
        return False
    shares = here[there > 0] / there[there > 0]
    return not len(shares) or bool(np.ptp(shares) <= SAME)


def _cools_no_better(data: ProblemData, worse: Stage, stage: Stage) -> bool:
    """Whether every cluster in use in the worse stage can be cooled in the stage."""
    model = data.model
    needing = [
        name
        for name in model.clusters
        if name not in worse.at_best.clusters_down and cooling_matters(data, stage, name)
    ]
    return all(cooling_matters(data, worse, name) for name in needing) and all(
        _plant_no_better(data, worse, stage, plant)
        for plant, entry in model.plants.items()
        if any(name in entry.cools for name in needing)
    )


def _plant_no_better(data: ProblemData, worse: Stage, stage: Stage, plant: str) -> bool:
    """Whether a plant has no more capacity in the worse stage, whatever units it has."""
    conditions = ((worse.state, stage.state), (worse.at_best, stage.at_best))
    if all(plant in severe.plants_down for severe, _ in conditions):
        return True
    if any(
        plant in mild.plants_down and plant not in severe.plants_down for severe, mild in conditions
    ):
        return False
    region = data.model.plants[plant].region
    now, then = stage.state, worse.state
    units = worse.started_or_restarting[plant]
    return (
        worse.started[plant] <= stage.started[plant]
        and units <= stage.started_or_restarting[plant]
        and now.lost_largest.get(plant, 0) <= then.lost_largest.get(plant, 0)
        and now.ambient_rise_c.get(region, 0.0) <= then.ambient_rise_c.get(region, 0.0)
        and all(
            now.lost_units.get((plant, unit), 0) <= then.lost_units.get((plant, unit), 0)
            for unit in units
        )
    )


def _no_more_power(data: ProblemData, worse: Stage, stage: Stage) -> bool:
    """Whether power that is short is no less short in the worse stage, or in normal operation.

    Whatever has recourse for the worse stage keeps both. Before operators act all GPUs of clusters
    that are up draw power; `_stores_as_much` sees to it that these are the same, since where power
    is short cooling matters.
    """
    for region in data.model.regions:
        usual, limits = normal_limits(data, region), stage_limits(data, stage, region)
        kept = (*usual, *stage_limits(data, worse, region))
        if not all(any(known.implies(limit) for known in kept) for limit in limits):
            return False
    return True


def _stores_as_much(data: ProblemData, worse: Stage, stage: Stage) -> bool:
    """Whether, before operators act, every cluster that stores heat stores no less of it."""
    for severe, mild in variant_pairs(worse, stage):
        if mild.reacted:
            continue
        if severe.reacted:
            return False
        storing = [name for name in data.model.clusters if cooling_matters(data, mild, name)]
        if any(name in severe.state.clusters_down for name in storing):
            return False
        if not storing:
            continue
        lost = mild.state.plants_lost <= severe.state.plants_lost
        best = mild.at_best.plants_lost <= severe.at_best.plants_lost
        if not (lost and best and _cools_no_better(data, severe, mild)):
            return False
    return True
