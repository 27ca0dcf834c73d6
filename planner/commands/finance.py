"""``plan finance``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from planner.commands.options import (
    DEFAULT_MODEL,
    Output,
    bundle,
    file_option,
    optional_model,
    output_options,
    refuse_others,
    samples_option,
    seed_option,
    setting_option,
    solver_options,
    workers_options,
)
from planner.commands.parameter_types import SHARE
from planner.commands.plan_options import say_notes
from planner.commands.scenario_options import selection_options
from planner.errors import EXIT_DONE, EXIT_INFEASIBLE, InputError, Problem, collected, refuse

if TYPE_CHECKING:
    from planner.finance.builds import Build
    from planner.finance.roadmaps import RoadmapFinance
    from planner.finance.study import FinanceStudy, Sampling
    from planner.infrastructure.failures import Scenario
    from planner.infrastructure.loading import LoadedModel
    from planner.optimization.solution.settings import SolverSettings
    from planner.plan.records import Plan
    from planner.selection import Wanted

AS_IT_WAS = "as it was"


@dataclass(frozen=True)
class ValuationOptions:
    """What is valued; without a model that of the plans."""

    model: str | None
    overrides: tuple[str, ...]
    plans: tuple[str, ...]
    flows: Path | None
    replan: bool


@dataclass(frozen=True)
class FinanceFiles:
    """What is written: a workbook, and a folder of tables."""

    workbook: Path | None
    tables: Path | None

    def check(self) -> None:
        """Check before long work that they can be written."""
        from planner.files import check_folder
        from planner.finance.workbook import check_workbook

        if self.workbook is not None:
            check_workbook(self.workbook)
        if self.tables is not None:
            check_folder(self.tables)

    def write[Study](
        self,
        study: Study,
        write_workbook: Callable[[Study, Path], object],
        write_tables: Callable[[Study, Path], Sequence[Path]],
        output: Output,
    ) -> list[Problem]:
        """Write them; problems of what cannot be written."""
        problems: list[Problem] = []
        if self.workbook is not None:
            with collected(problems):
                write_workbook(study, self.workbook)
                output.say(f"wrote {self.workbook}")
        if self.tables is not None:
            with collected(problems):
                written = write_tables(study, self.tables)
                output.say(f"wrote {len(written)} tables to {self.tables}")
        return problems


def _sampling(samples: int, seed: int, alpha: float) -> Sampling:
    from planner.finance.study import Sampling

    return Sampling(samples, seed, alpha)


@click.command("finance")
@bundle(
    "valuation",
    ValuationOptions,
    optional_model,
    setting_option,
    click.option("--plan", "plans", multiple=True, metavar="[NAME=]PLAN"),
    click.option("--cash-flows", "flows", type=click.Path(path_type=Path), metavar="FILE"),
    click.option("--replan", is_flag=True),
)
@bundle(
    "files",
    FinanceFiles,
    file_option("BOOK.xlsx", "workbook", dir_okay=False),
    click.option(
        "--csv", "tables", type=click.Path(file_okay=False, path_type=Path), metavar="DIR"
    ),
)
@bundle(
    "sampling",
    _sampling,
    samples_option(10),
    seed_option,
    click.option("--alpha", type=SHARE, default=0.95),
)
@solver_options()
@output_options
@workers_options
@selection_options
def command(
    valuation: ValuationOptions,
    files: FinanceFiles,
    sampling: Sampling,
    settings: SolverSettings,
    output: Output,
    wanted: Wanted | None,
) -> int:
    """Say what resilience costs, what it saves, and how certain that is.

    Values plans for MODEL against what exists: capital, running cost, cash flows after tax,
    returns, expected losses with confidence intervals, exceedance curve, sensitivity, break-evens,
    and the ledger of the recorded incident where the model names one.

    Of roadmaps: cash flows and capital by calendar year, net present value and IRR, before tax.
    """
    from planner.roadmap.files import is_roadmap

    if any(is_roadmap(Path(reference)) for _, reference in map(_named, valuation.plans)):
        return _value_roadmaps(valuation, files, output)
    from planner.finance.study import without_return
    from planner.finance.tables import write_tables
    from planner.finance.workbook import write_workbook
    from planner.reporting.finance import show_finance

    files.check()
    with output.progress.working():
        study, planless, notes = _study(Valuation(valuation, wanted, settings, output), sampling)
    # Files first: whoever reads the tables may leave early. What cannot be written is told last.
    problems = files.write(study, write_workbook, write_tables, output)
    problems += without_return(study.valued)
    show_finance(study, output.as_json, notes)
    refuse(problems)
    if files.workbook is None:
        output.suggest("the same with -o book.xlsx writes a workbook with formulas")
    return EXIT_INFEASIBLE if planless else EXIT_DONE


#: Options that speak of roadmaps too.
OF_ROADMAPS = frozenset({"plans", "flows", "workbook", "tables", "as_json", "quiet"})


def _value_roadmaps(valuation: ValuationOptions, files: FinanceFiles, output: Output) -> int:
    """Value roadmaps, which state their cash flows themselves."""
    from planner.finance.workbook.roadmap import write_roadmap_workbook
    from planner.reporting.roadmap_finance import show_roadmap_finance, write_roadmap_tables

    refuse_others(OF_ROADMAPS, "a roadmap, which states its cash flows itself")
    files.check()
    studies = _roadmaps(valuation)
    problems = files.write(studies, write_roadmap_workbook, write_roadmap_tables, output)
    show_roadmap_finance(studies, output.as_json)
    refuse(problems)
    return EXIT_DONE


def _roadmaps(valuation: ValuationOptions) -> list[RoadmapFinance]:
    """Roadmaps to value, side by side where they start together and discount alike."""
    from planner.finance.roadmaps import RoadmapFinance
    from planner.finance.user_cash_flows import read_flows
    from planner.roadmap.files import is_roadmap, parse_roadmap

    named = [_named(text) for text in valuation.plans]
    problems = list(_wrong_names([name if reference else "" for name, reference in named]))
    studies: list[RoadmapFinance] = []
    for name, reference in named:
        if not is_roadmap(Path(reference)):
            message = "is not a roadmap; beside a roadmap only roadmaps are valued"
            problems.append(Problem(f"--plan {reference}", 0, 0, "", message))
            continue
        with collected(problems):
            studies.append(RoadmapFinance(name, parse_roadmap(Path(reference))))
    for study in studies[1:]:
        mine, first = study.roadmap.horizon, studies[0].roadmap.horizon
        if (mine.start, mine.discount_rate) != (first.start, first.discount_rate):
            message = f"{study.name} has another start or discount rate than {studies[0].name}"
            problems.append(Problem("--plan", 0, 0, "", message))
    if valuation.flows is not None and studies:
        with collected(problems):
            years = studies[0].years
            other = read_flows(valuation.flows, years[-1], years[0])
            stated = {year: usd for year, usd in enumerate(other.tolist(), years[0]) if usd}
            studies = [replace(study, other_usd=stated) for study in studies]
    refuse(problems)
    return studies


@dataclass(frozen=True)
class Valuation:
    """What is valued, on which scenarios, how plans are made where there are none, and progress."""

    options: ValuationOptions
    wanted: Wanted | None
    settings: SolverSettings
    output: Output


def _study(valuation: Valuation, sampling: Sampling) -> tuple[FinanceStudy, bool, tuple[str, ...]]:
    """Everything to show, whether there is no plan to value, and what to know about the plans."""
    from planner.finance.assumptions import Assumptions
    from planner.finance.study import missing_prices, missing_prices_to_optimize, study_of
    from planner.finance.user_cash_flows import read_flows

    options, say = valuation.options, valuation.output.say
    loaded, base, others, problems, notes = _named_builds(valuation)
    assumptions = Assumptions.of(loaded.model.finance)
    flows = None
    if options.flows is not None:
        with collected(problems):
            flows = read_flows(options.flows, assumptions.horizon_years)
    if options.plans:
        problems.extend(missing_prices([base, *others]))
    else:
        problems.extend(missing_prices_to_optimize(base, loaded.name))
    if options.replan and options.plans and _plan_of(others, loaded) is None:
        message = f"needs a plan made for {loaded.name} as it is, with the same --set"
        problems.append(Problem("--replan", 0, 0, "", message))
    refuse(problems)
    planless = False
    if not options.plans:
        others = _optimized(loaded, base, valuation)
        planless = not others
    study = study_of(loaded, [base, *others], assumptions, sampling, flows, say)
    plan = _plan_of(others, loaded)
    if options.replan and plan is not None:
        study = _replanned(study, loaded, plan, valuation)
    return study, planless, tuple(notes)


def _named_builds(
    valuation: Valuation,
) -> tuple[LoadedModel, Build, list[Build], list[Problem], list[str]]:
    """The model, what exists of it, the plans to be valued against that, and what is wrong."""
    from planner.finance.builds import Build
    from planner.infrastructure.fleet import Fleet

    named = [_named(text) for text in valuation.options.plans]
    problems = list(_wrong_names([name if reference else "" for name, reference in named]))
    basis = _basis(named, valuation)
    loaded, scenarios = basis.loaded, basis.scenarios
    notes: list[str] = []
    if not scenarios:
        message = "the model has no scenarios: nothing can fail"
        problems.append(Problem(loaded.name, 0, 0, "", message))
    builds = []
    for name, reference in named:
        if not (name and reference):
            continue
        with collected(problems):
            build, noted = _build(name, reference, basis, valuation)
            builds.append(build)
            notes += noted
    base = Build(AS_IT_WAS, loaded.model, Fleet.existing(loaded.model), scenarios)
    return loaded, base, builds, problems, notes


@dataclass(frozen=True)
class ValuationBasis:
    """The model and scenarios by which today's build and every plan are valued alike."""

    loaded: LoadedModel
    scenarios: tuple[Scenario, ...]


