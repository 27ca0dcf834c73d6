"""Every policy binds where it is switched on and changes nothing where it is off or met anyway."""

from __future__ import annotations

import pytest
from support import EXACT, solved

from planner.infrastructure.entities import Model
from planner.infrastructure.failures import Generators
from planner.infrastructure.fleet import Fleet
from planner.infrastructure.policies import FixedPurchases, ForbiddenPurchases, Policies
from planner.laws.heat import capacity_after_losses_mw
from planner.laws.money import annuity
from planner.optimization.formulation.build import build
from planner.optimization.formulation.problem import ProblemData
from planner.optimization.formulation.purchases import capital_usd
from planner.optimization.solution.audit import audit
from planner.optimization.solution.audit_purchases import check_purchases
from planner.optimization.solution.solving import Solution, run_solver
from planner.plan.assembly import _cooling_lines
from planner.scenarios.generators import all_scenarios

#: Relative difference within which two optima are the same.
SAME = 1e-9


def with_policies(model: Model, **policies: object) -> Model:
    """The model with some policies."""
    return model.replace(policies=Policies().replace(**policies))


def audited(model: Model) -> Solution:
    """The optimal plan of a model, passed by the audit."""
    programme, solution = solved(model)
    assert solution.status == "optimal"
    audit(programme, solution)
    return solution


def with_north(model: Model, *, candidate: bool = True, fixed_usd: float = 0.0) -> Model:
    """With a third, empty region; existing GPUs elsewhere suffice without it."""
    north = model.regions["east"].replace(
        name="north", candidate=candidate, fixed_usd=fixed_usd, fixed_usd_per_year=fixed_usd / 10
    )
    gpus = model.clusters["east-gpus"].replace(name="north-gpus", region="north", existing_gpus=0)
    chillers = model.plants["east-chillers"].replace(
        name="north-chillers", region="north", cools=("north-gpus",), existing={}
    )
    zones = {
        name: zone.replace(latency_ms={**zone.latency_ms, "north": 40.0})
        for name, zone in model.zones.items()
    }
    return model.replace(
        regions={**model.regions, "north": north},
        clusters={**model.clusters, "north-gpus": gpus},
        plants={**model.plants, "north-chillers": chillers},
        zones=zones,
    )


def shares_left(model: Model, fleet: Fleet) -> dict[str, float]:
    """Share of all GPUs left without each region."""
    total = sum(fleet.gpus.values())
    return {
        region: 1
        - sum(n for c, n in fleet.gpus.items() if model.clusters[c].region == region) / total
        for region in model.regions
    }


@pytest.fixture(scope="module")
def model(tiny) -> Model:
    """The shipped two-region model, without policies."""
    assert tiny.model.policies == Policies()
    return tiny.model


@pytest.fixture(scope="module")
def free(model) -> Solution:
    """Its plan."""
    return audited(model)


@pytest.fixture(scope="module")
def backed(model) -> Model:
    """With an emergency plant to equip in each region, of which one unit may fail in the east."""
    east = model.plants["west-air"].replace(
        name="east-air", region="east", cools=("east-gpus",), redundancy=1
    )
    return model.replace(plants={**model.plants, "east-air": east})


def with_cooled_east(model: Model) -> Model:
    """With as many chillers in the east as the GPUs that stand there need."""
    east = model.plants["east-chillers"].replace(existing={"chiller-1": 4})
    return model.replace(plants={**model.plants, "east-chillers": east})


