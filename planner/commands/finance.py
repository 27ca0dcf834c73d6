"""``plan finance``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from planner.commands.options import (
    FiniteRange,
    Progress,
    complete_models,
    examples,
    jobs_option,
    output_options,
    solver_options,
)
from planner.commands.plan_arguments import say_notes
from planner.commands.scenario_options import selection_options
from planner.errors import EXIT_DONE, EXIT_INFEASIBLE, InputError, Problem
from planner.reliability import SAMPLES

if TYPE_CHECKING:
    from planner.finance.builds import Build
    from planner.finance.study import FinanceStudy, Sampling
    from planner.infrastructure.failures import Scenario
    from planner.infrastructure.loading import LoadedModel
    from planner.optimization.solution.solving import SolverSettings
    from planner.plan.records import Plan
    from planner.scenarios.selection import Wanted

DEFAULT_MODEL = "chatgpt-2023"
AS_IT_WAS = "as it was"


@click.command(
    "finance",
    epilog=examples(
        "plan finance tiny --plan out --samples 100",
        "plan finance chatgpt-2023 --plan out -o book.xlsx",
        "plan finance tiny --plan now=out --plan later=after --csv tables",
    ),
)
@click.argument("model", required=False, shell_complete=complete_models)
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="PATH=VALUE",
    help="Change a value of the model, e.g. finance.discount_rate=0.08 (repeatable).",
)
@click.option(
    "--plan",
    "plans",
    multiple=True,
    metavar="[NAME=]PLAN",
    help="Value a plan (its plan.json or folder) or the build that another model states; without "
    "one the model is optimised first (repeatable, side by side).",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="BOOK.xlsx",
    help="Write a workbook with live formulas.",
)
@click.option(
    "--csv",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Write all tables as CSV.",
)
@click.option(
    "--cash-flows",
    "flows",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Other cash flows that each plan brings (CSV: year,usd), e.g. revenue of new capacity.",
)
@click.option(
    "--samples",
    type=click.IntRange(10, 10_000_000),
    default=SAMPLES,
    show_default=True,
    metavar="N",
    help="Cascades simulated for each build; more narrow the intervals.",
)
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True)
@click.option(
    "--alpha",
    type=FiniteRange(0, 1, max_open=True),
    default=0.95,
    show_default=True,
    help="Confidence of value at risk and conditional value at risk.",
)
@click.option(
    "--replan",
    is_flag=True,
    help="Optimise anew with every input low and high: which of them change the plan.",
)
@jobs_option("Processes that share the simulation.")
@solver_options(
    gap="Relative gap of every optimisation.",
    time_limit="Time for one optimisation.",
)
@output_options
@selection_options
def command(
    model: str | None,
    overrides: tuple[str, ...],
    plans: tuple[str, ...],
    output: Path | None,
    folder: Path | None,
    flows: Path | None,
    samples: int,
    seed: int,
    alpha: float,
    replan: bool,
    jobs: int,
    solver: str,
    gap: float,
    time_limit: float | None,
    threads: int | None,
    as_json: bool,
    quiet: bool,
    wanted: Wanted | None,
) -> int:
    """Say what resilience costs, what it saves, and how sure that is.

    Values plans for MODEL against what exists: capital, running cost, cash flows after tax,
    returns, expected losses with confidence intervals, exceedance curve, sensitivity, break-evens,
    and the ledger of the recorded incident where the model names one.
    """
    from planner.finance.study import Sampling, without_return
    from planner.finance.workbook import check_workbook, write_workbook
    from planner.optimization.solution.solving import SolverSettings, make_solver
    from planner.plan.files import check_writable
    from planner.reporting.finance import show_finance
    from planner.reporting.finance_tables import write_tables

    progress = Progress(quiet)
    settings = SolverSettings(solver, gap, time_limit, threads)
    make_solver(settings)
    if output is not None:
        check_workbook(output)
    if folder is not None:
        check_writable(folder)
    asked = FinanceOptions(model, overrides, plans, wanted, settings)
    sampling = Sampling(samples, seed, alpha, jobs)
    with progress.working():
        study, planless, notes = _study(asked, sampling, flows, replan, progress)
    problems = without_return(study.valued)
    # Files first: whoever reads the tables may leave early. What cannot be written is told last.
    if output is not None:
        with collected(problems):
            write_workbook(study, output)
            progress.say(f"wrote {output}")
    if folder is not None:
        with collected(problems):
            written = write_tables(study, folder)
            progress.say(f"wrote {len(written)} tables to {folder}")
    show_finance(study, as_json, notes)
    if problems:
        raise InputError(problems)
    if output is None:
        progress.next("the same with -o book.xlsx writes a workbook with formulas", silent=as_json)
    return EXIT_INFEASIBLE if planless else EXIT_DONE


@contextmanager
def collected(problems: list[Problem]) -> Iterator[None]:
    """Keep the problems of an input, so that those of others are found too."""
    try:
        yield
    except InputError as error:
        problems.extend(error.problems)


@dataclass(frozen=True)
class FinanceOptions:
    """What is to be valued.

    Parameters
    ----------
    model, overrides
        Model and changes of it; None for that of the plans.
    plans
        Plans and models as named on the command line.
    wanted
        Scenarios; None for those of each plan or model.
    settings
        For plans that have to be made.
    """

    model: str | None
    overrides: tuple[str, ...]
    plans: tuple[str, ...]
    wanted: Wanted | None
    settings: SolverSettings


def _study(
    asked: FinanceOptions, sampling: Sampling, flows: Path | None, replan: bool, progress: Progress
) -> tuple[FinanceStudy, bool, tuple[str, ...]]:
    """Everything to show, whether there is no plan to value, and what to know about the plans."""
    from planner.finance.assumptions import Assumptions
    from planner.finance.study import missing_prices, missing_prices_to_optimise, study_of
    from planner.finance.user_cash_flows import read_flows

    loaded, base, others, problems, notes = _named_builds(asked, progress)
    assumptions = Assumptions.of(loaded.model.finance)
    other = None
    if flows is not None:
        with collected(problems):
            other = read_flows(flows, assumptions.horizon_years)
    if asked.plans:
        problems.extend(missing_prices([base, *others]))
    else:
        problems.extend(missing_prices_to_optimise(base, loaded.name))
    if replan and asked.plans and _plan_of(others, loaded) is None:
        message = f"needs a plan made for {loaded.name} as it is, with the same --set"
        problems.append(Problem("--replan", 0, 0, "", message))
    if problems:
        raise InputError(problems)
    planless = False
    if not asked.plans:
        others = _optimised(loaded, base, asked, progress)
        planless = not others
    study = study_of(loaded, [base, *others], assumptions, sampling, other, progress.say)
    plan = _plan_of(others, loaded)
    if replan and plan is not None:
        study = _replanned(study, loaded, plan, asked.settings, progress)
    return study, planless, tuple(notes)


def _named_builds(
    asked: FinanceOptions, progress: Progress
) -> tuple[LoadedModel, Build, list[Build], list[Problem], list[str]]:
    """The model, what exists of it, the plans to be valued against that, and what is wrong."""
    from planner.finance.builds import Build
    from planner.infrastructure.fleet import Fleet

    named = [_named(text) for text in asked.plans]
    problems = list(_wrong_names([name if reference else "" for name, reference in named]))
    world = _world(named, asked)
    loaded, scenarios = world.loaded, world.scenarios
    notes: list[str] = []
    if not scenarios:
        message = "the model has no scenarios: nothing can fail"
        problems.append(Problem(loaded.name, 0, 0, "", message))
    builds = []
    for name, reference in named:
        if not (name and reference):
            continue
        with collected(problems):
            build, noted = _build(name, reference, asked, world, progress)
            builds.append(build)
            notes += noted
    base = Build(AS_IT_WAS, loaded.model, Fleet.existing(loaded.model), scenarios)
    return loaded, base, builds, problems, notes


@dataclass(frozen=True)
class ValuationBasis:
    """The model and scenarios by which today's build and every plan are valued alike."""

    loaded: LoadedModel
    scenarios: tuple[Scenario, ...]


