"""Which inputs change the plan, and not only what it is worth.

For the low and the high value of each input that the programme knows, the plan is optimised and
simulated anew. What it would cost not to replan is the regret: the cost of the plan at hand under
the new value less that of the new plan, both in the same programme.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from planner.errors import SolverError
from planner.finance.sensitivity import INPUTS, Input
from planner.infrastructure.changes import changed, setting
from planner.infrastructure.entities import Model
from planner.infrastructure.failures import FamilyTerms
from planner.infrastructure.fleet import Fleet
from planner.infrastructure.loading import LoadedModel
from planner.optimization.formulation.build import build
from planner.optimization.formulation.problem import ProblemData
from planner.optimization.formulation.programme import Programme
from planner.optimization.solution.costs import purchase_items
from planner.optimization.solution.decisions import bounded, counts_of, settled, variables
from planner.optimization.solution.settings import SolverSettings
from planner.optimization.solution.solving import solve
from planner.plan.difference import difference
from planner.plan.records import Plan
from planner.scenarios.generators import FAMILIES, family
from planner.scenarios.selection import Wanted, select
from planner.simulation.verdict import judge
from planner.verification import LoopResult, Round, optimise_and_verify

Side = Literal["low", "high", "as planned"]

#: The level of demand; growth changes what failures cost, the level what has to be served.
DEMAND = Input("demand", "demand", "factor", 0.9, 1.1, "estimate; 10 % less or more than today")
#: Inputs of the programme. Inflation and tax are none: it counts in today's money before tax.
PLAN_INPUTS: tuple[Input, ...] = (
    *(
        one
        for one in INPUTS
        if one.attribute
        in {
            "discount_rate",
            "gpu_price",
            "cooling_price",
            "failure_rate",
            "outage_value",
            "surge",
        }
    ),
    DEMAND,
)
#: What a plan is compared with first if it is not proven to be the cheapest.
UNCHANGED = Input("no input", "", "factor", 1.0, 1.0, "the plan at hand is not the proven optimum")
#: Fields that an input scales, by section. Of GPUs and cooling units also what they earn.
SCALED: Mapping[str, tuple[tuple[str, str], ...]] = {
    "gpu_price": (("gpus", "capital_usd"), ("gpus", "salvage_usd")),
    "cooling_price": (("cooling_units", "capital_usd"), ("cooling_units", "salvage_usd")),
    "failure_rate": (
        ("cooling_units", "failures_per_year"),
        ("feeds", "failures_per_year"),
        ("scenarios", "frequency_per_year"),
    ),
    "outage_value": (("tiers", "value_usd_per_1000_requests"),),
    "surge": (("offers", "surge_multiplier"),),
    "demand": (("zones", "demand_rps"),),
}
#: Families whose frequency follows from the rates of components unless the model states it.
OF_COMPONENTS = frozenset({"unit", "units", "feed", "feed_no_generator", "sag", "restart_failure"})
#: Two costs as close as this are the same, whatever the gap.
LEAST_GAP = 1e-9


@dataclass(frozen=True)
class Replanned:
    """The plan for another value of one input.

    Parameters
    ----------
    input
        The input; `UNCHANGED` for the plan at hand, searched again where it is not proven.
    side
        End of its range.
    value
        Its value.
    settings
        The change of the model, as ``--set`` takes it.
    changed
        What is bought more or less than in the plan at hand, one text each. Empty if that plan
        still survives and costs no more than the gap above the new one, or if there is no new one.
    usd_per_year, capital_usd
        Cost of the plan for this value (the plan at hand, if nothing changes): per year with what
        failures are expected to cost, and paid once. None without a plan.
    survives
        Whether that plan survives every scenario.
    kept_usd_per_year
        Cost of the plan at hand under this value; None if it breaks a requirement then.
    kept_survives
        Whether the plan at hand still meets every requirement and survives every scenario.
    note
        What else there is to say, such as why there is no plan.
    """

    input: Input
    side: Side
    value: float
    settings: tuple[str, ...]
    changed: tuple[str, ...]
    usd_per_year: float | None
    capital_usd: float | None
    survives: bool
    kept_usd_per_year: float | None
    kept_survives: bool
    note: str = ""

    @property
    def regret_usd_per_year(self) -> float | None:
        """What it costs a year not to replan; None where the plan at hand does not do."""
        if not self.kept_survives or self.kept_usd_per_year is None or self.usd_per_year is None:
            return None
        return max(0.0, self.kept_usd_per_year - self.usd_per_year)


def replan(
    loaded: LoadedModel,
    plan: Plan,
    inputs: Sequence[Input] = PLAN_INPUTS,
    settings: SolverSettings | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> tuple[Replanned, ...]:
    """Optimise and simulate anew with the low and the high value of each input.

    A plan that is not proven to be the cheapest is searched anew with today's values first, so that
    what the inputs change can be told from what it lacked before. Values that the model already has
    and inputs that it does not know are left out.

    Parameters
    ----------
    loaded, plan
        The model, and a plan for it. It is for the scenarios that the plan is for.
    settings
        How to solve; the time limit is that of one search. Once it is told to stop, the search that
        runs is given up.
    progress
        Told before each search which it is, and about how long the rest will take.

    Returns
    -------
    tuple of Replanned
        What was done before the end, in the order of the inputs.

    Raises
    ------
    InputError
        If the scenarios of the plan are not to be had.
    SolverError
        If the solver fails other than for want of time.
    """
    settings = settings or SolverSettings()
    asked = list(_questions(loaded.model, plan, inputs, settings))
    found: list[Replanned] = []
    started = time.monotonic()
    for number, question in enumerate(asked, 1):
        progress(_progress(question, number, len(asked), time.monotonic() - started))
        try:
            one = _replanned(loaded, plan, question, settings)
        except KeyboardInterrupt:
            if not settings.stopped:
                raise
            break
        except SolverError as error:
            if not settings.stopped and settings.time_limit_seconds is None:
                raise
            one = _without(question, f"no plan in time: {error}")
        if settings.stopped:
            break
        found.append(one)
    return tuple(found)


@dataclass(frozen=True)
class _Question:
    """One value of one input, and what of the model it changes."""

    input: Input
    side: Side
    value: float
    changes: Mapping[str, Any]

    def __str__(self) -> str:
        if self.input is UNCHANGED:
            return "today's values"
        times = self.input.kind == "factor"
        return f"{self.input.name} " + (f"× {self.value:g}" if times else f"{self.value:.2%}")


def _questions(
    model: Model, plan: Plan, inputs: Sequence[Input], settings: SolverSettings
) -> Iterator[_Question]:
    optimal = plan.method == "optimum" and plan.status == "optimal"
    proven = optimal and settings.proves(plan.gap)
    if not proven:
        yield _Question(UNCHANGED, "as planned", 1.0, {})
    for one in inputs:
        base = model.finance.discount_rate if one.attribute == "discount_rate" else 1.0
        sides: tuple[tuple[Side, float], ...] = tuple(
            zip(("low", "high"), one.values(base), strict=True)
        )
        for side, value in sides:
            changes = changes_for(model, one, value)
            if changes:
                yield _Question(one, side, value, changes)


def changes_for(model: Model, one: Input, value: float) -> dict[str, Any]:
    """What another value of an input changes of a model, by path.

    Surge multipliers do not fall below 1, the list price. Rates of failure include the frequencies
    of families and scenarios, of demand surges too, but not the probabilities of failing to start,
    nor what a set of scenarios adds that the model does not ask for. Failures that need several
    components at once come more often by the power of their number.

    Parameters
    ----------
    value
        The rate, or the factor on what the model has.
    """
    if one.attribute == "discount_rate":
        paths = {"finance.discount_rate": (model.finance.discount_rate, value)}
    else:
        least = 1.0 if one.attribute == "surge" else 0.0
        stated = _stated(model, one.attribute)
        paths = {path: (today, max(least, _readable(today * value))) for path, today in stated}
    return {path: new for path, (today, new) in paths.items() if new != today}


def _readable(value: float) -> float:
    """A product like 700 × 1.1 without the digits that rounding adds."""
    return float(f"{value:.12g}")


def _stated(model: Model, attribute: str) -> Iterator[tuple[str, float]]:
    """Paths that an input scales, with the values that the model has."""
    for section, field in SCALED[attribute]:
        for name, entry in getattr(model, section).items():
            yield f"{section}.{name}.{field}", getattr(entry, field)
    if attribute == "failure_rate":
        yield from _families(model)


def _families(model: Model) -> Iterator[tuple[str, float]]:
    """Frequencies of the families that a model asks for, where they follow no component's rate."""
    for name in FAMILIES:
        terms: FamilyTerms | None = getattr(model.generators, name)
        if terms is None or (terms.frequency_per_year is None and name in OF_COMPONENTS):
            continue
        for member in family(model, name)[:1]:
            yield f"generators.{name}.frequency_per_year", member.frequency_per_year


