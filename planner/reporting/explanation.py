"""An explanation on the terminal, and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from planner.amounts import counted, listed, millions, money, number, percent
from planner.analysis.explanation import DecisionNote, Explanation, FirstRound, describe
from planner.analysis.marginal import Difference, Removal, Worth
from planner.analysis.what_if import Tightness
from planner.json_text import plain
from planner.optimization.solution.decisions import Decision
from planner.plan.files import placed
from planner.plan.records import LearnedRecord, Plan
from planner.reporting.tables import Row, Table, figures, texts
from planner.reporting.terminal import bullets, heading, new_console, print_json, say
from planner.scenarios.hours import failure_and_hour

#: Least yearly cost of a scenario that gets a line.
SHOWN_USD = 500.0
#: Most requirements, and most scenarios, that are named for one purchase.
MOST_NAMED = 3
#: Most breaches learned from that are shown, and most purchases for one.
MOST_LEARNED, MOST_SHOWN_ANSWERS = 8, 3
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
    """Print why a plan is what it is; `notes` are for machines: people were told."""
    if as_json:
        print_json(explanation_data(explanation, plan) | {"notes": notes})
        return
    console = new_console()
    _show_base(console, explanation, plan)
    _show_decisions(console, explanation)
    worth_table(explanation).print(console)
    _show_scenarios(console, explanation)
    _show_requirements(console, explanation)
    _show_first_round(console, explanation.first_round)
    binding_table(explanation.binding).print(console)
    console.print()
    left = explanation.solves_wanted - explanation.solves
    more = f" {left} more are left out; --solves {explanation.solves_wanted} runs all."
    solved = f"{counted(explanation.solves, 'optimisation')} solved."
    say(console, solved + (more if left > 0 else ""))


def _millions(usd: float) -> str:
    return millions(usd, 3)


def _told(difference: Difference | None) -> str:
    """A difference, or what the optimality gap leaves of it."""
    if difference is None:
        return "?"
    hidden = difference.most - difference.least
    if difference.certain or difference.most < 0 or hidden < SHOWN_USD:
        return _millions(difference.usd)
    return f"<{_millions(max(0.0, difference.most))}"


def _show_base(console: Console, explanation: Explanation, plan: Plan) -> None:
    cost = f"{_millions(explanation.cost_usd)} M USD a year"
    say(console, f"Why the plan for {plan.model.name} is what it is", style="bold")
    if explanation.agrees:
        say(console, f"It costs {cost}, as it states.")
    else:
        stated = _millions(plan.objective_usd_per_year)
        text = f"It costs {cost}, but states {stated}: the model or the program has changed."
        say(console, text, style="bold red")
    worse = explanation.cost_usd - explanation.bound_usd
    say(console, f"No plan can be cheaper by more than {money(worse)} a year.")


def _show_decisions(console: Console, explanation: Explanation) -> None:
    heading(console, "Why each purchase is needed")
    say(
        console,
        "fails: what is missed with one less, all else equal. fewer without: how many fewer the "
        "cheapest plan buys without that requirement.",
    )
    for note in explanation.decisions:
        if not note.bought:
            continue
        say(console, f"{note.decision} +{note.bought:,}", lead="  ", style="bold")
        say(console, stands_on(note), indent=4)
        if note.smaller_without:
            cuts = ", ".join(
                f"{REQUIREMENTS.get(name, name)} (-{fewer:,})"
                for name, fewer in note.smaller_without
            )
            say(console, f"fewer without: {cuts}", indent=4)


def stands_on(note: DecisionNote) -> str:
    """What fails with one less of a purchase."""
    if note.fails is None:
        return "fails: everything that stands in it"
    if note.fails:
        missed = [
            f"{describe(shortfall)} ({number(shortfall.amount, 4)} {shortfall.unit})"
            for shortfall in note.fails
        ]
        more = f"; and {len(missed) - MOST_NAMED} more" if len(missed) > MOST_NAMED else ""
        return f"fails: {'; '.join(missed[:MOST_NAMED])}{more}"
    if note.earns_usd is not None:
        where = ", ".join(note.earns_in[:MOST_NAMED]) or "normal operation"
        if note.earns_usd < 0:
            return f"nothing fails; one less saves {money(-note.earns_usd)} a year"
        return f"nothing fails; it pays: {money(note.earns_usd)} a year, in {where}"
    return "nothing fails"


def worth_table(explanation: Explanation) -> Table:
    """What one less and one more of each purchase are worth."""
    rows: list[Row] = [
        (
            str(note.decision),
            note.bought or None,
            _millions(note.price_usd),
            _worth(note.last) if note.bought else None,
            _worth(note.next),
            _millions(note.linear_usd),
        )
        for note in explanation.decisions
        if note.last is not None or note.next is not None
    ]
    rows += [
        (f"MW of power in {region}", None, None, None, _told(gain), None)
        for region, gain in explanation.power.items()
        if gain is not None and gain.most >= SHOWN_USD
    ]
    note = (
        "last: what doing with one less costs, its price included; next: what one more saves "
        "elsewhere; both by optimising again (<: no more than that, the rest is within the "
        "optimality gap). marginal: of one more, with all whole numbers fixed."
    )
    columns = texts("one") + figures("bought", "price", "last", "next", "marginal")
    return Table("What one is worth, M USD a year", columns, rows, note)


def _worth(worth: Worth | None) -> str:
    if worth is None:
        return "?"
    return REASONS[worth.reason] if worth.value is None else _told(worth.value)


def scenario_table(explanation: Explanation) -> Table:
    """What the plan saves without each scenario."""
    rows = [
        (_at_all_hours(removal.names), *_removal_cells(removal))
        for removal in explanation.scenarios
        if removal.forces.certain or removal.saves.usd >= SHOWN_USD
    ]
    idle = explanation.idle_together
    if idle is not None and idle.forces.certain:
        rows.append(("those that are not binding, together", *_removal_cells(idle)))
    every = explanation.all_together
    foot = [] if every is None else [("all scenarios together", *_removal_cells(every))]
    note = (
        "saves: the plan without it. expected: of that, expected emergency spend and lost-request "
        "value. purchases: the rest, bought only for it. All together are more than the sum where "
        "several need the same."
    )
    columns = texts("scenario") + figures("saves", "expected", "purchases")
    title = "What each scenario costs, M USD a year"
    return Table(title, columns, rows or foot, note, foot if rows else ())


def _show_scenarios(console: Console, explanation: Explanation) -> None:
    scenario_table(explanation).print(console)
    lists = (
        ("not binding as long as the others stay", explanation.silent),
        ("covered by other requirements", explanation.covered),
        ("not evaluated", explanation.unasked),
    )
    for text, names in lists:
        if names:
            say(console, f"{text}: {', '.join(names)}")


def _at_all_hours(names: Sequence[str]) -> str:
    """Name of a failure that was removed at all its hours."""
    hours = f" (all {len(names)} hours)" if len(names) > 1 else ""
    return (failure_and_hour(names[0])[0] if hours else names[0]) + hours


def _removal_cells(removal: Removal) -> tuple[str, str, str]:
    expected = _millions(removal.recourse_usd) if removal.recourse_usd else ""
    return _told(removal.saves), expected, _told(removal.forces)


def requirement_table(explanation: Explanation) -> Table:
    """What the plan saves without each policy or budget that costs something."""
    rows = [
        (_requirement(removal), _told(removal.saves))
        for removal in explanation.requirements
        if removal.saves.most >= SHOWN_USD
    ]
    columns = texts("without") + figures("saves")
    return Table("What policies and budgets cost, M USD a year", columns, rows)


def _show_requirements(console: Console, explanation: Explanation) -> None:
    requirement_table(explanation).print(console)
    costs_nothing = (one for one in explanation.requirements if one.saves.most < SHOWN_USD)
    if free := ", ".join(map(_requirement, costs_nothing)):
        say(console, f"not binding: {free}")


def _requirement(removal: Removal) -> str:
    name = removal.names[0]
    return REQUIREMENTS.get(name, name.replace("_", " "))


def _show_first_round(console: Console, first: FirstRound | None) -> None:
    heading(console, "What the simulation added")
    if first is None:
        say(console, "Nothing failed after the first round.")
        return
    failed = f"The plan of the first round fails in simulation: {', '.join(first.failed)}."
    say(console, failed if first.failed else "Plans below the programme fail in simulation.")
    for name, text in first.breaches.items():
        say(console, f"{name}: {text}", lead="  ")
    bullets(console, map(learned_text, first.learned), MOST_LEARNED, " (see plan.json)")
    if not first.failed:
        return
    if first.bought_usd is None:
        say(console, "What that cost was not evaluated.")
        return
    changes = [f"{more:+d} {what}" for what, more in first.changes.items()] or ["nothing more"]
    cost = f"To survive costs {_told(first.bought_usd)} M USD a year more"
    say(console, f"{cost}: {listed(changes, len(changes))}.")


def learned_text(learned: LearnedRecord) -> str:
    """What one more of each purchase does about a breach."""
    answers = [f"{asset} {percent(share)} of it" for asset, share in learned.makes_up.items()]
    about = f"{learned.scenario}, {learned.kind} {learned.subject}"
    return f"{about} was short; one more makes up for: {listed(answers, MOST_SHOWN_ANSWERS)}"


def binding_table(rows: Iterable[Tightness]) -> Table:
    """Constraints with little headroom, those with the highest shadow price first."""
    rows = sorted(rows, key=lambda row: (-abs(row.price), row.room))
    cells = [
        (
            describe_row(tightness),
            "none" if tightness.tight else f"{number(tightness.room, 4)} {tightness.row.unit}",
            number(tightness.price, 4) if tightness.price else None,
        )
        for tightness in rows
    ]
    note = "USD a unit: what one more saves a year with all whole numbers fixed."
    note = note if any(price for _, _, price in cells) else ""
    columns = texts("what") + figures("headroom", "USD a unit")
    return Table("Limits and requirements with little headroom", columns, cells, note)


def describe_row(tightness: Tightness) -> str:
    """A requirement or limit in words."""
    from planner.optimization.infeasibility.shortfalls import Shortfall

    return describe(Shortfall.of(tightness.row, tightness.room))


def explanation_data(explanation: Explanation, plan: Plan) -> dict[str, Any]:
    """The explanation for machines; money in USD per year."""
    data = {"model": placed(plan, Path()).model, **vars(explanation)} | {
        "stated_usd": plan.objective_usd_per_year,
        "decisions": map(_decision_data, explanation.decisions),
        "scenarios": map(_removal_data, explanation.scenarios),
        "all_together": _removal_data(explanation.all_together),
        "idle_together": _removal_data(explanation.idle_together),
        "requirements": map(_removal_data, explanation.requirements),
        "megawatt": {name: _difference(gain) for name, gain in explanation.power.items()},
        "first_round": _first_data(explanation.first_round),
        "binding": map(_binding_data, explanation.binding),
    }
    del data["power"]
    found: dict[str, Any] = plain(data)
    return found


def _binding_data(tightness: Tightness) -> dict[str, Any]:
    row = tightness.row
    return {
        "family": row.family,
        "subject": row.subject,
        "scenario": row.scenario,
        "from_minute": row.from_minute,
        "room": tightness.room,
        "unit": row.unit,
        "usd_per_unit": tightness.price,
        "text": describe_row(tightness),
    }


def _difference(found: Difference | None) -> dict[str, Any] | None:
    if found is None:
        return None
    known = {"least_usd": found.least, "most_usd": found.most, "certain": found.certain}
    return {"usd": found.usd, **known}


def _worth_data(worth: Worth | None) -> dict[str, Any] | None:
    if worth is None:
        return None
    return {"value": _difference(worth.value), "reason": worth.reason}


def _decision_data(note: DecisionNote) -> dict[str, Any]:
    fails = note.fails and [vars(missed) | {"text": describe(missed)} for missed in note.fails]
    data = note.decision._asdict() | vars(note)
    data |= {
        "fails": fails,
        "smaller_without": dict(note.smaller_without),
        "last": _worth_data(note.last),
        "next": _worth_data(note.next),
        "linear_next_usd": data.pop("linear_usd"),
    }
    del data["decision"]
    return data


def changes_data(changes: Mapping[Decision, int]) -> list[dict[str, Any]]:
    """Differences in purchases as a list."""
    return [{"kind": k.kind, "asset": k.asset, "more": more} for k, more in changes.items()]


def _removal_data(removal: Removal | None) -> dict[str, Any] | None:
    if removal is None:
        return None
    return {
        "names": removal.names,
        "saves": _difference(removal.saves),
        "expected_usd": removal.recourse_usd,
        "forces": _difference(removal.forces),
        "changes": changes_data(removal.changes),
    }


def _first_data(first: FirstRound | None) -> dict[str, Any] | None:
    if first is None:
        return None
    return {
        "failed": first.failed,
        "breaches": first.breaches,
        "learned": first.learned,
        "cost": _difference(first.bought_usd),
        "bought": changes_data(first.changes),
    }
