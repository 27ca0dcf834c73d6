"""Failures at hours of the week: names, shares, selection."""

from __future__ import annotations

from math import fsum

import numpy as np
import pytest

from planner.errors import InputError
from planner.infrastructure.entities import Model
from planner.infrastructure.loading import load_model
from planner.laws.calendar import HOURS
from planner.scenarios.climate import ambient_at
from planner.scenarios.demand import demand_at, peak_hour
from planner.scenarios.generators import all_scenarios
from planner.scenarios.hours import failure_and_hour, failures_behind, first_alike, name_at
from planner.selection import Selection, Wanted, select

#: The two zones of the small model are busy at different hours.
DAY = (
    "shapes.day=[0.3, 0.3, 0.4, 0.5, 0.7, 0.9, 1, 1, 1, 0.9, 0.8, 0.8, 0.7, 0.7, 0.6, 0.6, 0.5, "
    "0.5, 0.4, 0.4, 0.3, 0.3, 0.3, 0.3]",
    "zones.west-users.shape=day",
    "zones.east-users.shape=day",
    "zones.east-users.utc_offset_hours=8",
)


@pytest.fixture(scope="module")
def model() -> Model:
    return load_model("tiny", DAY).model


def names(selection: Selection) -> list[str]:
    return [scenario.name for scenario in selection.scenarios]


def often(selection: Selection) -> float:
    return fsum(scenario.frequency_per_year for scenario in selection.scenarios)


def test_every_hour_has_a_name_that_leads_back_to_it() -> None:
    assert [failure_and_hour(name_at("a@b", hour)) for hour in HOURS.values()] == [
        ("a@b", hour) for hour in range(168)
    ]
    assert failure_and_hour("a@b") == ("a@b", None)


@pytest.mark.parametrize("hours", ["worst", "peak", "all"])
@pytest.mark.parametrize("also", [(), ("region-west@Sun-23", "unit-west-chillers@Tue-04")])
def test_hours_share_the_frequency_of_their_failure(model, hours, also) -> None:
    whole = fsum(failure.frequency_per_year for failure in all_scenarios(model))
    found = select(model, Wanted(hours=hours, also=also))
    assert often(found) == pytest.approx(whole)
    assert set(also) <= set(names(found))
    behind = failures_behind(found.scenarios)
    assert [failure.name for failure in behind] == [one.name for one in all_scenarios(model)]
    assert fsum(failure.frequency_per_year for failure in behind) == pytest.approx(whole)


def test_peak_means_the_failures_as_they_are(model) -> None:
    assert select(model, Wanted(hours="peak")).scenarios == all_scenarios(model)
    changed = load_model("tiny", (*DAY, "generators.hours=peak")).model
    assert names(select(changed)) == [failure.name for failure in all_scenarios(model)]


def test_a_family_may_state_its_hours() -> None:
    family = "generators.region={severity: region, hours: all}"
    found = select(load_model("tiny", (*DAY, "generators.hours=peak", family)).model)
    assert len(names(found)) == 8 + 2 * 168
    assert "region-west@Sun-23" in names(found)
    assert "surge" in names(found)


def test_a_scenario_of_the_model_keeps_its_hour() -> None:
    """The incident of 2023 began on a Wednesday at 16:05 UTC."""
    reference = load_model("chatgpt-2023").model
    for hours in ("worst", "all"):
        found = select(reference, Wanted(("written",), hours=hours))
        assert found.scenarios == tuple(reference.scenarios.values())


def test_a_scenario_states_an_hour_or_a_choice_of_hours() -> None:
    with pytest.raises(InputError, match="leave one of them out"):
        load_model("chatgpt-2023", ("scenarios.incident-2023.hours=all",))


@pytest.mark.parametrize(
    ("only", "expected"),
    [
        (("region-west",), {"region-west@Mon-06"}),
        (("region-west@Mon-*",), {"region-west@Mon-06"}),
        (("region-west@Thu-11", "surge"), {"region-west@Thu-11", "surge"}),
    ],
)
def test_patterns_name_failures_or_hours(model, only, expected) -> None:
    assert set(names(select(model, Wanted(only=only)))) == expected
    assert set(names(select(model).named(model, only, "--scenario"))) == expected


def test_an_hour_may_be_excluded() -> None:
    reference = load_model("chatgpt-2023").model
    kept = names(select(reference, Wanted(only=("region-us-west",))))
    found = names(select(reference, Wanted(excluded=(kept[0], "surge"))))
    assert set(kept[1:]) <= set(found)
    assert not {kept[0], "surge"} & set(found)


def test_the_number_of_hours_is_told(model) -> None:
    assert select(model).lines()[1] == "10 failures at 168 hours = 1,680 scenarios; 10 kept"
    assert len(select(model, Wanted(hours="peak")).lines()) == 1


def test_hours_left_out_and_hours_planned_for_are_all_that_differ(model) -> None:
    """Days are alike, so there are twenty-four hours."""
    found = select(model)
    left_out = [scenario.name for scenario in found.left_out(model)]
    assert len(left_out) == 10 * 24 - len(found.scenarios)
    assert not set(left_out) & set(names(found))
    joined = found.besides(model, ["region-west@Tue-03"])
    assert "region-west@Mon-03" not in [one.name for one in joined.left_out(model)]


def test_hours_are_alike_where_demand_and_ambient_run_alike() -> None:
    """The regions of the large model have hot weeks, in which no two hours are alike."""
    assert len(set(first_alike(load_model("hyperscaler-12").model, 720.0).tolist())) == 168
    reference = load_model("chatgpt-2023").model
    alike = first_alike(reference, 720.0)
    minutes = np.arange(0.0, 720.0, 7.0)
    assert len(set(alike.tolist())) == 24
    for hour in (30, 167):
        first = float(alike[hour])
        now, then = (demand_at(reference, at, minutes) for at in (float(hour), first))
        np.testing.assert_allclose(now, then, rtol=1e-12)
        for region in reference.regions:
            np.testing.assert_allclose(
                ambient_at(reference, region, float(hour), minutes),
                ambient_at(reference, region, first, minutes),
            )


def test_one_scenario_stands_for_all_hours_where_they_ask_for_the_same(tiny) -> None:
    assert names(select(tiny.model)) == [failure.name for failure in all_scenarios(tiny.model)]
    assert list(select(tiny.model).left_out(tiny.model)) == []
    assert peak_hour(tiny.model) == 0