def _world(named: Sequence[tuple[str, str]], asked: FinanceOptions) -> ValuationBasis:
    """Model and scenarios of the first plan, as it was made; without a plan those asked for.

    A plan that cannot be read is told with all others later.
    """
    from planner.infrastructure.loading import load_model
    from planner.plan.reopening import reopen
    from planner.scenarios.selection import select

    first = next((reference for _, reference in named if _is_plan(reference)), None)
    if first is not None:
        try:
            opened = reopen(first, asked.model, asked.overrides)
        except InputError:
            if asked.model is None:
                raise
        else:
            wanted = asked.wanted or opened.wanted
            return ValuationBasis(opened.loaded, select(opened.loaded.model, wanted).scenarios)
    loaded = load_model(asked.model or DEFAULT_MODEL, asked.overrides)
    return ValuationBasis(loaded, select(loaded.model, asked.wanted).scenarios)


def _wrong_names(names: Sequence[str]) -> Iterator[Problem]:
    """Names of plans that are none, or that several have."""
    taken = [AS_IT_WAS, *names]
    for name in sorted(set(names)):
        if not name:
            yield Problem("--plan", 0, 0, "", "expected PLAN or NAME=PLAN")
        elif taken.count(name) > 1:
            yield Problem("--plan", 0, 0, "", f"`{name}` stands twice; name it NAME=PLAN")


