"""``--json``: standard output holds one JSON document, whatever solvers print on its descriptor."""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support import CHECKOUT

from planner.commands import COMMANDS, main

#: A full disk to write to.
FULL = pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
SHORT = ("--set", "simulation.horizon_minutes=130")
#: Nothing is sampled where nothing comes up.
NEVER = ("--only", "surge", "--set", "generators.surge.frequency_per_year=0")
#: Arguments of every command; PLAN stands for a folder with a plan, EXPORT for one of an inventory,
#: NEW for one yet to be made.
ARGUMENTS: dict[str, tuple[str, ...]] = {
    "optimize": ("tiny", *SHORT),
    "simulate": ("tiny", "--scenario", "surge", *SHORT),
    "roadmap": ("tiny-roadmap", "--delays", "0", *SHORT),
    "stress": ("tiny", "-k", "1", *SHORT),
    "explain": ("PLAN", "--quick"),
    "frontier": ("tiny", "--at", "0.5", *SHORT),
    "alternatives": ("tiny", "--within", "1", *SHORT),
    "compare": ("PLAN", "PLAN"),
    "verify": ("PLAN",),
    "check-plan": ("PLAN", "--fail-on", "capital > 900M"),
    "finance": ("tiny", "--plan", "PLAN", "--samples", "10", *NEVER),
    "report": ("PLAN", "-o", "NEW.html", "--no-finance"),
    "replay": ("chatgpt-2023",),
    "calibrate": ("azure-australia-east-2023",),
    "graph": ("tiny",),
    "import": ("netbox", "EXPORT"),
    "export": ("tiny", "-o", "NEW.xlsx"),
    "new": ("NEW",),
    "check": ("tiny",),
    "catalogue": ("gpus",),
    "schema": (),
}
#: Prints the script of a shell, with or without the option.
WITHOUT_JSON = {"completion"}
#: Serves a page until it is interrupted: `tests/explore`.
SERVES = {"explore"}


def test_every_command_with_json_is_tested() -> None:
    assert set(ARGUMENTS) | WITHOUT_JSON | SERVES == set(COMMANDS)


@pytest.mark.parametrize("command", list(ARGUMENTS))
def test_json_output_is_one_document(command, tiny_plan, export, tmp_path, capfd) -> None:
    places = {"PLAN": tiny_plan, "NEW": tmp_path / "new", "NEW.html": tmp_path / "new.html"}
    places |= {"EXPORT": export, "NEW.xlsx": tmp_path / "new.xlsx"}
    arguments = [str(places.get(part, part)) for part in ARGUMENTS[command]]
    capfd.readouterr()

    with pytest.raises(SystemExit) as caught:
        main([command, *arguments, "--json"])

    if os.name == "posix":
        ctypes.CDLL(None).fflush(None)  # what C prints waits in its buffers till the end
    assert caught.value.code in (0, 2, 4)  # 2: a plan that only costs has no return
    assert json.loads(capfd.readouterr().out)


@pytest.mark.parametrize("solver", ["highs", "cbc"])
def test_a_pipe_receives_the_json_document_alone(solver) -> None:
    """Buffers of C are written at the end of a process, where no test within sees it."""
    command = [sys.executable, str(CHECKOUT / "cli.py"), "optimize", "tiny", *SHORT]
    ran = subprocess.run(
        [*command, "--json", "-q", "--solver", solver], capture_output=True, check=False
    )

    assert json.loads(ran.stdout)["status"] == "optimal"
    assert ran.stderr == b""
    assert ran.returncode == 0


@pytest.mark.skipif(os.name != "posix", reason="closes standard output by a shell")
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("to", [">&-", ">&- 2>&-", pytest.param(">/dev/full", marks=FULL)])
def test_output_that_cannot_be_written_is_an_error(to: str, unbuffered: str) -> None:
    command = [sys.executable, str(CHECKOUT / "cli.py"), "check", "tiny", "--json"]
    ran = subprocess.run(
        ["sh", "-c", f'"$@" {to}', "sh", *command],
        capture_output=True,
        check=False,
        env=os.environ | {"PYTHONUNBUFFERED": unbuffered},
    )

    told = b"" if "2>" in to else b"Error: the output cannot be written: "
    assert ran.returncode == 1
    assert ran.stderr.startswith(told)
    assert ran.stderr.count(b"\n") == bool(told)


@pytest.mark.skipif(os.name != "posix", reason="closes standard output by a shell")
def test_a_closed_standard_output_is_told_after_the_plan_is_written(tmp_path) -> None:
    command = [sys.executable, str(CHECKOUT / "cli.py"), "optimize", "tiny", *SHORT, "-q"]
    line = f'"$@" -o {tmp_path / "out"} >&-'
    ran = subprocess.run(["sh", "-c", line, "sh", *command], capture_output=True, check=False)

    assert ran.returncode == 1
    assert ran.stderr == b"Error: the output cannot be written: Bad file descriptor\n"
    assert json.loads(Path(tmp_path / "out" / "plan.json").read_bytes())
