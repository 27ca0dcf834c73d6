"""Write the model reference from the schema: ``python docs/reference.py``.

A test checks that ``docs/reference.md`` is what this script makes. Types, bounds, defaults and
meanings come from the pydantic models; units from the names of attributes; sources from the tables
in ``datasets/``, whose figures must equal the defaults that are said to come from them.
"""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

from planner.infrastructure.catalogue import CATALOGUES, data_directory
from planner.infrastructure.entities import Model
from planner.replay.schema import incident_schema

PAGE = Path(__file__).with_name("reference.md")

HEAD = """\
# Model reference

<!-- written by docs/reference.py from the schema; change the docstrings there, not this page -->

Every attribute of a model file, and at the end of an [incident file](incidents.md). How sections,
`extends`, catalogues and tables work:
[writing a model](models.md). The same as JSON Schema, for editors: `plan schema`.

- *Unit* is what the name of the attribute ends in. A share is a number from 0 to 1.
- *Default* is what holds where a file is silent; **required** has none.
- *Accepts* gives bounds beyond these: shares end at 1, amounts at 1e12, counts at 10,000,000; none
  is negative. Names are letters, digits and `_ . @ -`, at most 64, the first a letter or digit.
- *Source*: a catalogue that supplies the attribute to entries which say `from: NAME` (how many of
  its entries have it, and [how sure](../datasets/README.md#confidence) they are), or the dataset
  that the default comes from. Empty: a neutral value (0, none) or a judgement of this project.
- Every named entry and the model itself may have `source`, in words; nothing is computed with it.
"""

#: Sections of the page: heading, the key in the file, the definitions shown under it.
SECTIONS = (
    ("Model", "", ("Model",)),
    ("Regions", "regions", ("Region",)),
    ("GPU types", "gpus", ("GpuType",)),
    ("Clusters", "clusters", ("Cluster",)),
    ("Cooling unit types", "cooling_units", ("CoolingUnit",)),
    ("Plants", "plants", ("Plant",)),
    ("Feeds", "feeds", ("Feed",)),
    ("Services", "services", ("Service",)),
    ("Tiers", "tiers", ("Tier", "Retry", "CreditStep")),
    ("Zones", "zones", ("Zone",)),
    ("Offers", "offers", ("Offer",)),
    ("Measures", "measures", ("Measure", "Reaction")),
    (
        "Operations",
        "operations",
        ("Operations", "RestorationPhase", "RestorationGates", "OperationalChange"),
    ),
    ("Finance", "finance", ("Finance", "TaxLives")),
    (
        "Policies",
        "policies",
        ("Policies", "RiskPolicy", "FixedPurchases", "ForbiddenPurchases"),
    ),
    ("Standard", "standard", ("ServedRule",)),
    ("Generators", "generators", ("Generators", "FamilyTerms")),
    ("Scenarios", "scenarios", ("Scenario", "OperationsOverride")),
    (
        "Events",
        "scenarios.NAME.events",
        ("UnitLoss", "LargestUnitsLoss", "NodeLoss", "Sag", "Heat", "Surge", "Supply"),
    ),
    ("Simulation", "simulation", ("SimulationSettings",)),
    (
        "Horizon",
        "horizon",
        (
            "Horizon",
            "DemandGrowth",
            "DemandPath",
            "Course",
            "PriceCourses",
            "OrderMonths",
            "PowerStep",
            "Construction",
        ),
    ),
    ("Incidents", "", ("Incident", "Calibrated", "Milestone")),
)

#: Where the definitions of a section stand that are not its entries themselves.
PLACES = {
    "Retry": "tiers.NAME.retry",
    "CreditStep": "tiers.NAME.sla_credits",
    "Reaction": "measures.NAME.operations",
    "RestorationPhase": "operations.restoration",
    "RestorationGates": "operations.gates",
    "OperationalChange": "operations.changes.NAME",
    "TaxLives": "finance.tax_lives",
    "RiskPolicy": "policies.risk",
    "FixedPurchases": "policies.fixed",
    "ForbiddenPurchases": "policies.forbidden",
    "ServedRule": "standard.CLASS",
    "FamilyTerms": "generators.FAMILY",
    "OperationsOverride": "scenarios.NAME.operations",
    "DemandGrowth": "horizon.growth",
    "DemandPath": "horizon.paths.NAME",
    "Course": "horizon.growth.demand",
    "PriceCourses": "horizon.prices",
    "OrderMonths": "horizon.order_months",
    "PowerStep": "horizon.power",
    "Construction": "horizon.construction",
    "Calibrated": "calibrated",
    "Milestone": "milestones",
}

