"""Finance on the terminal: builds side by side, then each table that stands behind a figure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.console import Console
from rich.markup import escape

from planner import amounts
from planner.finance.builds import RUNNING
from planner.finance.losses import Estimate
from planner.finance.study import DECADE, FinanceStudy, Valued
from planner.reliability.estimates import percent
from planner.reporting.finance_tables import (
    cash_flow_columns,
    coverage_note,
    finance_data,
    incident_rows,
    total_usd_per_year,
    worse_notes,
)
from planner.reporting.terminal import new_console, new_table, print_json, show_table

#: Sources of losses shown; the rest is added up.
MOST_SOURCES = 8
#: Years between losses as bad as this, for the exceedance table.
RETURN_YEARS = (2, 5, 10, 20, 50, 100, 1000)
BAR = 10
CAPITAL = {
    "servers": "GPUs, servers",
    "building": "buildings",
    "power": "power",
    "cooling": "cooling",
    "regions": "regions",
    "measures": "measures",
}


def show_finance(study: FinanceStudy, as_json: bool, notes: Sequence[str] = ()) -> None:
    """Print what builds cost, save and return.

    Parameters
    ----------
    notes
        What is to be known about plans and models, for machines; people were told.
    """
    if as_json:
        print_json(finance_data(study) | {"notes": notes})
        return
    console = new_console()
    console.print(f"[bold]What resilience costs and returns: {escape(study.model)}[/bold]")
    console.print(_assumed(study))
    _show_side_by_side(console, study)
    for one in study.alternatives:
        _show_capital(console, one)
        _show_cash_flow(console, one)
    _show_availability(console, study)
    _show_sources(console, study)
    _show_exceedance(console, study)
    _show_credits(console, study)
    _show_cooling(console, study)
    for one in study.alternatives:
        _show_sensitivity(console, study, one.build.name)
    _show_replanned(console, study)
    _show_ledger(console, study)


def _assumed(study: FinanceStudy) -> str:
    terms = study.assumptions
    written = "MACRS" if terms.depreciation == "macrs" else "straight line"
    return (
        f"{terms.horizon_years} years, cost of capital {terms.discount_rate:.4g}, tax "
        f"{terms.tax_rate:.4g}, {written}; prices {terms.inflation_per_year:+.1%},\nelectricity "
        f"{terms.electricity_inflation_per_year:+.1%}, demand "
        f"{terms.demand_growth_per_year:+.1%} a year.\n"
        f"{study.sampled}"
    )


# ------------------------------------------------------------------------------------ side by side


def _show_side_by_side(console: Console, study: FinanceStudy) -> None:
    names = [escape(one.build.name) for one in study.valued]
    table = new_table("", "M USD unless said otherwise", *names)
    for label, cell in _rows(study):
        cells = [cell(one) for one in study.valued]
        if any(cells):
            table.add_row(label, *cells)
    note = (
        "Returns are those of cash flows after tax against what exists. IRR: rate at which NPV is "
        "0. Benefit-cost ratio: present benefits over present costs; ROI: that less 1. "
        "TCO: present cost of what is bought and all that runs, before tax, without failures."
    )
    show_table(console, "Side by side", table, note)
    for one in study.alternatives:
        found = one.appraisal.returns
        if found is not None and found.irr.reason:
            console.print(f"IRR of {escape(one.build.name)}: {escape(found.irr.reason)}.")


Cell = Callable[[Valued], str]


def _rows(study: FinanceStudy) -> list[tuple[str, Cell]]:
    alpha = f"{study.sampling.alpha:.4g}"
    return [
        ("capital", lambda one: millions(one.appraisal.capital_usd)),
        ("owning and running, a year", lambda one: millions(one.appraisal.owning_usd_per_year)),
        ("  of it capital over its life", _of_capital),
        *((f"  of it {name}", _of_running(name)) for name in RUNNING),
        ("expected loss, a year", lambda one: millions(one.profile.expected_annual_loss_usd.value)),
        ("  95 % interval", lambda one: _range(one.profile.expected_annual_loss_usd)),
        ("  avoided, a year", lambda one: millions(one.avoided.value) if one.avoided else ""),
        ("  95 % interval", lambda one: _range(one.avoided) if one.avoided else ""),
        (f"loss exceeded in {1 - study.sampling.alpha:.0%} of years", _value_at_risk),
        ("  95 % interval", lambda one: _range(one.profile.var_usd)),
        (f"mean of those years (CVaR {alpha})", lambda one: millions(one.profile.cvar_usd.value)),
        ("  95 % interval", lambda one: _range(one.profile.cvar_usd)),
        ("owning, running and losses, a year", lambda one: millions(total_usd_per_year(one))),
        ("scenarios survived", _survived),
        ("NPV", _returned(lambda r: millions(r.npv_usd))),
        ("IRR", _returned(lambda r: _percent(r.irr.rate))),
        ("modified IRR", _returned(lambda r: _percent(r.mirr))),
        ("payback, years", _returned(lambda r: _years(r.payback_years))),
        ("  with interest", _returned(lambda r: _years(r.discounted_payback_years))),
        ("benefit-cost ratio", _returned(lambda r: _ratio(r.benefit_cost_ratio))),
        ("ROI", _returned(lambda r: _percent(r.roi))),
        ("TCO over the horizon", lambda one: millions(one.appraisal.ownership.present_usd)),
        ("  equivalent a year", lambda one: millions(one.appraisal.ownership.usd_per_year)),
        ("  USD per GPU", lambda one: _usd(one.appraisal.ownership.usd_per_gpu)),
        ("  USD per million requests", lambda one: _per_million(one)),
    ]


def _of_running(category: str) -> Cell:
    def cell(one: Valued) -> str:
        usd = sum(line.usd_per_year for line in one.position.running if line.category == category)
        return millions(usd) if usd else ""

    return cell


def _of_capital(one: Valued) -> str:
    """Capital as yearly payments over the life of each purchase."""
    running = sum(line.usd_per_year for line in one.position.running)
    usd = one.appraisal.owning_usd_per_year - running
    return millions(usd) if one.position.purchases else ""


def _value_at_risk(one: Valued) -> str:
    return millions(one.profile.var_usd.value)


def _survived(one: Valued) -> str:
    judged = sum(v.survives or v.fails for v in one.verdicts)
    return f"{sum(v.survives for v in one.verdicts)} of {judged}"


def _returned(told: Callable[..., str]) -> Cell:
    def cell(one: Valued) -> str:
        found = one.appraisal.returns
        return "" if found is None else told(found)

    return cell


def _per_million(one: Valued) -> str:
    found = one.appraisal.ownership.usd_per_million_requests
    return "" if found is None else f"{found:,.2f}"


# ----------------------------------------------------------------------------------- behind figures


def _show_capital(console: Console, one: Valued) -> None:
    """Capital of a build by region and category."""
    lines = one.position.purchases
    categories = [name for name in CAPITAL if any(line.category == name for line in lines)]
    regions = list(dict.fromkeys(line.region for line in lines))
    table = new_table("", "M USD", *(CAPITAL[name] for name in categories), "all")
    for region in regions:
        mine = [line for line in lines if line.region == region]
        table.add_row(escape(region or "elsewhere"), *_sums(mine, categories))
    if len(regions) > 1:
        table.add_section()
        table.add_row("all", *_sums(lines, categories))
    show_table(console, f"Capital: {one.build.name}", table)


def _sums(lines: Sequence[object], categories: Sequence[str]) -> list[str]:
    """Capital by category and in all."""
    usd = [
        sum(line.usd for line in lines if line.category == name)  # type: ignore[attr-defined]
        for name in categories
    ]
    return [millions(one) if one else "" for one in usd] + [millions(sum(usd))]


def _show_cash_flow(console: Console, one: Valued) -> None:
    flows = one.appraisal.cash_flow
    if flows is None:
        return
    columns = cash_flow_columns(flows)
    running = sum(flows.running.values())
    avoided = sum(flows.avoided.values())
    shown = {
        "capital": columns["capital_usd"] + columns["salvage_usd"],
        "running": running,
        "avoided": avoided,
        "other": columns["other_usd"],
        "tax": columns["tax_usd"],
        "net": columns["net_usd"],
        "so far": columns["cumulative_usd"],
    }
    kept = {name: values for name, values in shown.items() if values.any() or name == "net"}
    table = new_table("", "year", *kept)
    for year in range(len(flows.net)):
        table.add_row(str(year), *(millions(values[year]) for values in kept.values()))
    note = (
        "M USD against what exists. Capital with replacements, less what is left; running and "
        "avoided losses at prices of their year."
    )
    show_table(console, f"Cash flow after tax: {one.build.name}", table, note)


def _show_availability(console: Console, study: FinanceStudy) -> None:
    table = new_table("", "served, %", "mean", "95 % interval", "min/year")
    table.columns[0].no_wrap = False
    for tier in study.base.profile.tiers:
        promised = study.base.build.model.tiers[tier].sla
        said = (f"{100 * promised:.6g}", "promised") if promised else ("", "")
        table.add_row(escape(tier), *said, "")
        for one in study.valued:
            share = one.profile.availability.get(tier)
            if share is not None:
                minutes = one.profile.downtime_minutes_per_year[tier].value
                table.add_row(f"  {escape(one.build.name)}", *percent(share), f"{minutes:,.3g}")
    note = (
        "Share of the demand served, averaged over the minutes of a mean year; min/year: what is "
        "missing to all of it, in minutes without service. " + coverage_note(study)
    )
    show_table(console, "Availability", table, note)
    for text in worse_notes(study):
        console.print(f"[yellow]{escape(text)}[/yellow]")


def _show_sources(console: Console, study: FinanceStudy) -> None:
    """What the expected loss comes from, on each build."""
    usd = {
        one.build.name: {s.source: s.usd_per_year.value for s in one.profile.by_source}
        for one in study.valued
    }
    sources = {name for found in usd.values() for name, loss in found.items() if loss > 0}
    order = sorted(sources, key=lambda s: (-max(found.get(s, 0.0) for found in usd.values()), s))
    table = new_table("", "M USD a year", *(escape(name) for name in usd))
    for source in order[:MOST_SOURCES]:
        table.add_row(escape(source), *(_loss(found.get(source)) for found in usd.values()))
    rest = order[MOST_SOURCES:]
    if rest:
        cells = [_loss(sum(found.get(s, 0.0) for s in rest)) for found in usd.values()]
        table.add_row(f"{len(rest)} others", *cells)
    note = "By the failure that comes first, with what else fails until all is repaired."
    show_table(console, "Expected loss by cause", table, note)


def _loss(usd: float | None) -> str:
    return millions(usd) if usd else ""


def _show_exceedance(console: Console, study: FinanceStudy) -> None:
    table = new_table("", "once in", *(escape(one.build.name) for one in study.valued))
    for years in RETURN_YEARS:
        losses = [float(one.profile.annual.return_period_usd(years)) for one in study.valued]
        table.add_row(f"{years:,} years", *(millions(usd) for usd in losses))
    show_table(console, "Loss of a year that is exceeded", table, "M USD.")


def _show_credits(console: Console, study: FinanceStudy) -> None:
    table = new_table("", "tier", *(escape(one.build.name) for one in study.valued))
    schedules: dict[str, list[str]] = {}
    for tier, entry in study.base.build.model.tiers.items():
        if not entry.sla_credits:
            continue
        steps = sorted(entry.sla_credits, key=lambda step: step.below, reverse=True)
        told = ", ".join(f"{step.credit:.0%} below {100 * step.below:.6g} %" for step in steps)
        schedules.setdefault(told, []).append(tier)
        cells = [
            f"{one.profile.credits_by_month[tier].expected_usd_per_month:,.0f}"
            if tier in one.profile.credits_by_month
            else ""
            for one in study.valued
        ]
        table.add_row(escape(tier), *cells)
    note = "Expected USD a month, as a share of the bill by the availability of the month: "
    note += "; ".join(f"{', '.join(tiers)} {told}" for told, tiers in schedules.items()) + "."
    show_table(console, "Service credits", table, note)


def _show_cooling(console: Console, study: FinanceStudy) -> None:
    hours: dict[str, list[str]] = {}
    for index, one in enumerate(study.valued):
        for group in one.cooling:
            cells = hours.setdefault(", ".join(group.plants), [""] * len(study.valued))
            told = _hours(group.hours_per_year)
            running = _hours(group.running_hours_per_year)
            cells[index] = told if told == running else f"{told} / {running}"
    table = new_table("", "plants", *(escape(one.build.name) for one in study.valued))
    for plants, cells in hours.items():
        table.add_row(escape(plants), *cells)
    table.columns[0].no_wrap = False
    note = (
        "Hours a year in which independent failures of units leave less cooling than heat, exactly;"
        " standby units count from the first minute / never."
    )
    show_table(console, "Loss of cooling", table, note)


def _hours(hours: float) -> str:
    return "0" if hours < 1e-9 else f"{hours:.3g}"


# ------------------------------------------------------------------------------------- sensitivity


def _show_sensitivity(console: Console, study: FinanceStudy, name: str) -> None:
    swings = study.swings.get(name, ())
    zero = {one.input.name: one for one in study.break_evens.get(name, ())}
    widest = max((abs(s.npv_high_usd - s.npv_low_usd) for s in swings), default=0.0)
    table = new_table("", "input", "low", "high", "NPV low", "NPV high", "NPV 0 at", "swing")
    table.columns[-1].justify = "left"
    for swing in swings:
        width = abs(swing.npv_high_usd - swing.npv_low_usd)
        bar = "█" * round(BAR * width / widest) if widest else ""
        found = zero.get(swing.input.name)
        at = "" if found is None or found.value is None else f"{found.value:.3g}"
        table.add_row(
            escape(swing.input.name),
            f"{swing.low:.3g}",
            f"{swing.high:.3g}",
            millions(swing.npv_low_usd),
            millions(swing.npv_high_usd),
            at,
            bar,
        )
    note = (
        "Rates as shares, all else as factors on today's. NPV in M USD; the plan stays as it is. "
        "NPV 0 at: the value at which it just pays, where there is one."
    )
    show_table(console, f"Sensitivity: {name}", table, note)


def _show_replanned(console: Console, study: FinanceStudy) -> None:
    if not study.replanned:
        return
    console.print()
    console.print("[bold]Inputs that change the plan[/bold]")
    for one in study.replanned:
        told = [*one.changed] or ["the same plan"]
        if one.regret_usd_per_year:
            usd = millions(one.regret_usd_per_year)
            told.append(f"keeping the old plan costs {usd} M USD a year more")
        elif one.changed and not one.kept_survives:
            told.append("the old plan does not meet the requirements")
        told.extend([one.note] if one.note else [])
        console.print(f"  {escape(f'{one.input.name} {one.value:.3g}: ' + '; '.join(told))}")


# ------------------------------------------------------------------------------------------ ledger


def _show_ledger(console: Console, study: FinanceStudy) -> None:
    table = new_table("", "item", "printed", "by formula", "difference", "unit")
    table.columns[0].no_wrap = False
    table.columns[-1].justify = "left"
    for line in study.ledger:
        style = "yellow" if line.agrees is False else ""
        table.add_row(
            escape(line.item),
            _amount(line.printed),
            _amount(line.by_formula),
            "" if line.agrees is not False else _amount(line.difference),
            escape(line.unit),
            style=style,
        )
    note = "Difference where the formula does not give what is printed. Nothing is corrected."
    show_table(console, "Ledger of the recorded incident", table, note)
    incidents = new_table("", "investment", "once", "a year", "incident", "needed", "discounted")
    incidents.columns[0].no_wrap = False
    for row in incident_rows(study):
        incidents.add_row(
            escape(row["investment"]),
            millions(row["capital_usd"]),
            millions(row["usd_per_year"]),
            millions(row["usd_per_incident"]),
            f"{row['incidents']:.2f}",
            f"{row['incidents_discounted']:.2f}",
        )
    note = f"M USD; incidents within {DECADE} years, evenly spread, that justify the investment."
    show_table(console, "Break-even in incidents", incidents, note)


# ------------------------------------------------------------------------------------------- cells


def millions(usd: float) -> str:
    """M USD with one digit, or more where little is left of it."""
    if abs(usd) < amounts.NOTHING:
        return "0"
    return amounts.millions(usd, 1 if abs(usd) >= 1e7 else 2)


def _range(one: Estimate) -> str:
    return f"{millions(one.low)}-{millions(one.high)}"


def _percent(share: float | None) -> str:
    return "none" if share is None else f"{share:.1%}"


def _years(years: float | None) -> str:
    return "never" if years is None else f"{years:.1f}"


def _ratio(ratio: float | None) -> str:
    return "none" if ratio is None else f"{ratio:.2f}"


def _usd(usd: float | None) -> str:
    return "" if usd is None else f"{usd:,.0f}"


def _amount(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:,.4g}"


__all__ = ["millions", "show_finance"]
