"""Writing plans down: solutions, cost items and verdicts as the records of a plan."""

from __future__ import annotations

import math
import platform
from collections.abc import Iterable
from dataclasses import dataclass
from heapq import nlargest
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import planner
from planner.files import now
from planner.infrastructure.catalogue import shipped_models
from planner.infrastructure.entities import Model
from planner.infrastructure.fleet import Fleet, heat_of, plant_units, unit_mw
from planner.infrastructure.loading import LoadedModel
from planner.laws.heat import capacity_after_losses_mw, heat_at_utilisation_mw
from planner.laws.money import annuity
from planner.optimization.formulation.problem import ProblemData
from planner.optimization.formulation.risk import RiskFigures
from planner.optimization.formulation.simulated import SimulatedCut
from planner.optimization.infeasibility.wording import waived_text
from planner.optimization.solution.audit_purchases import broken_rules
from planner.optimization.solution.costs import CostItem
from planner.optimization.solution.solving import Solution
from planner.plan.baseline import baseline_of
from planner.plan.records import (
    BreachRecord,
    CoolingLine,
    Cost,
    CostLine,
    EmergencyLine,
    GpuLine,
    LearnedRecord,
    MeasureLine,
    Method,
    ModelReference,
    Plan,
    RiskRecord,
    RoundRecord,
    ScenarioLine,
    SolverRecord,
    Stopped,
    Verification,
    WaivedRecord,
)
from planner.simulation.verdict import Verdict

#: Most purchases that are recorded for a breach that the loop learned from.
MOST_ANSWERS = 5


@dataclass(frozen=True)
class Origin:
    """How a plan came about.

    Parameters
    ----------
    solver, seconds
        Name of the solver, and its time over all rounds, s.
    rounds, made_in
        Rounds of the loop, and the number of the one whose purchases the plan states.
    method, repairs
        Whether the plan is an optimum, and how a rule of thumb repaired it.
    stopped
        What ended the loop early; None if nothing did.
    left_out
        Failures simulated at hours left out; None where they are too many.
    survivor_bound_usd
        What a plan that survives costs a year at least; None where that is not worked out.
    learned
        Cuts of the search for a plan that survives.
    """

    solver: str = "none"
    seconds: float = 0.0
    rounds: tuple[RoundRecord, ...] = ()
    made_in: int | None = None
    method: Method = "optimum"
    repairs: tuple[str, ...] = ()
    stopped: Stopped | None = None
    left_out: int | None = 0
    survivor_bound_usd: float | None = None
    learned: tuple[SimulatedCut, ...] = ()


def make_plan(
    loaded: LoadedModel,
    solution: Solution,
    items: Iterable[CostItem],
    verdicts: Iterable[Verdict],
    origin: Origin,
    risk: RiskFigures | None = None,
) -> Plan:
    """Write down a solution, its cost and its verdicts as a plan."""
    model = loaded.model
    lines, today = cost_lines(items), baseline_of(model)
    existing = cost_lines(today.items)
    cost = Cost(
        capital_usd=to_cents(sum(line.capital_usd for line in lines)),
        usd_per_year=to_cents(sum(line.usd_per_year for line in lines)),
        items=lines,
        routing_usd_per_year=to_cents(solution.routing_usd_per_year),
        existing_usd_per_year=to_cents(sum(line.usd_per_year for line in existing)),
        existing=existing,
        existing_unserved_share=today.unserved_share,
    )
    scenarios = tuple(scenario_line(verdict) for verdict in verdicts)
    return Plan(
        model=ModelReference(
            name=loaded.name,
            sha256=loaded.sha256,
            path=_reference(loaded.file),
            overrides=loaded.overrides,
        ),
        created=now(),
        versions=versions(),
        status="optimal" if solution.status == "optimal" else "feasible",
        method=origin.method,
        repairs=origin.repairs,
        objective_usd_per_year=to_cents(solution.objective),
        gap=round(solution.gap, 9),
        solver=SolverRecord(
            name=origin.solver,
            seconds=round(origin.seconds, 3),
            rows=solution.rows,
            columns=solution.columns,
        ),
        **purchase_lines(model, solution.fleet),
        breaks=tuple(broken_rules(model, solution.fleet)),
        cost=cost,
        risk=None if risk is None else risk_record(risk),
        scenarios=scenarios,
        verification=Verification.of(
            scenarios,
            origin.rounds,
            origin.stopped,
            origin.left_out,
            None if origin.survivor_bound_usd is None else to_cents(origin.survivor_bound_usd),
            learned_records(origin.learned),
        ),
        round=origin.made_in,
    )


