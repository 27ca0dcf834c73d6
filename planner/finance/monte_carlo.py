"""Sampling the failures of a year: a pilot, then samples where they tell most."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from planner.finance.estimates import BLOCK, Floats, Ints
from planner.finance.occurrences import MINUTES_PER_YEAR, NORMAL, Occurrences
from planner.finance.periods import scenario_of
from planner.finance.sampling import Down, Period, Process, Stratum
from planner.finance.steering import Steering
from planner.finance.screening import Screen, calm_scenario
from planner.finance.simulating import Outcome, simulate_all
from planner.finance.sources import Source, sources_of
from planner.infrastructure.entities import Model
from planner.infrastructure.failures import Scenario
from planner.infrastructure.fleet import Fleet
from planner.infrastructure.graph import build_graph
from planner.infrastructure.measures import scenario_with, with_measures
from planner.laws.money import lost_usd
from planner.scenarios.demand import HOURS_PER_WEEK, weekly_demand

#: Samples that are drawn where the caller does not say.
SAMPLES = 600
#: Samples of a stratum in the pilot.
PILOT = BLOCK
#: Share of the other samples for strata in which nothing has been lost so far.
EXPLORED = 0.15
#: Minutes of normal operation looked at in every hour of the week, and simulated where it is short.
GLANCE, HOUR = 15.0, 60.0

Report = Callable[[str], object]


class Evaluator(Protocol):
    """What periods of failure lose."""

    def may_lose(self, down: Down) -> bool:
        """Whether anything may be lost while something is down; if in doubt yes."""
        ...

    def evaluate(self, periods: Sequence[Period]) -> Outcome:
        """What each period loses."""
        ...


def sample_occurrences(
    model: Model,
    fleet: Fleet,
    scenarios: Sequence[Scenario],
    samples: int = SAMPLES,
    seed: int = 0,
    processes: int = 1,
    report: Report | None = None,
) -> Occurrences:
    """Sample what the failures of a year do to a fleet.

    Parameters
    ----------
    model, fleet
        Infrastructure, and what there is of it.
    scenarios
        Selected scenarios; `planner.finance.sources.sources_of` says which count as sources.
    samples
        Periods to draw; at least a few of each kind are.
    seed
        Seed: the same gives the same failures, for every fleet.
    processes
        Processes to share the simulation among.
    report
        Told of the progress, in words.

    Raises
    ------
    InputError
        If so much fails that hardly ever everything is up.
    ValueError
        If there is no sample to draw.
    """
    sources = tuple(one for one in sources_of(model, scenarios) if one.rate.times_per_year > 0)
    process = Process.of([one.rate for one in sources])
    cascade = Cascade(model, fleet, sources, processes)
    tiers = tuple(sorted(model.tiers, key=lambda tier: model.tiers[tier].priority))
    mean_rps = float(weekly_demand(model).sum(axis=0).mean())
    shares = np.array([model.tiers[tier].share for tier in tiers])
    prices = np.array([_price(model, tier) for tier in tiers])
    sampler = Sampler(process, cascade, seed, tiers, prices, report)
    found = sampler.sample(samples, mean_rps * shares)
    return _with_normal(found, cascade.normal(), process.up_probability)


def _price(model: Model, tier: str) -> float:
    """Worth of a request, USD."""
    one = model.tiers[tier]
    per_1000 = one.value_usd_per_1000_requests + one.sla_credit_usd_per_1000_requests
    return float(lost_usd(1 / 3600, 1.0, per_1000))


class Cascade:
    """Evaluates periods by simulating the cascade on a fleet."""

    def __init__(
        self, model: Model, fleet: Fleet, sources: tuple[Source, ...], processes: int
    ) -> None:
        self._original, self._fleet, self._processes = model, fleet, processes
        self._sources = sources
        self._model = with_measures(model, fleet.measures)
        self._normal: Outcome | None = None
        whole = self._glance()
        if not whole:
            self._normal = self._hours(HOUR)
        graph = build_graph(self._model)
        self._screen = Screen(self._model, graph, fleet, sources, whole, model)

    def _hours(self, minutes: float) -> Outcome:
        """Normal operation for some minutes from every hour of the week."""
        hours = range(HOURS_PER_WEEK)
        calm = tuple(calm_scenario(float(hour), minutes) for hour in hours)
        return simulate_all(self._model, self._fleet, calm, self._processes, recovers=False)

    def _glance(self) -> bool:
        """Whether normal operation serves everything."""
        return bool(self._hours(GLANCE).unserved_minutes.max(initial=0.0) <= 1e-9 * GLANCE)

    def normal(self) -> Outcome | None:
        """What is lost in each hour of a week with nothing down; None if nothing is."""
        return self._normal

    def may_lose(self, down: Down) -> bool:
        """Whether anything may be lost while something is down."""
        return self._screen.may_lose(down)

    def evaluate(self, periods: Sequence[Period]) -> Outcome:
        """What each period loses."""
        bought = self._fleet.measures
        scenarios = [
            scenario_with(self._original, scenario_of(one, self._sources), bought)
            for one in periods
        ]
        return simulate_all(self._model, self._fleet, scenarios, self._processes)


@dataclass(frozen=True)
class _Drawn:
    """Samples so far: periods, places of their strata, what they lose."""

    periods: list[Period]
    stratum: Ints
    outcome: Outcome


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
        Worth of a request by tier, USD, which says where samples tell most.
    report
        Told of the progress.
    """

    def __init__(
        self,
        process: Process,
        evaluator: Evaluator,
        seed: int,
        tiers: tuple[str, ...],
        prices: Floats,
        report: Report | None = None,
    ) -> None:
        self.process, self.evaluator, self.seed = process, evaluator, seed
        self.tiers, self.prices = tiers, prices
        self._say = report or (lambda _: None)
        self._steering = Steering(len(process.sources), evaluator.may_lose)

    def sample(self, samples: int, demand_rps: Floats) -> Occurrences:
        """Samples of the periods of a year.

        Raises
        ------
        ValueError
            If there is no sample to draw.
        """
        if samples < 1:
            raise ValueError(f"Expected samples ≥ 1, got {samples}.")
        strata = tuple(one for one in self.process.strata() if self._may_lose(one))
        pilot = max(2, min(PILOT, samples // max(1, len(strata))))
        counts = np.full(len(strata), pilot, dtype=np.int64)
        self._say(f"{len(strata)} kinds of failure, {counts.sum()} samples to begin with")
        drawn = self._draw(strata, np.zeros_like(counts), counts)
        more = self._allocate(strata, drawn, samples)
        self._say(f"{more.sum() - counts.sum()} more samples where they tell most")
        drawn = self._draw(strata, counts, more, drawn)
        return self._result(strata, drawn, more, demand_rps)

    def _may_lose(self, stratum: Stratum) -> bool:
        """Whether a stratum has anything to sample: one source alone may be known to do no harm."""
        return stratum.joined or self.evaluator.may_lose(((stratum.source, 1),))

    def _draw(
        self, strata: tuple[Stratum, ...], have: Ints, want: Ints, before: _Drawn | None = None
    ) -> _Drawn:
        """Samples of each stratum from one number to another, after those before."""
        places = [
            (s, number)
            for s in range(len(strata))
            for number in range(int(have[s]), int(want[s]))
        ]
        periods = [
            self.process.draw(strata[s], number, self.seed, self._steering)
            for s, number in places
        ]
        stratum = np.array([s for s, _ in places], dtype=np.int64)
        outcome = self._evaluate(periods)
        if before is None:
            return _Drawn(periods, stratum, outcome)
        return _Drawn(
            [*before.periods, *periods],
            np.concatenate([before.stratum, stratum]),
            before.outcome.and_also(outcome),
        )

    def _evaluate(self, periods: list[Period]) -> Outcome:
        """What periods lose; those that certainly lose nothing are not simulated."""
        may_lose = self.evaluator.may_lose
        doubtful = [i for i, one in enumerate(periods) if any(map(may_lose, one.downs()))]
        outcome = Outcome.nothing(len(periods), len(self.tiers))
        if doubtful:
            found = self.evaluator.evaluate([periods[i] for i in doubtful])
            outcome.put(np.array(doubtful), found)
        return outcome

    def _allocate(self, strata: tuple[Stratum, ...], drawn: _Drawn, samples: int) -> Ints:
        """Samples of each stratum: Neyman's allocation, proportional to weight × deviation.

        Several things are to be known well, the unserved minutes of every tier and the money lost:
        deviations are added up as squares of shares of what each comes to in all.

        J. Neyman, "On the two different aspects of the representative method", *Journal of the
        Royal Statistical Society* 97 (1934) 558-625.
        """
        have = np.bincount(drawn.stratum, minlength=len(strata))
        spare = samples - int(have.sum())
        if spare <= 0:
            return have
        times = self._times(strata, drawn, have)
        usd = drawn.outcome.lost_requests @ self.prices + drawn.outcome.emergency_usd
        importance, quiet = np.zeros(len(strata)), np.ones(len(strata), dtype=bool)
        for values in (usd, *drawn.outcome.unserved_minutes.T):
            parts = [(times * values)[drawn.stratum == s] * have[s] for s in range(len(strata))]
            deviation = np.array([part.std(ddof=1) for part in parts])
            quiet &= np.array([not part.any() for part in parts])
            if deviation.sum() > 0:
                importance += (deviation / deviation.sum()) ** 2
        rates = np.array([one.times_per_year for one in strata]) * quiet
        explored = EXPLORED * rates / max(float(rates.sum()), 1e-300)
        told = np.sqrt(importance)
        told *= (1 - EXPLORED) / max(float(told.sum()), 1e-300)
        return _shared_out(told + explored, have, samples)

    def _times(self, strata: tuple[Stratum, ...], drawn: _Drawn, counts: Ints) -> Floats:
        """Times a year that each sample stands for."""
        rates = np.array([one.times_per_year for one in strata])
        weights = np.array([one.weight for one in drawn.periods])
        each: Floats = weights * (rates / np.maximum(counts, 1))[drawn.stratum]
        return each

    def _result(
        self, strata: tuple[Stratum, ...], drawn: _Drawn, counts: Ints, demand_rps: Floats
    ) -> Occurrences:
        names = [one.name for one in self.process.sources]
        times = self._times(strata, drawn, counts)
        dropped = np.array([one.dropped_minutes for one in drawn.periods])
        outcome = drawn.outcome
        return Occurrences(
            tiers=self.tiers,
            times_per_year=times,
            sources=tuple(names[strata[s].source] for s in drawn.stratum),
            members=tuple(
                tuple(dict.fromkeys(names[one.source] for one in period.failures))
                for period in drawn.periods
            ),
            lost_requests=outcome.lost_requests,
            unserved_minutes=outcome.unserved_minutes,
            emergency_usd=outcome.emergency_usd,
            failures=np.array([one.count for one in drawn.periods], dtype=np.int64),
            hazard=np.array([one.hazard for one in drawn.periods], dtype=float),
            stratum=drawn.stratum,
            number=np.array([one.number for one in drawn.periods], dtype=np.int64),
            strata=tuple(one.name for one in strata),
            rates=self.process.sources,
            demand_rps=demand_rps,
            truncated_minutes_per_year=float(times @ dropped) if len(times) else 0.0,
            unsettled_per_year=float(times @ ~outcome.settled) if len(times) else 0.0,
            unseen_times_per_year=_unseen(strata, drawn, counts),
            samples=len(times),
            simulated=int((outcome.minutes > 0).sum()),
            seed=self.seed,
        )


def _shared_out(importance: Floats, have: Ints, samples: int) -> Ints:
    """Samples in proportion to importance where more are needed than there are, in whole blocks.

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


def _unseen(strata: tuple[Stratum, ...], drawn: _Drawn, counts: Ints) -> float:
    """Largest frequency that a kind of loss may have without having come up, at 95 %.

    Of strata in which no sample lost anything: what makes up a share p of one stays unseen in n
    samples with probability (1 − p)^n, which is 5 % at about 3/n (the rule of three).
    """
    lost = drawn.outcome.unserved_minutes.sum(axis=1) + drawn.outcome.emergency_usd
    seen = np.bincount(drawn.stratum, lost, len(strata)) > 0
    bounds = [
        one.times_per_year * -math.expm1(math.log(0.05) / n)
        for one, n, known in zip(strata, counts.tolist(), seen, strict=True)
        if not known
    ]
    return max(bounds, default=0.0)


def _with_normal(found: Occurrences, normal: Outcome | None, up_probability: float) -> Occurrences:
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
        failures=np.append(found.failures, np.zeros(hours, dtype=np.int64)),
        hazard=np.append(found.hazard, np.zeros(hours)),
        stratum=np.append(found.stratum, np.full(hours, len(found.strata))),
        number=np.append(found.number, np.arange(hours)),
        strata=(*found.strata, NORMAL),
    )
