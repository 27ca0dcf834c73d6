"""Finance as plain tables, for JSON and CSV."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from planner.amounts import number
from planner.finance.cashflow import CashFlow
from planner.finance.ledger import LedgerLine
from planner.finance.study import FinanceStudy, Valued
from planner.laws.returns import MEASURES
from planner.plan.files import write_tables as write_csv
from planner.reliability.estimates import Estimate, percent

#: Points of a loss-exceedance curve.
CURVE_POINTS = 60
#: Kinds of losses in a cash flow.
AVOIDED = {"value": "lost requests", "credits": "service credits", "emergency": "emergency spend"}
#: Measures of return that are rates, years and ratios.
RATIOS = (
    *("mirr", "payback_years", "discounted_payback_years"),
    *("benefit_cost_ratio", "roi", "undiscounted_roi"),
)

Row = dict[str, Any]


def finance_data(study: FinanceStudy) -> dict[str, Any]:
    """Everything as JSON."""
    return {
        "model": {"name": study.model, "sha256": study.sha256},
        "created": study.created,
        "versions": dict(study.versions),
        "assumptions": _plain(asdict(study.assumptions) | {"tax_lives": _tax_lives(study)}),
        "sampling": _plain(asdict(study.sampling)),
        "measures": dict(MEASURES),
        "plans": [_plan_data(valued) for valued in study.valued],
        "scenarios": list(scenario_rows(study)),
        "ledger": [ledger_row(line) for line in study.ledger],
        "break_even_incidents": list(incident_rows(study)),
        "sensitivity": list(sensitivity_rows(study)),
        "break_even": list(break_even_rows(study)),
        "replanned": list(replanned_rows(study)),
    }


def _tax_lives(study: FinanceStudy) -> dict[str, int]:
    return study.assumptions.tax_lives.model_dump()


def _plan_data(valued: Valued) -> dict[str, Any]:
    appraisal, profile = valued.appraisal, valued.profile
    data: dict[str, Any] = {
        "name": valued.build.name,
        **_plan_head(valued),
        f"cvar{100 * profile.alpha:g}_usd": cents(profile.cvar_usd.value),
        "expected_annual_loss": _interval(profile.expected_annual_loss_usd, 2),
        "avoided_usd_per_year": None if valued.avoided is None else _interval(valued.avoided, 2),
        "value_at_risk": _interval(profile.var_usd, 2),
        "conditional_value_at_risk": _interval(profile.cvar_usd, 2),
        "availability": {row["tier"]: _without(row, "tier") for row in availability_rows(valued)},
        "availability_covers": list(valued.coverage.covered),
        "availability_leaves_out": list(valued.coverage.left_out),
        "worse_minutes_per_year": {t: _interval(more, 4) for t, more in valued.worse.items()},
        "survives": not any(verdict.fails for verdict in valued.verdicts),
        "samples": valued.occurrences.samples,
        "simulated": valued.occurrences.simulated,
        "ownership": _plain(asdict(appraisal.ownership)),
        "capital": list(capital_rows(valued)),
        "running": list(running_rows(valued)),
        "cash_flow": list(cash_flow_rows(valued)),
        "losses": list(loss_rows(valued)),
        "exceedance": list(exceedance_rows(valued)),
        "credits": list(credit_rows(valued)),
        "cooling": list(cooling_rows(valued)),
    }
    # The contract names 95 whatever the confidence asked for.
    data.setdefault("cvar95_usd", cents(profile.annual.conditional_value_at_risk(0.95)))
    return data


def returns_row(valued: Valued) -> Row:
    """Returns of a build; None where a measure means nothing."""
    found = valued.appraisal.returns
    if found is None:
        nothing = dict.fromkeys(("irr", *RATIOS))
        return {"npv_usd": 0.0, **nothing, "irr_note": "what the others are compared with"}
    return {
        "npv_usd": cents(found.npv_usd),
        "irr": digits(found.irr.rate),
        **{name: digits(getattr(found, name)) for name in RATIOS},
        "irr_note": found.irr.reason,
        "irr_all": [digits(rate) for rate in found.irr.rates],
    }


def capital_rows(valued: Valued) -> Iterator[Row]:
    """Capital line by line."""
    for line in valued.position.purchases:
        yield _without(asdict(line), "priced") | {"usd": cents(line.usd)}


def running_rows(valued: Valued) -> Iterator[Row]:
    """Running cost line by line."""
    for line in valued.position.running:
        yield _without(asdict(line), "price") | {"usd_per_year": cents(line.usd_per_year)}


def cash_flow_rows(valued: Valued) -> Iterator[Row]:
    """Cash flow year by year."""
    flows = valued.appraisal.cash_flow
    if flows is None:
        return
    columns = cash_flow_columns(flows)
    for year in range(len(flows.net)):
        yield {"year": year, **{name: cents(values[year]) for name, values in columns.items()}}


def cash_flow_columns(flows: CashFlow) -> dict[str, Any]:
    """Columns of a cash flow in the order in which they are read."""
    return {
        "capital_usd": flows.capital,
        "salvage_usd": flows.salvage,
        **{f"{name}_usd": values for name, values in flows.running.items()},
        **{f"avoided_{name}_usd": values for name, values in flows.avoided.items()},
        "other_usd": flows.other_usd,
        "tax_usd": flows.tax,
        "net_usd": flows.net,
        "cumulative_usd": np.cumsum(flows.net),
        "depreciation_usd": flows.depreciation,
        "book_value_usd": flows.book_value,
    }


def loss_rows(valued: Valued) -> Iterator[Row]:
    """Expected loss by what began it."""
    for source in valued.profile.by_source:
        yield {
            "source": source.source,
            "times_per_year": digits(source.times_per_year),
            "usd_per_year": cents(source.usd_per_year.value),
            "low_usd": cents(source.usd_per_year.low),
            "high_usd": cents(source.usd_per_year.high),
        }


def exceedance_rows(valued: Valued) -> Iterator[Row]:
    """Loss-exceedance curve."""
    probability, usd = valued.profile.annual.curve(CURVE_POINTS)
    for share, loss in zip(probability.tolist(), usd.tolist(), strict=True):
        yield {"probability": digits(share), "usd": cents(loss)}


def availability_rows(valued: Valued) -> Iterator[Row]:
    """Availability of every tier."""
    for tier, share in valued.profile.availability.items():
        minutes = valued.profile.downtime_minutes_per_year[tier]
        yield {
            "tier": tier,
            "promised": valued.build.model.tiers[tier].sla,
            **_interval(share, 9),
            "shown_percent": percent(share)[0],
            "downtime_minutes_per_year": digits(minutes.value),
            "lost_requests_per_year": digits(valued.profile.lost_requests_per_year[tier].value),
        }


def coverage_note(study: FinanceStudy) -> str:
    """What the availabilities cover, once where that is the same for all builds."""
    told = {valued.coverage.sentence: None for valued in study.valued}
    if len(told) == 1:
        return next(iter(told))
    return " ".join(f"{valued.build.name}: {valued.coverage.sentence}" for valued in study.valued)


def worse_notes(study: FinanceStudy) -> Iterator[str]:
    """Tiers that a build serves less than today's does."""
    base = study.base.build.name
    for valued in study.alternatives:
        for tier, more in valued.worse.items():
            certain = "is served less" if more.low > 0 else "may be served less"
            yield (
                f"{valued.build.name}: {tier} {certain} than {base}: {number(more.value)} minutes "
                f"a year more without service (95 % interval {number(more.low)} to "
                f"{number(more.high)})."
            )


