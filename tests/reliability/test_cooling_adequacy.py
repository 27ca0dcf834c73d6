"""Loss-of-cooling expectation of plants, by hand and by enumeration."""

from __future__ import annotations

import math
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulation.worlds import ONE, changed
from support import model_of, often

from planner.infrastructure.entities import Model
from planner.infrastructure.fleet import Fleet
from planner.infrastructure.loading import LoadedModel
from planner.laws.adequacy import forced_outage_rate
from planner.laws.heat import derated_mw
from planner.reliability import cooling_adequacy as cooling
from planner.reliability.cooling_adequacy import CoolingAdequacy, cooling_adequacy
from planner.reliability.normal_week import normal_hours

#: A rate that makes numbers worth comparing: a tenth of the time under repair.
OFTEN = {"failures_per_year": 8760 / 9 / 10, "repair_hours": 10.0}
RATE = 0.1

#: Two clusters of 10 and 6 MW; a plant for each, and one for both.
SHARED = """
regions: {here: {power_limit_mw: 100}}
gpus: {gpu: {power_mw: 0.01, static_share: 0.5, rps: 1.0}}
clusters:
  first: {region: here, gpu: gpu, existing_gpus: 1000, max_gpus: 1000, max_utilisation: 1.0}
  second: {region: here, gpu: gpu, existing_gpus: 600, max_gpus: 600, max_utilisation: 1.0}
cooling_units:
  big: {capacity_mw: 4.0, failures_per_year: 97.3333333, repair_hours: 10}
  small: {capacity_mw: 2.5, failures_per_year: 200.0, repair_hours: 10}
  spare: {capacity_mw: 2.0, mode: standby, failures_per_year: 50.0, repair_hours: 20,
          start_failure_probability: 0.2}
plants:
  both: {region: here, cools: [first, second], role: emergency, existing: {spare: 2, small: 1}}
  one: {region: here, cools: [first], existing: {big: 3}}
  other: {region: here, cools: [second], existing: {small: 2, big: 1}}
tiers: {everyone: {priority: 1, share: 1.0}}
zones: {users: {demand_rps: 1600.0, latency_ms: {here: 1.0}}}
"""


def only(found: tuple[CoolingAdequacy, ...]) -> CoolingAdequacy:
    (one,) = found
    return one


def chillers(model: Model, count: int, fans: int = 0) -> Fleet:
    """`ONE` with other numbers of units."""
    added = {("chillers", "chiller"): count - 10, ("fans", "fan"): fans}
    return Fleet.after(model, added, {}, {}, frozenset())


@pytest.fixture
def one(tmp_path: Path) -> Model:
    """10 MW of heat at every hour, chillers of 1 MW, fans on standby."""
    fans = "plants.fans={region: here, cools: [site], role: emergency, options: [fan]}"
    model = model_of(tmp_path, ONE, fans)
    return changed(model, "cooling_units", "chiller", **OFTEN)


