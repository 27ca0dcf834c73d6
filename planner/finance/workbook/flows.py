"""The sheet of a build's cash flows, and what they come to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from planner.finance.appraisal import BuildAppraisal, costs_after_tax
from planner.finance.assumptions import Assumptions
from planner.finance.cashflow import (
    CashFlow,
    Position,
    asset_flows,
    loss_index,
    running_by_year,
)
from planner.finance.workbook.assets import (
    BOOK,
    CAPITAL,
    DEPRECIATION,
    INHERITED,
    PROCEEDS,
    AssetSheet,
)
from planner.finance.workbook.book import Book, Cell, Floats, Sheet, Value
from planner.finance.workbook.grid import FIRST, WIDTHS, Grid, Year
from planner.finance.workbook.inputs import Inputs
from planner.finance.workbook.measures import Measures, NetRows, OwningRows, signs
from planner.finance.workbook.plans import PlanCells

#: As in planner.laws.returns: a sum this close to zero, relative to all that flows, is zero.
SETTLED = "0.000000000001"


@dataclass(frozen=True)
class FlowCells:
    """Where the figures of a build stand.

    Parameters
    ----------
    sheet
        The sheet.
    measures
        Cells of the measures by their keys in `planner.laws.returns.MEASURES` and a few more.
    values
        What stands there now.
    cumulative, years
        First and last cell of the cumulative cash flow and of the years, up to the horizon.
    """

    sheet: Sheet
    measures: Mapping[str, str]
    values: Mapping[str, Value]
    cumulative: tuple[Cell, Cell] | None
    years: tuple[Cell, Cell]


@dataclass(frozen=True)
class BuildSheet:
    """A build with where its plan stands."""

    position: Position
    plan: PlanCells
    assets: AssetSheet

    def over(self, base: BuildSheet, kind: str, year: Year) -> str:
        """Formula of all rows of a kind in a year beyond those of another build."""
        total = self.assets.total(kind, year)
        return f"{total}-{base.assets.total(kind, year)}" if base.position.held else total


@dataclass(frozen=True)
class YearRows:
    """Rows that tell which years count and what prices are in them."""

    counts: int
    runs: int
    prices: int
    electricity: int
    losses: int


def flow_sheet(book: Book, name: str, years: int) -> Grid:
    """Add the sheet of a build's cash flows."""
    return Grid(book.sheet(f"Cash flow {name}", WIDTHS), years)


def write_flows(
    book: Book,
    grid: Grid,
    base: BuildSheet,
    side: BuildSheet,
    appraisal: BuildAppraisal,
    assumptions: Assumptions,
    inputs: Inputs,
) -> FlowCells:
    """Write the cash flows of a build and its measures."""
    name = side.position.name
    grid.sheet.title(
        f"Cash flow: {name}",
        f"Amounts in {book.money_unit} of the year; income above 0, spending below. Year 0 is "
        "today, all else is paid at the end of its year.",
    )
    grid.head(("Against what exists", "Unit", "All years"))
    sheet = _FlowSheet(book, grid, assumptions, inputs)
    clock = sheet.clock()
    net = sheet.statement(clock, base, side, appraisal.cash_flow)
    owning = sheet.owning(clock, side, appraisal)
    found = Measures(book, grid, name)
    if net is not None and appraisal.cash_flow is not None and appraisal.returns is not None:
        found.returns(net, appraisal.cash_flow.net, appraisal.returns)
    found.ownership(owning, side.plan, inputs.builds[name], appraisal)
    horizon = assumptions.horizon_years
    grid.finish(horizon)
    cumulative = (
        None if net is None else ((net.cumulative, FIRST), (net.cumulative, FIRST + horizon))
    )
    return FlowCells(
        grid.sheet, found.cells, found.values, cumulative, ((3, FIRST), (3, FIRST + horizon))
    )


