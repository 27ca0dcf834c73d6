"""Operators: escalation, rationing, procurement, restoration in phases with gates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import pytest
from laws.written import rationed
from simulation.worlds import (
    Run,
    changed,
    hasty,
    judged,
    lasting,
    lose,
    lose_chillers,
    operating,
    run,
    surge,
    unattended,
)

from planner.infrastructure.customers import Tier
from planner.infrastructure.entities import Model, Offer
from planner.infrastructure.failures import UnitLoss
from planner.infrastructure.operations import RestorationGates, RestorationPhase
from planner.laws.traffic import IMPACTS, impact


class TestEscalation:
    @pytest.mark.parametrize("minutes", [0.0, 6.0, 12.5])
    def test_escalation_comes_between_alert_and_response(self, one: Model, minutes: float) -> None:
        model = operating(hasty(one), priority_shedding="operator", escalation_minutes=minutes)
        case = run(model, surge(2.0, 5, 1000))
        # Alert at 10, response of ten minutes.
        acts = int(np.ceil(20 + minutes))
        assert case.served("high")[[acts - 1, acts]].tolist() == pytest.approx([400, 800])

    def test_escalation_delays_every_action(self, one: Model) -> None:
        model = operating(one, escalation_minutes=20)
        case = run(model, lose_chillers(3, at=10))
        # Alert at 15, people who may act at 35, action at 45.
        assert case.cluster("powered_gpus", "site")[[44, 45]] == pytest.approx([1000, 700])

    def test_escalation_of_a_scenario_overrides_that_of_the_model(self, one: Model) -> None:
        model = operating(one, escalation_minutes=50)
        case = run(model, lose_chillers(3, at=10), operations={"escalation_minutes": 2.0})
        assert case.cluster("powered_gpus", "site")[[26, 27]] == pytest.approx([1000, 700])


def granted_in_turn(available: float, allocation: Mapping[str, float]) -> dict[str, float]:
    """The postmortem's emergency allocation: each tier takes its own until nothing is left."""
    granted = {}
    for tier, wanted in allocation.items():
        granted[tier] = max(0.0, min(wanted, available))
        available -= granted[tier]
    return granted


def experience(granted: float, allocation: float) -> str:
    """The postmortem's class of impact on users, by what is granted of an allocation."""
    if not granted:
        return "complete outage"
    for bound, name in ((0.5, "severe degradation"), (0.8, "moderate degradation")):
        if granted < allocation * bound:
            return name
    return "minimal impact"


#: Allocation of the postmortem by tier, in order of priority.
ALLOCATION = {"enterprise": 0.4, "plus": 0.3, "free": 0.2, "research": 0.1}


