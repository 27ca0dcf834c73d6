"""Fixtures of the tests of the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from planner.commands import main


@dataclass(frozen=True)
class Ran:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output, which must hold nothing but JSON."""
        return json.loads(self.out)


Runs = Callable[..., Ran]


@pytest.fixture
def plan(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    each_simulation_once: None,  # noqa: ARG001
) -> Runs:
    """Run ``plan`` in this process."""
    monkeypatch.setenv("COLUMNS", "80")

    def run(*arguments: str | Path) -> Ran:
        capsys.readouterr()
        with pytest.raises(SystemExit) as caught:
            main([str(argument) for argument in arguments])
        assert isinstance(caught.value.code, int)
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        assert "Internal error" not in captured.err
        return Ran(caught.value.code, captured.out, captured.err)

    return run


@pytest.fixture(scope="session")
def tiny_plan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with the plan of the shipped two-region model."""
    folder = tmp_path_factory.mktemp("tiny") / "out"
    with pytest.raises(SystemExit) as caught:
        main(["optimize", "tiny", "--quiet", "--json", "-o", str(folder)])
    assert caught.value.code == 0
    return folder
