"""Recourse: preemptible work that yields its GPUs, and what that costs once.

==========  ==========================  ================================================
symbol      attribute                   meaning
==========  ==========================  ================================================
w[s,k]      ``Programme.preempted``     most work of a tier that is interrupted, rps
x[s,t,z,k]  ``StageVariables.served``   requests/s served
==========  ==========================  ================================================
"""

from __future__ import annotations

from planner.laws.money import lost_usd
from planner.laws.preemption import lost_work_hours
from planner.optimization.formulation.algebra import Expression, sum_of
from planner.optimization.formulation.families import Family
from planner.optimization.formulation.problem import ProblemData
from planner.optimization.formulation.programme import Programme
from planner.optimization.formulation.stages import Stage


def priced_tiers(data: ProblemData) -> dict[str, float]:
    """Preemptible tiers whose lost work costs something: USD for each request/s interrupted."""
    found = {}
    for name, tier in data.model.tiers.items():
        hours = lost_work_hours(tier.checkpoint_minutes or 0.0)
        usd = float(lost_usd(1.0, hours, tier.value_usd_per_1000_requests))
        if usd:
            found[name] = usd
    return found


def running_rps(stage: Stage, tier: str) -> float:
    """Work of a tier that ran before and wants to run in a stage: demand without surges."""
    return sum(
        (rps + stage.down_rps.get((zone, tier), 0.0))
        / max(1.0, stage.state.demand_factor.get(zone, 1.0))
        for (zone, name), rps in stage.demand_rps.items()
        if name == tier
    )


def preempted(programme: Programme) -> None:
    """Work that ran and is not served in some stage is interrupted at least once.

    ``w[s,k] ≥ Σ_z demand[s,t,z,k] − Σ_z x[s,t,z,k]`` for preemptible tiers, surges left out
    """
    data = programme.data
    for tier in priced_tiers(data):
        for scenario, stages in data.stages_by_scenario.items():
            running = [running_rps(stage, tier) for stage in stages]
            work = programme.variable("preempted", scenario, tier, high=max(running))
            programme.preempted[scenario, tier] = work
            for stage, rps in zip(stages, running, strict=True):
                served = programme.by_stage[stage.label].served
                here = sum_of(served[key] for key in stage.demand_rps if key[1] == tier)
                programme.define(work >= rps - here, Family.PREEMPTED, stage.label, tier)


def preemption_usd(programme: Programme, scenario: str) -> Expression:
    """Value of the work lost in one occurrence of a scenario, USD."""
    usd = priced_tiers(programme.data)
    return sum_of(
        usd[tier] * work for (name, tier), work in programme.preempted.items() if name == scenario
    )
