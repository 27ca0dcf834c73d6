"""Measures of a build under its cash flows: what it returns, and what owning it costs."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from planner.finance.appraisal import BuildAppraisal, Returns
from planner.finance.workbook.assets import BuildCells
from planner.finance.workbook.book import Book, Floats, Value
from planner.finance.workbook.grid import FIRST, Grid, Year
from planner.finance.workbook.inputs import BuildNames

#: Where a search for the internal rate starts when the first start finds none.
GUESSES = ("0.1", "1", "-0.2")
NO_RATE, NEVER = "none", "never"


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

    def add(
        self, key: str, label: str, unit: str, kind: str, formula: str, value: Value, note: str = ""
    ) -> str:
        """One measure with a name of its own; returns its cell."""
        grid, row = self.grid, self.grid.row
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
        present = (
            ("npv", "Net present value", rows.net, returns.npv_usd),
            (
                "present_benefits",
                "Present value of benefits",
                rows.benefits,
                returns.present_benefits_usd,
            ),
            ("present_costs", "Present value of costs", rows.costs, returns.present_costs_usd),
        )
        _, gain, cost = (
            self.add(key, label, "USD", "money", self.worth(row), value)
            for key, label, row, value in present
        )
        self._rates(rows, net, returns)
        self._paid_back(rows, returns)
        ratio, value = f'IF({cost}>0,{gain}/{cost},"{NO_RATE}")', returns.benefit_cost_ratio
        self.add("benefit_cost_ratio", "Benefit-cost ratio", "ratio", "factor", ratio, value)
        roi = f'IF({cost}>0,{gain}/{cost}-1,"{NO_RATE}")'
        self.add("roi", "Return on investment", "of costs", "share", roi, returns.roi)
        spent = f"SUM({self.grid.span(rows.costs)})"
        roi = f'IF({spent}>0,SUM({self.grid.span(rows.benefits)})/{spent}-1,"{NO_RATE}")'
        label = "Return on investment, undiscounted"
        self.add("undiscounted_roi", label, "of costs", "share", roi, returns.undiscounted_roi)

    def _paid_back(self, rows: NetRows, returns: Returns) -> None:
        """Payback, also discounted."""
        for key, label, row, short, years in (
            ("payback", "Payback", rows.cumulative, rows.short, returns.payback_years),
            (
                "discounted_payback",
                "Discounted payback",
                rows.discounted_so_far,
                rows.discounted_short,
                returns.discounted_payback_years,
            ),
        ):
            value = NEVER if years is None else years
            self.add(key, label, "years", "number", self._payback(rows.net, row, short), value)

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
            "Sign changes of the net cash flow",
            "number",
            "year",
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
        cell = self.add("irr", "Internal rate of return", "per year", "share", formula, rate)
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
        label, reason = "Modified internal rate of return", reason if returns.irr.reason else ""
        self.add("mirr", label, "per year", "share", formula, returns.mirr, reason)

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
        value = appraisal.capital_usd
        self.add("capital", "Capital today", "USD", "money", assets.capital, value)
        self.add(
            "owning",
            "Capex and opex, annualised",
            "USD per year",
            "money",
            f"{assets.annualised}+{build.running.total}",
            appraisal.owning_usd_per_year,
        )
        label, formula = "Total cost of ownership, present value", self.worth(rows.cost)
        key = "total_cost_of_ownership"
        total = self.add(key, label, "USD", "money", formula, found.present_usd)
        self.add(
            "equivalent_annual_cost",
            "Equivalent annual cost",
            "USD per year",
            "money",
            f"-PMT(discount_rate,horizon_years,{total})",
            found.usd_per_year,
        )
        per_gpu = f'IF({names.gpus}>0,{total}/{names.gpus},"{NO_RATE}")'
        label = "Total cost of ownership per GPU"
        self.add("usd_per_gpu", label, "USD", "usd", per_gpu, found.usd_per_gpu)
        millions = self.worth(rows.millions)
        self.add(
            "usd_per_million_requests",
            "Total cost of ownership per million requests",
            "USD",
            "usd",
            f'IF({millions}>0,{total}/{millions},"{NO_RATE}")',
            found.usd_per_million_requests,
        )


def signs(values: Floats, years: int) -> Floats:
    """Sign of the last cash flow that is not zero, by year."""
    found, last = [], 0.0
    for year in range(years + 1):
        value = values[year] if year < len(values) else 0.0
        last = float(np.sign(value)) or last
        found.append(last)
    return np.array(found)
