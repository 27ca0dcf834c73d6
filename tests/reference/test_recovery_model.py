"""A hall rack by rack, second by second, against the simulator's shares of a cluster.

Every rack has its own shutdown temperature and is a thing of its own in SimPy; people bring racks
back one after the other. The simulator knows one mean temperature, a share and whole minutes.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field

import numpy as np
import pytest
import simpy
from simulation.worlds import ONE, changed, lose_chillers, operating, run
from support import model_of

Process = Generator[simpy.Event, object, None]

#: Racks of 50 kW, five GPUs each, with 600 MJ/K; the air outside has 35 °C.
RACKS, RACK_MW, MJ_PER_K, AMBIENT_C, SETPOINT_C, STEP_SECONDS = 200, 0.05, 600.0, 35.0, 65.0, 2.0


@dataclass
class Hall:
    """A hall whose racks shut down at 90 ± 6 °C and whose cooling comes back after a while."""

    short_mw: float
    back_minute: float
    mw_per_k: float
    hold_minutes: float
    check_minutes: float
    racks_per_hour: float
    env: simpy.Environment = field(default_factory=simpy.Environment)
    celsius: float = SETPOINT_C
    course: list[tuple[float, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.stops_at = 84.0 + 12.0 * (np.arange(RACKS) + 0.5) / RACKS
        self.on = np.ones(RACKS, dtype=bool)

    def air(self) -> Process:
        """Heat, cooling and what goes outside, in small steps."""
        while True:
            if self.env.now % 60 == 0:
                self.course.append((self.celsius, int(self.on.sum())))
            carried = 10.0 if self.env.now >= self.back_minute * 60 else 10.0 - self.short_mw
            net = RACK_MW * self.on.sum() - carried - self.mw_per_k * (self.celsius - AMBIENT_C)
            self.celsius = max(SETPOINT_C, self.celsius + net * STEP_SECONDS / MJ_PER_K)
            self.on &= self.stops_at > self.celsius
            yield self.env.timeout(STEP_SECONDS)

    def people(self) -> Process:
        """After a quarter of an hour they wait for the hall to be cool, check, and start racks."""
        yield self.env.timeout(15 * 60)
        cool_since = self.env.now
        while self.env.now - cool_since < self.hold_minutes * 60 or self.celsius > 70.0:
            yield self.env.timeout(STEP_SECONDS)
            if self.celsius > 70.0:
                cool_since = self.env.now
        yield self.env.timeout(self.check_minutes * 60)
        while not self.on.all():
            yield self.env.timeout(3600 / self.racks_per_hour)
            if self.celsius <= 70.0:
                # The hardiest first.
                self.on[np.flatnonzero(~self.on)[-1]] = True

    def minutes(self, until: float) -> tuple[np.ndarray, np.ndarray]:
        """Temperature and racks that are on at the beginning of each minute."""
        self.env.process(self.air())
        self.env.process(self.people())
        self.env.run(until=until * 60)
        celsius, on = zip(*self.course, strict=True)
        return np.array(celsius), np.array(on)


@pytest.mark.parametrize(
    ("short_mw", "mw_per_k", "hold", "racks_per_hour"),
    [(4, 0.0, 5.0, 120.0), (6, 0.02, 0.0, 60.0), (5, 0.05, 12.0, 600.0)],
)
def test_a_hall_shuts_down_and_comes_back_as_its_racks_do(
    short_mw: int,
    mw_per_k: float,
    hold: float,
    racks_per_hour: float,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """To half a degree plus a minute's warming, and to the racks of two minutes."""
    hall = Hall(short_mw, 90.0, mw_per_k, hold, 10.0, racks_per_hour)
    celsius, on = hall.minutes(until=360)

    model = model_of(tmp_path_factory.mktemp("hall"), ONE, "simulation.horizon_minutes=360")
    model = changed(model, "gpus", "gpu", static_share=1.0)
    model = changed(
        model,
        "clusters",
        "site",
        capacitance_mj_per_k_per_mw=60.0,
        shutdown_c=90.0,
        shutdown_spread_c=6.0,
        envelope_mw_per_k=mw_per_k,
    )
    model = operating(
        model,
        switch_off_minutes=10_000,
        restart_hold_minutes=hold,
        restart_check_minutes=10.0,
        restart_gpus_per_hour=5 * racks_per_hour,
    )
    case = run(model, lose_chillers(short_mw, minutes=90))

    assert on.min() < 160
    assert case.cluster("temperature_c", "site") == pytest.approx(celsius, abs=0.5 + short_mw / 10)
    stopped = case.cluster("stopped_gpus", "site")[:-1]
    slack = 2 * max(racks_per_hour / 60, RACKS / 12 * short_mw / 10)
    assert RACKS - stopped / 5 == pytest.approx(on[1:], abs=slack)
