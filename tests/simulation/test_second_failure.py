"""A failure after another one: nobody reacts to it sooner than if it had come alone."""

from __future__ import annotations

import numpy as np
import pytest
from simulation.test_verdict import with_standard
from simulation.worlds import changed, hasty, judged, operating, run

from planner.infrastructure.entities import Model
from planner.infrastructure.failures import LargestUnitsLoss, NodeLoss, Surge, UnitLoss

#: Minute of the second failure.
LATER = 60


def lose(kind: str, name: str, at: float = 0.0, repair: float = 1000.0) -> NodeLoss:
    return NodeLoss(kind=kind, name=name, at_minute=at, repair_minutes=repair)


def lose_units(plant: str, at: float = 0.0, repair: float = 1000.0, count: int = 1) -> UnitLoss:
    return UnitLoss(
        kind="units", plant=plant, unit="chiller", count=count, at_minute=at, repair_minutes=repair
    )


@pytest.fixture
def busy(two: Model) -> Model:
    """Two sites with a spare unit in the second, and demand that one site alone cannot serve."""
    model = changed(hasty(two), "zones", "users", demand_rps=1000.0)
    return changed(model, "plants", "second-plant", existing={"chiller": 2}, redundancy=1)


class TestReaction:
    """A spare unit fails first: the region lost an hour later is reacted to as if it came alone."""

    SPARE = LargestUnitsLoss(
        kind="largest-units", plant="second-plant", count=1, repair_minutes=1000.0
    )

    @pytest.mark.parametrize(
        "changes",
        [
            {},
            {"earliest_reroute_minutes": 9},
            {"priority_shedding": "operator"},
            {"approval_minutes": 12},
            {"failover_minutes": 0},
        ],
        ids=str,
    )
    def test_reaction_is_as_fast_as_to_the_loss_alone(
        self, busy: Model, changes: dict[str, object]
    ) -> None:
        model = operating(busy, **changes)
        alone = run(model, lose("region", "near"))
        later = run(model, self.SPARE, lose("region", "near", LATER))
        for tier in ("high", "low"):
            expected = alone.served(tier)[: 120 - LATER]
            assert later.served(tier)[LATER:] == pytest.approx(expected)
        assert later.history.order_minute[0] == alone.history.order_minute[0] + LATER

    def test_an_earlier_surge_makes_the_reaction_no_faster(self, busy: Model) -> None:
        model = changed(busy, "zones", "users", demand_rps=500.0)
        surge = Surge(kind="surge", factor=1.1, repair_minutes=LATER)
        alone = run(model, lose("region", "near"))
        later = run(model, surge, lose("region", "near", LATER))
        assert later.served()[LATER:] == pytest.approx(alone.served()[: 120 - LATER])

    def test_capacity_ordered_before_still_arrives(self, busy: Model) -> None:
        """Ordered at 20 for the region; the unit lost at 19 stops nobody."""
        case = run(busy, lose("region", "near"), lose_units("second-plant", 19))
        assert case.history.order_minute[0] == 20

    def test_a_region_that_is_back_need_not_wait_for_other_failures(self, two: Model) -> None:
        alone = run(two, lose("region", "near", 0, 30))
        other = run(two, lose("region", "near", 0, 30), lose("region", "far", 29))
        assert np.flatnonzero(other.cluster("off", "first")).tolist() == (
            np.flatnonzero(alone.cluster("off", "first")).tolist()
        )

    def test_shedding_goes_on_through_a_second_failure(self, busy: Model) -> None:
        """The upper tier is whole from the reaction at 15 on, also while the next one is due."""
        model = operating(busy, priority_shedding="operator", approval_minutes=1000.0)
        case = run(model, lose("region", "near"), lose("provider", "cloudy", LATER))
        assert case.served("high")[16:] == pytest.approx(400.0)


class TestGpusLeftOff:
    """Ten chillers of a megawatt for ten; three are lost at 0, two more at 60."""

    FIRST, SECOND = lose_units("chillers", count=3), lose_units("chillers", LATER, count=2)

    def test_gpus_left_off_stay_off_until_the_next_reaction(self, one: Model) -> None:
        powered = run(one, self.FIRST, self.SECOND).cluster("powered_gpus", "site")
        assert powered[[14, 15, 59, 60, 74, 75]].tolist() == pytest.approx(
            [1000, 700, 700, 700, 700, 500]
        )

    def test_gpus_left_off_come_back_as_far_as_cooling_allows(self, one: Model) -> None:
        back = lose_units("chillers", repair=50, count=3)
        powered = run(one, back, self.SECOND).cluster("powered_gpus", "site")
        assert powered[[49, 50, 59, 60, 74, 75]].tolist() == pytest.approx(
            [700, 1000, 1000, 1000, 1000, 800]
        )


class TestVerdict:
    """The same loss at any minute after a harmless event is judged as if it came alone at 0."""

    @pytest.mark.parametrize("at", [0.0, 17.0, 40.25])
    def test_verdict_does_not_depend_on_the_minute_of_the_failure(
        self, two: Model, at: float
    ) -> None:
        model = with_standard(two, ("all", 4, 1.0))
        calm = Surge(kind="surge", factor=1.0, repair_minutes=1.0)
        assert judged(model, calm, lose("region", "near", at)).survives
        strict = judged(with_standard(two, ("all", 3, 1.0)), calm, lose("region", "near", at))
        assert [one.minute for one in strict.breaches] == [int(at) + 3]
