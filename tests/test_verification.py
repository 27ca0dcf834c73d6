"""The loop: plans that the programme believes in and the simulation does not, until both agree.

Each small model is one in which the programme is honestly mistaken: it knows nothing of load
balancers that act late on arrivals, of operators who shed late, of plants that share their cooling
in proportion.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from support import SHED_LATE, model_of, solved, verdict_of

import planner.verification
from planner.errors import AuditError, SolverError
from planner.infrastructure.entities import Model
from planner.infrastructure.loading import LoadedModel, load_model
from planner.optimization.formulation.families import Family
from planner.optimization.formulation.programme import Programme
from planner.optimization.solution.audit import audit
from planner.optimization.solution.costs import CostItem
from planner.optimization.solution.settings import SolverSettings
from planner.optimization.solution.solving import Solution
from planner.rounds import LoopResult
from planner.scenarios.generators import all_scenarios
from planner.simulation.verdict import Breach, BreachKind, Verdict, judge
from planner.verification import optimize_and_verify

EXACT = SolverSettings(gap=0.0)

#: When the near region is lost, 400 requests/s have no GPUs. The standard wants them served from
#: minute 35, when the cloud arrives; load balancers send nobody there before 39.
LOST = """
regions: {near: {power_limit_mw: 100}, far: {power_limit_mw: 100}}
gpus: {gpu: {power_mw: 0.0, static_share: 0.5, rps: 1.0, capital_usd: 30000.0}}
clusters:
  first: {region: near, gpu: gpu, existing_gpus: 600, max_gpus: 600, max_utilisation: 1.0}
  second: {region: far, gpu: gpu, existing_gpus: 600, block_gpus: 50, max_gpus: 1200,
           max_utilisation: 1.0}
tiers: {everyone: {priority: 1, share: 1.0, value_usd_per_1000_requests: 100.0}}
zones: {users: {demand_rps: 1000.0, latency_ms: {near: 1.0, far: 50.0}}}
offers:
  cloud: {provider: cloudy, gpus_per_instance: 10, available_gpus: 1000, lead_time_minutes: 20,
          usd_per_instance_hour: 30.0, retainer_usd_per_instance_year: 1000.0, rps_per_gpu: 1.0}
operations: {detection_minutes: 5, response_minutes: 10, failover_minutes: 4,
             queue_limit_requests: 0}
finance: {emergency_budget_usd: 1.0e+9}
standard:
  region:
    - {tier: all, from_minute: 5, least_served: 0.6}
    - {tier: all, from_minute: 35, least_served: 0.9}
scenarios:
  loss: {severity: region, frequency_per_year: 0.01,
         events: [{kind: region, name: near, repair_minutes: 300}]}
simulation: {horizon_minutes: 200}
"""

#: What is left suffices at first: demand outgrows it after two hours, and only then the cloud is
#: ordered. The programme believes that it is there long before.
LATE = LOST.replace("demand_rps: 1000.0", "demand_rps: 600.0").replace(
    "repair_minutes: 300}]",
    "repair_minutes: 300}, {kind: surge, factor: 1.5, at_minute: 120, repair_minutes: 180}]",
)

#: The far region suffices for everybody, if the requests that failover brings find warm caches.
COLD = (
    re.sub(r"offers:.*?operations:", "operations:", LOST, flags=re.DOTALL)
    .replace("demand_rps: 1000.0", "demand_rps: 600.0")
    .replace("least_served: 0.6", "least_served: 1.0")
)

#: Two of ten chillers are lost and fans need ten minutes. The programme lets the room that warms
#: slowly take up what is missing; the plant shares its cooling in proportion, so both warm.
HEAT = """
regions: {here: {power_limit_mw: 100}}
gpus: {gpu: {power_mw: 0.01, static_share: 0.5, rps: 1.0}}
clusters:
  quick: {region: here, gpu: gpu, existing_gpus: 500, max_gpus: 500, max_utilisation: 1.0,
          capacitance_mj_per_k_per_mw: 6.0}
  slow: {region: here, gpu: gpu, existing_gpus: 500, max_gpus: 500, max_utilisation: 1.0,
         capacitance_mj_per_k_per_mw: 24.0}
cooling_units:
  chiller: {capacity_mw: 1.0, capital_usd: 500000.0}
  fan: {capacity_mw: 1.0, mode: standby, start_minutes: 10}
plants:
  chillers: {region: here, cools: [quick, slow], existing: {chiller: 10}, options: [chiller],
             max_added: 5}
  fans: {region: here, cools: [quick, slow], role: emergency, existing: {fan: 8}}
