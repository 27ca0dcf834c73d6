"""Two plans or models side by side: what each buys, costs and survives, and what they ask for.

A model without a plan stands for what exists in it, simulated and priced like a plan that buys
nothing. The causes of a difference are listed as far as they can be read off: values on which
the models differ, settings on which the plans do. `planner.analysis.effects` goes
further and solves the programme again with one group of values at a time taken back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from planner.infrastructure.loading import LoadedModel
from planner.infrastructure.model_difference import ValueChange, model_changes
from planner.plan.difference import CostChange, PlanDifference, by_category, difference
from planner.plan.records import Plan, ScenarioLine

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
        What to know about it, such as a model that has changed since; empty if nothing.
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
                abs(was.served.get(tier, 1.0) - now.served.get(tier, 1.0)) > SAME_SHARE
                for tier in tiers
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
    was, now = (float("inf") if minutes is None else minutes for minutes in (before, after))
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
        """Whether both are the same to the digits that matter."""
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
        return tuple(change for change in self.scenarios if change.outcome == outcome)

    @cached_property
    def lost(self) -> tuple[ScenarioChange, ...]:
        """Scenarios that a survives and b does not, or is not judged on any more."""
        return tuple(change for change in self.scenarios if change.no_longer_proven)

    @cached_property
    def same(self) -> bool:
        """Whether both buy, cost and survive the same."""
        return (
            not self.purchases.changes
            and not self.purchases.cost
            and not any(change.differs for change in self.scenarios)
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
        figure("GPUs", "count", lambda plan: sum(line.total for line in plan.gpus)),
        figure(
            "cooling",
            "MW",
            lambda plan: sum(line.total * line.derated_mw_each for line in plan.cooling),
        ),
        figure(
            "emergency GPUs",
            "count",
            lambda plan: sum(line.gpus_reserved for line in plan.emergency),
        ),
        figure(
            "scenarios judged", "count", lambda plan: sum(line.judged for line in plan.scenarios)
        ),
        figure(
            "of these survived",
            "count",
            lambda plan: sum(line.survives for line in plan.scenarios),
            "more",
        ),
        figure("longest recovery", "minutes", _longest_recovery, "less"),
        figure(
            "requests lost in a year",
            "count",
            lambda plan: sum(
                line.frequency_per_year * line.lost_requests for line in plan.scenarios
            ),
            "less",
        ),
        figure(
            "hottest cluster",
            "°C",
            lambda plan: max((line.peak_temperature_c for line in plan.scenarios), default=None),
            "less",
        ),
        figure(
            "most emergency spend",
            "USD",
            lambda plan: max((line.emergency_usd for line in plan.scenarios), default=None),
            "less",
        ),
    )


def _longest_recovery(plan: Plan) -> float | None:
    """Longest time to recovery; None if a scenario never recovers."""
    times = [line.recovery_minutes for line in plan.scenarios]
    known = [time for time in times if time is not None]
    return None if len(known) < len(times) else max(known, default=0.0)


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
    return made


def _sets(wanted: Mapping[str, Any]) -> str:
    """Scenarios asked for, in words."""
    names = {"sets": "", "only": "only ", "excluded": "except ", "severities": "of class "}
    parts = [f"{word}{', '.join(wanted[key])}" for key, word in names.items() if wanted[key]]
    if wanted["least_per_year"]:
        parts.append(f"at least {wanted['least_per_year']:g} a year")
    return "; ".join(parts)
