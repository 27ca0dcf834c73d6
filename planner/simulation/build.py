"""Preparing a simulation: a model, a fleet and scenarios as the arrays of a world."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Lock

import numpy as np

from planner.infrastructure.entities import Model
from planner.infrastructure.failures import Scenario
from planner.infrastructure.fleet import Fleet
from planner.infrastructure.graph import Graph, build_graph
from planner.infrastructure.measures import scenario_with, with_measures
from planner.infrastructure.supply import PowerLimit
from planner.laws.heat import capacitance_mj_per_k
from planner.laws.retries import RetryTerms
from planner.scenarios.climate import ambient_at
from planner.scenarios.demand import demand_at
from planner.scenarios.routing import routes_of, target_order, tiers_by_priority
from planner.scenarios.system_state import SystemState, normal_state
from planner.scenarios.timeline import Timeline, timeline_of
from planner.simulation.supply import SharedPower
from planner.simulation.system_states import Bools, Floats, Ints, Stacker, cooled_by
from planner.simulation.world import (
    Clusters,
    Offers,
    Plants,
    Restoration,
    ScenarioReaction,
    Services,
    Tiers,
    Units,
    World,
)

#: Models with measures that are kept laid out, and scenarios and start hours kept for each of them.
MOST_LAYOUTS, MOST_SCENARIOS, MOST_HOURS = 4, 4_000, 32


@dataclass(frozen=True, eq=False)
class Layout:
    """A model with some measures in place, and what all simulations of it share.

    Parameters
    ----------
    original, measures
        The model before, and the measures.
    order
        All targets of each tier and zone (`planner.scenarios.routing.target_order`).
    power
        Power limits of system states met so far.
    """

    original: Model
    measures: frozenset[str]
    model: Model
    graph: Graph
    order: Ints
    power: dict[tuple[PowerLimit, ...], SharedPower] = field(default_factory=dict)
    _known: dict[int, tuple[Scenario, Timeline]] = field(default_factory=dict)
    _usual: dict[tuple[float, int], tuple[Floats, Floats]] = field(default_factory=dict)

    @classmethod
    def of(cls, model: Model, measures: frozenset[str]) -> Layout:
        """Lay out a model; the last few are kept."""
        with _ONE_AT_A_TIME:
            for known in _LAYOUTS:
                if known.original is model and known.measures == measures:
                    return known
            changed = with_measures(model, measures)
            layout = cls(model, measures, changed, build_graph(changed), target_order(changed))
            _LAYOUTS.append(layout)
            return layout

    def timeline(self, scenario: Scenario) -> Timeline:
        """Timeline of a scenario of the original model, with the measures in place."""
        known = self._known.get(id(scenario))
        if known is None:
            changed = scenario
            if self.original.measures:
                changed = scenario_with(self.original, scenario, self.measures)
            # The scenario is kept as well, so that no other gets its identity.
            known = scenario, timeline_of(self.model, self.graph, changed)
            if len(self._known) >= MOST_SCENARIOS:
                self._known.clear()
            self._known[id(scenario)] = known
        return known[1]

    def usual(self, hour: float) -> tuple[Floats, Floats]:
        """Demand (T, Z) and ambient temperature (T, R) of the minutes after a start hour."""
        model = self.model
        # Layouts that differ in their horizon only share what is known.
        horizon = round(model.simulation.horizon_minutes)
        known = self._usual.get((hour, horizon))
        if known is None:
            at = np.arange(horizon, dtype=float)
            usual_c = np.array([ambient_at(model, region, hour, at) for region in model.regions])
            known = demand_at(model, hour, at).T, usual_c.reshape(-1, len(at)).T
            if len(self._usual) >= MOST_HOURS:
                self._usual.clear()
            self._usual[hour, horizon] = known
        return known

    def world(self, fleet: Fleet, scenarios: Sequence[Scenario]) -> World:
        """World in which scenarios of the original model happen to a fleet."""
        return build_world(self, fleet, tuple(map(self.timeline, scenarios)))


_LAYOUTS: deque[Layout] = deque(maxlen=MOST_LAYOUTS)
_ONE_AT_A_TIME = Lock()


def prepare(model: Model, fleet: Fleet, scenarios: Sequence[Scenario]) -> World:
    """World in which scenarios happen to a fleet, with the fleet's measures in place."""
    return Layout.of(model, fleet.measures).world(fleet, scenarios)


