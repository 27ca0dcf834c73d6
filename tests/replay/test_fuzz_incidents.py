"""Whatever stands in an incident file, it is replayed or all its problems are listed."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from replay.conftest import OWN
from simulation.worlds import ONE

from planner.errors import InputError
from planner.infrastructure.source import parse_yaml, walk
from planner.replay.comparison import replay
from planner.replay.loading import load_incident
from planner.reporting.replay import replay_data

DATA = parse_yaml(OWN.encode(), "own").data
PATHS = sorted((path for path, _ in walk(DATA) if path), key=str)
WORDS = ["", "site", "chillers", "00:10", "23:50 +1", "minute", "temperature_c", "shutdown", "tiny"]
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-10, 10_000),
    st.floats(allow_nan=True, allow_infinity=True),
    st.sampled_from(WORDS),
    st.text(max_size=12),
)
VALUES = st.one_of(
    SCALARS,
    st.lists(SCALARS, max_size=3),
    st.dictionaries(st.sampled_from(["time", "what", "kind", "name", "x"]), SCALARS, max_size=3),
)


def changed(data: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    copy = dict(data) if isinstance(data, dict) else list(data)
    copy[path[0]] = changed(data[path[0]], path[1:], value)
    return copy


def written(value: Any) -> str:
    """JSON, which is YAML but for numbers that are none."""
    text = json.dumps(value)
    return text.replace("NaN", ".nan").replace("-Infinity", "-.inf").replace("Infinity", ".inf")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fuzz")
    (folder / "site.yaml").write_text(ONE)
    return folder


@settings(suppress_health_check=list(HealthCheck))
@given(path=st.sampled_from(PATHS), value=VALUES)
def test_a_changed_value_is_replayed_or_refused(
    folder: Path, path: tuple[Any, ...], value: Any
) -> None:
    file = folder / "own.yaml"
    file.write_text(written(changed(DATA, path, value)), encoding="utf-8")
    try:
        loaded = load_incident(file)
    except InputError as error:
        assert error.problems
        assert all(problem.message and str(problem).isprintable() for problem in error.problems)
        return
    data = replay_data(replay(loaded))
    json.dumps(data, allow_nan=False)
    assert all(math.isfinite(one["observed"]) for one in data["milestones"])


@settings(suppress_health_check=list(HealthCheck))
@given(value=VALUES, key=st.sampled_from([*DATA, "set", "colour", "time_zone"]))
def test_a_changed_or_new_field_is_replayed_or_refused(folder: Path, key: str, value: Any) -> None:
    file = folder / "own.yaml"
    file.write_text(written(DATA | {key: value}), encoding="utf-8")
    try:
        load_incident(file)
    except InputError as error:
        assert all(str(problem).isprintable() for problem in error.problems)
