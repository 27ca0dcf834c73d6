"""Numbers as people write them, in files, tables and settings."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.errors import InputError
from planner.infrastructure.loading import LoadedModel, load_model
from planner.infrastructure.quantities import UNITS, factor, quantity


def _model(folder: Path, text: str, *overrides: str) -> LoadedModel:
    file = folder / "own.yaml"
    file.write_text(text)
    return load_model(file, overrides)


def _said(folder: Path, text: str, *overrides: str) -> str:
    with pytest.raises(InputError) as caught:
        _model(folder, text, *overrides)
    return str(caught.value)


class TestUnits:
    @pytest.mark.parametrize(
        ("setting", "value"),
        [
            ("regions.west.power_limit_mw=16 MW", 16.0),
            ("regions.west.power_limit_mw=16500kW", 16.5),
            ("regions.west.power_limit_mw=0.02GW", 20.0),
            ("regions.west.electricity_usd_per_mwh=90 USD/MWh", 90.0),
            ("zones.west-users.demand_rps=1.2k", 1200.0),
            ("zones.west-users.latency_ms.west=0.05 s", 50.0),
            ("tiers.free.share=40%", 0.4),
            ("clusters.west-gpus.max_gpus=2k", 2000),
            ("offers.cloud.lead_time_minutes=1.5 h", 90.0),
            ("cooling_units.chiller-3.repair_hours=2 d", 48.0),
            ("finance.emergency_budget_usd=2.5M USD", 2.5e6),
            ("generators.region.frequency_per_year=5 %", 0.05),
            ("standard.common[1].least_served=99.5%", 0.995),
        ],
    )
    def test_a_setting_may_have_the_unit_of_its_field(self, setting: str, value: float) -> None:
        plain = f"{setting.partition('=')[0]}={value}"
        assert load_model("tiny", (setting,)).model == load_model("tiny", (plain,)).model

    def test_files_and_tables_may_too(self, tmp_path: Path) -> None:
        (tmp_path / "zones.csv").write_text(
            "name,demand_rps,latency_ms.west,latency_ms.east\nall,1.5k,10 ms,0.07 s\n"
        )
        text = "extends: tiny\nregions: {west: {power_limit_mw: 16 MW}}\nzones: zones.csv\n"
        model = _model(tmp_path, text).model

        assert model.regions["west"].power_limit_mw == 16.0
        assert model.zones["all"].demand_rps == 1500.0
        assert model.zones["all"].latency_ms == {"west": 10.0, "east": 70.0}

    @pytest.mark.parametrize(
        ("setting", "hint"),
        [
            ("regions.west.power_limit_mw=16 M", "may be followed by W, kW, MW, GW"),
            ("regions.west.power_limit_mw=16 USD", "may be followed by W, kW, MW, GW"),
            ("zones.west-users.demand_rps=5 MW", "may be followed by rps"),
            ("offers.cloud.lead_time_minutes=5 MW", "may be followed by s, min, h, d"),
            ("offers.cloud.lead_time_minutes=soon", "expected a number, not 'soon'"),
            ("clusters.west-gpus.max_gpus=12.5%", "expected a whole number"),
            ("regions.west.electricity_usd_per_mwh=9 USD/GPU", "may be followed by USD"),
        ],
    )
    def test_a_wrong_unit_is_answered_by_the_right_ones(
        self, setting: str, hint: str, tmp_path: Path
    ) -> None:
        assert hint in _said(tmp_path, "extends: tiny\n", setting)

    def test_texts_stay_texts(self, tmp_path: Path) -> None:
        text = "extends: tiny\ndescription: 16 MW\nregions: {west: {city: 5M}}\n"
        model = _model(tmp_path, text).model
        assert (model.description, model.regions["west"].city) == ("16 MW", "5M")

    @given(
        st.floats(0, 1e9).map(lambda number: float(f"{number:.6g}")),
        st.sampled_from(sorted(UNITS)),
        st.data(),
    )
    def test_a_number_with_a_unit_is_the_number_times_its_size(
        self, number: float, unit: str, data: st.DataObject
    ) -> None:
        word = data.draw(st.sampled_from(sorted(UNITS[unit])))
        found = quantity(f"{number!r} {word}", f"some_{unit}")
        assert found == pytest.approx(number * float(UNITS[unit][word]), rel=1e-12)

    @pytest.mark.parametrize(
        "setting",
        [
            "discount_rate: 1e999%",
            "emergency_budget_usd: -1e400 bn USD",
            'emergency_budget_usd: "*1e999"',
        ],
    )
    def test_what_is_too_large_for_a_number_is_refused(self, tmp_path: Path, setting: str) -> None:
        told = _said(tmp_path, f"extends: tiny\nfinance: {{{setting}}}\n")
        assert "expected a finite number" in told


class TestFactors:
    def test_a_factor_in_a_setting_multiplies_what_every_entry_has(self) -> None:
        base = load_model("tiny").model
        model = load_model("tiny", ("zones.*.demand_rps=*1.3",)).model
        assert {name: zone.demand_rps for name, zone in model.zones.items()} == {
            name: zone.demand_rps * 1.3 for name, zone in base.zones.items()
        }

    def test_a_factor_reaches_the_catalogue_and_defaults(self, tmp_path: Path) -> None:
        text = "extends: tiny\ngpus: {accelerator: {from: H100-SXM5-80GB, capital_usd: null}}\n"
        plain = _model(tmp_path, text).model.gpus["accelerator"]
        changed = ("gpus.*.capital_usd=*110%", "gpus.accelerator.life_years=*2")
        gpu = _model(tmp_path, text, *changed).model.gpus["accelerator"]
        assert gpu.capital_usd == pytest.approx(1.1 * plain.capital_usd)
        assert gpu.life_years == 2 * plain.life_years

    def test_whole_numbers_stay_whole(self) -> None:
        model = load_model("tiny", ("clusters.*.max_gpus=*1.0004",)).model
        assert model.clusters["west-gpus"].max_gpus == 2001

    def test_a_file_may_multiply_what_it_inherits(self, tmp_path: Path) -> None:
        text = 'extends: tiny\nzones: {"*": {demand_rps: "*1.3"}}\n'
        own = _model(tmp_path, text).model
        assert own.zones == load_model("tiny", ("zones.*.demand_rps=*1.3",)).model.zones

    @pytest.mark.parametrize(
        ("setting", "message"),
        [
            ("zones.*.demand_rps=*x", "not valid YAML"),
            ("zones.*.shape=*2", "no number to multiply"),
            ("measures.*.capital_usd=*2", "matches nothing here"),
            ("zones.wst-users.demand_rps=*2", "did you mean `west-users`"),
        ],
    )
    def test_a_factor_on_nothing_is_reported(self, setting: str, message: str) -> None:
        with pytest.raises(InputError) as caught:
            load_model("tiny", (setting,))
        assert message in str(caught.value)

    def test_a_factor_on_nothing_inherited_is_reported(self, tmp_path: Path) -> None:
        text = 'extends: tiny\nzones: {new: {demand_rps: "*1.3", latency_ms: {west: 1.0}}}\n'
        assert "no inherited number to multiply" in _said(tmp_path, text)

    @given(st.text(max_size=12))
    def test_any_text_is_a_factor_or_none(self, text: str) -> None:
        found = factor(text)
        assert found is None or text.startswith("*")


class TestLists:
    STRICTER = (
        "extends: tiny\nstandard: {common+: [{tier: all, from_minute: 15, least_served: 0.9}]}\n"
    )

    def test_a_plus_adds_to_an_inherited_list(self, tmp_path: Path) -> None:
        own = _model(tmp_path, self.STRICTER)
        before = load_model("tiny").model.standard["common"]
        assert own.model.standard["common"][: len(before)] == before
        assert own.model.standard["common"][-1].least_served == 0.9
        assert own.replaced == ()

    def test_a_list_without_plus_is_replaced_and_reported(self, tmp_path: Path) -> None:
        own = _model(tmp_path, self.STRICTER.replace("common+", "common"))
        assert len(own.model.standard["common"]) == 1
        assert own.replaced == (
            "standard.common: replaces 2 inherited entries, 2 of which are dropped; "
            "`common+` adds to them",
        )

    def test_merge_keys_bring_what_an_entry_does_not_say(self, tmp_path: Path) -> None:
        text = """
            extends: tiny
            zones:
              west-users: &one {demand_rps: 700.0, latency_ms: {west: 10.0, east: 70.0}}
              more: {<<: *one, demand_rps: 5.0}
              both: {<<: [{demand_rps: 6.0}, *one]}
            """
        zones = _model(tmp_path, text.replace("\n            ", "\n")).model.zones
        assert zones["more"].latency_ms == zones["both"].latency_ms == {"west": 10.0, "east": 70.0}
        assert (zones["more"].demand_rps, zones["both"].demand_rps) == (5.0, 6.0)

    def test_a_merge_key_wants_a_mapping(self, tmp_path: Path) -> None:
        assert "expected a mapping" in _said(tmp_path, "extends: tiny\nzones: {a: {<<: 5}}\n")


class TestSemicolons:
    def test_a_table_with_semicolons_has_decimal_commas(self, tmp_path: Path) -> None:
        (tmp_path / "plants.csv").write_text(
            "name;region;cools;options;max_added\np;west;west-gpus;chiller-3,chiller-1;4\n"
        )
        (tmp_path / "zones.csv").write_text(
            "name;demand_rps;latency_ms.west;latency_ms.east\nall;1500,5;10;70,25\n"
        )
        text = "extends: tiny\nplants: plants.csv\nzones: zones.csv\n"
        model = _model(tmp_path, text).model
        assert model.plants["p"].options == ("chiller-3", "chiller-1")
        assert model.zones["all"].demand_rps == 1500.5
        assert model.zones["all"].latency_ms["east"] == 70.25

    def test_an_ambiguous_comma_is_not_guessed(self, tmp_path: Path) -> None:
        (tmp_path / "zones.csv").write_text("name;demand_rps;latency_ms.west\nall;1,500;10\n")
        said = _said(tmp_path, "extends: tiny\nzones: zones.csv\n")
        assert "zones.csv:2" in said and "expected a number, not '1,500'" in said