def _reference(file: Path | None) -> str | None:
    """Name of a shipped model, or the absolute path of any other."""
    if file is None:
        return None
    place = file.parent.resolve() / file.name
    try:
        str(place).encode()
    except UnicodeEncodeError:  # JSON has no such names
        return None
    return place.stem if shipped_models().get(place.stem) == place else place.as_posix()


def cost_lines(items: Iterable[CostItem]) -> tuple[CostLine, ...]:
    """Cost items as lines of a plan, to the cent."""
    return tuple(
        CostLine(
            category=item.category,
            asset=item.asset,
            capital_usd=to_cents(item.capital_usd),
            usd_per_year=to_cents(item.usd_per_year),
        )
        for item in items
    )


def risk_record(figures: RiskFigures) -> RiskRecord:
    """Risk figures as a part of a plan."""
    policy = figures.policy
    return RiskRecord(
        kind=policy.kind,
        alpha=policy.alpha,
        beta=policy.beta,
        expected_usd_per_year=to_cents(figures.expected_usd_per_year),
        cvar_usd_per_year=to_cents(figures.cvar_usd_per_year),
        worst_usd_per_year=to_cents(figures.worst_usd_per_year),
        once_usd={name: to_cents(usd) for name, usd in figures.once_usd.items()},
    )


def scenario_line(verdict: Verdict) -> ScenarioLine:
    """Verdict as a line of a plan."""
    breach = verdict.first_breach
    return ScenarioLine(
        name=verdict.name,
        severity=verdict.severity,
        frequency_per_year=verdict.frequency_per_year,
        survives=verdict.survives,
        status=verdict.status,
        first_breach=None
        if breach is None
        else BreachRecord(
            kind=breach.kind,
            subject=breach.subject,
            minute=breach.minute if math.isfinite(breach.minute) else None,
            shortfall=round(breach.shortfall, 6),
            text=str(breach),
        ),
        recovery_minutes=verdict.recovery_minutes,
        lost_requests=float(round(verdict.lost_requests)),
        peak_temperature_c=round(verdict.peak_temperature_c, 3),
        throttled_minutes=verdict.throttled_minutes,
        emergency_usd=to_cents(verdict.emergency_usd),
        served={tier: round(fraction, 6) for tier, fraction in verdict.served.items()},
        served_by_zone={
            zone: {tier: round(fraction, 6) for tier, fraction in tiers.items()}
            for zone, tiers in verdict.served_by_zone.items()
        },
    )


def learned_records(cuts: Iterable[SimulatedCut]) -> tuple[LearnedRecord, ...]:
    """Cuts of the loop as lines of a plan, with the purchases that answer each best."""
    return tuple(
        LearnedRecord(
            scenario=cut.scenario,
            kind=cut.kind,
            subject=cut.subject,
            short=round(cut.short, 6),
            makes_up={
                gain.asset: round(gain.share, 6)
                for gain in nlargest(MOST_ANSWERS, cut.gains, key=lambda gain: gain.share)
            },
        )
        for cut in cuts
    )


def waived_records(data: ProblemData) -> tuple[WaivedRecord, ...]:
    """Rows of scenarios that the programme of a round waived, as lines of a plan."""
    return tuple(
        WaivedRecord(
            family=family,
            subject=subject,
            scenario=scenario,
            allowed=None if math.isinf(amount) else amount,
            text=waived_text((family, subject, scenario)),
        )
        for (family, subject, scenario), amount in sorted(data.waived.items())
        if scenario
    )


