"""The installed package works from any folder, as a wheel and as an editable install."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from support import CHECKOUT

import planner
from planner.commands.new import STARTER


def _run(command: list[str], cwd: Path, path: str = "") -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    if path:
        environment["PYTHONPATH"] = path
    return subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, check=False, timeout=300
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel built from a copy of the checkout."""
    source = tmp_path_factory.mktemp("source") / "checkout"
    kept = shutil.ignore_patterns(".*", "tests", "build", "dist", "*.egg-info", "out")
    shutil.copytree(CHECKOUT, source, ignore=kept)
    target = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(target)]
    done = _run(build, source)
    assert done.returncode == 0, done.stderr
    return next(target.glob("*.whl"))


def test_wheel_ships_models_and_datasets_as_private_data(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()

    assert "planner/models/chatgpt-2023.yaml" in names
    assert "planner/datasets/gpus.csv" in names
    assert {f"planner/starter/{file}" for file in STARTER.values()} <= set(names)
    assert "planner/datasets/incidents/chatgpt-2023/figures.csv" in names
    top_level = {name.split("/")[0] for name in names}
    assert {name for name in top_level if not name.endswith(".dist-info")} == {"planner"}


def test_wheel_works_from_another_folder(wheel: Path, tmp_path: Path) -> None:
    site, work = tmp_path / "site", tmp_path / "work"
    work.mkdir()
    zipfile.ZipFile(wheel).extractall(site)

    done = _run([sys.executable, "-m", "planner", "check", "chatgpt-2023"], work, str(site))

    assert done.returncode == 0, done.stderr
    assert "chatgpt-2023 is valid" in done.stdout
    where = [sys.executable, "-c", "import planner; print(planner.__file__)"]
    assert _run(where, work, str(site)).stdout.startswith(str(site))


def test_installed_command_works_from_another_folder(tmp_path: Path) -> None:
    command = Path(sys.executable).with_name("plan")
    if not command.exists():
        pytest.skip("the package is not installed in this environment")

    done = _run([str(command), "--version"], tmp_path)

    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[-1] == planner.__version__
    assert _run([str(command), "check", "tiny"], tmp_path).returncode == 0


def test_launcher_of_the_checkout_works_from_another_folder(tmp_path: Path) -> None:
    done = _run([sys.executable, str(CHECKOUT / "cli.py"), "check", "tiny"], tmp_path)

    assert done.returncode == 0, done.stderr
