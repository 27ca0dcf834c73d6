"""Heat of GPUs and capacity of cooling units.

Symbols: φ ``power_mw`` of a GPU, σ ``static_share``, q capacity of a unit, k units lost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from planner.laws.compiling import chosen, compilable, compilable_apart, compiled
from planner.laws.ratios import ratio

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@compilable
def heat_mw(power_mw: Any, static_share: Any, powered_gpus: Any, busy_gpus: Any) -> Any:
    """Heat of a cluster, MW: ``φ·(σ·powered + (1 − σ)·busy)``.

    All electricity becomes heat. The static share is drawn by every powered GPU; the rest follows
    the work done, ``busy_gpus`` being requests per second over those of one GPU at full load.
    Linear in both counts, so programme variables may stand for them.

    >>> round(heat_mw(0.005, 0.58, 10_000, 8_500), 3)
    46.85
    """
    return (power_mw * static_share) * powered_gpus + (power_mw * (1 - static_share)) * busy_gpus


@compilable
def heat_at_utilisation_mw(power_mw: Any, static_share: Any, gpus: Any, utilisation: Any) -> Any:
    """Heat of GPUs that are all powered and busy to a given utilisation, MW.

    >>> round(heat_at_utilisation_mw(0.005, 0.58, 10_000, 1.0), 6)
    50.0
    """
    return heat_mw(power_mw, static_share, gpus, utilisation * gpus)


def derated_mw(
    capacity_mw: float,
    ambient_c: float,
    reference_ambient_c: float,
    derating_per_c: float,
    cutout_ambient_c: float,
) -> float:
    """Capacity of a cooling unit at an ambient temperature, MW.

    >>> derated_mw(10.0, 40.0, 35.0, 0.01, 46.0)
    9.5
    >>> derated_mw(10.0, 47.0, 35.0, 0.01, 46.0)
    0.0
    """
    share = derated_share(ambient_c, reference_ambient_c, derating_per_c, cutout_ambient_c)
    # Fractions stay what they are.
    plain: float = share.item() if isinstance(share, np.generic) else share
    return capacity_mw * plain


@compilable
def derated_share(
    ambient_c: Any, reference_ambient_c: Any, derating_per_c: Any, cutout_ambient_c: Any
) -> Any:
    """Share of the rated capacity of cooling units that is left at an ambient temperature.

    Linear above the reference, never above the rated capacity, nothing above the cut-out.
    """
    loss = derating_per_c * np.maximum(0, ambient_c - reference_ambient_c)
    return np.maximum(0, 1 - loss) * (ambient_c <= cutout_ambient_c)


@compilable
def buffer_step(
    cold_mj: Any, short_mw: Any, spare_mw: Any, size_mj: Any, seconds: float
) -> tuple[Any, Any]:
    """One step of a tank of chilled water: it covers what units lack; spare units cool it again.

    Returns
    -------
    numpy.ndarray
        Heat that the tank takes up, MW.
    numpy.ndarray
        Cold left in it, MJ.
    """
    covered = np.minimum(short_mw, cold_mj / seconds)
    left = np.minimum(size_mj, cold_mj + (spare_mw - covered) * seconds)
    return covered, left


def threshold_capacity_mw(
    sizes_mw: Mapping[str, float], counts: Mapping[str, Any], lost: int, threshold_mw: float
) -> list[tuple[float, Any]]:
    """Terms of ``Σ_u min(q_u, λ)·n_u − k·λ`` as (coefficient, count) pairs; constant last.

    The largest of these over λ among the sizes and 0 is the capacity that remains with the k
    largest units lost, whatever the mixture of sizes. The constant is paired with 1.
    """
    terms = [(min(sizes_mw[unit], threshold_mw), counts[unit]) for unit in counts]
    return [*terms, (-lost * threshold_mw, 1)]


def capacity_after_losses_mw(sizes_mw: Sequence[float], counts: Sequence[int], lost: int) -> float:
    """Capacity of a plant with its ``lost`` largest units gone, by taking them away one by one.

    >>> capacity_after_losses_mw([36.0, 24.0, 10.0], [1, 1, 5], 2)
    50.0
    """
    remaining = lost
    total: float = 0
    for size, count in sorted(zip(sizes_mw, counts, strict=True), reverse=True):
        gone = min(remaining, count)
        remaining -= gone
        total += size * (count - gone)
    return total


def capacitance_mj_per_k(per_mw: Any, power_mw: Any, gpus: Any) -> Any:
    """Thermal capacitance of a cluster, MJ/K, in proportion to the power installed."""
    return per_mw * power_mw * gpus


@compilable
def temperature_after(
    temperature_c: Any,
    heat_mw_: Any,
    cooling_mw: Any,
    capacitance: Any,
    setpoint_c: Any,
    seconds: float,
) -> Any:
    """Temperature one step later: ``dT/dt = (heat − cooling)/capacitance``, not below set point.

    MW over MJ/K is K/s. Where there is no capacitance (nothing installed) it stays as it was.
    """
    there = capacitance > 0
    rate = chosen(there, (heat_mw_ - cooling_mw) / chosen(there, capacitance, 1.0), 0.0)
    return np.maximum(setpoint_c, temperature_c + rate * seconds)


@compilable
def clock_share(temperature_c: Any, throttle_c: Any, shutdown_c: Any) -> Any:
    """Clock over full clock: 1 up to the throttle temperature, falling to 0 at shutdown.

    >>> clock_share(np.array([70.0, 85.0, 95.0]), np.array(75.0), np.array(95.0)).tolist()
    [1.0, 0.5, 0.0]
    """
    share = (shutdown_c - temperature_c) / (shutdown_c - throttle_c)
    return np.minimum(1.0, np.maximum(0.0, share))


@compilable
def coolable_gpus(
    gpus: Any, power_mw: Any, static_share: Any, utilisation: Any, cooling_mw: Any
) -> Any:
    """GPUs that may stay powered so that, busy to a utilisation, their heat meets the cooling.

    The inverse of `heat_at_utilisation_mw`; never more than there are.
    """
    heat_per_gpu = heat_mw(power_mw, static_share, 1.0, utilisation)
    return np.minimum(gpus, ratio(cooling_mw, heat_per_gpu, none=np.inf))


@compilable_apart
def carry_heat(
    rest_mw: Floats,
    capacity_mw: Floats,
    first: Ints,
    cooled: Ints,
    carried_mw: Floats,
    rejects_to: Ints,
) -> None:
    """Plants in order carry heat away, each in proportion to what its clusters have left of it.

    Through plants in series goes what the tighter one carries (``min``). Loops that reject their
    heat to the same chillers share them in proportion to what each would carry.

    Parameters
    ----------
    rest_mw
        Heat of each cluster, shape (clusters,); what nobody carries is left in it.
    capacity_mw
        Capacity of each plant, shape (plants,).
    first, cooled
        Clusters that plants cool, one plant after the other, and where each begins
        (`cooled_clusters`).
    carried_mw
        What each plant carries from each of those clusters is written here, shape as ``cooled``.
    rejects_to
        Plant that carries on the heat of each, −1 where there is none, shape (plants,).
    """
    for plant in range(len(capacity_mw)):
        wanted, room = 0.0, capacity_mw[plant]
        for place in range(first[plant], first[plant + 1]):
            wanted += rest_mw[cooled[place]]
        if rejects_to[plant] >= 0:
            room = _room_in_series(
                plant, rest_mw, capacity_mw, first, cooled, carried_mw, rejects_to
            )
        met = 1.0 if wanted <= room else room / wanted
        for place in range(first[plant], first[plant + 1]):
            part = rest_mw[cooled[place]] * met
            carried_mw[place] = part
            rest_mw[cooled[place]] -= part


@compilable
def _room_in_series(
    plant: int,
    rest_mw: Floats,
    capacity_mw: Floats,
    first: Ints,
    cooled: Ints,
    carried_mw: Floats,
    rejects_to: Ints,
) -> float:
    """Heat that a loop and the chillers behind it carry, MW; earlier loops have had their part."""
    left, wanted, own = capacity_mw[rejects_to[plant]], 0.0, 0.0
    for other in range(len(capacity_mw)):
        if rejects_to[other] != rejects_to[plant]:
            continue
        heat = 0.0
        for place in range(first[other], first[other + 1]):
            heat += carried_mw[place] if other < plant else rest_mw[cooled[place]]
        if other < plant:
            left -= heat
        else:
            wanted += min(heat, capacity_mw[other])
            own = min(heat, capacity_mw[other]) if other == plant else own
    return own if wanted <= left else own * max(left, 0.0) / wanted


def cooled_clusters(serves: NDArray[np.bool_]) -> tuple[Ints, Ints]:
    """Where the clusters of each plant begin, shape (plants + 1,), and these one after the other.

    >>> [part.tolist() for part in cooled_clusters(np.array([[True, True], [False, True]]))]
    [[0, 2, 3], [0, 1, 1]]
    """
    plants, clusters = np.nonzero(serves)
    first = np.searchsorted(plants, np.arange(len(serves) + 1))
    return first.astype(np.int64), clusters.astype(np.int64)


def with_loops(serves: NDArray[np.bool_], rejects_to: Ints) -> NDArray[np.bool_]:
    """Whether a plant carries heat of a cluster, by itself or behind a loop that cools it.

    >>> with_loops(np.array([[True, False], [False, False]]), np.array([1, -1])).tolist()
    [[True, False], [True, False]]
    """
    carries = serves.copy()
    np.logical_or.at(carries, rejects_to[rejects_to >= 0], serves[rejects_to >= 0])
    return carries


def share_cooling(
    need_mw: Floats,
    capacity_mw: Floats,
    serves: NDArray[np.bool_],
    rejects_to: Ints | None = None,
) -> Floats:
    """Cooling that reaches each cluster, plants in order, each in proportion to what is needed.

    Parameters
    ----------
    need_mw
        Heat to carry away, shape (scenarios, clusters).
    capacity_mw
        Capacity of each plant, shape (scenarios, plants).
    serves
        Whether a plant cools a cluster, shape (plants, clusters).
    rejects_to
        As in `carry_heat`; none means that no plants are in series.

    Returns
    -------
    numpy.ndarray
        Cooling by cluster, at most its need, shape (scenarios, clusters).

    >>> loop, chillers = [[True]], [[False]]
    >>> share_cooling(
    ...     np.array([[50.0]]), np.array([[24.0, 60.0]]), np.array(loop + chillers),
    ...     np.array([1, -1]),
    ... ).tolist()
    [[24.0]]
    """
    cooled: Floats = carried_by_plant(need_mw, capacity_mw, serves, rejects_to).sum(axis=1)
    return np.minimum(cooled, need_mw)


def carried_by_plant(
    need_mw: Floats,
    capacity_mw: Floats,
    serves: NDArray[np.bool_],
    rejects_to: Ints | None = None,
) -> Floats:
    """The cooling of `share_cooling` by plant, shape (scenarios, plants, clusters)."""
    first, cooled = cooled_clusters(serves)
    behind = np.full(len(serves), -1, dtype=np.int64) if rejects_to is None else rejects_to
    carried = np.zeros((len(need_mw), len(cooled)))
    rest = np.array(need_mw, dtype=np.float64)
    capacity = np.ascontiguousarray(capacity_mw, dtype=np.float64)
    compiled(_carry_each)(rest, capacity, first, cooled, carried, behind)
    by_plant = np.zeros((len(need_mw), *serves.shape))
    by_plant[:, serves] = carried
    return by_plant


def _carry_each(
    rest_mw: Floats,
    capacity_mw: Floats,
    first: Ints,
    cooled: Ints,
    carried_mw: Floats,
    rejects_to: Ints,
) -> None:
    for n in range(len(rest_mw)):
        carry_heat(rest_mw[n], capacity_mw[n], first, cooled, carried_mw[n], rejects_to)
