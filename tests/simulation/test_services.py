"""Services with limits: replicas, alternatives, degradation, overload, connection pools, GPUs.

In `two`, 500 requests/s (200 of the upper tier) go to the first of two sites of 600 GPUs. In `one`,
1,000 requests/s fill the site.
"""

from __future__ import annotations

import numpy as np
import pytest
from simulation.worlds import (
    changed,
    hasty,
    lasting,
    lose,
    lose_chillers,
    operating,
    run,
    surge,
    unattended,
)

from planner.infrastructure.entities import Model, Service
from planner.infrastructure.failures import UnitLoss


def behind(model: Model, *services: Service, tiers: tuple[str, ...] = ("high", "low")) -> Model:
    """The model with services, the first of them the entry of some tiers."""
    model = model.replace(services={one.name: one for one in services})
    for tier in tiers:
        model = changed(model, "tiers", tier, entry=services[0].name)
    return model


def service(name: str, **fields: object) -> Service:
    return Service.model_validate({"name": name, "plane": "service"} | fields)


class TestReplicas:
    """A lost region takes its replicas with it; load balancers act at once and nobody waits."""

    LOSS = lose("region", "near", 10, 60)

    @staticmethod
    def agile(model: Model) -> Model:
        return operating(hasty(model), failover_minutes=0, restart_check_minutes=0)

    @pytest.mark.parametrize(
        ("near", "far", "needs", "served"),
        [
            # Enough are left.
            (1, 2, 2, 400),
            # Each of those left handles 200 requests/s.
            (2, 1, 1, 200),
            (1, 3, 2, 500),
            # Fewer than needed: all is down.
            (2, 1, 2, 0),
            (3, 0, 1, 0),
        ],
    )
    def test_replicas_left_handle_what_their_capacity_allows(
        self, two: Model, near: int, far: int, needs: int, served: float
    ) -> None:
        store = service(
            "store", replicas={"near": near, "far": far}, needs_replicas=needs, capacity_rps=200.0
        )
        case = run(behind(self.agile(two), store), self.LOSS)
        before = min(500, 200 * (near + far))
        expected = [before, served, served, before]
        assert case.served()[[9, 10, 69, 70]].tolist() == pytest.approx(expected)
        turned_away = case.total("shed" if served == 0 else "rejected")
        assert turned_away[40] == pytest.approx((500 - served) * 60)
        # The other site has room for all of them.
        assert case.target("capacity_rps", "second")[40] == 600

    def test_replicas_behind_another_service_limit_it_as_well(self, two: Model) -> None:
        store = service("store", replicas={"near": 1, "far": 1}, capacity_rps=300.0)
        case = run(
            behind(self.agile(two), service("front", depends_on=("store",)), store), self.LOSS
        )
        assert case.served()[[9, 10]].tolist() == pytest.approx([500, 300])

    def test_connections_are_lost_with_replicas(self, two: Model) -> None:
        store = service("store", replicas={"near": 2, "far": 1}, connections=400.0)
        case = run(behind(self.agile(two), store), self.LOSS)
        # Three pools of 400 fit 1,000 connections; one lets 200 requests/s of two seconds through.
        assert case.service("pool_use", "store")[9] == pytest.approx(1000 / 1200)
        assert case.served()[[9, 20, 69]].tolist() == pytest.approx([500, 200, 200], rel=1e-3)


