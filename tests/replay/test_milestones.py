"""Values and moments read out of a record made by hand, so that each is known."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
from simulation.worlds import TWO, scenario
from support import model_of

from planner.infrastructure.failures import UnitLoss
from planner.infrastructure.fleet import Fleet
from planner.replay.incident import EVENTS, QUANTITIES, EventName, QuantityName
from planner.replay.milestones import PASSED, Readout, event_minute, value_at
from planner.simulation.build import prepare
from planner.simulation.history import History
from planner.simulation.world import World

MINUTES = 120
RAMP = np.arange(MINUTES, dtype=float)
SERVICES = """
services:
  database: {plane: state, connections: 100}
  sign-in: {plane: service, capacity_rps: 100, depends_on: [database]}
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> World:
    """Two sites, a cloud offer, two services; emergency fans for the second site."""
    text = TWO.replace("chiller: {capacity_mw: 6.0}", "chiller: {capacity_mw: 6.0}, fan: "
                       "{capacity_mw: 1.0, mode: standby, start_minutes: 7}")  # fmt: skip
    text = text.replace("cools: [second], existing: {chiller: 1}",
                        "cools: [second], existing: {chiller: 1, fan: 1}")  # fmt: skip
    text = text.replace("share: 0.6}", "share: 0.6, entry: sign-in}")
    model = model_of(tmp_path_factory.mktemp("two"), text + SERVICES)
    loss = UnitLoss(
        kind="units", plant="first-plant", unit="chiller", at_minute=3, repair_minutes=60
    )
    return prepare(model, Fleet.existing(model), (scenario(loss),))


@pytest.fixture
def history(world: World) -> History:
    """A record in which nothing has happened."""
    history = History.empty(world)
    history.temperature_c[:] = 65.0
    history.demand_rps[:] = [200.0, 300.0]
    history.served_rps[:] = [200.0, 300.0]
    history.load_rps[:] = [400.0, 100.0, 0.0]
    history.wanted_rps[:] = history.load_rps
    history.capacity_rps[:] = [600.0, 600.0, 0.0]
    history.order_minute = np.array([np.inf])
    history.standby_since = np.full((1, len(world.units.names)), np.inf)
    return history


def test_an_alarm_comes_by_heat_if_that_is_earlier(world: World, history: History) -> None:
    """A loss at minute 3: by time the alarm comes at 8 and the first action at 18."""
    hot = replace(world, reaction=replace(world.reaction, detection_c=np.array([70.0])))
    history.temperature_c[5:, 0] = 70.0
    for site, alarm in ((world, 8), (hot, 5)):
        assert event_minute(site, history, "alarm", (), 0.0) == alarm
        assert event_minute(site, history, "first_action", (), 0.0) == alarm + 10


def test_every_quantity_and_event_can_be_read():
    assert set(QUANTITIES) == set(get_args(QuantityName))
    assert set(EVENTS) == set(get_args(EventName))
    read = {*PASSED.values(), *(set(QUANTITIES) - {"minute"}), *(set(EVENTS) - set(PASSED))}
    assert all(callable(getattr(Readout, name)) for name in read)


def never(world: World, history: History) -> set[str]:
    """Events that do not happen at a threshold nothing reaches."""
    subjects = {"cluster": "first", "plant": "second-plant", "offer": "cloud"}
    subjects |= {"service": "database"}
    found = set()
    for name, terms in EVENTS.items():
        subject = (subjects[terms.subject],) if terms.subject in subjects else ()
        threshold = {"above": 1e9, "below": -1e9}.get(name.rsplit("_", 1)[-1], 0.0)
        if event_minute(world, history, name, subject, threshold) is None:
            found.add(name)
    return found


def test_no_event_happens_without_cause(world, history):
    # People act after 15 minutes, alarms come after 5, whatever the record says.
    assert set(EVENTS) - never(world, history) == {"alarm", "first_action"}


