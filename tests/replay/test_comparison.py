"""What a replay makes of a small incident that can be worked out by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from replay.conftest import OWN

from planner.infrastructure.catalogue import shipped_incidents
from planner.replay.checks import model_values
from planner.replay.comparison import Reading, replay
from planner.replay.incident import Milestone, clock_at, minutes_between
from planner.replay.loading import load_incident


class TestReplay:
    def test_replay_agrees_with_values_by_hand(self, own):
        """5 MW of 10 are missing: 5 °C a minute over 65 °C; after midnight it is repaired."""
        outcome = replay(own)
        assert [one.simulated for one in outcome.readings] == [0.0, 75.0, 5.0, 10.0]
        assert [one.minute for one in outcome.readings] == [0, 2, 20, 30]
        assert [one.within for one in outcome.readings] == [None, True, None, False]
        assert [one.difference for one in outcome.readings] == [0.0, 0.0, 0.0, 1.0]

    def test_milestones_are_counted_by_kind(self, own):
        assert replay(own).counts() == {
            "milestones": 4,
            "forced": 1,
            "calibrated": 1,
            "predicted": 2,
            "scored": 2,
            "within": 1,
            "outside": 1,
            "calibrated_within": 1,
        }

    def test_settings_change_the_outcome(self, write):
        """Twice the capacitance, half the rise."""
        path = write()
        setting = "clusters.site.capacitance_mj_per_k_per_mw=12.0"
        outcome = replay(load_incident(path, (setting,)))
        assert outcome.readings[1].simulated == 70.0
        assert outcome.readings[1].within is False
        assert [fit.value for fit in outcome.fits] == [12.0]

    def test_settings_of_the_incident_are_applied(self, write):
        text = OWN.replace("clock:", "set: [clusters.site.setpoint_c=66]\nclock:")
        assert replay(load_incident(write(text))).readings[1].simulated == 76.0

    def test_an_event_that_never_happens_is_not_within_tolerance(self, write):
        line = '  - {time: "00:15", what: off, event: shutdown, subject: site, after: "00:40"}\n'
        (reading,) = replay(load_incident(write(OWN + line))).readings[4:]
        assert (reading.simulated, reading.difference, reading.within) == (None, None, False)

    def test_the_name_is_that_of_the_folder_or_of_the_file(self, write, tmp_path):
        assert load_incident(write()).name == "own"
        assert load_incident(write(name="incident.yaml")).name == tmp_path.name
        assert load_incident(write(name="my log (2).yaml")).incident.scenario.name == "my-log--2-"

    def test_an_incident_may_name_a_shipped_model(self, tmp_path):
        text = OWN[: OWN.index("calibrated:")].replace("site.yaml", "tiny")
        text = text.replace("plant: chillers, unit: chiller, count: 5",
                            "plant: west-chillers, unit: chiller-3, count: 1")  # fmt: skip
        text += 'milestones: [{time: "23:55", what: warm, quantity: temperature_c, '
        text += "subject: west-gpus, observed: 65.0}]\n"
        path = tmp_path / "on-tiny.yaml"
        path.write_text(text)
        outcome = replay(load_incident(path))
        assert outcome.model == "tiny"
        assert outcome.readings[0].simulated >= 65.0


class TestScore:
    @given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6), st.floats(1e-3, 1e6), st.booleans())
    def test_tolerance_holds_on_both_sides(self, observed, simulated, tolerance, forced):
        milestone = Milestone(
            time="12:00",
            what="x",
            quantity="heat_mw",
            subject="site",
            observed=observed,
            tolerance=tolerance,
            forced=forced,
        )
        one = Reading(milestone, 0, observed, simulated)
        other = Reading(milestone, 0, simulated, observed)
        assert one.within == other.within
        assert (one.within is None) == forced
        if not forced:
            assert one.within == (abs(observed - simulated) <= tolerance + 1e-9)

    @pytest.mark.parametrize(
        ("quantity", "tolerance"),
        [("temperature_c", 2.0), ("success_rate", 0.15), ("waiting_requests", None)],
    )
    def test_default_tolerance_is_that_of_the_quantity(self, quantity, tolerance):
        milestone = Milestone(time="12:00", what="x", quantity=quantity, observed=1.0)
        assert milestone.agreement == tolerance
        assert milestone.replace(forced=True).agreement is None
        assert milestone.replace(tolerance=7.0).agreement == 7.0
        assert Milestone(time="12:00", what="x", event="timeouts").agreement == 15.0


class TestClock:
    @given(st.integers(0, 1439), st.integers(0, 1439))
    def test_time_of_day_converts_there_and_back(self, start, minute):
        clock = f"{start // 60:02d}:{start % 60:02d}"
        assert minutes_between(clock, clock_at(clock, minute)) == minute

    @pytest.mark.parametrize(
        ("start", "time", "minute"),
        [("16:05", "16:05", 0), ("16:05", "16:04", 1439), ("16:05", "16:05 +1", 1440),
         ("23:50", "00:10 +1", 20), ("16:05", "01:00 +3", 3 * 1440 - 905)],
    )  # fmt: skip
    def test_times_of_later_days_count_from_the_start(self, start, time, minute):
        assert minutes_between(start, time) == minute


DATA = {"tiers": {"a": {"share": 0.4, "on": True}, "b.c": {"share": 0.6}}, "steps": [1, [2]]}


class TestModelValues:
    @pytest.mark.parametrize(
        ("path", "values"),
        [("tiers.a.share", [0.4]), ("tiers.b.c.share", [0.6]), ("tiers.*.share", [0.4, 0.6]),
         ("steps.0", [1.0]), ("steps.1.0", [2.0]), ("steps.*.*", [2.0]), ("tiers", []),
         ("tiers.a.on", []), ("tiers.c.share", []), ("tiers.a.share.x", []), ("", [])],
    )  # fmt: skip
    def test_paths_lead_to_values_of_the_model(self, path, values):
        assert model_values(DATA, path) == values


@pytest.mark.parametrize("name", shipped_incidents())
def test_fitted_parameters_are_few_and_physically_possible(name):
    incident = load_incident(name).incident
    assert 1 <= len(incident.calibrated) <= 4
    for entry in incident.calibrated:
        assert entry.low < entry.value < entry.high
        assert entry.why
