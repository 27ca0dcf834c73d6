"""Hypothesis: a mutilated model loads or is refused with `InputError`; nothing else happens."""

from __future__ import annotations

import csv
import io
import math
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import often

from planner.errors import InputError
from planner.infrastructure import loading
from planner.infrastructure.entities import Model
from planner.infrastructure.graph import build_graph
from planner.infrastructure.loading import load_model
from planner.infrastructure.source import Document, SourcePosition, parse_yaml, walk

TINY = parse_yaml(
    (Path(__file__).resolve().parents[2] / "models" / "tiny.yaml").read_bytes(), "tiny"
).data
TINY["tiers"]["free"] |= {"entry": "api", "retry": {"attempts": 2, "gives_up": 0.5}}
TINY["regions"]["west"]["climate"] = "us-west"
TINY |= {
    "services": {
        "db": {"plane": "state", "replicas": {"west": 1, "east": 2}, "needs_replicas": 2},
        "api": {"plane": "edge", "runs_on": ["west-gpus"], "depends_on": ["db"],
                "degrades_without": ["log"], "degraded_share": 0.5, "capacity_rps": 5000.0},
        "log": {"plane": "state"},
    },
    "feeds": {"f": {"region": "west", "capacity_mw": 5.0, "ups_minutes": 5.0,
                    "generator_mw": 4.0, "generator_start_probability": 0.9}},
    "shapes": {"day": [1.0] * 24},
    "generators": {"sag": {"severity": "single"}, "restart_failure": {"severity": "single"}},
    "scenarios": {
        "s": {
            "severity": "single",
            "frequency_per_year": 0.1,
            "start_hour": 5.0,
            "operations": {"detection_minutes": 5.0},
            "events": [
                {"kind": "region", "name": "west", "repair_minutes": 5.0},
                {"kind": "units", "plant": "west-chillers", "unit": "chiller-3",
                 "repair_minutes": 5.0},
                {"kind": "surge", "zones": ["west-users"], "factor": 2.0, "repair_minutes": 5.0},
                {"kind": "heat", "region": "west", "rise_c": 2.0, "repair_minutes": 5.0},
                {"kind": "sag", "feed": "f", "repair_minutes": 5.0},
                {"kind": "feed", "name": "f", "repair_minutes": 5.0, "generators_start": False},
            ],
        }
    },
    "policies": {
        "fixed": {"gpus": {"west-gpus": 100}, "cooling": {"west-chillers": {"chiller-1": 1}}},
        "forbidden": {"cooling": ["east-chillers"]},
    },
    "operations": {
        "restoration": [
            {"capacity": 0.25, "minutes": 30.0, "tiers": ["business"]},
            {"capacity": 0.5, "minutes": 30.0},
        ],
        "restoration_scope": "platform",
        "gates": {"queue_requests": 5.0},
        "rationing": "priority",
        "alert_temperatures_c": [75.0, 85.0],
    },
}  # fmt: skip
PATHS = [path for path, _ in walk(TINY) if path and path[:-1] != ("shapes", "day")]
#: Names of the model itself make the most cunning junk: right words in wrong places.
WORDS = sorted({str(part) for path in PATHS for part in path} | {"extends", "from", "name", "all"})
NUMBERS = st.one_of(
    st.integers(),
    st.sampled_from([0, -1, 1, 10**9, 10**400, -(10**20)]),
    st.floats(allow_nan=True, allow_infinity=True),
    st.sampled_from([-0.0, 1e300, 5e-324, 0.5]),
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    NUMBERS,
    st.text(max_size=8),
    st.sampled_from(WORDS),
    st.sampled_from(["\x00", "\ud800", "\x1b[2J", "a.csv", "../a.csv", "x" * 5000, "null", "=1+1"]),
)
JUNK = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.one_of(st.sampled_from(WORDS), st.text(max_size=5)), inner, max_size=3),
    ),
    max_leaves=6,
)
BOUNDED = settings(
    max_examples=often(20, 500),
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def escaped(text: str) -> str:
    """Text in YAML's double quotes, whatever signs it has."""
    signs = (
        sign
        if sign.isascii() and sign.isprintable() and sign not in '"\\'
        else f"\\U{ord(sign):08x}"
        for sign in text
    )
    return f'"{"".join(signs)}"'


def yaml_of(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{escaped(key)}: {yaml_of(v)}" for key, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(yaml_of(one) for one in value) + "]"
    if isinstance(value, str):
        return escaped(value)
    if isinstance(value, float) and not math.isfinite(value):
        return ".nan" if math.isnan(value) else f"{'-' if value < 0 else ''}.inf"
    return "null" if value is None else repr(value).lower()


def loads_or_is_refused(path: Path, *overrides: str) -> bool:
    """Load a file; every problem must be on one line and name a place."""
    try:
        loaded = load_model(path, overrides)
    except InputError as error:
        assert error.problems
        for problem in error.problems:
            assert problem.file
            assert problem.message
            assert "\n" not in str(problem)
            str(problem).encode()
        return False
    assert isinstance(loaded.model, Model)
    build_graph(loaded.model)
    return True


@pytest.fixture
def data_of_file(tmp_path, monkeypatch):
    """Write a model as data: the reader of YAML, slow and tested by itself, is passed over."""
    path = tmp_path / "model.yaml"
    path.touch()

    def prepare(data: dict[str, Any]) -> Path:
        def parsed(_: bytes, shown: str) -> Document:
            return Document(deepcopy(data), {(): SourcePosition(shown, 1, 1)})

        monkeypatch.setattr(loading, "parse_yaml", parsed)
        return path

    return prepare


@st.composite
def mutations(draw: st.DrawFn) -> dict[str, Any]:
    data = deepcopy(TINY)
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(PATHS))
        parent: Any = data
        try:
            for part in path[:-1]:
                parent = parent[part]
            action = draw(st.sampled_from(["replace", "replace", "delete", "add", "rename"]))
            if action == "delete":
                del parent[path[-1]]
            elif action == "replace":
                parent[path[-1]] = draw(JUNK)
            elif isinstance(parent, list):
                parent.append(draw(JUNK))
            elif action == "add":
                parent[draw(st.one_of(st.sampled_from(WORDS), st.text(max_size=5)))] = draw(JUNK)
            else:
                parent[draw(st.sampled_from(WORDS))] = parent.pop(path[-1])
        except (KeyError, IndexError, TypeError, AttributeError):
            continue  # an earlier mutation took the place away
    return data


