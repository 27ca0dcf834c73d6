"""Outcome of rules on a plan: for the terminal, as JSON, and as JUnit XML for pipelines."""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from rich.markup import escape
from rich.text import Text

from planner.errors import InputError
from planner.infrastructure.source import printable
from planner.plan.records import Plan
from planner.plan.thresholds import RuleResult
from planner.reporting.terminal import new_console, print_json


def show_outcomes(
    plan: Plan,
    source: str,
    outcomes: Sequence[RuleResult],
    simulated: bool,
    as_json: bool,
    notes: tuple[str, ...] = (),
) -> None:
    """Print every rule with value and limit, those that fail first.

    Parameters
    ----------
    notes
        What is to be known about plan and model, for machines; people were told.
    """
    if as_json:
        print_json(outcomes_data(plan, source, outcomes, simulated) | {"notes": notes})
        return
    console = new_console()
    failed = [one for one in outcomes if one.failed]
    for outcome in [*failed, *(one for one in outcomes if not one.failed)]:
        mark, style = ("FAIL", "bold red") if outcome.failed else ("ok  ", "green")
        name = f"{outcome.rule.name}: " if outcome.rule.name else ""
        line = Text.assemble((mark, style), "  ", name, printable(outcome.reason))
        console.print(_hanging(line))
        if outcome.failed and outcome.rule.message:
            console.print(_hanging(Text(f"      {outcome.rule.message}", style="dim")))
    how = ", simulated again" if simulated else ""
    who = f"plan for {escape(printable(plan.model.name))}{how}"
    if failed:
        some = "The rule" if len(outcomes) == 1 else f"{len(failed)} of {len(outcomes)} rules"
        console.print(f"[bold red]{some} failed[/] ({who}).")
    else:
        all_of = "The rule holds" if len(outcomes) == 1 else f"All {len(outcomes)} rules hold"
        console.print(f"[bold green]{all_of}[/] ({who}).")


def _hanging(line: Text) -> Any:
    """A line that goes on below its text when it is too long."""
    from rich.padding import Padding
    from rich.table import Table

    if len(line) <= 6:
        return line
    table = Table.grid()
    table.add_column(width=6, no_wrap=True)
    table.add_column(overflow="fold")
    first, rest = line.divide([6])
    table.add_row(first, rest)
    return Padding(table, 0, expand=False)


def outcomes_data(
    plan: Plan, source: str, outcomes: Sequence[RuleResult], simulated: bool
) -> dict[str, Any]:
    """Outcomes as JSON data; an infinite value is the text ``never``."""
    return {
        "plan": source,
        "model": {"name": plan.model.name, "sha256": plan.model.sha256},
        "simulated": simulated,
        "passed": not any(one.failed for one in outcomes),
        "rules": [
            {
                "name": one.rule.name,
                "rule": one.rule.text,
                "metric": one.rule.metric.name,
                "key": one.rule.key or None,
                "comparison": one.rule.sign,
                "limit": one.rule.limit,
                "unit": one.rule.metric.unit,
                "value": _plain(one.value),
                "failed": one.failed,
                "reason": one.reason,
                "message": one.rule.message,
            }
            for one in outcomes
        ],
    }


def _plain(value: float | None) -> float | str | None:
    return "never" if value is not None and math.isinf(value) else value


def write_junit(path: Path, source: str, outcomes: Sequence[RuleResult]) -> None:
    """Write one test case for each rule as JUnit XML, whole or not at all.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    failed = sum(one.failed for one in outcomes)
    counts = {"tests": str(len(outcomes)), "failures": str(failed), "errors": "0"}
    suites = ElementTree.Element("testsuites", counts)
    suite = ElementTree.SubElement(suites, "testsuite", {"name": "plan check-plan", **counts})
    for one in outcomes:
        name = one.rule.name or one.rule.text
        data = ElementTree.SubElement(
            suite, "testcase", {"classname": printable(source), "name": printable(name)}
        )
        if one.failed:
            attributes = {"message": printable(one.reason), "type": "threshold"}
            failure = ElementTree.SubElement(data, "failure", attributes)
            failure.text = printable(one.rule.message or one.rule.text)
    ElementTree.indent(suites)
    _write(path, ElementTree.tostring(suites, encoding="utf-8", xml_declaration=True) + b"\n")


def _write(path: Path, content: bytes) -> None:
    name = None
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except OSError as error:
        if name is not None:
            Path(name).unlink(missing_ok=True)
        message = f"cannot be written: {error.strerror or error}"
        raise InputError.single(str(path), message) from error


__all__ = ["outcomes_data", "show_outcomes", "write_junit"]
