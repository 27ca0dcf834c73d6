"""The plan: the frozen result of a run, written to and read from ``plan.json``."""

from __future__ import annotations

import math
import os
import platform
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field, Strict, model_validator

import planner
from planner.infrastructure.catalogue import shipped_models
from planner.infrastructure.entities import Model
from planner.infrastructure.failures import Severity
from planner.infrastructure.fleet import Fleet, plant_units, unit_mw
from planner.infrastructure.loading import LoadedModel
from planner.json_text import json_text
from planner.laws.heat import capacity_after_losses_mw, heat_at_utilisation_mw
from planner.laws.money import annuity
from planner.optimization.formulation.problem import Key, ProblemData
from planner.optimization.formulation.risk import RiskFigures
from planner.optimization.formulation.stages import Margin
from planner.optimization.infeasibility.wording import waived_text
from planner.optimization.solution.costs import CostItem
from planner.optimization.solution.solving import Solution
from planner.plan.baseline import standing
from planner.simulation.verdict import Status, Verdict

Method = Literal["optimum", "rule-of-thumb"]
Stopped = Literal["time limit", "interrupted"]
#: Half of the last digit of the margins in plans of earlier versions.
ROUNDING = 5e-7
#: Last digits of money and of gaps in plans.
CENT, GAP_DIGIT = 1e-2, 1e-9
Whole = Annotated[int, Strict(), Field(ge=0, le=10_000_000)]


