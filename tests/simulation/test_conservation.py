"""Nothing is lost or invented, in any minute of any cascade."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from simulation.random_worlds import HORIZON, cases

from planner.infrastructure.fleet import Fleet
from planner.infrastructure.loading import LoadedModel
from planner.simulation.cascade import History, simulate
from planner.simulation.world import World

PROPERTY = settings(
    derandomize=True,
    deadline=None,
    max_examples=40,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def check_requests(world: World, history: History) -> None:
    """Arrived = served + shed + dropped + abandoned + served late + change of those waiting."""
    arrived = history.demand_rps.sum(axis=2) * 60
    waiting = np.diff(history.waiting, axis=0, prepend=0.0)
    went = history.served_rps.sum(axis=2) * 60 + waiting + history.queue_served
    went += history.shed + history.dropped + history.abandoned
    assert went == pytest.approx(arrived, rel=1e-9, abs=1e-4)
    assert (history.served_rps <= history.demand_rps + 1e-6).all()
    for name in ("served_rps", "waiting", "shed", "dropped", "abandoned", "queue_served"):
        assert (getattr(history, name) >= 0).all(), name
    assert (history.waiting <= world.reaction.queue_limit * (1 + 1e-9)).all()


def check_energy(world: World, history: History) -> None:
    """Heat is carried away or stored; no plant carries more than it can."""
    stored = np.diff(history.temperature_c, axis=0) * world.clusters.capacitance / 60
    balance = history.heat_mw - history.cooling_mw
    assert balance[:-1] == pytest.approx(stored, abs=1e-8)
    assert (history.temperature_c >= world.clusters.setpoint_c).all()
    assert (history.heat_mw >= 0).all()
    assert (history.cooling_mw >= -1e-9).all()
    for members in product([False, True], repeat=len(world.clusters.names)):
        group = np.array(members)
        reach = world.serves[:, group].any(axis=1)
        most = history.cooling_capacity_mw[..., reach].sum(axis=2)
        assert (history.cooling_mw[..., group].sum(axis=2) <= most + 1e-9).all()


def check_machines(world: World, history: History) -> None:
    """GPUs powered are installed, load fits the capacity, what is off does nothing."""
    clusters = world.clusters
    assert (history.powered_gpus >= 0).all()
    assert (history.powered_gpus <= clusters.gpus * (1 + 1e-12)).all()
    assert (history.load_rps <= history.capacity_rps * (1 + 1e-9) + 1e-9).all()
    own = history.capacity_rps[..., : len(clusters.names)]
    most = history.powered_gpus * clusters.rps * clusters.utilisation * history.clock
    assert (own <= most * (1 + 1e-12)).all()
    assert (history.heat_mw <= clusters.power_mw * history.powered_gpus * (1 + 1e-9)).all()
    # The record of `off` is that of the end of a minute.
    assert not own[1:][history.off[:-1] & history.off[1:]].any()
    work = history.load_rps.sum(axis=2) * 60
    late = history.served_rps.sum(axis=2) * 60 + history.queue_served
    assert work == pytest.approx(late, rel=1e-9, abs=1e-4)


def check_money(world: World, history: History) -> None:
    """Emergency spend is the price of what is used."""
    rented = history.load_rps[..., len(world.clusters.names) :] / world.offers.rps_per_gpu
    assert history.emergency_usd == pytest.approx(rented @ world.offers.usd_per_gpu_minute)
    assert (history.emergency_usd >= 0).all()


@PROPERTY
@given(data=st.data())
def test_requests_energy_machines_and_money_are_conserved(
    data: st.DataObject, tiny: LoadedModel
) -> None:
    case = data.draw(cases(tiny.model))
    world, history = simulate(case.model, Fleet.existing(case.model), case.scenarios)
    assert world.minutes == HORIZON
    check_requests(world, history)
    check_energy(world, history)
    check_machines(world, history)
    check_money(world, history)


def test_conservation_holds_in_the_incident_of_2023(reference: LoadedModel) -> None:
    model = reference.model
    scenario = model.scenarios["incident-2023"]
    world, history = simulate(model, Fleet.existing(model), (scenario,))
    check_requests(world, history)
    check_energy(world, history)
    check_machines(world, history)
    check_money(world, history)
