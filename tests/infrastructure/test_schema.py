"""The JSON Schema of model files, held against what the loader takes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest

from planner.infrastructure.catalogue import CATALOGUES, catalogue, shipped_models
from planner.infrastructure.entities import Model
from planner.infrastructure.field_types import SECTIONS
from planner.infrastructure.schema import model_schema
from planner.infrastructure.source import parse_yaml

SCHEMA = model_schema()
TYPES = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "null": type(None),
    "integer": int,
    "number": (int, float),
}
#: Keywords of JSON Schema that `violations` knows, and those that only inform.
KNOWN = {
    "$ref",
    "additionalProperties",
    "anyOf",
    "const",
    "enum",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "items",
    "maxItems",
    "maxLength",
    "maximum",
    "minItems",
    "minProperties",
    "minimum",
    "oneOf",
    "pattern",
    "patternProperties",
    "properties",
    "propertyNames",
    "required",
    "type",
}
INFORMING = {"$defs", "$schema", "default", "description", "discriminator", "examples", "title"}


def schemas(schema: dict[str, Any], where: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """All schemas within a schema."""
    yield where, schema
    for key in ("$defs", "properties", "patternProperties"):
        for name, inner in schema.get(key, {}).items():
            yield from schemas(inner, f"{where}/{key}/{name}")
    for key in ("anyOf", "oneOf"):
        for index, inner in enumerate(schema.get(key, [])):
            yield from schemas(inner, f"{where}/{key}/{index}")
    for key in ("items", "additionalProperties", "propertyNames"):
        if isinstance(schema.get(key), dict):
            yield from schemas(schema[key], f"{where}/{key}")


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    """Schema with the definition that it refers to laid below."""
    while "$ref" in schema:
        name = schema["$ref"].removeprefix("#/$defs/")
        schema = SCHEMA["$defs"][name] | {k: v for k, v in schema.items() if k != "$ref"}
    return schema


def violations(value: Any, schema: dict[str, Any], path: str = "") -> list[str]:
    """What of a value a schema refuses: as much of JSON Schema as this one uses."""
    schema = resolved(schema)
    kinds = schema.get("type")
    if kinds is not None:
        fits = isinstance(value, TYPES[kinds])
        if isinstance(value, bool) and kinds in {"integer", "number"}:
            fits = False
        if not fits:
            return [f"{path}: no {kinds}"]
    found = []
    for key in ("anyOf", "oneOf"):
        if key in schema:
            fitting = [not violations(value, inner, path) for inner in schema[key]].count(True)
            if fitting == 0 or (key == "oneOf" and fitting > 1):
                found.append(f"{path}: {fitting} of {key}")
    if "enum" in schema and value not in schema["enum"]:
        found.append(f"{path}: not in {schema['enum']}")
    if "const" in schema and value != schema["const"]:
        found.append(f"{path}: not {schema['const']}")
    if isinstance(value, int | float) and not isinstance(value, bool):
        limits = [
            value >= schema.get("minimum", value),
            value <= schema.get("maximum", value),
            value > schema.get("exclusiveMinimum", value - 1),
            value < schema.get("exclusiveMaximum", value + 1),
        ]
        found += [f"{path}: beyond its limits"] if not all(limits) else []
    if isinstance(value, str):
        fits = len(value) <= schema.get("maxLength", len(value))
        fits = fits and re.search(schema.get("pattern", ""), value) is not None
        found += [] if fits else [f"{path}: not such a text"]
    if isinstance(value, list):
        fits = schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value))
        found += [] if fits else [f"{path}: wrong length"]
        for index, one in enumerate(value):
            found += violations(one, schema.get("items", {}), f"{path}.{index}")
    if isinstance(value, dict):
        found += _of_mapping(value, schema, path)
    return found


def _of_mapping(value: dict[str, Any], schema: dict[str, Any], path: str) -> list[str]:
    found = [f"{path}: lacks {name}" for name in schema.get("required", []) if name not in value]
    found += [f"{path}: too few"] if len(value) < schema.get("minProperties", 0) else []
    for key, one in value.items():
        here = f"{path}.{key}"
        found += violations(key, schema.get("propertyNames", {}), here)
        patterns = [p for p in schema.get("patternProperties", {}) if re.search(p, key)]
        if key in schema.get("properties", {}):
            found += violations(one, schema["properties"][key], here)
        elif patterns:
            found += violations(one, schema["patternProperties"][patterns[0]], here)
        elif isinstance(schema.get("additionalProperties"), dict):
            found += violations(one, schema["additionalProperties"], here)
        elif schema.get("additionalProperties") is False:
            found.append(f"{here}: unknown")
    return found


def shipped(name: str) -> dict[str, Any]:
    return parse_yaml(shipped_models()[name].read_bytes(), name).data


def test_the_schema_is_a_valid_json_schema():
    """Known keywords only, of the right form, and every reference resolves."""
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert SCHEMA["type"] == "object"
    assert SCHEMA["additionalProperties"] is False
    seen = 0
    for where, schema in schemas(SCHEMA):
        seen += 1
        assert set(schema) <= KNOWN | INFORMING, where
        assert schema.get("type", "null") in TYPES, where
        if "$ref" in schema:
            assert schema["$ref"].removeprefix("#/$defs/") in SCHEMA["$defs"], where
        for name in schema.get("required", []):
            assert name in schema["properties"], where
        for key in ("pattern",):
            re.compile(schema.get(key, ""))
        for pattern in schema.get("patternProperties", {}):
            re.compile(pattern)
    assert seen > 300


def test_has_every_section_and_nothing_else():
    assert set(SCHEMA["properties"]) == {*Model.model_fields, "extends"} - {"name"}


def test_definitions_are_entities():
    assert all(re.fullmatch(r"[A-Z][A-Za-z]+", name) for name in SCHEMA["$defs"])


def test_every_field_says_what_it_is():
    for where, schema in schemas(SCHEMA):
        for name, field in schema.get("properties", {}).items():
            text = resolved(field).get("description", "")
            assert len(text) > 5, f"{where}.{name}"
            assert text[0].isupper() or text[0].isdigit() or text.startswith("k of"), text
            assert text.endswith("."), text


def test_sections_of_entities_may_be_tables():
    for section in SECTIONS:
        assert not violations("some.csv", SCHEMA["properties"][section])
        assert violations("some.txt", SCHEMA["properties"][section])


@pytest.mark.parametrize("section", CATALOGUES)
def test_entries_may_come_from_a_catalogue(section):
    table = SCHEMA["properties"][section]["anyOf"][0]
    (entry,) = table["patternProperties"].values()
    offered = resolved(entry["anyOf"][0])["properties"]["from"]["examples"]
    assert offered == sorted(catalogue(CATALOGUES[section]))


@pytest.mark.parametrize("name", shipped_models())
def test_shipped_models_fit(name):
    assert violations(shipped(name), SCHEMA) == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("regoins",), {}),
        (("regions",), {}),
        (("regions", "west", "power_limit_mw"), -1),
        (("regions", "west", "power_limit_mw"), "much"),
        (("regions", "west", "power_limit_mw"), True),
        (("regions", "west", "power"), 1),
        (("regions", "we st"), {"power_limit_mw": 1.0}),
        (("clusters", "west-gpus", "max_gpus"), 1.5),
        (("clusters", "west-gpus", "max_utilisation"), 0),
        (("plants", "west-chillers", "role"), "secondary"),
        (("plants", "west-chillers", "existing", "chiller-3"), -1),
        (("standard", "severe"), []),
        (("standard", "single"), [{"tier": "all"}]),
        (("finance", "discount_rate"), 1),
        (("scenarios",), {"s": {"events": []}}),
        (("scenarios",), {"s": {"events": [{"kind": "plant", "name": "x"}]}}),
        (("scenarios",), {"s": {"events": [{"name": "x", "repair_minutes": 5}]}}),
        (("scenarios",), {"s": {"start_hour": 168}}),
        (("extends",), 5),
    ],
)
def test_what_the_loader_refuses_the_schema_refuses(path, value, complaints):
    data = deepcopy(shipped("tiny"))
    parent = data
    for part in path[:-1]:
        parent = parent[part]
    parent[path[-1]] = value
    assert violations(data, SCHEMA)
    assert complaints(json.dumps(data))


def test_a_part_of_a_model_fits():
    """What extends another may be as short as it likes."""
    data = {
        "extends": "tiny",
        "regions": {"west": {"city": "Here"}, "east": None, "*": {"power_limit_mw": "*1.5"}},
        "plants": {"west-chillers": {"existing": {"chiller-3": None}}},
        "gpus": {"accelerator": {"from": "A100-SXM4-80GB"}},
    }
    assert violations(data, SCHEMA) == []
