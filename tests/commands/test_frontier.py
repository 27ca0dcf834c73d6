"""``plan frontier`` and ``plan alternatives`` as commands; their figures are tested elsewhere."""

from __future__ import annotations

import csv

import pytest


@pytest.fixture
def small(tmp_path):
    """A model that is simulated quickly."""
    text = "extends: tiny\nsimulation: {horizon_minutes: 150}\n"
    path = tmp_path / "small.yaml"
    path.write_text(text)
    return path


def test_frontier_lists_its_points_and_writes_files(plan, small, tmp_path):
    picture, table = tmp_path / "frontier.png", tmp_path / "frontier.csv"
    ran = plan("frontier", small, "--at", "0.7,1", "-o", picture)
    assert ran.code == 0
    assert max(len(line.rstrip()) for line in ran.out.splitlines()) <= 80
    assert "…" not in ran.out
    assert "1: 9.5" in ran.err
    assert picture.read_bytes().startswith(b"\x89PNG")

    ran = plan("frontier", small, "--by", "classes", "--at", "0,1", "--json", "-q", "-o", table)
    assert (ran.code, ran.err) == (0, "")
    none, single = ran.json["points"]
    assert (none["label"], single["label"]) == ("none", "+ single")
    assert none["usd_per_year"] < single["usd_per_year"]
    assert none["status"] == single["status"] == "survives"
    assert set(none["fleet"]) == {"cooling", "gpus", "instances", "opened", "measures"}
    with table.open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["label"] for row in rows] == ["none", "+ single"]
    assert float(rows[1]["usd_per_year"]) == single["usd_per_year"]


def test_a_point_without_a_plan_is_shown_as_infeasible(plan, small):
    tight = ("--set", "offers.cloud.available_gpus=0", "--set", "clusters.east-gpus.max_gpus=800")
    ran = plan("frontier", small, *tight, "--at", "0.7,1", "-q")
    assert ran.code == 4
    assert "fails" in ran.out
    assert "infeasible" in ran.out
    ran = plan("frontier", small, *tight, "--at", "1", "--json", "-q")
    assert ran.code == 3
    (point,) = ran.json["points"]
    assert point["usd_per_year"] is None
    assert point["reason"]


def test_a_frontier_whose_points_all_fail_exits_with_4(plan, small):
    ran = plan("frontier", small, "--by", "recovery", "--at", "0", "-q")
    assert ran.code == 4
    assert "fails" in ran.out


@pytest.mark.parametrize("beside", [("--by", "classes"), ("--by", "failures"), ("--at", "0.8,1")])
def test_points_is_refused_beside_given_points(plan, small, beside):
    ran = plan("frontier", small, *beside, "--points", "3")
    assert ran.code == 2
    assert "--points has no effect with" in ran.err


def test_alternatives_are_listed_and_written(plan, small, tmp_path):
    table = tmp_path / "some.csv"
    ran = plan("alternatives", small, "--within", "5", "--most", "2", "-q", "-o", table)
    assert (ran.code, ran.err) == (0, "")
    assert max(len(line.rstrip()) for line in ran.out.splitlines()) <= 80
    assert "What each buys instead" in ran.out
    with table.open() as stream:
        rows = list(csv.DictReader(stream))
    assert rows
    assert all(row["survives"] == "True" for row in rows)
    assert all(row["changes"][0] not in "=+-@" for row in rows)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("frontier", "tiny", "--at", "2"), "above 0 and up to 1"),
        (("frontier", "tiny", "--by", "failures", "--at", "9"), "no 9 on this axis"),
        (("frontier", "tiny", "--at", "x"), "not a valid float"),
        (("frontier", "tiny", "-o", "x.xyz"), "expected one of"),
        (("frontier", "tiny", "-o", "/nowhere/x.csv"), "is not a writable folder"),
        (("alternatives", "tiny", "--within", "0"), "percents above 0"),
        (("alternatives", "tiny", "-o", "x.txt"), "ends in .csv"),
        (("frontier", "tny"), "did you mean"),
    ],
)
def test_wrong_arguments_are_refused(plan, arguments, says):
    ran = plan(*arguments)
    assert (ran.code, ran.out) == (2, "")
    assert says in ran.err
