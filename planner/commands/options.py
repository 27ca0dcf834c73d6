"""Options that several commands share."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import click

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]
DEFAULT_MODEL = "chatgpt-2023"


def model_argument(function: Callable[..., Any]) -> Callable[..., Any]:
    """MODEL and what changes it."""
    setting = click.option(
        "--set",
        "overrides",
        multiple=True,
        metavar="PATH=VALUE",
        help="Change a value of the model, e.g. regions.us-west.power_limit_mw=80 (repeatable).",
    )
    return click.argument("model", default=DEFAULT_MODEL)(setting(function))


def output_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """--json and --quiet."""
    as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, for machines.")
    quiet = click.option("-q", "--quiet", is_flag=True, help="No progress on standard error.")
    return as_json(quiet(function))


class FiniteRange(click.FloatRange):
    """A range of numbers without NaN, which compares as inside every range, and infinity."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Convert a text."""
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a finite number.", param, ctx)
        return number


def accepts(*names: str) -> Decorator:
    """Accept options that every command has but that change nothing about this one."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        helps = {"--json": "Print JSON (it always does).", "--quiet": "No progress (it has none)."}
        for name in names:
            short = ("-q", name) if name == "--quiet" else (name,)
            function = click.option(*short, is_flag=True, expose_value=False, help=helps[name])(
                function
            )
        return function

    return decorate


class Progress:
    """Lines of progress with elapsed time on standard error."""

    def __init__(self, quiet: bool) -> None:
        self.quiet = quiet
        self.started = time.monotonic()

    def say(self, text: str) -> None:
        """Print one line unless quiet."""
        if not self.quiet:
            click.echo(f"[{time.monotonic() - self.started:6.1f} s] {text}", err=True)
