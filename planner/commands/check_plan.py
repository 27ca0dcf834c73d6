"""``plan check-plan``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from planner.commands.options import Progress, complete_models, output_options
from planner.commands.plan_arguments import planned
from planner.commands.scenario_options import announce
from planner.errors import EXIT_DONE, EXIT_NOT_SURVIVED, InputError, Problem

if TYPE_CHECKING:
    from planner.infrastructure.loading import LoadedModel
    from planner.plan.records import Plan
    from planner.plan.thresholds import Rule

#: What rules may speak of, as `planner.plan.thresholds.METRICS` has it (a test compares the two).
METRIC_HELP = """
\b
Metrics, with what may stand in brackets and examples of limits:
  capital [category]                    paid once: 900M, 1.2B
  usd_per_year, cost [category]         all of a year: 90M
  gap                                   how much cheaper a plan may be: 0.1%
  survives [class or scenario]          share of scenarios: 0.99, 99%
  scenarios [class]                     how many were judged: 30
  served [tier]                         least in any scenario: 95%
  recovery_minutes [class or scenario]  longest until full service: 90, 2h
  peak_temperature_c [class or scenario]  hottest cluster: 85
  lost_requests [class or scenario]     most in one scenario: 3M
  lost_requests_per_year                expected: 500k
  emergency_usd [class or scenario]     most in one scenario: 2M
  gpus [cluster or region]              in the end: 12k
  cooling_mw [plant or region]          all units at design ambient: 40MW
  emergency_gpus [offer or provider]    reserved in the cloud: 3200
  rounds                                of optimising and simulating: 5
  age_days                              since the plan was made: 30, 12h

Without brackets a rule is about the whole plan. Categories are cooling,
servers, building, power (gpus: these three together), regions, measures,
emergency, energy, transport, recourse and risk; classes are single, double,
common, region and extreme. A scenario that never recovers is above every limit.
A figure that the plan does not have fails every rule on it.

\b
A policy file:
  rules:
    - capital > 900M
    - name: enterprise first
      fail_on: served[enterprise_critical] < 99%
      message: The contract promises 99 % in any planned failure.

\b
Examples:
  plan check-plan out --fail-on "capital > 900M" --fail-on "survives < 1.0"
  plan check-plan out --policy limits.yaml --junit limits.xml
  plan check-plan out model.yaml --simulate --fail-on "served[free] < 40%"

Exits with 4 if a rule fails, 0 if all hold, 2 if a rule or the plan is wrong.
"""


@click.command("check-plan", epilog=METRIC_HELP)
@click.argument("plan_file", metavar="PLAN", type=click.Path(path_type=Path))
@click.argument("model", required=False, shell_complete=complete_models)
@click.option(
    "--fail-on",
    "texts",
    multiple=True,
    metavar="RULE",
    help='When the plan fails, e.g. "capital > 900M" (repeatable).',
)
@click.option(
    "--policy",
    "policies",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Rules with names and messages in YAML (repeatable).",
)
@click.option(
    "--simulate",
    is_flag=True,
    help="Judge every scenario anew and price the purchases again instead of trusting the file; "
    "running cost and gap stay those of the file.",
)
@click.option(
    "--junit",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write JUnit XML with a test case for each rule.",
)
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="PATH=VALUE",
    help="Change a value of the model to simulate beyond what the plan was made with (repeatable).",
)
@output_options
def command(
    plan_file: Path,
    model: str | None,
    texts: tuple[str, ...],
    policies: tuple[Path, ...],
    simulate: bool,
    junit: Path | None,
    overrides: tuple[str, ...],
    as_json: bool,
    quiet: bool,
) -> int:
    """Hold PLAN (a plan.json or its folder) against limits of cost and survivability.

    With MODEL the plan has to fit it; --simulate needs it where the plan's model has moved.
    """
    from planner.infrastructure.source import printable
    from planner.plan.files import parse_plan
    from planner.plan.reopening import made_with
    from planner.plan.thresholds import contradictions, judge_rules
    from planner.reporting.thresholds import show_outcomes, write_junit

    if overrides and not simulate:
        raise click.UsageError("--set needs --simulate.")
    rules = _rules(texts, policies)
    progress = Progress(quiet)
    if simulate or model is not None:
        opened = planned(plan_file, model, overrides, progress)
        plan, loaded, notes = opened.plan, opened.loaded, opened.notes
    else:
        plan = parse_plan(plan_file)
        notes = made_with(plan)
        for note in notes:
            progress.say(f"note: {note}")
    wrong = contradictions(plan)
    if wrong:
        raise InputError(
            Problem(str(plan_file), 0, 0, "", f"contradicts itself: {printable(one)}")
            for one in wrong
        )
    if simulate:
        plan = _judged_anew(plan, loaded, progress)
    outcomes = judge_rules(plan, rules)
    if junit is not None:
        write_junit(junit, str(plan_file), outcomes)
        progress.say(f"wrote {junit}")
    show_outcomes(plan, str(plan_file), outcomes, simulate, as_json, notes)
    return EXIT_NOT_SURVIVED if any(one.failed for one in outcomes) else EXIT_DONE


def _rules(texts: tuple[str, ...], policies: tuple[Path, ...]) -> tuple[Rule, ...]:
    """All rules of options and files, with all that is wrong with any of them at once."""
    from planner.plan.thresholds import parse_rules, read_policy

    rules: list[Rule] = []
    problems: list[Problem] = []
    if not texts and not policies:
        raise click.UsageError('Give a rule: --fail-on "capital > 900M", or --policy FILE.')
    try:
        rules += parse_rules(texts)
    except InputError as error:
        problems += error.problems
    for path in policies:
        try:
            rules += read_policy(path)
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(problems)
    return tuple(rules)


def _judged_anew(plan: Plan, loaded: LoadedModel, progress: Progress) -> Plan:
    """The plan with verdicts of its model's scenarios and prices of its purchases as of today."""
    from planner.analysis.comparison import repriced
    from planner.plan.assembly import scenario_line
    from planner.plan.records import Verification
    from planner.plan.reopening import wanted_by
    from planner.scenarios.selection import select
    from planner.simulation.verdict import judge

    selection = select(loaded.model, wanted_by(plan))
    announce(loaded, selection, progress)
    if not selection.scenarios:
        raise InputError.single(loaded.name, "the model has no scenarios to simulate")
    fleet = plan.fleet(loaded.model)
    verdicts = judge(loaded.model, fleet, selection.scenarios, stories=False)
    lines = tuple(scenario_line(verdict) for verdict in verdicts)
    was = {line.name: line.status for line in plan.scenarios}
    turned = [one.name for one in lines if was.get(one.name, one.status) != one.status]
    if turned:
        progress.say(f"note: {len(turned)} verdicts are not those of the file: {turned[0]}")
    proof = Verification.of(lines, plan.verification.rounds, plan.verification.stopped)
    cost = repriced(plan, loaded.model)
    return plan.model_copy(update={"scenarios": lines, "verification": proof, "cost": cost})
