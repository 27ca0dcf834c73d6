"""Hours of the week at which a failure has to be planned for, by proof.

A failure runs through the same stages whenever it begins; only demand differs. What it asks of a
plan at an hour can be written without its flows. Customers of a crowd reach nothing beyond some
regions and offers. In a stage with demand d, floors f[k] of tiers and F of all together, these
places have to serve at least

    need = max(Σ_k (f[k]·d[k] − d[k] elsewhere)⁺, F·d − d elsewhere)

where *elsewhere* is the demand of those who reach something more. Serving everybody's floors is a
flow with lower bounds, so by the theorem on circulations (Hoffman, 1960) there is recourse if and
only if what the places of every crowd can serve is at least its need. What they can serve depends
on the plan and the stage, not on the hour. So a plan has recourse at every minute of every hour as
soon as the programme asks, in each stage, for as much as each crowd ever needs. Hours are planned
for until it does. In a stage it asks for the demand of minutes between which demand is a straight
line: needs are convex in it, so those of no minute between are larger. A crowd does not count where
its need is met by what normal operation asks for, or by GPUs that surely exist, whatever is bought.

That holds as long as nothing but floors and the capacity of places couples customers, and nothing
couples stages through demand (`_separate`). Else an hour is left out only if in every stage demand
is that of another hour times one factor of at most 1: flows then scale.

Where floors are shares of demand and zones are busy at different minutes of a stage, the programme
may ask for less than one of the minutes does; then hours are planned for until it asks for as much
as at any hour. The proof is about the recourse of the programme, at its design ambient. What the
simulator adds (queues, retries, heat that builds up, the ambient of the hour) is not monotone in
demand: `planner.verification` simulates the hours left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from planner.infrastructure.entities import Model
from planner.infrastructure.failures import Scenario
from planner.infrastructure.fleet import retirable_blocks
from planner.optimization.formulation.crowds import unions_of
from planner.optimization.formulation.problem import ProblemData, offer_target
from planner.optimization.formulation.relevance import cooling_matters
from planner.optimization.formulation.stages import Stage
from planner.optimization.solution.dominance import is_normal, most_spend_usd, variant_pairs
from planner.scenarios.demand import (
    HOURS_PER_WEEK,
    SAME,
    Floats,
    demand_by_hour,
    hours_between,
    largest_demand_by_hour,
    peak_hour,
    weekly_demand,
)
from planner.scenarios.services import limited_services
from planner.scenarios.standard import ALL, emergency_budget_usd, tier_and_zone

#: Digits of the share of needs beyond which hours do not differ.
BEYOND_DIGITS = 9
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class PlannedHours:
    """Hours of the week at which a failure is planned for.

    Parameters
    ----------
    stand_in
        Hour planned for that stands for each hour of the week; empty where the programme asks for
        no more at one hour than at another.
    """

    failure: Scenario
    stand_in: tuple[int, ...] = ()


def planned_hours(model: Model, failures: Sequence[Scenario]) -> Iterator[PlannedHours]:
    """Hours of the week that matter to each failure, in the order of the failures.

    Every hour that is left out is counted with the one that is planned for whose demand over the
    course of the failure is the least that is no less than its own, or with the largest. So the
    expected cost of recourse is priced at no less demand than there is, hour by hour, as far as
    the hours planned for reach; where zones differ in what they lose that is an estimate, no bound.
    """
    data = ProblemData(model, tuple(failures), {})
    places = _Places.of(data)
    for failure in failures:
        stages = data.stages_by_scenario.get(failure.name)
        if stages is None or is_normal(data, stages):
            yield PlannedHours(failure)
        else:
            yield PlannedHours(failure, _stand_in(data, places, stages))


def _stand_in(
    data: ProblemData, places: _Places | None, stages: Sequence[Stage]
) -> tuple[int, ...]:
    demands = [_demand_by_hour(data.model, stage) for stage in stages]
    asked = zip(stages, demands, strict=True)
    total: Floats = np.sum([stage.hours * demand.sum(axis=1) for stage, demand in asked], axis=0)
    if places is None or not _separate(data, stages):
        kept = _out_of_proportion(data.model, np.stack(demands, axis=1))
    else:
        kept = _enough(data.model, _needs(data, places, _joined(stages)))
    if not kept:
        return ()
    order = np.array(sorted(kept, key=lambda hour: (total[hour], hour)))
    position = np.searchsorted(total[order], total * (1 - SAME))
    found = order[np.minimum(position, len(order) - 1)]
    found[order] = order
    return tuple(found.tolist())


def _joined(stages: Sequence[Stage]) -> list[Stage]:
    """Stages without the cuts that demand makes, which lie elsewhere at other hours."""
    found: list[Stage] = []
    for stage in stages:
        pairs = [(found[-1], stage), *variant_pairs(found[-1], stage)] if found else []
        if pairs and all(_from(before, after) == before for before, after in pairs):
            minutes = (*found[-1].demand_minutes, *stage.demand_minutes)
            found[-1] = replace(found[-1], end_minute=stage.end_minute, demand_minutes=minutes)
        else:
            found.append(stage)
    return found


def _from(before: Stage, after: Stage) -> Stage:
    """A stage at the time and with the demand of the one before it."""
    return replace(
        after,
        index=before.index,
        start_minute=before.start_minute,
        end_minute=before.end_minute,
        demand_rps=before.demand_rps,
        down_rps=before.down_rps,
        demand_minutes=before.demand_minutes,
        variants=before.variants,
    )


def _demand_by_hour(model: Model, stage: Stage) -> Floats:
    """Largest demand of each zone in a stage by the hour of the failure, shape (168, zones)."""
    largest = largest_demand_by_hour(model, stage.demand_minutes)
    demand: Floats = largest * _factors(model, stage)
    return demand


def _factors(model: Model, stage: Stage) -> Floats:
    """Demand over normal demand by zone."""
    return np.array([stage.state.demand_factor.get(zone, 1.0) for zone in model.zones])


def _separate(data: ProblemData, stages: Sequence[Stage]) -> bool:
    """Whether only floors and the capacity of places couple customers, and stages are apart.

    Services with limits and floors of all tiers of a zone couple customers; an emergency budget
    that may be spent couples stages, and so do GPUs switched off before another failure.
    """
    floors = {name for stage in stages for floor in _floors(stage) for name in floor}
    zoned = any(tier == ALL and zone for tier, zone in map(tier_and_zone, floors))
    budget = emergency_budget_usd(data.model, stages[0].timeline.scenario)
    resumed = any(stage.label in data.resumed for stage in stages)
    coupled = zoned or resumed or bool(limited_services(data.model))
    return not coupled and most_spend_usd(data, tuple(stages)) <= budget


def _floors(stage: Stage) -> list[Mapping[str, float]]:
    """Floors of a stage in each reaction variant."""
    variants = [variant for _, variant in stage.variants] or [stage]
    return [{**variant.floors_if_up, **variant.floors} for variant in variants]


@dataclass(frozen=True)
class _Places:
    """Crowds of a model with the places that they reach.

    Parameters
    ----------
    crowds
        Regions and offers by crowd.
    inside
        Whether a zone and tier belong to a crowd, shape (crowds, zones, tiers).
    usual_rps
        Largest demand of each crowd in an hour of the week, which normal operation serves.
    reached
        Whether a crowd reaches a cluster, shape (crowds, clusters).
    least_rps, most_rps
        What clusters serve with the fewest and the most GPUs that a plan may have.
    known
        Needs worked out before: stages of different failures often ask for the same.
    """

    crowds: tuple[frozenset[str], ...]
    inside: Bools
    usual_rps: Floats
    reached: Bools
    least_rps: Floats
    most_rps: Floats
    known: dict[object, tuple[Floats, Floats]] = field(default_factory=dict)

    @classmethod
    def of(cls, data: ProblemData) -> _Places | None:
        """Crowds of a model; None where there are too many."""
        model, zones, tiers = data.model, list(data.model.zones), list(data.model.tiers)
        reach = {
            (zones.index(group.zone), tiers.index(tier)): frozenset(
                [model.clusters[cluster].region for cluster in group.clusters]
                + [offer_target(offer) for offer in group.offers]
            )
            for group in data.groups
            for tier in group.tiers
        }
        unions = unions_of(tuple(dict.fromkeys(reach.values())))
        if unions is None:
            return None
        crowds = tuple(dict.fromkeys([frozenset[str](), *unions]))
        inside = np.zeros((len(crowds), len(zones), len(tiers)), dtype=bool)
        for (zone, tier), places in reach.items():
            inside[:, zone, tier] = [places <= crowd for crowd in crowds]
        usual = np.einsum("zh,nzk,k->nh", weekly_demand(model), inside, _shares(model))
        homes = [cluster.region for cluster in model.clusters.values()]
        reached = np.array([[home in crowd for home in homes] for crowd in crowds], dtype=bool)
        return cls(crowds, inside, usual.max(axis=1), reached, *_served_at_least_and_most(data))

    def sure_rps(self, data: ProblemData, stage: Stage) -> Floats:
        """What the places of each crowd serve in a stage with any plan, shape (crowds,).

        Clusters that a stage spares serve at least what surely exists, and those of a crowd all
        together what normal operation asks for less the most that the others may have had.
        """
        down = stage.state.clusters_down
        hit = np.array(
            [name in down or cooling_matters(data, stage, name) for name in data.model.clusters],
            dtype=bool,
        )
        there, lost = self.reached @ (self.least_rps * ~hit), self.reached @ (self.most_rps * hit)
        sure: Floats = np.maximum(there, self.usual_rps - lost)
        return sure

    def need_rps(
        self, model: Model, stage: Stage, floors: Mapping[str, float], up: Bools
    ) -> tuple[Floats, Floats]:
        """What the places of each crowd have to serve, requests per second.

        By the programme at each hour, shape (168, crowds); ever, shape (crowds,).
        """
        times = stage.start_minute, stage.end_minute, stage.demand_minutes
        factors = tuple(sorted(stage.state.demand_factor.items()))
        key = times, factors, tuple(sorted(floors.items())), up.tobytes()
        if key not in self.known:
            need = partial(_need_rps, model, self, floors, up)
            rps = [
                need(demand_by_hour(model, at) * _factors(model, stage))
                for at in stage.demand_minutes
            ]
            self.known[key] = np.max(rps, axis=0), _most_at_once(model, stage, need)
        return self.known[key]


def _most_at_once(model: Model, stage: Stage, need: Callable[[Floats], Floats]) -> Floats:
    """Largest need of each crowd at a minute of a stage, whenever the failure begins.

    Needs are convex in demand, and demand is linear between whole hours.
    """
    factors = _factors(model, stage)
    start, end = stage.start_minute, stage.end_minute
    corners = [0.0] if hours_between(start, end) else []
    moments = [need(demand_by_hour(model, at) * factors) for at in (start, end, *corners)]
    most: Floats = np.max(moments, axis=(0, 1))
    return most


def _shares(model: Model) -> Floats:
    """Share of demand by tier."""
    return np.array([tier.share for tier in model.tiers.values()])


def _served_at_least_and_most(data: ProblemData) -> tuple[Floats, Floats]:
    """What clusters serve with the fewest and with the most GPUs that a plan may have."""
    clusters = data.model.clusters.items()
    rate = np.array([data.block_rps(name) / entry.block_gpus for name, entry in clusters])
    gone = [retirable_blocks(data.model, name) * entry.block_gpus for name, entry in clusters]
    existing = np.array([entry.existing_gpus for _, entry in clusters])
    most = np.array([entry.max_gpus for _, entry in clusters])
    return rate * (existing - np.array(gone)), rate * np.maximum(existing, most)


@dataclass(frozen=True)
class _Need:
    """What a crowd needs in a stage.

    Parameters
    ----------
    reach
        Regions and offers that may serve it there.
    rps
        What the programme asks of these by the hour of the failure, shape (168,).
    most_rps
        Most that the crowd ever needs, which the programme has to ask for at some hour.
    """

    stage: Stage
    crowd: frozenset[str]
    reach: frozenset[str]
    rps: Floats
    most_rps: float

    def implies(self, other: _Need) -> bool:
        """Whether places that meet this need at all hours meet another one too.

        Those of the other are the same and more, in a stage in which they serve no less.
        """
        same = self.stage is other.stage or _no_better(self.stage, other.stage)
        return same and self.most_rps >= other.most_rps and self.reach <= other.crowd


def _no_better(stage: Stage, later: Stage) -> bool:
    """Whether every place serves at least as much in a later stage of a failure."""
    alike = (stage.state, stage.at_best, stage.outage) == (later.state, later.at_best, later.outage)
    return alike and all(
        before.reacted == after.reacted
        and set(before.offers) <= set(after.offers)
        and all(before.started[plant] <= after.started[plant] for plant in before.started)
        and all(
            units <= after.started_or_restarting[plant]
            for plant, units in before.started_or_restarting.items()
        )
        for before, after in variant_pairs(stage, later)
    )


def _needs(data: ProblemData, places: _Places, stages: Sequence[Stage]) -> list[_Need]:
    """Needs that a plan might not meet, but for those that others imply."""
    found: list[_Need] = []
    for stage in stages:
        asked = [
            places.need_rps(data.model, stage, floors, up)
            for floors in _floors(stage)
            if any(floors.values())
            for up in _tiers_up(data.model, stage)
        ]
        up = _may_serve(data.model, stage)
        # What is less than the rounding of all demand together is nothing.
        enough = places.sure_rps(data, stage) + SAME * data.size_rps
        for rps, most in asked:
            # Where floors are shares, the programme may ask for less than a minute does.
            most = np.minimum(most, rps.max(axis=0))
            found += [
                _Need(stage, crowd, crowd & up, rps[:, n], float(most[n]))
                for n, crowd in enumerate(places.crowds)
                if most[n] > enough[n]
            ]
    kept: list[_Need] = []
    for need in sorted(found, key=lambda need: (-need.most_rps, len(need.reach))):
        if not any(known.implies(need) for known in kept):
            kept.append(need)
    return kept


def _may_serve(model: Model, stage: Stage) -> frozenset[str]:
    """Regions and offers that may serve anybody in a stage, with some measures bought."""
    clusters = model.clusters.items()
    up = [entry.region for name, entry in clusters if name not in stage.at_best.clusters_down]
    return frozenset([*up, *map(offer_target, stage.offers_at_best)])


def _tiers_up(model: Model, stage: Stage) -> Iterator[Bools]:
    """Which tiers are up, for every choice of measures, each of shape (tiers,)."""
    maybe = sorted(stage.state.tiers_down - stage.at_best.tiers_down)
    for size in range(len(maybe) + 1):
        for down in combinations(maybe, size):
            lost = stage.at_best.tiers_down.union(down)
            yield np.array([tier not in lost for tier in model.tiers])


def _need_rps(
    model: Model, places: _Places, floors: Mapping[str, float], up: Bools, demand: Floats
) -> Floats:
    """What the places of each crowd have to serve by hour, requests/s, shape (168, crowds)."""
    tiers, zones, shares = list(model.tiers), list(model.zones), _shares(model)
    share = np.array([floors.get(tier, 0.0) for tier in tiers])
    by_zone = np.zeros((len(zones), len(tiers)))
    for name, least in floors.items():
        tier, zone = tier_and_zone(name)
        if zone is not None:
            by_zone[zones.index(zone), tiers.index(tier)] = least
    elsewhere = np.einsum("hz,nzk,k->hnk", demand, ~places.inside, shares * up)
    here = np.einsum("hz,nzk,zk->hnk", demand, places.inside, by_zone * shares)
    whole = demand.sum(axis=1)[:, None]
    each = np.maximum(whole[:, :, None] * (share * shares) - elsewhere, here)
    together = floors.get(ALL, 0.0) * whole * shares.sum() - elsewhere.sum(axis=2)
    need: Floats = np.maximum(np.maximum(each, 0.0).sum(axis=2), together)
    return need


def _enough(model: Model, needs: Sequence[_Need]) -> list[int]:
    """Hours at which the programme asks for all needs; none where it does at every hour.

    Of hours that ask for a need that with the least beyond all needs is taken: what the programme
    asks for beyond them makes plans dearer for nothing.
    """
    share = np.array([need.rps / need.most_rps for need in needs]).reshape(-1, HOURS_PER_WEEK)
    asked = share >= 1 - SAME
    if asked.all():
        return []
    beyond = np.maximum(share - 1, 0.0).sum(axis=0).round(BEYOND_DIGITS)
    peak = peak_hour(model)
    order = sorted(range(HOURS_PER_WEEK), key=lambda h: (beyond[h], h != peak, h))
    kept: list[int] = []
    for hour in order:
        if (asked[:, hour] & ~asked[:, kept].any(axis=1)).any():
            kept.append(hour)
    for hour in kept[::-1]:
        others = [other for other in kept if other != hour]
        if asked[:, others].any(axis=1).all():
            kept = others
    return kept


def _out_of_proportion(model: Model, demand: Floats) -> list[int]:
    """Hours but for those at which demand is in proportion to that of another; none if all alike.

    Parameters
    ----------
    demand
        Requests per second, shape (168, stages, zones).
    """
    if (np.ptp(demand, axis=0) <= SAME * demand.max(axis=0)).all():
        return []
    total, peak = demand.sum(axis=(1, 2)), peak_hour(model)
    kept: list[int] = []
    for hour in sorted(range(HOURS_PER_WEEK), key=lambda h: (-total[h], h != peak, h)):
        if not any(_in_proportion(demand[hour], demand[other]) for other in kept):
            kept.append(hour)
    return kept


def _in_proportion(demand: Floats, larger: Floats) -> bool:
    """Whether demand in every stage is that of another hour times one factor of at most 1."""
    if (demand > larger * (1 + SAME)).any():
        return False
    there = larger > 0
    share = np.divide(demand, larger, out=np.zeros(demand.shape), where=there)
    most, least = share.max(axis=1), np.where(there, share, np.inf).min(axis=1)
    return bool((most - np.minimum(least, most) <= SAME).all())
