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


class CheckCommand(click.Command):
    """A command whose help tells what rules may speak of."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List metrics, with what may stand in brackets and examples of limits."""
        from planner.plan.metrics import CATEGORIES, METRICS
        from planner.plan.rules import EXAMPLES
        from planner.roadmap.metrics import ROADMAP_METRICS
        from planner.scenarios.components import SEVERITY_ORDER

        for title, metrics in (("a plan", METRICS), ("a roadmap", ROADMAP_METRICS)):
            lines = [
                (
                    f"{metric.name} [{metric.keys}]" if metric.keys else metric.name,
                    f"{metric.meaning} ({EXAMPLES[metric.unit]})",
                )
                for metric in metrics.values()
            ]
            with formatter.section(f"Metrics of {title}, with limits"):
                formatter.write_dl(lines, col_max=24)
        formatter.write_paragraph()
        formatter.write_text(f"Categories: {', '.join(CATEGORIES)}.")
        formatter.write_text(f"Classes: {', '.join(SEVERITY_ORDER)}.")
        super().format_epilog(ctx, formatter)


@click.command("check-plan", cls=CheckCommand)
@plan_argument
@click.option("--fail-on", "texts", multiple=True, metavar="RULE")
@click.option(
    "--policy", "policies", multiple=True, type=click.Path(path_type=Path), metavar="FILE"
)
@click.option("--simulate", is_flag=True)
@click.option("--junit", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE")
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
