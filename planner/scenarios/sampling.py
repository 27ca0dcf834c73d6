"""Scenarios sampled from failure and repair rates: seeded Monte Carlo of many years."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from heapq import merge

import numpy as np
from numpy.random import Generator, SeedSequence, default_rng

from planner.errors import InputError
from planner.infrastructure.entities import Model
from planner.infrastructure.failures import Scenario
from planner.scenarios.components import Component, Reach, components, together
from planner.scenarios.generators import HOURS_PER_YEAR, largest_units, terms_of

#: Most failures in one sample; beyond it a smaller number of years says as much.
MOST_FAILURES = 5_000_000
#: Failures drawn at a time.
CHUNK = 1024

#: Number of copies down by position of the component.
Outage = tuple[tuple[int, int], ...]


def monte_carlo(model: Model, years: int, seed: int = 0) -> tuple[Scenario, ...]:
    """Scenarios that come up in sampled years, with the frequency with which they do.

    Every component (each unit of a plant by itself) runs for an exponential time with mean 1/λ and
    is repaired in an exponential time with mean r, independently of all others. Each failure that
    changes what is down adds one occurrence of the set of components then down; a set's frequency
    is its occurrences over the years. Its failures begin at minute 0 and take their mean repair
    times, as in pairs.

    Parameters
    ----------
    years
        Years sampled.
    seed
        Seed: the same gives the same scenarios.

    Raises
    ------
    InputError
        If so many failures are to be expected that the sample would take hours.
    """
    parts = components(model)
    expected = years * sum(part.failures_per_year for part in parts)
    if expected > MOST_FAILURES:
        fewer = int(years * MOST_FAILURES / expected)
        message = f"{years:,} years hold {expected:,.0f} failures; at most {fewer:,} years"
        raise InputError.single(f"mc:{years}", f"{message} can be sampled")
    found = occurrences(parts, Reach.of(model), years, seed)
    order = sorted(found, key=lambda outage: (sum(n for _, n in outage), outage))
    return tuple(_scenario(model, parts, outage, found[outage] / years) for outage in order)


def _scenario(
    model: Model, parts: tuple[Component, ...], outage: Outage, frequency_per_year: float
) -> Scenario:
    members = []
    for index, count in outage:
        member = parts[index].scenario
        if count > 1:
            plant = parts[index].node.split(":", 1)[1]
            member = largest_units(model, terms_of(model, "units"), plant, count)
        members.append(member)
    return together(members, frequency_per_year)


def occurrences(
    parts: tuple[Component, ...], reach: Reach, years: float, seed: int
) -> Counter[Outage]:
    """How often each set of components came to be down together in sampled years."""
    contained = _contained(parts, reach)
    streams = SeedSequence(seed).spawn(len(parts))
    histories = [
        _history(index, part, years, default_rng(stream))
        for index, (part, stream) in enumerate(zip(parts, streams, strict=True))
    ]
    down = Counter[int]()
    found = Counter[Outage]()
    before: Outage = ()
    for _, index, change in merge(*histories):
        down[index] += change
        now = _visible(down, contained)
        if change > 0 and now != before:
            found[now] += 1
        before = now
    return found


def _contained(parts: tuple[Component, ...], reach: Reach) -> list[frozenset[int]]:
    """Positions of what each component contains; of two that contain each other the last does.

    Those two are a feed with and without its generators, and without them is worse.
    """
    inside = [
        {i for i, other in enumerate(parts) if other is not part and reach.contains(part, other)}
        for part in parts
    ]
    return [
        frozenset(i for i in found if not (index in inside[i] and i > index))
        for index, found in enumerate(inside)
    ]


def _visible(down: Counter[int], contained: list[frozenset[int]]) -> Outage:
    """What is down, without what is contained in something else that is down."""
    active = [index for index, count in down.items() if count]
    hidden = set[int]().union(*(contained[index] for index in active))
    return tuple(sorted((index, down[index]) for index in active if index not in hidden))


def _history(
    index: int, part: Component, years: float, rng: Generator
) -> list[tuple[float, int, int]]:
    """Failures (+1) and repairs (−1) of all copies of a component in order of time, in years."""
    rate = part.failures_per_year / part.copies
    if rate <= 0:
        return []
    repair_years = part.repair_hours / HOURS_PER_YEAR
    changes: list[tuple[float, int, int]] = []
    for _ in range(part.copies):
        for failed, repaired in _outages(1 / rate, repair_years, years, rng):
            changes += [(failed, index, 1), (repaired, index, -1)]
    return sorted(changes)


def _outages(
    up_years: float, down_years: float, years: float, rng: Generator
) -> Iterator[tuple[float, float]]:
    """Outages of one copy that begin within the years."""
    clock = 0.0
    while clock < years:
        spans = rng.exponential((up_years, down_years), size=(CHUNK, 2))
        ends = clock + np.cumsum(spans.ravel()).reshape(CHUNK, 2)
        inside = ends[:, 0] < years
        yield from (tuple(pair) for pair in ends[inside].tolist())
        clock = float(ends[-1, 1])
