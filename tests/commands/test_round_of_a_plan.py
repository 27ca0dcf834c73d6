"""What a plan states of the round that made it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from planner.amounts import money
from planner.infrastructure.loading import load_model
from planner.plan.consistency import contradictions
from planner.plan.files import parse_plan
from planner.plan.records import Plan, RoundRecord, WaivedRecord
from planner.reporting.plans import show_plan, survivor_note
from planner.rounds import LoopResult


@pytest.fixture
def made_in_second_round(tiny_plan: Path) -> Plan:
    """A plan of the second of three rounds: the third fails in more scenarios again."""
    rounds = tuple(
        RoundRecord(
            round=number,
            objective_usd_per_year=1e6 * number,
            failed=failed,
            waived=(
                WaivedRecord(family="x", subject="y", scenario="z", text=f"waived in {number}"),
            ),
        )
        for number, failed in enumerate([("a", "b"), ("a",), ("a", "b")], 1)
    )
    plan = parse_plan(tiny_plan)
    proof = plan.verification.model_copy(update={"rounds": rounds})
    return plan.model_copy(update={"verification": proof, "round": 2})


def test_cost_beside_the_first_is_that_of_the_round_that_made_the_plan(made_in_second_round: Plan):
    assert made_in_second_round.more_than_first_usd_per_year == 1e6
    first = made_in_second_round.model_copy(update={"round": 1})
    assert first.more_than_first_usd_per_year is None


def test_output_names_the_round_that_made_the_plan(
    made_in_second_round: Plan, capsys: pytest.CaptureFixture[str]
):
    model = load_model("tiny").model
    show_plan(made_in_second_round, model, LoopResult(()), as_json=False)
    told = re.sub(r"\s+", " ", capsys.readouterr().out)
    assert "this one costs 1.00 M USD a year more" in told
    assert "waived in 2" in told
    assert "waived in 3" not in told


@pytest.mark.parametrize(
    ("share", "told"),
    [
        (1.0, "is the cheapest to 0.01 %"),
        (0.8, "is at most 25.00 % above the cheapest"),
        (0.0, "costs at most {} a year more than the cheapest"),
        (-0.5, "costs at most"),
    ],
)
def test_how_far_above_the_cheapest_counts_from_the_bound(tiny_plan: Path, share: float, told: str):
    plan = parse_plan(tiny_plan)
    cost = plan.objective_usd_per_year
    proof = plan.verification.model_copy(update={"survivor_bound_usd_per_year": share * cost})
    note = survivor_note(plan.model_copy(update={"verification": proof}))
    assert note.partition("this one ")[2].startswith(told.format(money(cost)))


def test_a_bound_that_was_not_worked_out_is_said_to_be_missing(tiny_plan: Path):
    plan = parse_plan(tiny_plan)
    proof = plan.verification.model_copy(update={"survivor_bound_usd_per_year": None})
    unknown = plan.model_copy(update={"verification": proof})
    assert survivor_note(unknown).endswith("above the cheapest of them is not known.")
    failing = proof.model_copy(update={"survives": False})
    assert not survivor_note(unknown.model_copy(update={"verification": failing}))
    assert not survivor_note(unknown.model_copy(update={"method": "rule-of-thumb"}))


def test_a_plan_that_fails_may_cost_less_than_any_that_survives(tiny_plan: Path):
    plan = parse_plan(tiny_plan)
    bound = 2 * plan.objective_usd_per_year
    proof = plan.verification.model_copy(update={"survivor_bound_usd_per_year": bound})
    survives = plan.model_copy(update={"verification": proof})
    assert "a lower bound on the cost is above the cost" in set(contradictions(survives))
    fails = survives.model_copy(
        update={"verification": proof.model_copy(update={"survives": False})}
    )
    assert "a lower bound on the cost is above the cost" not in set(contradictions(fails))
