"""Money in the report: the way from today's yearly cost to that of the plan, returns, risk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from planner.amounts import millions, money, money_range, number, percent
from planner.finance.builds import Build, Purchase, Running, purchases, running
from planner.finance.study import FinanceStudy, Valued
from planner.laws.money import annuity
from planner.plan.records import Plan
from planner.reliability.estimates import Estimate
from planner.reliability.estimates import percent as availability_percent
from planner.reporting.finance_tables import coverage_note, worse_notes
from planner.reporting.tables import Cell, Table, Toned, figures, texts
from planner.reporting.tables import Row as TableRow

Row = dict[str, Any]

#: Points of a curve of losses.
CURVE_POINTS = 40
#: Inputs whose uncertainty is shown, those that move most.
MOST_INPUTS = 10
#: Sources of losses shown, and least expected annual loss of each.
MOST_SOURCES, SHOWN_USD = 8, 1_000.0
CAPITAL = {
    "servers": "GPUs with servers",
    "building": "buildings",
    "power": "power provisioning",
    "cooling": "cooling",
    "regions": "opening of regions",
    "measures": "measures",
}
RUNNING = {
    "upkeep": "upkeep",
    "repairs": "repairs of cooling units",
    "energy": "electricity",
    "transport": "network transport",
    "retainers": "emergency retainers",
    "regions": "opex of regions",
    "measures": "opex of measures",
}


def waterfall(base: Build, build: Build, plan: Plan) -> list[Row]:
    """Steps from the yearly cost of what exists to that of the plan, USD a year.

    Purchases count with the annuity of their price over their life, running costs by how they
    change. What is left to the objective of the plan is what failures are expected to cost.

    Raises
    ------
    SolverError
        If normal operation of what exists cannot be worked out.
    """
    rate = build.model.finance.discount_rate
    return _steps(purchases(base, build), running(base, base), running(base, build), rate, plan)


def _steps(
    bought: Sequence[Purchase],
    before: Sequence[Running],
    after: Sequence[Running],
    rate: float,
    plan: Plan,
) -> list[Row]:
    start = sum(line.usd_per_year for line in before)
    steps = []
    for category, label in CAPITAL.items():
        usd = sum(
            purchase.usd * annuity(rate, purchase.life_years)
            for purchase in bought
            if purchase.category == category
        )
        steps.append((label, usd))
    for category, label in RUNNING.items():
        usd = sum(line.usd_per_year for line in after if line.category == category)
        usd -= sum(line.usd_per_year for line in before if line.category == category)
        steps.append((label, usd))
    owned = start + sum(usd for _, usd in steps)
    failures = plan.objective_usd_per_year - owned
    steps.append(("expected cost of failures", failures))
    rows = [_step("today's opex", start, True)]
    rows += [_step(label, usd, False) for label, usd in steps if abs(usd) >= 500]
    rows.append(_step("the plan", owned + failures, True))
    return rows


def _step(label: str, usd: float, total: bool) -> Row:
    return {"label": label, "usd": usd, "total": total}


def steps_table(steps: Sequence[Row]) -> Table:
    """The way from today's annual cost to that of the plan."""
    rows = [
        (step["label"], millions(step["usd"], sign="-" if step["total"] else "+")) for step in steps
    ]
    columns = texts("step") + figures("M USD a year")
    return Table("From today's annual cost to that of the plan", columns, rows)


@dataclass(frozen=True)
class Finance:
    """Returns and risk of the plan against what exists.

    Parameters
    ----------
    sentences, assumed
        What they come to, and what they assume.
    returns, risk, availability, sources, break_even
        Tables.
    cash, exceedance, swings, years
        Numbers of the charts.
    """

    sentences: list[str]
    assumed: str
    returns: Table
    risk: Table
    availability: Table
    sources: Table
    break_even: Table
    cash: list[Row]
    exceedance: list[Row]
    swings: list[Row]
    years: list[Row]

    @property
    def figures(self) -> list[Table]:
        """The numbers of the charts as tables."""
        names = ("input", "low", "high", "npv_low", "npv_high")
        return [
            Table(
                "Cash flow after tax against what exists, M USD",
                texts("year") + figures("net", "cumulative", show="{:,.2f}".format),
                [(f"{year['year']}", year["net"], year["cumulative"]) for year in self.cash],
            ),
            Table(
                "Net present value with each input low and high, M USD",
                texts("input")
                + figures("low", "high")
                + figures("value at low", "value at high", show="{:,.2f}".format),
                [[swing[name] for name in names] for swing in self.swings],
            ),
            *(
                Table(
                    f"Probability that a year costs more: {curve['name']}",
                    texts("M USD") + figures("probability", show=percent),
                    list(zip(map(number, curve["x"]), curve["y"], strict=True)),
                )
                for curve in self.exceedance
            ),
        ]


