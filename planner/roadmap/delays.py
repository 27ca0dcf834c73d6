"""What it costs to order later, and how late is too late: solved anew.

With whole orders where they are few, with orders in part where they are many: then a roadmap that
is said to exist may not with whole ones, and costs are estimates.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from planner.errors import SolverError
from planner.infrastructure.horizon import month_number, month_text
from planner.optimization.solution.deadline import Deadline, OutOfTime
from planner.optimization.solution.decisions import limited
from planner.plan.assembly import to_cents
from planner.roadmap.programme import OrderKey
from planner.roadmap.records import OrderRecord, Roadmap
from planner.roadmap.result import RoadmapResult
from planner.roadmap.solving import relaxed_cost, solve_roadmap
from planner.roadmap.tree import line_of

#: Orders that can be placed up to which delays are solved with whole ones.
FEW_ORDERS = 150


#: What a roadmap costs more with an order a period later, for each month, USD, None if there is
#: none; and most periods by which it can be put off, None if there is a roadmap without it.
Delay = tuple[float | None, int | None]


def with_delays(
    roadmap: Roadmap,
    result: RoadmapResult,
    deadline: Deadline,
    most: int,
    progress: Callable[[str], None] = lambda _: None,
) -> Roadmap:
    """A roadmap with the cost of delay and the latest date of its dearest orders.

    Parameters
    ----------
    most
        Most orders that are examined; reservations and what is decided already never are.
    """
    keys = {(record.node, record.kind, record.asset): record for record in roadmap.orders}
    open_orders = [
        record
        for record in keys.values()
        if record.kind != "emergency"
        and result.roadmap.nodes[record.node].node.period > roadmap.decided_periods
    ]
    if not open_orders or not most:
        return roadmap
    try:
        before = cost_of(result, deadline)
    except (OutOfTime, SolverError):
        return roadmap
    priced: Literal["priced", "estimated"] = "estimated" if is_large(result) else "priced"
    ranked = sorted(open_orders, key=lambda record: -record.capital_usd)[:most]
    examined: dict[OrderKey, OrderRecord] = {}
    for number, record in enumerate(ranked, 1):
        progress(f"delay {number} of {len(ranked)}: {record.asset}")
        key = OrderKey(record.node, record.kind, record.asset)
        try:
            found = delay_of(result, key, before, deadline)
        except (OutOfTime, SolverError):
            break  # out of time: the others stay unexamined
        examined[key] = _stated(record, found, roadmap.horizon.months, priced)
    orders = tuple(examined.get(OrderKey(o.node, o.kind, o.asset), o) for o in roadmap.orders)
    return roadmap.model_copy(update={"orders": orders})


def _stated(
    record: OrderRecord, found: Delay, months: int, priced: Literal["priced", "estimated"]
) -> OrderRecord:
    (usd, periods), latest = found, None
    if periods is not None:
        latest = month_text(month_number(record.order_by) + periods * months)
    return record.model_copy(
        update={
            "latest_order_by": latest,
            "delay_usd_per_month": None if usd is None else to_cents(usd),
            "delay": "impossible" if usd is None else priced,
        }
    )


def is_large(result: RoadmapResult) -> bool:
    """Whether delays are solved with orders in part: with whole ones each takes too long."""
    return len(result.roadmap.orders) > FEW_ORDERS


def cost_of(result: RoadmapResult, deadline: Deadline) -> float:
    """What delays are compared with, USD.

    Raises
    ------
    OutOfTime, SolverError
        If time ends before.
    """
    if not is_large(result):
        return result.programme_usd
    cost = relaxed_cost(result.parts.beside(), deadline.settings())
    if cost is None:
        raise ValueError("There is no roadmap.")
    return cost


def delay_of(result: RoadmapResult, key: OrderKey, before: float, deadline: Deadline) -> Delay:
    """Solve without an order in its node, then without it for longer, until nothing is left.

    All other orders are decided anew.

    Parameters
    ----------
    before
        Cost with it (`cost_of`).

    Raises
    ------
    OutOfTime, SolverError
        If time ends before.
    """
    made = result.roadmap
    arrival = made.nodes[key.node].node.period + made.items[key.kind, key.asset].lead_periods
    cost = _cost_without(result, key, 1, deadline)
    if cost is None:
        return None, 0
    usd = max(0.0, cost - before) / made.horizon.months
    # After as many periods as are left it would come into service after the end: never.
    low, high = 1, made.horizon.periods - arrival + 1
    if _cost_without(result, key, high, deadline) is not None:
        return usd, None
    while high - low > 1:
        middle = (low + high) // 2
        if _cost_without(result, key, middle, deadline) is None:
            high = middle
        else:
            low = middle
    return usd, low


def _cost_without(
    result: RoadmapResult, key: OrderKey, periods: int, deadline: Deadline
) -> float | None:
    """Cost without an order in its node and those after it for some periods; None if impossible."""
    made = result.roadmap
    first = made.nodes[key.node].node
    concerned = [
        variable
        for other, variable in made.orders.items()
        if other[1:] == key[1:]
        and first in line_of(made.tree, made.nodes[other.node].node)
        and made.nodes[other.node].node.period < first.period + periods
    ]
    with limited(dict.fromkeys(concerned, (0.0, 0.0))):
        if is_large(result):
            return relaxed_cost(result.parts.beside(), deadline.settings())
        parts, settings = result.parts.beside(), deadline.settings()
        solution = solve_roadmap(parts, settings, explain=False, needed=False)
    return None if solution.status == "infeasible" else solution.objective
