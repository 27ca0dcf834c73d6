"""What `plan optimize` prints: purchases, cost, survivability, proof."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.markup import escape

from planner.amounts import counted, millions, money, number, percent
from planner.infrastructure.entities import Model
from planner.laws.calendar import day_of
from planner.plan.records import CoolingLine, Cost, Plan, not_counted, survived
from planner.reporting.scenarios import show_scenarios
from planner.reporting.tables import Row, Table, Toned, figures, texts
from planner.reporting.terminal import bullets, heading, new_console, print_json, say
from planner.rounds import LoopResult
from planner.scenarios.generators import all_scenarios
from planner.scenarios.hours import failure_and_hour, hours_folded
from planner.scenarios.standard import emergency_budget_usd

#: Changes of the model longer than this are named without their value.
LONGEST_OVERRIDE = 60
#: Distance from the cheapest plan that would be shown as 0.00 %.
SHOWN_DISTANCE = 5e-5
#: Most requirements left to the simulation that are listed.
MOST_WAIVED = 12
#: Part of the cost of a plan from which on what the programme does not state is told.
SHOWN_ROUTING = 1e-5
#: Categories of cost that say more than their key.
CATEGORIES = {
    "servers": "GPUs with servers",
    "power": "power provisioning",
    "recourse": "expected emergency spend and lost-request value",
    "emergency": "emergency retainers",
    "risk": "risk premium",
}


def show_plan(plan: Plan, model: Model, outcome: LoopResult, as_json: bool) -> None:
    """Print a plan: purchases, survivability, cost, proof."""
    if as_json:
        print_json(plan)
        return
    console = new_console()
    console.print(f"[bold]Plan for {escape(plan.model.name)}[/bold]", _override_note(plan))
    tables = (_cooling_table(plan.cooling), _gpu_table(plan), _emergency_table(plan))
    for table in (*tables, _measure_table(plan), cost_table(plan, model)):
        table.print(console)
    show_scenarios(console, plan.scenarios)
    console.print()
    _show_risk(console, plan)
    _show_proof(console, plan)
    _show_verification(console, plan)
    if outcome.diagnosis is not None:
        heading(console, "No plan makes up for what was short in simulation:", "bold red")
        for line in outcome.diagnosis.lines():
            say(console, line, lead="  ")
    if outcome.stopped:
        who = "You" if outcome.interrupted else "The time limit"
        ended = len(plan.verification.rounds)
        console.print(f"[bold]{who} ended the search[/bold] in round {ended}.")


def _override_note(plan: Plan) -> str:
    shown = [
        override if len(override) <= LONGEST_OVERRIDE else f"{override.partition('=')[0]}=…"
        for override in plan.model.overrides
    ]
    return f"with {escape(', '.join(shown))}" if shown else ""


def _cooling_table(lines: Iterable[CoolingLine]) -> Table:
    rows: list[Row] = []
    last = ""
    for line in lines:
        if not line.total and not line.retired:
            continue
        first, last = line.plant != last, line.plant
        plant = (f"N+{line.redundancy}", f"{line.firm_mw:.1f}", f"{line.design_heat_mw:.1f}")
        rows.append(
            (
                line.plant if first else "",
                line.unit,
                line.existing or None,
                _bought(line.added, line.retired),
                line.derated_mw_each,
                *(plant if first else [None] * 3),
            )
        )
    columns = (
        *texts("plant", "unit"),
        *figures("has", "buy"),
        *figures("each", show="{:.2f}".format),
        *figures("N+k", "firm", "heat"),
    )
    note = (
        "each: of one unit; firm: with the k largest lost; both at design ambient. "
        "heat: at full load."
    )
    return Table("Cooling, MW", columns, rows, note)


def _gpu_table(plan: Plan) -> Table:
    rows = [
        (line.cluster, line.region, line.existing, _bought(line.added, line.retired), line.total)
        for line in plan.gpus
        if line.total or line.retired
    ]
    total, has = sum(line.total for line in plan.gpus), sum(line.existing for line in plan.gpus)
    change = _bought(max(0, total - has), max(0, has - total))
    columns = texts("cluster", "region") + figures("has", "buy", "total")
    return Table("GPUs", columns, rows, foot=[("all", "", has, change, total)])


def _bought(added: int, retired: int) -> str:
    if retired:
        return f"-{retired:,}"
    return f"+{added:,}" if added else ""


def _emergency_table(plan: Plan) -> Table:
    rows: list[Row] = [
        (
            line.offer,
            line.instances_reserved,
            line.gpus_reserved,
            f"{line.lead_time_minutes:.0f} min",
            f"{line.usd_per_gpu_hour:.2f}" if line.usd_per_gpu_hour else "none",
        )
        for line in plan.emergency
        if line.instances_reserved
    ]
    columns = texts("offer") + figures("instances", "GPUs", "lead time", "USD/GPU-hour")
    return Table("Emergency cloud", columns, rows or [("none reserved", *[None] * 4)])


def _measure_table(plan: Plan) -> Table:
    rows = [
        (
            line.measure,
            Toned("yes", "strong") if line.bought else "no",
            line.capital_usd,
            line.usd_per_year,
        )
        for line in plan.measures
    ]
    columns = texts("measure", "buy") + figures("capital", "a year", show=millions)
    return Table("Measures, M USD", columns, rows)


def cost_table(plan: Plan, model: Model) -> Table:
    """Capital of purchases; cost of a year today, with the plan, and what that is more."""
    cost, known = plan.cost, plan.cost.existing_usd_per_year is not None
    totals: dict[str, list[float]] = {}
    for column, lines in ((2, cost.items), (1, cost.existing)):
        for item in lines:
            sums = totals.setdefault(item.category, [0.0] * 3)
            sums[0] += item.capital_usd
            sums[column] += item.usd_per_year
    rows = [
        (CATEGORIES.get(category, category), *_cost_cells(capital, was, now, known))
        for category, (capital, was, now) in totals.items()
    ]
    was = cost.existing_usd_per_year or 0.0
    foot = [("all", *_cost_cells(cost.capital_usd, was, cost.usd_per_year, known))]
    budget = money(model.finance.emergency_budget_usd)
    others = "" if _one_budget(model) else " that has none of its own"
    note = (
        f"A year: opex and annualised capital. {_today(cost)}"
        f"Emergency budget {budget} for one incident{others}."
    )
    columns = texts("category") + figures(
        "capital", "a year today", "with plan", "more", show=millions
    )
    return Table("Cost, M USD", columns, rows, note, foot)


def _cost_cells(capital: float, was: float, now: float, known: bool) -> Row:
    more = millions(now - was, sign="+") if known and round(now - was, 2) else None
    return (capital or None, was if known and was else None, now or None, more)


def _today(cost: Cost) -> str:
    """What the cost of today is made of, and whether it is that of serving all demand."""
    if cost.existing_usd_per_year is None:
        return ""
    left = cost.existing_unserved_share
    short = f" It has no room for {number(100 * left, 2)} % of a week's demand." if left else ""
    return f"Today: opex of what exists, without the expected cost of failures.{short} "


def _one_budget(model: Model) -> bool:
    """Whether the general emergency budget holds for every scenario."""
    general = model.finance.emergency_budget_usd
    return all(
        emergency_budget_usd(model, scenario) == general for scenario in all_scenarios(model)
    )


def _show_risk(console: Console, plan: Plan) -> None:
    risk = plan.risk
    if risk is None or risk.kind == "expected" or not risk.once_usd:
        return
    worst = max(risk.once_usd, key=lambda name: risk.once_usd[name])
    say(
        console,
        f"Failures cost {money(risk.expected_usd_per_year)} in an average year; "
        f"CVaR {number(100 * risk.alpha)} % is {money(risk.cvar_usd_per_year)} a year; "
        f"{worst} alone costs {money(risk.once_usd[worst])}. "
        f"The objective weighs {'CVaR' if risk.kind == 'cvar' else 'the worst'} with "
        f"{risk.beta:g}.",
    )


def _show_proof(console: Console, plan: Plan) -> None:
    cost = money(plan.objective_usd_per_year)
    if plan.method == "rule-of-thumb":
        console.print(f"[bold]By rule of thumb[/bold], without proof: {cost} a year.")
        for repair in plan.repairs:
            say(console, f"{repair}.", lead="  ")
        return
    if plan.searched:
        first = plan.round == plan.verification.rounds[0].round
        where = "as the programme has none," if first else "below the plans of the programme"
        console.print(
            f"[bold]Cheapest plan found that survives[/bold]: {cost} a year, {where} "
            f"by a search among {counted(plan.searched, 'fleet')}, audited."
        )
        return
    gap = percent(plan.gap, 3)
    proof = "[bold]Cheapest plan of the programme[/bold]"
    if plan.status == "feasible":
        proof = "[bold]Best plan found so far[/bold], gap not closed"
    console.print(
        f"{proof}: {cost} a year, optimality gap {gap} "
        f"({escape(plan.solver.name)}, {plan.solver.seconds:.1f} s), "
        "audited against every constraint."
    )
    if note := routing_note(plan):
        console.print(note)


def survivor_note(plan: Plan) -> str:
    """How far a plan that survives may be from the cheapest that does; empty for others."""
    bound, cost = plan.verification.survivor_bound_usd_per_year, plan.objective_usd_per_year
    if plan.method == "rule-of-thumb" or not plan.verification.survives:
        return ""
    if bound is None:
        return (
            "What plans that survive cost at least was not worked out: how far this one is above "
            "the cheapest of them is not known."
        )
    more = cost - bound
    if more <= SHOWN_DISTANCE * abs(cost):
        above = f"is the cheapest to {percent(2 * SHOWN_DISTANCE, 2)}"
    elif bound > 0:
        above = f"is at most {percent(more / bound, 2)} above the cheapest"
    else:
        above = f"costs at most {money(more)} a year more than the cheapest"
    return (
        f"No plan that survives these scenarios can cost less than {money(bound)} a year: this one "
        f"{above}."
    )


def routing_note(plan: Plan) -> str:
    """What routing costs in normal operation beyond what the programme sees, if it matters."""
    routing = plan.cost.routing_usd_per_year
    if abs(routing) <= SHOWN_ROUTING * abs(plan.objective_usd_per_year):
        return ""
    return (
        f"{money(routing)} a year of that is routing in normal operation that the programme does "
        "not see; the gap includes it."
    )


def _show_verification(console: Console, plan: Plan) -> None:
    rounds = plan.verification.rounds
    colour = "green" if plan.verification.survives else "red"
    after = "" if plan.method == "rule-of-thumb" else f" after {counted(len(rounds), 'round')}"
    tried = f" in simulation{after}{_at_hours(plan)}" if plan.scenarios else ""
    console.print(f"[bold {colour}]{survived(plan.scenarios)}[/]{tried}.")
    for line in not_counted(plan.scenarios):
        console.print(f"{line}.")
    _show_waived(console, plan)
    if note := survivor_note(plan):
        say(console, note)
    extra = plan.more_than_first_usd_per_year
    if extra is not None and rounds[0].failed:
        more = f"costs {money(abs(extra))} a year {'less' if extra < 0 else 'more'}"
        failed = ", ".join(hours_folded(rounds[0].failed))
        say(console, f"The plan of the first round failed {failed} in simulation; this one {more}.")


def _at_hours(plan: Plan) -> str:
    """At which hours of the week a plan was simulated."""
    count = plan.verification.left_out
    if count is None:
        return "; the hours left out are too many to simulate"
    hours = {failure_and_hour(line.name)[1] for line in plan.scenarios}
    if count:
        dated = any(hour is not None and day_of(hour) is not None for hour in hours)
        days = ", on the hottest of all days" if dated else ""
        return f", and {counted(count, 'failure')} at the hours left out{days}"
    return ", each from one start hour" if hours == {None} else ""


def _show_waived(console: Console, plan: Plan) -> None:
    """What is stricter than the standard and was given up, so that the simulation alone judged."""
    waived = () if plan.made_in is None else plan.made_in.waived
    if not waived:
        return
    console.print(
        "[bold]Left to the simulation[/bold], as this plan does without it and the standard does "
        "not ask it:"
    )
    scenarios: dict[str, list[str]] = {}
    for record in waived:
        place = f" in scenario {record.scenario}"
        scenarios.setdefault(record.text.removesuffix(place), []).append(record.scenario)
    lines = (
        f"{text} in {f'scenario {names[0]}' if len(names) == 1 else f'{len(names):,} scenarios'}"
        for text, names in scenarios.items()
    )
    bullets(console, lines, MOST_WAIVED, " (see plan.json)")
    longest = max(plan.scenarios, key=lambda line: line.throttled_minutes, default=None)
    if longest is not None and longest.throttled_minutes:
        minutes = counted(longest.throttled_minutes, "minute")
        say(console, f"GPUs throttle for up to {minutes} (in {longest.name}).")


def show_no_thumb_plan(lacks: Sequence[str], as_json: bool) -> None:
    """Print why the rule of thumb leads to no plan."""
    if as_json:
        print_json({"status": "infeasible", "method": "rule-of-thumb", "lacks": list(lacks)})
        return
    console = new_console()
    console.print("[bold red]The rule of thumb leads to no plan.[/]")
    for line in lacks:
        say(console, line, lead="  ")