def finance(study: FinanceStudy) -> Finance:
    """Returns and risk of the plan against what exists."""
    base, plan = study.valued[0], study.valued[1]
    return Finance(
        sentences=_sentences(study, base, plan),
        assumed=_assumed(study),
        returns=_returns(plan),
        risk=_risk(study, base, plan),
        availability=_availability(base, plan),
        sources=_sources(base, plan),
        break_even=_break_even(study, plan),
        cash=_cash(plan),
        exceedance=[_curve(valued) for valued in (base, plan)],
        swings=_swings(study, plan),
        years=_years(base, plan),
    )


def _sentences(study: FinanceStudy, base: Valued, plan: Valued) -> list[str]:
    loss, left = base.profile.expected_annual_loss_usd, plan.profile.expected_annual_loss_usd
    said = [
        f"Failures are expected to cost {money(loss.value)} a year today (95 % confidence interval "
        f"{_interval(loss)}) and {money(left.value)} with the plan ({_interval(left)})."
    ]
    said += [coverage_note(study), *worse_notes(study), *_missed_slas(plan)]
    found = plan.appraisal.returns
    if found is None:
        return said
    years, value = study.assumptions.horizon_years, money(found.npv_usd)
    if found.npv_usd >= 0:
        said.append(
            f"Over {years} years the avoided losses pay for the plan: net present value {value}."
        )
    else:
        said.append(
            f"Over {years} years the avoided losses do not pay for the plan by themselves: net "
            f"present value {value}. That is the price of meeting the survival standard, as far as "
            "the model states what an outage costs."
        )
    return said


def _missed_slas(plan: Valued) -> Iterator[str]:
    """Tiers whose availability is below their SLA, however the sampling came out."""
    for tier, availability in plan.profile.availability.items():
        promised = plan.build.model.tiers[tier].sla
        if _misses(promised, availability):
            yield (
                f"{tier} misses its SLA of {100 * promised:.6g} % with the plan: its availability "
                f"is {_available(availability)}, below the SLA even at the upper end of the 95 % "
                "confidence interval."
            )


def _misses(promised: float | None, availability: Estimate) -> bool:
    return bool(promised) and availability.high < (promised or 0.0)


def _with_interval(estimate: Estimate) -> str:
    if estimate.low == estimate.high:
        return money(estimate.value)
    return f"{money(estimate.value)} ({_interval(estimate)})"


def _interval(estimate: Estimate) -> str:
    return money_range(estimate.low, estimate.high)


def _assumed(study: FinanceStudy) -> str:
    terms = study.assumptions
    written = "accelerated (MACRS)" if terms.depreciation == "macrs" else "straight-line"
    return (
        f"{terms.horizon_years} years, discount rate {percent(terms.discount_rate)}, tax rate "
        f"{percent(terms.tax_rate)}, {written} depreciation; inflation "
        f"{percent(terms.inflation_per_year)} a year, of electricity prices "
        f"{percent(terms.electricity_inflation_per_year)}; demand growth "
        f"{percent(terms.demand_growth_per_year)} a year. {study.sampled}"
    )


def _returns(plan: Valued) -> Table:
    rows = [("capex today", money(plan.appraisal.capital_usd))]
    found = plan.appraisal.returns
    if found is not None:
        late = "not within the horizon"
        years = (found.payback_years, found.discounted_payback_years)
        simple, discounted = (late if n is None else f"{n:.1f} years" for n in years)
        rows += [
            ("net present value", money(found.npv_usd)),
            ("present value of benefits", money(found.present_benefits_usd)),
            ("present value of costs", money(found.present_costs_usd)),
            ("internal rate of return", _rate(found.irr.rate, found.irr.reason)),
            ("modified internal rate of return", _rate(found.mirr)),
            ("payback", simple),
            ("discounted payback", discounted),
            ("benefit-cost ratio",
             "none" if found.benefit_cost_ratio is None else f"{found.benefit_cost_ratio:.2f}"),
            ("return on investment", _rate(found.roi)),
            ("total cost of ownership, present value",
             money(plan.appraisal.ownership.present_usd)),
        ]  # fmt: skip
    columns = texts("measure") + figures("value")
    return Table("Returns of the plan against what exists, after tax", columns, rows)


def _rate(rate: float | None, reason: str = "") -> str:
    return reason or "none" if rate is None else percent(rate)


def _risk(study: FinanceStudy, base: Valued, plan: Valued) -> Table:
    confidence = f"{number(100 * study.sampling.alpha)} %"
    measures = {
        "expected annual loss": "expected_annual_loss_usd",
        f"VaR {confidence}": "var_usd",
        f"CVaR {confidence}": "cvar_usd",
        "of the expected loss: lost requests": "value_usd",
        "of the expected loss: service credits": "credits_usd",
        "of the expected loss: emergency spend": "emergency_usd",
    }
    found = [
        (label, [getattr(valued.profile, name) for valued in (base, plan)])
        for label, name in measures.items()
    ]
    rows = [
        (label, *map(_with_interval, estimates))
        for label, estimates in found
        if any(estimate.high for estimate in estimates)
    ]
    note = (
        f"95 % confidence intervals in brackets. VaR {confidence}: the loss exceeded in "
        f"{number(100 - 100 * study.sampling.alpha)} % of years; CVaR: the mean of those years."
    )
    columns = texts("loss of a year") + figures("today", "with the plan")
    return Table("Losses of a year", columns, rows, note)


