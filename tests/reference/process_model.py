"""One cluster, request by request: every client is a SimPy process.

An independent model of what the simulator says about queues, retries and throttling. It is written
from the description of the mechanisms and imports nothing of the planner:

- Clients arrive at a rate that may change with time. A request starts at once if a server is free,
  otherwise it waits; beyond the queue limit it is turned away and fails at once.
- A server that falls free takes any of the waiting requests, all with the same probability. This is
  the order that the simulator assumes: random order is what many servers with queues of their own
  amount to, and it does not favour clients who are about to leave, as first come, first served
  would.
- A client whose request waits leaves after an exponential time. The request stays in the queue,
  takes a server when its turn comes, and is then served in vain. Once in service nobody leaves.
- A client whose request failed gives up with some probability, or for good after the last attempt,
  or else sends it again after an exponential backoff.
- Every second the heat of the busy servers warms the cluster, cooling carries away what it can, and
  the clock follows the temperature. A lower clock makes service longer.

Times are seconds. The system without retries is that of W. Whitt, "Fluid models for multiserver
queues with abandonments", Operations Research 54 (2006) 37-54, with service in vain added.
"""

from __future__ import annotations

import gc
import random
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache

import numpy as np
import simpy
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Steps = Sequence[tuple[float, float]]
Process = Generator[simpy.Event, object, None]

MINUTE = 60.0


@dataclass(frozen=True)
class Thermal:
    """Heat of the cluster; temperatures in °C.

    Parameters
    ----------
    static_mw, dynamic_mw
        Heat of the powered cluster, and what is added when all servers work at full clock.
    capacitance_mj_per_k
        Thermal capacitance.
    cooling_mw
        Cooling by time: pairs of second and MW, each valid from then on.
    setpoint_c, throttle_c, shutdown_c
        Temperature held by sufficient cooling, from which the clock falls, at which it is zero.
    """

    static_mw: float
    dynamic_mw: float
    capacitance_mj_per_k: float
    cooling_mw: Steps
    setpoint_c: float = 65.0
    throttle_c: float = 75.0
    shutdown_c: float = 95.0


@dataclass(frozen=True)
class Setting:
    """What is simulated.

    Parameters
    ----------
    arrivals_rps, servers
        By time: pairs of second and value, each valid from then on.
    service_seconds
        Time of a request at full clock.
    patience_seconds, backoff_seconds
        Means of the exponential times.
    attempts, gives_up
        Most times that a failed request is sent again; share not sent again.
    queue_limit
        Most requests waiting.
    random_times
        Whether arrivals are Poisson and service times exponential; otherwise arrivals are evenly
        spaced and all services take the same time, which leaves less noise.
    """

    minutes: int
    arrivals_rps: Steps
    servers: Steps
    service_seconds: float
    patience_seconds: float
    backoff_seconds: float = MINUTE
    attempts: int = 0
    gives_up: float = 0.0
    queue_limit: float = float("inf")
    thermal: Thermal | None = None
    random_times: bool = False


@dataclass
class Record:
    """What happened in each minute, arrays of shape (minutes,).

    Requests except `live`, `stale` and `backing_off`, which are requests and clients at the end of
    the minute, and `temperature_c`, which is that at its start.
    """

    new: Floats
    attempts: Floats
    good: Floats
    wasted: Floats
    timed_out: Floats
    dropped: Floats
    gave_up: Floats
    live: Floats
    stale: Floats
    backing_off: Floats
    temperature_c: Floats

    @classmethod
    def empty(cls, minutes: int) -> Record:
        """Room for so many minutes."""
        return cls(*(np.zeros(minutes) for _ in range(11)))


@dataclass(eq=False, slots=True)
class Request:
    """A request in the queue or in service; `answer` tells its client whether it succeeded."""

    answer: simpy.Event
    waits: bool = False
    in_vain: bool = False


