"""Limits of power, written down for comparison."""

from __future__ import annotations

from planner.scenarios.system_state import SystemState


def limits_of(state: SystemState, region: str) -> dict[str, float]:
    """Megawatts that loads of a region may draw together, by their names in order."""
    return {
        " ".join(sorted(load.partition(":")[2] for load in one.loads)): one.mw
        for one in state.power[region]
    }
