"""``plan check`` and ``plan schema``."""

from __future__ import annotations

import json

import pytest

from planner.infrastructure.loading import load_model
from planner.infrastructure.schema import model_schema


class TestCheck:
    def test_check_summarises_the_model(self, plan):
        ran = plan("check", "tiny")
        assert ran.code == 0
        assert ran.err == ""
        text = " ".join(ran.out.split())
        assert text.startswith("tiny is valid. Two regions with one cluster each")
        assert "2 regions, 2 clusters, 3 plants, 2 tiers, 2 zones" in text
        assert "1 offer; 10 failures. 10 failures at 168 hours = 1,680 scenarios; 10 of" in text
        assert "west-air / west-chillers: independent" in text
        assert max(len(line.rstrip()) for line in ran.out.splitlines()) <= 80

    def test_check_takes_the_reference_model_by_default(self, plan):
        ran = plan("check")
        text = " ".join(ran.out.split())
        assert ran.code == 0
        assert text.startswith("chatgpt-2023 is valid.")
        assert "places and machines: none" in text
        assert "us-west-emergency / us-west-loops: independent" in text
        assert "us-west-standby / us-west-loops: shares" in text
        assert "service:us-west-cooling-control" in text

    def test_check_writes_the_summary_as_json(self, plan, tiny):
        ran = plan("check", "tiny", "--json")
        assert (ran.code, ran.err) == (0, "")
        held = ran.json
        assert held["model"] == {"name": "tiny", "sha256": tiny.sha256}
        assert held["counts"]["plants"] == 3
        assert held["scenarios"][0] == "unit-west-chillers"
        assert held["planned"] == held["scenarios"]
        assert held["single_points_of_failure"] == {"business": [], "free": []}
        assert held["shared_cooling_supports"] == {"west-air / west-chillers": []}

    def test_the_largest_losses_are_those_of_the_blast(self, plan):
        losses = plan("check", "tiny", "--json").json["largest_losses"]
        assert [loss["lost"] for loss in losses[:3]] == [
            ["region:west"],
            ["plant:west-chillers"],
            ["cluster:west-gpus"],
        ]
        # 400 GPUs are left for 1,000 requests per second at the peak.
        assert losses[0]["left_of_peak_demand"] == 0.4
        for loss in losses:
            blast = plan("graph", "tiny", "--blast", *loss["lost"], "--json").json["blast"]
            assert blast == {key: loss[key] for key in blast}
        shown = plan("check", "tiny").out
        assert "Largest single losses" in shown and "40.0 %" in shown

    def test_check_applies_settings(self, plan):
        ran = plan(
            "check", "tiny", "--json", "--set", "generators=null", "--set", "offers=null", "--quiet"
        )
        assert ran.json["scenarios"] == []
        assert ran.json["counts"]["offers"] == 0

    def test_a_single_point_of_failure_is_named(self, plan):
        ran = plan("check", "--json", "--set", "services.user-database.replicas={us-east: 1}")
        for nodes in ran.json["single_points_of_failure"].values():
            assert "region:us-east" in nodes

    def test_rules_that_begin_after_the_simulation_has_ended_are_named(self, plan):
        late = ("--set", "simulation.horizon_minutes=100")
        held = plan("check", "tiny", "--json", *late).json
        assert held["rules_never_judged"] == ["standard.common[1]", "standard.region[2]"]
        assert not held["not_judged"]
        told = " ".join(plan("check", "tiny", *late).out.split())
        assert "standard.common[1] and standard.region[2] are never judged" in told
        assert plan("check", "tiny", "--json").json["rules_never_judged"] == []

    @pytest.mark.parametrize("name", ["chatgpt-2023", "chatgpt-2023-v2", "hyperscaler-12", "tiny"])
    def test_shipped_models_are_valid(self, plan, name):
        assert plan("check", name).code == 0

    def test_markup_in_a_model_is_shown_as_text(self, plan, tmp_path):
        """Rich would take [red] for a colour and drop it."""
        path = tmp_path / "model.yaml"
        path.write_text('extends: tiny\ndescription: "[red]not[/red] [/] a :warning: tag"\n')
        ran = plan("check", path)
        assert ran.code == 0
        assert "[red]not[/red] [/] a :warning: tag" in ran.out


class TestSchema:
    def test_schema_prints_the_schema(self, plan):
        ran = plan("schema")
        assert (ran.code, ran.err) == (0, "")
        assert ran.json == json.loads(json.dumps(model_schema()))

    def test_common_options_do_not_change_the_schema(self, plan):
        assert plan("schema", "--json", "--quiet").out == plan("schema").out


def test_check_takes_a_model_by_path_from_another_folder(plan, tmp_path, monkeypatch):
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "mine.yaml").write_text("extends: tiny\n")
    monkeypatch.chdir(tmp_path)
    assert plan("check", "models/mine.yaml").out.startswith("mine is valid.")
    assert load_model("models/mine.yaml").name == "mine"


def test_zero_parts_of_power_are_left_out(plan):
    ran = plan("check", "tiny", "-q")
    assert "west: 1.16 (machines 0.160)" in ran.out
