"""Builds side by side in money: costs, losses, returns, and how sure they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from planner.errors import Problem
from planner.files import now
from planner.finance.appraisal import BuildAppraisal, appraise
from planner.finance.assumptions import Assumptions
from planner.finance.builds import Build, held, purchases, running, unpriced
from planner.finance.cashflow import CashFlow, Floats, Losses, Position
from planner.finance.coverage import Coverage, coverage
from planner.finance.ledger import IncidentBreakEven, LedgerLine, break_even, read_ledger
from planner.finance.losses import LossProfile, difference, loss_profile, more_downtime
from planner.finance.sensitivity import BreakEven, Swing, break_evens, inputs_for, tornado
from planner.infrastructure.fleet import Fleet
from planner.infrastructure.loading import LoadedModel
from planner.laws.returns import incidents_to_justify
from planner.plan.assembly import versions
from planner.reliability import SAMPLES
from planner.reliability.cooling_adequacy import CoolingAdequacy, cooling_adequacy
from planner.reliability.estimates import Estimate
from planner.reliability.monte_carlo import sample_occurrences
from planner.reliability.normal_week import normal_hours, requests_per_year
from planner.reliability.occurrences import Occurrences
from planner.simulation.verdict import Verdict, judge

if TYPE_CHECKING:
    from planner.finance.replanning import Replanned

#: Years in which incidents are counted that would justify a build.
DECADE = 10
#: Minutes a year that make a tier worse off; less is rounding.
LEAST_MINUTES = 1e-3


@dataclass(frozen=True)
class Sampling:
    """How failures are sampled.

    Parameters
    ----------
    samples
        Cascades simulated for each build.
    seed
        Seed: the same gives the same figures.
    alpha
        Confidence of value at risk and conditional value at risk.

    Raises
    ------
    ValueError
        If a value is outside its accepted set.
    """

    samples: int = SAMPLES
    seed: int = 0
    alpha: float = 0.95

    def __post_init__(self) -> None:
        least = {"samples": 1, "seed": 0}
        for name, value in ((name, getattr(self, name)) for name in least):
            if value < least[name]:
                raise ValueError(f"Expected {name} ≥ {least[name]}, got {value}.")
        if not 0 <= self.alpha < 1:
            raise ValueError(f"Expected alpha in [0, 1), got {self.alpha}.")


@dataclass(frozen=True)
class Valued:
    """A build with everything said about it.

    Parameters
    ----------
    build, position
        What it is, and the same in money.
    verdicts
        Outcome of every scenario on it.
    occurrences, profile
        Sampled failures and what they come to.
    avoided
        Expected annual loss that it avoids; None for what the others are compared with.
    worse
        Minutes a year without service that it adds for tiers which it serves less than those do.
    coverage
        Failures that availability and losses cover.
    cooling
        Loss of cooling, exactly, by plant.
    appraisal
        Costs and returns.
    """

    build: Build
    position: Position
    verdicts: tuple[Verdict, ...]
    occurrences: Occurrences
    profile: LossProfile
    avoided: Estimate | None
    cooling: tuple[CoolingAdequacy, ...]
    appraisal: BuildAppraisal
    coverage: Coverage
    worse: Mapping[str, Estimate] = field(default_factory=dict)

    @property
    def running_usd_per_year(self) -> dict[str, float]:
        """Opex by category, USD per year."""
        usd: dict[str, float] = {}
        for line in self.position.running:
            usd[line.category] = usd.get(line.category, 0.0) + line.usd_per_year
        return usd

    @property
    def capital_usd_per_year(self) -> float:
        """Capex as yearly payments over the life of each purchase."""
        return self.appraisal.owning_usd_per_year - sum(self.running_usd_per_year.values())

    @property
    def usd_per_year(self) -> float:
        """Annualised capex, opex, and failures: as the plan expects those, or else as sampled."""
        plan = self.build.plan
        if plan is None:
            return self.total_usd_per_year
        failures = (i.usd_per_year for i in plan.cost.items if i.category in ("recourse", "risk"))
        return self.appraisal.owning_usd_per_year + sum(failures)

    @property
    def total_usd_per_year(self) -> float:
        """Annualised capex, opex, and failures as sampled."""
        return self.appraisal.owning_usd_per_year + self.profile.expected_annual_loss_usd.value


def value_builds(
    builds: Sequence[Build],
    assumptions: Assumptions,
    sampling: Sampling,
    other_usd: Floats | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> tuple[Valued, ...]:
    """Value builds against the first of them.

    Parameters
    ----------
    builds
        What exists first, then what could be there instead.
    other_usd
        Other cash flows by year that each of those brings.
    progress
        Told what is worked on.

    Raises
    ------
    SolverError
        If normal operation cannot be worked out.
    """
    base = builds[0]
    found: list[Valued] = []
    for build in builds:
        progress(f"{build.name}: sampling failures")
        occurrences = sample_occurrences(
            build.model,
            build.fleet,
            build.scenarios,
            samples=sampling.samples,
            seed=sampling.seed,
            progress=progress,
        )
        hours = normal_hours(build.model, build.fleet)
        profile = loss_profile(build.model, occurrences, alpha=sampling.alpha)
        position = Position(
            build.name,
            purchases(base, build),
            running(base, build),
            Losses(profile.value_usd.value, profile.credits_usd.value, profile.emergency_usd.value),
            sum(build.fleet.gpus.values()),
            requests_per_year(hours),
            held(base, build),
        )
        first = found[0] if found else None
        found.append(
            Valued(
                build,
                position,
                judge(build.model, build.fleet, build.scenarios, stories=False),
                occurrences,
                profile,
                None if first is None else difference(first.profile, profile),
                cooling_adequacy(build.model, build.fleet, hours),
                appraise(
                    position if first is None else first.position, position, assumptions, other_usd
                ),
                coverage(build.model, build.scenarios),
                {} if first is None else _worse(first.profile, profile),
            )
        )
    return tuple(found)


def _worse(before: LossProfile, after: LossProfile) -> dict[str, Estimate]:
    """Tiers that are served less than before, with the minutes a year."""
    both = [tier for tier in after.tiers if tier in before.tiers]
    found = {tier: more_downtime(before, after, tier) for tier in both}
    return {tier: minutes for tier, minutes in found.items() if minutes.value > LEAST_MINUTES}


@dataclass(frozen=True)
class FinanceStudy:
    """All that `plan finance` shows.

    Parameters
    ----------
    model, sha256
        The model and the hash of its content.
    created, versions
        When it was made, and with what.
    assumptions, sampling
        What it assumes, and how failures were sampled.
    valued
        Builds, what exists first.
    other_usd
        Other cash flows that each build but the first brings, by year.
    ledger
        Costs of the recorded incident that the model names; empty without one.
    swings
        Sensitivity of the net present value by build, the largest swing first.
    break_evens
        Values of inputs at which the net present value is zero, by build.
    replanned
        What other values of inputs would change about the plan; empty where nobody asked.
    """

    model: str
    sha256: str
    created: str
    versions: Mapping[str, str]
    assumptions: Assumptions
    sampling: Sampling
    valued: tuple[Valued, ...]
    other_usd: Floats | None = None
    ledger: tuple[LedgerLine, ...] = ()
    swings: Mapping[str, tuple[Swing, ...]] = field(default_factory=dict)
    break_evens: Mapping[str, tuple[BreakEven, ...]] = field(default_factory=dict)
    replanned: tuple[Replanned, ...] = ()

    @property
    def sampled(self) -> str:
        """How often failures were sampled on each build, in words: one figure on every page."""
        counts = " / ".join(f"{valued.occurrences.samples:,}" for valued in self.valued)
        return f"Failures sampled {counts} times, seed {self.sampling.seed}."

    @property
    def break_even_incidents(self) -> tuple[IncidentBreakEven, ...]:
        """Incidents in ten years that justify a prevention: the recorded one, and each build."""
        rate = self.assumptions.discount_rate
        recorded = break_even(self.ledger, rate, DECADE)
        named = [replace(line, basis=f"recorded prevention, {line.basis}") for line in recorded]
        found = [_justifying(build, line, rate) for build in self.alternatives for line in recorded]
        return (*named, *(line for line in found if line is not None))

    @property
    def base(self) -> Valued:
        """What exists."""
        return self.valued[0]

    @property
    def alternatives(self) -> tuple[Valued, ...]:
        """What could be there instead."""
        return self.valued[1:]


def study_of(
    loaded: LoadedModel,
    builds: Sequence[Build],
    assumptions: Assumptions,
    sampling: Sampling,
    other_usd: Floats | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> FinanceStudy:
    """Value builds of a model against the first of them, with sensitivity and ledger.

    Raises
    ------
    InputError
        If the model names an incident that is not recorded.
    """
    valued = value_builds(builds, assumptions, sampling, other_usd, progress)
    incident = loaded.model.finance.incident
    base, *others = [valued_build.position for valued_build in valued]
    inputs = inputs_for(loaded.model)
    return FinanceStudy(
        loaded.name,
        loaded.sha256,
        now(),
        versions(),
        assumptions,
        sampling,
        valued,
        other_usd,
        () if incident is None else read_ledger(incident),
        {build.name: tornado(base, build, assumptions, other_usd, inputs) for build in others},
        {build.name: break_evens(base, build, assumptions, other_usd, inputs) for build in others},
    )


def missing_prices(builds: Sequence[Build]) -> list[Problem]:
    """Every price that a build needs and no model states."""
    base = builds[0]
    return [
        Problem(build.name, 0, 0, path, "has no price; state one, or 0 if it costs nothing")
        for build in builds
        for path in unpriced(base, build)
    ]


def missing_prices_to_optimize(base: Build, model: str) -> list[Problem]:
    """Prices of all that a plan of a model may buy: what has none would be taken as free."""
    everything = replace(base, name=model, fleet=_all_on_offer(base))
    return missing_prices([replace(base, name=model), everything])


def _all_on_offer(base: Build) -> Fleet:
    """A piece more of everything that may be bought."""
    model = base.model
    return Fleet.after(
        model,
        {
            (name, unit): 1
            for name, plant in model.plants.items()
            for unit in plant.options
            if plant.max_added
        },
        {
            name: int(cluster.max_gpus > cluster.existing_gpus)
            for name, cluster in model.clusters.items()
        },
        {},
        frozenset(name for name, region in model.regions.items() if region.candidate),
        frozenset(model.measures),
    )


def without_return(valued: Sequence[Valued]) -> list[Problem]:
    """Builds whose cash flows have no return to speak of: none at all, or nothing but spending."""
    problems = []
    for build in valued:
        if build.appraisal.cash_flow is None:
            continue
        net = build.appraisal.cash_flow.net
        if not net.any():
            message = "changes nothing that costs or earns money: there is no cash flow to value"
        elif (net <= 0).all():
            message = "every cash flow is negative: in no year does it save more than it costs"
        elif not _earns(build.appraisal.cash_flow):
            message = "every cash flow is negative but for tax and what is left of purchases: it "
            message += "avoids no loss, saves no running cost and brings no income"
        else:
            continue
        if not any(v.profile.expected_annual_loss_usd.value for v in (valued[0], build)):
            message += "; failures cost nothing in the model (their frequency, and "
            message += "tiers.*.value_usd_per_1000_requests)"
        problems.append(Problem(build.build.name, 0, 0, "cash flow", message))
    return problems


def _earns(flows: CashFlow) -> bool:
    """Whether anything comes in but tax saved and what purchases are sold for in the end."""
    earned = [*flows.avoided.values(), *flows.running.values(), flows.other_usd, flows.salvage[:1]]
    return any((part > 0).any() for part in earned)


def _justifying(
    valued: Valued, recorded: IncidentBreakEven, rate: float
) -> IncidentBreakEven | None:
    """Incidents like the recorded one that justify what a build costs more; None without a cost.

    Parameters
    ----------
    rate
        Discount rate per year.
    """
    flows = valued.appraisal.cash_flow
    incident_usd = recorded.usd_per_incident
    if flows is None or incident_usd <= 0:
        return None
    capital_usd = valued.appraisal.capital_usd
    yearly = -sum(float(part[1]) for part in flows.running.values())
    spent = (max(0.0, capital_usd), max(0.0, yearly), incident_usd)
    return IncidentBreakEven(
        f"{valued.build.name}, incident {recorded.basis}",
        capital_usd,
        yearly,
        incident_usd,
        DECADE,
        incidents_to_justify(*spent, 0.0, DECADE),
        incidents_to_justify(*spent, rate, DECADE),
    )
