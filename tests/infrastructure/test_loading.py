"""Model files: inheritance, tables, catalogues, settings, identity."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

import planner
from planner.errors import InputError
from planner.infrastructure import loading
from planner.infrastructure.catalogue import catalogue
from planner.infrastructure.entities import Model
from planner.infrastructure.loading import LoadedModel, extending_outside, load_model

MINIMAL = """\
regions:
  a: {power_limit_mw: 10.0}
  b: {power_limit_mw: 20.0}
gpus:
  g: {power_mw: 0.0, static_share: 0.0, rps: 1.0}
clusters:
  one: {region: a, gpu: g, existing_gpus: 10, max_gpus: 20}
  two: {region: b, gpu: g, existing_gpus: 10, max_gpus: 20}
tiers:
  t: {priority: 1, share: 1.0}
zones:
  z: {demand_rps: 5.0, latency_ms: {a: 1.0, b: 2.0}}
"""


class TestExtends:
    def test_child_overrides_and_keeps(self, write, load):
        write("base.yaml", MINIMAL)
        model = load("extends: base.yaml\nregions: {a: {power_limit_mw: 12.5, city: Here}}\n").model
        assert model.regions["a"].power_limit_mw == 12.5
        assert model.regions["a"].city == "Here"
        assert model.regions["b"].power_limit_mw == 20.0

    def test_null_removes_entity_and_field(self, write, load):
        write(
            "base.yaml",
            MINIMAL.replace("10.0}", "10.0, city: Here}")
            + "shapes: {day: [1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]}\n",
        )
        model = load(
            "extends: base.yaml\n"
            "regions: {a: {city: null}, b: null}\n"
            "clusters: {two: null}\n"
            "zones: {z: {latency_ms: {b: null}}}\n"
            "shapes: null\n"
        ).model
        assert list(model.regions) == ["a"]
        assert model.regions["a"].city == ""
        assert list(model.clusters) == ["one"]
        assert dict(model.zones["z"].latency_ms) == {"a": 1.0}
        assert not model.shapes

    def test_lists_are_replaced_not_merged(self, write, load, tiny_text):
        write("base.yaml", tiny_text)
        model = load(
            "extends: base.yaml\nplants: {west-chillers: {options: [chiller-1]}}\n"
            "standard: {region: [{tier: all, from_minute: 60, least_served: 0.5}]}\n"
        ).model
        assert model.plants["west-chillers"].options == ("chiller-1",)
        assert [rule.tier for rule in model.standard["region"]] == ["all"]
        assert len(model.standard["common"]) == 2

    def test_chain_applies_nearest_last(self, write, load):
        write("first.yaml", MINIMAL)
        write("second.yaml", "extends: first.yaml\nregions: {a: {power_limit_mw: 2.0, city: X}}\n")
        model = load("extends: second.yaml\nregions: {a: {power_limit_mw: 3.0}}\n").model
        assert model.regions["a"].power_limit_mw == 3.0
        assert model.regions["a"].city == "X"

    def test_parent_in_another_folder_reads_its_own_tables(self, write, load):
        text = MINIMAL.replace("  one: {region: a, gpu: g, existing_gpus: 10, max_gpus: 20}\n", "")
        text = text.replace("  two: {region: b, gpu: g, existing_gpus: 10, max_gpus: 20}\n", "")
        write("shared/base.yaml", text.replace("clusters:\n", "clusters: clusters.csv\n"))
        write("shared/clusters.csv", "name,region,gpu,max_gpus\none,a,g,7\n")
        model = load("extends: shared/base.yaml\nclusters: {one: {existing_gpus: 3}}\n").model
        assert model.clusters["one"].max_gpus == 7
        assert model.clusters["one"].existing_gpus == 3

    def test_a_parent_outside_of_the_folder_is_read_only_if_that_is_allowed(self, write):
        write("base.yaml", MINIMAL)
        write("inside/nearer.yaml", "extends: deeper/model.yaml\n")
        path = write("inside/model.yaml", "extends: ../base.yaml\n")
        write("inside/deeper/model.yaml", "extends: ../sibling.yaml\n")
        write("inside/sibling.yaml", MINIMAL)
        assert list(load_model(path.parent / "nearer.yaml").model.regions) == ["a", "b"]
        with pytest.raises(InputError, match="outside of the folder of the model") as caught:
            load_model(path)
        assert caught.value.problems[0].line == 1
        with extending_outside():
            assert list(load_model(path).model.regions) == ["a", "b"]
        assert list(planner.load_model(path, extends_outside=True).regions) == ["a", "b"]
        with pytest.raises(InputError, match="outside of the folder of the model"):
            planner.load_model(path)

    def test_shapes_and_climates_of_the_catalogue_count_in_the_hash(self, monkeypatch):
        before = load_model("hyperscaler-12").sha256
        for name in ("demand_shape", "hot_week"):
            with monkeypatch.context() as patched:
                patched.setattr(loading, name, lambda _: (1.0,) * 168)
                assert load_model("hyperscaler-12").sha256 != before

    @pytest.mark.parametrize("parent", ["tiny", "chatgpt-2023"])
    def test_shipped_parent_by_name(self, load, parent):
        loaded = load(f"extends: {parent}\ndescription: mine\n")
        assert loaded.name == "model"
        assert loaded.model.description == "mine"
        assert loaded.model.regions == load_model(parent).model.regions

    def test_a_file_beside_wins_over_a_shipped_model(self, write, load):
        write("tiny", MINIMAL)
        assert list(load("extends: tiny\n").model.regions) == ["a", "b"]

    def test_order_of_entities_is_that_of_the_parent_then_new_ones(self, write, load):
        write("base.yaml", MINIMAL)
        model = load(
            "extends: base.yaml\nregions: {c: {power_limit_mw: 1.0}, a: {city: X}}\n"
        ).model
        assert list(model.regions) == ["a", "b", "c"]


class TestTables:
    def test_columns_are_converted_to_the_types_of_fields(self, write, load):
        """Each cell becomes what its field needs."""
        write("regions.csv", "name,power_limit_mw,candidate,city\na,10,false,1850\nb,20.5,,\n\n")
        write(
            "zones.csv",
            "name,demand_rps,latency_ms.a,latency_ms.b,prefers\nz,5,1,2,b;a\ny,0.5,1.5,,a\n",
        )
        text = MINIMAL[MINIMAL.index("gpus:") : MINIMAL.index("zones:")]
        model = load(f"regions: regions.csv\n{text}zones: zones.csv\n").model
        assert model.regions["a"].city == "1850"
        assert model.regions["a"].candidate is False
        assert model.regions["b"].power_limit_mw == 20.5
        assert dict(model.zones["z"].latency_ms) == {"a": 1.0, "b": 2.0}
        assert model.zones["z"].prefers == ("b", "a")
        assert dict(model.zones["y"].latency_ms) == {"a": 1.5}
        assert model.zones["y"].prefers == ("a",)

    def test_names_with_dots_in_a_column(self, write, load, tiny_text):
        write(
            "plants.csv",
            "name,region,cools,role,options,redundancy,existing.chiller-3,existing.mini-1.75\n"
            "west-chillers,west,west-gpus,primary,chiller-3;mini-1.75,2,2,4\n"
            "east-chillers,east,east-gpus;,primary,chiller-1,2,,\n",
        )
        head, rest = tiny_text.split("plants:")
        text = head + "plants: plants.csv\n\ntiers:" + rest.split("tiers:")[1]
        text = text.replace(
            "  air-1:", "  mini-1.75: {capacity_mw: 1.75, capital_usd: 1.0}\n  air-1:"
        )
        model = load(text).model
        assert dict(model.plants["west-chillers"].existing) == {"chiller-3": 2, "mini-1.75": 4}
        assert model.plants["west-chillers"].options == ("chiller-3", "mini-1.75")
        assert model.plants["east-chillers"].cools == ("east-gpus",)

    def test_row_may_take_an_entry_of_the_catalogue(self, write, load):
        write("gpus.csv", "name,from,rps\ng,A100-SXM4-80GB,2.5\n")
        text = (
            MINIMAL[: MINIMAL.index("gpus:")]
            + "gpus: gpus.csv\n"
            + MINIMAL[MINIMAL.index("clusters:") :]
        )
        text += (
            "cooling_units: {u: {capacity_mw: 1.0}}\n"
            "plants:\n  p: {region: a, cools: [one], options: [u]}\n"
            "  q: {region: b, cools: [two], options: [u]}\n"
        )
        gpu = load(text).model.gpus["g"]
        assert gpu.rps == 2.5
        assert gpu.power_mw == 0.0008125

    @pytest.mark.parametrize(
        ("table", "line", "fragment"),
        [
            ("name,power_limit_mw\na\n", 2, "1 cells where the header has 2"),
            ('name,power_limit_mw\n"a\n",1\nb,1,2\n', 4, "3 cells where the header has 2"),
            ("region,power_limit_mw\na,1\n", 1, "needs a `name` column"),
            ("", 1, "needs a `name` column"),
            ("name,power_limit_mw\na,1\nb,2\na,3\n", 4, "is listed twice"),
            ("name,city,city\na,X,Y\n", 1, "column `city` is listed twice"),
            ("name,city,city.x\na,X,Y\n", 2, "contradicts another cell"),
            ('name,city\na,"b"c\n', 2, "is not a CSV table"),
            ("name,power_limit_mw\na,ten\n", 2, "expected a number, not 'ten'"),
            ("name,power_limit_mw\na,nan\n", 2, "expected a finite number, not nan"),
            ("name,power_limit_mw\na,-1\n", 2, "greater than or equal to 0, not -1"),
            ("name,power_limt_mw\na,1\n", 2, "did you mean `power_limit_mw`?"),
            ("name,power_limit_mw\n,1\n", 2, "is not a name"),
        ],
    )
    def test_problems_stand_in_the_table(self, write, complaints, table, line, fragment):
        path = write("regions.csv", table)
        text = "regions: regions.csv\n" + MINIMAL[MINIMAL.index("gpus:") :]
        found = [p for p in complaints(text) if p.file == str(path)]
        assert [p.line for p in found if fragment in p.message] == [line]

    def test_text_that_is_not_utf8_is_refused(self, write, complaints):
        path = write("regions.csv", b"name,city\na,\xe9\n")
        (problem,) = complaints("regions: regions.csv\n")
        assert problem.file == str(path)
        assert "is not UTF-8 text" in problem.message

    @pytest.mark.parametrize(
        "name",
        ["../secret.csv", "/etc/secret.csv", "sub/secret.csv", "secret.txt", ".", "", "a\\0.csv"],
    )
    def test_only_tables_beside_the_model(self, write, complaints, name):
        write("secret.csv", "name,power_limit_mw\na,1\n")
        write("models/sub/secret.csv", "name,power_limit_mw\na,1\n")
        write("models/secret.txt", "name,power_limit_mw\na,1\n")
        (problem,) = complaints(f'description: x\nregions: "{name}"\n', name="models/m.yaml")
        assert (problem.line, problem.column, problem.where) == (2, 1, "regions")
        assert "in the same folder" in problem.message

    def test_a_table_may_not_be_a_link_to_another_folder(self, write, tmp_path, complaints):
        secret = write("secret.csv", "its first line must not be told\n")
        (tmp_path / "models").mkdir()
        (tmp_path / "models" / "regions.csv").symlink_to(secret)
        (problem,) = complaints("regions: regions.csv\n", name="models/m.yaml")
        assert "is a symbolic link to another folder" in problem.message


class TestCatalogue:
    def test_fills_and_explicit_wins(self, reference: LoadedModel):
        entry = catalogue("cloud_offers.csv")["aws-p4d"]
        offer = reference.model.offers["aws-p4d"]
        assert offer.usd_per_instance_hour == entry["usd_per_instance_hour"]
        assert offer.provider == "aws"
        gpu = reference.model.gpus["fleet-2023"]
        assert gpu.power_mw == 0.005 != catalogue("gpus.csv")["A100-SXM4-80GB"]["power_mw"]

    def test_setting_wins_over_catalogue(self):
        loaded = load_model("chatgpt-2023", ("offers.aws-p4d.surge_multiplier=1.5",))
        assert loaded.model.offers["aws-p4d"].surge_multiplier == 1.5

    def test_temperatures_come_with_the_gpus_unless_the_cluster_has_its_own(self, load, tiny_text):
        settings = ("gpus.accelerator.throttle_c=89", "gpus.accelerator.shutdown_c=97.5")
        model = load(tiny_text, *settings, "clusters.east-gpus.throttle_c=80").model
        found = {name: (one.throttle_c, one.shutdown_c) for name, one in model.clusters.items()}
        assert found == {"west-gpus": (89.0, 97.5), "east-gpus": (80.0, 97.5)}
        plain = load(tiny_text).model.clusters["west-gpus"]
        assert (plain.throttle_c, plain.shutdown_c) == (75.0, 95.0)
        of_catalogue = load(tiny_text, "gpus.accelerator.from=A100-SXM4-80GB").model
        assert of_catalogue.clusters["west-gpus"].shutdown_c == 92.0

    def test_temperatures_of_gpus_are_checked_at_the_cluster(self, complaints, tiny_text):
        text = tiny_text.replace("rps: 1.0, capital", "rps: 1.0, throttle_c: 96.0, capital")
        (found,) = {one.message for one in complaints(text)}
        assert found == "expected setpoint_c < throttle_c < shutdown_c, got 65, 96 and 95 °C"

    def test_unknown_entry_with_nearest(self, complaints):
        text = MINIMAL.replace("g: {power_mw: 0.0,", "g: {from: A100-SXM4-80G,")
        (problem,) = complaints(text)
        assert (problem.line, problem.where) == (5, "gpus.g.from")
        assert problem.message == (
            "`A100-SXM4-80G` is not in gpus.csv; did you mean `A100-SXM4-80GB` or `H100-SXM5-80GB`?"
        )

    @pytest.mark.parametrize("wrong", ["[A100-SXM4-80GB]", "5", "null", "{a: b}"])
    def test_entry_that_is_no_name(self, complaints, wrong):
        found = complaints(MINIMAL.replace("g: {power_mw: 0.0,", f"g: {{from: {wrong},"))
        assert [problem.where == "gpus.g.from" for problem in found] == [True]

    def test_from_elsewhere_is_an_unknown_key(self, complaints):
        (problem,) = complaints(MINIMAL.replace("{priority: 1,", "{priority: 1, from: x,"))
        assert problem.where == "tiers.t.from"
        assert "is not a field here" in problem.message

    def test_problem_of_a_filled_value_points_at_from(self, complaints):
        text = (
            MINIMAL
            + "offers:\n  o:\n    from: aws-p4d\n    rps_per_gpu: 1.0\n    surge_multiplier: 0.5\n"
        )
        (problem,) = complaints(text)
        assert (problem.line, problem.where) == (17, "offers.o.surge_multiplier")


class TestSettings:
    def test_overrides_are_recorded_in_order(self):
        settings = ("regions.west.power_limit_mw=80", "finance.discount_rate=0.1")
        loaded = load_model("tiny", settings)
        assert loaded.overrides == settings
        assert loaded.model.regions["west"].power_limit_mw == 80.0
        assert loaded.model.finance.discount_rate == 0.1

    @pytest.mark.parametrize(
        ("setting", "read"),
        [
            ("description=a text # comment", lambda m: m.description == "a text"),
            ("description='80'", lambda m: m.description == "80"),
            ("description=a=b", lambda m: m.description == "a=b"),
            ("finance.emergency_budget_usd=20e6", lambda m: m.finance.emergency_budget_usd == 2e7),
            ("regions.west.candidate=false", lambda m: m.regions["west"].candidate is False),
            ("plants.west-air.options=[chiller-1]", lambda m: _options(m) == ("chiller-1",)),
            ("plants.west-chillers.options.1=air-1", lambda m: _second(m) == "air-1"),
            ("standard.region.1.least_served=0.6", lambda m: _rule(m) == 0.6),
            (
                "operations={detection_minutes: 1.0, response_minutes: 2.0}",
                lambda m: m.operations.response_minutes == 2.0,
            ),
            ("policies.fixed.gpus.west-gpus=100", lambda m: m.policies.fixed.gpus["west-gpus"]),
            ("regions.north={power_limit_mw: 1}", lambda m: len(m.regions) == 3),
            (" regions.west.power_limit_mw = 9 ", lambda m: m.regions["west"].power_limit_mw == 9),
            ("generators.surge=null", lambda m: m.generators.surge is None),
            ("plants.west-air=null", lambda m: "west-air" not in m.plants),
            ("finance.emergency_budget_usd=", lambda m: m.finance.emergency_budget_usd == 0),
        ],
    )
    def test_values_are_yaml(self, setting, read):
        assert read(load_model("tiny", (setting,)).model)

    def test_the_last_of_several_settings_applies(self):
        both = ("finance.discount_rate=0.1", "finance.discount_rate=0.2")
        assert load_model("tiny", both).model.finance.discount_rate == 0.2

    def test_names_with_dots(self):
        loaded = load_model("chatgpt-2023", ("cooling_units.chiller-1.75.capital_usd=5",))
        assert loaded.model.cooling_units["chiller-1.75"].capital_usd == 5.0
        assert "chiller-1" not in loaded.model.cooling_units

    @pytest.mark.parametrize(
        ("setting", "message"),
        [
            ("regions", "expected dotted.path=value"),
            ("=5", "expected dotted.path=value"),
            ("regions..west=5", "expected dotted.path=value"),
            (".regions=5", "expected dotted.path=value"),
            ("regions.wset.power_limit_mw=5", "is not among regions (west, east); did you mean"),
            ("regions.west.power_limt_mw=5", "is not a field here; did you mean `power_limit_mw`?"),
            ("regoins.west.power_limit_mw=5", "is not a field here; did you mean `regions`?"),
            ("regions.west.power_limit_mw=much", "expected a number, not 'much'"),
            ("regions.west.power_limit_mw=true", "expected a number, not True"),
            ("regions.west.power_limit_mw=-1", "greater than or equal to 0, not -1"),
            ("regions.west.power_limit_mw=.nan", "expected a finite number, not nan"),
            ("regions.west.power_limit_mw=1e400", "expected a finite number, not inf"),
            ("regions.west.power_limit_mw=[1", "is not valid YAML"),
            ("regions.west.power_limit_mw=a: b", "is not valid YAML"),
            ("regions.west.power_limit_mw=1\nfoo: 2", "more than one line"),
            ("regions.west.power_limit_mw=!!python/name:os.system x", "is not accepted"),
            ("regions.west.power_limit_mw.x=1", "leads into a value without fields"),
            ("regions.west.power_limit_mw.x.y=1", "leads into a value without fields"),
            (
                "plants.west-chillers.options.2=x",
                "`2` is not an index of a list of 2 entries, counted from 0",
            ),
            (
                "plants.west-chillers.options.one=x",
                "`one` is not an index of a list of 2 entries, counted from 0",
            ),
            (
                "standard.region.9.least_served=0",
                "`9` is not an index of a list of 3 entries, counted from 0",
            ),
            ("regions.west.power_limit_mw=", "is missing"),
            ("extends=tiny", "is not a field here"),
        ],
    )
    def test_validated_like_the_file(self, complaints, tiny_text, setting, message):
        (problem,) = complaints(tiny_text, setting)
        assert problem.file.startswith("--set ")
        assert problem.line == 0
        assert message in str(problem)
        assert "\n" not in str(problem)

    def test_all_wrong_settings_at_once(self, complaints, tiny_text):
        found = complaints(tiny_text, "a", "regions.wset.x=1", "regions.west.power_limit_mw=x")
        assert [problem.file for problem in found] == [
            "--set a",
            "--set regions.west.power_limit_mw=x",
            "--set regions.wset.x=1",
        ]

    def test_long_settings_are_cut_in_the_message(self, complaints, tiny_text):
        (problem,) = complaints(tiny_text, "description=" + "x" * 3000)
        assert len(str(problem)) < 300

    def test_the_file_and_the_catalogue_cache_stay_as_they_are(self):
        before = load_model("chatgpt-2023")
        load_model("chatgpt-2023", ("offers.aws-p4d.lead_time_minutes=1", "regions.us-west.city=X"))
        assert load_model("chatgpt-2023") == before


def _options(model: Model) -> tuple[str, ...]:
    return model.plants["west-air"].options


def _second(model: Model) -> str:
    return model.plants["west-chillers"].options[1]


def _rule(model: Model) -> float:
    return model.standard["region"][1].least_served


class TestIdentity:
    def test_names_are_injected(self, tiny):
        assert tiny.model.name == "tiny"
        for section in ("regions", "gpus", "clusters", "cooling_units", "plants", "tiers", "zones"):
            entries = getattr(tiny.model, section)
            assert entries
            assert all(entity.name == key for key, entity in entries.items())

    def test_name_may_be_repeated_but_not_contradict(self, load, complaints):
        named = MINIMAL.replace("a: {power", "a: {name: a, power")
        assert load(named).model.regions["a"].name == "a"
        (problem,) = complaints(MINIMAL.replace("a: {power", "a: {name: c, power"))
        assert problem.where == "regions.a.name"
        assert problem.message == "contradicts its key `a`"

    @pytest.mark.parametrize("stem", ["my model", "модель", "_x", "(1)", "x" * 100])
    def test_any_file_name_gives_a_valid_model_name(self, load, stem):
        loaded = load(MINIMAL, name=f"{stem}.yaml")
        assert loaded.name == stem
        assert loaded.model.name

    def test_hash_changes_with_content_and_settings_only(self, write, load):
        base = write("base.yaml", MINIMAL)
        child = "extends: base.yaml\nregions: {a: {city: X}}\n"
        first = load(child).sha256
        assert len(first) == 64
        assert load(child).sha256 == first
        assert load(child, name="copy.yaml").sha256 == first
        seen = {first, load(child.replace("X", "Y")).sha256, load(MINIMAL).sha256}
        seen.add(load(child, "regions.a.city=X").sha256)
        seen.add(load(child, "regions.a.city=Z").sha256)
        seen.add(load(child, "regions.a.city=Z", "regions.b.city=Z").sha256)
        base.write_text(MINIMAL + "# one comment more\n", encoding="utf-8")
        seen.add(load(child).sha256)
        assert len(seen) == 7

    def test_hash_covers_tables(self, write, load):
        text = "regions: regions.csv\n" + MINIMAL[MINIMAL.index("gpus:") :]
        write("regions.csv", "name,power_limit_mw\na,1\nb,2\n")
        first = load(text).sha256
        write("regions.csv", "name,power_limit_mw\na,1\nb,3\n")
        assert load(text).sha256 != first

    def test_hash_covers_the_catalogue_entries_used(self, load, monkeypatch):
        text = MINIMAL + "offers: {o: {from: aws-p4d, rps_per_gpu: 1.0}}\n"
        first = load(text).sha256
        used = catalogue("cloud_offers.csv")["aws-p4d"]
        monkeypatch.setitem(used, "retainer_usd_per_instance_year", 1.0)
        assert load(text).sha256 != first
        monkeypatch.undo()
        unused = catalogue("cloud_offers.csv")["gcp-a2-ultra"]
        monkeypatch.setitem(unused, "retainer_usd_per_instance_year", 1.0)
        assert load(text).sha256 == first


class TestEntities:
    def test_replace_copies(self, tiny):
        region = tiny.model.regions["west"]
        changed = region.replace(power_limit_mw=99.0)
        assert (changed.power_limit_mw, region.power_limit_mw) == (99.0, 12.0)
        assert changed.replace(power_limit_mw=12.0) == region
        model = tiny.model.replace(regions=dict(tiny.model.regions) | {"west": changed})
        assert model.regions["west"].power_limit_mw == 99.0
        assert tiny.model.regions["west"].power_limit_mw == 12.0
        assert model.zones == tiny.model.zones

    @pytest.mark.parametrize(
        "changes",
        [
            {"power_limit_mw": -1.0},
            {"power_limit_mw": "12"},
            {"power_limit_mw": True},
            {"power_limit_mw": float("nan")},
            {"power_limit": 5.0},
            {"candidate": 1},
            {"name": "no name"},
        ],
    )
    def test_replace_validates(self, tiny, changes):
        with pytest.raises(ValidationError):
            tiny.model.regions["west"].replace(**changes)

    def test_frozen(self, tiny):
        with pytest.raises(ValidationError, match="frozen"):
            tiny.model.regions["west"].power_limit_mw = 1.0
        with pytest.raises(ValidationError, match="frozen"):
            tiny.model.regions = {}

    @pytest.mark.parametrize(
        "table",
        [
            lambda m: m.regions,
            lambda m: m.zones["west-users"].latency_ms,
            lambda m: m.plants["west-chillers"].existing,
            lambda m: m.policies.fixed.gpus,
            lambda m: m.standard,
            lambda m: m.scenarios,
        ],
    )
    def test_tables_are_read_only(self, tiny, table):
        with pytest.raises(TypeError):
            table(tiny.model)["west"] = 1

    def test_standard_without_rules_is_read_only_too(self, load):
        with pytest.raises(TypeError):
            load(MINIMAL).model.standard["single"] = ()

    def test_dump_and_validate_again_gives_the_same_model(self, reference):
        assert Model.model_validate(reference.model.model_dump()) == reference.model
        assert Model.model_validate_json(reference.model.model_dump_json()) == reference.model

    def test_minus_zero_is_read_as_zero(self, load):
        value = load(MINIMAL, "regions.a.electricity_usd_per_mwh=-0.0")
        assert str(value.model.regions["a"].electricity_usd_per_mwh) == "0.0"
