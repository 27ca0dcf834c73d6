"""Quotients of numbers of any size, down to the least above zero."""

from __future__ import annotations

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st
from laws.written import dropped_of

from planner.laws.ratios import LARGEST, ratio

AMOUNT = st.floats(0.0, 1e12)


@given(part=AMOUNT, whole=AMOUNT, none=st.sampled_from([0.0, 1.0]))
@example(part=4.0, whole=2.2e-308, none=0.0)
@example(part=4.0, whole=5e-324, none=0.0)
def test_a_ratio_is_finite_for_any_input(part, whole, none) -> None:
    found = ratio(np.array(part), np.array(whole), none)
    capped = ratio(np.array(part), np.array(whole), none, most=1.0)

    assert 0 <= found <= LARGEST
    if not whole:
        assert found == capped == none
    else:
        assert capped == min(1.0, found)
        assert found == LARGEST or np.isclose(found, part / whole)


def test_a_ratio_broadcasts_its_shapes() -> None:
    assert ratio(np.ones((3, 1)), np.array([1.0, 0.0])).tolist() == [[1.0, 0.0]] * 3


@given(unserved=AMOUNT, arriving=AMOUNT, limit=AMOUNT)
@example(unserved=4.0, arriving=2.2e-308, limit=0.0)
@example(unserved=1e12, arriving=5e-324, limit=0.0)
def test_a_full_queue_drops_at_most_its_arrivals(unserved, arriving, limit) -> None:
    dropped = dropped_of(np.array([[unserved]]), np.array([[arriving]]), limit).item()

    excess = max(0.0, unserved - limit)
    assert 0 <= dropped <= min(unserved, arriving)
    assert dropped <= excess * (1 + 1e-12)
    assert np.isclose(dropped, min(excess, unserved, arriving))
