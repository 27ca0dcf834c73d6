"""Two plans or models side by side: what each buys, costs and survives, and what they ask for.

A model without a plan stands for what exists in it, simulated and priced like a plan that buys
nothing. What caused a difference is said as far as it can be read off: the values on which the
models differ, and the settings and margins on which the plans do. `effects` goes further and solves
the programme again with one group of values at a time taken back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import groupby
from typing import Any, Literal

from planner.analysis.what_if import Answer, ask
from planner.errors import PlannerError
from planner.infrastructure.entities import Model
from planner.infrastructure.fleet import Fleet
from planner.infrastructure.loading import LoadedModel
from planner.infrastructure.model_difference import ValueChange, model_changes
from planner.infrastructure.prices import PARTS
from planner.optimization.formulation.build import build
from planner.optimization.formulation.problem import ProblemData
from planner.optimization.solution.costs import purchase_items
from planner.optimization.solution.solving import Solution, SolverSettings
from planner.plan.assembly import Origin, cost_lines, make_plan
from planner.plan.baseline import standing
from planner.plan.difference import CostChange, PlanDifference, by_category, difference
from planner.plan.records import Cost, Plan, ScenarioLine
from planner.plan.reopening import case_of, new_scenarios, wanted_by
from planner.scenarios.selection import Wanted, select
from planner.simulation.verdict import judge

#: Categories of cost that follow from the purchases alone.
#: Plans made before servers, building and power were apart have them as `gpus`.
OWNED = frozenset({"cooling", *PARTS, "gpus", "regions", "emergency", "measures"})
#: Differences of served fractions and of minutes that are none.
SAME_SHARE, SAME_MINUTES = 1e-6, 0.5

Kind = Literal["plan", "model"]
Outcome = Literal["lost", "gained", "dropped", "new", "survived", "failed", "not judged"]


@dataclass(frozen=True)
class ComparedPlan:
    """One of the two.

    Parameters
    ----------
    label
        What it was called by who asked.
    kind
        A plan, or a model with what exists in it.
    plan
        The plan, or what exists written as one.
    loaded
        Its model; None if it is not known.
    note
        What is odd about it, such as a model that has changed since; empty if nothing.
    """

    label: str
    kind: Kind
    plan: Plan
    loaded: LoadedModel | None
    note: str = ""


def _safe(line: ScenarioLine | None) -> bool | None:
    """Whether a scenario is survived or cannot happen; None where it is not judged."""
    if line is None or line.status == "not judged":
        return None
    return not line.fails


@dataclass(frozen=True)
class ScenarioChange:
    """One scenario on both sides; None where a side was not judged on it."""

    name: str
    before: ScenarioLine | None
    after: ScenarioLine | None

    @property
    def severity(self) -> str:
        """Class, of the second side if it has one."""
        line = self.after or self.before
        assert line is not None
        return line.severity

    @property
    def outcome(self) -> Outcome:
        """What became of it.

        Lost is what the first side survives and the second does not, gained the other way round,
        dropped what only the first was judged on, new what only the second was. What cannot happen
        to one side is as good as survived there.
        """
        was, now = _safe(self.before), _safe(self.after)
        if was is None and now is None:
            return "not judged"
        if was is None or now is None:
            return "new" if was is None else "dropped"
        if was != now:
            return "gained" if now else "lost"
        return "survived" if now else "failed"

    @property
    def no_longer_proven(self) -> bool:
        """Whether the first side survives it and the second does not or was not judged on it."""
        survived = self.before is not None and self.before.survives
        return survived and not _safe(self.after)

    @property
    def differs(self) -> bool:
        """Whether anything of interest differs."""
        if self.before is None or self.after is None or self.outcome in ("lost", "gained"):
            return True
        was, now = self.before, self.after
        tiers = {*was.served, *now.served}
        return (
            _later(was.recovery_minutes, now.recovery_minutes) != 0
            or any(
                abs(was.served.get(one, 1.0) - now.served.get(one, 1.0)) > SAME_SHARE
                for one in tiers
            )
            or abs(was.emergency_usd - now.emergency_usd) >= 1
            or abs(was.peak_temperature_c - now.peak_temperature_c) >= SAME_MINUTES
        )

    @property
    def later(self) -> int:
        """1 if the second side recovers later, −1 if earlier, 0 if neither can be said."""
        if self.before is None or self.after is None:
            return 0
        return _later(self.before.recovery_minutes, self.after.recovery_minutes)


def _later(before: float | None, after: float | None) -> int:
    was, now = (float("inf") if one is None else one for one in (before, after))
    return 0 if was == now or abs(now - was) < SAME_MINUTES else (1 if now > was else -1)


@dataclass(frozen=True)
class TierChange:
    """Least served of one tier on both sides, and in which scenario; None without any."""

    tier: str
    before: float | None
    before_in: str
    after: float | None
    after_in: str


@dataclass(frozen=True)
class ComparedFigure:
    """One figure of both sides; None where there is none (a recovery: never).

    Parameters
    ----------
    name
        In words, with its unit.
    unit
        ``USD``, ``minutes``, ``°C``, ``MW``, ``count`` or ``share``.
    better
        Whether less or more of it is better; empty where that depends.
    """

    name: str
    unit: str
    before: float | None
    after: float | None
    better: Literal["less", "more", ""] = ""

    @property
    def same(self) -> bool:
        """Whether both are the same as far as anybody cares."""
        if self.before is None or self.after is None:
            return self.before is self.after
        close = {"USD": 0.5, "minutes": SAME_MINUTES, "share": SAME_SHARE, "°C": 0.05, "MW": 5e-4}
        return abs(self.after - self.before) < close.get(self.unit, 0.5)


@dataclass(frozen=True)
class Comparison:
    """Two sides and all that sets them apart.

    Parameters
    ----------
    a, b
        The sides; changes lead from a to b.
    purchases
        Decisions and lines of cost that differ.
    categories
        Cost by category, of those that either has.
    scenarios
        Every scenario of either.
    tiers
        Least served by tier.
    figures
        Sums and extremes.
    values
        Values on which the models differ, what is asked first; None if a model is not known.
    settings
        How the plans were made, where that differs.
    """

    a: ComparedPlan
    b: ComparedPlan
    purchases: PlanDifference
    categories: tuple[CostChange, ...]
    scenarios: tuple[ScenarioChange, ...]
    tiers: tuple[TierChange, ...]
    figures: tuple[ComparedFigure, ...]
    values: tuple[ValueChange, ...] | None
    settings: tuple[ValueChange, ...]

    def outcome(self, outcome: Outcome) -> tuple[ScenarioChange, ...]:
        """Scenarios of which one thing became."""
        return tuple(one for one in self.scenarios if one.outcome == outcome)

    @cached_property
    def lost(self) -> tuple[ScenarioChange, ...]:
        """Scenarios that a survives and b does not, or is not judged on any more."""
        return tuple(one for one in self.scenarios if one.no_longer_proven)

    @cached_property
    def same(self) -> bool:
        """Whether both buy, cost and survive the same."""
        return (
            not self.purchases.changes
            and not self.purchases.cost
            and not any(one.differs for one in self.scenarios)
        )


def compare(a: ComparedPlan, b: ComparedPlan) -> Comparison:
    """Compare two sides."""
    known = a.loaded is not None and b.loaded is not None
    return Comparison(
        a=a,
        b=b,
        purchases=difference(a.plan, b.plan),
        categories=by_category(a.plan, b.plan),
        scenarios=_scenarios(a.plan, b.plan),
        tiers=_tiers(a.plan, b.plan),
        figures=_figures(a.plan, b.plan),
        values=_values(a, b) if known else None,
        settings=_settings(a, b),
    )


# -------------------------------------------------------------------------------------------- sides


def existing(loaded: LoadedModel, wanted: Wanted | None = None, jobs: int = 1) -> Plan:
    """What exists in a model, written as a plan that buys nothing: simulated and priced.

    Its yearly cost is upkeep, retainers, energy and transport. What failures are expected to cost
    is not in it: that is worked out by the programme, whose requirements it need not meet.

    Parameters
    ----------
    wanted
        Scenarios to judge it on; None for those of the model.
    jobs
        Processes that share the simulation.

    Raises
    ------
    InputError
        If the scenarios asked for do not exist.
    """
    model, fleet = loaded.model, Fleet.existing(loaded.model)
    items = standing(model).items
    scenarios = select(model, wanted).scenarios
    verdicts = judge(model, fleet, scenarios, jobs, stories=False)
    cost = sum(item.usd_per_year for item in items)
    nothing = Solution("feasible", cost, cost, {}, fleet, 0.0, 0, 0)
    return make_plan(loaded, nothing, items, verdicts, Origin())


def repriced(plan: Plan, model: Model) -> Cost:
    """Cost of a plan with its purchases priced by a model; running and expected cost stay."""
    items = purchase_items(ProblemData(model, (), {}), plan.fleet(model))
    bought = cost_lines(item for item in items if item.capital_usd or item.usd_per_year)
    lines = (*bought, *(one for one in plan.cost.items if one.category not in OWNED))
    sums = {
        "capital_usd": round(sum(one.capital_usd for one in lines), 2),
        "usd_per_year": round(sum(one.usd_per_year for one in lines), 2),
    }
    return plan.cost.model_copy(update={"items": lines, **sums})


# ------------------------------------------------------------------------------------------ figures


def _scenarios(a: Plan, b: Plan) -> tuple[ScenarioChange, ...]:
    was, now = ({line.name: line for line in plan.scenarios} for plan in (a, b))
    return tuple(
        ScenarioChange(name, was.get(name), now.get(name)) for name in dict.fromkeys((*was, *now))
    )


def _tiers(a: Plan, b: Plan) -> tuple[TierChange, ...]:
    was, now = _least_served(a), _least_served(b)
    none: tuple[float | None, str] = (None, "")
    return tuple(
        TierChange(tier, *was.get(tier, none), *now.get(tier, none))
        for tier in dict.fromkeys((*was, *now))
    )


def _least_served(plan: Plan) -> dict[str, tuple[float, str]]:
    found: dict[str, tuple[float, str]] = {}
    for line in plan.scenarios:
        for tier, fraction in line.served.items():
            if tier not in found or fraction < found[tier][0]:
                found[tier] = (fraction, line.name)
    return found


def _figures(a: Plan, b: Plan) -> tuple[ComparedFigure, ...]:
    def figure(
        name: str,
        unit: str,
        of: Callable[[Plan], float | None],
        better: Literal["less", "more", ""] = "",
    ) -> ComparedFigure:
        return ComparedFigure(name, unit, of(a), of(b), better)

    return (
        figure("capital", "USD", lambda plan: plan.cost.capital_usd, "less"),
        figure("cost of a year", "USD", lambda plan: plan.cost.usd_per_year, "less"),
        figure("GPUs", "count", lambda plan: sum(one.total for one in plan.gpus)),
        figure(
            "cooling",
            "MW",
            lambda plan: sum(one.total * one.derated_mw_each for one in plan.cooling),
        ),
        figure(
            "emergency GPUs", "count", lambda plan: sum(one.gpus_reserved for one in plan.emergency)
        ),
        figure("scenarios judged", "count", lambda plan: sum(one.judged for one in plan.scenarios)),
        figure(
            "of these survived",
            "count",
            lambda plan: sum(one.survives for one in plan.scenarios),
            "more",
        ),
        figure("longest recovery", "minutes", _longest_recovery, "less"),
        figure(
            "requests lost in a year",
            "count",
            lambda plan: sum(one.frequency_per_year * one.lost_requests for one in plan.scenarios),
            "less",
        ),
        figure(
            "hottest cluster",
            "°C",
            lambda plan: max((one.peak_temperature_c for one in plan.scenarios), default=None),
            "less",
        ),
        figure(
            "most emergency spend",
            "USD",
            lambda plan: max((one.emergency_usd for one in plan.scenarios), default=None),
            "less",
        ),
    )


def _longest_recovery(plan: Plan) -> float | None:
    """Longest time to recovery; None if a scenario never recovers."""
    times = [one.recovery_minutes for one in plan.scenarios]
    known = [one for one in times if one is not None]
    return None if len(known) < len(times) else max(known, default=0.0)


# ------------------------------------------------------------------------------------------- causes


def _values(a: ComparedPlan, b: ComparedPlan) -> tuple[ValueChange, ...] | None:
    if a.loaded is None or b.loaded is None:
        return None
    return model_changes(a.loaded.model, b.loaded.model)


def _settings(a: ComparedPlan, b: ComparedPlan) -> tuple[ValueChange, ...]:
    """How two plans were made and what held, where that differs."""
    both = a.kind == b.kind == "plan"
    was, now = _made(a, both), _made(b, both)
    found = []
    for name in dict.fromkeys((*was, *now)):
        if was.get(name) != now.get(name):
            only: Literal["a", "b", ""] = "" if name in was and name in now else "a"
            only = "b" if name not in was else only
            found.append(ValueChange(name, was.get(name), now.get(name), only))
    return tuple(found)


def _made(side: ComparedPlan, detailed: bool) -> dict[str, Any]:
    plan = side.plan
    wanted = plan.model.scenarios
    made: dict[str, Any] = {"model": plan.model.name}
    for override in plan.model.overrides:
        path, _, value = override.partition("=")
        made[f"--set {path.strip()}"] = value.strip()
    if detailed:
        made |= {
            "scenario sets": "of the model" if wanted is None else _sets(wanted.model_dump()),
            "method": plan.method,
            "status": plan.status,
            "planner": plan.versions.get("planner", "unknown"),
        }
        for scenario, margin in plan.margins.items():
            named = {key: value for key, value in vars(margin).items() if value}
            made |= {f"margin {scenario} {key}": value for key, value in named.items()}
    return made


def _sets(wanted: Mapping[str, Any]) -> str:
    """Scenarios asked for, in words."""
    names = {"sets": "", "only": "only ", "excluded": "except ", "severities": "of class "}
    parts = [f"{word}{', '.join(wanted[key])}" for key, word in names.items() if wanted[key]]
    if wanted["least_per_year"]:
        parts.append(f"at least {wanted['least_per_year']:g} a year")
    return "; ".join(parts)


# ------------------------------------------------------------------------------------------ effects


@dataclass(frozen=True)
class Effect:
    """What one group of differing values costs.

    Parameters
    ----------
    paths
        Values of b taken back to those of a.
    title
        What they have in common: the path down to the entry.
    usd_per_year
        Cost of the cheapest plan for b less that for b with these values taken back, USD per year;
        None without such a plan.
    least, most
        Between what is proven.
    problem
        Why there is no figure; empty if there is one.
    """

    title: str
    paths: tuple[str, ...]
    usd_per_year: float | None
    least: float | None = None
    most: float | None = None
    problem: str = ""


@dataclass(frozen=True)
class Effects:
    """Effects of the groups, one at a time.

    Parameters
    ----------
    groups
        Dearest first.
    together_usd_per_year
        Cheapest plan for b less that for a; the groups need not add up to it, since each is taken
        back alone; None without such plans.
    unasked
        Groups left out, because there were more than the number of solves allowed.
    problem
        Why there are none; empty if nothing stood in the way.
    """

    groups: tuple[Effect, ...] = ()
    together_usd_per_year: float | None = None
    unasked: tuple[str, ...] = ()
    problem: str = ""


def effects(
    comparison: Comparison,
    settings: SolverSettings,
    most: int = 20,
    progress: Callable[[str], None] = lambda _: None,
) -> Effects:
    """Solve b again with one group of differing values at a time taken back to those of a.

    A group is what differs in one entry (``zones.west-users``) or rule. The programme alone is
    asked, with the margins that the plan of b ended with.

    Parameters
    ----------
    most
        Most groups to ask about.
    progress
        Told before every solve.

    Raises
    ------
    SolverError
        If the solver fails.
    """
    a, b = comparison.a, comparison.b
    if a.loaded is None or b.loaded is None or comparison.values is None:
        return Effects(problem="the models of both sides have to be known")

    def solved(model: Model, side: ComparedPlan) -> Answer | None:
        known = side.loaded.model if side.loaded is not None else model
        new = new_scenarios(side.plan, known)
        scenarios = select(model, wanted_by(side.plan)).scenarios
        asked = [one for one in scenarios if one.name not in new]
        answer = ask(build(case_of(side.plan, model, asked)), settings)
        return answer if answer.found else None

    if not comparison.values:
        return Effects(problem="the models have the same values")
    progress("solving b")
    whole = solved(b.loaded.model, b)
    if whole is None:
        return Effects(problem="no plan meets the requirements of B, so none can be priced")
    progress("solving a")
    other = solved(a.loaded.model, a)
    asked, unasked, found = list(_groups(comparison.values)), [], []
    asked, unasked = asked[:most], [".".join(parts) for parts, _ in asked[most:]]
    for number, (parts, changes) in enumerate(asked, 1):
        progress(f"group {number} of {len(asked)}: without what differs in {'.'.join(parts)}")
        undone = partial(_taken_back, b.loaded.model, a.loaded.model, parts)
        paths = tuple(one.path for one in changes)
        found.append(
            _effect(".".join(parts), paths, whole, partial(_solved_without, undone, solved, b))
        )
    found.sort(key=lambda one: -abs(one.usd_per_year or 0.0))
    return Effects(
        groups=tuple(found),
        together_usd_per_year=None if other is None else whole.cost - other.cost,
        unasked=tuple(unasked),
    )


def _groups(values: Iterable[ValueChange]) -> Iterable[tuple[tuple[str, ...], list[ValueChange]]]:
    """Differing values by the entry that they stand in."""
    # Shares of tiers add up to one: no tier is taken back alone.
    for parts, changes in groupby(
        values, key=lambda one: one.parts[:1] if one.section == "tiers" else one.parts
    ):
        yield parts, list(changes)


def _effect(
    title: str, paths: tuple[str, ...], whole: Answer, without: Callable[[], Answer | None]
) -> Effect:
    try:
        answer = without()
    except (LookupError, PlannerError, ValueError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        return Effect(title, paths, None, problem=f"cannot be taken back alone: {first}")
    if answer is None:
        return Effect(title, paths, None, problem="no plan with the values of A here")
    usd, least, most = (
        whole.cost - answer.cost,
        whole.bound - answer.cost,
        whole.cost - answer.bound,
    )
    return Effect(title, paths, usd, least, most)


def _solved_without(
    make: Callable[[], Model],
    solved: Callable[[Model, ComparedPlan], Answer | None],
    side: ComparedPlan,
) -> Answer | None:
    return solved(make(), side)


def _taken_back(now: Model, was: Model, parts: tuple[str, ...]) -> Model:
    """A model with one entry or field of a section as in another model."""
    section, *entries = parts
    old, new = getattr(was, section), getattr(now, section)
    if not entries:
        return now.replace(**{section: old})
    entry = entries[0]
    if isinstance(new, Mapping):
        kept = {key: value for key, value in new.items() if key != entry}
        if entry in old:
            kept[entry] = old[entry]
        return now.replace(**{section: kept})
    return now.replace(**{section: new.replace(**{entry: getattr(old, entry)})})


__all__ = [
    "ComparedFigure",
    "ComparedPlan",
    "Comparison",
    "Effect",
    "Effects",
    "ScenarioChange",
    "TierChange",
    "ValueChange",
    "compare",
    "effects",
    "existing",
    "model_changes",
    "repriced",
]
