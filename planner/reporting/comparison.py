"""Two plans or models side by side: for the terminal, for a pull-request comment, as JSON."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.text import Text

from planner.amounts import millions, money
from planner.analysis.comparison import (
    ComparedFigure,
    ComparedPlan,
    Comparison,
    Effect,
    Effects,
    ScenarioChange,
    TierChange,
    ValueChange,
)
from planner.infrastructure.source import printable
from planner.json_text import json_text
from planner.plan.difference import NOUNS, CostChange, DecisionChange
from planner.plan.records import ScenarioLine, counts
from planner.reporting.terminal import new_console, new_table, show_table

#: Most lines of one table in the terminal and in Markdown; JSON has them all.
MOST_LINES, MOST_ROWS = 20, 50
#: Most signs of a value.
LONGEST_VALUE, LONGEST_NAME = 24, 60
#: GitHub takes 65,536 signs; something may stand before and after.
MOST_MARKDOWN = 60_000
HALF_A_CENT = 0.005

#: Columns of a table; rows of texts.
Rows = list[tuple[str, ...]]


# ------------------------------------------------------------------------------------------ wording


def headline(comparison: Comparison) -> list[str]:
    """What there is to say in a few sentences."""
    purchases = comparison.purchases
    if comparison.same:
        return ["Both buy, cost and survive the same."]
    lines = []
    capital, yearly = purchases.capital_usd, purchases.usd_per_year
    sums = [
        (capital, f"{money(abs(capital))} {_word(capital)} capital"),
        (yearly, f"{money(abs(yearly))} a year {_word(yearly)}"),
    ]
    told = [text for usd, text in sums if abs(usd) >= HALF_A_CENT]
    lines.append(f"B costs {' and '.join(told)} than A." if told else "Both cost the same.")
    if not purchases.changes:
        lines.append("Both have the same equipment and contracts.")
    lines.append(_survival(comparison))
    return lines


def _word(usd: float) -> str:
    return "more" if usd > 0 else "less"


def _survival(comparison: Comparison) -> str:
    parts = []
    for outcome, text in (
        ("lost", "loses {}"),
        ("gained", "gains {}"),
        ("dropped", "is not judged on {} of those of A"),
        ("new", "is judged on {} that A is not"),
    ):
        found = comparison.outcome(outcome)  # type: ignore[arg-type]
        if found:
            parts.append(text.format(_scenarios(len(found))))
    if parts:
        said = parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
        return f"B {said}."
    total = len(comparison.scenarios) - len(comparison.outcome("not judged"))
    failed = len(comparison.outcome("failed"))
    if failed:
        return f"Both survive the same scenarios: {total - failed} of {total}."
    return f"Both survive the same scenarios: all {total}." if total else "No scenario is judged."


def _scenarios(count: int) -> str:
    return f"{count:,} scenario{'' if count == 1 else 's'}"


def _number(figure: ComparedFigure, value: float | None) -> str:
    if value is None:
        return "never" if figure.unit == "minutes" else "none"
    if figure.unit == "USD":
        return millions(value)
    if figure.unit in ("°C", "MW"):
        return f"{value:,.1f}"
    return f"{value:,.0f}"


def _unit(figure: ComparedFigure) -> str:
    units = {"USD": "M USD", "minutes": "min", "°C": "°C", "MW": "MW"}
    return f"{figure.name}, {units[figure.unit]}" if figure.unit in units else figure.name


def figure_rows(figures: Iterable[ComparedFigure]) -> Rows:
    """Figures of both sides and how far they are apart."""
    return [
        (
            _unit(one),
            _number(one, one.before),
            _number(one, one.after),
            "the same" if one.same else _signed(one),
        )
        for one in figures
    ]


def _signed(figure: ComparedFigure) -> str:
    if figure.before is None or figure.after is None:
        return _judged("worse" if figure.after is None else "better", figure)
    step = figure.after - figure.before
    return f"{'+' if step > 0 else '-'}{_number(figure, abs(step))}"


def _judged(word: str, figure: ComparedFigure) -> str:
    return word if figure.better else ""


def purchase_rows(changes: Iterable[DecisionChange]) -> Rows:
    """Decisions that differ: kind, what, how many on each side, and how many more."""
    rows: Rows = []
    for one in changes:
        if one.kind in ("region", "measure"):
            words = ("no", "in use") if one.kind == "region" else ("no", "bought")
            cells = (words[one.before > 0], words[one.after > 0], "")
        else:
            cells = (f"{one.before:,}", f"{one.after:,}", f"{one.more:+,}")
        noun = {"cooling": "cooling units"}.get(one.kind) or NOUNS.get(one.kind, one.kind)
        rows.append((one.asset, noun, *cells))
    return rows


def category_rows(categories: Iterable[CostChange]) -> Rows:
    """Cost by category: capital and cost of a year of both, and what is more, in M USD."""
    names = {
        "servers": "GPUs with servers",
        "power": "power provisioning",
        "recourse": "recourse (expected)",
        "emergency": "emergency retainers",
        "risk": "risk premium",
    }
    return [
        (
            names.get(one.category, one.category),
            _blank(one.capital_before_usd),
            _blank(one.capital_after_usd),
            _more(one.capital_usd),
            _blank(one.before_usd_per_year),
            _blank(one.after_usd_per_year),
            _more(one.usd_per_year),
        )
        for one in categories
    ]


def _blank(usd: float) -> str:
    return millions(usd) if usd else ""


def _more(usd: float) -> str:
    if abs(usd) < HALF_A_CENT:
        return ""
    return f"{'+' if usd > 0 else '-'}{millions(abs(usd))}"


def scenario_rows(changes: Iterable[ScenarioChange]) -> Rows:
    """Scenarios: class, survived by A and B, minutes to recovery, least served of any tier."""
    return [
        (
            one.name,
            one.severity,
            _verdict(one.before),
            _verdict(one.after),
            _minutes(one.before),
            _minutes(one.after),
            _served(one.before),
            _served(one.after),
        )
        for one in changes
    ]


def _verdict(line: ScenarioLine | None) -> str:
    if line is None:
        return "-"
    return {"survives": "yes", "fails": "NO"}.get(line.status, line.status)


def _minutes(line: ScenarioLine | None) -> str:
    if line is None:
        return "-"
    return "never" if line.recovery_minutes is None else f"{line.recovery_minutes:.0f}"


def _served(line: ScenarioLine | None) -> str:
    return "-" if line is None or not line.served else _percent(min(line.served.values()))


def _percent(fraction: float | None) -> str:
    """Percent, rounded down as in what fails: never more than was served."""
    if fraction is None:
        return "-"
    return "100" if fraction >= 1 else f"{math.floor(round(1000 * fraction, 6)) / 10:.1f}"


def tier_rows(tiers: Iterable[TierChange]) -> Rows:
    """Least served of every tier, in percent, and in which scenario."""
    return [
        (
            one.tier,
            _percent(one.before),
            _percent(one.after),
            _points(one),
            # Where all is served everywhere, no scenario is worst.
            one.after_in if one.after is not None and one.after < 1 else "",
        )
        for one in tiers
    ]


def _points(one: TierChange) -> str:
    if one.before is None or one.after is None:
        return ""
    step = 100 * (one.after - one.before)
    return "the same" if abs(step) < 1e-4 else f"{step:+.1f}"


def value_rows(values: Iterable[ValueChange]) -> Rows:
    """Values that differ: path, on each side."""
    return [
        (
            one.path,
            "-" if one.only_in == "b" else _value(one.before),
            "-" if one.only_in == "a" else _value(one.after),
        )
        for one in values
    ]


def _value(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return f"{value:,.10g}"
    if isinstance(value, dict):
        return _record(value)
    text = value if isinstance(value, str) else json_text(value, "line")
    if isinstance(value, list) and len(text) > LONGEST_VALUE:
        return f"{len(value)} values"
    return _short(printable(text), LONGEST_VALUE)


def _record(value: dict[str, Any]) -> str:
    """A rule or event in full, an entry with more to it as the number of its values."""
    told = ", ".join(
        one if isinstance(one, str) else f"{key} {_value(one)}" for key, one in value.items()
    )
    nested = any(isinstance(one, dict | list) for one in value.values())
    if not nested and len(told) <= LONGEST_NAME:
        return printable(told)
    return f"{len(value)} values" if len(value) != 1 else "1 value"


def _short(text: str, most: int = LONGEST_NAME) -> str:
    return text if len(text) <= most else text[: most - 3] + "..."


def effect_rows(effects: Iterable[Effect]) -> Rows:
    """What each group of values costs a year, in M USD, and between what it is proven to lie."""
    rows: Rows = []
    for one in effects:
        if one.usd_per_year is None or one.least is None or one.most is None:
            rows.append((one.title, "", one.problem))
        else:
            known = f"{millions(one.least)} to {millions(one.most)}"
            exact = one.most - one.least < HALF_A_CENT
            rows.append((one.title, _more(one.usd_per_year) or "0", "" if exact else known))
    return rows


def side_line(letter: str, side: ComparedPlan) -> str:
    """What a side is."""
    plan = side.plan
    if side.kind == "model":
        return f"{letter}: {side.label}, what exists"
    made = f", made {plan.created[:10]}" if plan.created else ""
    found = "" if plan.status == "optimal" else ", not proven cheapest"
    rule = ", by rule of thumb" if plan.method == "rule-of-thumb" else found
    return f"{letter}: {side.label}, plan for {plan.model.name}{made}{rule}"


def notes(comparison: Comparison) -> list[str]:
    """What the reader should know about the figures."""
    found = [
        f"{letter}: {side.note}."
        for letter, side in (("A", comparison.a), ("B", comparison.b))
        if side.note
    ]
    kinds = {comparison.a.kind, comparison.b.kind}
    if len(kinds) > 1:
        found.append(
            "What exists is charged upkeep, retainers, energy and transport; a plan also the "
            "expected cost of failures (recourse, risk)."
        )
    if any(one.outcome == "dropped" for one in comparison.lost):
        found.append("Scenarios that A survives and B is not judged on count as lost.")
    return found


# ----------------------------------------------------------------------------------------- terminal


def show_comparison(comparison: Comparison, effects: Effects | None = None) -> None:
    """Print a comparison."""
    console = new_console()
    for letter, side in (("A", comparison.a), ("B", comparison.b)):
        console.print(Text(printable(side_line(letter, side))))
    console.print()
    for line in headline(comparison):
        console.print(Text(line, style="bold"))
    table = new_table("", "figure", "A", "B", "B more")
    _fill(table, figure_rows(comparison.figures))
    show_table(console, "Figures", table)
    if comparison.purchases.changes:
        table = new_table("", "what", "of", "A", "B", "B more", left=2)
        rows = _cut(purchase_rows(comparison.purchases.changes))
        _give_way(console, table, rows)
        _fill(table, rows)
        show_table(console, "Bought more or less", table)
    else:
        _same(console, "Bought", "the same on both sides.")
    _show_cost(console, comparison)
    _show_scenarios(console, comparison)
    table = new_table("", "tier", "A", "B", "B more", "worst in B")
    table.columns[4].justify, table.columns[4].no_wrap = "left", False
    table.columns[4].overflow = "fold"
    _fill(table, tier_rows(comparison.tiers))
    show_table(console, "Least served of each tier in any scenario, %", table)
    _show_values(console, comparison)
    if effects is not None:
        _show_effects(console, effects)
    for note in notes(comparison):
        console.print()
        console.print(Text(printable(note), style="dim italic"))


def _fill(table: Any, rows: Iterable[Sequence[str]]) -> None:
    for row in rows:
        table.add_row(*(escape(printable(cell)) for cell in row))


def _give_way(console: Console, table: Any, rows: Rows) -> None:
    """Let the first column, not the figures, give way where a table is too wide."""
    columns = [str(column.header) for column in table.columns]
    widths = [max(map(len, column)) for column in zip(columns, *rows, strict=True)]
    first = table.columns[0]
    first.no_wrap, first.overflow = False, "fold"
    # Rich puts two signs between columns.
    first.max_width = max(16, console.width - sum(widths[1:]) - 2 * len(widths))


def _cut(rows: Rows) -> Rows:
    """The first lines, and how many more there are."""
    if len(rows) <= MOST_LINES:
        return rows
    more = f"and {len(rows) - MOST_LINES:,} more"
    return [*rows[:MOST_LINES], (more, *[""] * (len(rows[0]) - 1))]


def _same(console: Console, title: str, text: str) -> None:
    console.print()
    console.print(f"[bold]{escape(title)}[/bold]: {escape(text)}")


def _show_cost(console: Console, comparison: Comparison) -> None:
    if not comparison.purchases.cost:
        _same(console, "Cost", "the same in every category.")
        return
    columns = ("category", "capital A", "B", "B more", "a year A", "B", "B more")
    table = new_table("", *columns)
    _fill(table, category_rows(comparison.categories))
    show_table(console, "Cost by category, M USD", table)


def _show_scenarios(console: Console, comparison: Comparison) -> None:
    found = [one for one in comparison.scenarios if one.differs]
    if not found:
        _same(console, "Scenarios", "the same verdicts, recovery and service on both sides.")
        return
    found.sort(key=_interest)
    columns = ("scenario", "class", "ok A", "B", "full A", "B", "least A", "B")
    table = new_table("", *columns, left=2)
    rows = _cut(scenario_rows(found))
    _give_way(console, table, rows)
    _fill(table, rows)
    note = "full: minutes until all is served again; least: served of the worst tier, %."
    show_table(console, f"{_scenarios(len(found)).capitalize()} that differ", table, note)
    reasons = _breaches(comparison.lost)
    if reasons:
        console.print()
        console.print("[bold]Why B loses them[/bold]")
    for name, text in reasons[:MOST_LINES]:
        console.print(Text(printable(f"  {name}: {text}")))
    if len(reasons) > MOST_LINES:
        console.print(f"  and {len(reasons) - MOST_LINES:,} more")


def _interest(one: ScenarioChange) -> int:
    order = ("lost", "gained", "dropped", "new", "failed", "survived", "not judged")
    return order.index(one.outcome)


def _breaches(lost: Iterable[ScenarioChange]) -> list[tuple[str, str]]:
    return [
        (one.name, one.after.first_breach.text)
        for one in lost
        if one.after is not None and one.after.first_breach is not None
    ]


def _show_values(console: Console, comparison: Comparison) -> None:
    for title, values in _value_tables(comparison):
        table = new_table("", "value", "A", "B")
        for column in table.columns[1:]:
            column.justify = "left"
        for column in table.columns:
            column.no_wrap, column.overflow = False, "fold"
        _fill(table, _cut(value_rows(values)))
        show_table(console, title, table)
    if comparison.values == ():
        _same(console, "Models", "the same values on both sides.")


def _value_tables(comparison: Comparison) -> list[tuple[str, list[ValueChange]]]:
    values = comparison.values or ()
    return [
        ("What is asked differs", [one for one in values if one.asked]),
        ("What exists or can be bought differs", [one for one in values if not one.asked]),
        ("How the plans were made", list(comparison.settings)),
    ]


def _show_effects(console: Console, effects: Effects) -> None:
    if effects.problem:
        _same(console, "What each difference costs B", f"not known, {effects.problem}.")
        return
    table = new_table("", "what differs in", "M USD a year", "proven", left=1)
    table.columns[0].overflow = "fold"
    table.columns[2].justify, table.columns[2].no_wrap = "left", False
    table.columns[0].no_wrap = False
    _fill(table, _cut(effect_rows(effects.groups)))
    show_table(console, "What each difference costs B", table, _effects_note(effects))


def _effects_note(effects: Effects) -> str:
    text = "Cheapest plan for B, less that with the values of A in one place."
    if effects.together_usd_per_year is not None:
        text += f" All together {_more(effects.together_usd_per_year) or '0'}."
    if effects.unasked:
        text += f" Not asked: {len(effects.unasked)} more (--solves)."
    return text


# ----------------------------------------------------------------------------------------- Markdown


def comparison_markdown(comparison: Comparison, effects: Effects | None = None) -> str:
    """A comparison for a pull-request comment: short, with the rest in parts that open."""
    mark = ":x:" if comparison.lost else ":white_check_mark:"
    sides = (("A", comparison.a), ("B", comparison.b))
    blocks = [
        f"### {mark} Resilience plan",
        f"**{' '.join(map(_text, headline(comparison)))}**",
        "\n".join(f"- {letter}: {_side(side)}" for letter, side in sides),
        *_lost_and_gained(comparison),
    ]
    if not comparison.same:
        blocks.append(_table(("", "A", "B", "B more"), figure_rows(comparison.figures), 1, ()))
    ends = [f"*{_text(note)}*" for note in notes(comparison)]
    length = sum(map(len, (*blocks, *ends)))
    for block in [*([_effect_details(effects)] if effects else []), *_details(comparison)]:
        length += len(block) + 2
        if length > MOST_MARKDOWN:
            blocks.append("*More differs than fits here; `plan compare --json` has it all.*")
            break
        blocks.append(block)
    return "\n\n".join([*blocks, *ends])


def _lost_and_gained(comparison: Comparison) -> list[str]:
    blocks = []
    for title, some in (("Lost", comparison.lost), ("Gained", comparison.outcome("gained"))):
        lines = [f"- {_code(one.name)}{_why(one)}" for one in some[:MOST_LINES]]
        if len(some) > MOST_LINES:
            lines.append(f"- and {len(some) - MOST_LINES:,} more")
        if lines:
            blocks.append(f"{title}:\n\n" + "\n".join(lines))
    return blocks


def _side(side: ComparedPlan) -> str:
    if side.kind == "model":
        return f"{_code(side.label)}, what exists"
    return f"{_code(side.label)}, plan for {_code(side.plan.model.name)}"


def _why(one: ScenarioChange) -> str:
    if one.after is None:
        return ": not judged any more"
    breach = one.after.first_breach
    return "" if breach is None else f": {_text(breach.text)}"


def _details(comparison: Comparison) -> list[str]:
    found = [one for one in comparison.scenarios if one.differs]
    found.sort(key=_interest)
    purchases = purchase_rows(comparison.purchases.changes)
    cost = category_rows(comparison.categories) if comparison.purchases.cost else []
    of = ("", "of", "A", "B", "B more")
    money = ("", "capital A", "B", "more", "a year A", "B", "more")
    scenario = ("", "class", "ok A", "B", "full after A, min", "B", "least served A, %", "B")
    tier = ("", "A", "B", "B more", "worst in B")
    parts: list[tuple[str, str, Sequence[object], str]] = [
        ("Bought", "Bought more or less", purchases, _table(of, purchases, 2)),
        ("Cost", "Cost by category, M USD", cost, _table(money, cost, 1, ())),
        (
            "Scenarios",
            "Scenarios that differ",
            found,
            _table(scenario, scenario_rows(found), 2),
        ),
        (
            "Least served",
            "Least served of each tier, %",
            [one for one in comparison.tiers if one.before != one.after],
            _table(tier, tier_rows(comparison.tiers), 1, (0, 4)),
        ),
    ]
    same = [short for short, _, some, _ in parts if not some]
    blocks = [_folded(title, len(some), table) for _, title, some, table in parts if some]
    for title, values in _value_tables(comparison):
        if values:
            table = _table(("", "A", "B"), value_rows(values), 3, (0, 1, 2))
            blocks.append(_folded(title, len(values), table))
    if comparison.values == ():
        same.append("Models")
    return [*blocks, f"The same: {', '.join(same).lower()}."] if same else blocks


def _effect_details(effects: Effects) -> str:
    columns = ("what differs in", "M USD a year", "proven")
    table = _table(columns, effect_rows(effects.groups), 1)
    title = "What each difference costs B"
    if effects.problem:
        return f"{title}: not known, {_text(effects.problem)}."
    return _folded(title, len(effects.groups), f"{table}\n\n{_text(_effects_note(effects))}")


def _folded(title: str, count: int, body: str) -> str:
    # The empty line lets GitHub read what follows as Markdown.
    return f"<details><summary>{html.escape(title)} ({count:,})</summary>\n\n{body}\n\n</details>"


def _table(columns: Sequence[str], rows: Rows, left: int, code: Sequence[int] = (0,)) -> str:
    """A table of Markdown, some columns as code; the first ones are texts, the others numbers."""
    marks = [":--" if number < left else "--:" for number in range(len(columns))]
    lines = [f"| {' | '.join(columns)} |", f"| {' | '.join(marks)} |"]
    for row in rows[:MOST_ROWS]:
        # A bar ends a cell even within code.
        cells = [
            _code(cell).replace("|", "\\|") if at in code else _text(cell)
            for at, cell in enumerate(row)
        ]
        lines.append(f"| {' | '.join(cells)} |")
    if len(rows) > MOST_ROWS:
        lines.append(f"| and {len(rows) - MOST_ROWS:,} more |{' |' * (len(columns) - 1)}")
    return "\n".join(lines)


def _code(name: str) -> str:
    """A name as code, in which GitHub finds no people, issues, links or HTML."""
    text = _short(printable(name)).replace("`", "'")
    return f"`{text}`" if text.strip() else ""


def _text(text: str) -> str:
    """A sentence or value with everything escaped that Markdown or HTML would take for its own."""
    shown = html.escape(printable(text), quote=False)
    shown = re.sub(r"([\\`*_\[\]|~])", r"\\\1", shown)
    # No mention, no reference to an issue, no link: a word joiner is not seen.
    return re.sub(r"([@#]|://|www\.)", "\\1\u2060", shown)


# --------------------------------------------------------------------------------------------- JSON


def comparison_data(comparison: Comparison, effects: Effects | None = None) -> dict[str, Any]:
    """A comparison as JSON data; recovery None means never."""
    purchases = comparison.purchases
    return {
        "a": _side_data(comparison.a),
        "b": _side_data(comparison.b),
        "same": comparison.same,
        "summary": headline(comparison),
        "bought": {
            name: [asdict(one) | {"more": one.more} for one in getattr(purchases, name)]
            for name in ("regions", "gpus", "cooling", "emergency", "measures")
        },
        "cost": {
            "capital_usd": round(purchases.capital_usd, 2),
            "usd_per_year": round(purchases.usd_per_year, 2),
            "categories": [_cost_data(one) for one in comparison.categories],
            "items": [_cost_data(one) for one in purchases.cost],
        },
        "figures": [asdict(one) | {"same": one.same} for one in comparison.figures],
        "scenarios": {
            "lost": [one.name for one in comparison.lost],
            **{
                outcome: [one.name for one in comparison.outcome(outcome)]
                for outcome in ("gained", "dropped", "new")
            },
            "later": [one.name for one in comparison.scenarios if one.later > 0],
            "earlier": [one.name for one in comparison.scenarios if one.later < 0],
            "differing": [_scenario_data(one) for one in comparison.scenarios if one.differs],
        },
        "least_served": [asdict(one) for one in comparison.tiers],
        "values": None if comparison.values is None else list(map(_value_data, comparison.values)),
        "settings": list(map(_value_data, comparison.settings)),
        "effects": None if effects is None else asdict(effects),
        "notes": notes(comparison),
    }


def _side_data(side: ComparedPlan) -> dict[str, Any]:
    model = side.plan.model
    return {
        "label": side.label,
        "kind": side.kind,
        "model": {"name": model.name, "sha256": model.sha256, "overrides": list(model.overrides)},
        "capital_usd": side.plan.cost.capital_usd,
        "usd_per_year": side.plan.cost.usd_per_year,
        "scenarios": len(side.plan.scenarios),
        "survived": sum(one.survives for one in side.plan.scenarios),
        **counts(side.plan.scenarios),
        "note": side.note,
    }


def _cost_data(one: CostChange) -> dict[str, Any]:
    data = {
        key: round(value, 2) if isinstance(value, float) else value
        for key, value in asdict(one).items()
    }
    data |= {"capital_usd": round(one.capital_usd, 2), "usd_per_year": round(one.usd_per_year, 2)}
    return data if one.asset else {key: value for key, value in data.items() if key != "asset"}


def _scenario_data(one: ScenarioChange) -> dict[str, Any]:
    def line(side: ScenarioLine | None) -> dict[str, Any] | None:
        return None if side is None else side.model_dump(mode="json")

    return {
        "name": one.name,
        "severity": one.severity,
        "outcome": one.outcome,
        "a": line(one.before),
        "b": line(one.after),
    }


def _value_data(one: ValueChange) -> dict[str, Any]:
    return {"path": one.path, "a": one.before, "b": one.after, "only_in": one.only_in or None}


__all__ = [
    "comparison_data",
    "comparison_markdown",
    "headline",
    "show_comparison",
]
