"""How two plans differ, decision by decision and cost item by cost item."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from planner.plan.records import CostLine, Plan

Kind = Literal["cooling", "gpus", "emergency", "measure", "region"]

#: What is counted of each kind.
NOUNS: dict[Kind, str] = {"cooling": "units", "gpus": "GPUs", "emergency": "instances"}
#: How many of each kind a plan has in the end.
COUNTS: Mapping[Kind, Callable[[Plan], dict[str, int]]] = {
    "region": lambda plan: {line.region: 1 for line in plan.gpus if line.total},
    "gpus": lambda plan: {line.cluster: line.total for line in plan.gpus},
    "cooling": lambda plan: {f"{line.plant}/{line.unit}": line.total for line in plan.cooling},
    "emergency": lambda plan: {line.offer: line.instances_reserved for line in plan.emergency},
    "measure": lambda plan: {line.measure: int(line.bought) for line in plan.measures},
}
#: Two amounts that differ by less are the same to the cent, USD.
HALF_A_CENT = 0.005


@dataclass(frozen=True)
class DecisionChange:
    """One decision on which two plans differ.

    Parameters
    ----------
    kind
        What is decided.
    asset
        ``plant/unit``, cluster, offer, measure or region.
    before, after
        How many there are in the end in each plan, what exists included; of measures whether they
        are bought (0 or 1), of regions whether they have GPUs.
    """

    kind: Kind
    asset: str
    before: int
    after: int

    @property
    def more(self) -> int:
        """How many more the second plan has; below 0 fewer."""
        return self.after - self.before

    def __str__(self) -> str:
        if self.kind == "region":
            return f"region {self.asset}: " + ("in use" if self.after else "not in use")
        if self.kind == "measure":
            return f"{self.asset}: " + ("bought" if self.after else "not bought")
        return f"{self.asset}: {self.before:,} → {self.after:,} {NOUNS[self.kind]}"


@dataclass(frozen=True)
class CostChange:
    """One line of cost on which two plans differ; 0 where a plan does not have the line.

    Parameters
    ----------
    capital_before_usd, capital_after_usd
        Paid once.
    before_usd_per_year, after_usd_per_year
        Annualised capital, upkeep and running cost.
    """

    category: str
    asset: str
    capital_before_usd: float
    capital_after_usd: float
    before_usd_per_year: float
    after_usd_per_year: float

    @property
    def capital_usd(self) -> float:
        """Capital that the second plan needs more."""
        return self.capital_after_usd - self.capital_before_usd

    @property
    def usd_per_year(self) -> float:
        """Cost of a year that the second plan has more."""
        return self.after_usd_per_year - self.before_usd_per_year


@dataclass(frozen=True)
class PlanDifference:
    """What the second of two plans has more or less than the first.

    Costs are those that each plan states, at the prices of the model that it is for.

    Parameters
    ----------
    changes
        Decisions on which they differ: regions, GPUs, cooling, emergency capacity, measures.
    cost
        Lines of cost on which they differ.
    capital_usd, usd_per_year
        What the second plan costs more in all.
    """

    changes: tuple[DecisionChange, ...]
    cost: tuple[CostChange, ...]
    capital_usd: float
    usd_per_year: float

    @property
    def lines(self) -> tuple[str, ...]:
        """All decisions on which they differ, as text."""
        return tuple(str(change) for change in self.changes)


def difference(before: Plan, after: Plan) -> PlanDifference:
    """Compare two plans, also of models that are not the same; what one lacks counts as 0."""
    return PlanDifference(
        changes=tuple(_changes(before, after)),
        cost=_cost_changes(before, after),
        capital_usd=after.cost.capital_usd - before.cost.capital_usd,
        usd_per_year=after.cost.usd_per_year - before.cost.usd_per_year,
    )


def by_category(before: Plan, after: Plan) -> tuple[CostChange, ...]:
    """Cost of each category in two plans, also where they are the same; lines without an asset."""
    found: dict[str, list[float]] = {}
    for column, plan in enumerate((before, after)):
        for line in plan.cost.items:
            sums = found.setdefault(line.category, [0.0] * 4)
            sums[column] += line.capital_usd
            sums[2 + column] += line.usd_per_year
    return tuple(CostChange(category, "", *sums) for category, sums in found.items())


def _changes(before: Plan, after: Plan) -> Iterator[DecisionChange]:
    for kind, counts in COUNTS.items():
        was, now = counts(before), counts(after)
        for name in dict.fromkeys((*was, *now)):
            change = DecisionChange(kind, name, was.get(name, 0), now.get(name, 0))
            if change.more:
                yield change


def _cost_changes(before: Plan, after: Plan) -> tuple[CostChange, ...]:
    none = CostLine(category="", asset="", capital_usd=0.0, usd_per_year=0.0)
    was, now = (
        {(line.category, line.asset): line for line in p.cost.items} for p in (before, after)
    )
    found = []
    for key in dict.fromkeys((*was, *now)):
        old, new = was.get(key, none), now.get(key, none)
        change = CostChange(
            *key, old.capital_usd, new.capital_usd, old.usd_per_year, new.usd_per_year
        )
        if max(abs(change.capital_usd), abs(change.usd_per_year)) >= HALF_A_CENT:
            found.append(change)
    return tuple(found)
