"""Which values of the model bound the purchases.

Bounds of variables in the programme itself are rows here, so that they can be relaxed.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from planner.infrastructure.changes import value_at
from planner.infrastructure.entities import Model
from planner.infrastructure.prices import gpu_assets, unit_asset
from planner.optimization.formulation.algebra import Constraint, Expression
from planner.optimization.formulation.families import Family
from planner.optimization.formulation.programme import Row
from planner.optimization.infeasibility.elastic import (
    ElasticProgramme,
    RelaxableValue,
    ValueColumn,
    changed_number,
)


def add_bounds(elastic: ElasticProgramme) -> None:
    """Add the bounds of all purchases, each with the values that relax it."""
    _units(elastic)
    _blocks(elastic)
    _instances(elastic)
    _choices(elastic)


def _relax(
    elastic: ElasticProgramme, column: ValueColumn, row: Row, bound: Constraint, per_unit: float
) -> None:
    """Let a value relax a bound, which is a group of its own."""
    elastic.relax(column, row, bound, per_unit)
    elastic.group(row, [bound])


def _units(elastic: ElasticProgramme) -> None:
    """Cooling units: the limit of the plant, fixed and forbidden purchases, types not on offer.

    Where types of different prices share the limit of a plant, it has the lowest price.
    """
    model, programme = elastic.model, elastic.programme
    fixed, rate = model.policies.fixed.cooling, model.finance.discount_rate
    for (plant, unit), count in programme.purchases.units.items():
        entry, capital_usd = model.plants[plant], model.cooling_units[unit].capital_usd
        number = fixed.get(plant, {}).get(unit)
        if number is not None:
            net = 1 * count
            if (plant, unit) in programme.purchases.retired:
                net = net - programme.purchases.retired[plant, unit]
            path, subject = f"policies.fixed.cooling.{plant}.{unit}", f"{plant}/{unit}"
            _fixed(elastic, net, Row(Family.FIXED, subject, "", number, counted_in="units"), path)
        else:
            yearly = unit_asset(model, plant, unit).bought_usd_per_year(rate)
            path = f"plants.{plant}.max_added"
            value = RelaxableValue(
                path, "limit", "max_added", plant, "units", changed_number(path, 1.0),
                usd=capital_usd, usd_per_year=yearly,
            )  # fmt: skip
            column = elastic.column(value, whole=True, weight=1 / max(entry.max_added, 1))
            if capital_usd < (column.value.usd or 0.0):
                column.at_price(capital_usd, yearly)
            row = Row(Family.MOST_UNITS, f"{plant}/{unit}", "", float(entry.max_added))
            bound = elastic.bound(count <= entry.max_added, "units", plant, unit)
            _relax(elastic, column, row, bound, 1.0)
            if unit not in entry.options:
                _not_on_offer(elastic, count, plant, unit)
        for name in sorted({plant, unit} & set(model.policies.forbidden.cooling)):
            _forbidden(elastic, count, "cooling", name, (plant, unit))


def _not_on_offer(elastic: ElasticProgramme, count: Any, plant: str, unit: str) -> None:
    """Units of a type that the plant has, but that is not among its options."""
    path, most, subject = f"plants.{plant}.options", count.high or 0.0, f"{plant}/{unit}"
    bound = elastic.bound(1 * count <= 0, "option", plant, unit)
    value = RelaxableValue(path, "limit", "options", subject, "", partial(_with_option, path, unit))
    column = elastic.column(value, most=1.0, whole=True)
    _relax(elastic, column, Row(Family.NO_OPTION, subject, "", most), bound, most)


def _with_option(path: str, unit: str, model: Model, _: float) -> tuple[str, ...]:
    return (*value_at(model, path), unit)


def _blocks(elastic: ElasticProgramme) -> None:
    """GPU blocks: the limit of the cluster, fixed and forbidden purchases."""
    model, rate = elastic.model, elastic.model.finance.discount_rate
    for cluster, blocks in elastic.programme.purchases.blocks.items():
        entry, assets = model.clusters[cluster], gpu_assets(model, cluster).values()
        most = (entry.max_gpus - entry.existing_gpus) // entry.block_gpus
        value = RelaxableValue(
            f"clusters.{cluster}.max_gpus", "limit", "max_gpus", cluster, "GPUs",
            partial(_more_gpus, cluster), usd=sum(asset.price_usd for asset in assets),
            usd_per_year=sum(asset.bought_usd_per_year(rate) for asset in assets),
        )  # fmt: skip
        weight = entry.block_gpus / max(entry.max_gpus, 1)
        column = elastic.column(value, float(entry.block_gpus), whole=True, weight=weight)
        row = Row(Family.MOST_GPUS, cluster, "", float(entry.max_gpus))
        bound = elastic.bound(blocks <= most, "blocks", cluster)
        _relax(elastic, column, row, bound, 1 / entry.block_gpus)
        number = model.policies.fixed.gpus.get(cluster)
        if number is not None:
            net = 1 * blocks
            if cluster in elastic.programme.purchases.retired_blocks:
                net = net - elastic.programme.purchases.retired_blocks[cluster]
            row = Row(Family.FIXED, cluster, "", number, counted_in="GPUs")
            _fixed(elastic, net, row, f"policies.fixed.gpus.{cluster}", entry.block_gpus)
        if cluster in model.policies.forbidden.gpus:
            _forbidden(elastic, blocks, "gpus", cluster, (cluster,))


def _more_gpus(cluster: str, model: Model, amount: float) -> int:
    entry = model.clusters[cluster]
    blocks = (entry.max_gpus - entry.existing_gpus) // entry.block_gpus
    blocks += round(amount / entry.block_gpus)
    return entry.existing_gpus + blocks * entry.block_gpus


def _instances(elastic: ElasticProgramme) -> None:
    """Cloud instances: the supply of the offer, fixed and forbidden purchases."""
    model = elastic.model
    for offer, count in elastic.programme.purchases.instances.items():
        terms = model.offers[offer]
        most = max(0, terms.available_gpus // terms.gpus_per_instance - terms.existing_instances)
        value = RelaxableValue(
            f"offers.{offer}.available_gpus", "limit", "available_gpus", offer, "GPUs",
            partial(_more_instances, offer),
            usd_per_year=terms.retainer_usd_per_instance_year / terms.gpus_per_instance,
        )  # fmt: skip
        weight = terms.gpus_per_instance / max(terms.available_gpus, 1)
        column = elastic.column(value, float(terms.gpus_per_instance), whole=True, weight=weight)
        row = Row(Family.MOST_INSTANCES, offer, "", float(most))
        bound = elastic.bound(count <= most, "instances", offer)
        _relax(elastic, column, row, bound, 1 / terms.gpus_per_instance)
        number = model.policies.fixed.emergency.get(offer)
        if number is not None:
            row = Row(Family.FIXED, offer, "", number, counted_in="instances")
            _fixed(elastic, 1 * count, row, f"policies.fixed.emergency.{offer}")
        if offer in model.policies.forbidden.emergency:
            _forbidden(elastic, count, "emergency", offer, (offer,))


def _more_instances(offer: str, model: Model, amount: float) -> int:
    terms = model.offers[offer]
    supply = max(terms.available_gpus // terms.gpus_per_instance, terms.existing_instances)
    return (supply + round(amount / terms.gpus_per_instance)) * terms.gpus_per_instance


def _choices(elastic: ElasticProgramme) -> None:
    """Measures and regions: fixed decisions, and measures that are forbidden."""
    fixed = elastic.model.policies.fixed
    binaries = [
        ("measures", elastic.programme.purchases.measures, fixed.measures),
        ("regions", elastic.programme.purchases.opened, fixed.regions),
    ]
    for section, variables, decisions in binaries:
        for name, wanted in decisions.items():
            path, binary = f"policies.fixed.{section}.{name}", 1 * variables[name]
            bound = elastic.bound(binary >= 1 if wanted else binary <= 0, "fixed", section, name)
            value = RelaxableValue(
                path, "limit", "fixed_choice", name, "", partial(_opposite, path)
            )
            column = elastic.column(value, most=1.0, whole=True)
            _relax(elastic, column, Row(Family.FIXED_CHOICE, name, "", 1.0), bound, 1.0)
    for name in elastic.model.policies.forbidden.measures:
        _forbidden(elastic, elastic.programme.purchases.measures[name], "measures", name, (name,))


def _opposite(path: str, model: Model, _: float) -> bool:
    return not value_at(model, path)


def _fixed(
    elastic: ElasticProgramme, count: Expression, row: Row, path: str, block: int = 1
) -> None:
    """A fixed purchase, which may become larger or smaller."""
    number = -(-int(row.amount) // block)
    for side, sign in (("more", 1.0), ("less", -1.0)):
        bound = elastic.bound(
            count <= number if sign > 0 else count >= number, "fixed", row.subject, side
        )
        value = RelaxableValue(
            path, "limit", "fixed", row.subject, row.unit, changed_number(path, sign)
        )
        column = elastic.column(
            value, float(block), side=side, whole=True, weight=1 / max(abs(number), 1)
        )
        _relax(elastic, column, row, bound, 1 / block)


def _forbidden(
    elastic: ElasticProgramme, count: Any, section: str, name: str, bought: tuple[str, ...]
) -> None:
    """A purchase that a policy forbids, by one of its names."""
    path, most = f"policies.forbidden.{section}", count.high or 0.0
    bound = elastic.bound(1 * count <= 0, "forbidden", *bought, name)
    value = RelaxableValue(path, "limit", "forbidden", name, "", partial(_allowed, path, name))
    column = elastic.column(value, most=1.0, whole=True)
    _relax(elastic, column, Row(Family.FORBIDDEN, name, "", most), bound, most)


def _allowed(path: str, name: str, model: Model, _: float) -> tuple[str, ...]:
    return tuple(forbidden for forbidden in value_at(model, path) if forbidden != name)
