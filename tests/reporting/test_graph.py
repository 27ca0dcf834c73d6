"""The drawn graph: what is on the page, where, and what other tools read of it."""

from __future__ import annotations

import doctest
import json
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reporting.browser import FAINT, PROGRAM, chromium, open_page
from support import model_of

from planner.errors import InputError
from planner.infrastructure.catalogue import shipped_models
from planner.infrastructure.fleet import Fleet
from planner.infrastructure.graph import blast_radius, build_graph, down_nodes, without_equipment
from planner.infrastructure.graph import single_points_of_failure as points_of
from planner.infrastructure.loading import load_model
from planner.reporting.graph import export as graph_export
from planner.reporting.graph import services as graph_services
from planner.reporting.graph import shapes as graph_shapes
from planner.reporting.graph.export import dot_text, graphml_text, json_text, plain_graph, quoted
from planner.reporting.graph.facts import Scene, make_scene
from planner.reporting.graph.layout import draw
from planner.reporting.graph.page import page_data, page_text
from planner.reporting.graph.shapes import (
    Box,
    Drawing,
    Label,
    Polyline,
    Rect,
    shortened,
    text_width,
    wrapped,
)
from planner.reporting.graph.svg import svg_text

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = '</script><img src=x onerror="alert(1)">&"\'\\ $x$'

#: Loops, a service that nothing in its plane needs, a dependency against the order of the planes,
#: many replicas, names of the greatest length.
KNOTTY = """
regions:
  {long}: {{design_ambient_c: 30.0, power_limit_mw: 10.0}}
  b: {{design_ambient_c: 30.0, power_limit_mw: 10.0, candidate: true}}
gpus: {{g: {{power_mw: 0.005, static_share: 0.5, rps: 1.0}}}}
clusters:
  one: {{region: {long}, gpu: g, existing_gpus: 100, max_gpus: 100}}
  two: {{region: {long}, gpu: g, existing_gpus: 100, max_gpus: 100}}
  three: {{region: {long}, gpu: g, existing_gpus: 100, max_gpus: 100}}
cooling_units: {{u: {{capacity_mw: 1.0}}}}
plants:
  {long}-p: {{region: {long}, cools: [one, two, three], existing: {{u: 2}}, depends_on: [control]}}
  q: {{region: {long}, cools: [two], existing: {{u: 2}}}}
feeds:
  fa: {{region: {long}, capacity_mw: 10.0, powers: [one, q], ups_minutes: 10.0, generator_mw: 3.0}}
  fb: {{region: {long}, capacity_mw: 10.0, ups_minutes: 10.0}}
services:
  control: {{plane: control, replicas: {{{long}: 2}}, needs_replicas: 1, runs_on: [one]}}
  many: {{plane: state, replicas: {{{long}: 45, b: 1}}, needs_replicas: 3}}
  web: {{plane: edge, depends_on: [many], any_of: [left, right]}}
  left: {{plane: service, depends_on: [web2]}}
  right: {{plane: service, degrades_without: [many, {long}-s]}}
  web2: {{plane: edge}}
  {long}-s: {{plane: state, depends_on: [right2]}}
  right2: {{plane: service}}
tiers: {{t: {{priority: 1, share: 1.0, entry: web}}}}
zones: {{z: {{demand_rps: 100.0, latency_ms: {{{long}: 1.0}}}}}}
"""


@cache
def scene_of(name: str) -> Scene:
    return make_scene(name, load_model(name).model)


@cache
def drawing_of(name: str) -> Drawing:
    return draw(scene_of(name))


