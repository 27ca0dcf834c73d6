"""What a plan costs beside what today's build already costs."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import EXACT, model_of, run_here

from planner.analysis.reassessment import existing
from planner.infrastructure.fleet import Fleet
from planner.infrastructure.loading import LoadedModel, load_model
from planner.optimization.solution.operation import operation_of
from planner.plan.baseline import baseline_of
from planner.plan.records import Plan
from planner.scenarios.generators import all_scenarios
from planner.verification import optimize_and_verify

#: Twelve GPUs for eighteen requests per second, all the time; worked out by hand below.
SHORT = """
regions: {here: {electricity_usd_per_mwh: 50.0, power_limit_mw: 10.0}}
gpus:
  gpu: {power_mw: 0.01, static_share: 1.0, rps: 1.0, capital_usd: 1000.0,
        maintenance_share_per_year: 0.1}
clusters:
  site: {region: here, gpu: gpu, existing_gpus: 12, block_gpus: 1, max_gpus: 40,
         max_utilisation: 1.0}
cooling_units: {unit: {capacity_mw: 1.0, power_mw_per_mw: 0.0, capital_usd: 1.0}}
plants: {plant: {region: here, cools: [site], existing: {unit: 1}, options: [unit], max_added: 1}}
tiers: {all-users: {priority: 1, share: 1.0}}
zones: {users: {demand_rps: 18.0, latency_ms: {here: 5.0}}}
offers:
  cloud: {provider: cloudy, gpus_per_instance: 4, available_gpus: 40, lead_time_minutes: 5,
          usd_per_instance_hour: 8.0, retainer_usd_per_instance_year: 700.0, rps_per_gpu: 1.0,
          existing_instances: 3}
finance: {discount_rate: 0.0}
standard: {single: [{tier: all, from_minute: 5, least_served: 0.0}]}
scenarios:
  nothing: {severity: single, frequency_per_year: 1.0,
            events: [{kind: surge, factor: 1.0, repair_minutes: 1}]}
simulation: {horizon_minutes: 10}
"""
#: 12 GPUs of 10 kW that draw the same whatever they do, at 50 USD/MWh.
ENERGY = 12 * 0.01 * 8760 * 50


def planned(loaded: LoadedModel) -> Plan:
    outcome = optimize_and_verify(loaded.model, all_scenarios(loaded.model), EXACT)
    return outcome.plan(loaded, EXACT)


def test_baseline_bill_agrees_with_a_calculation_by_hand(tmp_path: Path) -> None:
    """Upkeep of what stands, retainers, energy; a third of the demand finds no room."""
    found = baseline_of(model_of(tmp_path, SHORT))
    usd = {}
    for item in found.items:
        assert item.capital_usd == 0
        usd[item.category] = usd.get(item.category, 0.0) + item.usd_per_year
    assert usd.pop("energy") == pytest.approx(ENERGY)
    assert usd.pop("emergency") == pytest.approx(3 * 700)
    assert sum(usd.values()) == pytest.approx(12 * 1000 * 0.1)
    assert found.unserved_share == pytest.approx(1 / 3)


@pytest.mark.parametrize("model", ["tiny", "chatgpt-2023-v2"])
def test_baseline_is_the_bill_of_what_exists(model: str) -> None:
    loaded = load_model(model).model
    found = baseline_of(loaded)
    bill = [item for item in found.items if item.category in ("energy", "transport")]
    of_today = [item for item in operation_of(loaded, Fleet.existing(loaded)) if item.usd_per_year]
    assert bill == of_today


def test_a_plan_states_its_own_cost_and_that_of_the_baseline(tiny: LoadedModel) -> None:
    plan = planned(tiny)
    cost = plan.cost
    assert cost.existing_usd_per_year == pytest.approx(
        sum(item.usd_per_year for item in cost.existing), abs=0.01 * len(cost.existing)
    )
    assert cost.existing == existing(tiny).cost.items
    assert cost.existing_usd_per_year < cost.usd_per_year


def test_a_plan_that_buys_nothing_costs_what_today_costs(tmp_path: Path) -> None:
    enough = SHORT.replace("demand_rps: 18.0", "demand_rps: 11.0")
    (tmp_path / "enough.yaml").write_text(enough, encoding="utf-8")
    plan = planned(load_model(tmp_path / "enough.yaml"))
    assert plan.cost.capital_usd == 0
    assert plan.cost.usd_per_year == pytest.approx(plan.cost.existing_usd_per_year)


def test_the_table_shows_the_difference_and_what_lacks_room(tmp_path: Path) -> None:
    (tmp_path / "short.yaml").write_text(SHORT, encoding="utf-8")
    ran = run_here("optimize", "short.yaml", "-q", cwd=tmp_path, columns=120)
    (energy,) = (line for line in ran.stdout.splitlines() if line.startswith("energy"))
    assert energy.split()[1:] == ["0.053", "0.079", "+0.026"]
    assert "no room for 33 % of a week's demand" in " ".join(ran.stdout.split())
