"""An incident of one's own on a small model, and the command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from commands.conftest import plan as plan
from simulation.worlds import ONE

from planner.replay.loading import LoadedIncident, load_incident

#: Half of the cooling of one site is lost for half an hour: 1 °C a minute for each missing MW.
OWN = """\
title: Half the chillers stop
source: our own log
confidence: quoted
model: site.yaml
clock: "23:50"
scenario:
  severity: common
  frequency_per_year: 0.1
  events:
    - {kind: units, plant: chillers, unit: chiller, count: 5, at_minute: 0, repair_minutes: 30}
calibrated:
  - {parameter: clusters.site.capacitance_mj_per_k_per_mw, value: 6.0, unit: MJ/K per MW,
     low: 3.0, high: 90.0, against: ["23:52"]}
milestones:
  - {time: "23:50", what: chillers stop, event: cooling_short, subject: chillers, forced: true}
  - {time: "23:52", what: warm, quantity: temperature_c, subject: site, observed: 75.0,
     calibrated: true}
  - {time: "00:10", what: cooling is back, quantity: cooling_capacity_mw, subject: chillers,
     observed: 5.0}
  - {time: "00:20", what: all chillers run, quantity: cooling_capacity_mw, subject: chillers,
     observed: 9.0, tolerance: 0.5}
"""

Writes = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Writes:
    """Write an incident beside its model."""

    def write_incident(text: str = OWN, name: str = "own.yaml") -> Path:
        (tmp_path / "site.yaml").write_text(ONE, encoding="utf-8")
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write_incident


@pytest.fixture
def own(write: Writes) -> LoadedIncident:
    """The incident of one's own, loaded."""
    return load_incident(write())
