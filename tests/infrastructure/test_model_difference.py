"""What sets two models apart, rule by rule."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import run_here

from planner.infrastructure.loading import load_model
from planner.infrastructure.model_difference import _differing, model_changes

#: A "stricter" standard that names one rule and so drops the others that it inherits.
STRICTER = """extends: tiny
standard:
  region: [{tier: business, from_minute: 5, least_served: 0.99}]
"""


def changes(folder: Path, text: str) -> dict[str, tuple[object, object, str]]:
    path = folder / "other.yaml"
    path.write_text(text, encoding="utf-8")
    found = model_changes(load_model("tiny").model, load_model(path).model)
    return {one.path: (one.before, one.after, one.only_in) for one in found}


def test_rules_that_a_list_no_longer_has_are_named(tmp_path: Path) -> None:
    found = changes(tmp_path, STRICTER)
    assert found["standard.region[0].least_served"] == (0.95, 0.99, "")
    gone = [before for before, _, only_in in found.values() if only_in == "a"]
    assert [(one["tier"], one["from_minute"], one["least_served"]) for one in gone] == [
        ("all", 15.0, 0.7),
        ("each", 120.0, 1.0),
    ]


def test_a_rule_inserted_first_is_one_difference(tmp_path: Path) -> None:
    rules = """extends: tiny
standard:
  region:
    - {tier: free, from_minute: 60, least_served: 0.5}
    - {tier: business, from_minute: 5, least_served: 0.95}
    - {tier: all, from_minute: 15, least_served: 0.7}
    - {tier: each, from_minute: 120, least_served: 1.0}
"""
    ((path, (_, after, only_in)),) = changes(tmp_path, rules).items()
    assert (path, only_in) == ("standard.region[0]", "b")
    assert after["tier"] == "free"


def test_a_rule_that_only_one_model_has_is_a_difference(tmp_path: Path) -> None:
    text = "extends: tiny\nstandard: {extreme: [{tier: all, from_minute: 9, least_served: 0.1}]}\n"
    ((path, (before, after, only_in)),) = changes(tmp_path, text).items()
    assert (path, before, only_in) == ("standard.extreme[0]", None, "b")
    assert after["least_served"] == 0.1


def test_names_of_a_list(tmp_path: Path) -> None:
    text = "extends: tiny\nplants: {east-chillers: {options: [air-1, chiller-1]}}\n"
    assert changes(tmp_path, text) == {
        "plants.east-chillers.options[chiller-3]": ("chiller-3", None, "a"),
        "plants.east-chillers.options[air-1]": (None, "air-1", "b"),
    }
    text = "extends: tiny\nplants: {east-chillers: {options: [chiller-1, chiller-3]}}\n"
    ((path, values),) = changes(tmp_path, text).items()
    assert path == "plants.east-chillers.options"
    assert values == (["chiller-3", "chiller-1"], ["chiller-1", "chiller-3"], "")


def test_changed_hours_of_a_shape_are_single_differences() -> None:
    day = [1.0] * 24
    later = [*day[:20], 1.5, *day[21:]]
    (one,) = _differing("shapes.day.hours", day, later)
    assert (one.path, one.before, one.after) == ("shapes.day.hours[20]", 1.0, 1.5)
    (whole,) = _differing("shapes.day.hours", day, [2.0] * 24)
    assert whole.path == "shapes.day.hours"


def test_the_terminal_prints_rules_in_full(tmp_path: Path) -> None:
    (tmp_path / "stricter.yaml").write_text(STRICTER, encoding="utf-8")
    ran = run_here("compare", "tiny", "stricter.yaml", "-q", cwd=tmp_path, columns=120)
    assert "all, from_minute 15, least_served 0.7" in ran.stdout
    assert "each, from_minute 120, least_served 1" in ran.stdout


rules = st.lists(
    st.fixed_dictionaries(
        {
            "tier": st.sampled_from(["all", "each", "free"]),
            "from_minute": st.integers(0, 3),
            "least_served": st.sampled_from([0.5, 1.0]),
            "zone": st.sampled_from([None, "east"]),
        }
    ),
    max_size=5,
)


@given(rules, rules)
def test_every_difference_of_rules_is_told_and_no_other(was: list, now: list) -> None:
    found = list(_differing("rules", was, now))
    one_sided = {side: [one for one in found if one.only_in == side] for side in ("a", "b")}
    changed = {one.path.partition("].")[0] for one in found if not one.only_in}
    assert len(was) - len(one_sided["a"]) == len(now) - len(one_sided["b"])
    assert bool(found) == (_sorted(was) != _sorted(now))
    kept = len(now) - len(one_sided["b"]) - len(changed)
    assert kept >= 0


def _sorted(rules: list) -> list:
    """Rules in one order, whatever the order of their fields."""
    return sorted(repr(sorted(rule.items())) for rule in rules)


@pytest.mark.parametrize("model", ["tiny", "chatgpt-2023"])
def test_a_model_has_no_difference_from_itself(model: str) -> None:
    loaded = load_model(model).model
    assert model_changes(loaded, loaded) == ()
