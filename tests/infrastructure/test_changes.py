"""Changing a model by path is what ``--set`` does to its file."""

from __future__ import annotations

from typing import Any

import pytest

from planner.infrastructure.changes import changed, setting, value_at
from planner.infrastructure.loading import load_model

CHANGES: list[tuple[str, Any]] = [
    ("regions.west.power_limit_mw", 72.4),
    ("clusters.east-gpus.max_gpus", 900),
    ("policies.least_regions", 1),
    ("policies.spare_block_per_region", True),
    ("policies.forbidden.gpus", ("west-gpus",)),
    ("policies.fixed.gpus.east-gpus", 300),
    ("policies.fixed.cooling.west-chillers.chiller-3", 2),
    ("policies.capital_budget_usd", 14_100_000.0),
    ("standard.region[2].least_served", 0.861),
    ("standard.region.0.from_minute", 7.0),
    ("generators.heat_wave", None),
]


@pytest.mark.parametrize(("path", "value"), CHANGES)
def test_a_change_in_memory_equals_a_setting(path: str, value: Any) -> None:
    model = load_model("tiny").model
    assert changed(model, {path: value}) == load_model("tiny", (setting(path, value),)).model
    assert value_at(changed(model, {path: value}), path) == value
    assert model == load_model("tiny").model


def test_a_change_to_none_removes_an_entry_of_a_table() -> None:
    model = load_model("tiny").model
    assert changed(model, {"offers.cloud": None}).offers == {}


def test_all_changes_together() -> None:
    model = load_model("tiny").model
    settings = tuple(setting(path, value) for path, value in CHANGES)
    assert changed(model, dict(CHANGES)) == load_model("tiny", settings).model


@pytest.mark.parametrize("path", ["regions.north.power_limit_mw.x", "nothing", "finance.nothing"])
def test_a_path_without_a_field_is_a_key_error(path: str) -> None:
    model = load_model("tiny").model
    with pytest.raises(KeyError):
        changed(model, {path: 1.0})
    with pytest.raises(KeyError):
        value_at(model, path)


def test_a_name_with_dots_is_taken_whole() -> None:
    model = load_model("tiny").model
    offer = model.offers["cloud"].replace(name="cloud.v2")
    dotted = model.replace(offers={"cloud.v2": offer})
    after = changed(dotted, {"offers.cloud.v2.available_gpus": 8})
    assert after.offers["cloud.v2"].available_gpus == 8
    assert value_at(dotted, "offers.cloud.v2.available_gpus") == offer.available_gpus
