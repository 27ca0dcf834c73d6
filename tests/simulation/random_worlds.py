"""Random small models, made from `tiny`, and random failures of them."""

from __future__ import annotations

import math
from dataclasses import dataclass

from hypothesis import strategies as st

from planner.infrastructure.customers import Retry
from planner.infrastructure.entities import Feed, Model, Service, SimulationSettings
from planner.infrastructure.failures import (
    Event,
    Heat,
    LargestUnitsLoss,
    NodeLoss,
    Sag,
    Scenario,
    Surge,
    UnitLoss,
)
from planner.infrastructure.operations import Operations, RestorationGates, RestorationPhase

HORIZON = 110

PHASES = (
    (),
    (RestorationPhase(capacity=0.25, minutes=10), RestorationPhase(capacity=0.5, minutes=15)),
    (
        RestorationPhase(capacity=0.3, minutes=0, tiers=("business",)),
        RestorationPhase(capacity=0.6, minutes=7, tiers=("business",)),
    ),
)
GATES = (
    None,
    RestorationGates(),
    RestorationGates(p99_seconds=3.0, error_share=0.0, temperature_c=70.0, queue_requests=0.0),
)
AMOUNTS = (50.0, 300.0, 2000.0)


@dataclass(frozen=True)
class Case:
    """A model and what happens to it."""

    model: Model
    scenarios: tuple[Scenario, ...]


operations = st.builds(
    Operations,
    detection_minutes=st.sampled_from([0.0, 2.0, 5.0, 60.0]),
    escalation_minutes=st.sampled_from([0.0, 3.0]),
    response_minutes=st.sampled_from([0.0, 3.5, 10.0]),
    approval_minutes=st.sampled_from([0.0, 5.0]),
    failover_minutes=st.sampled_from([0.0, 1.0, 4.0]),
    earliest_reroute_minutes=st.sampled_from([0.0, 6.0]),
    priority_shedding=st.sampled_from(["automatic", "operator", "none"]),
    rationing=st.sampled_from(["priority", "allocation"]),
    thermal_migration=st.sampled_from(["automatic", "operator", "none"]),
    restoration_scope=st.sampled_from(["cluster", "platform"]),
    gates=st.sampled_from(GATES),
    restart_check_minutes=st.sampled_from([0.0, 5.0, 15.0]),
    restoration=st.sampled_from(PHASES),
    queue_limit_requests=st.sampled_from([0.0, 1000.0, 1e6]),
    patience_minutes=st.sampled_from([0.5, 2.0, 10.0]),
)


@st.composite
def feeds(draw: st.DrawFn) -> dict[str, Feed]:
    found = {}
    for region in ("west", "east"):
        for number in range(draw(st.integers(0, 2))):
            name = f"{region}-feed-{number}"
            found[name] = Feed(
                name=name,
                region=region,
                capacity_mw=draw(st.sampled_from([4.0, 12.0])),
                ups_minutes=draw(st.sampled_from([0.0, 3.0, 15.0])),
                generator_mw=draw(st.sampled_from([0.0, 3.0, 12.0])),
                generator_start_minutes=draw(st.sampled_from([1.0, 5.0])),
                generator_hours=draw(st.sampled_from([0.5, 48.0])),
            )
    return found


retries = st.builds(
    Retry,
    attempts=st.sampled_from([0, 1, 3]),
    backoff_minutes=st.sampled_from([0.5, 2.0, 20.0]),
    gives_up=st.sampled_from([0.0, 0.3, 1.0]),
)


@st.composite
def services(draw: st.DrawFn) -> dict[str, Service]:
    """Services of every kind: replicated, pooled, degraded, with alternatives, on GPUs."""

    def limits() -> dict[str, object]:
        return {
            "capacity_rps": draw(st.sampled_from([None, *AMOUNTS])),
            "connections": draw(st.sampled_from([None, 100.0, 5000.0])),
            "holds_while_waiting": draw(st.booleans()),
        }

    replicas = {"west": draw(st.integers(0, 2)), "east": draw(st.integers(1, 2))}
    found = [
        Service(
            name="store",
            plane="state",
            replicas=replicas,
            needs_replicas=draw(st.integers(0, 1)),
            **limits(),
        ),
        Service(name="cache", plane="state", runs_on=("west-gpus",), **limits()),
        Service(
            name="auth",
            plane="service",
            depends_on=("store",),
            degrades_without=("cache",),
            degraded_share=draw(st.sampled_from([0.0, 0.4])),
            **limits(),
        ),
        Service(name="edge-a", plane="edge", **limits()),
        Service(name="edge-b", plane="edge", **limits()),
        Service(name="front", plane="edge", any_of=("edge-a", "edge-b"), depends_on=("auth",)),
    ]
    return {one.name: one for one in found}


