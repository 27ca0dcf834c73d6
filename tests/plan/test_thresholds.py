"""Rules on plans: what is accepted, where a wrong one is wrong, and what plans make of them."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.errors import InputError
from planner.plan.consistency import contradictions
from planner.plan.metrics import METRICS, shown_value
from planner.plan.records import Plan
from planner.plan.rules import OPERATORS, Rule
from planner.plan.thresholds import judge_rules, parse_rules, read_policy


def parse_rule(text: str) -> Rule:
    (rule,) = parse_rules([text])
    return rule


def scenario(name: str, severity: str = "single", **more: Any) -> dict[str, Any]:
    line = {
        "name": name,
        "severity": severity,
        "frequency_per_year": 0.5,
        "survives": True,
        "status": "survives",
        "first_breach": None,
        "recovery_minutes": 10.0,
        "lost_requests": 1000.0,
        "peak_temperature_c": 65.0,
        "emergency_usd": 0.0,
        "served": {"business": 1.0, "free": 0.9},
    }
    return line | more


def gpus(cluster: str, region: str, existing: int, added: int) -> dict[str, Any]:
    total = {"existing": existing, "added": added, "total": existing + added}
    return {"cluster": cluster, "region": region, "gpu": "a"} | total


def cooling(plant: str, region: str, added: int, size: float) -> dict[str, Any]:
    counts = {"existing": 0, "added": added, "total": added, "derated_mw_each": size}
    sizing = {"redundancy": 1, "design_heat_mw": 1.0, "firm_mw": 1.0}
    return {"plant": plant, "region": region, "role": "primary", "unit": "u"} | counts | sizing


def emergency(offer: str, provider: str, count: int) -> dict[str, Any]:
    reserved = {"instances_reserved": count, "gpus_reserved": 8 * count}
    terms = {"lead_time_minutes": 30.0, "usd_per_gpu_hour": 9.0, "instance": ""}
    return {"offer": offer, "provider": provider} | reserved | terms


DATA: dict[str, Any] = {
    "model": {"name": "small", "sha256": "0" * 64},
    "created": "2026-01-01T00:00:00+00:00",
    "versions": {},
    "status": "optimal",
    "objective_usd_per_year": 90e6,
    "gap": 0.001,
    "solver": {"name": "highs", "seconds": 1.0},
    "cooling": [cooling("w-plant", "west", 3, 2.5), cooling("e-plant", "east", 2, 1.0)],
    "gpus": [
        gpus("w-1", "west", 100, 50),
        gpus("w-2", "west", 0, 20),
        gpus("east", "east", 10, 0),
        # A region whose name is a cluster of another: the cluster counts.
        gpus("other", "w-1", 5, 0),
    ],
    "emergency": [emergency("p4", "aws", 3), emergency("nd", "azure", 2)],
    "cost": {
        "capital_usd": 900e6,
        "usd_per_year": 90e6,
        "items": [
            {"category": "gpus", "asset": "w-1", "capital_usd": 800e6, "usd_per_year": 60e6},
            {"category": "cooling", "asset": "w", "capital_usd": 100e6, "usd_per_year": 30e6},
        ],
    },
    "scenarios": [
        scenario("unit-w"),
        scenario("unit-e", peak_temperature_c=71.5),
        scenario(
            "region-west",
            "region",
            survives=False,
            status="fails",
            recovery_minutes=None,
            emergency_usd=2e6,
            lost_requests=3e6,
            served={"business": 0.99, "free": 0.4},
        ),
        scenario("region-east", "region", recovery_minutes=90.0),
    ],
    "verification": {
        "survives": False,
        "judged": 4,
        "rounds": [{"round": 1, "objective_usd_per_year": 90e6, "failed": ["region-west"]}],
    },
    "risk": {
        "kind": "expected", "alpha": 0.95, "beta": 0.0, "expected_usd_per_year": 0.0,
        "cvar_usd_per_year": 0.0, "worst_usd_per_year": 0.0, "once_usd": {},
    },
}  # fmt: skip
PLAN = Plan.model_validate(DATA)


def value_of(subject: str, plan: Plan = PLAN) -> float | None:
    (outcome,) = judge_rules(plan, (parse_rule(f"{subject} < 0"),))
    return outcome.value


def fails(text: str, plan: Plan = PLAN) -> bool:
    (outcome,) = judge_rules(plan, (parse_rule(text),))
    return outcome.failed


@pytest.mark.parametrize(
    ("subject", "value"),
    [
        ("capital", 900e6),
        ("capital[gpus]", 800e6),
        ("capital[regions]", 0.0),
        ("usd_per_year", 90e6),
        ("usd_per_year[cooling]", 30e6),
        ("cost", 90e6),
        ("cost[cooling]", 30e6),
        ("gap", 0.001),
        ("survives", 0.75),
        ("survives[region]", 0.5),
        ("survives[single]", 1.0),
        ("survives[region-west]", 0.0),
        ("scenarios", 4),
        ("scenarios[region]", 2),
        ("scenarios[extreme]", 0),
        ("served", 0.4),
        ("served[business]", 0.99),
        ("recovery_minutes", math.inf),
        ("recovery_minutes[single]", 10.0),
        ("recovery_minutes[region-east]", 90.0),
        ("peak_temperature_c", 71.5),
        ("lost_requests", 3e6),
        ("lost_requests_per_year", 0.5 * (3e6 + 3000)),
        ("emergency_usd", 2e6),
        ("emergency_usd[single]", 0.0),
        ("gpus", 185),
        ("gpus[west]", 170),
        ("gpus[east]", 10),
        ("gpus[w-1]", 150),
        ("cooling_mw", 9.5),
        ("cooling_mw[west]", 7.5),
        ("emergency_gpus", 40),
        ("emergency_gpus[azure]", 16),
        ("emergency_gpus[p4]", 24),
        ("rounds", 1),
    ],
)
def test_metrics_of_a_plan_have_the_expected_figures(subject: str, value: float) -> None:
    assert value_of(subject) == pytest.approx(value)


def test_every_metric_has_a_figure_in_these_tests() -> None:
    marks = test_metrics_of_a_plan_have_the_expected_figures.pytestmark  # type: ignore[attr-defined]
    (marks,) = [mark for mark in marks if mark.name == "parametrize"]
    tested = {subject.partition("[")[0] for subject, _ in marks.args[1]}
    assert tested | {"age_days"} == set(METRICS)


def test_age_counts_days_since_the_plan_was_made(monkeypatch: pytest.MonkeyPatch) -> None:
    day = 1767225600  # 2026-01-01T00:00:00Z
    monkeypatch.setenv("SOURCE_DATE_EPOCH", str(day + 36 * 3600))
    assert value_of("age_days") == 1.5
    assert not fails("age_days > 36h")
    assert fails("age_days > 35h")
    naive = PLAN.model_copy(update={"created": "2026-01-01T12:00:00"})
    assert value_of("age_days", naive) == 1.0
    assert fails("age_days > 30", PLAN.model_copy(update={"created": "yesterday"}))


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("capital > 900M", 900e6),
        ("capital>900 m", 900e6),
        ("capital > 1.2B", 1.2e9),
        ("capital > $250k", 250e3),
        ("capital > 250kUSD", 250e3),
        ("capital > 9e8 USD", 9e8),
        ("capital > 900_000_000", 900e6),
        ("capital > -5", -5),
        ("survives < 99%", 0.99),
        ("survives < .99", 0.99),
        ("survives < 1", 1.0),
        ("survives < 100 %", 1.0),
        ("recovery_minutes > 2h", 120),
        ("recovery_minutes > 90 min", 90),
        ("recovery_minutes > 90", 90),
        ("recovery_minutes > 30s", 0.5),
        ("recovery_minutes > 1d", 1440),
        ("age_days > 36h", 1.5),
        ("cooling_mw < 500kW", 0.5),
        ("cooling_mw < 1.5GW", 1500),
        ("peak_temperature_c > 85°C", 85),
        ("peak_temperature_c > 85 C", 85),
        ("gpus > 12k", 12_000),
    ],
)
def test_a_limit_is_read_with_its_unit(text: str, limit: float) -> None:
    assert parse_rule(text).limit == pytest.approx(limit)


@pytest.mark.parametrize(
    ("text", "failed"),
    [
        ("capital > 900M", False),
        ("capital >= 900M", True),
        ("capital < 900M", False),
        ("capital <= 900M", True),
        ("capital == 0.9B", True),
        ("capital != 0.9B", False),
        ("capital > 899.9M", True),
        ("survives < 1.0", True),
        ("survives[ single ] < 100%", False),
        ("gap > 0.1%", False),
        ("  served[free]<40%  ", False),
    ],
)
def test_a_rule_that_holds_fails_the_plan(text: str, failed: bool) -> None:
    assert fails(text) is failed


def test_no_recovery_exceeds_every_limit() -> None:
    (outcome,) = judge_rules(PLAN, (parse_rule("recovery_minutes[region] > 1000d"),))
    assert outcome.failed
    assert outcome.reason == "recovery_minutes[region] is never; fails if > 1,440,000 min"


@pytest.mark.parametrize("sign", OPERATORS)
def test_an_unknown_figure_fails_every_rule(sign: str) -> None:
    (outcome,) = judge_rules(PLAN, (parse_rule(f"survives[extreme] {sign} 0.5"),))
    assert outcome.failed
    assert outcome.value is None
    assert "no value in this plan" in outcome.reason


def test_a_plan_without_judged_scenarios_is_not_proven() -> None:
    empty = PLAN.model_copy(update={"scenarios": ()})
    for text in ("survives < 0.1", "served < 0.1", "peak_temperature_c > 500"):
        assert fails(text, empty)


def test_a_figure_close_to_its_limit_is_shown_with_enough_digits() -> None:
    almost = PLAN.cost.model_copy(update={"capital_usd": 900_000_001.0})
    plan = PLAN.model_copy(update={"cost": almost})
    (outcome,) = judge_rules(plan, (parse_rule("capital > 900M"),))
    assert outcome.reason == "capital is 900.000001 M USD; fails if > 900 M USD"


@pytest.mark.parametrize(
    ("text", "message", "marked"),
    [
        ("", "expected METRIC[KEY] > LIMIT", "^"),
        ("> 3", "expected METRIC[KEY] > LIMIT", "^"),
        ("captal > 3", "did you mean `capital`?", "^^^^^^"),
        ("Capital > 3", "did you mean `capital`?", "^^^^^^^"),
        ("zzz > 3", "there are capital,", "^^^"),
        ("capital", "expected one of >=, <=, ==, !=, >, <", "       ^"),
        ("capital 900M", "expected one of", "        ^"),
        ("capital = 3", "did you mean `==`?", "        ^"),
        ("capital => 3", "did you mean `>=`?", "        ^^"),
        ("capital ≥ 3", "did you mean `>=`?", "        ^"),
        ("capital <>< 3", "is not a comparison; expected one of", "        ^^^"),
        ("capital >", "the limit is missing", "         ^"),
        ("capital > lots", "`lots` is not a number", "          ^^^^"),
        ("capital > nan", "`nan` is not a number", "          ^^^"),
        ("capital > inf", "`inf` is not a number", "          ^^^"),
        ("capital > 1e999", "is too large", "          ^^^^^"),
        ("capital > 3Q", "`Q` is not a unit of capital", "           ^"),
        ("capital > 3 and gap > 1", "`and gap > 1` is not a unit", "            ^^^^^^^^^^^"),
        ("recovery_minutes > 3M", "`M` is not a unit", "                    ^"),
        ("gpus > $3", "`$3` is not a number", "       ^^"),
        ("survives < 95", "did you mean 95%?", "           ^^"),
        ("survives < 120%", "is not a share from 0 to 1", "           ^^^^"),
        ("survives < -0.1", "is not a share from 0 to 1", "           ^^^^"),
        ("gap[x] > 1%", "`gap` takes nothing in brackets", "   ^^^"),
        ("gpus[] > 1", "the brackets are empty; expected a cluster or region", "    ^^"),
        ("gpus[west > 1", "the bracket is not closed", "    ^"),
        ('__import__("os")', "there is no metric `__import__`", "^^^^^^^^^^"),
        ("capital > (1)", "`(1)` is not a number", "          ^^^"),
    ],
)
def test_a_wrong_rule_is_reported_with_its_place(text: str, message: str, marked: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_rule(text)
    (problem,) = caught.value.problems
    assert message in problem.message
    *_, shown, mark = problem.message.split("\n")
    assert shown == f"      {text}"
    assert mark == f"      {marked}"


def test_long_and_unprintable_rules_are_shown_safely() -> None:
    with pytest.raises(InputError, match="at most 200 characters, not 10,013"):
        parse_rule("capital > 1" + "0" * 10_002)
    with pytest.raises(InputError) as caught:
        parse_rule("gpus\x1b[31m > 3")
    assert "\x1b" not in str(caught.value)


def test_all_wrong_rules_are_reported_at_once() -> None:
    with pytest.raises(InputError) as caught:
        parse_rules(["captal > 1", "gap > 1%", "survives < 2"])
    assert len(caught.value.problems) == 2


def test_keys_missing_in_the_plan_are_reported() -> None:
    rules = parse_rules(["gpus[wst] > 3", "served[busines] < 1", "capital[gpu] > 1", "gpus > 1"])
    with pytest.raises(InputError) as caught:
        judge_rules(PLAN, rules)
    messages = [problem.message for problem in caught.value.problems]
    assert len(messages) == 3
    assert any(
        "did you mean `west`?\n      gpus[wst] > 3\n           ^^^" in message
        for message in messages
    )
    assert any(
        "`busines` is not a tier of this plan; did you mean `business`?" in m for m in messages
    )
    assert any("`gpu` is not a category of this plan; did you mean `gpus`?" in m for m in messages)


@given(
    st.sampled_from(sorted(METRICS)),
    st.sampled_from(sorted(OPERATORS)),
    st.floats(0, 1, allow_subnormal=False),
)
def test_rules_are_read_as_written(metric: str, sign: str, limit: float) -> None:
    rule = parse_rule(f"{metric} {sign} {limit!r}")
    assert (rule.metric.name, rule.sign, rule.limit) == (metric, sign, limit)
    (outcome,) = judge_rules(PLAN, (rule,))
    assert outcome.value is not None
    assert outcome.failed is OPERATORS[sign](outcome.value, limit)


@given(st.text(max_size=60))
def test_any_text_is_a_rule_or_an_input_error(text: str) -> None:
    try:
        rule = parse_rule(text)
    except InputError as error:
        assert error.problems
    else:
        assert rule.metric.name in text


POLICY = """\
rules:
  - capital > 1B
  - name: business first
    fail_on: served[business] < 99%
    message: The contract promises 99 %.
