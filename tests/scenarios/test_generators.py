"""Scenario families worked out from the model, and the scenarios written in it."""

from __future__ import annotations

import pytest

from planner.errors import InputError
from planner.infrastructure.entities import Model
from planner.infrastructure.failures import Scenario
from planner.infrastructure.loading import load_model
from planner.scenarios.generators import all_scenarios


def by_name(model: Model) -> dict[str, Scenario]:
    return {scenario.name: scenario for scenario in all_scenarios(model)}


def with_settings(*settings: str, model: str = "tiny") -> dict[str, Scenario]:
    return by_name(load_model(model, settings).model)


class TestTiny:
    def test_scenarios_of_tiny_come_in_order(self, tiny):
        assert list(by_name(tiny.model)) == [
            "unit-west-chillers",
            "unit-east-chillers",
            "2-units-west-chillers",
            "2-units-east-chillers",
            "region-west",
            "region-east",
            "provider-cloudy",
            "heat-wave-west",
            "heat-wave-east",
            "surge",
        ]

    def test_scenarios_of_tiny_have_their_severities(self, tiny):
        assert [scenario.severity for scenario in all_scenarios(tiny.model)] == [
            "single",
            "single",
            "double",
            "double",
            "region",
            "region",
            "single",
            "common",
            "common",
            "common",
        ]

    def test_scenarios_of_tiny_have_their_events(self, tiny):
        named = by_name(tiny.model)
        (event,) = named["2-units-west-chillers"].events
        assert (event.kind, event.plant, event.count) == ("largest-units", "west-chillers", 2)
        assert (event.at_minute, event.repair_minutes) == (0.0, 24 * 60.0)
        (event,) = named["region-east"].events
        assert (event.kind, event.name, event.repair_minutes) == ("region", "east", 24 * 60.0)
        (event,) = named["provider-cloudy"].events
        assert (event.kind, event.name) == ("provider", "cloudy")
        (event,) = named["heat-wave-east"].events
        assert (event.kind, event.region, event.rise_c) == ("heat", "east", 5.0)
        assert event.repair_minutes == 48 * 60.0
        (event,) = named["surge"].events
        assert (event.kind, event.zones, event.factor) == ("surge", (), 1.2)
        assert event.repair_minutes == 8 * 60.0

    def test_scenarios_of_tiny_have_their_frequencies(self, tiny):
        """Two units failing 0.5 times a year: 1 loss a year; two at once within 24 h: x 24/8760."""
        named = by_name(tiny.model)
        assert named["unit-west-chillers"].frequency_per_year == 1.0
        assert named["unit-east-chillers"].frequency_per_year == 1.5
        assert named["2-units-west-chillers"].frequency_per_year == pytest.approx(1.0 * 24 / 8760)
        assert named["2-units-east-chillers"].frequency_per_year == pytest.approx(
            1.5 * (1.5 * 24 / 8760)
        )
        assert named["region-west"].frequency_per_year == 0.05


