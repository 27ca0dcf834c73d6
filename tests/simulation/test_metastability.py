"""Retry storms that outlast their cause, what ends them, and the law of amplification.

In `one`, C = 1,000 requests/s (60,000 a minute) fit. The queue holds L = 120,000 requests and
clients wait half a minute on average (p = 0.5). A queue held full by more attempts than capacity
serves the share ``x = C·p/(L + C·p) = 0.2`` of its work for clients who still wait (the steady
state of `planner.laws.queues.competing_queue`, see `TestCompetingQueue` there): 200 requests/s.
Attempts stay above capacity, and the storm alive, while ``demand·amplification(0.2) > C``.

The mechanism: N. Bronson et al., "Metastable Failures in Distributed Systems", HotOS 2021.
"""

from __future__ import annotations

import numpy as np
import pytest
from laws.exact import amplification
from simulation.worlds import Run, changed, lasting, lose, operating, run, surge

from planner.infrastructure.customers import Retry
from planner.infrastructure.entities import Model, Service

CAPACITY, LIMIT, PATIENCE = 60e3, 120e3, 0.5
#: Share of the work of a full queue that is not in vain.
USEFUL = CAPACITY * PATIENCE / (LIMIT + CAPACITY * PATIENCE)
TRIGGER = surge(3.0, 10, 5)


def with_retries(model: Model, **policy: object) -> Model:
    """The model whose clients of all tiers retry."""
    for tier in model.tiers:
        model = changed(model, "tiers", tier, retry=Retry.model_validate(policy))
    return model


def platform(model: Model, demand_rps: float = 700.0, **operations: object) -> Model:
    """The site with a queue that can fill with work in vain, simulated for five hours."""
    model = changed(lasting(model, 300), "zones", "users", demand_rps=demand_rps)
    changes = {
        "priority_shedding": "none",
        "queue_limit_requests": LIMIT,
        "patience_minutes": PATIENCE,
    }
    return operating(model, **(changes | operations))


def recovered_at(case: Run) -> float:
    """Minute from which all new requests are served for good; infinite if never."""
    short = np.flatnonzero(case.served() < 0.99 * case.demand())
    last = short[-1] if len(short) else -1
    return float("inf") if last == case.world.minutes - 1 else float(last + 1)


class TestStorm:
    def test_a_retry_storm_outlasts_the_surge_that_caused_it(self, one: Model) -> None:
        """Five minutes of surge; five hours later a fifth of the work is of use."""
        case = run(with_retries(platform(one), attempts=5), TRIGGER)
        assert case.served()[:10].tolist() == [700] * 10
        after = slice(30, 300)
        assert (case.demand()[after] == 700).all()
        assert (case.target("capacity_rps", "site")[after] == 1000).all()
        assert case.target("load_rps", "site")[after] == pytest.approx(1000)
        assert (case.attempts()[after] > 3000).all()
        assert case.served()[after] == pytest.approx(1000 * USEFUL, rel=0.01)
        assert case.total("wasted")[after] == pytest.approx(CAPACITY * (1 - USEFUL), rel=0.01)
        assert case.total("waiting")[after] == pytest.approx(LIMIT)

    def test_overload_without_retries_ends_once_the_queue_has_drained(self, one: Model) -> None:
        case = run(platform(one), TRIGGER)
        # From 15 on 18,000 a minute more are served than come: 120,000 take 6.7 minutes.
        drained = 15 + np.ceil(LIMIT / (CAPACITY - 42e3))
        assert case.total("waiting")[int(drained) - 2 : int(drained)] == pytest.approx([12e3, 0])
        # In the last of these minutes it makes up for more than it still answers too late.
        assert drained - 1 <= recovered_at(case) <= drained

    def test_a_long_backoff_lets_the_queue_drain_between_attempts(self, one: Model) -> None:
        hasty, patient = (
            run(with_retries(platform(one), attempts=5, backoff_minutes=minutes), TRIGGER)
            for minutes in (1.0, 60.0)
        )
        assert recovered_at(hasty) == float("inf")
        # Some 400,000 clients back off; they return more slowly than there is room for.
        back_off = patient.total("retrying")[15]
        assert 1.2 * back_off / 60.0 < CAPACITY - 42e3 < back_off
        assert recovered_at(patient) < 40

    def test_a_retry_storm_needs_enough_clients_who_retry(self, one: Model) -> None:
        for gives_up, alive in ((0.0, True), (0.3, True), (0.75, False), (0.9, False)):
            law = 700 * amplification(USEFUL, 5, gives_up)
            assert (law > 1000) == alive
            case = run(with_retries(platform(one), attempts=5, gives_up=gives_up), TRIGGER)
            assert (recovered_at(case) == float("inf")) == alive, gives_up

    def test_a_retry_storm_needs_demand_close_to_capacity(self, one: Model) -> None:
        least = 1000 / amplification(USEFUL, 5, 0.0)
        for demand, alive in ((1.1 * least, True), (0.9 * least, False)):
            model = with_retries(platform(one, demand), attempts=5)
            event = surge(3000 / demand, 10, 10)
            assert (recovered_at(run(model, event)) == float("inf")) == alive, demand

    def test_short_queues_without_wasted_work_recover(self, one: Model) -> None:
        """What a short queue drops at once costs no work: goodput stays at capacity."""
        model = with_retries(platform(one, queue_limit_requests=1000.0), attempts=5)
        case = run(model, TRIGGER)
        assert case.served()[10:15] * 60 == pytest.approx(CAPACITY, rel=0.05)
        assert recovered_at(case) < 60