class TestAlternatives:
    @staticmethod
    def balanced(model: Model) -> Model:
        return behind(
            model,
            service("front", any_of=("a", "b")),
            service("a", capacity_rps=300.0),
            service("b", capacity_rps=300.0),
        )

    def test_alternatives_share_the_traffic(self, two: Model) -> None:
        case = run(self.balanced(two), lose("service", "b", 10, 30))
        assert case.service("service_use", "a")[[9, 10, 40]] == pytest.approx(
            [250 / 300, 500 / 300, 250 / 300]
        )
        assert case.served()[[9, 10, 39, 40]].tolist() == pytest.approx([500, 300, 300, 500])

    def test_losing_all_alternatives_takes_down_what_needs_them(self, two: Model) -> None:
        case = run(self.balanced(two), lose("service", "a", 10, 30), lose("service", "b", 20, 10))
        assert case.served()[[9, 10, 20, 30, 40]].tolist() == pytest.approx([500, 300, 0, 300, 500])

    def test_alternatives_pass_half_of_a_tier_each_where_one_is_too_small(self, two: Model) -> None:
        model = behind(
            two,
            service("front", any_of=("a", "b")),
            service("a", capacity_rps=100.0),
            service("b", capacity_rps=300.0),
        )
        # Balancers do not know how large they are: of 250 at the small one 150 fail.
        case = run(model, surge(1.0, 0, 1))
        assert case.served()[-1] == pytest.approx(350)

    def test_alternatives_pass_all_traffic_to_what_both_need(self, two: Model) -> None:
        """Half of the requests come by each door, so all of them reach the store."""
        model = behind(
            two,
            service("front", any_of=("a", "b")),
            service("a", depends_on=("store",)),
            service("b", depends_on=("store",)),
            service("store", capacity_rps=300.0),
        )
        case = run(model, lose("service", "b", 10, 30))
        assert case.served()[[9, 10, 40]].tolist() == pytest.approx([300, 300, 300])

    def test_alternatives_needed_directly_are_passed_once(self, two: Model) -> None:
        model = behind(
            two,
            service("front", any_of=("a", "b"), depends_on=("a",)),
            service("a", capacity_rps=300.0),
            service("b"),
        )
        case = run(model, surge(1.0, 0, 1))
        assert case.service("service_use", "a")[0] == pytest.approx(500 / 300)
        assert case.served()[0] == pytest.approx(300)


class TestDegradation:
    @pytest.mark.parametrize(("lost", "left"), [(1, 0.6), (2, 0.36)])
    def test_degradation_takes_a_share_for_each_lost_dependency(
        self, two: Model, lost: int, left: float
    ) -> None:
        auth = service(
            "auth",
            degrades_without=("cache", "search"),
            degraded_share=0.6,
            capacity_rps=500.0,
        )
        model = behind(two, auth, service("cache"), service("search"))
        events = [lose("service", name, 10, 20) for name in ("cache", "search")[:lost]]
        case = run(model, *events)
        served = case.served()[[9, 10, 29, 30]].tolist()
        assert served == pytest.approx([500, 500 * left, 500 * left, 500])
        assert case.service("service_use", "auth")[10] == pytest.approx(1 / left)

    def test_degradation_takes_nothing_from_services_without_a_limit(self, two: Model) -> None:
        auth = service("auth", degrades_without=("cache",), degraded_share=0.1)
        case = run(behind(two, auth, service("cache")), lose("service", "cache"))
        assert (case.served() == 500).all()


class TestOverload:
    def test_overloaded_authentication_turns_requests_away_while_gpus_idle(
        self, one: Model
    ) -> None:
        model = changed(one, "zones", "users", demand_rps=400.0)
        case = run(behind(model, service("auth", capacity_rps=500.0)), surge(2.0, 10, 20))
        assert case.served()[[9, 10, 29, 30]].tolist() == pytest.approx([400, 500, 500, 400])
        assert case.total("rejected")[[9, 10, 30]] == pytest.approx([0, 300 * 60, 0])
        assert case.target("load_rps", "site")[20] == pytest.approx(500)
        assert case.target("capacity_rps", "site")[20] == 1000
        assert case.service("service_use", "auth")[20] == pytest.approx(1.6)
        # In proportion to what they ask for, since services do not know priorities.
        assert case.served("high")[20] / case.served("low")[20] == pytest.approx(400 / 600)

    def test_an_overloaded_service_leaves_tiers_alone_that_do_not_pass_it(self, one: Model) -> None:
        model = changed(one, "zones", "users", demand_rps=400.0)
        model = behind(model, service("auth", capacity_rps=120.0), tiers=("low",))
        case = run(model, surge(2.0, 10, 20))
        assert case.served("high")[20] == pytest.approx(320)
        assert case.served("low")[20] == pytest.approx(120)