tiers: {everyone: {priority: 1, share: 1.0, value_usd_per_1000_requests: 1.0}}
zones: {users: {demand_rps: 1000.0, latency_ms: {here: 1.0}}}
operations: {detection_minutes: 5, response_minutes: 10, failover_minutes: 4}
standard: {single: [{tier: all, from_minute: 5, least_served: 0.99}]}
scenarios:
  loss: {severity: single, frequency_per_year: 0.1,
         events: [{kind: units, plant: chillers, unit: chiller, count: 2, repair_minutes: 300}]}
simulation: {horizon_minutes: 200}
"""


def loop(model: Model, settings: SolverSettings = EXACT, rounds: int = 12) -> LoopResult:
    return optimize_and_verify(model, all_scenarios(model), settings, rounds)


def breach(kind: BreachKind, **fields: object) -> Breach:
    values = {"subject": "x", "minute": 5, "until_minute": 9, "value": 0.5, "required": 1.0}
    return Breach(kind, **(values | {"shortfall": 0.5} | fields))  # type: ignore[arg-type]


def verdict(*breaches: Breach) -> Verdict:
    """Outcome of a loss with these breaches."""
    return verdict_of("loss", "fails" if breaches else "survives", breaches)


class TestFirstPlanFailsAndLastSurvives:
    @pytest.fixture(scope="class", params=["late", "demand", "heat"])
    @staticmethod
    def outcome(
        request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
    ) -> LoopResult:
        text = {"late": LATE, "demand": SHED_LATE, "heat": HEAT}[request.param]
        return loop(model_of(tmp_path_factory.mktemp("loop"), text))

    def test_first_fails_and_last_survives(self, outcome: LoopResult) -> None:
        assert len(outcome.rounds) > 1
        assert outcome.rounds[0].failed == ("loss",)
        assert outcome.rounds[-1].failed == ()
        assert outcome.best is outcome.rounds[-1]
        assert outcome.survives
        assert outcome.diagnosis is None
        assert not outcome.timed_out

    def test_every_round_is_on_record(self, outcome: LoopResult) -> None:
        assert [one.number for one in outcome.rounds] == list(range(1, len(outcome.rounds) + 1))
        records = [one.record() for one in outcome.rounds]
        assert [record.failed for record in records] == [one.failed for one in outcome.rounds]
        assert records[0].searched == 0
        assert records[-1].searched > 0

    def test_what_was_short_is_on_record(self, outcome: LoopResult) -> None:
        assert {cut.scenario for cut in outcome.learned} == {"loss"}
        assert all(gain.share > 0 for cut in outcome.learned for gain in cut.gains)


class TestLazyAudit:
    def test_of_all_plans_only_the_best_is_audited_and_once(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        audited = []

        def counted(programme: Programme, solution: Solution) -> tuple[CostItem, ...]:
            audited.append(solution.objective)
            return audit(programme, solution)

        monkeypatch.setattr(planner.verification, "audit", counted)
        outcome = loop(model_of(tmp_path, SHED_LATE))
        assert outcome.best is not None
        assert len(outcome.rounds) > 1
        assert audited == [outcome.best.solution.objective]
        assert outcome.best.items == outcome.best.items
        assert len(audited) == 1

    def test_no_plan_that_the_audit_refuses_leaves_the_loop(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refused(*_: object) -> tuple[CostItem, ...]:
            raise AuditError("refused")

        monkeypatch.setattr(planner.verification, "audit", refused)
        with pytest.raises(AuditError, match="refused"):
            loop(model_of(tmp_path, SHED_LATE))

    def test_what_recourse_adds_later_is_not_held_against_a_plan(self, tmp_path: Path) -> None:
        model = model_of(tmp_path, SHED_LATE)
        programme, solution = solved(model)
        then, size = programme.until_now(), len(programme.problem.constraints)
        added = programme.variable("later", low=1.0)
        programme.define(added <= 0.5, Family.THRESHOLD, "later")
        assert len(then.problem.constraints) == size < len(programme.problem.constraints)
        assert added.name not in {variable.name for variable in then.problem.variables}
        audit(then, solution)
        with pytest.raises(AuditError):
            audit(programme, replace(solution, values=solution.values | {added.name: 1.0}))


class TestCauses:
    """What is bought is what the simulation says helps, and no more of it."""

    def test_the_cloud_that_comes_too_late_is_not_bought(self, tmp_path: Path) -> None:
        """Short at 120, ordered at 121, there at 141, used at 145 instead of 35."""
        outcome = loop(model_of(tmp_path, LATE))
        assert outcome.survives
        first, last = outcome.rounds[0].solution.fleet, outcome.rounds[-1].solution.fleet
        # 810 of 900 requests/s: cloud for 210 at first, GPUs of one's own in the end.
        assert (first.gpus["second"], first.instances["cloud"]) == (600, 21)
        assert (last.gpus["second"], last.instances["cloud"]) == (850, 0)

    @pytest.mark.parametrize(("minute", "gpus", "instances"), [(38, 900, 0), (39, 600, 30)])
    def test_when_load_balancers_know_of_the_cloud_is_known_beforehand(
        self, tmp_path: Path, minute: int, gpus: int, instances: int
    ) -> None:
        outcome = loop(model_of(tmp_path, LOST.replace("minute: 35", f"minute: {minute}")))
        assert len(outcome.rounds) == 1
        assert outcome.survives
        fleet = outcome.rounds[0].solution.fleet
        assert (fleet.gpus["second"], fleet.instances["cloud"]) == (gpus, instances)

    def test_scarcity_is_answered_by_as_much_as_was_short(self, tmp_path: Path) -> None:
        """An equal share of nine tenths takes 900 GPUs, and no more are bought."""
        best = loop(model_of(tmp_path, SHED_LATE)).best
        assert best is not None
        assert best.solution.fleet.gpus["second"] == 900

    def test_overheating_is_answered_by_cooling(self, tmp_path: Path) -> None:
        outcome = loop(model_of(tmp_path, HEAT))
        assert outcome.rounds[0].verdicts[0].throttled_minutes
        assert not outcome.rounds[-1].failed
        assert outcome.rounds[-1].solution.fleet.units["chillers"]["chiller"] == 11

    def test_a_plan_that_overspends_in_simulation_is_made_to_spend_less(
        self, tiny: LoadedModel
    ) -> None:
        model = tiny.model.replace(finance=tiny.model.finance.replace(emergency_budget_usd=47600.0))
        outcome = loop(model, SolverSettings(gap=1e-4))
        assert "budget" in {b.kind for v in outcome.rounds[0].verdicts for b in v.breaches}
        assert outcome.survives

    def test_what_no_purchase_changes_ends_the_loop(self, tmp_path: Path) -> None:
        """A standard from minute 0 cannot be met by load balancers that take four minutes."""
        outcome = loop(model_of(tmp_path, LOST.replace("from_minute: 5", "from_minute: 0")))
        assert len(outcome.rounds) == 1
        (left,) = outcome.rounds[0].verdicts[0].breaches
        assert (left.minute, left.until_minute, left.cause) == (0, 3, "routing")
        assert not outcome.survives
        assert outcome.diagnosis is None
        assert not outcome.timed_out


class TestEnds:
    def test_infeasible_keeps_the_best_plan_and_says_why(self, tmp_path: Path) -> None:
        # No room for GPUs in the far region: only the cloud can help, and it comes too late.
        outcome = loop(model_of(tmp_path, LATE.replace("max_gpus: 1200", "max_gpus: 600")))
        assert len(outcome.rounds) == 1
        assert outcome.best is outcome.rounds[0]
        assert not outcome.survives
        assert outcome.diagnosis is not None
        assert [one.family for one in outcome.diagnosis.shortfalls] == ["simulated_cut"]
        assert [one.family for one in outcome.diagnosis.limits] == ["max_gpus"]
        assert outcome.diagnosis.round == 2
        lines = "\n".join(outcome.diagnosis.lines())
        assert "make up for what all tiers together were short of in simulation" in lines
        assert "GPUs that second can hold" in lines

    def test_nothing_feasible_at_all(self, tmp_path: Path) -> None:
        text = LOST.replace("max_gpus: 1200", "max_gpus: 600").replace(
            "available_gpus: 1000", "available_gpus: 10"
        )
        model = model_of(tmp_path, text)
        outcome = loop(model)
        assert outcome.rounds == ()
        assert outcome.best is None
        assert not outcome.survives
        assert outcome.diagnosis is not None
        with pytest.raises(ValueError, match="no plan"):
            outcome.plan(LoadedModel(model, "model", "", ()), EXACT)

    def test_one_round_is_the_plan_of_the_programme(self, tmp_path: Path) -> None:
        outcome = loop(model_of(tmp_path, SHED_LATE), rounds=1)
        assert len(outcome.rounds) == 1
        assert not outcome.survives
        assert outcome.diagnosis is None
        assert not outcome.timed_out

    def test_nothing_to_survive(self, tmp_path: Path) -> None:
        model = model_of(tmp_path, LATE).replace(scenarios={})
        outcome = loop(model)
        assert len(outcome.rounds) == 1
        assert outcome.survives

    def test_every_round_is_reported_as_it_ends(self, tmp_path: Path) -> None:
        seen: list[int] = []
        model = model_of(tmp_path, HEAT)
        outcome = optimize_and_verify(
            model, all_scenarios(model), EXACT, on_round=lambda one: seen.append(one.number)
        )
        assert seen == [one.number for one in outcome.rounds]


class Clock:
    """A clock that stands still until it is put forward."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        fake = SimpleNamespace(monotonic=lambda: self.now)
        monkeypatch.setattr("planner.optimization.solution.deadline.time", fake)

    def forward(self, seconds: float) -> None:
        self.now += seconds