class TestValues:
    def test_values_of_clusters_are_read_at_their_minute(self, world, history):
        history.temperature_c[:, 0, 1] = 65 + RAMP
        history.heat_mw[:, 0, 1] = RAMP / 10
        history.cooling_mw[:, 0, 1] = RAMP / 20
        assert value_at(world, history, "temperature_c", ("second",), 20) == 85.0
        assert value_at(world, history, "temperature_c", ("first",), 20) == 65.0
        assert value_at(world, history, "heat_mw", ("second",), 20) == 2.0
        assert value_at(world, history, "cooling_mw", ("second",), 20) == 1.0

    def test_values_of_plants_are_read_at_their_minute(self, world, history):
        history.cooling_capacity_mw[:, 0, 1] = RAMP
        assert value_at(world, history, "cooling_capacity_mw", ("second-plant",), 7) == 7.0

    def test_success_is_of_the_tiers_named_and_at_most_one(self, world, history):
        history.served_rps[10, 0] = [150.0, 0.0]
        history.served_rps[11, 0] = [400.0, 600.0]
        assert value_at(world, history, "success_rate", (), 10) == 0.3
        assert value_at(world, history, "success_rate", ("high",), 10) == 0.75
        assert value_at(world, history, "success_rate", ("low",), 10) == 0.0
        assert value_at(world, history, "success_rate", (), 11) == 1.0
        history.demand_rps[12] = 0.0
        assert value_at(world, history, "success_rate", (), 12) == 1.0

    def test_traffic_is_over_that_of_minute_0(self, world, history):
        history.wanted_rps[30, 0, 1] = 400.0
        assert value_at(world, history, "traffic_ratio", ("second",), 30) == 4.0
        history.load_rps[:, 0, 1] = 0.0
        assert value_at(world, history, "traffic_ratio", ("second",), 30) is None

    def test_values_of_the_platform_count_waiting_and_retrying_requests(self, world, history):
        history.waiting[:, 0] = RAMP
        history.retrying[:, 0] = 2 * RAMP
        assert value_at(world, history, "waiting_requests", (), 9) == 9.0
        assert value_at(world, history, "pending_requests", (), 9) == 27.0

    def test_response_is_work_and_queue(self, world, history):
        history.clock[:], history.powered_gpus[:] = 1.0, world.clusters.gpus
        assert value_at(world, history, "response_seconds", (), 9) == pytest.approx(2.0, abs=0.1)
        history.waiting[:, 0] = RAMP * history.load_rps[0, 0].sum()
        assert value_at(world, history, "response_seconds", (), 9) == pytest.approx(11.0, abs=0.1)


