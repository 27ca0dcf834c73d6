"""JSON Schema of incident files."""

from __future__ import annotations

from typing import Any

from planner.replay.incident import Incident


def incident_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of an incident file; a subject may be a single name."""
    schema = Incident.model_json_schema(by_alias=True)
    subject = schema["$defs"]["Milestone"]["properties"]["subject"]
    informing = {key: subject.pop(key) for key in ("description", "default") if key in subject}
    one_or_more = {"anyOf": [subject["items"], subject]}
    schema["$defs"]["Milestone"]["properties"]["subject"] = informing | one_or_more
    return schema | {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Resilience planner incident",
    }
