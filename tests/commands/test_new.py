"""``plan new``."""

from __future__ import annotations

import pytest

from planner.infrastructure.loading import load_model
from planner.infrastructure.synthesis import model_text


def test_prints_a_model(plan):
    ran = plan("new", "--regions", "3", "--seed", "4")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == model_text(3, 4)


def test_prints_it_as_json_too(plan, tmp_path):
    ran = plan("new", "--regions", "2", "--json")
    assert (ran.code, ran.err) == (0, "")
    assert list(ran.json["regions"]) == ["us-east", "us-west"]
    path = tmp_path / "model.yaml"
    path.write_text(ran.out, encoding="utf-8")
    other = tmp_path / "other.yaml"
    other.write_text(model_text(2, 0), encoding="utf-8")
    assert load_model(path).model.clusters == load_model(other).model.clusters


def test_writes_a_file_that_checks(plan, tmp_path):
    path = tmp_path / "four.yaml"
    ran = plan("new", "--regions", "4", "--seed", "2", "-o", path)
    assert (ran.code, ran.out) == (0, "")
    assert "four.yaml: 4 regions, 8 clusters" in ran.err
    assert path.read_text(encoding="utf-8") == model_text(4, 2)
    assert [one.name for one in tmp_path.iterdir()] == ["four.yaml"]
    assert plan("check", path).code == 0


def test_says_in_json_what_it_wrote(plan, tmp_path):
    path = tmp_path / "two.yaml"
    ran = plan("new", "--regions", "2", "-q", "--json", "-o", path)
    assert (ran.code, ran.err) == (0, "")
    assert ran.json == {"file": str(path), "regions": 2, "seed": 0}


def test_overwrites_only_when_told(plan, tmp_path):
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
        ([], "--regions: is missing; expected --regions N, from 2 to 200"),
        (["--seed", "3"], "--regions: is missing"),
        (["--regions", "1"], "Expected regions in [2, 200], got 1: nothing would take over"),
        (["--regions", "1000"], "Expected regions in [2, 200], got 1000."),
        (["--regions", "2", "--seed", "-1"], "Expected seed ≥ 0, got -1."),
        (["--regions", "two"], "'two' is not a valid integer"),
        (["--regions", "2", "-o", "."], "is a directory"),
        (["--regions", "2", "-o", "nowhere/x.yaml"], "cannot be written: No such file"),
        (["--seed"], "requires an argument"),
        (["models"], "unexpected extra argument"),
    ],
)
def test_wrong_input(plan, arguments, message):
    ran = plan("new", *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert message in ran.err
