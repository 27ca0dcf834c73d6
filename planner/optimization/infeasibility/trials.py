"""Complete sets of relaxations: found by an elastic solve, applied to the model, solved again.

The elastic programme only suggests: a set is reported once the programme of the changed model has a
plan, and a relaxation belongs to it only if there is no plan without it.

Most of many scenarios have no part in it. Those that have left no plan so far are asked first: a
change that does not suffice for them is refused at once, and only one that does is tried with all.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field, replace

from pydantic import ValidationError

from planner.errors import SolverError
from planner.infrastructure.checks import implausibilities
from planner.optimization.decomposition.loop import decomposes, solve_in_parts
from planner.optimization.decomposition.parts import Decomposition
from planner.optimization.formulation.build import build
from planner.optimization.formulation.problem import Key, ProblemData
from planner.optimization.formulation.programme import Programme
from planner.optimization.formulation.purchases import capital_usd
from planner.optimization.formulation.simulated import SimulatedCut
from planner.optimization.infeasibility.elastic import (
    ELASTIC_GAP,
    ElasticProgramme,
    Kind,
    solve_linear,
)
from planner.optimization.infeasibility.lost_requests import priced
from planner.optimization.infeasibility.relaxable_values import elastic_programme
from planner.optimization.infeasibility.relaxation import ChangedModel, RelaxationSet, Step
from planner.optimization.infeasibility.shortfalls import add_slack
from planner.optimization.solution.deadline import Deadline, OutOfTime
from planner.optimization.solution.settings import SolverSettings
from planner.optimization.solution.solving import Solution, solve
from planner.scenarios.generators import all_scenarios
from planner.scenarios.hours import as_before, at_hour, failure_and_hour

#: Most elastic solves of one set, each on the model changed by the one before.
MOST_PASSES = 4
#: Optimality gap of the plan of a set.
PLAN_GAP = 0.001
#: Optimality gap where only the existence of a plan counts.
ANY_GAP = 0.5
#: Limits and rules of what may be bought or drawn: raised, they take nothing from what purchases
#: do, so what the simulation found short is short with them as well.
OF_PURCHASES = frozenset(
    {"max_added", "max_gpus", "available_gpus", "capital_budget", "options", "forbidden"}
    | {"fixed", "fixed_choice", "power_limit_mw", "capacity_mw", "generator_mw"}
    | {"critical_tiers", "independent_cooling", "redundancy", "surviving_capacity_share"}
    | {"emergency_cover", "least_regions"}
)

Solved = tuple[Programme, Solution]


@dataclass(frozen=True)
class Verified:
    """A plan of a changed model after its simulation.

    Parameters
    ----------
    usd_per_year, capital_usd
        Annualised and capital cost.
    failed
        Scenarios that it does not survive.
    learned
        What was short where no purchase within the limits of the model makes up for it.
    solved
        Its programme and the solution.
    left_out
        Failures simulated at hours that are not planned for; None where there are too many.
    scenarios
        Names of its scenarios, with those at hours at which a plan failed.
    """

    usd_per_year: float
    capital_usd: float
    failed: tuple[str, ...] = ()
    learned: tuple[SimulatedCut, ...] = ()
    solved: Solved | None = field(default=None, repr=False, compare=False)
    left_out: int | None = 0
    scenarios: frozenset[str] = frozenset()


#: Optimises and simulates a plan; None if there is none.
Verify = Callable[[ProblemData, SolverSettings], Verified | None]


@dataclass(frozen=True)
class Trials:
    """Solves of changed models.

    Parameters
    ----------
    data
        The problem without a plan.
    deadline
        Time left.
    verify
        How to simulate plans; None for not at all.
    asked
        Scenarios that have left no plan so far; grows.
    known
        Answers so far, by what is changed.
    """

    data: ProblemData
    deadline: Deadline
    verify: Verify | None = None
    asked: set[str] = field(default_factory=set)
    known: dict[Hashable, Solved | Verified | None] = field(default_factory=dict)

    def elastic(self, draft: ChangedModel | None = None) -> ElasticProgramme:
        """The elastic programme of a changed model for the scenarios asked first."""
        data = self.data if draft is None else self.changed_data(draft)
        every = data.stages_by_scenario
        if self.asked.issuperset(every):
            return elastic_programme(data)
        return elastic_programme(data.part(tuple(name for name in every if name in self.asked)))

    def changed_data(self, draft: ChangedModel) -> ProblemData:
        """The problem of a changed model, with the scenarios of that model."""
        model, dropped = draft.model(), draft.dropped()
        before = {failure.name: failure for failure in all_scenarios(self.data.model)}
        after = {failure.name: failure for failure in all_scenarios(model)}
        kept = []
        for scenario in self.data.scenarios:
            name, _ = failure_and_hour(scenario.name)
            if name in dropped or (name in before and name not in after):
                continue
            known = name in before
            kept.append(as_before(scenario, before[name], after[name]) if known else scenario)
        names = {scenario.name for scenario in kept}
        alike = all(change.family in OF_PURCHASES for change in draft.relaxations())
        learned = tuple(cut for cut in self.data.learned if alike and cut.scenario in names)
        return replace(self.data, model=model, scenarios=tuple(kept), learned=learned)

    def may_have_plan(self, draft: ChangedModel) -> bool:
        """Whether there is a plan of a changed model for the scenarios asked first."""
        change = self._key(draft)
        key = ("first", frozenset(self.asked), *change)
        if ("all", ANY_GAP, *change) in self.known:
            return self.plan(draft) is not None
        if key not in self.known:
            data = self._allowed(draft)
            if data is not None:
                asked = tuple(one for one in data.scenarios if one.name in self.asked)
                data = replace(data, scenarios=asked)
            self.known[key] = None if data is None else self._solved(data, draft, ANY_GAP)[0]
        return self.known[key] is not None

    def plan(self, draft: ChangedModel, gap: float = ANY_GAP) -> Solved | None:
        """A plan of a changed model; None if there is none.

        Scenarios that leave none are asked first from then on.
        """
        key = ("all", gap, *self._key(draft))
        if key not in self.known:
            self.known[key] = self._plan(draft, gap)
        found = self.known[key]
        return found if isinstance(found, tuple) else None

    def _plan(self, draft: ChangedModel, gap: float) -> Solved | None:
        data = self._allowed(draft)
        if data is None:
            return None
        all_asked = self.asked.issuperset(scenario.name for scenario in data.scenarios)
        if not (all_asked or self.may_have_plan(draft)):
            return None
        found, conflict = self._solved(data, draft, gap)
        if found is None:
            every = {scenario.name for scenario in self.data.scenarios}
            self.asked.update((every & set(conflict)) - self.asked or every)
        return found

    def after(self, plan: Verified | None) -> Trials | None:
        """Trials that ask for what a simulated plan lacked; None if that is nothing more."""
        if plan is None or not plan.learned:
            return None
        data = self.data
        failures = {failure.name: failure for failure in all_scenarios(data.model)}
        more = sorted(plan.scenarios - {scenario.name for scenario in data.scenarios})
        at_hours = ((failures.get(name), hour) for name, hour in map(failure_and_hour, more))
        joining = [at_hour(one, hour) for one, hour in at_hours if one and hour is not None]
        learned = (*data.learned, *(cut for cut in plan.learned if cut not in data.learned))
        if learned == data.learned and not joining:
            return None
        self.asked.update(scenario.name for scenario in joining)
        scenarios = (*data.scenarios, *joining)
        return replace(self, data=replace(data, scenarios=scenarios, learned=learned))

    def _key(self, draft: ChangedModel) -> tuple[Hashable, ...]:
        changes = frozenset((change.path, repr(change.value)) for change in draft.relaxations())
        return (
            changes,
            frozenset(draft.loosened().items()),
            draft.dropped(),
            self.data.learned,
            self.data.scenarios,
        )

    def _allowed(self, draft: ChangedModel) -> ProblemData | None:
        """The problem of a changed model; None if no model file may state it."""
        try:
            data = self.changed_data(draft)
        except ValidationError:
            return None
        return None if implausibilities(data.model) - implausibilities(self.data.model) else data

    def _solved(
        self, data: ProblemData, draft: ChangedModel, gap: float
    ) -> tuple[Solved | None, tuple[str, ...]]:
        """A plan of some data; scenarios that leave none, as far as that is known."""
        loosened, settings = draft.loosened(), self.deadline.settings(gap)
        try:
            if not loosened and decomposes(data, settings):
                programme, solution = solve_in_parts(Decomposition(data, settings), settings)
            else:
                programme = build(data)
                _loosen(programme, loosened)
                if solve_linear(programme, self.deadline.settings()) is None:
                    return None, ()
                solution = solve(programme, self.deadline.settings(gap))
        except SolverError:
            if self.deadline.over:
                raise OutOfTime from None
            raise
        if solution.status == "infeasible":
            return None, solution.conflict
        return (programme, solution), ()

    def verified(self, draft: ChangedModel) -> Verified | None:
        """The plan of a changed model after its simulation; None if it is not simulated."""
        if self.verify is None or draft.loosened():
            return None
        key = ("verified", *self._key(draft))
        try:
            if key not in self.known:
                data = self.changed_data(draft)
                self.known[key] = self.verify(data, self.deadline.settings(PLAN_GAP))
        except SolverError:
            if self.deadline.over:
                raise OutOfTime from None
            raise
        found = self.known[key]
        return found if isinstance(found, Verified) else None


def _loosen(programme: Programme, amounts: Mapping[Key, float]) -> None:
    """Let rows of some groups be violated by an amount."""
    for name, row in programme.rows.items():
        amount = amounts.get(row.key)
        if amount is not None:
            add_slack(programme, name, f"loose.{name}", amount)


def find_set(
    name: str,
    kinds: tuple[Kind, ...],
    elastic: ElasticProgramme,
    trials: Trials,
    start: ChangedModel | None = None,
    paths: frozenset[str] | None = None,
) -> RelaxationSet | None:
    """The cheapest relaxations of some kinds with which there is a plan; None if there are none.

    Parameters
    ----------
    kinds
        Whether limits, requirements or both may change.
    start
        Changes made already.
    paths
        Values that may change; None for all.
    """
    draft = ChangedModel(trials.data.model) if start is None else start
    found: RelaxationSet | None = None
    passes = 0
    while passes < MOST_PASSES:
        columns = [
            column
            for column in elastic.of_kind(*kinds)
            if paths is None or column.value.path in paths
        ]
        if elastic.minimize(columns, (), trials.deadline.settings(ELASTIC_GAP)) is None:
            return found
        used = {column: column.amount for column in columns if column.used}
        scenarios = elastic.scenarios_of(list(used), trials.deadline.settings(ELASTIC_GAP))
        before, asked = list(draft.steps), len(trials.asked)
        for column, amount in used.items():
            draft.take(column, amount, scenarios[column])
        if trials.plan(draft) is not None:
            found, plan = _finished(name, draft, trials)
            stricter = trials.after(plan)
            if stricter is None:
                return found
            trials = stricter  # the simulation needs more than the programme: so do the changes
        elif len(trials.asked) > asked:
            draft.steps = before  # more scenarios count: the cheapest changes for them all
            elastic = trials.elastic(draft)
            continue
        elastic, passes = trials.elastic(draft), passes + 1
    return found


def finish(name: str, draft: ChangedModel, trials: Trials) -> RelaxationSet:
    """The smallest changes of a draft with which there is a plan, at their price.

    Changes that are not needed are dropped. Where the simulation needs more than the programme,
    the search is repeated with what was short.
    """
    found, plan = _finished(name, draft, trials)
    for _ in range(MOST_PASSES):
        stricter = trials.after(plan)
        if stricter is None:
            break
        trials = stricter
        draft = draft.at_most()
        if trials.plan(draft) is None:
            break
        found, plan = _finished(name, draft, trials)
    return found


def _finished(
    name: str, draft: ChangedModel, trials: Trials
) -> tuple[RelaxationSet, Verified | None]:
    """The set of a draft, and its plan after its simulation."""
    minimal, verified = False, True
    found = simulated = None
    try:
        _search(draft, trials)
        draft = _needed(draft, trials)
        minimal = True
        simulated = trials.verified(draft)
        found = simulated.solved if simulated is not None else trials.plan(draft, PLAN_GAP)
        verified = found is not None
    except OutOfTime:
        pass
    relaxations = RelaxationSet(name, draft.relaxations(), verified, minimal)
    if found is not None:
        programme, solution = found
        relaxations = replace(
            relaxations,
            relaxations=tuple(
                priced(change, trials.data, programme, solution)
                for change in relaxations.relaxations
            ),
            plan_usd_per_year=solution.objective,
            plan_capital_usd=capital_usd(programme).at(solution.values),
        )
    return (relaxations if simulated is None else with_verified(relaxations, simulated)), simulated


def with_verified(relaxations: RelaxationSet, plan: Verified) -> RelaxationSet:
    """The set with the cost and the failures of its simulated plan."""
    return replace(
        relaxations,
        plan_usd_per_year=plan.usd_per_year,
        plan_capital_usd=plan.capital_usd,
        survives=not plan.failed,
        failed=plan.failed,
        left_out=plan.left_out,
    )


def _search(draft: ChangedModel, trials: Trials) -> None:
    """Bisect the choices of every searched value to the smallest change with a plan."""
    for step in draft.steps:
        if step.choice is None:
            continue
        low, most = 0, step.choice
        try:
            while (low := _least_choice(step, low, most, draft, trials)) < most:
                step.choice = low
                if trials.plan(draft) is not None:
                    break
                low += 1
            else:
                step.choice = most
        except OutOfTime:
            step.choice = most
            raise


def _least_choice(step: Step, low: int, most: int, draft: ChangedModel, trials: Trials) -> int:
    """The smallest change that may have a plan, up to one that has."""
    while low < most:
        step.choice = (low + most) // 2
        low, most = (low, step.choice) if trials.may_have_plan(draft) else (step.choice + 1, most)
    return low


def _needed(draft: ChangedModel, trials: Trials) -> ChangedModel:
    """The draft without the steps that are not needed for a plan."""
    for key in sorted(draft.keys(), key=lambda key: key[0]):
        rest = draft.without(key)
        if rest.steps and trials.plan(rest) is not None:
            draft = rest
    return draft