class TestTimeLimit:
    SETTINGS = SolverSettings(gap=0.0, time_limit_seconds=60.0)

    def test_is_for_all_rounds_together(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        clock, model = Clock(monkeypatch), model_of(tmp_path, SHED_LATE)
        outcome = optimize_and_verify(
            model, all_scenarios(model), self.SETTINGS, on_round=lambda _: clock.forward(61)
        )
        assert len(outcome.rounds) == 1
        assert outcome.timed_out
        assert not outcome.survives

    def test_a_plan_that_survives_is_not_spoilt_by_the_clock(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        clock = Clock(monkeypatch)
        model = model_of(tmp_path, LATE).replace(scenarios={})
        outcome = optimize_and_verify(
            model, all_scenarios(model), self.SETTINGS, on_round=lambda _: clock.forward(61)
        )
        assert outcome.survives
        assert not outcome.timed_out

    def test_earlier_plans_outlive_a_solver_that_runs_out_of_time(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        clock = Clock(monkeypatch)

        def late(*_: object) -> Solution:
            clock.forward(61)
            raise SolverError("stopped without a plan or a proof")

        monkeypatch.setattr("planner.below.solve", late)
        outcome = loop(model_of(tmp_path, SHED_LATE), self.SETTINGS)
        assert len(outcome.rounds) == 1
        assert outcome.timed_out

    def test_a_solver_that_fails_for_another_reason_is_an_error(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken(*_: object) -> Solution:
            raise SolverError("broken")

        monkeypatch.setattr(planner.verification, "solve", broken)
        with pytest.raises(SolverError, match="broken"):
            loop(model_of(tmp_path, SHED_LATE))


def test_same_input_same_plan_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    path = tmp_path / "model.yaml"
    path.write_text(HEAT, encoding="utf-8")

    def written() -> str:
        loaded = load_model(path)
        outcome = loop(loaded.model, SolverSettings())
        data = json.loads(outcome.plan(loaded, SolverSettings()).to_json())
        assert data["created"].startswith("2023-11-14T22:13:20")
        data["solver"]["seconds"] = 0
        return json.dumps(data)

    assert written() == written()


def test_plan_of_a_failed_loop_says_that_it_does_not_survive(tmp_path: Path) -> None:
    path = tmp_path / "model.yaml"
    path.write_text(SHED_LATE, encoding="utf-8")
    loaded = load_model(path)
    plan = loop(loaded.model, rounds=1).plan(loaded, EXACT)
    assert not plan.verification.survives
    assert [one.round for one in plan.verification.rounds] == [1]
    (line,) = plan.scenarios
    assert line.first_breach is not None
    assert "high 60.0 % served at minute 5, 90.0 % required" in line.first_breach.text


@pytest.mark.parametrize(("factor", "bought"), [(1.0, 0), (1.5, 300)])
def test_cold_caches_make_survivors_need_more_than_was_lost(
    factor: float, bought: int, tmp_path: Path
) -> None:
    """600 requests/s of 1.5 times the work take 900 GPUs, less what has warmed up by minute 5."""
    model = model_of(tmp_path, COLD, f"operations.cold_cache_factor={factor}")
    found = optimize_and_verify(model, all_scenarios(model), EXACT).best
    assert found is not None
    fleet = found.solution.fleet
    assert (fleet.gpus["second"] - 600, found.failed) == (bought, ())
    fewer = replace(fleet, gpus={**fleet.gpus, "second": fleet.gpus["second"] - 50})
    if bought:
        assert judge(model, fewer, all_scenarios(model))[0].fails
