"""Verdicts: every kind of breach, its first minute and size, recovery, money, words."""

from __future__ import annotations

import doctest
from dataclasses import replace

import pytest
from simulation.worlds import changed, hasty, judged, operating, surge

import planner.simulation.verdict
from planner.infrastructure.customers import Retry
from planner.infrastructure.entities import Model, Service
from planner.infrastructure.failures import NodeLoss, ServedRule, Severity, Surge, UnitLoss
from planner.infrastructure.fleet import Fleet
from planner.infrastructure.policies import Finance, Policies
from planner.simulation.verdict import Breach, surviving_share

#: All users of `two` prefer this region; load balancers need four minutes to see it is gone.
NEAR_IS_LOST = NodeLoss(kind="region", name="near", at_minute=10, repair_minutes=1000)


def with_standard(
    model: Model, *rules: tuple[str, float, float], severity: Severity = "common"
) -> Model:
    served = tuple(
        ServedRule(tier=tier, from_minute=minute, least_served=least)
        for tier, minute, least in rules
    )
    return model.replace(standard={severity: served})


class TestServed:
    def test_breach_has_its_first_and_last_minute_and_its_size(self, two: Model) -> None:
        verdict = judged(with_standard(two, ("all", 0, 0.9)), NEAR_IS_LOST)
        assert verdict.breaches == (Breach("served", "all", 10, 13, 0.0, 0.9, 0.9, "routing"),)
        assert verdict.first_breach is verdict.breaches[0]
        assert not verdict.survives

    def test_rule_holds_from_its_minute_on(self, two: Model) -> None:
        late = judged(with_standard(two, ("all", 2, 0.9)), NEAR_IS_LOST)
        assert (late.breaches[0].minute, late.breaches[0].until_minute) == (12, 13)
        assert judged(with_standard(two, ("all", 4, 1.0)), NEAR_IS_LOST).survives

    def test_demand_that_reaches_no_cluster_is_not_served(self, two: Model) -> None:
        nothing = Fleet.after(
            two, {}, {c: -one.existing_gpus for c, one in two.clusters.items()}, {}, frozenset()
        )
        nothing = replace(nothing, instances=dict.fromkeys(two.offers, 0))
        verdict = judged(with_standard(two, ("all", 0, 0.9)), surge(1.0, 0, 10), fleet=nothing)
        assert verdict.served == dict.fromkeys(two.tiers, 0.0)
        assert verdict.lost_requests > 0

    def test_part_of_a_minute_counts_from_the_next(self, two: Model) -> None:
        assert judged(with_standard(two, ("all", 3.5, 1.0)), NEAR_IS_LOST).survives

    def test_the_strictest_rule_in_force_counts(self, two: Model) -> None:
        # 600 of 1,000 requests/s from minute 14 on.
        model = changed(two, "zones", "users", demand_rps=1000.0)
        model = changed(model, "offers", "cloud", existing_instances=0)
        model = with_standard(model, ("all", 0, 0.3), ("all", 30, 0.8), ("all", 50, 0.5))
        breach = judged(model, NEAR_IS_LOST).breaches[0]
        # 40 % of traffic is in the second region already.
        assert (breach.minute, breach.until_minute) == (40, 119)
        assert (breach.value, breach.required) == pytest.approx((0.6, 0.8))
        assert breach.shortfall == pytest.approx(0.2)

    def test_tiers_are_judged_each_by_itself(self, two: Model) -> None:
        # By priority the upper tier gets its 400, the lower 200 of its 600 requests/s.
        model = changed(two, "zones", "users", demand_rps=1000.0)
        model = changed(model, "offers", "cloud", existing_instances=0)
        verdict = judged(with_standard(model, ("each", 4, 0.9)), NEAR_IS_LOST)
        assert [breach.subject for breach in verdict.breaches] == ["low"]
        assert verdict.breaches[0].value == pytest.approx(1 / 3)

    def test_only_the_class_of_the_scenario_counts(self, two: Model) -> None:
        assert not judged(
            with_standard(two, ("all", 0, 1.0), severity="single"), NEAR_IS_LOST
        ).fails

    def test_breaches_come_in_order_of_time(self, two: Model) -> None:
        verdict = judged(with_standard(two, ("low", 0, 1.0), ("high", 2, 1.0)), NEAR_IS_LOST)
        assert [(breach.subject, breach.minute) for breach in verdict.breaches] == [
            ("low", 10),
            ("high", 12),
        ]

    def test_tiers_that_nobody_asks_for_are_served(self, two: Model) -> None:
        model = changed(with_standard(two, ("each", 4, 1.0)), "tiers", "low", share=0.0)
        model = changed(model, "tiers", "high", share=1.0)
        assert judged(model, NEAR_IS_LOST).survives


