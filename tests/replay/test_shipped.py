"""The shipped incidents against their records: what agrees, and why the rest cannot."""

from __future__ import annotations

import csv
from dataclasses import replace

import pytest
from support import CHECKOUT

from planner.infrastructure.catalogue import shipped_incidents
from planner.laws.heat import clock_share
from planner.replay.comparison import Replay, replay
from planner.replay.incident import minutes_between
from planner.replay.loading import load_incident

INCIDENTS = (
    "aws-frankfurt-2021",
    "aws-tokyo-2019",
    "azure-australia-east-2023",
    "chatgpt-2023",
)


@pytest.fixture(scope="module")
def replays() -> dict[str, Replay]:
    """All shipped incidents, replayed once."""
    return {name: replay(load_incident(name)) for name in INCIDENTS}


def recorded(name: str) -> set[str]:
    path = CHECKOUT / "datasets" / "incidents" / name / "timeline.csv"
    with path.open(encoding="utf-8", newline="") as stream:
        return {row["time"] for row in csv.DictReader(stream)}


def test_every_shipped_incident_is_tested():
    assert tuple(shipped_incidents()) == INCIDENTS


@pytest.mark.parametrize("name", INCIDENTS)
class TestRecord:
    def test_times_are_those_of_the_record(self, replays, name):
        times = {one.milestone.time for one in replays[name].readings}
        # Two states that the record implies are read a minute after it.
        extra = {"08:46", "11:35"} if name.startswith("azure") else set()
        assert times - recorded(name) == extra

    def test_milestones_are_in_order(self, replays, name):
        incident = replays[name].incident
        minutes = [minutes_between(incident.clock, one.time) for one in incident.milestones]
        assert minutes == sorted(minutes)

    def test_everything_fitted_agrees(self, replays, name):
        fitted = [one for one in replays[name].readings if one.milestone.calibrated]
        assert fitted
        assert [one.milestone.what for one in fitted if not one.within] == []

    def test_given_actions_happen_when_they_were_recorded(self, replays, name):
        for one in replays[name].readings:
            if one.milestone.forced and one.simulated is not None:
                assert abs(one.difference) <= 1.0, one.milestone.what


def test_the_incident_of_2023_has_twenty_milestones(replays):
    outcome = replays["chatgpt-2023"]
    counts = outcome.counts()
    assert counts["milestones"] >= 20
    assert counts["predicted"] >= 15
    assert len({one.milestone.time for one in outcome.readings}) >= 20


def test_the_evening_in_sydney_goes_as_recorded(replays):
    outcome = replays["azure-australia-east-2023"]
    assert [one.milestone.what for one in outcome.readings if one.within is False] == []
    hall = outcome.world.clusters.names.index("data-hall-1")
    # People had to switch the halls off: they would not have done so themselves yet.
    assert outcome.history.temperature_c[:, 0, hall].max() < 45.0


def test_every_scored_milestone_of_2023_is_met(replays):
    outcome = replays["chatgpt-2023"]
    missed = [one.milestone.what for one in outcome.readings if one.within is False]
    assert missed == []
    assert sum(one.within is True for one in outcome.readings) >= 20


def test_what_is_not_scored_and_differs_is_explained(replays):
    outcome = replays["chatgpt-2023"]
    for one in outcome.readings:
        if one.within is None and not one.milestone.forced:
            assert one.milestone.note, one.milestone.what


@pytest.mark.parametrize(
    ("name", "agrees"), [("aws-tokyo-2019", False), ("aws-frankfurt-2021", True)]
)
def test_incidents_from_documents_alone_predict_what_their_page_says(replays, name, agrees):
    predicted = [
        one
        for one in replays[name].readings
        if not (one.milestone.calibrated or one.milestone.forced)
    ]
    assert [one.within for one in predicted] == [agrees]
    assert len(replays[name].incident.calibrated) <= 2


def test_what_it_would_take_for_a_milestone_that_is_missed_is_as_written(replays) -> None:
    """Servers brought back step by step in Tokyo; racks hotter than the mean in us-west."""
    tokyo = load_incident("aws-tokyo-2019")
    scenario = tokyo.incident.scenario
    changes = scenario.operations.replace(restart_gpus_per_hour=2900.0)
    slow = replace(
        tokyo, incident=tokyo.incident.replace(scenario=scenario.replace(operations=changes))
    )
    last = replay(slow).readings[-1]
    assert last.milestone.time == "18:30"
    assert last.simulated == minutes_between(tokyo.incident.clock, "18:31")
    outcome = replays["chatgpt-2023"]
    hall = outcome.world.clusters.names.index("us-west-primary")
    mean_c = outcome.history.temperature_c[3, 0, hall]
    assert clock_share(92.3, 75.0, 95.0) == pytest.approx(2 / 15, abs=0.002)
    assert 92.3 - mean_c == pytest.approx(25, abs=0.5)
