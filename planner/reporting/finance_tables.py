"""Finance as plain tables, for JSON and CSV."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from planner.finance.cashflow import CashFlow
from planner.finance.ledger import LedgerLine, break_even
from planner.finance.losses import Estimate
from planner.finance.study import DECADE, FinanceStudy, Valued, justifying_incidents
from planner.laws.returns import MEASURES
from planner.plan.files import write_tables as write_csv
from planner.reliability.estimates import percent

#: Points of a loss-exceedance curve.
CURVE_POINTS = 60
#: Kinds of losses in a cash flow.
AVOIDED = {"value": "lost requests", "credits": "service credits", "emergency": "emergency spend"}

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
        "plans": [_plan_data(one) for one in study.valued],
        "scenarios": list(scenario_rows(study)),
        "ledger": [ledger_row(line) for line in study.ledger],
        "break_even_incidents": list(incident_rows(study)),
        "sensitivity": list(sensitivity_rows(study)),
        "break_even": list(break_even_rows(study)),
        "replanned": list(replanned_rows(study)),
    }


def _tax_lives(study: FinanceStudy) -> dict[str, int]:
    return study.assumptions.tax_lives.model_dump()


def _plan_data(one: Valued) -> dict[str, Any]:
    appraisal, profile = one.appraisal, one.profile
    data: dict[str, Any] = {
        "name": one.build.name,
        "capital_usd": cents(appraisal.capital_usd),
        "usd_per_year": cents(usd_per_year(one)),
        "owning_usd_per_year": cents(appraisal.owning_usd_per_year),
        "total_usd_per_year": cents(total_usd_per_year(one)),
        **returns_row(one),
        "expected_annual_loss_usd": cents(profile.expected_annual_loss_usd.value),
        f"cvar{100 * profile.alpha:g}_usd": cents(profile.cvar_usd.value),
        "expected_annual_loss": _interval(profile.expected_annual_loss_usd, 2),
        "avoided_usd_per_year": None if one.avoided is None else _interval(one.avoided, 2),
        "value_at_risk": _interval(profile.var_usd, 2),
        "conditional_value_at_risk": _interval(profile.cvar_usd, 2),
        "availability": {row["tier"]: _without(row, "tier") for row in availability_rows(one)},
        "availability_covers": list(one.coverage.covered),
        "availability_leaves_out": list(one.coverage.left_out),
        "worse_minutes_per_year": {t: _interval(more, 4) for t, more in one.worse.items()},
        "survives": not any(verdict.fails for verdict in one.verdicts),
        "samples": one.occurrences.samples,
        "simulated": one.occurrences.simulated,
        "ownership": _plain(asdict(appraisal.ownership)),
        "capital": list(capital_rows(one)),
        "running": list(running_rows(one)),
        "cash_flow": list(cash_flow_rows(one)),
        "losses": list(loss_rows(one)),
        "exceedance": list(exceedance_rows(one)),
        "credits": list(credit_rows(one)),
        "cooling": list(cooling_rows(one)),
    }
    # The contract names 95 whatever the confidence asked for.
    data.setdefault("cvar95_usd", cents(profile.annual.conditional_value_at_risk(0.95)))
    return data


def usd_per_year(one: Valued) -> float:
    """Owning, running, and failures: as the plan expects those, or else as sampled."""
    plan = one.build.plan
    if plan is None:
        return total_usd_per_year(one)
    failures = (i.usd_per_year for i in plan.cost.items if i.category in ("recourse", "risk"))
    return one.appraisal.owning_usd_per_year + sum(failures)


def total_usd_per_year(one: Valued) -> float:
    """Owning, running, and failures as sampled."""
    return one.appraisal.owning_usd_per_year + one.profile.expected_annual_loss_usd.value


def returns_row(one: Valued) -> Row:
    """Returns of a build; None where a measure means nothing."""
    found = one.appraisal.returns
    if found is None:
        names = ("irr", "mirr", "payback_years", "discounted_payback_years", "benefit_cost_ratio")
        nothing = dict.fromkeys((*names, "roi", "undiscounted_roi"))
        return {"npv_usd": 0.0, **nothing, "irr_note": "what the others are compared with"}
    return {
        "npv_usd": cents(found.npv_usd),
        "irr": digits(found.irr.rate),
        "mirr": digits(found.mirr),
        "payback_years": digits(found.payback_years),
        "discounted_payback_years": digits(found.discounted_payback_years),
        "benefit_cost_ratio": digits(found.benefit_cost_ratio),
        "roi": digits(found.roi),
        "undiscounted_roi": digits(found.undiscounted_roi),
        "irr_note": found.irr.reason,
        "irr_all": [digits(rate) for rate in found.irr.rates],
    }


def capital_rows(one: Valued) -> Iterator[Row]:
    """Capital line by line."""
    for line in one.position.purchases:
        yield {**asdict(line), "usd": cents(line.usd)}


def running_rows(one: Valued) -> Iterator[Row]:
    """Running cost line by line."""
    for line in one.position.running:
        yield {**asdict(line), "usd_per_year": cents(line.usd_per_year)}


def cash_flow_rows(one: Valued) -> Iterator[Row]:
    """Cash flow year by year."""
    flows = one.appraisal.cash_flow
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
        "other_usd": flows.other,
        "tax_usd": flows.tax,
        "net_usd": flows.net,
        "cumulative_usd": np.cumsum(flows.net),
        "depreciation_usd": flows.depreciation,
        "book_value_usd": flows.book_value,
    }


def loss_rows(one: Valued) -> Iterator[Row]:
    """Expected loss by what began it."""
    for source in one.profile.by_source:
        yield {
            "source": source.source,
            "times_per_year": digits(source.times_per_year),
            "usd_per_year": cents(source.usd_per_year.value),
            "low_usd": cents(source.usd_per_year.low),
            "high_usd": cents(source.usd_per_year.high),
        }


def exceedance_rows(one: Valued) -> Iterator[Row]:
    """Loss-exceedance curve."""
    probability, usd = one.profile.annual.curve(CURVE_POINTS)
    for share, loss in zip(probability.tolist(), usd.tolist(), strict=True):
        yield {"probability": digits(share), "usd": cents(loss)}


def availability_rows(one: Valued) -> Iterator[Row]:
    """Availability of every tier."""
    for tier, share in one.profile.availability.items():
        minutes = one.profile.downtime_minutes_per_year[tier]
        yield {
            "tier": tier,
            "promised": one.build.model.tiers[tier].sla,
            **_interval(share, 9),
            "shown_percent": percent(share)[0],
            "downtime_minutes_per_year": digits(minutes.value),
            "lost_requests_per_year": digits(one.profile.lost_requests_per_year[tier].value),
        }


def coverage_note(study: FinanceStudy) -> str:
    """What the availabilities cover, once where that is the same for all builds."""
    told = {one.coverage.sentence: None for one in study.valued}
    if len(told) == 1:
        return next(iter(told))
    return " ".join(f"{one.build.name}: {one.coverage.sentence}" for one in study.valued)


def worse_notes(study: FinanceStudy) -> Iterator[str]:
    """Tiers that a build serves less than today's does."""
    base = study.base.build.name
    for one in study.alternatives:
        for tier, more in one.worse.items():
            certain = "is served less" if more.low > 0 else "may be served less"
            yield (
                f"{one.build.name}: {tier} {certain} than {base}: {more.value:,.3g} minutes a year "
                f"more without service (95 % interval {more.low:,.3g} to {more.high:,.3g})."
            )


