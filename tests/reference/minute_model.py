"""A platform minute by minute, every cluster a SimPy process: what people write first.

The same clusters, plants, zones and tiers as the simulator's, one scenario at a time, in plain
Python. It knows routing by priority, failover, time-outs, retries, heat, standby cooling,
throttling, shutdown and emergency capacity, but neither services nor power nor restoration, so it
does less per minute than the simulator. Its purpose is the comparison of speed in
``tests/benchmarks``; the two agree on what is served (``test_minute_model.py``).
"""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field

import simpy

Process = Generator[simpy.Event, object, None]


@dataclass(frozen=True)
class Site:
    """A cluster with its cooling; MW, MJ/K, °C, requests per second.

    Running and spare units stand in the primary plant, emergency units in one of their own.
    """

    gpus: float
    power_mw: float
    static_share: float
    rps: float
    utilisation: float
    capacitance: float
    setpoint_c: float
    throttle_c: float
    shutdown_c: float
    running_mw: float
    spare_mw: float
    emergency_mw: float
    start_minutes: float


@dataclass(frozen=True)
class Rented:
    """Emergency capacity: requests per second, minutes after the order."""

    rps: float
    lead_minutes: float


@dataclass(frozen=True)
class Class:
    """A tier: share of demand, and what its clients do when a request fails."""

    share: float
    attempts: int
    backoff_minutes: float
    gives_up: float


@dataclass(frozen=True)
class Failure:
    """Loss of a cluster, or of its primary plant, for good."""

    minute: float
    site: int
    cooling_only: bool


@dataclass(frozen=True)
class Platform:
    """Everything that does not change.

    Parameters
    ----------
    preferences
        Targets in order for each zone and tier: numbers of sites, then of rented capacity.
    demand_rps
        By minute and zone.
    reaction_minute, failover_minutes, patience_minutes
        When operators act and emergency capacity is ordered; delay of load balancers; time-outs.
    """

    sites: tuple[Site, ...]
    rented: tuple[Rented, ...]
    tiers: tuple[Class, ...]
    preferences: Sequence[Sequence[Sequence[int]]]
    demand_rps: Sequence[Sequence[float]]
    reaction_minute: float
    failover_minutes: int
    patience_minutes: float


@dataclass
class Cluster:
    """State of a site."""

    site: Site
    temperature_c: float
    powered: float
    load: float = 0.0
    up: bool = True
    tripped: bool = False
    running_mw: float = 0.0
    standby_mw: float = 0.0
    started_minute: float = math.inf

    def clock(self) -> float:
        """Share of the full clock at this temperature."""
        site = self.site
        room = (site.shutdown_c - self.temperature_c) / (site.shutdown_c - site.throttle_c)
        return min(1.0, max(0.0, room))

    def capacity(self) -> float:
        """Requests per second it takes."""
        if not self.up or self.tripped:
            return 0.0
        return self.powered * self.site.rps * self.site.utilisation * self.clock()


