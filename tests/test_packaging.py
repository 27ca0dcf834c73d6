"""The installed package works from any folder, as a wheel and as an editable install."""

from __future__ import annotations

import importlib.util
import itertools
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version
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
    assert "planner/datasets/SOURCES.md" in names
    assert not [name for name in names if "test" in name and not name.startswith("planner/")]
    top_level = {name.split("/")[0] for name in names}
    assert {name for name in top_level if not name.endswith(".dist-info")} == {"planner"}


def test_wheel_has_every_module_and_nothing_that_is_none(wheel: Path) -> None:
    """A package that nobody added to the list of pyproject.toml would be missing."""
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    modules = {
        path.relative_to(CHECKOUT).as_posix() for path in (CHECKOUT / "planner").rglob("*.py")
    }
    assert {name for name in names if name.endswith(".py")} == modules
    kinds = {".py", ".typed", ".yaml", ".csv", ".md", ".txt"}
    odd = [name for name in names if Path(name).suffix not in kinds and "/assets/" not in name]
    assert not odd
    (record,) = (n for n in zipfile.ZipFile(wheel).namelist() if n.endswith(".dist-info/RECORD"))
    text = zipfile.ZipFile(wheel).read(record).decode()
    assert text.count("sha256=") == len(text.splitlines()) - 1  # all but itself


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


#: Programs that judge the code, of which only the newest versions are asked.
LINTERS = {
    "build",
    "cyclonedx-bom",
    "pip-audit",
    "uv",
    "import-linter",
    "mypy",
    "pandas-stubs",
    "ruff",
    "types-networkx",
}


def _pinned(name: str) -> dict[str, Requirement]:
    lines = (CHECKOUT / "constraints" / name).read_text().splitlines()
    found = [Requirement(line.removesuffix(" \\")) for line in lines if line[:1] not in "# "]
    return {canonicalize_name(one.name): one for one in found}


def _promised() -> dict[str, SpecifierSet]:
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    texts = [*project["dependencies"], *itertools.chain(*project["optional-dependencies"].values())]
    found: dict[str, SpecifierSet] = {}
    for one in map(Requirement, texts):
        name = canonicalize_name(one.name)
        found[name] = found.get(name, SpecifierSet()) & one.specifier
    return found


def _version(pin: Requirement) -> str:
    (only,) = pin.specifier
    assert only.operator == "=="
    return only.version


def test_lowest_constraints_are_the_lower_bounds_of_the_project() -> None:
    bounds = {
        name: {Version(one.version) for one in bound if one.operator == ">="}
        for name, bound in _promised().items()
        if name not in LINTERS
    }

    lowest = {name: {Version(_version(pin))} for name, pin in _pinned("lowest.txt").items()}

    assert lowest == bounds


def test_every_locked_file_has_a_hash_and_no_place() -> None:
    """Whoever serves the files, they are these."""
    text = (CHECKOUT / "constraints" / "locked.txt").read_text()
    pins = [pin for pin in text.split("\n") if "==" in pin]
    assert len(pins) == len(_pinned("locked.txt")) > 100
    assert all(pin.endswith(" \\") for pin in pins)
    hashes = [line for line in text.split("\n") if line.startswith("    ")]
    assert all(re.fullmatch(r"    --hash=sha256:[0-9a-f]{64}( \\)?", line) for line in hashes)
    assert not re.search("https?:|file:|index-url|find-links", text)


def test_licences_are_those_of_what_is_installed() -> None:
    """`python docs/licences.py` writes the page anew."""
    spec = importlib.util.spec_from_file_location("licences", CHECKOUT / "docs" / "licences.py")
    assert spec is not None and spec.loader is not None
    licences = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(licences)
    stated = licences.listed((CHECKOUT / "docs" / "licences.md").read_text("utf-8"))
    found = {name: licence for name, (licence, _) in licences.needed().items()}
    assert stated == found
    assert not [name for name, licence in stated.items() if "GPL" in licence]


def test_locked_versions_are_within_what_the_project_promises() -> None:
    locked = _pinned("locked.txt")

    for name, bound in _promised().items():
        assert bound.contains(_version(locked[name])), name