def credit_rows(one: Valued) -> Iterator[Row]:
    """Service credits of a month by tier."""
    for tier, month in one.profile.credits_by_month.items():
        entry = one.build.model.tiers[tier]
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


def cooling_rows(one: Valued) -> Iterator[Row]:
    """Loss of cooling by plants that share clusters."""
    for group in one.cooling:
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
    for one in study.valued:
        for verdict in one.verdicts:
            yield {
                "plan": one.build.name,
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
    rate = study.assumptions.discount_rate
    found = break_even(study.ledger, rate, DECADE)
    for line in found:
        yield {
            "investment": f"recorded prevention, {line.basis}",
            "usd_per_incident": cents(line.usd_per_incident),
            "capital_usd": cents(line.capital_usd),
            "usd_per_year": cents(line.usd_per_year),
            "incidents": digits(line.incidents),
            "incidents_discounted": digits(line.incidents_discounted),
        }
    for one in study.alternatives:
        for line in found:
            plain = justifying_incidents(one, line.usd_per_incident, 0.0)
            discounted = justifying_incidents(one, line.usd_per_incident, rate)
            flows = one.appraisal.cash_flow
            if plain is None or discounted is None or flows is None:
                continue
            yield {
                "investment": f"{one.build.name}, incident {line.basis}",
                "usd_per_incident": cents(line.usd_per_incident),
                "capital_usd": cents(one.appraisal.capital_usd),
                "usd_per_year": cents(-sum(float(part[1]) for part in flows.running.values())),
                "incidents": digits(plain),
                "incidents_discounted": digits(discounted),
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
        for one in found:
            yield {
                "plan": name,
                "input": one.input.name,
                "today": digits(one.base),
                "break_even": digits(one.value),
                "note": one.reason,
            }


def replanned_rows(study: FinanceStudy) -> Iterator[Row]:
    """What other inputs change about the plan."""
    for one in study.replanned:
        yield {
            "input": one.input.name,
            "value": digits(one.value),
            "changed": list(one.changed),
            "capital_usd": _maybe(one.capital_usd),
            "usd_per_year": _maybe(one.usd_per_year),
            "regret_usd_per_year": _maybe(one.regret_usd_per_year),
            "note": one.note,
        }


def write_tables(study: FinanceStudy, folder: Path) -> tuple[Path, ...]:
    """Write every table as CSV into a folder, each whole or not at all.

    Raises
    ------
    InputError
        If the folder cannot be written.
    """
    of_plans = {
        "returns": lambda one: [_returns_line(one)],
        "capital": capital_rows,
        "running": running_rows,
        "cash_flow": cash_flow_rows,
        "losses": loss_rows,
        "exceedance": exceedance_rows,
        "availability": availability_rows,
        "cooling": cooling_rows,
    }
    tables: dict[str, list[Row]] = {"assumptions": list(assumption_rows(study))}
    tables |= {
        name: [{"plan": one.build.name, **row} for one in study.valued for row in rows(one)]
        for name, rows in of_plans.items()
    }
    tables["credits"] = [
        {"plan": one.build.name, **{k: v for k, v in row.items() if k != "steps"}, **step}
        for one in study.valued
        for row in credit_rows(one)
        for step in row["steps"]
    ]
    tables["scenarios"] = list(scenario_rows(study))
    tables["ledger"] = [ledger_row(line) for line in study.ledger]
    tables["break_even_incidents"] = list(incident_rows(study))
    tables["sensitivity"] = list(sensitivity_rows(study))
    tables["break_even"] = list(break_even_rows(study))
    tables["replanned"] = [
        {**row, "changed": "; ".join(row["changed"])} for row in replanned_rows(study)
    ]
    return write_csv(folder, {name: rows for name, rows in tables.items() if rows})


def _returns_line(one: Valued) -> Row:
    row = _without(_plan_head(one), "irr_all")
    return row | {f"tco_{k}": digits(v) for k, v in asdict(one.appraisal.ownership).items()}


def _plan_head(one: Valued) -> Row:
    return {
        "capital_usd": cents(one.appraisal.capital_usd),
        "usd_per_year": cents(usd_per_year(one)),
        "owning_usd_per_year": cents(one.appraisal.owning_usd_per_year),
        "total_usd_per_year": cents(total_usd_per_year(one)),
        **returns_row(one),
        "expected_annual_loss_usd": cents(one.profile.expected_annual_loss_usd.value),
        "alpha": one.profile.alpha,
        "var_usd": cents(one.profile.var_usd.value),
        "cvar_usd": cents(one.profile.cvar_usd.value),
    }


def cents(usd: float) -> float:
    """USD to the cent, never −0."""
    return round(float(usd), 2) + 0.0


def digits(value: float | None) -> float | None:
    """A number to ten digits."""
    return None if value is None else float(f"{value:.10g}")


def _maybe(usd: float | None) -> float | None:
    return None if usd is None else cents(usd)


def _interval(one: Estimate, places: int) -> Row:
    return {
        "estimate": round(one.value, places),
        "low": round(one.low, places),
        "high": round(one.high, places),
    }


def _without(row: Row, name: str) -> Row:
    return {k: v for k, v in row.items() if k != name}


def _plain(data: Mapping[str, Any]) -> Row:
    return {k: digits(v) if isinstance(v, float) else v for k, v in data.items()}
