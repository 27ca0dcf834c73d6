"""A roadmap of `tiny` that many tests look at."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from planner import OrderPlan, plan_roadmap
from planner.commands import main
from planner.infrastructure.loading import LoadedModel, load_model
from planner.optimization.solution.settings import SolverSettings
from planner.roadmap.files import write_roadmap
from planner.roadmap.making import make
from planner.roadmap.records import Roadmap
from planner.roadmap.result import RoadmapResult

SETTINGS = SolverSettings(gap=1e-4)
GROWING = """
extends: tiny
horizon:
  start: 2026-01
  period: half-year
  periods: 4
  growth: {demand: {per_year: 0.2}}
  paths:
    low: {probability: 0.4, from_period: 3, growth: {demand: {per_year: 0.05}}}
    high: {probability: 0.6, from_period: 3, growth: {demand: {per_year: 0.5}}}
  prices: {gpus: {accelerator: {per_year: -0.2}}}
  order_months: {gpus: 3, halls: 12, cooling: 12}
"""

#: Runs the command line in this process: exit code, standard output and errors.
Told = Callable[..., tuple[int, str, str]]


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Told:
    """Run ``plan``."""
    monkeypatch.setenv("COLUMNS", "80")

    def run(*arguments: str | Path) -> tuple[int, str, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as caught:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return int(caught.value.code or 0), captured.out, captured.err

    return run


@pytest.fixture(scope="session")
def growing_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """File of a growing model with lead times and two paths."""
    path = tmp_path_factory.mktemp("roadmap") / "growing.yaml"
    path.write_text(GROWING)
    return path


@pytest.fixture(scope="session")
def growing(growing_file: Path) -> LoadedModel:
    """The model of the file."""
    return load_model(growing_file)


@pytest.fixture(scope="session")
def made(growing: LoadedModel) -> tuple[RoadmapResult, Roadmap]:
    """Its roadmap, with some delays priced."""
    result, roadmap = make(growing, SETTINGS, delays=2)
    assert roadmap is not None
    return result, roadmap


@pytest.fixture(scope="session")
def ordered() -> OrderPlan:
    """The roadmap of the smallest shipped model that has one, without delays."""
    return plan_roadmap("tiny-roadmap", settings=SolverSettings(gap=0.01), delays=0)


@pytest.fixture(scope="session")
def roadmap(ordered: OrderPlan) -> Roadmap:
    """The same as it is written down."""
    return ordered.roadmap


@pytest.fixture(scope="session")
def folder(roadmap: Roadmap, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its folder."""
    folder = tmp_path_factory.mktemp("years") / "years"
    write_roadmap(roadmap, folder)
    return folder
