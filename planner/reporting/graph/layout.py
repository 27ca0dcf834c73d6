"""The page of a drawn graph: services, below them users, regions and offers, then the key."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

from planner.amounts import counted, megawatts, rate
from planner.infrastructure.graph import node
from planner.reporting.graph.facts import Scene, by_kind, states_of
from planner.reporting.graph.regions import (
    NAME,
    PAD,
    PLANES,
    Part,
    box_size,
    node_box,
    region_card,
    shared_columns,
    texts_of,
)
from planner.reporting.graph.services import service_layers
from planner.reporting.graph.shapes import (
    Box,
    Drawing,
    Label,
    Polyline,
    Rect,
    shortened,
    stack_size,
    stacked,
    text_width,
    wrapped,
)

EDGE = 24.0
CARD_GAP = 18.0
#: Width over height that a page should have: that of a sheet of paper on its side.
ASPECT = math.sqrt(2)
HEADING = 22.0
#: Rough height of title, key and gaps together.
OTHERS = 160.0


def draw(scene: Scene) -> Drawing:
    """Lay out an infrastructure on one page, deterministically."""
    cards = _cards(scene)
    left, right = _users(scene), _offers(scene)
    beside = sum(part.width + CARD_GAP for part in (left, right) if part.boxes)
    services = bool(scene.model.services)
    layers = service_layers(scene, 0.0) if services else Part(0, 0, ())
    tall = max(left.height, right.height)
    grid = min(
        (_grid(cards, count) for count in range(1, len(cards) + 1)),
        key=lambda part: _misfit(
            max(part.width + beside, layers.width), layers.height + max(part.height, tall) + OTHERS
        ),
    )
    width = max(grid.width + beside, layers.width, 640.0)
    if services:
        layers = service_layers(scene, width - 20)
    width = max(width, layers.width + 10)
    title, y = _title(scene, width)
    parts = [layers.moved(EDGE + 10, y)]
    y += layers.height + (CARD_GAP if services else 0)
    x = EDGE
    # What is narrower than the layers above is spread below them.
    spread = (width - grid.width - beside) / 2
    for part in (left, grid, right):
        if part.boxes:
            parts.append(part.moved(x, y))
            x += part.width + CARD_GAP + spread
    y += max(part.height for part in (left, grid, right)) + CARD_GAP
    key = _key(scene, width).moved(EDGE, y)
    boxes = [*title, *(box for part in (*parts, key) for box in part.boxes)]
    lines = [line for part in (*parts, key) for line in part.lines]
    return Drawing(width + 2 * EDGE, y + key.height + EDGE, tuple(boxes), tuple(lines))


def _misfit(width: float, height: float) -> float:
    return abs(math.log(width / height / ASPECT))


def _cards(scene: Scene) -> list[Part]:
    columns = shared_columns(scene)
    return [region_card(scene, region, columns) for region in scene.regions]


def _grid(cards: Sequence[Part], count: int) -> Part:
    """Cards in rows of so many, all of a row equally high."""
    boxes: list[Box] = []
    lines: list[Polyline] = []
    y = HEADING
    for start in range(0, len(cards), count):
        row = cards[start : start + count]
        height = max(card.height for card in row)
        for index, card in enumerate(row):
            moved = card.moved(index * (card.width + CARD_GAP), y)
            outer = moved.boxes[0]
            tall = Rect(outer.rect.x, outer.rect.y, outer.rect.width, height)
            boxes += [replace(outer, rect=tall), *moved.boxes[1:]]
            lines += moved.lines
        y += height + CARD_GAP
    width = min(count, len(cards)) * (cards[0].width + CARD_GAP) - CARD_GAP
    heading = _heading("regions: feeds, plants, clusters, and the software they host", width)
    return Part(width, y - CARD_GAP, (heading, *boxes), tuple(lines))


def _heading(text: str, width: float) -> Box:
    # In a narrow column the first word must do.
    fits = text_width(text, 11.0, bold=True) <= width
    labels = stacked(0, 0, [(text if fits else text.split(":")[0], 11.0, "heading")], width)
    return Box(Rect(0, 0, width, HEADING - 4), "text", labels)


def _users(scene: Scene) -> Part:
    """Origins of demand, and the tiers where no services stand between them and the GPUs."""
    tiers = [] if scene.model.services else [node("tier", name) for name in scene.model.tiers]
    zones = [node("zone", name) for name in scene.model.zones]
    return _column(scene, {"tiers": tiers, "users": zones})


def _column(scene: Scene, groups: dict[str, list[str]]) -> Part:
    names = [name for group in groups.values() for name in group]
    width = max((box_size(scene, name)[0] for name in names), default=0.0)
    boxes: list[Box] = []
    y = 0.0
    for heading, group in groups.items():
        if not group:
            continue
        boxes.append(_moved_down(_heading(heading, width), y))
        y += HEADING
        for name in group:
            rect = Rect(0, y, width, box_size(scene, name)[1])
            boxes.append(node_box(scene, name, rect))
            y = rect.bottom + PAD
        y += PAD
    return Part(width, max(y - 2 * PAD, 0), tuple(boxes))


def _moved_down(box: Box, y: float) -> Box:
    return Part(0, 0, (box,)).moved(0, y).boxes[0]


def _offers(scene: Scene) -> Part:
    """Emergency offers in the boxes of their providers, and measures."""
    providers: dict[str, list[str]] = {}
    for name, offer in scene.model.offers.items():
        providers.setdefault(node("provider", offer.provider), []).append(node("offer", name))
    every = [name for offers in providers.values() for name in offers]
    inner = max((box_size(scene, name)[0] for name in every), default=0.0)
    measures = [node("measure", name) for name in scene.model.measures]
    wide = [stack_size(texts_of(scene, name))[0] for name in providers]
    wide += [box_size(scene, name)[0] - 2 * PAD for name in measures]
    width = max([inner, *wide], default=0.0) + 2 * PAD if every or measures else 0.0
    boxes: list[Box] = []
    y = 0.0
    if providers:
        boxes.append(_heading("emergency cloud", width))
        y += HEADING
    for provider, offers in providers.items():
        made = _provider(scene, provider, offers, y, width)
        boxes += made
        y = made[0].rect.bottom + PAD
    if measures:
        y += PAD if providers else 0
        boxes.append(_moved_down(_heading("measures", width), y))
        y += HEADING
    for name in measures:
        rect = Rect(0, y, width, box_size(scene, name)[1])
        boxes.append(node_box(scene, name, rect))
        y = rect.bottom + PAD
    return Part(width, max(y - PAD, 0), tuple(boxes))


def _provider(
    scene: Scene, provider: str, offers: Sequence[str], y: float, width: float
) -> list[Box]:
    top = y + PAD / 2 + NAME * 1.3 + PAD / 2
    inside = []
    for name in offers:
        rect = Rect(PAD, top, width - 2 * PAD, box_size(scene, name)[1])
        inside.append(node_box(scene, name, rect))
        top = rect.bottom + PAD
    return [node_box(scene, provider, Rect(0, y, width, top - y)), *inside]


def _title(scene: Scene, width: float) -> tuple[list[Box], float]:
    """Heading of the page, and where what follows begins."""
    texts = [(scene.name, 20.0, "title"), (summary_line(scene), 12.0, "fact")]
    for text, role in headlines(scene):
        texts += [(line, 12.0, role) for line in wrapped(text, 12.0, width, bold=True)]
    rect = Rect(EDGE, EDGE - 8, width, stack_size(texts)[1] + PAD)
    labels = stacked(rect.x, rect.y, texts, width)
    return [Box(rect, "text", labels)], rect.bottom + PAD


def summary_line(scene: Scene) -> str:
    """How many nodes there are of the main kinds, and how many single points of failure."""
    counts = {kind: len(names) for kind, names in by_kind(scene.graph, scene.shown).items()}
    main = ("region", "cluster", "plant", "feed", "service", "tier", "zone", "offer", "measure")
    held = [counted(counts[kind], kind) for kind in main if kind in counts]
    points = len(set(scene.points) & set(scene.shown))
    return f"{', '.join(held)}; {counted(points, 'single point', 'single points')} of failure"


def headlines(scene: Scene) -> list[tuple[str, str]]:
    """What the plan changes beside equipment, and what goes down; each with its role."""
    lines: list[tuple[str, str]] = []
    if scene.planned:
        bought = f"; measures: {', '.join(scene.measures)}" if scene.measures else ""
        lines.append((f"with the purchases of the plan{bought}", "bought"))
    if scene.blast is not None:
        names = " and ".join(scene.blast.failed)
        verb = "is" if len(scene.blast.failed) == 1 else "are"
        lines.append((f"× if {names} {verb} lost: {blast_line(scene)}", "badge"))
    return lines


def blast_line(scene: Scene) -> str:
    """What goes down, in short."""
    blast = scene.blast
    if blast is None:
        return ""
    parts = [f"{counted(len(blast.fallen), 'more node')} down"]
    tiers = by_kind(scene.graph, sorted(blast.down)).get("tier", [])
    parts.append(f"tiers down: {', '.join(tiers)}" if tiers else "no tier down")
    if blast.gpus:
        parts.append(f"{blast.gpus:,} GPUs ({rate(blast.rps)})")
    if blast.cooling_mw:
        parts.append(f"{megawatts(blast.cooling_mw)} of cooling")
    if blast.reserved_gpus:
        parts.append(f"{blast.reserved_gpus:,} reserved GPUs")
    return ", ".join(parts)


def _key(scene: Scene, width: float) -> Part:
    """What colours, signs and lines mean; only of what is drawn."""
    entries: list[tuple[str, Callable[[float, float], tuple[list[Box], list[Polyline]]]]] = []
    graph = scene.graph
    planes = {graph.nodes[name]["plane"] for name in scene.shown}
    for plane in PLANES:
        if plane in planes:
            entries.append((f"{plane} plane", _swatch("replica", plane)))
    states = {state for name in scene.shown for state in states_of(scene, name)}
    marks = {
        "single": "! single point of failure: its loss alone takes a tier down",
        "software": "! the same, if all its replicas fail together",
        "failed": "× lost, as asked",
        "fallen": "× goes down with it",
        "bought": "bought by the plan",
        "retired": "retired by the plan, in part or whole",
        "absent": "not there: nothing installed, not opened or not bought",
    }
    for state, text in marks.items():
        if state in states:
            entries.append((text, _swatch("group", None, state)))
    for kind, text in _line_kinds(scene).items():
        entries.append((text, _stroke(kind)))
    boxes: list[Box] = []
    lines: list[Polyline] = []
    x, y = 0.0, 6.0
    for text, sample in entries:
        room = 30 + text_width(text, 10) + 22
        if x and x + room > width:
            x, y = 0.0, y + 20
        made = sample(x, y)
        fitting = shortened(text, 10, width - 30)
        words = Label(x + 28, y + 10, fitting, 10)
        boxes += [*made[0], Box(words.rect, "text", (words,))]
        lines += made[1]
        x += room
    return Part(width, y + 18, tuple(boxes), tuple(lines))


def _swatch(
    kind: str, plane: str | None, state: str = ""
) -> Callable[[float, float], tuple[list[Box], list[Polyline]]]:
    states = frozenset({state} - {""})
    return lambda x, y: ([Box(Rect(x, y, 22, 13), kind, (), None, plane, states)], [])


def _stroke(kind: str) -> Callable[[float, float], tuple[list[Box], list[Polyline]]]:
    return lambda x, y: ([], [Polyline(((x, y + 7), (x + 22, y + 7)), kind, "")])


def _line_kinds(scene: Scene) -> dict[str, str]:
    texts = {
        "powers": "power (batteries carry clusters only)",
        "cools": "cooling",
        "needs": "to what depends on it",
        "any_of": "to what depends on one of several",
        "soft": "to what degrades without it",
    }
    kinds = scene.graph.nodes
    relations = {
        (data["relation"], kinds[target]["kind"])
        for _, target, data in scene.graph.edges(data=True)
    }
    services = scene.model.services.values()
    drawn = {
        "powers": ("powers", "plant") in relations or ("powers", "cluster") in relations,
        "cools": ("cools", "cluster") in relations,
        "needs": ("depends_on", "service") in relations or ("depends_on", "tier") in relations,
        "any_of": any(service.any_of for service in services),
        "soft": any(service.degrades_without for service in services),
    }
    return {kind: text for kind, text in texts.items() if drawn[kind]}
