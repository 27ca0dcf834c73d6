"""Days of the year on which a failure has to be planned for, by proof.

What a failure asks of a plan depends on demand, which follows the hour of the week, and on heat,
which follows the hour of the day and the day of the year; any day of the year may be any day of the
week. Where no region is hotter than its design ambient all days are alike, and hours of the week
stand for them (`planner.optimization.solution.hours`). On a hotter day plants carry less, and each
stage is planned for at the highest excess of its interval (`planner.scenarios.climate`).

Places serve no less where it is cooler. So a plan has recourse at an hour of a day if for each need
(`planner.optimization.solution.needs`) it has recourse at one at which the programme asks the
places in reach for at least as much while none of them is cooler in that stage. Where needs do not
say it all, an hour of a day is left out only if demand is that of another one times a factor of at
most 1 in every stage, and no region hotter in any.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from planner.infrastructure.entities import Model
from planner.infrastructure.failures import Scenario
from planner.laws.calendar import DAYS_PER_YEAR, HOTTEST, HOURS_PER_WEEK, on_day
from planner.optimization.formulation.problem import ProblemData
from planner.optimization.formulation.relevance import is_normal
from planner.optimization.formulation.stages import Stage
from planner.optimization.solution.needs import (
    Need,
    Places,
    demands_of,
    in_proportion,
    joined,
    needs_of,
    separate,
)
from planner.scenarios.climate import excess_by_hour, seasonal_regions
from planner.scenarios.demand import SAME, Floats, undominated
from planner.scenarios.hours import at_hour
from planner.scenarios.timeline import Timeline, timeline_of

#: An hour of the week on a day of the year, from 0 on.
Moment = tuple[int, int]
#: Hours of the week on a day, and of which hours of the week on how many days each stands.
PlannedDays = Mapping[int, Mapping[int, int]]
#: Hours of the week by hour of the day, shape (24, 7).
WEEKDAYS = np.arange(HOURS_PER_WEEK).reshape(7, 24).T


def planned_days(model: Model, failures: Sequence[Scenario]) -> dict[str, PlannedDays]:
    """Hours on days of the year that matter to each failure beside the hours of the week."""
    if not seasonal_regions(model):
        return {}
    base = ProblemData(model, ())
    excess = _Excess(model)
    timelines = {one.name: timeline_of(model, base.graph, one) for one in failures}
    hottest = {}
    for failure in failures:
        by_hour = excess.of(timelines[failure.name]).sum(axis=(0, 3)).max(axis=0)
        if by_hour.any():
            hottest[failure.name] = at_hour(failure, on_day(int(by_hour.argmax()), HOTTEST))
    data = ProblemData(model, tuple(hottest.values()), {})
    places, found = Places.of(data), {}
    for name, scenario in hottest.items():
        stages = data.stages_by_scenario.get(scenario.name)
        if stages is not None and not is_normal(data, stages):
            heat = excess.of(timelines[name])
            found[name] = _Days(data, places, stages, timelines[name], heat).planned()
    return found


@dataclass(frozen=True)
class _Excess:
    """Degrees above design ambient by interval, worked out once for each span of time."""

    model: Model
    known: dict[tuple[float, float], Floats] = field(default_factory=dict)

    def of(self, timeline: Timeline) -> Floats:
        """Excess from each hour on, shape (intervals, days, 24, seasonal regions)."""
        spans = [(one.start_minute, one.end_minute) for one in timeline.intervals]
        for span in spans:
            if span not in self.known:
                by_hour = excess_by_hour(self.model, *span)
                self.known[span] = by_hour.reshape(DAYS_PER_YEAR, 24, -1)
        return np.array([self.known[span] for span in spans])


@dataclass(frozen=True)
class _Days:
    """Days of one failure.

    Parameters
    ----------
    stages
        Its stages on some hot day.
    timeline
        Its timeline without heat of the season.
    excess
        Degrees above design ambient, shape (intervals, days, 24, seasonal regions).
    """

    data: ProblemData
    places: Places | None
    stages: Sequence[Stage]
    timeline: Timeline
    excess: Floats

    def planned(self) -> PlannedDays:
        """Hours on days, each with what it stands for."""
        if self.places is None or not separate(self.data, self.stages):
            heat = self._heat(range(len(self.excess)), seasonal_regions(self.data.model))
            kept = self._out_of_proportion(heat)
        else:
            hot = [self._at_hottest(stage) for stage in joined(self.stages)]
            needs = needs_of(self.data, self.places, hot, self._implies)
            heats = [self._heat([self._interval(need.stage)], need.reach) for need in needs]
            kept = self._enough(needs, heats)
            heat = np.concatenate(heats, axis=2) if heats else self.excess[0, :, :, :0]
        return self._counted(kept, heat)

    def _interval(self, stage: Stage) -> int:
        starts = [one.start_minute for one in self.timeline.intervals]
        return int(np.searchsorted(starts, stage.start_minute, side="right")) - 1

    def _heat(self, intervals: Sequence[int], regions: object) -> Floats:
        """Excess that counts, shape (days, 24, kinds)."""
        assert isinstance(regions, frozenset | tuple)
        columns = [n for n, r in enumerate(seasonal_regions(self.data.model)) if r in regions]
        kinds = [
            self.excess[interval, :, :, column] for interval in intervals for column in columns
        ]
        hot = [kind for kind in kinds if kind.any()]
        return np.stack(hot, axis=2) if hot else self.excess[0, :, :, :0]

    def _at_hottest(self, stage: Stage) -> Stage:
        """A stage as hot in each region as it is at any hour of the year."""
        before = self.timeline.intervals[self._interval(stage)].state.ambient_rise_c
        most = self.excess[self._interval(stage)].max(axis=(0, 1))
        by_region = zip(seasonal_regions(self.data.model), most, strict=True)
        rises = {**before, **{r: before.get(r, 0.0) + float(c) for r, c in by_region if c}}
        return replace(
            stage,
            state=replace(stage.state, ambient_rise_c=rises),
            at_best=replace(stage.at_best, ambient_rise_c=rises),
            variants=tuple((numbers, self._at_hottest(one)) for numbers, one in stage.variants),
        )

    def _implies(self, need: Need, other: Need) -> bool:
        """Whether places that meet a need at an hour of a day meet another one then too."""
        alike = self._interval(need.stage) == self._interval(other.stage)
        return alike and need.implies(other) and bool((need.rps >= other.rps * (1 - SAME)).all())

    def _enough(self, needs: Sequence[Need], heats: Sequence[Floats]) -> list[Moment]:
        """Hours on days that ask for all needs, each at its heat."""
        asked = [np.minimum(need.rps, need.most_rps) for need in needs]
        wanted = [
            (n, moment)
            for n, heat in enumerate(heats)
            for moment in _hottest_and_busiest(asked[n], heat)
        ]
        moments = list(dict.fromkeys(moment for _, moment in wanted))

        def covers(there: Moment, n: int, here: Moment) -> bool:
            enough = asked[n][there[0]] >= asked[n][here[0]] * (1 - SAME)
            return bool(enough and (_at(heats[n], there) >= _at(heats[n], here) - SAME).all())

        covered = np.array(
            [[covers(moment, n, here) for n, here in wanted] for moment in moments], dtype=bool
        )
        kept: list[int] = []
        left = np.ones(len(wanted), dtype=bool)
        while left.any():
            kept.append(int((covered & left).sum(axis=1).argmax()))
            left &= ~covered[kept[-1]]
        for one in kept[::-1]:
            others = [other for other in kept if other != one]
            if others and covered[others].any(axis=0).all():
                kept = others
        return [moments[one] for one in kept]

    def _out_of_proportion(self, heat: Floats) -> list[Moment]:
        demand = np.stack([demands_of(self.data.model, one) for one in self.stages], axis=1)
        total = demand.sum(axis=(1, 2))
        moments = [
            (int(of_week), day)
            for hour in range(24)
            for day in _hot_days(heat[:, hour])
            for of_week in WEEKDAYS[hour]
        ]
        moments.sort(key=lambda moment: (-total[moment[0]], -_at(heat, moment).sum(), moment))
        kept: list[Moment] = []
        for moment in moments:
            if not any(
                in_proportion(demand[moment[0]], demand[other[0]])
                and (_at(heat, moment) <= _at(heat, other) + SAME).all()
                for other in kept
            ):
                kept.append(moment)
        return kept

    def _counted(self, kept: Sequence[Moment], heat: Floats) -> PlannedDays:
        """What each stands for: hot hours with the least demand of those hotter and busier.

        Those that none is both hotter and busier than are counted with the busiest, of the
        hotter ones if there are any.
        """
        hours = [stage.hours for stage in self.stages]
        demands = [demands_of(self.data.model, stage).sum(axis=1) for stage in self.stages]
        total = np.einsum("s,sh->h", hours, demands)
        order = sorted(kept, key=lambda moment: (total[moment[0]], moment))
        if not order:
            return {}
        days, times = np.nonzero(heat.any(axis=2))
        hotter = np.array(
            [(_at(heat, one) >= heat[days, times] - SAME).all(axis=1) for one in order]
        )
        found: dict[int, Counter[int]] = {on_day(*one): Counter() for one in order}
        for weekday in range(7):
            of_week = WEEKDAYS[times, weekday]
            busier = np.array([total[one[0]] >= total[of_week] * (1 - SAME) for one in order])
            # The first that is both; else the last that is hotter, or the last of all.
            rank = 3.0 * len(order) * (hotter & busier) + len(order) * hotter
            step = np.arange(len(order))[:, None]
            best = (rank + np.where(hotter & busier, -step, step)).argmax(axis=0)
            for one, hour in zip(best.tolist(), of_week.tolist(), strict=True):
                found[on_day(*order[one])][hour] += 1
        return found


def _at(heat: Floats, moment: Moment) -> NDArray[np.float64]:
    found: Floats = heat[moment[1], moment[0] % 24]
    return found


def _hot_days(heat: Floats) -> list[int]:
    """Days hotter than design that no other is hotter than, from heat of shape (days, kinds)."""
    hot = np.flatnonzero(heat.any(axis=1))
    return hot[undominated(heat[hot])].tolist() if len(hot) else []


def _hottest_and_busiest(asked: Floats, heat: Floats) -> list[Moment]:
    """Hours on days than which none asks for more and is hotter, from heat (days, 24, kinds)."""
    if not heat.any():
        return []
    moments = []
    for hour in range(24):
        of_week = int(WEEKDAYS[hour][asked[WEEKDAYS[hour]].argmax()])
        moments += [(of_week, day) for day in _hot_days(heat[:, hour])]
    values = np.array([[asked[one[0]], *_at(heat, one)] for one in moments])
    # On one scale: sums decide which of equal ones stays.
    return [moments[n] for n in undominated(values / np.maximum(values.max(axis=0), SAME)).tolist()]
