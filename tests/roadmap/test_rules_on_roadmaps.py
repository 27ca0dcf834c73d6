"""Thresholds on roadmaps: what each figure is, and what is refused."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from planner.infrastructure.horizon import month_number
from planner.plan.thresholds import judge_rules, parse_rules
from planner.roadmap.metrics import ROADMAP_METRICS
from planner.roadmap.records import Roadmap
from tests.roadmap.conftest import Told


def figure(roadmap: Roadmap, subject: str, limit: str = "0") -> float | None:
    (result,) = judge_rules(roadmap, parse_rules([f"{subject} < {limit}"], "", ROADMAP_METRICS))
    return result.value


def test_figures_are_those_of_the_records(roadmap: Roadmap) -> None:
    cooling = [order for order in roadmap.orders if order.kind == "cooling"]
    first = min(month_number(order.order_by) for order in cooling)
    assert figure(roadmap, "order_by[cooling]", "2026-05") == first
    gpus = min(month_number(o.in_service) for o in roadmap.orders if o.asset == "west-gpus")
    assert figure(roadmap, "in_service[west-gpus]", "2026-05") == gpus
    of_2027 = [line for line in roadmap.budgets if line.year == 2027]
    most = max(line.capital_usd for line in of_2027)
    assert figure(roadmap, "capital[2027]") == most
    assert figure(roadmap, "budget_used[2027]") == most / 20e6
    totals = [sum(x.capital_usd for x in roadmap.budgets if x.path == y.path) for y in of_2027]
    assert figure(roadmap, "capital") == pytest.approx(max(totals))
    last = roadmap.nodes[-1]
    assert figure(roadmap, f"survives[{last.name}]") == last.survived / last.judged
    assert figure(roadmap, "bridged[p1]") == len(roadmap.nodes[0].bridged) > 0
    served = [
        line.served["business"] for plan in roadmap.plans.values() for line in plan.scenarios
        if "business" in line.served
    ]  # fmt: skip
    assert figure(roadmap, "served[business]") == min(served)


def test_what_is_not_known_fails(roadmap: Roadmap) -> None:
    assert figure(roadmap, "delay_usd_per_month") is None  # no delay was priced
    nothing = roadmap.model_copy(update={"orders": ()})
    (result,) = judge_rules(nothing, parse_rules(["order_by < 2026-01"], "", ROADMAP_METRICS))
    assert result.failed


def test_months_compare_as_months(roadmap: Roadmap) -> None:
    first = min(order.order_by for order in roadmap.orders)
    texts = [f"order_by == {first}", f"order_by < {first}", f"order_by <= {first}"]
    found = judge_rules(roadmap, parse_rules(texts, "", ROADMAP_METRICS))
    assert [result.failed for result in found] == [True, False, True]
    assert found[1].reason == f"order_by is {first}; fails if < {first}"


@pytest.mark.parametrize("name", ROADMAP_METRICS)
def test_every_metric_has_a_figure(roadmap: Roadmap, name: str) -> None:
    values = ROADMAP_METRICS[name].values(roadmap)
    assert "" in values
    assert all(isinstance(value, float | int) for value in values.values())
    assert any(not math.isnan(value) for value in values.values()) or name.startswith("delay")


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        ("order_by[cooling] < 5", "`5` is not a month; expected a limit such as 2027-03"),
        ("order_by[gpu] < 2026-01", "is not a kind or asset of this plan; did you mean `gpus`?"),
        ("capital[2031] > 1", "`2031` is not a year of this plan"),
        ("scenarios < 3", "there is no metric `scenarios`"),
    ],
)
def test_wrong_rules_say_what_is_accepted(told: Told, folder: Path, rule: str, text: str) -> None:
    code, _, problems = told("check-plan", folder, "--fail-on", rule)
    assert code == 2
    assert text in " ".join(problems.split())


def test_the_command(told: Told, folder: Path, tmp_path: Path) -> None:
    policy = tmp_path / "limits.yaml"
    policy.write_text("rules: [{name: soon, fail_on: 'order_by[cooling] < 2026-06'}]\n")
    call = ["check-plan", folder / "roadmap.json", "--policy", policy, "-q"]
    code, out, _ = told(*call, "--fail-on", "budget_used > 100%", "--json")
    assert code == 4
    assert [rule["failed"] for rule in json.loads(out)["rules"]] == [False, True]
    code, out, _ = told(*call)
    assert "soon: order_by[cooling] is 2026-04; fails if < 2026-06" in out
    assert told(*call, "--simulate")[0] == 2
