"""Fixtures of the tests of model files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from planner.errors import InputError, Problem
from planner.infrastructure.loading import LoadedModel, load_model

Loads = Callable[..., LoadedModel]
Complains = Callable[..., tuple[Problem, ...]]


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str | bytes], Path]:
    """Write a file beside the models of a test."""

    def write_file(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write_file


@pytest.fixture
def load(write: Callable[[str, str | bytes], Path]) -> Loads:
    """Load a model from its text."""

    def load_text(text: str | bytes, *overrides: str, name: str = "model.yaml") -> LoadedModel:
        return load_model(write(name, text), overrides)

    return load_text


@pytest.fixture
def complaints(load: Loads) -> Complains:
    """Problems of a model that must not load."""

    def problems_of(
        text: str | bytes, *overrides: str, name: str = "model.yaml"
    ) -> tuple[Problem, ...]:
        with pytest.raises(InputError) as caught:
            load(text, *overrides, name=name)
        assert caught.value.exit_code == 2
        assert caught.value.problems
        return caught.value.problems

    return problems_of


@pytest.fixture(scope="session")
def tiny_text() -> str:
    """Text of the shipped two-region model."""
    checkout = Path(__file__).resolve().parents[2]
    return (checkout / "models" / "tiny.yaml").read_text(encoding="utf-8")
