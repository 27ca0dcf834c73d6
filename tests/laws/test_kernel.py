"""The compiled form of the routing law is the routing law."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.laws import traffic
from planner.laws.traffic import Routes, can_compile, deliver

pytest.importorskip("numba", reason="Numba, of the extra `fast`, is not installed")


def test_compiled_loops_are_used_where_numba_is_installed() -> None:
    assert can_compile()


@pytest.mark.parametrize("error", [ImportError, RuntimeError("no locator available"), OSError])
def test_routing_falls_back_to_numpy_without_a_working_numba(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: str) -> None:
        raise error

    monkeypatch.setattr(traffic, "import_module", fail)
    assert not can_compile.__wrapped__()


@settings(derandomize=True, deadline=None, max_examples=100)
@given(st.integers(0, 10**9))
def test_compiled_loops_route_like_the_numpy_law(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scenarios, zones, tiers, targets = (int(rng.integers(1, most)) for most in (6, 5, 4, 6))
    order = np.full((tiers, targets, zones), -1, dtype=np.int64)
    for tier in range(tiers):
        for zone in range(zones):
            reached = rng.permutation(targets)[: rng.integers(0, targets + 1)]
            order[tier, : len(reached), zone] = reached
    level = np.cumsum(rng.random(tiers) < 0.6).astype(np.int64)
    routes = Routes.from_order(order, targets, level - level[0])
    demand = np.round(rng.uniform(0, 100, (scenarios, zones, tiers))) * (
        rng.random((scenarios, zones, tiers)) < 0.8
    )
    known_capacity = np.round(rng.uniform(0, 300, (scenarios, targets))) * (
        rng.random((scenarios, targets)) < 0.7
    )
    capacity = known_capacity * np.where(
        rng.random(known_capacity.shape) < 0.7, 1.0, rng.random(known_capacity.shape)
    )
    by_priority = rng.random(scenarios) < 0.5
    allowed = None if rng.random() < 0.5 else rng.random((tiers, scenarios, targets)) < 0.8
    arguments = (demand, known_capacity, capacity, routes, by_priority, allowed)
    for plain, compiled in zip(
        deliver(*arguments), deliver(*arguments, compiled=True), strict=True
    ):
        assert compiled == pytest.approx(plain, abs=1e-6)
