"""``plan report``."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from planner.commands.options import (
    Output,
    bundle,
    file_option,
    output_options,
    refuse_others,
    samples_option,
    seed_option,
    workers_options,
)
from planner.commands.plan_options import PlanArgument, plan_argument
from planner.commands.progress import Progress
from planner.errors import EXIT_DONE, InputError, PlannerError

if TYPE_CHECKING:
    from planner.finance.builds import Build
    from planner.infrastructure.failures import Scenario
    from planner.infrastructure.loading import LoadedModel
    from planner.plan.records import Plan
    from planner.reporting.html.money import Finance
    from planner.reporting.html.page import Material
    from planner.reporting.html.reasons import Reasons
    from planner.reporting.html.timelines import Simulated

FEWEST_SAMPLES = 10


@dataclass(frozen=True)
class ReportOptions:
    """What goes into a report; 0 samples leave returns and risk out."""

    samples: int
    seed: int
    explained: bool

    @classmethod
    def given(cls, samples: int, no_finance: bool, seed: int, explained: bool) -> ReportOptions:
        """Options as given on the command line."""
        if 0 < samples < FEWEST_SAMPLES:
            message = f"expected 0 or at least {FEWEST_SAMPLES}, not {samples}"
            raise InputError.single("--samples", message)
        return cls(0 if no_finance else samples, seed, explained)


@click.command("report")
@plan_argument
@file_option("FILE")
@bundle(
    "options",
    ReportOptions.given,
    samples_option(0),
    click.option("--no-finance", is_flag=True),
    seed_option,
    click.option("--explain", "explained", is_flag=True),
)
@output_options
@workers_options
def command(plan: PlanArgument, file: Path | None, options: ReportOptions, output: Output) -> int:
    """Write PLAN (a plan.json or its folder) as one web page for a meeting.

    The page works offline and holds the decision, what to buy, the infrastructure today and with
    the plan, every scenario with its timeline and story, cost, returns and risk, what binds,
    sources and proof. MODEL is only needed where the plan's model has moved, or to take one that
    extends it.

    Of a roadmap.json the page holds the calendar of orders, capacity against demand, budgets, paths
    and survival by period.
    """
    from planner.files import check_file, write_file
    from planner.reporting.html.page import check_extra, page
    from planner.roadmap.files import is_roadmap

    file = file or Path("report.html")
    check_file(file)
    if file.suffix.lower() not in (".html", ".htm"):
        wanted = f"`{file.suffix}`" if file.suffix else "a name without an ending"
        raise InputError.single(str(file), f"expected a name that ends in .html, not {wanted}")
    if is_roadmap(plan.plan_file):
        return _report_roadmap(plan.plan_file, file, output)
    check_extra(file)
    material = _material(plan, options, output)
    content = page(material)
    write_file(content, file)
    _say(file, content, material, output.as_json)
    return EXIT_DONE


def _report_roadmap(path: Path, file: Path, output: Output) -> int:
    """Write the page of a roadmap."""
    from planner.files import write_file
    from planner.reporting.html.page import check_extra
    from planner.reporting.html.roadmap import roadmap_page
    from planner.reporting.terminal import print_json
    from planner.roadmap.files import parse_roadmap

    accepted = {"plan_file", "file", "as_json", "quiet"}
    refuse_others(accepted, "a roadmap, whose page shows what it states")
    check_extra(file, ("jinja2",))
    roadmap = parse_roadmap(path)
    content = roadmap_page(roadmap)
    write_file(content, file)
    judged, survived = (
        sum(getattr(node, name) for node in roadmap.nodes) for name in ("judged", "survived")
    )
    if output.as_json:
        found = {"kind": "roadmap", "report": str(file), "bytes": len(content)}
        print_json(found | {"scenarios": judged, "survived": survived})
    else:
        click.echo(
            f"{file}: {survived} of {judged} scenarios survived in {len(roadmap.nodes)} periods of "
            f"all paths, {len(content) / 1e3:,.0f} kB"
        )
    return EXIT_DONE


def _say(file: Path, content: bytes, material: Material, as_json: bool) -> None:
    """Say what was written."""
    count, survived = len(material.simulated.played), material.simulated.survived
    if as_json:
        from planner.plan.assembly import scenario_line
        from planner.plan.files import placed
        from planner.plan.records import counts
        from planner.reporting.terminal import print_json

        print_json(
            {
                "report": str(file),
                "bytes": len(content),
                "model": placed(material.plan, Path()).model,
                "scenarios": count,
                "survived": survived,
                **counts(scenario_line(run.verdict) for run in material.simulated.played),
                "finance": material.finance is not None,
                "explained": material.explanation is not None,
                "notes": material.notes,
            }
        )
        return
    megabytes = f"{len(content) / 1e6:.1f} MB"
    judged = material.simulated.judged
    click.echo(f"{file}: {survived} of {judged} scenarios survived, {megabytes}")


def _material(argument: PlanArgument, options: ReportOptions, output: Output) -> Material:
    """Everything that the report tells."""
    from planner.finance.builds import Build
    from planner.infrastructure.fleet import Fleet
    from planner.infrastructure.loading import catalogue_uses
    from planner.reporting.html.page import Material

    opened, scenarios = argument.open_with_scenarios(output, judged=True)
    progress = output.progress
    plan, loaded = opened.plan, opened.loaded
    simulated = _simulated(plan, loaded, scenarios, progress)
    base = Build("today", loaded.model, Fleet.existing(loaded.model), scenarios)
    made = plan if opened.fresh else None
    build = Build("with the plan", loaded.model, opened.fleet, scenarios, made)
    finance, reason = _finance(loaded, (base, build), options, progress)
    return Material(
        plan=plan,
        loaded=loaded,
        simulated=simulated,
        uses=catalogue_uses(loaded.file or loaded.name, loaded.overrides),
        steps=_steps((base, build), plan, progress),
        finance=finance,
        no_finance=reason,
        explanation=_explanation(plan, loaded, scenarios, progress) if options.explained else None,
        fresh=opened.fresh,
        notes=opened.notes,
    )


def _simulated(
    plan: Plan, loaded: LoadedModel, scenarios: tuple[Scenario, ...], progress: Progress
) -> Simulated:
    """Every scenario on the plan, with charts only for those that may be shown, and on what is."""
    from planner.infrastructure.fleet import Fleet
    from planner.reporting.html.page import MOST_TOLD
    from planner.reporting.html.scenarios import worst_first
    from planner.reporting.html.timelines import Played, Simulated, play
    from planner.simulation.verdict import judge

    played: list[Played] = []
    for run in play(loaded.model, plan.fleet(loaded.model), scenarios, progress.say):
        played.append(run)
        if len(played) % MOST_TOLD == 0:
            for index in worst_first(played)[MOST_TOLD:]:
                played[index] = replace(played[index], charts={}, left_out={})
    progress.say("simulating what exists")
    today = judge(loaded.model, Fleet.existing(loaded.model), scenarios, stories=False)
    return Simulated(tuple(played), today)


def _steps(builds: tuple[Build, Build], plan: Plan, progress: Progress) -> list[dict[str, Any]]:
    """The way from today's cost to that of the plan, empty where it cannot be worked out."""
    from planner.reporting.html.money import waterfall

    try:
        return waterfall(*builds, plan)
    except PlannerError as error:
        progress.say(f"note: no cost of what exists: {error}")
        return []