class TestSurvivingCapacityShare:
    def test_half_of_the_gpus_survive_either_region(self, model: Model, free: Solution) -> None:
        assert min(shares_left(model, free.fleet).values()) < 0.5

        plan = audited(with_policies(model, surviving_capacity_share=0.5))

        assert min(shares_left(model, plan.fleet).values()) >= 0.5
        assert plan.objective > free.objective * 1.001

    def test_two_regions_cannot_keep_more_than_half(self, model: Model) -> None:
        assert solved(with_policies(model, surviving_capacity_share=0.51))[1].status == "infeasible"

    def test_65_percent_need_a_third_region(self, model: Model) -> None:
        wider = with_north(model)

        plan = audited(with_policies(wider, surviving_capacity_share=0.65))

        assert plan.fleet.opened == {"north"}
        assert min(shares_left(wider, plan.fleet).values()) >= 0.65

    def test_70_percent_need_more_than_three(self, model: Model) -> None:
        wider = with_policies(with_north(model), surviving_capacity_share=0.7)

        assert solved(wider)[1].status == "infeasible"

    def test_a_share_that_is_kept_anyway_changes_nothing(
        self, model: Model, free: Solution
    ) -> None:
        kept = min(shares_left(model, free.fleet).values())

        plan = audited(with_policies(model, surviving_capacity_share=kept - 0.01))

        assert plan.objective == pytest.approx(free.objective, rel=SAME)


class TestSpareBlock:
    def test_there_is_room_with_a_block_less_in_every_region(self, model: Model) -> None:
        """1,400 GPUs serve 1,330 requests/s; two blocks of 95 less, and 1,235 need one more."""
        calm = model.replace(
            generators=Generators(),
            zones={
                n: zone.replace(demand_rps=1.235 * zone.demand_rps)
                for n, zone in model.zones.items()
            },
        )

        free, spare = audited(calm), audited(with_policies(calm, spare_block_per_region=True))

        assert sum(free.fleet.gpus.values()) == 1400
        assert sum(spare.fleet.gpus.values()) == 1500

    def test_peaks_at_different_hours_share_capacity(self, model: Model) -> None:
        """Days and nights of 1,140 requests/s each: with two blocks less, 1,400 GPUs suffice."""
        halves = {"west-users": 0, "east-users": 12}
        calm = model.replace(
            generators=Generators(),
            shapes={"half": (1.0,) * 12 + (0.0,) * 12},
            zones={
                name: model.zones[name].replace(
                    demand_rps=1140.0, shape="half", utc_offset_hours=hours
                )
                for name, hours in halves.items()
            },
        )

        spare = audited(with_policies(calm, spare_block_per_region=True))

        assert sum(spare.fleet.gpus.values()) == 1400

    def test_a_spare_block_costs_nothing_where_demand_is_low(self, model: Model) -> None:
        zones = {
            n: zone.replace(demand_rps=zone.demand_rps / 10) for n, zone in model.zones.items()
        }
        idle = model.replace(zones=zones)

        plan = audited(with_policies(idle, spare_block_per_region=True))

        assert plan.objective == pytest.approx(audited(idle).objective, rel=SAME)

    def test_an_empty_region_needs_no_spare(self, model: Model) -> None:
        wider = with_north(model, fixed_usd=1e9)

        plan = audited(with_policies(wider, spare_block_per_region=True))

        assert not plan.fleet.opened
        assert plan.fleet.gpus["north-gpus"] == 0


class TestLeastRegions:
    def test_a_least_number_of_regions_opens_a_candidate(self, model: Model) -> None:
        wider = with_north(model, fixed_usd=1e8)
        assert audited(wider).fleet.opened == frozenset()

        plan = audited(with_policies(wider, least_regions=3))

        assert plan.fleet.opened == {"north"}
        assert plan.fleet.gpus["north-gpus"] > 0

    def test_an_empty_region_that_is_no_candidate_gets_a_block(self, model: Model) -> None:
        wider = with_north(model, candidate=False)

        plan = audited(with_policies(wider, least_regions=3))

        assert all(plan.fleet.gpus.values())

    @pytest.mark.parametrize("least", [1, 2])
    def test_a_least_number_of_regions_already_in_use_changes_nothing(
        self, model: Model, free: Solution, least: int
    ) -> None:
        plan = audited(with_policies(model, least_regions=least))

        assert plan.objective == pytest.approx(free.objective, rel=SAME)

    def test_more_regions_than_exist_are_infeasible(self, model: Model) -> None:
        assert solved(with_policies(model, least_regions=3))[1].status == "infeasible"