@dataclass
class Cluster:
    """Servers, queue and clients, with the record of what they do."""

    setting: Setting
    dice: random.Random
    env: simpy.Environment = field(default_factory=simpy.Environment)
    queue: list[Request] = field(default_factory=list)
    busy: int = 0
    servers: float = 0.0
    clock: float = 1.0
    live: int = 0
    backing_off: int = 0

    def __post_init__(self) -> None:
        self.record = Record.empty(self.setting.minutes)

    def count(self, what: Floats) -> None:
        """Add one to a count of the current minute."""
        what[int(self.env.now // MINUTE)] += 1

    def arrive(self) -> Process:
        """Start a client for each arrival of every stretch of constant rate."""
        end = self.setting.minutes * MINUTE
        stops = [at for at, _ in self.setting.arrivals_rps[1:]] + [end]
        for (start, rate), stop in zip(self.setting.arrivals_rps, stops, strict=True):
            at = start + self._gap(rate)
            while at < stop:
                yield self.env.timeout(at - self.env.now)
                self.count(self.record.new)
                self.env.process(self.client())
                at += self._gap(rate)

    def _gap(self, rate: float) -> float:
        if rate <= 0:
            return float("inf")
        return self.dice.expovariate(rate) if self.setting.random_times else 1.0 / rate

    def client(self) -> Process:
        """Send a request, and again after failures, until it succeeds or the client gives up."""
        setting, record = self.setting, self.record
        for attempt in range(setting.attempts + 1):
            self.count(record.attempts)
            request = self.send()
            if request is not None and (yield request.answer):
                self.count(record.good)
                return
            if attempt == setting.attempts or self.dice.random() < setting.gives_up:
                break
            self.backing_off += 1
            yield self.env.timeout(self.dice.expovariate(1.0 / setting.backoff_seconds))
            self.backing_off -= 1
        self.count(record.gave_up)

    def send(self) -> Request | None:
        """Start or queue a request; None if the queue is full."""
        if self.busy >= self.servers and len(self.queue) >= self.setting.queue_limit:
            self.count(self.record.dropped)
            return None
        request = Request(self.env.event())
        if self.busy < self.servers:
            self.serve(request)
            return request
        request.waits = True
        self.live += 1
        self.queue.append(request)
        patience = self.dice.expovariate(1.0 / self.setting.patience_seconds)
        self._after(patience, lambda: self.leave(request))
        return request

    def leave(self, request: Request) -> None:
        """The client of a request that still waits goes; the request stays."""
        if request.waits:
            request.waits, request.in_vain = False, True
            self.live -= 1
            self.count(self.record.timed_out)
            request.answer.succeed(False)

    def serve(self, request: Request) -> None:
        """Put a request on a free server."""
        if request.waits:
            request.waits = False
            self.live -= 1
        self.busy += 1
        seconds = self.setting.service_seconds / self.clock
        if self.setting.random_times:
            seconds *= self.dice.expovariate(1.0)
        self._after(seconds, lambda: self.finish(request))

    def finish(self, request: Request) -> None:
        """Answer a request, if anybody is there, and take the next one."""
        self.busy -= 1
        if request.in_vain:
            self.count(self.record.wasted)
        else:
            request.answer.succeed(True)
        self.take()

    def take(self) -> None:
        """Free servers take waiting requests in random order."""
        while self.queue and self.busy < self.servers:
            place = self.dice.randrange(len(self.queue))
            self.queue[place], self.queue[-1] = self.queue[-1], self.queue[place]
            self.serve(self.queue.pop())

    def _after(self, seconds: float, act: Callable[[], None]) -> None:
        self.env.timeout(seconds).callbacks.append(lambda _: act())

    def change_servers(self) -> Process:
        """Servers come and go; those that go finish what they have begun."""
        for at, servers in self.setting.servers:
            yield self.env.timeout(at - self.env.now)
            self.servers = servers
            self.take()

    def warm(self, thermal: Thermal) -> Process:
        """Heat, cooling, temperature and clock in steps of one second."""
        temperature, everything = thermal.setpoint_c, self.setting.servers[0][1]
        second = 0
        while True:
            if second % int(MINUTE) == 0:
                self.record.temperature_c[second // int(MINUTE)] = temperature
            yield self.env.timeout(1.0)
            second += 1
            cooling = [mw for at, mw in thermal.cooling_mw if at < second][-1]
            # A server at half clock does half the work and gives off half the dynamic heat.
            heat = thermal.static_mw + thermal.dynamic_mw * self.clock * self.busy / everything
            rate = (heat - cooling) / thermal.capacitance_mj_per_k
            temperature = max(thermal.setpoint_c, temperature + rate)
            room = thermal.shutdown_c - temperature
            self.clock = min(1.0, max(1e-3, room / (thermal.shutdown_c - thermal.throttle_c)))

    def look(self) -> Process:
        """Count who waits at the end of every minute."""
        for minute in range(self.setting.minutes):
            yield self.env.timeout(MINUTE * (minute + 1) - 1e-6 - self.env.now)
            self.record.live[minute] = self.live
            self.record.stale[minute] = len(self.queue) - self.live
            self.record.backing_off[minute] = self.backing_off


def simulate_requests(setting: Setting, seed: int) -> Record:
    """Run one cluster; the same seed gives the same record."""
    cluster = Cluster(setting, random.Random(seed))
    env = cluster.env
    env.process(cluster.change_servers())
    env.process(cluster.arrive())
    env.process(cluster.look())
    if setting.thermal is not None:
        env.process(cluster.warm(setting.thermal))
    with _no_collection():
        env.run(until=setting.minutes * MINUTE - 1e-9)
    return cluster.record


@cache
def mean_record(setting: Setting, seeds: int) -> Record:
    """Mean of the records of some seeds."""
    records = [vars(simulate_requests(setting, seed)) for seed in range(seeds)]
    return Record(**{name: np.mean([one[name] for one in records], axis=0) for name in records[0]})


@contextmanager
def _no_collection() -> Iterator[None]:
    """Without the garbage collector, which would walk all waiting clients again and again."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
