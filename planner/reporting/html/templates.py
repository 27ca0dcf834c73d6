"""Templates and styles of web pages."""

from __future__ import annotations

from functools import cache
from string import Template
from typing import Any

from planner.files import package_text
from planner.json_text import json_text


@cache
def asset(name: str) -> str:
    """Text of a file of `assets`."""
    return package_text("planner.reporting.html", f"assets/{name}")


def filled(file: str, **parts: str) -> str:
    """A page of `assets` with its parts, which are HTML already; needs no library."""
    return Template(asset(file)).substitute(parts)


def script_json(data: Any) -> str:
    """JSON that cannot end a script element or start a comment."""
    text = json_text(data, "compact", ascii_only=True)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


@cache
def template(name: str) -> Any:
    """A template of `assets`; what it shows is escaped."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["breakable"] = lambda text: str(text).replace("_", "_\u200b")
    return environment.from_string(asset(name))
