"""Text of failed scenarios: headlines, sparklines, breaches."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.infrastructure.failures import Scenario
from planner.pytest_support.failure_text import BARS, fractions, happening, sparkline


@given(st.floats(0.0, 1.0), st.floats(0.0, 1.0))
def test_what_falls_short_is_never_shown_as_enough(value: float, required: float) -> None:
    shown, needed = fractions(value, required)

    if value < required - 1e-6:
        assert float(shown) <= value + 1e-9
        assert float(shown) < required
    assert float(needed) == pytest.approx(required, rel=1e-5)


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=40))
def test_sparkline_rises_and_falls_with_its_values(values: list[float]) -> None:
    steps = [BARS.index(one) for one in sparkline(np.array(values), 0.0, 1.0)]

    assert len(steps) == len(values)
    for (value, step), (other, next_step) in zip(
        zip(values, steps, strict=True), zip(values[1:], steps[1:], strict=True), strict=False
    ):
        assert (step <= next_step) == (value <= other) or step == next_step
    assert all(
        (step == len(BARS) - 1) <= (value > 0.999)
        for value, step in zip(values, steps, strict=True)
    )


EVENTS = {
    "region us-west is lost": {"kind": "region", "name": "us-west"},
    "feed feed-1 is lost and its generators fail": {
        "kind": "feed",
        "name": "feed-1",
        "generators_start": False,
    },
    "hall loses 2 × loop": {"kind": "units", "plant": "hall", "unit": "loop", "count": 2},
    "hall loses its largest unit": {"kind": "largest-units", "plant": "hall"},
    "the voltage of feed-1 sags and cooling units trip": {"kind": "sag", "feed": "feed-1"},
    "us-west is 5 °C above its design ambient": {
        "kind": "heat",
        "region": "us-west",
        "rise_c": 5.0,
    },
    "demand of all zones rises to 1.5 times normal": {"kind": "surge", "factor": 1.5},
}


def _scenario(*events: dict[str, object]) -> Scenario:
    many = [{"repair_minutes": 60.0} | event for event in events]
    return Scenario.model_validate(
        {"name": "storm", "severity": "common", "frequency_per_year": 1.0, "events": many}
    )


@pytest.mark.parametrize(("words", "event"), EVENTS.items())
def test_events_are_named_shortly(words: str, event: dict[str, object]) -> None:
    assert happening(_scenario(event)) == words


def test_many_events_go_by_the_name_of_their_scenario() -> None:
    two, three = list(EVENTS.values())[:2], list(EVENTS.values())[:3]

    assert (
        happening(_scenario(*two))
        == "region us-west is lost and feed feed-1 is lost and its generators fail"
    )
    assert happening(_scenario(*three)) == "storm"
