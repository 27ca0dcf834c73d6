"""What the programme believes that feeds carry is what the simulator lets them carry.

Two sites on feeds that are too small for what is lost, with emergency cooling that takes much: what
is served, and what is left of every limit, in the last minute of stages that last.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support import model_of
from test_equivalence import Pair, flat, pairs

from planner.infrastructure.entities import Model
from planner.infrastructure.graph import node
from planner.infrastructure.supply import PowerLimit

RELATIVE = 1e-6
MODEL = """
extends: tiny
cooling_units: {air-1: {power_mw_per_mw: 1.2}}
regions: {west: {power_limit_mw: 7.0}}
feeds:
  west-halls: {region: west, capacity_mw: 6.0, powers: [west-gpus]}
  west-all: {region: west, capacity_mw: 3.5, generator_mw: 1.5, generator_start_minutes: 2.0,
             ups_minutes: 5.0}
  east-left: {region: east, capacity_mw: 6.0, powers: [east-gpus, east-chillers]}
  east-right: {region: east, capacity_mw: 2.0, generator_mw: 1.0}
plants: {west-air: {existing: {air-1: 6}, buffer_mwh: 3.0}}
offers: {cloud: {available_gpus: 0}}
standard: {single: [{tier: all, from_minute: 30, least_served: 0.1}]}
generators: {unit: null, units: null, region: null, provider: null, heat_wave: null, surge: null}
scenarios:
  no-chillers:
    severity: single
    frequency_per_year: 0.01
    events:
      - {kind: plant, name: west-chillers, repair_minutes: 1440.0}
      - {kind: surge, factor: 1.5, repair_minutes: 1440.0}
  no-left:
    severity: single
    frequency_per_year: 0.01
    events:
      - {kind: feed, name: east-left, repair_minutes: 1440.0}
      - {kind: surge, factor: 1.5, repair_minutes: 1440.0}
  no-all:
    severity: single
    frequency_per_year: 0.01
    events:
      - {kind: feed, name: west-all, repair_minutes: 1440.0}
      - {kind: surge, factor: 1.5, repair_minutes: 1440.0}
  no-right: {severity: single, frequency_per_year: 0.01, events: [
    {kind: feed, name: east-right, repair_minutes: 1440.0}]}
"""


def short_of_power(folder: Path) -> Model:
    """Flat demand, and requests so cheap that want of power is borne."""
    model = model_of(folder, MODEL)
    usual = flat("tiny")
    tiers = {
        name: tier.replace(value_usd_per_1000_requests=0.5 - 0.1 * tier.priority)
        for name, tier in usual.tiers.items()
    }
    return model.replace(zones=usual.zones, tiers=tiers)


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> list[Pair]:
    return list(pairs(short_of_power(tmp_path_factory.mktemp("power"))))


def drawn(pair: Pair, limit: PowerLimit, heat: np.ndarray) -> float:
    """Power that clusters with some heat and their cooling draw under a limit, plants in order."""
    data, clusters = pair.programme.data, pair.world.clusters.names
    left = dict(zip(clusters, heat.tolist(), strict=True))
    total = sum(mw for name, mw in left.items() if node("cluster", name) in limit.loads)
    capacity = dict(zip(data.model.plants, pair.record("cooling_capacity_mw"), strict=True))
    for plant, entry in data.model.plants.items():
        (cluster,) = entry.cools
        carried = min(left[cluster], capacity[plant])
        left[cluster] -= carried
        total += data.draw_per_heat(limit, plant) * carried
    assert max(left.values()) < 1e-6
    return total


def test_what_is_served(compared: list[Pair]) -> None:
    assert {pair.stage.scenario for pair in compared} >= {"no-chillers", "no-left", "no-all"}
    for pair in compared:
        demand, served = pair.record("demand_rps").sum(), pair.record("served_rps").sum()
        known_capacity = sum(pair.at_stage.served_rps.values())
        assert known_capacity / demand == pytest.approx(served / demand, abs=RELATIVE), (
            pair.stage.label
        )


def test_headroom_of_feeds(compared: list[Pair]) -> None:
    """Nothing is overdrawn on either side, and what is full is full on both."""
    full = set()
    for pair in compared:
        known_capacity = np.array(
            [pair.at_stage.heat_mw.get(n, 0.0) for n in pair.world.clusters.names]
        )
        measured = pair.record("heat_mw")
        for limits in pair.stage.state.power.values():
            for limit in limits:
                both = [drawn(pair, limit, heat) for heat in (known_capacity, measured)]
                assert max(both) <= limit.mw * (1 + RELATIVE) + RELATIVE, (pair.stage.label, limit)
                if min(both) >= limit.mw * (1 - RELATIVE) and limit.mw:
                    full.add((pair.stage.scenario, limit.feeds or limit.region))
    assert len(full) >= 2, full
