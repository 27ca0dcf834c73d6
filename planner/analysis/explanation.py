"""Why a plan buys what it buys: its programme is solved again without one thing at a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from planner.analysis.marginal import (
    Difference,
    Questions,
    Removal,
    Study,
    Worth,
    last_worth,
    next_worth,
    one_by_one,
    power_gains,
    requirement_removals,
    together,
)
from planner.analysis.what_if import Tightness, settle, tightness, tightness_in_parts
from planner.errors import EXIT_INFEASIBLE, InputError, PlannerError
from planner.infrastructure.failures import Scenario
from planner.infrastructure.loading import LoadedModel
from planner.optimization.decomposition.loop import decomposes, solve_in_parts
from planner.optimization.decomposition.parts import Decomposition
from planner.optimization.formulation.build import build
from planner.optimization.formulation.families import Family
from planner.optimization.formulation.problem import ProblemData
from planner.optimization.formulation.programme import Row
from planner.optimization.infeasibility.shortfalls import Shortfall, ShortfallProgramme
from planner.optimization.infeasibility.wording import PHRASES as WORDING
from planner.optimization.solution.costs import recourse_usd
from planner.optimization.solution.deadline import Deadline
from planner.optimization.solution.decisions import (
    Decision,
    counts_of,
    one_less,
    region_of,
    variables,
)
from planner.optimization.solution.settings import SolverSettings
from planner.plan.records import LearnedRecord, Plan
from planner.plan.reopening import problem_data_of
from planner.simulation.verdict import judge

#: Share by which the cost of a plan may differ from the programme's for the same purchases.
AGREEMENT = 1e-5
#: Share of a limit below which what is left of it is near nothing.
NEAR = 0.05


class UnmetPlanError(PlannerError):
    """The plan does not meet the programme of its model, so there is nothing to explain."""

    exit_code = EXIT_INFEASIBLE


@dataclass(frozen=True)
class DecisionNote:
    """One decision of the plan and what requires it.

    Parameters
    ----------
    decision, bought, price_usd
        What is decided, how many are bought, and the fixed cost of one, USD per year.
    fails
        Requirements violated with one less and all other purchases unchanged; None where no such
        programme can be built.
    earns_usd
        What one less would add to the yearly cost if no requirement is violated; None otherwise.
    earns_in
        Scenarios whose expected cost would grow then.
    smaller_without
        Scenarios and requirements whose removal leads to a cheaper plan with fewer of this, and
        by how many.
    last, next
        Marginal value of the last one and of one more; None where it was not asked.
    linear_usd
        Marginal value of one more in the linear relaxation with all integers fixed, USD per
        year.
    """

    decision: Decision
    bought: int
    price_usd: float
    fails: tuple[Shortfall, ...] | None
    earns_usd: float | None
    earns_in: tuple[str, ...]
    smaller_without: tuple[tuple[str, int], ...]
    last: Worth | None
    next: Worth | None
    linear_usd: float


@dataclass(frozen=True)
class FirstRound:
    """The plan of the first round.

    Parameters
    ----------
    failed
        Scenarios that failed, as recorded; none where the programme had no plan.
    breaches
        What the simulation finds on its plan today, by scenario.
    bought_usd
        What the plan costs a year more than that of the first round.
    learned
        What the loop learned from plans that failed.
    changes
        What the plan buys more than that of the first round.
    """

    failed: tuple[str, ...]
    breaches: Mapping[str, str]
    bought_usd: Difference | None
    changes: Mapping[Decision, int]
    learned: tuple[LearnedRecord, ...] = ()


@dataclass(frozen=True)
class Explanation:
    """Why a plan is what it is.

    Parameters
    ----------
    cost_usd, bound_usd
        Cost of its purchases in its programme, and the proven lower bound.
    agrees
        Whether that is the cost that the plan states.
    scenarios
        Saving when each scenario is removed, the most expensive first.
    all_together
        Saving when all scenarios are removed; more than the sum where several need the same.
    idle_together
        Saving when all individually redundant scenarios are removed together (non-zero if they
        substitute for each other).
    silent
        Scenarios that do not bind beyond the gap even when removed together.
    covered
        Scenarios implied by other requirements, which the programme leaves out.
    unasked
        Scenarios for which solves or time ran out.
    requirements
        Saving when each policy or budget may be violated for free.
    power
        Saving from one megawatt more of power, by region; None where it was not asked.
    binding
        Limits and requirements with little slack.
    solves, solves_wanted
        Programmes solved, and how many there were to solve.
    """

    cost_usd: float
    bound_usd: float
    agrees: bool
    decisions: tuple[DecisionNote, ...]
    scenarios: tuple[Removal, ...]
    all_together: Removal | None
    idle_together: Removal | None
    silent: tuple[str, ...]
    covered: tuple[str, ...]
    unasked: tuple[str, ...]
    requirements: tuple[Removal, ...]
    power: Mapping[str, Difference | None]
    first_round: FirstRound | None
    binding: tuple[Tightness, ...]
    solves: int
    solves_wanted: int


def explain(
    plan: Plan,
    loaded: LoadedModel,
    scenarios: tuple[Scenario, ...],
    questions: Questions,
) -> Explanation:
    """Explain a plan by solving its programme again.

    Scenarios that fail, or cost more, with one purchase less are removed one by one. All others
    are removed together: removing more never saves less, so where that saves nothing, none of them
    binds. Where it does save something, halves of them are tried.

    Raises
    ------
    InputError
        If the purchases are not whole blocks.
    UnmetPlanError
        If the purchases do not meet the programme.
    """
    questions.progress("building the programme and costing the plan in it")
    study, agrees = _study(plan, loaded, scenarios, questions)
    questions.progress("its linear relaxation, and one less of each purchase")
    rows, reduced = _tightness(study)
    notes = _local_notes(study, reduced)
    suspects = _suspects(study, notes)
    removals, unasked, silent = one_by_one(study, suspects)
    every, idle = together(study, removals, silent)
    first = _first_round(study, plan, scenarios)
    last = _worths(study, notes, last_worth)
    notes = [replace(note, last=last[note.decision]) for note in notes]
    power = power_gains(study)
    requirements = requirement_removals(study, [measured.row for measured in rows])
    following = _worths(study, notes, next_worth)
    notes = [replace(note, next=following[note.decision]) for note in notes]
    unbought = _unbought(study, reduced)
    in_programme = study.data.stages_by_scenario
    return Explanation(
        cost_usd=study.cost,
        bound_usd=study.low,
        agrees=agrees,
        decisions=tuple(
            _smaller(study, note, (*removals, *requirements)) for note in (*notes, *unbought)
        ),
        scenarios=tuple(sorted(removals, key=lambda removal: -removal.forces.usd)),
        all_together=every,
        idle_together=idle,
        silent=silent,
        covered=tuple(scenario.name for scenario in scenarios if scenario.name not in in_programme),
        unasked=unasked,
        requirements=requirements,
        power=power,
        first_round=first,
        binding=_binding(plan, rows),
        solves=questions.made,
        solves_wanted=questions.wanted,
    )


def _study(
    plan: Plan, loaded: LoadedModel, scenarios: tuple[Scenario, ...], questions: Questions
) -> tuple[Study, bool]:
    data, settings = problem_data_of(plan, loaded.model, scenarios), questions.settings
    parts = Decomposition(data, settings) if decomposes(data, settings) else None
    if parts is not None:
        parts.lay_out(Deadline(settings))
    programme = build(data) if parts is None or not parts.apart else parts.base
    fleet, low = plan.fleet(loaded.model), plan.bound_usd_per_year
    try:
        bought = counts_of(programme, fleet)
    except ValueError as error:
        raise InputError.single(loaded.name, str(error)) from error
    if parts is not None:
        _, cheapest = solve_in_parts(parts, settings, fleet)
    _, solution = settle(parts or programme, bought, settings)
    if solution.status == "infeasible":
        raise UnmetPlanError(_unmet(data, bought, settings))
    stated = plan.objective_usd_per_year - plan.cost.routing_usd_per_year
    agrees = math.isclose(solution.objective, stated, rel_tol=AGREEMENT, abs_tol=1.0)
    if not agrees or plan.status != "optimal" or plan.method != "optimum":
        if parts is not None:
            low = cheapest.bound
        else:
            fresh = questions.ask("the programme as it is now", lambda: programme)
            low = fresh.bound if fresh is not None else -math.inf
    low = min(low, solution.objective)
    return Study(data, programme, bought, solution, low, questions, parts), agrees


def _tightness(study: Study) -> tuple[tuple[Tightness, ...], dict[Decision, float]]:
    """Slack and price of every row, and the reduced cost of every decision."""
    parts, settings = study.parts, study.questions.settings
    if parts is not None and parts.apart:
        return tightness_in_parts(parts, study.solution, settings)
    return tightness(study.programme, study.solution.values, settings)


def _unmet(data: ProblemData, bought: Mapping[Decision, int], settings: SolverSettings) -> str:
    missed = ShortfallProgramme(build(data), settings).missed(bought)
    if missed is None:
        return "the plan contradicts its model and cannot be used unchanged"
    lines = [
        f"{describe(shortfall)}: short by {shortfall.amount:,.3g} {shortfall.unit}"
        for shortfall in missed
    ]
    return "the plan does not meet the programme of its model:\n  " + "\n  ".join(lines[:10])


#: Shorter than where there is no plan.
PHRASES = WORDING | {
    Family.DESIGN_HEAT: "N+k cooling of {subject}",
    Family.SERVED_FLOOR: "{subject} from minute {minute:g}",
    Family.RIDE_THROUGH: "heat in {subject} before operators react",
    Family.SURVIVING_CAPACITY_SHARE: "GPUs left without {subject}",
    Family.SPARE_BLOCK: "spare block in {subject}",
}


def describe(shortfall: Shortfall) -> str:
    """A requirement or limit in words, with its scenario."""
    known = PHRASES.get(shortfall.family, f"{shortfall.family.replace('_', ' ')} of {{subject}}")
    text = known.format(subject=shortfall.subject, minute=shortfall.from_minute)
    return f"{shortfall.scenario}: {text}" if shortfall.scenario else text


def _local_notes(study: Study, reduced: Mapping[Decision, float]) -> list[DecisionNote]:
    """What fails, or costs more, with one less of each purchase and all others unchanged."""
    notes = []
    for key, count in study.bought.items():
        if not count:
            continue
        less = one_less(study.data, study.bought, key)
        fails = _missed(study, less)
        earns, where = _earns(study, less) if fails == () else (None, ())
        notes.append(
            DecisionNote(
                decision=key,
                bought=count,
                price_usd=study.prices[key],
                fails=fails,
                earns_usd=earns,
                earns_in=where,
                smaller_without=(),
                last=None,
                next=None,
                linear_usd=study.prices[key] - reduced[key],
            )
        )
    return notes


def _missed(study: Study, bought: Mapping[Decision, int]) -> tuple[Shortfall, ...] | None:
    """What given purchases miss; in parts, only scenarios that may miss something are solved."""
    missed = study.elastic.missed(bought)
    if study.parts is None or missed is None:
        return missed
    values = {x.name: x.value or 0.0 for x in study.elastic.programme.problem.variables}
    names = study.parts.may_miss(values)
    if not names:
        return missed
    elastic = ShortfallProgramme(build(study.data.part(names)), study.questions.settings)
    return elastic.missed(bought)


def _earns(study: Study, less: Mapping[Decision, int]) -> tuple[float | None, tuple[str, ...]]:
    """What fewer purchases add to the cost, and the scenarios that cost more, costliest first."""
    programme, solution = study.settled(less)
    if solution.status == "infeasible":
        return None, ()
    dearer = {
        name: usd - study.once_usd.get(name, 0.0)
        for name, usd in recourse_usd(programme, solution).items()
    }
    least = 1e-6 * max([1.0, *study.once_usd.values()])
    names = sorted((n for n, usd in dearer.items() if usd > least), key=lambda n: -dearer[n])
    return solution.objective - study.cost, tuple(names)


def _suspects(study: Study, notes: Iterable[DecisionNote]) -> list[str]:
    """Scenarios that fail or cost more with one purchase less, those with most at stake first."""
    stake: dict[str, float] = {}
    for note in notes:
        broken = {shortfall.scenario for shortfall in note.fails or ()} | set(note.earns_in)
        for name in broken - {""}:
            stake[name] = stake.get(name, 0.0) + note.bought * note.price_usd
    order = list(study.data.stages_by_scenario)
    return sorted(stake, key=lambda name: (-stake[name], order.index(name)))


def _smaller(study: Study, note: DecisionNote, removals: Iterable[Removal]) -> DecisionNote:
    """A note with the removals without which the decision was smaller, the largest cuts first.

    A plant that only swaps one unit type for another of at least the same price does not count.
    """
    cuts = []
    for removal in removals:
        less = -removal.changes.get(note.decision, 0)
        plant = note.decision.asset.split("/")[0]
        spent = sum(
            more * study.prices[key]
            for key, more in removal.changes.items()
            if key.kind == note.decision.kind and key.asset.split("/")[0] == plant
        )
        if less > 0 and spent < 0:
            cuts.append((removal.names[0], less))
    return replace(note, smaller_without=tuple(sorted(cuts, key=lambda cut: (-cut[1], cut[0]))))


def _worth_if_bought(
    study: Study, note: DecisionNote, question: Callable[[Study, Decision], Worth | None]
) -> Worth | None:
    """Worth of what is bought; what is retired has none."""
    return None if note.decision.kind == "retired" else question(study, note.decision)


def _worths(
    study: Study,
    notes: Iterable[DecisionNote],
    question: Callable[[Study, Decision], Worth | None],
) -> dict[Decision, Worth | None]:
    """Worth of one more or less of every purchase; what costs most is asked about first."""
    dearest = sorted(notes, key=lambda note: -note.bought * note.price_usd)
    return {note.decision: _worth_if_bought(study, note, question) for note in dearest}


def _unbought(study: Study, reduced: Mapping[Decision, float]) -> list[DecisionNote]:
    """Notes on what can be bought but is not: what one of it would be worth."""
    notes = []
    for key, variable in variables(study.programme).items():
        region = region_of(study.data.model, key)
        closed = key.kind != "region" and region in study.closed
        if study.bought[key] or not variable.high or closed or key.kind == "retired":
            continue
        worth = next_worth(study, key)
        price, linear = study.prices[key], study.prices[key] - reduced[key]
        notes.append(DecisionNote(key, 0, price, (), None, (), (), None, worth, linear))
    return notes


def _binding(plan: Plan, rows: Iterable[Tightness]) -> tuple[Tightness, ...]:
    """Limits nearly used up, and requirements that are met exactly although more is possible.

    N+k is read from the plan: the programme may write down less firm capacity than there is.
    """
    found: dict[tuple[str, str, str], Tightness] = {}
    for measured in rows:
        row = measured.row
        if row.family in (Family.NORMAL_DEMAND, Family.DESIGN_HEAT, Family.EMERGENCY_COVER):
            continue
        near = measured.room <= NEAR * abs(row.amount) if row.kind == "limit" else measured.tight
        key = (row.family, row.subject, row.scenario)
        tighter = key not in found or measured.room < found[key].room
        if near and measured.can_exceed and tighter:
            found[key] = measured
    return (*_firm(plan), *found.values())


def _firm(plan: Plan) -> list[Tightness]:
    """Plants with little firm capacity to spare."""
    found = {}
    for line in plan.cooling:
        family = Family.DESIGN_HEAT if line.role == "primary" else Family.EMERGENCY_COVER
        row = Row(family, line.plant, "", line.design_heat_mw)
        room = line.firm_mw - line.design_heat_mw
        if line.design_heat_mw and room <= NEAR * line.design_heat_mw:
            found[line.plant] = Tightness(row, max(0.0, room), 0.0)
    return list(found.values())


def _first_round(study: Study, plan: Plan, scenarios: tuple[Scenario, ...]) -> FirstRound | None:
    """What the first round would have bought, and what its plan would not have survived."""
    rounds = plan.verification.rounds
    learned = plan.verification.learned
    if len(rounds) < 2 or not rounds[0].failed:
        return FirstRound((), {}, None, {}, learned) if learned else None
    model = study.data.model
    first = problem_data_of(plan, model, scenarios, rounds[0])
    data = study.data.changed(first.scenarios, first.waived)
    answer = study.ask("the first round", lambda: study.question(data))
    if answer is None or not answer.found:
        return FirstRound(rounds[0].failed, {}, None, {}, learned)
    verdicts = judge(model, answer.fleet, scenarios, stories=False)
    breaches = {
        verdict.name: str(verdict.first_breach)
        for verdict in verdicts
        if verdict.first_breach is not None
    }
    changes = {key: -more for key, more in study.changes(answer).items()}
    saving = study.saving(answer)
    return FirstRound(rounds[0].failed, breaches, saving, changes, learned)
