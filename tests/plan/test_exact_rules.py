"""Rules on purchases in fractions: nothing is rounded, in either direction."""

from __future__ import annotations

from fractions import Fraction

import pytest
from support import model_of

from planner.infrastructure.fleet import Fleet
from planner.infrastructure.loading import load_model
from planner.optimization.solution import audit_purchases
from planner.optimization.solution.audit_purchases import broken_rules
from planner.plan.claims import exactly

#: Heat is 7,000 · 0.0007 MW, which floating-point numbers have above 4.9; so are power and capital.
JUST = """
regions: {here: {power_limit_mw: 5.39, power_loss_share: 0.05, hall_mw_per_mw: 0.05,
                 design_ambient_c: 36.1}}
gpus: {gpu: {power_mw: 0.0007, static_share: 0.3, rps: 1.0, capital_usd: 0.1}}
clusters: {site: {region: here, gpu: gpu, block_gpus: 70, max_gpus: 7000}}
cooling_units: {chiller: {capacity_mw: 0.7, capital_usd: 0.1}, small: {capacity_mw: %s}}
plants: {chillers: {region: here, cools: [site], redundancy: 1, existing: {small: 8}}}
tiers: {every: {priority: 1, share: 1.0}}
zones: {users: {demand_rps: 100.0, latency_ms: {here: 1.0}}}
policies: {capital_budget_usd: %s}
"""


@pytest.mark.parametrize(
    ("mw", "budget", "broken"),
    [("0.7", "700.0", 0), ("0.69999999999999", "700.0", 1), ("0.7", "699.99999999999", 1)],
)
def test_what_is_just_enough_is_enough_and_no_less(tmp_path, mw, budget, broken) -> None:
    model = model_of(tmp_path, JUST % (mw, budget))
    fleet = Fleet.after(model, {}, {"site": 7000}, {}, frozenset(), frozenset())
    assert 7000 * 0.0007 > 7 * 0.7
    assert len(broken_rules(exactly(model), fleet)) == broken
    assert not broken_rules(model, fleet)  # to the tolerance of solvers


@pytest.mark.parametrize("name", ["tiny", "chatgpt-2023-measures", "hyperscaler-12"])
def test_every_amount_that_is_compared_is_a_fraction(name, monkeypatch) -> None:
    model = load_model(name, ("policies.capital_budget_usd=1e9",)).model
    everything = frozenset(model.regions), frozenset(model.measures)
    compared = []

    def noted(left: object, right: object, _: float = 1.0) -> bool:
        compared.append((left, right))
        return False

    monkeypatch.setattr(audit_purchases, "exceeds", noted)
    units = {(plant, unit): 1 for plant in model.plants for unit in model.plants[plant].options}
    blocks = {name: entry.block_gpus for name, entry in model.clusters.items()}
    broken_rules(exactly(model), Fleet.after(model, units, blocks, {}, *everything))
    assert len(compared) > 3
    assert all(isinstance(side, Fraction | int) for sides in compared for side in sides)
