"""Tables and sentences for the terminal, readable at 80 columns; JSON for machines."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD, Box
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from planner.amounts import NOTHING, millions, money, requests
from planner.infrastructure.entities import Model
from planner.infrastructure.fleet import Fleet
from planner.infrastructure.loading import LoadedModel
from planner.json_text import json_text
from planner.laws.traffic import IMPACTS
from planner.plan.assembly import scenario_line
from planner.plan.records import (
    CoolingLine,
    Cost,
    Plan,
    ScenarioLine,
    WaivedRecord,
    counts,
    not_counted,
    survived,
)
from planner.reporting.characters import Trimmed, fit_streams, shows_all
from planner.scenarios.generators import all_scenarios
from planner.scenarios.standard import emergency_budget_usd
from planner.simulation.verdict import Verdict
from planner.verification import LoopResult

#: Changes of the model longer than this are named without their value.
LONGEST_OVERRIDE = 60


#: Lines below headings alone, in ASCII too, where Rich would take a box with a full grid.
RULED = Box(str(SIMPLE_HEAD), ascii=True)
#: Most scenarios listed one by one; of more, those that survive are counted.
MOST_LINES = 100
#: Most requirements left to the simulation that are listed.
MOST_WAIVED = 12
#: Characters of the table of scenarios beside their names.
OTHER_COLUMNS = 40
#: Part of the cost of a plan from which on what the programme does not state is told.
SHOWN_ROUTING = 1e-5


def new_console() -> Console:
    """A console as wide as the terminal, or 80 columns where there is none.

    Where the encoding lacks a sign it shows the nearest one; spaces at the ends of lines are left
    out.
    """
    fit_streams()
    width = None if sys.stdout.isatty() else shutil.get_terminal_size((80, 24)).columns
    stream: Any = Trimmed(sys.stdout)
    return Console(file=stream, width=width, highlight=False, soft_wrap=False, emoji=False)


def print_json(data: Any) -> None:
    """Print data as JSON on standard output, in ASCII where it takes no other signs."""
    print(json_text(data, ascii_only=not shows_all(sys.stdout)))  # noqa: T201


def new_table(title: str, *columns: str, left: int = 1) -> Table:
    """A table whose first columns are text, the others numbers."""
    table = Table(
        title=title,
        box=RULED,
        title_justify="left",
        title_style="bold",
        pad_edge=False,
        padding=(0, 1, 0, 0),
        show_edge=False,
    )
    for index, column in enumerate(columns):
        justify: Any = "left" if index < left else "right"
        table.add_column(column, justify=justify, no_wrap=True)
    return table


def show_table(console: Console, title: str, table: Table, note: str = "") -> None:
    """Print a table with its title and a note, which may be wider than it; nothing if empty."""
    if not table.row_count:
        return
    table.title = None
    console.print()
    console.print(f"[bold]{escape(title)}[/bold]")
    console.print(table)
    if note:
        console.print(Text(note, style="dim italic"))


# ------------------------------------------------------------------------------------------- plans


def show_plan(plan: Plan, model: Model, outcome: LoopResult, as_json: bool) -> None:
    """Print a plan: purchases, survivability, cost, proof."""
    if as_json:
        print_json(plan)
        return
    console = new_console()
    console.print(f"[bold]Plan for {escape(plan.model.name)}[/bold]", _override_note(plan))
    for table in (_cooling_table(plan.cooling), _gpu_table(plan), _emergency_table(plan)):
        console.print()
        console.print(table)
    if plan.measures:
        console.print()
        console.print(_measure_table(plan))
    console.print()
    console.print(_cost_table(plan, model))
    console.print()
    _show_scenarios(console, plan.scenarios)
    console.print()
    _show_proof(console, plan, outcome)


def _override_note(plan: Plan) -> str:
    shown = [
        one if len(one) <= LONGEST_OVERRIDE else f"{one.partition('=')[0]}=…"
        for one in plan.model.overrides
    ]
    return f"with {escape(', '.join(shown))}" if shown else ""


def _cooling_table(lines: Iterable[CoolingLine]) -> Table:
    table = new_table("Cooling", "plant", "unit", "has", "buy", "MW", "N+k", "firm", "heat", left=2)
    last = ""
    for line in lines:
        if not line.total and not line.retired:
            continue
        first, last = line.plant != last, line.plant
        table.add_row(
            escape(line.plant) if first else "",
            escape(line.unit),
            f"{line.existing}" if line.existing else "",
            _bought(line.added, line.retired),
            f"{line.derated_mw_each:.2f}",
            f"N+{line.redundancy}" if first else "",
            f"{line.firm_mw:.1f}" if first else "",
            f"{line.design_heat_mw:.1f}" if first else "",
        )
    table.caption = (
        "MW of one unit and firm MW with the k largest lost, at design ambient; heat in MW."
    )
    table.caption_justify = "left"
    return table


def _gpu_table(plan: Plan) -> Table:
    table = new_table("GPUs", "cluster", "region", "has", "buy", "total", left=2)
    for line in plan.gpus:
        if line.total or line.retired:
            table.add_row(
                escape(line.cluster),
                escape(line.region),
                f"{line.existing:,}",
                _bought(line.added, line.retired),
                f"{line.total:,}",
            )
    table.add_section()
    total, has = sum(line.total for line in plan.gpus), sum(line.existing for line in plan.gpus)
    change = _bought(max(0, total - has), max(0, has - total))
    table.add_row("all", "", f"{has:,}", change, f"{total:,}")
    return table


def _bought(added: int, retired: int) -> str:
    if retired:
        return f"-{retired:,}"
    return f"+{added:,}" if added else ""


def _emergency_table(plan: Plan) -> Table:
    table = new_table("Emergency cloud", "offer", "instances", "GPUs", "after", "USD/GPU-hour")
    for line in plan.emergency:
        if line.instances_reserved:
            table.add_row(
                escape(line.offer),
                f"{line.instances_reserved:,}",
                f"{line.gpus_reserved:,}",
                f"{line.lead_time_minutes:.0f} min",
                f"{line.usd_per_gpu_hour:.2f}" if line.usd_per_gpu_hour else "none",
            )
    if not table.row_count:
        table.add_row("none reserved", "", "", "", "")
    return table


def _measure_table(plan: Plan) -> Table:
    table = new_table("Measures", "measure", "buy", "capital M USD", "M USD a year", left=2)
    for line in plan.measures:
        table.add_row(
            escape(line.measure),
            "[bold]yes[/]" if line.bought else "no",
            millions(line.capital_usd),
            millions(line.usd_per_year),
        )
    return table


def _cost_table(plan: Plan, model: Model) -> Table:
    """Capital of purchases; cost of a year today, with the plan, and what that is more."""
    cost, known = plan.cost, plan.cost.existing_usd_per_year is not None
    table = new_table("Cost, M USD", "category", "capital", "a year today", "with plan", "more")
    totals: dict[str, list[float]] = {}
    for column, lines in ((2, cost.items), (1, cost.existing)):
        for item in lines:
            sums = totals.setdefault(item.category, [0.0] * 3)
            sums[0] += item.capital_usd
            sums[column] += item.usd_per_year
    names = {
        "servers": "GPUs with servers",
        "power": "power provisioning",
        "recourse": "recourse (expected)",
        "emergency": "emergency retainers",
        "risk": "risk premium",
    }
    for category, (capital, was, now) in totals.items():
        cells = (capital, was, now, now - was) if known else (capital, 0.0, now, 0.0)
        table.add_row(names.get(category, category), *_cost_cells(*cells))
    table.add_section()
    was = cost.existing_usd_per_year or 0.0
    more = cost.usd_per_year - was if known else 0.0
    table.add_row("all", *_cost_cells(cost.capital_usd, was, cost.usd_per_year, more))
    budget = money(model.finance.emergency_budget_usd)
    others = "" if _one_budget(model) else " that has none of its own"
    table.caption = f"{_today(cost)}Emergency budget {budget} for one incident{others}."
    table.caption_justify = "left"
    return table


def _cost_cells(capital: float, was: float, now: float, more: float) -> tuple[str, ...]:
    shown = (millions(usd, 1) if usd else "" for usd in (capital, was, now))
    return (*shown, millions(more, 1, sign="+") if abs(more) >= NOTHING else "")


def _today(cost: Cost) -> str:
    """What the cost of today is made of, and whether it is that of serving all demand."""
    if cost.existing_usd_per_year is None:
        return ""
    left = cost.existing_unserved_share
    short = f" It has no room for {_least_percent(left)} of a week's demand." if left else ""
    return (
        "Today: upkeep, retainers, energy and transport of what exists, without what failures "
        f"cost it.{short} "
    )


def _least_percent(share: float) -> str:
    """A share in percent that is not shown as none."""
    return f"{100 * share:.2g} %" if share < 0.1 else f"{100 * share:.0f} %"


def _one_budget(model: Model) -> bool:
    """Whether the general emergency budget holds for every scenario."""
    general = model.finance.emergency_budget_usd
    return all(emergency_budget_usd(model, one) == general for one in all_scenarios(model))


def show_no_thumb_plan(lacks: Sequence[str], as_json: bool) -> None:
    """Print why the rule of thumb leads to no plan."""
    if as_json:
        print_json({"status": "infeasible", "method": "rule-of-thumb", "lacks": list(lacks)})
        return
    console = new_console()
    console.print("[bold red]The rule of thumb leads to no plan.[/]")
    for line in lacks:
        console.print(f"  {escape(line)}")


def _show_risk(console: Console, plan: Plan) -> None:
    risk = plan.risk
    if risk is None or risk.kind == "expected" or not risk.once_usd:
        return
    worst = max(risk.once_usd, key=lambda name: risk.once_usd[name])
    share = f"{100 * (1 - risk.alpha):.3g} %"
    console.print(
        f"Failures cost {money(risk.expected_usd_per_year)} in an average year, "
        f"{money(risk.cvar_usd_per_year)} in the costliest {share} of years "
        f"(CVaR {risk.alpha:g}); {escape(worst)} alone {money(risk.once_usd[worst])}. "
        f"The objective weighs {'CVaR' if risk.kind == 'cvar' else 'the worst'} with {risk.beta:g}."
    )


def _show_proof(console: Console, plan: Plan, outcome: LoopResult) -> None:
    rounds = plan.verification.rounds
    _show_risk(console, plan)
    proof = f"[bold]Cheapest to {plan.gap:.3%}[/bold] of all that the programme allows"
    if plan.status == "feasible":
        proof = (
            f"[bold]Best plan found so far[/bold]; the programme allows none {plan.gap:.3%} cheaper"
        )
    if plan.method == "rule-of-thumb":
        cost = money(plan.objective_usd_per_year)
        console.print(f"[bold]By rule of thumb[/bold], no proof: {cost} a year.")
        for repair in plan.repairs:
            console.print(f"  {escape(repair)}.")
    else:
        console.print(
            f"{proof} ({money(plan.objective_usd_per_year)} a year, "
            f"{escape(plan.solver.name)}, {plan.solver.seconds:.1f} s), "
            "audited against every constraint."
        )
    routing = plan.cost.routing_usd_per_year
    if abs(routing) > SHOWN_ROUTING * abs(plan.objective_usd_per_year):
        console.print(
            f"{money(routing)} a year of that is what routing costs in normal operation beyond "
            "what the programme states of it; the gap includes it."
        )
    colour = "green" if plan.verification.survives else "red"
    after = f" after {len(rounds)} round{'s' if len(rounds) > 1 else ''}"
    after = "" if plan.method == "rule-of-thumb" else after
    tried = f" in simulation{after}, each from one start hour" if plan.scenarios else ""
    console.print(f"[bold {colour}]{survived(plan.scenarios)}[/]{tried}.")
    for line in not_counted(plan.scenarios):
        console.print(f"{line}.")
    _show_waived(console, rounds[-1].waived if rounds else ())
    if len(rounds) > 1:
        missed = ", ".join(rounds[0].failed)
        extra = rounds[-1].objective_usd_per_year - rounds[0].objective_usd_per_year
        console.print(
            f"The programme alone would have missed {escape(missed)}; "
            f"the margins cost {money(extra)} a year. A cheaper plan, with smaller margins, may "
            "survive too."
        )
    if outcome.diagnosis is not None:
        console.print("[bold red]No plan meets the margins that the simulation asks for:[/]")
        for line in outcome.diagnosis.lines():
            console.print(f"  {escape(line)}")
    if outcome.stopped:
        who = "You" if outcome.interrupted else "The time limit"
        console.print(f"[bold]{who} ended the search[/bold] in round {len(rounds)}.")


def _show_waived(console: Console, waived: Sequence[WaivedRecord]) -> None:
    """What is stricter than the standard and left no plan, so that the simulation alone judged."""
    if not waived:
        return
    console.print(
        "[bold]Left to the simulation[/bold], as no plan keeps it and the standard does not ask it:"
    )
    for one in waived[:MOST_WAIVED]:
        console.print(f"  {escape(one.text)}")
    if len(waived) > MOST_WAIVED:
        console.print(f"  and {len(waived) - MOST_WAIVED} more (see plan.json)")


# --------------------------------------------------------------------------------------- scenarios


#: Marks of what came of a scenario.
MARKS = {
    "survives": "[green]yes[/]",
    "fails": "[bold red]NO[/]",
    "not judged": "[yellow]not judged[/]",
    "not applicable": "n/a",
}


def _show_scenarios(console: Console, lines: Sequence[ScenarioLine]) -> None:
    table = new_table("Scenarios", "scenario", "class", "ok", "full after", "°C", "M USD", left=2)
    table.columns[0].no_wrap, table.columns[0].overflow = False, "fold"
    many = len(lines) > MOST_LINES
    for line in sorted(lines, key=lambda line: not line.fails):
        if many and not line.fails:
            continue
        mark = MARKS[line.status]
        table.add_row(
            escape(_broken(line.name, console.width - OTHER_COLUMNS)),
            line.severity,
            mark,
            _minutes(line.recovery_minutes),
            f"{line.peak_temperature_c:.0f}",
            millions(line.emergency_usd) if line.emergency_usd else "",
        )
    table.caption = (
        "full after: all demand served again; °C: hottest cluster; M USD: emergency spend."
    )
    table.caption_justify = "left"
    if table.row_count:
        console.print(table)
    failing = [line for line in lines if line.first_breach is not None]
    if many:
        console.print(f"{len(lines) - len(failing):,} scenarios that do not fail are not shown.")
    if failing:
        console.print()
        console.print("[bold]What breaks first[/bold]")
    for line in failing[:MOST_LINES]:
        if line.first_breach is not None:
            console.print(f"  {escape(line.name)}: {escape(line.first_breach.text)}")
    if len(failing) > MOST_LINES:
        console.print(f"  and {len(failing) - MOST_LINES:,} more")


def _broken(name: str, width: int) -> str:
    """A name that is too long for a line, broken between the failures that it joins."""
    return name if len(name) <= width else name.replace("-and-", "-and-\n")


def _minutes(minutes: float | None) -> str:
    return "never" if minutes is None else f"{minutes:.0f} min"


def show_simulation(
    loaded: LoadedModel,
    fleet: Fleet,
    verdicts: tuple[Verdict, ...],
    told: tuple[str, ...],
    as_json: bool,
    notes: tuple[str, ...] = (),
) -> None:
    """Print verdicts, and the stories of some scenarios.

    Parameters
    ----------
    notes
        What is to be known about the plan and its model, for machines; people were told.
    """
    lines = [scenario_line(verdict) for verdict in verdicts]
    survives = not any(line.fails for line in lines)
    if as_json:
        print_json(
            {
                "model": {"name": loaded.name, "sha256": loaded.sha256},
                "notes": notes,
                "gpus": fleet.gpus,
                "survives": survives,
                **counts(lines),
                "scenarios": [
                    line.model_dump(mode="json") | _verdict_data(verdict)
                    for line, verdict in zip(lines, verdicts, strict=True)
                ],
            }
        )
        return
    console = new_console()
    _show_scenarios(console, lines)
    for verdict in verdicts:
        if verdict.name in told:
            _show_story(console, verdict)
    colour = "green" if survives else "red"
    console.print()
    console.print(f"[bold {colour}]{survived(lines)}.[/]")
    for line in not_counted(lines):
        console.print(f"{line}.")


def _verdict_data(verdict: Verdict) -> dict[str, Any]:
    """What a verdict says beyond the line of a plan."""
    return {
        "impact": verdict.impact,
        "retry_ratio": round(verdict.retry_ratio, 4),
        "peak_queue_requests": round(verdict.peak_queue_requests, 1),
        "alerts": verdict.alerts,
        "story": verdict.story,
    }


def _show_story(console: Console, verdict: Verdict) -> None:
    console.print()
    console.print(f"[bold]The story of {escape(verdict.name)}[/bold]")
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 1))
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(overflow="fold")
    for line in verdict.story:
        table.add_row(f"  {line.clock}", f"+{line.minute:.0f} min", escape(line.text))
    console.print(table)
    retries = f"{verdict.retry_ratio:.1f} requests for each new one at most, "
    console.print(
        f"  {requests(verdict.lost_requests)} lost, "
        f"at most {verdict.peak_queue_requests:,.0f} waiting, "
        f"{retries if verdict.retry_ratio > 1.05 else ''}peak {verdict.peak_temperature_c:.0f} °C."
    )
    worst: dict[str, list[str]] = {}
    for tier, impact in verdict.impact.items():
        worst.setdefault(impact, []).append(tier)
    for impact in (one for one in IMPACTS if one in worst):
        console.print(f"  {impact}: {escape(', '.join(worst[impact]))}")