class TestCapitalBudget:
    def test_a_capital_budget_a_dollar_below_the_least_is_infeasible(
        self, model: Model, free: Solution
    ) -> None:
        programme = build(ProblemData(model, all_scenarios(model), {}))
        programme.problem.objective = capital_usd(programme)
        run_solver(programme.problem, EXACT)
        least = round(programme.problem.objective.evaluated())
        assert least > 0

        enough = audited(with_policies(model, capital_budget_usd=float(least)))
        short = solved(with_policies(model, capital_budget_usd=least - 1.0))[1]

        assert enough.objective >= free.objective * (1 - SAME)
        assert short.status == "infeasible"

    def test_capital_stays_within_it(self, model: Model) -> None:
        # A retainer so high that own GPUs are bought where the cloud would do.
        offer = model.offers["cloud"].replace(retainer_usd_per_instance_year=200_000.0)
        dear = model.replace(offers={"cloud": offer})
        programme, plan = solved(dear)
        capital = sum(item.capital_usd for item in audit(programme, plan))

        poor = with_policies(dear, capital_budget_usd=capital - 1.0)
        poor_programme, poor_plan = solved(poor)

        spent = sum(item.capital_usd for item in audit(poor_programme, poor_plan))
        assert spent <= capital - 1.0
        assert poor_plan.objective > plan.objective

    def test_no_budget_and_a_large_one_are_the_same(self, model: Model, free: Solution) -> None:
        plan = audited(with_policies(model, capital_budget_usd=1e9))

        assert plan.objective == pytest.approx(free.objective, rel=SAME)


class TestCoolingMargin:
    """Firm capacity of primary plants covers the design heat and a share more."""

    def firm_mw(self, plan: Solution, plant: str) -> float:
        sizes = {"chiller-3": 3.0, "chiller-1": 1.0}
        units = plan.fleet.units[plant]
        counts = [units.get(name, 0) for name in sizes]
        return capacity_after_losses_mw(list(sizes.values()), counts, 2)

    @pytest.mark.parametrize("margin", [0.0, 0.15, 0.4, 1.0])
    def test_firm_capacity_covers_the_heat_and_the_margin(
        self, model: Model, margin: float
    ) -> None:
        plan = audited(with_policies(model, cooling_margin=margin))

        for region in ("west", "east"):
            heat = 0.005 * plan.fleet.gpus[f"{region}-gpus"]
            assert self.firm_mw(plan, f"{region}-chillers") >= (1 + margin) * heat - 1e-9

    def test_the_cooling_margin_is_part_of_the_design_heat(self, model: Model) -> None:
        margin = with_policies(model, cooling_margin=0.4)
        plan = audited(margin)

        lines = {line.plant: line for line in _cooling_lines(margin, plan.fleet)}

        heat = 0.005 * plan.fleet.gpus["west-gpus"]
        assert lines["west-chillers"].design_heat_mw == pytest.approx(1.4 * heat)
        assert lines["west-chillers"].firm_mw >= 1.4 * heat

    def test_the_audit_finds_a_plan_without_the_cooling_margin(
        self, model: Model, free: Solution
    ) -> None:
        short = ProblemData(with_policies(model, cooling_margin=1.0), all_scenarios(model), {})

        said = list(check_purchases(short, free.fleet))

        assert any(one.startswith("primary cooling of") for one in said)