def _progress(question: _Question, number: int, of: int, seconds: float) -> str:
    done = number - 1
    left = f", about {seconds / done * (of - done):,.0f} s left" if done else ""
    return f"replanning {number} of {of}: {question}{left}"


# ------------------------------------------------------------------------------------ one question


def _replanned(
    loaded: LoadedModel, plan: Plan, question: _Question, settings: SolverSettings
) -> Replanned:
    model = changed(loaded.model, question.changes)
    scenarios = select(model, _wanted(plan)).scenarios
    kept = plan.fleet(model)
    outcome = optimise_and_verify(model, scenarios, settings, explain=False)
    best = outcome.best
    if best is None:
        return _without(question, "no plan meets every requirement")
    old, new = _costs(best, kept, settings)
    does = old is not None and _survives(best, kept)
    if old is not None and does and old - new <= max(LEAST_GAP, settings.gap) * abs(new):
        items = purchase_items(best.programme.data, kept)
        capital = sum(item.capital_usd for item in items)
        return _answer(question, (), (old, capital), True, old, does, "")
    other = outcome.plan(LoadedModel(model, loaded.name, loaded.sha256), settings)
    return _answer(
        question,
        difference(plan, other).lines,
        (new, other.cost.capital_usd),
        outcome.survives,
        old,
        does,
        _note(outcome, best, settings),
    )