@pytest.fixture(scope="module")
def knotty(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    text = KNOTTY.format(long="n" + "w" * 60)
    return make_scene("knotty", model_of(tmp_path_factory.mktemp("knotty"), text))


def bought(name: str) -> Scene:
    """A model with something bought of everything."""
    model = load_model(name).model
    fleet = Fleet.after(
        model,
        {(plant, one.options[0]): 3 for plant, one in model.plants.items() if one.options},
        {cluster: one.block_gpus for cluster, one in model.clusters.items()},
        dict.fromkeys(model.offers, 2),
        frozenset(region for region, one in model.regions.items() if one.candidate),
        frozenset(model.measures),
    )
    return make_scene(name, model, fleet)


def retiring(name: str) -> Scene:
    """A model whose plan retires most GPUs of its first cluster and all of its second."""
    model = load_model(name).model
    fleet = Fleet.existing(model)
    first, second, *_ = fleet.gpus
    return make_scene(name, model, replace(fleet, gpus={**fleet.gpus, first: 1000, second: 0}))


def meets(one: Rect, other: Rect, slack: float = 0.01) -> bool:
    """Whether two rectangles overlap by more than a touch."""
    return (
        one.x < other.right - slack
        and other.x < one.right - slack
        and one.y < other.bottom - slack
        and other.y < one.bottom - slack
    )


def complaints(drawing: Drawing) -> list[str]:
    """Boxes that overlap or leave the page, texts that leave their box, lines through boxes."""
    page = Rect(0, 0, drawing.width, drawing.height)
    found = [f"off the page: {one}" for one in drawing.boxes if not page.holds(one.rect)]
    found += [
        f"text leaves its box: {label.text}"
        for box in drawing.boxes
        for label in box.labels
        if not box.rect.holds(label.rect, 0.5)
    ]
    for one, other in combinations(drawing.boxes, 2):
        if meets(one.rect, other.rect) and not one.rect.holds(other.rect):
            found.append(f"overlap: {one.node or one.labels} and {other.node or other.labels}")
        if one.rect.holds(other.rect):
            found += [
                f"{label.text} is behind {other.node}"
                for label in one.labels
                if meets(label.rect, other.rect, 0.5)
            ]
        found += touching(one, other)
    return found + through_boxes(drawing)


def touching(one: Box, other: Box) -> list[str]:
    return [
        f"texts touch: {a.text} and {b.text}"
        for a in one.labels
        for b in other.labels
        if meets(a.rect, b.rect, 0.5)
    ]


def through_boxes(drawing: Drawing) -> list[str]:
    """Lines that cross a box in which they do not end; columns of curves are level in boxes."""
    solid = [box for box in drawing.boxes if box.kind not in ("band", "region", "text")]
    found = []
    for line in drawing.lines:
        for (x, y), (to_x, to_y) in pairwise(line.points):
            hull = Rect(min(x, to_x), min(y, to_y), abs(to_x - x), abs(to_y - y))
            found += [
                f"{line.source} to {line.target} crosses {box.node}"
                for box in solid
                if meets(box.rect, hull, 0.5)
            ]
    return found


#: A roadmap's model has the graph of the model that it extends.
DRAWN = [name for name in shipped_models() if not name.endswith("-roadmap")]


class TestPage:
    @pytest.mark.parametrize("name", DRAWN)
    def test_every_node_is_drawn_once(self, name):
        drawn = Counter(box.node for box in drawing_of(name).boxes if box.node is not None)
        assert drawn == Counter(build_graph(load_model(name).model))

    @pytest.mark.parametrize("name", DRAWN)
    def test_nothing_overlaps_and_texts_fit(self, name):
        assert complaints(drawing_of(name)) == []

    @pytest.mark.parametrize("name", ["chatgpt-2023", "chatgpt-2023-measures", "tiny"])
    def test_nothing_overlaps_with_a_plan(self, name):
        scene = bought(name)
        drawing = draw(scene)
        assert complaints(drawing) == []
        assert Counter(one.node for one in drawing.boxes if one.node) == Counter(scene.graph)

    def test_nothing_overlaps_with_long_names_loops_and_many_replicas(self, knotty):
        drawing = draw(knotty)
        assert complaints(drawing) == []
        assert Counter(one.node for one in drawing.boxes if one.node) == Counter(knotty.graph)

    def test_the_checks_see_what_is_wrong(self):
        box = Box(Rect(10, 10, 50, 20), "plant", (Label(15, 22, "name"),), "plant:a")
        wide = replace(box, labels=(Label(15, 22, "a name too long for it"),))
        beside = replace(box, rect=Rect(40, 10, 50, 20), labels=(), node="plant:b")
        line = Polyline(((0.0, 20.0), (99.0, 20.0)), "cools", "plant:b")
        for boxes, lines, text in (
            ((wide,), (), "text leaves"),
            ((box, beside), (), "overlap"),
            ((replace(box, rect=Rect(70, 10, 50, 20), labels=()),), (), "off the page"),
            ((box,), (line,), "crosses"),
        ):
            assert text in "".join(complaints(Drawing(100, 40, boxes, lines)))
        assert complaints(Drawing(100, 40, (box,), ())) == []

    def test_a_sheet_of_paper_holds_the_platform_of_2023(self):
        """On A3 its smallest text is 1.8 mm or more, as tall as print of five points."""
        drawing = drawing_of("chatgpt-2023")
        scale_mm = min(420 / drawing.width, 297 / drawing.height)
        smallest = min(label.size for box in drawing.boxes for label in box.labels)
        assert smallest * scale_mm >= 1.8

    def test_regions_hold_what_stands_in_them(self):
        scene, drawing = scene_of("hyperscaler-12"), drawing_of("hyperscaler-12")
        rects = {box.node: box.rect for box in drawing.boxes}
        inside = {
            relation: [(a, b) for a, b, r in scene.graph.edges(data="relation") if r == relation]
            for relation in ("hosts", "supplies")
        }
        # Offers are drawn in the boxes of their providers, wherever they stand.
        hosted = [pair for pair in inside["hosts"] if not pair[1].startswith("offer:")]
        offered = [pair for pair in inside["supplies"] if pair[0].startswith("provider:")]
        assert (len(hosted), len(offered)) == (204, len(scene.model.offers))
        assert all(rects[outer].holds(rects[name]) for outer, name in (*hosted, *offered))

    def test_every_dependency_among_services_and_machines_has_a_line(self):
        scene, drawing = scene_of("chatgpt-2023"), drawing_of("chatgpt-2023")
        wanted = {
            (source, target)
            for source, target, data in scene.graph.edges(data=True)
            if data["relation"] in ("cools", "powers", "depends_on")
            and not source.startswith(("ups:", "generator:"))
            # Said in the box of the plant.
            and not (data["relation"] == "depends_on" and target.startswith("plant:"))
        }
        assert {(one.source, one.target) for one in drawing.lines if one.target} == wanted
        loops = next(box for box in drawing.boxes if box.node == "plant:us-west-loops")
        assert "needs us-west-cooling-control" in [label.text for label in loops.labels]

    def test_single_points_of_failure_and_what_is_not_there_are_marked(self):
        scene, drawing = scene_of("chatgpt-2023"), drawing_of("chatgpt-2023")
        states = {box.node: box.states for box in drawing.boxes if box.node}
        marked = {name for name, one in states.items() if one & {"single", "software"}}
        assert marked == {one for nodes in points_of(scene.graph).values() for one in nodes}
        assert "single" in states["service:firewall"]
        assert "software" in states["service:user-database"]
        assert "absent" in states["plant:us-west-emergency"]
        assert "absent" in states["region:eu-west"]

    def test_what_a_plan_buys_is_marked(self):
        drawing = draw(bought("chatgpt-2023"))
        texts = {
            box.node: [label.text for label in box.labels if label.role == "bought"]
            for box in drawing.boxes
            if "bought" in box.states
        }
        assert texts["cluster:us-west-primary"] == ["+250 GPUs"]
        assert texts["offer:aws-p4d"] == ["+2 instances"]
        assert texts["plant:us-west-emergency"] == ["+3 chiller-1.75"]
        assert "region:eu-west" in texts
        assert "cluster:us-west-primary" not in {
            box.node for box in drawing_of("chatgpt-2023").boxes if "bought" in box.states
        }

    def test_what_a_plan_retires_is_not_marked_as_bought(self):
        scene = retiring("chatgpt-2023")
        drawing = draw(scene)
        states = {box.node: box.states for box in drawing.boxes if box.node}
        assert complaints(drawing) == []
        assert "bought" not in states["cluster:us-west-primary"]
        assert "retired" in states["cluster:us-west-primary"]
        assert {"retired", "absent"} <= states["cluster:us-east-backup"]
        roles = {label.text: label.role for box in drawing.boxes for label in box.labels}
        assert roles["-9,000 GPUs"] == "retired"
        assert any("retired by the plan" in text for text in roles)
        text = svg_text(scene, drawing)
        assert 'class="retired-text"' in text
        assert "cluster us-west-primary; 1,000 GPUs · 5 MW; -9,000 GPUs" in text

    def test_chosen_regions_are_drawn_with_all_offers(self):
        scene = make_scene("x", load_model("hyperscaler-12").model, regions=["us-east", "eu-west"])
        drawing = draw(scene)
        drawn = {box.node for box in drawing.boxes if box.node}
        assert drawn == set(scene.shown)
        assert {one for one in drawn if one.startswith("region:")} == {
            "region:us-east",
            "region:eu-west",
        }
        assert {f"offer:{one}" for one in scene.model.offers} < drawn
        assert "service:us-west-cooling-control" not in drawn
        assert "service:us-east-cooling-control" in drawn
        assert complaints(drawing) == []


class TestTexts:
    @given(text=st.text(max_size=80), width=st.floats(10, 300), bold=st.booleans())
    def test_shortened_fits_and_keeps_what_fits(self, text, width, bold):
        short = shortened(text, 10, width, bold)
        assert text_width(short, 10, bold) <= width + 0.02
        assert short == text or "…" in short or text_width("…", 10, bold) > width

    @given(words=st.lists(st.text("abw-", min_size=1, max_size=9), max_size=12))
    def test_wrapped_loses_no_word(self, words):
        lines = wrapped(" ".join(words), 10, 90)
        assert " ".join(lines).split() == words
        assert all(text_width(line, 10) <= 90 or " " not in line for line in lines)

    def test_widths_are_those_of_the_font(self):
        matplotlib = pytest.importorskip("matplotlib.textpath")
        from matplotlib.font_manager import FontProperties

        for weight, bold in (("normal", False), ("bold", True)):
            font = FontProperties(family="DejaVu Sans", weight=weight, size=100)
            for text in ("us-west-cooling-control", "MW 10,000 GPUs (N+2)", "iiiWWW@#"):
                path = matplotlib.TextPath((0, 0), text, prop=font)
                assert path.get_extents().x1 <= text_width(text, 100, bold) + 2, text


class TestBlast:
    @pytest.mark.parametrize("name", ["chatgpt-2023", "chatgpt-2023-measures", "tiny"])
    def test_what_goes_down_is_the_blast_radius_of_the_graph(self, name):
        model = load_model(name).model
        graph, absent = build_graph(model), without_equipment(model, Fleet.existing(model))
        pages = {one["id"]: one for one in page_data(scene_of(name))["nodes"]}
        ids = list(pages)
        for failed in graph:
            radius = blast_radius(graph, failed, absent)
            assert {ids[index] for index in pages[failed]["falls"]} == radius, failed
        for failed in list(graph)[:4]:
            scene = make_scene(name, model, blast=[failed])
            assert set(scene.blast.fallen) == blast_radius(graph, failed, absent)
            assert marked(scene, "fallen") == set(scene.blast.fallen)
            assert marked(scene, "failed") == {failed}

    def test_a_plant_without_units_takes_the_place_of_none(self):
        model = load_model("tiny").model
        assert make_scene("x", model, blast=["west-chillers"]).blast.fallen == (
            "cluster:west-gpus",
        )
        units = {"west-air": {"air-1": 1}, "west-chillers": {"chiller-3": 2, "chiller-1": 0}}
        fleet = replace(Fleet.existing(model), units={**Fleet.existing(model).units, **units})
        assert make_scene("x", model, fleet, ["west-chillers"]).blast.fallen == ()
        assert make_scene("x", model, fleet, ["west-chillers,west-air"]).blast.gpus == 1000
        assert make_scene("x", model, blast=["west-air"]).blast.fallen == ()

    def test_nodes_lost_together_take_down_more_than_each_alone(self):
        model = load_model("chatgpt-2023").model
        graph, absent = build_graph(model), without_equipment(model, Fleet.existing(model))
        pair = ["region:us-west", "region:us-east"]
        fallen = set(make_scene("x", model, blast=pair).blast.fallen)
        assert fallen > down_nodes(graph, pair) - down_nodes(graph, []) - {*pair}
        each = set().union(*(blast_radius(graph, one, absent) for one in pair))
        assert {"tier:consumer_free", "zone:europe"} <= fallen - each

    def test_a_blast_adds_up_the_capacity_lost(self):
        """us-west: 10,000 GPUs of 0.970874 requests/s, 36 + 24 MW of loops, 15 + 20 MW standby.

        Chillers behind the loops carry the same 60 MW: they add nothing.
        """
        blast = make_scene("x", load_model("chatgpt-2023").model, blast=["us-west"]).blast
        assert blast.gpus == 10_000
        assert blast.rps == pytest.approx(9_708.74)
        assert 90 < blast.cooling_mw <= 36 + 24 + 15 + 20
        assert blast.feed_mw == 80
        assert blast.reserved_gpus == 0
        for name in ("us-west-loops", "us-west-chillers"):
            alone = make_scene("x", load_model("chatgpt-2023").model, blast=[name]).blast
            assert alone.cooling_mw == pytest.approx(36 + 24)

    def test_a_plan_changes_what_goes_down(self):
        """With controls of its own a plant no longer goes down with those of the site."""
        model = load_model("chatgpt-2023-measures").model
        node = "service:us-west-cooling-control"
        before = make_scene("x", model, blast=[node]).blast.fallen
        fleet = replace(Fleet.existing(model), measures=frozenset(model.measures))
        after = make_scene("x", model, fleet, blast=[node]).blast.fallen
        assert set(after) < set(before)

    @pytest.mark.parametrize(
        ("text", "node"),
        [
            ("region:us-west", "region:us-west"),
            ("us-west", "region:us-west"),
            ("us-west-feed", "feed:us-west-feed"),
            ("ups:us-west-feed", "ups:us-west-feed"),
            ("api@us-west#1", "replica:api@us-west#1"),
        ],
    )
    def test_a_node_is_found_by_identifier_or_by_a_name_of_its_own(self, text, node):
        scene = make_scene("x", load_model("chatgpt-2023").model, blast=[text])
        assert scene.blast.failed == (node,)

    def test_unknown_names_are_refused_all_at_once_with_the_nearest(self):
        with pytest.raises(InputError) as caught:
            make_scene(
                "x",
                load_model("chatgpt-2023").model,
                blast=["us-wst", "region:us-wes", "eu-west", "\x1b[31m"],
                regions=["us-eats"],
            )
        texts = str(caught.value)
        assert len(caught.value.problems) == 5
        assert "no node `us-wst`; did you mean `us-west`?" in texts
        assert "did you mean `region:us-west`?" in texts
        assert "`eu-west` is several; give `region:eu-west` or `cluster:eu-west`" in texts
        assert "no region `us-eats`; did you mean `us-east`?" in texts
        assert "\x1b" not in texts


def marked(scene: Scene, state: str) -> set[str]:
    return {box.node for box in draw(scene).boxes if box.node and state in box.states}


def drawn_ids(root: ElementTree.Element) -> list[str]:
    return [one.get("data-node", "") for one in root.iter(f"{SVG}g") if one.get("data-node")]


class TestSvg:
    @pytest.mark.parametrize("name", ["chatgpt-2023", "hyperscaler-12"])
    def test_svg_parses_and_holds_every_node_once(self, name):
        root = ElementTree.fromstring(svg_text(scene_of(name), drawing_of(name)))
        assert sorted(drawn_ids(root)) == sorted(scene_of(name).graph)
        texts = {one.text for one in root.iter(f"{SVG}text")}
        assert set(load_model(name).model.regions) <= texts

    def test_markup_in_names_is_text(self):
        scene = hostile()
        for page in (False, True):
            text = svg_text(scene, hostile_drawing(scene), page)
            root = ElementTree.fromstring(text)
            tags = {one.tag.removeprefix(SVG) for one in root.iter()}
            assert tags <= {
                "svg", "title", "style", "defs", "marker", "path", "g", "rect", "text"
            }  # fmt: skip
            assert HOSTILE in {one.text for one in root.iter(f"{SVG}text")}

    def test_svg_requests_nothing_from_elsewhere(self):
        text = svg_text(scene_of("tiny"), drawing_of("tiny"))
        assert re.findall(r"https?://[^\"]+", text) == ["http://www.w3.org/2000/svg"]


def hostile() -> Scene:
    """A scene in which the model and every node are called after markup."""
    scene = scene_of("tiny")
    names = {name: f"{name}{HOSTILE}" for name in scene.graph}
    graph = nx.relabel_nodes(scene.graph, names)
    return replace(
        scene,
        name=HOSTILE,
        graph=graph,
        points=dict.fromkeys(graph, (HOSTILE,)),
        absent=frozenset(graph),
    )


def hostile_drawing(scene: Scene) -> Drawing:
    boxes = tuple(
        Box(Rect(0, 0, 9, 9), "plant", (Label(0, 0, HOSTILE),), name) for name in scene.graph
    )
    return Drawing(10, 10, boxes, (Polyline(((0, 0), (9, 9)), "cools", *list(scene.graph)[:2]),))


class TestPageOfItsOwn:
    def test_the_page_holds_the_picture_and_the_data(self):
        text = page_text(scene_of("tiny"), drawing_of("tiny"))
        assert text.count("<svg ") == 1
        assert "default-src 'none'" in text
        assert not re.search(r"(src|href)=", text)
        data = embedded(text)
        assert {one["id"] for one in data["nodes"]} == set(scene_of("tiny").graph)

    def test_markup_in_names_is_text(self):
        scene = hostile()
        text = page_text(scene, hostile_drawing(scene))
        assert text.count("</script>") == 2
        assert "<img" not in text
        assert {one["id"] for one in embedded(text)["nodes"]} == set(scene.graph)

    def test_the_data_names_the_neighbours_of_a_node(self):
        data = page_data(scene_of("tiny"))["nodes"]
        ids = [one["id"] for one in data]
        cluster = data[ids.index("cluster:west-gpus")]
        assert {ids[i] for i in cluster["from"]} == {
            "region:west",
            "plant:west-chillers",
            "plant:west-air",
        }
        served = {"zone:west-users", "zone:east-users", "tier:business", "tier:free"}
        assert {ids[i] for i in cluster["to"]} == served


@pytest.mark.skipif(PROGRAM is None, reason="no chromium here: Debian's package has it")
def test_the_page_finds_nodes_and_moves_among_them_by_keyboard(tmp_path: Path):
    path = tmp_path / "graph.html"
    path.write_text(page_text(scene_of("tiny"), drawing_of("tiny")), encoding="utf-8")
    with chromium() as browser:
        opened = open_page(browser, path)
        page = opened.page
        page.keyboard.press("/")
        page.keyboard.type("chillers")
        assert page.inner_text("#count") == "2 found"
        page.keyboard.press("Enter")
        focused = "document.activeElement.dataset.node"
        assert page.evaluate(focused) == "plant:west-chillers"
        page.keyboard.press("ArrowRight")
        assert page.evaluate(focused) == "cluster:west-gpus"
        page.keyboard.press("Enter")
        assert "If it is lost, nothing else goes down." in page.inner_text("#detail")
        page.keyboard.press("Escape")
        assert page.inner_text("#detail") == ""
        assert page.evaluate(TEXTS_OUTSIDE) == []
    assert opened.complaints == []
    assert opened.requests == []


@pytest.mark.skipif(PROGRAM is None, reason="no chromium here: Debian's package has it")
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_the_page_opens_with_texts_of_nine_pixels_or_more(tmp_path: Path, width: int, scheme: str):
    path = tmp_path / "graph.html"
    drawing = drawing_of("chatgpt-2023")
    path.write_text(page_text(scene_of("chatgpt-2023"), drawing), encoding="utf-8")
    with chromium() as browser:
        opened = open_page(
            browser, path, viewport={"width": width, "height": 844}, color_scheme=scheme
        )
        page = opened.page
        scale = page.evaluate("document.querySelector('main svg').clientWidth") / drawing.width
        smallest = min(label.size for box in drawing.boxes for label in box.labels)
        assert smallest * scale >= 8.9
        assert page.evaluate("document.documentElement.scrollWidth") == width
        assert page.evaluate(FAINT) == []
        page.click("#fit")
        assert page.evaluate("document.querySelector('main').scrollWidth") <= width
    assert opened.complaints == []


@pytest.mark.skipif(PROGRAM is None, reason="no chromium here: Debian's package has it")
def test_the_page_opens_where_what_is_lost_can_be_seen(tmp_path: Path):
    path = tmp_path / "graph.html"
    scene = make_scene("x", load_model("chatgpt-2023").model, blast=["region:asia-pacific"])
    path.write_text(page_text(scene, draw(scene)), encoding="utf-8")
    with chromium() as browser:
        page = open_page(browser, path, viewport={"width": 390, "height": 844}).page
        left, top, right, bottom = page.evaluate("""() => {
          const lost = document.querySelector(".failed > rect").getBoundingClientRect();
          const pane = document.querySelector("main").getBoundingClientRect();
          return [lost.left - pane.right, lost.top - pane.bottom, lost.right - pane.left,
                  lost.bottom - pane.top];
        }""")
    assert left < 0 < right
    assert top < 0 < bottom


#: Texts that leave their box in the font that the browser takes.
TEXTS_OUTSIDE = """() => [...document.querySelectorAll("svg .box")].flatMap(box => {
  const outer = box.querySelector("rect").getBBox();
  return [...box.querySelectorAll("text")].filter(text => {
    const inner = text.getBBox();
    return inner.x < outer.x - 1 || inner.x + inner.width > outer.x + outer.width + 1;
  }).map(text => text.textContent);
})"""


def embedded(text: str) -> Any:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text)
    assert found
    return json.loads(found[1])


