"""Risk in the objective: CVaR and the worst case against enumeration, limits, budgets, audit."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from commands.conftest import Runs, plan  # noqa: F401
from optimization.drawing import drawn_model
from optimization.enumeration import cheapest
from support import EXACT, model_of, solved

from planner.commands.parameter_types import Money
from planner.errors import AuditError, InputError
from planner.infrastructure.entities import Model
from planner.infrastructure.policies import Policies
from planner.optimization.formulation.build import build
from planner.optimization.formulation.problem import ProblemData
from planner.optimization.formulation.risk import RiskFigures
from planner.optimization.solution.audit import audit
from planner.optimization.solution.costs import risk_of
from planner.optimization.solution.settings import SolverSettings
from planner.optimization.solution.solving import Solution, solve
from planner.scenarios.generators import all_scenarios
from planner.scenarios.standard import emergency_budget_usd
from planner.simulation.verdict import judge

#: Nothing must be served in a failure: what is bought depends on what losses cost.
TRADE_OFF = """
extends: tiny
standard: {region: [], single: [], double: [], common: []}
tiers:
  business: {value_usd_per_1000_requests: 900.0}
generators:
  surge: null
  heat_wave: null
  region: {severity: region, frequency_per_year: 0.08, repair_hours: 24.0}
offers: {cloud: {available_gpus: 0}}
"""


def with_risk(model: Model, **risk: object) -> Model:
    """The model with a risk policy."""
    policies = model.policies
    return model.replace(policies=policies.replace(risk=policies.risk.replace(**risk)))


def audited(model: Model, settings: SolverSettings = EXACT) -> tuple[Solution, RiskFigures]:
    """The optimal plan of a model, passed by the audit, and its risk figures."""
    programme, solution = solved(model, settings)
    items = audit(programme, solution)
    assert sum(item.usd_per_year for item in items) == pytest.approx(solution.objective, rel=1e-7)
    return solution, risk_of(programme, solution)


@pytest.fixture(scope="module")
def trade_off(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """A model in which more GPUs save losses."""
    return model_of(tmp_path_factory.mktemp("risk"), TRADE_OFF)


#: Draws in which a failure costs something to speak of.
COSTLY = (21, 26, 28, 38, 42, 43, 46)


def dear(model: Model) -> Model:
    """The model with nothing that must be served in a failure, and losses that hurt."""
    tiers = {
        name: one.replace(value_usd_per_1000_requests=50.0) for name, one in model.tiers.items()
    }
    return model.replace(tiers=tiers, standard={})


POLICIES = (
    {"kind": "cvar", "alpha": 0.95, "beta": 0.5},
    {"kind": "cvar", "alpha": 0.5, "beta": 0.95},
    {"kind": "worst", "beta": 0.6},
)


class TestEnumeration:
    @pytest.mark.parametrize("risk", POLICIES, ids=["tail", "half", "worst"])
    def test_cost_is_that_of_trying_every_purchase(self, risk: dict[str, object]) -> None:
        differs = Counter[bool]()
        for seed in COSTLY:
            plain = dear(drawn_model(seed))
            model = with_risk(plain, **risk)
            cost, _ = cheapest(model, all_scenarios(model))
            programme = build(ProblemData(model, all_scenarios(model), {}))
            solution = solve(programme, EXACT)
            assert (solution.status == "optimal") == math.isfinite(cost), f"seed {seed}"
            if not math.isfinite(cost):
                continue
            audit(programme, solution)
            assert solution.objective == pytest.approx(cost, rel=1e-6, abs=0.1), f"seed {seed}"
            differs[solved(plain)[1].objective != pytest.approx(cost, rel=1e-6)] += 1
        assert differs[True] >= 5


class TestLimits:
    def test_weight_zero_is_the_expected_cost(self, trade_off: Model) -> None:
        expected, _ = audited(trade_off)
        for kind in ("cvar", "worst"):
            weighed, _ = audited(with_risk(trade_off, kind=kind, beta=0.0))
            assert weighed.objective == pytest.approx(expected.objective, rel=1e-9)

    def test_alpha_zero_is_the_expected_cost(self, trade_off: Model) -> None:
        """As long as a year brings one failure at most, on average."""
        expected, figures = audited(trade_off)
        mean, _ = audited(with_risk(trade_off, kind="cvar", alpha=0.0, beta=0.9))
        assert figures.expected_usd_per_year > 0
        assert mean.objective == pytest.approx(expected.objective, rel=1e-7)

    def test_alpha_close_to_one_is_the_worst(self, trade_off: Model) -> None:
        worst, figures = audited(with_risk(trade_off, kind="worst", beta=0.7))
        tail, _ = audited(with_risk(trade_off, kind="cvar", alpha=0.99, beta=0.7))
        assert tail.objective == pytest.approx(worst.objective, rel=1e-7)
        assert figures.worst_usd_per_year > figures.expected_usd_per_year

    def test_more_weight_buys_better_bad_years(self, trade_off: Model) -> None:
        """Yearly cost with the mean rises, yearly cost with CVaR falls, both for good."""
        means, tails, fleets = [], [], set()
        for beta in (0.0, 0.2, 0.4, 0.6, 0.8, 0.98):
            solution, figures = audited(with_risk(trade_off, kind="cvar", alpha=0.9, beta=beta))
            premium = figures.premium_usd_per_year
            means.append(solution.objective - premium)
            excess = figures.cvar_usd_per_year - figures.expected_usd_per_year
            tails.append(solution.objective - premium + excess)
            fleets.add(tuple(solution.fleet.gpus.values()))
        assert means == pytest.approx(sorted(means), rel=1e-9)
        assert tails == pytest.approx(sorted(tails, reverse=True), rel=1e-9)
        assert len(fleets) > 1

    def test_failures_without_cost_do_not_dilute_the_risk(self, trade_off: Model) -> None:
        risky = with_risk(trade_off, kind="cvar", alpha=0.9)
        one = next(one for one in all_scenarios(risky) if one.name == "region-west")
        often = {"often": {**one.model_dump(), "frequency_per_year": 0.0}}
        chiller = {
            "severity": "single",
            "frequency_per_year": 50.0,
            "events": [{"kind": "largest-units", "plant": "west-chillers", "repair_minutes": 60.0}],
        }
        before, figures = audited(risky)
        after, more = audited(risky.replace(scenarios={"chiller": chiller | {"name": "chiller"}}))
        assert after.objective == pytest.approx(before.objective, rel=1e-9)
        assert more.cvar_usd_per_year == pytest.approx(figures.cvar_usd_per_year, rel=1e-9)
        never = often["often"] | {"name": "often"}
        same, _ = audited(risky.replace(scenarios={"often": never}))
        assert same.objective == pytest.approx(before.objective, rel=1e-9)


class TestAudit:
    def test_a_solution_within_a_wide_gap_is_settled(self, trade_off: Model) -> None:
        audited(with_risk(trade_off, kind="cvar", alpha=0.9), SolverSettings(gap=0.5))
        audited(with_risk(trade_off, kind="worst"), SolverSettings(gap=0.5))

    def test_a_premium_that_is_too_low_is_found(self, trade_off: Model) -> None:
        programme, solution = solved(with_risk(trade_off, kind="cvar", alpha=0.9))
        assert programme.risk.quantile is not None
        name = programme.risk.quantile.name
        lower = {**solution.values, name: solution.values[name] - 0.01}
        with pytest.raises(AuditError, match="tail_cost"):
            audit(programme, replace(solution, values=lower))

    def test_an_objective_without_its_premium_is_found(self, trade_off: Model) -> None:
        programme, solution = solved(with_risk(trade_off, kind="worst"))
        premium = risk_of(programme, solution).premium_usd_per_year
        assert premium > 0
        with pytest.raises(AuditError, match="recomputed"):
            audit(programme, replace(solution, objective=solution.objective - premium))


class TestBudgets:
    def model(self, tiny: Model, **budgets: object) -> Model:
        """The two-region model with budgets of its own for some failures."""
        return tiny.replace(finance=tiny.finance.replace(emergency_budget_usd=2e6, **budgets))

    def test_a_budget_of_a_scenario_goes_before_that_of_its_class(self, tiny) -> None:
        model = self.model(tiny.model, emergency_budget_by_class_usd={"region": 5.0})
        terms = model.generators.heat_wave
        assert terms is not None
        families = model.generators.replace(heat_wave=terms.replace(emergency_budget_usd=7.0))
        model = model.replace(generators=families)
        found = {one.name: emergency_budget_usd(model, one) for one in all_scenarios(model)}
        assert found["region-west"] == 5.0
        assert found["heat-wave-east"] == 7.0
        assert found["surge"] == 2e6

    def test_programme_audit_and_simulation_hold_to_it(self, tiny) -> None:
        """Losing the west is bridged by the cloud for 50,000 USD, if that may be spent."""
        free, _ = audited(tiny.model)
        tight = self.model(tiny.model, emergency_budget_by_class_usd={"region": 10_000.0})
        bound, _ = audited(tight)
        assert bound.objective > free.objective
        programme = build(ProblemData(tight, all_scenarios(tight), {}))
        with pytest.raises(AuditError, match="emergency spend"):
            audit(programme, solve_free(tiny.model))
        west = tuple(one for one in all_scenarios(tight) if one.name == "region-west")
        (verdict,) = judge(tight, free.fleet, west, stories=False)
        assert "budget" in {breach.kind for breach in verdict.breaches}
        (verdict,) = judge(tiny.model, free.fleet, west, stories=False)
        assert "budget" not in {breach.kind for breach in verdict.breaches}

    def test_enumeration_agrees_on_budgets_of_classes(self) -> None:
        found = 0
        for seed in range(14):
            model = drawn_model(seed)
            finance = model.finance.replace(emergency_budget_by_class_usd={"region": 2000.0})
            model = model.replace(finance=finance)
            cost, _ = cheapest(model, all_scenarios(model))
            solution = solve(build(ProblemData(model, all_scenarios(model), {})), EXACT)
            assert (solution.status == "optimal") == math.isfinite(cost), f"seed {seed}"
            if math.isfinite(cost):
                found += 1
                assert solution.objective == pytest.approx(cost, rel=1e-6, abs=0.1), f"seed {seed}"
        assert found


def solve_free(model: Model) -> Solution:
    """Optimal solution of a model with its own budgets."""
    return solved(model)[1]


class TestInput:
    @pytest.mark.parametrize("value", ["1", "-0.1", "nan", "inf", "much"])
    def test_wrong_alpha_is_bad_input(self, plan: Runs, value: str) -> None:  # noqa: F811
        ran = plan("optimize", "tiny", "-q", "--risk", "cvar", "--alpha", value)
        assert ran.code == 2
        assert "alpha" in ran.err
        assert not ran.out

    @pytest.mark.parametrize(
        "arguments",
        [("--alpha", "0.9"), ("--risk", "worst", "--alpha", "0.9"), ("--beta", "0.5")],
    )
    def test_settings_without_their_measure(
        self,
        plan: Runs,  # noqa: F811
        arguments: tuple[str, ...],
    ) -> None:
        ran = plan("optimize", "tiny", "-q", *arguments)
        assert ran.code == 2
        assert "needs --risk" in ran.err

    @pytest.mark.parametrize("setting", ["alpha=1", "beta=1", "alpha=-0.5", "kind=best"])
    def test_wrong_policy_in_a_model(self, tmp_path: Path, setting: str) -> None:
        with pytest.raises(InputError, match=r"policies\.risk"):
            model_of(tmp_path, "extends: tiny\n", f"policies.risk.{setting}")

    @pytest.mark.parametrize(
        ("text", "usd"),
        [("400M", 4e8), ("1.2B", 1.2e9), ("400e6", 4e8), ("250k", 2.5e5), (".5m", 5e5), ("7", 7)],
    )
    def test_amounts_of_money_are_read_with_their_unit(self, text: str, usd: float) -> None:
        assert Money().convert(text, None, None) == pytest.approx(usd, rel=1e-12)

    @pytest.mark.parametrize("text", ["", "-4M", "1.2X", "nan", "M", "1e999", "1 M"])
    def test_wrong_amounts_of_money_are_refused(self, plan: Runs, text: str) -> None:  # noqa: F811
        ran = plan("optimize", "tiny", "-q", "--capital-budget", text)
        assert ran.code == 2

    def test_plan_says_what_it_weighs(self, plan: Runs) -> None:  # noqa: F811
        ran = plan(
            *("optimize", "tiny", "-q", "--json", "--risk", "cvar", "--alpha", "0.9"),
            *("--emergency-budget", "3M", "--capital-budget", "1B"),
        )
        assert ran.code == 0
        risk = ran.json["risk"]
        assert (risk["kind"], risk["alpha"], risk["beta"]) == ("cvar", 0.9, 0.5)
        excess = risk["cvar_usd_per_year"] - risk["expected_usd_per_year"]
        (item,) = [one for one in ran.json["cost"]["items"] if one["category"] == "risk"]
        assert item["usd_per_year"] == pytest.approx(0.5 * excess, abs=0.02)
        total = sum(one["usd_per_year"] for one in ran.json["cost"]["items"])
        assert total == pytest.approx(ran.json["objective_usd_per_year"], rel=1e-8)
        overrides = ran.json["model"]["overrides"]
        assert "finance.emergency_budget_usd=3000000.0" in overrides

    def test_capital_budget_that_is_too_small(self, plan: Runs) -> None:  # noqa: F811
        fewer = ("simulation.horizon_minutes=130", "generators.heat_wave=null")
        settings = [part for setting in fewer for part in ("--set", setting)]
        assert plan("optimize", "tiny", "-q", "--capital-budget", "400k", *settings).code == 3

    def test_terminal_says_what_bad_years_cost(self, plan: Runs) -> None:  # noqa: F811
        ran = plan("optimize", "tiny", "-q", "--risk", "cvar")
        assert "risk premium" in ran.out
        assert "CVaR 95 %" in ran.out.replace("\n", " ")


def test_default_is_the_expected_cost() -> None:
    assert Policies().risk.kind == "expected"
