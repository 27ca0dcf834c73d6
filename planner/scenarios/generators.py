"""Scenario families worked out from the graph, and the scenarios written in the model."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Literal

from planner.errors import InputError, Problem
from planner.infrastructure.entities import Model
from planner.infrastructure.failures import Event as EventUnion
from planner.infrastructure.failures import (
    FamilyTerms,
    Heat,
    LargestUnitsLoss,
    NodeLoss,
    Sag,
    Scenario,
    Surge,
)
from planner.infrastructure.fleet import plant_units
from planner.infrastructure.graph import build_graph
from planner.scenarios.condition import site_of
from planner.scenarios.power import hit_units, sag_hits

HOURS_PER_YEAR = 8760.0
#: A voltage sag that all units outlast by restarting: a minute.
SAG_HOURS = 1 / 60
#: From the sag to the restart by hand of cooling that had not restarted by itself, 08:41 to 12:12
#: (datasets/incidents/azure-australia-east-2023).
RESTART_FAILURE_HOURS = 3.5
NodeKind = Literal["plant", "feed", "region", "provider"]


def all_scenarios(model: Model) -> tuple[Scenario, ...]:
    """Generated and hand-written scenarios, in a fixed order.

    A scenario written by hand replaces a generated one of the same name.

    Raises
    ------
    InputError
        If two names are the same or differ only in signs, which makes them one to a solver.
    """
    scenarios = [model.scenarios.get(one.name, one) for one in _generated(model)]
    generated = {scenario.name for scenario in scenarios}
    scenarios += [one for name, one in model.scenarios.items() if name not in generated]
    seen: dict[str, str] = {}
    for scenario in scenarios:
        folded = re.sub(r"[^A-Za-z0-9]", "_", scenario.name)
        if folded in seen:
            message = f"`{scenario.name}` differs from `{seen[folded]}` only in signs or not at all"
            raise InputError([Problem(model.name, 0, 0, "scenarios", message)])
        seen[folded] = scenario.name
    return tuple(scenarios)


def _generated(model: Model) -> Iterator[Scenario]:
    families = model.generators
    if families.unit:
        yield from _unit_losses(model, families.unit)
    if families.units:
        yield from _units_losses(model, families.units)
    if families.plant:
        yield from _plant_losses(model, families.plant)
    yield from _feed_losses(model)
    yield from _sags(model)
    if families.region:
        for name, region in model.regions.items():
            if not region.candidate or _can_hold_gpus(model, name):
                yield _node_loss(families.region, "region", name, (0.03, 24.0))
    if families.provider:
        for name in sorted({offer.provider for offer in model.offers.values()}):
            yield _node_loss(families.provider, "provider", name, (0.05, 24.0))
    yield from _heat_waves(model)
    if families.surge:
        event = partial(Surge, kind="surge", factor=families.surge_factor)
        yield _make(families.surge, "surge", (1.0, 8.0), event)


def _make(
    terms: FamilyTerms,
    name: str,
    component: tuple[float, float],
    *events: Callable[..., EventUnion],
) -> Scenario:
    """Scenario of a family; component gives failures per year and repair hours by default."""
    frequency = component[0] if terms.frequency_per_year is None else terms.frequency_per_year
    hours = component[1] if terms.repair_hours is None else terms.repair_hours
    return Scenario(
        name=name,
        severity=terms.severity,
        frequency_per_year=frequency,
        events=tuple(event(repair_minutes=max(hours, 1 / 60) * 60) for event in events),
    )


def _node_loss(
    terms: FamilyTerms, kind: NodeKind, name: str, component: tuple[float, float]
) -> Scenario:
    return _make(terms, f"{kind}-{name}", component, partial(NodeLoss, kind=kind, name=name))


def _feed_losses(model: Model) -> Iterator[Scenario]:
    """Losses of feeds, split by whether the generators behind them start."""
    families = model.generators
    if families.feed:
        for name, feed in model.feeds.items():
            starts = feed.generator_start_probability if feed.generator_mw else 1.0
            terms = (feed.failures_per_year * starts, feed.repair_hours)
            yield _node_loss(families.feed, "feed", name, terms)
    if families.feed_no_generator:
        for name, feed in model.feeds.items():
            fails = 1 - feed.generator_start_probability
            if feed.generator_mw and fails:
                terms = (feed.failures_per_year * fails, feed.repair_hours)
                event = partial(NodeLoss, kind="feed", name=name, generators_start=False)
                yield _make(families.feed_no_generator, f"feed-no-generator-{name}", terms, event)


def _sags(model: Model) -> Iterator[Scenario]:
    """Voltage sags on feeds that at least one plant hangs on alone.

    Units that do not restart by one cause stay off together, so that probability is that of one
    unit: the largest among the types that are hit.
    """
    families = model.generators
    if not (families.sag or families.restart_failure):
        return
    site = site_of(model, build_graph(model))
    hit = {name: hit_units(site, sag_hits(site, [name], frozenset())) for name in model.feeds}
    hit = {name: units for name, units in hit.items() if units}
    if families.sag:
        for name in hit:
            terms = (model.feeds[name].failures_per_year, SAG_HOURS)
            yield _make(families.sag, f"sag-{name}", terms, partial(Sag, kind="sag", feed=name))
    if families.restart_failure:
        for name, units in hit.items():
            kinds = (model.cooling_units[unit] for _, unit in units)
            fails = max(kind.start_failure_probability for kind in kinds)
            terms = (model.feeds[name].failures_per_year * fails, RESTART_FAILURE_HOURS)
            event = partial(Sag, kind="sag", feed=name)
            yield _make(families.restart_failure, f"restart-failure-{name}", terms, event)


def _can_hold_gpus(model: Model, region: str) -> bool:
    return any(c.region == region and c.max_gpus for c in model.clusters.values())


def _primary_plants(model: Model) -> Iterator[str]:
    yield from (name for name, plant in model.plants.items() if plant.role == "primary")


def _unit_terms(model: Model, plant: str, count: int) -> tuple[float, float]:
    """Frequency and repair time of losing the largest units, from the rates of the units.

    The plant loses one of its units at the sum of their failure rates; two are lost together when
    another fails within the repair time of the first, and so on. Rates are those of the existing
    units, or one unit of each type on offer where none exist.
    """
    entry = model.plants[plant]
    counts = {unit: n for unit, n in entry.existing.items() if n} or dict.fromkeys(
        plant_units(model, plant), 1
    )
    units = [(model.cooling_units[unit], n) for unit, n in counts.items()]
    rate = sum(unit.failures_per_year * n for unit, n in units)
    hours = max((unit.repair_hours for unit, _ in units), default=24.0)
    overlap = rate * hours / HOURS_PER_YEAR
    return rate * float(overlap ** (count - 1)), hours


def _unit_losses(model: Model, terms: FamilyTerms) -> Iterator[Scenario]:
    for plant in _primary_plants(model):
        event = partial(LargestUnitsLoss, kind="largest-units", plant=plant, count=1)
        yield _make(terms, f"unit-{plant}", _unit_terms(model, plant, 1), event)


def _units_losses(model: Model, terms: FamilyTerms) -> Iterator[Scenario]:
    for plant in _primary_plants(model):
        count = model.plants[plant].redundancy
        if count > 1:
            event = partial(LargestUnitsLoss, kind="largest-units", plant=plant, count=count)
            yield _make(terms, f"{count}-units-{plant}", _unit_terms(model, plant, count), event)


def _plant_losses(model: Model, terms: FamilyTerms) -> Iterator[Scenario]:
    for plant in _primary_plants(model):
        yield _node_loss(terms, "plant", plant, (0.01, 12.0))


def _heat_waves(model: Model) -> Iterator[Scenario]:
    families = model.generators
    for region in model.regions:
        if not _can_hold_gpus(model, region):
            continue
        heat = partial(Heat, kind="heat", region=region, rise_c=families.heat_wave_rise_c)
        if families.heat_wave:
            yield _make(families.heat_wave, f"heat-wave-{region}", (0.5, 72.0), heat)
        if not families.heat_wave_unit:
            continue
        for plant in _primary_plants(model):
            if model.plants[plant].region == region:
                loss = partial(LargestUnitsLoss, kind="largest-units", plant=plant, count=1)
                name = f"heat-wave-unit-{plant}"
                yield _make(families.heat_wave_unit, name, (0.05, 24.0), heat, loss)
