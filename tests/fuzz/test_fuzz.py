"""The fuzzer finds faults and makes them again; a few of its inputs are tried in every run."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from random import Random

import pytest
from fuzz.fuzz import fuzz, options
from fuzz.inputs import Seed, value_of
from fuzz.targets import Fault, Target, _check, _rule, targets

from planner.errors import InputError


@pytest.fixture(scope="module")
def readers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Target]:
    return targets(tmp_path_factory.mktemp("readers"))


def test_every_reader_takes_what_is_right_and_refuses_most_changes(readers) -> None:
    for name, reader in readers.items():
        assert reader.try_out(reader.valid), name
        inputs = [reader.make(Random(f"{name} {number}")) for number in range(20)]
        assert inputs == [reader.make(Random(f"{name} {number}")) for number in range(20)]
        assert [reader.try_out(one) for one in inputs].count(False) >= 3, name


@pytest.mark.parametrize("message", ["two\x1blines", "x\u202ey", ""])
def test_a_message_that_is_none_is_a_fault(message: str) -> None:
    error = InputError.single("file", "a problem")
    object.__setattr__(error.problems[0], "message", message)
    if message:  # what is shown is escaped: the message reaches nobody as it is
        assert str(error.problems[0]).isprintable()
        return
    with pytest.raises(Fault):
        _check(error)


def test_values_follow_a_schema() -> None:
    schema = {
        "$defs": {"Part": {"type": "object", "properties": {"n": {"type": "integer", "minimum": 2,
                                                                  "maximum": 3}},
                           "required": ["n"]}},
        "type": "object",
        "properties": {"parts": {"type": "array", "items": {"$ref": "#/$defs/Part"}}},
        "required": ["parts"],
    }  # fmt: skip
    made = [value_of(Random(number), schema, schema, ["a"]) for number in range(50)]
    assert any(one["parts"] for one in made)
    assert {part["n"] for one in made for part in one["parts"]} == {2, 3}


def test_a_fault_is_told_with_how_to_make_it_again(tmp_path: Path, capsys) -> None:
    """A reader that is broken on purpose: the number that the script names finds it again."""

    def read(content: bytes) -> None:
        if b"9" in content:
            raise ValueError("nine")

    broken = {"rule": Target(_rule, read)}
    assert fuzz(options(["--inputs", "100", "--faults", str(tmp_path)]), broken) == 1
    told = capsys.readouterr().out
    assert "ValueError" in told
    again = told.split("fuzz.py ")[1].split("\n")[0].replace("'", "").split()
    assert again[-2:] == ["--inputs", "1"]
    assert fuzz(options(again), broken) == 1
    assert b"9" in next(tmp_path.iterdir()).read_bytes()
    assert fuzz(options(["--inputs", "0"]), broken) == 0


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_its_counts(sign: signal.Signals, capsys, monkeypatch) -> None:
    tried: list[bytes] = []

    def read(content: bytes) -> None:
        tried.append(content)
        if len(tried) == 5:
            signal.signal(sign, signal.SIG_IGN)  # as a run in this process may want it
            os.kill(os.getpid(), sign)

    monkeypatch.setattr("fuzz.fuzz.TOLD_EVERY", 0.0)
    assert fuzz(options(["--inputs", "1000", "--seed", "7"]), {"rule": Target(_rule, read)}) == 0
    told = capsys.readouterr().out.splitlines()
    assert len(tried) == 5
    assert told[0].startswith("1 inputs from number 7, 0 faults, ")
    assert told[-1].startswith("5 inputs from number 7, 0 faults, ")


def test_changes_are_those_of_a_seed() -> None:
    seed = Seed(b"a: 1\nb: [2, 3]\n", {"a": 1, "b": [2, 3]})
    assert len({seed.changed(Random(number)) for number in range(50)}) > 25
