"""JSON Schema of model files: that of `Model`, and the extensions that the loader accepts."""

from __future__ import annotations

from typing import Any

from planner.infrastructure.catalogue import CATALOGUES, catalogue
from planner.infrastructure.entities import Model
from planner.infrastructure.field_types import SECTIONS, SERIES
from planner.infrastructure.quantities import PATTERN

#: Entities that stand in lists.
LISTED = frozenset(
    {
        "Heat",
        "LargestUnitsLoss",
        "NodeLoss",
        "PowerStep",
        "RestorationPhase",
        "ServedRule",
        "Supply",
        "Surge",
        "UnitLoss",
    }
)


def model_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of a model file.

    Beside the fields of the entities a file may say ``extends``, name a CSV table for a section,
    and take an entry ``from`` a catalogue; none of its sections is required, since a parent may
    supply them.
    """
    schema = Model.model_json_schema(by_alias=True)
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "Resilience planner model"
    properties = schema["properties"]
    schema.pop("required", None)
    properties["extends"] = {
        "type": "string",
        "description": "File or shipped model from which this one inherits what it does not state.",
    }
    for section in (*SECTIONS, *SERIES):
        table = properties[section]
        description = table.pop("description", "")
        properties[section] = {
            "description": description,
            "anyOf": [table, {"type": "string", "pattern": r"\.csv$"}],
        }
    for section, file in CATALOGUES.items():
        entity = schema["$defs"][_entity_name(section)]
        entity["properties"]["from"] = {
            "type": "string",
            "description": f"Entry of {file} that supplies the fields not given here.",
            "examples": sorted(catalogue(file)),
        }
    for name, entity in schema["$defs"].items():
        # A model that extends another, or takes an entry from a catalogue, may give a part only;
        # lists are replaced as a whole, so that their entries stay complete.
        if name not in LISTED:
            entity.pop("required", None)
    _complete_tables(schema)
    schema["$defs"] = {
        name: _with_quantities(definition) for name, definition in schema["$defs"].items()
    }
    schema["properties"] = {name: _with_quantities(field) for name, field in properties.items()}
    return schema


def _with_quantities(schema: Any) -> Any:
    """Accept texts such as ``16 MW`` or ``5M`` wherever numbers are."""
    if isinstance(schema, list):
        return [_with_quantities(inner) for inner in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("type") in ("number", "integer"):
        informing = {key: schema[key] for key in ("description", "default") if key in schema}
        number = {key: value for key, value in schema.items() if key not in informing}
        return informing | {"anyOf": [number, {"type": "string", "pattern": PATTERN}]}
    data = ("default", "examples", "enum", "const")
    return {key: value if key in data else _with_quantities(value) for key, value in schema.items()}


def _complete_tables(schema: Any) -> None:
    """Accept only names as keys of tables, `*` for all inherited ones, null to remove one."""
    if isinstance(schema, list):
        for inner in schema:
            _complete_tables(inner)
    elif isinstance(schema, dict):
        for inner in schema.values():
            _complete_tables(inner)
        if "patternProperties" in schema:
            schema["additionalProperties"] = False
            schema["patternProperties"] = {
                rf"{pattern}|^\*$": {"anyOf": [inner, {"type": "null"}]}
                for pattern, inner in schema["patternProperties"].items()
            }


def _entity_name(section: str) -> str:
    return {
        "regions": "Region",
        "gpus": "GpuType",
        "cooling_units": "CoolingUnit",
        "offers": "Offer",
    }[section]
