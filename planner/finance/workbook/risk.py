"""Sheets of what failures cost: losses of a year, availability, credits, scenarios."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from planner.finance.workbook.book import Book, Sheet, cell
from planner.finance.workbook.inputs import Inputs
from planner.reliability.estimates import Estimate, percent

if TYPE_CHECKING:
    from planner.finance.study import Valued

RISK, SCENARIOS = "Risk", "Scenarios"
#: Losses are shown that one year in so many exceeds.
RETURN_YEARS = (2, 5, 10, 20, 50, 100, 200, 500, 1_000)
#: Points of the exceedance curve, least probability on it.
POINTS, LEAST = 40, 1e-4
#: Rows that the chart of the curve takes.
CHART_ROWS = 22


def write_risk(book: Book, valued: Sequence[Valued], inputs: Inputs) -> None:
    """Write losses of a year, availability, credits and cooling."""
    sheet = book.sheet(RISK, (40, 20, *[18] * (3 * len(valued))))
    sheet.title(
        "Risk",
        "Sampled with the seed of the sheet Read me: figures, not formulas, but for sums. Low and "
        "high are the ends of the 95 % confidence interval.",
    )
    names = [one.build.name for one in valued]
    _heads(sheet, 3, ("At the prices and rates of today", "Unit"), names)
    sheet.freeze(5, 1, printed=False)
    row = _losses(book, sheet, 5, valued, inputs)
    row = _tiers(sheet, row + 1, valued)
    row = _credits(sheet, row + 1, valued)
    row = _cooling(sheet, row + 1, valued)
    row = _return_periods(book, sheet, row + 1, valued)
    _curves(book, sheet, row + 1, valued)


def _heads(sheet: Sheet, row: int, first: Sequence[str], names: Iterable[str]) -> None:
    """Head over three columns a build."""
    sheet.texts(row, 0, (first[0], first[1]), "head")
    sheet.texts(row + 1, 0, ("", ""), "head")
    for index, name in enumerate(names):
        sheet.texts(row, 2 + 3 * index, (name, "", ""), "figures")
        sheet.texts(row + 1, 2 + 3 * index, ("Estimate", "Low", "High"), "figures")


def _estimate(sheet: Sheet, row: int, index: int, one: Estimate, kind: str) -> None:
    for offset, value in enumerate((one.value, one.low, one.high)):
        sheet.number(row, 2 + 3 * index + offset, value, kind)


def _losses(book: Book, sheet: Sheet, row: int, valued: Sequence[Valued], inputs: Inputs) -> int:
    alpha = valued[0].profile.alpha
    lines = (
        ("Expected annual loss", "expected_annual_loss_usd"),
        ("of it worth of lost requests", "value_usd"),
        ("of it service credits", "credits_usd"),
        ("of it emergency capacity", "emergency_usd"),
        (f"Value at risk, {alpha:.4g} of years stay below", "var_usd"),
        (f"Conditional value at risk, mean of the rest ({1 - alpha:.4g})", "cvar_usd"),
    )
    for label, attribute in lines:
        sheet.texts(row, 0, (label, f"{book.money_unit} per year"))
        for index, one in enumerate(valued):
            _estimate(sheet, row, index, getattr(one.profile, attribute), "money")
        row += 1
    sheet.texts(row, 0, ("Expected annual loss avoided", f"{book.money_unit} per year"))
    for index, one in enumerate(valued):
        if one.avoided is not None:
            _estimate(sheet, row, index, one.avoided, "money")
    row += 1
    sheet.texts(
        row, 0, ("The same under the factors of Assumptions", f"{book.money_unit} per year")
    )
    for index, one in enumerate(valued):
        names = inputs.builds[one.build.name]
        formula = (
            f"failure_rate*({names.value}*outage_value+{names.credits}+{names.emergency}*surge)"
        )
        value = one.position.losses.usd
        sheet.formula(row, 2 + 3 * index, formula, value, "money", "total")
    return row + 1


def _tiers(sheet: Sheet, row: int, valued: Sequence[Valued]) -> int:
    _heads(sheet, row, ("Availability over a year", "Unit"), [one.build.name for one in valued])
    row += 2
    tiers = list(dict.fromkeys(tier for one in valued for tier in one.profile.tiers))
    parts = (
        ("availability", "share", "availability"),
        ("downtime_minutes_per_year", "minutes per year", "number"),
        ("lost_requests_per_year", "requests per year", "whole"),
    )
    for attribute, unit, kind in parts:
        for tier in tiers:
            sheet.texts(row, 0, (tier, unit))
            for index, one in enumerate(valued):
                figures = getattr(one.profile, attribute)
                if tier in figures:
                    _estimate(sheet, row, index, figures[tier], kind)
            row += 1
    sheet.text(row, 0, "availability that the interval supports, %")
    row += 1
    for tier in tiers:
        sheet.texts(row, 0, (tier, "percent"))
        for index, one in enumerate(valued):
            if tier in one.profile.availability:
                shown, interval = percent(one.profile.availability[tier])
                sheet.texts(row, 2 + 3 * index, (shown, interval), "right")
        row += 1
    for one in valued:
        sheet.text(row, 0, f"{one.build.name}: {one.coverage.sentence}", "note")
        row += 1
        for tier, more in one.worse.items():
            sheet.texts(row, 0, (f"{one.build.name}: more downtime of {tier}", "minutes per year"))
            _estimate(sheet, row, 0, more, "number")
            row += 1
    return row


def _credits(sheet: Sheet, row: int, valued: Sequence[Valued]) -> int:
    tiers = list(dict.fromkeys(tier for one in valued for tier in one.profile.credits_by_month))
    if not tiers:
        return row
    sheet.texts(row, 0, ("Service credits of a month", "Unit"), "head")
    for index, one in enumerate(valued):
        sheet.texts(row, 2 + 3 * index, (one.build.name, "", ""), "figures")
    row += 1
    for tier in tiers:
        steps = max(
            len(one.profile.credits_by_month[tier].probability)
            for one in valued
            if tier in one.profile.credits_by_month
        )
        for line in range(2 + steps):
            label = (
                ("expected credit", "mean availability")[line]
                if line < 2
                else (f"probability of step {line - 1} of the schedule")
            )
            sheet.texts(row, 0, (f"{tier}: {label}", "USD per month" if line == 0 else "share"))
            for index, one in enumerate(valued):
                month = one.profile.credits_by_month.get(tier)
                if month is None or line - 2 >= len(month.probability):
                    continue
                kind = ("usd", "availability")[line] if line < 2 else "availability"
                value = (
                    (month.expected_usd_per_month, month.expected_availability)[line]
                    if line < 2
                    else month.probability[line - 2]
                )
                sheet.number(row, 2 + 3 * index, value, kind)
            row += 1
    return row


def _cooling(sheet: Sheet, row: int, valued: Sequence[Valued]) -> int:
    heads = (
        "Loss of cooling, exactly",
        "Build",
        "Clusters",
        "Hours per year",
        "MWh of heat per year",
        "Hours, running units alone",
        "Largest outage covered",
        "Least reserve, MW",
        "Not in these figures",
    )
    sheet.texts(row, 0, heads, "head")
    row += 1
    for one in valued:
        for group in one.cooling:
            sheet.texts(row, 0, (", ".join(group.plants), one.build.name))
            sheet.text(row, 2, ", ".join(group.clusters))
            sheet.number(row, 3, group.hours_per_year, "small")
            sheet.number(row, 4, group.unserved_mwh_per_year, "small")
            sheet.number(row, 5, group.running_hours_per_year, "small")
            sheet.number(row, 6, group.largest_outage_covered, "year")
            sheet.number(row, 7, group.least_reserve_mw, "small")
            notes = [note for note in (group.dependent, group.bound) if note]
            sheet.text(row, 8, "; ".join(notes), "note")
            row += 1
    return row


def _return_periods(book: Book, sheet: Sheet, row: int, valued: Sequence[Valued]) -> int:
    """Loss that one year in so many exceeds."""
    names = [one.build.name for one in valued]
    sheet.texts(row, 0, ("Loss exceeded in one year of", book.money_unit), "head")
    sheet.texts(row, 2, names, "figures")
    row += 1
    for years in RETURN_YEARS:
        sheet.number(row, 0, years, "whole")
        for index, one in enumerate(valued):
            usd = float(one.profile.annual.value_at_risk(1 - 1 / years))
            sheet.number(row, 2 + index, usd, "money")
        row += 1
    return row


def _curves(book: Book, sheet: Sheet, row: int, valued: Sequence[Valued]) -> None:
    """Exceedance curves with their chart; a loss of nothing has no place on a logarithmic axis."""
    chart = book.workbook.add_chart({"type": "scatter", "subtype": "straight"})
    place, row, smallest = row, row + CHART_ROWS, math.inf
    sheet.worksheet.set_h_pagebreaks([place])
    sheet.texts(row, 0, ("Exceedance curve", ""), "head")
    for index, one in enumerate(valued):
        column = 2 + 3 * index
        sheet.texts(row, column, (one.build.name, ""), "figures")
        sheet.texts(row + 1, column, (book.money_unit, "Probability of more"), "figures")
        probability, usd = one.profile.annual.curve(POINTS, LEAST)
        points = [(u, p) for u, p in zip(usd, probability, strict=True) if u > 0 and p > 0]
        for line, (amount, chance) in enumerate(points, start=row + 2):
            sheet.number(line, column, float(amount), "money")
            sheet.number(line, column + 1, float(chance), "availability")
        if points:
            last = row + 1 + len(points)
            smallest = min(smallest, *(amount for amount, _ in points))
            chart.add_series(
                {
                    "name": [RISK, row, column],
                    "categories": [RISK, row + 2, column, last, column],
                    "values": [RISK, row + 2, column + 1, last, column + 1],
                    "line": {"width": 2.0},
                }
            )
    if smallest == math.inf:
        return
    number = "#,##0.###,," if book.in_millions else "#,##0"
    lines = {"visible": True, "line": {"color": "#D9D9D9"}}
    chart.set_title({"name": "Probability that a year costs more", "name_font": {"size": 12}})
    chart.set_x_axis(
        {
            "name": f"Loss of a year, {book.money_unit}",
            "min": 10.0 ** math.floor(math.log10(smallest)),
            "num_format": number,
            "log_base": 10,
            "label_position": "low",
            "major_gridlines": lines,
        }
    )
    chart.set_y_axis(
        {
            "name": "Probability",
            "log_base": 10,
            "min": LEAST,
            "max": 1,
            "num_format": "0.00%",
            "crossing": LEAST,
            "major_gridlines": lines,
        }
    )
    chart.set_legend({"position": "bottom"})
    chart.set_size({"width": 720, "height": 400})
    sheet.worksheet.insert_chart(place, 0, chart, {"y_offset": 6})


def write_scenarios(book: Book, valued: Sequence[Valued]) -> None:
    """Write every scenario with its outcome on every build."""
    heads = (
        "Survives",
        "Lost requests",
        "Recovery, minutes",
        "Emergency, USD",
        "Loss, USD per year",
        "Share of loss",
    )
    width = len(heads)
    sheet = book.sheet(SCENARIOS, (44, 14, 14, *[16] * (width * len(valued))))
    sheet.title(
        "Scenarios",
        "Outcome of each scenario by itself, at the hour it is stated for. Losses are those of all "
        "failures that begin with it, at any hour, on average over the years.",
    )
    sheet.texts(3, 0, ("", "", ""), "head")
    sheet.texts(4, 0, ("Scenario", "Severity", "Times a year"), "head")
    for index, one in enumerate(valued):
        sheet.texts(3, 3 + width * index, (one.build.name, *[""] * (width - 1)), "head")
        sheet.texts(4, 3 + width * index, heads, "figures")
    sheet.freeze(5, 1)
    verdicts = [{verdict.name: verdict for verdict in one.verdicts} for one in valued]
    losses = [{loss.source: loss for loss in one.profile.by_source} for one in valued]
    known = {name: verdict for of_one in verdicts for name, verdict in of_one.items()}
    names = list(dict.fromkeys((*known, *(name for of_one in losses for name in of_one))))
    last = 5 + len(names)
    for row, name in enumerate(names, start=5):
        sheet.text(row, 0, name)
        if name in known:
            sheet.text(row, 1, known[name].severity)
            sheet.number(row, 2, known[name].frequency_per_year, "small")
        for index in range(len(valued)):
            column = 3 + width * index
            verdict, loss = verdicts[index].get(name), losses[index].get(name)
            if verdict is not None:
                sheet.text(row, column, "no" if verdict.breaches else "yes", "right")
                sheet.number(row, column + 1, verdict.lost_requests, "whole")
                sheet.number(row, column + 2, verdict.recovery_minutes, "number")
                sheet.number(row, column + 3, verdict.emergency_usd, "usd")
            if loss is not None:
                sheet.number(row, column + 4, loss.usd_per_year.value, "usd")
                _share(sheet, row, column + 4, last, valued[index], loss.usd_per_year.value)
    sheet.text(last, 0, "All", "total")
    for index, one in enumerate(valued):
        column = 3 + width * index + 4
        total = sum(loss.usd_per_year.value for loss in one.profile.by_source)
        formula = f"SUM({cell(5, column)}:{cell(last - 1, column)})"
        sheet.formula(last, column, formula, total, "usd", "total")
    sheet.worksheet.autofilter(4, 0, last - 1, 2 + width * len(valued))


def _share(sheet: Sheet, row: int, column: int, last: int, one: Valued, usd: float) -> None:
    total = sum(loss.usd_per_year.value for loss in one.profile.by_source)
    formula = f"IF({cell(last, column)}>0,{cell(row, column)}/{cell(last, column)},0)"
    sheet.formula(row, column + 1, formula, usd / total if total > 0 else 0.0, "share")
