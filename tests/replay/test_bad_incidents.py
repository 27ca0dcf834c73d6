"""Everything that can be wrong with an incident file, all of it at once, each with its place."""

from __future__ import annotations

from pathlib import Path

import pytest
from replay.conftest import OWN

from planner.errors import InputError
from planner.replay.loading import load_incident


def problems(path: Path | str, *overrides: str) -> list[str]:
    with pytest.raises(InputError) as caught:
        load_incident(path, overrides)
    return [str(problem) for problem in caught.value.problems]


def changed(old: str, new: str, count: int = 1) -> str:
    assert OWN.count(old) >= 1, old
    return OWN.replace(old, new, count)


def at(text: str, part: str) -> str:
    """Line and column of a part, from 1."""
    before = text[: text.index(part)]
    return f"{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}"


class TestPlaces:
    def test_all_problems_are_reported_at_once_with_lines(self, write):
        text = changed("quantity: temperature_c", "quantity: temprature_c")
        text = text.replace("unit: chiller,", "unit: chillr,")
        text = text.replace(
            "subject: chillers,\n     observed: 9.0", "subject: chilers,\n     observed: 9.0"
        )
        text += "colour: red\n"
        path = write(text)
        found = problems(path)
        wrong = ("unit: chillr", "quantity: temprature_c", "subject: chilers", "colour: red")
        assert [one.split(": ")[0] for one in found] == [f"{path}:{at(text, w)}" for w in wrong]
        assert "did you mean `chiller`?" in found[0]
        assert "'temperature_c', 'minute', 'success_rate'" in found[1]
        assert "did you mean `temperature_c`?" in found[1]
        assert "did you mean `chillers`?" in found[2]
        assert "is not a field here" in found[3]
        assert "milestones" in found[3]  # the accepted set

    def test_a_wrong_setting_is_blamed_on_its_line(self, write):
        path = write(changed("clock:", "set: [clusters.sit.max_gpus=1]\nclock:"))
        (found,) = problems(path)
        assert found.startswith(f"{path}:5:7: set.0: ")
        assert "did you mean `site`?" in found

    def test_a_setting_that_breaks_the_model_is_refused(self, write):
        path = write(changed("clock:", "set: [clusters.site.existing_gpus=-1]\nclock:"))
        (found,) = problems(path)
        assert found.startswith(f"{path}:5:7: set.0: clusters.site.existing_gpus: ")

    def test_problems_of_the_model_name_the_model(self, write, tmp_path):
        path = write()
        (tmp_path / "site.yaml").write_text("regions: {here: {power_limit_mw: -1}}\n")
        found = problems(path)
        assert any("site.yaml:1:18: regions.here.power_limit_mw" in one for one in found), found


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("quantity: temperature_c", "quantity: humidity", "expected 'temperature_c', 'minute'"),
        ("event: cooling_short", "event: rain", "expected 'temperature_above'"),
        ("event: cooling_short, ", "quantity: minute, forced: false, ", ": is listed twice"),
        ("subject: site,", "subject: sight,", "not among the model's clusters (site)"),
        ("subject: site,", "subject: [site, site],", "expected one cluster that temperature_c"),
        (
            "quantity: temperature_c, subject: site",
            "quantity: temperature_c",
            "expected one cluster",
        ),
        ("subject: site,", "quantity: waiting_requests,", ": is listed twice"),
        ("observed: 75.0", "observed: 750", "expected -90 to 200, not 750"),
        ("observed: 75.0,", "", "milestones.1.observed: is missing"),
        ("observed: 75.0", "observed: .nan", "expected a finite number"),
        ("observed: 75.0", 'observed: "hot"', "expected a number, not 'hot'"),
        ("observed: 75.0", "observed: 75.0, threshold: 3", "temperature_c has none"),
        ("observed: 75.0", "observed: 75.0, after: '23:51'", "belongs to an event"),
        ("observed: 75.0", "observed: 75.0, event: shutdown", "belongs to `minute`"),
        ("observed: 75.0", "observed: 75.0, forced: true", "nothing can be fitted"),
        ("observed: 75.0", "observed: 75.0, tolerance: 0", "greater than 0"),
        ('time: "00:20"', 'time: "25:20"', "expected a time of day"),
        ('time: "00:20"', 'time: "00:20 +9"', "expected a time of day"),
        ('time: "00:20"', 'time: "02:20"', "is minute 150 of a simulation of 120 from 23:50"),
        ('time: "00:20"', 'time: "00:20 +2"', "is minute 1470 of a simulation of 120"),
        ('time: "23:50"', 'time: "23:50", observed: 7', "7 is not the 0 minutes from 23:50"),
        ("event: cooling_short, subject: chillers, forced", "forced", None),
        ("event: cooling_short, subject: chillers, forced: true", "calibrated: false", "event: is"),
        ("subject: chillers, forced: true", "subject: chillers, threshold: 1", "cooling_short has"),
        ("cooling_short, subject: chillers", "temperature_above, subject: site", "threshold: is m"),
        ("cooling_short, subject: chillers", "pool_exhausted, subject: db", "services (none)"),
        ("cooling_short, subject: chillers", "timeouts, subject: site", "timeouts has none"),
        ("value: 6.0", "value: 6.5", "the model has 6, not 6.5"),
        ("low: 3.0", "low: 6.1", "6 is outside 6.1 to 90 MJ/K per MW"),
        ("low: 3.0", "low: 91.0", "expected low < high"),
        ("clusters.site.cap", "clusters.sight.cap", "the model has no number at clusters.sight"),
        (
            'against: ["23:52"]',
            'against: ["23:53"]',
            "no milestone at 23:53 is marked `calibrated`",
        ),
        ('against: ["23:52"]', "against: []", "is empty"),
        (
            "observed: 5.0}",
            "observed: 5.0, calibrated: true}",
            "no entry of `calibrated` was fitted",
        ),
        ("model: site.yaml", "model: sight.yaml", "no file 'sight.yaml' beside this one"),
        ("model: site.yaml", "model: tny", "did you mean `tiny`?"),
        ("model: site.yaml", "model: 3", "expected text, not 3"),
        ('clock: "23:50"', "clock: 23", "expected text, not 23"),
        ('clock: "23:50"', "clock: noon", "expected a time of day"),
        ('clock: "23:50"', 'clock: "23:50 +1"', "expected a time of day"),
        ("title: Half the chillers stop\n", "", "title: is missing"),
        ("confidence: quoted", "confidence: certain", "expected 'quoted', 'derived'"),
        ("kind: units", "kind: unts", "did you mean `units`?"),
        ("kind: units, ", "", "expected one of units"),
        ("count: 5", "count: 11", "loses 11 chiller, the plant has 10"),
        ("plant: chillers, unit", "plant: chilers, unit", "did you mean `chillers`?"),
        ("severity: common", "severity: bad", "expected 'single', 'double'"),
        ("at_minute: 0,", "at_minut: 0,", "did you mean `at_minute`?"),
        ("title: Half", 'title: "\\e[2J Half', None),
    ],
)
def test_a_single_mistake_is_reported(write, old, new, expected):
    text = changed(old, new)
    if "\\e[2J" in new:
        text = text.replace("stop\n", 'stop"\n', 1)
        expected = "must not contain control characters"
    if expected is None:
        load_incident(write(text))  # an action that leaves no trace needs no event
        return
    found = problems(write(text))
    assert any(expected in one for one in found), found
    assert all(":" in one for one in found)


