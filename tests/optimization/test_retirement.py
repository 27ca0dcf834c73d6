"""Existing equipment that may go: where the model says so, for its salvage, and not otherwise."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path
from random import Random

import pytest
from optimization.drawing import Data, draw, model_from
from optimization.enumeration import cheapest, fleets
from support import EXACT, model_of, often, solved

from planner.errors import AuditError, InputError
from planner.infrastructure.fixing import fixing_settings, keeping_settings
from planner.infrastructure.fleet import Fleet, retirable_units
from planner.infrastructure.loading import LoadedModel, load_model
from planner.optimization.formulation.build import build
from planner.optimization.formulation.problem import ProblemData
from planner.optimization.solution.audit import audit
from planner.optimization.solution.audit_purchases import check_purchases
from planner.optimization.solution.settings import SolverSettings
from planner.optimization.solution.solving import solve
from planner.plan.files import read_plan, write_plan
from planner.plan.records import Plan
from planner.scenarios.generators import all_scenarios
from planner.verification import optimize_and_verify

MODELS = 40
AT_ONCE = 20
MOST_FLEETS = 300
#: Relative difference that the tolerances of a solver on rows make in the cost.
RELATIVE = 1e-6


def drawn_retirement(seed: int) -> Data:
    """A random model some of whose plants and clusters may lose what they have."""
    rng, data = Random(f"retirement {seed}"), draw(seed)
    for kind in (*data["gpus"].values(), *data["cooling_units"].values()):
        kind["salvage_usd"] = kind.get("capital_usd", 0.0) * rng.choice([0.0, 0.3, 0.9, 1.0])
    entries = [*data["plants"].values(), *data["clusters"].values()]
    rng.shuffle(entries)
    # Prices and ages of their own: dear and cheap, young and beyond their life.
    for kind in (*data["gpus"].values(), *data["cooling_units"].values()):
        if rng.random() < 0.5:
            kind["existing_capital_usd"] = kind.get("capital_usd", 0.0) * rng.choice([0.2, 4.0])
            kind["maintenance_share_per_year"] = rng.choice([0.0, 0.03, 0.1])
    for entry in entries:
        if rng.random() < 0.6:
            entry["existing_age_years"] = rng.choice([0.0, 2.5, 4.9, 30.0])
    for entry in entries:
        entry["may_retire"] = True
        if sum(1 for _ in fleets(model_from(data))) > MOST_FLEETS:
            entry["may_retire"] = False
    return data


@pytest.mark.parametrize("first", range(0, often(AT_ONCE, MODELS), AT_ONCE))
def test_cost_and_feasibility_are_those_of_enumeration(first: int) -> None:
    found = Counter[str]()
    for seed in range(first, first + AT_ONCE):
        model = model_from(drawn_retirement(seed))
        data = ProblemData(model, all_scenarios(model), {})
        cost, fleet = cheapest(model, data.scenarios)
        programme = build(data)
        solution = solve(programme, EXACT)

        assert (solution.status == "optimal") == math.isfinite(cost), f"seed {seed}"
        found["feasible" if fleet else "infeasible"] += 1
        if fleet is None:
            continue
        audit(programme, solution)
        assert solution.objective == pytest.approx(cost, rel=RELATIVE, abs=0.1), f"seed {seed}"
        before = Fleet.existing(model)
        found["units"] += any(
            count < before.units[plant][unit]
            for plant, units in solution.fleet.units.items()
            for unit, count in units.items()
        )
        found["gpus"] += any(solution.fleet.gpus[c] < n for c, n in before.gpus.items())
    assert min(found[what] for what in ("feasible", "infeasible", "units", "gpus")) >= 1


#: Two regions, each able to serve everything; what stands in the second costs upkeep alone.
SPARE = """
regions: {a: {power_limit_mw: 9.0}, b: {power_limit_mw: 9.0}}
gpus: {g: {power_mw: 0.005, static_share: 0.5, rps: 1.0, capital_usd: 20000.0,
           maintenance_share_per_year: 0.05, salvage_usd: 5000.0}}
clusters:
  ca: {region: a, gpu: g, existing_gpus: 300, block_gpus: 100, max_gpus: 300}
  cb: {region: b, gpu: g, existing_gpus: 250, block_gpus: 100, max_gpus: 300, may_retire: true}
cooling_units:
  chiller: {capacity_mw: 0.5, capital_usd: 200000.0, maintenance_share_per_year: 0.03,
            salvage_usd: 20000.0}
plants:
  pa: {region: a, cools: [ca], existing: {chiller: 4}}
  pb: {region: b, cools: [cb], existing: {chiller: 4}, options: [chiller], max_added: 2,
       may_retire: true}