def _basis(named: Sequence[tuple[str, str]], valuation: Valuation) -> ValuationBasis:
    """Model and scenarios of the first plan, as it was made; without a plan those asked for.

    A plan that cannot be read is told with all others later.
    """
    from planner.infrastructure.loading import load_model
    from planner.plan.reopening import reopen
    from planner.selection import select

    first = next((reference for _, reference in named if _is_plan(reference)), None)
    if first is not None:
        try:
            opened = reopen(first, valuation.options.model, valuation.options.overrides)
        except InputError:
            if valuation.options.model is None:
                raise
        else:
            wanted = valuation.wanted or opened.wanted
            return ValuationBasis(opened.loaded, select(opened.loaded.model, wanted).scenarios)
    loaded = load_model(valuation.options.model or DEFAULT_MODEL, valuation.options.overrides)
    return ValuationBasis(loaded, select(loaded.model, valuation.wanted).scenarios)


def _wrong_names(names: Sequence[str]) -> Iterator[Problem]:
    """Plans without a name, and names that several plans have."""
    taken = [AS_IT_WAS, *names]
    for name in sorted(set(names)):
        if not name:
            yield Problem("--plan", 0, 0, "", "expected PLAN or NAME=PLAN")
        elif taken.count(name) > 1:
            yield Problem("--plan", 0, 0, "", f"`{name}` is listed twice; name it NAME=PLAN")


