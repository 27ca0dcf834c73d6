"""A model whose purchase limits are so wide that only rows added for them bind."""

from __future__ import annotations

import math

from planner.infrastructure.entities import Model
from planner.infrastructure.fleet import heat_of, plant_units, unit_mw
from planner.infrastructure.policies import FixedPurchases, ForbiddenPurchases
from planner.laws.traffic import serving_rps

#: Purchase limits grow by at least this factor, and by at most the second where demand needs more.
ROOM = 10
MOST_ROOM = 1000
#: Largest count that a model may state.
MOST_COUNT = 10_000_000


def with_wide_limits(model: Model) -> Model:
    """The model with purchase limits wide enough for all that is asked for.

    Each is at least `ROOM` times what the model has. No purchase is fixed or forbidden.
    """
    policies = model.policies
    counts = [count for units in policies.fixed.cooling.values() for count in units.values()]
    units = max([0, *counts, *(plant.max_added for plant in model.plants.values())])
    clusters = {
        name: cluster.replace(
            max_gpus=_room(cluster.max_gpus or cluster.block_gpus, _gpus_for_all(model, name))
        )
        for name, cluster in model.clusters.items()
    }
    larger = model.replace(clusters=clusters)
    return larger.replace(
        plants={
            name: plant.replace(
                max_added=_room(units + 1, _units_for_all(larger, name)),
                options=tuple(dict.fromkeys((*plant.options, *plant.existing))),
            )
            for name, plant in model.plants.items()
        },
        offers={
            name: offer.replace(
                available_gpus=_room(
                    offer.available_gpus + offer.gpus_per_instance,
                    _most_rps(model) / offer.rps_per_gpu if offer.rps_per_gpu else 0.0,
                )
            )
            for name, offer in model.offers.items()
        },
        policies=policies.replace(
            fixed=FixedPurchases(),
            forbidden=ForbiddenPurchases(),
        ),
    )


def _room(count: int, needed: float) -> int:
    most = min(MOST_ROOM * max(count, 1), MOST_COUNT)
    return min(max(ROOM * count, math.ceil(min(needed, most))), MOST_COUNT)


def _most_rps(model: Model) -> float:
    """Twice the demand of all zones in the largest surge of the model."""
    events = (event for scenario in model.scenarios.values() for event in scenario.events)
    factors = [event.factor for event in events if event.kind == "surge"]
    factor = max([1.0, model.generators.surge_factor, *factors])
    return 2 * factor * sum(zone.demand_rps for zone in model.zones.values())


def _gpus_for_all(model: Model, cluster: str) -> float:
    """GPUs with which a cluster alone serves all demand."""
    entry = model.clusters[cluster]
    rps_per_gpu = serving_rps(1.0, model.gpus[entry.gpu].rps, entry.max_utilisation)
    return float(_most_rps(model) / rps_per_gpu) if rps_per_gpu else 0.0


def _units_for_all(model: Model, plant: str) -> float:
    """Units of the smallest type with which a plant alone cools full clusters."""
    sizes = [unit_mw(model, plant, unit) for unit in plant_units(model, plant)]
    clusters = [model.clusters[name] for name, _ in heat_of(model, plant)]
    heat = sum(model.gpus[cluster.gpu].power_mw * cluster.max_gpus for cluster in clusters)
    return heat / min((size for size in sizes if size), default=math.inf)