def _availability(base: Valued, plan: Valued) -> Table:
    rows: list[TableRow] = []
    for tier in plan.profile.tiers:
        promised = plan.build.model.tiers[tier].sla
        minutes = [valued.profile.downtime_minutes_per_year[tier].value for valued in (base, plan)]
        rows.append(
            (
                tier,
                f"{100 * promised:.6g} %" if promised else "none",
                *(_marked(promised, valued.profile.availability[tier]) for valued in (base, plan)),
                *(f"{number(least)}" for least in minutes),
            )
        )
    columns = texts("tier") + figures("SLA", "today", "with the plan")
    columns += figures("minutes a year not served today", "minutes with the plan")
    note = (
        "95 % confidence intervals in brackets. ✗: below the SLA even at the upper end of the "
        "interval; ✓: above it even at the lower end; no mark: the samples do not tell."
    )
    return Table("Availability over a year, by tier", columns, rows, note)


def _marked(promised: float | None, availability: Estimate) -> Cell:
    shown = _available(availability)
    if _misses(promised, availability):
        return Toned(f"{shown} ✗", "bad")
    return Toned(f"{shown} ✓", "good") if promised and availability.low >= promised else shown


def _available(estimate: Estimate) -> str:
    """An availability with its interval."""
    shown, interval = availability_percent(estimate)
    return f"{shown} % ({interval})" if interval else shown


def _sources(base: Valued, plan: Valued) -> Table:
    after = {loss.source: loss.usd_per_year.value for loss in plan.profile.by_source}
    losses = [
        (loss.source, loss.usd_per_year.value, after.get(loss.source, 0.0))
        for loss in base.profile.by_source[:MOST_SOURCES]
    ]
    rows = [(source, *map(_loss, usd)) for source, *usd in losses if max(usd) >= SHOWN_USD]
    columns = texts("what fails first") + figures("today", "with the plan")
    return Table("Expected annual loss by what fails first, M USD", columns, rows)


def _loss(usd: float) -> str:
    if not usd:
        return "0"
    return millions(usd) if usd >= SHOWN_USD else f"below {millions(SHOWN_USD)}"


def _break_even(study: FinanceStudy, plan: Valued) -> Table:
    rows = [
        (
            result.input.name,
            number(result.base, 4),
            "none" if result.value is None else number(result.value, 4),
            result.reason,
        )
        for result in study.break_evens.get(plan.build.name, ())
    ]
    columns = texts("input") + figures("today", "break-even") + texts("note")
    return Table("Value of each input at which the net present value is zero", columns, rows)


def _cash(plan: Valued) -> list[Row]:
    flows = plan.appraisal.cash_flow
    if flows is None:
        return []
    total = np.cumsum(flows.net)
    return [
        {
            "year": year,
            "net": round(float(flows.net[year]) / 1e6, 3),
            "cumulative": round(float(total[year]) / 1e6, 3),
        }
        for year in range(len(flows.net))
    ]


def _curve(valued: Valued) -> Row:
    """Annual probability of losing more, over the loss in millions of USD."""
    probability, usd = valued.profile.annual.curve(CURVE_POINTS)
    return {
        "name": valued.build.name,
        "x": [round(x / 1e6, 4) for x in usd.tolist()],
        "y": [float(f"{y:.4g}") for y in probability.tolist()],
    }


def _swings(study: FinanceStudy, plan: Valued) -> list[Row]:
    found = sorted(study.swings.get(plan.build.name, ()), key=lambda swing: -abs(swing.usd))
    return [
        {
            "input": swing.input.name,
            "low": number(swing.low, 4),
            "high": number(swing.high, 4),
            "npv_low": round(swing.npv_low_usd / 1e6, 3),
            "npv_high": round(swing.npv_high_usd / 1e6, 3),
            "npv": round(swing.npv_usd / 1e6, 3),
        }
        for swing in found[:MOST_INPUTS]
        if swing.usd
    ]


def _years(base: Valued, plan: Valued) -> list[Row]:
    """A year with failures: annualised capex with opex, and the expected loss."""
    return [
        {
            "name": valued.build.name,
            "owning": round(valued.appraisal.owning_usd_per_year / 1e6, 4),
            "failures": round(valued.profile.expected_annual_loss_usd.value / 1e6, 4),
        }
        for valued in (base, plan)
    ]
