"""The minimal models of `worlds`, loaded once."""

from __future__ import annotations

import pytest
from simulation.worlds import ONE, TWO
from support import model_of

from planner.infrastructure.entities import Model


@pytest.fixture(scope="session")
def one(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """One site."""
    return model_of(tmp_path_factory.mktemp("one"), ONE)


@pytest.fixture(scope="session")
def two(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """Two sites and a cloud offer."""
    return model_of(tmp_path_factory.mktemp("two"), TWO)
