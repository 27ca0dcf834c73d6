"""Two plans, decision by decision."""

from __future__ import annotations

import pytest
from support import EXACT

from planner.infrastructure.loading import LoadedModel, load_model
from planner.plan.difference import DecisionChange, difference
from planner.plan.records import MeasureLine, Plan
from planner.selection import select
from planner.verification import optimize_and_verify


def planned(loaded: LoadedModel) -> Plan:
    found = optimize_and_verify(loaded.model, select(loaded.model).scenarios, EXACT)
    return found.plan(loaded, EXACT)


#: Long enough for every rule of the standard.
SHORT = "simulation.horizon_minutes=130"


@pytest.fixture(scope="module")
def tiny() -> LoadedModel:
    return load_model("tiny", (SHORT,))


@pytest.fixture(scope="module")
def plan(tiny: LoadedModel) -> Plan:
    return planned(tiny)


@pytest.fixture(scope="module")
def larger() -> Plan:
    demand = ("zones.west-users.demand_rps=770.0", "zones.east-users.demand_rps=330.0")
    return planned(load_model("tiny", (SHORT, *demand)))


def test_a_plan_is_no_different_from_itself(plan: Plan) -> None:
    found = difference(plan, plan)

    assert found.changes == ()
    assert found.cost == ()
    assert (found.capital_usd, found.usd_per_year) == (0, 0)


def test_more_demand_buys_more(plan: Plan, larger: Plan) -> None:
    found = difference(plan, larger)

    assert found.changes == (
        DecisionChange("gpus", "east-gpus", 800, 900),
        DecisionChange("cooling", "east-chillers/chiller-1", 6, 7),
        DecisionChange("emergency", "cloud", 30, 31),
    )
    assert found.lines == (
        "east-gpus: 800 → 900 GPUs",
        "east-chillers/chiller-1: 6 → 7 units",
        "cloud: 30 → 31 instances",
    )
    # 100 GPUs with their building and a chiller.
    assert found.capital_usd == pytest.approx(100 * 50_000 + 600_000)


def test_lines_of_cost_add_up(plan: Plan, larger: Plan) -> None:
    found = difference(plan, larger)

    assert sum(line.capital_usd for line in found.cost) == pytest.approx(found.capital_usd)
    assert sum(line.usd_per_year for line in found.cost) == pytest.approx(
        found.usd_per_year, abs=0.005 * len(plan.cost.items)
    )
    gpus = next(
        line for line in found.cost if (line.category, line.asset) == ("servers", "east-gpus")
    )
    assert gpus.capital_usd == 100 * 20_000
    assert gpus.capital_after_usd == 500 * 20_000


def test_swapping_the_plans_turns_every_sign(plan: Plan, larger: Plan) -> None:
    there, back = difference(plan, larger), difference(larger, plan)

    assert [change.more for change in back.changes] == [-change.more for change in there.changes]
    assert back.usd_per_year == -there.usd_per_year
    assert {(line.category, line.asset, line.usd_per_year) for line in back.cost} == {
        (line.category, line.asset, -line.usd_per_year) for line in there.cost
    }


def test_measures_bought_and_regions_left_are_changes(plan: Plan) -> None:
    tank = MeasureLine(measure="tank", bought=True)
    moved = plan.model_copy(
        update={
            "measures": (tank,),
            "gpus": tuple(
                line.model_copy(update={"total": 0, "retired": 1000})
                if line.cluster == "west-gpus"
                else line
                for line in plan.gpus
            ),
        }
    )

    found = difference(plan, moved)

    assert [str(change) for change in found.changes if change.kind == "measure"] == ["tank: bought"]
    assert [str(change) for change in found.changes if change.kind == "region"] == [
        "region west: not in use"
    ]
    assert [str(change) for change in difference(moved, plan).changes] == [
        "region west: in use",
        "west-gpus: 0 → 1,000 GPUs",
        "tank: not bought",
    ]


def test_an_asset_missing_in_one_plan_counts_as_zero(plan: Plan) -> None:
    renamed = tuple(line.model_copy(update={"offer": "other"}) for line in plan.emergency)

    found = difference(plan, plan.model_copy(update={"emergency": renamed}))

    assert [str(change) for change in found.changes if change.kind == "emergency"] == [
        "cloud: 30 → 0 instances",
        "other: 0 → 30 instances",
    ]
