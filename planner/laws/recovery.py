"""How halls shut down in part, exchange heat with the air outside, and warm their caches."""

from __future__ import annotations

from typing import Any

import numpy as np

from planner.laws.compiling import chosen, compilable


@compilable
def tripped_share(temperature_c: Any, shutdown_c: Any, spread_c: Any) -> Any:
    """Share of the racks of a hall that a mean temperature has shut down.

    Places of a hall are up to ``spread_c`` hotter or cooler than its mean, evenly distributed, so
    the share is the distribution function of the uniform distribution on ``shutdown ± spread``.
    Without a spread all shut down at ``shutdown_c``.

    >>> [float(tripped_share(celsius, 45.0, 5.0)) for celsius in (40.0, 45.0, 47.5, 51.0)]
    [0.0, 0.5, 0.75, 1.0]
    >>> [float(tripped_share(celsius, 45.0, 0.0)) for celsius in (44.9, 45.0)]
    [0.0, 1.0]
    """
    width = chosen(spread_c > 0, 2 * spread_c, 1.0)
    share = np.minimum(1.0, np.maximum(0.0, (temperature_c - shutdown_c + spread_c) / width))
    return chosen(spread_c > 0, share, (temperature_c >= shutdown_c) * 1.0)


@compilable
def envelope_mw(
    temperature_c: Any, ambient_c: Any, envelope_mw_per_k: Any, capacitance: Any, seconds: float
) -> Any:
    """Heat that a hall loses to the air outside in a step, MW; negative where it is warmer there.

    By itself a hall comes nearer to the ambient as ``exp(−t·UA/C)`` (Newton's law of cooling), with
    UA in MW/K and the capacitance C in MJ/K. This is the mean of that over the step, ``UA·(T −
    ambient)`` for short ones, and it never passes the ambient, however long the step.

    >>> round(float(envelope_mw(45.0, 15.0, 0.02, 500.0, 60.0)), 4)
    0.5993
    >>> round(float(envelope_mw(45.0, 15.0, 1e9, 600.0, 60.0)), 6)
    300.0
    """
    there = capacitance > 0
    losing = -np.expm1(-envelope_mw_per_k * seconds / chosen(there, capacitance, 1.0))
    return chosen(there, (temperature_c - ambient_c) * losing * capacitance / seconds, 0.0)


@compilable
def warm_share_after(warm_share: Any, load_share: Any, half_life_minutes: Any) -> Any:
    """Share of all demand for which a target has warm caches, a minute later.

    What it serves beyond that is cold, half of it after the half-life:
    ``load − warm = (load − warm)₀·2^(−t/half-life)``.

    >>> round(float(warm_share_after(0.4, 0.8, 1.0)), 6)
    0.6
    """
    return load_share + (warm_share - load_share) * np.exp2(-1.0 / half_life_minutes)


@compilable
def served_with_cold_caches(warm_capacity: Any, warm: Any, factor: Any) -> Any:
    """Requests that capacity for so many warm ones serves, if those beyond ``warm`` are cold.

    The inverse of ``work = load + (factor − 1)·(load − warm)⁺``.

    >>> float(served_with_cold_caches(700.0, 400.0, 1.5))
    600.0
    """
    beyond = np.maximum(warm_capacity - warm, 0.0)
    return warm_capacity - beyond * (1.0 - 1.0 / factor)


@compilable
def work_with_cold_caches(load: Any, warm: Any, factor: Any) -> Any:
    """Work of serving a load of which ``warm`` finds warm caches, in warm requests.

    >>> float(work_with_cold_caches(600.0, 400.0, 1.5))
    700.0
    """
    return load + (factor - 1.0) * np.maximum(load - warm, 0.0)
