"""Recourse: heat is carried away, or stored until operators react.

==========  =================================  ==========================
symbol      attribute                          meaning
==========  =================================  ==========================
q[s,t,c,p]  ``StageVariables.carried``         heat carried, MW
n[p,u]      ``Purchases.units`` plus existing  cooling units
q[u]        ``ProblemData.unit_mw``            derated capacity of a unit
==========  =================================  ==========================
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import combinations

from planner.infrastructure.fleet import heat_of
from planner.infrastructure.graph import node
from planner.laws.heat import capacitance_mj_per_k, heat_at_utilisation_mw
from planner.optimization.formulation.algebra import Expression, sum_of
from planner.optimization.formulation.availability import Availability, When
from planner.optimization.formulation.families import Family
from planner.optimization.formulation.measures import ran_on, up
from planner.optimization.formulation.power import powered, stage_heat
from planner.optimization.formulation.problem import ProblemData
from planner.optimization.formulation.programme import Programme, Row
from planner.optimization.formulation.purchases import surviving_capacity
from planner.optimization.formulation.relevance import cooling_matters
from planner.optimization.formulation.stages import Stage, unanswered


def cooling_balance(programme: Programme) -> None:
    """Once operators have reacted, plants carry away the heat of all powered GPUs.

    ``φ_c·(σ_c·a[s,t,c] + (1 − σ_c)·Σ_g f[s,t,g,c]/μ_c) ≤ Σ_p q[s,t,c,p]``, relaxed
    by ``φ_c·max_c·(1 − reacted[s,t])`` where it depends on measures whether they have
    """
    data = programme.data
    for stage in data.stages:
        reacted = stage.when_reacted
        for cluster in data.model.clusters:
            if reacted.impossible or not cooling_matters(data, stage, cluster):
                continue
            heat = stage_heat(programme, stage, cluster)
            carried = _carried(programme, stage, cluster)
            if not reacted.certain:
                most = data.gpu(cluster).power_mw * data.model.clusters[cluster].max_gpus
                carried = carried + most * (1 - programme.when(reacted).expression)
            programme.define(heat <= carried, Family.COOLING_BALANCE, stage.label, cluster)


def _carried(programme: Programme, stage: Stage, cluster: str) -> Expression:
    carried = programme.by_stage[stage.label].carried
    return sum_of(carried[cluster, plant] for plant in programme.data.plants_of(cluster))


def ride_through(programme: Programme) -> None:
    """Until operators react to a failure, rooms, coolant and tanks store the heat not carried away.

    ``Σ_t seconds_t·(heat[c] − Σ_p q[s,t,c,p])⁺ ≤ (throttle − set point)·capacitance·G[c] +
    tank[c]``, the heat being that of all GPUs at the utilisation limit, the tank the share of the
    cluster in the buffers of its plants. Temperatures then stay below throttling.
    """
    data = programme.data
    for scenario, stages in data.stages_by_scenario.items():
        for cluster in data.model.clusters:
            allowed: Expression | None = None
            for index, short in ridden_through(data, stages, cluster):
                allowed = allowed or _storable_mj(programme, scenario, cluster)
                _ride_through(programme, short, cluster, allowed, index)


def ridden_through(
    data: ProblemData, stages: Sequence[Stage], cluster: str
) -> Iterator[tuple[int, list[Stage]]]:
    """Stages of a scenario in which a cluster may store heat, by failures not yet reacted to."""
    for index, early in enumerate(unanswered(stages)):
        if short := [stage for stage in early if cooling_matters(data, stage, cluster)]:
            yield index, short


def _storable_mj(programme: Programme, scenario: str, cluster: str) -> Expression:
    """Heat that a cluster and its tanks store before it throttles, MJ."""
    entry, gpu = programme.data.model.clusters[cluster], programme.data.gpu(cluster)
    per_k = capacitance_mj_per_k(
        entry.capacitance_mj_per_k_per_mw, gpu.power_mw, programme.gpus(cluster)
    )
    rooms: Expression = (entry.throttle_c - entry.setpoint_c) * per_k
    return rooms + tank_mj(programme, scenario, cluster)


def _ride_through(
    programme: Programme,
    stages: list[Stage],
    cluster: str,
    allowed: Expression,
    index: int,
) -> None:
    data, scenario = programme.data, stages[0].scenario
    entry, gpu = data.model.clusters[cluster], data.gpu(cluster)
    stored: list[Expression] = []
    for stage in stages:
        on = powered(programme, stage, cluster)
        full = heat_at_utilisation_mw(gpu.power_mw, gpu.static_share, on, entry.max_utilisation)
        short = programme.variable("uncooled", stage.label, cluster)
        left = full - _carried(programme, stage, cluster)
        if not stage.when_reacted.impossible:
            reacted = programme.when(stage.when_reacted).expression
            left = left - gpu.power_mw * entry.max_gpus * reacted
        programme.define(short >= left, Family.UNCOOLED, stage.label, cluster)
        stored.append(stage.hours * 3600 * short)
    amount = gpu.power_mw * entry.max_gpus * stages[-1].end_minute * 60
    begins = stages[0].start_minute if index else 0.0
    row_of = Row(Family.RIDE_THROUGH, cluster, scenario, amount, begins)
    name = (scenario, cluster, str(index)) if index else (scenario, cluster)
    programme.require(sum_of(stored) <= allowed, row_of, *name)


def tank_mj(programme: Programme, scenario: str, cluster: str) -> Expression:
    """Heat that tanks store for a cluster before operators react, MJ.

    A tank does not count if its plant is lost by then other than for lack of power:
    ``tank[s,p] ≤ share_c·(buffer_p + Σ_m added_m·y[m])``, ``tank[s,p] ≤ most·(up[s,t,p] +
    reacted[s,t])`` for every stage t in which the loss depends on measures.
    """
    data, model = programme.data, programme.data.model
    total = Expression()
    for plant in data.tanks_of(scenario, cluster):
        added = {
            name: measure.buffer_mwh[plant]
            for name, measure in model.measures.items()
            if plant in measure.buffer_mwh
        }
        share = 3600 * data.tank_share(plant, cluster)
        buffer = sum_of(mwh * programme.purchases.measures[name] for name, mwh in added.items())
        buffer = share * (buffer + model.plants[plant].buffer_mwh)
        most = share * (sum(added.values()) + model.plants[plant].buffer_mwh)
        if not most:
            continue
        conditions = _tank_survives(programme, scenario, plant)
        if any(condition.impossible for condition in conditions):
            continue
        if not conditions:
            total = total + buffer
            continue
        tank = programme.variable("tank", scenario, cluster, plant)
        programme.define(tank <= buffer, Family.TANK, scenario, cluster, plant)
        for index, condition in enumerate(conditions):
            row = tank <= most * condition.expression
            programme.define(row, Family.TANK, scenario, cluster, plant, str(index))
        total = total + tank
    return total


def _tank_survives(programme: Programme, scenario: str, plant: str) -> list[Availability]:
    """Conditions that all have to hold for the tank of a plant to count before anybody reacts."""
    found: dict[str, Availability] = {}
    for stage in programme.data.stages_by_scenario[scenario]:
        if stage.when_reacted.certain or plant not in stage.state.plants_lost:
            continue
        survives = up(programme, stage.outage, node("plant", plant), powered=False).expression
        total = survives + programme.when(stage.when_reacted).expression
        found.setdefault(str(total), Availability(total))
    return list(found.values())


def plant_capacity(programme: Programme) -> None:
    """A plant carries at most the capacity of its surviving, started units at the current ambient.

    ``Σ_c q[s,t,c,p] ≤ Σ_u q_u(ambient)·(n[p,u] − lost[s,t,p,u])``, chillers carrying what all
    loops that reject to them carry (so of plants in series the tighter counts), with thresholds of
    `surviving_capacity` where the largest units are lost too. Where it depends on measures which
    units carry load there is a row for each set of units, relaxed by ``most_p`` unless it applies.
    """
    data = programme.data
    for stage in data.stages:
        for plant in data.model.plants:
            carried = programme.by_stage[stage.label].carried
            heats = [carried[pair] for pair in heat_of(data.model, plant) if pair in carried]
            for index, capacity in enumerate(capacities(programme, stage, plant) if heats else ()):
                name = (stage.label, plant, str(index)) if index else (stage.label, plant)
                programme.define(sum_of(heats) <= capacity, Family.PLANT_CAPACITY, *name)


def capacities(programme: Programme, stage: Stage, plant: str) -> list[Expression]:
    """Upper bounds on the heat that a plant carries in a stage, MW."""
    state = stage.state
    if plant in stage.at_best.plants_down:
        return [Expression()]
    found: list[Expression] = []
    most = _most_mw(programme, stage, plant)
    if plant in state.plants_down:
        found.append(most * up(programme, stage.outage, node("plant", plant)).expression)
    for units, counts in _standing(stage, plant):
        loose = most * (1 - programme.when(counts).expression)
        found.append(_capacity(programme, stage, plant, units) + loose)
        for left, ran in _restarting(programme, stage, plant, units):
            found.append(_capacity(programme, stage, plant, left) + loose + most * ran)
    return found


def _standing(stage: Stage, plant: str) -> list[tuple[frozenset[str], When]]:
    """Sets of units that are running or started, and the reaction variants with each."""
    stages = [variant for _, variant in stage.variants] or [stage]
    sets = dict.fromkeys(variant.started_or_restarting[plant] for variant in stages)
    return [(units, stage.when(partial(_stands, plant, units))) for units in sets]


def _stands(plant: str, units: frozenset[str], stage: Stage) -> bool:
    return stage.started_or_restarting[plant] == units


def _restarting(
    programme: Programme, stage: Stage, plant: str, units: frozenset[str]
) -> Iterator[tuple[frozenset[str], Expression]]:
    """Units left while others restart after a sag; an expression that is ≥ 1 if those ran on."""
    stopped: dict[frozenset[str], set[str]] = {}
    for restart in stage.outage.restarts:
        if restart.plant == plant and (plant, restart.unit) in stage.state.restarting:
            stopped.setdefault(restart.dark, set()).add(restart.unit)
    ran = {dark: ran_on(programme, plant, dark).expression for dark in stopped}
    for size in range(1, len(stopped) + 1):
        for restarted in combinations(stopped, size):
            left = units.difference(*(stopped[dark] for dark in restarted))
            if left != units:
                yield left, sum_of(ran[dark] for dark in restarted)


def _capacity(programme: Programme, stage: Stage, plant: str, units: frozenset[str]) -> Expression:
    rise = stage.state.ambient_rise_c.get(programme.data.model.plants[plant].region, 0.0)
    lost = stage.state.lost_largest.get(plant, 0)
    named = stage.named_losses(plant, units)
    return surviving_capacity(programme, plant, units, lost, rise, named)


def _most_mw(programme: Programme, stage: Stage, plant: str) -> float:
    """Upper bound on the heat that a plant can carry in a stage whatever is bought, MW."""
    data = programme.data
    entry = data.model.plants[plant]
    rise = stage.state.ambient_rise_c.get(entry.region, 0.0)
    lost = max((q for q in (data.unit_mw(plant, u, rise) for u in data.units(plant))), default=0.0)
    named = sum(n for (hit, _), n in stage.state.lost_units.items() if hit == plant)
    spare = lost * (stage.state.lost_largest.get(plant, 0) + named)
    return spare + sum(
        data.unit_mw(plant, unit, rise)
        * (entry.existing.get(unit, 0) + (programme.purchases.units[plant, unit].high or 0.0))
        for unit in data.units(plant)
    )
