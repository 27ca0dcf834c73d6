"""What a build buys and costs to run: the same money as in a plan, and every price it needs."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import EXACT, model_of

from planner.finance.appraisal import capital_usd, owning_usd_per_year
from planner.finance.assumptions import Assumptions
from planner.finance.builds import Build, PricedItem, Purchase, purchases, running, unpriced
from planner.finance.cashflow import Losses, Position
from planner.infrastructure.entities import Model
from planner.infrastructure.fleet import Fleet, plant_units
from planner.infrastructure.loading import LoadedModel, load_model
from planner.optimization.formulation.build import build as build_programme
from planner.optimization.formulation.problem import ProblemData
from planner.optimization.solution.costs import cost_items, purchase_items
from planner.optimization.solution.solving import solve
from planner.plan.assembly import Origin, make_plan
from planner.plan.records import Cost, Plan
from planner.scenarios.generators import all_scenarios

#: What plan.json rounds away of one amount.
CENT = 0.01

BARE = """
regions:
  west: {power_limit_mw: 12.0}
  east: {power_limit_mw: 12.0, candidate: true}
gpus:
  accelerator: {power_mw: 0.005, static_share: 0.5, rps: 1.0}
clusters:
  west-gpus: {region: west, gpu: accelerator, existing_gpus: 400, max_gpus: 2000}
  east-gpus: {region: east, gpu: accelerator, max_gpus: 2000}
cooling_units:
  chiller-3: {capacity_mw: 3.0}
  upkept: {capacity_mw: 1.0, maintenance_share_per_year: 0.03}
plants:
  west-chillers: {region: west, cools: [west-gpus], existing: {chiller-3: 2, upkept: 1}}
  east-chillers: {region: east, cools: [east-gpus], options: [chiller-3]}
tiers:
  all-users: {priority: 1, share: 1.0}
zones:
  users: {demand_rps: 300.0, latency_ms: {west: 10.0, east: 70.0}}
offers:
  cloud: {provider: cloudy, gpus_per_instance: 8, available_gpus: 80, lead_time_minutes: 30.0,
          usd_per_instance_hour: 24.0, rps_per_gpu: 1.0}
measures:
  tank: {buffer_mwh: {west-chillers: 1.0}}
  alarm: {usd_per_year: 5.0, operations: {detection_minutes: 1.0}}
