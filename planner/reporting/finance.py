"""Finance on the terminal: builds side by side, then each table that stands behind a figure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from rich.console import Console

from planner.amounts import millions, money, number, percent
from planner.finance.builds import CATEGORIES, RUNNING, Purchase
from planner.finance.cashflow import CashFlow
from planner.finance.study import DECADE, FinanceStudy, Valued
from planner.finance.tables import cash_flow_columns, coverage_note, finance_data, worse_notes
from planner.reliability.estimates import Estimate
from planner.reliability.estimates import percent as availability
from planner.reporting.tables import Cell, Row, Table, figures, texts
from planner.reporting.terminal import heading, new_console, print_json, say

#: Sources of losses shown; the rest is added up.
MOST_SOURCES = 8
#: Years between losses as bad as this, for the exceedance table.
RETURN_YEARS = (2, 5, 10, 20, 50, 100, 1000)
BAR = 10
#: Hours a year that are told; less is nothing.
LEAST_HOURS = 1e-6
#: Categories of capital that have another heading than their key.
CAPITAL = {"servers": "GPUs, servers", "building": "buildings"}


def show_finance(study: FinanceStudy, as_json: bool, notes: Sequence[str] = ()) -> None:
    """Print what builds cost, save and return; `notes` are for machines: people were told."""
    if as_json:
        print_json(finance_data(study) | {"notes": notes})
        return
    console = new_console()
    say(console, f"What resilience costs and returns: {study.model}", style="bold")
    say(console, assumed(study))
    side_by_side(study).print(console)
    for build in study.alternatives:
        found = build.appraisal.returns
        if found is not None and found.irr.reason:
            say(console, f"IRR of {build.build.name}: {found.irr.reason}.")
    for build in study.alternatives:
        _capital(build).print(console)
        cash_flow_table(build).print(console)
    availability_table(study).print(console)
    for text in worse_notes(study):
        say(console, text, style="yellow")
    for table in (source_table(study), exceedance_table(study), _credits(study), _cooling(study)):
        table.print(console)
    for build in study.alternatives:
        sensitivity_table(study, build.build.name).print(console)
    _show_replanned(console, study)
    _ledger(study).print(console)
    _incidents(study).print(console)


def assumed(study: FinanceStudy) -> str:
    """What the figures rest on, in a sentence."""
    terms = study.assumptions
    written = "MACRS" if terms.depreciation == "macrs" else "straight line"
    return (
        f"{terms.horizon_years} years, cost of capital {percent(terms.discount_rate)}, tax "
        f"{percent(terms.tax_rate)}, {written} depreciation; prices "
        f"{percent(terms.inflation_per_year, sign='+')} a year, electricity "
        f"{percent(terms.electricity_inflation_per_year, sign='+')}, demand "
        f"{percent(terms.demand_growth_per_year, sign='+')}. {study.sampled}"
    )


def _names(study: FinanceStudy) -> list[str]:
    return [valued.build.name for valued in study.valued]


#: What a row says of a build.
CellOf = Callable[[Valued], Cell]


def side_by_side(study: FinanceStudy) -> Table:
    """Cost, losses and returns of all builds."""
    rows = [(label, *map(cell, study.valued)) for label, cell in _rows(study)]
    tail = f"{1 - study.sampling.alpha:.3g}"
    note = (
        "Returns are those of cash flows after tax against what exists. IRR: rate at which NPV is "
        "0. Benefit-cost ratio: present benefits over present costs; ROI: that less 1. "
        "TCO: present cost of what is bought and of opex, before tax, without failures. "
        f"VaR: annual loss exceeded with probability {tail}; CVaR: mean of the losses beyond it."
    )
    columns = texts("M USD unless said otherwise") + figures(*_names(study), show=_millions)
    told = [row for row in rows if any(cell is not None for cell in row[1:])]
    return Table("Side by side", columns, told, note)


def _rows(study: FinanceStudy) -> list[tuple[str, CellOf]]:
    level = f"{number(100 * study.sampling.alpha)} %"
    return [
        ("capex", lambda valued: valued.appraisal.capital_usd),
        ("capex and opex, annualised", lambda valued: valued.appraisal.owning_usd_per_year),
        (
            "  of it capex",
            lambda valued: valued.capital_usd_per_year if valued.position.purchases else None,
        ),
        *((f"  of it {name}", _of_running(name)) for name in RUNNING),
        *_estimate("expected annual loss", lambda valued: valued.profile.expected_annual_loss_usd),
        *_estimate("  avoided", lambda valued: valued.avoided),
        *_estimate(f"VaR {level} of a year's losses", lambda valued: valued.profile.var_usd),
        *_estimate(f"CVaR {level} of a year's losses", lambda valued: valued.profile.cvar_usd),
        ("capex, opex and losses, annualised", lambda valued: valued.total_usd_per_year),
        ("scenarios survived", _survived),
        ("NPV", _returned(lambda returns: _millions(returns.npv_usd))),
        ("IRR", _returned(lambda returns: _share(returns.irr.rate))),
        ("modified IRR", _returned(lambda returns: _share(returns.mirr))),
        ("payback, years", _returned(lambda returns: _years(returns.payback_years))),
        ("  discounted", _returned(lambda returns: _years(returns.discounted_payback_years))),
        ("benefit-cost ratio", _returned(lambda returns: _ratio(returns.benefit_cost_ratio))),
        ("ROI", _returned(lambda returns: _share(returns.roi))),
        ("TCO over the horizon", lambda valued: valued.appraisal.ownership.present_usd),
        ("  annualised", lambda valued: valued.appraisal.ownership.usd_per_year),
        ("  USD per GPU", lambda valued: _usd(valued.appraisal.ownership.usd_per_gpu, 0)),
        (
            "  USD per million requests",
            lambda valued: _usd(valued.appraisal.ownership.usd_per_million_requests, 2),
        ),
    ]


def _estimate(label: str, of: Callable[[Valued], Estimate | None]) -> list[tuple[str, CellOf]]:
    """A row with an estimate, and one with its interval."""

    def interval(valued: Valued) -> Cell:
        found = of(valued)
        return f"{_millions(found.low)} to {_millions(found.high)}" if found else None

    def value(valued: Valued) -> Cell:
        found = of(valued)
        return found.value if found else None

    return [(label, value), ("  95 % interval", interval)]


def _of_running(category: str) -> CellOf:
    return lambda valued: valued.running_usd_per_year.get(category) or None


def _survived(valued: Valued) -> str:
    judged = sum(verdict.survives or verdict.fails for verdict in valued.verdicts)
    return f"{sum(verdict.survives for verdict in valued.verdicts)} of {judged}"


def _returned(told: Callable[..., str]) -> CellOf:
    def cell(valued: Valued) -> Cell:
        found = valued.appraisal.returns
        return None if found is None else told(found)

    return cell


def _capital(valued: Valued) -> Table:
    """Capital of a build by region and category."""
    lines = valued.position.purchases
    categories = [name for name in CATEGORIES if any(line.category == name for line in lines)]
    regions = list(dict.fromkeys(line.region for line in lines))
    rows: list[Row] = [
        (
            region or "elsewhere",
            *_sums([line for line in lines if line.region == region], categories),
        )
        for region in regions
    ]
    foot = [("all", *_sums(lines, categories))] if len(regions) > 1 else []
    heads = (*(CAPITAL.get(name, name) for name in categories), "all")
    columns = texts("M USD") + figures(*heads, show=_millions)
    return Table(f"Capex: {valued.build.name}", columns, rows, foot=foot)


def _sums(lines: Sequence[Purchase], categories: Sequence[str]) -> list[float | None]:
    """Capital by category and in all."""
    usd = [sum(line.usd for line in lines if line.category == name) for name in categories]
    return [*(amount or None for amount in usd), sum(usd)]


def cash_flow_table(valued: Valued) -> Table:
    """Cash flow of a build after tax by year; no rows for what exists."""
    flows = valued.appraisal.cash_flow
    note = (
        "M USD against what exists. Capex with replacements, less what is left; opex and avoided "
        "losses at prices of their year."
    )
    title = f"Cash flow after tax: {valued.build.name}"
    if flows is None:
        return Table(title, (), [])
    shown = _yearly(flows)
    rows: list[Row] = [
        (str(year), *(float(values[year]) for values in shown.values()))
        for year in range(len(flows.net))
    ]
    return Table(title, texts("year") + figures(*shown, show=_millions), rows, note)


def _yearly(flows: CashFlow) -> dict[str, Sequence[float]]:
    columns = cash_flow_columns(flows)
    nothing = np.zeros(len(flows.net))
    shown = {
        "capex": columns["capital_usd"] + columns["salvage_usd"],
        "opex": np.sum([nothing, *flows.running.values()], axis=0),
        "avoided": np.sum([nothing, *flows.avoided.values()], axis=0),
        "other": columns["other_usd"],
        "tax": columns["tax_usd"],
        "net": columns["net_usd"],
        "so far": columns["cumulative_usd"],
    }
    return {name: values for name, values in shown.items() if values.any() or name == "net"}


def availability_table(study: FinanceStudy) -> Table:
    """Availability of every tier on each build, beside its SLA."""
    rows: list[Row] = []
    for tier in study.base.profile.tiers:
        promised = study.base.build.model.tiers[tier].sla
        sla = (f"{100 * promised:.6g}", "SLA") if promised else (None, None)
        rows.append((tier, *sla, None))
        for valued in study.valued:
            share = valued.profile.availability.get(tier)
            if share is not None:
                minutes = valued.profile.downtime_minutes_per_year[tier].value
                rows.append((f"  {valued.build.name}", *availability(share), number(minutes)))
    note = (
        "Share of demand served, averaged over the minutes of a mean year; min/year: what is "
        f"missing to all of it, in minutes without service. {coverage_note(study)}"
    )
    columns = texts("served, %") + figures("mean", "95 % interval", "min/year")
    return Table("Availability", columns, rows, note)


def source_table(study: FinanceStudy) -> Table:
    """What the expected loss comes from, on each build."""
    usd = [
        {source.source: source.usd_per_year.value for source in valued.profile.by_source}
        for valued in study.valued
    ]
    names = {name for losses in usd for name, loss in losses.items() if loss > 0}
    order = sorted(names, key=lambda name: (-max(loss.get(name, 0.0) for loss in usd), name))
    rows: list[Row] = [
        (name, *(losses.get(name) or None for losses in usd)) for name in order[:MOST_SOURCES]
    ]
    rest = order[MOST_SOURCES:]
    if rest:
        sums = (sum(losses.get(name, 0.0) for name in rest) for losses in usd)
        rows.append((f"{len(rest)} others", *(loss or None for loss in sums)))
    note = "By the failure that comes first, with what else fails until all is repaired."
    columns = texts("M USD a year") + figures(*_names(study), show=millions)
    return Table("Expected loss by cause", columns, rows, note)


def exceedance_table(study: FinanceStudy) -> Table:
    """Losses that one year in so many exceeds."""
    annual = [valued.profile.annual for valued in study.valued]
    rows: list[Row] = [
        (f"{years:,} years", *(float(losses.return_period_usd(years)) for losses in annual))
        for years in RETURN_YEARS
    ]
    columns = texts("once in") + figures(*_names(study), show=_millions)
    return Table("Annual loss that is exceeded", columns, rows, "M USD.")


def _credits(study: FinanceStudy) -> Table:
    rows: list[Row] = []
    schedules: dict[str, list[str]] = {}
    for tier, entry in study.base.build.model.tiers.items():
        if not entry.sla_credits:
            continue
        steps = sorted(entry.sla_credits, key=lambda step: step.below, reverse=True)
        told = ", ".join(
            f"{percent(step.credit, 0)} below {100 * step.below:.6g} %" for step in steps
        )
        schedules.setdefault(told, []).append(tier)
        months = (valued.profile.credits_by_month.get(tier) for valued in study.valued)
        rows.append((tier, *(month.expected_usd_per_month if month else None for month in months)))
    note = "Expected USD a month, as a share of the bill by the availability of the month: "
    note += "; ".join(f"{', '.join(tiers)} {told}" for told, tiers in schedules.items()) + "."
    columns = texts("tier") + figures(*_names(study), show="{:,.0f}".format)
    return Table("Service credits", columns, rows, note)


def _cooling(study: FinanceStudy) -> Table:
    hours: dict[str, list[Cell]] = {}
    for index, valued in enumerate(study.valued):
        for group in valued.cooling:
            cells = hours.setdefault(", ".join(group.plants), [None] * len(study.valued))
            told, running = _hours(group.hours_per_year), _hours(group.running_hours_per_year)
            cells[index] = told if told == running else f"{told} / {running}"
    note = (
        "Hours a year in which independent failures of units leave less cooling than heat, exactly;"
        " with standby units counted from the first minute / never."
    )
    columns = texts("plants") + figures(*_names(study))
    rows: list[Row] = [(plants, *cells) for plants, cells in hours.items()]
    return Table("Loss of cooling", columns, rows, note)


def _hours(hours: float) -> str:
    return "0" if hours < LEAST_HOURS else number(hours, 2)


def sensitivity_table(study: FinanceStudy, name: str) -> Table:
    """Net present value of a build with each input low and high, and break-even values."""
    swings = study.swings.get(name, ())
    zero = {found.input.name: found.value for found in study.break_evens.get(name, ())}
    widest = max((abs(swing.npv_high_usd - swing.npv_low_usd) for swing in swings), default=0.0)
    rows = [
        (
            swing.input.name,
            number(swing.low),
            number(swing.high),
            swing.npv_low_usd,
            swing.npv_high_usd,
            None if (value := zero.get(swing.input.name)) is None else number(value),
            "█" * round(BAR * abs(swing.npv_high_usd - swing.npv_low_usd) / (widest or 1.0)),
        )
        for swing in swings
    ]
    note = (
        "Rates as shares, all else as factors on today's. NPV in M USD; the plan stays as it is. "
        "NPV 0 at: break-even value of the input, where there is one."
    )
    columns = texts("input") + figures("low", "high", "NPV low", "NPV high", show=_millions)
    columns += figures("NPV 0 at") + texts("swing", folds=False)
    return Table(f"Sensitivity: {name}", columns, rows, note)


def _show_replanned(console: Console, study: FinanceStudy) -> None:
    if study.replanned:
        heading(console, "Inputs that change the plan")
    for replanned in study.replanned:
        told = [*replanned.changed] or ["the same plan"]
        if replanned.regret_usd_per_year:
            usd = money(replanned.regret_usd_per_year)
            told.append(f"keeping the old plan costs {usd} a year more")
        elif replanned.changed and not replanned.kept_survives:
            told.append("the old plan does not meet the requirements")
        told.extend([replanned.note] if replanned.note else [])
        value = f"{replanned.input.name} {number(replanned.value)}"
        say(console, f"{value}: {'; '.join(told)}", lead="  ")


def _ledger(study: FinanceStudy) -> Table:
    rows = [
        (
            line.item,
            line.printed,
            line.by_formula,
            line.difference if line.agrees is False else None,
            line.unit,
        )
        for line in study.ledger
    ]
    note = "Difference where the formula does not give what is printed. Nothing is corrected."
    heads = ("printed", "by formula", "difference")
    columns = texts("item") + figures(*heads, show=_amount) + texts("unit", folds=False)
    return Table("Ledger of the recorded incident", columns, rows, note)


def _incidents(study: FinanceStudy) -> Table:
    rows = [
        (
            line.basis,
            line.capital_usd,
            line.usd_per_year,
            line.usd_per_incident,
            f"{line.incidents:.2f}",
            f"{line.incidents_discounted:.2f}",
        )
        for line in study.break_even_incidents
    ]
    note = f"M USD; incidents within {DECADE} years, evenly spread, that justify the investment."
    heads = ("capex", "opex", "incident", "needed", "discounted")
    columns = texts("investment") + figures(*heads, show=_millions)
    return Table("Break-even in incidents", columns, rows, note)


def _millions(usd: float) -> str:
    return "0" if round(usd, 2) == 0 else millions(usd)


def _share(share: float | None) -> str:
    return "none" if share is None else percent(share)


def _years(years: float | None) -> str:
    return "never" if years is None else f"{years:.1f}"


def _ratio(ratio: float | None) -> str:
    return "none" if ratio is None else f"{ratio:.2f}"


def _usd(usd: float | None, places: int) -> str | None:
    return None if usd is None else f"{usd:,.{places}f}"


def _amount(value: float) -> str:
    return number(value, 4)
