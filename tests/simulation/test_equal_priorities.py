"""Tiers of equal priority share what there is alike, whatever their names and order."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from laws.written import rationed
from simulation.worlds import judged, operating, surge

from planner.infrastructure.customers import Tier
from planner.infrastructure.entities import Model

TIERS = {
    "first": Tier(name="first", priority=1, share=0.2, scarcity_allocation=0.2),
    "alpha": Tier(name="alpha", priority=2, share=0.3, scarcity_allocation=0.3),
    "omega": Tier(name="omega", priority=2, share=0.3, scarcity_allocation=0.3),
    "last": Tier(name="last", priority=7, share=0.2, scarcity_allocation=0.2),
}


def _served(
    one: Model, order: tuple[str, ...], factor: float, **operations: str
) -> dict[str, float]:
    tiers = {name: TIERS[name] for name in order}
    model = operating(one.replace(tiers=tiers), priority_shedding="automatic", **operations)
    return judged(model, surge(factor, 5, 100)).served


@pytest.mark.parametrize("order", list(permutations(("alpha", "first", "omega", "last")))[::5])
@pytest.mark.parametrize("rationing", ["priority", "allocation"])
def test_tiers_of_equal_priority_are_served_alike_in_any_order(
    one: Model, order: tuple[str, ...], rationing: str
) -> None:
    # 1,000 requests/s of 2,000: 400 for the first, 600 of 1,200 for the equal two, none left.
    served = _served(one, order, 2.0, rationing=rationing)
    assert served["alpha"] == pytest.approx(served["omega"], abs=1e-6)
    assert served["first"] > 0.99
    if rationing == "priority":
        assert served["alpha"] == pytest.approx(0.5, abs=1e-3)
        assert served["last"] == pytest.approx(0.0, abs=1e-3)


def test_unequal_demand_is_served_in_proportion(one: Model) -> None:
    tiers = {"big": TIERS["alpha"].replace(name="big", share=0.75)}
    tiers["small"] = TIERS["alpha"].replace(name="small", share=0.25)
    model = operating(one.replace(tiers=tiers), priority_shedding="automatic")
    served = judged(model, surge(1.6, 5, 100)).served
    assert served == pytest.approx({"big": 0.625, "small": 0.625}, abs=1e-3)


@pytest.mark.parametrize("available", [0.0, 0.3, 0.55, 0.8, 2.0])
def test_rationing_of_equals_does_not_depend_on_their_order(available: float) -> None:
    level, allocation = np.array([0, 1, 1, 2]), np.array([0.2, 0.4, 0.2, 0.2])
    swapped = [0, 2, 1, 3]
    granted = rationed(available, allocation, level)
    other = rationed(available, allocation[swapped], level)
    assert other[swapped] == pytest.approx(granted)
    assert granted.sum() == pytest.approx(min(available, 1.0))
    assert granted[1] == pytest.approx(2 * granted[2])
