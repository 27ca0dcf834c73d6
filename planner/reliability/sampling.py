"""Periods in which something is down, drawn from failure and repair rates.

Everything fails independently, each copy of a source after an exponential time, and is repaired
after an exponential time. What is down is then a Markov chain that begins anew whenever everything
is up: the yearly mean of anything is the number of such periods in a year times its mean over one
(regenerative simulation). Periods are drawn so that rare ones cost no more samples than frequent
ones:

* A stratum for each source that fails and is repaired alone, and one for all periods in which
  failures overlap. With λ_i the rate of source i, Λ_i that of all that is still up, r_i its mean
  repair time and P the probability that everything is up (a product, exactly known), a year holds
  ``λ_i·P/(1 + Λ_i·r_i)`` periods of i alone and ``λ_i·P·Λ_i·r_i/(1 + Λ_i·r_i)`` others.
* Within a stratum, blocks of a Latin hypercube spread the hour of the week, what fails and the
  first times.
* What fails next is drawn partly by rate and partly among what brings a loss nearer (failure
  distance biasing); a third and fourth failure are drawn more often than they come. Weights of
  samples make up for both.

Sources: P. Shahabuddin, "Importance sampling for the simulation of highly reliable Markovian
systems", *Management Science* 40 (1994) 333-352; P. W. Glynn & D. L. Iglehart, "Importance sampling
for stochastic simulations", *Management Science* 35 (1989) 1367-1392; M. D. McKay, R. J. Beckman &
W. J. Conover, "A comparison of three methods for selecting values of input variables",
*Technometrics* 21 (1979) 239-245 (Latin hypercubes); J. A. Carrasco, "Failure distance based
simulation of repairable fault-tolerant systems", *Computer Performance Evaluation* (1992) 351-365.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from hashlib import sha256

import numpy as np

from planner.errors import InputError
from planner.laws.calendar import HOURS_PER_WEEK, on_day
from planner.reliability.estimates import BLOCK, Floats
from planner.reliability.occurrences import MINUTES_PER_YEAR, SourceRate

#: Numbers of a sample that are spread: hour and first time; of periods with several failures also
#: choice and place of the first and of the second, time and kind of the next event.
SPREAD = 8
#: Stratum of the periods in which failures overlap.
SEVERAL = "several failures"
#: Share of failures drawn among those that are favoured.
FAVOURED = 0.7
#: Least probability with which a third or fourth failure is drawn.
FORCED = 0.2
#: Failures up to which further ones are drawn more often than they come.
FORCED_UP_TO = 3
#: Most failures simulated in one period; what follows is bounded instead.
MOST_FAILURES = 200
#: Most failures drawn in one period.
MOST_DRAWN = 10_000
#: Least probability that everything is up for which periods end often enough.
LEAST_UP = 1e-3

#: What is down: number of copies by place of the source, in order.
Down = tuple[tuple[int, int], ...]
#: Of what is down: 1 for what is to fail next more often than it does, shape (sources,), or None.
Bias = Callable[[Down], Floats | None]


@dataclass(frozen=True)
class Stratum:
    """Periods of one source alone, or those in which failures overlap.

    Parameters
    ----------
    source
        Place of the source; None for all periods with several failures.
    times_per_year
        Periods of this kind in a year.
    """

    source: int | None
    name: str
    times_per_year: float


@dataclass(frozen=True)
class Failure:
    """One failure of a period.

    Parameters
    ----------
    at_minute
        Minutes after the first failure.
    minutes
        Until it is repaired.
    """

    source: int
    at_minute: float
    minutes: float


@dataclass(frozen=True)
class Period:
    """From the first failure until everything is up again.

    Parameters
    ----------
    stratum, number
        Name of its stratum and its number there.
    start_hour
        Hour at which it begins, on a day of the year where days differ (`planner.laws.calendar`).
    phase_minutes
        Part of a minute by which the first failure misses a whole one, so that rounding to minutes
        favours no side.
    failures
        In order of time.
    weight
        Probability of the period over that with which it was drawn.
    dropped_minutes
        Minutes after too many failures, which are not listed.
    """

    stratum: str
    number: int
    start_hour: float
    phase_minutes: float
    failures: tuple[Failure, ...]
    weight: float
    dropped_minutes: float

    @property
    def end_minute(self) -> float:
        """Minutes until all listed failures are repaired."""
        return max(failure.at_minute + failure.minutes for failure in self.failures)

    def downs(self) -> Iterator[Down]:
        """What is down, one failure or repair after the other."""
        changes = [(failure.at_minute, 1, failure.source) for failure in self.failures]
        changes += [
            (failure.at_minute + failure.minutes, -1, failure.source) for failure in self.failures
        ]
        down = Counter[int]()
        for _, change, source in sorted(changes):
            down[source] += change
            now = tuple(sorted((s, n) for s, n in down.items() if n))
            if now:
                yield now


@dataclass(frozen=True)
class Process:
    """Independent sources of failures.

    Parameters
    ----------
    sources
        Sources, by name so that their order in a model plays no part.
    days
        Days of the year that differ: more than one where a climate has a year.

    Raises
    ------
    InputError
        If so much fails that hardly ever everything is up.
    """

    sources: tuple[SourceRate, ...]
    days: int = 1

    def __post_init__(self) -> None:
        if self.up_probability < LEAST_UP:
            share = f"{100 * self.up_probability:.2g} %"
            message = (
                f"the stated rates leave everything up only {share} of the time; periods of failure"
                f" can be sampled from {100 * LEAST_UP:g} % on"
            )
            raise InputError.single("scenarios", message)

    @classmethod
    def of(cls, sources: Sequence[SourceRate], days: int = 1) -> Process:
        """Process of sources in any order; those that never fail are left out."""
        failing = (source for source in sources if source.times_per_year > 0)
        return cls(tuple(sorted(failing, key=lambda source: source.name)), days)

    @cached_property
    def up_probability(self) -> float:
        """Probability that everything is up."""
        return math.prod(source.up_probability() for source in self.sources)

    @cached_property
    def rate(self) -> Floats:
        """Failure rate per minute of each source with all copies up, shape (sources,)."""
        return np.array([source.times_per_year for source in self.sources]) / MINUTES_PER_YEAR

    @cached_property
    def copies(self) -> Floats:
        """Copies of each source."""
        return np.array([source.copies for source in self.sources], dtype=float)

    def rates_with(self, down: Counter[int]) -> Floats:
        """Failure rate per minute of all copies that are still up."""
        rates: Floats = self.rate.copy()
        for source, count in down.items():
            rates[source] *= max(0.0, 1 - count / self.copies[source])
        return rates

    @cached_property
    def others(self) -> Floats:
        """Expected failures while the first is repaired, ``Λ_i·r_i``, shape (sources,)."""
        rates = [self.rates_with(Counter({i: 1})).sum() for i in range(len(self.sources))]
        expected: Floats = np.array(rates) * [source.mean_minutes for source in self.sources]
        return expected

    @cached_property
    def alone(self) -> Floats:
        """Periods a year of each source alone, shape (sources,)."""
        periods: Floats = self._begins / (1 + self.others)
        return periods

    @cached_property
    def joined(self) -> Floats:
        """Periods a year that begin with each source and in which others join, (sources,)."""
        periods: Floats = self._begins * self.others / (1 + self.others)
        return periods

    @cached_property
    def _begins(self) -> Floats:
        return np.array([self.up_probability * source.times_per_year for source in self.sources])

    def strata(self) -> tuple[Stratum, ...]:
        """All strata with their exact frequencies."""
        found = [
            Stratum(index, source.name, float(self.alone[index]))
            for index, source in enumerate(self.sources)
        ]
        if self.joined.sum() > 0:
            found.append(Stratum(None, SEVERAL, float(self.joined.sum())))
        return tuple(found)

    def _start_hour(self, uniform: float) -> float:
        """Hour of the week, on a day of the year where days differ."""
        day, hour = divmod(uniform * self.days, 1.0)
        of_week = HOURS_PER_WEEK * hour
        return of_week if self.days == 1 else on_day(of_week, int(day))

    def draw(self, stratum: Stratum, number: int, seed: int, bias: Bias = lambda _: None) -> Period:
        """A period of a stratum; the same stratum, number and seed give the same period.

        Parameters
        ----------
        bias
            What is to fail more often than it does; weights make up for it.
        """
        uniforms = _Uniforms(stratum, number, seed)
        hour, first = uniforms(), uniforms()
        path = _Path(self, uniforms, bias)
        source = stratum.source
        if source is None:
            source = path.next(self.joined / self.joined.sum())
        rates = self.rates_with(Counter({source: 1}))
        failing = float(rates.sum())
        # Until the first of repair and next failure, whichever of the two comes first.
        until = -math.log1p(-first) / (1 / self.sources[source].mean_minutes + failing)
        path.fail(source, 0.0)
        if stratum.source is not None:
            path.repair(source, until)
        else:
            path.fail(path.next(rates / failing), until)
            path.go_on(until)
        return Period(
            stratum=stratum.name,
            number=number,
            start_hour=self._start_hour(hour),
            phase_minutes=uniforms(),
            failures=path.listed(),
            weight=path.weight,
            dropped_minutes=path.dropped_minutes(),
        )


@lru_cache(maxsize=64)
def _spread(key: int, seed: int, block: int) -> Floats:
    """Latin hypercube of a block, shape (SPREAD, BLOCK): each row has one number in each eighth."""
    rng = np.random.default_rng([seed, key, block])
    cells = rng.permuted(np.tile(np.arange(BLOCK), (SPREAD, 1)), axis=1)
    found: Floats = (cells + rng.random((SPREAD, BLOCK))) / BLOCK
    return found


@lru_cache(maxsize=1024)
def _key(name: str) -> int:
    """A seed made of a name, the same on every machine."""
    return int.from_bytes(sha256(name.encode()).digest()[:8], "big")


class _Uniforms:
    """Numbers between 0 and 1 for one sample: the first are spread over its block."""

    def __init__(self, stratum: Stratum, number: int, seed: int) -> None:
        block, place = divmod(number, BLOCK)
        key = _key(stratum.name)
        self._spread = iter(_spread(key, seed, block)[:, place].tolist())
        self._seed = [seed, key, block, place]

    @cached_property
    def _rest(self) -> np.random.Generator:
        return np.random.default_rng(self._seed)

    def __call__(self) -> float:
        """The next number."""
        value = next(self._spread, None)
        return float(self._rest.random()) if value is None else float(value)


class _Path:
    """A period while it is drawn."""

    def __init__(self, process: Process, uniforms: _Uniforms, bias: Bias) -> None:
        self.process, self.uniforms, self.bias = process, uniforms, bias
        self.weight = 1.0
        self.began: dict[int, list[float]] = {}
        self.down = Counter[int]()
        self.failures: list[Failure] = []
        self.count = 0

    def fail(self, source: int, minute: float) -> None:
        """A copy of a source fails."""
        self.count += 1
        self.began.setdefault(source, []).append(minute)
        self.down[source] += 1

    def _favoured(self) -> Floats | None:
        if self.count > FORCED_UP_TO:
            return None
        return self.bias(tuple(sorted((source, n) for source, n in self.down.items() if n)))

    def next(self, natural: Floats) -> int:
        """Source that fails next: drawn by rate, or by rate among the favoured sources."""
        favoured = self._favoured()
        choice, place = self.uniforms(), self.uniforms()
        law = natural if favoured is None else natural * favoured
        total = float(law.sum())
        if not 0 < total < 1 - 1e-12:
            return _place(natural, place)
        law = law / total
        source = _place(law if choice < FAVOURED else natural, place)
        drawn = FAVOURED * law[source] + (1 - FAVOURED) * natural[source]
        self.weight *= float(natural[source] / drawn)
        return source

    def repair(self, source: int, minute: float) -> None:
        """A copy of a source is repaired, any of those that are down with equal chance."""
        began = self.began[source]
        start = began.pop(int(self.uniforms() * len(began)) if len(began) > 1 else 0)
        self.down[source] -= 1
        self.failures.append(Failure(source, start, max(minute - start, 1e-3)))

    def go_on(self, minute: float) -> None:
        """Failures and repairs until everything is up."""
        while self.down.total():
            rates = self.process.rates_with(self.down)
            repairs = np.zeros(len(rates))
            for source, count in self.down.items():
                repairs[source] = count / self.process.sources[source].mean_minutes
            failing, mending = float(rates.sum()), float(repairs.sum())
            wait = -math.log1p(-self.uniforms()) / (failing + mending)
            minute += wait
            if self._fails_next(failing / (failing + mending)):
                self.fail(self.next(rates / failing), minute)
            else:
                self.repair(_place(repairs / mending, self.uniforms()), minute)

    def _fails_next(self, natural: float) -> bool:
        """Whether a failure comes next (else a repair); drawn more often while few have failed."""
        if self.count >= MOST_DRAWN:
            return False
        drawn = natural
        few = 0 < natural < FORCED and self.count <= FORCED_UP_TO
        # A single failure is left alone unless something could make it worse.
        if few and (self.down.total() > 1 or self._favoured() is not None):
            drawn = FORCED
        fails = self.uniforms() < drawn
        if drawn != natural:
            self.weight *= natural / drawn if fails else (1 - natural) / (1 - drawn)
        return fails

    def _ordered(self) -> list[Failure]:
        return sorted(
            self.failures, key=lambda failure: (failure.at_minute, failure.source, failure.minutes)
        )

    def listed(self) -> tuple[Failure, ...]:
        """The first failures in order of time."""
        return tuple(self._ordered()[:MOST_FAILURES])

    def dropped_minutes(self) -> float:
        """Minutes from the first failure that is not listed to the end."""
        dropped = self._ordered()[MOST_FAILURES:]
        if not dropped:
            return 0.0
        return (
            max(failure.at_minute + failure.minutes for failure in self.failures)
            - dropped[0].at_minute
        )


def _place(law: Floats, uniform: float) -> int:
    """Index drawn from a distribution by a number between 0 and 1."""
    edges = np.cumsum(law)
    place = int(np.searchsorted(edges, uniform * edges[-1], side="right"))
    return min(place, int(np.flatnonzero(law)[-1]))
