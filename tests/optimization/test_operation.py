"""A year without failures: what the simulator's own routing costs, and what a programme states.

tiny: 1,000 and 400 GPUs of 5 kW (half of it static) that serve 1 request/s each, up to 95 %; 700
requests/s of the west and 300 of the east at any hour, each within reach of both. West pays 80
USD/MWh, east 60.
"""

from __future__ import annotations

from dataclasses import replace
from random import Random

import numpy as np
import pytest
from optimization.drawing import drawn_model
from support import EXACT

from planner.infrastructure.entities import Model
from planner.infrastructure.failures import OperationsOverride, Scenario, Surge
from planner.infrastructure.fleet import Fleet
from planner.infrastructure.loading import LoadedModel, load_model
from planner.infrastructure.measures import with_measures
from planner.optimization.formulation.build import build
from planner.optimization.formulation.problem import ProblemData
from planner.optimization.solution.costs import OPERATION, CostItem, cost_items
from planner.optimization.solution.decisions import bounded, counts_of, settled
from planner.optimization.solution.operation import billed, operation_of
from planner.optimization.solution.solving import solve
from planner.scenarios.routing import normal_week
from planner.simulation.cascade import simulate

HOURS = 8760.0
WEST, EAST = 80.0 * HOURS, 60.0 * HOURS
CHEAPEST = "operations.routing=cheapest"


def by_asset(items: tuple[CostItem, ...]) -> dict[str, float]:
    """Yearly cost of energy and transport by asset, nothing left out."""
    return {
        item.asset: item.usd_per_year
        for item in items
        if item.usd_per_year and item.category in OPERATION
    }


def fleet_of_tiny(model: Model, west: int, east: int, **units: dict[str, int]) -> Fleet:
    """A fleet of so many GPUs, with the cooling that exists unless said otherwise."""
    fleet = Fleet.existing(model)
    cooling = {name: units.get(name.replace("-", "_"), of) for name, of in fleet.units.items()}
    return replace(fleet, gpus={"west-gpus": west, "east-gpus": east}, units=cooling)


def around_the_clock(model: Model) -> Model:
    """Zones busy one after the other, each as much in the mean as before."""
    zones = {
        name: zone.replace(
            demand_rps=1.25 * zone.demand_rps,
            shape="day",
            utc_offset_hours=24 * number // len(model.zones),
        )
        for number, (name, zone) in enumerate(model.zones.items())
    }
    shapes = {"day": (1.0,) * 8 + (0.8,) * 8 + (0.6,) * 8}
    return model.replace(zones=zones, shapes=shapes)


def routed(model: Model, routing: str) -> Model:
    """A model whose load balancers ask in some order."""
    return model.replace(operations=model.operations.replace(routing=routing))


