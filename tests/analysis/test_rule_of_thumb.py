"""The plan by rule of thumb follows its rule, survives where it can, and claims no proof."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from commands.conftest import Runs, plan  # noqa: F401
from optimization.drawing import drawn_model
from support import EXACT, model_of, solved

from planner.analysis.rule_of_thumb.rule import RuleOfThumbPlan, plan_by_rule_of_thumb
from planner.infrastructure.entities import Model
from planner.infrastructure.fleet import Fleet
from planner.infrastructure.loading import LoadedModel
from planner.optimization.formulation.problem import ProblemData
from planner.optimization.solution.audit_purchases import check_purchases
from planner.optimization.solution.settings import SolverSettings
from planner.optimization.solution.stage_values import firm_mw
from planner.scenarios.generators import all_scenarios
from planner.simulation.verdict import judge

#: Without failures that no rule here speaks of, and no longer than until cloud has come.
ENDS = "simulation: {horizon_minutes: 150.0}\n"
SHORT = f"extends: tiny\n{ENDS}generators: {{heat_wave: null, surge: null, provider: null}}\n"
ROOMY = (
    SHORT
    + """
regions: {west: {power_limit_mw: 60.0}, east: {power_limit_mw: 60.0}}
clusters: {west-gpus: {max_gpus: 9000}, east-gpus: {max_gpus: 9000}}
plants: {west-chillers: {max_added: 60}, east-chillers: {max_added: 60}}
"""
)
NORTH = """
regions:
  north: {power_limit_mw: 12.0, candidate: true, fixed_usd: 1000000.0}
  south: {power_limit_mw: 12.0, candidate: true, fixed_usd: 9000000.0}
clusters:
  north-gpus: {region: north, gpu: accelerator, block_gpus: 100, max_gpus: 2000}
  south-gpus: {region: south, gpu: accelerator, block_gpus: 100, max_gpus: 2000}
plants:
  north-chillers: {region: north, cools: [north-gpus], redundancy: 2, options: [chiller-1]}
  south-chillers: {region: south, cools: [south-gpus], redundancy: 2, options: [chiller-1]}
zones:
  west-users: {latency_ms: {north: 40.0, south: 40.0}}
  east-users: {latency_ms: {north: 40.0, south: 40.0}}
"""
#: The loss of all running chillers of a region, in which nobody may go without.
PLANT = (
    f"extends: tiny\n{ENDS}"
    + """
generators: {plant: {severity: single}, heat_wave: null, surge: null, provider: null}
operations: {detection_minutes: 1.0, response_minutes: 1.0, failover_minutes: 1.0}
clusters: {west-gpus: {max_gpus: 1000}, east-gpus: {existing_gpus: 1100, max_gpus: 1100}}
plants:
  east-air: {region: east, cools: [east-gpus], role: emergency, options: [air-1], max_added: 12}
"""
)
#: A sign-in that lets 600 requests/s through in each region, where 1,000 are asked for in all.
SIGN_IN = (
    SHORT
    + """
services:
  sign-in: {plane: service, replicas: {west: 1, east: 1}, needs_replicas: 1, capacity_rps: 600.0}
tiers: {business: {entry: sign-in}, free: {entry: sign-in}}
measures:
  golden: {usd_per_year: 900000.0, replicas: {sign-in: {west: 1, east: 1}}}
  plain: {usd_per_year: 1000.0, replicas: {sign-in: {west: 1, east: 1}}}
  alarms: {operations: {detection_minutes: 1.0}}
