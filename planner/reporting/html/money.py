"""Money in the report: the way from today's yearly cost to that of the plan, returns, risk."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from planner.finance.builds import Build, Purchase, Running, purchases, running
from planner.finance.losses import Estimate
from planner.finance.study import FinanceStudy, Valued
from planner.laws.money import annuity
from planner.plan.records import Plan
from planner.reliability.estimates import percent
from planner.reporting.finance_tables import coverage_note, worse_notes
from planner.reporting.html.words import millions, money, share

Row = dict[str, Any]

#: Points of a curve of losses.
CURVE_POINTS = 40
#: Inputs whose uncertainty is shown, those that move most.
MOST_INPUTS = 10
#: Beginnings of losses shown.
MOST_SOURCES = 8
CAPITAL = {
    "servers": "GPUs bought with servers",
    "building": "buildings",
    "power": "power provisioning",
    "cooling": "cooling bought",
    "regions": "opening of regions",
    "measures": "measures",
}
RUNNING = {
    "upkeep": "upkeep",
    "repairs": "repairs of cooling units",
    "energy": "electricity",
    "transport": "transport of requests",
    "retainers": "emergency retainers",
    "regions": "running of regions",
    "measures": "running of measures",
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
    start = sum(one.usd_per_year for one in before)
    steps = []
    for category, label in CAPITAL.items():
        usd = sum(
            one.usd * annuity(rate, one.life_years) for one in bought if one.category == category
        )
        steps.append((label, usd))
    for category, label in RUNNING.items():
        usd = sum(one.usd_per_year for one in after if one.category == category)
        usd -= sum(one.usd_per_year for one in before if one.category == category)
        steps.append((label, usd))
    owned = start + sum(usd for _, usd in steps)
    failures = plan.objective_usd_per_year - owned
    steps.append(("expected cost of failures", failures))
    rows = [_step("as it is, running", start, True)]
    rows += [_step(label, usd, False) for label, usd in steps if abs(usd) >= 500]
    rows.append(_step("the plan", owned + failures, True))
    return rows


def _step(label: str, usd: float, total: bool) -> Row:
    return {"label": label, "usd": usd, "total": total, "text": millions(usd)}


def finance(study: FinanceStudy) -> Row:
    """Returns and risk of the plan against what exists."""
    base, plan = study.valued[0], study.valued[1]
    return {
        "sentences": _sentences(study, base, plan),
        "assumed": _assumed(study),
        "returns": _returns(plan),
        "risk": _risk(study, base, plan),
        "availability": _availability(base, plan),
        "sources": _sources(base, plan),
        "cash": _cash(plan),
        "exceedance": [_curve(one) for one in (base, plan)],
        "swings": _swings(study, plan),
        "years": _years(base, plan),
        "break_even": [
            {
                "input": one.input.name,
                "today": f"{one.base:.4g}",
                "value": "none" if one.value is None else f"{one.value:.4g}",
                "note": one.reason,
            }
            for one in study.break_evens.get(plan.build.name, ())
        ],
    }


def _sentences(study: FinanceStudy, base: Valued, plan: Valued) -> list[str]:
    loss, left = base.profile.expected_annual_loss_usd, plan.profile.expected_annual_loss_usd
    said = [
        f"Failures are expected to cost {money(loss.value)} a year as things are "
        f"(95 % interval {_interval(loss)}) and {money(left.value)} with the plan "
        f"({_interval(left)})."
    ]
    said += [coverage_note(study), *worse_notes(study)]
    found = plan.appraisal.returns
    if found is None:
        return said
    years = study.assumptions.horizon_years
    if found.npv_usd >= 0:
        said.append(
            f"Over {years} years the losses avoided pay for the plan: its net present value is "
            f"{money(found.npv_usd)}."
        )
    else:
        said.append(
            f"Over {years} years the losses avoided do not pay for it by themselves: the net "
            f"present value is {money(found.npv_usd)}. That is the price of meeting the survival "
            "standard, as far as the model states what an outage costs."
        )
    return said


def _with_interval(one: Estimate) -> str:
    return f"{money(one.value)} ({_interval(one)})"


def _interval(one: Estimate) -> str:
    return f"{money(one.low)} to {money(one.high)}"


def _assumed(study: FinanceStudy) -> str:
    terms = study.assumptions
    written = "accelerated (MACRS)" if terms.depreciation == "macrs" else "straight-line"
    return (
        f"{terms.horizon_years} years, cost of capital {terms.discount_rate:.4g}, tax "
        f"{terms.tax_rate:.4g}, {written} depreciation; prices {terms.inflation_per_year:+.1%}, "
        f"electricity {terms.electricity_inflation_per_year:+.1%}, demand "
        f"{terms.demand_growth_per_year:+.1%} a year. {study.sampled}"
    )


def _returns(plan: Valued) -> list[tuple[str, str]]:
    found = plan.appraisal.returns
    rows = [("capital today", money(plan.appraisal.capital_usd))]
    if found is None:
        return rows
    none = "none"
    return [
        *rows,
        ("net present value", money(found.npv_usd)),
        ("present benefits", money(found.present_benefits_usd)),
        ("present costs", money(found.present_costs_usd)),
        ("internal rate of return",
         found.irr.reason or none if found.irr.rate is None else f"{found.irr.rate:.1%}"),
        ("modified internal rate", none if found.mirr is None else f"{found.mirr:.1%}"),
        ("payback",
         "not within the horizon" if found.payback_years is None
         else f"{found.payback_years:.1f} years"),
        ("payback with interest",
         "not within the horizon" if found.discounted_payback_years is None
         else f"{found.discounted_payback_years:.1f} years"),
        ("benefit-cost ratio",
         none if found.benefit_cost_ratio is None else f"{found.benefit_cost_ratio:.2f}"),
        ("return on investment", none if found.roi is None else f"{found.roi:.0%}"),
        ("total cost of ownership", money(plan.appraisal.ownership.present_usd)),
    ]  # fmt: skip


def _risk(study: FinanceStudy, base: Valued, plan: Valued) -> list[tuple[str, str, str]]:
    alpha = study.sampling.alpha
    rows = [
        ("expected loss of a year", "expected_annual_loss_usd"),
        (f"loss exceeded in {1 - alpha:.0%} of years", "var_usd"),
        (f"mean of those years (CVaR {alpha:g})", "cvar_usd"),
        ("of the expected loss: worth of requests", "value_usd"),
        ("of the expected loss: service credits", "credits_usd"),
        ("of the expected loss: emergency spend", "emergency_usd"),
    ]
    found = []
    for label, name in rows:
        before, after = (_with_interval(getattr(one.profile, name)) for one in (base, plan))
        found.append((label, before, after))
    return found


def _availability(base: Valued, plan: Valued) -> list[Row]:
    return [
        {
            "tier": tier,
            "promised": share(plan.build.model.tiers[tier].sla, 3)
            if plan.build.model.tiers[tier].sla
            else "not stated",
            "before": _available(base.profile.availability[tier]),
            "after": _available(plan.profile.availability[tier]),
            "minutes": f"{base.profile.downtime_minutes_per_year[tier].value:,.1f} → "
            f"{plan.profile.downtime_minutes_per_year[tier].value:,.1f}",
        }
        for tier in plan.profile.tiers
    ]


def _available(one: Estimate) -> str:
    """An availability with its interval."""
    shown, interval = percent(one)
    return f"{shown} % ({interval})" if interval else shown


def _sources(base: Valued, plan: Valued) -> list[Row]:
    after = {one.source: one.usd_per_year.value for one in plan.profile.by_source}
    return [
        {
            "source": one.source,
            "before": millions(one.usd_per_year.value),
            "after": millions(after.get(one.source, 0.0)),
        }
        for one in base.profile.by_source[:MOST_SOURCES]
        if one.usd_per_year.value
    ]


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


def _curve(one: Valued) -> Row:
    """Yearly chance of losing more, over the loss in millions of USD."""
    probability, usd = one.profile.annual.curve(CURVE_POINTS)
    return {
        "name": one.build.name,
        "x": [round(x / 1e6, 4) for x in usd.tolist()],
        "y": [float(f"{y:.4g}") for y in probability.tolist()],
        "table": [
            [millions(x), f"{100 * y:.3g}"]
            for x, y in zip(usd.tolist(), probability.tolist(), strict=True)
        ],
    }


def _swings(study: FinanceStudy, plan: Valued) -> list[Row]:
    found = sorted(study.swings.get(plan.build.name, ()), key=lambda one: -abs(one.usd))
    return [
        {
            "input": one.input.name,
            "low": f"{one.low:.4g}",
            "high": f"{one.high:.4g}",
            "npv_low": round(one.npv_low_usd / 1e6, 3),
            "npv_high": round(one.npv_high_usd / 1e6, 3),
            "npv": round(one.npv_usd / 1e6, 3),
        }
        for one in found[:MOST_INPUTS]
        if one.usd
    ]


def _years(base: Valued, plan: Valued) -> list[Row]:
    """A year with failures: owning and running, and what failures cost."""
    return [
        {
            "name": one.build.name,
            "owning": round(one.appraisal.owning_usd_per_year / 1e6, 4),
            "failures": round(one.profile.expected_annual_loss_usd.value / 1e6, 4),
        }
        for one in (base, plan)
    ]


__all__ = ["finance", "waterfall"]