class TestEmergencyCooling:
    def test_emergency_plants_carry_their_share(self, backed: Model) -> None:
        assert audited(backed).fleet.units["east-air"] == {"air-1": 0}

        plan = audited(with_policies(backed, emergency_cooling_share=0.5))

        for region, lost in (("west", 0), ("east", 1)):
            count = plan.fleet.units[f"{region}-air"]["air-1"]
            needed = 0.5 * 0.005 * plan.fleet.gpus[f"{region}-gpus"]
            assert capacity_after_losses_mw([1.0], [count], lost) >= needed
            assert capacity_after_losses_mw([1.0], [count - 1], lost) < needed

    def test_emergency_share_of_zero_requires_nothing(self, backed: Model, free: Solution) -> None:
        assert audited(backed).objective == pytest.approx(free.objective, rel=SAME)

    def test_a_cluster_without_emergency_plant_cannot_have_it(self, model: Model) -> None:
        assert solved(with_policies(model, emergency_cooling_share=0.1))[1].status == "infeasible"


class TestFixed:
    def test_exactly_what_is_settled_appears_in_the_plan(self, model: Model) -> None:
        fixed = FixedPurchases(
            cooling={"west-chillers": {"chiller-3": 2, "chiller-1": 1}, "west-air": {"air-1": 4}},
            gpus={"west-gpus": 300},
            emergency={"cloud": 17},
        )

        fleet = audited(with_policies(model, fixed=fixed)).fleet

        assert fleet.units["west-chillers"] == {"chiller-3": 4, "chiller-1": 1}
        assert fleet.units["west-air"] == {"air-1": 4}
        assert fleet.gpus["west-gpus"] == 1300
        assert fleet.instances == {"cloud": 17}

    def test_what_is_bought_anyway_changes_nothing_when_settled(
        self, model: Model, free: Solution
    ) -> None:
        cooling = {
            plant: {unit: n - model.plants[plant].existing.get(unit, 0) for unit, n in c.items()}
            for plant, c in free.fleet.units.items()
        }
        gpus = {c: n - model.clusters[c].existing_gpus for c, n in free.fleet.gpus.items()}
        fixed = FixedPurchases(cooling=cooling, gpus=gpus, emergency=dict(free.fleet.instances))

        plan = audited(with_policies(model, fixed=fixed))

        assert plan.fleet == free.fleet
        assert plan.objective == pytest.approx(free.objective, rel=SAME)

    def test_nothing_settled_is_nothing_bought(self, model: Model) -> None:
        fixed = FixedPurchases(emergency={"cloud": 0})

        plan = audited(with_policies(model, fixed=fixed))

        assert plan.fleet.instances == {"cloud": 0}


class TestForbidden:
    @pytest.mark.parametrize(
        ("forbidden", "plant", "unit"),
        [
            ("chiller-3", "west-chillers", "chiller-3"),
            ("chiller-1", "east-chillers", "chiller-1"),
            ("east-chillers", "east-chillers", "chiller-1"),
        ],
    )
    def test_plant_or_unit_type_is_never_bought(
        self, model: Model, forbidden: str, plant: str, unit: str
    ) -> None:
        cooled = with_cooled_east(model)
        existing = cooled.plants[plant].existing.get(unit, 0)
        assert audited(cooled).fleet.units[plant][unit] > existing

        ruled_out = ForbiddenPurchases(cooling=(forbidden,))
        plan = audited(with_policies(cooled.replace(standard={}), forbidden=ruled_out))

        for name, entry in cooled.plants.items():
            for kind, count in plan.fleet.units[name].items():
                if forbidden in (name, kind):
                    assert count == entry.existing.get(kind, 0)

    def test_cluster_is_never_bought(self, model: Model, free: Solution) -> None:
        assert free.fleet.gpus["east-gpus"] > 400

        forbidden = ForbiddenPurchases(gpus=("east-gpus",))
        plan = audited(with_policies(model.replace(standard={}), forbidden=forbidden))

        assert plan.fleet.gpus["east-gpus"] == 400

    def test_offer_is_never_reserved(self, model: Model, free: Solution) -> None:
        assert free.fleet.instances["cloud"]

        forbidden = ForbiddenPurchases(emergency=("cloud",))
        plan = audited(with_policies(model, forbidden=forbidden))

        assert plan.fleet.instances == {"cloud": 0}
        assert sum(plan.fleet.gpus.values()) > sum(free.fleet.gpus.values())

    def test_forbidden_units_that_exist_may_stay(self, model: Model) -> None:
        offers = {"cloud": model.offers["cloud"].replace(existing_instances=5)}
        forbidden = ForbiddenPurchases(emergency=("cloud",))

        plan = audited(with_policies(model.replace(offers=offers), forbidden=forbidden))

        assert plan.fleet.instances == {"cloud": 5}

    def test_what_would_not_be_bought_changes_nothing(self, model: Model, free: Solution) -> None:
        assert free.fleet.gpus["west-gpus"] == model.clusters["west-gpus"].existing_gpus

        forbidden = ForbiddenPurchases(gpus=("west-gpus",), cooling=("air-1",))
        plan = audited(with_policies(model, forbidden=forbidden))

        assert plan.objective == pytest.approx(free.objective, rel=SAME)