def test_the_model_to_mutilate_is_valid(tmp_path):
    path = tmp_path / "model.yaml"
    path.write_text(yaml_of(TINY))
    assert loads_or_is_refused(path)


@BOUNDED
@given(mutations())
def test_mutilated_models_give_input_errors(data_of_file, data):
    loads_or_is_refused(data_of_file(data))


@BOUNDED
@given(mutations())
def test_mutilated_yaml_gives_input_errors(tmp_path, data):
    path = tmp_path / "model.yaml"
    path.write_text(yaml_of(data))
    loads_or_is_refused(path)


@BOUNDED
@given(
    st.lists(
        st.one_of(
            st.builds(
                lambda path, value: f"{'.'.join(map(str, path))}={yaml_of(value)}",
                st.sampled_from(PATHS),
                JUNK,
            ),
            st.builds("{}={}".format, st.text(max_size=12), st.text(max_size=12)),
            st.text(max_size=12),
        ),
        max_size=2,
    )
)
def test_mutilated_settings_give_input_errors(data_of_file, overrides):
    loads_or_is_refused(data_of_file(TINY), *overrides)


@BOUNDED
@given(
    st.one_of(
        st.binary(max_size=200),
        st.text(max_size=100).map(lambda t: t.encode("utf-8", "surrogatepass")),
    )
)
def test_any_bytes_give_a_model_or_an_input_error(tmp_path, content):
    path = tmp_path / "model.yaml"
    path.write_bytes(content)
    assert not loads_or_is_refused(path)


@BOUNDED
@given(
    st.integers(0, 3000), st.sampled_from(list("{}[]:,-&*!|>'\"%@`#?\t\n \0")), st.integers(0, 3)
)
def test_characters_of_yaml_syntax_are_read_or_refused(tmp_path, position, sign, deleted):
    text = (Path(__file__).resolve().parents[2] / "models" / "tiny.yaml").read_text()
    path = tmp_path / "model.yaml"
    path.write_text(text[:position] + sign + text[position + deleted :])
    loads_or_is_refused(path)


@BOUNDED
@given(
    st.lists(
        st.lists(st.one_of(st.sampled_from(WORDS), st.text(max_size=6)), max_size=4), max_size=4
    ),
    st.sampled_from(["regions", "plants", "zones", "services", "scenarios", "offers"]),
)
def test_any_table_gives_a_model_or_an_input_error(tmp_path, data_of_file, rows, section):
    stream = io.StringIO()
    csv.writer(stream).writerows([["name", "region.x", "cools"], *rows] if rows else rows)
    (tmp_path / "table.csv").write_bytes(stream.getvalue().encode("utf-8", "surrogatepass"))
    loads_or_is_refused(data_of_file(TINY | {section: "table.csv"}))


@pytest.mark.parametrize("path", PATHS, ids=[".".join(map(str, path)) for path in PATHS])
def test_each_value_by_each_kind_of_junk(data_of_file, path):
    """Systematic where Hypothesis is random: most kinds of junk are refused at every place."""
    outcomes = []
    for junk in ("x y", -1, math.nan, [], {"zzz": []}):
        data = deepcopy(TINY)
        parent: Any = data
        for part in path[:-1]:
            parent = parent[part]
        parent[path[-1]] = junk
        outcomes.append(loads_or_is_refused(data_of_file(data)))
    assert outcomes.count(False) >= 3
