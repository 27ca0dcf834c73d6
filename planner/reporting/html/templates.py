"""Templates and styles of web pages."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any


@cache
def asset(name: str) -> str:
    """Text of a file of `assets`."""
    content = files("planner.reporting.html").joinpath("assets", name).read_text(encoding="utf-8")
    return content.replace("\r\n", "\n")


@cache
def template(name: str) -> Any:
    """A template of `assets`; what it shows is escaped."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["breakable"] = lambda text: str(text).replace("_", "_\u200b")
    return environment.from_string(asset(name))
