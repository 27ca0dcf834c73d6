"""Which inputs change the plan, and not only its net present value.

For the low and the high value of each input of the programme, the model is optimised and simulated
anew. The regret is the cost of keeping the present plan: its cost under the new value less that of
the new plan, both in the same programme.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from planner.amounts import percent
from planner.errors import SolverError
from planner.finance.sensitivity import INPUTS, Input
from planner.infrastructure.changes import changed, setting
from planner.infrastructure.entities import Model
from planner.infrastructure.failures import FamilyTerms
from planner.infrastructure.fleet import Fleet
from planner.infrastructure.loading import LoadedModel
from planner.optimization.decomposition.fixed import least_cost
from planner.optimization.solution.costs import purchase_items
from planner.optimization.solution.settings import SolverSettings
from planner.other_hours import NOT_SIMULATED, at_other_hours
from planner.plan.difference import difference
from planner.plan.records import Plan
from planner.plan.reopening import wanted_by
from planner.rounds import LoopResult, Round
from planner.scenarios.generators import FAMILIES, family
from planner.selection import Selection, select
from planner.simulation.verdict import judge
from planner.verification import optimize_and_verify

Side = Literal["low", "high", "as planned"]

#: The level of demand; growth changes what failures cost, the level what has to be served.
DEMAND = Input("demand", "demand", "factor", 0.9, 1.1, "estimate; 10 % less or more than today")
#: Inputs of the programme. Inflation and tax are none: it counts in today's money before tax.
PLAN_INPUTS: tuple[Input, ...] = (
    *(
        varied
        for varied in INPUTS
        if varied.attribute
        in ("discount_rate", "gpu_price", "cooling_price", "failure_rate", "outage_value", "surge")
    ),
    DEMAND,
)
#: Stands for no input: today's values, optimised again if the plan is not proven optimal.
UNCHANGED = Input("no input", "", "factor", 1.0, 1.0, "the present plan is not proven optimal")
#: Fields that an input scales, by section; salvage follows the price.
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
        The input; `UNCHANGED` for today's values, optimised again if the plan is not proven.
    side
        End of its range.
    value
        Its value.
    settings
        The change of the model, as ``--set`` takes it.
    changed
        Differences from the present plan, one text each. Empty if that plan still survives and
        costs no more than the gap above the new one, or if there is no new one.
    usd_per_year, capital_usd
        Cost of the plan for this value (the present plan, if nothing changes): per year including
        expected failure losses, and paid once. None without a plan.
    survives
        Whether that plan survives every scenario.
    kept_usd_per_year
        Cost of the present plan under this value; None if it violates a requirement then.
    kept_survives
        Whether the present plan still meets every requirement and survives every scenario.
    note
        Remarks, such as why there is no plan.
    """

    input: Input
    side: Side
    value: float
    settings: tuple[str, ...]
    changed: tuple[str, ...] = ()
    usd_per_year: float | None = None
    capital_usd: float | None = None
    survives: bool = False
    kept_usd_per_year: float | None = None
    kept_survives: bool = False
    note: str = ""

    @property
    def regret_usd_per_year(self) -> float | None:
        """Yearly cost of keeping the present plan; None where that does not survive."""
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

    A plan that is not proven optimal is optimised again with today's values first, so that the
    effect of the inputs can be told from what it lacked before. Values that the model already has
    and inputs that it does not use are skipped.

    Parameters
    ----------
    loaded, plan
        The model, and a plan for it, whose scenarios are used.
    settings
        How to solve; the time limit is that of one optimisation. Once it is told to stop, the
        current optimisation is given up.
    progress
        Called before each optimisation with its number and the estimated time left.

    Returns
    -------
    tuple of Replanned
        Results obtained before the stop, in the order of the inputs.

    Raises
    ------
    InputError
        If the scenarios of the plan do not exist in the model.
    SolverError
        If the solver fails for another reason than the time limit.
    """
    settings = settings or SolverSettings()
    variations = list(_variations(loaded.model, plan, inputs, settings))
    found: list[Replanned] = []
    started = time.monotonic()
    for number, variation in enumerate(variations, 1):
        progress(_progress(variation, number, len(variations), time.monotonic() - started))
        try:
            result = _replanned(loaded, plan, variation, settings)
        except KeyboardInterrupt:
            if not settings.stopped:
                raise
            break
        except SolverError as error:
            if not settings.stopped and settings.time_limit_seconds is None:
                raise
            result = replace(variation.result, note=f"no plan in time: {error}")
        if settings.stopped:
            break
        found.append(result)
    return tuple(found)


@dataclass(frozen=True)
class _Variation:
    """One value of one input, and what of the model it changes."""

    input: Input
    side: Side
    value: float
    changes: Mapping[str, Any]

    def __str__(self) -> str:
        if self.input is UNCHANGED:
            return "today's values"
        times = self.input.kind == "factor"
        return f"{self.input.name} " + (f"× {self.value:g}" if times else percent(self.value, 2))

    @property
    def result(self) -> Replanned:
        """Its result as long as there is no plan."""
        done = tuple(setting(path, value) for path, value in self.changes.items())
        return Replanned(self.input, self.side, self.value, done)


def _variations(
    model: Model, plan: Plan, inputs: Sequence[Input], settings: SolverSettings
) -> Iterator[_Variation]:
    optimal = plan.method == "optimum" and plan.status == "optimal"
    proven = optimal and settings.proves(plan.gap)
    if not proven:
        yield _Variation(UNCHANGED, "as planned", 1.0, {})
    sides: tuple[Side, Side] = ("low", "high")
    for varied in inputs:
        base = model.finance.discount_rate if varied.attribute == "discount_rate" else 1.0
        for side, value in zip(sides, varied.values(base), strict=True):
            changes = changes_for(model, varied, value)
            if changes:
                yield _Variation(varied, side, value, changes)


def changes_for(model: Model, varied: Input, value: float) -> dict[str, Any]:
    """Values of a model, by path, that change with another value of an input.

    Surge multipliers do not fall below 1, the list price. Rates of failure include the frequencies
    of families and scenarios, of demand surges too, but not the probabilities of failing to start,
    nor scenarios that the model does not ask for. The frequency of simultaneous failures grows with
    the power of the number of components.

    Parameters
    ----------
    value
        The rate, or the factor on what the model has.
    """
    if varied.attribute == "discount_rate":
        paths = {"finance.discount_rate": (model.finance.discount_rate, value)}
    else:
        least = 1.0 if varied.attribute == "surge" else 0.0
        stated = _stated(model, varied.attribute)
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


def _progress(variation: _Variation, number: int, of: int, seconds: float) -> str:
    done = number - 1
    left = f", about {seconds / done * (of - done):,.0f} s left" if done else ""
    return f"replanning {number} of {of}: {variation}{left}"


def _replanned(
    loaded: LoadedModel, plan: Plan, variation: _Variation, settings: SolverSettings
) -> Replanned:
    model = changed(loaded.model, variation.changes)
    selection, kept = select(model, wanted_by(plan)), plan.fleet(model)
    outcome = optimize_and_verify(
        model, selection.scenarios, settings, start=kept, explain="conflict", selection=selection
    )
    best = outcome.best
    if best is None:
        return replace(variation.result, note="no plan meets every requirement")
    selection = outcome.selection or selection
    old, new = _costs(best, kept, settings)
    survives = old is not None and _survives(best, kept, selection)
    result = replace(variation.result, kept_usd_per_year=old, kept_survives=survives)
    if old is not None and survives and old - new <= max(LEAST_GAP, settings.gap) * abs(new):
        items = purchase_items(best.programme.data, kept)
        capital = sum(item.capital_usd for item in items)
        return replace(result, usd_per_year=old, capital_usd=capital, survives=True)
    replanned = outcome.plan(LoadedModel(model, loaded.name, loaded.sha256), settings)
    return replace(
        result,
        changed=difference(plan, replanned).lines,
        usd_per_year=new,
        capital_usd=replanned.cost.capital_usd,
        survives=outcome.survives,
        note=_note(outcome, best, settings),
    )


def _survives(best: Round, fleet: Fleet, selection: Selection) -> bool:
    """Whether a fleet survives every scenario; simulated only if it is not that of the plan."""
    if fleet == best.solution.fleet:
        return not best.failed
    model = best.programme.data.model
    verdicts = judge(model, fleet, selection.scenarios, stories=False)
    if any(verdict.fails for verdict in verdicts):
        return False
    _, beyond = at_other_hours(selection, model, fleet)
    return not beyond


def _note(outcome: LoopResult, best: Round, settings: SolverSettings) -> str:
    notes = []
    if not outcome.survives:
        notes.append(f"does not survive {', '.join(best.failed[:3])}")
    if best.left_out is None:
        notes.append(NOT_SIMULATED)
    if not settings.proves(best.solution.gap):
        notes.append(f"proven to within {percent(best.solution.gap, 2)} only")
    return "; ".join(notes)


def _costs(best: Round, kept: Fleet, settings: SolverSettings) -> tuple[float | None, float]:
    """Cost of a fleet, and of the new plan, in the same programme."""
    new = best.solution.objective - best.solution.routing_usd_per_year
    return least_cost(best.programme.data, kept, settings), new
