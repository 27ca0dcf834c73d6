"""``plan check-plan``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from planner.commands.options import Output, output_options, refuse_others
from planner.commands.plan_options import PlanArgument, plan_argument, say_notes
from planner.commands.scenario_options import announce
from planner.errors import EXIT_DONE, EXIT_NOT_SURVIVED

if TYPE_CHECKING:
    from planner.plan.records import Plan
    from planner.roadmap.records import Roadmap

#: Options that speak of roadmaps too.
OF_ROADMAPS = frozenset({"plan_file", "texts", "policies", "junit", "as_json", "quiet"})
#: What rules may speak of, as `planner.plan.metrics.METRICS` has it (a test compares the two).
METRIC_HELP = """
\b
Metrics, with what may stand in brackets and examples of limits:
  capital [category]                    paid once: 900M, 1.2B
  usd_per_year [category]               all of a year: 90M
  gap                                   optimality gap of the plan: 0.1%
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

Metrics of a roadmap; what failures do is taken in the period in which it is worst:

\b
  npv_usd                               of all costs: 2B
  capital [year]                        most on any path: 400M
  budget_used [year]                    most on any path: 95%
  order_by [kind or asset]              first month of an order: 2027-03
  in_service [kind or asset]            first month in service: 2028-01
  delay_usd_per_month [kind or asset]   dearest that was priced: 3M
  survives [period]                     share of scenarios: 99%
  bridged [period]                      scenarios no order reaches: 5
  gap, age_days, served, recovery_minutes, peak_temperature_c, emergency_usd

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
  plan check-plan out/roadmap.json --fail-on "order_by[cooling] < 2027-03"

Exits with 4 if a rule fails, 0 if all hold, 2 if a rule or the plan is wrong.
"""


@click.command("check-plan", epilog=METRIC_HELP)
@plan_argument(
    "Change a value of the model to simulate beyond what the plan was made with (repeatable)."
)
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
    help="Simulate every scenario and price the purchases again instead of trusting the file; "
    "running cost and optimality gap stay those of the file.",
)
@click.option(
    "--junit",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write JUnit XML with a test case for each rule.",
)
@output_options
def command(
    plan: PlanArgument,
    texts: tuple[str, ...],
    policies: tuple[Path, ...],
    simulate: bool,
    junit: Path | None,
    output: Output,
) -> int:
    """Check PLAN (a plan.json, a roadmap.json or its folder) against limits of cost and survival.

    The plan is held against MODEL, or against its own model where that is found, and judged by the
    survival standard of that, never by one that the plan was made with.
    """
    from planner.analysis.reassessment import plan_to_judge
    from planner.plan.thresholds import judge_rules, read_rules
    from planner.reporting.thresholds import show_outcomes, write_junit
    from planner.roadmap.files import is_roadmap, parse_roadmap
    from planner.roadmap.metrics import ROADMAP_METRICS

    if plan.overrides and not simulate:
        raise click.UsageError("--set needs --simulate.")
    if not texts and not policies:
        raise click.UsageError('Give a rule: --fail-on "capital > 900M", or --policy FILE.')
    judged: Plan | Roadmap
    if is_roadmap(plan.plan_file):
        refuse_others(OF_ROADMAPS, "a roadmap, which is checked as its file states it")
        rules = read_rules(texts, policies, ROADMAP_METRICS)
        judged, notes = parse_roadmap(plan.plan_file), tuple[str, ...]()
    else:
        rules = read_rules(texts, policies)
        judged, notes = plan_to_judge(
            plan.plan_file,
            plan.model,
            plan.overrides,
            simulate,
            on_simulate=lambda loaded, selection: announce(loaded, selection, output),
        )
        say_notes(notes, output)
    outcomes = judge_rules(judged, rules)
    shown = str(plan.plan_file)
    if junit is not None:
        write_junit(junit, shown, outcomes)
        output.say(f"wrote {junit}")
    show_outcomes(judged, shown, outcomes, simulate, output.as_json, notes)
    return EXIT_NOT_SURVIVED if any(outcome.failed for outcome in outcomes) else EXIT_DONE