class TestPools:
    """A pool of 1,500 connections, each held for two seconds and while its request waits."""

    @staticmethod
    def pooled(model: Model, **fields: object) -> Model:
        return behind(model, service("store", connections=1500.0, **fields))

    @staticmethod
    def stranded(model: Model) -> Model:
        """Only the lower tier may use the far site; nobody sheds, so the upper tier waits."""
        model = changed(model, "tiers", "high", latency_limit_ms=20.0)
        return operating(
            model, priority_shedding="none", failover_minutes=0, restart_check_minutes=0
        )

    def test_a_pool_is_full_when_work_alone_fills_it(self, two: Model) -> None:
        model = changed(two, "zones", "users", demand_rps=1000.0)
        case = run(self.pooled(hasty(model)), surge(1.0, 0, 1))
        # 750 requests/s of two seconds; before the first minute nothing was in use.
        assert case.served()[5:] == pytest.approx(750, rel=1e-3)
        assert case.total("rejected")[5:] == pytest.approx(250 * 60, rel=1e-2)

    def test_without_a_pool_the_tier_with_capacity_elsewhere_is_served(self, two: Model) -> None:
        case = run(self.stranded(two), lose("region", "near", 10, 30))
        assert case.served("low")[10:].tolist() == pytest.approx([300.0] * 110)
        assert case.served("high")[20] == 0

    def test_a_pool_is_exhausted_by_requests_that_wait_for_a_lost_region(self, two: Model) -> None:
        """The lower tier fails although the site that serves it stands idle."""
        case = run(self.pooled(self.stranded(two)), lose("region", "near", 10, 30))
        assert case.served("low")[9] == 300
        outage = slice(15, 40)
        # One minute of waiting requests of the upper tier already wants 8 times the connections.
        assert (case.service("pool_use", "store")[outage] > 1).all()
        assert (case.served("low")[outage] < 30).all()
        # Where next to nothing enters, those turned away count as if they held connections too.
        asked = 60 * 500 * 2 + case.total("waiting").max()
        assert (case.service("pool_use", "store") <= asked / 1500 + 1e-6).all()
        assert (case.total("rejected")[outage] > 0.9 * 500 * 60).all()
        idle = case.target("capacity_rps", "second") - case.target("load_rps", "second")
        assert (idle[outage] > 570).all()

    @pytest.mark.parametrize("patience_minutes", [1.0, 30.0])
    def test_wasted_work_and_waiting_requests_hold_connections(
        self, one: Model, patience_minutes: float
    ) -> None:
        """Of 1,500 requests/s a site works on 1,000; the others hold connections as they wait."""
        model = operating(
            changed(one, "zones", "users", demand_rps=1500.0),
            priority_shedding="none",
            patience_minutes=patience_minutes,
        )
        case = run(behind(model, service("store", connections=1e7)), surge(1.0, 0, 1))
        assert case.total("wasted")[60] > 0
        held = 1000 * 2 + case.total("waiting")
        assert case.service("pool_use", "store")[20:] == pytest.approx(held[20:] / 1e7)

    def test_a_pool_is_not_exhausted_where_waiting_requests_hold_no_connection(
        self, two: Model
    ) -> None:
        model = self.pooled(self.stranded(two), holds_while_waiting=False)
        case = run(model, lose("region", "near", 10, 30))
        assert case.served("low")[10:].tolist() == pytest.approx([300.0] * 110)

    def test_a_pool_recovers_with_the_region(self, two: Model) -> None:
        model = self.pooled(operating(self.stranded(two), patience_minutes=1.0))
        case = run(model, lose("region", "near", 10, 30))
        # Back at 40; what waits is worked off, and its connections with it.
        assert case.served()[60:] == pytest.approx(500, rel=1e-3)
        assert case.service("pool_use", "store")[60:] == pytest.approx(1000 / 1500, rel=1e-3)
        assert case.total("waiting")[60:] == pytest.approx(0, abs=1)

    def test_a_pool_settles_at_its_connections(self, one: Model) -> None:
        """Demand of 1,500 on GPUs for 1,000: the queue and the work share the pool."""
        model = lasting(changed(one, "zones", "users", demand_rps=1500.0), 240)
        model = operating(model, priority_shedding="none", patience_minutes=1.0)
        store = service("store", connections=20_000.0)
        case = run(behind(model, store), surge(1.0, 0, 1))
        held = case.served() * 2 + case.total("waiting")
        # Work in vain holds connections as well.
        assert held[100:] == pytest.approx(20_000, rel=0.05)
        # No jumping up and down: minute by minute the same.
        assert np.abs(np.diff(held[100:])).max() < 0.01 * 20_000
        assert case.target("load_rps", "site")[100:] == pytest.approx(1000)


