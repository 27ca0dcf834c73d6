"""The examples in docstrings of the simulator, scenarios, reliability and pytest support hold."""

from __future__ import annotations

import doctest
import pkgutil
from importlib import import_module

import pytest

PACKAGES = ("simulation", "scenarios", "reliability", "replay", "pytest_support")


@pytest.fixture(scope="module")
def results() -> dict[str, doctest.TestResults]:
    """Examples tried and failed, by module."""
    found = {}
    for package in PACKAGES:
        path = import_module(f"planner.{package}").__path__
        for module in pkgutil.iter_modules(path, f"planner.{package}."):
            found[module.name] = doctest.testmod(import_module(module.name))
    return found


def test_examples_in_docstrings_hold(results: dict[str, doctest.TestResults]) -> None:
    assert [name for name, result in results.items() if result.failed] == []
    assert sum(result.attempted for result in results.values()) > 10
