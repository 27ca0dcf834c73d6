"""Reading out of a simulation what a record states: values at a moment, moments of events.

The first scenario of a simulation is read; T minutes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from planner.laws.queues import busy_seconds, response_seconds
from planner.replay.incident import QUANTITIES
from planner.simulation.history import History
from planner.simulation.system_states import Bools, Floats
from planner.simulation.world import World

#: Below this a requirement is met within rounding.
ROUNDING = 1e-9
Subject = tuple[str, ...]
#: What passes the threshold of an event; `_above` and `_below` say in which direction.
PASSED = {
    "temperature_above": "temperature_c",
    "temperature_below": "temperature_c",
    "powered_below": "powered",
    "powered_above": "powered",
    "utilisation_above": "utilisation",
    "traffic_ratio_above": "traffic_ratio",
    "success_below": "success_rate",
    "success_above": "success_rate",
    "queue_below": "waiting_requests",
    "pending_below": "pending_requests",
}


@dataclass(frozen=True)
class Readout:
    """A simulation as a record speaks of it: of a subject, and of a threshold.

    Quantities and events are methods of their names in a record. Quantities have a value in every
    minute, events go on or do not, shape (T,).
    """

    world: World
    history: History
    subject: Subject
    threshold: float = 0.0

    def values(self, quantity: str) -> Floats:
        """Course of a quantity."""
        values: Floats = getattr(self, quantity)()
        return values

    def flags(self, event: str) -> Bools:
        """Whether an event goes on."""
        if event not in PASSED:
            flags: Bools = getattr(self, event)()
            return flags
        values = self.values(PASSED[event])
        if event.endswith("_above"):
            return values >= self.threshold - ROUNDING
        return values <= self.threshold + ROUNDING

    @property
    def _cluster(self) -> int:
        return self.world.clusters.names.index(self.subject[0])

    @property
    def _plant(self) -> int:
        return self.world.plants.names.index(self.subject[0])

    @property
    def _service(self) -> int:
        return self.world.services.names.index(self.subject[0])

    def temperature_c(self) -> Floats:
        """Temperature of a cluster, °C."""
        return self.history.temperature_c[:, 0, self._cluster]

    def heat_mw(self) -> Floats:
        """Heat of a cluster, MW."""
        return self.history.heat_mw[:, 0, self._cluster]

    def cooling_mw(self) -> Floats:
        """Heat carried away from a cluster, MW."""
        return self.history.cooling_mw[:, 0, self._cluster]

    def cooling_capacity_mw(self) -> Floats:
        """Heat that a plant could carry away, MW."""
        return self.history.cooling_capacity_mw[:, 0, self._plant]

    def success_rate(self) -> Floats:
        """Requests that succeed over new ones, at most 1, of some tiers (none named: of all)."""
        names = self.world.tiers.names
        tiers = [names.index(name) for name in self.subject or names]
        fresh = self.history.demand_rps[:, 0, tiers].sum(axis=1)
        served = self.history.served_rps[:, 0, tiers].sum(axis=1)
        rate = np.divide(served, fresh, out=np.ones_like(fresh), where=fresh > ROUNDING)
        return np.minimum(rate, 1.0)

    def traffic_ratio(self) -> Floats:
        """Requests that want into a cluster over its load at minute 0; NaN if that was nothing."""
        usual = float(self.history.load_rps[0, 0, self._cluster])
        wanted = self.history.wanted_rps[:, 0, self._cluster]
        return wanted / usual if usual > ROUNDING else np.full_like(wanted, np.nan)

    def waiting_requests(self) -> Floats:
        """Requests in the queue."""
        return self.history.waiting[:, 0]

    def pending_requests(self) -> Floats:
        """Requests in the queue, and those that clients who were turned away will send again."""
        return self.history.waiting[:, 0] + self.history.retrying[:, 0]

    def response_seconds(self) -> Floats:
        """Time that 99 of 100 requests stay below, queue and work, seconds."""
        clusters, load = self.world.clusters, self.history.load_rps[:, 0]
        busy = busy_seconds(
            load[:, : len(clusters.names)],
            self.history.powered_gpus[:, 0],
            self.history.clock[:, 0],
            clusters.rps,
            clusters.service_seconds,
        )
        longest = busy.max(axis=1, initial=0.0)
        return np.asarray(response_seconds(longest, self.history.waiting[:, 0], load.sum(axis=1)))

    def powered(self) -> Floats:
        """Share of the GPUs of a cluster under power, as halls go off and come back in part."""
        gpus = max(self.world.clusters.gpus[self._cluster], 1.0)
        return np.asarray(self.history.powered_gpus[:, 0, self._cluster] / gpus)

    def utilisation(self) -> Floats:
        """Load of a cluster over what it could serve with every powered GPU at its clock busy."""
        load = self.history.load_rps[:, 0, self._cluster]
        share = self.world.clusters.utilisation[self._cluster]
        full = self.history.capacity_rps[:, 0, self._cluster] / share
        none = np.where(load > ROUNDING, np.inf, 0.0)
        return np.asarray(np.divide(load, full, out=none, where=full > ROUNDING))

    def _since(self, minute: float) -> Bools:
        return np.arange(self.world.minutes) >= minute

    def cooling_short(self) -> Bools:
        """Whether a cluster of a plant gets less cooling than it makes heat."""
        served = self.world.plants.serves[self._plant]
        short = self.history.heat_mw[:, 0] > self.history.cooling_mw[:, 0] + ROUNDING
        return np.asarray((short & served).any(axis=1))

    def standby_cooling(self) -> Bools:
        """Whether standby units of a plant have started, and there are any that work."""
        world, units = self.world, self.world.units
        mine = units.standby & (units.plant == self._plant)
        starts = self.history.standby_since[0] + units.start_minutes
        started = np.arange(world.minutes)[:, None] >= starts
        working = world.system_states.units[world.interval[:, 0]] > 0
        return np.asarray((started & working & mine).any(axis=1))

    def shutdown(self) -> Bools:
        """Whether a cluster is without power, by failure or by its own protection."""
        return self.history.off[:, 0, self._cluster]

    def restored(self) -> Bools:
        """Whether a cluster that was off takes requests again."""
        off = self.shutdown()
        was_off = np.concatenate([[False], np.logical_or.accumulate(off)[:-1]])
        takes = self.history.capacity_rps[:, 0, self._cluster] > ROUNDING
        return was_off & ~off & takes

    def reroute(self) -> Bools:
        """Whether load balancers know of another capacity of a cluster than at minute 0.

        By more than what cold caches make of it.
        """
        known_rps = self.history.known_capacity_rps[:, 0, self._cluster]
        most = 1.0 - 1.0 / self.world.reaction.cold_most[0] + 1e-6
        return np.asarray(np.abs(known_rps - known_rps[0]) > most * known_rps[0])

    def timeouts(self) -> Bools:
        """Whether requests time out."""
        return self.history.timed_out[:, 0] >= 1.0

    def pool_exhausted(self) -> Bools:
        """Whether all connections of a service are asked for."""
        return self.history.pool_use[:, 0, self._service] >= 1.0 - ROUNDING

    def service_overloaded(self) -> Bools:
        """Whether as many requests want to pass a service as it lets through, or more."""
        return self.history.service_use[:, 0, self._service] >= 1.0 - ROUNDING

    def queue_full(self) -> Bools:
        """Whether there is no more room in the queue."""
        waiting = self.history.waiting[:, 0]
        return np.asarray((waiting >= self.world.reaction.queue_limit[0] * 0.999) & (waiting > 0))

    def emergency_ordered(self) -> Bools:
        """Whether emergency capacity is ordered."""
        return self._since(self.history.order_minute[0])

    def emergency_capacity(self) -> Bools:
        """Whether an offer serves."""
        offer = len(self.world.clusters.names) + self.world.offers.names.index(self.subject[0])
        return self.history.capacity_rps[:, 0, offer] > ROUNDING

    def alarm(self, after: float = 0.0) -> Bools:
        """Minutes so long after the alert, which comes after its time or at its temperature."""
        world, timeline = self.world, self.world.timelines[0]
        begins = timeline.failures[0]
        alert = begins + timeline.operations.detection_minutes
        hot = self.history.temperature_c[:, 0] >= world.reaction.detection_c[0]
        minutes = np.flatnonzero((hot & (world.clusters.gpus > 0)).any(axis=1))
        return self._since(min([alert, *minutes[minutes >= begins][:1].tolist()]) + after)

    def first_action(self) -> Bools:
        """Whether operators act."""
        return self.alarm(float(self.world.reaction.act_after[0]))


def value_at(
    world: World, history: History, quantity: str, subject: Subject, minute: int
) -> float | None:
    """Value of a quantity at a minute; None if it has none then."""
    value = float(Readout(world, history, subject).values(quantity)[minute])
    return value if np.isfinite(value) else None


def event_minute(
    world: World,
    history: History,
    event: str,
    subject: Subject,
    threshold: float,
    after: int = 0,
    last: bool = False,
) -> int | None:
    """First (or last) minute from `after` on in which an event goes on; None if never.

    A cluster that is off from minute 0 on, and the like, counts from minute 0.
    """
    flags = Readout(world, history, subject, threshold).flags(event)
    found = np.flatnonzero(flags[after:])
    return after + int(found[-1 if last else 0]) if len(found) else None


def event_moment(
    world: World,
    history: History,
    event: str,
    subject: Subject,
    threshold: float,
    after: int = 0,
    last: bool = False,
) -> float | None:
    """`event_minute` with the part of the minute in which a quantity passes the threshold."""
    found = event_minute(world, history, event, subject, threshold, after, last)
    quantity = PASSED.get(event)
    if found is None or quantity not in QUANTITIES or last or found <= after:
        return found
    values = Readout(world, history, subject).values(quantity)
    before, now = values[found - 1 : found + 1].tolist()
    return found - 1 + (threshold - before) / (now - before) if now != before else found