class TestFormula:
    """λ·(λ·r/8760)^(k-1) a year, λ the sum of the rates of the units, r the longest repair."""

    def test_frequency_of_three_mixed_units_follows_the_formula(self):
        named = with_settings(
            "plants.west-chillers.redundancy=3",
            "plants.west-chillers.existing={chiller-3: 2, chiller-1: 1}",
            "cooling_units.chiller-3.failures_per_year=0.4",
            "cooling_units.chiller-1.failures_per_year=0.2",
            "cooling_units.chiller-1.repair_hours=48",
        )
        scenario = named["3-units-west-chillers"]
        rate = 2 * 0.4 + 0.2
        assert scenario.frequency_per_year == pytest.approx(rate * (rate * 48 / 8760) ** 2)
        (event,) = scenario.events
        assert (event.count, event.repair_minutes) == (3, 48 * 60.0)
        assert "2-units-west-chillers" not in named

    @pytest.mark.parametrize("existing", ["{}", "{chiller-3: 0}"])
    def test_a_plant_without_units_counts_one_of_each_option(self, existing):
        named = with_settings(
            "clusters.west-gpus.existing_gpus=0",
            f"plants.west-chillers.existing={existing}",
            "cooling_units.chiller-3.failures_per_year=0.4",
            "cooling_units.chiller-1.failures_per_year=0.3",
        )
        assert named["unit-west-chillers"].frequency_per_year == pytest.approx(0.7)

    def test_terms_of_the_family_win(self):
        named = with_settings(
            "generators.unit={severity: common, frequency_per_year: 0.25, repair_hours: 3}"
        )
        scenario = named["unit-west-chillers"]
        assert (scenario.severity, scenario.frequency_per_year) == ("common", 0.25)
        assert scenario.events[0].repair_minutes == 180.0

    def test_feeds_fail_at_their_own_rate(self):
        named = with_settings(
            "feeds.f={region: west, capacity_mw: 9, failures_per_year: 2.5, repair_hours: 6}",
            "generators.feed={severity: single}",
        )
        scenario = named["feed-f"]
        assert scenario.frequency_per_year == 2.5
        assert (scenario.events[0].kind, scenario.events[0].repair_minutes) == ("feed", 360.0)

    @pytest.mark.parametrize(
        ("family", "name", "frequency", "hours"),
        [
            ("plant", "plant-west-chillers", 0.01, 12.0),
            ("region", "region-west", 0.03, 24.0),
            ("provider", "provider-cloudy", 0.05, 24.0),
            ("heat_wave", "heat-wave-west", 0.5, 72.0),
            ("heat_wave_unit", "heat-wave-unit-west-chillers", 0.05, 24.0),
            ("surge", "surge", 1.0, 8.0),
        ],
    )
    def test_default_rates_apply_where_no_component_has_one(self, family, name, frequency, hours):
        scenario = with_settings(f"generators.{family}={{severity: single}}")[name]
        assert scenario.frequency_per_year == frequency
        assert {event.repair_minutes for event in scenario.events} == {hours * 60}


class TestFamilies:
    def test_reference_model_has_its_families(self, reference):
        """A family for each kind of thing that can fail, and the incident of 2023 itself."""
        names = list(by_name(reference.model))
        regions = list(reference.model.regions)
        plants = [f"{region}-{part}" for region in regions for part in ("loops", "chillers")]
        assert names == [
            *(f"unit-{plant}" for plant in plants),
            *(f"2-units-{plant}" for plant in plants),
            *(f"plant-{plant}" for plant in plants),
            *(f"feed-{region}-feed" for region in regions),
            *(f"region-{region}" for region in regions),
            *(f"provider-{name}" for name in ("aws", "azure", "gcp")),
            *(
                f"heat-wave-{name}"
                for region in regions
                for name in (region, f"unit-{region}-loops", f"unit-{region}-chillers")
            ),
            "surge",
            "incident-2023",
        ]

    def test_model_of_2023_has_its_families(self, reference):
        scenario = by_name(reference.model)["incident-2023"]
        (event,) = scenario.events
        assert (event.kind, event.plant, event.unit) == ("units", "us-west-loops", "loop-36")
        assert scenario.operations.detection_minutes == 50.0
        assert scenario.severity == "common"

    def test_a_heat_wave_hits_with_a_unit(self, reference):
        heat, loss = by_name(reference.model)["heat-wave-unit-us-west-loops"].events
        assert (heat.kind, heat.region, heat.rise_c) == ("heat", "us-west", 6.0)
        assert (loss.kind, loss.plant, loss.count) == ("largest-units", "us-west-loops", 1)
        assert heat.repair_minutes == loss.repair_minutes == 24 * 60

    def test_emergency_plants_are_no_target(self, reference):
        assert not [name for name in by_name(reference.model) if "emergency" in name]

    def test_a_family_left_out_is_not_generated(self):
        named = with_settings("generators=null")
        assert named == {}
        named = with_settings("generators={surge: {severity: common}}")
        assert list(named) == ["surge"]

    def test_redundancy_of_one_makes_no_second_family(self):
        named = with_settings("plants.west-chillers.redundancy=1")
        assert "2-units-west-chillers" not in named
        assert "1-units-west-chillers" not in named
        assert "2-units-east-chillers" in named

    def test_a_candidate_that_can_hold_nothing_cannot_be_lost(self):
        settings = ("regions.north={power_limit_mw: 1, candidate: true}",)
        assert "region-north" not in with_settings(*settings)
        settings += ("clusters.north={region: north, gpu: accelerator, max_gpus: 100}",)
        settings += ("plants.north={region: north, cools: [north], options: [chiller-1]}",)
        named = with_settings(*settings)
        assert {"region-north", "heat-wave-north", "unit-north"} <= set(named)

    def test_names_may_be_as_long_as_they_can_be(self):
        """A generated name has words before a name of up to 64 signs."""
        longest = "w" * 64
        named = with_settings(
            f"plants.{longest}={{region: west, cools: [west-gpus], options: [chiller-1]}}",
            "generators.heat_wave_unit={severity: single}",
        )
        assert f"heat-wave-unit-{longest}" in named


