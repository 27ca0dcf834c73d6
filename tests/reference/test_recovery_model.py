"""Halls rack by rack, loops pump by pump, training job by job, against the simulator's minutes.

Every rack has its own shutdown temperature and is a thing of its own in SimPy; people bring racks
back one after the other. The simulator knows one mean temperature, a share and whole minutes.
"""

from __future__ import annotations

import random
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import simpy
from simulation.worlds import ONE, TWO, changed, lose, lose_chillers, operating, run, unattended
from support import model_of

from planner.infrastructure.entities import CoolingUnit, Plant
from planner.infrastructure.failures import UnitLoss
from planner.laws.preemption import lost_work

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


@dataclass
class Waterside:
    """A hall, its coolant loops and chillers, which hand on heat megajoule by megajoule.

    The loop holds little heat, so pumps wait where it is full, and chillers where it is empty.
    """

    env: simpy.Environment = field(default_factory=simpy.Environment)
    hall_mj: float = 0.0
    course: list[float] = field(default_factory=list)
    down: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.loop = simpy.Container(self.env, capacity=20.0)

    def gpus(self) -> Process:
        """10 MW, and the temperature of the hall at the beginning of each minute."""
        while True:
            if round(self.env.now * 10) % 600 == 0:
                self.course.append(SETPOINT_C + self.hall_mj / MJ_PER_K)
            self.hall_mj += 1.0
            yield self.env.timeout(0.1)

    def pump(self, name: str, megawatts: float) -> Process:
        """A pump takes heat from the hall, unless it is down."""
        while True:
            yield self.env.timeout(1.0 / megawatts)
            if self.hall_mj >= 1.0 and name not in self.down:
                self.hall_mj -= 1.0
                yield self.loop.put(1.0)

    def chiller(self, name: str) -> Process:
        """A chiller of 1 MW takes heat from the loop, unless it is down."""
        while True:
            yield self.env.timeout(1.0)
            if name not in self.down:
                yield self.loop.get(1.0)

    def outage(self, name: str, first: float, last: float) -> Process:
        """Something is down from one minute to another."""
        yield self.env.timeout(first * 60)
        self.down.add(name)
        yield self.env.timeout((last - first) * 60)
        self.down.remove(name)


def test_a_loop_and_its_chillers_carry_what_the_tighter_does(tmp_path: Path) -> None:
    """A pump of two is out from 5 to 25, five chillers from 15 to 35, and these start in turn."""
    water = Waterside()
    water.env.process(water.gpus())
    for pump in ("a", "b"):
        water.env.process(water.pump(pump, 6.0))
    for number in range(12):
        water.env.process(water.chiller(f"chiller {number}"))
    water.env.process(water.outage("b", 5, 25))
    for number in range(5):
        water.env.process(water.outage(f"chiller {number}", 15, 35 + 3 * number))
    water.env.run(until=90 * 60)

    model = model_of(tmp_path, ONE, "simulation.horizon_minutes=90")
    model = unattended(changed(model, "gpus", "gpu", static_share=1.0))
    hall = {"capacitance_mj_per_k_per_mw": 60.0, "throttle_c": 140.0, "shutdown_c": 150.0}
    model = changed(model, "clusters", "site", **hall)
    behind = {"cools": (), "existing": {"chiller": 12}, "start_interval_minutes": 3.0}
    model = changed(model, "plants", "chillers", **behind)
    loops = Plant(
        name="loops", region="here", cools=("site",), rejects_to="chillers", existing={"pump": 2}
    )
    pump = CoolingUnit(name="pump", capacity_mw=6.0)
    model = model.replace(
        plants={"loops": loops, **model.plants}, cooling_units={"pump": pump, **model.cooling_units}
    )
    lost = UnitLoss(
        kind="units", plant="loops", unit="pump", count=1, at_minute=5, repair_minutes=20
    )
    case = run(model, lost, lose_chillers(5, at=15, minutes=20))
    assert max(water.course) > SETPOINT_C + 5
    assert case.cluster("temperature_c", "site") == pytest.approx(water.course, abs=0.25)


@dataclass
class Batch:
    """GPUs that users and training share: who comes first preempts who comes last (SimPy)."""

    checkpoint_minutes: float
    dice: random.Random
    env: simpy.Environment = field(default_factory=simpy.Environment)
    running: int = 0
    lost_minutes: float = 0.0
    course: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.gpus = simpy.PreemptiveResource(self.env, capacity=120)

    def job(self) -> Process:
        """A job on one GPU, which goes on from its last checkpoint when it gets one again."""
        while True:
            with self.gpus.request(priority=2) as gpu:
                yield gpu
                self.running += 1
                # It runs for long: at a random moment between two checkpoints.
                begun = self.env.now - self.dice.uniform(0.0, self.checkpoint_minutes)
                try:
                    yield self.env.event()
                except simpy.Interrupt:
                    self.running -= 1
                    self.lost_minutes += (self.env.now - begun) % self.checkpoint_minutes

    def holder(self, priority: int, first: float, last: float) -> Process:
        """Users, or a failure that nobody preempts, have a GPU from one minute to another."""
        yield self.env.timeout(first)
        with self.gpus.request(priority=priority) as gpu:
            yield gpu
            yield self.env.timeout(last - first)

    def look(self) -> Process:
        """Jobs that run in each minute."""
        yield self.env.timeout(0.5)
        while True:
            self.course.append(self.running)
            yield self.env.timeout(1.0)


def test_training_yields_and_loses_as_jobs_do(tmp_path: Path) -> None:
    """Half of the GPUs are lost for half an hour; 40 are the users' and 60 run jobs of training."""
    minutes, runs, lost, course = 80, 8, 0.0, np.zeros(80)
    for seed in range(runs):
        batch = Batch(30.0, random.Random(seed))
        for _ in range(40):
            batch.env.process(batch.holder(1, 0.0, minutes))
        for _ in range(60):
            batch.env.process(batch.job())
            batch.env.process(batch.holder(0, 20.0, 50.0))
        batch.env.process(batch.look())
        batch.env.run(until=minutes)
        lost += batch.lost_minutes / runs
        course += np.array(batch.course) / runs

    # A GPU of theirs is ten requests a second.
    model = changed(model_of(tmp_path, TWO), "zones", "users", demand_rps=1000.0)
    model = operating(model, queue_limit_requests=0, failover_minutes=0, priority_shedding="none")
    model = operating(model, restart_check_minutes=0)
    model = changed(model, "tiers", "low", checkpoint_minutes=30.0)
    model = changed(model, "offers", "cloud", existing_instances=0)
    served = run(model, lose("region", "near", at=20, minutes=30)).served("low")[:minutes]
    assert served / 10 == pytest.approx(course, abs=1e-6)
    requests = lost_work(np.full((minutes, 1), 600.0), served[:, None], np.array([30.0])).sum()
    assert requests / 600 == pytest.approx(lost, rel=0.05)
