"""Sheets of values: losses of a year, scenarios, sensitivity, the recorded incident."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from planner.finance.ledger import break_even
from planner.finance.sensitivity import Input, Swing
from planner.finance.workbook.book import Book, Sheet
from planner.reliability.estimates import Estimate

if TYPE_CHECKING:
    from planner.finance.study import FinanceStudy, Valued

RISK, SCENARIOS, SENSITIVITY, INCIDENT = "Risk", "Scenarios", "Sensitivity", "Incident"
#: Losses are shown that one year in so many exceeds.
RETURN_YEARS = (2, 5, 10, 20, 50, 100, 200, 500, 1_000)
#: Points of the exceedance curve, least probability on it.
POINTS, LEAST = 24, 1e-4
#: Rows that a chart takes.
CHART_ROWS = 22
GREY_LINES = {"visible": True, "line": {"color": "#D9D9D9"}}

type Cells = list[float | str | None]


def write_risk(book: Book, valued: Sequence[Valued]) -> None:
    """Write losses of a year, availability, service credits, cooling and the exceedance curve."""
    sheet = book.sheet(RISK, (50, 19, *[15] * max(4, 3 * len(valued))))
    sheet.title(
        RISK,
        "Values of the simulated failures at today's prices and failure rates. Low and high are "
        "the ends of the 95 % confidence interval.",
    )
    heads = [f"{side.build.name}: {end}" for side in valued for end in ("estimate", "low", "high")]
    row = 3
    for title, kind, lines in (
        ("Loss of a year", "money", _losses(valued)),
        ("Availability", "availability", _of_tiers(valued, "availability", "of minutes")),
        (
            "Downtime",
            "number",
            _of_tiers(valued, "downtime_minutes_per_year", "minutes per year"),
        ),
        ("Lost requests", "whole", _of_tiers(valued, "lost_requests_per_year", "per year")),
    ):
        columns = [(title, "text"), ("Unit", "text"), *((head, kind) for head in heads)]
        row = sheet.table(row, columns, lines) + 1
    for side in valued:
        sheet.text(row, 0, f"{side.build.name}: {side.coverage.sentence}", "note")
        row += 1
    row = _credits(sheet, row + 1, valued)
    row = _cooling(sheet, row, valued)
    row = _return_periods(sheet, row, valued)
    _curves(book, sheet, row, valued)


def _interval(estimate: Estimate | None) -> Cells:
    return [None] * 3 if estimate is None else [estimate.value, estimate.low, estimate.high]


def _losses(valued: Sequence[Valued]) -> Iterator[Cells]:
    share = f"{100 * valued[0].profile.alpha:.4g} %"
    lines = (
        ("Expected annual loss", "expected_annual_loss_usd"),
        ("of it lost-request value", "value_usd"),
        ("of it service credits", "credits_usd"),
        ("of it emergency spend", "emergency_usd"),
        (f"VaR {share}: loss that {share} of years do not exceed", "var_usd"),
        (f"CVaR {share}: mean of the years beyond it", "cvar_usd"),
    )
    for label, attribute in lines:
        ends = [end for side in valued for end in _interval(getattr(side.profile, attribute))]
        yield [label, "USD per year", *ends]
    ends = [end for side in valued for end in _interval(side.avoided)]
    yield ["Expected annual loss avoided", "USD per year", *ends]


def _of_tiers(valued: Sequence[Valued], attribute: str, unit: str) -> Iterator[Cells]:
    tiers = dict.fromkeys(tier for side in valued for tier in side.profile.tiers)
    for tier in tiers:
        figures = [getattr(side.profile, attribute).get(tier) for side in valued]
        yield [tier, unit, *(end for figure in figures for end in _interval(figure))]
    if attribute == "downtime_minutes_per_year":
        for tier in dict.fromkeys(tier for side in valued for tier in side.worse):
            ends = [end for side in valued for end in _interval(side.worse.get(tier))]
            yield [f"{tier}: more than what exists", unit, *ends]


def _credits(sheet: Sheet, row: int, valued: Sequence[Valued]) -> int:
    lines: list[Cells] = []
    for side in valued:
        for tier, month in side.profile.credits_by_month.items():
            steps = side.build.model.tiers[tier].sla_credits
            chances = zip(steps, month.probability, strict=True)
            text = "; ".join(f"{chance:.3g} below {step.below:.6g}" for step, chance in chances)
            mean, usd = month.expected_availability, month.expected_usd_per_month
            lines.append([f"{side.build.name}: {tier}", "USD per month", usd, mean, text])
    if not lines:
        return row
    columns = [
        ("Service credits of a month", "text"),
        ("Unit", "text"),
        ("Expected", "usd"),
        ("Mean availability", "availability"),
        ("Probability of a month below each step", "text"),
    ]
    return sheet.table(row, columns, lines) + 1


def _cooling(sheet: Sheet, row: int, valued: Sequence[Valued]) -> int:
    lines: list[Cells] = []
    for side in valued:
        for group in side.cooling:
            lines.append(
                [
                    f"{side.build.name}: {', '.join(group.plants)}",
                    ", ".join(group.clusters),
                    group.hours_per_year,
                    group.unserved_mwh_per_year,
                    group.running_hours_per_year,
                    group.largest_outage_covered,
                    group.least_reserve_mw,
                ]
            )
    if not lines:
        return row
    columns = [
        ("Loss of cooling, exactly", "text"),
        ("Clusters", "aside"),
        ("Hours per year", "small"),
        ("MWh of heat per year", "small"),
        ("Hours, running units alone", "small"),
        ("Largest outage covered", "year"),
        ("Least reserve, MW", "number"),
    ]
    row = sheet.table(row, columns, lines)
    groups = [group for side in valued for group in side.cooling]
    for note in dict.fromkeys(note for group in groups for note in (group.dependent, group.bound)):
        if note:
            sheet.wrapped(row, 0, 7, note)
            row += 1
    return row + 1


def _return_periods(sheet: Sheet, row: int, valued: Sequence[Valued]) -> int:
    columns = [("Loss that one year in so many exceeds, USD", "whole"), ("", "text")]
    columns += [(side.build.name, "money") for side in valued]
    lines: list[Cells] = [
        [years, "", *(float(s.profile.annual.value_at_risk(1 - 1 / years)) for s in valued)]
        for years in RETURN_YEARS
    ]
    return sheet.table(row, columns, lines) + 1


def _curves(book: Book, sheet: Sheet, row: int, valued: Sequence[Valued]) -> None:
    """Exceedance curves with their chart; a loss of zero has no place on a logarithmic axis."""
    chart = book.workbook.add_chart({"type": "scatter", "subtype": "straight"})
    top, smallest = row + CHART_ROWS, math.inf
    for index, side in enumerate(valued):
        left = 2 + 2 * index
        probability, usd = side.profile.annual.curve(POINTS, LEAST)
        points = [(u, p) for u, p in zip(usd.tolist(), probability.tolist(), strict=True) if u * p]
        if not points:
            continue
        sheet.texts(top, left, (f"{side.build.name}: loss, USD", "probability of more"), "figures")
        for line, (amount, chance) in enumerate(points, start=top + 1):
            sheet.number(line, left, amount, "money")
            sheet.number(line, left + 1, chance, "availability")
        last = top + len(points)
        smallest = min(smallest, *(amount for amount, _ in points))
        chart.add_series(
            {
                "name": [SCENARIOS, 3, 3 + 5 * index],
                "categories": [RISK, top + 1, left, last, left],
                "values": [RISK, top + 1, left + 1, last, left + 1],
                "line": {"width": 2.0},
            }
        )
    sheet.worksheet.set_h_pagebreaks([row])
    if smallest == math.inf:
        return
    sheet.text(top, 0, "Exceedance curve: values of the chart", "part")
    chart.set_title({"name": "Probability that a year costs more", "name_font": {"size": 12}})
    chart.set_x_axis(
        {
            "name": "Loss of a year, USD million",
            "min": 10.0 ** math.floor(math.log10(smallest)),
            "num_format": "#,##0.###,,",
            "log_base": 10,
            "label_position": "low",
            "major_gridlines": GREY_LINES,
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
            "major_gridlines": GREY_LINES,
        }
    )
    chart.set_legend({"position": "bottom"})
    chart.set_size({"width": 720, "height": 400})
    sheet.worksheet.insert_chart(row, 0, chart, {"y_offset": 6})


def write_scenarios(book: Book, valued: Sequence[Valued]) -> None:
    """Write every scenario with its outcome on every build."""
    heads = (
        ("Survives", "text"),
        ("Lost requests", "whole"),
        ("Recovery, minutes", "number"),
        ("Emergency spend, USD", "money"),
        ("Expected loss, USD per year", "money"),
    )
    width = len(heads)
    sheet = book.sheet(SCENARIOS, (44, 10, 13, *[10, 15, 11, 14, 15] * len(valued)))
    sheet.title(
        SCENARIOS,
        "Each scenario by itself, at the hour it is stated for. Expected losses are those of all "
        "failures that begin with it, at any hour.",
    )
    sheet.texts(3, 0, ("", "", ""), "head")
    for index, side in enumerate(valued):
        sheet.texts(3, 3 + width * index, (side.build.name, *[""] * (width - 1)), "head")
    columns = [("Scenario", "text"), ("Severity", "text"), ("Times a year", "small")]
    sheet.table(4, [*columns, *heads * len(valued)], _outcomes(valued))
    sheet.freeze(5, 1)
    sheet.worksheet.repeat_rows(3, 4)


def _outcomes(valued: Sequence[Valued]) -> Iterator[Cells]:
    verdicts = [{verdict.name: verdict for verdict in side.verdicts} for side in valued]
    losses = [{loss.source: loss for loss in side.profile.by_source} for side in valued]
    known = {name: verdict for found in verdicts for name, verdict in found.items()}
    for name in dict.fromkeys((*known, *(name for found in losses for name in found))):
        first = known.get(name)
        line: Cells = [name, *([None, None] if first is None else [first.severity, None])]
        if first is not None:
            line[2] = first.frequency_per_year
        for of_build, lost in zip(verdicts, losses, strict=True):
            verdict, loss = of_build.get(name), lost.get(name)
            if verdict is None:
                line += [None] * 4
            else:
                recovery = verdict.recovery_minutes
                line += ["no" if verdict.breaches else "yes", verdict.lost_requests]
                line += ["never" if recovery is None else recovery, verdict.emergency_usd]
            line.append(None if loss is None else loss.usd_per_year.value)
        yield line
    totals = [sum(loss.usd_per_year.value for loss in found.values()) for found in losses]
    yield ["All", None, None, *(cell for usd in totals for cell in [None] * 4 + [usd])]


def write_sensitivity(book: Book, study: FinanceStudy) -> None:
    """Write tornado, break-evens and what would change the plan."""
    sheet = book.sheet(SENSITIVITY, (30, 12, 12, 18, 18, 18, 18, 60))
    sheet.title(
        SENSITIVITY,
        "Net present value with one input low and high, the plan unchanged: values. To try "
        "others, change the sheet Assumptions.",
    )
    row, pages = 3, []
    for name, swings in study.swings.items():
        if row > 3:
            pages.append(row)
        row = _tornado(book, sheet, row, name, swings)
        row = _break_evens(sheet, row, study, name) + 1
    if study.replanned:
        pages.append(row)
        _replanned(sheet, row, study)
    sheet.worksheet.set_h_pagebreaks(pages)


def _value(varied: Input, value: float | None) -> str | None:
    """A value of an input: a rate in percent, or a factor."""
    if value is None:
        return None
    return f"{100 * value:.4g} %" if varied.kind == "rate" else f"× {value:.4g}"


def _tornado(book: Book, sheet: Sheet, row: int, name: str, swings: Sequence[Swing]) -> int:
    columns = [
        (f"Net present value: {name}", "text"),
        ("Low", "text"),
        ("High", "text"),
        ("NPV at low, USD", "money"),
        ("NPV at high, USD", "money"),
        ("Change at low, USD", "money"),
        ("Change at high, USD", "money"),
        ("Range from", "aside"),
    ]
    lines: list[Cells] = [
        [
            swing.input.name,
            _value(swing.input, swing.low),
            _value(swing.input, swing.high),
            swing.npv_low_usd,
            swing.npv_high_usd,
            swing.npv_low_usd - swing.npv_usd,
            swing.npv_high_usd - swing.npv_usd,
            swing.input.reason,
        ]
        for swing in swings
    ]
    end = sheet.table(row, columns, lines)
    if not swings:
        return end + 1
    height = 130 + 26 * len(swings)
    chart = _bars(book, row + 1, end - 1)
    chart.set_size({"width": 760, "height": height})
    sheet.worksheet.insert_chart(end + 1, 0, chart)
    return end + 2 + height // 20


def _bars(book: Book, first: int, last: int) -> Any:
    chart = book.workbook.add_chart({"type": "bar", "subtype": "stacked"})
    for column, colour, title in ((5, "#C55A11", "low value"), (6, "#2E75B6", "high value")):
        chart.add_series(
            {
                "name": title,
                "categories": [SENSITIVITY, first, 0, last, 0],
                "values": [SENSITIVITY, first, column, last, column],
                "fill": {"color": colour},
                "gap": 40,
                "overlap": 100,
            }
        )
    title = "Change of the net present value, USD million"
    chart.set_title({"name": title, "name_font": {"size": 12}})
    chart.set_y_axis({"reverse": True, "label_position": "low"})
    chart.set_x_axis({"num_format": "#,##0.0,,", "major_gridlines": GREY_LINES})
    chart.set_legend({"position": "bottom"})
    return chart


def _break_evens(sheet: Sheet, row: int, study: FinanceStudy, name: str) -> int:
    found = study.break_evens.get(name, ())
    if not found:
        return row
    columns = [
        ("Net present value of zero at", "text"),
        ("Today", "text"),
        ("Break-even", "text"),
        ("Times today's", "number"),
        ("Note", "text"),
    ]
    lines: list[Cells] = [
        [
            zero.input.name,
            _value(zero.input, zero.base),
            _value(zero.input, zero.value) or "none",
            zero.times,
            zero.reason,
        ]
        for zero in found
    ]
    return sheet.table(row, columns, lines)


def _replanned(sheet: Sheet, row: int, study: FinanceStudy) -> None:
    columns = [
        ("Optimised anew with", "text"),
        ("Value", "text"),
        ("Survives", "text"),
        ("Cost, USD per year", "money"),
        ("Capital, USD", "money"),
        ("Kept plan, USD per year", "money"),
        ("Kept plan survives", "text"),
        ("What changes", "aside"),
    ]
    lines: list[Cells] = [
        [
            f"{plan.input.name}, {plan.side}",
            _value(plan.input, plan.value),
            _yes(plan.survives),
            plan.usd_per_year,
            plan.capital_usd,
            plan.kept_usd_per_year,
            _yes(plan.kept_survives),
            "; ".join((*plan.changed, plan.note)) or "nothing",
        ]
        for plan in study.replanned
    ]
    sheet.table(row, columns, lines)


def _yes(value: bool | None) -> str:
    return "" if value is None else "yes" if value else "no"


def write_incident(book: Book, study: FinanceStudy) -> None:
    """Write what is printed about the incident beside what its own inputs give."""
    sheet = book.sheet(INCIDENT, (40, 14, 18, 18, 18, 12, 44, 44))
    sheet.title(
        "Recorded incident",
        "Figures as printed beside what the printed inputs give by formula. Nothing is corrected.",
    )
    columns = [
        ("Item", "text"),
        ("Group", "text"),
        ("Printed", "number"),
        ("By formula", "number"),
        ("Difference", "number"),
        ("Unit", "text"),
        ("Formula", "aside"),
        ("Note", "aside"),
    ]
    lines: list[Cells] = [
        [
            line.item,
            line.group,
            line.printed,
            line.by_formula,
            line.difference,
            line.unit,
            line.formula,
            line.note,
        ]
        for line in study.ledger
    ]
    row = sheet.table(3, columns, lines) + 1
    sheet.freeze(4, 1)
    columns = [
        ("Incidents in ten years that justify the prevention", "text"),
        ("Figures", "text"),
        ("Undiscounted", "index"),
        ("Discounted", "index"),
    ]
    found = break_even(study.ledger, study.assumptions.discount_rate)
    lines = [["", line.basis, line.incidents, line.incidents_discounted] for line in found]
    row = sheet.table(row, columns, lines) + 1 if lines else row
    inputs = {name: value for line in study.ledger for name, value in line.inputs}
    columns = [("Printed inputs", "text"), ("", "text"), ("Value", "number")]
    sheet.table(row, columns, [[name, "", value] for name, value in inputs.items()])
