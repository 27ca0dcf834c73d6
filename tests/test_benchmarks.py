"""Benchmarks run, and those that take the loop apart time what it calls."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest
from support import CHECKOUT, benchmark_module

from planner.infrastructure.loading import load_model
from planner.optimization.solution.settings import SolverSettings

BENCHMARKS = sorted((CHECKOUT / "tests" / "benchmarks").glob("*.py"))


@pytest.mark.parametrize("name", [path.stem for path in BENCHMARKS])
def test_every_benchmark_says_its_options(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", [name, "--help"])
    monkeypatch.setattr(sys, "path", list(sys.path))

    with pytest.raises(SystemExit) as end:
        benchmark_module(name).main()

    assert end.value.code == 0
    assert "usage:" in capsys.readouterr().out


def test_the_parts_of_the_loop_take_time(capsys: pytest.CaptureFixture[str]) -> None:
    benchmark = benchmark_module("hyperscaler")
    short = load_model("tiny", ("simulation.horizon_minutes=60",))

    benchmark.show(*benchmark.run(short, SolverSettings(method="decomposed"), None))

    for line in capsys.readouterr().out.splitlines():
        if line.startswith("outside the solver"):
            assert float(line.split(":")[1].split()[0]) > 0


def test_a_part_that_the_loop_never_enters_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    benchmark = benchmark_module("hyperscaler")
    unused = SimpleNamespace(call=print)
    monkeypatch.setitem(benchmark.PARTS, "unused", ((unused, "call"),))
    short = load_model("tiny", ("simulation.horizon_minutes=60",))

    with pytest.raises(SystemExit, match="never entered unused"):
        benchmark.run(short, SolverSettings(method="decomposed"), 1)
