"""The postmortem's calculators and economics: what it prints, and what its formulas give.

Source: "ChatGPT November 2023: The AI Platform Collapse", figures as printed in
``datasets/incidents/chatgpt-2023/figures.csv``. Where a printed value contradicts its own formula,
both stand here; nothing is silently corrected.
"""

from __future__ import annotations

import csv

import numpy as np
import pytest
from laws.written import dropped_of
from support import CHECKOUT

from planner.infrastructure.fleet import Fleet
from planner.infrastructure.loading import load_model
from planner.laws.heat import clock_share, coolable_gpus, heat_at_utilisation_mw
from planner.laws.queues import competing_queue
from planner.simulation.verdict import surviving_share

FIGURES = CHECKOUT / "datasets" / "incidents" / "chatgpt-2023" / "figures.csv"


@pytest.fixture(scope="module")
def printed() -> dict[str, float]:
    """Printed figures by name."""
    with FIGURES.open(encoding="utf-8", newline="") as stream:
        return {row["name"]: float(row["printed"]) for row in csv.DictReader(stream)}


class TestCoolingFailure:
    """Calculator 1: impact of losing 60 % of the cooling of us-west."""

    def test_overload_is_the_heat_that_the_remaining_cooling_does_not_carry(self, printed) -> None:
        per_gpu = printed["us_west_power_mw"] / printed["us_west_gpus_count"]
        heat = heat_at_utilisation_mw(per_gpu, 0.58, printed["us_west_gpus_count"], 1.0)
        left = printed["us_west_cooling_mw"] * printed["remaining_cooling_share"]

        assert heat - left == pytest.approx(printed["calculated_thermal_overload_mw"])
        reduction = (heat - left) / heat
        assert reduction == pytest.approx(printed["calculated_performance_reduction_share"])
        assert heat - left > printed["shutdown_risk_threshold_mw"]

    def test_gpus_that_can_stay_powered_are_those_that_it_calls_effective(self, printed) -> None:
        gpus = np.array([printed["us_west_gpus_count"]])
        per_gpu = np.array([printed["us_west_power_mw"]]) / gpus
        one = np.array([1.0])

        powered = coolable_gpus(gpus, per_gpu, np.array([0.58]), one, np.array([24.0]))

        assert powered[0] == pytest.approx(printed["calculated_effective_gpus_count"])

    def test_the_loops_are_60_percent_and_40_percent_of_the_cooling(self, printed) -> None:
        lost = printed["primary_loop_mw"] / printed["us_west_cooling_mw"]
        assert lost == pytest.approx(printed["cooling_loss_percent"] / 100)
        both = printed["primary_loop_mw"] + printed["secondary_loop_mw"]
        assert both == printed["us_west_cooling_mw"]


class TestQueueOverflow:
    """Calculator 2: six hours at 20 % capacity with a queue of a million."""

    def test_queue_law_drops_what_it_prints(self, printed) -> None:
        rate = printed["normal_processing_requests_per_second"]
        excess = rate * (1 - printed["calculated_reduced_capacity_percent"] / 100)
        limit = printed["queue_limit_requests"]
        none, arriving = np.zeros((1, 1)), np.full((1, 1), excess * 60)
        waiting, dropped = none, 0.0
        for _ in range(int(printed["calculated_outage_hours"]) * 60):
            away = dropped_of(waiting + arriving, arriving, limit)
            waiting = competing_queue(waiting, none, arriving - away, none, none + np.inf).live
            dropped += float(away.sum())

        assert waiting.sum() + dropped == pytest.approx(printed["calculated_queued_requests"])
        assert dropped == pytest.approx(printed["calculated_dropped_requests"])
        success = waiting.sum() / (waiting.sum() + dropped)
        assert round(success, 3) == printed["calculated_success_share"]

    def test_wait_is_a_tenth_of_what_it_prints(self, printed) -> None:
        share = printed["calculated_reduced_capacity_percent"] / 100
        processing = printed["normal_processing_requests_per_second"] * share
        minutes = printed["queue_limit_requests"] / processing / 60

        assert minutes == pytest.approx(8.33, abs=0.01)
        assert printed["calculated_average_wait_minutes"] == pytest.approx(10 * minutes, abs=0.1)

    def test_pending_requests_exceed_the_limit_it_states(self, printed) -> None:
        assert printed["pending_requests_count"] == 5 * printed["queue_limit_requests"]


