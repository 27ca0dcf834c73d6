"""``plan graph`` as a user runs it."""

from __future__ import annotations

import json
import struct
import sys
from pathlib import Path
from xml.etree import ElementTree

import networkx as nx
import pytest

from planner.reporting import pictures


def test_graph_summary_fits_80_columns(plan):
    ran = plan("graph", "hyperscaler-12", "--blast", "us-east,accounts")
    assert ran.code == 0
    assert ran.err == ""
    assert max(map(len, ran.out.splitlines())) <= 80
    # Any terminal shows it.
    assert ran.out.isascii()
    assert "275 nodes: 12 regions, 24 feeds, 24 batteries" in ran.out
    assert "all tiers: service:anycast-dns" in ran.out
    assert "If region:us-east and service:accounts are lost" in ran.out
    assert "4 tiers: business, critical, free, plus" in ran.out
    assert "23,040 GPUs (16 %" in ran.out


def test_graph_json_holds_nodes_and_edges(plan):
    data = plan("graph", "chatgpt-2023", "--blast", "region:us-west", "--json").json
    assert data["nodes"]["service"] == 20
    assert {"plant": "us-west-standby", "independent": False} in data["emergency_plants"]
    assert data["blast"]["gpus"] == 10_000
    assert data["blast"]["tiers_down"] == []
    assert "cluster:us-west-primary" in data["blast"]["falls"]
    points = {point["node"]: point for point in data["single_points_of_failure"]}
    assert len(points["service:api"]["tiers"]) == 5
    assert points["service:api"]["software_only"]
    assert not points["service:firewall"]["software_only"]


@pytest.mark.parametrize("kind", ["svg", "html", "graphml", "dot", "json", "png"])
def test_graph_files_are_written_in_every_format(plan, tmp_path: Path, kind):
    if kind == "png":
        pytest.importorskip("matplotlib")
    path = tmp_path / f"graph.{kind.upper() if kind == 'svg' else kind}"
    ran = plan("graph", "tiny", "-o", path)
    assert (ran.code, ran.out) == (0, "")
    assert f"wrote {path}" in ran.err
    content = path.read_bytes()
    if kind == "png":
        width, height = struct.unpack(">II", content[16:24])
        assert width > 1000
        assert height > 400
    elif kind == "svg":
        assert ElementTree.fromstring(content).tag.endswith("svg")
    elif kind == "graphml":
        assert len(nx.read_graphml(path)) == 13
    elif kind == "json":
        assert len(json.loads(content)["nodes"]) == 13
    else:
        assert content.count(b"plant:west-chillers") >= 1


def test_plan_needs_no_model(plan, tiny_plan, tmp_path: Path):
    path = tmp_path / "graph.svg"
    ran = plan("graph", "--plan", tiny_plan, "-o", path, "--blast", "west-chillers")
    assert ran.code == 0
    assert "tiny with its plan" in ran.out
    texts = [one.text for one in ElementTree.parse(path).iter() if one.tag.endswith("text")]
    cooling = json.loads((tiny_plan / "plan.json").read_text())["cooling"]
    added = [f"{line['added']:+d} {line['unit']}" for line in cooling if line["added"]]
    assert added
    assert set(added) <= set(texts)


def test_graph_of_one_region_leaves_out_the_others(plan):
    ran = plan("graph", "hyperscaler-12", "--region", "us-east", "--json")
    assert ran.json["nodes"]["region"] == 1
    assert ran.json["nodes"]["plant"] == 3
    assert ran.json["regions"] == ["us-east"]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--blast", "us-wst"), "no node `us-wst`; did you mean `us-west`?"),
        (("--region", "us-wst"), "no region `us-wst`; did you mean `us-west`?"),
        (("-o", "graph.pdf"), "expected one of .svg, .html, .png, .graphml, .dot, .json"),
        (("-o", "graph"), "not a name without an ending"),
        (("-o", "nowhere/graph.svg"), "nowhere is not a writable folder"),
        (("--plan", "nowhere"), "nowhere"),
    ],
)
def test_bad_input_is_reported(
    plan, arguments, text, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    ran = plan("graph", *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert text in ran.err
    assert list(tmp_path.iterdir()) == []


def test_png_without_matplotlib_is_refused(plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "matplotlib.backend_bases", None)
    ran = plan("graph", "tiny", "-o", tmp_path / "graph.png")
    assert (ran.code, ran.out) == (2, "")
    assert pictures.MISSING_EXTRA in ran.err
