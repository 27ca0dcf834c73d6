"""Roadmaps from Python: tables, plans of periods for other functions, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from planner import (
    InputError,
    NoRoadmapError,
    OrderPlan,
    check,
    load_model,
    plan_roadmap,
    read_roadmap,
    simulate,
)
from planner.infrastructure.loading import load_model as load
from planner.plan.consistency import contradictions
from planner.plan.records import FIRM_ONLY, LATE, NO_TIME, NOTHING_LEFT
from planner.plan.reopening import reopen
from planner.roadmap.consistency import roadmap_contradictions
from planner.roadmap.files import write_roadmap
from planner.roadmap.proof import prove_any


def test_tables_say_what_the_records_say(ordered: OrderPlan) -> None:
    roadmap = ordered.roadmap
    assert ordered.survives
    assert list(ordered.orders["asset"]) == [order.asset for order in roadmap.orders]
    assert dict(ordered.periods["survived"]) == {n.name: n.survived for n in roadmap.nodes}
    assert ordered.capacity["gpus"].sum() == sum(line.gpus for line in roadmap.capacity)
    assert ordered.budgets["capital_usd"].max() == max(x.capital_usd for x in roadmap.budgets)
    paid = ordered.cash_flows.merge(ordered.periods, left_on="node", right_index=True)
    assert (paid["usd"] * paid["probability"]).sum() == pytest.approx(ordered.years.sum().sum())
    assert f"<roadmap for tiny-roadmap: {len(roadmap.orders)} orders from 2026-01;" in repr(ordered)
    assert "Payments by year" in ordered._repr_html_()


def test_it_is_written_and_read_again(ordered: OrderPlan, tmp_path: Path) -> None:
    file = ordered.save(tmp_path / "out")
    assert file.name == "roadmap.json"
    for place in (file, file.parent):
        again = read_roadmap(place)
        assert again.orders.equals(ordered.orders)
        assert again.save(tmp_path / "again").read_bytes() == file.read_bytes()


def test_the_plan_of_a_period_is_simulated_with_its_demand(ordered: OrderPlan) -> None:
    last = ordered.roadmap.nodes[-1]
    found = simulate(plan=ordered.plans[last.name], only="surge*")
    assert found.survives
    model = found.model.model
    assert sum(zone.demand_rps for zone in model.zones.values()) == pytest.approx(last.demand_rps)


def test_the_model_of_a_period_is_the_file_with_its_settings(ordered: OrderPlan) -> None:
    for node in (ordered.roadmap.nodes[0], ordered.roadmap.nodes[-1]):
        plan = ordered.plans[node.name]
        again = load("tiny-roadmap", plan.model.overrides)
        assert again.sha256 == plan.model.sha256
        assert reopen(plan).fresh


def test_a_roadmap_in_the_place_of_a_plan_says_where_plans_are(folder: Path) -> None:
    for place in (folder, folder / "roadmap.json"):
        with pytest.raises(InputError, match=r"is a roadmap; name the plan of one of its .*p1,"):
            simulate(plan=place)
    assert simulate(plan=folder / "p4-high", only="surge*").survives


def test_only_a_period_that_bridges_is_excused_from_what_failures_cost(
    ordered: OrderPlan,
) -> None:
    first, *_, last = ordered.plans.values()
    assert first.risk is None
    assert any("design heat of west-gpus: short of" in text for text in first.breaks)
    assert last.risk is not None
    assert not contradictions(first)
    assert not contradictions(last)
    assert "nor is it a period" in contradictions(last.model_copy(update={"risk": None}))[0]


def test_an_invented_reason_excuses_no_period(ordered: OrderPlan, tmp_path: Path) -> None:
    """As written by hand, without the hashes of the files, which would tell."""
    first, *_, last = ordered.plans.values()
    late = next(text for text in first.breaks if text.startswith(LATE))
    for text in ("because", late, FIRM_ONLY, NO_TIME, f"{NOTHING_LEFT}x"):
        changed = last.model_copy(update={"risk": None, "breaks": (text,)})
        plans = {**ordered.plans, str(last.of_roadmap): changed}
        roadmap = ordered.roadmap.model_copy(update={"plans": plans})
        apart = tmp_path / str(len(text))
        write_roadmap(roadmap, apart)
        for sums in apart.rglob("SHA256SUMS"):
            sums.unlink()
        told = [*contradictions(changed), *roadmap_contradictions(roadmap)]
        assert told or text == FIRM_ONLY, text
        for path in (apart, apart / str(last.of_roadmap)):
            differs = [line for check in prove_any(path) for line in check.differs]
            assert differs, (path, text)
    assert not any(check.differs for check in prove_any(tmp_path / "7" / "p1"))


def test_rules(ordered: OrderPlan, folder: Path) -> None:
    rules = ["order_by[cooling] < 2026-05", "capital[2027] > 100M"]
    for roadmap in (ordered, ordered.roadmap, folder):
        late, many = check(roadmap, rules).results
        assert late.failed
        assert not many.failed
    with pytest.raises(InputError, match="checked without `model` and `simulate`"):
        check(folder, rules, simulate=True)


def test_what_is_missing_is_said() -> None:
    with pytest.raises(InputError, match="the model has no `horizon`; add at least"):
        plan_roadmap("tiny")
    with pytest.raises(InputError, match="needs `start`"):
        plan_roadmap("tiny-roadmap", decided_periods=1)
    with pytest.raises(InputError, match="expected at least 1, not 0"):
        plan_roadmap("tiny-roadmap", rounds=0)


def test_no_roadmap_says_why() -> None:
    years = {"2026": 0, "2027": 0}
    changes = {"capital_budgets_usd": years, "order_months": None, "paths": None}
    poor = load_model("tiny-roadmap", {f"horizon.{key}": value for key, value in changes.items()})
    with pytest.raises(NoRoadmapError, match="no orders meet every period") as caught:
        plan_roadmap(poor, delays=0)
    assert "2026" in "".join(caught.value.reason.lines())
    assert caught.value.exit_code == 3


@pytest.mark.parametrize("change", [{"month": 10**7}, {"usd": 1.7e308}])
def test_amounts_beyond_all_reckoning_are_a_contradiction(
    ordered: OrderPlan, change: dict[str, float]
) -> None:
    flows = ordered.roadmap.cash_flows
    odd = (*flows, *(flow.model_copy(update=change) for flow in flows[:3]))
    roadmap = ordered.roadmap.model_copy(update={"cash_flows": odd})
    assert any("beyond all reckoning" in text for text in roadmap_contradictions(roadmap))
