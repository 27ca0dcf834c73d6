"""Adequacy of independent units: how often, and by how much, what is available falls short.

A capacity outage probability table says with what probability how much capacity is out when every
unit fails and is repaired independently of all others. Set against a load it gives the hours of
shortage to be expected and what goes unserved. Nothing here is about cooling: capacities and loads
are in any one unit (MW of heat, MW of power, requests per second).

The tables are exact unless a step is asked for.

References
----------
R. Billinton & R. N. Allan, *Reliability Evaluation of Power Systems*, 2nd edition (Plenum 1996),
chapter 2: forced outage rate, recursive convolution, rounding, loss-of-load and loss-of-energy
indices.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from planner.laws.money import HOURS_PER_YEAR

Floats = NDArray[np.float64]
#: Capacity on outage and probability of each state of one unit, or of several taken together.
States = tuple[Floats, Floats]

#: Capacities are told apart, and shortages counted, above this share of the installed capacity.
TOLERANCE = 1e-9
#: Most combinations of states that are worked out at once.
MOST_STATES = 4_000_000


@dataclass(frozen=True, eq=False)
class OutageTable:
    """Capacity outage probability table.

    Parameters
    ----------
    installed
        Capacity with nothing out.
    out
        Capacities on outage, ascending, shape (N,).
    probability
        Probability of exactly that much out, shape (N,); they add up to one.
    """

    installed: float
    out: Floats
    probability: Floats

    @cached_property
    def at_least(self) -> Floats:
        """Probability that at least so much is out, shape (N,): the cumulative table."""
        summed: Floats = np.cumsum(self.probability[::-1])[::-1]
        return summed

    @cached_property
    def _mean_beyond(self) -> Floats:
        """Capacity out beyond each of `out` on average: Σ of ``P(out ≥ x)`` over what lies above.

        A sum of terms of one sign, so that rare outages keep their digits.
        """
        slices = self.at_least[1:] * np.diff(self.out)
        return np.append(np.cumsum(slices[::-1])[::-1], 0.0)


def forced_outage_rate(failures_per_year: float, repair_hours: float) -> float:
    """Probability that a unit is out: ``λr/(8760 + λr)``, repair time over time up and down.

    Parameters
    ----------
    failures_per_year
        Failures in a year of operation, λ.
    repair_hours
        Mean time to repair, r.

    Raises
    ------
    ValueError
        If one of them is negative or not finite.

    References
    ----------
    Billinton & Allan, equation 2.1: unavailability λ/(λ + μ) of a two-state unit.

    >>> round(forced_outage_rate(6.0, 45.0), 4)
    0.0299
    """
    _raise(
        [
            f"Expected {name} ≥ 0 and finite, got {value}."
            for name, value in (("failures a year", failures_per_year), ("hours", repair_hours))
            if not 0 <= value < math.inf
        ]
    )
    down = failures_per_year * repair_hours
    return down / (HOURS_PER_YEAR + down)


def outage_share(hours_per_year: float) -> float:
    """Share of the year in which one of some units is out as planned, one unit at a time.

    Parameters
    ----------
    hours_per_year
        Planned outage hours of all units together.

    References
    ----------
    Billinton & Allan, chapter 3: units on maintenance are taken out of the table of the others.

    >>> outage_share(3 * 87.6)
    0.03
    """
    return min(1.0, round(hours_per_year / HOURS_PER_YEAR, 12))


def state_table(units: Sequence[States], step: float | None = None) -> OutageTable:
    """Table of independent units of any number of states, by convolution.

    With a step, what is out is put on its multiples (and the installed capacity): a value between
    two of them is shared among both so that the mean stays. The table then has at most
    installed/step + 2 rows; as the rounding only spreads, unserved load is never understated.

    Parameters
    ----------
    units
        Capacity on outage in each state of a unit and the probability of it; the largest capacity
        on outage is the capacity of the unit.
    step
        Grid; None keeps the table exact, sums that differ by rounding being one row.

    Raises
    ------
    ValueError
        Names everything that is wrong with the units or the step, or says that a step is needed.

    >>> derated = (np.array([0.0, 20.0, 50.0]), np.array([0.960, 0.033, 0.007]))
    >>> state_table([derated, equal_units(25.0, 0.02, 2)]).out.tolist()
    [0.0, 20.0, 25.0, 45.0, 50.0, 70.0, 75.0, 100.0]
    """
    arrays = [(np.asarray(out, float), np.asarray(share, float)) for out, share in units]
    _raise([*_wrong_step(step), *_wrong_states(arrays)])
    table = OutageTable(0.0, np.zeros(1), np.ones(1))
    for out, share in arrays:
        likely = share > 0
        table = _with(table, OutageTable(float(out.max()), out[likely], share[likely]), step)
    return table


def equal_units(capacity: float, rate: float, count: int) -> States:
    """States of some equal independent units together: the binomial distribution.

    Raises
    ------
    ValueError
        Names everything that is wrong with the units.

    >>> out, probability = equal_units(3.0, 0.02, 2)
    >>> out.tolist(), probability.round(6).tolist()
    ([0.0, 3.0, 6.0], [0.9604, 0.0392, 0.0004])
    """
    problems = [
        (0 <= capacity < math.inf, f"Expected a capacity ≥ 0 and finite, got {capacity:g}."),
        (0 <= rate <= 1, f"Expected a forced outage rate in [0, 1], got {rate:g}."),
        (count >= 0, f"Expected units ≥ 0, got {count}."),
    ]
    _raise([text for right, text in problems if not right])
    down = np.arange(count + 1)
    if rate in (0, 1):
        probability = (down == count * rate).astype(float)
    else:
        factorials = np.array([math.lgamma(n + 1) for n in range(count + 1)])
        ways = factorials[-1] - (factorials + factorials[::-1])
        logs = ways + down * math.log(rate) + (count - down) * math.log1p(-rate)
        probability = np.exp(logs)
    # The logarithms of large factorials lose digits; the sum of all states is known.
    share: Floats = probability / probability.sum()
    out: Floats = capacity * down.astype(float)
    return out, share


def together(tables: Sequence[OutageTable], step: float | None = None) -> OutageTable:
    """Table of several groups of units that are independent of each other.

    Raises
    ------
    ValueError
        If the step is wrong or one is needed.
    """
    _raise(_wrong_step(step))
    joint = OutageTable(0.0, np.zeros(1), np.ones(1))
    for table in tables:
        joint = _with(joint, table, step)
    return joint


def in_series(first: OutageTable, second: OutageTable) -> OutageTable:
    """Table of two independent groups through which the same goes: what the smaller one has left.

    Raises
    ------
    ValueError
        If there are too many states.

    >>> loops, chillers = (state_table([equal_units(mw, 0.1, 2)]) for mw in (10.0, 8.0))
    >>> both = in_series(loops, chillers)
    >>> both.installed, both.out.tolist(), both.probability.round(4).tolist()
    (16.0, [0.0, 6.0, 8.0, 16.0], [0.6561, 0.1458, 0.1782, 0.0199])
    """
    _raise(_too_many(len(first.out) * len(second.out)))
    installed = min(first.installed, second.installed)
    left = [table.installed - table.out for table in (first, second)]
    out = installed - np.minimum(np.minimum.outer(*left), installed).ravel()
    share = np.multiply.outer(first.probability, second.probability).ravel()
    return OutageTable(installed, *_merged(out, share, TOLERANCE * installed))


def mixture(tables: Sequence[OutageTable], weights: Sequence[float]) -> OutageTable:
    """Table of units under a common cause: one table for each state of it, with its probability.

    Parameters
    ----------
    tables
        Tables given each state of the common cause, of the same installed capacity.
    weights
        Probability of each state; they add up to one.

    Raises
    ------
    ValueError
        If the tables differ in capacity or the weights are no probabilities.

    >>> both, none = (state_table([equal_units(10.0, rate, 2)]) for rate in (0.1, 1.0))
    >>> mixture([both, none], [0.95, 0.05]).probability.round(4).tolist()
    [0.7695, 0.171, 0.0595]
    """
    sizes = np.array([table.installed for table in tables])
    problems = []
    if not tables or np.ptp(sizes) > TOLERANCE * sizes.max():
        problems.append(f"Expected tables of one installed capacity, got {sizes.tolist()}.")
    if not _adds_up(np.asarray(weights, float)) or len(weights) != len(tables):
        problems.append(f"Expected a probability for each table, adding up to 1, got {weights}.")
    _raise(problems)
    installed = float(sizes.max())
    out = np.concatenate([table.out for table in tables])
    parts = zip(tables, weights, strict=True)
    share = np.concatenate([table.probability * weight for table, weight in parts])
    return OutageTable(installed, *_merged(out, share, TOLERANCE * installed))


def shortage_probability(table: OutageTable, load: ArrayLike) -> Floats:
    """Probability that what is available is less than each load, of the shape of the load.

    Raises
    ------
    ValueError
        If a load is negative or not a number, or there is none.
    """
    loads = _checked(load)
    least = table.installed - loads + TOLERANCE * max(table.installed, float(loads.max()))
    beyond = np.searchsorted(table.out, least, side="right")
    probability: Floats = np.append(table.at_least, 0.0)[beyond]
    return probability


def mean_shortage(table: OutageTable, load: ArrayLike) -> Floats:
    """Load beyond what is available on average, ``E[(load − available)⁺]``, shape of the load.

    Raises
    ------
    ValueError
        If a load is negative or not a number, or there is none.
    """
    loads = _checked(load)
    reserve = table.installed - loads
    above = np.minimum(np.searchsorted(table.out, reserve, side="right"), len(table.out) - 1)
    partial = table.at_least[above] * np.maximum(table.out[above] - reserve, 0.0)
    short: Floats = partial + table._mean_beyond[above]
    return short


def shortages(
    table: OutageTable, load: ArrayLike, probability: ArrayLike, step: float | None = None
) -> States:
    """Distribution of the shortage where the load is uncertain too and independent of outages.

    That is what is left over for units behind these: reserves shared with others.

    Parameters
    ----------
    load, probability
        Loads and how likely each is, shape (L,).
    step
        Grid for the shortages, as in `state_table`; None keeps them exact.

    Returns
    -------
    tuple
        Shortages, ascending, and their probabilities.

    Raises
    ------
    ValueError
        If a load is negative or not a number, there is none, or the probabilities do not add up;
        if the step is wrong or one is needed.

    >>> short, share = shortages(state_table([equal_units(50.0, 0.1, 2)]), [60.0], [1.0])
    >>> short.tolist(), share.round(4).tolist()
    ([0.0, 10.0, 60.0], [0.81, 0.18, 0.01])
    """
    loads, likely = _checked(load).ravel(), np.asarray(probability, float).ravel()
    problems = _wrong_step(step)
    if not _adds_up(likely) or likely.shape != loads.shape:
        problems.append(f"Expected a probability for each load, adding up to 1, got {likely}.")
    _raise([*problems, *_too_many(loads.size * len(table.out))])
    short = np.maximum(loads[:, None] - (table.installed - table.out), 0.0)
    share = likely[:, None] * table.probability
    if step is not None and short.max() > 0:
        return _on_grid(short.ravel(), share.ravel(), float(short.max()), step)
    scale = max(table.installed, float(loads.max()))
    return _merged(short.ravel(), share.ravel(), TOLERANCE * scale)


def _with(table: OutageTable, other: OutageTable, step: float | None) -> OutageTable:
    """Both tables convolved."""
    _raise(_too_many(len(table.out) * len(other.out)))
    installed = table.installed + other.installed
    out = np.add.outer(table.out, other.out).ravel()
    share = np.multiply.outer(table.probability, other.probability).ravel()
    if step is None:
        return OutageTable(installed, *_merged(out, share, TOLERANCE * installed))
    return OutageTable(installed, *_on_grid(out, share, installed, step))


def _merged(values: Floats, share: Floats, apart: float) -> States:
    """Likely values in order, those that are no further apart than rounding as one."""
    values, share = values[share > 0], share[share > 0]
    order = np.argsort(values, kind="stable")
    values, share = values[order], share[order]
    first = np.append(0, np.flatnonzero(np.diff(values) > apart) + 1)
    return values[first], np.add.reduceat(share, first)


def _on_grid(values: Floats, share: Floats, installed: float, step: float) -> States:
    """Values shared among multiples of the step (and the installed capacity) around them."""
    _raise(_too_many(installed / step))
    steps = max(0, math.ceil(installed / step - TOLERANCE))
    grid = np.append(np.arange(steps) * step, installed)
    below = np.clip(np.searchsorted(grid, values, side="right") - 1, 0, max(0, steps - 1))
    above = np.minimum(below + 1, steps)
    width = np.maximum(grid[above] - grid[below], np.finfo(float).tiny)
    up = np.clip((values - grid[below]) / width, 0.0, 1.0)
    total = np.bincount(below, share * (1 - up), len(grid))
    total += np.bincount(above, share * up, len(grid))
    likely = total > 0
    return grid[likely], total[likely]


def _checked(load: ArrayLike) -> Floats:
    loads = np.asarray(load, dtype=float)
    wrong = loads[~(np.isfinite(loads) & (loads >= 0))]
    problems = [] if loads.size else ["Expected a load of at least one hour, got none."]
    if wrong.size:
        problems.append(f"Expected loads ≥ 0 and finite, got {_some(wrong)}.")
    _raise(problems)
    return loads


def _wrong_states(units: Sequence[States]) -> list[str]:
    problems = []
    for number, (out, share) in enumerate(units):
        if out.shape != share.shape or out.ndim != 1 or not out.size:
            problems.append(f"Expected a probability for each state of unit {number}.")
            continue
        if not (np.isfinite(out) & (out >= 0)).all():
            problems.append(f"Expected capacities ≥ 0 and finite in unit {number}, got {out}.")
        if not _adds_up(share):
            problems.append(f"Expected probabilities of unit {number} to add up to 1, got {share}.")
    return problems


def _adds_up(share: Floats) -> bool:
    return bool((share >= 0).all()) and abs(float(share.sum()) - 1) <= 1e-9


def _wrong_step(step: float | None) -> list[str]:
    if step is None or 0 < step < math.inf:
        return []
    return [f"Expected a step > 0 and finite, got {step}."]


def _too_many(states: float) -> list[str]:
    if states <= MOST_STATES:
        return []
    return [
        f"Expected at most {MOST_STATES:,} combinations of states, got {states:,.0f}: "
        "a (larger) step keeps tables small."
    ]


def _some(values: Floats) -> str:
    """The first few of some values."""
    return ", ".join(f"{value:g}" for value in values[:5]) + (" …" if values.size > 5 else "")


def _raise(problems: list[str]) -> None:
    if problems:
        raise ValueError(" ".join(problems))