class TestCandidates:
    def test_closed_where_it_is_too_dear(self, model: Model, free: Solution) -> None:
        plan = audited(with_north(model, fixed_usd=1e9))

        assert plan.fleet.opened == frozenset()
        assert not plan.fleet.gpus["north-gpus"]
        assert not any(plan.fleet.units["north-chillers"].values())
        assert plan.objective == pytest.approx(free.objective, rel=SAME)

    def test_opened_at_no_cost_only_with_gpus_in_it(self, model: Model) -> None:
        free_to_open = with_north(model)

        fleet = audited(free_to_open).fleet

        assert bool(fleet.gpus["north-gpus"]) == ("north" in fleet.opened)

    def test_fixed_cost_is_counted_once_whatever_stands_there(self, model: Model) -> None:
        # Two clusters with a plant of their own; what stands there is settled.
        def cost(fixed_usd: float) -> tuple[float, Solution]:
            wide = with_north(model, fixed_usd=fixed_usd)
            more = wide.clusters["north-gpus"].replace(name="north-2")
            plant = wide.plants["north-chillers"].replace(
                name="north-2-chillers", cools=("north-2",)
            )
            wide = wide.replace(
                clusters={**wide.clusters, "north-2": more},
                plants={**wide.plants, "north-2-chillers": plant},
            )
            fixed = FixedPurchases(gpus={"north-gpus": 300, "north-2": 200})
            plan = audited(with_policies(wide, fixed=fixed))
            assert plan.fleet.opened == {"north"}
            return plan.objective, plan

        (dear, dear_plan), (cheap, cheap_plan) = cost(1e7), cost(0.0)

        yearly = 1e7 * annuity(model.finance.discount_rate, 20.0) + 1e6
        assert dear - cheap == pytest.approx(yearly, rel=1e-6)
        assert dear_plan.fleet.gpus == cheap_plan.fleet.gpus

    def test_capital_budget_has_to_cover_the_opening(self, model: Model) -> None:
        wide = with_north(with_cooled_east(model), fixed_usd=1e7)
        fixed = FixedPurchases(
            cooling={"north-chillers": {"chiller-3": 0, "chiller-1": 3}}, gpus={"north-gpus": 100}
        )
        only_north = ForbiddenPurchases(
            gpus=("west-gpus", "east-gpus"), cooling=("west-chillers", "east-chillers", "west-air")
        )
        chillers = wide.plants["west-chillers"].replace(existing={"chiller-3": 4})
        wide = wide.replace(plants={**wide.plants, "west-chillers": chillers}, standard={})
        capital = 1e7 + 3 * 600_000.0 + 100 * 50_000.0

        def status(budget: float) -> str:
            policies = Policies(fixed=fixed, forbidden=only_north, capital_budget_usd=budget)
            return solved(wide.replace(policies=policies))[1].status

        assert status(capital) == "optimal"
        assert status(capital - 1.0) == "infeasible"