def _plan_of(builds: Sequence[Build], loaded: LoadedModel) -> Plan | None:
    """The first plan for a model as it is; None if there is none."""
    plans = [one.plan for one in builds if one.plan is not None]
    return next((one for one in plans if one.model.sha256 == loaded.sha256), None)


def _named(text: str) -> tuple[str, str]:
    """Name and reference of what ``--plan`` says."""
    name, equals, reference = text.partition("=")
    if equals and not Path(text).exists():
        return name.strip(), reference
    path = Path(text)
    if not text.strip():
        return "", text
    stem = path.parent.resolve().name if path.name == "plan.json" else path.name
    return stem or text, text


def _is_plan(reference: str) -> bool:
    path = Path(reference)
    return path.suffix == ".json" or (path.is_dir() and (path / "plan.json").exists())


def _build(
    name: str, reference: str, asked: FinanceOptions, world: ValuationBasis, progress: Progress
) -> tuple[Build, tuple[str, ...]]:
    """A plan, or what another model states, as a build, with what to know about it.

    Plans of one model are valued in one world: prices, rates and scenarios of the first of them.
    """
    from planner.finance.builds import Build
    from planner.infrastructure.fleet import Fleet
    from planner.infrastructure.loading import load_model
    from planner.plan.reopening import reopen
    from planner.scenarios.selection import select

    if not _is_plan(reference):
        other = load_model(reference, asked.overrides)
        scenarios = select(other.model, asked.wanted).scenarios
        return Build(name, other.model, Fleet.existing(other.model), scenarios), ()
    opened = reopen(reference, asked.model, asked.overrides, shown=name)
    say_notes(opened, progress)
    loaded, scenarios, notes = world.loaded, world.scenarios, opened.notes
    made = opened.plan if opened.fresh and opened.loaded.sha256 == loaded.sha256 else None
    if opened.loaded.name != loaded.name:
        loaded = opened.loaded
        scenarios = select(loaded.model, asked.wanted or opened.wanted).scenarios
        made = opened.plan if opened.fresh else None
    elif opened.loaded.sha256 != loaded.sha256:
        note = f"{name} was made with other settings; it is valued with those of the first plan"
        progress.say(f"note: {note}")
        notes = (*notes, note)
    fleet = opened.plan.fleet(loaded.model)
    return Build(name, loaded.model, fleet, scenarios, made), notes


def _optimised(
    loaded: LoadedModel, base: Build, asked: FinanceOptions, progress: Progress
) -> list[Build]:
    """The plan for the model, if there is one."""
    from planner.finance.builds import Build
    from planner.verification import optimise_and_verify

    progress.say(f"{loaded.name}: no --plan, so it is optimised first")
    model = loaded.model
    outcome = optimise_and_verify(
        model, base.scenarios, asked.settings, progress=progress.say, explain=False
    )
    if outcome.best is None:
        progress.say("there is no plan (plan optimize says why); what exists is valued alone")
        return []
    if not outcome.survives:
        progress.say("note: the best plan does not survive every scenario")
    plan = outcome.plan(loaded, asked.settings)
    return [Build("as optimised", model, plan.fleet(model), base.scenarios, plan)]


def _replanned(
    study: FinanceStudy,
    loaded: LoadedModel,
    plan: Plan,
    settings: SolverSettings,
    progress: Progress,
) -> FinanceStudy:
    """The study with what other inputs would change about a plan."""
    from dataclasses import replace

    from planner.commands.interruption import interruptible
    from planner.finance.replanning import replan

    with interruptible(progress.quiet) as stop:
        limits = replace(settings, stop=stop)
        found = replan(loaded, plan, settings=limits, progress=progress.say)
    return replace(study, replanned=found)
