"""``plan replay``: its contract for machines, its tables for people, its picture."""

from __future__ import annotations

import math
import os
import pickle
import sys

import numpy as np
import pytest
from replay.conftest import OWN

from planner.replay.comparison import Replay, replay
from planner.replay.loading import LoadedIncident
from planner.reporting.replay_chart import WORDS, sparkline

KEYS = {
    "time", "minute", "what", "quantity", "subject", "event", "threshold", "observed", "simulated",
    "difference", "tolerance", "within", "calibrated", "forced", "confidence", "note",
}  # fmt: skip
#: Replays by incident and model: pickled, which tells any two apart.
REPLAYED: dict[bytes, Replay] = {}
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(autouse=True)
def each_replay_once(monkeypatch):
    """The tests are about what is made of a replay."""

    def replayed_once(loaded: LoadedIncident) -> Replay:
        key = pickle.dumps(loaded)
        if key not in REPLAYED:
            REPLAYED[key] = replay(loaded)
        return REPLAYED[key]

    monkeypatch.setattr("planner.replay.comparison.replay", replayed_once)


class TestJson:
    @pytest.mark.parametrize("name", ["chatgpt-2023", "azure-australia-east-2023"])
    def test_json_has_the_documented_keys(self, plan, name):
        ran = plan("replay", name, "--json", "--quiet")
        assert (ran.code, ran.err) == (0, "")
        data = ran.json
        assert data["incident"] == name
        assert data["model"]["name"] == name
        assert data["summary"]["milestones"] == len(data["milestones"])
        assert 1 <= len(data["calibrated"]) <= 4
        for one in data["milestones"]:
            assert set(one) == KEYS
            assert math.isfinite(one["observed"])
            if one["simulated"] is None:
                assert one["difference"] is None
            else:
                difference = one["simulated"] - one["observed"]
                assert one["difference"] == pytest.approx(difference, abs=2e-6)
            scored = one["tolerance"] is not None
            assert (one["within"] is not None) == scored
            assert not (scored and one["forced"])
            if one["quantity"] == "minute":
                assert one["observed"] == one["minute"]
        for one in data["calibrated"]:
            assert one["low"] <= one["value"] <= one["high"]

    def test_the_default_is_the_incident_of_2023(self, plan):
        data = plan("replay", "--json").json
        assert data["incident"] == "chatgpt-2023"
        warm = {
            one["time"]: one for one in data["milestones"] if one["quantity"] == "temperature_c"
        }
        assert (warm["16:30"]["observed"], warm["17:00"]["observed"]) == (85.0, 95.0)
        assert warm["16:30"]["calibrated"] is warm["17:00"]["calibrated"] is True

    def test_a_folder_with_an_incident_is_replayed(self, plan, write, tmp_path, monkeypatch):
        write(name="incident.yaml")
        data = plan("replay", tmp_path, "--json", "-q").json
        assert data["incident"] == tmp_path.name
        monkeypatch.chdir(tmp_path)
        assert plan("replay", ".", "--json", "-q").json == data
        # A folder of that name without an incident does not hide the shipped one.
        (tmp_path / "chatgpt-2023").mkdir()
        assert plan("replay", "chatgpt-2023", "--json", "-q").json["incident"] == "chatgpt-2023"

    def test_an_incident_of_ones_own_is_replayed(self, plan, write):
        data = plan("replay", write(), "--json").json
        assert data["incident"] == "own"
        first, warm, *_ = data["milestones"]
        assert (first["quantity"], first["observed"], first["within"]) == ("minute", 0.0, None)
        assert (warm["simulated"], warm["difference"], warm["within"]) == (75.0, 0.0, True)
        assert warm["subject"] == "site"
        assert data["calibrated"][0]["value"] == 6.0

    def test_the_same_incident_gives_the_same_output(self, plan, write):
        path = write()
        assert plan("replay", path, "--json").out == plan("replay", path, "--json").out


