"""What a failure asks of the places that customers reach, stage by stage, without its flows.

The argument is that of `planner.optimization.solution.hours`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from planner.infrastructure.entities import Model
from planner.infrastructure.fleet import retirable_blocks
from planner.optimization.formulation.crowds import unions_of
from planner.optimization.formulation.problem import ProblemData, offer_target
from planner.optimization.formulation.relevance import cooling_matters
from planner.optimization.formulation.stages import Stage
from planner.scenarios.demand import (
    SAME,
    Floats,
    demand_by_hour,
    hours_between,
    largest_demand_by_hour,
    weekly_demand,
)
from planner.scenarios.services import limited_services
from planner.scenarios.standard import ALL, emergency_budget_usd, tier_and_zone

Bools = NDArray[np.bool_]


def joined(stages: Sequence[Stage]) -> list[Stage]:
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


def most_spend_usd(data: ProblemData, stages: Sequence[Stage]) -> float:
    """Emergency spend with all that could be reserved in use from its arrival on, USD."""
    total = 0.0
    for stage in stages:
        for offer in stage.offers_at_best:
            terms = data.model.offers[offer]
            supply = terms.available_gpus // terms.gpus_per_instance
            most = max(supply, terms.existing_instances)
            total += stage.hours * most * terms.usd_per_instance_hour * terms.price_factor
    return total


def variant_pairs(before: Stage, after: Stage) -> Iterator[tuple[Stage, Stage]]:
    """Both stages in each reaction variant (numbers of `Stage.variants`; without any, always)."""
    for numbers, first in before.variants or ((None, before),):
        for others, second in after.variants or ((None, after),):
            if numbers is None or others is None or numbers & others:
                yield first, second


def demands_of(model: Model, stage: Stage) -> Floats:
    """Largest demand of each zone in a stage by the hour of the failure, shape (168, zones)."""
    largest = largest_demand_by_hour(model, stage.demand_minutes)
    demand: Floats = largest * _factors(model, stage)
    return demand


def _factors(model: Model, stage: Stage) -> Floats:
    """Demand over normal demand by zone."""
    return np.array([stage.state.demand_factor.get(zone, 1.0) for zone in model.zones])


def separate(data: ProblemData, stages: Sequence[Stage]) -> bool:
    """Whether only floors and the capacity of places couple customers, and stages are apart.

    Services with limits and floors of all tiers of a zone couple customers; an emergency budget
    that may be spent couples stages, and so do GPUs switched off before another failure.
    """
    floors = {name for stage in stages for floor in _floors(stage) for name in floor}
    zoned = any(tier == ALL and zone for tier, zone in map(tier_and_zone, floors))
    budget = emergency_budget_usd(data.model, stages[0].timeline.scenario)
    resumed = any(stage.label in data.resumed for stage in stages)
    coupled = zoned or resumed or bool(limited_services(data.model))
    return not coupled and most_spend_usd(data, stages) <= budget


def _floors(stage: Stage) -> list[Mapping[str, float]]:
    """Floors of a stage in each reaction variant."""
    variants = [variant for _, variant in stage.variants] or [stage]
    return [{**variant.floors_if_up, **variant.floors} for variant in variants]


@dataclass(frozen=True)
class Places:
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
    def of(cls, data: ProblemData) -> Places | None:
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
class Need:
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

    def implies(self, other: Need) -> bool:
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
        and all(
            before.delivered.get(offer, 1.0) <= after.delivered.get(offer, 1.0)
            for offer in before.offers
        )
        and all(before.started[plant] <= after.started[plant] for plant in before.started)
        and all(
            units <= after.started_or_restarting[plant]
            for plant, units in before.started_or_restarting.items()
        )
        for before, after in variant_pairs(stage, later)
    )


def needs_of(
    data: ProblemData,
    places: Places,
    stages: Sequence[Stage],
    implies: Callable[[Need, Need], bool] = Need.implies,
) -> list[Need]:
    """Needs that a plan might not meet, but for those that others imply."""
    found: list[Need] = []
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
                Need(stage, crowd, crowd & up, rps[:, n], float(most[n]))
                for n, crowd in enumerate(places.crowds)
                if most[n] > enough[n]
            ]
    kept: list[Need] = []
    for need in sorted(found, key=lambda need: (-need.most_rps, len(need.reach))):
        if not any(implies(known, need) for known in kept):
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
    model: Model, places: Places, floors: Mapping[str, float], up: Bools, demand: Floats
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


def in_proportion(demand: Floats, larger: Floats) -> bool:
    """Whether demand in every stage is that of another hour times one factor of at most 1."""
    if (demand > larger * (1 + SAME)).any():
        return False
    there = larger > 0
    share = np.divide(demand, larger, out=np.zeros(demand.shape), where=there)
    most, least = share.max(axis=1), np.where(there, share, np.inf).min(axis=1)
    return bool((most - np.minimum(least, most) <= SAME).all())