def random_fleet(model: Model, seed: int) -> Fleet:
    """A fleet of some purchases."""
    rng = Random(seed)
    gpus = {
        name: one.block_gpus * rng.randint(0, (one.max_gpus - one.existing_gpus) // one.block_gpus)
        for name, one in model.clusters.items()
    }
    units = {
        (name, unit): rng.randint(0, plant.max_added)
        for name, plant in model.plants.items()
        for unit in plant.options
    }
    opened = frozenset(
        model.clusters[name].region
        for name, added in gpus.items()
        if added and model.regions[model.clusters[name].region].candidate
    )
    return Fleet.after(model, units, gpus, {}, opened)


def stated(model: Model, fleet: Fleet) -> float | None:
    """Energy and transport of a fleet as the programme states them; None where it is no plan."""
    programme = build(ProblemData(model, (), {}))
    with bounded(programme, settled(counts_of(programme, fleet))):
        solution = solve(programme, EXACT)
    if solution.status == "infeasible":
        return None
    return sum(by_asset(cost_items(programme, solution)).values())


class TestLikeTheSimulator:
    """The bill is what the simulator's own week costs."""

    @pytest.mark.parametrize("routing", ["nearest", "cheapest"])
    @pytest.mark.parametrize("shedding", ["automatic", "none"])
    def test_loads_and_heat_of_every_hour(self, routing: str, shedding: str) -> None:
        for seed in range(12):
            model = routed(around_the_clock(drawn_model(seed)), routing)
            model = model.replace(
                operations=model.operations.replace(priority_shedding=shedding),
                simulation=model.simulation.replace(horizon_minutes=1.0),
                services={},
                tiers={name: tier.replace(entry=None) for name, tier in model.tiers.items()},
                measures={},
            )
            fleet = random_fleet(model, seed)
            week = normal_week(model, fleet)
            if week.unserved_rps.max() > 1e-6:
                continue
            hours = tuple(
                Scenario(
                    name=f"hour-{hour}",
                    severity="common",
                    frequency_per_year=1.0,
                    start_hour=float(hour),
                    events=(Surge(kind="surge", factor=1.0, repair_minutes=1.0),),
                    operations=OperationsOverride(detection_minutes=60.0),
                )
                for hour in range(168)
            )
            world, history = simulate(model, fleet, hours)
            load = history.load_rps[0][:, : len(model.clusters)]
            if not np.allclose(history.powered_gpus[0], world.clusters.gpus):
                continue  # more than its feeds carry
            assert load == pytest.approx(week.load_rps, abs=1e-6), f"seed {seed}"
            found = by_asset(operation_of(model, fleet))
            for position, (name, cluster) in enumerate(model.clusters.items()):
                price = model.regions[cluster.region].electricity_usd_per_mwh
                heat = history.heat_mw[0][:, position].mean()
                assert found.get(name, 0.0) == pytest.approx(heat * HOURS * price, abs=1e-3)

    def test_transport_follows_each_request(self) -> None:
        """At noon the west overflows by 50 requests/s into the east, at 2 USD a million."""
        model = load_model(
            "tiny",
            (
                f"shapes={{noon: {[0.7] * 12 + [1.0] + [0.7] * 11}}}",
                "zones.west-users={demand_rps: 1000.0, shape: noon,"
                " latency_ms: {west: 10.0, east: 60.0},"
                " transport_usd_per_million_requests: {east: 2.0}}",
            ),
        ).model
        found = by_asset(operation_of(model, fleet_of_tiny(model, 1000, 400)))
        assert found["normal operation"] == pytest.approx(2.0 * 50 / 24 * 3600 * HOURS / 1e6)


class TestWhatTheProgrammeStates:
    """Never more than the bill; the same where no place is asked for more than it has."""

    @pytest.mark.parametrize("routing", ["nearest", "cheapest"])
    def test_operation_in_the_programme_costs_no_more_than_the_bill(self, routing: str) -> None:
        compared = less = 0
        for seed in range(60):
            model = routed(around_the_clock(drawn_model(seed)), routing)
            model = model.replace(policies=type(model.policies)())
            fleet = random_fleet(model, seed)
            if normal_week(model, fleet).unserved_rps.max() > 1e-6:
                continue
            cost = stated(model, fleet)
            if cost is None:
                continue
            bill = sum(by_asset(operation_of(model, fleet)).values())
            assert cost <= bill * (1 + 1e-7) + 1e-3, f"seed {seed}"
            compared += 1
            less += cost < bill * (1 - 1e-6)
        assert compared >= 15
        assert less < compared / 2

    def test_programme_and_bill_agree_where_no_region_is_full(self) -> None:
        compared = 0
        for seed in range(40):
            model = routed(around_the_clock(drawn_model(seed)), "nearest")
            model = model.replace(policies=type(model.policies)())
            few = {
                name: zone.replace(demand_rps=0.2 * zone.demand_rps)
                for name, zone in model.zones.items()
            }
            model = model.replace(zones=few)
            fleet = random_fleet(model, seed)
            cost = stated(model, fleet)
            week = normal_week(model, fleet)
            room = {
                name: fleet.gpus[name] * model.gpus[one.gpu].rps * one.max_utilisation
                for name, one in model.clusters.items()
            }
            if (
                cost is None
                or (week.load_rps >= np.array(list(room.values())) - 1e-6)
                .any(axis=0, where=np.array(list(room.values())) > 0)
                .any()
            ):
                continue
            bill = sum(by_asset(operation_of(model, fleet)).values())
            assert cost == pytest.approx(bill, rel=1e-6, abs=0.1), f"seed {seed}"
            compared += 1
        assert compared >= 10

    def test_a_plan_is_billed_and_the_difference_is_kept(self) -> None:
        """West is asked for 1,000 by day and 500 by night; what it lacks by day goes east."""
        day = ", ".join(["1.0"] * 6 + ["0.8"] * 6 + ["0.5"] * 12)
        model = load_model(
            "tiny", (f"shapes={{day: [{day}]}}", "zones.west-users.demand_rps=1000.0",
                     "zones.west-users.shape=day"),
        ).model  # fmt: skip
        programme = build(ProblemData(model, (), {}))
        solution = solve(programme, EXACT)
        items = cost_items(programme, solution)

        whole, bill = billed(model, solution, items)

        # 50 requests/s for a quarter of the day go east; the rest is served in the west.
        west = 0.005 * (500 + 0.5 * (950 / 4 + 800 / 4 + 500 / 2))
        assert by_asset(bill)["west-gpus"] == pytest.approx(west * WEST)
        more = whole.routing_usd_per_year
        assert whole.objective == pytest.approx(solution.objective + more)
        assert sum(item.usd_per_year for item in bill) == pytest.approx(whole.objective)
        assert 0 <= more < 1e-3 * whole.objective
        assert whole.bound == solution.bound


class TestOfWhatIsThere:
    def test_the_nearest_side_serves_first(self, tiny: LoadedModel) -> None:
        found = by_asset(operation_of(tiny.model, Fleet.existing(tiny.model)))

        west, east = 0.005 * (500 + 350), 0.005 * (200 + 150)
        assert found == pytest.approx(
            {
                "west-gpus": west * WEST,
                "west-chillers/chiller-3": west * 0.15 * WEST,
                "east-gpus": east * EAST,
                "east-chillers/chiller-1": east * 0.16 * EAST,
            }
        )

    def test_the_cheaper_side_serves_first(self) -> None:
        """East serves 380 of its 400; west the other 620 with 1,000."""
        model = load_model("tiny", (CHEAPEST,)).model

        found = by_asset(operation_of(model, Fleet.existing(model)))

        assert found["west-gpus"] == pytest.approx(0.005 * (500 + 310) * WEST)
        assert found["east-gpus"] == pytest.approx(0.005 * (200 + 190) * EAST)

    def test_the_cheaper_side_with_transport(self) -> None:
        """A million requests cost 15.6 USD more to serve in the west: transport outweighs it."""
        price = "zones.west-users.transport_usd_per_million_requests={east: 16.0}"
        model = load_model("tiny", (CHEAPEST, price)).model

        found = by_asset(operation_of(model, Fleet.existing(model)))

        assert found["east-gpus"] == pytest.approx(0.005 * (200 + 150) * EAST)
        assert "normal operation" not in found

    def test_unserved_demand_is_not_billed(self, tiny: LoadedModel) -> None:
        """475 requests/s are served; the rest costs nothing here."""
        found = by_asset(operation_of(tiny.model, fleet_of_tiny(tiny.model, 500, 0)))

        heat = 0.005 * (250 + 237.5)
        assert found == pytest.approx(
            {"west-gpus": heat * WEST, "west-chillers/chiller-3": heat * 0.15 * WEST}
        )

    def test_an_empty_fleet_has_no_bill(self, tiny: LoadedModel) -> None:
        assert by_asset(operation_of(tiny.model, fleet_of_tiny(tiny.model, 0, 0))) == {}

    def test_heat_beyond_the_cooling_is_not_billed(self, tiny: LoadedModel) -> None:
        """Of 4.25 MW in the west 3 MW are cooled; all requests are served all the same."""
        fleet = fleet_of_tiny(tiny.model, 1000, 400, west_chillers={"chiller-3": 1, "chiller-1": 0})

        found = by_asset(operation_of(tiny.model, fleet))

        assert found["west-gpus"] == pytest.approx(4.25 * WEST)
        assert found["west-chillers/chiller-3"] == pytest.approx(3 * 0.15 * WEST)
        assert found["east-gpus"] == pytest.approx(1.75 * EAST)

    def test_transport_is_billed_by_request(self) -> None:
        """All requests of the east travel: 3 USD a million, 300 a second for a year."""
        price = "zones.east-users.transport_usd_per_million_requests={west: 3.0}"
        model = load_model("tiny", (price,)).model

        found = by_asset(operation_of(model, fleet_of_tiny(model, 1100, 0)))

        assert found["normal operation"] == pytest.approx(3.0 * 300 * 3600 * HOURS / 1e6)

    def test_measures_take_effect(self) -> None:
        """A tank and a second feed do not change what runs."""
        loaded = load_model("chatgpt-2023-measures")
        bought = frozenset({"tank-us-west", "second-feed-us-west"})
        fleet = replace(Fleet.existing(loaded.model), measures=bought)

        found = by_asset(operation_of(loaded.model, fleet))

        changed = with_measures(loaded.model, bought)
        assert found == by_asset(operation_of(changed, replace(fleet, measures=frozenset())))
        assert found == by_asset(operation_of(loaded.model, Fleet.existing(loaded.model)))
