"""A roadmap from a model in one call: planned, written down, its delays and paths priced."""

from __future__ import annotations

from collections.abc import Callable

from planner.errors import InputError, SolverError
from planner.infrastructure.loading import LoadedModel
from planner.optimization.solution.deadline import Deadline, OutOfTime
from planner.optimization.solution.settings import SolverSettings
from planner.roadmap.assembly import make_roadmap
from planner.roadmap.delays import with_delays
from planner.roadmap.planning import plan_roadmap
from planner.roadmap.programme import OrderKey
from planner.roadmap.records import Roadmap
from planner.roadmap.result import RoadmapResult
from planner.roadmap.values import value_of_paths
from planner.selection import Wanted

NO_HORIZON = (
    "the model has no `horizon`; add at least `horizon: {start: 2026-01, periods: 3}` with the "
    "growth of demand (`growth: {demand: {per_year: 0.2}}`) and lead times (`order_months`)"
)


def check_horizon(loaded: LoadedModel) -> None:
    """Check that a model has a horizon.

    Raises
    ------
    InputError
        If it has none; says what to add.
    """
    if loaded.model.horizon is None:
        raise InputError.single(str(loaded.file or loaded.name), NO_HORIZON)


def make(
    loaded: LoadedModel,
    settings: SolverSettings,
    wanted: Wanted | None = None,
    rounds: int = 12,
    progress: Callable[[str], None] = lambda _: None,
    earlier: Roadmap | None = None,
    decided_periods: int = 0,
    delays: int = 10,
) -> tuple[RoadmapResult, Roadmap | None]:
    """Plan the roadmap of a model.

    Parameters
    ----------
    loaded
        Model with a horizon.
    wanted
        Which scenarios; None for those of the model.
    earlier
        Roadmap whose orders the search starts from.
    decided_periods
        Periods whose orders are those of the earlier roadmap.
    delays
        Most orders whose delay is priced.

    Returns
    -------
    RoadmapResult, Roadmap or None
        No roadmap where the programme has none.
    """
    deadline = Deadline(settings)
    orders = orders_of(earlier)
    decided = {
        key: count for key, count in orders.items() if int(period_of(key.node)) <= decided_periods
    }
    result = plan_roadmap(
        loaded.model, settings, wanted, rounds, progress, decided, orders, decided_periods
    )
    if not result.feasible:
        return result, None
    roadmap = make_roadmap(loaded, result, settings, decided_periods)
    if result.stopped is not None:
        return result, roadmap
    if roadmap.horizon.paths:
        progress("what it is worth to know of paths")
        try:
            values = value_of_paths(result, deadline)
        except (OutOfTime, SolverError):
            return result, roadmap
        roadmap = roadmap.model_copy(update={"value_of_paths": values})
    return result, with_delays(roadmap, result, deadline, delays, progress)


def orders_of(roadmap: Roadmap | None) -> dict[OrderKey, int]:
    """Orders of a recorded roadmap."""
    recorded = () if roadmap is None else roadmap.orders
    return {OrderKey(one.node, one.kind, one.asset): one.blocks for one in recorded}


def period_of(node: str) -> int:
    """Period of a node by its name.

    >>> period_of("p12-high")
    12
    """
    return int(node.partition("-")[0][1:])