class TestByHand:
    def test_adequacy_with_no_spare_unit_by_hand(self, one: Model) -> None:
        """Any of ten out is a shortage; each misses a tenth of the time."""
        found = only(cooling_adequacy(one, chillers(one, 10)))
        assert found.hours_per_year == pytest.approx(8760 * (1 - 0.9**10))
        assert found.unserved_mwh_per_year == pytest.approx(8760 * 10 * RATE)
        assert (found.largest_outage_covered, found.least_reserve_mw) == (0, pytest.approx(0.0))
        assert (found.plants, found.clusters) == (("chillers", "fans"), ("site",))
        assert (found.region, found.bound) == ("here", "")

    def test_adequacy_with_two_spare_units_by_hand(self, one: Model) -> None:
        found = only(cooling_adequacy(one, chillers(one, 12)))
        out = [math.comb(12, k) * 0.1**k * 0.9 ** (12 - k) for k in range(13)]
        assert found.hours_per_year == pytest.approx(8760 * sum(out[3:]))
        assert found.unserved_mwh_per_year == pytest.approx(
            8760 * sum(out[k] * (k - 2) for k in range(3, 13))
        )
        assert found.largest_outage_covered == 2

    def test_units_that_never_fail_leave_no_shortage(self, one: Model) -> None:
        calm = changed(one, "cooling_units", "chiller", failures_per_year=0.0)
        found = only(cooling_adequacy(calm, chillers(calm, 10)))
        assert (found.hours_per_year, found.unserved_mwh_per_year) == (0.0, 0.0)

    def test_too_few_units_in_all_are_always_short(self, one: Model) -> None:
        calm = changed(one, "cooling_units", "chiller", failures_per_year=0.0)
        found = only(cooling_adequacy(calm, chillers(calm, 7)))
        assert found.hours_per_year == pytest.approx(8760)
        assert found.unserved_mwh_per_year == pytest.approx(3 * 8760)
        assert (found.largest_outage_covered, found.least_reserve_mw) == (-1, pytest.approx(-3.0))

    def test_a_cluster_that_nothing_cools_is_always_short(self, one: Model) -> None:
        bare = one.replace(plants={}, cooling_units={})
        found = only(cooling_adequacy(bare, Fleet({}, {"site": 1000}, {})))
        assert found.hours_per_year == pytest.approx(8760)
        assert found.unserved_mwh_per_year == pytest.approx(87_600)
        assert (found.plants, found.units, found.largest_outage_covered) == ((), (), -1)

    def test_nothing_to_cool_is_never_short(self, one: Model) -> None:
        idle = Fleet.after(one, {}, {"site": -1000}, {}, frozenset())
        found = only(cooling_adequacy(one, idle))
        assert (found.hours_per_year, found.largest_outage_covered) == (0.0, 10)
        gone = Fleet.after(one, {("chillers", "chiller"): -10}, {"site": -1000}, {}, frozenset())
        assert cooling_adequacy(one, gone) == ()

    def test_adequacy_names_what_is_not_counted(self, reference: LoadedModel) -> None:
        found = cooling_adequacy(reference.model, Fleet.existing(reference.model))[0]
        for name in ("region us-west", "service us-west-cooling-control", "us-west-loops"):
            assert name in found.dependent

    def test_measures_change_what_is_named_as_not_counted(self, one: Model) -> None:
        service = {"name": "controls", "plane": "control"}
        own = {"name": "own-controls", "independent": {"chillers": ("controls",)}}
        model = Model.model_validate(
            one.model_dump()
            | {"services": {"controls": service}, "measures": {"own-controls": own}}
        )
        model = changed(model, "plants", "chillers", depends_on=("controls",))
        fleets = [
            Fleet.after(model, {}, {}, {}, frozenset(), some) for some in ((), ("own-controls",))
        ]
        without, bought = (only(cooling_adequacy(model, fleet)) for fleet in fleets)
        assert "service controls" in without.dependent
        assert "service" not in bought.dependent


class TestStandby:
    def test_standby_units_help_from_the_first_minute_or_never(self, one: Model) -> None:
        without = only(cooling_adequacy(one, chillers(one, 10)))
        found = only(cooling_adequacy(one, chillers(one, 10, fans=2)))
        out = [math.comb(10, k) * 0.1**k * 0.9 ** (10 - k) for k in range(11)]
        assert found.hours_per_year == pytest.approx(8760 * sum(out[3:]))
        assert found.running_hours_per_year == without.hours_per_year
        assert [unit.standby for unit in found.units] == [False, True]

    def test_one_cause_stops_all_that_fail_to_start(self, one: Model) -> None:
        model = changed(one, "cooling_units", "fan", start_failure_probability=0.25, **OFTEN)
        found = only(cooling_adequacy(model, chillers(model, 10, fans=2)))
        hours = unserved = 0.0
        for out in range(11):
            for fans in range(3):
                p = math.comb(10, out) * 0.1**out * 0.9 ** (10 - out)
                p *= math.comb(2, fans) * 0.9**fans * 0.1 ** (2 - fans)
                for started, share in ((fans, 0.75), (0, 0.25)):
                    hours += 8760 * p * share * (out > started)
                    unserved += 8760 * p * share * max(0, out - started)
        assert found.hours_per_year == pytest.approx(hours)
        assert found.unserved_mwh_per_year == pytest.approx(unserved)

    def test_units_that_always_fail_to_start_count_as_absent(self, one: Model) -> None:
        model = changed(one, "cooling_units", "fan", start_failure_probability=1.0)
        found = only(cooling_adequacy(model, chillers(model, 10, fans=5)))
        assert found.hours_per_year == pytest.approx(found.running_hours_per_year)

    def test_emergency_plants_are_on_standby_whatever_their_units(self, one: Model) -> None:
        model = changed(one, "cooling_units", "fan", mode="running")
        found = only(cooling_adequacy(model, chillers(model, 10, fans=2)))
        assert found.running_hours_per_year == pytest.approx(8760 * (1 - 0.9**10))

    def test_running_units_start_by_themselves(self, one: Model) -> None:
        model = changed(one, "cooling_units", "chiller", start_failure_probability=0.5)
        same = only(cooling_adequacy(one, chillers(one, 11)))
        found = only(cooling_adequacy(model, chillers(model, 11)))
        assert found.hours_per_year == same.hours_per_year


