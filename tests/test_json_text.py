"""The one writer of JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.infrastructure.failures import FamilyTerms
from planner.json_text import json_text, plain


class Colour(StrEnum):
    """An enumeration of texts."""

    RED = "red"


@dataclass(frozen=True)
class Holder:
    """A dataclass that holds anything."""

    held: Any


TERMS = FamilyTerms(severity="double", frequency_per_year=0.05, repair_hours=24.0)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.int64(3), 3),
        (np.bool_(True), True),
        (np.float32(0.5), 0.5),
        (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
        (float("nan"), None),
        (-np.inf, None),
        ({"b", "a"}, ["a", "b"]),
        (frozenset({(2, 1), (1, 2)}), [[1, 2], [2, 1]]),
        (Path("a") / "b", "a/b"),
        (Colour.RED, "red"),
        (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00+00:00"),
        ({("zone", "tier"): 1, 2: 2, Colour.RED: 3}, {"zone/tier": 1, "2": 2, "red": 3}),
        (Holder(TERMS), {"held": TERMS.model_dump(mode="json")}),
        ((one for one in (1, 2)), [1, 2]),
    ],
)
def test_each_kind_of_value(value: Any, expected: Any) -> None:
    assert json.loads(json_text(value)) == expected


def test_true_and_one_stay_apart() -> None:
    assert json_text([True, 1, 1.0, np.bool_(False)], "line") == "[true, 1, 1.0, false]"


@pytest.mark.parametrize("value", [object(), b"bytes", {object(): 1}, [{"deep": {1j}}]])
def test_what_has_no_form_is_an_error_of_its_type(value: Any) -> None:
    with pytest.raises(TypeError, match="JSON"):
        json_text(value)


def test_layouts() -> None:
    value = {"a": [1, "é"]}
    assert json_text(value) == '{\n "a": [\n  1,\n  "é"\n ]\n}'
    assert json_text(value, "line") == '{"a": [1, "é"]}'
    assert json_text(value, "compact", ascii_only=True) == '{"a":[1,"\\u00e9"]}'


leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.builds(Holder, inner),
    max_leaves=12,
)


@given(values)
def test_whatever_is_written_is_valid_and_reads_as_the_plain_value(value: Any) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    assert json.loads(json_text(value), parse_constant=refuse) == plain(value)


@given(st.lists(st.integers() | st.text(), unique=True))
def test_sets_are_written_in_one_order(value: list[Any]) -> None:
    backwards: set[Any] = set()
    backwards.update(reversed(value))
    assert json_text(set(value)) == json_text(backwards)
