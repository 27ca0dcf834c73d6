"""The diagnosis of an infeasible model, as text and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape

from planner.amounts import listed, money
from planner.optimization.infeasibility.diagnosis import (
    MOST_NAMES,
    Diagnosis,
    MissedRequirement,
    alone_title,
    conflict_title,
    excluded_lines,
    relaxation_line,
    tried_line,
)
from planner.optimization.infeasibility.relaxation import Relaxation, RelaxationSet
from planner.optimization.infeasibility.wording import change, price
from planner.other_hours import NOT_SIMULATED
from planner.reporting.terminal import new_console, print_json, say
from planner.rounds import LoopResult

#: Shortfalls that are listed.
MOST_SHORTFALLS = 8
#: Addition to the title of the cheapest change, where it is of one kind.
KINDS = {
    frozenset({"limit"}): ", raising limits only",
    frozenset({"requirement"}): ", lowering requirements only",
}
TITLES = {
    "mixture": "the cheapest change",
    "limits": "raising limits only",
    "requirements": "lowering requirements only",
    "alternative": "another way",
}


def show_infeasible(outcome: LoopResult, as_json: bool) -> None:
    """Print why there is no plan."""
    diagnosis = outcome.diagnosis
    if diagnosis is None:
        return
    if as_json:
        print_json(diagnosis_data(diagnosis))
        return
    console = new_console()
    console.print("[bold red]No plan meets every requirement.[/]")
    show_diagnosis(console, diagnosis)


def diagnosis_data(diagnosis: Diagnosis) -> dict[str, Any]:
    """The diagnosis as JSON."""
    return {
        "status": "infeasible",
        "complete": diagnosis.complete,
        "round": diagnosis.round,
        "conflict": diagnosis.conflict,
        "irreducible": diagnosis.irreducible,
        "tried": diagnosis.tried,
        "excluded": diagnosis.excluded,
        "relaxations": [_set_data(found) for found in diagnosis.sets],
        "diagnosis": {
            "alone": diagnosis.alone,
            "shortfalls": diagnosis.shortfalls,
            "limits": [_relaxation_data(relaxation) for relaxation in diagnosis.limits],
            "hopeless": diagnosis.hopeless,
        },
    }


def _set_data(found: RelaxationSet) -> dict[str, Any]:
    data = vars(found) | {
        "set": found.overrides,
        "options": found.options,
        "plan_usd_per_year": _rounded(found.plan_usd_per_year),
        "plan_capital_usd": _rounded(found.plan_capital_usd),
        "changes": [_relaxation_data(relaxation) for relaxation in found.relaxations],
    }
    del data["relaxations"]
    return data


def _relaxation_data(relaxation: Relaxation) -> dict[str, Any]:
    return vars(relaxation) | {
        "usd": _rounded(relaxation.usd),
        "usd_per_year": _rounded(relaxation.usd_per_year),
        "text": relaxation_line(relaxation),
    }


def _rounded(usd: float | None) -> float | None:
    return None if usd is None else round(usd, 2)


def show_diagnosis(console: Console, diagnosis: Diagnosis) -> None:
    """Print the conflict and the changes that would resolve it."""
    if diagnosis.conflict:
        say(console, conflict_title(diagnosis))
        for demand in diagnosis.conflict:
            say(console, demand.text, lead="  - ")
    if diagnosis.alone:
        console.print()
        say(console, alone_title(diagnosis))
        for missed in diagnosis.alone:
            say(console, missed.text, lead="  - ")
    if diagnosis.tried:
        say(console, tried_line(diagnosis))
    for line in excluded_lines(diagnosis):
        say(console, line)
    _show_sets(console, diagnosis)
    shown = {missed.text for missed in diagnosis.hopeless}
    if not {missed.text for missed in diagnosis.shortfalls} <= shown:
        _show_shortfalls(console, diagnosis.shortfalls)
    if not diagnosis.complete:
        console.print()
        console.print("The time limit ended the diagnosis; it may be incomplete.")


def _show_sets(console: Console, diagnosis: Diagnosis) -> None:
    if diagnosis.hopeless:
        console.print()
        say(console, "No raise of any limit provides:")
        for missed in _worst(diagnosis.hopeless):
            say(console, missed.text, lead="  - ")
    if diagnosis.sets:
        console.print()
        how = "each solved again to an optimality gap of 0.1 %"
        if diagnosis.sets[0].survives is not None:
            how += ", and simulated until a plan survives, which need not be the cheapest that does"
        say(console, f"What would make it feasible ({how})", style="bold")
    for number, found in enumerate(diagnosis.sets, start=1):
        _show_set(console, number, found)


def _show_set(console: Console, number: int, found: RelaxationSet) -> None:
    title = TITLES[found.name]
    if found.name == "mixture":
        kinds = {relaxation.kind for relaxation in found.relaxations}
        title += KINDS.get(frozenset(kinds), "")
    cost = ""
    if found.plan_usd_per_year is not None and found.plan_capital_usd is not None:
        yearly, capital = money(found.plan_usd_per_year), money(found.plan_capital_usd)
        cost = f"; the plan: {yearly} a year annualised, {capital} capex"
    console.print()
    say(console, f"{number} {title}{cost}")
    for relaxation in found.relaxations:
        say(console, change(relaxation), indent=2)
        paid = price(relaxation)
        if paid:
            say(console, paid, indent=6)
    for option in found.options:
        console.print(f"      {escape(option)}", soft_wrap=True)
    if found.failed:
        say(
            console,
            f"not enough: its plan still fails {listed(found.failed, MOST_NAMES)} in simulation",
            2,
        )
    elif found.left_out is None:
        say(console, NOT_SIMULATED, indent=2)
    if not found.minimal:
        say(console, "(some may not be needed: the time limit ended the search)", indent=2)


def _show_shortfalls(console: Console, shortfalls: Sequence[MissedRequirement]) -> None:
    if not shortfalls:
        return
    console.print()
    say(console, "If nothing changes, at least these requirements are missed:")
    for missed in _worst(shortfalls):
        say(console, missed.text, lead="  - ")
    if len(shortfalls) > MOST_SHORTFALLS:
        say(console, f"- and {len(shortfalls) - MOST_SHORTFALLS} more (see --json)", indent=2)


def _worst(shortfalls: Sequence[MissedRequirement]) -> list[MissedRequirement]:
    """The shortfalls that are largest for their requirement."""
    ordered = sorted(shortfalls, key=lambda missed: -missed.amount / max(missed.limit, 1e-9))
    return ordered[:MOST_SHORTFALLS]
