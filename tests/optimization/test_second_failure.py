"""Failures one after another in the programme: the clock of the standard, and who has reacted."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest
from optimization.test_stages import SITE, changed, plan, problem_data_of, scenario
from support import EXACT, model_of

from planner.infrastructure.entities import Model
from planner.infrastructure.loading import load_model
from planner.optimization.solution.audit import audit
from planner.rounds import LoopResult
from planner.verification import optimize_and_verify

TINY = load_model("tiny").model
LATE = load_model(
    "tiny", ("standard.common=[{tier: each, from_minute: 60, least_served: 1.0}]",)
).model
SURGE = {"kind": "surge", "factor": 1.6, "repair_minutes": 600.0}
LOSS = {"kind": "region", "name": "west", "repair_minutes": 300.0}
KIND: dict[str, Any] = {"severity": "region", "frequency_per_year": 0.05}
CALM = {"kind": "surge", "factor": 1.0, "repair_minutes": 1.0}
#: A spare unit of a plant that keeps one.
SPARE = {"kind": "largest-units", "plant": "east-chillers", "repair_minutes": 2000.0}


def survivor(model: Model, *events: dict[str, Any], **fields: Any) -> LoopResult:
    outcome = optimize_and_verify(model, (scenario(*events, **fields),), EXACT)
    assert outcome.survives
    assert outcome.best is not None
    return outcome


def cost(model: Model, *events: dict[str, Any], **fields: Any) -> float:
    best = survivor(model, *events, **fields).best
    assert best is not None
    return best.solution.objective


@cache
def alone(what: str) -> float:
    """Cost of surviving a failure that comes alone at minute 0."""
    if what == "surge":
        return cost(LATE, SURGE, severity="common")
    return cost(TINY, LOSS, **KIND)


class TestTwins:
    """The same failure at another minute costs the same."""

    @pytest.mark.parametrize("first", [CALM, SPARE], ids=["surge by nothing", "spare unit"])
    @pytest.mark.parametrize("at", [45.0, 120.0])
    def test_a_region_lost_after_another_failure_is_planned_for(
        self, first: dict[str, Any], at: float
    ) -> None:
        later = LOSS | {"at_minute": at}
        assert cost(TINY, first, later, **KIND) == pytest.approx(alone("region"), rel=1e-9)

    @pytest.mark.parametrize("at", [33.0, 60.0])
    def test_a_surge_after_a_failure_is_planned_for(self, at: float) -> None:
        later = SURGE | {"at_minute": at}
        assert cost(LATE, later, severity="common") == pytest.approx(alone("surge"), rel=1e-4)

    def test_harmless_events_do_not_restart_the_clock_of_the_standard(self) -> None:
        """The last floor holds from 120 on, whatever else pretends to happen before."""
        calm = [CALM | {"at_minute": 40.0 * number} for number in range(1, 6)]
        outcome = survivor(TINY, LOSS, *calm, **KIND)
        assert outcome.best is not None
        stages = outcome.best.programme.data.stages
        assert max(stage.floors.get("free", 0.0) for stage in stages) == 1.0


class TestGpusLeftOff:
    """Ten chillers for ten megawatts; three are lost at 0, two more at 60; four would do.

    A room takes up 6,000 MJ. Three megawatts too many for 15 minutes are 2,700; then 700 GPUs are
    on, of which 200 too many for 15 minutes are 1,800.
    """

    @pytest.fixture
    def site(self, tmp_path: Path) -> Model:
        model = changed(model_of(tmp_path, SITE), "zones", "users", demand_rps=400.0)
        return changed(model, "clusters", "site", capacitance_mj_per_k_per_mw=60.0)

    @staticmethod
    def losses(count: int) -> list[dict[str, Any]]:
        loss = {"kind": "units", "plant": "chillers", "unit": "chiller", "repair_minutes": 2000.0}
        return [loss | {"count": 3}, loss | {"count": count, "at_minute": 60.0}]

    def test_gpus_switched_off_stay_off_after_a_second_failure(self, site: Model) -> None:
        best = survivor(site, *self.losses(2)).best
        assert best is not None
        assert best.number == 1
        assert best.solution.fleet.units["fans"] == {"fan": 0}

    def test_no_more_gpus_are_switched_off_before_the_next_reaction(self, site: Model) -> None:
        """700 on 0 megawatts for 15 minutes are 6,300 MJ, 300 too many: n·900 ≥ 300."""
        site = changed(site, "zones", "users", demand_rps=1.0)
        programme, solution = plan(problem_data_of(site, *self.losses(7)))
        assert solution.fleet.units["fans"] == {"fan": 1}
        audit(programme, solution)

    def test_stages_state_whether_operators_have_reacted(self, site: Model) -> None:
        data = problem_data_of(site, *self.losses(2))
        found = [(stage.start_minute, stage.reacted) for stage in data.stages]
        found = [(minute, reacted) for minute, reacted in found if minute % 15 == 0]
        assert found[:4] == [(0.0, False), (15.0, True), (60.0, False), (75.0, True)]
        assert data.resumed == {"case/3", "case/4"}
