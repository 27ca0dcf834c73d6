"""``plan new``."""

from __future__ import annotations

import json
import sys

import pytest

from planner.commands.new import SCHEMA, STARTER
from planner.infrastructure.loading import load_model
from planner.infrastructure.schema import model_schema
from planner.infrastructure.synthesis import model_text

pytest_plugins = ["pytester"]
FILES = sorted({*STARTER, SCHEMA})


def test_new_prints_a_model(plan):
    ran = plan("new", "--regions", "3", "--seed", "4")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == model_text(3, 4)


def test_new_prints_a_model_as_json(plan, tmp_path):
    ran = plan("new", "--regions", "2", "--json")
    assert (ran.code, ran.err) == (0, "")
    assert list(ran.json["regions"]) == ["us-east", "us-west"]
    path = tmp_path / "model.yaml"
    path.write_text(ran.out, encoding="utf-8")
    other = tmp_path / "other.yaml"
    other.write_text(model_text(2, 0), encoding="utf-8")
    assert load_model(path).model.clusters == load_model(other).model.clusters


def test_new_writes_a_valid_model_file(plan, tmp_path):
    path = tmp_path / "four.yaml"
    ran = plan("new", "--regions", "4", "--seed", "2", "-o", path)
    assert (ran.code, ran.out) == (0, "")
    assert "four.yaml: 4 regions, 8 clusters" in ran.err
    assert path.read_text(encoding="utf-8") == model_text(4, 2)
    assert [path.name for path in tmp_path.iterdir()] == ["four.yaml"]
    assert plan("check", path).code == 0


def test_new_reports_the_written_file_as_json(plan, tmp_path):
    path = tmp_path / "two.yaml"
    ran = plan("new", "--regions", "2", "-q", "--json", "-o", path)
    assert (ran.code, ran.err) == (0, "")
    assert ran.json == {"file": str(path), "regions": 2, "seed": 0}


def test_new_overwrites_only_with_force(plan, tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("precious", encoding="utf-8")
    ran = plan("new", "--regions", "2", "-o", path)
    assert (ran.code, ran.out) == (2, "")
    assert "mine.yaml: exists; say --force to overwrite it" in ran.err
    assert path.read_text(encoding="utf-8") == "precious"
    assert plan("new", "--regions", "2", "-o", path, "--force").code == 0
    assert path.read_text(encoding="utf-8") == model_text(2, 0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name a folder for a starter model (plan new DIR), or say --regions N, from 2 to 200"),
        (["--seed", "3"], "or say --regions N"),
        (["--regions", "1"], "Expected regions in [2, 200], got 1: nothing would take over"),
        (["--regions", "1000"], "Expected regions in [2, 200], got 1000."),
        (["--regions", "2", "--seed", "-1"], "Expected seed ≥ 0, got -1."),
        (["--regions", "two"], "'two' is not a valid integer"),
        (["--regions", "2", "-o", "."], "is a directory"),
        (["--regions", "2", "-o", "nowhere/x.yaml"], "cannot be written: No such file"),
        (["--seed"], "requires an argument"),
        (["mine", "--regions", "2"], "DIR takes a starter model; --regions, --seed and -o make"),
        (["mine", "-o", "x.yaml"], "DIR takes a starter model"),
        (["mine", "--seed", "0"], "DIR takes a starter model"),
        (["mine", "another"], "unexpected extra argument"),
        (["file"], "file: is a file; name a folder"),
        (["file/below"], "cannot be written: Not a directory"),
    ],
)
def test_wrong_input_is_refused(plan, tmp_path, monkeypatch, arguments, message):
    (tmp_path / "file").touch()
    monkeypatch.chdir(tmp_path)
    ran = plan("new", *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert message in ran.err
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


# ----------------------------------------------------------------------------------------- starter


@pytest.fixture
def starter(plan, tmp_path):
    ran = plan("new", tmp_path / "mine")
    assert (ran.code, ran.out) == (0, "")
    assert f"wrote {', '.join(STARTER)}, {SCHEMA} to" in ran.err
    return tmp_path / "mine"


def test_starter_model_is_valid_and_commented(plan, starter):
    assert sorted(path.name for path in starter.iterdir()) == FILES
    assert plan("check", starter / "platform.yaml").code == 0
    lines = (starter / "platform.yaml").read_text(encoding="utf-8").splitlines()
    assert lines[0] == f"# yaml-language-server: $schema=./{SCHEMA}"
    assert max(map(len, lines)) <= 100
    for number, line in enumerate(lines):
        if line[:1].isalpha() and not line.startswith("description"):
            assert lines[number - 1].startswith("# "), f"{line} is not explained"
    assert json.loads((starter / SCHEMA).read_text(encoding="utf-8")) == model_schema()
    assert len((starter / "README.md").read_text(encoding="utf-8").splitlines()) <= 12


@pytest.mark.usefixtures("each_simulation_once")
def test_starter_tests_pass(starter, pytester, monkeypatch):
    """A run of its own in this process, which searches no longer than other tests."""
    for path in starter.glob("*.py"):  # modules that other tests leave may have the same names
        monkeypatch.delitem(sys.modules, path.stem, raising=False)
    options = ("--rootdir", str(starter), "-p", "no:hypothesispytest", "-p", "no:xdist")
    ran = pytester.runpytest_inprocess(*options, str(starter))
    ran.assert_outcomes(passed=3, xfailed=1)


def test_starter_keeps_existing_files_unless_forced(plan, starter):
    mine = starter / "platform.yaml"
    mine.write_text("precious", encoding="utf-8")
    (starter / "README.md").unlink()
    (starter / "other.txt").write_text("mine too", encoding="utf-8")
    ran = plan("new", starter)
    assert ran.code == 2
    assert ran.err.startswith("3 problems in the input:")
    assert "platform.yaml: exists; say --force to overwrite it" in ran.err
    assert mine.read_text(encoding="utf-8") == "precious"
    assert not (starter / "README.md").exists()
    assert plan("new", starter, "--force", "-q").err == ""
    assert plan("check", mine).code == 0
    assert sorted(path.name for path in starter.iterdir()) == sorted([*FILES, "other.txt"])


def test_starter_is_written_whole_or_not_at_all(plan, tmp_path):
    folder = tmp_path / "mine"
    (folder / "README.md").mkdir(parents=True)
    ran = plan("new", folder, "--force")
    assert ran.code == 2
    assert "README.md: cannot be written: is a directory" in ran.err
    assert [path.name for path in folder.iterdir()] == ["README.md"]


def test_starter_reports_the_written_files_as_json(plan, tmp_path):
    ran = plan("new", tmp_path / "mine", "--json", "-q")
    assert (ran.code, ran.err) == (0, "")
    assert ran.json == {"folder": str(tmp_path / "mine"), "files": [*STARTER, SCHEMA]}


def test_a_file_name_too_long_is_refused(plan, tmp_path):
    result = plan("new", tmp_path / ("x" * 300))
    assert result.code == 2
    assert "File name too long" in result.err
    assert list(tmp_path.iterdir()) == []
