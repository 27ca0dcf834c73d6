"""Money in the report: the way from today's yearly cost to that of the plan, returns, risk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from planner.amounts import millions, money, money_range, number
from planner.finance.builds import Build, purchases, running
from planner.finance.study import FinanceStudy, Valued
from planner.finance.tables import coverage_note, worse_notes
from planner.laws.money import annuity
from planner.plan.records import Plan
from planner.reliability.estimates import Estimate
from planner.reliability.estimates import percent as availability_percent
from planner.reporting.finance import (
    assumed,
    availability_table,
    cash_flow_table,
    exceedance_table,
    sensitivity_table,
    side_by_side,
    source_table,
)
from planner.reporting.tables import Table, figures, texts

Row = dict[str, Any]

#: Points of a curve of losses.
CURVE_POINTS = 40
#: Inputs whose uncertainty is shown, those that move most.
MOST_INPUTS = 10
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
    """
    rate, bought = build.model.finance.discount_rate, purchases(base, build)
    before, after = running(base, base), running(base, build)
    start = sum(line.usd_per_year for line in before)
    steps = []
    for category, label in CAPITAL.items():
        lines = (line for line in bought if line.category == category)
        steps.append((label, sum(line.usd * annuity(rate, line.life_years) for line in lines)))
    for category, label in RUNNING.items():
        was, now = (
            sum(line.usd_per_year for line in lines if line.category == category)
            for lines in (before, after)
        )
        steps.append((label, now - was))
    owned = start + sum(usd for _, usd in steps)
    failures = plan.objective_usd_per_year - owned
    steps.append(("expected cost of failures", failures))
    shown = (step for step in steps if abs(step[1]) >= 500)
    ends = ("today's opex", start), ("the plan", owned + failures)
    return [
        {"label": label, "usd": usd, "total": (label, usd) in ends}
        for label, usd in (ends[0], *shown, ends[1])
    ]


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
    tables, figures
        Tables that are shown, and those that unfold: the numbers of the charts.
    cash, exceedance, swings, years
        Numbers of the charts.
    """

    sentences: list[str]
    assumed: str
    side_by_side: Table
    tables: list[Table]
    figures: list[Table]
    cash: list[Row]
    exceedance: list[Row]
    swings: list[Row]
    years: list[Row]


def finance(study: FinanceStudy) -> Finance:
    """Returns and risk of the plan against what exists."""
    base, plan = study.valued[0], study.valued[1]
    figures = [
        cash_flow_table(plan),
        sensitivity_table(study, plan.build.name),
        exceedance_table(study),
    ]
    return Finance(
        sentences=_sentences(study, base, plan),
        assumed=assumed(study),
        side_by_side=side_by_side(study),
        tables=[availability_table(study), source_table(study)],
        figures=figures,
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
        if promised and availability.high < promised:
            yield (
                f"{tier} misses its SLA of {100 * promised:.6g} % with the plan: its availability "
                f"is {_available(availability)}, below the SLA even at the upper end of the 95 % "
                "confidence interval."
            )


def _interval(estimate: Estimate) -> str:
    return money_range(estimate.low, estimate.high)


def _available(estimate: Estimate) -> str:
    """An availability with its interval."""
    shown, interval = availability_percent(estimate)
    return f"{shown} % ({interval})" if interval else shown


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