class TestServicesOnGpus:
    """The lower tier needs a service that runs on the first site of `two`."""

    LOSS = UnitLoss(
        kind="units", plant="first-plant", unit="chiller", at_minute=0, repair_minutes=90
    )

    @staticmethod
    def hosted(model: Model, *clusters: str) -> Model:
        """6 MW of static heat on 60 MJ/K: without its chiller the first site warms 6 K a minute."""
        model = changed(hasty(model), "gpus", "gpu", static_share=1.0)
        model = changed(model, "clusters", "first", capacitance_mj_per_k_per_mw=10.0)
        model = operating(unattended(model), thermal_migration="none", restart_check_minutes=10)
        return behind(model, service("model-host", runs_on=clusters), tiers=("low",))

    def test_services_on_gpus_go_down_with_a_cluster_that_overheats(self, two: Model) -> None:
        case = run(self.hosted(two, "first"), self.LOSS)
        # 65 °C and 6 degrees a minute: 95 °C at the end of minute 4.
        off = np.flatnonzero(case.cluster("off", "first"))
        assert off[0] == 4
        assert case.served("low")[[4, 5, 119]].tolist() == pytest.approx([0, 0, 0], abs=301)
        assert case.served("low")[5:].tolist() == [0] * 115
        assert case.total("shed")[5] == pytest.approx(300 * 60)
        assert case.served("high")[6:].tolist() == pytest.approx([200.0] * 114)

    def test_services_on_gpus_come_back_with_their_cluster(self, two: Model) -> None:
        model = operating(self.hosted(two, "first"), detection_minutes=20, response_minutes=0)
        case = run(model, self.LOSS)
        # Repaired at 90, 6 MW carry all heat away, checks of ten minutes.
        back = int(np.flatnonzero(case.cluster("off", "first"))[-1]) + 1
        assert 100 <= back <= 106
        # What hangs on a cluster is up from the minute after it.
        assert case.served("low")[[back, back + 1]].tolist() == pytest.approx([0, 300])

    def test_stay_up_on_another_cluster(self, two: Model) -> None:
        case = run(self.hosted(two, "first", "second"), self.LOSS)
        assert case.cluster("off", "first")[10]
        assert case.served("low")[10:].tolist() == pytest.approx([300.0] * 110)

    def test_a_lost_plant_that_needs_them_stays_lost(self, one: Model) -> None:
        """Controls on the GPUs that their plant cools: once they are off, nothing cools them."""
        model = changed(one, "gpus", "gpu", static_share=1.0)
        model = unattended(lasting(model, 150)).replace(
            services={"controls": service("controls", runs_on=("site",))}
        )
        model = changed(model, "plants", "chillers", depends_on=("controls",))
        case = run(model, lose_chillers(1, 0, 60))
        assert np.flatnonzero(case.cluster("off", "site"))[0] == 29
        assert case.plant("chillers")[[29, 30, 149]].tolist() == [9, 0, 0]
