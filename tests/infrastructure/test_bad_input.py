"""Whatever is wrong with a model is an `InputError` with its place, never anything else."""

from __future__ import annotations

import json
from copy import deepcopy
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Field, ValidationError

from planner import files
from planner.errors import InputError
from planner.infrastructure.checks import EVENT_SECTIONS, REFERENCES
from planner.infrastructure.complaints import complain
from planner.infrastructure.loading import load_model
from planner.infrastructure.source import Document, SourcePosition, parse_yaml

MINIMAL = """\
regions:
  a: {power_limit_mw: 10.0}
  b: {power_limit_mw: 20.0}
gpus:
  g: {power_mw: 0.0, static_share: 0.0, rps: 1.0}
clusters:
  one: {region: a, gpu: g, existing_gpus: 10, max_gpus: 20}
  two: {region: b, gpu: g, existing_gpus: 10, max_gpus: 20}
tiers:
  t: {priority: 1, share: 1.0}
zones:
  z: {demand_rps: 5.0, latency_ms: {a: 1.0, b: 2.0}}
"""

#: Added to tiny, so that every reference that can be made is made.
EVERYTHING = """
extends: tiny
regions: {west: {climate: us-west}, north: {power_limit_mw: 1.0, candidate: true}}
operations:
  restoration: [{capacity: 0.25, minutes: 30.0, tiers: [business]}, {capacity: 1.0, minutes: 5.0}]
  changes: {deployment: {times_per_year: 12.0, rollback_minutes: 30.0, services: [api]}}
shapes: {day: [1,1,1,1,1,1,1,1,1,1,1,1,2,1,1,1,1,1,1,1,1,1,1,1]}
zones:
  west-users: {shape: day, prefers: [west], transport_usd_per_million_requests: {east: 1.0}}
services:
  control: {plane: control, replicas: {west: 1, east: 1}}
  cache: {plane: edge}
  api: {plane: service, runs_on: [west-gpus, east-gpus], depends_on: [control], any_of: [cache],
        degrades_without: [log], connections: 100.0}
  log: {plane: state}
tiers: {business: {entry: api}}
plants:
  west-chillers: {depends_on: [control]}
  west-air: {automatic: false}
  loops: {region: east, cools: [east-gpus], rejects_to: towers, options: [chiller-1]}
  towers: {region: east, options: [chiller-1]}
feeds:
  west-feed: {region: west, capacity_mw: 12.0, powers: [west-gpus, west-chillers]}
  second: {region: west, capacity_mw: 12.0}
measures:
  more: {feeds: [second], replicas: {control: {west: 1}}, connections: {api: 10.0},
         independent: {west-chillers: [control]}, buffer_mwh: {west-chillers: 1.0},
         automatic: [west-air]}
  other: {operations: {detection_minutes: 1.0}}
offers:
  cloud: {region: east}
  other: {provider: cloudier, gpus_per_instance: 8, available_gpus: 80, lead_time_minutes: 5.0,
          usd_per_instance_hour: 24.0, rps_per_gpu: 1.0}
finance: {incident: chatgpt-2023}
policies:
  fixed: {cooling: {west-chillers: {chiller-3: 2}}, gpus: {west-gpus: 100},
          emergency: {cloud: 1}, regions: {north: false}, measures: {more: true}}
  critical_tiers: [business]
  forbidden: {measures: [other], cooling: [east-chillers], gpus: [east-gpus], emergency: [other]}
horizon:
  start: 2026-01
  periods: 3
  growth: {zones: {west-users: {per_year: 0.2}}, tiers: {free: {by_period: [1.0, 1.5]}}}
  paths:
    low: {probability: 0.4, growth: {zones: {east-users: {per_year: 0.1}}}}
    high: {probability: 0.6, from_period: 3, follows: low,
           growth: {tiers: {business: {per_year: 0.3}}}}
  prices:
    gpus: {accelerator: {per_year: -0.1}}
    cooling_units: {chiller-3: {per_year: 0.02}}
    regions: {west: {per_year: 0.03}}
    offers: {cloud: {per_year: -0.05}}
  first_order: {chiller-1: 2025-06}
  order_months: {types: {chiller-3: 12}, entities: {west-gpus: 6}}
  reserved_months: {cloud: 12}
  power: [{region: west, from_period: 2, firm_mw: 10.0, flexible_mw: 2.0}]
  construction: {clusters: {west-gpus: 500}, plants: {west-chillers: 3}, regions: {east: 500}}
scenarios:
  many:
    severity: extreme
    frequency_per_year: 0.1
    events:
      - {kind: units, plant: west-chillers, unit: chiller-3, repair_minutes: 60.0}
      - {kind: largest-units, plant: east-chillers, repair_minutes: 60.0}
      - {kind: heat, region: west, rise_c: 5.0, repair_minutes: 60.0}
      - {kind: surge, zones: [east-users], factor: 1.5, repair_minutes: 60.0}
      - {kind: plant, name: west-air, repair_minutes: 60.0}
      - {kind: feed, name: west-feed, repair_minutes: 60.0}
      - {kind: region, name: east, repair_minutes: 60.0}
      - {kind: provider, name: cloudy, repair_minutes: 60.0}
      - {kind: cluster, name: east-gpus, repair_minutes: 60.0}
      - {kind: service, name: api, repair_minutes: 60.0}
      - {kind: sag, feed: west-feed}
standard: {extreme: [{tier: free, zone: east-users, from_minute: 60, least_served: 0.1}]}
"""


