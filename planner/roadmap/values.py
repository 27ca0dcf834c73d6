"""What it is worth to plan for several paths, and would be worth to know the one to come."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from planner.infrastructure.entities import Model
from planner.infrastructure.horizon import Course, DemandGrowth, Horizon
from planner.optimization.formulation.labels import joined
from planner.optimization.formulation.loosening import loosened
from planner.optimization.formulation.purchases import simulated_cuts
from planner.optimization.solution.deadline import Deadline
from planner.optimization.solution.decisions import limited
from planner.optimization.solution.settings import SolverSettings
from planner.roadmap.build import build_roadmap
from planner.roadmap.delays import cost_of, is_large
from planner.roadmap.parts import RoadmapParts, node_of
from planner.roadmap.programme import OrderKey, fix_orders
from planner.roadmap.records import ValueOfPaths
from planner.roadmap.result import RoadmapResult
from planner.roadmap.solving import relaxed_cost, solve_roadmap
from planner.roadmap.tree import branch_of, demand_factor, node_name

#: A model without paths, and which node of the tree each of its periods is like.
_Line = tuple[Model, Mapping[str, str]]
#: Cost of its roadmap, and its orders.
_SolvedLine = tuple[float, Mapping[OrderKey, float]]


def value_of_paths(result: RoadmapResult, deadline: Deadline) -> ValueOfPaths:
    """Value of the stochastic solution and of perfect information (Birge and Louveaux).

    All programmes ask for what that of this roadmap ended with. Where orders are many,
    they are taken in part, and both values are estimates.

    Raises
    ------
    OutOfTime, SolverError
        If time ends before.
    """
    horizon, made = result.roadmap.horizon, result.roadmap
    known = 0.0
    for name, path in horizon.paths.items():
        solved = _solved_line(result, _line(made.model, horizon, {name: 1.0}), deadline)
        if solved is None:
            return ValueOfPaths(stochastic_solution_usd=None, perfect_information_usd=None)
        known += path.probability * solved[0]
    chances = {name: path.probability for name, path in horizon.paths.items()}
    mean = _solved_line(result, _line(made.model, horizon, chances), deadline)
    fixed = None if mean is None else _with_orders_of(result, mean, deadline)
    cost = cost_of(result, deadline)
    return ValueOfPaths(
        stochastic_solution_usd=None if fixed is None else round(max(0.0, fixed - cost), 2),
        perfect_information_usd=round(max(0.0, cost - known), 2),
        estimated=is_large(result),
    )


def _line(model: Model, horizon: Horizon, chances: Mapping[str, float]) -> _Line:
    """The model with one course of demand: the mean of some paths."""
    periods = range(1, horizon.periods + 1)

    def course(section: str, name: str) -> Course:
        factors = [
            sum(
                chance
                * demand_factor(horizon, branch_of(horizon, path, period), period, section, name)
                for path, chance in chances.items()
            )
            for period in periods
        ]
        return Course(by_period=tuple(factors))

    growth = DemandGrowth(
        zones={zone: course("zones", zone) for zone in model.zones},
        tiers={tier: course("tiers", tier) for tier in model.tiers},
    )
    likeliest = max(chances, key=lambda path: chances[path])
    like = {
        node_name(period, ""): node_name(period, branch_of(horizon, likeliest, period))
        for period in periods
    }
    return model.replace(horizon=horizon.replace(growth=growth, paths={})), like


def _solved_line(result: RoadmapResult, line: _Line, deadline: Deadline) -> _SolvedLine | None:
    """Orders and cost of one course of demand; None where there is no roadmap."""
    tree, (model, like) = result.roadmap.nodes, line
    asked = {name: result.parts.asked[other] for name, other in like.items()}
    made = build_roadmap(model, lambda _: (), {name: d.waived for name, d in asked.items()})
    for name, each in made.nodes.items():
        there, learned = asked[name], tree[like[name]].data.learned
        data = replace(each.data, scenarios=there.scenarios, waived=there.waived)
        each.data = loosened(data)
        simulated_cuts(replace(each.programme, data=data.with_learned(learned)))
    decided = {key: result.decided.get(key._replace(node=like[key.node]), 0) for key in made.orders}
    fix_orders(made, decided, result.decided_periods)
    parts = RoadmapParts(made.base.data, deadline.settings(), roadmap=made)
    parts.left_out = frozenset(
        joined(name, full.partition("/")[2])
        for name, other in like.items()
        for full in result.parts.left_out
        if node_of(full) == other
    )
    solved = _solved(parts, deadline.settings(), is_large(result))
    if solved is None:
        return None
    cost, values = solved
    return cost, {key: values[x.name] for key, x in made.orders.items()}


def _solved(
    parts: RoadmapParts, settings: SolverSettings, in_part: bool
) -> tuple[float, Mapping[str, float]] | None:
    """Least cost of a roadmap, and values of its variables; None where there is none."""
    if in_part:
        cost = relaxed_cost(parts, settings)
        values = {x.name: x.value or 0.0 for x in parts.base.problem.variables}
        return None if cost is None else (cost, values)
    solution = solve_roadmap(parts, settings, explain=False, needed=False)
    return None if solution.status == "infeasible" else (solution.objective, solution.values)


def _with_orders_of(result: RoadmapResult, mean: _SolvedLine, deadline: Deadline) -> float | None:
    """Cost of this tree with the orders for mean demand until paths branch; None without one."""
    made = result.roadmap
    shared = {key: x for key, x in made.orders.items() if not made.nodes[key.node].node.branch}
    large = is_large(result)
    counts = {x: mean[1].get(key, 0.0) for key, x in shared.items()}
    whole = {x: count if large else float(round(count)) for x, count in counts.items()}
    with limited({x: (count, count) for x, count in whole.items()}):
        solved = _solved(result.parts.beside(), deadline.settings(), large)
    return None if solved is None else solved[0]
