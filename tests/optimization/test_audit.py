"""The audit finds what is wrong with a plan, whoever says that it is optimal.

Solutions are tampered with in one way at a time: in the fleet, in the values, in the objective. The
message has to name the damage.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
from support import solved

from planner.errors import AuditError
from planner.infrastructure.entities import Model
from planner.infrastructure.fleet import Fleet
from planner.infrastructure.policies import Policies
from planner.optimization.formulation.build import build
from planner.optimization.formulation.problem import ProblemData
from planner.optimization.formulation.programme import Programme
from planner.optimization.solution.audit import _check_normal, audit
from planner.optimization.solution.audit_purchases import exceeds
from planner.optimization.solution.costs import emergency_spend_usd
from planner.optimization.solution.solving import Solution
from planner.optimization.solution.stage_values import stage_values

Plan = tuple[Programme, Solution]


@pytest.fixture(scope="module")
def model(tiny) -> Model:
    """The shipped two-region model."""
    return tiny.model


@pytest.fixture(scope="module")
def plan(model) -> Plan:
    """Its optimal plan."""
    return solved(model)


@pytest.fixture(scope="module")
def wider(model) -> Model:
    """With a candidate region next to the west that is worth opening: the east cannot grow."""
    north = model.regions["east"].replace(name="north", candidate=True, fixed_usd=1000.0)
    gpus = model.clusters["east-gpus"].replace(name="north-gpus", region="north", existing_gpus=0)
    chillers = model.plants["east-chillers"].replace(
        name="north-chillers", region="north", cools=("north-gpus",), existing={}
    )
    zones = {
        name: zone.replace(latency_ms={**zone.latency_ms, "north": 40.0})
        for name, zone in model.zones.items()
    }
    east = model.clusters["east-gpus"].replace(max_gpus=400)
    return model.replace(
        regions={**model.regions, "north": north},
        clusters={**model.clusters, "east-gpus": east, "north-gpus": gpus},
        plants={**model.plants, "north-chillers": chillers},
        zones=zones,
    )


@pytest.fixture(scope="module")
def wider_plan(wider) -> Plan:
    """Its optimal plan, which opens the candidate."""
    return solved(wider)


def with_values(solution: Solution, changed: Mapping[str, float]) -> Solution:
    """The solution with some values changed, all of variables that it has."""
    assert changed.keys() <= solution.values.keys()
    return replace(solution, values={**solution.values, **changed})


def with_units(solution: Solution, plant: str, unit: str, change: int) -> Solution:
    """The solution with other cooling units in its fleet."""
    fleet = solution.fleet
    counts = {**fleet.units[plant], unit: fleet.units[plant][unit] + change}
    return replace(solution, fleet=replace(fleet, units={**fleet.units, plant: counts}))


def with_gpus(solution: Solution, cluster: str, change: int) -> Solution:
    """The solution with other GPUs in its fleet."""
    fleet = solution.fleet
    gpus = {**fleet.gpus, cluster: fleet.gpus[cluster] + change}
    return replace(solution, fleet=replace(fleet, gpus=gpus))


def complaints(programme: Programme, solution: Solution) -> str:
    """What the audit says of a solution that it has to refuse."""
    with pytest.raises(AuditError) as raised:
        audit(programme, solution)
    return str(raised.value)


class TestUntouched:
    def test_optimal_plan_passes_and_its_items_add_up(self, plan: Plan) -> None:
        items = audit(*plan)

        total = sum(item.usd_per_year for item in items)
        assert total == pytest.approx(plan[1].objective, rel=1e-9)
        assert {item.category for item in items} >= {"cooling", "servers", "emergency", "energy"}

    def test_capital_of_the_items_is_that_of_the_purchases(self, model: Model, plan: Plan) -> None:
        fleet = plan[1].fleet
        price = {name: unit.capital_usd for name, unit in model.cooling_units.items()}
        capital = sum(
            price[unit] * (count - model.plants[plant].existing.get(unit, 0))
            for plant, counts in fleet.units.items()
            for unit, count in counts.items()
        )
        gpu = model.gpus["accelerator"]
        capital += (gpu.capital_usd + gpu.facility_usd) * sum(
            count - model.clusters[cluster].existing_gpus for cluster, count in fleet.gpus.items()
        )

        assert sum(item.capital_usd for item in audit(*plan)) == pytest.approx(capital)

    def test_plan_with_a_candidate_region_passes(self, wider_plan: Plan) -> None:
        items = audit(*wider_plan)

        assert [item.asset for item in items if item.category == "regions"] == ["north"]
        total = sum(item.usd_per_year for item in items)
        assert total == pytest.approx(wider_plan[1].objective, rel=1e-9)


class TestFleet:
    @pytest.mark.parametrize(
        ("plant", "unit", "cluster"),
        [
            ("west-chillers", "chiller-3", "west-gpus"),
            ("west-chillers", "chiller-1", "west-gpus"),
            ("east-chillers", "chiller-1", "east-gpus"),
        ],
    )
    def test_one_cooling_unit_fewer(self, plan: Plan, plant: str, unit: str, cluster: str) -> None:
        said = complaints(plan[0], with_units(plan[1], plant, unit, -1))

        assert f"primary cooling of {cluster}" in said
        assert "MW firm for" in said

    def test_one_gpu_block_fewer(self, plan: Plan) -> None:
        said = complaints(plan[0], with_gpus(plan[1], "east-gpus", -100))

        assert "east-gpus serves" in said
        assert "region-west" in said

    def test_more_gpus_than_a_cluster_holds(self, plan: Plan) -> None:
        said = complaints(plan[0], with_gpus(plan[1], "east-gpus", 1300))

        assert "east-gpus: 2100 GPUs, 400 to 2000 allowed" in said

    def test_one_reserved_instance_fewer(self, plan: Plan) -> None:
        fleet = plan[1].fleet
        fewer = replace(fleet, instances={"cloud": fleet.instances["cloud"] - 1})

        said = complaints(plan[0], replace(plan[1], fleet=fewer))

        assert "region-west" in said
        assert "cloud uses 240.000 of 232 GPUs reserved" in said

    def test_a_closed_region_that_holds_gpus(self, wider_plan: Plan) -> None:
        programme, solution = wider_plan
        assert solution.fleet.opened == {"north"}
        assert solution.fleet.gpus["north-gpus"]

        closed = replace(solution, fleet=replace(solution.fleet, opened=frozenset()))

        assert "north-gpus: GPUs in a region that is not opened" in complaints(programme, closed)

    def test_purchases_that_are_undone(self, model: Model, plan: Plan) -> None:
        nothing = replace(plan[1], fleet=Fleet.existing(model))

        assert "primary cooling of" in complaints(plan[0], nothing)


class TestValues:
    def test_more_served_than_flows(self, plan: Plan) -> None:
        programme, solution = plan
        name = programme.by_stage["region-west/0"].served["west-users", "free"].name
        said = complaints(programme, with_values(solution, {name: solution.values[name] + 50.0}))

        assert "row demand_balance.region_west.0" in said
        assert "region-west/0: more is served than reaches any target" in said

    def test_more_served_than_is_asked_for(self, plan: Plan) -> None:
        # Flow and served rise together, so only the demand itself is exceeded.
        programme, solution = plan
        label = "surge/5"
        flow = next(
            variable.name
            for (group, target), variable in programme.by_stage[label].flow.items()
            if group.startswith("west-users") and target == "east-gpus"
        )
        served = programme.by_stage[label].served["west-users", "free"].name
        values = {name: solution.values[name] + 20.0 for name in (flow, served)}

        said = complaints(programme, with_values(solution, values))

        assert "west-users/free gets" in said
        assert "more than it asks" in said

    def test_less_served_than_the_standard_asks_for(self, plan: Plan) -> None:
        programme, solution = plan
        label = "region-west/5"
        here = programme.by_stage[label]
        dropped = (*here.flow.values(), *here.served.values(), *here.used.values())
        drop = {variable.name: 0.0 for variable in dropped}

        said = complaints(programme, with_values(solution, drop))

        assert "row served_floor.region_west.5.business" in said
        assert "region-west/5: business gets 0.000 of 600.000 requests/s" in said

    def test_normal_operation_that_leaves_demand_unserved(self, plan: Plan) -> None:
        programme, solution = plan
        name = next(
            variable.name
            for variable in programme.by_stage["normal"].flow.values()
            if solution.values[variable.name] > 10.0
        )
        said = complaints(programme, with_values(solution, {name: 0.0}))

        assert "normal operation serves" in said

    def test_more_emergency_gpus_in_use_than_reserved(self, plan: Plan) -> None:
        programme, solution = plan
        name = programme.by_stage["region-west/5"].used["cloud"].name
        said = complaints(programme, with_values(solution, {name: 250.0}))

        assert "row offer_reserved.region_west.5.cloud" in said
        assert "region-west/5: cloud uses 250.000 of 240 GPUs reserved" in said

    def test_a_flow_beyond_capacity(self, plan: Plan) -> None:
        programme, solution = plan
        name = next(
            variable.name
            for (_, target), variable in programme.by_stage["region-west/0"].flow.items()
            if target == "east-gpus"
        )
        said = complaints(programme, with_values(solution, {name: 2000.0}))

        assert "row cluster_capacity.region_west.0.east_gpus" in said
        assert "region-west/0: east-gpus serves" in said
        assert "of at most 760.000 requests/s" in said

    def test_more_heat_than_a_plant_can_carry(self, plan: Plan) -> None:
        programme, solution = plan
        stage = programme.by_stage["heat-wave-west/3"]
        name = stage.carried["west-gpus", "west-chillers"].name
        said = complaints(programme, with_values(solution, {name: 11.0}))

        assert "row plant_capacity.heat_wave_west.3.west_chillers" in said
        assert "heat-wave-west/3: west-chillers carries 11.000 of 10.450 MW" in said

    def test_heat_that_nothing_carries(self, plan: Plan) -> None:
        programme, solution = plan
        stage = programme.by_stage["heat-wave-west/3"]
        name = stage.carried["west-gpus", "west-chillers"].name
        said = complaints(programme, with_values(solution, {name: 0.0}))

        assert "row cooling_balance.heat_wave_west.3.west_gpus" in said
        assert "heat-wave-west/3: west-gpus is short of cooling" in said

    def test_rooms_that_would_boil(self, model: Model, plan: Plan) -> None:
        # Nothing carried before operators react, and rooms that hold next to nothing.
        programme, solution = plan
        clusters = {
            name: cluster.replace(capacitance_mj_per_k_per_mw=0.01)
            for name, cluster in model.clusters.items()
        }
        early = [s.label for s in programme.data.stages if not s.reacted]
        idle = {
            variable.name: 0.0
            for stage in early
            if stage.startswith("heat-wave-west")
            for variable in programme.by_stage[stage].carried.values()
        }
        thin = build(ProblemData(model.replace(clusters=clusters), programme.data.scenarios, {}))

        said = complaints(thin, with_values(solution, idle))

        assert "row ride_through.heat_wave_west.west_gpus" in said
        assert "heat-wave-west: west-gpus stores" in said


class TestMoney:
    @pytest.mark.parametrize("factor", [0.999, 1.001])
    def test_another_objective(self, plan: Plan, factor: float) -> None:
        changed = replace(plan[1], objective=plan[1].objective * factor)

        said = complaints(plan[0], changed)

        assert "1 places" in said
        assert f"objective {changed.objective:,.2f}" in said
        assert f"recomputed {plan[1].objective:,.2f}" in said

    def test_a_purchase_that_was_not_counted(self, plan: Plan) -> None:
        # More cooling than needed violates nothing but the sum.
        said = complaints(plan[0], with_units(plan[1], "west-chillers", "chiller-3", 1))

        assert "objective" in said
        assert "2 places" in said

    def test_emergency_spend_beyond_its_budget(self, model: Model, plan: Plan) -> None:
        finance = model.finance.replace(emergency_budget_usd=1000.0)
        poor = build(ProblemData(model.replace(finance=finance), plan[0].data.scenarios, {}))

        said = complaints(poor, plan[1])

        assert "row emergency_budget.region_west" in said
        assert "region-west: emergency spend" in said
        assert "exceeds 1,000" in said

    def test_emergency_spend_of_all_stages_counts_against_one_budget(
        self, model: Model, plan: Plan
    ) -> None:
        data = plan[0].data
        stages = data.stages_by_scenario["region-west"]
        spends = [emergency_spend_usd(data, stage, stage_values(*plan, stage)) for stage in stages]
        assert max(spends) < sum(spends)
        budget = (max(spends) + sum(spends)) / 2
        finance = model.finance.replace(emergency_budget_usd=budget)
        poor = build(ProblemData(model.replace(finance=finance), data.scenarios, {}))

        said = complaints(poor, plan[1])

        assert f"region-west: emergency spend {sum(spends):,.0f} USD" in said

    def test_capital_beyond_its_budget(self, model: Model, plan: Plan) -> None:
        capital = sum(item.capital_usd for item in audit(*plan))
        policies = Policies(capital_budget_usd=capital - 1000.0)
        poor = build(ProblemData(model.replace(policies=policies), plan[0].data.scenarios, {}))

        assert "row capital_budget" in complaints(poor, plan[1])


class TestPolicies:
    def audited(self, model: Model, plan: Plan, policies: Policies) -> str:
        programme = build(ProblemData(model.replace(policies=policies), plan[0].data.scenarios, {}))
        values = dict.fromkeys((v.name for v in programme.problem.variables), 0.0)
        solution = replace(plan[1], values={**values, **plan[1].values})
        return complaints(programme, solution)

    def test_share_that_does_not_survive(self, model: Model, plan: Plan) -> None:
        # 800 of 1,800 GPUs are left without the west.
        said = self.audited(model, plan, Policies(surviving_capacity_share=0.45))

        assert "west: only 800 of 1800 GPUs left without it" in said
        assert "row surviving_capacity_share.west" in said

    def test_emergency_cooling_that_is_not_there(self, model: Model, plan: Plan) -> None:
        said = self.audited(model, plan, Policies(emergency_cooling_share=0.5))

        assert "emergency cooling of west-gpus: 0.000 MW firm for 2.500 MW of heat" in said

    def test_too_few_regions(self, model: Model, plan: Plan) -> None:
        said = self.audited(model, plan, Policies(least_regions=3))

        assert "2 regions in use, policy asks for 3" in said

    def test_no_spare_block(self, model: Model, plan: Plan) -> None:
        # All GPUs but those of a block are needed at the peak.
        gpus = sum(plan[1].fleet.gpus.values())
        busy = {
            name: zone.replace(demand_rps=zone.demand_rps * (0.95 * gpus - 95) / 1000)
            for name, zone in model.zones.items()
        }
        model = model.replace(zones=busy, policies=Policies(spare_block_per_region=True))
        found = list(_check_normal(build(ProblemData(model, (), {})), plan[1]))

        assert any("with a block less in every region" in one for one in found)
        assert not any(one.startswith("normal operation: ") for one in found)


class TestBounds:
    """Bounds of variables are constraints too."""

    def test_flows_below_zero_that_cancel(self, plan: Plan) -> None:
        programme, solution = plan
        flows = [
            variable.name
            for (_, target), variable in programme.by_stage["normal"].flow.items()
            if target == "west-gpus"
        ]
        changed = {
            flows[0]: solution.values[flows[0]] + 5000.0,
            flows[1]: solution.values[flows[1]] - 5000.0,
        }

        assert f"{flows[1]} is -" in complaints(programme, with_values(solution, changed))

    def test_purchase_that_is_not_whole(self, plan: Plan) -> None:
        programme, solution = plan
        name = programme.purchases.units["west-chillers", "chiller-1"].name

        said = complaints(programme, with_values(solution, {name: solution.values[name] + 0.5}))

        assert f"{name} is" in said
        assert "not whole" in said

    @pytest.mark.parametrize(
        ("policies", "what"),
        [
            (
                {"forbidden": {"emergency": ["cloud"]}},
                "cloud: instances reserved although forbidden",
            ),
            ({"fixed": {"emergency": {"cloud": 5}}}, "cloud: 30 instances added, 5 settled"),
            ({"forbidden": {"gpus": ["east-gpus"]}}, "east-gpus: GPUs added although forbidden"),
            ({"fixed": {"gpus": {"east-gpus": 300}}}, "east-gpus: 400 GPUs added, 300 settled"),
            (
                {"forbidden": {"cooling": ["chiller-1"]}},
                "west-chillers: chiller-1 added although forbidden",
            ),
            ({"capital_budget_usd": 1e6}, "capital of 24,650,000 USD exceeds 1,000,000"),
        ],
    )
    def test_plan_that_another_policy_rules_out(
        self, plan: Plan, policies: dict[str, object], what: str
    ) -> None:
        programme, solution = plan
        stricter = programme.data.model.replace(policies=Policies.model_validate(policies))
        other = replace(programme, data=replace(programme.data, model=stricter))

        assert what in complaints(other, solution)

    def test_more_than_can_be_supplied_or_powered(self, plan: Plan) -> None:
        programme, solution = plan
        model = programme.data.model
        cloud = model.offers["cloud"].replace(available_gpus=80)
        west = model.regions["west"].replace(power_limit_mw=5.0)
        tighter = model.replace(offers={"cloud": cloud}, regions={**model.regions, "west": west})
        said = complaints(replace(programme, data=replace(programme.data, model=tighter)), solution)

        assert "cloud: 30 instances reserved, 10 can be supplied" in said
        assert "west: 5.800 MW at full load, 5.000 allowed" in said

    def test_nothing_to_audit(self, plan: Plan) -> None:
        with pytest.raises(AuditError, match="no plan"):
            audit(plan[0], replace(plan[1], status="infeasible"))


@pytest.mark.parametrize("size", [1e-9, 1e-3, 1.0])
def test_rounding_is_small_beside_what_a_model_holds(size: float) -> None:
    """Half of all a model holds is no rounding, in whatever unit; a thousand-millionth of it is."""
    assert exceeds(0.5 * size, 0.0, size)
    assert exceeds(1.001 * size, size, size)
    assert not exceeds(size * (1 + 1e-9), size, size)
    assert not exceeds(1e-9 * size, 0.0, size)