class TestEvents:
    def minute(self, world, history, event, subject=(), threshold=0.0, after=0, last=False):
        return event_minute(world, history, event, subject, threshold, after, last)

    def test_temperature_events_are_found_up_and_down(self, world, history):
        history.temperature_c[:60, 0, 0] = 65 + RAMP[:60]
        history.temperature_c[60:, 0, 0] = 125 - RAMP[:60]
        assert self.minute(world, history, "temperature_above", ("first",), 85.0) == 20
        assert self.minute(world, history, "temperature_above", ("first",), 85.0, last=True) == 100
        assert self.minute(world, history, "temperature_below", ("first",), 85.0) == 0
        assert self.minute(world, history, "temperature_below", ("first",), 85.0, after=21) == 100

    def test_shutdown_and_restoration_are_found(self, world, history):
        history.off[10:50, 0, 0] = True
        history.capacity_rps[11:70, 0, 0] = 0.0
        assert self.minute(world, history, "shutdown", ("first",)) == 10
        assert self.minute(world, history, "shutdown", ("second",)) is None
        # At 10 it still had capacity; at 50 it is on and takes nothing yet.
        assert self.minute(world, history, "restored", ("first",)) == 70
        assert self.minute(world, history, "restored", ("second",)) is None

    def test_halls_that_go_off_and_come_back_in_part_are_found(self, world, history):
        gpus = world.clusters.gpus[0]
        history.powered_gpus[:, 0, 0] = gpus
        history.powered_gpus[10:20, 0, 0] = gpus * 0.5
        history.powered_gpus[20:40, 0, 0] = gpus * 0.9
        assert self.minute(world, history, "powered_below", ("first",), 0.5) == 10
        assert self.minute(world, history, "powered_above", ("first",), 0.9, after=10) == 20
        assert self.minute(world, history, "powered_above", ("first",), 0.95, after=10) == 40

    def test_the_first_shortage_of_cooling_is_found(self, world, history):
        history.heat_mw[:, 0, 0] = 5.0
        history.cooling_mw[:, 0, 0] = np.where(RAMP < 8, 5.0, 4.0)
        assert self.minute(world, history, "cooling_short", ("first-plant",)) == 8
        assert self.minute(world, history, "cooling_short", ("second-plant",)) is None

    def test_standby_cooling_carries_heat_after_its_start(self, world, history):
        fan = world.units.names.index(("second-plant", "fan"))
        history.standby_since[0, fan] = 20.0
        assert self.minute(world, history, "standby_cooling", ("second-plant",)) == 27
        assert self.minute(world, history, "standby_cooling", ("first-plant",)) is None
        running = world.units.names.index(("second-plant", "chiller"))
        history.standby_since[0] = np.inf
        history.standby_since[0, running] = 5.0
        assert self.minute(world, history, "standby_cooling", ("second-plant",)) is None

    def test_utilisation_and_traffic_above_a_level_are_found(self, world, history):
        history.load_rps[40:, 0, 1] = 590.0
        history.wanted_rps[30:, 0, 1] = 590.0
        assert self.minute(world, history, "utilisation_above", ("second",), 0.9) == 40
        assert self.minute(world, history, "traffic_ratio_above", ("second",), 5.0) == 30
        history.capacity_rps[20:, 0, 1] = 0.0
        assert self.minute(world, history, "utilisation_above", ("second",), 0.9) == 20

    def test_reroute_is_found_when_known_capacity_falls(self, world, history):
        history.known_capacity_rps[:, 0, 0] = np.where(RAMP < 35, 600.0, 300.0)
        assert self.minute(world, history, "reroute", ("first",)) == 35
        assert self.minute(world, history, "reroute", ("second",)) is None

    def test_success_below_and_above_a_share_is_found(self, world, history):
        history.served_rps[10:50, 0, 1] = 30.0
        assert self.minute(world, history, "success_below", ("low",), 0.1) == 10
        assert self.minute(world, history, "success_below", ("high",), 0.1) is None
        assert self.minute(world, history, "success_above", ("low",), 0.9) == 0
        assert self.minute(world, history, "success_above", ("low",), 0.9, after=20) == 50

    def test_exhausted_pools_and_overloaded_services_are_found(self, world, history):
        names = world.services.names
        history.pool_use[12:, 0, names.index("database")] = 1.0
        history.service_use[14:, 0, names.index("sign-in")] = 1.5
        assert self.minute(world, history, "pool_exhausted", ("database",)) == 12
        assert self.minute(world, history, "pool_exhausted", ("sign-in",)) is None
        assert self.minute(world, history, "service_overloaded", ("sign-in",)) == 14

    def test_full_queues_and_timeouts_are_found(self, world, history):
        limit = world.reaction.queue_limit[0]
        history.waiting[30:60, 0] = limit
        history.timed_out[31:, 0] = 5.0
        assert self.minute(world, history, "queue_full") == 30
        assert self.minute(world, history, "timeouts") == 31
        assert self.minute(world, history, "queue_below", (), 100.0) == 0
        assert self.minute(world, history, "queue_below", (), 100.0, after=30) == 60

    def test_alarms_actions_and_orders_of_people_are_found(self, world, history):
        history.order_minute[:] = 44.0
        history.capacity_rps[64:, 0, 2] = 400.0
        assert self.minute(world, history, "alarm") == 8  # the loss is at 3, detection takes 5
        assert self.minute(world, history, "first_action") == 18
        assert self.minute(world, history, "emergency_ordered") == 44
        assert self.minute(world, history, "emergency_capacity", ("cloud",)) == 64