def build_world(layout: Layout, fleet: Fleet, timelines: tuple[Timeline, ...]) -> World:
    """World of timelines that are laid out already."""
    model, graph = layout.model, layout.graph
    names = tiers_by_priority(model)
    normal = normal_state(model, graph)
    stacker = Stacker(model, fleet, names, normal, layout.power)
    horizon = round(model.simulation.horizon_minutes)
    states, interval = _system_states(normal, timelines, horizon)
    services = [model.services[name] for name in stacker.services]
    hours = sorted({timeline.start_hour for timeline in timelines})
    usual = [layout.usual(hour) for hour in hours]
    return World(
        model=model,
        graph=graph,
        timelines=timelines,
        stacker=stacker,
        tiers=_tiers(model, names),
        clusters=_clusters(model, fleet),
        plants=_plants(model),
        units=_units(model, stacker.units),
        offers=_offers(model, fleet),
        services=Services(
            stacker.services,
            np.array([service.connection_seconds for service in services], dtype=float),
            np.array([service.holds_while_waiting for service in services], dtype=bool),
        ),
        routes=routes_of(model, fleet, layout.order),
        restoration=_restoration(model, names),
        reaction=_reaction(
            timelines,
            max((tier.cold_cache_factor or 1.0 for tier in model.tiers.values()), default=1.0),
        ),
        system_states=stacker.stack(states),
        interval=interval,
        hour=np.array([hours.index(timeline.start_hour) for timeline in timelines], dtype=np.int64),
        usual_rps=np.array([rps for rps, _ in usual]).reshape(
            len(hours), horizon, len(model.zones)
        ),
        usual_c=np.array([c for _, c in usual]).reshape(len(hours), horizon, len(model.regions)),
    )


def _column(values: list[float]) -> Floats:
    return np.array(values, dtype=float)


def _clusters(model: Model, fleet: Fleet) -> Clusters:
    entries = list(model.clusters.values())
    kinds = [model.gpus[entry.gpu] for entry in entries]
    regions = list(model.regions)
    gpus = _column([fleet.gpus[entry.name] for entry in entries])
    power = _column([kind.power_mw for kind in kinds])
    per_mw = _column([entry.capacitance_mj_per_k_per_mw for entry in entries])
    return Clusters(
        names=tuple(model.clusters),
        gpus=gpus,
        power_mw=power,
        static_share=_column([kind.static_share for kind in kinds]),
        rps=_column([kind.rps for kind in kinds]),
        service_seconds=_column([kind.service_seconds for kind in kinds]),
        utilisation=_column([entry.max_utilisation for entry in entries]),
        capacitance=capacitance_mj_per_k(per_mw, power, gpus),
        setpoint_c=_column([entry.setpoint_c for entry in entries]),
        throttle_c=_column([entry.throttle_c for entry in entries]),
        shutdown_c=_column([entry.shutdown_c for entry in entries]),
        restart_c=_column([entry.restart_c for entry in entries]),
        shutdown_spread_c=_column([entry.shutdown_spread_c for entry in entries]),
        envelope_mw_per_k=_column([entry.envelope_mw_per_k for entry in entries]),
        ventilation_mw_per_k=_column([entry.ventilation_mw_per_k for entry in entries]),
        pull_down_c=_column([entry.pull_down_c_per_minute or math.inf for entry in entries]),
        recovery_minutes=_column([_recovery_minutes(model, entry.name) for entry in entries]),
        region=np.array([regions.index(entry.region) for entry in entries], dtype=np.int64),
    )


def _recovery_minutes(model: Model, cluster: str) -> float:
    """Longest recovery of a service that runs on a cluster."""
    running = (service for service in model.services.values() if cluster in service.runs_on)
    return max((service.state_recovery_minutes for service in running), default=0.0)


def _units(model: Model, names: tuple[tuple[str, str], ...]) -> Units:
    plants, regions = list(model.plants), list(model.regions)
    kinds = [model.cooling_units[unit] for _, unit in names]
    owners = [model.plants[plant] for plant, _ in names]
    return Units(
        names=names,
        plant=np.array([plants.index(plant) for plant, _ in names], dtype=np.int64),
        region=np.array([regions.index(owner.region) for owner in owners], dtype=np.int64),
        standby=np.array(
            [
                owner.role == "emergency" or kind.mode == "standby"
                for owner, kind in zip(owners, kinds, strict=True)
            ],
            dtype=bool,
        ),
        automatic=np.array([owner.automatic for owner in owners], dtype=bool),
        start_minutes=_column([kind.start_minutes for kind in kinds]),
        capacity_mw=_column([kind.capacity_mw for kind in kinds]),
        reference_c=_column([kind.reference_ambient_c for kind in kinds]),
        derating_per_c=_column([kind.derating_per_c for kind in kinds]),
        cutout_c=_column([kind.cutout_ambient_c for kind in kinds]),
        start_below_c=_column(
            [math.inf if kind.start_below_c is None else kind.start_below_c for kind in kinds]
        ),
    )


def _plants(model: Model) -> Plants:
    names, plants = tuple(model.plants), list(model.plants.values())
    return Plants(
        names=names,
        serves=cooled_by(model),
        emergency=np.array([plant.role == "emergency" for plant in plants], dtype=bool),
        buffer_mj=_column([plant.buffer_mwh * 3600 for plant in plants]),
        start_interval=_column([plant.start_interval_minutes for plant in plants]),
        restart_units=_column([plant.restart_units for plant in plants]),
        rejects_to=np.array(
            [-1 if p.rejects_to is None else names.index(p.rejects_to) for p in plants],
            dtype=np.int64,
        ),
    )