tiers: {t: {priority: 1, share: 1.0}}
zones: {z: {demand_rps: 200.0, latency_ms: {a: 10.0, b: 20.0}}}
finance: {discount_rate: 0.08}
"""


@pytest.fixture
def spare(tmp_path: Path) -> Path:
    """Model file of a platform with more than it needs."""
    path = tmp_path / "spare.yaml"
    path.write_text(SPARE, encoding="utf-8")
    return path


class TestWhatGoes:
    def test_gpus_that_are_not_needed_retire_in_whole_blocks(self, tmp_path: Path) -> None:
        programme, solution = solved(model_of(tmp_path, SPARE))

        assert solution.fleet.gpus == {"ca": 300, "cb": 50}
        assert solution.fleet.units["pb"]["chiller"] == 1
        assert solution.fleet.units["pa"]["chiller"] == 4
        assert solution.objective == pytest.approx(_by_hand(gpus=50, chillers=1))
        items = {item.asset: item.capital_usd for item in audit(programme, solution)}
        assert items["cb"] == -200 * 5000.0
        assert items["pb/chiller"] == -3 * 20000.0

    def test_nothing_retires_unless_the_model_allows_it(self, tmp_path: Path) -> None:
        model = model_of(
            tmp_path, SPARE, "clusters.cb.may_retire=false", "plants.pb.may_retire=false"
        )
        programme, solution = solved(model)

        assert not programme.purchases.retired
        assert not programme.purchases.retired_blocks
        assert solution.fleet == Fleet.existing(model)
        assert solution.objective == pytest.approx(_by_hand(gpus=250, chillers=4))

    def test_units_that_a_scenario_loses_by_type_stay(self, tmp_path: Path) -> None:
        event = "{kind: units, plant: pb, unit: chiller, count: 1, repair_minutes: 60}"
        model = model_of(
            tmp_path,
            SPARE,
            "standard.common=[]",
            "clusters.cb.existing_gpus=200",
            f"scenarios.s={{severity: common, frequency_per_year: 1, events: [{event}, {event}]}}",
        )

        assert retirable_units(model, "pb", "chiller") == 2
        assert solved(model)[1].fleet.units["pb"]["chiller"] == 2

    def test_a_region_may_be_emptied_unless_a_policy_wants_it(self, tmp_path: Path) -> None:
        emptied = ["clusters.cb.existing_gpus=200", "zones.z.demand_rps=150"]
        model = model_of(tmp_path, SPARE, *emptied)
        assert solved(model)[1].fleet.gpus["cb"] == 0

        wanted = model_of(tmp_path, SPARE, *emptied, "policies.least_regions=2")
        assert solved(wanted)[1].fleet.gpus["cb"] == 100
        spared = model_of(tmp_path, SPARE, *emptied, "policies.spare_block_per_region=true")
        assert solved(spared)[1].fleet.gpus["cb"] == 0

    def test_salvage_counts_towards_the_capital_budget(self, tmp_path: Path) -> None:
        """A second chiller type is paid for by what the first earns, to the dollar."""
        swap = (
            "cooling_units.small={capacity_mw: 0.3, capital_usd: 50000}",
            "plants.pb.options=[small]",
            "plants.pb.max_added=9",
            "cooling_units.chiller.maintenance_share_per_year=1.0",
            "clusters.cb.may_retire=false",
        )
        model = model_of(tmp_path, SPARE, *swap)
        _, free = solved(model)
        assert free.fleet.units["pb"] == {"chiller": 0, "small": 5}
        enough, too_little = (
            model_of(tmp_path, SPARE, *swap, f"policies.capital_budget_usd={budget}")
            for budget in (5 * 50000 - 4 * 20000, 5 * 50000 - 4 * 20000 - 1)
        )
        assert solved(enough)[1].objective == pytest.approx(free.objective)
        assert solved(too_little)[1].objective > free.objective

    def test_buying_and_retiring_at_once_is_undone(self, tmp_path: Path) -> None:
        """With salvage at the full price and no gap asked for, both at once cost nothing."""
        model = model_of(
            tmp_path,
            SPARE,
            "cooling_units.chiller.salvage_usd=200000.0",
            "cooling_units.chiller.maintenance_share_per_year=0.0",
        )
        programme = build(ProblemData(model, (), {}))
        bought, gone = (
            programme.purchases.units["pb", "chiller"],
            programme.purchases.retired["pb", "chiller"],
        )
        # A solver is free to do both; rows make it: bounds would mean that both are asked for.
        for name, variable in (("buys", bought), ("retires", gone)):
            programme.problem.add(1 * variable >= 1.0, name)
        solution = solve(programme, EXACT)

        assert min(solution.values[bought.name], solution.values[gone.name]) == 0.0
        assert solution.fleet.units["pb"]["chiller"] == 4 + int(
            solution.values[bought.name] - solution.values[gone.name]
        )


def _by_hand(gpus: int, chillers: int) -> float:
    """Yearly cost of the example with so much left in the second region."""

    def spread(years: float) -> float:
        return 0.08 / (1 - 1.08**-years)

    upkeep = 0.05 * 20000.0 * (300 + gpus) + 0.03 * 200000.0 * (4 + chillers)
    earned = (250 - gpus) * 5000.0 * spread(5.0) + (4 - chillers) * 20000.0 * spread(20.0)
    return upkeep - earned


class TestAudit:
    def test_the_audit_finds_more_retired_than_allowed(self, tmp_path: Path) -> None:
        model = model_of(tmp_path, SPARE)
        data = ProblemData(model, (), {})
        too_few = Fleet.after(model, {("pa", "chiller"): -1}, {"ca": -100}, {}, frozenset())

        found = list(check_purchases(data, too_few))

        assert "pa: 1 chiller retired, at most 0 allowed" in found
        assert "ca: 200 GPUs, 300 to 300 allowed" in found

    def test_parts_of_blocks_do_not_retire(self, tmp_path: Path) -> None:
        model = model_of(tmp_path, SPARE)
        fleet = Fleet.after(model, {}, {"cb": -50}, {}, frozenset())

        found = list(check_purchases(ProblemData(model, (), {}), fleet))

        assert found == ["cb: -50 GPUs added are not whole blocks of 100"]

    def test_a_fleet_that_is_not_what_the_variables_say_is_found(self, tmp_path: Path) -> None:
        programme, solution = solved(model_of(tmp_path, SPARE))
        gone = programme.purchases.retired_blocks["cb"].name
        object.__setattr__(solution, "values", {**solution.values, gone: 1.0})

        with pytest.raises(AuditError, match="not what the purchases lead to"):
            audit(programme, solution)


class TestPlanFile:
    @pytest.fixture
    def plan(self, spare: Path) -> tuple[LoadedModel, Plan]:
        """The model and its plan."""
        from planner.infrastructure.loading import load_model

        loaded, settings = load_model(spare), SolverSettings()
        outcome = optimize_and_verify(loaded.model, all_scenarios(loaded.model), settings)
        return loaded, outcome.plan(loaded, settings)

    def test_retirements_are_lines_of_their_own(
        self, plan: tuple[LoadedModel, Plan], tmp_path: Path
    ) -> None:
        loaded, made = plan
        line = next(line for line in made.gpus if line.cluster == "cb")
        assert (line.existing, line.added, line.retired, line.total) == (250, 0, 200, 50)

        write_plan(made, tmp_path / "out")
        read = read_plan(tmp_path / "out" / "plan.json", loaded)

        assert read.fleet(loaded.model).gpus == {"ca": 300, "cb": 50}
        assert read.fleet(loaded.model).units["pb"] == {"chiller": 1}

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"retired": 100}, "50 is not 250 \\+ 0 - 100"),
            ({"retired": 250, "total": 0}, "250 are retired, the model lets 200 go"),
            ({"retired": -1}, "greater than or equal to 0"),
        ],
    )
    def test_counts_that_do_not_add_up_are_refused(
        self,
        plan: tuple[LoadedModel, Plan],
        tmp_path: Path,
        change: dict[str, int],
        message: str,
    ) -> None:
        loaded, made = plan
        data = json.loads(made.to_json())
        data["gpus"][1] |= change
        path = tmp_path / "plan.json"
        path.write_text(json.dumps(data), encoding="utf-8")

        with pytest.raises(InputError, match=message):
            read_plan(path, loaded)

    def test_plans_without_the_field_are_read(
        self, plan: tuple[LoadedModel, Plan], tmp_path: Path
    ) -> None:
        loaded, made = plan
        data = json.loads(made.to_json())
        for line in (*data["gpus"], *data["cooling"]):
            line |= {"total": line["existing"], "added": 0}
            del line["retired"]
        data["cost"] |= {"items": [], "capital_usd": 0.0, "usd_per_year": 0.0}
        data["objective_usd_per_year"] = 0.0
        for made_in in data["verification"]["rounds"]:
            made_in["objective_usd_per_year"] = 0.0
        data["verification"]["survivor_bound_usd_per_year"] = None
        path = tmp_path / "plan.json"
        path.write_text(json.dumps(data), encoding="utf-8")

        assert read_plan(path, loaded).fleet(loaded.model) == Fleet.existing(loaded.model)


class TestHolding:
    def test_kept_assets_do_not_retire(self, tmp_path: Path) -> None:
        changes = keeping_settings(model_of(tmp_path, SPARE))
        assert changes == ("plants.pb.may_retire=false", "clusters.cb.may_retire=false")

        model = model_of(tmp_path, SPARE, *changes)
        assert solved(model)[1].fleet == Fleet.existing(model)
        assert keeping_settings(model) == ()

    def test_what_is_held_stays_as_it_is(self, tmp_path: Path) -> None:
        model = model_of(tmp_path, SPARE)
        _, best = solved(model)

        for part in ("gpus", "cb", "b"):
            changes = fixing_settings(model, best.fleet, [part])
            other = model_of(tmp_path, SPARE, *changes, "gpus.g.salvage_usd=0", name="other")
            assert solved(other)[1].fleet.gpus["cb"] == 50
        as_is = fixing_settings(model, Fleet.existing(model), ["cooling"])
        _, solution = solved(model_of(tmp_path, SPARE, *as_is, name="as-is"))
        assert solution.fleet.units == Fleet.existing(model).units
        assert solution.fleet.gpus["cb"] == 50

    def test_other_settled_purchases_stay_settled(self, tmp_path: Path) -> None:
        model = model_of(tmp_path, SPARE, "policies.fixed.cooling={pb: {chiller: 1}}")

        (change,) = fixing_settings(model, Fleet.existing(model), ["pa"])

        assert json.loads(change.partition("=")[2]) == {"pa": {"chiller": 0}, "pb": {"chiller": 1}}

    def test_regions_and_offers_are_held_by_name(self, tmp_path: Path) -> None:
        model = model_of(
            tmp_path,
            SPARE,
            "regions.b.candidate=true",
            "clusters.cb.existing_gpus=0",
            "plants.pb.existing={}",
            "offers={cloud: {provider: x, gpus_per_instance: 1, available_gpus: 5, "
            "lead_time_minutes: 0, usd_per_instance_hour: 1.0, rps_per_gpu: 1.0}}",
        )
        fleet = Fleet.after(model, {}, {"cb": 100}, {"cloud": 2}, frozenset({"b"}))

        changes = fixing_settings(model, fleet, ["regions", "emergency"])
        settled = model_of(tmp_path, SPARE, name="x").policies.fixed
        assert changes == (
            'policies.fixed.emergency={"cloud": 2}',
            'policies.fixed.regions={"b": true}',
        )
        assert settled.regions == {}
        closed = fixing_settings(model, Fleet.existing(model), ["regions"])
        assert closed == ('policies.fixed.regions={"b": false}',)

    def test_names_that_do_not_exist_are_all_reported(self, tmp_path: Path) -> None:
        model = model_of(tmp_path, SPARE)

        with pytest.raises(InputError) as caught:
            fixing_settings(model, Fleet.existing(model), ["gpu", "pc", "cb"])

        assert len(caught.value.problems) == 2
        assert "did you mean `gpus`" in str(caught.value)


class TestBadInput:
    @pytest.mark.parametrize(
        ("override", "message"),
        [
            ("gpus.g.salvage_usd=20001", "salvage_usd.*exceeds capital_usd 20000"),
            ("cooling_units.chiller.salvage_usd=-1", "greater than or equal to 0"),
            ("policies.fixed.gpus={cb: -150}", "not whole blocks"),
            ("policies.fixed.gpus={cb: -300}", "300 GPUs may not be retired"),
            ("policies.fixed.gpus={ca: -100}", "100 GPUs may not be retired"),
            ("policies.fixed.cooling={pb: {chiller: -5}}", "5 `chiller` may not be retired"),
            ("policies.fixed.regions={b: true}", "is not a candidate region"),
            ("policies.fixed.regions={c: true}", "`c`"),
        ],
    )
    def test_a_wrong_retirement_is_refused_with_the_reason(
        self, tmp_path: Path, override: str, message: str
    ) -> None:
        with pytest.raises(InputError, match=message):
            model_of(tmp_path, SPARE, override)

    def test_a_settled_retirement_is_carried_out(self, tmp_path: Path) -> None:
        model = model_of(
            tmp_path, SPARE, "policies.fixed={gpus: {cb: -100}, cooling: {pb: {chiller: -2}}}"
        )
        programme, solution = solved(model)

        assert solution.fleet.gpus["cb"] == 150
        assert solution.fleet.units["pb"]["chiller"] == 2
        audit(programme, solution)


def test_a_purchase_that_is_asked_for_is_not_cancelled_against_a_retirement() -> None:
    """One more block, and an old one that goes for it: what is asked for stays bought.

    Less than that would cost less than the solver's bound, whose word would then not be taken.
    """
    model = load_model("tiny", ["clusters.west-gpus.may_retire=true"]).model
    programme = build(ProblemData(model, (), {}))
    block = programme.purchases.blocks["west-gpus"]
    block.low = 1.0
    solution = solve(programme, EXACT)
    assert solution.values[block.name] >= 1
    assert solution.values[programme.purchases.retired_blocks["west-gpus"].name] >= 1
    assert solution.bound == pytest.approx(solution.objective)
