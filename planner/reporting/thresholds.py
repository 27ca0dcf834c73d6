"""Outcome of rules on a plan: for the terminal, as JSON, and as JUnit XML for pipelines."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from rich.markup import escape

from planner.files import write_file
from planner.infrastructure.source import printable
from planner.plan.records import Plan
from planner.plan.thresholds import RuleResult
from planner.reporting.terminal import new_console, print_json, say
from planner.roadmap.records import Roadmap


def show_outcomes(
    plan: Plan | Roadmap,
    source: str,
    outcomes: Sequence[RuleResult],
    simulated: bool,
    as_json: bool,
    notes: tuple[str, ...] = (),
) -> None:
    """Print every rule with value and limit, those that fail first.

    `notes` are for machines: people were told.
    """
    if as_json:
        print_json(outcomes_data(plan, source, outcomes, simulated) | {"notes": notes})
        return
    console = new_console()
    failed = [outcome for outcome in outcomes if outcome.failed]
    for outcome in [*failed, *(outcome for outcome in outcomes if not outcome.failed)]:
        mark, tone = ("FAIL  ", "bold red") if outcome.failed else ("ok    ", "green")
        name = f"{outcome.rule.name}: " if outcome.rule.name else ""
        say(console, f"{name}{outcome.reason}", lead=mark, tone=tone)
        if outcome.failed and outcome.rule.message:
            say(console, outcome.rule.message, indent=len(mark), style="dim")
    how = ", simulated again" if simulated else ""
    what = "plan" if isinstance(plan, Plan) else plan.kind
    who = f"{what} for {escape(printable(plan.model.name))}{how}"
    if failed:
        which = "The rule" if len(outcomes) == 1 else f"{len(failed)} of {len(outcomes)} rules"
        console.print(f"[bold red]{which} failed[/] ({who}).")
    else:
        all_of = "The rule holds" if len(outcomes) == 1 else f"All {len(outcomes)} rules hold"
        console.print(f"[bold green]{all_of}[/] ({who}).")


def outcomes_data(
    plan: Plan | Roadmap, source: str, outcomes: Sequence[RuleResult], simulated: bool
) -> dict[str, Any]:
    """Outcomes as JSON data; an infinite value is the text ``never``."""
    return {
        "plan": source,
        "model": {"name": plan.model.name, "sha256": plan.model.sha256},
        "simulated": simulated,
        "passed": not any(outcome.failed for outcome in outcomes),
        "rules": [
            {
                "name": outcome.rule.name,
                "rule": outcome.rule.text,
                "metric": outcome.rule.metric.name,
                "key": outcome.rule.key or None,
                "comparison": outcome.rule.sign,
                "limit": outcome.rule.limit,
                "unit": outcome.rule.metric.unit,
                "value": _plain(outcome.value),
                "failed": outcome.failed,
                "reason": outcome.reason,
                "message": outcome.rule.message,
            }
            for outcome in outcomes
        ],
    }


def _plain(value: float | None) -> float | str | None:
    return "never" if value is not None and math.isinf(value) else value


def write_junit(path: Path, source: str, outcomes: Sequence[RuleResult]) -> None:
    """Write one test case for each rule as JUnit XML, whole or not at all."""
    failed = sum(outcome.failed for outcome in outcomes)
    counts = {"tests": str(len(outcomes)), "failures": str(failed), "errors": "0"}
    suites = ElementTree.Element("testsuites", counts)
    suite = ElementTree.SubElement(suites, "testsuite", {"name": "plan check-plan", **counts})
    for outcome in outcomes:
        name = outcome.rule.name or outcome.rule.text
        data = ElementTree.SubElement(
            suite, "testcase", {"classname": printable(source), "name": printable(name)}
        )
        if outcome.failed:
            attributes = {"message": printable(outcome.reason), "type": "threshold"}
            failure = ElementTree.SubElement(data, "failure", attributes)
            failure.text = printable(outcome.rule.message or outcome.rule.text)
    ElementTree.indent(suites)
    content = ElementTree.tostring(suites, encoding="utf-8", xml_declaration=True)
    write_file(content + b"\n", path)
