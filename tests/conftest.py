"""Fixtures that many tests share."""

from __future__ import annotations

import os
import shutil
import tempfile
import zipfile
from pathlib import Path

import pytest
from support import MEMORY, NETBOX, judged_once, sampled_once, solved_once

from planner.infrastructure.loading import LoadedModel, load_model
from planner.optimization.solution import solving
from planner.simulation import verdict

#: Files that begin. In a fresh clone the run of the README waits for machine code to be made, which
#: other processes would wait for too: meanwhile they have what simulates nothing.
FIRST = ("test_readme", "test_diagnosis", "test_workbook", "test_metamorphic", "test_enumeration")
#: Files that take longest; each stays in one process.
LONGEST = {
    "test_baseline_options",
    "test_cluster",
    "test_compiled",
    "test_docs",
    "test_equivalence",
    "test_every_day",
    "test_every_hour",
    "test_examples",
    "test_explanation",
    "test_finance",
    "test_first_hour",
    "test_frontier",
    "test_hyperscaler",
    "test_infeasible",
    "test_interrupt",
    "test_json_output",
    "test_losses",
    "test_measures",
    "test_measures_of_2023",
    "test_monotonicity",
    "test_nothing_left",
    "test_page",
    "test_pipelines",
    "test_plugin",
    "test_power_equivalence",
    "test_process_model",
    "test_replay_command",
    "test_report",
    "test_roadmap",
    "test_rule_of_thumb",
    "test_scenario_selection",
    "test_solvers",
    "test_survivors",
    "test_verification",
}


@pytest.fixture(scope="session")
def tiny() -> LoadedModel:
    """The shipped two-region model."""
    return load_model("tiny")


@pytest.fixture(scope="session")
def netbox(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a running NetBox 4.7 returned for a small estate, and totals worked out from it."""
    folder = tmp_path_factory.mktemp("netbox")
    with zipfile.ZipFile(NETBOX) as packed:
        packed.extractall(folder)
    return folder


@pytest.fixture(scope="session")
def export(netbox: Path) -> Path:
    """Folder of an export of NetBox."""
    return netbox / "export"


@pytest.fixture(scope="session")
def reference() -> LoadedModel:
    """The shipped platform of 2023."""
    return load_model("chatgpt-2023")


#: Tests of the simulation itself; all others are about what is made of its verdicts.
OF_SIMULATION = {"simulation", "scenarios", "reference", "replay", "known", "reliability"}
OF_THE_LOOP = {
    "test_cluster",
    "test_verification",
    "test_equivalence",
    "test_power_equivalence",
    "test_hyperscaler",
}


@pytest.fixture(autouse=True)
def each_simulation_once(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulate the same scenario on the same plan once in a run, where that is not the question."""
    if request.path.parent.name not in OF_SIMULATION and request.path.stem not in OF_THE_LOOP:
        monkeypatch.setattr(verdict, "_judged", judged_once)


#: Tests of what is made of plans: their programmes come again and again.
OF_PLANS = {"analysis", "commands", "explore", "finance", "plan", "plugin", "replay", "reporting"}
OF_PLANS |= {"test_docs"}
#: But these are of solvers, of what is kept of their answers, and of whether runs end alike.
OF_SOLVING = {"test_checkpoint", "test_interrupt", "test_plan_files", "test_rule_of_thumb"}


@pytest.fixture(autouse=True)
def each_programme_once(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Solve the same programme once in a run, where solving is not the question."""
    named = {request.path.parent.name, request.path.stem}
    if named & OF_PLANS and not named & OF_SOLVING:
        monkeypatch.setattr(solving, "_run_solver", solved_once)


#: Tests of the search for cheaper survivors, or of exactly what it finds.
OF_THE_SEARCH = {"test_hyperscaler", "test_readme", "test_survivors"}


@pytest.fixture(autouse=True)
def a_short_search(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Look for cheaper survivors no longer than it takes to find one, but where that is tested."""
    if request.path.stem not in OF_THE_SEARCH:
        monkeypatch.setattr("planner.survivors.MOST_SIMULATED", 100)
        monkeypatch.setattr("planner.below.MOST_TRIES", 400)


@pytest.fixture
def each_sampling_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sample the failures of the same fleet once, for tests of what is made of them."""
    monkeypatch.setattr("planner.finance.study.sample_occurrences", sampled_once)


def pytest_configure(config: pytest.Config) -> None:
    """Make the folder that the processes of this run share."""
    if not hasattr(config, "workerinput"):
        os.environ[MEMORY] = tempfile.mkdtemp(prefix="planner-tests-")


def pytest_unconfigure(config: pytest.Config) -> None:
    """Leave nothing of it."""
    if not hasattr(config, "workerinput"):
        shutil.rmtree(os.environ.pop(MEMORY), ignore_errors=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first, so that no process waits for another at the end."""
    first = {name: place for place, name in enumerate(FIRST)}
    items.sort(
        key=lambda item: (first.get(item.path.stem, len(FIRST)), item.path.stem not in LONGEST)
    )