class TestShutdown:
    @staticmethod
    def overheating(model: Model) -> Model:
        """A degree a minute, whatever is throttled; nobody comes."""
        model = changed(model, "gpus", "gpu", static_share=1.0)
        return operating(model, detection_minutes=10_000)

    LOSS = UnitLoss(kind="units", plant="chillers", unit="chiller", count=1, repair_minutes=1e5)

    def test_a_shutdown_is_a_breach_whatever_is_served(self, one: Model) -> None:
        verdict = judged(self.overheating(one), self.LOSS)
        assert verdict.breaches == (Breach("shutdown", "site", 29, 119, 95.0, 95.0, 0.0, "heat"),)
        assert verdict.shutdowns == ("site",)
        assert verdict.throttled_minutes
        assert verdict.peak_temperature_c == pytest.approx(95.0)

    def test_loss_of_the_region_itself_is_no_shutdown(self, two: Model) -> None:
        verdict = judged(two, NEAR_IS_LOST)
        assert not verdict.fails
        assert verdict.shutdowns == ()
        assert not verdict.throttled_minutes


class TestCauses:
    """What the loop tightens hangs on why requests were missing in the worst minute."""

    @staticmethod
    def busy(model: Model) -> Model:
        return changed(model, "zones", "users", demand_rps=1000.0)

    def test_cause_is_stale_routing_until_load_balancers_know(self, two: Model) -> None:
        (breach,) = judged(with_standard(two, ("all", 0, 1.0)), NEAR_IS_LOST).breaches
        assert (breach.cause, breach.late_minutes) == ("routing", 0)

    def test_cloud_that_serves_later_than_it_arrives(self, two: Model) -> None:
        # Ordered at 30, there at 50, used from 54 on.
        model = with_standard(self.busy(two), ("all", 40, 1.0))
        (breach,) = judged(model, NEAR_IS_LOST).breaches
        assert (breach.minute, breach.until_minute) == (50, 53)
        assert (breach.cause, breach.late_minutes) == ("late", 4)

    def test_cloud_that_is_ordered_late(self, two: Model) -> None:
        # It could have been there at 50; short only at 60, it is used from 85 on.
        surge = Surge(kind="surge", factor=2.0, at_minute=60, repair_minutes=1000)
        (breach,) = judged(with_standard(two, ("all", 4, 1.0)), NEAR_IS_LOST, surge).breaches
        assert (breach.minute, breach.until_minute) == (60, 84)
        assert (breach.cause, breach.late_minutes) == ("late", 35)

    def test_cloud_that_could_not_be_there_yet_is_not_late(self, two: Model) -> None:
        model = with_standard(self.busy(two), ("all", 30, 1.0))
        (breach,) = judged(model, NEAR_IS_LOST).breaches
        assert (breach.minute, breach.until_minute) == (40, 53)
        assert breach.cause == "scarcity"

    def test_cloud_whose_provider_is_lost_is_not_late(self, two: Model) -> None:
        model = with_standard(self.busy(two), ("all", 50, 1.0))
        lost = NodeLoss(kind="provider", name="cloudy", at_minute=0, repair_minutes=1000)
        (breach,) = judged(model, NEAR_IS_LOST, lost).breaches
        assert breach.cause == "scarcity"

    def test_cause_is_heat_when_gpus_throttle(self, one: Model) -> None:
        loss = UnitLoss(
            kind="units", plant="chillers", unit="chiller", count=2, repair_minutes=1000
        )
        (breach,) = judged(with_standard(one, ("all", 5, 0.99)), loss).breaches
        assert breach.cause == "heat"

    def test_cause_is_heat_when_clusters_shut_down(self, one: Model) -> None:
        model = with_standard(TestShutdown.overheating(one), ("all", 40, 0.9))
        served = [b for b in judged(model, TestShutdown.LOSS).breaches if b.kind == "served"]
        assert [breach.cause for breach in served] == ["heat"]

    def test_checks_after_the_loss_of_a_region_are_no_heat(self, one: Model) -> None:
        lost = NodeLoss(kind="region", name="here", at_minute=0, repair_minutes=20)
        (breach,) = judged(with_standard(one, ("all", 21, 0.9)), lost).breaches
        assert (breach.minute, breach.until_minute) == (21, 38)
        assert breach.cause == "scarcity"

    def test_cause_is_scarcity_with_too_few_gpus(self, two: Model) -> None:
        model = changed(self.busy(two), "offers", "cloud", existing_instances=10)
        (breach,) = judged(with_standard(model, ("all", 60, 1.0)), NEAR_IS_LOST).breaches
        assert breach.cause == "scarcity"
        assert breach.shortfall == pytest.approx(0.3)


