"""Nothing is lost or invented, in any minute of any cascade."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from simulation.random_worlds import HORIZON, cases, recovering
from support import often

from planner.infrastructure.fleet import Fleet
from planner.infrastructure.loading import LoadedModel
from planner.laws.heat import carried_by_plant
from planner.simulation.cascade import simulate
from planner.simulation.history import AXES, History
from planner.simulation.world import World

#: Requests that the simulator counts as none (`planner.simulation.traffic.NEGLIGIBLE_REQUESTS`).
ROUNDING = 2e-2
#: Records of requests that are never negative.
AMOUNTS = (*AXES["K"], *(name for name in AXES[""] if name != "emergency_usd"))
PROPERTY = settings(
    derandomize=True,
    deadline=None,
    max_examples=often(6, 100),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def check_requests(world: World, history: History) -> None:
    """No client and no request is lost or invented.

    Clients: new ones = served + given up + change of those waiting and backing off. Requests in
    vain: timed out = served in vain + taken out + change of those in the queue.
    """
    served = history.served_rps.sum(axis=2) * 60
    fresh = history.demand_rps.sum(axis=2) * 60
    live = history.waiting - history.stale
    change = np.diff(live + history.retrying, axis=0, prepend=0.0)
    assert served + history.gave_up + change == pytest.approx(fresh, rel=1e-9, abs=ROUNDING)
    in_vain = np.diff(history.stale, axis=0, prepend=0.0)
    ended = history.wasted + history.purged + in_vain
    assert ended == pytest.approx(history.timed_out, rel=1e-9, abs=ROUNDING)
    for name in AMOUNTS:
        assert (getattr(history, name) >= 0).all(), name
    assert (live >= -1e-6).all()
    assert (history.waiting <= world.reaction.queue_limit * (1 + 1e-9) + 1e-6).all()


def check_attempts(world: World, history: History) -> None:
    """Requests that arrive = new ones + those coming back; each of them ends in some way.

    What arrives is served, waits, or fails; of what fails some comes back and the rest is given up.
    """
    fresh = history.demand_rps.sum(axis=2) * 60
    attempts = history.attempts_rps.sum(axis=2) * 60
    returning = attempts - fresh
    failed = history.shed + history.rejected + history.dropped + history.timed_out
    repeated = np.diff(history.retrying, axis=0, prepend=0.0) + returning
    assert repeated + history.gave_up == pytest.approx(failed, rel=1e-9, abs=ROUNDING)
    live = np.diff(history.waiting - history.stale, axis=0, prepend=0.0)
    ended = history.served_rps.sum(axis=2) * 60 + failed + live
    assert ended == pytest.approx(attempts, rel=1e-9, abs=ROUNDING)
    before = np.vstack([np.zeros_like(history.retrying[:1]), history.retrying[:-1]])
    # Nobody makes more attempts than allowed.
    allowed = world.tiers.retries.attempts * np.cumsum(fresh, axis=0)
    assert (np.cumsum(attempts, axis=0) <= allowed * (1 + 1e-9) + ROUNDING).all()
    most = world.tiers.retries.returning.max()
    assert (returning <= most * before * (1 + 1e-9) + 1e-4).all()
    assert (returning >= -1e-4).all()


def check_energy(world: World, history: History) -> None:
    """Heat is carried away or stored; no plant carries more than it can."""
    size = world.plants.buffer_mj
    stored = np.diff(history.temperature_c, axis=0) * world.clusters.capacitance / 60
    balance = history.heat_mw - history.cooling_mw - history.envelope_mw
    assert balance[:-1] == pytest.approx(stored, abs=1e-8)
    assert (history.temperature_c >= world.clusters.setpoint_c).all()
    assert (history.heat_mw >= 0).all()
    assert (history.cooling_mw >= -1e-9).all()
    before = np.concatenate([np.full_like(history.cold_mj[:1], size), history.cold_mj[:-1]])
    from_tanks = np.maximum(before - history.cold_mj, 0.0) / 60
    for members in product([False, True], repeat=len(world.clusters.names)):
        group = np.array(members)
        reach = world.plants.serves[:, group].any(axis=1)
        most = (history.cooling_capacity_mw + from_tanks)[..., reach].sum(axis=2)
        assert (history.cooling_mw[..., group].sum(axis=2) <= most + 1e-9).all()


def check_tanks(world: World, history: History) -> None:
    """Cold in tanks lies between nothing and their size, and what comes out has taken up heat.

    Over all plants: heat carried = carried by units + change of cold; units carry no more than they
    can, and recharge tanks with no more than they have left.
    """
    size = world.plants.buffer_mj
    assert (history.cold_mj >= -1e-9).all()
    assert (history.cold_mj <= size * (1 + 1e-12)).all()
    before = np.concatenate([np.full_like(history.cold_mj[:1], size), history.cold_mj[:-1]])
    recharged = (history.cold_mj - before).sum(axis=2) / 60
    by_units = history.cooling_mw.sum(axis=2) + recharged
    assert (by_units <= history.cooling_capacity_mw.sum(axis=2) + 1e-8).all()
    assert (by_units >= -1e-8).all()
    # A tank without heat short of cooling is never drawn on.
    enough = (history.cooling_capacity_mw >= history.heat_mw.sum(axis=2, keepdims=True)).all(axis=2)
    assert (recharged[enough] >= -1e-9).all()


def check_power(world: World, history: History) -> None:
    """What GPUs and plants draw together stays within every limit; a tank's part is none of it."""
    size = world.plants.buffer_mj
    before = np.concatenate([np.full_like(history.cold_mj[:1], size), history.cold_mj[:-1]])
    if (before != history.cold_mj).any():
        return  # what units carry is not on record beside a tank
    for s, row in enumerate(world.interval.T):
        carried = carried_by_plant(
            history.cooling_mw[:, s],
            history.cooling_capacity_mw[:, s],
            world.plants.serves,
            world.plants.rejects_to,
        ).sum(axis=2)
        for minute, place in enumerate(world.system_states.power[row]):
            supply = world.stacker.supplies[place]
            drawn = supply.clusters @ history.heat_mw[minute, s] + supply.plants @ carried[minute]
            assert (drawn <= supply.limits_mw * (1 + 1e-6) + 1e-9).all()


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
    done = history.served_rps.sum(axis=2) * 60 + history.wasted
    assert work == pytest.approx(done, rel=1e-9, abs=1e-4)
    assert (history.served_rps.sum(axis=2) <= history.load_rps.sum(axis=2) + 1e-6).all()


def check_money(world: World, history: History) -> None:
    """Emergency spend is the price of what is used."""
    rented = history.load_rps[..., len(world.clusters.names) :] / world.offers.rps_per_gpu
    assert history.emergency_usd == pytest.approx(rented @ world.offers.usd_per_gpu_minute)
    assert (history.emergency_usd >= 0).all()


CHECKS = (
    check_requests,
    check_attempts,
    check_energy,
    check_tanks,
    check_power,
    check_machines,
    check_money,
)


@PROPERTY
@given(data=st.data())
def test_requests_energy_machines_and_money_are_conserved(
    data: st.DataObject, tiny: LoadedModel
) -> None:
    case = data.draw(cases(tiny.model, least=6, most=8))
    model = data.draw(st.one_of(st.just(case.model), recovering(case.model)))
    world, history = simulate(model, Fleet.existing(model), case.scenarios)
    assert world.minutes == HORIZON
    for check in CHECKS:
        check(world, history)


def test_conservation_holds_in_the_incident_of_2023(reference: LoadedModel) -> None:
    model = reference.model
    scenario = model.scenarios["incident-2023"]
    world, history = simulate(model, Fleet.existing(model), (scenario,))
    for check in CHECKS:
        check(world, history)
