"""Loads, heat and flows of every stage as the solution of a programme states them.

The audit checks these figures against the laws, and the equivalence tests compare them with what
the simulator measures.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from planner.infrastructure.fleet import Fleet
from planner.laws.heat import capacity_after_losses_mw, heat_mw
from planner.optimization.formulation.problem import ProblemData
from planner.optimization.formulation.programme import Programme
from planner.optimization.formulation.recourse import NORMAL
from planner.optimization.formulation.stages import Stage
from planner.optimization.solution.solving import Solution


@dataclass(frozen=True)
class StageValues:
    """Values of one stage in the solution of a programme.

    Parameters
    ----------
    load_rps
        Requests per second by target.
    served_rps
        Requests per second by (zone, tier).
    powered_gpus
        GPUs by cluster.
    heat_mw
        Heat by cluster.
    carried_mw
        Heat carried by (cluster, plant), empty where cooling is as in normal operation.
    used_gpus
        Emergency GPUs by offer.
    """

    load_rps: Mapping[str, float]
    served_rps: Mapping[tuple[str, str], float]
    powered_gpus: Mapping[str, float]
    heat_mw: Mapping[str, float]
    carried_mw: Mapping[tuple[str, str], float]
    used_gpus: Mapping[str, float]


def stage_values(programme: Programme, solution: Solution, stage: Stage | None) -> StageValues:
    """Values of a stage, or of normal operation in the mean of the week (None)."""
    data, label = programme.data, stage.label if stage else NORMAL
    values, fleet, here = solution.values, solution.fleet, programme.by_stage[label]
    load = {
        target: sum(values[flow.name] for flow in flows) for target, flows in here.flows_to.items()
    }
    served = {key: values[variable.name] for key, variable in here.served.items()}
    powered: dict[str, float] = {}
    heat: dict[str, float] = {}
    for cluster in data.model.clusters:
        if stage and cluster in stage.state.clusters_down:
            continue
        active = here.active.get(cluster)
        on = values[active.name] if active is not None else float(fleet.gpus[cluster])
        gpu = data.gpu(cluster)
        powered[cluster] = on
        busy = load.get(cluster, 0.0) / gpu.rps
        heat[cluster] = heat_mw(gpu.power_mw, gpu.static_share, on, busy)
    followed = here.carried.items() if stage else ()
    carried = {key: values[variable.name] for key, variable in followed}
    used = {offer: values[variable.name] for offer, variable in here.used.items()}
    return StageValues(load, served, powered, heat, carried, used)


def stage_capacity_mw(data: ProblemData, fleet: Fleet, stage: Stage, plant: str) -> float:
    """Capacity of a plant in a stage by taking the lost units away one by one, MW.

    Units lost by name go first, then the largest of those left.
    """
    state = stage.state
    if plant in state.plants_down:
        return 0.0
    rise = state.ambient_rise_c.get(data.model.plants[plant].region, 0.0)
    units = [unit for unit in data.units(plant) if unit in stage.started[plant]]
    sizes = [data.unit_mw(plant, unit, rise) for unit in units]
    named = stage.named_losses(plant)
    counts = [fleet.units[plant][unit] - named.get(unit, 0) for unit in units]
    return capacity_after_losses_mw(sizes, counts, state.lost_largest.get(plant, 0))


def firm_mw(data: ProblemData, fleet: Fleet, plant: str) -> float:
    """Capacity of a plant with its k largest units lost, by taking them away one by one, MW."""
    units = data.units(plant)
    sizes = [data.unit_mw(plant, unit) for unit in units]
    counts = [fleet.units[plant][unit] for unit in units]
    return capacity_after_losses_mw(sizes, counts, data.model.plants[plant].redundancy)