def test_five_calibrated_parameters_are_refused(write):
    entry = OWN[OWN.index("  - {parameter") : OWN.index("milestones:")]
    (found,) = problems(write(changed(entry, entry * 5)))
    assert "calibrated: has 5 entries; at most 4 are accepted" in found
    load_incident(write(changed(entry, entry * 4)))


def test_an_incident_without_milestones_is_refused(write):
    text = OWN[: OWN.index("calibrated:")] + "milestones: []\n"
    (found,) = problems(write(text))
    assert "milestones: is empty" in found


def test_a_wrong_milestone_does_not_hide_others(write):
    text = changed("quantity: temperature_c", "quantity: humidity")
    found = problems(write(text.replace('time: "00:20"', 'time: "04:20"')))
    assert any("humidity" in one for one in found)
    assert any("is minute 270" in one for one in found)


@pytest.mark.parametrize(
    "content",
    [b"", b"\x00\xff", b"a: [", b"- a\n", b"a: &a [*a]\n", b"just words", b"milestones: 3"],
)
def test_a_file_of_another_kind_is_refused(tmp_path, content):
    path = tmp_path / "bad.yaml"
    path.write_bytes(content)
    found = problems(path)
    assert all(one.startswith(str(path)) for one in found)
    assert not any("regions" in one for one in found)


def test_a_name_neither_file_nor_shipped_is_refused():
    (found,) = problems("chatgpt-2032")
    assert "no such file or shipped incident" in found
    assert "did you mean `chatgpt-2023`?" in found
    assert "azure-australia-east-2023, chatgpt-2023" in found


def test_a_folder_is_no_incident(tmp_path):
    (found,) = problems(tmp_path)
    assert "is a directory; expected a file; shipped are" in found


def test_settings_of_the_user_are_checked(write):
    (found,) = problems(write(), "clusters.site.colour=red")
    assert "--set clusters.site.colour=red" in found
    (found,) = problems(write(), "simulation.horizon_minutes=25")
    assert "is minute 30 of a simulation of 25" in found


def test_settings_of_the_user_may_change_what_was_fitted(write):
    loaded = load_incident(write(), ("clusters.site.capacitance_mj_per_k_per_mw=12",))
    assert loaded.loaded.model.clusters["site"].capacitance_mj_per_k_per_mw == 12


def test_shipped_models_are_listed_once(write):
    (found,) = problems(write(changed("model: site.yaml", "model: tny")))
    assert found.count("shipped are") == 1