class Record(BaseModel):
    """A frozen part of a plan; fields of later versions are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class SelectionRecord(Record):
    """Which scenarios a plan is for, where these are not those of the model."""

    sets: tuple[str, ...]
    only: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    severities: tuple[Severity, ...] = ()
    least_per_year: float = 0.0


class ModelReference(Record):
    """The model that a plan is for.

    Parameters
    ----------
    path
        Name of a shipped model, or file: absolute here, relative to the plan's folder in
        ``plan.json``. None in plans that do not say.
    overrides
        Settings that the model was changed with, in order.
    scenarios
        Which scenarios it is for; None means those of the model.
    """

    name: str
    sha256: str
    path: str | None = None
    overrides: tuple[str, ...] = ()
    scenarios: SelectionRecord | None = None


class SolverRecord(Record):
    """Who proved the plan, and how long it took."""

    name: str
    seconds: float
    rows: int = 0
    columns: int = 0


class CoolingLine(Record):
    """Units of one type in one plant."""

    plant: str
    region: str
    role: str
    unit: str
    existing: Whole
    added: Whole
    retired: Whole = 0
    total: Whole
    derated_mw_each: float
    redundancy: Whole
    design_heat_mw: float
    firm_mw: float


class GpuLine(Record):
    """GPUs of one cluster."""

    cluster: str
    region: str
    gpu: str
    existing: Whole
    added: Whole
    retired: Whole = 0
    total: Whole


class EmergencyLine(Record):
    """Reserved instances of one offer."""

    offer: str
    provider: str
    instance: str
    instances_reserved: Whole
    gpus_reserved: Whole
    lead_time_minutes: float
    usd_per_gpu_hour: float


class MeasureLine(Record):
    """Another purchase."""

    measure: str
    bought: bool
    capital_usd: float = 0.0
    usd_per_year: float = 0.0


class CostLine(Record):
    """One cost item."""

    category: str
    asset: str
    capital_usd: float
    usd_per_year: float


class Cost(Record):
    """Cost of the plan, and of what exists.

    Parameters
    ----------
    capital_usd, usd_per_year, items
        Capital of purchases, and what a year costs with them.
    existing_usd_per_year, existing
        What a year costs with what exists alone: upkeep, retainers, energy, transport; None in
        plans of earlier versions. What failures cost is in the plan only.
    existing_unserved_share
        Share of a week's demand for which what exists has no room without any failure.
    routing_usd_per_year
        Part of the cost beyond what the programme states of routing.
    """

    capital_usd: float
    usd_per_year: float
    items: tuple[CostLine, ...]
    routing_usd_per_year: float = 0.0
    existing_usd_per_year: float | None = None
    existing: tuple[CostLine, ...] = ()
    existing_unserved_share: float = 0.0


class BreachRecord(Record):
    """First breach of a scenario."""

    kind: str
    subject: str
    minute: float | None
    shortfall: float
    text: str


class ScenarioLine(Record):
    """Verdict of one scenario."""

    name: str
    severity: str
    frequency_per_year: float
    survives: bool
    status: Status
    first_breach: BreachRecord | None
    recovery_minutes: float | None
    lost_requests: float
    peak_temperature_c: float
    emergency_usd: float
    served: dict[str, float]
    served_by_zone: dict[str, dict[str, float]] = {}

    @model_validator(mode="before")
    @classmethod
    def _of_earlier_files(cls, data: Any) -> Any:
        """Files of earlier versions judged everything, and say no more than whether it survives."""
        if isinstance(data, dict) and "survives" in data:
            unjudged = str(data.get("status", "")).startswith("not ") and not data["survives"]
            status = "survives" if data["survives"] else "fails"
            return data if unjudged else {**data, "status": status}
        return data

    @property
    def fails(self) -> bool:
        """Whether anything falls short."""
        return self.status == "fails"

    @property
    def judged(self) -> bool:
        """Whether it counts as survived or not."""
        return self.survives or self.fails


class MarginRecord(Record):
    """Margin on one scenario, with the digits it had."""

    scenario: str
    demand: float
    heat: float
    late_minutes: float
    services: float = 0.0
    spend: float = 0.0


class WaivedRecord(Record):
    """A requirement stricter than the standard that was left to the simulation."""

    family: str
    subject: str
    scenario: str
    allowed: float | None = None
    text: str


class RiskRecord(Record):
    """What failures cost in an average and in a bad year."""

    kind: Literal["expected", "cvar", "worst"]
    alpha: float
    beta: float
    expected_usd_per_year: float
    cvar_usd_per_year: float
    worst_usd_per_year: float
    once_usd: dict[str, float]


class RoundRecord(Record):
    """One round of the loop."""

    round: int
    objective_usd_per_year: float
    failed: tuple[str, ...]
    margins: tuple[MarginRecord, ...] = ()
    waived: tuple[WaivedRecord, ...] = ()


class Verification(Record):
    """Outcome of the loop.

    It survives if no scenario fails. Of those not judged the standard asks nothing; those not
    applicable hit nothing that the plan has.
    """

    survives: bool
    judged: int = 0
    not_judged: int = 0
    not_applicable: int = 0
    rounds: tuple[RoundRecord, ...]
    stopped: Stopped | None = None


def verified(
    lines: Sequence[ScenarioLine],
    rounds: tuple[RoundRecord, ...],
    stopped: Stopped | None = None,
) -> Verification:
    """Outcome of the loop, with what became of the scenarios of its plan counted."""
    survives = not any(line.fails for line in lines)
    return Verification(survives=survives, **counts(lines), rounds=rounds, stopped=stopped)


def counts(lines: Iterable[ScenarioLine]) -> dict[str, int]:
    """How many scenarios are judged, and why others are not."""
    statuses = Counter(line.status for line in lines)
    return {
        "judged": statuses["survives"] + statuses["fails"],
        "not_judged": statuses["not judged"],
        "not_applicable": statuses["not applicable"],
    }


def survived(lines: Sequence[ScenarioLine]) -> str:
    """How many of the scenarios that were judged survived."""
    if not lines:
        return "No scenario, so nothing was survived"
    judged = [line for line in lines if line.survives or line.fails]
    if not judged:
        return f"None of {len(lines)} scenarios judged"
    return f"{sum(line.survives for line in judged)} of {len(judged)} scenarios survived"


def not_counted(lines: Sequence[ScenarioLine]) -> list[str]:
    """How many scenarios were neither survived nor failed, and why."""
    statuses = [line.status for line in lines]
    reasons = (
        ("not judged", "the standard asks nothing of them"),
        ("not applicable", "they hit nothing that is there"),
    )
    return [
        f"{statuses.count(status)} {status}: {reason}"
        for status, reason in reasons
        if status in statuses
    ]


class Plan(Record):
    """What to buy, what it costs, and how we know.

    Parameters
    ----------
    round
        The round whose purchases these are; None in plans of earlier versions, whose margins were
        rounded.
    """

    schema_version: Literal[1] = 1
    model: ModelReference
    created: str
    versions: dict[str, str]
    status: Literal["optimal", "feasible"]
    method: Method = "optimum"
    repairs: tuple[str, ...] = ()
    objective_usd_per_year: float
    gap: float
    solver: SolverRecord
    cooling: tuple[CoolingLine, ...]
    gpus: tuple[GpuLine, ...]
    emergency: tuple[EmergencyLine, ...]
    measures: tuple[MeasureLine, ...] = ()
    cost: Cost
    risk: RiskRecord | None = None
    scenarios: tuple[ScenarioLine, ...]
    verification: Verification
    round: int | None = None

    @property
    def made_in(self) -> RoundRecord | None:
        """The round whose purchases these are; None without rounds."""
        rounds = self.verification.rounds
        stated = [one for one in rounds if one.round == self.round]
        return stated[0] if stated else best_round(rounds)

    @property
    def bound_usd_per_year(self) -> float:
        """What the plan proves that every plan costs at least, as far as its digits tell."""
        cost = self.objective_usd_per_year
        return cost - (self.gap + GAP_DIGIT / 2) * abs(cost) - CENT / 2

    @property
    def margins(self) -> dict[str, Margin]:
        """Margins of the programme whose optimum these purchases are."""
        return self.margins_in(self.made_in)

    def margins_in(self, record: RoundRecord | None) -> dict[str, Margin]:
        """Margins of a round, never more than they were before they were rounded."""
        lines = () if record is None else record.margins
        margins = {line.scenario: Margin(**line.model_dump(exclude={"scenario"})) for line in lines}
        if self.round is not None:
            return margins
        return {name: _as_before_rounding(one) for name, one in margins.items()}

    @model_validator(mode="before")
    @classmethod
    def _of_earlier_files(cls, data: Any) -> Any:
        """Files of earlier versions judged every scenario."""
        proof = data.get("verification") if isinstance(data, dict) else None
        if isinstance(proof, dict) and "judged" not in proof:
            count = len(data.get("scenarios") or ())
            return {**data, "verification": {**proof, "judged": count}}
        return data

    def fleet(self, model: Model) -> Fleet:
        """Capacities that the plan leads to."""
        opened = {
            line.region for line in self.gpus if model.regions[line.region].candidate and line.total
        }
        return Fleet.after(
            model,
            {(line.plant, line.unit): line.added - line.retired for line in self.cooling},
            {line.cluster: line.added - line.retired for line in self.gpus},
            {
                line.offer: line.instances_reserved - model.offers[line.offer].existing_instances
                for line in self.emergency
            },
            frozenset(opened),
            frozenset(line.measure for line in self.measures if line.bought),
        )

    def to_json(self) -> str:
        """The plan as text, the same bytes for the same plan."""
        return json_text(self) + "\n"


class _Judged(Protocol):
    """A round whose plan was simulated."""

    @property
    def failed(self) -> tuple[str, ...]: ...


def best_round[R: _Judged](rounds: Sequence[R]) -> R | None:
    """The last round whose plan no earlier one exceeds in scenarios survived."""
    return min(reversed(rounds), key=lambda one: len(one.failed)) if rounds else None


def _as_before_rounding(margin: Margin) -> Margin:
    """A margin that was rounded to six digits, at the least that it may have been."""
    shares = {
        name: max(0.0, value - ROUNDING)
        for name, value in vars(margin).items()
        if name != "late_minutes"
    }
    return replace(margin, **shares)


def make_plan(
    loaded: LoadedModel,
    solution: Solution,
    items: Iterable[CostItem],
    verdicts: Iterable[Verdict],
    rounds: tuple[RoundRecord, ...],
    solver: str,
    seconds: float,
    risk: RiskFigures | None = None,
    method: Method = "optimum",
    repairs: tuple[str, ...] = (),
    stopped: Stopped | None = None,
    made_in: int | None = None,
) -> Plan:
    """Put a plan together from a solution, its cost and its verdicts."""
    model = loaded.model
    lines, today = cost_lines(items), standing(model)
    existing = cost_lines(today.items)
    cost = Cost(
        capital_usd=_cents(sum(line.capital_usd for line in lines)),
        usd_per_year=_cents(sum(line.usd_per_year for line in lines)),
        items=lines,
        routing_usd_per_year=_cents(solution.routing_usd_per_year),
        existing_usd_per_year=_cents(sum(line.usd_per_year for line in existing)),
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
        method=method,
        repairs=repairs,
        objective_usd_per_year=_cents(solution.objective),
        gap=round(solution.gap, 9),
        solver=SolverRecord(
            name=solver,
            seconds=round(seconds, 3),
            rows=solution.rows,
            columns=solution.columns,
        ),
        cooling=_cooling_lines(model, solution.fleet),
        gpus=_gpu_lines(model, solution.fleet),
        emergency=_emergency_lines(model, solution.fleet),
        measures=_measure_lines(model, solution.fleet),
        cost=cost,
        risk=None if risk is None else risk_record(risk),
        scenarios=scenarios,
        verification=verified(scenarios, rounds, stopped),
        round=made_in,
    )


def _reference(file: Path | None) -> str | None:
    """Name of a shipped model, or the absolute path of any other."""
    if file is None:
        return None
    place = file.parent.resolve() / file.name
    return place.stem if shipped_models().get(place.stem) == place else place.as_posix()


def cost_lines(items: Iterable[CostItem]) -> tuple[CostLine, ...]:
    """Cost items as lines of a plan, to the cent."""
    return tuple(
        CostLine(
            category=item.category,
            asset=item.asset,
            capital_usd=_cents(item.capital_usd),
            usd_per_year=_cents(item.usd_per_year),
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
        expected_usd_per_year=_cents(figures.expected_usd_per_year),
        cvar_usd_per_year=_cents(figures.cvar_usd_per_year),
        worst_usd_per_year=_cents(figures.worst_usd_per_year),
        once_usd={name: _cents(usd) for name, usd in figures.once_usd.items()},
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
            minute=breach.minute if breach.minute != float("inf") else None,
            shortfall=round(breach.shortfall, 6),
            text=str(breach),
        ),
        recovery_minutes=verdict.recovery_minutes,
        lost_requests=float(round(verdict.lost_requests)),
        peak_temperature_c=round(verdict.peak_temperature_c, 3),
        emergency_usd=_cents(verdict.emergency_usd),
        served={tier: round(fraction, 6) for tier, fraction in verdict.served.items()},
        served_by_zone={
            zone: {tier: round(fraction, 6) for tier, fraction in tiers.items()}
            for zone, tiers in verdict.served_by_zone.items()
        },
    )


def margin_records(margins: Mapping[str, Margin]) -> tuple[MarginRecord, ...]:
    """Margins as lines of a plan."""
    return tuple(
        MarginRecord(scenario=name, **vars(margin)) for name, margin in sorted(margins.items())
    )


def waived_records(case: ProblemData) -> tuple[WaivedRecord, ...]:
    """What a round left to the simulation, as lines of a plan."""
    return tuple(
        WaivedRecord(
            family=family,
            subject=subject,
            scenario=scenario,
            allowed=None if math.isinf(by) else by,
            text=waived_text((family, subject, scenario)),
        )
        for (family, subject, scenario), by in sorted(case.waived.items())
    )


def waived_of(record: RoundRecord | None) -> dict[Key, float]:
    """What a round left to the simulation, and by how much each may be broken."""
    lines = record.waived if record is not None else ()
    return {
        (one.family, one.subject, one.scenario): math.inf if one.allowed is None else one.allowed
        for one in lines
    }


def _cents(usd: float) -> float:
    return round(usd, 2)


def now() -> str:
    """Time of creation; SOURCE_DATE_EPOCH pins it for reproducible files."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "")
    moment = datetime.fromtimestamp(int(epoch), UTC) if epoch.isdigit() else datetime.now(UTC)
    return moment.isoformat(timespec="seconds")


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


def _cooling_lines(model: Model, fleet: Fleet) -> tuple[CoolingLine, ...]:
    lines = []
    for plant, entry in model.plants.items():
        units = plant_units(model, plant)
        sizes = [unit_mw(model, plant, unit) for unit in units]
        counts = [fleet.units[plant][unit] for unit in units]
        firm = capacity_after_losses_mw(sizes, counts, entry.redundancy)
        heat = model.cooled_share(entry.role) * sum(
            full_heat_mw(model, fleet, cluster) for cluster in entry.cools
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
            capital_usd=one.capital_usd,
            usd_per_year=_cents(one.capital_usd * annuity(rate, one.life_years) + one.usd_per_year),
        )
        for name, one in model.measures.items()
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
