"""Why there is no roadmap: the first period that cannot be met, by what, and what would help."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from planner.amounts import counted, money, percent
from planner.errors import SolverError
from planner.infrastructure.entities import Model
from planner.infrastructure.horizon import Construction, Course, DemandGrowth, Horizon, month_text
from planner.optimization.solution.deadline import Deadline, OutOfTime
from planner.optimization.solution.settings import SolverSettings
from planner.optimization.solution.solving import Solution
from planner.roadmap.build import capital_by_year
from planner.roadmap.planning import planned
from planner.roadmap.pricing import Selections
from planner.roadmap.programme import RoadmapProgramme
from planner.roadmap.result import RoadmapResult
from planner.roadmap.tree import leaves

#: Gap of solves that only ask whether there is a roadmap, and what it costs roughly.
ROUGH_GAP = 0.01
#: Halvings of the growth that is looked for.
HALVINGS = 5
#: Times as much of what is tried without a limit.
MORE = 100
#: Most failures that are named.
MOST_NAMED = 8


@dataclass(frozen=True)
class Help:
    """A change with which there is a roadmap up to the period that cannot be met.

    Parameters
    ----------
    npv_usd
        Cost of that roadmap up to then.
    """

    kind: str
    text: str
    npv_usd: float


@dataclass(frozen=True)
class NoRoadmap:
    """Why there is no roadmap.

    Parameters
    ----------
    period, month
        First period up to which there is none.
    failures
        Failures in it that leave none, as ``node/scenario``; empty if normal operation does.
    helps
        Changes that help, the cheapest first.
    complete
        Whether all changes were tried before time ended.
    """

    period: int
    month: str
    failures: tuple[str, ...]
    helps: tuple[Help, ...]
    complete: bool = True

    def lines(self) -> list[str]:
        """The same in words."""
        by = "normal operation or the rules of design"
        if self.failures:
            named = ", ".join(self.failures[:MOST_NAMED])
            more = len(self.failures) - MOST_NAMED
            by = named + (f" and {more} more" if more > 0 else "")
        found = [f"period {self.period}, from {self.month}, is the first that cannot be met: {by}"]
        found += [f"{one.text}: all costs up to then {money(one.npv_usd)}" for one in self.helps]
        if not self.helps and self.complete:
            found.append(
                "neither larger budgets, more construction, power, cloud, shorter lead times nor "
                "demand as in the first period would help: `plan optimize` on its demand says why"
            )
        if not self.complete:
            found.append("time ended before all changes were tried; --time-limit allows more")
        return found


def why_none(model: Model, result: RoadmapResult, settings: SolverSettings) -> NoRoadmap:
    """Find the first period that cannot be met, and what would help."""
    horizon = result.roadmap.horizon
    deadline = Deadline(replace(settings, gap=max(ROUGH_GAP, settings.gap)))
    selections = Selections(result.selection.wanted)

    def solved(changed: Horizon, also: Model = model) -> tuple[RoadmapProgramme, Solution]:
        return planned(
            also.replace(horizon=changed),
            selections,
            deadline.settings(late=True),
            result.decided,
            result.decided_periods,
        )

    first, failures = horizon.periods, result.solution.conflict
    try:
        for period in range(1, horizon.periods):
            _, solution = solved(horizon.replace(periods=period))
            if solution.status == "infeasible":
                first, failures = period, solution.conflict
                break
    except (OutOfTime, SolverError):
        return NoRoadmap(first, month_text(horizon.month_of(first)), failures, (), complete=False)
    until = horizon.replace(periods=first)
    helps: list[Help] = []
    complete = True
    try:
        for found in _helps(model, until, solved):
            helps.append(found)
    except (OutOfTime, SolverError):
        complete = False
    ranked = tuple(sorted(helps, key=lambda one: one.npv_usd))
    return NoRoadmap(first, month_text(horizon.month_of(first)), failures, ranked, complete)


Solved = Callable[..., tuple[RoadmapProgramme, Solution]]


def _helps(model: Model, horizon: Horizon, solved: Solved) -> Iterator[Help]:
    """Changes of one kind each that make a roadmap possible."""
    free = model.replace(policies=model.policies.replace(capital_budget_usd=None))
    if horizon.capital_budgets_usd or model.policies.capital_budget_usd is not None:
        made, solution = solved(horizon.replace(capital_budgets_usd={}), free)
        if solution.status != "infeasible":
            yield Help("budget", _budget_text(model, horizon, made, solution), solution.objective)
    if horizon.construction != Construction():
        _, solution = solved(horizon.replace(construction=Construction()))
        if solution.status != "infeasible":
            text = "construction capacity without a limit"
            yield Help("construction", text, solution.objective)
    steps = tuple(s.replace(firm_mw=MORE * max(1.0, s.firm_mw)) for s in horizon.power)
    regions = {
        n: r.replace(power_limit_mw=MORE * max(1.0, r.power_limit_mw))
        for n, r in model.regions.items()
    }
    _, solution = solved(horizon.replace(power=steps), model.replace(regions=regions))
    if solution.status != "infeasible":
        yield Help("power", "power of regions without a limit", solution.objective)
    yield from _earlier(horizon, solved)
    more = {
        n: o.replace(available_gpus=MORE * max(1, o.available_gpus))
        for n, o in model.offers.items()
    }
    if more:
        made, solution = solved(horizon, model.replace(offers=more))
        if solution.status != "infeasible":
            yield Help("bridge", _bridge_text(model, made, solution), solution.objective)
    yield from _slower(horizon, solved)


def _budget_text(model: Model, horizon: Horizon, made: RoadmapProgramme, solution: Solution) -> str:
    over: dict[str, float] = {}
    for leaf in leaves(made.tree):
        spent = {y: e.at(solution.values) for y, e in capital_by_year(made, leaf).items()}
        for year, usd in spent.items():
            more = usd - horizon.capital_budgets_usd.get(str(year), float("inf"))
            if more > 0:
                over[str(year)] = max(over.get(str(year), 0.0), more)
        most = model.policies.capital_budget_usd
        if most is not None and sum(spent.values()) > most:
            over["all years"] = max(over.get("all years", 0.0), sum(spent.values()) - most)
    return "more budget: " + ", ".join(f"{money(usd)} in {year}" for year, usd in over.items())


def _bridge_text(model: Model, made: RoadmapProgramme, solution: Solution) -> str:
    needed: dict[str, float] = {}
    for each in made.nodes.values():
        for name, count in each.programme.purchases.instances.items():
            total = solution.values[count.name] + model.offers[name].existing_instances
            needed[name] = max(needed.get(name, 0.0), total * model.offers[name].gpus_per_instance)
    short = {n: g for n, g in needed.items() if g > model.offers[n].available_gpus}
    return "a bridge of cloud: " + ", ".join(f"{g:,.0f} GPUs of {n}" for n, g in short.items())


def _earlier(horizon: Horizon, solved: Solved) -> Iterator[Help]:
    """Lead times of one kind shortened by as few periods as are needed."""
    terms = horizon.order_months
    for kind in ("gpus", "halls", "cooling", "regions", "measures", "emergency"):
        months: float = getattr(terms, kind)
        own = kind in ("gpus", "cooling") and bool(terms.types)
        if not months and not own and not terms.entities:
            continue
        for periods in range(1, horizon.periods_of(months) + 1):
            shorter = max(0.0, months - periods * horizon.months)
            changed = horizon.replace(order_months=terms.replace(**{kind: shorter}))
            _, solution = solved(changed)
            if solution.status != "infeasible":
                text = f"{kind} in service {counted(round(months - shorter), 'month')} earlier"
                yield Help("earlier", text, solution.objective)
                break


def _slower(horizon: Horizon, solved: Solved) -> Iterator[Help]:
    """The largest part of the growth of demand, over that of the first period, that can be met."""
    low, high, best = 0.0, 1.0, None
    _, flat = solved(_scaled(horizon, 0.0))
    if flat.status == "infeasible":
        return
    best = flat
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        _, solution = solved(_scaled(horizon, middle))
        if solution.status == "infeasible":
            high = middle
        else:
            low, best = middle, solution
    yield Help("growth", f"{percent(low, 0)} of the growth of demand", best.objective)


def _scaled(horizon: Horizon, share: float) -> Horizon:
    """A horizon whose demand grows by a share of what it grows by."""

    def growth(one: DemandGrowth, before: int) -> DemandGrowth:
        """In a path the first factor is of a period after the one it starts from."""

        def course(one: Course) -> Course:
            steps = ((p, (p + before) * horizon.years) for p in range(horizon.periods))
            factors = [1 + share * (one.factor(*step) - 1) for step in steps]
            return Course(by_period=tuple(factors))

        return DemandGrowth(
            demand=course(one.demand),
            zones={name: course(c) for name, c in one.zones.items()},
            tiers={name: course(c) for name, c in one.tiers.items()},
        )

    paths = {n: p.replace(growth=growth(p.growth, 1)) for n, p in horizon.paths.items()}
    return horizon.replace(growth=growth(horizon.growth, 0), paths=paths)
