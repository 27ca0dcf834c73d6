"""Power in the cascade: what hangs on which feed, and cooling that runs in an emergency.

In `one`, 1,000 GPUs at full load make 10 MW, carried by ten chillers of a megawatt.
"""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from simulation.worlds import Run, changed, lose, lose_chillers, operating, run, surge

from planner.infrastructure.entities import Feed, Model, Plant
from planner.infrastructure.failures import NodeLoss

HARMLESS = surge(1.0, 10, 100)


def fed(model: Model, **feeds: Mapping[str, object]) -> Model:
    """The model on some feeds of its only region, cooling taking a fifth of the heat."""
    hungry = changed(model, "cooling_units", "chiller", power_mw_per_mw=0.2)
    return hungry.replace(
        feeds={
            name: Feed.model_validate({"name": name, "region": "here", **fields})
            for name, fields in feeds.items()
        }
    )


def powered(case: Run, *minutes: int) -> list[float]:
    """GPUs on in some minutes."""
    return case.cluster("powered_gpus", "site")[list(minutes)].tolist()


def test_a_thin_feed_limits_what_hangs_on_it_in_normal_operation_too(one: Model) -> None:
    model = fed(
        one,
        thin={"capacity_mw": 4.0, "powers": ("site",)},
        fat={"capacity_mw": 40.0, "powers": ("chillers",)},
    )
    assert powered(run(model, HARMLESS), 0, 50, 119) == pytest.approx([400, 400, 400])


def test_gpus_whose_cooling_has_no_power_are_shed_with_it(one: Model) -> None:
    """1 MW for chillers that take a fifth of the heat: 5 MW are cooled."""
    model = fed(
        one,
        thin={"capacity_mw": 1.0, "powers": ("chillers",)},
        fat={"capacity_mw": 40.0, "powers": ("site",)},
    )
    assert powered(run(model, HARMLESS), 0, 119) == pytest.approx([500, 500])


def test_what_is_on_two_feeds_draws_on_both_and_on_what_is_left(one: Model) -> None:
    model = fed(one, left={"capacity_mw": 6.0}, right={"capacity_mw": 6.0, "ups_minutes": 5.0})
    case = run(model, lose("feed", "left", 10, 100))
    assert powered(case, 9, 10, 109, 110) == pytest.approx([1000, 500, 500, 1000])


def test_batteries_carry_clusters_alone(one: Model) -> None:
    """Minutes 10 to 15: 20 MW of batteries for GPUs, 1 MW of the other feed for chillers."""
    model = fed(
        one,
        grid={"capacity_mw": 20.0, "ups_minutes": 5.0},
        other={"capacity_mw": 1.0},
    )
    case = run(model, lose("feed", "grid", 10, 20))
    # Then 1 MW for both: GPUs and their chillers in the ratio of one to a fifth.
    assert powered(case, 9, 12, 20, 30) == pytest.approx([1000, 500, 1000 / 12, 1000])


def test_two_equal_halves_are_one_feed(one: Model) -> None:
    whole = fed(one, whole={"capacity_mw": 9.0})
    halves = fed(one, left={"capacity_mw": 4.5}, right={"capacity_mw": 4.5})
    loss = lose_chillers(3, at=10)
    cases = [run(model, loss) for model in (whole, halves)]
    for quantity in ("powered_gpus", "temperature_c", "clock"):
        one_way, other = (case.cluster(quantity, "site") for case in cases)
        assert one_way == pytest.approx(other, abs=1e-9)


def test_what_is_on_no_feed_has_the_power_of_the_region(one: Model) -> None:
    model = fed(one, only={"capacity_mw": 2.0, "powers": ("chillers",)})
    case = run(model, lose("feed", "only", 10, 100))
    assert not case.cluster("off", "site")[:12].any()  # until it overheats
    assert case.plant("chillers")[[9, 10]].tolist() == [10, 0]


class TestEmergencyCooling:
    """Chillers are lost at minute 10; operators react at 25; fans take 2 MW for each of heat."""

    LOSS = NodeLoss(kind="plant", name="chillers", at_minute=10, repair_minutes=100)

    @staticmethod
    def model(one: Model, limit_mw: float, fans: int = 10) -> Model:
        spare = Plant(
            name="spare", region="here", cools=("site",), role="emergency", existing={"fan": fans}
        )
        model = changed(one, "cooling_units", "fan", power_mw_per_mw=2.0)
        model = changed(model, "clusters", "site", capacitance_mj_per_k_per_mw=60.0)
        model = changed(model, "regions", "here", power_limit_mw=limit_mw)
        return model.replace(plants={**model.plants, "spare": spare})

    def test_emergency_cooling_with_power_carries_everything(self, one: Model) -> None:
        case = run(self.model(one, 30.0), self.LOSS)
        assert powered(case, 9, 20, 60, 119) == pytest.approx([1000] * 4)
        assert case.plant("spare")[[16, 17, 60]].tolist() == [0, 10, 10]

    def test_emergency_cooling_gets_the_power_left_by_clusters_until_operators_react(
        self, one: Model
    ) -> None:
        """16 MW less 10 MW of GPUs let it carry 3; then as many run as three times their heat."""
        case = run(self.model(one, 16.0), self.LOSS)
        assert powered(case, 20, 24) == [1000, 1000]
        assert case.plant("spare")[[17, 24]] == pytest.approx([3, 3], rel=1e-6)
        assert powered(case, 25, 60) == pytest.approx([1600 / 3] * 2, rel=1e-6)

    @pytest.mark.parametrize("limit_mw", [13.0, 16.0, 22.0])
    def test_a_hot_room_is_cooled_within_the_power_of_the_region(
        self, one: Model, limit_mw: float
    ) -> None:
        """What cools GPUs and room draws no more than GPUs leave, in any minute of the loss."""
        case = run(self.model(one, limit_mw), self.LOSS)
        heat, carried = (case.cluster(kind, "site")[10:110] for kind in ("heat_mw", "cooling_mw"))
        assert (heat + 2.0 * carried <= limit_mw * (1 + 1e-9)).all()
        assert (carried > heat + 0.01).any()  # the room cools down all the same

    def test_emergency_cooling_draws_nothing_once_chillers_are_back(self, one: Model) -> None:
        assert powered(run(self.model(one, 16.0), self.LOSS), 111, 119) == [1000, 1000]

    def test_more_power_for_emergency_cooling_is_never_worse(self, one: Model) -> None:
        served = [
            run(self.model(one, limit), self.LOSS).served().sum() for limit in (11, 13, 16, 22, 30)
        ]
        assert served == sorted(served)
        assert served[0] < served[-1]

    def test_emergency_cooling_of_operators_who_react_at_once(self, one: Model) -> None:
        quick = operating(self.model(one, 16.0), detection_minutes=0, response_minutes=0)
        assert powered(run(quick, self.LOSS), 17, 60) == pytest.approx([1600 / 3] * 2, rel=1e-6)
