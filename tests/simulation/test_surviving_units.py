"""Units of a plant that are left when its largest ones are lost."""

from __future__ import annotations

import pytest
from simulation.worlds import changed, scenario

from planner.infrastructure.entities import Model
from planner.infrastructure.failures import LargestUnitsLoss
from planner.infrastructure.fleet import Fleet
from planner.infrastructure.graph import build_graph
from planner.scenarios.timeline import timeline_of
from planner.simulation.system_states import surviving_units


@pytest.mark.parametrize(
    ("lost", "left"),
    [
        (1, {"fan": 2, "chiller": 2}),
        (3, {"fan": 2, "chiller": 0}),
        (4, {"fan": 1, "chiller": 0}),
    ],
)
def test_among_units_of_equal_size_running_ones_are_lost_first(
    one: Model, lost: int, left: dict[str, int]
) -> None:
    """A chiller that runs and a fan on standby carry a megawatt each."""
    model = changed(one, "plants", "chillers", existing={"fan": 2, "chiller": 3})
    loss = LargestUnitsLoss(kind="largest-units", plant="chillers", count=lost, repair_minutes=60)
    timeline = timeline_of(model, build_graph(model), scenario(loss))
    state = timeline.intervals[0].state
    assert surviving_units(model, Fleet.existing(model), state, "chillers") == left
