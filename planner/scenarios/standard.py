"""The survival standard: what must be served from which minute on, at what emergency spend.

Minutes of the standard count from the latest event of a scenario, at or before the minute, that
takes something down: a loss of nodes or units, or a sag. As long as there is none they count from
the first event that makes anything worse, a surge or a hotter ambient. Before that nothing is
asked. Events that change nothing never count: a surge by a factor of 1, the loss of what cannot be
there or is lost already. What follows from an event later, such as batteries that run empty, counts
from the event. The programme, the simulator, operators and load balancers all go by this clock.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from planner.infrastructure.entities import Model
from planner.infrastructure.failures import Scenario, Severity

#: Name of the rule that binds all tiers together.
ALL = "all"
#: Fractions are compared up to this.
TOLERANCE = 1e-6


@dataclass(frozen=True)
class StandardClock:
    """When the minutes of the standard start to count in a scenario.

    Parameters
    ----------
    starts
        Whole minutes at which they count anew, in order.
    """

    starts: tuple[float, ...]

    def start(self, minute: float) -> float:
        """Start of the count that is running at a minute; infinite as long as nothing is wrong.

        >>> clock = StandardClock((10.0, 120.0))
        >>> clock.start(119.0), clock.start(5.0)
        (10.0, inf)
        """
        index = bisect_right(self.starts, minute) - 1
        return math.inf if index < 0 else self.starts[index]

    def since(self, minute: float) -> float:
        """Minutes counted by the standard at a minute; −∞ as long as nothing is wrong.

        >>> StandardClock((10.0, 120.0)).since(130.0)
        10.0
        """
        return minute - self.start(minute)

    def minutes(self, count: int) -> NDArray[np.float64]:
        """Minutes of the standard at each of the first minutes of a scenario, shape (count,)."""
        starts = np.array([math.inf, *self.starts])
        minutes = np.arange(count, dtype=float)
        since: NDArray[np.float64] = minutes - starts[np.searchsorted(starts[1:], minutes, "right")]
        return since


@dataclass(frozen=True)
class Floor:
    """Minimum service level of a tier, or of `all` tiers together, from a minute on.

    Parameters
    ----------
    zone
        Zone whose demand counts; None for that of all zones together.
    """

    tier: str
    from_minute: float
    least_served: float
    zone: str | None = None

    @property
    def subject(self) -> str:
        """Whose demand counts."""
        return subject_of(self.tier, self.zone)


def subject_of(tier: str, zone: str | None) -> str:
    """Tier, and zone if any, whose demand counts, as one key; names have no blanks.

    >>> subject_of("paid", None), subject_of("all", "europe")
    ('paid', 'all in europe')
    """
    return tier if zone is None else f"{tier} in {zone}"


def tier_and_zone(subject: str) -> tuple[str, str | None]:
    """Tier (or `all`) and zone of a subject; no zone means all together.

    >>> tier_and_zone("paid"), tier_and_zone("all in europe")
    (('paid', None), ('all', 'europe'))
    """
    tier, _, zone = subject.partition(" in ")
    return tier, zone or None


def counts_for(subject: str, zone: str, tier: str) -> bool:
    """Whether the demand of a zone and tier counts for a subject."""
    whose, where = tier_and_zone(subject)
    return whose in (ALL, tier) and where in (None, zone)


def in_words(subject: str) -> str:
    """A subject in words, for a sentence.

    >>> in_words("all in europe"), in_words("each in each")
    ('all tiers together in europe', 'each tier in each zone')
    """
    tier, zone = tier_and_zone(subject)
    who = {ALL: "all tiers together", "each": "each tier"}.get(tier, tier)
    return who if zone is None else f"{who} in {'each zone' if zone == 'each' else zone}"


def floors(model: Model, severity: Severity) -> tuple[Floor, ...]:
    """All floors of a severity class, with `each` spelled out, in order of time."""
    result: list[Floor] = []
    for rule in model.standard.get(severity, ()):
        tiers = list(model.tiers) if rule.tier == "each" else [rule.tier]
        zones = list(model.zones) if rule.zone == "each" else [rule.zone]
        result += [
            Floor(tier, rule.from_minute, rule.least_served, zone)
            for zone in zones
            for tier in tiers
        ]
    return tuple(sorted(result, key=lambda floor: floor.from_minute))


def required(
    rules: tuple[Floor, ...], since: NDArray[np.float64], subject: str
) -> NDArray[np.float64]:
    """Required fraction of the demand of a subject at minutes counted by the standard."""
    least = np.zeros(len(since))
    for rule in rules:
        if rule.subject == subject:
            asked = since >= rule.from_minute
            least[asked] = np.maximum(least[asked], rule.least_served)
    return least


def weaker(model: Model, than: Model) -> Iterator[str]:
    """Where the standard of a model asks for less than that of another, in words."""
    for severity in get_args(Severity):
        ours, theirs = floors(model, severity), floors(than, severity)
        for minute in dict.fromkeys(floor.from_minute for floor in theirs):
            given = floors_at(ours, minute)
            for subject, least in floors_at(theirs, minute).items():
                if given.get(subject, 0.0) < least - TOLERANCE:
                    yield (
                        f"{severity}: {given.get(subject, 0.0):.4g} of {in_words(subject)} from "
                        f"minute {minute:g} on instead of {least:.4g}"
                    )


def asks_by_zone(model: Model) -> bool:
    """Whether any rule of the standard applies to single zones."""
    return any(rule.zone is not None for rules in model.standard.values() for rule in rules)


def floors_at(all_floors: tuple[Floor, ...], since: float) -> dict[str, float]:
    """Largest floor of each subject in force at a minute counted by the standard."""
    active: dict[str, float] = {}
    for floor in all_floors:
        if floor.from_minute <= since:
            subject = floor.subject
            active[subject] = max(active.get(subject, 0.0), floor.least_served)
    return active


def emergency_budget_usd(model: Model, scenario: Scenario) -> float:
    """Emergency spend approved for a scenario: its own, that of its class, or that for all, USD."""
    if scenario.emergency_budget_usd is not None:
        return scenario.emergency_budget_usd
    finance = model.finance
    by_class = finance.emergency_budget_by_class_usd
    return by_class.get(scenario.severity, finance.emergency_budget_usd)