class TestWrittenByHand:
    EVENT = "{kind: region, name: west, repair_minutes: 5}"

    def test_own_scenarios_come_after_generated_ones(self):
        named = with_settings(
            "scenarios={mine: {severity: region, frequency_per_year: 0.1, events: "
            f"[{self.EVENT}]}}}}"
        )
        assert list(named)[-1] == "mine"
        assert len(named) == 11

    def test_an_own_scenario_overrides_a_generated_one_of_the_same_name(self):
        named = with_settings(
            "scenarios={region-west: {severity: common, frequency_per_year: 9, events: "
            f"[{self.EVENT}]}}}}"
        )
        assert list(named).index("region-west") == 4
        assert len(named) == 10
        scenario = named["region-west"]
        assert (scenario.severity, scenario.frequency_per_year) == ("common", 9.0)
        assert scenario.events[0].repair_minutes == 5.0

    def test_a_name_that_differs_only_in_signs_is_another(self):
        named = with_settings(
            "scenarios={region_west: {severity: common, frequency_per_year: 9, events: "
            f"[{self.EVENT}]}}}}"
        )
        assert {"region_west", "region-west"} <= set(named)

    def test_two_families_must_not_give_one_name(self):
        """heat-wave-(region unit-west-chillers) and heat-wave-unit-(plant west-chillers)."""
        with pytest.raises(InputError, match="heat-wave-unit-west-chillers"):
            with_settings(
                "regions.unit-west-chillers={power_limit_mw: 1}",
                "clusters.c={region: unit-west-chillers, gpu: accelerator, max_gpus: 100}",
                "plants.p={region: unit-west-chillers, cools: [c], options: [chiller-1]}",
                "generators.heat_wave_unit={severity: common}",
            )