class TestTable:
    @pytest.mark.parametrize("columns", [80, 120])
    @pytest.mark.parametrize("name", ["chatgpt-2023", "azure-australia-east-2023"])
    def test_the_table_fits_the_terminal(self, plan, monkeypatch, name, columns):
        monkeypatch.setenv("COLUMNS", str(columns))
        ran = plan("replay", name, "--quiet")
        assert ran.code == 0
        lines = [line.rstrip() for line in ran.out.splitlines()]
        assert max(map(len, lines)) <= columns
        assert max(map(len, lines)) > columns - 10
        assert not any("…" in line for line in lines)
        (header,) = (line for line in lines if line.startswith("time "))
        assert header.split() == ["time", "what", "observed", "simulated", "difference", "agrees"]

    def test_rows_show_observed_and_simulated_values(self, plan, write):
        out = plan("replay", write(), "--quiet").out
        lines = [" ".join(line.split()) for line in out.splitlines()]
        assert "23:50 chillers stop 23:50 23:50 0 min given" in lines
        assert "23:52* warm 75.0 °C 75.0 °C 0.0 °C yes" in lines
        assert "00:10 cooling is back 5.00 MW 5.00 MW 0.00 MW" in lines
        assert "00:20 all chillers run 9.00 MW 10.00 MW +1.00 MW NO" in lines
        assert "1 of 2 scored milestones agree: 1 of 1 fitted, 0 of 1 predicted." in lines
        assert "clusters.site.capacitance_mj_per_k_per_mw = 6 MJ/K per MW" in lines

    def test_chart_has_a_panel_for_each(self, plan, write):
        out = plan("replay", write(), "--quiet").out
        for title in ("site, °C", "requests that succeed", "requests pending"):
            assert out.count(f"\n{title}") == 1
        assert out.count("23:50") >= 3
        assert "●" in out.split("site, °C")[1].split("requests that")[0]

    def test_markup_in_texts_of_an_incident_stays_text(self, plan, write):
        text = OWN.replace("what: warm", 'what: "[red]warm[/] :fire: $x^$"')
        path = write(text)
        out = plan("replay", path, "-o", path.with_suffix(".png")).out
        assert "[red]warm[/] :fire: $x^$" in out

    def test_settings_are_shown(self, plan, write):
        setting = "clusters.site.capacitance_mj_per_k_per_mw=12"
        out = " ".join(plan("replay", write(), "--set", setting).out.split())
        assert f"With {setting}" in out
        assert "fitted value 6" in out

    def test_no_colour_where_none_is_wanted(self, write, plan, monkeypatch):
        monkeypatch.setenv("NO_COLOR", "1")
        done = plan("replay", write())
        assert done.code == 0
        assert "\x1b" not in done.out + done.err


@pytest.mark.parametrize(
    ("requests", "text"),
    [(0.0, "0"), (999.0, "999"), (1_000.0, "1,000"), (999_949.0, "999,900"),
     (999_990.0, "1.0 M"), (5e6, "5.0 M")],
)  # fmt: skip
def test_numbers_of_requests_are_short(requests, text):
    assert WORDS["waiting_requests"](requests) == text


class TestProgress:
    def test_progress_says_what_is_replayed(self, plan, write):
        err = plan("replay", write()).err
        assert "own: 4 milestones on site" in err

    def test_quiet_prints_no_progress(self, plan, write, tmp_path):
        assert plan("replay", write(), "--quiet", "-o", tmp_path / "x.png").err == ""


