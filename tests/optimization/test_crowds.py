"""Room at every hour of the week: crowds against a flow for each hour."""

from __future__ import annotations

from random import Random

import networkx as nx
import numpy as np
import pytest
from optimization.drawing import drawn_model
from support import EXACT

from planner.infrastructure.entities import Model
from planner.infrastructure.loading import load_model
from planner.laws.flows import largest_flow, merit_order
from planner.optimization.formulation import crowds
from planner.optimization.formulation.build import build
from planner.optimization.formulation.crowds import missing_rps
from planner.optimization.formulation.problem import ProblemData
from planner.optimization.solution.audit import audit
from planner.optimization.solution.solving import solve

#: 1,000 GPUs in one region serve both zones, whose halves of the day never meet.
HALVES = (
    f"shapes={{half: {[1.0] * 12 + [0.0] * 12}}}",
    "zones.west-users={demand_rps: 900.0, shape: half, latency_ms: {west: 10.0}}",
    "zones.east-users={demand_rps: 900.0, shape: half, latency_ms: {west: 60.0}}",
)
APART = "zones.east-users.utc_offset_hours=12"


def around(seed: int) -> Model:
    """A random model whose zones are busy at different hours, and reach different regions."""
    model, rng = drawn_model(seed), Random(seed)
    week = {"wild": tuple(rng.random() for _ in range(168))}
    zones = {
        name: zone.replace(shape="wild", utc_offset_hours=rng.randint(-11, 11))
        for name, zone in model.zones.items()
    }
    return model.replace(zones=zones, shapes=week)


def missing_by_hour(data: ProblemData, rooms: dict[str, float]) -> float:
    """The same, by a flow at each of the 168 hours."""
    reach = {group.label: group.clusters for group in data.groups}
    return max(
        float(hour.sum()) - largest_flow(dict(zip(reach, hour.tolist(), strict=True)), reach, rooms)
        for hour in data.week_rps
    )


@pytest.mark.parametrize("seed", range(25))
def test_missing_capacity_is_that_of_a_flow_for_each_hour(seed: int) -> None:
    data, rng = ProblemData(around(seed), (), {}), Random(seed)
    rooms = {name: rng.choice([0.0, 50.0, 150.0, 400.0]) for name in data.model.clusters}
    assert data.exact_crowds
    if all(crowd.clusters for crowd in data.crowds):
        assert missing_rps(data.crowds, data.exact_crowds, rooms) == pytest.approx(
            missing_by_hour(data, rooms), abs=1e-6
        )
    else:
        assert missing_rps(data.crowds, data.exact_crowds, rooms) > 0


@pytest.mark.parametrize("seed", range(10))
def test_too_many_crowds_are_served_one_by_one(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Safe: never less than is missing, and the programme's plan passes the audit."""
    exact = ProblemData(around(seed), (), {})
    cost = solve(build(exact), EXACT).objective
    monkeypatch.setattr(crowds, "MOST_CROWDS", 0)
    data, rng = ProblemData(exact.model, (), {}), Random(seed)
    rooms = {name: rng.choice([0.0, 50.0, 150.0, 400.0]) for name in data.model.clusters}
    assert not data.exact_crowds
    assert missing_rps(data.crowds, data.exact_crowds, rooms) >= missing_by_hour(data, rooms) - 1e-6
    programme = build(data)
    solution = solve(programme, EXACT)
    if solution.status == "optimal":
        audit(programme, solution)
        assert solution.objective >= cost * (1 - 1e-9)


def test_peaks_at_different_hours_share_gpus() -> None:
    """900 requests/s at any hour: 1,000 GPUs at 95 % serve them, and no more are bought."""
    model = load_model("tiny", (*HALVES, APART)).model
    solution = solve(build(ProblemData(model, (), {})), EXACT)
    assert solution.fleet.gpus["west-gpus"] == 1000


def test_peaks_at_the_same_hour_need_gpus_for_both() -> None:
    model = load_model("tiny", HALVES).model
    solution = solve(build(ProblemData(model, (), {})), EXACT)
    assert solution.fleet.gpus["west-gpus"] == 1900


def test_energy_is_that_of_each_zones_own_mean() -> None:
    """West is flat, east is busy one hour in 24: 700 and 12.5 requests/s in the mean."""
    spike = ", ".join(["1.0"] + ["0.0"] * 23)
    model = load_model(
        "tiny", (f"shapes={{spike: [{spike}]}}", "zones.east-users.shape=spike")
    ).model
    data = ProblemData(model, (), {})
    assert data.mean_rps == pytest.approx({"west-users/business": 700, "east-users/business": 12.5})
    assert data.peak_rps == pytest.approx(1000.0)


def test_168_hours_of_12_zones_are_worked_out_at_once() -> None:
    week = np.abs(np.random.default_rng(1).normal(size=(168, 12)))
    kept = crowds.undominated(week)
    assert 0 < len(kept) <= 168
    assert (week[:, None, :] <= week[kept][None] + 1e-12).all(axis=2).any(axis=1).all()


@pytest.mark.parametrize("seed", range(40))
def test_the_largest_flow_is_that_of_networkx(seed: int) -> None:
    rng, network = Random(seed), nx.DiGraph()
    network.add_nodes_from(("from", "to"))
    room = {f"t{i}": rng.choice([0.0, rng.uniform(0, 4)]) for i in range(rng.randint(1, 7))}
    reach = {f"s{i}": rng.sample([*room, "gone"], rng.randint(0, len(room))) for i in range(9)}
    supply = {source: rng.choice([0.0, rng.uniform(0, 5)]) for source in reach}
    for source, amount in supply.items():
        network.add_edge("from", source, capacity=amount)
        network.add_edges_from((source, target) for target in reach[source])
    for target, most in room.items():
        network.add_edge(target, "to", capacity=most)
    expected = nx.maximum_flow_value(network, "from", "to")
    assert largest_flow(supply, reach, room) == pytest.approx(expected, abs=1e-9)


def test_merit_order_loads_the_cheapest_first_and_carries_all() -> None:
    supply, reach = {"a": 3.0, "b": 2.0}, {"a": ("x", "y"), "b": ("y",)}
    assert merit_order(supply, reach, [("y", 4.0), ("x", 5.0)]) == pytest.approx([4.0, 1.0])
    assert merit_order(supply, reach, [("x", 5.0), ("y", 4.0)]) == pytest.approx([3.0, 2.0])
    assert merit_order(supply, reach, [("x", 1.0), ("y", 0.0)]) == pytest.approx([1.0, 0.0])
