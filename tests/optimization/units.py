"""The same model stated in other units of money, requests and power."""

from __future__ import annotations

import re
from typing import Any

from planner.infrastructure.entities import Model

#: Powers of (money, requests, power) in the unit of an attribute, by its name; the first that fits.
UNITS: list[tuple[str, tuple[int, int, int]]] = [
    (r"usd_per_(million|1000)_requests", (1, -1, 0)),
    (r"usd_per_mwh", (1, 0, -1)),
    (r"usd", (1, 0, 0)),
    (r"mw_per_mw|mj_per_k_per_mw", (0, 0, 0)),
    (r"rps|connections$", (0, 1, 0)),
    (r"_mw$|_mwh$", (0, 0, 1)),
]


def in_units(model: Model, money: float = 1.0, requests: float = 1.0, power: float = 1.0) -> Model:
    """A model with its numbers multiplied, as if dollars, requests and megawatts were smaller."""
    factors = (money, requests, power)

    def changed(value: Any, factor: float) -> Any:
        if isinstance(value, dict):
            return {key: changed(one, _factor(key, factors, factor)) for key, one in value.items()}
        if isinstance(value, (list, tuple)):
            return [changed(one, factor) for one in value]
        if isinstance(value, float) and factor != 1:
            return value * factor
        return value

    return Model.model_validate(changed(model.model_dump(mode="python"), 1.0))


def _factor(name: str, factors: tuple[float, float, float], above: float) -> float:
    for pattern, powers in UNITS:
        if re.search(pattern, name):
            found = 1.0
            for factor, power in zip(factors, powers, strict=True):
                found *= factor**power
            return found
    return above