class TestBudget:
    @staticmethod
    def short(model: Model, budget_usd: float) -> Model:
        model = changed(model, "zones", "users", demand_rps=1000.0)
        return model.replace(finance=Finance(emergency_budget_usd=budget_usd))

    def test_spend_is_extrapolated_until_all_is_repaired(self, two: Model) -> None:
        verdict = judged(self.short(two, 1e9), NEAR_IS_LOST)
        # 80 USD a minute from 54 to the end of the simulation at 120, and on until 1,010.
        assert verdict.emergency_usd == pytest.approx(80 * (1010 - 54))
        assert not verdict.fails

    def test_spend_is_not_extrapolated_beyond_the_repair(self, two: Model) -> None:
        event = NEAR_IS_LOST.replace(repair_minutes=70)
        verdict = judged(self.short(two, 1e9), event)
        # Repaired at 80, checked at 95, used from 99 on.
        assert verdict.emergency_usd == pytest.approx(80 * (99 - 54))

    def test_spend_above_the_approved_budget_is_a_breach(self, two: Model) -> None:
        assert not judged(self.short(two, 76_480.0), NEAR_IS_LOST).fails
        (breach,) = judged(self.short(two, 70_000.0), NEAR_IS_LOST).breaches
        assert (breach.kind, breach.subject) == ("budget", "budget")
        assert breach.value == pytest.approx(76_480)
        assert breach.shortfall == pytest.approx(6_480)

    def test_without_a_budget_nothing_may_be_spent(self, two: Model) -> None:
        assert not judged(two.replace(finance=Finance()), NEAR_IS_LOST).fails
        assert not judged(self.short(two, 0.0), NEAR_IS_LOST).survives


class TestCapacityPolicy:
    def test_too_few_gpus_left_is_a_breach_from_the_loss_on(self, two: Model) -> None:
        model = two.replace(policies=Policies(surviving_capacity_share=0.7))
        assert judged(model, NEAR_IS_LOST).breaches == (
            Breach("capacity", "near", 10, 10, 0.5, 0.7, pytest.approx(0.2)),
        )

    def test_enough_gpus_left_is_no_breach(self, two: Model) -> None:
        model = two.replace(policies=Policies(surviving_capacity_share=0.5))
        assert judged(model, NEAR_IS_LOST).survives

    def test_share_counts_all_gpus_elsewhere(self, two: Model) -> None:
        fleet = Fleet.existing(changed(two, "clusters", "second", existing_gpus=200))
        assert surviving_share(two, fleet, "near") == pytest.approx(0.25)
        assert surviving_share(two, fleet, "far") == pytest.approx(0.75)


