"""Scenario families worked out from the graph, and the scenarios written in the model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from types import MappingProxyType
from typing import Literal

from planner.errors import InputError, Problem, refuse
from planner.infrastructure.entities import Model
from planner.infrastructure.failures import Event as EventUnion
from planner.infrastructure.failures import (
    FamilyTerms,
    Heat,
    LargestUnitsLoss,
    NodeLoss,
    Sag,
    Scenario,
    Severity,
    Supply,
    Surge,
)
from planner.infrastructure.fleet import plant_units
from planner.infrastructure.graph import build_graph
from planner.infrastructure.operations import OperationalChange
from planner.infrastructure.source import nearest
from planner.laws.adequacy import outage_share
from planner.scenarios.power import hit_units, sag_hits
from planner.scenarios.system_state import dependency_index

HOURS_PER_YEAR = 8760.0
#: A voltage sag that all units outlast by restarting: a minute.
SAG_HOURS = 1 / 60
#: From the sag to the restart by hand of cooling that had not restarted by itself, 08:41 to 12:12
#: (datasets/incidents/azure-australia-east-2023).
RESTART_FAILURE_HOURS = 3.5
#: Loss of a whole cluster (fire protection, network, power path of a hall): failures a year and
#: hours. Estimate, after availability-zone-thermal in datasets/failure_rates.csv.
CLUSTER_LOSS = (0.01, 24.0)
#: Loss of a whole service with all its replicas: once in ten years, an estimate, for two hours, the
#: median of a large provider's published events (aws event_hours_median in the same table).
SERVICE_LOSS = (0.1, 2.0)
#: Loss of a region in an event in which providers cannot deliver what is reserved: times a year and
#: hours. Estimate: every third loss of a region, of 0.03 a year.
PROVIDER_SHORT = (0.01, 24.0)
#: Length of one planned outage of a cooling unit: a working day, an estimate.
MAINTENANCE_HOURS = 8.0
NodeKind = Literal["plant", "feed", "region", "provider", "cluster", "service"]
Family = Callable[[Model, FamilyTerms], Iterable[Scenario]]


def all_scenarios(model: Model) -> tuple[Scenario, ...]:
    """Generated and hand-written scenarios, in a fixed order.

    A scenario written by hand replaces a generated one of the same name.

    Raises
    ------
    InputError
        If two have the same name.
    """
    scenarios = [model.scenarios.get(scenario.name, scenario) for scenario in _generated(model)]
    generated = {scenario.name for scenario in scenarios}
    scenarios += [scenario for name, scenario in model.scenarios.items() if name not in generated]
    check_names(model, scenarios)
    return tuple(scenarios)


def check_names(model: Model, scenarios: Iterable[Scenario]) -> None:
    """Check that no two scenarios have the same name.

    Raises
    ------
    InputError
        If two have.
    """
    seen: set[str] = set()
    for scenario in scenarios:
        if scenario.name in seen:
            message = f"two scenarios are named `{scenario.name}`"
            raise InputError([Problem(model.name, 0, 0, "scenarios", message)])
        seen.add(scenario.name)


def _generated(model: Model) -> Iterator[Scenario]:
    """Families that the model asks for; heat waves come region by region."""
    left_out = _left_out(model)
    asked = {name: terms_of(model, name) for name in FAMILIES if getattr(model.generators, name)}
    for name in FAMILIES:
        members: Iterable[Scenario] = ()
        if name == "heat_wave":
            members = _heat_waves(model, asked.get(name), asked.get("heat_wave_unit"))
        elif name in asked and name != "heat_wave_unit":
            members = FAMILIES[name](model, asked[name])
        yield from (scenario for scenario in members if scenario.name not in left_out)


def _left_out(model: Model) -> frozenset[str]:
    """Members excluded from families."""
    found: set[str] = set()
    problems = []
    for name in FAMILIES:
        terms: FamilyTerms | None = getattr(model.generators, name)
        if not terms or not terms.without:
            continue
        members = [scenario.name for scenario in FAMILIES[name](model, terms)]
        for unwanted in terms.without:
            if unwanted not in members:
                hint = nearest(unwanted, members) or f"; it has {members}"
                message = f"`{unwanted}` is not a scenario of the family{hint}"
                problems.append(Problem(model.name, 0, 0, f"generators.{name}.without", message))
        found.update(terms.without)
    refuse(problems)
    return frozenset(found)


def terms_of(model: Model, name: str) -> FamilyTerms:
    """Terms of a family: those of the model, or the usual severity where it states none.

    Where they do not say at which hours, these are the hours of all families.
    """
    stated: FamilyTerms | None = getattr(model.generators, name)
    terms = stated or FamilyTerms(severity=SEVERITIES[name])
    return terms if terms.hours else terms.replace(hours=model.generators.hours)


def family(model: Model, name: str) -> tuple[Scenario, ...]:
    """All members of a family, also where the model does not ask for it.

    Raises
    ------
    KeyError
        If there is no such family.
    """
    return tuple(FAMILIES[name](model, terms_of(model, name)))


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
        emergency_budget_usd=terms.emergency_budget_usd,
        hours=terms.hours or "worst",
        events=tuple(event(repair_minutes=max(hours, 1 / 60) * 60) for event in events),
    )


def _node_loss(
    terms: FamilyTerms, kind: NodeKind, name: str, component: tuple[float, float]
) -> Scenario:
    return _make(terms, f"{kind}-{name}", component, partial(NodeLoss, kind=kind, name=name))


def _feed_losses(model: Model, terms: FamilyTerms) -> Iterator[Scenario]:
    """Losses of feeds behind which the generators start, where there are any."""
    for name, feed in model.feeds.items():
        starts = feed.generator_start_probability if feed.generator_mw else 1.0
        component = (feed.failures_per_year * starts, feed.repair_hours)
        yield _node_loss(terms, "feed", name, component)


def _feed_losses_without_generator(model: Model, terms: FamilyTerms) -> Iterator[Scenario]:
    """Losses of feeds whose generators do not start."""
    for name, feed in model.feeds.items():
        fails = 1 - feed.generator_start_probability
        if feed.generator_mw and fails:
            component = (feed.failures_per_year * fails, feed.repair_hours)
            event = partial(NodeLoss, kind="feed", name=name, generators_start=False)
            yield _make(terms, f"feed-no-generator-{name}", component, event)


def _sagging(model: Model) -> dict[str, list[tuple[str, str]]]:
    """Unit types that a sag stops, by feed, for feeds that are the only one of some plant."""
    index = dependency_index(model, build_graph(model))
    hit = {name: hit_units(index, sag_hits(index, [name], frozenset())) for name in model.feeds}
    return {name: units for name, units in hit.items() if units}


def _sags(model: Model, terms: FamilyTerms) -> Iterator[Scenario]:
    for name in _sagging(model):
        component = (model.feeds[name].failures_per_year, SAG_HOURS)
        yield _make(terms, f"sag-{name}", component, partial(Sag, kind="sag", feed=name))


def _restart_failures(model: Model, terms: FamilyTerms) -> Iterator[Scenario]:
    """Sags after which units do not restart.

    Units that do not restart by one cause stay off together, so that probability is that of one
    unit: the largest among the types that are hit.
    """
    for name, units in _sagging(model).items():
        kinds = (model.cooling_units[unit] for _, unit in units)
        fails = max(kind.start_failure_probability for kind in kinds)
        component = (model.feeds[name].failures_per_year * fails, RESTART_FAILURE_HOURS)
        event = partial(Sag, kind="sag", feed=name)
        yield _make(terms, f"restart-failure-{name}", component, event)


def _can_hold_gpus(model: Model, region: str) -> bool:
    return any(c.region == region and c.max_gpus for c in model.clusters.values())


def primary_plants(model: Model) -> tuple[str, ...]:
    """Names of the primary plants."""
    return tuple(name for name, plant in model.plants.items() if plant.role == "primary")


def unit_counts(model: Model, plant: str) -> dict[str, int]:
    """Units whose failure rates count: the existing ones.

    One of each type on offer where none exist.
    """
    counts = {unit: n for unit, n in model.plants[plant].existing.items() if n}
    return counts or dict.fromkeys(plant_units(model, plant), 1)


def _unit_terms(model: Model, plant: str, count: int) -> tuple[float, float]:
    """Frequency and repair time of losing the largest units, from the rates of the units.

    The plant loses one of its units at the sum of their failure rates; two are lost together when
    another fails within the repair time of the first, and so on.
    """
    units = [(model.cooling_units[unit], n) for unit, n in unit_counts(model, plant).items()]
    rate = sum(unit.failures_per_year * n for unit, n in units)
    hours = max((unit.repair_hours for unit, _ in units), default=24.0)
    overlap = rate * hours / HOURS_PER_YEAR
    return rate * float(overlap ** (count - 1)), hours


def largest_units(model: Model, terms: FamilyTerms, plant: str, count: int) -> Scenario:
    """Loss of the largest units of a plant."""
    event = partial(LargestUnitsLoss, kind="largest-units", plant=plant, count=count)
    name = f"unit-{plant}" if count == 1 else f"{count}-units-{plant}"
    return _make(terms, name, _unit_terms(model, plant, count), event)


def _unit_losses(model: Model, terms: FamilyTerms) -> Iterator[Scenario]:
    for plant in primary_plants(model):
        yield largest_units(model, terms, plant, 1)


def _units_losses(model: Model, terms: FamilyTerms) -> Iterator[Scenario]:
    for plant in primary_plants(model):
        count = model.plants[plant].redundancy
        if count > 1:
            yield largest_units(model, terms, plant, count)


def _unit_losses_in_maintenance(model: Model, terms: FamilyTerms) -> Iterator[Scenario]:
    """Losses of a unit while another of the plant is out, at worst until the lost one is back.

    What fails elsewhere meanwhile is covered: without the unit a plant still carries the design
    heat, if it has any redundancy.
    """
    for plant in primary_plants(model):
        share = planned_outage_share(model, plant)
        if share:
            count = sum(unit_counts(model, plant).values())
            rate, hours = _unit_terms(model, plant, 1)
            rate *= share * max(count - 1, 1) / count
            out = partial(LargestUnitsLoss, kind="largest-units", plant=plant, planned=True)
            lost = partial(LargestUnitsLoss, kind="largest-units", plant=plant)
            yield _make(terms, f"maintenance-unit-{plant}", (rate, hours), out, lost)


def planned_outage_share(model: Model, plant: str) -> float:
    """Share of the year in which a unit of a plant is out for maintenance."""
    counts = unit_counts(model, plant).items()
    kinds = model.cooling_units
    return outage_share(sum(n * kinds[u].planned_outage_hours_per_year for u, n in counts))


def planned_outages(model: Model) -> Iterator[Scenario]:
    """Maintenance by itself, of the largest unit of each primary plant."""
    terms = FamilyTerms(severity="single", hours=model.generators.hours)
    for plant in primary_plants(model):
        share = planned_outage_share(model, plant)
        if share:
            out = partial(LargestUnitsLoss, kind="largest-units", plant=plant, planned=True)
            component = (share * HOURS_PER_YEAR / MAINTENANCE_HOURS, MAINTENANCE_HOURS)
            yield _make(terms, f"maintenance-{plant}", component, out)


def _plant_losses(model: Model, terms: FamilyTerms) -> Iterator[Scenario]:
    for plant in primary_plants(model):
        yield plant_loss(terms, plant)


def plant_loss(terms: FamilyTerms, plant: str) -> Scenario:
    """Loss of a whole plant."""
    return _node_loss(terms, "plant", plant, (0.01, 12.0))


def _region_losses(model: Model, terms: FamilyTerms) -> Iterator[Scenario]:
    for name, region in model.regions.items():
        if not region.candidate or _can_hold_gpus(model, name):
            yield _node_loss(terms, "region", name, (0.03, 24.0))


def _provider_losses(model: Model, terms: FamilyTerms) -> Iterator[Scenario]:
    for name in sorted({offer.provider for offer in model.offers.values()}):
        yield _node_loss(terms, "provider", name, (0.05, 24.0))


def _short_provider_losses(model: Model, terms: FamilyTerms) -> Iterator[Scenario]:
    """Losses of regions in which everybody turns to the same providers."""
    delivers = model.generators.provider_short_delivers
    short = partial(Supply, kind="supply", delivers=delivers)
    for scenario in _region_losses(model, terms) if model.offers and delivers < 1 else ():
        (lost,) = scenario.events
        assert isinstance(lost, NodeLoss)
        loss = partial(NodeLoss, kind="region", name=lost.name)
        yield _make(terms, f"provider-short-{lost.name}", PROVIDER_SHORT, loss, short)


def _cluster_losses(model: Model, terms: FamilyTerms) -> Iterator[Scenario]:
    for name, cluster in model.clusters.items():
        if cluster.max_gpus:
            yield _node_loss(terms, "cluster", name, CLUSTER_LOSS)


def _service_losses(model: Model, terms: FamilyTerms) -> Iterator[Scenario]:
    for name, service in model.services.items():
        rate = service.failures_per_year
        known = SERVICE_LOSS if rate is None else (rate, service.repair_hours)
        yield _node_loss(terms, "service", name, known)


def _changes(model: Model, terms: FamilyTerms) -> Iterator[Scenario]:
    """Failed changes; their rate is divided equally among the places that one may hit."""
    for name, change in model.operations.changes.items():
        hit = _places_hit(model, change)
        for place, nodes in hit.items():
            component = (change.failures_per_year / len(hit), change.rollback_minutes / 60)
            events = [partial(NodeLoss, kind=kind, name=place) for kind, place in nodes]
            yield _make(terms, f"change-{name}{place}", component, *events)


def _places_hit(model: Model, change: OperationalChange) -> dict[str, list[tuple[NodeKind, str]]]:
    """Components that a failed change takes down together, by the suffix of the scenario name."""
    if change.services:
        return {"": [("service", service) for service in change.services]}
    places: dict[str, list[tuple[NodeKind, str]]] = {}
    for name, cluster in model.clusters.items():
        if cluster.max_gpus:
            ends = {"cluster": f"-{name}", "region": f"-{cluster.region}", "platform": ""}
            places.setdefault(ends[change.reach], []).append(("cluster", name))
    return places


def _heat_waves(
    model: Model, wave: FamilyTerms | None, with_unit: FamilyTerms | None
) -> Iterator[Scenario]:
    for region in model.regions:
        if not _can_hold_gpus(model, region):
            continue
        rise = model.generators.heat_wave_rise_c
        heat = partial(Heat, kind="heat", region=region, rise_c=rise)
        if wave:
            yield _make(wave, f"heat-wave-{region}", (0.5, 72.0), heat)
        if not with_unit:
            continue
        for plant in primary_plants(model):
            if model.plants[plant].region == region:
                loss = partial(LargestUnitsLoss, kind="largest-units", plant=plant, count=1)
                name = f"heat-wave-unit-{plant}"
                yield _make(with_unit, name, (0.05, 24.0), heat, loss)


def _surges(model: Model, terms: FamilyTerms) -> Iterator[Scenario]:
    event = partial(Surge, kind="surge", factor=model.generators.surge_factor)
    yield _make(terms, "surge", (1.0, 8.0), event)


#: Families by the field of `Generators` that asks for them, in the order of their scenarios.
FAMILIES: Mapping[str, Family] = MappingProxyType(
    {
        "unit": _unit_losses,
        "units": _units_losses,
        "maintenance": _unit_losses_in_maintenance,
        "plant": _plant_losses,
        "feed": _feed_losses,
        "feed_no_generator": _feed_losses_without_generator,
        "sag": _sags,
        "restart_failure": _restart_failures,
        "region": _region_losses,
        "provider": _provider_losses,
        "provider_short": _short_provider_losses,
        "heat_wave": lambda model, terms: _heat_waves(model, terms, None),
        "heat_wave_unit": lambda model, terms: _heat_waves(model, None, terms),
        "surge": _surges,
        "cluster": _cluster_losses,
        "service": _service_losses,
        "change": _changes,
    }
)
#: Severity of a family where a model states none: a component alone is `single`, what takes several
#: components with it is `common`.
SEVERITIES: Mapping[str, Severity] = MappingProxyType(
    {
        "unit": "single",
        "units": "double",
        "maintenance": "double",
        "plant": "common",
        "feed": "single",
        "feed_no_generator": "common",
        "sag": "single",
        "restart_failure": "common",
        "region": "region",
        "provider": "single",
        "provider_short": "region",
        "heat_wave": "common",
        "heat_wave_unit": "double",
        "surge": "common",
        "cluster": "common",
        "service": "common",
        "change": "common",
    }
)
