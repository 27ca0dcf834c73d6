"""``plan stress`` as a command; what it finds is tested elsewhere."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from planner.commands import main

SHORT = ("--set", "simulation.horizon_minutes=130")


def test_what_exists_in_tiny_breaks_and_fits_eighty_columns(plan, tmp_path):
    page = tmp_path / "stress.html"
    ran = plan("stress", "tiny", *SHORT, "-k", "2", "-o", page)
    assert ran.code == 4
    assert max(len(line.rstrip()) for line in ran.out.splitlines()) <= 80
    assert re.search(r"1 +10 +\d+ +\d+ +7", ran.out)
    assert "Two are judged by `double`" in ran.out
    assert "2 × unit-east-chillers" in ran.out
    assert "one failure alone is enough" in " ".join(ran.out.split())
    assert "2 failures at once: 33 sets" in ran.err
    text = page.read_text(encoding="utf-8")
    assert "<script" not in text
    assert text.count('class="scroll"') >= 3
    assert "region-west + region-east" in text


def test_a_plan_that_survives_its_units_exits_with_0(plan, tiny_plan, tmp_path):
    picture = tmp_path / "stress.svg"
    ran = plan("stress", "--plan", tiny_plan, "--only", "unit-*", "-k", "1", "-q", "-o", picture)
    assert ran.code == 0
    assert ran.err == ""
    assert "No set of up to 1 failure breaks the standard: all 2 that are judged" in ran.out
    drawn = ElementTree.parse(picture).getroot()
    assert drawn.tag.endswith("svg")


def test_json_says_how_sets_were_settled(plan):
    ran = plan("stress", "tiny", *SHORT, "--json", "-q", "-k", "3", "--only", "*-west*")
    assert (ran.code, ran.err) == (4, "")
    found = ran.json
    assert (found["survives"], found["complete"], found["smallest_is_proven"]) == (
        False,
        True,
        True,
    )
    for size in found["sizes"]:
        assert size["by_proof"] + size["simulated"] == size["sets"]
    assert sum(size["failing"] for size in found["sizes"]) == len(found["failing"])
    assert {tuple(one["failures"]) for one in found["minimal"]} <= {
        tuple(one["failures"]) for one in found["failing"]
    }
    assert found["classes"][-1] == "Three and more are judged by `region`."


def test_where_time_ends_first_it_exits_with_5(plan):
    ran = plan("stress", "tiny", *SHORT, "--time-limit", "1e-9")
    assert ran.code == 5
    assert "No set that is settled breaks the standard. 43 of 43 sets" in " ".join(ran.out.split())


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("stress") / "stress.json"
    with pytest.raises(SystemExit) as caught:
        main(["stress", "tiny", *SHORT, "-q", "--json", "--certificate", str(path)])
    assert caught.value.code == 4
    return path


def test_a_certificate_is_simulated_again(plan, certificate, tmp_path):
    ran = plan("stress", "tiny", *SHORT, "--check", certificate, "-q", "--share", "0.5")
    assert ran.code == 0
    assert "holds." in ran.out
    data = json.loads(certificate.read_bytes())
    failing = next(one for one in data["sets"] if one["status"] == "fails")
    failing["status"] = "survives"
    altered = tmp_path / "altered.json"
    altered.write_text(json.dumps(data), encoding="utf-8")
    ran = plan("stress", "tiny", *SHORT, "--check", altered, "-q", "--json")
    assert ran.code == 4
    assert ran.json["agrees"] is False
    assert len(ran.json["differences"]) == 1


def test_a_certificate_of_something_else_is_refused(plan, certificate, tiny_plan, tmp_path):
    ran = plan("stress", "tiny", "--check", certificate)
    assert ran.code == 2
    assert "is of model `tiny` as it was then" in ran.err
    ran = plan("stress", "tiny", "--plan", tiny_plan, *SHORT, "--check", certificate)
    assert ran.code == 2
    broken = tmp_path / "broken.json"
    broken.write_text("{", encoding="utf-8")
    ran = plan("stress", "tiny", "--check", broken)
    assert ran.code == 2
    assert "is no certificate of stress" in ran.err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("-k", "0"), "0 is not in the range"),
        (("--only", "nothing-*"), "matches none of 10 failures"),
        (("-o", "stress.png"), "expected a name that ends in .html or .svg"),
        (("-o", "absent/stress.html"), "is not a writable folder"),
        (("--certificate", "absent/stress.json"), "is not a writable folder"),
        (("--certificate", "a.json", "--check", "b.json"), "--check reads a certificate"),
        (("--share", "0.5"), "--share needs --check"),
        (("--check", "absent.json"), "cannot be read"),
        (
            ("--check", "a.json", "-k", "2", "-o", "a.svg"),
            "--at-once, --output does not apply to --check",
        ),
    ],
)
def test_wrong_input_exits_with_2(plan, options, said):
    ran = plan("stress", "tiny", *options)
    assert ran.code == 2
    assert said in " ".join(ran.err.split())
