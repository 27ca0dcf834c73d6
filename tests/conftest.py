"""Fixtures that many tests share."""

from __future__ import annotations

import pytest
from support import judged_once

from planner.infrastructure.loading import LoadedModel, load_model
from planner.simulation import verdict


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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest test first, so that no process waits for another at the end."""
    items.sort(key=lambda item: "test_readme" not in item.nodeid)