class TestShedding:
    def test_shedding_by_operators_ends_the_storm(self, one: Model) -> None:
        model = platform(one, priority_shedding="operator", detection_minutes=80)
        case = run(with_retries(model, attempts=5), TRIGGER)
        # Surge at 10, operators at 10 + 80 + 10.
        assert case.served()[99] == pytest.approx(1000 * USEFUL, rel=0.01)
        assert case.served()[100] > 0.95 * 1000
        assert case.total("purged")[99:102].argmax() == 1
        assert (case.total("wasted")[102:] < 0.01 * CAPACITY).all()
        assert recovered_at(case) == 100
        assert case.total("retrying")[-1] == pytest.approx(0.0, abs=1.0)

    def test_shedding_from_the_start_prevents_the_storm(self, one: Model) -> None:
        model = with_retries(platform(one, priority_shedding="automatic"), attempts=5)
        case = run(model, TRIGGER)
        assert not case.total("wasted").any()
        assert (case.served()[10:] >= 700 * (1 - 1e-9)).all()
        assert case.served()[10:15] == pytest.approx(1000)


class TestHysteresis:
    """Demand of the day rises from 10 % to 110 % of capacity in ten hours and falls again."""

    HOURS = np.concatenate([np.linspace(0.1, 1.1, 11), np.linspace(1.0, 0.1, 10), [0.1] * 3])
    TOP = 600

    def branches(self, model: Model, **policy: object) -> tuple[np.ndarray, np.ndarray]:
        """Goodput over capacity at loads of 10 % to 100 %, on the way up and on the way down."""
        shape = {"hill": tuple((self.HOURS / 1.1).tolist())}
        model = changed(model, "zones", "users", demand_rps=1100.0, shape="hill")
        model = with_retries(lasting(model.replace(shapes=shape), 1260), **policy)
        case = run(model, surge(1.0, 0, 1), start_hour=0)
        minutes = np.arange(0, self.TOP, 15)
        up, down = minutes, 2 * self.TOP - minutes
        assert case.demand()[up] == pytest.approx(case.demand()[down])
        load = case.demand()[up] / 1000
        assert load == pytest.approx(0.1 + minutes / self.TOP)
        inside = load <= 0.99
        return case.served()[up][inside] / load[inside] / 1000, (
            case.served()[down][inside] / load[inside] / 1000
        )

    @staticmethod
    def loads() -> np.ndarray:
        load = 0.1 + np.arange(0, 600, 15) / 600
        return load[load <= 0.99]

    @pytest.mark.parametrize(("attempts", "gives_up"), [(5, 0.0), (3, 0.1)])
    def test_goodput_on_the_way_down_is_lower_in_a_band_of_loads(
        self, one: Model, attempts: int, gives_up: float
    ) -> None:
        """From the load at which retries no longer fill the platform, up to capacity."""
        up, down = self.branches(platform(one), attempts=attempts, gives_up=gives_up)
        assert up == pytest.approx(1.0)
        fold = 1 / amplification(USEFUL, attempts, gives_up)
        assert 0.2 < fold < 0.7
        load = self.loads()
        # Demand falls by 0.1 an hour, so that the end of the storm shows a little below the fold.
        band, below = load > fold + 0.01, load < fold - 0.06
        assert down[band] * load[band] == pytest.approx(USEFUL, rel=0.05)
        assert (down[band] < 0.7).all()
        assert down[below] == pytest.approx(1.0)

    def test_shedding_by_priority_closes_the_band(self, one: Model) -> None:
        up, down = self.branches(platform(one, priority_shedding="automatic"), attempts=5)
        assert up == pytest.approx(1.0)
        # Close to capacity those who were turned away at the top still come back.
        late = self.loads() < 0.9
        assert down[late] == pytest.approx(1.0)
        assert (down >= 1 - 1e-9).all()


