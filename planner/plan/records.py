"""What a plan states: the frozen records that ``plan.json`` holds."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, Strict

from planner.infrastructure.entities import Model
from planner.infrastructure.failures import HourChoice, Severity
from planner.infrastructure.fleet import Fleet
from planner.json_text import json_text
from planner.optimization.formulation.problem import Key
from planner.simulation.verdict import Status

Method = Literal["optimum", "rule-of-thumb"]
Stopped = Literal["time limit", "interrupted"]
#: Last digits of money and of gaps in plans.
CENT, GAP_DIGIT = 1e-2, 1e-9
Whole = Annotated[int, Strict(), Field(ge=0, le=10_000_000)]


def stopped_by(timed_out: bool, interrupted: bool) -> Stopped | None:
    """What ended a search early; None if nothing did."""
    if interrupted:
        return "interrupted"
    return "time limit" if timed_out else None


class Record(BaseModel):
    """A frozen part of a plan; fields of later versions are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class SelectionRecord(Record):
    """Which scenarios a plan is for, where these are not those of the model.

    Parameters
    ----------
    hours
        Hours of the week of failures that do not state theirs; None for what the model says.
    also
        Failures at hours that the simulation added to those that matter to the programme.
    """

    sets: tuple[str, ...]
    only: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    severities: tuple[Severity, ...] = ()
    least_per_year: float = 0.0
    hours: HourChoice | None = None
    also: tuple[str, ...] = ()


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
    #: Not written into plans: the same input makes the same bytes.
    seconds: float = Field(default=0.0, exclude=True)
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
        What a year costs with what exists alone: upkeep, retainers, energy, transport; None where
        that is not worked out. What failures cost is in the plan only.
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
    throttled_minutes: int = 0
    emergency_usd: float
    served: dict[str, float]
    served_by_zone: dict[str, dict[str, float]] = {}

    @property
    def fails(self) -> bool:
        """Whether anything falls short."""
        return self.status == "fails"

    @property
    def judged(self) -> bool:
        """Whether it counts as survived or not."""
        return self.survives or self.fails


class WaivedRecord(Record):
    """A requirement stricter than the survival standard that was left to the simulation.

    Parameters
    ----------
    family, subject, scenario
        Key of its row in the programme.
    allowed
        By how much the plan may violate it, in the unit of the row; None for any amount.
    text
        The requirement in words.
    """

    family: str
    subject: str
    scenario: str
    allowed: float | None = None
    text: str


class LearnedRecord(Record):
    """A breach that the loop has learned from, and the purchases that answer it best.

    Parameters
    ----------
    scenario, kind, subject, short
        The breach of a plan that failed, and by how much it fell short.
    makes_up
        Share of that which one more of each purchase makes up for.
    """

    scenario: str
    kind: str
    subject: str
    short: float
    makes_up: dict[str, float]


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
    """One round of the loop.

    Parameters
    ----------
    searched
        Fleets simulated to find this one below the plans of the programme; 0 for one of these.
    """

    round: int
    objective_usd_per_year: float
    failed: tuple[str, ...]
    waived: tuple[WaivedRecord, ...] = ()
    searched: int = 0

    @property
    def waived_by_row(self) -> dict[Key, float]:
        """By how much each waived row may be violated; infinite for any amount."""
        return {
            (line.family, line.subject, line.scenario): (
                math.inf if line.allowed is None else line.allowed
            )
            for line in self.waived
        }


class Verification(Record):
    """Outcome of the loop.

    The plan survives if no scenario fails. The survival standard asks nothing of scenarios that are
    not judged; those not applicable hit nothing that the plan has.

    Parameters
    ----------
    left_out
        Number of failures simulated at hours of the week that no scenario stands for; None where
        they are too many to simulate.
    survivor_bound_usd_per_year
        What a plan that survives costs at least; None where that is not worked out.
    learned
        What the search for a plan that survives was made to buy against.
    """

    survives: bool
    judged: int = 0
    not_judged: int = 0
    not_applicable: int = 0
    left_out: int | None = 0
    survivor_bound_usd_per_year: float | None = None
    learned: tuple[LearnedRecord, ...] = ()
    rounds: tuple[RoundRecord, ...]
    stopped: Stopped | None = None

    @classmethod
    def of(
        cls,
        lines: Sequence[ScenarioLine],
        rounds: tuple[RoundRecord, ...],
        stopped: Stopped | None = None,
        left_out: int | None = 0,
        survivor_bound_usd_per_year: float | None = None,
        learned: tuple[LearnedRecord, ...] = (),
    ) -> Verification:
        """Outcome of the loop, given the scenarios of the plan and how the loop ended."""
        survives, numbers = not any(line.fails for line in lines), counts(lines)
        return cls(
            survives=survives,
            **numbers,
            left_out=left_out,
            survivor_bound_usd_per_year=survivor_bound_usd_per_year,
            learned=learned,
            rounds=rounds,
            stopped=stopped,
        )


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
        ("not judged", "the standard requires nothing of them"),
        ("not applicable", "they affect nothing that exists"),
    )
    return [
        f"{statuses.count(status)} {status}: {reason}"
        for status, reason in reasons
        if status in statuses
    ]


#: Why a period of a roadmap claims no recourse: the beginnings of texts, and whole ones.
LATE, NOTHING_LEFT = "no order comes in time: ", "nothing can be done about "
FIRM_ONLY = "some of its power counts only while nothing has failed"
NO_TIME = "time was over before failures were priced"


class Plan(Record):
    """What to buy, what it costs, and how we know.

    Parameters
    ----------
    breaks
        Rules on purchases that it is known to break: a rule of thumb where limits left no room, a
        period of a roadmap that no order reaches, what exists.
    round
        Number of the round whose purchases these are; None for what no round of the loop made.
    of_roadmap
        Node of the roadmap that it is part of: other nodes have to do with what it has, and it
        claims no recourse where no order reached it in time; None for a plan by itself.
    """

    schema_version: Literal[1] = 1
    model: ModelReference
    created: str
    versions: dict[str, str]
    status: Literal["optimal", "feasible"]
    method: Method = "optimum"
    repairs: tuple[str, ...] = ()
    breaks: tuple[str, ...] = ()
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
    of_roadmap: str | None = None

    @property
    def made_in(self) -> RoundRecord | None:
        """The round whose purchases these are; None for what no round of the loop made."""
        rounds = self.verification.rounds
        return next((record for record in rounds if record.round == self.round), None)

    @property
    def searched(self) -> int:
        """Fleets simulated to find this one below the plans of the programme; 0 if it is one."""
        return 0 if self.made_in is None else self.made_in.searched

    @property
    def more_than_first_usd_per_year(self) -> float | None:
        """What it costs a year more than the plan of the first round; None for that plan."""
        first, made = self.verification.rounds[:1], self.made_in
        if made is None or made.round == first[0].round:
            return None
        return made.objective_usd_per_year - first[0].objective_usd_per_year

    @property
    def bound_usd_per_year(self) -> float:
        """Proven lower bound on the cost of every plan, as far as the stated digits tell."""
        cost = self.objective_usd_per_year
        return cost - (self.gap + GAP_DIGIT / 2) * abs(cost) - CENT / 2

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
