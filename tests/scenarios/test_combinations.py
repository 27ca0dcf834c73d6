"""Single failures, pairs and common causes, counted by hand on the two-region model."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from planner.infrastructure.entities import Model
from planner.infrastructure.failures import Scenario
from planner.infrastructure.loading import load_model
from planner.scenarios.combinations import (
    BETA,
    common_causes,
    pair_frequency_per_year,
    pairs,
    singles,
)
from planner.scenarios.components import Component, components, joint_severity, together
from planner.scenarios.generators import family

#: West has two chillers, east three; four plants' worth of parts besides.
SINGLES = {
    "unit-west-chillers": ("single", 1.0),
    "unit-east-chillers": ("single", 1.5),
    "plant-west-chillers": ("common", 0.01),
    "plant-east-chillers": ("common", 0.01),
    "plant-west-air": ("common", 0.01),
    "provider-cloudy": ("single", 0.05),
    "region-west": ("region", 0.05),
    "region-east": ("region", 0.05),
    "cluster-west-gpus": ("common", 0.01),
    "cluster-east-gpus": ("common", 0.01),
}
#: What each failure makes meaningless beside it: what it holds, and cooling for nothing.
CONTAINED = {
    "plant-west-chillers": {"unit-west-chillers"},
    "plant-east-chillers": {"unit-east-chillers"},
    "region-west": {
        "unit-west-chillers",
        "plant-west-chillers",
        "plant-west-air",
        "cluster-west-gpus",
    },
    "region-east": {"unit-east-chillers", "plant-east-chillers", "cluster-east-gpus"},
    "cluster-west-gpus": {"unit-west-chillers", "plant-west-chillers", "plant-west-air"},
    "cluster-east-gpus": {"unit-east-chillers", "plant-east-chillers"},
}
FEEDS = (
    "feeds.w={region: west, capacity_mw: 9, failures_per_year: 2, repair_hours: 6,"
    " generator_mw: 9, generator_start_probability: 0.9, ups_minutes: 5}",
    "feeds.e={region: east, capacity_mw: 9, failures_per_year: 0.5, repair_hours: 2}",
    "cooling_units.chiller-1.start_failure_probability=0.1",
)


def tiny_with(*settings: str) -> Model:
    return load_model("tiny", settings).model


def named(scenarios: tuple[Scenario, ...]) -> dict[str, Scenario]:
    found = {one.name: one for one in scenarios}
    assert len(found) == len(scenarios)
    return found


def part(name: str, per_year: float, hours: float) -> Component:
    """A component with rates of its own."""
    (loss, *_) = family(tiny_with(), "region")
    event = loss.events[0].replace(repair_minutes=hours * 60)
    return Component(
        loss.replace(name=name, frequency_per_year=per_year, events=(event,)), "region", name
    )


class TestSingles:
    def test_singles_of_tiny_are_listed(self, tiny):
        found = named(singles(tiny.model))
        assert {n: (s.severity, s.frequency_per_year) for n, s in found.items()} == SINGLES

    def test_singles_are_those_of_the_families(self, tiny):
        """Where the model asks for a family, the scenario is the very same."""
        own = named(family(tiny.model, "unit") + family(tiny.model, "region"))
        assert own.items() <= named(singles(tiny.model)).items()

    def test_units_count_one_by_one(self, tiny):
        copies = {one.name: one.copies for one in components(tiny.model)}
        assert copies["unit-west-chillers"] == 2
        assert copies["unit-east-chillers"] == 3
        assert copies["region-west"] == 1

    def test_feeds_with_and_without_generators(self):
        found = named(singles(tiny_with(*FEEDS)))
        assert found["feed-w"].frequency_per_year == pytest.approx(1.8)
        assert found["feed-no-generator-w"].frequency_per_year == pytest.approx(0.2)
        assert found["feed-e"].frequency_per_year == 0.5
        assert set(found) - set(SINGLES) == {"feed-w", "feed-no-generator-w", "feed-e"}

    def test_terms_of_the_model_win(self):
        terms = "{severity: region, frequency_per_year: 0.2, repair_hours: 3}"
        (scenario,) = [
            one
            for one in singles(tiny_with(f"generators.cluster={terms}"))
            if one.name == "cluster-west-gpus"
        ]
        assert (scenario.severity, scenario.frequency_per_year) == ("region", 0.2)
        assert scenario.events[0].repair_minutes == 180.0

    def test_a_cluster_that_can_hold_nothing_cannot_be_lost(self):
        barren = tiny_with(
            "clusters.none={region: west, gpu: accelerator, max_gpus: 0}",
            "plants.west-chillers.cools=[west-gpus, none]",
        )
        assert "cluster-none" not in named(singles(barren))

    def test_services_are_a_family_of_their_own(self):
        model = tiny_with("services.login={plane: service, replicas: {west: 2, east: 1}}")
        assert list(named(family(model, "service"))) == ["service-login"]
        assert "service-login" not in named(singles(model))


class TestPairs:
    def test_pairs_of_tiny_are_listed(self, tiny):
        """45 pairs less 14 in which one contains the other, and two units of either plant."""
        expected = {
            f"{one}-and-{other}"
            for one, other in combinations(SINGLES, 2)
            if other not in CONTAINED.get(one, ()) and one not in CONTAINED.get(other, ())
        }
        assert len(expected) == 31
        doubles = {"2-units-west-chillers", "2-units-east-chillers"}
        assert set(named(pairs(tiny.model))) == expected | doubles

    def test_both_fail_at_once_and_take_their_own_time(self, tiny):
        pair = named(pairs(tiny.model))["unit-west-chillers-and-region-east"]
        assert [event.kind for event in pair.events] == ["largest-units", "region"]
        assert [event.at_minute for event in pair.events] == [0.0, 0.0]
        assert [event.repair_minutes for event in pair.events] == [1440.0, 1440.0]
        assert pair.severity == "region"

    def test_pair_frequency_is_rate_times_rate_times_repair(self, tiny):
        """1.0 · 1.5 · (24 + 24) / 8760."""
        pair = named(pairs(tiny.model))["unit-west-chillers-and-unit-east-chillers"]
        assert pair.frequency_per_year == pytest.approx(1.5 * 48 / 8760)
        assert pair.severity == "double"

    def test_two_units_are_those_of_the_family(self, tiny):
        assert named(family(tiny.model, "units")).items() <= named(pairs(tiny.model)).items()

    def test_one_unit_is_never_two(self):
        lone = tiny_with(
            "clusters.east-gpus.existing_gpus=0",
            "plants.east-chillers={region: east, cools: [east-gpus], existing: {chiller-1: 1}}",
        )
        assert "2-units-east-chillers" not in named(pairs(lone))

    def test_what_hangs_on_a_feed_is_no_second_failure(self):
        """Without generators all of east is dark; with them only until they start."""
        found = set(named(pairs(tiny_with(*FEEDS))))
        assert "plant-east-chillers-and-feed-e" not in found
        assert "plant-west-chillers-and-feed-w" in found
        assert "feed-w-and-feed-no-generator-w" not in found
        assert "feed-w-and-feed-e" in found
        assert not [one for one in found if "region-east" in one and "feed-e" in one]

    def test_batteries_keep_a_cluster_for_a_while(self):
        """Its loss besides is another scenario: it is down from the first minute."""
        found = set(named(pairs(tiny_with(*FEEDS))))
        assert "feed-no-generator-w-and-cluster-west-gpus" in found
        assert "feed-e-and-cluster-east-gpus" not in found


class TestPairFrequency:
    @pytest.mark.parametrize(("share", "tolerance"), [(1e-2, 2.1e-2), (1e-4, 2.1e-4)])
    def test_pair_frequency_is_that_of_two_markov_components_with_short_repairs(
        self, share, tolerance
    ):
        """State (up/down, up/down); visits to both down are the flow into that state."""
        rates, hours = (3.0, 0.7), (share * 8760 / 3.0, share * 8760 / 0.7)
        one, other = (part(n, r, h) for n, r, h in zip("ab", rates, hours, strict=True))
        repairs = [8760 / h for h in hours]
        states = [(False, False), (True, False), (False, True), (True, True)]
        generator = np.zeros((4, 4))
        for i, state in enumerate(states):
            for k in (0, 1):
                after = tuple(not d if j == k else d for j, d in enumerate(state))
                generator[i, states.index(after)] = repairs[k] if state[k] else rates[k]
        np.fill_diagonal(generator, -generator.sum(axis=1))
        balance = np.vstack([generator.T, np.ones(4)])
        stationary = np.linalg.lstsq(balance, np.array([0, 0, 0, 0, 1.0]), rcond=None)[0]
        exact = stationary[1] * rates[1] + stationary[2] * rates[0]
        frequency = pair_frequency_per_year(one, other)
        assert frequency == pytest.approx(exact, rel=tolerance)
        assert frequency > exact


class TestSeverity:
    @pytest.mark.parametrize(
        ("single", "joint"),
        [
            (("single",), "single"),
            (("single", "single"), "double"),
            (("single", "double"), "double"),
            (("single", "common"), "common"),
            (("region", "single", "double"), "region"),
            (("common", "region"), "extreme"),
            (("region", "region"), "extreme"),
            (("extreme", "single"), "extreme"),
        ],
    )
    def test_joint_severity_follows_those_of_the_failures(self, single, joint):
        assert joint_severity(single) == joint


def test_joint_names_that_are_too_long_stay_distinct():
    parts = [part("x" * 60 + str(i), 1.0, 1.0).scenario for i in range(3)]
    names = {together(some, 1.0).name for some in combinations(parts, 2)}
    assert len(names) == 3
    together([parts[0].replace(name="x" * 128), parts[1]], 1.0)


class TestCommonCauses:
    def test_common_causes_of_tiny_are_listed(self, tiny):
        found = named(common_causes(tiny.model))
        assert set(found) == {
            "region-west",
            "region-east",
            "heat-wave-west",
            "heat-wave-east",
            "common-chiller-3-west-chillers",
            "common-chiller-1-east-chillers",
        }

    def test_frequency_of_a_common_cause_follows_the_beta_factor(self, tiny):
        """A tenth of the failures of a unit hit all equal ones, here those in place of a type."""
        scenario = named(common_causes(tiny.model))["common-chiller-1-east-chillers"]
        assert scenario.frequency_per_year == pytest.approx(BETA * 0.5)
        (event,) = scenario.events
        assert (event.kind, event.unit, event.count) == ("units", "chiller-1", 3)
        assert (scenario.severity, event.repair_minutes) == ("common", 1440.0)

    def test_common_cause_of_a_lone_type_takes_the_plant(self):
        model = tiny_with("plants.east-chillers.options=[chiller-1]")
        (event,) = named(common_causes(model))["common-chiller-1-east-chillers"].events
        assert (event.kind, event.name) == ("plant", "east-chillers")

    def test_a_lone_unit_has_nothing_in_common(self):
        model = tiny_with("plants.west-chillers.existing={chiller-3: 1, chiller-1: 3}")
        found = named(common_causes(model))
        assert "common-chiller-3-west-chillers" not in found
        assert "common-chiller-1-west-chillers" in found

    def test_a_feed_that_several_components_need_is_a_common_cause(self):
        """Generators that start leave nothing down; a feed without any takes all of east."""
        found = named(common_causes(tiny_with(*FEEDS)))
        assert found["common-feed-e"].severity == "common"
        assert found["feed-no-generator-w"].severity == "common"
        assert "common-feed-w" not in found
        assert {"sag-w", "sag-e", "restart-failure-w"} <= set(found)

    def test_a_service_that_several_plants_need_is_a_common_cause(self):
        control = "services.control={plane: control, replicas: {east: 1}}"
        shared = [f"plants.{n}.depends_on=[control]" for n in ("west-chillers", "east-chillers")]
        assert "service-control" in named(common_causes(tiny_with(control, *shared)))
        assert "service-control" not in named(common_causes(tiny_with(control, shared[0])))