class TestInferenceUnderThrottling:
    """Calculator 3: inference at 90 °C; linear in temperature although it says exponential."""

    def test_formula_gives_12_seconds_and_166_7_tokens(self, printed) -> None:
        base, top = (
            printed["inference_base_temperature_c"],
            printed["inference_shutdown_temperature_c"],
        )
        ratio = 1 - (printed["calculated_temperature_c"] - base) / (top - base)

        assert ratio == pytest.approx(1 / 6)
        assert round(ratio, 2) == printed["calculated_performance_share"]
        seconds = printed["normal_inference_seconds"] / ratio
        assert seconds == pytest.approx(12.0)
        assert printed["calculated_inference_seconds"] == 11.8
        tokens = printed["normal_throughput_tokens_per_second"] * ratio
        assert tokens == pytest.approx(166.7, abs=0.05)
        assert printed["calculated_throughput_tokens_per_second"] == 170

    def test_clock_law_starts_at_75_as_the_lesson_learned_says(self, printed) -> None:
        temperature = np.array([printed["calculated_temperature_c"]])
        start = np.array([printed["v2_throttle_start_c"]])
        top = np.array([printed["shutdown_temperature_c"]])

        assert clock_share(temperature, start, top)[0] == pytest.approx(0.25)


class TestRegionalResilience:
    """Calculator 4: share of GPUs left when a region of the recommended build is lost."""

    @pytest.mark.parametrize(
        ("region", "left", "maintainable"),
        [
            ("us-west", 13_000 / 21_000, False),
            ("us-east", 15_000 / 21_000, True),
            ("eu-west", 17_000 / 21_000, True),
            ("asia-pacific", 18_000 / 21_000, True),
        ],
    )
    def test_us_west_alone_breaks_the_70_percent_rule(
        self, printed, region: str, left: float, maintainable: bool
    ) -> None:
        model = load_model("chatgpt-2023-v2").model

        share = surviving_share(model, Fleet.existing(model), region)

        assert share == pytest.approx(left)
        assert (share > printed["v2_service_maintainable_share"]) is maintainable


class TestEconomics:
    """Printed sums against their own inputs."""

    def test_subscription_revenue_is_that_of_the_postmortem(self, printed) -> None:
        daily = printed["plus_subscribers_count"] * printed["plus_price_usd_per_month"] / 30
        assert daily == pytest.approx(printed["subscription_revenue_usd_per_day"], rel=0.01)
        assert daily / 4 == pytest.approx(printed["subscription_loss_usd"], rel=0.02)

    def test_api_loss_is_417_thousand_by_formula(self, printed) -> None:
        customers, revenue = (
            printed["api_customers_count"],
            printed["api_revenue_usd_per_customer_month"],
        )
        loss = customers * revenue / 30 / 4
        assert loss == pytest.approx(416_667, abs=1)
        assert printed["api_loss_usd"] == 425_000

    def test_enterprise_loss_is_ten_times_what_it_prints(self, printed) -> None:
        loss = (
            printed["businesses_count"]
            * printed["employees_per_business_count"]
            * printed["employee_value_usd_per_hour"]
            * printed["major_impact_hours"]
        )
        assert loss == 7.5e9
        assert printed["enterprise_productivity_loss_usd"] == loss / 10

    def test_developer_loss_and_total(self, printed) -> None:
        developers, rate = printed["developers_count"], printed["developer_rate_usd_per_hour"]
        loss = developers * rate * printed["major_impact_hours"]
        assert loss == printed["developer_productivity_loss_usd"]
        total = printed["enterprise_productivity_loss_usd"] + loss
        assert total == printed["total_enterprise_loss_usd"]

    def test_incident_and_prevention_sums(self, printed) -> None:
        incident = sum(
            printed[f"incident_{item}_cost_usd"]
            for item in (
                "revenue",
                "productivity",
                "emergency_response",
                "sla_credits",
                "market_share",
                "brand",
            )
        )
        assert incident == pytest.approx(printed["incident_total_cost_usd"], rel=0.002)
        prevention = sum(
            printed[f"prevention_{item}_usd"]
            for item in ("cooling", "regions", "monitoring", "emergency_response", "backup")
        )
        assert prevention == printed["prevention_total_usd"]

    def test_roi_is_a_benefit_cost_ratio(self, printed) -> None:
        ratio = printed["incident_total_cost_usd"] / printed["prevention_total_usd"]
        assert ratio == pytest.approx(1.37, abs=0.005)
        assert printed["prevention_roi_percent"] == pytest.approx(100 * ratio, abs=0.5)
        assert ratio - 1 == pytest.approx(0.37, abs=0.005)

    def test_summary_states_less_than_the_total(self, printed) -> None:
        assert printed["lost_productivity_summary_usd"] < printed["incident_total_cost_usd"] / 7