@dataclass
class Run:
    """One scenario on its way; `served` is by minute and tier."""

    platform: Platform
    failures: tuple[Failure, ...]
    env: simpy.Environment = field(default_factory=simpy.Environment)
    served: list[list[float]] = field(default_factory=list)
    known_capacity: list[list[float]] = field(default_factory=list)
    order_minute: float = math.inf

    def __post_init__(self) -> None:
        zones, tiers = len(self.platform.demand_rps[0]), len(self.platform.tiers)
        self.clusters = [
            Cluster(
                site,
                site.setpoint_c,
                site.gpus,
                running_mw=site.running_mw,
                standby_mw=site.spare_mw + site.emergency_mw,
            )
            for site in self.platform.sites
        ]
        self.waiting = [[0.0] * tiers for _ in range(zones)]
        self.retrying = [
            [[0.0] * tier.attempts for tier in self.platform.tiers] for _ in range(zones)
        ]

    def fail(self, failure: Failure) -> Process:
        """A failure waits for its minute."""
        yield self.env.timeout(failure.minute)
        cluster = self.clusters[failure.site]
        if failure.cooling_only:
            cluster.running_mw, cluster.standby_mw = 0.0, cluster.site.emergency_mw
        else:
            cluster.up = False

    def operate(self, cluster: Cluster) -> Process:
        """Heat, cooling, throttling and shutdown of a cluster, in the middle of every minute."""
        site = cluster.site
        full = (
            site.gpus
            * site.power_mw
            * (site.static_share + (1 - site.static_share) * site.utilisation)
        )
        yield self.env.timeout(0.5)
        while True:
            minute = self.env.now - 0.5
            cooling = cluster.running_mw
            if minute - cluster.started_minute >= site.start_minutes:
                cooling += cluster.standby_mw
            on = cluster.up and not cluster.tripped
            busy = cluster.load / site.rps
            static = site.static_share * cluster.powered * on
            heat = site.power_mw * (static + (1 - site.static_share) * busy)
            short = max(heat, full * on if minute >= self.platform.reaction_minute else 0.0)
            if short > cluster.running_mw + 1e-9 and math.isinf(cluster.started_minute):
                cluster.started_minute = minute
            change = (heat - cooling) / site.capacitance * 60.0
            cluster.temperature_c = max(site.setpoint_c, cluster.temperature_c + change)
            if cluster.temperature_c >= site.shutdown_c - 1e-3:
                cluster.tripped = True
            if minute >= self.platform.reaction_minute and full > 0:
                cluster.powered = site.gpus * min(1.0, cooling / full)
            yield self.env.timeout(1.0)

    def route(self) -> Process:
        """Every minute: demand and retries to the nearest targets with room, tiers in order."""
        platform = self.platform
        for demand in platform.demand_rps:
            minute = self.env.now
            capacity = [cluster.capacity() for cluster in self.clusters]
            for rented in platform.rented:
                there = minute - self.order_minute >= rented.lead_minutes
                capacity.append(rented.rps if there else 0.0)
            self.known_capacity.append(capacity)
            known = self.known_capacity[
                max(0, len(self.known_capacity) - 1 - platform.failover_minutes)
            ]
            self.minute(demand, list(known), capacity)
            yield self.env.timeout(1.0)

    def minute(self, demand: Sequence[float], room: list[float], capacity: list[float]) -> None:
        """One minute of requests."""
        tiers, sent = self.platform.tiers, [0.0] * len(room)
        flows: list[tuple[int, int, int, float]] = []
        attempts = [
            [self.attempts(z, k, rps) for k in range(len(tiers))] for z, rps in enumerate(demand)
        ]
        short = False
        for k in range(len(tiers)):
            for z in range(len(demand)):
                rest = sum(attempts[z][k])
                for target in self.platform.preferences[z][k]:
                    if rest <= 1e-9:
                        break
                    flow = min(rest, room[target])
                    if flow > 0:
                        room[target] -= flow
                        sent[target] += flow
                        flows.append((z, k, target, flow))
                        rest -= flow
                short |= rest > 1e-6
                self.fail_requests(z, k, rest, attempts[z][k])
        fits = [min(1.0, c / s) if s > 0 else 1.0 for c, s in zip(capacity, sent, strict=True)]
        served = [0.0] * len(tiers)
        load = [min(s, c) for s, c in zip(sent, capacity, strict=True)]
        self.drain(load, capacity, served, attempts)
        for z, k, target, flow in flows:
            served[k] += flow * fits[target]
            self.waiting[z][k] += flow * (1 - fits[target])
        for c, cluster in enumerate(self.clusters):
            cluster.load = load[c]
        self.served.append(served)
        if (
            short
            and self.env.now >= self.platform.reaction_minute
            and math.isinf(self.order_minute)
        ):
            self.order_minute = self.env.now

    def attempts(self, zone: int, tier: int, demand: float) -> list[float]:
        """New requests and those that come back, by attempt."""
        terms, waiting = self.platform.tiers[tier], self.retrying[zone][tier]
        share = min(1.0, 1.0 / terms.backoff_minutes)
        found = [demand * terms.share]
        for number, clients in enumerate(waiting):
            found.append(clients * share)
            waiting[number] = clients * (1 - share)
        return found

    def fail_requests(self, zone: int, tier: int, failed: float, attempts: list[float]) -> None:
        """Failed requests back off or are given up."""
        total = sum(attempts)
        if failed <= 1e-9 or total <= 0:
            return
        again = (1 - self.platform.tiers[tier].gives_up) * failed / total
        for number in range(len(attempts) - 1):
            self.retrying[zone][tier][number] += attempts[number] * again

    def drain(
        self,
        load: list[float],
        capacity: list[float],
        served: list[float],
        attempts: list[list[list[float]]],
    ) -> None:
        """Those who wait take what room is left; some of the others time out."""
        for k in range(len(served)):
            for z, row in enumerate(self.waiting):
                if row[k] <= 1e-9:
                    continue
                for target in self.platform.preferences[z][k]:
                    flow = max(0.0, min(row[k], capacity[target] - load[target]))
                    load[target] += flow
                    row[k] -= flow
                    served[k] += flow
                gone = row[k] * -math.expm1(-1.0 / self.platform.patience_minutes)
                row[k] -= gone
                self.fail_requests(z, k, gone, attempts[z][k])


def simulate_minutes(platform: Platform, failures: tuple[Failure, ...]) -> Run:
    """Run one scenario to its end."""
    run = Run(platform, failures)
    for failure in failures:
        run.env.process(run.fail(failure))
    run.env.process(run.route())
    for cluster in run.clusters:
        run.env.process(run.operate(cluster))
    run.env.run(until=len(platform.demand_rps))
    return run