class TestRationing:
    @staticmethod
    def rationed(model: Model, *allocations: float, **operations: object) -> Model:
        for tier, share in zip(("high", "low"), allocations, strict=True):
            model = changed(model, "tiers", tier, scarcity_allocation=share)
        return operating(hasty(model), rationing="allocation", **operations)

    def served(self, model: Model, factor: float) -> list[float]:
        case = run(model, surge(factor, 5, 1000))
        assert case.served()[:5].tolist() == [1000] * 5
        return [float(case.served(tier)[40]) for tier in ("high", "low")]

    def test_rationing_sets_aside_for_each_tier_what_the_model_says(self, one: Model) -> None:
        # 800 and 1,200 wanted of 1,000: a fifth of 2,000 for the upper tier, the rest to the lower.
        assert self.served(self.rationed(one, 0.2, 0.5), 2.0) == pytest.approx([400, 600])
        # By priority the upper tier would have had its 800.
        assert self.served(hasty(one), 2.0) == pytest.approx([800, 200])

    def test_rationing_gives_what_is_not_set_aside_by_priority(self, one: Model) -> None:
        # 200 and 400 are set aside; the other 400 go to the upper tier, which wants 600 more.
        assert self.served(self.rationed(one, 0.1, 0.2), 2.0) == pytest.approx([600, 400])

    def test_rationing_gives_what_a_tier_does_not_need_to_others(self, one: Model) -> None:
        model = changed(self.rationed(one, 0.4, 0.1), "tiers", "high", share=0.1)
        model = changed(model, "tiers", "low", share=0.9)
        # 200 of the 800 set aside are wanted.
        assert self.served(model, 2.0) == pytest.approx([200, 800])

    def test_rationing_shares_are_of_the_offered_load(self, one: Model) -> None:
        # Four times as much: 1,600 and 2,400 wanted, a quarter there is: 0.2 and 0.05 of 4,000.
        assert self.served(self.rationed(one, 0.2, 0.5), 4.0) == pytest.approx([800, 200])

    def test_rationing_waits_for_operators_like_any_shedding(self, one: Model) -> None:
        model = self.rationed(one, 0.2, 0.5, priority_shedding="operator")
        case = run(model, surge(2.0, 5, 1000))
        assert case.served("high")[[19, 20]].tolist() == pytest.approx([400, 400])
        model = self.rationed(one, 0.1, 0.9, priority_shedding="operator")
        case = run(model, surge(2.0, 5, 1000))
        assert case.served("high")[[19, 20]].tolist() == pytest.approx([400, 200])

    def test_rationing_has_no_effect_while_capacity_suffices(self, one: Model) -> None:
        model = changed(self.rationed(one, 0.1, 0.1), "zones", "users", demand_rps=990.0)
        case = run(model, surge(1.0, 0, 1))
        assert case.served() == pytest.approx(990)

    @pytest.mark.parametrize("available", np.linspace(0, 1.2, 25))
    def test_rationing_is_the_rule_of_the_postmortem(self, available: float) -> None:
        law = rationed(available, np.array(list(ALLOCATION.values())))
        rule = granted_in_turn(available, ALLOCATION)
        assert law == pytest.approx(list(rule.values()), abs=1e-12)
        for (tier, granted), share in zip(rule.items(), law, strict=True):
            own = ALLOCATION[tier]
            # A rounding away from a bound the class does not hang on.
            if all(abs(granted - bound * own) > 1e-9 for bound in (0.5, 0.8)) and granted > 1e-9:
                assert impact(float(share) / own) == experience(granted, own)

    @pytest.mark.parametrize("available", [0.25, 0.45, 0.5, 0.66, 0.78, 0.95])
    def test_verdict_has_the_four_classes(self, one: Model, available: float) -> None:
        """Where tiers want what is set aside for them, impact is that of the postmortem's rule."""
        tiers = {
            name: Tier(name=name, priority=n, share=share, scarcity_allocation=share)
            for n, (name, share) in enumerate(ALLOCATION.items(), 1)
        }
        model = operating(hasty(one.replace(tiers=tiers)), rationing="allocation")
        verdict = judged(model, surge(1 / available, 5, 1000))
        granted = granted_in_turn(available, ALLOCATION)
        expected = {t: experience(round(g, 12), ALLOCATION[t]) for t, g in granted.items()}
        assert verdict.impact == expected
        assert set(verdict.impact.values()) <= set(IMPACTS)
        for tier, share in granted.items():
            assert verdict.served[tier] == pytest.approx(share / ALLOCATION[tier], abs=1e-9)


class TestProcurement:
    """Three offers as in the postmortem, there 45, 60 and 90 minutes after the order."""

    LEADS = (45.0, 60.0, 90.0)

    @pytest.mark.parametrize("approval", [0.0, 15.0])
    def test_procurement_adds_each_offer_after_approval_and_its_lead_time(
        self, two: Model, approval: float
    ) -> None:
        offers = {
            f"cloud-{lead:.0f}": Offer(
                name=f"cloud-{lead:.0f}",
                provider="cloudy",
                gpus_per_instance=10,
                available_gpus=100,
                existing_instances=10,
                lead_time_minutes=lead,
                usd_per_instance_hour=lead,
                rps_per_gpu=1.0,
            )
            for lead in self.LEADS
        }
        model = changed(lasting(hasty(two), 240), "zones", "users", demand_rps=1000.0)
        model = operating(model.replace(offers=offers), approval_minutes=approval)
        model = operating(model, escalation_minutes=3)
        case = run(model, lose("region", "near", 10))
        # Alert at 15, escalated at 18, action at 28.
        order = 28 + int(approval)
        assert case.history.order_minute.tolist() == [order]
        for lead in self.LEADS:
            there = order + int(lead)
            capacity = case.target("capacity_rps", f"cloud-{lead:.0f}")
            load = case.target("load_rps", f"cloud-{lead:.0f}")
            assert np.flatnonzero(capacity)[0] == there
            # Load balancers send requests there four minutes later.
            assert np.flatnonzero(load)[0] == there + 4
        steps = [case.served()[order + int(lead) + 4] for lead in self.LEADS]
        assert steps == pytest.approx([700, 800, 900])


PHASES = tuple(RestorationPhase(capacity=capacity, minutes=10) for capacity in (0.25, 0.5, 0.75))


def phases_of(case: Run, cluster: str = "site") -> list[tuple[int, int]]:
    """Minutes at which the phase of a cluster changes once it is back, with the new phase."""
    phase = case.cluster("phase", cluster)
    minutes = np.flatnonzero(np.diff(phase)) + 1
    return [(int(minute), int(phase[minute])) for minute in minutes]


