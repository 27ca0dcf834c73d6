"""Hours of the week that matter to a failure: what is planned for implies what is left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from random import Random

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from optimization.drawing import draw, model_from
from support import often

from planner.infrastructure.entities import Model
from planner.infrastructure.failures import Scenario
from planner.infrastructure.loading import LoadedModel, load_model
from planner.laws.calendar import on_day
from planner.optimization.formulation import time_slices
from planner.optimization.formulation.build import build
from planner.optimization.formulation.problem import ProblemData
from planner.optimization.solution.decisions import Decision, bounded, counts, settled
from planner.optimization.solution.hours import PlannedHours, planned_hours
from planner.optimization.solution.settings import SolverSettings
from planner.optimization.solution.solving import solve
from planner.scenarios.demand import Floats, demand_at, largest_demand_by_hour, peak_hour
from planner.scenarios.generators import all_scenarios
from planner.scenarios.hours import at_hour, hottest_days

#: A plan that is nearly cheapest has next to nothing to spare.
ROUGH = SolverSettings(gap=0.01)


def through_the_day(seed: int) -> Model:
    """A random model of small blocks, with zones that are busy at different hours."""
    rng, data = Random(f"hours {seed}"), draw(seed)
    data["shapes"] = {
        name: [rng.choice([0.2, 0.5, 0.8, 1.0]) for _ in range(24)] for name in ("early", "late")
    }
    zone = data["zones"]["z0"]
    near = {region: rng.choice([10.0, 10.0, 80.0]) for region in data["regions"]}
    data["zones"]["z2"] = zone | {"latency_ms": near}
    for index, entry in enumerate(data["zones"].values()):
        entry |= {"shape": ("early", "late")[index % 2], "utc_offset_hours": rng.choice([0, 6])}
        entry["demand_rps"] *= rng.choice([0.3, 0.6, 0.9])
    for cluster in data["clusters"].values():
        cluster |= {"block_gpus": 5, "max_gpus": cluster["existing_gpus"] + rng.choice([200, 600])}
    for plant in data["plants"].values():
        plant["max_added"] = 20
    if rng.random() < 0.5:
        rule = {"tier": rng.choice(["each", "all", *data["tiers"]]), "from_minute": 5.0}
        rule |= {"zone": "each"} if rng.random() < 0.3 else {}
        least, late = rng.choice([0.5, 0.8, 1.0]), rng.choice([0.7, 1.0])
        rules = [rule | {"least_served": least}]
        rules.append({"tier": "each", "from_minute": 120.0, "least_served": late})
        data["standard"] = dict.fromkeys(data["standard"], rules)
    if len(data["regions"]) > 1:
        lost = rng.choice(list(data["regions"]))
        event = {"kind": "region", "name": lost, "repair_minutes": rng.choice([90.0, 600.0])}
        loss = {"severity": "region", "frequency_per_year": 0.5, "events": [event]}
        data["scenarios"]["lost"] = loss
    return model_from(data)


def failures_of(model: Model) -> tuple[Scenario, ...]:
    return tuple(scenario.replace(start_hour=None) for scenario in all_scenarios(model))


def at_hours(hours: PlannedHours, chosen: set[int]) -> tuple[Scenario, ...]:
    return tuple(at_hour(hours.failure, hour) for hour in sorted(chosen))


def has_recourse(data: ProblemData, bought: Mapping[Decision, float]) -> bool:
    """Whether purchases leave recourse in all scenarios of a problem."""
    programme = build(data)
    with bounded(programme, settled(bought)):
        return solve(programme, ROUGH).status != "infeasible"


def test_whatever_has_recourse_at_the_hours_planned_for_has_it_at_all_hours(monkeypatch) -> None:
    """The cheapest plan for the hours that matter, which has nothing to spare, is held to all.

    It has recourse at moments of every stage, or else in the programme of the hour.
    """
    seen = Counter[str]()
    for seed in range(often(8, 600)):
        model = through_the_day(seed)
        planned = list(planned_hours(model, failures_of(model)))
        kept = [at_hours(one, set(one.stand_in) or {peak_hour(model)}) for one in planned]
        programme = build(ProblemData(model, tuple(sum(kept, ())), {}))
        solution = solve(programme, ROUGH)
        seen[solution.status] += 1
        if solution.status == "infeasible":
            continue
        # Shapes repeat every day: the hours of one are all that there are.
        bought = counts(programme, solution.values)
        for one in planned:
            others = at_hours(one, set(range(24)) - set(one.stand_in))
            seen["left out"] += len(others)
            with monkeypatch.context() as patch:
                patch.setattr(time_slices, "demand_at", at_a_moment(Random(seed)))
                at_moments = has_recourse(ProblemData(model, others, {}), bought)
            seen["at moments"] += at_moments
            whole = at_moments or has_recourse(ProblemData(model, others, {}), bought)
            assert whole, f"seed {seed}: {one.failure.name}"
    assert min(seen["optimal"], seen["infeasible"]) >= 2
    assert seen["left out"] > 100
    assert seen["at moments"] > 10


def through_the_year(seed: int) -> Model:
    """The same with climates, some days of which are hotter than design ambient."""
    model, rng = through_the_day(seed), Random(f"year {seed}")
    climates = {}
    for region in model.regions:
        year = 20 + 15 * np.sin(np.arange(8760) / 8760 * 2 * np.pi + rng.uniform(-0.1, 0.1))
        year += 5 * np.sin(np.arange(8760) / 24 * 2 * np.pi + rng.uniform(0, 6))
        year += np.repeat([rng.gauss(0, 2) for _ in range(365)], 24)
        climates[region] = tuple(year.round(1).tolist())
    places = {
        name: place.replace(
            climate=name,
            design_ambient_c=round(
                float(np.quantile(climates[name], rng.choice([0.99, 0.999]))), 1
            ),
        )
        for name, place in model.regions.items()
    }
    plants = {name: plant.replace(redundancy=0) for name, plant in model.plants.items()}
    units = {
        name: kind.replace(derating_per_c=0.03, reference_ambient_c=25.0)
        for name, kind in model.cooling_units.items()
    }
    return model.replace(climates=climates, regions=places, plants=plants, cooling_units=units)


def test_whatever_has_recourse_on_the_days_planned_for_has_it_on_all_days() -> None:
    seen = Counter[str]()
    for seed in range(often(3, 300)):
        model, rng = through_the_year(seed), Random(seed)
        planned = list(planned_hours(model, failures_of(model)))
        kept = [
            at_hours(one, (set(one.stand_in) or {peak_hour(model)}) | set(one.on_days))
            for one in planned
        ]
        programme = build(ProblemData(model, tuple(sum(kept, ())), {}))
        solution = solve(programme, ROUGH)
        seen[solution.status] += 1
        if solution.status == "infeasible":
            continue
        bought = counts(programme, solution.values)
        for one in planned:
            seen["on days"] += len(one.on_days)
            days = [day for hour in range(24) for day in hottest_days(model, hour, 60.0)]
            wanted = {on_day(rng.randrange(168), rng.choice(days)) for _ in range(8)}
            others = at_hours(one, wanted - set(one.on_days))
            seen["left out"] += len(others)
            whole = has_recourse(ProblemData(model, others, {}), bought)
            assert whole, f"seed {seed}: {one.failure.name}"
    assert seen["optimal"] >= 2
    assert min(seen["left out"], seen["on days"]) > 30


def at_a_moment(rng: Random) -> Callable[[Model, float, Floats], Floats]:
    """Demand at some minute of a stage, most of which are corners of it."""

    def demand(model: Model, start_hour: float, minutes: Floats) -> Floats:
        minute = rng.choice([*minutes, *minutes, rng.uniform(minutes[0], minutes[-1])])
        return demand_at(model, start_hour, np.array([minute]))

    return demand


@settings(max_examples=often(20, 200), deadline=None)
@given(st.lists(st.floats(0, 20_000), min_size=1, max_size=5))
def test_largest_demand_by_hour_is_that_of_each_hour(minutes: list[float]) -> None:
    model = load_model("hyperscaler-12").model
    found = largest_demand_by_hour(model, minutes)
    for hour in (0, 71, 167):
        expected = demand_at(model, float(hour), np.array(minutes)).max(axis=1)
        np.testing.assert_allclose(found[hour], expected, rtol=1e-9)


def stand_ins(model: Model) -> dict[str, set[int]]:
    found = planned_hours(model, all_scenarios(model))
    return {hours.failure.name: set(hours.stand_in) for hours in found}


def test_hours_are_told_apart_only_where_demand_differs(tiny: LoadedModel) -> None:
    assert set(map(len, stand_ins(tiny.model).values())) == {0}


def test_a_region_that_demand_leans_on_through_the_day_matters_at_several_hours() -> None:
    found = stand_ins(load_model("chatgpt-2023").model)
    assert 2 <= len(found["region-us-west"]) <= 8
    # N+2 and normal operation cover two units at every hour.
    assert not found["2-units-us-west-loops"]


def test_services_with_limits_leave_out_only_hours_in_proportion() -> None:
    """The busy hour of one zone is not that of the other: neither stands for the other."""
    day = "[1, 1, 0.5, 0.5, 0.2" + ", 0.2" * 19 + "]"
    changes = (
        f"shapes.day={day}",
        "zones.west-users.shape=day",
        "zones.east-users={demand_rps: 300, shape: day, utc_offset_hours: -2, "
        "latency_ms: {west: 70, east: 10}}",
        "simulation.horizon_minutes=60",
        "generators.region={severity: region, repair_hours: 0.01}",
    )
    free = stand_ins(load_model("tiny", changes).model)
    store = "services={store: {plane: service, capacity_rps: 100, depends_on: []}}"
    bound = stand_ins(load_model("tiny", (*changes, store, "tiers.free.entry=store")).model)
    assert len(free["region-west"]) < len(bound["region-west"])
