"""What is drawn beside the GPUs and what repairs cost: by hand, in the programme and its audit."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import model_of, solved

from planner.infrastructure.entities import Model
from planner.infrastructure.fleet import Fleet
from planner.optimization.formulation.problem import ProblemData
from planner.optimization.solution.audit import audit
from planner.optimization.solution.audit_purchases import check_purchases
from planner.optimization.solution.operation import operation_of

HOURS = 8760.0
#: 1,000 GPUs of 1 kW that are all needed all the time, on two units that just carry their heat.
SITE = """
regions: {here: {power_limit_mw: 1.5, electricity_usd_per_mwh: 100.0}}
gpus: {accelerator: {power_mw: 0.001, static_share: 0.5, rps: 1.0}}
clusters:
  gpus: {region: here, gpu: accelerator, existing_gpus: 1000, max_gpus: 1000, max_utilisation: 1.0}
cooling_units:
  unit: {capacity_mw: 0.5, power_mw_per_mw: 0.2, capital_usd: 100000.0,
         maintenance_share_per_year: 0.02, failures_per_year: 0.4}
plants: {chillers: {region: here, cools: [gpus], existing: {unit: 2}}}
tiers: {users: {priority: 1, share: 1.0}}
zones: {zone: {demand_rps: 1000.0, latency_ms: {here: 1.0}}}
"""


def site(tmp_path: Path, *settings: str) -> Model:
    """The site with something changed."""
    return model_of(tmp_path, SITE, *settings)


def cost(model: Model) -> dict[str, float]:
    """Yearly cost by category and asset of the audited plan, and the objective."""
    programme, solution = solved(model)
    items = {f"{one.category} {one.asset}": one.usd_per_year for one in audit(programme, solution)}
    return {**items, "all": solution.objective}


def test_energy_by_part(tmp_path: Path) -> None:
    """1 MW of GPUs, 60 kW lost, 30 kW of fans, 200 kW of chillers, 40 kW of pumps and towers."""
    plain = cost(site(tmp_path))
    found = cost(
        site(
            tmp_path,
            "regions.here.power_loss_share=0.06",
            "regions.here.hall_mw_per_mw=0.03",
            "cooling_units.unit.auxiliary_mw_per_mw=0.04",
        )
    )

    assert plain["energy gpus"] == pytest.approx(HOURS * 100)
    assert plain["energy chillers/unit"] == pytest.approx(HOURS * 20)
    assert found["energy gpus"] == pytest.approx(HOURS * 109)
    assert found["energy chillers/unit"] == pytest.approx(HOURS * 24)
    assert found["all"] - plain["all"] == pytest.approx(HOURS * 13)


def test_in_normal_operation_units_carry_their_derated_capacity(tmp_path: Path) -> None:
    """A unit that draws little carries half a megawatt at 35 °C; the thirsty one does the rest."""
    units = """cooling_units:
  frugal: {capacity_mw: 1.0, power_mw_per_mw: 0.1, derating_per_c: 0.05, reference_ambient_c: 25.0}
  thirsty: {capacity_mw: 1.0, power_mw_per_mw: 0.3}
plants: {chillers: {region: here, cools: [gpus], existing: {frugal: 1, thirsty: 1}}}
"""
    text = SITE[: SITE.index("cooling_units")] + units + SITE[SITE.index("tiers") :]
    model = model_of(tmp_path, text, "regions.here.design_ambient_c=35")
    expected = {"chillers/frugal": HOURS * 5, "chillers/thirsty": HOURS * 15}

    planned = cost(model)
    measured = {one.asset: one.usd_per_year for one in operation_of(model, Fleet.existing(model))}

    assert {unit: planned[f"energy {unit}"] for unit in expected} == pytest.approx(expected)
    assert {unit: measured[unit] for unit in expected} == pytest.approx(expected)


@pytest.mark.parametrize("limit", [1.33, 1.32])
def test_the_power_limit_holds_for_all_that_is_drawn(tmp_path: Path, limit: float) -> None:
    model = site(
        tmp_path,
        "regions.here.power_loss_share=0.06",
        "regions.here.hall_mw_per_mw=0.03",
        "cooling_units.unit.auxiliary_mw_per_mw=0.04",
        f"regions.here.power_limit_mw={limit}",
    )

    _, solution = solved(model)

    assert solution.status == ("optimal" if limit >= 1.33 else "infeasible")
    said = list(check_purchases(ProblemData(model, (), {}), Fleet.existing(model)))
    assert any("MW at full load" in one for one in said) == (limit < 1.33)


def test_repairs_come_on_top_of_maintenance(tmp_path: Path) -> None:
    """Two units: 2 × 2,000 USD of maintenance, 2 × 0.4 repairs of 5,000 USD."""
    plain, found = (
        cost(site(tmp_path, f"cooling_units.unit.repair_usd={usd}")) for usd in (0.0, 5000.0)
    )

    assert plain["cooling chillers/unit"] == pytest.approx(4000.0)
    assert found["cooling chillers/unit"] == pytest.approx(8000.0)
    assert found["all"] - plain["all"] == pytest.approx(4000.0)


def test_dear_repairs_decide_between_sizes(tmp_path: Path) -> None:
    """Four small units cost less to buy than one large; their repairs turn it."""
    bought = []
    for usd in (0.0, 4000.0):
        each = f"failures_per_year: 1.0, repair_usd: {usd}"
        model = site(
            tmp_path,
            f"cooling_units.small={{capacity_mw: 0.25, capital_usd: 20000.0, {each}}}",
            f"cooling_units.large={{capacity_mw: 1.0, capital_usd: 100000.0, {each}}}",
            "plants.chillers.existing={}",
            "plants.chillers.options=[small, large]",
        )
        bought.append(dict(solved(model)[1].fleet.units["chillers"]))

    assert bought == [{"small": 4, "large": 0}, {"small": 0, "large": 1}]