class TestHours:
    def test_heat_of_each_hour_counts(self, one: Model) -> None:
        """Half of the hours 10 MW, the others 7.5 MW."""
        model = one.replace(shapes={"halves": (0.5,) * 12 + (1.0,) * 12})
        model = changed(model, "zones", "users", shape="halves")
        found = only(cooling_adequacy(model, chillers(model, 10)))
        two_out = 10 * 0.1 * 0.9**9
        assert found.hours_per_year == pytest.approx(
            4380 * (1 - 0.9**10) + 4380 * (1 - 0.9**10 - two_out - 45 * 0.01 * 0.9**8)
        )

    def test_capacity_follows_the_ambient(self, one: Model) -> None:
        model = changed(one, "regions", "here", climate="us-west", longitude=-120.0)
        kind, fleet = model.cooling_units["chiller"], chillers(model, 12)
        hours = normal_hours(model, fleet)
        found, probability, reserve = only(cooling_adequacy(model, fleet, hours)), 0.0, []
        for ambient in hours.ambient_c[:, 0]:
            each = derated_mw(1.0, ambient, kind.reference_ambient_c, kind.derating_per_c, 200.0)
            reserve.append(12 * each - 10)
            probability += sum(
                math.comb(12, k) * 0.1**k * 0.9 ** (12 - k)
                for k in range(13)
                if (12 - k) * each < 10 - 1e-9
            )
        assert np.ptp(hours.ambient_c[:, 0]) > 5
        assert found.hours_per_year == pytest.approx(probability * 8760 / 168)
        assert found.least_reserve_mw == pytest.approx(min(reserve))

    def test_ambient_above_the_cut_out_leaves_no_capacity(self, one: Model) -> None:
        model = changed(one, "cooling_units", "chiller", cutout_ambient_c=30.0)
        found = only(cooling_adequacy(model, chillers(model, 20)))
        assert found.hours_per_year == pytest.approx(8760)