def _plan_of(builds: Sequence[Build], loaded: LoadedModel) -> Plan | None:
    """The first plan for a model as it is; None if there is none."""
    plans = [build.plan for build in builds if build.plan is not None]
    return next((plan for plan in plans if plan.model.sha256 == loaded.sha256), None)


def _named(text: str) -> tuple[str, str]:
    """Name and reference of what ``--plan`` says."""
    name, equals, reference = text.partition("=")
    if equals and not Path(text).exists():
        return name.strip(), reference
    path = Path(text)
    if not text.strip():
        return "", text
    in_folder = path.name in ("plan.json", "roadmap.json")
    stem = path.parent.resolve().name if in_folder else path.name
    return stem or text, text


def _is_plan(reference: str) -> bool:
    path = Path(reference)
    return path.suffix == ".json" or (path.is_dir() and (path / "plan.json").exists())


def _build(
    name: str, reference: str, basis: ValuationBasis, valuation: Valuation
) -> tuple[Build, tuple[str, ...]]:
    """A plan, or what another model states, as a build, with the notes on it.

    Plans of one model are valued by the prices, rates and scenarios of the first of them.
    """
    from planner.finance.builds import Build
    from planner.infrastructure.fleet import Fleet
    from planner.infrastructure.loading import load_model
    from planner.plan.reopening import reopen
    from planner.selection import select

    if not _is_plan(reference):
        given = load_model(reference, valuation.options.overrides)
        scenarios = select(given.model, valuation.wanted).scenarios
        return Build(name, given.model, Fleet.existing(given.model), scenarios), ()
    opened = reopen(reference, valuation.options.model, valuation.options.overrides, shown=name)
    say_notes(opened.notes, valuation.output)
    loaded, scenarios, notes = basis.loaded, basis.scenarios, opened.notes
    made = opened.plan if opened.fresh and opened.loaded.sha256 == loaded.sha256 else None
    if opened.loaded.name != loaded.name:
        loaded = opened.loaded
        scenarios = select(loaded.model, valuation.wanted or opened.wanted).scenarios
        made = opened.plan if opened.fresh else None
    elif opened.loaded.sha256 != loaded.sha256:
        note = f"{name} was made with other settings; it is valued with those of the first plan"
        valuation.output.say(f"note: {note}")
        notes = (*notes, note)
    fleet = opened.plan.fleet(loaded.model)
    return Build(name, loaded.model, fleet, scenarios, made), notes


def _optimized(loaded: LoadedModel, base: Build, valuation: Valuation) -> list[Build]:
    """The plan for the model, if there is one."""
    from planner.finance.builds import Build
    from planner.verification import optimize_and_verify

    valuation.output.say(f"{loaded.name}: no --plan, so it is optimised first")
    model = loaded.model
    outcome = optimize_and_verify(
        model, base.scenarios, valuation.settings, progress=valuation.output.say, explain="conflict"
    )
    if outcome.best is None:
        valuation.output.say(
            "there is no plan (plan optimize says why); what exists is valued alone"
        )
        return []
    if not outcome.survives:
        valuation.output.say("note: the best plan does not survive every scenario")
    plan = outcome.plan(loaded, valuation.settings)
    return [Build("as optimised", model, plan.fleet(model), base.scenarios, plan)]


def _replanned(
    study: FinanceStudy, loaded: LoadedModel, plan: Plan, valuation: Valuation
) -> FinanceStudy:
    """The study with what other inputs would change about a plan."""
    from planner.commands.interruption import interruptible
    from planner.finance.replanning import replan

    output = valuation.output
    with interruptible(output.quiet) as stop:
        limits = replace(valuation.settings, stop=stop)
        found = replan(loaded, plan, settings=limits, progress=output.say)
    return replace(study, replanned=found)
