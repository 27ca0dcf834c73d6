"""A failure that somebody asks about: some nodes lost together, none of them repaired meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args

from planner.errors import InputError, Problem
from planner.infrastructure.entities import Model
from planner.infrastructure.failures import NodeLoss, Scenario, Severity
from planner.infrastructure.fields import NAME_LENGTH
from planner.infrastructure.fleet import Fleet
from planner.infrastructure.graph import build_graph, nodes_called
from planner.infrastructure.measures import with_measures
from planner.scenarios.hours import name_at

#: Kinds of nodes that can be lost.
KINDS = get_args(NodeLoss.model_fields["kind"].annotation)
#: Class by the number of nodes lost; without a region.
CLASSES: tuple[Severity, ...] = ("single", "double", "extreme")


def loss_of(
    model: Model, fleet: Fleet, wanted: Sequence[str], hour: int | None, option: str
) -> tuple[Scenario, tuple[str, ...]]:
    """Loss of nodes until the simulated horizon ends, and what the nodes are.

    Parameters
    ----------
    wanted
        What `nodes_called` takes.
    hour
        Hour of the week at which they are lost; None for that of peak demand.
    option
        Option that names them, for what is wrong.

    Raises
    ------
    InputError
        If there is no such node, or one that cannot be lost by itself.
    """
    graph = build_graph(with_measures(model, fleet.measures))
    found, problems = nodes_called(graph, wanted, option)
    nodes = [(str(graph.nodes[name]["kind"]), str(graph.nodes[name]["name"])) for name in found]
    problems += [
        f"{option}: `{name}` is a {kind}; expected a {', '.join(KINDS[:-1])} or {KINDS[-1]}"
        for kind, name in nodes
        if kind not in KINDS
    ]
    if problems:
        raise InputError(Problem(model.name, 0, 0, "", text) for text in problems)
    more = f"-and-{len(nodes) - 1}-more" if len(nodes) > 1 else ""
    name = f"loss-{nodes[0][0]}-{nodes[0][1][:NAME_LENGTH]}{more}"
    minutes: Any = {"repair_minutes": model.simulation.horizon_minutes}
    regional = any(kind == "region" for kind, _ in nodes)
    scenario = Scenario(
        name=name if hour is None else name_at(name, hour),
        severity="region" if regional else CLASSES[min(len(nodes), len(CLASSES)) - 1],
        frequency_per_year=0.0,
        start_hour=None if hour is None else float(hour),
        events=tuple(NodeLoss(kind=kind, name=name, **minutes) for kind, name in nodes),  # type: ignore[arg-type]
    )
    return scenario, found
