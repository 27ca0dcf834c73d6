"""Published optima of capacitated facility location, stated as planner models.

Source: Beasley, J.E. (1988), "An algorithm for solving large capacitated warehouse location
problems", European Journal of Operational Research 33, 314-325; instances and optima from the
OR-Library. How they were obtained and how they are stated as models is in ``data/README.md``.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from facility_location import Instance, read, stated
from support import EXACT, solved

from planner.optimization.formulation.programme import Programme
from planner.optimization.solution.audit import audit
from planner.optimization.solution.settings import SolverSettings
from planner.optimization.solution.solving import Solution

RELATIVE = 1e-6

#: Optima as the OR-Library publishes them.
OPTIMA = {
    "cap41": 1040444.375,
    "cap42": 1098000.450,
    "cap43": 1153000.450,
    "cap44": 1235500.450,
    "cap51": 1025208.225,
    "cap61": 932615.750,
    "cap63": 1014062.050,
    "cap64": 1045650.250,
    "cap71": 932615.750,
    "cap74": 1034976.975,
}


def transport_and_rent(instance: Instance, programme: Programme, solution: Solution) -> float:
    """Cost of a solution in the terms of the instance, worked out from its flows."""
    total = 0.0
    for (group, site), variable in programme.by_stage["normal"].flow.items():
        customer = int(group.split("/")[0].removeprefix("customer-")) - 1
        warehouse = int(site.removeprefix("warehouse-")) - 1
        share = solution.values[variable.name] / instance.demand[customer]
        total += share * instance.cost[customer][warehouse]
    for site in solution.fleet.opened:
        total += instance.fixed_cost[int(site.removeprefix("warehouse-")) - 1]
    return total


class TestReading:
    @pytest.mark.parametrize("name", OPTIMA)
    def test_every_file_holds_the_published_size_and_total_demand(self, name) -> None:
        instance = read(name)

        assert (len(instance.capacity), len(instance.demand)) == (16, 50)
        assert sum(instance.demand) == 58268
        assert instance.demand[10] == 5495 and instance.demand[33] == 12912

    def test_capacity_and_fixed_cost_are_those_of_the_series(self) -> None:
        found = {
            name: (set(read(name).capacity), set(read(name).fixed_cost) - {0.0}) for name in OPTIMA
        }

        assert found == {
            "cap41": ({5000}, {7500.0}),
            "cap42": ({5000}, {12500.0}),
            "cap43": ({5000}, {17500.0}),
            "cap44": ({5000}, {25000.0}),
            "cap51": ({10000}, {17500.0}),
            "cap61": ({15000}, {7500.0}),
            "cap63": ({15000}, {17500.0}),
            "cap64": ({15000}, {25000.0}),
            "cap71": ({58268}, {7500.0}),
            "cap74": ({58268}, {25000.0}),
        }


class TestPublishedOptima:
    @pytest.mark.parametrize(("name", "optimum"), OPTIMA.items())
    def test_the_planner_finds_the_published_optimum(self, name, optimum) -> None:
        instance = read(name)
        model = stated(instance)

        programme, solution = solved(model, EXACT)

        assert solution.status == "optimal"
        assert solution.objective == pytest.approx(optimum, rel=RELATIVE)
        assert solution.bound == pytest.approx(optimum, rel=RELATIVE)
        assert transport_and_rent(instance, programme, solution) == pytest.approx(
            optimum, rel=RELATIVE
        )
        items = audit(programme, solution)
        assert sum(item.usd_per_year for item in items) == pytest.approx(optimum, rel=RELATIVE)

    @pytest.mark.parametrize("name", ["cap41", "cap51", "cap64", "cap74"])
    def test_blocks_of_one_cost_the_same_as_one_block(self, name) -> None:
        _, solution = solved(stated(read(name), in_one_block=False), EXACT)

        assert solution.objective == pytest.approx(OPTIMA[name], rel=RELATIVE)

    @pytest.mark.parametrize("name", ["cap51", "cap61", "cap74"])
    def test_the_other_solver_finds_it_too(self, name) -> None:
        _, solution = solved(stated(read(name)), SolverSettings(name="cbc", gap=0.0))

        assert solution.objective == pytest.approx(OPTIMA[name], rel=RELATIVE)
        assert solution.bound <= OPTIMA[name] * (1 + RELATIVE)

    @pytest.mark.parametrize("name", ["cap41", "cap63"])
    def test_a_solution_keeps_demand_and_capacity(self, name) -> None:
        instance = read(name)

        programme, solution = solved(stated(instance), EXACT)

        received = dict.fromkeys(range(50), 0.0)
        sent = dict.fromkeys(range(16), 0.0)
        for (group, site), variable in programme.by_stage["normal"].flow.items():
            flow = solution.values[variable.name]
            received[int(group.split("/")[0].removeprefix("customer-")) - 1] += flow
            sent[int(site.removeprefix("warehouse-")) - 1] += flow
        opened = {int(site.removeprefix("warehouse-")) - 1 for site in solution.fleet.opened}
        assert tuple(received.values()) == pytest.approx(instance.demand, abs=1e-4)
        for site, flow in sent.items():
            assert flow <= (instance.capacity[site] if site in opened else 0) + 1e-4


class TestChangedInstances:
    """What would go unnoticed if the planner ignored a part of an instance."""

    @pytest.mark.parametrize(
        ("name", "other", "change"),
        [
            ("cap41", "cap42", {"fixed": 12500.0}),
            ("cap61", "cap63", {"fixed": 17500.0}),
            ("cap63", "cap51", {"capacity": 10000}),
            ("cap64", "cap74", {"capacity": 58268}),
        ],
    )
    def test_changing_one_column_gives_the_optimum_of_the_other_instance(
        self, name, other, change
    ) -> None:
        instance = read(name)
        if "fixed" in change:
            costs = tuple(change["fixed"] if cost else 0.0 for cost in instance.fixed_cost)
            instance = replace(instance, fixed_cost=costs)
        else:
            instance = replace(instance, capacity=(change["capacity"],) * len(instance.capacity))

        _, solution = solved(stated(instance), EXACT)

        assert OPTIMA[other] != pytest.approx(OPTIMA[name], rel=1e-3)
        assert solution.objective == pytest.approx(OPTIMA[other], rel=RELATIVE)

    def test_one_capacity_raised_where_it_binds_makes_it_cheaper(self) -> None:
        instance = read("cap44")
        programme, before = solved(stated(instance), EXACT)
        full = [
            site
            for site in sorted(before.fleet.opened)
            if sum(
                before.values[variable.name]
                for (_, target), variable in programme.by_stage["normal"].flow.items()
                if target == site
            )
            >= 5000 - 1e-3
        ]
        capacity = list(instance.capacity)
        capacity[int(full[0].removeprefix("warehouse-")) - 1] = 10000

        _, after = solved(stated(replace(instance, capacity=tuple(capacity))), EXACT)

        assert after.objective < OPTIMA["cap44"] * (1 - 1e-4)

    def test_one_fixed_cost_lowered_where_it_is_paid_saves_exactly_that(self) -> None:
        instance = read("cap74")
        _, before = solved(stated(instance), EXACT)
        paid = next(
            number
            for number, cost in enumerate(instance.fixed_cost)
            if cost and f"warehouse-{number + 1}" in before.fleet.opened
        )
        costs = list(instance.fixed_cost)
        costs[paid] -= 1000.0

        _, after = solved(stated(replace(instance, fixed_cost=tuple(costs))), EXACT)

        assert after.objective == pytest.approx(OPTIMA["cap74"] - 1000.0, rel=RELATIVE)

    def test_wrong_demands_of_a_corrupted_copy_would_be_noticed(self) -> None:
        instance = read("cap41")
        demand = list(instance.demand)
        demand[10], demand[33] = 549.0, 129.0

        _, solution = solved(stated(replace(instance, demand=tuple(demand))), EXACT)

        assert solution.objective == pytest.approx(955641.925, rel=RELATIVE)

    def test_demand_beyond_all_capacity_has_no_solution(self) -> None:
        instance = read("cap41")
        capacity = (3000,) * len(instance.capacity)

        _, solution = solved(stated(replace(instance, capacity=capacity)), EXACT)

        assert solution.status == "infeasible"
