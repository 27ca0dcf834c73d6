"""--checkpoint and --resume: a killed run ends in the same plan; other checkpoints are refused."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from commands.conftest import Runs
from pydantic import TypeAdapter
from support import CHECKOUT

from planner.checkpoint import FILE, Checkpoint, begin, resume
from planner.errors import InputError
from planner.optimization.solution import solving

ARGUMENTS = ("optimize", "tiny", "--method", "decomposed", "-q")
#: Kills the process once so many results are there; the last of them is half written.
DRIVER = """
import os, pathlib, signal, sys
sys.path.insert(0, {checkout!r})
from planner import checkpoint
from planner.commands import main

class Dying(checkpoint.Checkpoint):
    written = 0
    def recall(self, *arguments):
        if Dying.written == {results}:
            with self._path.open("ab") as stream:
                stream.write(b"0123 half a li")
            os.kill(os.getpid(), signal.SIGKILL)
        Dying.written += 1
        return super().recall(*arguments)

checkpoint.Checkpoint = Dying
main(sys.argv[1:])
"""


def without_times(plan: Path) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(plan.read_text(encoding="utf-8"))
    del data["created"]
    return data


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoint of a run that was killed after two results."""
    folder = tmp_path_factory.mktemp("killed")
    driver = DRIVER.format(checkout=str(CHECKOUT), results=2)
    ran = subprocess.run(
        [sys.executable, "-c", driver, *ARGUMENTS, "--checkpoint", str(folder)],
        env=os.environ | {"COLUMNS": "80"},
        capture_output=True,
        timeout=240,
        check=False,
    )
    assert ran.returncode == -signal.SIGKILL, ran.stderr
    return folder


@pytest.fixture
def folder(killed: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(killed, tmp_path / "kept"))


def test_a_killed_run_ends_in_the_same_plan(
    folder: Path, plan: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    solves, real = [], solving._run_solver

    def counted(*arguments: Any) -> Any:
        solves.append(arguments)
        return real(*arguments)

    monkeypatch.setattr(solving, "_run_solver", counted)
    assert plan(*ARGUMENTS, "-o", tmp_path / "whole").code == 0
    whole = len(solves)
    # Who works at it and for how long may be another than before.
    again = (*ARGUMENTS, "--resume", folder, "-o", tmp_path / "resumed", "-j", "3")
    assert plan(*again, "--time-limit", "600").code == 0
    resumed = len(solves) - whole
    assert plan(*again).code == 0

    assert whole - resumed >= 2
    assert len(solves) == whole + resumed
    assert without_times(tmp_path / "whole/plan.json") == without_times(
        tmp_path / "resumed/plan.json"
    )
    for table in (tmp_path / "whole").glob("*.csv"):
        assert table.read_bytes() == (tmp_path / "resumed" / table.name).read_bytes()


def test_another_run_is_refused_with_what_differs(folder: Path, plan: Runs) -> None:
    other = ("--set", "regions.west.power_limit_mw=13", "--gap", "0.01", "--only", "region-*")
    ran = plan(*ARGUMENTS, *other, "--resume", folder)
    assert ran.code == 2
    told = " ".join(ran.err.split())
    assert (
        'model.overrides: nothing in the checkpoint, `["regions.west.power_limit_mw=13"]`' in told
    )
    assert "options.gap: `0.0001` in the checkpoint, `0.01` here" in told
    assert 'options.only: nothing in the checkpoint, `["region-*"]` here' in told
    assert "options.rounds" not in told


def test_other_versions_are_refused(
    folder: Path, plan: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("planner.cluster.version", lambda _: "0.1")
    ran = plan(*ARGUMENTS, "--resume", folder)
    assert ran.code == 2
    assert "versions.numba" in ran.err


def line(body: bytes) -> bytes:
    return hashlib.sha256(body).hexdigest().encode() + b" " + body + b"\n"


def first_key(content: bytes) -> bytes:
    return content.splitlines()[1].split(b" ")[1]


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda content: content.replace(b"HiGHS", b"HIGHS", 1), ":2:1: is damaged: the checksum"),
        (lambda content: content[300:], ":1:1: is damaged: the checksum is wrong"),
        (lambda _: b"", "is damaged: it does not say of which run"),
        (lambda content: content[:200], "is damaged: it does not say of which run"),
        (lambda _: b"\x80\x04cos\nsystem\n", "is damaged: the checksum is wrong"),
        (lambda _: line(b"run [1]"), "is damaged: it does not say of which run"),
        (lambda _: line(b"run " + b"[" * 100_000), "is damaged: it does not say of which run"),
        (lambda content: content + line(first_key(content) + b" {}"), "is no result of this kind"),
        (
            lambda content: content + line(first_key(content) + b" " + b"[" * 100_000),
            "is no result of this kind",
        ),
    ],
)
def test_damage_is_told(folder: Path, plan: Runs, damage: Any, told: str) -> None:
    path = folder / FILE
    whole = path.read_bytes()
    path.write_bytes(damage(whole[: whole.rfind(b"\n") + 1]))
    ran = plan(*ARGUMENTS, "--resume", folder)
    assert ran.code == 2, ran.err
    assert told in " ".join(ran.err.split())


def test_a_checkpoint_is_neither_overwritten_nor_made_up(
    folder: Path, plan: Runs, tmp_path: Path
) -> None:
    before = (folder / FILE).read_bytes()
    there = plan(*ARGUMENTS, "--checkpoint", folder)
    assert there.code == 2
    assert "is a checkpoint already: go on with --resume" in " ".join(there.err.split())
    assert (folder / FILE).read_bytes() == before
    nowhere = plan(*ARGUMENTS, "--resume", tmp_path / "nowhere")
    assert nowhere.code == 2
    assert "there is no checkpoint; --checkpoint makes one" in " ".join(nowhere.err.split())
    both = plan(*ARGUMENTS, "--resume", folder, "--checkpoint", folder)
    assert both.code == 2
    under_a_file = plan(*ARGUMENTS, "--checkpoint", folder / FILE / "below")
    assert under_a_file.code == 2
    assert "cannot be written" in under_a_file.err


def test_what_is_kept_is_recalled_and_what_is_not_final_is_not_kept(tmp_path: Path) -> None:
    kind = TypeAdapter(tuple[float, ...])
    value = (0.1, float("inf"), -0.0, 1 / 3)

    def make_none() -> tuple[float, ...]:
        raise AssertionError("it is there")

    run = begin(tmp_path, {"model": "a"})
    assert run.recall([b"a", b"b"], kind, lambda: value) == value
    assert run.recall([b"ab"], kind, lambda: (1.0,), lambda _: False) == (1.0,)
    again = resume(tmp_path, {"model": "a"})
    assert again.count == 1
    assert repr(again.recall([b"a", b"b"], kind, make_none)) == repr(value)
    assert again.recall([b"ab"], kind, lambda: (2.0,)) == (2.0,)
    with pytest.raises(InputError, match='`"a"` in the checkpoint, `"b"` here'):
        resume(tmp_path, {"model": "b"})


def test_digests_are_those_of_contents(tmp_path: Path) -> None:
    run = Checkpoint(tmp_path / FILE, {})
    assert run.digest({"a": 1.0}) == run.digest({"a": 1.0}) != run.digest({"a": 2.0})
    assert len({run.digest((number,)) for number in range(100)}) == 100
