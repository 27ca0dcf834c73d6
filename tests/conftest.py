"""Fixtures that many tests share."""

from __future__ import annotations

import pytest
from support import judged_once, sampled_once

from planner.infrastructure.loading import LoadedModel, load_model
from planner.simulation import verdict

#: Files that take longest; each stays in one process.
LONGEST = {
    "test_baseline_options",
    "test_diagnosis",
    "test_docs",
    "test_enumeration",
    "test_equivalence",
    "test_explanation",
    "test_finance",
    "test_first_hour",
    "test_frontier",
    "test_infeasible",
    "test_interrupt",
    "test_json_output",
    "test_losses",
    "test_measures",
    "test_measures_of_2023",
    "test_metamorphic",
    "test_monotonicity",
    "test_nothing_left",
    "test_plugin",
    "test_process_model",
    "test_replay_command",
    "test_report",
    "test_rule_of_thumb",
    "test_scenario_selection",
    "test_solvers",
    "test_verification",
    "test_workbook",
}


@pytest.fixture(scope="session")
def tiny() -> LoadedModel:
    """The shipped two-region model."""
    return load_model("tiny")


@pytest.fixture(scope="session")
def reference() -> LoadedModel:
    """The shipped platform of 2023."""
    return load_model("chatgpt-2023")


@pytest.fixture
def each_simulation_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulate the same plan of the same model once, for tests of what is made of verdicts."""
    monkeypatch.setattr(verdict, "_judge_part", judged_once)


@pytest.fixture
def each_sampling_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sample the failures of the same fleet once, for tests of what is made of them."""
    monkeypatch.setattr("planner.finance.study.sample_occurrences", sampled_once)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first, so that no process waits for another at the end."""
    items.sort(key=lambda item: item.path.stem not in LONGEST)
    items.sort(key=lambda item: item.path.stem != "test_readme")