#: Units of all amounts of a definition, or of one attribute.
WHOLE_UNITS = {"TaxLives": "years", "OrderMonths": "months", "reserved_months": "months"}
#: Units by the ending of a name; the first that fits counts.
UNITS = (
    ("usd_per_1000_requests", "USD per 1,000 requests"),
    ("usd_per_million_requests", "USD per million requests"),
    ("usd_per_instance_hour", "USD per instance and hour"),
    ("usd_per_instance_year", "USD per instance and year"),
    ("usd_per_mwh", "USD/MWh"),
    ("usd_per_month", "USD a month"),
    ("usd_per_year", "USD a year"),
    ("mj_per_k_per_mw", "MJ/K per MW"),
    ("mw_per_mw", "MW per MW"),
    ("per_c", "share per °C"),
    ("share_per_year", "share a year"),
    ("inflation_per_year", "share a year"),
    ("growth_per_year", "share a year"),
    ("failures_per_year", "1/year"),
    ("times_per_year", "1/year"),
    ("frequency_per_year", "1/year"),
    ("discount_rate", "share a year"),
    ("usd_by_class", "USD"),
    ("budget_by_class_usd", "USD"),
    ("usd", "USD"),
    ("rps", "requests/s"),
    ("rps_per_gpu", "requests/s per GPU"),
    ("mwh", "MWh"),
    ("mw", "MW"),
    ("tb_per_hour", "TB/h"),
    ("gpus_per_hour", "GPUs/h"),
    ("tb", "TB"),
    ("ms", "ms"),
    ("minutes", "min"),
    ("minute", "min"),
    ("seconds", "s"),
    ("hours", "h"),
    ("hour", "hour of the week"),
    ("years", "years"),
    ("rise_c", "K"),
    ("temperatures_c", "°C"),
    ("c", "°C"),
    ("latitude", "degrees"),
    ("longitude", "degrees"),
    ("gpus_per_instance", "GPUs"),
    ("gpus", "GPUs"),
    ("instances", "instances"),
    ("queue_limit_requests", "requests"),
    ("queue_requests", "requests"),
    ("probability", "probability"),
    ("share", "share"),
    ("utilisation", "share"),
    ("multiplier", "factor"),
    ("factor", "factor"),
)


class Found(NamedTuple):
    """A figure of a dataset that a default comes from."""

    file: str
    entry: str
    attribute: str
    scale: float = 1.0


INCIDENT = "incidents/chatgpt-2023/figures.csv"
PLANT_LIFE = Found("finance.csv", "default", "plant_life_years")
#: Defaults that come from a dataset.
ORIGINS = {
    ("Finance", "discount_rate"): Found("finance.csv", "default", "discount_rate"),
    ("Finance", "tax_rate"): Found("finance.csv", "default", "tax_rate"),
    ("Finance", "electricity_inflation_per_year"): Found(
        "finance.csv", "default", "electricity_inflation_per_year"
    ),
    ("GpuType", "life_years"): Found("finance.csv", "default", "gpu_life_years"),
    ("GpuType", "facility_life_years"): PLANT_LIFE,
    ("CoolingUnit", "life_years"): PLANT_LIFE,
    ("Region", "life_years"): PLANT_LIFE,
    ("GpuType", "service_seconds"): Found(INCIDENT, "average_request_time_seconds", "printed"),
    ("Cluster", "setpoint_c"): Found(INCIDENT, "inference_base_temperature_c", "printed"),
    ("Cluster", "throttle_c"): Found(INCIDENT, "v2_throttle_start_c", "printed"),
    ("Cluster", "shutdown_c"): Found(INCIDENT, "shutdown_temperature_c", "printed"),
    ("Operations", "queue_limit_requests"): Found(INCIDENT, "queue_limit_requests", "printed"),
    ("Operations", "alert_utilisation"): Found(
        INCIDENT, "alert_utilization_high_percent", "printed", 0.01
    ),
    ("RestorationGates", "p99_seconds"): Found(
        INCIDENT, "restoration_max_response_p99_seconds", "printed"
    ),
    ("RestorationGates", "error_share"): Found(INCIDENT, "restoration_max_error_share", "printed"),
    ("RestorationGates", "temperature_c"): Found(
        INCIDENT, "restoration_max_gpu_temperature_c", "printed"
    ),
    ("RestorationGates", "queue_requests"): Found(
        INCIDENT, "restoration_max_queue_requests", "printed"
    ),
}