class TestAmplification:
    """Attempts over new requests where every attempt succeeds with the same probability."""

    @pytest.mark.parametrize("attempts", [0, 1, 4])
    @pytest.mark.parametrize("gives_up", [0.0, 0.4])
    @pytest.mark.parametrize("capacity_rps", [100.0, 400.0])
    def test_amplification_holds_behind_a_service_that_passes_a_share(
        self, one: Model, attempts: int, gives_up: float, capacity_rps: float
    ) -> None:
        auth = Service(name="auth", plane="service", capacity_rps=capacity_rps)
        model = changed(lasting(one, 120), "zones", "users", demand_rps=500.0)
        for tier in one.tiers:
            model = changed(model, "tiers", tier, entry="auth")
        model = with_retries(
            model.replace(services={"auth": auth}), attempts=attempts, gives_up=gives_up
        )
        case = run(model, surge(1.0, 0, 1))
        assert case.served()[-1] == pytest.approx(capacity_rps)
        success = capacity_rps / case.attempts()[-1]
        law = amplification(success, attempts, gives_up)
        assert case.attempts()[-1] / 500 == pytest.approx(law, rel=1e-6)
        rejected = case.attempts()[-1] - capacity_rps
        assert case.total("rejected")[-1] == pytest.approx(60 * rejected)

    @pytest.mark.parametrize("backoff", [0.5, 3.0])
    def test_amplification_holds_at_full_gpus_whatever_the_backoff(
        self, one: Model, backoff: float
    ) -> None:
        model = changed(lasting(one, 200), "zones", "users", demand_rps=1500.0)
        model = with_retries(model, attempts=2, backoff_minutes=backoff, gives_up=0.1)
        model = operating(model, priority_shedding="none", queue_limit_requests=0)
        case = run(model, surge(1.0, 0, 1))
        success = 1000 / case.attempts()[-1]
        assert case.attempts()[-1] / 1500 == pytest.approx(amplification(success, 2, 0.1))

    def test_all_attempts_are_made_where_nothing_is_served(self, one: Model) -> None:
        """With nothing served every client makes all the attempts it is allowed."""
        model = with_retries(lasting(one, 60), attempts=3, backoff_minutes=0.5)
        auth = Service(name="auth", plane="service")
        for tier in one.tiers:
            model = changed(model.replace(services={"auth": auth}), "tiers", tier, entry="auth")
        case = run(model, lose("service", "auth", 0))
        assert case.attempts()[-1] == pytest.approx(4000)
        assert case.total("gave_up")[-1] == pytest.approx(60e3)
