"""Measures of a build under its cash flows: what it returns, and what owning it costs."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from planner.files import package_table
from planner.finance.appraisal import BuildAppraisal, Returns
from planner.finance.workbook.assets import BuildCells
from planner.finance.workbook.book import Book, Floats, Value
from planner.finance.workbook.grid import FIRST, Grid, Year
from planner.finance.workbook.inputs import BuildNames

#: Where a search for the internal rate starts when the first start finds none.
GUESSES = ("0.1", "1", "-0.2")
NO_RATE, NEVER = "none", "never"
#: Label, unit and kind of number of each measure, in the order of the first sheet.
LINES = {
    row["measure"]: (row["label"], row["unit"], row["kind"])
    for row in package_table("planner.finance.workbook", "measures.csv")
}
SIGN_CHANGES = ("Sign changes of the net cash flow", "number", "year")


@dataclass(frozen=True)
class NetRows:
    """Rows of the statement that measures take."""

    net: int
    cumulative: int
    discounted_so_far: int
    benefits: int
    costs: int
    sign: int
    short: int
    discounted_short: int


@dataclass(frozen=True)
class OwningRows:
    """Rows of what owning costs."""

    cost: int
    millions: int


@dataclass
class Measures:
    """The list of measures.

    Parameters
    ----------
    cells, values
        Where each measure stands and its value now.
    """

    book: Book
    grid: Grid
    name: str
    cells: dict[str, str] = field(default_factory=dict)
    values: dict[str, Value] = field(default_factory=dict)

    def add(self, key: str, formula: str, value: Value, note: str = "") -> str:
        """One measure with a name of its own; returns its cell."""
        grid, row = self.grid, self.grid.row
        label, unit, kind = LINES.get(key, SIGN_CHANGES)
        grid.sheet.text(row, 0, label, "measure")
        grid.sheet.text(row, 1, unit, "note")
        grid.sheet.formula(row, 2, formula, value, kind, "measure")
        if note:
            grid.sheet.text(row, FIRST, note, "note")
        self.book.define(f"{key}_{self.name}", grid.sheet, (row, 2))
        self.cells[key], self.values[key] = grid.sheet.at(row, 2), value
        grid.row += 1
        return f"$C${row + 1}"

    def note(self, formula: str, value: str) -> None:
        """A live note on the last measure."""
        self.grid.sheet.formula(self.grid.row - 1, FIRST, formula, value, "text", "note")

    def worth(self, row: int) -> str:
        """Present value of a row."""
        first, second = Year(0).at(row), Year(1).at(row)
        return f"({first}+NPV(discount_rate,{second}:{Year(self.grid.years).at(row)}))"

    def returns(self, rows: NetRows, net: Floats, returns: Returns) -> None:
        """Measures of return."""
        self.grid.part(f"Return: {self.name}")
        self.add("npv", self.worth(rows.net), returns.npv_usd)
        gain = self.add("present_benefits", self.worth(rows.benefits), returns.present_benefits_usd)
        cost = self.add("present_costs", self.worth(rows.costs), returns.present_costs_usd)
        self._rates(rows, net, returns)
        for key, row, short, years in (
            ("payback", rows.cumulative, rows.short, returns.payback_years),
            (
                "discounted_payback",
                rows.discounted_so_far,
                rows.discounted_short,
                returns.discounted_payback_years,
            ),
        ):
            value = NEVER if years is None else years
            self.add(key, self._payback(rows.net, row, short), value)
        ratio = f'IF({cost}>0,{gain}/{cost},"{NO_RATE}")'
        self.add("benefit_cost_ratio", ratio, returns.benefit_cost_ratio)
        self.add("roi", f'IF({cost}>0,{gain}/{cost}-1,"{NO_RATE}")', returns.roi)
        spent = f"SUM({self.grid.span(rows.costs)})"
        roi = f'IF({spent}>0,SUM({self.grid.span(rows.benefits)})/{spent}-1,"{NO_RATE}")'
        self.add("undiscounted_roi", roi, returns.undiscounted_roi)

    def _rates(self, rows: NetRows, net: Floats, returns: Returns) -> None:
        """Internal rate, changes of sign, modified internal rate."""
        span = self.grid.span(rows.net)
        ends = (Year(0).at(rows.sign), Year(self.grid.years).at(rows.sign))
        inner = f"{ends[0]}:{Year(self.grid.years - 1).at(rows.sign)}"
        later = f"{Year(1).at(rows.sign)}:{ends[1]}"
        last_signs = signs(net, self.grid.years)
        changes = int(
            np.count_nonzero((last_signs[1:] != last_signs[:-1]) & (last_signs[:-1] != 0))
        )
        at = self.add(
            "sign_changes",
            f"SUMPRODUCT(({later}<>{inner})*({inner}<>0))",
            changes,
            "There are at most as many internal rates.",
        )
        rate = returns.irr.rates[0] if returns.irr.rates else None
        start = 0.1 if rate is None else round(min(max(rate, -0.9), 10.0), 2)
        search = f'"{NO_RATE}"'
        for guess in reversed((f"{start:g}", *GUESSES)):
            search = f"IFERROR(IRR({span},{guess}),{search})"
        formula = f'IF({at}=0,"{NO_RATE}",{search})'
        cell = self.add("irr", formula, rate)
        several = "; a spreadsheet shows one of several" if len(returns.irr.rates) > 1 else ""
        reason = f"Internal rate as delivered: {returns.irr.reason}{several}."
        live = "The cash flow changes sign more than once: there may be other rates."
        text = live if changes > 1 and rate is not None else ""
        self.note(f'IF(AND({at}>1,ISNUMBER({cell})),"{live}","")', text)
        first, whole = Year(0).at(rows.net), f"INDEX({span},horizon_years+1)"
        formula = (
            f"IF(AND(MIN({span})<0,MAX({span})>0),"
            f'MIRR({first}:{whole},discount_rate,discount_rate),"{NO_RATE}")'
        )
        self.add("mirr", formula, returns.mirr, reason if returns.irr.reason else "")

    def _payback(self, net: int, so_far: int, short: int) -> str:
        """Years until it is paid back for good, interpolated."""
        last, total = f"MAX({self.grid.span(short)})", self.grid.span(so_far)
        before, after = f"INDEX({total},{last}+1)", f"INDEX({total},{last}+2)"
        return (
            f'IF(SUMPRODUCT(ABS({self.grid.span(net)}))=0,"{NEVER}",IF({last}<0,0,'
            f'IF({last}=horizon_years,"{NEVER}",{last}+{before}/({before}-{after}))))'
        )

    def ownership(
        self, rows: OwningRows, build: BuildCells, names: BuildNames, appraisal: BuildAppraisal
    ) -> None:
        """Measures of what owning costs."""
        found, assets = appraisal.ownership, build.assets
        self.add("capital", assets.capital, appraisal.capital_usd)
        owning = f"{assets.annualised}+{build.running.total}"
        self.add("owning", owning, appraisal.owning_usd_per_year)
        total = self.add("total_cost_of_ownership", self.worth(rows.cost), found.present_usd)
        yearly = f"-PMT(discount_rate,horizon_years,{total})"
        self.add("equivalent_annual_cost", yearly, found.usd_per_year)
        millions = self.worth(rows.millions)
        for key, count, usd in (
            ("usd_per_gpu", names.gpus, found.usd_per_gpu),
            ("usd_per_million_requests", millions, found.usd_per_million_requests),
        ):
            self.add(key, f'IF({count}>0,{total}/{count},"{NO_RATE}")', usd)


def signs(values: Floats, years: int) -> Floats:
    """Sign of the last cash flow that is not zero, by year."""
    found, last = [], 0.0
    for year in range(years + 1):
        value = values[year] if year < len(values) else 0.0
        last = float(np.sign(value)) or last
        found.append(last)
    return np.array(found)