#: Bounds that say no more than the type does.
USUAL = {("minimum", 0), ("maximum", 1e12), ("maximum", 10_000_000)}
#: A leap year in minutes and in hours.
YEAR = (527_040, 8_784)


def page() -> str:
    """The whole page."""
    schema = Model.model_json_schema(by_alias=True)
    incident = incident_schema()
    definitions = {**incident["$defs"], **schema["$defs"], "Model": schema, "Incident": incident}
    links = {name: _anchor(heading) for heading, _, names in SECTIONS for name in names}
    parts = [HEAD]
    for heading, key, names in SECTIONS:
        parts.append(f"## {heading}\n")
        for name in names:
            parts.append(_definition(name, definitions, key, links, alone=len(names) == 1))
    return "\n".join(parts).rstrip() + "\n"


def _definition(
    name: str, definitions: dict[str, Any], key: str, links: dict[str, str], *, alone: bool
) -> str:
    """A table of attributes under what they describe."""
    definition = definitions[name]
    place = PLACES.get(name, key)
    lead = _sentence(definition["description"]) + (f" In the file: `{place}`." if place else "")
    lines = [lead if alone else f"**{name}**: {lead}", ""]
    lines.append("| attribute | type, unit | default | accepts | meaning | source |")
    lines.append("|---|---|---|---|---|---|")
    required = set(definition.get("required", ()))
    for attribute, field in definition["properties"].items():
        if attribute == "source" and name != "Incident":
            continue
        kind = _type(field, links)
        unit, accepts = _unit(name, attribute, field), _accepts(field)
        cells = (
            f"`{attribute}`",
            f"{kind}, {unit}" if unit else kind,
            "**required**" if attribute in required else _default(field),
            "" if unit in ("share", "probability") and accepts == "to 1" else accepts,
            _meaning(field, definitions),
            _source(name, key, attribute, field),
        )
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join([*lines, ""])


def _anchor(heading: str) -> str:
    return "#" + heading.lower().replace(" ", "-")


def _sentence(text: str) -> str:
    return " ".join(text.split())


def _meaning(field: dict[str, Any], definitions: dict[str, Any]) -> str:
    """What the attribute says, or where it says no more than its type, what that says."""
    whole = definitions.get(field.get("$ref", "").rsplit("/", 1)[-1], {})
    text = _sentence(field.get("description") or whole.get("description", ""))
    return "Which kind of event it is" if text == "Discriminator." else text.rstrip(".")


def _inner(field: dict[str, Any]) -> dict[str, Any]:
    """What a field holds if it is given: without null."""
    kinds = [kind for kind in field.get("anyOf", ()) if kind.get("type") != "null"]
    return kinds[0] if kinds else field


def _type(field: dict[str, Any], links: dict[str, str]) -> str:
    """Type in words."""
    field = _inner(field)
    if "$ref" in field:
        name = field["$ref"].rsplit("/", 1)[-1]
        return f"[{name}]({links[name]})"
    if "const" in field or "enum" in field:
        return "whole number" if field["type"] == "integer" else "word"
    if "patternProperties" in field or isinstance(field.get("additionalProperties"), dict):
        (inner,) = (field.get("patternProperties") or {"": field["additionalProperties"]}).values()
        return f"by name: {_type(inner, links)}"
    if field.get("type") == "array":
        items = field["items"]
        return "list of events" if "oneOf" in items else f"list of {_plural(_type(items, links))}"
    if field.get("type") == "string":
        return "name" if "[A-Za-z0-9]" in field.get("pattern", "") else "text"
    return {"boolean": "yes or no", "integer": "whole number"}.get(field["type"], "number")


def _plural(kind: str) -> str:
    return kind if kind.startswith("[") else f"{kind}s"