def _offers(model: Model, fleet: Fleet) -> Offers:
    entries = list(model.offers.values())
    gpus = _column([fleet.instances[o.name] * o.gpus_per_instance for o in entries])
    rps_per_gpu = _column([offer.rps_per_gpu for offer in entries])
    price = [o.usd_per_instance_hour * o.price_factor / o.gpus_per_instance for o in entries]
    return Offers(
        names=tuple(model.offers),
        rps=gpus * rps_per_gpu,
        rps_per_gpu=rps_per_gpu,
        lead_minutes=_column([offer.lead_time_minutes for offer in entries]),
        usd_per_gpu_minute=_column(price) / 60,
    )


def _tiers(model: Model, names: tuple[str, ...]) -> Tiers:
    entries = [model.tiers[name] for name in names]
    return Tiers(
        names=names,
        share=_column([tier.share for tier in entries]),
        allocation=_column([tier.scarcity_allocation for tier in entries]),
        thermal_limit_c=_column([tier.thermal_limit_c for tier in entries]),
        yields=np.array([tier.checkpoint_minutes is not None for tier in entries], dtype=bool),
        checkpoint_minutes=_column([tier.checkpoint_minutes or 0.0 for tier in entries]),
        cold_factor=_column([tier.cold_cache_factor or math.nan for tier in entries]),
        retries=RetryTerms.of(
            [tier.retry.attempts for tier in entries],
            [tier.retry.backoff_minutes for tier in entries],
            [tier.retry.gives_up for tier in entries],
        ),
    )


def _restoration(model: Model, tiers: tuple[str, ...]) -> Restoration:
    phases = model.operations.restoration
    admits = [[not phase.tiers or tier in phase.tiers for tier in tiers] for phase in phases]
    return Restoration(
        minutes=_column([phase.minutes for phase in phases]),
        shares=_column([*(phase.capacity for phase in phases), 1.0]),
        admits=np.array([*admits, [True] * len(tiers)], dtype=bool),
    )


def _system_states(
    normal: SystemState, timelines: tuple[Timeline, ...], horizon: int
) -> tuple[list[SystemState], Ints]:
    """System states of all intervals, and the row of each scenario at each minute."""
    states = [normal]
    interval = np.zeros((len(timelines), horizon), dtype=np.int64).T
    for s, timeline in enumerate(timelines):
        for span in timeline.intervals:
            start, end = (int(min(at, horizon)) for at in (span.start_minute, span.end_minute))
            if end > start:
                interval[start:end, s] = len(states)
                states.append(span.state)
    return states, interval


def _reaction(timelines: tuple[Timeline, ...], coldest: float) -> ScenarioReaction:
    operations = [timeline.operations for timeline in timelines]
    most = max((len(timeline.failures) for timeline in timelines), default=0)
    failures = np.full((len(timelines), most), np.inf)
    for s, timeline in enumerate(timelines):
        failures[s, : len(timeline.failures)] = timeline.failures

    def amounts(name: str) -> Floats:
        found = (getattr(operation, name) for operation in operations)
        return _column([math.inf if value is None else value for value in found])

    def whether(name: str, value: str) -> Bools:
        return np.array([getattr(operation, name) == value for operation in operations], dtype=bool)

    return ScenarioReaction(
        failures=failures,
        reaction=_column([timeline.reaction_minutes for timeline in timelines]),
        order=_column([timeline.order_minutes for timeline in timelines]),
        reroute=amounts("earliest_reroute_minutes"),
        sheds=whether("priority_shedding", "automatic"),
        operators_shed=whether("priority_shedding", "operator"),
        migrates=whether("thermal_migration", "automatic"),
        operators_migrate=whether("thermal_migration", "operator"),
        failover=np.array(
            [math.ceil(operation.failover_minutes) for operation in operations], dtype=np.int64
        ),
        restart_check=amounts("restart_check_minutes"),
        queue_limit=amounts("queue_limit_requests"),
        patience=amounts("patience_minutes"),
        rationing=whether("rationing", "allocation"),
        by_platform=whether("restoration_scope", "platform"),
        standby_after=amounts("standby_start_minutes"),
        switch_off_after=amounts("switch_off_minutes"),
        shed_after=amounts("shedding_minutes"),
        ventilate_after=amounts("ventilation_minutes"),
        restart_after=amounts("restart_minutes"),
        act_after=amounts("escalation_minutes") + amounts("response_minutes"),
        detection_c=amounts("detection_c"),
        standby_start_c=amounts("standby_start_c"),
        switch_off_c=amounts("switch_off_c"),
        shedding_c=amounts("shedding_c"),
        restart_hold=amounts("restart_hold_minutes"),
        restart_per_minute=amounts("restart_gpus_per_hour") / 60,
        failback=amounts("failback_minutes"),
        cooldown_share=amounts("cooldown_share"),
        cold_factor=amounts("cold_cache_factor"),
        cold_most=np.maximum(amounts("cold_cache_factor"), coldest),
        cold_half_life=amounts("cold_cache_half_life_minutes"),
    )
