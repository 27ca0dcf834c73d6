"""The sheet of cash flows of all builds, and what they come to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from planner.finance.appraisal import BuildAppraisal, costs_after_tax
from planner.finance.assumptions import Assumptions
from planner.finance.cashflow import CashFlow, Position, asset_flows, loss_index, running_by_year
from planner.finance.workbook.assets import (
    BOOK,
    CAPITAL,
    DEPRECIATION,
    INHERITED,
    PROCEEDS,
    BuildCells,
)
from planner.finance.workbook.book import Book, Floats
from planner.finance.workbook.grid import WIDTHS, Grid, Year
from planner.finance.workbook.inputs import Inputs
from planner.finance.workbook.measures import Measures, NetRows, OwningRows, signs
from planner.finance.workbook.plans import RunningRows

NAME = "Cash flow"
#: As in planner.laws.returns: a sum this close to zero, relative to all that flows, is zero.
SETTLED = "0.000000000001"
#: What failures cost: key in a cash flow, label, factors of Assumptions on it.
AVOIDED = (
    ("value", "Lost-request value avoided", "failure_rate*outage_value"),
    ("credits", "Service credits avoided", "failure_rate"),
    ("emergency", "Emergency spend avoided", "failure_rate*surge"),
)


@dataclass(frozen=True)
class Side:
    """A build with where its figures stand; `cumulative` is the row of its cash flow so far."""

    appraisal: BuildAppraisal
    cells: BuildCells
    measures: Measures
    cumulative: int | None

    @property
    def name(self) -> str:
        """The build."""
        return self.cells.position.name


@dataclass(frozen=True)
class YearRows:
    """Rows that tell which years count and what prices are in them."""

    counts: int
    runs: int
    prices: int
    electricity: int
    losses: int


@dataclass
class CashFlowSheet:
    """The sheet, filled build by build.

    Parameters
    ----------
    grid
        The sheet with its years.
    years
        Which years count and what prices are in them.
    pages
        Rows that begin a page.
    """

    book: Book
    grid: Grid
    assumptions: Assumptions
    inputs: Inputs

    def __post_init__(self) -> None:
        self.grid.head(("Build and year", "Unit", "All years"))
        self.years = self._years()
        self.pages: list[int] = []

    @classmethod
    def of(cls, book: Book, assumptions: Assumptions, inputs: Inputs) -> CashFlowSheet:
        """The sheet without a build."""
        grid = Grid(book.sheet(NAME, WIDTHS), inputs.years)
        grid.sheet.title(
            NAME,
            "USD of the year, against what exists today; income positive, spending negative. "
            "Year 0 is today, everything else is paid at the end of its year.",
        )
        return cls(book, grid, assumptions, inputs)

    def write(self, base: BuildCells, build: BuildCells, appraisal: BuildAppraisal) -> Side:
        """Write the cash flows of a build and its measures."""
        name = build.position.name
        found = Measures(self.book, self.grid, name)
        cumulative = None
        if appraisal.cash_flow is not None and appraisal.returns is not None:
            self.pages.append(self.grid.row + 1)
            self.grid.part(f"Cash flow: {name}")
            net = self._statement(base, build, appraisal.cash_flow)
            found.returns(net, appraisal.cash_flow.net, appraisal.returns)
            cumulative = net.cumulative
        owning = self._owning(build)
        found.ownership(owning, build, self.inputs.builds[name], appraisal)
        return Side(appraisal, build, found, cumulative)

    def finish(self) -> None:
        """Set pages once all builds are written."""
        self.grid.finish(self.assumptions.horizon_years, self.pages)

    def _years(self) -> YearRows:
        """Which years count, and the growth of prices."""
        grid, terms = self.grid, self.assumptions
        passed = np.arange(terms.horizon_years + 1)
        counts = grid.add(
            "Year within the horizon",
            "1 or 0",
            "year",
            lambda y: f"IF({y.itself}<=horizon_years,1,0)",
            np.ones(len(passed)),
        )
        runs = grid.add(
            "Year of operation",
            "1 or 0",
            "year",
            lambda y: f"IF({y.itself}>0,{y.at(counts)},0)",
            np.where(passed > 0, 1.0, 0.0),
        )

        def index(label: str, rate: str, value: float) -> int:
            return grid.add(
                label,
                "today is 1",
                "index",
                lambda y: f"(1+{rate})^{y.itself}*{y.at(counts)}",
                (1 + value) ** passed,
            )

        prices = index("Price index", "inflation_per_year", terms.inflation_per_year)
        electricity = index(
            "Electricity price index",
            "electricity_inflation_per_year",
            terms.electricity_inflation_per_year,
        )
        losses = grid.add(
            "Index of failure losses: prices and demand",
            "today is 1",
            "index",
            lambda y: (
                f"((1+inflation_per_year)*(1+demand_growth_per_year))^{y.itself}*{y.at(runs)}"
            ),
            loss_index(terms),
        )
        return YearRows(counts, runs, prices, electricity, losses)

    def _money(
        self,
        label: str,
        formula: Callable[[Year], str],
        values: Floats,
        look: str = "plain",
        total: bool = True,
    ) -> int:
        """A row of amounts."""
        return self.grid.add(label, "USD", "money", formula, values, look, total)

    def _statement(self, base: BuildCells, build: BuildCells, flow: CashFlow) -> NetRows:
        """Cash flows against what exists, down to the net cash flow."""
        first = self._money("Capital", lambda y: f"-({build.over(base, CAPITAL, y)})", flow.capital)
        proceeds = self._money(
            "Sales and value at the horizon",
            lambda y: build.over(base, PROCEEDS, y),
            flow.salvage,
        )
        start = self.grid.row
        self._saved(base.running, build.running, flow)
        self._avoided(base.position, build.position, flow)
        last = self._money(
            "Other cash flows",
            lambda y: f"INDEX(other_flows,{y.itself}+1)*{y.at(self.years.counts)}",
            flow.other_usd,
        )
        before = self._money(
            "Net cash flow before tax",
            lambda y: f"SUM({y.at(first)}:{y.at(last)})",
            flow.before_tax,
            "total",
        )
        off, book_value, tax = self._taxed(base, build, flow, (proceeds, start, last))
        net = self._money(
            "Net cash flow", lambda y: f"{y.at(before)}+{y.at(tax)}", flow.net, "total"
        )
        rate = self.assumptions.tax_rate
        benefits = self._money(
            "Benefits after tax",
            lambda y: f"(1-tax_rate)*(SUM({y.at(last - 3)}:{y.at(last - 1)})+MAX(0,{y.at(last)}))",
            (1 - rate) * np.sum([*flow.avoided.values(), np.maximum(flow.other_usd, 0)], axis=0),
        )

        def spent(year: Year) -> str:
            """Running cost saved, and other cash flows below 0."""
            return f"SUM({year.at(start)}:{year.at(last - 4)})+MIN(0,{year.at(last)})"

        costs = self._money(
            "Costs after tax",
            lambda y: (
                f"tax_rate*({y.at(proceeds)}-{y.at(book_value)}-{y.at(off)}"
                f"+{spent(y)})-({y.at(first)}+{y.at(proceeds)}+{spent(y)})"
            ),
            costs_after_tax(flow, rate),
        )
        return self._cumulated(net, benefits, costs, flow)

    def _saved(self, base: RunningRows, build: RunningRows, flow: CashFlow) -> None:
        """Running cost saved, by category."""
        for category in build.plain:
            plain = f"{base.plain[category]}-{build.plain[category]}"
            electric = f"{base.electric[category]}-{build.electric[category]}"
            values = flow.running.get(category, np.zeros(1))
            formula = partial(self._indexed, plain, electric)
            self._money(f"Running cost saved: {category}", formula, values)

    def _indexed(self, plain: str, electric: str, year: Year) -> str:
        """Running cost at the prices of a year."""
        rows = self.years
        return (
            f"(({plain})*{year.at(rows.prices)}+({electric})*{year.at(rows.electricity)})"
            f"*{year.at(rows.runs)}"
        )

    def _avoided(self, base: Position, build: Position, flow: CashFlow) -> None:
        """Failure losses avoided, by kind."""
        was, now = self.inputs.builds[base.name], self.inputs.builds[build.name]

        def formula(amount: str, year: Year) -> str:
            return f"{amount}*{year.at(self.years.losses)}"

        for key, label, factors in AVOIDED:
            amount = f"({getattr(was, key)}-{getattr(now, key)})*{factors}"
            self._money(label, partial(formula, amount), flow.avoided[key])

    def _taxed(
        self, base: BuildCells, build: BuildCells, flow: CashFlow, rows: tuple[int, int, int]
    ) -> tuple[int, int, int]:
        """Write what is taxed; returns the rows of depreciation, book value and tax.

        `rows` are those of proceeds, and the first and the last that is taxed.
        """
        proceeds, start, last = rows
        off = self._money(
            "Depreciation", lambda y: build.over(base, DEPRECIATION, y), flow.depreciation
        )
        book_value = self._money(
            "Book value of what is sold", lambda y: build.over(base, BOOK, y), flow.book_value
        )
        taxable = np.sum([*flow.running.values(), *flow.avoided.values(), flow.other_usd], axis=0)
        profit = self._money(
            "Taxable profit",
            lambda y: (
                f"SUM({y.at(start)}:{y.at(last)})+{y.at(proceeds)}-{y.at(book_value)}-{y.at(off)}"
            ),
            taxable + flow.salvage - flow.book_value - flow.depreciation,
        )
        tax = self._money("Tax", lambda y: f"-tax_rate*{y.at(profit)}", flow.tax)
        return off, book_value, tax

    def _cumulated(self, net: int, benefits: int, costs: int, flow: CashFlow) -> NetRows:
        """Cumulative cash flow, also discounted, and what the measures need of it."""
        values, rate = flow.net, self.assumptions.discount_rate
        present = values * (1 + rate) ** -np.arange(float(len(values)))
        so_far = self._sum("Cumulative cash flow", net, values)
        discounted = self._money(
            "Discounted net cash flow",
            lambda y: f"{y.at(net)}/(1+discount_rate)^{y.itself}",
            present,
        )
        discounted_so_far = self._sum("Cumulative discounted cash flow", discounted, present)
        sign = self.grid.add(
            "Sign of the latest cash flow",
            "-1, 0, 1",
            "year",
            lambda y: (
                f"SIGN({y.at(net)})"
                if y.number == 0
                else f"IF({y.at(net)}=0,{y.before(self.grid.row)},SIGN({y.at(net)}))"
            ),
            signs(values, self.grid.years),
        )
        return NetRows(
            net,
            so_far,
            discounted_so_far,
            benefits,
            costs,
            sign,
            self._short("Not yet paid back", net, so_far, values),
            self._short("Not yet paid back, discounted", discounted, discounted_so_far, present),
        )

    def _sum(self, label: str, row: int, values: Floats) -> int:
        total = np.full(self.grid.years + 1, values.sum())
        total[: len(values)] = np.cumsum(values)
        return self._money(
            label,
            lambda y: y.at(row) if y.number == 0 else f"{y.before(self.grid.row)}+{y.at(row)}",
            total,
            total=False,
        )

    def _short(self, label: str, row: int, so_far: int, values: Floats) -> int:
        total = np.cumsum(values)
        open_ = total < -1e-12 * np.cumsum(np.abs(values))
        years = np.full(self.grid.years + 1, -1.0)
        years[: len(values)] = np.where(open_, np.arange(len(values)), -1)
        return self.grid.add(
            label,
            "year, else -1",
            "year",
            lambda y: (
                f"IF(AND({y.itself}<=horizon_years,"
                f"{y.at(so_far)}<-{SETTLED}*SUMPRODUCT(ABS({y.so_far(row)}))),{y.itself},-1)"
            ),
            years,
        )

    def _owning(self, build: BuildCells) -> OwningRows:
        """Cost of ownership by year, and the requests served."""
        self.grid.part(f"Cost of ownership: {build.position.name}")
        position, terms = build.position, self.assumptions
        passed = np.arange(terms.horizon_years + 1)
        none = np.zeros(len(passed))
        run = np.sum([none, *running_by_year(position.running, terms).values()], axis=0)
        plain = "+".join(build.running.plain.values())
        electric = "+".join(build.running.electric.values())
        running = self._money("Running cost", partial(self._indexed, plain, electric), run)
        flows = [asset_flows(line, terms) for line in (*position.purchases, *position.held)]
        bought = np.sum([none, *(flow.capital for flow in flows)], axis=0)
        sold = np.sum([none, *(flow.proceeds - flow.inherited for flow in flows)], axis=0)
        total = build.by_year.total
        capital = self._money("Purchases", lambda y: total(CAPITAL, y), bought)
        earned = self._money(
            "Sales and value at the horizon",
            lambda y: f"{total(PROCEEDS, y)}-{total(INHERITED, y)}",
            sold,
        )
        cost = self._money(
            "Cost before tax, without failures",
            lambda y: f"{y.at(running)}+{y.at(capital)}-{y.at(earned)}",
            run + bought - sold,
            "total",
        )
        names = self.inputs.builds[position.name]
        growth = (1 + terms.demand_growth_per_year) ** passed * (passed > 0)
        millions = self.grid.add(
            "Requests served",
            "million",
            "number",
            lambda y: (
                f"{names.requests}/1000000*(1+demand_growth_per_year)^{y.itself}"
                f"*{y.at(self.years.runs)}"
            ),
            position.requests_per_year / 1e6 * growth,
            total=True,
        )
        return OwningRows(cost, millions)