def to_cents(usd: float) -> float:
    """Round an amount as plans state it."""
    return round(usd, 2)


def versions() -> dict[str, str]:
    """Versions of what a plan depends on."""
    found = {"planner": planner.__version__, "python": platform.python_version()}
    for package in ("pulp", "highspy", "numpy", "networkx"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def full_heat_mw(model: Model, fleet: Fleet, cluster: str) -> float:
    """Heat of all GPUs of a cluster at full load, MW."""
    gpu = model.gpus[model.clusters[cluster].gpu]
    heat = heat_at_utilisation_mw(gpu.power_mw, gpu.static_share, fleet.gpus[cluster], 1.0)
    return float(heat)


def purchase_lines(model: Model, fleet: Fleet) -> dict[str, Any]:
    """The parts of a plan that state its purchases."""
    return {
        "cooling": _cooling_lines(model, fleet),
        "gpus": _gpu_lines(model, fleet),
        "emergency": _emergency_lines(model, fleet),
        "measures": _measure_lines(model, fleet),
    }


def _cooling_lines(model: Model, fleet: Fleet) -> tuple[CoolingLine, ...]:
    lines = []
    for plant, entry in model.plants.items():
        units = plant_units(model, plant)
        sizes = [unit_mw(model, plant, unit) for unit in units]
        counts = [fleet.units[plant][unit] for unit in units]
        firm = capacity_after_losses_mw(sizes, counts, entry.redundancy)
        heat = model.cooled_share(entry.role) * sum(
            full_heat_mw(model, fleet, cluster) for cluster, _ in heat_of(model, plant)
        )
        lines += [
            CoolingLine(
                plant=plant,
                region=entry.region,
                role=entry.role,
                unit=unit,
                existing=entry.existing.get(unit, 0),
                added=max(0, count - entry.existing.get(unit, 0)),
                retired=max(0, entry.existing.get(unit, 0) - count),
                total=count,
                derated_mw_each=round(size, 9),
                redundancy=entry.redundancy,
                design_heat_mw=round(heat, 9),
                firm_mw=round(firm, 9),
            )
            for unit, size, count in zip(units, sizes, counts, strict=True)
        ]
    return tuple(lines)


def _gpu_lines(model: Model, fleet: Fleet) -> tuple[GpuLine, ...]:
    return tuple(
        GpuLine(
            cluster=name,
            region=entry.region,
            gpu=entry.gpu,
            existing=entry.existing_gpus,
            added=max(0, fleet.gpus[name] - entry.existing_gpus),
            retired=max(0, entry.existing_gpus - fleet.gpus[name]),
            total=fleet.gpus[name],
        )
        for name, entry in model.clusters.items()
    )


def _measure_lines(model: Model, fleet: Fleet) -> tuple[MeasureLine, ...]:
    """Measures with what each costs, whether bought or not."""
    rate = model.finance.discount_rate
    return tuple(
        MeasureLine(
            measure=name,
            bought=name in fleet.measures,
            capital_usd=measure.capital_usd,
            usd_per_year=to_cents(
                measure.capital_usd * annuity(rate, measure.life_years) + measure.usd_per_year
            ),
        )
        for name, measure in model.measures.items()
    )


def _emergency_lines(model: Model, fleet: Fleet) -> tuple[EmergencyLine, ...]:
    return tuple(
        EmergencyLine(
            offer=name,
            provider=offer.provider,
            instance=offer.instance,
            instances_reserved=fleet.instances[name],
            gpus_reserved=fleet.instances[name] * offer.gpus_per_instance,
            lead_time_minutes=offer.lead_time_minutes,
            usd_per_gpu_hour=round(
                offer.usd_per_instance_hour * offer.price_factor / offer.gpus_per_instance, 6
            ),
        )
        for name, offer in model.offers.items()
    )
