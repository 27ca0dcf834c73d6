"""Options that several commands share, each group handed to the command as one value."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Container, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from planner.commands.parameter_types import SHARE, FiniteRange, Money
from planner.commands.progress import Progress

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from planner.infrastructure.loading import LoadedModel
    from planner.optimization.solution.settings import Method, SolverSettings

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]
DEFAULT_MODEL = "chatgpt-2023"
#: How programmes are solved (`SolverSettings.method`).
METHODS: tuple[Method, ...] = ("auto", "extensive", "decomposed")
METHOD_HELP = "extensive: all failures in one programme; decomposed: each in its own; auto: by size"


def bundle(name: str, make: Callable[..., Any], *options: Decorator) -> Decorator:
    """Declare options whose values the command takes as one argument.

    Parameters
    ----------
    make
        Makes its value; takes the values of the options by their names.
    options
        Options and arguments in the order of the help.
    """
    taken = tuple(inspect.signature(make).parameters)

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def bundled(**values: Any) -> Any:
            made = make(**{option: values.pop(option) for option in taken})
            return function(**{name: made}, **values)

        decorated: Callable[..., Any] = bundled
        for option in reversed(options):
            decorated = option(decorated)
        return decorated

    return decorate


def refuse_others(wanted: Container[str], subject: str) -> None:
    """Refuse options that were given but say nothing about a subject.

    Parameters
    ----------
    wanted
        Names of parameters that do.
    """
    context = click.get_current_context()
    given = [
        parameter.opts[-1]
        if isinstance(parameter, click.Option)
        else parameter.human_readable_name.upper()
        for parameter in context.command.params
        if parameter.name not in wanted
        and parameter.expose_value
        and context.get_parameter_source(parameter.name or "") is ParameterSource.COMMANDLINE
    ]
    if given:
        raise click.UsageError(f"{', '.join(given)} does not apply to {subject}.")


def complete_models(
    context: click.Context,  # noqa: ARG001
    parameter: click.Parameter,  # noqa: ARG001
    incomplete: str,
) -> list[CompletionItem]:
    """Shipped models and model files for the completion of a shell."""
    from click.shell_completion import CompletionItem

    from planner.infrastructure.catalogue import shipped_models

    files = sorted(str(path) for path in Path().glob("*.yaml"))
    names = [name for name in (*shipped_models(), *files) if name.startswith(incomplete)]
    return [CompletionItem(name) for name in names] or [CompletionItem(incomplete, type="file")]


setting_option = click.option("--set", "overrides", multiple=True, metavar="PATH=VALUE")


@dataclass(frozen=True)
class ModelArgument:
    """MODEL and the settings ``path=value`` that change it, in order."""

    model: str
    overrides: tuple[str, ...]

    def load(self) -> LoadedModel:
        """Load the model."""
        from planner.infrastructure.loading import load_model

        return load_model(self.model, self.overrides)


optional_model = click.argument("model", required=False, shell_complete=complete_models)
defaulted_model = click.argument("model", default=DEFAULT_MODEL, shell_complete=complete_models)
#: MODEL and --set.
model_argument = bundle("model", ModelArgument, defaulted_model, setting_option)


@dataclass(frozen=True)
class Output:
    """How results are shown, and progress on standard error."""

    as_json: bool
    progress: Progress

    def say(self, text: str) -> None:
        """Print a line of progress."""
        self.progress.say(text)

    @contextmanager
    def shown_whether_written(self, show: Callable[[], None]) -> Iterator[None]:
        """Write a result, then show it: also where it cannot be written, so that it is not lost."""
        try:
            yield
        finally:
            show()

    def suggest(self, *commands: str) -> None:
        """Suggest what to do next to somebody at a terminal."""
        self.progress.next(*commands, silent=self.as_json)

    @property
    def quiet(self) -> bool:
        """Whether there is no progress."""
        return self.progress.quiet


def _output(as_json: bool, quiet: bool) -> Output:
    return Output(as_json, Progress(quiet))


json_option = click.option("--json", "as_json", is_flag=True)
#: --json and --quiet.
output_options = bundle(
    "output",
    _output,
    json_option,
    click.option("-q", "--quiet", is_flag=True),
)


def file_option(metavar: str, name: str = "file", **accepted: bool) -> Decorator:
    """-o/--output, with what `click.Path` accepts."""
    kind = click.Path(path_type=Path, **accepted)
    return click.option("-o", "--output", name, type=kind, metavar=metavar)


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


def _settings(
    solver: str, gap: float, time_limit: float | None, threads: int | None, method: str
) -> SolverSettings:
    """Settings of a solver that is installed."""
    from planner.optimization.solution.settings import SolverSettings
    from planner.optimization.solution.solving import make_solver

    by_solver: Method = method if method in METHODS else "auto"
    settings = SolverSettings(solver, gap, time_limit, threads, by_solver)
    make_solver(settings)
    return settings


gap_option = click.option("--gap", default=1e-4, type=SHARE)


def solver_options(**others: str) -> Decorator:
    """--solver, --gap, --time-limit, --threads and --method as `settings`.

    Parameters
    ----------
    others
        Methods besides those of the solver (`chosen_method`), with their help.
    """
    return bundle(
        "settings",
        _settings,
        click.option("--solver", default="highs"),
        gap_option,
        click.option("--time-limit", type=FiniteRange(0, min_open=True), metavar="SECONDS"),
        click.option("--threads", type=click.IntRange(1)),
        click.option(
            "--method",
            type=click.Choice([*METHODS, *(name.replace("_", "-") for name in others)]),
            default="auto",
            help="; ".join([METHOD_HELP, *others.values()]) + ".",
        ),
    )


def chosen_method() -> str:
    """--method as it was given to the running command."""
    return str(click.get_current_context().params["method"])


def solves_option(default: int, least: int) -> Decorator:
    """--solves, with its default and the least of them."""
    return click.option(
        "--solves", default=default, type=click.IntRange(least, 100_000), metavar="N"
    )


def _share(jobs: int | None, scheduler: str | None) -> AbstractContextManager[Any]:
    """Workers for as long as a command runs."""
    from planner.workers import Threads, shared_by

    if jobs is not None and scheduler is not None:
        raise click.UsageError("-j is for threads here, and --scheduler has workers of its own.")
    if scheduler is None:
        return shared_by(Threads() if jobs is None else Threads(jobs))
    from planner.cluster import cluster_at

    return cluster_at(scheduler)


def workers_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """-j/--jobs and --scheduler: who shares the work of the command (`planner.workers`)."""

    @click.option("-j", "--jobs", type=click.IntRange(1, 256), metavar="N")
    @click.option("--scheduler", metavar="ADDRESS")
    @functools.wraps(function)
    def shared(*, jobs: int | None, scheduler: str | None, **values: Any) -> Any:
        with _share(jobs, scheduler):
            return function(**values)

    return shared


def samples_option(least: int) -> Decorator:
    """--samples, with the least of them."""
    from planner.reliability import SAMPLES

    return click.option(
        "--samples", type=click.IntRange(least, 10_000_000), default=SAMPLES, metavar="N"
    )


seed_option = click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0)


def _policy_settings(
    risk: str | None,
    alpha: float | None,
    beta: float | None,
    capital_budget: float | None,
    emergency_budget: float | None,
) -> tuple[str, ...]:
    """Settings of the model that the options of risk and budgets stand for."""
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
    return tuple(f"{path}={value}" for path, value in values.items() if value is not None)


#: --risk, --alpha, --beta and budgets as settings of the model (`policies`).
policy_options = bundle(
    "policies",
    _policy_settings,
    click.option("--risk", type=click.Choice(["expected", "cvar", "worst"])),
    click.option("--alpha", type=SHARE),
    click.option("--beta", type=SHARE),
    click.option("--capital-budget", type=Money(), metavar="USD"),
    click.option("--emergency-budget", type=Money(), metavar="USD"),
)