@dataclass
class _FlowSheet:
    """Parts of the sheet, top down."""

    book: Book
    grid: Grid
    assumptions: Assumptions
    inputs: Inputs

    @property
    def unit(self) -> str:
        return self.book.money_unit

    def clock(self) -> YearRows:
        """Which years count, and the growth of prices."""
        grid, one = self.grid, self.assumptions
        passed = np.arange(one.horizon_years + 1)
        counts = grid.add(
            "Year counts",
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

        def index(label: str, growth: str, rate: float) -> int:
            return grid.add(
                label,
                "today is 1",
                "index",
                lambda y: f"{growth}^{y.itself}*{y.at(counts)}",
                (1 + rate) ** passed,
            )

        prices = index("Prices", "(1+inflation_per_year)", one.inflation_per_year)
        electricity = index(
            "Price of electricity",
            "(1+electricity_inflation_per_year)",
            one.electricity_inflation_per_year,
        )
        losses = grid.add(
            "Losses: prices and demand",
            "today is 1",
            "index",
            lambda y: (
                f"((1+inflation_per_year)*(1+demand_growth_per_year))^{y.itself}*{y.at(runs)}"
            ),
            loss_index(one),
        )
        return YearRows(counts, runs, prices, electricity, losses)

    def money(
        self,
        label: str,
        formula: Callable[[Year], str],
        values: Floats,
        look: str = "plain",
        total: bool = True,
    ) -> int:
        """A row of amounts."""
        return self.grid.add(label, self.unit, "money", formula, values, look, total)

    def statement(
        self, clock: YearRows, base: BuildSheet, side: BuildSheet, flow: CashFlow | None
    ) -> NetRows | None:
        """Cash flows against what exists; nothing for that itself."""
        if flow is None:
            return None
        grid = self.grid
        grid.part("Cash flow")
        first = self.money("Capital", lambda y: f"-({side.over(base, CAPITAL, y)})", flow.capital)
        gain = self.money(
            "Retired, replaced, left at the horizon",
            lambda y: side.over(base, PROCEEDS, y),
            flow.salvage,
        )
        start = grid.row
        for category in side.plan.running_plain:
            values = flow.running.get(category, np.zeros(1))
            formula = _saved(clock, base.plan, side.plan, category)
            self.money(f"Running cost saved: {category}", formula, values)
        self.avoided(clock, base.position, side.position, flow)
        last = self.money(
            "Other cash flows",
            lambda y: f"INDEX(other_flows,{y.itself}+1)*{y.at(clock.counts)}",
            flow.other,
        )
        before = self.money(
            "Net cash flow before tax",
            lambda y: f"SUM({y.at(first)}:{y.at(last)})",
            flow.before_tax,
            "total",
        )
        off = self.money(
            "Depreciation", lambda y: side.over(base, DEPRECIATION, y), flow.depreciation
        )
        book_value = self.money(
            "Book value of what is sold", lambda y: side.over(base, BOOK, y), flow.book_value
        )
        rate = self.assumptions.tax_rate
        taxable = np.sum([*flow.running.values(), *flow.avoided.values(), flow.other], axis=0)
        profit = self.money(
            "Taxable profit",
            lambda y: (
                f"SUM({y.at(start)}:{y.at(last)})+{y.at(gain)}-{y.at(book_value)}-{y.at(off)}"
            ),
            taxable + flow.salvage - flow.book_value - flow.depreciation,
        )
        tax = self.money("Tax", lambda y: f"-tax_rate*{y.at(profit)}", flow.tax)
        net = self.money(
            "Net cash flow", lambda y: f"{y.at(before)}+{y.at(tax)}", flow.net, "total"
        )
        worth = (1 - rate) * np.sum([*flow.avoided.values(), np.maximum(flow.other, 0)], axis=0)
        benefits = self.money(
            "Benefits after tax",
            lambda y: f"(1-tax_rate)*(SUM({y.at(last - 3)}:{y.at(last - 1)})+MAX(0,{y.at(last)}))",
            worth,
        )

        def spent(year: Year) -> str:
            """Running cost saved, and other cash flows below 0."""
            return f"SUM({year.at(start)}:{year.at(last - 4)})+MIN(0,{year.at(last)})"

        costs = self.money(
            "Costs after tax",
            lambda y: (
                f"tax_rate*({y.at(gain)}-{y.at(book_value)}-{y.at(off)}+{spent(y)})"
                f"-({y.at(first)}+{y.at(gain)}+{spent(y)})"
            ),
            costs_after_tax(flow, rate),
        )
        return self.cumulated(net, benefits, costs, flow)

    def avoided(self, clock: YearRows, base: Position, build: Position, flow: CashFlow) -> None:
        """Losses avoided, by kind."""
        was, now = self.inputs.builds[base.name], self.inputs.builds[build.name]
        kinds = (
            ("value", "Worth of lost requests avoided", "failure_rate*outage_value"),
            ("credits", "Service credits avoided", "failure_rate"),
            ("emergency", "Emergency spend avoided", "failure_rate*surge"),
        )
        for key, label, factors in kinds:
            amount = f"({getattr(was, key)}-{getattr(now, key)})*{factors}"
            self.money(
                label,
                lambda y, amount=amount: f"{amount}*{y.at(clock.losses)}",  # type: ignore[misc]
                flow.avoided[key],
            )

    def cumulated(self, net: int, benefits: int, costs: int, flow: CashFlow) -> NetRows:
        """Cash flow so far, with and without interest, and what the measures need of it."""
        values, rate = flow.net, self.assumptions.discount_rate
        worth = values * (1 + rate) ** -np.arange(float(len(values)))
        full = np.full(self.grid.years + 1, values.sum())
        full[: len(values)] = np.cumsum(values)
        so_far = self._sum("Cumulative cash flow", net, full)
        discounted = self.money(
            "Discounted net cash flow", lambda y: f"{y.at(net)}/(1+discount_rate)^{y.itself}", worth
        )
        full = np.full(self.grid.years + 1, worth.sum())
        full[: len(worth)] = np.cumsum(worth)
        discounted_so_far = self._sum("Cumulative discounted cash flow", discounted, full)
        sign = self.grid.add(
            "Sign of the last cash flow",
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
            discounted,
            discounted_so_far,
            benefits,
            costs,
            sign,
            self._short("Year not yet paid back", net, so_far, values),
            self._short("The same with interest", discounted, discounted_so_far, worth),
        )

    def _sum(self, label: str, row: int, values: Floats) -> int:
        return self.money(
            label,
            lambda y: y.at(row) if y.number == 0 else f"{y.before(self.grid.row)}+{y.at(row)}",
            values,
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

    def owning(self, clock: YearRows, side: BuildSheet, appraisal: BuildAppraisal) -> OwningRows:
        """What owning costs by year, and what is served."""
        self.grid.part("Owning: before tax, without what failures cost")
        position, one = appraisal.position, self.assumptions
        passed = np.arange(one.horizon_years + 1)
        run = np.sum(
            [np.zeros(len(passed)), *running_by_year(position.running, one).values()], axis=0
        )
        plain = "+".join(side.plan.running_plain.values())
        electric = "+".join(side.plan.running_electric.values())
        running = self.money(
            "Running cost",
            lambda y: (
                f"(({plain})*{y.at(clock.prices)}+({electric})*{y.at(clock.electricity)})"
                f"*{y.at(clock.runs)}"
            ),
            run,
        )
        bought, sold = _asset_sums(position, one)
        total = side.assets.total
        capital = self.money("Purchases", lambda y: total(CAPITAL, y), bought)
        earned = self.money(
            "Retired, replaced, left at the horizon",
            lambda y: f"{total(PROCEEDS, y)}-{total(INHERITED, y)}",
            sold,
        )
        cost = self.money(
            "Cost of owning",
            lambda y: f"{y.at(running)}+{y.at(capital)}-{y.at(earned)}",
            run + bought - sold,
            "total",
        )
        names = self.inputs.builds[position.name]
        millions = self.grid.add(
            "Requests served",
            "million",
            "number",
            lambda y: (
                f"{names.requests}/1000000*(1+demand_growth_per_year)^{y.itself}*{y.at(clock.runs)}"
            ),
            position.requests_per_year
            / 1e6
            * (1 + one.demand_growth_per_year) ** passed
            * (passed > 0),
            total=True,
        )
        return OwningRows(cost, millions)


def _saved(
    clock: YearRows, base: PlanCells, build: PlanCells, category: str
) -> Callable[[Year], str]:
    """Formula of the change of a running cost."""
    plain = f"{base.running_plain[category]}-{build.running_plain[category]}"
    electric = f"{base.running_electric[category]}-{build.running_electric[category]}"

    def formula(year: Year) -> str:
        return (
            f"(({plain})*{year.at(clock.prices)}+({electric})*{year.at(clock.electricity)})"
            f"*{year.at(clock.runs)}"
        )

    return formula


def _asset_sums(position: Position, assumptions: Assumptions) -> tuple[Floats, Floats]:
    """Purchases and what they earn, by year."""
    lines = (*position.purchases, *position.held)
    flows = [asset_flows(one, assumptions) for one in lines]
    none = np.zeros(assumptions.horizon_years + 1)
    return (
        np.sum([none, *(one.capital for one in flows)], axis=0),
        np.sum([none, *(one.proceeds - one.inherited for one in flows)], axis=0),
    )