"""
)
POOL = (
    SIGN_IN.replace("capacity_rps: 600.0", "connections: 600.0, connection_seconds: 1.0")
    + "  pool: {usd_per_year: 100.0, connections: {sign-in: 500.0}}\n"
)


def thumb(model: Model, hold_largest: bool = False) -> RuleOfThumbPlan:
    """The plan of a model by rule of thumb."""
    return plan_by_rule_of_thumb(model, all_scenarios(model), EXACT, hold_largest=hold_largest)


def fleet_of(found: RuleOfThumbPlan) -> Fleet:
    """What it leads to."""
    return found.outcome.rounds[0].solution.fleet


@pytest.mark.usefixtures("each_simulation_once")
class TestRule:
    def test_rule_grows_regions_in_proportion(self, tmp_path: Path) -> None:
        """1,000 requests/s at 0.95 a GPU take 1,100 GPUs in the east: 400 times 2.75."""
        found = thumb(model_of(tmp_path, ROOMY))
        assert fleet_of(found).gpus == {"west-gpus": 2700, "east-gpus": 1100}
        assert fleet_of(found).instances == {"cloud": 0}
        assert found.survives

    def test_the_largest_region_may_stay_as_it_is(self, tmp_path: Path) -> None:
        """While others have room: 1,000 in the west serve 950 of 1,000 requests/s, 1,100 all."""
        found = thumb(model_of(tmp_path, ROOMY), hold_largest=True)
        assert fleet_of(found).gpus == {"west-gpus": 1100, "east-gpus": 1100}
        assert found.survives
        west = ROOMY.replace("west-gpus: {", "west-gpus: {existing_gpus: 1300, ")
        found = thumb(model_of(tmp_path, west), hold_largest=True)
        assert fleet_of(found).gpus == {"west-gpus": 1300, "east-gpus": 1100}

    def test_what_cannot_be_built_is_reserved_in_the_cloud(self, tmp_path: Path) -> None:
        text = SHORT + "clusters: {east-gpus: {max_gpus: 600}}\n"
        found = thumb(model_of(tmp_path, text))
        # 1,000 − 600·0.95 requests/s by instances of 8 GPUs at 1 request/s.
        assert fleet_of(found).gpus["east-gpus"] == 600
        assert fleet_of(found).instances == {"cloud": 54}

    def test_candidates_stay_shut_while_others_hold(self, tmp_path: Path) -> None:
        found = thumb(model_of(tmp_path, SHORT + NORTH))
        assert fleet_of(found).opened == frozenset()

    def test_the_cheapest_candidate_opens_before_the_cloud(self, tmp_path: Path) -> None:
        text = SHORT + NORTH.replace("clusters:\n", "clusters:\n  east-gpus: {max_gpus: 600}\n")
        fleet = fleet_of(thumb(model_of(tmp_path, text)))
        assert fleet.opened == {"north"}
        # The west, at its limit of 2,000, may be lost: 430 requests/s are left for the north.
        assert fleet.gpus["north-gpus"] == 500
        assert fleet.instances == {"cloud": 0}

    def test_a_policy_on_regions_opens_candidates_too(self, tmp_path: Path) -> None:
        text = SHORT + "policies: {least_regions: 3}\n" + NORTH
        found = thumb(model_of(tmp_path, text))
        assert fleet_of(found).opened == {"north"}
        assert fleet_of(found).gpus["north-gpus"] == 100
        assert not found.lacks

    def test_a_policy_on_shares_adds_where_there_are_fewest(self, tmp_path: Path) -> None:
        text = ROOMY + "policies: {surviving_capacity_share: 0.5}\n"
        found = thumb(model_of(tmp_path, text))
        assert fleet_of(found).gpus == {"west-gpus": 2700, "east-gpus": 2700}
        assert not found.lacks

    def test_cooling_is_n_plus_k_of_one_type(self, tmp_path: Path) -> None:
        model = model_of(tmp_path, ROOMY)
        fleet = fleet_of(thumb(model))
        data = ProblemData(model, (), {})
        for plant in ("west-chillers", "east-chillers"):
            (cluster,) = model.plants[plant].cools
            existing = model.plants[plant].existing
            added = {u: n - existing.get(u, 0) for u, n in fleet.units[plant].items()}
            assert sum(1 for count in added.values() if count) == 1
            heat = 0.005 * fleet.gpus[cluster]
            size = max(data.unit_mw(plant, unit) for unit, n in added.items() if n)
            assert heat <= firm_mw(data, fleet, plant) + 1e-9 < heat + size

    def test_settled_and_forbidden_purchases_are_kept(self, tmp_path: Path) -> None:
        text = ROOMY + (
            "policies:\n  fixed: {gpus: {west-gpus: 200}}\n  forbidden: {cooling: [chiller-1]}\n"
        )
        found = thumb(model_of(tmp_path, text))
        assert fleet_of(found).gpus["west-gpus"] == 1200
        assert fleet_of(found).units["east-chillers"]["chiller-1"] == 3
        assert not found.lacks

    # Three that the programme agrees with, one that it is too strict for, one without a plan.
    @pytest.mark.parametrize("seed", [0, 2, 3, 8, 16])
    def test_never_below_the_optimum_of_the_programme(self, seed: int) -> None:
        """Where the programme agrees that it is a plan; its purchases keep the rules or say not."""
        model = drawn_model(seed)
        found = thumb(model)
        if found.outcome.best is None:
            assert found.lacks
            return
        fleet = fleet_of(found)
        assert set(check_purchases(ProblemData(model, all_scenarios(model), {}), fleet)) <= set(
            found.lacks
        )
        if not any(text.startswith("costed without") for text in found.repairs):
            _, best = solved(model)
            cost = found.outcome.rounds[0].solution.objective
            assert best.status == "optimal"
            assert cost >= best.objective * (1 - 1e-7) - 0.1


@pytest.mark.usefixtures("each_simulation_once")
class TestRepair:
    def test_units_are_added_until_a_lost_plant_is_survived(self, tmp_path: Path) -> None:
        model = model_of(tmp_path, PLANT)
        found = thumb(model)
        assert found.survives
        before = plan_by_rule_of_thumb(model, (), EXACT)
        assert fleet_of(before).units["east-air"]["air-1"] == 0
        assert fleet_of(found).units["east-air"]["air-1"] == 1
        assert found.repairs[0] == "plant-east-chillers took 1 × 1 unit in east-air"
        lost = tuple(
            scenario for scenario in all_scenarios(model) if scenario.name == "plant-east-chillers"
        )
        (verdict,) = judge(model, fleet_of(before), lost, stories=False)
        assert not verdict.survives

    def test_units_of_another_type_where_those_of_the_plant_start_too_late(
        self, tmp_path: Path
    ) -> None:
        text = PLANT.replace("options: [air-1]", "options: [air-1, quick-1]") + (
            "cooling_units:\n  air-1: {start_minutes: 180.0}\n"
            "  quick-1: {capacity_mw: 1.0, mode: standby, start_minutes: 1.0,"
            " capital_usd: 3000000.0}\n"
        )
        found = thumb(model_of(tmp_path, text))
        assert found.survives
        assert fleet_of(found).units["east-air"]["air-1"] == 0
        assert fleet_of(found).units["east-air"]["quick-1"] > 0
        assert "quick-1 in east-air" in found.repairs[0]

    @pytest.mark.parametrize(("text", "bought"), [(SIGN_IN, "plain"), (POOL, "pool")])
    def test_services_that_turn_away_get_the_cheapest_measure(
        self, tmp_path: Path, text: str, bought: str
    ) -> None:
        """Either region alone lets 600 requests/s through; GPUs are there for all of them."""
        model = model_of(tmp_path, text)
        found = thumb(model)
        assert found.survives
        assert fleet_of(found).measures == {bought}
        assert found.repairs[0].endswith(f"took 1 × measure {bought}")
        assert fleet_of(found).gpus == fleet_of(thumb(model_of(tmp_path, SHORT))).gpus
        items = found.outcome.rounds[0].items
        assert [
            (item.asset, item.usd_per_year) for item in items if item.category == "measures"
        ] == [(bought, model.measures[bought].usd_per_year)]

    def test_measures_that_are_forbidden_stay_out_and_settled_ones_are_in(
        self, tmp_path: Path
    ) -> None:
        rules = "policies: {forbidden: {measures: [plain]}, fixed: {measures: {alarms: true}}}\n"
        found = thumb(model_of(tmp_path, SIGN_IN + rules))
        assert fleet_of(found).measures == {"golden", "alarms"}
        assert not found.lacks

    def test_steps_that_fix_nothing_are_taken_back(self, tmp_path: Path) -> None:
        """Load balancers act after four minutes, whatever is bought."""
        text = ROOMY + "standard: {region: [{tier: each, from_minute: 0, least_served: 1.0}]}\n"
        found = thumb(model_of(tmp_path, text))
        assert not found.survives
        assert fleet_of(found).gpus == {"west-gpus": 2700, "east-gpus": 1100}
        failed = found.outcome.rounds[0].failed
        assert set(failed) == {"region-west", "region-east"}

    def test_the_time_limit_ends_repairs(self, tmp_path: Path) -> None:
        model = model_of(tmp_path, PLANT)
        settings = SolverSettings(time_limit_seconds=1e-9)
        found = plan_by_rule_of_thumb(model, all_scenarios(model), settings)
        assert not found.survives
        assert found.outcome.stopped == "time limit"


class TestPlan:
    def test_a_plan_of_the_rule_claims_no_proof_and_adds_up(self, tiny: LoadedModel) -> None:
        document = thumb(tiny.model).plan(tiny, EXACT)
        assert (document.method, document.status, document.gap) == ("rule-of-thumb", "feasible", 1)
        total = sum(item.usd_per_year for item in document.cost.items)
        assert total == pytest.approx(document.objective_usd_per_year, abs=0.1)
        assert document.verification.survives

    def test_the_rule_is_deterministic(self, tiny: LoadedModel) -> None:
        def written() -> dict[str, object]:
            data = json.loads(thumb(tiny.model).plan(tiny, EXACT).to_json())
            return {key: data[key] for key in ("cooling", "gpus", "emergency", "cost", "scenarios")}

        assert written() == written()

    def test_a_measure_without_effect_is_not_bought(self, tmp_path: Path) -> None:
        text = SHORT + "measures: {alarms: {operations: {detection_minutes: 1.0}}}\n"
        assert fleet_of(thumb(model_of(tmp_path, text))).measures == frozenset()


class TestCommand:
    def test_rule_of_thumb_writes_a_plan_that_simulates_the_same(
        self,
        plan: Runs,  # noqa: F811
        tmp_path: Path,
    ) -> None:
        ran = plan("optimize", "tiny", "--method", "rule-of-thumb", "-q", "-o", tmp_path)
        assert ran.code == 0
        assert "By rule of thumb" in ran.out
        assert "Proven" not in ran.out
        again = plan("simulate", "tiny", "--plan", tmp_path / "plan.json", "-q", "--json")
        assert again.code == 0
        assert again.json["survives"]

    def test_limits_too_tight_for_normal_operation_leave_no_plan(self, plan: Runs) -> None:  # noqa: F811
        """Without room for chillers not even normal operation is possible."""
        barred = ("--set", "policies.forbidden.cooling=[chiller-3, chiller-1]")
        more = ("--set", "plants.west-chillers.existing={chiller-3: 1}")
        arguments = ("optimize", "tiny", "--method", "rule-of-thumb", "-q", *barred, *more)
        arguments += ("--only", "provider-*")
        ran = plan(*arguments)
        assert ran.code == 3
        assert "leads to no plan" in ran.out
        again = plan(*arguments, "--json")
        assert again.json["status"] == "infeasible"
        assert any("primary cooling of west-gpus" in text for text in again.json["lacks"])

    def test_a_failing_plan_of_the_rule_reports_its_failures(self, plan: Runs) -> None:  # noqa: F811
        ran = plan(
            *("optimize", "tiny", "--method", "rule-of-thumb", "--json"),
            *("--set", "simulation.horizon_minutes=200"),
            *("--set", "standard.region=[{tier: each, from_minute: 0, least_served: 1.0}]"),
        )
        assert ran.code == 4
        failed = [line for line in ran.json["scenarios"] if line["status"] == "fails"]
        assert {line["name"] for line in failed} == {"region-west", "region-east"}
        assert all(line["first_breach"] for line in failed)
        assert "nothing within the limits fixes region-west" in ran.err