class TestGates:
    """The region of `one` is lost from 10 to 20, and back without checks: phases from 20 on."""

    LOSS = lose("region", "here", 10, 10)
    NORMAL: ClassVar[list[tuple[int, int]]] = [(20, 0), (30, 1), (40, 2), (50, 3)]

    @staticmethod
    def gated(model: Model, demand_rps: float = 200.0, **gates: object) -> Model:
        """Gates of which only those named can fail."""
        loose = {
            "p99_seconds": 1e6,
            "error_share": 1.0,
            "temperature_c": 200.0,
            "queue_requests": 1e9,
        }
        model = changed(model, "zones", "users", demand_rps=demand_rps)
        return operating(
            model,
            detection_minutes=0,
            response_minutes=0,
            failover_minutes=0,
            restart_check_minutes=0,
            priority_shedding="none",
            patience_minutes=1.0,
            restoration=PHASES,
            gates=RestorationGates.model_validate(loose | gates),
        )

    def test_gates_that_hold_leave_the_phases_their_time(self, one: Model) -> None:
        case = run(self.gated(one), self.LOSS)
        assert phases_of(case) == self.NORMAL
        capacity = case.target("capacity_rps", "site")
        assert capacity[[19, 20, 29, 30, 40, 49, 50]].tolist() == pytest.approx(
            [0, 250, 250, 500, 750, 750, 1000]
        )
        free = operating(self.gated(one), gates=None)
        assert phases_of(run(free, self.LOSS)) == self.NORMAL

    def test_a_temperature_gate_holds_restoration_back(self, one: Model) -> None:
        """Four of twelve chillers are lost at 0 and the region, 20 K warmer, at 10.

        Once operators act they leave on no more than is cooled, so nothing gets hotter and this
        gate rolls nothing back; but what is hot stays so until there is cooling to spare.
        """
        model = changed(self.gated(one, temperature_c=80.0), "gpus", "gpu", static_share=1.0)
        model = changed(model, "plants", "chillers", existing={"chiller": 12})
        model = changed(model, "clusters", "site", restart_c=90.0)
        model = operating(model, detection_minutes=10)
        case = run(model, lose_chillers(4, 0, 35), self.LOSS)
        hot = case.cluster("temperature_c", "site")
        # Two megawatts short until 10, two to spare from 35 on.
        assert hot[[0, 10, 30, 35, 40]] == pytest.approx([65, 85, 85, 85, 75])
        assert phases_of(case) == [(20, 0), (40, 1), (50, 2), (60, 3)]

    def test_an_error_gate_holds_restoration_back_until_demand_fits(self, one: Model) -> None:
        """Capacity for 250 and demand of 400 until 45: three in eight are dropped."""
        model = self.gated(hasty(one), error_share=0.05)
        case = run(model, self.LOSS, surge(2.0, 0, 45))
        # At 30 and 40 the first phase is extended, at 50 it passes.
        assert phases_of(case) == [(20, 0), (50, 1), (60, 2), (70, 3)]

    def test_an_error_gate_rolls_back_when_demand_outgrows_a_phase(self, one: Model) -> None:
        model = self.gated(hasty(one), error_share=0.05)
        # 600 requests/s on 500 at the end of the second phase (40), and on 250 at 50.
        case = run(model, self.LOSS, surge(3.0, 35, 20))
        assert phases_of(case) == [(20, 0), (30, 1), (40, 0), (60, 1), (70, 2), (80, 3)]

    #: Nobody comes during the outage, so that no backlog of it is left; 600 requests/s at 37 to 40.
    PEAK = (surge(1e-6, 10, 10), surge(3.0, 37, 3))
    ROLLED_BACK: ClassVar[list[tuple[int, int]]] = [
        (20, 0),
        (30, 1),
        (40, 0),
        (50, 1),
        (60, 2),
        (70, 3),
    ]

    def test_a_queue_gate_rolls_restoration_back(self, one: Model) -> None:
        case = run(self.gated(one, queue_requests=17_000.0), self.LOSS, *self.PEAK)
        # Capacity for 500: 6,000 a minute too many wait; at 250 they are gone in six minutes.
        assert case.total("waiting")[[36, 39, 45]] == pytest.approx([0, 18e3, 0], abs=0.1)
        assert phases_of(case) == self.ROLLED_BACK
        longer = run(self.gated(one, queue_requests=19_000.0), self.LOSS, *self.PEAK)
        assert phases_of(longer) == self.NORMAL

    def test_a_queue_gate_holds_back_until_the_backlog_is_gone(self, one: Model) -> None:
        case = run(self.gated(one, queue_requests=1000.0), self.LOSS)
        # Ten minutes of 200 requests/s wait, and 50 a second more are served than come.
        waiting = case.total("waiting")
        assert waiting[[19, 29, 58, 59]] == pytest.approx([120e3, 90e3, 3e3, 0], abs=0.1)
        assert phases_of(case) == [(20, 0), (60, 1), (70, 2), (80, 3)]

    def test_a_response_gate_rolls_restoration_back(self, one: Model) -> None:
        # A queue of 18,000 requests at 500 a second takes 36 seconds, on top of two of work.
        for seconds, expected in ((37.0, self.ROLLED_BACK), (39.0, self.NORMAL)):
            case = run(self.gated(one, p99_seconds=seconds), self.LOSS, *self.PEAK)
            assert phases_of(case) == expected

    def test_a_response_gate_below_the_service_time_never_opens(self, one: Model) -> None:
        model = self.gated(one, p99_seconds=1.9)
        assert phases_of(run(model, self.LOSS)) == [(20, 0)]

    def test_gates_are_checked_only_at_the_end_of_a_phase(self, one: Model) -> None:
        model = self.gated(hasty(one), error_share=0.05)
        # A surge within the second phase that is over before its end.
        case = run(model, self.LOSS, surge(4.0, 32, 5))
        assert case.total("dropped")[33] > 0
        assert phases_of(case) == self.NORMAL

    def test_gates_do_not_count_requests_that_operators_shed(self, one: Model) -> None:
        """Requests turned away by priority are not admitted, and so no errors."""
        model = operating(
            self.gated(one, demand_rps=900.0, error_share=0.0), priority_shedding="automatic"
        )
        case = run(model, self.LOSS)
        assert case.total("shed")[25] > 0
        assert phases_of(case) == self.NORMAL

    def test_gates_can_keep_a_platform_down_that_has_capacity_for_all(self, one: Model) -> None:
        """At 900 requests/s the first phase is overloaded for ever, so none other is tried."""
        case = run(self.gated(hasty(one), demand_rps=900.0, error_share=0.05), self.LOSS)
        assert phases_of(case) == [(20, 0)]
        assert case.served()[-1] == pytest.approx(250)


