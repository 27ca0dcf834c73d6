"""Sheets of values: losses of a year, scenarios, sensitivity, the recorded incident."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from planner.finance import tables
from planner.finance.tables import Row
from planner.finance.workbook.book import Book, Sheet

if TYPE_CHECKING:
    from planner.finance.study import FinanceStudy, Valued

RISK, SCENARIOS, SENSITIVITY, INCIDENT = "Risk", "Scenarios", "Sensitivity", "Incident"
#: Losses are shown that one year in so many exceeds.
RETURN_YEARS = (2, 5, 10, 20, 50, 100, 200, 500, 1_000)
#: Points of the exceedance curve, least probability on it.
POINTS, LEAST = 24, 1e-4
#: Rows that a chart takes.
CHART_ROWS = 22
#: Longest text that takes one line, characters.
LONG = 30
GREY_LINES = {"visible": True, "line": {"color": "#D9D9D9"}}
UNITS = {"usd": "USD", "npv": "NPV", "mwh": "MWh"}
SHARE = dict.fromkeys(("estimate", "low", "high"), "availability")

type Cells = list[float | str | None]


def _records(
    sheet: Sheet, row: int, title: str, rows: Iterable[Row], kinds: Mapping[str, str] | None = None
) -> int:
    """Write records as a table under a title; returns the row after an empty one.

    Parameters
    ----------
    kinds
        Kinds of columns that their names and values do not tell.
    """
    records = list(rows)
    if not records:
        return row
    sheet.text(row, 0, title, "part")
    columns = [
        (_head(name), (kinds or {}).get(name) or _kind(name, records)) for name in records[0]
    ]
    cells = [[_cell(value) for value in record.values()] for record in records]
    return sheet.table(row + 1, columns, cells) + 1


def _head(name: str) -> str:
    words = (UNITS.get(word, word) for word in name.split("_"))
    return " ".join(words)


def _kind(name: str, records: Sequence[Row]) -> str:
    values = [record[name] for record in records if record[name] is not None]
    if any(isinstance(value, str | bool | list) for value in values):
        return "aside" if max(len(str(_cell(value))) for value in values) > LONG else "text"
    if "usd" in name:
        return "money"
    return "whole" if all(isinstance(value, int) for value in values) else "small"


def _cell(value: Any) -> float | str | None:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "; ".join(map(str, value)) if isinstance(value, list) else value


def _of_plans(valued: Sequence[Valued], rows: Any) -> Iterator[Row]:
    """Records of all builds, each with the name of its build."""
    return ({"plan": side.build.name, **row} for side in valued for row in rows(side))


def write_risk(book: Book, valued: Sequence[Valued]) -> None:
    """Write losses of a year, availability, service credits, cooling and the exceedance curve."""
    sheet = book.sheet(RISK, (30, 32, *[15] * 8))
    sheet.title(
        RISK,
        "Values of the simulated failures at today's prices and failure rates. Low and high are "
        "the ends of the 95 % confidence interval.",
    )
    row = 3
    for title, rows, kinds in (
        ("Loss of a year, USD", tables.risk_rows, dict.fromkeys(SHARE, "money")),
        ("Availability", tables.availability_rows, SHARE | {"promised": "availability"}),
        ("Minutes a year without service beyond what exists", tables.worse_rows, {}),
        ("Expected loss by cause", tables.loss_rows, {}),
        ("Service credits of a month", tables.credit_step_rows, {"below": "availability"}),
        ("Loss of cooling, exactly", tables.cooling_rows, {}),
    ):
        row = _records(sheet, row, title, _of_plans(valued, rows), kinds)
    for side in valued:
        sheet.text(row, 0, f"{side.build.name}: {side.coverage.sentence}", "note")
        row += 1
    row = _return_periods(sheet, row + 1, valued)
    _curves(book, sheet, row, valued)


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
    sheet = book.sheet(SENSITIVITY, (30, 18, *[15] * 5, 60))
    sheet.title(
        SENSITIVITY,
        "Net present value with one input low and high, the plan unchanged: values, rates as "
        "shares, all else as factors. To try others, change the sheet Assumptions.",
    )
    row, pages = 3, []
    for name, swings in study.swings.items():
        title = f"Net present value: {name}"
        lines = [
            {
                "input": swing.input.name,
                "low": swing.low,
                "high": swing.high,
                "npv_at_low_usd": swing.npv_low_usd,
                "npv_at_high_usd": swing.npv_high_usd,
                "change_at_low_usd": swing.npv_low_usd - swing.npv_usd,
                "change_at_high_usd": swing.npv_high_usd - swing.npv_usd,
                "range_from": swing.input.reason,
            }
            for swing in swings
        ]
        end = _records(sheet, row, title, lines)
        if lines:
            height = 130 + 26 * len(lines)
            chart = _bars(book, row + 2, end - 2)
            chart.set_size({"width": 760, "height": height})
            sheet.worksheet.insert_chart(end, 0, chart)
            end += 1 + height // 20
        pages.append(end)
        row = end
    row = _records(sheet, row, "Net present value of zero at", tables.break_even_rows(study))
    _records(sheet, row, "Optimised anew", tables.replanned_rows(study))
    sheet.worksheet.set_h_pagebreaks(pages)


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


def write_incident(book: Book, study: FinanceStudy) -> None:
    """Write what is printed about the incident beside what its own inputs give."""
    sheet = book.sheet(INCIDENT, (40, 14, 14, 18, 18, 18, 18, 18, 10, 44, 44))
    sheet.title(
        "Recorded incident",
        "Figures as printed beside what the printed inputs give by formula. Nothing is corrected.",
    )
    row = _records(sheet, 3, "Ledger", map(tables.ledger_row, study.ledger))
    title = "Incidents in ten years that justify the prevention"
    row = _records(sheet, row, title, tables.incident_rows(study))
    inputs = {name: value for line in study.ledger for name, value in line.inputs}
    rows = ({"name": name, "value": value} for name, value in inputs.items())
    _records(sheet, row, "Printed inputs", rows)
