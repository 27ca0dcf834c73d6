"""Losses that somebody asks about."""

from __future__ import annotations

import pytest

from planner.errors import InputError
from planner.infrastructure.fleet import Fleet
from planner.scenarios.generators import all_scenarios
from planner.scenarios.loss import loss_of
from planner.simulation.verdict import judge


def test_a_region_asked_about_is_lost_as_the_generated_one(tiny):
    fleet = Fleet.existing(tiny.model)
    generated = next(s for s in all_scenarios(tiny.model) if s.name == "region-west")
    asked, nodes = loss_of(tiny.model, fleet, ["region:west"], None, "lose")
    assert (nodes, asked.severity) == (("region:west",), "region")
    one, other = judge(tiny.model, fleet, (asked, generated))
    assert one.lost_requests == pytest.approx(other.lost_requests)
    assert one.status == other.status


@pytest.mark.parametrize(
    ("wanted", "severity", "name"),
    [
        (["west-chillers"], "single", "loss-plant-west-chillers@Mon-18"),
        (["west-chillers,east-chillers"], "double", "loss-plant-west-chillers-and-1-more@Mon-18"),
        (
            ["west-chillers, west-air", "cloudy"],
            "extreme",
            "loss-plant-west-chillers-and-2-more@Mon-18",
        ),
        (["cloudy", "east"], "region", "loss-provider-cloudy-and-1-more@Mon-18"),
    ],
)
def test_class_and_name_follow_from_what_is_lost(tiny, wanted, severity, name):
    fleet = Fleet.existing(tiny.model)
    found, _ = loss_of(tiny.model, fleet, wanted, 18, "lose")
    assert (found.severity, found.name, found.start_hour) == (severity, name, 18.0)


def test_every_wrong_name_is_told(tiny):
    with pytest.raises(InputError) as caught:
        loss_of(tiny.model, Fleet.existing(tiny.model), ["wst", "free"], None, "--lose")
    said = [problem.message for problem in caught.value.problems]
    assert any("no node `wst`; did you mean `west`" in text for text in said)
    assert any("`free` is a tier; expected a plant, feed" in text for text in said)
