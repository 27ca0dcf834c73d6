"""A plan in the making, and what it reserves in the cloud for what regions cannot hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from planner.optimization.formulation.problem import ProblemData

#: Cloud added in one step, as a share of the peak of the week.
CLOUD_STEP = 0.01
#: Heat in MW and requests per second that are rounding.
NOTHING = 1e-6


@dataclass(frozen=True)
class Sizing:
    """Sizes of a plan in the making.

    Parameters
    ----------
    gpus
        GPUs in all by cluster.
    instances
        Instances in all by offer.
    extra_units
        Units beyond N+k by plant, of the type that the plant buys.
    other_units
        Units of named types beyond N+k by plant and type.
    measures
        Measures that are bought.
    """

    gpus: Mapping[str, int]
    instances: Mapping[str, int]
    extra_units: Mapping[str, int] = field(default_factory=dict)
    other_units: Mapping[tuple[str, str], int] = field(default_factory=dict)
    measures: frozenset[str] = frozenset()


def reserved(data: ProblemData, sizing: Sizing, rps: float) -> Sizing:
    """With so many requests per second more in the cloud, as far as there is supply."""
    model, instances = data.model, dict(sizing.instances)

    def price(offer: str) -> float:
        terms = model.offers[offer]
        yearly = terms.retainer_usd_per_instance_year
        return yearly / (terms.gpus_per_instance * terms.rps_per_gpu)

    for offer in sorted(model.offers, key=price):
        terms, policies = model.offers[offer], model.policies
        rps_per_instance = terms.gpus_per_instance * terms.rps_per_gpu
        supply = terms.available_gpus // terms.gpus_per_instance - instances[offer]
        if offer in policies.forbidden.emergency or offer in policies.fixed.emergency:
            continue
        wanted = max(0, min(supply, -int(-rps // rps_per_instance)))
        instances[offer] += wanted
        rps -= wanted * rps_per_instance
    return replace(sizing, instances=instances)


def more_cloud(data: ProblemData, sizing: Sizing) -> Sizing | None:
    """One step more of the cloud; None where there is no supply."""
    more = reserved(data, sizing, CLOUD_STEP * data.peak_rps)
    return None if more == sizing else more