def risk_rows(valued: Valued) -> Iterator[Row]:
    """Losses of a year with their intervals."""
    profile, share = valued.profile, f"{100 * valued.profile.alpha:.4g} %"
    losses = {
        "expected annual loss": profile.expected_annual_loss_usd,
        "of it lost-request value": profile.value_usd,
        "of it service credits": profile.credits_usd,
        "of it emergency spend": profile.emergency_usd,
        f"VaR {share}": profile.var_usd,
        f"CVaR {share}": profile.cvar_usd,
        "expected annual loss avoided": valued.avoided,
    }
    for name, estimate in losses.items():
        if estimate is not None:
            yield {"loss": name, **_interval(estimate, 2)}


def worse_rows(valued: Valued) -> Iterator[Row]:
    """Tiers that a build serves less than today's does, minutes a year."""
    for tier, more in valued.worse.items():
        yield {"tier": tier, **_interval(more, 4)}


def credit_step_rows(valued: Valued) -> Iterator[Row]:
    """Service credits of a month by tier and step of its schedule."""
    for row in credit_rows(valued):
        for step in row["steps"]:
            yield _without(row, "steps") | step


def credit_rows(valued: Valued) -> Iterator[Row]:
    """Service credits of a month by tier."""
    for tier, month in valued.profile.credits_by_month.items():
        entry = valued.build.model.tiers[tier]
        yield {
            "tier": tier,
            "revenue_usd_per_month": entry.revenue_usd_per_month,
            "expected_usd_per_month": cents(month.expected_usd_per_month),
            "expected_availability": digits(month.expected_availability),
            "steps": [
                {"below": step.below, "credit": step.credit, "probability": digits(share)}
                for step, share in zip(entry.sla_credits, month.probability, strict=True)
            ],
        }


