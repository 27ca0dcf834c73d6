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
couples stages through demand (`separate`). Else an hour is left out only if in every stage demand
is that of another hour times one factor of at most 1: flows then scale.

Where floors are shares of demand and zones are busy at different minutes of a stage, the programme
may ask for less than one of the minutes does; then hours are planned for until it asks for as much
as at any hour. The proof is about the recourse of the programme, at its design ambient. What the
simulator adds (queues, retries, heat that builds up, the ambient of the hour) is not monotone in
demand: `planner.verification` simulates the hours left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from planner.infrastructure.entities import Model
from planner.infrastructure.failures import Scenario
from planner.laws.calendar import HOURS_PER_WEEK
from planner.optimization.formulation.problem import ProblemData
from planner.optimization.formulation.relevance import is_normal
from planner.optimization.formulation.stages import Stage
from planner.optimization.solution.hot_days import PlannedDays, planned_days
from planner.optimization.solution.needs import (
    Need,
    Places,
    demands_of,
    in_proportion,
    joined,
    needs_of,
    separate,
)
from planner.scenarios.demand import SAME, Floats, peak_hour

#: Digits of the share of needs beyond which hours do not differ.
BEYOND_DIGITS = 9


@dataclass(frozen=True)
class PlannedHours:
    """Hours of the week at which a failure is planned for.

    Parameters
    ----------
    stand_in
        Hour planned for that stands for each hour of the week; empty where the programme asks for
        no more at one hour than at another.
    on_days
        Hours on days of the year planned for besides, where a climate has a year, and on how many
        days each stands for which hours of the week.
    """

    failure: Scenario
    stand_in: tuple[int, ...] = ()
    on_days: PlannedDays = field(default_factory=dict)


def planned_hours(model: Model, failures: Sequence[Scenario]) -> Iterator[PlannedHours]:
    """Hours of the week that matter to each failure, in the order of the failures.

    Every hour that is left out is counted with the one that is planned for whose demand over the
    course of the failure is the least that is no less than its own, or with the largest. So the
    expected cost of recourse is priced at no less demand than there is, hour by hour, as far as
    the hours planned for reach; where zones differ in what they lose that is an estimate, no bound.
    """
    data = ProblemData(model, tuple(failures))
    places, on_days = Places.of(data), planned_days(model, failures)
    for failure in failures:
        stages, days = data.stages_by_scenario.get(failure.name), on_days.get(failure.name, {})
        if stages is None or is_normal(data, stages):
            yield PlannedHours(failure, on_days=days)
        else:
            yield PlannedHours(failure, _stand_in(data, places, stages), days)


def _stand_in(data: ProblemData, places: Places | None, stages: Sequence[Stage]) -> tuple[int, ...]:
    demands = [demands_of(data.model, stage) for stage in stages]
    asked = zip(stages, demands, strict=True)
    total: Floats = np.sum([stage.hours * demand.sum(axis=1) for stage, demand in asked], axis=0)
    if places is None or not separate(data, stages):
        kept = _out_of_proportion(data.model, np.stack(demands, axis=1))
    else:
        kept = _enough(data.model, needs_of(data, places, joined(stages)))
    if not kept:
        return ()
    order = np.array(sorted(kept, key=lambda hour: (total[hour], hour)))
    position = np.searchsorted(total[order], total * (1 - SAME))
    found = order[np.minimum(position, len(order) - 1)]
    found[order] = order
    return tuple(found.tolist())


def _enough(model: Model, needs: Sequence[Need]) -> list[int]:
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
        if not any(in_proportion(demand[hour], demand[other]) for other in kept):
            kept.append(hour)
    return kept
