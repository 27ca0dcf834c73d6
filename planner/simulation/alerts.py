"""Alerts: clusters whose temperature or utilisation passes an alert threshold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from planner.amounts import percent
from planner.simulation.history import History
from planner.simulation.system_states import Floats
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
    installed = np.flatnonzero(clusters.gpus > 0)
    found: list[Alert] = []
    hot = history.temperature_c[:, index]
    for number, threshold in enumerate(operations.alert_temperatures_c):
        level = LEVELS[min(number, len(LEVELS) - 1)]
        passed = hot[:, installed] > threshold
        for column in np.flatnonzero(passed.any(axis=0)).tolist():
            name = clusters.names[installed[column]]
            minute = int(passed[:, column].argmax())
            found.append(Alert(minute, name, "temperature", level, threshold))
    use = utilisation(world, history, index)
    # Load balancers fill clusters up to a limit that is often the threshold itself.
    busy = use[:, installed] >= operations.alert_utilisation - 1e-9
    for column in np.flatnonzero(busy.any(axis=0)).tolist():
        name = clusters.names[installed[column]]
        minute = int(busy[:, column].argmax())
        found.append(Alert(minute, name, "utilisation", "high", operations.alert_utilisation))
    return tuple(sorted(found, key=lambda alert: alert.minute))


def utilisation(world: World, history: History, index: int) -> Floats:
    """Load over what powered GPUs could serve at their present clock, shape (T, C)."""
    clusters = world.clusters
    load = history.load_rps[:, index, : len(clusters.names)]
    full = history.powered_gpus[:, index] * clusters.rps * history.clock[:, index]
    return np.divide(load, full, out=np.zeros_like(load), where=full > 1e-9)