class TestExports:
    @pytest.mark.parametrize("name", ["chatgpt-2023-measures", "hyperscaler-12"])
    def test_graphml_reads_back(self, name, tmp_path: Path):
        path = tmp_path / "graph.graphml"
        path.write_text(graphml_text(scene_of(name)), encoding="utf-8")
        read = nx.read_graphml(path)
        plain = plain_graph(scene_of(name))
        assert dict(read.nodes(data=True)) == dict(plain.nodes(data=True))
        assert set(read.edges) == set(scene_of(name).graph.edges)
        assert all(read.edges[one] == plain.edges[one] for one in plain.edges)

    def test_attributes_of_graphml_are_typed(self):
        types = {
            one.get("attr.name"): one.get("attr.type")
            for one in ElementTree.fromstring(graphml_text(scene_of("hyperscaler-12")))
            if one.tag.endswith("key")
        }
        assert types["gpus"] in ("int", "long")
        assert types["cooling_mw"] == types["latency_ms"] == "double"
        assert types["single_point_of_failure"] == "boolean"
        assert types["kind"] == "string"

    def test_json_reads_back(self):
        read = nx.node_link_graph(json.loads(json_text(scene_of("chatgpt-2023"))), edges="links")
        plain = plain_graph(scene_of("chatgpt-2023"))
        assert dict(read.nodes(data=True)) == dict(plain.nodes(data=True))
        assert set(read.edges) == set(plain.edges)
        assert read.nodes["service:firewall"]["tiers_lost"].startswith("enterprise_critical")

    @pytest.mark.parametrize("name", ["chatgpt-2023", "hyperscaler-12"])
    def test_dot_reads_back(self, name):
        nodes, edges, clusters = read_dot(dot_text(scene_of(name)))
        graph = scene_of(name).graph
        assert Counter(nodes) == Counter(graph)
        assert Counter(edges) == Counter(list(graph.edges))
        assert {f"cluster_{one}" for one in load_model(name).model.regions} == set(clusters)

    def test_a_blast_is_exported(self):
        scene = make_scene("x", load_model("tiny").model, blast=["region:west"])
        plain = plain_graph(scene)
        assert {n for n, d in plain.nodes(data=True) if d["lost"]} == {"region:west"}
        assert {n for n, d in plain.nodes(data=True) if d["falls"]} == set(scene.blast.fallen)

    @given(st.text(max_size=30))
    def test_quotes_of_dot_hold_everything(self, text):
        tokens = list(dot_tokens(f"{quoted(text)} -> {quoted('end')}"))
        assert [kind for kind, _ in tokens] == ["quoted", "sign", "quoted"]
        kept = "".join(one for one in text if one.isprintable() or one == "\n")
        assert unquoted(tokens[0][1]) == kept


