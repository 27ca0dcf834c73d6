"""JSON of every shipped model, of a model without a plan and of a story.

That every command prints one document and nothing else is in `test_json_output`.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from commands.conftest import Runs

from planner.infrastructure.catalogue import shipped_models
from planner.infrastructure.loading import load_model
from planner.scenarios.generators import all_scenarios

#: What is looked at is what is printed, not what comes of it.
SHORT = ("--set", "simulation.horizon_minutes=150")

NO_PLAN = """extends: tiny
generators:
  unit: null
  units: {severity: double, frequency_per_year: 0.02, repair_hours: 30.0}
  plant: {severity: double, frequency_per_year: 0.07, repair_hours: 12.0}
simulation: {horizon_minutes: 150}
"""


@pytest.mark.parametrize("model", shipped_models())
@pytest.mark.parametrize("command", ["check", "graph", "simulate"])
def test_every_shipped_model_gives_valid_json(plan: Runs, command: str, model: str) -> None:
    scenarios = all_scenarios(load_model(model).model)
    one = ("--scenario", scenarios[-1].name, *SHORT) if command == "simulate" else ()

    ran = plan(command, model, *one, "--json", "-q")

    assert ran.code in (0, 4)
    assert ran.json
    if command == "simulate":
        assert [line["name"] for line in ran.json["scenarios"]] == [scenarios[-1].name]


def test_an_infeasible_model_gives_valid_json(plan: Runs, tmp_path: Path) -> None:
    """What would have to change is part of a model: entities, not plain values."""
    path = tmp_path / "none.yaml"
    path.write_text(NO_PLAN, encoding="utf-8")

    ran = plan("optimize", path, "--json", "-q")

    assert ran.code == 3
    assert ran.json["relaxations"]


def test_events_of_a_simulation_are_valid_json(plan: Runs) -> None:
    """Alerts count requests with numbers of NumPy."""
    ran = plan("simulate", "tiny", "--scenario", "region-west", "--json", "-q")

    (line,) = json.loads(ran.out)["scenarios"]
    assert {"minute", "clock", "text"} <= set(line["story"][0])
