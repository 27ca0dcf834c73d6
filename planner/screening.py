"""Fleets that are short of capacity in a minute in which an earlier one was.

Where the requests of a minute go is a law, a thousand times as fast as a simulation. Of a fleet
that was short of capacity a minute is kept in which it is by that law alone, all GPUs at full clock
and all emergency capacity in use. A fleet that is short there too need not be simulated. That
spares a search what fails; what survives is the simulation's word.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from planner.infrastructure.failures import Scenario
from planner.infrastructure.fleet import Fleet
from planner.laws.compiling import compiled
from planner.laws.traffic import Network, send, serving_rps
from planner.optimization.formulation.problem import ProblemData
from planner.optimization.solution.decisions import Decision
from planner.scenarios.demand import Floats, demand_at
from planner.scenarios.routing import routes_of, target_order, tiers_by_priority
from planner.scenarios.standard import TOLERANCE, counts_for, floors, floors_at
from planner.scenarios.timeline import timeline_of
from planner.simulation.verdict import Verdict

#: Minutes of a breach that are looked at.
LOOKED_AT = 5


@dataclass(frozen=True)
class _Minute:
    """Requests per second by zone and tier, which targets are up, and what is asked of whom."""

    demand_rps: Floats
    up: NDArray[np.bool_]
    asked: tuple[tuple[NDArray[np.bool_], float], ...]


@dataclass
class Screen:
    """Minutes in which fleets were short of capacity, by scenario.

    Parameters
    ----------
    data
        The model.
    keys
        What numbers of purchases belong to.
    """

    data: ProblemData
    keys: Sequence[Decision]
    _minutes: dict[str, list[_Minute]] = field(default_factory=dict)
    _made: dict[tuple[str, float], _Minute] = field(default_factory=dict)
    _networks: dict[bytes, Network] = field(default_factory=dict)

    def __post_init__(self) -> None:
        model = self.data.model
        self._tiers, self._order = tiers_by_priority(model), target_order(model)
        at = {name: n for n, name in enumerate(model.clusters)}
        # An offer may bear the name of a cluster.
        offered = {name: n for n, name in enumerate(model.offers, len(at))}
        self._existing = np.zeros(len(at) + len(offered))
        self._each = np.zeros((len(self._existing), len(self.keys)))
        for name, cluster in model.clusters.items():
            gpus = cluster.existing_gpus
            rps = serving_rps(gpus, self.data.gpu(name).rps, cluster.max_utilisation)
            self._existing[at[name]] = rps
        instance = {
            n: offer.gpus_per_instance * offer.rps_per_gpu for n, offer in model.offers.items()
        }
        for name, offer in model.offers.items():
            self._existing[offered[name]] = offer.existing_instances * instance[name]
        for k, key in enumerate(self.keys):
            if key.kind in ("gpus", "retired") and key.asset in at:
                sign = 1 if key.kind == "gpus" else -1
                self._each[at[key.asset], k] = sign * self.data.block_rps(key.asset)
            elif key.kind == "emergency":
                self._each[offered[key.asset], k] = instance[key.asset]

    def rules_out(self, counts: Sequence[int], scenario: Scenario) -> bool:
        """Whether a fleet is short of capacity where an earlier one was."""
        minutes = self._minutes.get(scenario.name, ())
        return any(self._gap(minute, counts) > TOLERANCE for minute in minutes)

    def learn(self, counts: Sequence[int], scenario: Scenario, verdict: Verdict) -> None:
        """Keep minutes in which a fleet was short of capacity, if the law of routing says so too.

        Not with measures, which change what is up.
        """
        for breach in () if self.data.model.measures else verdict.breaches:
            if breach.kind != "served" or breach.cause != "scarcity":
                continue
            when = np.linspace(breach.minute, breach.until_minute, LOOKED_AT).round()
            minutes = [self._minute(scenario, minute) for minute in dict.fromkeys(when.tolist())]
            gaps = [self._gap(minute, counts) for minute in minutes]
            worst = int(np.argmax(gaps))
            if TOLERANCE < gaps[worst] <= breach.shortfall + TOLERANCE:
                kept = self._minutes.get(scenario.name, ())
                others = [one for one in kept if one is not minutes[worst]]
                self._minutes[scenario.name] = [minutes[worst], *others]

    def _minute(self, scenario: Scenario, minute: float) -> _Minute:
        key = scenario.name, minute
        if key not in self._made:
            self._made[key] = self._worked_out(scenario, minute)
        return self._made[key]

    def _worked_out(self, scenario: Scenario, minute: float) -> _Minute:
        model, names = self.data.model, self._tiers
        timeline = timeline_of(model, self.data.graph, scenario)
        now = next(one for one in timeline.intervals[::-1] if one.start_minute <= minute)
        state = now.state if minute < timeline.end_minute else self.data.normal
        demand = demand_at(model, timeline.start_hour, np.array([minute]))[:, 0]
        demand = demand * [state.demand_factor.get(zone, 1.0) for zone in model.zones]
        shares = [model.tiers[tier].share for tier in names]
        up = [name not in state.clusters_down for name in model.clusters]
        up += [name not in state.offers_down for name in model.offers]
        rules = floors_at(floors(model, scenario.severity), timeline.clock.since(minute))
        asked = (
            (np.array([[counts_for(whose, z, k) for k in names] for z in model.zones]), least)
            for whose, least in rules.items()
        )
        return _Minute(demand[:, None] * shares, np.array(up), tuple(asked))

    def _gap(self, minute: _Minute, counts: Sequence[int]) -> float:
        """How far service falls short of what is asked in a minute, as a share."""
        there = self._existing + self._each @ np.array(counts, dtype=float)
        network = self._network(there > 0)
        network.demand[:], network.room_rps[:] = minute.demand_rps, there * minute.up
        shedding = self.data.model.operations.priority_shedding != "none"
        compiled(send)(network, shedding)
        served, gap = minute.demand_rps - network.rest, 0.0
        for whose, least in minute.asked:
            wanted = minute.demand_rps[whose].sum()
            gap = max(gap, least - served[whose].sum() / wanted) if wanted > 0 else gap
        return float(gap)

    def _network(self, present: NDArray[np.bool_]) -> Network:
        """Routes among targets that a fleet has anything of."""
        known = present.tobytes()
        if known not in self._networks:
            model, there = self.data.model, present.astype(int).tolist()
            gpus = dict(zip(model.clusters, there, strict=False))
            instances = dict(zip(model.offers, there[len(gpus) :], strict=True))
            routes = routes_of(model, Fleet({}, gpus, instances), self._order)
            self._networks[known] = Network.of(routes)
        return self._networks[known]
