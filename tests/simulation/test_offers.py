"""Emergency offers: what they are lost with, and from when they serve."""

from __future__ import annotations

import numpy as np
import pytest
from simulation.worlds import changed, lose, operating, run, scenario, surge

from planner.infrastructure.entities import Model
from planner.infrastructure.graph import build_graph
from planner.optimization.formulation.stages import NO_MARGIN
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
    assert serves[0] == arrival_minute(model, timeline, "cloud", NO_MARGIN)
