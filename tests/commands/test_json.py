"""JSON of shipped models and of a story.

That every command prints one document and nothing else is in `test_json_output`.
"""

from __future__ import annotations

import json

import pytest
from commands.conftest import Runs

from planner.infrastructure.catalogue import shipped_models
from planner.infrastructure.loading import load_model
from planner.scenarios.generators import all_scenarios

#: What is looked at is what is printed, not what comes of it.
SHORT = ("--set", "simulation.horizon_minutes=150")

#: Roadmaps have the entities of the models that they extend.
MODELS = [name for name in shipped_models() if not name.endswith("-roadmap")]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("command", ["check", "graph", "simulate"])
def test_shipped_models_give_valid_json(plan: Runs, command: str, model: str) -> None:
    scenarios = all_scenarios(load_model(model).model)
    one = ("--scenario", scenarios[-1].name, *SHORT) if command == "simulate" else ()

    ran = plan(command, model, *one, "--json", "-q")

    assert ran.code in (0, 4)
    assert ran.json
    if command == "simulate":
        assert [line["name"] for line in ran.json["scenarios"]] == [scenarios[-1].name]


def test_events_of_a_simulation_are_valid_json(plan: Runs) -> None:
    """Alerts count requests with numbers of NumPy."""
    ran = plan("simulate", "tiny", "--scenario", "region-west", "--json", "-q")

    (line,) = json.loads(ran.out)["scenarios"]
    assert {"minute", "clock", "text"} <= set(line["story"][0])
