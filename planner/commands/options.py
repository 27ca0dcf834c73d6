"""Options that several commands share."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

import click

from planner.commands.progress import Progress as Progress

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    AmountType = click.ParamType[float]
else:
    # Generic from click 8.4 on only.
    AmountType = click.ParamType

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]
DEFAULT_MODEL = "chatgpt-2023"


def examples(*commands: str) -> str:
    """Examples below the help of a command, each on a line of its own."""
    lines = "\n".join(f"  {command}" for command in commands)
    return f"\b\nExamples:\n{lines}"


def complete_models(
    context: click.Context,  # noqa: ARG001
    parameter: click.Parameter,  # noqa: ARG001
    incomplete: str,
) -> list[CompletionItem]:
    """Shipped models and model files for the completion of a shell."""
    from pathlib import Path

    from click.shell_completion import CompletionItem

    from planner.infrastructure.catalogue import shipped_models

    files = sorted(str(path) for path in Path().glob("*.yaml"))
    names = [name for name in (*shipped_models(), *files) if name.startswith(incomplete)]
    return [CompletionItem(name) for name in names] or [CompletionItem(incomplete, type="file")]


def setting_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """--set."""
    return click.option(
        "--set",
        "overrides",
        multiple=True,
        metavar="PATH=VALUE",
        help="Change a value of the model, e.g. regions.us-west.power_limit_mw=80 (repeatable).",
    )(function)


def model_argument(function: Callable[..., Any]) -> Callable[..., Any]:
    """MODEL and what changes it."""
    argument = click.argument("model", default=DEFAULT_MODEL, shell_complete=complete_models)
    return argument(setting_option(function))


def output_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """--json and --quiet."""
    as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, for machines.")
    quiet = click.option("-q", "--quiet", is_flag=True, help="No progress on standard error.")
    return as_json(quiet(function))


def solver_options(gap: str, time_limit: str) -> Decorator:
    """--solver, --gap, --time-limit and --threads, with what gap and time mean to the command."""
    options = [
        click.option(
            "--solver", default="highs", show_default=True, help="highs, cbc, or any PuLP knows."
        ),
        click.option(
            "--gap",
            default=1e-4,
            show_default=True,
            type=FiniteRange(0, 1, max_open=True),
            help=gap,
        ),
        click.option(
            "--time-limit",
            type=FiniteRange(0, min_open=True),
            metavar="SECONDS",
            help=time_limit,
        ),
        click.option("--threads", type=click.IntRange(1), help="Threads of the solver."),
    ]

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


def jobs_option(text: str) -> Decorator:
    """-j/--jobs, with what the processes share."""
    return click.option(
        "-j",
        "--jobs",
        type=click.IntRange(1, 256),
        default=1,
        show_default=True,
        metavar="N",
        help=text,
    )


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


class Money(AmountType):
    """An amount in USD: 400M, 1.2B, 250k, 400e6."""

    name = "usd"
    FACTORS: ClassVar = {"": 1.0, "k": 1e3, "m": 1e6, "b": 1e9}

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Convert a text."""
        found = re.fullmatch(r"(\d+\.?\d*|\.\d+)(e[+-]?\d{1,2})?([kmb]?)", str(value).lower())
        if not found:
            self.fail(f"{value!r} is no amount in USD such as 400M, 1.2B or 400e6.", param, ctx)
        number, power, unit = found.groups()
        return float(number + (power or "")) * self.FACTORS[unit]


def risk_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """--risk, --alpha, --beta and budgets, handed on as changes of the model (`overrides`)."""

    @functools.wraps(function)
    def changed(
        *,
        overrides: tuple[str, ...],
        risk: str | None,
        alpha: float | None,
        beta: float | None,
        capital_budget: float | None,
        emergency_budget: float | None,
        **rest: Any,
    ) -> Any:
        if alpha is not None and risk != "cvar":
            raise click.UsageError("--alpha needs --risk cvar.")
        if beta is not None and risk not in ("cvar", "worst"):
            raise click.UsageError("--beta needs --risk cvar or worst.")
        values = {
            "policies.risk.kind": risk,
            "policies.risk.alpha": alpha,
            "policies.risk.beta": beta,
            "policies.capital_budget_usd": capital_budget,
            "finance.emergency_budget_usd": emergency_budget,
        }
        more = (f"{path}={value}" for path, value in values.items() if value is not None)
        # First, so that a --set that `plan optimize` suggests changes what an option gave.
        return function(overrides=(*more, *overrides), **rest)

    share = FiniteRange(0, 1, max_open=True)
    options = [
        click.option(
            "--risk",
            type=click.Choice(["expected", "cvar", "worst"]),
            help="How failures count: their expected cost, or with it that of the costliest "
            "years (CVaR) or of the worst failure.",
        ),
        click.option(
            "--alpha",
            type=share,
            help="Confidence of CVaR: 0.95, as usual, looks at the costliest 5 % of years.",
        ),
        click.option(
            "--beta",
            type=share,
            help="Weight of CVaR or the worst, from 0 to below 1; 0.5 if not given.",
        ),
        click.option(
            "--capital-budget", type=Money(), metavar="USD", help="Most capital (400M, 1.2B)."
        ),
        click.option(
            "--emergency-budget",
            type=Money(),
            metavar="USD",
            help="Most emergency spend in one incident that has no budget of its own.",
        ),
    ]
    for option in reversed(options):
        changed = option(changed)
    return changed


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