@st.composite
def models(draw: st.DrawFn, tiny: Model) -> Model:
    """`tiny` with other numbers of everything, other demand and other operations."""
    clusters = {
        name: entry.replace(
            existing_gpus=draw(st.sampled_from([0, 300, 700, 1500])),
            max_utilisation=draw(st.sampled_from([0.7, 0.95, 1.0])),
            capacitance_mj_per_k_per_mw=draw(st.sampled_from([3.0, 10.0, 29.2])),
        )
        for name, entry in tiny.clusters.items()
    }
    shared = draw(st.booleans())
    plants = {
        name: entry.replace(
            existing={
                unit: draw(st.integers(0, 4))
                for unit in dict.fromkeys([*entry.existing, *entry.options, "air-1"])
            },
            automatic=draw(st.booleans()),
            cools=tuple(tiny.clusters) if shared else entry.cools,
            buffer_mwh=draw(st.sampled_from([0.0, 0.0, 0.2, 3.0])),
        )
        for name, entry in tiny.plants.items()
    }
    gpu = tiny.gpus["accelerator"].replace(static_share=draw(st.sampled_from([0.0, 0.5, 1.0])))
    kinds = {
        name: entry.replace(restart_minutes=draw(st.sampled_from([0.0, 4.5])))
        for name, entry in tiny.cooling_units.items()
    }
    found = draw(st.one_of(st.just({}), services()))
    tiers = {
        name: entry.replace(
            latency_limit_ms=draw(st.sampled_from([20.0, 300.0])),
            thermal_limit_c=draw(st.sampled_from([66.0, 80.0, 95.0])),
            scarcity_allocation=draw(st.sampled_from([0.0, 0.2, 0.5])),
            retry=draw(retries),
            entry=draw(st.sampled_from([None, "front", "auth"])) if found else None,
        )
        for name, entry in tiny.tiers.items()
    }
    regions = {
        name: entry.replace(
            climate=draw(st.sampled_from([None, None, "us-west"])),
            longitude=draw(st.sampled_from([None, -120.0])),
        )
        for name, entry in tiny.regions.items()
    }
    zones = {
        name: entry.replace(demand_rps=draw(st.sampled_from([0.0, 100.0, 400.0, 900.0])))
        for name, entry in tiny.zones.items()
    }
    cloud = tiny.offers["cloud"].replace(
        existing_instances=draw(st.integers(0, 60)),
        lead_time_minutes=draw(st.sampled_from([0.0, 7.5, 30.0])),
        region=draw(st.sampled_from([None, "east"])),
    )
    return tiny.replace(
        regions=regions,
        cooling_units=kinds,
        services=found,
        gpus={"accelerator": gpu},
        clusters=clusters,
        plants=plants,
        tiers=tiers,
        zones=zones,
        offers={"cloud": cloud},
        feeds=draw(feeds()),
        operations=draw(operations),
        simulation=SimulationSettings(horizon_minutes=float(HORIZON)),
    )


@st.composite
def returning(draw: st.DrawFn, model: Model) -> Model:
    """The model with restarts step by step, units in sequence and caches that are cold at first."""
    plants = {
        name: plant.replace(
            start_interval_minutes=draw(st.sampled_from([0.0, 2.5])),
            restart_units=draw(st.sampled_from([0, 1])),
        )
        for name, plant in model.plants.items()
    }
    found = {
        name: service.replace(recovery_minutes=draw(st.sampled_from([0.0, 20.0])))
        for name, service in model.services.items()
        if service.runs_on or service.replicas
    }
    reaction = model.operations.replace(
        restart_minutes=draw(st.sampled_from([0.0, 6.0])),
        restart_hold_minutes=draw(st.sampled_from([0.0, 4.0])),
        restart_gpus_per_hour=draw(st.sampled_from([None, 900.0])),
        failback_minutes=draw(st.sampled_from([0.0, 7.0])),
        cold_cache_factor=draw(st.sampled_from([1.0, 1.4])),
        cold_cache_half_life_minutes=draw(st.sampled_from([2.0, 20.0])),
    )
    services = {**model.services, **found}
    return model.replace(plants=plants, services=services, operations=reaction)


