"""The web page of a roadmap: bars where they belong, every failure told, nothing that runs."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from planner.reporting.html import roadmap as page
from planner.reporting.html.roadmap import roadmap_page, survival_table
from planner.reporting.tables import Toned
from planner.roadmap.records import Roadmap
from tests.roadmap.conftest import Told


def test_bars_of_orders_begin_and_end_in_their_months(roadmap: Roadmap) -> None:
    charts = page._orders(roadmap)
    tracks = [track for chart in charts for track in chart.tracks]
    assert len(tracks) == len(roadmap.orders)
    assert [chart.title for chart in charts] == ["On all paths", "Only on low", "Only on high"]
    months = 24

    def share(month: str) -> float:
        return 100 * (12 * (int(month[:4]) - 2026) + int(month[5:]) - 1) / months

    for order in roadmap.orders:
        bars = [
            track.segments
            for track in tracks
            if f"in service {order.in_service}" in track.note
            and track.label.startswith(f"{order.count:,} ")
        ]
        end = 100.0 if order.until is None else share(order.until)
        assert any(
            segments[-1].left == pytest.approx(share(order.in_service))
            and segments[-1].left + segments[-1].width == pytest.approx(end)
            and segments[0].left == pytest.approx(share(order.order_by))
            for segments in bars
        ), order


def test_stacks_add_up_and_demand_is_marked(roadmap: Roadmap) -> None:
    tracks = [track for chart in page._capacity(roadmap) for track in chart.tracks]
    labels = [(node.start, node) for node in roadmap.nodes]
    assert sorted(track.label for track in tracks) == sorted(label for label, _ in labels)
    serving: dict[str, float] = {}
    for line in roadmap.capacity:
        serving[line.node] = serving.get(line.node, 0.0) + line.serving_rps
    shown = sorted(sum(part.width for part in track.segments) for track in tracks)
    most = max(*serving.values(), *(node.demand_rps for node in roadmap.nodes))
    assert shown == pytest.approx(sorted(100 * rps / most for rps in serving.values()))
    marks = sorted(track.mark or 0.0 for track in tracks)
    assert marks == pytest.approx(sorted(100 * n.demand_rps / most for n in roadmap.nodes))


@pytest.mark.parametrize(
    ("status", "gap", "told"),
    [
        ("optimal", 0.0, "at most 0.00 % above the cheapest that survives"),
        # A bound of 80 for a cost of 100.
        ("optimal", 0.2, "at most 25.00 % above the cheapest that survives"),
        ("optimal", 1.0, "best found so far"),
        ("feasible", 0.2, "best found so far"),
    ],
)
def test_how_far_the_roadmap_is_above_its_bound(
    roadmap: Roadmap, status: str, gap: float, told: str
) -> None:
    text = roadmap_page(roadmap.model_copy(update={"status": status, "gap": gap})).decode()
    badges = re.findall(r'class="badge[^"]*">([^<]*(?:above the cheapest|found so far)[^<]*)', text)
    assert badges == [told]


def test_capital_is_shown_once_for_paths_that_spend_alike(roadmap: Roadmap) -> None:
    tracks = page._budgets(roadmap).tracks
    assert (tracks[0].label, tracks[0].note) == ("2026", "")
    assert {track.note for track in tracks if track.label == "2027"} == {"low", "high"}
    spent = {round(line.capital_usd) for line in roadmap.budgets}
    assert len(tracks) == len(spent)
    for track in tracks:
        assert track.mark is not None
        assert track.segments[0].width <= track.mark + 1e-9  # budgets are kept


def test_every_failure_is_told_in_its_period(roadmap: Roadmap) -> None:
    table = survival_table(roadmap)
    told = {
        (node.name, str(row[0]))
        for row in table.rows
        for node, cell in zip(roadmap.nodes, row[1:], strict=True)
        if isinstance(cell, Toned) and cell.text.startswith("✗")
    }
    assert told == {(node.name, name) for node in roadmap.nodes for name in node.failed}
    assert told


def test_regions_beyond_the_colours_share_one(roadmap: Roadmap) -> None:
    lines = [
        line.model_copy(update={"region": f"r{index}", "serving_rps": 100.0 - index})
        for index in range(12)
        for line in roadmap.capacity[:1]
    ]
    many = roadmap.model_copy(update={"capacity": tuple(lines)})
    legend = page._legend(many)
    assert len(legend) == page.MOST_COLOURS
    assert legend[-1][1] == page.OTHERS


def test_names_are_texts_and_nothing_runs(roadmap: Roadmap) -> None:
    evil = '"><script>alert(1)</script>'
    order = roadmap.orders[0].model_copy(update={"asset": evil, "kind": "measure"})
    model = roadmap.model.model_copy(update={"name": evil})
    text = roadmap_page(
        roadmap.model_copy(update={"orders": (order, *roadmap.orders[1:]), "model": model})
    ).decode()
    assert "<script" not in text
    assert "&lt;script&gt;alert(1)" in text
    assert "default-src 'none'" in text


def test_without_paths_there_is_no_tree(roadmap: Roadmap) -> None:
    assert 'id="paths"' in roadmap_page(roadmap).decode()
    first = roadmap.nodes[0].name
    horizon = roadmap.horizon.model_copy(update={"paths": (), "periods": 1})
    single = roadmap.model_copy(
        update={
            "horizon": horizon,
            "nodes": tuple(n.model_copy(update={"paths": ()}) for n in roadmap.nodes[:1]),
            "orders": (),
            "capacity": tuple(line for line in roadmap.capacity if line.node == first),
            "budgets": (),
            "cash_flows": (),
        }
    )
    text = roadmap_page(single).decode()
    assert 'id="paths"' not in text
    assert "Nothing has to be ordered" in text


def test_the_command_writes_it(told: Told, folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    code, out, _ = told("report", folder / "roadmap.json", "-o", file, "--json")
    assert code == 0
    assert json.loads(out)["bytes"] == file.stat().st_size
    code, out, _ = told("report", folder, "-o", file)
    assert code == 0
    assert "in 6 periods of all paths" in out
    code, _, problems = told("report", folder, "--explain", "-o", file)
    assert code == 2
    assert "--explain does not apply to a roadmap" in problems