class TestSharedPlants:
    @pytest.fixture
    def shared(self, tmp_path: Path) -> Model:
        return model_of(tmp_path, SHARED)

    @staticmethod
    def enumerated(model: Model, heats: tuple[float, float]) -> tuple[float, float]:
        """Probability of a shortage, and heat not carried, over all states of all units."""
        units = [
            (plant, kind)
            for plant, owner in model.plants.items()
            for kind, count in owner.existing.items()
            for _ in range(count)
        ]
        kinds = model.cooling_units
        rate = [
            forced_outage_rate(kinds[kind].failures_per_year, kinds[kind].repair_hours)
            for _, kind in units
        ]
        often = mean = 0.0
        for (starts, chance), *ups in product(
            ((True, 0.8), (False, 0.2)), *[(False, True)] * len(units)
        ):
            have = dict.fromkeys(model.plants, 0.0)
            for (plant, kind), up, out in zip(units, ups, rate, strict=True):
                chance *= 1 - out if up else out
                have[plant] += kinds[kind].capacity_mw * up * (starts or kind != "spare")
            lacking = max(0.0, heats[0] - have["one"]) + max(0.0, heats[1] - have["other"])
            short = max(0.0, lacking - have["both"])
            often += chance * (short > 1e-9)
            mean += chance * short
        return often, mean

    def test_shared_plants_agree_with_enumeration_of_states(self, shared: Model) -> None:
        found = only(cooling_adequacy(shared, Fleet.existing(shared)))
        often, mean = self.enumerated(shared, (10.0, 6.0))
        assert found.hours_per_year == pytest.approx(8760 * often)
        assert found.unserved_mwh_per_year == pytest.approx(8760 * mean)
        assert found.clusters == ("first", "second")
        assert found.bound == ""

    def test_largest_outage_covered_counts_across_shared_plants(self, shared: Model) -> None:
        """Of first's plants two of 4 MW leave 10.5, three 6.5; of second's one leaves 11.5."""
        found = only(cooling_adequacy(shared, Fleet.existing(shared)))
        # All as one: 27.5 MW against 16: without 4, 4 and 4 MW 15.5 are left.
        assert found.largest_outage_covered == 2
        assert found.least_reserve_mw == pytest.approx(min(18.5 - 10, 15.5 - 6, 27.5 - 16))

    def test_shared_plants_on_a_grid_stay_close_to_exact(
        self, shared: Model, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        exact = only(cooling_adequacy(shared, Fleet.existing(shared)))
        monkeypatch.setattr(cooling, "MOST_ROWS", 15)
        found = only(cooling_adequacy(shared, Fleet.existing(shared)))
        assert found.unserved_mwh_per_year >= exact.unserved_mwh_per_year
        assert found.unserved_mwh_per_year == pytest.approx(exact.unserved_mwh_per_year, rel=0.1)

    def test_rounding_is_no_shortage(self, shared: Model) -> None:
        types = {"exact": {"capacity_mw": 10.0 - 1e-13}, "ample": {"capacity_mw": 6.0}}
        kinds = {
            name: shared.cooling_units["big"].replace(failures_per_year=0.0, **fields)
            for name, fields in types.items()
        }
        model = shared.replace(cooling_units={**shared.cooling_units, **kinds})
        for plant, units in {"both": {}, "one": {"exact": 1}, "other": {"ample": 1}}.items():
            model = changed(model, "plants", plant, existing=units)
        found = only(cooling_adequacy(model, Fleet.existing(model)))
        assert found.hours_per_year == 0.0

    def test_plants_overlapping_in_part_give_a_lower_end(self, shared: Model) -> None:
        third = shared.clusters["first"].replace(name="third", existing_gpus=0)
        model = shared.replace(clusters={**shared.clusters, "third": third})
        model = changed(model, "plants", "one", cools=("first", "third"))
        found = only(cooling_adequacy(model, Fleet.existing(model)))
        exact = only(cooling_adequacy(shared, Fleet.existing(shared)))
        assert found.bound.startswith("lower ends")
        assert 0 < found.unserved_mwh_per_year < exact.unserved_mwh_per_year


class TestMoreUnits:
    @settings(derandomize=True, deadline=None, max_examples=often(4, 60))
    @given(
        st.lists(st.integers(0, 3), min_size=5, max_size=5),
        st.sampled_from(range(5)),
    )
    def test_one_more_unit_never_hurts(
        self, tiny: LoadedModel, added: list[int], which: int
    ) -> None:
        model = tiny.model
        keys = [
            ("west-chillers", "chiller-3"),
            ("west-chillers", "chiller-1"),
            ("west-air", "air-1"),
            ("east-chillers", "chiller-3"),
            ("east-chillers", "chiller-1"),
        ]
        counts = dict(zip(keys, added, strict=True))
        more = counts | {keys[which]: counts[keys[which]] + 1}
        fleets = [Fleet.after(model, some, {}, {}, frozenset()) for some in (counts, more)]
        for before, after in zip(*(cooling_adequacy(model, one) for one in fleets), strict=True):
            assert after.hours_per_year <= before.hours_per_year + 1e-12
            assert after.unserved_mwh_per_year <= before.unserved_mwh_per_year + 1e-12
            assert after.running_hours_per_year <= before.running_hours_per_year + 1e-12
            assert after.largest_outage_covered >= before.largest_outage_covered
            assert after.hours_per_year <= after.running_hours_per_year + 1e-12


def test_platform_of_2023_and_with_chillers_added(reference: LoadedModel) -> None:
    """Two loops and two chillers in us-east have no spare; one more of either makes it minutes."""
    model = reference.model
    bought = {("us-east-loops", "loop-10"): 1, ("us-east-chillers", "chiller-9.7"): 1}
    existing, plan = (
        {one.region: one for one in cooling_adequacy(model, Fleet.after(model, some, {}, {}, ()))}
        for some in ({}, bought)
    )
    chiller, loop = forced_outage_rate(0.5, 24.0), forced_outage_rate(0.15, 6.0)
    assert existing["us-east"].hours_per_year == pytest.approx(
        8760 * (1 - (1 - chiller) ** 2 * (1 - loop) ** 2)
    )
    assert plan["us-east"].hours_per_year < existing["us-east"].hours_per_year / 100
    assert plan["us-west"] == existing["us-west"]
    # Of six chillers one may fail, of two loops none, where the standby units do not start at once.
    west = existing["us-west"]
    enough = (1 - chiller) ** 6 + 6 * chiller * (1 - chiller) ** 5
    assert west.running_hours_per_year == pytest.approx(8760 * (1 - (1 - loop) ** 2 * enough))
    assert west.hours_per_year == pytest.approx(8760 * loop**2, rel=1e-4)
