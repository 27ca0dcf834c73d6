"""Figures of a roadmap that rules may speak of: orders, capital, survival by period."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType

from planner.infrastructure.horizon import month_number
from planner.plan.metrics import METRICS, Metric, Values
from planner.roadmap.records import OrderRecord, Roadmap

Pick = Callable[[float, float], float]


def _of_orders(figure: Callable[[OrderRecord], float | None], pick: Pick) -> Callable[..., Values]:
    """The least or largest figure of orders: of all, of a kind, or of an asset."""

    def values(roadmap: Roadmap) -> Values:
        found: Values = {"": math.nan}
        for order in roadmap.orders:
            for key in ("", order.kind, order.asset):
                value = figure(order)
                found.setdefault(key, math.nan)
                if value is not None:
                    found[key] = value if math.isnan(found[key]) else pick(found[key], value)
        return found

    return values


def _capital(roadmap: Roadmap) -> Values:
    """Most capital on any path: of a year, or of all."""
    paths: dict[str, float] = {}
    found: Values = {}
    for line in roadmap.budgets:
        paths[line.path] = paths.get(line.path, 0.0) + line.capital_usd
        found[str(line.year)] = max(found.get(str(line.year), 0.0), line.capital_usd)
    return {"": max(paths.values(), default=0.0), **found}


def _budget_used(roadmap: Roadmap) -> Values:
    found: Values = {"": math.nan}
    for line in roadmap.budgets:
        share = line.capital_usd / line.budget_usd if line.budget_usd else math.nan
        for key in ("", str(line.year)):
            known = found.get(key, math.nan)
            found[key] = share if math.isnan(known) else max(known, share)
    return found


def _survives(roadmap: Roadmap) -> Values:
    def share(nodes: Iterable[tuple[int, int]]) -> float:
        survived, judged = map(sum, zip(*nodes, strict=True))
        return survived / judged if judged else math.nan

    counts = {node.name: (node.survived, node.judged) for node in roadmap.nodes}
    return {"": share(counts.values()), **{name: share([one]) for name, one in counts.items()}}


def _bridged(roadmap: Roadmap) -> Values:
    found = {node.name: float(len(node.bridged)) for node in roadmap.nodes}
    return {"": sum(found.values()), **found}


def _worst(metric: Metric, pick: Pick) -> Metric:
    """A figure of plans in the period in which it is worst."""

    def values(roadmap: Roadmap) -> Values:
        found: Values = {}
        for plan in roadmap.plans.values():
            for key, value in metric.values(plan).items():
                known = found.get(key, math.nan)
                found[key] = value if math.isnan(known) else pick(known, value)
        return found

    return replace(metric, values=values)


_ORDERS = "a kind or asset"
ROADMAP_METRICS: Mapping[str, Metric] = MappingProxyType(
    {
        metric.name: metric
        for metric in (
            Metric("npv_usd", "USD", "all costs, present value", "", lambda r: {"": r.npv_usd}),
            Metric("capital", "USD", "most on any path", "a year", _capital),
            Metric("budget_used", "share", "most on any path", "a year", _budget_used),
            Metric(
                "order_by",
                "month",
                "first month by whose start something is ordered",
                _ORDERS,
                _of_orders(lambda order: month_number(order.order_by), min),
            ),
            Metric(
                "in_service",
                "month",
                "first month in service",
                _ORDERS,
                _of_orders(lambda order: month_number(order.in_service), min),
            ),
            Metric(
                "delay_usd_per_month",
                "USD",
                "dearest month of delay that was priced",
                _ORDERS,
                _of_orders(lambda order: order.delay_usd_per_month, max),
            ),
            Metric("survives", "share", "share of scenarios survived", "a period", _survives),
            Metric("bridged", "count", "scenarios that no order reaches", "a period", _bridged),
            METRICS["gap"],
            METRICS["age_days"],
            _worst(METRICS["served"], min),
            *(
                _worst(METRICS[name], max)
                for name in ("recovery_minutes", "peak_temperature_c", "emergency_usd")
            ),
        )
    }
)