"""


def test_a_policy_file_is_read_as_rules(tmp_path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(POLICY, encoding="utf-8")
    first, second = read_policy(path)
    assert (first.text, first.name, first.message) == ("capital > 1B", "", "")
    assert (second.name, second.limit, second.line) == ("business first", 0.99, 4)
    assert second.message == "The contract promises 99 %."
    assert second.origin == str(path)
    assert not any(result.failed for result in judge_rules(PLAN, (first, second)))


def test_every_problem_of_a_policy_is_reported_at_once(tmp_path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(
        "rules:\n"
        "  - captal > 3\n"
        "  - name: spend\n"
        "    fail_on: capital > 3Q\n"
        "  - name: spend\n"
        "    fail_on: gap > 1%\n"
        "    mesage: x\n"
        "  - 3\n"
        "  - name: none\n"
        "  - {name: 5, fail_on: gap > 1%}\n"
        "rule: x\n",
        encoding="utf-8",
    )
    with pytest.raises(InputError) as caught:
        read_policy(path)
    lines = {problem.line: problem.message for problem in caught.value.problems}
    assert sorted(lines) == [2, 4, 5, 7, 8, 9, 10, 11]
    assert "did you mean `capital`?" in lines[2]
    assert "`Q` is not a unit" in lines[4]
    assert "`spend` is listed twice" in lines[5]
    assert "did you mean `message`?" in lines[7]
    assert "expected a rule" in lines[8]
    assert "has no `fail_on`" in lines[9]
    assert "expected text" in lines[10]
    assert "did you mean `rules`?" in lines[11]


@pytest.mark.parametrize("text", ["", "- gap > 1%", "rules: []", "rules: {}", "other: 3", "3"])
def test_a_policy_without_rules_is_refused(tmp_path, text: str) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match="rules") as caught:
        read_policy(path)
    assert "regions" not in str(caught.value)


def test_contradictory_figures_of_a_plan_are_reported() -> None:
    assert contradictions(PLAN) == []
    cheaper = PLAN.model_copy(update={"cost": PLAN.cost.model_copy(update={"capital_usd": 1.0})})
    assert contradictions(cheaper) == [
        "cost.capital_usd is 1.00, its lines add up to 900,000,000.00"
    ]
    more = PLAN.gpus[0].model_copy(update={"total": 999})
    assert len(contradictions(PLAN.model_copy(update={"gpus": (more,)}))) == 1
    proof = PLAN.verification.model_copy(update={"survives": True})
    assert contradictions(PLAN.model_copy(update={"verification": proof})) == [
        "verification.survives contradicts the scenarios"
    ]
    twice = {"gpus": (*PLAN.gpus, PLAN.gpus[0]), "scenarios": (*PLAN.scenarios, PLAN.scenarios[0])}
    assert contradictions(PLAN.model_copy(update=twice)) == [
        f"gpus: {PLAN.gpus[0].cluster} is listed twice",
        f"scenarios: {PLAN.scenarios[0].name} is listed twice",
        "verification.judged is 4, of the scenarios listed it is 5",
    ]


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.0, "USD", "0 USD"),
        (1_234.0, "USD", "1,234 USD"),
        (999_950_000.0, "USD", "1,000 M USD"),
        (90e6, "USD/year", "90 M USD a year"),
        (17_750.0, "count", "17,750"),
        (123_456.0, "count", "123,456"),
        (286.84, "MW", "286.8 MW"),
        (math.inf, "minutes", "never"),
        (None, "MW", "no value"),
    ],
)
def test_values_are_shown_in_readable_units(value: float | None, unit: Any, text: str) -> None:
    assert shown_value(value, unit) == text
