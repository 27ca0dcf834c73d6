"""Controls of the what-if page: what each position sets, and back."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.errors import InputError
from planner.explore import variants
from planner.explore.controls import Control, controls_of, positions_of, settings_at
from planner.explore.planning import Answer
from planner.infrastructure.loading import LoadedModel, load_model


def moved(control: Control) -> float:
    """A position of a control away from its start."""
    return control.low if control.start != control.low else control.high


@pytest.mark.parametrize("name", ["tiny", "chatgpt-2023"])
def test_every_control_of_a_model_changes_it_and_is_found_again(name: str) -> None:
    model = load_model(name).model
    controls = controls_of(model)
    assert {"Demand", "Prices", "Standard", "Lead times", "Failures"} == {
        control.group for control in controls
    }
    for control in controls:
        texts = control.settings(moved(control))
        assert load_model(name, texts).model != model, control
        assert positions_of(controls, texts) == ({control: moved(control)}, ()), control
    assert settings_at(controls, {}) == ()


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_positions_come_back_from_their_settings(tiny: LoadedModel, data: st.DataObject) -> None:
    controls = controls_of(tiny.model)
    positions = {}
    for control in data.draw(st.sets(st.sampled_from(controls))):
        steps = int((control.high - control.low) / control.step)
        value = control.low + control.step * data.draw(st.integers(0, steps))
        if value != control.start:
            positions[control] = value
    rest = ("clusters.west-gpus.max_gpus=1800",) if data.draw(st.booleans()) else ()
    texts = (*settings_at(controls, positions), *rest)
    assert positions_of(controls, texts) == (positions, rest)


def test_settings_that_no_slider_has_stay_texts(tiny: LoadedModel) -> None:
    controls = controls_of(tiny.model)
    texts = (
        "zones.*.demand_rps=*9",  # beyond the slider
        "zones.*.demand_rps=900",  # no factor
        "generators.region=null",
        "generators.region=null",  # twice: their order may matter
        "finance.discount_rate=ten",
    )
    assert positions_of(controls, texts) == ({}, texts)


def kept(name: str, texts: tuple[str, ...]) -> Answer:
    """An answer with the plan of nothing in particular, for its model alone."""
    return Answer(texts, None, load_model(name, texts))


@pytest.mark.parametrize(
    "texts",
    [
        ("zones.*.demand_rps=*1.2", "zones.east-users.demand_rps=*0.5"),
        ("standard.region[1].least_served=0.8", "standard.region[0].least_served=0.9"),
        ("generators.region=null", "generators.surge_factor=1.5"),
        ("cooling_units.chiller-3.capital_usd=1e6", "gpus.*.capital_usd=*0.5"),
    ],
)
def test_a_model_file_says_what_its_settings_say(tmp_path, texts: tuple[str, ...]) -> None:
    loaded = load_model("tiny", texts)
    file = tmp_path / "variant.yaml"
    file.write_text(variants.model_text(loaded, tmp_path))
    assert load_model(file).model.replace(name="tiny") == loaded.model


def test_of_the_factors_of_a_catalogue_figure_the_file_has_the_same(tmp_path) -> None:
    loaded = load_model("chatgpt-2023", ("offers.*.usd_per_instance_hour=*1.5",))
    file = tmp_path / "variant.yaml"
    file.write_text(variants.model_text(loaded, tmp_path))
    assert load_model(file).model.replace(name="chatgpt-2023") == loaded.model


@pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden", "a" * 42, "a b"])
def test_names_that_are_no_folder_are_refused(tmp_path, name: str) -> None:
    with pytest.raises(InputError, match="expected letters"):
        variants.keep(name, kept("tiny", ()), tmp_path)
    assert not list(tmp_path.iterdir())
