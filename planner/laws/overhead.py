"""Electric power beside that of the GPUs: losses, fans, pumps, towers, chillers."""

from __future__ import annotations

from typing import Any


def hall_power_mw(gpu_power_mw: Any, loss_share: float, hall_mw_per_mw: float) -> Any:
    """Power drawn for GPUs with what is lost on the way to them and what moves their air, MW.

    ``P·(1 + losses + fans)``. Linear, so an expression of a programme may stand for the power.

    >>> round(hall_power_mw(10.0, 0.06, 0.03), 6)
    10.9
    """
    return (1 + loss_share + hall_mw_per_mw) * gpu_power_mw


def plant_power_mw(carried_mw: Any, machine_mw_per_mw: float, auxiliary_mw_per_mw: float) -> Any:
    """Power drawn for heat carried away: the machine, its pumps and its tower, MW.

    >>> round(plant_power_mw(10.0, 0.1592, 0.0427), 6)
    2.019
    """
    return (machine_mw_per_mw + auxiliary_mw_per_mw) * carried_mw


def usage_effectiveness(gpu_power_mw: float, hall_mw: float, plant_mw: float) -> float:
    """All power drawn over that of the GPUs (PUE); 1 where there are none.

    >>> round(usage_effectiveness(10.0, 10.9, 2.019), 4)
    1.2919
    """
    return (hall_mw + plant_mw) / gpu_power_mw if gpu_power_mw > 0 else 1.0
