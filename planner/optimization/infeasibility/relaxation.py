"""Complete sets of relaxations: found by an elastic solve, applied to the model, solved again.

Nothing is believed because the elastic programme says so. A set counts only when the programme of
the changed model has a plan, and each relaxation stays in it only when there is none without it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pulp import const
from pydantic import ValidationError

from planner.errors import SolverError
from planner.infrastructure.changes import changed, setting, value_at
from planner.infrastructure.checks import senseless
from planner.infrastructure.entities import Model
from planner.infrastructure.failures import Scenario
from planner.infrastructure.fields import Entity
from planner.laws.money import lost_usd
from planner.optimization.formulation.build import build
from planner.optimization.formulation.problem import Key, ProblemData
from planner.optimization.formulation.programme import Programme
from planner.optimization.formulation.purchases import capital_usd
from planner.optimization.formulation.stages import Margin, Stage
from planner.optimization.infeasibility.elastic import (
    ELASTIC_GAP,
    ElasticProgramme,
    Kind,
    Lever,
    Value,
    round_up,
    solve_relaxed,
)
from planner.optimization.infeasibility.relaxable_values import elastic_programme, request_value
from planner.optimization.solution.deadline import Deadline, OutOfTime
from planner.optimization.solution.solving import Solution, SolverSettings, solve
from planner.scenarios.generators import all_scenarios
from planner.scenarios.standard import counts_for, subject_of, tier_and_zone

#: Times that an elastic solve is repeated on the model it has changed.
MOST_PASSES = 4
#: Gap of the plan that a set makes possible.
PLAN_GAP = 0.001
#: Gap where only the existence of a plan counts.
ANY_GAP = 0.5


@dataclass(frozen=True)
class Relaxation:
    """One value of the model that changes.

    Parameters
    ----------
    kind
        ``limit`` if one is raised, ``requirement`` if one is lowered.
    family, subject
        What it is; for a limit that no model value stands for, the family of its rows.
    scenario
        Scenario that needs it most, empty for normal operation and purchases.
    path, value, before
        Where it stands in the model, what it would have to be, what it is; no path where only a row
        of the programme gives way.
    amount, unit
        By how much.
    usd
        What that much costs once, from the prices of the model; None where it has none.
    usd_per_year
        The same in a year with the price spread over its life; for a requirement the expected value
        of the requests lost.
    """

    kind: Kind
    family: str
    subject: str
    scenario: str
    path: str
    value: Any
    before: Any
    amount: float
    unit: str
    usd: float | None = None
    usd_per_year: float | None = None

    @property
    def override(self) -> str:
        """The change as ``--set`` takes it, empty without a path."""
        return setting(self.path, self.value) if self.path else ""

    @property
    def option(self) -> str:
        """The change as an option of a command, empty where none makes it."""
        if self.path:
            return f"--set {self.override}"
        return f"--except {self.subject}" if self.family == "scenario" else ""


@dataclass(frozen=True)
class RelaxationSet:
    """Relaxations that together leave a plan.

    Parameters
    ----------
    name
        ``limits``, ``requirements``, ``mixture`` or ``alternative``.
    relaxations
        What changes.
    verified
        Whether the programme of the changed model was solved and has a plan.
    minimal
        Whether there is no plan without any one of them.
    cheapest
        Whether it is the cheapest of all, by prices of the model where it has some.
    plan_usd_per_year, plan_capital_usd
        Cost of the plan that it makes possible, to 0.1 %; None if time ran out.
    survives
        Whether that plan survives its simulation too, tightened where it did not at first; None if
        that was not tried.
    failed
        Scenarios that it does not survive.
    """

    name: str
    relaxations: tuple[Relaxation, ...]
    verified: bool
    minimal: bool
    cheapest: bool = False
    plan_usd_per_year: float | None = None
    plan_capital_usd: float | None = None
    survives: bool | None = None
    failed: tuple[str, ...] = ()

    @property
    def overrides(self) -> tuple[str, ...]:
        """The set as ``--set`` options; several changes of one list are one."""
        last = {one.path: one.override for one in self.relaxations if one.path}
        return tuple(last.values())

    @property
    def options(self) -> tuple[str, ...]:
        """The set as options of a command; several changes of one list are one."""
        last = {one.path or one.option: one.option for one in self.relaxations if one.option}
        return tuple(last.values())


@dataclass
class Step:
    """A value with how far it is moved.

    Parameters
    ----------
    lever
        The value.
    amount
        By how much, in its unit.
    scenario
        Scenario that needs it most.
    choice
        Which of the choices of the value, where it is searched.
    rows
        Items that it loosens, for a row with no value behind it.
    """

    lever: Value
    amount: float
    scenario: str
    choice: int | None = None
    rows: tuple[Key, ...] = ()

    @property
    def key(self) -> tuple[str, str, str]:
        """What tells it from other steps."""
        return (self.lever.path, self.lever.family, self.lever.subject)

    def apply(self, model: Model) -> Model:
        """The model with this step made."""
        lever = self.lever
        if not lever.path:
            return model
        value = lever.new(model, self.amount)
        if self.choice is not None:
            value = lever.choices[self.choice]
        return changed(model, {lever.path: value})


@dataclass
class ChangedModel:
    """A model and the steps taken from it."""

    base: Model
    steps: list[Step] = field(default_factory=list)

    def model(self) -> Model:
        """The model with all steps made."""
        model = self.base
        for step in self.steps:
            model = step.apply(model)
        return model

    def loosened(self) -> dict[Key, float]:
        """Rows that give way without a value of the model, with by how much."""
        return {
            key: round_up(step.amount)
            for step in self.steps
            if not step.lever.path
            for key in step.rows
        }

    def dropped(self) -> frozenset[str]:
        """Scenarios that are left out without a value of the model."""
        return frozenset(
            step.lever.subject
            for step in self.steps
            if step.lever.family == "scenario" and not step.lever.path
        )

    def without(self, key: tuple[str, str, str]) -> ChangedModel:
        """The same without the steps of a key."""
        return ChangedModel(self.base, [step for step in self.steps if step.key != key])

    def at_most(self) -> ChangedModel:
        """The same with every value that is searched at its last choice."""
        steps = [
            step if step.choice is None else replace(step, choice=len(step.lever.choices) - 1)
            for step in self.steps
        ]
        return ChangedModel(self.base, steps)

    def keys(self) -> list[tuple[str, str, str]]:
        """Keys of the steps, each once."""
        return list(dict.fromkeys(step.key for step in self.steps))

    def take(self, lever: Lever, amount: float, scenario: str) -> None:
        """Add what a solve used of a lever."""
        choice = len(lever.choices) - 1 if lever.choices else None
        rows = ((row.family, row.subject, row.scenario) for row, _, _ in lever.uses.values())
        self.steps.append(Step(lever, amount, scenario, choice, tuple(dict.fromkeys(rows))))

    def relaxations(self) -> tuple[Relaxation, ...]:
        """The steps as changes of values."""
        found, model = [], self.base
        for key in self.keys():
            steps = [step for step in self.steps if step.key == key]
            lever, before = steps[0].lever, None
            if lever.path:
                before = value_at(model, lever.path)
                for step in steps:
                    model = step.apply(model)
            value = value_at(model, lever.path) if lever.path else None
            amount = sum(step.amount for step in steps)
            found.append(_relaxation(steps, lever, before, value, amount))
        return tuple(found)


def _relaxation(
    steps: list[Step], lever: Value, before: Any, value: Any, amount: float
) -> Relaxation:
    if _is_number(before) and _is_number(value):
        amount = float(f"{abs(value - before):.9g}")
    elif lever.path:
        amount = 1.0
    usd = None if lever.usd is None else lever.usd * amount
    yearly = None if lever.usd_per_year is None else lever.usd_per_year * amount
    if lever.family == "emergency_budget":
        yearly = None  # what is approved is not spent every year
    if lever.family == "least_served":
        yearly = None  # known when there is a plan
    return Relaxation(
        kind=lever.kind,
        family=lever.family,
        subject=lever.subject,
        scenario=next((step.scenario for step in steps if step.scenario), ""),
        path=lever.path,
        value=plain(value),
        before=plain(before),
        amount=amount,
        unit=lever.unit,
        usd=usd,
        usd_per_year=yearly,
    )


def plain(value: Any) -> Any:
    """A value of a model as JSON has it."""
    if isinstance(value, Entity):
        return value.model_dump(mode="json")
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    return [plain(one) for one in value] if isinstance(value, tuple | list) else value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _priced(one: Relaxation, data: ProblemData, programme: Programme) -> Relaxation:
    """A lower requirement of the standard with the expected value of the requests it gives up.

    What the plan serves less than the standard asked for, by frequency, USD a year.
    """
    if one.family != "least_served":
        return one
    severity = one.path.split(".")[1].partition("[")[0]
    minute = value_at(data.model, f"{one.path.rpartition('.')[0]}.from_minute")
    total = 0.0
    for stage in programme.data.stages:
        scenario = stage.timeline.scenario
        if (
            scenario.severity == severity
            and stage.timeline.clock.since(stage.start_minute) >= minute
        ):
            lost = _lost(one, stage, programme)
            total += scenario.frequency_per_year * lost
    return replace(one, usd_per_year=total)


def _lost(one: Relaxation, stage: Stage, programme: Programme) -> float:
    """Value of what a stage serves less than a share of its demand, USD."""
    model = programme.data.model
    whose, where = tier_and_zone(one.subject)
    tiers = list(model.tiers) if whose == "each" else [whose]
    zones = list(model.zones) if where == "each" else [where]
    total = 0.0
    for subject in (subject_of(tier, zone) for zone in zones for tier in tiers):
        asked = {
            key: rps + stage.down_rps.get(key, 0.0)
            for key, rps in stage.demand_rps.items()
            if counts_for(subject, *key)
        }
        served = sum(programme.by_stage[stage.label].served[key].varValue or 0.0 for key in asked)
        demand = sum(asked.values())
        short = max(0.0, one.before * demand - served)
        value = sum(rps * request_value(model, tier) for (_, tier), rps in asked.items())
        total += lost_usd(short, stage.hours, value / (demand or 1.0))
    return total


# ------------------------------------------------------------------------------------------- trials


@dataclass(frozen=True)
class Verified:
    """Plan of a changed model that was simulated.

    Parameters
    ----------
    usd_per_year, capital_usd
        What it costs.
    failed
        Scenarios that it does not survive.
    margins
        Those with which there was no plan any more, where that is why it does not.
    """

    usd_per_year: float
    capital_usd: float
    failed: tuple[str, ...] = ()
    margins: Mapping[str, Margin] = field(default_factory=dict)


#: Finds a plan of a case and simulates it; None if there is none.
Verify = Callable[[ProblemData, SolverSettings], Verified | None]


@dataclass(frozen=True)
class Trials:
    """Solves of changed models.

    Parameters
    ----------
    data
        What has no plan.
    clock
        Time left.
    verify
        How to verify what helps; None for not at all.
    """

    data: ProblemData
    clock: Deadline
    verify: Verify | None = None

    def changed_case(self, draft: ChangedModel) -> ProblemData:
        """The case with the model of a draft: its scenarios are those of that model."""
        model, dropped = draft.model(), draft.dropped()
        before = {one.name for one in all_scenarios(self.data.model)}
        now = {one.name: one for one in all_scenarios(model)}
        scenarios = [self._scenario(one, before, now) for one in self.data.scenarios]
        kept = tuple(one for one in scenarios if one is not None and one.name not in dropped)
        return replace(self.data, model=model, scenarios=kept)

    @staticmethod
    def _scenario(one: Scenario, before: set[str], now: Mapping[str, Scenario]) -> Scenario | None:
        return now.get(one.name) if one.name in before else one

    def plan(self, draft: ChangedModel, gap: float = ANY_GAP) -> tuple[Programme, Solution] | None:
        """A plan of a changed model; None if there is none."""
        try:
            changed_case = self.changed_case(draft)
        except ValidationError:
            return None
        if senseless(changed_case.model) - senseless(self.data.model):
            return None  # no file may state it
        programme = build(changed_case)
        _loosen(programme, draft.loosened())
        if solve_relaxed(programme, self.clock.settings()) is None:
            return None
        try:
            solution = solve(programme, self.clock.settings(gap))
        except SolverError:
            if self.clock.over:
                raise OutOfTime from None
            raise
        return None if solution.status == "infeasible" else (programme, solution)

    def verified(self, draft: ChangedModel) -> Verified | None:
        """The plan of a changed model after its simulation; None where there is nothing to say."""
        if self.verify is None or draft.loosened():
            return None
        try:
            return self.verify(self.changed_case(draft), self.clock.settings(PLAN_GAP))
        except SolverError:
            if self.clock.over:
                raise OutOfTime from None
            raise


def _loosen(programme: Programme, by: Mapping[Key, float]) -> None:
    for name, row in programme.rows.items():
        amount = by.get((row.family, row.subject, row.scenario))
        if amount is not None:
            constraint = programme.constraints[name]
            side = -1.0 if constraint.sense == const.LpConstraintLE else 1.0
            programme.problem.add_column(
                f"loose.{name}", 0.0, amount, coefficients={constraint: side}
            )


# --------------------------------------------------------------------------------------------- sets


def find_set(
    name: str,
    kinds: tuple[Kind, ...],
    elastic: ElasticProgramme,
    trials: Trials,
    start: ChangedModel | None = None,
    paths: frozenset[str] | None = None,
) -> RelaxationSet | None:
    """The cheapest relaxations of some kinds that leave a plan; None if there are none.

    Parameters
    ----------
    start
        Steps taken already.
    paths
        Values that may change; None for all.
    """
    draft = ChangedModel(trials.data.model) if start is None else start
    found: RelaxationSet | None = None
    for _ in range(MOST_PASSES):
        levers = [one for one in elastic.of_kind(*kinds) if paths is None or one.path in paths]
        if elastic.minimise(levers, (), trials.clock.settings(ELASTIC_GAP)) is None:
            return found
        used = {lever: lever.amount for lever in levers if lever.used}
        scenarios = elastic.scenarios_of(list(used), trials.clock.settings(ELASTIC_GAP))
        for lever, amount in used.items():
            draft.take(lever, amount, scenarios[lever])
        if trials.plan(draft) is not None:
            found, plan = _finished(name, draft, trials)
            if plan is None or plan.margins == trials.data.margins or not plan.margins:
                return found
            # The simulation asks for more than the programme did: so must the changes.
            trials = replace(trials, data=replace(trials.data, margins=plan.margins))
        elastic = elastic_programme(trials.changed_case(draft))
    return found


def finish(name: str, draft: ChangedModel, trials: Trials) -> RelaxationSet:
    """Search the mildest values of a draft with a plan, leave out what is spare, and price it.

    Where the simulation asks for more than the programme did, so does the search.
    """
    found, plan = _finished(name, draft, trials)
    for _ in range(MOST_PASSES):
        if plan is None or plan.margins == trials.data.margins or not plan.margins:
            break
        trials = replace(trials, data=replace(trials.data, margins=plan.margins))
        draft = draft.at_most()
        if trials.plan(draft) is None:
            break
        found, plan = _finished(name, draft, trials)
    return found


def _finished(
    name: str, draft: ChangedModel, trials: Trials
) -> tuple[RelaxationSet, Verified | None]:
    """The set that a draft comes to, and its plan after its simulation."""
    minimal, verified = False, True
    found = simulated = None
    try:
        _search(draft, trials)
        draft = _needed(draft, trials)
        minimal = True
        found = trials.plan(draft, PLAN_GAP)
        verified = found is not None
        simulated = trials.verified(draft)
    except OutOfTime:
        pass
    one = RelaxationSet(name, draft.relaxations(), verified, minimal)
    if found is not None:
        programme, solution = found
        one = replace(
            one,
            relaxations=tuple(_priced(each, trials.data, programme) for each in one.relaxations),
            plan_usd_per_year=solution.objective,
            plan_capital_usd=float(capital_usd(programme).value() or 0.0),
        )
    return (one if simulated is None else with_verified(one, simulated)), simulated


def with_verified(one: RelaxationSet, plan: Verified) -> RelaxationSet:
    """The set with the plan that the loop came to."""
    return replace(
        one,
        plan_usd_per_year=plan.usd_per_year,
        plan_capital_usd=plan.capital_usd,
        survives=not plan.failed,
        failed=plan.failed,
    )


def _search(draft: ChangedModel, trials: Trials) -> None:
    """Halve the choices of every searched step until the mildest that leaves a plan."""
    for step in draft.steps:
        if step.choice is None:
            continue
        low, high = 0, step.choice
        while low < high:
            step.choice = (low + high) // 2
            try:
                possible = trials.plan(draft) is not None
            except OutOfTime:
                step.choice = high
                raise
            low, high = (low, step.choice) if possible else (step.choice + 1, high)
        step.choice = high


def _needed(draft: ChangedModel, trials: Trials) -> ChangedModel:
    """The draft without steps that are spare: there is a plan without them."""
    for key in sorted(draft.keys(), key=lambda key: key[0]):
        rest = draft.without(key)
        if rest.steps and trials.plan(rest) is not None:
            draft = rest
    return draft
