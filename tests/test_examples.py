"""The examples in docstrings of the simulator, scenarios, reliability and pytest support hold."""

from __future__ import annotations

import doctest
import pkgutil
from importlib import import_module

import pytest

PACKAGES = ("simulation", "scenarios", "reliability", "replay", "pytest_support")


@pytest.mark.parametrize("package", PACKAGES)
def test_examples_in_docstrings_hold(package: str) -> None:
    found = import_module(f"planner.{package}")
    names = [module.name for module in pkgutil.iter_modules(found.__path__)]
    results = {name: doctest.testmod(import_module(f"planner.{package}.{name}")) for name in names}
    assert sum(result.attempted for result in results.values()) > 0
    assert [name for name, result in results.items() if result.failed] == []
