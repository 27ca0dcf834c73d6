"""Compiled code does what the same functions do in plain Python, and is kept on disk."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest

from planner.infrastructure.fleet import Fleet
from planner.infrastructure.loading import LoadedModel
from planner.laws import compiling
from planner.laws.queues import p99_wait_seconds
from planner.scenarios.generators import all_scenarios
from planner.simulation import cascade


def test_plain_python_and_compiled_code_agree(
    tiny: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = tiny.model.simulation.replace(horizon_minutes=45.0)
    model = tiny.model.replace(simulation=short)
    fleet, scenarios = Fleet.existing(model), all_scenarios(model)

    _, compiled = cascade.simulate(model, fleet, scenarios)
    monkeypatch.setattr(cascade, "compiled", lambda function: function)
    _, plain = cascade.simulate(model, fleet, scenarios)

    assert compiled.served_rps.min() < compiled.demand_rps.max()
    np.testing.assert_allclose(compiled.rows, plain.rows, rtol=1e-9, atol=1e-9)
    np.testing.assert_array_equal(compiled.off, plain.off)


def waits(count: Any) -> float:
    """A function of its own to compile."""
    return float(p99_wait_seconds(count, 0.9, 1.0))


def test_compiled_code_is_kept_where_numba_is_told_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    compiled = compiling._compiled.__wrapped__(waits)

    assert compiled(2.0) == pytest.approx(waits(2.0))
    assert list(tmp_path.glob("planner-*/**/*.nbc"))
    assert str(tmp_path) == numba.config.CACHE_DIR


def test_compiled_code_that_nobody_has_used_for_long_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unused, used, other = (
        tmp_path / name for name in (f"planner-{'0' * 16}", f"planner-{'1' * 16}", "planner-notes")
    )
    long_ago = time.time() - 2 * compiling.UNUSED_SECONDS
    for folder in (unused, used, other):
        folder.mkdir()
        (folder / "code").touch()
        os.utime(folder, None if folder == used else (long_ago, long_ago))
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    compiling._compiled.__wrapped__(waits)

    assert (unused.exists(), used.exists(), other.exists()) == (False, True, True)


def test_threads_compile_once_and_leave_the_settings_of_numba(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    before = numba.config.OPT
    compiling._compiled.cache_clear()

    def act(count: float) -> float:
        return float(compiling.compiled(waits)(count))

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(act, [2.0, 3.0, 4.0, 5.0]))
    compiling._compiled.cache_clear()
    assert found == pytest.approx([waits(count) for count in (2.0, 3.0, 4.0, 5.0)])
    assert len(list(tmp_path.glob("**/*.nbc"))) == 1
    assert not list(tmp_path.glob("*/planner-*"))
    assert (str(tmp_path), before) == (numba.config.CACHE_DIR, numba.config.OPT)