@st.composite
def recovering(draw: st.DrawFn, model: Model) -> Model:
    """The model with all of that, and halls that shut down in part and lose heat to the air."""
    clusters = {
        name: entry.replace(
            shutdown_spread_c=draw(st.sampled_from([0.0, 8.0])),
            envelope_mw_per_k=draw(st.sampled_from([0.0, 0.02])),
            ventilation_mw_per_k=draw(st.sampled_from([0.0, 0.05])),
            pull_down_c_per_minute=draw(st.sampled_from([None, 1.5])),
        )
        for name, entry in model.clusters.items()
    }
    kinds = {
        name: kind.replace(start_below_c=draw(st.sampled_from([None, 80.0])))
        for name, kind in model.cooling_units.items()
    }
    model = draw(returning(model))
    reaction = model.operations.replace(
        standby_start_minutes=draw(st.sampled_from([0.0, 5.0])),
        switch_off_minutes=draw(st.sampled_from([0.0, 8.0])),
        shedding_minutes=draw(st.sampled_from([0.0, 3.0])),
        ventilation_minutes=draw(st.sampled_from([0.0, 10.0])),
        cooldown_share=draw(st.sampled_from([0.0, 0.25])),
        detection_c=draw(st.sampled_from([None, 72.0])),
        standby_start_c=draw(st.sampled_from([None, 70.0])),
        switch_off_c=draw(st.sampled_from([None, 76.0])),
        shedding_c=draw(st.sampled_from([None, 68.0])),
    )
    return model.replace(clusters=clusters, cooling_units=kinds, operations=reaction)


@st.composite
def events(draw: st.DrawFn, model: Model) -> Event:
    """Something that can happen to a model."""
    kinds = ["units", "largest-units", "heat", "surge", "plant", "region", "provider", "cluster"]
    kinds += ["feed", "sag"] if model.feeds else []
    kind = draw(st.sampled_from([*kinds, "service"] if model.services else kinds))
    when = {
        "kind": kind,
        "at_minute": draw(st.sampled_from([0.0, 7.0, 40.0])),
        "repair_minutes": draw(st.sampled_from([1.0, 12.5, 60.0, 1000.0])),
    }
    plant = draw(st.sampled_from(list(model.plants)))
    if kind == "units":
        unit = draw(st.sampled_from(list(model.plants[plant].existing)))
        return UnitLoss(**when, plant=plant, unit=unit, count=draw(st.integers(1, 3)))
    if kind == "largest-units":
        return LargestUnitsLoss(**when, plant=plant, count=draw(st.integers(1, 3)))
    if kind == "heat":
        region = draw(st.sampled_from(list(model.regions)))
        return Heat(**when, region=region, rise_c=draw(st.sampled_from([2.0, 10.0])))
    if kind == "surge":
        zones = draw(st.sampled_from([(), ("west-users",)]))
        return Surge(**when, zones=zones, factor=draw(st.sampled_from([0.5, 1.2, 3.0])))
    if kind == "sag":
        return Sag(**when, feed=draw(st.sampled_from(list(model.feeds))))
    names = {
        "plant": list(model.plants),
        "region": list(model.regions),
        "provider": ["cloudy"],
        "cluster": list(model.clusters),
        "feed": list(model.feeds),
        "service": list(model.services),
    }
    starts = draw(st.booleans()) if kind == "feed" else True
    return NodeLoss(**when, name=draw(st.sampled_from(names[kind])), generators_start=starts)


def cooled(model: Model) -> Model:
    """The model with primary plants that carry the full heat of their clusters."""
    plants = dict(model.plants)
    for name, plant in model.plants.items():
        if plant.role == "primary":
            heat = sum(
                model.clusters[cluster].existing_gpus
                * model.gpus[model.clusters[cluster].gpu].power_mw
                for cluster in plant.cools
            )
            plants[name] = plant.replace(existing={"chiller-3": math.ceil(heat / 3.0), "air-1": 1})
    return model.replace(plants=plants)


@st.composite
def single_failures(draw: st.DrawFn, tiny: Model) -> Case:
    """A model that is cooled and powered well, and one event."""
    model = cooled(draw(models(tiny)).replace(feeds={}))
    event = draw(events(model))
    one = Scenario(name="case", severity="common", frequency_per_year=0.1, events=(event,))
    return Case(model, (one,))


@st.composite
def cases(draw: st.DrawFn, tiny: Model, least: int = 1, most: int = 3) -> Case:
    """A random model with so many random scenarios."""
    model = draw(models(tiny))
    return Case(
        model,
        tuple(
            Scenario(
                name=f"case-{number}",
                severity="common",
                frequency_per_year=0.1,
                events=tuple(draw(st.lists(events(model), min_size=1, max_size=3))),
                start_hour=draw(st.sampled_from([None, 20.0])),
            )
            for number in range(draw(st.integers(least, most)))
        ),
    )