def cooling_rows(valued: Valued) -> Iterator[Row]:
    """Loss of cooling by plants that share clusters."""
    for group in valued.cooling:
        yield {
            "plants": ", ".join(group.plants),
            "clusters": ", ".join(group.clusters),
            "region": group.region,
            "hours_per_year": digits(group.hours_per_year),
            "running_hours_per_year": digits(group.running_hours_per_year),
            "unserved_mwh_per_year": digits(group.unserved_mwh_per_year),
            "largest_outage_covered": group.largest_outage_covered,
            "note": "; ".join(text for text in (group.dependent, group.bound) if text),
        }


def scenario_rows(study: FinanceStudy) -> Iterator[Row]:
    """Outcome of every scenario on every build."""
    for valued in study.valued:
        for verdict in valued.verdicts:
            yield {
                "plan": valued.build.name,
                "scenario": verdict.name,
                "severity": verdict.severity,
                "times_per_year": verdict.frequency_per_year,
                "survives": verdict.survives,
                "status": verdict.status,
                "lost_requests": round(verdict.lost_requests),
                "emergency_usd": cents(verdict.emergency_usd),
            }


def ledger_row(line: LedgerLine) -> Row:
    """A line of the ledger."""
    return {
        "item": line.item,
        "group": line.group,
        "unit": line.unit,
        "printed_usd": _maybe(line.printed_usd),
        "by_formula_usd": _maybe(line.by_formula_usd),
        "printed": line.printed,
        "by_formula": digits(line.by_formula),
        "difference": digits(line.difference),
        "agrees": line.agrees,
        "formula": line.formula,
        "note": line.note,
    }


def incident_rows(study: FinanceStudy) -> Iterator[Row]:
    """Incidents in ten years that justify a prevention: the recorded one, and each plan."""
    for line in study.break_even_incidents:
        yield {
            "investment": line.basis,
            "usd_per_incident": cents(line.usd_per_incident),
            "capital_usd": cents(line.capital_usd),
            "usd_per_year": cents(line.usd_per_year),
            "incidents": digits(line.incidents),
            "incidents_discounted": digits(line.incidents_discounted),
        }


def assumption_rows(study: FinanceStudy) -> Iterator[Row]:
    """What everything rests on, an input a line."""
    terms = asdict(study.assumptions)
    lives = {f"tax_lives.{name}": years for name, years in _tax_lives(study).items()}
    for name, value in (terms | lives | asdict(study.sampling)).items():
        if name != "tax_lives":
            yield {"input": name, "value": digits(value) if isinstance(value, float) else value}


