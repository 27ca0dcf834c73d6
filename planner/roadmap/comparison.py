"""Two roadmaps: which orders moved, what that costs and survives, and which values differ."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from planner.errors import InputError
from planner.infrastructure.entities import Model
from planner.infrastructure.loading import load_model
from planner.infrastructure.model_difference import ValueChange, model_changes
from planner.roadmap.files import parse_roadmap
from planner.roadmap.items import Kind
from planner.roadmap.records import OrderRecord, Roadmap


@dataclass(frozen=True)
class MovedOrders:
    """Orders of one thing on one branch of the paths that differ.

    Parameters
    ----------
    paths
        Paths that the node of the orders is on.
    before, after
        Number by month of order.
    """

    kind: Kind
    asset: str
    unit: str
    paths: tuple[str, ...]
    before: dict[str, int]
    after: dict[str, int]

    @property
    def text(self) -> str:
        """What moved, in words."""
        were, are = sum(self.before.values()), sum(self.after.values())
        if were == are:
            return f"{_numbers(self.before)} moved to {_numbers(self.after)}"
        if not were or not are:
            return f"new: {_numbers(self.after)}" if are else f"dropped: {_numbers(self.before)}"
        return f"{_numbers(self.before)} now {_numbers(self.after)}"


@dataclass(frozen=True)
class RoadmapComparison:
    """Roadmap B against roadmap A.

    Parameters
    ----------
    npv_usd
        What B costs more.
    moved
        Orders that differ.
    capital_usd
        What B spends more by calendar year, in the mean of all paths.
    lost, gained
        Scenarios, as ``node/scenario``, that only A survives, and that only B does; of nodes that
        both have.
    values
        Values on which their models differ; None where one of them is not known.
    notes
        What could not be compared.
    """

    a: Roadmap
    b: Roadmap
    npv_usd: float
    moved: tuple[MovedOrders, ...]
    capital_usd: dict[int, float]
    lost: tuple[str, ...]
    gained: tuple[str, ...]
    values: tuple[ValueChange, ...] | None
    notes: tuple[str, ...]


def compare_roadmaps(a: Path, b: Path) -> RoadmapComparison:
    """Compare two roadmaps, given their files or folders.

    Raises
    ------
    InputError
        With what is wrong with either.
    """
    first, second = parse_roadmap(a), parse_roadmap(b)
    notes: list[str] = []
    models = [_model_of(roadmap, path, notes) for roadmap, path in ((first, a), (second, b))]
    values = None
    if models[0] is not None and models[1] is not None:
        values = model_changes(models[0], models[1])
    before, after = _survived(first), _survived(second)
    both = {node.name for node in first.nodes} & {node.name for node in second.nodes}
    return RoadmapComparison(
        first,
        second,
        second.npv_usd - first.npv_usd,
        tuple(_moved(first, second)),
        _more_capital(first, second),
        tuple(sorted(name for name in before - after if name.partition("/")[0] in both)),
        tuple(sorted(name for name in after - before if name.partition("/")[0] in both)),
        values,
        tuple(notes),
    )


def _model_of(roadmap: Roadmap, path: Path, notes: list[str]) -> Model | None:
    """The model of a roadmap; None, with a note, where it cannot be read any more."""
    plan = next(iter(roadmap.plans.values()))  # whose model is found from here
    try:
        loaded = load_model(plan.model.path or roadmap.model.name, roadmap.model.overrides)
    except InputError as error:
        notes.append(f"the model of {path} cannot be read: {error.problems[0]}")
        return None
    if loaded.sha256 != roadmap.model.sha256:
        notes.append(f"the model of {path} has changed since")
    return loaded.model


def _moved(a: Roadmap, b: Roadmap) -> Iterable[MovedOrders]:
    tables: list[dict[tuple[Kind, str, tuple[str, ...]], dict[str, int]]] = []
    units: dict[tuple[Kind, str, tuple[str, ...]], str] = {}
    for roadmap in (a, b):
        found: dict[tuple[Kind, str, tuple[str, ...]], dict[str, int]] = {}
        branches = {node.name: node.paths for node in roadmap.nodes}
        for order in roadmap.orders:
            key = (order.kind, order.asset, branches[order.node])
            units[key] = order.unit
            months = found.setdefault(key, {})
            months[order.order_by] = months.get(order.order_by, 0) + order.count
        tables.append(found)
    for key, unit in units.items():
        before, after = (table.get(key, {}) for table in tables)
        if before != after:
            kind, asset, paths = key
            yield MovedOrders(kind, asset, unit, paths, before, after)


def _numbers(by_month: dict[str, int]) -> str:
    return " and ".join(f"{count:,} in {month}" for month, count in sorted(by_month.items()))


def _survived(roadmap: Roadmap) -> set[str]:
    return {
        f"{name}/{line.name}"
        for name, plan in roadmap.plans.items()
        for line in plan.scenarios
        if line.survives
    }


def _more_capital(a: Roadmap, b: Roadmap) -> dict[int, float]:
    found: dict[int, float] = {}
    for roadmap, sign in ((a, -1), (b, 1)):
        chances = {node.name: node.probability for node in roadmap.nodes}
        for order in roadmap.orders:
            year = _year(order)
            usd = sign * chances[order.node] * order.capital_usd
            found[year] = found.get(year, 0.0) + usd
    return {year: round(usd, 2) for year, usd in sorted(found.items())}


def _year(order: OrderRecord) -> int:
    """Year in which an order comes into service and is paid."""
    return int(order.in_service[:4])
