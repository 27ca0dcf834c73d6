"""The examples in the docstrings of the laws hold."""

from __future__ import annotations

import doctest
import pkgutil
from importlib import import_module

import pytest

import planner.laws

MODULES = sorted(module.name for module in pkgutil.iter_modules(planner.laws.__path__))


@pytest.mark.parametrize("name", MODULES)
def test_examples_hold(name: str) -> None:
    result = doctest.testmod(import_module(f"planner.laws.{name}"))
    assert result.attempted > 0
    assert result.failed == 0
