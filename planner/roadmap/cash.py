"""Cash flows of a roadmap: what is paid when, in each node, and the present value of all of it.

Worked out from orders, fleets and the laws of money alone, apart from the programme's objective.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping

from planner.infrastructure.entities import Model
from planner.infrastructure.fleet import Fleet
from planner.infrastructure.prices import gpu_assets, unit_asset
from planner.laws.assets import Asset
from planner.laws.money import annuity_years, resale_usd
from planner.optimization.solution.costs import CostItem
from planner.roadmap.build import empty_halls_usd, turned_away_usd
from planner.roadmap.items import Item
from planner.roadmap.programme import NodeProgramme, OrderKey, RoadmapProgramme
from planner.roadmap.records import CashFlowRecord, Category

#: Categories of cost items that are paid as they go.
GOING: Mapping[str, Category] = {
    "energy": "energy",
    "transport": "transport",
    "recourse": "recourse",
}


def cash_flows(
    roadmap: RoadmapProgramme,
    orders: Mapping[OrderKey, int],
    fleets: Mapping[str, Fleet],
    items: Mapping[str, Iterable[CostItem]],
    values: Mapping[str, float],
) -> list[CashFlowRecord]:
    """Everything that is paid, node by node.

    Parameters
    ----------
    orders
        What is ordered.
    fleets, items
        What is in service, and the cost of a year, by node.
    values
        Values of the variables of the programme.
    """
    found: list[CashFlowRecord] = []
    for name, each in roadmap.nodes.items():
        start = (each.node.period - 1) * roadmap.horizon.months
        end = start + roadmap.horizon.months
        found += _ordered(roadmap, each, orders, start, end)
        turned_away = turned_away_usd(each.programme).at(values)
        going: list[tuple[Category, str, float]] = [
            *_kept(each.data.model, fleets[name]),
            ("upkeep", "empty halls", empty_halls_usd(roadmap, each)),
            ("turned away", "normal operation", turned_away),
            *(
                (GOING[i.category], i.asset, i.usd_per_year)
                for i in items[name]
                if i.category in GOING
            ),
            *_upkeep(roadmap, each, orders),
        ]
        paid = payment(roadmap)
        found += [_flow(name, end, what, asset, paid * usd) for what, asset, usd in going if usd]
    return found


def _flow(node: str, month: int, category: Category, asset: str, usd: float) -> CashFlowRecord:
    return CashFlowRecord(node=node, month=month, category=category, asset=asset, usd=usd)


def payment(roadmap: RoadmapProgramme) -> float:
    """What a dollar a year, paid at the ends of years, is worth at the end of a period."""
    years = roadmap.horizon.years
    return float(annuity_years(roadmap.rate, years) * (1 + roadmap.rate) ** years)


def present_value(
    flows: Iterable[CashFlowRecord], probabilities: Mapping[str, float], rate: float
) -> float:
    """Expected net present value of cash flows at the start of the horizon, USD.

    Parameters
    ----------
    probabilities
        Of each node.
    """
    return math.fsum(
        probabilities[flow.node] * flow.usd / (1 + rate) ** (flow.month / 12) for flow in flows
    )


def _in_service(
    roadmap: RoadmapProgramme, each: NodeProgramme, orders: Mapping[OrderKey, int]
) -> Iterator[tuple[Item, int, int, int]]:
    """Orders in service in a node: item, number, period of the order and of its first service."""
    for item in roadmap.items.values():
        for _, key in roadmap.arrivals(each.node, item):
            if count := orders.get(key, 0):
                ordered = roadmap.nodes[key.node].node.period
                yield item, count, ordered, ordered + item.lead_periods


def _ordered(
    roadmap: RoadmapProgramme,
    each: NodeProgramme,
    orders: Mapping[OrderKey, int],
    start: int,
    end: int,
) -> Iterator[CashFlowRecord]:
    """Capital when equipment comes into service, and the value of its remaining life at the end."""
    horizon, period = roadmap.horizon, each.node.period
    for item, count, ordered, first in _in_service(roadmap, each, orders):
        priced = item.priced(horizon, ordered)
        number = count * item.count_each
        if first == period:
            usd = number * sum(asset.price_usd for asset in priced)
            if usd:
                yield _flow(each.node.name, start, "capital", item.asset, usd)
        if period == horizon.periods or period + 1 == first + item.life_periods:
            held = (period + 1 - first) * horizon.years
            left = number * sum(
                resale_usd(asset.price_usd, roadmap.rate, asset.life_years, held)
                for asset in priced
            )
            if left:
                yield _flow(each.node.name, end, "resale", item.asset, -left)


def _upkeep(
    roadmap: RoadmapProgramme, each: NodeProgramme, orders: Mapping[OrderKey, int]
) -> Iterator[tuple[Category, str, float]]:
    """Upkeep and retainers of what was ordered, USD per year."""
    for item, count, ordered, _ in _in_service(roadmap, each, orders):
        category: Category = "retainers" if item.kind == "emergency" else "upkeep"
        yield category, item.asset, count * item.upkeep_usd_per_year(roadmap.horizon, ordered)


def _kept(model: Model, fleet: Fleet) -> Iterator[tuple[Category, str, float]]:
    """What keeping and retiring what exists costs a year, and retainers of existing contracts."""
    rate = model.finance.discount_rate

    def own(asset: Asset, existing: int, total: int) -> float:
        kept, gone = min(existing, total), max(0, existing - total)
        return kept * asset.kept_usd_per_year(rate) + gone * asset.retired_usd_per_year(rate)

    for plant, counts in fleet.units.items():
        for unit, total in counts.items():
            existing = model.plants[plant].existing.get(unit, 0)
            yield "upkeep", f"{plant}/{unit}", own(unit_asset(model, plant, unit), existing, total)
    for cluster, total in fleet.gpus.items():
        existing = model.clusters[cluster].existing_gpus
        parts = gpu_assets(model, cluster).values()
        yield "upkeep", cluster, sum(own(asset, existing, total) for asset in parts)
    for name, offer in model.offers.items():
        usd = offer.retainer_usd_per_instance_year * offer.existing_instances
        yield "retainers", name, usd
