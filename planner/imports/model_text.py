"""Commented YAML of an inventory: values, what they rest on, and what is asked for."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from planner.imports.inventory import Fields, Inventory, Kind, Stated, grouped, shown
from planner.infrastructure.entities import Model

#: Share of the GPUs in place that the demand of an inventory without one is taken to need.
USED_SHARE = 0.8
#: Characters of a line before a long value is folded.
WIDTH = 100


def completed(inventory: Inventory, model: Model | None = None) -> Inventory:
    """With the demand that a model needs where the inventory has none, as assumptions.

    Parameters
    ----------
    model
        The model that it is merged into, whose regions count where the inventory has none.
    """
    sections = dict(inventory.sections)
    regions = sections.get("regions") or (model.regions if model else {})
    near = Stated(dict.fromkeys(regions, 0.0), "users near every region", "low")
    tier = {
        "priority": Stated(1, "one tier for all", "low"),
        "share": Stated(1.0, "one tier for all", "low"),
    }
    demand = f"{USED_SHARE:.0%} of the GPUs in place are busy at the peak"
    zone = {"demand_rps": Stated(round(USED_SHARE * inventory.gpus, 6), demand, "low")}
    if model is None:
        sections.setdefault("tiers", {"all-users": tier})
        sections.setdefault("zones", {"users": zone})
    zones = sections.get("zones", {})
    sections["zones"] = {
        name: {"latency_ms": near, **fields}
        for name, fields in zones.items()
        if not isinstance(fields, Stated)
    }
    return replace(inventory, sections=sections)


def model_text(inventory: Inventory) -> str:
    """A model file."""
    lines = [
        f"# Made by `plan import {inventory.source}`. Values stand in the inventory unless they",
        "# are marked as assumed: replace those, and state what is missing.",
    ]
    kinds: tuple[Kind, ...] = ("missing", "suspect")
    for kind in kinds:
        found = grouped(inventory.findings, kind)
        lines += [f"#\n# {kind.capitalize()}:"] if found else []
        for subjects, text in found:
            lines += _comment(f"{subjects}: {text}")
    lines.append("")
    for name, text in inventory.texts.items():
        lines += [*entry_lines(name, "", Stated(text), 0), ""]
    for section, entries in inventory.sections.items():
        lines.append(f"{section}:")
        for name, fields in entries.items():
            lines += entry_lines(name, inventory.titles.get((section, name), ""), fields, 2)
        lines.append("")
    return "\n".join(lines)


def _comment(text: str) -> list[str]:
    return [f"#   {line}" for line in textwrap.wrap(f"- {text}", 94, subsequent_indent="  ")]


def entry_lines(name: str, title: str, fields: Fields | Stated, indent: int) -> Iterator[str]:
    """An entry in lines, with what its values rest on."""
    space = " " * indent
    if isinstance(fields, Stated):
        yield from _value_lines(f"{space}{name}: {value_text(fields.value)}", fields)
        return
    yield f"{space}{name}:" + (f"  # {shown(title)}" if title else "")
    for field, stated in fields.items():
        yield from _value_lines(f"{space}  {field}: {value_text(stated.value)}", stated)


def _value_lines(line: str, stated: Stated) -> list[str]:
    """A value with what it rests on; folded where it is long, but not within texts."""
    start = line[: len(line) - len(line.lstrip())]
    kept = re.sub(r'"(?:[^"\\]|\\.)*"', lambda text: text[0].replace(" ", "\0"), line.lstrip())
    folded = textwrap.wrap(
        kept.replace(": ", ":\0"),
        WIDTH,
        initial_indent=start,
        subsequent_indent=f"{start}  ",
        break_long_words=False,
        break_on_hyphens=False,
    )
    lines = [part.replace("\0", " ") for part in folded]
    return [*lines[:-1], lines[-1] + remark(stated)]


def remark(stated: Stated) -> str:
    """What a value rests on, as a comment behind it."""
    if stated.confidence == "stated":
        return f"  # {shown(stated.why)}" if stated.why else ""
    return f"  # assumed: {shown(stated.why)} ({stated.source}, {stated.confidence} confidence)"


def value_text(value: Any) -> str:
    """A value as YAML on one line: names bare, other texts quoted."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {value_text(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(value_text, value)) + "]"
    return json.dumps(value, ensure_ascii=False)