def _unit(name: str, attribute: str, field: dict[str, Any]) -> str:
    """Unit from the ending of a name; none for names, words and references."""
    if "number" not in str(_inner(field)) and "integer" not in str(_inner(field)):
        return ""
    if name in WHOLE_UNITS or attribute in WHOLE_UNITS:
        return WHOLE_UNITS.get(name) or WHOLE_UNITS[attribute]
    if name == "CreditStep" or attribute in {"least_served", "sla", "scarcity_allocation"}:
        return "share"
    for ending, unit in UNITS:
        if attribute == ending or attribute.endswith(f"_{ending}"):
            return unit
    inner = _inner(field)
    return "share" if inner.get("type") == "number" and inner.get("maximum") == 1 else ""


def _default(field: dict[str, Any]) -> str:
    if "default" not in field:
        return "none"
    return _value(field["default"], _inner(field))


def _value(value: Any, field: dict[str, Any]) -> str:
    if value is None or value in ("", []):
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return "none" if not any(value.values()) else "its defaults"
    if isinstance(value, list):
        return ", ".join(_value(entry, field) for entry in value)
    return f"{value:,.12g}" if isinstance(value, (int, float)) else f"`{value}`"


def _accepts(field: dict[str, Any]) -> str:
    """Words and bounds."""
    inner = _inner(field)
    if inner.get("type") == "array" and "oneOf" not in inner["items"]:
        least = f"at least {inner['minItems']}" if "minItems" in inner else ""
        return least or _accepts(inner["items"])
    if "const" in inner:
        return f"`{inner['const']}`"
    if "enum" in inner:
        return ", ".join(
            f"`{choice}`" if isinstance(choice, str) else str(choice) for choice in inner["enum"]
        )
    if "minProperties" in inner or "minItems" in inner:
        return f"at least {inner.get('minProperties', inner.get('minItems'))}"
    if set((inner.get("propertyNames") or {}).get("enum", ())):
        return "by " + ", ".join(f"`{key}`" for key in inner["propertyNames"]["enum"])
    for pattern in inner.get("patternProperties", {}).values():
        return _accepts(pattern)
    return _bounds(inner)


def _bounds(field: dict[str, Any]) -> str:
    low, high = field.get("exclusiveMinimum"), field.get("exclusiveMaximum")
    texts = []
    if low is not None:
        texts.append(f"above {_number(low)}")
    elif ("minimum", field.get("minimum", 0)) not in USUAL:
        texts.append(f"from {_number(field['minimum'])}")
    if high is not None:
        texts.append(f"below {_number(high)}")
    elif ("maximum", field.get("maximum", 1e12)) not in USUAL:
        high = field["maximum"]
        texts.append("to 366 days" if high in YEAR else f"to {_number(high)}")
    return " ".join(texts)


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:,g}"


def _rows(file: str) -> list[dict[str, str]]:
    with (data_directory("datasets") / file).open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def _source(name: str, key: str, attribute: str, field: dict[str, Any]) -> str:
    """The catalogue that has the attribute, or the dataset that the default is from.

    Raises
    ------
    SystemExit
        If a default is not the figure that it is said to come from.
    """
    if (name, attribute) in ORIGINS:
        found = ORIGINS[name, attribute]
        row = next(
            row
            for row in _rows(found.file)
            if (row["name"], row.get("attribute", found.attribute))
            == (found.entry, found.attribute)
        )
        printed = float(row["value" if "value" in row else found.attribute]) * found.scale
        if abs(printed - field["default"]) > 1e-9 * abs(printed):
            raise SystemExit(f"{name}.{attribute} is {field['default']}, {found} says {printed}")
        text = f"[{found.file.removeprefix('incidents/')}](../datasets/{found.file})"
        return f"default: {text}, `{found.entry}`, {_words(row['confidence'])}"
    if key in CATALOGUES and name not in PLACES:
        file = CATALOGUES[key]
        rows = [row for row in _rows(file) if row["attribute"] == attribute]
        if rows:
            grades = Counter(_words(row["confidence"]) for row in rows)
            text = ", ".join(f"{count} {word}" for word, count in sorted(grades.items()))
            return f"[{file}](../datasets/{file}): {text}"
    return ""


def _words(confidence: str) -> str:
    short = {"engineering_estimate": "estimate", "memory_unverified": "recalled"}
    return short.get(confidence, confidence)


def main() -> None:
    """Rewrite the page."""
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
