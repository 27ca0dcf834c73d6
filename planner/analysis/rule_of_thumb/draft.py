"""A plan in the making."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

#: Heat in MW and requests per second that are rounding.
NOTHING = 1e-6


@dataclass(frozen=True)
class SizingDraft:
    """A plan in the making.

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
