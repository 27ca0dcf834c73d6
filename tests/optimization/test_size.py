"""What will not fit is said before it starts: estimates, memory, and what to do."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import pytest
from support import CHECKOUT

from planner import memory
from planner.commands import main
from planner.infrastructure.entities import Model
from planner.infrastructure.loading import load_model
from planner.optimization.decomposition import size
from planner.optimization.decomposition.parts import Decomposition
from planner.optimization.decomposition.size import GIB, TooLarge, check_fits, estimated
from planner.optimization.formulation.build import build
from planner.optimization.formulation.problem import ProblemData
from planner.optimization.solution.deadline import Deadline
from planner.optimization.solution.settings import SolverSettings
from planner.scenarios.generators import all_scenarios


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A synthetic model of 30 regions."""
    path = tmp_path_factory.mktemp("size") / "large.yaml"
    command = [sys.executable, CHECKOUT / "cli.py", "new", "--regions", "30", "-o", path, "-q"]
    subprocess.run(command, check=True)
    return path


@pytest.fixture(scope="module")
def model(large: Path) -> Model:
    return load_model(large).model


def data_of(model: Model, every: int = 1) -> ProblemData:
    return ProblemData(model, all_scenarios(model)[::every], {})


def with_memory(monkeypatch: pytest.MonkeyPatch, gib: float) -> None:
    monkeypatch.setattr(size, "available_bytes", lambda: gib * GIB)


@pytest.mark.parametrize("in_parts", [False, True])
def test_estimates_are_within_a_quarter_of_what_is_built(
    model: Model, monkeypatch: pytest.MonkeyPatch, in_parts: bool
) -> None:
    monkeypatch.setattr(size, "SMALL", 0)
    data = data_of(model, every=40)
    found = estimated(data, in_parts)
    assert found is not None

    if in_parts:
        parts = Decomposition(data, SolverSettings())
        parts.lay_out(Deadline(parts.settings))
        rows, columns = parts.size
    else:
        problem = build(data).problem
        rows, columns = len(problem.constraints), len(problem.variables)

    assert found.stages == pytest.approx(len(data.stages), rel=0.1)
    assert found.columns == pytest.approx(columns, rel=0.25)
    assert found.rows == pytest.approx(rows, rel=0.35)


def test_a_sample_stands_for_all_scenarios(model: Model) -> None:
    data = data_of(model)
    found = estimated(data, in_parts=True)
    assert found is not None
    assert "stages" not in vars(data)  # nobody has laid all of them out

    assert found.scenarios > 4 * size.SAMPLE
    assert found.stages == pytest.approx(len(data.stages), rel=0.25)


def test_small_programmes_are_not_estimated(tiny) -> None:
    assert check_fits(data_of(tiny.model), SolverSettings()) is None


def test_what_fits_is_told_and_what_does_not_is_refused(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = data_of(model)
    with_memory(monkeypatch, 1000.0)
    fits = check_fits(data, SolverSettings())
    assert fits is not None and fits.in_parts

    with_memory(monkeypatch, 0.9 * fits.memory_bytes / GIB)
    with pytest.raises(TooLarge, match="of these scenarios would fit") as refused:
        check_fits(data, SolverSettings())

    assert str(fits) in str(refused.value)
    assert "--only" in str(refused.value)
    assert "--hours" not in str(refused.value)


def test_one_programme_that_does_not_fit_is_advised_to_be_taken_apart(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = data_of(model)
    parts, whole = estimated(data, in_parts=True), estimated(data, in_parts=False)
    assert parts is not None and whole is not None
    assert whole.memory_bytes > 3 * parts.memory_bytes
    with_memory(monkeypatch, 1.5 * parts.memory_bytes / GIB)

    with pytest.raises(TooLarge, match="`--method decomposed` needs some"):
        check_fits(data, SolverSettings(method="extensive"))
    # CBC solves no parts.
    with pytest.raises(TooLarge, match="would fit"):
        check_fits(data, SolverSettings("cbc"))
    check_fits(data, SolverSettings())


@pytest.mark.parametrize("command", ["optimize", "frontier", "alternatives"])
def test_commands_say_so_before_they_start(
    large: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: str,
) -> None:
    with_memory(monkeypatch, 0.01)

    with pytest.raises(SystemExit) as ended:
        main([command, str(large)])

    assert ended.value.code == 1
    said = capsys.readouterr()
    assert not said.out
    assert said.err.startswith("Error: this will not fit into 0.0 GiB of memory: ")


class TestMemory:
    @pytest.fixture
    def system(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """Files of a system without limits that has 8 GiB free."""
        names = ("CGROUPS", "OWN_CGROUPS", "MEMINFO")
        for name in names:
            monkeypatch.setattr(memory, name, tmp_path / name)
        (tmp_path / "MEMINFO").write_text("MemTotal: 9 kB\nMemAvailable: 8388608 kB\n")
        return tmp_path

    @pytest.mark.usefixtures("system")
    def test_without_limits_it_is_what_the_machine_has_free(self) -> None:
        assert memory.available_bytes() == 8 * GIB

    @pytest.mark.parametrize(
        ("line", "folder", "limit", "used"),
        [
            ("0::/jobs/one", "jobs", "memory.max", "memory.current"),
            (
                "4:cpu,memory:/jobs/one",
                "memory/jobs/one",
                "memory.limit_in_bytes",
                "memory.usage_in_bytes",
            ),
        ],
    )
    def test_a_limit_on_a_group_or_one_above_it_counts(
        self, system: Path, line: str, folder: str, limit: str, used: str
    ) -> None:
        (system / "OWN_CGROUPS").write_text(f"7:pids:/x\n{line}\n")
        place = system / "CGROUPS" / folder
        place.mkdir(parents=True)
        (place / limit).write_text(f"{5 * 2**30}\n")
        (place / used).write_text(f"{2**30}\n")

        assert memory.available_bytes() == 4 * GIB

        (place / limit).write_text("max\n")
        assert memory.available_bytes() == 8 * GIB

    def test_a_limit_on_the_address_space_counts(self) -> None:
        resource = pytest.importorskip("resource")
        code = (
            "import resource; from planner.memory import available_bytes\n"
            "resource.setrlimit(resource.RLIMIT_AS, (2**31, resource.RLIM_INFINITY))\n"
            "print(available_bytes())"
        )
        ran = subprocess.run(
            [sys.executable, "-c", code], cwd=CHECKOUT, capture_output=True, text=True, check=True
        )
        assert resource is not None
        assert 0 < float(ran.stdout) < 2**31

    def test_a_system_that_does_not_say_has_no_limit(self, system: Path) -> None:
        (system / "MEMINFO").unlink()

        assert memory.available_bytes() == math.inf
