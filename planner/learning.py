"""Learning from the simulation: how much of which purchase makes up for what fell short.

A breach belongs to a scenario and to a tier (and zone), a cluster or the budget, and has an amount.
For each purchase the scenario is simulated with one more of it, and again with as many as that
promises to be enough, or with fewer where several together do more than each by itself; the most
that the breach loses by one more of these is what the programme reckons with: a cut
``Σ_p share_p·(n_p − bought_p) ≥ 1`` on purchases alone. Where what is short is convex in the
purchases no survivor violates it (Kelley, 1960), and the next plan that fails adds a cut of its
own.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from planner.infrastructure.failures import Scenario
from planner.judging import Counts, Judged, OutOfTurns
from planner.optimization.formulation.simulated import Gain, SimulatedCut
from planner.optimization.solution.decisions import Decision, region_of
from planner.simulation.verdict import BreachKey, Verdict, short_by
from planner.survivors import COUNTED

#: Breaches of one round that cuts are worked out for, the largest first.
MOST_BREACHES = 20
#: How many of a purchase beyond the limits of the model are tried.
BEYOND = 100
#: Least share of what is short by which a purchase has to lessen it to count.
NOTHING = 1e-6
#: Share by which several of a purchase have to do more, each, than one does, to count.
MORE = 1e-6


def learn(judged: Judged, counts: Counts, verdicts: Iterable[Verdict]) -> list[SimulatedCut]:
    """Cuts for what a fleet is short of; none for breaches that no purchase lessens by itself.

    Where none within the limits of the model lessens any, with purchases beyond these: then no plan
    meets the cuts.
    """
    scenarios = {scenario.name: scenario for scenario in judged.scenarios}
    breaches = [
        (amount, verdict.name, key)
        for verdict in verdicts
        if verdict.fails and verdict.name in scenarios
        for key, amount in short_by(verdict).items()
        if amount > 0
    ]
    breaches.sort(reverse=True)
    tries = {name: _Tries(judged, scenarios[name], counts) for _, name, _ in breaches}
    found: list[SimulatedCut] = []
    try:
        for beyond in (0, BEYOND):
            for amount, name, key in breaches[:MOST_BREACHES]:
                cut = tries[name].cut(key, amount, beyond)
                found += [] if cut is None else [cut]
            if found:
                break
    except OutOfTurns:
        pass
    return found


def admitting(
    judged: Judged, cuts: Iterable[SimulatedCut], survivors: Iterable[Counts]
) -> tuple[SimulatedCut, ...]:
    """Cuts weakened by as much as fleets that survive violate them; without those that forbid one.

    Such a cut promised too little of purchases together, or far from the plan that it came from.
    """
    nets = [judged.net(counts) for counts in survivors]
    found = []
    for cut in cuts:
        met = min(
            (sum(g.share * (net[g.key] - g.bought) for g in cut.gains) for net in nets), default=1.0
        )
        if met >= 1 - NOTHING:
            found.append(cut)
        elif met > NOTHING:
            gains = tuple(replace(gain, share=gain.share / met) for gain in cut.gains)
            found.append(replace(cut, gains=gains))
    return tuple(found)


@dataclass
class _Tries:
    """A scenario simulated with more of one purchase at a time."""

    judged: Judged
    scenario: Scenario
    counts: Counts
    beyond: int = 0

    def cut(self, breach: BreachKey, amount: float, beyond: int) -> SimulatedCut | None:
        """The cut of a breach; None if no purchase, up to so many beyond limits, lessens it."""
        gains = []
        self.beyond = beyond
        helpful = self.judged.helpful(self.counts, self.scenario)
        places = [place for place in sorted(helpful) if self._room(place) > 0]
        slopes = {place: self._slope(place, 1, breach, amount) for place in places}
        if max(slopes.values(), default=0.0) <= NOTHING * amount:
            slopes = {place: self._lumpy(place, breach, amount) for place in places}
        for place, slope in slopes.items():
            if slope <= NOTHING * amount:
                continue
            enough = min(math.ceil(amount / slope * (1 - 1e-9)), self._room(place))
            best = max(slope, self._slope(place, enough, breach, amount))
            low, high = 1, enough if best > (1 + MORE) * slope else 1
            while high - low > 1:  # several together do more than each by itself: how few do most
                middle = (low + high) // 2
                now = self._slope(place, middle, breach, amount)
                low, high, best = (low, middle, now) if now >= best else (middle, high, best)
            key = self.judged.keys[place]
            gains.append(Gain(*key, self.judged.net(self.counts)[key], best / amount))
        if not gains:
            return None
        kind, subject = breach
        return SimulatedCut(self.scenario.name, kind, subject, amount, tuple(gains))

    def _lumpy(self, place: int, breach: BreachKey, amount: float) -> float:
        """What one lessens a breach by, of the fewest that do away with it."""
        most, nothing = self._room(place), NOTHING * amount
        if self._slope(place, most, breach, amount) <= nothing / most:
            return 0.0
        fewer = range(1, most)
        fewest = 1 + bisect_left(
            fewer, True, key=lambda more: self._slope(place, more, breach, amount) > nothing / more
        )
        return self._slope(place, fewest, breach, amount)

    def _room(self, place: int) -> int:
        """How many more of a purchase may be had."""
        kind = self.judged.keys[place].kind
        if kind in ("retired", "region"):
            return 0
        beyond = self.beyond if kind in COUNTED else 0
        return self.judged.most[place] + beyond - self.counts[place]

    def _slope(self, place: int, more: int, breach: BreachKey, amount: float) -> float:
        """By how much each of so many more of a purchase lessens a breach."""
        return (amount - self._simulated(place, more).get(breach, 0.0)) / more

    def _simulated(self, place: int, more: int) -> Mapping[BreachKey, float]:
        judged, key = self.judged, self.judged.keys[place]
        counts = list(self.counts)
        counts[place] += more
        region = region_of(judged.model, key)
        opened = Decision("region", region or "")
        whole: Counts | None = tuple(counts)
        if opened in judged.keys and not self.counts[judged.keys.index(opened)]:
            whole = judged.completed(tuple(counts)) if key.kind == "gpus" else None
        return short_by(judged.verdicts(whole or self.counts, (self.scenario,))[0])
