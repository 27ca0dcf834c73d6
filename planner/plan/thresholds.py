"""Thresholds on a plan: rules from options and policy files, and what they make of a plan.

A figure that a plan does not have fails every rule on it: what is not known is not proven.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Any

from planner.errors import Problem, collected, refuse
from planner.files import read_bytes
from planner.infrastructure.source import Document, nearest, parse_yaml, printable
from planner.plan.metrics import METRICS, Metric, Values, distinct_texts
from planner.plan.records import Record
from planner.plan.rules import OPERATORS, Rule, WrongRuleError, parsed, rule_problem

Metrics = Mapping[str, Metric]
MOST_RULES = 1000
#: Relative distance below which a figure counts as its limit.
SAME = 1e-12
_FIELDS = ("name", "fail_on", "message")


@dataclass(frozen=True)
class RuleResult:
    """What a rule makes of a plan.

    Parameters
    ----------
    value
        Figure of the plan; None if it has none, infinite if a scenario never recovers.
    failed
        Whether the plan fails.
    """

    rule: Rule
    value: float | None
    failed: bool

    @property
    def reason(self) -> str:
        """Why it fails, or holds, with value and limit."""
        rule = self.rule
        if self.value is None:
            return f"{rule.subject} has no value in this plan, which fails every rule on it"
        unit = rule.metric.unit
        shown, limit = distinct_texts(self.value, rule.limit, unit)
        return f"{rule.subject} is {shown}; fails if {rule.sign} {limit}"


def read_rules(
    texts: Iterable[str], policies: Iterable[Path] = (), metrics: Metrics = METRICS
) -> tuple[Rule, ...]:
    """Read rules and policy files.

    Parameters
    ----------
    texts
        Rules such as ``capital > 900M``.
    policies
        Files with more of them.
    metrics
        What they may speak of.

    Raises
    ------
    InputError
        With everything that is wrong with any of them.
    """
    rules: list[Rule] = []
    problems: list[Problem] = []
    readers = [
        partial(parse_rules, texts, metrics=metrics),
        *(partial(read_policy, path, metrics) for path in policies),
    ]
    for read in readers:
        with collected(problems):
            rules += read()
    refuse(problems)
    return tuple(rules)


def parse_rules(
    texts: Iterable[str], origin: str = "--fail-on", metrics: Metrics = METRICS
) -> tuple[Rule, ...]:
    """Read rules.

    Raises
    ------
    InputError
        With everything that is wrong with any of them.
    """
    rules, problems = [], []
    for text in texts:
        try:
            rules.append(parsed(text, origin, metrics))
        except WrongRuleError as error:
            problems.append(rule_problem(text, error, origin))
    refuse(problems)
    return tuple(rules)


def read_policy(path: Path, metrics: Metrics = METRICS) -> tuple[Rule, ...]:
    """Read a policy file: a list ``rules`` of texts or of entries with name, fail_on and message.

    Raises
    ------
    InputError
        With every problem, each with its line.
    """
    shown = str(path)
    document = parse_yaml(read_bytes(path, shown), shown, expected="`rules:`")
    data = document.data
    for field in data:
        if field != "rules":
            document.complain((field,), f"is not a field of a policy{nearest(field, ['rules'])}")
    entries = data.get("rules")
    rules: list[Rule] = []
    if not isinstance(entries, list) or not entries:
        document.complain(("rules",), "expected `rules:` with a list of at least one rule")
    elif len(entries) > MOST_RULES:
        document.complain(("rules",), f"has more than {MOST_RULES:,} rules")
    else:
        found = [_entry(document, number, entry, metrics) for number, entry in enumerate(entries)]
        rules = [rule for rule in found if rule is not None]
        _complain_of_repeated_names(document, entries)
    refuse(document.problems)
    return tuple(rules)


def _entry(document: Document, number: int, entry: Any, metrics: Metrics) -> Rule | None:
    """One rule of a policy; None, with a complaint, if something is wrong with it."""
    path: tuple[str | int, ...] = ("rules", number)
    fields = {"fail_on": entry} if isinstance(entry, str) else entry
    if not isinstance(fields, dict):
        document.complain(path, "expected a rule such as `capital > 900M`, or name and fail_on")
        return None
    before = len(document.problems)
    for field, value in fields.items():
        if field not in _FIELDS:
            hint = nearest(field, _FIELDS) or f" (accepted: {', '.join(_FIELDS)})"
            document.complain((*path, field), f"is not a field of a rule{hint}")
        elif not isinstance(value, str):
            document.complain((*path, field), "expected text")
    text = fields.get("fail_on")
    if text is None and "fail_on" not in fields:
        document.complain(path, "has no `fail_on`, such as `fail_on: capital > 900M`")
    if not isinstance(text, str):
        return None
    place = document.place((*path, "fail_on"))
    try:
        rule = parsed(text, place.file, metrics)
    except WrongRuleError as error:
        where = ".".join(map(str, path))
        problem = rule_problem(text, error, place.file, place.line, place.column, where)
        document.problems.append(problem)
        return None
    if len(document.problems) > before:
        return None
    return replace(
        rule,
        name=printable(fields.get("name", "")),
        message=printable(fields.get("message", "").strip()),
        line=place.line,
        column=place.column,
    )


def _complain_of_repeated_names(document: Document, entries: Iterable[Any]) -> None:
    seen: set[str] = set()
    for number, entry in enumerate(entries):
        name = entry.get("name") if isinstance(entry, dict) else None
        if isinstance(name, str) and name in seen:
            document.complain(("rules", number, "name"), f"`{name}` is listed twice")
        elif isinstance(name, str):
            seen.add(name)


def judge_rules(plan: Record, rules: Iterable[Rule]) -> tuple[RuleResult, ...]:
    """Check a plan, or a roadmap, against rules on its metrics.

    Raises
    ------
    InputError
        With every key that the plan does not know.
    """
    outcomes, problems = [], []
    for rule in rules:
        values = rule.metric.values(plan)
        if rule.key in values:
            outcomes.append(_outcome(rule, values[rule.key]))
        else:
            problems.append(_unknown_key(rule, values))
    refuse(problems)
    return tuple(outcomes)


def _outcome(rule: Rule, value: float) -> RuleResult:
    if math.isnan(value):
        return RuleResult(rule, None, failed=True)
    if math.isclose(value, rule.limit, rel_tol=SAME):
        value = rule.limit  # 0.1 + 0.2 is 0.3
    return RuleResult(rule, value, OPERATORS[rule.sign](value, rule.limit))


def _unknown_key(rule: Rule, values: Values) -> Problem:
    known = sorted(key for key in values if key)
    close = get_close_matches(rule.key, known, n=1, cutoff=0.5)
    shown = ", ".join(known[:8]) + (", …" if len(known) > 8 else "")
    hint = f"; did you mean `{close[0]}`?" if close else f"; there are {shown or 'none'}"
    message = f"`{rule.key}` is not {rule.metric.keys} of this plan{hint}"
    error = WrongRuleError(printable(message), rule.key_at, len(rule.key))
    return rule_problem(rule.text, error, rule.origin, rule.line, rule.column)