def _finance(
    loaded: LoadedModel, builds: tuple[Build, Build], options: ReportOptions, progress: Progress
) -> tuple[Finance | None, str]:
    """Returns and risk, or why there are none."""
    if not options.samples:
        return None, "Returns and risk were left out of this report; plan finance works them out."
    if not builds[0].scenarios:
        return None, "The plan has no scenarios: nothing can fail, so nothing is avoided."
    from planner.finance.assumptions import Assumptions
    from planner.finance.study import Sampling, missing_prices, study_of
    from planner.reporting.html.money import finance

    missing = missing_prices(builds)
    if missing:
        names = ", ".join(sorted({problem.where for problem in missing})[:6])
        progress.say(f"note: no returns, for want of prices: {names}")
        return None, f"There are no returns for want of prices in the model: {names}."
    sampling = Sampling(options.samples, options.seed)
    assumptions = Assumptions.of(loaded.model.finance)
    return finance(study_of(loaded, builds, assumptions, sampling, progress=progress.say)), ""


def _explanation(
    plan: Plan, loaded: LoadedModel, scenarios: tuple[Scenario, ...], progress: Progress
) -> Reasons:
    """Why each purchase is needed."""
    from planner.analysis.explanation import explain
    from planner.analysis.marginal import Questions
    from planner.optimization.solution.settings import SolverSettings
    from planner.reporting.html.reasons import reasons

    questions = Questions(SolverSettings(), 45, progress=progress.say)
    return reasons(explain(plan, loaded, scenarios, questions))
