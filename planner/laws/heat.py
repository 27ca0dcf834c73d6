"""Heat of GPUs and capacity of cooling units.

Symbols: φ ``power_mw`` of a GPU, σ ``static_share``, q capacity of a unit, k units lost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from planner.laws.ratios import ratio

Floats = NDArray[np.float64]
#: Divisor in place of 0 where nothing is divided.
SMALLEST = float(np.finfo(float).tiny)


def heat_mw(power_mw: Any, static_share: Any, powered_gpus: Any, busy_gpus: Any) -> Any:
    """Heat of a cluster, MW: ``φ·(σ·powered + (1 − σ)·busy)``.

    All electricity becomes heat. The static share is drawn by every powered GPU; the rest follows
    the work done, ``busy_gpus`` being requests per second over those of one GPU at full load.
    Linear in both counts, so programme variables may stand for them.

    >>> round(heat_mw(0.005, 0.58, 10_000, 8_500), 3)
    46.85
    """
    return (power_mw * static_share) * powered_gpus + (power_mw * (1 - static_share)) * busy_gpus


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
    return capacity_mw * float(share)


def derated_share(
    ambient_c: Any, reference_ambient_c: Any, derating_per_c: Any, cutout_ambient_c: Any
) -> Any:
    """Share of the rated capacity of cooling units that is left at an ambient temperature.

    Linear above the reference, never above the rated capacity, nothing above the cut-out.
    """
    loss = derating_per_c * np.maximum(0.0, ambient_c - reference_ambient_c)
    return np.maximum(0.0, 1.0 - loss) * (ambient_c <= cutout_ambient_c)


def buffer_step(
    cold_mj: Floats, short_mw: Floats, spare_mw: Floats, size_mj: Floats, seconds: float
) -> tuple[Floats, Floats]:
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
    total = 0.0
    for size, count in sorted(zip(sizes_mw, counts, strict=True), reverse=True):
        gone = min(remaining, count)
        remaining -= gone
        total += size * (count - gone)
    return total


def capacitance_mj_per_k(per_mw: Any, power_mw: Any, gpus: Any) -> Any:
    """Thermal capacitance of a cluster, MJ/K, in proportion to the power installed."""
    return per_mw * power_mw * gpus


def temperature_after(
    temperature_c: Floats,
    heat_mw_: Floats,
    cooling_mw: Floats,
    capacitance: Floats,
    setpoint_c: Floats,
    seconds: float,
) -> Floats:
    """Temperature one step later: ``dT/dt = (heat − cooling)/capacitance``, not below set point.

    MW over MJ/K is K/s. Where there is no capacitance (nothing installed) it stays as it was.
    """
    rate = np.divide(
        heat_mw_ - cooling_mw, capacitance, out=np.zeros_like(heat_mw_), where=capacitance > 0
    )
    warmed: Floats = np.maximum(setpoint_c, temperature_c + rate * seconds)
    return warmed


def clock_share(temperature_c: Floats, throttle_c: Floats, shutdown_c: Floats) -> Floats:
    """Clock over full clock: 1 up to the throttle temperature, falling to 0 at shutdown.

    >>> clock_share(np.array([70.0, 85.0, 95.0]), np.array(75.0), np.array(95.0)).tolist()
    [1.0, 0.5, 0.0]
    """
    share = (shutdown_c - temperature_c) / (shutdown_c - throttle_c)
    clipped: Floats = np.clip(share, 0.0, 1.0)
    return clipped


def coolable_gpus(
    gpus: Floats, power_mw: Floats, static_share: Floats, utilisation: Floats, cooling_mw: Floats
) -> Floats:
    """GPUs that may stay powered so that, busy to a utilisation, their heat meets the cooling.

    The inverse of `heat_at_utilisation_mw`; never more than there are.
    """
    heat_per_gpu = heat_mw(power_mw, static_share, 1.0, utilisation)
    limit = ratio(cooling_mw, heat_per_gpu, none=np.inf)
    powered: Floats = np.minimum(gpus, limit)
    return powered


def share_cooling(need_mw: Floats, capacity_mw: Floats, serves: NDArray[np.bool_]) -> Floats:
    """Cooling that reaches each cluster, plants in order, each in proportion to what is needed.

    Parameters
    ----------
    need_mw
        Heat to carry away, shape (scenarios, clusters).
    capacity_mw
        Capacity of each plant, shape (scenarios, plants).
    serves
        Whether a plant cools a cluster, shape (plants, clusters).

    Returns
    -------
    numpy.ndarray
        Cooling by cluster, at most its need, shape (scenarios, clusters).
    """
    rest = need_mw.copy()
    for plants, cools in _layers(serves.tobytes(), *serves.shape):
        if not rest.any():
            break
        rest -= rest * (_met(rest, capacity_mw[:, plants], cools) @ cools)
    cooled: Floats = need_mw - rest
    return cooled


def carried_by_plant(need_mw: Floats, capacity_mw: Floats, serves: NDArray[np.bool_]) -> Floats:
    """The cooling of `share_cooling` by plant, shape (scenarios, plants, clusters)."""
    rest = need_mw.copy()
    carried = np.zeros((*capacity_mw.shape, need_mw.shape[1]))
    for plants, cools in _layers(serves.tobytes(), *serves.shape):
        met = _met(rest, capacity_mw[:, plants], cools)
        carried[:, plants] = rest[:, None, :] * met[:, :, None] * cools
        rest -= carried[:, plants].sum(axis=1)
    return carried


def _met(rest_mw: Floats, capacity_mw: Floats, cools: Floats) -> Floats:
    """Share of the heat before plants that they carry, shape (scenarios, plants)."""
    wanted = rest_mw @ cools.T
    # Without heat and capacity the share is 0; `divide` with a mask takes several times as long.
    met: Floats = capacity_mw / np.maximum(np.maximum(capacity_mw, wanted), SMALLEST)
    return met


@lru_cache(maxsize=256)
def _layers(
    serves: bytes, plants: int, clusters: int
) -> tuple[tuple[NDArray[np.int64], Floats], ...]:
    """Plants in layers: those of one layer share no cluster and come after those they share with.

    Working through layers gives what working through plants one by one does, in a few operations.
    """
    matrix = np.frombuffer(serves, dtype=bool).reshape(plants, clusters)
    layer = np.zeros(plants, dtype=np.int64)
    for plant in range(plants):
        before = [
            layer[earlier] for earlier in range(plant) if (matrix[earlier] & matrix[plant]).any()
        ]
        layer[plant] = 1 + max(before, default=-1)
    return tuple(
        (np.flatnonzero(layer == number), matrix[layer == number].astype(float))
        for number in range(int(layer.max(initial=-1)) + 1)
    )
