"""Stories: every turn of events in a sentence, in order, with minutes and time of day."""

from __future__ import annotations

import pytest
from simulation.worlds import changed, judged, operating

from planner.infrastructure.entities import Model
from planner.infrastructure.failures import Event, Heat, LargestUnitsLoss, NodeLoss, Surge, UnitLoss
from planner.simulation.story import describe

MINUTES = {"repair_minutes": 1000.0}
NEAR_IS_LOST = NodeLoss(kind="region", name="near", at_minute=10, **MINUTES)


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (
            UnitLoss(kind="units", plant="p", unit="u", count=3, **MINUTES),
            "p loses 3 × u",
        ),
        (
            LargestUnitsLoss(kind="largest-units", plant="p", count=1, **MINUTES),
            "p loses its largest unit",
        ),
        (
            LargestUnitsLoss(kind="largest-units", plant="p", count=2, **MINUTES),
            "p loses its 2 largest units",
        ),
        (
            Heat(kind="heat", region="r", rise_c=6.5, **MINUTES),
            "r is 6.5 °C hotter than designed for",
        ),
        (
            Surge(kind="surge", factor=1.2, **MINUTES),
            "demand of all zones rises to 1.2 times",
        ),
        (
            Surge(kind="surge", factor=2.0, zones=("a", "b"), **MINUTES),
            "demand of a, b rises to 2 times",
        ),
        (NodeLoss(kind="feed", name="f", **MINUTES), "feed f is lost"),
    ],
)
def test_events_in_words(event: Event, words: str) -> None:
    assert describe(event) == words


def told(model: Model, *events: Event, **changes: object) -> list[tuple[str, str]]:
    """Story as pairs of time of day and text."""
    return [(line.clock, line.text) for line in judged(model, *events, **changes).story]


def test_loss_of_a_region_and_cloud_in_its_place(two: Model) -> None:
    model = changed(two, "zones", "users", demand_rps=1000.0)
    assert told(model, NEAR_IS_LOST, start_hour=23.5) == [
        ("23:40", "region near is lost"),
        ("23:40", "requests fail: 40% of demand served"),
        ("23:40", "worst moment: 40% of demand served"),
        ("23:44", "second is overwhelmed: up to 2.5 times its usual traffic wants in"),
        ("00:24", "cloud serves with up to 400 emergency GPUs"),
        ("00:24", "all demand is served again"),
    ]


def test_a_shortage_that_lasts(two: Model) -> None:
    model = changed(two, "zones", "users", demand_rps=1000.0)
    model = changed(model, "offers", "cloud", existing_instances=0)
    last = judged(model, NEAR_IS_LOST).story[-1]
    assert (last.minute, last.text) == (119, "still only 60% served")


def test_gpus_left_off_to_fit_their_cooling(one: Model) -> None:
    loss = UnitLoss(kind="units", plant="chillers", unit="chiller", count=3, **MINUTES)
    texts = [text for _, text in told(one, loss)]
    assert "site runs 700 of 1,000 GPUs to fit its cooling" in texts
    assert "site throttles at 77 °C" in texts


def test_a_full_queue(one: Model) -> None:
    model = operating(one, priority_shedding="none", queue_limit_requests=20_000.0)
    texts = [text for _, text in told(model, Surge(kind="surge", factor=2.0, **MINUTES))]
    assert "the queue is full at 20,000 requests; more are dropped" in texts


def test_nothing_worth_telling_but_the_failure(two: Model) -> None:
    lost = NodeLoss(kind="provider", name="cloudy", **MINUTES)
    assert told(two, lost, start_hour=0) == [("00:00", "provider cloudy is lost")]
