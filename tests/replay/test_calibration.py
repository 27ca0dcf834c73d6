"""Fitting an incident: what is known is found again, and what is not determined is said."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from replay.conftest import OWN, Writes

from planner.errors import InputError
from planner.replay.calibration import Calibration, calibrate
from planner.replay.loading import load_incident
from planner.replay.schema import incident_schema

PARAMETER = "clusters.site.capacitance_mj_per_k_per_mw"
#: The same two minutes later, with a second temperature: 65 °C and five degrees a minute.
START = """\
  - {parameter: scenario.events.0.at_minute, unit: minutes, low: 0.0, high: 8.0,
     against: ["23:53", "23:54"]}
"""
MORE = """\
  - {time: "23:53", what: warmer, quantity: temperature_c, subject: site, observed: 70.0,
     calibrated: true}
"""
TWO = (
    OWN.replace("calibrated:\n", f"calibrated:\n{START}", 1)
    .replace("milestones:\n", f"milestones:\n{MORE}")
    .replace('"23:52"', '"23:54"')
)
#: A price plays no part in what happens.
PRICE = """\
  - {parameter: gpus.gpu.capital_usd, unit: USD, low: 0.0, high: 9.0, against: ["23:52"]}
"""


def _fitted(path: Path, *overrides: str) -> Calibration:
    return calibrate(load_incident(path, overrides))


def test_a_value_that_is_known_is_found_again(write: Writes) -> None:
    """65 °C and five megawatts short: ten degrees in two minutes with 6 MJ/K per MW."""
    found = _fitted(write(), f"{PARAMETER}=40.0")
    (value,) = found.fitted
    assert (value.before, value.at_bound) == (40.0, False)
    assert value.value == pytest.approx(6.0, rel=0.01)
    before, after = found.root_mean_square
    assert after < 0.02 < before
    assert found.warnings == ()


def test_start_of_the_failure_is_found_together_with_a_value(write: Writes) -> None:
    path = write(TWO.replace("at_minute: 0", "at_minute: 5"))
    found = _fitted(path, f"{PARAMETER}=9.0")
    by_name = {one.entry.parameter: one.value for one in found.fitted}
    assert by_name["scenario.events.0.at_minute"] == 2.0
    assert by_name[PARAMETER] == pytest.approx(6.0, rel=0.02)


def test_nothing_else_than_what_is_declared_changes(write: Writes) -> None:
    found = _fitted(write(), f"{PARAMETER}=40.0")
    before, after = (run.world.model.model_dump(mode="json") for run in (found.before, found.after))
    for data in (before, after):
        data["clusters"]["site"].pop("capacitance_mj_per_k_per_mw")
    assert before == after


def test_a_value_without_influence_is_said_to_be_undetermined(write: Writes) -> None:
    text = OWN.replace("calibrated:\n", f"calibrated:\n{PRICE}", 1)
    found = _fitted(write(text))
    assert any("gpus.gpu.capital_usd changes none" in warning for warning in found.warnings)
    assert any("too few" in warning for warning in found.warnings)
    assert all(one.standard_error is None for one in found.fitted)


def test_values_stay_within_their_ranges(write: Writes) -> None:
    text = OWN.replace("low: 3.0, high: 90.0", "low: 5.0, high: 90.0").replace(
        "observed: 75.0", "observed: 90.0"
    )
    (value,) = _fitted(write(text)).fitted
    assert (value.value, value.at_bound) == (5.0, True)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("calibrated:\n  -", "notes:\n  -", "notes"),
        (PARAMETER, "scenario.events.7.at_minute", "scenario has no number"),
        ("value: 6.0, ", "", None),
        ("value: 6.0, unit: MJ/K per MW,\n     low: 3.0", "unit: a,\n     low: 7.0", "in use"),
    ],
)
def test_wrong_declarations(write: Writes, old: str, new: str, message: str | None) -> None:
    path = write(OWN.replace(old, new, 1))
    if message is None:
        assert load_incident(path).incident.calibrated[0].value is None
    else:
        with pytest.raises(InputError, match=message):
            load_incident(path)


def test_an_incident_that_declares_nothing_is_refused(write: Writes) -> None:
    start, end = OWN.index("calibrated:\n"), OWN.index("milestones:")
    text = OWN[:start] + OWN[end:].replace(",\n     calibrated: true", "")
    with pytest.raises(InputError, match="declares nothing as `calibrated`"):
        calibrate(load_incident(write(text)))


class TestCommand:
    def test_starter_is_replayed_and_calibrated(self, plan, tmp_path):
        folder = tmp_path / "mine"
        made = plan("new", "--incident", folder)
        assert made.code == 0
        assert sorted(path.name for path in folder.iterdir()) == [
            "incident.schema.json", "incident.yaml",
        ]  # fmt: skip
        assert json.loads((folder / "incident.schema.json").read_text("utf-8")) == incident_schema()
        replayed = plan("replay", folder, "--json", "-q").json["summary"]
        assert replayed["within"] >= replayed["scored"] - 1
        ran = plan("calibrate", folder)
        assert ran.code == 0
        assert max(map(len, ran.out.splitlines())) <= 80
        data = plan("calibrate", folder, "--json", "-q").json
        assert data["root_mean_square"]["after"] < data["root_mean_square"]["before"]
        assert [value["low"] <= value["value"] <= value["high"] for value in data["values"]] == [
            True, True,
        ]  # fmt: skip

    def test_schema_of_incidents_names_its_fields(self, plan):
        ran = plan("schema", "incident")
        assert ran.code == 0
        assert {"scenario", "calibrated", "milestones"} <= set(ran.json["properties"])
        assert plan("schema", "incidents").code == 2

    def test_incident_starter_needs_a_folder(self, plan):
        ran = plan("new", "--incident")
        assert ran.code == 2
        assert "name a folder" in ran.err

    def test_no_such_incident(self, plan):
        assert plan("calibrate", "nowhere").code == 2
