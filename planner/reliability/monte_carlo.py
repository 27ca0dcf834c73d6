"""Adaptive sampling of a year's failures: a pilot, then more samples where variance is largest."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

import numpy as np

from planner.infrastructure.entities import Model
from planner.infrastructure.failures import Scenario
from planner.infrastructure.fleet import Fleet
from planner.infrastructure.graph import build_graph
from planner.infrastructure.measures import scenario_with, with_measures
from planner.laws.calendar import DAYS_PER_YEAR, HOURS_PER_WEEK
from planner.laws.money import lost_usd
from planner.reliability import SAMPLES
from planner.reliability.estimates import BLOCK, Floats, Ints
from planner.reliability.evaluation import LONGER, PeriodLosses, Progress, simulate_all
from planner.reliability.failure_sources import Source, sources_of
from planner.reliability.occurrences import MINUTES_PER_YEAR, NORMAL, Occurrences
from planner.reliability.periods import scenario_of
from planner.reliability.sampling import Down, Period, Process, Stratum
from planner.reliability.screening import Screen, calm_scenario
from planner.scenarios.climate import seasonal_regions
from planner.scenarios.demand import weekly_demand
from planner.scenarios.routing import tiers_by_priority


class FailureBias:
    """Sources of failures to favour in a state, known from what pairs of failures may cost.

    In a loss-free state, sources that may cause a loss together with one already failed are
    favoured; if there are none, or nothing has failed yet, those that may do so with any other.
    Where a loss is possible already nothing is favoured: rates decide. So they do for losses that
    need three failures of which no two do harm.

    Parameters
    ----------
    may_lose
        Whether a state, given as sources with the number of failed copies, may cause a loss.
    """

    def __init__(self, sources: int, may_lose: Callable[[Down], bool]) -> None:
        self._sources, self._may_lose = sources, may_lose
        self._known: dict[Down, Floats | None] = {}
        self._rows: dict[int, Floats] = {}

    def __call__(self, down: Down) -> Floats | None:
        """1 for sources to favour in a state, shape (sources,); None where rates decide."""
        if down not in self._known:
            self._known[down] = self._work_out(down)
        return self._known[down]

    def _work_out(self, down: Down) -> Floats | None:
        if not down:
            return self._partnered if self._partnered.any() else None
        if self._may_lose(down):
            return None
        near = np.max([self._row(source) for source, _ in down], axis=0)
        if near.any():
            return np.asarray(near)
        return self._partnered if self._partnered.any() else None

    def _row(self, first: int) -> Floats:
        """1 for sources that may cause a loss together with a given one, shape (sources,)."""
        if first not in self._rows:
            self._rows[first] = np.array(
                [float(self._together(first, other)) for other in range(self._sources)]
            )
        return self._rows[first]

    def _together(self, first: int, second: int) -> bool:
        for source in (first, second):
            if self._may_lose(((source, 1),)):
                return True
        if first == second:
            return self._may_lose(((first, 2),))
        return self._may_lose(tuple((source, 1) for source in sorted((first, second))))

    @cached_property
    def _partnered(self) -> Floats:
        """1 for sources that may cause a loss together with any other, shape (sources,)."""
        return np.array([self._row(source).max() for source in range(self._sources)])


#: Samples of a stratum in the pilot, and of that with several failures; as many follow at least.
PILOT, PILOT_OF_SEVERAL = BLOCK, 3 * BLOCK
#: Weight of the pilot in an estimate. It is fixed beforehand: were it to follow the numbers of
#: samples, which follow what the pilot found, strata unlucky in the pilot would stay too low.
PILOT_WEIGHT = 0.1
#: Share of the other samples for strata in which nothing has been lost so far.
EXPLORED = 0.15
#: Least standard deviation believed of a stratum, over its mean.
LEAST_DEVIATION = 0.3
#: Minutes of normal operation looked at in every hour of the week, and simulated where it is short.
GLANCE, HOUR = 15.0, 60.0


class Evaluator(Protocol):
    """Evaluates periods of failure: what each of them loses."""

    def may_lose(self, down: Down) -> bool:
        """Whether anything may be lost while something is down; if in doubt yes."""
        ...

    def evaluate(self, periods: Sequence[Period]) -> PeriodLosses:
        """What each period loses."""
        ...


def sample_occurrences(
    model: Model,
    fleet: Fleet,
    scenarios: Sequence[Scenario],
    samples: int = SAMPLES,
    seed: int = 0,
    progress: Progress | None = None,
) -> Occurrences:
    """Sample the failures of a year and what each of them costs a fleet.

    Parameters
    ----------
    model, fleet
        Infrastructure, and what there is of it.
    scenarios
        Selected scenarios; `planner.reliability.failure_sources` says which count as sources.
    samples
        Periods to draw; at least a few of each kind are.
    seed
        Seed: the same gives the same failures, for every fleet.
    progress
        Told of the progress, in words.

    Raises
    ------
    InputError
        If so much fails that hardly ever everything is up.
    ValueError
        If there is no sample to draw.
    """
    sources = tuple(
        source for source in sources_of(model, scenarios) if source.rate.times_per_year > 0
    )
    days = DAYS_PER_YEAR if seasonal_regions(model) else 1
    process = Process.of([source.rate for source in sources], days)
    cascade = Cascade(model, fleet, sources, progress)
    tiers = tiers_by_priority(model)
    mean_rps = float(weekly_demand(model).sum(axis=0).mean())
    shares = np.array([model.tiers[tier].share for tier in tiers])
    prices = np.array([_price(model, tier) for tier in tiers])
    sampler = Sampler(process, cascade, seed, tiers, prices, progress)
    found = sampler.sample(samples, mean_rps * shares)
    return _with_normal(found, cascade.normal(), process.up_probability)


def _price(model: Model, tier: str) -> float:
    """Worth of a request, USD."""
    terms = model.tiers[tier]
    per_1000 = terms.value_usd_per_1000_requests + terms.sla_credit_usd_per_1000_requests
    return float(lost_usd(1 / 3600, 1.0, per_1000))


class Cascade:
    """Evaluates periods by simulating the cascade on a fleet."""

    def __init__(
        self,
        model: Model,
        fleet: Fleet,
        sources: tuple[Source, ...],
        progress: Progress | None = None,
    ) -> None:
        self._original, self._fleet = model, fleet
        self._sources, self._progress = sources, progress
        self._model = with_measures(model, fleet.measures)
        self._normal: PeriodLosses | None = None
        unserved_minutes = self._hours(GLANCE).unserved_minutes.max(initial=0.0)
        whole = bool(unserved_minutes <= 1e-9 * GLANCE)
        if not whole:
            self._normal = self._hours(HOUR)
        graph = build_graph(self._model)
        self._screen = Screen(self._model, graph, fleet, sources, whole, model)

    def _hours(self, minutes: float) -> PeriodLosses:
        """Normal operation for some minutes from every hour of the week."""
        hours = range(HOURS_PER_WEEK)
        calm = tuple(calm_scenario(float(hour), minutes) for hour in hours)
        return simulate_all(self._model, self._fleet, calm, recovers=False)

    def normal(self) -> PeriodLosses | None:
        """Loss in each hour of a week of normal operation; None if there is none."""
        return self._normal

    def may_lose(self, down: Down) -> bool:
        """Whether anything may be lost while something is down."""
        return self._screen.may_lose(down)

    def evaluate(self, periods: Sequence[Period]) -> PeriodLosses:
        """What each period loses."""
        bought = self._fleet.measures
        scenarios = [
            scenario_with(self._original, scenario_of(period, self._sources), bought)
            for period in periods
        ]
        # Where normal operation is short, no time to recover makes everything served.
        return self._simulated(scenarios, LONGER if self._normal is None else ())

    def _simulated(self, scenarios: Sequence[Scenario], longer: Sequence[float]) -> PeriodLosses:
        return simulate_all(
            self._model,
            self._fleet,
            scenarios,
            longer=longer,
            progress=self._progress,
        )


@dataclass(frozen=True)
class _Drawn:
    """Samples: periods, places of their strata, times a year they stand for, what they lose."""

    periods: list[Period]
    stratum: Ints
    times_per_year: Floats
    outcome: PeriodLosses


class Sampler:
    """Draws periods and has them evaluated.

    Parameters
    ----------
    process
        Sources of failures.
    evaluator
        What periods lose.
    seed
        Seed.
    tiers
        Names of the tiers.
    prices
        Worth of a request by tier, USD; strata with the largest variance of loss get most samples.
    progress
        Told of the progress.
    """

    def __init__(
        self,
        process: Process,
        evaluator: Evaluator,
        seed: int,
        tiers: tuple[str, ...],
        prices: Floats,
        progress: Progress | None = None,
    ) -> None:
        self.process, self.evaluator, self.seed = process, evaluator, seed
        self.tiers, self.prices = tiers, prices
        self._say = progress or (lambda _: None)
        self._bias = FailureBias(len(process.sources), evaluator.may_lose)

    def sample(self, samples: int, demand_rps: Floats) -> Occurrences:
        """Samples of the periods of a year.

        Raises
        ------
        ValueError
            If there is no sample to draw.
        """
        if samples < 1:
            raise ValueError(f"Expected samples ≥ 1, got {samples}.")
        strata = tuple(stratum for stratum in self.process.strata() if self._may_lose(stratum))
        pilots = np.array(
            [PILOT if stratum.source is not None else PILOT_OF_SEVERAL for stratum in strata],
            dtype=np.int64,
        )
        if samples <= 2 * pilots.sum() or not strata:
            # As few as possible, whatever the pilot finds: all are simulated at once.
            kinds = "1 kind" if len(strata) == 1 else f"{len(strata)} kinds"
            told = f"{kinds} of failure, {2 * pilots.sum()} samples"
            self._say(told if strata else "nothing that fails can cost anything")
            first, second = self._draw(strata, (np.zeros_like(pilots), pilots, 2 * pilots))
        else:
            self._say(f"{len(strata)} kinds of failure, {pilots.sum()} samples to begin with")
            (first,) = self._draw(strata, (np.zeros_like(pilots), pilots))
            counts = self._allocate(strata, first, pilots, samples)
            self._say(f"adaptive sampling: {counts.sum()} samples")
            (second,) = self._draw(strata, (pilots, pilots + counts))
        return self._result(strata, first, second, demand_rps)

    def _may_lose(self, stratum: Stratum) -> bool:
        """Whether a stratum needs samples: one source alone may be known to do no harm."""
        return stratum.source is None or self.evaluator.may_lose(((stratum.source, 1),))

    def _draw(self, strata: tuple[Stratum, ...], numbers: Sequence[Ints]) -> list[_Drawn]:
        """Samples of each stratum from one number to the next, all evaluated together."""
        steps = [self._drawn(strata, have, want) for have, want in itertools.pairwise(numbers)]
        outcome = self._evaluate([period for drawn in steps for period in drawn.periods])
        found, first = [], 0
        for drawn in steps:
            last = first + len(drawn.periods)
            found.append(replace(drawn, outcome=outcome.part(first, last)))
            first = last
        return found

    def _drawn(self, strata: tuple[Stratum, ...], have: Ints, want: Ints) -> _Drawn:
        """Samples of each stratum from one number to another, losses not yet evaluated."""
        places = [
            (s, number) for s in range(len(strata)) for number in range(int(have[s]), int(want[s]))
        ]
        periods = [
            self.process.draw(strata[s], number, self.seed, self._bias) for s, number in places
        ]
        stratum = np.array([s for s, _ in places], dtype=np.int64)
        rates = np.array([stratum.times_per_year for stratum in strata]) / np.maximum(
            want - have, 1
        )
        weights = np.array([period.weight for period in periods])
        nothing = PeriodLosses.nothing(len(periods), len(self.tiers))
        return _Drawn(periods, stratum, weights * rates[stratum], nothing)

    def _evaluate(self, periods: list[Period]) -> PeriodLosses:
        """What periods lose; those that certainly lose nothing are not simulated."""
        may_lose = self.evaluator.may_lose
        doubtful = [i for i, period in enumerate(periods) if any(map(may_lose, period.downs()))]
        outcome = PeriodLosses.nothing(len(periods), len(self.tiers))
        if doubtful:
            found = self.evaluator.evaluate([periods[i] for i in doubtful])
            outcome.put(np.array(doubtful), found)
        return outcome

    def _allocate(
        self, strata: tuple[Stratum, ...], pilot: _Drawn, least: Ints, samples: int
    ) -> Ints:
        """Further samples of each stratum: Neyman's allocation, in proportion to the deviation.

        Several things are to be known well, the unserved minutes of every tier and the money lost:
        deviations are added up as squares of shares of what each comes to in all. A part goes to
        strata in which nothing was lost yet, by how often they come.

        J. Neyman, "On the two different aspects of the representative method", *Journal of the
        Royal Statistical Society* 97 (1934) 558-625.
        """
        usd = pilot.outcome.lost_requests @ self.prices + pilot.outcome.emergency_usd
        importance, quiet = np.zeros(len(strata)), np.ones(len(strata), dtype=bool)
        for values in (usd, *pilot.outcome.unserved_minutes.T):
            found = pilot.times_per_year * values
            parts = [found[pilot.stratum == s] for s in range(len(strata))]
            deviation = np.array([len(part) * _deviation(part) for part in parts])
            quiet &= np.array([not part.any() for part in parts], dtype=bool)
            if deviation.sum() > 0:
                importance += (deviation / deviation.sum()) ** 2
        rates = np.array([stratum.times_per_year for stratum in strata]) * quiet
        explored = EXPLORED * rates / max(float(rates.sum()), 1e-300)
        told = np.sqrt(importance)
        told *= (1 - EXPLORED) / max(float(told.sum()), 1e-300)
        return _shared_out(told + explored, least, samples - int(least.sum()))

    def _result(
        self, strata: tuple[Stratum, ...], pilot: _Drawn, rest: _Drawn, demand_rps: Floats
    ) -> Occurrences:
        """Both steps together, as strata of their own."""
        names = [source.name for source in self.process.sources]
        periods = [*pilot.periods, *rest.periods]
        times = np.concatenate(
            [PILOT_WEIGHT * pilot.times_per_year, (1 - PILOT_WEIGHT) * rest.times_per_year]
        )
        outcome = pilot.outcome.and_also(rest.outcome)
        stratum = np.concatenate([pilot.stratum, len(strata) + rest.stratum])
        members = [
            tuple(dict.fromkeys(names[failure.source] for failure in period.failures))
            for period in periods
        ]
        return Occurrences(
            tiers=self.tiers,
            times_per_year=times,
            sources=tuple(member[0] for member in members),
            members=tuple(members),
            lost_requests=outcome.lost_requests,
            unserved_minutes=outcome.unserved_minutes,
            emergency_usd=outcome.emergency_usd,
            stratum=stratum,
            number=np.array([period.number for period in periods], dtype=np.int64),
            strata=(
                *(f"{stratum.name}, pilot" for stratum in strata),
                *(stratum.name for stratum in strata),
            ),
            rates=self.process.sources,
            demand_rps=demand_rps,
            truncated_minutes_per_year=float(
                times @ [period.dropped_minutes for period in periods]
            ),
            samples=len(times),
            simulated=int((outcome.minutes > 0).sum()),
            seed=self.seed,
        )


def _deviation(values: Floats) -> float:
    """Standard deviation, at least a part of the mean: few values may look alike by chance."""
    return max(float(values.std(ddof=1)), LEAST_DEVIATION * abs(float(values.mean())))


def _shared_out(importance: Floats, have: Ints, samples: int) -> Ints:
    """Further samples in proportion to importance, in whole blocks.

    >>> _shared_out(np.array([3.0, 1.0, 0.0]), np.array([8, 8, 8]), 72)
    array([48, 16,  8])
    """
    counts = have.copy()
    open_ones = importance > 0
    while open_ones.any():
        left = samples - int(counts[~open_ones].sum())
        wanted = np.where(open_ones, left * importance / importance[open_ones].sum(), 0.0)
        enough = open_ones & (wanted < have)
        if not enough.any():
            counts[open_ones] = BLOCK * (wanted[open_ones] / BLOCK + 1e-9).astype(np.int64)
            break
        open_ones &= ~enough
    return np.maximum(counts, have)


def _with_normal(
    found: Occurrences, normal: PeriodLosses | None, up_probability: float
) -> Occurrences:
    """The samples with what is lost in normal operation, one for each hour of the week."""
    if normal is None:
        return found
    hours = HOURS_PER_WEEK
    weeks = up_probability * MINUTES_PER_YEAR / (60 * hours)
    return replace(
        found,
        times_per_year=np.append(found.times_per_year, np.full(hours, weeks)),
        sources=(*found.sources, *(NORMAL,) * hours),
        members=(*found.members, *((),) * hours),
        lost_requests=np.vstack([found.lost_requests, normal.lost_requests]),
        unserved_minutes=np.vstack([found.unserved_minutes, normal.unserved_minutes]),
        emergency_usd=np.append(found.emergency_usd, normal.emergency_usd),
        stratum=np.append(found.stratum, np.full(hours, len(found.strata))),
        number=np.append(found.number, np.arange(hours)),
        strata=(*found.strata, NORMAL),
    )