"""


def as_it_is(model: Model) -> Build:
    """What exists."""
    return Build("as it is", model, Fleet.existing(model), ())


def position(base: Build, build: Build) -> Position:
    """A build in money, without losses."""
    return Position("", purchases(base, build), running(base, build), Losses(), 0, 0.0)


def planned(name: str, overrides: tuple[str, ...], scenarios: int) -> tuple[LoadedModel, Plan]:
    """A plan for the first scenarios of a model."""
    loaded = load_model(name, overrides)
    chosen = all_scenarios(loaded.model)[:scenarios]
    programme = build_programme(ProblemData(loaded.model, chosen, {}))
    solution = solve(programme, EXACT)
    return loaded, make_plan(loaded, solution, cost_items(programme, solution), (), Origin("highs"))


class TestOfAPlan:
    @pytest.mark.parametrize(
        ("name", "overrides", "scenarios"),
        [
            ("tiny", (), 100),
            ("tiny", ("finance.discount_rate=0.0",), 3),
            (
                "tiny",
                (
                    "cooling_units.chiller-3.repair_usd=40000.0",
                    "cooling_units.chiller-3.auxiliary_mw_per_mw=0.04",
                    "regions.west.power_loss_share=0.06",
                    "regions.east.hall_mw_per_mw=0.03",
                ),
                3,
            ),
            (
                "chatgpt-2023",
                ("policies.least_regions=3", "finance.discount_rate=0.12"),
                3,
            ),
            (
                "chatgpt-2023-measures",
                (
                    "policies.fixed={measures: {tank-us-west: true, sign-in-capacity: true}, "
                    "gpus: {us-west-primary: -500}}",
                    "clusters.us-west-primary.may_retire=true",
                ),
                0,
            ),
        ],
    )
    def test_costs_of_a_build_are_those_of_the_plan(
        self, name: str, overrides: tuple[str, ...], scenarios: int
    ) -> None:
        loaded, plan = planned(name, overrides, scenarios)
        model = loaded.model
        build = Build("plan", model, plan.fleet(model), (), plan)
        found = position(as_it_is(model), build)
        assumed = Assumptions.of(model.finance)

        rounded = CENT * (len(plan.cost.items) + 1) / 2
        failures = sum(
            item.usd_per_year for item in plan.cost.items if item.category in ("recourse", "risk")
        )
        assert plan.cost.capital_usd > 0
        assert capital_usd(found, assumed) == pytest.approx(plan.cost.capital_usd, abs=rounded)
        owning = owning_usd_per_year(found, assumed)
        assert owning == pytest.approx(plan.cost.usd_per_year - failures, abs=rounded)

    def test_the_same_without_the_plan_at_hand(self) -> None:
        """Energy is then dispatched anew."""
        loaded, plan = planned("tiny", (), 10)
        base = as_it_is(loaded.model)
        stated = Build("plan", loaded.model, plan.fleet(loaded.model), (), plan)

        found = {(r.category, r.asset): r.usd_per_year for r in running(base, stated)}
        anew = {
            (r.category, r.asset): r.usd_per_year for r in running(base, replace(stated, plan=None))
        }

        assert found == pytest.approx(anew, abs=CENT)
        assert {"upkeep", "retainers", "energy"} >= {category for category, _ in found}
        assert any(category == "energy" for category, _ in found)


@cache
def priced() -> Model:
    """A model with measures, candidates and upkeep, in which everything may be retired."""
    model = load_model("chatgpt-2023-measures").model
    return model.replace(
        gpus={n: gpu.replace(salvage_usd=1234.0) for n, gpu in model.gpus.items()},
        cooling_units={
            n: unit.replace(salvage_usd=9999.0) for n, unit in model.cooling_units.items()
        },
    )


@st.composite
def fleets(draw: st.DrawFn) -> Fleet:
    """More or less of everything."""
    model = priced()
    units = {
        name: {unit: draw(st.integers(0, 4)) for unit in plant_units(model, name)}
        for name in model.plants
    }
    gpus = {name: 250 * draw(st.integers(0, 44)) for name in model.clusters}
    candidates = {name for name, region in model.regions.items() if region.candidate}
    opened = {c.region for n, c in model.clusters.items() if gpus[n] and c.region in candidates}
    return Fleet(
        units,
        gpus,
        {name: draw(st.integers(0, 50)) for name in model.offers},
        frozenset(opened),
        frozenset(draw(st.sets(st.sampled_from(sorted(model.measures))))),
    )


@given(fleets(), st.sampled_from([0.0, 0.09]))
def test_any_fleet_costs_what_the_programme_says(fleet: Fleet, rate: float) -> None:
    """Line by line: capital, retirements, upkeep, retainers, regions, measures."""
    model = priced().replace(finance=priced().finance.replace(discount_rate=rate))
    without_energy = Plan.model_construct(cost=Cost(capital_usd=0.0, usd_per_year=0.0, items=()))
    build = Build("any", model, fleet, (), without_energy)
    assumed = Assumptions.of(model.finance)

    found = position(as_it_is(model), build)

    items = purchase_items(ProblemData(model, (), {}), fleet)
    capital = sum(item.capital_usd for item in items)
    assert capital_usd(found, assumed) == pytest.approx(capital, rel=1e-12, abs=1e-3)
    yearly = sum(item.usd_per_year for item in items)
    assert owning_usd_per_year(found, assumed) == pytest.approx(yearly, rel=1e-12, abs=1e-3)


class TestOfAnotherModel:
    """The build that the postmortem recommends, against what it had."""

    def builds(self) -> tuple[Build, Build]:
        return (
            as_it_is(load_model("chatgpt-2023").model),
            as_it_is(load_model("chatgpt-2023-v2").model),
        )

    def test_capital_by_hand(self) -> None:
        bought: dict[str, float] = {}
        for one in purchases(*self.builds()):
            bought[one.category] = bought.get(one.category, 0.0) + one.usd

        # 3,000 + 4,000 + 3,000 GPUs and the building for them; 2,000 in us-west are retired.
        assert bought["servers"] == 10_000 * 25_000 - 2_000 * 2_500
        assert bought["building"] + bought["power"] == pytest.approx(10_000 * 53_475)
        assert bought["power"] == pytest.approx(0.492 * 10_000 * 53_475)
        # 8 chillers of each size (6 of those of 10 MW are there) at 550 USD/kW at 1.75 MW and the
        # 0.85th power of the size, 8 loops at 180 USD/kW, 23 × 4 MW of air at 900,000 USD/MW.
        counts = {10: 2, 6: 8, 4: 8, 3: 8}
        chillers = sum(n * 550_000 * 1.75 * (mw / 1.75) ** 0.85 for mw, n in counts.items())
        loops, air = 8 * 180_000 * sum(counts), 23 * 4 * 900_000
        assert bought["cooling"] == pytest.approx(chillers + loops + air, abs=2_000)
        assert bought["regions"] == 2 * 30_000_000

    def test_assets_that_only_one_model_has_are_bought_or_retired(self) -> None:
        base, build = self.builds()
        lines = {(one.asset, one.item): one.quantity for one in purchases(base, build)}

        assert lines["us-west-standby", "air-15"] == -1
        assert lines["us-west-loops", "loop-36"] == -1
        assert lines["us-west-loops", "loop-10"] == 8
        assert lines["us-west-primary", "fleet-2023"] == -2000
        assert ("us-west-primary", "building and power") not in lines

    def test_yearly_cost_of_regions_that_it_opens(self) -> None:
        yearly = {
            r.asset: r.usd_per_year for r in running(*self.builds()) if r.category == "regions"
        }

        assert yearly == {"eu-west": 3e6, "asia-pacific": 3e6}

    def test_nothing_is_bought_to_stay_as_it_is(self) -> None:
        base, _ = self.builds()

        assert purchases(base, base) == ()
        assert unpriced(base, base) == ()

    def test_no_zero_below_zero(self) -> None:
        base, build = self.builds()

        assert all(str(one.usd) != "-0.0" for one in purchases(base, build))

    def test_other_gpus_in_the_place_of_those_there(self, tiny: LoadedModel) -> None:
        """As many as before are nonetheless bought; the building is there."""
        base = as_it_is(tiny.model)
        old = tiny.model.gpus["accelerator"].replace(salvage_usd=700.0)
        new = old.replace(name="newer", capital_usd=30_000.0)
        west = tiny.model.clusters["west-gpus"].replace(gpu="newer", existing_gpus=1200)
        changed = tiny.model.replace(
            gpus={"accelerator": old, "newer": new},
            clusters={**tiny.model.clusters, "west-gpus": west},
        )
        base = replace(base, model=tiny.model.replace(gpus={"accelerator": old}))

        found = purchases(base, as_it_is(changed))

        place = {"asset": "west-gpus", "region": "west"}
        assert found == (
            Purchase(
                "servers",
                item="accelerator",
                quantity=-1000,
                usd_each=700.0,
                life_years=5.0,
                **place,
            ),
            Purchase(
                "servers",
                item="newer",
                quantity=1200,
                usd_each=30_000.0,
                life_years=5.0,
                salvage_usd_each=700.0,
                **place,
            ),
            Purchase(
                "building",
                item="building and power",
                quantity=200,
                usd_each=30_000.0,
                life_years=20.0,
                **place,
            ),
        )

    def test_a_cluster_that_is_given_up(self, tiny: LoadedModel) -> None:
        model = tiny.model
        west = model.replace(
            clusters={"west-gpus": model.clusters["west-gpus"]},
            plants={n: p for n, p in model.plants.items() if n.startswith("west")},
        )

        found = purchases(as_it_is(model), as_it_is(west))

        assert [(one.asset, one.item, one.quantity) for one in found] == [
            ("east-gpus", "accelerator", -400),
            ("east-chillers", "chiller-1", -3),
        ]
        assert all(one.usd == 0 for one in found)

    def test_a_region_that_the_base_does_not_have(self, tiny: LoadedModel) -> None:
        model = tiny.model
        north = model.regions["east"].replace(name="north", fixed_usd=7e6, fixed_usd_per_year=1e5)
        cluster = model.clusters["east-gpus"].replace(name="north-gpus", region="north")
        larger = model.replace(
            regions={**model.regions, "north": north},
            clusters={**model.clusters, "north-gpus": cluster},
        )
        base, build = as_it_is(model), as_it_is(larger)

        (opening,) = [one for one in purchases(base, build) if one.category == "regions"]
        yearly = {one.asset: one.usd_per_year for one in running(base, build)}

        assert (opening.asset, opening.usd) == ("north", 7e6)
        assert yearly["north"] == 1e5

    def test_a_plan_keeps_the_prices_of_its_own_settings(self) -> None:
        """What a region costs in the model that the plan is for, not in the base."""
        loaded = load_model("chatgpt-2023", ("regions.eu-west.fixed_usd=1.0",))
        fleet = Fleet.existing(loaded.model)
        fleet = replace(fleet, gpus={**fleet.gpus, "eu-west": 250}, opened=frozenset({"eu-west"}))
        base = as_it_is(load_model("chatgpt-2023").model)

        found = purchases(base, Build("plan", loaded.model, fleet, ()))

        assert [one.usd for one in found if one.category == "regions"] == [1.0]

    def test_measures_that_are_there_already(self) -> None:
        model = load_model("chatgpt-2023-measures").model
        base = as_it_is(model)
        tank = replace(base.fleet, measures=frozenset({"tank-us-west"}))
        both = replace(base.fleet, measures=frozenset({"tank-us-west", "tank-us-east"}))

        found = purchases(replace(base, fleet=tank), replace(base, fleet=both))

        assert [(one.asset, one.usd) for one in found] == [("tank-us-east", 1.2e6)]


class TestUnpriced:
    def fleet(self, model: Model) -> Fleet:
        """Some more of everything."""
        return Fleet.after(
            model,
            {("east-chillers", "chiller-3"): 1},
            {"west-gpus": 100, "east-gpus": 100},
            {"cloud": 5},
            frozenset({"east"}),
            frozenset({"tank", "alarm"}),
        )

    def test_unpriced_assets_are_named_all_at_once(self, tmp_path: Path) -> None:
        model = model_of(tmp_path, BARE)
        build = Build("plan", model, self.fleet(model), ())

        assert unpriced(as_it_is(model), build) == (
            "gpus.accelerator.capital_usd",
            "cooling_units.chiller-3.capital_usd",
            "regions.east.fixed_usd",
            "measures.tank.capital_usd",
            "regions.west.electricity_usd_per_mwh",
            "regions.east.electricity_usd_per_mwh",
            "cooling_units.upkept.capital_usd",
        )

    def test_zero_is_a_price(self, tmp_path: Path) -> None:
        model = model_of(
            tmp_path,
            BARE,
            "gpus.accelerator.capital_usd=0",
            "cooling_units.chiller-3.capital_usd=0.0",
            "cooling_units.upkept.capital_usd=0.0",
            "regions.east.fixed_usd=0.0",
            "measures.tank.capital_usd=0.0",
            "regions.west.electricity_usd_per_mwh=0.0",
            "regions.east.electricity_usd_per_mwh=0",
        )
        build = Build("plan", model, self.fleet(model), ())

        assert unpriced(as_it_is(model), build) == ()
        assert all(one.usd == 0 for one in purchases(as_it_is(model), build))

    def test_what_exists_needs_a_price_for_what_runs_alone(self, tmp_path: Path) -> None:
        base = as_it_is(model_of(tmp_path, BARE))

        assert unpriced(base, base) == (
            "regions.west.electricity_usd_per_mwh",
            "cooling_units.upkept.capital_usd",
        )

    @pytest.mark.parametrize(
        "name",
        [
            "tiny",
            "chatgpt-2023",
            "chatgpt-2023-v2",
            "chatgpt-2023-measures",
            "azure-australia-east-2023",
            "hyperscaler-12",
        ],
    )
    def test_shipped_models_state_the_prices_of_what_they_offer(self, name: str) -> None:
        model = load_model(name).model
        everything = Fleet.after(
            model,
            {(n, unit): 1 for n, plant in model.plants.items() for unit in plant.options},
            {n: cluster.block_gpus for n, cluster in model.clusters.items()},
            dict.fromkeys(model.offers, 1),
            frozenset(n for n, region in model.regions.items() if region.candidate),
            frozenset(model.measures),
        )

        base = as_it_is(model)
        assert unpriced(base, Build("all", model, everything, ())) == ()


def test_a_running_cost_is_its_quantity_at_its_price(reference: LoadedModel) -> None:
    """The workbook multiplies them, so that a reviewer can change either."""
    base = as_it_is(reference.model)
    lines = running(base, base)
    assert {line.category for line in lines if line.price is not None} >= {"upkeep", "energy"}
    for line in lines:
        price = line.price
        if isinstance(price, PricedItem):
            each = price.usd_each * (price.upkeep_share or 0.0)
        else:
            each = line.usd_per_year if price is None else price.usd
        assert line.quantity * each == pytest.approx(line.usd_per_year, rel=1e-12)