def sensitivity_rows(study: FinanceStudy) -> Iterator[Row]:
    """Tornado of every plan."""
    for name, swings in study.swings.items():
        for swing in swings:
            yield {
                "plan": name,
                "input": swing.input.name,
                "low": digits(swing.low),
                "high": digits(swing.high),
                "npv_low_usd": cents(swing.npv_low_usd),
                "npv_high_usd": cents(swing.npv_high_usd),
            }


def break_even_rows(study: FinanceStudy) -> Iterator[Row]:
    """Values of inputs at which the net present value is zero."""
    for name, found in study.break_evens.items():
        for zero in found:
            yield {
                "plan": name,
                "input": zero.input.name,
                "today": digits(zero.base),
                "break_even": digits(zero.value),
                "note": zero.reason,
            }


def replanned_rows(study: FinanceStudy) -> Iterator[Row]:
    """What other inputs change about the plan."""
    for replanned in study.replanned:
        yield {
            "input": replanned.input.name,
            "value": digits(replanned.value),
            "changed": list(replanned.changed),
            "capital_usd": _maybe(replanned.capital_usd),
            "usd_per_year": _maybe(replanned.usd_per_year),
            "regret_usd_per_year": _maybe(replanned.regret_usd_per_year),
            "note": replanned.note,
        }


def write_tables(study: FinanceStudy, folder: Path) -> tuple[Path, ...]:
    """Write every table as CSV into a folder, each whole or not at all."""
    of_plans = {
        "returns": lambda valued: [_returns_line(valued)],
        "capital": capital_rows,
        "running": running_rows,
        "cash_flow": cash_flow_rows,
        "losses": loss_rows,
        "exceedance": exceedance_rows,
        "availability": availability_rows,
        "cooling": cooling_rows,
        "credits": credit_step_rows,
    }
    tables: dict[str, list[Row]] = {"assumptions": list(assumption_rows(study))}
    tables |= {
        name: [
            {"plan": valued.build.name, **row} for valued in study.valued for row in rows(valued)
        ]
        for name, rows in of_plans.items()
    }
    tables["scenarios"] = list(scenario_rows(study))
    tables["ledger"] = [ledger_row(line) for line in study.ledger]
    tables["break_even_incidents"] = list(incident_rows(study))
    tables["sensitivity"] = list(sensitivity_rows(study))
    tables["break_even"] = list(break_even_rows(study))
    tables["replanned"] = [
        {**row, "changed": "; ".join(row["changed"])} for row in replanned_rows(study)
    ]
    return write_csv(folder, {name: rows for name, rows in tables.items() if rows})


def _returns_line(valued: Valued) -> Row:
    row = _without(_plan_head(valued), "irr_all")
    return row | {f"tco_{k}": digits(v) for k, v in asdict(valued.appraisal.ownership).items()}


def _plan_head(valued: Valued) -> Row:
    return {
        "capital_usd": cents(valued.appraisal.capital_usd),
        "usd_per_year": cents(valued.usd_per_year),
        "owning_usd_per_year": cents(valued.appraisal.owning_usd_per_year),
        "total_usd_per_year": cents(valued.total_usd_per_year),
        **returns_row(valued),
        "expected_annual_loss_usd": cents(valued.profile.expected_annual_loss_usd.value),
        "alpha": valued.profile.alpha,
        "var_usd": cents(valued.profile.var_usd.value),
        "cvar_usd": cents(valued.profile.cvar_usd.value),
    }


def cents(usd: float) -> float:
    """USD to the cent, never −0."""
    return round(float(usd), 2) + 0.0


def digits(value: float | None) -> float | None:
    """A number to ten digits."""
    return None if value is None else float(f"{value:.10g}")


def _maybe(usd: float | None) -> float | None:
    return None if usd is None else cents(usd)


def _interval(estimate: Estimate, places: int) -> Row:
    return {
        "estimate": round(estimate.value, places),
        "low": round(estimate.low, places),
        "high": round(estimate.high, places),
    }


def _without(row: Row, name: str) -> Row:
    return {k: v for k, v in row.items() if k != name}


def _plain(data: Mapping[str, Any]) -> Row:
    return {k: digits(v) if isinstance(v, float) else v for k, v in data.items()}
