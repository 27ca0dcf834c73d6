"""Two plans or models side by side on the terminal: sentences and tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from rich.console import Console

from planner.amounts import NOTHING, counted, listed, millions, minutes, money, number, served
from planner.analysis.comparison import (
    ComparedFigure,
    ComparedPlan,
    Comparison,
    ScenarioChange,
    TierChange,
)
from planner.analysis.effects import Effect, Effects
from planner.infrastructure.model_difference import ValueChange
from planner.infrastructure.source import printable
from planner.json_text import json_text
from planner.plan.difference import NOUNS, CostChange, DecisionChange
from planner.plan.records import ScenarioLine
from planner.reporting.plans import CATEGORIES
from planner.reporting.scenarios import MARKS
from planner.reporting.tables import Cell, Row, Table, figures, texts
from planner.reporting.terminal import bullets, heading, new_console, say

#: Most rows of one table in the terminal; JSON has them all.
MOST_ROWS = 20
#: Most characters of a value, and of a rule that is told in full.
LONGEST_VALUE, LONGEST_RULE = 24, 60
#: Change of a service level, in points, below which it is the same.
SAME_POINTS = 1e-4
#: Outcomes of scenarios in the order in which they are told.
INTEREST = ("lost", "gained", "dropped", "new", "failed", "survived", "not judged")


def headline(comparison: Comparison) -> list[str]:
    """What there is to say in a few sentences."""
    purchases = comparison.purchases
    if comparison.same:
        return ["Both buy, cost and survive the same."]
    sums = [
        (purchases.capital_usd, "{} {} capital"),
        (purchases.usd_per_year, "{} a year {}"),
    ]
    told = [
        text.format(money(abs(usd)), "more" if usd > 0 else "less")
        for usd, text in sums
        if abs(usd) >= NOTHING
    ]
    lines = [f"B costs {' and '.join(told)} than A." if told else "Both cost the same."]
    if not purchases.changes:
        lines.append("Both have the same equipment and contracts.")
    return [*lines, _survival(comparison)]


def _survival(comparison: Comparison) -> str:
    parts = [
        text.format(counted(len(found), "scenario"))
        for outcome, text in (
            ("lost", "loses {}"),
            ("gained", "gains {}"),
            ("dropped", "is not judged on {} of those of A"),
            ("new", "is judged on {} that A is not"),
        )
        if (found := comparison.outcome(outcome))  # type: ignore[arg-type]
    ]
    if parts:
        return f"B {listed(parts, len(parts))}."
    total = len(comparison.scenarios) - len(comparison.outcome("not judged"))
    failed = len(comparison.outcome("failed"))
    if failed:
        return f"Both survive the same scenarios: {total - failed} of {total}."
    return f"Both survive the same scenarios: all {total}." if total else "No scenario is judged."


def side_line(letter: str, side: ComparedPlan) -> str:
    """What a side is."""
    plan = side.plan
    if side.kind == "model":
        return f"{letter}: {side.label}, what exists"
    made = f", made {plan.created[:10]}" if plan.created else ""
    found = "" if plan.status == "optimal" else ", gap not closed"
    rule = ", by rule of thumb" if plan.method == "rule-of-thumb" else found
    return f"{letter}: {side.label}, plan for {plan.model.name}{made}{rule}"


def notes(comparison: Comparison) -> list[str]:
    """What the reader should know about the figures."""
    found = [
        f"{letter}: {side.note}."
        for letter, side in (("A", comparison.a), ("B", comparison.b))
        if side.note
    ]
    if comparison.a.kind != comparison.b.kind:
        found.append(
            "What exists is charged upkeep, retainers, energy and transport; a plan also the "
            "expected cost of failures and the risk premium."
        )
    if any(change.outcome == "dropped" for change in comparison.lost):
        found.append("Scenarios that A survives and B is not judged on count as lost.")
    return found


def figure_table(compared: Iterable[ComparedFigure]) -> Table:
    """Figures of both sides and how far they are apart."""
    units = {"USD": "M USD", "minutes": "min", "°C": "°C", "MW": "MW"}
    rows = [
        (
            f"{figure.name}, {units[figure.unit]}" if figure.unit in units else figure.name,
            _figure(figure, figure.before),
            _figure(figure, figure.after),
            "the same" if figure.same else _step(figure),
        )
        for figure in compared
    ]
    return Table("Figures", texts("figure") + figures("A", "B", "B more"), rows)


def _figure(figure: ComparedFigure, value: float | None) -> str:
    if value is None:
        return "never" if figure.unit == "minutes" else "none"
    if figure.unit == "USD":
        return millions(value)
    return f"{value:,.{1 if figure.unit in ('°C', 'MW') else 0}f}"


def _step(figure: ComparedFigure) -> str:
    if figure.before is None or figure.after is None:
        worse = figure.after is None
        return ("worse" if worse else "better") if figure.better else ""
    step = figure.after - figure.before
    return f"{'+' if step > 0 else '-'}{_figure(figure, abs(step))}"


def purchase_table(changes: Iterable[DecisionChange]) -> Table:
    """Decisions that differ: what, its kind, how many on each side, and how many more."""
    rows: list[Row] = []
    for change in changes:
        cells: tuple[Cell, ...] = (change.before, change.after, f"{change.more:+,}")
        if change.kind in ("region", "measure"):
            words = ("no", "in use") if change.kind == "region" else ("no", "bought")
            cells = (words[change.before > 0], words[change.after > 0], "")
        noun = {"cooling": "cooling units"}.get(change.kind) or NOUNS.get(change.kind, change.kind)
        rows.append((change.asset, noun, *cells))
    columns = texts("what", code=True) + texts("of", folds=False) + figures("A", "B", "B more")
    return Table("Bought more or less", columns, rows)


def cost_table(categories: Iterable[CostChange]) -> Table:
    """Cost by category: capital and cost of a year on both sides, and what is more."""
    rows = [
        (
            CATEGORIES.get(change.category, change.category),
            change.capital_before_usd or None,
            change.capital_after_usd or None,
            _more(change.capital_usd),
            change.before_usd_per_year or None,
            change.after_usd_per_year or None,
            _more(change.usd_per_year),
        )
        for change in categories
    ]
    heads = ("capital A", "B", "B more", "a year A", "B", "B more")
    columns = texts("category") + figures(*heads, show=millions)
    return Table("Cost by category, M USD", columns, rows)


def _more(usd: float) -> str:
    return "" if abs(usd) < NOTHING else millions(usd, sign="+")


def scenario_table(comparison: Comparison) -> Table:
    """Scenarios that differ in a figure shown, the lost ones first."""
    found = [change for change in comparison.scenarios if change.differs]
    found.sort(key=lambda change: INTEREST.index(change.outcome))
    rows = [
        (
            change.name,
            change.severity,
            *_sides(change, lambda line: MARKS[line.status]),
            *_sides(change, lambda line: minutes(line.recovery_minutes).removesuffix(" min")),
            *_sides(change, lambda line: served(min(line.served.values())) if line.served else "-"),
        )
        for change in found
    ]
    # Others differ in temperature or emergency spend only.
    rows = [row for row in rows if row[2::2] != row[3::2]]
    columns = texts("scenario", code=True) + texts("class", folds=False)
    columns += figures("ok A", "B", "full A", "B", "least A", "B")
    note = (
        "full: minutes (or hours, h) until all is served again; least: service level of the "
        "worst tier."
    )
    title = f"{counted(len(rows), 'scenario').capitalize()} that differ"
    return Table(title, columns, rows, note)


def _sides(change: ScenarioChange, cell: Callable[[ScenarioLine], Cell]) -> tuple[Cell, Cell]:
    before, after = change.before, change.after
    return "-" if before is None else cell(before), "-" if after is None else cell(after)


def tier_table(tiers: Iterable[TierChange]) -> Table:
    """Lowest service level of every tier, and in which scenario of B."""
    rows = [
        (
            change.tier,
            "-" if change.before is None else served(change.before),
            "-" if change.after is None else served(change.after),
            _points(change),
            # Where all is served everywhere, no scenario is worst.
            change.after_in if change.after is not None and change.after < 1 else "",
        )
        for change in tiers
    ]
    columns = texts("tier", code=True) + figures("A", "B", "B more")
    columns += texts("worst in B", code=True)
    note = "B more: in points; measured while the SLO applies."
    return Table("Lowest service level of each tier in any scenario", columns, rows, note)


def _points(change: TierChange) -> str:
    if change.before is None or change.after is None:
        return ""
    step = 100 * (change.after - change.before)
    return "the same" if abs(step) < SAME_POINTS else f"{step:+.1f}"


def value_tables(comparison: Comparison) -> list[Table]:
    """Values that differ: requirements, assets, and how the plans were made."""
    values = comparison.values or ()
    columns = texts("value", "A", "B", code=True)
    return [
        Table(title, columns, [_value_row(change) for change in changes])
        for title, changes in (
            ("Requirements that differ", [change for change in values if change.asked]),
            ("Assets and offers that differ", [change for change in values if not change.asked]),
            ("Settings of the plans that differ", comparison.settings),
        )
    ]


def _value_row(change: ValueChange) -> Row:
    return (
        change.path,
        "-" if change.only_in == "b" else _value(change.before),
        "-" if change.only_in == "a" else _value(change.after),
    )


def _value(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return number(value, 10)
    if isinstance(value, dict):
        return _record(value)
    text = value if isinstance(value, str) else json_text(value, "line")
    if isinstance(value, list) and len(text) > LONGEST_VALUE:
        return counted(len(value), "value")
    text = printable(text)
    return text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - 3] + "..."


def _record(value: dict[str, Any]) -> str:
    """A rule or event in full, an entry with more to it as the number of its values."""
    told = ", ".join(
        part if isinstance(part, str) else f"{key} {_value(part)}" for key, part in value.items()
    )
    nested = any(isinstance(part, dict | list) for part in value.values())
    if not nested and len(told) <= LONGEST_RULE:
        return printable(told)
    return counted(len(value), "value")


def effect_table(effects: Effects) -> Table:
    """What each group of values costs a year, and between what bounds that is proven."""
    note = "Cheapest plan for B, less that with the values of A in one place."
    if effects.together_usd_per_year is not None:
        note += f" All together {_more(effects.together_usd_per_year) or '0'}."
    if effects.unasked:
        note += f" Not evaluated: {len(effects.unasked)} more (raise --solves)."
    columns = texts("what differs in", code=True) + figures("M USD a year") + texts("proven")
    rows = [_effect_row(effect) for effect in effects.groups]
    return Table("What each difference costs B", columns, rows, note)


def _effect_row(effect: Effect) -> Row:
    if effect.usd_per_year is None or effect.least is None or effect.most is None:
        return (effect.title, "", effect.problem)
    least, most = millions(effect.least), millions(effect.most)
    known = "" if least == most else f"{least} to {most}"
    return (effect.title, _more(effect.usd_per_year) or "0", known)


def show_comparison(comparison: Comparison, effects: Effects | None = None) -> None:
    """Print a comparison."""
    console = new_console()
    for letter, side in (("A", comparison.a), ("B", comparison.b)):
        say(console, side_line(letter, side))
    console.print()
    for line in headline(comparison):
        say(console, line, style="bold")
    figure_table(comparison.figures).print(console)
    purchases = purchase_table(comparison.purchases.changes)
    _show(console, purchases, "Bought: the same on both sides.")
    categories = comparison.categories if comparison.purchases.cost else ()
    _show(console, cost_table(categories), "Cost: the same in every category.")
    scenarios = scenario_table(comparison)
    _show(console, scenarios, "Scenarios: the same verdicts, recovery and service on both sides.")
    _show_breaches(console, comparison.lost)
    tier_table(comparison.tiers).print(console)
    for table in value_tables(comparison):
        table.first(MOST_ROWS).print(console)
    if comparison.values == ():
        heading(console, "Models: the same values on both sides.", "")
    if effects is not None:
        known = f"What each difference costs B: not known, {effects.problem}."
        _show(console, effect_table(effects), known)
    for note in notes(comparison):
        console.print()
        say(console, note, style="dim italic")


def _show(console: Console, table: Table, nothing: str) -> None:
    """Print a table, or a sentence where it has no rows."""
    if table.rows:
        table.first(MOST_ROWS).print(console)
    else:
        console.print()
        say(console, nothing)


def _show_breaches(console: Console, lost: Sequence[ScenarioChange]) -> None:
    reasons = [
        f"{change.name}: {change.after.first_breach.text}"
        for change in lost
        if change.after is not None and change.after.first_breach is not None
    ]
    if reasons:
        heading(console, "Why B loses them")
        bullets(console, reasons, MOST_ROWS)