class TestFigures:
    def test_recovery_is_zero_without_a_shortage(self, two: Model) -> None:
        event = NEAR_IS_LOST.replace(kind="provider", name="cloudy")
        assert judged(two, event).recovery_minutes == 0

    def test_recovery_is_the_minute_from_which_all_are_served_for_good(self, two: Model) -> None:
        assert judged(two, NEAR_IS_LOST).recovery_minutes == 14

    def test_no_recovery_within_the_simulation(self, two: Model) -> None:
        model = changed(two, "zones", "users", demand_rps=1001.0)
        assert judged(model, NEAR_IS_LOST).recovery_minutes is None

    def test_a_thousandth_short_counts_as_recovered(self, two: Model) -> None:
        model = changed(two, "zones", "users", demand_rps=1000.5)
        # The lower tier gets 599.8 of 600.3 requests/s once the cloud serves.
        assert judged(model, NEAR_IS_LOST).recovery_minutes == 54

    def test_least_served_counts_from_when_the_standard_speaks_of_a_tier(self, two: Model) -> None:
        model = with_standard(hasty(two), ("high", 2, 0.5), ("low", 4, 0.5), ("low", 50, 1.0))
        assert judged(model, NEAR_IS_LOST).served == {"high": 0.0, "low": 1.0}

    def test_least_served_counts_all_minutes_where_the_standard_is_silent(self, two: Model) -> None:
        assert judged(two, NEAR_IS_LOST).served == {"high": 0.0, "low": 0.0}

    def test_verdict_counts_lost_requests_and_the_longest_queue(self, one: Model) -> None:
        model = operating(one, priority_shedding="none", queue_limit_requests=0.0)
        event = Surge(kind="surge", factor=1.4, at_minute=5, repair_minutes=3)
        verdict = judged(model, event)
        assert verdict.lost_requests == pytest.approx(3 * 60 * 400)
        assert verdict.peak_queue_requests == 0
        model = operating(one, priority_shedding="none", queue_limit_requests=20_000.0)
        assert judged(model, event).peak_queue_requests == pytest.approx(20_000)

    def test_requests_unanswered_at_the_end_are_lost(self, one: Model) -> None:
        model = operating(one, priority_shedding="none", patience_minutes=100_000)
        event = Surge(kind="surge", factor=2.0, at_minute=110, repair_minutes=1000)
        # Ten minutes of a thousand requests/s too many; next to nobody has given up.
        assert judged(model, event).lost_requests == pytest.approx(600e3, rel=1e-4)
        model = operating(one, queue_limit_requests=0)
        for tier in one.tiers:
            model = changed(model, "tiers", tier, retry=Retry(attempts=10, backoff_minutes=1e5))
        # Turned away at once and backing off until long after the end.
        assert judged(model, event).lost_requests == pytest.approx(600e3, rel=1e-4)

    def test_requests_that_succeed_later_are_not_lost(self, one: Model) -> None:
        model = changed(operating(one, queue_limit_requests=0), "zones", "users", demand_rps=700.0)
        for tier in one.tiers:
            model = changed(model, "tiers", tier, retry=Retry(attempts=10, backoff_minutes=5))
        event = Surge(kind="surge", factor=2.0, at_minute=5, repair_minutes=5)
        verdict = judged(model, event)
        # 400 requests/s too many for five minutes; a tenth of a per mille fails eleven times.
        assert verdict.lost_requests < 1e-3 * 5 * 60 * 400
        assert verdict.recovery_minutes == 10
        assert verdict.served["low"] == pytest.approx((1000 - 560) / 840)
        # No minute serves more than is wanted, though retries come on top.
        assert judged(with_standard(model, ("all", 10, 1.0)), event).survives

    def test_retry_ratio_is_that_of_the_worst_minute(self, one: Model) -> None:
        auth = Service(name="auth", plane="service")
        model = one.replace(services={"auth": auth})
        for tier in one.tiers:
            retry = Retry(attempts=3, backoff_minutes=0.5)
            model = changed(model, "tiers", tier, entry="auth", retry=retry)
        lost = NodeLoss(kind="service", name="auth", at_minute=10, repair_minutes=60)
        assert judged(model, lost).retry_ratio == pytest.approx(4.0)
        calm = NodeLoss(kind="service", name="auth", at_minute=500, repair_minutes=60)
        assert judged(model, calm).retry_ratio == 1.0

    def test_impact_follows_the_least_served(self, two: Model) -> None:
        model = changed(two, "zones", "users", demand_rps=1000.0)
        model = changed(hasty(model), "offers", "cloud", existing_instances=0)
        verdict = judged(with_standard(model, ("each", 14, 0.1)), NEAR_IS_LOST)
        # By priority the upper tier gets its 400, the lower 200 of its 600 requests/s.
        assert verdict.impact == {"high": "minimal impact", "low": "severe degradation"}
        assert judged(hasty(two), NEAR_IS_LOST).impact == dict.fromkeys(
            ("high", "low"), "complete outage"
        )

    def test_verdict_names_the_scenario(self, two: Model) -> None:
        verdict = judged(two, NEAR_IS_LOST, severity="region", frequency_per_year=0.25)
        assert (verdict.name, verdict.severity, verdict.frequency_per_year) == (
            "case",
            "region",
            0.25,
        )


class TestWords:
    @pytest.mark.parametrize(
        ("value", "required", "text"),
        [
            (0.0, 0.9, "low 0.0 % served at minute 7, 90.0 % required"),
            (0.619, 0.7, "low 61.9 % served at minute 7, 70.0 % required"),
            (0.9999, 1.0, "low 99.9 % served at minute 7, 100 % required"),
            (0.9999999, 1.0, "low 99.9 % served at minute 7, 100 % required"),
            (0.29, 0.3, "low 29.0 % served at minute 7, 30.0 % required"),
            (0.99985, 0.9999, "low 99.98 % served at minute 7, 99.99 % required"),
        ],
    )
    def test_fractions_are_never_rounded_up(self, value: float, required: float, text: str) -> None:
        assert str(Breach("served", "low", 7, 9, value, required, required - value)) == text

    def test_breach_of_all_tiers_together_is_worded(self) -> None:
        text = str(Breach("served", "all", 7, 9, 0.5, 1.0, 0.5))
        assert text == "all tiers together 50.0 % served at minute 7, 100 % required"

    def test_breaches_of_shutdown_budget_and_capacity_are_worded(self) -> None:
        shutdown = Breach("shutdown", "site", 29, 119, 95.0, 95.0, 0.0)
        assert str(shutdown) == "site shut itself down at minute 29 (95 °C)"
        budget = Breach("budget", "budget", 0, 0, 61.25e6, 50e6, 11.25e6)
        assert str(budget) == "emergency spend 61,250,000 USD, 50,000,000 USD approved"
        capacity = Breach("capacity", "near", 10, 10, 13_000 / 21_000, 0.7, 0.081)
        assert str(capacity) == "61.9 % of all GPUs left without near, 70.0 % required by policy"

    def test_examples_hold(self) -> None:
        assert doctest.testmod(planner.simulation.verdict).failed == 0
