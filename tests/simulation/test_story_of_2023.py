"""The platform of November 2023 as it was, and as its postmortem would rebuild it.

Times of the postmortem (UTC): 16:05 first failure, 16:30 GPUs over 85 °C, 17:00 emergency shutdown
at 95 °C, 18:05 emergency cooling, 18:30 first cluster partially restored. Two constants of the
model are calibrated on the first hour; what follows is prediction.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np
import pytest
from simulation.worlds import Run, verdicts_of

from planner.infrastructure.entities import Model
from planner.infrastructure.fleet import Fleet
from planner.infrastructure.loading import LoadedModel, load_model
from planner.simulation.cascade import simulate
from planner.simulation.story import StoryLine, tell
from planner.simulation.verdict import Verdict, judge_one, surviving_share

WEST = "us-west-primary"
#: Minutes from the failure at 16:05.
AT_16_30, AT_17_00, AT_18_05, AT_18_30 = 25, 55, 120, 145


@pytest.fixture(scope="module")
def incident(reference: LoadedModel) -> Run:
    """The incident on what stood in 2023."""
    model = reference.model
    fleet = Fleet.existing(model)
    return Run(*simulate(model, fleet, (model.scenarios["incident-2023"],)))


@pytest.fixture(scope="module")
def story(incident: Run) -> tuple[StoryLine, ...]:
    return tell(incident.world, incident.history, 0)


@pytest.fixture(scope="module")
def verdict(incident: Run, reference: LoadedModel) -> Verdict:
    fleet = Fleet.existing(reference.model)
    return judge_one(incident.world, incident.history, fleet, 0)


class TestIncident:
    def test_load_before_the_failure_is_that_of_the_postmortem(self, incident: Run) -> None:
        # 85 % of 10,000 GPUs and 60 % of 3,000, 10,000 requests/s.
        assert incident.demand()[0] == pytest.approx(10_000, rel=0.01)
        heat = incident.cluster("heat_mw", WEST)[0]
        assert heat == pytest.approx(50 * (0.58 + 0.42 * 0.85), rel=0.01)
        busy = incident.target("load_rps", "us-east-backup")[0] / 0.970874
        assert busy / 3_000 == pytest.approx(0.6, rel=0.01)

    def test_primary_site_throttles_and_is_at_85_degrees_by_half_past_four(
        self, incident: Run
    ) -> None:
        hot = incident.cluster("temperature_c", WEST)
        assert hot[0] == 65
        assert np.flatnonzero(hot > 75)[0] < AT_16_30
        assert np.flatnonzero(hot >= 85)[0] == pytest.approx(AT_16_30, abs=2)

    def test_the_backup_is_overloaded(self, incident: Run) -> None:
        load = incident.target("load_rps", "us-east-backup")
        room = incident.target("capacity_rps", "us-east-backup")
        assert load[AT_17_00] == pytest.approx(room[AT_17_00])
        assert incident.served()[AT_17_00] < 0.5 * incident.demand()[AT_17_00]

    def test_primary_site_shuts_down_at_five(self, incident: Run) -> None:
        off = np.flatnonzero(incident.cluster("off", WEST))
        assert off[0] == pytest.approx(AT_17_00, abs=5)

    def test_emergency_cooling_comes_when_operators_start_it(self, incident: Run) -> None:
        standby = incident.plant("us-west-standby")
        assert np.flatnonzero(standby)[0] == pytest.approx(AT_18_05, abs=1)
        # Fifteen of air at once, twenty of external chillers 90 minutes later.
        assert standby[AT_18_05 + 5] == pytest.approx(15.0)
        assert standby[AT_18_05 + 95] == pytest.approx(35.0)

    def test_first_restoration_is_at_half_past_six_and_of_a_quarter(self, incident: Run) -> None:
        capacity = incident.target("capacity_rps", WEST)
        off = np.flatnonzero(incident.cluster("off", WEST))
        assert off[-1] + 1 == pytest.approx(AT_18_30, abs=5)
        powered = incident.cluster("powered_gpus", WEST)[off[-1] + 1]
        assert capacity[off[-1] + 1] == pytest.approx(powered * 0.970874 * 0.95 * 0.25)

    def test_restoration_takes_its_phases(self, incident: Run) -> None:
        back = int(np.flatnonzero(incident.cluster("off", WEST))[-1]) + 1
        capacity = incident.target("capacity_rps", WEST)
        powered = incident.cluster("powered_gpus", WEST)
        share = capacity / np.maximum(powered, 1) / (0.970874 * 0.95)
        minutes = [back + after for after in (0, 29, 30, 74, 75, 134, 135)]
        assert share[minutes] == pytest.approx([0.25, 0.25, 0.5, 0.5, 0.75, 0.75, 1.0])

    def test_incident_is_not_survived(self, verdict: Verdict) -> None:
        assert not verdict.survives
        assert verdict.shutdowns == (WEST,)
        assert verdict.peak_temperature_c == pytest.approx(95, abs=0.5)
        assert verdict.recovery_minutes is not None
        assert verdict.recovery_minutes > AT_18_30
        assert verdict.lost_requests > 10e6

    def test_story_tells_it_in_order_of_time(self, story: tuple[StoryLine, ...]) -> None:
        minutes = [line.minute for line in story]
        assert minutes == sorted(minutes)
        texts = [line.text for line in story]
        chapters = (
            r"us-west-loops loses 1 × loop-36",
            r"us-west-primary throttles at 7\d °C",
            r"requests fail: \d\d\.\d % of demand served",
            r"us-east-backup is overloaded: offered load up to \d+\.\d times normal",
            r"alert: us-west-primary above 85 °C \(critical\)",
            r"us-west-primary shuts itself down at 95 °C",
            r"standby units of us-west-standby start: \+15 MW \(.*\)",
            r"us-west-primary has cooled down, passed its checks and restarts in phases",
            r"all demand is served again",
        )
        found = [
            next(i for i, text in enumerate(texts) if re.fullmatch(chapter, text))
            for chapter in chapters
        ]
        assert found == sorted(found)
        for besides in ("the queue is full at 1,000,000 requests", "retry storm: up to "):
            assert any(text.startswith(besides) for text in texts), besides

    def test_story_has_the_time_of_day(self, story: tuple[StoryLine, ...]) -> None:
        clocks = {line.text.split(" ", 2)[1]: line.clock for line in story}
        assert story[0].clock == "16:05"
        hour, minute = map(int, clocks["shuts"].split(":"))
        assert hour * 60 + minute == pytest.approx(17 * 60, abs=5)
        assert clocks["has"] == "18:30"

    def test_offered_load_of_the_backup_is_at_least_that_of_the_postmortem(
        self, story: tuple[StoryLine, ...], verdict: Verdict
    ) -> None:
        """It saw 300 % more traffic than usual; all 10,000 requests/s would be 470 % more.

        Each of these may be sent again as often as the worst minute has it.
        """
        line = next(line for line in story if "us-east-backup is overloaded" in line.text)
        (times,) = re.findall(r"up to (\d+\.\d) times", line.text)
        assert 4.0 <= float(times) <= 5.7 * verdict.retry_ratio


@pytest.fixture(scope="module")
def recommended() -> Model:
    return load_model("chatgpt-2023-v2").model


@pytest.fixture(scope="module")
def verdicts(recommended: Model) -> Mapping[str, Verdict]:
    return verdicts_of(recommended)


class TestAsItWas:
    def test_most_failures_of_the_primary_site_are_not_survived(
        self, reference: LoadedModel
    ) -> None:
        model: Model = reference.model
        wanted = ("unit-us-west-loops", "plant-us-west-loops", "region-us-west")
        short = model.replace(simulation=model.simulation.replace(horizon_minutes=240.0))
        found = verdicts_of(short)
        assert not any(found[name].survives for name in wanted)
        assert found["region-us-east"].served["enterprise_critical"] == pytest.approx(1.0)


class TestAsRecommended:
    def test_recommended_plan_fails_exactly_when_us_west_is_lost(
        self, verdicts: Mapping[str, Verdict]
    ) -> None:
        failed = {name for name, verdict in verdicts.items() if not verdict.survives}
        assert failed == {"region-us-west"}

    def test_loss_of_us_west_breaks_its_own_capacity_rule(
        self, recommended: Model, verdicts: Mapping[str, Verdict]
    ) -> None:
        (breach,) = verdicts["region-us-west"].breaches
        assert (breach.kind, breach.subject) == ("capacity", "us-west")
        share = surviving_share(recommended, Fleet.existing(recommended), "us-west")
        assert share == pytest.approx(13_000 / 21_000)
        assert "61.9 % of all GPUs left without us-west, 70.0 % required" in str(breach)

    def test_recommended_plan_survives_the_incident_without_throttling(
        self, verdicts: Mapping[str, Verdict]
    ) -> None:
        incident = verdicts["incident-2023"]
        assert incident.survives
        assert not incident.throttled_minutes
        assert incident.recovery_minutes == 0