def yaml_of(value: Any) -> str:
    """YAML in flow style of plain data."""
    if isinstance(value, dict):
        return "{" + ", ".join(f'"{key}": {yaml_of(one)}' for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(yaml_of(one) for one in value) + "]"
    if isinstance(value, str):
        return f'"{value}"'
    return "null" if value is None else repr(value).lower()


@pytest.fixture(scope="module")
def everything(tiny_text: str) -> dict[str, Any]:
    """Data of a model that uses every reference; valid."""
    data = parse_yaml(tiny_text.encode(), "tiny").data
    over = parse_yaml(EVERYTHING.encode(), "everything").data
    over.pop("extends")

    def lay(low: dict[str, Any], high: dict[str, Any]) -> None:
        for key, value in high.items():
            if isinstance(value, dict) and isinstance(low.get(key), dict):
                lay(low[key], value)
            else:
                low[key] = value

    lay(data, over)
    return data


def first_match(data: Any, pattern: tuple[str, ...]) -> list[Any] | None:
    """Path of the first value under a pattern of `REFERENCES`; a key itself for `@`."""
    if not pattern:
        return []
    head, rest = pattern[0], pattern[1:]
    if head == "@":
        return [next(iter(data))] if isinstance(data, dict) and data else None
    if head == "*":
        keys: list[Any] = list(data) if isinstance(data, dict) else []
    elif head == "#":
        keys = list(range(len(data))) if isinstance(data, list) else []
    else:
        keys = [head] if isinstance(data, dict) and head in data else []
    for key in keys:
        below = first_match(data[key], rest)
        if below is not None:
            return [key, *below]
    return None


def test_everything_is_valid(everything, load):
    assert load(yaml_of(everything)).model.policies.fixed.gpus["west-gpus"] == 100


@pytest.mark.parametrize(
    ("pattern", "sections"), REFERENCES, ids=[".".join(pattern) for pattern, _ in REFERENCES]
)
def test_a_dangling_reference_is_reported(everything, complaints, pattern, sections):
    data = deepcopy(everything)
    path = first_match(data, pattern)
    assert path, f"the model of this test does not use {pattern}"
    parent = data
    for part in path[:-1]:
        parent = parent[part]
    old = path[-1] if pattern[-1] == "@" else parent[path[-1]]
    wrong = f"{old}x"
    if pattern[-1] == "@":
        parent[wrong] = parent.pop(old)
        path[-1] = wrong
    else:
        parent[path[-1]] = wrong
    (problem,) = complaints(yaml_of(data))
    assert problem.where == ".".join(map(str, path))
    assert problem.message.startswith(f"`{wrong}` is not among {sections.replace(' ', ' or ')} (")
    assert old in problem.message
    assert problem.message.endswith(f"; did you mean `{old}`?")


@pytest.mark.parametrize("kind", EVENT_SECTIONS)
def test_a_dangling_name_of_an_event_is_reported(everything, complaints, kind):
    data = deepcopy(everything)
    events = data["scenarios"]["many"]["events"]
    index = next(i for i, event in enumerate(events) if event["kind"] == kind)
    old = events[index]["name"]
    events[index]["name"] = f"{old}x"
    (problem,) = complaints(yaml_of(data))
    assert problem.where == f"scenarios.many.events.{index}.name"
    assert f"`{old}x` is not among {kind}s (" in problem.message
    assert problem.message.endswith(f"; did you mean `{old}`?")


def test_every_kind_of_event_is_used(everything):
    kinds = {event["kind"] for event in everything["scenarios"]["many"]["events"]}
    assert kinds == {*EVENT_SECTIONS, "units", "largest-units", "provider", "sag", "heat", "surge"}


class _Part(BaseModel):
    name: str


class _Whole(BaseModel):
    parts: tuple[_Part, ...] = ()
    pair: Annotated[tuple[int, ...], Field(min_length=2)] = (1, 2)


@pytest.mark.parametrize(
    "data", [{"parts": [{"name": 0}]}, {"parts": [{"name": "a"}, {"name": True}]}, {"pair": [1]}]
)
def test_what_is_refused_has_a_reason(data):
    """Also where the reason looks like one that something else gives."""
    document = Document(data, {(): SourcePosition("file")})
    with pytest.raises(ValidationError) as caught:
        _Whole.model_validate(data, strict=True)
    complain(document, caught.value, _Whole)
    assert document.problems


class TestFiles:
    @pytest.mark.parametrize("name", ["nix.yaml", "x" * 5000, "a\0b", "chatgpt-2032"])
    def test_missing(self, name, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        with pytest.raises(InputError, match="no such file or shipped model") as caught:
            load_model(name)
        hinted = "did you mean `chatgpt-2023`" in str(caught.value)
        assert hinted == (name == "chatgpt-2032")
        assert "\0" not in str(caught.value)

    def test_directory(self, tmp_path):
        with pytest.raises(InputError, match="is a directory; expected a file"):
            load_model(tmp_path)

    @pytest.mark.parametrize("name", ["plan.json", "roadmap.json"])
    def test_a_plan_is_no_model(self, tmp_path, name):
        data = {"schema_version": 1, "versions": {}, "created": "", "cost": {}, "npv_usd": 1.0}
        (tmp_path / name).write_text(json.dumps(data))
        for given in (tmp_path, tmp_path / name):
            with pytest.raises(InputError, match="a plan or roadmap") as caught:
                load_model(given)
            assert len(caught.value.problems) == 1

    def test_a_directory_does_not_hide_a_shipped_model(self, tmp_path, monkeypatch):
        (tmp_path / "tiny").mkdir()
        monkeypatch.chdir(tmp_path)
        assert load_model("tiny").model.name == "tiny"

    def test_an_unreadable_file_is_reported(self, write, monkeypatch):
        path = write("model.yaml", MINIMAL)

        def refuse(*_: object) -> int:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(files.os, "open", refuse)
        with pytest.raises(InputError, match="cannot be read: Permission denied"):
            load_model(path)

    def test_a_file_above_the_size_limit_is_refused(self, complaints, monkeypatch):
        monkeypatch.setattr(files, "MOST_BYTES", 100)
        (problem,) = complaints(MINIMAL)
        assert problem.message == "larger than 100 bytes"

    @pytest.mark.parametrize(
        ("text", "line", "column", "fragment"),
        [
            ("", 1, 1, "is empty"),
            ("# only a comment\n", 1, 1, "is empty"),
            ("- a\n- b\n", 1, 1, "has no mapping at its top"),
            ("just text\n", 1, 1, "has no mapping at its top"),
            ("5\n", 1, 1, "has no mapping at its top"),
            ("regions: [1, 2\ngpus: 3\n", 2, 5, "is not valid YAML: expected ',' or ']'"),
            ("regions:\n\ta: 1\n", 2, 1, "found character '\\t' that cannot start any token"),
            ("a: 1\n---\nb: 2\n", 2, 1, "found another document"),
            ("a: *nothing\n", 1, 4, "undefined alias 'nothing'"),
            ("a: 'open\n", 2, 1, "found unexpected end of stream"),
            ("a: 1\nb: \0\n", 2, 4, "the character '\\x00' is not allowed here"),
            (b"a: 1\nb: \xe9\n", 2, 1, "is not UTF-8 text"),
            (b"\x89PNG\r\n\x1a\n\0\0", 1, 1, "is not UTF-8 text"),
            ("a: 1\nb: !!python/object:os.system {}\n", 2, 1, "python/object:os.system is not acc"),
            ("a: 1\nb: !!python/object/apply:os.system [ls]\n", 2, 1, "is not accepted"),
            ("a: !mine text\n", 1, 1, "tag !mine is not accepted"),
            ("a: !!set {x, y}\n", 1, 1, "is not accepted"),
            ("a: !!binary aGVsbG8=\n", 1, 1, "is not accepted"),
            ('a: !!int ""\n', 1, 1, "cannot be read as int"),
            ('a: !!float ""\n', 1, 1, "cannot be read as float"),
            ("a: !!bool maybe\n", 1, 1, "cannot be read as bool"),
            ("a: !my:int 5\n", 1, 1, "cannot be read as int"),
            (f"a: {'9' * 5000}\n", 1, 1, "cannot be read as int"),
            ("regions:\n  a: {city: X}\n  b: {}\n  a: {city: Y}\n", 4, 3, "is listed twice"),
            ("a: {b: 1, b: 1}\n", 1, 11, "is listed twice"),
            ("? [a, b]\n: 1\n", 1, 3, "a key must be a name"),
            ("a: &a [*a]\n", 1, 4, "more than"),
            (f"a: {'[' * 100000}\n", 1, 44, "more than 40 levels"),
            (f"a: {'{a: ' * 1000}\n", 1, 164, "more than 40 levels"),
            ("".join(f"{' ' * depth}a:\n" for depth in range(60)), 42, 42, "or 40 levels"),
        ],
    )
    def test_text_that_is_not_a_model_is_refused(self, complaints, text, line, column, fragment):
        (problem,) = complaints(text)
        assert fragment in problem.message
        assert (problem.line, problem.column) == (line, column)
        assert "\n" not in str(problem)

    def test_deep_nesting_is_refused(self, complaints):
        text = "".join(f"{' ' * depth}a:\n" for depth in range(700))
        (problem,) = complaints(text)
        assert "nested deeper than 40 levels" in problem.message

    def test_an_alias_bomb_is_refused(self, complaints):
        levels = "abcdefghijkl"
        text = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
            f"{now}: &{now} [{', '.join([f'*{last}'] * 9)}]\n" for last, now in pairwise(levels)
        )
        (problem,) = complaints(text)
        assert "100,000 by aliases" in problem.message

    def test_anchors_may_be_used_and_used_again(self, load):
        text = MINIMAL.replace("10.0", "&limit 10.0").replace("20.0", "*limit")
        text += "description: &limit mine\n"
        assert load(text).model.regions["b"].power_limit_mw == 10.0

    def test_byte_order_mark_and_windows_lines(self, load, complaints):
        windows = MINIMAL.replace("\n", "\r\n")
        assert load(b"\xef\xbb\xbf" + windows.encode()).model.regions["b"].power_limit_mw == 20.0
        (problem,) = complaints(windows.replace("20.0", "x"))
        assert (problem.line, problem.column) == (3, 7)


class TestExtends:
    @pytest.mark.parametrize(
        ("value", "fragment"),
        [
            ("nix.yaml", "no such file or shipped model; shipped are "),
            ("chatgpt-2032", "did you mean `chatgpt-2023`"),
            ('""', "no such file"),
            (".", "no such file"),
            ("[tiny]", "must name a model file"),
            ("5", "must name a model file"),
            ('"a\\0b"', "no such file"),
            ("x" * 5000, "no such file"),
        ],
    )
    def test_a_missing_parent_is_reported(self, complaints, value, fragment):
        (problem,) = complaints(f"description: x\nextends: {value}\n")
        assert fragment in problem.message
        assert (problem.line, problem.column) == (2, 1)

    def test_itself(self, complaints):
        (problem,) = complaints("extends: model.yaml\n")
        assert problem.message == "`extends` is circular: model.yaml → model.yaml"
        assert problem.line == 1

    def test_a_circle_of_extends_through_other_files_is_reported(self, write, complaints):
        write("b.yaml", "# b\nextends: c.yaml\n")
        closing = write("c.yaml", "# c\n# c\nextends: model.yaml\n")
        (problem,) = complaints("extends: b.yaml\n")
        assert problem.message.endswith("model.yaml → b.yaml → c.yaml → model.yaml")
        assert (problem.file, problem.line) == (str(closing), 3)

    def test_an_endless_chain_of_extends_is_refused(self, write, complaints):
        for index in range(30):
            write(f"m{index}.yaml", f"extends: m{index + 1}.yaml\n")
        (problem,) = complaints("extends: m0.yaml\n")
        assert "`extends` spans more than 20 files" in problem.message

    def test_a_model_may_extend_a_chain_of_twenty_files(self, write, load):
        write("m19.yaml", MINIMAL)
        for index in range(1, 19):
            write(f"m{index}.yaml", f"extends: m{index + 1}.yaml\n")
        assert list(load("extends: m1.yaml\n").model.regions) == ["a", "b"]

    def test_problems_stand_in_the_file_that_has_them(self, write, complaints):
        base = write("base.yaml", MINIMAL.replace("20.0", "lots").replace("rps: 1.0", "rps: 0"))
        found = complaints(
            "# mine\nextends: base.yaml\nclusters:\n  one: {gpu: h}\ntiers: {t: {share: 2}}\n"
        )
        places = {(Path(p.file).name, p.line, p.column, p.where) for p in found}
        assert places == {
            (base.name, 3, 7, "regions.b.power_limit_mw"),
            (base.name, 5, 41, "gpus.g.rps"),
            ("model.yaml", 4, 9, "clusters.one.gpu"),
            ("model.yaml", 5, 13, "tiers.t.share"),
        }

    def test_syntax_error_in_the_parent(self, write, complaints):
        base = write("base.yaml", "regions: [\n")
        (problem,) = complaints("extends: base.yaml\n")
        assert (problem.file, problem.line) == (str(base), 2)


class TestValues:
    @pytest.mark.parametrize(
        ("path", "value", "fragment"),
        [
            ("regions.a.power_limit_mw", "lots", "expected a number, not 'lots'"),
            ("regions.a.power_limit_mw", "'5'", "expected a number, not '5'"),
            ("regions.a.power_limit_mw", "true", "expected a number, not True"),
            ("regions.a.power_limit_mw", "[5]", "expected a number, not a list"),
            ("regions.a.power_limit_mw", "{a: 5}", "expected a number, not a mapping"),
            ("regions.a.power_limit_mw", "-0.001", "greater than or equal to 0, not -0.001"),
            ("regions.a.power_limit_mw", ".nan", "expected a finite number, not nan"),
            ("regions.a.power_limit_mw", "-.inf", "expected a finite number, not -inf"),
            ("regions.a.power_limit_mw", ".inf", "expected a finite number, not inf"),
            (
                "regions.a.power_limit_mw",
                "1e300",
                "less than or equal to 1000000000000, not 1e+300",
            ),
            ("regions.a.power_limit_mw", "1e999", "expected a finite number, not inf"),
            ("regions.a.power_limit_mw", "1" + "0" * 400, "expected a number, not 1000"),
            ("regions.a.candidate", "1", "expected true or false, not 1"),
            ("regions.a.candidate", "yes", "expected true or false, not 'yes'"),
            ("regions.a.city", "5", "expected text, not 5"),
            ("regions.a.latitude", "181", "less than or equal to 180, not 181"),
            ("regions.a", "5", "expected a mapping, not 5"),
            ("regions.a.power_limit_mw", "null", "is missing"),
            ("regions", "[a]", "expected a mapping, not a list"),
            ("regions", "null", "is missing"),
            ("gpus.g.rps", "0", "greater than 0, not 0"),
            ("gpus.g.static_share", "1.01", "less than or equal to 1, not 1.01"),
            ("clusters.one.max_gpus", "5.5", "expected a whole number, not 5.5"),
            ("clusters.one.max_gpus", "5.0", "expected a whole number, not 5.0"),
            ("clusters.one.max_gpus", "true", "expected a whole number, not True"),
            ("clusters.one.max_gpus", "1" + "0" * 30, "less than or equal to 10000000"),
            ("clusters.one.block_gpus", "0", "greater than or equal to 1, not 0"),
            ("clusters.one.region", "5", "expected text, not 5"),
            ("clusters.one.setpoint_c", "201", "less than or equal to 200, not 201"),
            ("tiers.t.priority", "0", "greater than or equal to 1, not 0"),
            ("zones.z.latency_ms", "5", "expected a mapping, not 5"),
            ("zones.z.latency_ms.a", "near", "expected a number, not 'near'"),
            ("zones.z.prefers", "a", "expected a list, not 'a'"),
            ("simulation.horizon_minutes", "0", "greater than or equal to 1, not 0"),
            ("operations.priority_shedding", "operater", "did you mean `operator`?"),
            ("finance.discount_rate", "1", "less than 1, not 1"),
            ("services.s.plane", "egde", "did you mean `edge`?"),
            ("services.s.replicas.a", "1001", "less than or equal to 1000, not 1001"),
            ("description", "x" * 2001, "at most 2000 characters"),
            ("description", '"\\e[2J"', "must not contain control characters"),
        ],
    )
    def test_a_wrong_value_is_reported(self, complaints, path, value, fragment):
        text = MINIMAL + "services: {s: {plane: edge, replicas: {a: 1}}}\n"
        (problem,) = complaints(text, f"{path}={value}")
        assert problem.where == path
        assert fragment in problem.message

    @pytest.mark.parametrize("value", ["168", "-1", "true", "'5'", ".nan", ".inf", "[1]"])
    def test_start_hour(self, complaints, value):
        text = MINIMAL + (
            "scenarios:\n  s:\n    severity: single\n    frequency_per_year: 1\n"
            f"    start_hour: {value}\n"
            "    events: [{kind: region, name: a, repair_minutes: 5}]\n"
            "standard: {single: []}\n"
        )
        (problem,) = complaints(text)
        assert (problem.line, problem.where) == (17, "scenarios.s.start_hour")

    def test_a_reference_that_is_not_a_name_gets_a_hint(self, complaints):
        text = (
            MINIMAL.replace("a: {", "a-bb: {")
            .replace("a: 1", "a-bb: 1")
            .replace("one: {region: a,", "one: {region: a bb,")
        )
        assert [problem.message for problem in complaints(text)] == [
            "`a bb` is not among regions (a-bb, b); did you mean `a-bb`?",
            "is not a name: expected letters, digits, . _ @ -, starting with a letter or digit, "
            "not 'a bb'",
        ]

    @pytest.mark.parametrize(
        ("path", "hint"),
        [
            ("region.a.power_limit_mw", "regions"),
            ("regions.a.power_limit", "power_limit_mw"),
            ("clusters.one.exisiting_gpus", "existing_gpus"),
            ("zones.z.demand", "demand_rps"),
            ("policies.fixed.gpu", "gpus"),
            ("policies.least_region", "least_regions"),
            ("generators.heatwave", "heat_wave"),
            ("generators.surge.frequency", "frequency_per_year"),
            ("operations.response", "response_minutes"),
        ],
    )
    def test_unknown_key_with_the_nearest(self, complaints, path, hint):
        text = MINIMAL + "generators: {surge: {severity: single}}\nstandard: {single: []}\n"
        (problem,) = complaints(text, f"{path}=5")
        assert path.startswith(problem.where)
        assert problem.message == f"is not a field here; did you mean `{hint}`?"

    def test_unknown_key_near_nothing_lists_what_is_accepted(self, complaints):
        (problem,) = complaints(MINIMAL, "tiers.t.zzz=5")
        accepted = "checkpoint_minutes, cold_cache_factor, entry,"
        assert f"is not a field here (accepted: {accepted}" in problem.message

    @pytest.mark.parametrize(
        ("event", "where", "fragment"),
        [
            ("{name: a, repair_minutes: 5}", ".kind", "is missing; expected one of units, largest"),
            ("{kind: regoin, name: a, repair_minutes: 5}", ".kind", "did you mean `region`?"),
            ("{kind: [region], name: a, repair_minutes: 5}", ".kind", "expected one of units"),
            ("{kind: region, name: a}", ".repair_minutes", "is missing"),
            ("{kind: region, name: a, repair_minutes: 0}", ".repair_minutes", "greater than 0"),
            (
                "{kind: region, name: a, repair_minutes: 5, at_minut: 3}",
                ".at_minut",
                "mean `at_minute`?",
            ),
            (
                "{kind: region, name: a, repair_minutes: 5, at_minute: -1}",
                ".at_minute",
                "equal to 0",
            ),
            ("{kind: heat, region: a, rise_c: 61, repair_minutes: 5}", ".rise_c", "equal to 60"),
            ("{kind: surge, factor: 0, repair_minutes: 5}", ".factor", "greater than 0"),
            ("{kind: surge, factor: 101, repair_minutes: 5}", ".factor", "equal to 100"),
            ("5", "", "expected a mapping, not 5"),
        ],
    )
    def test_a_wrong_event_is_reported(self, complaints, event, where, fragment):
        text = MINIMAL + (
            "standard: {single: []}\nscenarios:\n  s:\n    severity: single\n"
            f"    frequency_per_year: 1\n    events:\n      - {event}\n"
        )
        (problem,) = complaints(text)
        assert problem.line == 19
        assert problem.where == f"scenarios.s.events.0{where}"
        assert fragment in problem.message

    def test_names(self, complaints):
        for wrong in ("a b", "-a", "a/b", "x" * 65, "", "ä", "a\\nb"):
            found = complaints(MINIMAL.replace("t: {priority", f'"{wrong}": {{priority'))
            assert len(found) == 1, wrong
            assert found[0].line == 10
            assert "\n" not in str(found[0])

    def test_control_characters_do_not_reach_the_terminal(self, complaints):
        text = MINIMAL + '"\\e[2Jx": 1\ndescription: "\\ud800"\ntiers2: {"a\\rb": "\\e"}\n'
        for problem in complaints(text):
            assert str(problem).isprintable()


class TestSense:
    """Values that are fine by themselves and wrong together."""

    @pytest.mark.parametrize(
        ("setting", "where", "message"),
        [
            (["tiers.free.share=0.3"], "tiers", "the shares add up to 0.9; expected 1"),
            (
                ["zones.west-users.demand_rps=0", "zones.east-users.demand_rps=0"],
                "zones",
                "is zero",
            ),
            (["zones.west-users.latency_ms={}"], "zones.west-users.latency_ms", "no region can be"),
            (["shapes.day=[1, 2]"], "shapes.day", "2 values; expected 24 or 168"),
            ([f"shapes.day=[{'0, ' * 24}]"], "shapes.day", "has no hour with demand"),
            (["regions={}"], "regions", "is empty; expected at least one entry"),
            (["clusters={}"], "clusters", "is empty"),
            (["tiers={}"], "tiers", "is empty"),
            (["zones={}"], "zones", "is empty"),
            (["plants.west-air.cools=[]"], "plants.west-air.cools", "names no cluster"),
            (
                ["clusters.west-gpus.existing_gpus=2001"],
                "clusters.west-gpus.existing_gpus",
                "2001 existing GPUs exceed max_gpus 2000",
            ),
            (
                ["clusters.west-gpus.throttle_c=95"],
                "clusters.west-gpus",
                "expected setpoint_c < throttle_c < shutdown_c",
            ),
            (
                ["clusters.west-gpus.shutdown_spread_c=20"],
                "clusters.west-gpus.shutdown_spread_c",
                "racks shut down from 75 °C on",
            ),
            (
                ["plants.west-chillers.restart_units=1000"],
                "plants.west-chillers.restart_units",
                "more than the",
            ),
            (
                ["cooling_units.chiller-3.start_below_c=60"],
                "cooling_units.chiller-3.start_below_c",
                "never starts: clusters",
            ),
            (
                ["services.web={plane: edge, recovery_minutes: 5}"],
                "services.web.recovery_minutes",
                "has no effect on a service",
            ),
            (
                ["services.web={plane: edge, replicas: {west: 1}, recovery_tb: 5}"],
                "services.web.recovery_tb",
                "go together",
            ),
            (
                ["clusters.west-gpus.restart_c=95"],
                "clusters.west-gpus",
                "expected setpoint_c ≤ restart_c < shutdown_c",
            ),
            (
                ["regions.west.candidate=true", "plants.west-chillers.existing={}"],
                "clusters.west-gpus",
                "has GPUs in a region that is only a candidate",
            ),
            (
                ["regions.west.candidate=true", "clusters.west-gpus.existing_gpus=0"],
                "plants.west-chillers",
                "has units in a region that is only a candidate",
            ),
            (["plants.west-chillers=null"], "clusters.west-gpus", "no primary plant cools it"),
            (
                ["plants.west-chillers.role=emergency"],
                "clusters.west-gpus",
                "no primary plant cools it",
            ),
            (
                ["plants.west-chillers.cools=[west-gpus, east-gpus]"],
                "plants.west-chillers.cools.1",
                "`east-gpus` is not in region west",
            ),
            (
                ["plants.west-chillers.cools=[west-gpus, west-gpus]"],
                "plants.west-chillers.cools.1",
                "`west-gpus` is listed twice",
            ),
            (
                ["plants.west-chillers.options=[air-1]", "plants.west-chillers.existing={}"],
                "plants.west-chillers",
                "a primary plant needs units that are not on standby",
            ),
            (
                ["plants.west-chillers.options=[chiller-1, chiller-3, chiller-1]"],
                "plants.west-chillers.options.2",
                "`chiller-1` is listed twice",
            ),
            (
                ["feeds.f={region: west, capacity_mw: 1, powers: [east-gpus]}"],
                "feeds.f.powers.0",
                "`east-gpus` is not in region west",
            ),
            (
                ["generators.feed={severity: extreme}"],
                "standard",
                "no rules for severity `extreme`",
            ),
            (["standard.double=null"], "standard", "no rules for severity `double`"),
            (
                ["offers.cloud.existing_instances=61"],
                "offers.cloud.existing_instances",
                "61 instances exceed the 60 available",
            ),
            (
                ["policies.fixed.emergency.cloud=61"],
                "policies.fixed.emergency.cloud",
                "61 instances more exceed the 60 available",
            ),
            (
                ["policies.fixed.gpus.west-gpus=50"],
                "policies.fixed.gpus.west-gpus",
                "50 GPUs are not whole blocks of 100",
            ),
            (
                ["policies.fixed.gpus.west-gpus=1100"],
                "policies.fixed.gpus.west-gpus",
                "1100 GPUs more exceed max_gpus 2000",
            ),
            (
                ["policies.fixed.cooling.west-chillers.air-1=1"],
                "policies.fixed.cooling.west-chillers.air-1",
                "the plant has no `air-1` among its units and options",
            ),
            (
                ["policies.fixed.gpus.west-gpus=100", "policies.forbidden.gpus=[west-gpus]"],
                "policies.fixed.gpus.west-gpus",
                "is also forbidden",
            ),
            (
                ["policies.fixed.emergency.cloud=1", "policies.forbidden.emergency=[cloud]"],
                "policies.fixed.emergency.cloud",
                "is also forbidden",
            ),
            (
                [
                    "policies.fixed.cooling.west-chillers.chiller-1=1",
                    "policies.forbidden.cooling=[chiller-1]",
                ],
                "policies.fixed.cooling.west-chillers.chiller-1",
                "is also forbidden",
            ),
            (["services.a={plane: edge, depends_on: [a]}"], "services.a", "itself: a → a"),
            (
                ["services.a={plane: edge}", "services.b={plane: edge, any_of: [a, a]}"],
                "services.b.any_of.1",
                "`a` is listed twice",
            ),
            (
                [
                    "services.a={plane: edge}",
                    "services.b={plane: edge, depends_on: [a], degrades_without: [a]}",
                ],
                "services.b",
                "names `a` in more than one of depends_on, any_of, degrades_without",
            ),
            (
                ["services.a={plane: edge, replicas: {west: 1, east: 1}, needs_replicas: 3}"],
                "services.a.needs_replicas",
                "3 replicas are needed, 2 exist",
            ),
        ],
    )
    def test_contradicting_values_are_reported(
        self, complaints, tiny_text, setting, where, message
    ):
        (problem,) = complaints(tiny_text, *setting)
        assert problem.where == where
        assert message in problem.message

    @pytest.mark.parametrize(
        ("setting", "where", "message"),
        [
            (
                ["operations.alert_temperatures_c=[75, 85, 85]"],
                "operations.alert_temperatures_c",
                "expected to rise, not 75, 85, 85",
            ),
            (
                [
                    "operations.restoration=[{capacity: 0.5, minutes: 5},"
                    " {capacity: 0.25, minutes: 5}]"
                ],
                "operations.restoration.1.capacity",
                "falls from 0.5 of the phase before to 0.25",
            ),
            (
                ["operations.gates={p99_seconds: 5}"],
                "operations.gates",
                "has no effect without phases of restoration",
            ),
            (
                [
                    "operations.restoration_scope=platform",
                    "operations.restoration=[{capacity: 0.5, minutes: 5}]",
                ],
                "operations.restoration_scope",
                "no phase of restoration names tiers",
            ),
            (
                [
                    "scenarios.s={severity: single, frequency_per_year: 1, operations:"
                    " {restoration_scope: platform}, events: [EVENT]}"
                ],
                "scenarios.s.operations.restoration_scope",
                "no phase of restoration names tiers",
            ),
            (
                ["operations.rationing=allocation", "tiers.free.scarcity_allocation=0.7"],
                "tiers",
                "scarcity_allocation adds up to 0.7; expected 1",
            ),
            (
                [
                    "scenarios.s={severity: single, frequency_per_year: 1, operations:"
                    " {rationing: allocation}, events: [EVENT]}"
                ],
                "tiers",
                "scarcity_allocation adds up to 0; expected 1",
            ),
            (
                ["services.a={plane: edge, capacity_rps: 5}"],
                "services.a.capacity_rps",
                "has no effect: no tier's requests pass",
            ),
            (
                [
                    "services.a={plane: edge, connections: 5}",
                    "services.b={plane: edge, degrades_without: [a]}",
                    "tiers.free.entry=b",
                ],
                "services.a.connections",
                "has no effect: no tier's requests pass",
            ),
            (
                ["services.a={plane: edge, degraded_share: 0.5, capacity_rps: 5}", "ENTRY"],
                "services.a.degraded_share",
                "has no effect without degrades_without",
            ),
            (
                [
                    "services.b={plane: edge}",
                    "services.a={plane: edge, degraded_share: 0.5, degrades_without: [b]}",
                    "ENTRY",
                ],
                "services.a.degraded_share",
                "has no effect without capacity_rps or connections",
            ),
        ],
    )
    def test_settings_without_effect_are_refused(
        self, complaints, tiny_text, setting, where, message
    ):
        event = "{kind: region, name: west, repair_minutes: 5}"
        settings = [
            one.replace("ENTRY", "tiers.free.entry=a").replace("EVENT", event) for one in setting
        ]
        (problem,) = complaints(tiny_text, *settings)
        assert problem.where == where
        assert message in problem.message

    @pytest.mark.parametrize(
        "settings",
        [
            ["operations.alert_temperatures_c=[75]"],
            ["operations.alert_temperatures_c=[]"],
            [
                "operations.restoration=[{capacity: 0.5, minutes: 5, tiers: [free]},"
                " {capacity: 0.5, minutes: 5}]",
                "operations.gates={}",
                "operations.restoration_scope=platform",
            ],
            [
                "operations.rationing=allocation",
                "tiers.business.scarcity_allocation=0.6",
                "tiers.free.scarcity_allocation=0.4000009",
            ],
            [
                "services.a={plane: edge, capacity_rps: 5, connections: 5}",
                "services.b={plane: edge, any_of: [a]}",
                "services.c={plane: edge, depends_on: [b], capacity_rps: 5, degraded_share: 0.5,"
                " degrades_without: [d]}",
                "services.d={plane: edge}",
                "tiers.business.entry=c",
            ],
            ["scenarios.s={severity: single, frequency_per_year: 1, events: [{kind: region,"
             " name: west, at_minute: 719.9, repair_minutes: 5}]}"],
        ],
    )  # fmt: skip
    def test_settings_with_an_effect_are_accepted(self, load, tiny_text, settings):
        load(tiny_text, *settings)

    def test_all_settings_without_effect_are_reported_at_once(self, complaints, tiny_text):
        found = complaints(
            tiny_text,
            "operations.gates={}",
            "operations.alert_temperatures_c=[9, 8]",
            "operations.rationing=allocation",
            "services.a={plane: edge, capacity_rps: 5, connections: 5}",
        )
        assert {problem.where for problem in found} == {
            "operations.alert_temperatures_c",
            "operations.gates",
            "services.a.capacity_rps",
            "services.a.connections",
            "tiers",
        }

    @pytest.mark.parametrize(
        ("temperatures", "fine"),
        [
            ("65, throttle_c: 65.1, shutdown_c: 65.2, restart_c: 65", True),
            ("65, throttle_c: 65, shutdown_c: 95, restart_c: 70", False),
            ("65, throttle_c: 75, shutdown_c: 75, restart_c: 70", False),
            ("65, throttle_c: 75, shutdown_c: 95, restart_c: 64.9", False),
            ("65, throttle_c: 75, shutdown_c: 95, restart_c: 95", False),
            ("65, throttle_c: 75, shutdown_c: 95, restart_c: 94.9", True),
        ],
    )
    def test_order_of_temperatures(self, load, complaints, temperatures, fine):
        text = MINIMAL.replace("max_gpus: 20}", f"max_gpus: 20, setpoint_c: {temperatures}}}", 1)
        if fine:
            load(text)
        else:
            assert {problem.where for problem in complaints(text)} == {"clusters.one"}

    @pytest.mark.parametrize(
        "setting",
        [
            "clusters.west-gpus.existing_gpus=2000",
            "policies.fixed.gpus.west-gpus=1000",
            "policies.fixed.emergency.cloud=60",
            "offers.cloud.existing_instances=60",
            "tiers.free.share=0.4000009",
            "zones.west-users.demand_rps=0",
        ],
    )
    def test_values_at_their_bounds_are_accepted(self, load, tiny_text, setting):
        load(tiny_text, setting)

    @pytest.mark.parametrize(
        ("event", "message"),
        [
            (
                "{kind: units, plant: west-chillers, unit: chiller-3, count: 3, repair_minutes: 5}",
                "loses 3 chiller-3, the plant has 2",
            ),
            (
                "{kind: units, plant: west-chillers, unit: air-1, repair_minutes: 5}",
                "loses 1 air-1, the plant has 0",
            ),
            (
                "{kind: provider, name: cludy, repair_minutes: 5}",
                "`cludy` is not a provider (cloudy); did you mean `cloudy`?",
            ),
            (
                "{kind: region, name: west, repair_minutes: 5, at_minute: 720}",
                "is after the end of the simulation at minute 720",
            ),
            (
                "{kind: region, name: west, repair_minutes: 5, generators_start: false}",
                "a region has no generators; only the loss of a feed can say that",
            ),
            (
                "{kind: feed, name: f, repair_minutes: 5, generators_start: false}",
                "feed `f` has no generators that could fail to start",
            ),
        ],
    )
    def test_an_event_beyond_the_model_is_reported(self, complaints, tiny_text, event, message):
        text = tiny_text + (
            "feeds: {f: {region: west, capacity_mw: 9}}\n"
            "scenarios:\n  s:\n    severity: single\n    frequency_per_year: 1\n"
            f"    events:\n      - {event}\n"
        )
        (problem,) = complaints(text)
        assert problem.where.startswith("scenarios.s.events.0")
        assert problem.line == text.count("\n")
        assert problem.message == message

    def test_an_unknown_field_of_a_sag(self, complaints, everything):
        data = deepcopy(everything)
        data["scenarios"]["many"]["events"][-1]["feeed"] = "west-feed"
        (problem,) = complaints(yaml_of(data))
        assert problem.where == "scenarios.many.events.10.feeed"
        assert problem.message == "is not a field here; did you mean `feed`?"

    def test_losses_that_overlap_count_together(self, load, complaints, tiny_text):
        text = tiny_text + (
            "scenarios:\n  s:\n    severity: single\n    frequency_per_year: 1\n    events:\n"
            "      - {kind: units, plant: west-chillers, unit: chiller-3, repair_minutes: 60}\n"
            "      - {kind: units, plant: west-chillers, unit: chiller-3, at_minute: 30, count: 2,"
            " repair_minutes: 60}\n"
        )
        (problem,) = complaints(text)
        assert problem.where == "scenarios.s.events.1"
        assert problem.message == "loses 3 chiller-3, the plant has 2"
        load(text.replace("at_minute: 30", "at_minute: 60"))

    def test_circular_dependencies_of_services_are_reported(self, complaints, tiny_text):
        text = tiny_text + (
            "services:\n"
            "  a: {plane: edge, depends_on: [b]}\n"
            "  b: {plane: edge, any_of: [c]}\n"
            "  c: {plane: edge, degrades_without: [a]}\n"
            "  d: {plane: edge, depends_on: [a, e]}\n"
            "  e: {plane: edge, depends_on: [d]}\n"
        )
        found = complaints(text)
        assert [problem.message for problem in found] == [
            "depends on itself: a → b → c → a",
            "depends on itself: d → e → d",
        ]

    def test_a_long_chain_of_services_is_not_circular(self, load, tiny_text):
        links = "".join(f"  s{i}: {{plane: edge, depends_on: [s{i + 1}]}}\n" for i in range(1200))
        text = f"{tiny_text}services:\n{links}  s1200: {{plane: edge}}\n"
        assert len(load(text).model.services) == 1201

    @pytest.mark.parametrize(
        ("bill", "steps", "where", "message"),
        [
            (0, [(0.999, 0.1)], "sla_credits", "has no effect without revenue_usd_per_month"),
            (5, [(0.999, 0.1), (0.99, 0.3), (0.999, 0.2)], ".2.below", "two steps below 0.999"),
            (5, [(0.99, 0.1), (0.999, 0.2)], ".0.credit", "0.1 below 0.99 is less than the 0.2"),
        ],
    )
    def test_wrong_schedules_of_service_credits_are_reported(
        self, complaints, tiny_text, bill, steps, where, message
    ):
        data = ", ".join(f"{{below: {below}, credit: {credit}}}" for below, credit in steps)
        settings = [
            f"tiers.free.revenue_usd_per_month={bill}",
            f"tiers.free.sla_credits=[{data}]",
        ]
        (problem,) = complaints(tiny_text, *settings)
        assert problem.where.startswith("tiers.free.sla_credits")
        assert problem.where.endswith(where)
        assert message in problem.message

    def test_steps_of_service_credits_may_be_in_any_order(self, load, tiny_text):
        steps = (
            "[{below: 0.95, credit: 1.0}, {below: 0.999, credit: 0.1}, {below: 0.99, credit: 0.1}]"
        )
        text = f"tiers.free.sla_credits={steps}"
        model = load(tiny_text, "tiers.free.revenue_usd_per_month=5", text).model
        assert len(model.tiers["free"].sla_credits) == 3

    @pytest.mark.parametrize("word", ["each", "all"])
    def test_reserved_words_are_not_tier_or_zone_names(self, complaints, word):
        (problem,) = complaints(MINIMAL.replace("t: {priority", f"{word}: {{priority"))
        assert problem.where == f"tiers.{word}"
        assert "reserved word" in problem.message

    def test_a_missing_section_is_one_problem(self, complaints):
        text = MINIMAL[MINIMAL.index("gpus:") :]
        assert [p.where for p in complaints(text)] == ["regions"]


def test_all_problems_are_reported_at_once(complaints):
    """Six problems of six kinds in one run, each where it stands."""
    text = (
        MINIMAL.replace("10.0}", "10.0, limit: 5}")
        .replace("static_share: 0.0", "static_share: -1")
        .replace("region: b", "region: c")
        .replace("priority: 1", "priority: one")
        .replace("{a: 1.0, b: 2.0}", "{a: .nan, d: 2.0}")
    )
    found = [(p.line, p.column, p.where) for p in complaints(text)]
    assert found == [
        (2, 29, "regions.a.limit"),
        (5, 22, "gpus.g.static_share"),
        (8, 9, "clusters.two.region"),
        (10, 7, "tiers.t.priority"),
        (12, 37, "zones.z.latency_ms.a"),
        (12, 46, "zones.z.latency_ms.d"),
    ]