def unquoted(text: str) -> str:
    return re.sub(r"\\(.)", lambda one: "\n" if one[1] == "n" else one[1], text)


def dot_tokens(text: str) -> Iterable[tuple[str, str]]:
    """Tokens of DOT: quoted identifiers, plain ones, signs."""
    pattern = re.compile(r'\s*(?:"((?:[^"\\]|\\.)*)"|([A-Za-z_]\w*)|(->|[\[\]{}=,;]))', re.DOTALL)
    place = 0
    while place < len(text.rstrip()):
        found = pattern.match(text, place)
        assert found, text[place : place + 40]
        place = found.end()
        if found[1] is not None:
            yield "quoted", found[1]
        else:
            yield ("word", found[2]) if found[2] else ("sign", found[3])


def read_dot(text: str) -> tuple[list[str], list[tuple[str, str]], list[str]]:
    """Nodes, edges and clusters of a graph in DOT, by its grammar as far as it is used here."""
    tokens = list(dot_tokens(text))
    assert [one for _, one in tokens].count("{") == [one for _, one in tokens].count("}")
    nodes, edges, clusters = [], [], []
    index = 2
    while index < len(tokens):
        (kind, value), following = tokens[index], tokens[min(index + 1, len(tokens) - 1)][1]
        if kind == "word" and value == "subgraph":
            clusters.append(unquoted(tokens[index + 1][1]))
            index += 2
        elif kind == "quoted" and following == "->":
            edges.append((unquoted(value), unquoted(tokens[index + 2][1])))
            index += 3
        elif kind == "quoted" and following == "[":
            nodes.append(unquoted(value))
            index += 1
        elif value == "[":
            index = next(i for i in range(index, len(tokens)) if tokens[i] == ("sign", "]"))
        else:
            index += 1
    return nodes, edges, clusters


@pytest.mark.parametrize("module", [graph_export, graph_services, graph_shapes])
def test_docstring_examples_hold(module):
    result = doctest.testmod(module)
    assert (result.failed, result.attempted > 0) == (0, True)


def test_the_same_model_gives_the_same_files():
    model = load_model("chatgpt-2023-measures").model
    files = []
    for _ in range(2):
        scene = make_scene("x", model, blast=["us-west"])
        drawing = draw(scene)
        texts = (svg_text(scene, drawing), page_text(scene, drawing))
        files.append((*texts, graphml_text(scene), dot_text(scene), json_text(scene)))
    assert files[0] == files[1]