class TestPicture:
    @pytest.mark.parametrize(("kind", "start"), [("png", PNG), ("svg", b"<?xml"), ("pdf", b"%PDF")])
    def test_the_picture_is_written_in_its_format(self, plan, write, tmp_path, kind, start):
        path = tmp_path / f"chart.{kind}"
        ran = plan("replay", write(), "-o", path)
        assert ran.code == 0
        assert f"wrote {path}" in ran.err
        assert path.read_bytes().startswith(start)
        assert [one.name for one in tmp_path.iterdir() if one.name.startswith(".")] == []

    def test_the_same_incident_gives_the_same_picture(self, plan, write, tmp_path):
        for kind in ("png", "svg", "pdf"):
            first, second = tmp_path / f"a.{kind}", tmp_path / f"b.{kind}"
            plan("replay", write(), "-o", first)
            plan("replay", write(), "-o", second)
            assert first.read_bytes() == second.read_bytes()

    def test_the_picture_replaces_an_older_one(self, plan, write, tmp_path):
        path = tmp_path / "chart.png"
        path.write_text("old")
        plan("replay", write(), "-o", path)
        assert path.read_bytes().startswith(PNG)

    @pytest.mark.parametrize(
        ("name", "message"),
        [("missing/chart.png", "is not a writable folder"), ("chart.txt", "expected one of ."),
         ("chart", "not a name without an ending"), ("chart.pgf", "not `.pgf`"),
         ("folder.png", "is a folder; expected a file to write")],
    )  # fmt: skip
    def test_an_unwritable_path_of_the_picture_is_refused(
        self, plan, write, tmp_path, name, message
    ):
        (tmp_path / "folder.png").mkdir()
        ran = plan("replay", write(), "-o", tmp_path / name)
        assert (ran.code, ran.out) == (2, "")
        assert message in ran.err
        assert not (tmp_path / "missing").exists()

    def test_a_picture_without_matplotlib_names_what_to_install(
        self, plan, write, tmp_path, monkeypatch
    ):
        monkeypatch.setitem(sys.modules, "matplotlib.backend_bases", None)
        ran = plan("replay", write(), "-o", tmp_path / "chart.png")
        assert (ran.code, ran.out) == (2, "")
        assert "pip install 'resilience-planner[plots]'" in ran.err
        assert plan("replay", write()).code == 0  # everything else works without it

    def test_a_failed_picture_leaves_the_older_one(self, plan, write, tmp_path, monkeypatch):
        path = tmp_path / "chart.png"
        path.write_text("old")
        monkeypatch.setattr("os.fdopen", _full)
        ran = plan("replay", write(), "-o", path)
        assert ran.code == 2
        assert "No space left on device" in ran.err
        assert path.read_text() == "old"
        assert [one.name for one in tmp_path.iterdir() if one.name.startswith(".")] == []


def _full(handle, *_, **__):
    os.close(handle)
    raise OSError(28, "No space left on device")


class TestBadInput:
    def test_bad_input_exits_with_2_and_no_output(self, plan, write):
        ran = plan("replay", write(OWN.replace("confidence: quoted", "confidence: sure")), "--json")
        assert (ran.code, ran.out) == (2, "")
        assert "1 problem in the input" in ran.err

    def test_an_unknown_incident_is_refused(self, plan):
        ran = plan("replay", "chatgpt")
        assert ran.code == 2
        assert "did you mean `chatgpt-2023`?" in ran.err

    def test_bad_input_writes_no_picture(self, plan, write, tmp_path):
        path = tmp_path / "chart.png"
        ran = plan("replay", write(OWN.replace("unit: chiller,", "unit: x,")), "-o", path)
        assert ran.code == 2
        assert not path.exists()


class TestSparkline:
    def test_a_sparkline_is_as_wide_as_asked(self):
        assert len(sparkline(np.zeros(61), 40, 0.0, 1.0)) == 40

    def test_a_constant_sparkline_has_one_level(self):
        assert set(sparkline(np.ones(61), 40, 0.0, 1.0)) == {"█"}
        assert set(sparkline(np.ones(61), 40, 1.0, 1.0)) == {"▁"}

    def test_a_sparkline_rises_with_its_values(self):
        line = sparkline(np.linspace(0.0, 1.0, 61), 40, 0.0, 1.0)
        assert list(line) == sorted(line)
        assert (line[0], line[-1]) == ("▁", "█")

    def test_values_outside_its_range_stay_inside_a_sparkline(self):
        line = sparkline(np.array([-5.0] * 30 + [7.0] * 31), 40, 0.0, 1.0)
        assert (line[0], line[-1]) == ("▁", "█")
