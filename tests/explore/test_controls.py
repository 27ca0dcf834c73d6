"""Controls of the what-if page: what each position sets, and back."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.explore.controls import Control, controls_of, positions_of, settings_at
from planner.infrastructure.loading import LoadedModel, load_model


def moved(control: Control) -> float:
    """A position of a control away from its start."""
    return control.low if control.start != control.low else control.high


@pytest.mark.parametrize("name", ["tiny", "chatgpt-2023"])
def test_every_control_of_a_model_changes_it_and_is_found_again(name: str) -> None:
    model = load_model(name).model
    controls = tuple(controls_of(model))
    assert {"Demand", "Prices", "Standard", "Lead times", "Failures"} == {
        control.group for control in controls
    }
    for control in controls:
        texts = control.settings(moved(control))
        assert load_model(name, texts).model != model, control
        assert positions_of(controls, texts) == ({control: moved(control)}, ()), control
    assert settings_at({control: control.start for control in controls}) == ()


@settings(deadline=None)
@given(data=st.data())
def test_positions_come_back_from_their_settings(tiny: LoadedModel, data: st.DataObject) -> None:
    controls = tuple(controls_of(tiny.model))
    positions = {}
    for control in data.draw(st.sets(st.sampled_from(controls))):
        steps = int((control.high - control.low) / control.step)
        value = control.low + control.step * data.draw(st.integers(0, steps))
        if value != control.start:
            positions[control] = value
    rest = ("clusters.west-gpus.max_gpus=1800",) if data.draw(st.booleans()) else ()
    texts = (*settings_at(positions), *rest)
    assert positions_of(controls, texts) == (positions, rest)


def test_settings_that_no_slider_has_stay_texts(tiny: LoadedModel) -> None:
    controls = tuple(controls_of(tiny.model))
    texts = (
        "zones.*.demand_rps=*9",  # beyond the slider
        "zones.*.demand_rps=900",  # no factor
        "generators.region=null",
        "generators.region=null",  # twice: their order may matter
        "finance.discount_rate=ten",
    )
    assert positions_of(controls, texts) == ({}, texts)