def _survives(best: Round, fleet: Fleet) -> bool:
    """Whether a fleet survives every scenario; not simulated twice where it is that of the plan."""
    if fleet == best.solution.fleet:
        return not best.failed
    data = best.programme.data
    verdicts = judge(data.model, fleet, data.scenarios, stories=False)
    return not any(one.fails for one in verdicts)


def _answer(
    question: _Question,
    lines: tuple[str, ...],
    cost: tuple[float | None, float | None],
    survives: bool,
    kept_usd: float | None,
    kept_survives: bool,
    note: str,
) -> Replanned:
    done = tuple(setting(path, value) for path, value in question.changes.items())
    value, side = question.value, question.side
    return Replanned(
        question.input, side, value, done, lines, *cost, survives, kept_usd, kept_survives, note
    )


def _without(question: _Question, note: str) -> Replanned:
    return _answer(question, (), (None, None), False, None, False, note)


def _note(outcome: LoopResult, best: Round, settings: SolverSettings) -> str:
    notes = []
    if not outcome.survives:
        notes.append(f"does not survive {', '.join(best.failed[:3])}")
    if not settings.proves(best.solution.gap):
        notes.append(f"proven to within {best.solution.gap:.2%} only")
    return "; ".join(notes)


def _wanted(plan: Plan) -> Wanted | None:
    """Scenarios that a plan is for; None for those of the model."""
    record = plan.model.scenarios
    return None if record is None else Wanted(**record.model_dump())


def _costs(best: Round, kept: Fleet, settings: SolverSettings) -> tuple[float | None, float]:
    """Cost of a fleet, and of the new plan, in the same programme.

    The margins of the new plan may ask more of the old one than the simulation does. Then both are
    valued without margins.
    """
    new = best.solution.objective - best.solution.routing_usd_per_year
    old = _cost_of(best.programme, kept, settings)
    data = best.programme.data
    if old is not None or not data.margins:
        return old, new
    bare = build(ProblemData(data.model, data.scenarios, {}))
    old = _cost_of(bare, kept, settings)
    same = None if old is None else _cost_of(bare, best.solution.fleet, settings)
    return old, new if same is None else same


def _cost_of(programme: Programme, fleet: Fleet, settings: SolverSettings) -> float | None:
    """Least cost of a year with a fleet, USD; None where it breaks a requirement."""
    try:
        counts = counts_of(programme, fleet)
    except ValueError:
        return None
    for key, variable in variables(programme).items():
        low, high = variable.lowBound, variable.upBound
        if not (low or 0.0) <= counts[key] <= (math.inf if high is None else high):
            return None
    with bounded(programme, settled(counts)):
        solution = solve(programme, settings)
    return None if solution.status == "infeasible" else solution.objective


__all__ = ["DEMAND", "PLAN_INPUTS", "UNCHANGED", "Replanned", "changes_for", "replan"]
