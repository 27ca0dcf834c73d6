"""Cash flows of roadmaps by calendar year: present value, internal rate, capital.

Before tax, at the prices that the roadmap states. What a period costs belongs to the year in which
it ends, capital to the year in which equipment comes into service.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from planner.amounts import percent
from planner.infrastructure.horizon import month_number
from planner.laws.returns import ReturnRate, internal_rate_of_return
from planner.roadmap.records import CashFlowRecord, NodeRecord, Roadmap

#: Category of cash flows that users state.
OTHER = "other"
ONLY_PAID = "only resale is received; --cash-flows states what the service brings"


@dataclass(frozen=True)
class DatedFlow:
    """A cash flow with its calendar year and its probability; its USD are paid."""

    record: CashFlowRecord
    year: int
    probability: float

    @property
    def expected_usd(self) -> float:
        """What is paid in the mean of all paths."""
        return self.probability * self.record.usd


@dataclass(frozen=True)
class RoadmapFinance:
    """A roadmap in money.

    Parameters
    ----------
    other_usd
        What it brings beside its own cash flows, by calendar year, at the end of the year.
    """

    name: str
    roadmap: Roadmap
    other_usd: Mapping[int, float] = field(default_factory=dict)

    @cached_property
    def first_month(self) -> int:
        """Start of the horizon as a number of months since year 0."""
        return month_number(self.roadmap.horizon.start)

    @cached_property
    def last_month(self) -> int:
        """End of the horizon in months after its start."""
        return self.roadmap.horizon.months * self.roadmap.horizon.periods

    @cached_property
    def years(self) -> tuple[int, ...]:
        """Calendar years of the horizon."""
        last = self.first_month + self.last_month - 1
        return tuple(range(self.first_month // 12, last // 12 + 1))

    @cached_property
    def flows(self) -> tuple[DatedFlow, ...]:
        """Every cash flow of the roadmap."""
        nodes: dict[str, NodeRecord] = {node.name: node for node in self.roadmap.nodes}
        return tuple(
            DatedFlow(record, self._year(record), nodes[record.node].probability)
            for record in self.roadmap.cash_flows
        )

    def _year(self, record: CashFlowRecord) -> int:
        # What is paid at the end of a period belongs to the period.
        return (self.first_month + record.month - (record.category != "capital")) // 12

    def other_flows(self) -> Iterator[tuple[int, float]]:
        """Month after the start, and what other cash flows bring then, USD."""
        for year, usd in self.other_usd.items():
            yield min(12 * (year + 1) - self.first_month, self.last_month), usd

    @cached_property
    def by_year(self) -> dict[str, dict[int, float]]:
        """Expected USD paid by category and calendar year."""
        found: dict[str, dict[int, float]] = {}
        for flow in self.flows:
            row = found.setdefault(flow.record.category, dict.fromkeys(self.years, 0.0))
            row[flow.year] += flow.expected_usd
        if self.other_usd:
            found[OTHER] = {year: -self.other_usd.get(year, 0.0) for year in self.years}
        return found

    @cached_property
    def by_month(self) -> dict[int, float]:
        """Expected net cash flow by month after the start, USD; received is positive."""
        found: dict[int, list[float]] = {}
        for flow in self.flows:
            found.setdefault(flow.record.month, []).append(-flow.expected_usd)
        for month, usd in self.other_flows():
            found.setdefault(month, []).append(usd)
        return {month: math.fsum(found[month]) for month in sorted(found)}

    @property
    def step_months(self) -> int:
        """Months between dates that are equally far apart and take in every cash flow."""
        return math.gcd(*self.by_month, self.last_month)

    @property
    def npv_usd(self) -> float:
        """Expected net present value of everything received and paid."""
        return _worth(self.by_month, self.roadmap.horizon.discount_rate)

    @property
    def capital_usd(self) -> float:
        """Expected capital over the horizon."""
        return math.fsum(self.by_year.get("capital", {}).values())

    @property
    def irr(self) -> ReturnRate:
        """Internal rate of return a year; none where nothing is received but resale."""
        return yearly_rate(self.by_month) if self.other_usd else ReturnRate(None, (), ONLY_PAID)

    def beyond(self, first: RoadmapFinance) -> ReturnRate:
        """Internal rate of return of choosing this roadmap instead of another."""
        months = {*self.by_month, *first.by_month}
        mine, theirs = self.by_month, first.by_month
        return yearly_rate({m: mine.get(m, 0.0) - theirs.get(m, 0.0) for m in sorted(months)})


def _worth(by_month: Mapping[int, float], rate: float) -> float:
    return math.fsum(usd / (1 + rate) ** (month / 12) for month, usd in by_month.items())


def yearly_rate(by_month: Mapping[int, float]) -> ReturnRate:
    """Internal rate of return a year of cash flows by month.

    >>> round(yearly_rate({0: -100.0, 6: 0.0, 24: 121.0}).rate, 6)
    0.1
    """
    step = math.gcd(*by_month) or 12
    last = max(1, *(month // step for month in by_month))
    found = internal_rate_of_return([by_month.get(step * at, 0.0) for at in range(last + 1)])
    rates = tuple((1 + rate) ** (12 / step) - 1 for rate in found.rates)
    if len(rates) > 1:
        listed = ", ".join(percent(rate, 2) for rate in rates)
        reason = f"{len(rates)} rates make the net present value zero ({listed}); none is the rate"
        return ReturnRate(None, rates, reason)
    return replace(found, rates=rates, rate=rates[0] if rates else None)
