"""What the command line says about itself."""

from __future__ import annotations

import pytest

import planner
from planner.commands import COMMANDS


def test_plan_alone_prints_help_with_examples(plan):
    ran = plan()
    assert ran.code == 0
    assert ran.err == ""
    assert ran.out.startswith("Usage: plan [OPTIONS] [COMMAND] [ARGS]...\n")
    assert "plan optimize my-model.yaml -o out" in ran.out
    assert "Exit codes: 0 done and survivable" in ran.out
    for name, text in COMMANDS.items():
        assert name in ran.out
        assert text[:30] in ran.out
    assert max(map(len, ran.out.splitlines())) <= 80


def test_help_option_prints_the_same_as_plan_alone(plan):
    assert plan("--help").out.strip() == plan().out.strip()


def test_version_is_printed(plan):
    ran = plan("--version")
    assert (ran.code, ran.out) == (0, f"plan, version {planner.__version__}\n")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_and_the_common_options(plan, command):
    ran = plan(command, "--help")
    assert ran.code == 0
    assert f"Usage: plan {command}" in ran.out
    assert "--json" in ran.out
    assert "-q, --quiet" in ran.out
    assert ("--set PATH=VALUE" in ran.out) == (
        command not in {"catalogue", "completion", "import", "new", "schema", "verify"}
    )


@pytest.mark.parametrize(
    ("typed", "hint"), [("optimise", "optimize"), ("simluate", "simulate"), ("chekc", "check")]
)
def test_an_unknown_command_is_reported_with_the_nearest(plan, typed, hint):
    ran = plan(typed)
    assert ran.code == 2
    assert ran.out == ""
    assert f"No such command `{typed}`. Did you mean `{hint}`?" in ran.err


def test_an_unknown_command_near_nothing_gets_no_suggestion(plan):
    ran = plan("zzz")
    assert ran.code == 2
    assert "No such command `zzz`." in ran.err
    assert "Did you mean" not in ran.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["check", "--jsn"],
        ["check", "tiny", "another"],
        ["check", "--set"],
        ["optimize", "--gap", "2"],
        ["optimize", "--gap", "nan"],
        ["optimize", "--gap", "-0.1"],
        ["optimize", "--time-limit", "0"],
        ["optimize", "--time-limit", "inf"],
        ["optimize", "--threads", "0"],
        ["optimize", "--rounds", "0"],
        ["optimize", "--rounds", "many"],
        ["simulate", "--plan"],
    ],
)
def test_wrong_usage_exits_with_2(plan, arguments):
    ran = plan(*arguments)
    assert ran.code == 2
    assert ran.out == ""
    assert "Error: " in ran.err