class TestPlatformScope:
    """The first site of `two` trips at the end of minute 4; the second has room for everyone.

    Its chiller is back at 30; 6 degrees a minute later it is 65 °C at 35, checked at 45, in phases
    of ten minutes until 65. Operators come at 20.
    """

    LOSS = UnitLoss(
        kind="units", plant="first-plant", unit="chiller", at_minute=0, repair_minutes=30
    )

    @staticmethod
    def phased(model: Model, scope: str, *tiers: tuple[str, ...]) -> Model:
        model = changed(hasty(model), "gpus", "gpu", static_share=1.0)
        model = changed(model, "clusters", "first", capacitance_mj_per_k_per_mw=10.0)
        phases = tuple(
            RestorationPhase(capacity=capacity, minutes=10, tiers=names)
            for capacity, names in zip((0.25, 0.5), tiers, strict=True)
        )
        return operating(
            unattended(model),
            detection_minutes=20,
            response_minutes=0,
            restart_check_minutes=10,
            restoration=phases,
            restoration_scope=scope,
        )

    def test_platform_scope_admits_only_the_tiers_of_the_phase(self, two: Model) -> None:
        case = run(self.phased(two, "platform", ("high",), ("high",)), self.LOSS)
        assert case.cluster("off", "first")[[3, 4]].tolist() == [False, True]
        assert phases_of(case, "first") == [(45, 0), (55, 1), (65, 2)]
        minutes = [10, 19, 20, 44, 54, 64, 65, 119]
        assert case.served("low")[minutes].tolist() == pytest.approx(
            [300, 300, 0, 0, 0, 0, 300, 300]
        )
        assert case.served("high")[minutes].tolist() == pytest.approx([200] * 8)
        assert case.total("shed")[[19, 20, 64, 65]] == pytest.approx([0, 18e3, 18e3, 0])

    def test_platform_scope_admits_more_in_later_phases(self, two: Model) -> None:
        case = run(self.phased(two, "platform", ("high",), ("high", "low")), self.LOSS)
        assert case.served("low")[[44, 54, 55, 64]].tolist() == pytest.approx([0, 0, 300, 300])

    def test_phases_that_name_no_tier_admit_all(self, two: Model) -> None:
        case = run(self.phased(two, "platform", (), ()), self.LOSS)
        assert case.served("low")[20:].tolist() == pytest.approx([300] * 100)

    def test_cluster_scope_turns_no_tier_away(self, two: Model) -> None:
        case = run(self.phased(two, "cluster", ("high",), ("high",)), self.LOSS)
        assert case.served("low")[20:].tolist() == pytest.approx([300] * 100)

    def test_platform_scope_does_not_apply_to_lost_regions(self, two: Model) -> None:
        """Only a cluster that switched itself off has the platform restored as a whole."""
        model = self.phased(two, "platform", ("high",), ("high",))
        case = run(model, lose("region", "near", 5, 10))
        assert case.served("low")[10:].tolist() == pytest.approx([300] * 110)
