"""Alerts: clusters whose temperature or utilisation passes an alert threshold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from planner.amounts import percent
from planner.simulation.history import History, by_part
from planner.simulation.world import World

#: Names of the temperature levels; further ones of a model are emergencies too.
LEVELS = ("warning", "critical", "emergency")


@dataclass(frozen=True)
class Alert:
    """The first minute in which a cluster passes a level.

    Parameters
    ----------
    threshold
        Level passed, degrees Celsius or share.
    """

    minute: int
    cluster: str
    quantity: Literal["temperature", "utilisation"]
    level: str
    threshold: float

    def __str__(self) -> str:
        if self.quantity == "temperature":
            return f"alert: {self.cluster} above {self.threshold:.0f} °C ({self.level})"
        return f"alert: {self.cluster} reaches {percent(self.threshold, 0)} utilisation"


def alerts(world: World, history: History, index: int) -> tuple[Alert, ...]:
    """Alerts of one scenario in order of time.

    Utilisation is the load over what the powered GPUs could serve at their present clock.
    """
    operations, clusters = world.model.operations, world.clusters
    installed = clusters.gpus > 0
    found: list[Alert] = []
    hot = by_part(history.temperature_c, index)
    peak = hot.max(axis=1)
    for number, threshold in enumerate(operations.alert_temperatures_c):
        level = LEVELS[min(number, len(LEVELS) - 1)]
        for c in np.flatnonzero(installed & (peak > threshold)).tolist():
            minute = int((hot[c] > threshold).argmax())
            found.append(Alert(minute, clusters.names[c], "temperature", level, threshold))
    limit = operations.alert_utilisation
    load = by_part(history.load_rps, index)[: len(clusters.names)]
    full = by_part(history.powered_gpus, index) * clusters.rps[:, None]
    full *= by_part(history.clock, index)
    # Load balancers fill clusters up to a limit that is often the threshold itself.
    busy = (load >= (limit - 1e-9) * full) & (full > 1e-9)
    for c in np.flatnonzero(installed & busy.any(axis=1)).tolist():
        minute = int(busy[c].argmax())
        found.append(Alert(minute, clusters.names[c], "utilisation", "high", limit))
    return tuple(sorted(found, key=lambda alert: alert.minute))
