"""Bad input ends every command with 2, all problems on standard error, and nothing written."""

from __future__ import annotations

import pytest
from support import run_plan

MODEL_COMMANDS = ["check", "optimize", "simulate"]
BROKEN = """\
extends: tiny
regions:
  west: {power_limit_mw: -1.0}
clusters:
  west-gpus: {region: wst}
tiers:
  free: {colour: red}
"""


@pytest.fixture
def broken(tmp_path):
    path = tmp_path / "broken.yaml"
    path.write_text(BROKEN)
    return path


@pytest.mark.parametrize("command", MODEL_COMMANDS)
def test_all_problems_are_reported_with_their_places(plan, broken, command):
    ran = plan(command, broken)
    assert ran.code == 2
    assert ran.out == ""
    lines = ran.err.splitlines()
    assert lines[0] == "3 problems in the input:"
    assert [line.split(": ")[0].strip() for line in lines[1:]] == [
        f"{broken}:3:10",
        f"{broken}:5:15",
        f"{broken}:7:10",
    ]
    assert "did you mean `west`?" in lines[2]


@pytest.mark.parametrize("command", MODEL_COMMANDS)
def test_an_unknown_model_is_reported_with_the_nearest_name(plan, command):
    ran = plan(command, "tny")
    assert ran.code == 2
    assert ran.err.startswith("1 problem in the input:\n  tny: no such file or shipped model")
    assert "did you mean `tiny`?" in ran.err


@pytest.mark.parametrize("command", MODEL_COMMANDS)
def test_json_output_stays_empty_on_bad_input(plan, broken, command):
    ran = plan(command, broken, "--json")
    assert (ran.code, ran.out) == (2, "")


@pytest.mark.parametrize("command", MODEL_COMMANDS)
@pytest.mark.parametrize(
    "content",
    [b"", b"\x00\xff", b"a: [", b"- a\n", b"a: &a [*a]\n", b'"\\ud800\\e[2J": 1\n', b"regions: {}"],
)
def test_hostile_files_end_with_exit_code_2(plan, tmp_path, command, content):
    path = tmp_path / "model.yaml"
    path.write_bytes(content)
    ran = plan(command, path)
    assert (ran.code, ran.out) == (2, "")
    assert all(line.isprintable() for line in ran.err.splitlines())


@pytest.mark.parametrize("command", MODEL_COMMANDS)
def test_wrong_settings_are_reported_with_the_nearest_name(plan, command):
    ran = plan(command, "tiny", "--set", "regions.wst.power_limit_mw=5", "--set", "finance.x=1")
    assert ran.code == 2
    assert "--set finance.x=1: finance.x: is not a field here" in ran.err
    assert "`wst` is not among regions (west, east); did you mean `west`?" in ran.err


class TestNothingIsWritten:
    @pytest.mark.parametrize(
        "arguments",
        [
            ["BROKEN"],
            ["tiny", "--set", "finance.discount_rate=2"],
            ["tiny", "--solver", "nosuch"],
            ["nowhere.yaml"],
        ],
    )
    def test_bad_input_makes_no_folder(self, plan, broken, tmp_path, arguments):
        target = tmp_path / "out"
        chosen = [broken if argument == "BROKEN" else argument for argument in arguments]
        ran = plan("optimize", *chosen, "-o", target)
        assert ran.code == 2
        assert ran.out == ""
        assert not target.exists()

    def test_bad_input_leaves_an_earlier_plan_untouched(self, plan, broken, tiny_plan):
        before = {path.name: path.read_bytes() for path in tiny_plan.iterdir()}
        assert plan("optimize", broken, "-o", tiny_plan).code == 2
        assert {path.name: path.read_bytes() for path in tiny_plan.iterdir()} == before

    def test_a_target_that_cannot_be_written_is_found_before_the_run(self, plan, tmp_path):
        file = tmp_path / "file"
        file.write_text("")
        ran = plan("optimize", "tiny", "-o", file / "out")
        assert ran.code == 2
        assert "cannot be written" in ran.err
        assert "round 1" not in ran.err
        assert plan("optimize", "tiny", "-o", file).code == 2


def test_a_real_process_reports_bad_input_without_a_traceback(broken, tmp_path):
    """One real process: exit code, streams, no traceback."""
    ran = run_plan("optimize", str(broken), "-o", "out", cwd=tmp_path)
    assert ran.returncode == 2
    assert ran.stdout == ""
    assert ran.stderr.startswith("3 problems in the input:\n")
    assert "Traceback" not in ran.stderr
    assert not (tmp_path / "out").exists()
