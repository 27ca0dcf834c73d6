"""Emergency offers: what they are lost with, and from when they serve."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from simulation.worlds import changed, judged, lose, operating, run, scenario, surge
from support import model_of, solved

from planner.errors import InputError
from planner.infrastructure.entities import Model
from planner.infrastructure.failures import Event, Supply
from planner.infrastructure.graph import build_graph
from planner.infrastructure.loading import load_model
from planner.optimization.formulation.problem import ProblemData
from planner.optimization.formulation.time_slices import arrival_minute
from planner.scenarios.timeline import timeline_of


def _lost_offers(model: Model, region: str) -> frozenset[str]:
    timeline = timeline_of(model, build_graph(model), scenario(lose("region", region, at=10)))
    return timeline.intervals[1].state.offers_down


@pytest.mark.parametrize(
    ("place", "lost"),
    [
        ({"region": "near"}, {"cloud"}),
        ({"region": "far"}, set()),
        ({"region": None}, set()),
        ({"region": "near", "survives_region": True}, set()),
    ],
)
def test_an_offer_is_lost_with_the_region_it_stands_in(
    two: Model, place: dict[str, object], lost: set[str]
) -> None:
    model = changed(two, "offers", "cloud", **place)
    assert _lost_offers(model, "near") == lost


@pytest.mark.parametrize(("region", "served"), [("near", 0.0), ("far", 400.0)])
def test_a_lost_offer_serves_nothing(two: Model, region: str, served: float) -> None:
    model = changed(two, "offers", "cloud", region=region)
    model = changed(model, "zones", "users", demand_rps=1200.0)
    rented = run(model, lose("region", "near", at=10)).target("load_rps", "cloud")
    assert rented.max() == pytest.approx(served)


@pytest.mark.parametrize("failover", [0.0, 1.0, 4.0, 6.5])
@pytest.mark.parametrize("lead", [12.0, 20.25])
@pytest.mark.parametrize("wait", [0.0, 60.0])
def test_programme_and_simulator_agree_on_when_rented_capacity_serves(
    two: Model, failover: float, lead: float, wait: float
) -> None:
    model = operating(two, failover_minutes=failover, earliest_reroute_minutes=wait)
    model = changed(model, "offers", "cloud", lead_time_minutes=lead)
    model = changed(model, "zones", "users", demand_rps=1000.0)
    event = surge(1.6, 10, 1000) if not wait else lose("cluster", "first", at=10)

    serves = np.flatnonzero(run(model, event).target("load_rps", "cloud") > 1.0)

    timeline = timeline_of(model, build_graph(model), scenario(event))
    assert serves[0] == arrival_minute(model, timeline, "cloud")


def _short(delivers: float, at: float = 0, minutes: float = 1000, *providers: str) -> Event:
    return Supply(
        kind="supply",
        delivers=delivers,
        providers=providers,
        at_minute=at,
        repair_minutes=minutes,
    )


def _rented(model: Model, *events: Event) -> np.ndarray:
    return run(model, lose("cluster", "first", at=0), *events).target("load_rps", "cloud")


@pytest.mark.parametrize(("delivers", "gpus"), [(0.0, 0.0), (0.25, 100.0), (1.0, 400.0)])
def test_a_provider_delivers_a_share_of_what_is_reserved(
    two: Model, delivers: float, gpus: float
) -> None:
    busy = changed(two, "zones", "users", demand_rps=1200.0)
    assert _rented(busy, _short(delivers)).max() == pytest.approx(gpus)
    assert _rented(busy, _short(delivers, 0, 1000, "cloudy")).max() == pytest.approx(gpus)


def test_capacity_that_comes_later_serves_from_then_on(two: Model) -> None:
    """Nothing for an hour, then half of it; both last longer than the simulation or end in it."""
    busy = operating(changed(two, "zones", "users", demand_rps=1200.0), failover_minutes=3.0)
    rented = _rented(busy, _short(0.5), _short(0.0, 0, 60))
    assert rented[:63].max() == 0
    assert rented[63:] == pytest.approx(200.0)


def test_programme_and_simulator_agree_on_what_is_delivered_when(two: Model) -> None:
    busy = operating(changed(two, "zones", "users", demand_rps=1200.0), failover_minutes=3.0)
    events = (lose("cluster", "first", at=0), _short(0.5), _short(0.0, 0, 60))
    rented = run(busy, *events).target("load_rps", "cloud")
    data = ProblemData(busy, (scenario(*events),), {})
    for stage in data.stages:
        gpus = 400 * stage.delivered.get("cloud", 1.0) if "cloud" in stage.offers else 0.0
        shown = rented[int(stage.start_minute) : int(stage.end_minute)]
        assert shown == pytest.approx(np.full(len(shown), gpus))


def test_plan_reserves_more_where_less_is_delivered(tmp_path: Path) -> None:
    text = "extends: tiny\ngenerators: {provider_short: {severity: region}"
    half = model_of(tmp_path, text + ", provider_short_delivers: 0.5}")
    none = model_of(tmp_path, text + "}")
    fleets = [solved(model)[1].fleet for model in (load_model("tiny").model, half, none)]
    costs = [solved(model)[1].objective for model in (load_model("tiny").model, half, none)]
    assert costs[0] < costs[1] < costs[2]
    assert fleets[2].instances["cloud"] == 0 < fleets[0].instances["cloud"]


def test_shortage_without_a_failure_is_harmless(two: Model) -> None:
    assert judged(two, _short(0.0)).lost_requests == 0


@pytest.mark.parametrize(
    ("event", "message"),
    [
        ("{kind: supply, providers: [clody], repair_minutes: 9}", "`clody` is not a provider"),
        ("{kind: supply, delivers: 1.5, repair_minutes: 9}", "1.5"),
    ],
)
def test_wrong_shortages_are_refused(tmp_path: Path, event: str, message: str) -> None:
    text = f"scenarios: {{s: {{severity: common, frequency_per_year: 1.0, events: [{event}]}}}}"
    with pytest.raises(InputError, match=message):
        model_of(tmp_path, f"extends: tiny\n{text}")
