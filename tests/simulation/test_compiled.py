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
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from simulation.random_worlds import cases, recovering
from support import often

from planner.infrastructure.fleet import Fleet
from planner.infrastructure.loading import LoadedModel
from planner.laws import compiling
from planner.laws.queues import p99_wait_seconds
from planner.simulation import cascade


@settings(
    derandomize=True,
    deadline=None,
    max_examples=often(6, 500),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_plain_python_and_compiled_code_agree_on_random_platforms(
    data: st.DataObject, tiny: LoadedModel
) -> None:
    """With every mechanism in some of them: restarts, racks, doors, cold caches, triggers."""
    case = data.draw(cases(tiny.model, most=1))
    model = data.draw(recovering(case.model))
    fleet = Fleet.existing(model)

    _, compiled = cascade.simulate(model, fleet, case.scenarios)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(cascade, "compiled", lambda function: function)
        _, plain = cascade.simulate(model, fleet, case.scenarios)

    np.testing.assert_allclose(compiled.rows, plain.rows, rtol=1e-9, atol=1e-9)
    np.testing.assert_array_equal(compiled.off, plain.off)
    np.testing.assert_array_equal(compiled.order_minute, plain.order_minute)


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


@pytest.mark.parametrize("name", ["laws.py", "state.csv"])
def test_compiled_code_is_of_the_source_and_tables_beside_it(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "kept"))
    monkeypatch.setattr(compiling.inspect, "getfile", lambda _: tmp_path / "cascade.py")
    (tmp_path / name).write_text("first")
    before = compiling._cache_folder(waits)
    assert compiling._cache_folder(waits) == before

    (tmp_path / name).write_text("second")
    assert compiling._cache_folder(waits) != before


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