class TestPower:
    """Feeds with and without generators that start, sags, restarts that fail."""

    SETTINGS = (
        "feeds.w={region: west, capacity_mw: 9, failures_per_year: 2, repair_hours: 6,"
        " generator_mw: 9, generator_start_probability: 0.995}",
        "feeds.e={region: east, capacity_mw: 9, failures_per_year: 0.5}",
        "generators={feed: {severity: single}, feed_no_generator: {severity: common},"
        " sag: {severity: single}, restart_failure: {severity: common}}",
        "cooling_units.chiller-1.start_failure_probability=0.1",
        "cooling_units.chiller-3.start_failure_probability=0.83",
        "cooling_units.air-1.start_failure_probability=0.9",
    )

    def test_power_scenarios_come_in_order(self):
        assert list(with_settings(*self.SETTINGS)) == [
            "feed-w",
            "feed-e",
            "feed-no-generator-w",
            "sag-w",
            "sag-e",
            "restart-failure-w",
            "restart-failure-e",
        ]

    def test_losses_are_split_by_whether_generators_start(self):
        named = with_settings(*self.SETTINGS)
        with_it, without = named["feed-w"], named["feed-no-generator-w"]
        assert with_it.frequency_per_year == pytest.approx(2 * 0.995)
        assert without.frequency_per_year == pytest.approx(2 * 0.005)
        assert with_it.events[0].generators_start
        assert not without.events[0].generators_start
        assert (without.events[0].kind, without.events[0].name) == ("feed", "w")
        assert without.events[0].repair_minutes == with_it.events[0].repair_minutes == 360.0
        assert (with_it.severity, without.severity) == ("single", "common")
        assert named["feed-e"].frequency_per_year == 0.5

    def test_generators_that_always_start_make_one_scenario(self):
        named = with_settings(*self.SETTINGS, "feeds.w.generator_start_probability=1")
        assert "feed-no-generator-w" not in named
        assert named["feed-w"].frequency_per_year == 2.0

    def test_a_probability_without_generators_means_nothing(self):
        named = with_settings(*self.SETTINGS, "feeds.e.generator_start_probability=0.5")
        assert "feed-no-generator-e" not in named
        assert named["feed-e"].frequency_per_year == 0.5

    def test_sags_are_generated_by_feed(self):
        scenario = with_settings(*self.SETTINGS)["sag-w"]
        (event,) = scenario.events
        assert (event.kind, event.feed, event.at_minute, event.repair_minutes) == (
            "sag",
            "w",
            0.0,
            1.0,
        )
        assert scenario.frequency_per_year == 2.0

    def test_restart_failures_are_generated(self):
        """At the rate of sags times the largest probability of a type that runs; 3.5 hours."""
        named = with_settings(*self.SETTINGS)
        (event,) = named["restart-failure-w"].events
        assert (event.kind, event.feed, event.repair_minutes) == ("sag", "w", 210.0)
        assert named["restart-failure-w"].frequency_per_year == pytest.approx(2 * 0.83)

    def test_restarts_that_never_fail_have_a_frequency_of_zero(self):
        named = with_settings(*self.SETTINGS[:-3], "generators.restart_failure={severity: common}")
        assert named["restart-failure-w"].frequency_per_year == 0.0

    def test_terms_of_the_families_win(self):
        terms = "{severity: double, frequency_per_year: 0.25, repair_hours: 2}"
        named = with_settings(
            *self.SETTINGS,
            *(
                f"generators.{family}={terms}"
                for family in ("feed", "feed_no_generator", "sag", "restart_failure")
            ),
        )
        assert {one.severity for one in named.values()} == {"double"}
        assert {one.frequency_per_year for one in named.values()} == {0.25}
        assert {one.events[0].repair_minutes for one in named.values()} == {120.0}

    def test_only_feeds_that_a_running_plant_hangs_on_alone(self):
        second = "feeds.w2={region: west, capacity_mw: 9, powers: [west-chillers]}"
        assert {"sag-w", "sag-w2"}.isdisjoint(with_settings(*self.SETTINGS, second))
        other = "feeds.w2={region: west, capacity_mw: 9, powers: [west-gpus, west-air]}"
        named = with_settings(*self.SETTINGS, other)
        assert "sag-w" in named
        assert "sag-w2" not in named
        assert "restart-failure-w2" not in named


class TestWithout:
    @pytest.mark.parametrize(
        ("family", "name"),
        [
            ("region", "region-east"),
            ("units", "2-units-west-chillers"),
            ("heat_wave", "heat-wave-west"),
            ("surge", "surge"),
        ],
    )
    def test_one_member_is_left_out_and_no_other(self, family, name):
        rest = with_settings(f"generators.{family}.without=[{name}]")
        assert rest == {key: one for key, one in with_settings().items() if key != name}

    def test_heat_waves_with_a_unit_are_a_family_of_their_own(self):
        both = (
            "generators.heat_wave_unit={severity: double, without: [heat-wave-unit-east-chillers]}"
        )
        names = set(with_settings(both)) - set(with_settings())
        assert names == {"heat-wave-unit-west-chillers"}

    def test_a_name_that_no_member_has_is_an_error(self):
        regions = "generators.region.without=[region-easter, surge]"
        model = load_model("tiny", (regions, "generators.surge.without=[x]")).model
        with pytest.raises(InputError) as raised:
            all_scenarios(model)
        text = str(raised.value)
        assert "generators.region.without" in text
        assert "did you mean `region-east`?" in text
        assert "`surge` is not a scenario of the family" in text
        assert "generators.surge.without" in text
