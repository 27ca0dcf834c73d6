"""An explanation on the terminal, and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.text import Text

from planner.amounts import millions, money
from planner.analysis.explanation import (
    DecisionNote,
    Explanation,
    FirstRound,
    describe,
)
from planner.analysis.marginal import Difference, Removal, Worth
from planner.analysis.what_if import Tightness
from planner.optimization.solution.decisions import Decision
from planner.plan.files import placed
from planner.plan.records import MarginRecord, Plan
from planner.reporting.terminal import new_console, new_table, print_json, show_table

#: Least yearly cost of a scenario that gets a line.
SHOWN_USD = 500.0
REASONS = {"indispensable": "no plan", "impossible": "no room", "settled": "settled", "all": ""}
REQUIREMENTS = {
    "emergency_cover": "emergency cooling share",
    "surviving_capacity_share": "surviving capacity share",
    "spare_block": "spare block per region",
    "least_regions": "least number of regions",
    "capital_budget": "capital budget",
    "emergency_budget": "emergency budgets",
    "redundancy": "the last unit of N+k, in every plant",
}


def show_explanation(
    explanation: Explanation, plan: Plan, as_json: bool, notes: tuple[str, ...] = ()
) -> None:
    """Print why a plan is what it is.

    Parameters
    ----------
    notes
        What is to be known about plan and model, for machines; people were told.
    """
    if as_json:
        print_json(explanation_data(explanation, plan) | {"notes": notes})
        return
    console = new_console()
    _show_base(console, explanation, plan)
    _show_decisions(console, explanation)
    _show_worth(console, explanation)
    _show_scenarios(console, explanation)
    _show_requirements(console, explanation)
    _show_first_round(console, explanation.first_round)
    _show_binding(console, explanation.binding)
    _show_effort(console, explanation)


def _millions(usd: float) -> str:
    return millions(usd, 3)


def _told(one: Difference | None) -> str:
    """A difference, or what the gap leaves of it."""
    if one is None:
        return "?"
    if one.certain or one.most < 0 or one.most - one.least < 500:
        return _millions(one.usd)
    return f"<{_millions(max(0.0, one.most))}"


def _changes(changes: Mapping[Decision, int] | Iterable[tuple[Any, int]]) -> str:
    pairs = changes.items() if isinstance(changes, Mapping) else changes
    return ", ".join(f"{more:+d} {what}" for what, more in pairs)


def _say(console: Console, text: str, indent: int) -> None:
    """Print a text that goes on below its own beginning."""
    console.print(Padding(Text(text), (0, 0, 0, indent), expand=False))


def _show_base(console: Console, explanation: Explanation, plan: Plan) -> None:
    cost = _millions(explanation.cost_usd)
    console.print(f"[bold]Why the plan for {escape(plan.model.name)} is what it is[/bold]")
    if explanation.agrees:
        console.print(f"{cost} M USD a year in the programme with its last margins, as it states.")
    else:
        console.print(
            f"[bold red]{cost} M USD a year in the programme with its last margins, but it states "
            f"{_millions(plan.objective_usd_per_year)}[/]: the model or the program has changed."
        )
    worse = explanation.cost_usd - explanation.bound_usd
    console.print(f"At most {money(worse)} a year above the cheapest plan there can be.")


# --------------------------------------------------------------------------------------- decisions


def _show_decisions(console: Console, explanation: Explanation) -> None:
    console.print()
    console.print("[bold]What each purchase stands on[/bold]")
    _say(
        console, "fails: with one less and all else as it is. fewer without: in a cheaper plan.", 0
    )
    for note in explanation.decisions:
        if not note.bought:
            continue
        console.print(f"  [bold]{escape(str(note.decision))}[/bold] +{note.bought:,}")
        _say(console, _stands_on(note), 4)
        if note.smaller_without:
            cuts = ", ".join(
                f"{REQUIREMENTS.get(name, name)} (-{fewer:,})"
                for name, fewer in note.smaller_without
            )
            _say(console, f"fewer without: {cuts}", 4)


def _stands_on(note: DecisionNote) -> str:
    if note.fails is None:
        return "fails: everything that stands in it"
    if note.fails:
        texts = [f"{describe(one)} ({one.amount:,.4g} {one.unit})" for one in note.fails]
        more = f"; and {len(texts) - 3} more" if len(texts) > 3 else ""
        return "fails: " + "; ".join(texts[:3]) + more
    if note.earns_usd is not None:
        where = ", ".join(note.earns_in[:3]) or "normal operation"
        if note.earns_usd < 0:
            return f"nothing fails; one less saves {_millions(-note.earns_usd)} M USD a year"
        return f"nothing fails; it pays: {_millions(note.earns_usd)} M USD a year, in {where}"
    return "nothing fails"


def _show_worth(console: Console, explanation: Explanation) -> None:
    table = new_table("", "one", "bought", "price", "last", "next", "LP next")
    for note in explanation.decisions:
        if note.last is None and note.next is None:
            continue
        table.add_row(
            escape(str(note.decision)),
            f"{note.bought:,}" if note.bought else "",
            _millions(note.price_usd),
            _worth(note.last) if note.bought else "",
            _worth(note.next),
            _millions(note.linear_usd),
        )
    for region, gain in explanation.power.items():
        if gain is not None:
            table.add_row(escape(f"MW of power in {region}"), "", "", "", _told(gain), "")
    told = (
        "last: what doing with one less costs, its price included. next: what one more saves "
        "elsewhere. Both by solving again; <: all that the gap can tell. LP: whole numbers fixed."
    )
    show_table(console, "What one is worth, M USD a year", table, told)


def _worth(worth: Worth | None) -> str:
    if worth is None:
        return "?"
    if worth.value is None:
        return REASONS[worth.reason]
    return _told(worth.value)


# --------------------------------------------------------------------------------------- scenarios


def _show_scenarios(console: Console, explanation: Explanation) -> None:
    table = new_table("", "scenario", "saves", "expected", "forces")
    rows = [(one.names[0], one) for one in explanation.scenarios]
    if explanation.idle_together is not None:
        rows.append(("those that force nothing, together", explanation.idle_together))
    for name, one in rows:
        alone = len(one.names) == 1 and one.saves.usd >= SHOWN_USD
        if one.forces.certain or alone:
            table.add_row(escape(name), *_removal_cells(one))
    if explanation.all_together is not None:
        table.add_section()
        table.add_row("all scenarios together", *_removal_cells(explanation.all_together))
    note = (
        "saves: the plan without it. expected: of that, what is spent and lost when it happens. "
        "forces: the rest, bought only for it. All together are more than the sum where several "
        "ask for the same."
    )
    show_table(console, "What each scenario costs, M USD a year", table, note)
    lists = (
        ("force nothing as long as the others stay", explanation.silent),
        ("covered by other requirements", explanation.covered),
        ("not asked about", explanation.unasked),
    )
    for text, names in lists:
        if names:
            _say(console, f"{text}: {', '.join(names)}", 0)


def _removal_cells(one: Removal) -> tuple[str, str, str]:
    expected = _millions(one.recourse_usd) if one.recourse_usd else ""
    return _told(one.saves), expected, _told(one.forces)


def _show_requirements(console: Console, explanation: Explanation) -> None:
    table = new_table("", "without", "saves")
    for one in explanation.requirements:
        table.add_row(escape(_requirement(one.names[0])), _told(one.saves))
    show_table(console, "What policies and budgets cost, M USD a year", table)


def _requirement(name: str) -> str:
    return REQUIREMENTS.get(name, name.replace("_", " "))


def _show_first_round(console: Console, first: FirstRound | None) -> None:
    console.print()
    console.print("[bold]What the simulation added[/bold]")
    if first is None:
        console.print("Nothing failed after the first round: the plan has no margins.")
        return
    _say(console, f"After the first round would have failed: {', '.join(first.failed)}.", 0)
    for name, text in first.breaches.items():
        _say(console, f"{name}: {text}", 2)
    for margin in first.margins:
        _say(console, f"margin on {margin.scenario}: {_margin_text(margin)}", 2)
    if first.bought_usd is None:
        console.print("What the margins bought was not asked.")
        return
    changes = _changes(first.changes) or "nothing more"
    _say(console, f"The margins cost {_told(first.bought_usd)} M USD a year: {changes}.", 0)


def _margin_text(margin: MarginRecord) -> str:
    parts = []
    if margin.demand:
        parts.append(f"{margin.demand:+.1%} demand")
    if margin.heat:
        parts.append(f"{margin.heat:+.1%} heat")
    if margin.services:
        parts.append(f"{margin.services:+.1%} through services")
    if margin.late_minutes:
        parts.append(f"{margin.late_minutes:.0f} min later")
    return ", ".join(parts)


# ----------------------------------------------------------------------------------------- binding


def _show_binding(console: Console, rows: Iterable[Tightness]) -> None:
    table = new_table("", "what", "room", "USD a unit")
    for one in rows:
        room = "none" if one.tight else f"{one.room:,.4g} {one.row.unit}"
        price = f"{one.price:,.4g}" if one.price else ""
        text = describe_row(one)
        table.add_row(escape(text), room, price)
    table.columns[0].no_wrap = False
    note = "USD a unit: what one more saves a year with whole numbers fixed (LP)."
    show_table(console, "Limits and requirements with little room", table, note)


def describe_row(one: Tightness) -> str:
    """A requirement or limit in words."""
    from planner.optimization.infeasibility.shortfalls import Shortfall

    row = one.row
    return describe(
        Shortfall(row.family, row.subject, row.scenario, one.room, row.unit, row.from_minute)
    )


def _show_effort(console: Console, explanation: Explanation) -> None:
    left = explanation.solves_wanted - explanation.solves
    console.print()
    text = f"{explanation.solves} programmes solved."
    if left > 0:
        text += f" {left} more questions were not asked; --solves {explanation.solves_wanted} asks."
    console.print(text)


# -------------------------------------------------------------------------------------------- JSON


def explanation_data(explanation: Explanation, plan: Plan) -> dict[str, Any]:
    """The explanation for machines; money in USD per year."""
    return {
        "model": placed(plan, Path()).model,
        "cost_usd": explanation.cost_usd,
        "bound_usd": _finite(explanation.bound_usd),
        "stated_usd": plan.objective_usd_per_year,
        "agrees": explanation.agrees,
        "decisions": [_decision_data(one) for one in explanation.decisions],
        "scenarios": [_removal_data(one) for one in explanation.scenarios],
        "all_together": _removal_data(explanation.all_together),
        "idle_together": _removal_data(explanation.idle_together),
        "silent": list(explanation.silent),
        "covered": list(explanation.covered),
        "unasked": list(explanation.unasked),
        "requirements": [_removal_data(one) for one in explanation.requirements],
        "megawatt": {name: _difference(one) for name, one in explanation.power.items()},
        "first_round": _first_data(explanation.first_round),
        "binding": [
            {
                "family": one.row.family,
                "subject": one.row.subject,
                "scenario": one.row.scenario,
                "from_minute": one.row.from_minute,
                "room": one.room,
                "unit": one.row.unit,
                "usd_per_unit": one.price,
                "text": describe_row(one),
            }
            for one in explanation.binding
        ],
        "solves": explanation.solves,
        "solves_wanted": explanation.solves_wanted,
    }


def _finite(number: float) -> float | None:
    return number if abs(number) != float("inf") else None


def _difference(one: Difference | None) -> dict[str, Any] | None:
    if one is None:
        return None
    return {
        "usd": one.usd,
        "least_usd": _finite(one.least),
        "most_usd": _finite(one.most),
        "certain": one.certain,
    }


def _worth_data(worth: Worth | None) -> dict[str, Any] | None:
    if worth is None:
        return None
    return {"value": _difference(worth.value), "reason": worth.reason}


def _decision_data(note: DecisionNote) -> dict[str, Any]:
    fails = None
    if note.fails is not None:
        fails = [vars(one) | {"text": describe(one)} for one in note.fails]
    return {
        "kind": note.decision.kind,
        "asset": note.decision.asset,
        "bought": note.bought,
        "price_usd": note.price_usd,
        "fails": fails,
        "earns_usd": note.earns_usd,
        "earns_in": list(note.earns_in),
        "smaller_without": dict(note.smaller_without),
        "last": _worth_data(note.last),
        "next": _worth_data(note.next),
        "linear_next_usd": note.linear_usd,
    }


def changes_data(changes: Mapping[Decision, int]) -> list[dict[str, Any]]:
    """Differences in purchases as a list."""
    return [{"kind": k.kind, "asset": k.asset, "more": more} for k, more in changes.items()]


def _removal_data(one: Removal | None) -> dict[str, Any] | None:
    if one is None:
        return None
    return {
        "names": list(one.names),
        "saves": _difference(one.saves),
        "expected_usd": one.recourse_usd,
        "forces": _difference(one.forces),
        "changes": changes_data(one.changes),
    }


def _first_data(first: FirstRound | None) -> dict[str, Any] | None:
    if first is None:
        return None
    return {
        "failed": list(first.failed),
        "breaches": dict(first.breaches),
        "margins": [one.model_dump(mode="json") for one in first.margins],
        "cost": _difference(first.bought_usd),
        "bought": changes_data(first.changes),
    }


__all__ = ["explanation_data", "show_explanation"]
