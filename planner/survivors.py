"""Below a plan that survives: fleets near it that cost less, judged by the simulation.

The programme asks for more than simulation and standard in places, and cuts for more than fell
short. So a cheaper fleet may survive. From a fleet that survives, as much as possible is left out
of each purchase, measures too, the dearest first; then some of one are exchanged for fewer dollars
of another, or of two, also without the emergency cooling of a plant. A fleet that fails first gets
what makes it survive at the least price. All scenarios judge a fleet only where nothing is left to
take out.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from planner.infrastructure.failures import Scenario
from planner.judging import MOST_SIMULATED, Counts, Judged, OutOfTurns
from planner.optimization.solution.decisions import Decision, prices, region_of

#: Simulated scenarios since the last cheaper fleet after which a search ends, and where the gap
#: asked for is no finer than this.
PATIENCE, HASTE, COARSE_GAP = 300, 100, 1e-3
#: The same of a search that begins again because its last fleet fails.
FEW_AGAIN = 200
#: Numbers of a purchase up to which every one is tried in exchange for another; then only some.
FEW = 8
#: Share of the cost of a fleet that an exchange has to save.
WORTH = 1e-4
#: Purchases of which there may be any number.
COUNTED = ("cooling", "gpus", "emergency")
#: Those of them that serve requests.
SERVING = ("gpus", "emergency")


@dataclass(frozen=True)
class Search:
    """A search for cheaper fleets.

    Parameters
    ----------
    judged
        Judges fleets.
    prices
        Fixed yearly cost of one of each purchase, USD.
    most
        Most of each.
    enough_usd
        Yearly fixed cost at which it ends.
    """

    judged: Judged
    prices: tuple[float, ...]
    least: Counts
    most: Counts
    enough_usd: float = -math.inf

    @classmethod
    def of(cls, judged: Judged) -> Search:
        """A search among the fleets of a programme."""
        usd = prices(judged.base)
        return cls(judged, tuple(usd[key] for key in judged.keys), judged.least, judged.most)

    @property
    def patience(self) -> int:
        """Simulated scenarios since the last cheaper fleet after which a search ends."""
        return PATIENCE if self.judged.settings.gap < COARSE_GAP else HASTE

    def usd(self, counts: Counts) -> float:
        """Fixed yearly cost of a fleet, USD."""
        return sum(price * count for price, count in zip(self.prices, counts, strict=True))

    def below(self, start: Counts) -> None:
        """Look for fleets that survive and cost less than one, or than what mends it.

        Fleets on the way are judged by the scenarios that ever failed. By all others only the last
        is, and where it fails one the way is gone again with that.
        """
        best = start if self.judged.survives(start) else self._mended(start)
        while best is not None:
            last, most = best, self.judged.left
            given = most
            with suppress(OutOfTurns):
                for fleet in self._way_down(best):
                    last, most = fleet, most - given + self.judged.left
                    given = self.judged.left = min(most, self.patience)
                    if self.usd(fleet) <= self.enough_usd:
                        break
            # Turns that have ended are those of the way, and a few more if it is gone again.
            self.judged.left = max(self.judged.left, len(self.judged.scenarios) + FEW_AGAIN)
            if last == best or self.judged.survives(last):
                return

    def _way_down(self, counts: Counts) -> Iterator[Counts]:
        """Fleets that may survive, each cheaper than the one before."""
        better: Counts | None = counts
        while better is not None:
            counts = better
            yield counts
            for fewer in self._fewer(better):
                yield (counts := fewer)
            better = self._exchanged(counts)

    def _places(self, counts: Counts) -> list[int]:
        """Purchases whose number may change, the dearest first."""
        keys, model = self.judged.keys, self.judged.model
        closed = {
            key.asset
            for key, count in zip(keys, counts, strict=True)
            if key.kind == "region" and not count
        }
        free = [
            place
            for place, key in enumerate(keys)
            if key.kind in (*COUNTED, "measure")
            and self.prices[place] > 0
            and region_of(model, Decision(key.kind, key.asset)) not in closed
        ]
        return sorted(free, key=lambda place: -self.prices[place])

    def least_of(self, counts: Counts) -> Counts:
        """As few of each purchase as survives; the same where leaving some out fails."""
        *_, fewest = counts, *self._fewer(counts)
        return fewest if self.judged.survives(fewest) else counts

    def _fewer(self, counts: Counts) -> Iterator[Counts]:
        """Fleets with as few of one purchase after the other as may survive."""
        for place in self._places(counts):
            step = 1
            while step:
                fewer = _with(counts, place, -step)
                if fewer[place] >= self.least[place] and self.judged.may_survive(fewer):
                    counts, step = fewer, 2 * step
                    yield counts
                else:
                    step //= 2

    def _exchanged(self, counts: Counts) -> Counts | None:
        """A cheaper fleet with less of something and more of one or two others; None if none."""
        most_usd = (1 - WORTH) * self.usd(counts)
        for fewer, gone in self._less_of_two(counts):
            better = self._answered(fewer, gone, most_usd, 1)
            if better is not None:
                return better
        for kept in self._with_and_without(counts):
            for others in (1, 2):
                for fewer, gone in self._less(kept):
                    better = self._answered(fewer, gone, most_usd, others)
                    if better is not None:
                        return better
        return None

    def _less_of_two(self, counts: Counts) -> Iterator[tuple[Counts, int]]:
        """Fleets with less of one place that serves requests, and one less of another."""
        keys = self.judged.keys
        for fewer, gone in self._less(counts):
            for place in self._places(counts) if keys[gone].kind in SERVING else ():
                spare = place != gone and counts[place] > self.least[place]
                if spare and keys[place].kind == keys[gone].kind:
                    yield _with(fewer, place, -1), gone

    def _with_and_without(self, counts: Counts) -> Iterator[Counts]:
        """A fleet, and without all emergency cooling of a plant.

        A hall that is hot but not shut down draws requests, so that less of its cooling may save.
        """
        yield counts
        for place in self._places(counts):
            key, spare = self.judged.keys[place], counts[place] - self.least[place]
            plant = self.judged.model.plants.get(key.asset.partition("/")[0])
            if key.kind == "cooling" and plant and plant.role == "emergency" and spare:
                yield _with(counts, place, -spare)

    def _less(self, counts: Counts) -> Iterator[tuple[Counts, int]]:
        """Fleets with less of one purchase, and which it is."""
        for gone in self._places(counts):
            spare = counts[gone] - self.least[gone]
            for less in sorted({*range(1, min(spare, FEW) + 1), *_doubled(spare), spare} - {0}):
                yield _with(counts, gone, -less), gone

    def _answered(self, counts: Counts, gone: int, most_usd: float, others: int) -> Counts | None:
        """A fleet that survives for less than an amount, with more of so many other purchases."""
        first = self._first_failing(counts)
        if first is None:
            return self._cheaper(counts, most_usd)
        helpful = self.judged.helpful(counts, first)
        for place in self._places(counts)[::-1]:
            most = int((most_usd - self.usd(counts) - 1e-6) // self.prices[place])
            if place == gone or most <= 0 or place not in helpful:
                continue
            # What answers one scenario leaves another to the next purchase, or to more of it.
            more, whole = self._enough(counts, place, most, first), None
            if more is not None and others > 1:
                whole = self._answered(more, gone, most_usd, others - 1)
            elif more is not None:
                more = self._enough_for_all(more, place, most - more[place] + counts[place])
                whole = None if more is None else self._cheaper(more, most_usd)
            if whole is not None:
                return whole
        return None

    def _first_failing(self, counts: Counts) -> Scenario | None:
        """The first of the scenarios that ever failed that a fleet does not survive."""
        every = self.judged.ever_failed
        return next((one for one in every if self.judged.fails(counts, (one,))), None)

    def _cheaper(self, counts: Counts, most_usd: float) -> Counts | None:
        """A fleet with what it asks for beside it, if that may survive for less than an amount."""
        whole = self.judged.completed(counts)
        cheaper = whole is not None and self.usd(whole) < most_usd
        return whole if whole is not None and cheaper and self.judged.may_survive(whole) else None

    def _enough(self, counts: Counts, place: int, most: int, asked: Scenario) -> Counts | None:
        """The fewest of a purchase, up to a number, with which a scenario is survived."""
        most = min(most, self.most[place] - counts[place])
        if most <= 0 or self.judged.fails(_with(counts, place, most), (asked,)):
            return None
        low, high = 0, 1
        while high < most and self.judged.fails(_with(counts, place, high), (asked,)):
            low, high = high, min(2 * high, most)
        while high - low > 1:
            middle = (low + high) // 2
            if self.judged.fails(_with(counts, place, middle), (asked,)):
                low = middle
            else:
                high = middle
        return _with(counts, place, high)

    def _enough_for_all(self, counts: Counts, place: int, most: int) -> Counts | None:
        """The same for all scenarios that ever failed."""
        more: Counts | None = counts
        while more is not None and (asked := self._first_failing(more)) is not None:
            more = self._enough(more, place, most - more[place] + counts[place], asked)
        return more

    def _mended(self, counts: Counts) -> Counts | None:
        """A fleet with what makes it survive one scenario after the other; None if nothing does.

        Where more of nothing does, without all of something: a hall that is hot but not shut down
        draws requests.
        """
        while failing := self.judged.failing(counts, self.judged.scenarios):
            places, first = self._places(counts), failing[0]
            helpful = self.judged.helpful(counts, first)
            more = (
                self._enough(counts, place, self.most[place], first)
                for place in places
                if place in helpful
            )
            whole = (self.judged.completed(one) for one in more if one is not None)
            found = [one for one in whole if one is not None and one != counts]
            if not found:
                less = (_with(counts, place, self.least[place] - counts[place]) for place in places)
                found = [one for one in less if not self.judged.fails(one, (first,))]
            if not found:
                return None
            counts = min(found, key=self.usd)
        return counts if self.judged.survives(counts) else None


def _doubled(most: int) -> Iterator[int]:
    """1, 2, 4 … up to a number."""
    number = 1
    while number <= most:
        yield number
        number *= 2


def _with(counts: Counts, place: int, more: int) -> Counts:
    return (*counts[:place], counts[place] + more, *counts[place + 1 :])


def _started(judged: Judged, starts: Sequence[Counts]) -> Iterator[Counts]:
    yield from starts
    fullest = None if judged.survivors else judged.fullest()
    if fullest is not None:
        yield fullest


def cheaper_fleets(
    judged: Judged, starts: Sequence[Counts], promise_usd: float = math.inf
) -> float:
    """Look for purchases that survive below or near some fleets.

    Where there are none, below as much of everything as may be had: some breaches no purchase
    lessens without another.

    Parameters
    ----------
    promise_usd
        What a fleet has to cost less a year than the first of the starts to end the search.

    Returns
    -------
    float
        What the cheapest survivor so far costs less a year than the first of the starts, USD.
    """
    search = Search.of(judged)
    search = replace(search, enough_usd=search.usd(starts[0]) - promise_usd)
    for counts in _started(judged, starts):
        judged.left = MOST_SIMULATED
        with suppress(OutOfTurns):
            search.below(counts)
    return search.usd(starts[0]) - min(map(search.usd, judged.survivors), default=math.inf)


def cheapest_first(judged: Judged) -> list[dict[Decision, int]]:
    """All purchases found that survive, the least fixed cost first."""
    return list(map(judged.named, sorted(judged.survivors, key=Search.of(judged).usd)))
